/* describe.h - what a module is and what can be configured, for people and as JSON
 *
 * rekey-host --describe; nothing of the module is called.
 */
#ifndef RK_DESCRIBE_H
#define RK_DESCRIBE_H

#include "loader.h"

#include <stdio.h>

/* rk_describe_text, rk_describe_json - write to out.   ret: RK_OK, RK_E_IO, RK_E_NOMEM */
int rk_describe_text(FILE *out, const struct rk_module *m);
int rk_describe_json(FILE *out, const struct rk_module *m);

#endif
