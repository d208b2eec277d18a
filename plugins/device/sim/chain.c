/* chain.c - class D: a chain of keys with start times, and a fallback key.
 *
 * The device uses the newest key whose start time has come by its own clock.  Start times are kept in its local time,
 * as a router's configuration has them; what is written is read back and compared. */
#include "cak.h"

#include <string.h>
#include <time.h>

int64_t
sim_device_ms(const struct sim_device *d)
{
    return d->clock.wall_ms() + d->clock_offset_ms;
}

void
sim_time_put(const struct sim_device *d, int64_t unix_s, char out[SIM_START_MAX])
{
    time_t local = (time_t)unix_s + d->zone_minutes * 60;
    struct tm tm;

    out[0] = '\0';
    if (gmtime_r(&local, &tm))
        strftime(out, SIM_START_MAX, "%Y-%m-%d.%H:%M:%S", &tm);
}

bool
sim_time_get(const struct sim_device *d, const char *text, int64_t *unix_s)
{
    struct tm tm = {0};
    int end = 0;

    if (sscanf(text, "%4d-%2d-%2d.%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec, &end) != 6 || text[end] != '\0')
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    *unix_s = (int64_t)timegm(&tm) - d->zone_minutes * 60;
    return true;
}

int64_t
sim_chain_begins_ms(const struct sim_device *d, const struct sim_key *k)
{
    int64_t s;

    return sim_time_get(d, k->start, &s) ? s * 1000 : 0;
}

static bool
begun(const struct sim_device *d, const struct sim_key *k)
{
    return k->place & SIM_CHAIN && sim_chain_begins_ms(d, k) <= sim_device_ms(d);
}

static struct sim_key *
newest_begun(const struct sim_device *d, const struct sim_cak *c)
{
    struct sim_key *newest = NULL;

    for (size_t i = 0; i < c->n; i++)
        if (begun(d, &c->keys[i]) &&
            (!newest || sim_chain_begins_ms(d, &c->keys[i]) >= sim_chain_begins_ms(d, newest)))
            newest = &c->keys[i];
    return newest;
}

void
sim_chain_roles(const struct sim_device *d, struct sim_cak *c)
{
    struct sim_key *was = sim_cak_at(c, SIM_PRIMARY), *is = newest_begun(d, c);

    if (was == is)
        return;
    for (size_t i = 0; i < c->n; i++)
        c->keys[i].place &= ~(SIM_PRIMARY | SIM_PRECEDING);
    if (was && begun(d, was))
        was->place |= SIM_PRECEDING;
    if (is)
        is->place |= SIM_PRIMARY;
}

/* ---- STAGE ---- */

static size_t
chain_len(const struct sim_cak *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        n += (c->keys[i].place & SIM_CHAIN) != 0;
    return n;
}

/* A slot that may be written over: neither in use, nor to be kept, nor of someone else. */
static bool
is_free(const struct sim_key *k, const struct sim_key *keep)
{
    return k->own && k != keep && !(k->place & SIM_PRIMARY);
}

static int
check_room(struct sim_job *j, const struct sim_key *keep)
{
    const struct sim_cak *c = j->f->cak;
    size_t n = chain_len(c);

    for (size_t i = 0; i < c->n; i++)
        if (c->keys[i].place & SIM_CHAIN &&
            (is_free(&c->keys[i], keep) || strcmp(c->keys[i].key_id, j->op->key_id) == 0))
            n--;
    return n < j->d->ring ? RK_OK
                          : sim_refuse(j->op, RK_E_CONFLICT, "the key chain is full: %zu slots, none that is ours and "
                                       "not in use", j->d->ring);
}

static int
check_start(struct sim_job *j, int64_t start_s)
{
    const struct sim_key *k = sim_cak_find(j->f->cak, j->op->key_id);
    int64_t now_ms = sim_device_ms(j->d);
    char start[SIM_START_MAX];
    int64_t back_s = 0;

    if (k && begun(j->d, k))
        return sim_refuse(j->op, RK_E_CONFLICT, "key %.64s has begun, at %s", k->key_id, k->start);
    if (start_s * 1000 <= now_ms)
        return sim_refuse(j->op, RK_E_CONFLICT, "the start time is past: %lld ms by the device's clock",
                          (long long)(now_ms - start_s * 1000));
    sim_time_put(j->d, start_s, start);
    if (!sim_time_get(j->d, start, &back_s) || back_s != start_s)
        return sim_refuse(j->op, RK_E_REJECTED, "the start time reads back as \"%s\", which is another", start);
    return RK_OK;
}

/* Staged again: the same key, with the same start. */
static bool
is_armed(const struct sim_job *j, const struct sim_terms *terms)
{
    const struct sim_key *k = sim_cak_find(j->f->cak, j->op->key_id);

    return k && k->place & SIM_CHAIN && k->seq == j->op->seq &&
           sim_chain_begins_ms(j->d, k) == terms->start_s * 1000;
}

/* One commit: ring, fallback slot and the new key with its start. */
static int
arm(struct sim_job *j, const struct sim_key *keep, int64_t start_s)
{
    struct sim_cak *c = j->f->cak;
    struct sim_key *k;

    for (size_t i = 0; i < c->n; i++) {
        c->keys[i].place &= ~SIM_FALLBACK;
        if (is_free(&c->keys[i], keep))
            c->keys[i].place = 0;
        if (&c->keys[i] == keep)
            c->keys[i].place |= SIM_FALLBACK;
    }
    k = sim_cak_enter(j);
    if (!k)
        return sim_refuse(j->op, RK_E_NOMEM, "out of memory");
    k->place |= SIM_CHAIN;
    sim_time_put(j->d, start_s, k->start);
    sim_cak_tidy(j->d, c);
    return RK_OK;
}

int
sim_chain_stage(struct sim_job *j)
{
    struct sim_terms terms;
    struct sim_key *keep;
    int err = sim_cak_check(j, &terms, &keep);

    if (err)
        return err;
    if (is_armed(j, &terms)) {
        j->f->cak->shut = false;
        return RK_OK;
    }
    err = check_start(j, terms.start_s);
    if (!err)
        err = check_room(j, keep);
    return err ? err : arm(j, keep, terms.start_s);
}

/* ---- RETIRE ---- */

/* The key to keep is the newest begun again: it is armed with a start time of now when it is not. */
static void
arm_again(struct sim_job *j, struct sim_key *keep)
{
    if (newest_begun(j->d, j->f->cak) == keep)
        return;
    keep->place |= SIM_CHAIN;
    sim_time_put(j->d, sim_device_ms(j->d) / 1000, keep->start);
    for (size_t i = 0; i < j->f->cak->n; i++) {
        struct sim_key *k = &j->f->cak->keys[i];

        if (k != keep && k->own && begun(j->d, k))
            k->place &= ~SIM_CHAIN;
    }
}

/* One that has not begun goes; one that has takes the place of the key that is armed again, for the peer's device may
 * have nothing else by now. */
static void
give_up(struct sim_job *j, struct sim_key *k, struct sim_key *keep)
{
    bool was_begun = begun(j->d, k);

    if (!was_begun && k->place & SIM_CHAIN)
        k->place = 0;
    if (!was_begun)
        return;
    k->place = SIM_FALLBACK;
    if (keep)
        keep->place &= ~SIM_FALLBACK;
}

int
sim_chain_retire(struct sim_job *j)
{
    struct sim_cak *c = j->f->cak;
    struct sim_key *k = sim_cak_find(c, j->op->key_id), *keep = NULL, *p = newest_begun(j->d, c);
    struct sim_terms terms;
    int err = sim_cak_terms(j->op, false, &terms);

    if (err)
        return err;
    if (terms.keep[0])
        keep = sim_cak_find(c, terms.keep);
    if (terms.keep[0] && !(keep && keep->place & SIM_HOLDS))
        return sim_refuse(j->op, RK_E_NOKEY, "the device has no key %.64s that could be kept", terms.keep);
    if (keep && p && p != keep && p != k && !p->own)
        return sim_refuse(j->op, RK_E_CONFLICT, "the key in use, %.64s, was installed by someone else", p->key_id);
    if (k) {
        sim_digest_hex(&k->digest, j->ev->digest);
        give_up(j, k, keep);
    }
    if (keep)
        arm_again(j, keep);
    sim_cak_tidy(j->d, c);
    return RK_OK;
}
