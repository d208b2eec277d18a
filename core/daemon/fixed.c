/* fixed.c - links whose source gives one fixed key: never on a device of class A.
 *
 * Runs in rekeyd.  With a static SAK the packet number begins at 1 for each installation: the same key twice is the
 * same nonce twice.  It is refused when the configuration is checked; and again when a key comes, for a device may say
 * of an interface that it is to be driven as class A after all.
 */
#include "daemon.h"

#include <string.h>

static const char *
setting(const struct rk_instance_conf *conf, const char *name, const char *otherwise)
{
    for (size_t i = 0; i < conf->n; i++)
        if (strcmp(conf->settings[i].name, name) == 0)
            return conf->settings[i].value;
    return otherwise;
}

/* Does this source give one key again and again: see RK_CAP_FIXED. */
static bool
is_fixed(const struct rk_instance_conf *conf, const struct host *h)
{
    if (!h || conf->kind != RK_SOURCE || !(h->hello.caps & RK_CAP_FIXED))
        return false;
    return !rk_opt_find(h->hello.opts, "mode") || strcmp(setting(conf, "mode", ""), "fixed") == 0;
}

/* A device whose class an option chooses is known when it is looked at: then the key is refused, if need be. */
static bool
is_class_a(const struct rk_instance_conf *conf, const struct host *h)
{
    return RK_CAP_CLASS(h->hello.caps) == RK_CLASS_A && strcmp(setting(conf, "class", "a"), "a") == 0;
}

struct place {
    size_t source, device;
    const char *option;
};

static void
check_place(struct daemon *d, struct rk_conf_set *set, const struct rk_link_conf *link, const struct place *at,
            struct rk_conf_errors *errors)
{
    const struct rk_instance_conf *conf = at->source == SIZE_MAX ? NULL : &set->instances[at->source];
    const struct host *h = at->device == SIZE_MAX ? NULL : sup_host(d, set->instances[at->device].plugin);

    if (!conf || !h || !is_fixed(conf, sup_host(d, conf->plugin)))
        return;
    if (is_class_a(&set->instances[at->device], h))
        rk_conf_error(errors, link->line, link->col,
                      "link \"%s\": %s \"%s\" gives one fixed key, and device \"%s\" is of class A: a static SAK that "
                      "is installed twice repeats its nonces; take another source", link->name, at->option, conf->name,
                      set->instances[at->device].name);
    else if (link->n_sources > 1 && link->require_any)
        rk_conf_error(errors, link->line, link->col,
                      "link \"%s\": %s \"%s\" gives one fixed key, which require: any would use alone, again and "
                      "again; take require: all", link->name, at->option, conf->name);
    else if (strstr(at->option, "fallback") == NULL && link->n_sources < 2) /* mixed with others it is another one */
        rk_conf_error(&set->warnings, link->line, link->col,
                      "link \"%s\": %s \"%s\" gives one fixed key: it is installed once and never replaced", link->name,
                      at->option, conf->name);
}

void
fixed_check(struct daemon *d, struct rk_conf_set *set, const struct rk_link_conf *link, struct rk_conf_errors *errors)
{
    const struct place places[] = {
        {link->source, link->device, "source"},
        {link->peer_source, link->peer_device, "peer-source"},
        {link->fallback, link->device, "fallback-source"},
        {link->peer_fallback, link->peer_device, "peer-fallback-source"},
    };

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (i % 2 == 0 || places[i].source != places[i - 1].source || places[i].device != places[i - 1].device)
            check_place(d, set, link, &places[i], errors);
    for (unsigned i = 0; i + 1 < link->n_sources; i++) {
        check_place(d, set, link, &(struct place){link->more[i], link->device, "source"}, errors);
        if (link->peer_source != SIZE_MAX)
            check_place(d, set, link, &(struct place){link->peer_more[i], link->peer_device, "peer-source"}, errors);
    }
}

int
fixed_refused(const struct end *end, const char *key_id, const char **why)
{
    if (!end->asked || !is_fixed(end->asked->conf, end->asked->host))
        return RK_OK;
    if (end->live->e.class == RK_CLASS_A) {
        *why = "the source gives one fixed key, and the device drives this interface with static SAKs (class A), where "
               "a key must never come twice; take another source";
        return RK_E_CONFIG;
    }
    if (strcmp(key_id, end->live->e.d.cur) != 0)
        return RK_OK;
    *why = "the source gives one fixed key, and it is in use already: it stays";
    return RK_E_EMPTY;
}
