/* clock.c - reads the clocks. */
#include "clock.h"

#include "text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t
read_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * RK_NS_PER_S + ts.tv_nsec;
}

int64_t
rk_now_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

struct rk_wall
rk_wall_now(void)
{
    return (struct rk_wall){read_ns(CLOCK_REALTIME) / RK_NS_PER_MS};
}

uint64_t
rk_boot_id(void)
{
    static bool known;
    static uint64_t id;
    char text[64] = "";
    FILE *f = known ? NULL : fopen("/proc/sys/kernel/random/boot_id", "re");

    if (f) {
        if (fgets(text, sizeof text, f))
            text[strcspn(text, "\n")] = '\0';
        fclose(f);
        id = text[0] ? rk_hash(text) : 0;
    }
    known = true;
    return id;
}
