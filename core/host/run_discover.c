/* run_discover.c - what of a device is not about keys: keep it open, find its links, prepare it.
 *
 * Runs on worker threads.  What a device says of its neighbours comes from far away: a text that is no name stays here.
 */
#include "run.h"

#include "safe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
not_offered(struct rk_call *c)
{
    return rk_call_fail(c, RK_E_UNSUPPORTED, "plugin %s does not offer %s", c->inst->module->name,
                        rk_verb_name(c->verb));
}

int
rk_run_tend(struct rk_call *c)
{
    const struct rk_device_ops *ops = &c->inst->module->device;

    return ops->tend ? ops->tend(c->inst->data, c) : not_offered(c);
}

/* ---- discover ---- */

/* A name as it is, or "" with the reason: one that is cut or mended would be another one's. */
static void
name_or_why(struct rk_found_msg *m, const char *what, const char *in, char *out, size_t size)
{
    size_t len = in ? strlen(in) : 0, ok = 0;

    while (ok < len && in[ok] > ' ' && in[ok] <= '~')
        ok++;
    if (ok == len && len < size) {
        memcpy(out, in ? in : "", len + 1);
        return;
    }
    out[0] = '\0';
    if (!m->why[0])
        snprintf(m->why, sizeof m->why, "%s is no name: 1 to %zu printable ASCII characters without blank", what,
                 size - 1);
}

static bool
setting_ok(const char *name, const char *value)
{
    const struct rk_setting *s = NULL;
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    const char *p = value;

    while (*p > ' ' && *p <= '~')
        p++;
    return len > 0 && !name[len] && len < sizeof s->name && !*p && (size_t)(p - value) < sizeof s->value;
}

static int
take_source(struct rk_found_msg *m, const char *const *source)
{
    size_t n = 0;

    while (source && source[n] && source[n + 1])
        n += 2;
    m->settings = calloc(n / 2 + 1, sizeof *m->settings);
    if (!m->settings)
        return RK_E_NOMEM;
    for (size_t i = 0; i < n && m->n < RK_OPTS_MAX; i += 2) {
        if (setting_ok(source[i], source[i + 1])) {
            strcpy(m->settings[m->n].name, source[i]);
            strcpy(m->settings[m->n++].value, source[i + 1]);
        } else if (!m->why[0]) {
            snprintf(m->why, sizeof m->why, "option %zu of the key source has a value that cannot be one", i / 2 + 1);
        }
    }
    return RK_OK;
}

static bool
has(const struct rk_found *f, size_t end)
{
    return f->size >= end;
}
#define HAS(f, member) has(f, offsetof(struct rk_found, member) + sizeof(f)->member)

static int
on_found(void *arg, const struct rk_found *f)
{
    struct rk_call *c = arg;
    struct rk_found_msg *m;
    int err;

    if (!HAS(f, why))
        return rk_call_fail(c, RK_E_CONTRACT, "its struct rk_found has %u bytes: set .size to sizeof of it", f->size);
    m = calloc(1, sizeof *m);
    if (!m)
        return rk_call_fail(c, RK_E_NOMEM, "out of memory");
    m->device_class = f->device_class <= RK_CLASS_E ? f->device_class : 0;
    name_or_why(m, "the interface's name", f->iface, m->iface, sizeof m->iface);
    name_or_why(m, "the device's own name", f->sae, m->sae, sizeof m->sae);
    name_or_why(m, "the neighbour's name", f->peer_sae, m->peer_sae, sizeof m->peer_sae);
    name_or_why(m, "the name of the neighbour's interface", f->peer_iface, m->peer_iface, sizeof m->peer_iface);
    err = take_source(m, f->source);
    if (err) {
        free(m);
        return rk_call_fail(c, err, "out of memory");
    }
    if (!m->why[0])
        rk_safe_copy(m->why, sizeof m->why, f->why ? f->why : "");
    return rk_call_found(c, m);
}

int
rk_run_discover(struct rk_call *c)
{
    const struct rk_device_ops *ops = &c->inst->module->device;

    return ops->discover ? ops->discover(c->inst->data, c, on_found, c) : not_offered(c);
}

/* ---- prepare ---- */

struct lines {
    struct rk_call *c;
    int err; /* of the first line that could not be told */
};

static void
on_line(void *arg, const char *line)
{
    struct lines *l = arg;
    int err = line ? rk_call_line(l->c, line) : RK_OK;

    l->err = l->err ? l->err : err;
}

int
rk_run_prepare(struct rk_call *c)
{
    const struct rk_device_ops *ops = &c->inst->module->device;
    const char **ifaces = calloc(2 * c->msg.n + 2, sizeof *ifaces), **words = ifaces ? ifaces + c->msg.n + 1 : NULL;
    struct rk_prepare want = {.size = sizeof want, .apply = c->msg.apply != 0, .ifaces = ifaces,
                              .carries = c->msg.carries != 0};
    struct lines lines = {c, RK_OK};
    size_t n = 0, n_words = 0;
    int err;

    if (!ifaces)
        return rk_call_fail(c, RK_E_NOMEM, "out of memory");
    for (size_t i = 0; i < c->msg.n; i++)
        if (c->msg.items[i].iface[0])
            ifaces[n++] = c->msg.items[i].iface;
        else
            words[n_words++] = c->msg.items[i].text;
    want.words = n_words ? words : NULL;
    err = ops->prepare ? ops->prepare(c->inst->data, c, &want, on_line, &lines) : not_offered(c);
    free(ifaces);
    return err ? err : lines.err;
}
