/* brief.c - looks at MKA that ask for the summary, a third of the whole, where the whole would tell nothing new.
 *
 * A summary names every participant with its whole CKN and whether it is live; the state of the interface and SAKs are
 * in the whole only.  They change when another participant becomes live, or the one that secures the interface is live
 * no more.  So while that one is live, by its member identifier, and nobody new is, what the last whole look showed of
 * SAKs stands, for a few seconds, and where all was well.  A key that becomes live is seen by a summary, and its SAK by
 * a whole look in the same call: no key is ever confirmed by what is kept.  Where CKNs are cut, or a summary tells less
 * than that, looks are whole.  Pure. */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

#define WHOLE_MS 9000  /* a whole look is taken so often: less than the usual interval, more than those of a rotation */
#define RECENT_MS 50   /* as long as a reply may be under way */
#define AWAITS_MS 1500 /* from then on a new key may be live, as hellos are 2 s apart: a summary would be in vain */

void
jn_brief_forget(struct jn_device *d)
{
    bool useless = d->shown.useless;

    free(d->shown.row);
    free(d->shown.last);
    free(d->shown.iface);
    d->shown = (struct jn_shown){.useless = useless};
}

/* ---- who is live ---- */

static bool
is_live(const struct jn_mka *m)
{
    return m->status == JN_CAK_LIVE || m->status == JN_CAK_ACTIVE;
}

static int
by_name(const void *a, const void *b)
{
    const struct jn_mka *x = a, *y = b;
    int order = strcmp(x->iface, y->iface);

    if (!order)
        order = strcmp(x->ckn, y->ckn);
    return order ? order : strcmp(x->member, y->member);
}

/* ret: those that are live, in order, malloced; NULL: none, or no memory */
static struct jn_mka *
live_ones(const struct jn_mka *rows, size_t n, size_t *n_live)
{
    struct jn_mka *live;

    *n_live = 0;
    for (size_t i = 0; i < n; i++)
        *n_live += is_live(&rows[i]);
    live = *n_live ? calloc(*n_live, sizeof *live) : NULL;
    *n_live = 0;
    for (size_t i = 0; live && i < n; i++)
        if (is_live(&rows[i]))
            live[(*n_live)++] = rows[i];
    if (live)
        qsort(live, *n_live, sizeof *live, by_name);
    return live;
}

/* Those of one interface: *first is where it begins, or would.   ret: how many */
static size_t
of_iface(const struct jn_mka *rows, size_t n, const char *iface, size_t *first)
{
    size_t low = 0, high = n, end;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(rows[mid].iface, iface) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (end = low; end < n && strcmp(rows[end].iface, iface) == 0; end++)
        ;
    *first = low;
    return end - low;
}

/* ---- may it be brief? ---- */

/* The one by which the interface is secured, when all was well: the only primary one, with a SAK, and nothing else is
 * about to take its place.   NULL: there is none */
static const struct jn_mka *
sender_of(const struct jn_mka *rows, size_t n)
{
    const struct jn_mka *sender = NULL;

    for (size_t i = 0; i < n; i++) {
        if (rows[i].state != JN_MKA_PRIMARY || !rows[i].member[0])
            return NULL;
        if (rows[i].type != JN_CAK_PRIMARY)
            continue;
        if (sender || !rows[i].has_sak)
            return NULL;
        sender = &rows[i];
    }
    return sender;
}

bool
jn_brief_may(const struct jn_device *d, const struct jn_only *only, int64_t now_ms)
{
    const struct jn_shown *s = &d->shown;

    if (!s->row || s->useless || only->all || only->n == 0 || now_ms - s->whole_ms >= WHOLE_MS ||
        (s->awaits_ms && now_ms - s->awaits_ms >= AWAITS_MS))
        return false;
    for (size_t i = 0; i < only->n; i++) {
        size_t first, n = of_iface(s->row, s->n, only->name[i], &first);

        if (!sender_of(s->row + first, n))
            return false;
    }
    return true;
}

/* ---- a summary ---- */

static enum jn_mka_state
secured_by(enum jn_cak_type type)
{
    return type == JN_CAK_PRIMARY     ? JN_MKA_PRIMARY
           : type == JN_CAK_PRECEDING ? JN_MKA_PRECEDING
           : type == JN_CAK_FALLBACK  ? JN_MKA_FALLBACK
                                      : JN_MKA_UNKNOWN;
}

/* The state of an interface of which these are live now, and those were: the sender is one of them, and no other has
 * come or has another part to play.  A commit makes another one of the sender: it secures the interface still.
 * ret: JN_MKA_UNKNOWN: only a whole look tells */
static enum jn_mka_state
state_now(const struct jn_mka *now, size_t n_now, const struct jn_mka *was, size_t n_was)
{
    const struct jn_mka *sender = sender_of(was, n_was);
    enum jn_mka_state state = JN_MKA_UNKNOWN;

    for (size_t i = 0; sender && i < n_now; i++) {
        const struct jn_mka *m = is_live(&now[i]) ? bsearch(&now[i], was, n_was, sizeof *was, by_name) : NULL;

        if (m && m == sender)
            state = secured_by(now[i].type);
        else if (is_live(&now[i]) && (!m || m->type != now[i].type))
            return JN_MKA_UNKNOWN;
    }
    return state;
}

/* Does what was shown stand for rows[n], in order?   ret: false: not for all of these interfaces */
static bool
stands(const struct jn_shown *s, const struct jn_only *only, const struct jn_mka *rows, size_t n)
{
    for (size_t i = 0; i < only->n; i++) {
        size_t was, now, n_was = of_iface(s->row, s->n, only->name[i], &was),
                         n_now = of_iface(rows, n, only->name[i], &now);

        if (state_now(rows + now, n_now, s->row + was, n_was) == JN_MKA_UNKNOWN)
            return false;
    }
    return true;
}

static void
fill(const struct jn_mka *was, size_t n_was, struct jn_mka *now, size_t n_now)
{
    enum jn_mka_state state = state_now(now, n_now, was, n_was);

    for (size_t i = 0; i < n_now; i++) {
        const struct jn_mka *m = is_live(&now[i]) ? bsearch(&now[i], was, n_was, sizeof *was, by_name) : NULL;

        now[i].state = state;
        if (m) {
            memcpy(now[i].sak, m->sak, sizeof now[i].sak);
            now[i].has_sak = m->has_sak;
        }
    }
}

bool
jn_brief_fill(const struct jn_device *d, const struct jn_only *only, struct jn_mka *rows, size_t n)
{
    const struct jn_shown *s = &d->shown;

    if (n == 0)
        return false;
    qsort(rows, n, sizeof *rows, by_name);
    if (!stands(s, only, rows, n))
        return false;
    for (size_t i = 0; i < only->n; i++) {
        size_t was, now, n_was = of_iface(s->row, s->n, only->name[i], &was),
                         n_now = of_iface(rows, n, only->name[i], &now);

        fill(s->row + was, n_was, rows + now, n_now);
    }
    return true;
}

/* ---- a whole look ---- */

/* When a summary that was not enough is followed by a whole look that would have been, this router prints participants
 * otherwise in a summary: no more of them are asked for. */
void
jn_brief_keep(struct jn_device *d, const struct jn_only *in_vain, const struct jn_mka *rows, size_t n, int64_t now_ms)
{
    struct jn_shown *s = &d->shown;
    size_t n_live;
    struct jn_mka *live = live_ones(rows, n, &n_live);

    s->useless = s->useless || (in_vain && s->row && live && stands(s, in_vain, live, n_live));
    free(s->row);
    s->row = live;
    s->n = n_live;
    s->whole_ms = now_ms;
}

/* ---- any look ---- */

static void
keep_last(struct jn_shown *s, const struct jn_only *only, const struct jn_mka *rows, size_t n, int64_t now_ms)
{
    free(s->last);
    free(s->iface);
    s->last = calloc(n + 1, sizeof *s->last);
    s->iface = calloc(only->n + 1, sizeof *s->iface);
    s->n_last = n;
    s->n_iface = only->n;
    s->last_ms = s->last && s->iface && !only->all ? now_ms : 0;
    if (!s->last_ms)
        return;
    if (n)
        memcpy(s->last, rows, n * sizeof *rows);
    if (only->n)
        memcpy(s->iface, only->name, only->n * sizeof *only->name);
}

void
jn_brief_looked(struct jn_device *d, const struct jn_only *only, const struct jn_mka *rows, size_t n, int64_t now_ms)
{
    bool awaits = false;

    for (size_t i = 0; i < n; i++)
        awaits |= rows[i].type == JN_CAK_PRIMARY && !is_live(&rows[i]);
    d->shown.awaits_ms = !awaits ? 0 : d->shown.awaits_ms ? d->shown.awaits_ms : now_ms;
    keep_last(&d->shown, only, rows, n, now_ms);
}

bool
jn_brief_is_recent(const struct jn_device *d, const struct jn_only *only, int64_t now_ms)
{
    const struct jn_shown *s = &d->shown;

    if (!s->last_ms || now_ms - s->last_ms > RECENT_MS || only->all || only->n != s->n_iface)
        return false;
    for (size_t i = 0; i < only->n; i++)
        if (strcmp(only->name[i], s->iface[i]) != 0)
            return false;
    return true;
}

bool
jn_brief_again(const struct jn_device *d, const struct jn_only *only, int64_t now_ms, struct jn_mka **rows, size_t *n)
{
    if (!jn_brief_is_recent(d, only, now_ms))
        return false;
    *rows = calloc(d->shown.n_last + 1, sizeof **rows);
    if (!*rows)
        return false;
    memcpy(*rows, d->shown.last, d->shown.n_last * sizeof **rows);
    *n = d->shown.n_last;
    return true;
}
