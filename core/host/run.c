/* run.c - a worker's way through a call. */
#include "run.h"

#include "mix.h"
#include "options.h"
#include "safe.h"
#include "services.h"

#include "ratchet.h"

#include "../base/clock.h"
#include "../base/text.h"
#include "../conf/opt.h"

#include <stdio.h>
#include <string.h>

static int
unknown_verb(struct rk_call *c)
{
    return rk_call_fail(c, RK_E_CONTRACT, "verb %u is not known", c->verb);
}

static int
run_verb(struct rk_call *c)
{
    switch (c->verb) {
    case RK_V_GET_NEW:
    case RK_V_GET_BY_ID:
        return rk_run_get(c);
    case RK_V_SOURCE_STATUS:
        return rk_run_source_status(c);
    case RK_V_SOURCE_TEST:
        return c->inst->module->kind == RK_CHANNEL ? rk_run_channel_test(c) : rk_run_source_test(c);
    case RK_V_APPLY:
        return rk_run_apply(c);
    case RK_V_OBSERVE:
        return rk_run_observe(c);
    case RK_V_TEND:
        return rk_run_tend(c);
    case RK_V_DISCOVER:
        return rk_run_discover(c);
    case RK_V_PREPARE:
        return rk_run_prepare(c);
    case RK_V_PUBLISH:
        return rk_run_publish(c);
    case RK_V_WATCH:
        return rk_run_watch(c);
    case RK_V_ATTACH:
        return rk_run_attach(c);
    case RK_V_ENCODE:
        return rk_run_encode(c);
    case RK_V_DECODE:
        return rk_run_decode(c);
    case RK_V_NEIGHBOURS:
        return rk_run_neighbours(c);
    case RK_V_INIT:
        return rk_run_init(c);
    case RK_V_FINI:
        return rk_run_fini(c);
    default:
        return unknown_verb(c);
    }
}

void
rk_run(struct rk_job *job)
{
    struct rk_call *c = (struct rk_call *)job;
    int64_t begun_ns = rk_now_ns(), took_us;

    rk_call_end(c, run_verb(c));
    took_us = (rk_now_ns() - begun_ns) / 1000;
    c->reply.took_us = took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX;
}

/* ---- before a call ---- */

/* kind: of the plugin, for the one verb that two kinds have. */
static uint32_t
kind_of(uint32_t verb, uint32_t kind)
{
    switch (verb) {
    case RK_V_GET_NEW:
    case RK_V_GET_BY_ID:
    case RK_V_SOURCE_STATUS:
        return RK_SOURCE;
    case RK_V_SOURCE_TEST:
        return kind == RK_CHANNEL ? RK_CHANNEL : RK_SOURCE;
    case RK_V_APPLY:
    case RK_V_OBSERVE:
    case RK_V_MIX:
    case RK_V_TEND:
    case RK_V_DISCOVER:
    case RK_V_PREPARE:
    case RK_V_NEIGHBOURS:
        return RK_DEVICE;
    case RK_V_PUBLISH:
    case RK_V_WATCH:
    case RK_V_ATTACH:
    case RK_V_ENCODE:
    case RK_V_DECODE:
    case RK_V_RATCHET:
        return RK_CHANNEL;
    default:
        return 0;
    }
}

/* A link that is to be shut may have no key in use. */
static bool
needs_key_id(const struct rk_item *item)
{
    return item->op != RK_OP_DESCRIBE && !(item->op == RK_OP_SHUT && !item->key_id[0]);
}

static bool
terms_ok(const char *text)
{
    return !text[0] || (strlen(text) <= RK_TERMS_MAX && rk_safe_record(text, RK_TERMS_MAX + 1));
}

static const char *
wrong_item(const struct rk_call *c, const struct rk_item *item)
{
    bool stage = c->verb == RK_V_APPLY && item->op == RK_OP_STAGE;

    if (item->chan_fd >= 0)
        return "a key where none belongs";
    if (c->verb == RK_V_RATCHET)
        return rk_ratchet_wrong(item);
    if (stage != (item->fd >= 0))
        return stage ? "STAGE without a key" : "a key where none belongs";
    if (stage && item->role != 1 && item->role != 2)
        return "STAGE without the role of this end";
    if (c->verb == RK_V_APPLY && (item->op < RK_OP_STAGE || item->op > RK_OP_SWEEP))
        return "an operation that is not known";
    if (c->verb == RK_V_APPLY && needs_key_id(item) && !rk_key_id_ok(item->key_id))
        return "no key ID";
    if (c->verb == RK_V_APPLY && (stage || item->op == RK_OP_RETIRE) && !terms_ok(item->text))
        return "terms that are none";
    if (c->verb == RK_V_GET_BY_ID && !rk_key_id_ok(item->key_id))
        return "no key ID";
    if (c->verb == RK_V_PREPARE && !item->iface[0] == !item->text[0])
        return "neither an interface nor a word, or both";
    if ((c->verb == RK_V_APPLY || c->verb == RK_V_OBSERVE || c->verb == RK_V_NEIGHBOURS) && !item->iface[0])
        return "no interface";
    return NULL;
}

static bool
wants_items(uint32_t verb)
{
    return verb != RK_V_SOURCE_STATUS && verb != RK_V_SOURCE_TEST && verb != RK_V_WATCH && verb != RK_V_TEND &&
           verb != RK_V_DISCOVER;
}

int
rk_run_check(struct rk_call *c)
{
    const char *wrong = NULL;

    if (kind_of(c->verb, c->inst->module->kind) != c->inst->module->kind)
        wrong = "this verb is not for a plugin of its kind";
    else if (c->verb != RK_V_PREPARE && wants_items(c->verb) != (c->msg.n > 0))
        wrong = wants_items(c->verb) ? "no items" : "items where none belong";
    else if ((c->verb == RK_V_GET_NEW || c->verb == RK_V_GET_BY_ID || c->verb == RK_V_MIX) &&
             (c->msg.bits == 0 || c->msg.bits % 8 || c->msg.bits / 8 > RK_SECRET_MAX))
        wrong = "bits is not a multiple of 8 in range";
    else if (c->verb == RK_V_MIX)
        wrong = rk_mix_wrong(c);
    for (size_t i = 0; !wrong && c->verb != RK_V_MIX && i < c->msg.n; i++)
        wrong = wrong_item(c, &c->msg.items[i]);
    if (!wrong)
        return RK_OK;
    rk_call_refuse(c, RK_E_CONTRACT, "%s on %s: %s", rk_verb_name(c->verb), c->inst->name, wrong);
    return RK_E_CONTRACT;
}

/* ---- instances ---- */

/* What every instance is told: its name and this site's SAE ID. */
static void
keep_site(struct rk_inst *inst, const struct rk_conf *conf)
{
    const char *name = rk_options_raw(conf, RK_CONF_NAME, 0), *sae = rk_options_raw(conf, RK_CONF_SAE, 0);

    if (!rk_copy(inst->name, sizeof inst->name, name ? name : ""))
        snprintf(inst->name, sizeof inst->name, "%u", inst->id);
    (void)rk_copy(inst->sae, sizeof inst->sae, sae ? sae : "");
}

static int
read_auth_key(struct rk_call *c, const struct rk_conf *conf)
{
    const char *name = rk_channel_opts[0].name;
    char why[RK_TEXT_MAX] = "";
    int err = rk_chankeys_new(rk_options_raw(conf, name, 0), &c->inst->keys, why, sizeof why);

    return err ? rk_call_fail(c, err, "%s: %.350s", name, why) : RK_OK;
}

int
rk_run_init(struct rk_call *c)
{
    const struct rk_module *m = c->inst->module;
    const struct rk_conf conf = {m, c->config.settings, c->config.n};
    char why[RK_TEXT_MAX] = "";
    int err;

    if (rk_options_check(&conf, why, sizeof why) != RK_OK)
        return rk_call_fail(c, RK_E_CONFIG, "%s", why);
    keep_site(c->inst, &conf);
    if (m->kind == RK_CHANNEL) {
        err = read_auth_key(c, &conf);
        if (err)
            return err;
    }
    return m->init(&rk_services, c, &conf, &c->inst->data);
}

int
rk_run_fini(struct rk_call *c)
{
    c->inst->module->fini(c->inst->data);
    return RK_OK;
}
