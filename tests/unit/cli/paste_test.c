/* paste_test.c - links that were found as YAML: no name can end a line, a quotation or a comment */
#include "core/cli/paste.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
texts(void **state)
{
    static const char *const rows[][2] = {
        {"abc", "abc"},
        {"ge-0/0/1", "ge-0/0/1"},
        {"SAE_A.b", "SAE_A.b"},
        {"8443", "\"8443\""},
        {"1e3", "\"1e3\""},
        {"", "\"\""},
        {"yes", "\"yes\""},
        {"NULL", "\"NULL\""},
        {"No", "\"No\""},
        {"~", "\"~\""},
        {"a b", "\"a b\""},
        {"a: b", "\"a: b\""},
        {"a#b", "\"a#b\""},
        {"-a", "\"-a\""},
        {"*a", "\"*a\""},
        {"a\"b", "\"a\\\"b\""},
        {"a\nb", "\"a\\nb\""},
        {"a\x1b", "\"a\\u001B\""},
        {"\xc3\xa4", "\"\\u00E4\""},
        {"{a}", "\"{a}\""},
        {"\xff", "\"?\""}, /* no UTF-8 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[100] = "";
        FILE *out = fmemopen(text, sizeof text, "w");

        assert_non_null(out);
        rk_yaml_text(out, rows[i][0]);
        fclose(out);
        assert_string_equal(text, rows[i][1]);
    }
}

static void
links(void **state)
{
    json_t *found = json_pack(
        "[{ss ss ss ss ss ss s{ss ss ss} ss ss ss ss}, {ss ss ss ss ss ss sn ss sn ss ss}, {ss ss ss}]", "device", "r1",
        "interface", "ge-0/0/1", "sae", "alpha", "peer_sae", "evil\n- name: x", "peer_interface", "e\r1", "name", "a_b",
        "source_options", "plugin", "etsi014", "kme-host", "k: #", "kme-ca", "false", "channel", "box", "why", "",
        "needs", "this\nand that", "own_sae", "SAE_A", "device", "r1", "interface", "ge-0/0/2", "sae", "alpha",
        "peer_sae", "", "peer_interface", "", "name", "", "source_options", "source", "", "channel", "why",
        "none\nat all", "needs", "", "interface", "ge-0/0/3", "name", "c_d", "link", "mine");
    char text[4000] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    (void)state;
    assert_non_null(found);
    assert_non_null(out);
    rk_yaml_links(out, found);
    fclose(out);
    json_decref(found);
    assert_string_equal(text, "# sae of this site is SAE_A; its neighbours know the device as alpha\n"
                              "sources:\n"
                              "  kme-k---:\n"
                              "    plugin: etsi014\n"
                              "    kme-host: \"k: #\"\n"
                              "    # kme-ca: false would take keys from whoever answers: it is refused\n"
                              "    # to be added, for the device does not have them:\n"
                              "    # cert: /etc/rekey/THIS-SAE.pem\n"
                              "    # key: \"file:/etc/rekey/THIS-SAE.key\"\n"
                              "    # ca: /etc/rekey/KME-CA.pem\n"
                              "links:\n"
                              "  - name: a_b\n"
                              "    device: r1\n"
                              "    interface: ge-0/0/1\n"
                              "    peer-sae: \"evil\\n- name: x\"\n"
                              "    # the other end is its interface e?1\n"
                              "    source: kme-k---\n"
                              "    channel: box\n"
                              "    # the device still needs: this?and that\n"
                              "  # ge-0/0/2: cannot be used: none?at all\n"
                              "  # ge-0/0/3: is there already, as link mine\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts), cmocka_unit_test(links)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
