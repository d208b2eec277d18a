/* conf_value.c - single values of the configuration: of the right type, and fit for their option.
 *
 * Pure but for memory.  Each error is said once: a node that had one is marked bad, and its other readers are silent.
 */
#include "conf_priv.h"

#include <stdarg.h>
#include <stdio.h>

void
rk_conf_wrong(struct rk_conf_read *r, int line, int col, const char *fmt, ...)
{
    char text[sizeof r->e->list->text];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    rk_conf_error(r->e, line, col, "%s", text);
    r->failed = true;
}

/* What the defaults say is warned of once, as the same text at the same place. */
void
rk_conf_warn(struct rk_conf_read *r, const struct rk_node *node, const char *text)
{
    rk_conf_error(&r->set->warnings, node->line, node->col, "%s", text);
}

/* Is it a key without value: nothing behind the colon, or what YAML takes for nothing. */
static bool
is_null(const struct rk_node *node)
{
    return node->type == RK_NODE_SCALAR && node->plain &&
           (!node->text[0] || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

static const char *
type_name(enum rk_node_type type)
{
    static const char *const names[] = {[RK_NODE_SCALAR] = "text", [RK_NODE_LIST] = "list", [RK_NODE_MAP] = "map"};

    return names[type];
}

bool
rk_conf_is(struct rk_conf_read *r, struct rk_node *node, enum rk_node_type type)
{
    const char *remedy = type == RK_NODE_MAP ? "give a map, {} for an empty one" : "give a list, [] for an empty one";
    struct rk_shown shown = {"value"};

    if (node->bad)
        return false;
    if (is_null(node))
        remedy = type == RK_NODE_SCALAR ? "give one or leave the key out" : remedy;
    else if (node->type == type)
        return true;
    node->bad = true;
    if (node->key)
        rk_opt_shown(node->key, &shown);
    if (is_null(node) && node->key)
        rk_conf_wrong(r, node->key_line, node->key_col, "\"%s\" has no value: %s", shown.text, remedy);
    else if (is_null(node))
        rk_conf_wrong(r, node->line, node->col, "%s expected, not nothing", type_name(type));
    else
        rk_conf_wrong(r, node->line, node->col, "%s%s%s%s expected, not %s", node->key ? "\"" : "",
                      node->key ? shown.text : "", node->key ? "\": " : "", type_name(type), type_name(node->type));
    return false;
}

bool
rk_conf_is_text(struct rk_conf_read *r, struct rk_node *node)
{
    return rk_conf_is(r, node, RK_NODE_SCALAR);
}

bool
rk_conf_value(struct rk_conf_read *r, const struct rk_opt *o, struct rk_node *node, int64_t *v)
{
    char why[240];

    if (!rk_conf_is_text(r, node))
        return false;
    if (rk_opt_value(o, node->text, v, why, sizeof why) == RK_OK)
        return true;
    rk_conf_wrong(r, node->line, node->col, "%s: %s", o->name, why);
    node->bad = true;
    return false;
}

static void
unknown_key(struct rk_conf_read *r, const struct rk_node *node, const struct rk_opt *opts)
{
    const char *names[32], *near;
    struct rk_shown shown;
    char all[220] = "";
    size_t n = 0, len = 0;

    for (; opts[n].name && n < sizeof names / sizeof *names; n++) {
        names[n] = opts[n].name;
        if (len < sizeof all)
            len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", n ? ", " : "", names[n]);
    }
    near = rk_nearest(node->key, names, n);
    rk_opt_shown(node->key, &shown);
    if (near)
        rk_conf_wrong(r, node->key_line, node->key_col, "unknown key \"%s\": did you mean \"%s\"?", shown.text, near);
    else
        rk_conf_wrong(r, node->key_line, node->key_col, "unknown key \"%s\" (known here: %s)", shown.text, all);
}

void
rk_conf_keys(struct rk_conf_read *r, const struct rk_node *map, const struct rk_opt *opts, struct rk_node **found)
{
    for (size_t i = 0; opts[i].name; i++)
        found[i] = NULL;
    for (struct rk_node *child = map->first; child; child = child->next) {
        const struct rk_opt *o = rk_opt_find(opts, child->key);

        if (o)
            found[o - opts] = child;
        else
            unknown_key(r, child, opts);
    }
}

bool
rk_conf_sae(struct rk_conf_read *r, struct rk_node *node, char *out)
{
    struct rk_shown shown;
    const char *c;

    out[0] = '\0';
    if (!rk_conf_is_text(r, node))
        return false;
    for (c = node->text; *c > ' ' && *c <= '~' && *c != '/' && *c != '|'; c++)
        ;
    if (!*c && c > node->text && rk_copy(out, RK_SAE_MAX + 1, node->text))
        return true;
    node->bad = true;
    rk_conf_wrong(r, node->line, node->col,
                  "%s: \"%s\" is no SAE ID: 1 to %d printable ASCII characters without blank, / and |", node->key,
                  rk_opt_shown(node->text, &shown), RK_SAE_MAX);
    return false;
}

size_t
rk_conf_count(const struct rk_node *parent)
{
    size_t n = 0;

    for (const struct rk_node *child = parent ? parent->first : NULL; child; child = child->next)
        n++;
    return n;
}
