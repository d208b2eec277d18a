/* host_source_test.c - the test of a source: steps that leave the host as they are stated, and what is made of a
 * plugin that states none, too many, or nonsense. */
#include "hostrig.h"

#include "core/host/serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct rig r;
static struct rk_step step;
static struct rk_reply reply;

static void
start(const char *module)
{
    rig_start(&r, module, NULL);
    assert_int_equal(rig_config(&r, 1, &reply, NULL), RK_OK);
}

static uint32_t
send_test(const char *peer, uint32_t fetch)
{
    struct rk_call_msg c = {.verb = RK_V_SOURCE_TEST, .inst = 1, .min_bits = 128, .bits = 256, .fetch = fetch};

    snprintf(c.peer_sae, sizeof c.peer_sae, "%s", peer);
    return rig_send(&r, &c);
}

static void
assert_step(uint32_t number, const char *name, int result, const char *text)
{
    rig_step(&r, number, &step);
    assert_string_equal(step.name, name);
    assert_int_equal(step.result, result);
    assert_string_equal(step.text, text);
}

static void
assert_reply(uint32_t number, int err)
{
    rig_reply(&r, &reply);
    assert_int_equal(reply.number, number);
    assert_int_equal(reply.err, err);
}

/* A step is heard before the call is over. */
static void
test_steps_come_at_once(void **state)
{
    uint32_t number;

    (void)state;
    start("host-source");
    number = send_test("wait", 0);
    assert_step(number, "begin", RK_OK, "for \"wait\", 128 to 256 bits");
    rig_cancel(&r, number);
    rig_step(&r, number, &step); /* the plugin stated none for its end, but a reason */
    assert_string_equal(step.name, "test");
    assert_string_equal(step.text, "waited at wait");
    assert_true(step.result == RK_E_CANCELED || step.result == RK_E_TIMEOUT); /* by when it looked at its budget */
    assert_reply(number, step.result);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_without_peer(void **state)
{
    uint32_t number;

    (void)state;
    start("host-source");
    number = send_test("", 1); /* nobody to share a key with: none is taken */
    assert_step(number, "begin", RK_OK, "for \"\", 128 to 256 bits");
    assert_reply(number, RK_OK);
    assert_int_equal(rig_log_has(&r, "ev=given"), 0);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_failed_step(void **state)
{
    uint32_t number;

    (void)state;
    start("host-source");
    number = send_test("steps-fail", 1);
    assert_step(number, "begin", RK_OK, "for \"steps-fail\", 128 to 256 bits");
    assert_step(number, "door", RK_E_AUTH, "refused: for this reason");
    assert_step(number, "window", RK_E_NOENT, "none");
    assert_step(number, "fetch", RK_STEP_SKIPPED, "no key was taken, because of what failed before");
    assert_reply(number, RK_E_AUTH);
    assert_int_equal(rig_log_has(&r, "ev=given"), 0);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_odd_steps(void **state)
{
    uint32_t number;

    (void)state;
    start("host-source");
    number = send_test("steps-odd", 0);
    rig_step(&r, number, &step);
    assert_step(number, "?", RK_E_CONTRACT, "line?break");
    assert_step(number, "?", RK_STEP_WARNING, "none");
    assert_reply(number, RK_OK); /* the plugin says that there is a way all the same */
    number = send_test("mute", 0);
    rig_step(&r, number, &step);
    assert_step(number, "test", RK_E_UNREACHABLE, "the plugin gave no reason");
    assert_reply(number, RK_E_UNREACHABLE);
    number = send_test("steps-many", 0);
    for (int i = 0; i < RK_STEPS_MAX; i++)
        rig_step(&r, number, &step);
    assert_reply(number, RK_OK);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

static void
test_fetch(void **state)
{
    static const char told[] =
        "key 550e8400-e29b-41d4-a716-000000000abc of 256 bits was taken and dropped: it is wasted, as was asked for";
    uint32_t number;

    (void)state;
    start("host-source");
    number = send_test("SAE_B", 0);
    rig_step(&r, number, &step);
    assert_reply(number, RK_OK);
    assert_int_equal(rig_log_has(&r, "ev=given"), 0);
    number = send_test("SAE_B", 1);
    rig_step(&r, number, &step);
    assert_step(number, "fetch", RK_OK, told);
    assert_reply(number, RK_OK);
    assert_int_equal(reply.n, 0); /* no key leaves the host */
    assert_true(rig_log_wait(&r, "ev=key-dropped inst=i1 peer=SAE_B key_id=550e8400-e29b-41d4-a716-000000000abc"));
    number = send_test("short", 1);
    rig_step(&r, number, &step);
    assert_step(number, "fetch", RK_E_KEY_SIZE, "i1: the source gave a key of another size than was asked for");
    assert_reply(number, RK_E_KEY_SIZE);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* A plugin without a test of its own. */
static void
test_by_status(void **state)
{
    uint32_t number;

    (void)state;
    start("host-parallel");
    number = send_test("", 0);
    assert_reply(number, RK_OK);
    number = send_test("SAE_B", 0);
    assert_step(number, "status", RK_OK, "7 keys?for SAE_B");
    assert_reply(number, RK_OK);
    number = send_test("ugly", 0);
    assert_step(number, "status", RK_E_REJECTED, "line?break ?[1m and ?");
    assert_reply(number, RK_E_REJECTED);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_come_at_once), cmocka_unit_test(test_without_peer),
        cmocka_unit_test(test_failed_step),        cmocka_unit_test(test_odd_steps),
        cmocka_unit_test(test_fetch),              cmocka_unit_test(test_by_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
