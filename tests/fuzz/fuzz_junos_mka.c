/* fuzz_junos_mka.c - the reader of MKA sessions, with any bytes as the reply.
 *
 * Nothing breaks, and what is read keeps its bounds. */
#include "plugins/common/netconf/xml.h"
#include "plugins/common/junos/read.h"

#include "text.h"

/* The same answer again adds nobody; half of it, with its names cut, no more than its rows. */
static void
join_again(struct jn_mka **m, size_t *n)
{
    struct jn_mka *copy = calloc(*n + 1, sizeof *copy);
    size_t had = *n;

    demand(copy != NULL);
    if (had)
        memcpy(copy, *m, had * sizeof *copy);
    demand(jn_mka_join(m, n, copy, had) == RK_OK && *n == had);
    for (size_t i = 0; i < had / 2; i++)
        copy[i].ckn[strlen(copy[i].ckn) / 2] = '\0';
    demand(jn_mka_join(m, n, copy, had / 2) == RK_OK && *n >= had && *n <= had + had / 2);
    for (size_t i = 0; i < *n; i++)
        demand(strlen((*m)[i].ckn) <= JN_CKN_HEX && !jn_ckn_cut((*m)[i].ckn, (*m)[i].ckn));
    free(copy);
}

static void
look(char *text, size_t size)
{
    bool repaired;
    xmlDoc *doc = nc_xml_parse(text, size, &repaired);
    struct jn_mka *m = NULL;
    size_t n = 0;
    int err = doc ? jn_mka_read(xmlDocGetRootElement(doc), &m, &n) : RK_E_PROTOCOL;

    demand(!err || (!m && n == 0));
    for (size_t i = 0; i < n; i++) {
        demand(m[i].iface[0] && m[i].ckn[0]);
        demand(strlen(m[i].ckn) <= JN_CKN_HEX && strlen(m[i].iface) <= RK_IFACE_MAX);
        demand(!m[i].has_sak || m[i].sak[0]);
    }
    join_again(&m, &n);
    free(m);
    nc_xml_free(doc);
}
