/* device_ask.h - rekeyctl discover and prepare: one device asked for a person */
#ifndef RK_DEVICE_ASK_H
#define RK_DEVICE_ASK_H

#include "daemon.h"

struct device_ask;
/* device_ask_begin - ask; rows come from the loop, and over once
 * ret: NULL with a text in why: there is no such device, its plugin does not offer it, no memory
 * device_ask_forget - its hearer goes: what is under way is canceled, and ends unheard
 * device_ask_only - rekeyd --discover, --prepare: of the configuration, without journal or links; rows to stdout, each
 *                   a line, at the end {"over": ...}.   ret: exit status
 * do_discover, do_prepare - the commands of the control socket */
struct device_ask *device_ask_begin(struct daemon *d, const struct device_ask_want *want,
                                    const struct hearer *to, char *why, size_t size);
void device_ask_forget(struct device_ask *a);
int device_ask_only(struct daemon *d);
void do_discover(struct daemon *d, struct ctl_client *c, const struct rk_ask *ask);
void do_prepare(struct daemon *d, struct ctl_client *c, const struct rk_ask *ask);

#endif
