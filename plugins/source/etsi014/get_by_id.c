/* get_by_id.c - dec_keys: keys by their IDs, with as few questions as will do.
 *
 * Runs on the host's worker threads, several at once.  A key that the KME does not have yet is asked for again within
 * the sync window, with pauses that grow; a batch of which one key is not there is refused whole, and is divided.
 * A request whose answer was lost is sent once more: without that the keys are lost for sure, and asking takes no
 * other.
 */
#include "call.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_FIRST_MS                                                                                                 \
    100                /* between questions for a key that is not at the KME yet: four of them in one second ...       \
                        */
#define PAUSE_GROWTH 3 /* ... and eight in a minute */
#define ODD_MAX 3      /* single keys that are refused in a row: then all are, and are not asked for */

struct pass {
    const struct asking *a;
    bool last; /* no pass follows: each key must get its own answer */
    int stop;  /* what concerns all that would be asked next; RK_OK: go on */
    struct rk_key *keys;
    bool lost[BATCH_MAX]; /* of keys: an answer about it was lost */
};

static struct rk_key *
asked(const struct batch *b, const char *id)
{
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->key[i]->id, id) == 0)
            return b->key[i];
    return NULL;
}

static void
set_all(const struct batch *b, int err)
{
    for (size_t i = 0; i < b->n; i++)
        b->key[i]->err = err;
}

static int
parse_ids(struct slot *s, const struct asking *a, const struct request *q, struct batch *b, void *arg)
{
    struct container_key found[BATCH_MAX];
    size_t got, good = 0;
    int last = container_of(s, a, q, b, found, b->n, &got);

    (void)arg;
    for (size_t i = 0; !last && i < got; i++)
        if (!asked(b, found[i].id)) {
            count_wasted(a, got);
            last = answer_garbage(s, a->call, q, "it holds a key that was not asked for");
        }
    if (last)
        return last;
    if (got < b->n)
        last = a->e->host->fail(a->call, RK_E_KEY_GONE, "%s: key-gone: the KME left %zu of %zu keys out of its answer",
                                a->e->base, b->n - got, b->n);
    for (size_t i = 0; i < got; i++) {
        int err = make_key(s, a, &found[i], asked(b, found[i].id));

        good += !err;
        last = err ? err : last;
    }
    return good ? RK_OK : last;
}

static char *
ids_body(const struct batch *b)
{
    json_t *ids = json_array(), *body;
    char *text;

    for (size_t i = 0; i < b->n; i++)
        if (json_array_append_new(ids, json_pack("{s:s}", "key_ID", b->key[i]->id))) {
            json_decref(ids);
            return NULL;
        }
    body = json_pack("{s:o}", "key_IDs", ids);
    text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

static int
send_ids(const struct asking *a, struct batch *b, bool get)
{
    char query[3 * RK_KEY_ID_MAX + 16];
    char *id = get ? curl_easy_escape(NULL, b->key[0]->id, 0) : NULL, *post = get ? NULL : ids_body(b);
    struct form form = {.query = get ? query : NULL, .post = post};
    int err;

    set_all(b, RK_E_KEY_GONE);
    if (get)
        snprintf(query, sizeof query, "?key_ID=%s", id ? id : "");
    if (get ? id != NULL : post != NULL)
        err = exchange(a, DEC_KEYS, &form, b, parse_ids, NULL);
    else
        err = a->e->host->fail(a->call, RK_E_NOMEM, "out of memory");
    curl_free(id);
    free(post);
    return err;
}

static bool
is_nothing_heard(int err)
{
    return err == RK_E_UNREACHABLE || err == RK_E_TIMEOUT || err == RK_E_CANCELED || err == RK_E_BUSY;
}

/* As send_ids; by the other method when this one is refused, and once more when the answer was lost. */
static int
ask_ids(struct pass *p, struct batch *b)
{
    const struct asking *a = p->a;
    bool get = by_get(a->e, b->n, false) && b->n == 1;
    int err = send_ids(a, b, get);

    if (err == RK_E_UNSUPPORTED && b->n == 1 && other_method(a->e, get, false)) {
        err = send_ids(a, b, !get);
        no_method(a->e, err);
    }
    if (err != RK_E_UNKNOWN)
        return err;
    for (size_t i = 0; i < b->n; i++)
        p->lost[b->key[i] - p->keys] = true;
    if (!pause_ms(a, 0))
        return err;
    err = send_ids(a, b, get);
    if (is_nothing_heard(err))
        err = a->e->host->fail(a->call, RK_E_UNKNOWN,
                               "%s: lost: the answer to dec_keys was lost, and asking again failed (%s)", a->e->base,
                               result_name(err));
    return err;
}

/* Is it an answer about these keys, or does it concern all that would be asked next? */
static bool
is_of_keys(int err)
{
    return err == RK_OK || err == RK_E_KEY_GONE || err == RK_E_KEY_SIZE || err == RK_E_REJECTED || err == RK_E_PROTOCOL;
}

/* The KME takes no such batch: one by one, but not for ever when that is not the reason. */
static int
ask_ones(struct pass *p, const struct batch *b)
{
    size_t odd = 0;

    for (size_t i = 0; i < b->n && !p->stop; i++) {
        struct batch one = {.key = {b->key[i]}, .n = 1, .more = b->more};
        int err = ask_ids(p, &one);

        odd += err == RK_E_REJECTED;
        if (err)
            b->key[i]->err = err;
        if (!is_of_keys(err) || (odd == ODD_MAX && i + 1 == odd))
            p->stop = err;
    }
    if (odd < b->n && !p->stop)
        learnt_fits(p->a->e, p->a->peer, ASKED_IDS, 1);
    return p->stop;
}

static int
ask_batch(struct pass *p, struct batch *b)
{
    int err = ask_ids(p, b);

    if (b->n > 1 && (err == RK_E_REJECTED || (err == RK_E_UNSUPPORTED && other_method(p->a->e, false, false))))
        return ask_ones(p, b);
    if (!is_of_keys(err))
        p->stop = err;
    else if (err && err != RK_E_KEY_SIZE) /* which is of some of the keys */
        set_all(b, err);
    return err;
}

/* A batch is all or nothing at most KMEs: find out what of it is there.  When neither half is, the KME has probably got
 * none of these yet; only the last pass looks closer. */
static void
divide(struct pass *p, const struct batch *b)
{
    bool gone[2] = {false};
    struct batch half[2];

    for (size_t h = 0, from = 0; h < 2; from += half[h].n, h++) {
        half[h] = (struct batch){.n = h ? b->n - b->n / 2 : b->n / 2, .more = b->more};
        memcpy(half[h].key, b->key + from, half[h].n * sizeof half[h].key[0]);
    }
    for (size_t h = 0; h < 2 && !p->stop; h++)
        gone[h] = ask_batch(p, &half[h]) == RK_E_KEY_GONE;
    if (gone[0] && gone[1] && !p->last)
        return;
    for (size_t h = 0; h < 2 && !p->stop; h++)
        if (gone[h] && half[h].n > 1)
            divide(p, &half[h]);
}

static bool
is_pending(const struct rk_key *k)
{
    return !k->secret && k->err == RK_E_KEY_GONE;
}

/* Ask for all keys that are not there.   ret: how many are still not there */
static size_t
ask_pending(struct pass *p, size_t n, size_t most)
{
    size_t left = 0;

    for (size_t at = 0; at < n && !p->stop;) {
        struct batch b = {.more = !p->last};

        for (; at < n && b.n < most; at++)
            if (is_pending(&p->keys[at]))
                b.key[b.n++] = &p->keys[at];
        if (b.n > 0 && ask_batch(p, &b) == RK_E_KEY_GONE && b.n > 1)
            divide(p, &b);
    }
    for (size_t i = 0; i < n; i++)
        left += is_pending(&p->keys[i]);
    return left;
}

/* Keys that the KME does not have may still be on their way to it (design of QKD networks: relays). */
static void
ask_until(struct pass *p, size_t n, size_t most)
{
    int64_t from_ms = now_ms();
    int pause = PAUSE_FIRST_MS;

    for (;;) {
        int64_t rest_ms = p->a->e->sync_ms - (now_ms() - from_ms);

        if (rest_ms < pause)
            pause = rest_ms > 0 ? (int)rest_ms : 0;
        p->last = pause == 0 || p->a->e->host->left_ms(p->a->call) <= pause;
        if (ask_pending(p, n, most) == 0 || p->stop || p->last || !pause_ms(p->a, pause))
            return;
        pause *= PAUSE_GROWTH;
    }
}

static size_t
room(const struct asking *a)
{
    size_t most = learnt_most(a->e, a->peer, ASKED_IDS), fit = per_request(a->bits);

    if (by_get(a->e, 2, false))
        return 1; /* a GET has one ID */
    return most < fit ? most : fit;
}

static void
end_pass(struct pass *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p->stop && is_pending(&p->keys[i]))
            p->keys[i].err = p->stop;
        if (p->lost[i] && !p->keys[i].secret)
            atomic_fetch_add(&p->a->e->learnt.orphaned, 1);
    }
}

int
etsi_get_by_id(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct asking a = {.e = inst, .call = call, .peer = peer_sae, .bits = bits};
    struct pass p = {.a = &a, .keys = keys};
    int err = check_args(&a, n);

    for (size_t i = 0; i < n; i++) {
        keys[i].secret = NULL;
        keys[i].err = err ? RK_E_CONTRACT : RK_E_KEY_GONE;
        if (!err && !container_fold_id(keys[i].id))
            err = a.e->host->fail(call, RK_E_CONTRACT, "a key ID that is asked for is not a key ID");
    }
    if (err) {
        set_err(keys, n, RK_E_CONTRACT);
        return err;
    }
    ask_until(&p, n, room(&a));
    end_pass(&p, n);
    for (size_t i = 0; i < n; i++)
        err = keys[i].err ? keys[i].err : err;
    return sum_up(keys, n, err);
}
