/* conf_same.c - what a reload leaves alone.  Pure. */
#include "conf_priv.h"

/* The k-th setting called like s, from 0; NULL: there are fewer. */
static const struct rk_setting *
nth(const struct rk_instance_conf *inst, const char *name, size_t k)
{
    for (size_t i = 0; i < inst->n; i++)
        if (strcmp(inst->settings[i].name, name) == 0 && k-- == 0)
            return &inst->settings[i];
    return NULL;
}

/* Which of the settings with its name is setting i, from 0. */
static size_t
rank(const struct rk_instance_conf *inst, size_t i)
{
    size_t k = 0;

    for (size_t j = 0; j < i; j++)
        k += strcmp(inst->settings[j].name, inst->settings[i].name) == 0;
    return k;
}

static bool
same_order(const struct rk_instance_conf *a, const struct rk_instance_conf *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->settings[i].name, b->settings[i].name) != 0 ||
            strcmp(a->settings[i].value, b->settings[i].value) != 0)
            return false;
    return true;
}

bool
rk_conf_instance_same(const struct rk_instance_conf *a, const struct rk_instance_conf *b)
{
    if (a->kind != b->kind || strcmp(a->name, b->name) != 0 || strcmp(a->plugin, b->plugin) != 0 || a->n != b->n ||
        a->call_budget_ms != b->call_budget_ms)
        return false;
    if (same_order(a, b))
        return true;
    for (size_t i = 0; i < a->n; i++) {
        const struct rk_setting *s = &a->settings[i], *t = nth(b, s->name, rank(a, i));

        if (!t || strcmp(s->value, t->value) != 0)
            return false;
    }
    return true;
}

static const char *
name_at(const struct rk_conf_set *set, size_t index)
{
    return index == SIZE_MAX ? "" : set->instances[index].name;
}

/* Are the keys of both mixed of sources with the same names, in the same order. */
static bool
same_sources(const struct rk_conf_set *set_a, const struct rk_link_conf *a, const struct rk_conf_set *set_b,
             const struct rk_link_conf *b)
{
    bool local = a->peer_source != SIZE_MAX && b->peer_source != SIZE_MAX;

    if (a->n_sources != b->n_sources || a->require_any != b->require_any || a->ratchet != b->ratchet)
        return false;
    for (unsigned i = 0; i + 1 < a->n_sources; i++)
        if (strcmp(name_at(set_a, a->more[i]), name_at(set_b, b->more[i])) != 0 ||
            (local && strcmp(name_at(set_a, a->peer_more[i]), name_at(set_b, b->peer_more[i])) != 0))
            return false;
    return true;
}

bool
rk_conf_channels_same(const struct rk_conf_set *set_a, const struct rk_link_conf *a, const struct rk_conf_set *set_b,
                      const struct rk_link_conf *b)
{
    if (a->n_channels != b->n_channels || strcmp(name_at(set_a, a->channel), name_at(set_b, b->channel)) != 0)
        return false;
    for (unsigned i = 0; i + 1 < a->n_channels; i++)
        if (strcmp(name_at(set_a, a->more_channels[i]), name_at(set_b, b->more_channels[i])) != 0)
            return false;
    return strcmp(a->peer_chassis, b->peer_chassis) == 0 && strcmp(a->peer_port, b->peer_port) == 0;
}

bool
rk_conf_link_same(const struct rk_conf_set *set_a, const struct rk_link_conf *a, const struct rk_conf_set *set_b,
                  const struct rk_link_conf *b)
{
    const size_t in_a[] = {a->device, a->source, a->peer_device, a->peer_source, a->fallback, a->peer_fallback};
    const size_t in_b[] = {b->device, b->source, b->peer_device, b->peer_source, b->fallback, b->peer_fallback};

    if ((a->channel == SIZE_MAX) != (b->channel == SIZE_MAX))
        return false;
    for (size_t i = 0; i < sizeof in_a / sizeof *in_a; i++)
        if (strcmp(name_at(set_a, in_a[i]), name_at(set_b, in_b[i])) != 0)
            return false;
    return same_sources(set_a, a, set_b, b) && strcmp(set_a->sae, set_b->sae) == 0 && strcmp(a->name, b->name) == 0 &&
           strcmp(a->peer_sae, b->peer_sae) == 0 && strcmp(a->iface, b->iface) == 0 &&
           strcmp(a->peer_iface, b->peer_iface) == 0 && a->interval_ms == b->interval_ms &&
           a->drain_ms == b->drain_ms && a->verify_ms == b->verify_ms && a->bits == b->bits && a->role == b->role &&
           a->on_stale == b->on_stale && a->shut_after_ms == b->shut_after_ms && a->start_lead_ms == b->start_lead_ms &&
           a->priority == b->priority && a->stretch_max == b->stretch_max;
}
