/* hello.c - reads a peer's hello: banners, comments and errors may be before it. */
#include "hello.h"

#include "frame.h"
#include "reply.h"
#include "xml.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define BASE "urn:ietf:params:netconf:base:"
#define OLD_BASE "urn:ietf:params:xml:ns:netconf:base:" /* of old Junos */
#define CAPABILITY_MAX 512

const char nc_hello_ours[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                             "<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><capabilities>"
                             "<capability>" BASE "1.0</capability><capability>" BASE "1.1</capability>"
                             "</capabilities></hello>\n" NC_DELIMITER;

/* ---- where the elements are ---- */

struct piece {
    char *at;
    size_t len;
};

static bool
is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.' || c == ':';
}

/* Does a tag of this local name begin at p, of n bytes, a '<'? */
static bool
tag_is(const char *p, size_t n, const char *local)
{
    size_t end = 1, name = 1, len = strlen(local);

    while (end < n && is_name_char(p[end])) {
        if (p[end] == ':')
            name = end + 1;
        end++;
    }
    return end < n && end - name == len && memcmp(p + name, local, len) == 0;
}

/* The first tag of this name, outside of comments; NULL: none */
static char *
find_tag(struct piece in, const char *local)
{
    char *end = in.at + in.len, *p = in.at;

    while (p < end && (p = memchr(p, '<', (size_t)(end - p)))) {
        if (end - p >= 7 && memcmp(p, "<!--", 4) == 0) {
            p = nc_xml_begin(p, (size_t)(end - p));
            continue;
        }
        if (tag_is(p, (size_t)(end - p), local))
            return p;
        p++;
    }
    return NULL;
}

/* The whole element, up to the first end of that name; len 0: none */
static struct piece
find_element(struct piece in, const char *local)
{
    char *begin = find_tag(in, local), *end = in.at + in.len;

    if (!begin)
        return (struct piece){in.at, 0};
    for (char *p = begin + 1; (p = memmem(p, (size_t)(end - p), local, strlen(local))); p++) {
        char *close = p + strlen(local), *open = p;

        while (open > begin && is_name_char(open[-1]))
            open--;
        while (close < end && isspace((unsigned char)*close))
            close++;
        if (close < end && *close == '>' && open - begin > 1 && open[-1] == '/' && open[-2] == '<')
            return (struct piece){begin, (size_t)(close - begin) + 1};
    }
    return (struct piece){begin, (size_t)(end - begin)};
}

/* ---- an error instead ---- */

static bool
says(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcasestr(text, *words))
            return true;
    return false;
}

static int
refusal(struct nc_hello *h, const struct nc_reply *r)
{
    static const char *const permission[] = {"permission", "denied", "not authorized", "unauthorized", NULL};
    const struct nc_error *e = &r->errors[0];

    memcpy(h->refused, e->message, sizeof h->refused);
    if (!h->refused[0])
        memcpy(h->refused, e->tag, sizeof e->tag);
    if (!h->refused[0])
        strcpy(h->refused, "an error without words");
    return says(h->refused, permission) || strcmp(e->tag, "access-denied") == 0 ? RK_E_AUTH : RK_E_BUSY;
}

static int
check_reply(struct piece reply, struct nc_hello *h)
{
    struct nc_reply *r;
    const char *why;
    int err = nc_reply_read(reply.at, reply.len, &r, &why);

    if (err)
        return err == RK_E_NOMEM ? err : RK_OK; /* what is no reply tells nothing; the hello must do */
    if (r->n_errors > 0)
        err = refusal(h, r);
    nc_reply_free(&r);
    return err;
}

/* ---- the hello ---- */

/* Only what nc_can() is asked for: no query, as the features and revisions of a module are long. */
static void
keep_capability(const xmlNode *node, struct nc_hello *h)
{
    char text[CAPABILITY_MAX];
    size_t len;

    nc_xml_line(node, text, sizeof text);
    len = strcspn(text, "?");
    if (len == 0 || h->caps_len + len + 1 > NC_CAPS_MAX)
        return;
    memcpy(h->caps + h->caps_len, text, len);
    h->caps[h->caps_len + len] = '\0';
    h->caps_len += len + 1;
}

static int
keep(const xmlNode *root, struct nc_hello *h)
{
    const xmlNode *caps = nc_child(root, "capabilities");
    char *small;

    h->caps = malloc(NC_CAPS_MAX);
    if (!h->caps)
        return RK_E_NOMEM;
    for (const xmlNode *c = nc_child(caps, "capability"); c; c = nc_next(c))
        keep_capability(c, h);
    small = realloc(h->caps, h->caps_len ? h->caps_len : 1);
    h->caps = small ? small : h->caps;
    nc_child_text(root, "session-id", h->session_id, sizeof h->session_id);
    h->base_1_1 = nc_hello_has(h, BASE "1.1");
    return RK_OK;
}

static int
read_hello(struct piece hello, struct nc_hello *h, const char **why)
{
    bool repaired;
    xmlDoc *doc = nc_xml_parse(hello.at, hello.len, &repaired);
    int err;

    *why = "its hello cannot be read";
    if (!doc)
        return RK_E_PROTOCOL;
    err = keep(xmlDocGetRootElement(doc), h);
    nc_xml_free(doc);
    *why = "its hello names neither base:1.0 nor base:1.1";
    if (!err && !h->base_1_1 && !nc_hello_has(h, BASE "1.0") && !nc_hello_has(h, OLD_BASE "1.0"))
        err = RK_E_PROTOCOL;
    return err;
}

int
nc_hello_read(char *text, size_t len, struct nc_hello *h, const char **why)
{
    struct piece all = {text, len}, hello, reply;
    int err = RK_OK;

    memset(h, 0, sizeof *h);
    reply = find_element(all, "rpc-reply");
    if (reply.len == 0)
        reply = find_element(all, "rpc-error");
    hello = find_element(all, "hello");
    if (reply.len > 0)
        err = check_reply(reply, h);
    if (err)
        return err;
    *why = "it sent something else than a hello";
    return hello.len > 0 ? read_hello(hello, h, why) : RK_E_PROTOCOL;
}

void
nc_hello_end(struct nc_hello *h)
{
    free(h->caps);
    memset(h, 0, sizeof *h);
}

bool
nc_hello_has(const struct nc_hello *h, const char *capability)
{
    for (size_t at = 0; at < h->caps_len; at += strlen(h->caps + at) + 1)
        if (strcmp(h->caps + at, capability) == 0)
            return true;
    return false;
}
