/* known.h - the host keys that a file knows for a host, and the words of a server's greeting
 *
 * The file is in the form of OpenSSH's known_hosts.  Names may be hashed; patterns are not understood and match
 * nothing; @revoked is obeyed; @cert-authority is skipped, as libssh2 reads no certificates.
 */
#ifndef NC_KNOWN_H
#define NC_KNOWN_H

#include <rekey/plugin.h>

#include <stdbool.h>
#include <stddef.h>

#include <libssh2.h>

#define NC_KEY_MAX 2048  /* longest host key [bytes] */
#define NC_KNOWN_MAX 32  /* keys of one host; more are not looked at */

struct nc_known_key {
    unsigned line;       /* of the file */
    bool revoked;
    char type[40];       /* "ssh-ed25519" */
    size_t len;
    unsigned char key[NC_KEY_MAX];
};

struct nc_known {
    size_t n, n_skipped;         /* skipped: keys of the host that cannot be read */
    struct nc_known_key *keys;
};

struct nc_blob {
    const void *bytes;
    size_t len;
};

/* nc_known_type - the type of a host key, "" when it is none, into type[40] */
void nc_known_type(struct nc_blob key, char type[40]);

/* nc_known_usable - may a key of this type be pinned: ed25519 and ECDSA.  libssh2 1.10 verifies RSA with SHA-1 only */
bool nc_known_usable(const char *type);

/* nc_known_read - the keys of a host in text[len]: those of [host]:port, and when there is none those of host
 * in:   ssh  any session, for its memory
 * out:  *known, for nc_known_end.   ret: RK_OK or RK_E_NOMEM */
struct nc_known_host {
    const char *name;
    uint16_t port;
};
int nc_known_read(LIBSSH2_SESSION *ssh, const struct nc_known_host *host, struct nc_blob text, struct nc_known *known);
void nc_known_end(struct nc_known *known);

/* nc_known_types - the types that can be pinned of these keys, as "a,b", each once; "": none */
void nc_known_types(const struct nc_known *known, char *out, size_t size);

/* nc_known_name - how host is named in the file, "[host]:port" or "host", lower case
 * nc_known_line - the line that records key for it, with its newline;  ret: false: out[size] is too small */
void nc_known_name(const struct nc_known_host *host, char *out, size_t size);
bool nc_known_line(LIBSSH2_SESSION *ssh, const struct nc_known_host *host, struct nc_blob key, char *out, size_t size);

/* nc_greeting_types - the types of host keys that a server offers, from its first bytes, as "a,b"; "": not to be seen
 * src:  RFC 4253 4.2, 6, 7.1 */
void nc_greeting_types(struct nc_blob greeting, char *out, size_t size);

#endif
