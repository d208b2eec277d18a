/* certs.c - certificate, key and CA: read at init, checked, and read again when a file has changed.
 *
 * What was read is a struct rkp_creds, which is never changed: each connection holds the one that it was made with.
 * The private key is only ever in a secret of the host and in OpenSSL's own objects, which OpenSSL wipes.  Runs at init
 * and on the host's worker threads.
 */
#include "certs.h"

#include "../files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_FILE_MAX 262144 /* a bundle of some hundred CAs [bytes] */
#define LOOK_MS 1000        /* files are looked at once in that time at most */

/* Why something cannot be used: at init the text of the call, later a line of the log. */
struct why {
    int err;
    char text[320];
};

static int wrong(struct why *why, int err, const char *fmt, ...) RK_PRINTF(3, 4);

static int
wrong(struct why *why, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why->text, sizeof why->text, fmt, ap);
    va_end(ap);
    return why->err = err;
}

/* A file of certificates says whom we trust and who we are: nobody but root and this user may have written it. */
static int
check_file(const char *option, const char *path, const struct stat *st, struct why *why)
{
    struct rkp_why folder;
    int err;

    if (!S_ISREG(st->st_mode) || st->st_size <= 0 || st->st_size > PEM_FILE_MAX)
        return wrong(why, RK_E_UNSAFE, "%s: %s: not a regular file of 1 to %d bytes", option, path, PEM_FILE_MAX);
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return wrong(why, RK_E_UNSAFE, "%s: %s: belongs to user %u; chown it to root or user %u", option, path,
                     (unsigned)st->st_uid, (unsigned)geteuid());
    if (st->st_mode & RKP_NOT_SHARED)
        return wrong(why, RK_E_UNSAFE, "%s: %s: mode %04o lets others write; chmod go-w it", option, path,
                     (unsigned)(st->st_mode & 07777));
    err = rkp_check_parent(geteuid(), path, &folder);
    return err ? wrong(why, err, "%s: %s", option, folder.text) : RK_OK;
}

static int
read_pem(const char *option, const char *path, int fd, struct rkp_pem *pem, struct why *why)
{
    static const char key[] = "PRIVATE KEY-----";

    pem->text = calloc(1, pem->len + 1);
    if (!pem->text)
        return wrong(why, RK_E_NOMEM, "out of memory");
    if (rkp_read_small(fd, pem->text, pem->len + 1) != (ssize_t)pem->len)
        return wrong(why, RK_E_IO, "%s: %s: cannot be read whole", option, path);
    if (memmem(pem->text, pem->len, key, sizeof key - 1))
        return wrong(why, RK_E_UNSAFE, "%s: %s: holds a private key; leave only certificates in it", option, path);
    return RK_OK;
}

static int
load_pem(const char *option, const char *path, struct rkp_pem *pem, struct why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = errno;
    struct stat st;

    if (fd < 0)
        return wrong(why,
                     err == ENOENT   ? RK_E_NOENT
                     : err == EACCES ? RK_E_AUTH
                                     : RK_E_IO,
                     "%s: %s: %s; the daemon's user must be able to read it", option, path, strerror(err));
    if (fstat(fd, &st) < 0)
        err = wrong(why, RK_E_IO, "%s: %s: %s", option, path, strerror(errno));
    else
        err = check_file(option, path, &st, why);
    if (!err) {
        pem->len = (size_t)st.st_size;
        err = read_pem(option, path, fd, pem, why);
    }
    close(fd);
    return err;
}

/* A time of a certificate [s since 1970]; 0: it cannot be told. */
static int64_t
unix_s(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int64_t
rkp_cert_ends_s(const X509 *cert)
{
    return unix_s(X509_get0_notAfter(cert));
}

/* The certificates of a PEM text.   out: the first and the last of their ends [s since 1970], 0: none
 * ret: how many; -1 when the text is cut off or broken within one */
static int
count_certs(const struct rkp_pem *pem, int64_t *first_s, int64_t *last_s)
{
    BIO *bio = BIO_new_mem_buf(pem->text, (int)pem->len);
    X509 *cert;
    int n = 0;

    *first_s = *last_s = 0;
    ERR_clear_error();
    while (bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        int64_t ends_s = rkp_cert_ends_s(cert);

        *first_s = *first_s == 0 || ends_s < *first_s ? ends_s : *first_s;
        *last_s = ends_s > *last_s ? ends_s : *last_s;
        X509_free(cert);
        n++;
    }
    if (!bio || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        n = -1;
    ERR_clear_error();
    BIO_free(bio);
    return n;
}

/* The first certificate of a PEM text; NULL: there is none. */
static X509 *
first_cert(const struct rkp_pem *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->text, (int)pem->len);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    return cert;
}

static int
load_certs(const char *option, const char *path, struct rkp_pem *pem, int64_t ends_s[2], struct why *why)
{
    int err = load_pem(option, path, pem, why), n;

    if (err)
        return err;
    n = count_certs(pem, &ends_s[0], &ends_s[1]);
    if (n < 0)
        return wrong(why, RK_E_CONFIG, "%s: %s: not whole: a certificate in it is cut off or broken", option, path);
    return n > 0 ? RK_OK
                 : wrong(why, RK_E_CONFIG,
                         "%s: %s: holds no certificate in PEM form; convert it with "
                         "\"openssl x509 -in FILE -inform DER -out NEW\"",
                         option, path);
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
check_pair(const struct rkp_certs *s, const struct rkp_creds *c, struct why *why)
{
    const char *file = s->key_value ? s->key_value : "its file"; /* a host may hide it */
    X509 *cert = first_cert(&c->cert);
    int state;

    if (!cert)
        return wrong(why, RK_E_NOMEM, "out of memory");
    state = s->host->secret_use(c->key, check_key, cert);
    X509_free(cert);
    if (state == KEY_UNREADABLE)
        return wrong(why, RK_E_CONFIG,
                     "key: %s: not a private key in PEM form without passphrase; convert it "
                     "with \"openssl pkey -in FILE -out NEW\"",
                     file);
    if (state == KEY_OF_OTHER)
        return wrong(why, RK_E_CONFIG, "key: %s: does not belong to the certificate %s", file, s->cert_path);
    return RK_OK;
}

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct rkp_stamp
stamp_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return (struct rkp_stamp){.size = -1};
    return (struct rkp_stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim};
}

static bool
same_stamp(const struct rkp_stamp *a, const struct rkp_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtim.tv_sec == b->mtim.tv_sec &&
           a->mtim.tv_nsec == b->mtim.tv_nsec && a->ctim.tv_sec == b->ctim.tv_sec && a->ctim.tv_nsec == b->ctim.tv_nsec;
}

static void
take_stamps(const struct rkp_certs *s, struct rkp_stamps *out)
{
    out->of[0] = stamp_of(s->cert_path);
    out->of[1] = stamp_of(strchr(s->key_value, '/'));
    out->of[2] = stamp_of(s->ca_path);
}

static bool
same_stamps(const struct rkp_stamps *a, const struct rkp_stamps *b)
{
    return same_stamp(&a->of[0], &b->of[0]) && same_stamp(&a->of[1], &b->of[1]) && same_stamp(&a->of[2], &b->of[2]);
}

/* A file may have held a key in spite of what it must hold. */
static void
pem_free(struct rkp_pem *pem)
{
    if (pem->text)
        explicit_bzero(pem->text, pem->len);
    free(pem->text);
}

static void
creds_free(struct rkp_certs *s, struct rkp_creds *c)
{
    s->host->secret_free(&c->key);
    pem_free(&c->cert);
    pem_free(&c->ca);
    free(c);
}

/* Certificate, key (taken) and CA, whole and fitting, or why not. */
static int
load(struct rkp_certs *s, struct rk_secret **key, struct rkp_creds **out, struct why *why)
{
    struct rkp_creds *c = calloc(1, sizeof *c);
    int64_t ca_ends_s[2];
    int err = c ? RK_OK : wrong(why, RK_E_NOMEM, "out of memory");

    if (!err) {
        atomic_init(&c->refs, 1);
        c->key = *key;
        *key = NULL;
        err = load_certs("cert", s->cert_path, &c->cert, c->ends_s, why);
    }
    err = err ? err : check_pair(s, c, why);
    err = err ? err : load_certs("ca", s->ca_path, &c->ca, ca_ends_s, why);
    s->host->secret_free(key);
    if (err) {
        if (c)
            creds_free(s, c);
        return err;
    }
    c->ca_ends_s = ca_ends_s[1]; /* that of the other end is told by the handshake; this one for certain ends it all */
    *out = c;
    return RK_OK;
}

struct rkp_creds *
rkp_certs_ref(struct rkp_certs *s)
{
    struct rkp_creds *c;

    pthread_mutex_lock(s->lock);
    c = s->creds;
    atomic_fetch_add(&c->refs, 1);
    pthread_mutex_unlock(s->lock);
    return c;
}

void
rkp_certs_unref(struct rkp_certs *s, struct rkp_creds **c)
{
    if (*c && atomic_fetch_sub(&(*c)->refs, 1) == 1)
        creds_free(s, *c);
    *c = NULL;
}

static void
log_if_expired(struct rkp_certs *s, struct rk_call *call, const struct rkp_creds *c)
{
    int64_t now_s = (int64_t)time(NULL);

    if (c->ends_s[0] < now_s)
        s->host->log(call, RK_LOG_WARNING, "ev=certificate option=cert file=%s res=expired renew it", s->cert_path);
    if (c->ca_ends_s < now_s)
        s->host->log(call, RK_LOG_WARNING, "ev=certificate option=ca file=%s res=expired renew it", s->ca_path);
}

static int
copy(struct rkp_certs *s, struct rk_call *call, const char *value, char **out)
{
    *out = value ? strdup(value) : NULL;
    return !value || *out ? RK_OK : s->host->fail(call, RK_E_NOMEM, "out of memory");
}

int
rkp_certs_open(struct rkp_certs *s, struct rk_call *call, const struct rk_conf *conf)
{
    struct rk_secret *key = NULL;
    struct why why;
    int err = copy(s, call, s->host->conf_str(conf, "cert"), &s->cert_path);

    err = err ? err : copy(s, call, s->host->conf_str(conf, "ca"), &s->ca_path);
    err = err ? err : copy(s, call, s->host->conf_str(conf, "key"), &s->key_value);
    if (!err && s->key_value && strncmp(s->key_value, "file:/", 6) == 0)
        take_stamps(s, &s->stamps); /* before they are read: what changes meanwhile is seen */
    err = err ? err : s->host->conf_secret(call, conf, "key", &key);
    if (!err && !key)
        err = s->host->fail(call, RK_E_CONFIG, "key: not given; it is the private key of %s", s->cert_path);
    if (err)
        return err;
    if (load(s, &key, &s->creds, &why))
        return s->host->fail(call, why.err, "%s", why.text);
    log_if_expired(s, call, s->creds);
    return RK_OK;
}

void
rkp_certs_close(struct rkp_certs *s)
{
    rkp_certs_unref(s, &s->creds);
    free(s->cert_path);
    free(s->ca_path);
    free(s->key_value);
}

/* Has the host expires() and secret_read()? */
bool
rkp_certs_can_tell(const struct rkp_certs *s)
{
    return s->host->size >= offsetof(struct rk_host, secret_read) + sizeof s->host->secret_read;
}

/* Is it time to look, and for this caller to do so? */
static bool
may_look(struct rkp_certs *s)
{
    bool can = rkp_certs_can_tell(s) && s->key_value && strncmp(s->key_value, "file:/", 6) == 0;
    int64_t now = now_ms();

    pthread_mutex_lock(s->lock);
    can = can && !s->looking && now >= s->look_ms;
    if (can) {
        s->looking = true;
        s->look_ms = now + LOOK_MS;
    }
    pthread_mutex_unlock(s->lock);
    return can;
}

/* Keep why what is there now is not used, "" it is.   ret: is that something new */
static bool
note_refusal(struct rkp_certs *s, const char *text)
{
    bool is_new;

    pthread_mutex_lock(s->lock);
    is_new = strcmp(s->refused, text) != 0;
    snprintf(s->refused, sizeof s->refused, "%s", text);
    pthread_mutex_unlock(s->lock);
    return is_new;
}

/* What is there now in the place of what is in use; that what cannot be used is said once.  When it could not be looked
 * at, for want of memory or descriptors, that is done again with the next look. */
static void
load_again(struct rkp_certs *s, struct rk_call *call, const struct rkp_stamps *now)
{
    struct rk_secret *key = NULL;
    struct rkp_creds *new = NULL, *old;
    struct why why;
    bool later, is_new;
    int err = s->host->secret_read(call, "key", s->key_value, &key);

    if (err)
        wrong(&why, err, "key: %s: cannot be read, or is not safe; it must be the daemon's alone", s->key_value);
    else
        err = load(s, &key, &new, &why);
    later = err == RK_E_NOMEM || err == RK_E_IO;
    if (!later)
        s->stamps = *now;
    is_new = note_refusal(s, err ? why.text : "");
    if (err) {
        if (is_new || !later)
            s->host->log(call, RK_LOG_WARNING,
                         "ev=certificate res=refused why=\"%s\" do=\"the old ones stay in use\"", why.text);
        return;
    }
    pthread_mutex_lock(s->lock);
    old = s->creds;
    s->creds = new;
    pthread_mutex_unlock(s->lock);
    rkp_certs_unref(s, &old);
    if (s->renewed)
        s->renewed(s->arg);
    s->host->log(call, RK_LOG_NOTICE, "ev=certificate file=%s res=renewed", s->cert_path);
    log_if_expired(s, call, new);
}

void
rkp_certs_look(struct rkp_certs *s, struct rk_call *call)
{
    struct rkp_stamps now;

    if (!may_look(s))
        return;
    take_stamps(s, &now);
    if (!same_stamps(&now, &s->stamps))
        load_again(s, call, &now);
    pthread_mutex_lock(s->lock);
    s->looking = false;
    pthread_mutex_unlock(s->lock);
}

void
rkp_certs_tell_ends(struct rkp_certs *s, struct rk_call *call)
{
    struct rkp_creds *c;

    if (!rkp_certs_can_tell(s))
        return;
    c = rkp_certs_ref(s);
    s->host->expires(call, s->cert_path, c->ends_s[0]);
    s->host->expires(call, s->ca_path, c->ca_ends_s);
    rkp_certs_unref(s, &c);
}
