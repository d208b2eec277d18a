/* fuzz_netconf_hello.c - the first message of a NETCONF server, any bytes.
 *
 * What is kept of it is bounded and can be printed; a refusal and an error have words.
 */
#include "plugins/common/netconf/hello.h"

#include <rekey/err.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
demand(bool truth)
{
    if (!truth)
        abort();
}

static void
check(const struct nc_hello *h, int err)
{
    demand(memchr(h->session_id, '\0', sizeof h->session_id));
    demand(memchr(h->refused, '\0', sizeof h->refused));
    demand(h->caps_len <= NC_CAPS_MAX && (h->caps_len == 0 || h->caps[h->caps_len - 1] == '\0'));
    for (size_t i = 0; i < h->caps_len; i++)
        demand(h->caps[i] == '\0' || (h->caps[i] >= ' ' && h->caps[i] <= '~'));
    if (err == RK_E_BUSY || err == RK_E_AUTH)
        demand(h->refused[0] != '\0');
    if (err == RK_OK)
        demand(nc_hello_has(h, "urn:ietf:params:netconf:base:1.1") == h->base_1_1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    const char *why = NULL;
    struct nc_hello h;
    int err;

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    memset(&h, 0x55, sizeof h); /* what is not set shows */
    err = nc_hello_read(text, size, &h, &why);
    demand(err == RK_OK || err == RK_E_BUSY || err == RK_E_AUTH || (err == RK_E_PROTOCOL && why));
    check(&h, err);
    nc_hello_end(&h);
    free(text);
    return 0;
}
