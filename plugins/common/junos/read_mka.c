/* read_mka.c - MKA participants of get-mka-session-information.  Pure.
 *
 * Releases differ: leaves in one flat list that repeat for each interface and CAK, a container for each interface, a
 * container for each CAK in it.  So leaves are taken in document order, and a row ends where one of its leaves comes
 * again.  Of rows of an interface that are about the same CAK and do not contradict each other, one is made. */
#include "read_mka.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VALUE_MAX 160
#define IFACE_ROWS_MAX 256 /* participants of one interface; 64 of a chain, and a few */
#define DEPTH_MAX 64
#define CUT_HEAD_MIN 8 /* digits that a name that is cut begins with, at least */

static const char *const leaf_names[JN_LEAVES] = {
    [JN_L_IFACE] = "interface-name", [JN_L_STATE] = "interface-state", [JN_L_MEMBER] = "member-identifier",
    [JN_L_NAME] = "cak-name", [JN_L_TYPE] = "cak-type", [JN_L_STATUS] = "cak-status", [JN_L_TX] = "mn-tx",
    [JN_L_RX] = "mn-rx", [JN_L_SAK] = "latest-sak-key-identifier", [JN_L_PEERS] = "peer-count",
};

static bool
same_name(const char *name, const char *leaf)
{
    for (; *name && *leaf; name++, leaf++)
        if (tolower((unsigned char)*name) != *leaf && !(*name == ' ' && *leaf == '-'))
            return false;
    return *name == *leaf;
}

enum jn_mka_leaf
jn_mka_leaf_of(const char *name)
{
    char first = (char)tolower((unsigned char)name[0]);

    for (enum jn_mka_leaf l = 0; l < JN_LEAVES; l++)
        if (first == leaf_names[l][0] && same_name(name, leaf_names[l]))
            return l;
    return first == 'l' && strcasecmp(name, "Latest SAK KI") == 0 ? JN_L_SAK : JN_LEAVES;
}

/* ---- values ---- */

struct word {
    const char *text;
    int value;
};

static int
word_of(const struct word *words, const char *text)
{
    for (; words->text; words++)
        if (strcasecmp(words->text, text) == 0)
            return words->value;
    return words->value;
}

static enum jn_mka_state
state_of(const char *text)
{
    static const struct word words[] = {
        {"Secured - Primary", JN_MKA_PRIMARY}, {"Secured - Preceding", JN_MKA_PRECEDING},
        {"Secured - Fallback", JN_MKA_FALLBACK}, {"Secured-Primary", JN_MKA_PRIMARY},
        {"Secured-Preceding", JN_MKA_PRECEDING}, {"Secured-Fallback", JN_MKA_FALLBACK},
        {"Secured-Suspended", JN_MKA_SUSPENDED}, {"Secured - Suspended", JN_MKA_SUSPENDED},
        {"Unsecured", JN_MKA_UNSECURED}, {"Down", JN_MKA_UNSECURED}, {NULL, JN_MKA_UNKNOWN}};

    return (enum jn_mka_state)word_of(words, text);
}

static enum jn_cak_type
type_of(const char *text)
{
    static const struct word words[] = {{"primary", JN_CAK_PRIMARY}, {"preceding", JN_CAK_PRECEDING},
                                        {"fallback", JN_CAK_FALLBACK}, {NULL, JN_CAK_UNKNOWN}};

    return (enum jn_cak_type)word_of(words, text);
}

static enum jn_cak_status
status_of(const char *text)
{
    static const struct word words[] = {{"live", JN_CAK_LIVE}, {"in-progress", JN_CAK_IN_PROGRESS},
                                        {"active", JN_CAK_ACTIVE}, {NULL, JN_CAK_NONE}};

    return (enum jn_cak_status)word_of(words, text);
}

/* What is longer than a CKN is none: it is kept cut and marked, so that it matches nothing. */
static void
put_ckn(struct jn_mka *m, const char *text)
{
    size_t i;

    for (i = 0; text[i] && i < JN_CKN_HEX; i++)
        m->ckn[i] = isgraph((unsigned char)text[i]) ? (char)tolower((unsigned char)text[i]) : '?';
    m->ckn[i] = '\0';
    if (text[i])
        m->ckn[0] = '?';
}

/* Digits that the text has from its begin, whatever follows. */
static size_t
head_of(const char *text)
{
    size_t len = 0;

    while (isxdigit((unsigned char)text[len]))
        len++;
    return len;
}

/* "<24 hex>/<KN>", not all zero. */
static void
put_sak(struct jn_mka *m, const char *text)
{
    size_t digits = head_of(text);
    uint64_t kn;

    if (digits != 24 || text[24] != '/' || !jn_u64(text + 25, &kn) || strlen(text) >= sizeof m->sak)
        return;
    memcpy(m->sak, text, strlen(text) + 1);
    m->has_sak = strspn(text, "0") < 24 && kn > 0;
}

static void
put_member(struct jn_mka *m, const char *text)
{
    if (strlen(text) == sizeof m->member - 1)
        memcpy(m->member, text, sizeof m->member);
}

/* ---- rows ---- */

static struct jn_mka *
row_at(const struct jn_mka_walk *w, size_t i)
{
    return (struct jn_mka *)w->rows.v + i;
}

/* Several states for one interface are those of its rows. */
static void
put_state(struct jn_mka_walk *w, enum jn_mka_state state)
{
    w->state = state;
    for (size_t i = w->first; i < w->rows.n; i++)
        if (row_at(w, i)->state == JN_MKA_UNKNOWN || i == w->row)
            row_at(w, i)->state = state;
}

static void
begin_iface(struct jn_mka_walk *w, const char *name)
{
    char iface[RK_IFACE_MAX + 1];
    bool again = jn_iface_name(name, iface) && strcmp(iface, w->iface) == 0;

    memcpy(w->iface, iface, sizeof w->iface);
    w->state = again ? w->state : JN_MKA_UNKNOWN;
    w->first = again ? w->first : w->rows.n;
    w->row = JN_NO_ROW;
    w->seen = 0;
}

static struct jn_mka *
open_row(struct jn_mka_walk *w, enum jn_mka_leaf leaf)
{
    struct jn_mka *m;

    if (w->row != JN_NO_ROW && !(w->seen & 1u << leaf))
        return row_at(w, w->row);
    w->seen = 0;
    w->row = JN_NO_ROW;
    if (w->rows.n - w->first >= IFACE_ROWS_MAX)
        w->rows.err = RK_E_PROTOCOL;
    m = w->rows.err ? NULL : jn_rows_add(&w->rows);
    if (!m)
        return NULL;
    w->row = w->rows.n - 1;
    m->state = w->state;
    memcpy(m->iface, w->iface, sizeof m->iface);
    return m;
}

static void
put_row(struct jn_mka *m, enum jn_mka_leaf leaf, const char *value)
{
    uint64_t n = 0;

    if (leaf == JN_L_NAME)
        put_ckn(m, value);
    else if (leaf == JN_L_TYPE)
        m->type = type_of(value);
    else if (leaf == JN_L_STATUS)
        m->status = status_of(value);
    else if (leaf == JN_L_SAK)
        put_sak(m, value);
    else if (leaf == JN_L_MEMBER)
        put_member(m, value);
    else if (leaf == JN_L_TX && jn_u64(value, &n))
        m->tx = n;
    else if (leaf == JN_L_RX && jn_u64(value, &n))
        m->rx = n;
}

void
jn_mka_put(struct jn_mka_walk *w, enum jn_mka_leaf leaf, const char *value)
{
    struct jn_mka *m;

    if (w->rows.err || leaf >= JN_LEAVES)
        return;
    if (leaf == JN_L_IFACE) {
        begin_iface(w, value);
        return;
    }
    if (!w->iface[0])
        return;
    if (leaf == JN_L_STATE) {
        put_state(w, state_of(value));
        return;
    }
    m = open_row(w, leaf);
    if (!m)
        return;
    w->seen |= 1u << leaf;
    put_row(m, leaf, value); /* peer-count tells not whether they are live: it only belongs to its row */
}

void
jn_mka_peer(struct jn_mka_walk *w)
{
    if (w->row != JN_NO_ROW && row_at(w, w->row)->peers < UINT32_MAX)
        row_at(w, w->row)->peers++;
}

/* ---- XML ---- */

/* Is one of its values the word "live", or does one end with "(live)"? */
static bool
says_live(const xmlNode *peer)
{
    for (const xmlNode *n = peer->children; n; n = n->next) {
        char text[VALUE_MAX];
        size_t len;

        if (n->type != XML_ELEMENT_NODE || !nc_text(n, text, sizeof text))
            continue;
        len = strlen(text);
        if (strcasecmp(text, "live") == 0 || (len > 6 && strcasecmp(text + len - 6, "(live)") == 0))
            return true;
    }
    return false;
}

/* A list of peers, or one of them: the innermost containers are peers. */
static void
count_peers(struct jn_mka_walk *w, const xmlNode *node, int depth)
{
    bool inner = true;

    for (const xmlNode *n = node->children; n && depth < DEPTH_MAX; n = n->next)
        if (n->type == XML_ELEMENT_NODE && jn_elements(n)) {
            inner = false;
            count_peers(w, n, depth + 1);
        }
    if (inner && says_live(node))
        jn_mka_peer(w);
}

static bool
has_leaf(const xmlNode *node, enum jn_mka_leaf leaf)
{
    return nc_child(node, leaf_names[leaf]) != NULL;
}

static void walk(struct jn_mka_walk *w, const xmlNode *top, int depth);

/* What is in a container does not go on behind it. */
static void
enter(struct jn_mka_walk *w, const xmlNode *node, int depth)
{
    bool iface = has_leaf(node, JN_L_IFACE), cak = !iface && has_leaf(node, JN_L_NAME);
    struct jn_mka_walk was = *w;

    if (strstr((const char *)node->name, "peer")) {
        count_peers(w, node, depth);
        return;
    }
    if (iface)
        begin_iface(w, "");
    if (cak) {
        w->row = JN_NO_ROW;
        w->seen = 0;
    }
    walk(w, node, depth + 1);
    if (cak || iface) {
        w->row = was.row;
        w->seen = was.seen;
    }
    if (iface) {
        memcpy(w->iface, was.iface, sizeof w->iface);
        w->state = was.state;
        w->first = w->rows.n;
    }
}

/* The name of an interface may stand behind its leaves in a container. */
static void
name_first(struct jn_mka_walk *w, const xmlNode *top)
{
    const xmlNode *name = nc_child(top, leaf_names[JN_L_IFACE]);
    char text[VALUE_MAX] = "";

    if (!name || nc_next(name))
        return;
    if (nc_text(name, text, sizeof text))
        begin_iface(w, text);
}

static void
walk(struct jn_mka_walk *w, const xmlNode *top, int depth)
{
    if (depth > DEPTH_MAX)
        return;
    name_first(w, top);
    for (const xmlNode *n = top->children; n && !w->rows.err; n = n->next) {
        enum jn_mka_leaf leaf;
        char text[VALUE_MAX] = "";

        if (n->type != XML_ELEMENT_NODE)
            continue;
        if (jn_elements(n)) {
            enter(w, n, depth);
            continue;
        }
        leaf = jn_mka_leaf_of((const char *)n->name);
        if (leaf == JN_LEAVES)
            continue;
        if (!nc_text(n, text, sizeof text) && leaf != JN_L_IFACE)
            text[0] = '\0';
        if (leaf == JN_L_IFACE && strcmp(text, w->iface) == 0 && w->row == JN_NO_ROW)
            continue; /* by name_first */
        jn_mka_put(w, leaf, text);
    }
}

/* ---- one row for one CAK ---- */

bool
jn_mka_agree(const struct jn_mka *a, const struct jn_mka *b)
{
    return (a->state == b->state || !a->state || !b->state) && (a->type == b->type || !a->type || !b->type) &&
           (a->status == b->status || !a->status || !b->status) &&
           (!a->sak[0] || !b->sak[0] || strcmp(a->sak, b->sak) == 0);
}

void
jn_mka_merge(struct jn_mka *to, const struct jn_mka *from)
{
    to->state = to->state ? to->state : from->state;
    to->type = to->type ? to->type : from->type;
    to->status = to->status ? to->status : from->status;
    if (!to->sak[0]) {
        memcpy(to->sak, from->sak, sizeof to->sak);
        to->has_sak = from->has_sak;
    }
    if (!to->member[0])
        memcpy(to->member, from->member, sizeof to->member);
    to->tx = to->tx ? to->tx : from->tx;
    to->rx = to->rx ? to->rx : from->rx;
    to->peers = to->peers > from->peers ? to->peers : from->peers;
}

static bool
agree(const struct jn_mka *a, const struct jn_mka *b)
{
    return strcmp(a->iface, b->iface) == 0 && strcmp(a->ckn, b->ckn) == 0 && jn_mka_agree(a, b);
}

/* Rows of an interface that stand together; rows without a name are none.   ret: how many are left */
static size_t
tidy(struct jn_mka *m, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k = kept;

        if (!m[i].ckn[0])
            continue;
        while (k > 0 && kept - k < IFACE_ROWS_MAX && strcmp(m[k - 1].iface, m[i].iface) == 0 &&
               !agree(&m[k - 1], &m[i]))
            k--;
        if (k > 0 && agree(&m[k - 1], &m[i]))
            jn_mka_merge(&m[k - 1], &m[i]);
        else
            m[kept++] = m[i];
    }
    return kept;
}

int
jn_mka_read(const xmlNode *root, struct jn_mka **out, size_t *n)
{
    struct jn_mka_walk w = {.rows.size = sizeof(struct jn_mka), .row = JN_NO_ROW};
    const xmlNode *top = root ? jn_top(root, "mka-session-information") : NULL;
    char *text = NULL;

    *out = NULL;
    *n = 0;
    if (!root)
        return RK_E_PROTOCOL;
    if (!top)
        text = jn_output(root, &w.rows.err);
    if (!top && !text && !w.rows.err && jn_other(root))
        w.rows.err = RK_E_PROTOCOL;
    for (; top && !w.rows.err; top = jn_top_next(root, top)) {
        begin_iface(&w, "");
        walk(&w, top, 0);
    }
    if (text)
        jn_mka_text(&w, text);
    xmlFree(text);
    if (w.rows.err) {
        free(w.rows.v);
        return w.rows.err;
    }
    *out = w.rows.v;
    *n = tidy(*out, w.rows.n);
    return RK_OK;
}

/* ---- CKNs ---- */

/* Digits without the zeros that routers pad a short name with; 0: no hexadecimal digits. */
static size_t
digits_of(const char *text)
{
    size_t len = head_of(text);

    if (text[len] || len > JN_CKN_HEX)
        return 0;
    while (len > 0 && text[len - 1] == '0')
        len--;
    return len;
}

bool
jn_ckn_same(const char *printed, const char *ckn)
{
    size_t a, b;

    if (tolower((unsigned char)printed[0]) != tolower((unsigned char)ckn[0])) /* so are most */
        return false;
    a = digits_of(printed);
    b = digits_of(ckn);
    return a > 0 && a == b && strncasecmp(printed, ckn, a) == 0;
}

bool
jn_ckn_cut(const char *printed, const char *ckn)
{
    size_t head, len, dots, tail;

    if (tolower((unsigned char)printed[0]) != tolower((unsigned char)ckn[0]))
        return false;
    head = head_of(printed);
    len = strlen(ckn);
    dots = strspn(printed + head, ".");
    tail = strlen(printed + head + dots);
    if (head_of(ckn) != len) /* it is cut itself */
        return false;
    if (head < CUT_HEAD_MIN || head + tail >= len || (!dots && tail) || strncasecmp(printed, ckn, head) != 0)
        return false;
    if (!dots)
        return !jn_ckn_same(printed, ckn);
    return strcasecmp(printed + head + dots, ckn + len - tail) == 0;
}
