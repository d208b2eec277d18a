/* tlv.h - tagged values in a bounded buffer
 *
 * u16 tag, u32 length, bytes; host byte order (both ends are on one machine, from one build).  A
 * value may hold more of them.  Pure; safe on any input.
 */
#ifndef RK_TLV_H
#define RK_TLV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writer: appends to buf[cap]; once something did not fit, `full` stays set and nothing more is written. */
struct rk_tlv_w {
    unsigned char *buf;
    size_t cap, len;
    bool full;
};

void rk_tlv_bytes(struct rk_tlv_w *w, uint16_t tag, const void *bytes, size_t n);
void rk_tlv_str(struct rk_tlv_w *w, uint16_t tag, const char *s); /* without NUL; NULL writes nothing */
void rk_tlv_u32(struct rk_tlv_w *w, uint16_t tag, uint32_t v);
void rk_tlv_u64(struct rk_tlv_w *w, uint16_t tag, uint64_t v);
size_t rk_tlv_begin(struct rk_tlv_w *w, uint16_t tag); /* open a nested value; ret: mark for rk_tlv_end */
void rk_tlv_end(struct rk_tlv_w *w, size_t mark);

/* Reader: walks p..end; `bad` is set by a length that runs over the end. */
struct rk_tlv_r {
    const unsigned char *p, *end;
    bool bad;
};

struct rk_tlv {
    uint16_t tag;
    const unsigned char *bytes;
    size_t n;
};

/* rk_tlv_next - the next value; false at the end or when bad */
bool rk_tlv_next(struct rk_tlv_r *r, struct rk_tlv *t);

/* Values of one: false when the size is wrong, or a text is too long or holds a NUL. */
bool rk_tlv_get_u32(const struct rk_tlv *t, uint32_t *v);
bool rk_tlv_get_u64(const struct rk_tlv *t, uint64_t *v);
bool rk_tlv_get_str(const struct rk_tlv *t, char *dst, size_t size);

#endif
