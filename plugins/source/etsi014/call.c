/* call.c - the three operations of a source, as requests of ETSI GS QKD 014.
 *
 * Runs on the host's worker threads, several at once.  A key goes from the connection's locked buffer into a secret of
 * the host and nowhere else.  enc_keys is sent once; dec_keys may be asked again, each time logged.
 */
#include "etsi014.h"

#include "container.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAUSE_FIRST_MS 25 /* between questions for a key that is not at the KME yet; doubled up to the last */
#define PAUSE_LAST_MS 250
#define KEY_SPACE 512 /* of an answer, for one key beside its base64 text: ID, names, extensions [bytes] */

/* The keys that one request is about. */
struct batch {
    struct rk_key *keys;
    size_t n;
    uint32_t bits;
};

/* Reads the body of a 200.  ret: RK_OK or a code with text */
typedef int parse_fn(struct slot *s, struct rk_call *call, const struct request *q, void *arg);

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Was a key taken at the KME that will never be used? */
static bool
is_loss(enum what what, int err)
{
    return what != STATUS && (err == RK_E_UNKNOWN || err == RK_E_PROTOCOL || err == RK_E_KEY_SIZE);
}

static int
exchange(struct etsi *e, struct rk_call *call, const struct request *q, parse_fn *parse, void *arg)
{
    const struct batch *b = q->what == STATUS ? NULL : arg;
    int64_t from_ms = now_ms();
    struct slot *s = NULL;
    long http = 0;
    int err = http_take(e, call, &s);

    if (!err)
        err = http_ask(s, call, q, &http);
    if (!err)
        err = http == 200 ? parse(s, call, q, arg) : answer_refused(s, call, q, http);
    http_give(e, &s);
    e->host->log(call, is_loss(q->what, err) ? RK_LOG_WARNING : RK_LOG_INFO,
                 "ev=%s kme=%s peer=%s n=%zu http=%ld dur_ms=%" PRId64 " res=%s", what_name(q->what), e->base, q->peer,
                 b ? b->n : 0, http, now_ms() - from_ms, result_name(err));
    return err;
}

/* The URL of a request; query is "" or begins with '?' and is encoded already. */
static int
make_url(struct etsi *e, struct rk_call *call, const struct request *q, const char *query, char url[URL_MAX])
{
    char *peer = curl_easy_escape(NULL, q->peer, 0);
    int len = peer ? snprintf(url, URL_MAX, "%s/api/v1/keys/%s/%s%s", e->base, peer, what_name(q->what), query) : -1;

    curl_free(peer);
    if (len < 0)
        return e->host->fail(call, RK_E_NOMEM, "out of memory");
    if (len >= URL_MAX)
        return e->host->fail(call, RK_E_CONFIG, "%s: the URL of a request is longer than %d bytes", e->base, URL_MAX);
    return RK_OK;
}

/* Send q by GET with this query, or by POST with this body (taken; may be NULL on want of memory). */
static int
get_or_post(struct etsi *e, struct rk_call *call, struct request *q, const char *query, json_t *body, parse_fn *parse,
            void *arg)
{
    char url[URL_MAX];
    char *post = body ? json_dumps(body, JSON_COMPACT) : NULL;
    int err;

    json_decref(body);
    if (!query && !post)
        return e->host->fail(call, RK_E_NOMEM, "out of memory");
    err = make_url(e, call, q, query ? query : "", url);
    q->url = url;
    q->post = query ? NULL : post;
    err = err ? err : exchange(e, call, q, parse, arg);
    free(post);
    return err;
}

static bool
by_get(const struct etsi *e, size_t n)
{
    return e->method == METHOD_GET || (e->method == METHOD_AUTO && n == 1);
}

static int
check_args(struct etsi *e, struct rk_call *call, const char *peer_sae, uint32_t bits, size_t n)
{
    if (!peer_sae[0] || strlen(peer_sae) > PEER_MAX)
        return e->host->fail(call, RK_E_CONTRACT, "the peer SAE ID is empty or too long");
    if (bits == 0 || bits % 8 != 0 || bits / 8 > RK_SECRET_MAX || n == 0 || n > BATCH_MAX)
        return e->host->fail(call, RK_E_CONTRACT, "%zu keys of %u bits: not 1 to %d keys of 8 to %d bits in steps of 8",
                             n, bits, BATCH_MAX, RK_SECRET_MAX * 8);
    return RK_OK;
}

/* How many keys of this size surely fit into one answer. */
static size_t
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

/* Make the secret of one key. */
static int
make_key(struct slot *s, struct rk_call *call, const struct container_key *from, uint32_t bits, struct rk_key *k)
{
    const struct rk_host *host = s->e->host;
    struct decode d = {from, s->e->lenient};
    size_t size = base64_size(from->text, from->text_len, d.lenient);

    if (size != 0 && size != bits / 8)
        return k->err = host->fail(call, RK_E_KEY_SIZE,
                                   "%s: key %s has %zu bits, %u were asked for; the KME must give "
                                   "keys of the size that the link needs",
                                   s->e->base, from->id, size * 8, bits);
    k->err = size ? host->secret_new(size, decode_key, &d, &k->secret) : RK_E_PROTOCOL;
    if (k->err == RK_E_PROTOCOL)
        host->fail(call, k->err, "%s: key %s is not base64 as RFC 4648 says", s->e->base, from->id);
    else if (k->err)
        host->fail(call, k->err, "%s: no memory for key %s", s->e->base, from->id);
    return k->err;
}

static void
set_err(struct rk_key *keys, size_t n, int err)
{
    for (size_t i = 0; i < n; i++)
        keys[i].err = err;
}

/* RK_OK when one of the keys is there, else last. */
static int
sum_up(const struct rk_key *keys, size_t n, int last)
{
    for (size_t i = 0; i < n; i++)
        if (keys[i].secret)
            return RK_OK;
    return last;
}

static int
parse_new(struct slot *s, struct rk_call *call, const struct request *q, void *arg)
{
    struct container_key found[BATCH_MAX];
    struct batch *b = arg;
    const char *why;
    size_t got;
    int last = RK_OK;

    if (container_read(s->body, s->body_len, s->e->lenient, found, b->n, &got, &why))
        return answer_garbage(s, call, q, why);
    for (size_t i = 0; i < got; i++) {
        memcpy(b->keys[i].id, found[i].id, sizeof b->keys[i].id);
        last = make_key(s, call, &found[i], b->bits, &b->keys[i]);
    }
    set_err(b->keys + got, b->n - got, RK_E_EMPTY);
    if (got == 0)
        last = s->e->host->fail(call, RK_E_EMPTY, "%s: the KME has no key for %s now", s->e->base, q->peer);
    return sum_up(b->keys, b->n, last);
}

static int
ask_new(struct etsi *e, struct rk_call *call, const char *peer, struct batch *b)
{
    struct request q = {.what = ENC_KEYS, .peer = peer};
    char query[64];

    snprintf(query, sizeof query, "?number=%zu&size=%" PRIu32, b->n, b->bits);
    if (by_get(e, b->n))
        return get_or_post(e, call, &q, query, NULL, parse_new, b);
    return get_or_post(e, call, &q, NULL, json_pack("{s:i,s:i}", "number", (int)b->n, "size", (int)b->bits), parse_new,
                       b);
}

int
etsi_get_new(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct etsi *e = inst;
    int err = check_args(e, call, peer_sae, bits, n);
    size_t step, at = 0;

    if (err)
        return err;
    for (size_t i = 0; i < n; i++)
        keys[i] = (struct rk_key){.err = RK_E_EMPTY};
    for (step = per_request(bits); at < n;) {
        struct batch b = {keys + at, n - at < step ? n - at : step, bits};

        err = ask_new(e, call, peer_sae, &b);
        if (err == RK_E_REJECTED && b.n > 1) {
            step = 1; /* nothing was taken; some KMEs give one key for each request */
            continue;
        }
        if (err) {
            set_err(keys + at, n - at, err);
            break;
        }
        at += b.n;
        if (keys[at - 1].err == RK_E_EMPTY)
            break;
    }
    return sum_up(keys, n, err);
}

static struct rk_key *
asked(struct batch *b, const char *id)
{
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->keys[i].id, id) == 0)
            return &b->keys[i];
    return NULL;
}

static int
parse_ids(struct slot *s, struct rk_call *call, const struct request *q, void *arg)
{
    struct container_key found[BATCH_MAX];
    struct batch *b = arg;
    const char *why;
    size_t got;
    int last;

    if (container_read(s->body, s->body_len, s->e->lenient, found, b->n, &got, &why))
        return answer_garbage(s, call, q, why);
    for (size_t i = 0; i < got; i++)
        if (!asked(b, found[i].id))
            return answer_garbage(s, call, q, "it holds a key that was not asked for");
    last = got == b->n ? RK_OK
                       : s->e->host->fail(call, RK_E_KEY_GONE, "%s: the KME left %zu of %zu keys out of its answer",
                                          s->e->base, b->n - got, b->n);
    for (size_t i = 0; i < got; i++) {
        int err = make_key(s, call, &found[i], b->bits, asked(b, found[i].id));

        last = err ? err : last;
    }
    return sum_up(b->keys, b->n, last);
}

static int
send_ids(struct etsi *e, struct rk_call *call, const char *peer, struct batch *b)
{
    struct request q = {.what = DEC_KEYS, .peer = peer};
    char query[3 * RK_KEY_ID_MAX + 16], *id;
    json_t *ids;

    set_err(b->keys, b->n, RK_E_KEY_GONE);
    if (by_get(e, b->n)) {
        id = curl_easy_escape(NULL, b->keys[0].id, 0);
        if (!id)
            return e->host->fail(call, RK_E_NOMEM, "out of memory");
        snprintf(query, sizeof query, "?key_ID=%s", id);
        curl_free(id);
        return get_or_post(e, call, &q, query, NULL, parse_ids, b);
    }
    ids = json_array();
    for (size_t i = 0; i < b->n; i++)
        if (json_array_append_new(ids, json_pack("{s:s}", "key_ID", b->keys[i].id))) {
            json_decref(ids);
            return e->host->fail(call, RK_E_NOMEM, "out of memory");
        }
    return get_or_post(e, call, &q, NULL, json_pack("{s:o}", "key_IDs", ids), parse_ids, b);
}

/* Wait; ret: true when the pause is over and there is time for another request. */
static bool
pause_ms(struct etsi *e, struct rk_call *call, int ms)
{
    struct pollfd cancel = {.fd = e->host->cancel_fd(call), .events = POLLIN};

    if (e->host->left_ms(call) <= ms)
        return false;
    return poll(&cancel, 1, ms) == 0;
}

/* As send_ids; when the answer was lost, once more: without it the keys are lost for sure, and asking takes no other.
 */
static int
ask_ids(struct etsi *e, struct rk_call *call, const char *peer, struct batch *b)
{
    int err = send_ids(e, call, peer, b);

    if (err != RK_E_UNKNOWN || !pause_ms(e, call, 0))
        return err;
    err = send_ids(e, call, peer, b);
    if (err == RK_E_UNREACHABLE || err == RK_E_TIMEOUT || err == RK_E_CANCELED || err == RK_E_BUSY)
        err = e->host->fail(call, RK_E_UNKNOWN, "%s: the answer to dec_keys was lost, and asking again failed (%s)",
                            e->base, result_name(err));
    return err;
}

/* Is it an answer about one key, or does it concern all that would be asked next? */
static bool
is_of_key(int err)
{
    return err == RK_OK || err == RK_E_KEY_GONE || err == RK_E_KEY_SIZE || err == RK_E_REJECTED || err == RK_E_PROTOCOL;
}

static bool
is_pending(const struct rk_key *k)
{
    return !k->secret && k->err == RK_E_KEY_GONE;
}

/* Ask once for each key that is not there.  out: *gone  how many are still not there */
static int
ask_each(struct etsi *e, struct rk_call *call, const char *peer, struct batch *b, size_t *gone)
{
    int last = RK_E_KEY_GONE;

    *gone = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct batch one = {&b->keys[i], 1, b->bits};
        int err;

        if (!is_pending(&b->keys[i]))
            continue;
        err = ask_ids(e, call, peer, &one);
        last = err ? err : last;
        b->keys[i].err = err;
        *gone += err == RK_E_KEY_GONE;
        if (is_of_key(err))
            continue;
        for (; i < b->n; i++)
            if (is_pending(&b->keys[i]))
                b->keys[i].err = err;
        *gone = 0;
    }
    return last;
}

/* Keys that the KME does not have may still be on their way to it (design of QKD networks: relays). */
static int
ask_until(struct etsi *e, struct rk_call *call, const char *peer, struct batch *b)
{
    int64_t until_ms = now_ms() + e->sync_ms;
    int last, pause = PAUSE_FIRST_MS;
    size_t gone;

    for (;;) {
        last = ask_each(e, call, peer, b, &gone);
        if (gone == 0 || now_ms() + pause > until_ms || !pause_ms(e, call, pause))
            return last;
        pause = pause * 2 < PAUSE_LAST_MS ? pause * 2 : PAUSE_LAST_MS;
    }
}

static int
get_batch(struct etsi *e, struct rk_call *call, const char *peer, struct batch *b)
{
    int err = RK_E_KEY_GONE;

    set_err(b->keys, b->n, RK_E_KEY_GONE);
    if (b->n > 1 && e->method != METHOD_GET)
        err = ask_ids(e, call, peer, b);
    if (err == RK_E_REJECTED) /* the batch: each key is asked for by itself */
        set_err(b->keys, b->n, RK_E_KEY_GONE);
    else if (err && err != RK_E_KEY_GONE && err != RK_E_KEY_SIZE) /* these two are of single keys */
        set_err(b->keys, b->n, err);
    for (size_t i = 0; i < b->n; i++)
        if (is_pending(&b->keys[i]))
            return ask_until(e, call, peer, b);
    return err;
}

int
etsi_get_by_id(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct etsi *e = inst;
    int err = check_args(e, call, peer_sae, bits, n), last;
    size_t step;

    for (size_t i = 0; i < n; i++) {
        keys[i].secret = NULL;
        keys[i].err = RK_E_CONTRACT;
        if (!err && !container_fold_id(keys[i].id))
            err = e->host->fail(call, RK_E_CONTRACT, "a key ID that is asked for is not a key ID");
    }
    last = err;
    step = err ? n : per_request(bits);
    for (size_t at = 0; !err && at < n; at += step) {
        struct batch b = {keys + at, n - at < step ? n - at : step, bits};

        err = get_batch(e, call, peer_sae, &b);
        last = err ? err : last;
        if (is_of_key(err))
            err = RK_OK;
        else
            set_err(keys + at + b.n, n - at - b.n, err);
    }
    return sum_up(keys, n, last);
}

static int64_t
number_of(const json_t *root, const char *name)
{
    const json_t *v = json_object_get(root, name);

    return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : -1;
}

/* A text of the server, printable, for a line that people read. */
static void
copy_name(const json_t *root, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(root, name));
    size_t i = 0;

    for (; text && text[i] && i < size - 1; i++)
        out[i] = text[i] > ' ' && text[i] <= '~' ? text[i] : '?';
    out[i] = '\0';
}

static int
parse_status(struct slot *s, struct rk_call *call, const struct request *q, void *arg)
{
    json_t *root = json_loadb(s->body, s->body_len, JSON_REJECT_DUPLICATES, NULL);
    struct rk_source_status *st = arg;
    char from[41], to[41];

    if (!json_is_object(root)) {
        json_decref(root);
        return answer_garbage(s, call, q, "status is not a JSON object");
    }
    st->stored_keys = number_of(root, "stored_key_count");
    st->max_per_request = number_of(root, "max_key_per_request");
    st->min_bits = number_of(root, "min_key_size");
    st->max_bits = number_of(root, "max_key_size");
    copy_name(root, "source_KME_ID", from, sizeof from);
    copy_name(root, "target_KME_ID", to, sizeof to);
    json_decref(root);
    snprintf(st->text, sizeof st->text, "KME %s to %s: %" PRId64 " keys stored", from[0] ? from : "?", to[0] ? to : "?",
             st->stored_keys);
    return RK_OK;
}

int
etsi_status(void *inst, struct rk_call *call, const char *peer_sae, struct rk_source_status *st)
{
    struct request q = {.what = STATUS, .peer = peer_sae};
    int err = check_args(inst, call, peer_sae, 8, 1);

    *st = (struct rk_source_status){.stored_keys = -1, .max_per_request = -1, .min_bits = -1, .max_bits = -1};
    return err ? err : get_or_post(inst, call, &q, "", NULL, parse_status, st);
}
