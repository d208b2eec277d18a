/* options.c - options of an instance, checked and read.  Pure. */
#include "options.h"

#include "../base/text.h"
#include "../conf/opt.h"

#include <stdio.h>
#include <string.h>

static const struct rk_opt *
host_opt(const struct rk_module *m, const char *name)
{
    return m->kind == RK_CHANNEL ? rk_opt_find(rk_channel_opts, name) : NULL;
}

const char *
rk_options_raw(const struct rk_conf *conf, const char *name, size_t i)
{
    for (size_t k = 0; k < conf->n; k++)
        if (strcmp(conf->settings[k].name, name) == 0 && i-- == 0)
            return conf->settings[k].value;
    return NULL;
}

/* The names that rekeyd itself gives to every instance. */
static int
check_site(const struct rk_setting *s, char *why, size_t size)
{
    bool ok = false;

    if (strcmp(s->name, RK_CONF_NAME) == 0)
        ok = rk_name_ok(s->value, RK_NAME_MAX);
    else if (strcmp(s->name, RK_CONF_SAE) == 0)
        ok = s->value[0] && strlen(s->value) <= RK_SAE_MAX;
    else if (strcmp(s->name, RK_CONF_STATE_DIR) == 0)
        ok = s->value[0] == '/';
    if (!ok)
        snprintf(why, size, "%s: not a value that rekeyd gives", s->name);
    return ok ? RK_OK : RK_E_CONFIG;
}

static int
check_setting(const struct rk_conf *conf, const struct rk_setting *s, char *why, size_t size)
{
    const struct rk_opt *o = rk_opt_find(conf->module->opts, s->name);
    char reason[200] = "";

    if (s->name[0] == '@')
        return check_site(s, why, size);
    if (!o)
        o = host_opt(conf->module, s->name);
    if (!o) {
        snprintf(why, size, "%s: plugin %s has no such option", s->name, conf->module->name);
        return RK_E_CONFIG;
    }
    if (rk_opt_value(o, s->value, NULL, reason, sizeof reason) != RK_OK) {
        snprintf(why, size, "%s: %s", s->name, reason);
        return RK_E_CONFIG;
    }
    if (!(o->flags & RK_OPT_LIST) && rk_options_raw(conf, s->name, 0) != s->value) {
        snprintf(why, size, "%s: given twice", s->name);
        return RK_E_CONFIG;
    }
    return RK_OK;
}

static int
check_required(const struct rk_conf *conf, const struct rk_opt *opts, char *why, size_t size)
{
    for (const struct rk_opt *o = opts; o && o->name; o++)
        if ((o->flags & RK_OPT_REQUIRED) && !rk_options_raw(conf, o->name, 0)) {
            snprintf(why, size, "%s: required, but not given", o->name);
            return RK_E_CONFIG;
        }
    return RK_OK;
}

static int
check_one_of(const struct rk_conf *conf, char *why, size_t size)
{
    char names[160];
    size_t n = 0;

    for (const struct rk_opt *o = conf->module->opts; o && o->name; o++)
        n += (o->flags & RK_OPT_ONE_OF) && rk_options_raw(conf, o->name, 0);
    if (!rk_opt_one_of(conf->module->opts, names, sizeof names) || n == 1)
        return RK_OK;
    snprintf(why, size, "%s: %s", names, n ? "only one of them can be given" : "required, but not given");
    return RK_E_CONFIG;
}

int
rk_options_check(const struct rk_conf *conf, char *why, size_t size)
{
    static const struct rk_opt site[] = {
        {.name = RK_CONF_NAME, .flags = RK_OPT_REQUIRED},
        {.name = RK_CONF_SAE, .flags = RK_OPT_REQUIRED},
        {.name = NULL},
    };
    int err = RK_OK;

    for (size_t i = 0; !err && i < conf->n; i++)
        err = check_setting(conf, &conf->settings[i], why, size);
    if (!err)
        err = check_required(conf, site, why, size);
    if (!err)
        err = check_required(conf, conf->module->opts, why, size);
    if (!err)
        err = check_one_of(conf, why, size);
    if (!err && conf->module->kind == RK_CHANNEL)
        err = check_required(conf, rk_channel_opts, why, size);
    return err;
}

const char *
rk_options_item(const struct rk_conf *conf, const char *name, size_t i)
{
    const struct rk_opt *o = rk_opt_find(conf->module->opts, name);

    if (!o && name[0] != '@')
        return NULL; /* not in its schema: the host's own options are not the plugin's to see */
    if (rk_options_raw(conf, name, 0))
        return rk_options_raw(conf, name, i);
    return o && i == 0 ? o->dflt : NULL;
}

int64_t
rk_options_int(const struct rk_conf *conf, const char *name)
{
    const struct rk_opt *o = rk_opt_find(conf->module->opts, name);
    const char *value = rk_options_item(conf, name, 0);
    int64_t v = 0;

    return o && value && rk_opt_value(o, value, &v, NULL, 0) == RK_OK ? v : 0;
}
