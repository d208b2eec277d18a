/* probe.h - what rekey-plugin-check and the library that it puts into a host share
 *
 * One page of shared memory.  The library (probe.c) counts what the process holds, searches its memory, and has
 * allocations fail when it is told to.  Patterns are masked, so that the page is no place where they could be found.
 */
#ifndef RK_PROBE_H
#define RK_PROBE_H

#include <stdatomic.h>
#include <stdint.h>

#define RK_PROBE_ENV "REKEY_CHECK_PROBE" /* number of the descriptor of the page */
#define RK_PROBE_MAGIC 0x726b7072u
#define RK_PROBE_PATTERNS 64
#define RK_PROBE_PATTERN_MAX 32

struct rk_probe_pattern {
    uint32_t len;
    unsigned char bytes[RK_PROBE_PATTERN_MAX]; /* each byte xor mask */
};

struct rk_probe {
    _Atomic uint32_t magic;           /* RK_PROBE_MAGIC: the library is there */
    _Atomic uint32_t asked, answered; /* surveys, counted */
    /* the question */
    uint32_t n_patterns;
    unsigned char mask;
    struct rk_probe_pattern pattern[RK_PROBE_PATTERNS];
    /* the answer */
    int32_t fds, threads;
    int64_t bytes, blocks;            /* allocated now */
    int32_t searched;                 /* 1: the memory could be read */
    int32_t found;                    /* index of the first pattern that is there; -1: none */
    char where[96];                   /* line of /proc/self/maps */
    /* allocations of worker threads */
    char own[512];                    /* path of the module: only those that it makes itself; "": all */
    _Atomic int64_t fail_at;          /* the n-th from now fails; 0: none */
    _Atomic uint32_t failed;          /* how many did */
};

#endif
