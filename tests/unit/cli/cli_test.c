/* cli_test.c - rekeyctl against a daemon that is right, wrong, silent or not there. */
#include "fakerekeyd.h"

#include "core/cli/ask.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LINK_1 "{\"link\":\"a-b-1\",\"end\":\"a\",\"role\":\"master\",\"state\":\"idle\",\"phase\":\"idle\"," \
    "\"device\":\"here\",\"interface\":\"sec0\",\"source\":\"kme-a\",\"channel\":\"spool\",\"peer_sae\":\"SAE_B\"," \
    "\"class\":\"A\",\"seq\":12,\"key_id\":\"0b9c\",\"key_age_ms\":43000,\"interval_ms\":120000,\"next_ms\":77000," \
    "\"rotations\":12,\"failed\":0,\"orphaned\":0,\"last\":{\"result\":\"ok\",\"why\":\"\",\"ago_ms\":43000}," \
    "\"alarms\":[],\"peer\":{\"heard_ms\":1000,\"role\":\"slave\",\"phase\":\"idle\",\"seq\":12}}"
#define LINK_2 "{\"link\":\"a-c-1\",\"end\":\"a\",\"role\":\"slave\",\"state\":\"waiting-peer\",\"phase\":\"idle\"," \
    "\"device\":\"here\",\"interface\":\"sec1\",\"source\":\"kme-a\",\"channel\":\"spool\",\"peer_sae\":\"SAE_C\"," \
    "\"class\":\"A\",\"seq\":3,\"key_id\":null,\"key_age_ms\":null,\"interval_ms\":3600000,\"next_ms\":null," \
    "\"rotations\":2,\"failed\":7,\"orphaned\":1,\"last\":{\"result\":\"key-gone\",\"why\":\"kme-a: no such key\"," \
    "\"ago_ms\":5000},\"alarms\":[\"OVERDUE\"],\"peer\":null}"
#define LINK_2B "{\"link\":\"a-c-1\",\"end\":\"b\",\"role\":\"master\",\"state\":\"idle\",\"interval_ms\":3600000," \
    "\"alarms\":[\"OVERDUE\",\"DUE\"]}"
#define DAEMON "{\"daemon\":{\"version\":\"0.1.0\",\"pid\":77,\"uptime_ms\":273900000,\"links\":2,\"journal\":\"ok\"," \
    "\"config\":\"/etc/rekey/rekeyd.yaml\"}}"

static struct fake_run run;

/* ---- status ---- */

static void
serve_two(int sock, const struct rk_ask *ask, int n)
{
    (void)n;
    if (strcmp(ask->command, "status") != 0) {
        fake_done(sock, 1, "not asked for");
        return;
    }
    if (strcmp(ask->arg, "nosuch") == 0) {
        fake_done(sock, 1, "no link 'nosuch'");
        return;
    }
    fake_row(sock, LINK_1);
    if (!ask->arg[0])
        fake_row(sock, LINK_2);
    fake_row(sock, DAEMON);
    fake_done(sock, 0, "");
}

static void
status_is_a_table(void **state)
{
    (void)state;
    fake_start(serve_two);
    fake_ctl(&run, "status --socket @");
    assert_string_equal(run.err, "");
    assert_string_equal(run.out,
        "LINK   ROLE    STATE         AGE / INTERVAL  NEXT  ROTATIONS  FAILED  "
        "LAST RESULT                              ALARMS\n"
        "a-b-1  master  idle             0:43 / 2:00  1:17         12       0  ok\n"
        "a-c-1  slave   waiting-peer     - / 1:00:00     -          2       7  "
        "key-gone: kme-a: no such key (0:05 ago)  OVERDUE\n"
        "2 links, 1 ok, 1 OVERDUE\n"
        "rekeyd 0.1.0, pid 77, up 3d 04:05, journal ok, /etc/rekey/rekeyd.yaml\n");
    assert_int_equal(run.code, 0);
}

static void
status_fits_a_width(void **state)
{
    (void)state;
    fake_start(serve_two);
    fake_ctl(&run, "status --width 100 --socket @");
    assert_string_equal(run.out,
        "LINK   ROLE    STATE         AGE / INTERVAL  NEXT  ROTATIONS  FAILED  LAST RESULT            ALARMS\n"
        "a-b-1  master  idle             0:43 / 2:00  1:17         12       0  ok\n"
        "a-c-1  slave   waiting-peer     - / 1:00:00     -          2       7  key-gone: kme-a: n...  OVERDUE\n"
        "2 links, 1 ok, 1 OVERDUE\n"
        "rekeyd 0.1.0, pid 77, up 3d 04:05, journal ok, /etc/rekey/rekeyd.yaml\n");
}

static void
status_has_colour_when_asked(void **state)
{
    (void)state;
    fake_start(serve_two);
    fake_ctl(&run, "status --color=always --socket @");
    assert_non_null(strstr(run.out, "  \033[32mok\033[0m\n"));
    assert_non_null(strstr(run.out, "\033[1;31mOVERDUE\033[0m\n"));
    assert_non_null(strstr(run.out, "2 links, 1 ok, \033[1;31m1 OVERDUE\033[0m\n"));
}

static void
status_of_one_link_is_detailed(void **state)
{
    (void)state;
    fake_start(serve_two);
    fake_ctl(&run, "status a-b-1 --socket @");
    assert_string_equal(run.out, "a-b-1\n"
                                 "  role       master of end a\n"
                                 "  state      idle\n"
                                 "  device     here, interface sec0, class A\n"
                                 "  by         source kme-a, channel spool\n"
                                 "  key        0b9c, seq 12\n"
                                 "  age        0:43 of 2:00, next in 1:17\n"
                                 "  rotations  12 done, 0 failed, 0 orphaned keys\n"
                                 "  last       ok, 0:43 ago\n"
                                 "  peer       SAE_B, slave, idle, seq 12, heard 0:01 ago\n"
                                 "  alarms     none\n"
                                 "\n"
                                 "rekeyd 0.1.0, pid 77, up 3d 04:05, journal ok, /etc/rekey/rekeyd.yaml\n");
    assert_int_equal(run.code, 0);
}

static void
status_of_an_unknown_link_fails(void **state)
{
    (void)state;
    fake_start(serve_two);
    fake_ctl(&run, "status nosuch --socket @");
    assert_string_equal(run.err, "rekeyctl: no link 'nosuch'\n");
    assert_string_equal(run.out, "");
    assert_int_equal(run.code, 1);
}

static void
status_as_json_is_one_object(void **state)
{
    json_t *whole, *links;

    (void)state;
    fake_start(serve_two);
    fake_ctl(&run, "status --json --socket @");
    whole = json_loads(run.out, 0, NULL);
    links = json_object_get(whole, "links");
    assert_int_equal(json_array_size(links), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(links, 1), "link")), "a-c-1");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(whole, "daemon"), "pid")), 77);
    json_decref(whole);
    assert_int_equal(run.code, 0);
}

static void
alarms_are_an_exit_code_when_asked(void **state)
{
    (void)state;
    fake_start(serve_two);
    fake_ctl(&run, "status --check-alarms --socket @");
    assert_int_equal(run.code, 4);
    fake_run_free(&run);
    fake_ctl(&run, "status a-b-1 --check-alarms --socket @");
    assert_int_equal(run.code, 0);
}

static void
serve_sick_journal(int sock, const struct rk_ask *ask, int n)
{
    (void)ask;
    (void)n;
    fake_row(sock, "{\"daemon\":{\"version\":\"0.1.0\",\"pid\":77,\"journal\":\"disk full\"}}");
    fake_done(sock, 0, "");
}

static void
a_sick_journal_is_an_alarm(void **state)
{
    (void)state;
    fake_start(serve_sick_journal);
    fake_ctl(&run, "status --check-alarms --socket @");
    assert_string_equal(run.out, "no links\nrekeyd 0.1.0, pid 77, up 0:00, journal disk full, ?\n");
    assert_int_equal(run.code, 4);
}

static void
serve_both_ends(int sock, const struct rk_ask *ask, int n)
{
    (void)ask;
    (void)n;
    fake_row(sock, LINK_1);
    fake_row(sock, LINK_2);
    fake_row(sock, LINK_2B);
    fake_done(sock, 0, "");
}

static void
two_ends_are_one_link(void **state)
{
    (void)state;
    fake_start(serve_both_ends);
    fake_ctl(&run, "status --socket @");
    assert_non_null(strstr(run.out, "LINK   END  ROLE"));
    assert_non_null(strstr(run.out, "a-c-1  b    master"));
    assert_non_null(strstr(run.out, "2 links, 1 ok, 1 OVERDUE, 1 DUE\n"));
    assert_int_equal(run.code, 0);
}

/* ---- what the daemon must never be able to do ---- */

static void
serve_hostile_text(int sock, const struct rk_ask *ask, int n)
{
    (void)ask;
    (void)n;
    fake_row(sock, "{\"link\":\"a\\u001b[2Jb\\u009b\\u007f\",\"end\":7,\"state\":[],\"rotations\":\"many\",\"last\":4,"
                   "\"alarms\":{\"a\":1},\"interval_ms\":-5,\"next_ms\":9223372036854775807}");
    fake_done(sock, 1, "no \033]0;title\007 way");
}

static void
no_control_reaches_the_terminal(void **state)
{
    (void)state;
    fake_start(serve_hostile_text);
    fake_ctl(&run, "status --socket @");
    assert_string_equal(run.err, "rekeyctl: no ?]0;title? way\n");
    assert_non_null(strstr(run.out, "\na?[2Jb??"));
    assert_null(strpbrk(run.out, "\033\x7f\x9b"));
    assert_int_equal(run.code, 1);
    fake_run_free(&run);
    fake_ctl(&run, "status --json --socket @");
    for (const char *p = run.out; *p; p++)
        assert_true(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
    assert_non_null(strstr(run.out, "\\u007f"));
}

static void
serve_bad_rows(int sock, const struct rk_ask *ask, int n)
{
    (void)ask;
    (void)n;
    fake_row(sock, LINK_1);
    fake_row(sock, "[1,2]");
    fake_row(sock, "{\"link\":");
    fake_row(sock, "{\"link\":\"\xff\"}");
    fake_row(sock, LINK_2);
    fake_done(sock, 0, "");
}

static void
bad_rows_are_left_out_and_said(void **state)
{
    json_t *whole;

    (void)state;
    fake_start(serve_bad_rows);
    fake_ctl(&run, "status --socket @");
    assert_string_equal(run.err, "rekeyctl: row 2 of rekeyd's answer is not a JSON object and was left out\n"
                                 "rekeyctl: row 3 of rekeyd's answer is not a JSON object and was left out\n"
                                 "rekeyctl: row 4 of rekeyd's answer is not a JSON object and was left out\n");
    assert_non_null(strstr(run.out, "2 links, 1 ok"));
    assert_int_equal(run.code, 1);
    fake_run_free(&run);
    fake_ctl(&run, "status --json --socket @");
    whole = json_loads(run.out, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(whole, "links")), 2);
    json_decref(whole);
}

static void
serve_huge_row(int sock, const struct rk_ask *ask, int n)
{
    static char json[130000];
    size_t len = (size_t)snprintf(json, sizeof json, "{\"link\":\"big\",\"last\":{\"result\":\"io\",\"why\":\"");

    (void)ask;
    (void)n;
    memset(json + len, 'w', 129000);
    strcpy(json + len + 129000, "\"}}");
    fake_row(sock, json);
    fake_done(sock, 0, "");
}

static void
a_huge_row_is_shown(void **state)
{
    (void)state;
    fake_start(serve_huge_row);
    fake_ctl(&run, "status --width 120 --socket @");
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "io: www"));
    assert_true(strlen(run.out) < 600);
}

static void
serve_garbage(int sock, const struct rk_ask *ask, int n)
{
    static const unsigned char junk[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    static char frame[RK_FRAME_MAX];

    (void)ask;
    if (n == 0)
        fake_raw(sock, junk, sizeof junk);
    else if (n == 1)
        fake_raw(sock, frame, rk_row_put(frame, LINK_1) - 5);
    else if (n == 2)
        fake_raw(sock, "x", 1);
    else
        fake_raw(sock, frame, rk_number_put(frame, RK_MSG_CANCEL, 1));
}

static void
garbage_is_refused(void **state)
{
    (void)state;
    fake_start(serve_garbage);
    for (int i = 0; i < 4; i++) {
        fake_ctl(&run, "status --socket @");
        assert_non_null(strstr(run.err, "answer is not understood"));
        assert_string_equal(run.out, "");
        assert_int_equal(run.code, 1);
        fake_run_free(&run);
    }
    fake_ctl(&run, "history x --json --socket @");
    assert_string_equal(run.out, "[]\n");
}

static void
serve_half(int sock, const struct rk_ask *ask, int n)
{
    (void)ask;
    (void)n;
    fake_row(sock, LINK_1);
}

static void
a_cut_answer_is_said_and_stays_json(void **state)
{
    json_t *whole;

    (void)state;
    fake_start(serve_half);
    fake_ctl(&run, "status --json --socket @");
    assert_non_null(strstr(run.err, "before its answer was whole"));
    assert_int_equal(run.code, 1);
    whole = json_loads(run.out, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(whole, "links")), 1);
    assert_true(json_is_null(json_object_get(whole, "daemon")));
    json_decref(whole);
}

static void
serve_nothing(int sock, const struct rk_ask *ask, int n)
{
    char byte;

    (void)ask;
    (void)n;
    while (read(sock, &byte, 1) > 0)
        continue;
}

static void
a_silent_daemon_is_given_up(void **state)
{
    (void)state;
    fake_start(serve_nothing);
    fake_ctl(&run, "status --timeout 50ms --socket @");
    assert_non_null(strstr(run.err, "no answer from rekeyd in time"));
    assert_int_equal(run.code, 1);
}

static void
no_daemon_has_a_code_and_a_remedy(void **state)
{
    (void)state;
    fake_ctl(&run, "status --socket @");
    assert_int_equal(run.code, 3);
    assert_string_equal(run.out, "");
    assert_non_null(strstr(run.err, "is rekeyd running?"));
    fake_run_free(&run);
    fake_start(serve_two);
    fake_stop();
    fake_ctl(&run, "reload --json --socket @");
    assert_int_equal(run.code, 3);
    assert_string_equal(run.out, "");
}

/* ---- the other commands ---- */

static void
serve_lists(int sock, const struct rk_ask *ask, int n)
{
    char text[100];

    (void)n;
    if (strcmp(ask->command, "history") == 0) {
        snprintf(text, sizeof text, "{\"link\":\"limit-%u\",\"time_unix_ms\":-1}", ask->limit);
        fake_row(sock, "{\"time_unix_ms\":1763814600123,\"link\":\"a-b-1\",\"end\":\"a\",\"seq\":12,\"event\":\"done\","
                       "\"key_id\":\"0b9c\",\"result\":\"ok\",\"why\":\"\",\"took_ms\":2100}");
        fake_row(sock, text);
    } else if (strcmp(ask->command, "plugins") == 0) {
        fake_row(sock, "{\"plugin\":\"static\",\"kind\":\"source\",\"version\":\"0.1.0\",\"state\":\"up\",\"pid\":9,"
                       "\"restarts\":0,\"instances\":[\"k1\",\"k2\"],\"calls\":5,\"in_flight\":1,\"last_exit\":null,"
                       "\"caps\":[],\"error\":null}");
    } else if (strcmp(ask->command, "sources") == 0) {
        fake_row(sock, "{\"source\":\"kme-a\",\"plugin\":\"etsi014\",\"peer_sae\":\"SAE_B\",\"state\":\"ok\","
                       "\"links\":3,\"stored\":812,\"max_per_request\":128,\"refill_per_s\":1.254,"
                       "\"use_per_s\":0.025,\"stretch\":1.0,\"ends_ms\":null,\"dry\":false,\"waiting\":0,"
                       "\"calls\":7,\"failed\":1,\"keys\":9,\"orphaned\":0,\"last\":null}");
        fake_row(sock, "{\"source\":\"kme-b\",\"plugin\":\"etsi014\",\"peer_sae\":\"SAE_C\",\"state\":\"waiting\","
                       "\"stretch\":2.5,\"ends_ms\":61000,\"dry\":true,\"waiting\":40,\"orphaned\":2,"
                       "\"last\":{\"result\":\"empty\",\"why\":\"no key\\u001b left\"}}");
    }
    fake_done(sock, 0, strcmp(ask->command, "reload") == 0 ? "1 link added" : "");
}

/* A credential that ends soon, or has ended; the row has none else. */
static void
serve_expires(int sock, const struct rk_ask *ask, int n)
{
    (void)n;
    fake_row(sock,
             strcmp(ask->arg, "a-b-1") == 0
                 ? "{\"link\":\"a-b-1\",\"alarms\":[\"CERT-EXPIRY\"],\"expires\":{\"instance\":\"kme-a\","
                   "\"what\":\"/etc/sae\\u001b.pem\",\"time\":\"2027-02-15 08:00:00 UTC\",\"state\":\"soon\"}}"
                 : "{\"link\":\"a-b-2\",\"expires\":{\"instance\":\"kme-a\",\"what\":\"x\","
                   "\"time\":\"2025-01-01 00:00:00 UTC\",\"state\":\"over\"}}");
    fake_done(sock, 0, "");
}

static void
credentials_that_end_are_shown(void **state)
{
    (void)state;
    fake_start(serve_expires);
    fake_ctl(&run, "status a-b-1 --socket @");
    if (!strstr(run.out, "  ends       /etc/sae?.pem at kme-a, 2027-02-15 08:00:00 UTC\n"))
        fail_msg("%s", run.out);
    fake_run_free(&run);
    fake_ctl(&run, "status a-b-2 --socket @");
    assert_non_null(strstr(run.out, "  ended      x at kme-a, 2025-01-01 00:00:00 UTC\n"));
}

/* What was refused is shown where there was any. */
static void
serve_refused(int sock, const struct rk_ask *ask, int n)
{
    (void)n;
    if (strcmp(ask->command, "plugins") == 0)
        fake_row(sock, "{\"plugin\":\"spool\",\"state\":\"up\",\"refused\":{\"records\":812,\"why\":\"wrong tag\","
                       "\"ago_ms\":5000}}");
    else
        fake_row(sock, "{\"link\":\"a-b-1\",\"refused\":{\"records\":12,\"why\":\"no record: cut off\","
                       "\"ago_ms\":61000}}");
    fake_done(sock, 0, "");
}

static void
refused_records_are_shown(void **state)
{
    (void)state;
    fake_start(serve_refused);
    fake_ctl(&run, "status a-b-1 --socket @");
    assert_non_null(strstr(run.out, "  refused    12 records, the last 1:01 ago: no record: cut off\n"));
    fake_run_free(&run);
    fake_ctl(&run, "plugins --socket @");
    assert_non_null(strstr(run.out, "RECORDS REFUSED"));
    assert_non_null(strstr(run.out, "812, the last: wrong tag"));
}

static void
history_is_a_table(void **state)
{
    (void)state;
    fake_start(serve_lists);
    fake_ctl(&run, "history a-b-1 --socket @");
    assert_string_equal(run.out,
        "TIME (UTC)               LINK      END  SEQ  EVENT  RESULT     TOOK  KEY ID  WHY\n"
        "2025-11-22 12:30:00.123  a-b-1     a     12  done   ok      2100 ms  0b9c\n"
        "?                        limit-50  ?      0  ?                    -\n");
    assert_int_equal(run.code, 0);
    fake_run_free(&run);
    fake_ctl(&run, "history a-b-1 --limit 7 --json --socket @");
    assert_non_null(strstr(run.out, "limit-7"));
}

static void
plugins_is_a_table(void **state)
{
    json_t *whole;

    (void)state;
    fake_start(serve_lists);
    fake_ctl(&run, "plugins --socket @");
    assert_string_equal(run.out, "PLUGIN  KIND    VERSION  STATE  PID  RESTARTS  CALLS  IN FLIGHT  INSTANCES\n"
                                 "static  source  0.1.0    up       9         0      5          1  k1, k2\n");
    fake_run_free(&run);
    fake_ctl(&run, "plugins --json --socket @");
    whole = json_loads(run.out, 0, NULL);
    assert_int_equal(json_array_size(whole), 1);
    json_decref(whole);
}

static void
sources_is_a_table(void **state)
{
    (void)state;
    fake_start(serve_lists);
    fake_ctl(&run, "sources --socket @");
    assert_string_equal(run.out,
        "SOURCE  PLUGIN   PEER   STATE    LINKS  STORED  PER CALL  REFILL/S  USE/S  ENDS IN  STRETCH  WAITING  CALLS  "
        "FAILED  KEYS  ORPHANED  WHY\n"
        "kme-a   etsi014  SAE_B  ok           3     812       128      1.25   0.03        -      1.0        0      7  "
        "     1     9         0\n"
        "kme-b   etsi014  SAE_C  waiting      -       -         -         -      -     1:01      2.5       40      -  "
        "     -     -         2  empty: no key? left\n");
    fake_run_free(&run);
    fake_ctl(&run, "sources --json --socket @");
    assert_non_null(strstr(run.out, "\"max_per_request\":128"));
    assert_int_equal(run.code, 0);
}

static void
reload_says_what_was_done(void **state)
{
    (void)state;
    fake_start(serve_lists);
    fake_ctl(&run, "reload --socket @");
    assert_string_equal(run.out, "1 link added\n");
    fake_run_free(&run);
    fake_ctl(&run, "reload --json --socket @");
    assert_string_equal(run.out, "{\"ok\":true,\"text\":\"1 link added\",\"rows\":[]}\n");
}

#define EXPLAIN_A "{\"link\":\"x\",\"end\":\"a\",\"role\":\"master\",\"state\":\"idle\"," \
    "\"text\":\"The key is 12 s old. The source has no key left.\",\"alarms\":[" \
    "{\"alarm\":\"SOURCE-DRY\",\"at\":\"kme-a\",\"do\":\"give it new keys\"}," \
    "{\"alarm\":\"DUE\",\"at\":null,\"do\":\"wait\"}]}"
#define EXPLAIN_B "{\"link\":\"x\",\"end\":\"b\",\"role\":\"slave\",\"state\":\"idle\"," \
    "\"text\":\"It\\nwaits \\u001b[2J.\",\"alarms\":[]}"

static void
serve_explain(int sock, const struct rk_ask *ask, int n)
{
    bool adopt = strcmp(ask->command, "adopt") == 0, known = strcmp(ask->arg, "x") == 0;
    bool enable = strcmp(ask->command, "enable") == 0;

    (void)n;
    if (!known) {
        fake_done(sock, 1, "no link \"y\"; did you mean \"x\"?");
        return;
    }
    if (!adopt && !enable) {
        fake_row(sock, EXPLAIN_A);
        fake_row(sock, EXPLAIN_B);
    }
    fake_done(sock, 0, adopt ? "x: given up" : enable ? "x: tried again now" : "");
}

static void
explain_is_folded_to_the_width(void **state)
{
    (void)state;
    fake_start(serve_explain);
    fake_ctl(&run, "explain x --socket @");
    assert_string_equal(run.err, "");
    assert_string_equal(run.out, "x, master of end a\n"
                                 "  The key is 12 s old. The source has no key left.\n"
                                 "  SOURCE-DRY at kme-a: give it new keys\n"
                                 "  DUE: wait\n"
                                 "\n"
                                 "x, slave of end b\n"
                                 "  It waits ?[2J.\n");
    assert_int_equal(run.code, 0);
    fake_run_free(&run);
    fake_ctl(&run, "explain x --width 41 --socket @");
    assert_non_null(strstr(run.out, "a\n  The key is 12 s old. The source has no\n  key left.\n  SOURCE-DRY"));
}

static void
explain_as_json_is_an_array(void **state)
{
    json_t *whole, *second;

    (void)state;
    fake_start(serve_explain);
    fake_ctl(&run, "explain x --json --socket @");
    whole = json_loads(run.out, 0, NULL);
    assert_int_equal(json_array_size(whole), 2);
    second = json_array_get(whole, 1);
    assert_string_equal(json_string_value(json_object_get(second, "end")), "b");
    assert_string_equal(json_string_value(json_object_get(second, "text")), "It\nwaits \x1b[2J.");
    json_decref(whole);
    fake_run_free(&run);
    fake_ctl(&run, "explain y --json --socket @");
    assert_string_equal(run.out, "[]\n");
    assert_string_equal(run.err, "rekeyctl: no link \"y\"; did you mean \"x\"?\n");
    assert_int_equal(run.code, 1);
    fake_run_free(&run);
    fake_stop();
    fake_ctl(&run, "explain x --json --socket @");
    assert_string_equal(run.out, "");
    assert_int_equal(run.code, 3);
}

static void
adopt_says_what_happens(void **state)
{
    (void)state;
    fake_start(serve_explain);
    fake_ctl(&run, "adopt x --socket @");
    assert_string_equal(run.out, "x: given up\n");
    assert_int_equal(run.code, 0);
    fake_run_free(&run);
    fake_ctl(&run, "adopt y --socket @");
    assert_string_equal(run.err, "rekeyctl: no link \"y\"; did you mean \"x\"?\n");
    assert_string_equal(run.out, "");
    assert_int_equal(run.code, 1);
}

static void
enable_says_what_was_done(void **state)
{
    (void)state;
    fake_start(serve_explain);
    fake_ctl(&run, "enable x --json --socket @");
    assert_non_null(strstr(run.out, "\"text\":\"x: tried again now\""));
    assert_int_equal(run.code, 0);
    fake_run_free(&run);
    fake_ctl(&run, "enable y --socket @");
    assert_int_equal(run.code, 1);
    fake_run_free(&run);
    fake_ctl(&run, "enable");
    assert_int_equal(run.code, 2);
}

/* A link with each policy, as rekeyd shows it. */
static void
serve_policies(int sock, const struct rk_ask *ask, int n)
{
    static const char *const rows[] = {
        ("\"class\":\"B\",\"class_declared\":\"A\",\"on_stale\":\"fallback\",\"fallback_source\":\"lab\","
         "\"fallback_in_use\":true,\"shut\":false"),
        "\"class\":\"A\",\"class_declared\":\"A\",\"on_stale\":\"shut\",\"shut_after_ms\":720000,\"shut\":true",
        "\"on_stale\":\"hold\"",
    };
    char text[300];

    (void)ask;
    (void)n;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(text, sizeof text, "{\"link\":\"x\",\"state\":\"shut\",%s}", rows[i]);
        fake_row(sock, text);
    }
    fake_done(sock, 0, "");
}

static void
status_tells_the_policy(void **state)
{
    (void)state;
    fake_start(serve_policies);
    fake_ctl(&run, "status x --socket @");
    assert_non_null(strstr(run.out, "class B (the plugin declares A)\n"));
    assert_non_null(strstr(run.out, "\n  on-stale   fallback to source lab: its key is in use\n"));
    assert_non_null(strstr(run.out, "class A\n"));
    assert_non_null(strstr(run.out, "\n  on-stale   shut at the age of 12:00: it is shut\n"));
    assert_non_null(strstr(run.out, "\n  on-stale   hold\n"));
}

/* Of one source, of several with all in the key, and with one missing. */
static void
serve_sources(int sock, const struct rk_ask *ask, int n)
{
    static const char *const rows[] = {
        "\"source\":\"kme-a\",\"sources\":[\"kme-a\"],\"require\":null,\"sources_used\":[\"kme-a\"]",
        "\"sources\":[\"kme-b\",\"pool\"],\"require\":\"all\",\"sources_used\":[\"kme-b\",\"pool\"]",
        "\"sources\":[\"kme-c\",\"pool\"],\"require\":\"any\",\"sources_used\":[\"pool\"]",
        "\"sources\":[\"kme-d\",\"pool\"],\"require\":\"any\",\"sources_used\":null",
    };
    char text[300];

    (void)ask;
    (void)n;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(text, sizeof text, "{\"link\":\"x\",\"state\":\"idle\",\"channel\":\"box\",%s}", rows[i]);
        fake_row(sock, text);
    }
    fake_done(sock, 0, "");
}

static void
status_tells_the_sources(void **state)
{
    (void)state;
    fake_start(serve_sources);
    fake_ctl(&run, "status x --socket @");
    assert_non_null(strstr(run.out, "\n  by         source kme-a, channel box\n  key "));
    assert_non_null(strstr(run.out, "\n  by         sources kme-b, pool, require all, channel box\n"
                                    "  mixed of   kme-b, pool\n  key "));
    assert_non_null(strstr(run.out, "\n  by         sources kme-c, pool, require any, channel box\n"
                                    "  mixed of   pool: the key in use lacks a source\n  key "));
    assert_non_null(strstr(run.out, "\n  by         sources kme-d, pool, require any, channel box\n  key "));
}

/* The first status shows 1 rotation; after rotate the link is busy once, then has ended as `arg` says. */
static void
serve_rotate(int sock, const struct rk_ask *ask, int n)
{
    bool good = strcmp(ask->arg, "good") == 0;
    char row[400];

    if (strcmp(ask->command, "rotate") == 0) {
        fake_done(sock, strcmp(ask->arg, "refused") == 0, strcmp(ask->arg, "refused") == 0 ? "the peer is master" : "");
        return;
    }
    snprintf(row, sizeof row, "{\"link\":\"x\",\"role\":\"master\",\"state\":\"%s\",\"rotations\":%d,\"failed\":%d,"
             "\"seq\":%d,\"key_id\":\"k%d\",\"last\":{\"result\":\"%s\",\"why\":\"%s\"}}",
             n == 2 ? "staged" : "idle", 1 + (n > 2 && good), n > 2 && !good, n, n, n > 2 && !good ? "empty" : "ok",
             n > 2 && !good ? "no key left" : "");
    fake_row(sock, row);
    fake_done(sock, 0, "");
}

static void
rotate_can_wait(void **state)
{
    (void)state;
    fake_start(serve_rotate);
    fake_ctl(&run, "rotate good --wait --socket @");
    assert_string_equal(run.err, "");
    assert_memory_equal(run.out, "good: rotated, seq 3, key k3, in ", 33);
    assert_int_equal(run.code, 0);
    fake_stop();
    fake_run_free(&run);
    fake_start(serve_rotate);
    fake_ctl(&run, "rotate bad --wait --socket @");
    assert_string_equal(run.err, "rekeyctl: bad: the rotation failed: empty: no key left\n");
    assert_int_equal(run.code, 1);
}

static void
rotate_can_be_refused(void **state)
{
    (void)state;
    fake_start(serve_rotate);
    fake_ctl(&run, "rotate refused --wait --socket @");
    assert_string_equal(run.err, "rekeyctl: the peer is master\n");
    assert_int_equal(run.code, 1);
    fake_run_free(&run);
    fake_ctl(&run, "rotate refused --socket @");
    assert_string_equal(run.err, "rekeyctl: the peer is master\n");
    assert_int_equal(run.code, 1);
}

static void
serve_stuck(int sock, const struct rk_ask *ask, int n)
{
    (void)n;
    if (strcmp(ask->command, "status") == 0)
        fake_row(sock, LINK_1);
    fake_done(sock, 0, "");
}

static void
rotate_does_not_wait_for_ever(void **state)
{
    (void)state;
    fake_start(serve_stuck);
    fake_ctl(&run, "rotate a-b-1 --wait --timeout 1ms --socket @");
    assert_non_null(strstr(run.err, "a-b-1: not done after 0.001 s; it goes on: see rekeyctl status a-b-1"));
    assert_int_equal(run.code, 1);
}

static void
version_tells_both(void **state)
{
    (void)state;
    fake_ctl(&run, "version --socket @");
    assert_non_null(strstr(run.out, "rekeyctl " PACKAGE_VERSION ", plugin ABI 1.0\n"));
    assert_int_equal(run.code, 3);
}

/* ---- the command line ---- */

static void
wrong_usage_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "nosuch",
        "status a b",
        "rotate",
        "explain",
        "adopt",
        "adopt a b",
        "explain a --wait",
        "reload x",
        "status --limit 3",
        "history",
        "history a --limit 0",
        "history a --limit x",
        "status --timeout 0",
        "status --timeout 1h",
        "status --timeout",
        "status --color=blue",
        "status --nosuch",
        "check a --socket /x",
        "plugin ../../evil",
        "status --watch=fast",
        "status --width -1",
        "version --check-alarms",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char words[100];

        snprintf(words, sizeof words, "%s", wrong[i]);
        fake_ctl(&run, words);
        assert_int_equal(run.code, 2);
        assert_string_equal(run.out, "");
        assert_string_not_equal(run.err, "");
        fake_run_free(&run);
    }
    memset(&run, 0, sizeof run);
}

static void
help_is_for_each_command(void **state)
{
    (void)state;
    fake_ctl(&run, "--help");
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "rotate        LINK "));
    fake_run_free(&run);
    fake_ctl(&run, "rotate --help");
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "usage: rekeyctl rotate [options] LINK\n"));
    assert_non_null(strstr(run.out, "--wait"));
    assert_null(strstr(run.out, "--limit"));
}

static void
missing_programs_are_named(void **state)
{
    (void)state;
    fake_ctl(&run, "check /dev/null --rekeyd /nonexistent/rekeyd");
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "cannot run /nonexistent/rekeyd: No such file or directory: "
                                    "name it with --rekeyd"));
    fake_run_free(&run);
    fake_ctl(&run, "plugin static --plugin-dir /nonexistent");
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "/nonexistent/static.so: No such file or directory: is --plugin-dir right?"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(status_is_a_table, fake_end),
        cmocka_unit_test_teardown(status_fits_a_width, fake_end),
        cmocka_unit_test_teardown(status_has_colour_when_asked, fake_end),
        cmocka_unit_test_teardown(status_of_one_link_is_detailed, fake_end),
        cmocka_unit_test_teardown(status_of_an_unknown_link_fails, fake_end),
        cmocka_unit_test_teardown(status_as_json_is_one_object, fake_end),
        cmocka_unit_test_teardown(alarms_are_an_exit_code_when_asked, fake_end),
        cmocka_unit_test_teardown(a_sick_journal_is_an_alarm, fake_end),
        cmocka_unit_test_teardown(two_ends_are_one_link, fake_end),
        cmocka_unit_test_teardown(no_control_reaches_the_terminal, fake_end),
        cmocka_unit_test_teardown(bad_rows_are_left_out_and_said, fake_end),
        cmocka_unit_test_teardown(a_huge_row_is_shown, fake_end),
        cmocka_unit_test_teardown(garbage_is_refused, fake_end),
        cmocka_unit_test_teardown(a_cut_answer_is_said_and_stays_json, fake_end),
        cmocka_unit_test_teardown(a_silent_daemon_is_given_up, fake_end),
        cmocka_unit_test_teardown(no_daemon_has_a_code_and_a_remedy, fake_end),
        cmocka_unit_test_teardown(credentials_that_end_are_shown, fake_end),
        cmocka_unit_test_teardown(refused_records_are_shown, fake_end),
        cmocka_unit_test_teardown(history_is_a_table, fake_end),
        cmocka_unit_test_teardown(plugins_is_a_table, fake_end),
        cmocka_unit_test_teardown(sources_is_a_table, fake_end),
        cmocka_unit_test_teardown(reload_says_what_was_done, fake_end),
        cmocka_unit_test_teardown(explain_is_folded_to_the_width, fake_end),
        cmocka_unit_test_teardown(explain_as_json_is_an_array, fake_end),
        cmocka_unit_test_teardown(adopt_says_what_happens, fake_end),
        cmocka_unit_test_teardown(enable_says_what_was_done, fake_end),
        cmocka_unit_test_teardown(status_tells_the_policy, fake_end),
        cmocka_unit_test_teardown(status_tells_the_sources, fake_end),
        cmocka_unit_test_teardown(rotate_can_wait, fake_end),
        cmocka_unit_test_teardown(rotate_can_be_refused, fake_end),
        cmocka_unit_test_teardown(rotate_does_not_wait_for_ever, fake_end),
        cmocka_unit_test_teardown(version_tells_both, fake_end),
        cmocka_unit_test_teardown(wrong_usage_is_refused, fake_end),
        cmocka_unit_test_teardown(help_is_for_each_command, fake_end),
        cmocka_unit_test_teardown(missing_programs_are_named, fake_end),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    rmdir(fake_dir());
    return failed;
}
