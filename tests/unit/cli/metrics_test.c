/* metrics_test.c - rekeyctl metrics: the text to the letter, and what it does when the answer is not whole. */
#include "fakerekeyd.h"

#include "core/model/end.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LINK "{\"link\":\"a-b-1\",\"end\":\"a\",\"role\":\"master\",\"state\":\"idle\",\"device\":\"here\"," \
    "\"interface\":\"ge \\\"0\\\" \\\\ \\n 1\",\"source\":\"kme-a\",\"channel\":\"lldp,box\",\"peer_sae\":\"SAE_B\"," \
    "\"class\":\"A\",\"seq\":12,\"key_id\":\"0b9c\",\"key_age_ms\":43210,\"interval_ms\":120000,\"next_ms\":77000," \
    "\"rotations\":12,\"failed\":1,\"orphaned\":0,\"alarms\":[\"PATH\",\"NEW-ONE\"]," \
    "\"peer\":{\"heard_ms\":1000},\"refused\":{\"records\":3,\"why\":\"wrong tag\",\"ago_ms\":1}," \
    "\"skew\":{\"seq\":12,\"staged_ms\":1,\"switched_ms\":-7,\"margin_ms\":250},\"paths\":[" \
    "{\"channel\":\"lldp\",\"heard_ms\":null,\"stale\":true,\"error\":\"cut\",\"refused\":null}," \
    "{\"channel\":\"box\",\"heard_ms\":20,\"stale\":false,\"error\":null,\"refused\":{\"records\":3}}]}"
#define NO_KEY "{\"link\":\"a-c-1\",\"end\":\"b\",\"role\":\"slave\",\"state\":\"first-key\",\"key_age_ms\":null," \
    "\"rotations\":0,\"alarms\":[],\"peer\":null,\"skew\":null}"
#define DAEMON "{\"daemon\":{\"version\":\"0.1.0\",\"pid\":77,\"uptime_ms\":5000,\"links\":2," \
    "\"journal\":\"disk full\",\"sae\":\"SAE_A\"}}"
#define SOURCE "{\"source\":\"kme-a\",\"peer_sae\":\"SAE_B\",\"state\":\"ok\",\"links\":2,\"waiting\":0," \
    "\"stored\":500,\"refill_per_s\":null,\"use_per_s\":0.025,\"ends_ms\":null,\"dry\":false,\"stretch\":1.0," \
    "\"calls\":9,\"failed\":1,\"keys\":8,\"orphaned\":0}"
#define PLUGIN "{\"plugin\":\"etsi014\",\"kind\":\"source\",\"state\":\"backoff\",\"restarts\":4,\"calls\":10," \
    "\"in_flight\":1,\"instances\":[\"kme-a\"],\"expires\":[{\"instance\":\"kme-a\",\"what\":\"cert /etc/a.crt\"," \
    "\"unix_s\":1800000000}],\"wasted\":{\"kme-a\":2},\"refused\":null}"

static struct fake_run run;
static bool cut; /* the daemon goes away before the plugins are told */

static void
serve(int sock, const struct rk_ask *ask, int n)
{
    (void)n;
    if (strcmp(ask->command, "status") == 0) {
        fake_row(sock, LINK);
        fake_row(sock, NO_KEY);
        fake_row(sock, DAEMON);
    } else if (strcmp(ask->command, "sources") == 0) {
        fake_row(sock, SOURCE);
    } else if (!cut) {
        fake_row(sock, PLUGIN);
    } else {
        return;
    }
    fake_done(sock, 0, "");
}

/* The lines of text that are of this family, without those of "#". */
static char *
family(const char *text, const char *name)
{
    size_t n = strlen(name);
    char *found = calloc(1, strlen(text) + 1);

    assert_non_null(found);
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        if (strncmp(line, name, n) == 0 && (line[n] == ' ' || line[n] == '{'))
            strncat(found, line, strcspn(line, "\n") + 1);
    return found;
}

static void
is(const char *name, const char *want)
{
    char *lines = family(run.out, name);

    assert_string_equal(lines, want);
    free(lines);
}

static void
each_row_is_told(void **state)
{
    (void)state;
    cut = false;
    fake_start(serve);
    fake_ctl(&run, "metrics --socket @");
    assert_string_equal(run.err, "");
    assert_int_equal(run.code, 0);
    assert_memory_equal(run.out, "# TYPE rekeyd_up gauge\n# HELP rekeyd_up ", 40);
    assert_string_equal(run.out + strlen(run.out) - 7, "\n# EOF\n");
    is("rekeyd_up", "rekeyd_up 1\n");
    is("rekeyd_build_info", "rekeyd_build_info{version=\"0.1.0\",sae=\"SAE_A\"} 1\n");
    is("rekeyd_uptime_seconds", "rekeyd_uptime_seconds 5\n");
    is("rekeyd_journal_ok", "rekeyd_journal_ok 0\n");
    is("rekeyd_links", "rekeyd_links 2\n");
    is("rekeyd_link_state", "rekeyd_link_state{link=\"a-b-1\",end=\"a\",state=\"idle\"} 1\n"
                            "rekeyd_link_state{link=\"a-c-1\",end=\"b\",state=\"first-key\"} 1\n");
    is("rekeyd_link_key_age_seconds", "rekeyd_link_key_age_seconds{link=\"a-b-1\",end=\"a\"} 43.21\n");
    is("rekeyd_link_rotations_total", "rekeyd_link_rotations_total{link=\"a-b-1\",end=\"a\"} 12\n"
                                      "rekeyd_link_rotations_total{link=\"a-c-1\",end=\"b\"} 0\n");
    is("rekeyd_link_failed_rotations_total", "rekeyd_link_failed_rotations_total{link=\"a-b-1\",end=\"a\"} 1\n");
    is("rekeyd_link_orphaned_keys_total", "rekeyd_link_orphaned_keys_total{link=\"a-b-1\",end=\"a\"} 0\n");
    is("rekeyd_link_skew_seconds", "rekeyd_link_skew_seconds{link=\"a-b-1\",end=\"a\"} -0.007\n");
    is("rekeyd_link_margin_seconds", "rekeyd_link_margin_seconds{link=\"a-b-1\",end=\"a\"} 0.25\n");
    is("rekeyd_link_refused_records_total", "rekeyd_link_refused_records_total{link=\"a-b-1\",end=\"a\"} 3\n"
                                            "rekeyd_link_refused_records_total{link=\"a-c-1\",end=\"b\"} 0\n");
    is("rekeyd_link_channel_heard_seconds",
       "rekeyd_link_channel_heard_seconds{link=\"a-b-1\",end=\"a\",channel=\"box\"} 0.02\n");
    is("rekeyd_link_channel_stale", "rekeyd_link_channel_stale{link=\"a-b-1\",end=\"a\",channel=\"lldp\"} 1\n"
                                    "rekeyd_link_channel_stale{link=\"a-b-1\",end=\"a\",channel=\"box\"} 0\n");
    is("rekeyd_source_use_keys_per_second",
       "rekeyd_source_use_keys_per_second{source=\"kme-a\",peer_sae=\"SAE_B\"} 0.025\n");
    is("rekeyd_source_refill_keys_per_second", "");
    is("rekeyd_source_calls_total", "rekeyd_source_calls_total{source=\"kme-a\",peer_sae=\"SAE_B\"} 9\n");
    is("rekeyd_source_wasted_keys_total", "rekeyd_source_wasted_keys_total{source=\"kme-a\"} 2\n");
    is("rekeyd_plugin_up", "rekeyd_plugin_up{plugin=\"etsi014\",kind=\"source\"} 0\n");
    is("rekeyd_plugin_restarts_total", "rekeyd_plugin_restarts_total{plugin=\"etsi014\",kind=\"source\"} 4\n");
    is("rekeyd_credential_end_timestamp_seconds",
       "rekeyd_credential_end_timestamp_seconds{plugin=\"etsi014\",instance=\"kme-a\",what=\"cert /etc/a.crt\"} "
       "1800000000\n");
    assert_non_null(strstr(run.out, "# TYPE rekeyd_link_rotations counter\n# HELP rekeyd_link_rotations "));
    assert_non_null(strstr(run.out, "# UNIT rekeyd_link_skew_seconds seconds\n"));
    assert_null(strstr(run.out, "0b9c")); /* a key ID is no label: it would be a new series each time */
}

static void
labels_are_escaped(void **state)
{
    (void)state;
    cut = false;
    fake_start(serve);
    fake_ctl(&run, "metrics --socket @");
    assert_non_null(strstr(run.out, ",interface=\"ge \\\"0\\\" \\\\ \\n 1\",source="));
}

/* Each alarm that the daemon may raise is told, raised or not. */
static void
all_alarms_are_told(void **state)
{
    char *lines;
    size_t n = 0, told = 0;

    (void)state;
    cut = false;
    fake_start(serve);
    fake_ctl(&run, "metrics --socket @");
    lines = family(run.out, "rekeyd_link_alarm");
    for (uint32_t bit = 1; strcmp(rk_alarm_name(bit), "?") != 0; bit <<= 1, n++) {
        char line[100];

        snprintf(line, sizeof line, "rekeyd_link_alarm{link=\"a-b-1\",end=\"a\",alarm=\"%s\"} %d\n",
                 rk_alarm_name(bit), bit == RK_ALARM_PATH);
        if (!strstr(lines, line))
            fail_msg("not there: %s", line);
    }
    for (const char *s = lines; *s; s += strcspn(s, "\n") + 1)
        told++;
    assert_int_equal(told, 2 * n);
    free(lines);
}

static void
json_is_an_array_of_samples(void **state)
{
    json_t *all, *first;

    (void)state;
    cut = false;
    fake_start(serve);
    fake_ctl(&run, "metrics --json --socket @");
    all = json_loads(run.out, 0, NULL);
    assert_true(json_is_array(all) && json_array_size(all) > 50);
    first = json_array_get(all, 0);
    assert_string_equal(json_string_value(json_object_get(first, "metric")), "rekeyd_up");
    assert_true(json_number_value(json_object_get(first, "value")) == 1);
    assert_int_equal(json_object_size(json_object_get(json_array_get(all, 1), "labels")), 2);
    assert_non_null(strstr(run.out, "\"metric\":\"rekeyd_link_rotations_total\""));
    json_decref(all);
}

/* Nothing but that: half an answer would look like links that are gone. */
static void
no_whole_answer_is_down(void **state)
{
    (void)state;
    fake_ctl(&run, "metrics --socket @");
    assert_int_equal(run.code, 3);
    is("rekeyd_up", "rekeyd_up 0\n");
    assert_null(strstr(run.out, "rekeyd_link"));
    assert_string_equal(run.out + strlen(run.out) - 6, "# EOF\n");
    fake_run_free(&run);
    cut = true;
    fake_start(serve);
    fake_ctl(&run, "metrics --socket @");
    assert_int_equal(run.code, 1);
    is("rekeyd_up", "rekeyd_up 0\n");
    assert_null(strstr(run.out, "rekeyd_link"));
    fake_run_free(&run);
    fake_ctl(&run, "metrics --json --socket @");
    assert_string_equal(run.out, "[\n{\"metric\":\"rekeyd_up\",\"labels\":{},\"value\":0.0}\n]\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_row_is_told, fake_end),
        cmocka_unit_test_teardown(labels_are_escaped, fake_end),
        cmocka_unit_test_teardown(all_alarms_are_told, fake_end),
        cmocka_unit_test_teardown(json_is_an_array_of_samples, fake_end),
        cmocka_unit_test_teardown(no_whole_answer_is_down, fake_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
