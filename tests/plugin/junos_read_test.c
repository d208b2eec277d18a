/* junos_read_test.c - readers of the plugin junos-netconf against what routers print. */
#include "junos_readrig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct jn_mka *
mka(xmlDoc *doc, size_t *n)
{
    struct jn_mka *rows;

    assert_int_equal(jn_mka_read(xmlDocGetRootElement(doc), &rows, n), RK_OK);
    xmlFreeDoc(doc);
    return rows;
}

static void
test_mka_flat(void **state)
{
    size_t n;
    struct jn_mka *m = mka(rig_file("mka-flat.xml"), &n);

    (void)state;
    assert_int_equal(n, 3);
    assert_string_equal(m[0].iface, "ge-0/0/1");
    assert_string_equal(m[0].ckn, A64);
    assert_int_equal(m[0].type, JN_CAK_PRIMARY);
    assert_int_equal(m[0].status, JN_CAK_IN_PROGRESS);
    assert_false(m[0].has_sak);
    assert_string_equal(m[1].ckn, B64);
    assert_string_equal(m[1].iface, "ge-0/0/1");
    assert_int_equal(m[1].state, JN_MKA_PRECEDING);
    assert_int_equal(m[1].status, JN_CAK_LIVE);
    assert_true(m[1].has_sak);
    assert_true(m[1].tx == 4294967297 && m[1].rx == 63);
    assert_int_equal(m[2].state, JN_MKA_UNSECURED);
    free(m);
}

static void
test_mka_nested(void **state)
{
    size_t n;
    struct jn_mka *m = mka(rig_file("mka-nested.xml"), &n);

    (void)state;
    assert_int_equal(n, 2);
    assert_string_equal(m[0].ckn, A64);
    assert_int_equal(m[0].type, JN_CAK_PRIMARY);
    assert_true(m[0].has_sak);
    assert_int_equal(m[0].peers, 1);
    assert_string_equal(m[1].ckn, B64);
    assert_int_equal(m[1].type, JN_CAK_FALLBACK);
    assert_int_equal(m[1].status, JN_CAK_LIVE);
    assert_int_equal(m[1].state, JN_MKA_PRIMARY);
    assert_false(m[1].has_sak);
    free(m);
}

static void
test_mka_text(void **state)
{
    size_t n;
    struct jn_mka *m = mka(rig_output("mka_sessions_evo_acx7348.txt"), &n);

    (void)state;
    assert_int_equal(n, 3);
    assert_string_equal(m[0].iface, "et-2/0/0");
    assert_string_equal(m[0].ckn, "badc0ffe01");
    assert_string_equal(m[1].ckn, "3f5af4e5f616c6c7b35d5eab3652326ec51abe3d5654ddf2ce0112a4093ef8ff");
    assert_string_equal(m[1].sak, "5845E15EBE7A646CA62B08BB/1");
    for (size_t i = 0; i < n; i++)
        assert_true(m[i].state == JN_MKA_PRIMARY && m[i].type == JN_CAK_PRIMARY && m[i].has_sak && m[i].peers == 1);
    free(m);
    m = mka(rig_output("mka-summary.txt"), &n);
    assert_int_equal(n, 3);
    assert_int_equal(m[1].type, JN_CAK_PRECEDING);
    assert_int_equal(m[1].status, JN_CAK_ACTIVE);
    assert_true(m[0].tx == 34 && m[0].rx == 3);
    assert_false(jn_ckn_same(m[2].ckn, "abcd1234abcd5678abcd1234abcd56786c00260045ebaf1ebb0d41fbdd9ff375"));
    assert_true(jn_ckn_same(m[0].ckn, "abcd1234abcd5678abcd1234abcd56786c00260045ebaf1ebb0d41fbdd9ff375"));
    free(m);
}

static void
test_mka_join(void **state)
{
    size_t n, more_n;
    struct jn_mka *m = mka(rig_file("mka-nested.xml"), &n);
    struct jn_mka more[2] = {{.iface = "et-0/0/9", .ckn = A64, .type = JN_CAK_PRIMARY, .status = JN_CAK_LIVE, .rx = 4},
                             {.iface = "et-0/0/9", .ckn = "cc", .type = JN_CAK_PRIMARY, .status = JN_CAK_IN_PROGRESS}};

    (void)state;
    more_n = 2;
    assert_int_equal(jn_mka_join(&m, &n, more, more_n), RK_OK);
    assert_int_equal(n, 3);
    assert_int_equal(m[0].status, JN_CAK_LIVE);
    assert_int_equal(m[2].state, JN_MKA_PRIMARY);
    free(m);
}

static void
test_ckn_same(void **state)
{
    (void)state;
    assert_true(jn_ckn_same("BADC0FFE01", "badc0ffe01"));
    assert_true(jn_ckn_same("BADC0FFE01", "badc0ffe01000000000000000000000000000000000000000000000000000000"));
    assert_false(jn_ckn_same("BADC0FFE", "badc0ffe01"));
    assert_false(jn_ckn_same("", ""));
    assert_false(jn_ckn_same("ABCD1234...FF375", "abcd1234ff375"));
    assert_false(jn_ckn_same("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", A64));
}

static void
test_ckn_cut(void **state)
{
    static const char *const ckn = "abcd1234abcd5678abcd1234abcd56786c00260045ebaf1ebb0d41fbdd9ff375";
    static const struct {
        const char *printed;
        bool cut;
    } rows[] = {
        {"ABCD1234ABCD5678ABCD1234ABCD5678", true}, {"abcd1234...ff375", true}, {"abcd1234..", true},
        {"abcd1234...ff376", false}, {"abcd1234abcd5678abcd1234abcd5679", false}, {"abcd123", false}, {"...", false},
        {"", false}, {"abcd1234 ff375", false}, {"abcd1234abcd5678g", false},
        {"abcd1234abcd5678abcd1234abcd56786c00260045ebaf1ebb0d41fbdd9ff375", false},
        {"abcd1234abcd5678abcd1234abcd56786c00260045ebaf1ebb0d41fbdd9ff3750", false},
        {"abcd1234abcd5678abcd1234abcd56786c00260045ebaf1ebb0d41fbdd9f...ff375", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (jn_ckn_cut(rows[i].printed, ckn) != rows[i].cut || (rows[i].cut && jn_ckn_same(rows[i].printed, ckn)))
            fail_msg("\"%s\"", rows[i].printed);
    assert_false(jn_ckn_cut("badc0ffe01", "badc0ffe01000000000000000000000000000000000000000000000000000000"));
    assert_false(jn_ckn_cut("abcd1234", ""));
    assert_false(jn_ckn_cut("abcd1234abcd1234.abcd", "abcd1234abcd1234.abcd")); /* one that is cut is not the whole */
}

/* Two keys that begin alike: which one is meant is not guessed.  Another interface's rows are not touched. */
static void
test_join_cut(void **state)
{
    static const struct jn_mka more[] = {
        {.iface = "et-0/0/2", .ckn = A64, .type = JN_CAK_PRIMARY, .status = JN_CAK_LIVE},
        {.iface = "et-0/0/3", .ckn = A64, .type = JN_CAK_FALLBACK},
        {.iface = "et-0/0/1", .ckn = "aaaaaaaa...aaaaa", .type = JN_CAK_FALLBACK, .status = JN_CAK_LIVE},
    };
    struct jn_mka *m = calloc(4, sizeof *m);
    size_t n = 4;

    (void)state;
    assert_non_null(m);
    m[0] = (struct jn_mka){.iface = "et-0/0/2", .ckn = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", .state = JN_MKA_PRIMARY};
    m[1] = (struct jn_mka){.iface = "et-0/0/1", .ckn = A64, .state = JN_MKA_FALLBACK};
    m[2] = (struct jn_mka){.iface = "et-0/0/3", .ckn = "aaaaaaaaaaaaaaaa", .state = JN_MKA_PRECEDING};
    m[3] = (struct jn_mka){.iface = "et-0/0/3", .ckn = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    assert_int_equal(jn_mka_join(&m, &n, more, 3), RK_OK);
    assert_int_equal(n, 5);
    assert_string_equal(m[0].ckn, A64);
    assert_int_equal(m[0].status, JN_CAK_LIVE);
    assert_string_equal(m[1].ckn, A64);
    assert_int_equal(m[1].type, JN_CAK_FALLBACK);
    assert_string_equal(m[2].ckn, "aaaaaaaaaaaaaaaa");
    assert_string_equal(m[4].iface, "et-0/0/3");
    assert_int_equal(m[4].state, JN_MKA_PRECEDING);
    free(m);
}

static void
test_macsec(void **state)
{
    xmlDoc *doc = rig_file("show_security_macsec_connections.xml");
    struct jn_macsec *m;
    size_t n;

    (void)state;
    assert_int_equal(jn_macsec_read(xmlDocGetRootElement(doc), &m, &n), RK_OK);
    assert_int_equal(n, 3);
    assert_string_equal(m[0].ca, "cc12.evc12-es12.lfg12");
    assert_true(m[0].out_pn == 29462517698 && m[0].encrypts && m[0].out_inuse && m[0].in_inuse);
    assert_string_equal(m[1].iface, "et-0/0/1");
    assert_true(m[1].out_pn == 0 && !m[1].encrypts && !m[1].out_inuse && !m[1].in_inuse);
    assert_true(m[2].out_pn == 4543932225);
    free(m);
    xmlFreeDoc(doc);
}

static void
test_lldp(void **state)
{
    xmlDoc *doc = rig_file("lldp-ex.xml");
    struct jn_neighbour *b;
    size_t n;

    (void)state;
    assert_int_equal(jn_lldp_read(xmlDocGetRootElement(doc), &b, &n), RK_OK);
    assert_int_equal(n, 4);
    assert_string_equal(b[0].iface, "xe-4/3/6");
    assert_string_equal(b[0].port, "Ethernet1");
    assert_string_equal(b[2].iface, "ge-0/0/0");
    assert_string_equal(b[2].description, "GigabitEthernet0/0/0/0");
    assert_true(b[0].age_s == -1);
    free(b);
    xmlFreeDoc(doc);
    doc = rig_file("lldp-mx-one.xml");
    assert_int_equal(jn_lldp_read(xmlDocGetRootElement(doc), &b, &n), RK_OK);
    assert_int_equal(n, 1);
    assert_string_equal(b[0].iface, "xe-0/1/0");
    assert_true(b[0].age_s == 29 && b[0].ttl_s == 120);
    free(b);
    xmlFreeDoc(doc);
}

static size_t
count_stored(const struct jn_conf *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_ca; i++)
        n += (c->ca[i].psk.stored != NULL) + (c->ca[i].fallback.stored != NULL);
    for (size_t i = 0; i < c->n_chain; i++)
        for (size_t k = 0; k < c->chain[i].n; k++)
            n += c->chain[i].key[k].stored != NULL;
    return n;
}

static void
test_conf(void **state)
{
    const char *one = "ge-0/0/1.0", *other = "ge-0/0/2";
    xmlDoc *doc = rig_file("conf.xml");
    const struct jn_chain *chain;
    const struct jn_ca *ca;
    struct jn_conf *c;

    (void)state;
    assert_int_equal(jn_conf_read(&fake_host, xmlDocGetRootElement(doc), 3600, &c), RK_OK);
    assert_int_equal(count_stored(c), 0);
    assert_int_equal(jn_conf_stored(&fake_host, xmlDocGetRootElement(doc), &other, 1, c), RK_OK);
    assert_int_equal(count_stored(c), 0); /* it has none that may be shown */
    assert_int_equal(jn_conf_stored(&fake_host, xmlDocGetRootElement(doc), &one, 1, c), RK_OK);
    xmlFreeDoc(doc);
    assert_int_equal(count_stored(c), 4);
    assert_string_equal(c->time_zone, "Europe/Berlin");
    ca = jn_conf_ca(c, jn_conf_port(c, "ge-0/0/1.0")->ca);
    assert_string_equal(ca->psk.ckn, A64);
    assert_true(fake_secret_is(ca->psk.stored, "$9$aaaa", 7));
    assert_true(ca->excludes_lldp && ca->rekey.there && ca->rekey.n == 1 && !ca->inactive);
    chain = jn_conf_chain(c, ca->chain);
    assert_int_equal(chain->n, 3);
    assert_int_equal(chain->key[0].slot, 1);
    assert_true(chain->key[0].start_s == 1785224400); /* 07:40 UTC: in the zone that was given */
    assert_true(chain->key[1].bad_start && chain->key[1].start_s == 0);
    assert_true(chain->key[2].start_s == 1785220980); /* 06:43 UTC: by its own offset */
    ca = jn_conf_ca(c, jn_conf_port(c, "ge-0/0/2")->ca);
    assert_true(ca->inactive && ca->should_secure && ca->no_encryption && !ca->psk.stored);
    assert_int_equal(jn_conf_port(c, "ge-0/0/1")->qkd.n, 2);
    assert_null(jn_conf_port(c, "ge-0/0/11"));
    assert_string_equal(c->text[0].description, "to r2 | x");
    jn_conf_free(&fake_host, &c);
    assert_null(c);
}

/* A description that is too long, or inactive, is not read as none: the record would be written over it. */
static void
test_hidden_descriptions(void **state)
{
    static const char head[] = "<configuration><interfaces><interface><name>a</name><description>";
    static const char tail[] = "</description></interface>"
                               "<interface><name>b</name><description inactive=\"inactive\">b</description></interface>"
                               "<interface><name>c</name><description/></interface></interfaces></configuration>";

    (void)state;
    for (size_t len = 255; len <= 900; len += len == 255 ? 1 : 644) {
        char text[1400], *at = stpcpy(text, head);
        struct jn_conf *c;
        xmlDoc *doc;

        memset(at, 'o', len);
        strcpy(at + len, tail);
        doc = rig_text(text);
        assert_int_equal(jn_conf_read(&fake_host, xmlDocGetRootElement(doc), 0, &c), RK_OK);
        assert_int_equal(c->n_text, 3);
        assert_int_equal(strlen(c->text[0].description), len == 255 ? 255 : 0);
        assert_true(c->text[0].hidden == (len > 255) && c->text[1].hidden && !c->text[2].hidden);
        jn_conf_free(&fake_host, &c);
        xmlFreeDoc(doc);
    }
}

static void
test_start(void **state)
{
    static const struct {
        const char *text;
        int64_t s; /* 0: refused */
    } rows[] = {
        {"2026-7-28.08:43:00 +0200", 1785220980}, {"2026-07-28.08:43:00", 1785224580}, {"2026-07-28.08:43", 1785224580},
        {"2026-07-28 08:43:00 CEST", 1785220980}, {"2026-07-28.06:43:00 UTC", 1785220980},
        {"2026-07-28T06:43:00Z", 1785220980}, {"2026-07-28.06:43:00 +00:00", 1785220980},
        {"2026-07-28.03:13:00 -03:30", 1785220980}, {"2026-03-29.02:30:00 +0100", 1774747800},
        {"", 0}, {"2026-02-30.00:00", 0}, {"2026-07-28.24:00", 0}, {"2026-07-28.08:60", 0}, {"2026-07-28.08:43 CST", 0},
        {"2026-07-28.08:43:00 +2500", 0}, {"2026-07-28.08:43:00 +02", 1785220980}, {"2026-07-28", 0},
        {"2026-13-01.00:00", 0}, {"now", 0}, {"2026--7-28.08:43", 0}, {"2026-07-28.08:43:0", 0},
    };
    char text[20];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t s = 0;
        bool ok = jn_start_read(rows[i].text, 3600, &s);

        if (ok != (rows[i].s != 0) || (ok && s != rows[i].s))
            fail_msg("\"%s\" is read as %lld", rows[i].text, (long long)s);
    }
    jn_start_write(1785220980, 7200, text);
    assert_string_equal(text, "2026-07-28.08:43:00");
    jn_start_write(INT64_MAX / 2, 0, text);
    assert_string_equal(text, "");
}

static int
clock_of(const char *text, struct jn_clock *c)
{
    char reply[400];
    xmlDoc *doc;
    int err;

    snprintf(reply, sizeof reply, "<rpc-reply><system-uptime-information><current-time>%s</current-time>"
             "<time-source> NTP CLOCK </time-source></system-uptime-information></rpc-reply>", text);
    doc = rig_text(reply);
    err = jn_clock_read(xmlDocGetRootElement(doc), c);
    xmlFreeDoc(doc);
    return err;
}

static void
test_clock(void **state)
{
    struct jn_clock c;

    (void)state;
    assert_int_equal(clock_of("<date-time seconds=\"1785220980\">2026-07-28 08:43:00 CEST</date-time>", &c), RK_OK);
    assert_true(c.unix_s == 1785220980 && c.zone_s == 7200 && c.synchronised);
    assert_int_equal(clock_of("<date-time seconds=\"1785220980\">2026-07-28 03:13:01 NST</date-time>", &c), RK_OK);
    assert_int_equal(c.zone_s, -12600);
    assert_int_equal(clock_of("<date-time seconds=\"1785220980\">2026-07-28 08:40:00 CEST</date-time>", &c),
                     RK_E_PROTOCOL);
    assert_int_equal(clock_of("<date-time>2026-07-28 08:43:00 CEST</date-time>", &c), RK_E_PROTOCOL);
    assert_int_equal(clock_of("<date-time seconds=\"-1\">2026-07-28 08:43:00</date-time>", &c), RK_E_PROTOCOL);
}

static void
test_facts_commits(void **state)
{
    xmlDoc *doc = rig_text("<rpc-reply><software-information><host-name>r1</host-name>"
                           "<product-model>mx240</product-model>"
                           "<package-information><name>junos</name><comment>JUNOS Base [14.2R8]</comment>"
                           "</package-information></software-information></rpc-reply>");
    struct jn_commit *commits;
    struct jn_facts facts;
    size_t n;

    (void)state;
    assert_int_equal(jn_facts_read(xmlDocGetRootElement(doc), &facts), RK_OK);
    assert_string_equal(facts.release, "14.2R8");
    assert_int_equal(facts.engines, 1);
    xmlFreeDoc(doc);
    doc = rig_text("<rpc-reply xmlns:junos=\"x\"><commit-information><commit-history>"
                   "<sequence-number>0</sequence-number>"
                   "<user>rekeyd</user><client>netconf</client><date-time junos:seconds=\"1785220980\">x</date-time>"
                   "<comment>commit confirmed, rollback in 5mins</comment><log>rekeyd txn=00 links=2</log>"
                   "<commit-confirmed/>"
                   "</commit-history><commit-history><user>x</user></commit-history></commit-information></rpc-reply>");
    assert_int_equal(jn_commits_read(xmlDocGetRootElement(doc), &commits, &n), RK_OK);
    assert_int_equal(n, 1);
    assert_string_equal(commits[0].log, "rekeyd txn=00 links=2");
    assert_true(commits[0].rollback_pending && commits[0].unix_s == 1785220980);
    free(commits);
    xmlFreeDoc(doc);
}

/* Many rows, long values, names that are missing: bounded, and no row without an interface. */
static void
test_hostile(void **state)
{
    char *text = malloc(8 << 20), *p = text;
    struct jn_mka *m;
    xmlDoc *doc;
    size_t n;

    (void)state;
    assert_non_null(text);
    p += sprintf(p, "<rpc-reply><mka-session-information><cak-name>aa</cak-name>");
    for (int i = 0; i < 100000; i++)
        p += sprintf(p, "<interface-name>ge-%d</interface-name><cak-name>aa</cak-name>", i);
    sprintf(p, "</mka-session-information></rpc-reply>");
    doc = rig_text(text);
    assert_int_equal(jn_mka_read(xmlDocGetRootElement(doc), &m, &n), RK_E_PROTOCOL);
    assert_null(m);
    xmlFreeDoc(doc);
    p = text + sprintf(text, "<rpc-reply><mka-session-information><interface-name>ge-1</interface-name><cak-name>");
    memset(p, 'a', 1 << 20);
    sprintf(p + (1 << 20), "</cak-name><cak-type>primary</cak-type><interface-name/><cak-name>bb</cak-name>"
            "</mka-session-information></rpc-reply>");
    doc = rig_text(text);
    assert_int_equal(jn_mka_read(xmlDocGetRootElement(doc), &m, &n), RK_OK);
    assert_int_equal(n, 0);
    free(m);
    xmlFreeDoc(doc);
    doc = rig_text("<rpc-reply><something><else/></something></rpc-reply>");
    assert_int_equal(jn_mka_read(xmlDocGetRootElement(doc), &m, &n), RK_E_PROTOCOL);
    xmlFreeDoc(doc);
    free(text);
}

static void
test_ckn_cak(void **state)
{
    struct jn_device d = {.host = &fake_host}, off = {.host = &fake_host};
    struct jn_cak_use use = {.link = "l1", .key_id = "EB54C2CC-4419-bf37-4910-79dcf59d9c4a",
                             .cipher = "gcm-aes-xpn-256"};
    struct rk_secret *key = fake_secret("0123456789abcdef0123456789abcdefXX", 34), *cak;
    char a[JN_CKN_HEX + 1], b[JN_CKN_HEX + 1];

    (void)state;
    assert_int_equal(jn_ckn(&d, "eb54c2cc-4419-bf37-4910-79dcf59d9c4a", a), RK_OK);
    assert_int_equal(jn_ckn(&d, use.key_id, b), RK_OK);
    assert_string_equal(a, b);
    assert_int_equal(strspn(a, "0123456789abcdef"), 64);
    off.opt.ckn = JN_CKN_OFFBOX;
    off.opt.ckn_prefix = (char *)"ABCD1234abcd5678abcd1234abcd5678";
    assert_int_equal(jn_ckn(&off, use.key_id, b), RK_OK);
    assert_string_equal(b, "abcd1234abcd5678abcd1234abcd5678eb54c2cc4419bf37491079dcf59d9c4a");
    off.opt.ckn_prefix = NULL; /* as the script has it */
    assert_int_equal(jn_ckn(&off, use.key_id, b), RK_OK);
    assert_string_equal(b, "abcd1234abcd5678abcd1234abcd5678eb54c2cc4419bf37491079dcf59d9c4a");
    assert_int_equal(jn_ckn(&off, "key-1", b), RK_E_CONFIG);
    assert_int_equal(jn_cak(&off, key, &use, &cak), RK_OK);
    assert_true(fake_secret_is(cak, "0123456789abcdef0123456789abcdef", 32));
    fake_host.secret_free(&cak);
    use.cipher = "gcm-aes-128";
    assert_int_equal(jn_cak(&d, key, &use, &cak), RK_OK);
    assert_int_equal(fake_host.secret_len(cak), 16);
    fake_host.secret_free(&cak);
    fake_host.secret_free(&key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mka_flat), cmocka_unit_test(test_mka_nested), cmocka_unit_test(test_mka_text),
        cmocka_unit_test(test_mka_join), cmocka_unit_test(test_ckn_same), cmocka_unit_test(test_macsec),
        cmocka_unit_test(test_ckn_cut), cmocka_unit_test(test_join_cut),
        cmocka_unit_test(test_lldp), cmocka_unit_test(test_conf), cmocka_unit_test(test_start),
        cmocka_unit_test(test_hidden_descriptions),
        cmocka_unit_test(test_clock), cmocka_unit_test(test_facts_commits), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_ckn_cak),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
