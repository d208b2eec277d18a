/* import.c - rekeyctl import-offbox: from a router's configuration with the old script to rekeyd's.
 *
 * Runs in rekeyctl.  A file is read here; a device of rekeyd's configuration is asked for its links and for its
 * statements, which are read as if they were a file's.  The text is wiped: it may have keys in it.
 */
#include "discover.h"
#include "offbox.h"
#include "prepare.h"
#include "row.h"
#include "show.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct text {
    char *bytes; /* with a NUL behind */
    size_t len, room;
};

static bool
grow(struct text *t, size_t more)
{
    size_t room = t->room ? t->room : 65536;
    char *bytes;

    while (room < t->len + more + 1)
        room *= 2;
    if (room == t->room)
        return true;
    bytes = malloc(room);
    if (!bytes)
        return false;
    if (t->bytes) {
        memcpy(bytes, t->bytes, t->len);
        explicit_bzero(t->bytes, t->room);
        free(t->bytes);
    }
    t->bytes = bytes;
    t->room = room;
    return true;
}

static void
drop(struct text *t)
{
    if (t->bytes)
        explicit_bzero(t->bytes, t->room);
    free(t->bytes);
    *t = (struct text){.bytes = NULL};
}

/* ---- a file ---- */

static bool
is_file(const char *arg)
{
    struct stat st;

    return strcmp(arg, "-") == 0 || strchr(arg, '/') || stat(arg, &st) == 0;
}

/* ret: false: why */
static bool
read_all(int fd, struct text *t, struct rk_junos_why *why)
{
    ssize_t n = 1;

    while (n > 0 && t->len <= RK_JUNOS_FILE_MAX) {
        if (!grow(t, 65536)) {
            snprintf(why->text, sizeof why->text, "out of memory");
            return false;
        }
        n = read(fd, t->bytes + t->len, 65536);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            t->len += (size_t)n;
    }
    if (n < 0)
        snprintf(why->text, sizeof why->text, "%s", strerror(errno));
    else if (t->len > RK_JUNOS_FILE_MAX)
        snprintf(why->text, sizeof why->text, "more than %u MiB: no router has as much", RK_JUNOS_FILE_MAX >> 20);
    else
        t->bytes[t->len] = '\0';
    return n == 0 && t->len <= RK_JUNOS_FILE_MAX;
}

static bool
read_file(const char *path, struct text *t, struct rk_junos_why *why)
{
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    bool ok = false;

    if (fd < 0 || fstat(fd, &st) != 0)
        snprintf(why->text, sizeof why->text, "%s", strerror(errno));
    else if (S_ISDIR(st.st_mode))
        snprintf(why->text, sizeof why->text, "this is a folder");
    else
        ok = read_all(fd, t, why);
    if (fd > STDIN_FILENO)
        close(fd);
    return ok;
}

/* ---- a device ---- */

/* Its statements as lines of a text.   ret: enum rk_cli_exit; why */
static int
ask_statements(struct rk_cli_opts *o, const struct rk_cli_io *io, struct text *t, struct rk_junos_why *why)
{
    struct rk_prepared a = {.o = o, .io = io, .quiet = true, .lines = json_array()};
    json_t *line;
    size_t i;
    int code;

    snprintf(o->words, sizeof o->words, "offbox");
    code = rk_cli_prepare_ask(o, &a);
    snprintf(why->text, sizeof why->text, "%s", a.text);
    json_array_foreach(a.lines, i, line) {
        size_t len = json_string_length(line);

        if (code != RK_CLI_OK || !grow(t, len + 1))
            break;
        memcpy(t->bytes + t->len, json_string_value(line), len);
        t->bytes[t->len + len] = '\n';
        t->len += len + 1;
    }
    if (t->bytes)
        t->bytes[t->len] = '\0';
    json_decref(a.lines);
    o->words[0] = '\0';
    return code;
}

/* What discover says of the interfaces that are there: neighbours, names, sources of the configuration. */
static void
take_found(json_t *row, void *arg)
{
    const json_t *found = json_object_get(row, "found");
    json_t *i = json_object_get(json_object_get(arg, "interfaces"), rk_row_text(found, "interface", ""));
    const struct {
        const char *from, *to;
    } members[] = {{"peer_sae", "peer"}, {"peer_interface", "peer_interface"}, {"name", "name"}, {"source", "source"}};

    for (size_t m = 0; i && m < sizeof members / sizeof members[0]; m++)
        if (rk_row_text(found, members[m].from, "")[0])
            json_object_set(i, members[m].to, json_object_get(found, members[m].from));
}

/* ---- out ---- */

static void
print_step(FILE *out, const json_t *step, const char *name)
{
    const json_t *lines = json_object_get(step, name);
    json_t *line;
    size_t i;

    json_array_foreach(lines, i, line) {
        char *safe = rk_show_safe(json_string_value(line), false);

        fprintf(out, "#   %s%s\n", strcmp(name, "undo") == 0 ? "back: " : "", safe ? safe : "?");
        free(safe);
    }
}

/* The list of changes as comments, so that the whole output is a configuration. */
static void
print_changes(FILE *out, const json_t *changes, const json_t *stays)
{
    json_t *step, *text;
    size_t i;

    fputs("\n# On the router, in this order; each with its way back:\n", out);
    json_array_foreach(changes, i, step) {
        fprintf(out, "#\n# %zu. %s: %s\n", i + 1, rk_row_text(step, "when", ""), rk_row_text(step, "why", ""));
        print_step(out, step, "do");
        print_step(out, step, "undo");
    }
    fputs("#\n# What stays, and what to look at:\n", out);
    json_array_foreach(stays, i, text) {
        char *safe = rk_show_safe(json_string_value(text), false);

        fprintf(out, "# - %s\n", safe ? safe : "?");
        free(safe);
    }
}

static void
print(const struct rk_cli_opts *o, const struct rk_cli_io *io, const json_t *model, const char *device)
{
    const char *script = rk_offbox_script(model, o->script);
    const struct rk_offbox_want want = {.from = o->arg, .device = device, .peer = o->peer, .script = script};
    json_t *changes = rk_offbox_changes(model, script), *stays = rk_offbox_stays(model, script), *whole;
    char *yaml = NULL;
    size_t len = 0;
    FILE *out = o->json ? open_memstream(&yaml, &len) : io->out;

    if (out)
        rk_offbox_yaml(out, model, &want);
    if (out && !o->json)
        print_changes(out, changes, stays);
    if (out && o->json) {
        fclose(out);
        whole = json_pack("{s:b, s:s, s:s?, s:s, s:s?, s:s, s:O, s:O}", "ok", 1, "from", o->arg, "device", device,
                          "sae", rk_row_text(model, "host", ""), "script", script, "yaml", yaml, "changes", changes,
                          "stays", stays);
        rk_cli_json(io, whole);
        putc('\n', io->out);
        json_decref(whole);
    }
    free(yaml);
    json_decref(changes);
    json_decref(stays);
}

static int
failed(const struct rk_cli_opts *o, const struct rk_cli_io *io, const struct rk_junos_why *why)
{
    char *safe = rk_show_safe(why->text, io->utf8), *from = rk_show_safe(o->arg, io->utf8);

    if (o->json) {
        json_t *whole = json_pack("{s:b, s:s, s:s}", "ok", 0, "from", from ? from : "", "text", safe ? safe : "");

        rk_cli_json(io, whole);
        putc('\n', io->out);
        json_decref(whole);
    } else {
        fprintf(io->err, "rekeyctl: %s: %s\n", from ? from : "?", safe ? safe : "?");
    }
    free(safe);
    free(from);
    return RK_CLI_FAILED;
}

int
rk_cli_import_offbox(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct rk_junos_why why = {.text = ""};
    struct text text = {.bytes = NULL};
    json_t *model = rk_offbox_new();
    bool file = is_file(o->arg), ok;
    int code = RK_CLI_OK;

    o->budget_ms = (uint32_t)(o->timeout_ms < RK_DISCOVER_MAX_MS ? o->timeout_ms : RK_DISCOVER_MAX_MS);
    if (!file)
        code = ask_statements(o, io, &text, &why);
    if (code == RK_CLI_NO_DAEMON || code == RK_CLI_USAGE) {
        json_decref(model);
        return code;
    }
    ok = code == RK_CLI_OK && (!file || read_file(o->arg, &text, &why));
    if (ok && !text.bytes)
        ok = grow(&text, 1) && !(text.bytes[0] = '\0');
    ok = ok && rk_junos_read(text.bytes, text.len, rk_offbox_take, model, &why) && rk_offbox_check(model, &why);
    drop(&text);
    if (ok && !file)
        ok = rk_cli_discover_rows(o, io, take_found, model, why.text) == RK_CLI_OK;
    if (ok)
        print(o, io, model, file ? NULL : o->arg);
    else
        code = failed(o, io, &why);
    json_decref(model);
    return code;
}
