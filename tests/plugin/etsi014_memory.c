/* etsi014_memory.c - reads /proc/self/mem.  Test code. */
#include "etsi014_memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t
count_in(const unsigned char *chunk, size_t size, const unsigned char *inverted, size_t len)
{
    size_t hits = 0;

    for (size_t at = 0; at + len <= size; at++) {
        size_t i = 0;

        while (i < len && (chunk[at + i] ^ inverted[i]) == 0xff)
            i++;
        hits += i == len;
    }
    return hits;
}

size_t
memory_count(const unsigned char *inverted, size_t len)
{
    static char maps[65536];
    int list = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    size_t hits = 0, used = 0;
    ssize_t n;

    if (list < 0 || mem < 0)
        abort();
    while ((n = read(list, maps + used, sizeof maps - 1 - used)) > 0)
        used += (size_t)n;
    close(list);
    maps[used] = '\0';
    for (const char *line = maps; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        unsigned long from, to;
        unsigned char *chunk;
        char mode[5];

        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) != 3 || mode[1] != 'w' || to - from > 1UL << 28)
            continue;
        chunk = mmap(NULL, to - from, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (chunk == MAP_FAILED)
            abort();
        if (pread(mem, chunk, to - from, (off_t)from) == (ssize_t)(to - from))
            hits += count_in(chunk, to - from, inverted, len);
        munmap(chunk, to - from);
    }
    close(mem);
    return hits;
}
