/* services.c - the table of functions that a plugin is given; each is documented in rekey/plugin.h. */
#include "services.h"

#include "call.h"
#include "conf_secret.h"
#include "kdf.h"
#include "options.h"
#include "safe.h"

#include "../base/log.h"
#include "../base/secret.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define LINE_BYTES 1500

static void host_log(struct rk_call *call, int level, const char *fmt, ...) RK_PRINTF(3, 4);

static void
host_log(struct rk_call *call, int level, const char *fmt, ...)
{
    char line[LINE_BYTES];
    va_list ap;

    if (level > rk_log_level())
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    rk_safe_text(line, sizeof line);
    if (call && call->inst && call->verb == RK_V_INIT)
        rk_log(level, "%s inst=%s", line, call->inst->name);
    else if (call && call->inst)
        rk_log(level, "%s inst=%s call=%u", line, call->inst->name, call->number);
    else
        rk_log(level, "%s", line);
}

static int
host_random(void *buf, size_t len)
{
    unsigned char *at = buf;

    while (len) {
        ssize_t got = getrandom(at, len, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return RK_E_IO;
        at += got;
        len -= (size_t)got;
    }
    return RK_OK;
}

static const char *
host_conf_str(const struct rk_conf *conf, const char *name)
{
    return rk_options_item(conf, name, 0);
}

static int
host_secret_read(struct rk_call *call, const char *name, const char *value, struct rk_secret **out)
{
    char why[RK_TEXT_MAX] = "";
    int err = rk_conf_secret_read(value, out, why, sizeof why);

    return err ? rk_call_fail(call, err, "%s: %.350s", name, why) : RK_OK;
}

static int
host_conf_secret(struct rk_call *call, const struct rk_conf *conf, const char *name, struct rk_secret **out)
{
    const char *value = rk_options_item(conf, name, 0);

    *out = NULL;
    return value ? host_secret_read(call, name, value, out) : RK_OK;
}

const struct rk_host rk_services = {
    .abi = RK_ABI,
    .size = sizeof rk_services,
    .fail = rk_call_fail,
    .log = host_log,
    .left_ms = rk_call_left_ms,
    .cancel_fd = rk_call_cancel_fd,
    .secret_new = rk_secret_new,
    .secret_use = rk_secret_use,
    .secret_len = rk_secret_len,
    .secret_free = rk_secret_free,
    .secret_derive = rk_kdf_derive,
    .sha256 = rk_kdf_sha256,
    .random = host_random,
    .conf_str = host_conf_str,
    .conf_item = rk_options_item,
    .conf_int = rk_options_int,
    .conf_secret = host_conf_secret,
    .expires = rk_call_expires,
    .secret_read = host_secret_read,
    .step = rk_call_step,
    .wasted = rk_call_wasted,
};
