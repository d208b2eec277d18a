/* keyout.c - key source "keyout": a key file that another daemon, as Rosenpass, rewrites with a fresh key
 *
 * What the file holds now is the next key.  Each is given once at each end, and that it was is on the disk before it
 * is: after a crash a key may be lost, but is never used twice.  Runs on a worker thread of rekey-host, one call at a
 * time per instance.
 */
#include "gens.h"

#include "../../common/files.h"
#include "../../common/keytext.h"
#include "../../common/used.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 1000 /* for a key that the other end has already: its file is written moments earlier */
#define LOOK_MS 25
#define LATE 3       /* periods without a new key: the daemon that writes it has come to a stop */

struct source {
    const struct rk_host *host;
    struct gens gens;
    struct rkp_used used;
    int64_t period_ms;
};

static const struct rk_opt keyout_opts[] = {
    {.name = "file", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED,
     .help = "File that is rewritten with a fresh key, in hex, base64 or as it is (mode 0600); Rosenpass calls it "
             "key_out"},
    {.name = "owner", .type = RK_OPT_STRING, .min = 1, .max = 64,
     .help = "User that writes the file, when it is neither root nor the daemon's user; the file's group may then read "
             "it (mode 0640)"},
    {.name = "bits", .type = RK_OPT_INT, .unit = "bits", .min = 128, .max = RK_SECRET_MAX * 8, .dflt = "256",
     .help = "Size of the key in the file, a multiple of 16; what has another size is being written"},
    {.name = "period", .type = RK_OPT_DURATION, .min = 1000, .max = 86400000, .dflt = "120s",
     .help = "How often the file is rewritten; after three of these without a new key the source is dry"},
    {.name = NULL},
};

static void
keyout_fini(void *inst)
{
    struct source *s = inst;

    gens_free(&s->gens);
    rkp_used_close(&s->used);
    free(s);
}

static void
mark_used(void *arg, const char *id)
{
    struct gen *gen = gens_find(arg, id);

    if (!gen)
        return;
    gen->used = true;
    ((struct gens *)arg)->host->secret_free(&gen->key);
}

/* Look at the file, and know what of it was used.  When RK_OK the lock of the list is held; *file_err says whether
 * the newest key is the file's. */
static int
begin(struct source *s, struct rk_call *call, int *file_err)
{
    bool fresh;
    int err;

    *file_err = gens_read(&s->gens, call, &fresh);
    err = rkp_used_lock(&s->used, call);
    if (err)
        return err;
    if (fresh)
        s->used.read_to = 0;
    err = rkp_used_read(&s->used, call, mark_used, &s->gens);
    if (err)
        rkp_used_unlock(&s->used);
    return err;
}

/* A file that is not there yet is no reason not to start: it is written with the first handshake. */
static int
first_look(struct source *s, struct rk_call *call)
{
    int file_err, err = begin(s, call, &file_err);

    if (err)
        return err;
    rkp_used_unlock(&s->used);
    if (file_err != RK_E_NOENT && file_err != RK_E_AGAIN)
        return file_err;
    s->host->log(call, RK_LOG_WARNING, "ev=key-file file=%s res=%s", s->gens.path,
                 file_err == RK_E_NOENT ? "absent" : "incomplete");
    return RK_OK;
}

/* By name or by number. */
static int
find_owner(struct source *s, struct rk_call *call, const char *name)
{
    struct passwd entry, *found = NULL;
    char buf[4096], *end;
    unsigned long uid;

    s->gens.owner = geteuid();
    if (!name)
        return RK_OK;
    uid = strtoul(name, &end, 10);
    if (name[0] >= '0' && name[0] <= '9' && !*end && uid < UINT32_MAX)
        s->gens.owner = (uid_t)uid;
    else if (getpwnam_r(name, &entry, buf, sizeof buf, &found) == 0 && found)
        s->gens.owner = found->pw_uid;
    else
        return s->host->fail(call, RK_E_CONFIG, "owner: there is no user %.64s", name);
    return RK_OK;
}

static int
keyout_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    const char *file = host->conf_str(conf, "file"), *state_dir = host->conf_str(conf, RK_CONF_STATE_DIR);
    const char *name = host->conf_str(conf, RK_CONF_NAME);
    int64_t bits = host->conf_int(conf, "bits");
    struct source *s = calloc(1, sizeof *s);
    char path[4096];
    int err;

    if (!s)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    s->host = s->gens.host = s->used.host = host;
    s->used.fd = -1;
    s->period_ms = host->conf_int(conf, "period");
    s->gens.len = (size_t)bits / 8;
    s->gens.path = file ? strdup(file) : NULL;
    if (!s->gens.path || !state_dir || !name || !rkp_name_ok(name, strlen(name), 32) ||
        snprintf(path, sizeof path, "%s/keyout-%s.used", state_dir, name) >= (int)sizeof path)
        err = host->fail(call, RK_E_CONFIG, "file: needs a path, and a directory for the state of the daemon");
    else if (bits % 16)
        err = host->fail(call, RK_E_CONFIG, "bits: %lld is not a multiple of 16", (long long)bits);
    else
        err = find_owner(s, call, host->conf_str(conf, "owner"));
    if (!err)
        err = rkp_used_open(&s->used, call, path);
    if (!err)
        err = first_look(s, call);
    if (err)
        keyout_fini(s);
    else
        *inst = s;
    return err;
}

static int
check_request(struct source *s, struct rk_call *call, uint32_t bits, struct rk_key *keys, size_t n)
{
    int err = RK_OK;

    if (n == 0 || bits == 0 || bits % 8)
        err = s->host->fail(call, RK_E_CONTRACT, "%zu keys of %u bits; one or more of whole bytes can be", n, bits);
    else if (bits / 8 > s->gens.len || bits / 8 > 255 * 32)
        err = s->host->fail(call, RK_E_KEY_SIZE, "file: %s: its key has %zu bits, and no more can be made of it; set "
                            "key-bits", s->gens.path, s->gens.len * 8);
    for (size_t i = 0; i < n; i++) {
        keys[i].secret = NULL;
        keys[i].err = err;
    }
    return err;
}

/* Write down that the key is used; only then give it out. */
static int
give(struct source *s, struct rk_call *call, struct gen *gen, uint32_t bits, struct rk_key *key)
{
    char line[GEN_ID + 2];
    int len = snprintf(line, sizeof line, "%s\n", gen->id), err = rkp_used_add(&s->used, call, line, (size_t)len);

    if (err)
        return err;
    gen->used = true;
    strcpy(key->id, gen->id);
    err = gens_give(&s->gens, gen, bits, &key->secret);
    return err ? s->host->fail(call, err, "file: %s: no memory for a key; it is lost", s->gens.path) : RK_OK;
}

static int64_t
age_s(const struct source *s)
{
    int64_t age = (int64_t)time(NULL) - s->gens.changed_unix_s;

    return age > 0 ? age : 0;
}

/* The present key was given away: is the next one on its way? */
static int
say_used(struct source *s, struct rk_call *call)
{
    if (age_s(s) * 1000 > LATE * s->period_ms)
        return s->host->fail(call, RK_E_EMPTY, "file: %s: its key was used, and it was not rewritten for %lld s; does "
                             "the daemon that writes it run, and reach its peer?", s->gens.path, (long long)age_s(s));
    return s->host->fail(call, RK_E_AGAIN, "file: %s: its key was used; the next one is expected each %lld s",
                         s->gens.path, (long long)s->period_ms / 1000);
}

static int
keyout_get_new(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct source *s = inst;
    int file_err, err = check_request(s, call, bits, keys, n);

    (void)peer_sae; /* a key file is for one peer: its copy is at the other end */
    if (err)
        return err;
    for (size_t i = 1; i < n; i++)
        keys[i].err = RK_E_AGAIN; /* with the next one */
    err = begin(s, call, &file_err);
    if (err)
        return keys[0].err = err;
    err = file_err;
    if (!err)
        err = s->gens.list[0].used ? say_used(s, call) : give(s, call, &s->gens.list[0], bits, &keys[0]);
    rkp_used_unlock(&s->used);
    return keys[0].err = err;
}

/* Give the entries that are not settled what there is for them.  ret: how many are not there yet */
static size_t
settle(struct source *s, struct rk_call *call, uint32_t bits, struct rk_key *keys, size_t n)
{
    size_t missing = 0;

    for (size_t i = 0; i < n; i++) {
        struct gen *gen = keys[i].err == RK_E_AGAIN ? gens_find(&s->gens, keys[i].id) : NULL;

        if (gen && gen->used)
            keys[i].err = s->host->fail(call, RK_E_KEY_GONE, "file: %s: key %.64s was used before", s->gens.path,
                                        keys[i].id);
        else if (gen)
            keys[i].err = give(s, call, gen, bits, &keys[i]);
        missing += keys[i].err == RK_E_AGAIN;
    }
    return missing;
}

/* ret: RK_OK when one key is there, as the contract wants it; else the first code */
static int
sum_up(struct source *s, struct rk_call *call, struct rk_key *keys, size_t n)
{
    bool used;

    for (size_t i = 0; i < n; i++)
        if (keys[i].err == RK_OK)
            return RK_OK;
    if (keys[0].err != RK_E_AGAIN)
        return keys[0].err;
    if (rkp_used_has(&s->used, call, keys[0].id, &used) == RK_OK && used)
        return keys[0].err = s->host->fail(call, RK_E_KEY_GONE, "file: %s: key %.64s was used before", s->gens.path,
                                           keys[0].id);
    return s->host->fail(call, RK_E_AGAIN, "file: %s: has not had key %.64s yet; the two ends must be written by one "
                         "pair of daemons", s->gens.path, keys[0].id);
}

static int
keyout_get_by_id(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    struct source *s = inst;
    int file_err, err = check_request(s, call, bits, keys, n);
    bool some = false;

    (void)peer_sae;
    for (size_t i = 0; !err && i < n; i++)
        keys[i].err = RK_E_AGAIN;
    for (int waited_ms = 0; !err; waited_ms += LOOK_MS) {
        bool over;

        err = begin(s, call, &file_err);
        if (err)
            break;
        over = waited_ms >= WAIT_MS || (file_err && file_err != RK_E_AGAIN) || rkp_pause(s->host, call, -1, 0) != 0;
        if (settle(s, call, bits, keys, n) == 0 || over) {
            err = sum_up(s, call, keys, n);
            rkp_used_unlock(&s->used);
            return err;
        }
        rkp_used_unlock(&s->used);
        (void)rkp_pause(s->host, call, -1, LOOK_MS); /* that it was cut short is seen above */
    }
    for (size_t i = 0; i < n; i++) {
        some = some || keys[i].secret;
        keys[i].err = keys[i].err == RK_E_AGAIN ? err : keys[i].err;
    }
    return some ? RK_OK : err;
}

static int
keyout_status(void *inst, struct rk_call *call, const char *peer_sae, struct rk_source_status *st)
{
    struct source *s = inst;
    int file_err, err = begin(s, call, &file_err);

    (void)peer_sae;
    *st = (struct rk_source_status){.stored_keys = -1, .max_per_request = 1, .min_bits = 8,
                                    .max_bits = (int64_t)s->gens.len * 8};
    if (err)
        return err;
    rkp_used_unlock(&s->used);
    if (file_err)
        return file_err;
    st->stored_keys = s->gens.list[0].used ? 0 : 1;
    snprintf(st->text, sizeof st->text, "key %s, written %lld s ago, %s", s->gens.list[0].id, (long long)age_s(s),
             s->gens.list[0].used ? "used" : "not used yet");
    return RK_OK;
}

static const struct rk_source_ops keyout_ops = {
    .size = sizeof keyout_ops,
    .get_new = keyout_get_new,
    .get_by_id = keyout_get_by_id,
    .status = keyout_status,
};

__attribute__((visibility("default"))) const struct rk_plugin keyout_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_SOURCE, 0),
    .name = "keyout",
    .version = PACKAGE_VERSION,
    .summary = "keys from a file that another daemon rewrites",
    .opts = keyout_opts,
    .opt_size = sizeof(struct rk_opt),
    .init = keyout_init,
    .fini = keyout_fini,
    .ops = &keyout_ops,
};
