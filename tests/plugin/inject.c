/* inject.c - malloc and system calls, replaced.  Test code.
 *
 * What is defined in the program comes before the same name in any library, so that libcurl and OpenSSL are hit too.
 */
#undef _FORTIFY_SOURCE /* its inline forms cannot be replaced */
#include "inject.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

static atomic_bool armed;
static atomic_long seen, live;
static long strike_at;
static enum inject_kind kind_now;
static const char *_Atomic struck = "";

void
inject_arm(enum inject_kind kind, long at)
{
    kind_now = kind;
    strike_at = at;
    atomic_store(&struck, "");
    atomic_store(&seen, 0);
    atomic_store(&armed, true);
}

long
inject_disarm(void)
{
    atomic_store(&armed, false);
    return atomic_load(&seen);
}

const char *
inject_struck(void)
{
    return atomic_load(&struck);
}

long
inject_live(void)
{
    return atomic_load(&live);
}

#if !defined(__GLIBC__) || defined(SANITIZED)

bool
inject_can_run(void)
{
    return false;
}

#else

bool
inject_can_run(void)
{
    return true;
}

static bool
strikes(enum inject_kind kind, const char *name)
{
    if (!atomic_load(&armed) || kind != kind_now || atomic_fetch_add(&seen, 1) + 1 != strike_at)
        return false;
    atomic_store(&struck, name);
    return true;
}

/* ---- memory ---- */

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static void *
counted(void *p)
{
    if (p)
        atomic_fetch_add(&live, 1);
    else
        errno = ENOMEM;
    return p;
}

void *
malloc(size_t size)
{
    return counted(strikes(INJECT_MEMORY, "malloc") ? NULL : __libc_malloc(size));
}

void *
calloc(size_t n, size_t size)
{
    return counted(strikes(INJECT_MEMORY, "calloc") ? NULL : __libc_calloc(n, size));
}

void *
realloc(void *old, size_t size)
{
    void *p = strikes(INJECT_MEMORY, "realloc") ? NULL : __libc_realloc(old, size);

    if (!old)
        return counted(p);
    if (!p && size > 0)
        errno = ENOMEM;
    else if (!p)
        atomic_fetch_sub(&live, 1); /* realloc(p, 0) frees */
    return p;
}

void *
aligned_alloc(size_t align, size_t size)
{
    return counted(strikes(INJECT_MEMORY, "aligned_alloc") ? NULL : __libc_memalign(align, size));
}

int
posix_memalign(void **out, size_t align, size_t size)
{
    *out = aligned_alloc(align, size);
    return *out ? 0 : ENOMEM;
}

void
free(void *p)
{
    int err = errno;

    if (p)
        atomic_fetch_sub(&live, 1);
    __libc_free(p);
    errno = err;
}

/* ---- system calls ---- */

static bool
fails(const char *name, int err)
{
    bool hit = strikes(INJECT_CALL, name);

    if (hit)
        errno = err;
    return hit;
}

/* A call that may wait: a signal ends it. */
static bool
interrupted(const char *name)
{
    bool hit = strikes(INJECT_INTERRUPT, name);

    if (hit)
        errno = EINTR;
    return hit;
}

#define NEXT(name) ((__typeof__(&name))next(&at_##name, #name))
#define PLACE(name) static void *_Atomic at_##name

/* dlsym() allocates: it is asked once, before anything is armed, or while it is not looked at. */
static void *
next(void *_Atomic *at, const char *name)
{
    bool was = atomic_exchange(&armed, false);

    if (!atomic_load(at))
        atomic_store(at, dlsym(RTLD_NEXT, name));
    atomic_store(&armed, was);
    return atomic_load(at);
}

PLACE(read);
ssize_t
read(int fd, void *buf, size_t len)
{
    return fails("read", EIO) || interrupted("read") ? -1 : NEXT(read)(fd, buf, len);
}

PLACE(write);
ssize_t
write(int fd, const void *buf, size_t len)
{
    return fails("write", EIO) || interrupted("write") ? -1 : NEXT(write)(fd, buf, len);
}

PLACE(recv);
ssize_t
recv(int fd, void *buf, size_t len, int flags)
{
    return fails("recv", ECONNRESET) || interrupted("recv") ? -1 : NEXT(recv)(fd, buf, len, flags);
}

PLACE(send);
ssize_t
send(int fd, const void *buf, size_t len, int flags)
{
    return fails("send", ECONNRESET) || interrupted("send") ? -1 : NEXT(send)(fd, buf, len, flags);
}

PLACE(poll);
int
poll(struct pollfd *fds, nfds_t n, int timeout)
{
    return fails("poll", ENOMEM) || interrupted("poll") ? -1 : NEXT(poll)(fds, n, timeout);
}

PLACE(socket);
int
socket(int domain, int type, int protocol)
{
    return fails("socket", EMFILE) ? -1 : NEXT(socket)(domain, type, protocol);
}

PLACE(socketpair);
int
socketpair(int domain, int type, int protocol, int fds[2])
{
    return fails("socketpair", EMFILE) ? -1 : NEXT(socketpair)(domain, type, protocol, fds);
}

PLACE(connect);
int
connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    return fails("connect", ENETUNREACH) ? -1 : NEXT(connect)(fd, addr, len);
}

PLACE(getsockopt);
int
getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    return fails("getsockopt", ENOBUFS) ? -1 : NEXT(getsockopt)(fd, level, name, value, len);
}

PLACE(setsockopt);
int
setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    return fails("setsockopt", ENOBUFS) ? -1 : NEXT(setsockopt)(fd, level, name, value, len);
}

PLACE(memfd_create);
int
memfd_create(const char *name, unsigned flags)
{
    return fails("memfd_create", EMFILE) ? -1 : NEXT(memfd_create)(name, flags);
}

PLACE(ftruncate);
int
ftruncate(int fd, off_t len)
{
    return fails("ftruncate", ENOSPC) || interrupted("ftruncate") ? -1 : NEXT(ftruncate)(fd, len);
}

PLACE(fstat);
int
fstat(int fd, struct stat *st)
{
    return fails("fstat", EIO) ? -1 : NEXT(fstat)(fd, st);
}

PLACE(stat);
int
stat(const char *path, struct stat *st)
{
    return fails("stat", EIO) ? -1 : NEXT(stat)(path, st);
}

PLACE(mlock);
int
mlock(const void *at, size_t len)
{
    return fails("mlock", ENOMEM) ? -1 : NEXT(mlock)(at, len);
}

PLACE(mmap);
void *
mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
    return fails("mmap", ENOMEM) ? MAP_FAILED : NEXT(mmap)(addr, len, prot, flags, fd, off);
}

PLACE(pthread_create);
int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    return fails("pthread_create", EAGAIN) ? EAGAIN : NEXT(pthread_create)(thread, attr, fn, arg);
}

#define OPEN(name)                                                                                                     \
    PLACE(name);                                                                                                       \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list args;                                                                                                  \
        mode_t mode;                                                                                                   \
                                                                                                                       \
        va_start(args, flags);                                                                                         \
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;                                               \
        va_end(args);                                                                                                  \
        return fails(#name, EMFILE) || interrupted(#name) ? -1 : NEXT(name)(path, flags, mode);                        \
    }
OPEN(open)
OPEN(open64)

#endif
