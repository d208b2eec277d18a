/* gens.h - the keys that a key file had, one after the other: the present one and a few before it
 *
 * Another daemon rewrites the file with a fresh key, at both ends at nearly the same time.  A generation has an ID that
 * is made from its key, one way, so both ends name it alike without talking.  Runs on a worker thread of rekey-host,
 * one call at a time.
 */
#ifndef KEYOUT_GENS_H
#define KEYOUT_GENS_H

#include <rekey/source.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GENS 4     /* the other end is one ahead or behind; more is a file that is rewritten too fast */
#define GEN_ID 16  /* length of an ID: 96 bits in base64url, so that several fit in one key ID of a mixed key */

struct gen {
    char id[GEN_ID + 1];  /* "": none */
    struct rk_secret *key; /* NULL: given away, or used before */
    bool used;
};

struct gens {
    const struct rk_host *host;
    char *path;
    uid_t owner;           /* of the file, besides root; when it is another user, its group may read it */
    size_t len;            /* of the key in the file [bytes]; what is longer or shorter is being written */
    struct gen list[GENS]; /* the newest first */
    bool present;          /* the newest is what the file holds now */
    int64_t changed_unix_s; /* when the file was written last */
};

/* gens_read - look at the file, and take up what is new in it
 * out:  *fresh  there is a new generation, not known yet whether it was used
 * ret:  RK_OK: the newest is present.  Else a code stated by fail(), RK_E_AGAIN: it is being written; those before stay
 * blocks: a few times 10 ms while it is being written */
int gens_read(struct gens *g, struct rk_call *call, bool *fresh);

/* gens_find - the generation with this ID, or NULL */
struct gen *gens_find(struct gens *g, const char *id);

/* gens_give - a key of `bits` from a generation, which is forgotten but for its ID
 * out:  *out, owned by the caller.   ret: RK_OK, or a code (not stated) */
int gens_give(struct gens *g, struct gen *gen, uint32_t bits, struct rk_secret **out);

/* gens_free - wipe and free what it holds, not the struct */
void gens_free(struct gens *g);

#endif
