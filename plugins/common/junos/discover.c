/* discover.c - the links of a router as the old script found them: interfaces with apply-macro qkd, and neighbours.
 *
 * The SAE IDs are host names.  What LLDP says of a neighbour is passed on as it is: the core decides what is a name.
 */
#include "read.h"

#include "plan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* What the old script reads from the macro, and the option of the key source etsi014 of the same name. */
static const char *const macros[] = {"kme-host", "kme-port", "kme-ca", "kme-method", "kme-keyid-check"};
#define N_MACROS (sizeof macros / sizeof macros[0])

struct finder {
    const struct jn_device *d;
    const struct jn_view *v;
    rk_found_fn *found;
    void *arg;
};

/* "ge-0/0/1" and the like, up to the end or a blank: not a MAC address, not a number, not what an operator wrote. */
static bool
is_iface(const char *text)
{
    size_t letters = 0, n;

    while (islower((unsigned char)text[letters]))
        letters++;
    if (letters < 2)
        return false;
    text += letters;
    if (*text == '-')
        text++;
    n = strspn(text, "0123456789/:.");
    return n > 0 && n < RK_IFACE_MAX - 8 && isdigit((unsigned char)*text) && (!text[n] || text[n] == ' ');
}

/* Junos sends the interface's name as port ID when it is told to; else its description is the name, if it has none. */
static void
peer_iface(const struct jn_neighbour *n, char out[RK_IFACE_MAX + 1])
{
    const char *text = is_iface(n->port) ? n->port : is_iface(n->description) ? n->description : "";
    size_t len = strcspn(text, " ");

    if (len > 2 && len <= RK_IFACE_MAX && strncmp(text + len - 2, ".0", 2) == 0)
        len -= 2;
    snprintf(out, RK_IFACE_MAX + 1, "%.*s", (int)len, text);
}

static bool
is_stale(const struct jn_neighbour *n)
{
    return n->age_s >= 0 && n->ttl_s > 0 && n->age_s > n->ttl_s;
}

/* The neighbour on an interface.   ret: NULL: none, or more than one (*several) */
static const struct jn_neighbour *
neighbour(const struct jn_view *v, const char *iface, bool *several)
{
    const struct jn_neighbour *found = NULL;

    *several = false;
    for (size_t i = 0; i < v->n_lldp; i++) {
        const struct jn_neighbour *n = &v->lldp[i];

        if (strcmp(n->iface, iface) != 0 || is_stale(n))
            continue;
        *several |= found && (strcmp(found->system, n->system) != 0 || strcmp(found->port, n->port) != 0);
        found = n;
    }
    return *several ? NULL : found;
}

static size_t
users_of(const struct jn_conf *c, const char *ca)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_port; i++)
        n += strcmp(c->port[i].ca, ca) == 0 && !c->port[i].inactive;
    return n;
}

/* What keeps keys from being installed there; "": nothing. */
static const char *
what_lacks(const struct finder *f, const struct jn_ca *ca)
{
    bool chain = f->d->opt.keying == JN_CHAIN;

    if (!ca || ca->inactive)
        return "no connectivity association of its own: rekeyctl prepare";
    if (users_of(f->v->conf, ca->name) > 1)
        return "a connectivity association of its own, for it shares one with other interfaces: rekeyctl prepare";
    if (chain && (!ca->chain[0] || !jn_conf_chain(f->v->conf, ca->chain)))
        return "a key chain (keying: key-chain): rekeyctl prepare";
    if (!chain && ca->chain[0])
        return "keying: key-chain, for its connectivity association has a key chain";
    if (ca->should_secure && !f->d->opt.force_should_secure)
        return "its connectivity association without should-secure, which lets traffic go in clear";
    return ca->excludes_lldp ? "" : "exclude-protocol lldp, or its neighbour is lost with MKA: rekeyctl prepare";
}

static const char *
pair_of(const struct jn_macro *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->pair[i].name, name) == 0 && m->pair[i].value[0])
            return m->pair[i].value;
    return NULL;
}

/* out: options, NULL-ended, borrowing the macro.   ret: false: no KME is named */
static bool
source_of(const struct jn_macro *m, const char *options[2 * N_MACROS + 3])
{
    size_t n = 0;

    options[n++] = "plugin";
    options[n++] = "etsi014";
    for (size_t i = 0; i < N_MACROS; i++)
        if (pair_of(m, macros[i])) {
            options[n++] = macros[i];
            options[n++] = pair_of(m, macros[i]);
        }
    options[n] = NULL;
    return pair_of(m, "kme-host") != NULL;
}

static int
tell(const struct finder *f, const struct jn_port *port)
{
    const char *options[2 * N_MACROS + 3];
    struct rk_found found = {.size = sizeof found, .iface = port->name, .peer_sae = "", .why = ""};
    bool several, to_bind;
    const struct jn_neighbour *n = neighbour(f->v, port->name, &several);
    const struct jn_ca *ca = jn_conf_bound(f->v->conf, port->name, &to_bind);
    char peer[RK_IFACE_MAX + 1] = "";

    found.device_class = jn_told_class(f->d, ca);
    found.sae = f->v->conf->host_name[0] ? f->v->conf->host_name : f->d->host_name;
    if (n) {
        found.peer_sae = n->system;
        peer_iface(n, peer);
    }
    found.peer_iface = peer;
    found.source = source_of(&port->qkd, options) ? options : NULL;
    found.why = several ? "one neighbour, for several are heard on it" : what_lacks(f, ca);
    return f->found(f->arg, &found);
}

int
jn_discover_view(const struct jn_device *d, const struct jn_view *view, rk_found_fn *found, void *arg)
{
    const struct finder f = {d, view, found, arg};
    int err = RK_OK;

    for (size_t i = 0; !err && i < view->conf->n_port; i++)
        if (view->conf->port[i].qkd.there && !view->conf->port[i].inactive)
            err = tell(&f, &view->conf->port[i]);
    return err;
}

int
jn_discover(void *inst, struct rk_call *call, rk_found_fn *found, void *arg)
{
    struct jn_device *d = inst;
    struct jn_view *view = NULL;
    int err = jn_know(d, call);

    if (!err)
        err = jn_view_get(d, call, JN_WANT_CONF | JN_WANT_LLDP, &view);
    if (!err)
        err = jn_discover_view(d, view, found, arg);
    jn_view_free(d->host, &view);
    return err;
}
