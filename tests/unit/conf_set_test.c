/* conf_set_test.c - a configuration that is right: what becomes of it, how it is loaded, plugins' options, reloads. */
#include "core/conf/conf.h"
#include "core/ipc/msg.h"
#include "core/conf/opt.h"

#include <rekey/err.h>
#include <rekey/plugin.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char full[] = "sae: SAE_A\n"
                           "state-dir: /srv/rekey\n"
                           "control: /srv/rekeyd.sock\n"
                           "log-level: debug\n"
                           "call-budget: 5m\n"
                           "sources:\n"
                           "  kme: { plugin: etsi014, url: \"https://kme:8443\", key: \"file:/k\" }\n"
                           "  kme-b: { plugin: etsi014 }\n"
                           "devices:\n"
                           "  r1: { plugin: sim, slots: [ a, b, c ], mode: fast }\n"
                           "  r2: { plugin: sim, call-budget: 90s }\n"
                           "channels:\n"
                           "  site: { plugin: spool, dir: /d, auth-key: \"file:/a\" }\n"
                           "defaults: { interval: 60s, verify: 5s, channel: site, role: slave, peer-device: r2 }\n"
                           "links:\n"
                           "  - { name: z, device: r1, interface: ge-0/0/1, peer-sae: SAE_B, source: kme,\n"
                           "      peer-chassis: \"00:11:22:33:44:55\", peer-port: ge-0/0/7 }\n"
                           "  - { name: m, device: r1, interface: e1, source: kme, channel: local,\n"
                           "      peer-interface: e9, peer-source: kme-b, drain: 0s, key-bits: 512 }\n"
                           "  - { name: a, device: r2, interface: e1, source: kme-b, channel: local,\n"
                           "      peer-device: r1, peer-interface: e2, peer-sae: SAE_C, interval: 100ms,\n"
                           "      drain: 99ms }\n"
                           "  - { name: b, device: r2, interface: e2, peer-sae: SAE_A, source: kme, role: master }\n"
                           "allow-experimental: yes\n";

static struct rk_conf_set *
parse(const char *text)
{
    struct rk_conf_errors e = {.file = "test"};
    struct rk_conf_set *set = NULL;
    char line[700];

    if (rk_conf_parse(text, strlen(text), &set, &e)) {
        rk_conf_error_text(&e, 0, line, sizeof line);
        fail_msg("%s", line);
    }
    assert_int_equal(e.n, 0);
    rk_conf_errors_free(&e);
    return set;
}

static void
expect_instance(const struct rk_instance_conf *inst, uint32_t kind, const char *name, size_t n)
{
    assert_int_equal(inst->kind, kind);
    assert_string_equal(inst->name, name);
    assert_int_equal(inst->n, n);
}

static void
instances(void **state)
{
    struct rk_conf_set *set = parse(full);
    const struct rk_instance_conf *inst = set->instances;

    (void)state;
    assert_string_equal(set->file, "test");
    assert_string_equal(set->sae, "SAE_A");
    assert_string_equal(set->state_dir, "/srv/rekey");
    assert_string_equal(set->control, "/srv/rekeyd.sock");
    assert_int_equal(set->log_level, RK_LOG_DEBUG);
    assert_int_equal(set->call_budget_ms, 300000);
    assert_true(set->allow_experimental);
    assert_int_equal(set->n_instances, 5);
    expect_instance(&inst[0], RK_SOURCE, "kme", 2);
    assert_string_equal(inst[0].plugin, "etsi014");
    assert_string_equal(inst[0].settings[0].name, "url");
    assert_string_equal(inst[0].settings[0].value, "https://kme:8443");
    assert_int_equal(inst[0].places[0].line, 7);
    assert_int_equal(inst[0].places[0].col, 32);
    assert_int_equal(inst[0].line, 7);
    assert_int_equal(inst[0].col, 3);
    expect_instance(&inst[1], RK_SOURCE, "kme-b", 0);
    expect_instance(&inst[2], RK_DEVICE, "r1", 4);
    assert_string_equal(inst[2].settings[1].name, "slots");
    assert_string_equal(inst[2].settings[2].value, "c");
    assert_string_equal(inst[2].settings[3].name, "mode");
    expect_instance(&inst[3], RK_DEVICE, "r2", 0);
    assert_int_equal(inst[2].call_budget_ms, 0);
    assert_int_equal(inst[3].call_budget_ms, 90000);
    expect_instance(&inst[4], RK_CHANNEL, "site", 2);
    rk_conf_free(&set);
    assert_null(set);
    rk_conf_free(&set);
}

static void
links(void **state)
{
    struct rk_conf_set *set = parse(full);
    const struct rk_link_conf *l = set->links;

    (void)state;
    assert_int_equal(set->n_links, 4); /* sorted: a b m z */
    assert_string_equal(l[0].name, "a");
    assert_string_equal(l[0].peer_sae, "SAE_C");
    assert_int_equal(l[0].device, 3);
    assert_int_equal(l[0].peer_device, 2);
    assert_int_equal(l[0].source, 1);
    assert_int_equal(l[0].peer_source, 1);
    assert_true(l[0].channel == SIZE_MAX);
    assert_int_equal(l[0].interval_ms, 100);
    assert_int_equal(l[0].drain_ms, 99);
    assert_int_equal(l[0].role, RK_ROLE_AUTO); /* the default is for links with another site */
    assert_int_equal(l[0].line, 20);
    assert_int_equal(l[0].col, 5);
    assert_string_equal(l[1].name, "b");
    assert_int_equal(l[1].role, RK_ROLE_MASTER);
    assert_string_equal(l[1].peer_sae, "SAE_A");
    assert_string_equal(l[2].name, "m");
    assert_string_equal(l[2].peer_sae, "SAE_A");
    assert_int_equal(l[2].peer_device, 3);
    assert_int_equal(l[2].peer_source, 1);
    assert_string_equal(l[2].peer_iface, "e9");
    assert_int_equal(l[2].drain_ms, 0);
    assert_int_equal(l[2].bits, 512);
    assert_string_equal(l[3].name, "z");
    assert_string_equal(l[3].iface, "ge-0/0/1");
    assert_int_equal(l[3].channel, 4);
    assert_true(l[3].peer_device == SIZE_MAX && l[3].peer_source == SIZE_MAX);
    assert_string_equal(l[3].peer_iface, "");
    assert_string_equal(l[3].peer_chassis, "00:11:22:33:44:55");
    assert_string_equal(l[3].peer_port, "ge-0/0/7");
    assert_string_equal(l[2].peer_port, "");
    assert_int_equal(l[3].interval_ms, 60000);
    assert_int_equal(l[3].verify_ms, 5000);
    assert_int_equal(l[3].drain_ms, 2000);
    assert_int_equal(l[3].bits, 256);
    assert_int_equal(l[3].role, RK_ROLE_SLAVE);
    rk_conf_free(&set);
}

static void
least_configuration(void **state)
{
    struct rk_conf_set *set = parse("sae: A\n");

    (void)state;
    assert_string_equal(set->state_dir, "/var/lib/rekey");
    assert_string_equal(set->control, "/run/rekey/rekeyd.sock");
    assert_int_equal(set->log_level, RK_LOG_INFO);
    assert_int_equal(set->call_budget_ms, 60000);
    assert_false(set->allow_experimental);
    assert_int_equal(set->n_instances, 0);
    assert_int_equal(set->n_links, 0);
    rk_conf_free(&set);
    set = parse("{ sae: A, sources: {}, devices: {}, channels: {}, defaults: {}, links: [] }");
    rk_conf_free(&set);
}

/* What is done with a key that is too old: each policy, from the link or from the defaults. */
static const char stale[] = "sae: A\n"
                            "sources: { s: { plugin: p }, t: { plugin: p }, u: { plugin: p } }\n"
                            "devices: { d: { plugin: p }, e: { plugin: p } }\n"
                            "channels: { c: { plugin: p, auth-key: \"file:/k\" } }\n"
                            "defaults: { source: s, device: d, channel: c, peer-sae: B, peer-device: e,\n"
                            "            peer-interface: i, on-stale: shut, shut-after: 8m, fallback-source: t,\n"
                            "            start-lead: 10s }\n"
                            "links:\n"
                            "- { name: a, interface: a }\n"
                            "- { name: b, interface: b, on-stale: shut, shut-after: 2h, interval: 30m,\n"
                            "    start-lead: 29m }\n"
                            "- { name: c, interface: c, on-stale: fallback }\n"
                            "- { name: d, interface: d, on-stale: hold, interval: 11s }\n"
                            "- { name: e, interface: e, channel: local, on-stale: fallback }\n"
                            "- { name: f, interface: f, channel: local, on-stale: fallback, peer-source: t,\n"
                            "    peer-interface: j, fallback-source: u, peer-fallback-source: s }\n";

/* Several sources: of the link, or of the defaults, where a link's own source takes their place. */
static const char mixed[] = "sae: A\n"
                            "sources: { s: { plugin: p }, t: { plugin: p }, u: { plugin: p }, v: { plugin: p } }\n"
                            "devices: { d: { plugin: p }, e: { plugin: p } }\n"
                            "channels: { c: { plugin: p, auth-key: \"file:/k\" } }\n"
                            "defaults: { sources: [t, s], require: any, device: d, channel: c, peer-sae: B }\n"
                            "links:\n"
                            "- { name: a, interface: a }\n"
                            "- { name: b, interface: b, sources: [s, v, u], require: all, ratchet: no }\n"
                            "- { name: c, interface: c, source: u }\n"
                            "- { name: d, interface: d, channel: local, peer-device: e, peer-interface: d }\n"
                            "- { name: e, interface: e, channel: local, peer-device: e, peer-interface: e,\n"
                            "    peer-sources: [v, u] }\n";

static void
several_sources(void **state)
{
    struct rk_conf_set *set = parse(mixed);
    const struct rk_link_conf *l = set->links;

    (void)state;
    assert_true(l[0].n_sources == 2 && l[0].require_any && l[0].source == 1 && l[0].more[0] == 0);
    assert_true(l[0].peer_source == SIZE_MAX);
    assert_true(l[1].n_sources == 3 && !l[1].require_any && l[1].source == 0);
    assert_true(l[1].more[0] == 3 && l[1].more[1] == 2);
    assert_true(l[0].ratchet && !l[1].ratchet && l[2].ratchet && !l[3].ratchet); /* the last is local */
    assert_true(l[2].n_sources == 1 && !l[2].require_any && l[2].source == 2);
    assert_true(l[3].n_sources == 2 && l[3].peer_source == 1 && l[3].peer_more[0] == 0);
    assert_true(l[4].n_sources == 2 && l[4].source == 1 && l[4].peer_source == 3 && l[4].peer_more[0] == 2);
    rk_conf_free(&set);
}

static void
expect_stale(const struct rk_link_conf *l, enum rk_stale_conf policy, size_t fallback, size_t peer_fallback)
{
    assert_int_equal(l->on_stale, policy);
    assert_true(l->fallback == fallback && l->peer_fallback == peer_fallback);
}

/* The values of a link when neither it nor the defaults say anything. */
static void
link_defaults(void **state)
{
    struct rk_conf_set *set = parse("sae: A\nsources: { s: { plugin: p } }\ndevices: { d: { plugin: p } }\n"
                                    "links:\n- { name: l, device: d, interface: i, source: s, channel: local,\n"
                                    "    peer-device: d, peer-interface: j }\n");

    (void)state;
    assert_int_equal(set->links[0].interval_ms, 120000);
    assert_int_equal(set->links[0].drain_ms, 2000);
    assert_int_equal(set->links[0].verify_ms, 10000);
    assert_int_equal(set->links[0].bits, 256);
    assert_int_equal(set->links[0].role, RK_ROLE_AUTO);
    expect_stale(&set->links[0], RK_ON_STALE_HOLD, SIZE_MAX, SIZE_MAX);
    assert_int_equal(set->links[0].start_lead_ms, 60000);
    assert_int_equal(set->links[0].priority, 4);
    assert_int_equal(set->links[0].stretch_max, 2000);
    assert_int_equal(set->warnings.n, 0);
    rk_conf_free(&set);
}

static void
policies(void **state)
{
    struct rk_conf_set *set = parse(stale);
    const struct rk_link_conf *l = set->links;

    (void)state;
    expect_stale(&l[0], RK_ON_STALE_SHUT, SIZE_MAX, SIZE_MAX);
    assert_int_equal(l[0].shut_after_ms, 480000);
    assert_int_equal(l[0].start_lead_ms, 10000);
    expect_stale(&l[1], RK_ON_STALE_SHUT, SIZE_MAX, SIZE_MAX);
    assert_int_equal(l[1].shut_after_ms, 7200000);
    assert_int_equal(l[1].start_lead_ms, 1740000);
    expect_stale(&l[2], RK_ON_STALE_FALLBACK, 1, SIZE_MAX);
    expect_stale(&l[3], RK_ON_STALE_HOLD, SIZE_MAX, SIZE_MAX);
    expect_stale(&l[4], RK_ON_STALE_FALLBACK, 1, 1);
    expect_stale(&l[5], RK_ON_STALE_FALLBACK, 2, 0);
    assert_int_equal(set->warnings.n, 2); /* of the defaults once, whatever takes it */
    assert_int_equal(set->warnings.list[0].line, 6);
    assert_int_equal(set->warnings.list[1].line, 10);
    assert_non_null(strstr(set->warnings.list[0].text, "takes the link down"));
    rk_conf_free(&set);
}

/* The times that follow the interval when they are not given. */
static void
times_by_interval(void **state)
{
    char text[400];
    static const struct {
        const char *interval;
        int64_t shut_after_ms, start_lead_ms;
    } rows[] = {{"100ms", 600, 50}, {"119s", 714000, 59500}, {"2m", 720000, 60000}, {"30d", 15552000000, 60000}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_conf_set *set;

        snprintf(text, sizeof text,
                 "sae: A\nsources: { s: { plugin: p } }\ndevices: { d: { plugin: p } }\n"
                 "links:\n- { name: l, device: d, interface: i, source: s, channel: local, peer-device: d,\n"
                 "    peer-interface: j, drain: 0s, on-stale: shut, interval: %s }\n", rows[i].interval);
        set = parse(text);
        assert_int_equal(set->links[0].shut_after_ms, rows[i].shut_after_ms);
        assert_int_equal(set->links[0].start_lead_ms, rows[i].start_lead_ms);
        rk_conf_free(&set);
    }
}

/* By name or number; a link that is shut for its age is not brought nearer to that than half of the way. */
static void
priorities(void **state)
{
    char text[400];
    static const struct {
        const char *options;
        unsigned priority, stretch_max;
    } rows[] = {{"priority: low", 1, 2000},
                {"priority: normal, stretch-max: 1", 4, 1000},
                {"priority: high, stretch-max: 16", 6, 16000},
                {"priority: 0", 0, 2000},
                {"priority: 7", 7, 2000},
                {"on-stale: shut, stretch-max: 16", 4, 3000},
                {"on-stale: shut, stretch-max: 2, shut-after: 40s", 4, 2000},
                {"on-stale: shut, stretch-max: 4, shut-after: 50s", 4, 2500}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_conf_set *set;

        snprintf(text, sizeof text,
                 "sae: A\nsources: { s: { plugin: p } }\ndevices: { d: { plugin: p } }\n"
                 "links:\n- { name: l, device: d, interface: i, source: s, channel: local, peer-device: d,\n"
                 "    peer-interface: j, interval: 10s, %s }\n", rows[i].options);
        set = parse(text);
        assert_int_equal(set->links[0].priority, rows[i].priority);
        assert_int_equal(set->links[0].stretch_max, rows[i].stretch_max);
        rk_conf_free(&set);
    }
}

/* Writes text to a new file of this mode in a new folder. */
static void
write_file(char dir[32], char path[64], mode_t mode)
{
    int fd;

    strcpy(dir, "/tmp/rekey-conf-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, 64, "%s/rekeyd.yaml", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, full, strlen(full)), strlen(full));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void
expect_load(const char *path, int code, const char *words)
{
    struct rk_conf_errors e = {.n = 0};
    struct rk_conf_set *set = (struct rk_conf_set *)&e;
    char text[700];

    assert_int_equal(rk_conf_load(path, &set, &e), code);
    assert_int_equal(e.n, words ? 1 : 0);
    assert_true((set != NULL) == (code == RK_OK));
    if (words) {
        rk_conf_error_text(&e, 0, text, sizeof text);
        assert_string_equal(strncmp(text, path, strlen(path)) == 0 ? text + strlen(path) : text, words);
    }
    rk_conf_free(&set);
    rk_conf_errors_free(&e);
}

static void
loading(void **state)
{
    char dir[32], path[64], other[80], longest[400];

    (void)state;
    write_file(dir, path, 0664);
    expect_load(path, RK_OK, NULL);
    snprintf(other, sizeof other, "%s/link", dir);
    assert_int_equal(symlink(path, other), 0);
    expect_load(other, RK_OK, NULL);
    unlink(other);
    assert_int_equal(chmod(path, 0602), 0);
    expect_load(path, RK_E_CONFIG, ": everyone may write it, and it decides what runs as root: chmod o-w it");
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, (off_t)RK_CONF_BYTES_MAX + 1), 0); /* a hole: takes no room */
    expect_load(path, RK_E_CONFIG, ": too long: at most 64 MiB");
    assert_int_equal(truncate(path, 0), 0);
    expect_load(path, RK_E_CONFIG, ":1:1: the file is empty");
    unlink(path);
    expect_load(path, RK_E_NOENT, ": No such file or directory");
    expect_load(dir, RK_E_CONFIG, ": not a regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_load(path, RK_E_CONFIG, ": not a regular file"); /* and it does not wait for a writer */
    unlink(path);
    rmdir(dir);
    snprintf(other, sizeof other, "%s/x", path);
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    expect_load(longest, RK_E_CONFIG, ": the name of the configuration file is longer than 255 bytes");
}

/* The example of the documentation is right. */
static void
example(void **state)
{
    const char *srcdir = getenv("top_srcdir");
    struct rk_conf_errors e = {.n = 0};
    struct rk_conf_set *set;
    char path[4096];
    FILE *f;
    char text[8192], line[700];
    size_t len;

    (void)state;
    snprintf(path, sizeof path, "%s/doc/examples/rekeyd.yaml", srcdir ? srcdir : ".");
    f = fopen(path, "r");
    assert_non_null(f);
    len = fread(text, 1, sizeof text, f);
    fclose(f);
    assert_true(len > 0 && len < sizeof text);
    if (rk_conf_parse(text, len, &set, &e)) {
        rk_conf_error_text(&e, 0, line, sizeof line);
        fail_msg("%s", line);
    }
    assert_int_equal(set->n_links, 2);
    assert_int_equal(set->n_instances, 6);
    rk_conf_free(&set);
}

static const char *const modes[] = {"fast", "slow", NULL};
static struct rk_opt device_opts[] = {
    {"slots", RK_OPT_STRING, RK_OPT_LIST | RK_OPT_REQUIRED, NULL, 0, 0, NULL, NULL, "slots of the device"},
    {"mode", RK_OPT_ENUM, 0, NULL, 0, 0, "slow", modes, "how fast"},
    {"pause", RK_OPT_DURATION, 0, NULL, 1, 1000, NULL, NULL, "time between tries"},
    {"password", RK_OPT_SECRET, 0, NULL, 0, 0, NULL, NULL, "password of the device"},
    {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL},
};

/* Errors of the first instance of this section against a plugin, joined. */
static void
expect_errors(const char *section, struct rk_schema *schema, const char *expected)
{
    struct rk_conf_errors e = {.file = "f"};
    char text[2000] = "sae: A\n", line[700];
    struct rk_conf_set *set;

    set = parse(strcat(text, section));
    rk_conf_check_plugin(&set->instances[0], schema, &e);
    text[0] = '\0';
    for (size_t i = 0; i < e.n; i++) {
        rk_conf_error_text(&e, i, line, sizeof line);
        strcat(strcat(text, line + 2), "\n");
    }
    assert_string_equal(text, expected);
    rk_conf_errors_free(&e);
    rk_conf_free(&set);
}

static void
options_of_plugins(void **state)
{
    struct rk_schema h = {.kind = RK_DEVICE, .opts = device_opts};

    (void)state;
    expect_errors("devices: { d: { plugin: sim, slots: [ a, b ], mode: fast, pause: 1s, password: \"file:/p\" } }", &h,
                  "");
    expect_errors("devices: { d: { plugin: sim, slots: a } }", &h, "");
    expect_errors("devices: { d: { plugin: sim } }", &h,
                 "2:12: device \"d\": \"slots\" is missing (string: slots of the device)\n");
    expect_errors("devices: { d: { plugin: sim, slots: [] } }", &h,
                 "2:12: device \"d\": \"slots\" is missing (string: slots of the device)\n");
    expect_errors("devices: { d: { plugin: sim, slots: a, mdoe: fast } }", &h,
                 "2:46: plugin sim has no option \"mdoe\": did you mean \"mode\"?\n");
    expect_errors("devices: { d: { plugin: sim, slots: a, colour: [ x, y ] } }", &h,
                 "2:50: plugin sim has no option \"colour\"\n");
    expect_errors("devices: { d: { plugin: sim, slots: a, mode: [ fast, slow ], pause: 5 } }", &h,
                 "2:54: mode: one value expected, not a list\n2:69: pause: needs a unit: 5s? (ms, s, m, h, d)\n");
    expect_errors("devices: { d: { plugin: sim, slots: a, mode: fats, password: geheim } }", &h,
                 "2:46: mode: fast or slow expected, not \"fats\": did you mean \"fast\"?\n"
                 "2:62: password: a secret is never written here: put it in a file and give "
                 "\"file:/absolute/path\"\n");
    expect_errors("devices: { d: { plugin: sim, slots: a, auth-key: \"file:/x\" } }", &h,
                 "2:50: plugin sim has no option \"auth-key\"\n");
    h.opts = NULL;
    expect_errors("devices: { d: { plugin: sim, x: 1 } }", &h, "2:33: plugin sim has no option \"x\"\n");
}

/* Its own budget, else the longer one of what its plugin needs and what the file says for all. */
static void
budget_of_an_apply(void **state)
{
    struct rk_conf_set set = {.call_budget_ms = 60000};
    struct rk_instance_conf inst = {.kind = RK_DEVICE};

    (void)state;
    assert_int_equal(rk_conf_apply_ms(&set, &inst, 0), 60000);
    assert_int_equal(rk_conf_apply_ms(&set, &inst, 30000), 60000);
    assert_int_equal(rk_conf_apply_ms(&set, &inst, 360000), 360000);
    assert_int_equal(rk_conf_apply_ms(&set, &inst, UINT32_MAX), RK_CALL_BUDGET_MAX_MS);
    inst.call_budget_ms = 5000;
    assert_int_equal(rk_conf_apply_ms(&set, &inst, 360000), 5000);
}

static void
times_within_an_apply(void **state)
{
    struct rk_opt own[] = {{"commit-timeout", RK_OPT_DURATION, RK_OPT_APPLY, NULL, 1, 570000, "300s", NULL, "a time"},
                           {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL}};
    struct rk_opt list = {"wait", RK_OPT_DURATION, RK_OPT_APPLY | RK_OPT_LIST, NULL, 1, 2, NULL, NULL, "times"};
    struct rk_opt odd[] = {list, own[1]};
    struct rk_schema h = {.kind = RK_DEVICE, .opts = own, .apply_ms = 330000};
    char why[200];

    (void)state;
    expect_errors("devices: { d: { plugin: x } }", &h, "");
    expect_errors("devices: { d: { plugin: x, commit-timeout: 5m } }", &h, "");
    expect_errors("devices: { d: { plugin: x, commit-timeout: 301s } }", &h,
                 "2:44: commit-timeout: 301s does not fit into a call-budget of 330s, of which 30s are kept to find "
                 "out what became of it: make call-budget of device \"d\" 331s or more\n");
    h.apply_ms = 329999;
    expect_errors("devices: { d: { plugin: x, call-budget: 329s } }", &h,
                 "2:12: commit-timeout: 300s does not fit into a call-budget of 329s, of which 30s are kept to find "
                 "out what became of it: make call-budget of device \"d\" 330s or more, or leave it out\n");
    assert_int_equal(rk_opts_sane(own, why, sizeof why), RK_OK);
    assert_int_equal(rk_opts_sane(odd, why, sizeof why), RK_E_CONTRACT);
    assert_int_equal(rk_opts_sane(rk_device_opts, why, sizeof why), RK_OK);
}

static void
one_of_several_options(void **state)
{
    struct rk_opt own[] = {{"url", RK_OPT_STRING, RK_OPT_ONE_OF | RK_OPT_LIST, NULL, 0, 0, NULL, NULL, "where"},
                           {"host", RK_OPT_STRING, RK_OPT_ONE_OF, NULL, 0, 0, NULL, NULL, "where, too"},
                           {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL}};
    struct rk_schema h = {.kind = RK_SOURCE, .opts = own};

    (void)state;
    expect_errors("sources: { s: { plugin: x, url: [ a, b ] } }", &h, "");
    expect_errors("sources: { s: { plugin: x, host: a } }", &h, "");
    expect_errors("sources: { s: { plugin: x } }", &h, "2:12: source \"s\": \"url\" or \"host\" is missing\n");
    expect_errors("sources: { s: { plugin: x, host: a, url: b } }", &h,
                 "2:12: source \"s\": \"url\" or \"host\": only one of them can be given\n");
}

static void
plugins_that_do_not_fit(void **state)
{
    struct rk_opt odd[] = {{"a", RK_OPT_ENUM, 0, NULL, 0, 0, NULL, NULL, NULL},
                           {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL}};
    struct rk_schema h = {.kind = RK_SOURCE, .opts = device_opts};

    (void)state;
    expect_errors("devices: { d: { plugin: sim } }", &h,
                 "2:12: plugin sim is a source: it belongs in section sources, not devices\n");
    h.kind = RK_DEVICE;
    h.opts = odd;
    expect_errors("devices: { d: { plugin: sim } }", &h,
                 "2:12: plugin sim cannot be used: option a: a choice without choices\n");
}

static void
channels_take_the_auth_key(void **state)
{
    struct rk_opt own[] = {{"dir", RK_OPT_PATH, RK_OPT_REQUIRED, NULL, 0, 0, NULL, NULL, "folder"},
                           {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL}};
    struct rk_schema h = {.kind = RK_CHANNEL, .opts = own};

    (void)state;
    expect_errors("channels: { c: { plugin: spool, dir: /d, auth-key: \"file:/a\" } }", &h, "");
    expect_errors("channels: { c: { plugin: spool, auth-key: \"file:/a\", auth-kye: x } }", &h,
                 "2:13: channel \"c\": \"dir\" is missing (path: folder)\n"
                 "2:64: plugin spool has no option \"auth-kye\": did you mean \"auth-key\"?\n");
    assert_int_equal(rk_opts_sane(rk_channel_opts, NULL, 0), RK_OK);
}

/* All options of an instance go into one frame. */
static void
options_are_limited_together(void **state)
{
    enum { N = 140 };
    char *text = malloc(N * 1024 + 200), *at = text;
    struct rk_conf_errors e = {.n = 0};
    struct rk_conf_set *set;

    (void)state;
    assert_non_null(text);
    at += sprintf(at, "sae: A\ndevices:\n  d:\n    plugin: sim\n    o:\n");
    for (int i = 0; i < N; i++)
        at += sprintf(at, "    - %01000d\n", i);
    assert_int_equal(rk_conf_parse(text, (size_t)(at - text), &set, &e), RK_E_CONFIG);
    assert_int_equal(e.n, 1);
    assert_string_equal(e.list[0].text,
                        "the options are too long together: at most 126976 bytes, with 32 for each");
    rk_conf_errors_free(&e);
    at = text + sprintf(text, "sae: A\ndevices:\n  d:\n    plugin: sim\n    o:\n");
    for (int i = 0; i < 5000; i++)
        at += sprintf(at, "    - %d\n", i);
    assert_int_equal(rk_conf_parse(text, (size_t)(at - text), &set, &e), RK_E_CONFIG);
    assert_string_equal(e.list[0].text, "too many options: at most 3968 values fit");
    rk_conf_errors_free(&e);
    free(text);
}

/* The frame that CONFIG needs really holds what is let through. */
static void
what_is_let_through_fits_a_frame(void **state)
{
    enum { N = 3600 };
    static unsigned char frame[RK_FRAME_MAX];
    char *text = malloc(N * 16 + 200), *at = text;
    struct rk_config config = {.inst = 1};
    struct rk_conf_set *set;

    (void)state;
    assert_non_null(text);
    at += sprintf(at, "sae: A\ndevices:\n  d:\n    plugin: sim\n    o:\n");
    for (int i = 0; i < N; i++)
        at += sprintf(at, "    - x%d\n", i % 10);
    *at = '\0';
    set = parse(text);
    config.settings = set->instances[0].settings;
    config.n = set->instances[0].n;
    assert_int_equal(config.n, N);
    assert_true(rk_config_put(frame, 1, &config) > 0);
    rk_conf_free(&set);
    free(text);
}

static void
instances_on_reload(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"{ plugin: sim, a: 1, b: 2 }", "{ plugin: sim, a: 1, b: 2 }", true},
        {"{ plugin: sim, a: 1, b: 2 }", "{ plugin: sim,\n     b: 2, a: \"1\" }", true},
        {"{ plugin: sim, a: [ 1, 2 ], b: 2 }", "{ plugin: sim, b: 2, a: [ 1, 2 ] }", true},
        {"{ plugin: sim, a: [ 1, 2 ] }", "{ plugin: sim, a: [ 2, 1 ] }", false},
        {"{ plugin: sim, a: [ 1, 2 ] }", "{ plugin: sim, a: [ 1, 2, 3 ] }", false},
        {"{ plugin: sim, a: 1 }", "{ plugin: sim, a: 2 }", false},
        {"{ plugin: sim, a: 1 }", "{ plugin: sim, b: 1 }", false},
        {"{ plugin: sim, a: 1 }", "{ plugin: sam, a: 1 }", false},
        {"{ plugin: sim, a: 1 }", "{ plugin: sim }", false},
    };
    char text[300];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rk_conf_set *a, *b;

        snprintf(text, sizeof text, "sae: A\ndevices:\n  d: %s\n", rows[i].a);
        a = parse(text);
        snprintf(text, sizeof text, "sae: A\n\ndevices:\n  d: %s\n", rows[i].b);
        b = parse(text);
        assert_int_equal(rk_conf_instance_same(a->instances, b->instances), rows[i].same);
        assert_int_equal(rk_conf_instance_same(b->instances, a->instances), rows[i].same);
        rk_conf_free(&a);
        rk_conf_free(&b);
    }
}

/* A configuration with one text in it replaced. */
static struct rk_conf_set *
parse_with(const char *whole, const char *from, const char *to)
{
    char text[4096];
    const char *at = strstr(whole, from);

    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
    return parse(text);
}

/* How many of the links are the same after this change. */
static void
expect_same(const char *whole, const char *from, const char *to, int expected)
{
    struct rk_conf_set *a = parse(whole), *b = parse_with(whole, from, to);
    int same = 0;

    for (size_t i = 0; i < a->n_links; i++)
        for (size_t k = 0; k < b->n_links; k++)
            same += rk_conf_link_same(a, &a->links[i], b, &b->links[k]);
    assert_int_equal(same, expected);
    rk_conf_free(&a);
    rk_conf_free(&b);
}

static void
expect_same_links(const char *from, const char *to, int expected)
{
    expect_same(full, from, to, expected);
}

static void
policies_on_reload(void **state)
{
    (void)state;
    expect_same(stale, "shut-after: 8m", "shut-after: 9m", 5);
    expect_same(stale, "start-lead: 10s", "start-lead: 9s", 1);
    expect_same(stale, "fallback-source: t", "fallback-source: u", 4);
    expect_same(stale, "peer-fallback-source: s", "peer-fallback-source: u", 5);
    expect_same(stale, "on-stale: hold", "on-stale: fallback", 5);
    expect_same(stale, "t: { plugin: p }, u: { plugin: p }", "u: { plugin: p }, t: { plugin: p }", 6);
}

static void
sources_on_reload(void **state)
{
    (void)state;
    expect_same(mixed, "sources: [t, s]", "sources: [s, t]", 2);
    expect_same(mixed, "sources: [s, v, u]", "sources: [s, u, v]", 4);
    expect_same(mixed, "require: all", "require: any", 4);
    expect_same(mixed, "ratchet: no", "ratchet: yes", 4);
    expect_same(mixed, "require: any", "require: all", 2);
    expect_same(mixed, "peer-sources: [v, u]", "peer-sources: [u, v]", 4);
    expect_same(mixed, "source: u", "sources: [u, s]", 4);
    expect_same(mixed, "s: { plugin: p }, t: { plugin: p }", "t: { plugin: p }, s: { plugin: p }", 5);
}

static const char ways[] = "sae: SAE_A\n"
                           "sources: { s: { plugin: p } }\n"
                           "devices: { d: { plugin: p }, e: { plugin: p } }\n"
                           "channels: { x: { plugin: p, auth-key: \"file:/k\" },\n"
                           "  y: { plugin: p, auth-key: \"file:/k\" },\n"
                           "  z: { plugin: p, auth-key: \"file:/k\" } }\n"
                           "defaults: { device: d, source: s, peer-sae: SAE_B, channels: [x, y] }\n"
                           "links:\n"
                           "- { name: a, interface: a }\n"
                           "- { name: b, interface: b, channel: z }\n"
                           "- { name: c, interface: c, channels: [z, x, y] }\n"
                           "- { name: d, interface: d, channel: local, peer-device: e, peer-interface: d }\n"
                           "- { name: e, interface: e, channels: [y] }\n";

/* A link goes on when its channels change, unless the other end comes here or goes. */
static void
several_channels(void **state)
{
    static const struct {
        unsigned n;
        const char *names;
    } rows[] = {{2, "xy"}, {1, "z"}, {3, "zxy"}, {0, ""}, {1, "y"}};
    struct rk_conf_set *set = parse(ways);

    (void)state;
    for (size_t i = 0; i < set->n_links; i++) {
        const struct rk_link_conf *l = &set->links[i];

        assert_int_equal(l->n_channels, rows[i].n);
        assert_true((l->channel == SIZE_MAX) == (rows[i].n == 0));
        for (unsigned k = 0; k < l->n_channels; k++)
            assert_int_equal(set->instances[k == 0 ? l->channel : l->more_channels[k - 1]].name[0], rows[i].names[k]);
    }
    rk_conf_free(&set);
    expect_same(ways, "channels: [z, x, y]", "channels: [z, x]", 5);
    expect_same(ways, "channel: z", "channel: x", 5);
    expect_same(ways, "channels: [x, y]", "channels: [y, z]", 5);
    expect_same(ways, "channel: local, peer-device: e, peer-interface: d", "channel: x", 4);
}

/* Which links have the same channels after this change. */
static void
expect_channels(const char *from, const char *to, const char *changed)
{
    struct rk_conf_set *a = parse(ways), *b;
    char text[sizeof ways + 100];
    const char *at = strstr(ways, from);

    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - ways), ways, to, at + strlen(from));
    b = parse(text);
    for (size_t i = 0; i < a->n_links; i++)
        assert_true(rk_conf_channels_same(a, &a->links[i], b, &b->links[i]) !=
                    (strchr(changed, a->links[i].name[0]) != NULL));
    rk_conf_free(&a);
    rk_conf_free(&b);
}

static void
channels_on_reload(void **state)
{
    (void)state;
    expect_channels("sae: SAE_A\n", "sae: SAE_A\n\n", "");
    expect_channels("channels: [z, x, y]", "channels: [z, x]", "c");
    expect_channels("channels: [z, x, y]", "channels: [z, y, x]", "c");
    expect_channels("channels: [x, y]", "channels: [x, z]", "a");
    expect_channels("channel: z", "channels: [z]", "");
    expect_channels("channel: z", "channel: z, peer-port: p", "b");
    expect_channels("channels: [y]", "channels: [y], peer-chassis: p", "e");
}

static void
links_on_reload(void **state)
{
    (void)state;
    expect_same_links("sae: SAE_A\n", "sae: SAE_A\n\n", 4);
    expect_same_links("log-level: debug", "log-level: info", 4);
    expect_same_links("kme-b: { plugin: etsi014 }", "kme-a: { plugin: etsi014 }\n  kme-b: { plugin: file }", 4);
    expect_same_links("sae: SAE_A\n", "sae: SAE_X\n", 0);
    expect_same_links("verify: 5s", "verify: 6s", 0);
    expect_same_links("interval: 60s", "interval: 61s", 1);
    expect_same_links("drain: 99ms", "drain: 98ms", 3);
    expect_same_links("key-bits: 512", "key-bits: 256", 3);
    expect_same_links("ge-0/0/1", "ge-0/0/2", 3);
    expect_same_links("SAE_B", "SAE_D", 3);
    expect_same_links("role: master", "role: slave", 3);
    expect_same_links("role: slave", "role: master", 3);
    expect_same_links("name: z", "name: y", 3);
    expect_same_links("peer-port: ge-0/0/7", "peer-port: ge-0/0/8", 4); /* what its channels are told */
    expect_same_links("00:11:22:33:44:55", "00:11:22:33:44:56", 4);
    expect_same_links("peer-source: kme-b", "peer-source: kme", 3);
    expect_same_links("peer-interface: e9", "peer-interface: e8", 3);
    expect_same_links("peer-device: r2", "peer-device: r1", 3);
    expect_same_links("device: r1, interface: ge", "device: r2, interface: ge", 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instances),
        cmocka_unit_test(links),
        cmocka_unit_test(least_configuration),
        cmocka_unit_test(link_defaults),
        cmocka_unit_test(policies),
        cmocka_unit_test(several_sources),
        cmocka_unit_test(times_by_interval),
        cmocka_unit_test(priorities),
        cmocka_unit_test(loading),
        cmocka_unit_test(example),
        cmocka_unit_test(options_of_plugins), cmocka_unit_test(budget_of_an_apply),
        cmocka_unit_test(times_within_an_apply),
        cmocka_unit_test(one_of_several_options), cmocka_unit_test(plugins_that_do_not_fit),
        cmocka_unit_test(channels_take_the_auth_key),
        cmocka_unit_test(options_are_limited_together),
        cmocka_unit_test(what_is_let_through_fits_a_frame),
        cmocka_unit_test(instances_on_reload),
        cmocka_unit_test(several_channels),
        cmocka_unit_test(channels_on_reload),
        cmocka_unit_test(links_on_reload),
        cmocka_unit_test(policies_on_reload),
        cmocka_unit_test(sources_on_reload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
