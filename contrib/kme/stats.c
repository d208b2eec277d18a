/* stats.c - see stats.h. */
#include "stats.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum { STATUS, ENC_KEYS, DEC_KEYS, OTHER, N_CALLS };

static const char *const calls[N_CALLS] = {"status", "enc_keys", "dec_keys", "other"};
static struct {
    uint64_t connections, requests[N_CALLS], refused; /* of the requests: not answered with 200 */
} stats;

void
kme_stats_connection(void)
{
    stats.connections++;
}

void
kme_stats_request(const char *path, int code)
{
    const char *name = strrchr(path, '/');
    int i = 0;

    while (i < OTHER && (!name || strcmp(name + 1, calls[i]) != 0))
        i++;
    stats.requests[i]++;
    stats.refused += code != 200;
}

int
kme_stats_write(const char *path)
{
    char part[4096];
    FILE *f;
    bool failed;

    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part || !(f = fopen(part, "we")))
        return -1;
    fprintf(f, "{\"connections\": %llu", (unsigned long long)stats.connections);
    for (int i = 0; i < N_CALLS; i++)
        fprintf(f, ", \"%s\": %llu", calls[i], (unsigned long long)stats.requests[i]);
    fprintf(f, ", \"refused\": %llu}\n", (unsigned long long)stats.refused);
    failed = ferror(f) != 0;
    failed |= fclose(f) != 0;
    return failed ? -1 : rename(part, path);
}
