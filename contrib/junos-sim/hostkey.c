/* hostkey.c - SSH host keys of the boxes: read from a folder, or made at start
 *
 * Made by the main thread before others start.  RSA keys, and those of a fault, are made when they are first needed.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    enum ssh_keytypes_e type;
    int bits;
    const char *ending;
} kinds[] = {[SIM_HOST_ED25519] = {SSH_KEYTYPE_ED25519, 0, "ed25519"},
             [SIM_HOST_ECDSA] = {SSH_KEYTYPE_ECDSA, 256, "ecdsa"},
             [SIM_HOST_RSA] = {SSH_KEYTYPE_RSA, 2048, "rsa"}};

static struct {
    const struct sim_lab *lab;
    ssh_key *key;            /* one a box, of its own type */
    ssh_key rsa, wrong[3];   /* for faults, of all boxes */
    pthread_mutex_t lock;
} keys = {.lock = PTHREAD_MUTEX_INITIALIZER};

static ssh_key
generated(enum sim_host_key type)
{
    ssh_key key = NULL;

    return ssh_pki_generate(kinds[type].type, kinds[type].bits, &key) == SSH_OK ? key : NULL;
}

/* The key of a file; it is made where there is none. */
static ssh_key
from_file(const struct sim_box *box, const char *folder, char *why)
{
    char path[1024];
    ssh_key key = NULL;
    mode_t mask;

    snprintf(path, sizeof path, "%.800s/%s.%s", folder, box->name, kinds[box->host_key].ending);
    if (access(path, F_OK) == 0) {
        if (ssh_pki_import_privkey_file(path, NULL, NULL, NULL, &key) != SSH_OK)
            snprintf(why, SIM_WHY_MAX, "%.200s: no private key can be read from it", path);
        return key;
    }
    key = generated(box->host_key);
    mask = umask(077);
    if (key && ssh_pki_export_privkey_file(key, NULL, NULL, NULL, path) != SSH_OK) {
        snprintf(why, SIM_WHY_MAX, "%.200s: cannot be written", path);
        ssh_key_free(key);
        key = NULL;
    }
    umask(mask);
    return key;
}

bool
host_keys_start(const struct sim_lab *lab, const char *folder, char *why)
{
    snprintf(why, SIM_WHY_MAX, "out of memory");
    keys.lab = lab;
    keys.key = calloc(lab->n ? lab->n : 1, sizeof *keys.key);
    for (size_t i = 0; keys.key && i < lab->n; i++) {
        keys.key[i] = folder ? from_file(lab->boxes[i], folder, why) : generated(lab->boxes[i]->host_key);
        if (!keys.key[i])
            return false;
    }
    return keys.key != NULL;
}

void
host_keys_stop(void)
{
    for (size_t i = 0; keys.key && i < keys.lab->n; i++)
        ssh_key_free(keys.key[i]);
    free(keys.key);
    keys.key = NULL;
    ssh_key_free(keys.rsa);
    keys.rsa = NULL;
    for (size_t i = 0; i < 3; i++) {
        ssh_key_free(keys.wrong[i]);
        keys.wrong[i] = NULL;
    }
}

static ssh_key
own(const struct sim_box *box)
{
    for (size_t i = 0; i < keys.lab->n; i++)
        if (keys.lab->boxes[i] == box)
            return keys.key[i];
    return NULL;
}

ssh_key
host_key(const struct sim_box *box, enum sim_host_key type, bool wrong)
{
    ssh_key *shared = wrong ? &keys.wrong[type] : &keys.rsa, copy;

    if (!wrong && type == box->host_key)
        return ssh_key_dup(own(box));
    pthread_mutex_lock(&keys.lock);
    if (!*shared)
        *shared = generated(type);
    copy = *shared ? ssh_key_dup(*shared) : NULL;
    pthread_mutex_unlock(&keys.lock);
    return copy;
}

int
host_keys_write(const struct sim_lab *lab, uint16_t port, const char *path)
{
    FILE *out = fopen(path, "we");
    int err = out ? 0 : -1;

    for (size_t i = 0; out && i < lab->n; i++) {
        const unsigned char *a = (const unsigned char *)&lab->boxes[i]->address;
        char *text = NULL;

        if (ssh_pki_export_pubkey_base64(keys.key[i], &text) != SSH_OK) {
            err = -1;
            break;
        }
        if (port == 22)
            fprintf(out, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
        else
            fprintf(out, "[%u.%u.%u.%u]:%u", a[0], a[1], a[2], a[3], port);
        fprintf(out, " %s %s\n", ssh_key_type_to_char(ssh_key_type(keys.key[i])), text);
        ssh_string_free_char(text);
    }
    if (out && fclose(out) != 0)
        err = -1;
    return err;
}
