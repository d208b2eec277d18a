/* services.h - struct rk_host: what the host does for a plugin
 *
 * Any thread.
 */
#ifndef RK_SERVICES_H
#define RK_SERVICES_H

#include <rekey/plugin.h>

extern const struct rk_host rk_services;

#endif
