/* end_class.h - what differs by the class of a device, and the words that ends add to each other's facts
 *
 * Pure.  The classes are those of <rekey/device.h>; doc/rotation.md says how a rotation runs on each.
 */
#ifndef RK_END_CLASS_H
#define RK_END_CLASS_H

#include "record.h"

struct rk_variant {
    bool cak;       /* the key is a CAK: MKA uses it as soon as both ends have it, so STAGE is the only change */
    bool timed;     /* a key begins at its start time */
    bool one_way;   /* the peer never answers */
    unsigned slots; /* receive slots, of which a key takes number seq mod slots; 0: no fixed places */
};

/* rk_variant - of RK_CLASS_A to RK_CLASS_E; anything else counts as A.   own: static.   thread: any */
const struct rk_variant *rk_variant(uint32_t class);

/* rk_class_letter - "A" to "E"; "?" for none.   own: static */
const char *rk_class_letter(uint32_t class);

/* rk_class_proved - do two classes have a proved rotation together: both A, or each of B, C and D.   thread: any */
bool rk_class_proved(uint32_t a, uint32_t b);

/* What an end says of itself behind its device's facts, separated by commas. */
#define RK_WORD_REKEY 1u    /* "rekey": a slave wants a rotation (packet numbers run out) */
#define RK_WORD_SHUT 2u     /* "shut": its key is too old, and its policy is to shut the link */
#define RK_WORD_FALLBACK 4u /* "fb": the key offered is from the fallback source */
#define RK_WORDS_ALL 7u

struct rk_words {
    uint32_t flags; /* RK_WORD_... */
    uint32_t class; /* "c=B" to "c=E"; RK_CLASS_A is not said */
};

/* rk_words_add - append them to facts[RK_FACTS_MAX + 1]; one that does not fit is left out
 * rk_words_take - take them off the end of facts.   out: *words, class RK_CLASS_A when not said
 * thread: any.   src: doc/rotation.md, the record */
void rk_words_add(char *facts, const struct rk_words *words);
void rk_words_take(char *facts, struct rk_words *words);

#endif
