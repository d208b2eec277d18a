/* rows.c - what the readers share.  Pure. */
#include "rows.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *
jn_rows_add(struct jn_rows *r)
{
    if (r->n >= JN_ROWS_MAX) {
        r->err = RK_E_PROTOCOL;
        return NULL;
    }
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 8;
        void *v = reallocarray(r->v, cap, r->size);

        if (!v) {
            r->err = RK_E_NOMEM;
            return NULL;
        }
        r->v = v;
        r->cap = cap;
    }
    return memset((char *)r->v + r->n++ * r->size, 0, r->size);
}

void *
jn_rows_end(struct jn_rows *r)
{
    void *v = r->n && r->n < r->cap ? reallocarray(r->v, r->n, r->size) : NULL;

    if (v) {
        r->v = v;
        r->cap = r->n;
    }
    return r->v;
}

const xmlNode *
jn_top(const xmlNode *root, const char *name)
{
    return nc_is(root, name) ? root : nc_child(root, name);
}

const xmlNode *
jn_top_next(const xmlNode *root, const xmlNode *node)
{
    return node == root ? NULL : nc_next(node);
}

bool
jn_elements(const xmlNode *node)
{
    for (const xmlNode *n = node->children; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE)
            return true;
    return false;
}

bool
jn_other(const xmlNode *root)
{
    for (const xmlNode *n = root ? root->children : NULL; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE && !nc_is(n, "cli") && !nc_is(n, "ok") && !nc_is(n, "output") &&
            (jn_elements(n) || !nc_is(n, "multi-routing-engine-results")))
            return true;
    return false;
}

const char *
jn_attr(const xmlNode *node, const char *name)
{
    for (const xmlAttr *a = node->properties; a; a = a->next) {
        const char *colon = strrchr((const char *)a->name, ':');

        if (strcmp(colon ? colon + 1 : (const char *)a->name, name) == 0 && a->children)
            return (const char *)a->children->content;
    }
    return NULL;
}

bool
jn_iface_name(const char *text, char *out)
{
    size_t len = strlen(text);

    out[0] = '\0';
    if (len > 2 && strcmp(text + len - 2, ".0") == 0)
        len -= 2;
    if (len == 0 || len > RK_IFACE_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isgraph((unsigned char)text[i]))
            return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

bool
jn_iface_of(const xmlNode *parent, const char *leaf, char *out)
{
    char text[RK_IFACE_MAX + 3];

    out[0] = '\0';
    return nc_child_text(parent, leaf, text, sizeof text) && jn_iface_name(text, out);
}

bool
jn_u64(const char *text, uint64_t *n)
{
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    *n = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

bool
jn_child_u64(const xmlNode *parent, const char *name, uint64_t *n)
{
    char text[24];

    return nc_child_text(parent, name, text, sizeof text) && jn_u64(text, n);
}

char *
jn_output(const xmlNode *root, int *err)
{
    const xmlNode *node = nc_is(root, "output") ? root : nc_find(root, "output");
    char *text = node ? (char *)xmlNodeGetContent(node) : NULL;

    *err = node && !text ? RK_E_NOMEM : RK_OK;
    return text;
}
