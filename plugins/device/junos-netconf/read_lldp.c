/* read_lldp.c - get-lldp-neighbors-information and its relatives.  Pure.
 * src: output of EX, FX, SRX and of MX, M, T, brief and detailed: the local interface has one of two names, and in the
 * detailed form the second of them is a number */
#include "walk.h"

#include <stdlib.h>
#include <string.h>

static void
local_name(const xmlNode *e, struct jn_neighbour *nb)
{
    char text[RK_IFACE_MAX + 3];

    if (jn_iface_of(nc_child(e, "lldp-local-interface"), nb->iface))
        return;
    if (nc_child_text(e, "lldp-local-port-id", text, sizeof text) && strspn(text, "0123456789") < strlen(text))
        jn_iface(text, nb->iface);
}

static void
read_neighbour(const xmlNode *e, struct jn_neighbour *nb)
{
    local_name(e, nb);
    nc_child_text(e, "lldp-remote-chassis-id", nb->chassis, sizeof nb->chassis);
    nc_child_text(e, "lldp-remote-port-id", nb->port, sizeof nb->port);
    nc_child_text(e, "lldp-remote-port-description", nb->description, sizeof nb->description);
    nc_child_text(e, "lldp-remote-system-name", nb->system, sizeof nb->system);
    nb->age_s = jn_child_number(e, "lldp-age", -1);
    nb->ttl_s = jn_child_number(e, "lldp-ttl", -1);
}

int
jn_lldp_read(const xmlNode *root, struct jn_neighbour **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    for (const xmlNode *e = jn_walk(root, root); e; e = jn_walk(root, e)) {
        struct jn_neighbour *nb;

        if (!nc_is(e, "lldp-neighbor-information"))
            continue;
        nb = jn_grow(out, n, sizeof *nb, JN_LIST_MAX);
        if (!nb) {
            free(*out);
            *out = NULL;
            return *n >= JN_LIST_MAX ? RK_E_PROTOCOL : RK_E_NOMEM;
        }
        read_neighbour(e, nb);
        if (!nb->iface[0])
            (*n)--;
    }
    return RK_OK;
}
