/* shut.c - SHUT: the interface sends nothing, and keeps its keys
 *
 * Runs in a call, one at a time.  With the transmit slot on an association that is not there, or is off, the kernel
 * drops every frame; protection stays on, so nothing goes in clear either.  The next ACTIVATE moves the slot back.
 */
#include "stage.h"

static bool
silent(const struct macsec_secy *s, uint8_t an)
{
    return !s->tx[an].held || !s->tx[an].active;
}

int
macsec_shut(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op)
{
    struct macsec_secy *s = &f->secy;
    uint8_t an = s->encoding_sa;

    if (silent(s, an))
        return op->err = RK_OK;
    while (!silent(s, an) && (an + 1) % MACSEC_ANS != s->encoding_sa)
        an = (uint8_t)((an + 1) % MACSEC_ANS);
    if (!silent(s, an))
        return op->err = macsec_say(op->why, RK_E_CONFLICT, "%s: all transmit associations hold keys: retire one, or "
                                    "ip link set %s down", f->names.dev, f->names.dev);
    f->pending = (struct macsec_switch){.op = op, .an = an, .old_an = s->encoding_sa, .had_old = true};
    op->err = macsec_encode(c, f, an, op->why);
    if (op->err)
        f->pending.op = NULL;
    return op->err;
}

void
macsec_shut_done(const struct macsec_iface *f, struct rk_dev_op *op)
{
    if (!f->read)
        op->err = macsec_say(op->why, RK_E_NOENT, "%s is no longer there", f->names.dev);
    else if (!silent(&f->secy, f->secy.encoding_sa))
        op->err = macsec_say(op->why, RK_E_UNKNOWN, "%s sends on association %u again: someone else switched it",
                             f->names.dev, f->secy.encoding_sa);
}
