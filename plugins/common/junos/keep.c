/* keep.c - asks for the committed configuration, and keeps what was read while it stays the same.
 *
 * The router is asked each time: for the identifier of the revision that is committed, which each commit changes,
 * whoever makes it, and for the configuration unless that is still the one that was read.  The identifier is asked for
 * first, so that what is read behind it is that revision or a newer one; with it goes out what is asked for next, as
 * each round trip costs more than what is sent.   src: "show system commit revision"; "network
 * management systems can use the configuration revision identifier to determine if the known configuration is identical
 * to the device's" (Junos XML protocol, commit-revision-information)
 * A router that does not tell it sends all of the configuration, and only to read the same bytes again is spared.
 * Stored forms of keys are not kept: they are taken from a reply when there is a key that this process cannot put
 * elsewhere without. */
#include "rows.h"
#include "sealed.h"

#include <string.h>

#define CONF_BODY \
    "<get-configuration database=\"committed\" inherit=\"inherit\" format=\"xml\"><configuration>" \
    "<system><host-name/><time-zone/></system>" \
    "<security><macsec/><authentication-key-chains/></security>" \
    "<interfaces><interface><name/><description/></interface></interfaces>" \
    "</configuration></get-configuration>"

#define WHAT "get-configuration"
#define REVISION "get-commit-revision-information"

#define WHOLE_MS 60000 /* all of it is read again after so long, whatever the router says of its revision */
#define RECENT_MS 50 /* as long as a reply may be under way: a look follows the one before, or a change, at once */

void
jn_forget(struct jn_device *d)
{
    jn_conf_free(d->host, &d->kept.conf);
    memset(&d->kept, 0, sizeof d->kept);
    jn_brief_forget(d);
}

/* ---- stored forms ---- */

/* Is the CAK of this key known, so that the router's own form of it is not needed? */
static bool
is_sealed(const struct jn_device *d, const char *iface, const struct jn_key *key)
{
    const struct jn_sealed_key *k = key->ckn[0] ? jn_sealed_get(d, (struct jn_key_name){iface, key->ckn}) : NULL;

    return !key->ckn[0] || (k && !k->stored);
}

static bool
all_sealed(const struct jn_device *d, const struct jn_conf *conf, const struct jn_conf_ask *ask)
{
    for (size_t i = 0; i < ask->n; i++) {
        bool to_bind;
        const struct jn_ca *ca = jn_conf_bound(conf, ask->ifaces[i], &to_bind);

        if (!ca || ca->chain[0] || !is_sealed(d, ask->ifaces[i], &ca->psk) ||
            !is_sealed(d, ask->ifaces[i], &ca->fallback))
            return false;
    }
    return ask->n > 0;
}

/* ---- the revision ---- */

static bool
names_revision(const struct nc_reply *reply)
{
    char id[64];

    return reply->root && nc_text(nc_find(reply->root, "revision"), id, sizeof id) && id[0];
}

/* more: goes out with it, when it is asked for; NULL: nothing does
 * out:  *same: it is the one that the configuration was read with, by the same words.   ret: RK_OK, also when it is not
 * told; else as jn_rpc */
static int
ask_revision(struct jn_device *d, struct rk_call *call, struct nc_more *more, bool *same)
{
    struct nc_part part = {.kind = NC_TEXT, .text = "<" REVISION "/>"};
    struct nc_request request = {.what = REVISION, .parts = &part, .n = 1, .same = &d->kept.revision, .more = more};
    struct nc_reply *reply = NULL;
    int err = RK_OK;

    *same = false;
    if (d->no_revision)
        return RK_OK;
    err = jn_rpc(d, call, &request, &reply);
    *same = !err && reply->same;
    if (err == RK_E_REJECTED || (!err && !*same && !names_revision(reply))) {
        d->no_revision = true;
        d->kept.revision.known = false;
        err = RK_OK;
    }
    nc_reply_free(&reply);
    return err;
}

/* ---- reading ---- */

/* May the configuration that is kept stand for the reply, when that is the same? */
static bool
may_stand(const struct jn_device *d, const struct jn_conf_ask *ask)
{
    const struct jn_kept *k = &d->kept;

    return k->conf && k->zone_s == ask->zone_s && (!ask->stored || all_sealed(d, k->conf, ask));
}

static int
read_reply(struct jn_device *d, const struct jn_conf_ask *ask, const struct nc_reply *reply, struct jn_conf **out)
{
    int err = jn_conf_read(d->host, reply->root, ask->zone_s, out);

    if (!err && ask->stored && !all_sealed(d, *out, ask))
        return jn_conf_stored(d->host, reply->root, ask->ifaces, ask->n, *out);
    if (!err && d->kept.same.known) {
        jn_conf_free(d->host, &d->kept.conf);
        d->kept.conf = jn_conf_use(*out);
        d->kept.zone_s = ask->zone_s;
    }
    return err;
}

/* What is kept is what the router has now. */
static void
looked(struct jn_device *d)
{
    d->kept.read_ms = jn_now_ms();
}

/* ret: RK_OK, or why the reply is not one that can be read */
static int
take_reply(struct jn_device *d, const struct jn_conf_ask *ask, const struct nc_reply *reply, struct jn_conf **out)
{
    int err = RK_OK;

    if (reply->same)
        *out = jn_conf_use(d->kept.conf);
    else
        err = read_reply(d, ask, reply, out);
    if (!err && d->kept.conf && *out == d->kept.conf) {
        looked(d);
        d->kept.whole_ms = d->kept.read_ms;
    } else {
        jn_forget(d);
    }
    return err;
}

/* came: the reply, when it was asked for with the revision; NULL: it is asked for now.   own: came is taken */
static int
read_whole(struct jn_device *d, struct rk_call *call, const struct jn_conf_ask *ask, struct nc_reply *came,
           struct jn_conf **out)
{
    struct nc_part part = {.kind = NC_TEXT, .text = CONF_BODY};
    struct nc_request request = {.what = WHAT, .parts = &part, .n = 1, .secret_reply = true, .same = &d->kept.same};
    struct nc_reply *reply = came;
    int err = came ? RK_OK : jn_rpc(d, call, &request, &reply);

    if (!err) {
        err = take_reply(d, ask, reply, out);
        if (err)
            jn_conf_free(d->host, out);
    } else {
        jn_forget(d);
    }
    nc_reply_free(&reply);
    return err;
}

/* Will the revision be another one, so that both are asked for at once? */
static bool
is_due(const struct jn_device *d, bool stands)
{
    return !stands || !d->kept.read_ms || jn_now_ms() - d->kept.whole_ms > WHOLE_MS;
}

int
jn_conf_get(struct jn_device *d, struct rk_call *call, const struct jn_conf_ask *ask, struct jn_conf **out)
{
    struct nc_more conf = {.what = WHAT, .body = CONF_BODY, .secret_reply = true, .same = &d->kept.same};
    bool stands = may_stand(d, ask), due = is_due(d, stands), same;
    int err;

    *out = NULL;
    if (ask->recent && stands && d->kept.read_ms && jn_now_ms() - d->kept.read_ms <= RECENT_MS) {
        *out = jn_conf_use(d->kept.conf);
        return RK_OK;
    }
    if (!stands || jn_now_ms() - d->kept.whole_ms > WHOLE_MS)
        d->kept.revision.known = false; /* whatever it is, all is read */
    if (!stands)
        jn_forget(d);
    err = ask_revision(d, call, due ? &conf : ask->more, &same);
    if (err) {
        nc_reply_free(&conf.reply);
        jn_forget(d);
        return err;
    }
    if (!same || !d->kept.conf || conf.reply)
        return read_whole(d, call, ask, conf.reply, out);
    looked(d);
    *out = jn_conf_use(d->kept.conf);
    return RK_OK;
}
