/* conf_group.c - links: { discover: DEVICE }: links that a device finds, read as if the file had them.
 *
 * Pure but for memory.  What a device says is no reason to refuse a file: a link that cannot be is left out, with why.
 */
#include "conf_link.h"

#include <stdio.h>

/* A value that is not in the file, at the place of the group. */
static struct rk_node
made(const struct rk_node *group, const char *text)
{
    return (struct rk_node){.type = RK_NODE_SCALAR, .line = group->line, .col = group->col, .key_line = group->line,
                            .key_col = group->col, .text = text};
}

static const char *
any_source(const struct rk_conf_set *set)
{
    for (size_t i = 0; i < set->n_instances; i++)
        if (set->instances[i].kind == RK_SOURCE)
            return set->instances[i].name;
    return NULL;
}

struct made_link { /* what the device says of a link, as values of the file */
    struct rk_node name, iface, peer_sae, source;
};

/* A link of the group: what the group says, and what was found where it says nothing. */
static void
made_fill(struct reading *g, struct made_link *m, struct rk_node *const *defaults)
{
    g->own[NAME] = &m->name;
    g->own[DEVICE] = g->own[DISCOVER];
    g->own[INTERFACE] = &m->iface;
    if (!g->own[PEER_SAE])
        g->own[PEER_SAE] = &m->peer_sae;
    if (!g->own[SOURCE] && !g->own[SOURCES] && !defaults[SOURCE] && !defaults[SOURCES] && m->source.text)
        g->own[SOURCE] = &m->source;
}

/* Everything that the group says is checked once, as of a link, though none may be found. */
static bool
check_group(struct reading *g, const struct rk_node *node, struct rk_node *const *defaults)
{
    static const int keys[] = {NAME, DEVICE, INTERFACE, PEER_DEVICE, PEER_INTERFACE, PEER_SOURCE, PEER_SOURCES,
                               PEER_FALLBACK_SOURCE};
    struct rk_node *own[N_KEYS];
    struct rk_link_conf link = {.line = node->line, .col = node->col};
    struct made_link m = {made(node, "link"), made(node, "interface"), made(node, "?"),
                          made(node, any_source(g->r->set))};
    struct reading check = {.r = g->r, .link = &link};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (g->own[keys[i]]) {
            rk_conf_wrong(g->r, g->own[keys[i]]->key_line, g->own[keys[i]]->key_col,
                          "\"%s\" does not go with \"discover\": the device says it of each link",
                          rk_link_opts[keys[i]].name);
            return false;
        }
    memcpy(own, g->own, sizeof own);
    memcpy(check.own, own, sizeof own);
    made_fill(&check, &m, defaults);
    rk_link_read(&check, defaults);
    if (check.v[CHANNEL] && check.v[CHANNEL]->text && strcmp(check.v[CHANNEL]->text, "local") == 0)
        rk_conf_wrong(g->r, check.v[CHANNEL]->line, check.v[CHANNEL]->col,
                      "channel: local has both ends here, and discover finds one: name another channel, or write the "
                      "links down (rekeyctl discover prints them)");
    return link.device != SIZE_MAX;
}

void
rk_group_read(struct reading *g, struct rk_node *node, struct rk_node *const *defaults)
{
    struct rk_conf_set *set = g->r->set;
    struct rk_discover_conf *d = &set->discovers[set->n_discovers];
    int64_t every_ms = 0;

    g->v[DISCOVER_EVERY] = g->own[DISCOVER_EVERY];
    rk_link_number(g, DISCOVER_EVERY, &every_ms);
    if (!check_group(g, node, defaults))
        return;
    *d = (struct rk_discover_conf){.every_ms = every_ms, .line = node->line, .col = node->col};
    d->device = rk_conf_find(g->r, RK_DEVICE, g->own[DISCOVER]);
    for (size_t i = 0; i < set->n_discovers; i++)
        if (set->discovers[i].device == d->device)
            rk_conf_wrong(g->r, node->line, node->col, "the links of device \"%s\" are discovered already, in line %d",
                          set->instances[d->device].name, set->discovers[i].line);
    set->n_discovers++;
}

/* What the file says itself comes first: a found link of the same name, or on the same interface, is left out. */
struct taken {
    struct link_end *ends; /* sorted */
    size_t n_ends;
    const struct rk_link_conf **links; /* by name */
    size_t n_links;
};

static int
by_place(const void *a, const void *b)
{
    const struct link_end *x = a, *y = b;
    int order = x->device < y->device ? -1 : x->device > y->device;

    return order ? order : strcmp(x->iface, y->iface);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp((*(const struct rk_link_conf *const *)a)->name, (*(const struct rk_link_conf *const *)b)->name);
}

/* Found links in the order of their names, or of their places. */
static int
found_by_name(const void *a, const void *b)
{
    const struct rk_found_link *x = *(struct rk_found_link *const *)a, *y = *(struct rk_found_link *const *)b;
    int order = strcmp(x->name, y->name);

    order = order ? order : strcmp(x->device, y->device);
    return order ? order : strcmp(x->iface, y->iface);
}

static int
found_by_place(const void *a, const void *b)
{
    const struct rk_found_link *x = *(struct rk_found_link *const *)a, *y = *(struct rk_found_link *const *)b;
    int order = strcmp(x->device, y->device);

    order = order ? order : strcmp(x->iface, y->iface);
    return order ? order : strcmp(x->name, y->name);
}

/* Of several with one name, or on one interface, none is believed more than the others, and the first is taken. */
static void
mark_twins(struct rk_found_list *found, struct rk_found_link **order)
{
    size_t n = 0;

    for (size_t i = 0; i < found->n; i++) {
        struct rk_found_link *f = &found->list[i];

        f->used = false;
        if (!f->name[0])
            continue;
        f->why[0] = '\0';
        order[n++] = f;
    }
    qsort(order, n, sizeof *order, found_by_place);
    for (size_t i = 1; i < n; i++)
        if (strcmp(order[i]->device, order[i - 1]->device) == 0 && strcmp(order[i]->iface, order[i - 1]->iface) == 0)
            snprintf(order[i]->why, sizeof order[i]->why, "the device names this interface more than once");
    qsort(order, n, sizeof *order, found_by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(order[i]->name, order[i - 1]->name) == 0 && !order[i]->why[0])
            snprintf(order[i]->why, sizeof order[i]->why, "device %s found it too: write a link with both ends here "
                     "down, with channel: local", order[i - 1]->device);
}

static bool
is_taken(const struct taken *t, struct rk_found_link *f, size_t device)
{
    const struct link_end at = {.device = device, .iface = f->iface};
    struct rk_link_conf named, *key = &named;
    const struct link_end *end = t->n_ends ? bsearch(&at, t->ends, t->n_ends, sizeof at, by_place) : NULL;
    const struct rk_link_conf *const *link;

    if (end) {
        snprintf(f->why, sizeof f->why, "link \"%s\" of the configuration, in line %d, has this interface", end->link,
                 end->link_line);
        return true;
    }
    memcpy(named.name, f->name, sizeof named.name);
    link = t->n_links ? bsearch(&key, t->links, t->n_links, sizeof key, by_name) : NULL;
    if (link)
        snprintf(f->why, sizeof f->why, "the configuration has a link \"%s\" already, in line %d", f->name,
                 (*link)->line);
    return link != NULL;
}

static void
add_found(struct rk_conf_read *r, struct reading *group, struct rk_found_link *f, struct rk_node *const *defaults,
          struct link_ends *all)
{
    const struct rk_node *node = group->own[DISCOVER];
    struct reading g = {.r = r, .link = &r->set->links[r->set->n_links]};
    struct made_link m = {made(node, f->name), made(node, f->iface), made(node, f->peer_sae),
                          made(node, f->source[0] ? f->source : NULL)};

    memcpy(g.own, group->own, sizeof g.own);
    made_fill(&g, &m, defaults);
    if (!g.own[SOURCE] && !g.own[SOURCES] && !defaults[SOURCE] && !defaults[SOURCES]) {
        snprintf(f->why, sizeof f->why, "no source has the keys of this link's KME%s%.80s: add one, or give source",
                 f->kme[0] ? " " : "", f->kme);
        return;
    }
    if (!g.own[PEER_SAE]->text[0] || (!g.own[ROLE] && strcmp(g.own[PEER_SAE]->text, r->set->sae) == 0)) {
        snprintf(f->why, sizeof f->why, "the neighbour has %s: its link would have one SAE at both ends",
                 g.own[PEER_SAE]->text[0] ? "the SAE ID of this site" : "no name");
        return;
    }
    f->used = true;
    f->why[0] = '\0';
    r->set->n_links++;
    g.link->line = node->line;
    g.link->col = node->col;
    rk_link_read_ends(&g, defaults, all);
}

static void
add_group(struct rk_conf_read *r, struct reading *group, struct rk_node *const *defaults, struct link_ends *all,
          const struct taken *taken)
{
    size_t device = rk_conf_find(r, RK_DEVICE, group->own[DISCOVER]);

    for (size_t i = 0; device != SIZE_MAX && r->found && i < r->found->n; i++) {
        struct rk_found_link *f = &r->found->list[i];

        if (strcmp(f->device, r->set->instances[device].name) == 0 && f->name[0] && !f->why[0] &&
            !is_taken(taken, f, device))
            add_found(r, group, f, defaults, all);
    }
}

void
rk_groups_add(struct rk_conf_read *r, struct reading *groups, struct rk_node *const *defaults, struct link_ends *all)
{
    struct taken t = {.ends = calloc(all->n + 1, sizeof *t.ends),
                      .links = calloc(r->set->n_links + 1, sizeof *t.links),
                      .n_ends = all->n, .n_links = r->set->n_links};
    struct rk_found_link **order = calloc((r->found ? r->found->n : 0) + 1, sizeof *order);

    if (!t.ends || !t.links || !order) {
        r->nomem = true;
    } else if (r->found) {
        mark_twins(r->found, order);
        if (all->n)
            memcpy(t.ends, all->list, all->n * sizeof *t.ends);
        qsort(t.ends, t.n_ends, sizeof *t.ends, by_place);
        for (size_t i = 0; i < t.n_links; i++)
            t.links[i] = &r->set->links[i];
        qsort(t.links, t.n_links, sizeof *t.links, by_name);
        for (size_t i = 0; i < r->set->n_discovers; i++)
            add_group(r, &groups[i], defaults, all, &t);
    }
    free(order);
    free(t.ends);
    free(t.links);
}
