/* pool_json.c - a pool in JSON: {"keys":[{"key_ID":"...","key":"..."}]}, as a KME answers
 *
 * Reads token by token through a window, so that a long file needs no more memory than a short one.  Members that it
 * does not know are skipped.  src: ETSI GS QKD 014 V1.1.1, 6.3
 */
#include "pool_int.h"

#include "../../common/files.h"
#include "../../common/keyform.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX 16
#define END 0     /* of the file */
#define WORD 'w'  /* number, true, false, null */
#define TEXT '"'

/* What is wrong is in flaw, or the file could not be read. */
struct reader {
    struct pool_load *l;
    struct pool_window *w;
    uint32_t line;
    int err;
    const char *flaw;
    char text[POOL_LINE_MAX + 1]; /* the last TEXT, decoded */
    size_t text_len;
    uint64_t raw_at;              /* where it is in the file, without its quotes */
    uint32_t raw_len, raw_line;
};

/* The next byte, not taken; -1: none (END, or r->err). */
static int
peek(struct reader *r)
{
    int more = 1;

    if (r->w->at == r->w->len)
        more = pool_window_more(r->w);
    r->err = more < 0 ? more : r->err;
    return more > 0 ? (unsigned char)r->w->buf[r->w->at] : -1;
}

static int
next(struct reader *r)
{
    int c = peek(r);

    r->w->at += c >= 0;
    r->line += c == '\n';
    return c;
}

/* Say what is wrong; the first word counts. */
static int
wrong(struct reader *r, const char *flaw)
{
    r->flaw = r->flaw ? r->flaw : flaw;
    return -1;
}

/* The byte that c, behind a backslash, stands for; -1: one that no key ID and no key has. */
static int
unescape(struct reader *r, int c)
{
    unsigned value = 0;

    if (c == '/' || c == '"' || c == '\\')
        return c;
    if (c != 'u')
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = next(r);

        if (digit >= '0' && digit <= '9')
            value = value * 16 + (unsigned)(digit - '0');
        else if ((digit | 32) >= 'a' && (digit | 32) <= 'f')
            value = value * 16 + (unsigned)((digit | 32) - 'a' + 10);
        else
            return -1;
    }
    return value > ' ' && value < 0x7f ? (int)value : -1;
}

static int
read_text(struct reader *r)
{
    r->text_len = 0;
    r->raw_at = r->w->begin + r->w->at;
    r->raw_line = r->line;
    for (int c = next(r); c != '"'; c = next(r)) {
        if (c < 0 || c == '\n')
            return wrong(r, "a text without end; is the file whole");
        if (c == '\\' && (c = unescape(r, next(r))) < 0)
            c = '\0'; /* in a member that is skipped it is harmless; no key ID or key has it */
        if (r->text_len == POOL_LINE_MAX)
            return wrong(r, "a text longer than any key; a key has 4096 bytes at most");
        r->text[r->text_len++] = (char)c;
    }
    r->raw_len = (uint32_t)(r->w->begin + r->w->at - 1 - r->raw_at);
    r->text[r->text_len] = '\0';
    return TEXT;
}

/* The next token: one of {}[]:, or TEXT, WORD, END; -1: wrong. */
static int
token(struct reader *r)
{
    int c = next(r);

    while (c == ' ' || c == '\t' || c == '\r' || c == '\n')
        c = next(r);
    if (c < 0)
        return r->err ? wrong(r, "cannot be read") : END;
    if (c == '"')
        return read_text(r);
    if (strchr("{}[]:,", c))
        return c;
    if (!strchr("-0123456789truefalsn", c))
        return wrong(r, "not JSON; write {\"keys\":[{\"key_ID\":\"...\",\"key\":\"...\"}]}");
    while ((c = peek(r)) >= 0 && (strchr("+-.0123456789eEtruefalsn", c)) && c)
        next(r);
    return WORD;
}

/* The rest of a value whose first token is t. */
static int
skip(struct reader *r, int t)
{
    int depth = 0;

    for (;; t = token(r)) {
        if (t < 0 || t == END)
            return wrong(r, "ends in the middle; is the file whole");
        depth += t == '{' || t == '[' ? 1 : t == '}' || t == ']' ? -1 : 0;
        if (depth > DEPTH_MAX)
            return wrong(r, "nested too deeply; no key container is");
        if (depth <= 0)
            return depth < 0 ? wrong(r, "a bracket too many") : 0;
    }
}

static int
want(struct reader *r, int t, const char *flaw)
{
    return token(r) == t ? 0 : wrong(r, flaw);
}

/* One key, behind its '{'. */
struct entry {
    char id[RK_KEY_ID_MAX + 2];
    struct pool_key place;
    size_t n;
};

static int
take_id(struct reader *r, struct entry *e)
{
    if (token(r) != TEXT || e->id[0])
        return wrong(r, "key_ID: one text is wanted");
    if (r->text_len == 0 || r->text_len > RK_KEY_ID_MAX || memchr(r->text, '\0', r->text_len))
        return wrong(r, "not a key ID; it is 1 to 64 printable characters without '|' and '/'");
    memcpy(e->id, r->text, r->text_len + 1);
    return 0;
}

static int
take_key(struct reader *r, struct entry *e)
{
    const char *flaw;

    if (token(r) != TEXT || e->n)
        return wrong(r, "key: one text is wanted");
    flaw = rkp_key_decode(r->text, r->text_len, 0, r->l->key, &e->n);
    explicit_bzero(r->text, r->text_len);
    e->place = (struct pool_key){.at = r->raw_at, .len = r->raw_len, .line = r->raw_line};
    if (!flaw && r->raw_len > POOL_LINE_MAX)
        flaw = "a key written with too many escapes; write hex or base64";
    return flaw ? wrong(r, flaw) : 0;
}

static int
take_member(struct reader *r, struct entry *e)
{
    bool is_id = strcmp(r->text, "key_ID") == 0, is_key = strcmp(r->text, "key") == 0;

    if (want(r, ':', "a ':' is missing"))
        return -1;
    return is_id ? take_id(r, e) : is_key ? take_key(r, e) : skip(r, token(r));
}

static int
take_entry(struct reader *r)
{
    struct entry e = {.n = 0};
    int t;

    do {
        if (want(r, TEXT, "the name of a member is missing") || take_member(r, &e))
            return -1;
        t = token(r);
    } while (t == ',');
    if (t != '}')
        return wrong(r, "a '}' is missing");
    if (!e.id[0] || !e.n)
        return wrong(r, "a key needs \"key_ID\" and \"key\"");
    r->err = pool_add(r->l, e.place, e.id, e.n);
    return r->err ? -1 : 0;
}

static int
take_entries(struct reader *r)
{
    struct pool *p = r->l->pool;
    int t;

    if (want(r, '[', "keys: a list is wanted"))
        return -1;
    t = token(r);
    for (; t == '{'; t = token(r)) {
        if (p->n % POOL_LOOK_UP == POOL_LOOK_UP - 1 && (r->err = rkp_pause(p->host, r->l->call, -1, 0))) {
            p->host->fail(r->l->call, r->err, "pool: %s: loading was given up at line %u", p->path, r->line);
            return -1;
        }
        if (take_entry(r))
            return -1;
        t = token(r);
        if (t != ',')
            break;
    }
    return t == ']' ? 0 : wrong(r, "a ']' is missing");
}

/* One container, behind its '{'. */
static int
take_container(struct reader *r)
{
    bool seen = false;
    int t;

    do {
        bool keys;

        if (want(r, TEXT, "the name of a member is missing"))
            return -1;
        keys = strcmp(r->text, "keys") == 0;
        if (want(r, ':', "a ':' is missing") || (keys ? take_entries(r) : skip(r, token(r))))
            return -1;
        seen = seen || keys;
        t = token(r);
    } while (t == ',');
    if (t != '}')
        return wrong(r, "a '}' is missing");
    return seen ? 0 : wrong(r, "no \"keys\" in it: this is no key container");
}

int
pool_load_json(struct pool_load *l, struct pool_window *w)
{
    struct reader r = {.l = l, .w = w, .line = 1};
    struct pool *p = l->pool;
    int t;

    while ((t = token(&r)) == '{')
        if (take_container(&r))
            break;
    if (!r.flaw && !r.err && t != END)
        wrong(&r, "something is between the containers; remove it");
    explicit_bzero(r.text, sizeof r.text);
    if (r.err && !r.flaw)
        return r.err; /* stated by who found it */
    if (r.err)
        return p->host->fail(l->call, RK_E_IO, "pool: %s: cannot be read", p->path);
    return r.flaw ? p->host->fail(l->call, RK_E_CONFIG, "pool: %s:%u: %s", p->path, r.line, r.flaw) : RK_OK;
}

int
pool_read_json(int fd, const struct pool_key *k, unsigned char *bytes, size_t *n)
{
    char raw[POOL_LINE_MAX + 3];
    struct pool_window w = {.buf = raw, .fd = -1};
    struct reader r = {.w = &w, .line = 1};
    int err = RK_E_AGAIN;

    /* with both quotes, which must be where they were */
    if (k->len <= POOL_LINE_MAX && pread(fd, raw, k->len + 2, (off_t)k->at - 1) == (ssize_t)k->len + 2) {
        w.len = k->len + 2;
        if (next(&r) == '"' && read_text(&r) == TEXT && w.at == w.len &&
            !rkp_key_decode(r.text, r.text_len, 0, bytes, n))
            err = RK_OK;
    }
    explicit_bzero(raw, sizeof raw);
    explicit_bzero(&r, sizeof r);
    return err;
}
