/* base_secret_test.c - secrets are made, used, moved and wiped; what is no sealed memfd is refused and not touched. */
#include "core/base/secret.h"

#include <rekey/err.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

static int
fill_count(unsigned char *bytes, size_t len, void *arg)
{
    unsigned first = *(unsigned *)arg;

    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0)
            return RK_E_CONTRACT; /* promised zeroed */
        bytes[i] = (unsigned char)(first + i);
    }
    return RK_OK;
}

static int
fill_refuse(unsigned char *bytes, size_t len, void *arg)
{
    (void)arg;
    memset(bytes, 0x5a, len);
    return RK_E_KEY_SIZE;
}

/* Counts the bytes that are as fill_count() with *arg wrote them. */
static int
use_count(const unsigned char *bytes, size_t len, void *arg)
{
    int same = 0;

    for (size_t i = 0; i < len; i++)
        same += bytes[i] == (unsigned char)(*(unsigned *)arg + i);
    return same;
}

static int
use_where(const unsigned char *bytes, size_t len, void *arg)
{
    (void)len;
    *(const unsigned char **)arg = bytes;
    return 0;
}

static struct rk_secret *
made(size_t len, unsigned first)
{
    struct rk_secret *s = NULL;

    assert_int_equal(rk_secret_new(len, fill_count, &first, &s), RK_OK);
    assert_non_null(s);
    return s;
}

static void
test_new_use_free(void **state)
{
    static const size_t lens[] = {1, 16, 32, 4095, RK_SECRET_MAX};
    unsigned first = 7;

    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct rk_secret *s = made(lens[i], first);

        assert_int_equal(rk_secret_len(s), lens[i]);
        assert_int_equal(rk_secret_use(s, use_count, &first), (int)lens[i]);
        rk_secret_free(&s);
        assert_null(s);
        rk_secret_free(&s); /* nothing to free is fine */
    }
}

static void
test_new_refused(void **state)
{
    unsigned first = 0;
    struct rk_secret *s = (struct rk_secret *)&first;

    (void)state;
    assert_int_equal(rk_secret_new(0, fill_count, &first, &s), RK_E_CONTRACT);
    assert_null(s);
    assert_int_equal(rk_secret_new(RK_SECRET_MAX + 1, fill_count, &first, &s), RK_E_CONTRACT);
    assert_null(s);
    assert_int_equal(rk_secret_new(32, fill_refuse, NULL, &s), RK_E_KEY_SIZE);
    assert_null(s);
}

/* A forked child sees zeros. */
static void
test_fork(void **state)
{
    unsigned first = 3;
    struct rk_secret *s = made(32, first);
    int status = 0;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        const unsigned char zeros[32] = {0};
        const unsigned char *child = NULL;

        (void)rk_secret_use(s, use_where, &child);
        _exit(memcmp(child, zeros, sizeof zeros) == 0 ? 0 : 1);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    rk_secret_free(&s);
}

/* Once freed, a few pages stay for the next secrets, wiped; all others are gone. */
static void
test_pages(void **state)
{
    enum { PAGES = 256 };
    struct rk_secret *s[PAGES];
    const unsigned char *where[PAGES];
    size_t stay = 0;

    (void)state;
    for (size_t i = 0; i < PAGES; i++) {
        unsigned char in_core;

        s[i] = made(32, 3);
        where[i] = NULL;
        (void)rk_secret_use(s[i], use_where, &where[i]);
        assert_int_equal(mincore((void *)(uintptr_t)where[i], 1, &in_core), 0);
    }
    for (size_t i = 0; i < PAGES; i++)
        rk_secret_free(&s[i]);
    for (size_t i = 0; i < PAGES; i++) {
        static const unsigned char zeros[32];
        unsigned char in_core;

        if (mincore((void *)(uintptr_t)where[i], 1, &in_core) < 0) {
            assert_int_equal(errno, ENOMEM);
            continue;
        }
        assert_memory_equal(where[i], zeros, sizeof zeros);
        stay++;
    }
    assert_in_range(stay, 1, 128);
}

/* The kernel was told: not in a core file (dd), zero in a child (wf). */
static void
test_vm_flags(void **state)
{
    struct rk_secret *s = made(32, 1);
    const unsigned char *where = NULL;
    char line[512], start[32];
    bool here = false, found = false;
    FILE *f = fopen("/proc/self/smaps", "re");

    (void)state;
    if (!f)
        skip();
    (void)rk_secret_use(s, use_where, &where);
    snprintf(start, sizeof start, "%lx-", (unsigned long)(uintptr_t)where);
    while (fgets(line, sizeof line, f)) {
        if (strchr(line, '-') && strncmp(line, start, strlen(start)) == 0)
            here = true;
        if (here && strncmp(line, "VmFlags:", 8) == 0) {
            found = true;
            assert_non_null(strstr(line, " dd"));
            assert_non_null(strstr(line, " wf"));
            break;
        }
    }
    fclose(f);
    assert_true(found);
    rk_secret_free(&s);
}

static void
test_send_receive(void **state)
{
    static const size_t lens[] = {1, 32, RK_SECRET_MAX};
    unsigned first = 9;

    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct rk_secret *s = made(lens[i], first);
        unsigned char page[RK_SECRET_MAX];
        int fd = rk_secret_send(&s), watch;

        assert_true(fd >= 0);
        assert_null(s);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(fcntl(fd, F_GET_SEALS) & SIZE_SEALS, SIZE_SEALS);
        watch = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        assert_int_equal(rk_secret_receive(fd, &s), RK_OK);
        assert_int_equal(rk_secret_len(s), lens[i]);
        assert_int_equal(rk_secret_use(s, use_count, &first), (int)lens[i]);
        rk_secret_free(&s);
        /* closed, and nothing left in the memfd for another holder of it */
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        assert_int_equal(pread(watch, page, sizeof page, 0), (ssize_t)lens[i]);
        for (size_t k = 0; k < lens[i]; k++)
            assert_int_equal(page[k], 0);
        close(watch);
    }
}

static int
memfd_of(off_t len, int seals)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, len), 0);
    if (seals)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void
refused(int fd)
{
    unsigned char mark;
    struct rk_secret *s = (struct rk_secret *)&mark;

    assert_true(fd >= 0);
    assert_int_equal(rk_secret_receive(fd, &s), RK_E_CONTRACT);
    assert_null(s);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* taken all the same */
}

static void
test_receive_refused(void **state)
{
    char name[] = "/tmp/rekey-secret-XXXXXX", text[8] = "";
    unsigned char mark;
    struct rk_secret *s = (struct rk_secret *)&mark;
    int pipes[2], file = mkstemp(name), again = open(name, O_RDWR | O_CLOEXEC);

    (void)state;
    refused(memfd_of(32, 0));
    refused(memfd_of(32, F_SEAL_SHRINK));
    refused(memfd_of(32, F_SEAL_GROW));
    refused(memfd_of(0, SIZE_SEALS));
    refused(memfd_of(RK_SECRET_MAX + 1, SIZE_SEALS));
    assert_int_equal(pipe(pipes), 0);
    refused(pipes[0]);
    close(pipes[1]);
    assert_true(file >= 0 && again >= 0);
    unlink(name);
    assert_int_equal(write(file, "content", 7), 7);
    refused(file);
    assert_int_equal(pread(again, text, 7, 0), 7); /* an ordinary file is as it was */
    assert_string_equal(text, "content");
    close(again);
    assert_int_equal(rk_secret_receive(-1, &s), RK_E_CONTRACT);
    assert_null(s);
}

static void
test_fd_wipe(void **state)
{
    char name[] = "/tmp/rekey-secret-XXXXXX", text[8] = "", zeros[8] = "";
    struct rk_secret *s = made(8, 1);
    int fd = rk_secret_send(&s), watch = fcntl(fd, F_DUPFD_CLOEXEC, 0), file = mkstemp(name), again;

    (void)state;
    rk_secret_fd_wipe(-1);
    rk_secret_fd_wipe(fd);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(pread(watch, text, sizeof text, 0), 8);
    assert_memory_equal(text, zeros, 8);
    close(watch);

    assert_true(file >= 0);
    assert_int_equal(write(file, "content", 7), 7);
    again = fcntl(file, F_DUPFD_CLOEXEC, 0);
    rk_secret_fd_wipe(file);
    assert_int_equal(fcntl(file, F_GETFD), -1);
    assert_int_equal(pread(again, text, 7, 0), 7);
    assert_memory_equal(text, "content", 7);
    close(again);
    unlink(name);
}

static void
test_harden(void **state)
{
    int status = 0;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        struct rlimit core = {1, 1};

        _exit(rk_process_harden() == RK_OK && getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 &&
              core.rlim_max == 0 && prctl(PR_GET_DUMPABLE) == 0 ? 0 : 1);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_use_free),  cmocka_unit_test(test_new_refused),
        cmocka_unit_test(test_fork), cmocka_unit_test(test_pages), cmocka_unit_test(test_vm_flags),
        cmocka_unit_test(test_send_receive),  cmocka_unit_test(test_receive_refused),
        cmocka_unit_test(test_fd_wipe),       cmocka_unit_test(test_harden),
    };

    return cmocka_run_group_tests_name("base_secret", tests, NULL, NULL);
}
