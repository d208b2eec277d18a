/* frame.c - both framings of RFC 6242.  Pure; a lying peer costs at most f->max bytes and twice that while growing. */
#include "frame.h"

#include <rekey/err.h>

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 4096 /* most replies are short */
#define NEXT_ROOM 32768 /* and others are not: each larger piece is a copy, and one more to be wiped */
#define DELIMITER_LEN (sizeof NC_DELIMITER - 1)

static int
wrong(struct nc_frame *f, const char *why)
{
    f->why = why;
    return RK_E_PROTOCOL;
}

void
nc_wipe_free(char *text, size_t len)
{
    if (!text)
        return;
    explicit_bzero(text, len);
    free(text);
}

void
nc_frame_end(struct nc_frame *f)
{
    nc_wipe_free(f->buf, f->len);
    f->buf = NULL;
    f->len = f->room = 0;
    f->at = NC_AT_START;
    f->newline = f->begun = false;
}

char *
nc_frame_take(struct nc_frame *f, size_t *len)
{
    char *text = f->buf ? f->buf : calloc(1, 1);

    *len = f->len;
    if (text)
        text[f->len] = '\0';
    f->buf = NULL;
    f->len = f->room = 0;
    return text;
}

/* Room for more bytes and a NUL; no realloc, which would leave a copy behind. */
static int
grow(struct nc_frame *f, size_t more)
{
    size_t room = f->room ? f->room : FIRST_ROOM;
    char *buf;

    if (f->len + more < f->room)
        return 0;
    while (room <= f->len + more)
        room = room < NEXT_ROOM ? NEXT_ROOM : room * 2;
    buf = malloc(room);
    if (!buf)
        return RK_E_NOMEM;
    if (f->buf)
        memcpy(buf, f->buf, f->len);
    nc_wipe_free(f->buf, f->len);
    f->buf = buf;
    f->room = room;
    return 0;
}

static int
append(struct nc_frame *f, const char *bytes, size_t n)
{
    int err = grow(f, n);

    if (err)
        return err;
    memcpy(f->buf + f->len, bytes, n);
    f->len += n;
    return 0;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* XML has few brackets, and memchr() is faster than memmem(). */
static char *
find_delimiter(char *text, size_t len)
{
    char *end = text + len;

    for (char *p = text; (size_t)(end - p) >= DELIMITER_LEN; p++) {
        p = memchr(p, NC_DELIMITER[0], (size_t)(end - p) - (DELIMITER_LEN - 1));
        if (!p)
            return NULL;
        if (memcmp(p, NC_DELIMITER, DELIMITER_LEN) == 0)
            return p;
    }
    return NULL;
}

/* base:1.0: all up to the delimiter.  Blanks before a message are none of it. */
static int
feed_delimited(struct nc_frame *f, const char *bytes, size_t n, size_t *used)
{
    size_t blanks = 0, from, old;
    char *end;
    int err;

    while (f->len == 0 && blanks < n && is_blank(bytes[blanks]))
        blanks++;
    *used = blanks;
    bytes += blanks;
    n -= blanks;
    if (n == 0)
        return 0;
    old = f->len;
    if (n > f->max + DELIMITER_LEN - old)
        n = f->max + DELIMITER_LEN - old;
    err = append(f, bytes, n);
    if (err)
        return err;
    *used += n;
    from = old < DELIMITER_LEN ? 0 : old - (DELIMITER_LEN - 1);
    end = find_delimiter(f->buf + from, f->len - from);
    if (!end)
        return f->len >= f->max + DELIMITER_LEN ? wrong(f, "a message is longer than allowed") : 0;
    *used -= f->len - ((size_t)(end - f->buf) + DELIMITER_LEN);
    explicit_bzero(end, f->len - (size_t)(end - f->buf));
    f->len = (size_t)(end - f->buf);
    return 1;
}

/* Before the first chunk: Junos ends its delimiters with a newline, so that blanks are let pass here. */
static int
at_start(struct nc_frame *f, char c)
{
    if (c == '#' && f->newline) {
        f->at = NC_AT_SIZE1;
        f->begun = false;
    } else if (is_blank(c)) {
        f->newline = c == '\n';
    } else {
        return wrong(f, "a chunk does not begin with a newline and '#'");
    }
    return 0;
}

static int
at_size1(struct nc_frame *f, char c)
{
    if (c >= '1' && c <= '9') {
        f->left = (uint64_t)(c - '0');
        f->at = NC_AT_SIZE;
    } else if (c == '#' && f->begun) {
        f->at = NC_AT_END;
    } else {
        return wrong(f, c == '#' ? "a message has no chunk" : "a chunk's size is no number");
    }
    return 0;
}

static int
at_size(struct nc_frame *f, char c)
{
    if (c >= '0' && c <= '9') {
        f->left = f->left * 10 + (uint64_t)(c - '0');
        return f->left > NC_CHUNK_MAX ? wrong(f, "a chunk is larger than the protocol allows") : 0;
    }
    if (c != '\n')
        return wrong(f, "a chunk's size is no number");
    if (f->left > f->max - f->len)
        return wrong(f, "a message is longer than allowed");
    f->begun = true;
    f->at = NC_AT_DATA;
    return 0;
}

/* ret: 1 the message is whole */
static int
control_byte(struct nc_frame *f, char c)
{
    switch (f->at) {
    case NC_AT_START:
        return at_start(f, c);
    case NC_AT_SIZE1:
        return at_size1(f, c);
    case NC_AT_SIZE:
        return at_size(f, c);
    case NC_AT_AFTER:
        f->at = NC_AT_HASH;
        return c == '\n' ? 0 : wrong(f, "a chunk is longer than it said");
    case NC_AT_HASH:
        f->at = NC_AT_SIZE1;
        return c == '#' ? 0 : wrong(f, "a chunk is longer than it said");
    default:
        f->at = NC_AT_START;
        f->newline = false;
        return c == '\n' ? 1 : wrong(f, "the end of chunks is not one");
    }
}

static int
chunk_data(struct nc_frame *f, const char *bytes, size_t n, size_t *used)
{
    int err;

    if (n > f->left)
        n = (size_t)f->left;
    err = append(f, bytes, n);
    *used += n;
    f->left -= n;
    if (f->left == 0)
        f->at = NC_AT_AFTER;
    return err;
}

static int
feed_chunked(struct nc_frame *f, const char *bytes, size_t n, size_t *used)
{
    int err = 0;

    *used = 0;
    while (*used < n && err == 0) {
        if (f->at == NC_AT_DATA)
            err = chunk_data(f, bytes + *used, n - *used, used);
        else
            err = control_byte(f, bytes[(*used)++]);
    }
    return err;
}

int
nc_frame_feed(struct nc_frame *f, const char *bytes, size_t n, size_t *used)
{
    return f->chunked ? feed_chunked(f, bytes, n, used) : feed_delimited(f, bytes, n, used);
}
