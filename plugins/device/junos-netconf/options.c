/* options.c - the options of a router. */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct rk_opt jn_opts[] = {
    {.name = "host", .type = RK_OPT_STRING, .flags = RK_OPT_REQUIRED, .unit = "bytes", .min = 1, .max = 253,
     .help = "Name or address of the router's management interface"},
    {.name = "port", .type = RK_OPT_INT, .min = 1, .max = 65535, .dflt = "830",
     .help = "Port of NETCONF over SSH; 22 serves it as well where netconf ssh is configured"},
    {.name = "user", .type = RK_OPT_STRING, .flags = RK_OPT_REQUIRED, .unit = "bytes", .min = 1, .max = 64,
     .help = "User on the router; rekeyctl prepare shows a login class with the rights that it needs"},
    {.name = "key", .type = RK_OPT_SECRET, .flags = RK_OPT_ONE_OF,
     .help = "Private SSH key of the user, ed25519 or ECDSA, as file:/path; closed to group and others"},
    {.name = "agent", .type = RK_OPT_PATH, .flags = RK_OPT_ONE_OF,
     .help = "Socket of an SSH agent that holds the user's key, instead of key"},
    {.name = "passphrase", .type = RK_OPT_SECRET,
     .help = "Passphrase of the private key, as file:/path"},
    {.name = "known-hosts", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED,
     .help = "File with the router's SSH host key, as ssh-keyscan and ssh write it; it is always verified"},
    {.name = "trust-first-use", .type = RK_OPT_BOOL, .dflt = "no",
     .help = "Accept the host key of a router that is not in known-hosts once, and add it there"},
    JN_OPTIONS,
    {.name = "rpc-timeout", .type = RK_OPT_DURATION, .min = 1000, .max = 600000, .dflt = "30s",
     .help = "How long to wait for the answer to any other request"},
    {.name = "idle-timeout", .type = RK_OPT_DURATION, .min = 10000, .max = 86400000, .dflt = "1h",
     .help = "How long an idle session stays open; sooner where many are open"},
    {.name = NULL},
};

static bool
copy(const struct rk_host *host, const struct rk_conf *conf, const char *name, char **out)
{
    const char *value = host->conf_str(conf, name);

    *out = value ? strdup(value) : NULL;
    return !value || *out;
}

static bool
copy_texts(struct jn_router *r, const struct rk_conf *conf)
{
    const struct rk_host *host = r->d.host;
    struct jn_options *o = &r->d.opt;

    return copy(host, conf, RK_CONF_NAME, &o->name) && copy(host, conf, "host", &o->host) &&
           copy(host, conf, "user", &o->user) && copy(host, conf, "known-hosts", &r->known_hosts) &&
           copy(host, conf, "agent", &r->agent) && copy(host, conf, "key", &r->key_value) &&
           copy(host, conf, "passphrase", &r->passphrase_value);
}

/* A secret's file is looked at now, and read when a session is opened. */
static int
check_secret(struct jn_router *r, struct rk_call *call, const struct rk_conf *conf, const char *name)
{
    struct rk_secret *secret = NULL;
    int err = r->d.host->conf_secret(call, conf, name, &secret);

    r->d.host->secret_free(&secret);
    return err;
}

static int
check_files(struct jn_router *r, struct rk_call *call, const struct rk_conf *conf)
{
    const struct rk_host *host = r->d.host;
    int err = check_secret(r, call, conf, "key");

    if (!err)
        err = check_secret(r, call, conf, "passphrase");
    if (err)
        return err;
    if (!r->trust_first_use && access(r->known_hosts, R_OK) != 0)
        return host->fail(call, errno == ENOENT ? RK_E_NOENT : RK_E_UNSAFE, "known-hosts %s cannot be read: %s; put "
                          "the router's host key there, as by ssh-keyscan -t ed25519,ecdsa -p %u %s",
                          r->known_hosts, strerror(errno), r->port, r->d.opt.host);
    return RK_OK;
}

int
jn_router_read(struct jn_router *r, struct rk_call *call, const struct rk_conf *conf)
{
    const struct rk_host *host = r->d.host;
    int err;

    if (!copy_texts(r, conf))
        return host->fail(call, RK_E_NOMEM, "out of memory");
    r->port = (uint16_t)host->conf_int(conf, "port");
    r->trust_first_use = host->conf_int(conf, "trust-first-use") != 0;
    r->rpc_ms = host->conf_int(conf, "rpc-timeout");
    r->idle_ms = host->conf_int(conf, "idle-timeout");
    if (r->passphrase_value && !r->key_value)
        return host->fail(call, RK_E_CONFIG, "passphrase is of no use without key");
    err = jn_options_read(&r->d, call, conf);
    return err ? err : check_files(r, call, conf);
}

void
jn_router_free(struct jn_router *r)
{
    free(r->known_hosts);
    free(r->agent);
    free(r->key_value);
    free(r->passphrase_value);
    jn_options_free(&r->d.opt);
}
