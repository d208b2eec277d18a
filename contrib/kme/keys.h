/* keys.h - key IDs that prove what they were issued for, and the keys that belong to them
 *
 * The two KMEs of a pair share one secret and nothing else.  A key ID is a UUID:
 *     bytes 0..3   random, or ffffffff
 *     bytes 4..7   when it was issued, 28 bits [ms] (the version nibble, 4, is among them)
 *     bytes 8..9   variant bits 10, then the key's length [bytes] in 14 bits
 *     bytes 10..15 HMAC-SHA-256(secret, bytes 0..9 | master SAE | slave SAE), its first 6 bytes
 * and the key is HKDF-SHA-256(secret, the ID | master SAE | slave SAE).  So either KME can tell, also after a
 * crash and without talking to the other, that an ID was issued for a pair of SAEs, and give its key.
 * A lab's stand-in for quantum key distribution: who knows the pair secret knows every key.
 */
#ifndef KME_KEYS_H
#define KME_KEYS_H

#include <rekey/channel.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KME_ID_TEXT 37               /* an ID as text, with its NUL */
#define KME_KEY_BYTES_MAX (255 * 32) /* what HKDF-SHA-256 gives at most (RFC 5869 2.3) */
#define KME_PAIR_SECRET_MIN 32       /* shortest pair secret [bytes] */
#define KME_PAIR_SECRET_MAX 4096
#define KME_STAMP_BITS 28

struct kme_secret {
    unsigned char root[32];
};

struct kme_id {
    unsigned char bytes[16];
};

/* What a new ID is to say. */
struct kme_about {
    size_t key_bytes; /* 1..KME_KEY_BYTES_MAX */
    uint32_t stamp;   /* its lower KME_STAMP_BITS count */
    bool ones;        /* begin with ffffffff: then the stamp is all that tells two IDs of a pair apart */
};

/* The SAE pair that a key is for; borrowed texts of at most RK_SAE_MAX bytes. */
struct kme_names {
    const char *master, *slave;
};

/* kme_secret_random - a secret that exists in this process only
 * kme_secret_load - read it from a file that only its owner can read; one newline at its end is dropped
 * ret:  RK_OK; RK_E_CONFIG with why[RK_WHY_MAX] naming the remedy; RK_E_FATAL when OpenSSL fails
 * thread: any.  blocks: on the file */
int kme_secret_random(struct kme_secret *out);
int kme_secret_load(const char *path, struct kme_secret *out, char *why);

/* kme_id_make - a new ID
 * ret:  RK_OK or RK_E_FATAL (OpenSSL) */
int kme_id_make(const struct kme_secret *s, const struct kme_names *names, const struct kme_about *about,
                struct kme_id *out);

/* kme_id_age - from the stamp of an issued ID to now: may be negative; wraps after three days [ms] */
int64_t kme_id_age(const struct kme_id *id, int64_t wall_ms);

/* kme_id_issued - was this ID issued for exactly these SAEs, with this secret */
bool kme_id_issued(const struct kme_secret *s, const struct kme_names *names, const struct kme_id *id);

/* kme_id_key_bytes - the length of the ID's key [bytes]; meaningful only of an issued ID */
size_t kme_id_key_bytes(const struct kme_id *id);

/* kme_key - the key of an issued ID
 * out:  key[kme_id_key_bytes(id)], the caller wipes it.   ret: RK_OK or RK_E_FATAL (OpenSSL) */
int kme_key(const struct kme_secret *s, const struct kme_names *names, const struct kme_id *id, unsigned char *key);

/* kme_id_put - an ID as lower-case text, 8-4-4-4-12.   kme_id_get - from text of either case; false when it is none */
void kme_id_put(const struct kme_id *id, char out[KME_ID_TEXT]);
bool kme_id_get(const char *text, struct kme_id *out);

#endif
