/* plan_psk.c - option keying: pre-shared-key, classes B (fallback-key) and C (only the box's own "preceding").
 *
 * One commit moves both keys: the new one becomes pre-shared-key, the kept one fallback-key.  A key that an operator
 * has put into pre-shared-key is taken over, for else no link that is in use could be: it moves to the fallback slot,
 * and goes with the rotation after.  One that is in fallback-key is never touched: the slot is his, and the link is
 * driven as one of class C, which has none. */
#include "plan.h"

#include "../keytext.h"

#include <stdio.h>
#include <string.h>

/* ---- the class ---- */

/* "23.2R2-S1.3-EVO", "15.1X49-D75": at least this release? */
static bool
release_from(const char *release, unsigned major, unsigned minor)
{
    unsigned a, b;

    return sscanf(release, "%3u.%3u", &a, &b) == 2 && (a > major || (a == major && b >= minor));
}

uint32_t
jn_class(const struct jn_device *d, const struct jn_ca *ca)
{
    if (d->opt.keying == JN_CHAIN)
        return RK_CLASS_D;
    if (ca && ca->fallback.ckn[0])
        return jn_pair_of(&ca->rekey, ca->fallback.ckn) ? RK_CLASS_B : RK_CLASS_C;
    return release_from(d->release, 19, 2) ? RK_CLASS_B : RK_CLASS_C; /* not known: what every release can */
}

/* ---- STAGE ---- */

/* What "keep=" means here; has: false when there is no key to keep. */
static int
find_keep(struct jn_case *c, struct jn_place *keep, bool *has)
{
    char ckn[JN_CKN_HEX + 1];

    *has = c->terms.has_keep;
    if (c->terms.has_keep) {
        if (!jn_key_get(c, c->terms.keep, keep) && strcmp(c->u->fallback.ckn, c->terms.keep) != 0)
            return jn_refuse(c->op, RK_E_NOKEY, "the router has no key %.16s... that could be kept", c->terms.keep);
        return RK_OK;
    }
    jn_sender(c, ckn);
    if (!ckn[0])
        memcpy(ckn, c->u->psk.ckn, sizeof ckn);
    if (!ckn[0] || strcmp(ckn, c->step->ckn) == 0)
        return RK_OK;
    *has = jn_key_get(c, ckn, keep) || strcmp(c->u->fallback.ckn, ckn) == 0;
    return *has ? RK_OK : jn_refuse(c->op, RK_E_NOKEY, "the router does not show key %.16s..., which it uses: has the "
                                    "user permission secret?", ckn);
}

static int
would_be_lost(const struct jn_case *c)
{
    return jn_refuse(c->op, RK_E_CONFLICT, "pre-shared-key of association %s was not set by rekeyd, and would be lost",
                     c->u->ca->name);
}

/* A pre-shared-key that is an operator's, or of nobody that is known. */
static bool
is_others(const struct jn_unit *u, const struct jn_place *fresh)
{
    return u->psk.ckn[0] && !jn_owns(u, u->psk.ckn) && strcmp(u->psk.ckn, fresh->ckn) != 0;
}

static int
stage_b(struct jn_case *c, const struct jn_place *fresh)
{
    struct jn_unit *u = c->u;
    struct jn_place keep = {.ckn = ""};
    bool has;
    int err = find_keep(c, &keep, &has);

    if (err)
        return err;
    if (is_others(u, fresh) && !(has && strcmp(u->psk.ckn, keep.ckn) == 0))
        return would_be_lost(c);
    if (has && strcmp(u->fallback.ckn, keep.ckn) != 0) {
        u->fallback = keep;
        jn_own_set(u, keep.ckn, NULL);
    }
    if (!has && strcmp(u->fallback.ckn, fresh->ckn) == 0)
        u->fallback = (struct jn_place){.ckn = ""};
    u->psk = *fresh;
    memcpy(c->step->keep, keep.ckn, sizeof c->step->keep);
    return RK_OK;
}

/* Only the key that is primary now becomes the preceding one. */
static int
stage_c(struct jn_case *c, const struct jn_place *fresh)
{
    struct jn_unit *u = c->u;

    if (c->terms.has_keep && strcmp(u->psk.ckn, c->terms.keep) != 0)
        return jn_refuse(c->op, RK_E_CONFLICT, "the key to keep, %.16s..., is not the pre-shared-key, and would not "
                         "become the preceding one: it must be committed again first", c->terms.keep);
    if (!c->terms.has_keep && u->fallback.ckn[0] && is_others(u, fresh))
        return would_be_lost(c); /* both slots are his */
    if (strcmp(u->psk.ckn, fresh->ckn) != 0)
        memcpy(c->step->keep, u->psk.ckn, sizeof c->step->keep);
    u->psk = *fresh;
    return RK_OK;
}

int
jn_psk_stage(struct jn_case *c)
{
    struct jn_unit *u = c->u;
    struct jn_place fresh;
    int err = jn_fresh(c, &fresh);

    if (err)
        return err;
    if (strcmp(u->psk.ckn, fresh.ckn) == 0 && jn_own_is(u, fresh.ckn, c->op->seq))
        return RK_OK; /* it is so */
    err = u->class == RK_CLASS_B ? stage_b(c, &fresh) : stage_c(c, &fresh);
    if (!err)
        jn_own_set(u, fresh.ckn, &c->op->seq);
    return err;
}

/* ---- RETIRE ---- */

static int
others_primary(const struct jn_case *c)
{
    const struct jn_unit *u = c->u;

    if (!u->psk.ckn[0] || jn_owns(u, u->psk.ckn) || strcmp(u->psk.ckn, c->step->ckn) == 0)
        return RK_OK;
    return jn_refuse(c->op, RK_E_CONFLICT, "pre-shared-key of association %s was not set by rekeyd", u->ca->name);
}

static int
fill_random(unsigned char *bytes, size_t len, void *arg)
{
    const struct rk_host *host = arg;

    return host->random(bytes, len);
}

/* Class C without a key to go back to: the given-up key must not stay primary, and the last key is never removed; so a
 * key that nobody else has takes its place until the next one comes. */
static int
nobodys_key(struct jn_case *c)
{
    const struct rk_host *host = c->in->d->host;
    bool long_cak = strstr(c->u->ca->cipher, "256") != NULL;
    struct jn_place p = {.start_s = 0};
    unsigned char name[JN_CKN_HEX / 2];
    int err = host->random(name, sizeof name);

    if (!err)
        err = host->secret_new(long_cak ? 32 : 16, fill_random, (void *)host, &c->step->cak);
    if (err)
        return jn_refuse(c->op, err, "no random key can be made");
    rkp_hex_put(name, sizeof name, p.ckn);
    p.cak = c->step->cak;
    c->u->psk = p;
    jn_own_set(c->u, p.ckn, NULL);
    return RK_OK;
}

/* The given-up key goes where the kept one was, for the peer's router may have nothing else by now. */
static int
change_places(struct jn_case *c, const struct jn_place *keep)
{
    struct jn_unit *u = c->u;
    const char *up = jn_unit_place(u, c->step->ckn) ? c->step->ckn : u->psk.ckn;
    struct jn_place given_up = {.ckn = ""};

    if (up[0] && !jn_key_get(c, up, &given_up))
        return jn_refuse(c->op, RK_E_NOKEY, "the router does not show key %.16s...: has the user permission secret?",
                         up);
    if (u->class == RK_CLASS_B && given_up.ckn[0]) {
        u->fallback = given_up;
        jn_own_set(u, given_up.ckn, NULL);
    }
    u->psk = keep ? *keep : (struct jn_place){.ckn = ""};
    if (keep)
        jn_own_set(u, keep->ckn, NULL);
    return RK_OK;
}

int
jn_psk_retire(struct jn_case *c)
{
    struct jn_unit *u = c->u;
    struct jn_place keep;
    int err;

    if (!c->terms.has_keep && strcmp(u->psk.ckn, c->step->ckn) != 0)
        return RK_OK;
    if (!c->terms.has_keep)
        return u->class == RK_CLASS_B ? change_places(c, NULL) : nobodys_key(c);
    if (strcmp(u->psk.ckn, c->terms.keep) == 0)
        return RK_OK;
    if (!jn_key_get(c, c->terms.keep, &keep))
        return jn_refuse(c->op, RK_E_NOKEY, "the router has no key %.16s... that could be kept", c->terms.keep);
    err = others_primary(c);
    return err ? err : change_places(c, &keep);
}

/* ---- SWEEP ---- */

int
jn_psk_sweep(struct jn_case *c)
{
    struct jn_unit *u = c->u;
    char ckn[JN_CKN_HEX + 1];

    jn_sender(c, ckn);
    if (strcmp(ckn, c->step->ckn) != 0)
        return jn_refuse(c->op, RK_E_CONFLICT, "interface %.64s does not transmit on key %.64s", u->iface,
                         c->op->key_id);
    if (strcmp(u->psk.ckn, ckn) == 0)
        u->fallback = (struct jn_place){.ckn = ""};
    else
        u->psk = (struct jn_place){.ckn = ""};
    return RK_OK;
}
