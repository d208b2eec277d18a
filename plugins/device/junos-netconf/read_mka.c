/* read_mka.c - get-mka-session-information: participants of MKA, one for each CAK of an interface.  Pure.
 *
 * A leaf that the participant has already begins the next one of the same interface, an interface-name the next
 * interface; so flat lists (src: Juniper YANG 23.1, 23.2), one container for each interface, and one for each CAK read the
 * same.  session-live and session-cak (seen in the JSON form) say more of a CAK that was named before, or name it.
 */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HAVE_MEMBER 1u
#define HAVE_CKN 2u
#define HAVE_TYPE 4u
#define HAVE_STATUS 8u

static struct jn_mka *
participant(struct jn_mka_list *l)
{
    struct jn_mka *m;

    if (l->open)
        return &l->all[l->n - 1];
    m = l->iface[0] ? jn_grow(&l->all, &l->n, sizeof *m, JN_LIST_MAX) : NULL;
    if (!m) {
        l->full |= l->iface[0] != '\0';
        return NULL;
    }
    memcpy(m->iface, l->iface, sizeof m->iface);
    l->open = true;
    l->have = 0;
    return m;
}

void
jn_mka_iface(struct jn_mka_list *l, const char *iface)
{
    l->open = false;
    if (!jn_iface(iface, l->iface))
        l->iface[0] = '\0';
}

/* The participant that takes this leaf: a new one when this one has it. */
static struct jn_mka *
taker(struct jn_mka_list *l, unsigned what)
{
    struct jn_mka *m;

    if (l->open && (l->have & what))
        l->open = false;
    m = participant(l);
    l->have |= what;
    return m;
}

static enum jn_mka_state
state_of(const char *text)
{
    if (strncasecmp(text, "Unsecured", 9) == 0 || strncasecmp(text, "Down", 4) == 0)
        return JN_MKA_UNSECURED;
    if (strncasecmp(text, "Secured", 7) != 0)
        return JN_MKA_UNKNOWN;
    return strcasestr(text, "Suspend")     ? JN_MKA_SUSPENDED
           : strcasestr(text, "Primary")   ? JN_MKA_PRIMARY
           : strcasestr(text, "Preceding") ? JN_MKA_PRECEDING
           : strcasestr(text, "Fallback")  ? JN_MKA_FALLBACK
                                           : JN_MKA_UNKNOWN;
}

static enum jn_cak_type
type_of(const char *text)
{
    return strcasecmp(text, "primary") == 0     ? JN_CAK_PRIMARY
           : strcasecmp(text, "preceding") == 0 ? JN_CAK_PRECEDING
           : strcasecmp(text, "fallback") == 0  ? JN_CAK_FALLBACK
                                                : JN_CAK_UNKNOWN;
}

static enum jn_cak_status
status_of(const char *text)
{
    return strcasecmp(text, "live") == 0          ? JN_CAK_LIVE
           : strcasecmp(text, "active") == 0      ? JN_CAK_ACTIVE
           : strcasecmp(text, "in-progress") == 0 ? JN_CAK_IN_PROGRESS
                                                  : JN_CAK_NONE;
}

/* "<24 digits>/<number>"; all zero stands for none. */
static void
set_sak(struct jn_mka *m, const char *text)
{
    m->has_sak = strpbrk(text, "123456789abcdefABCDEF") != NULL && strchr(text, '/') != NULL &&
                 strspn(text, "0") < (size_t)(strchr(text, '/') - text);
    if (m->has_sak)
        snprintf(m->sak, sizeof m->sak, "%s", text);
}

static void
put_ckn(struct jn_mka_list *l, const char *value)
{
    struct jn_mka *m = taker(l, HAVE_CKN);

    if (m)
        jn_hex_lower(value, m->ckn);
}

static void
put_member(struct jn_mka_list *l, const char *value)
{
    (void)value;
    taker(l, HAVE_MEMBER);
}

static void
put_type(struct jn_mka_list *l, const char *value)
{
    struct jn_mka *m = taker(l, HAVE_TYPE);

    if (m)
        m->type = type_of(value);
}

static void
put_status(struct jn_mka_list *l, const char *value)
{
    struct jn_mka *m = taker(l, HAVE_STATUS);

    if (m)
        m->status = status_of(value);
}

static void
put_state(struct jn_mka_list *l, const char *value)
{
    struct jn_mka *m = participant(l);

    if (m)
        m->state = state_of(value);
}

static void
put_sak(struct jn_mka_list *l, const char *value)
{
    struct jn_mka *m = participant(l);

    if (m)
        set_sak(m, value);
}

static void
put_tx(struct jn_mka_list *l, const char *value)
{
    struct jn_mka *m = participant(l);

    if (m)
        m->tx = (uint64_t)jn_number(value, 0);
}

static void
put_rx(struct jn_mka_list *l, const char *value)
{
    struct jn_mka *m = participant(l);

    if (m)
        m->rx = (uint64_t)jn_number(value, 0);
}

static void
put_peers(struct jn_mka_list *l, const char *value)
{
    struct jn_mka *m = participant(l);

    if (m)
        m->peers = (unsigned)jn_number(value, 0);
}

void
jn_mka_leaf(struct jn_mka_list *l, const char *name, const char *value)
{
    static const struct {
        const char *name;
        void (*put)(struct jn_mka_list *, const char *);
    } leaves[] = {
        {"interface-name", jn_mka_iface},
        {"interface-state", put_state},
        {"member-identifier", put_member},
        {"cak-name", put_ckn},
        {"cak-type", put_type},
        {"cak-status", put_status},
        {"latest-sak-key-identifier", put_sak},
        {"mn-tx", put_tx},
        {"mn-rx", put_rx},
        {"peer-count", put_peers},
    };

    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++)
        if (strcmp(name, leaves[i].name) == 0)
            leaves[i].put(l, value);
}

void
jn_mka_peer(struct jn_mka_list *l, bool live)
{
    if (l->open && live)
        l->all[l->n - 1].peers++;
}

/* ---- XML ---- */

/* A peer's leaves have the names of the participant's own. */
static bool
is_peer(const xmlNode *node)
{
    const char *name = (const char *)node->name;

    return node->children && strstr(name, "peer") && strcmp(name, "peer-count") != 0;
}

static const xmlNode *
read_peer(struct jn_mka_list *l, const xmlNode *root, const xmlNode *node)
{
    const xmlNode *end = jn_walk_past(root, node);
    char text[80];

    for (const xmlNode *n = node; n != end; n = jn_walk(root, n))
        if (nc_text(n, text, sizeof text) && (strcasecmp(text, "live") == 0 || strstr(text, "(live)"))) {
            jn_mka_peer(l, true);
            break;
        }
    return end;
}

/* session-live, session-cak: what they say of a CAK that is known or is to be. */
static const xmlNode *
read_session(struct jn_mka_list *l, const xmlNode *root, const xmlNode *node)
{
    bool live = nc_is(node, "session-live");
    char text[160];
    struct jn_mka *m;

    l->open = false;
    for (const xmlNode *n = jn_walk(node, node); n; n = jn_walk(node, n))
        if (!n->children || n->children->type != XML_ELEMENT_NODE)
            if (nc_text(n, text, sizeof text) && !nc_is(n, "interface-name"))
                jn_mka_leaf(l, (const char *)n->name, text);
    m = l->open ? &l->all[l->n - 1] : NULL;
    if (m && live && m->status == JN_CAK_NONE)
        m->status = JN_CAK_LIVE;
    l->open = false;
    return jn_walk_past(root, node);
}

static void
read_xml(struct jn_mka_list *l, const xmlNode *root)
{
    char text[160];

    for (const xmlNode *n = jn_walk(root, root); n && !l->full;) {
        if (nc_is(n, "session-live") || nc_is(n, "session-cak")) {
            n = read_session(l, root, n);
        } else if (is_peer(n)) {
            n = read_peer(l, root, n);
        } else {
            if (n->children && n->children->type != XML_ELEMENT_NODE && nc_text(n, text, sizeof text))
                jn_mka_leaf(l, (const char *)n->name, text);
            n = jn_walk(root, n);
        }
    }
}

/* ---- the list as a whole ---- */

static int
by_iface(const void *a, const void *b)
{
    const struct jn_mka *x = a, *y = b;
    int order = strcmp(x->iface, y->iface);

    return order ? order : strcmp(x->ckn, y->ckn);
}

/* What b says more of the participant. */
static void
merge(struct jn_mka *a, const struct jn_mka *b)
{
    a->state = a->state ? a->state : b->state;
    a->type = a->type ? a->type : b->type;
    a->status = a->status > b->status ? a->status : b->status;
    a->tx = a->tx > b->tx ? a->tx : b->tx;
    a->rx = a->rx > b->rx ? a->rx : b->rx;
    a->peers = a->peers > b->peers ? a->peers : b->peers;
    if (!a->has_sak && b->has_sak) {
        a->has_sak = true;
        memcpy(a->sak, b->sak, sizeof a->sak);
    }
}

/* The state is the interface's: all its participants have that of the one that told it. */
static void
spread_state(struct jn_mka *all, size_t n)
{
    for (size_t i = 0, end; i < n; i = end) {
        enum jn_mka_state state = JN_MKA_UNKNOWN;

        for (end = i; end < n && strcmp(all[end].iface, all[i].iface) == 0; end++)
            state = state ? state : all[end].state;
        for (size_t k = i; k < end; k++)
            all[k].state = state;
    }
}

/* Participants that were told of twice (by two routing engines, by session-live) are one.  One without a name stays only
 * when it tells the state of an interface that has no other. */
static void
tidy(struct jn_mka_list *l)
{
    size_t n = 0;

    if (l->n)
        qsort(l->all, l->n, sizeof *l->all, by_iface);
    for (size_t i = 0; i < l->n; i++) {
        if (n && l->all[i].ckn[0] && by_iface(&l->all[n - 1], &l->all[i]) == 0)
            merge(&l->all[n - 1], &l->all[i]);
        else
            l->all[n++] = l->all[i];
    }
    l->n = n;
    spread_state(l->all, l->n);
}

int
jn_mka_read(const xmlNode *root, struct jn_mka **out, size_t *n)
{
    struct jn_mka_list l = {0};
    char *text;

    read_xml(&l, root);
    text = l.n == 0 && !l.full && nc_find(root, "output") ? jn_output(root) : NULL;
    if (text)
        jn_mka_text(&l, text);
    free(text);
    if (l.full) {
        free(l.all);
        *out = NULL;
        *n = 0;
        return l.n >= JN_LIST_MAX ? RK_E_PROTOCOL : RK_E_NOMEM;
    }
    tidy(&l);
    *out = l.all;
    *n = l.n;
    return RK_OK;
}
