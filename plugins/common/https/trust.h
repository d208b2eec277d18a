/* trust.h - TLS of plugins that listen, or look at certificates themselves: what is shown, and what a handshake came to
 */
#ifndef RKP_TRUST_H
#define RKP_TRUST_H

#include "../tls/certs.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

struct rkp_probe;

/* What the files held, as OpenSSL's objects; not changed any more. */
struct rkp_trust {
    unsigned refs; /* of one thread, or under its owner's lock */
    X509 *cert;
    STACK_OF(X509) *chain; /* above it */
    EVP_PKEY *key;
    X509_STORE *ca;
    SSL_CTX *server;
};

/* What a handshake came to. */
struct rkp_handshake {
    int verify_err;  /* X509_V_ERR_..., 0: none */
    bool not_named;  /* the certificate is good, and that of someone else */
    int alert;       /* fatal TLS alert of the other end, -1: none */
    int64_t ends_s;  /* of its certificate, 0: not known */
};

/* rkp_trust_new - from what the files held.   ret: NULL with a static text in *why
 * rkp_trust_of - the same, from those that are in use now
 * rkp_trust_ref, rkp_trust_unref - hold it, let it go (*t becomes NULL) */
struct rkp_trust *rkp_trust_new(const struct rk_host *host, const struct rkp_creds *c, const char **why);
struct rkp_trust *rkp_trust_of(const struct rk_host *host, struct rkp_certs *certs, const char **why);
struct rkp_trust *rkp_trust_ref(struct rkp_trust *t);
void rkp_trust_unref(struct rkp_trust **t);
/* rkp_trust_show - let a context show certificate and key, and speak no older TLS than 1.2 */
bool rkp_trust_show(SSL_CTX *ctx, const struct rkp_trust *t);
/* rkp_trust_chain - the other end's chain in a handshake; probe: of a test, else NULL.   ret: is it good? else see s
 * rkp_trust_not_named - it is, and is that of someone else.   ret: 0, for OpenSSL
 * rkp_trust_alert - keep a fatal alert of the other end: from a message callback */
bool rkp_trust_chain(X509_STORE_CTX *ctx, struct rkp_handshake *s, struct rkp_probe *probe);
int rkp_trust_not_named(X509_STORE_CTX *ctx, struct rkp_handshake *s);
struct rkp_tls_message {
    int sending, type;
    const unsigned char *text;
    size_t len;
};
void rkp_trust_alert(const struct rkp_tls_message *m, struct rkp_handshake *s);
/* rkp_trust_why - what was wrong in a handshake, as far as it was seen; NULL: nothing
 * in: not_named  the words for that */
const char *rkp_trust_why(const struct rkp_handshake *s, const char *not_named);

#endif
