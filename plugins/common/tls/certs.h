/* certs.h - certificate, key and CA of an instance, for plugins that speak TLS: the options cert, key and ca
 *
 * Read and checked at init, and read again when a file has changed.  What was read is a struct rkp_creds, which is
 * never changed: each connection holds the one that it was made with.
 */
#ifndef RKP_CERTS_H
#define RKP_CERTS_H

#include <rekey/plugin.h>

#include <openssl/types.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct rkp_pem {
    char *text; /* NUL-ended */
    size_t len;
};

/* Certificate, key and CA as they were read; not changed any more. */
struct rkp_creds {
    atomic_uint refs;
    struct rkp_pem cert, ca;
    struct rk_secret *key; /* PEM text */
    int64_t ends_s[2];     /* of the certificates in cert: the first and the last end [s since 1970] */
    int64_t ca_ends_s;     /* when the last CA of the file ends */
};

/* What tells a file from another, or from what it was before. */
struct rkp_stamp {
    dev_t dev;
    ino_t ino;
    off_t size; /* -1: not there */
    struct timespec mtim, ctim;
};

struct rkp_stamps { /* certificate, key, CA */
    struct rkp_stamp of[3];
};

struct rkp_certs {
    const struct rk_host *host;   /* set by the owner, as lock, renewed and arg */
    pthread_mutex_t *lock;
    void (*renewed)(void *arg);   /* other ones are in use from now on; without the lock; may be NULL */
    void *arg;
    char *cert_path, *ca_path;
    char *key_value;              /* as configured: "file:/..."; NULL when the host hides it */
    struct rkp_creds *creds;      /* the newest; under lock */
    struct rkp_stamps stamps;     /* of the files as they were looked at last; of who is looking */
    bool looking;                 /* under lock */
    int64_t look_ms;              /* when they may be looked at again; under lock */
    char refused[320];            /* why what was found then is not used; "" it is; under lock */
};

/* rkp_certs_open - read and check certificate, key and CA of the options;  rkp_certs_close - forget them, wiped
 * in:    s  zeroed, but for what its owner sets
 * ret:   RK_OK or a code with a text that names file and remedy.   thread: init and fini */
int rkp_certs_open(struct rkp_certs *s, struct rk_call *call, const struct rk_conf *conf);
void rkp_certs_close(struct rkp_certs *s);

/* rkp_certs_look - once a second at most: have the files changed?  What is whole and fits together is taken and renewed
 * is called; else the old ones stay in use, and the log says why.   blocks: reads local files */
void rkp_certs_look(struct rkp_certs *s, struct rk_call *call);
/* rkp_certs_ref - the newest; held until rkp_certs_unref, which sets *c to NULL.   thread: any */
struct rkp_creds *rkp_certs_ref(struct rkp_certs *s);
void rkp_certs_unref(struct rkp_certs *s, struct rkp_creds **c);
/* rkp_certs_tell_ends - tell the host when certificate and CA end
 * rkp_certs_can_tell - does the host take that */
void rkp_certs_tell_ends(struct rkp_certs *s, struct rk_call *call);
bool rkp_certs_can_tell(const struct rkp_certs *s);
/* rkp_cert_ends_s - last second in which it is valid [s since 1970]; 0: it cannot be told */
int64_t rkp_cert_ends_s(const X509 *cert);

/* rkp_cert_names - does the certificate have this ID as CN or as alternative name (DNS, URI, e-mail), byte for byte
 * thread: any.   blocks: never.   src: ETSI GS QKD 014 V1.1.1, 5.1 */
bool rkp_cert_names(X509 *cert, const char *id);
/* rkp_cert_each_name - call fn with each of these names, CN first; name[len] may hold anything
 * thread: any.   blocks: never */
typedef void rkp_name_fn(void *arg, const char *name, size_t len);
void rkp_cert_each_name(X509 *cert, rkp_name_fn *fn, void *arg);

#endif
