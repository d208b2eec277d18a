/* conf_inst.c - the sections sources, devices and channels, and the names in them.
 *
 * Pure but for memory.  Values of options are taken as they are written: what they mean is known to the plugin
 * (conf_plugin.c).  They may be secrets written in the wrong place, so none is ever put into an error.
 */
#include "conf_priv.h"

#include <rekey/plugin.h>

#define SETTING_HEAD_BYTES 32 /* more than the tags and lengths of one setting in a frame */

const char *
rk_conf_kind_name(uint32_t kind)
{
    return kind == RK_SOURCE ? "source" : kind == RK_DEVICE ? "device" : kind == RK_CHANNEL ? "channel" : "?";
}

const char *
rk_conf_section_name(uint32_t kind)
{
    return kind == RK_SOURCE ? "sources" : kind == RK_DEVICE ? "devices" : kind == RK_CHANNEL ? "channels" : "?";
}

static void
read_name(struct rk_conf_read *r, const struct rk_node *node, struct rk_instance_conf *inst)
{
    struct rk_shown shown;

    if (!rk_name_ok(node->key, RK_NAME_MAX))
        rk_conf_wrong(r, node->key_line, node->key_col,
                      "\"%s\" is no name: 1 to %d letters, digits, '.', '_' and '-', first a letter or digit",
                      rk_opt_shown(node->key, &shown), RK_NAME_MAX);
    else if (inst->kind == RK_CHANNEL && strcmp(node->key, "local") == 0)
        rk_conf_wrong(r, node->key_line, node->key_col,
                      "\"local\" is the built-in channel between two devices of this daemon: take another name");
    else
        rk_copy(inst->name, sizeof inst->name, node->key);
}

static void
read_plugin(struct rk_conf_read *r, struct rk_node *map, struct rk_instance_conf *inst)
{
    struct rk_node *node = rk_tree_get(map, "plugin");
    struct rk_shown shown;
    size_t len;

    if (!node) {
        rk_conf_wrong(r, inst->line, inst->col, "%s \"%s\": \"plugin\" is missing", rk_conf_kind_name(inst->kind),
                      rk_opt_shown(map->key, &shown));
        return;
    }
    if (!rk_conf_is_text(r, node))
        return;
    len = strlen(node->text);
    if (len == 0 || strspn(node->text, "abcdefghijklmnopqrstuvwxyz0123456789-") != len ||
        !rk_copy(inst->plugin, sizeof inst->plugin, node->text))
        rk_conf_wrong(r, node->line, node->col, "\"%s\" is no plugin: 1 to %d lower-case letters, digits and '-'",
                      rk_opt_shown(node->text, &shown), RK_NAME_MAX);
}

static void
add_setting(struct rk_conf_read *r, const char *name, struct rk_node *node, struct rk_instance_conf *inst)
{
    struct rk_setting *s = &inst->settings[inst->n];
    struct rk_shown shown;

    if (!rk_conf_is_text(r, node))
        return;
    rk_copy(s->name, sizeof s->name, name);
    if (!rk_copy(s->value, sizeof s->value, node->text)) {
        rk_conf_wrong(r, node->line, node->col, "%s: longer than %d bytes", rk_opt_shown(name, &shown),
                      RK_VALUE_MAX - 1);
        return;
    }
    inst->places[inst->n].line = node->line;
    inst->places[inst->n].col = node->col;
    inst->n++;
}

static size_t
count_settings(const struct rk_node *map)
{
    size_t n = 0;

    for (const struct rk_node *o = map->first; o; o = o->next)
        n += o->type == RK_NODE_LIST ? rk_conf_count(o) : 1;
    return n;
}

/* One option, which is a value or a list of values. */
static void
read_setting(struct rk_conf_read *r, struct rk_node *o, struct rk_instance_conf *inst)
{
    struct rk_shown shown;

    if (strlen(o->key) > RK_NAME_MAX) {
        rk_conf_wrong(r, o->key_line, o->key_col, "unknown option \"%s\"", rk_opt_shown(o->key, &shown));
        return;
    }
    if (o->type != RK_NODE_LIST) {
        add_setting(r, o->key, o, inst);
        return;
    }
    for (struct rk_node *value = o->first; value; value = value->next)
        add_setting(r, o->key, value, inst);
}

/* Options that the core keeps for itself. */
static bool
core_option(const struct rk_instance_conf *inst, const char *name)
{
    return inst->kind == RK_DEVICE && rk_opt_find(rk_device_opts, name);
}

static void
read_device(struct rk_conf_read *r, struct rk_node *map, struct rk_instance_conf *inst)
{
    const struct rk_opt *o = &rk_device_opts[0];
    struct rk_node *node = rk_tree_get(map, o->name);

    if (node)
        rk_conf_value(r, o, node, &inst->call_budget_ms);
}

static void
read_settings(struct rk_conf_read *r, struct rk_node *map, struct rk_instance_conf *inst)
{
    size_t n = count_settings(map), bytes = 0;

    if (n > RK_SETTINGS_BYTES_MAX / SETTING_HEAD_BYTES) {
        rk_conf_wrong(r, inst->line, inst->col, "too many options: at most %d values fit",
                      RK_SETTINGS_BYTES_MAX / SETTING_HEAD_BYTES);
        return;
    }
    inst->settings = calloc(n ? n : 1, sizeof *inst->settings);
    inst->places = calloc(n ? n : 1, sizeof *inst->places);
    if (!inst->settings || !inst->places) {
        r->nomem = true;
        return;
    }
    for (struct rk_node *o = map->first; o; o = o->next)
        if (strcmp(o->key, "plugin") != 0 && !core_option(inst, o->key))
            read_setting(r, o, inst);
    for (size_t i = 0; i < inst->n; i++)
        bytes += strlen(inst->settings[i].name) + strlen(inst->settings[i].value) + SETTING_HEAD_BYTES;
    if (bytes > RK_SETTINGS_BYTES_MAX)
        rk_conf_wrong(r, inst->line, inst->col, "the options are too long together: at most %d bytes, with %d for each",
                      RK_SETTINGS_BYTES_MAX, SETTING_HEAD_BYTES);
}

/* The host's own option of every channel: it signs the records. */
static void
check_channel(struct rk_conf_read *r, struct rk_node *map, const struct rk_instance_conf *inst)
{
    const struct rk_opt *o = &rk_channel_opts[0];
    struct rk_node *key = rk_tree_get(map, o->name);
    struct rk_shown shown;

    if (key)
        rk_conf_value(r, o, key, NULL);
    else
        rk_conf_wrong(r, inst->line, inst->col,
                      "channel \"%s\": \"%s\" is missing: the key shared with the other site (\"file:/absolute/path\")",
                      rk_opt_shown(map->key, &shown), o->name);
}

static void
read_instance(struct rk_conf_read *r, struct rk_node *node, struct rk_instance_conf *inst)
{
    inst->line = node->key_line;
    inst->col = node->key_col;
    read_name(r, node, inst);
    if (!rk_conf_is(r, node, RK_NODE_MAP))
        return;
    read_plugin(r, node, inst);
    if (inst->kind == RK_CHANNEL)
        check_channel(r, node, inst);
    if (inst->kind == RK_DEVICE)
        read_device(r, node, inst);
    read_settings(r, node, inst);
}

static int
compare_named(const void *a, const void *b)
{
    const struct rk_named *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : x->index < y->index ? -1 : x->index > y->index;
}

static void
sort_names(struct rk_conf_read *r)
{
    const struct rk_instance_conf *all = r->set->instances;
    size_t kept = 0;

    r->by_name = calloc(r->set->n_instances + 1, sizeof *r->by_name);
    if (!r->by_name) {
        r->nomem = true;
        return;
    }
    for (size_t i = 0; i < r->set->n_instances; i++)
        if (all[i].name[0])
            r->by_name[r->n_by_name++] = (struct rk_named){all[i].name, i};
    qsort(r->by_name, r->n_by_name, sizeof *r->by_name, compare_named);
    for (size_t i = 0; i < r->n_by_name; i++) {
        const struct rk_instance_conf *inst = &all[r->by_name[i].index], *first;

        if (kept == 0 || strcmp(r->by_name[kept - 1].name, inst->name) != 0) {
            r->by_name[kept++] = r->by_name[i];
            continue;
        }
        first = &all[r->by_name[kept - 1].index];
        rk_conf_wrong(r, inst->line, inst->col,
                      "name \"%s\" is taken by the %s in line %d: names are unique over all three sections", inst->name,
                      rk_conf_kind_name(first->kind), first->line);
    }
    r->n_by_name = kept;
}

void
rk_conf_instances(struct rk_conf_read *r, struct rk_node *const sections[RK_CHANNEL + 1])
{
    size_t n = 0;

    for (uint32_t kind = RK_SOURCE; kind <= RK_CHANNEL; kind++)
        if (sections[kind] && rk_conf_is(r, sections[kind], RK_NODE_MAP))
            n += rk_conf_count(sections[kind]);
    if (n > RK_INSTANCES_MAX) {
        rk_conf_wrong(r, 0, 0, "%zu sources, devices and channels: at most %d are possible", n, RK_INSTANCES_MAX);
        return;
    }
    r->set->instances = calloc(n ? n : 1, sizeof *r->set->instances);
    if (!r->set->instances) {
        r->nomem = true;
        return;
    }
    for (uint32_t kind = RK_SOURCE; kind <= RK_CHANNEL; kind++) {
        if (!sections[kind] || sections[kind]->bad)
            continue;
        for (struct rk_node *node = sections[kind]->first; node; node = node->next) {
            struct rk_instance_conf *inst = &r->set->instances[r->set->n_instances++];

            inst->kind = kind;
            read_instance(r, node, inst);
        }
    }
    sort_names(r);
}

/* The name of this kind that was most likely meant; NULL: none, or enough errors without it. */
static const char *
nearest_instance(const struct rk_conf_read *r, uint32_t kind, const char *word)
{
    const char **names, *near;
    size_t n = 0;

    if (r->e->more)
        return NULL;
    names = calloc(r->n_by_name + 1, sizeof *names);
    if (!names)
        return NULL;
    for (size_t i = 0; i < r->n_by_name; i++)
        if (r->set->instances[r->by_name[i].index].kind == kind)
            names[n++] = r->by_name[i].name;
    near = rk_nearest(word, names, n);
    free(names);
    return near;
}

static int
compare_name(const void *name, const void *named)
{
    return strcmp(name, ((const struct rk_named *)named)->name);
}

size_t
rk_conf_find(struct rk_conf_read *r, uint32_t kind, struct rk_node *node)
{
    const char *near, *kind_name = rk_conf_kind_name(kind);
    const struct rk_named *found = NULL;
    struct rk_shown shown;

    if (!rk_conf_is_text(r, node))
        return SIZE_MAX;
    if (r->n_by_name)
        found = bsearch(node->text, r->by_name, r->n_by_name, sizeof *r->by_name, compare_name);
    if (found && r->set->instances[found->index].kind == kind)
        return found->index;
    node->bad = true;
    rk_opt_shown(node->text, &shown);
    near = found ? NULL : nearest_instance(r, kind, node->text);
    if (found)
        rk_conf_wrong(r, node->line, node->col, "\"%s\" is a %s, not a %s", shown.text,
                      rk_conf_kind_name(r->set->instances[found->index].kind), kind_name);
    else if (near)
        rk_conf_wrong(r, node->line, node->col, "there is no %s \"%s\": did you mean \"%s\"?", kind_name, shown.text,
                      near);
    else
        rk_conf_wrong(r, node->line, node->col, "there is no %s \"%s\" in section %s", kind_name, shown.text,
                      rk_conf_section_name(kind));
    return SIZE_MAX;
}
