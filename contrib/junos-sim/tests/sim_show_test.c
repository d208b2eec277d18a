/* sim_show_test.c - a lab without network: topologies, what a commit does to MKA, what commands print, faults
 *
 * What is printed is compared with what real routers print (tests/plugin/junos) by its structure: which elements stand
 * below which.  The test moves the world's clock.
 */
#include "sim_lab_rig.h"

#include <contrib/junos-sim/store.h>

#include <core/base/log.h>
#include <libxml/parser.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- structure: pairs of an element and its parent ---- */

struct pairs {
    char pair[128][140];
    size_t n;
};

static bool
has_pair(const struct pairs *p, const char *pair)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->pair[i], pair) == 0)
            return true;
    return false;
}

static void
collect(const xmlNode *of, struct pairs *to)
{
    for (const xmlNode *n = of->children; n; n = n->next) {
        char pair[140];

        if (n->type != XML_ELEMENT_NODE)
            continue;
        snprintf(pair, sizeof pair, "%s/%s", (const char *)of->name, (const char *)n->name);
        if (!has_pair(to, pair)) {
            assert_true(to->n < 128);
            memcpy(to->pair[to->n++], pair, sizeof pair);
        }
        collect(n, to);
    }
}

static void
all_in(const struct pairs *these, const struct pairs *those, const char *whose)
{
    for (size_t i = 0; i < these->n; i++)
        if (!has_pair(those, these->pair[i]))
            fail_msg("%s only: %s", whose, these->pair[i]);
}

/* all: all that the router printed must be printed here, too. */
static void
as_printed(const char *box, const char *request, const char *file, bool all)
{
    const char *top = getenv("top_srcdir");
    struct pairs ours = {.n = 0}, theirs = {.n = 0};
    xmlDoc *mine = answer(box, request), *real;
    char path[300];

    snprintf(path, sizeof path, "%s/tests/plugin/junos/%s", top ? top : ".", file);
    real = xmlReadFile(path, NULL, XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_RECOVER);
    assert_non_null(real);
    collect(conf_get(xmlDocGetRootElement(mine), ""), &ours);
    collect(xmlDocGetRootElement(real), &theirs);
    if (strcmp((const char *)xmlDocGetRootElement(real)->name, "rpc-reply") != 0)
        for (size_t i = 0; i < ours.n; i++) /* a file without the wrapper */
            if (strncmp(ours.pair[i], "rpc-reply/", 10) == 0)
                memcpy(ours.pair[i], theirs.pair[0], sizeof ours.pair[i]);
    assert_true(ours.n > 5);
    all_in(&ours, &theirs, "here");
    if (all)
        all_in(&theirs, &ours, "routers");
    xmlFreeDoc(mine);
    xmlFreeDoc(real);
}

static void
lists_have_the_structure_of_routers(void **state)
{
    (void)state;
    as_printed("m", "<get-macsec-connection-information/>", "show_security_macsec_connections.xml", true);
    as_printed("s", "<get-lldp-neighbors-information/>", "lldp-ex.xml", false);
    as_printed("m", "<get-lldp-interface-neighbors><interface-device>ge-0/0/1</interface-device>"
               "</get-lldp-interface-neighbors>", "lldp-mx-one.xml", false);
}

static void
sessions_are_flat_or_nested(void **state)
{
    char text[128];

    (void)state;
    assert_int_equal(count("m", "<get-mka-session-information/>", "cak-name", text, sizeof text), 2);
    assert_string_equal(text, CKN("B2B2B2B2"));
    assert_int_equal(count("m", "<get-mka-session-information/>", "interface-state", text, sizeof text), 2);
    assert_string_equal(text, "Secured - Primary");
    assert_int_equal(count("m", "<get-mka-session-information><summary/></get-mka-session-information>",
                           "interface-state", text, sizeof text), 0);
    assert_int_equal(count("x", "<get-mka-session-information/>", "cak-status", text, sizeof text), 2);
    assert_string_equal(text, "active");
    assert_int_equal(count("e", "<get-mka-session-information><detail/></get-mka-session-information>", "session-live",
                           text, sizeof text), 2);
    assert_int_equal(count("m", "<get-mka-session-interface-information><interface-name>ge-0/0/2</interface-name>"
                           "</get-mka-session-interface-information>", "cak-name", text, sizeof text), 0);
}

static void
unknown_requests_are_unknown(void **state)
{
    (void)state;
    assert_null(asked("s", "<get-lldp-interface-neighbors/>"));
    assert_null(asked("m", "<get-lldp-interface-neighbors-information/>"));
    assert_null(asked("m", "<get-nothing/>"));
    assert_null(asked("m", "<command>show security mka sessions nonsense</command>"));
    assert_null(asked("m", "<command>request system reboot</command>"));
}

static void
commands_give_text(void **state)
{
    char *text = asked("e", "<command format=\"text\">show security mka sessions | no-more</command>");

    (void)state;
    assert_non_null(text);
    assert_non_null(strstr(text, "<output>"));
    assert_non_null(strstr(text, "     Interface State: Secured - Primary\n"));
    assert_non_null(strstr(text, "     CAK name: " CKN("A1A1A1A1") "\n"));
    free(text);
    text = asked("m", "<command format=\"text\">show security mka sessions summary</command>");
    assert_non_null(strstr(text, " primary     live "));
    assert_non_null(strstr(text, " fallback    active "));
    free(text);
}

static void
engines_answer_each(void **state)
{
    char text[128];

    (void)state;
    assert_int_equal(count("m", "<get-software-information/>", "re-name", text, sizeof text), 2);
    assert_int_equal(count("s", "<get-software-information/>", "re-name", text, sizeof text), 0);
    assert_int_equal(count("s", "<get-software-information/>", "junos-version", text, sizeof text), 1);
}

static void
time_is_local(void **state)
{
    char text[64];
    xmlDoc *doc = answer("e", "<get-system-uptime-information/>");
    const xmlNode *at = conf_get(xmlDocGetRootElement(doc), "system-uptime-information/current-time/date-time");
    xmlChar *s = xmlGetProp((xmlNode *)at, BAD_CAST "seconds");

    (void)state;
    assert_true(conf_value(at, text, sizeof text));
    assert_string_equal(text + strlen(text) - 4, "CEST");
    assert_true(llabs(strtoll((const char *)s, NULL, 10) - now / 1000) <= 1);
    xmlFree(s);
    xmlFreeDoc(doc);
    assert_int_equal(sim_box_zone_s(sim_lab_box(&lab, "e"), 1790000000), 7200);
    assert_int_equal(sim_box_zone_s(sim_lab_box(&lab, "e"), 1797000000), 3600);
    assert_int_equal(sim_box_zone_s(sim_lab_box(&lab, "m"), 1790000000), 0);
}

static void
start_times_are_local_unless_they_say(void **state)
{
    const struct zone *berlin = zone_find("Europe/Berlin");
    int64_t ms;

    (void)state;
    assert_non_null(berlin);
    assert_null(zone_find("../Europe/Berlin"));
    assert_null(zone_find("Nowhere"));
    assert_true(world_start_time(berlin, "2026-07-28.08:43", &ms) && ms == INT64_C(1785220980000));
    assert_true(world_start_time(berlin, "2026-7-28.08:43:00 +0200", &ms) && ms == INT64_C(1785220980000));
    assert_true(world_start_time(NULL, "2026-07-28.06:43:00", &ms) && ms == INT64_C(1785220980000));
    assert_true(world_start_time(berlin, "2026-10-25.02:30", &ms) && ms == INT64_C(1792888200000)); /* the first one */
    assert_true(world_start_time(berlin, "2026-03-29.02:30", &ms) && ms % 1800000 == 0); /* is not there */
    assert_false(world_start_time(berlin, "tomorrow", &ms));
}

static uint64_t
violations(const char *box)
{
    return sim_lab_box(&lab, box)->world->violations;
}

/* As rekeyd would: through the store, by a user who is no operator. */
static void
commit(const char *box, const char *commands, const char *log)
{
    struct sim_box *b = sim_lab_box(&lab, box);
    struct editor ed = {.id = 77, .user = "rekeyd", .client = "netconf"};
    struct conf_errors *errors = calloc(1, sizeof *errors);
    struct load l = {.as = b->as, .errors = errors};
    const struct commit c = {.log = log};
    xmlNode *conf;

    assert_non_null(errors);
    pthread_mutex_lock(&b->lock);
    conf = store_edit(b, &ed, errors);
    conf_load_set(&l, conf, commands);
    store_edited(b, &ed);
    pthread_mutex_unlock(&b->lock);
    if (errors->errors || !store_commit_begin(b, &ed, &c, errors))
        fail_msg("%s: %s", errors->e[0].path, errors->e[0].message);
    store_commit_end(b, &ed, &c, true);
    store_close(b, &ed);
    free(errors);
}

static void
violations_are_seen(void **state)
{
    (void)state;
    commit("m", CA "pre-shared-key ckn " THREE "\n" CA "pre-shared-key cak 200102030405060708090a0b0c0d0e0f\n",
           "rekeyd txn=0123456789abcdef links=1");
    assert_int_equal(violations("m"), 0);
    commit("m", "set interfaces ge-0/0/1 description x\n", "rekeyd txn=0123456789abcdef links=1");
    assert_int_equal(violations("m"), 1); /* twice */
    commit("m", "set interfaces ge-0/0/1 description y\n", "key 200102030405060708090A0b0c0d0e0f");
    assert_int_equal(violations("m"), 3); /* a key in the log, seen on both interfaces of the association */
    commit("s", "delete security macsec interfaces ge-0/0/1\n", "rekeyd txn=2 links=1");
    assert_int_equal(violations("s"), 1);
    assert_non_null(strstr(sim_lab_box(&lab, "s")->world->violation, "binding"));
    commit("x", CA "mka should-secure\n", "rekeyd txn=3 links=1");
    assert_int_equal(violations("x"), 1);
}

/* Of a chain, it is the last one that has begun; one that never did may be given up. */
static void
last_key_stays(void **state)
{
    static const char chain[] = CA "pre-shared-key-chain KC\n"
                                "delete security macsec connectivity-association CA1 pre-shared-key\n"
                                "delete security macsec connectivity-association CA1 fallback-key\n",
                      early[] = "delete security authentication-key-chains key-chain KC key 0\n",
                      late[] = "set security authentication-key-chains key-chain KC key 0 "
                               "start-time 2036-01-01.00:00:00\n";

    (void)state;
    commit("m", chain, NULL);
    commit("m", early, NULL);
    assert_int_equal(violations("m"), 2); /* on both interfaces of the association */
    assert_non_null(strstr(sim_lab_box(&lab, "m")->world->violation, "last key"));
    commit("s", chain, NULL);
    commit("s", late, NULL);
    commit("s", early, NULL);
    assert_int_equal(violations("s"), 0);
}

static void
licence_and_short_names(void **state)
{
    char text[128], why[SIM_WHY_MAX];

    (void)state;
    assert_int_equal(fault_add(sim_lab_box(&lab, "m"), "short-ckn", why), 0);
    count("m", "<get-mka-session-information/>", "cak-name", text, sizeof text);
    assert_int_equal(strlen(text), 32);
    assert_int_equal(fault_add(sim_lab_box(&lab, "m"), "no-licence", why), 0);
    pass(1000);
    assert_int_equal(count("m", "<get-mka-session-information/>", "cak-name", text, sizeof text), 0);
    assert_int_equal(count("m", "<get-macsec-connection-information/>", "interface-name", text, sizeof text), 0);
    fault_clear(sim_lab_box(&lab, "m"));
    pass(8000);
    assert_int_equal(count("m", "<get-mka-session-information/>", "cak-name", text, sizeof text), 2);
}

#define NO_FALLBACK "delete security macsec connectivity-association CA1 fallback-key\n"
#define PSK(ckn) CA "pre-shared-key ckn " ckn "\n" CA "pre-shared-key cak 200102030405060708090a0b0c0d0e0f\n"

static void
cut(struct sim_port *p, bool yes)
{
    pthread_mutex_lock(&world_lock);
    p->cut = p->peer->cut = yes;
    pthread_mutex_unlock(&world_lock);
    pass(60000);
}

/* Both ends of the cable, from when it was looked at last. */
static void
assert_excused(struct mka_port *p, struct mka_port *q, enum mka_excuse why)
{
    assert_int_equal(p->excuses[why], 1);
    assert_int_equal(q->excuses[why], 1);
    assert_true(p->excused_ms[why] + q->excused_ms[why] > 0);
    assert_int_equal(p->unsecured_ms + p->clear_ms + q->unsecured_ms + q->clear_ms, 0);
}

static void
licence_and_keys_that_are_gone_are_excused(void **state)
{
    struct sim_box *m = sim_lab_box(&lab, "m");
    struct mka_port *p = &world_port(m->world, "ge-0/0/1")->mka,
                    *q = &world_port(sim_lab_box(&lab, "s")->world, "ge-0/0/1")->mka;
    const struct timespec down = {.tv_nsec = 60000000};
    char why[SIM_WHY_MAX];

    (void)state;
    assert_int_equal(fault_add(m, "no-licence", why), 0);
    pass(60000);
    assert_true(p->excuse == MKA_LICENCE && q->excuse == MKA_LICENCE);
    fault_clear(m);
    pass(60000);
    assert_true(mka_secured(p) && mka_secured(q) && !p->excuse && !q->excuse);
    assert_excused(p, q, MKA_LICENCE);

    world_reboot(m, true, 50);
    pass(200);
    assert_true(p->excuse == MKA_EMPTY && q->excuse == MKA_EMPTY);
    assert_int_equal(fault_add(sim_lab_box(&lab, "s"), "no-licence", why), 0);
    pass(200);
    assert_true(p->excuse == MKA_EMPTY && q->excuse == MKA_EMPTY);
    fault_clear(sim_lab_box(&lab, "s"));
    nanosleep(&down, NULL);
    pass(60000);
    assert_true(mka_secured(p) && mka_secured(q) && !p->excuse && !q->excuse);
    assert_true(p->excuses[MKA_EMPTY] == 1 && p->unsecured_ms + q->unsecured_ms == 0);
}

static void
only_links_that_come_back_are_excused(void **state)
{
    struct sim_port *port = world_port(sim_lab_box(&lab, "m")->world, "ge-0/0/1");
    struct mka_port *p = &port->mka, *q = &port->peer->mka;

    (void)state;
    cut(port, true);
    commit("m", NO_FALLBACK, NULL);
    commit("s", NO_FALLBACK PSK(THREE), NULL);
    cut(port, false);
    assert_true(p->excuse == MKA_TORN && q->excuse == MKA_TORN);
    commit("m", PSK(THREE), NULL);
    pass(60000);
    assert_true(mka_secured(p) && mka_secured(q) && !p->excuse && !q->excuse);
    assert_excused(p, q, MKA_TORN);

    commit("m", PSK(ONE), NULL);
    commit("m", PSK(TWO), NULL);
    pass(60000);
    assert_true(!mka_secured(p) && !p->excuse && !q->excuse && p->unsecured_ms > 0 && q->unsecured_ms > 0);
    assert_int_equal(p->excuses[MKA_TORN], 1);
}

static void
an_operators_changes_are_cleared(void **state)
{
    struct sim_box *m = sim_lab_box(&lab, "m");
    char why[SIM_WHY_MAX];

    (void)state;
    assert_int_equal(sim_edit_shared(m, "set system domain-name x", why), 0);
    assert_true(*m->store->dirty_by && m->store->shared);
    fault_clear(m);
    assert_true(!*m->store->dirty_by && !m->store->shared);
}

static void
faults_count_and_end(void **state)
{
    static const char *const bad[] = {"", "nothing", "slow-commit:2", "slow-commit:fast", "dead:2s", "clock",
                                      "dead:101%",
                                      "slow-commit:-2s", "slow-commit:2s:3:x"};
    struct sim_box *m = sim_lab_box(&lab, "m");
    struct sim_fault_hit hit;
    char why[SIM_WHY_MAX];
    unsigned hits = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (i != 2) /* two times, which is fine */
            assert_int_equal(fault_add(m, bad[i], why), -1);
    assert_int_equal(fault_add(m, "slow-commit:2s:2", why), 0);
    assert_int_equal(fault_add(m, "dead@get-configuration", why), 0);
    assert_int_equal(fault_add(m, "commit-fails:1", why), 0);
    hit = sim_fault(m, SIM_AT_COMMIT_BEFORE, "commit-configuration");
    assert_int_equal(hit.delay_ms, 2000);
    assert_true(hit.what & SIM_DO_ERROR);
    hit = sim_fault(m, SIM_AT_COMMIT_BEFORE, "commit-configuration");
    assert_int_equal(hit.delay_ms, 2000);
    assert_int_equal(hit.what, 0);
    assert_int_equal(sim_fault(m, SIM_AT_COMMIT_BEFORE, "commit-configuration").delay_ms, 0);
    assert_int_equal(sim_fault(m, SIM_AT_REPLY, "get-mka-session-information").what, 0);
    assert_int_equal(sim_fault(m, SIM_AT_REPLY, "get-configuration").what, SIM_DO_CLOSE);
    assert_int_equal(sim_fault(sim_lab_box(&lab, "s"), SIM_AT_REPLY, "get-configuration").what, 0);
    fault_clear(m);
    assert_int_equal(fault_add(m, "dead:25%", why), 0);
    for (unsigned i = 0; i < 4000; i++)
        hits += sim_fault(m, SIM_AT_REPLY, "x").what != 0;
    assert_in_range(hits, 800, 1200);
    assert_int_equal(fault_add(m, "clock:-3s", why), 0);
    assert_in_range(sim_now_ms() - sim_box_now_ms(m), 2990, 3010);
    fault_clear(m);
}

static void
wrong_topologies_say_where(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "empty"},
        {"devices: []\n", "devices must be"},
        {"devices:\n  - { name: a, adress: 127.0.0.1 }\n", ":2: 'adress' is not known here; did you mean 'address'?"},
        {"devices:\n  - { name: a, address: 10.0.0.1 }\n", "127.0.0.0/8"},
        {"devices:\n  - { name: a, address: 127.0.0.1 }\n", "needs users"},
        {"user: { name: u }\n", "keys or password-file"},
        {"user: { name: u, keys: nofile }\n", "No such file"},
        {"user: { name: u, keys: keys }\ndevices:\n  - { name: a, address: 127.0.0.1, zone: Mars }\n", "zone"},
        {"user: { name: u, keys: keys }\ndevices:\n  - { name: a, address: 127.0.0.1, fault: x }\n", "not known"},
        {"user: { name: u, keys: keys }\ndevices:\n  - { name: a, address: 127.0.0.1, ports: [p] }\n"
         "cables: [\"a:p - a:q\"]\n",
         ":4: there is no port a:q"},
        {"user: { name: u, keys: keys }\ndevices:\n  - { name: a, address: 127.0.0.1 }\n"
         "  - { name: b, address: 127.0.0.1 }\n", "same address"},
        {"hello: 2\n", "with its unit"},
        {"a: [\n", "expected"},
    };
    char path[64], why[SIM_WHY_MAX];

    (void)state;
    snprintf(path, sizeof path, "%s/bad.yaml", dir);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sim_lab wrong = {0};

        lab_put("bad.yaml", bad[i].text);
        assert_int_equal(sim_topology_load(path, &wrong, why), -1);
        if (!strstr(why, bad[i].says))
            fail_msg("\"%s\" says: %s", bad[i].text, why);
        sim_world_stop(&wrong);
        sim_lab_free(&wrong);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, lab_start, lab_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(lists_have_the_structure_of_routers),
        CASE(sessions_are_flat_or_nested),
        CASE(unknown_requests_are_unknown),
        CASE(commands_give_text),
        CASE(engines_answer_each),
        CASE(time_is_local),
        CASE(start_times_are_local_unless_they_say),
        CASE(violations_are_seen),
        CASE(last_key_stays),
        CASE(licence_and_keys_that_are_gone_are_excused),
        CASE(only_links_that_come_back_are_excused),
        CASE(an_operators_changes_are_cleared),
        CASE(licence_and_short_names),
        CASE(faults_count_and_end),
        cmocka_unit_test(wrong_topologies_say_where),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, lab_make, lab_remove);
}
