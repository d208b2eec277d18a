/* skew.c - the times in a record, and what they tell.  Pure. */
#include "skew.h"

#include <stdio.h>
#include <string.h>

#define FRESH_MS 60000 /* later the clocks of two hosts have drifted apart by more than a path delays */
#define DIGITS_MAX 9 /* of a number: the clock has 8 until 2059 */

/* ---- as text ---- */

static char *
put_number(char *at, int64_t v)
{
    char digits[16];
    int n = 0;

    do
        digits[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[v % 36];
    while ((v /= 36) > 0);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

static bool
is_said(int64_t ago_ms)
{
    return ago_ms >= 0 && ago_ms <= RK_AGO_MAX_MS;
}

static void
put(char *at, const struct rk_times *t, bool staged, bool switched)
{
    at = put_number(at, t->clock_ms);
    if (staged || switched)
        *at++ = '.';
    if (staged)
        at = put_number(at, t->staged_ms);
    if (switched) {
        *at++ = '.';
        at = put_number(at, t->switched_ms);
    }
    *at = '\0';
}

void
rk_times_add(char *facts, const struct rk_times *t)
{
    bool staged = is_said(t->staged_ms), switched = is_said(t->switched_ms);
    const struct {
        bool staged, switched;
    } ways[] = {{staged, switched}, {false, switched}, {false, false}};
    size_t len = strlen(facts);
    char text[3 * DIGITS_MAX + 3];

    if (t->clock_ms < 0 || (t->clock_ms == 0 && !staged && !switched))
        return;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        put(text, t, ways[i].staged, ways[i].switched);
        if (len + (len > 0) + strlen("t=") + strlen(text) <= RK_FACTS_MAX) {
            strcpy(stpcpy(facts + len, len ? ",t=" : "t="), text);
            return;
        }
    }
}

/* Of base 36; -1: it is none. */
static int
digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : -1;
}

/* A number at *at, which moves behind it; -1: there is none.  By hand: each end of each step reads some. */
static int64_t
get_number(const char **at)
{
    const char *end = *at;
    int64_t number = 0;
    int digit;

    while ((digit = digit_of(*end)) >= 0) {
        if (end++ - *at == DIGITS_MAX)
            return -1;
        number = number * 36 + digit;
    }
    if (end == *at)
        return -1;
    *at = end;
    return number;
}

static bool
get(const char *at, struct rk_times *t)
{
    t->clock_ms = get_number(&at);
    if (t->clock_ms < 0)
        return false;
    if (*at == '.') {
        at++;
        t->staged_ms = get_number(&at);
    }
    if (*at == '.') {
        at++;
        t->switched_ms = get_number(&at);
    }
    return *at == '\0' && t->staged_ms <= RK_AGO_MAX_MS && t->switched_ms <= RK_AGO_MAX_MS;
}

void
rk_times_take(char *facts, struct rk_times *t)
{
    char *comma = strrchr(facts, ','), *last = comma ? comma + 1 : facts;

    *t = (struct rk_times){0, -1, -1};
    if (strncmp(last, "t=", 2) != 0)
        return;
    if (!get(last + 2, t))
        *t = (struct rk_times){0, -1, -1};
    *(comma ? comma : facts) = '\0';
}

/* ---- steps ---- */

/* ret: does it count */
static bool
of_rotation(struct rk_steps *s, uint64_t seq)
{
    if (seq > s->seq)
        *s = (struct rk_steps){.seq = seq};
    return seq == s->seq;
}

void
rk_steps_own(struct rk_steps *s, uint64_t seq, bool switched, int64_t now_ns)
{
    if (of_rotation(s, seq))
        *(switched ? &s->switched_ns : &s->staged_ns) = now_ns;
}

static void
earliest(int64_t *at_ns, int64_t ago_ms, int64_t now_ns)
{
    int64_t then_ns = now_ns - ago_ms * RK_NS_PER_MS;

    if (ago_ms >= 0 && then_ns > 0 && (*at_ns == 0 || (then_ns < *at_ns && ago_ms <= FRESH_MS)))
        *at_ns = then_ns;
}

void
rk_steps_peer(struct rk_steps *s, uint64_t seq, const struct rk_times *times, int64_t now_ns)
{
    if ((times->staged_ms < 0 && times->switched_ms < 0) || !of_rotation(s, seq))
        return;
    earliest(&s->peer_staged_ns, times->staged_ms, now_ns);
    earliest(&s->peer_switched_ns, times->switched_ms, now_ns);
}

bool
rk_steps_skew(const struct rk_steps *s, struct rk_skew *skew)
{
    int64_t both_ns = s->staged_ns > s->peer_staged_ns ? s->staged_ns : s->peer_staged_ns;
    int64_t first_ns = s->switched_ns < s->peer_switched_ns ? s->switched_ns : s->peer_switched_ns;

    if (!s->staged_ns || !s->switched_ns || !s->peer_staged_ns || !s->peer_switched_ns)
        return false;
    *skew = (struct rk_skew){.seq = s->seq,
                             .staged_ns = s->peer_staged_ns - s->staged_ns,
                             .switched_ns = s->peer_switched_ns - s->switched_ns,
                             .margin_ns = first_ns - both_ns};
    return true;
}
