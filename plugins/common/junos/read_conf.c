/* read_conf.c - the committed configuration: associations, interfaces, key chains, descriptions, macros.
 *
 * Pure.  Stored forms of keys are left in the reply: see read_stored.c. */
#include "rows.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PAIRS_MAX 256   /* of one macro */

struct reader {
    int32_t zone_s;
    int err;
};

/* ---- leaves ---- */

static bool
is_inactive(const xmlNode *node)
{
    const char *v = jn_attr(node, "inactive");

    return v && strcmp(v, "inactive") == 0;
}

static void
read_ckn(const xmlNode *node, char ckn[JN_CKN_HEX + 1])
{
    char text[JN_CKN_HEX + 1];

    if (!nc_text(node, text, sizeof text))
        return;
    for (size_t i = 0; i < sizeof text; i++)
        ckn[i] = (char)tolower((unsigned char)text[i]);
}

static void
read_psk(const xmlNode *node, struct jn_key *key)
{
    key->slot = -1;
    if (!node)
        return;
    key->inactive = is_inactive(node);
    read_ckn(nc_child(node, "ckn"), key->ckn);
}

static void
read_macro(struct reader *r, const xmlNode *parent, const char *name, struct jn_macro *macro)
{
    struct jn_rows rows = {.size = sizeof *macro->pair};

    for (const xmlNode *m = nc_child(parent, "apply-macro"); m && !macro->there; m = nc_next(m)) {
        char text[64];

        if (!nc_child_text(m, "name", text, sizeof text) || strcmp(text, name) != 0 || is_inactive(m))
            continue;
        macro->there = true;
        for (const xmlNode *d = nc_child(m, "data"); d && rows.n < PAIRS_MAX && !rows.err; d = nc_next(d)) {
            struct jn_pair pair = {.name = ""}, *p;

            if (is_inactive(d) || !nc_child_text(d, "name", pair.name, sizeof pair.name))
                continue;
            nc_child_text(d, "value", pair.value, sizeof pair.value);
            p = jn_rows_add(&rows);
            if (p)
                *p = pair;
        }
    }
    macro->pair = jn_rows_end(&rows);
    macro->n = rows.n;
    r->err = r->err ? r->err : rows.err;
}

/* ---- associations, interfaces ---- */

static bool
has(const xmlNode *parent, const char *name)
{
    const xmlNode *node = nc_child(parent, name);

    return node && !is_inactive(node);
}

static void
read_ca(struct reader *r, const xmlNode *node, bool inactive, struct jn_ca *ca)
{
    const xmlNode *mka = nc_child(node, "mka"), *chain = nc_child(node, "pre-shared-key-chain");

    nc_child_text(node, "cipher-suite", ca->cipher, sizeof ca->cipher);
    nc_child_text(node, "security-mode", ca->mode, sizeof ca->mode);
    if (chain && !is_inactive(chain))
        nc_text(chain, ca->chain, sizeof ca->chain);
    read_psk(nc_child(node, "pre-shared-key"), &ca->psk);
    read_psk(nc_child(node, "fallback-key"), &ca->fallback);
    ca->should_secure = has(mka, "should-secure") && !is_inactive(mka);
    ca->no_preceding = has(node, "disable-preceding-key");
    ca->no_encryption = has(node, "no-encryption");
    for (const xmlNode *x = nc_child(node, "exclude-protocol"); x; x = nc_next(x)) {
        char name[16];

        ca->excludes_lldp |= !is_inactive(x) && nc_child_text(x, "name", name, sizeof name) &&
                             strcmp(name, "lldp") == 0;
    }
    ca->inactive = inactive || is_inactive(node);
    read_macro(r, node, "rekey", &ca->rekey);
}

static void
read_cas(struct reader *r, const xmlNode *macsec, bool inactive, struct jn_conf *c)
{
    struct jn_rows rows = {.size = sizeof *c->ca};

    for (const xmlNode *n = nc_child(macsec, "connectivity-association"); n && !r->err; n = nc_next(n)) {
        char name[JN_CA_MAX + 1];
        struct jn_ca *ca;

        if (!nc_child_text(n, "name", name, sizeof name))
            continue;
        ca = jn_rows_add(&rows);
        if (ca) {
            memcpy(ca->name, name, sizeof ca->name);
            read_ca(r, n, inactive, ca);
        }
        r->err = r->err ? r->err : rows.err;
    }
    c->ca = jn_rows_end(&rows);
    c->n_ca = rows.n;
}

/* One entry, of the interface or of one of its units. */
static void
add_port(struct reader *r, struct jn_rows *rows, const char *name, const xmlNode *node, bool inactive)
{
    struct jn_port *p = jn_rows_add(rows);

    r->err = r->err ? r->err : rows->err;
    if (!p)
        return;
    if (!jn_iface_name(name, p->name)) {
        rows->n--;
        return;
    }
    nc_child_text(node, "connectivity-association", p->ca, sizeof p->ca);
    p->inactive = inactive || is_inactive(node);
    read_macro(r, node, "qkd", &p->qkd);
}

static void
read_units(struct reader *r, struct jn_rows *rows, const char *name, const xmlNode *iface, bool inactive)
{
    for (const xmlNode *u = nc_child(iface, "unit"); u && !r->err; u = nc_next(u)) {
        char unit[12], full[2 * RK_IFACE_MAX];

        if (!nc_child_text(u, "name", unit, sizeof unit))
            continue;
        snprintf(full, sizeof full, "%s.%s", name, unit);
        add_port(r, rows, full, u, inactive || is_inactive(iface));
    }
}

static void
read_ports(struct reader *r, const xmlNode *macsec, bool inactive, struct jn_conf *c)
{
    struct jn_rows rows = {.size = sizeof *c->port};

    for (const xmlNode *n = nc_child(macsec, "interfaces"); n && !r->err; n = nc_next(n)) {
        char name[RK_IFACE_MAX + 3];
        bool units = nc_child(n, "unit") != NULL;

        if (!nc_child_text(n, "name", name, sizeof name))
            continue;
        if (!units || nc_child(n, "connectivity-association") || nc_child(n, "apply-macro"))
            add_port(r, &rows, name, n, inactive);
        read_units(r, &rows, name, n, inactive);
    }
    c->port = jn_rows_end(&rows);
    c->n_port = rows.n;
}

/* ---- key chains ---- */

static void
read_key(struct reader *r, const xmlNode *node, bool inactive, struct jn_key *key)
{
    read_ckn(nc_child(node, "key-name"), key->ckn);
    key->inactive = inactive || is_inactive(node);
    if (nc_child(node, "start-time"))
        key->bad_start = !nc_child_text(node, "start-time", key->start, sizeof key->start) ||
                         !jn_start_read(key->start, r->zone_s, &key->start_s);
    if (key->bad_start)
        key->start_s = 0;
}

static int
by_slot(const void *a, const void *b)
{
    const struct jn_key *x = a, *y = b;

    return x->slot - y->slot;
}

static void
read_keys(struct reader *r, const xmlNode *node, bool inactive, struct jn_chain *chain)
{
    struct jn_rows rows = {.size = sizeof *chain->key};

    for (const xmlNode *k = nc_child(node, "key"); k && rows.n < JN_SLOTS && !r->err; k = nc_next(k)) {
        struct jn_key *key;
        uint64_t slot;

        if (!jn_child_u64(k, "name", &slot) || slot >= JN_SLOTS)
            continue;
        key = jn_rows_add(&rows);
        if (key) {
            key->slot = (int)slot;
            read_key(r, k, inactive, key);
        }
        r->err = r->err ? r->err : rows.err;
    }
    if (rows.n > 1)
        qsort(rows.v, rows.n, rows.size, by_slot);
    chain->key = jn_rows_end(&rows);
    chain->n = rows.n;
}

static void
read_chains(struct reader *r, const xmlNode *top, bool inactive, struct jn_conf *c)
{
    struct jn_rows rows = {.size = sizeof *c->chain};

    inactive |= top && is_inactive(top);
    for (const xmlNode *n = nc_child(top, "key-chain"); n && !r->err; n = nc_next(n)) {
        char name[JN_CHAIN_MAX + 1];
        struct jn_chain *chain;

        if (!nc_child_text(n, "name", name, sizeof name))
            continue;
        chain = jn_rows_add(&rows);
        if (chain) {
            memcpy(chain->name, name, sizeof chain->name);
            read_keys(r, n, inactive || is_inactive(n), chain);
        }
        r->err = r->err ? r->err : rows.err;
    }
    c->chain = jn_rows_end(&rows);
    c->n_chain = rows.n;
}

/* ---- all of it ---- */

static bool
has_text(const xmlNode *node)
{
    for (const xmlNode *x = node->children; x; x = x->next)
        if ((x->type == XML_TEXT_NODE || x->type == XML_CDATA_SECTION_NODE) && !xmlIsBlankNode(x))
            return true;
    return false;
}

static void
read_texts(struct reader *r, const xmlNode *interfaces, struct jn_conf *c)
{
    struct jn_rows rows = {.size = sizeof *c->text};

    for (const xmlNode *n = nc_child(interfaces, "interface"); n && !r->err; n = nc_next(n)) {
        const xmlNode *d = nc_child(n, "description");
        char name[RK_IFACE_MAX + 1];
        struct jn_text *t;

        if (!d || !jn_iface_of(n, "name", name))
            continue;
        t = jn_rows_add(&rows);
        if (t) {
            memcpy(t->name, name, sizeof t->name);
            t->hidden = is_inactive(d) || (!nc_text(d, t->description, sizeof t->description) && has_text(d));
        }
        r->err = r->err ? r->err : rows.err;
    }
    c->text = jn_rows_end(&rows);
    c->n_text = rows.n;
}

int
jn_conf_read(const struct rk_host *host, const xmlNode *root, int32_t zone_s, struct jn_conf **out)
{
    const xmlNode *top = nc_is(root, "configuration") ? root : root ? nc_find(root, "configuration") : NULL;
    const xmlNode *security = nc_child(top, "security"), *macsec = nc_child(security, "macsec");
    const xmlNode *system = nc_child(top, "system");
    struct reader r = {.zone_s = zone_s};
    struct jn_conf *c = top ? calloc(1, sizeof *c) : NULL;
    bool inactive = (security && is_inactive(security)) || (macsec && is_inactive(macsec));

    *out = NULL;
    if (!c)
        return top ? RK_E_NOMEM : RK_E_PROTOCOL;
    read_cas(&r, macsec, inactive, c);
    read_ports(&r, macsec, inactive, c);
    read_chains(&r, nc_child(security, "authentication-key-chains"), security && is_inactive(security), c);
    read_texts(&r, nc_child(top, "interfaces"), c);
    nc_child_text(system, "host-name", c->host_name, sizeof c->host_name);
    nc_child_text(system, "time-zone", c->time_zone, sizeof c->time_zone);
    *out = c;
    r.err = r.err ? r.err : jn_conf_sort(c);
    if (r.err)
        jn_conf_free(host, out);
    return r.err;
}

struct jn_conf *
jn_conf_use(struct jn_conf *conf)
{
    conf->users++;
    return conf;
}

void
jn_conf_free(const struct rk_host *host, struct jn_conf **conf)
{
    struct jn_conf *c = *conf;

    *conf = NULL;
    if (!c)
        return;
    if (c->users > 0) {
        c->users--;
        return;
    }
    for (size_t i = 0; i < c->n_ca; i++) {
        host->secret_free(&c->ca[i].psk.stored);
        host->secret_free(&c->ca[i].fallback.stored);
        free(c->ca[i].rekey.pair);
    }
    for (size_t i = 0; i < c->n_chain; i++) {
        for (size_t k = 0; k < c->chain[i].n; k++)
            host->secret_free(&c->chain[i].key[k].stored);
        free(c->chain[i].key);
    }
    for (size_t i = 0; i < c->n_port; i++)
        free(c->port[i].qkd.pair);
    free(c->ports.at);
    free(c->cas.at);
    free(c->chains.at);
    free(c->ca);
    free(c->port);
    free(c->chain);
    free(c->text);
    free(c);
}
