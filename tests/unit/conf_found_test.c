/* conf_found_test.c - links that devices find: their names, their sources, and what becomes of them in a
 * configuration */
#include "core/conf/conf.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD \
    "sae: SAE_A\nsources: { kme: { plugin: etsi014, url: \"https://kme.example:8443/x\" }, other: { plugin: etsi014, " \
    "kme-host: kme2.example } }\ndevices: { r1: { plugin: sim }, r2: { plugin: sim } }\n" \
    "channels: { box: { plugin: spool, auth-key: \"file:/a\" } }\n"

static const char *
name_of(const char *sae, const char *iface, const char *peer, const char *peer_iface)
{
    static char a[RK_LINK_MAX + 1], b[RK_LINK_MAX + 1];
    const struct rk_found_end one = {sae, iface}, two = {peer, peer_iface};
    bool ok = rk_found_name(one, two, a);

    assert_int_equal(ok, rk_found_name(two, one, b));
    assert_string_equal(a, b); /* the same at both ends */
    return ok ? a : "";
}

static void
names(void **state)
{
    char first[RK_LINK_MAX + 1];

    (void)state;
    assert_string_equal(name_of("b", "ge-0/0/1", "a", "et-1/0/0:2"), "a-et-1-0-0-2_b-ge-0-0-1");
    assert_string_equal(name_of("a", "i1", "a", "i2"), "a-i1_a-i2");
    /* an end that is not known, or is this one */
    assert_string_equal(name_of("a", "i1", "", "i2"), "");
    assert_string_equal(name_of("a", "i1", "b", ""), "");
    assert_string_equal(name_of("a", "i1", "a", "i1"), "");
    /* what is cut stays apart */
    strcpy(first, name_of("router-with-a-name", "ge-0/0/1", "router-with-another", "ge-0/0/1"));
    assert_int_equal(strlen(first), RK_LINK_MAX);
    assert_memory_equal(first, "router-wit_router-wit-", 22);
    assert_string_not_equal(first, name_of("router-with-a-name", "ge-0/0/1", "router-with-another", "ge-0/0/2"));
    /* whatever the names are, the name is one */
    assert_memory_equal(name_of("-:*", "x", "#", "y"), "x", 1);
    assert_true(strlen(name_of("\"'%&", "{}", "[]", "|>")) > 1);
}

static struct rk_conf_set *
parse(const char *text, struct rk_found_list *found, const char *wrong)
{
    struct rk_conf_errors e = {.file = "test"};
    struct rk_conf_set *set = NULL;
    char line[700] = "";
    int err = rk_conf_parse_found(text, strlen(text), found, &set, &e);

    if (e.n)
        rk_conf_error_text(&e, 0, line, sizeof line);
    if (wrong && !strstr(line, wrong))
        fail_msg("\"%s\" is not in \"%s\"", wrong, line);
    else if (!wrong && err)
        fail_msg("%s", line);
    rk_conf_errors_free(&e);
    return set;
}

static void
sources(void **state)
{
    struct rk_conf_set *set = parse(HEAD "links: []\n", NULL, NULL);
    struct rk_setting s[3] = {{"plugin", "etsi014"}, {"kme-host", "KME.example"}, {"kme-port", "8443"}};

    (void)state;
    assert_string_equal(rk_found_source(set, s, 3), "kme");
    strcpy(s[2].value, "443");
    assert_null(rk_found_source(set, s, 3));
    strcpy(s[1].value, "kme2.example");
    assert_string_equal(rk_found_source(set, s, 3), "other");
    assert_string_equal(rk_found_source(set, s, 2), "other"); /* 443 is the default */
    strcpy(s[1].value, "kme.exampl");
    assert_null(rk_found_source(set, s, 2));
    strcpy(s[0].value, "file");
    assert_null(rk_found_source(set, s, 3));
    assert_null(rk_found_source(set, NULL, 0));
    rk_conf_free(&set);
}

static struct rk_found_link
found(const char *device, const char *iface, const char *peer)
{
    struct rk_found_link f = {.device_class = RK_CLASS_A};

    strcpy(f.device, device);
    strcpy(f.iface, iface);
    strcpy(f.peer_sae, peer);
    strcpy(f.source, "kme");
    snprintf(f.name, sizeof f.name, "l-%.20s", iface);
    return f;
}

static const struct rk_link_conf *
link_of(const struct rk_conf_set *set, const char *name)
{
    for (size_t i = 0; i < set->n_links; i++)
        if (strcmp(set->links[i].name, name) == 0)
            return &set->links[i];
    return NULL;
}

static void
groups(void **state)
{
    struct rk_found_link list[] = {found("r1", "e1", "B"), found("r1", "e2", "C"), found("r2", "e1", "D"),
                                   found("r1", "e3", "SAE_A"), found("r1", "e4", "E"), found("r1", "e5", "F")};
    struct rk_found_list all = {list, 6};
    struct rk_conf_set *set;
    const struct rk_link_conf *link;

    (void)state;
    list[4].source[0] = '\0';
    strcpy(list[5].name, "mine");
    set = parse(HEAD "defaults: { channel: box }\nlinks:\n"
                     "  - { name: mine, device: r1, interface: e2, peer-sae: X, source: other }\n"
                     "  - { discover: r1, interval: 7s, discover-every: 1h }\n", &all, NULL);
    assert_int_equal(set->n_discovers, 1);
    assert_int_equal(set->discovers[0].every_ms, 3600000);
    assert_int_equal(set->n_links, 2);
    link = link_of(set, "l-e1");
    assert_non_null(link);
    assert_string_equal(link->peer_sae, "B");
    assert_string_equal(link->iface, "e1");
    assert_int_equal(link->interval_ms, 7000);
    assert_string_equal(set->instances[link->source].name, "kme");
    assert_true(list[0].used && !list[1].used && !list[2].used && !list[3].used && !list[4].used && !list[5].used);
    assert_non_null(strstr(list[1].why, "has this interface"));
    assert_non_null(strstr(list[3].why, "SAE ID of this site"));
    assert_non_null(strstr(list[4].why, "no source"));
    assert_non_null(strstr(list[5].why, "a link \"mine\" already"));
    rk_conf_free(&set);

    /* a source and a peer of the group are for all; and the text is kept, to be read again */
    set = parse(HEAD "links: { discover: r1, channel: box, source: other, peer-sae: Z }\n", &all, NULL);
    assert_int_equal(set->n_links, 5);
    assert_string_equal(link_of(set, "l-e4")->peer_sae, "Z");
    assert_string_equal(set->instances[link_of(set, "l-e1")->source].name, "other");
    assert_non_null(set->text);
    rk_conf_free(&set);
    set = parse(HEAD "links: []\n", &all, NULL);
    assert_null(set->text);
    assert_int_equal(set->n_links, 0);
    rk_conf_free(&set);
}

/* What devices say is never what makes a file wrong. */
static void
twins(void **state)
{
    struct rk_found_link list[] = {found("r1", "e1", "B"), found("r1", "e1", "C"), found("r2", "e9", "D")};
    struct rk_found_list all = {list, 3};
    struct rk_conf_set *set;

    (void)state;
    strcpy(list[1].name, "another");
    strcpy(list[2].name, "l-e1");
    set = parse(HEAD "defaults: { channel: box }\nlinks: [ { discover: r1 }, { discover: r2 } ]\n", &all, NULL);
    assert_int_equal(set->n_links, 1);
    assert_int_equal(list[0].used + list[1].used + list[2].used, 1);
    rk_conf_free(&set);
}

static void
refused(void **state)
{
    static const struct {
        const char *links, *wrong;
    } rows[] = {
        {"{ discover: r3, channel: box, source: kme }", "r3"},
        {"{ discover: r1, channel: local, peer-interface: x, source: kme }", "does not go with \"discover\""},
        {"{ discover: r1, channel: local, source: kme }", "channel: local has both ends here"},
        {"{ discover: r1, source: kme }", "\"channel\" is missing"},
        {"{ discover: r1, channel: box, name: x }", "\"name\" does not go with \"discover\""},
        {"{ discover: r1, channel: box, interface: x }", "\"interface\" does not go with \"discover\""},
        {"{ discover: r1, channel: box, interval: 1x }", "interval"},
        {"{ discover: r1, channel: box, discover-every: 1ms }", "discover-every"},
        {"{ discover: r1, channel: box, discover-evry: 1m }", "did you mean"},
        {"[ { discover: r1, channel: box }, { discover: r1, channel: box } ]", "discovered already"},
        {"[ { name: a, device: r1, interface: i, peer-sae: B, source: kme, channel: box, discover-every: 1m } ]",
         "only used with \"discover\""},
        {"{ name: a }", "list expected"},
    };
    char text[1000];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rk_conf_set *set;

        snprintf(text, sizeof text, HEAD "links: %s\n", rows[i].links);
        set = parse(text, NULL, rows[i].wrong);
        assert_null(set);
    }
    assert_null(parse(HEAD "defaults: { discover: r1 }\nlinks: []\n", NULL, "cannot have a default"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names), cmocka_unit_test(sources), cmocka_unit_test(groups),
        cmocka_unit_test(twins), cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
