/* read_conf.c - the configuration of a router, as far as keys need it.  Pure but for secrets.
 *
 * The device shows CAKs in a form of its own ("$9$", "$8$"), from which anybody can make the key again: they go from the
 * document into a secret without a copy between.
 */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS_MAX 256
#define PORTS_MAX 8192

/* One reading. */
struct reader {
    const struct rk_host *host;
    struct jn_conf *conf;
    int32_t zone_s;
    int err;
};

/* ---- small things ---- */

static bool
is_inactive(const xmlNode *node)
{
    for (const xmlAttr *a = node ? node->properties : NULL; a; a = a->next)
        if (xmlStrcmp(a->name, BAD_CAST "inactive") == 0)
            return true;
    return false;
}

/* A statement without value that is there and not switched off. */
static bool
has(const xmlNode *parent, const char *name)
{
    const xmlNode *node = nc_child(parent, name);

    return node && !is_inactive(node);
}

static void *
grow(struct reader *r, void *list, size_t *n, size_t size, size_t max)
{
    void *one = jn_grow(list, n, size, max);

    if (!one)
        r->err = *n >= max ? RK_E_PROTOCOL : RK_E_NOMEM;
    return one;
}

struct span {
    const char *text;
    size_t len;
};

static int
fill_span(unsigned char *bytes, size_t len, void *arg)
{
    memcpy(bytes, ((const struct span *)arg)->text, len);
    return RK_OK;
}

static const char blanks[] = " \t\r\n";

static struct rk_secret *
read_secret(struct reader *r, const xmlNode *node)
{
    const xmlNode *text = node ? node->children : NULL;
    struct rk_secret *secret = NULL;
    struct span span;
    int err;

    if (!text || text->type != XML_TEXT_NODE || text->next || !text->content)
        return NULL;
    span.text = (const char *)text->content + strspn((const char *)text->content, blanks);
    span.len = strlen(span.text);
    while (span.len > 0 && strchr(blanks, span.text[span.len - 1]))
        span.len--;
    if (span.len == 0 || span.len > RK_SECRET_MAX)
        return NULL;
    err = r->host->secret_new(span.len, fill_span, &span, &secret);
    if (err)
        r->err = err;
    return secret;
}

static void
read_macro(struct reader *r, const xmlNode *parent, const char *name, struct jn_macro *out)
{
    char text[64];

    for (const xmlNode *m = nc_child(parent, "apply-macro"); m; m = nc_next(m)) {
        if (is_inactive(m) || !nc_child_text(m, "name", text, sizeof text) || strcmp(text, name) != 0)
            continue;
        out->there = true;
        for (const xmlNode *data = nc_child(m, "data"); data; data = nc_next(data)) {
            struct jn_pair *p = grow(r, &out->pair, &out->n, sizeof *p, PAIRS_MAX);

            if (!p)
                return;
            if (!nc_child_text(data, "name", p->name, sizeof p->name))
                out->n--;
            else
                nc_child_text(data, "value", p->value, sizeof p->value);
        }
    }
}

/* ---- security macsec ---- */

static void
read_key(struct reader *r, const xmlNode *node, const char *ckn, const char *cak, struct jn_key *out)
{
    char text[160];

    out->slot = -1;
    if (!node)
        return;
    out->inactive = is_inactive(node);
    if (nc_child_text(node, ckn, text, sizeof text))
        jn_hex_lower(text, out->ckn);
    out->stored = read_secret(r, nc_child(node, cak));
}

static bool
excludes_lldp(const xmlNode *ca)
{
    char text[16];

    for (const xmlNode *e = nc_child(ca, "exclude-protocol"); e; e = nc_next(e))
        if (!is_inactive(e) && nc_child_text(e, "name", text, sizeof text) && strcmp(text, "lldp") == 0)
            return true;
    return false;
}

static void
read_ca(struct reader *r, const xmlNode *node)
{
    const xmlNode *mka = nc_child(node, "mka");
    struct jn_ca *ca = grow(r, &r->conf->ca, &r->conf->n_ca, sizeof *ca, PORTS_MAX);

    if (!ca)
        return;
    ca->psk.slot = ca->fallback.slot = -1;
    if (!nc_child_text(node, "name", ca->name, sizeof ca->name)) {
        r->conf->n_ca--;
        return;
    }
    ca->inactive = is_inactive(node);
    nc_child_text(node, "cipher-suite", ca->cipher, sizeof ca->cipher);
    nc_child_text(node, "security-mode", ca->mode, sizeof ca->mode);
    nc_child_text(node, "pre-shared-key-chain", ca->chain, sizeof ca->chain);
    ca->should_secure = has(mka, "should-secure");
    ca->no_preceding = has(node, "disable-preceding-key") || has(mka, "disable-preceding-key");
    ca->no_encryption = has(node, "no-encryption");
    ca->excludes_lldp = excludes_lldp(node);
    read_key(r, nc_child(node, "pre-shared-key"), "ckn", "cak", &ca->psk);
    read_key(r, nc_child(node, "fallback-key"), "ckn", "cak", &ca->fallback);
    read_macro(r, node, "rekey", &ca->rekey);
}

static void
read_port(struct reader *r, const xmlNode *node)
{
    struct jn_port *port = grow(r, &r->conf->port, &r->conf->n_port, sizeof *port, PORTS_MAX);

    if (!port)
        return;
    if (!jn_iface_of(nc_child(node, "name"), port->name)) {
        r->conf->n_port--;
        return;
    }
    port->inactive = is_inactive(node);
    nc_child_text(node, "connectivity-association", port->ca, sizeof port->ca);
    read_macro(r, node, "qkd", &port->qkd);
}

static void
read_macsec(struct reader *r, const xmlNode *macsec)
{
    for (const xmlNode *e = nc_child(macsec, "connectivity-association"); e && !r->err; e = nc_next(e))
        read_ca(r, e);
    for (const xmlNode *e = nc_child(macsec, "interfaces"); e && !r->err; e = nc_next(e))
        read_port(r, e);
}

/* ---- security authentication-key-chains ---- */

static void
read_chain_key(struct reader *r, const xmlNode *node, struct jn_chain *chain)
{
    int64_t slot = jn_child_number(node, "name", -1);
    struct jn_key *key = slot >= 0 && slot < JN_SLOTS
                             ? grow(r, &chain->key, &chain->n, sizeof *key, JN_SLOTS) : NULL;

    if (!key)
        return;
    read_key(r, node, "key-name", "secret", key);
    key->slot = (int)slot;
    key->bad_start = nc_child(node, "start-time") &&
                     (!nc_child_text(node, "start-time", key->start, sizeof key->start) ||
                      !jn_start_read(key->start, r->zone_s, &key->start_s));
}

static int
by_slot(const void *a, const void *b)
{
    return ((const struct jn_key *)a)->slot - ((const struct jn_key *)b)->slot;
}

static void
read_chain(struct reader *r, const xmlNode *node)
{
    struct jn_chain *chain = grow(r, &r->conf->chain, &r->conf->n_chain, sizeof *chain, PORTS_MAX);

    if (!chain)
        return;
    if (!nc_child_text(node, "name", chain->name, sizeof chain->name)) {
        r->conf->n_chain--;
        return;
    }
    for (const xmlNode *e = nc_child(node, "key"); e && !r->err; e = nc_next(e))
        read_chain_key(r, e, chain);
    if (chain->n)
        qsort(chain->key, chain->n, sizeof *chain->key, by_slot);
}

/* ---- the rest ---- */

static void
read_description(struct reader *r, const xmlNode *node)
{
    struct jn_text *text;

    if (!nc_child(node, "description"))
        return;
    text = grow(r, &r->conf->text, &r->conf->n_text, sizeof *text, PORTS_MAX);
    if (!text)
        return;
    if (!jn_iface_of(nc_child(node, "name"), text->name))
        r->conf->n_text--;
    else
        nc_child_text(node, "description", text->description, sizeof text->description);
}

int
jn_conf_read(const struct rk_host *host, const xmlNode *root, int32_t zone_s, struct jn_conf **out)
{
    const xmlNode *top = nc_find(root, "configuration"), *security = nc_child(top, "security");
    struct reader r = {.host = host, .zone_s = zone_s, .conf = calloc(1, sizeof *r.conf)};

    *out = r.conf;
    if (!r.conf)
        return RK_E_NOMEM;
    r.err = top ? RK_OK : RK_E_PROTOCOL;
    read_macsec(&r, nc_child(security, "macsec"));
    for (const xmlNode *e = nc_child(nc_child(security, "authentication-key-chains"), "key-chain"); e && !r.err;
         e = nc_next(e))
        read_chain(&r, e);
    for (const xmlNode *e = nc_child(nc_child(top, "interfaces"), "interface"); e && !r.err; e = nc_next(e))
        read_description(&r, e);
    nc_child_text(nc_child(top, "system"), "host-name", r.conf->host_name, sizeof r.conf->host_name);
    nc_child_text(nc_child(top, "system"), "time-zone", r.conf->time_zone, sizeof r.conf->time_zone);
    if (r.err)
        jn_conf_free(host, out);
    return r.err;
}

static void
free_macro(struct jn_macro *m)
{
    free(m->pair);
}

void
jn_conf_free(const struct rk_host *host, struct jn_conf **conf)
{
    struct jn_conf *c = *conf;

    *conf = NULL;
    for (size_t i = 0; c && i < c->n_ca; i++) {
        host->secret_free(&c->ca[i].psk.stored);
        host->secret_free(&c->ca[i].fallback.stored);
        free_macro(&c->ca[i].rekey);
    }
    for (size_t i = 0; c && i < c->n_port; i++)
        free_macro(&c->port[i].qkd);
    for (size_t i = 0; c && i < c->n_chain; i++) {
        for (size_t k = 0; k < c->chain[i].n; k++)
            host->secret_free(&c->chain[i].key[k].stored);
        free(c->chain[i].key);
    }
    if (!c)
        return;
    free(c->ca);
    free(c->port);
    free(c->chain);
    free(c->text);
    free(c);
}

/* ---- finding ---- */

const struct jn_port *
jn_conf_port(const struct jn_conf *c, const char *iface)
{
    for (size_t i = 0; i < c->n_port; i++)
        if (jn_iface_same(c->port[i].name, iface))
            return &c->port[i];
    return NULL;
}

const struct jn_ca *
jn_conf_ca(const struct jn_conf *c, const char *name)
{
    for (size_t i = 0; i < c->n_ca; i++)
        if (strcmp(c->ca[i].name, name) == 0)
            return &c->ca[i];
    return NULL;
}

const struct jn_chain *
jn_conf_chain(const struct jn_conf *c, const char *name)
{
    for (size_t i = 0; i < c->n_chain; i++)
        if (strcmp(c->chain[i].name, name) == 0)
            return &c->chain[i];
    return NULL;
}
