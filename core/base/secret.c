/* secret.c - key material in memory and on its way between processes.
 *
 * A secret has mapped pages of its own: locked, left out of dumps, zero in a forked child, wiped when freed.  A few
 * wiped pages are kept for the next ones: to map and lock a page costs more than all else that is done with a key.
 * In a memfd only the size is sealed: the receiver must be able to wipe the pages, and it reads them once, into
 * memory that the sender cannot reach.
 */
#include "secret.h"

#include <rekey/err.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPARE_MAX 128 /* pages: the keys of two full calls at once; 512 KiB of what may be locked, 8 MiB by default */
#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct rk_secret {
    size_t len, mapped; /* [bytes] */
    unsigned char *bytes;
};

/* ---- pages ---- */

/* Pages of secrets that were freed; all zero. */
static struct {
    pthread_mutex_t lock;
    size_t n;
    void *page[SPARE_MAX];
} spare = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *
take_spare(void)
{
    void *page = NULL;

    pthread_mutex_lock(&spare.lock);
    if (spare.n)
        page = spare.page[--spare.n];
    pthread_mutex_unlock(&spare.lock);
    return page;
}

static bool
keep_spare(void *page)
{
    bool kept;

    pthread_mutex_lock(&spare.lock);
    kept = spare.n < SPARE_MAX;
    if (kept)
        spare.page[spare.n++] = page;
    pthread_mutex_unlock(&spare.lock);
    return kept;
}

/* ret: NULL: no memory */
static void *
map(size_t size)
{
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (bytes == MAP_FAILED)
        return NULL;
    /* Locking may fail for want of RLIMIT_MEMLOCK; swap is then the operator's to encrypt (SECURITY.md). */
    (void)mlock(bytes, size);
    (void)madvise(bytes, size, MADV_DONTDUMP);
    (void)madvise(bytes, size, MADV_WIPEONFORK);
    return bytes;
}

/* ---- secrets ---- */

static struct rk_secret *
make(size_t len)
{
    struct rk_secret *s = malloc(sizeof *s);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (!s)
        return NULL;
    s->len = len;
    s->mapped = (len + page - 1) / page * page;
    s->bytes = s->mapped == page ? take_spare() : NULL;
    if (!s->bytes)
        s->bytes = map(s->mapped);
    if (!s->bytes) {
        free(s);
        return NULL;
    }
    return s;
}

int
rk_secret_new(size_t len, rk_fill_fn *fill, void *arg, struct rk_secret **out)
{
    int err;

    *out = NULL;
    if (len == 0 || len > RK_SECRET_MAX)
        return RK_E_CONTRACT;
    *out = make(len);
    if (!*out)
        return RK_E_NOMEM;
    err = fill((*out)->bytes, len, arg);
    if (err)
        rk_secret_free(out);
    return err;
}

int
rk_secret_use(const struct rk_secret *s, rk_use_fn *use, void *arg)
{
    return use(s->bytes, s->len, arg);
}

size_t
rk_secret_len(const struct rk_secret *s)
{
    return s->len;
}

void
rk_secret_free(struct rk_secret **s)
{
    if (!*s)
        return;
    explicit_bzero((*s)->bytes, (*s)->mapped);
    if ((*s)->mapped != (size_t)sysconf(_SC_PAGESIZE) || !keep_spare((*s)->bytes))
        munmap((*s)->bytes, (*s)->mapped);
    free(*s);
    *s = NULL;
}

int
rk_secret_send(struct rk_secret **s)
{
    int fd = memfd_create("rekey", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && (write(fd, (*s)->bytes, (*s)->len) != (ssize_t)(*s)->len ||
                    fcntl(fd, F_ADD_SEALS, SIZE_SEALS) < 0)) {
        rk_secret_fd_wipe(fd);
        fd = -1;
    }
    rk_secret_free(s);
    return fd;
}

/* All zeros is what a wiped memfd holds, and never a key. */
static int
read_fd(unsigned char *bytes, size_t len, void *arg)
{
    unsigned char any = 0;

    if (pread(*(int *)arg, bytes, len, 0) != (ssize_t)len)
        return RK_E_CONTRACT;
    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any ? RK_OK : RK_E_CONTRACT;
}

/* Of a memfd of that size. */
static void
wipe_and_close(int fd, off_t size)
{
    static const unsigned char zeros[RK_SECRET_MAX];

    if (pwrite(fd, zeros, (size_t)size, 0) < 0)
        (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size);
    close(fd);
}

/* Does it hold what may be a secret: 1..RK_SECRET_MAX bytes? */
static bool
has_secret(int fd, struct stat *st)
{
    return fstat(fd, st) == 0 && st->st_size > 0 && st->st_size <= RK_SECRET_MAX;
}

static bool
is_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);

    return seals >= 0 && (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) == (F_SEAL_SHRINK | F_SEAL_GROW);
}

int
rk_secret_receive(int fd, struct rk_secret **out)
{
    struct stat st;
    int err;

    *out = NULL;
    if (!is_sealed(fd) || !has_secret(fd, &st)) {
        rk_secret_fd_wipe(fd);
        return RK_E_CONTRACT;
    }
    err = rk_secret_new((size_t)st.st_size, read_fd, &fd, out);
    wipe_and_close(fd, st.st_size);
    return err;
}

int
rk_secret_peek(int fd, unsigned char *bytes, size_t len)
{
    struct stat st;

    if (!is_sealed(fd) || !has_secret(fd, &st) || (size_t)st.st_size != len)
        return RK_E_CONTRACT;
    return read_fd(bytes, len, &fd);
}

void *
rk_locked_new(size_t bytes)
{
    return map(bytes);
}

void
rk_locked_free(void *memory, size_t bytes)
{
    if (!memory)
        return;
    explicit_bzero(memory, bytes);
    munmap(memory, bytes);
}

void
rk_secret_fd_wipe(int fd)
{
    struct stat st;

    if (fd < 0)
        return;
    /* only a memfd: a file that a broken host passed by mistake must not be overwritten */
    if (fcntl(fd, F_GET_SEALS) >= 0 && has_secret(fd, &st))
        wipe_and_close(fd, st.st_size);
    else
        close(fd);
}

int
rk_process_harden(void)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return RK_E_FATAL;
    return RK_OK;
}
