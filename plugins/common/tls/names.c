/* names.c - whose certificate is it: its CN and alternative names.  Pure but for OpenSSL's own objects. */
#include "certs.h"

#include <openssl/x509v3.h>

#include <string.h>

static void
each_common_name(X509 *cert, rkp_name_fn *fn, void *arg)
{
    const X509_NAME *subject = X509_get_subject_name(cert);

    for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) {
        unsigned char *utf8 = NULL;
        int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));

        if (len >= 0)
            fn(arg, (const char *)utf8, (size_t)len);
        OPENSSL_free(utf8);
    }
}

static void
each_alternative_name(X509 *cert, rkp_name_fn *fn, void *arg)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DNS || name->type == GEN_URI || name->type == GEN_EMAIL)
            fn(arg, (const char *)ASN1_STRING_get0_data(name->d.ia5), (size_t)ASN1_STRING_length(name->d.ia5));
    }
    GENERAL_NAMES_free(names);
}

void
rkp_cert_each_name(X509 *cert, rkp_name_fn *fn, void *arg)
{
    each_common_name(cert, fn, arg);
    each_alternative_name(cert, fn, arg);
}

struct wanted {
    const char *id;
    bool hit;
};

static void
compare(void *arg, const char *name, size_t len)
{
    struct wanted *w = arg;

    w->hit |= len == strlen(w->id) && memcmp(name, w->id, len) == 0;
}

bool
rkp_cert_names(X509 *cert, const char *id)
{
    struct wanted w = {.id = id};

    rkp_cert_each_name(cert, compare, &w);
    return w.hit;
}
