/* fault.c - misbehaviour on request, for tests of whoever must survive it. */
#include "fault.h"

#include "../../common/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MODE_FILE_MAX 32

const char *const sim_mode_names[SIM_MODES + 1] = {"ok",      "slow", "hang", "spin",    "crash",
                                                   "garbage", "lie",  "fail", "unknown", NULL};

int
sim_mode_now(const struct rk_host *host, struct rk_call *call, const char *path, enum sim_mode *now)
{
    char text[MODE_FILE_MAX];
    ssize_t n;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

    if (!path || (fd < 0 && errno == ENOENT))
        return RK_OK;
    if (fd < 0)
        return host->fail(call, rkp_code(errno), "mode-file: %s: cannot be opened", path);
    n = rkp_read_small(fd, text, sizeof text);
    close(fd);
    if (n < 0)
        return host->fail(call, RK_E_CONFIG, "mode-file: %s: cannot be read, or longer than a mode", path);
    text[strcspn(text, " \t\r\n")] = '\0';
    if (text[0] == '\0')
        return RK_OK;
    for (int i = 0; i < SIM_MODES; i++)
        if (strcmp(text, sim_mode_names[i]) == 0) {
            *now = (enum sim_mode)i;
            return RK_OK;
        }
    return host->fail(call, RK_E_CONFIG, "mode-file: %s: \"%s\" is not a mode; ok, slow, hang, spin, crash, garbage, "
                      "lie, fail and unknown are", path, text);
}

void
sim_stall(enum sim_mode mode)
{
    volatile unsigned long turns = 0;

    for (;;)
        if (mode == SIM_SPIN)
            turns++;
        else
            pause();
}

int
sim_garble_ops(struct rk_dev_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ops[i].err = i % 2 ? 0x7fffffff : -77777;
        memset(ops[i].why, i % 2 ? 0xff : '%', sizeof ops[i].why);
    }
    return 12345;
}

int
sim_garble_seen(struct rk_dev_seen *seen, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        seen[i].err = i % 2 ? 0x7fffffff : -77777;
        seen[i].state = seen[i].foreign = 0xffffffffu;
        memset(seen[i].held, 0xff, sizeof seen[i].held);
        memset(seen[i].facts, i % 2 ? 0xff : '\n', sizeof seen[i].facts);
        memset(seen[i].why, i % 2 ? 0x1b : '%', sizeof seen[i].why);
    }
    return n % 2 ? 0 : 12345;
}
