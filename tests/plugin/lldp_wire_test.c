/* lldp_wire_test.c - the channel "lldp" with two real lldpd: what one end publishes the other sees, and what happens
 * when an lldpd is restarted, or somebody else writes on the wire */
#include "fakehost.h"
#include "lldp_rig.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <cmocka.h>

#define TAG "0123456789abcdef0123456789abcdef"
#define R(seq, says) "rk1|site-ab|M|1|" seq "|" says "|550e8400-e29b-41d4-a716-446655440000||c=B||" TAG
#define BUDGET_MS 20000

extern const struct rk_plugin lldp_LTX_rk_plugin;

static struct lldp_rig rig;
static const char *why_not;
static void *ends[2];
static const struct lldp_rig_frame goodbye = {{0x02, 0xbb, 0, 0, 0, 1}, "evil\"port", "evil", 0, NULL, 0, 0};

static const struct rk_channel_ops *
ops(void)
{
    return lldp_LTX_rk_plugin.ops;
}

static int
attach(void *inst, int end, const char *chassis, const char *port)
{
    char iface[40];
    struct rk_call call;
    int err;

    snprintf(iface, sizeof iface, "macsec0@%s", rig.port[end]);
    fake_call(&call, BUDGET_MS);
    err = ops()->attach(inst, &call, &(struct rk_attach){.size = sizeof(struct rk_attach), .on = 1, .link = "site-ab",
                                                         .peer_sae = end ? "A" : "B", .iface = iface,
                                                         .peer_chassis = chassis, .peer_port = port});
    if (err)
        print_message("%s\n", call.text);
    fake_call_end(&call);
    return err;
}

static void *
start(int end, const char *const *more)
{
    const char *pairs[16] = {"socket", rig.socket[end], "refresh", "60s"};
    struct rk_conf conf = {pairs, lldp_LTX_rk_plugin.opts};
    struct rk_call call;
    void *inst = NULL;

    for (size_t i = 0; more && more[i]; i++)
        pairs[4 + i] = more[i];
    fake_call(&call, BUDGET_MS);
    if (lldp_LTX_rk_plugin.init(&fake_host, &call, &conf, &inst) != RK_OK)
        fail_msg("%s", call.text);
    fake_call_end(&call);
    assert_int_equal(attach(inst, end, "", ""), RK_OK);
    return inst;
}

static int
try_publish(int end, const char *record)
{
    struct rk_post post = {.link = "site-ab", .err = RK_E_CONTRACT};
    struct rk_call call;
    int err;

    snprintf(post.record, sizeof post.record, "%s", record);
    fake_call(&call, BUDGET_MS);
    err = ops()->publish(ends[end], &call, &post, 1);
    if (err)
        print_message("publish: %s\n", call.text);
    assert_int_equal(err, post.err);
    fake_call_end(&call);
    return err;
}

static int
watch(int end, int budget_ms, struct rk_post *post, size_t *n)
{
    struct rk_call call;
    int err;

    *n = 99;
    fake_call(&call, budget_ms);
    err = ops()->watch(ends[end], &call, post, 1, n);
    if (err)
        print_message("watch: %s\n", call.text);
    fake_call_end(&call);
    return err;
}

/* The record comes, whatever else comes before it. */
static void
expect(int end, const char *record)
{
    struct rk_post post;
    size_t n;

    for (int i = 0; i < 200; i++) {
        int err = watch(end, BUDGET_MS, &post, &n);

        if (err == RK_OK && n == 0)
            break;
        if (err == RK_OK && post.err == RK_OK && strcmp(post.record, record) == 0) {
            assert_string_equal(post.link, "site-ab");
            return;
        }
        if (err == RK_OK)
            print_message("other: %d %s\n", post.err, post.record);
    }
    fail_msg("never came: %s", record);
}

/* Words with this in them come, with this code. */
static void
expect_words(int end, int code, const char *words)
{
    struct rk_post post;
    size_t n;

    for (int i = 0; i < 200; i++) {
        if (watch(end, BUDGET_MS, &post, &n) != RK_OK || n == 0)
            break;
        if (post.err == code && strstr(post.record, words) && strchr(post.record, ' '))
            return;
    }
    fail_msg("never told: %s", words);
}

static int
setup(void **state)
{
    (void)state;
    if (why_not)
        return 0;
    for (int i = 0; i < 2; i++)
        if (!ends[i])
            ends[i] = start(i, NULL);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    if (!why_not)
        (void)lldp_rig_frame(&rig, 0, &goodbye, 1);
    for (int i = 0; i < 2; i++)
        if (ends[i]) {
            lldp_LTX_rk_plugin.fini(ends[i]);
            ends[i] = NULL;
        }
    return 0;
}

#define NEEDS_RIG()                                                                                                  \
    do {                                                                                                             \
        (void)state;                                                                                                 \
        if (why_not) {                                                                                               \
            print_message("%s\n", why_not);                                                                          \
            skip();                                                                                                  \
        }                                                                                                            \
    } while (0)

static void
test_both_ways(void **state)
{
    char text[300];

    NEEDS_RIG();
    assert_int_equal(try_publish(0, R("1", "O")), RK_OK);
    expect(1, R("1", "O"));
    assert_int_equal(try_publish(1, R("1", "T")), RK_OK);
    expect(0, R("1", "T"));
    assert_int_equal(try_publish(0, R("1", "A")), RK_OK);
    expect(1, R("1", "A"));
    assert_string_equal(lldp_rig_shows(&rig, 0, text), "rkva " R("1", "A"));
}

static void
test_text_of_the_operator_stays(void **state)
{
    char text[300], own[301], line[400];

    NEEDS_RIG();
    assert_true(lldp_rig_cli(&rig, 0, "configure ports rkva lldp portdescription 'to site B, patch 7'"));
    assert_int_equal(try_publish(0, R("2", "O")), RK_OK);
    assert_string_equal(lldp_rig_shows(&rig, 0, text), "to site B, patch 7 " R("2", "O"));
    expect(1, R("2", "O"));
    assert_int_equal(try_publish(0, R("2", "A")), RK_OK);
    assert_string_equal(lldp_rig_shows(&rig, 0, text), "to site B, patch 7 " R("2", "A"));
    memset(own, 'x', 250);
    own[250] = '\0';
    snprintf(line, sizeof line, "configure ports rkva lldp portdescription '%s'", own);
    assert_true(lldp_rig_cli(&rig, 0, line));
    assert_int_equal(try_publish(0, R("3", "O")), RK_OK);
    assert_int_equal(strlen(lldp_rig_shows(&rig, 0, text)), 255);
    expect(1, R("3", "O"));
    assert_int_equal(try_publish(0, "rk1|site-ab|M|1|4|I||||||" TAG), RK_OK);
    lldp_rig_shows(&rig, 0, text);
    assert_memory_equal(text, own, 190); /* it was cut in what was shown, not in what is known of it */
    assert_int_equal(strlen(text), 255);
}

static void
test_link_that_goes_leaves_the_port_as_it_was(void **state)
{
    struct rk_attach off = {.size = sizeof off, .on = 0, .link = "site-ab"};
    struct rk_call call;
    char text[300];

    NEEDS_RIG();
    assert_true(lldp_rig_cli(&rig, 0, "configure ports rkva lldp portdescription 'patch 8'"));
    assert_int_equal(try_publish(0, R("5", "O")), RK_OK);
    fake_call(&call, BUDGET_MS);
    assert_int_equal(ops()->attach(ends[0], &call, &off), RK_OK);
    fake_call_end(&call);
    assert_string_equal(lldp_rig_shows(&rig, 0, text), "patch 8");
    assert_int_equal(try_publish(0, R("5", "O")), RK_E_CONFIG); /* it has no port now */
}

static atomic_bool enough;

static void *
watch_on(void *arg)
{
    struct rk_post post;
    size_t n;

    (void)arg;
    while (!enough)
        (void)watch(0, 300, &post, &n);
    return NULL;
}

/* What was published meanwhile is sent to an lldpd that is new there, and not in half a minute. */
static void
test_restart_of_the_watched_lldpd(void **state)
{
    pthread_t thread;

    NEEDS_RIG();
    enough = false;
    assert_int_equal(try_publish(0, R("6", "O")), RK_OK);
    expect(1, R("6", "O"));
    assert_int_equal(pthread_create(&thread, NULL, watch_on, NULL), 0);
    lldp_rig_kill(&rig, 1);
    assert_int_equal(try_publish(0, R("6", "A")), RK_OK);
    assert_true(lldp_rig_lldpd(&rig, 1));
    expect(1, R("6", "A"));
    enough = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Who published does so once; the watch of its end shows it again. */
static void
test_restart_of_the_own_lldpd(void **state)
{
    pthread_t thread;

    NEEDS_RIG();
    assert_int_equal(try_publish(0, R("7", "O")), RK_OK);
    enough = false;
    expect(1, R("7", "O"));
    lldp_rig_kill(&rig, 0);
    assert_int_equal(try_publish(0, R("7", "A")), RK_E_UNREACHABLE);
    assert_int_equal(pthread_create(&thread, NULL, watch_on, NULL), 0);
    assert_true(lldp_rig_lldpd(&rig, 0));
    expect(1, R("7", "A"));
    enough = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(try_publish(0, R("8", "O")), RK_OK);
    expect(1, R("8", "O"));
}

/* Nothing new is published: the watch shows what an lldpd that was restarted has forgotten. */
static void
test_lldpd_that_forgot(void **state)
{
    struct rk_post post;
    char text[300];
    size_t n;

    NEEDS_RIG();
    assert_int_equal(try_publish(0, R("18", "A")), RK_OK);
    (void)watch(0, 300, &post, &n);
    lldp_rig_kill(&rig, 0);
    assert_true(lldp_rig_lldpd(&rig, 0));
    for (int i = 0; i < 20 && !strstr(lldp_rig_shows(&rig, 0, text), R("18", "A")); i++)
        (void)watch(0, 300, &post, &n);
    assert_non_null(strstr(text, R("18", "A")));
}

static void
test_tlv(void **state)
{
    const char *const tlv[] = {"carry", "tlv", NULL}, *const other[] = {"carry", "tlv", "tlv-subtype", "2", NULL};
    struct rk_post post;
    char text[300];
    size_t n;

    NEEDS_RIG();
    teardown(NULL);
    assert_true(lldp_rig_cli(&rig, 0, "configure ports rkva lldp portdescription 'patch 9'"));
    ends[0] = start(0, tlv);
    ends[1] = start(1, tlv);
    assert_int_equal(try_publish(0, R("9", "O")), RK_OK);
    expect(1, R("9", "O"));
    assert_int_equal(try_publish(0, R("9", "A")), RK_OK);
    expect(1, R("9", "A"));
    assert_string_equal(lldp_rig_shows(&rig, 0, text), "patch 9");
    lldp_LTX_rk_plugin.fini(ends[1]);
    ends[1] = start(1, other);
    assert_int_equal(watch(1, 300, &post, &n), RK_OK);
    assert_int_equal(n, 0);
}

static void
test_key_id_alone(void **state)
{
    const char *const offbox[] = {"format", "offbox", "offbox-key", "ID", NULL};
    char text[300];

    NEEDS_RIG();
    teardown(NULL);
    assert_true(lldp_rig_cli(&rig, 0, "configure ports rkva lldp portdescription 'to B rk1|old'"));
    ends[0] = start(0, offbox);
    ends[1] = start(1, offbox);
    assert_int_equal(try_publish(0, R("10", "O")), RK_OK);
    assert_string_equal(lldp_rig_shows(&rig, 0, text), "to B|{\"ID\": \"550e8400-e29b-41d4-a716-446655440000\"}");
    expect(1, "=550e8400-e29b-41d4-a716-446655440000");
}

static void
test_no_lldpd(void **state)
{
    struct rk_post post;
    size_t n;

    NEEDS_RIG();
    lldp_rig_kill(&rig, 1);
    assert_int_equal(watch(1, 5000, &post, &n), RK_E_UNREACHABLE);
    assert_int_equal(try_publish(1, R("11", "O")), RK_E_UNREACHABLE);
    assert_true(lldp_rig_lldpd(&rig, 1));
    (void)watch(1, 1500, &post, &n); /* it was kept, and is shown when lldpd is there */
    expect(0, R("11", "O"));
}

static void
test_cancel(void **state)
{
    struct rk_call call;
    struct rk_post post;
    size_t n;

    NEEDS_RIG();
    while (watch(1, 300, &post, &n) == RK_OK && n)
        ;
    fake_call(&call, BUDGET_MS);
    fake_cancel(&call);
    assert_int_equal(ops()->watch(ends[1], &call, &post, 1, &n), RK_E_CANCELED);
    fake_call_end(&call);
}

/* ---- others on the wire ---- */

static void
forge(const struct lldp_rig_frame *f, const char *text, unsigned times)
{
    struct lldp_rig_frame frame = *f;

    frame.description = text;
    frame.len = strlen(text);
    assert_true(lldp_rig_frame(&rig, 0, &frame, times));
}

static const struct lldp_rig_frame stranger = {{0x02, 0xbb, 0, 0, 0, 1}, "evil\"port", "evil\nsystem", 120, NULL, 0,
                                               0};

static void
test_second_neighbour(void **state)
{
    NEEDS_RIG();
    assert_int_equal(try_publish(0, R("12", "O")), RK_OK);
    expect(1, R("12", "O"));
    forge(&stranger, "forged rk1|site-ab|M|1|99|O|x||||" TAG, 1);
    expect_words(1, RK_E_CONFLICT, "2 neighbours on rkvb");
    forge(&stranger, "forged rk1|site-ab|M|1|98|O|x||||" TAG, 1);
    expect(1, "rk1|site-ab|M|1|98|O|x||||" TAG); /* its tag is for the host to look at */
    assert_int_equal(try_publish(0, R("12", "A")), RK_OK);
    expect(1, R("12", "A"));
}

static void
test_pins(void **state)
{
    struct rk_post post;
    size_t n;

    NEEDS_RIG();
    assert_int_equal(attach(ends[1], 1, "02:bb:00:00:00:01", ""), RK_OK);
    assert_int_equal(try_publish(0, R("13", "O")), RK_OK);
    expect_words(1, RK_E_CONFLICT, "wrong neighbour on rkvb");
    assert_true(lldp_rig_frame(&rig, 0, &goodbye, 1));
    while (watch(1, 300, &post, &n) == RK_OK && n)
        assert_int_not_equal(post.err, RK_OK); /* what it says is not handed on */
    forge(&stranger, R("13", "A"), 1);
    expect(1, R("13", "A"));
}

/* Oversized texts and malformed frames: what lldpd takes of them is no record. */
static void
test_bad_frames(void **state)
{
    char text[512];
    struct rk_post post;
    size_t n;

    NEEDS_RIG();
    for (size_t len = 256; len <= 511; len += 51) {
        struct lldp_rig_frame f = stranger;

        memset(text, 'y', sizeof text);
        memcpy(text + len - strlen(" " R("14", "O")), " " R("14", "O"), strlen(" " R("14", "O")));
        f.description = text;
        f.len = len;
        assert_true(lldp_rig_frame(&rig, 0, &f, 1));
    }
    expect_words(1, RK_OK, "longer than 255");
    forge(&stranger, "rk1|\001\377", 1);
    forge(&stranger, "rk1|" TAG "\200", 1);
    expect_words(1, RK_OK, "not printable");
    while (watch(1, 300, &post, &n) == RK_OK && n)
        assert_null(strstr(post.record, R("14", "O")));
    assert_int_equal(try_publish(0, R("15", "O")), RK_OK);
    expect(1, R("15", "O"));
}

static void *
flood(void *arg)
{
    struct lldp_rig_frame f = stranger;

    f.description = "rk1|site-ab|M|1|0000|O|x||||" TAG;
    f.len = strlen(f.description);
    f.count_at = strlen("rk1|site-ab|M|1|");
    *(bool *)arg = lldp_rig_frame(&rig, 0, &f, 1000);
    return NULL;
}

/* A thousand frames in a second, each with another text: few are handed on, it is told of, and the next true one
 * comes. */
static void
test_flood(void **state)
{
    struct rk_post post;
    size_t n, handed = 0;
    bool sent = false, told = false;
    pthread_t thread;

    NEEDS_RIG();
    assert_int_equal(pthread_create(&thread, NULL, flood, &sent), 0);
    for (int i = 0; i < 1000 && watch(1, 700, &post, &n) == RK_OK && n; i++) {
        handed++;
        told |= post.err == RK_E_CONFLICT;
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(sent);
    print_message("%zu handed on\n", handed);
    assert_true(handed < 100);
    assert_true(told);
    assert_int_equal(try_publish(0, R("16", "O")), RK_OK);
    expect(1, R("16", "O"));
}

static void
test_steps(void **state)
{
    struct rk_call call;

    NEEDS_RIG();
    assert_int_equal(try_publish(0, R("17", "O")), RK_OK);
    expect(1, R("17", "O"));
    fake_log_clear();
    fake_call(&call, BUDGET_MS);
    (void)ops()->test(ends[1], &call);
    print_message("%s", fake_steps());
    assert_non_null(strstr(fake_steps(), "lldpd 0"));
    assert_non_null(strstr(fake_steps(), "record 0"));
    fake_call_end(&call);
}

static int
rig_up(void **state)
{
    (void)state;
    why_not = lldp_rig_start(&rig);
    return 0;
}

static int
rig_down(void **state)
{
    (void)state;
    if (!why_not)
        lldp_rig_end(&rig);
    return 0;
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_both_ways),
        WITH(test_text_of_the_operator_stays),
        WITH(test_link_that_goes_leaves_the_port_as_it_was),
        WITH(test_restart_of_the_watched_lldpd),
        WITH(test_restart_of_the_own_lldpd),
        WITH(test_lldpd_that_forgot),
        WITH(test_tlv),
        WITH(test_key_id_alone),
        WITH(test_no_lldpd),
        WITH(test_cancel),
        WITH(test_steps),
        WITH(test_second_neighbour),
        WITH(test_pins),
        WITH(test_bad_frames),
        WITH(test_flood),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
