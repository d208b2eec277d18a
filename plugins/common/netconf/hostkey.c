/* hostkey.c - the handshake, and whether the host is the one that known_hosts knows.
 *
 * The file is read first and only types that it knows are agreed on: else a host that is known by one key would show
 * another one and look like a stranger.  Nothing is sent to a host that was not verified.
 */
#include "known.h"
#include "session.h"

#include "../files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (8 * 1024 * 1024) /* some 50,000 hosts [bytes] */
#define LOCK_PAUSE_MS 5
#define ALL_TYPES "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521"

/* No SHA-1, no CBC, no RC4: what is left is in every OpenSSH and Junos of the last ten years. */
#define KEX                                                                                                            \
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"         \
    "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group-exchange-sha256,"                \
    "diffie-hellman-group14-sha256"
#define CIPHERS "aes256-ctr,aes192-ctr,aes128-ctr"
#define MACS "hmac-sha2-256,hmac-sha2-512"

struct checking {
    struct nc_session *s;
    const struct nc_target *t;
    struct nc_known_host host;
    struct nc_known known;
    struct nc_blob key;       /* what the server showed */
    char type[40], print[60]; /* its type and fingerprint */
};

/* ---- the file ---- */

/* Content of fd; *text owned by the caller. */
static int
read_all(struct checking *c, int fd, struct nc_blob *text)
{
    struct stat st;
    char *buf;
    ssize_t n;

    if (fstat(fd, &st) < 0 || st.st_size > FILE_MAX)
        return c->s->host->fail(c->s->call, RK_E_UNSAFE, "%s: is longer than %d MiB", c->t->known_hosts,
                                FILE_MAX >> 20);
    buf = malloc((size_t)st.st_size + 4096);
    if (!buf)
        return c->s->host->fail(c->s->call, RK_E_NOMEM, "out of memory");
    n = lseek(fd, 0, SEEK_SET) < 0 ? -1 : rkp_read_small(fd, buf, (size_t)st.st_size + 4096);
    if (n < 0) {
        free(buf);
        return c->s->host->fail(c->s->call, RK_E_IO, "%s: cannot be read: %m", c->t->known_hosts);
    }
    *text = (struct nc_blob){buf, (size_t)n};
    return RK_OK;
}

static int
read_known(struct checking *c, int fd)
{
    struct nc_blob text;
    int err = read_all(c, fd, &text);

    if (err)
        return err;
    nc_known_end(&c->known);
    err = nc_known_read(c->s->ssh, &c->host, text, &c->known);
    free((void *)text.bytes);
    return err ? c->s->host->fail(c->s->call, err, "out of memory") : RK_OK;
}

static int
read_file(struct checking *c)
{
    struct rkp_why why;
    int fd, err = rkp_open_file(AT_FDCWD, c->t->known_hosts, RKP_NOT_SHARED, &fd, &why);

    if (err == RK_E_NOENT && c->t->trust_first_use)
        return RK_OK;
    if (err)
        return c->s->host->fail(c->s->call, err, "known hosts: %s", why.text);
    err = rkp_check_parent(geteuid(), c->t->known_hosts, &why);
    err = err ? c->s->host->fail(c->s->call, err, "known hosts: %s", why.text) : read_known(c, fd);
    close(fd);
    return err;
}

static bool
is_known(const struct checking *c)
{
    return c->known.n + c->known.n_skipped > 0;
}

/* ---- what is agreed on ---- */

static int
fail_no_type(struct checking *c)
{
    const struct nc_known_key *k = c->known.n ? &c->known.keys[0] : NULL;

    return c->s->host->fail(
        c->s->call, RK_E_AUTH,
        "%s: %s:%u knows it by a key of type %s only, and only ed25519 and "
        "ECDSA keys can be verified: give the router one (set system services ssh "
        "hostkey-algorithm ssh-ed25519) and add it to the file (ssh-keyscan -t ed25519,ecdsa -p %u)",
        c->s->where, c->t->known_hosts, k ? k->line : 0, k && k->type[0] ? k->type : "unknown", c->t->port);
}

static int
pin(struct checking *c, char *types, size_t size)
{
    LIBSSH2_SESSION *ssh = c->s->ssh;
    int rc;

    snprintf(types, size, "%s", ALL_TYPES);
    if (is_known(c))
        nc_known_types(&c->known, types, size);
    if (!types[0])
        return fail_no_type(c);
    rc = libssh2_session_method_pref(ssh, LIBSSH2_METHOD_HOSTKEY, types);
    if (!rc)
        rc = libssh2_session_method_pref(ssh, LIBSSH2_METHOD_KEX, KEX);
    if (!rc)
        rc = libssh2_session_method_pref(ssh, LIBSSH2_METHOD_CRYPT_CS, CIPHERS);
    if (!rc)
        rc = libssh2_session_method_pref(ssh, LIBSSH2_METHOD_CRYPT_SC, CIPHERS);
    if (!rc)
        rc = libssh2_session_method_pref(ssh, LIBSSH2_METHOD_MAC_CS, MACS);
    if (!rc)
        rc = libssh2_session_method_pref(ssh, LIBSSH2_METHOD_MAC_SC, MACS);
    return rc ? nc_broken(c->s, rc) : RK_OK;
}

/* Is a type of the list a in the list b? */
static bool
in_common(const char *a, const char *b)
{
    for (size_t n; *a; a += n + (a[n] == ',')) {
        n = strcspn(a, ",");
        for (size_t m, i = 0; b[i]; i += m + (b[i + m] == ',')) {
            m = strcspn(b + i, ",");
            if (m == n && memcmp(a, b + i, n) == 0)
                return true;
        }
    }
    return false;
}

/* The types of host keys are what fails in practice: say so. */
static int
fail_types(struct checking *c, const char *offered, const char *wanted)
{
    if (!in_common(ALL_TYPES, offered))
        return c->s->host->fail(c->s->call, RK_E_AUTH,
                                "%s: has host keys of type %.120s only, and only ed25519 and ECDSA "
                                "keys can be verified: give the router one (set system services ssh hostkey-algorithm "
                                "ssh-ed25519) and add it to %s",
                                c->s->where, offered, c->t->known_hosts);
    return c->s->host->fail(c->s->call, RK_E_AUTH,
                            "%s: %s:%u knows its key of type %s, but it has %.120s: add one of "
                            "these to the file, when it is the router's (ssh-keyscan -p %u)",
                            c->s->where, c->t->known_hosts, c->known.n ? c->known.keys[0].line : 0, wanted, offered,
                            c->t->port);
}

static int
fail_handshake(struct checking *c, int rc, const char *wanted)
{
    struct nc_session *s = c->s;
    struct nc_blob greeting = {s->greeting, s->greeting_len};
    bool lost = rc == LIBSSH2_ERROR_SOCKET_DISCONNECT || rc == LIBSSH2_ERROR_SOCKET_RECV ||
                rc == LIBSSH2_ERROR_SOCKET_SEND || rc == LIBSSH2_ERROR_BANNER_RECV;
    char offered[512];

    s->over = true;
    nc_greeting_types(greeting, offered, sizeof offered);
    if (offered[0] && !in_common(wanted, offered))
        return fail_types(c, offered, wanted);
    if (lost && s->greeting_len == 0)
        return s->host->fail(s->call, RK_E_BUSY,
                             "%s: closed the connection before a word; see its limits (set system "
                             "services netconf ssh connection-limit, rate-limit)",
                             s->where);
    if (s->greeting_len >= 4 && !memmem(s->greeting, s->greeting_len, "SSH-", 4))
        return s->host->fail(s->call, RK_E_PROTOCOL, "%s: what answers there is no SSH server", s->where);
    return nc_broken(s, rc);
}

/* ---- the key ---- */

static void
base64(const unsigned char *in, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned held = 0, bits = 0;

    for (size_t i = 0; i < n; i++) {
        held = held << 8 | in[i];
        for (bits += 8; bits >= 6; bits -= 6)
            *out++ = digits[held >> (bits - 6) & 63];
    }
    if (bits)
        *out++ = digits[held << (6 - bits) & 63];
    *out = '\0';
}

static int
take_key(struct checking *c)
{
    unsigned char digest[32];
    int type;

    c->key.bytes = libssh2_session_hostkey(c->s->ssh, &c->key.len, &type);
    if (!c->key.bytes || c->s->host->sha256(c->key.bytes, c->key.len, digest) != RK_OK)
        return c->s->host->fail(c->s->call, RK_E_PROTOCOL, "%s: its host key cannot be read", c->s->where);
    nc_known_type(c->key, c->type);
    strcpy(c->print, "SHA256:");
    base64(digest, sizeof digest, c->print + 7);
    return RK_OK;
}

static int
fail_differs(const struct checking *c)
{
    const struct nc_known_key *k = &c->known.keys[0];
    char name[300];

    for (size_t i = 0; i < c->known.n; i++)
        if (strcmp(c->known.keys[i].type, c->type) == 0)
            k = &c->known.keys[i];
    nc_known_name(&c->host, name, sizeof name);
    return c->s->host->fail(c->s->call, RK_E_AUTH,
                            "%s: its %s key %s is not the one of %s:%u (%s): someone may be in "
                            "between; if the router was replaced, compare the key there, then remove the old one "
                            "(ssh-keygen -f %s -R '%s') and add the new",
                            c->s->where, c->type, c->print, c->t->known_hosts, k->line, k->type, c->t->known_hosts,
                            name);
}

/* The key against what is known.  ret: RK_OK; RK_E_NOENT, not stated: the host is not known; else stated */
static int
judge(const struct checking *c)
{
    bool found = false;

    for (size_t i = 0; i < c->known.n; i++) {
        const struct nc_known_key *k = &c->known.keys[i];

        if (k->len != c->key.len || memcmp(k->key, c->key.bytes, k->len) != 0)
            continue;
        if (k->revoked)
            return c->s->host->fail(c->s->call, RK_E_AUTH, "%s: its %s key %s is revoked by %s:%u", c->s->where,
                                    c->type, c->print, c->t->known_hosts, k->line);
        found = true;
    }
    if (found)
        return RK_OK;
    return is_known(c) ? c->known.n ? fail_differs(c) : fail_no_type((struct checking *)c) : RK_E_NOENT;
}

/* ---- trust on first use ---- */

static int
open_locked(struct checking *c, int *fd)
{
    struct nc_session *s = c->s;
    struct stat st;
    int err = RK_OK;

    *fd = open(c->t->known_hosts, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (*fd < 0)
        return s->host->fail(s->call, rkp_code(errno), "%s: the key of %s cannot be recorded, so it is not trusted: %m",
                             c->t->known_hosts, s->where);
    while (flock(*fd, LOCK_EX | LOCK_NB) < 0 && !err)
        err = errno == EWOULDBLOCK || errno == EINTR ? rkp_pause(s->host, s->call, -1, LOCK_PAUSE_MS) : RK_E_IO;
    if (err)
        return s->host->fail(s->call, err, "%s: is locked by another process", c->t->known_hosts);
    if (fstat(*fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
        (st.st_mode & RKP_NOT_SHARED))
        return s->host->fail(s->call, RK_E_UNSAFE,
                             "%s: must be a regular file of the daemon's user that nobody else can "
                             "write",
                             c->t->known_hosts);
    return RK_OK;
}

/* One write, whole or taken back. */
static int
append(struct checking *c, int fd)
{
    char line[NC_KEY_MAX * 2 + 400] = "\n", last = '\n';
    struct stat st;
    size_t len;

    if (!nc_known_line(c->s->ssh, &c->host, c->key, line + 1, sizeof line - 1) || fstat(fd, &st) < 0 ||
        (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1))
        return -1;
    len = strlen(line);
    if (last == '\n')
        memmove(line, line + 1, len--);
    if (write(fd, line, len) == (ssize_t)len && fsync(fd) == 0 && rkp_sync_parent(c->t->known_hosts) == 0)
        return 0;
    (void)!ftruncate(fd, st.st_size);
    return -1;
}

static int
record_in(struct checking *c, int fd)
{
    int err = read_known(c, fd); /* again, under the lock: another may have been first */

    if (!err)
        err = judge(c);
    if (err != RK_E_NOENT)
        return err;
    if (append(c, fd) < 0)
        return c->s->host->fail(c->s->call, RK_E_IO, "%s: the key of %s cannot be recorded, so it is not trusted: %m",
                                c->t->known_hosts, c->s->where);
    c->s->host->log(c->s->call, RK_LOG_NOTICE, "ev=hostkey-trusted host=%.100s port=%u type=%s key=%s file=%s",
                    c->t->host, c->t->port, c->type, c->print, c->t->known_hosts);
    return RK_OK;
}

static int
trust(struct checking *c)
{
    int fd = -1, err;

    if (!c->t->trust_first_use)
        return c->s->host->fail(c->s->call, RK_E_AUTH,
                                "%s: is not in %s; its %s key is %s: compare it on the router's "
                                "console, then add it (ssh-keyscan -t ed25519,ecdsa -p %u %.100s)",
                                c->s->where, c->t->known_hosts, c->type, c->print, c->t->port, c->t->host);
    err = open_locked(c, &fd);
    if (!err)
        err = record_in(c, fd);
    if (fd >= 0)
        close(fd);
    return err;
}

static int
shake_hands(struct checking *c)
{
    char types[200];
    int err = pin(c, types, sizeof types), rc;

    if (err)
        return err;
    c->s->doing = "shaking hands";
    do
        rc = libssh2_session_handshake(c->s->ssh, c->s->fd);
    while (nc_again(c->s, rc, &err));
    if (!err && rc)
        err = fail_handshake(c, rc, types);
    return err;
}

int
nc_handshake(struct nc_session *s, const struct nc_target *t)
{
    struct checking c = {.s = s, .t = t, .host = {t->host, t->port}};
    int err = read_file(&c);

    s->greeting = malloc(NC_GREETING_MAX); /* without it a text says less */
    if (!err)
        err = shake_hands(&c);
    if (!err)
        err = take_key(&c);
    if (!err)
        err = judge(&c);
    if (err == RK_E_NOENT && !is_known(&c) && c.print[0])
        err = trust(&c);
    nc_known_end(&c.known);
    free(s->greeting);
    s->greeting = NULL;
    return err;
}
