/* plan.c - decides what is to be changed: units, checks, and what each operation asks for.  Without I/O.
 *
 * Never: a change of an interface's binding, of the security mode, of a key that an operator has put into a slot that
 * this plugin did not fill before, or the removal of the last key. */
#include "plan.h"

#include "../keytext.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
jn_refuse(struct rk_dev_op *op, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(op->why, sizeof op->why, fmt, ap);
    va_end(ap);
    op->err = err;
    return err;
}

/* ---- places and ownership ---- */

struct jn_place *
jn_unit_place(struct jn_unit *u, const char *ckn)
{
    if (!ckn[0])
        return NULL;
    if (strcmp(u->psk.ckn, ckn) == 0)
        return &u->psk;
    for (size_t i = 0; i < JN_SLOTS; i++)
        if (strcmp(u->slot[i].ckn, ckn) == 0)
            return &u->slot[i];
    return strcmp(u->fallback.ckn, ckn) == 0 ? &u->fallback : NULL;
}

static struct jn_own *
find_own(const struct jn_unit *u, const char *ckn)
{
    for (size_t i = 0; i < u->n_own; i++)
        if (strcmp(u->own[i].ckn, ckn) == 0)
            return (struct jn_own *)&u->own[i];
    return NULL;
}

bool
jn_owns(const struct jn_unit *u, const char *ckn)
{
    return find_own(u, ckn) != NULL;
}

static void
drop_own(struct jn_unit *u, size_t i)
{
    u->own[i] = u->own[--u->n_own];
}

void
jn_own_set(struct jn_unit *u, const char *ckn, const uint64_t *seq)
{
    struct jn_own *o = find_own(u, ckn);

    if (o && !seq)
        return;
    if (!o) {
        for (size_t i = 0; u->n_own == JN_OWN_MAX && i < u->n_own; i++)
            if (!jn_unit_place(u, u->own[i].ckn))
                drop_own(u, i); /* then there is room: the places are fewer */
        o = &u->own[u->n_own < JN_OWN_MAX ? u->n_own++ : JN_OWN_MAX - 1];
    }
    snprintf(o->ckn, sizeof o->ckn, "%s", ckn);
    snprintf(o->seq, sizeof o->seq, "%llu", (unsigned long long)(seq ? *seq : 0));
}

bool
jn_own_is(const struct jn_unit *u, const char *ckn, uint64_t seq)
{
    const struct jn_own *o = find_own(u, ckn);
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)seq);
    return o && strcmp(o->seq, text) == 0;
}

bool
jn_key_get(const struct jn_case *c, const char *ckn, struct jn_place *out)
{
    const struct jn_sealed_key *k = jn_sealed_get(c->in->d, (struct jn_key_name){c->u->iface, ckn});
    const struct jn_place *at = jn_unit_place(c->u, ckn);

    *out = (struct jn_place){.start_s = 0};
    snprintf(out->ckn, sizeof out->ckn, "%s", ckn);
    out->cak = k && !k->stored ? k->secret : at ? at->cak : NULL;
    out->stored = at && at->stored ? at->stored : k && k->stored ? k->secret : NULL;
    return out->cak || out->stored;
}

int
jn_fresh(struct jn_case *c, struct jn_place *out)
{
    struct jn_cak_use use = {.link = c->op->link, .key_id = c->op->key_id, .cipher = c->u->ca->cipher};
    struct rk_dev_op *op = c->op;
    int err;

    *out = (struct jn_place){.start_s = 0};
    if (!op->key)
        return jn_refuse(op, RK_E_CONTRACT, "STAGE without a key");
    err = c->step->cak ? RK_OK : jn_cak(c->in->d, op->key, &use, &c->step->cak);
    if (err)
        return jn_refuse(op, err, "no CAK for %s can be made of the key", use.cipher[0] ? use.cipher : "gcm-aes-128");
    memcpy(out->ckn, c->step->ckn, sizeof out->ckn);
    out->cak = c->step->cak;
    return RK_OK;
}

/* ---- what MKA shows ---- */

static bool
in_use(const struct jn_mka *m)
{
    static const enum jn_cak_type type_of[] = {
        [JN_MKA_PRIMARY] = JN_CAK_PRIMARY, [JN_MKA_PRECEDING] = JN_CAK_PRECEDING, [JN_MKA_FALLBACK] = JN_CAK_FALLBACK,
        [JN_MKA_SUSPENDED] = JN_CAK_UNKNOWN, [JN_MKA_UNSECURED] = JN_CAK_UNKNOWN, [JN_MKA_UNKNOWN] = JN_CAK_UNKNOWN,
    };
    bool live = m->status == JN_CAK_LIVE || m->status == JN_CAK_ACTIVE;

    return live && m->has_sak && m->type != JN_CAK_UNKNOWN && m->type == type_of[m->state];
}

/* The one key of the unit that is printed so; a short print that fits two is none. */
static void
match(struct jn_unit *u, const char *printed, char ckn[JN_CKN_HEX + 1])
{
    const struct jn_place *all[JN_SLOTS + 2] = {&u->psk, &u->fallback};
    size_t hits = 0;

    for (size_t i = 0; i < JN_SLOTS; i++)
        all[i + 2] = &u->slot[i];
    for (size_t i = 0; i < JN_SLOTS + 2; i++) {
        if (!all[i]->ckn[0] || !jn_ckn_same(printed, all[i]->ckn) || (hits && strcmp(ckn, all[i]->ckn) == 0))
            continue;
        hits++;
        memcpy(ckn, all[i]->ckn, JN_CKN_HEX + 1);
    }
    if (hits > 1)
        ckn[0] = '\0';
}

void
jn_sender(const struct jn_case *c, char ckn[JN_CKN_HEX + 1])
{
    ckn[0] = '\0';
    for (size_t i = 0; !ckn[0] && i < c->in->view->n_mka; i++) {
        const struct jn_mka *m = &c->in->view->mka[i];

        if (in_use(m) && jn_conf_port(c->in->view->conf, m->iface) == jn_conf_port(c->in->view->conf, c->u->iface))
            match(c->u, m->ckn, ckn);
    }
}

/* ---- units ---- */

static void
take(struct jn_place *to, const struct jn_key *from)
{
    *to = (struct jn_place){.stored = from->stored, .start_s = from->start_s, .bad_start = from->bad_start,
                            .inactive = from->inactive};
    memcpy(to->ckn, from->ckn, sizeof to->ckn);
}

static void
take_own(struct jn_unit *u)
{
    for (size_t i = 0; i < u->ca->rekey.n && u->n_own < JN_OWN_MAX; i++) {
        const struct jn_pair *p = &u->ca->rekey.pair[i];

        if (!jn_is_ckn(p->name))
            continue;
        memcpy(u->own[u->n_own].ckn, p->name, sizeof u->own[0].ckn);
        snprintf(u->own[u->n_own++].seq, sizeof u->own[0].seq, "%.23s", p->value);
    }
}

/* Everything of the association that keys are put into. */
static void
take_ca(struct jn_unit *u)
{
    take(&u->psk, &u->ca->psk);
    take(&u->fallback, &u->ca->fallback);
    for (size_t i = 0; u->chain && i < u->chain->n; i++)
        if (u->chain->key[i].slot >= 0 && u->chain->key[i].slot < JN_SLOTS)
            take(&u->slot[u->chain->key[i].slot], &u->chain->key[i]);
    take_own(u);
}

static void
take_text(struct jn_unit *u, const struct jn_conf *conf)
{
    u->was_text = "";
    for (size_t i = 0; i < conf->n_text; i++)
        if (strcmp(conf->text[i].name, u->iface) == 0) {
            u->was_text = conf->text[i].description;
            u->text_hidden = conf->text[i].hidden;
            return;
        }
}

static struct jn_unit *
unit_of(struct jn_plan *plan, const struct jn_conf *conf, const char *iface)
{
    struct jn_unit *u;

    for (size_t i = 0; i < plan->n_unit; i++)
        if (strcmp(plan->unit[i].iface, iface) == 0)
            return &plan->unit[i];
    u = &plan->unit[plan->n_unit++];
    snprintf(u->iface, sizeof u->iface, "%s", iface);
    take_text(u, conf);
    return u;
}

/* ---- the association of an interface, as it must be ---- */

#define PREPARE "run rekeyctl prepare %.32s"

static size_t
users_of(const struct jn_conf *conf, const char *ca)
{
    size_t n = 0;

    for (size_t i = 0; i < conf->n_port; i++)
        n += strcmp(conf->port[i].ca, ca) == 0 && !conf->port[i].inactive;
    return n;
}

static size_t
chain_users(const struct jn_conf *conf, const char *chain)
{
    size_t n = 0;

    for (size_t i = 0; i < conf->n_ca; i++)
        n += strcmp(conf->ca[i].chain, chain) == 0;
    return n;
}

static int
check_chain(const struct jn_case *c, const struct jn_ca *ca)
{
    const struct jn_conf *conf = c->in->view->conf;
    const char *name = c->in->d->opt.name;

    if (c->in->d->opt.keying == JN_PSK && ca->chain[0])
        return jn_refuse(c->op, RK_E_CONFIG, "connectivity association %s uses key chain %.40s: set keying: key-chain",
                         ca->name, ca->chain);
    if (c->in->d->opt.keying == JN_PSK)
        return RK_OK;
    if (!ca->chain[0])
        return jn_refuse(c->op, RK_E_CONFIG, "connectivity association %s has no pre-shared-key-chain: " PREPARE,
                         ca->name, name);
    if (!jn_conf_chain(conf, ca->chain))
        return jn_refuse(c->op, RK_E_CONFIG, "key chain %.40s is not there: " PREPARE, ca->chain, name);
    if (chain_users(conf, ca->chain) > 1)
        return jn_refuse(c->op, RK_E_CONFIG, "key chain %.40s is used by %zu associations: " PREPARE, ca->chain,
                         chain_users(conf, ca->chain), name);
    if (ca->psk.ckn[0])
        return jn_refuse(c->op, RK_E_CONFIG, "connectivity association %s has a pre-shared-key beside its chain: "
                         "delete it", ca->name);
    return RK_OK;
}

static int
check_ca(const struct jn_case *c, const struct jn_ca *ca)
{
    struct rk_dev_op *op = c->op;
    size_t n = users_of(c->in->view->conf, ca->name);

    if (ca->inactive)
        return jn_refuse(op, RK_E_CONFIG, "connectivity association %s is inactive: activate it", ca->name);
    if ((ca->psk.ckn[0] && ca->psk.inactive) || (ca->fallback.ckn[0] && ca->fallback.inactive))
        return jn_refuse(op, RK_E_CONFIG, "connectivity association %s has an inactive key: activate or delete it",
                         ca->name);
    if (n > 1)
        return jn_refuse(op, RK_E_CONFIG, "connectivity association %s is shared by %zu interfaces: " PREPARE,
                         ca->name, n, c->in->d->opt.name);
    if (strcmp(ca->mode, "static-cak") != 0 && !jn_ca_is_new(ca))
        return jn_refuse(op, RK_E_CONFIG, "connectivity association %s has security-mode %s, not static-cak: " PREPARE,
                         ca->name, ca->mode[0] ? ca->mode : "none", c->in->d->opt.name);
    if (ca->should_secure && op->kind == RK_OP_STAGE && !c->in->d->opt.force_should_secure)
        return jn_refuse(op, RK_E_CONFIG, "connectivity association %s has should-secure, which lets traffic through "
                         "in clear: delete it, or set force-should-secure: yes", ca->name);
    if (ca->no_preceding && op->kind == RK_OP_STAGE && jn_class(c->in->d, ca) != RK_CLASS_B)
        return jn_refuse(op, RK_E_CONFIG, "connectivity association %s has disable-preceding-key, and the old key is "
                         "needed until the new one is live: delete it", ca->name);
    return check_chain(c, ca);
}

static int
bind_ca(const struct jn_case *c)
{
    const struct jn_conf *conf = c->in->view->conf;
    bool to_bind;
    const struct jn_ca *ca = jn_conf_bound(conf, c->u->iface, &to_bind);
    int err;

    if (c->u->ca)
        return check_ca(c, c->u->ca);
    if (!ca)
        return jn_refuse(c->op, RK_E_CONFIG, "interface %.64s has no connectivity association: " PREPARE, c->u->iface,
                         c->in->d->opt.name);
    err = check_ca(c, ca);
    if (err)
        return err;
    c->u->ca = ca;
    c->u->bind = to_bind;
    c->u->class = jn_class(c->in->d, ca);
    c->u->chain = c->u->class == RK_CLASS_D ? jn_conf_chain(conf, ca->chain) : NULL;
    take_ca(c->u);
    return RK_OK;
}

/* ---- terms ---- */

static int
read_keep(struct jn_case *c, const char *id, size_t len)
{
    char key_id[RK_KEY_ID_MAX + 1];
    int err;

    if (len == 0)
        return RK_OK;
    if (len >= sizeof key_id || !rkp_key_id_ok(id, len))
        return jn_refuse(c->op, RK_E_CONTRACT, "terms without a key ID behind keep=");
    memcpy(key_id, id, len);
    key_id[len] = '\0';
    err = jn_ckn(c->in->d, key_id, c->terms.keep);
    if (err)
        return jn_refuse(c->op, err, "key ID %.64s gives no CKN: see option ckn", key_id);
    c->terms.has_keep = true;
    memcpy(c->step->keep, c->terms.keep, sizeof c->step->keep);
    if (strcmp(c->terms.keep, c->step->ckn) == 0)
        return jn_refuse(c->op, RK_E_CONTRACT, "a key cannot fall back to itself");
    return RK_OK;
}

static int
read_terms(struct jn_case *c)
{
    const char *text = c->op->text ? c->op->text : "keep=", *start = strstr(text, ",start=");
    bool wants_start = c->u->class == RK_CLASS_D && c->op->kind == RK_OP_STAGE;
    char *end;

    c->terms = (struct jn_terms){.start_s = 0};
    if (strncmp(text, "keep=", 5) != 0)
        return jn_refuse(c->op, RK_E_CONTRACT, "terms that are none: \"%.100s\"", text);
    if (wants_start) {
        c->terms.start_s = start ? strtoll(start + 7, &end, 10) : 0;
        if (!start || end == start + 7 || *end || c->terms.start_s <= 0 || c->terms.start_s >= 253402300800)
            return jn_refuse(c->op, RK_E_CONTRACT, "terms without a start time: \"%.100s\"", text);
    }
    return read_keep(c, text + 5, start ? (size_t)(start - text) - 5 : strlen(text) - 5);
}

/* ---- an operation ---- */

typedef int op_fn(struct jn_case *c);

static op_fn *
fn_of(uint32_t class, uint32_t kind)
{
    bool chain = class == RK_CLASS_D;

    switch (kind) {
    case RK_OP_STAGE:
        return chain ? jn_chain_stage : jn_psk_stage;
    case RK_OP_RETIRE:
        return chain ? jn_chain_retire : jn_psk_retire;
    case RK_OP_SWEEP:
        return chain ? jn_chain_sweep : jn_psk_sweep;
    default:
        return NULL;
    }
}

static int
decide_key(struct jn_case *c)
{
    op_fn *fn;
    int err = bind_ca(c);

    if (!err && jn_ckn(c->in->d, c->op->key_id, c->step->ckn) != RK_OK)
        err = jn_refuse(c->op, RK_E_CONFIG, "key ID %.64s gives no CKN: see option ckn", c->op->key_id);
    if (!err && c->op->kind != RK_OP_SWEEP)
        err = read_terms(c);
    if (err)
        return err;
    fn = fn_of(c->u->class, c->op->kind);
    return fn(c);
}

static int
decide(struct jn_case *c)
{
    switch (c->op->kind) {
    case RK_OP_STAGE:
    case RK_OP_RETIRE:
    case RK_OP_SWEEP:
        return decide_key(c);
    case RK_OP_DESCRIBE:
        return jn_describe(c);
    case RK_OP_SHUT:
        return jn_refuse(c->op, RK_E_UNSUPPORTED, "a router cannot be told to transmit nothing without its keys or its "
                         "binding being removed: use on-stale: hold or fallback");
    default:
        return jn_refuse(c->op, RK_E_UNSUPPORTED, "not an operation of a router that is driven by CAKs");
    }
}

/* Two places of one CKN, or none: the router would refuse it, or the link would be lost. */
static int
check_unit(const struct jn_case *c)
{
    struct jn_unit *u = c->u;
    bool had = u->ca && (u->ca->psk.ckn[0] || u->ca->fallback.ckn[0]);
    bool has = u->psk.ckn[0] || u->fallback.ckn[0];

    for (size_t i = 0; u->chain && i < u->chain->n; i++)
        had |= u->chain->key[i].start_s <= c->in->now_s;
    for (size_t i = 0; i < JN_SLOTS; i++) {
        has |= u->slot[i].ckn[0] != '\0';
        if (u->slot[i].ckn[0] && strcmp(u->slot[i].ckn, u->fallback.ckn) == 0)
            return jn_refuse(c->op, RK_E_CONTRACT, "the fallback key would also be in the key chain");
    }
    if (u->psk.ckn[0] && strcmp(u->psk.ckn, u->fallback.ckn) == 0)
        return jn_refuse(c->op, RK_E_CONTRACT, "the fallback key would also be the primary one");
    if (had && !has)
        return jn_refuse(c->op, RK_E_CONTRACT, "the last key would be removed");
    return RK_OK;
}

/* Keys of the macro that are nowhere any more. */
static void
tidy_own(struct jn_unit *u)
{
    for (size_t i = u->n_own; i-- > 0;)
        if (!jn_unit_place(u, u->own[i].ckn))
            drop_own(u, i);
}

static int
make(struct jn_plan *plan, const struct jn_plan_in *in, struct rk_dev_op *ops, size_t n)
{
    struct jn_unit *before = malloc(sizeof *before);

    if (!before)
        return RK_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        struct jn_case c = {.in = in, .step = &plan->step[i], .op = &ops[i]};

        if (strlen(ops[i].iface) > RK_IFACE_MAX) {
            jn_refuse(&ops[i], RK_E_CONFIG, "the interface's name has more than %d bytes", RK_IFACE_MAX);
            continue;
        }
        c.u = c.step->unit = unit_of(plan, in->view->conf, ops[i].iface);
        *before = *c.u;
        ops[i].why[0] = '\0';
        c.step->todo = decide(&c) == RK_OK && check_unit(&c) == RK_OK;
        if (!c.step->todo)
            *c.u = *before;
    }
    free(before);
    return RK_OK;
}

int
jn_plan_make(const struct jn_plan_in *in, struct rk_dev_op *ops, size_t n, struct jn_plan **out)
{
    struct jn_plan *plan = calloc(1, sizeof *plan);
    int err = RK_E_NOMEM;

    *out = NULL;
    if (!plan)
        return RK_E_NOMEM;
    plan->unit = calloc(n, sizeof *plan->unit);
    plan->step = calloc(n, sizeof *plan->step);
    plan->n_step = n;
    plan->zone_s = in->view->clock.zone_s;
    if (plan->unit && plan->step)
        err = make(plan, in, ops, n);
    if (err) {
        jn_plan_free(in->d->host, &plan);
        return err;
    }
    for (size_t i = 0; i < plan->n_unit; i++)
        tidy_own(&plan->unit[i]);
    for (size_t i = 0; i < n; i++) {
        struct jn_step *s = &plan->step[i];

        if (s->todo && !jn_unit_differs(s->unit)) {
            s->todo = false;
            ops[i].err = RK_OK;
        }
    }
    *out = plan;
    return RK_OK;
}

void
jn_plan_free(const struct rk_host *host, struct jn_plan **plan)
{
    if (!*plan)
        return;
    for (size_t i = 0; (*plan)->step && i < (*plan)->n_step; i++)
        host->secret_free(&(*plan)->step[i].cak);
    free((*plan)->step);
    free((*plan)->unit);
    free(*plan);
    *plan = NULL;
}

unsigned
jn_plan_wants(const struct jn_device *d, const struct rk_dev_op *ops, size_t n)
{
    unsigned want = JN_WANT_CONF | JN_WANT_RECENT | (d->opt.keying == JN_CHAIN ? JN_WANT_CLOCK : 0);

    for (size_t i = 0; i < n; i++) {
        bool stage = ops[i].kind == RK_OP_STAGE;
        bool no_keep = !ops[i].text || strcmp(ops[i].text, "keep=") == 0 || strncmp(ops[i].text, "keep=,", 6) == 0;

        if (ops[i].kind == RK_OP_SWEEP || (stage && no_keep))
            want |= JN_WANT_MKA;
        if (ops[i].kind != RK_OP_DESCRIBE) /* a key that is only on the router may have to change its place */
            want |= JN_WANT_STORED;
    }
    return want;
}
