/* login.c - public key authentication, with a key from memory or by an agent.
 *
 * The key's text stays in its secret; libssh2's copies are wiped when it frees them (nc_alloc).
 */
#include "session.h"

#include "../keytext.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PASSPHRASE_MAX 1023

struct attempt {
    struct nc_session *s;
    const struct nc_target *t;
    char *passphrase; /* NUL-ended, in memory of its own; NULL: none */
    bool rsa;         /* the key says so itself */
    int rc;
};

/* The first bytes of what is between the lines "-----", as far as they fit.  ret: how many */
static size_t
first_bytes(const unsigned char *text, size_t len, unsigned char out[300])
{
    const unsigned char *p = memchr(text, '\n', len), *end = text + len;
    char line[401];
    size_t n = 0;

    for (; p && p < end && n < 400 && *p != '-'; p++)
        if (*p != '\n' && *p != '\r')
            line[n++] = (char)*p;
    n -= n % 4;
    len = rkp_base64_len(line, n);
    if (len > 0)
        rkp_base64_get(line, n, out);
    explicit_bzero(line, sizeof line);
    return len;
}

/* Is it an RSA key, as far as it tells?  OpenSSH's form has the public half first, PKCS #8 the object identifier. */
static bool
is_rsa(const unsigned char *text, size_t len)
{
    static const unsigned char oid[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
    unsigned char bytes[300];
    size_t n = first_bytes(text, len, bytes);
    bool found = memmem(text, len, "BEGIN RSA PRIVATE KEY", 21) || memmem(bytes, n, "ssh-rsa", 7) ||
                 memmem(bytes, n, oid, sizeof oid);

    explicit_bzero(bytes, sizeof bytes);
    return found;
}

static int
try_key(const unsigned char *bytes, size_t len, void *arg)
{
    struct attempt *a = arg;
    const char *user = a->t->user;
    int err;

    a->rsa = is_rsa(bytes, len);
    do
        a->rc = libssh2_userauth_publickey_frommemory(a->s->ssh, user, strlen(user), NULL, 0, (const char *)bytes, len,
                                                      a->passphrase);
    while (nc_again(a->s, a->rc, &err));
    return err;
}

static int
fail_login(const struct attempt *a)
{
    struct nc_session *s = a->s;
    const char *key = a->t->key_name ? a->t->key_name : "the private key";

    if (a->rsa)
        return s->host->fail(s->call, RK_E_AUTH,
                             "%s: %s is an RSA key, and those are only signed with SHA-1 here, which "
                             "routers refuse: make an ed25519 key (ssh-keygen -t ed25519)",
                             s->where, key);
    switch (a->rc) {
    case LIBSSH2_ERROR_FILE:
    case LIBSSH2_ERROR_KEYFILE_AUTH_FAILED:
    case LIBSSH2_ERROR_METHOD_NONE:
    case LIBSSH2_ERROR_PROTO:
    case -1: /* what its readers of key files return for what they cannot read */
        return s->host->fail(s->call, RK_E_AUTH,
                             "%s: %s cannot be used: it must be an ed25519 or ECDSA key in OpenSSH's "
                             "form or PEM%s",
                             s->where, key,
                             a->passphrase ? ", and the passphrase the right one"
                                           : ", and needs a passphrase if it has one");
    case LIBSSH2_ERROR_AUTHENTICATION_FAILED:
    case LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED:
        return s->host->fail(s->call, RK_E_AUTH,
                             "%s: the router refused %s; is its public half there (set system login "
                             "user %.60s authentication ssh-ed25519 ...)?",
                             s->where, key, a->t->user);
    default:
        return nc_broken(s, a->rc);
    }
}

static int
copy_passphrase(const unsigned char *bytes, size_t len, void *arg)
{
    char *to = arg;

    memcpy(to, bytes, len);
    to[len] = '\0';
    return memchr(bytes, '\0', len) ? RK_E_CONFIG : RK_OK;
}

static int
login_by_key(struct nc_session *s, const struct nc_target *t)
{
    struct attempt a = {.s = s, .t = t};
    size_t len = t->passphrase ? s->host->secret_len(t->passphrase) : 0;
    int err = RK_OK;

    if (len > PASSPHRASE_MAX)
        return s->host->fail(s->call, RK_E_CONFIG, "%s: the passphrase is longer than %d bytes", s->where,
                             PASSPHRASE_MAX);
    if (len > 0) {
        a.passphrase = nc_secret_memory(PASSPHRASE_MAX + 1);
        if (!a.passphrase)
            return s->host->fail(s->call, RK_E_NOMEM, "out of memory");
        err = s->host->secret_use(t->passphrase, copy_passphrase, a.passphrase);
        if (err)
            s->host->fail(s->call, err, "%s: the passphrase is no text", s->where);
    }
    if (!err) {
        err = s->host->secret_use(t->key, try_key, &a);
        if (!err && a.rc)
            err = fail_login(&a);
    }
    nc_secret_memory_free(a.passphrase, PASSPHRASE_MAX + 1);
    return err;
}

int
nc_login(struct nc_session *s, const struct nc_target *t)
{
    s->doing = "logging in";
    return t->key ? login_by_key(s, t) : nc_agent_login(s, t);
}
