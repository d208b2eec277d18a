/* stage.h - the three operations on one interface
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

/* macsec_encode - transmit on this AN from now on;  ret: as macsec_refused, why[RK_WHY_MAX] */
int macsec_encode(struct macsec_call *c, struct macsec_iface *f, uint8_t an, char *why);

#endif
