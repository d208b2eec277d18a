/* conf_sources.c - a list of sources of which the keys of a link are mixed.  Pure. */
#include "conf_priv.h"

static void
check_once(struct rk_conf_read *r, const struct rk_node *node, const struct rk_node *list)
{
    for (const struct rk_node *before = list->first; before != node; before = before->next)
        if (before->text && strcmp(before->text, node->text) == 0) {
            rk_conf_wrong(r, node->line, node->col, "%s: \"%s\" is there twice", list->key, node->text);
            return;
        }
}

unsigned
rk_conf_sources(struct rk_conf_read *r, struct rk_node *list, size_t *first, uint32_t *more)
{
    size_t n = 0, count = rk_conf_count(list);

    *first = SIZE_MAX;
    if (!rk_conf_is(r, list, RK_NODE_LIST))
        return 0;
    if (count < 2 || count > RK_PARTS_MAX) {
        rk_conf_wrong(r, list->line, list->col, "%s: a list of 2 to %d names, not of %zu%s", list->key, RK_PARTS_MAX,
                      count, count == 1 ? ": one alone is \"source\"" : "");
        return 0;
    }
    for (struct rk_node *node = list->first; node; node = node->next, n++) {
        size_t found = rk_conf_find(r, RK_SOURCE, node);

        if (n == 0)
            *first = found;
        else
            more[n - 1] = found == SIZE_MAX ? UINT32_MAX : (uint32_t)found;
        if (found != SIZE_MAX)
            check_once(r, node, list);
    }
    return (unsigned)n;
}
