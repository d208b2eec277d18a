/* conf.c - the file of --config: the options of one instance, and what there is to be tried with it. */
#include "check.h"

#include "../base/text.h"
#include "../conf/opt.h"
#include "../conf/tree.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MAX 65536

static const struct {
    const char *name;
    size_t at, size;
} texts[] = {
    {"link", offsetof(struct rk_check_conf, link), RK_LINK_MAX + 1},
    {"interface", offsetof(struct rk_check_conf, iface), RK_IFACE_MAX + 1},
    {"peer-facts", offsetof(struct rk_check_conf, facts), RK_FACTS_MAX + 1},
    {"sae", offsetof(struct rk_check_conf, sae), RK_SAE_MAX + 1},
    {"peer-sae", offsetof(struct rk_check_conf, peer_sae), RK_SAE_MAX + 1},
};
#define N_TEXTS (sizeof texts / sizeof texts[0])

static void
defaults(struct rk_check_conf *c)
{
    strcpy(c->link, "check-1");
    strcpy(c->iface, "port0");
    strcpy(c->facts, "sci=0200000000010001");
    strcpy(c->sae, "SAE_A");
    strcpy(c->peer_sae, "SAE_B");
    c->bits = 256;
    c->budget_ms = 10000;
}

static size_t
values_in(const struct rk_node *map)
{
    size_t n = 0;

    for (const struct rk_node *o = map->first; o; o = o->next)
        for (const struct rk_node *v = o->type == RK_NODE_LIST ? o->first : o; v; v = o->type == RK_NODE_LIST ? v->next
                                                                                                              : NULL)
            n++;
    return n;
}

static bool
add(struct rk_conf_errors *e, const struct rk_node *o, const struct rk_node *value, struct rk_setting *s)
{
    struct rk_shown shown;

    if (value->type == RK_NODE_SCALAR && rk_copy(s->name, sizeof s->name, o->key) &&
        rk_copy(s->value, sizeof s->value, value->text))
        return true;
    rk_conf_error(e, value->line, value->col, "\"%s\": a value, or a list of values, expected",
                  rk_opt_shown(o->key, &shown));
    return false;
}

/* A map of options as rekeyd's configuration has them, "plugin" left out. */
static struct rk_setting *
read_options(struct rk_conf_errors *e, const struct rk_node *map, size_t *n)
{
    struct rk_setting *list;

    *n = 0;
    if (!map)
        return NULL;
    if (map->type != RK_NODE_MAP) {
        rk_conf_error(e, map->line, map->col, "\"%s\": a map of options expected", map->key);
        return NULL;
    }
    list = calloc(values_in(map) + 1, sizeof *list);
    for (const struct rk_node *o = map->first; list && o; o = o->next) {
        if (strcmp(o->key, "plugin") == 0)
            continue;
        if (o->type != RK_NODE_LIST)
            *n += add(e, o, o, &list[*n]);
        else
            for (const struct rk_node *v = o->first; v; v = v->next)
                *n += add(e, o, v, &list[*n]);
    }
    return list;
}

static bool
is_text(struct rk_conf_errors *e, const struct rk_node *node)
{
    if (node->type != RK_NODE_SCALAR)
        rk_conf_error(e, node->line, node->col, "\"%s\": text expected", node->key);
    return node->type == RK_NODE_SCALAR;
}

static void
read_key(struct rk_conf_errors *e, const struct rk_node *node, struct rk_check_conf *c)
{
    static const struct rk_opt bits = {.name = "bits", .type = RK_OPT_INT, .min = 8, .max = RK_SECRET_MAX * 8};
    static const struct rk_opt budget = {.name = "budget", .type = RK_OPT_DURATION, .min = 100, .max = 600000};
    static const char *const makers[] = {"all", "own", NULL};
    static const struct rk_opt maker = {.name = "allocations", .type = RK_OPT_ENUM, .choices = makers};
    const struct rk_opt *o = strcmp(node->key, "bits") == 0          ? &bits
                             : strcmp(node->key, "budget") == 0      ? &budget
                             : strcmp(node->key, "allocations") == 0 ? &maker : NULL;
    int64_t v = 0;
    struct rk_shown shown;
    char why[200];

    if (strcmp(node->key, "options") == 0 || strcmp(node->key, "slow") == 0)
        return;
    for (size_t i = 0; i < N_TEXTS; i++)
        if (strcmp(node->key, texts[i].name) == 0) {
            if (!is_text(e, node))
                return;
            if (!rk_copy((char *)c + texts[i].at, texts[i].size, node->text))
                rk_conf_error(e, node->line, node->col, "\"%s\": longer than %zu bytes", node->key, texts[i].size - 1);
            return;
        }
    if (!o)
        rk_conf_error(e, node->key_line, node->key_col, "unknown key \"%s\" (known here: options, slow, link, "
                      "interface, peer-facts, sae, peer-sae, bits, budget, allocations)",
                      rk_opt_shown(node->key, &shown));
    else if (is_text(e, node) && rk_opt_value(o, node->text, &v, why, sizeof why) != RK_OK)
        rk_conf_error(e, node->line, node->col, "%s: %s", o->name, why);
    else if (o == &bits)
        c->bits = v;
    else if (o == &budget)
        c->budget_ms = v;
    else
        c->own = v != 0;
}

static char *
read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "r");
    char *text = f ? malloc(FILE_MAX) : NULL;

    *len = text ? fread(text, 1, FILE_MAX, f) : 0;
    if (f)
        fclose(f);
    return text;
}

int
rk_check_conf_read(const char *path, struct rk_check_conf *conf, char *why, size_t size)
{
    struct rk_conf_errors e = {0};
    struct rk_node *root = NULL;
    char *text;
    size_t len;
    int err;

    defaults(conf);
    if (!path)
        return RK_OK;
    conf->given = true;
    text = read_file(path, &len);
    if (!text || len == FILE_MAX) {
        snprintf(why, size, "%s: it cannot be read, or is longer than %d bytes", path, FILE_MAX - 1);
        free(text);
        return RK_E_CONFIG;
    }
    snprintf(e.file, sizeof e.file, "%s", path);
    err = rk_tree_read(text, len, &root, &e);
    if (!err && root && root->type != RK_NODE_MAP)
        rk_conf_error(&e, root->line, root->col, "a map expected, with \"options\" in it");
    for (const struct rk_node *node = root && root->type == RK_NODE_MAP ? root->first : NULL; node; node = node->next)
        read_key(&e, node, conf);
    if (root) {
        conf->options = read_options(&e, rk_tree_get(root, "options"), &conf->n);
        conf->slow = read_options(&e, rk_tree_get(root, "slow"), &conf->n_slow);
    }
    if (e.n) {
        rk_conf_error_text(&e, 0, why, size);
        err = RK_E_CONFIG;
    } else if (err) {
        snprintf(why, size, "%s: it cannot be read", path);
    }
    rk_conf_errors_free(&e);
    rk_tree_free(root);
    free(text);
    return err;
}

void
rk_check_conf_free(struct rk_check_conf *conf)
{
    free(conf->options);
    free(conf->slow);
    conf->options = conf->slow = NULL;
    conf->n = conf->n_slow = 0;
}
