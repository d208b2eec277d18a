/* tlv.c - tagged values.  Pure; fuzzed by tests/fuzz/fuzz_msg.c. */
#include "tlv.h"

#include <string.h>

#define HEAD 6 /* u16 tag, u32 length */

void
rk_tlv_bytes(struct rk_tlv_w *w, uint16_t tag, const void *bytes, size_t n)
{
    uint32_t len = (uint32_t)n;

    if (w->full || n > UINT32_MAX || w->cap - w->len < HEAD || w->cap - w->len - HEAD < n) {
        w->full = true;
        return;
    }
    memcpy(w->buf + w->len, &tag, 2);
    memcpy(w->buf + w->len + 2, &len, 4);
    if (n)
        memcpy(w->buf + w->len + HEAD, bytes, n);
    w->len += HEAD + n;
}

void
rk_tlv_str(struct rk_tlv_w *w, uint16_t tag, const char *s)
{
    if (s)
        rk_tlv_bytes(w, tag, s, strlen(s));
}

void
rk_tlv_u32(struct rk_tlv_w *w, uint16_t tag, uint32_t v)
{
    rk_tlv_bytes(w, tag, &v, sizeof v);
}

void
rk_tlv_u64(struct rk_tlv_w *w, uint16_t tag, uint64_t v)
{
    rk_tlv_bytes(w, tag, &v, sizeof v);
}

size_t
rk_tlv_begin(struct rk_tlv_w *w, uint16_t tag)
{
    size_t mark = w->len;

    rk_tlv_bytes(w, tag, NULL, 0);
    return mark;
}

void
rk_tlv_end(struct rk_tlv_w *w, size_t mark)
{
    uint32_t len;

    if (w->full)
        return;
    len = (uint32_t)(w->len - mark - HEAD);
    memcpy(w->buf + mark + 2, &len, 4);
}

bool
rk_tlv_next(struct rk_tlv_r *r, struct rk_tlv *t)
{
    uint32_t len;

    if (r->bad || r->p == r->end)
        return false;
    if ((size_t)(r->end - r->p) < HEAD)
        goto bad;
    memcpy(&t->tag, r->p, 2);
    memcpy(&len, r->p + 2, 4);
    if ((size_t)(r->end - r->p) - HEAD < len)
        goto bad;
    t->bytes = r->p + HEAD;
    t->n = len;
    r->p += HEAD + len;
    return true;
bad:
    r->bad = true;
    return false;
}

bool
rk_tlv_get_u32(const struct rk_tlv *t, uint32_t *v)
{
    if (t->n != sizeof *v)
        return false;
    memcpy(v, t->bytes, sizeof *v);
    return true;
}

bool
rk_tlv_get_u64(const struct rk_tlv *t, uint64_t *v)
{
    if (t->n != sizeof *v)
        return false;
    memcpy(v, t->bytes, sizeof *v);
    return true;
}

bool
rk_tlv_get_str(const struct rk_tlv *t, char *dst, size_t size)
{
    if (t->n >= size || memchr(t->bytes, 0, t->n))
        return false;
    if (t->n)
        memcpy(dst, t->bytes, t->n);
    dst[t->n] = '\0';
    return true;
}
