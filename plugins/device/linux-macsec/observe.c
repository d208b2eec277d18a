/* observe.c - what is held, what is sent with, what the peer uses.  Changes nothing. */
#include "observe.h"

#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#define KEYS_MAX (MACSEC_ANS * (1 + MACSEC_RXSCS)) /* as many as can have been read */

/* Where key renewal begins when the option does not say: three quarters of the numbers, as other implementations of
 * MKA have it (IEEE 802.1X calls it PendingPNExhaustion, 0xC0000000). */
static uint64_t
threshold(const struct macsec_inst *inst)
{
    if (inst->pn_threshold)
        return inst->pn_threshold;
    return inst->cipher->xpn ? UINT64_C(0xC000000000000000) : UINT64_C(0xC0000000);
}

static uint32_t
state(const struct macsec_inst *inst, const struct macsec_iface *f)
{
    const struct macsec_secy *s = &f->secy;
    const struct macsec_sa *sa = &s->tx[s->encoding_sa];
    uint32_t bits = RK_IF_PRESENT;

    if ((f->link.flags & IFF_UP) && (f->link.flags & IFF_RUNNING))
        bits |= RK_IF_UP;
    if (s->encrypt && s->protect && s->validate == MACSEC_VALIDATE_STRICT)
        bits |= RK_IF_PROTECTED;
    /* A transmit association whose numbers have run out is switched off by the kernel, its PN is then 0. */
    if (sa->held && (sa->active ? sa->pn > threshold(inst) : sa->pn == 0))
        bits |= RK_IF_REKEY;
    return bits;
}

/* What is held of one key.  A channel of a former peer cannot receive from the peer of now. */
static uint32_t
held(struct macsec_secy *s, const struct macsec_sci *peer, const struct macsec_key_id *id)
{
    uint32_t bits = 0;

    for (unsigned an = 0; an < MACSEC_ANS; an++) {
        if (!macsec_holds(&s->tx[an], id))
            continue;
        bits |= RK_HELD_TX;
        if (an == s->encoding_sa && s->tx[an].active)
            bits |= RK_SENDING;
    }
    for (unsigned i = 0; i < s->n_rx; i++) {
        if (peer && memcmp(peer, &s->rx[i].sci, sizeof *peer) != 0)
            continue;
        for (unsigned an = 0; an < MACSEC_ANS; an++) {
            const struct macsec_sa *sa = &s->rx[i].sa[an];

            if (!macsec_holds(sa, id))
                continue;
            if (sa->active)
                bits |= RK_HELD_RX;
            if (sa->frames > 0 || sa->pn > 1) /* the counter may have come round to 0 */
                bits |= RK_PEER_USES;
        }
    }
    return bits;
}

struct keys {
    struct macsec_key_id ids[KEYS_MAX + RK_SEEN_KEYS];
    size_t n;
};

static bool
keys_add(struct keys *keys, const struct macsec_key_id *id)
{
    for (size_t i = 0; i < keys->n; i++)
        if (memcmp(&keys->ids[i], id, sizeof *id) == 0)
            return false;
    keys->ids[keys->n++] = *id;
    return true;
}

static void
name_foreign(struct rk_dev_seen *seen, const struct macsec_key_id *id)
{
    size_t len = strlen(seen->why);
    char text[MACSEC_KEY_ID_TEXT + 1];

    macsec_key_id_print(id, text);
    if (len + 1 + sizeof text <= sizeof seen->why)
        snprintf(seen->why + len, sizeof seen->why - len, "%s%s", len ? " " : "", text);
}

/* Counts and names the keys that were not asked for. */
static void
foreign(const struct macsec_secy *s, struct keys *known, struct rk_dev_seen *seen)
{
    for (unsigned i = 0; i <= s->n_rx; i++) {
        const struct macsec_sa *sas = i == 0 ? s->tx : s->rx[i - 1].sa;

        for (unsigned an = 0; an < MACSEC_ANS; an++)
            if (sas[an].held && keys_add(known, &sas[an].key_id)) {
                seen->foreign++;
                name_foreign(seen, &sas[an].key_id);
            }
    }
}

void
macsec_look(const struct macsec_inst *inst, struct macsec_iface *f, struct rk_dev_seen *seen)
{
    struct macsec_sci peer;
    bool peer_known = seen->peer_facts && macsec_sci_parse(seen->peer_facts, &peer) == RK_OK;
    struct keys known = {.n = 0};
    struct macsec_key_id id;

    seen->err = f->err ? f->err : f->read ? RK_OK : RK_E_NOENT;
    if (seen->err)
        memcpy(seen->why, f->why, sizeof seen->why);
    if (!f->read)
        return;
    seen->state = state(inst, f);
    macsec_sci_print(&f->secy.sci, seen->facts);
    for (int i = 0; i < RK_SEEN_KEYS; i++) {
        if (!seen->key_ids[i] || !seen->key_ids[i][0])
            continue;
        if (macsec_key_id_of(inst->host, seen->key_ids[i], &id)) {
            seen->err = macsec_say(seen->why, RK_E_CONTRACT, "%s: key ID \"%.64s\" cannot be used", f->text,
                                   seen->key_ids[i]);
            return;
        }
        keys_add(&known, &id);
        seen->held[i] = held(&f->secy, peer_known ? &peer : NULL, &id);
    }
    if (!seen->err)
        foreign(&f->secy, &known, seen);
}
