/* reply.c - errors, warnings and words of success in a reply, wherever they are in it.
 *
 * Success is never guessed: a reply that had to be mended must still end as one, and what looks like an error in its
 * bytes must have been found in its elements.
 */
#include "reply.h"

#include "frame.h"
#include "xml.h"

#include <stdlib.h>
#include <string.h>

#define KEY_DIGITS 16  /* a run of so many hexadecimal digits may be (half of) a key */
#define PATH_DIGITS 32 /* in a path names are more likely */

void
nc_reply_free(struct nc_reply **reply)
{
    if (!*reply)
        return;
    nc_xml_free((*reply)->doc);
    free(*reply);
    *reply = NULL;
}

/* ---- texts ---- */

static void
stars(char *text, size_t n)
{
    memset(text, '*', n);
}

void
nc_mask(char *text, size_t digits)
{
    while (*text) {
        size_t hex = strspn(text, "0123456789abcdefABCDEF");
        bool stored = text[0] == '$' && text[1] >= '0' && text[1] <= '9' && text[2] == '$';
        size_t word = stored ? strcspn(text, " \"'<>;,") : 0;

        if (hex >= digits)
            stars(text, hex);
        stars(text, word);
        text += word ? word : hex ? hex : 1;
    }
}

/* A key that the end of a text has cut is shorter than one, and half a key is too much. */
static void
mask_end(char *text, size_t size)
{
    size_t len = strlen(text), hex = 0;

    if (len + 2 < size) /* it was not cut */
        return;
    while (hex < len && strchr("0123456789abcdefABCDEF", text[len - 1 - hex]))
        hex++;
    stars(text + len - hex, hex);
}

static void
take_line(const xmlNode *error, const char *name, char *out, size_t size, size_t digits)
{
    const xmlNode *node = nc_find(error, name);

    out[0] = '\0';
    if (!node)
        return;
    nc_xml_line(node, out, size);
    nc_mask(out, digits);
    mask_end(out, size);
}

/* ---- errors ---- */

enum verdict { IS_NONE, IS_ERROR, IS_WARNING };

/* <xnm:error> of Junos' own protocol, with or without its namespace. */
static bool
is_xnm(const xmlNode *node)
{
    const char *href = node->ns ? (const char *)node->ns->href : NULL;

    return (href && strstr(href, "xnm")) || strncmp((const char *)node->name, "xnm:", 4) == 0;
}

static enum verdict
judge(const xmlNode *node)
{
    char severity[16];

    if (nc_is(node, "rpc-error")) {
        /* a severity that is not there, or no known word, is an error */
        bool known = nc_child_text(node, "error-severity", severity, sizeof severity);

        return known && strcmp(severity, "warning") == 0 ? IS_WARNING : IS_ERROR;
    }
    if (nc_is(node, "error") && is_xnm(node))
        return IS_ERROR;
    return nc_is(node, "warning") && is_xnm(node) ? IS_WARNING : IS_NONE;
}

static void
take_error(const xmlNode *node, struct nc_error *e)
{
    take_line(node, "error-type", e->type, sizeof e->type, KEY_DIGITS);
    take_line(node, "error-tag", e->tag, sizeof e->tag, KEY_DIGITS);
    take_line(node, "error-path", e->path, sizeof e->path, PATH_DIGITS);
    if (!e->path[0])
        take_line(node, "edit-path", e->path, sizeof e->path, PATH_DIGITS);
    take_line(node, "bad-element", e->element, sizeof e->element, KEY_DIGITS);
    if (!e->element[0])
        take_line(node, "statement", e->element, sizeof e->element, KEY_DIGITS);
    take_line(node, "error-message", e->message, sizeof e->message, KEY_DIGITS);
    if (!e->message[0])
        take_line(node, "message", e->message, sizeof e->message, KEY_DIGITS);
}

static bool
is_success(const xmlNode *node)
{
    static const char *const words[] = {"ok", "commit-success", "commit-check-success", "load-success"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (nc_is(node, words[i]))
            return true;
    return false;
}

/* <load-error-count>: what was loaded is not what was sent, whatever the words beside it. */
static bool
is_load_failure(const xmlNode *node)
{
    char count[16];

    return nc_is(node, "load-error-count") && !(nc_text(node, count, sizeof count) && strcmp(count, "0") == 0);
}

/* Few names mean something here, and most elements are seen to have none of them by their first letter. */
static bool
may_matter(const xmlNode *node)
{
    return node->type == XML_ELEMENT_NODE && (!node->ns || strchr("rewocl", node->name[0]));
}

static void
look_through(struct nc_reply *r)
{
    bool failed = false, into = true;

    for (const xmlNode *n = r->root; n; n = nc_xml_after(n, r->root, into)) {
        enum verdict v = IS_NONE;

        into = true;
        if (!may_matter(n))
            continue;
        v = judge(n);
        into = v == IS_NONE;
        if (v == IS_ERROR && r->n_errors++ < NC_ERRORS_MAX)
            take_error(n, &r->errors[r->n_errors - 1]);
        r->n_warnings += v == IS_WARNING;
        r->positive = r->positive || is_success(n);
        failed = failed || is_load_failure(n);
    }
    r->positive = r->positive && !failed && r->n_errors == 0;
}

/* ---- what was mended ---- */

/* Is the last tag of text[len] the end of the reply? */
static bool
ends_as_reply(const char *text, size_t len)
{
    static const char end[] = "rpc-reply>";
    const char *last = NULL;

    for (const char *p = text; (p = memmem(p, (size_t)(text + len - p), end, sizeof end - 1)); p++)
        last = p;
    if (!last)
        return false;
    last += sizeof end - 1;
    return nc_xml_begin((char *)last, (size_t)(text + len - last)) == text + len;
}

static size_t
count(const char *text, size_t len, const char *word)
{
    size_t n = 0, word_len = strlen(word);

    for (const char *p = text; (p = memmem(p, (size_t)(text + len - p), word, word_len)); p += word_len)
        n++;
    return n;
}

/* Every error that the bytes name, at its begin and its end, is one that was found. */
static bool
errors_found(const char *text, size_t len, const struct nc_reply *r)
{
    size_t seen = (count(text, len, "rpc-error") + 1) / 2 + (count(text, len, "xnm:error") + 1) / 2 +
                  count(text, len, "<error xmlns");

    return seen <= r->n_errors + r->n_warnings;
}

static int
check_repaired(const char *text, size_t len, const struct nc_reply *r, const char **why)
{
    *why = "the reply is cut off or damaged";
    return !r->repaired || (ends_as_reply(text, len) && errors_found(text, len, r)) ? RK_OK : RK_E_PROTOCOL;
}

static int
read_into(char *text, size_t len, struct nc_reply *r, const char **why)
{
    char *begin = nc_xml_begin(text, len);

    len -= (size_t)(begin - text);
    if (len == 0)
        return RK_E_NOENT;
    r->doc = nc_xml_parse(begin, len, &r->repaired);
    *why = "what came is no XML";
    if (!r->doc)
        return RK_E_PROTOCOL;
    r->root = xmlDocGetRootElement(r->doc);
    if (!nc_is(r->root, "rpc-reply") && !nc_is(r->root, "rpc-error"))
        return r->repaired ? RK_E_PROTOCOL : RK_E_NOENT;
    look_through(r);
    return check_repaired(begin, len, r, why);
}

int
nc_reply_read(char *text, size_t len, struct nc_reply **reply, const char **why)
{
    int err;

    *reply = calloc(1, sizeof **reply);
    if (!*reply)
        return RK_E_NOMEM;
    err = read_into(text, len, *reply, why);
    if (err)
        nc_reply_free(reply);
    return err;
}

struct nc_id
nc_reply_id(const struct nc_reply *reply)
{
    const xmlAttr *a = nc_xml_attr(reply->root, "message-id");
    const char *text = a && a->children && !a->children->next ? (const char *)a->children->content : NULL;
    struct nc_id id = {""};

    if (text && strlen(text) < sizeof id.text)
        strcpy(id.text, text);
    return id;
}
