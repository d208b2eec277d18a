/* offbox_test.c - rekeyctl import-offbox of files: the example of the script's manual in all three forms, both ends,
 * and files that are cut, of others, or nothing at all
 *
 * Whether rekeyctl check accepts what is written, and it rotates, is in tests/process/import_offbox.py.
 */
#include "fakerekeyd.h"

#include "core/cli/offbox.h"

#include "../../plugin/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PUBLIC "abcd1234abcd5678abcd1234abcd5678abcd1234abcd5678abcd1234abcd5678"
#define CAK "ffeeddccbbaa99887766554433221100"

/* The router SAE_A of the manual, as show configuration | display set prints it. */
static const char set_a[] =
    "lab@SAE_A> show configuration | display set\n"
    "set version 20.4R2.7\n"
    "set system host-name SAE_A\n"
    "set system static-host-mapping etsi14-alice.keequant.com inet 78.46.89.177\n"
    "set security macsec connectivity-association CA_basic cipher-suite gcm-aes-xpn-256\n"
    "set security macsec connectivity-association CA_basic security-mode static-cak\n"
    "set security macsec connectivity-association CA_basic pre-shared-key ckn " PUBLIC "\n"
    "set security macsec connectivity-association CA_basic pre-shared-key cak \"$9$" CAK "\" ## SECRET-DATA\n"
    "set security macsec connectivity-association CA_basic exclude-protocol lldp\n"
    "set security macsec interfaces ge-0/0/0 apply-macro qkd kme-ca false\n"
    "set security macsec interfaces ge-0/0/0 apply-macro qkd kme-host etsi14-alice.keequant.com\n"
    "set security macsec interfaces ge-0/0/0 apply-macro qkd kme-port 443\n"
    "set security macsec interfaces ge-0/0/0 connectivity-association CA_basic\n"
    "set security macsec interfaces ge-0/0/0 apply-macro qkd kme-keyid-check false\n"
    "set event-options generate-event every1min time-interval 60\n"
    "set event-options policy qkd events every1min\n"
    "set event-options policy qkd then event-script offbox.py\n"
    "set event-options event-script file offbox.py python-script-user remote\n"
    "set event-options traceoptions file script.log\n"
    "set event-options traceoptions file size 10m\n"
    "set protocols lldp interface all\n";

/* The same as show configuration prints it. */
static const char braces_a[] =
    "## Last commit: 2021-07-07 08:20:00 UTC by lab\n"
    "version 20.4R2.7;\n"
    "system {\n    host-name SAE_A;\n    static-host-mapping {\n        etsi14-alice.keequant.com inet 78.46.89.177;\n"
    "    }\n}\n"
    "security {\n    macsec {\n        connectivity-association CA_basic {\n"
    "            cipher-suite gcm-aes-xpn-256;\n            security-mode static-cak;\n"
    "            pre-shared-key {\n                ckn " PUBLIC ";\n                cak \"$9$" CAK
    "\"; ## SECRET-DATA\n"
    "            }\n            exclude-protocol lldp;\n        }\n"
    "        interfaces {\n            ge-0/0/0 {\n                apply-macro qkd {\n                    kme-ca "
    "false;\n"
    "                    kme-host etsi14-alice.keequant.com;\n                    kme-port 443;\n"
    "                    kme-keyid-check false;\n                }\n"
    "                connectivity-association CA_basic;\n            }\n        }\n    }\n}\n"
    "event-options {\n    generate-event {\n        every1min time-interval 60;\n    }\n"
    "    policy qkd {\n        events every1min;\n        then {\n            event-script offbox.py;\n        }\n    "
    "}\n"
    "    event-script {\n        file offbox.py {\n            python-script-user remote;\n        }\n    }\n"
    "    traceoptions {\n        file script.log size 10m;\n    }\n}\n"
    "/* LLDP\n crosses the link in clear */\n"
    "protocols {\n    lldp {\n        interface all;\n    }\n}\n\n{master}\n";

/* The other end, as display xml prints it: as the manual's, with another KME, and its method. */
#define XML_B(host)                                                                                                    \
    "<rpc-reply xmlns:junos=\"http://xml.juniper.net/junos/20.4R0/junos\">\n"                                          \
    "<configuration junos:commit-seconds=\"1625646000\" junos:commit-user='lab'>\n"                                    \
    "<system><host-name>\n" host "\n</host-name><static-host-mapping><name>etsi14-bob.keequant.com</name>"             \
    "<inet><name>78.46.89.178</name></inet></static-host-mapping></system>\n"                                          \
    "<security><macsec><connectivity-association><name>CA_basic</name><cipher-suite>gcm-aes-xpn-256</cipher-suite>"    \
    "<security-mode>static-cak</security-mode><pre-shared-key><ckn>" PUBLIC "</ckn><cak>$9$" CAK "&lt;</cak>"          \
    "</pre-shared-key><exclude-protocol><name>lldp</name></exclude-protocol></connectivity-association>\n"             \
    "<interfaces><name>ge-0/0/0</name><apply-macro><name>qkd</name>"                                                   \
    "<data><name>kme-ca</name><value>false</value></data>"                                                             \
    "<data><name>kme-host</name><value>etsi14-bob.keequant.com</value></data>"                                         \
    "<data><name>kme-port</name><value>8443</value></data><data><name>kme-method</name><value>post</value></data>"     \
    "</apply-macro><connectivity-association>CA_basic</connectivity-association></interfaces></macsec></security>\n"   \
    "<event-options><generate-event><name>every1min</name><time-interval>60</time-interval></generate-event>"          \
    "<policy><name>qkd</name><events>every1min</events><then><event-script><name>offbox.py</name></event-script></"    \
    "then>"                                                                                                            \
    "</policy><event-script><file><name>offbox.py</name><python-script-user>remote</python-script-user></file>"        \
    "</event-script><traceoptions><file><filename>script.log</filename><size>10m</size></file></traceoptions>"         \
    "</event-options><protocols><lldp><interface><name>all</name></interface></lldp></protocols>\n"                    \
    "</configuration>\n<cli><banner/></cli></rpc-reply>\n"
static const char xml_b[] = XML_B("SAE_B");

static struct scratch scratch;
static struct fake_run run;

static int
begin(void **state)
{
    (void)state;
    scratch_make(&scratch);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    fake_run_free(&run);
    memset(&run, 0, sizeof run);
    scratch_remove(&scratch);
    return 0;
}

static void
import_bytes(const char *more, const void *bytes, size_t len)
{
    char words[600];

    snprintf(words, sizeof words, "import-offbox %s%s", more, scratch_write(&scratch, "f", 0600, bytes, len));
    fake_run_free(&run);
    fake_ctl(&run, words);
}

static void
import(const char *more, const char *text)
{
    import_bytes(more, text, strlen(text));
}

static void
says(const char *text)
{
    if (run.code != RK_CLI_OK || !strstr(run.out, text))
        fail_msg("not there: %s\nin: %s%s", text, run.out, run.err);
}

/* ---- the manual's example ---- */

/* What is told of SAE_A, whatever the form; but for the first line, which names the file. */
static void
tells_of_a(void)
{
    says("\nsae: SAE_A\n");
    says("\n  kme-etsi14-alice.keequant.co:\n    plugin: etsi014\n"
         "    url: \"https://etsi14-alice.keequant.com:443\"\n");
    says("is /var/home/remote/certs/\n    cert: \"/etc/rekey/SAE_A.crt\"\n    key: \"file:/etc/rekey/SAE_A.key\"\n");
    says("# kme-ca was false");
    says("\n    ckn: offbox\n");
    says("    plugin: lldp\n    format: offbox\n");
    says("  - name: SAE_A-ge-0-0-0\n    device: SAE_A\n    interface: ge-0/0/0\n    peer-sae: CHANGE-ME #");
    says("    source: kme-etsi14-alice.keequant.co\n    channel: lldp\n    interval: 300s\n");
    says("#   delete security macsec interfaces ge-0/0/0 apply-macro qkd\n");
    says("#   back: set security macsec interfaces ge-0/0/0 apply-macro qkd kme-host etsi14-alice.keequant.com\n");
    says("#   delete event-options generate-event every1min\n#   delete event-options policy qkd\n"
         "#   delete event-options event-script file offbox.py\n");
    says("#   back: set event-options generate-event every1min time-interval 60\n"
         "#   back: set event-options policy qkd events every1min\n"
         "#   back: set event-options policy qkd then event-script offbox.py\n"
         "#   back: set event-options event-script file offbox.py python-script-user remote\n");
    says("#   run file delete /var/db/scripts/event/offbox.py\n");
    says("CA_basic has the key of the script's manual, which is public");
    says("static-host-mapping etsi14-alice.keequant.com stays");
    assert_null(strstr(run.out, CAK));
    assert_null(strstr(run.out, "exclude-protocol lldp\n")); /* it is there: nothing to be added */
    assert_null(strstr(run.out, "method:"));
}

static void
both_forms_of_one_end(void **state)
{
    char *first;

    (void)state;
    import("", set_a);
    tells_of_a();
    first = strdup(run.out);
    import("", braces_a);
    tells_of_a();
    assert_string_equal(run.out, first);
    free(first);
}

static void
the_other_end_in_xml(void **state)
{
    (void)state;
    import("--peer SAE_A ", xml_b);
    says("\nsae: SAE_B\n");
    says("    url: \"https://etsi14-bob.keequant.com:8443\"\n");
    says("    method: post\n");
    says("    peer-sae: SAE_A\n");
    says("#   back: set security macsec interfaces ge-0/0/0 apply-macro qkd kme-method post\n");
    says("#   delete event-options event-script file offbox.py\n");
    says("#   back: set event-options event-script file offbox.py python-script-user remote\n");
    assert_null(strstr(run.out, CAK));
    import("--json ", xml_b);
    says("\"sae\":\"SAE_B\"");
    says("\"script\":\"offbox.py\"");
    says("{\"when\":\"rekeyd takes over ge-0/0/0\"");
    says("\"do\":[\"delete security macsec interfaces ge-0/0/0 apply-macro qkd\"]");
    says("\"yaml\":\"# rekeyctl import-offbox of ");
}

/* The same XML without blanks and newlines gives the same statements. */
static void
xml_and_set_are_one(void **state)
{
    static const char as_set[] =
        "set system host-name SAE_B\nset security macsec interfaces ge-0/0/0 apply-macro qkd kme-ca false\n"
        "set security macsec interfaces ge-0/0/0 apply-macro qkd kme-host etsi14-bob.keequant.com\n"
        "set security macsec interfaces ge-0/0/0 apply-macro qkd kme-port 8443\n"
        "set security macsec interfaces ge-0/0/0 apply-macro qkd kme-method post\n"
        "set security macsec interfaces ge-0/0/0 connectivity-association CA_basic\n"
        "set security macsec connectivity-association CA_basic pre-shared-key ckn " PUBLIC "\n"
        "set security macsec connectivity-association CA_basic exclude-protocol lldp\n"
        "set system static-host-mapping etsi14-bob.keequant.com inet 78.46.89.178\n"
        "set event-options generate-event every1min time-interval 60\nset event-options policy qkd events [ every1min "
        "]\n"
        "set event-options policy qkd then event-script offbox.py\n"
        "set event-options event-script file offbox.py python-script-user remote\nset protocols lldp interface all\n";
    char *first;

    (void)state;
    import("", xml_b);
    first = strdup(run.out);
    import("", as_set);
    assert_string_equal(run.out, first);
    free(first);
}

/* ---- other routers ---- */

static void
several_links(void **state)
{
    static const char text[] =
        "set system host-name R1\nset system domain-name example.net\n"
        "set security macsec interfaces et-0/0/1.0 apply-macro qkd kme-host kme\n"
        "set security macsec interfaces et-0/0/1.0 connectivity-association CA\n"
        "set security macsec interfaces et-0/0/2 apply-macro qkd kme-host kme\n"
        "set security macsec interfaces et-0/0/2 apply-macro qkd colour \"dark \\\"red\\\"\"\n"
        "set security macsec interfaces et-0/0/2 connectivity-association CA\n"
        "set security macsec interfaces et-0/0/3 apply-macro qkd kme-host kme\n"
        "set security macsec interfaces et-0/0/3 apply-macro qkd kme-method get\n"
        "set security macsec interfaces et-0/0/4 apply-macro qkd kme-host 2001:db8::1\n"
        "set security macsec interfaces et-0/0/5 apply-macro qkd kme-host kme\n"
        "set security macsec interfaces et-0/0/6 apply-macro qkd\n"
        "set security macsec interfaces et-0/0/7 connectivity-association OTHER\n"
        "set security macsec connectivity-association CA mka should-secure\n"
        "set event-options generate-event tick time-interval 120\n"
        "set event-options policy p events [ tick other ]\n"
        "set event-options policy p then event-script my-qkd.py\n"
        "set event-options policy q events tick\n"
        "set event-options policy q then raise-trap\n"
        "deactivate security macsec interfaces et-0/0/5 apply-macro qkd\n";

    (void)state;
    import("", text);
    says("    host: R1.example.net\n");
    says("  kme-kme:\n");
    says("  kme-kme-3:\n"); /* the same host with a method of its own */
    says("url: \"https://[2001:db8::1]:443\"");
    says("  - name: R1-et-0-0-1\n    device: R1\n    interface: et-0/0/1\n");
    says("    # source: to be added, for the macro names no KME\n");
    says("# inactive on the router, and left out: et-0/0/5\n");
    assert_null(strstr(run.out, "interface: et-0/0/5\n"));
    assert_null(strstr(run.out, "et-0/0/7"));
    says("    interval: 480s\n"); /* four ticks */
    says("copy security macsec connectivity-association CA to connectivity-association rk-et-0-0-2\n");
    says("back: set security macsec interfaces et-0/0/2 connectivity-association CA\n");
    says("back: set security macsec interfaces et-0/0/2 apply-macro qkd colour \"dark \\\"red\\\"\"\n");
    says("#   set protocols lldp interface et-0/0/1\n");
    says("#   set security macsec connectivity-association CA exclude-protocol lldp\n");
    says("#   delete event-options policy p\n");
    assert_null(strstr(run.out, "delete event-options generate-event tick")); /* policy q has it too */
    says("et-0/0/2: the macro's colour is not known");
    says("CA has mka should-secure");
    says("et-0/0/6: its apply-macro qkd names no kme-host");
    says("back: deactivate security macsec interfaces et-0/0/5 apply-macro qkd\n");
}

/* Descriptions tell how the script calls the key ID. */
static void
member_of_descriptions(void **state)
{
    static const char *const texts[] = {
        "set interfaces ge-0/0/0 description \"to B|{\\\"keyId\\\": \\\"eb54c2cc-4419-bf37-4910-79dcf59d9c4a\\\"}\"\n"
        "set security macsec interfaces ge-0/0/0 apply-macro qkd kme-host k\n",
        "interfaces { ge-0/0/0 { description \"to B|{\\\"keyId\\\": \\\"x\\\"}\"; } }\n"
        "security { macsec { interfaces { ge-0/0/0 { apply-macro qkd { kme-host k; } } } } }\n",
        "<configuration><interfaces><interface><name>ge-0/0/0</name><description>to B|{&quot;keyId&quot;: "
        "&quot;x&quot;}"
        "</description></interface></interfaces><security><macsec><interfaces><name>ge-0/0/0</name><apply-macro>"
        "<name>qkd</name><data><name>kme-host</name><value>k</value></data></apply-macro></interfaces></macsec>"
        "</security></configuration>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        import("", texts[i]);
        says("    offbox-key: keyId\n");
    }
    import("", "set interfaces ge-0/0/0 description \"|{\"\n"
               "set security macsec interfaces ge-0/0/0 apply-macro qkd kme-host k\n");
    says("    # offbox-key: ");
}

static void
no_script(void **state)
{
    static const char text[] =
        "set system host-name R1\nset security macsec interfaces et-0/0/1 apply-macro qkd kme-host kme\n"
        "set event-options policy p events x\nset event-options policy p then event-script keys.py\n"
        "set event-options policy p then raise-trap\n";

    (void)state;
    import("", text);
    says("no event policy runs a script with offbox or qkd in its name");
    assert_null(strstr(run.out, "delete event-options"));
    import("--script keys.py ", text);
    says("#   delete event-options policy p then event-script keys.py\n");
    says("#   back: set event-options policy p then event-script keys.py\n");
    assert_null(strstr(run.out, "back: set event-options policy p then raise-trap"));
}

/* What is in a name can end no line, no quotation and no comment. */
static void
hostile_names(void **state)
{
    static const char text[] =
        "set system host-name \"A: {x\\\" #\"\n"
        "set security macsec interfaces \"et-0/0/1#: [\" apply-macro qkd kme-host \"k e'\\\\ \\\"x: y\"\n";

    (void)state;
    import("--peer a'b\"c:# ", text);
    says("sae: \"A: {x\\\" #\"\n");
    says("  A---x---:\n    plugin: junos-netconf\n");
    says("https://[k e'\\\\ \\\"x: y]:443\"\n");
    says("    interface: \"et-0/0/1#: [\"\n");
    says("    peer-sae: \"a'b\\\"c:#\"\n");
}

/* ---- bad files ---- */

static void
refused(const char *text, const char *why)
{
    import("", text);
    assert_int_equal(run.code, RK_CLI_FAILED);
    assert_string_equal(run.out, "");
    if (!strstr(run.err, why))
        fail_msg("%s\nsays: %s", why, run.err);
    assert_null(strstr(run.err, CAK));
}

static void
bad_files(void **state)
{
    static const char packed[] = "\x1f\x8b\x08\x00";

    (void)state;
    refused("", "there is nothing in it");
    refused("\n# nothing\n\n", "there is nothing in it");
    refused("hostname r1\ninterface Gi0/1\n mka policy X\n", "line 1: not a configuration of Junos: \"hostname\"");
    refused("set system host-name A\ninterface Gi0/1\n", "line 2: not a statement of Junos");
    refused("set system host-name A\nsystem {\n", "line 2: not a statement of Junos");
    refused("set system host-name A\ndelete security macsec\n", "line 2: \"delete\" is a change of a configuration");
    refused("set system host-name \"A\n", "line 1: a quotation that does not end");
    refused("set deviceconfig system hostname A\n", "none of its 1 statements is one of Junos");
    refused("set system host-name A\n", "has apply-macro qkd (1 statements read)");
    refused("set groups g security macsec interfaces <*> apply-macro qkd\nset apply-groups g\n", "display inheritance");
    refused("ok\x01\n", "line 1: byte 0x01 is no text");
    refused("set system\n\x7f", "line 2: byte 0x7f is no text");
    import_bytes("", packed, sizeof packed);
    assert_non_null(strstr(run.err, "packed by gzip"));
    import_bytes("", "set system host-name A\n\0set", 27);
    assert_non_null(strstr(run.err, "line 2: byte 0x00 is no text"));
    fake_run_free(&run);
    fake_ctl(&run, "import-offbox /no/such/file");
    assert_non_null(strstr(run.err, "/no/such/file: No such file"));
    fake_run_free(&run);
    fake_ctl(&run, "import-offbox /");
    assert_non_null(strstr(run.err, "/: this is a folder"));
}

static void
bad_braces(void **state)
{
    (void)state;
    refused("system {\n  host-name A;\n", "line 3: the file ends within the braces of line 1: it is cut");
    refused("system {\n  host-name A\n}\n", "line 3: a statement without \";\"");
    refused("system {\n  host-name A;\n}\n}\n", "line 4: a brace that closes nothing");
    refused("system {\n} x", "line 2: the file ends within a statement");
    refused("system { { } }", "a brace without a name");
    refused("system { /* a;\n b; }", "line 1: a comment that does not end");
    refused("a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{", "more than 32 braces");
}

static void
bad_xml(void **state)
{
    (void)state;
    refused("<configuration><system>\n<host-name>A</host-name>", "line 2: the file ends within <system> of line 1");
    refused("<configuration><system>\n</configuration>", "line 2: </configuration> closes nothing that is open here "
            "(<system> of line 1 is)");
    refused("<!DOCTYPE a [<!ENTITY x 'y'>]><configuration/>", "a document type");
    refused("<configuration><a>&x;</a></configuration>", "an entity that is not known");
    refused("<configuration><a>&#0;</a></configuration>", "a character reference that is none");
    refused("<configuration a=b/>", "without quotation marks");
    refused("<configuration a='b/>", "does not end");
    refused("<configuration", "does not end");
    refused("<rpc-reply><data/></rpc-reply>", "there is no <configuration> in it");
    refused("<rpc-reply/>\ngarbage", "line 2: text outside of all elements");
    refused("<configuration/>", "none of its 0 statements");
    refused("<", "without a name");
    refused("<interfaces><interface>Gi0/1</interface></interfaces>", "there is no <configuration>");
}

/* Every file that is cut somewhere is refused or read, and nothing else. */
static void
cut_anywhere(void **state)
{
    (void)state;
    for (size_t len = 1; len < sizeof xml_b - 1; len += 13) {
        import_bytes("", xml_b, len);
        assert_int_equal(run.code, RK_CLI_FAILED);
    }
    for (size_t len = 1; len < sizeof braces_a - 1; len += 17) {
        import_bytes("", braces_a, len);
        assert_true(run.code == RK_CLI_FAILED || strstr(run.out, "SAE_A"));
    }
}

/* What is too large is refused as it is read, and a deep or long one within its bounds. */
static void
too_much(void **state)
{
    size_t len = 300000, n = 0;
    char *text = malloc(len + 64);

    (void)state;
    assert_non_null(text);
    n += (size_t)sprintf(text, "set system ");
    memset(text + n, 'a', len);
    text[n + len] = '\0';
    refused(text, "line 1: a statement of more than 8192 bytes");
    sprintf(text, "<configuration><a>");
    memset(text + strlen(text), 'b', 20000);
    text[20000] = '\0';
    refused(text, "line 1: a text that is too long");
    free(text);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(both_forms_of_one_end), T(the_other_end_in_xml), T(xml_and_set_are_one), T(several_links), T(no_script),
        T(member_of_descriptions),
        T(hostile_names),         T(bad_files),            T(bad_braces),          T(bad_xml),       T(cut_anywhere),
        T(too_much),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
