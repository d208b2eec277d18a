/* options.c - the options that all plugins for Junos have. */
#include "junos.h"

#include <stdlib.h>
#include <string.h>

const char *const jn_keyings[] = {"pre-shared-key", "key-chain", NULL};
const char *const jn_candidates[] = {"private", "exclusive", NULL};
const char *const jn_ckn_forms[] = {"digest", "offbox", NULL};

static int
check(struct jn_device *d, struct rk_call *call)
{
    const struct jn_options *o = &d->opt;

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
    const char *prefix = d->host->conf_str(conf, "ckn-prefix");
    struct jn_options *o = &d->opt;

    o->ckn_prefix = prefix ? strdup(prefix) : NULL;
    if (prefix && !o->ckn_prefix)
        return d->host->fail(call, RK_E_NOMEM, "out of memory");
    o->force_should_secure = d->host->conf_int(conf, "force-should-secure") != 0;
    o->keying = (enum jn_keying)d->host->conf_int(conf, "keying");
    o->candidate = (enum jn_edit_mode)d->host->conf_int(conf, "candidate");
    o->ckn = (enum jn_ckn_form)d->host->conf_int(conf, "ckn");
    o->commit_ms = d->host->conf_int(conf, "commit-timeout");
    return check(d, call);
}

void
jn_options_free(struct jn_options *opt)
{
    free(opt->name);
    free(opt->host);
    free(opt->user);
    free(opt->ckn_prefix);
    *opt = (struct jn_options){.name = NULL};
}
