/* view.c - what is wanted of a router, each part by one request for all of its interfaces.  Blocks. */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ASK_CONF                                                                                                       \
    "<get-configuration database=\"committed\" inherit=\"inherit\" format=\"xml\"><configuration>"                     \
    "<security><macsec/><authentication-key-chains/></security>"                                                       \
    "<interfaces><interface><name/><description/></interface></interfaces>"                                            \
    "<system><host-name/><time-zone/></system></configuration></get-configuration>"
#define ASK_MKA "<get-mka-session-information><detail/></get-mka-session-information>"
#define ASK_MKA_TEXT "<command format=\"text\">show security mka sessions</command>"
#define ASK_LINKS "<get-interface-information><terse/></get-interface-information>"

/* ---- parts: each reads a reply into the view ---- */

static int
take_conf(const struct rk_host *host, struct jn_view *v, const xmlNode *root)
{
    return jn_conf_read(host, root, v->clock.zone_s, &v->conf);
}

static int
take_mka(const struct rk_host *host, struct jn_view *v, const xmlNode *root)
{
    (void)host;
    free(v->mka);
    return jn_mka_read(root, &v->mka, &v->n_mka);
}

static int
take_macsec(const struct rk_host *host, struct jn_view *v, const xmlNode *root)
{
    (void)host;
    return jn_macsec_read(root, &v->macsec, &v->n_macsec);
}

static int
take_hakr(const struct rk_host *host, struct jn_view *v, const xmlNode *root)
{
    (void)host;
    return jn_hakr_read(root, &v->hakr, &v->n_hakr);
}

static int
take_lldp(const struct rk_host *host, struct jn_view *v, const xmlNode *root)
{
    (void)host;
    return jn_lldp_read(root, &v->lldp, &v->n_lldp);
}

static int
take_links(const struct rk_host *host, struct jn_view *v, const xmlNode *root)
{
    (void)host;
    return jn_links_read(root, &v->links, &v->n_links);
}

static int
take_clock(const struct rk_host *host, struct jn_view *v, const xmlNode *root)
{
    (void)host;
    return jn_clock_read(root, &v->clock);
}

/* In the order in which they are asked for: the clock's zone is needed for the configuration. */
static const struct part {
    unsigned want;
    const char *what, *body;
    bool secret;                 /* the reply holds CAKs */
    bool optional;               /* a router that refuses it has none of it */
    int (*take)(const struct rk_host *host, struct jn_view *v, const xmlNode *root);
} parts[] = {
    {JN_WANT_CLOCK, "get-system-uptime-information", "<get-system-uptime-information/>", false, false, take_clock},
    {JN_WANT_CONF, "get-configuration", ASK_CONF, true, false, take_conf},
    {JN_WANT_MKA, "get-mka-session-information", ASK_MKA, false, false, take_mka},
    {JN_WANT_MACSEC, "get-macsec-connection-information", "<get-macsec-connection-information/>", false, true,
     take_macsec},
    {JN_WANT_HAKR, "get-hakr-keychain-information", "<get-hakr-keychain-information/>", false, true, take_hakr},
    {JN_WANT_LLDP, "get-lldp-neighbors-information", "<get-lldp-neighbors-information/>", false, true, take_lldp},
    {JN_WANT_LINKS, "get-interface-information", ASK_LINKS, false, true, take_links},
};

static const struct part mka_text = {JN_WANT_MKA, "show security mka sessions", ASK_MKA_TEXT, false, true, take_mka};

static int64_t
wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int
fetch(struct jn_device *d, struct rk_call *call, const struct part *p, struct jn_view *v)
{
    struct nc_part body = {.kind = NC_TEXT, .text = p->body};
    struct nc_request request = {.what = p->what, .parts = &body, .n = 1, .secret_reply = p->secret};
    struct nc_reply *reply = NULL;
    int64_t before_ms = wall_ms();
    int err = jn_rpc(d, call, &request, &reply);

    if (err == RK_E_REJECTED && p->optional)
        err = RK_OK;
    else if (!err && (err = p->take(d->host, v, reply->root)) != RK_OK)
        d->host->fail(call, err, "%s: the reply to %s cannot be read", d->opt.host, p->what);
    if (!err && p->want == JN_WANT_CLOCK) /* whole seconds: half of one is the mean of what they leave out */
        v->clock_offset_ms = v->clock.unix_s * 1000 + 500 - (before_ms + (wall_ms() - before_ms) / 2);
    nc_reply_free(&reply);
    return err;
}

/* Does a participant lack the state of its interface?  Then the XML of this release does, and the text has it. */
static bool
lacks_state(const struct jn_view *v)
{
    for (size_t i = 0; i < v->n_mka; i++)
        if (v->mka[i].state == JN_MKA_UNKNOWN)
            return true;
    return false;
}

/* The text in the place of the XML, when it tells more. */
static int
fetch_text(struct jn_device *d, struct rk_call *call, struct jn_view *v)
{
    struct jn_view text = {0};
    int err = fetch(d, call, &mka_text, &text);

    if (!err && text.n_mka && !lacks_state(&text)) {
        free(v->mka);
        v->mka = text.mka;
        v->n_mka = text.n_mka;
    } else {
        free(text.mka);
    }
    return err;
}

int
jn_view_get(struct jn_device *d, struct rk_call *call, unsigned want, struct jn_view **out)
{
    struct jn_view *v = calloc(1, sizeof *v);
    int err = v ? RK_OK : RK_E_NOMEM;

    for (size_t i = 0; !err && i < sizeof parts / sizeof *parts; i++)
        if (want & parts[i].want)
            err = fetch(d, call, &parts[i], v);
    if (!err && lacks_state(v))
        err = fetch_text(d, call, v);
    if (err && v)
        jn_view_free(d->host, &v);
    *out = v;
    return err;
}

void
jn_view_free(const struct rk_host *host, struct jn_view **view)
{
    struct jn_view *v = *view;

    *view = NULL;
    if (!v)
        return;
    if (v->conf)
        jn_conf_free(host, &v->conf);
    free(v->mka);
    free(v->macsec);
    free(v->hakr);
    free(v->lldp);
    free(v->links);
    free(v);
}
