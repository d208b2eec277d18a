/* trust.c - TLS of both directions: what is shown, and whose certificate is believed.
 *
 * A peer is its SAE ID: the certificate must come from a CA of the option ca, and have that ID as CN or alternative
 * name.  The name of the host in the URL says only where it is.  Runs in watch and in tests; the hooks run in the
 * handshake.  Nothing here may relax verification.
 */
#include "peer.h"

#include "../../common/tls/probe.h"

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
read_chain(struct trust *t, const struct rkp_pem *pem)
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
read_cas(struct trust *t, const struct rkp_pem *pem)
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

static bool
show(SSL_CTX *ctx, const struct trust *t)
{
    return SSL_CTX_use_certificate(ctx, t->cert) == 1 && SSL_CTX_set1_chain(ctx, t->chain) == 1 &&
           SSL_CTX_use_PrivateKey(ctx, t->key) == 1 && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1;
}

/* ---- handshakes ---- */

static void
keep_alert(int sending, int type, const unsigned char *alert, size_t len, struct handshake *s)
{
    if (!sending && type == SSL3_RT_ALERT && len == 2 && alert[0] == SSL3_AL_FATAL)
        s->alert = alert[1];
}

static bool
chain_ok(X509_STORE_CTX *ctx, struct handshake *s, struct rkp_probe *probe)
{
    const X509 *cert = X509_STORE_CTX_get0_cert(ctx);

    bool ok = X509_verify_cert(ctx) > 0;

    s->ends_s = cert ? rkp_cert_ends_s(cert) : 0;
    rkp_probe_chain(probe, ctx, ok);
    if (ok)
        return true;
    s->verify_err = X509_STORE_CTX_get_error(ctx);
    if (s->verify_err == X509_V_OK)
        s->verify_err = X509_V_ERR_UNSPECIFIED;
    return false;
}

static int
not_named(X509_STORE_CTX *ctx, struct handshake *s)
{
    s->other_sae = true;
    X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

/* A peer that connects to us: which of them is it? */
static int
verify_client(X509_STORE_CTX *ctx, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct conn *c = SSL_get_app_data(ssl);
    struct hub *h = arg;
    X509 *cert = X509_STORE_CTX_get0_cert(ctx);

    if (!chain_ok(ctx, &c->shake, NULL))
        return 0;
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; !c->remote && i < h->n_remotes; i++)
        if (h->remotes[i].sae[0] && rkp_cert_names(cert, h->remotes[i].sae))
            c->remote = &h->remotes[i];
    pthread_mutex_unlock(&h->lock);
    return c->remote ? 1 : not_named(ctx, &c->shake);
}

static void
client_message(int sending, int version, int type, const void *buf, size_t len, SSL *ssl, void *arg)
{
    struct conn *c = SSL_get_app_data(ssl);

    (void)version;
    (void)arg;
    keep_alert(sending, type, buf, len, &c->shake);
}

/* The peer that we connect to: is it the one? */
static int
verify_server(X509_STORE_CTX *ctx, void *arg)
{
    struct remote *r = arg;
    struct hub *h = r->hub;
    char sae[RK_SAE_MAX + 1];

    if (!chain_ok(ctx, &r->shake, r->probe))
        return 0;
    pthread_mutex_lock(&h->lock);
    strcpy(sae, r->sae);
    pthread_mutex_unlock(&h->lock);
    if (!sae[0] || !rkp_cert_names(X509_STORE_CTX_get0_cert(ctx), sae))
        return not_named(ctx, &r->shake);
    if (!r->probe) { /* a test is not the loop */
        r->handshakes++;
        h->ends_new = true;
    }
    return 1;
}

static void
server_message(int sending, int version, int type, const void *buf, size_t len, SSL *ssl, void *arg)
{
    struct remote *r = arg;

    (void)version;
    rkp_probe_session(r->probe, ssl);
    keep_alert(sending, type, buf, len, &r->shake);
}

CURLcode
trust_hook(CURL *easy, void *ctx, void *arg)
{
    struct remote *r = arg;

    (void)easy;
    if (!show(ctx, r->trust) || SSL_CTX_set1_verify_cert_store(ctx, r->trust->ca) != 1)
        return CURLE_SSL_CERTPROBLEM;
    r->shake = (struct handshake){.alert = -1};
    SSL_CTX_set_cert_verify_callback(ctx, verify_server, r);
    SSL_CTX_set_msg_callback(ctx, server_message);
    SSL_CTX_set_msg_callback_arg(ctx, r);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    return CURLE_OK;
}

const char *
trust_why(const struct handshake *s)
{
    if (s->verify_err)
        return X509_verify_cert_error_string(s->verify_err);
    if (s->other_sae)
        return "the certificate is not that of the peer's SAE ID (neither CN nor alternative name)";
    return s->alert >= 0 ? SSL_alert_desc_string_long(s->alert) : NULL;
}

/* ---- made and ended ---- */

static bool
make_server(struct trust *t, struct hub *h)
{
    SSL_CTX *ctx = t->server = SSL_CTX_new(TLS_server_method());

    if (!ctx || !show(ctx, t) || SSL_CTX_set1_verify_cert_store(ctx, t->ca) != 1)
        return false;
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_num_tickets(ctx, 0); /* every handshake is a whole one, and looks at certificates */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_cert_list(ctx, 32768);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, verify_client, h);
    SSL_CTX_set_msg_callback(ctx, client_message);
    return true;
}

struct trust *
trust_new(struct hub *h, const struct rkp_creds *c, const char **why)
{
    struct trust *t = calloc(1, sizeof *t);

    *why = "out of memory";
    if (!t)
        return NULL;
    t->refs = 1;
    if (h->host->secret_use(c->key, read_key, &t->key) == RK_OK && read_chain(t, &c->cert) && read_cas(t, &c->ca)) {
        if (make_server(t, h))
            return t;
        *why = "OpenSSL does not take the certificate and its key: too short a key, or of a kind that TLS does not use";
    }
    ERR_clear_error();
    trust_unref(&t);
    return NULL;
}

struct trust *
trust_ref(struct trust *t)
{
    t->refs++;
    return t;
}

void
trust_unref(struct trust **trust)
{
    struct trust *t = *trust;

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
