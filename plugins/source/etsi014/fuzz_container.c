/* fuzz_container.c - feeds any bytes to the key container reader and the base64 decoder. */
#include "container.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct container_key *k, const char *body, size_t size, bool lenient)
{
    unsigned char bytes[RK_SECRET_MAX];
    size_t len = base64_size(k->text, k->text_len, lenient);

    if (k->text < body || k->text + k->text_len > body + size || !k->id[0] || strlen(k->id) > RK_KEY_ID_MAX)
        abort();
    if (len > 0 && len <= sizeof bytes)
        (void)base64_get(k->text, k->text_len, lenient, bytes, len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct container_key keys[8];
    const char *why;
    bool lenient = size > 0 && data[0] & 1;
    char *body = malloc(size + 1);
    size_t n;

    if (!body)
        return 0;
    memcpy(body, data, size);
    if (container_read(body, size, lenient, keys, 8, &n, &why) == RK_OK) {
        for (size_t i = 0; i < n; i++)
            check(&keys[i], body, size, lenient);
    } else if (n != 0 || !why) {
        abort();
    }
    free(body);
    return 0;
}
