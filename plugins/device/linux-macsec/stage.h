/* stage.h - the operations on one interface
 *
 * Each works on what iface.c has read, keeps that up to date with what it changes, and sets op->err and op->why.
 */
#ifndef LINUX_MACSEC_STAGE_H
#define LINUX_MACSEC_STAGE_H

#include "iface.h"

/* macsec_stage - RK_OP_STAGE.   macsec_retire - RK_OP_RETIRE.
 * in:   f->read;  for STAGE also f->err == RK_OK.   ret: the code, also in op->err */
int macsec_stage(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op);
int macsec_retire(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op);

/* macsec_activate - RK_OP_ACTIVATE, up to the switch: f->pending says what is still to be read back
 * macsec_activated - the end of it, after the interface was read again: op->err is then final */
int macsec_activate(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op);
void macsec_activated(struct macsec_call *c, struct macsec_iface *f);

/* macsec_shut - RK_OP_SHUT, up to the switch, as macsec_activate: to a transmit slot that is empty or off, so that the
 *   kernel drops what is to be sent.   ret: the code, also in op->err
 * macsec_shut_done - the end of it, as macsec_activated, which calls it
 * macsec_sweep - RK_OP_SWEEP */
int macsec_shut(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op);
void macsec_shut_done(const struct macsec_iface *f, struct rk_dev_op *op);
int macsec_sweep(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op);

/* macsec_encode - transmit on this AN from now on;  ret: as macsec_refused, why[RK_WHY_MAX] */
int macsec_encode(struct macsec_call *c, struct macsec_iface *f, uint8_t an, char *why);

#endif
