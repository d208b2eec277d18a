/* head.c - see head.h.  Pure: runs anywhere; must never look beyond what it was given. */
#include "head.h"

#include <string.h>
#include <strings.h>

#define LENGTH_DIGITS 9 /* of Content-Length: more is more than anything here takes */

struct text {
    const char *at;
    size_t len;
};

struct seen { /* members that may come once only */
    const struct rkp_head_rule *rule;
    bool length, type, session;
};

static bool
is(struct text t, const char *word)
{
    return t.len == strlen(word) && strncasecmp(t.at, word, t.len) == 0;
}

static bool
same(struct text t, const char *word)
{
    return t.len == strlen(word) && memcmp(t.at, word, t.len) == 0;
}

static struct text
trimmed(struct text t)
{
    while (t.len > 0 && (t.at[0] == ' ' || t.at[0] == '\t'))
        t = (struct text){t.at + 1, t.len - 1};
    while (t.len > 0 && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
        t.len--;
    return t;
}

static bool
is_path(struct text path, const struct rkp_head_rule *rule, size_t *at)
{
    for (*at = 0; rule->paths[*at]; ++*at)
        if (same(path, rule->paths[*at]))
            return true;
    return false;
}

/* "POST /rekey/v1/records HTTP/1.1" */
static int
request_line(struct text line, const struct rkp_head_rule *rule, struct rkp_head *h)
{
    const char *blank = memchr(line.at, ' ', line.len), *second;
    struct text method, path, version;

    if (!blank)
        return 400;
    method = (struct text){line.at, (size_t)(blank - line.at)};
    line.len -= method.len + 1;
    second = memchr(blank + 1, ' ', line.len);
    if (!second)
        return 400;
    path = (struct text){blank + 1, (size_t)(second - blank - 1)};
    version = (struct text){second + 1, line.len - path.len - 1};
    if (!same(version, "HTTP/1.1"))
        return version.len == 8 && memcmp(version.at, "HTTP/", 5) == 0 ? 505 : 400;
    if (!is_path(path, rule, &h->path))
        return 404;
    return same(method, "POST") ? 200 : 405;
}

static int
content_length(struct text value, struct rkp_head *h)
{
    h->body_len = 0;
    if (value.len == 0)
        return 400;
    if (value.len > LENGTH_DIGITS)
        return 413;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return 400;
        h->body_len = h->body_len * 10 + (size_t)(value.at[i] - '0');
    }
    return 200;
}

static int
session(struct text value, struct rkp_head *h)
{
    if (value.len != RKP_SESSION_LEN)
        return 400;
    for (size_t i = 0; i < value.len; i++)
        if (!memchr("0123456789abcdef", value.at[i], 16))
            return 400;
    memcpy(h->session, value.at, RKP_SESSION_LEN);
    h->session[RKP_SESSION_LEN] = '\0';
    return 200;
}

static int
once(bool *seen)
{
    bool twice = *seen;

    *seen = true;
    return twice ? 400 : 200;
}

static int
member(struct text name, struct text value, struct rkp_head *h, struct seen *seen)
{
    int code = 200;

    if (is(name, "Content-Length")) {
        code = once(&seen->length);
        return code == 200 ? content_length(value, h) : code;
    }
    if (seen->rule->session && is(name, seen->rule->session)) {
        code = once(&seen->session);
        return code == 200 ? session(value, h) : code;
    }
    if (is(name, "Content-Type")) {
        code = once(&seen->type);
        return code == 200 && !is(value, seen->rule->type) ? 415 : code;
    }
    if (is(name, "Transfer-Encoding"))
        return 411; /* a length is wanted before the first byte of a body */
    if (is(name, "Expect"))
        return 417;
    if (is(name, "Connection"))
        h->close = is(value, "close");
    return 200;
}

/* "Name: value" */
static int
header_line(struct text line, struct rkp_head *h, struct seen *seen)
{
    const char *colon = memchr(line.at, ':', line.len);
    struct text name;

    if (!colon || colon == line.at)
        return 400;
    name = (struct text){line.at, (size_t)(colon - line.at)};
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] <= ' ' || name.at[i] > '~')
            return 400;
    return member(name, trimmed((struct text){colon + 1, line.len - name.len - 1}), h, seen);
}

/* The lines of a whole head, len up to and with its empty line. */
static int
lines(const struct rkp_head_rule *rule, const char *text, size_t len, struct rkp_head *h)
{
    struct seen seen = {rule, false, false, false};
    int code = 200;
    bool first = true;

    while (len > 2 && code == 200) {
        const char *end = memmem(text, len, "\r\n", 2);
        struct text line = {text, (size_t)(end - text)};

        if (memchr(line.at, '\0', line.len) || memchr(line.at, '\n', line.len) || memchr(line.at, '\r', line.len))
            return 400;
        code = first ? request_line(line, rule, h) : header_line(line, h, &seen);
        first = false;
        text = end + 2;
        len -= line.len + 2;
    }
    if (code == 200 && !seen.length)
        code = 411;
    return code == 200 && !seen.type ? 415 : code;
}

int
rkp_head_read(const struct rkp_head_rule *rule, const char *text, size_t len, struct rkp_head *h)
{
    const char *end = memmem(text, len < RKP_HEAD_MAX ? len : RKP_HEAD_MAX, "\r\n\r\n", 4);

    *h = (struct rkp_head){.len = 0};
    if (!end)
        return len >= RKP_HEAD_MAX ? 431 : 0;
    h->len = (size_t)(end - text) + 4;
    return lines(rule, text, h->len, h);
}
