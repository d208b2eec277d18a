/* retire.c - RETIRE: the key out of all slots; SWEEP: all others out; never the one that is in use
 *
 * Runs in a call, one at a time.  An association is found by its key id, on whatever AN and from whatever peer.
 */
#include "stage.h"

#include "msg.h"

#include <errno.h>
#include <string.h>

/* Sends the change in nl.out; what is not there any more is as good as gone. */
static int
change(struct macsec_call *c, struct macsec_iface *f, const char *what, char *why)
{
    struct macsec_act act = {f->names.dev, what};
    int refusal, err = macsec_nl_ask(&c->inst->nl, MACSEC_GENERIC, &c->time, NULL, NULL, &refusal);

    if (err)
        return macsec_failed(why, act, err);
    return refusal && refusal != ENODEV ? macsec_refused(why, act, refusal) : RK_OK;
}

/* The kernel deletes only what is switched off. */
static int
remove_sa(struct macsec_call *c, struct macsec_iface *f, struct macsec_place place, struct macsec_sa *sa, char *why)
{
    int err = RK_OK;

    if (sa->active) {
        macsec_msg_sa_off(c->inst->nl.out, c->family, place);
        err = change(c, f, place.rxsc ? "switch off a receive association" : "switch off a transmit association", why);
    }
    if (err)
        return err;
    sa->active = false;
    macsec_msg_sa_delete(c->inst->nl.out, c->family, place);
    err = change(c, f, place.rxsc ? "delete a receive association" : "delete a transmit association", why);
    if (!err)
        memset(sa, 0, sizeof *sa);
    return err;
}

/* A channel that this RETIRE has emptied, and that is not of the peer of now: the peer had another SCI once. */
static int
drop_former(struct macsec_call *c, struct macsec_iface *f, const char *peer_facts, unsigned *i, char *why)
{
    struct macsec_rxsc *rxsc = &f->secy.rx[*i];
    struct macsec_place place = {f->link.ifindex, &rxsc->sci, 0};
    struct macsec_sci peer;
    int err;

    for (unsigned an = 0; an < MACSEC_ANS; an++)
        if (rxsc->sa[an].held)
            return RK_OK;
    if (!peer_facts || macsec_sci_parse(peer_facts, &peer) || memcmp(&peer, &rxsc->sci, sizeof peer) == 0)
        return RK_OK;
    macsec_msg_rxsc(c->inst->nl.out, c->family, false, place);
    err = change(c, f, "delete the receive channel of a former peer", why);
    if (err)
        return err;
    f->secy.n_rx--;
    memmove(rxsc, rxsc + 1, (f->secy.n_rx - *i) * sizeof *rxsc);
    memset(&f->secy.rx[f->secy.n_rx], 0, sizeof *rxsc);
    --*i;
    return RK_OK;
}

/* Which keys go: the one of this id, or all others. */
struct which {
    struct macsec_key_id id;
    bool others;
};

static bool
goes(const struct macsec_sa *sa, const struct which *w)
{
    return sa->held && macsec_holds(sa, &w->id) != w->others;
}

static int
remove_rx(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op, const struct which *w)
{
    int err = RK_OK;

    for (unsigned i = 0; !err && i < f->secy.n_rx; i++) {
        bool touched = false;

        for (uint8_t an = 0; !err && an < MACSEC_ANS; an++) {
            struct macsec_place place = {f->link.ifindex, &f->secy.rx[i].sci, an};

            if (!goes(&f->secy.rx[i].sa[an], w))
                continue;
            touched = true;
            err = remove_sa(c, f, place, &f->secy.rx[i].sa[an], op->why);
        }
        if (!err && touched)
            err = drop_former(c, f, op->peer_facts, &i, op->why);
    }
    return err;
}

static int
remove_keys(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op, const struct which *w)
{
    int err = RK_OK;

    for (uint8_t an = 0; !err && an < MACSEC_ANS; an++) {
        struct macsec_place place = {f->link.ifindex, NULL, an};

        if (goes(&f->secy.tx[an], w))
            err = remove_sa(c, f, place, &f->secy.tx[an], op->why);
    }
    return err ? err : remove_rx(c, f, op, w);
}

int
macsec_retire(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op)
{
    struct which w = {.others = false};

    if (!op->key_id || macsec_key_id_of(c->time.host, op->key_id, &w.id))
        return op->err = macsec_say(op->why, RK_E_CONTRACT, "%s: RETIRE without a key ID that can be used", op->iface);
    if (macsec_ready(&f->secy, f->secy.encoding_sa, &w.id))
        return op->err = macsec_say(op->why, RK_E_CONFLICT, "%s transmits with this key: activate another first",
                                    f->names.dev);
    return op->err = remove_keys(c, f, op, &w);
}

int
macsec_sweep(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op)
{
    struct which w = {.others = true};

    if (!op->key_id || macsec_key_id_of(c->time.host, op->key_id, &w.id))
        return op->err = macsec_say(op->why, RK_E_CONTRACT, "%s: SWEEP without a key ID that can be used", op->iface);
    if (!macsec_ready(&f->secy, f->secy.encoding_sa, &w.id))
        return op->err = macsec_say(op->why, RK_E_CONFLICT, "%s does not transmit with this key: nothing is removed",
                                    f->names.dev);
    return op->err = remove_keys(c, f, op, &w);
}
