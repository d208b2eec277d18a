/* tap.h - results of the simulator's tests, in TAP; a broken invariant ends the program with "not ok" by itself */
#ifndef TESTS_SIM_TAP_H
#define TESTS_SIM_TAP_H

#include <stdbool.h>
#include <stdio.h>

static int tap_n, tap_bad;

static inline void
tap_ok(bool good, const char *name)
{
    printf("%sok %d - %s\n", good ? "" : "not ", ++tap_n, name);
    fflush(stdout);
    tap_bad += !good;
}

static inline int
tap_end(void)
{
    printf("1..%d\n", tap_n);
    return tap_bad ? 1 : 0;
}

#endif
