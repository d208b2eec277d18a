/* pool_int.h - what the loaders of the forms of a pool share
 *
 * Runs as pool.h says.  Each loader reads the open pool from its begin and gives each key to pool_add.
 */
#ifndef FILE_POOL_INT_H
#define FILE_POOL_INT_H

#include "pool.h"

#define POOL_CHUNK 65536  /* bytes of a pool file in memory at a time, while it is loaded */
#define POOL_LOOK_UP 1024 /* so many keys are loaded between two looks at the budget */
#define POOL_DIGEST 16    /* bytes of SHA-256 that tell keys apart while a pool is loaded */
#define POOL_SUFFIX ".key"

/* One key's digest, to find equal keys.  Wiped and freed when the pool is loaded. */
struct pool_mark {
    unsigned char digest[POOL_DIGEST];
    uint32_t key;
};

struct pool_load {
    struct pool *pool;
    struct rk_call *call;
    struct pool_mark *marks;
    size_t room;
    unsigned char key[RK_SECRET_MAX]; /* the key that is being added; wiped at the end */
};

/* A window of a file that moves on. */
struct pool_window {
    int fd;
    char *buf;      /* POOL_CHUNK bytes */
    size_t len, at;
    uint64_t begin; /* of buf in the file */
};

/* pool_add - add the key l->key[n] with the ID id[id_len], at the place k (at, len, line)
 * ret:  RK_OK, or a code stated by fail() with file, line and remedy */
int pool_add(struct pool_load *l, struct pool_key k, const char *id, size_t n);

/* pool_window_more - read on; what is before w->at is dropped
 * ret:  1; 0 at the end of the file; RK_E_IO; RK_E_CONFIG when nothing is dropped and the window is full */
int pool_window_more(struct pool_window *w);

/* pool_load_file - load the pool in an open file, lines or JSON
 * pool_load_json - load it as JSON: containers as of ETSI GS QKD 014 V1.1.1, 6.3, one after the other
 * pool_load_dir - load the pool in an open directory
 * ret:  RK_OK, or a code stated by fail() */
int pool_load_file(struct pool_load *l, int fd, const struct stat *st);
int pool_load_json(struct pool_load *l, struct pool_window *w);
int pool_load_dir(struct pool_load *l, int fd);

/* pool_read_line, pool_read_json, pool_read_dir - read one key of the open pool again
 * out:  bytes[RK_SECRET_MAX], to be wiped; *n
 * ret:  RK_OK; RK_E_AGAIN: it is not what was loaded; or a code stated by fail() */
int pool_read_line(struct pool *p, int fd, const struct pool_key *k, unsigned char *bytes, size_t *n);
int pool_read_json(int fd, const struct pool_key *k, unsigned char *bytes, size_t *n);
int pool_read_dir(struct pool *p, struct rk_call *call, int fd, const struct pool_key *k, unsigned char *bytes,
                  size_t *n);

#endif
