/* load.c - brings a tree of changes into a configuration, as load-configuration and edit-config do
 *
 * Pure.  Each wrong statement is noted and left out, the others are loaded: that is how Junos comes to a candidate that
 * is partly loaded.
 */
#include "conf.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATH_MAX_BYTES 320
#define VALUE_MAX 4200

struct at {                /* where a load is */
    const struct stmt *s;
    xmlNode *node;         /* in the configuration */
    char path[PATH_MAX_BYTES];
};

void
conf_error(struct conf_errors *to, bool warning, const char *path, const char *element, const char *fmt, ...)
{
    struct conf_error *e = to->n < CONF_ERRORS_MAX ? &to->e[to->n++] : NULL;
    va_list ap;

    to->errors += !warning;
    to->warnings += warning;
    if (!e)
        return;
    e->warning = warning;
    snprintf(e->path, sizeof e->path, "%s", path ? path : "");
    snprintf(e->element, sizeof e->element, "%s", element ? element : "");
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
}

xmlDoc *
conf_new(void)
{
    xmlDoc *doc = xmlNewDoc(BAD_CAST "1.0");
    xmlNode *root = doc ? xmlNewDocNode(doc, NULL, BAD_CAST "configuration", NULL) : NULL;

    if (!root) {
        xmlFreeDoc(doc);
        return NULL;
    }
    xmlDocSetRootElement(doc, root);
    return doc;
}

xmlDoc *
conf_copy(const xmlDoc *doc)
{
    return xmlCopyDoc((xmlDoc *)doc, 1);
}

/* The path of a statement below; cut where it is too long, for it is for people and for rights only. */
static void
below(const struct at *at, const struct stmt *s, const char *key, char out[PATH_MAX_BYTES])
{
    const char *const parts[] = {at->path, *at->path ? " " : "", s->name, *key ? " " : "", key};
    size_t n = 0;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        for (const char *c = parts[i]; *c && n + 1 < PATH_MAX_BYTES; c++)
            out[n++] = *c;
    out[n] = '\0';
}

static void
drop(xmlNode *n)
{
    xmlUnlinkNode(n);
    xmlFreeNode(n);
}

static unsigned
rank_of(const struct stmt *of, const xmlNode *n, const struct sim_personality *as)
{
    const struct stmt *s = schema_kid(of, (const char *)n->name, as);

    return s ? s->rank : 0;
}

/* A new element in the order of the schema, keys first. */
static xmlNode *
put(const struct load *l, const struct at *at, const struct stmt *s)
{
    xmlNode *n = xmlNewDocNode(at->node->doc, NULL, BAD_CAST s->name, NULL), *before = at->node->children;

    while (before && (before->type != XML_ELEMENT_NODE || conf_named(before, "name") ||
                      rank_of(at->s, before, l->as) <= s->rank))
        before = before->next;
    if (!n)
        return NULL;
    return before ? xmlAddPrevSibling(before, n) : xmlAddChild(at->node, n);
}

static bool
set_text(xmlNode *n, const char *value)
{
    xmlNode *text = xmlNewDocText(n->doc, BAD_CAST value);

    while (n->children)
        drop(n->children);
    return text && xmlAddChild(n, text);
}

static bool
attribute_is(const xmlNode *n, const char *name, const char *value)
{
    xmlAttr *a = xmlHasProp((xmlNode *)n, BAD_CAST name);

    return a && (!value || (a->children && a->children->content &&
                            strcmp((const char *)a->children->content, value) == 0));
}

static bool
wants_delete(const xmlNode *c)
{
    return attribute_is(c, "delete", NULL) || attribute_is(c, "operation", "delete") ||
           attribute_is(c, "operation", "remove");
}

static bool
wants_replace(const struct load *l, const xmlNode *c)
{
    return attribute_is(c, "replace", NULL) || attribute_is(c, "operation", "replace") ||
           (l->usual == LOAD_OVERRIDE && !attribute_is(c, "operation", NULL));
}

/* inactive, active on the statement that was loaded */
static void
mark(const xmlNode *c, xmlNode *n)
{
    if (attribute_is(c, "inactive", NULL))
        xmlSetProp(n, BAD_CAST "inactive", BAD_CAST "inactive");
    else if (attribute_is(c, "active", NULL))
        xmlUnsetProp(n, BAD_CAST "inactive");
}

static void
not_found(struct load *l, const struct at *at, const xmlNode *c)
{
    if (l->strict_delete && attribute_is(c, "operation", "delete"))
        conf_error(l->errors, false, at->path, (const char *)c->name, "statement not found");
    else if (!attribute_is(c, "operation", "remove"))
        conf_error(l->errors, true, at->path, (const char *)c->name, "statement not found");
}

/* May it be changed, and is there something left to do?  more: the list's key, or "" */
static bool
allowed(struct load *l, const struct at *at, const xmlNode *c, const char *more)
{
    char path[PATH_MAX_BYTES + 64];

    if (l->stop_after && l->done >= l->stop_after)
        return false;
    snprintf(path, sizeof path, "%s%s%s%s%s", at->path, *at->path ? " " : "", (const char *)c->name, *more ? " " : "",
             more);
    if (l->rights && !rights_edit(l->rights, path)) {
        conf_error(l->errors, false, at->path, (const char *)c->name, "permission denied");
        return false;
    }
    l->done++;
    return true;
}

static bool
exists_refused(struct load *l, const struct at *at, const xmlNode *c, const xmlNode *n)
{
    bool refused = n && attribute_is(c, "operation", "create");

    if (refused)
        conf_error(l->errors, false, at->path, (const char *)c->name, "statement already exists");
    return refused;
}

/* "2026-07-28.08:43" becomes "2026-7-28.08:43:00 +0200", as routers show it: in the box's zone at that time.  In the
 * hour that comes twice it is the first. */
static void
with_zone(const struct sim_box *box, const char *value, char *out, size_t size)
{
    struct tm tm = {0};
    int used = 0, zone = 0;
    int64_t local, unix_s;

    if (sscanf(value, "%d-%d-%d.%d:%d%n:%d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &used,
               &tm.tm_sec, &used) < 5)
        return;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    local = timegm(&tm);
    if (sscanf(value + used, " %5d", &zone) == 1) {
        unix_s = local - (zone / 100 * 3600 + zone % 100 * 60);
    } else {
        unix_s = local - sim_box_zone_s(box, local - 86400);
        if (unix_s + sim_box_zone_s(box, unix_s) != local)
            unix_s = local - sim_box_zone_s(box, local + 86400);
    }
    zone = sim_box_zone_s(box, unix_s);
    gmtime_r(&(time_t){unix_s + zone}, &tm);
    snprintf(out, size, "%d-%d-%d.%02d:%02d:%02d %c%02d%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec, zone < 0 ? '-' : '+', abs(zone) / 3600, abs(zone) / 60 % 60);
}

static bool
as_stored(const struct load *l, const struct stmt *s, const char *value, char *out, size_t size)
{
    if (schema_secret(s) && strncmp(value, "$9$", 3) != 0)
        return secret_seal(value, out, size);
    snprintf(out, size, "%s", value);
    if (s->type == TY_TIME && l->box)
        with_zone(l->box, value, out, size);
    return true;
}

static void
load_leaf(struct load *l, const struct at *at, const struct stmt *s, const xmlNode *c)
{
    char value[VALUE_MAX], stored[VALUE_MAX + 512], why[SIM_WHY_MAX], had[256], now[256];
    xmlNode *n = conf_child(at->node, s->name);
    const char *wrong;

    if (wants_delete(c)) {
        if (!n)
            not_found(l, at, c);
        else if (allowed(l, at, c, ""))
            drop(n);
        return;
    }
    if (exists_refused(l, at, c, n))
        return;
    if (n && !c->children && (attribute_is(c, "inactive", NULL) || attribute_is(c, "active", NULL))) {
        mark(c, n);
        return;
    }
    wrong = conf_value(c, value, sizeof value) ? schema_check(s, value, why) : "value is too long";
    if (wrong)
        conf_error(l->errors, false, at->path, s->name, "%s", wrong);
    else if (allowed(l, at, c, "") && as_stored(l, s, value, stored, sizeof stored)) {
        /* the same key in another $9$ form is no change */
        bool same = n && schema_secret(s) && conf_value(n, stored, sizeof stored) &&
                    secret_open(stored, had, sizeof had) && secret_open(value, now, sizeof now) && !strcmp(had, now);

        if (!same && as_stored(l, s, value, stored, sizeof stored) && (n || (n = put(l, at, s))))
            set_text(n, stored);
        if (n)
            mark(c, n);
    }
    explicit_bzero(value, sizeof value);
    explicit_bzero(had, sizeof had);
    explicit_bzero(now, sizeof now);
}

static void
load_flag(struct load *l, const struct at *at, const struct stmt *s, const xmlNode *c)
{
    xmlNode *n = conf_child(at->node, s->name);

    if (wants_delete(c)) {
        if (!n)
            not_found(l, at, c);
        else if (allowed(l, at, c, ""))
            drop(n);
    } else if (!exists_refused(l, at, c, n) && allowed(l, at, c, "") && (n || (n = put(l, at, s))))
        mark(c, n);
}

static void
drop_all(xmlNode *of, const char *name)
{
    for (xmlNode *n = of->children, *next; n; n = next) {
        next = n->next;
        if (conf_named(n, name))
            drop(n);
    }
}

static void
load_leaflist(struct load *l, const struct at *at, const struct stmt *s, const xmlNode *c)
{
    char value[VALUE_MAX], why[SIM_WHY_MAX];
    const char *wrong = conf_value(c, value, sizeof value) ? NULL : "value is too long";
    xmlNode *n = conf_child(at->node, s->name);

    if (wants_delete(c) && !*value) {
        if (!n)
            not_found(l, at, c);
        else if (allowed(l, at, c, ""))
            drop_all(at->node, s->name);
        return;
    }
    while (n && !(conf_named(n, s->name) && conf_is(n, value)))
        n = n->next;
    if (!wrong && !wants_delete(c))
        wrong = schema_check(s, value, why);
    if (wrong)
        conf_error(l->errors, false, at->path, s->name, "%s", wrong);
    else if (wants_delete(c) && !n)
        not_found(l, at, c);
    else if (allowed(l, at, c, value)) {
        if (wants_delete(c))
            drop(n);
        else if (n || (n = put(l, at, s))) {
            set_text(n, value);
            mark(c, n);
        }
    }
}

static void load_kids(struct load *l, const struct at *at, const xmlNode *changes);

static bool
has_kids(const xmlNode *n)
{
    for (n = n->children; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE && !conf_named(n, "name"))
            return true;
    return false;
}

static void
load_box(struct load *l, const struct at *at, const struct stmt *s, const xmlNode *c)
{
    struct at in = {.s = s, .node = conf_child(at->node, s->name)};

    below(at, s, "", in.path);
    if (wants_delete(c)) {
        if (!in.node)
            not_found(l, at, c);
        else if (allowed(l, at, c, ""))
            drop(in.node);
        return;
    }
    if (exists_refused(l, at, c, in.node))
        return;
    if (in.node && wants_replace(l, c) && allowed(l, at, c, "")) {
        drop(in.node);
        in.node = NULL;
    }
    if (!in.node && s->flags & STMT_PRESENCE && !has_kids(c) && !allowed(l, at, c, ""))
        return;
    if (!in.node && !(in.node = put(l, at, s)))
        return;
    mark(c, in.node);
    load_kids(l, &in, c);
    if (!has_kids(in.node) && !(s->flags & STMT_PRESENCE))
        drop(in.node);
}

static xmlNode *
new_entry(const struct load *l, const struct at *at, const struct stmt *s, const char *key)
{
    xmlNode *n = put(l, at, s);

    if (n && !xmlNewTextChild(n, NULL, BAD_CAST "name", BAD_CAST key)) {
        drop(n);
        n = NULL;
    }
    return n;
}

static void
load_entry(struct load *l, const struct at *at, const struct stmt *s, const xmlNode *c, const char *key)
{
    struct at in = {.s = s, .node = conf_entry(at->node, s->name, key)};
    char why[SIM_WHY_MAX];
    const char *wrong = schema_check(s, key, why);

    below(at, s, key, in.path);
    if (wrong) {
        conf_error(l->errors, false, at->path, key, "%s", wrong);
        return;
    }
    if (wants_delete(c)) {
        if (!in.node)
            not_found(l, at, c);
        else if (allowed(l, at, c, key))
            drop(in.node);
        return;
    }
    if (exists_refused(l, at, c, in.node))
        return;
    if (in.node && wants_replace(l, c) && allowed(l, at, c, key)) {
        drop(in.node);
        in.node = NULL;
    }
    if (!in.node && !has_kids(c) && !allowed(l, at, c, key))
        return;
    if (!in.node && !(in.node = new_entry(l, at, s, key)))
        return;
    mark(c, in.node);
    load_kids(l, &in, c);
    if (has_kids(c) && !has_kids(in.node) && l->rights && !rights_edit(l->rights, in.path))
        drop(in.node); /* nothing of it was allowed */
}

static void
load_list(struct load *l, const struct at *at, const struct stmt *s, const xmlNode *c)
{
    const xmlNode *name = conf_child(c, "name");
    char key[VALUE_MAX] = "";

    if (name && conf_value(name, key, sizeof key) && *key)
        load_entry(l, at, s, c, key);
    else if (name)
        conf_error(l->errors, false, at->path, s->name, "value is too long");
    else if (!wants_delete(c))
        conf_error(l->errors, false, at->path, s->name, "missing mandatory statement: 'name'");
    else if (!conf_child(at->node, s->name))
        not_found(l, at, c);
    else if (allowed(l, at, c, ""))
        drop_all(at->node, s->name);
}

static void
load_kids(struct load *l, const struct at *at, const xmlNode *changes)
{
    typedef void load_fn(struct load *, const struct at *, const struct stmt *, const xmlNode *);
    static load_fn *const load[] = {[ST_BOX] = load_box, [ST_LIST] = load_list, [ST_LEAF] = load_leaf,
                                    [ST_FLAG] = load_flag, [ST_LEAFLIST] = load_leaflist};

    for (const xmlNode *c = changes->children; c; c = c->next) {
        const struct stmt *s;

        if (c->type != XML_ELEMENT_NODE || (at->s->kind == ST_LIST && conf_named(c, "name")))
            continue;
        if (l->stop_after && l->done >= l->stop_after)
            return;
        s = schema_kid(at->s, (const char *)c->name, l->as);
        if (s)
            load[s->kind](l, at, s, c);
        else
            conf_error(l->errors, false, at->path, (const char *)c->name, "syntax error");
    }
}

void
conf_load(struct load *l, xmlNode *conf, const xmlNode *changes)
{
    struct at at = {.s = schema_root(), .node = conf};

    load_kids(l, &at, changes);
    if (l->stop_after && l->done >= l->stop_after)
        conf_error(l->errors, false, "", "", "syntax error");
}
