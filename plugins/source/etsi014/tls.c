/* tls.c - the handshake: what the KME's certificate must be, and why one has failed.
 *
 * The hooks run on the worker that owns the slot.  Every handshake is a full one, so that each is checked and shows
 * what the KME has now.  Nothing here may relax verification.
 */
#include "etsi014.h"

#include "../../common/tls/probe.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <string.h>

/* Keep when the KME's certificate ends, and the first of its CAs.  Of a chain that is not accepted only that one has
 * ended, for the rest of it may be anybody's. */
static void
note_ends(struct slot *s, X509_STORE_CTX *ctx, bool ok)
{
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
    bool expired = X509_STORE_CTX_get_error(ctx) == X509_V_ERR_CERT_HAS_EXPIRED;

    s->shown = ok || expired;
    s->cert_ends_s = s->ca_ends_s = 0;
    for (int i = 0; s->shown && i < sk_X509_num(chain); i++) {
        int64_t ends_s = rkp_cert_ends_s(sk_X509_value(chain, i));
        int64_t *first_s = i ? &s->ca_ends_s : &s->cert_ends_s;

        if ((ok || i == X509_STORE_CTX_get_error_depth(ctx)) && (*first_s == 0 || ends_s < *first_s))
            *first_s = ends_s;
    }
}

/* The chain as OpenSSL checks it, and then that the certificate names the KME (ETSI GS QKD 014 V1.1.1, 5.1). */
static int
verify(X509_STORE_CTX *ctx, void *arg)
{
    struct slot *s = arg;
    X509 *cert;
    int ok = X509_verify_cert(ctx);

    note_ends(s, ctx, ok > 0);
    rkp_probe_chain(s->probe, ctx, ok > 0);
    if (ok <= 0) {
        s->verify_err = X509_STORE_CTX_get_error(ctx);
        return ok;
    }
    cert = X509_STORE_CTX_get0_cert(ctx);
    if (!s->e->kme_id || rkp_cert_names(cert, s->e->kme_id)) {
        atomic_fetch_add(&s->e->handshakes, 1);
        return 1;
    }
    s->wrong_kme = true;
    X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

/* Keep the reason of a refusal: in TLS 1.3 a server refuses our certificate after we have finished the handshake. */
static void
on_message(int sending, int version, int type, const void *buf, size_t len, SSL *ssl, void *arg)
{
    const unsigned char *alert = buf;
    struct slot *s = arg;

    (void)version;
    rkp_probe_session(s->probe, ssl);
    if (!sending && type == SSL3_RT_ALERT && len == 2 && alert[0] == SSL3_AL_FATAL)
        s->alert = alert[1];
}

CURLcode
tls_hook(CURL *easy, void *ctx, void *arg)
{
    (void)easy;
    SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT); /* keys are read through these buffers */
    SSL_CTX_set_cert_verify_callback(ctx, verify, arg);
    SSL_CTX_set_msg_callback(ctx, on_message);
    SSL_CTX_set_msg_callback_arg(ctx, arg);
    return CURLE_OK;
}

bool
tls_ends_with_alert(const unsigned char *records, size_t len)
{
    const size_t alert = SSL3_RT_HEADER_LENGTH + 2 + 1 + EVP_GCM_TLS_TAG_LEN; /* RFC 8446, 5.2 and 6 */
    size_t size = 0;

    while (len >= SSL3_RT_HEADER_LENGTH) {
        size = SSL3_RT_HEADER_LENGTH + ((size_t)records[3] << 8 | records[4]);
        if (size > len)
            return false;
        records += size;
        len -= size;
    }
    return len == 0 && size == alert;
}

static int
not_trusted(const struct slot *s, struct rk_call *call)
{
    const struct etsi *e = s->e;
    const char *remedy;

    switch (s->verify_err) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        remedy = "renew it, or set this host's clock right";
        break;
    case X509_V_ERR_CERT_REVOKED:
        remedy = "it was withdrawn: give the KME a new one";
        break;
    default:
        remedy = "it must be signed by a CA of that file";
    }
    return e->host->fail(call, RK_E_AUTH, "%s: the KME's certificate is not accepted: %s (ca %s); %s", s->base,
                         X509_verify_cert_error_string(s->verify_err), e->certs.ca_path, remedy);
}

/* Did the server end the handshake because of our certificate? */
static bool
is_refusal(int alert)
{
    switch (alert) {
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_DECRYPT_ERROR:
    case SSL_AD_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

int
tls_failed(const struct slot *s, struct rk_call *call, CURLcode curl_err)
{
    const struct etsi *e = s->e;

    if (s->verify_err)
        return not_trusted(s, call);
    if (s->wrong_kme)
        return e->host->fail(call, RK_E_AUTH,
                             "%s: the certificate names no KME \"%s\" (neither CN nor a SAN); check url "
                             "and kme-id",
                             s->base, e->kme_id);
    if (s->alert >= 0 && is_refusal(s->alert))
        return e->host->fail(call, RK_E_AUTH,
                             "%s: the KME refused the client certificate %s: TLS alert \"%s\"; it must be "
                             "valid and known to the KME",
                             s->base, e->certs.cert_path, SSL_alert_desc_string_long(s->alert));
    if (s->said_alert)
        return e->host->fail(
            call, RK_E_AUTH,
            "%s: the KME closed the connection with a TLS alert after the handshake: it does not accept the "
            "client certificate %s; it must be valid and known to the KME",
            s->base, e->certs.cert_path);
    if (s->alert == SSL_AD_PROTOCOL_VERSION || s->alert == SSL_AD_INSUFFICIENT_SECURITY)
        return e->host->fail(call, RK_E_UNSUPPORTED,
                             "%s: no common TLS version or cipher: TLS alert \"%s\"; TLS 1.2 or "
                             "newer is needed",
                             s->base, SSL_alert_desc_string_long(s->alert));
    if (curl_err == CURLE_PEER_FAILED_VERIFICATION)
        return e->host->fail(call, RK_E_AUTH,
                             "%s: the KME's certificate is for another host: %s; use a name of the "
                             "certificate in url",
                             s->base, s->err_text);
    if (curl_err == CURLE_SSL_CERTPROBLEM)
        return e->host->fail(call, RK_E_AUTH, "%s: the client certificate %s cannot be used: %s", s->base,
                             e->certs.cert_path, s->err_text);
    if (curl_err == CURLE_SSL_CONNECT_ERROR && strstr(s->err_text, "wrong version number"))
        return e->host->fail(call, RK_E_PROTOCOL, "%s: the server does not speak TLS; check the port", s->base);
    if (curl_err == CURLE_SSL_CONNECT_ERROR)
        return e->host->fail(call, RK_E_UNREACHABLE,
                             "%s: the TLS handshake failed: %s; some KMEs do this when they do not "
                             "accept the client certificate %s",
                             s->base, s->err_text, e->certs.cert_path);
    return RK_OK;
}
