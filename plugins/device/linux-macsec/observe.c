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

/* asked: the key in use is one of those asked for */
static uint32_t
state(const struct macsec_inst *inst, const struct macsec_iface *f, bool asked)
{
    const struct macsec_secy *s = &f->secy;
    const struct macsec_sa *sa = &s->tx[s->encoding_sa];
    uint32_t bits = RK_IF_PRESENT;

    if ((f->link.flags & IFF_UP) && (f->link.flags & IFF_RUNNING))
        bits |= RK_IF_UP;
    if (s->encrypt && s->protect && s->validate == MACSEC_VALIDATE_STRICT)
        bits |= RK_IF_PROTECTED;
    if (sa->held && sa->active && !asked)
        bits |= RK_IF_OTHER;
    /* A transmit association whose numbers have run out is switched off by the kernel, its PN is then 0. */
    if (sa->held && (sa->active ? sa->pn > threshold(inst) : sa->pn == 0))
        bits |= RK_IF_REKEY;
    return bits;
}

/* One key that is asked for. */
struct key {
    struct macsec_key_id id;
    uint64_t seq;
};

/* What is held of one key.  A channel of a former peer cannot receive from the peer of now.  HELD_TX: as ACTIVATE
 * would find it.  PEER_USES: a frame came and was good; the association is as old as the key is installed. */
static uint32_t
held(struct macsec_secy *s, const struct macsec_sci *peer, const struct key *key)
{
    const struct macsec_key_id *id = &key->id;
    uint32_t bits = 0;

    if (macsec_ready(s, (uint8_t)(key->seq % MACSEC_ANS), id))
        bits |= RK_HELD_TX;
    if (macsec_ready(s, s->encoding_sa, id))
        bits |= RK_SENDING;
    for (unsigned i = 0; i < s->n_rx; i++) {
        if (peer && memcmp(peer, &s->rx[i].sci, sizeof *peer) != 0)
            continue;
        for (unsigned an = 0; an < MACSEC_ANS; an++) {
            const struct macsec_sa *sa = &s->rx[i].sa[an];

            if (!macsec_holds(sa, id))
                continue;
            if (sa->active)
                bits |= RK_HELD_RX;
            if (sa->frames > 0)
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
    bool in_use = false;

    seen->err = f->err ? f->err : f->read ? RK_OK : RK_E_NOENT;
    if (seen->err)
        memcpy(seen->why, f->why, sizeof seen->why);
    if (!f->read)
        return;
    macsec_sci_print(&f->secy.sci, seen->facts);
    for (int i = 0; i < RK_SEEN_KEYS; i++) {
        struct key key = {.seq = seen->seqs[i]};

        if (!seen->key_ids[i] || !seen->key_ids[i][0])
            continue;
        if (macsec_key_id_of(inst->host, seen->key_ids[i], &key.id)) {
            seen->err = macsec_say(seen->why, RK_E_CONTRACT, "%s: key ID \"%.64s\" cannot be used", f->text,
                                   seen->key_ids[i]);
            break;
        }
        keys_add(&known, &key.id);
        in_use = in_use || macsec_ready(&f->secy, f->secy.encoding_sa, &key.id);
        seen->held[i] = held(&f->secy, peer_known ? &peer : NULL, &key);
    }
    seen->state = state(inst, f, in_use);
    if (!seen->err)
        foreign(&f->secy, &known, seen);
}
