/* cak.c - CAKs of an interface, and the commits of classes B, C and E.
 *
 * A commit only says where each key is; mka.c makes participants of it.  A key that someone else installed is replaced
 * where a commit needs its slot, for a device has only one, and is otherwise left alone. */
#include "cak.h"

#include "../../common/keytext.h"

#include <stdlib.h>
#include <string.h>

struct sim_key *
sim_cak_find(const struct sim_cak *c, const char *key_id)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->keys[i].key_id, key_id) == 0)
            return &c->keys[i];
    return NULL;
}

struct sim_key *
sim_cak_at(const struct sim_cak *c, unsigned place)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->keys[i].place & place)
            return &c->keys[i];
    return NULL;
}

struct sim_key *
sim_cak_add(struct sim_cak *c, const char *key_id, const struct sim_digest *digest)
{
    struct sim_key *keys = realloc(c->keys, (c->n + 1) * sizeof *keys), *k;

    if (!keys)
        return NULL;
    c->keys = keys;
    k = &keys[c->n++];
    *k = (struct sim_key){.since_ns = SIM_NEVER, .digest = *digest};
    snprintf(k->key_id, sizeof k->key_id, "%s", key_id);
    return k;
}

void
sim_cak_tidy(const struct sim_device *d, struct sim_cak *c)
{
    int64_t now_ns = d->clock.boot_ns();
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++) {
        if (c->keys[i].place) {
            c->keys[n++] = c->keys[i];
            continue;
        }
        sim_mka_stop(c, &c->keys[i], now_ns);
    }
    c->n = n;
}

/* ---- terms ---- */

static bool
read_start(const char *text, int64_t *start_s)
{
    char *end;
    long long v = strtoll(text, &end, 10);

    *start_s = v;
    return end != text && *end == '\0' && v > 0 && v < 253402300800; /* up to the year 9999 */
}

int
sim_cak_terms(struct rk_dev_op *op, bool wants_start, struct sim_terms *terms)
{
    const char *text = op->text ? op->text : "keep=";
    const char *start = wants_start ? strstr(text, ",start=") : NULL;
    size_t len = start ? (size_t)(start - text) : strlen(text);

    *terms = (struct sim_terms){.start_s = 0};
    if (strncmp(text, "keep=", 5) != 0 || len - 5 >= sizeof terms->keep)
        return sim_refuse(op, RK_E_CONTRACT, "terms that are none: \"%.100s\"", text);
    memcpy(terms->keep, text + 5, len - 5);
    if (terms->keep[0] && !rkp_key_id_ok(terms->keep, len - 5))
        return sim_refuse(op, RK_E_CONTRACT, "terms without a key ID behind keep=: \"%.100s\"", text);
    if (wants_start && (!start || !read_start(start + 7, &terms->start_s)))
        return sim_refuse(op, RK_E_CONTRACT, "terms without a start time: \"%.100s\"", text);
    return RK_OK;
}

/* What "keep=" without a key means. */
static struct sim_key *
in_use(const struct sim_device *d, const struct sim_cak *c)
{
    const struct sim_key *k = sim_mka_sender(d, c);

    return k ? sim_cak_find(c, k->key_id) : sim_cak_at(c, SIM_PRIMARY);
}

/* The key of terms, which must be there. */
static int
find_keep(struct sim_job *j, const struct sim_terms *terms, unsigned places, struct sim_key **keep)
{
    *keep = sim_cak_find(j->f->cak, terms->keep);
    if (*keep && (*keep)->place & places)
        return RK_OK;
    *keep = NULL;
    return sim_refuse(j->op, RK_E_NOKEY, "the device has no key %.64s that could be kept", terms->keep);
}

int
sim_cak_check(struct sim_job *j, struct sim_terms *terms, struct sim_key **keep)
{
    struct sim_cak *c = j->f->cak;
    const struct sim_key *k = sim_cak_find(c, j->op->key_id);
    int err = sim_cak_terms(j->op, j->d->class->class == RK_CLASS_D, terms);

    *keep = NULL;
    if (err)
        return err;
    if (k && !sim_digest_same(&k->digest, &j->digest))
        return sim_refuse(j->op, RK_E_CONFLICT, "the device has other bytes for key ID %.64s", j->op->key_id);
    if (terms->keep[0] && strcmp(terms->keep, j->op->key_id) == 0)
        return sim_refuse(j->op, RK_E_CONTRACT, "a key cannot fall back to itself");
    if (terms->keep[0])
        return find_keep(j, terms, SIM_HOLDS, keep);
    *keep = in_use(j->d, c);
    return RK_OK;
}

struct sim_key *
sim_cak_enter(struct sim_job *j)
{
    struct sim_cak *c = j->f->cak;
    struct sim_key *k = sim_cak_find(c, j->op->key_id);

    if (!k)
        k = sim_cak_add(c, j->op->key_id, &j->digest);
    if (!k)
        return NULL;
    k->own = true;
    k->seq = j->op->seq;
    c->shut = false;
    snprintf(c->link, sizeof c->link, "%s", j->op->link);
    return k;
}

/* ---- STAGE ---- */

/* Is it done already? */
static bool
is_primary(struct sim_job *j)
{
    const struct sim_key *k = sim_cak_find(j->f->cak, j->op->key_id);

    return k && k->place & SIM_PRIMARY && k->seq == j->op->seq && sim_digest_same(&k->digest, &j->digest);
}

/* One commit: the new key primary, keep where `where` says, all else out. */
static int
commit(struct sim_job *j, const struct sim_key *keep, unsigned where)
{
    struct sim_cak *c = j->f->cak;
    char keep_id[RK_KEY_ID_MAX + 1];
    struct sim_key *k;

    snprintf(keep_id, sizeof keep_id, "%s", keep ? keep->key_id : "");
    k = sim_cak_enter(j);
    if (!k)
        return sim_refuse(j->op, RK_E_NOMEM, "out of memory");
    for (size_t i = 0; i < c->n; i++) {
        struct sim_key *other = &c->keys[i];

        if (other != k && strcmp(other->key_id, keep_id) == 0)
            other->place = where | (other->place & SIM_PRIMARY ? SIM_PRECEDING : 0);
        else
            other->place = other == k ? SIM_PRIMARY : 0;
    }
    sim_cak_tidy(j->d, c);
    return RK_OK;
}

int
sim_cak_stage(struct sim_job *j)
{
    struct sim_terms terms;
    struct sim_key *keep;
    int err;

    if (is_primary(j)) {
        j->f->cak->shut = false;
        return RK_OK;
    }
    err = sim_cak_check(j, &terms, &keep);
    return err ? err : commit(j, keep, SIM_FALLBACK);
}

int
sim_cak_stage_c(struct sim_job *j)
{
    struct sim_key *keep, *primary = sim_cak_at(j->f->cak, SIM_PRIMARY);
    struct sim_terms terms;
    int err;

    if (is_primary(j)) {
        j->f->cak->shut = false;
        return RK_OK;
    }
    err = sim_cak_check(j, &terms, &keep);
    if (err)
        return err;
    if (terms.keep[0] && keep != primary)
        return sim_refuse(j->op, RK_E_CONFLICT, "key %.64s is not the primary one, and would not become the preceding: "
                          "commit it again first", terms.keep);
    if (!primary)
        primary = sim_cak_at(j->f->cak, SIM_PRECEDING);
    return commit(j, primary, SIM_PRECEDING | SIM_SAVED);
}

/* ---- RETIRE ---- */

/* The primary key that is not the given-up one: an operator's is never replaced on the way back. */
static int
check_primary(struct sim_job *j, const struct sim_key *keep)
{
    const struct sim_key *p = sim_cak_at(j->f->cak, SIM_PRIMARY);

    if (!p || p == keep || p->own || strcmp(p->key_id, j->op->key_id) == 0)
        return RK_OK;
    return sim_refuse(j->op, RK_E_CONFLICT, "the primary key, %.64s, was installed by someone else", p->key_id);
}

/* What both RETIREs begin with.  places: where the key to keep may be */
static int
check_retire(struct sim_job *j, unsigned places, struct sim_key **keep)
{
    const struct sim_key *k = sim_cak_find(j->f->cak, j->op->key_id);
    struct sim_terms terms;
    int err = sim_cak_terms(j->op, false, &terms);

    *keep = NULL;
    if (!err && terms.keep[0])
        err = find_keep(j, &terms, places, keep);
    if (!err && *keep)
        err = check_primary(j, *keep);
    if (!err && k)
        sim_digest_hex(&k->digest, j->ev->digest);
    return err;
}

/* The given-up key changes places with the kept one: the peer's device may have nothing else by now.  It goes with the
 * next STAGE. */
static int
give_up(struct sim_job *j, struct sim_key *keep, unsigned place)
{
    struct sim_cak *c = j->f->cak;
    struct sim_key *k = sim_cak_find(c, j->op->key_id), *p = sim_cak_at(c, SIM_PRIMARY);

    if (p && (keep ? keep == p : k != p))
        return RK_OK; /* it is so */
    if (!k || !(k->place & SIM_HOLDS))
        k = p;
    for (size_t i = 0; i < c->n; i++)
        if (keep || &c->keys[i] == k)
            c->keys[i].place = 0;
    if (k)
        k->place = place;
    if (keep)
        keep->place = SIM_PRIMARY;
    sim_cak_tidy(j->d, c);
    return RK_OK;
}

int
sim_cak_retire(struct sim_job *j)
{
    struct sim_key *keep;
    int err = check_retire(j, SIM_HOLDS, &keep);

    return err ? err : give_up(j, keep, SIM_FALLBACK);
}

/* Class C: the kept key is committed again, from the rollback when the device has dropped it. */
int
sim_cak_retire_c(struct sim_job *j)
{
    struct sim_key *keep;
    int err = check_retire(j, SIM_HOLDS | SIM_SAVED, &keep);

    return err ? err : give_up(j, keep, SIM_PRECEDING);
}

/* ---- SHUT, SWEEP ---- */

int
sim_cak_shut(struct sim_job *j)
{
    j->f->cak->shut = true;
    return RK_OK;
}

int
sim_cak_sweep(struct sim_job *j)
{
    const struct sim_key *sender = sim_mka_sender(j->d, j->f->cak);
    struct sim_cak *c = j->f->cak;

    if (!sender || strcmp(sender->key_id, j->op->key_id) != 0)
        return sim_refuse(j->op, RK_E_CONFLICT, "the interface does not transmit on key %.64s", j->op->key_id);
    sim_digest_hex(&sender->digest, j->ev->digest);
    for (size_t i = 0; i < c->n; i++)
        if (&c->keys[i] != sender)
            c->keys[i].place = 0;
    sim_cak_tidy(j->d, c);
    return RK_OK;
}
