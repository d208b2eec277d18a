/* tls.c - see tls.h. */
#include "tls.h"

#include <core/base/log.h>
#include <core/base/text.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* A refused handshake never becomes a request: say why here. */
static void
on_info(const SSL *ssl, int where, int value)
{
    const char *text = SSL_alert_desc_string_long(value);

    (void)ssl;
    if (!(where & SSL_CB_ALERT) || value >> 8 != SSL3_AL_FATAL)
        return;
    if ((value & 0xff) == TLS13_AD_CERTIFICATE_REQUIRED) /* OpenSSL 3.0 has no text for it */
        text = "certificate required";
    rk_log(RK_LOG_WARNING, "ev=tls res=refused by=%s alert=\"%s\"", where & SSL_CB_WRITE ? "kme" : "client",
           text);
}

static int
use_files(SSL_CTX *ctx, const struct kme_conf *conf, const char *cert, char *why)
{
    STACK_OF(X509_NAME) * names;
    const char *what = cert;

    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        goto fail;
    what = conf->key;
    if (SSL_CTX_use_PrivateKey_file(ctx, conf->key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        goto fail;
    what = conf->ca;
    names = SSL_load_client_CA_file(conf->ca);
    if (!names || SSL_CTX_load_verify_file(ctx, conf->ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        goto fail;
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    return 0;
fail:
    snprintf(why, KME_CONF_TEXT_MAX, "KME %s: %.200s: %.120s", conf->id, what,
             ERR_reason_error_string(ERR_peek_error()) ? ERR_reason_error_string(ERR_peek_error()) : "cannot be used");
    ERR_clear_error();
    return -1;
}

/* The standard wants the certificate to name the KME; a lab may want to see what a client does when it does not. */
static void
check_name(const SSL_CTX *ctx, const struct kme_conf *conf)
{
    X509 *cert = SSL_CTX_get0_certificate(ctx);
    char cn[KME_NAME_MAX + 2] = "";

    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn, sizeof cn);
    if (strcmp(cn, conf->id) != 0 && X509_check_host(cert, conf->id, 0, 0, NULL) != 1)
        rk_log(RK_LOG_WARNING, "ev=cert kme=%s res=mismatch cn=%s its certificate does not name this KME ID", conf->id,
               cn);
}

static SSL_CTX *
context_new(const struct kme_conf *conf, const char *cert, char *why)
{
    static const unsigned char session_context[] = "rekey-kme";
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    snprintf(why, KME_CONF_TEXT_MAX, "KME %s: TLS cannot be set up", conf->id);
    if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || use_files(ctx, conf, cert, why) < 0)
        goto fail;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_info_callback(ctx, on_info);
    /* without it a client that resumes a session is refused, because certificates are asked for */
    if (SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1) != 1 ||
        SSL_CTX_set_num_tickets(ctx, 1) != 1)
        goto fail;
    return ctx;
fail:
    SSL_CTX_free(ctx);
    return NULL;
}

int
kme_tls_new(const struct kme_conf *conf, struct kme_tls *out, char *why)
{
    *out = (struct kme_tls){0};
    out->usual = context_new(conf, conf->cert, why);
    if (!out->usual)
        return -1;
    check_name(out->usual, conf);
    if (conf->cert_expired)
        out->expired = context_new(conf, conf->cert_expired, why);
    if (conf->cert_future && (out->expired || !conf->cert_expired))
        out->future = context_new(conf, conf->cert_future, why);
    if ((conf->cert_expired && !out->expired) || (conf->cert_future && !out->future)) {
        kme_tls_free(out);
        return -1;
    }
    return 0;
}

void
kme_tls_free(struct kme_tls *tls)
{
    SSL_CTX_free(tls->usual);
    SSL_CTX_free(tls->expired);
    SSL_CTX_free(tls->future);
    *tls = (struct kme_tls){0};
}

void
kme_tls_peer(const SSL *ssl, char *sae)
{
    X509 *cert = SSL_get0_peer_certificate(ssl);
    X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;
    int at = name ? X509_NAME_get_index_by_NID(name, NID_commonName, -1) : -1, len;
    unsigned char *text = NULL;

    sae[0] = '\0';
    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
        return;
    len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (len > 0 && strlen((const char *)text) == (size_t)len)
        rk_copy(sae, RK_SAE_MAX + 1, (const char *)text);
    OPENSSL_free(text);
}
