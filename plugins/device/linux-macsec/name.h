/* name.h - names: interfaces, ciphers, SCIs, key ids
 *
 * Pure; any thread.
 */
#ifndef LINUX_MACSEC_NAME_H
#define LINUX_MACSEC_NAME_H

#include "macsec.h"

#define MACSEC_SCI_TEXT 20   /* strlen("sci=0123456789abcdef") */
#define MACSEC_KEY_ID_TEXT 32 /* hex digits */

/* "macsec0@eth0", or "macsec0" */
struct macsec_names {
    char dev[IFNAMSIZ];
    char parent[IFNAMSIZ]; /* "": adopt only */
};

/* macsec_names_parse - the interface text of the configuration
 * ret:  RK_OK, or RK_E_CONFIG when a name is empty, too long or holds '/', ':', '@' or blanks */
int macsec_names_parse(const char *text, struct macsec_names *out);

/* macsec_cipher_at - row i of the ciphers, in the order of the option's choices; NULL past the end
 * macsec_cipher_of - the row of a kernel's cipher id (old ids too); NULL when unknown */
const struct macsec_cipher *macsec_cipher_at(size_t i);
const struct macsec_cipher *macsec_cipher_of(uint64_t id);

/* macsec_sci_parse - facts "sci=<16 hex digits>", nothing else
 * macsec_sci_print - the reverse, into text[MACSEC_SCI_TEXT + 1]
 * ret:  RK_OK or RK_E_CONFIG */
int macsec_sci_parse(const char *facts, struct macsec_sci *out);
void macsec_sci_print(const struct macsec_sci *sci, char *text);

/* macsec_key_id_of - the kernel's name of a key: the bytes of a UUID, else the first 16 of
 * SHA-256("rekey keyid v1"|NUL|id)
 * ret:  RK_OK, or what sha256 returned */
int macsec_key_id_of(const struct rk_host *host, const char *key_id, struct macsec_key_id *out);
void macsec_key_id_print(const struct macsec_key_id *id, char *text);

#endif
