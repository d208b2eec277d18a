/* world_conf.c - what MKA must know of a committed configuration, and what a commit did that it should not have done
 *
 * Runs in the thread that commits, with the box's lock and the world's.  Keys are opened here and nowhere else.
 */
#include "world.h"

#include <core/base/log.h>
#include <core/base/text.h>

#include <ctype.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *
lower(char *s)
{
    for (char *c = s; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return s;
}

/* A CAK is filled up with zeros to what the cipher needs. */
static bool
open_cak(const xmlNode *at, const char *path, unsigned size, struct mka_key *key)
{
    char stored[300], hex[160];
    bool done = conf_text(at, path, stored, sizeof stored) && secret_open(stored, hex, sizeof hex) && strlen(hex) <= 64;

    if (done) {
        size_t n = strlen(hex);

        memset(hex + n, '0', 64 - n);
        hex[64] = '\0';
        key->cak_n = (uint8_t)(n > 32 ? 32 : size);
        hex[2 * key->cak_n] = '\0';
        done = rk_hex_get(hex, key->cak, key->cak_n);
    }
    OPENSSL_cleanse(stored, sizeof stored);
    OPENSSL_cleanse(hex, sizeof hex);
    return done;
}

static void
read_key(const xmlNode *at, const char *ckn, const char *cak, unsigned size, struct mka_key *key)
{
    memset(key, 0, sizeof *key);
    if (!conf_text(at, ckn, key->ckn, sizeof key->ckn) || !open_cak(at, cak, size, key))
        memset(key, 0, sizeof *key);
    lower(key->ckn);
}

bool
world_start_time(const struct zone *z, const char *text, int64_t *start_ms)
{
    struct tm tm = {0};
    int y, mo, d, h, mi, s = 0, used = 0, oh, om;
    char sign;

    if (sscanf(text, "%d-%d-%d.%d:%d%n:%d%n", &y, &mo, &d, &h, &mi, &used, &s, &used) < 5)
        return false;
    tm = (struct tm){.tm_year = y - 1900, .tm_mon = mo - 1, .tm_mday = d, .tm_hour = h, .tm_min = mi, .tm_sec = s};
    if (sscanf(text + used, " %c%2d%2d", &sign, &oh, &om) == 3 && (sign == '+' || sign == '-'))
        *start_ms = 1000 * ((int64_t)timegm(&tm) - (sign == '-' ? -60 : 60) * (60 * oh + om));
    else
        *start_ms = 1000 * zone_to_unix(z, (int64_t)timegm(&tm));
    return true;
}

static size_t
count_keys(const xmlNode *chain)
{
    size_t n = 0;

    for (const xmlNode *k = conf_get(chain, "key"); k; k = conf_next(k))
        n++;
    return n;
}

static bool
read_chain(const struct zone *z, const xmlNode *chain, unsigned size, struct mka_chain_key **out, size_t *n)
{
    char text[64];

    *n = 0;
    *out = calloc(count_keys(chain) + 1, sizeof **out);
    if (!*out)
        return false;
    for (const xmlNode *k = conf_get(chain, "key"); k; k = conf_next(k)) {
        struct mka_chain_key *to = &(*out)[(*n)++];

        to->slot = conf_text(k, "name", text, sizeof text) ? atoi(text) : -1;
        read_key(k, "key-name", "secret", size, &to->key);
        if (conf_text(k, "start-time", text, sizeof text) && !world_start_time(z, text, &to->start_ms))
            to->start_ms = INT64_MAX; /* never */
    }
    return true;
}

static int64_t
number(const xmlNode *at, const char *path, int64_t usual)
{
    char text[32];

    return conf_text(at, path, text, sizeof text) && *text ? strtoll(text, NULL, 10) : usual;
}

static const xmlNode *
ca_of(const xmlNode *root, const struct sim_port *port, struct mka_conf *out)
{
    char path[SIM_NAME_MAX + 80];
    const xmlNode *bound;

    snprintf(path, sizeof path, "security/macsec/interfaces[%s]", port->name);
    bound = conf_get(root, path);
    if (!bound || !conf_text(bound, "connectivity-association", out->ca, sizeof out->ca))
        return NULL;
    snprintf(path, sizeof path, "security/macsec/connectivity-association[%s]", out->ca);
    return conf_get(root, path);
}

static void
read_ca(const struct sim_box *box, const xmlNode *ca, struct mka_conf *out)
{
    char mode[32], chosen[24];

    snprintf(out->cipher, sizeof out->cipher, "gcm-aes-128");
    if (!box->as->no_cipher && conf_text(ca, "cipher-suite", chosen, sizeof chosen))
        memcpy(out->cipher, chosen, sizeof out->cipher);
    out->on = conf_text(ca, "security-mode", mode, sizeof mode) && strcmp(mode, "static-cak") == 0;
    out->should_secure = conf_has(ca, "mka/should-secure");
    out->bounded_delay = conf_has(ca, "mka/bounded-delay");
    out->no_preceding = conf_has(ca, "disable-preceding-key");
    out->no_encryption = conf_has(ca, "no-encryption");
    out->include_sci = conf_has(ca, "include-sci");
    out->replay = conf_has(ca, "replay-protect");
    out->window = (unsigned)number(ca, "replay-protect/replay-window-size", 0);
    out->offset = (unsigned)number(ca, "offset", 0);
    out->priority = (unsigned)number(ca, "mka/key-server-priority", 16);
    out->shown_hello_ms = (unsigned)number(ca, "mka/transmit-interval", 2000);
    out->hello_ms = (int64_t)out->shown_hello_ms * world.hello_ms / 2000;
    out->rekey_ms = 1000 * number(ca, "mka/sak-rekey-interval", 0);
}

bool
world_read(struct sim_box *box, const struct sim_port *port, struct mka_conf *out)
{
    const xmlNode *root = box->committed ? xmlDocGetRootElement(box->committed) : NULL, *ca;
    char path[sizeof out->chain_name + 80];
    unsigned size;

    *out = (struct mka_conf){.hello_ms = world.hello_ms, .priority = 16};
    ca = root ? ca_of(root, port, out) : NULL;
    if (!ca)
        return true;
    read_ca(box, ca, out);
    size = strstr(out->cipher, "256") ? 32 : 16;
    read_key(ca, "pre-shared-key/ckn", "pre-shared-key/cak", size, &out->psk);
    read_key(ca, "fallback-key/ckn", "fallback-key/cak", size, &out->fallback);
    if (!conf_text(ca, "pre-shared-key-chain", out->chain_name, sizeof out->chain_name))
        return true;
    snprintf(path, sizeof path, "security/authentication-key-chains/key-chain[%s]", out->chain_name);
    return read_chain(box->world->zone, conf_get(root, path), size, &out->chain, &out->n_chain);
}

void
world_chains_free(struct sim_boxworld *w)
{
    for (size_t i = 0; i < w->n_chains; i++) {
        if (w->chain[i].key)
            OPENSSL_cleanse(w->chain[i].key, w->chain[i].n * sizeof *w->chain[i].key);
        free(w->chain[i].key);
    }
    free(w->chain);
    w->chain = NULL;
    w->n_chains = 0;
}

bool
world_chains(struct sim_box *box, struct sim_boxworld *w)
{
    const xmlNode *chains = conf_get(xmlDocGetRootElement(box->committed), "security/authentication-key-chains");
    const xmlNode *first = chains ? conf_get(chains, "key-chain") : NULL;
    size_t n = 0;

    world_chains_free(w);
    for (const xmlNode *c = first; c; c = conf_next(c))
        n++;
    w->chain = calloc(n + 1, sizeof *w->chain);
    for (const xmlNode *c = first; c && w->chain; c = conf_next(c)) {
        struct world_chain *to = &w->chain[w->n_chains++];

        conf_text(c, "name", to->name, sizeof to->name);
        to->tolerance_s = number(c, "tolerance", 3600);
        if (!read_chain(w->zone, c, 32, &to->key, &to->n))
            return false;
    }
    return w->chain != NULL;
}

/* ---- what a client may never do ---- */

/* Has it a key that has begun by then?  A first key may be given up before it begins: nothing was secured by it. */
static bool
has_keys(const struct mka_conf *c, int64_t clock_ms)
{
    bool chain = false;

    for (size_t i = 0; i < c->n_chain; i++)
        chain |= *c->chain[i].key.ckn != '\0' && c->chain[i].start_ms <= clock_ms;
    return *c->psk.ckn || *c->fallback.ckn || chain;
}

/* Is a key of this configuration to be read in a text that is kept in clear? */
static bool
shows(const struct mka_key *key, const char *text)
{
    char hex[2 * sizeof key->cak + 1];
    bool found;

    if (!key->cak_n)
        return false;
    rk_hex_put(key->cak, key->cak_n, hex);
    found = strcasestr(text, hex) != NULL;
    OPENSSL_cleanse(hex, sizeof hex);
    return found;
}

static bool
shows_any(const struct mka_conf *c, const char *text)
{
    for (size_t i = 0; i < c->n_chain; i++)
        if (shows(&c->chain[i].key, text))
            return true;
    return shows(&c->psk, text) || shows(&c->fallback, text);
}

/* "txn=<16 hex>" of a commit's log: no transaction is committed twice. */
static void
judge_txn(struct sim_box *box, const char *log)
{
    struct sim_boxworld *w = box->world;
    const char *at = strstr(log, "txn=");
    char txn[40];
    size_t n = at ? strcspn(at, " ,;\t\r\n") : 0;

    if (n == 0 || n >= sizeof txn)
        return;
    memcpy(txn, at, n);
    txn[n] = '\0';
    for (size_t i = 0; i < WORLD_TXNS && i < w->n_txns; i++)
        if (strcmp(w->txn[i], txn) == 0)
            sim_violation(box, "a transaction was committed twice");
    memcpy(w->txn[w->n_txns++ % WORLD_TXNS], txn, sizeof txn);
}

void
world_judge(struct sim_box *box, struct mka_conf *next, const char *user, const char *log)
{
    struct sim_boxworld *w = box->world;
    int64_t now = sim_box_now_ms(box);

    if (!user || strcmp(user, "admin") == 0 || strcmp(user, "root") == 0)
        return; /* an operator may do what he wants */
    for (size_t i = 0; i < w->n_ports; i++) {
        const struct mka_conf *was = &w->port[i].mka.conf, *is = &next[i];

        if (was->on && (!is->on || strcmp(was->ca, is->ca) != 0))
            sim_violation(box, "the binding of an interface, or its security mode, was changed");
        else if (was->on && has_keys(was, now) && !has_keys(is, INT64_MAX))
            sim_violation(box, "the last key of an interface was removed");
        if (!was->should_secure && is->should_secure && was->on)
            sim_violation(box, "traffic in clear was allowed");
        if (log && shows_any(is, log))
            sim_violation(box, "a key is in the log of a commit");
    }
    if (log)
        judge_txn(box, log);
}
