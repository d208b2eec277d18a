/* find.c - what the simulated device says of its links, and what it is told to be prepared for.
 *
 * Nothing that its options or files say is checked, so that tests can make it say what no device should.
 */
#include "find.h"

#include "class.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 4096
#define OPTIONS_MAX 16

static char *
copy(const struct rk_host *host, const struct rk_conf *conf, const char *name, bool *ok)
{
    const char *value = host->conf_str(conf, name);
    char *text = value ? strdup(value) : NULL;

    *ok &= !value || text;
    return text;
}

bool
sim_find_options(struct sim *s, const struct rk_conf *conf)
{
    bool ok = true;
    size_t n = 0;

    s->find.file = copy(s->host, conf, "discover-file", &ok);
    s->find.prepared = copy(s->host, conf, "prepared-file", &ok);
    while (s->host->conf_item(conf, "discover", n))
        n++;
    s->find.list = calloc(n + 1, sizeof(char *));
    for (size_t i = 0; s->find.list && i < n; i++) {
        s->find.list[i] = strdup(s->host->conf_item(conf, "discover", i));
        ok &= s->find.list[i] != NULL;
    }
    return ok && s->find.list;
}

void
sim_find_free(struct sim *s)
{
    for (size_t i = 0; s->find.list && s->find.list[i]; i++)
        free(s->find.list[i]);
    free(s->find.list);
    free(s->find.file);
    free(s->find.prepared);
}

/* %XX of a word as a byte, so that a file of lines and words can say any. */
static char *
decode(char *word)
{
    char *out = word, hex[3] = "";

    for (const char *in = word; *in; in++) {
        if (in[0] == '%' && in[1] && in[2]) {
            memcpy(hex, in + 1, 2);
            *out++ = (char)strtol(hex, NULL, 16);
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
    return strcmp(word, "-") == 0 ? out : word;
}

struct finder {
    rk_found_fn *found;
    void *arg;
    uint32_t device_class;
};

/* "NAME=VALUE" as two texts behind the others. */
static void
add_option(const char **options, size_t *n, char *word)
{
    char *value = strchr(word, '=');

    if (!value || *n + 2 > OPTIONS_MAX * 2)
        return;
    *value = '\0';
    options[(*n)++] = word;
    options[(*n)++] = decode(value + 1);
}

static int
find_line(const struct finder *f, char *line)
{
    const char *options[OPTIONS_MAX * 2 + 1] = {NULL};
    const char *names[4] = {"", "", "", ""};
    char *rest = NULL, *why = strchr(line, '!');
    struct rk_found found = {.size = sizeof found, .device_class = f->device_class};
    size_t n = 0, n_options = 0;

    line[strcspn(line, "\n")] = '\0';
    if (why)
        *why++ = '\0';
    for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (n < 4)
            names[n++] = decode(word);
        else
            add_option(options, &n_options, word);
    }
    if (n == 0)
        return RK_OK;
    found.iface = names[0];
    found.sae = names[1];
    found.peer_sae = names[2];
    found.peer_iface = names[3];
    found.source = n_options ? options : NULL;
    found.why = why ? why : "";
    return f->found(f->arg, &found);
}

static int
find_file(const struct finder *f, FILE *in)
{
    char line[LINE_MAX_BYTES];
    int err = RK_OK;

    while (!err && fgets(line, sizeof line, in))
        err = find_line(f, line);
    return err;
}

int
sim_discover(void *inst, struct rk_call *call, rk_found_fn *found, void *arg)
{
    struct sim *s = inst;
    const struct finder f = {found, arg, s->device->class->class};
    FILE *in = s->find.file ? fopen(s->find.file, "re") : NULL;
    int err = RK_OK;

    if (s->find.file && !in)
        return s->host->fail(call, RK_E_UNREACHABLE, "device %s cannot be reached: %s", s->device->name,
                             strerror(errno));
    for (size_t i = 0; !err && s->find.list[i]; i++) {
        char *line = strdup(s->find.list[i]);

        err = line ? find_line(&f, line) : s->host->fail(call, RK_E_NOMEM, "out of memory");
        free(line);
    }
    if (in) {
        err = err ? err : find_file(&f, in);
        fclose(in);
    }
    return err;
}

/* ---- prepare ---- */

/* Was it prepared for this interface?  The file has a line for each. */
static bool
is_prepared(const struct sim *s, const char *iface)
{
    FILE *in = s->find.prepared ? fopen(s->find.prepared, "re") : NULL;
    char line[LINE_MAX_BYTES];
    bool found = false;

    while (in && !found && fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        found = strcmp(line, iface) == 0;
    }
    if (in)
        fclose(in);
    return found;
}

static int
write_down(const struct sim *s, struct rk_call *call, const char *iface)
{
    FILE *out = s->find.prepared ? fopen(s->find.prepared, "ae") : NULL;

    if (!out && s->find.prepared)
        return s->host->fail(call, RK_E_REJECTED, "%s: %s", s->find.prepared, strerror(errno));
    if (out) {
        fprintf(out, "%s\n", iface);
        fclose(out);
    }
    return RK_OK;
}

int
sim_prepare(void *inst, struct rk_call *call, const struct rk_prepare *want, rk_line_fn *line, void *arg)
{
    struct sim *s = inst;
    bool any = false;
    char text[200];
    int err = RK_OK;

    if (want->words)
        return s->host->fail(call, RK_E_UNSUPPORTED, "a simulated device can be prepared for its links only");
    for (size_t i = 0; !err && want->ifaces[i]; i++) {
        if (is_prepared(s, want->ifaces[i]))
            continue;
        if (!any)
            line(arg, "set system services keys");
        any = true;
        snprintf(text, sizeof text, "set interfaces %s keys", want->ifaces[i]);
        line(arg, text);
        if (want->apply)
            err = write_down(s, call, want->ifaces[i]);
    }
    return err;
}

/* ---- tend ---- */

int
sim_tend(void *inst, struct rk_call *call)
{
    struct sim *s = inst;

    s->host->log(call, RK_LOG_DEBUG, "ev=tended device=%s", s->device->name);
    return RK_OK;
}
