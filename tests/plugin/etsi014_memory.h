/* etsi014_memory.h - looks for traces of a key in the test's own memory */
#ifndef ETSI014_MEMORY_H
#define ETSI014_MEMORY_H

#include <stddef.h>

/* memory_count - how often a text of len bytes is in the writable memory of this process
 * in:   inverted  the text with each bit inverted, so that this copy is not found
 * note: it takes nothing from the heap, which would overwrite what is looked for */
size_t memory_count(const unsigned char *inverted, size_t len);

#endif
