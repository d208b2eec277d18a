/* walk_status.c - the part of a test of a source that asks the KME: its status, and whether that fits our links.
 *
 * Runs on the host's worker threads.  It asks for status and nothing else, so that no key is taken.
 */
#include "status.h"
#include "walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SKEW_S 30 /* clocks that are further apart are worth a word */
#define TRIES 3   /* when it was sent and the connection ended without an answer: it takes nothing */

/* "7", or "?" when it was not told */
static const char *
count(int64_t n, char text[24])
{
    if (n < 0)
        return "?";
    snprintf(text, 24, "%" PRId64, n);
    return text;
}

static int
step_pool(const struct walk *w, const struct status *told, int64_t took_ms)
{
    char a[24], b[24], c[24];

    return STEP(w, "status", told->stored == 0 ? RK_STEP_WARNING : RK_OK,
                "HTTP 200 in %" PRId64 " ms; KME %s to %s; %s of %s keys stored, %s in one request%s", took_ms,
                told->source_kme[0] ? told->source_kme : "?", told->target_kme[0] ? told->target_kme : "?",
                count(told->stored, a), count(told->capacity, b), count(told->max_per_request, c),
                told->stored == 0 ? "; wait for keys: some KMEs count only those that were not fetched yet, --fetch "
                                    "takes one to see"
                                  : "");
}

/* KMEs derive the SAE ID from the certificate, each in its way: what ours makes of it is what peers must ask for. */
static int
step_sae(const struct walk *w, const struct status *told)
{
    const char *sae = w->e->sae;
    bool ours = !sae || !told->master_sae[0] || strcmp(told->master_sae, sae) == 0;
    bool theirs = !told->slave_sae[0] || strcmp(told->slave_sae, w->t->peer_sae) == 0;

    if (!told->master_sae[0] && !told->slave_sae[0])
        return STEP(w, "sae", RK_STEP_WARNING,
                    "the KME does not say between which SAEs: whether it knows ours cannot be told");
    if (ours && theirs)
        return STEP(w, "sae", RK_OK, "the KME knows us as %s, and %s as the peer", told->master_sae, told->slave_sae);
    if (!ours)
        return STEP(w, "sae", RK_STEP_WARNING,
                    "the KME knows us as \"%s\", the configuration says sae: %s; the other site "
                    "must have peer-sae as the KME says, or the certificate is another SAE's",
                    told->master_sae, sae);
    return STEP(w, "sae", RK_STEP_WARNING, "the KME says the peer is \"%s\", not %s: is peer-sae right?",
                told->slave_sae, w->t->peer_sae);
}

static int
step_size(const struct walk *w, const struct status *told)
{
    const struct rk_source_test *t = w->t;
    char a[24], b[24];

    if (t->max_bits == 0)
        return RK_OK;
    if ((told->min_bits > 0 && t->min_bits < told->min_bits) || (told->max_bits > 0 && t->max_bits > told->max_bits))
        return STEP(w, "key-size", RK_E_KEY_SIZE,
                    "links want keys of %u to %u bits, the KME gives %s to %s: set key-bits of "
                    "the links, or have the KME changed",
                    t->min_bits, t->max_bits, count(told->min_bits, a), count(told->max_bits, b));
    return STEP(w, "key-size", RK_OK, "links want keys of %u to %u bits, the KME gives %s to %s", t->min_bits,
                t->max_bits, count(told->min_bits, a), count(told->max_bits, b));
}

/* Only when it is worth a word: certificates are judged by it, and keys have a life. */
static int
step_clock(const struct walk *w)
{
    struct curl_header *date;
    time_t there;
    int64_t ahead_s;

    if (curl_easy_header(w->slot->easy, "Date", 0, CURLH_HEADER, -1, &date) != CURLHE_OK)
        return RK_OK;
    there = curl_getdate(date->value, NULL);
    ahead_s = (int64_t)there - (int64_t)time(NULL);
    if (there == (time_t)-1 || (ahead_s <= SKEW_S && ahead_s >= -SKEW_S))
        return RK_OK;
    return STEP(w, "clock", RK_STEP_WARNING,
                "the KME's clock is %" PRId64 " s %s ours: set the wrong one right, with NTP",
                ahead_s < 0 ? -ahead_s : ahead_s, ahead_s < 0 ? "behind" : "before");
}

static int
judge_status(struct walk *w, long http, int64_t took_ms)
{
    const struct request q = {.what = STATUS, .peer = w->t->peer_sae};
    struct status told;
    const char *why;
    int err;

    if (http != 200)
        return STEP(w, "status", answer_refused(w->slot, w->call, &q, http), "%s", "");
    if (status_read(w->slot->body, w->slot->body_len, &told, &why))
        return STEP(w, "status", answer_garbage(w->slot, w->call, &q, why), "%s", "");
    err = step_pool(w, &told, took_ms);
    err = err ? err : step_sae(w, &told);
    err = err ? err : step_size(w, &told);
    return err ? err : step_clock(w);
}

/* A URL of several that cannot be reached: what is wrong was a step of its own, before. */
static bool
is_known(const struct walk *w, int err)
{
    return w->e->n_urls > 1 && err && w->slot->sent == 0;
}

int
walk_status(struct walk *w)
{
    char *peer = curl_easy_escape(NULL, w->t->peer_sae, 0), path[URL_MAX];
    int64_t begun_ms = 0;
    long http = 0;
    int err = RK_E_NOMEM;

    if (!peer)
        return STEP(w, "status", RK_E_NOMEM, "out of memory");
    snprintf(path, sizeof path, "/api/v1/keys/%s/status", peer); /* of at most 64 bytes, each as %XX */
    curl_free(peer);
    /* A KME that refuses our certificate may end the connection before its alert was read. */
    for (int i = 0; i == 0 || (i < TRIES && err == RK_E_UNREACHABLE && w->slot->sent); i++) {
        begun_ms = http_now_ms();
        err = walk_ask(w, path, &http);
    }
    if (is_known(w, err)) {
        STEP(w, "status", RK_STEP_SKIPPED, "%s was not reached, see above", w->base);
        return err;
    }
    return err ? STEP(w, "status", err, "%s", "") : judge_status(w, http, http_now_ms() - begun_ms);
}
