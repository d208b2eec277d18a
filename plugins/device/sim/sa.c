/* sa.c - class A: the rules of a device with static SAKs, and what its ends tell each other in tests.
 *
 * STAGE: the slot seq mod 4 must be free, or hold this very key.  ACTIVATE: the slot must hold the key.  RETIRE: not
 * the key that it sends with.  A key that is installed a second time is counted and logged: packet numbers repeat. */
#include "class.h"
#include "keep.h"
#include "sa.h"

#include "../../common/keytext.h"

#include <stdlib.h>
#include <string.h>

static bool
begin(struct sim_iface *f)
{
    f->sas = calloc(1, sizeof *f->sas);
    return f->sas != NULL;
}

static void
end(struct sim_iface *f)
{
    free(f->sas);
}

/* ---- operations ---- */

static struct sim_slot *
slot_of(struct sim_job *j)
{
    j->ev->an = (int)(j->op->seq % SIM_SLOTS);
    return &j->f->sas->slot[j->ev->an];
}

static bool
holds(const struct sim_slot *s, const struct rk_dev_op *op)
{
    return s->flags && s->seq == op->seq && strcmp(s->key_id, op->key_id) == 0 && strcmp(s->link, op->link) == 0;
}

static bool
facts_ok(const char *facts)
{
    return !facts[0] ||
           (strlen(facts) == 20 && strncmp(facts, "sci=", 4) == 0 && rkp_hex_len(facts + 4, 16) == 8);
}

static bool
was_used(const struct sim_sas *s, const struct sim_digest *digest)
{
    for (uint32_t i = 0; i < SIM_USED_MAX && i < s->n_used; i++)
        if (sim_digest_same(&s->used[i], digest))
            return true;
    return false;
}

static void
note_use(struct sim_job *j)
{
    struct sim_sas *sas = j->f->sas;

    j->ev->reused = was_used(sas, &j->digest);
    sas->used[sas->n_used++ % SIM_USED_MAX] = j->digest;
    if (!j->ev->reused)
        return;
    j->d->violations++;
    j->d->host->log(j->call, RK_LOG_ERR, "ev=violation what=reuse iface=%s link=%s seq=%llu key_id=%s an=%d count=%llu",
                    j->f->name, j->op->link, (unsigned long long)j->op->seq, j->op->key_id, j->ev->an,
                    (unsigned long long)j->d->violations);
}

static int
do_stage(struct sim_job *j)
{
    struct sim_slot *s = slot_of(j);
    struct rk_dev_op *op = j->op;

    if (!facts_ok(op->peer_facts))
        return sim_refuse(op, RK_E_PROTOCOL, "the peer's facts are not \"sci=\" and 16 hex digits");
    if (holds(s, op))
        return sim_digest_same(&s->digest, &j->digest)
                   ? RK_OK : sim_refuse(op, RK_E_CONFLICT, "AN %d holds other bytes for this key ID", j->ev->an);
    if (s->flags)
        return sim_refuse(op, RK_E_CONFLICT, "AN %d is taken by key %s of link %s%s", j->ev->an, s->key_id, s->link,
                          s->flags & RK_SENDING ? ", which is sent with" : "");
    note_use(j);
    *s = (struct sim_slot){.flags = RK_HELD_RX | RK_HELD_TX, .seq = op->seq, .digest = j->digest};
    snprintf(s->link, sizeof s->link, "%s", op->link);
    snprintf(s->key_id, sizeof s->key_id, "%s", op->key_id);
    return RK_OK;
}

static void
send_nothing(struct sim_sas *sas)
{
    for (int i = 0; i < SIM_SLOTS; i++)
        sas->slot[i].flags &= ~RK_SENDING;
}

static int
do_activate(struct sim_job *j)
{
    struct sim_slot *s = slot_of(j);

    if (!holds(s, j->op))
        return sim_refuse(j->op, RK_E_NOKEY, "AN %d %s", j->ev->an, s->flags ? "holds another key" : "is empty");
    send_nothing(j->f->sas);
    s->flags |= RK_SENDING;
    sim_digest_hex(&s->digest, j->ev->digest);
    return RK_OK;
}

static int
do_retire(struct sim_job *j)
{
    struct sim_slot *s = slot_of(j);

    if (!holds(s, j->op))
        return RK_OK;
    sim_digest_hex(&s->digest, j->ev->digest);
    if (s->flags & RK_SENDING)
        return sim_refuse(j->op, RK_E_CONFLICT, "AN %d is what the interface sends with", j->ev->an);
    memset(s, 0, sizeof *s);
    return RK_OK;
}

static int
do_shut(struct sim_job *j)
{
    send_nothing(j->f->sas);
    return RK_OK;
}

static int
do_sweep(struct sim_job *j)
{
    struct sim_slot *mine = slot_of(j);

    if (!holds(mine, j->op) || !(mine->flags & RK_SENDING))
        return sim_refuse(j->op, RK_E_CONFLICT, "the interface does not send with key %.64s", j->op->key_id);
    sim_digest_hex(&mine->digest, j->ev->digest);
    for (int i = 0; i < SIM_SLOTS; i++)
        if (&j->f->sas->slot[i] != mine)
            memset(&j->f->sas->slot[i], 0, sizeof j->f->sas->slot[i]);
    return RK_OK;
}

/* ---- what the other end wrote ---- */

static bool
read_peer(const char *text, struct sim_slot *slots)
{
    memset(slots, 0, SIM_SLOTS * sizeof *slots);
    for (const char *line = strstr(text, "\nslot "); line; line = strstr(line + 1, "\nslot ")) {
        struct sim_slot s = {0};
        unsigned long long seq;
        char flags[4], digest[SIM_DIGEST_HEX + 1];
        int an;

        if (sscanf(line + 1, "slot an=%1d flags=%3s seq=%20llu id=%64s digest=%32s", &an, flags, &seq, s.key_id,
                   digest) != 5 || an < 0 || an >= SIM_SLOTS || !sim_digest_read(digest, &s.digest))
            return false;
        s.seq = seq;
        s.flags = (flags[0] == 'r' ? RK_HELD_RX : 0) | (flags[2] == 's' ? RK_SENDING : 0);
        slots[an] = s;
    }
    return true;
}

/* The slot that from sends with when to cannot receive it; NULL: all is well. */
static const struct sim_slot *
unheard(const struct sim_slot *from, const struct sim_slot *to)
{
    for (int i = 0; i < SIM_SLOTS; i++)
        if (from[i].flags & RK_SENDING &&
            !(to[i].flags & RK_HELD_RX && sim_digest_same(&to[i].digest, &from[i].digest)))
            return &from[i];
    return NULL;
}

static struct sim_line
line_of(const char *op, const struct sim_slot *s, const char *link)
{
    struct sim_line l = {.op = op, .link = link, .key_id = s->key_id, .seq = s->seq, .an = (int)(s->seq % SIM_SLOTS)};

    sim_digest_hex(&s->digest, l.digest);
    return l;
}

static void
compare(const struct sim_device *d, struct sim_iface *f, const char *link, const char *peer, sim_line_fn *breach,
        void *arg)
{
    const struct sim_slot *mine, *theirs;
    struct sim_slot slots[SIM_SLOTS];
    struct sim_line l;

    (void)d;
    if (!read_peer(peer, slots))
        return;
    mine = unheard(f->sas->slot, slots);
    theirs = unheard(slots, f->sas->slot);
    if (mine && strcmp(mine->link, link) == 0) {
        l = line_of("peer-cannot-hear", mine, link);
        breach(arg, &l);
    }
    if (theirs) {
        l = line_of("cannot-hear-peer", theirs, link);
        breach(arg, &l);
    }
}

static size_t
print(const struct sim_device *d, const struct sim_iface *f, const char *link, char *text, size_t size)
{
    size_t len = (size_t)snprintf(text, size, "sci=%s\n", f->sci);
    char flags[4], digest[SIM_DIGEST_HEX + 1];

    (void)d;
    for (int i = 0; i < SIM_SLOTS && len < size; i++) {
        const struct sim_slot *s = &f->sas->slot[i];

        if (!s->flags || strcmp(s->link, link) != 0)
            continue;
        sim_flags(s->flags, flags);
        sim_digest_hex(&s->digest, digest);
        len += (size_t)snprintf(text + len, size - len, "slot an=%d flags=%s seq=%llu id=%s digest=%s\n", i, flags,
                                (unsigned long long)s->seq, s->key_id, digest);
    }
    return len;
}

static void
held(const struct sim_iface *f, sim_line_fn *fn, void *arg)
{
    for (int i = 0; i < SIM_SLOTS; i++) {
        const struct sim_slot *s = &f->sas->slot[i];
        struct sim_line l = line_of("boot", s, s->link);

        if (s->flags)
            fn(arg, &l);
    }
}

/* ---- observe ---- */

/* Is the key in slot an one of those asked for; a device knows the AN of a key, not the rotation it came with. */
static bool
is_asked(const struct rk_dev_seen *seen, const struct sim_slot *s, uint64_t an, size_t *at)
{
    for (*at = 0; *at < RK_SEEN_KEYS; (*at)++)
        if (seen->key_ids[*at] && strcmp(seen->key_ids[*at], s->key_id) == 0 && seen->seqs[*at] % SIM_SLOTS == an)
            return true;
    return false;
}

/* Frames are heard only with the same key in the same slot. */
static bool
peer_sends(const struct sim_peers *peers, const struct sim_slot *s, int an)
{
    struct sim_slot slots[SIM_SLOTS];

    for (size_t i = 0; peers && !peers->cut && i < peers->n; i++)
        if (read_peer(peers->text[i], slots) && slots[an].flags & RK_SENDING &&
            sim_digest_same(&slots[an].digest, &s->digest))
            return true;
    return false;
}

static void
look(const struct sim_device *d, const struct sim_iface *f, const struct sim_peers *peers, struct rk_dev_seen *seen)
{
    size_t at;

    (void)d;
    seen->err = RK_OK;
    seen->state = RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED;
    snprintf(seen->facts, sizeof seen->facts, "sci=%s", f->sci);
    for (int i = 0; i < SIM_SLOTS; i++) {
        const struct sim_slot *s = &f->sas->slot[i];

        if (!s->flags)
            continue;
        if (is_asked(seen, s, (uint64_t)i, &at)) {
            seen->held[at] = s->flags | (s->flags & RK_HELD_RX && peer_sends(peers, s, i) ? RK_PEER_USES : 0);
            continue;
        }
        sim_foreign(seen, s->key_id);
        if (s->flags & RK_SENDING)
            seen->state |= RK_IF_OTHER;
    }
}

/* ---- state file ---- */

static void
save(const struct sim_iface *f, FILE *out)
{
    const struct sim_sas *sas = f->sas;
    uint32_t n = sas->n_used < SIM_USED_MAX ? sas->n_used : SIM_USED_MAX;
    char flags[4], digest[SIM_DIGEST_HEX + 1];

    for (int i = 0; i < SIM_SLOTS; i++) {
        const struct sim_slot *s = &sas->slot[i];

        sim_flags(s->flags, flags);
        sim_digest_hex(&s->digest, digest);
        if (s->flags)
            fprintf(out, "slot %d %s %llu %s %s %s\n", i, flags, (unsigned long long)s->seq, s->link, s->key_id,
                    digest);
    }
    for (uint32_t i = sas->n_used - n; i != sas->n_used; i++) {
        sim_digest_hex(&sas->used[i % SIM_USED_MAX], digest);
        fprintf(out, "used %s\n", digest);
    }
}

/* RK_KEY_ID_MAX, RK_LINK_MAX and SIM_DIGEST_HEX are 64, 32 and 32: the widths below. */
static bool
load_slot(struct sim_sas *sas, const char *line)
{
    char flags[4], want[4], digest[SIM_DIGEST_HEX + 1];
    struct sim_slot s = {0};
    unsigned long long seq;
    int an, end = 0;

    if (sscanf(line, "slot %1d %3s %20llu %32s %64s %32s%n", &an, flags, &seq, s.link, s.key_id, digest, &end) != 6 ||
        line[end] != '\0' || an < 0 || an >= SIM_SLOTS || seq % SIM_SLOTS != (unsigned)an ||
        !sim_digest_read(digest, &s.digest) || sas->slot[an].flags)
        return false;
    s.seq = seq;
    s.flags = (flags[0] == 'r' ? RK_HELD_RX : 0) | (flags[1] == 't' ? RK_HELD_TX : 0) |
              (flags[2] == 's' ? RK_SENDING : 0);
    sim_flags(s.flags, want);
    sas->slot[an] = s;
    return s.flags && strcmp(flags, want) == 0;
}

static bool
load(const struct sim_device *d, struct sim_iface *f, const char *line)
{
    struct sim_digest digest;

    (void)d;
    if (strncmp(line, "slot ", 5) == 0)
        return load_slot(f->sas, line);
    if (strncmp(line, "used ", 5) != 0 || !sim_digest_read(line + 5, &digest))
        return false;
    f->sas->used[f->sas->n_used++ % SIM_USED_MAX] = digest;
    return true;
}

const struct sim_class sim_class_a = {
    .class = RK_CLASS_A,
    .name = "a",
    .ops = {"none", "stage", "activate", "retire", "describe", "shut", "sweep"},
    .op = {[RK_OP_STAGE] = do_stage, [RK_OP_ACTIVATE] = do_activate, [RK_OP_RETIRE] = do_retire,
           [RK_OP_SHUT] = do_shut, [RK_OP_SWEEP] = do_sweep},
    .begin = begin,
    .end = end,
    .look = look,
    .print = print,
    .compare = compare,
    .held = held,
    .save = save,
    .load = load,
};
