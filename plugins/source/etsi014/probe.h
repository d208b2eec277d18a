/* probe.h - what a test of a source hears on the way: addresses, certificates, the TLS session
 *
 * Filled by the hooks of tls.c and by libcurl, on the worker that runs the test; read by test.c.
 */
#ifndef ETSI014_PROBE_H
#define ETSI014_PROBE_H

#include "etsi014.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#define PROBE_ADDRESSES 16 /* of one name; what is beyond is not tried */
#define PROBE_NAMES 200    /* of a certificate, as one text [bytes] */

struct probe_cert {
    bool there;
    char subject[80], issuer[80];
    int64_t from_s, to_s; /* validity [s since 1970]; 0: cannot be read */
    char until[24];       /* to_s as "2026-11-22 19:00 UTC" */
};

struct probe {
    struct {
        struct sockaddr_storage addr;
        socklen_t len;
    } addrs[PROBE_ADDRESSES];
    size_t n_addrs;
    struct probe_cert leaf, bad; /* bad: the one in the chain that was not accepted */
    int bad_depth;               /* 0: the KME's own */
    int verify_err;              /* X509_V_ERR_... */
    int n_chain;                 /* certificates that the server sent */
    char names[PROBE_NAMES];     /* CN and alternative names of leaf, as "KME_A, kme-a.example" */
    char ids[PROBE_NAMES];       /* those of them that kme-id may be */
    char version[16], cipher[48];
};

/* probe_chain, probe_session - hooks of the handshake; p may be NULL.   ok: OpenSSL accepts the chain */
void probe_chain(struct probe *p, X509_STORE_CTX *ctx, bool ok);
void probe_session(struct probe *p, const SSL *ssl);

/* probe_socket - CURLOPT_OPENSOCKETFUNCTION that keeps the address and opens nothing;  arg: the probe */
curl_socket_t probe_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr);

/* probe_cert_of - what is shown of a certificate
 * probe_pem - certificate i of a PEM text.   ret: false when there are not so many */
void probe_cert_of(const X509 *cert, struct probe_cert *out);
bool probe_pem(const struct pem *pem, size_t i, struct probe_cert *out);
/* probe_is_client - may the first certificate of pem be used by a TLS client, by its own extensions */
bool probe_is_client(const struct pem *pem);

#endif
