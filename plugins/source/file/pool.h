/* pool.h - a pool of keys on disk: where each key is, not what it is
 *
 * Three forms: a file with a line "KEY-ID KEY" for each key, a file of JSON, and a directory with a file "KEY-ID.key"
 * for each key.
 * Memory holds IDs and places only; a key is read when it is given out, into a secret.  One call at a time.
 */
#ifndef FILE_POOL_H
#define FILE_POOL_H

#include <rekey/source.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define POOL_BYTES_MAX (100 * 1024 * 1024) /* a pool file: a million keys of 100 bytes */
#define POOL_KEYS_MAX 1000000
#define POOL_LINE_MAX 16384  /* a key of RK_SECRET_MAX bytes in hex, its ID, and blanks [bytes] */

struct pool_key {
    uint64_t at;       /* file: where its line begins, or JSON: its key, behind the quote */
    uint32_t len;      /* file: length of the line without newline, or JSON: of the key as written */
    uint32_t line;     /* file: number of the line */
    uint32_t id;       /* where its ID is in pool.ids */
    uint32_t bits;
    bool used;
    bool bare;         /* directory: its file's name is the ID alone */
};

struct pool {
    const struct rk_host *host;
    char *path;
    bool is_dir, is_json;
    struct stat seen;       /* the file or directory that was loaded; seen.st_ino == 0: none */
    struct pool_key *keys;  /* n of them, in the order in which they are given out */
    size_t n, room;
    size_t begin;           /* so many keys at the end that is taken from are used, at least */
    char *ids;              /* all IDs, NUL-ended */
    size_t ids_len, ids_room;
    uint32_t *index;        /* hash table of numbers of keys + 1; n_index, a power of two */
    size_t n_index;
};

/* pool_refresh - load the pool when it was not loaded, or has changed since
 * out:  *loaded  it was loaded (again): no key is marked as used
 * ret:  RK_OK, or a code stated by fail() with file and line; then the pool is empty */
int pool_refresh(struct pool *p, struct rk_call *call, bool *loaded);

/* pool_forget - empty the pool, so that the next refresh loads it */
void pool_forget(struct pool *p);

/* pool_find - the key with this ID (UUIDs in lower case), or NULL */
struct pool_key *pool_find(const struct pool *p, const char *id);

/* pool_id - the ID of a key */
const char *pool_id(const struct pool *p, const struct pool_key *k);

/* pool_read - read a key into a secret
 * ret:  RK_OK; RK_E_AGAIN: the pool has changed since it was loaded; or a code stated by fail() */
int pool_read(struct pool *p, struct rk_call *call, const struct pool_key *k, struct rk_secret **out);

/* pool_free - free what the pool holds, not the struct */
void pool_free(struct pool *p);

#endif
