/* sim_conf_test.c - configurations of junos-sim: forms, loads, comparing, merging, checks, rights, $9$.  No network. */
#include <contrib/junos-sim/rights.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct sim_personality mx = {.name = "mx", .ckn_warning = true}, evo = {.name = "evo", .evo = true},
                                    ex = {.name = "ex", .no_cipher = true};
static struct conf_errors errors;
static const struct sim_personality *as = &mx;

static xmlNode *
load(xmlDoc *doc, const char *text)
{
    struct load l = {.as = as, .errors = &errors};

    memset(&errors, 0, sizeof errors);
    conf_load_any(&l, xmlDocGetRootElement(doc), text);
    return xmlDocGetRootElement(doc);
}

static char *
printed(void (*print)(const struct show *, const xmlNode *, FILE *), const xmlDoc *doc)
{
    const struct show show = {.as = as};
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    print(&show, xmlDocGetRootElement((xmlDoc *)doc), f);
    fclose(f);
    return text;
}

static char *
compared(const xmlDoc *from, const xmlDoc *to)
{
    const struct show show = {.as = as};
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    conf_print_diff(&show, xmlDocGetRootElement((xmlDoc *)from), xmlDocGetRootElement((xmlDoc *)to), f);
    fclose(f);
    return text;
}

#define CKN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CAK "00112233445566778899aabbccddeeff"
#define CA "set security macsec connectivity-association CA1 "

static const char whole[] = CA "cipher-suite gcm-aes-128\n" CA "security-mode static-cak\n"
    CA "mka transmit-interval 2000\n" CA "pre-shared-key ckn " CKN " cak " CAK "\n" CA "exclude-protocol lldp\n"
    CA "replay-protect\n"
    "set security macsec interfaces ge-0/0/0 connectivity-association CA1\n"
    "set security macsec interfaces ge-0/0/0 apply-macro qkd kme-host kme1\n"
    "set security macsec interfaces ge-0/0/1 unit 5 connectivity-association CA1\n"
    "set interfaces ge-0/0/0 description \"a \\\"b\\\" {c}; d\"\n"
    "set system login class x permissions [ view configure ]\ndeactivate protocols lldp\n"
    "set protocols lldp interface all\n";

static void
secrets(void **state)
{
    char sealed[800], clear[160], other[800];

    (void)state;
    assert_true(secret_open("$9$LbHX-wg4Z", clear, sizeof clear)); /* from the documentation of Crypt::Juniper */
    assert_string_equal(clear, "lc");
    for (size_t n = 1; n <= 126; n++) {
        char text[130];

        for (size_t i = 0; i < n; i++)
            text[i] = (char)(' ' + 1 + (i * 7 + n) % 94);
        text[n] = '\0';
        if (text[0] == '$')
            text[0] = 'x';
        assert_true(secret_seal(text, sealed, sizeof sealed));
        assert_true(secret_open(sealed, clear, sizeof clear));
        assert_string_equal(clear, text);
    }
    assert_true(secret_seal("hello", sealed, sizeof sealed) && secret_seal("hello", other, sizeof other));
    assert_true(strcmp(sealed, other) != 0 || secret_seal("hello", other, sizeof other));
    sealed[strlen(sealed) - 1] = '\0';
    assert_false(secret_open(sealed, clear, sizeof clear));
    assert_false(secret_open("$9$", clear, sizeof clear) || secret_open("$9$\"abc", clear, sizeof clear) ||
                 secret_open("$8$abc", clear, sizeof clear) || secret_open("", clear, sizeof clear));
    assert_false(secret_open("hello", clear, 5) || secret_seal("hello", sealed, 10));
}

/* What is printed in any form is the same when it is read. */
static void
forms(void **state)
{
    xmlDoc *doc = conf_new(), *again;
    char *text, *diff;

    (void)state;
    load(doc, whole);
    assert_int_equal(errors.errors, 0);
    for (int form = 0; form < 2; form++) {
        text = printed(form ? conf_print_set : conf_print_text, doc);
        assert_null(strstr(text, CAK));
        again = conf_new();
        load(again, text);
        assert_int_equal(errors.errors, 0);
        diff = compared(doc, again);
        assert_string_equal(diff, "");
        free(diff);
        free(text);
        xmlFreeDoc(again);
    }
    text = printed(conf_print_text, doc);
    assert_non_null(strstr(text, "        interfaces {\n            ge-0/0/0 {\n"
                                 "                connectivity-association CA1;"));
    assert_non_null(strstr(text, "permissions [ view configure ];"));
    assert_non_null(strstr(text, "; ## SECRET-DATA\n"));
    free(text);
    xmlFreeDoc(doc);
}

static void
wrong_statements(void **state)
{
    static const struct {
        const char *line, *element, *text;
        const struct sim_personality *as;
    } row[] = {{"set foo", "foo", "syntax error", &mx},
               {CA "bar 1", "bar", "syntax error", &mx},
               {"frobnicate system", "frobnicate", "syntax error", &mx},
               {CA "mka transmit-interval 1", "transmit-interval", "Value 1 is not within range (2000..10000)", &mx},
               {CA "mka suspend-on-request", "suspend-on-request", "syntax error", &evo},
               {CA "cipher-suite gcm-aes-128", "cipher-suite", "syntax error", &ex},
               {CA "cipher-suite gcm-aes", "cipher-suite", "syntax error", &mx},
               {CA "pre-shared-key ckn abc", "ckn",
                "ckn: 'abc': Must be an even-length string up to 64 hexadecimal digits",
                &mx},
               {CA "pre-shared-key cak " CAK CAK "00", "cak", "Length 66 is not within range (1..64)", &mx},
               {CA "pre-shared-key cak geheim", "cak",
                "cak: key format must be an even-length string of hexadecimal digits",
                &mx},
               {CA "pre-shared-key cak $8$xyz", "cak", "cak: cannot decrypt: master password is not set", &mx},
               {"set security authentication-key-chains key-chain K key 64", "64",
                "Value 64 is not within range (0..63)",
                &mx},
               {"set security authentication-key-chains key-chain K key 1 start-time 2026-13-01.00:00", "start-time",
                "invalid time: '2026-13-01.00:00': must be in YYYY-MM-DD.HH:MM[:SS] form", &mx},
               {"system { host-name ; }", "host-name", "syntax error", &mx},
               {"system { host-name a; nothing { x; y { z; } } domain-name b; }", "nothing", "syntax error", &mx},
               {"system { host-name a; ", "}", "syntax error", &mx},
               {"<configuration><system><foo/></system></configuration>", "foo", "syntax error", &mx}};

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        xmlDoc *doc = conf_new();

        as = row[i].as;
        load(doc, row[i].line);
        if (errors.errors != 1 || strcmp(errors.e[0].message, row[i].text) != 0 ||
            strcmp(errors.e[0].element, row[i].element) != 0)
            fail_msg("%s: %u errors, %s: %s", row[i].line, errors.errors, errors.e[0].element, errors.e[0].message);
        as = &mx;
        xmlFreeDoc(doc);
    }
}

/* The good statements around a wrong one are loaded. */
static void
partial(void **state)
{
    xmlDoc *doc = conf_new();
    struct load l = {.as = &mx, .errors = &errors, .stop_after = 1};
    xmlNode *conf;
    char text[64];

    (void)state;
    conf = load(doc, "system { host-name a; nothing { x; } domain-name b; }");
    assert_true(conf_text(conf, "system/host-name", text, sizeof text) && strcmp(text, "a") == 0);
    assert_true(conf_has(conf, "system/domain-name"));
    memset(&errors, 0, sizeof errors);
    conf_load_set(&l, conf, "set system host-name b\nset system domain-name c\n");
    assert_true(conf_text(conf, "system/host-name", text, sizeof text) && strcmp(text, "b") == 0);
    assert_true(conf_text(conf, "system/domain-name", text, sizeof text) && strcmp(text, "b") == 0);
    assert_true(errors.errors > 0);
    xmlFreeDoc(doc);
}

static void
attributes(void **state)
{
    xmlDoc *doc = conf_new();
    xmlNode *conf;

    (void)state;
    load(doc, whole);
    conf = load(doc, "<configuration><security><macsec><connectivity-association><name>CA1</name>"
                     "<replay-protect delete=\"delete\"/><offset delete=\"delete\"/>"
                     "<pre-shared-key replace=\"replace\"><ckn>" CKN "</ckn></pre-shared-key>"
                     "<mka inactive=\"inactive\"/></connectivity-association></macsec></security></configuration>");
    assert_int_equal(errors.errors, 0);
    assert_int_equal(errors.warnings, 1); /* there is no offset */
    assert_string_equal(errors.e[0].message, "statement not found");
    assert_false(conf_has(conf, "security/macsec/connectivity-association[CA1]/replay-protect"));
    assert_true(conf_has(conf, "security/macsec/connectivity-association[CA1]/pre-shared-key/ckn"));
    assert_false(conf_has(conf, "security/macsec/connectivity-association[CA1]/pre-shared-key/cak"));
    assert_false(conf_has(conf, "security/macsec/connectivity-association[CA1]/mka"));
    load(doc, CA "pre-shared-key cak " CAK);
    assert_true(conf_has(load(doc, "delete protocols"), "system/login"));
    assert_false(conf_has(xmlDocGetRootElement(doc), "protocols"));
    xmlFreeDoc(doc);
}

static void
same_key_is_no_change(void **state)
{
    xmlDoc *doc = conf_new(), *before;
    char *diff;

    (void)state;
    load(doc, whole);
    before = conf_copy(doc);
    load(doc, CA "pre-shared-key cak " CAK);
    diff = compared(before, doc);
    assert_string_equal(diff, "");
    free(diff);
    load(doc, CA "pre-shared-key cak ff" CAK);
    diff = compared(before, doc);
    assert_non_null(strstr(diff, "[edit security macsec connectivity-association CA1 pre-shared-key]\n-   cak \"$9$"));
    free(diff);
    xmlFreeDoc(before);
    xmlFreeDoc(doc);
}

static void
merging(void **state)
{
    xmlDoc *base = conf_new(), *mine, *theirs;
    xmlNode *conf;

    (void)state;
    load(base, whole);
    mine = conf_copy(base);
    theirs = conf_copy(base);
    load(mine, "set system domain-name mine\ndelete interfaces ge-0/0/0 description\n"
               "set system login class y permissions a\n");
    conf = load(theirs, "set system host-name theirs\ndelete security macsec interfaces ge-0/0/1\n");
    memset(&errors, 0, sizeof errors);
    assert_true(conf_merge3(xmlDocGetRootElement(base), xmlDocGetRootElement(mine), conf, &errors));
    assert_true(conf_has(conf, "system/domain-name") && conf_has(conf, "system/host-name"));
    assert_true(conf_has(conf, "system/login/class[y]/permissions"));
    assert_false(conf_has(conf, "interfaces/interface[ge-0/0/0]/description"));
    assert_false(conf_has(conf, "security/macsec/interfaces[ge-0/0/1]"));
    load(theirs, "set system domain-name theirs");
    memset(&errors, 0, sizeof errors);
    assert_false(conf_merge3(xmlDocGetRootElement(base), xmlDocGetRootElement(mine), conf, &errors));
    assert_int_equal(errors.errors, 1);
    xmlFreeDoc(base);
    xmlFreeDoc(mine);
    xmlFreeDoc(theirs);
}

#define PSK CA "security-mode static-cak\n" CA "pre-shared-key ckn " CKN " cak " CAK "\n"
#define CHAIN "set security authentication-key-chains key-chain K key "

static void
checks(void **state)
{
    static const struct {
        const char *conf, *text; /* text "": no error */
        const struct sim_personality *as;
    } row[] = {{PSK, "", &mx},
               {CA "security-mode static-cak", "pre-shared key or fallback-key or pre-shared-key-chain required", &mx},
               {CA "pre-shared-key ckn aa", "missing mandatory statement: 'cak'", &mx},
               {CA "pre-shared-key cak aa", "missing mandatory statement: 'ckn'", &mx},
               {PSK CA "pre-shared-key cak " CAK CAK,
                "cak length 64 is more than 32, which the cipher-suite needs", &mx},
               {PSK CA "cipher-suite gcm-aes-256\n" CA "pre-shared-key cak " CAK CAK, "", &mx},
               {PSK CA "fallback-key ckn " CKN " cak " CAK,
                "ckn of fallback-key must differ from that of pre-shared-key", &mx},
               {CA "security-mode static-cak\n" CA "pre-shared-key-chain K",
                "authentication-key-chains not defined", &mx},
               {"set security macsec interfaces a connectivity-association B",
                "connectivity-association 'B' is not defined", &mx},
               {PSK CA "replay-protect", "missing mandatory statement: 'replay-window-size'", &evo},
               {PSK CA "replay-protect", "", &mx},
               {CHAIN "1 secret a start-time 2026-01-01.00:00\n" CHAIN "2 secret a start-time 2026-01-01.00:00:00",
                "start-time must be unique: key 1 has the same", &mx},
               {CHAIN "1 secret a", "missing mandatory statement: 'start-time'", &mx},
               {PSK CHAIN "1 secret " CAK " start-time 2026-01-01.00:00 key-name " CKN "\n"
                    CA "pre-shared-key-chain K\n"
                    CA "fallback-key ckn " CKN " cak " CAK "\ndelete security macsec connectivity-association CA1 "
                    "pre-shared-key",
                "ckn must not be that of the fallback-key", &mx}};

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct sim_box box = {.as = row[i].as};
        xmlDoc *doc = conf_new();
        bool found = !*row[i].text;

        as = row[i].as;
        load(doc, row[i].conf);
        if (errors.errors)
            fail_msg("%s: %s", row[i].conf, errors.e[0].message);
        conf_check(&box, xmlDocGetRootElement(doc), &errors);
        for (unsigned k = 0; k < errors.n; k++)
            found |= !errors.e[k].warning && strcmp(errors.e[k].message, row[i].text) == 0;
        if (!found || (!*row[i].text && errors.errors))
            fail_msg("%s: %u errors, %s", row[i].conf, errors.errors, errors.e[0].message);
        xmlFreeDoc(doc);
    }
    as = &mx;
}

static void
login_classes(void **state)
{
    xmlDoc *doc = conf_new();
    xmlNode *conf = load(doc, "set system login class k permissions [ configure view ]\n"
                              "set system login class k allow-configuration-regexps \"security macsec .*\"\n"
                              "set system login class k allow-configuration-regexps \"interfaces .* description\"\n"
                              "set system login class k deny-configuration-regexps \".* interfaces .*\"\n"
                              "set system login class s permissions [ view security-control ]\n");
    struct rights *k = rights_new(conf, "k"), *s = rights_new(conf, "s"), *ro = rights_new(conf, "read-only"),
                  *none = rights_new(conf, "no-such"), *all = rights_new(conf, "");

    (void)state;
    assert_true(rights_configure(k) && rights_view(k) && !rights_configure(s) && rights_view(ro));
    assert_false(rights_configure(ro) || rights_view(none) || rights_edit(none, "system host-name"));
    assert_true(rights_edit(k, "security macsec connectivity-association CA1 pre-shared-key ckn"));
    assert_true(rights_edit(k, "interfaces interface ge-0/0/0 description"));
    assert_false(rights_edit(k, "interfaces interface ge-0/0/0 disable"));
    assert_false(rights_edit(k, "security macsec interfaces ge-0/0/0"));
    assert_false(rights_edit(k, "system host-name") || rights_edit(k, "security"));
    assert_true(rights_see(k, "security macsec connectivity-association CA1") && !rights_see(k, "system host-name"));
    assert_true(rights_edit(s, "security macsec") && !rights_edit(s, "interfaces"));
    assert_true(rights_secret(s, "security macsec x cak") && !rights_secret(k, "security macsec x cak"));
    assert_true(rights_edit(all, "anything") && rights_secret(all, "x"));
    rights_free(&k);
    rights_free(&s);
    rights_free(&ro);
    rights_free(&none);
    rights_free(&all);
    xmlFreeDoc(doc);
}

static void
filters(void **state)
{
    xmlDoc *doc = conf_new(), *filter, *got;
    static const char one[] = "<configuration><security><macsec><connectivity-association><name>CA1</name><mka/>"
                              "</connectivity-association><interfaces><name>ge-0/0/1</name></interfaces></macsec>"
                              "</security><system/><snmp/></configuration>";
    xmlNode *conf;

    (void)state;
    load(doc, whole);
    filter = xmlReadMemory(one, (int)strlen(one), NULL, NULL, XML_PARSE_NONET);
    got = conf_filter(xmlDocGetRootElement(doc), xmlDocGetRootElement(filter));
    conf = xmlDocGetRootElement(got);
    assert_true(conf_has(conf, "security/macsec/connectivity-association[CA1]/mka/transmit-interval"));
    assert_false(conf_has(conf, "security/macsec/connectivity-association[CA1]/pre-shared-key"));
    assert_true(conf_has(conf, "security/macsec/interfaces[ge-0/0/1]/unit"));
    assert_false(conf_has(conf, "security/macsec/interfaces[ge-0/0/0]"));
    assert_true(conf_has(conf, "system/login") && !conf_has(conf, "snmp") && !conf_has(conf, "interfaces"));
    xmlFreeDoc(got);
    xmlFreeDoc(filter);
    xmlFreeDoc(doc);
}

static int
begin(void **state)
{
    (void)state;
    return schema_start() ? 0 : -1;
}

static int
end(void **state)
{
    (void)state;
    schema_stop();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets), cmocka_unit_test(forms), cmocka_unit_test(wrong_statements),
        cmocka_unit_test(partial), cmocka_unit_test(attributes), cmocka_unit_test(same_key_is_no_change),
        cmocka_unit_test(merging),
        cmocka_unit_test(checks), cmocka_unit_test(login_classes), cmocka_unit_test(filters)};

    return cmocka_run_group_tests_name("configurations of junos-sim", tests, begin, end);
}
