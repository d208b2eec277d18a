/* xml.c - reads XML that others wrote: without network, DTD and entities of its own, by local name. */
#include "xml.h"

#include "tree.h"

#include <libxml/dict.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Indentation makes no nodes: half of what a reply would cost. */
#define READ_FLAGS \
    (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA | XML_PARSE_NOBLANKS | \
     XML_PARSE_IGNORE_ENC)

/* ---- bytes ---- */

static bool
is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

char *
nc_xml_begin(char *text, size_t len)
{
    char *end = text + len;

    for (;;) {
        char *close;

        while (text < end && is_blank(*text))
            text++;
        if (end - text < 7 || memcmp(text, "<!--", 4) != 0)
            return text;
        close = memmem(text + 4, (size_t)(end - text) - 4, "-->", 3);
        if (!close)
            return end;
        text = close + 3;
    }
}

/* Length of the UTF-8 character at p[n] that XML allows [bytes]; 0: it is none.   src: RFC 3629 4, XML 1.0 2.2 */
static size_t
utf8_len(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    if (len == 1)
        return p[0] >= ' ' || is_blank(p[0]);
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f) || (p[0] == 0xef && p[1] == 0xbf && p[2] > 0xbd))
        return 0;
    return len;
}

/* Latin-1 in an interface's description, control characters of a console: routers send them as they are. */
static void
mend(char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = utf8_len((unsigned char *)text + i, len - i);

        if (n == 0)
            text[i] = '?';
        i += n ? n : 1;
    }
}

/* ---- documents ---- */

/* The text is read where it is: a copy of libxml2's would stay in freed memory, with the keys in it. */
static bool
read_in_place(xmlParserCtxt *c, const char *text, size_t len)
{
    xmlParserInput *input = xmlNewInputStream(c);

    if (!input)
        return false;
    input->base = input->cur = (const xmlChar *)text;
    input->end = input->base + len;
    input->length = (int)len;
    inputPush(c, input);
    return true;
}

/* The nodes are the tree's. */
static void
free_doc(xmlDoc *doc)
{
    if (!doc)
        return;
    doc->children = doc->last = NULL;
    xmlFreeDoc(doc);
}

static xmlDoc *
read_into(xmlParserCtxt *c, struct nc_tree *t, const char *text, size_t len, int flags)
{
    xmlDoc *doc;

    (void)xmlCtxtUseOptions(c, READ_FLAGS | flags);
    nc_tree_set(c, t);
    c->encoding = xmlStrdup((const xmlChar *)"UTF-8"); /* whatever the text says of itself */
    if (read_in_place(c, text, len))
        (void)xmlParseDocument(c);
    doc = c->myDoc;
    c->myDoc = NULL;
    if (doc && !t->dtd && !t->failed && doc->children && (c->wellFormed || flags & XML_PARSE_RECOVER))
        return doc;
    free_doc(doc);
    return NULL;
}

static xmlDoc *
parse(const char *text, size_t len, int flags)
{
    xmlParserCtxt *c = xmlNewParserCtxt();
    struct nc_tree *t = calloc(1, sizeof *t);
    xmlDoc *doc = c && t ? read_into(c, t, text, len, flags) : NULL;

    if (doc)
        doc->_private = t;
    else if (t)
        nc_tree_end(&t);
    if (c)
        xmlFreeParserCtxt(c);
    return doc;
}

/* As it is, or mended, or as far as it goes. */
static xmlDoc *
parse_somehow(char *text, size_t len, bool *repaired)
{
    xmlDoc *doc = parse(text, len, 0);

    if (doc)
        return doc;
    *repaired = true;
    mend(text, len);
    doc = parse(text, len, 0);
    return doc ? doc : parse(text, len, XML_PARSE_RECOVER);
}

xmlDoc *
nc_xml_parse(char *text, size_t len, bool *repaired)
{
    char behind;
    xmlDoc *doc;

    *repaired = false;
    if (len == 0 || len > INT_MAX)
        return NULL;
    behind = text[len];
    text[len] = '\0'; /* the parser looks for it */
    doc = parse_somehow(text, len, repaired);
    text[len] = behind;
    return doc;
}

void
nc_xml_free(xmlDoc *doc)
{
    struct nc_tree *t = doc ? doc->_private : NULL;

    if (!t) { /* it was not read here */
        xmlFreeDoc(doc);
        return;
    }
    free_doc(doc);
    nc_tree_end(&t);
}

/* ---- elements ---- */

const char *
nc_xml_local(const xmlNode *node)
{
    const char *name = (const char *)node->name, *colon = strrchr(name, ':');

    return colon ? colon + 1 : name; /* the prefix of no namespace stays in the name */
}

/* Most are not: that is seen without a look for a prefix, which only stays in the name of what has no namespace. */
bool
nc_is(const xmlNode *node, const char *name)
{
    const char *all;

    if (!node || node->type != XML_ELEMENT_NODE)
        return false;
    all = (const char *)node->name;
    if (all[0] == name[0] && strcmp(all, name) == 0)
        return true;
    return !node->ns && strcmp(nc_xml_local(node), name) == 0;
}

const xmlAttr *
nc_xml_attr(const xmlNode *node, const char *name)
{
    for (const xmlAttr *a = node->properties; a; a = a->next) {
        const char *colon = strrchr((const char *)a->name, ':');

        if (strcmp(colon ? colon + 1 : (const char *)a->name, name) == 0)
            return a;
    }
    return NULL;
}

const xmlNode *
nc_xml_after(const xmlNode *node, const xmlNode *top, bool into)
{
    if (into && node->type == XML_ELEMENT_NODE && node->children)
        return node->children;
    while (node != top && !node->next)
        node = node->parent;
    return node == top ? NULL : node->next;
}

static bool
is_wrapper(const xmlNode *node)
{
    return nc_is(node, "multi-routing-engine-item") || nc_is(node, "multi-routing-engine-results");
}

/* The first element of this name from node on among its siblings; what is around the replies of several routing engines
 * is looked through.  A tree is at most 256 deep, as libxml2 reads no more. */
static const xmlNode *
among(const xmlNode *node, const char *name)
{
    for (; node; node = node->next) {
        const xmlNode *found = nc_is(node, name) ? node : is_wrapper(node) ? among(node->children, name) : NULL;

        if (found)
            return found;
    }
    return NULL;
}

const xmlNode *
nc_next(const xmlNode *node)
{
    const char *name = nc_xml_local(node);
    const xmlNode *found = among(node->next, name);

    while (!found && is_wrapper(node->parent)) {
        node = node->parent;
        found = among(node->next, name);
    }
    return found;
}

const xmlNode *
nc_child(const xmlNode *parent, const char *name)
{
    return parent && parent->type == XML_ELEMENT_NODE ? among(parent->children, name) : NULL;
}

const xmlNode *
nc_find(const xmlNode *top, const char *name)
{
    for (const xmlNode *n = top ? nc_xml_after(top, top, true) : NULL; n; n = nc_xml_after(n, top, true))
        if (nc_is(n, name))
            return n;
    return NULL;
}

/* ---- text ---- */

struct writer {
    char *out;
    size_t size, len; /* len: with what did not fit */
    size_t ink;       /* up to the last byte that is no blank */
};

/* One byte of a text: blanks at its begin are left out, control characters are not passed on. */
static void
put(struct writer *w, unsigned char c)
{
    if (w->len == 0 && is_blank(c))
        return;
    if (w->len + 1 < w->size)
        w->out[w->len] = (char)(c < ' ' && !is_blank(c) ? '?' : c == 0x7f ? '?' : c);
    w->len++;
    if (!is_blank(c))
        w->ink = w->len;
}

static void
put_text(struct writer *w, const xmlNode *node)
{
    for (const xmlNode *n = nc_xml_after(node, node, true); n; n = nc_xml_after(n, node, true))
        if (n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE)
            for (const unsigned char *p = n->content; p && *p; p++)
                put(w, *p);
}

/* A newline in the middle of a value is a control character, too. */
static void
flatten(char *text)
{
    for (; *text; text++)
        if (*text == '\n' || *text == '\r' || *text == '\t')
            *text = '?';
}

/* Most values are one short text without blanks and control characters.   ret: was it such a one? */
static bool
copy_word(const xmlNode *node, char *out, size_t size)
{
    const xmlNode *n = node->children;
    const unsigned char *p = n && n->type == XML_TEXT_NODE && !n->next ? n->content : NULL;
    size_t len = 0;

    if (!p)
        return false;
    for (; p[len] > ' ' && p[len] != 0x7f && len + 1 < size; len++)
        out[len] = (char)p[len];
    out[len] = '\0';
    return len > 0 && !p[len];
}

bool
nc_text(const xmlNode *node, char *out, size_t size)
{
    struct writer w = {.out = out, .size = size};

    out[0] = '\0';
    if (!node || node->type != XML_ELEMENT_NODE)
        return false;
    if (copy_word(node, out, size))
        return true;
    put_text(&w, node);
    if (w.ink == 0 || w.ink >= size) {
        explicit_bzero(out, size);
        return false;
    }
    explicit_bzero(out + w.ink, size - w.ink);
    flatten(out);
    return true;
}

bool
nc_child_text(const xmlNode *parent, const char *name, char *out, size_t size)
{
    return nc_text(nc_child(parent, name), out, size);
}

void
nc_xml_line(const xmlNode *node, char *out, size_t size)
{
    size_t len = 0;
    bool gap = false;

    out[0] = '\0';
    for (const xmlNode *n = nc_xml_after(node, node, true); n; n = nc_xml_after(n, node, true)) {
        if (n->type != XML_TEXT_NODE && n->type != XML_CDATA_SECTION_NODE)
            continue;
        for (const unsigned char *p = n->content; p && *p && len + 2 < size; p++) {
            if (is_blank(*p)) {
                gap = len > 0;
                continue;
            }
            if (gap)
                out[len++] = ' ';
            gap = false;
            if (len + 1 < size)
                out[len++] = (char)(*p < ' ' || *p > '~' ? '?' : *p);
        }
    }
    out[len] = '\0';
}
