/* conf_channels.c - what a link says of its channels beyond their names.  Pure but for memory. */
#include "conf_link.h"

/* One name of the list; *bad when it cannot stand there. */
static size_t
one_of_list(struct reading *g, struct rk_node *node, bool *bad)
{
    const struct rk_node *list = g->v[CHANNELS];
    size_t found = SIZE_MAX;

    if (node->text && strcmp(node->text, "local") == 0)
        rk_conf_wrong(g->r, node->line, node->col,
                      "channels: \"local\" has both ends here, and no other way beside it: write channel: local");
    else
        found = rk_conf_find(g->r, RK_CHANNEL, node);
    for (const struct rk_node *before = list->first; found != SIZE_MAX && before != node; before = before->next)
        if (before->text && strcmp(before->text, node->text) == 0) {
            rk_conf_wrong(g->r, node->line, node->col, "channels: \"%s\" is there twice", node->text);
            found = SIZE_MAX;
        }
    *bad |= found == SIZE_MAX;
    return found;
}

static void
read_list(struct reading *g)
{
    struct rk_link_conf *link = g->link;
    struct rk_node *list = g->v[CHANNELS];
    size_t n = 0, count;
    bool bad = false;

    if (!rk_conf_is(g->r, list, RK_NODE_LIST))
        return;
    count = rk_conf_count(list);
    if (count < 1 || count > RK_PATHS_MAX) {
        rk_conf_wrong(g->r, list->line, list->col, "channels: a list of 1 to %d names, not of %zu", RK_PATHS_MAX,
                      count);
        return;
    }
    for (struct rk_node *node = list->first; node; node = node->next, n++) {
        size_t found = one_of_list(g, node, &bad);

        if (n == 0)
            link->channel = found;
        else
            link->more_channels[n - 1] = (uint32_t)found;
    }
    link->n_channels = bad ? 0 : (unsigned)n;
}

void
rk_link_channels(struct reading *g, bool local)
{
    struct rk_link_conf *link = g->link;

    link->channel = SIZE_MAX;
    link->n_channels = 0;
    if (g->v[CHANNELS]) {
        read_list(g);
    } else if (!local) {
        link->channel = rk_link_reference(g, CHANNEL, RK_CHANNEL);
        link->n_channels = link->channel != SIZE_MAX;
    }
}

/* An ID as LLDP shows it. */
static const char *
read_pin(struct reading *g, int key)
{
    struct rk_node *node = g->v[key];
    struct rk_shown shown;
    size_t n = 0;

    if (!rk_conf_is_text(g->r, node))
        return "";
    while (node->text[n] >= ' ' && node->text[n] <= '~')
        n++;
    if (n > 0 && n <= RK_PIN_MAX && !node->text[n])
        return rk_conf_keep(g->r, node->text);
    node->bad = true;
    rk_conf_wrong(g->r, node->line, node->col, "%s: \"%s\" is no ID of a neighbour: 1 to %d printable ASCII characters",
                  rk_link_opts[key].name, rk_opt_shown(node->text, &shown), RK_PIN_MAX);
    return "";
}

void
rk_link_pins(struct reading *g, bool local)
{
    for (int key = PEER_CHASSIS; key <= PEER_PORT; key++) {
        const char **pin = key == PEER_CHASSIS ? &g->link->peer_chassis : &g->link->peer_port;
        const struct rk_node *own = g->own[key];

        if (local && own)
            rk_conf_wrong(g->r, own->key_line, own->key_col,
                          "\"%s\" does not go with channel: local: it is for a channel that hears neighbours, as "
                          "lldp does", rk_link_opts[key].name);
        else if (!local && g->v[key])
            *pin = read_pin(g, key);
    }
}
