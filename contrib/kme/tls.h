/* tls.h - mutual TLS of one KME (ETSI GS QKD 014 clause 5.1)
 *
 * TLS 1.2 or newer; a client without a certificate of the lab CA does not get past the handshake.
 */
#ifndef KME_TLS_H
#define KME_TLS_H

#include "conf.h"

#include <openssl/ssl.h>

/* kme_tls_new - a context with certificate, key and CA of a KME
 * ret:  NULL with why[KME_CONF_TEXT_MAX];  the caller frees it with SSL_CTX_free.   blocks: on files */
SSL_CTX *kme_tls_new(const struct kme_conf *conf, char *why);

/* kme_tls_peer - the SAE ID of the client: the only common name (CN) of its certificate
 * out:  sae[RK_SAE_MAX + 1], "" when there is none, or more than one, or it is too long */
void kme_tls_peer(const SSL *ssl, char *sae);

#endif
