/* trust.c - see trust.h.  The hooks run in the handshake.  Nothing here may relax verification. */
#include "conn.h"

#include "../tls/probe.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdlib.h>
#include <string.h>

/* ---- what the files held ---- */

static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static int
read_key(const unsigned char *bytes, size_t len, void *arg)
{
    BIO *bio = BIO_new_mem_buf(bytes, (int)len);
    EVP_PKEY **key = arg;

    *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return *key ? RK_OK : RK_E_CONFIG;
}

static bool
read_chain(struct rkp_trust *t, const struct rkp_pem *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->text, (int)pem->len);
    X509 *cert;

    t->chain = sk_X509_new_null();
    t->cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    while (t->chain && t->cert && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        if (!sk_X509_push(t->chain, cert)) {
            X509_free(cert);
            break;
        }
    BIO_free(bio);
    ERR_clear_error();
    return t->chain && t->cert;
}

static bool
read_cas(struct rkp_trust *t, const struct rkp_pem *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->text, (int)pem->len);
    bool ok = (t->ca = X509_STORE_new()) != NULL;
    X509 *cert;

    while (ok && bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        ok = X509_STORE_add_cert(t->ca, cert) == 1;
        X509_free(cert);
    }
    BIO_free(bio);
    ERR_clear_error();
    return ok && bio;
}

bool
rkp_trust_show(SSL_CTX *ctx, const struct rkp_trust *t)
{
    return SSL_CTX_use_certificate(ctx, t->cert) == 1 && SSL_CTX_set1_chain(ctx, t->chain) == 1 &&
           SSL_CTX_use_PrivateKey(ctx, t->key) == 1 && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1;
}

/* ---- handshakes ---- */

void
rkp_trust_alert(const struct rkp_tls_message *m, struct rkp_handshake *s)
{
    if (!m->sending && m->type == SSL3_RT_ALERT && m->len == 2 && m->text[0] == SSL3_AL_FATAL)
        s->alert = m->text[1];
}

bool
rkp_trust_chain(X509_STORE_CTX *ctx, struct rkp_handshake *s, struct rkp_probe *probe)
{
    const X509 *cert = X509_STORE_CTX_get0_cert(ctx);
    bool ok = X509_verify_cert(ctx) > 0;

    s->ends_s = cert ? rkp_cert_ends_s(cert) : 0;
    if (probe)
        rkp_probe_chain(probe, ctx, ok);
    if (ok)
        return true;
    s->verify_err = X509_STORE_CTX_get_error(ctx);
    if (s->verify_err == X509_V_OK)
        s->verify_err = X509_V_ERR_UNSPECIFIED;
    return false;
}

int
rkp_trust_not_named(X509_STORE_CTX *ctx, struct rkp_handshake *s)
{
    s->not_named = true;
    X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

/* A client that connects to us: which of them is it? */
static int
verify_client(X509_STORE_CTX *ctx, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct rkp_conn *c = SSL_get_app_data(ssl);
    const struct rkp_https_conf *conf = &c->server->conf;

    (void)arg;
    if (!rkp_trust_chain(ctx, &c->shake, NULL))
        return 0;
    c->client = conf->whose(conf->arg, X509_STORE_CTX_get0_cert(ctx));
    return c->client ? 1 : rkp_trust_not_named(ctx, &c->shake);
}

static void
client_message(int sending, int version, int type, const void *buf, size_t len, SSL *ssl, void *arg)
{
    struct rkp_conn *c = SSL_get_app_data(ssl);
    const struct rkp_tls_message m = {sending, type, buf, len};

    (void)version;
    (void)arg;
    rkp_trust_alert(&m, &c->shake);
}

const char *
rkp_trust_why(const struct rkp_handshake *s, const char *not_named)
{
    if (s->verify_err)
        return X509_verify_cert_error_string(s->verify_err);
    if (s->not_named)
        return not_named;
    return s->alert >= 0 ? SSL_alert_desc_string_long(s->alert) : NULL;
}

/* ---- made and ended ---- */

static bool
make_server(struct rkp_trust *t)
{
    SSL_CTX *ctx = t->server = SSL_CTX_new(TLS_server_method());

    if (!ctx || !rkp_trust_show(ctx, t) || SSL_CTX_set1_verify_cert_store(ctx, t->ca) != 1)
        return false;
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_num_tickets(ctx, 0); /* every handshake is a whole one, and looks at certificates */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(ctx, 32768);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, verify_client, NULL);
    SSL_CTX_set_msg_callback(ctx, client_message);
    return true;
}

struct rkp_trust *
rkp_trust_new(const struct rk_host *host, const struct rkp_creds *c, const char **why)
{
    struct rkp_trust *t = calloc(1, sizeof *t);

    *why = "out of memory";
    if (!t)
        return NULL;
    t->refs = 1;
    if (host->secret_use(c->key, read_key, &t->key) == RK_OK && read_chain(t, &c->cert) && read_cas(t, &c->ca)) {
        if (make_server(t))
            return t;
        *why = "OpenSSL does not take the certificate and its key: too short a key, or of a kind that TLS does not use";
    }
    ERR_clear_error();
    rkp_trust_unref(&t);
    return NULL;
}

struct rkp_trust *
rkp_trust_of(const struct rk_host *host, struct rkp_certs *certs, const char **why)
{
    struct rkp_creds *creds = rkp_certs_ref(certs);
    struct rkp_trust *t = rkp_trust_new(host, creds, why);

    rkp_certs_unref(certs, &creds);
    return t;
}

struct rkp_trust *
rkp_trust_ref(struct rkp_trust *t)
{
    t->refs++;
    return t;
}

void
rkp_trust_unref(struct rkp_trust **trust)
{
    struct rkp_trust *t = *trust;

    *trust = NULL;
    if (!t || --t->refs)
        return;
    SSL_CTX_free(t->server);
    X509_STORE_free(t->ca);
    EVP_PKEY_free(t->key);
    sk_X509_pop_free(t->chain, X509_free);
    X509_free(t->cert);
    free(t);
}
