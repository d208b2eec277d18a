/* fuzz_netconf_frame.c - both framings of NETCONF, with any bytes as the stream.
 *
 * The first byte says which framing, and how the stream is cut.  However a stream is cut into pieces, the
 * same messages come out of it, and none is longer than allowed.
 */
#include "plugins/common/netconf/frame.h"

#include <rekey/err.h>

#include <stdlib.h>
#include <string.h>

#define LONGEST 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    size_t messages, bytes;
    uint32_t sum;
    int rc;
    const char *why;
};

static void
demand(bool truth)
{
    if (!truth)
        abort();
}

static void
take(struct nc_frame *f, struct outcome *o)
{
    size_t len;
    char *text = nc_frame_take(f, &len);

    demand(text && len <= LONGEST && text[len] == '\0');
    for (size_t i = 0; i < len; i++)
        o->sum = o->sum * 31 + (unsigned char)text[i];
    o->messages++;
    o->bytes += len;
    nc_wipe_free(text, len);
}

static struct outcome
run(const uint8_t *data, size_t size, bool chunked, size_t step)
{
    struct nc_frame f = {.chunked = chunked, .max = LONGEST};
    struct outcome o = {.rc = 0};
    size_t used = 0;

    for (size_t at = 0; at < size && o.rc >= 0; at += used) {
        size_t n = size - at < step ? size - at : step;

        o.rc = nc_frame_feed(&f, (const char *)data + at, n, &used);
        demand(used <= n && (o.rc != 0 || used == n) && (o.rc != RK_E_PROTOCOL || f.why));
        demand(o.rc == 0 || o.rc == 1 || o.rc == RK_E_PROTOCOL);
        demand(f.len <= LONGEST + 6);
        if (o.rc == 1)
            take(&f, &o);
    }
    o.why = f.why;
    nc_frame_end(&f);
    return o;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, cut;

    if (size == 0)
        return 0;
    whole = run(data + 1, size - 1, data[0] & 1, size);
    cut = run(data + 1, size - 1, data[0] & 1, 1 + (data[0] >> 1) % 16);
    demand(whole.messages == cut.messages && whole.bytes == cut.bytes && whole.sum == cut.sum);
    demand((whole.rc < 0) == (cut.rc < 0) && whole.why == cut.why);
    return 0;
}
