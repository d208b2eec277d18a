/* junos_found_test.c - links of a router by its configuration and neighbours; what it lacks, as text and as a load */
#include "plugins/device/junos-netconf/prepare.h"

#include "junos_readrig.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct jn_device device = {.opt = {.name = (char *)"r1", .user = (char *)"rekey"}};

static const char conf_text[] =
    "<rpc-reply><configuration><system><host-name>alpha</host-name></system><security><macsec>"
    "<connectivity-association><name>CA1</name><security-mode>static-cak</security-mode>"
    "<exclude-protocol><name>lldp</name></exclude-protocol>"
    "<pre-shared-key><ckn>aa11</ckn><cak>$9$x</cak></pre-shared-key></connectivity-association>"
    "<connectivity-association><name>SHARED</name><security-mode>static-cak</security-mode></connectivity-association>"
    "<interfaces><name>ge-0/0/1</name><apply-macro><name>qkd</name>"
    "<data><name>kme-host</name><value>kme.example</value></data><data><name>kme-port</name><value>8443</value></data>"
    "<data><name>kme-ca</name><value>false</value></data><data><name>other</name><value>x</value></data></apply-macro>"
    "<connectivity-association>CA1</connectivity-association></interfaces>"
    "<interfaces><name>ge-0/0/2</name><apply-macro><name>qkd</name></apply-macro></interfaces>"
    "<interfaces><name>et-0/0/3</name><apply-macro><name>qkd</name></apply-macro>"
    "<connectivity-association>SHARED</connectivity-association></interfaces>"
    "<interfaces><name>et-0/0/4</name><connectivity-association>SHARED</connectivity-association></interfaces>"
    "<interfaces inactive=\"inactive\"><name>ge-0/0/5</name><apply-macro><name>qkd</name></apply-macro></interfaces>"
    "</macsec></security></configuration></rpc-reply>";

static const char system_text[] =
    "<rpc-reply><configuration><system><login><class><name>ops</name></class><user><name>rekey</name>"
    "<class>ops</class></user></login><services><netconf><ssh/></netconf></services></system>"
    "<protocols><lldp><interface><name>ge-0/0/1.0</name></interface></lldp></protocols></configuration></rpc-reply>";

static struct jn_conf *
read_conf(const char *text)
{
    xmlDoc *doc = rig_text(text);
    struct jn_conf *conf = NULL;

    assert_int_equal(jn_conf_read(&fake_host, xmlDocGetRootElement(doc), 0, &conf), RK_OK);
    xmlFreeDoc(doc);
    return conf;
}

/* ---- discover ---- */

struct seen {
    size_t n;
    char line[8][400];
};

static int
take(void *arg, const struct rk_found *f)
{
    struct seen *s = arg;
    int len = snprintf(s->line[s->n], sizeof s->line[0], "%s %s>%s %s", f->iface, f->sae, f->peer_sae, f->peer_iface);

    for (size_t i = 0; f->source && f->source[i]; i += 2)
        len += snprintf(s->line[s->n] + len, sizeof s->line[0] - (size_t)len, " %s=%s", f->source[i], f->source[i + 1]);
    snprintf(s->line[s->n++] + len, sizeof s->line[0] - (size_t)len, " | %s", f->why);
    return RK_OK;
}

static void
discovers(void **state)
{
    struct jn_neighbour lldp[] = {
        {.iface = "ge-0/0/1", .system = "beta", .port = "ge-0/0/7.0", .age_s = 5, .ttl_s = 120},
        {.iface = "ge-0/0/2", .system = "gone", .port = "ge-0/0/8", .age_s = 500, .ttl_s = 120},
        {.iface = "et-0/0/3", .system = "gamma", .port = "531", .description = "to alpha", .age_s = -1, .ttl_s = -1},
        {.iface = "ge-0/0/9", .system = "not-asked", .port = "ge-0/0/1", .age_s = -1, .ttl_s = -1},
    };
    struct jn_view view = {.conf = read_conf(conf_text), .lldp = lldp, .n_lldp = 4};
    struct seen s = {.n = 0};

    (void)state;
    device.host = &fake_host;
    assert_int_equal(jn_discover_view(&device, &view, take, &s), RK_OK);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.line[0], "ge-0/0/1 alpha>beta ge-0/0/7 plugin=etsi014 kme-host=kme.example kme-port=8443 "
                                   "kme-ca=false | ");
    assert_non_null(strstr(s.line[1], "ge-0/0/2 alpha>  | no connectivity association"));
    assert_non_null(strstr(s.line[2], "et-0/0/3 alpha>gamma  | a connectivity association of its own, for it shares"));
    /* the description is the interface's name while the operator gave none */
    snprintf(lldp[2].description, sizeof lldp[2].description, "et-0/1/0 rk1|text");
    /* and two neighbours on a port are none */
    lldp[3] = lldp[0];
    snprintf(lldp[3].system, sizeof lldp[3].system, "delta");
    s.n = 0;
    assert_int_equal(jn_discover_view(&device, &view, take, &s), RK_OK);
    assert_non_null(strstr(s.line[0], "ge-0/0/1 alpha>  plugin"));
    assert_non_null(strstr(s.line[0], "several"));
    assert_non_null(strstr(s.line[2], "gamma et-0/1/0 |"));
    jn_conf_free(&fake_host, &view.conf);
}

/* ---- prepare ---- */

static struct jn_need need;

static bool carries;

static void
make(const char *conf, const char *system, const char *const *ifaces)
{
    struct rk_prepare want = {.size = sizeof want, .ifaces = ifaces, .carries = carries};
    struct jn_view view = {.conf = read_conf(conf)};
    struct jn_system have;
    xmlDoc *doc = rig_text(system);

    assert_int_equal(jn_system_read(xmlDocGetRootElement(doc), device.opt.user, &have), RK_OK);
    xmlFreeDoc(doc);
    assert_int_equal(jn_need_make(&device, &view, &have, &want, &need), RK_OK);
    jn_system_free(&have);
    jn_conf_free(&fake_host, &view.conf);
}

static bool
says(const char *text)
{
    char line[400];

    for (size_t i = 0; i < need.n; i++) {
        jn_need_line(&need.list[i], line, sizeof line);
        if (strcmp(line, text) == 0)
            return true;
    }
    for (size_t i = 0; i < need.n_remarks; i++)
        if (strstr(need.remark[i], text))
            return true;
    return false;
}

static struct scratch scratch;

/* The vendor's models that are at hand have no protocols: those statements are left out for them. */
static void
without_protocols(void)
{
    size_t n = 0;

    for (size_t i = 0; i < need.n; i++)
        if (strcmp(need.list[i].word[0].name, "protocols") != 0)
            need.list[n++] = need.list[i];
    need.n = n;
}

/* Well-formed, each list entry once, and valid against the vendor's models where they are at hand. */
static void
assert_valid(void)
{
    const char *folder = getenv("REKEY_YANG"), *top = getenv("top_srcdir");
    char path[512], file[256], line[1200], *load = jn_need_load(&need);
    FILE *out;

    xmlFreeDoc(rig_text(load));
    free(load);
    without_protocols();
    load = jn_need_load(&need);
    snprintf(path, sizeof path, folder ? "%s/validate.sh" : "%s/../shared/yang/validate.sh",
             folder ? folder : top ? top : ".");
    if (access(path, X_OK) == 0 && system("command -v yanglint >/dev/null && command -v xsltproc >/dev/null") == 0) {
        snprintf(file, sizeof file, "%s/load.xml", scratch.dir);
        out = fopen(file, "w");
        assert_non_null(out);
        fprintf(out, "<rpc>%s</rpc>", load);
        fclose(out);
        snprintf(line, sizeof line, "'%s' '%s' security system >'%s.out' 2>&1", path, file, file);
        if (system(line) != 0) {
            snprintf(line, sizeof line, "sed 's/^/# /' '%s.out'", file);
            (void)!system(line);
            fail_msg("not valid: %s", load);
        }
    } else {
        print_message("# the vendor's models are not at hand: not validated against them\n");
    }
    free(load);
}

static void
prepares(void **state)
{
    static const char *const two[] = {"ge-0/0/1.0", "ge-0/0/2", "et-0/0/3", "ge-0/0/5", NULL};

    (void)state;
    device.host = &fake_host;
    device.opt.keying = JN_PSK;
    make(conf_text, system_text, two);
    assert_true(says("set security macsec connectivity-association rk-ge-0-0-2 cipher-suite gcm-aes-256"));
    assert_true(says("set security macsec connectivity-association rk-ge-0-0-2 exclude-protocol lldp"));
    assert_true(says("set protocols lldp interface ge-0/0/2"));
    assert_true(says("set protocols lldp port-id-subtype interface-name"));
    assert_true(says("set system login class rekeyd permissions configure"));
    assert_true(says("set system login user rekey class rekeyd"));
    assert_true(says("several interfaces share one connectivity association"));
    assert_true(says("MACsec of ge-0/0/5 is inactive"));
    assert_true(says("no NTP server"));
    /* what is there stays as it is: ge-0/0/1 lacks nothing */
    for (size_t i = 0; i < need.n; i++) {
        char line[400];

        jn_need_line(&need.list[i], line, sizeof line);
        assert_null(strstr(line, "ge-0/0/1"));
        assert_null(strstr(line, "CA1"));
        assert_null(strstr(line, "SHARED"));
        assert_null(strstr(line, "netconf"));
        assert_null(strstr(line, "secret "));
    }
    assert_valid();
    jn_need_free(&need);
}

static void
prepares_chain(void **state)
{
    static const char *const one[] = {"et-0/0/9", NULL};

    (void)state;
    device.opt.keying = JN_CHAIN;
    make(conf_text, "<rpc-reply><configuration/></rpc-reply>", one);
    assert_true(says("set security authentication-key-chains key-chain rk-et-0-0-9 description rk-et-0-0-9"));
    assert_true(says("set security macsec connectivity-association rk-et-0-0-9 pre-shared-key-chain rk-et-0-0-9"));
    assert_true(says("set security macsec connectivity-association rk-et-0-0-9 security-mode static-cak"));
    assert_true(says("set security macsec connectivity-association rk-et-0-0-9 cipher-suite gcm-aes-xpn-256"));
    assert_true(says("set system services netconf ssh"));
    assert_valid();
    jn_need_free(&need);
    device.opt.keying = JN_PSK;
}

/* Where records go by LLDP its times count; an operator's own stay, with a word about them. */
static void
prepares_lldp(void **state)
{
    static const char *const one[] = {"et-0/0/9", NULL};
    static const char slow[] =
        "<rpc-reply><configuration><protocols><lldp><advertisement-interval>30</advertisement-interval>"
        "<transmit-delay>1</transmit-delay></lldp></protocols></configuration></rpc-reply>";

    (void)state;
    make(conf_text, system_text, one);
    assert_false(says("set protocols lldp advertisement-interval 5"));
    jn_need_free(&need);
    carries = true;
    make(conf_text, system_text, one);
    assert_true(says("set protocols lldp advertisement-interval 5"));
    assert_true(says("set protocols lldp transmit-delay 1"));
    assert_valid();
    jn_need_free(&need);
    make(conf_text, slow, one);
    assert_false(says("set protocols lldp advertisement-interval 5"));
    assert_false(says("set protocols lldp transmit-delay 1"));
    assert_true(says("its advertisement-interval is 30 s: 5 makes rotations quicker"));
    assert_false(says("transmit-delay is"));
    jn_need_free(&need);
    carries = false;
    make(conf_text, slow, one);
    assert_false(says("makes rotations quicker"));
    jn_need_free(&need);
}

/* Without names: the interfaces of the old script; and what was done is not needed again. */
static void
prepares_macros(void **state)
{
    static const char *const none[] = {NULL};

    (void)state;
    make("<rpc-reply><configuration><security><macsec><connectivity-association><name>rk-ge-0-0-2</name>"
         "<exclude-protocol><name>lldp</name></exclude-protocol></connectivity-association>"
         "<interfaces><name>ge-0/0/2</name><apply-macro><name>qkd</name></apply-macro></interfaces></macsec></security>"
         "</configuration></rpc-reply>",
         "<rpc-reply><configuration><system><login><class><name>rekeyd</name></class><user><name>rekey</name>"
         "<class>rekeyd</class></user></login><services><netconf><ssh/></netconf></services><ntp><server>"
         "<name>192.0.2.1</name></server></ntp></system><protocols><lldp><port-id-subtype>interface-name"
         "</port-id-subtype><interface><name>all</name></interface></lldp></protocols></configuration></rpc-reply>",
         none);
    assert_int_equal(need.n, 0);
    assert_int_equal(need.n_remarks, 0);
    jn_need_free(&need);
}

/* A name that is cut is still one of its own, and fits. */
static void
names(void **state)
{
    char a[JN_CA_MAX + 1], b[JN_CA_MAX + 1], first[] = "interface-with-a-very-long-name-0/0/1",
         second[] = "interface-with-a-very-long-name-0/0/2";

    (void)state;
    jn_ca_name("ge-0/0/1", a);
    assert_string_equal(a, "rk-ge-0-0-1");
    jn_ca_name(first, a);
    jn_ca_name(second, b);
    assert_true(strlen(a) <= JN_CA_MAX);
    assert_string_not_equal(a, b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(discovers),       cmocka_unit_test(prepares), cmocka_unit_test(prepares_chain),
        cmocka_unit_test(prepares_lldp),
        cmocka_unit_test(prepares_macros), cmocka_unit_test(names),
    };
    int failed;

    scratch_make(&scratch);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove(&scratch);
    return failed;
}
