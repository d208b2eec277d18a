/* options.c - the options of a router. */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const keyings[] = {"pre-shared-key", "key-chain", NULL};
static const char *const candidates[] = {"private", "exclusive", NULL};
static const char *const ckn_forms[] = {"digest", "offbox", NULL};

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
    {.name = "keying", .type = RK_OPT_ENUM, .choices = keyings, .dflt = "pre-shared-key",
     .help = "Where keys go: pre-shared-key and fallback-key, or a key chain with start times"},
    {.name = "candidate", .type = RK_OPT_ENUM, .choices = candidates, .dflt = "private",
     .help = "How the configuration is edited: in a private copy, or with the shared candidate locked"},
    {.name = "ckn", .type = RK_OPT_ENUM, .choices = ckn_forms, .dflt = "digest",
     .help = "How CKN and CAK are made of key ID and key: digest (both ends run rekeyd), or offbox: as offbox.py does, "
             "for peers that run it and do not answer (class E)"},
    {.name = "ckn-prefix", .type = RK_OPT_STRING, .unit = "hex digits", .min = 32, .max = 32,
     .help = "With ckn: offbox, the first 32 digits of each CKN, unless they are those of offbox.py"},
    {.name = "commit-timeout", .type = RK_OPT_DURATION, .flags = RK_OPT_APPLY, .min = 1000, .max = 570000,
     .dflt = "300s",
     .help = "How long to wait for a commit, at most 30s less than call-budget; then it is found out what came of it"},
    {.name = "rpc-timeout", .type = RK_OPT_DURATION, .min = 1000, .max = 600000, .dflt = "30s",
     .help = "How long to wait for the answer to any other request"},
    {.name = "idle-timeout", .type = RK_OPT_DURATION, .min = 10000, .max = 86400000, .dflt = "1h",
     .help = "How long an idle session stays open; sooner where many are open"},
    {.name = "force-should-secure", .type = RK_OPT_BOOL, .dflt = "no",
     .help = "Install keys although the connectivity association has should-secure, which allows clear text"},
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
copy_texts(struct jn_device *d, const struct rk_conf *conf)
{
    struct jn_options *o = &d->opt;

    return copy(d->host, conf, RK_CONF_NAME, &o->name) && copy(d->host, conf, "host", &o->host) &&
           copy(d->host, conf, "user", &o->user) && copy(d->host, conf, "known-hosts", &o->known_hosts) &&
           copy(d->host, conf, "agent", &o->agent) && copy(d->host, conf, "key", &o->key_value) &&
           copy(d->host, conf, "passphrase", &o->passphrase_value) && copy(d->host, conf, "ckn-prefix", &o->ckn_prefix);
}

/* A secret's file is looked at now, and read when a session is opened. */
static int
check_secret(struct jn_device *d, struct rk_call *call, const struct rk_conf *conf, const char *name)
{
    struct rk_secret *secret = NULL;
    int err = d->host->conf_secret(call, conf, name, &secret);

    d->host->secret_free(&secret);
    return err;
}

static int
check_files(struct jn_device *d, struct rk_call *call, const struct rk_conf *conf)
{
    int err = check_secret(d, call, conf, "key");

    if (!err)
        err = check_secret(d, call, conf, "passphrase");
    if (err)
        return err;
    if (!d->opt.trust_first_use && access(d->opt.known_hosts, R_OK) != 0)
        return d->host->fail(call, errno == ENOENT ? RK_E_NOENT : RK_E_UNSAFE, "known-hosts %s cannot be read: %s; put "
                             "the router's host key there, as by ssh-keyscan -t ed25519,ecdsa -p %u %s",
                             d->opt.known_hosts, strerror(errno), d->opt.port, d->opt.host);
    return RK_OK;
}

static int
check(struct jn_device *d, struct rk_call *call)
{
    const struct jn_options *o = &d->opt;

    if (o->passphrase_value && !o->key_value)
        return d->host->fail(call, RK_E_CONFIG, "passphrase is of no use without key");
    if (o->ckn == JN_CKN_OFFBOX && o->keying == JN_CHAIN)
        return d->host->fail(call, RK_E_CONFIG, "ckn: offbox goes with keying: pre-shared-key only, for a peer that "
                             "runs offbox.py has no key chain and agrees on no start time");
    if (o->ckn_prefix && o->ckn != JN_CKN_OFFBOX)
        return d->host->fail(call, RK_E_CONFIG, "ckn-prefix is of no use without ckn: offbox");
    if (o->ckn_prefix && strspn(o->ckn_prefix, "0123456789abcdefABCDEF") != strlen(o->ckn_prefix))
        return d->host->fail(call, RK_E_CONFIG, "ckn-prefix is not of hexadecimal digits");
    return RK_OK;
}

int
jn_options_read(struct jn_device *d, struct rk_call *call, const struct rk_conf *conf)
{
    struct jn_options *o = &d->opt;
    int err;

    if (!copy_texts(d, conf))
        return d->host->fail(call, RK_E_NOMEM, "out of memory");
    o->port = (uint16_t)d->host->conf_int(conf, "port");
    o->trust_first_use = d->host->conf_int(conf, "trust-first-use") != 0;
    o->force_should_secure = d->host->conf_int(conf, "force-should-secure") != 0;
    o->keying = (enum jn_keying)d->host->conf_int(conf, "keying");
    o->candidate = (enum jn_edit_mode)d->host->conf_int(conf, "candidate");
    o->ckn = (enum jn_ckn_form)d->host->conf_int(conf, "ckn");
    o->commit_ms = d->host->conf_int(conf, "commit-timeout");
    o->rpc_ms = d->host->conf_int(conf, "rpc-timeout");
    o->idle_ms = d->host->conf_int(conf, "idle-timeout");
    err = check(d, call);
    return err ? err : check_files(d, call, conf);
}

void
jn_options_free(struct jn_options *opt)
{
    free(opt->name);
    free(opt->host);
    free(opt->user);
    free(opt->known_hosts);
    free(opt->agent);
    free(opt->key_value);
    free(opt->passphrase_value);
    free(opt->ckn_prefix);
    *opt = (struct jn_options){.name = NULL};
}
