/* walk.c - see walk.h.  Pure. */
#include "walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_MAX (4u << 20)

/* ---- document order ---- */

static const xmlNode *
element(const xmlNode *node)
{
    while (node && node->type != XML_ELEMENT_NODE)
        node = node->next;
    return node;
}

const xmlNode *
jn_walk_past(const xmlNode *top, const xmlNode *node)
{
    while (node && node != top) {
        const xmlNode *next = element(node->next);

        if (next)
            return next;
        node = node->parent;
    }
    return NULL;
}

const xmlNode *
jn_walk(const xmlNode *top, const xmlNode *node)
{
    const xmlNode *inner = node ? element(node->children) : NULL;

    return inner ? inner : jn_walk_past(top, node);
}

/* ---- lists, numbers ---- */

/* Lists double, at powers of two. */
void *
jn_grow(void *list, size_t *n, size_t size, size_t max)
{
    void **at = list;
    char *all = *at;

    if (*n >= max)
        return NULL;
    if ((*n & (*n - 1)) == 0) {
        all = reallocarray(*at, *n ? *n * 2 : 1, size);
        if (!all)
            return NULL;
        *at = all;
    }
    memset(all + *n * size, 0, size);
    return all + (*n)++ * size;
}

int64_t
jn_number(const char *text, int64_t dflt)
{
    char *end;
    long long n;

    if (text[0] < '0' || text[0] > '9')
        return dflt;
    errno = 0;
    n = strtoll(text, &end, 10);
    return *end || errno ? dflt : n;
}

int64_t
jn_child_number(const xmlNode *parent, const char *name, int64_t dflt)
{
    char text[32];

    return nc_child_text(parent, name, text, sizeof text) ? jn_number(text, dflt) : dflt;
}

bool
jn_seconds(const xmlNode *node, int64_t *out)
{
    for (const xmlAttr *a = node ? node->properties : NULL; a; a = a->next)
        if (xmlStrcmp(a->name, BAD_CAST "seconds") == 0 && a->children && a->children->content) {
            *out = jn_number((const char *)a->children->content, -1);
            return *out >= 0;
        }
    return false;
}

/* ---- names ---- */

void
jn_hex_lower(const char *text, char out[JN_CKN_HEX + 1])
{
    size_t n = strlen(text);

    out[0] = '\0';
    if (n > JN_CKN_HEX || n % 2 || strspn(text, "0123456789abcdefABCDEF") != n)
        return;
    for (size_t i = 0; i <= n; i++)
        out[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);
}

bool
jn_iface(const char *text, char out[RK_IFACE_MAX + 1])
{
    size_t n = strlen(text);

    if (n > 2 && strcmp(text + n - 2, ".0") == 0)
        n -= 2;
    out[0] = '\0';
    if (n > RK_IFACE_MAX)
        return false;
    memcpy(out, text, n);
    out[n] = '\0';
    return n > 0;
}

bool
jn_iface_of(const xmlNode *node, char out[RK_IFACE_MAX + 1])
{
    char text[RK_IFACE_MAX + 3];

    out[0] = '\0';
    return nc_text(node, text, sizeof text) && jn_iface(text, out);
}

bool
jn_iface_same(const char *a, const char *b)
{
    char x[RK_IFACE_MAX + 1], y[RK_IFACE_MAX + 1];

    return jn_iface(a, x) && jn_iface(b, y) && strcmp(x, y) == 0;
}

bool
jn_ckn_same(const char *printed, const char *ckn)
{
    size_t n = 0;

    if (!printed[0] || !ckn[0])
        return false;
    for (; printed[n] && ckn[n]; n++)
        if ((printed[n] | 0x20) != (ckn[n] | 0x20))
            return false;
    return strspn(printed + n, "0") == strlen(printed + n) && strspn(ckn + n, "0") == strlen(ckn + n);
}

/* ---- text ---- */

char *
jn_output(const xmlNode *root)
{
    const xmlNode *output = nc_find(root, "output");
    xmlChar *content = xmlNodeGetContent(output ? output : root);
    size_t n = content ? (size_t)xmlStrlen(content) : 0;
    char *text = n > 0 && n <= OUTPUT_MAX ? strdup((char *)content) : NULL;

    xmlFree(content);
    return text;
}
