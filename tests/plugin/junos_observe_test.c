/* junos_observe_test.c - what is told of a router's keys, for each state of MKA; and the requests for it. */
#include "junos_readrig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SAK "1F51BB9778BCB24D17F4BE68/2"
#define HELD (RK_HELD_RX | RK_HELD_TX)
#define USED (RK_SENDING | RK_PEER_USES)
#define NEW 0 /* key-new is the primary one of the configuration, key-old the fallback one */
#define OLD 1
#define ALIEN 2

struct row {
    const char *iface;
    enum jn_mka_state state;
    int key; /* NEW, OLD, ALIEN */
    enum jn_cak_type type;
    enum jn_cak_status status;
    const char *sak;
    bool cut; /* the CKN is printed short */
};
struct scene {
    const char *name;
    struct row row[3];
    uint32_t held_new, held_old, other; /* other: RK_IF_OTHER or 0 */
};

static const struct scene scenes[] = {
    {"primary", {{"ge-0/0/1", JN_MKA_PRIMARY, NEW, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false}}, HELD | USED, RK_HELD_RX,
     0},
    {"unit 0", {{"ge-0/0/1.0", JN_MKA_PRIMARY, NEW, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false}}, HELD | USED, RK_HELD_RX,
     0},
    {"two primaries, the new one not live",
     {{"ge-0/0/1", JN_MKA_PRIMARY, NEW, JN_CAK_PRIMARY, JN_CAK_IN_PROGRESS, NULL, false},
      {"ge-0/0/1", JN_MKA_PRIMARY, OLD, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false}}, HELD, RK_HELD_RX | USED, 0},
    {"preceding",
     {{"ge-0/0/1", JN_MKA_PRECEDING, NEW, JN_CAK_PRIMARY, JN_CAK_IN_PROGRESS, NULL, false},
      {"ge-0/0/1", JN_MKA_PRECEDING, OLD, JN_CAK_PRECEDING, JN_CAK_LIVE, SAK, false}}, HELD, RK_HELD_RX | USED, 0},
    {"fallback",
     {{"ge-0/0/1", JN_MKA_FALLBACK, NEW, JN_CAK_PRIMARY, JN_CAK_IN_PROGRESS, NULL, false},
      {"ge-0/0/1", JN_MKA_FALLBACK, OLD, JN_CAK_FALLBACK, JN_CAK_LIVE, SAK, false}}, HELD, RK_HELD_RX | USED, 0},
    {"live, secured by another type",
     {{"ge-0/0/1", JN_MKA_FALLBACK, NEW, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false}}, HELD | RK_PEER_USES, RK_HELD_RX, 0},
    {"suspended", {{"ge-0/0/1", JN_MKA_SUSPENDED, NEW, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false}}, HELD | RK_PEER_USES,
     RK_HELD_RX, 0},
    {"unsecured", {{"ge-0/0/1", JN_MKA_UNSECURED, NEW, JN_CAK_PRIMARY, JN_CAK_IN_PROGRESS, NULL, false}}, HELD,
     RK_HELD_RX, 0},
    {"short CKN", {{"ge-0/0/1", JN_MKA_PRIMARY, NEW, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, true}}, HELD, RK_HELD_RX,
     0},
    {"no SAK", {{"ge-0/0/1", JN_MKA_PRIMARY, NEW, JN_CAK_PRIMARY, JN_CAK_LIVE, NULL, false}}, HELD | RK_PEER_USES,
     RK_HELD_RX, 0},
    {"state not told", {{"ge-0/0/1", JN_MKA_UNKNOWN, NEW, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false}},
     HELD | RK_PEER_USES, RK_HELD_RX, 0},
    {"two primary ones with a SAK",
     {{"ge-0/0/1", JN_MKA_PRIMARY, OLD, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false},
      {"ge-0/0/1", JN_MKA_PRIMARY, NEW, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false}}, HELD | USED,
     RK_HELD_RX | RK_PEER_USES, 0},
    {"someone else's on its way out",
     {{"ge-0/0/1", JN_MKA_PRIMARY, ALIEN, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false},
      {"ge-0/0/1", JN_MKA_PRIMARY, NEW, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false}}, HELD | USED, RK_HELD_RX, 0},
    {"someone else's, ours not live yet",
     {{"ge-0/0/1", JN_MKA_PRIMARY, ALIEN, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false},
      {"ge-0/0/1", JN_MKA_PRIMARY, NEW, JN_CAK_PRIMARY, JN_CAK_IN_PROGRESS, NULL, false}}, HELD, RK_HELD_RX,
     RK_IF_OTHER},
    {"preceding, called active",
     {{"ge-0/0/1", JN_MKA_PRECEDING, OLD, JN_CAK_PRECEDING, JN_CAK_ACTIVE, SAK, false}}, HELD, RK_HELD_RX | RK_SENDING,
     0},
    {"primary, called active",
     {{"ge-0/0/1", JN_MKA_PRIMARY, NEW, JN_CAK_PRIMARY, JN_CAK_ACTIVE, SAK, false}}, HELD, RK_HELD_RX, 0},
    {"preceding that has left, primary in use",
     {{"ge-0/0/1", JN_MKA_PRIMARY, NEW, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false},
      {"ge-0/0/1", JN_MKA_PRIMARY, OLD, JN_CAK_PRECEDING, JN_CAK_LIVE, SAK, false}}, HELD | USED,
     RK_HELD_RX | RK_PEER_USES, 0},
    {"preceding is someone else's",
     {{"ge-0/0/1", JN_MKA_PRECEDING, NEW, JN_CAK_PRIMARY, JN_CAK_IN_PROGRESS, NULL, false},
      {"ge-0/0/1", JN_MKA_PRECEDING, ALIEN, JN_CAK_PRECEDING, JN_CAK_LIVE, SAK, false}}, HELD, RK_HELD_RX, RK_IF_OTHER},
    {"unsecured, live", {{"ge-0/0/1", JN_MKA_UNSECURED, NEW, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false}},
     HELD | RK_PEER_USES, RK_HELD_RX, 0},
    {"suspended, preceding",
     {{"ge-0/0/1", JN_MKA_SUSPENDED, NEW, JN_CAK_PRIMARY, JN_CAK_IN_PROGRESS, NULL, false},
      {"ge-0/0/1", JN_MKA_SUSPENDED, OLD, JN_CAK_PRECEDING, JN_CAK_LIVE, SAK, false}}, HELD,
     RK_HELD_RX | RK_PEER_USES, 0},
    {"another interface", {{"ge-0/0/11", JN_MKA_PRIMARY, NEW, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false}}, HELD,
     RK_HELD_RX, 0},
    {"someone else's key", {{"ge-0/0/1", JN_MKA_PRIMARY, ALIEN, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false}}, HELD,
     RK_HELD_RX, RK_IF_OTHER},
};

static struct jn_device device = {.host = &fake_host};

static void
fill_row(struct jn_mka *m, const struct row *r)
{
    static const char *const ids[] = {"key-new", "key-old", "key-alien"};

    snprintf(m->iface, sizeof m->iface, "%s", r->iface);
    assert_int_equal(jn_ckn(&device, ids[r->key], m->ckn), RK_OK);
    if (r->cut)
        m->ckn[32] = '\0';
    m->state = r->state;
    m->type = r->type;
    m->status = r->status;
    m->has_sak = r->sak != NULL;
    snprintf(m->sak, sizeof m->sak, "%s", r->sak ? r->sak : "");
}

struct set {
    struct jn_ca ca;
    struct jn_port port;
    struct jn_conf conf;
    struct jn_link_state link;
    struct jn_mka mka[3];
    struct jn_view view;
};

static void
setup(struct set *s)
{
    memset(s, 0, sizeof *s);
    snprintf(s->ca.name, sizeof s->ca.name, "CA1");
    snprintf(s->ca.mode, sizeof s->ca.mode, "static-cak");
    assert_int_equal(jn_ckn(&device, "key-new", s->ca.psk.ckn), RK_OK);
    assert_int_equal(jn_ckn(&device, "key-old", s->ca.fallback.ckn), RK_OK);
    snprintf(s->port.name, sizeof s->port.name, "ge-0/0/1");
    snprintf(s->port.ca, sizeof s->port.ca, "CA1");
    s->conf = (struct jn_conf){.ca = &s->ca, .port = &s->port, .n_ca = 1, .n_port = 1};
    s->link = (struct jn_link_state){.iface = "ge-0/0/1", .admin_up = true, .oper_up = true};
    s->view = (struct jn_view){.conf = &s->conf, .mka = s->mka, .links = &s->link, .n_links = 1};
}

static struct rk_dev_seen
observe(const struct set *s)
{
    struct rk_dev_seen seen = {.link = "l1", .iface = "ge-0/0/1", .key_ids = {"key-new", "key-old"}};

    jn_observe_one(&device, &s->view, 1785220980000, &seen);
    return seen;
}

static void
test_scenes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
        struct rk_dev_seen seen;
        struct set s;

        setup(&s);
        for (size_t k = 0; k < 3 && scenes[i].row[k].iface; k++)
            fill_row(&s.mka[s.view.n_mka++], &scenes[i].row[k]);
        seen = observe(&s);
        if (seen.held[0] != scenes[i].held_new || seen.held[1] != scenes[i].held_old ||
            (seen.state & RK_IF_OTHER) != scenes[i].other || seen.foreign != 0 ||
            RK_IF_CLASS_OF(seen.state) != RK_CLASS_B)
            fail_msg("%s: new %x old %x state %x foreign %u", scenes[i].name, seen.held[0], seen.held[1], seen.state,
                     seen.foreign);
        assert_true(seen.state & RK_IF_PROTECTED && seen.state & RK_IF_PRESENT && seen.state & RK_IF_UP);
    }
}

static void
test_protection(void **state)
{
    struct rk_dev_seen seen;
    struct set s;

    (void)state;
    setup(&s);
    s.ca.should_secure = true;
    seen = observe(&s);
    assert_false(seen.state & RK_IF_PROTECTED);
    assert_non_null(strstr(seen.why, "should-secure"));
    setup(&s);
    s.ca.no_encryption = true;
    assert_false(observe(&s).state & RK_IF_PROTECTED);
    setup(&s);
    s.port.inactive = true;
    seen = observe(&s);
    assert_true(seen.held[0] == 0 && !(seen.state & RK_IF_PROTECTED) && strstr(seen.why, "prepare"));
    setup(&s);
    s.ca.psk.inactive = true;
    seen = observe(&s);
    assert_true(seen.held[0] == 0 && seen.held[1] == RK_HELD_RX);
    setup(&s);
    s.link.oper_up = false;
    assert_false(observe(&s).state & RK_IF_UP);
    setup(&s);
    assert_int_equal(jn_ckn(&device, "key-alien", s.ca.psk.ckn), RK_OK);
    seen = observe(&s);
    assert_true(seen.foreign == 1 && seen.held[0] == 0);
}

/* Class C: the key before is held as long as MKA shows it as the preceding one, and no longer. */
static void
test_preceding_alone(void **state)
{
    static const struct row before = {"ge-0/0/1", JN_MKA_PRECEDING, OLD, JN_CAK_PRECEDING, JN_CAK_LIVE, SAK, false};
    static const struct row primary = {"ge-0/0/1", JN_MKA_PRIMARY, OLD, JN_CAK_PRIMARY, JN_CAK_LIVE, SAK, false};
    struct rk_dev_seen seen;
    struct set s;

    (void)state;
    setup(&s);
    memset(&s.ca.fallback, 0, sizeof s.ca.fallback);
    seen = observe(&s);
    assert_true(seen.held[0] == HELD && seen.held[1] == 0 && RK_IF_CLASS_OF(seen.state) == RK_CLASS_C);
    fill_row(&s.mka[0], &before);
    s.view.n_mka = 1;
    seen = observe(&s);
    assert_true(seen.held[0] == HELD && seen.held[1] == (RK_HELD_RX | USED) && !(seen.state & RK_IF_OTHER));
    fill_row(&s.mka[0], &primary); /* right after the commit: it is in use, and in no place of the configuration */
    seen = observe(&s);
    assert_true(seen.held[0] == HELD && seen.held[1] == (RK_HELD_RX | USED) && !(seen.state & RK_IF_OTHER));
}

/* Class D: the newest that has begun by the router's clock is the one in the transmit slot. */
static void
test_chain(void **state)
{
    struct jn_key keys[2] = {{.slot = 0, .start_s = 1785220000}, {.slot = 1, .start_s = 1785220981}};
    struct jn_chain chain = {.name = "KC1", .key = keys, .n = 2};
    struct rk_dev_seen seen;
    struct set s;

    (void)state;
    setup(&s);
    assert_int_equal(jn_ckn(&device, "key-old", keys[0].ckn), RK_OK);
    assert_int_equal(jn_ckn(&device, "key-new", keys[1].ckn), RK_OK);
    memset(&s.ca.psk, 0, sizeof s.ca.psk);
    snprintf(s.ca.chain, sizeof s.ca.chain, "KC1");
    s.conf.chain = &chain;
    s.conf.n_chain = 1;
    device.opt.keying = JN_CHAIN;
    seen = observe(&s);
    assert_int_equal(seen.held[0], RK_HELD_RX);
    assert_int_equal(seen.held[1], HELD);
    assert_string_equal(seen.facts, "clk=0");
    s.view.clock_offset_ms = 1500;
    seen = observe(&s);
    assert_int_equal(seen.held[0], HELD);
    assert_int_equal(seen.held[1], RK_HELD_RX);
    assert_string_equal(seen.facts, "clk=1500");
    assert_int_equal(RK_IF_CLASS_OF(seen.state), RK_CLASS_D);
    device.opt.ckn = JN_CKN_OFFBOX; /* its peer does not answer */
    assert_int_equal(jn_told_class(&device, &s.ca), RK_CLASS_E);
    device.opt.ckn = JN_CKN_DIGEST;
    assert_int_equal(jn_told_class(&device, &s.ca), RK_CLASS_D);
    keys[1].bad_start = true;
    assert_int_equal(observe(&s).held[1], HELD);
    device.opt.keying = JN_PSK;
}

/* ---- requests ---- */

#define CONF "<rpc-reply><configuration><security><macsec/></security></configuration></rpc-reply>"
#define MKA(row) "<rpc-reply><mka-session-information>" row "</mka-session-information></rpc-reply>"
#define ROW "<interface-name>ge-0/0/1</interface-name><interface-state>Secured - Primary</interface-state>" \
            "<cak-name>AA</cak-name><latest-sak-key-identifier>1F51BB9778BCB24D17F4BE68/2</latest-sak-key-identifier>"

static void
test_view(void **state)
{
    struct rig_rule rules[] = {
        {.part = "<get-configuration", .reply = CONF},
        {.part = "<summary/>", .reply = MKA("<interface-name>ge-0/0/1</interface-name><cak-name>AA</cak-name>"
                                            "<cak-type>primary</cak-type><cak-status>live</cak-status>")},
        {.part = "<detail/>"},
        {.part = "<get-mka-session-information/>", .reply = MKA(ROW)},
        {.part = "get-macsec"}, {.part = "show security macsec"},
        {.part = "get-interface-information", .reply = "<rpc-reply><interface-information><physical-interface>"
                 "<name>ge-0/0/1</name><oper-status>up</oper-status></physical-interface></interface-information>"
                 "</rpc-reply>"},
        {.part = "get-system-uptime", .err = RK_E_TIMEOUT},
    };
    struct jn_device d = {.host = &fake_host};
    struct rk_dev_seen seen[3] = {{.iface = "ge-0/0/1"}, {.iface = "ge-0/0/2"}, {.iface = "ge-0/0/3"}};
    struct jn_view *v;
    struct rk_call c;

    (void)state;
    fake_call(&c, 1000);
    rig_rules(rules, sizeof rules / sizeof rules[0]);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(jn_view_get(&d, &c, JN_WANT_CONF | JN_WANT_MKA | JN_WANT_MACSEC, &v), RK_OK);
        assert_int_equal(v->n_mka, 1);
        assert_true(v->mka[0].status == JN_CAK_LIVE && v->mka[0].has_sak && v->n_macsec == 0);
        jn_view_free(&fake_host, &v);
    }
    assert_int_equal(rules[2].asked, 1); /* what is not known is asked for once */
    assert_true(rig_secret);
    rules[6].asked = 0;
    assert_int_equal(jn_observe(&d, &c, seen, 3), RK_OK);
    assert_int_equal(rules[6].asked, 1);
    assert_int_equal(jn_observe(&d, &c, seen, 2), RK_OK);
    assert_int_equal(rules[6].asked, 3);
    assert_int_equal(jn_view_get(&d, &c, JN_WANT_CLOCK, &v), RK_E_TIMEOUT);
    assert_null(v);
    fake_call_end(&c);
    jn_forget(&d);
}

#define CONNECTION(encryption) \
    "<rpc-reply><macsec-connection-information><macsec-interface-common-information><interface-name>ge-0/0/1" \
    "</interface-name><connectivity-association-name>CA1</connectivity-association-name><encryption>" encryption \
    "</encryption></macsec-interface-common-information><outbound-secure-channel><outbound-secure-association>" \
    "<association-number-status>inuse</association-number-status></outbound-secure-association>" \
    "</outbound-secure-channel></macsec-connection-information></rpc-reply>"
#define BOUND \
    "<rpc-reply><configuration><security><macsec><connectivity-association><name>CA1</name>" \
    "</connectivity-association><interfaces><name>ge-0/0/1</name><connectivity-association>CA1" \
    "</connectivity-association></interfaces></macsec>" \
    "</security></configuration></rpc-reply>"

/* What costs a request and cannot have changed is not asked for: carriers while a live peer is heard on each interface,
 * and for nine seconds the connections, once all of them were seen to encrypt. */
static void
test_asks_no_more_than_needed(void **state)
{
    struct rig_rule rules[] = {
        {.part = "<get-configuration", .reply = BOUND},
        {.part = "get-mka", .reply = MKA(ROW "<cak-type>primary</cak-type><cak-status>live</cak-status>")},
        {.part = "get-macsec", .reply = CONNECTION("on")},
        {.part = "get-interface-information", .reply = "<rpc-reply><interface-information/></rpc-reply>"},
    };
    struct jn_device d = {.host = &fake_host};
    struct rk_dev_seen seen = {.iface = "ge-0/0/1"};
    struct rk_call c;

    (void)state;
    fake_call(&c, 1000);
    rig_rules(rules, sizeof rules / sizeof rules[0]);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(jn_observe(&d, &c, &seen, 1), RK_OK);
        assert_int_equal(rules[2].asked, 1);
        assert_int_equal(rules[3].asked, 0);
        assert_true(seen.state & RK_IF_UP);
    }
    d.encrypts_ms -= 9001; /* so much later */
    assert_int_equal(jn_observe(&d, &c, &seen, 1), RK_OK);
    assert_int_equal(rules[2].asked, 2);
    d.encrypts_ms = 0; /* a new session, whose first look finds one that does not encrypt: it is looked at each time */
    rules[2].reply = CONNECTION("off");
    for (unsigned i = 3; i < 5; i++) {
        assert_int_equal(jn_observe(&d, &c, &seen, 1), RK_OK);
        assert_int_equal(rules[2].asked, i);
        assert_false(seen.state & RK_IF_PROTECTED);
    }
    rules[1].reply = MKA("<interface-name>ge-0/0/1</interface-name>"); /* nobody is heard */
    d.shown.last_ms = 0;
    assert_int_equal(jn_observe(&d, &c, &seen, 1), RK_OK);
    assert_int_equal(rules[3].asked, 1);
    fake_call_end(&c);
    jn_forget(&d);
}

/* XML that prints 32 digits of CKNs: the text has all of them; and where it has not, no key is confirmed, and none is
 * taken for another one. */
static void
test_cut_names(void **state)
{
    char ckn[JN_CKN_HEX + 1], conf[700], xml[600], text[2][600];
    struct rig_rule rules[] = {
        {.part = "<get-configuration", .reply = conf}, {.part = "<detail/>", .reply = xml},
        {.part = "mka sessions detail", .reply = text[0]}, {.part = "get-macsec"}, {.part = "show security macsec"},
        {.part = "get-interface-information", .reply = "<rpc-reply><interface-information/></rpc-reply>"},
    };
    struct jn_device d = {.host = &fake_host};
    struct rk_call c;

    (void)state;
    assert_int_equal(jn_ckn(&d, "key-new", ckn), RK_OK);
    snprintf(conf, sizeof conf, "<rpc-reply><configuration><security><macsec><connectivity-association><name>CA1</name>"
             "<security-mode>static-cak</security-mode><pre-shared-key><ckn>%s</ckn></pre-shared-key>"
             "</connectivity-association><interfaces><name>ge-0/0/1</name>"
             "<connectivity-association>CA1</connectivity-association></interfaces></macsec></security>"
             "</configuration></rpc-reply>", ckn);
    snprintf(xml, sizeof xml, MKA("<interface-name>ge-0/0/1</interface-name>"
             "<interface-state>Secured - Primary</interface-state><cak-name>%.32s</cak-name>"
             "<cak-type>primary</cak-type><cak-status>live</cak-status>"
             "<latest-sak-key-identifier>" SAK "</latest-sak-key-identifier>"), ckn);
    for (int i = 0; i < 2; i++)
        snprintf(text[i], sizeof text[i], "<rpc-reply><output>\nInterface name: ge-0/0/1\n"
                 "   Interface state: Secured - Primary\n   Member identifier: 3016C583A4D0512BAB82CC86\n"
                 "   CAK name: %.*s\n   CAK type: primary\n   Latest SAK AN: 2    Latest SAK KI: " SAK "\n"
                 "</output></rpc-reply>", i ? 32 : 64, ckn);
    fake_call(&c, 1000);
    rig_rules(rules, sizeof rules / sizeof rules[0]);
    for (int i = 0; i < 80; i++) {
        struct rk_dev_seen seen = {.iface = "ge-0/0/1", .key_ids = {"key-new"}};

        d.shown.last_ms = 0; /* later */
        rules[2].reply = text[i >= 40];
        assert_int_equal(jn_observe(&d, &c, &seen, 1), RK_OK);
        assert_int_equal(seen.held[0], i < 40 ? HELD | USED : HELD);
        assert_false(seen.state & RK_IF_OTHER);
        assert_true(i < 40 ? !seen.why[0] : strstr(seen.why, "only 32 digits") != NULL);
    }
    assert_int_equal(rules[2].asked, 42); /* in vain not every time */
    fake_call_end(&c);
    jn_forget(&d);
}

static unsigned digests;

static int
count_digest(const void *data, size_t len, unsigned char out[32])
{
    digests++;
    return fake_host.sha256(data, len, out);
}

/* A CKN is made once for each of a few key IDs, and is that of its ID whatever was asked for before. */
static void
test_names(void **state)
{
    struct rk_host host = fake_host;
    struct jn_named names = {.n = 0};
    struct jn_device plain = {.host = &fake_host}, d = {.host = &host, .names = &names};
    char id[80], a[JN_CKN_HEX + 1], b[JN_CKN_HEX + 1];

    (void)state;
    host.sha256 = count_digest;
    for (int i = 0; i < 3000; i++) {
        snprintf(id, sizeof id, "%036d", i * i % 997);
        assert_int_equal(jn_ckn(&plain, id, a), RK_OK);
        assert_int_equal(jn_ckn(&d, id, b), RK_OK);
        assert_string_equal(a, b);
    }
    digests = 0;
    for (int i = 0; i < 10; i++)
        assert_int_equal(jn_ckn(&d, id, b), RK_OK);
    assert_int_equal(digests, 0);
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    assert_int_equal(jn_ckn(&d, id, b), jn_ckn(&plain, id, a)); /* longer than any */
    assert_int_equal(jn_ckn(&d, "", b), jn_ckn(&plain, "", a));
    assert_string_equal(a, b);
    assert_int_equal(jn_ckn(&d, "", b), RK_OK);
    assert_string_equal(a, b);
    jn_names_forget(&names);
    assert_true(!names.at && names.n == 0);
}

static void
test_offset(void **state)
{
    struct timespec ts;
    char reply[300], date[20];
    struct rig_rule rule = {.part = "get-system-uptime", .reply = reply};
    struct jn_device d = {.host = &fake_host};
    struct jn_view *v;
    struct rk_call c;

    (void)state;
    fake_call(&c, 1000);
    clock_gettime(CLOCK_REALTIME, &ts);
    jn_start_write(ts.tv_sec + 100, 3600, date);
    snprintf(reply, sizeof reply, "<rpc-reply><system-uptime-information><current-time><date-time seconds=\"%lld\">%s"
             "</date-time></current-time></system-uptime-information></rpc-reply>", (long long)ts.tv_sec + 100, date);
    rig_rules(&rule, 1);
    assert_int_equal(jn_view_get(&d, &c, JN_WANT_CLOCK, &v), RK_OK);
    assert_true(v->clock_offset_ms > 40000 && v->clock_offset_ms <= 100500);
    assert_int_equal(v->clock.zone_s, 3600);
    jn_view_free(&fake_host, &v);
    fake_call_end(&c);
}

/* ---- big routers ---- */

#define MANY 1000
#define ASKED 64

static unsigned secrets;

static int
counting_new(size_t len, int (*fill)(unsigned char *bytes, size_t len, void *arg), void *arg, struct rk_secret **out)
{
    secrets++;
    return fake_host.secret_new(len, fill, arg, out);
}

/* Keys of interface i: key-I-0 is in use, key-I-1 the next.  All slots are full. */
static void
put_chain(FILE *f, const struct jn_device *d, unsigned i)
{
    fprintf(f, "<key-chain><name>KC%u</name>", i);
    for (unsigned k = 0; k < JN_SLOTS; k++) {
        char id[32], ckn[JN_CKN_HEX + 1];

        snprintf(id, sizeof id, "key-%u-%u", i, k);
        assert_int_equal(jn_ckn(d, id, ckn), RK_OK);
        fprintf(f, "<key><name>%u</name><secret>$9$x</secret><key-name>%s</key-name>"
                "<start-time>20%02u-01-01.00:00:00 +0000</start-time></key>", k, ckn, k ? 30 + k : 20);
    }
    fprintf(f, "</key-chain>");
}

static char *
big_conf(const struct jn_device *d)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    fprintf(f, "<rpc-reply><configuration><security><authentication-key-chains>");
    for (unsigned i = 0; i < MANY; i++)
        put_chain(f, d, i);
    fprintf(f, "</authentication-key-chains><macsec>");
    for (unsigned i = 0; i < MANY; i++)
        fprintf(f, "<connectivity-association><name>CA%u</name><security-mode>static-cak</security-mode>"
                "<pre-shared-key-chain>KC%u</pre-shared-key-chain></connectivity-association>", i, i);
    for (unsigned i = MANY; i-- > 0;)
        fprintf(f, "<interfaces><name>et-0/0/%u</name><connectivity-association>CA%u</connectivity-association>"
                "</interfaces>", i, i);
    fprintf(f, "</macsec></security></configuration></rpc-reply>");
    fclose(f);
    return text;
}

static char *
big_mka(const struct jn_device *d)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    fprintf(f, "<rpc-reply><mka-session-information>");
    for (unsigned i = 0; i < MANY; i++) {
        char id[32], ckn[JN_CKN_HEX + 1];

        snprintf(id, sizeof id, "key-%u-0", i);
        assert_int_equal(jn_ckn(d, id, ckn), RK_OK);
        fprintf(f, "<interface-name>et-0/0/%u</interface-name><interface-state>Secured - Primary</interface-state>"
                "<cak-name>%s</cak-name><cak-type>primary</cak-type><cak-status>live</cak-status>"
                "<latest-sak-key-identifier>" SAK "</latest-sak-key-identifier>", i, ckn);
    }
    fprintf(f, "</mka-session-information></rpc-reply>");
    fclose(f);
    return text;
}

static char *
big_clock(void)
{
    char *text = NULL;

    assert_true(asprintf(&text, "<rpc-reply><system-uptime-information><current-time><date-time seconds=\"%lld\">"
                         "2026-07-28 06:43:00 UTC</date-time></current-time></system-uptime-information></rpc-reply>",
                         1785220980LL) > 0);
    return text;
}

/* No key of a router with 1,000 links and full chains is taken out of the reply to observe it; apply takes those of its
 * own interfaces. */
static void
test_big(void **state)
{
    struct rk_host host = fake_host;
    struct jn_device d = {.host = &host, .opt.keying = JN_CHAIN};
    char *conf = big_conf(&d), *mka = big_mka(&d), *clock = big_clock();
    struct rig_rule rules[] = {
        {.part = "<get-configuration", .reply = conf}, {.part = "get-mka", .reply = mka},
        {.part = "get-system-uptime", .reply = clock},
        {.part = "get-interface-information", .reply = "<rpc-reply><interface-information/></rpc-reply>"},
        {.part = "get-macsec"}, {.part = "show security macsec"}, {.part = "get-hakr"},
    };
    struct rk_dev_seen seen[ASKED] = {{.iface = NULL}};
    char name[ASKED][16], id[ASKED][2][16];
    const char *two[] = {"et-0/0/3.0", "et-0/0/999"};
    struct jn_view *v;
    struct rk_call c;

    (void)state;
    host.secret_new = counting_new;
    fake_call(&c, 60000);
    rig_rules(rules, sizeof rules / sizeof rules[0]);
    for (unsigned i = 0; i < ASKED; i++) {
        snprintf(name[i], sizeof name[i], "et-0/0/%u", i * 15);
        seen[i].iface = name[i];
        for (unsigned k = 0; k < 2; k++) {
            snprintf(id[i][k], sizeof id[i][k], "key-%u-%u", i * 15, k);
            seen[i].key_ids[k] = id[i][k];
        }
    }
    assert_int_equal(jn_observe(&d, &c, seen, ASKED), RK_OK);
    assert_int_equal(secrets, 0);
    for (unsigned i = 0; i < ASKED; i++)
        if (seen[i].held[0] != (HELD | USED) || seen[i].held[1] != RK_HELD_RX || seen[i].foreign != JN_SLOTS - 2)
            fail_msg("%s: %x %x %u %s", name[i], seen[i].held[0], seen[i].held[1], seen[i].foreign, seen[i].why);
    assert_int_equal(jn_view_get_for(&d, &c, JN_WANT_CONF | JN_WANT_MKA | JN_WANT_STORED, two, 2, &v), RK_OK);
    assert_int_equal(secrets, 2 * JN_SLOTS);
    assert_true(v->n_mka == 2 && strcmp(v->mka[1].iface, "et-0/0/999") == 0);
    jn_view_free(&host, &v);
    assert_int_equal(jn_view_get(&d, &c, JN_WANT_CONF | JN_WANT_STORED, &v), RK_OK);
    assert_int_equal(secrets, 2 * JN_SLOTS);
    jn_view_free(&host, &v);
    fake_call_end(&c);
    free(conf);
    free(mka);
    free(clock);
    jn_forget(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenes), cmocka_unit_test(test_protection), cmocka_unit_test(test_preceding_alone),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_view), cmocka_unit_test(test_asks_no_more_than_needed),
        cmocka_unit_test(test_cut_names), cmocka_unit_test(test_names), cmocka_unit_test(test_offset),
        cmocka_unit_test(test_big),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
