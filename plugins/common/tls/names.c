/* names.c - whose certificate is it: its CN and alternative names.  Pure but for OpenSSL's own objects. */
#include "certs.h"

#include <openssl/x509v3.h>

#include <string.h>

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

bool
rkp_cert_names(X509 *cert, const char *id)
{
    return common_name_is(cert, id) || alternative_name_is(cert, id);
}
