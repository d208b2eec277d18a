/* conf_plugin.c - the options of one instance against what its plugin says it takes.
 *
 * Pure but for memory.  The schema comes from another process: it is checked before it is used.
 */
#include "conf_priv.h"

#include <inttypes.h>

static const struct rk_opt *
find(const struct rk_schema *schema, const char *name)
{
    const struct rk_opt *o = rk_opt_find(schema->opts, name);

    return o || schema->kind != RK_CHANNEL ? o : rk_opt_find(rk_channel_opts, name);
}

static void
unknown(const struct rk_instance_conf *inst, size_t i, const struct rk_schema *schema, struct rk_conf_errors *e)
{
    const char *names[RK_OPTS_MAX + 1], *near;
    struct rk_shown shown;
    size_t n = 0;

    for (const struct rk_opt *o = schema->opts; o && o->name && n < RK_OPTS_MAX; o++)
        names[n++] = o->name;
    if (schema->kind == RK_CHANNEL)
        names[n++] = rk_channel_opts[0].name;
    near = rk_nearest(inst->settings[i].name, names, n);
    rk_conf_error(e, inst->places[i].line, inst->places[i].col, "plugin %s has no option \"%s\"%s%s%s", inst->plugin,
                  rk_opt_shown(inst->settings[i].name, &shown), near ? ": did you mean \"" : "", near ? near : "",
                  near ? "\"?" : "");
}

/* Settings of one option stand together, as its list was written. */
static bool
first_of_option(const struct rk_instance_conf *inst, size_t i)
{
    return i == 0 || strcmp(inst->settings[i].name, inst->settings[i - 1].name) != 0;
}

static void
check_setting(const struct rk_instance_conf *inst, size_t i, const struct rk_schema *schema, struct rk_conf_errors *e)
{
    const struct rk_opt *o = find(schema, inst->settings[i].name);
    int line = inst->places[i].line, col = inst->places[i].col;
    char why[240];

    if (!o) {
        if (first_of_option(inst, i))
            unknown(inst, i, schema, e);
        return;
    }
    if (!(o->flags & RK_OPT_LIST) && !first_of_option(inst, i))
        rk_conf_error(e, line, col, "%s: one value expected, not a list", o->name);
    else if (rk_opt_value(o, inst->settings[i].value, NULL, why, sizeof why))
        rk_conf_error(e, line, col, "%s: %s", o->name, why);
}

static bool
given(const struct rk_instance_conf *inst, const char *name)
{
    for (size_t i = 0; i < inst->n; i++)
        if (strcmp(inst->settings[i].name, name) == 0)
            return true;
    return false;
}

static void
check_required(const struct rk_instance_conf *inst, const struct rk_opt *opts, struct rk_conf_errors *e)
{
    for (const struct rk_opt *o = opts; o && o->name; o++)
        if ((o->flags & RK_OPT_REQUIRED) && !given(inst, o->name))
            rk_conf_error(e, inst->line, inst->col, "%s \"%s\": \"%s\" is missing (%s%s%.100s)",
                          rk_conf_kind_name(inst->kind), inst->name, o->name, rk_opt_type_name(o->type),
                          o->help && *o->help ? ": " : "", o->help ? o->help : "");
}

static void
check_one_of(const struct rk_instance_conf *inst, const struct rk_opt *opts, struct rk_conf_errors *e)
{
    char names[160];
    size_t n = 0;

    for (const struct rk_opt *o = opts; o && o->name; o++)
        n += (o->flags & RK_OPT_ONE_OF) && given(inst, o->name);
    if (rk_opt_one_of(opts, names, sizeof names) && n != 1)
        rk_conf_error(e, inst->line, inst->col, "%s \"%s\": %s%s", rk_conf_kind_name(inst->kind), inst->name, names,
                      n ? ": only one of them can be given" : " is missing");
}

int64_t
rk_conf_apply_ms(const struct rk_conf_set *set, const struct rk_instance_conf *inst, uint32_t plugin_ms)
{
    int64_t ms = plugin_ms < RK_CALL_BUDGET_MAX_MS ? plugin_ms : RK_CALL_BUDGET_MAX_MS;

    if (inst->call_budget_ms)
        return inst->call_budget_ms;
    return ms > set->call_budget_ms ? ms : set->call_budget_ms;
}

/* What is waited for within an apply must leave time to find out what became of it: else the host is killed first, and
 * the answer is never more than "not known". */
static void
check_apply(const struct rk_instance_conf *inst, const struct rk_opt *o, int64_t apply_ms, struct rk_conf_errors *e)
{
    const char *value = o->dflt;
    int line = inst->line, col = inst->col;
    int64_t ms = 0;

    for (size_t i = 0; i < inst->n; i++)
        if (strcmp(inst->settings[i].name, o->name) == 0) {
            value = inst->settings[i].value;
            line = inst->places[i].line;
            col = inst->places[i].col;
        }
    if (!value || rk_opt_value(o, value, &ms, NULL, 0) || ms + RK_APPLY_SPARE_MS <= apply_ms)
        return;
    rk_conf_error(e, line, col, "%s: %s does not fit into a call-budget of %" PRId64 "s, of which 30s are kept to find "
                  "out what became of it: make call-budget of device \"%s\" %" PRId64 "s or more%s", o->name, value,
                  apply_ms / 1000, inst->name, (ms + RK_APPLY_SPARE_MS + 999) / 1000,
                  inst->call_budget_ms ? ", or leave it out" : "");
}

void
rk_conf_check_plugin(const struct rk_instance_conf *inst, const struct rk_schema *schema, struct rk_conf_errors *e)
{
    char why[200];

    if (schema->kind != inst->kind) {
        rk_conf_error(e, inst->line, inst->col, "plugin %s is a %s: it belongs in section %s, not %s", inst->plugin,
                      rk_conf_kind_name(schema->kind), rk_conf_section_name(schema->kind),
                      rk_conf_section_name(inst->kind));
        return;
    }
    if (rk_opts_sane(schema->opts, why, sizeof why)) {
        rk_conf_error(e, inst->line, inst->col, "plugin %s cannot be used: %s", inst->plugin, why);
        return;
    }
    for (size_t i = 0; i < inst->n; i++)
        check_setting(inst, i, schema, e);
    check_required(inst, schema->opts, e);
    check_one_of(inst, schema->opts, e);
    for (const struct rk_opt *o = schema->opts; schema->apply_ms && o && o->name; o++)
        if (o->flags & RK_OPT_APPLY)
            check_apply(inst, o, schema->apply_ms, e);
    if (schema->kind == RK_CHANNEL)
        check_required(inst, rk_channel_opts, e);
}
