/* keyform.c - decodes keys in a time that does not depend on their digits, and finds those that are none. */
#include "keyform.h"

#include "keytext.h"

#include <rekey/secret.h>

#include <string.h>

/* Keys that are printed in documents, as hex: ETSI GS QKD 014, NIST SP 800-38A, FIPS 197, IEEE 802.1AE annex C. */
static const char *const examples[] = {
    "c071d5c51c0326cdff6d7777f061cfde87b8b2f4ee469652d32082ef1e0bcbeb",
    "39e18c3f1875fb6469269342622c561c52d846e6e938a0b0f7815c088ed57490",
    "2b7e151628aed2a6abf7158809cf4f3c",
    "603deb1015ca71be2b73aef0857d7781",
    "8e73b0f7da0e6452c810f32b809079e5",
    "000102030405060708090a0b0c0d0e0f",
    "00112233445566778899aabbccddeeff",
    "ad7a2bd03eac835a6f620fdcb506b345",
    "e3c08a8f06c6e3ad95a70557b23f7548",
    "071b113b0ca743fecccf3d051f737382",
    "691d3ee909d7f54167fd1ca0b5d76908",
    "013fe00b5f11be7f866d0cbbc55a7a90",
    "83c093b58de7ffe1c0da926ac43fb360",
    "88ee087fd95da9fbf6725aa9d757b0cd",
    "4c973dbc7364621674f8b5b89e5c1551",
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

bool
rkp_holds_example(const unsigned char *bytes, size_t n)
{
    unsigned char key[RKP_EXAMPLE_MAX];

    for (size_t i = 0; i < COUNT(examples); i++) {
        size_t len = strlen(examples[i]);

        rkp_hex_get(examples[i], len, key);
        if (memmem(bytes, n, key, len / 2))
            return true;
    }
    return false;
}

static bool
all_same(const unsigned char *bytes, size_t n)
{
    unsigned differ = 0;

    for (size_t i = 1; i < n; i++)
        differ |= bytes[i] ^ bytes[0];
    return differ == 0;
}

const char *
rkp_key_flaw(const unsigned char *bytes, size_t n)
{
    if (n < RKP_KEY_MIN)
        return "a key shorter than 128 bits; make it anew, with 16 bytes or more";
    if (n > RK_SECRET_MAX)
        return "a key longer than 4096 bytes; make it anew";
    if (n % 2)
        return "a key of an odd number of bytes, so a part of it is missing; copy it again";
    if (all_same(bytes, n))
        return bytes[0] ? "a key whose bytes are all the same; make it anew" : "a key of zeros; make it anew";
    return rkp_holds_example(bytes, n) ? "a key that is printed in a standard or manual; make it anew" : NULL;
}

const char *
rkp_key_decode(const char *text, size_t len, int raw, unsigned char *bytes, size_t *n)
{
    size_t hex = rkp_hex_len(text, len), base64 = hex ? 0 : rkp_base64_len(text, len);

    *n = hex ? hex : base64 ? base64 : raw ? len : 0;
    if (*n == 0)
        return raw ? "empty; write a key, or remove it" : "a key that is neither hex nor base64; write pairs of hex "
                                                          "digits, or base64 with its padding";
    if (*n > RK_SECRET_MAX)
        return rkp_key_flaw(NULL, *n);
    if (hex)
        rkp_hex_get(text, len, bytes);
    else if (base64)
        rkp_base64_get(text, len, bytes);
    else
        memcpy(bytes, text, len);
    return rkp_key_flaw(bytes, *n);
}
