/* read_macsec.c - get-macsec-connection-information: a flat list, in which an interface's common information begins its
 * part and channels may be absent.  Pure.   src: output of 23.2R2 */
#include "walk.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool
text_is(const xmlNode *node, const char *want)
{
    char text[24];

    return nc_text(node, text, sizeof text) && strcasecmp(text, want) == 0;
}

/* Is one of the channel's associations in use? */
static bool
in_use(const xmlNode *channel)
{
    for (const xmlNode *n = jn_walk(channel, channel); n; n = jn_walk(channel, n))
        if (nc_is(n, "association-number-status") && text_is(n, "inuse"))
            return true;
    return false;
}

static void
read_leaf(struct jn_macsec *m, const xmlNode *n)
{
    if (nc_is(n, "interface-name"))
        jn_iface_of(n, m->iface);
    else if (nc_is(n, "connectivity-association-name"))
        nc_text(n, m->ca, sizeof m->ca);
    else if (nc_is(n, "cipher-suite"))
        nc_text(n, m->cipher, sizeof m->cipher);
    else if (nc_is(n, "encryption"))
        m->encrypts = text_is(n, "on");
}

static void
read_channel(struct jn_macsec *m, const xmlNode *channel, bool out)
{
    if (out) {
        m->out_inuse |= in_use(channel);
        m->out_pn = (uint64_t)jn_child_number(channel, "outgoing-packet-number", 0);
    } else {
        m->in_inuse |= in_use(channel);
    }
}

int
jn_macsec_read(const xmlNode *root, struct jn_macsec **out, size_t *n)
{
    struct jn_macsec *m = NULL;
    const xmlNode *e = jn_walk(root, root);

    *out = NULL;
    *n = 0;
    while (e) {
        bool is_out = nc_is(e, "outbound-secure-channel"), is_in = nc_is(e, "inbound-secure-channel");

        if (nc_is(e, "macsec-interface-common-information")) {
            m = jn_grow(out, n, sizeof *m, JN_LIST_MAX);
            if (!m)
                break;
        } else if (m && (is_out || is_in)) {
            read_channel(m, e, is_out);
        } else if (m) {
            read_leaf(m, e);
        }
        e = is_out || is_in ? jn_walk_past(root, e) : jn_walk(root, e);
    }
    if (!e)
        return RK_OK;
    free(*out);
    *out = NULL;
    return *n >= JN_LIST_MAX ? RK_E_PROTOCOL : RK_E_NOMEM;
}
