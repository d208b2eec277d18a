/* secret.c - the $9$ form in which Junos stores passwords: anyone can read it, so it hides nothing from anyone
 *
 * Pure.  The alphabet, the weights and the order are those that the public decoders use.
 */
#include "sim.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#define FAMILIES 4
static const char *const family[FAMILIES] = {"QzF3n6/9CAtpu0O", "B1IREhcSyrleKvMW8LXx", "7N-dVbwsY2g4oaJZGUDj",
                                             "iHkq.mPf5T"};
static const char alphabet[] = "QzF3n6/9CAtpu0OB1IREhcSyrleKvMW8LXx7N-dVbwsY2g4oaJZGUDjiHkq.mPf5T";
#define LETTERS ((int)sizeof alphabet - 1)

/* The characters of a clear byte are gaps, each worth so much; by the byte's place. */
#define WEIGHTS 7
static const int weight[WEIGHTS][5] = {{1, 4, 32}, {1, 16, 32}, {1, 8, 32}, {1, 64}, {1, 32}, {1, 4, 16, 128},
                                       {1, 32, 64}};

static int
place(char c)
{
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (int)(at - alphabet) : -1;
}

/* How many characters of salt follow the first one. */
static int
padding(char first)
{
    for (int i = 0; i < FAMILIES; i++)
        if (first && strchr(family[i], first))
            return FAMILIES - 1 - i;
    return -1;
}

/* One clear byte from the gaps; the number of characters used, or -1. */
static int
open_byte(const char *in, int *last, const int *weights, unsigned char *out)
{
    int sum = 0, n = 0;

    for (; weights[n]; n++) {
        int at = place(in[n]);

        if (at < 0)
            return -1;
        sum += ((at - *last + LETTERS) % LETTERS - 1) * weights[n];
        *last = at;
    }
    *out = (unsigned char)((unsigned)sum & 0xffu);
    return n;
}

static bool
open_9(const char *in, char *out, size_t size)
{
    int last = place(*in), skip = padding(*in);
    size_t n = 0;

    for (int i = 0; i <= skip; i++)
        if (!*in++)
            return false;
    while (skip >= 0 && *in) {
        unsigned char byte = 0;
        int used = n + 1 < size ? open_byte(in, &last, weight[n % WEIGHTS], &byte) : -1;

        if (used < 0 || !byte)
            return false;
        out[n++] = (char)byte;
        in += used;
    }
    out[n] = '\0';
    return n > 0;
}

bool
secret_open(const char *stored, char *out, size_t size)
{
    bool done;

    if (strncmp(stored, "$9$", 3) == 0)
        done = open_9(stored + 3, out, size);
    else if ((done = stored[0] && stored[0] != '$' && strlen(stored) < size))
        memcpy(out, stored, strlen(stored) + 1);
    if (!done)
        OPENSSL_cleanse(out, size);
    return done;
}

static int
seal_byte(unsigned char byte, int *last, const int *weights, char *out)
{
    int gap[5], rest = byte, n = 0;

    while (weights[n])
        n++;
    for (int i = n - 1; i >= 0; i--) {
        gap[i] = rest / weights[i];
        rest %= weights[i];
    }
    for (int i = 0; i < n; i++) {
        *last = (gap[i] + *last + 1) % LETTERS;
        out[i] = alphabet[*last];
    }
    return n;
}

bool
secret_seal(const char *clear, char *out, size_t size)
{
    unsigned char salt[FAMILIES];
    size_t n = 3;
    int last, more;

    if (RAND_bytes(salt, sizeof salt) != 1 || size < 3 + FAMILIES + 4 * strlen(clear) + 1)
        return false;
    memcpy(out, "$9$", n);
    out[n] = alphabet[salt[0] % LETTERS];
    last = place(out[n]);
    more = padding(out[n++]);
    for (int i = 0; i < more; i++)
        out[n++] = alphabet[salt[i + 1] % LETTERS];
    for (size_t i = 0; clear[i]; i++)
        n += (size_t)seal_byte((unsigned char)clear[i], &last, weight[i % WEIGHTS], out + n);
    out[n] = '\0';
    return true;
}
