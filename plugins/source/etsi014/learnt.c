/* learnt.c - limits of the KME for each peer SAE, its name, its wish to be left alone.
 *
 * Runs on the host's worker threads; the instance's lock guards the table.  It is bounded: a peer that finds no room is
 * asked for as if nothing were known.
 */
#include "learnt.h"

#include "etsi014.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct learnt_peer {
    struct learnt_peer *next;
    char sae[PEER_MAX + 1];
    size_t told;         /* by its status; 0: not known */
    long long status_ms; /* when a refusal led to a question for it; 0: never */
    struct {
        size_t fits; /* more was refused; 0: not known */
        bool refused;
    } limit[2]; /* enum counted */
};

static long long
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static size_t
bucket_of(const char *peer)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (; *peer; peer++)
        h = (h ^ (unsigned char)*peer) * 16777619u;
    return h % PEER_BUCKETS;
}

/* With the lock held.  NULL: not known, and (add) no room for it. */
static struct learnt_peer *
find(struct learnt *l, const char *peer, bool add)
{
    struct learnt_peer **at = &l->peers[bucket_of(peer)], *p;

    for (p = *at; p; p = p->next)
        if (strcmp(p->sae, peer) == 0)
            return p;
    if (!add || l->n_peers == PEERS_MAX || !(p = calloc(1, sizeof *p)))
        return NULL;
    snprintf(p->sae, sizeof p->sae, "%s", peer);
    p->next = *at;
    *at = p;
    l->n_peers++;
    return p;
}

size_t
learnt_most(struct etsi *e, const char *peer, enum counted what)
{
    const struct learnt_peer *p;
    size_t most = BATCH_MAX;

    pthread_mutex_lock(&e->lock);
    p = find(&e->learnt, peer, false);
    if (p && p->told && p->told < most)
        most = p->told;
    if (p && p->limit[what].fits && p->limit[what].fits < most)
        most = p->limit[what].fits;
    pthread_mutex_unlock(&e->lock);
    return most;
}

void
learnt_told(struct etsi *e, const char *peer, int64_t n)
{
    struct learnt_peer *p;

    pthread_mutex_lock(&e->lock);
    p = find(&e->learnt, peer, n > 0);
    if (p)
        p->told = n > 0 ? (size_t)(n < BATCH_MAX ? n : BATCH_MAX) : 0;
    pthread_mutex_unlock(&e->lock);
}

void
learnt_fits(struct etsi *e, const char *peer, enum counted what, size_t n)
{
    struct learnt_peer *p;

    pthread_mutex_lock(&e->lock);
    p = find(&e->learnt, peer, true);
    if (p)
        p->limit[what].fits = n;
    pthread_mutex_unlock(&e->lock);
}

bool
learnt_refused(struct etsi *e, const char *peer, enum counted what)
{
    const struct learnt_peer *p;
    bool refused;

    pthread_mutex_lock(&e->lock);
    p = find(&e->learnt, peer, false);
    refused = p && p->limit[what].refused;
    pthread_mutex_unlock(&e->lock);
    return refused;
}

void
learnt_set_refused(struct etsi *e, const char *peer, enum counted what, bool refused)
{
    struct learnt_peer *p;

    pthread_mutex_lock(&e->lock);
    p = find(&e->learnt, peer, refused);
    if (p)
        p->limit[what].refused = refused;
    pthread_mutex_unlock(&e->lock);
}

bool
learnt_may_ask_status(struct etsi *e, const char *peer)
{
    struct learnt_peer *p;
    bool may;

    pthread_mutex_lock(&e->lock);
    p = find(&e->learnt, peer, true);
    may = p && (p->status_ms == 0 || now_ms() - p->status_ms > STATUS_PAUSE_MS);
    if (may)
        p->status_ms = now_ms();
    pthread_mutex_unlock(&e->lock);
    return may;
}

void
learnt_kme(struct etsi *e, const char *kme_id)
{
    pthread_mutex_lock(&e->lock);
    snprintf(e->learnt.kme_id, sizeof e->learnt.kme_id, "%.40s", kme_id);
    pthread_mutex_unlock(&e->lock);
}

const char *
learnt_kme_id(struct etsi *e, char buf[41])
{
    if (e->kme_id)
        return e->kme_id;
    pthread_mutex_lock(&e->lock);
    memcpy(buf, e->learnt.kme_id, sizeof e->learnt.kme_id);
    pthread_mutex_unlock(&e->lock);
    return buf[0] ? buf : "-";
}

void
learnt_hold(struct etsi *e, long seconds)
{
    long ms = seconds < HOLD_MAX_MS / 1000 ? seconds * 1000 : HOLD_MAX_MS;

    if (ms > 0)
        atomic_store(&e->learnt.hold_until_ms, now_ms() + ms);
}

int
learnt_held_ms(struct etsi *e)
{
    long long until_ms = atomic_load(&e->learnt.hold_until_ms), left_ms = until_ms ? until_ms - now_ms() : 0;

    return left_ms > 0 ? (int)left_ms : 0;
}

void
learnt_free(struct etsi *e)
{
    for (size_t i = 0; i < PEER_BUCKETS; i++)
        while (e->learnt.peers[i]) {
            struct learnt_peer *next = e->learnt.peers[i]->next;

            free(e->learnt.peers[i]);
            e->learnt.peers[i] = next;
        }
}
