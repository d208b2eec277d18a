/* conf.h - the configuration of rekey-kme
 *
 * Read once at start; wholly checked, pair secrets included, before anything is opened.
 */
#ifndef KME_CONF_H
#define KME_CONF_H

#include "fault.h"
#include "keys.h"
#include "personality.h"
#include "store.h"

#include <stdint.h>

#define KME_MAX 16              /* KMEs in one process */
#define KME_PEERS_MAX 16        /* KMEs that one shares keys with */
#define KME_SAES_MAX 1000       /* SAEs of one list: bounds what dec_keys tries before it says 400 */
#define KME_EXTENSIONS_MAX 32
#define KME_NAME_MAX 64         /* longest KME ID */
#define KME_CONF_BYTES_MAX (1024 * 1024)
#define KME_CONF_TEXT_MAX 400   /* error text */
#define KME_REQUEST_KEYS_MAX 1024 /* highest max-key-per-request: 1,024 keys of 8,160 bytes are 11 MB of JSON */

struct kme_saes {
    char (*id)[RK_SAE_MAX + 1]; /* sorted */
    size_t n;
};

/* Is the call status there. */
enum kme_status_use {
    KME_STATUS_OFFERED,
    KME_STATUS_FIRST, /* enc_keys is refused until it was asked for */
    KME_STATUS_NONE,  /* 404 */
};

struct kme_peer_conf {
    char kme[KME_NAME_MAX + 1];
    struct kme_saes saes;
    char *secret_path; /* NULL: shared in memory with a KME of the same file */
    struct kme_secret secret;
    bool has_secret;
    bool same_process; /* that KME is in the same file */
    unsigned long line;
};

struct kme_conf {
    char id[KME_NAME_MAX + 1];
    char host[64];
    uint16_t port; /* 0: the kernel chooses */
    char *cert, *key, *ca;
    struct kme_saes saes;
    struct kme_peer_conf *peers;
    size_t n_peers;
    int64_t key_bits, min_key_bits, max_key_bits;
    int64_t max_per_request;
    struct kme_pool_conf pool;
    struct kme_faults faults;
    char *fault_file;
    char *cert_expired, *cert_future; /* for the same key; NULL: those faults cannot be had */
    const struct kme_personality *personality;
    bool integer_saes;              /* SAE IDs in paths must be integers */
    enum kme_status_use status_use;
    const char *key_id;             /* name of that member in containers; static */
    struct kme_saes extensions;     /* supported: "name" or "name=value" */
    bool refuse_optional;           /* 400 for an extension_optional that is not supported */
    int64_t max_saes;               /* max_SAE_ID_count */
    uint64_t seed;
    unsigned long line;
};

/* What counts for KMEs that have no own word on it; from the command line. */
struct kme_usual {
    const struct kme_personality *personality;
    const struct kme_faults *faults; /* NULL: those of the file; else instead of them */
    uint64_t seed;
};

struct kme_conf_set {
    struct kme_conf *kme;
    size_t n;
};

/* kme_conf_load - read and check a file
 * in:   usual  personality not NULL
 * out:  *set, freed with kme_conf_free; on error empty, and why[KME_CONF_TEXT_MAX] "file:line: what, remedy"
 * ret:  RK_OK, RK_E_CONFIG, RK_E_NOMEM, RK_E_FATAL (OpenSSL).   blocks: on files */
int kme_conf_load(const char *path, const struct kme_usual *usual, struct kme_conf_set *set, char *why);

/* kme_conf_free - wipe secrets and free */
void kme_conf_free(struct kme_conf_set *set);

/* kme_saes_at - where the SAE is in the list; -1 when it is not */
int kme_saes_at(const struct kme_saes *saes, const char *sae);

#endif
