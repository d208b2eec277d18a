/* probe.h - what a test of a source hears on the way: addresses, certificates, the TLS session
 *
 * Filled by the hooks of a plugin's handshakes and by libcurl, on the worker that runs the test.
 */
#ifndef RKP_PROBE_H
#define RKP_PROBE_H

#include "certs.h"

#include <curl/curl.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#define RKP_PROBE_ADDRESSES 16 /* of one name; what is beyond is not tried */
#define RKP_PROBE_NAMES 200    /* of a certificate, as one text [bytes] */

struct rkp_probe_cert {
    bool there;
    char subject[80], issuer[80];
    int64_t from_s, to_s; /* validity [s since 1970]; 0: cannot be read */
    char until[24];       /* to_s as "2026-11-22 19:00 UTC" */
};

struct rkp_probe {
    struct {
        struct sockaddr_storage addr;
        socklen_t len;
    } addrs[RKP_PROBE_ADDRESSES];
    size_t n_addrs;
    struct rkp_probe_cert leaf, bad; /* bad: the one in the chain that was not accepted */
    int bad_depth;               /* 0: the other end's own */
    int verify_err;              /* X509_V_ERR_... */
    int n_chain;                 /* certificates that the server sent */
    char names[RKP_PROBE_NAMES]; /* CN and alternative names of leaf, as "KME_A, kme-a.example" */
    char ids[RKP_PROBE_NAMES];   /* those of them that an ID may be */
    char version[16], cipher[48];
};

/* rkp_probe_chain, rkp_probe_session - hooks of the handshake; p may be NULL.   ok: OpenSSL accepts the chain */
void rkp_probe_chain(struct rkp_probe *p, X509_STORE_CTX *ctx, bool ok);
void rkp_probe_session(struct rkp_probe *p, const SSL *ssl);

/* rkp_probe_socket - CURLOPT_OPENSOCKETFUNCTION that keeps the address and opens nothing;  arg: the probe */
curl_socket_t rkp_probe_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr);

/* rkp_probe_cert_of - what is shown of a certificate
 * rkp_probe_pem - certificate i of a PEM text.   ret: false when there are not so many */
void rkp_probe_cert_of(const X509 *cert, struct rkp_probe_cert *out);
bool rkp_probe_pem(const struct rkp_pem *pem, size_t i, struct rkp_probe_cert *out);
/* rkp_probe_is_client - may the first certificate of pem be used by a TLS client, by its own extensions */
bool rkp_probe_is_client(const struct rkp_pem *pem);

#endif
