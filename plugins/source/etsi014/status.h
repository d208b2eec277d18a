/* status.h - reads the status of ETSI GS QKD 014 in place.  Pure: no allocation, no I/O */
#ifndef ETSI014_STATUS_H
#define ETSI014_STATUS_H

#include <stddef.h>
#include <stdint.h>

#define STATUS_NAME_MAX 64 /* how much of an ID is kept [bytes]: as long as an SAE ID may be */

/* What a KME tells.  Numbers: -1 when it tells none, or something else than a number that is whole and not negative.
 * Names: "" when it tells none; else printable ASCII without blanks, cut to fit. */
struct status {
    int64_t key_bits, min_bits, max_bits; /* key_size, min_key_size, max_key_size */
    int64_t stored, capacity;             /* stored_key_count, max_key_count */
    int64_t max_per_request, max_saes;    /* max_key_per_request, max_SAE_ID_count */
    char source_kme[STATUS_NAME_MAX + 1], target_kme[STATUS_NAME_MAX + 1];
    char master_sae[STATUS_NAME_MAX + 1], slave_sae[STATUS_NAME_MAX + 1];
};

/* status_read - read the body of a status
 * in:    body[len]  JSON text, changed in place (escapes are resolved)
 * out:   *st, whole also when it is refused (then it tells nothing);  *why  static text when the body is refused
 * ret:   RK_OK; RK_E_PROTOCOL: no JSON object, a member twice
 * thread: any.   blocks: never.   src: ETSI GS QKD 014 V1.1.1, 6.1 */
int status_read(char *body, size_t len, struct status *st, const char **why);

#endif
