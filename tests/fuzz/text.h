/* text.h - for fuzz targets whose reader is given text that it may change: the input in memory of just its size
 *
 * Once in each target, which has look(). */
#ifndef TESTS_FUZZ_TEXT_H
#define TESTS_FUZZ_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The reader, and what must hold of that which it has read; text ends with a zero byte behind its size. */
static void look(char *text, size_t size);

static void
demand(bool truth)
{
    if (!truth)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    look(text, size);
    free(text);
    return 0;
}

#endif
