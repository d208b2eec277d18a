/* cak_class.c - classes B to E: what is told of CAKs (observe, the other end, a test, the state file), and the rows. */
#include "cak.h"

#include <stdlib.h>
#include <string.h>

#define PLACES "pfrcs" /* letters of SIM_PRIMARY, SIM_FALLBACK ... */
#define LINE_MAX_BYTES 300

static bool
begin(struct sim_iface *f)
{
    f->cak = calloc(1, sizeof *f->cak);
    return f->cak != NULL;
}

static void
end(struct sim_iface *f)
{
    free(f->cak->keys);
    free(f->cak);
}

/* ---- observe ---- */

static uint32_t
flags_of(const struct sim_device *d, const struct sim_cak *c, const struct sim_key *k)
{
    return (k->place & SIM_HOLDS ? RK_HELD_RX : 0) | (k->place & SIM_PRIMARY ? RK_HELD_TX : 0) |
           (k == sim_mka_sender(d, c) ? RK_SENDING : 0) | (sim_mka_live(d, k) ? RK_PEER_USES : 0);
}

static void
look_at(const struct sim_device *d, const struct sim_cak *c, const struct sim_key *k, struct rk_dev_seen *seen)
{
    uint32_t flags = flags_of(d, c, k);
    bool asked = false;

    for (int i = 0; i < RK_SEEN_KEYS; i++)
        if (seen->key_ids[i] && strcmp(seen->key_ids[i], k->key_id) == 0) {
            seen->held[i] = flags;
            asked = true;
        }
    if (asked || !(k->place & SIM_HOLDS))
        return;
    sim_foreign(seen, k->key_id);
    if (flags & RK_SENDING)
        seen->state |= RK_IF_OTHER;
}

static void
look(const struct sim_device *d, const struct sim_iface *f, const struct sim_peers *peers, struct rk_dev_seen *seen)
{
    (void)peers;
    seen->err = RK_OK;
    seen->state = RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED | RK_IF_CLASS(d->class->class);
    if (d->class->class == RK_CLASS_D)
        snprintf(seen->facts, sizeof seen->facts, "clk=%lld", (long long)d->clock_offset_ms);
    for (size_t i = 0; i < f->cak->n; i++)
        look_at(d, f->cak, &f->cak->keys[i], seen);
}

/* ---- the other end ---- */

static const char *
role(const struct sim_key *k)
{
    return k->place & SIM_PRIMARY ? "primary" : k->place & SIM_PRECEDING ? "preceding"
           : k->place & SIM_FALLBACK ? "fallback" : "chain";
}

static void
print_key(FILE *out, const struct sim_device *d, const struct sim_key *k)
{
    bool waits = k->since_ns > d->clock.boot_ns();
    char digest[SIM_DIGEST_HEX + 1];

    sim_digest_hex(&k->digest, digest);
    fprintf(out, "cak role=%s status=%s seq=%llu id=%s digest=%s since=%lld until=0\n", role(k),
            waits ? "waiting" : sim_mka_live(d, k) ? "live" : "in-progress", (unsigned long long)k->seq, k->key_id,
            digest, (long long)k->since_ns);
}

static void
print_gone(FILE *out, const struct sim_gone *g)
{
    char digest[SIM_DIGEST_HEX + 1];

    sim_digest_hex(&g->digest, digest);
    fprintf(out, "cak role=none status=gone seq=0 id=%s digest=%s since=%lld until=%lld\n", g->key_id, digest,
            (long long)g->since_ns, (long long)g->until_ns);
}

/* Participants, then what was one until lately, then keys whose time will come, as many as fit. */
static size_t
print(const struct sim_device *d, const struct sim_iface *f, const char *link, char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");
    const struct sim_cak *c = f->cak;
    int64_t now_ns = d->clock.boot_ns();
    long len;

    (void)link;
    if (!out)
        return size;
    fprintf(out, "class=%s shut=%d\n", d->class->name, c->shut);
    for (size_t i = 0; i < c->n; i++)
        if (c->keys[i].since_ns <= now_ns)
            print_key(out, d, &c->keys[i]);
    for (size_t i = 0; i < SIM_GONE; i++)
        if (c->gone[i].until_ns && now_ns - c->gone[i].until_ns < SIM_LIFE * d->hello_ns)
            print_gone(out, &c->gone[i]);
    for (size_t i = 0; i < c->n && ftell(out) + LINE_MAX_BYTES < (long)size; i++)
        if (c->keys[i].since_ns > now_ns && c->keys[i].since_ns != SIM_NEVER)
            print_key(out, d, &c->keys[i]);
    len = ftell(out);
    return fclose(out) == 0 && len >= 0 ? (size_t)len : size;
}

/* Do both ends have a key of now in common?  Counts their keys. */
static bool
have_common(const struct sim_device *d, const struct sim_cak *c, const struct sim_air *air, size_t *mine,
            size_t *theirs)
{
    int64_t now_ns = d->clock.boot_ns();
    bool common = false;

    *mine = *theirs = 0;
    for (size_t n = 0; n < air->n; n++)
        *theirs += air->hello[n].until_ns == 0 && air->hello[n].since_ns <= now_ns;
    for (size_t i = 0; i < c->n; i++) {
        const struct sim_key *k = &c->keys[i];

        *mine += k->since_ns <= now_ns;
        for (size_t n = 0; k->since_ns <= now_ns && n < air->n; n++) {
            const struct sim_hello *h = &air->hello[n];

            common |= h->until_ns == 0 && h->since_ns <= now_ns && strcmp(h->key_id, k->key_id) == 0 &&
                      sim_digest_same(&h->digest, &k->digest);
        }
    }
    return common;
}

/* An end that lost everything (its peer has no key at all) is no breach of the protocol; one that gave up its last key
 * while the peer has some is. */
static void
compare(const struct sim_device *d, struct sim_iface *f, const char *link, const char *peer, sim_line_fn *breach,
        void *arg)
{
    const struct sim_key *k = sim_cak_at(f->cak, SIM_PRIMARY);
    struct sim_line l = {.op = "no-common-key", .link = link, .key_id = k ? k->key_id : "", .seq = k ? k->seq : 0,
                         .an = -1};
    struct sim_air air;
    size_t mine, theirs;

    sim_air_read(peer, &air);
    if (f->cak->shut || air.shut)
        return;
    if (have_common(d, f->cak, &air, &mine, &theirs)) {
        f->cak->met = true;
        return;
    }
    if (f->cak->met && theirs > 0)
        breach(arg, &l);
}

static struct sim_line
line_of(const char *op, const struct sim_cak *c, const struct sim_key *k)
{
    struct sim_line l = {.op = op, .link = c->link, .key_id = k ? k->key_id : "", .seq = k ? k->seq : 0, .an = -1};

    if (k)
        sim_digest_hex(&k->digest, l.digest);
    return l;
}

static void
held(const struct sim_iface *f, sim_line_fn *fn, void *arg)
{
    for (size_t i = 0; i < f->cak->n; i++) {
        struct sim_line l = line_of("hold", f->cak, &f->cak->keys[i]);

        if (f->cak->keys[i].place & SIM_HOLDS)
            fn(arg, &l);
    }
}

static bool
used(const struct sim_device *d, struct sim_iface *f, struct sim_line *line)
{
    const struct sim_key *k = sim_mka_sender(d, f->cak);

    if (strcmp(f->cak->told, k ? k->key_id : "") == 0)
        return false;
    snprintf(f->cak->told, sizeof f->cak->told, "%s", k ? k->key_id : "");
    *line = line_of("use", f->cak, k);
    return true;
}

/* ---- state file ---- */

static void
save_key(const struct sim_key *k, FILE *out)
{
    char places[sizeof PLACES], digest[SIM_DIGEST_HEX + 1];

    for (size_t i = 0; i < sizeof PLACES; i++)
        places[i] = k->place & 1u << i ? PLACES[i] : '-';
    places[sizeof PLACES - 1] = '\0';
    sim_digest_hex(&k->digest, digest);
    fprintf(out, "cak %s %d %llu %s %s %lld %lld %s\n", places, k->own, (unsigned long long)k->seq, k->key_id, digest,
            k->since_ns == SIM_NEVER ? -1 : (long long)k->since_ns, (long long)k->heard_ns,
            k->start[0] ? k->start : "-");
}

static void
save(const struct sim_iface *f, FILE *out)
{
    const struct sim_cak *c = f->cak;

    if (c->n == 0 && !c->shut && !c->unknown)
        return;
    fprintf(out, "link %s %d %d %u\n", c->link[0] ? c->link : "-", c->shut, c->met, c->unknown);
    for (size_t i = 0; i < c->n; i++)
        save_key(&c->keys[i], out);
}

static bool
load_link(struct sim_cak *c, const char *line)
{
    unsigned shut, met;
    int end = 0;

    if (sscanf(line, "link %32s %1u %1u %9u%n", c->link, &shut, &met, &c->unknown, &end) != 4 || line[end] != '\0' ||
        shut > 1 || met > 1)
        return false;
    if (strcmp(c->link, "-") == 0)
        c->link[0] = '\0';
    c->shut = shut;
    c->met = met;
    return true;
}

static bool
load_places(struct sim_key *k, const char *places)
{
    if (strlen(places) != sizeof PLACES - 1)
        return false;
    for (size_t i = 0; i < sizeof PLACES - 1; i++) {
        if (places[i] != '-' && places[i] != PLACES[i])
            return false;
        k->place |= places[i] == '-' ? 0 : 1u << i;
    }
    return k->place != 0;
}

/* RK_KEY_ID_MAX, SIM_DIGEST_HEX and SIM_START_MAX - 1 are 64, 32 and 19: the widths below. */
static bool
load_key(const struct sim_device *d, struct sim_cak *c, const char *line)
{
    char places[sizeof PLACES], key_id[RK_KEY_ID_MAX + 1], hex[SIM_DIGEST_HEX + 1], start[SIM_START_MAX];
    struct sim_digest digest;
    unsigned long long seq;
    long long since, heard;
    struct sim_key *k;
    int64_t start_s;
    int end = 0;
    unsigned own;

    if (sscanf(line, "cak %5s %1u %20llu %64s %32s %20lld %20lld %19s%n", places, &own, &seq, key_id, hex, &since,
               &heard, start, &end) != 8 || line[end] != '\0' || own > 1 || heard < 0 ||
        !sim_digest_read(hex, &digest) || sim_cak_find(c, key_id))
        return false;
    if (strcmp(start, "-") == 0)
        start[0] = '\0';
    else if (!sim_time_get(d, start, &start_s))
        return false;
    k = sim_cak_add(c, key_id, &digest);
    if (!k || !load_places(k, places) || (k->place & SIM_CHAIN && !start[0]))
        return false;
    k->own = own;
    k->seq = seq;
    memcpy(k->start, start, sizeof start);
    k->since_ns = since < 0 ? SIM_NEVER : since;
    k->heard_ns = heard;
    return true;
}

static bool
load(const struct sim_device *d, struct sim_iface *f, const char *line)
{
    if (strncmp(line, "link ", 5) == 0)
        return load_link(f->cak, line);
    return strncmp(line, "cak ", 4) == 0 && load_key(d, f->cak, line);
}

/* ---- the rows ---- */

#define OP_NAMES {"none", "commit", "activate", "revert", "describe", "shut", "sweep"}
#define ROW \
    .ops = OP_NAMES, .begin = begin, .end = end, .settle = sim_mka_settle, .look = look, .print = print, \
    .compare = compare, .held = held, .used = used, .save = save, .load = load

const struct sim_class sim_class_b = {
    .class = RK_CLASS_B, .name = "b", ROW,
    .op = {[RK_OP_STAGE] = sim_cak_stage, [RK_OP_RETIRE] = sim_cak_retire, [RK_OP_SHUT] = sim_cak_shut,
           [RK_OP_SWEEP] = sim_cak_sweep},
};

const struct sim_class sim_class_c = {
    .class = RK_CLASS_C, .name = "c", ROW,
    .op = {[RK_OP_STAGE] = sim_cak_stage_c, [RK_OP_RETIRE] = sim_cak_retire_c, [RK_OP_SHUT] = sim_cak_shut,
           [RK_OP_SWEEP] = sim_cak_sweep},
};

const struct sim_class sim_class_d = {
    .class = RK_CLASS_D, .name = "d", ROW,
    .op = {[RK_OP_STAGE] = sim_chain_stage, [RK_OP_RETIRE] = sim_chain_retire, [RK_OP_SHUT] = sim_cak_shut,
           [RK_OP_SWEEP] = sim_cak_sweep},
};

/* As B; what differs is the other end, which never answers. */
const struct sim_class sim_class_e = {
    .class = RK_CLASS_E, .name = "e", ROW,
    .op = {[RK_OP_STAGE] = sim_cak_stage, [RK_OP_RETIRE] = sim_cak_retire, [RK_OP_SHUT] = sim_cak_shut,
           [RK_OP_SWEEP] = sim_cak_sweep},
};

const struct sim_class *const sim_classes[SIM_CLASSES] = {&sim_class_a, &sim_class_b, &sim_class_c, &sim_class_d,
                                                          &sim_class_e};
