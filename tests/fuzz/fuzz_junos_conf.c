/* fuzz_junos_conf.c - the reader of a router's configuration, with any bytes as the reply.
 *
 * Nothing breaks, and what is read keeps its bounds. */
#include "plugins/common/netconf/xml.h"
#include "plugins/common/junos/read.h"

#include "text.h"

struct rk_secret {
    size_t len;
};

static int
secret_new(size_t len, rk_fill_fn *fill, void *arg, struct rk_secret **out)
{
    struct rk_secret *s = malloc(sizeof *s + len);

    *out = s;
    if (!s)
        return RK_E_NOMEM;
    demand(len > 0 && len <= RK_SECRET_MAX);
    s->len = len;
    return fill((unsigned char *)(s + 1), len, arg);
}

static void
secret_free(struct rk_secret **s)
{
    free(*s);
    *s = NULL;
}

static void
look(char *text, size_t size)
{
    static const struct rk_host host = {.secret_new = secret_new, .secret_free = secret_free};
    bool repaired;
    xmlDoc *doc = nc_xml_parse(text, size, &repaired);
    struct jn_conf *c = NULL;
    int err = doc ? jn_conf_read(&host, xmlDocGetRootElement(doc), 3600, &c) : RK_E_PROTOCOL;

    demand(!err == (c != NULL));
    for (size_t i = 0; c && i < c->n_chain; i++)
        for (size_t k = 0; k < c->chain[i].n; k++)
            demand(c->chain[i].key[k].slot >= 0 && c->chain[i].key[k].slot < JN_SLOTS &&
                   !(c->chain[i].key[k].bad_start && c->chain[i].key[k].start_s));
    for (size_t i = 0; c && i < c->n_port; i++)
        demand(c->port[i].name[0] && jn_conf_port(c, c->port[i].name));
    for (size_t i = 0; c && i < c->n_port && i < 64; i++) {
        const char *name = c->port[i].name;

        demand(jn_conf_stored(&host, xmlDocGetRootElement(doc), &name, 1, c) == RK_OK);
    }
    jn_conf_free(&host, &c);
    nc_xml_free(doc);
}
