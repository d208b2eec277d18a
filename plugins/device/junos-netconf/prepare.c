/* prepare.c - what a router lacks before keys can be installed, as statements.  Pure.
 *
 * Nothing that is there is changed or removed.  An interface is not bound here: a router may refuse a binding to an
 * association without a mode, and a mode without a key [not tried on a router], so the commit of the first key does it.
 */
#include "prepare.h"

#include "../../common/junos/rows.h"
#include "../../common/junos/write.h"

#include <stdlib.h>
#include <string.h>

#define CLASS "rekeyd"

/* ---- the system ---- */

static void
need_class(struct jn_need *need, const struct jn_device *d, const struct jn_system *s)
{
    static const struct {
        const char *name, *value;
    } leaves[] = {
        {"permissions", "view"},
        {"permissions", "view-configuration"},
        {"permissions", "configure"},
        {"permissions", "secret"},
        {"allow-commands-regexps", "show security (mka|macsec|keychain) .*"},
        {"allow-commands-regexps", "show (lldp|interfaces) .*"},
        {"allow-commands-regexps", "show (system (uptime|commit|configuration database status)|version).*"},
        {"allow-configuration-regexps", "security macsec connectivity-association .*"},
        {"allow-configuration-regexps", "security macsec interfaces .* connectivity-association .*"},
        {"allow-configuration-regexps", "security authentication-key-chains key-chain .*"},
        {"allow-configuration-regexps", "interfaces .* description .*"},
    };

    for (size_t i = 0; !s->has_class && i < sizeof leaves / sizeof leaves[0]; i++) {
        struct jn_statement *st = jn_need_begin(need, "system login");

        if (!st)
            return;
        jn_word_put(st, JN_LIST, "class", CLASS);
        jn_word_put(st, JN_LEAF, leaves[i].name, leaves[i].value);
    }
    if (strcmp(s->user_class, CLASS) != 0)
        jn_need_remark(need,
                       "# rekeyd's user needs no more rights than class " CLASS
                       " has: set system login user %.64s class " CLASS,
                       d->opt.user);
}

static void
need_netconf(struct jn_need *need, const struct jn_system *s)
{
    struct jn_statement *st = s->netconf_ssh ? NULL : jn_need_begin(need, "system services netconf");

    if (st)
        jn_word_put(st, JN_FLAG, "ssh", NULL);
}

/* ---- an interface ---- */

static bool
has_lldp(const struct jn_system *s, const char *iface)
{
    for (size_t i = 0; i < s->n_lldp; i++)
        if (strcmp(s->lldp[i], iface) == 0)
            return true;
    return s->lldp_all;
}

static void
need_lldp(struct jn_need *need, const struct jn_system *s, const char *iface)
{
    struct jn_statement *st = has_lldp(s, iface) ? NULL : jn_need_begin(need, "protocols lldp");

    if (st)
        jn_word_put(st, JN_LIST, "interface", iface);
}

/* Each word of a rotation waits for them where records go by LLDP; for MACsec alone they do not count. */
static void
need_quick_lldp(struct jn_need *need, const struct jn_system *s)
{
    const struct {
        const char *name;
        long is_s, want_s;
    } times[] = {{"advertisement-interval", s->lldp_interval_s, 5}, {"transmit-delay", s->lldp_delay_s, 1}};
    char text[80];

    for (size_t i = 0; i < 2; i++) {
        struct jn_statement *st = times[i].is_s < 0 ? jn_need_begin(need, "protocols lldp") : NULL;

        snprintf(text, sizeof text, "%ld", times[i].want_s);
        if (st)
            jn_word_put(st, JN_LEAF, times[i].name, text);
        snprintf(text, sizeof text, "%s is %ld s: %ld", times[i].name, times[i].is_s, times[i].want_s);
        if (times[i].is_s > times[i].want_s)
            jn_need_remark(need, "# warning: records go by LLDP, and its %s makes rotations quicker", text);
    }
}

/* By what the kind of port bears: 100G and more wrap the packet number of the others within minutes.
 * [not tried on routers: the router refuses what it has not, and prepare then says so] */
static const char *
cipher_of(const struct jn_device *d, const char *iface)
{
    if (strncmp(d->model, "ex", 2) == 0 || strncmp(d->model, "EX", 2) == 0)
        return NULL; /* fixed there */
    return strncmp(iface, "et-", 3) == 0 ? "gcm-aes-xpn-256" : "gcm-aes-256";
}

static void
ca_leaf(struct jn_need *need, const char *ca, const char *name, const char *value)
{
    struct jn_statement *st = jn_need_begin(need, "security macsec");

    if (!st)
        return;
    jn_word_put(st, JN_LIST, "connectivity-association", ca);
    jn_word_put(st, strcmp(name, "exclude-protocol") == 0 ? JN_LIST : JN_LEAF, name, value);
}

static void
need_chain(struct jn_need *need, const struct jn_conf *c, const char *ca, const char *chain)
{
    struct jn_statement *st;

    if (jn_conf_chain(c, chain))
        return;
    /* a chain with nothing in it is refused by some releases */
    st = jn_need_begin(need, "security authentication-key-chains");
    if (!st)
        return;
    jn_word_put(st, JN_LIST, "key-chain", chain);
    jn_word_put(st, JN_LEAF, "description", ca);
}

static void
new_ca(struct jn_need *need, const struct jn_device *d, const struct jn_conf *c, const char *iface)
{
    const char *cipher = cipher_of(d, iface);
    char name[JN_CA_MAX + 1];

    jn_ca_name(iface, name);
    if (jn_conf_ca(c, name)) { /* it is there, and not bound to anything else */
        return;
    }
    if (d->opt.keying == JN_CHAIN) {
        need_chain(need, c, name, name);
        ca_leaf(need, name, "security-mode", "static-cak");
        ca_leaf(need, name, "pre-shared-key-chain", name);
    }
    if (cipher)
        ca_leaf(need, name, "cipher-suite", cipher);
    ca_leaf(need, name, "exclude-protocol", "lldp");
}

static size_t
users_of(const struct jn_conf *c, const char *ca)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_port; i++)
        n += strcmp(c->port[i].ca, ca) == 0 && !c->port[i].inactive;
    return n;
}

static bool
has_keys(const struct jn_ca *ca)
{
    return ca->psk.ckn[0] || ca->fallback.ckn[0];
}

static void
old_ca(struct jn_need *need, const struct jn_device *d, const struct jn_conf *c, const struct jn_ca *ca,
       const char *iface)
{
    bool chain = d->opt.keying == JN_CHAIN;

    if (users_of(c, ca->name) > 1) {
        jn_need_remark(
            need,
            "# several interfaces share one connectivity association, %.64s among them: give each one of its "
            "own by hand, for that changes how they are protected now",
            iface);
        return;
    }
    if (chain && !ca->chain[0] && has_keys(ca))
        jn_need_remark(need,
                       "# %.64s has a pre-shared-key, so it gets no key chain here: use keying: pre-shared-key, or "
                       "replace the key by hand",
                       iface);
    else if (chain && !ca->chain[0]) {
        need_chain(need, c, ca->name, ca->name);
        if (!ca->mode[0])
            ca_leaf(need, ca->name, "security-mode", "static-cak");
        ca_leaf(need, ca->name, "pre-shared-key-chain", ca->name);
    } else if (chain) {
        need_chain(need, c, ca->name, ca->chain);
    }
    if (!ca->excludes_lldp)
        ca_leaf(need, ca->name, "exclude-protocol", "lldp");
    if (ca->should_secure)
        jn_need_remark(need, "# warning: %.64s has should-secure: its traffic goes in clear when MKA fails", iface);
}

static void
need_iface(struct jn_need *need, const struct jn_device *d, const struct jn_conf *c, const struct jn_system *s,
           const char *iface)
{
    bool to_bind;
    const struct jn_port *port = jn_conf_port(c, iface);
    const struct jn_ca *ca = jn_conf_bound(c, iface, &to_bind);
    char name[RK_IFACE_MAX + 1];

    if (!jn_iface_name(iface, name))
        return;
    need_lldp(need, s, name);
    if (port && (port->inactive || (port->ca[0] && (!ca || ca->inactive))))
        jn_need_remark(need, "# warning: MACsec of %.64s is inactive: activate or delete it by hand", name);
    else if (ca)
        old_ca(need, d, c, ca, name);
    else
        new_ca(need, d, c, name);
}

/* ---- clock ---- */

static void
look_at_clock(struct jn_need *need, const struct jn_view *v, const struct jn_system *s)
{
    char off[40];

    snprintf(off, sizeof off, "%lld ms", (long long)v->clock_offset_ms);
    if (v->clock_offset_ms > 1500 || v->clock_offset_ms < -1500)
        jn_need_remark(need, "# warning: its clock differs from rekeyd's by %s: set both, best by NTP", off);
    if (!s->ntp)
        jn_need_remark(need, "# warning: it has no NTP server%s: key chains need one", "");
    if (v->clock.zone_s != 0)
        jn_need_remark(
            need, "# warning: its time zone is not UTC%s: start times of key chains move with daylight saving", "");
}

int
jn_need_make(const struct jn_device *d, const struct jn_view *view, const struct jn_system *system,
             const struct rk_prepare *want, struct jn_need *out)
{
    const char *const *ifaces = want->ifaces;
    const struct jn_conf *c = view->conf;

    *out = (struct jn_need){.list = NULL};
    need_class(out, d, system);
    need_netconf(out, system);
    if (!system->lldp_names) {
        struct jn_statement *st = jn_need_begin(out, "protocols lldp");

        if (st)
            jn_word_put(st, JN_LEAF, "port-id-subtype", "interface-name");
    }
    if (want->size >= sizeof *want && want->carries)
        need_quick_lldp(out, system);
    for (size_t i = 0; ifaces[i]; i++)
        need_iface(out, d, c, system, ifaces[i]);
    for (size_t i = 0; !ifaces[0] && i < c->n_port; i++)
        if (c->port[i].qkd.there)
            need_iface(out, d, c, system, c->port[i].name);
    look_at_clock(out, view, system);
    return out->err;
}

/* ---- what the router has ---- */

static bool
is_active(const xmlNode *node)
{
    const char *v = node ? jn_attr(node, "inactive") : NULL;

    return node && !(v && strcmp(v, "inactive") == 0);
}

static void
read_login(const xmlNode *system, const char *user, struct jn_system *out)
{
    const xmlNode *login = nc_child(system, "login");
    char name[80];

    for (const xmlNode *n = nc_child(login, "class"); n; n = nc_next(n))
        out->has_class |= is_active(n) && nc_child_text(n, "name", name, sizeof name) && strcmp(name, CLASS) == 0;
    for (const xmlNode *n = nc_child(login, "user"); n; n = nc_next(n))
        if (nc_child_text(n, "name", name, sizeof name) && strcmp(name, user) == 0)
            nc_child_text(n, "class", out->user_class, sizeof out->user_class);
}

/* A time of LLDP; -1: not set, or not as a number. */
static long
read_time(const xmlNode *lldp, const char *name)
{
    char text[24], *end;
    long s = nc_child_text(lldp, name, text, sizeof text) && text[0] ? strtol(text, &end, 10) : -1;

    return s >= 0 && !*end ? s : -1;
}

static int
read_lldp(const xmlNode *lldp, struct jn_system *out)
{
    char text[40];

    out->lldp_interval_s = read_time(lldp, "advertisement-interval");
    out->lldp_delay_s = read_time(lldp, "transmit-delay");
    out->lldp_names = nc_child_text(lldp, "port-id-subtype", text, sizeof text) && strcmp(text, "interface-name") == 0;
    for (const xmlNode *n = is_active(lldp) ? nc_child(lldp, "interface") : NULL; n; n = nc_next(n)) {
        char name[RK_IFACE_MAX + 1], plain[RK_IFACE_MAX + 1];
        char (*more)[RK_IFACE_MAX + 1];

        if (!is_active(n) || nc_child(n, "disable") || !nc_child_text(n, "name", name, sizeof name) ||
            !jn_iface_name(name, plain))
            continue;
        out->lldp_all |= strcmp(plain, "all") == 0;
        more = reallocarray(out->lldp, out->n_lldp + 1, sizeof *more);
        if (!more)
            return RK_E_NOMEM;
        out->lldp = more;
        strcpy(more[out->n_lldp++], plain);
    }
    return RK_OK;
}

int
jn_system_read(const xmlNode *root, const char *user, struct jn_system *out)
{
    const xmlNode *conf = nc_find(root, "configuration"), *system = nc_child(conf, "system"),
                  *netconf = nc_child(nc_child(system, "services"), "netconf");

    *out = (struct jn_system){.has_class = false};
    if (!conf)
        return RK_E_PROTOCOL;
    read_login(system, user, out);
    out->netconf_ssh = is_active(netconf) && is_active(nc_child(netconf, "ssh"));
    out->ntp = is_active(nc_child(system, "ntp")) && nc_child(nc_child(system, "ntp"), "server");
    return read_lldp(nc_child(nc_child(conf, "protocols"), "lldp"), out);
}

void
jn_system_free(struct jn_system *s)
{
    free(s->lldp);
    *s = (struct jn_system){.has_class = false};
}
