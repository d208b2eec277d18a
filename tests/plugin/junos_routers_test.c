/* junos_routers_test.c - routers of several kinds and releases: what is told of each is the same, whatever its words;
 * and lists that the readers must bear. */
#include "junos_readrig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HELD (RK_HELD_RX | RK_HELD_TX)
#define USED (RK_SENDING | RK_PEER_USES)
#define RULES 12

static struct rk_call call;

/* ---- a router's file ---- */

struct router {
    xmlDoc *doc;
    char port[RK_IFACE_MAX + 1], release[64];
    bool chain;
    struct rig_rule rule[RULES];
    size_t n;
};

/* Upper case in MKA, lower in the configuration; of a name that is cut the first and last digits. */
static char *
with_keys(const struct jn_device *d, char *text)
{
    static const struct {
        const char *mark, *id;
        size_t from, to;
        bool upper;
    } marks[] = {{"@NEW@", "key-new", 0, 64, true},  {"@OLD@", "key-old", 0, 64, true},
                 {"@new@", "key-new", 0, 64, false}, {"@old@", "key-old", 0, 64, false},
                 {"@NEW8@", "key-new", 0, 8, true},  {"@NEW5@", "key-new", 59, 64, true}};
    size_t len = strlen(text) + 1, size = len + 4096;
    char ckn[JN_CKN_HEX + 1], *out = malloc(size);

    assert_non_null(out);
    memcpy(out, text, len);
    xmlFree(text);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t digits = marks[i].to - marks[i].from, mark = strlen(marks[i].mark);

        assert_int_equal(jn_ckn(d, marks[i].id, ckn), RK_OK);
        for (char *p = ckn; marks[i].upper && *p; p++)
            *p = (char)(*p >= 'a' ? *p - 'a' + 'A' : *p);
        for (char *p = strstr(out, marks[i].mark); p; p = strstr(p, marks[i].mark)) {
            assert_true(strlen(out) + digits < size);
            memmove(p + digits, p + mark, strlen(p + mark) + 1);
            memcpy(p, ckn + marks[i].from, digits);
        }
    }
    return out;
}

static void
get_attr(const xmlNode *node, const char *name, char *to, size_t size)
{
    xmlChar *v = xmlGetProp(node, (const xmlChar *)name);

    assert_non_null(v);
    snprintf(to, size, "%s", (char *)v);
    xmlFree(v);
}

static char *
text_of(xmlDoc *doc, xmlNode *answer)
{
    xmlBuffer *b = xmlBufferCreate();
    xmlNode *reply = xmlFirstElementChild(answer);
    char *text;

    assert_true(b && reply && xmlNodeDump(b, doc, reply, 0, 0) > 0);
    text = (char *)xmlBufferDetach(b);
    xmlBufferFree(b);
    return text;
}

/* What it has no answer for it does not know. */
static void
start(struct router *r, const struct jn_device *d, const char *name)
{
    char file[64], keying[16], part[200];
    xmlNode *root;

    memset(r, 0, sizeof *r);
    snprintf(file, sizeof file, "routers/%s.xml", name);
    r->doc = rig_file(file);
    root = xmlDocGetRootElement(r->doc);
    get_attr(root, "port", r->port, sizeof r->port);
    get_attr(root, "release", r->release, sizeof r->release);
    get_attr(root, "keying", keying, sizeof keying);
    r->chain = strcmp(keying, "chain") == 0;
    for (xmlNode *a = xmlFirstElementChild(root); a; a = xmlNextElementSibling(a)) {
        assert_true(r->n < RULES - 1);
        get_attr(a, "to", part, sizeof part);
        r->rule[r->n++] = (struct rig_rule){.part = strdup(part), .reply = with_keys(d, text_of(r->doc, a))};
    }
    r->rule[r->n++] = (struct rig_rule){.part = "<"};
    rig_rules(r->rule, r->n);
}

static void
end(struct router *r)
{
    for (size_t i = 0; i + 1 < r->n; i++) {
        free((char *)(uintptr_t)r->rule[i].part);
        free((char *)(uintptr_t)r->rule[i].reply);
    }
    xmlFreeDoc(r->doc);
}

/* ---- the same of all ---- */

static void
check_keys(const char *name, struct jn_device *d, const struct router *r, bool unit)
{
    char iface[RK_IFACE_MAX + 3];
    struct rk_dev_seen seen = {.iface = iface, .key_ids = {"key-new", "key-old", "key-none"}};
    uint32_t want = RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED;

    snprintf(iface, sizeof iface, "%s%s", r->port, unit ? ".0" : "");
    if (jn_observe(d, &call, &seen, 1) != RK_OK)
        fail_msg("%s: %s", name, call.text);
    if (seen.held[0] != (HELD | USED) || (seen.held[1] & ~RK_PEER_USES) != RK_HELD_RX || seen.held[2] != 0 ||
        (seen.state & 0xffu) != want || seen.foreign != 0 || seen.err || seen.why[0])
        fail_msg("%s: %x %x %x, state %x, %u foreign, %s", name, seen.held[0], seen.held[1], seen.held[2], seen.state,
                 seen.foreign, seen.why);
    assert_int_equal(RK_IF_CLASS_OF(seen.state), r->chain ? RK_CLASS_D : RK_CLASS_B);
    assert_true((strncmp(seen.facts, "clk=", 4) == 0) == r->chain);
}

static void
check_rest(struct jn_device *d, const struct router *r)
{
    unsigned want = JN_WANT_LLDP | JN_WANT_LINKS | JN_WANT_CLOCK | JN_WANT_MACSEC | JN_WANT_CONF;
    const char *iface = r->port;
    struct nc_reply *reply;
    struct jn_facts facts;
    struct jn_view *v;

    assert_int_equal(jn_view_get_for(d, &call, want, &iface, 1, &v), RK_OK);
    assert_true(v->n_lldp == 1 && v->n_links == 1 && v->n_macsec == 1 && v->clock.zone_s == 7200);
    assert_string_equal(v->lldp[0].system, "r2");
    assert_string_equal(v->lldp[0].port, "et-1/0/0");
    assert_string_equal(v->lldp[0].description, "to r1 | rk1");
    assert_string_equal(v->links[0].description, "to r2");
    assert_true(v->links[0].admin_up && v->links[0].oper_up && v->lldp[0].age_s == 7 && v->lldp[0].ttl_s == 120);
    assert_string_equal(v->macsec[0].ca, "CA1");
    assert_string_equal(v->macsec[0].cipher, "GCM-AES-XPN-256");
    assert_true(v->macsec[0].encrypts && v->macsec[0].out_inuse && v->macsec[0].in_inuse);
    assert_true(v->macsec[0].out_pn > 12000);
    assert_string_equal(v->conf->host_name, "r1");
    assert_string_equal(v->conf->text[0].description, "to r2");
    jn_view_free(&fake_host, &v);
    assert_int_equal(jn_ask(d, &call, "", "<get-software-information/>", &reply), RK_OK);
    assert_int_equal(jn_facts_read(reply->root, &facts), RK_OK);
    assert_string_equal(facts.release, r->release);
    assert_string_equal(facts.host_name, "r1");
    assert_true(facts.model[0]);
    nc_reply_free(&reply);
}

static void
test_routers(void **state)
{
    static const char *const names[] = {"mx-21.4", "mx-23.2", "evo-24.4", "srx-cluster", "ex-18.4"};

    (void)state;
    fake_call(&call, 5000);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct jn_device d = {.host = &fake_host};
        struct router r;

        start(&r, &d, names[i]);
        d.opt.keying = r.chain ? JN_CHAIN : JN_PSK;
        check_keys(names[i], &d, &r, false);
        check_keys(names[i], &d, &r, true); /* again, with what was learnt */
        check_rest(&d, &r);
        jn_forget(&d);
        end(&r);
    }
    fake_call_end(&call);
}

/* ---- readers one by one ---- */

static void
test_hakr(void **state)
{
    xmlDoc *doc = rig_text("<rpc-reply><hakr-keychain-information><hakr-keychain>"
                           "<hakr-keychain-name>A</hakr-keychain-name>"
                           "<hakr-keychain-active-send-key> 63 </hakr-keychain-active-send-key>"
                           "<hakr-keychain-active-receive-key>64</hakr-keychain-active-receive-key>"
                           "<hakr-keychain-next-send-key>-1</hakr-keychain-next-send-key>"
                           "<hakr-keychain-next-receive-key>0</hakr-keychain-next-receive-key>"
                           "<hakr-keychain-next-key-time>2026-7-28.08:43:00 +0200</hakr-keychain-next-key-time>"
                           "<hakr-keys><hakr-keychain-active-send-key>7</hakr-keychain-active-send-key></hakr-keys>"
                           "</hakr-keychain></hakr-keychain-information></rpc-reply>"),
           *flat = rig_text("<rpc-reply><hakr-keychain-active-send-key>9</hakr-keychain-active-send-key>"
                            "<hakr-keychain-name>A</hakr-keychain-name>"
                            "<hakr-keychain-active-send-key>1</hakr-keychain-active-send-key>"
                            "<hakr-keychain-name>B</hakr-keychain-name>"
                            "<hakr-keychain-active-send-key>2</hakr-keychain-active-send-key></rpc-reply>");
    struct jn_hakr *h;
    size_t n;

    (void)state;
    assert_int_equal(jn_hakr_read(xmlDocGetRootElement(doc), &h, &n), RK_OK);
    assert_int_equal(n, 1);
    assert_true(h[0].active_send == 63 && h[0].active_receive == -1 && h[0].next_send == -1 && h[0].next_receive == 0);
    assert_string_equal(h[0].next_time, "2026-7-28.08:43:00 +0200");
    free(h);
    xmlFreeDoc(doc);
    assert_int_equal(jn_hakr_read(xmlDocGetRootElement(flat), &h, &n), RK_OK);
    assert_true(n == 2 && h[0].active_send == 1 && h[1].active_send == 2 && h[1].next_send == -1);
    free(h);
    xmlFreeDoc(flat);
    assert_int_equal(jn_hakr_read(NULL, &h, &n), RK_E_PROTOCOL);
}

static void
test_links(void **state)
{
    xmlDoc *doc = rig_text("<rpc-reply><interface-information><physical-interface><name>ge-0/0/0</name>"
                           "<admin-status>down</admin-status><oper-status>Down</oper-status><logical-interface>"
                           "<name>ge-0/0/0.0</name><oper-status>up</oper-status></logical-interface>"
                           "</physical-interface><physical-interface><oper-status>up</oper-status></physical-interface>"
                           "<physical-interface><name>et-0/0/1</name><admin-status>up</admin-status>"
                           "<oper-status>\nUP\n</oper-status></physical-interface>"
                           "</interface-information></rpc-reply>");
    struct jn_link_state *l;
    size_t n;

    (void)state;
    assert_int_equal(jn_links_read(xmlDocGetRootElement(doc), &l, &n), RK_OK);
    assert_int_equal(n, 2);
    assert_true(!l[0].oper_up && !l[0].admin_up && l[1].oper_up && l[1].admin_up);
    assert_string_equal(l[1].iface, "et-0/0/1");
    free(l);
    xmlFreeDoc(doc);
    doc = rig_text("<rpc-reply><other><x/></other></rpc-reply>");
    assert_int_equal(jn_links_read(xmlDocGetRootElement(doc), &l, &n), RK_E_PROTOCOL);
    xmlFreeDoc(doc);
}

static void
test_macsec_text(void **state)
{
    xmlDoc *doc = rig_text("<rpc-reply><output>\n    Interface name: et-2/0/2\n        CA name: CA9\n"
                           "        Cipher suite: GCM-AES-XPN-256 Encryption: off\n"
                           "          Outbound secure channels\n            SC Id: 20:ED:47:F6:51:6C/1\n"
                           "            Outgoing packet number: 4294967297\n            Secure associations\n"
                           "            AN: 3 Status: standby Create time: 00:03:58\n"
                           "          Inbound secure channels\n            Secure associations\n"
                           "            AN: 3 Status: inuse Create time: 2d 02:01:33\n"
                           "    Interface name: et-2/0/3.0\n        CA name: CA1\n"
                           "        Cipher suite: GCM-AES-128 Encryption: on\n"
                           "          Outbound secure channels\n            Outgoing packet number: many\n"
                           "            AN: 0 Status: inuse\n</output></rpc-reply>");
    struct jn_macsec *m;
    size_t n;

    (void)state;
    assert_int_equal(jn_macsec_read(xmlDocGetRootElement(doc), &m, &n), RK_OK);
    xmlFreeDoc(doc);
    assert_int_equal(n, 2);
    assert_string_equal(m[0].ca, "CA9");
    assert_true(m[0].out_pn == 4294967297 && !m[0].encrypts && !m[0].out_inuse && m[0].in_inuse);
    assert_string_equal(m[1].iface, "et-2/0/3");
    assert_string_equal(m[1].cipher, "GCM-AES-128");
    assert_true(m[1].out_pn == 0 && m[1].encrypts && m[1].out_inuse && !m[1].in_inuse);
    free(m);
    doc = rig_text("<macsec-connection-information><macsec-interface-common-information>"
                   "<interface-name>ge-1</interface-name></macsec-interface-common-information>"
                   "<outbound-secure-channel><outbound-secure-association>"
                   "<association-number-status>standby</association-number-status>"
                   "</outbound-secure-association></outbound-secure-channel><inbound-secure-channel>"
                   "<outbound-secure-association><association-number-status>inuse</association-number-status>"
                   "</outbound-secure-association></inbound-secure-channel></macsec-connection-information>");
    assert_int_equal(jn_macsec_read(xmlDocGetRootElement(doc), &m, &n), RK_OK);
    xmlFreeDoc(doc);
    assert_true(n == 1 && !m[0].out_inuse && !m[0].in_inuse);
    free(m);
}

/* Counters are no sessions, connections, neighbours or interfaces: a reply to another question is not understood. */
static void
test_other_reply(void **state)
{
    xmlDoc *doc = rig_file("show_security_macsec_statistics.xml");
    const xmlNode *root = xmlDocGetRootElement(doc);
    struct jn_link_state *l;
    struct jn_neighbour *b;
    struct jn_macsec *c;
    struct jn_conf *conf;
    struct jn_clock t;
    struct jn_mka *m;
    size_t n;

    (void)state;
    assert_int_equal(jn_mka_read(root, &m, &n), RK_E_PROTOCOL);
    assert_int_equal(jn_macsec_read(root, &c, &n), RK_E_PROTOCOL);
    assert_int_equal(jn_lldp_read(root, &b, &n), RK_E_PROTOCOL);
    assert_int_equal(jn_links_read(root, &l, &n), RK_E_PROTOCOL);
    assert_int_equal(jn_conf_read(&fake_host, root, 0, &conf), RK_E_PROTOCOL);
    assert_int_equal(jn_clock_read(root, &t), RK_E_PROTOCOL);
    assert_true(!m && !c && !b && !l && !conf && n == 0);
    xmlFreeDoc(doc);
}

static void
test_lldp_files(void **state)
{
    static const struct {
        const char *file, *iface, *system, *description;
        size_t n;
    } rows[] = {
        {"lldp-ex-one.xml", "xe-0/1/0", "core05.tpe01", "Po1:sw21.tpe01:xe-0/1/0", 1},
        {"lldp-mx.xml", "xe-4/3/6", "peer00.lab.demo", "", 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        xmlDoc *doc = rig_file(rows[i].file);
        struct jn_neighbour *b;
        size_t n;

        assert_int_equal(jn_lldp_read(xmlDocGetRootElement(doc), &b, &n), RK_OK);
        assert_int_equal(n, rows[i].n);
        assert_string_equal(b[0].iface, rows[i].iface);
        assert_string_equal(b[0].system, rows[i].system);
        assert_string_equal(b[0].description, rows[i].description);
        free(b);
        xmlFreeDoc(doc);
    }
}

/* ---- what is too much ---- */

static xmlDoc *
repeat(const char *before, const char *piece, size_t n, const char *after)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    xmlDoc *doc;

    assert_non_null(f);
    fputs(before, f);
    for (size_t i = 0; i < n; i++)
        fputs(piece, f);
    fputs(after, f);
    fclose(f);
    doc = rig_text(text);
    free(text);
    return doc;
}

/* 1,000,000 elements: too many rows are an error, what is no row is passed by. */
static void
test_million(void **state)
{
    static const char *const rpc[2] = {"<rpc-reply><mka-session-information><interface-name>ge-1</interface-name>",
                                       "</mka-session-information></rpc-reply>"};
    xmlDoc *doc = repeat(rpc[0], "<cak-name>aa</cak-name>", 1000000, rpc[1]);
    struct jn_link_state *l;
    struct jn_macsec *c;
    struct jn_mka *m;
    size_t n;

    (void)state;
    assert_int_equal(jn_mka_read(xmlDocGetRootElement(doc), &m, &n), RK_E_PROTOCOL);
    assert_true(!m && n == 0);
    xmlFreeDoc(doc);
    doc = repeat(rpc[0], "<new-leaf/>", 1000000, "<cak-name>aa</cak-name></mka-session-information></rpc-reply>");
    assert_int_equal(jn_mka_read(xmlDocGetRootElement(doc), &m, &n), RK_OK);
    assert_true(n == 1 && strcmp(m[0].ckn, "aa") == 0);
    free(m);
    xmlFreeDoc(doc);
    doc = repeat("<rpc-reply><interface-information>", "<physical-interface><name>ge-1</name></physical-interface>",
                 500000, "</interface-information></rpc-reply>");
    assert_int_equal(jn_links_read(xmlDocGetRootElement(doc), &l, &n), RK_E_PROTOCOL);
    assert_null(l);
    xmlFreeDoc(doc);
    doc = repeat("<rpc-reply><macsec-connection-information>", "<macsec-interface-common-information/>", 1000000,
                 "</macsec-connection-information></rpc-reply>");
    assert_int_equal(jn_macsec_read(xmlDocGetRootElement(doc), &c, &n), RK_E_PROTOCOL);
    assert_null(c);
    xmlFreeDoc(doc);
}

#define MIB_FIELD(before, after) repeat("<rpc-reply>" before, "0123456789abcdef", 65536, after "</rpc-reply>")

/* Values of 1 MiB are none: neither are they cut to something that could be taken for another name. */
static void
test_long_values(void **state)
{
    xmlDoc *doc = MIB_FIELD("<configuration><security><macsec><connectivity-association><name>CA1</name>"
                            "<pre-shared-key><ckn>", "</ckn></pre-shared-key></connectivity-association><interfaces>"
                            "<name>ge-1</name><connectivity-association>CA1</connectivity-association></interfaces>"
                            "</macsec></security></configuration>");
    struct jn_neighbour *b;
    struct jn_conf *c;
    struct jn_hakr *h;
    size_t n;

    (void)state;
    assert_int_equal(jn_conf_read(&fake_host, xmlDocGetRootElement(doc), 0, &c), RK_OK);
    assert_string_equal(jn_conf_ca(c, jn_conf_port(c, "ge-1")->ca)->psk.ckn, "");
    jn_conf_free(&fake_host, &c);
    xmlFreeDoc(doc);
    doc = MIB_FIELD("<configuration><security><macsec><interfaces><name>", "</name></interfaces></macsec></security>"
                    "</configuration>");
    assert_int_equal(jn_conf_read(&fake_host, xmlDocGetRootElement(doc), 0, &c), RK_OK);
    assert_int_equal(c->n_port, 0);
    jn_conf_free(&fake_host, &c);
    xmlFreeDoc(doc);
    doc = MIB_FIELD("<lldp-neighbors-information><lldp-neighbor-information><lldp-local-interface>ge-1"
                    "</lldp-local-interface><lldp-remote-system-name>", "</lldp-remote-system-name>"
                    "</lldp-neighbor-information></lldp-neighbors-information>");
    assert_int_equal(jn_lldp_read(xmlDocGetRootElement(doc), &b, &n), RK_OK);
    assert_true(n == 1 && !b[0].system[0]);
    free(b);
    xmlFreeDoc(doc);
    doc = MIB_FIELD("<hakr-keychain-name>", "</hakr-keychain-name><hakr-keychain-active-send-key>1"
                    "</hakr-keychain-active-send-key>");
    assert_int_equal(jn_hakr_read(xmlDocGetRootElement(doc), &h, &n), RK_OK);
    assert_true(n == 1 && !h[0].chain[0]);
    free(h);
    xmlFreeDoc(doc);
}

/* What has no name belongs to nobody, above all not to the one before it. */
static void
test_missing_names(void **state)
{
    xmlDoc *doc = rig_text("<rpc-reply><mka-session-information><interface-name>ge-1</interface-name>"
                           "<cak-name>aa</cak-name><cak-type>primary</cak-type><interface-name/>"
                           "<cak-status>live</cak-status><interface-state>Secured - Primary</interface-state>"
                           "<latest-sak-key-identifier>1F51BB9778BCB24D17F4BE68/2</latest-sak-key-identifier>"
                           "</mka-session-information></rpc-reply>");
    struct jn_macsec *c;
    struct jn_conf *conf;
    struct jn_mka *m;
    size_t n;

    (void)state;
    assert_int_equal(jn_mka_read(xmlDocGetRootElement(doc), &m, &n), RK_OK);
    assert_true(n == 1 && m[0].status == JN_CAK_NONE && m[0].state == JN_MKA_UNKNOWN && !m[0].has_sak);
    free(m);
    xmlFreeDoc(doc);
    doc = rig_text("<rpc-reply><macsec-connection-information><macsec-interface-common-information>"
                   "<interface-name>ge-1</interface-name></macsec-interface-common-information>"
                   "<macsec-interface-common-information/><outbound-secure-channel><outgoing-packet-number>5"
                   "</outgoing-packet-number></outbound-secure-channel></macsec-connection-information></rpc-reply>");
    assert_int_equal(jn_macsec_read(xmlDocGetRootElement(doc), &c, &n), RK_OK);
    assert_true(n == 1 && c[0].out_pn == 0);
    free(c);
    xmlFreeDoc(doc);
    doc = rig_text("<rpc-reply><configuration><security><macsec><connectivity-association><pre-shared-key><ckn>aa</ckn>"
                   "</pre-shared-key></connectivity-association><interfaces><connectivity-association>CA1"
                   "</connectivity-association></interfaces><interfaces><name>ge-1</name></interfaces></macsec>"
                   "<authentication-key-chains><key-chain><key><name>1</name></key></key-chain>"
                   "</authentication-key-chains></security></configuration></rpc-reply>");
    assert_int_equal(jn_conf_read(&fake_host, xmlDocGetRootElement(doc), 0, &conf), RK_OK);
    assert_true(conf->n_ca == 0 && conf->n_chain == 0 && conf->n_port == 1 && !conf->port[0].ca[0]);
    jn_conf_free(&fake_host, &conf);
    xmlFreeDoc(doc);
}

/* A container ends what it is about; one interface has not hundreds of participants. */
static void
test_mka_bounds(void **state)
{
    xmlDoc *doc = rig_text("<rpc-reply><mka-session-information><mka-session><interface-name>ge-1</interface-name>"
                           "<cak-name>aa</cak-name></mka-session><cak-name>bb</cak-name>"
                           "</mka-session-information></rpc-reply>");
    struct jn_mka *m;
    size_t n;

    (void)state;
    assert_int_equal(jn_mka_read(xmlDocGetRootElement(doc), &m, &n), RK_OK);
    assert_true(n == 1 && strcmp(m[0].ckn, "aa") == 0);
    free(m);
    xmlFreeDoc(doc);
    for (size_t rows = 256; rows <= 257; rows++) {
        doc = repeat("<rpc-reply><mka-session-information><interface-name>ge-1</interface-name>",
                     "<cak-name>aa</cak-name>", rows, "</mka-session-information></rpc-reply>");
        assert_int_equal(jn_mka_read(xmlDocGetRootElement(doc), &m, &n), rows == 256 ? RK_OK : RK_E_PROTOCOL);
        free(m);
        xmlFreeDoc(doc);
    }
}

#define OFF " inactive=\"inactive\""

/* What is deactivated is not there for the router, neither for good nor for bad. */
static void
test_inactive(void **state)
{
    xmlDoc *doc = rig_text("<configuration><security><macsec><connectivity-association><name>CA1</name>"
                           "<no-encryption" OFF "/><mka><should-secure" OFF "/></mka><disable-preceding-key" OFF "/>"
                           "<exclude-protocol" OFF "><name>lldp</name></exclude-protocol>"
                           "<pre-shared-key-chain" OFF ">KC1</pre-shared-key-chain>"
                           "<apply-macro" OFF "><name>rekey</name></apply-macro>"
                           "<pre-shared-key" OFF "><ckn>aa</ckn></pre-shared-key>"
                           "<fallback-key><ckn>bb</ckn></fallback-key></connectivity-association>"
                           "<connectivity-association><name>CA2</name>"
                           "<mka" OFF "><should-secure/></mka></connectivity-association></macsec>"
                           "<authentication-key-chains" OFF "><key-chain><name>KC1</name><key><name>0</name>"
                           "<key-name>cc</key-name></key></key-chain></authentication-key-chains></security>"
                           "<interfaces><interface><name>ge-1</name><description" OFF ">x</description></interface>"
                           "</interfaces></configuration>");
    const struct jn_ca *ca;
    struct jn_conf *c;

    (void)state;
    assert_int_equal(jn_conf_read(&fake_host, xmlDocGetRootElement(doc), 0, &c), RK_OK);
    xmlFreeDoc(doc);
    ca = jn_conf_ca(c, "CA1");
    assert_true(!ca->no_encryption && !ca->should_secure && !ca->no_preceding && !ca->excludes_lldp);
    assert_true(!ca->chain[0] && !ca->rekey.there && ca->psk.inactive && !ca->fallback.inactive && !ca->inactive);
    assert_false(jn_conf_ca(c, "CA2")->should_secure);
    assert_true(jn_conf_chain(c, "KC1")->key[0].inactive && c->n_text == 1 && c->text[0].hidden);
    jn_conf_free(&fake_host, &c);
}

/* Of several of one name the first is it, with and without an index; names that are alike are not the same. */
static void
test_lookup(void **state)
{
    struct jn_port port[] = {{.name = "ge-0/0/10", .ca = "a"}, {.name = "ge-0/0/1", .ca = "b"},
                             {.name = "ge-0/0/1", .ca = "c"}, {.name = "et-0/0/1.5", .ca = "d"}};
    struct jn_conf plain = {.port = port, .n_port = 4}, empty = {.n_port = 0};
    xmlDoc *doc = rig_text("<configuration><security><macsec><interfaces><name>ge-0/0/10</name></interfaces>"
                           "<interfaces><name>ge-0/0/1</name><connectivity-association>b</connectivity-association>"
                           "</interfaces><interfaces><name>ge-0/0/1</name></interfaces><interfaces>"
                           "<name>et-0/0/1</name><unit><name>5</name></unit></interfaces></macsec></security>"
                           "</configuration>");
    struct jn_conf *read;

    (void)state;
    assert_int_equal(jn_conf_read(&fake_host, xmlDocGetRootElement(doc), 0, &read), RK_OK);
    xmlFreeDoc(doc);
    for (int i = 0; i < 2; i++) {
        const struct jn_conf *c = i ? read : &plain;

        assert_ptr_equal(jn_conf_port(c, "ge-0/0/1.0"), &c->port[1]);
        assert_string_equal(jn_conf_port(c, "ge-0/0/1")->ca, "b");
        assert_ptr_equal(jn_conf_port(c, "ge-0/0/10"), &c->port[0]);
        assert_ptr_equal(jn_conf_port(c, "et-0/0/1.5"), &c->port[3]);
        assert_null(jn_conf_port(c, "ge-0/0/"));
        assert_null(jn_conf_port(c, "zz"));
        assert_null(jn_conf_port(c, ""));
        assert_null(jn_conf_ca(c, "CA1"));
    }
    assert_null(jn_conf_port(&empty, "ge-0/0/1"));
    jn_conf_free(&fake_host, &read);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routers), cmocka_unit_test(test_hakr), cmocka_unit_test(test_links),
        cmocka_unit_test(test_macsec_text), cmocka_unit_test(test_other_reply), cmocka_unit_test(test_lldp_files),
        cmocka_unit_test(test_million), cmocka_unit_test(test_long_values), cmocka_unit_test(test_missing_names),
        cmocka_unit_test(test_lookup), cmocka_unit_test(test_mka_bounds), cmocka_unit_test(test_inactive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
