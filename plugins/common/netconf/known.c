/* known.c - reads known_hosts line by line, so that a text can name the line.  Pure but for libssh2's memory. */
#include "known.h"

#include "../keytext.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 8192
#define HOSTNAME_MAX 256

static const char *const usable[] = {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                                     "ecdsa-sha2-nistp521"};
#define N_USABLE (sizeof usable / sizeof *usable)

bool
nc_known_usable(const char *type)
{
    for (size_t i = 0; i < N_USABLE; i++)
        if (strcmp(type, usable[i]) == 0)
            return true;
    return false;
}

static uint32_t
get32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void
nc_known_type(struct nc_blob key, char type[40])
{
    const unsigned char *p = key.bytes;
    size_t len = key.len >= 4 ? get32(p) : 0;

    type[0] = '\0';
    if (len == 0 || len > 39 || len > key.len - 4)
        return;
    for (size_t i = 0; i < len; i++)
        if (p[4 + i] <= ' ' || p[4 + i] > '~' || p[4 + i] == ',')
            return;
    memcpy(type, p + 4, len);
    type[len] = '\0';
}

void
nc_known_name(const struct nc_known_host *host, char *out, size_t size)
{
    if (host->port == 22)
        snprintf(out, size, "%s", host->name);
    else
        snprintf(out, size, "[%s]:%u", host->name, host->port);
    for (; *out; out++)
        *out = (char)tolower((unsigned char)*out);
}

/* ---- one line ---- */

struct looking {
    LIBSSH2_SESSION *ssh;
    char name[HOSTNAME_MAX + 16]; /* exactly this one */
    struct nc_known *known;
};

/* The entry's own key, asked of its own line, is a match when the line is one of the host: hashes are libssh2's. */
static bool
is_of_host(LIBSSH2_KNOWNHOSTS *hosts, const char *name, const struct libssh2_knownhost *entry)
{
    struct libssh2_knownhost *found = NULL;
    int mask =
        LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_BASE64 | (entry->typemask & LIBSSH2_KNOWNHOST_KEY_MASK);

    return libssh2_knownhost_checkp(hosts, name, -1, entry->key, strlen(entry->key), mask, &found) ==
           LIBSSH2_KNOWNHOST_CHECK_MATCH;
}

static int
keep(struct nc_known *known, const char *base64, unsigned line, bool revoked)
{
    size_t text = strlen(base64), len = rkp_base64_len(base64, text);
    struct nc_known_key *k;

    if (len == 0 || len > NC_KEY_MAX || known->n >= NC_KNOWN_MAX) {
        known->n_skipped++;
        return RK_OK;
    }
    k = realloc(known->keys, (known->n + 1) * sizeof *k);
    if (!k)
        return RK_E_NOMEM;
    known->keys = k;
    k += known->n;
    memset(k, 0, sizeof *k);
    rkp_base64_get(base64, text, k->key);
    k->len = len;
    k->line = line;
    k->revoked = revoked;
    nc_known_type((struct nc_blob){k->key, len}, k->type);
    known->n++;
    return RK_OK;
}

/* A line that names others cannot name the host: that is seen without libssh2's help. */
static bool
may_name(const char *line, size_t len, const char *name)
{
    size_t n = strlen(name), names = 0;

    while (names < len && line[names] != ' ' && line[names] != '\t')
        names++;
    if (line[0] == '|')
        return true;
    for (size_t i = 0; i + n <= names; i++)
        if (strncasecmp(line + i, name, n) == 0)
            return true;
    return false;
}

/* Names in lower case, as libssh2 compares them byte by byte; hashes are of lower case. */
static size_t
copy_line(const char *line, size_t len, char out[LINE_MAX_BYTES])
{
    bool names = line[0] != '|';

    for (size_t i = 0; i < len; i++) {
        names = names && line[i] != ' ' && line[i] != '\t';
        out[i] = (char)(names ? tolower((unsigned char)line[i]) : line[i]);
    }
    return len;
}

static int
look_at(const struct looking *l, const char *line, size_t len, unsigned number)
{
    bool revoked = len > 9 && memcmp(line, "@revoked", 8) == 0 && (line[8] == ' ' || line[8] == '\t');
    struct libssh2_knownhost *entry = NULL;
    char copy[LINE_MAX_BYTES];
    LIBSSH2_KNOWNHOSTS *hosts;
    int err = RK_OK;

    for (size_t skip = revoked ? 8 : 0; len > 0 && (skip > 0 || *line == ' ' || *line == '\t'); skip -= skip > 0)
        line++, len--;
    if (len == 0 || len >= sizeof copy || *line == '#' || *line == '@' || !may_name(line, len, l->name))
        return RK_OK;
    len = copy_line(line, len, copy);
    hosts = libssh2_knownhost_init(l->ssh);
    if (!hosts)
        return RK_E_NOMEM;
    if (libssh2_knownhost_readline(hosts, copy, len, LIBSSH2_KNOWNHOST_FILE_OPENSSH) == 0)
        while (!err && libssh2_knownhost_get(hosts, &entry, entry) == 0) {
            if (!is_of_host(hosts, l->name, entry))
                continue;
            err = keep(l->known, entry->key, number, revoked);
            break; /* all names of a line have the same key */
        }
    libssh2_knownhost_free(hosts);
    return err;
}

static int
look_in(const struct looking *l, struct nc_blob text)
{
    const char *p = text.bytes, *end = p + text.len;
    int err = RK_OK;

    for (unsigned number = 1; p < end && !err; number++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((newline ? newline : end) - p);

        err = look_at(l, p, len > 0 && p[len - 1] == '\r' ? len - 1 : len, number);
        p = newline ? newline + 1 : end;
    }
    return err;
}

int
nc_known_read(LIBSSH2_SESSION *ssh, const struct nc_known_host *host, struct nc_blob text, struct nc_known *known)
{
    struct looking l = {.ssh = ssh, .known = known};
    int err;

    memset(known, 0, sizeof *known);
    snprintf(l.name, sizeof l.name, "[%.*s]:%u", HOSTNAME_MAX, host->name, host->port);
    for (char *p = l.name; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    err = look_in(&l, text);
    if (err || known->n + known->n_skipped > 0)
        return err;
    nc_known_name(&(struct nc_known_host){host->name, 22}, l.name, sizeof l.name);
    return look_in(&l, text);
}

void
nc_known_end(struct nc_known *known)
{
    free(known->keys);
    memset(known, 0, sizeof *known);
}

void
nc_known_types(const struct nc_known *known, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t u = 0; u < N_USABLE; u++)
        for (size_t i = 0; i < known->n; i++) {
            if (known->keys[i].revoked || strcmp(known->keys[i].type, usable[u]) != 0)
                continue;
            len += (size_t)snprintf(out + len, len < size ? size - len : 0, "%s%s", len ? "," : "", usable[u]);
            break;
        }
}

bool
nc_known_line(LIBSSH2_SESSION *ssh, const struct nc_known_host *host, struct nc_blob key, char *out, size_t size)
{
    static const int masks[] = {LIBSSH2_KNOWNHOST_KEY_ED25519, LIBSSH2_KNOWNHOST_KEY_ECDSA_256,
                                LIBSSH2_KNOWNHOST_KEY_ECDSA_384, LIBSSH2_KNOWNHOST_KEY_ECDSA_521};
    LIBSSH2_KNOWNHOSTS *hosts = libssh2_knownhost_init(ssh);
    struct libssh2_knownhost *entry = NULL;
    char name[HOSTNAME_MAX + 16], type[40];
    size_t len = 0, u = 0;
    bool ok;

    nc_known_name(host, name, sizeof name);
    nc_known_type(key, type);
    while (u < N_USABLE && strcmp(type, usable[u]) != 0)
        u++;
    ok = hosts && u < N_USABLE &&
         libssh2_knownhost_addc(hosts, name, NULL, key.bytes, key.len, NULL, 0,
                                LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW | masks[u], &entry) == 0 &&
         libssh2_knownhost_writeline(hosts, entry, out, size, &len, LIBSSH2_KNOWNHOST_FILE_OPENSSH) == 0 && len > 0 &&
         out[len - 1] == '\n';
    if (hosts)
        libssh2_knownhost_free(hosts);
    return ok;
}

/* ---- a server's greeting ---- */

/* The packet behind the line that begins with "SSH-"; len 0: not all there */
static struct nc_blob
find_kexinit(struct nc_blob g)
{
    const unsigned char *p = g.bytes, *end = p + g.len, *newline;

    while (p < end && (newline = memchr(p, '\n', (size_t)(end - p)))) {
        bool version = newline - p > 4 && memcmp(p, "SSH-", 4) == 0;

        p = newline + 1;
        if (version)
            return end - p > 22 && p[5] == 20 ? (struct nc_blob){p + 22, (size_t)(end - p) - 22}
                                              : (struct nc_blob){NULL, 0};
    }
    return (struct nc_blob){NULL, 0};
}

void
nc_greeting_types(struct nc_blob greeting, char *out, size_t size)
{
    struct nc_blob k = find_kexinit(greeting);
    const unsigned char *p = k.bytes;
    size_t skip = k.len >= 4 ? get32(p) : 0, len;

    out[0] = '\0';
    if (k.len < 8 || skip > k.len - 8)
        return;
    p += 4 + skip;
    len = get32(p);
    if (len > k.len - 8 - skip || len >= size)
        return;
    for (size_t i = 0; i < len; i++)
        if (p[4 + i] <= ' ' || p[4 + i] > '~')
            return;
    memcpy(out, p + 4, len);
    out[len] = '\0';
}
