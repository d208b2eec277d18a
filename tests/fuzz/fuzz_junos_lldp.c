/* fuzz_junos_lldp.c - the reader of LLDP neighbours, with any bytes as the reply.
 *
 * Nothing breaks, and what is read keeps its bounds. */
#include "plugins/common/netconf/xml.h"
#include "plugins/common/junos/read.h"

#include "text.h"

static void
look(char *text, size_t size)
{
    bool repaired;
    xmlDoc *doc = nc_xml_parse(text, size, &repaired);
    struct jn_neighbour *b = NULL;
    size_t n = 0;
    int err = doc ? jn_lldp_read(xmlDocGetRootElement(doc), &b, &n) : RK_E_PROTOCOL;

    demand(!err || (!b && n == 0));
    for (size_t i = 0; i < n; i++)
        demand(b[i].iface[0] && b[i].age_s >= -1 && b[i].ttl_s >= -1 && strlen(b[i].description) < 256);
    free(b);
    nc_xml_free(doc);
}
