/* daemon_reading_test.c - a reading of a device that came with a change of it: it answers the next question once, and
 * only when it is what that question would have brought */
#include "core/daemon/reading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AT_NS (1000 * RK_NS_PER_S)

static struct {
    struct host host;
    struct rk_link_conf conf;
    struct inst device, other;
    struct live live;
    struct end end;
    struct rk_seen seen; /* of the last answer; its texts: */
    char facts[RK_FACTS_MAX + 1], why[RK_WHY_MAX];
    unsigned answers;
} r;

void
end_answer(struct end *end, const struct rk_event *ev)
{
    assert_ptr_equal(end, &r.end);
    assert_int_equal(ev->type, RK_EV_OBSERVED);
    assert_null(end->live->reading); /* the model may ask again from here */
    r.seen = *ev->seen;
    strcpy(r.facts, ev->seen->facts);
    strcpy(r.why, ev->seen->why);
    r.answers++;
}

static int
set_up(void **state)
{
    (void)state;
    memset(&r, 0, sizeof r);
    r.host = (struct host){.state = HOST_UP, .up_since_ns = AT_NS - 1};
    r.device = (struct inst){.host = &r.host, .ready = true, .number = 7};
    r.other = (struct inst){.host = &r.host, .ready = true, .number = 8};
    strcpy(r.conf.name, "l1");
    r.end = (struct end){.live = &r.live, .device = &r.device, .conf = &r.conf, .which = 'a'};
    r.live.act = RK_ACT_ACTIVATE;
    r.live.e.class = RK_CLASS_A;
    r.live.e.d = (struct rk_durable){.cur = "k1", .cur_seq = 1, .prev = "k0", .cand = "k2", .seq = 2};
    strcpy(r.live.e.peer_active, "k2");
    r.live.e.peer_active_seq = 2;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    reading_drop(&r.end);
    return 0;
}

/* The apply was done, and brought this. */
static struct rk_item
apply(void)
{
    struct rk_item item = {.fd = -1};

    reading_ask_too(&r.end, &item);
    item.read = 1;
    item.state = RK_IF_PRESENT | RK_IF_UP;
    item.foreign = 3;
    strcpy(item.facts, "sci=1");
    strcpy(item.text, "others");
    for (uint32_t k = 0; k < RK_SEEN_KEYS; k++)
        item.key[k].held = item.key[k].id[0] ? 1u << k : 0;
    return item;
}

static void
applied(void)
{
    struct rk_item item = apply();

    reading_keep(&r.end, &item, AT_NS);
    r.live.act = RK_ACT_OBSERVE;
}

static bool
answers(void)
{
    bool answered = reading_answers(&r.end, AT_NS + RK_NS_PER_MS);

    assert_int_equal(r.answers, answered);
    assert_null(r.live.reading);
    return answered;
}

static void
test_answers_once(void **state)
{
    (void)state;
    applied();
    assert_true(answers());
    assert_int_equal(r.seen.state, RK_IF_PRESENT | RK_IF_UP);
    assert_int_equal(r.seen.foreign, 3);
    assert_int_equal(r.seen.cur, 1);
    assert_int_equal(r.seen.prev, 2);
    assert_int_equal(r.seen.cand, 4);
    assert_int_equal(r.seen.peer, 4); /* the same key */
    assert_string_equal(r.facts, "sci=1");
    assert_string_equal(r.why, "others");
    assert_false(reading_answers(&r.end, AT_NS + RK_NS_PER_MS));
    assert_int_equal(r.answers, 1);
}

static void
test_keys_asked(void **state)
{
    static const char *const ids[RK_SEEN_KEYS] = {"k1", "k0", "k2", "k2"};
    struct rk_item now = {.fd = -1}, too;

    (void)state;
    reading_ask(&r.end, &now);
    too = apply();
    for (size_t k = 0; k < RK_SEEN_KEYS; k++) {
        assert_string_equal(now.key[k].id, ids[k]);
        assert_string_equal(too.key[k].id, now.key[k].id);
        assert_int_equal(too.key[k].seq, now.key[k].seq);
    }
    assert_int_equal(now.key[2].seq, 2);
    r.live.act = RK_ACT_STAGE; /* class A has a slot for each */
    assert_string_equal(apply().key[1].id, "k0");
}

/* Where a CAK is staged the place of the previous one is taken: then it is not asked for, as the model will not. */
static void
test_keys_of_a_cak(void **state)
{
    struct rk_item item;

    (void)state;
    r.live.e.class = RK_CLASS_B;
    r.live.act = RK_ACT_STAGE;
    item = apply();
    assert_string_equal(item.key[1].id, "");
    reading_keep(&r.end, &item, AT_NS);
    r.live.e.d.prev[0] = '\0';
    assert_true(answers());
    assert_int_equal(r.seen.cand, 4);
    r.answers = 0;
    strcpy(r.live.e.d.prev, "k0");
    item = apply();
    reading_keep(&r.end, &item, AT_NS);
    assert_false(answers()); /* it was kept after all, and would have counted as foreign */
    r.live.e.d.cur[0] = '\0'; /* nothing that could have taken its place */
    assert_string_equal(apply().key[1].id, "k0");
    r.live.act = RK_ACT_RETIRE;
    strcpy(r.live.e.d.cur, "k1");
    assert_string_equal(apply().key[1].id, "k0");
}

/* The same keys in other places are the same question. */
static void
test_keys_moved(void **state)
{
    (void)state;
    applied();
    strcpy(r.live.e.peer_active, "k1");
    r.live.e.peer_active_seq = 1;
    assert_true(answers());
    assert_int_equal(r.seen.peer, 1);
    assert_int_equal(r.seen.cand, 4);
}

static void
test_another_key_asked(void **state)
{
    (void)state;
    applied();
    strcpy(r.live.e.peer_active, "k3");
    assert_false(answers());
}

static void
test_another_number_asked(void **state)
{
    (void)state;
    applied();
    r.live.e.peer_active_seq = 6;
    assert_false(answers());
    r.live.e.d.prev[0] = '\0';
    applied();
    r.live.e.peer_active_seq = 2; /* then nobody asks for k2 with 6 any more */
    assert_false(answers());
}

static void
test_a_key_less(void **state)
{
    (void)state;
    applied();
    r.live.e.d.prev[0] = '\0';
    assert_false(answers());
}

static void
test_too_old(void **state)
{
    (void)state;
    applied();
    assert_false(reading_answers(&r.end, AT_NS + RK_READING_MAX_MS * RK_NS_PER_MS + 1));
    applied();
    assert_true(reading_answers(&r.end, AT_NS + RK_READING_MAX_MS * RK_NS_PER_MS));
    assert_int_equal(r.answers, 1);
}

static void
test_host_restarted(void **state)
{
    (void)state;
    applied();
    r.host.up_since_ns = AT_NS + 1;
    assert_false(answers());
}

static void
test_host_down(void **state)
{
    (void)state;
    applied();
    r.host.state = HOST_BACKOFF;
    assert_false(answers());
}

static void
test_instance_not_ready(void **state)
{
    (void)state;
    applied();
    r.device.ready = false;
    assert_false(answers());
}

static void
test_another_device(void **state)
{
    (void)state;
    applied();
    r.end.device = &r.other;
    assert_false(answers());
}

static void
test_apply_failed(void **state)
{
    struct rk_item item = apply();

    (void)state;
    item.err = RK_E_CONFLICT;
    reading_keep(&r.end, &item, AT_NS);
    assert_false(answers());
}

static void
test_not_read(void **state)
{
    struct rk_item item = apply();

    (void)state;
    item.read = 0;
    reading_keep(&r.end, &item, AT_NS);
    assert_false(answers());
}

/* The whole call failed, or its host died: what was asked for never came. */
static void
test_no_answer(void **state)
{
    (void)state;
    applied();
    r.live.act = RK_ACT_RETIRE;
    (void)apply();
    assert_false(answers());
    (void)apply();
    r.host.up_since_ns = 0; /* also of a machine that has just begun */
    assert_false(reading_answers(&r.end, RK_NS_PER_MS));
}

static void
test_dropped(void **state)
{
    (void)state;
    applied();
    reading_drop(&r.end);
    assert_false(answers());
}

/* The plugin's host cuts the reason; a longer one would be a fault, and is cut here. */
static void
test_long_text(void **state)
{
    struct rk_item item = apply();

    (void)state;
    memset(item.text, 'x', sizeof item.text - 1);
    reading_keep(&r.end, &item, AT_NS);
    assert_true(answers());
    assert_int_equal(strlen(r.why), RK_WHY_MAX - 1);
}

static void
test_device_answers(void **state)
{
    struct rk_item item = apply();

    (void)state;
    reading_drop(&r.end);
    reading_answer(&r.end, &item);
    assert_int_equal(r.answers, 1);
    assert_int_equal(r.seen.prev, 2);
    assert_int_equal(r.seen.foreign, 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers_once),
        TEST(test_keys_asked),
        TEST(test_keys_of_a_cak),
        TEST(test_keys_moved),
        TEST(test_another_key_asked),
        TEST(test_another_number_asked),
        TEST(test_a_key_less),
        TEST(test_too_old),
        TEST(test_host_restarted),
        TEST(test_host_down),
        TEST(test_instance_not_ready),
        TEST(test_another_device),
        TEST(test_apply_failed),
        TEST(test_not_read),
        TEST(test_no_answer),
        TEST(test_dropped),
        TEST(test_long_text),
        TEST(test_device_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
