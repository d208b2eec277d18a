/* setup.c - from a configuration to hosts, instances and ends; at start, at --check and at a reload.
 *
 * A configuration is checked whole, plugin schemas included, before anything is changed.  A reload builds what is new,
 * keeps what is the same untouched, and then lets go of what is not named any more.
 */
#include "discover.h"
#include "path.h"
#include "ratchet.h"
#include "source_pool.h"

#include "../base/err.h"
#include "../base/log.h"
#include "../base/text.h"
#include "../model/end_class.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAD_MIN_MS 4000 /* class D: a start time has whole seconds, and a quarter of the lead is left for a way back */

/* ---- checking ---- */

/* "; did you mean ...?" with the installed plugin that the name was most likely meant to be; "" when none is near. */
static void
suggest_plugin(const struct daemon *d, const char *name, char *out, size_t size)
{
    char installed[64][RK_NAME_MAX + 1]; /* more than there are; what is beyond is not suggested */
    const char *names[64], *near;
    DIR *dir = opendir(d->opt.plugin_dir);
    struct dirent *entry;
    size_t n = 0;

    snprintf(out, size, "; the folder %.80s cannot be read", d->opt.plugin_dir);
    if (!dir)
        return;
    while (n < sizeof names / sizeof *names && (entry = readdir(dir))) {
        char *suffix = strstr(entry->d_name, ".so");

        if (!suffix || suffix[3])
            continue;
        *suffix = '\0';
        names[n] = installed[n];
        n += rk_copy(installed[n], sizeof installed[n], entry->d_name);
    }
    closedir(dir);
    near = rk_nearest(name, names, n);
    if (near && strcmp(near, name) == 0) /* it is there, and refused for another reason */
        near = NULL;
    out[0] = '\0';
    if (near)
        snprintf(out, size, "; did you mean \"%s\"?", near);
}

static bool
start_host(struct daemon *d, const struct rk_instance_conf *conf, struct rk_conf_errors *errors)
{
    struct host *h = sup_host(d, conf->plugin);
    char hint[120];
    int err = h ? RK_OK : RK_E_NOMEM;

    if (h && h->has_hello)
        return true;
    if (h && h->state == HOST_BACKOFF)
        err = sup_start(h);
    if (!err)
        err = sup_wait_hello(h, rk_now_ns() + RK_HELLO_MS * RK_NS_PER_MS);
    if (!err)
        return true;
    suggest_plugin(d, conf->plugin, hint, sizeof hint);
    rk_conf_error(errors, conf->line, conf->col, "plugin \"%s\" cannot be used: %.260s%s", conf->plugin,
                  h ? h->error : "out of memory", hint);
    return false;
}

/* ---- device classes ---- */

/* As the plugin declares it, RK_CLASS_...; a device may yet say another one of an interface. */
static uint32_t
class_of(struct daemon *d, const struct rk_conf_set *set, size_t index)
{
    const struct host *h = index == SIZE_MAX ? NULL : sup_host(d, set->instances[index].plugin);

    return h ? RK_CAP_CLASS(h->hello.caps) : 0;
}

static void
check_class(const struct rk_instance_conf *conf, const struct host *h, struct rk_conf_set *set,
            struct rk_conf_errors *errors)
{
    uint32_t class = RK_CAP_CLASS(h->hello.caps);

    if (conf->kind != RK_DEVICE)
        return;
    if (class < RK_CLASS_A || class > RK_CLASS_E)
        rk_conf_error(errors, conf->line, conf->col, "plugin \"%s\" does not declare a device class that is known: "
                      "A to E; is it of another release?", conf->plugin);
    if (class == RK_CLASS_C)
        rk_conf_error(&set->warnings, conf->line, conf->col,
                      "device \"%s\": class C is allowed, without a fallback slot: a rotation that is given up halfway "
                      "stops traffic until the confirmed key is committed again", conf->name);
}

/* A link with both ends here.  Of another one the classes are compared when the other end is heard. */
static void
check_pair(struct daemon *d, const struct rk_conf_set *set, const struct rk_link_conf *link,
           struct rk_conf_errors *errors)
{
    uint32_t class = class_of(d, set, link->device), other = class_of(d, set, link->peer_device);

    if (rk_class_proved(class, other))
        return;
    if (class == RK_CLASS_E || other == RK_CLASS_E)
        rk_conf_error(errors, link->line, link->col,
                      "link \"%s\": a device of class E hears nothing of its peer, so it cannot be an end of channel: "
                      "local; use one of another class", link->name);
    else
        rk_conf_error(errors, link->line, link->col,
                      "link \"%s\": devices of class %s and %s have no proved rotation together; A goes with A, and "
                      "B, C and D with each other", link->name, rk_class_letter(class), rk_class_letter(other));
}

static void
check_lead(struct daemon *d, const struct rk_conf_set *set, const struct rk_link_conf *link,
           struct rk_conf_errors *errors)
{
    if (link->start_lead_ms < LEAD_MIN_MS && (class_of(d, set, link->device) == RK_CLASS_D ||
                                              class_of(d, set, link->peer_device) == RK_CLASS_D))
        rk_conf_error(errors, link->line, link->col,
                      "link \"%s\": a device of class D needs 4s or more from begin to start time: make interval 8s or "
                      "more, or give start-lead", link->name);
}

/* Its peer is a script that takes one key by its ID. */
static void
check_mixed(struct daemon *d, const struct rk_conf_set *set, const struct rk_link_conf *link,
            struct rk_conf_errors *errors)
{
    if (link->n_sources > 1 && class_of(d, set, link->device) == RK_CLASS_E)
        rk_conf_error(errors, link->line, link->col, "link \"%s\": the peer of a device of class E knows nothing of "
                      "mixed keys: give one source instead of sources", link->name);
}

static void
check_experimental(const struct rk_instance_conf *conf, const struct host *h, struct rk_conf_set *set,
                   struct rk_conf_errors *errors)
{
    if (!(h->hello.caps & RK_CAP_EXPERIMENTAL))
        return;
    if (set->allow_experimental)
        rk_conf_error(&set->warnings, conf->line, conf->col, "\"%s\": plugin \"%s\" is experimental, and allowed",
                      conf->name, conf->plugin);
    else
        rk_conf_error(errors, conf->line, conf->col,
                      "\"%s\": plugin \"%s\" says of itself that it is experimental: take another one, or say "
                      "\"allow-experimental: yes\" at the top level", conf->name, conf->plugin);
}

static void
check_instance(struct daemon *d, const struct rk_instance_conf *conf, struct rk_conf_set *set,
               struct rk_conf_errors *errors)
{
    struct host *h;

    if (!start_host(d, conf, errors))
        return;
    h = sup_host(d, conf->plugin);
    rk_conf_check_plugin(conf, &(struct rk_schema){h->hello.kind, h->hello.opts,
                                                   rk_conf_apply_ms(set, conf, h->hello.apply_ms)}, errors);
    check_experimental(conf, h, set, errors);
    check_class(conf, h, set, errors);
}

static void
check_discovers(struct daemon *d, const struct rk_conf_set *set, struct rk_conf_errors *errors)
{
    for (size_t i = 0; i < set->n_discovers; i++) {
        const struct rk_instance_conf *conf = &set->instances[set->discovers[i].device];
        const struct host *h = sup_host(d, conf->plugin);

        if (h && !(h->hello.ops & RK_OFFERS_DISCOVER))
            rk_conf_error(errors, set->discovers[i].line, set->discovers[i].col,
                          "discover: plugin \"%s\" of device \"%s\" cannot find links: write them down", conf->plugin,
                          conf->name);
    }
}

static bool
hears_neighbours(struct daemon *d, const struct rk_conf_set *set, const struct rk_link_conf *link)
{
    for (unsigned i = 0; i < link->n_channels; i++) {
        size_t channel = i == 0 ? link->channel : link->more_channels[i - 1];
        const struct host *h = sup_host(d, set->instances[channel].plugin);

        if (!h || h->hello.ops & RK_OFFERS_ATTACH)
            return true;
    }
    return false;
}

/* One of its channels must be one that looks at neighbours. */
static void
check_pins(struct daemon *d, const struct rk_conf_set *set, const struct rk_link_conf *link,
           struct rk_conf_errors *errors)
{
    if ((link->peer_chassis[0] || link->peer_port[0]) && !hears_neighbours(d, set, link))
        rk_conf_error(errors, link->line, link->col,
                      "link \"%s\": its channel does not look at neighbours: leave peer-chassis and peer-port out, or "
                      "name a channel that does, as one of plugin lldp", link->name);
}

/* What of the links depends on the plugins of their devices, when those are right. */
static void
check_links(struct daemon *d, struct rk_conf_set *set, struct rk_conf_errors *errors)
{
    for (size_t i = 0; i < set->n_links; i++) {
        fixed_check(d, set, &set->links[i], errors);
        check_lead(d, set, &set->links[i], errors);
        check_mixed(d, set, &set->links[i], errors);
        check_pins(d, set, &set->links[i], errors);
        if (set->links[i].channel == SIZE_MAX)
            check_pair(d, set, &set->links[i], errors);
    }
}

void
setup_drop_hosts(struct daemon *d)
{
    for (struct host **at = &d->hosts; *at;) {
        struct host *h = *at;
        bool used = false;

        for (const struct inst *i = d->insts; i; i = i->next)
            used |= i->host == h;
        if (used) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        sup_stop(h);
        free(h);
    }
}

int
setup_check(struct daemon *d, const char *file, struct rk_conf_set **set, struct rk_conf_errors *errors)
{
    int err = rk_conf_load_found(file, &d->found, set, errors);

    if (err)
        return err;
    for (size_t i = 0; i < (*set)->n_instances; i++)
        check_instance(d, &(*set)->instances[i], *set, errors);
    if (errors->n == 0)
        check_discovers(d, *set, errors);
    if (errors->n == 0)
        check_links(d, *set, errors);
    if (errors->n == 0)
        return RK_OK;
    rk_conf_free(set);
    return RK_E_CONFIG;
}

/* ---- instances ---- */

struct change { /* what a new configuration changes */
    struct daemon *d;
    const struct rk_conf_set *old, *new;
    struct inst **inst; /* of each instance of the new one */
    size_t kept, added, changed, removed;
};

static bool
site_same(const struct change *c)
{
    return c->old && strcmp(c->old->sae, c->new->sae) == 0 && strcmp(c->old->state_dir, c->new->state_dir) == 0;
}

static int
make_instances(struct change *c)
{
    for (size_t i = 0; i < c->new->n_instances; i++) {
        const struct rk_instance_conf *conf = &c->new->instances[i];
        struct inst *old = inst_find(c->d, conf->name);

        if (old && site_same(c) && rk_conf_instance_same(old->conf, conf)) {
            old->conf->line = conf->line;
            old->conf->col = conf->col;
            c->inst[i] = old;
            continue;
        }
        c->inst[i] = inst_new(c->d, conf);
        if (!c->inst[i])
            return RK_E_NOMEM;
    }
    return RK_OK;
}

static bool
is_kept(const struct change *c, const struct inst *inst)
{
    for (size_t i = 0; i < c->new->n_instances; i++)
        if (c->inst[i] == inst)
            return true;
    return false;
}

static void
retire_instances(struct change *c)
{
    for (struct inst *i = c->d->insts; i;) {
        struct inst *next = i->next;

        if (!i->gone && !is_kept(c, i))
            inst_retire(i);
        i = next;
    }
}

/* ---- ends ---- */

struct loaded { /* what the journal remembers of all ends */
    struct rk_durable *list;
    size_t n, cap;
};

static int
load_one(const struct rk_durable *d, void *arg)
{
    struct loaded *l = arg;

    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct rk_durable *list = realloc(l->list, cap * sizeof *list);

        if (!list)
            return RK_E_NOMEM;
        l->list = list;
        l->cap = cap;
    }
    l->list[l->n++] = *d;
    return RK_OK;
}

static int
by_link(const void *a, const void *b)
{
    const struct rk_durable *x = a, *y = b;
    int order = strcmp(x->link, y->link);

    return order ? order : x->end - y->end;
}

static uint32_t
role_of(const struct change *c, const struct rk_link_conf *conf, char which)
{
    if (conf->channel == SIZE_MAX)
        return which == 'a' ? RK_MASTER : RK_SLAVE;
    if (conf->role != RK_ROLE_AUTO)
        return conf->role == RK_ROLE_MASTER ? RK_MASTER : RK_SLAVE;
    return strcmp(c->new->sae, conf->peer_sae) < 0 ? RK_MASTER : RK_SLAVE;
}

/* What an end remembers: of itself before the reload, else from the journal, else nothing. */
static struct rk_durable
remembered(const struct change *c, const struct loaded *l, const struct rk_link_conf *conf, char which)
{
    const struct end *old = end_find(c->d, conf->name, which);
    struct rk_durable key = {.end = which}, *found;

    memcpy(key.link, conf->name, sizeof key.link);
    found = l->n ? bsearch(&key, l->list, l->n, sizeof *l->list, by_link) : NULL;
    if (old && !rk_end_unsaved(end_see(old))) /* else: an entry that could not be written does not count */
        key = end_see(old)->d;
    else if (found)
        key = *found;
    if (key.phase == RK_PH_IDLE || key.role == 0) /* in the middle of a rotation the role stays */
        key.role = role_of(c, conf, which);
    return key;
}

static struct inst *
inst_of(const struct change *c, size_t index)
{
    return index == SIZE_MAX ? NULL : c->inst[index];
}

static struct end *
make_end(struct change *c, const struct loaded *l, const struct rk_link_conf *conf, char which)
{
    const struct end *old = end_find(c->d, conf->name, which);
    struct rk_durable durable = remembered(c, l, conf, which);
    struct end *end = end_new(c->d, conf, &durable);

    if (!end)
        return NULL;
    if (old) { /* a channel may not repeat the peer's record for a while */
        const struct rk_end *was = end_see(old);

        end->live->e.peer = was->peer;
        memcpy(end->live->e.peer_active, was->peer_active, sizeof was->peer_active);
        end->live->e.peer_clock_ms = was->peer_clock_ms;
        end->live->e.said_clock_ms = was->said_clock_ms;
    }
    end->device = inst_of(c, which == 'a' ? conf->device : conf->peer_device);
    end->source = inst_of(c, which == 'a' ? conf->source : conf->peer_source);
    end->fallback = inst_of(c, which == 'a' ? conf->fallback : conf->peer_fallback);
    if (path_follow(end, conf, c->inst) != RK_OK || mix_setup(end, c->inst) != RK_OK ||
        ratchet_setup(end) != RK_OK) {
        end_free(end);
        return NULL;
    }
    end->live->e.class = RK_CAP_CLASS(end->device->host->hello.caps);
    end->live->e.conf_role = role_of(c, conf, which);
    (void)rk_journal_count(c->d->journal, conf->name, which, &end->live->e.rotations, &end->live->e.failed);
    return end;
}

static bool
end_kept(const struct change *c, const struct end *old, const struct rk_link_conf *conf)
{
    char which = old->which;

    return rk_conf_link_same(c->old, old->conf, c->new, conf) &&
           old->device == inst_of(c, which == 'a' ? conf->device : conf->peer_device) &&
           old->source == inst_of(c, which == 'a' ? conf->source : conf->peer_source) &&
           old->fallback == inst_of(c, which == 'a' ? conf->fallback : conf->peer_fallback) &&
           mix_same(old, conf, c->inst);
}

/* Its channels, and what they are told of it. */
static bool
paths_same(const struct change *c, const struct end *old, const struct rk_link_conf *conf)
{
    const struct path *p = old->paths;

    for (unsigned i = 0; i < conf->n_channels; i++, p = p->next)
        if (!p || p->channel != inst_of(c, i == 0 ? conf->channel : conf->more_channels[i - 1]))
            return false;
    return rk_conf_channels_same(c->old, old->conf, c->new, conf);
}

/* All ends of the new configuration: kept ones as they are, others made but not started. */
static int
make_ends(struct change *c, const struct loaded *l, struct end **ends, size_t *n)
{
    for (size_t i = 0; i < c->new->n_links; i++) {
        const struct rk_link_conf *conf = &c->new->links[i];
        bool local = conf->channel == SIZE_MAX;

        for (char which = 'a'; which <= (local ? 'b' : 'a'); which++) {
            struct end *old = end_find(c->d, conf->name, which);
            bool kept = old && end_kept(c, old, conf);

            if (which == 'a') /* links are counted, not ends */
                ++*(kept && paths_same(c, old, conf) ? &c->kept : old ? &c->changed : &c->added);
            ends[*n] = kept ? old : make_end(c, l, conf, which);
            if (!ends[(*n)++])
                return RK_E_NOMEM;
        }
        if (local) {
            ends[*n - 2]->other = ends[*n - 1];
            ends[*n - 1]->other = ends[*n - 2];
        }
    }
    return RK_OK;
}

static void
follow_paths(const struct change *c, struct end *end, const struct rk_link_conf *conf)
{
    bool changed = end->started && !paths_same(c, end, conf);

    if (changed && path_follow(end, conf, c->inst) != RK_OK)
        rk_log(RK_LOG_ERR, "ev=reload link=%s res=no-memory note=\"not all of its channels are used\"", conf->name);
    end_conf(end, conf);
    path_begin(end, changed);
}

/* Swap: the new ends take their place, the old ones that are not among them go, the new ones begin. */
static void
swap_ends(struct change *c, struct end **ends, size_t n)
{
    struct daemon *d = c->d;
    struct end **old = d->ends;
    size_t n_old = d->n_ends;

    for (size_t i = 0; i < n; i++)
        ends[i]->stays = true;
    for (size_t i = 0; i < n_old; i++) {
        if (old[i]->stays)
            continue;
        end_retire(old[i]);
    }
    c->removed = c->old ? c->old->n_links - c->kept - c->changed : 0;
    d->ends = ends;
    d->n_ends = n;
    free(old);
    for (size_t i = 0, k = 0; i < n; i++) { /* both are in order of links */
        ends[i]->stays = false;
        k += strcmp(ends[i]->conf->name, c->new->links[k].name) != 0;
        follow_paths(c, ends[i], &c->new->links[k]);
    }
}

static void
start_ends(struct daemon *d)
{
    for (size_t i = 0; i < d->n_ends; i++)
        if (!d->ends[i]->started)
            end_start(d->ends[i]);
}

/* What is allowed and may surprise: once, when it comes into force. */
static void
show_warnings(const struct rk_conf_set *set)
{
    for (size_t i = 0; i < set->warnings.n; i++)
        rk_log(RK_LOG_WARNING, "ev=config at=%s:%d:%d why=\"%s\"", set->file, set->warnings.list[i].line,
               set->warnings.list[i].col, set->warnings.list[i].text);
}

int
setup_apply(struct daemon *d, struct rk_conf_set *set, char *text, size_t size)
{
    struct change c = {.d = d, .old = d->conf, .new = set};
    struct loaded l = {NULL, 0, 0};
    struct end **ends = calloc(2 * set->n_links + 1, sizeof *ends);
    size_t n = 0;
    int err = RK_E_NOMEM;

    c.inst = calloc(set->n_instances + 1, sizeof(struct inst *));
    if (!ends || !c.inst)
        goto out;
    store_flush(d); /* what is written now counts */
    err = rk_journal_load(d->journal, load_one, &l);
    if (err && err != RK_E_PROTOCOL) /* damaged rows were reported and left out */
        goto out;
    err = make_instances(&c);
    if (!err)
        err = make_ends(&c, &l, ends, &n);
    if (err)
        goto out;
    swap_ends(&c, ends, n);
    ends = NULL;
    d->conf = set;
    memcpy(d->sae, set->sae, sizeof d->sae);
    source_bind_all(d);
    retire_instances(&c);
    setup_drop_hosts(d);
    groups_make(d);
    for (struct inst *i = d->insts; i; i = i->next)
        inst_start(i);
    start_ends(d);
    expiry_look(d);
    discover_follow(d);
    snprintf(text, size, "%zu links: %zu untouched, %zu changed, %zu new; %zu removed", set->n_links, c.kept, c.changed,
             c.added, c.removed);
    show_warnings(set);
    rk_conf_free((struct rk_conf_set **)(size_t)&c.old);
out:
    free(ends);
    free(c.inst);
    free(l.list);
    return err;
}

/* The key that a reload would change and cannot; NULL: none. */
static const char *
fixed_key(const struct rk_conf_set *old, const struct rk_conf_set *new)
{
    if (strcmp(old->state_dir, new->state_dir) != 0)
        return "state-dir";
    return strcmp(old->control, new->control) != 0 ? "control" : NULL;
}

int
setup_reload(struct daemon *d, char *text, size_t size)
{
    struct rk_conf_errors errors = {.n = 0};
    struct rk_conf_set *set = NULL;
    int err = setup_check(d, d->opt.config, &set, &errors);
    const char *fixed;
    char line[600];

    text[0] = '\0';
    for (size_t i = 0; i < errors.n; i++) {
        rk_conf_error_text(&errors, i, line, sizeof line);
        rk_log(RK_LOG_ERR, "ev=reload res=refused %s", line);
        if (i == 0)
            snprintf(text, size, "%s%s", line, errors.n > 1 ? " (and more, see the log)" : "");
    }
    rk_conf_errors_free(&errors);
    if (!err && (fixed = fixed_key(d->conf, set))) {
        snprintf(text, size, "%s: %s cannot be changed while running; restart rekeyd", d->opt.config, fixed);
        err = RK_E_CONFIG;
    }
    if (!err)
        err = setup_apply(d, set, text, size);
    if (!err)
        discover_again(d);
    if (err)
        rk_conf_free(&set);
    else if (d->opt.log_level < 0)
        sup_log_level(d, set->log_level);
    setup_drop_hosts(d);
    rk_log(err ? RK_LOG_ERR : RK_LOG_NOTICE, "ev=reload res=%s note=\"%s\"", rk_err_name(err),
           err ? "the old configuration stays" : text);
    return err;
}

int
setup_refind(struct daemon *d, char *text, size_t size)
{
    struct rk_conf_errors errors = {.n = 0};
    struct rk_conf_set *set = NULL;
    char line[600];
    int err;

    snprintf(text, size, "out of memory");
    (void)rk_copy(errors.file, sizeof errors.file, d->conf->file);
    err = rk_conf_parse_found(d->conf->text ? d->conf->text : "", d->conf->text_len, &d->found, &set, &errors);
    if (!err)
        check_links(d, set, &errors);
    if (errors.n) {
        err = RK_E_CONFIG;
        rk_conf_error_text(&errors, 0, line, sizeof line);
        snprintf(text, size, "%s", line);
    }
    rk_conf_errors_free(&errors);
    if (!err)
        err = setup_apply(d, set, text, size);
    if (err)
        rk_conf_free(&set);
    return err;
}
