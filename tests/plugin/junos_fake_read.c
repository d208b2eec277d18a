/* junos_fake_read.c - what the router for tests of the write side shows: in the place of readers and view. */
#include "junos_fake.h"
#include "junos_fake_tree.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

bool
nc_is(const xmlNode *node, const char *name)
{
    return node && node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

const xmlNode *
nc_find(const xmlNode *top, const char *name)
{
    for (const xmlNode *c = top ? top->children : NULL; c; c = c->next) {
        const xmlNode *below = nc_is(c, name) ? c : nc_find(c, name);

        if (below)
            return below;
    }
    return NULL;
}

const xmlNode *
nc_next(const xmlNode *node)
{
    const char *name = (const char *)node->name;

    for (node = node->next; node; node = node->next)
        if (nc_is(node, name))
            return node;
    return NULL;
}

bool
nc_child_text(const xmlNode *parent, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s", xchild_text(parent, name));
    return out[0] != '\0';
}

int
jn_commits_read(const xmlNode *root, struct jn_commit **out, size_t *n)
{
    (void)root;
    *out = calloc(router.n_log + 1, sizeof **out);
    for (*n = 0; *n < router.n_log; ++*n)
        snprintf((*out)[*n].log, sizeof (*out)->log, "%s", router.log[*n]);
    return RK_OK;
}

static struct rk_secret *
stored_of(const xmlNode *n, const char *leaf)
{
    const char *text = xchild_text(n, leaf);

    return text[0] ? fake_secret(text, strlen(text)) : NULL;
}

static void
read_key(struct jn_key *k, const xmlNode *n, const char *cak, const char *ckn)
{
    *k = (struct jn_key){.slot = -1};
    if (!n)
        return;
    snprintf(k->ckn, sizeof k->ckn, "%s", xchild_text(n, ckn));
    k->stored = stored_of(n, cak);
    k->bad_start = xchild(n, "start-time") && !jn_start_read(xchild_text(n, "start-time"), router.zone_s, &k->start_s);
    if (router.zone_change_s && k->start_s >= router.zone_change_s) /* as routers print it, with its offset */
        (void)jn_start_read(xchild_text(n, "start-time"), router.zone_later_s, &k->start_s);
}

static void
read_macro(struct jn_macro *m, xmlNode *n)
{
    m->pair = calloc(JN_OWN_MAX, sizeof *m->pair);
    for (xmlNode *c = n ? xchild(n, "data") : NULL; c; c = (xmlNode *)nc_next(c)) {
        snprintf(m->pair[m->n].name, sizeof m->pair->name, "%s", xchild_text(c, "name"));
        snprintf(m->pair[m->n++].value, sizeof m->pair->value, "%s", xchild_text(c, "value"));
    }
}

static void
read_ca(struct jn_ca *ca, xmlNode *n)
{
    snprintf(ca->name, sizeof ca->name, "%s", xchild_text(n, "name"));
    snprintf(ca->cipher, sizeof ca->cipher, "%s", xchild_text(n, "cipher-suite"));
    snprintf(ca->mode, sizeof ca->mode, "%s", xchild_text(n, "security-mode"));
    snprintf(ca->chain, sizeof ca->chain, "%s", xchild_text(n, "pre-shared-key-chain"));
    ca->should_secure = xchild(xchild(n, "mka"), "should-secure") != NULL;
    ca->no_preceding = xchild(n, "disable-preceding-key") != NULL;
    ca->inactive = xmlHasProp(n, BAD_CAST "inactive") != NULL;
    read_key(&ca->psk, xchild(n, "pre-shared-key"), "cak", "ckn");
    read_key(&ca->fallback, xchild(n, "fallback-key"), "cak", "ckn");
    read_macro(&ca->rekey, xitem(n, "apply-macro", "rekey"));
}

static void
read_chain(struct jn_chain *chain, xmlNode *n)
{
    snprintf(chain->name, sizeof chain->name, "%s", xchild_text(n, "name"));
    chain->key = calloc(JN_SLOTS, sizeof *chain->key);
    for (xmlNode *k = xchild(n, "key"); k; k = (xmlNode *)nc_next(k)) {
        read_key(&chain->key[chain->n], k, "secret", "key-name");
        chain->key[chain->n++].slot = atoi(xchild_text(k, "name"));
    }
}

#define MOST 80

static struct jn_conf *
read_conf(void)
{
    struct jn_conf *c = calloc(1, sizeof *c);
    xmlNode *root = xmlDocGetRootElement(router.committed), *security = xchild(root, "security");
    xmlNode *macsec = xchild(security, "macsec");

    c->ca = calloc(MOST, sizeof *c->ca);
    c->port = calloc(MOST, sizeof *c->port);
    c->chain = calloc(MOST, sizeof *c->chain);
    c->text = calloc(MOST, sizeof *c->text);
    for (xmlNode *n = xchild(macsec, "connectivity-association"); n; n = (xmlNode *)nc_next(n))
        read_ca(&c->ca[c->n_ca++], n);
    for (xmlNode *n = xchild(macsec, "interfaces"); n; n = (xmlNode *)nc_next(n)) {
        snprintf(c->port[c->n_port].name, sizeof c->port->name, "%s", xchild_text(n, "name"));
        snprintf(c->port[c->n_port++].ca, sizeof c->port->ca, "%s", xchild_text(n, "connectivity-association"));
    }
    for (xmlNode *n = xchild(xchild(security, "authentication-key-chains"), "key-chain"); n; n = (xmlNode *)nc_next(n))
        read_chain(&c->chain[c->n_chain++], n);
    for (xmlNode *n = xchild(xchild(root, "interfaces"), "interface"); n; n = (xmlNode *)nc_next(n)) {
        snprintf(c->text[c->n_text].name, sizeof c->text->name, "%s", xchild_text(n, "name"));
        c->text[c->n_text].hidden = strlen(xchild_text(n, "description")) >= sizeof c->text->description;
        if (!c->text[c->n_text].hidden)
            snprintf(c->text[c->n_text].description, sizeof c->text->description, "%s", xchild_text(n, "description"));
        c->n_text++;
    }
    return c;
}

#define FIND(list, n_list, by) \
    for (size_t i = 0; i < c->n_list; i++) \
        if (strcmp(c->list[i].name, by) == 0) \
            return &c->list[i]; \
    return NULL

const struct jn_port *
jn_conf_port(const struct jn_conf *c, const char *iface)
{
    FIND(port, n_port, iface);
}

const struct jn_ca *
jn_conf_ca(const struct jn_conf *c, const char *name)
{
    FIND(ca, n_ca, name);
}

const struct jn_chain *
jn_conf_chain(const struct jn_conf *c, const char *name)
{
    FIND(chain, n_chain, name);
}

bool
jn_ckn_same(const char *printed, const char *ckn)
{
    return strcmp(printed, ckn) == 0;
}

bool
jn_start_read(const char *text, int32_t zone_s, int64_t *unix_s)
{
    struct tm tm = {0};

    if (sscanf(text, "%4d-%2d-%2d.%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec) != 6)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    *unix_s = (int64_t)timegm(&tm) - zone_s;
    return true;
}

void
jn_start_write(int64_t unix_s, int32_t zone_s, char out[20])
{
    time_t local = (time_t)(unix_s + zone_s);
    struct tm tm;

    gmtime_r(&local, &tm);
    strftime(out, 20, "%Y-%m-%d.%H:%M:%S", &tm);
}

static void
forget_stored(struct jn_conf *c)
{
    for (size_t i = 0; i < c->n_ca; i++) {
        fake_host.secret_free(&c->ca[i].psk.stored);
        fake_host.secret_free(&c->ca[i].fallback.stored);
    }
    for (size_t i = 0; i < c->n_chain; i++)
        for (size_t k = 0; k < c->chain[i].n; k++)
            fake_host.secret_free(&c->chain[i].key[k].stored);
}

int
jn_view_get_for(struct jn_device *d, struct rk_call *call, unsigned want, const char *const *ifaces, size_t n,
                struct jn_view **out)
{
    struct jn_view *v = calloc(1, sizeof *v);

    (void)call;
    (void)ifaces;
    (void)n;
    *out = NULL;
    if (router.view_err && router.seen_commits) {
        free(v);
        return router.view_err;
    }
    d->session = &router;
    v->conf = read_conf();
    if (!(want & JN_WANT_STORED))
        forget_stored(v->conf);
    v->clock.zone_s = router.zone_s;
    v->clock_offset_ms = router.clock_offset_s * 1000;
    if (router.sender) {
        v->mka = calloc(1, sizeof *v->mka);
        v->n_mka = 1;
        *v->mka = (struct jn_mka){.state = JN_MKA_PRIMARY, .type = JN_CAK_PRIMARY, .status = JN_CAK_LIVE,
                                  .has_sak = true};
        snprintf(v->mka->iface, sizeof v->mka->iface, "%s", router.sender);
        snprintf(v->mka->ckn, sizeof v->mka->ckn, "%s", router.sender_ckn);
    }
    *out = v;
    return RK_OK;
}

int
jn_view_get(struct jn_device *d, struct rk_call *call, unsigned want, struct jn_view **out)
{
    return jn_view_get_for(d, call, want, NULL, 0, out);
}

void
jn_view_free(const struct rk_host *host, struct jn_view **view)
{
    struct jn_view *v = *view;

    for (size_t i = 0; v && i < v->conf->n_ca; i++) {
        host->secret_free(&v->conf->ca[i].psk.stored);
        host->secret_free(&v->conf->ca[i].fallback.stored);
        free(v->conf->ca[i].rekey.pair);
    }
    for (size_t i = 0; v && i < v->conf->n_chain; i++) {
        for (size_t k = 0; k < v->conf->chain[i].n; k++)
            host->secret_free(&v->conf->chain[i].key[k].stored);
        free(v->conf->chain[i].key);
    }
    if (v) {
        free(v->conf->ca);
        free(v->conf->port);
        free(v->conf->chain);
        free(v->conf->text);
        free(v->conf);
        free(v->mka);
    }
    free(v);
    *view = NULL;
}
