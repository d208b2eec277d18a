/* text.h - port descriptions: the operator's own text, and behind it what rekeyd shows
 *
 * Pure: no clock, no sockets, no allocation beyond the JSON of one description.  Descriptions come from the wire:
 * anyone on the link may have written them.
 *
 *   rekey    TEXT rk1|...|TAG       the record, whole, as the last word
 *   offbox   TEXT|{"key_id": "ID"}  no more than the key ID, as the script offbox.py writes and reads it
 */
#ifndef LLDP_TEXT_H
#define LLDP_TEXT_H

#include <rekey/channel.h>

#include <stdbool.h>
#include <stddef.h>

#define LLDP_TEXT_MAX 255 /* longest port description [bytes].   src: IEEE 802.1AB-2016, 8.5.5 */
#define LLDP_MEMBER_MAX 32 /* longest name of a JSON member [bytes] */

enum lldp_format { LLDP_REKEY, LLDP_OFFBOX };

enum lldp_found {
    LLDP_NOTHING, /* nothing of rekeyd in it */
    LLDP_RECORD,  /* out is a record, or '=' and a key ID (offbox) */
    LLDP_FLAW     /* something that is no record; out says why, in words */
};

struct lldp_bytes {
    const char *bytes;
    size_t len;
};

/* lldp_own_len - how much of a description is the operator's own text [bytes], without blanks at its end
 * What either format would add is not part of it, so that a change of the format leaves nothing behind. */
size_t lldp_own_len(struct lldp_bytes description);

/* lldp_join - the operator's own text, made printable and cut where it must be, and ours behind it
 * in:   ours  as of lldp_ours, at most LLDP_TEXT_MAX; "": the operator's text alone
 * out:  text[LLDP_TEXT_MAX + 1].   ret: length of the operator's text in it [bytes] */
size_t lldp_join(struct lldp_bytes own, const char *ours, char *text);

/* lldp_ours - what is shown for a record
 * in:   member  name of the key ID's member (offbox)
 * out:  ours[LLDP_TEXT_MAX + 1]; "": the record names no key to tell of (offbox): what was shown before stays
 * ret:  NULL, or in words why it cannot be shown */
const char *lldp_ours(enum lldp_format format, const char *member, const char *record, char *ours);

/* lldp_find - what a description says
 * out:  out[RK_RECORD_MAX + 1], see enum lldp_found */
enum lldp_found lldp_find(enum lldp_format format, const char *member, struct lldp_bytes description, char *out);

/* lldp_field - field i, from 0, of a record;  len 0: there is none, or it is empty */
struct lldp_bytes lldp_field(const char *record, unsigned i);

/* lldp_safe - any[len] as printable ASCII without quotes in out[size], cut when it is longer; what is not, as '?' */
void lldp_safe(struct lldp_bytes any, char *out, size_t size);

#endif
