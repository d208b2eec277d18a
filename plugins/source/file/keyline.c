/* keyline.c - splits lines.  Pure; texts never hold what was read. */
#include "keyline.h"

#include "../../common/keytext.h"

#include <stdbool.h>
#include <string.h>

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static size_t
word_at(const char *line, size_t len, size_t *at)
{
    size_t end;

    while (*at < len && is_blank(line[*at]))
        (*at)++;
    for (end = *at; end < len && !is_blank(line[end]); end++)
        ;
    return end - *at;
}

/* "ID:KEY" in one word: no key has ':' or ',' in it, so the last one parts them; an ID may have some. */
static size_t
part_at(const char *word, size_t len)
{
    for (size_t i = len; i > 0; i--)
        if (word[i - 1] == ':' || word[i - 1] == ',')
            return i - 1;
    return len;
}

const char *
keyline_split(const char *line, size_t len, struct keyline *out)
{
    size_t at = 0, first, second, end;

    memset(out, 0, sizeof *out);
    if (memchr(line, '\0', len))
        return "a NUL byte; a pool is a text, or a directory of files";
    first = word_at(line, len, &at);
    if (first == 0 || line[at] == '#')
        return NULL;
    out->id = line + at;
    out->id_len = part_at(out->id, first);
    end = at + first;
    second = word_at(line, len, &end);
    if (second > 0 && out->id_len + 1 < first)
        out->id_len = first; /* the sign was a part of the ID: the key is behind the blank */
    out->key = second ? line + end : out->id_len < first ? out->id + out->id_len + 1 : NULL;
    out->key_len = second ? second : out->id_len < first ? first - out->id_len - 1 : 0;
    if (!rkp_key_id_ok(out->id, out->id_len))
        return "not a key ID; it is 1 to 64 printable characters without '|' and '/'";
    if (out->key_len == 0)
        return "no key behind the key ID; write the key, or remove the line";
    end += second;
    return second && word_at(line, len, &end) > 0 ? "more than a key ID and a key; write one key in a line" : NULL;
}
