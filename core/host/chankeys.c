/* chankeys.c - see chankeys.h.  Tags are made by workers and checked by the main thread: one lock for all of it, which
 * is held for the time of a few tags. */
#include "chankeys.h"

#include "authkeys.h"
#include "conf_secret.h"

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/secret.h"
#include "../base/text.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)64 * 1024)
#define SLOTS_MIN 16

union slot {
    unsigned char key[RK_CHANKEY_BYTES];
    union slot *next_free;
};

struct chunk {
    struct chunk *next;
    union slot *slots; /* locked */
};

struct chankey {
    union slot *slot;
    char id[];
};

struct link { /* of which something is held */
    struct link *next;
    struct chankey *key[RK_CHANKEYS_MAX]; /* n, the newest last */
    struct rk_flow flow;
    unsigned n;
    char name[];
};

/* A file that was read. */
struct auth {
    unsigned char *text; /* locked */
    size_t room;
    struct rk_auth_keys keys;
};

struct rk_chankeys {
    pthread_mutex_t lock;    /* of all but what belongs to looking */
    pthread_mutex_t looking; /* one thread looks at the file at a time */
    char value[RK_VALUE_MAX];
    struct stat st;          /* as it was read, or refused, last */
    int64_t looked_ns;
    int told;                /* of the last look: RK_OK, or what was wrong */
    struct auth auth;
    struct chunk *chunks;
    union slot *free;
    struct link **slots; /* n_slots, a power of two; a hash table with chains */
    size_t n_slots, n;
};

/* ---- locked memory ---- */

static bool
more_slots(struct rk_chankeys *k)
{
    struct chunk *chunk = malloc(sizeof *chunk);

    if (!chunk)
        return false;
    chunk->slots = rk_locked_new(CHUNK_BYTES);
    if (!chunk->slots) {
        free(chunk);
        return false;
    }
    chunk->next = k->chunks;
    k->chunks = chunk;
    for (size_t i = 0; i < CHUNK_BYTES / sizeof *chunk->slots; i++) {
        chunk->slots[i].next_free = k->free;
        k->free = &chunk->slots[i];
    }
    return true;
}

static struct chankey *
new_key(struct rk_chankeys *k, const char *id)
{
    size_t size = strlen(id) + 1;
    struct chankey *key = k->free || more_slots(k) ? malloc(sizeof *key + size) : NULL;

    if (!key)
        return NULL;
    key->slot = k->free;
    k->free = key->slot->next_free;
    memcpy(key->id, id, size);
    return key;
}

static void
free_key(struct rk_chankeys *k, struct chankey *key)
{
    explicit_bzero(key->slot->key, sizeof key->slot->key);
    key->slot->next_free = k->free;
    k->free = key->slot;
    free(key);
}

/* ---- links ---- */

static struct link **
place_of(const struct rk_chankeys *k, const char *name)
{
    struct link **at = &k->slots[rk_hash(name) & (k->n_slots - 1)];

    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static struct link *
find_link(const struct rk_chankeys *k, const char *name)
{
    return k->n ? *place_of(k, name) : NULL;
}

static bool
grow(struct rk_chankeys *k)
{
    size_t n_old = k->n_slots, n_slots = n_old ? 2 * n_old : SLOTS_MIN;
    struct link **old = k->slots, **slots = calloc(n_slots, sizeof *slots);

    if (!slots)
        return false;
    k->slots = slots;
    k->n_slots = n_slots;
    for (size_t i = 0; i < n_old; i++)
        for (struct link *l = old[i], *next; l; l = next) {
            struct link **at = place_of(k, l->name);

            next = l->next;
            l->next = NULL;
            *at = l;
        }
    free(old);
    return true;
}

/* The link, made when it is not there; NULL: no memory. */
static struct link *
need_link(struct rk_chankeys *k, const char *name)
{
    struct link *l = find_link(k, name);
    size_t size = strlen(name) + 1;

    if (l || (k->n >= k->n_slots && !grow(k)))
        return l;
    l = calloc(1, sizeof *l + size);
    if (!l)
        return NULL;
    memcpy(l->name, name, size);
    *place_of(k, name) = l;
    k->n++;
    return l;
}

static struct chankey *
find_key(const struct link *l, const char *id)
{
    for (size_t i = l ? l->n : 0; i > 0; i--)
        if (strcmp(l->key[i - 1]->id, id) == 0)
            return l->key[i - 1];
    return NULL;
}

/* ---- the file ---- */

static void
auth_free(struct auth *a)
{
    rk_auth_free(&a->keys);
    rk_locked_free(a->text, a->room);
    *a = (struct auth){.text = NULL};
}

static int
auth_read(const char *value, struct auth *out, struct stat *st, char *why, size_t size)
{
    char reason[200] = "cannot be read whole";
    size_t len;
    int fd, err = rk_conf_secret_open(value, RK_AUTH_FILE_MAX, st, &fd, why, size);

    *out = (struct auth){.text = NULL};
    if (err)
        return err;
    len = (size_t)st->st_size;
    out->room = len + 1;
    out->text = rk_locked_new(out->room);
    err = out->text ? rk_conf_secret_bytes(fd, out->text, len) : RK_E_NOMEM;
    close(fd);
    if (!err)
        err = rk_auth_parse(out->text, len, &out->keys, reason, sizeof reason);
    if (err) {
        auth_free(out);
        snprintf(why, size, "%s: %s", value + strlen("file:"), reason);
    }
    return err;
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* What is wrong is told once: until it is right again, or wrong in another way. */
static void
look(struct rk_chankeys *k)
{
    struct stat st = {.st_size = -1};
    struct auth fresh, old;
    char why[RK_TEXT_MAX];
    int err;

    if (stat(k->value + strlen("file:"), &st) == 0 && same_file(&st, &k->st))
        return;
    err = auth_read(k->value, &fresh, &st, why, sizeof why);
    if (err) {
        if (err != k->told || !same_file(&st, &k->st))
            rk_log(RK_LOG_WARNING, "ev=auth-key res=refused why=\"%s\" note=\"the keys of before stay\"", why);
    } else {
        pthread_mutex_lock(&k->lock);
        old = k->auth;
        k->auth = fresh;
        pthread_mutex_unlock(&k->lock);
        auth_free(&old);
        rk_log(RK_LOG_NOTICE, "ev=auth-key file=%s keys=%zu note=\"read again\"", k->value + strlen("file:"),
               k->auth.keys.n);
    }
    k->told = err;
    k->st = st;
}

void
rk_chankeys_look(struct rk_chankeys *k)
{
    int64_t now_ns = rk_now_ns();

    if (pthread_mutex_trylock(&k->looking) != 0)
        return;
    if (now_ns - k->looked_ns >= RK_AUTH_LOOK_MS * RK_NS_PER_MS) {
        k->looked_ns = now_ns;
        look(k);
    }
    pthread_mutex_unlock(&k->looking);
}

/* ---- life ---- */

int
rk_chankeys_new(const char *value, struct rk_chankeys **out, char *why, size_t size)
{
    struct rk_chankeys *k = calloc(1, sizeof *k);
    int err;

    *out = NULL;
    if (!k) {
        snprintf(why, size, "out of memory");
        return RK_E_NOMEM;
    }
    err = auth_read(value, &k->auth, &k->st, why, size);
    if (err || !rk_copy(k->value, sizeof k->value, value)) {
        free(k);
        return err ? err : RK_E_CONFIG;
    }
    pthread_mutex_init(&k->lock, NULL);
    pthread_mutex_init(&k->looking, NULL);
    k->looked_ns = rk_now_ns();
    *out = k;
    return RK_OK;
}

static void
free_link(struct rk_chankeys *k, struct link *l)
{
    while (l->n)
        free_key(k, l->key[--l->n]);
    free(l);
}

void
rk_chankeys_free(struct rk_chankeys **keys)
{
    struct rk_chankeys *k = *keys;

    *keys = NULL;
    if (!k)
        return;
    for (size_t i = 0; i < k->n_slots; i++)
        for (struct link *l = k->slots[i], *next; l; l = next) {
            next = l->next;
            free_link(k, l);
        }
    for (struct chunk *c = k->chunks, *next; c; c = next) {
        next = c->next;
        rk_locked_free(c->slots, CHUNK_BYTES);
        free(c);
    }
    free(k->slots);
    auth_free(&k->auth);
    pthread_mutex_destroy(&k->lock);
    pthread_mutex_destroy(&k->looking);
    free(k);
}

/* ---- channel keys ---- */

/* A place for the key of this ID: the one that it has, or a new one at the end.   ret: NULL with *err */
static struct chankey *
place_for(struct rk_chankeys *k, const struct rk_wrap_of *of, int *err)
{
    bool named = rk_name_ok(of->link, RK_LINK_MAX) && rk_key_id_ok(of->key_id);
    struct link *l = named ? need_link(k, of->link) : NULL;
    struct chankey *key = find_key(l, of->key_id);

    *err = !named || (l && !key && l->n == RK_CHANKEYS_MAX) ? RK_E_CONTRACT : l ? RK_OK : RK_E_NOMEM;
    if (key || *err)
        return key;
    key = new_key(k, of->key_id);
    *err = key ? RK_OK : RK_E_NOMEM;
    if (key)
        l->key[l->n++] = key;
    return key;
}

/* Take the one that was added last out again. */
static void
take_back(struct rk_chankeys *k, const struct rk_wrap_of *of)
{
    struct link *l = find_link(k, of->link);

    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->key[i]->id, of->key_id) == 0) {
            free_key(k, l->key[i]);
            memmove(&l->key[i], &l->key[i + 1], (l->n - i - 1) * sizeof l->key[0]);
            l->n--;
            return;
        }
}

static int
wrap(const struct rk_chankeys *k, const struct rk_wrap_of *of, const struct chankey *key, char *hex)
{
    struct rk_bytes auth[RK_AUTH_KEYS_MAX];

    return rk_auth_of(&k->auth.keys, of->link, auth) ? rk_wrap(auth[0], of, key->slot->key, hex) : RK_E_NOENT;
}

int
rk_chankeys_wrap(struct rk_chankeys *k, const struct rk_wrap_of *of, char *hex)
{
    const struct chankey *key;
    int err;

    pthread_mutex_lock(&k->lock);
    key = find_key(find_link(k, of->link), of->key_id);
    err = key ? wrap(k, of, key, hex) : RK_E_NOENT;
    pthread_mutex_unlock(&k->lock);
    return err;
}

int
rk_chankeys_add(struct rk_chankeys *k, const struct rk_wrap_of *of, int fd, char *hex)
{
    struct chankey *key;
    int err;

    pthread_mutex_lock(&k->lock);
    key = place_for(k, of, &err);
    if (!err)
        err = rk_secret_peek(fd, key->slot->key, sizeof key->slot->key);
    if (!err)
        err = wrap(k, of, key, hex);
    if (err && key)
        take_back(k, of);
    pthread_mutex_unlock(&k->lock);
    return err;
}

/* By any of its auth-keys: the one that it was wrapped under may be on its way out. */
static int
unwrap(const struct rk_chankeys *k, const struct rk_wrap_of *of, const char *hex, unsigned char *bytes)
{
    struct rk_bytes auth[RK_AUTH_KEYS_MAX];
    size_t n = rk_auth_of(&k->auth.keys, of->link, auth);
    int err = RK_E_NOENT;

    for (size_t i = 0; i < n && (i == 0 || err == RK_E_AUTH); i++)
        err = rk_unwrap(auth[i], of, hex, bytes);
    return err;
}

int
rk_chankeys_restore(struct rk_chankeys *k, const struct rk_wrap_of *of, const char *hex)
{
    struct chankey *key;
    int err;

    pthread_mutex_lock(&k->lock);
    key = place_for(k, of, &err);
    if (!err)
        err = unwrap(k, of, hex, key->slot->key);
    if (err && key)
        take_back(k, of);
    pthread_mutex_unlock(&k->lock);
    return err;
}

static bool
among(const char *id, const char *const *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(id, ids[i]) == 0)
            return true;
    return false;
}

/* With what it has brought lately. */
static void
forget_link(struct rk_chankeys *k, const char *name)
{
    struct link **at = place_of(k, name), *l = *at;

    *at = l->next;
    free_link(k, l);
    k->n--;
}

void
rk_chankeys_keep(struct rk_chankeys *k, const char *link, const char *const *ids, size_t n)
{
    struct link *l;
    unsigned kept = 0;

    pthread_mutex_lock(&k->lock);
    l = find_link(k, link);
    for (size_t i = 0; l && i < l->n; i++) {
        if (among(l->key[i]->id, ids, n))
            l->key[kept++] = l->key[i];
        else
            free_key(k, l->key[i]);
    }
    if (l)
        l->n = kept;
    if (l && kept == 0)
        forget_link(k, link);
    pthread_mutex_unlock(&k->lock);
}

/* ---- tags ---- */

static struct rk_bytes
bytes_of(const struct chankey *key)
{
    return (struct rk_bytes){key->slot->key, sizeof key->slot->key};
}

int
rk_chankeys_sign(struct rk_chankeys *k, const struct rk_signed *s, const char *by, struct rk_tag_out out)
{
    struct rk_bytes auth[RK_AUTH_KEYS_MAX];
    const struct chankey *key;
    int err = RK_E_NOENT;

    pthread_mutex_lock(&k->lock);
    key = by[0] ? find_key(find_link(k, s->link), by) : NULL;
    memcpy(out.used, key ? by : "", key ? strlen(by) + 1 : 1);
    if (key)
        err = rk_kdf_record(bytes_of(key), s->parties, s->text, out.tag);
    else if (rk_auth_of(&k->auth.keys, s->link, auth))
        err = rk_kdf_record(auth[0], s->parties, s->text, out.tag);
    pthread_mutex_unlock(&k->lock);
    return err;
}

/* ret: RK_OK, RK_E_AUTH, RK_E_FATAL */
static int
verify_by(struct rk_bytes key, const struct rk_signed *s, const char *tag)
{
    char right[RK_CONFIRM_HEX + 1];
    int err = rk_kdf_record(key, s->parties, s->text, right);

    return err ? err : rk_same(right, tag, RK_CONFIRM_HEX) ? RK_OK : RK_E_AUTH;
}

static int
verify(const struct rk_chankeys *k, const struct rk_signed *s, const char *tag, char *by)
{
    const struct link *l = find_link(k, s->link);
    struct rk_bytes auth[RK_AUTH_KEYS_MAX];
    size_t n = rk_auth_of(&k->auth.keys, s->link, auth);
    int err = n ? RK_E_AUTH : RK_E_NOENT;

    by[0] = '\0';
    for (size_t i = l ? l->n : 0; i > 0; i--) {
        int one = verify_by(bytes_of(l->key[i - 1]), s, tag);

        if (one == RK_OK)
            memcpy(by, l->key[i - 1]->id, strlen(l->key[i - 1]->id) + 1);
        if (one != RK_E_AUTH)
            return one;
    }
    for (size_t i = 0; i < n && err == RK_E_AUTH; i++)
        err = verify_by(auth[i], s, tag);
    return err;
}

int
rk_chankeys_verify(struct rk_chankeys *k, const struct rk_signed *s, const char *tag, char *by)
{
    int err = RK_E_AUTH;

    by[0] = '\0';
    if (strlen(tag) != RK_CONFIRM_HEX)
        return err;
    pthread_mutex_lock(&k->lock);
    err = verify(k, s, tag, by);
    pthread_mutex_unlock(&k->lock);
    return err;
}

enum rk_flow_way
rk_chankeys_flow(struct rk_chankeys *k, const char *link, const char *record, int64_t now_ns)
{
    enum rk_flow_way way = RK_FLOW_PASS; /* without memory there is no limit: the tag was good */
    struct link *l;

    pthread_mutex_lock(&k->lock);
    l = need_link(k, link);
    if (l)
        way = rk_flow_take(&l->flow, record, now_ns);
    pthread_mutex_unlock(&k->lock);
    return way;
}
