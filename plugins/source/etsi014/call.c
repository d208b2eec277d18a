/* call.c - what enc_keys and dec_keys share, and status.
 *
 * Runs on the host's worker threads, several at once.  A key goes from the connection's locked buffer into a secret of
 * the host and nowhere else.
 */
#include "call.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEY_SPACE 512 /* of an answer, for one key beside its base64 text: ID, names, extensions [bytes] */

int
check_args(const struct asking *a, size_t n)
{
    const struct rk_host *host = a->e->host;

    if (!a->peer[0] || strlen(a->peer) > PEER_MAX)
        return host->fail(a->call, RK_E_CONTRACT, "the peer SAE ID is empty or too long");
    if (a->bits == 0 || a->bits % 8 != 0 || a->bits / 8 > RK_SECRET_MAX || n == 0 || n > BATCH_MAX)
        return host->fail(a->call, RK_E_CONTRACT, "%zu keys of %u bits: not 1 to %d keys of 8 to %d bits in steps of 8",
                          n, a->bits, BATCH_MAX, RK_SECRET_MAX * 8);
    return RK_OK;
}

bool
by_get(const struct etsi *e, size_t n, bool wishes)
{
    int only = e->method == METHOD_AUTO ? atomic_load(&e->learnt.only) : (int)e->method;

    if (wishes || only == METHOD_POST)
        return false;
    return only == METHOD_GET || n == 1;
}

bool
other_method(struct etsi *e, bool was_get, bool wishes)
{
    int none = METHOD_AUTO;

    if (e->method != METHOD_AUTO || wishes)
        return false;
    if (atomic_compare_exchange_strong(&e->learnt.only, &none, was_get ? METHOD_POST : METHOD_GET))
        return true;
    atomic_store(&e->learnt.only, METHOD_AUTO); /* it has changed its mind */
    return false;
}

void
no_method(struct etsi *e, int err)
{
    if (err == RK_E_UNSUPPORTED) /* both were refused: that was not the reason */
        atomic_store(&e->learnt.only, METHOD_AUTO);
}

size_t
per_request(uint32_t bits)
{
    size_t fit = BODY_MAX / (bits / 6 + KEY_SPACE);

    return fit < BATCH_MAX ? fit : BATCH_MAX;
}

struct decode {
    const struct container_key *from;
    bool lenient;
};

static int
decode_key(unsigned char *bytes, size_t len, void *arg)
{
    const struct decode *d = arg;

    return base64_get(d->from->text, d->from->text_len, d->lenient, bytes, len);
}

static int
refuse_key(const struct asking *a, const struct container_key *from, size_t size, int err)
{
    const struct rk_host *host = a->e->host;

    count_wasted(a, 1);
    if (err == RK_E_KEY_SIZE)
        return host->fail(a->call, err,
                          "%s: broken-server: key %s has %zu bits, %u were asked for; the KME must give keys of the "
                          "size that the link needs",
                          a->e->base, from->id, size * 8, a->bits);
    if (err == RK_E_PROTOCOL)
        return host->fail(a->call, err, "%s: broken-server: key %s is not base64 as RFC 4648 says%s", a->e->base,
                          from->id,
                          !a->e->lenient && base64_size(from->text, from->text_len, true) == a->bits / 8
                              ? "; the option lenient takes it without padding and in the URL alphabet"
                              : "");
    return host->fail(a->call, err, "%s: no memory for key %s", a->e->base, from->id);
}

int
make_key(struct slot *s, const struct asking *a, const struct container_key *from, struct rk_key *k)
{
    struct decode d = {from, a->e->lenient};
    size_t size = base64_size(from->text, from->text_len, d.lenient);

    (void)s;
    if (size != 0 && size != a->bits / 8)
        k->err = RK_E_KEY_SIZE;
    else
        k->err = size ? a->e->host->secret_new(size, decode_key, &d, &k->secret) : RK_E_PROTOCOL;
    return k->err ? refuse_key(a, from, size, k->err) : RK_OK;
}

/* A body that is refused: does it look as if the KME had given keys? */
static bool
holds_keys(const struct slot *s)
{
    static const char word[] = "\"key\"";

    return memmem(s->body, s->body_len, word, sizeof word - 1) != NULL;
}

int
container_of(struct slot *s, const struct asking *a, const struct request *q, const struct batch *b,
             struct container_key *found, size_t max, size_t *n)
{
    const char *why;
    int err = container_read(s->body, s->body_len, a->e->lenient, found, max, n, &why);

    if (!err)
        return RK_OK;
    if (holds_keys(s))
        count_wasted(a, b->n);
    return answer_garbage(s, a->call, q, why);
}

void
set_err(struct rk_key *keys, size_t n, int err)
{
    for (size_t i = 0; i < n; i++)
        keys[i].err = err;
}

int
sum_up(const struct rk_key *keys, size_t n, int last)
{
    for (size_t i = 0; i < n; i++)
        if (keys[i].secret)
            return RK_OK;
    return last;
}

static int
parse_status(struct slot *s, const struct asking *a, const struct request *q, struct batch *b, void *arg)
{
    struct status *st = arg;
    const char *why;

    (void)b;
    if (status_read(s->body, s->body_len, st, &why))
        return answer_garbage(s, a->call, q, why);
    learnt_told(a->e, a->peer, st->max_per_request);
    learnt_kme(a->e, st->source_kme);
    return RK_OK;
}

int
ask_status(const struct asking *a, struct status *st)
{
    return exchange(a, STATUS, &(struct form){.query = ""}, NULL, parse_status, st);
}

int
etsi_status(void *inst, struct rk_call *call, const char *peer_sae, struct rk_source_status *st)
{
    struct asking a = {.e = inst, .call = call, .peer = peer_sae, .bits = 8};
    struct status told;
    int err = check_args(&a, 1);

    *st = (struct rk_source_status){.stored_keys = -1, .max_per_request = -1, .min_bits = -1, .max_bits = -1};
    err = err ? err : ask_status(&a, &told);
    if (err)
        return err;
    st->stored_keys = told.stored;
    st->max_per_request = told.max_per_request;
    st->min_bits = told.min_bits;
    st->max_bits = told.max_bits;
    snprintf(st->text, sizeof st->text, "KME %.40s to %.40s: %" PRId64 " keys stored",
             told.source_kme[0] ? told.source_kme : "?", told.target_kme[0] ? told.target_kme : "?", told.stored);
    return RK_OK;
}
