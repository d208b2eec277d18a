/* etsi014_certs.c - a CA, another one, and what they sign.  Test code: runs in the test's process. */
#include "etsi014_certs.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#define DAY 86400L

struct party {
    X509 *cert;
    EVP_PKEY *key;
};

struct wish {
    const char *name, *common_name;
    const char *alternative; /* subjectAltName; NULL: a CA */
    long from_s, to_s;       /* validity, from now */
};

static int
extend(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    int ok = ext && X509_add_ext(cert, ext, -1);

    X509_EXTENSION_free(ext);
    return ok;
}

static int
make(const struct wish *w, const struct party *by, struct party *p)
{
    static long serial;
    X509_NAME *name;

    p->key = EVP_EC_gen("P-256");
    p->cert = X509_new();
    if (!p->key || !p->cert)
        return 0;
    name = X509_get_subject_name(p->cert);
    return X509_set_version(p->cert, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(p->cert), ++serial) &&
           X509_gmtime_adj(X509_getm_notBefore(p->cert), w->from_s) &&
           X509_gmtime_adj(X509_getm_notAfter(p->cert), w->to_s) && X509_set_pubkey(p->cert, p->key) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)w->common_name, -1, -1, 0) &&
           X509_set_issuer_name(p->cert, by ? X509_get_subject_name(by->cert) : name) &&
           extend(p->cert, NID_basic_constraints, w->alternative ? "CA:FALSE" : "critical,CA:TRUE") &&
           (!w->alternative || extend(p->cert, NID_subject_alt_name, w->alternative)) &&
           X509_sign(p->cert, by ? by->key : p->key, EVP_sha256()) > 0;
}

static FILE *
create(const char *dir, const char *name, const char *suffix)
{
    char path[PATH_MAX];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s%s", dir, name, suffix);
    f = fopen(path, "w");
    if (f && fchmod(fileno(f), 0600) < 0) {
        fclose(f);
        return NULL;
    }
    if (f)
        setvbuf(f, NULL, _IONBF, 0); /* tests look for traces of keys in this process */
    return f;
}

static int
save(const char *dir, const char *name, const struct party *p)
{
    FILE *cert = create(dir, name, ".pem"), *key = create(dir, name, ".key");
    int ok =
        cert && key && PEM_write_X509(cert, p->cert) && PEM_write_PrivateKey(key, p->key, NULL, NULL, 0, NULL, NULL);

    return (!cert || fclose(cert) == 0) && (!key || fclose(key) == 0) && ok;
}

static int
save_locked(const char *dir, const char *name, const struct party *p)
{
    FILE *key = create(dir, name, ".key");
    int ok = key && PEM_write_PrivateKey(key, p->key, EVP_aes_128_cbc(), NULL, 0, NULL, (void *)(size_t) "word");

    return key && fclose(key) == 0 && ok;
}

int
certs_make(const char *dir)
{
    static const struct wish cas[] = {{"ca", "Test CA", NULL, -DAY, DAY}, {"rogue-ca", "Rogue CA", NULL, -DAY, DAY}};
    static const struct {
        struct wish w;
        int ca; /* -1: signed by itself */
    } leaves[] = {
        {{"kme", "KME_A", "IP:127.0.0.1,DNS:kme-a.example,URI:urn:kme:a", -DAY, DAY}, 0},
        {{"expired", "KME_A", "IP:127.0.0.1", -2 * DAY, -DAY}, 0},
        {{"other-host", "KME_A", "DNS:other.example", -DAY, DAY}, 0},
        {{"rogue", "KME_A", "IP:127.0.0.1", -DAY, DAY}, 1},
        {{"sae", "SAE_A", "DNS:sae-a.example", -DAY, DAY}, 0},
        {{"rogue-sae", "SAE_A", "DNS:sae-a.example", -DAY, DAY}, 1},
        {{"sae2", "SAE_A_RENEWED", "DNS:sae-a.example", -DAY, DAY}, 0},
        {{"sae-short", "SAE_A", "DNS:sae-a.example", -DAY, DAY / 4}, 0},
        {{"sae-long", "SAE_A", "DNS:sae-a.example", -DAY, 2 * DAY}, 0},
        {{"short", "KME_A", "IP:127.0.0.1", -DAY, DAY / 2}, 0},
        {{"long", "KME_A", "IP:127.0.0.1", -DAY, 2 * DAY}, 0},
        {{"self", "KME_A", "IP:127.0.0.1", -DAY, DAY}, -1},
        {{"cn-only", "KME_A", "IP:127.0.0.1", -DAY, DAY}, 0},
        {{"sae-b", "SAE_B", "DNS:sae-b.example", -DAY, DAY}, 0},
        {{"sae-b-short", "SAE_B", "DNS:sae-b.example", -DAY, DAY / 4}, 0},
        {{"sae-b2", "sae-b.example", "URI:SAE_B", -DAY, 2 * DAY}, 0},
        {{"sae-c", "SAE_C", "DNS:sae-c.example", -DAY, DAY}, 0},
        {{"rogue-sae-b", "SAE_B", "DNS:sae-b.example", -DAY, DAY}, 1},
        {{"expired-sae-b", "SAE_B", "DNS:sae-b.example", -2 * DAY, -DAY}, 0},
        {{"several", "front", "IP:127.0.0.1,DNS:a.example,DNS:b.example,URI:urn:kme:x,URI:urn:kme:a", -DAY, DAY}, 0},
    };
    struct party ca[2] = {{0}}, p = {0};
    int ok = 1;

    for (int i = 0; i < 2; i++)
        ok = ok && make(&cas[i], NULL, &ca[i]) && save(dir, cas[i].name, &ca[i]);
    for (size_t i = 0; ok && i < sizeof leaves / sizeof leaves[0]; i++) {
        ok = make(&leaves[i].w, leaves[i].ca < 0 ? NULL : &ca[leaves[i].ca], &p) && save(dir, leaves[i].w.name, &p);
        if (ok && i == 4)
            ok = save_locked(dir, "sae-locked", &p);
        X509_free(p.cert);
        EVP_PKEY_free(p.key);
    }
    for (int i = 0; i < 2; i++) {
        X509_free(ca[i].cert);
        EVP_PKEY_free(ca[i].key);
    }
    return ok ? 0 : -1;
}
