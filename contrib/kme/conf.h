/* conf.h - the configuration of rekey-kme
 *
 * Read once at start; wholly checked, pair secrets included, before anything is opened.
 */
#ifndef KME_CONF_H
#define KME_CONF_H

#include "fault.h"
#include "keys.h"

#include <stdint.h>

#define KME_MAX 16              /* KMEs in one process */
#define KME_PEERS_MAX 16        /* KMEs that one shares keys with */
#define KME_SAES_MAX 256        /* SAEs of one list: bounds what dec_keys tries before it says 400 */
#define KME_NAME_MAX 64         /* longest KME ID */
#define KME_CONF_BYTES_MAX (1024 * 1024)
#define KME_CONF_TEXT_MAX 400   /* error text */
#define KME_REQUEST_KEYS_MAX 1024 /* highest max-key-per-request: 1,024 keys of 8,160 bytes are 11 MB of JSON */

struct kme_saes {
    char (*id)[RK_SAE_MAX + 1];
    size_t n;
};

struct kme_peer_conf {
    char kme[KME_NAME_MAX + 1];
    struct kme_saes saes;
    char *secret_path; /* NULL: shared in memory with a KME of the same file */
    struct kme_secret secret;
    bool has_secret;
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
    int64_t pool_keys, pool_per_s;
    struct kme_fault fault;
    char *fault_file;
    unsigned long line;
};

struct kme_conf_set {
    struct kme_conf *kme;
    size_t n;
};

/* kme_conf_load - read and check a file
 * out:  *set, freed with kme_conf_free; on error empty, and why[KME_CONF_TEXT_MAX] "file:line: what, remedy"
 * ret:  RK_OK, RK_E_CONFIG, RK_E_NOMEM, RK_E_FATAL (OpenSSL).   blocks: on files */
int kme_conf_load(const char *path, struct kme_conf_set *set, char *why);

/* kme_conf_free - wipe secrets and free */
void kme_conf_free(struct kme_conf_set *set);

/* kme_saes_has - is the SAE in the list */
bool kme_saes_has(const struct kme_saes *saes, const char *sae);

#endif
