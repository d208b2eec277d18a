/* sak.h - the association keys of one direction, derived from the link's key
 *
 * Each direction has its own SAK: the SCI of its sender is part of the derivation.  Any thread; key bytes only in
 * secrets.
 */
#ifndef LINUX_MACSEC_SAK_H
#define LINUX_MACSEC_SAK_H

#include "macsec.h"

/* What a SAK is for. */
struct macsec_use {
    const char *link, *key_id;
    const struct macsec_cipher *cipher;
    const struct macsec_sci *sender;
    uint64_t seq;
};

/* macsec_sak_derive - HKDF of key with info "rekey sak v1"|link|key id|cipher (each with its NUL)|SCI of the sender|seq
 * in 8 bytes, most significant first: a key that a source gives a second time makes other association keys;
 * for XPN also a salt of 12 bytes, with the label "rekey salt v1"
 * out:  *sak of the cipher's length, *salt or NULL: owned by the caller, NULL on failure
 * ret:  RK_OK; RK_E_CONTRACT when a name is too long; RK_E_KEY_SIZE when key is shorter than the SAK; what derive
 *       returned */
int macsec_sak_derive(const struct rk_host *host, const struct rk_secret *key, const struct macsec_use *use,
                      struct rk_secret **sak, struct rk_secret **salt);

/* macsec_ssci - short SCI of the sender on a link of two: the larger SCI has 1, the other 2 (IEEE 802.1Xbck) */
uint32_t macsec_ssci(const struct macsec_sci *sender, const struct macsec_sci *receiver);

#endif
