/* fakehost.c - the host's services for tests, without process, loader or threads. */
#include "fakehost.h"

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/conf/opt.h"
#include "core/host/conf_secret.h"
#include "core/host/kdf.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[65536];
static size_t log_len;
static char steps_text[16384];

static int host_fail(struct rk_call *call, int err, const char *fmt, ...) RK_PRINTF(3, 4);
static void host_log(struct rk_call *call, int level, const char *fmt, ...) RK_PRINTF(3, 4);

static int
host_fail(struct rk_call *call, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(call->text, sizeof call->text, fmt, ap);
    va_end(ap);
    call->err = err;
    return err;
}

static void
host_log(struct rk_call *call, int level, const char *fmt, ...)
{
    va_list ap;
    int n;

    (void)call;
    (void)level;
    pthread_mutex_lock(&log_lock);
    va_start(ap, fmt);
    n = vsnprintf(log_text + log_len, sizeof log_text - log_len, fmt, ap);
    va_end(ap);
    if (n > 0 && log_len + (size_t)n + 2 < sizeof log_text) {
        log_len += (size_t)n;
        strcpy(log_text + log_len++, "\n");
    }
    pthread_mutex_unlock(&log_lock);
}

static int host_step(struct rk_call *call, const char *name, int result, const char *fmt, ...) RK_PRINTF(4, 5);

static int
host_step(struct rk_call *call, const char *name, int result, const char *fmt, ...)
{
    char text[400];
    size_t used = strlen(steps_text);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!text[0] && result < 0)
        snprintf(text, sizeof text, "%s", call->text);
    snprintf(steps_text + used, sizeof steps_text - used, "%s %d %s\n", name, result, text);
    return result < 0 ? result : RK_OK;
}

static int
host_left_ms(const struct rk_call *call)
{
    int64_t left = (call->deadline_ns - rk_now_ns()) / RK_NS_PER_MS;

    return left > 0 ? (int)left : 0;
}

static int
host_cancel_fd(const struct rk_call *call)
{
    return call->cancel[0];
}

static int
host_random(void *buf, size_t len)
{
    return getrandom(buf, len, 0) == (ssize_t)len ? RK_OK : RK_E_IO;
}

static const char *
host_conf_item(const struct rk_conf *conf, const char *name, size_t i)
{
    const struct rk_opt *o = rk_opt_find(conf->opts, name);

    bool given = false;

    for (const char *const *p = conf->pairs; p && p[0]; p += 2)
        if (strcmp(p[0], name) == 0) {
            given = true;
            if (i-- == 0)
                return p[1];
        }
    return !given && i == 0 && o ? o->dflt : NULL;
}

static const char *
host_conf_str(const struct rk_conf *conf, const char *name)
{
    return host_conf_item(conf, name, 0);
}

static int64_t
host_conf_int(const struct rk_conf *conf, const char *name)
{
    const struct rk_opt *o = rk_opt_find(conf->opts, name);
    const char *value = host_conf_str(conf, name);
    int64_t v = 0;

    return o && value && rk_opt_value(o, value, &v, NULL, 0) == RK_OK ? v : 0;
}

static int
host_conf_secret(struct rk_call *call, const struct rk_conf *conf, const char *name, struct rk_secret **out)
{
    const char *value = host_conf_str(conf, name);
    char why[400] = "";
    int err;

    *out = NULL;
    if (!value)
        return RK_OK;
    err = rk_conf_secret_read(value, out, why, sizeof why);
    return err ? host_fail(call, err, "%s: %s", name, why) : RK_OK;
}

static void
host_expires(struct rk_call *call, const char *what, int64_t unix_s)
{
    if (call->ends_unix_s && call->ends_unix_s <= unix_s)
        return;
    call->ends_unix_s = unix_s;
    snprintf(call->ends_what, sizeof call->ends_what, "%s", what);
}

static void
host_wasted(struct rk_call *call, uint32_t n)
{
    call->wasted += n;
}

static int
host_secret_read(struct rk_call *call, const char *name, const char *value, struct rk_secret **out)
{
    char why[400] = "";
    int err = rk_conf_secret_read(value, out, why, sizeof why);

    return err ? host_fail(call, err, "%s: %s", name, why) : RK_OK;
}

const struct rk_host fake_host = {
    .abi = RK_ABI,
    .size = sizeof fake_host,
    .fail = host_fail,
    .log = host_log,
    .left_ms = host_left_ms,
    .cancel_fd = host_cancel_fd,
    .secret_new = rk_secret_new,
    .secret_use = rk_secret_use,
    .secret_len = rk_secret_len,
    .secret_free = rk_secret_free,
    .secret_derive = rk_kdf_derive,
    .sha256 = rk_kdf_sha256,
    .random = host_random,
    .conf_str = host_conf_str,
    .conf_item = host_conf_item,
    .conf_int = host_conf_int,
    .conf_secret = host_conf_secret,
    .expires = host_expires,
    .secret_read = host_secret_read,
    .step = host_step,
    .wasted = host_wasted,
};

void
fake_call(struct rk_call *c, int budget_ms)
{
    memset(c, 0, sizeof *c);
    c->deadline_ns = rk_now_ns() + budget_ms * RK_NS_PER_MS;
    if (pipe(c->cancel) < 0)
        abort();
}

void
fake_call_end(struct rk_call *c)
{
    close(c->cancel[0]);
    close(c->cancel[1]);
}

void
fake_cancel(struct rk_call *c)
{
    if (write(c->cancel[1], "", 1) != 1)
        abort();
}

const char *
fake_log(void)
{
    return log_text;
}

const char *
fake_steps(void)
{
    return steps_text;
}

void
fake_log_clear(void)
{
    steps_text[0] = '\0';
    log_len = 0;
    log_text[0] = '\0';
}

static int
copy_in(unsigned char *out, size_t len, void *arg)
{
    memcpy(out, arg, len);
    return RK_OK;
}

struct rk_secret *
fake_secret(const void *bytes, size_t len)
{
    struct rk_secret *s;

    if (rk_secret_new(len, copy_in, (void *)(size_t)bytes, &s))
        abort();
    return s;
}

static int
compare(const unsigned char *bytes, size_t len, void *arg)
{
    return memcmp(bytes, arg, len) == 0;
}

int
fake_secret_is(const struct rk_secret *s, const void *bytes, size_t len)
{
    return rk_secret_len(s) == len && rk_secret_use(s, compare, (void *)(size_t)bytes);
}
