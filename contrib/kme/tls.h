/* tls.h - mutual TLS of one KME (ETSI GS QKD 014 clause 5.1)
 *
 * TLS 1.2 or newer; a client without a certificate of the lab CA does not get past the handshake.
 */
#ifndef KME_TLS_H
#define KME_TLS_H

#include "conf.h"

#include <openssl/ssl.h>

/* A context for each certificate that the KME can show. */
struct kme_tls {
    SSL_CTX *usual, *expired, *future; /* the latter two NULL when not configured */
};

/* kme_tls_new - contexts with certificate, key and CA of a KME; all certificates are of the same key
 * ret:  0; -1 with why[KME_CONF_TEXT_MAX] and *out empty;  freed with kme_tls_free, which takes an empty one too
 * blocks: on files */
int kme_tls_new(const struct kme_conf *conf, struct kme_tls *out, char *why);
void kme_tls_free(struct kme_tls *tls);

/* kme_tls_peer - the SAE ID of the client: the only common name (CN) of its certificate
 * out:  sae[RK_SAE_MAX + 1], "" when there is none, or more than one, or it is too long */
void kme_tls_peer(const SSL *ssl, char *sae);

#endif
