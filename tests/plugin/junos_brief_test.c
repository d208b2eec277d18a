/* junos_brief_test.c - when a summary of MKA is enough, and that it never stands for what only a whole look tells */
#include "junos_readrig.h"

#include "plugins/common/junos/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OLD "aa00000000000000000000000000000000000000000000000000000000000001"
#define NEW "bb00000000000000000000000000000000000000000000000000000000000002"
#define BACK "cc00000000000000000000000000000000000000000000000000000000000003"
#define MI_OLD "90D712CB26ED7437F00DB225"
#define MI_NEW "1F51BB9778BCB24D17F4BE68"
#define MI_BACK "D0AC8A5F4D5A39B5DD9F649B"
#define SAK MI_OLD "/1"
#define NO_SAK "000000000000000000000000/0"

#define REPLY(rows) "<rpc-reply><mka-session-information>" rows "</mka-session-information></rpc-reply>"
#define PART(mi, ckn, type, status) \
    "<member-identifier>" mi "</member-identifier><cak-type>" type "</cak-type><cak-status>" status "</cak-status>" \
    "<mn-tx>7</mn-tx><mn-rx>6</mn-rx><cak-name>" ckn "</cak-name>"
#define SHORT(mi, ckn, type, status) "<interface-name>ge-0/0/1</interface-name>" PART(mi, ckn, type, status)
#define WHOLE(state, mi, ckn, type, status, sak) \
    "<interface-name>ge-0/0/1</interface-name><interface-state>Secured - " state "</interface-state>" \
    PART(mi, ckn, type, status) "<latest-sak-key-identifier>" sak "</latest-sak-key-identifier>"
#define OTHER_PORT \
    "<interface-name>ge-0/0/2</interface-name><interface-state>Secured - Primary</interface-state>" \
    PART(MI_NEW, NEW, "primary", "live") "<latest-sak-key-identifier>" SAK "</latest-sak-key-identifier>"

/* All is well: the old key secures the interface, another one is there to fall back to. */
#define WELL \
    REPLY(WHOLE("Primary", MI_OLD, OLD, "primary", "live", SAK) \
          WHOLE("Primary", MI_BACK, BACK, "fallback", "live", NO_SAK) OTHER_PORT)
#define WELL_SHORT REPLY(SHORT(MI_OLD, OLD, "primary", "live") SHORT(MI_BACK, BACK, "fallback", "live"))
#define BEGUN_SHORT REPLY(SHORT(MI_NEW, NEW, "primary", "in-progress") SHORT(MI_OLD, OLD, "preceding", "active"))
#define LIVE_SHORT REPLY(SHORT(MI_NEW, NEW, "primary", "live") SHORT(MI_OLD, OLD, "fallback", "live"))
#define LIVE \
    REPLY(WHOLE("Primary", MI_NEW, NEW, "primary", "live", SAK) \
          WHOLE("Primary", MI_OLD, OLD, "fallback", "live", NO_SAK))

#define BRIEF (JN_WANT_MKA | JN_WANT_BRIEF)
enum { SUMMARY, DETAIL, TEXT, RULES };

static struct jn_device d;
static struct rk_call call;
static struct rig_rule rule[RULES];
static struct jn_view *v;
static const char *const iface[] = {"ge-0/0/1"};

static void
look(unsigned want, const char *summary, const char *whole)
{
    jn_view_free(&fake_host, &v);
    rule[SUMMARY] = (struct rig_rule){.part = "<summary/>", .reply = summary};
    rule[DETAIL] = (struct rig_rule){.part = "<detail/>", .reply = whole};
    rule[TEXT] = (struct rig_rule){.part = "mka sessions summary", .reply = NULL};
    rig_rules(rule, RULES);
    assert_int_equal(jn_view_get_for(&d, &call, want, iface, 1, &v), RK_OK);
}

static void
asked(unsigned summaries, unsigned wholes)
{
    assert_int_equal(rule[SUMMARY].asked, summaries);
    assert_int_equal(rule[DETAIL].asked, wholes);
}

static int
setup(void **state)
{
    (void)state;
    memset(&d, 0, sizeof d);
    d.host = &fake_host;
    d.opt.host = (char *)"r1";
    fake_call(&call, 60000);
    look(BRIEF, NULL, WELL);
    asked(0, 1);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    jn_view_free(&fake_host, &v);
    jn_forget(&d);
    fake_call_end(&call);
    return 0;
}

static const struct jn_mka *
part(const char *ckn)
{
    for (size_t i = 0; i < v->n_mka; i++)
        if (strcmp(v->mka[i].ckn, ckn) == 0)
            return &v->mka[i];
    fail_msg("not there: %.8s", ckn);
    return NULL;
}

static void
test_well(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        look(BRIEF, WELL_SHORT, WELL);
        asked(1, 0);
        assert_int_equal(v->n_mka, 2);
        assert_true(part(OLD)->state == JN_MKA_PRIMARY && part(OLD)->has_sak);
        assert_string_equal(part(OLD)->sak, SAK);
        assert_true(part(BACK)->status == JN_CAK_LIVE && !part(BACK)->has_sak && part(BACK)->state == JN_MKA_PRIMARY);
    }
}

/* Right after a commit: the old key secures the interface still, the new one is nothing yet. */
static void
test_begun(void **state)
{
    (void)state;
    look(BRIEF, BEGUN_SHORT, WELL);
    asked(1, 0);
    assert_true(part(OLD)->state == JN_MKA_PRECEDING && part(OLD)->type == JN_CAK_PRECEDING && part(OLD)->has_sak);
    assert_true(part(NEW)->status == JN_CAK_IN_PROGRESS && !part(NEW)->has_sak);
    look(BRIEF, BEGUN_SHORT, WELL);
    asked(1, 0);
    d.shown.awaits_ms -= 1600; /* by now it may be live: a summary would be in vain */
    look(BRIEF, LIVE_SHORT, LIVE);
    asked(0, 1);
    assert_true(part(NEW)->has_sak && part(NEW)->status == JN_CAK_LIVE);
    look(BRIEF, LIVE_SHORT, LIVE);
    asked(1, 0);
    assert_true(part(NEW)->has_sak && part(NEW)->state == JN_MKA_PRIMARY);
}

/* What a summary shows of it confirms no key: its SAK is looked for in the same call. */
static void
test_becomes_live(void **state)
{
    (void)state;
    look(BRIEF, BEGUN_SHORT, WELL);
    look(BRIEF, LIVE_SHORT,
         REPLY(WHOLE("Preceding", MI_NEW, NEW, "primary", "live", NO_SAK)
               WHOLE("Preceding", MI_OLD, OLD, "preceding", "active", SAK)));
    asked(1, 1);
    assert_false(part(NEW)->has_sak);
    assert_int_equal(part(NEW)->state, JN_MKA_PRECEDING);
    look(BRIEF, LIVE_SHORT, LIVE); /* it was not well: all of it again */
    asked(0, 1);
    assert_true(part(NEW)->has_sak);
}

static void
test_not_the_same(void **state)
{
    static const char *const others[] = {
        REPLY(SHORT(MI_OLD, OLD, "primary", "in-progress") SHORT(MI_BACK, BACK, "fallback", "live")), /* peer is gone */
        REPLY(SHORT(MI_BACK, BACK, "fallback", "live")),
        REPLY(SHORT(MI_NEW, OLD, "primary", "live")),     /* it was started anew */
        REPLY(SHORT(MI_OLD, NEW, "primary", "live")),
        REPLY(SHORT(MI_OLD, OLD, "primary", "live") SHORT(MI_NEW, NEW, "fallback", "live")), /* someone has come */
        REPLY(SHORT(MI_OLD, OLD, "fallback", "live") SHORT(MI_BACK, BACK, "primary", "live")), /* they were swapped */
        REPLY(SHORT(MI_OLD, OLD, "new-type", "live")),
        REPLY(""), "<rpc-reply><other/></rpc-reply>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        jn_forget(&d);
        look(BRIEF, NULL, WELL);
        look(BRIEF, others[i], LIVE);
        asked(1, 1);
        assert_true(part(NEW)->has_sak);
        assert_false(d.shown.useless);
    }
}

static void
test_only_when_asked(void **state)
{
    static const char *const two[] = {"ge-0/0/1", "ge-0/0/2"};

    (void)state;
    look(JN_WANT_MKA, WELL_SHORT, WELL);
    asked(0, 1);
    jn_view_free(&fake_host, &v);
    assert_int_equal(jn_view_get(&d, &call, BRIEF, &v), RK_OK); /* all interfaces */
    asked(0, 2);
    jn_view_free(&fake_host, &v);
    assert_int_equal(jn_view_get_for(&d, &call, BRIEF, two, 2, &v), RK_OK); /* one of them is not in the summary */
    asked(1, 3);
    assert_int_equal(v->n_mka, 3);
}

static void
test_for_a_while(void **state)
{
    (void)state;
    d.shown.whole_ms -= 9000;
    look(BRIEF, WELL_SHORT, WELL);
    asked(0, 1);
    look(BRIEF, WELL_SHORT, WELL);
    asked(1, 0);
    jn_forget(&d);
    look(BRIEF, WELL_SHORT, WELL);
    asked(0, 1);
}

/* Nothing stands for a whole look that found something else than one key with a SAK. */
static void
test_not_well(void **state)
{
    static const char *const wholes[] = {
        REPLY(WHOLE("Primary", MI_OLD, OLD, "primary", "live", NO_SAK)),
        REPLY(WHOLE("Fallback", MI_BACK, BACK, "fallback", "live", SAK)),
        REPLY(WHOLE("Preceding", MI_OLD, OLD, "preceding", "active", SAK)),
        REPLY(WHOLE("Suspended", MI_OLD, OLD, "primary", "live", SAK)),
        REPLY(WHOLE("Primary", MI_OLD, OLD, "primary", "in-progress", SAK)),
        REPLY(WHOLE("Primary", "", OLD, "primary", "live", SAK)),
        REPLY(WHOLE("Primary", MI_OLD, OLD, "primary", "live", SAK)
              WHOLE("Primary", MI_NEW, NEW, "primary", "live", SAK)),
        REPLY(OTHER_PORT),
    };

    (void)state;
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
        jn_forget(&d);
        look(BRIEF, NULL, wholes[i]);
        look(BRIEF, WELL_SHORT, wholes[i]);
        asked(0, 1);
    }
}

/* A router whose summary prints less than the whole is not asked for it for ever. */
static void
test_useless(void **state)
{
    static const char *const summaries[] = {
        REPLY(SHORT(MI_OLD, "aa000000...001", "primary", "live") SHORT(MI_BACK, BACK, "fallback", "live")),
        REPLY(SHORT("", OLD, "primary", "live") SHORT("", BACK, "fallback", "live")),
        NULL,
    };

    (void)state;
    for (size_t i = 0; i < sizeof summaries / sizeof *summaries; i++) {
        d.shown.useless = false;
        look(BRIEF, summaries[i], WELL);
        asked(1, 1);
        assert_true(part(OLD)->has_sak);
        look(BRIEF, summaries[i], WELL);
        asked(0, 1);
        jn_brief_forget(&d);
        look(BRIEF, summaries[i], WELL);
        look(BRIEF, summaries[i], WELL);
        asked(0, 1); /* until the session ends */
    }
}

/* A look that follows another at once is answered by that one: of the same interfaces, and nothing was edited since. */
static void
test_at_once(void **state)
{
    static const char *const two[] = {"ge-0/0/1", "ge-0/0/2"};
    const unsigned want = BRIEF | JN_WANT_RECENT;

    (void)state;
    d.shown.last_ms = jn_now_ms();
    look(want, NULL, NULL);
    asked(0, 0);
    assert_int_equal(v->n_mka, 2);
    assert_true(part(OLD)->has_sak && part(OLD)->state == JN_MKA_PRIMARY);
    d.shown.last_ms -= 51;
    look(want, BEGUN_SHORT, WELL);
    asked(1, 0);
    d.shown.last_ms = jn_now_ms();
    look(want, NULL, NULL);
    assert_true(part(OLD)->state == JN_MKA_PRECEDING && part(NEW)->status == JN_CAK_IN_PROGRESS);
    d.shown.last_ms = jn_now_ms();
    look(BRIEF, BEGUN_SHORT, WELL); /* who does not want it does not get it */
    asked(1, 0);
    look(JN_WANT_MKA | JN_WANT_RECENT, BEGUN_SHORT, WELL);
    asked(0, 1);
    d.shown.last_ms = 0; /* an edit was begun */
    look(want, WELL_SHORT, WELL);
    asked(1, 0);
    jn_view_free(&fake_host, &v);
    d.shown.last_ms = jn_now_ms();
    assert_int_equal(jn_view_get_for(&d, &call, want, two, 2, &v), RK_OK);
    assert_int_equal(v->n_mka, 3);
    d.shown.last_ms = jn_now_ms();
    d.shown.useless = false; /* there was nothing of the other one in this summary */
    look(want, WELL_SHORT, WELL);
    asked(1, 0);
    assert_int_equal(v->n_mka, 2);
}

static void
test_lost(void **state)
{
    (void)state;
    jn_view_free(&fake_host, &v);
    rule[SUMMARY] = (struct rig_rule){.part = "<summary/>", .err = RK_E_UNKNOWN};
    assert_int_equal(jn_view_get_for(&d, &call, BRIEF, iface, 1, &v), RK_E_UNKNOWN);
    assert_null(v);
    assert_false(d.shown.useless);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_well, setup, teardown),
        cmocka_unit_test_setup_teardown(test_begun, setup, teardown),
        cmocka_unit_test_setup_teardown(test_becomes_live, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_when_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_for_a_while, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_well, setup, teardown),
        cmocka_unit_test_setup_teardown(test_useless, setup, teardown),
        cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
