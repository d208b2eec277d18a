/* check.c - what a commit checks beyond single statements: references, mandatory statements, lengths that depend
 *
 * Pure.  Where it is not known how a router words an error, the words name the statement.  No key is in a text.
 */
#include "conf.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EDIT_MAX 200

struct check {
    const struct sim_box *box;
    const xmlNode *conf;
    struct conf_errors *errors;
};

static void
missing(const struct check *c, const char *path, const char *what)
{
    conf_error(c->errors, false, path, what, "missing mandatory statement: '%s'", what);
}

/* How many hexadecimal digits the cipher suite wants for a CAK. */
static size_t
cak_digits(const struct check *c, const xmlNode *ca)
{
    char suite[32] = "";

    conf_text(ca, "cipher-suite", suite, sizeof suite);
    return !c->box->as->no_cipher && strstr(suite, "256") ? 64 : 32;
}

static void
check_cak(const struct check *c, const char *path, const xmlNode *ca, const char *stored)
{
    char clear[160];
    size_t want = cak_digits(c, ca), len;

    if (!secret_open(stored, clear, sizeof clear)) {
        conf_error(c->errors, false, path, "cak", "invalid encrypted value");
        return;
    }
    len = strlen(clear);
    explicit_bzero(clear, sizeof clear);
    if (len > want)
        conf_error(c->errors, false, path, "cak", "cak length %zu is more than %zu, which the cipher-suite needs", len,
                   want);
    else if (len < want)
        conf_error(c->errors, true, path, "cak", "cak has %zu hexadecimal digits, it is padded with zeros to %zu", len,
                   want);
}

static void
check_ckn(const struct check *c, const char *path, const char *ckn)
{
    if (strlen(ckn) < 64 && c->box->as->ckn_warning)
        conf_error(c->errors, true, path, "ckn",
                   "To maximize security, recommend configuring all 64 hexadecimal digits of ckn");
}

/* A ckn and a cak; ckn[129] is "" when there is none. */
static bool
check_key(const struct check *c, const xmlNode *ca, const char *ca_path, const char *which, char ckn[129])
{
    char path[EDIT_MAX], stored[700];
    const xmlNode *key = conf_get(ca, which);
    bool has_cak = key && conf_text(key, "cak", stored, sizeof stored);

    ckn[0] = '\0';
    if (!key)
        return false;
    snprintf(path, sizeof path, "%.150s %s", ca_path, which);
    if (!conf_text(key, "ckn", ckn, 129))
        missing(c, path, "ckn");
    else
        check_ckn(c, path, ckn);
    if (has_cak)
        check_cak(c, path, ca, stored);
    else
        missing(c, path, "cak");
    explicit_bzero(stored, sizeof stored);
    return *ckn && has_cak;
}

static const xmlNode *
chain_named(const struct check *c, const char *name)
{
    const xmlNode *chain = conf_get(c->conf, "security/authentication-key-chains/key-chain");
    char is[130];

    for (; chain; chain = conf_next(chain))
        if (conf_text(chain, "name", is, sizeof is) && strcmp(is, name) == 0)
            return chain;
    return NULL;
}

/* A chain that a connectivity association uses: each key has a CKN, and none that of the fallback key. */
static void
check_used_chain(const struct check *c, const xmlNode *ca, const char *ca_path, const char *fallback)
{
    char name[130], path[EDIT_MAX], ckn[129], stored[700];
    const xmlNode *chain;

    if (!conf_text(ca, "pre-shared-key-chain", name, sizeof name))
        return;
    if (!(chain = chain_named(c, name))) {
        conf_error(c->errors, false, ca_path, "pre-shared-key-chain", "authentication-key-chains not defined");
        return;
    }
    for (const xmlNode *key = conf_get(chain, "key"); key; key = conf_next(key)) {
        char id[16];

        conf_text(key, "name", id, sizeof id);
        snprintf(path, sizeof path, "security authentication-key-chains key-chain %.120s key %s", name, id);
        if (!conf_text(key, "key-name", ckn, sizeof ckn))
            missing(c, path, "key-name");
        else if (*fallback && strcasecmp(ckn, fallback) == 0)
            conf_error(c->errors, false, path, "key-name", "ckn must not be that of the fallback-key");
        else
            check_ckn(c, path, ckn);
        if (conf_text(key, "secret", stored, sizeof stored))
            check_cak(c, path, ca, stored);
        explicit_bzero(stored, sizeof stored);
    }
}

/* Junos Evolved refuses the bare statement. */
static void
check_replay(const struct check *c, const xmlNode *of, const char *path)
{
    if (c->box->as->evo && conf_has(of, "replay-protect") && !conf_has(of, "replay-protect/replay-window-size"))
        missing(c, path, "replay-window-size");
}

static void
check_ca(const struct check *c, const xmlNode *ca)
{
    char name[40] = "", path[EDIT_MAX], mode[32] = "", primary[129], fallback[129];
    bool psk, other, chain = conf_has(ca, "pre-shared-key-chain");

    conf_text(ca, "name", name, sizeof name);
    snprintf(path, sizeof path, "security macsec connectivity-association %s", name);
    conf_text(ca, "security-mode", mode, sizeof mode);
    psk = check_key(c, ca, path, "pre-shared-key", primary);
    other = check_key(c, ca, path, "fallback-key", fallback);
    if (strcmp(mode, "static-cak") == 0 && !psk && !other && !chain)
        conf_error(c->errors, false, path, name,
                   "pre-shared key or fallback-key or pre-shared-key-chain required");
    if (*primary && strcasecmp(primary, fallback) == 0)
        conf_error(c->errors, false, path, "fallback-key", "ckn of fallback-key must differ from that of "
                                                           "pre-shared-key");
    if (psk && chain)
        conf_error(c->errors, true, path, "pre-shared-key", "pre-shared-key is not used with pre-shared-key-chain");
    check_used_chain(c, ca, path, fallback);
    check_replay(c, ca, path);
}

static void
check_binding(const struct check *c, const xmlNode *of, const char *path)
{
    char ca[40], at[96];

    if (!conf_text(of, "connectivity-association", ca, sizeof ca))
        return;
    snprintf(at, sizeof at, "security/macsec/connectivity-association[%s]", ca);
    if (!conf_has(c->conf, at))
        conf_error(c->errors, false, path, ca, "connectivity-association '%s' is not defined", ca);
    /* [U] without keys it needs no security-mode: with static-cak a router refuses it without a key */
    else if (!conf_has(conf_get(c->conf, at), "security-mode") && (conf_has(conf_get(c->conf, at), "pre-shared-key") ||
             conf_has(conf_get(c->conf, at), "pre-shared-key-chain")))
        missing(c, at, "security-mode");
}

static void
check_interface(const struct check *c, const xmlNode *port)
{
    char name[SIM_NAME_MAX + 1] = "", path[EDIT_MAX];

    conf_text(port, "name", name, sizeof name);
    snprintf(path, sizeof path, "security macsec interfaces %s", name);
    check_binding(c, port, path);
    for (const xmlNode *unit = conf_get(port, "unit"); unit; unit = conf_next(unit))
        check_binding(c, unit, path);
    check_replay(c, port, path);
}

/* Start times as numbers that can be told apart; the hour that comes twice has two zones. */
static int64_t
start_of(const xmlNode *key)
{
    char text[64];
    int y, m, d, h, min, s = 0, used = 0, zone = 0;

    if (!conf_text(key, "start-time", text, sizeof text) ||
        sscanf(text, "%d-%d-%d.%d:%d%n:%d%n", &y, &m, &d, &h, &min, &used, &s, &used) < 5)
        return -1;
    if (sscanf(text + used, " %5d", &zone) != 1)
        zone = 0;
    return ((((int64_t)y * 13 + m) * 32 + d) * 24 + h) * 3600 + min * 60 + s -
           (zone / 100 * 3600 + zone % 100 * 60);
}

static void
check_chain(const struct check *c, const xmlNode *chain)
{
    char name[130] = "", path[EDIT_MAX], id[16], other[16];

    conf_text(chain, "name", name, sizeof name);
    if (!conf_has(chain, "key"))
        return;
    for (const xmlNode *key = conf_get(chain, "key"); key; key = conf_next(key)) {
        conf_text(key, "name", id, sizeof id);
        snprintf(path, sizeof path, "security authentication-key-chains key-chain %.120s key %s", name, id);
        if (!conf_has(key, "secret"))
            missing(c, path, "secret");
        if (start_of(key) < 0)
            missing(c, path, "start-time");
        for (const xmlNode *k = conf_get(chain, "key"); k && k != key; k = conf_next(k))
            if (start_of(k) == start_of(key) && start_of(k) >= 0) {
                conf_text(k, "name", other, sizeof other);
                conf_error(c->errors, false, path, "start-time", "start-time must be unique: key %s has the same",
                           other);
            }
        for (const xmlNode *k = conf_get(chain, "key"); k && k != key; k = conf_next(k)) {
            char ckn[129], same[129];

            if (conf_text(k, "key-name", ckn, sizeof ckn) && conf_text(key, "key-name", same, sizeof same) &&
                strcasecmp(ckn, same) == 0)
                conf_error(c->errors, false, path, "key-name", "key-name must be unique in a key-chain");
        }
    }
}

void
conf_check(const struct sim_box *box, const xmlNode *conf, struct conf_errors *errors)
{
    struct check c = {box, conf, errors};

    for (const xmlNode *n = conf_get(conf, "security/authentication-key-chains/key-chain"); n; n = conf_next(n))
        check_chain(&c, n);
    for (const xmlNode *n = conf_get(conf, "security/macsec/connectivity-association"); n; n = conf_next(n))
        check_ca(&c, n);
    for (const xmlNode *n = conf_get(conf, "security/macsec/interfaces"); n; n = conf_next(n))
        check_interface(&c, n);
}
