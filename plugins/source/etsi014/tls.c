/* tls.c - certificates: checked once when the instance is made, and in each handshake.
 *
 * tls_load runs at init, the hooks on the worker that owns the slot.  The private key is only ever in the host's secret
 * and in OpenSSL's own objects, which OpenSSL wipes.  Nothing here may relax verification.
 */
#include "etsi014.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_FILE_MAX 262144 /* a bundle of some hundred CAs [bytes] */

static int
read_all(int fd, char *text, size_t len)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = read(fd, text + got, len - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        got += (size_t)n;
    }
    return 0;
}

static int
load_pem(struct etsi *e, struct rk_call *call, const struct rk_conf *conf, const char *option, struct pem *pem)
{
    const char *path = e->host->conf_str(conf, option);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = errno;
    struct stat st;

    if (fd < 0)
        return e->host->fail(call,
                             err == ENOENT   ? RK_E_NOENT
                             : err == EACCES ? RK_E_AUTH
                                             : RK_E_IO,
                             "%s: %s: %s; the daemon's user must be able to read it", option, path, strerror(err));
    err = RK_E_UNSAFE;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > PEM_FILE_MAX) {
        e->host->fail(call, err, "%s: %s: not a regular file of 1 to %d bytes", option, path, PEM_FILE_MAX);
        goto out;
    }
    pem->len = (size_t)st.st_size;
    pem->path = strdup(path);
    pem->text = calloc(1, pem->len + 1);
    if (!pem->path || !pem->text)
        err = e->host->fail(call, RK_E_NOMEM, "out of memory");
    else if (read_all(fd, pem->text, pem->len) < 0)
        err = e->host->fail(call, RK_E_IO, "%s: %s: cannot be read whole", option, path);
    else
        err = RK_OK;
out:
    close(fd);
    return err;
}

/* The first certificate of a PEM text; NULL: there is none. */
static X509 *
first_cert(const struct pem *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->text, (int)pem->len);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    return cert;
}

static int
load_certs(struct etsi *e, struct rk_call *call, const struct rk_conf *conf, const char *option, struct pem *pem)
{
    int err = load_pem(e, call, conf, option, pem);
    X509 *cert;

    if (err)
        return err;
    cert = first_cert(pem);
    if (!cert)
        return e->host->fail(call, RK_E_CONFIG,
                             "%s: %s: holds no certificate in PEM form; convert it with "
                             "\"openssl x509 -in FILE -inform DER -out NEW\"",
                             option, pem->path);
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
        e->host->log(call, RK_LOG_WARNING, "ev=certificate option=%s file=%s res=expired renew it", option, pem->path);
    X509_free(cert);
    return RK_OK;
}

/* Never ask on the terminal for a passphrase. */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

enum key_state { KEY_FITS, KEY_UNREADABLE, KEY_OF_OTHER };

static int
check_key(const unsigned char *bytes, size_t len, void *arg)
{
    BIO *bio = BIO_new_mem_buf(bytes, (int)len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    int state = !key ? KEY_UNREADABLE : X509_check_private_key(arg, key) == 1 ? KEY_FITS : KEY_OF_OTHER;

    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return state;
}

static int
load_key(struct etsi *e, struct rk_call *call, const struct rk_conf *conf)
{
    int err = e->host->conf_secret(call, conf, "key", &e->key), state;
    const char *file = e->host->conf_str(conf, "key");
    X509 *cert;

    if (err)
        return err;
    if (!e->key)
        return e->host->fail(call, RK_E_CONFIG, "key: not given; it is the private key of %s", e->cert.path);
    file = file ? file : "its file"; /* a host may hide it */
    cert = first_cert(&e->cert);
    if (!cert)
        return e->host->fail(call, RK_E_NOMEM, "out of memory");
    state = e->host->secret_use(e->key, check_key, cert);
    X509_free(cert);
    if (state == KEY_UNREADABLE)
        return e->host->fail(call, RK_E_CONFIG,
                             "key: %s: not a private key in PEM form without passphrase; convert it "
                             "with \"openssl pkey -in FILE -out NEW\"",
                             file);
    if (state == KEY_OF_OTHER)
        return e->host->fail(call, RK_E_CONFIG, "key: %s: does not belong to the certificate %s", file, e->cert.path);
    return RK_OK;
}

int
tls_load(struct etsi *e, struct rk_call *call, const struct rk_conf *conf)
{
    int err = load_certs(e, call, conf, "cert", &e->cert);

    err = err ? err : load_key(e, call, conf);
    return err ? err : load_certs(e, call, conf, "ca", &e->ca);
}

void
tls_unload(struct etsi *e)
{
    struct pem *pems[] = {&e->cert, &e->ca};

    e->host->secret_free(&e->key);
    for (size_t i = 0; i < 2; i++) {
        free(pems[i]->path);
        free(pems[i]->text);
    }
}

static bool
name_is(const ASN1_STRING *name, const char *id)
{
    return (size_t)ASN1_STRING_length(name) == strlen(id) && memcmp(ASN1_STRING_get0_data(name), id, strlen(id)) == 0;
}

static bool
common_name_is(X509 *cert, const char *id)
{
    const X509_NAME *subject = X509_get_subject_name(cert);
    bool hit = false;

    for (int at = -1; !hit && (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) {
        unsigned char *utf8 = NULL;
        int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));

        hit = len >= 0 && (size_t)len == strlen(id) && memcmp(utf8, id, (size_t)len) == 0;
        OPENSSL_free(utf8);
    }
    return hit;
}

static bool
alternative_name_is(X509 *cert, const char *id)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool hit = false;

    for (int i = 0; !hit && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DNS || name->type == GEN_URI || name->type == GEN_EMAIL)
            hit = name_is(name->d.ia5, id);
    }
    GENERAL_NAMES_free(names);
    return hit;
}

/* The chain as OpenSSL checks it, and then that the certificate names the KME (ETSI GS QKD 014 V1.1.1, 5.1). */
static int
verify(X509_STORE_CTX *ctx, void *arg)
{
    struct slot *s = arg;
    X509 *cert;
    int ok = X509_verify_cert(ctx);

    if (ok <= 0) {
        s->verify_err = X509_STORE_CTX_get_error(ctx);
        return ok;
    }
    cert = X509_STORE_CTX_get0_cert(ctx);
    if (!s->e->kme_id || common_name_is(cert, s->e->kme_id) || alternative_name_is(cert, s->e->kme_id))
        return 1;
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
    (void)ssl;
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
    return e->host->fail(call, RK_E_AUTH, "%s: the KME's certificate is not accepted: %s (ca %s); %s", e->base,
                         X509_verify_cert_error_string(s->verify_err), e->ca.path, remedy);
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
                             e->base, e->kme_id);
    if (s->alert >= 0 && is_refusal(s->alert))
        return e->host->fail(call, RK_E_AUTH,
                             "%s: the KME refused the client certificate %s: TLS alert \"%s\"; it must be "
                             "valid and known to the KME",
                             e->base, e->cert.path, SSL_alert_desc_string_long(s->alert));
    if (s->said_alert)
        return e->host->fail(
            call, RK_E_AUTH,
            "%s: the KME closed the connection with a TLS alert after the handshake: it does not accept the "
            "client certificate %s; it must be valid and known to the KME",
            e->base, e->cert.path);
    if (s->alert == SSL_AD_PROTOCOL_VERSION || s->alert == SSL_AD_INSUFFICIENT_SECURITY)
        return e->host->fail(call, RK_E_UNSUPPORTED,
                             "%s: no common TLS version or cipher: TLS alert \"%s\"; TLS 1.2 or "
                             "newer is needed",
                             e->base, SSL_alert_desc_string_long(s->alert));
    if (curl_err == CURLE_PEER_FAILED_VERIFICATION)
        return e->host->fail(call, RK_E_AUTH,
                             "%s: the KME's certificate is for another host: %s; use a name of the "
                             "certificate in url",
                             e->base, s->err_text);
    if (curl_err == CURLE_SSL_CERTPROBLEM)
        return e->host->fail(call, RK_E_AUTH, "%s: the client certificate %s cannot be used: %s", e->base, e->cert.path,
                             s->err_text);
    if (curl_err == CURLE_SSL_CONNECT_ERROR && strstr(s->err_text, "wrong version number"))
        return e->host->fail(call, RK_E_PROTOCOL, "%s: the server does not speak TLS; check the port", e->base);
    if (curl_err == CURLE_SSL_CONNECT_ERROR)
        return e->host->fail(call, RK_E_UNREACHABLE,
                             "%s: the TLS handshake failed: %s; some KMEs do this when they do not "
                             "accept the client certificate %s",
                             e->base, s->err_text, e->cert.path);
    return RK_OK;
}
