/* conf_pairs.c - which KMEs share keys, and the secret that they share.
 *
 * Both ends of a pair in one file: a random secret in memory, unless both name the same file.  The other end in
 * another process: a file is needed.
 */
#include "conf_reader.h"

#include <rekey/err.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ctx {
    struct kme_conf_set *set;
    const char *path;
    char *why;
};

int
kme_conf_fail(char *why, const char *path, unsigned long line, const char *text)
{
    snprintf(why, KME_CONF_TEXT_MAX, "%.150s:%lu: %.*s", path, line, KME_CONF_TEXT_MAX - 175, text);
    return RK_E_CONFIG;
}

static int fail(struct ctx *c, unsigned long line, const char *fmt, ...) RK_PRINTF(3, 4);

static int
fail(struct ctx *c, unsigned long line, const char *fmt, ...)
{
    char text[KME_CONF_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return kme_conf_fail(c->why, c->path, line, text);
}

static int
compare(const void *sae, const void *item)
{
    return strcmp(sae, item);
}

int
kme_saes_at(const struct kme_saes *saes, const char *sae)
{
    const char(*at)[RK_SAE_MAX + 1] = saes->n ? bsearch(sae, saes->id, saes->n, sizeof *saes->id, compare) : NULL;

    return at ? (int)(at - (const char(*)[RK_SAE_MAX + 1])saes->id) : -1;
}

static struct kme_conf *
find_kme(struct kme_conf_set *set, const char *id)
{
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->kme[i].id, id) == 0)
            return &set->kme[i];
    return NULL;
}

static struct kme_peer_conf *
find_peer(struct kme_conf *kme, const char *id)
{
    for (size_t i = 0; i < kme->n_peers; i++)
        if (strcmp(kme->peers[i].kme, id) == 0)
            return &kme->peers[i];
    return NULL;
}

/* The other end is in this file too: what the two say must agree. */
static int
check_both(struct ctx *c, struct kme_conf *kme, struct kme_peer_conf *peer, struct kme_conf *other)
{
    struct kme_peer_conf *back = find_peer(other, kme->id);

    if (!back)
        return fail(c, peer->line, "%s names %s as peer, but not the other way round", kme->id, other->id);
    if (!back->secret_path != !peer->secret_path)
        return fail(c, peer->line, "name the pair-secret of %s and %s at both or at none", kme->id, other->id);
    for (size_t i = 0; i < peer->saes.n; i++)
        if (kme_saes_at(&other->saes, peer->saes.id[i]) < 0)
            return fail(c, peer->line, "SAE '%s' is not among the saes of %s", peer->saes.id[i], other->id);
    return RK_OK;
}

static int
give_secret(struct ctx *c, struct kme_peer_conf *peer, struct kme_peer_conf *back)
{
    char why[RK_WHY_MAX];
    int err;

    if (peer->secret_path) {
        err = kme_secret_load(peer->secret_path, &peer->secret, why);
        if (err)
            return fail(c, peer->line, "pair-secret %.150s %s", peer->secret_path, why);
    } else if (back->has_secret) {
        peer->secret = back->secret;
    } else if (kme_secret_random(&peer->secret) != RK_OK) {
        fail(c, peer->line, "OpenSSL has no random bytes");
        return RK_E_FATAL;
    }
    peer->has_secret = true;
    return RK_OK;
}

/* An SAE of two peers would leave open which of them gets the key. */
static int
check_unique(struct ctx *c, const struct kme_conf *kme, size_t at)
{
    const struct kme_peer_conf *peer = &kme->peers[at];

    for (size_t i = 0; i < at; i++) {
        if (strcmp(kme->peers[i].kme, peer->kme) == 0)
            return fail(c, peer->line, "peer %s of %s is there twice", peer->kme, kme->id);
        for (size_t j = 0; j < peer->saes.n; j++)
            if (kme_saes_at(&kme->peers[i].saes, peer->saes.id[j]) >= 0)
                return fail(c, peer->line, "SAE '%s' is at two peers of %s", peer->saes.id[j], kme->id);
    }
    return RK_OK;
}

static int
pair(struct ctx *c, struct kme_conf *kme, size_t at)
{
    struct kme_peer_conf *peer = &kme->peers[at];
    struct kme_conf *other = find_kme(c->set, peer->kme);
    int err = check_unique(c, kme, at);

    if (!err && other)
        err = check_both(c, kme, peer, other);
    if (!err && !other && !peer->secret_path)
        err = fail(c, peer->line, "%s is not in this file: name a pair-secret file that both processes can read",
                   peer->kme);
    if (!err && !other && kme->personality->replaces)
        err = fail(c, peer->line, "%s is not in this file: a KME that is %s has to know what waits there", peer->kme,
                   kme->personality->name);
    peer->same_process = other != NULL;
    return err ? err : give_secret(c, peer, other ? find_peer(other, kme->id) : NULL);
}

int
kme_conf_pairs(struct kme_conf_set *set, const char *path, char *why)
{
    struct ctx c = {set, path, why};
    int err;

    for (size_t i = 0; i < set->n; i++)
        if (find_kme(set, set->kme[i].id) != &set->kme[i])
            return fail(&c, set->kme[i].line, "KME %s is there twice", set->kme[i].id);
    for (size_t i = 0; i < set->n; i++)
        for (size_t j = 0; j < set->kme[i].n_peers; j++) {
            err = pair(&c, &set->kme[i], j);
            if (err)
                return err;
        }
    return RK_OK;
}
