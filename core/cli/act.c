/* act.c - rekeyctl rotate, adopt, enable, reload and version: commands that are answered by a text.
 *
 * Runs in rekeyctl.  rotate --wait decides by the counters that status shows, so it needs nothing of the daemon
 * beyond them, and a restart of the daemon in between is seen as what it is.
 */
#include "ask.h"
#include "row.h"
#include "show.h"

#include "../base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_MS 100

struct answer {
    const struct rk_cli_io *io;
    json_t *rows; /* owned */
};

static void
keep_row(json_t *row, void *arg)
{
    struct answer *a = arg;

    json_array_append(a->rows, row);
}

/* Ask and show the answer: texts of rows, then the last text; as JSON one object. */
static int
run_simple(const struct rk_cli_opts *o, const struct rk_cli_io *io)
{
    struct answer a = {.io = io, .rows = json_array()};
    char text[RK_TEXT_MAX];
    int code = rk_cli_ask(o, io, o->command->name, keep_row, &a, text);

    if (code == RK_CLI_NO_DAEMON)
        goto out;
    if (o->json) {
        json_t *whole = json_pack("{s:b, s:s, s:O}", "ok", code == RK_CLI_OK, "text", text, "rows", a.rows);

        rk_cli_json(io, whole);
        putc('\n', io->out);
        json_decref(whole);
        goto out;
    }
    for (size_t i = 0; i < json_array_size(a.rows); i++) {
        const json_t *row = json_array_get(a.rows, i);
        char *line = rk_show_safe(rk_row_text(row, "error", rk_row_text(row, "text", "")), io->utf8);

        fprintf(code == RK_CLI_OK ? io->out : io->err, "%s\n", line ? line : "?");
        free(line);
    }
    if (code != RK_CLI_OK && text[0])
        fprintf(io->err, "rekeyctl: %s\n", text);
    else if (text[0])
        fprintf(io->out, "%s\n", text);
out:
    json_decref(a.rows);
    return code;
}

int
rk_cli_reload(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    return run_simple(o, io);
}

int
rk_cli_adopt(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    return run_simple(o, io);
}

int
rk_cli_enable(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    return run_simple(o, io);
}

/* ---- rotate ---- */

/* What status says of a link's ends; the master's counters decide when it is ours. */
struct counters {
    int64_t rotations, failed, seq;
    bool master, busy, seen;
    char result[64], why[RK_TEXT_MAX], key_id[80];
};

static void
count_row(json_t *row, void *arg)
{
    struct counters *c = arg;
    bool master = strcmp(rk_row_text(row, "role", ""), "master") == 0;
    const json_t *last = json_object_get(row, "last");

    if (!json_object_get(row, "link"))
        return;
    c->busy = c->busy || strcmp(rk_row_text(row, "state", ""), "idle") != 0;
    if (c->seen && !master)
        return;
    c->seen = true;
    c->master = master;
    c->rotations = rk_row_int(row, "rotations", 0);
    c->failed = rk_row_int(row, "failed", 0);
    c->seq = rk_row_int(row, "seq", 0);
    snprintf(c->result, sizeof c->result, "%s", rk_row_text(last, "result", "?"));
    snprintf(c->why, sizeof c->why, "%s", rk_row_text(last, "why", ""));
    snprintf(c->key_id, sizeof c->key_id, "%s", rk_row_text(row, "key_id", "?"));
}

static int
report(const struct rk_cli_opts *o, const struct rk_cli_io *io, const struct counters *c, int64_t took_ms)
{
    bool ok = strcmp(c->result, "ok") == 0;
    char *why = rk_show_safe(c->why, io->utf8), *key_id = rk_show_safe(c->key_id, io->utf8),
         *result = rk_show_safe(c->result, io->utf8);

    if (o->json) {
        json_t *whole = json_pack("{s:b, s:s, s:s, s:s, s:s, s:I, s:I}", "ok", ok, "link", o->arg, "result", c->result,
                                  "why", c->why, "key_id", c->key_id, "seq", (json_int_t)c->seq, "took_ms",
                                  (json_int_t)took_ms);

        rk_cli_json(io, whole);
        putc('\n', io->out);
        json_decref(whole);
    } else if (ok) {
        fprintf(io->out, "%s: rotated, seq %lld, key %s, in %lld.%03lld s\n", o->arg, (long long)c->seq,
                key_id ? key_id : "?", (long long)took_ms / 1000, (long long)took_ms % 1000);
    } else {
        fprintf(io->err, "rekeyctl: %s: the rotation failed: %s%s%s\n", o->arg, result ? result : "?",
                c->why[0] ? ": " : "", why ? why : "?");
    }
    free(why);
    free(key_id);
    free(result);
    return ok ? RK_CLI_OK : RK_CLI_FAILED;
}

/* Look until the counters have moved and every end of the link is idle again. */
static int
wait_rotated(const struct rk_cli_opts *o, const struct rk_cli_io *io, const struct counters *before)
{
    int64_t start = rk_now_ns(), limit_ms = o->timeout_ms ? o->timeout_ms : RK_CLI_WAIT_MS, took_ms;
    const struct timespec pause = {.tv_nsec = POLL_MS * RK_NS_PER_MS};
    int code;

    do {
        struct counters now = {0};

        nanosleep(&pause, NULL);
        code = rk_cli_ask(o, io, "status", count_row, &now, NULL);
        took_ms = (rk_now_ns() - start) / RK_NS_PER_MS;
        if (code == RK_CLI_OK && now.failed != before->failed && now.rotations == before->rotations)
            return report(o, io, &now, took_ms);
        if (code == RK_CLI_OK && now.rotations != before->rotations && !now.busy)
            return report(o, io, &now, took_ms);
    } while (code == RK_CLI_OK && took_ms < limit_ms);
    if (code == RK_CLI_OK)
        fprintf(io->err, "rekeyctl: %s: not done after %lld.%03lld s; it goes on: see rekeyctl status %s\n", o->arg,
                (long long)limit_ms / 1000, (long long)limit_ms % 1000, o->arg);
    return code == RK_CLI_OK ? RK_CLI_FAILED : code;
}

int
rk_cli_rotate(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct counters before = {0};
    struct rk_cli_opts ask = *o;
    char text[RK_TEXT_MAX];
    int code;

    if (!o->wait)
        return run_simple(o, io);
    /* Each question has the usual timeout; --timeout bounds the whole. */
    ask.timeout_ms = 0;
    code = rk_cli_ask(&ask, io, "status", count_row, &before, NULL);
    if (code != RK_CLI_OK)
        return code;
    code = rk_cli_ask(&ask, io, "rotate", count_row, &(struct counters){0}, text);
    if (code != RK_CLI_OK) {
        if (text[0])
            fprintf(io->err, "rekeyctl: %s\n", text);
        return code;
    }
    return wait_rotated(o, io, &before);
}

/* ---- version ---- */

static void
take_version(json_t *row, void *arg)
{
    char *version = arg;
    const json_t *daemon = json_object_get(row, "daemon");

    snprintf(version, RK_NAME_MAX + 1, "%s", rk_row_text(daemon ? daemon : row, "version", "?"));
}

int
rk_cli_version(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    char version[RK_NAME_MAX + 1] = "", *safe;
    int code = rk_cli_ask(o, io, "version", take_version, version, NULL);

    safe = rk_show_safe(version, io->utf8);
    if (o->json) {
        json_t *whole = json_pack("{s:s, s:i, s:i, s:s?}", "rekeyctl", PACKAGE_VERSION, "abi_major", RK_ABI_MAJOR,
                                  "abi_minor", RK_ABI_MINOR, "rekeyd", version[0] ? version : NULL);

        rk_cli_json(io, whole);
        putc('\n', io->out);
        json_decref(whole);
    } else {
        fprintf(io->out, "rekeyctl %s, plugin ABI %d.%d\n", PACKAGE_VERSION, RK_ABI_MAJOR, RK_ABI_MINOR);
        if (safe && safe[0])
            fprintf(io->out, "rekeyd %s\n", safe);
    }
    free(safe);
    return code;
}
