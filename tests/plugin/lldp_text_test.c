/* lldp_text_test.c - the channel "lldp" without any LLDP: descriptions, neighbours, what devices carry */
#include "fakehost.h"

#include "core/conf/opt.h"
#include "plugins/channel/lldp/neigh.h"
#include "plugins/channel/lldp/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TAG "0123456789abcdef0123456789abcdef"
#define UUID "550e8400-e29b-41d4-a716-446655440000"
#define R(seq, says, key) "rk1|site-ab|M|1|" seq "|" says "|" key "||c=B||" TAG
#define X100 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

extern const struct rk_plugin lldp_LTX_rk_plugin;

/* ---- descriptions ---- */

static struct lldp_bytes
bytes(const char *text)
{
    return (struct lldp_bytes){text, strlen(text)};
}

static void
test_own_text(void **state)
{
    static const struct {
        const char *description;
        size_t own;
    } cases[] = {
        {"", 0}, {"to site B", 9}, {"to site B  ", 9}, {"rk1|x", 0}, {"to B rk1|x", 4}, {"to B  rk1|x  ", 4},
        {"rk1|x to B", 10}, {"to Brk1|x", 9}, {"to B|{\"k\": 1}", 4}, {"|{}", 0}, {"a|{b}|{\"k\": 1}", 5},
        {"to B|{\"k\": 1", 12}, {"a rk1|x|{}", 1}, {"a rk12|x", 1},
        {"a rk|x", 6}, {"a rk1 x", 7}, {"network1|east", 13}, {"a|{b}|c", 7},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (lldp_own_len(bytes(cases[i].description)) != cases[i].own)
            fail_msg("%s: %zu", cases[i].description, lldp_own_len(bytes(cases[i].description)));
}

static void
test_join(void **state)
{
    char text[LLDP_TEXT_MAX + 1];

    (void)state;
    assert_int_equal(lldp_join(bytes("to B"), "rk1|x", text), 4);
    assert_string_equal(text, "to B rk1|x");
    assert_int_equal(lldp_join(bytes("to B"), "|{}", text), 4);
    assert_string_equal(text, "to B|{}");
    lldp_join(bytes(""), "rk1|x", text);
    assert_string_equal(text, "rk1|x");
    lldp_join(bytes("to B "), "", text);
    assert_string_equal(text, "to B");
    lldp_join(bytes("b\xc3\xa9\x01"), "rk1|x", text);
    assert_string_equal(text, "b??? rk1|x");
    assert_int_equal(lldp_join(bytes(X100 X100 X100), "rk1|x", text), 249);
    assert_int_equal(strlen(text), 255);
    assert_string_equal(text + 249, " rk1|x");
    assert_int_equal(lldp_join(bytes(X100), X100 X100 X100, text), 0); /* the record is never cut */
    assert_int_equal(strlen(text), 255);
}

static void
finds(enum lldp_format format, const char *description, enum lldp_found want, const char *text)
{
    char out[RK_RECORD_MAX + 1];
    enum lldp_found found = lldp_find(format, "key_id", bytes(description), out);

    if (found != want || !strstr(out, text) || (want == LLDP_RECORD && strcmp(out, text) != 0))
        fail_msg("%s: %d %s", description, found, out);
}

static void
test_find_record(void **state)
{
    (void)state;
    finds(LLDP_REKEY, "to B " R("1", "O", UUID), LLDP_RECORD, R("1", "O", UUID));
    finds(LLDP_REKEY, R("1", "O", UUID) "  ", LLDP_RECORD, R("1", "O", UUID));
    finds(LLDP_REKEY, R("1", "O", UUID) " to B", LLDP_NOTHING, "");
    finds(LLDP_REKEY, "to B", LLDP_NOTHING, "");
    finds(LLDP_REKEY, "", LLDP_NOTHING, "");
    finds(LLDP_REKEY, "to B rk2|site-ab", LLDP_NOTHING, ""); /* of a version that is not known */
    finds(LLDP_REKEY, "to B|{\"key_id\": \"x\"}", LLDP_NOTHING, "");
    finds(LLDP_REKEY, "to B rk1|\xff", LLDP_FLAW, "not printable");
    finds(LLDP_REKEY, X100 X100 X100 " rk1|x", LLDP_FLAW, "longer than 255");
}

static void
test_find_key(void **state)
{
    (void)state;
    finds(LLDP_OFFBOX, "to B|{\"key_id\": \"" UUID "\"}", LLDP_RECORD, "=" UUID);
    finds(LLDP_OFFBOX, "|{\"a\":{\"b\":[1]},\"key_id\":\"550E8400-E29B-41D4-A716-446655440000\"}", LLDP_RECORD,
          "=" UUID);
    finds(LLDP_OFFBOX, "to B", LLDP_NOTHING, "");
    finds(LLDP_OFFBOX, R("1", "O", UUID), LLDP_NOTHING, "");
    finds(LLDP_OFFBOX, "|{}", LLDP_NOTHING, "");
    finds(LLDP_OFFBOX, "|{\"key\": 7}", LLDP_FLAW, "offbox-key");
    finds(LLDP_OFFBOX, "|{\"key_id\": 7}", LLDP_FLAW, "key ID");
    finds(LLDP_OFFBOX, "|{\"key_id\": \"\"}", LLDP_FLAW, "key ID");
    finds(LLDP_OFFBOX, "|{\"key_id\": \"a b\"}", LLDP_FLAW, "key ID");
    finds(LLDP_OFFBOX, "|{\"key_id\": \"a\\u0000b\"}", LLDP_FLAW, "JSON");
    finds(LLDP_OFFBOX, "|{\"key_id\": \"a/b\"}", LLDP_FLAW, "key ID");
    finds(LLDP_OFFBOX, "|{\"key_id\": \"a\", \"key_id\": \"b\"}", LLDP_FLAW, "JSON");
    finds(LLDP_OFFBOX, "|{key_id}", LLDP_FLAW, "JSON");
    finds(LLDP_OFFBOX, X100 X100 X100 "|{\"key_id\": \"x\"}", LLDP_FLAW, "longer than 255");
}

static const char *
ours(enum lldp_format format, const char *record, char *text)
{
    const char *flaw = lldp_ours(format, "key_id", record, text);

    return flaw ? flaw : text;
}

static void
test_ours(void **state)
{
    char text[LLDP_TEXT_MAX + 1];

    (void)state;
    assert_string_equal(ours(LLDP_REKEY, R("1", "O", UUID), text), R("1", "O", UUID));
    for (const char *says = "OTANW"; *says; says++) {
        char record[200];

        snprintf(record, sizeof record, "rk1|site-ab|M|1|1|%c|" UUID "||c=B||" TAG, *says);
        assert_string_equal(ours(LLDP_OFFBOX, record, text), "|{\"key_id\": \"" UUID "\"}");
    }
    assert_string_equal(ours(LLDP_OFFBOX, R("0", "I", ""), text), "");
    assert_string_equal(ours(LLDP_OFFBOX, R("3", "L", ""), text), "");
    assert_non_null(strstr(ours(LLDP_OFFBOX, R("3", "O", "a\"b"), text), "cannot carry"));
    assert_non_null(strstr(ours(LLDP_REKEY, "rk2|x", text), "not a record"));
    assert_non_null(strstr(ours(LLDP_REKEY, "rk1|a b", text), "blanks"));
    assert_non_null(strstr(ours(LLDP_REKEY, "rk1|" X100 X100 X100, text), "longer"));
}

/* ---- neighbours ---- */

static struct neighbours *
table(const char *const *pins, enum lldp_format format)
{
    struct neigh_rules rules = {"site-ab", "eth1", pins ? pins[0] : "", pins ? pins[1] : "", format, "key_id"};
    struct neighbours *t = neigh_new(&rules, 0);

    assert_non_null(t);
    return t;
}

static struct rk_neighbour
who(const char *chassis, const char *description)
{
    return (struct rk_neighbour){.size = sizeof(struct rk_neighbour), .iface = "eth1", .chassis = chassis, .port = "p1",
                                 .system = "r", .description = description};
}

static void
hear(struct neighbours *t, const char *chassis, const char *description, int64_t now)
{
    struct rk_neighbour seen = who(chassis, description);

    neigh_heard(t, &seen, now);
}

/* What is handed on now: each post as "CODE TEXT" with a newline. */
static const char *
news(struct neighbours *t, int64_t now)
{
    static char all[64 * 300];
    struct rk_post posts[64];
    size_t n = neigh_news(t, now, posts, 64), len = 0;

    all[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(posts[i].link, "site-ab");
        len += (size_t)snprintf(all + len, sizeof all - len, "%d %s\n", posts[i].err, posts[i].record);
    }
    return all;
}

static void
test_news_once(void **state)
{
    struct neighbours *t = table(NULL, LLDP_REKEY);

    (void)state;
    assert_string_equal(news(t, 0), "");
    hear(t, "a", "x " R("1", "O", "k"), 0);
    assert_int_equal(neigh_wait_ms(t, 0), 0);
    assert_string_equal(news(t, 0), "0 " R("1", "O", "k") "\n");
    assert_int_equal(neigh_wait_ms(t, 0), -1);
    hear(t, "a", "y " R("1", "O", "k"), 10);
    assert_string_equal(news(t, 10), ""); /* the operator's text changed, the record did not */
    hear(t, "a", R("1", "A", "k"), 20);
    assert_string_equal(news(t, 20), "0 " R("1", "A", "k") "\n");
    neigh_begin(t);
    hear(t, "a", R("1", "A", "k"), 30);
    neigh_end(t, 30);
    assert_string_equal(news(t, 30), "0 " R("1", "A", "k") "\n"); /* a reading says it again */
    hear(t, "a", NULL, 40);
    assert_string_equal(news(t, 40), "");
    assert_int_equal(neigh_count(t, false), 1);
    assert_int_equal(neigh_count(t, true), 0);
    neigh_free(t);
}

static void
test_two_neighbours(void **state)
{
    struct neighbours *t = table(NULL, LLDP_REKEY);
    struct rk_neighbour b = who("b", NULL);
    const char *said;

    (void)state;
    hear(t, "a", R("1", "O", "k"), 0);
    hear(t, "b", R("9", "O", "forged"), 0);
    said = news(t, 0);
    assert_non_null(strstr(said, "-1206 2 neighbours on eth1: chassis a port p1 (r) and chassis b port p1 (r);"));
    assert_non_null(strstr(said, "0 " R("1", "O", "k") "\n"));
    assert_non_null(strstr(said, "0 " R("9", "O", "forged") "\n")); /* its tag is for the host to look at */
    assert_string_equal(news(t, NEIGH_TELL_MS - 1), "");
    assert_non_null(strstr(news(t, NEIGH_TELL_MS), "2 neighbours"));
    neigh_gone(t, &b, NEIGH_TELL_MS);
    assert_string_equal(news(t, 2 * NEIGH_TELL_MS), "");
    neigh_free(t);
}

static void
test_key_ids_of_two(void **state)
{
    static const char *const pins[] = {"A", ""};
    struct neighbours *t = table(NULL, LLDP_OFFBOX), *pinned = table(pins, LLDP_OFFBOX);

    (void)state;
    for (int i = 0; i < 2; i++) {
        hear(i ? pinned : t, "a", "|{\"key_id\": \"one\"}", 0);
        hear(i ? pinned : t, "b", "|{\"key_id\": \"two\"}", 0);
    }
    assert_null(strstr(news(t, 0), "\n0 ")); /* nothing tells which one is the peer's */
    assert_non_null(strstr(news(pinned, 0), "\n0 =one\n"));
    assert_null(strstr(news(pinned, 0), "=two"));
    neigh_free(t);
    neigh_free(pinned);
}

static void
test_pins(void **state)
{
    static const char *const pins[] = {"02:BB:00:00:00:01", "P1"};
    struct neighbours *t = table(pins, LLDP_REKEY);

    (void)state;
    hear(t, "02:bb:00:00:00:01", R("1", "O", "k"), 0); /* MAC addresses are compared without case */
    assert_string_equal(news(t, 0), "0 " R("1", "O", "k") "\n");
    hear(t, "02:bb:00:00:00:02", R("2", "O", "k"), 0);
    assert_non_null(strstr(news(t, 0), "-1206 wrong neighbour on eth1: chassis 02:bb:00:00:00:02 port p1 (r), and"));
    hear(t, "02:bb:00:00:00:01", R("3", "O", "k"), 0);
    assert_string_equal(news(t, 0), "0 " R("3", "O", "k") "\n");
    neigh_free(t);
}

static void
test_record_of_another_link(void **state)
{
    struct neighbours *t = table(NULL, LLDP_REKEY);
    const char *said;

    (void)state;
    hear(t, "a", "rk1|site-ac|M|1|1|O|k||c=B||" TAG, 0);
    said = news(t, 0);
    assert_non_null(strstr(said, "the neighbour on eth1, chassis a port p1 (r), shows the record of link site-ac"));
    assert_non_null(strstr(said, "\n0 rk1|site-ac|")); /* the host refuses and counts it */
    neigh_free(t);
}

static void
test_gone(void **state)
{
    struct neighbours *t = table(NULL, LLDP_REKEY);

    (void)state;
    assert_string_equal(news(t, 10 * NEIGH_GONE_MS), ""); /* nobody was ever there: that is NO-PEER */
    hear(t, "a", "x", 0);
    neigh_begin(t);
    neigh_end(t, 1000);
    assert_string_equal(news(t, 1000 + NEIGH_GONE_MS - 1), ""); /* an lldpd that is restarted is back by then */
    assert_non_null(strstr(news(t, 1000 + NEIGH_GONE_MS), "-1206 no neighbour is heard on eth1 any more"));
    neigh_free(t);
}

/* Under one name: the newest is what counts, the rest is counted. */
static void
test_flood(void **state)
{
    struct neighbours *t = table(NULL, LLDP_REKEY);
    size_t handed = 0, told = 0;
    char text[200];

    (void)state;
    for (int64_t now = 0; now < 10000; now++) {
        struct rk_post posts[64];
        size_t n;

        snprintf(text, sizeof text, "rk1|site-ab|M|1|%d|O|k||||" TAG, (int)now);
        hear(t, "a", text, now);
        n = neigh_news(t, now, posts, 64);
        for (size_t i = 0; i < n; i++) {
            handed += posts[i].err == RK_OK;
            told += posts[i].err == RK_E_CONFLICT && strstr(posts[i].record, "changes its text too fast");
        }
    }
    assert_in_range(handed, 40, NEIGH_BURST + 10000 / NEIGH_EVERY_MS + 1);
    assert_int_equal(told, 1);
    assert_true(neigh_overwritten(t) > 9000);
    hear(t, "a", R("1", "O", "k"), 10000);
    assert_string_equal(news(t, 10000 + NEIGH_EVERY_MS), "0 " R("1", "O", "k") "\n");
    neigh_free(t);
}

/* Under many names: memory and posts are bounded, and the pinned neighbour keeps its place. */
static void
test_crowd(void **state)
{
    static const char *const pins[] = {"a", ""};
    struct neighbours *t = table(pins, LLDP_REKEY);
    char name[20];
    size_t handed = 0;

    (void)state;
    hear(t, "a", R("1", "O", "k"), 0);
    assert_string_equal(news(t, 0), "0 " R("1", "O", "k") "\n");
    for (int i = 0; i < 5000; i++) {
        struct rk_post posts[64];

        snprintf(name, sizeof name, "evil-%d", i);
        hear(t, name, R("2", "O", "k"), i);
        handed += neigh_news(t, i, posts, 64);
    }
    assert_int_equal(neigh_count(t, false), NEIGH_MAX);
    assert_int_equal(handed, 1); /* that there is a stranger */
    hear(t, "a", R("1", "A", "k"), 5000);
    assert_string_equal(news(t, 5000), "0 " R("1", "A", "k") "\n");
    neigh_free(t);
}

static void
test_names_are_made_safe(void **state)
{
    static const char *const pins[] = {"a", ""};
    struct neighbours *t = table(pins, LLDP_REKEY);
    struct rk_neighbour seen = who("evil\n\"\x01", "x");

    (void)state;
    seen.port = X100 X100;
    seen.system = X100 X100 X100;
    neigh_heard(t, &seen, 0);
    seen.chassis = NULL;
    seen.port = NULL;
    seen.system = NULL;
    neigh_heard(t, &seen, 0);
    assert_non_null(strstr(news(t, 0), "chassis evil?'? port xxxx"));
    neigh_free(t);
}

/* ---- for devices ---- */

static int
init(const char *const *pairs, void **inst, struct rk_call *call)
{
    struct rk_conf conf = {pairs, lldp_LTX_rk_plugin.opts};

    fake_call(call, 10000);
    return lldp_LTX_rk_plugin.init(&fake_host, call, &conf, inst);
}

static void
test_carried(void **state)
{
    static const char *const none[] = {NULL};
    const struct rk_channel_ops *ops = lldp_LTX_rk_plugin.ops;
    struct rk_attach link = {.size = sizeof link, .on = 1, .link = "site-ab", .peer_sae = "B", .iface = "et-0/0/1",
                             .peer_chassis = "", .peer_port = "", .carried = 1};
    struct rk_post post = {.link = "site-ab", .record = R("1", "O", "k")}, posts[4];
    struct rk_neighbour seen[2] = {who("a", "to B " R("1", "T", "k")), who("a", R("1", "A", "k"))};
    char text[RK_RECORD_MAX + 1];
    struct rk_call call;
    void *inst;
    size_t n;

    (void)state;
    assert_int_equal(init(none, &inst, &call), RK_OK);
    assert_int_equal(ops->encode(inst, &call, &post, text), RK_E_CONFIG);
    assert_int_equal(ops->decode(inst, &call, "site-ab", seen, 1, posts, 4, &n), RK_E_CONFIG);
    assert_int_equal(ops->attach(inst, &call, &link), RK_OK);
    assert_int_equal(ops->encode(inst, &call, &post, text), RK_OK);
    assert_string_equal(text, R("1", "O", "k"));
    assert_int_equal(ops->publish(inst, &call, &post, 1), RK_E_CONFIG);
    for (int i = 0; i < 2; i++) { /* each look says what is there, also when it is the same */
        assert_int_equal(ops->decode(inst, &call, "site-ab", seen, 1, posts, 4, &n), RK_OK);
        assert_int_equal(n, 1);
        assert_string_equal(posts[0].record, R("1", "T", "k"));
    }
    assert_int_equal(ops->decode(inst, &call, "site-ab", seen + 1, 1, posts, 4, &n), RK_OK);
    assert_string_equal(posts[0].record, R("1", "A", "k"));
    assert_int_equal(ops->decode(inst, &call, "site-ab", NULL, 0, posts, 4, &n), RK_OK);
    assert_int_equal(n, 0);
    lldp_LTX_rk_plugin.fini(inst);
    fake_call_end(&call);
}

/* The old script's form: the key ID that was shown last stays when a record names none. */
static void
test_carried_key_id(void **state)
{
    static const char *const offbox[] = {"format", "offbox", NULL};
    const struct rk_channel_ops *ops = lldp_LTX_rk_plugin.ops;
    struct rk_attach link = {.size = sizeof link, .on = 1, .link = "site-ab", .peer_sae = "B", .iface = "ge-0/0/1",
                             .peer_chassis = "", .peer_port = "", .carried = 1};
    static const struct {
        const char *record, *text;
    } steps[] = {{R("0", "I", ""), "|{}"}, {R("1", "O", "k1"), "|{\"key_id\": \"k1\"}"},
                 {R("1", "L", ""), "|{\"key_id\": \"k1\"}"}, {R("2", "W", "k2"), "|{\"key_id\": \"k2\"}"}};
    struct rk_post post = {.link = "site-ab"}, posts[4];
    struct rk_neighbour seen = who("a", "to A|{\"key_id\": \"" UUID "\"}");
    char text[RK_RECORD_MAX + 1];
    struct rk_call call;
    void *inst;
    size_t n;

    (void)state;
    assert_int_equal(init(offbox, &inst, &call), RK_OK);
    assert_int_equal(ops->attach(inst, &call, &link), RK_OK);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        strcpy(post.record, steps[i].record);
        assert_int_equal(ops->encode(inst, &call, &post, text), RK_OK);
        assert_string_equal(text, steps[i].text);
    }
    assert_int_equal(ops->decode(inst, &call, "site-ab", &seen, 1, posts, 4, &n), RK_OK);
    assert_int_equal(n, 1);
    assert_string_equal(posts[0].record, "=" UUID);
    assert_true(lldp_LTX_rk_plugin.caps & RK_CAP_BARE);
    lldp_LTX_rk_plugin.fini(inst);
    fake_call_end(&call);
}

static void
test_attach(void **state)
{
    static const char *const none[] = {NULL}, *const tlv[] = {"carry", "tlv", NULL};
    static const char *const bad[] = {"", "et-0/0/1", "macsec0@", "an-interface-that-is-too-long"};
    const struct rk_channel_ops *ops = lldp_LTX_rk_plugin.ops;
    struct rk_attach link = {.size = sizeof link, .on = 1, .link = "site-ab", .peer_sae = "B", .iface = "macsec0@eth1",
                             .peer_chassis = "", .peer_port = ""};
    struct rk_call call;
    void *inst;

    (void)state;
    assert_int_equal(init(none, &inst, &call), RK_OK);
    assert_int_equal(ops->attach(inst, &call, &link), RK_OK);
    assert_int_equal(ops->attach(inst, &call, &link), RK_OK);
    link.link = "site-ac";
    assert_int_equal(ops->attach(inst, &call, &link), RK_E_CONFLICT);
    assert_non_null(strstr(call.text, "eth1 is that of link site-ab"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        link.iface = bad[i];
        assert_int_equal(ops->attach(inst, &call, &link), RK_E_CONFIG);
    }
    link.link = "../x";
    assert_int_equal(ops->attach(inst, &call, &link), RK_E_CONTRACT);
    link.size = 8;
    assert_int_equal(ops->attach(inst, &call, &link), RK_E_CONTRACT);
    lldp_LTX_rk_plugin.fini(inst);
    fake_call_end(&call);
    assert_int_equal(init(tlv, &inst, &call), RK_OK);
    link.size = sizeof link;
    link.link = "site-ab";
    link.carried = 1;
    assert_int_equal(ops->attach(inst, &call, &link), RK_E_CONFIG);
    lldp_LTX_rk_plugin.fini(inst);
    fake_call_end(&call);
}

static void
test_options(void **state)
{
    static const char *const bad[][5] = {
        {"carry", "tlv", "format", "offbox", NULL}, {"offbox-key", "a\"b", NULL}, {"tlv-oui", "02-72-6x", NULL},
        {"tlv-oui", "02.72.6b", NULL},
    };
    char why[200] = "";
    struct rk_call call;
    void *inst;

    (void)state;
    if (rk_opts_sane(lldp_LTX_rk_plugin.opts, why, sizeof why) != RK_OK)
        fail_msg("%s", why);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(init(bad[i], &inst, &call), RK_E_CONFIG);
        fake_call_end(&call);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_text),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_find_record),
        cmocka_unit_test(test_find_key),
        cmocka_unit_test(test_ours),
        cmocka_unit_test(test_news_once),
        cmocka_unit_test(test_two_neighbours),
        cmocka_unit_test(test_key_ids_of_two),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_record_of_another_link),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_names_are_made_safe),
        cmocka_unit_test(test_carried),
        cmocka_unit_test(test_carried_key_id),
        cmocka_unit_test(test_attach),
        cmocka_unit_test(test_options),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
