/* fuzz_error.c - the reader of a KME's error message, with any bytes as its answer.
 *
 * The first byte of the input is the room for the message.  What is shown is short, printable, and holds no run of
 * characters that may be a key.
 */
#include "plugins/source/etsi014/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MAX 256
#define KEY_LIKE 22 /* 128 bits in base64 */

static const char key_chars[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/=_-";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
demand(bool truth)
{
    if (!truth)
        abort();
}

/* A key ID is 36 characters, and two names of the standard are as long as a key. */
static bool
may_be_key(const char *run, size_t len)
{
    static const char *const names[] = {"additional_slave_SAE_IDs", "key_container_extension"};

    for (size_t i = 0; i < 2; i++)
        if (strlen(names[i]) == len && memcmp(run, names[i], len) == 0)
            return false;
    return len >= KEY_LIKE && len != 36;
}

static void
check(const char *message, size_t room)
{
    demand(memchr(message, '\0', room));
    for (const char *c = message; *c; c++)
        demand(*c >= ' ' && *c <= '~' && *c != '"');
    for (const char *c = message; *c;) {
        size_t len = strspn(c, key_chars);

        demand(!may_be_key(c, len) || c + len == message + room - 1); /* cut, as there was no more room */
        c += len ? len : 1;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t room = size > 0 && data[0] > 2 ? data[0] : 2;
    char *message = malloc(ROOM_MAX), *body = malloc(size + 1);
    enum error_kind kind;

    if (message && body) {
        if (size)
            memcpy(body, data, size);
        memset(message, 0x55, ROOM_MAX);
        kind = error_read(body, size, message, room);
        demand(kind == ERROR_OTHER || kind == ERROR_JSON || kind == ERROR_HTML || kind == ERROR_NOTHING);
        check(message, room);
        for (size_t i = room; i < ROOM_MAX; i++)
            demand(message[i] == 0x55);
    }
    free(message);
    free(body);
    return 0;
}
