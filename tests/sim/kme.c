/* kme.c - simulated key sources: numbers for keys, bytes that may differ.
 *
 * One pair of sources per link.  The master's gives new numbers; the slave's gives each of them once.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t
mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(x ^ (x >> 31)) | 1;
}

static uint32_t
bytes_of(uint32_t key)
{
    return mix((uint64_t)key + 0x9e3779b97f4a7c15u);
}

/* As text: k7 of the source, f7 of the fallback source, o7 of an operator. */
void
key_id(uint32_t key, char id[RK_KEY_ID_MAX + 1])
{
    char digits[12];
    uint32_t n = key & ~(KEY_FALLBACK | KEY_OPERATOR);
    int i = 0, at = 0;

    if (key) {
        do
            digits[i++] = (char)('0' + n % 10);
        while ((n /= 10) > 0);
        id[at++] = key & KEY_FALLBACK ? 'f' : key & KEY_OPERATOR ? 'o' : 'k';
    }
    while (i > 0)
        id[at++] = digits[--i];
    id[at] = '\0';
}

uint32_t
key_number(const char *id)
{
    uint32_t n = 0;

    if (!id[0])
        return 0;
    for (const char *p = id + 1; *p >= '0' && *p <= '9'; p++)
        n = n * 10 + (uint32_t)(*p - '0');
    return n | (id[0] == 'f' ? KEY_FALLBACK : id[0] == 'o' ? KEY_OPERATOR : 0);
}

/* Stands for HMAC over link, key ID, seq and role, under a key derived from the bytes. */
void
key_tag(uint32_t bytes, uint32_t key, uint64_t seq, uint32_t role, char tag[RK_CONFIRM_HEX + 1])
{
    uint64_t x = ((uint64_t)bytes << 32 | key) ^ seq << 20 ^ (uint64_t)role << 60;

    for (int i = 0; i < RK_CONFIRM_HEX; i++) {
        if (i % 8 == 0)
            x = (uint64_t)mix(x + 0x9e3779b97f4a7c15u) << 32 | mix(x ^ 0x5555);
        tag[i] = "0123456789abcdef"[x >> (i % 8 * 4) & 15];
    }
    tag[RK_CONFIRM_HEX] = '\0';
}

int
kme_get_new(struct sim_end *s)
{
    struct sim_link *l = end_link(s);
    struct sim_kme *kme = &l->kme;
    uint32_t in_use = key_number(s->e.d.cur);

    if (!s->act.fallback && l->sim->now_ns < s->source_bad_ns)
        return rnd(l, 4) == 0 ? RK_E_UNREACHABLE : RK_E_EMPTY;
    s->fetched = ++kme->next | (s->act.fallback ? KEY_FALLBACK : 0);
    if (fault_armed(s, F_KME_LENGTH))
        return RK_E_KEY_SIZE; /* taken out of the pool, and never used */
    if (kme->twice_next && in_use)
        s->fetched = in_use;
    if (kme->diverge_next)
        kme->diverge = s->fetched;
    if (kme->gone_next)
        kme->lost = s->fetched;
    kme->twice_next = kme->diverge_next = kme->gone_next = false;
    s->fetched_bytes = bytes_of(s->fetched);
    return RK_OK;
}

static bool
is_taken(const struct sim_kme *kme, uint32_t key)
{
    for (uint32_t i = 0; i < G_COUNT && i < kme->n_taken; i++)
        if (kme->taken[i] == key)
            return true;
    return (key & ~KEY_FALLBACK) + G_COUNT / 2 < kme->next; /* a KME does not keep them for ever */
}

int
kme_get_by_id(struct sim_end *s)
{
    struct sim_link *l = end_link(s);
    struct sim_kme *kme = &l->kme;
    uint32_t key = s->act.key;

    if (!!(key & KEY_FALLBACK) != s->act.fallback)
        return RK_E_KEY_GONE; /* it is not this source's */
    if (!s->act.fallback && l->sim->now_ns < s->source_bad_ns)
        return RK_E_UNREACHABLE;
    if (key == kme->lost || is_taken(kme, key))
        return RK_E_KEY_GONE;
    kme->taken[kme->n_taken++ % G_COUNT] = key;
    s->fetched = key;
    s->fetched_bytes = bytes_of(key) + (key == kme->diverge ? 2 : 0);
    return fault_armed(s, F_KME_LENGTH) ? RK_E_KEY_SIZE : RK_OK;
}
