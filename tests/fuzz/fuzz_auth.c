/* fuzz_auth.c - auth-key files: what is read has a link, a length and a line; what is refused leaves nothing. */
#include "core/base/text.h"
#include "core/host/authkeys.h"

#include "text.h"

#include <rekey/channel.h>
#include <rekey/err.h>

static void
look(char *text, size_t size)
{
    struct rk_bytes found[RK_AUTH_KEYS_MAX];
    struct rk_auth_keys keys;
    char why[120] = "";
    int err = rk_auth_parse((unsigned char *)text, size, &keys, why, sizeof why);

    demand(err == RK_OK || (err == RK_E_CONFIG && why[0] && !keys.list && keys.n == 0));
    demand((err == RK_OK) == (keys.n > 0));
    for (size_t i = 0; i < keys.n; i++) {
        const struct rk_auth_key *k = &keys.list[i];
        size_t n = rk_auth_of(&keys, k->link, found);
        bool there = false;

        demand(k->len >= RK_AUTH_KEY_MIN && k->len <= RK_SECRET_FILE_MAX);
        demand(strcmp(k->link, "*") == 0 || rk_name_ok(k->link, RK_LINK_MAX));
        demand(n >= 1 && n <= RK_AUTH_KEYS_MAX);
        for (size_t j = 0; j < n; j++)
            there |= found[j].bytes == k->key;
        demand(there);
    }
    (void)rk_auth_of(&keys, "other", found);
    rk_auth_free(&keys);
}
