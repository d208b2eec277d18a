/* stage.c - STAGE: the key into the slots of both directions, nothing sent with it yet
 *
 * Runs in a call, one at a time.  It must never put a SAK into a transmit slot twice: a second time starts at packet
 * number 1 again, which is nonce re-use.  So what is there is left alone, and what is half there is refused.
 */
#include "stage.h"

#include "msg.h"
#include "sak.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One STAGE. */
struct job {
    struct macsec_call *c;
    struct macsec_iface *f;
    struct rk_dev_op *op;
    struct macsec_sci peer;
    struct macsec_key_id key_id;
    uint8_t an;
    bool added_rxsc, added_rxsa; /* to be taken back when the rest fails */
};

static struct macsec_place
place_of(const struct job *j, const struct macsec_sci *rxsc)
{
    struct macsec_place place = {j->f->link.ifindex, rxsc, j->an};

    return place;
}

/* Sends the change in nl.out.  ENODEV, EEXIST and so on are the caller's to judge. */
static int
change(struct job *j, enum macsec_bus bus, const char *what, int *refusal)
{
    struct macsec_act act = {j->f->names.dev, what};
    int err = macsec_nl_ask(&j->c->inst->nl, bus, &j->c->time, NULL, NULL, refusal);

    return err ? macsec_failed(j->op->why, act, err) : RK_OK;
}

static int
parse(struct job *j)
{
    struct rk_dev_op *op = j->op;

    if (!op->key || !op->link || !op->key_id || strlen(op->link) > RK_LINK_MAX || strlen(op->key_id) > RK_KEY_ID_MAX)
        return macsec_say(op->why, RK_E_CONTRACT, "STAGE without key, link or key ID");
    if (!op->peer_facts || !op->peer_facts[0])
        return macsec_say(op->why, RK_E_AGAIN,
                          "%s: the SCI of the other end is not known: no record of it has come yet", op->iface);
    if (macsec_sci_parse(op->peer_facts, &j->peer))
        return macsec_say(op->why, RK_E_CONFIG,
                          "%s: the other end says \"%.48s\", want \"sci=<16 hex digits>\": is its "
                          "device a MACsec interface?",
                          op->iface, op->peer_facts);
    if (memcmp(&j->peer, &j->f->secy.sci, sizeof j->peer) == 0)
        return macsec_say(op->why, RK_E_CONFIG, "%s: both ends have %s: give one another MAC address or port",
                          op->iface, op->peer_facts);
    j->an = (uint8_t)(op->seq % MACSEC_ANS);
    if (macsec_key_id_of(j->c->time.host, op->key_id, &j->key_id))
        return macsec_say(op->why, RK_E_CONTRACT, "%s: key ID \"%.64s\" cannot be used", op->iface, op->key_id);
    return RK_OK;
}

static int
taken(const struct job *j, const char *way, const struct macsec_sa *sa)
{
    char id[MACSEC_KEY_ID_TEXT + 1];

    macsec_key_id_print(&sa->key_id, id);
    return macsec_say(j->op->why, RK_E_CONFLICT, "%s: %s association %u holds another key, id %s: retire that first",
                      j->f->names.dev, way, j->an, id);
}

/* What is there already.  *done: the key is staged.  Else the slots are free, or it is a conflict. */
static int
look(const struct job *j, bool *done)
{
    struct macsec_secy *s = &j->f->secy;
    struct macsec_rxsc *rxsc = macsec_rxsc_find(s, &j->peer);
    const struct macsec_sa *tx = &s->tx[j->an], *rx = rxsc ? &rxsc->sa[j->an] : NULL;
    bool somewhere = false;

    *done = macsec_holds(tx, &j->key_id) && tx->active && rx && macsec_holds(rx, &j->key_id) && rx->active;
    if (*done)
        return RK_OK;
    for (unsigned an = 0; an < MACSEC_ANS; an++) {
        somewhere = somewhere || macsec_holds(&s->tx[an], &j->key_id);
        for (unsigned i = 0; i < s->n_rx; i++)
            somewhere = somewhere || macsec_holds(&s->rx[i].sa[an], &j->key_id);
    }
    if (somewhere)
        return macsec_say(j->op->why, RK_E_CONFLICT, "%s: the key is half staged (one direction, another association "
                          "or another peer): a SAK is never installed twice, retire it first", j->f->names.dev);
    if (tx->held)
        return taken(j, "transmit", tx);
    if (rx && rx->held)
        return taken(j, "receive", rx);
    if (!rxsc && (s->rx_more || s->n_rx == MACSEC_RXSCS))
        return macsec_say(j->op->why, RK_E_CONFLICT, "%s has %u receive channels or more: remove those not in use (ip "
                          "macsec show)", j->f->names.dev, MACSEC_RXSCS);
    return RK_OK;
}

/* An interface that transmits on no key may have its transmit slot on the very AN that is to be staged (a new one has
 * it on 0), and would then send as soon as the key is there, before the other end can receive it.  So the slot is
 * moved to an AN that is empty; nothing is sent before as after. */
static int
step_aside(struct job *j)
{
    struct macsec_secy *s = &j->f->secy;

    if (s->encoding_sa != j->an)
        return RK_OK;
    for (uint8_t i = 1; i < MACSEC_ANS; i++) {
        uint8_t an = (uint8_t)((j->an + i) % MACSEC_ANS);

        if (!s->tx[an].held)
            return macsec_encode(j->c, j->f, an, j->op->why);
    }
    return macsec_say(j->op->why, RK_E_CONFLICT, "%s: every other transmit association is taken: retire one first",
                      j->f->names.dev);
}

static int
add_rxsc(struct job *j)
{
    struct macsec_secy *s = &j->f->secy;
    int refusal, err;

    if (macsec_rxsc_find(s, &j->peer))
        return RK_OK;
    macsec_msg_rxsc(j->c->inst->nl.out, j->c->family, true, place_of(j, &j->peer));
    err = change(j, MACSEC_GENERIC, "add the receive channel", &refusal);
    if (err)
        return err;
    if (refusal && refusal != EEXIST) {
        struct macsec_act act = {j->f->names.dev, "add the receive channel"};

        return macsec_refused(j->op->why, act, refusal);
    }
    j->added_rxsc = !refusal;
    memset(&s->rx[s->n_rx], 0, sizeof s->rx[0]);
    s->rx[s->n_rx++].sci = j->peer;
    return RK_OK;
}

/* Adds the association of one direction: receive when rxsc is set. */
static int
add_sa(struct job *j, const struct macsec_sci *rxsc)
{
    const struct rk_host *host = j->c->time.host;
    const struct macsec_sci *own = &j->f->secy.sci, *sender = rxsc ? rxsc : own, *receiver = rxsc ? own : &j->peer;
    struct macsec_use use = {j->op->link, j->op->key_id, j->c->inst->cipher, sender, j->op->seq};
    struct macsec_new_sa sa = {.place = place_of(j, rxsc), .key_id = j->key_id, .ssci = macsec_ssci(sender, receiver)};
    struct rk_secret *sak, *salt;
    char what[40];
    int refusal, err;

    snprintf(what, sizeof what, "add %s association %u", rxsc ? "receive" : "transmit", j->an);
    err = macsec_sak_derive(host, j->op->key, &use, &sak, &salt);
    if (err == RK_E_KEY_SIZE)
        return macsec_say(j->op->why, err, "%s: the key has %zu bits, %s needs %zu: ask the source for more",
                          j->f->names.dev, host->secret_len(j->op->key) * 8, use.cipher->name, use.cipher->key_len * 8);
    if (err)
        return macsec_say(j->op->why, err, "%s: %s: cannot derive its key", j->f->names.dev, what);
    sa.sak = sak;
    sa.salt = salt;
    err = macsec_msg_sa_add(j->c->inst->nl.out, j->c->family, &sa, host);
    host->secret_free(&sak);
    host->secret_free(&salt);
    if (err)
        return macsec_say(j->op->why, err, "%s: cannot read the derived key", j->f->names.dev);
    err = change(j, MACSEC_GENERIC, what, &refusal);
    if (!err && refusal) {
        struct macsec_act act = {j->f->names.dev, what};

        err = macsec_refused(j->op->why, act, refusal);
    }
    return err;
}

static void
note_sa(const struct job *j, struct macsec_sa *sa)
{
    memset(sa, 0, sizeof *sa);
    sa->held = sa->active = true;
    sa->pn = 1;
    sa->key_id = j->key_id;
}

/* Takes back what this STAGE added; false when that did not work. */
static bool
undo(struct job *j)
{
    struct macsec_nl *nl = &j->c->inst->nl;
    struct macsec_secy *s = &j->f->secy;
    char why[RK_WHY_MAX];
    int refusal = 0, err = RK_OK;

    memcpy(why, j->op->why, sizeof why); /* the first failure is the one to tell */
    j->c->time.undoing = true;
    if (j->added_rxsa) {
        macsec_msg_sa_off(nl->out, j->c->family, place_of(j, &j->peer));
        err = change(j, MACSEC_GENERIC, "undo", &refusal);
        macsec_msg_sa_delete(nl->out, j->c->family, place_of(j, &j->peer));
        if (!err)
            err = change(j, MACSEC_GENERIC, "undo", &refusal);
        if (!err && !refusal)
            macsec_rxsc_find(s, &j->peer)->sa[j->an].held = false;
    }
    if (!err && !refusal && j->added_rxsc) {
        macsec_msg_rxsc(nl->out, j->c->family, false, place_of(j, &j->peer));
        err = change(j, MACSEC_GENERIC, "undo", &refusal);
        if (!err && !refusal)
            s->n_rx--; /* it was added as the last */
    }
    j->c->time.undoing = false;
    memcpy(j->op->why, why, sizeof why);
    return !err && (!refusal || refusal == ENODEV);
}

static int
install(struct job *j)
{
    int err = step_aside(j);

    if (!err)
        err = add_rxsc(j);
    if (!err)
        err = add_sa(j, &j->peer);
    if (!err) {
        j->added_rxsa = true;
        note_sa(j, &macsec_rxsc_find(&j->f->secy, &j->peer)->sa[j->an]);
        err = add_sa(j, NULL);
    }
    if (!err)
        note_sa(j, &j->f->secy.tx[j->an]);
    else if (err != RK_E_UNKNOWN && !undo(j))
        err = macsec_say(j->op->why, RK_E_UNKNOWN, "%s: the key is half staged and could not be taken back",
                         j->f->names.dev);
    return err;
}

int
macsec_stage(struct macsec_call *c, struct macsec_iface *f, struct rk_dev_op *op)
{
    struct job j = {.c = c, .f = f, .op = op};
    bool done;
    int err = parse(&j);

    if (!err)
        err = look(&j, &done);
    if (!err && !done)
        err = install(&j);
    return op->err = err;
}
