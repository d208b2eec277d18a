/* options.c - the options of a router that asks. */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

const struct rk_opt je_opts[] = {
    {.name = "listen", .type = RK_OPT_STRING, .flags = RK_OPT_REQUIRED, .min = 1, .max = 80,
     .help = "Address and port on which routers are heard, as 0.0.0.0:8480; devices with the same one share it"},
    {.name = "cert", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED,
     .help = "PEM file with the listener's certificate, then any intermediate ones"},
    {.name = "key", .type = RK_OPT_SECRET, .flags = RK_OPT_REQUIRED,
     .help = "PEM file with the certificate's private key, without passphrase"},
    {.name = "ca", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED,
     .help = "PEM file with the CA certificates that the routers' certificates must come from"},
    {.name = "router", .type = RK_OPT_STRING, .unit = "bytes", .min = 1, .max = 253,
     .help = "Name in the router's certificate, CN or alternative name; the name of the device by default"},
    {.name = "tick", .type = RK_OPT_DURATION, .min = 1000, .max = 3600000, .dflt = "60s",
     .help = "How often the router runs the script; when it does not for three of them, it is away"},
    JN_OPTIONS,
    {.name = NULL},
};

static char *
copy(const char *text)
{
    return strdup(text ? text : "");
}

/* An edit waits for the next ask, and is given out with JE_EDIT_MS left, or not at all. */
static int
check_times(struct je_router *r, struct rk_call *call)
{
    const struct rk_host *host = r->d.host;
    int64_t commit_ms = r->d.opt.commit_ms, good_s = (r->tick_ms + JE_EDIT_MS + 1999) / 1000;

    if (commit_ms <= JE_EDIT_MS)
        return host->fail(call, RK_E_CONFIG, "commit-timeout: the script gets no change with %d s left or less, so "
                          "nothing would ever be installed: make it %lld s or more", JE_EDIT_MS / 1000,
                          (long long)good_s);
    if (commit_ms < r->tick_ms + JE_EDIT_MS)
        host->log(call, RK_LOG_WARNING, "ev=options dev=%s why=\"commit-timeout is shorter than a tick and a commit: "
                  "what falls between the script's waiting and the next tick fails, and is tried again\" "
                  "do=\"commit-timeout: %llds or more\"", r->d.opt.name, (long long)good_s);
    return RK_OK;
}

int
je_options_read(struct je_router *r, struct rk_call *call, const struct rk_conf *conf)
{
    const struct rk_host *host = r->d.host;
    const char *name = host->conf_str(conf, RK_CONF_NAME), *router = host->conf_str(conf, "router");
    int err;

    r->d.opt.name = copy(name);
    r->router = copy(router ? router : name);
    r->d.opt.host = copy(router ? router : name);
    r->d.opt.user = copy("of the event script");
    if (!r->d.opt.name || !r->router || !r->d.opt.host || !r->d.opt.user)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    if (!r->router[0])
        return host->fail(call, RK_E_CONFIG, "router: the name in the router's certificate is wanted");
    r->tick_ms = host->conf_int(conf, "tick");
    err = jn_options_read(&r->d, call, conf);
    return err ? err : check_times(r, call);
}

void
je_options_free(struct je_router *r)
{
    free(r->router);
    jn_options_free(&r->d.opt);
}
