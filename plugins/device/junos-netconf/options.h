/* options.h - the options of junos-netconf */
#ifndef JN_OPTIONS_H
#define JN_OPTIONS_H

#include "junos.h"

extern const struct rk_opt jn_opts[];

/* jn_options_read - read the options of an instance and check its files
 * ret:   RK_OK, or a code stated by fail.   jn_options_free - free what was read */
int jn_options_read(struct jn_device *d, struct rk_call *call, const struct rk_conf *conf);
void jn_options_free(struct jn_options *opt);

#endif
