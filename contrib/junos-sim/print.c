/* print.c - configurations as Junos prints them: {} form, set commands, XML; and the subtree filter
 *
 * Pure.  What the reader may not see is left out; secrets without the right to see them are a comment.
 */
#include "conf.h"

#include <stdlib.h>
#include <string.h>

#define HIDDEN "/* SECRET-DATA */"
#define VALUE_MAX 4800

struct where {
    const struct show *show;
    FILE *out;
    char path[512];
    char value[VALUE_MAX];
};

static bool
is_plain(char c)
{
    return c >= ' ' && c != '<' && c != '>' && c != '&' && c != '"';
}

void
xml_put(FILE *out, const char *text)
{
    for (; *text; text++) {
        size_t plain = 0;

        while (is_plain(text[plain])) /* in one piece: replies are long */
            plain++;
        if (plain) {
            fwrite_unlocked(text, 1, plain, out);
            text += plain - 1;
            continue;
        }
        switch (*text) {
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '&': fputs("&amp;", out); break;
        case '"': fputs("&quot;", out); break;
        default: fputc((unsigned char)*text < ' ' && !strchr("\t\r\n", *text) ? '?' : *text, out);
        }
    }
}

/* The path with one more statement; how long it was before. */
static size_t
deeper(struct where *w, const char *name, const char *key)
{
    size_t n = strlen(w->path);

    snprintf(w->path + n, sizeof w->path - n, "%s%s%s%s", n ? " " : "", name, *key ? " " : "", key);
    return n;
}

static void
key_of(const xmlNode *n, char *out, size_t size)
{
    conf_text(n, "name", out, size);
}

static bool
seen(const struct where *w)
{
    return !w->show->rights || rights_see(w->show->rights, w->path);
}

/* Value of a leaf to be shown. */
static const char *
shown(struct where *w, const struct stmt *s, const xmlNode *n)
{
    if (schema_secret(s) && w->show->rights && !rights_secret(w->show->rights, w->path))
        return HIDDEN;
    conf_value(n, w->value, sizeof w->value);
    return w->value;
}

static void
put_word(FILE *out, const char *word)
{
    if (*word && word[strcspn(word, " \t\r\n{}[];\"#$&*()<>|'\\!?,")] == '\0') {
        fputs(word, out);
        return;
    }
    if (strcmp(word, HIDDEN) == 0) {
        fputs(word, out);
        return;
    }
    fputc('"', out);
    for (; *word; word++) {
        if (*word == '"' || *word == '\\')
            fputc('\\', out);
        fputc(*word, out);
    }
    fputc('"', out);
}

/* ---- {} form ---- */

static void text_kids(struct where *w, const struct stmt *s, const xmlNode *of, const char *indent);

static void
text_block(struct where *w, const struct stmt *s, const xmlNode *n, const char *indent)
{
    char more[128];

    fputs(" {\n", w->out);
    snprintf(more, sizeof more, "%.120s    ", indent);
    text_kids(w, s, n, more);
    fprintf(w->out, "%s}\n", indent);
}

static bool
has_body(const xmlNode *n)
{
    for (n = n->children; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE && !conf_named(n, "name"))
            return true;
    return false;
}

static void
text_entry(struct where *w, const struct stmt *s, const xmlNode *n, const char *indent)
{
    char key[1100];
    const xmlNode *value = s->flags & STMT_INLINE ? conf_child(n, "value") : NULL;

    key_of(n, key, sizeof key);
    fprintf(w->out, "%s%s", indent, conf_inactive(n) ? "inactive: " : "");
    if (!(s->flags & (STMT_ELIDE | STMT_GROUP)))
        fprintf(w->out, "%s ", s->name);
    put_word(w->out, key);
    if (value) {
        fputc(' ', w->out);
        conf_value(value, w->value, sizeof w->value);
        put_word(w->out, w->value);
    }
    if (value || !has_body(n))
        fputs(";\n", w->out);
    else
        text_block(w, s, n, indent);
}

static void
text_values(struct where *w, const struct stmt *s, const xmlNode *n, const char *indent)
{
    unsigned many = 0;

    for (const xmlNode *o = n; o; o = o->next)
        many += conf_named(o, s->name);
    fprintf(w->out, "%s%s%s", indent, s->name, many > 1 ? " [" : "");
    for (; n; n = n->next)
        if (conf_named(n, s->name)) {
            fputc(' ', w->out);
            put_word(w->out, shown(w, s, n));
        }
    fputs(many > 1 ? " ];\n" : ";\n", w->out);
}

/* One statement, whose path is w->path. */
static void
text_one(struct where *w, const struct stmt *s, const xmlNode *n, const char *indent)
{
    switch (s->kind) {
    case ST_LIST:
        text_entry(w, s, n, indent);
        return;
    case ST_LEAFLIST:
        text_values(w, s, n, indent);
        return;
    case ST_LEAF:
        fprintf(w->out, "%s%s%s ", indent, conf_inactive(n) ? "inactive: " : "", s->name);
        put_word(w->out, shown(w, s, n));
        fputs(schema_secret(s) ? "; ## SECRET-DATA\n" : ";\n", w->out);
        return;
    case ST_FLAG:
    case ST_BOX:
        fprintf(w->out, "%s%s%s", indent, conf_inactive(n) ? "inactive: " : "", s->name);
        if (has_body(n))
            text_block(w, s, n, indent);
        else
            fputs(";\n", w->out);
    }
}

static bool
first_of(const xmlNode *n)
{
    for (const xmlNode *p = n->prev; p; p = p->prev)
        if (p->type == XML_ELEMENT_NODE && strcmp((const char *)p->name, (const char *)n->name) == 0)
            return false;
    return true;
}

static const xmlNode *
following(const xmlNode *n)
{
    for (const xmlNode *o = n->next; o; o = o->next)
        if (conf_named(o, (const char *)n->name))
            return o;
    return NULL;
}

static void
text_kid(struct where *w, const struct stmt *s, const xmlNode *n, const char *indent)
{
    char more[128], key[1100] = "";
    size_t was;

    if (s->kind == ST_LIST)
        key_of(n, key, sizeof key);
    was = deeper(w, s->name, key);
    if (seen(w)) {
        if (s->flags & STMT_GROUP) {
            if (first_of(n))
                fprintf(w->out, "%s%s {\n", indent, s->name);
            snprintf(more, sizeof more, "%.120s    ", indent);
            text_one(w, s, n, more);
            if (!following(n))
                fprintf(w->out, "%s}\n", indent);
        } else if (s->kind != ST_LEAFLIST || first_of(n))
            text_one(w, s, n, indent);
    }
    w->path[was] = '\0';
}

static void
text_kids(struct where *w, const struct stmt *s, const xmlNode *of, const char *indent)
{
    for (const xmlNode *n = of->children; n; n = n->next) {
        const struct stmt *kid = n->type == XML_ELEMENT_NODE ? schema_kid(s, (const char *)n->name, w->show->as) : NULL;

        if (kid)
            text_kid(w, kid, n, indent);
    }
}

void
conf_print_text(const struct show *s, const xmlNode *conf, FILE *out)
{
    struct where w = {.show = s, .out = out};

    text_kids(&w, schema_root(), conf, "");
}

void
conf_print_one(const struct show *s, const struct stmt *one, const xmlNode *of, const char *path, FILE *out)
{
    struct where *w = calloc(1, sizeof *w);

    if (!w)
        return;
    w->show = s;
    w->out = out;
    snprintf(w->path, sizeof w->path, "%s", path);
    for (const xmlNode *n = of->children; n; n = n->next)
        if (conf_named(n, one->name))
            text_kid(w, one, n, "");
    free(w);
}

/* ---- set commands ---- */

static void
set_kids(struct where *w, const struct stmt *s, const xmlNode *of, const char *before)
{
    for (const xmlNode *n = of->children; n; n = n->next) {
        const struct stmt *kid = n->type == XML_ELEMENT_NODE ? schema_kid(s, (const char *)n->name, w->show->as) : NULL;
        char key[1100] = "", *line = NULL;
        size_t size, was;
        FILE *f;

        if (!kid || !(f = open_memstream(&line, &size)))
            continue;
        if (kid->kind == ST_LIST)
            key_of(n, key, sizeof key);
        was = deeper(w, kid->name, key);
        fprintf(f, "%s%s%s", before, kid->flags & STMT_ELIDE ? "" : " ", kid->flags & STMT_ELIDE ? "" : kid->name);
        if (*key) {
            fputc(' ', f);
            put_word(f, key);
        }
        if (kid->kind == ST_LEAF || kid->kind == ST_LEAFLIST) {
            fputc(' ', f);
            put_word(f, shown(w, kid, n));
        } else if (kid->flags & STMT_INLINE && conf_child(n, "value")) {
            conf_value(conf_child(n, "value"), w->value, sizeof w->value);
            fputc(' ', f);
            put_word(f, w->value);
        }
        fclose(f);
        if (seen(w)) {
            if (kid->flags & STMT_INLINE || kid->kind == ST_LEAF || kid->kind == ST_LEAFLIST || !has_body(n))
                fprintf(w->out, "set%s\n", line);
            else
                set_kids(w, kid, n, line);
            if (conf_inactive(n))
                fprintf(w->out, "deactivate%s\n", line);
        }
        free(line);
        w->path[was] = '\0';
    }
}

void
conf_print_set(const struct show *s, const xmlNode *conf, FILE *out)
{
    struct where w = {.show = s, .out = out};

    set_kids(&w, schema_root(), conf, "");
}

/* ---- XML ---- */

static void
xml_kids(struct where *w, const struct stmt *s, const xmlNode *of, unsigned depth)
{
    for (const xmlNode *n = of->children; n; n = n->next) {
        const struct stmt *kid = n->type == XML_ELEMENT_NODE ? schema_kid(s, (const char *)n->name, w->show->as) : NULL;
        char key[1100] = "";
        size_t was;

        if (!kid)
            continue;
        if (kid->kind == ST_LIST)
            key_of(n, key, sizeof key);
        was = deeper(w, kid->name, key);
        if (seen(w)) {
            fprintf(w->out, "%*s<%s%s", (int)depth * 4, "", kid->name,
                    conf_inactive(n) ? " inactive=\"inactive\"" : "");
            if (kid->kind == ST_LEAF || kid->kind == ST_LEAFLIST) {
                fputc('>', w->out);
                xml_put(w->out, shown(w, kid, n));
                fprintf(w->out, "</%s>%s\n", kid->name, schema_secret(kid) ? "<!-- SECRET-DATA -->" : "");
            } else if (kid->kind == ST_LIST || has_body(n)) {
                fputs(">\n", w->out);
                if (kid->kind == ST_LIST) {
                    fprintf(w->out, "%*s<name>", (int)depth * 4 + 4, "");
                    xml_put(w->out, key);
                    fputs("</name>\n", w->out);
                }
                xml_kids(w, kid, n, depth + 1);
                fprintf(w->out, "%*s</%s>\n", (int)depth * 4, "", kid->name);
            } else
                fprintf(w->out, ">\n%*s</%s>\n", (int)depth * 4, "", kid->name);
        }
        w->path[was] = '\0';
    }
}

void
conf_print_xml(const struct show *s, const xmlNode *conf, FILE *out)
{
    struct where w = {.show = s, .out = out};

    xml_kids(&w, schema_root(), conf, 1);
}

/* ---- filter ---- */

static bool
empty_filter(const xmlNode *f)
{
    for (f = f->children; f; f = f->next)
        if (f->type == XML_ELEMENT_NODE)
            return false;
    return true;
}

/* Do the leaves of the filter that have a value match the element?  src: RFC 6241 6.2.5 */
static bool
fits(const xmlNode *n, const xmlNode *filter)
{
    for (const xmlNode *f = filter->children; f; f = f->next) {
        char value[1100];
        const xmlNode *kid = n->children;

        if (f->type != XML_ELEMENT_NODE || !empty_filter(f) || !conf_value(f, value, sizeof value) || !*value)
            continue;
        while (kid && !(conf_named(kid, (const char *)f->name) && conf_is(kid, value)))
            kid = kid->next;
        if (!kid)
            return false;
    }
    return true;
}

/* Only keys and values to match: all of what fits is wanted. */
static bool
only_matches(const xmlNode *filter)
{
    for (const xmlNode *f = filter->children; f; f = f->next) {
        char value[1100];

        if (f->type == XML_ELEMENT_NODE && (!empty_filter(f) || (conf_value(f, value, sizeof value) && !*value)))
            return false;
    }
    return true;
}

static bool select_kids(xmlNode *to, const xmlNode *from, const xmlNode *filter, unsigned depth);

/* One element that the filter element names; into to, once. */
static bool
select_one(xmlNode *to, const xmlNode *n, const xmlNode *f, unsigned depth)
{
    xmlNode *copy, *name = conf_child(n, "name");

    if (!fits(n, f))
        return true;
    if (empty_filter(f) || only_matches(f))
        return (copy = xmlDocCopyNode((xmlNode *)n, to->doc, 1)) && xmlAddChild(to, copy);
    copy = xmlDocCopyNode((xmlNode *)n, to->doc, 2);
    if (!copy || !xmlAddChild(to, copy))
        return false;
    if (name && !xmlAddChild(copy, xmlDocCopyNode(name, to->doc, 1)))
        return false;
    if (!select_kids(copy, n, f, depth + 1))
        return false;
    if (!has_body(copy)) {
        xmlUnlinkNode(copy);
        xmlFreeNode(copy);
    }
    return true;
}

static bool
select_kids(xmlNode *to, const xmlNode *from, const xmlNode *filter, unsigned depth)
{
    if (depth > 32)
        return true;
    for (const xmlNode *f = filter->children; f; f = f->next) {
        if (f->type != XML_ELEMENT_NODE || conf_named(f, "name"))
            continue;
        for (const xmlNode *n = from->children; n; n = n->next)
            if (conf_named(n, (const char *)f->name) && !select_one(to, n, f, depth))
                return false;
    }
    return true;
}

xmlDoc *
conf_filter(const xmlNode *conf, const xmlNode *filter)
{
    xmlDoc *doc = conf_new();

    if (doc && !select_kids(xmlDocGetRootElement(doc), conf, filter, 0)) {
        xmlFreeDoc(doc);
        return NULL;
    }
    return doc;
}
