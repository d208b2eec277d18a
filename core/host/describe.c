/* describe.c - a module's options for people and as JSON. */
#include "describe.h"

#include "../conf/opt.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

static const char *
kind_name(uint32_t kind)
{
    return kind == RK_SOURCE ? "source" : kind == RK_DEVICE ? "device" : "channel";
}

/* What min and max count; 0 when the type has none. */
static const char *
bound_unit(const struct rk_opt *o)
{
    switch (o->type) {
    case RK_OPT_DURATION:
        return "ms";
    case RK_OPT_SIZE:
    case RK_OPT_STRING:
        return "bytes";
    default:
        return o->unit;
    }
}

static bool
bounded(const struct rk_opt *o)
{
    return (o->min || o->max) &&
           (o->type == RK_OPT_INT || o->type == RK_OPT_DURATION || o->type == RK_OPT_SIZE || o->type == RK_OPT_STRING);
}

/* ---- text ---- */

static void
put_option(FILE *out, const struct rk_opt *o)
{
    const char *unit = bound_unit(o);

    fprintf(out, "  %s: %s%s%s", o->name, o->flags & RK_OPT_LIST ? "list of " : "", rk_opt_type_name(o->type),
            o->flags & RK_OPT_REQUIRED ? ", required"
            : o->flags & RK_OPT_ONE_OF ? ", one such option is required"
                                       : "");
    if (bounded(o))
        fprintf(out, ", %" PRId64 " to %" PRId64 "%s%s", o->min, o->max, unit ? " " : "", unit ? unit : "");
    else if (o->unit)
        fprintf(out, ", %s", o->unit);
    for (size_t i = 0; o->choices && o->choices[i]; i++)
        fprintf(out, "%s%s", i ? "|" : ", one of ", o->choices[i]);
    if (o->dflt)
        fprintf(out, ", default \"%s\"", o->dflt);
    fprintf(out, "\n      %s\n", o->help ? o->help : "");
}

int
rk_describe_text(FILE *out, const struct rk_module *m)
{
    fprintf(out, "%s %s: %s plugin, ABI %u.%u\n", m->name, m->version, kind_name(m->kind), m->abi >> 16,
            m->abi & 0xffff);
    if (m->summary[0])
        fprintf(out, "%s\n", m->summary);
    if (m->kind == RK_DEVICE)
        fprintf(out, "device class: %c\n", "?ABCDE"[RK_CAP_CLASS(m->caps)]);
    fprintf(out, "needs:%s%s%s\n", m->caps & RK_CAP_NEEDS_NET ? " network" : "",
            m->caps & RK_CAP_NEEDS_NET_ADMIN ? " CAP_NET_ADMIN" : "",
            m->caps & (RK_CAP_NEEDS_NET | RK_CAP_NEEDS_NET_ADMIN) ? "" : " no network, no privilege");
    if (m->caps & RK_CAP_EXPERIMENTAL)
        fprintf(out, "experimental: only with \"allow-experimental: yes\"\n");
    fprintf(out, "options:%s\n", m->n_opts || m->kind == RK_CHANNEL ? "" : " none");
    for (size_t i = 0; i < m->n_opts; i++)
        put_option(out, &m->opts[i]);
    for (const struct rk_opt *o = rk_channel_opts; m->kind == RK_CHANNEL && o->name; o++)
        put_option(out, o);
    return fflush(out) || ferror(out) ? RK_E_IO : RK_OK;
}

/* ---- JSON ---- */

static json_t *
json_option(const struct rk_opt *o)
{
    json_t *j = json_pack("{s:s, s:s, s:b, s:b, s:b, s:s}", "name", o->name, "type", rk_opt_type_name(o->type),
                          "required", (o->flags & RK_OPT_REQUIRED) != 0, "list", (o->flags & RK_OPT_LIST) != 0,
                          "reload", (o->flags & RK_OPT_RELOAD) != 0, "help", o->help ? o->help : "");
    json_t *choices = o->choices ? json_array() : NULL;
    int failed = !j || (o->choices && !choices);

    for (size_t i = 0; !failed && o->choices && o->choices[i]; i++)
        failed |= json_array_append_new(choices, json_string(o->choices[i]));
    if (!failed && bound_unit(o))
        failed |= json_object_set_new(j, "unit", json_string(bound_unit(o)));
    if (!failed && bounded(o)) {
        failed |= json_object_set_new(j, "min", json_integer(o->min));
        failed |= json_object_set_new(j, "max", json_integer(o->max));
    }
    if (!failed && (o->flags & RK_OPT_ONE_OF))
        failed |= json_object_set_new(j, "one_of", json_true());
    if (!failed && o->dflt)
        failed |= json_object_set_new(j, "default", json_string(o->dflt));
    if (!failed && choices)
        failed |= json_object_set(j, "choices", choices);
    json_decref(choices);
    if (!failed)
        return j;
    json_decref(j);
    return NULL;
}

static json_t *
json_module(const struct rk_module *m)
{
    char abi[32], class[2] = {"?ABCDE"[m->kind == RK_DEVICE ? RK_CAP_CLASS(m->caps) : 0], '\0'};

    snprintf(abi, sizeof abi, "%u.%u", m->abi >> 16, m->abi & 0xffff);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*, s:b, s:b, s:b, s:b, s:[]}", "name", m->name, "version",
                     m->version, "summary", m->summary, "kind", kind_name(m->kind), "abi", abi, "class",
                     m->kind == RK_DEVICE ? class : NULL, "parallel", (m->caps & RK_CAP_PARALLEL) != 0, "needs-net",
                     (m->caps & RK_CAP_NEEDS_NET) != 0, "needs-net-admin", (m->caps & RK_CAP_NEEDS_NET_ADMIN) != 0,
                     "experimental", (m->caps & RK_CAP_EXPERIMENTAL) != 0, "options");
}

int
rk_describe_json(FILE *out, const struct rk_module *m)
{
    json_t *j = json_module(m), *options = json_object_get(j, "options");
    int failed = !j;

    for (size_t i = 0; !failed && i < m->n_opts; i++)
        failed |= json_array_append_new(options, json_option(&m->opts[i]));
    for (const struct rk_opt *o = rk_channel_opts; !failed && m->kind == RK_CHANNEL && o->name; o++)
        failed |= json_array_append_new(options, json_option(o));
    if (failed) {
        json_decref(j);
        return RK_E_NOMEM;
    }
    failed = json_dumpf(j, out, JSON_INDENT(2) | JSON_ENSURE_ASCII) || fputc('\n', out) == EOF || fflush(out);
    json_decref(j);
    return failed ? RK_E_IO : RK_OK;
}
