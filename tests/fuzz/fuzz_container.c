/* fuzz_container.c - the reader of key containers and the base64 decoder, with any bytes as the answer of a KME.
 *
 * The first bit of the input is the option lenient.  What is found must lie in the answer, be fit to use, and be read
 * again as the same.
 */
#include "plugins/source/etsi014/container.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
demand(bool truth)
{
    if (!truth)
        abort();
}

/* An ID that was taken is taken again, and stays as it is. */
static void
check_id(const char *id)
{
    char again[RK_KEY_ID_MAX + 1];

    demand(id[0] && strlen(id) <= RK_KEY_ID_MAX);
    strcpy(again, id);
    demand(container_fold_id(again) && strcmp(again, id) == 0);
    demand(!strpbrk(id, " |/"));
}

static void
check_key(const struct container_key *k, const char *body, size_t size, bool lenient)
{
    unsigned char bytes[RK_SECRET_MAX];
    size_t len = base64_size(k->text, k->text_len, lenient);

    demand(k->text >= body && k->text + k->text_len <= body + size);
    check_id(k->id);
    demand(len <= k->text_len);
    if (len > 0 && len <= sizeof bytes && base64_get(k->text, k->text_len, false, bytes, len) == RK_OK)
        demand(base64_get(k->text, k->text_len, true, bytes, len) == RK_OK);
}

static void
check_all(const struct container_key *keys, size_t n, const char *body, size_t size, bool lenient)
{
    demand(n <= KEYS_MAX);
    for (size_t i = 0; i < n; i++) {
        check_key(&keys[i], body, size, lenient);
        for (size_t k = 0; k < i; k++)
            demand(strcmp(keys[i].id, keys[k].id) != 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct container_key keys[KEYS_MAX];
    bool lenient = size > 0 && data[0] & 1;
    const char *why = NULL;
    char *body = malloc(size + 1);
    size_t n = 0;
    int err;

    if (!body)
        return 0;
    if (size)
        memcpy(body, data, size);
    err = container_read(body, size, lenient, keys, KEYS_MAX, &n, &why);
    demand(err == RK_OK || (err == RK_E_PROTOCOL && n == 0 && why));
    check_all(keys, n, body, size, lenient);
    free(body);
    return 0;
}
