/* options.h - the options of one instance: struct rk_conf of the plugin ABI
 *
 * Runs in rekey-host.  rekeyd has checked the same settings against the same schema; the host checks again, because
 * what a plugin may rely on is promised by the process it runs in.
 */
#ifndef RK_OPTIONS_H
#define RK_OPTIONS_H

#include "../ipc/msg.h"
#include "loader.h"

/* Borrows the module and the settings. */
struct rk_conf {
    const struct rk_module *module;
    const struct rk_setting *settings; /* n of them */
    size_t n;
};

/* rk_options_check - every setting is known, fits, is given once unless LIST; nothing required is missing
 * in:   conf.   out: why[size], when wrong: option, reason, remedy
 * ret:  RK_OK or RK_E_CONFIG.   thread: any */
int rk_options_check(const struct rk_conf *conf, char *why, size_t size);

/* rk_options_raw - element i of what was given for name, without defaults, the host's own options included; NULL:
 * none */
const char *rk_options_raw(const struct rk_conf *conf, const char *name, size_t i);

/* rk_options_item, rk_options_int - struct rk_host.conf_item and .conf_int; documented in rekey/plugin.h */
const char *rk_options_item(const struct rk_conf *conf, const char *name, size_t i);
int64_t rk_options_int(const struct rk_conf *conf, const char *name);

#endif
