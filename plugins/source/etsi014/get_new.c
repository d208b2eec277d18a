/* get_new.c - enc_keys: new keys, in as few requests as the KME allows, each sent once.
 *
 * Runs on the host's worker threads, several at once.
 */
#include "call.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Take up to the number that was asked for; what a KME gives beyond it is lost. */
static int
parse_new(struct slot *s, const struct asking *a, const struct request *q, struct batch *b, void *arg)
{
    struct container_key found[BATCH_MAX];
    size_t got;
    int last = container_of(s, a, q, b, found, BATCH_MAX, &got);

    (void)arg;
    if (last)
        return last;
    if (got > b->n)
        count_wasted(a, got - b->n);
    for (size_t i = 0; i < b->n; i++) {
        if (i >= got) {
            b->key[i]->err = RK_E_EMPTY;
            continue;
        }
        memcpy(b->key[i]->id, found[i].id, sizeof b->key[i]->id);
        last = make_key(s, a, &found[i], b->key[i]);
    }
    if (got == 0)
        return a->e->host->fail(a->call, RK_E_EMPTY, "%s: out-of-keys: the KME has no key for %s now", a->e->base,
                                q->peer);
    for (size_t i = 0; i < got && i < b->n; i++)
        if (b->key[i]->secret)
            return RK_OK;
    return last;
}

static int
send_new(const struct asking *a, struct batch *b, bool get)
{
    char query[64];
    struct form form = {.query = get ? query : NULL};
    char *post = get ? NULL : wishes_body(a->e, a->peer, b->n, a->bits);
    int err;

    if (!get && !post)
        return a->e->host->fail(a->call, RK_E_NOMEM, "out of memory");
    snprintf(query, sizeof query, "?number=%zu&size=%" PRIu32, b->n, a->bits);
    form.post = post;
    err = exchange(a, ENC_KEYS, &form, b, parse_new, NULL);
    free(post);
    return err;
}

/* 404 may be about the peer, the path or a key; there are KMEs that say no more.  Status knows. */
static int
explain_404(const struct asking *a, const struct batch *b, int err)
{
    struct status st;

    if (ask_status(a, &st))
        return say_again(a, b, err);
    if (st.stored >= 0 && st.stored < (int64_t)b->n)
        return a->e->host->fail(a->call, RK_E_EMPTY,
                                "%s: out-of-keys: HTTP 404, and its status says that %" PRId64
                                " keys are stored for %s, %zu were asked for",
                                a->e->base, st.stored, a->peer, b->n);
    return err;
}

/* As send_new; what a KME does not know (a method, optional extensions, the size by GET) is done without. */
static int
ask_new(const struct asking *a, struct batch *b)
{
    bool wishes = wishes_any(a->e), get = by_get(a->e, b->n, wishes);
    int err = send_new(a, b, get);

    if ((err == RK_E_UNSUPPORTED || (err == RK_E_KEY_SIZE && get)) && other_method(a->e, get, wishes)) {
        err = send_new(a, b, !get);
        no_method(a->e, err);
        return err;
    }
    if (err == RK_E_REJECTED && b->refusal == REFUSED_OPTIONAL && a->e->wishes.optional &&
        !atomic_exchange(&a->e->learnt.no_optional, true)) {
        a->e->host->log(a->call, RK_LOG_WARNING,
                        "ev=enc_keys kme=%s note=\"it refuses extension-optional: asked without\"", a->e->base);
        return send_new(a, b, false);
    }
    return err;
}

/* What is known while the keys of one operation are asked for. */
struct progress {
    size_t at, room; /* keys that are done; how many one request may ask for */
    size_t refused;  /* the smallest number that was refused; 0: none */
    bool short_of;   /* the KME gave fewer than asked: the end of its pool may be near */
    bool told;       /* its status was asked */
};

/* Nothing more can be asked in this call; else a KME that does not tell its status may well give keys. */
static bool
is_over(int err)
{
    return err == RK_E_UNREACHABLE || err == RK_E_TIMEOUT || err == RK_E_CANCELED;
}

/* How many to ask for after this refusal; 0: there is nothing to try. */
static size_t
fewer(const struct asking *a, const struct batch *b, struct progress *p, int err)
{
    struct status st;
    size_t most;

    if (b->n == 1 || (err == RK_E_EMPTY && p->short_of))
        return 0;
    if (err == RK_E_EMPTY) /* all or nothing: a part of it may be there */
        return b->n > 4 ? b->n / 4 : 1;
    if (err != RK_E_REJECTED || b->refusal != REFUSED_PERHAPS_NUMBER)
        return 0;
    p->refused = b->n;
    most = learnt_most(a->e, a->peer, ASKED_NEW);
    if (most >= b->n && !p->told) {
        if (is_over(ask_status(a, &st))) {
            say_again(a, b, err);
            return 0;
        }
        p->told = true;
        most = learnt_most(a->e, a->peer, ASKED_NEW);
    }
    return most < b->n ? most : b->n / 2;
}

static void
succeeded(const struct asking *a, const struct batch *b, struct progress *p)
{
    if (p->refused)
        learnt_fits(a->e, a->peer, ASKED_NEW, b->n);
    if (learnt_refused(a->e, a->peer, ASKED_NEW)) {
        learnt_set_refused(a->e, a->peer, ASKED_NEW, false);
        p->room = learnt_most(a->e, a->peer, ASKED_NEW);
    }
    p->refused = 0;
}

/* The keys that came stand before those that did not. */
static size_t
filled(const struct batch *b)
{
    size_t n = b->n;

    while (n > 0 && b->key[n - 1]->err == RK_E_EMPTY)
        n--;
    return n;
}

static size_t
first_room(const struct asking *a)
{
    size_t most = learnt_most(a->e, a->peer, ASKED_NEW), fit = per_request(a->bits);

    if (learnt_refused(a->e, a->peer, ASKED_NEW))
        return 1; /* is it still refused?  Then it was not the number */
    return most < fit ? most : fit;
}

/* One request for keys[p->at] and those behind it.   ret: RK_OK to go on, else why it is over */
static int
ask_some(const struct asking *a, struct rk_key *keys, size_t n, struct progress *p)
{
    struct batch b = {.n = n - p->at < p->room ? n - p->at : p->room};
    size_t room;
    int err;

    for (size_t i = 0; i < b.n; i++)
        b.key[i] = &keys[p->at + i];
    err = ask_new(a, &b);
    if (err == RK_E_REJECTED && b.http == 404)
        err = explain_404(a, &b, err);
    if (!err) {
        succeeded(a, &b, p);
        p->short_of = filled(&b) < b.n;
        p->at += filled(&b);
        return RK_OK;
    }
    room = fewer(a, &b, p, err);
    if (room == 0)
        return err;
    p->room = room;
    return RK_OK;
}

int
etsi_get_new(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct asking a = {.e = inst, .call = call, .peer = peer_sae, .bits = bits};
    struct progress p = {0};
    int err = check_args(&a, n);

    if (err)
        return err;
    for (size_t i = 0; i < n; i++)
        keys[i] = (struct rk_key){.err = RK_E_EMPTY};
    p.room = first_room(&a);
    while (!err && p.at < n)
        err = ask_some(&a, keys, n, &p);
    if (err == RK_E_REJECTED && p.room == 1)
        learnt_set_refused(a.e, peer_sae, ASKED_NEW, true);
    if (err)
        set_err(keys + p.at, n - p.at, err);
    return sum_up(keys, n, err);
}
