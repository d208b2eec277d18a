/* shim.c - rekeyctl shim install and remove: what a router needs so that it asks rekeyd itself, printed or done.
 *
 * Runs in rekeyctl.  The plugin of the device makes the statements; here the options become its words, and what another
 * device is to do for this one is asked of both.  Of a private key only the path goes through here.
 */
#include "ask.h"
#include "prepare.h"

#include "row.h"
#include "show.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *word;
    bool path;
} words[RK_CLI_SHIM_WORDS] = {
    [RK_CLI_SHIM_URL] = {"url", false},     [RK_CLI_SHIM_ADDRESS] = {"address", false},
    [RK_CLI_SHIM_USER] = {"user", false},   [RK_CLI_SHIM_NAME] = {"name", false},
    [RK_CLI_SHIM_CERT] = {"cert", true},    [RK_CLI_SHIM_KEY] = {"key", true},
    [RK_CLI_SHIM_CA] = {"ca", true},        [RK_CLI_SHIM_LINGER] = {"linger", false},
};

/* One word more.   ret: false: it does not fit, and that was written */
static bool
add(struct rk_cli_opts *o, FILE *err, const char *name, const char *value)
{
    size_t at = strlen(o->words);
    int n = snprintf(o->words + at, sizeof o->words - at, "%s%s%s%s", at ? "\n" : "", name, value ? "=" : "",
                     value ? value : "");

    if (n >= 0 && (size_t)n < sizeof o->words - at && (!value || !strchr(value, '\n')))
        return true;
    fprintf(err, "rekeyctl: --%s is too long, or has a newline in it\n", name);
    return false;
}

/* The plugin's process has another working directory. */
static bool
add_path(struct rk_cli_opts *o, FILE *err, const char *name, const char *path)
{
    char whole[PATH_MAX];

    if (realpath(path, whole))
        return add(o, err, name, whole);
    fprintf(err, "rekeyctl: --%s %s: %s\n", name, path, strerror(errno));
    return false;
}

static bool
add_all(struct rk_cli_opts *o, FILE *err, bool install)
{
    bool ok = add(o, err, install ? "shim-install" : "shim-remove", NULL);

    for (size_t i = 0; ok && i < RK_CLI_SHIM_WORDS; i++)
        if (o->shim[i])
            ok = words[i].path ? add_path(o, err, words[i].word, o->shim[i]) : add(o, err, words[i].word, o->shim[i]);
    if (ok && o->both)
        ok = add(o, err, "both-engines", NULL);
    if (ok && install)
        ok = add_path(o, err, "script", o->script ? o->script : RK_JUNOSDIR "/rekey-shim.py");
    return ok;
}

static void
print_failure(const struct rk_cli_opts *o, const struct rk_cli_io *io, const char *text)
{
    char *safe = rk_show_safe(text, io->utf8);

    if (o->json) {
        json_t *whole = json_pack("{s:b, s:s, s:b, s:s, s:[]}", "ok", 0, "device", o->arg, "apply", o->apply, "text",
                                  text, "lines");

        rk_cli_json(io, whole);
        putc('\n', io->out);
        json_decref(whole);
    } else {
        fprintf(io->err, "rekeyctl: %s\n", safe ? safe : "?");
    }
    free(safe);
}

/* What the device's own options say of its router is for the other one to do.   ret: enum rk_cli_exit */
static int
add_settings(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct rk_cli_opts ask = *o;
    struct rk_prepared a = {.o = &ask, .io = io, .quiet = true, .lines = json_array()};
    json_t *line;
    size_t i;
    int code;

    snprintf(ask.words, sizeof ask.words, "shim-settings");
    ask.apply = false;
    code = rk_cli_prepare_ask(&ask, &a);
    if (code == RK_CLI_FAILED)
        print_failure(o, io, a.text);
    json_array_foreach(a.lines, i, line) {
        const char *text = json_string_value(line), *value = text ? strchr(text, '=') : NULL;
        char name[32];

        snprintf(name, sizeof name, "%.*s", value ? (int)(value - text) : 0, text ? text : "");
        if (code == RK_CLI_OK && value && !add(o, io->err, name, value + 1))
            code = RK_CLI_FAILED;
    }
    json_decref(a.lines);
    return code;
}

static int
shim(struct rk_cli_opts *o, struct rk_cli_io *io, bool install)
{
    int code;

    if (install && !o->shim[RK_CLI_SHIM_URL]) {
        fprintf(io->err, "rekeyctl: shim install wants --url https://HOST[:PORT], as the router reaches rekeyd\n");
        return RK_CLI_USAGE;
    }
    if (!add_all(o, io->err, install))
        return RK_CLI_USAGE;
    o->budget_ms = (uint32_t)(o->timeout_ms < RK_DISCOVER_MAX_MS ? o->timeout_ms : RK_DISCOVER_MAX_MS);
    code = o->through ? add_settings(o, io) : RK_CLI_OK;
    if (code != RK_CLI_OK)
        return code;
    if (o->through)
        o->arg = o->through;
    return rk_cli_prepare(o, io);
}

int
rk_cli_shim_install(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    return shim(o, io, true);
}

int
rk_cli_shim_remove(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    return shim(o, io, false);
}
