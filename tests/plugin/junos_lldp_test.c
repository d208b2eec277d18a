/* junos_lldp_test.c - what neighbours tells of the answers that routers give, and how often it asks */
#include "junos_readrig.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N(leaves) "<lldp-neighbor-information>" leaves "</lldp-neighbor-information>"
#define ALL(rows) "<rpc-reply><lldp-neighbors-information>" rows "</lldp-neighbors-information></rpc-reply>"
#define HERE(name) "<lldp-local-port-id>" name "</lldp-local-port-id>"
#define THERE(chassis, port) "<lldp-remote-chassis-id>" chassis "</lldp-remote-chassis-id><lldp-remote-port-id>" port \
                             "</lldp-remote-port-id>"
#define SAYS(text) "<lldp-remote-port-description>" text "</lldp-remote-port-description>"
#define TIMES(ttl, age) "<lldp-ttl>" ttl "</lldp-ttl><lldp-age>" age "</lldp-age>"
#define MAC "00:1c:73:ee:c0:46"

static struct jn_device device;
static struct rk_call call;

struct told {
    char line[8][200];
    size_t n, most;
};

static int
note(void *arg, const struct rk_neighbour *b)
{
    struct told *t = arg;

    assert_true(b->size == sizeof *b && t->n < 8);
    snprintf(t->line[t->n++], sizeof t->line[0], "%s %s %s %s %u \"%s\"", b->iface, b->chassis, b->port, b->system,
             b->ttl_s, b->description);
    return t->most && t->n == t->most ? RK_E_NOMEM : RK_OK;
}

static struct told
ask(const char *const *ifaces, size_t n)
{
    struct told t = {.n = 0};

    assert_int_equal(jn_neighbours(&device, &call, ifaces, n, note, &t), RK_OK);
    return t;
}

static struct told
ask_one(const char *iface)
{
    return ask(&iface, 1);
}

static int
setup(void **state)
{
    static char host[] = "r1";

    (void)state;
    device = (struct jn_device){.host = &fake_host, .opt = {.host = host}};
    call = (struct rk_call){.cancel = {0, 0}};
    return 0;
}

/* The names are said as they were asked for; one request does for any number of interfaces. */
static void
test_all_in_one_request(void **state)
{
    static const char *const ifaces[] = {"et-0/0/1.0", "et-0/0/2", "et-0/0/3", "et-0/0/4"};
    struct rig_rule rules[] = {
        {.part = "get-lldp-neighbors-information",
         .reply = ALL(N(HERE("et-0/0/1") THERE("00-1C-73-EE-C0-46", "et-1/0/0") SAYS("to b &lt;1&gt; rk1|x"))
                      N(HERE("et-0/0/3.0") THERE("spine7", "513") SAYS("c"))
                      N(HERE("et-0/0/9") THERE(MAC, "et-1/0/9") SAYS("of nobody's")))}};
    struct told t;

    (void)state;
    rig_rules(rules, 1);
    t = ask(ifaces, 4);
    assert_int_equal(t.n, 2);
    assert_string_equal(t.line[0], "et-0/0/1.0 " MAC " et-1/0/0  0 \"to b <1> rk1|x\"");
    assert_string_equal(t.line[1], "et-0/0/3 spine7 513  0 \"c\"");
    assert_int_equal(rules[0].asked, 1);
}

static void
test_more_than_one_neighbour(void **state)
{
    static const char *const ifaces[] = {"a-1", "a-2", "a-3"};
    struct rig_rule rules[] = {
        {.part = "get-lldp-neighbors-information",
         .reply = "<rpc-reply><multi-routing-engine-results><multi-routing-engine-item><re-name>re0</re-name>"
                  "<lldp-neighbors-information>" N(HERE("a-1") THERE(MAC, "p1") SAYS("one"))
                  N(HERE("a-1") THERE(MAC, "p2") SAYS("other port"))
                  N(HERE("a-1") THERE("02:00:00:00:00:01", "p1") SAYS("other box"))
                  "</lldp-neighbors-information></multi-routing-engine-item><multi-routing-engine-item>"
                  "<re-name>re1</re-name><lldp-neighbors-information>" N(HERE("a-1") THERE(MAC, "p1") SAYS("one"))
                  "</lldp-neighbors-information></multi-routing-engine-item></multi-routing-engine-results>"
                  "</rpc-reply>"}};
    struct told t;

    (void)state;
    rig_rules(rules, 1);
    t = ask(ifaces, 3);
    assert_int_equal(t.n, 3); /* what both routing engines tell is told once */
    assert_string_equal(t.line[1], "a-1 " MAC " p2  0 \"other port\"");
    assert_string_equal(t.line[2], "a-1 02:00:00:00:00:01 p1  0 \"other box\"");
    t = (struct told){.most = 2};
    assert_int_equal(jn_neighbours(&device, &call, ifaces, 3, note, &t), RK_E_NOMEM); /* it ends with found's code */
    assert_int_equal(t.n, 2);
}

static void
test_stale_ones_are_left_out(void **state)
{
    static const char *const ifaces[] = {"a-1", "a-2", "a-3", "a-4", "a-5"};
    struct rig_rule rules[] = {
        {.part = "get-lldp-neighbors-information",
         .reply = ALL(N(HERE("a-1") THERE(MAC, "p") SAYS("in time") TIMES("120", "29"))
                      N(HERE("a-2") THERE(MAC, "p") SAYS("over") TIMES("120", "120"))
                      N(HERE("a-3") THERE(MAC, "p") SAYS("it leaves") TIMES("0", "0"))
                      N(HERE("a-4") THERE(MAC, "p") SAYS("no age") "<lldp-ttl>120</lldp-ttl>")
                      N(HERE("a-5") THERE(MAC, "p") SAYS("over") TIMES("30", "31"))
                      N(HERE("a-5") THERE(MAC, "p") SAYS("the same, again") TIMES("30", "1")))}};
    struct told t;

    (void)state;
    rig_rules(rules, 1);
    t = ask(ifaces, 5);
    assert_int_equal(t.n, 3);
    assert_string_equal(t.line[0], "a-1 " MAC " p  91 \"in time\"");
    assert_string_equal(t.line[1], "a-4 " MAC " p  120 \"no age\"");
    assert_string_equal(t.line[2], "a-5 " MAC " p  29 \"the same, again\"");
}

static char *
reply_of(const char *file)
{
    xmlDoc *doc = rig_file(file);
    xmlChar *text;
    int len;

    xmlDocDumpMemory(doc, &text, &len);
    xmlFreeDoc(doc);
    return (char *)text;
}

/* The lists of real routers lack the port's ID or its description: those interfaces are asked for alone. */
static void
test_what_a_list_lacks(void **state)
{
    static const char *const ifaces[] = {"xe-4/3/6", "ge-0/0/0", "xe-0/1/0", "xe-9/9/9"};
    char *list = reply_of("lldp-ex.xml"), *one = reply_of("lldp-ex-one.xml");
    struct rig_rule rules[] = {
        {.part = "get-lldp-neighbors-information", .reply = list},
        {.part = "<get-lldp-interface-neighbors>"}, /* not known: the other name is */
        {.part = "<interface-name>xe-0/1/0<", .reply = one},
        {.part = "<interface-name>ge-0/0/0<", .reply = ALL("")}, /* gone meanwhile: as the list has it */
        {.part = "get-lldp-interface-neighbors-information", .err = RK_E_REJECTED},
    };
    struct told t;

    (void)state;
    rig_rules(rules, 5);
    t = ask(ifaces, 4);
    assert_int_equal(t.n, 3);
    assert_string_equal(t.line[0], "xe-4/3/6 00:1c:73:8f:0a:ed Ethernet1 peer00.lab.demo 0 \"\"");
    assert_string_equal(t.line[1], "ge-0/0/0 02:e4:c8:6c:a4:00  rtr00.demo 0 \"GigabitEthernet0/0/0/0\"");
    assert_string_equal(t.line[2], "xe-0/1/0 " MAC " Ethernet3/2/1 core05.tpe01 91 \"Po1:sw21.tpe01:xe-0/1/0\"");
    assert_int_equal(rules[0].asked, 1);
    assert_int_equal(rules[2].asked, 1);
    assert_int_equal(rules[4].asked, 1);
    xmlFree(list);
    xmlFree(one);
}

static void
test_router_that_knows_only_the_list(void **state)
{
    struct rig_rule rules[] = {{.part = "get-lldp-interface-neighbors"},
                               {.part = "get-lldp-neighbors-information",
                                .reply = ALL(N(HERE("a-1") THERE(MAC, "p") SAYS("t")) N(HERE("a-2")))}};
    struct told t;

    (void)state;
    rig_rules(rules, 2);
    t = ask_one("a-1");
    assert_int_equal(t.n, 1);
    assert_string_equal(t.line[0], "a-1 " MAC " p  0 \"t\"");
}

static void
test_nothing_is_heard(void **state)
{
    struct rig_rule rules[] = {{.part = "<", .reply = "<rpc-reply><lldp-neighbors-information/></rpc-reply>"},
                               {.part = "<"}};

    (void)state;
    rig_rules(rules, 1);
    assert_int_equal(ask_one("a-1").n, 0);
    rig_rules(&rules[1], 1); /* a router without LLDP */
    assert_int_equal(ask_one("a-1").n, 0);
}

static void
test_failures_are_told(void **state)
{
    static const int errs[] = {RK_E_UNREACHABLE, RK_E_TIMEOUT, RK_E_REJECTED};
    static const char *const ifaces[] = {"a-1", "a-2", "a-3"};
    struct rig_rule rules[] = {{.part = "<interface-device>", .err = RK_E_UNREACHABLE},
                               {.part = "<", .reply = ALL(N(HERE("a-1") THERE(MAC, "p")))}};
    struct told t = {.n = 0};

    (void)state;
    for (size_t i = 0; i < sizeof errs / sizeof errs[0]; i++) {
        struct rig_rule bad[] = {{.part = "<", .err = errs[i]}};

        rig_rules(bad, 1);
        assert_int_equal(jn_neighbours(&device, &call, ifaces, 3, note, &t), errs[i]);
    }
    rig_rules(rules, 2); /* in the middle of it */
    assert_int_equal(jn_neighbours(&device, &call, ifaces, 3, note, &t), RK_E_UNREACHABLE);
    assert_int_equal(t.n, 0);
}

#define T(name) cmocka_unit_test_setup(test_##name, setup)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_in_one_request), T(more_than_one_neighbour), T(stale_ones_are_left_out), T(what_a_list_lacks),
        T(router_that_knows_only_the_list), T(nothing_is_heard), T(failures_are_told),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
