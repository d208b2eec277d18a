/* view.c - asks a router for what is wanted of it, one request for each kind, whatever the number of interfaces.
 *
 * Releases name some requests differently: the next name is tried when one is not known, and what was known is
 * remembered for the device.  The reply with the configuration has keys in it: it is wiped, and never logged. */
#include "rows.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BODY_MAX 512
#define NAMES_AGAIN 32 /* calls until another form is tried again, where none has whole CKNs */

/* Kinds of requests that have several names; index into jn_device.way. */
enum kind { K_MKA = 0, K_SUMMARY, K_MACSEC, K_LLDP, K_LLDP_ONE, K_HAKR, K_LINKS,
            K_NAMES /* no request: calls since no form of the answer had whole CKNs */ };

struct way {
    const char *what, *body; /* %s in body: the interface */
};
#define WAYS 4
static const struct way ways[][WAYS] = {
    [K_MKA] = {
        {"get-mka-session-information", "<get-mka-session-information><detail/></get-mka-session-information>"},
        {"get-mka-session-information", "<get-mka-session-information/>"},
        {"show security mka sessions", "<command format=\"text\">show security mka sessions detail</command>"},
        {"show security mka sessions", "<command format=\"text\">show security mka sessions</command>"}},
    [K_SUMMARY] = {
        {"get-mka-session-information", "<get-mka-session-information><summary/></get-mka-session-information>"},
        {"show security mka sessions", "<command format=\"text\">show security mka sessions summary</command>"}},
    [K_MACSEC] = {
        {"get-macsec-connection-information", "<get-macsec-connection-information/>"},
        {"show security macsec connections", "<command format=\"text\">show security macsec connections</command>"}},
    [K_LLDP] = {
        {"get-lldp-neighbors-information", "<get-lldp-neighbors-information/>"},
        {"get-lldp-neighbor-detail-information", "<get-lldp-neighbor-detail-information/>"}},
    [K_LLDP_ONE] = {
        {"get-lldp-interface-neighbors",
         "<get-lldp-interface-neighbors><interface-device>%s</interface-device></get-lldp-interface-neighbors>"},
        {"get-lldp-interface-neighbors-information",
         "<get-lldp-interface-neighbors-information><interface-name>%s</interface-name>"
         "</get-lldp-interface-neighbors-information>"}},
    [K_HAKR] = {{"get-hakr-keychain-information", "<get-hakr-keychain-information/>"}},
    [K_LINKS] = {
        {"get-interface-information", "<get-interface-information><media/></get-interface-information>"},
        {"get-interface-information", "<get-interface-information/>"}},
};

/* One jn_view_get. */
struct ask {
    struct jn_device *d;
    struct rk_call *call;
    const char *const *ifaces;
    size_t n;
    struct jn_only only;
    struct jn_view *v;
    struct nc_more ahead; /* what is asked for behind the configuration, and its reply when that came already */
};

/* ---- requests ---- */

/* Refused because it is not known, and for no other reason. */
static bool
is_unknown(const struct nc_reply *reply)
{
    for (unsigned i = 0; reply && i < reply->n_errors && i < NC_ERRORS_MAX; i++) {
        const struct nc_error *e = &reply->errors[i];

        if (strstr(e->message, "syntax error") || strstr(e->message, "unknown command") ||
            strcmp(e->tag, "operation-not-supported") == 0 || strcmp(e->tag, "unknown-element") == 0)
            return true;
    }
    return false;
}

static int
ask_plain(struct ask *a, const char *what, const char *body, struct nc_reply **reply)
{
    if (!a->ahead.reply || strcmp(body, a->ahead.body) != 0)
        return jn_ask(a->d, a->call, what, body, reply);
    *reply = a->ahead.reply;
    a->ahead.reply = NULL;
    return RK_OK;
}

/* The request in the words that the router knows.   ret: RK_E_UNSUPPORTED: it knows none of them */
static int
ask_way(struct ask *a, enum kind kind, const char *iface, struct nc_reply **reply)
{
    int err = RK_E_UNSUPPORTED;

    for (unsigned i = 0; i < WAYS; i++) {
        unsigned k = (a->d->way[kind] + i) % WAYS;
        const struct way *w = &ways[kind][k];
        char body[BODY_MAX];

        if (!w->what)
            continue;
        if (strstr(w->body, "%s")) {
            const char *at = strstr(w->body, "%s");

            snprintf(body, sizeof body, "%.*s%s%s", (int)(at - w->body), w->body, iface, at + 2);
        } else {
            snprintf(body, sizeof body, "%s", w->body);
        }
        err = ask_plain(a, w->what, body, reply);
        if (err == RK_E_REJECTED && is_unknown(*reply)) {
            nc_reply_free(reply);
            err = RK_E_UNSUPPORTED;
            continue;
        }
        if (!err)
            a->d->way[kind] = (unsigned char)k;
        return err;
    }
    return err;
}

/* A reply that could not be read. */
static int
unread(struct ask *a, int err, const char *what)
{
    if (err == RK_E_PROTOCOL)
        return a->d->host->fail(a->call, err, "%s: the answer to %s is not understood", a->d->opt.host, what);
    if (err == RK_E_NOMEM)
        return a->d->host->fail(a->call, err, "%s: no memory for the answer to %s", a->d->opt.host, what);
    return err;
}

/* ---- parts ---- */

static int64_t
unix_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The router tells whole seconds: on the average half a second of the next has passed. */
static int
get_clock(struct ask *a)
{
    struct nc_reply *reply = NULL;
    int64_t before_ms = unix_ms(), after_ms;
    int err = jn_ask(a->d, a->call, "get-system-uptime-information", "<get-system-uptime-information/>", &reply);

    after_ms = unix_ms();
    if (!err && reply->read_unix_ms)
        before_ms = after_ms = reply->read_unix_ms;
    if (!err)
        err = unread(a, jn_clock_read(reply->root, &a->v->clock), "get-system-uptime-information");
    a->v->clock_offset_ms = a->v->clock.unix_s * 1000 + 500 - (before_ms + (after_ms - before_ms) / 2);
    nc_reply_free(&reply);
    return err;
}

static bool
is_brief(const struct ask *a, unsigned want)
{
    return want & JN_WANT_BRIEF && jn_brief_may(a->d, &a->only, jn_now_ms());
}

/* Will MKA be asked for next? */
static bool
goes_ahead(const struct ask *a, unsigned want)
{
    return want & JN_WANT_MKA &&
           !(want & JN_WANT_RECENT && want & JN_WANT_BRIEF && jn_brief_is_recent(a->d, &a->only, jn_now_ms()));
}

static int
get_conf(struct ask *a, unsigned want)
{
    enum kind next = is_brief(a, want) ? K_SUMMARY : K_MKA;
    struct jn_conf_ask ask = {.ifaces = a->ifaces, .n = a->n, .zone_s = a->v->clock.zone_s,
                              .stored = want & JN_WANT_STORED, .recent = want & JN_WANT_RECENT,
                              .more = goes_ahead(a, want) ? &a->ahead : NULL};

    a->ahead = (struct nc_more){.what = ways[next][a->d->way[next]].what, .body = ways[next][a->d->way[next]].body};
    return unread(a, jn_conf_get(a->d, a->call, &ask, &a->v->conf), "get-configuration");
}

/* Is there something in the rows that only another form of the answer may tell? */
static bool
lacks_status(const struct jn_view *v)
{
    for (size_t i = 0; i < v->n_mka; i++)
        if (v->mka[i].status == JN_CAK_NONE || v->mka[i].type == JN_CAK_UNKNOWN)
            return true;
    return false;
}

static bool
lacks_sak(const struct jn_view *v)
{
    for (size_t i = 0; i < v->n_mka; i++)
        if (v->mka[i].state == JN_MKA_UNKNOWN || !v->mka[i].sak[0])
            return true;
    return false;
}

static int
join_mka(struct ask *a, const struct nc_reply *reply)
{
    struct jn_mka *more;
    size_t n;
    int err = jn_mka_read(reply->root, &more, &n);

    if (!err)
        err = jn_mka_join(&a->v->mka, &a->v->n_mka, more, jn_only_keep(&a->only, more, n, sizeof *more));
    free(more);
    return unread(a, err, "get-mka-session-information");
}

/* The summary has every participant with its status; the text has what XML of some releases leaves out. */
static int
complete_mka(struct ask *a, bool text)
{
    struct nc_reply *reply = NULL;
    int err;

    if (text)
        err = jn_ask(a->d, a->call, ways[K_MKA][2].what, ways[K_MKA][2].body, &reply);
    else
        err = ask_way(a, K_SUMMARY, "", &reply);
    if (!err)
        err = join_mka(a, reply);
    else if (err == RK_E_UNSUPPORTED || err == RK_E_REJECTED)
        err = RK_OK; /* what is lacking stays unknown */
    nc_reply_free(&reply);
    return err;
}

/* Is it a key of the interface whose CKN is not printed as a whole? */
static bool
is_cut(const struct jn_conf *conf, const struct jn_mka *m)
{
    const struct jn_port *port = jn_conf_port(conf, m->iface);
    const struct jn_ca *ca = port && port->ca[0] ? jn_conf_ca(conf, port->ca) : NULL;
    const struct jn_chain *chain = ca && ca->chain[0] ? jn_conf_chain(conf, ca->chain) : NULL;
    bool cut = ca && (jn_ckn_cut(m->ckn, ca->psk.ckn) || jn_ckn_cut(m->ckn, ca->fallback.ckn));

    for (size_t i = 0; !cut && chain && i < chain->n; i++)
        cut = jn_ckn_cut(m->ckn, chain->key[i].ckn);
    return cut;
}

static bool
lacks_names(const struct jn_view *v)
{
    for (size_t i = 0; v->conf && i < v->n_mka; i++)
        if (is_cut(v->conf, &v->mka[i]))
            return true;
    return false;
}

/* Only a whole CKN confirms a key: where this form prints fewer digits, the text may have all of them.  [U] */
static int
complete_names(struct ask *a)
{
    unsigned char *calls = &a->d->way[K_NAMES];
    int err = RK_OK;

    if (*calls == 0)
        err = complete_mka(a, true);
    *calls = !err && lacks_names(a->v) ? (unsigned char)((*calls + 1) % NAMES_AGAIN) : 0;
    return err;
}

/* ret: RK_OK: the view has it, or (*enough false) it has not, and a whole look is to be taken; else a code */
static int
get_brief(struct ask *a, int64_t now_ms, bool *enough)
{
    struct nc_reply *reply = NULL;
    struct jn_view *v = a->v;
    int err = ask_way(a, K_SUMMARY, "", &reply);

    if (!err && jn_mka_read(reply->root, &v->mka, &v->n_mka) == RK_OK) {
        v->n_mka = jn_only_keep(&a->only, v->mka, v->n_mka, sizeof *v->mka);
        *enough = jn_brief_fill(a->d, &a->only, v->mka, v->n_mka);
    }
    if (err == RK_E_UNSUPPORTED || err == RK_E_REJECTED) {
        a->d->shown.useless = true;
        err = RK_OK;
    }
    nc_reply_free(&reply);
    if (*enough) {
        jn_brief_looked(a->d, &a->only, v->mka, v->n_mka, now_ms);
        return RK_OK;
    }
    free(v->mka);
    v->mka = NULL;
    v->n_mka = 0;
    return err;
}

static int
get_whole(struct ask *a, bool in_vain, int64_t now_ms)
{
    struct nc_reply *reply = NULL;
    int err = ask_way(a, K_MKA, "", &reply);
    bool text = a->d->way[K_MKA] >= 2;

    if (!err)
        err = unread(a, jn_mka_read(reply->root, &a->v->mka, &a->v->n_mka), "get-mka-session-information");
    if (!err && !text)
        jn_brief_keep(a->d, in_vain ? &a->only : NULL, a->v->mka, a->v->n_mka, now_ms);
    a->v->n_mka = jn_only_keep(&a->only, a->v->mka, a->v->n_mka, sizeof *a->v->mka);
    nc_reply_free(&reply);
    if (!err && !text && lacks_sak(a->v)) {
        err = complete_mka(a, true);
    } else if (!err && !text && lacks_names(a->v)) {
        jn_brief_forget(a->d); /* they are to be completed each time */
        err = complete_names(a);
    }
    if (!err && lacks_status(a->v))
        err = complete_mka(a, false);
    if (!err)
        jn_brief_looked(a->d, &a->only, a->v->mka, a->v->n_mka, now_ms);
    return err;
}

static int
get_mka(struct ask *a, unsigned want)
{
    int64_t now_ms = jn_now_ms();
    bool brief = is_brief(a, want), enough = false;
    int err;

    if (want & JN_WANT_RECENT && want & JN_WANT_BRIEF &&
        jn_brief_again(a->d, &a->only, now_ms, &a->v->mka, &a->v->n_mka))
        return RK_OK;
    err = brief ? get_brief(a, now_ms, &enough) : RK_OK;

    return err || enough ? err : get_whole(a, brief, now_ms);
}

typedef int read_fn(const xmlNode *root, void **out, size_t *n);

/* An optional part: a router that does not know it has none. */
static int
get_list(struct ask *a, enum kind kind, read_fn *read, void **out, size_t *n)
{
    struct nc_reply *reply = NULL;
    int err = ask_way(a, kind, "", &reply);

    if (!err)
        err = unread(a, read(reply->root, out, n), ways[kind][a->d->way[kind]].what);
    else if (err == RK_E_UNSUPPORTED)
        err = RK_OK;
    nc_reply_free(&reply);
    return err;
}

static int
read_macsec(const xmlNode *root, void **out, size_t *n)
{
    struct jn_macsec *m;
    int err = jn_macsec_read(root, &m, n);

    *out = m;
    return err;
}

static int
read_hakr(const xmlNode *root, void **out, size_t *n)
{
    struct jn_hakr *h;
    int err = jn_hakr_read(root, &h, n);

    *out = h;
    return err;
}

/* ---- neighbours and interfaces: few are asked for one by one ---- */

/* A name that can stand in XML as it is. */
static bool
is_plain(const char *iface)
{
    return iface[0] && strlen(iface) <= RK_IFACE_MAX &&
           iface[strspn(iface, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-/:._")] == '\0';
}

static bool
one_by_one(const struct ask *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (!is_plain(a->ifaces[i]))
            return false;
    return a->n > 0 && a->n <= JN_FEW;
}

/* Append rows of one reply to those of the others. */
static int
append(void **to, size_t *n, size_t size, struct jn_rows *from)
{
    void *v = from->n ? reallocarray(*to, *n + from->n, size) : *to;

    if (from->n && !v)
        return RK_E_NOMEM;
    if (from->n)
        memcpy((char *)v + *n * size, from->v, from->n * size);
    *to = v;
    *n += from->n;
    return RK_OK;
}

static int
take_lldp(struct ask *a, const xmlNode *root)
{
    struct jn_neighbour *rows;
    struct jn_rows r = {.size = sizeof *rows};
    void *to = a->v->lldp;
    int err = jn_lldp_read(root, &rows, &r.n);

    r.v = rows;
    r.n = jn_only_keep(&a->only, rows, r.n, sizeof *rows);
    if (!err)
        err = append(&to, &a->v->n_lldp, sizeof *rows, &r);
    a->v->lldp = to;
    free(rows);
    return err;
}

static int
ask_lldp(struct ask *a, enum kind kind, const char *iface)
{
    struct nc_reply *reply = NULL;
    int err = ask_way(a, kind, iface, &reply);

    if (!err)
        err = unread(a, take_lldp(a, reply->root), "get-lldp-neighbors-information");
    nc_reply_free(&reply);
    return err;
}

static int
get_lldp(struct ask *a)
{
    int err = one_by_one(a) ? RK_OK : RK_E_UNSUPPORTED;

    for (size_t i = 0; !err && i < a->n; i++)
        err = ask_lldp(a, K_LLDP_ONE, a->ifaces[i]);
    if (err == RK_E_UNSUPPORTED) /* nor is one interface asked for where that is not known */
        err = ask_lldp(a, K_LLDP, "");
    return err == RK_E_UNSUPPORTED ? RK_OK : err;
}

static int
take_links(struct ask *a, const xmlNode *root)
{
    struct jn_link_state *rows;
    struct jn_rows r = {.size = sizeof *rows};
    void *to = a->v->links;
    int err = jn_links_read(root, &rows, &r.n);

    r.v = rows;
    r.n = jn_only_keep(&a->only, rows, r.n, sizeof *rows);
    if (!err)
        err = append(&to, &a->v->n_links, sizeof *rows, &r);
    a->v->links = to;
    free(rows);
    return err;
}

/* An interface that is not there is refused with an error. */
static int
get_link(struct ask *a, const char *iface)
{
    struct nc_reply *reply = NULL;
    char body[BODY_MAX];
    int err;

    snprintf(body, sizeof body, "<get-interface-information><interface-name>%s</interface-name>"
             "</get-interface-information>", iface);
    err = jn_ask(a->d, a->call, "get-interface-information", body, &reply);
    if (!err)
        err = unread(a, take_links(a, reply->root), "get-interface-information");
    else if (err == RK_E_REJECTED)
        err = RK_OK;
    nc_reply_free(&reply);
    return err;
}

static int
get_links(struct ask *a)
{
    struct nc_reply *reply = NULL;
    int err = RK_OK;

    if (one_by_one(a)) {
        for (size_t i = 0; !err && i < a->n; i++)
            err = get_link(a, a->ifaces[i]);
        return err;
    }
    err = ask_way(a, K_LINKS, "", &reply);
    if (!err)
        err = unread(a, take_links(a, reply->root), "get-interface-information");
    nc_reply_free(&reply);
    return err;
}

/* ---- all of it ---- */

static bool
all_encrypt(const struct jn_macsec *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (m[i].out_inuse && !m[i].encrypts)
            return false;
    return true;
}

static int
get_lists(struct ask *a, unsigned want)
{
    struct jn_view *v = a->v;
    void *list = NULL;
    int err = RK_OK;

    if (want & JN_WANT_MACSEC) {
        err = get_list(a, K_MACSEC, read_macsec, &list, &v->n_macsec);
        v->macsec = list;
        v->all_encrypt = !err && all_encrypt(list, v->n_macsec);
        v->n_macsec = jn_only_keep(&a->only, list, v->n_macsec, sizeof *v->macsec);
        list = NULL;
    }
    if (!err && want & JN_WANT_HAKR) {
        err = get_list(a, K_HAKR, read_hakr, &list, &v->n_hakr);
        v->hakr = list;
    }
    if (!err && want & JN_WANT_LLDP)
        err = get_lldp(a);
    if (!err && want & JN_WANT_LINKS)
        err = get_links(a);
    return err;
}

/* The clock comes first: start times without an offset are in its zone. */
int
jn_view_get_for(struct jn_device *d, struct rk_call *call, unsigned want, const char *const *ifaces, size_t n,
                struct jn_view **out)
{
    struct ask a = {.d = d, .call = call, .ifaces = ifaces, .n = n, .v = calloc(1, sizeof *a.v)};
    int err = jn_only_make(&a.only, ifaces, n);

    *out = a.v;
    if (!a.v)
        err = RK_E_NOMEM;
    if (want & JN_WANT_CONF && d->opt.keying == JN_CHAIN)
        want |= JN_WANT_CLOCK;
    if (!err && want & JN_WANT_CLOCK)
        err = get_clock(&a);
    if (!err && want & JN_WANT_CONF)
        err = get_conf(&a, want);
    if (!err && want & JN_WANT_MKA)
        err = get_mka(&a, want);
    if (!err)
        err = get_lists(&a, want);
    jn_only_free(&a.only);
    nc_reply_free(&a.ahead.reply);
    if (err)
        jn_view_free(d->host, out);
    return err;
}

int
jn_view_get(struct jn_device *d, struct rk_call *call, unsigned want, struct jn_view **out)
{
    return jn_view_get_for(d, call, want, NULL, 0, out);
}

void
jn_view_free(const struct rk_host *host, struct jn_view **view)
{
    struct jn_view *v = *view;

    if (!v)
        return;
    jn_conf_free(host, &v->conf);
    free(v->mka);
    free(v->macsec);
    free(v->hakr);
    free(v->lldp);
    free(v->links);
    free(v);
    *view = NULL;
}
