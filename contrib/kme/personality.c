/* personality.c - see personality.h.  Data; the manual has the same table with its sources.
 *
 * What is played was read in the servers' sources or seen when they ran; where only a vendor's page tells, the row
 * is vendor-like.
 */
#include "personality.h"

#include <string.h>

#define NOT_FOUND "one or more keys specified are not found on KME"

/* ETSI GS QKD 014 V1.1.1; what it leaves open is answered as most servers do. */
static const struct kme_say standard[] = {
    [KME_R_MISSING] = {400, KME_JSON, NOT_FOUND},
    [KME_R_NONE_LEFT] = {400, KME_JSON, NOT_FOUND},
    [KME_R_OTHER_SLAVE] = {401, KME_BARE, "the caller was not named as slave"},
    [KME_R_STRANGER] = {401, KME_BARE, "the certificate names no SAE of this KME"},
    [KME_R_SAE] = {400, KME_JSON, "the SAE ID in the path is not known on this KME"},
    [KME_R_SAE_FORM] = {400, KME_JSON, "SAE IDs are integers on this KME"},
    [KME_R_JSON] = {400, KME_JSON, "malformed JSON"},
    [KME_R_NO_ID] = {400, KME_JSON, "by GET exactly one key_ID can be asked for"},
    [KME_R_ID_STRINGS] = {400, KME_JSON, "each of key_IDs shall be an object with a string key_ID"},
    [KME_R_NUMBER] = {400, KME_JSON, "number is out of range"},
    [KME_R_SIZE] = {400, KME_JSON, "size is out of range"},
    [KME_R_METHOD] = {405, KME_JSON, "method not allowed"},
    [KME_R_PATH] = {404, KME_JSON, "no such resource"},
    [KME_R_POOL] = {503, KME_JSON, "not enough keys are stored"},
    [KME_R_STATUS] = {412, KME_JSON, "ask for status first"},
};
_Static_assert(sizeof standard / sizeof standard[0] == KME_R_COUNT, "one row for each refusal");

#define ANY_SIZE .max_per_request = 128, .min_key_bits = 64, .max_key_bits = 4096
#define ONLY_256 .min_key_bits = 256, .max_key_bits = 256

static const struct kme_personality personalities[] = {
    {.name = "strict", .like = "ETSI GS QKD 014 V1.1.1", .key_id = "key_ID", ANY_SIZE},
    {
        .name = "next-door-like",
        .like = "next-door-key-simulator",
        .key_id = "key_ID",
        ANY_SIZE,
        .say = {[KME_R_MISSING] = {400, KME_JSON, "Some of the requested keys do not exist in this KME."},
                [KME_R_NONE_LEFT] = {401, KME_JSON,
                                     "The given master_sae_id is not involved in any key exchanges."},
                [KME_R_OTHER_SLAVE] = {401, KME_JSON,
                                       "The given master_sae_id is not involved in any key exchanges."},
                [KME_R_STRANGER] = {401, KME_HTML, "Unauthorized"},
                [KME_R_SAE] = {400, KME_JSON, "The given slave SAE ID is unknown by this KME."},
                [KME_R_JSON] = {400, KME_HTML, "Bad Request"},
                [KME_R_ID_STRINGS] = {500, KME_HTML, "Internal Server Error"},
                [KME_R_NUMBER] = {400, KME_JSON, "Number of requested keys exceed allowed max keys per request."},
                [KME_R_METHOD] = {405, KME_HTML, "Method Not Allowed"},
                [KME_R_PATH] = {404, KME_HTML, "Not Found"}},
        .stored = KME_STORED_WAITING,
        .replaces = true,
        .query_ignored = true,
        .size_rounded = true,
        .extensions_ignored = true,
        .no_id_no_keys = true,
        .one_at_a_time = true,
    },
    {
        .name = "rust-like",
        .like = "qkd_kme_server",
        .key_id = "key_ID",
        .max_per_request = 10,
        ONLY_256,
        .say = {[KME_R_MISSING] = {404, KME_UNTYPED, "Element not found"},
                [KME_R_OTHER_SLAVE] = {401, KME_UNTYPED, "Authentication error"},
                [KME_R_STRANGER] = {401, KME_UNTYPED, "Authentication error"},
                [KME_R_METHOD] = {404, KME_UNTYPED, "Element not found"},
                [KME_R_PATH] = {404, KME_UNTYPED, "Element not found"},
                [KME_R_POOL] = {404, KME_UNTYPED, "Element not found"}},
        .bad_request = "Bad request",
        .errors = KME_UNTYPED,
        .keeps = true,
        .lenient_body = true,
        .query_ignored = true,
        .size_ignored = true,
        .zero_keys = true,
        .extensions_ignored = true,
        .no_id_no_keys = true,
        .pretty = true,
    },
    {
        .name = "mock-like",
        .like = "the mock server of Arnika",
        .key_id = "key_ID",
        .max_per_request = 1,
        ONLY_256,
        .say = {[KME_R_MISSING] = {404, KME_TEXT, "key not found"},
                [KME_R_OTHER_SLAVE] = {404, KME_TEXT, "key not found"},
                [KME_R_JSON] = {400, KME_TEXT, "invalid JSON payload"},
                [KME_R_ID_STRINGS] = {400, KME_TEXT, "invalid JSON payload"},
                [KME_R_METHOD] = {405, KME_TEXT, "method not allowed"},
                [KME_R_PATH] = {404, KME_TEXT, "404 page not found"}},
        .errors = KME_TEXT,
        .stored = KME_STORED_RANDOM,
        .keeps = true,
        .extensions_ignored = true,
        .anyone = true,
        .ones = true,
    },
    {
        .name = "vendor-like",
        .like = "pages of several vendors",
        .key_id = "keyId",
        .max_per_request = 20,
        ONLY_256,
        .say = {[KME_R_MISSING] = {404, KME_JSON, "key not found"},
                [KME_R_STRANGER] = {403, KME_JSON, "forbidden"},
                [KME_R_SAE] = {404, KME_JSON, "unknown SAE ID"}},
        .stored = KME_STORED_ONE,
        .id_strings = true,
    },
};

const struct kme_personality *
kme_personality_find(const char *name)
{
    const struct kme_personality *p;

    for (size_t i = 0; (p = kme_personality_at(i)) != NULL; i++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

const struct kme_personality *
kme_personality_at(size_t i)
{
    return i < sizeof personalities / sizeof personalities[0] ? &personalities[i] : NULL;
}

struct kme_say
kme_personality_say(const struct kme_personality *as, enum kme_refusal what)
{
    struct kme_say say = as->say[what];

    if (say.code == 0)
        say = (struct kme_say){standard[what].code, as->errors == KME_JSON ? standard[what].form : as->errors, NULL};
    if (!say.message && say.code == 400 && as->bad_request)
        say.message = as->bad_request;
    if (!say.message)
        say.message = standard[what].message;
    return say;
}
