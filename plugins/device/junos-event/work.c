/* work.c - a piece of work as JSON.  It is written twice: to be counted, and then into memory that is locked, left out
 * of core files and wiped, for an edit has keys in it.  Pure but for that. */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ASKED_FOR_MS 600000 /* questions that were not asked for so long are left out of a look */

/* ---- text ---- */

static int
make_room(struct je_text *t)
{
    size_t room = t->len + 1;

    *t = (struct je_text){.bytes = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
    if (t->bytes == MAP_FAILED) {
        t->bytes = NULL;
        return RK_E_NOMEM;
    }
    t->room = room;
    (void)mlock(t->bytes, room); /* within what the process may; nothing is swapped where it may not */
    (void)madvise(t->bytes, room, MADV_DONTDUMP);
    return RK_OK;
}

void
je_text_free(struct je_text *t)
{
    if (t->bytes) {
        explicit_bzero(t->bytes, t->room);
        (void)munmap(t->bytes, t->room);
    }
    *t = (struct je_text){.bytes = NULL};
}

static void
put_bytes(struct je_text *t, const char *bytes, size_t len)
{
    if (t->room && t->room - t->len >= len)
        memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
}

static void
put(struct je_text *t, const char *text)
{
    put_bytes(t, text, strlen(text));
}

/* As the content of a JSON string. */
static void
put_quoted(struct je_text *t, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)text[i];
        char code[8] = {'\\', (char)ch};

        if (ch == '"' || ch == '\\')
            put_bytes(t, code, 2);
        else if (ch < ' ')
            put_bytes(t, code, (size_t)snprintf(code, sizeof code, "\\u%04x", ch));
        else
            put_bytes(t, text + i, 1);
    }
}

static void
put_string(struct je_text *t, const char *text)
{
    put(t, "\"");
    put_quoted(t, text, strlen(text));
    put(t, "\"");
}

/* ---- load ---- */

struct secret_into {
    struct je_text *t;
    enum nc_part_kind kind;
};

static void
put_hex(struct je_text *t, const unsigned char *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        const char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};

        put_bytes(t, pair, sizeof pair);
    }
}

/* Text within XML within JSON. */
static int
put_secret(const unsigned char *bytes, size_t len, void *arg)
{
    const struct secret_into *into = arg;

    if (into->kind == NC_SECRET_HEX) {
        put_hex(into->t, bytes, len);
        return RK_OK;
    }
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < ' ' || bytes[i] > '~')
            return RK_E_CONTRACT;
        if (bytes[i] == '<' || bytes[i] == '>')
            put(into->t, bytes[i] == '<' ? "&lt;" : "&gt;");
        else if (bytes[i] == '&')
            put(into->t, "&amp;");
        else
            put_quoted(into->t, (const char *)bytes + i, 1);
    }
    return RK_OK;
}

static bool
ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);

    return len >= n && strcmp(text + len - n, end) == 0;
}

#define LOAD_END "</load-configuration>"

/* The value of an attribute of the first tag. */
static bool
attribute(const char *text, const char *name, char *out, size_t size)
{
    const char *end = strchr(text, '>'), *at = strstr(text, name);
    size_t len;

    if (!end || !at || at > end)
        return false;
    at += strlen(name);
    len = strcspn(at, "\"");
    if (len >= size)
        return false;
    memcpy(out, at, len);
    out[len] = '\0';
    return true;
}

static int
put_parts(const struct rk_host *host, const struct nc_request *q, const char *first, struct je_text *t)
{
    int err = RK_OK;

    for (size_t i = 0; i < q->n && !err; i++) {
        const struct nc_part *p = &q->parts[i];
        const struct secret_into into = {t, p->kind};
        const char *text = i ? p->text : first;
        size_t end = i + 1 == q->n ? strlen(LOAD_END) : 0;

        if (p->kind != NC_TEXT)
            err = host->secret_use(p->secret, put_secret, (void *)&into);
        else
            put_quoted(t, text, strlen(text) - end);
    }
    return err;
}

static int
put_load(const struct rk_host *host, const struct nc_request *q, struct je_text *t)
{
    const struct nc_part *first = &q->parts[0], *last = &q->parts[q->n - 1];
    char action[16], format[16];
    int err;

    if (first->kind != NC_TEXT || last->kind != NC_TEXT || strncmp(first->text, "<load-configuration ", 20) != 0 ||
        !ends_with(last->text, LOAD_END) || !attribute(first->text, " action=\"", action, sizeof action) ||
        !attribute(first->text, " format=\"", format, sizeof format))
        return RK_E_CONTRACT;
    put(t, "{\"action\":");
    put_string(t, action);
    put(t, ",\"format\":");
    put_string(t, format);
    put(t, ",\"config\":\"");
    err = put_parts(host, q, strchr(first->text, '>') + 1, t);
    put(t, "\"}");
    return err;
}

int
je_load_make(const struct rk_host *host, const struct nc_request *request, struct je_text *out)
{
    int err;

    *out = (struct je_text){.bytes = NULL};
    if (request->n == 0)
        return RK_E_CONTRACT;
    err = put_load(host, request, out);
    if (!err)
        err = make_room(out);
    if (!err)
        err = put_load(host, request, out);
    if (err)
        je_text_free(out);
    return err;
}

/* ---- answers ---- */

static void
put_member(struct je_text *t, const char *name, const char *value)
{
    put(t, ",\"");
    put(t, name);
    put(t, "\":");
    put_string(t, value);
}

static void
put_number(struct je_text *t, const char *name, int64_t value)
{
    char text[64];

    snprintf(text, sizeof text, ",\"%s\":%lld", name, (long long)value);
    put(t, text);
}

/* What is asked of this router as a rule, so that one look brings all of it. */
static void
put_facts(struct je_text *t, const struct je_router *r, const struct je_work *w, int64_t now_ms)
{
    const char *between = "";

    put(t, ",\"facts\":[");
    if (w->need) {
        put_string(t, w->need);
        between = ",";
    }
    for (size_t i = 0; i < JE_ASKED_MAX; i++) {
        const struct je_asked *a = &r->asked[i];

        if (!a->rpc || now_ms - a->used_ms > ASKED_FOR_MS || (w->need && strcmp(a->rpc, w->need) == 0))
            continue;
        put(t, between);
        put_string(t, a->rpc);
        between = ",";
    }
    put(t, "]");
}

static void
put_answer(struct je_text *t, const struct je_router *r, const struct je_work *w, int64_t now_ms)
{
    put(t, "{\"v\":1,\"work\":{\"kind\":");
    put_string(t, w->edit ? "edit" : "look");
    put_member(t, "id", w->id);
    if (w->edit) {
        put_member(t, "mode", w->exclusive ? "exclusive" : "private");
        put(t, ",\"load\":[");
        put_bytes(t, w->load.bytes ? w->load.bytes : "", w->load.len);
        put(t, "]");
        put(t, w->check_only ? ",\"check_only\":true" : ",\"check_only\":false");
        put_member(t, "log", w->log);
    }
    put_number(t, "budget_ms", w->deadline_ms > now_ms ? w->deadline_ms - now_ms : 1);
    put_facts(t, r, w, now_ms);
    put(t, "}}");
}

int
je_work_answer(const struct je_router *r, const struct je_work *w, int64_t now_ms, struct je_text *out)
{
    int err;

    *out = (struct je_text){.bytes = NULL};
    put_answer(out, r, w, now_ms);
    err = make_room(out);
    if (!err)
        put_answer(out, r, w, now_ms);
    return err;
}

void
je_work_free(struct je_work **work)
{
    struct je_work *w = *work;

    *work = NULL;
    if (!w)
        return;
    je_text_free(&w->load);
    je_body_free(&w->report);
    free(w);
}
