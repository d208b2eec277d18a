/* error.c - the message in a server's error.
 *
 * Pure; runs on the host's worker threads.  The message goes into logs: nothing that may be a key is left in it.
 */
#include "error.h"

#include "jtext.h"

#include <string.h>

#define KEY_LIKE 22 /* as long as 128 bits in base64 */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool
error_is_html(const char *body, size_t len)
{
    size_t i = 0;

    while (i < len && is_blank(body[i]))
        i++;
    return i < len && body[i] == '<';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* A character of base64, of its URL alphabet, or of hex. */
static bool
is_key_char(char c)
{
    return is_digit(c) || is_letter(c) || c == '+' || c == '/' || c == '=' || c == '_' || c == '-';
}

/* 8-4-4-4-12: the shape of a key ID, which is no secret. */
static bool
is_uuid(const char *run, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((i == 8 || i == 13 || i == 18 || i == 23) ? run[i] != '-' : !is_digit(run[i]) && !is_letter(run[i]))
            return false;
    return len == 36;
}

/* The standard's own names that are as long as a key. */
static bool
is_name(const char *run, size_t len)
{
    static const char *const names[] = {"additional_slave_SAE_IDs", "key_container_extension"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == len && memcmp(names[i], run, len) == 0)
            return true;
    return false;
}

static size_t
run_of(const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && is_key_char(text[n]))
        n++;
    return n;
}

static void
copy_shown(const char *text, size_t len, char *message, size_t size)
{
    size_t out = 0;

    for (size_t i = 0; i < len && out < size - 1;) {
        size_t run = run_of(text + i, len - i), n = run ? run : 1;
        bool hide = run >= KEY_LIKE && !is_uuid(text + i, run) && !is_name(text + i, run);
        const char *from = hide ? "***" : text + i;

        i += n;
        for (size_t k = 0, shown = hide ? 3 : n; k < shown && out < size - 1; k++)
            message[out++] = from[k] >= ' ' && from[k] <= '~' ? (char)(from[k] == '"' ? '\'' : from[k]) : '?';
    }
    message[out] = '\0';
}

struct said {
    char *message;
    size_t size;
};

static bool
read_member(struct jtext_reader *r, struct jtext name, void *arg)
{
    bool standard = jtext_is(name, "message");
    struct said *s = arg;
    struct jtext t;

    if (!standard && !jtext_is(name, "error") && !jtext_is(name, "detail"))
        return jtext_skip(r, name, NULL);
    if (jtext_peek(r) != '"')
        return jtext_skip(r, name, NULL);
    if (!jtext_string(r, &t))
        return false;
    if (standard || !s->message[0])
        copy_shown(t.at, t.len, s->message, s->size);
    return true;
}

/* Neither JSON nor HTML: one line of text, as small servers answer.  What begins as JSON is none: it may hold keys. */
static enum error_kind
read_text(const char *body, size_t len, struct said *s)
{
    size_t from = 0, to;

    while (from < len && is_blank(body[from]))
        from++;
    for (to = from; to < len && body[to] != '\r' && body[to] != '\n';)
        to++;
    if (from == len)
        return ERROR_NOTHING;
    if (body[from] != '{' && body[from] != '[')
        copy_shown(body + from, to - from, s->message, s->size);
    return ERROR_OTHER;
}

enum error_kind
error_read(char *body, size_t len, char *message, size_t size)
{
    struct jtext_reader r = {.at = body, .end = body + len};
    struct said s = {message, size};

    message[0] = '\0';
    if (error_is_html(body, len))
        return ERROR_HTML;
    if (jtext_document(&r, read_member, &s) == 0)
        return ERROR_JSON;
    message[0] = '\0';
    return read_text(body, len, &s);
}
