/* activate.c - ACTIVATE: transmit with the key, and see that it is so
 *
 * Runs in a call, one at a time.  The kernel accepts a switch to an empty slot and then drops all in silence: so the
 * slot is read before the switch and again after it.
 */
#include "stage.h"

#include "msg.h"

#include <string.h>

int
macsec_encode(struct macsec_call *c, struct macsec_iface *f, uint8_t an, char *why)
{
    struct macsec_act act = {f->names.dev, "switch the transmit association"};
    int refusal, err;

    macsec_msg_encoding(c->inst->nl.out, f->link.ifindex, an);
    err = macsec_nl_ask(&c->inst->nl, MACSEC_ROUTE, &c->time, NULL, NULL, &refusal);
    if (err)
        return macsec_failed(why, act, err);
    if (refusal)
        return macsec_refused(why, act, refusal);
    f->secy.encoding_sa = an;
    return RK_OK;
}

int
macsec_activate(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op)
{
    uint8_t an = (uint8_t)(op->seq % MACSEC_ANS), old = f->secy.encoding_sa;
    struct macsec_switch s = {
        .op = op, .an = an, .old_an = old, .had_old = f->secy.tx[old].held && f->secy.tx[old].active};
    int err;

    if (!op->key_id || macsec_key_id_of(c->time.host, op->key_id, &s.key_id))
        return op->err =
                   macsec_say(op->why, RK_E_CONTRACT, "%s: ACTIVATE without a key ID that can be used", op->iface);
    if (!f->read || !macsec_ready(&f->secy, an, &s.key_id))
        return op->err = macsec_say(op->why, RK_E_NOKEY, "%s: transmit association %u does not hold the key: stage it",
                                    f->names.dev, an);
    if (old == an)
        return op->err = RK_OK;
    err = macsec_encode(c, f, an, op->why);
    if (!err)
        f->pending = s;
    return op->err = err;
}

void
macsec_activated(struct macsec_call *c, struct macsec_iface *f)
{
    struct macsec_switch s = f->pending;
    char why[RK_WHY_MAX];
    int err;

    f->pending.op = NULL;
    if (!s.op)
        return;
    if (s.op->kind == RK_OP_SHUT) {
        macsec_shut_done(f, s.op);
        return;
    }
    if (f->read && f->secy.encoding_sa == s.an && macsec_ready(&f->secy, s.an, &s.key_id))
        return;
    /* Someone emptied the slot in between, or switched too.  Back to what was in use, when it still can be. */
    c->time.undoing = true;
    err = f->read && s.had_old && f->secy.tx[s.old_an].active ? macsec_encode(c, f, s.old_an, why) : RK_E_UNKNOWN;
    c->time.undoing = false;
    if (err)
        s.op->err = macsec_say(s.op->why, RK_E_UNKNOWN, "%s: after the switch to association %u the key is not there, "
                               "nor is the old one", f->names.dev, s.an);
    else
        s.op->err = macsec_say(s.op->why, RK_E_NOKEY, "%s: the key was taken out of association %u during the switch; "
                               "back on %u", f->names.dev, s.an, s.old_an);
}
