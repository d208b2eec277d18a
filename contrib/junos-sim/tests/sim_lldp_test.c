/* sim_lldp_test.c - what simulated routers hear of each other by LLDP, when, and what others can make them hear */
#include "sim_lab_rig.h"

#include <contrib/junos-sim/store.h>

#include <libxml/parser.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void
neighbours_hear_of_descriptions_later(void **state)
{
    static const char ask[] = "<get-lldp-neighbors-information/>";
    char text[256], why[SIM_WHY_MAX];

    (void)state;
    assert_int_equal(count("m", ask, "lldp-remote-port-description", text, sizeof text), 1);
    assert_string_equal(text, "a & <b>");
    assert_int_equal(sim_edit(sim_lab_box(&lab, "s"), "set interfaces ge-0/0/1 description new", why), 0);
    pass(500);
    count("m", ask, "lldp-remote-port-description", text, sizeof text);
    assert_string_equal(text, "a & <b>");
    pass(4000);
    count("m", ask, "lldp-remote-port-description", text, sizeof text);
    assert_string_equal(text, "new");
}

static size_t
heard(const char *box, char *text, size_t size)
{
    return count(box, "<get-lldp-neighbors-information/>", "lldp-remote-port-description", text, size);
}

static void
edit(const char *box, const char *commands)
{
    char why[SIM_WHY_MAX] = "";

    if (sim_edit(sim_lab_box(&lab, box), commands, why) != 0)
        fail_msg("%s", why);
}

/* A change waits for transmit-delay; without one there is an advertisement at each interval. */
static void
lldp_keeps_its_times(void **state)
{
    char text[256];

    (void)state;
    edit("s", "set protocols lldp transmit-delay 10");
    pass(12000);
    edit("s", "set interfaces ge-0/0/1 description late");
    pass(9000);
    heard("m", text, sizeof text);
    assert_string_equal(text, "a & <b>");
    pass(2000);
    heard("m", text, sizeof text);
    assert_string_equal(text, "late");
    count("m", "<get-lldp-interface-neighbors><interface-device>ge-0/0/1</interface-device>"
          "</get-lldp-interface-neighbors>", "lldp-ttl", text, sizeof text);
    assert_string_equal(text, "120");
    edit("s", "set protocols lldp advertisement-interval 5\nset protocols lldp hold-multiplier 2");
    pass(12000);
    for (int i = 0; i < 3; i++) {
        count("m", "<get-lldp-interface-neighbors><interface-device>ge-0/0/1</interface-device>"
              "</get-lldp-interface-neighbors>", "lldp-age", text, sizeof text);
        assert_true(atoi(text) <= 5);
        pass(5000);
    }
    assert_int_equal(heard("m", text, sizeof text), 1);
}

static void
lldp_forgets(void **state)
{
    struct sim_boxworld *s = sim_lab_box(&lab, "s")->world;
    char text[256], why[SIM_WHY_MAX];

    (void)state;
    assert_int_equal(fault_add(sim_lab_box(&lab, "s"), "lldp-mute", why), 0);
    edit("s", "set interfaces ge-0/0/1 description unsaid");
    pass(110000);
    assert_int_equal(heard("m", text, sizeof text), 1);
    assert_string_equal(text, "a & <b>");
    pass(30000);
    assert_int_equal(heard("m", text, sizeof text), 0); /* the time to live is over */
    fault_clear(sim_lab_box(&lab, "s"));
    assert_int_equal(s->lldp_faults, 0);
    pass(31000);
    assert_int_equal(heard("m", text, sizeof text), 1);
    assert_string_equal(text, "unsaid");
    edit("s", "set protocols lldp interface ge-0/0/1 disable");
    assert_int_equal(heard("m", text, sizeof text), 0); /* it said that it leaves */
    edit("s", "delete protocols lldp interface ge-0/0/1");
    pass(5000);
    assert_int_equal(heard("m", text, sizeof text), 1);
    s->port[0].shut = true;
    pass(100);
    assert_int_equal(heard("m", text, sizeof text), 0); /* the link is down */
    s->port[0].shut = false;
    pass(5000);
    assert_int_equal(heard("m", text, sizeof text), 1);
    edit("m", "delete protocols lldp");
    assert_int_equal(heard("m", text, sizeof text), 0); /* nor does it hear when it does not listen */
    pass(60000);
    assert_int_equal(heard("m", text, sizeof text), 0);
}

static void
lldp_frozen_and_lazy(void **state)
{
    char text[256], why[SIM_WHY_MAX];

    (void)state;
    assert_int_equal(fault_add(sim_lab_box(&lab, "s"), "lldp-frozen", why), 0);
    edit("s", "set interfaces ge-0/0/1 description frozen");
    pass(200000);
    assert_int_equal(heard("m", text, sizeof text), 1);
    assert_string_equal(text, "a & <b>");
    fault_clear(sim_lab_box(&lab, "s"));
    pass(31000);
    heard("m", text, sizeof text);
    assert_string_equal(text, "frozen");
    assert_int_equal(fault_add(sim_lab_box(&lab, "s"), "lldp-lazy", why), 0);
    pass(1000);
    edit("s", "set interfaces ge-0/0/1 description lazy");
    pass(5000);
    heard("m", text, sizeof text);
    assert_string_equal(text, "frozen");
    pass(31000);
    heard("m", text, sizeof text);
    assert_string_equal(text, "lazy");
}

/* Frames of somebody else: with the neighbour's own IDs they replace what it said until it says it again. */
static void
lldp_bears_frames_of_others(void **state)
{
    struct sim_port *p = &sim_lab_box(&lab, "m")->world->port[0], *q = &sim_lab_box(&lab, "m")->world->port[1];
    struct lldp_frame f;
    char text[256];

    (void)state;
    lldp_say(p->peer, &f);
    snprintf(f.text, sizeof f.text, "forged");
    assert_true(lldp_hear(p, &f, now));
    assert_int_equal(heard("m", text, sizeof text), 1);
    assert_string_equal(text, "forged");
    pass(31000);
    assert_int_equal(heard("m", text, sizeof text), 1);
    assert_string_equal(text, "a & <b>");
    f.ttl_s = 20;
    for (int i = 0; i < LLDP_HEARD_MAX + 1; i++) {
        snprintf(f.chassis, sizeof f.chassis, "02:00:00:00:00:0%d", i);
        assert_int_equal(lldp_hear(p, &f, now), i + 1 < LLDP_HEARD_MAX);
    }
    assert_int_equal(heard("m", text, sizeof text), LLDP_HEARD_MAX);
    pass(21000);
    assert_int_equal(heard("m", text, sizeof text), 1);
    assert_string_equal(text, "a & <b>");
    assert_false(lldp_hear(q, &f, now)); /* no cable */
    edit("s", "set protocols lldp port-description-type interface-description");
    edit("s", "set protocols lldp port-id-subtype locally-assigned");
    pass(5000);
    assert_int_equal(heard("m", text, sizeof text), 2); /* by another ID it is another neighbour */
    assert_string_equal(text, "ge-0/0/1");
    pass(121000);
    assert_int_equal(heard("m", text, sizeof text), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, lab_start, lab_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(neighbours_hear_of_descriptions_later),
        CASE(lldp_keeps_its_times),
        CASE(lldp_forgets),
        CASE(lldp_frozen_and_lazy),
        CASE(lldp_bears_frames_of_others),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, lab_make, lab_remove);
}
