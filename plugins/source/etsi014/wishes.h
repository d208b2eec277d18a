/* wishes.h - what the options add to each key request: extensions, further slave SAEs */
#ifndef ETSI014_WISHES_H
#define ETSI014_WISHES_H

#include <rekey/source.h>

#include <stdbool.h>
#include <stddef.h>

struct etsi;

struct wishes {
    char *mandatory, *optional; /* JSON arrays of objects; NULL: none */
    char **saes, **sae_texts;   /* IDs, and the same as JSON strings */
    size_t n_saes;
};

/* wishes_load - read extension-mandatory, extension-optional and additional-slave-saes
 * ret:   RK_OK or RK_E_CONFIG, RK_E_NOMEM with a text that names option and item
 * src:   ETSI GS QKD 014 V1.1.1, 6.2 */
int wishes_load(struct etsi *e, struct rk_call *call, const struct rk_conf *conf);
void wishes_free(struct etsi *e);

/* wishes_any - is there something that only a POST can say */
bool wishes_any(const struct etsi *e);

/* wishes_body - the body of enc_keys for n keys of this size; a further slave that is the peer itself is left out
 * ret:   text that the caller frees; NULL: no memory */
char *wishes_body(struct etsi *e, const char *peer, size_t n, uint32_t bits);

#endif
