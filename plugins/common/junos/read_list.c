/* read_list.c - replies that are lists: MACsec connections, key chains, neighbours, interfaces, commits.  Pure. */
#include "read_mka.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 64

static int
give(struct jn_rows *rows, void **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    if (rows->err) {
        free(rows->v);
        return rows->err;
    }
    *out = rows->v;
    *n = rows->n;
    return RK_OK;
}

static void *
last(const struct jn_rows *rows)
{
    return rows->n ? (char *)rows->v + (rows->n - 1) * rows->size : NULL;
}

/* ---- MACsec connections: siblings in document order; an interface begins with its common information ---- */

static void
begin_macsec(struct jn_rows *rows, const xmlNode *node)
{
    char encryption[16], iface[RK_IFACE_MAX + 1];
    struct jn_macsec *m;

    jn_iface_of(node, "interface-name", iface);
    m = jn_rows_add(rows); /* a row without a name takes what belongs to it, and is left out */
    if (!m)
        return;
    memcpy(m->iface, iface, sizeof m->iface);
    nc_child_text(node, "connectivity-association-name", m->ca, sizeof m->ca);
    nc_child_text(node, "cipher-suite", m->cipher, sizeof m->cipher);
    m->encrypts = nc_child_text(node, "encryption", encryption, sizeof encryption) && strcasecmp(encryption, "on") == 0;
}

static bool
in_use(const xmlNode *channel, const char *association)
{
    for (const xmlNode *a = nc_child(channel, association); a; a = nc_next(a)) {
        char status[16];

        if (nc_child_text(a, "association-number-status", status, sizeof status) && strcasecmp(status, "inuse") == 0)
            return true;
    }
    return false;
}

static void
walk_macsec(struct jn_rows *rows, const xmlNode *top, int depth)
{
    for (const xmlNode *n = top->children; n && !rows->err; n = n->next) {
        struct jn_macsec *m = last(rows);

        if (n->type != XML_ELEMENT_NODE)
            continue;
        if (nc_is(n, "macsec-interface-common-information")) {
            begin_macsec(rows, n);
        } else if (nc_is(n, "outbound-secure-channel")) {
            uint64_t pn;

            if (m && jn_child_u64(n, "outgoing-packet-number", &pn))
                m->out_pn = pn;
            if (m)
                m->out_inuse |= in_use(n, "outbound-secure-association");
        } else if (nc_is(n, "inbound-secure-channel")) {
            if (m)
                m->in_inuse |= in_use(n, "inbound-secure-association");
        } else if (depth < DEPTH_MAX) {
            walk_macsec(rows, n, depth + 1);
        }
    }
}

static void
drop_nameless(struct jn_rows *rows)
{
    struct jn_macsec *m = rows->v;
    size_t kept = 0;

    for (size_t i = 0; i < rows->n; i++)
        if (m[i].iface[0])
            m[kept++] = m[i];
    rows->n = kept;
}

int
jn_macsec_read(const xmlNode *root, struct jn_macsec **out, size_t *n)
{
    struct jn_rows rows = {.size = sizeof **out};
    const xmlNode *top = root ? jn_top(root, "macsec-connection-information") : NULL;
    char *text = root && !top ? jn_output(root, &rows.err) : NULL;
    void *v;
    int err;

    if (!root || (!top && !text && !rows.err && jn_other(root)))
        rows.err = RK_E_PROTOCOL;
    for (; top && !rows.err; top = jn_top_next(root, top))
        walk_macsec(&rows, top, 0);
    if (text)
        jn_macsec_text(&rows, text);
    xmlFree(text);
    drop_nameless(&rows);
    err = give(&rows, &v, n);
    *out = v;
    return err;
}

/* ---- key chains ---- */

static void
put_number(const xmlNode *node, int *to)
{
    char text[24];
    uint64_t n;

    if (nc_text(node, text, sizeof text) && jn_u64(text, &n) && n < JN_SLOTS)
        *to = (int)n;
}

static void
walk_hakr(struct jn_rows *rows, const xmlNode *top, int depth)
{
    for (const xmlNode *n = top->children; n && !rows->err; n = n->next) {
        struct jn_hakr *h = last(rows);

        if (n->type != XML_ELEMENT_NODE)
            continue;
        if (nc_is(n, "hakr-keychain-name")) {
            h = jn_rows_add(rows);
            if (h) {
                h->active_send = h->active_receive = h->next_send = h->next_receive = -1;
                nc_text(n, h->chain, sizeof h->chain);
            }
        } else if (jn_elements(n) && !nc_is(n, "hakr-keys")) {
            if (depth < DEPTH_MAX)
                walk_hakr(rows, n, depth + 1);
        } else if (!h) {
            continue;
        } else if (nc_is(n, "hakr-keychain-active-send-key")) {
            put_number(n, &h->active_send);
        } else if (nc_is(n, "hakr-keychain-active-receive-key")) {
            put_number(n, &h->active_receive);
        } else if (nc_is(n, "hakr-keychain-next-send-key")) {
            put_number(n, &h->next_send);
        } else if (nc_is(n, "hakr-keychain-next-receive-key")) {
            put_number(n, &h->next_receive);
        } else if (nc_is(n, "hakr-keychain-next-key-time")) {
            nc_text(n, h->next_time, sizeof h->next_time);
        }
    }
}

int
jn_hakr_read(const xmlNode *root, struct jn_hakr **out, size_t *n)
{
    struct jn_rows rows = {.size = sizeof **out};
    void *v;
    int err;

    if (!root)
        rows.err = RK_E_PROTOCOL;
    else
        walk_hakr(&rows, root, 0);
    err = give(&rows, &v, n);
    *out = v;
    return err;
}

/* ---- LLDP neighbours ---- */

static int64_t
seconds_of(const xmlNode *node, const char *name)
{
    uint64_t n;

    return jn_child_u64(node, name, &n) && n <= INT32_MAX ? (int64_t)n : -1;
}

static void
add_neighbour(struct jn_rows *rows, const xmlNode *node)
{
    struct jn_neighbour *b;
    char iface[RK_IFACE_MAX + 1];

    /* lldp-local-port-id is the interface on some platforms, and a number where the other name is there, too */
    if (!jn_iface_of(node, "lldp-local-interface", iface) && !jn_iface_of(node, "lldp-local-port-id", iface))
        return;
    b = jn_rows_add(rows);
    if (!b)
        return;
    memcpy(b->iface, iface, sizeof b->iface);
    nc_child_text(node, "lldp-remote-chassis-id", b->chassis, sizeof b->chassis);
    nc_child_text(node, "lldp-remote-port-id", b->port, sizeof b->port);
    nc_child_text(node, "lldp-remote-port-description", b->description, sizeof b->description);
    nc_child_text(node, "lldp-remote-system-name", b->system, sizeof b->system);
    b->age_s = seconds_of(node, "lldp-age");
    b->ttl_s = seconds_of(node, "lldp-ttl");
}

int
jn_lldp_read(const xmlNode *root, struct jn_neighbour **out, size_t *n)
{
    struct jn_rows rows = {.size = sizeof **out};
    const xmlNode *top = root ? jn_top(root, "lldp-neighbors-information") : NULL;
    void *v;
    int err;

    if (!root || (!top && jn_other(root)))
        rows.err = RK_E_PROTOCOL;
    for (; top && !rows.err; top = jn_top_next(root, top))
        for (const xmlNode *b = nc_child(top, "lldp-neighbor-information"); b && !rows.err; b = nc_next(b))
            add_neighbour(&rows, b);
    err = give(&rows, &v, n);
    *out = v;
    return err;
}

/* ---- interfaces ---- */

static void
add_link(struct jn_rows *rows, const xmlNode *node)
{
    struct jn_link_state *l;
    char iface[RK_IFACE_MAX + 1], text[16];

    if (!jn_iface_of(node, "name", iface))
        return;
    l = jn_rows_add(rows);
    if (!l)
        return;
    memcpy(l->iface, iface, sizeof l->iface);
    nc_child_text(node, "description", l->description, sizeof l->description);
    l->admin_up = nc_child_text(node, "admin-status", text, sizeof text) && strcasecmp(text, "up") == 0;
    l->oper_up = nc_child_text(node, "oper-status", text, sizeof text) && strcasecmp(text, "up") == 0;
}

int
jn_links_read(const xmlNode *root, struct jn_link_state **out, size_t *n)
{
    struct jn_rows rows = {.size = sizeof **out};
    const xmlNode *top = root ? jn_top(root, "interface-information") : NULL;
    void *v;
    int err;

    if (!root || (!top && jn_other(root)))
        rows.err = RK_E_PROTOCOL;
    for (; top && !rows.err; top = jn_top_next(root, top))
        for (const xmlNode *l = nc_child(top, "physical-interface"); l && !rows.err; l = nc_next(l))
            add_link(&rows, l);
    err = give(&rows, &v, n);
    *out = v;
    return err;
}

/* ---- commits ---- */

static void
add_commit(struct jn_rows *rows, const xmlNode *node)
{
    const xmlNode *when = nc_child(node, "date-time");
    const char *seconds = when ? jn_attr(when, "seconds") : NULL;
    struct jn_commit *c;
    uint64_t number, s;

    if (!jn_child_u64(node, "sequence-number", &number) || number > 1000)
        return;
    c = jn_rows_add(rows);
    if (!c)
        return;
    c->number = (unsigned)number;
    nc_child_text(node, "user", c->user, sizeof c->user);
    nc_child_text(node, "client", c->client, sizeof c->client);
    nc_child_text(node, "log", c->log, sizeof c->log);
    c->unix_s = seconds && jn_u64(seconds, &s) && s <= INT64_MAX ? (int64_t)s : 0;
    c->rollback_pending = nc_child(node, "commit-confirmed") != NULL;
}

int
jn_commits_read(const xmlNode *root, struct jn_commit **out, size_t *n)
{
    struct jn_rows rows = {.size = sizeof **out};
    const xmlNode *top = root ? jn_top(root, "commit-information") : NULL;
    void *v;
    int err;

    if (!top)
        rows.err = RK_E_PROTOCOL;
    for (; top && !rows.err; top = jn_top_next(root, top))
        for (const xmlNode *c = nc_child(top, "commit-history"); c && !rows.err; c = nc_next(c))
            add_commit(&rows, c);
    err = give(&rows, &v, n);
    *out = v;
    return err;
}
