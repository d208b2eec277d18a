/* bound.c - which connectivity association an interface has, or will have with its first key.  Pure. */
#include "read.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void
jn_ca_name(const char *iface, char name[JN_CA_MAX + 1])
{
    uint32_t sum = 2166136261u; /* FNV-1a: of names that are cut, so that two do not become one */
    bool cut = strlen(iface) > JN_CA_MAX - 3;

    for (const char *p = iface; *p; p++)
        sum = (sum ^ (unsigned char)*p) * 16777619u;
    if (cut)
        snprintf(name, JN_CA_MAX + 1, "rk-%.20s-%08x", iface, (unsigned)sum);
    else
        snprintf(name, JN_CA_MAX + 1, "rk-%.29s", iface);
    for (char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '.' && *p != '_')
            *p = '-';
}

static bool
is_used(const struct jn_conf *c, const char *ca)
{
    for (size_t i = 0; i < c->n_port; i++)
        if (strcmp(c->port[i].ca, ca) == 0)
            return true;
    return false;
}

const struct jn_ca *
jn_conf_bound(const struct jn_conf *c, const char *iface, bool *to_bind)
{
    const struct jn_port *port = jn_conf_port(c, iface);
    char name[RK_IFACE_MAX + 1], ca[JN_CA_MAX + 1];
    size_t len = strlen(iface);

    *to_bind = false;
    if (port && port->inactive)
        return NULL;
    if (port && port->ca[0])
        return jn_conf_ca(c, port->ca);
    if (len > 2 && strcmp(iface + len - 2, ".0") == 0)
        len -= 2;
    if (len >= sizeof name)
        return NULL;
    snprintf(name, sizeof name, "%.*s", (int)len, iface);
    jn_ca_name(name, ca);
    *to_bind = !is_used(c, ca) && jn_conf_ca(c, ca);
    return *to_bind ? jn_conf_ca(c, ca) : NULL;
}
