/* text.c - see text.h */
#include "text.h"

#include "../../common/keytext.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define HEAD "rk1|"
#define FIELD_SAYS 5u
#define FIELD_KEY 6u

/* ---- cutting apart ---- */

static bool
printable(char c)
{
    return c >= ' ' && c <= '~';
}

static size_t
trimmed(const char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\0'))
        len--;
    return len;
}

static size_t
last_word(struct lldp_bytes d)
{
    while (d.len > 0 && d.bytes[d.len - 1] != ' ')
        d.len--;
    return d.len;
}

/* Is it a record, of this version or another one: "rk", a number, '|'. */
static bool
is_record(struct lldp_bytes word)
{
    size_t i = 2;

    if (word.len < strlen(HEAD) || memcmp(word.bytes, "rk", 2) != 0)
        return false;
    while (i < word.len && word.bytes[i] >= '0' && word.bytes[i] <= '9')
        i++;
    return i > 2 && i < word.len && word.bytes[i] == '|';
}

/* Where the JSON of the old script begins, the bar before it included: the last one, as the operator's text may have
 * bars and braces, too. */
static bool
find_json(struct lldp_bytes d, size_t *at)
{
    if (d.len < 3 || d.bytes[d.len - 1] != '}')
        return false;
    for (size_t i = d.len - 1; i-- > 0;)
        if (d.bytes[i] == '|' && d.bytes[i + 1] == '{') {
            *at = i;
            return true;
        }
    return false;
}

size_t
lldp_own_len(struct lldp_bytes d)
{
    size_t at;

    d.len = trimmed(d.bytes, d.len);
    at = last_word(d);
    if (is_record((struct lldp_bytes){d.bytes + at, d.len - at}) || find_json(d, &at))
        return trimmed(d.bytes, at);
    return d.len;
}

struct lldp_bytes
lldp_field(const char *record, unsigned i)
{
    const char *at = record;

    for (; i > 0; i--) {
        at = strchr(at, '|');
        if (!at)
            return (struct lldp_bytes){"", 0};
        at++;
    }
    return (struct lldp_bytes){at, strcspn(at, "|")};
}

void
lldp_safe(struct lldp_bytes any, char *out, size_t size)
{
    size_t n = any.len < size - 1 ? any.len : size - 1;

    for (size_t i = 0; i < n; i++)
        out[i] = any.bytes[i] == '"' || any.bytes[i] == '\\' ? '\'' : printable(any.bytes[i]) ? any.bytes[i] : '?';
    out[n] = '\0';
}

/* ---- putting together ---- */

size_t
lldp_join(struct lldp_bytes own, const char *ours, char *text)
{
    size_t ours_len = strnlen(ours, LLDP_TEXT_MAX), blank = ours[0] && ours[0] != '|';
    size_t room = LLDP_TEXT_MAX - ours_len, n = trimmed(own.bytes, own.len);

    if (n > 0 && n + blank > room)
        n = room > blank ? trimmed(own.bytes, room - blank) : 0;
    for (size_t i = 0; i < n; i++)
        text[i] = printable(own.bytes[i]) ? own.bytes[i] : '?';
    if (n == 0)
        blank = 0;
    else if (blank)
        text[n] = ' ';
    memcpy(text + n + blank, ours, ours_len);
    text[n + blank + ours_len] = '\0';
    return n;
}

/* OFFER and STAGED name the key that the other end is to go to, ACTIVE, NACK and WITHDRAWN the one that is in use:
 * after a key was given up the other end is not to find that one here.  IDLE and LOST name none. */
static bool
tells_of_key(const char *record)
{
    struct lldp_bytes says = lldp_field(record, FIELD_SAYS), key = lldp_field(record, FIELD_KEY);

    return says.len == 1 && strchr("OTANW", says.bytes[0]) && key.len > 0;
}

const char *
lldp_ours(enum lldp_format format, const char *member, const char *record, char *ours)
{
    struct lldp_bytes key = lldp_field(record, FIELD_KEY);
    size_t len = strnlen(record, RK_RECORD_MAX + 1);

    ours[0] = '\0';
    if (len > RK_RECORD_MAX || strncmp(record, HEAD, strlen(HEAD)) != 0)
        return "not a record, or longer than 255 bytes";
    for (size_t i = 0; i < len; i++)
        if (!printable(record[i]) || record[i] == ' ')
            return "a record with blanks, or unprintable";
    if (format == LLDP_REKEY) {
        memcpy(ours, record, len + 1);
        return NULL;
    }
    if (!tells_of_key(record))
        return NULL;
    if (!rkp_key_id_ok(key.bytes, key.len) || memchr(key.bytes, '"', key.len) || memchr(key.bytes, '\\', key.len))
        return "its key ID has characters that the format offbox cannot carry";
    snprintf(ours, LLDP_TEXT_MAX + 1, "|{\"%.*s\": \"%.*s\"}", LLDP_MEMBER_MAX, member, (int)key.len, key.bytes);
    return NULL;
}

/* ---- reading ---- */

static enum lldp_found
flaw(char *out, const char *words)
{
    snprintf(out, RK_RECORD_MAX + 1, "%s", words);
    return LLDP_FLAW;
}

static enum lldp_found
find_record(struct lldp_bytes d, char *out)
{
    size_t at = last_word(d);

    if (d.len - at < strlen(HEAD) || memcmp(d.bytes + at, HEAD, strlen(HEAD)) != 0)
        return LLDP_NOTHING;
    if (d.len > LLDP_TEXT_MAX)
        return flaw(out, "a description longer than 255 octets, which the standard does not allow");
    for (size_t i = at; i < d.len; i++)
        if (!printable(d.bytes[i]))
            return flaw(out, "a description with a record that is not printable ASCII");
    memcpy(out, d.bytes + at, d.len - at);
    out[d.len - at] = '\0';
    return LLDP_RECORD;
}

static enum lldp_found
take_key(const json_t *json, const char *member, char *out)
{
    const json_t *value = json_object_get(json, member);
    const char *id = json_string_value(value);

    if (!value)
        return flaw(out, "a description with JSON, but without the member that offbox-key names");
    if (!id || strlen(id) != json_string_length(value) || !rkp_key_id_ok(id, strlen(id)))
        return flaw(out, "a description with JSON in which the key ID is none");
    snprintf(out, RK_RECORD_MAX + 1, "=%s", id);
    rkp_key_id_fold(out + 1);
    return LLDP_RECORD;
}

static enum lldp_found
find_key(const char *member, struct lldp_bytes d, char *out)
{
    enum lldp_found found;
    json_t *json;
    size_t at;

    if (!find_json(d, &at))
        return LLDP_NOTHING;
    if (d.len > LLDP_TEXT_MAX)
        return flaw(out, "a description longer than 255 octets, which the standard does not allow");
    json = json_loadb(d.bytes + at + 1, d.len - at - 1, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json)) {
        json_decref(json);
        return flaw(out, "a description with braces in which there is no JSON");
    }
    found = json_object_size(json) > 0 ? take_key(json, member, out) : LLDP_NOTHING; /* "{}": there is no key yet */
    json_decref(json);
    return found;
}

enum lldp_found
lldp_find(enum lldp_format format, const char *member, struct lldp_bytes d, char *out)
{
    out[0] = '\0';
    d.len = trimmed(d.bytes, d.len);
    return format == LLDP_REKEY ? find_record(d, out) : find_key(member, d, out);
}
