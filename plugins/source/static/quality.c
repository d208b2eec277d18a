/* quality.c - finds secrets that are short, famous, patterned or poor.  Pure; what it decodes is wiped.
 *
 * Three looks: examples and words that everybody knows; how many bytes follow from the ones before (runs, counting
 * sequences, repeats, keyboard rows); and the entropy of the rest.  A text of hex digits or base64 is looked at
 * as text and as the bytes that it stands for.
 */
#include "quality.h"

#include "../../common/keyform.h"
#include "../../common/keytext.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <rekey/secret.h>

/* Running prose in English has no more than this per letter [bits].   src: Shannon 1951, Prediction and Entropy of
 * Printed English */
#define WORD_BITS 1.5
#define GRAM 4 /* so many bytes seen before, in this order, are a repeat: chance finds it once in 16^4 */

/* Words that stand in for a secret, lower case, six letters at least: chance does not write them. */
static const char *const words[] = {
    "changeme", "change-me", "change_me", "change me", "replaceme", "replace-me", "password", "passw0rd", "passwort",
    "example", "secret", "default", "letmein", "welcome", "qwerty", "azerty", "iloveyou", "trustno1", "insecure",
    "deadbeef", "cafebabe", "0123456789", "abcdefgh", "rekeyd", "juniper", "correct horse", "correcthorse",
    "lorem ipsum", "placeholder",
};

/* Neighbours on keyboards, and alphabets: read forwards or backwards. */
static const char rows[] = "1234567890 qwertyuiop asdfghjkl zxcvbnm qwertzuiop yxcvbnm azertyuiop qsdfghjklm wxcvbn "
                           "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p abcdefghijklmnopqrstuvwxyz 0123456789abcdef";

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

struct text {
    const unsigned char *bytes;
    size_t len;
};

static bool
starts_with(struct text t, size_t at, const char *word)
{
    for (size_t i = 0; word[i]; i++)
        if (at + i >= t.len || tolower(t.bytes[at + i]) != word[i])
            return false;
    return true;
}

static bool
holds_word(struct text t)
{
    for (size_t i = 0; i < COUNT(words); i++)
        for (size_t at = 0; at < t.len; at++)
            if (starts_with(t, at, words[i]))
                return true;
    return false;
}

/* Do the GRAM bytes that end at `end` count up or down evenly (a run is counting by 0). */
static bool
counts_on(struct text t, size_t end)
{
    unsigned char step = (unsigned char)(t.bytes[end] - t.bytes[end - 1]);

    for (size_t i = end - GRAM + 2; i < end; i++)
        if ((unsigned char)(t.bytes[i] - t.bytes[i - 1]) != step)
            return false;
    return true;
}

static bool
on_keyboard(struct text t, size_t end)
{
    char forwards[GRAM], backwards[GRAM];
    bool found;

    for (size_t i = 0; i < GRAM; i++) {
        forwards[i] = (char)tolower(t.bytes[end - GRAM + 1 + i]);
        backwards[GRAM - 1 - i] = forwards[i];
    }
    found = memmem(rows, sizeof rows - 1, forwards, GRAM) || memmem(rows, sizeof rows - 1, backwards, GRAM);
    explicit_bzero(forwards, sizeof forwards);
    explicit_bzero(backwards, sizeof backwards);
    return found;
}

/* Were the GRAM bytes that end at `end` there before. */
static bool
repeats(struct text t, size_t end)
{
    return memmem(t.bytes, end, t.bytes + end - GRAM + 1, GRAM) != NULL;
}

/* How many bytes do not follow from those before. */
static size_t
surprises(struct text t)
{
    size_t n = 0;

    for (size_t i = 0; i < t.len; i++)
        n += i < GRAM - 1 || !(counts_on(t, i) || on_keyboard(t, i) || repeats(t, i));
    return n;
}

/* Entropy of a byte [bits].   src: Miller 1955, the bias of entropy estimates from few samples */
static double
entropy(struct text t)
{
    unsigned counts[256] = {0}, distinct = 0;
    double h = 0;

    for (size_t i = 0; i < t.len; i++)
        counts[t.bytes[i]]++;
    for (size_t i = 0; i < 256; i++) {
        double p = (double)counts[i] / (double)t.len;

        distinct += counts[i] > 0;
        h -= counts[i] ? p * log2(p) : 0;
    }
    explicit_bzero(counts, sizeof counts);
    return h + (distinct - 1) / (2 * (double)t.len * M_LN2);
}

/* Is it prose: letters and separators only, in one case or with separators.  A base64 text has both cases and none. */
static bool
is_prose(struct text t)
{
    bool lower = false, upper = false, gap = false;

    for (size_t i = 0; i < t.len; i++) {
        if (t.bytes[i] >= 'a' && t.bytes[i] <= 'z')
            lower = true;
        else if (t.bytes[i] >= 'A' && t.bytes[i] <= 'Z')
            upper = true;
        else if (t.bytes[i] && strchr(" -_.,;:'!?\n", t.bytes[i]))
            gap = true;
        else
            return false;
    }
    return gap || lower != upper;
}

static double
most_per_byte(struct text t)
{
    if (rkp_hex_len((const char *)t.bytes, t.len) > 0)
        return 4;
    return rkp_base64_len((const char *)t.bytes, t.len) > 0 ? 6 : 8;
}

double
static_secret_bits(const unsigned char *bytes, size_t len)
{
    struct text t = {bytes, len};
    double per_byte, most;

    if (len == 0)
        return 0;
    most = most_per_byte(t);
    per_byte = entropy(t);
    if (is_prose(t) && most > WORD_BITS)
        most = WORD_BITS;
    return (per_byte < most ? per_byte : most) * (double)surprises(t);
}

/* What the bytes that a hex or base64 text stands for say against it. */
static const char *
decoded_flaw(struct text t)
{
    unsigned char bytes[RK_SECRET_MAX];
    struct text d = {bytes, rkp_hex_len((const char *)t.bytes, t.len)};
    const char *flaw = NULL;

    if (d.len > 0)
        rkp_hex_get((const char *)t.bytes, t.len, bytes);
    else if ((d.len = rkp_base64_len((const char *)t.bytes, t.len)) > 0)
        rkp_base64_get((const char *)t.bytes, t.len, bytes);
    if (d.len > 0 && rkp_holds_example(d.bytes, d.len))
        flaw = "is an example from a standard or manual";
    else if (d.len > 0 && holds_word(d))
        flaw = "holds a well-known word";
    else if (d.len > 0 && surprises(d) * 4 < d.len * 3)
        flaw = "stands for bytes that repeat or count";
    explicit_bzero(bytes, sizeof bytes);
    return flaw;
}

const char *
static_secret_flaw(const unsigned char *bytes, size_t len)
{
    struct text t = {bytes, len};
    const char *flaw;

    if (len < STATIC_SECRET_MIN)
        return "is shorter than 32 bytes";
    if (len > RK_SECRET_MAX)
        return "is longer than 4096 bytes";
    if (rkp_holds_example(t.bytes, t.len))
        return "is an example from a standard or manual";
    if (holds_word(t))
        return "holds a well-known word";
    if (surprises(t) * 2 < len)
        return "repeats, counts or follows a keyboard row";
    flaw = decoded_flaw(t);
    if (flaw)
        return flaw;
    if (is_prose(t) && static_secret_bits(bytes, len) < STATIC_BITS_MIN)
        return "is a text of words and has too little content for its length";
    return static_secret_bits(bytes, len) < STATIC_BITS_MIN ? "has too little content (less than 112 bits, as "
                                                              "estimated)" : NULL;
}

/* Too short for an estimate of its content: 16 random bytes have each value once. */
const char *
static_key_flaw(const unsigned char *bytes, size_t len)
{
    struct text t = {bytes, len};

    if (len < RKP_KEY_MIN)
        return "is a key shorter than 128 bits";
    if (len > RK_SECRET_MAX)
        return "is longer than 4096 bytes";
    if (rkp_holds_example(bytes, len))
        return "is an example from a standard or manual";
    if (holds_word(t))
        return "holds a well-known word";
    return surprises(t) * 4 < len * 3 ? "repeats or counts" : NULL;
}
