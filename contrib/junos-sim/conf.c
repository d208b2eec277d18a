/* conf.c - reading a configuration tree by path
 *
 * Pure.  Elements have local names and no namespace; what is inactive is not there.
 */
#include "conf.h"

#include <ctype.h>
#include <string.h>

bool
conf_named(const xmlNode *n, const char *name)
{
    return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

bool
conf_inactive(const xmlNode *n)
{
    return xmlHasProp((xmlNode *)n, BAD_CAST "inactive") != NULL;
}

/* The text of an element without the blanks around it; *len is its length. */
static const char *
trimmed(const xmlNode *n, size_t *len)
{
    const char *text = "";

    for (const xmlNode *t = n->children; t; t = t->next)
        if ((t->type == XML_TEXT_NODE || t->type == XML_CDATA_SECTION_NODE) && t->content) {
            text = (const char *)t->content;
            while (isspace((unsigned char)*text))
                text++;
            if (*text)
                break;
        }
    *len = strlen(text);
    while (*len > 0 && isspace((unsigned char)text[*len - 1]))
        --*len;
    return text;
}

bool
conf_value(const xmlNode *n, char *out, size_t size)
{
    size_t len;
    const char *text = trimmed(n, &len);

    if (size == 0 || len >= size) {
        if (size)
            out[0] = '\0';
        return false;
    }
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

xmlNode *
conf_child(const xmlNode *of, const char *name)
{
    for (xmlNode *n = of ? of->children : NULL; n; n = n->next)
        if (conf_named(n, name))
            return n;
    return NULL;
}

bool
conf_is(const xmlNode *n, const char *value)
{
    size_t len;
    const char *text = trimmed(n, &len);

    return len == strlen(value) && memcmp(text, value, len) == 0;
}

xmlNode *
conf_entry(const xmlNode *of, const char *name, const char *key)
{
    for (xmlNode *n = of ? of->children : NULL; n; n = n->next) {
        const xmlNode *k = conf_named(n, name) ? conf_child(n, "name") : NULL;

        if (k && conf_is(k, key))
            return n;
    }
    return NULL;
}

/* One step of a path: "name" or "name[key]"; the rest of the path, or NULL when it is too long. */
static const char *
step(const char *path, char name[128], char key[128])
{
    size_t n = strcspn(path, "/["), k = 0;

    if (n >= 128)
        return NULL;
    memcpy(name, path, n);
    name[n] = key[0] = '\0';
    path += n;
    if (*path == '[') {
        k = strcspn(++path, "]");
        if (k >= 128 || path[k] != ']')
            return NULL;
        memcpy(key, path, k);
        key[k] = '\0';
        path += k + 1;
    }
    return *path == '/' ? path + 1 : path;
}

static xmlNode *
active(xmlNode *n, const char *name, const char *key)
{
    for (; n; n = n->next) {
        const xmlNode *k;

        if (!conf_named(n, name) || conf_inactive(n))
            continue;
        k = *key ? conf_child(n, "name") : NULL;
        if (!*key || (k && conf_is(k, key)))
            return n;
    }
    return NULL;
}

xmlNode *
conf_get(const xmlNode *from, const char *path)
{
    char name[128], key[128];
    xmlNode *n = (xmlNode *)from;

    while (n && path && *path)
        if ((path = step(path, name, key)) != NULL)
            n = active(n->children, name, key);
    return path ? n : NULL;
}

bool
conf_text(const xmlNode *from, const char *path, char *out, size_t size)
{
    const xmlNode *n = from ? conf_get(from, path) : NULL;

    if (!n && size)
        out[0] = '\0';
    return n && conf_value(n, out, size);
}

xmlNode *
conf_next(const xmlNode *element)
{
    return active(element->next, (const char *)element->name, "");
}

bool
conf_has(const xmlNode *from, const char *path)
{
    return from && conf_get(from, path) != NULL;
}
