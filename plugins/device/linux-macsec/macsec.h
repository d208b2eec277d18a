/* macsec.h - what linux-macsec knows of the kernel's MACsec: associations, channels, interfaces
 *
 * Pure data, filled by dump.c from the kernel's answers.  AN, SA, SC, SCI and PN are the words of IEEE 802.1AE.
 */
#ifndef LINUX_MACSEC_MACSEC_H
#define LINUX_MACSEC_MACSEC_H

#include <rekey/device.h>

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#define MACSEC_ANS 4   /* associations of one channel */
#define MACSEC_RXSCS 8 /* receive channels that are read: one peer, and peers that were; more are foreign */

struct macsec_sci {
    unsigned char bytes[8]; /* as on the wire: MAC address, port */
};

struct macsec_key_id {
    unsigned char bytes[16]; /* the kernel's name of a key, visible to all */
};

/* One association.  Receive: pn is the lowest acceptable, frames those found good.  Transmit: pn is the next. */
struct macsec_sa {
    bool held, active;
    uint32_t frames;
    uint64_t pn;
    struct macsec_key_id key_id;
};

struct macsec_rxsc {
    struct macsec_sci sci;
    struct macsec_sa sa[MACSEC_ANS];
};

/* What the kernel holds for one MACsec interface. */
struct macsec_secy {
    uint32_t ifindex;
    struct macsec_sci sci;
    uint64_t cipher_id;
    uint32_t window; /* [packets] */
    uint8_t encoding_sa, validate;
    bool protect, encrypt, replay;
    struct macsec_sa tx[MACSEC_ANS];
    struct macsec_rxsc rx[MACSEC_RXSCS];
    unsigned n_rx;
    bool rx_more; /* it has more channels than were read */
};

/* What rtnetlink says of an interface. */
struct macsec_link {
    uint32_t ifindex, parent;
    unsigned flags; /* IFF_... */
    bool macsec;
};

struct macsec_cipher {
    const char *name; /* as in the option, and in derivations */
    uint64_t id;
    size_t key_len; /* [bytes] */
    bool xpn;
};

/* macsec_rxsc_find - the receive channel of sci, or NULL */
static inline struct macsec_rxsc *
macsec_rxsc_find(struct macsec_secy *secy, const struct macsec_sci *sci)
{
    for (unsigned i = 0; i < secy->n_rx; i++)
        if (__builtin_memcmp(&secy->rx[i].sci, sci, sizeof *sci) == 0)
            return &secy->rx[i];
    return NULL;
}

/* macsec_holds - does the association hold the key of this id */
static inline bool
macsec_holds(const struct macsec_sa *sa, const struct macsec_key_id *id)
{
    return sa->held && __builtin_memcmp(&sa->key_id, id, sizeof *id) == 0;
}

/* macsec_ready - is the key of this id in this transmit slot, and the slot switched on?  Only then it can be sent
 * with. */
static inline bool
macsec_ready(const struct macsec_secy *secy, uint8_t an, const struct macsec_key_id *id)
{
    return macsec_holds(&secy->tx[an], id) && secy->tx[an].active;
}

#endif
