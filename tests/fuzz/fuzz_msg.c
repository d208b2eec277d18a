/* fuzz_msg.c - every decoder of core/ipc on one frame: what one takes, it writes again, and takes again as the same.
 *
 * Byte 0: how many descriptors come with the frame (0..3); the rest is the frame.
 */
#include "core/ipc/msg.h"

#include <rekey/err.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned char first[RK_FRAME_MAX], second[RK_FRAME_MAX];

static void
demand(int truth)
{
    if (!truth)
        abort();
}

/* Descriptors that a decoder may take: they must all be closed, or in items, afterwards. */
static size_t
open_some(int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        demand(fds[i] >= 0);
    }
    return n;
}

static int
lowest_free(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    demand(fd >= 0);
    close(fd);
    return fd;
}

static void
check_call(const uint8_t *frame, size_t len, size_t n_fds)
{
    struct rk_call_msg m, again;
    int fds[RK_FRAME_FDS];
    size_t n, n1, n2;

    n = open_some(fds, n_fds);
    if (rk_call_get(frame, len, fds, n, &m) != RK_OK) {
        demand(m.items == NULL);
        return;
    }
    demand(m.n <= RK_BATCH_MAX);
    n1 = rk_call_put(first, &m, fds, &n);
    demand(n1 > 0 && n <= n_fds);
    for (size_t i = 0; i < n; i++)
        fds[i] = dup(fds[i]);
    demand(rk_call_get(first, n1, fds, n, &again) == RK_OK && again.n == m.n);
    n2 = rk_call_put(second, &again, fds, &n);
    demand(n1 == n2 && memcmp(first, second, n1) == 0);
    rk_items_free(again.items, again.n);
    rk_items_free(m.items, m.n);
}

static void
check_reply(const uint8_t *frame, size_t len, size_t n_fds)
{
    struct rk_reply m, again;
    int fds[RK_FRAME_FDS];
    size_t n, n1, n2;

    n = open_some(fds, n_fds);
    if (rk_reply_get(frame, len, fds, n, &m) != RK_OK) {
        demand(m.items == NULL);
        return;
    }
    n1 = rk_reply_put(first, &m, fds, &n);
    demand(n1 > 0 && n <= n_fds);
    for (size_t i = 0; i < n; i++)
        fds[i] = dup(fds[i]);
    demand(rk_reply_get(first, n1, fds, n, &again) == RK_OK && again.n == m.n);
    n2 = rk_reply_put(second, &again, fds, &n);
    demand(n1 == n2 && memcmp(first, second, n1) == 0);
    rk_items_free(again.items, again.n);
    rk_items_free(m.items, m.n);
}

static void
check_hello(const uint8_t *frame, size_t len)
{
    struct rk_hello m, again;
    size_t n1, n2;

    if (rk_hello_get(frame, len, &m) != RK_OK) {
        demand(m.opts == NULL);
        return;
    }
    n1 = rk_hello_put(first, &m);
    demand(n1 > 0);
    demand(rk_hello_get(first, n1, &again) == RK_OK && again.n_opts == m.n_opts);
    n2 = rk_hello_put(second, &again);
    demand(n1 == n2 && memcmp(first, second, n1) == 0);
    rk_hello_free(&again);
    rk_hello_free(&m);
}

static void
check_config(const uint8_t *frame, size_t len)
{
    struct rk_config m, again;
    size_t n1, n2;

    if (rk_config_get(frame, len, &m) != RK_OK) {
        demand(m.settings == NULL);
        return;
    }
    n1 = rk_config_put(first, 0, &m);
    demand(n1 > 0);
    demand(rk_config_get(first, n1, &again) == RK_OK && again.n == m.n);
    n2 = rk_config_put(second, 0, &again);
    demand(n1 == n2 && memcmp(first, second, n1) == 0);
    free(again.settings);
    free(m.settings);
}

static void
check_control(const uint8_t *frame, size_t len)
{
    struct rk_ask ask, ask_again;
    struct rk_done done, done_again;
    struct rk_step step, step_again;
    struct rk_found_msg found, found_again;
    struct rk_heard_msg heard, heard_again;
    char row[4096], row_again[4096];

    if (rk_step_get(frame, len, &step) == RK_OK) {
        size_t n = rk_step_put(first, &step);

        demand(rk_step_get(first, n, &step_again) == RK_OK);
        demand(rk_step_put(second, &step_again) == n && memcmp(first, second, n) == 0);
    }
    if (rk_found_get(frame, len, &found) == RK_OK) {
        size_t again = rk_found_put(first, &found);

        if (again) { /* what came in one frame fits in one, but for empty settings without end */
            demand(rk_found_get(first, again, &found_again) == RK_OK);
            demand(found_again.n == found.n && strcmp(found_again.peer_sae, found.peer_sae) == 0);
            free(found_again.settings);
        }
        free(found.settings);
    }
    if (rk_heard_get(frame, len, &heard) == RK_OK) {
        size_t n = rk_heard_put(first, &heard); /* a text that came twice may have left an end behind its NUL */

        demand(rk_heard_get(first, n, &heard_again) == RK_OK);
        demand(rk_heard_put(second, &heard_again) == n && memcmp(first, second, n) == 0);
    }
    if (rk_ask_get(frame, len, &ask) == RK_OK) {
        demand(rk_ask_get(first, rk_ask_put(first, &ask), &ask_again) == RK_OK);
        demand(strcmp(ask.command, ask_again.command) == 0 && strcmp(ask.arg, ask_again.arg) == 0 &&
               strcmp(ask.peer, ask_again.peer) == 0 && ask.fetch == ask_again.fetch);
    }
    if (rk_done_get(frame, len, &done) == RK_OK) {
        demand(rk_done_get(first, rk_done_put(first, &done), &done_again) == RK_OK);
        demand(strcmp(done.text, done_again.text) == 0 && done.exit_code == done_again.exit_code);
    }
    if (rk_row_get(frame, len, row, sizeof row) == RK_OK) {
        demand(rk_row_get(first, rk_row_put(first, row), row_again, sizeof row_again) == RK_OK);
        demand(strcmp(row, row_again) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n_fds = size ? data[0] & 3 : 0, len = size ? size - 1 : 0;
    int free_fd = lowest_free();

    if (len > RK_FRAME_MAX)
        return 0;
    check_call(data + (size > 0), len, n_fds);
    check_reply(data + (size > 0), len, n_fds);
    check_hello(data + (size > 0), len);
    check_config(data + (size > 0), len);
    check_control(data + (size > 0), len);
    demand(lowest_free() == free_fd);
    return 0;
}
