/* probe.c - a library that rekey-plugin-check loads into rekey-host, before all others
 *
 * It stands before malloc() and poll() of the C library.  The host's main thread comes by poll() between two turns of
 * its loop: there surveys are made, when one is asked for.  It must never call what allocates.
 */
#include "probe.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define OURS __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)
#define EARLY_BYTES 8192 /* for what dlsym() allocates while malloc() is looked for */
#define CHUNK_BYTES 65536
#define PAGE_BYTES 4096

static struct rk_probe *page;
static pthread_t main_thread;
static _Atomic int64_t live_bytes, live_blocks;

static unsigned char early[EARLY_BYTES] __attribute__((aligned(16)));
static size_t early_used;
static unsigned char chunk[CHUNK_BYTES], maps[CHUNK_BYTES];

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void *(*real_memalign)(size_t, size_t);
static void (*real_free)(void *);
static int (*real_poll)(struct pollfd *, nfds_t, int);

/* ---- allocations ---- */

/* ISO C knows no way from an object pointer to a function's. */
static void
look_up(void *function, const char *name)
{
    void *at = dlsym(RTLD_NEXT, name);

    memcpy(function, &at, sizeof at);
}

static bool
ready(void)
{
    static bool looking;

    if (real_free)
        return true;
    if (looking)
        return false;
    looking = true;
    look_up(&real_malloc, "malloc");
    look_up(&real_calloc, "calloc");
    look_up(&real_realloc, "realloc");
    look_up(&real_memalign, "memalign");
    look_up(&real_free, "free");
    return true;
}

static void *
early_new(size_t size)
{
    void *at = early + early_used;

    size = (size + 15) & ~(size_t)15;
    if (size > EARLY_BYTES - early_used)
        return NULL;
    early_used += size;
    return at;
}

static bool
is_early(const void *at)
{
    return (const unsigned char *)at >= early && (const unsigned char *)at < early + EARLY_BYTES;
}

/* Is this address in the module, when only that is asked for? */
static bool
counts(const void *caller)
{
    Dl_info info;

    return !page->own[0] || (dladdr(caller, &info) && info.dli_fname && strcmp(info.dli_fname, page->own) == 0);
}

/* Is this the one that is to fail?  Those of the main thread are the host's own, and never are. */
static bool
fails(const void *caller)
{
    if (!page || atomic_load_explicit(&page->fail_at, memory_order_relaxed) == 0 ||
        pthread_equal(pthread_self(), main_thread) || !counts(caller))
        return false;
    if (atomic_fetch_sub(&page->fail_at, 1) != 1)
        return false;
    atomic_fetch_add(&page->failed, 1);
    errno = ENOMEM;
    return true;
}

static void *
count_in(void *at)
{
    if (at) {
        atomic_fetch_add_explicit(&live_bytes, (int64_t)malloc_usable_size(at), memory_order_relaxed);
        atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
    }
    return at;
}

static void
count_out(void *at)
{
    if (at) {
        atomic_fetch_sub_explicit(&live_bytes, (int64_t)malloc_usable_size(at), memory_order_relaxed);
        atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
    }
}

OURS void *
malloc(size_t size)
{
    if (!ready())
        return early_new(size);
    return fails(CALLER) ? NULL : count_in(real_malloc(size));
}

OURS void *
calloc(size_t n, size_t size)
{
    if (!ready())
        return early_new(n * size);
    return fails(CALLER) ? NULL : count_in(real_calloc(n, size));
}

static void *
again(void *at, size_t size, const void *caller)
{
    int64_t bytes = at && !is_early(at) ? (int64_t)malloc_usable_size(at) : 0;
    void *new;

    if (!ready() || is_early(at)) {
        new = malloc(size);
        if (new && at)
            memcpy(new, at, size < (size_t)(early + EARLY_BYTES - (unsigned char *)at)
                                ? size : (size_t)(early + EARLY_BYTES - (unsigned char *)at));
        return new;
    }
    if (fails(caller))
        return NULL;
    new = real_realloc(at, size);
    if (at && (new || size == 0)) {
        atomic_fetch_sub_explicit(&live_bytes, bytes, memory_order_relaxed);
        atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
    }
    return count_in(new);
}

OURS void *
realloc(void *at, size_t size)
{
    return again(at, size, CALLER);
}

OURS void *
reallocarray(void *at, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return again(at, bytes, CALLER);
}

static void *
aligned(size_t alignment, size_t size, const void *caller)
{
    if (!ready())
        return NULL;
    return fails(caller) ? NULL : count_in(real_memalign(alignment, size));
}

OURS void *
memalign(size_t alignment, size_t size)
{
    return aligned(alignment, size, CALLER);
}

OURS void *
aligned_alloc(size_t alignment, size_t size)
{
    return aligned(alignment, size, CALLER);
}

OURS int
posix_memalign(void **out, size_t alignment, size_t size)
{
    void *at = aligned(alignment, size, CALLER);

    if (!at)
        return ENOMEM;
    *out = at;
    return 0;
}

OURS void
free(void *at)
{
    int kept = errno;

    if (!at || is_early(at) || !ready())
        return;
    count_out(at);
    real_free(at);
    errno = kept;
}

/* ---- counting ---- */

/* Entries of a folder of numbers, by the system call: opendir() allocates. */
static int
entries(const char *path)
{
    struct entry {
        uint64_t ino;
        int64_t off;
        unsigned short len;
        unsigned char type;
        char name[];
    };
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
    long got;

    if (dir < 0)
        return -1;
    while ((got = syscall(SYS_getdents64, dir, chunk, CHUNK_BYTES)) > 0)
        for (long at = 0; at < got;) {
            const struct entry *e = (const void *)(chunk + at);

            n += e->name[0] != '.';
            at += e->len;
        }
    close(dir);
    return n;
}

/* ---- searching ---- */

/* Where in chunk[len] the pattern begins; -1: nowhere.  The pattern itself is never made. */
static long
find(const struct rk_probe_pattern *p, size_t len)
{
    unsigned char first = p->bytes[0] ^ page->mask;

    for (const unsigned char *at = chunk; len >= p->len && (at = memchr(at, first, len - p->len + 1 -
                                                                       (size_t)(at - chunk)));) {
        size_t i = 1;

        while (i < p->len && (at[i] ^ page->mask) == p->bytes[i])
            i++;
        if (i == p->len)
            return at - chunk;
        if (++at > chunk + len - p->len)
            break;
    }
    return -1;
}

static bool
overlaps(uintptr_t from, uintptr_t to, const void *at, size_t len)
{
    return from < (uintptr_t)at + len && (uintptr_t)at < to;
}

/* One piece of memory, read by the kernel: what another thread unmaps meanwhile is no accident. */
static bool
search_piece(uintptr_t from, uintptr_t to, const char *line, size_t line_len)
{
    struct iovec here = {chunk, to - from}, there = {(void *)from, to - from};
    ssize_t got;

    if (overlaps(from, to, chunk, sizeof chunk) || overlaps(from, to, page, sizeof *page))
        return false;
    got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    if (got <= 0)
        return false;
    page->searched = 1;
    for (uint32_t i = 0; page->found < 0 && i < page->n_patterns; i++)
        if (find(&page->pattern[i], (size_t)got) >= 0) {
            page->found = (int32_t)i;
            if (line_len > sizeof page->where - 1)
                line_len = sizeof page->where - 1;
            memcpy(page->where, line, line_len);
            page->where[line_len] = '\0';
        }
    return page->found >= 0;
}

/* "from-to rw..." */
static void
search_line(const char *line, size_t len)
{
    char *end;
    uintptr_t from = (uintptr_t)strtoull(line, &end, 16), to;

    if (*end != '-')
        return;
    to = (uintptr_t)strtoull(end + 1, &end, 16);
    if (end[0] != ' ' || end[1] != 'r' || end[2] != 'w')
        return;
    while (from < to) { /* pieces overlap by the length of a pattern */
        uintptr_t next = from + CHUNK_BYTES < to ? from + CHUNK_BYTES : to;

        if (search_piece(from, next, line, len))
            return;
        from = next < to ? next - PAGE_BYTES : to;
    }
}

static void
search(void)
{
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t have = 0;
    ssize_t got;

    page->searched = 0;
    page->found = -1;
    while (fd >= 0 && page->found < 0 && (got = read(fd, maps + have, sizeof maps - 1 - have)) > 0) {
        char *line = (char *)maps, *end;

        have += (size_t)got;
        maps[have] = '\0';
        for (; page->found < 0 && (end = strchr(line, '\n')); line = end + 1)
            search_line(line, (size_t)(end - line));
        have -= (size_t)(line - (char *)maps);
        memmove(maps, line, have);
    }
    if (fd >= 0)
        close(fd);
    memset(chunk, 0, sizeof chunk);
}

/* ---- surveys ---- */

static void
survey(void)
{
    uint32_t asked;

    if (!page || !pthread_equal(pthread_self(), main_thread))
        return;
    asked = atomic_load(&page->asked);
    if (asked == atomic_load(&page->answered))
        return;
    page->fds = entries("/proc/self/fd") - 1; /* but that by which it is counted */
    page->threads = entries("/proc/self/task");
    page->bytes = atomic_load(&live_bytes);
    page->blocks = atomic_load(&live_blocks);
    page->found = -1;
    page->searched = 0;
    if (page->n_patterns)
        search();
    atomic_store(&page->answered, asked);
}

OURS int
poll(struct pollfd *fds, nfds_t n, int timeout)
{
    survey();
    if (!real_poll)
        look_up(&real_poll, "poll");
    return real_poll(fds, n, timeout);
}

OURS int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size);

OURS int
__poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
    (void)size;
    return poll(fds, n, timeout);
}

__attribute__((constructor)) static void
begin(void)
{
    const char *text = getenv(RK_PROBE_ENV);
    void *at;

    main_thread = pthread_self();
    if (!text)
        return;
    at = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(text), 0);
    if (at == MAP_FAILED)
        return;
    page = at;
    atomic_store(&page->magic, RK_PROBE_MAGIC);
}
