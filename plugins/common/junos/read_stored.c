/* read_stored.c - the router's own form of keys ("$9$..."), of those that are asked for.
 *
 * It leaves the reply only into secrets of the host, which are locked memory: so it is read for the interfaces of one
 * apply, never for all of a router. */
#include "rows.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STORED_MAX 1024 /* longest stored form of a key [bytes]: $8$ of 64 digits has some 250 */

struct wanted {
    const struct rk_host *host;
    struct jn_conf *conf;
    bool *ca, *chain; /* by place in conf */
};

struct stored {
    const char *text;
};

static int
fill_stored(unsigned char *bytes, size_t len, void *arg)
{
    const struct stored *s = arg;

    memcpy(bytes, s->text, len);
    return RK_OK;
}

static bool
is_named(const xmlNode *node, const char *leaf, const char *ckn)
{
    char text[JN_CKN_HEX + 1];

    return ckn[0] && nc_child_text(node, leaf, text, sizeof text) && strcasecmp(text, ckn) == 0;
}

/* Newer releases show a note instead of a key to users without permission: then there is none. */
static int
take(const struct wanted *w, const xmlNode *node, struct jn_key *key)
{
    char text[STORED_MAX];
    struct stored s = {.text = text};
    int err = RK_OK;

    if (!key->stored && nc_text(node, text, sizeof text) && !strstr(text, "SECRET-DATA"))
        err = w->host->secret_new(strlen(text), fill_stored, &s, &key->stored);
    explicit_bzero(text, sizeof text);
    return err;
}

static int
take_pair(const struct wanted *w, const xmlNode *node, struct jn_key *key)
{
    return node && is_named(node, "ckn", key->ckn) ? take(w, nc_child(node, "cak"), key) : RK_OK;
}

static int
take_slot(const struct wanted *w, const xmlNode *node, struct jn_chain *chain)
{
    uint64_t slot;

    if (!jn_child_u64(node, "name", &slot))
        return RK_OK;
    for (size_t i = 0; i < chain->n; i++) {
        struct jn_key *key = &chain->key[i];

        if ((uint64_t)key->slot == slot && is_named(node, "key-name", key->ckn))
            return take(w, nc_child(node, "secret"), key);
    }
    return RK_OK;
}

static int
take_cas(const struct wanted *w, const xmlNode *macsec)
{
    int err = RK_OK;

    for (const xmlNode *n = nc_child(macsec, "connectivity-association"); n && !err; n = nc_next(n)) {
        char name[JN_CA_MAX + 1];
        const struct jn_ca *found = nc_child_text(n, "name", name, sizeof name) ? jn_conf_ca(w->conf, name) : NULL;
        size_t i = found ? (size_t)(found - w->conf->ca) : 0;

        if (!found || !w->ca[i])
            continue;
        err = take_pair(w, nc_child(n, "pre-shared-key"), &w->conf->ca[i].psk);
        if (!err)
            err = take_pair(w, nc_child(n, "fallback-key"), &w->conf->ca[i].fallback);
    }
    return err;
}

static int
take_chains(const struct wanted *w, const xmlNode *top)
{
    int err = RK_OK;

    for (const xmlNode *n = nc_child(top, "key-chain"); n && !err; n = nc_next(n)) {
        char name[JN_CHAIN_MAX + 1];
        const struct jn_chain *found =
            nc_child_text(n, "name", name, sizeof name) ? jn_conf_chain(w->conf, name) : NULL;
        size_t i = found ? (size_t)(found - w->conf->chain) : 0;

        if (!found || !w->chain[i])
            continue;
        for (const xmlNode *k = nc_child(n, "key"); k && !err; k = nc_next(k))
            err = take_slot(w, k, &w->conf->chain[i]);
    }
    return err;
}

static void
want(const struct wanted *w, const char *iface)
{
    const struct jn_port *port = jn_conf_port(w->conf, iface);
    const struct jn_ca *ca = port && port->ca[0] ? jn_conf_ca(w->conf, port->ca) : NULL;
    const struct jn_chain *chain = ca && ca->chain[0] ? jn_conf_chain(w->conf, ca->chain) : NULL;

    if (ca)
        w->ca[ca - w->conf->ca] = true;
    if (chain)
        w->chain[chain - w->conf->chain] = true;
}

int
jn_conf_stored(const struct rk_host *host, const xmlNode *root, const char *const *ifaces, size_t n,
               struct jn_conf *conf)
{
    const xmlNode *top = nc_is(root, "configuration") ? root : nc_find(root, "configuration");
    const xmlNode *security = nc_child(top, "security");
    struct wanted w = {.host = host, .conf = conf, .ca = calloc(conf->n_ca + 1, sizeof *w.ca),
                       .chain = calloc(conf->n_chain + 1, sizeof *w.chain)};
    int err = w.ca && w.chain ? RK_OK : RK_E_NOMEM;

    for (size_t i = 0; !err && i < n; i++)
        want(&w, ifaces[i]);
    if (!err)
        err = take_cas(&w, nc_child(security, "macsec"));
    if (!err)
        err = take_chains(&w, nc_child(security, "authentication-key-chains"));
    free(w.ca);
    free(w.chain);
    return err;
}
