/* fixed.h - one literal key: read from the text of a secret, given out again and again
 *
 * Runs in rekey-host, on any of its threads; a struct fixed does not change once it is read.
 */
#ifndef STATIC_FIXED_H
#define STATIC_FIXED_H

#include <rekey/source.h>

struct fixed {
    const struct rk_host *host;
    struct rk_secret *key;
    char id[RK_KEY_ID_MAX + 1];
};

/* fixed_read - the key that text is the hex or base64 form of
 * in:   f->host;  text, borrowed;  id  NULL: made from the key, one way, the same at both ends
 * out:  *f;  *flaw  what is wrong with the key, NULL when it is something else
 * ret:  RK_OK, or a code, not stated when *flaw is set.   blocks: never */
int fixed_read(struct fixed *f, const struct rk_secret *text, const char *id, const char **flaw);
void fixed_free(struct fixed *f);

/* fixed_give - a copy of the key;  out: *out, owned by the caller.   ret: RK_OK or RK_E_NOMEM */
int fixed_give(const struct fixed *f, struct rk_secret **out);

#endif
