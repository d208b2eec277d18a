/* host_dispatch_test.c - queues, turns, deadlines, cancel and poison, with real threads and time as the test says it
 * is.
 *
 * The module is this file: its calls wait at a gate until the test lets them through, so that nothing here depends on
 * how fast anything runs.
 */
#include "core/host/dispatch.h"

#include "core/base/clock.h"
#include "core/base/log.h"

#include <poll.h>
#include <rekey/err.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_MS 3600000u

static sem_t gate;            /* posted once for each call that may go on */
static atomic_int begun, finis, inits;
static atomic_int init_result;
static char order[256];       /* peers of calls in the order in which they ran; one thread at a time */
static unsigned char frame[RK_FRAME_MAX];
static uint32_t last_number;
static char auth_key[64];     /* file of the one of a channel; "" */

static int
source_get(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    (void)inst, (void)call, (void)bits, (void)keys, (void)n;
    if (peer_sae[0] != '-')
        strncat(order, peer_sae, sizeof order - strlen(order) - 1);
    atomic_fetch_add(&begun, 1);
    sem_wait(&gate);
    return RK_E_EMPTY;
}

static int
device_observe(void *inst, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    (void)inst, (void)call, (void)seen, (void)n;
    atomic_fetch_add(&begun, 1);
    sem_wait(&gate);
    return RK_OK;
}

static int
init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    (void)call, (void)conf;
    *inst = (void *)(size_t)host;
    atomic_fetch_add(&inits, 1);
    if (init_result == RK_E_AGAIN) { /* wait at the gate */
        sem_wait(&gate);
        return RK_OK;
    }
    return init_result;
}

static void
fini(void *inst)
{
    (void)inst;
    atomic_fetch_add(&finis, 1);
}

static const struct rk_module serial = {
    .name = "serial", .kind = RK_SOURCE, .init = init, .fini = fini, .source = {.get_new = source_get}};
static const struct rk_module parallel = {
    .name = "parallel", .kind = RK_SOURCE, .caps = RK_CAP_PARALLEL, .init = init, .fini = fini,
    .source = {.get_new = source_get}};
/* What is asked of a channel waits at the gate, and says when it is let go. */
static int
channel_step(const char *what)
{
    atomic_fetch_add(&begun, 1);
    sem_wait(&gate);
    strncat(order, what, sizeof order - strlen(order) - 1);
    return RK_OK;
}

static int
channel_publish(void *inst, struct rk_call *call, struct rk_post *posts, size_t n)
{
    (void)inst, (void)call;
    for (size_t i = 0; i < n; i++)
        posts[i].err = RK_OK;
    return channel_step("p");
}

static int
channel_watch(void *inst, struct rk_call *call, struct rk_post *posts, size_t max, size_t *n)
{
    struct pollfd p = {.fd = rk_call_cancel_fd(call), .events = POLLIN};

    (void)inst, (void)posts, (void)max;
    *n = 0;
    (void)poll(&p, 1, -1);
    return RK_OK;
}

static int
channel_attach(void *inst, struct rk_call *call, const struct rk_attach *link)
{
    (void)inst, (void)call, (void)link;
    return channel_step("a");
}

static const struct rk_module channel = {
    .name = "channel", .kind = RK_CHANNEL, .init = init, .fini = fini,
    .channel = {.publish = channel_publish, .watch = channel_watch, .attach = channel_attach}};
static const struct rk_module device = {
    .name = "device", .kind = RK_DEVICE, .init = init, .fini = fini, .device = {.observe = device_observe}};

/* ---- rekeyd's side ---- */

static uint32_t
call(struct rk_dispatch *d, uint32_t verb, const char *peer, uint32_t budget_ms)
{
    struct rk_call_msg m = {.number = ++last_number, .verb = verb, .inst = 1, .budget_ms = budget_ms, .bits = 256};
    int fds[RK_FRAME_FDS];
    size_t n, len;

    m.n = verb == RK_V_SOURCE_STATUS || verb == RK_V_WATCH ? 0 : 1;
    m.items = rk_items_new(1);
    if (verb == RK_V_PUBLISH || verb == RK_V_ATTACH) {
        strcpy(m.items[0].sae, "SAE_B");
        strcpy(m.items[0].text, "rk1|text");
    }
    strcpy(m.items[0].iface, "eth0");
    strcpy(m.items[0].link, "l1");
    snprintf(m.peer_sae, sizeof m.peer_sae, "%s", peer);
    len = rk_call_put(frame, &m, fds, &n);
    assert_true(len > 0);
    rk_dispatch_frame(d, frame, len, fds, n);
    rk_items_free(m.items, 1);
    return m.number;
}

static uint32_t
configure(struct rk_dispatch *d)
{
    struct rk_setting s[] = {{RK_CONF_NAME, "one"}, {RK_CONF_SAE, "SAE_A"}, {"auth-key", ""}};
    const struct rk_config c = {1, s, d->module->kind == RK_CHANNEL ? 3 : 2};

    if (auth_key[0])
        snprintf(s[2].value, sizeof s[2].value, "file:%s", auth_key);
    rk_dispatch_frame(d, frame, rk_config_put(frame, ++last_number, &c), NULL, 0);
    return last_number;
}

static void
number_frame(struct rk_dispatch *d, enum rk_msg_type type, uint32_t number)
{
    rk_dispatch_frame(d, frame, rk_number_put(frame, type, number), NULL, 0);
}

/* The next reply's code; waits for it. */
static int
reply(struct rk_dispatch *d, uint32_t *number)
{
    struct pollfd done = {.fd = rk_pool_fd(d->pool), .events = POLLIN};
    struct rk_call *c;
    int err;

    for (rk_dispatch_step(d, rk_now_ns()); !d->outbox.first; rk_dispatch_step(d, rk_now_ns()))
        assert_int_equal(poll(&done, 1, 20000), 1);
    c = d->outbox.first;
    rk_calls_remove(&d->outbox, c);
    *number = c->reply.number;
    err = c->reply.err;
    rk_call_free(&c);
    return err;
}

static void
expect(struct rk_dispatch *d, uint32_t number, int err)
{
    uint32_t got;

    assert_int_equal(reply(d, &got), err);
    assert_int_equal(got, number);
}

static void
wait_begun(int n)
{
    while (atomic_load(&begun) < n)
        poll(NULL, 0, 1);
}

static void
start(struct rk_dispatch *d, const struct rk_module *m)
{
    uint32_t number;

    sem_init(&gate, 0, 0);
    begun = finis = inits = 0;
    init_result = RK_OK;
    order[0] = '\0';
    assert_int_equal(rk_dispatch_start(d, m), RK_OK);
    number = configure(d);
    expect(d, number, RK_OK);
}

static void
stop(struct rk_dispatch *d)
{
    rk_dispatch_end(d);
    sem_destroy(&gate);
}

static void
open_gate(int n)
{
    while (n--)
        sem_post(&gate);
}

/* ---- turns ---- */

static void
test_serial_source_in_order(void **state)
{
    struct rk_dispatch d;
    uint32_t n[3];

    (void)state;
    start(&d, &serial);
    for (int i = 0; i < 3; i++)
        n[i] = call(&d, RK_V_GET_NEW, (const char *[]){"a", "b", "c"}[i], LONG_MS);
    rk_dispatch_step(&d, rk_now_ns());
    wait_begun(1);
    assert_int_equal(d.running.n, 1);
    assert_int_equal(d.waiting.n, 2);
    open_gate(3);
    for (int i = 0; i < 3; i++)
        expect(&d, n[i], RK_E_EMPTY);
    assert_string_equal(order, "abc");
    stop(&d);
    assert_int_equal(finis, 1);
}

static void
test_parallel_source_fills_the_pool(void **state)
{
    struct rk_dispatch d;
    uint32_t number;

    (void)state;
    start(&d, &parallel);
    for (int i = 0; i < RK_WORKERS_MAX + 6; i++)
        (void)call(&d, RK_V_GET_NEW, "-", LONG_MS);
    rk_dispatch_step(&d, rk_now_ns());
    wait_begun(RK_WORKERS_MAX); /* all of them at once */
    assert_int_equal(d.running.n, RK_WORKERS_MAX);
    assert_int_equal(d.waiting.n, 6);
    open_gate(RK_WORKERS_MAX + 6);
    for (int i = 0; i < RK_WORKERS_MAX + 6; i++)
        assert_int_equal(reply(&d, &number), RK_E_EMPTY);
    assert_true(rk_dispatch_idle(&d));
    stop(&d);
}

static void
test_device_takes_one(void **state)
{
    struct rk_dispatch d;
    uint32_t first, second;

    (void)state;
    start(&d, &device);
    first = call(&d, RK_V_OBSERVE, "", LONG_MS);
    second = call(&d, RK_V_OBSERVE, "", LONG_MS);
    expect(&d, second, RK_E_BUSY);
    open_gate(1);
    expect(&d, first, RK_OK);
    second = call(&d, RK_V_OBSERVE, "", LONG_MS);
    open_gate(1);
    expect(&d, second, RK_OK);
    stop(&d);
}

/* ---- time ---- */

/* ATTACH has the plugin to itself but for WATCH: it waits for what runs, and what comes after it waits for it. */
static void
test_attach_alone(void **state)
{
    struct rk_dispatch d;
    uint32_t n[5];
    int fd;

    (void)state;
    strcpy(auth_key, "/tmp/rekey-dispatch-XXXXXX");
    fd = mkstemp(auth_key);
    assert_true(fd >= 0 && write(fd, "a-shared-key-of-two-sites\n", 26) == 26);
    close(fd);
    start(&d, &channel);
    assert_int_equal(unlink(auth_key), 0);
    n[0] = call(&d, RK_V_WATCH, "", LONG_MS);
    n[1] = call(&d, RK_V_PUBLISH, "", LONG_MS);
    rk_dispatch_step(&d, rk_now_ns());
    wait_begun(1);
    n[2] = call(&d, RK_V_ATTACH, "", LONG_MS);
    n[3] = call(&d, RK_V_ATTACH, "", LONG_MS);
    rk_dispatch_step(&d, rk_now_ns());
    assert_int_equal(d.running.n, 2);
    assert_int_equal(d.waiting.n, 2);
    open_gate(1);
    expect(&d, n[1], RK_OK);
    n[1] = call(&d, RK_V_PUBLISH, "", LONG_MS);
    rk_dispatch_step(&d, rk_now_ns());
    wait_begun(2);
    assert_int_equal(d.running.n, 2);
    assert_int_equal(d.waiting.n, 2);
    open_gate(1);
    expect(&d, n[2], RK_OK);
    open_gate(2);
    expect(&d, n[3], RK_OK);
    expect(&d, n[1], RK_OK);
    assert_string_equal(order, "paap");
    n[4] = call(&d, RK_V_ATTACH, "", 0); /* not told within its budget: and nothing waits for it any more */
    expect(&d, n[4], RK_E_TIMEOUT);
    n[1] = call(&d, RK_V_PUBLISH, "", LONG_MS);
    open_gate(1);
    expect(&d, n[1], RK_OK);
    number_frame(&d, RK_MSG_CANCEL, n[0]);
    expect(&d, n[0], RK_OK);
    stop(&d);
}

static void
test_budget_cancel_poison(void **state)
{
    struct rk_dispatch d;
    uint32_t n, behind;
    int64_t end_ns;

    (void)state;
    start(&d, &serial);
    n = call(&d, RK_V_GET_NEW, "a", LONG_MS);
    behind = call(&d, RK_V_GET_NEW, "b", 2 * LONG_MS);
    rk_dispatch_step(&d, rk_now_ns());
    wait_begun(1);
    end_ns = d.running.first->deadline_ns;
    assert_true(rk_dispatch_next_ns(&d) == end_ns);
    rk_dispatch_step(&d, end_ns - 1);
    assert_int_equal(d.running.first->state, RK_CALL_RUNNING);
    rk_dispatch_step(&d, end_ns);
    assert_int_equal(d.running.first->state, RK_CALL_CANCELED);
    assert_int_equal(rk_call_left_ms(d.running.first), 0);
    assert_true(rk_dispatch_next_ns(&d) == end_ns + RK_GRACE_MS * RK_NS_PER_MS);
    rk_dispatch_step(&d, end_ns + RK_GRACE_MS * RK_NS_PER_MS - 1);
    assert_int_equal(d.running.first->state, RK_CALL_CANCELED);
    rk_dispatch_step(&d, end_ns + RK_GRACE_MS * RK_NS_PER_MS);
    assert_int_equal(d.running.first->state, RK_CALL_POISONED);
    assert_true(rk_dispatch_next_ns(&d) == d.waiting.first->deadline_ns);
    /* what waits behind it times out, without having run */
    rk_dispatch_step(&d, d.waiting.first->deadline_ns);
    expect(&d, behind, RK_E_TIMEOUT);
    assert_string_equal(order, "a");
    /* and should it come back after all, its result is the truth still */
    open_gate(1);
    expect(&d, n, RK_E_EMPTY);
    assert_true(rk_dispatch_next_ns(&d) == RK_NEVER);
    stop(&d);
}

static void
test_cancel(void **state)
{
    struct rk_dispatch d;
    uint32_t n, behind;

    (void)state;
    start(&d, &serial);
    n = call(&d, RK_V_GET_NEW, "a", LONG_MS);
    behind = call(&d, RK_V_GET_NEW, "b", LONG_MS);
    rk_dispatch_step(&d, rk_now_ns());
    wait_begun(1);
    number_frame(&d, RK_MSG_CANCEL, 4711); /* long over */
    assert_int_equal(d.running.first->state, RK_CALL_RUNNING);
    number_frame(&d, RK_MSG_CANCEL, behind);
    expect(&d, behind, RK_E_CANCELED);
    number_frame(&d, RK_MSG_CANCEL, n);
    assert_int_equal(d.running.first->state, RK_CALL_CANCELED);
    open_gate(1);
    expect(&d, n, RK_E_EMPTY);
    assert_string_equal(order, "a");
    stop(&d);
}

/* A reload changes what hosts log as well; nonsense changes nothing. */
static void
test_log_level(void **state)
{
    static const uint32_t levels[] = {RK_LOG_DEBUG, RK_LOG_ERR, RK_LOG_WARNING};
    int before = rk_log_level();
    struct rk_dispatch d;

    (void)state;
    start(&d, &serial);
    for (size_t i = 0; i < 3; i++) {
        number_frame(&d, RK_MSG_LOG_LEVEL, levels[i]);
        assert_int_equal(rk_log_level(), levels[i]);
        number_frame(&d, RK_MSG_LOG_LEVEL, RK_LOG_DEBUG + 1);
        number_frame(&d, RK_MSG_LOG_LEVEL, UINT32_MAX);
        assert_int_equal(rk_log_level(), levels[i]);
    }
    rk_log_level_set(before);
    stop(&d);
}

/* ---- instances ---- */

static void
test_drop_with_calls(void **state)
{
    struct rk_dispatch d;
    uint32_t n, behind, again;

    (void)state;
    start(&d, &serial);
    n = call(&d, RK_V_GET_NEW, "a", LONG_MS);
    behind = call(&d, RK_V_GET_NEW, "b", LONG_MS);
    rk_dispatch_step(&d, rk_now_ns());
    wait_begun(1);
    number_frame(&d, RK_MSG_DROP, 1);
    expect(&d, behind, RK_E_CANCELED);
    assert_int_equal(d.running.first->state, RK_CALL_CANCELED);
    again = configure(&d); /* the number is free at once */
    expect(&d, again, RK_OK);
    assert_int_equal(finis, 0); /* a call is inside still */
    open_gate(1);
    expect(&d, n, RK_E_EMPTY);
    stop(&d);
    assert_int_equal(inits, 2);
    assert_int_equal(finis, 2);
}

static void
test_drop_unknown(void **state)
{
    struct rk_dispatch d;

    (void)state;
    start(&d, &serial);
    number_frame(&d, RK_MSG_DROP, 99);
    assert_int_equal(d.insts.n, 1);
    stop(&d);
}

static void
test_drop_while_made(void **state)
{
    struct rk_dispatch d;
    uint32_t n, early;

    (void)state;
    start(&d, &serial);
    number_frame(&d, RK_MSG_DROP, 1);
    init_result = RK_E_AGAIN;
    n = configure(&d);
    rk_dispatch_step(&d, rk_now_ns());
    early = call(&d, RK_V_GET_NEW, "a", LONG_MS);
    expect(&d, early, RK_E_BUSY);
    number_frame(&d, RK_MSG_DROP, 1);
    open_gate(1);
    expect(&d, n, RK_OK); /* it was made, and is ended now */
    stop(&d);
    assert_int_equal(finis, 2);
}

static void
test_init_fails(void **state)
{
    struct rk_dispatch d;
    uint32_t n;

    (void)state;
    start(&d, &serial);
    number_frame(&d, RK_MSG_DROP, 1);
    init_result = RK_E_UNSAFE;
    n = configure(&d);
    expect(&d, n, RK_E_UNSAFE);
    assert_int_equal(d.insts.n, 0);
    n = call(&d, RK_V_GET_NEW, "a", LONG_MS);
    expect(&d, n, RK_E_CONTRACT);
    stop(&d);
    assert_int_equal(inits, 2);
    assert_int_equal(finis, 1); /* not for the one that was not made */
}

static void
test_wrong_calls(void **state)
{
    struct rk_dispatch d;
    uint32_t n;

    (void)state;
    start(&d, &serial);
    n = configure(&d); /* instance 1 again */
    expect(&d, n, RK_E_CONTRACT);
    n = call(&d, RK_V_OBSERVE, "", LONG_MS);
    expect(&d, n, RK_E_CONTRACT);
    n = call(&d, RK_V_ATTACH, "", LONG_MS);
    expect(&d, n, RK_E_CONTRACT);
    n = call(&d, 77, "", LONG_MS);
    expect(&d, n, RK_E_CONTRACT);
    n = call(&d, RK_V_INIT, "", LONG_MS);
    expect(&d, n, RK_E_CONTRACT);
    n = call(&d, RK_V_GET_BY_ID, "", LONG_MS); /* no key ID in its item */
    expect(&d, n, RK_E_CONTRACT);
    n = call(&d, RK_V_SOURCE_STATUS, "", LONG_MS);
    expect(&d, n, RK_E_UNSUPPORTED);
    number_frame(&d, RK_MSG_CALL, 5); /* a call that says nothing: no instance 0 */
    expect(&d, 5, RK_E_CONTRACT);
    number_frame(&d, RK_MSG_ASK, 5); /* not for a host: left out */
    rk_dispatch_frame(&d, frame, 3, NULL, 0);
    assert_true(rk_dispatch_idle(&d) && d.outbox.n == 0);
    stop(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serial_source_in_order), cmocka_unit_test(test_parallel_source_fills_the_pool),
        cmocka_unit_test(test_device_takes_one), cmocka_unit_test(test_attach_alone),
        cmocka_unit_test(test_budget_cancel_poison),
        cmocka_unit_test(test_cancel),                 cmocka_unit_test(test_log_level),
        cmocka_unit_test(test_drop_with_calls),
        cmocka_unit_test(test_drop_unknown),           cmocka_unit_test(test_drop_while_made),
        cmocka_unit_test(test_init_fails),             cmocka_unit_test(test_wrong_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
