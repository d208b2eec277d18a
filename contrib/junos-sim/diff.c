/* diff.c - two configurations compared, as "show | compare" prints it; and changes of one brought into another
 *
 * Pure.
 */
#include "conf.h"

#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 512

/* The same statement in another tree: by name, by key in a list, by value in a leaf-list. */
static xmlNode *
counterpart(const xmlNode *in, const xmlNode *n, const struct stmt *s)
{
    char key[4200];

    if (!in)
        return NULL;
    if (s->kind == ST_LIST)
        return conf_text(n, "name", key, sizeof key) ? conf_entry(in, s->name, key) : NULL;
    if (s->kind != ST_LEAFLIST)
        return conf_child(in, s->name);
    conf_value(n, key, sizeof key);
    for (xmlNode *o = in->children; o; o = o->next)
        if (conf_named(o, s->name) && conf_is(o, key))
            return o;
    return NULL;
}

static bool
same_value(const xmlNode *a, const xmlNode *b)
{
    char text[4800];

    return conf_value(a, text, sizeof text) && conf_is(b, text);
}

static bool
same_leaf(const struct stmt *s, const xmlNode *a, const xmlNode *b)
{
    return conf_inactive(a) == conf_inactive(b) && (s->kind != ST_LEAF || same_value(a, b));
}

static bool same_tree(const struct stmt *s, const xmlNode *a, const xmlNode *b);

static bool
kids_in(const struct stmt *s, const xmlNode *a, const xmlNode *b)
{
    static const struct sim_personality any;

    for (const xmlNode *n = a->children; n; n = n->next) {
        const struct stmt *kid = n->type == XML_ELEMENT_NODE ? schema_kid(s, (const char *)n->name, &any) : NULL;
        const xmlNode *o = kid ? counterpart(b, n, kid) : NULL;

        if (kid && (!o || !same_tree(kid, n, o)))
            return false;
    }
    return true;
}

static bool
same_tree(const struct stmt *s, const xmlNode *a, const xmlNode *b)
{
    return same_leaf(s, a, b) && (s->kind == ST_LEAF || s->kind == ST_LEAFLIST ||
                                  (kids_in(s, a, b) && kids_in(s, b, a)));
}

/* ---- comparing ---- */

struct diff {
    const struct show *show;
    FILE *out;
    char path[PATH_BYTES];
    bool header;
};

/* One statement with its inside, a sign before each line. */
static void
lines(struct diff *d, const struct stmt *s, const xmlNode *n, char sign)
{
    char *text = NULL, *line, *rest;
    size_t size;
    xmlDoc *doc = conf_new();
    xmlNode *at = doc ? xmlDocGetRootElement(doc) : NULL;
    FILE *f = doc ? open_memstream(&text, &size) : NULL;

    if (!d->header)
        fprintf(d->out, "[edit%s%s]\n", *d->path ? " " : "", d->path);
    d->header = true;
    if (f && xmlAddChild(at, xmlDocCopyNode((xmlNode *)n, doc, 1))) {
        conf_print_one(d->show, s, at, d->path, f);
        fclose(f);
        for (line = text; line && *line; line = rest) {
            rest = line + strcspn(line, "\n");
            rest += *rest == '\n';
            fprintf(d->out, "%c   %.*s", sign, (int)(rest - line), line);
        }
    } else if (f)
        fclose(f);
    free(text);
    xmlFreeDoc(doc);
}

static void
one_way(struct diff *d, const struct stmt *s, const xmlNode *from, const xmlNode *to, char sign)
{
    for (const xmlNode *n = from->children; n; n = n->next) {
        const struct stmt *kid =
            n->type == XML_ELEMENT_NODE ? schema_kid(s, (const char *)n->name, d->show->as) : NULL;
        const xmlNode *o = kid ? counterpart(to, n, kid) : NULL;

        if (kid && (!o || !same_leaf(kid, n, o)))
            lines(d, kid, n, sign);
    }
}

static void
compare(struct diff *d, const struct stmt *s, const xmlNode *from, const xmlNode *to)
{
    d->header = false;
    one_way(d, s, from, to, '-');
    one_way(d, s, to, from, '+');
    for (const xmlNode *n = to->children; n; n = n->next) {
        const struct stmt *kid =
            n->type == XML_ELEMENT_NODE ? schema_kid(s, (const char *)n->name, d->show->as) : NULL;
        const xmlNode *o = kid && kid->kind <= ST_LIST ? counterpart(from, n, kid) : NULL;
        size_t was = strlen(d->path);
        char key[300] = "";

        if (!o || !same_leaf(kid, n, o))
            continue;
        if (kid->kind == ST_LIST)
            conf_text(n, "name", key, sizeof key);
        snprintf(d->path + was, sizeof d->path - was, "%s%s%s%s", was ? " " : "",
                 kid->flags & STMT_ELIDE ? "" : kid->name, *key && !(kid->flags & STMT_ELIDE) ? " " : "", key);
        compare(d, kid, o, n);
        d->path[was] = '\0';
    }
}

void
conf_print_diff(const struct show *s, const xmlNode *from, const xmlNode *to, FILE *out)
{
    struct diff d = {.show = s, .out = out};

    compare(&d, schema_root(), from, to);
}

/* ---- private changes into what others committed meanwhile ---- */

struct merge {
    struct conf_errors *errors;
    char path[PATH_BYTES];
};

static bool merge(struct merge *m, const struct stmt *s, const xmlNode *base, const xmlNode *mine, xmlNode *theirs);

static bool
conflict(struct merge *m, const struct stmt *s)
{
    conf_error(m->errors, false, m->path, s->name, "statement was changed by another user meanwhile");
    return false;
}

static bool
add_copy(xmlNode *to, const xmlNode *n)
{
    xmlNode *copy = xmlDocCopyNode((xmlNode *)n, to->doc, 1), *last = NULL;

    for (xmlNode *o = to->children; o; o = o->next)
        if (conf_named(o, (const char *)n->name))
            last = o;
    return copy && (last ? xmlAddNextSibling(last, copy) : xmlAddChild(to, copy));
}

/* A statement that mine has. */
static bool
merge_mine(struct merge *m, const struct stmt *s, const xmlNode *was, const xmlNode *n, xmlNode *theirs)
{
    xmlNode *t = counterpart(theirs, n, s);
    size_t len = strlen(m->path);
    char key[300] = "";
    bool done;

    if (was && same_tree(s, was, n))
        return true;
    if (!t)
        return was && s->kind != ST_LEAF ? conflict(m, s) : add_copy(theirs, n);
    if (s->kind == ST_LEAF || s->kind == ST_FLAG || s->kind == ST_LEAFLIST) {
        if (same_leaf(s, t, n))
            return true;
        if (!was || !same_leaf(s, t, was))
            return conflict(m, s);
        xmlReplaceNode(t, xmlDocCopyNode((xmlNode *)n, theirs->doc, 1));
        xmlFreeNode(t);
        return true;
    }
    if (conf_inactive(n) != conf_inactive(t)) {
        if (conf_inactive(n))
            xmlSetProp(t, BAD_CAST "inactive", BAD_CAST "inactive");
        else
            xmlUnsetProp(t, BAD_CAST "inactive");
    }
    if (s->kind == ST_LIST)
        conf_text(n, "name", key, sizeof key);
    snprintf(m->path + len, sizeof m->path - len, "%s%s%s%s", len ? " " : "", s->name, *key ? " " : "", key);
    done = merge(m, s, was, n, t);
    m->path[len] = '\0';
    return done;
}

static bool
merge(struct merge *m, const struct stmt *s, const xmlNode *base, const xmlNode *mine, xmlNode *theirs)
{
    static const struct sim_personality any;
    const struct stmt *kid;

    for (const xmlNode *n = mine->children; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE && (kid = schema_kid(s, (const char *)n->name, &any)) != NULL &&
            !merge_mine(m, kid, counterpart(base, n, kid), n, theirs))
            return false;
    for (const xmlNode *n = base ? base->children : NULL; n; n = n->next) {
        xmlNode *t;

        if (n->type != XML_ELEMENT_NODE || !(kid = schema_kid(s, (const char *)n->name, &any)) ||
            counterpart(mine, n, kid) || !(t = counterpart(theirs, n, kid)))
            continue;
        if (!same_tree(kid, n, t))
            return conflict(m, kid);
        xmlUnlinkNode(t);
        xmlFreeNode(t);
    }
    return true;
}

bool
conf_merge3(const xmlNode *base, const xmlNode *mine, xmlNode *theirs, struct conf_errors *errors)
{
    struct merge m = {.errors = errors};

    return merge(&m, schema_root(), base, mine, theirs);
}
