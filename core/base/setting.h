/* setting.h - one option of an instance as it is written in the configuration
 *
 * Read in core/conf, sent by core/ipc, checked again in core/host.
 */
#ifndef RK_SETTING_H
#define RK_SETTING_H

#include "limits.h"

struct rk_setting {
    char name[RK_NAME_MAX + 1]; /* option, or RK_CONF_ name */
    char value[RK_VALUE_MAX];   /* as written; one setting per element of a list */
};

#endif
