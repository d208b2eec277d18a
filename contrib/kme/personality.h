/* personality.h - how the servers that are out there differ, as data
 *
 * A row says what one kind of server does where the standard is silent, or where the server does not follow it.
 * The API asks the row; it never asks for a name.
 */
#ifndef KME_PERSONALITY_H
#define KME_PERSONALITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the body of an answer is, and what its Content-Type says. */
enum kme_form {
    KME_JSON,
    KME_UNTYPED, /* JSON without a Content-Type */
    KME_HTML,    /* a page of a web framework */
    KME_TEXT,    /* the message alone, text/plain */
    KME_BARE,    /* no body */
};

/* Refusals that servers answer in different ways. */
enum kme_refusal {
    KME_R_MISSING,     /* dec_keys: an ID that is unknown, or whose key was fetched */
    KME_R_NONE_LEFT,   /* dec_keys: no key of the pair waits to be fetched; only where "replaces" is set */
    KME_R_OTHER_SLAVE, /* dec_keys: issued for another slave */
    KME_R_STRANGER,    /* the certificate names no SAE of this KME */
    KME_R_SAE,         /* no peer serves the SAE in the path */
    KME_R_SAE_FORM,    /* the SAE ID in the path is no integer, where it has to be one */
    KME_R_JSON,        /* malformed body */
    KME_R_NO_ID,       /* dec_keys by GET without one key_ID */
    KME_R_ID_STRINGS,  /* dec_keys: key_IDs are strings, not objects */
    KME_R_NUMBER,
    KME_R_SIZE,
    KME_R_METHOD,
    KME_R_PATH,
    KME_R_POOL,        /* too few keys */
    KME_R_STATUS,      /* status is not offered, or has to be asked for first */
    KME_R_COUNT,
};

struct kme_say {
    int code; /* HTTP; 0: as the standard */
    enum kme_form form;
    const char *message; /* NULL: as the standard */
};

enum kme_stored {
    KME_STORED_REAL,
    KME_STORED_WAITING, /* keys given to a master that its slave has not fetched */
    KME_STORED_RANDOM,  /* 10..10000, whatever there is */
    KME_STORED_ONE,     /* 1 of 1, or 0 of 1 */
};

struct kme_personality {
    const char *name;
    const char *like;        /* whose behaviour it is */
    struct kme_say say[KME_R_COUNT];
    const char *bad_request; /* the message of every 400 that has none of its own; NULL: the reason */
    enum kme_form errors;    /* of all other errors; KME_BARE is not used here */
    enum kme_stored stored;
    const char *key_id;      /* name of the member in a container */
    int64_t max_per_request, min_key_bits, max_key_bits; /* defaults of the configuration */
    bool keeps;              /* dec_keys gives a key as often as it is asked for */
    bool replaces;           /* enc_keys takes away what an earlier one gave and the slave did not fetch */
    bool lenient_body;       /* enc_keys: malformed JSON, or an unknown member, is as good as {} */
    bool query_ignored;      /* enc_keys by GET: number and size have no effect */
    bool size_ignored;       /* enc_keys: every key has the default size */
    bool size_rounded;       /* enc_keys: a size that is no multiple of 8 is rounded down */
    bool zero_keys;          /* enc_keys: number 0 is answered with no keys */
    bool extensions_ignored; /* extension_mandatory has no effect */
    bool id_strings;         /* dec_keys: key_IDs may be strings */
    bool no_id_no_keys;      /* dec_keys by GET without key_ID: 200 and no keys */
    bool anyone;             /* a certificate may name any SAE */
    bool pretty;             /* JSON on several lines */
    bool ones;               /* key IDs begin with ffffffff */
    bool one_at_a_time;      /* a slow answer holds up all requests behind it */
};

/* kme_personality_find - by name; NULL when there is none.   kme_personality_at - by number, NULL behind the last
 * kme_personality_say - how a refusal is answered, the standard's answer where the row has none
 * own:  static.   thread: any */
const struct kme_personality *kme_personality_find(const char *name);
const struct kme_personality *kme_personality_at(size_t i);
struct kme_say kme_personality_say(const struct kme_personality *as, enum kme_refusal what);

#endif
