/* conf_channels.c - what a link says of its channels beyond their names.  Pure but for memory. */
#include "conf_link.h"

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
