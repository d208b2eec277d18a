/* name.c - names of interfaces, ciphers, SCIs and keys.  Pure; any thread. */
#include "name.h"

#include <ctype.h>
#include <linux/if_macsec.h>
#include <stdio.h>
#include <string.h>

/* In the order of the option's choices. */
static const struct macsec_cipher ciphers[] = {
    {"gcm-aes-128", MACSEC_CIPHER_ID_GCM_AES_128, 16, false},
    {"gcm-aes-256", MACSEC_CIPHER_ID_GCM_AES_256, 32, false},
    {"gcm-aes-xpn-128", MACSEC_CIPHER_ID_GCM_AES_XPN_128, 16, true},
    {"gcm-aes-xpn-256", MACSEC_CIPHER_ID_GCM_AES_XPN_256, 32, true},
};

const struct macsec_cipher *
macsec_cipher_at(size_t i)
{
    return i < sizeof ciphers / sizeof ciphers[0] ? &ciphers[i] : NULL;
}

const struct macsec_cipher *
macsec_cipher_of(uint64_t id)
{
    /* The kernel shows GCM-AES-128 by the id that it had before IEEE gave it one. */
    if (id == MACSEC_DEFAULT_CIPHER_ID)
        id = MACSEC_CIPHER_ID_GCM_AES_128;
    for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++)
        if (ciphers[i].id == id)
            return &ciphers[i];
    return NULL;
}

/* A name as the kernel takes it (dev_valid_name), and that can stand in our text. */
static bool
dev_name_ok(const char *name, size_t len)
{
    if (len == 0 || len >= IFNAMSIZ || (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isgraph((unsigned char)name[i]) || strchr("/:@", name[i]))
            return false;
    return true;
}

int
macsec_names_parse(const char *text, struct macsec_names *out)
{
    const char *at = strchr(text, '@');
    size_t len = at ? (size_t)(at - text) : strlen(text);

    memset(out, 0, sizeof *out);
    if (!dev_name_ok(text, len) || (at && !dev_name_ok(at + 1, strlen(at + 1))))
        return RK_E_CONFIG;
    memcpy(out->dev, text, len);
    if (at)
        memcpy(out->parent, at + 1, strlen(at + 1));
    return RK_OK;
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
hex_byte(const char *text, unsigned char *out)
{
    int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

    if (low < 0)
        return false;
    *out = (unsigned char)(high << 4 | low);
    return true;
}

static void
hex_print(const unsigned char *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

int
macsec_sci_parse(const char *facts, struct macsec_sci *out)
{
    if (strlen(facts) != MACSEC_SCI_TEXT || strncmp(facts, "sci=", 4) != 0)
        return RK_E_CONFIG;
    for (size_t i = 0; i < sizeof out->bytes; i++)
        if (!hex_byte(facts + 4 + 2 * i, &out->bytes[i]))
            return RK_E_CONFIG;
    return RK_OK;
}

void
macsec_sci_print(const struct macsec_sci *sci, char *text)
{
    memcpy(text, "sci=", 4);
    hex_print(sci->bytes, sizeof sci->bytes, text + 4);
}

/* 8-4-4-4-12 hex digits */
static bool
uuid_bytes(const char *text, unsigned char *out)
{
    size_t n = 0;

    if (strlen(text) != 36)
        return false;
    for (size_t i = 0; i < 36;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i++] != '-')
                return false;
            continue;
        }
        if (!hex_byte(text + i, &out[n++]))
            return false;
        i += 2;
    }
    return true;
}

int
macsec_key_id_of(const struct rk_host *host, const char *key_id, struct macsec_key_id *out)
{
    static const char label[] = "rekey keyid v1"; /* its NUL is part of the text */
    unsigned char text[sizeof label + RK_KEY_ID_MAX], digest[32];
    size_t len = strlen(key_id);
    int err;

    if (uuid_bytes(key_id, out->bytes))
        return RK_OK;
    if (len == 0 || len > RK_KEY_ID_MAX)
        return RK_E_CONTRACT;
    memcpy(text, label, sizeof label);
    memcpy(text + sizeof label, key_id, len);
    err = host->sha256(text, sizeof label + len, digest);
    if (!err)
        memcpy(out->bytes, digest, sizeof out->bytes);
    return err;
}

void
macsec_key_id_print(const struct macsec_key_id *id, char *text)
{
    hex_print(id->bytes, sizeof id->bytes, text);
}
