/* tree.c - see tree.h
 *
 * Pieces are filled from their begin, and only all of a tree is freed.  Names are libxml2's own: its dictionary has
 * them, and the document has the dictionary.
 */
#include "tree.h"

#include <libxml/parserInternals.h>
#include <libxml/tree.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST 8192 /* enough for most replies; each further one has twice as much as the one before */
#define CHUNK_MAX 65536
#define ALIGN _Alignof(max_align_t)

struct nc_chunk {
    struct nc_chunk *next;
    size_t size, used;
    max_align_t bytes[];
};

/* ---- memory ---- */

static char *
bytes_of(struct nc_chunk *c)
{
    return (char *)c->bytes;
}

static struct nc_chunk *
add_chunk(struct nc_tree *t, size_t need)
{
    size_t size = !t->chunk ? CHUNK_FIRST : t->chunk->size < CHUNK_MAX / 2 ? 2 * t->chunk->size : CHUNK_MAX;
    struct nc_chunk *c;

    size = need > size ? need : size;
    c = malloc(sizeof *c + size);
    if (!c) {
        t->failed = true;
        return NULL;
    }
    *c = (struct nc_chunk){.next = t->chunk, .size = size};
    t->chunk = c;
    return c;
}

/* ret: room for n bytes, aligned; NULL: the tree has failed */
static void *
room(struct nc_tree *t, size_t n)
{
    struct nc_chunk *c = t->chunk;
    size_t at = c ? (c->used + ALIGN - 1) / ALIGN * ALIGN : 0;

    if (!c || n > c->size || at > c->size - n) {
        c = add_chunk(t, n);
        at = 0;
    }
    if (!c)
        return NULL;
    c->used = at + n;
    return bytes_of(c) + at;
}

static void *
zeroed(struct nc_tree *t, size_t n)
{
    void *p = room(t, n);

    return p ? memset(p, 0, n) : NULL;
}

void
nc_tree_end(struct nc_tree **t)
{
    struct nc_chunk *c = (*t)->chunk, *next;

    for (; c; c = next) {
        next = c->next;
        explicit_bzero(c->bytes, c->used);
        free(c);
    }
    free(*t);
    *t = NULL;
}

/* ---- nodes ---- */

static void
stop(xmlParserCtxt *c, struct nc_tree *t)
{
    t->failed = true;
    xmlStopParser(c);
}

static void
append(xmlNode *parent, xmlNode *node)
{
    node->parent = parent;
    node->prev = parent->last;
    if (parent->last)
        parent->last->next = node;
    else
        parent->children = node;
    parent->last = node;
}

static xmlNode *
new_node(xmlParserCtxt *c, xmlElementType type, const xmlChar *name)
{
    xmlNode *n = zeroed(c->_private, sizeof *n);

    if (n) {
        n->type = type;
        n->name = name;
        n->doc = c->myDoc;
    }
    return n;
}

static bool
set_text(struct nc_tree *t, xmlNode *node, const xmlChar *text, size_t n)
{
    node->content = room(t, n + 1);
    if (!node->content)
        return false;
    memcpy(node->content, text, n);
    node->content[n] = '\0';
    return true;
}

/* Names of namespaces are few, and mostly those of the parent. */
static xmlNs *
space(xmlParserCtxt *c, const xmlNode *parent, const xmlChar *prefix, const xmlChar *uri)
{
    xmlNs *ns = parent ? parent->ns : NULL;

    if (ns && ns->href == uri && ns->prefix == prefix)
        return ns;
    ns = zeroed(c->_private, sizeof *ns);
    if (ns) {
        ns->type = XML_NAMESPACE_DECL;
        ns->href = uri;
        ns->prefix = prefix;
        ns->context = c->myDoc;
    }
    return ns;
}

/* ---- attributes ---- */

/* libxml2 leaves "&" as "&#38;" in values. */
static void
plain(xmlChar *text)
{
    char *to = (char *)text, *from = to, *at;

    while ((at = strstr(from, "&#38;")) != NULL) {
        memmove(to, from, (size_t)(at - from) + 1);
        to += at - from + 1;
        from = at + 5;
    }
    if (to != from)
        memmove(to, from, strlen(from) + 1);
}

/* said: name, prefix, namespace, begin and end of the value, as SAX has them */
static bool
add_attribute(xmlParserCtxt *c, xmlNode *node, xmlAttr *before, const xmlChar **said)
{
    struct nc_tree *t = c->_private;
    xmlAttr *a = zeroed(t, sizeof *a);
    xmlNode *text = a ? new_node(c, XML_TEXT_NODE, xmlStringText) : NULL;

    if (!text || !set_text(t, text, said[3], (size_t)(said[4] - said[3])))
        return false;
    plain(text->content);
    text->parent = (xmlNode *)a;
    *a = (xmlAttr){.type = XML_ATTRIBUTE_NODE, .name = said[0], .parent = node, .doc = c->myDoc, .children = text,
                   .last = text, .prev = before};
    a->ns = said[2] ? space(c, node, said[1], said[2]) : NULL;
    if (before)
        before->next = a;
    else
        node->properties = a;
    return !said[2] || a->ns;
}

static bool
add_attributes(xmlParserCtxt *c, xmlNode *node, int n, const xmlChar **said)
{
    xmlAttr *last = NULL;

    for (int i = 0; i < n; i++, said += 5) {
        if (!add_attribute(c, node, last, said))
            return false;
        last = last ? last->next : node->properties;
    }
    return true;
}

/* ---- what the parser tells ---- */

static void
begin(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int n_spaces, const xmlChar **spaces,
      int n_attributes, int n_defaulted, const xmlChar **attributes)
{
    xmlParserCtxt *c = ctx;
    xmlNode *node, *parent = c->node ? c->node : (xmlNode *)c->myDoc;
    const xmlChar *whole = prefix && !uri ? xmlDictQLookup(c->dict, prefix, name) : name;

    (void)n_spaces;
    (void)spaces;
    (void)n_defaulted;
    node = c->myDoc && whole ? new_node(c, XML_ELEMENT_NODE, whole) : NULL;
    if (!node || (uri && !(node->ns = space(c, c->node, prefix, uri))) ||
        !add_attributes(c, node, n_attributes, attributes))
        stop(c, c->_private);
    else if (nodePush(c, node) >= 0) /* else it is too deep, and the parser ends by itself */
        append(parent, node);
}

static void
end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    (void)name;
    (void)prefix;
    (void)uri;
    (void)nodePop(ctx);
}

/* A text comes in pieces where there are entities in it, or when it is long.  The one that is the last of the memory is
 * made longer where it is; any other is moved, to where it has room to double. */
static bool
lengthen(struct nc_tree *t, xmlNode *node, const xmlChar *more, size_t n)
{
    char *at = (char *)node->content, *moved;
    size_t len = node == t->filled ? t->filled_len : strlen(at);
    struct nc_chunk *c = t->chunk;

    t->filled = node;
    t->filled_len = len + n;
    if (at + len + 1 == bytes_of(c) + c->used && n <= c->size - c->used) {
        memcpy(at + len, more, n);
        at[len + n] = '\0';
        c->used += n;
        return true;
    }
    moved = room(t, 2 * (len + n) + 1);
    if (!moved)
        return false;
    memcpy(moved, at, len);
    memcpy(moved + len, more, n);
    moved[len + n] = '\0';
    t->chunk->used = (size_t)(moved - bytes_of(t->chunk)) + len + n + 1;
    node->content = (xmlChar *)moved;
    return true;
}

static void
text(void *ctx, const xmlChar *bytes, int n)
{
    xmlParserCtxt *c = ctx;
    struct nc_tree *t = c->_private;
    xmlNode *last = c->node ? c->node->last : NULL, *node;

    if (!c->node || n <= 0)
        return;
    if (last && last->type == XML_TEXT_NODE) {
        if (!lengthen(t, last, bytes, (size_t)n))
            stop(c, t);
        return;
    }
    node = new_node(c, XML_TEXT_NODE, xmlStringText);
    if (!node || !set_text(t, node, bytes, (size_t)n))
        stop(c, t);
    else
        append(c->node, node);
}

static void
refuse_dtd(void *ctx, const xmlChar *name, const xmlChar *public_id, const xmlChar *system_id)
{
    xmlParserCtxt *c = ctx;
    struct nc_tree *t = c->_private;

    (void)name;
    (void)public_id;
    (void)system_id;
    t->dtd = true;
    xmlStopParser(c);
}

void
nc_tree_set(xmlParserCtxt *c, struct nc_tree *t)
{
    c->_private = t;
    c->sax->internalSubset = refuse_dtd;
    c->sax->startElementNs = begin;
    c->sax->endElementNs = end;
    c->sax->characters = text;
    c->sax->cdataBlock = NULL; /* as text */
    c->sax->comment = NULL;
    c->sax->processingInstruction = NULL;
    c->sax->reference = NULL;
}
