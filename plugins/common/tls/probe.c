/* probe.c - keeps what a test hears on the way.
 *
 * Runs on the host's worker threads.  It decides nothing: what is accepted is decided in tls.c, with a test or without.
 */
#include "probe.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- certificates ---- */

static void
name_text(const X509_NAME *name, char *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int n = 0;

    /* not ASCII and control characters are escaped */
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~(unsigned long)XN_FLAG_SPC_EQ) >= 0)
        n = BIO_read(bio, out, (int)size - 1);
    out[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
}

static int64_t
seconds_of(const ASN1_TIME *t)
{
    struct tm tm;

    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

void
rkp_probe_cert_of(const X509 *cert, struct rkp_probe_cert *out)
{
    time_t to;
    struct tm tm;

    *out = (struct rkp_probe_cert){.there = true};
    name_text(X509_get_subject_name(cert), out->subject, sizeof out->subject);
    name_text(X509_get_issuer_name(cert), out->issuer, sizeof out->issuer);
    out->from_s = seconds_of(X509_get0_notBefore(cert));
    out->to_s = seconds_of(X509_get0_notAfter(cert));
    to = (time_t)out->to_s;
    if (!gmtime_r(&to, &tm) || strftime(out->until, sizeof out->until, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        strcpy(out->until, "?");
}

bool
rkp_probe_pem(const struct rkp_pem *pem, size_t i, struct rkp_probe_cert *out)
{
    BIO *bio = BIO_new_mem_buf(pem->text, (int)pem->len);
    X509 *cert = NULL;

    for (size_t k = 0; bio && k <= i; k++) {
        X509_free(cert);
        cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (!cert)
            break;
    }
    if (cert)
        rkp_probe_cert_of(cert, out);
    X509_free(cert);
    BIO_free(bio);
    ERR_clear_error();
    return cert != NULL;
}

bool
rkp_probe_is_client(const struct rkp_pem *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->text, (int)pem->len);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    bool is = !cert || X509_check_purpose(cert, X509_PURPOSE_SSL_CLIENT, 0) == 1;

    X509_free(cert);
    BIO_free(bio);
    ERR_clear_error();
    return is;
}

/* ---- names ---- */

/* Is name one of the list: many certificates have their CN as an alternative name, too. */
static bool
listed(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = list; *at; at += strspn(at, ", ")) {
        size_t n = strcspn(at, ",");

        if (n == len && memcmp(at, name, n) == 0)
            return true;
        at += n;
    }
    return false;
}

static void
add(char *list, const char *name)
{
    size_t used = strlen(list);

    if (listed(list, name))
        return;
    if (used + strlen(name) + sizeof ", ..." <= RKP_PROBE_NAMES)
        snprintf(list + used, RKP_PROBE_NAMES - used, "%s%s", used ? ", " : "", name);
    else if (used + sizeof ", ..." <= RKP_PROBE_NAMES && !strstr(list, ", ..."))
        strcat(list, ", ...");
}

static void
add_bytes(struct rkp_probe *p, const unsigned char *bytes, int len, bool may_be_id)
{
    char name[RKP_PROBE_NAMES];

    snprintf(name, sizeof name, "%.*s", len, (const char *)bytes);
    for (char *c = name; *c; c++)
        *c = *c > ' ' && *c <= '~' ? *c : '?'; /* a stranger's */
    add(p->names, name);
    if (may_be_id)
        add(p->ids, name);
}

static void
common_names(struct rkp_probe *p, const X509 *cert)
{
    const X509_NAME *subject = X509_get_subject_name(cert);

    for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) {
        unsigned char *utf8 = NULL;
        int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));

        if (len >= 0)
            add_bytes(p, utf8, len, true);
        OPENSSL_free(utf8);
    }
}

static void
alternative_names(struct rkp_probe *p, const X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char text[INET6_ADDRSTRLEN] = "?";
        int len;

        if (name->type == GEN_DNS || name->type == GEN_URI || name->type == GEN_EMAIL) {
            add_bytes(p, ASN1_STRING_get0_data(name->d.ia5), ASN1_STRING_length(name->d.ia5), true);
        } else if (name->type == GEN_IPADD) {
            len = ASN1_STRING_length(name->d.ip);
            if (len == 4 || len == 16)
                (void)!inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.ip), text, sizeof text);
            add_bytes(p, (const unsigned char *)text, (int)strlen(text), false);
        }
    }
    GENERAL_NAMES_free(names);
}

/* ---- hooks ---- */

void
rkp_probe_chain(struct rkp_probe *p, X509_STORE_CTX *ctx, bool ok)
{
    const X509 *leaf = X509_STORE_CTX_get0_cert(ctx), *bad = ok ? NULL : X509_STORE_CTX_get_current_cert(ctx);

    if (!p || !leaf)
        return;
    rkp_probe_cert_of(leaf, &p->leaf);
    p->names[0] = p->ids[0] = '\0';
    common_names(p, leaf);
    alternative_names(p, leaf);
    p->n_chain = sk_X509_num(X509_STORE_CTX_get0_untrusted(ctx));
    p->verify_err = ok ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    if (ok)
        return;
    p->bad_depth = X509_STORE_CTX_get_error_depth(ctx);
    rkp_probe_cert_of(bad ? bad : leaf, &p->bad);
}

void
rkp_probe_session(struct rkp_probe *p, const SSL *ssl)
{
    const SSL_CIPHER *cipher = p ? SSL_get_current_cipher(ssl) : NULL;

    if (!cipher)
        return;
    snprintf(p->version, sizeof p->version, "%s", SSL_get_version(ssl));
    snprintf(p->cipher, sizeof p->cipher, "%s", SSL_CIPHER_get_name(cipher));
}

curl_socket_t
rkp_probe_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
    struct rkp_probe *p = arg;

    (void)purpose;
    if (p->n_addrs < RKP_PROBE_ADDRESSES && addr->addrlen <= sizeof p->addrs[0].addr) {
        memcpy(&p->addrs[p->n_addrs].addr, &addr->addr, addr->addrlen);
        p->addrs[p->n_addrs++].len = (socklen_t)addr->addrlen;
    }
    return CURL_SOCKET_BAD;
}
