/* file.c - key source "file": keys that were made elsewhere and lie in a pool on disk
 *
 * Each key is given out once, and that it was is on the disk before the key is: after a crash a key may be lost, but
 * is never used twice.  Runs on a worker thread of rekey-host, one call at a time per instance.
 */
#include "pool.h"

#include "../../common/keytext.h"
#include "../../common/used.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 64

struct source {
    const struct rk_host *host;
    struct pool pool;
    struct rkp_used used;
    bool from_end; /* new keys are taken from the end of the pool */
};

static const char *const takes[] = {"first", "last", NULL};

static const struct rk_opt file_opts[] = {
    {.name = "pool", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED,
     .help = "File with lines \"KEY-ID KEY\" or JSON (mode 0600), or directory with files KEY-ID.key (mode 0700); "
             "rekeyctl keygen makes pools"},
    {.name = "take", .type = RK_OPT_ENUM, .dflt = "first", .choices = takes,
     .help = "From which end of the pool new keys are taken; when both sites take new keys from one pool, give one "
             "first and the other last"},
    {.name = NULL},
};

static void
file_fini(void *inst)
{
    struct source *s = inst;

    pool_free(&s->pool);
    rkp_used_close(&s->used);
    free(s);
}

static void
mark_used(void *arg, const char *id)
{
    struct pool_key *k = pool_find(arg, id);

    if (k)
        k->used = true;
}

/* Lock the list of used keys, and know all that is in the pool and in the list.  When RK_OK the lock is held. */
static int
begin(struct source *s, struct rk_call *call)
{
    bool loaded;
    int err = rkp_used_lock(&s->used, call);

    if (err)
        return err;
    err = pool_refresh(&s->pool, call, &loaded);
    if (loaded)
        s->used.read_to = 0;
    if (!err)
        err = rkp_used_read(&s->used, call, mark_used, &s->pool);
    if (err)
        rkp_used_unlock(&s->used);
    return err;
}

static int
file_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    const char *pool = host->conf_str(conf, "pool"), *state_dir = host->conf_str(conf, RK_CONF_STATE_DIR);
    const char *name = host->conf_str(conf, RK_CONF_NAME);
    struct source *s = calloc(1, sizeof *s);
    char path[4096];
    int err;

    if (!s)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    s->host = s->pool.host = s->used.host = host;
    s->used.fd = -1;
    s->from_end = host->conf_int(conf, "take") == 1;
    s->pool.path = pool ? strdup(pool) : NULL;
    if (!s->pool.path || !state_dir || !name || !rkp_name_ok(name, strlen(name), 32) ||
        snprintf(path, sizeof path, "%s/file-%s.used", state_dir, name) >= (int)sizeof path) {
        err = host->fail(call, RK_E_CONFIG, "pool: needs a path, and a directory for the state of the daemon");
        goto fail;
    }
    err = rkp_used_open(&s->used, call, path);
    if (!err)
        err = begin(s, call);
    if (err)
        goto fail;
    rkp_used_unlock(&s->used);
    *inst = s;
    return RK_OK;

fail:
    file_fini(s);
    return err;
}

/* Write down that these keys are used; only then may they be read. */
static int
consume(struct source *s, struct rk_call *call, struct pool_key *const *chosen, size_t n)
{
    char lines[BATCH_MAX * (RK_KEY_ID_MAX + 1)];
    size_t len = 0;
    int err;

    for (size_t i = 0; i < n; i++)
        if (chosen[i]) {
            const char *id = pool_id(&s->pool, chosen[i]);

            memcpy(lines + len, id, strlen(id));
            len += strlen(id);
            lines[len++] = '\n';
        }
    err = len > 0 ? rkp_used_add(&s->used, call, lines, len) : RK_OK;
    for (size_t i = 0; !err && i < n; i++)
        if (chosen[i])
            chosen[i]->used = true;
    return err;
}

/* Read the chosen keys; where none was chosen the entry keeps its code.
 * ret: RK_OK when one was read, else the first code */
static int
hand_out(struct source *s, struct rk_call *call, struct pool_key *const *chosen, struct rk_key *keys, size_t n)
{
    int first = RK_OK;
    bool some = false;

    for (size_t i = 0; i < n; i++) {
        if (chosen[i]) {
            snprintf(keys[i].id, sizeof keys[i].id, "%s", pool_id(&s->pool, chosen[i]));
            keys[i].err = pool_read(&s->pool, call, chosen[i], &keys[i].secret);
            if (keys[i].err == RK_E_AGAIN)
                keys[i].err = s->host->fail(call, RK_E_BUSY, "pool: %s: was changed while key %s was taken; the key is "
                                            "lost", s->pool.path, keys[i].id);
        }
        some = some || keys[i].err == RK_OK;
        first = first ? first : keys[i].err;
    }
    return some ? RK_OK : first;
}

static int
check_request(struct source *s, struct rk_call *call, uint32_t bits, size_t n)
{
    if (n == 0 || n > BATCH_MAX || bits == 0 || bits % 8)
        return s->host->fail(call, RK_E_CONTRACT, "%zu keys of %u bits; 1 to %d of whole bytes can be", n, bits,
                             BATCH_MAX);
    return RK_OK;
}

static int
fail_all(struct rk_key *keys, size_t n, int err)
{
    for (size_t i = 0; i < n; i++) {
        keys[i].secret = NULL;
        keys[i].err = err;
    }
    return err;
}

static int
say_empty(struct source *s, struct rk_call *call, uint32_t bits)
{
    size_t used = 0;

    for (size_t i = 0; i < s->pool.n; i++)
        used += s->pool.keys[i].used;
    return s->host->fail(call, RK_E_EMPTY, "pool: %s: no unused key of %u bits is left (%zu keys, %zu used); add keys "
                         "with new IDs, the same at both ends", s->pool.path, bits, s->pool.n, used);
}

/* The i-th key from the end that this site takes new keys from. */
static struct pool_key *
nth(const struct source *s, size_t i)
{
    return &s->pool.keys[s->from_end ? s->pool.n - 1 - i : i];
}

/* Up to n unused keys of this size.  ret: how many */
static size_t
choose_new(struct source *s, uint32_t bits, struct pool_key **chosen, size_t n)
{
    size_t found = 0;

    while (s->pool.begin < s->pool.n && nth(s, s->pool.begin)->used)
        s->pool.begin++;
    for (size_t i = s->pool.begin; i < s->pool.n && found < n; i++)
        if (!nth(s, i)->used && nth(s, i)->bits == bits)
            chosen[found++] = nth(s, i);
    return found;
}

static int
file_get_new(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct pool_key *chosen[BATCH_MAX] = {NULL};
    struct source *s = inst;
    int err = check_request(s, call, bits, n);

    (void)peer_sae; /* a pool is for one peer: its copy is at the other end */
    if (!err)
        err = begin(s, call);
    if (err)
        return fail_all(keys, n, err);
    fail_all(keys, n, RK_E_EMPTY); /* what is not chosen below */
    err = choose_new(s, bits, chosen, n) ? consume(s, call, chosen, n) : say_empty(s, call, bits);
    err = err ? fail_all(keys, n, err) : hand_out(s, call, chosen, keys, n);
    rkp_used_unlock(&s->used);
    return err;
}

/* A key that is not in the pool: it may yet be brought here, unless it was here before. */
static int
say_absent(struct source *s, struct rk_call *call, const char *id)
{
    bool used;
    int err = rkp_used_has(&s->used, call, id, &used);

    if (err)
        return err;
    if (used)
        return s->host->fail(call, RK_E_KEY_GONE, "pool: %s: key %.64s was used before", s->pool.path, id);
    return s->host->fail(call, RK_E_AGAIN, "pool: %s: has no key %.64s yet; both ends need the same pool: copy it here "
                         "again if the other end has a newer one", s->pool.path, id);
}

/* The key with the ID of an entry, or NULL with the reason in entry and call. */
static struct pool_key *
choose(struct source *s, struct rk_call *call, uint32_t bits, struct rk_key *entry)
{
    struct pool_key *k;

    rkp_key_id_fold(entry->id);
    k = pool_find(&s->pool, entry->id);
    if (!k)
        entry->err = say_absent(s, call, entry->id);
    else if (k->used)
        entry->err = s->host->fail(call, RK_E_KEY_GONE, "pool: %s: key %.64s was used before", s->pool.path, entry->id);
    else if (k->bits != bits)
        entry->err = s->host->fail(call, RK_E_KEY_SIZE, "pool: %s: key %.64s has %u bits, not %u", s->pool.path,
                                   entry->id, k->bits, bits);
    else
        return k;
    return NULL;
}

static bool
is_chosen(struct pool_key *const *chosen, size_t n, const struct pool_key *k)
{
    for (size_t i = 0; i < n; i++)
        if (k && chosen[i] == k)
            return true;
    return false;
}

static int
file_get_by_id(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct pool_key *chosen[BATCH_MAX] = {NULL};
    struct source *s = inst;
    int err = check_request(s, call, bits, n);

    (void)peer_sae;
    if (!err)
        err = begin(s, call);
    if (err)
        return fail_all(keys, n, err);
    for (size_t i = 0; i < n; i++) {
        struct pool_key *k = choose(s, call, bits, &keys[i]);

        keys[i].secret = NULL;
        if (is_chosen(chosen, i, k)) /* twice in one request: the second is gone */
            keys[i].err = RK_E_KEY_GONE;
        else
            chosen[i] = k;
    }
    err = consume(s, call, chosen, n);
    err = err ? fail_all(keys, n, err) : hand_out(s, call, chosen, keys, n);
    rkp_used_unlock(&s->used);
    return err;
}

static int
file_status(void *inst, struct rk_call *call, const char *peer_sae, struct rk_source_status *st)
{
    struct source *s = inst;
    int err = begin(s, call);

    (void)peer_sae;
    *st = (struct rk_source_status){.max_per_request = BATCH_MAX, .min_bits = -1, .max_bits = -1};
    if (err) {
        st->stored_keys = -1;
        return err;
    }
    for (size_t i = 0; i < s->pool.n; i++) {
        const struct pool_key *k = &s->pool.keys[i];

        if (k->used)
            continue;
        st->stored_keys++;
        st->min_bits = st->min_bits < 0 || k->bits < st->min_bits ? k->bits : st->min_bits;
        st->max_bits = k->bits > st->max_bits ? k->bits : st->max_bits;
    }
    snprintf(st->text, sizeof st->text, "%lld of %zu keys left in %.100s", (long long)st->stored_keys, s->pool.n,
             s->pool.path);
    rkp_used_unlock(&s->used);
    return RK_OK;
}

static const struct rk_source_ops file_ops = {
    .size = sizeof file_ops,
    .get_new = file_get_new,
    .get_by_id = file_get_by_id,
    .status = file_status,
};

__attribute__((visibility("default"))) const struct rk_plugin file_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_SOURCE, 0),
    .name = "file",
    .version = PACKAGE_VERSION,
    .summary = "keys from a pool on disk, each used once",
    .opts = file_opts,
    .opt_size = sizeof(struct rk_opt),
    .init = file_init,
    .fini = file_fini,
    .ops = &file_ops,
};
