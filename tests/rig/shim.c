/* shim.c - loaded into rekeyd and its hosts by tests (LD_PRELOAD), so that the product needs no hooks for them.
 *
 * In rekeyd: when a line "ev=step ..." is logged that has all words of the file that REKEY_SHIM_AT names ("9 end=a
 * act=stage when=asked": a signal, and words), the file is removed and the process sends itself that signal, at exactly
 * that step.  In a host: each request to the kernel to add a MACsec transmit key leaves a line in the file that
 * REKEY_SHIM_TX names, with a hash that tells keys apart.  Never changes what a process does otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/if_macsec.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#ifdef __GLIBC__ /* declares it with a union of all kinds of addresses */
#define ADDRESS __CONST_SOCKADDR_ARG
#define PLAIN(to) (to).__sockaddr__
#else
#define ADDRESS const struct sockaddr *
#define PLAIN(to) (to)
#endif

static char at_path[256], tx_path[256]; /* "": not wanted.  Copies: a host cleans its environment */

static void
take(const char *name, char *path, size_t size)
{
    const char *value = getenv(name);

    snprintf(path, size, "%s", value ? value : "");
}

__attribute__((constructor)) static void
start(void)
{
    bool daemon = strcmp(program_invocation_short_name, "rekeyd") == 0;

    take(daemon ? "REKEY_SHIM_AT" : "REKEY_SHIM_TX", daemon ? at_path : tx_path, sizeof at_path);
}

/* ---- rekeyd: a signal at a step ---- */

/* Is the word one of the line's: between blanks, or at its end. */
static bool
has_word(const char *line, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = strstr(line, word); at; at = strstr(at + 1, word))
        if (at > line && at[-1] == ' ' && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

/* The signal that is wanted at this line; 0: none. */
static int
wanted_at(const char *line)
{
    char text[256], *save = NULL, *word;
    int fd = open(at_path, O_RDONLY | O_CLOEXEC), sig;
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    word = strtok_r(text, " \n", &save);
    sig = word ? atoi(word) : 0;
    while ((word = strtok_r(NULL, " \n", &save)))
        if (!has_word(line, word))
            return 0;
    return sig;
}

static void
look(const char *bytes, size_t n)
{
    char line[512];
    int sig;

    if (n == 0 || n > sizeof line || !memmem(bytes, n, " ev=step ", 9))
        return;
    memcpy(line, bytes, n);
    line[n - 1] = '\0';
    sig = wanted_at(line);
    if (!sig)
        return;
    unlink(at_path);
    kill(getpid(), sig);
}

EXPORT ssize_t
write(int fd, const void *bytes, size_t n)
{
    ssize_t done = syscall(SYS_write, fd, bytes, n);
    int err = errno;

    if (fd == STDERR_FILENO && at_path[0])
        look(bytes, n);
    errno = err;
    return done;
}

/* ---- a host: what the kernel is asked to transmit with ---- */

static const struct nlattr *
find(const struct nlattr *attr, size_t left, int type)
{
    while (left >= sizeof *attr && attr->nla_len >= sizeof *attr && attr->nla_len <= left) {
        size_t step = NLA_ALIGN(attr->nla_len);

        if ((attr->nla_type & NLA_TYPE_MASK) == type)
            return attr;
        if (step >= left)
            break;
        left -= step;
        attr = (const void *)((const char *)attr + step);
    }
    return NULL;
}

static void
put_hash(FILE *out, const struct nlattr *attr)
{
    const unsigned char *bytes = (const void *)(attr + 1);
    uint64_t h = 14695981039346656037u;

    for (size_t i = sizeof *attr; i < attr->nla_len; i++)
        h = (h ^ *bytes++) * 1099511628211u;
    fprintf(out, " key=%016llx", (unsigned long long)h);
}

static void
tell(const struct nlattr *sa)
{
    const void *in = sa + 1;
    size_t len = sa->nla_len - sizeof *sa;
    const struct nlattr *key = find(in, len, MACSEC_SA_ATTR_KEY), *id = find(in, len, MACSEC_SA_ATTR_KEYID);
    const struct nlattr *an = find(in, len, MACSEC_SA_ATTR_AN);
    FILE *out = key && id && an ? fopen(tx_path, "ae") : NULL;

    if (!out)
        return;
    fprintf(out, "add-tx an=%u id=", *(const unsigned char *)(an + 1));
    for (size_t i = 0; i < id->nla_len - sizeof *id; i++)
        fprintf(out, "%02x", ((const unsigned char *)(id + 1))[i]);
    put_hash(out, key);
    fputc('\n', out);
    fclose(out);
}

static bool
is_generic(int fd)
{
    int domain = 0, protocol = 0;
    socklen_t size = sizeof domain;

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK &&
           getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == NETLINK_GENERIC;
}

EXPORT ssize_t
sendto(int fd, const void *bytes, size_t n, int flags, ADDRESS to, socklen_t to_len)
{
    const struct nlmsghdr *h = bytes;
    const struct genlmsghdr *g = (const void *)(h + 1);

    if (tx_path[0] && n >= sizeof *h + sizeof *g && is_generic(fd) && h->nlmsg_len <= n &&
        h->nlmsg_len >= sizeof *h + sizeof *g &&
        h->nlmsg_type != GENL_ID_CTRL && g->cmd == MACSEC_CMD_ADD_TXSA) {
        size_t left = h->nlmsg_len - sizeof *h - sizeof *g;
        const struct nlattr *sa = find((const void *)(g + 1), left, MACSEC_ATTR_SA_CONFIG);

        if (sa)
            tell(sa);
    }
    return syscall(SYS_sendto, fd, bytes, n, flags, PLAIN(to), to_len);
}
