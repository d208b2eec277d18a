/* derived.c - compares a secret with the digests of names.  What it decodes is wiped. */
#include "derived.h"

#include "../../common/keytext.h"

#include <stdio.h>
#include <string.h>

#define DIGEST 32
#define HALF 16 /* of a digest: a CAK of 128 bits */

/* What stands behind a name; with a newline: of `echo NAME | sha256sum`. */
static const char *const endings[] = {
    "", "\n", ":fallback:cak", ":fallback:ckn", ":bootstrap:secret:0", ":bootstrap:secret:1", ":cak", ":key", ":secret",
};

struct form {
    unsigned char bytes[RK_SECRET_MAX];
    size_t len;
};

/* A secret may be a digest and more (a CAK of 256 bits is one), but never less than half of one. */
static bool
begins_with_half(const unsigned char *bytes, size_t len, const unsigned char *digest)
{
    return len >= HALF && memcmp(bytes, digest, HALF) == 0;
}

static void
decode(const unsigned char *bytes, size_t len, struct form *f)
{
    const char *text = (const char *)bytes;

    if ((f->len = rkp_hex_len(text, len)) > 0)
        rkp_hex_get(text, len, f->bytes);
    else if ((f->len = rkp_base64_len(text, len)) > 0)
        rkp_base64_get(text, len, f->bytes);
}

bool
static_is_derived(const struct rk_host *host, const unsigned char *bytes, size_t len, const char *name)
{
    unsigned char digest[DIGEST];
    struct form f = {.len = 0};
    bool found = false;
    char text[200];

    if (!name || !name[0] || len > RK_SECRET_MAX)
        return false;
    decode(bytes, len, &f);
    for (size_t i = 0; !found && i < sizeof endings / sizeof endings[0]; i++) {
        int n = snprintf(text, sizeof text, "%s%s", name, endings[i]);

        if (n < 0 || (size_t)n >= sizeof text)
            continue;
        found = host->sha256(text, (size_t)n, digest) != RK_OK || begins_with_half(bytes, len, digest) ||
                begins_with_half(f.bytes, f.len, digest);
    }
    explicit_bzero(&f, sizeof f);
    return found;
}
