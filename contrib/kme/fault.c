/* fault.c - see fault.h.  A table of words, and a reader for what may stand behind them. */
#include "fault.h"

#include <core/base/text.h>
#include <rekey/device.h>
#include <rekey/err.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 512
#define KEYS (KME_C_ENC | KME_C_DEC)
#define CALLS (KEYS | KME_C_STATUS)
#define ALL (CALLS | KME_C_OTHER)
#define PPM 1000000u

/* What a word has for a value. */
enum unit { NO_VALUE, MS, SIGNED_S, KIB, RETRY_S };

struct word {
    const char *word;
    enum kme_fault_kind kind;
    unsigned calls;
    enum unit unit;
    int64_t value;       /* when none is written; -1: it has to be */
    const char *example; /* NULL: the word alone */
    const char *text;
};

static const struct word words[] = {
    {"none", KME_F_NONE, ALL, NO_VALUE, 0, NULL, "no fault"},
    {"400", KME_F_CODE, CALLS, RETRY_S, 400, NULL, "an HTTP error, nothing is done; so are the other codes"},
    {"401", KME_F_CODE, CALLS, RETRY_S, 401, NULL, "without a body"},
    {"403", KME_F_CODE, CALLS, RETRY_S, 403, NULL, "forbidden"},
    {"404", KME_F_CODE, CALLS, RETRY_S, 404, NULL, "not found"},
    {"405", KME_F_CODE, CALLS, RETRY_S, 405, NULL, "method not allowed"},
    {"409", KME_F_CODE, CALLS, RETRY_S, 409, NULL, "KMEs out of step"},
    {"412", KME_F_CODE, CALLS, RETRY_S, 412, NULL, "something is not configured"},
    {"429", KME_F_CODE, CALLS, RETRY_S, 429, "429:2s", "too many requests, with Retry-After"},
    {"500", KME_F_CODE, CALLS, RETRY_S, 500, NULL, "internal error"},
    {"502", KME_F_CODE, CALLS, RETRY_S, 502, NULL, "bad gateway"},
    {"503", KME_F_CODE, CALLS, RETRY_S, 503, NULL, "unavailable"},
    {"504", KME_F_CODE, CALLS, RETRY_S, 504, NULL, "the other KME is down"},
    {"refuse", KME_F_REFUSE, CALLS, NO_VALUE, 0, NULL, "503"},
    {"refuse-enc", KME_F_REFUSE, KME_C_ENC, NO_VALUE, 0, NULL, "503 on enc_keys"},
    {"refuse-dec", KME_F_REFUSE, KME_C_DEC, NO_VALUE, 0, NULL, "503 on dec_keys"},
    {"unauthorized", KME_F_UNAUTHORIZED, CALLS, NO_VALUE, 0, NULL, "401, as a stranger gets it"},
    {"html", KME_F_HTML, ALL, NO_VALUE, 0, NULL, "200 and an HTML page, nothing is done"},
    {"empty", KME_F_EMPTY, KEYS, NO_VALUE, 0, NULL, "200 and no keys, nothing is done"},
    {"not-found", KME_F_NOT_FOUND, KME_C_DEC, NO_VALUE, 0, NULL, "as if the keys had not arrived yet; they stay"},
    {"late", KME_F_LATE, KME_C_DEC, MS, -1, "late:400ms", "the same, until so long after enc_keys"},
    {"consumed", KME_F_CONSUMED, KME_C_DEC, NO_VALUE, 0, NULL, "the keys are gone at once"},
    {"short-key", KME_F_SHORT_KEY, KEYS, NO_VALUE, 0, NULL, "the first half of each key"},
    {"long-key", KME_F_LONG_KEY, KEYS, NO_VALUE, 0, NULL, "each key twice in a row"},
    {"wrong-key", KME_F_WRONG_KEY, KEYS, NO_VALUE, 0, NULL, "other bytes than at the other KME"},
    {"wrong-id", KME_F_WRONG_ID, KME_C_DEC, NO_VALUE, 0, NULL, "an ID that was not asked for"},
    {"twice", KME_F_TWICE, KEYS, NO_VALUE, 0, NULL, "the same ID twice in an answer"},
    {"again", KME_F_AGAIN, KME_C_ENC, NO_VALUE, 0, NULL, "the first ID of the answer before, once more"},
    {"too-many", KME_F_TOO_MANY, KEYS, NO_VALUE, 0, NULL, "a key more than asked for"},
    {"too-few", KME_F_TOO_FEW, KEYS, NO_VALUE, 0, NULL, "a key fewer than asked for"},
    {"base64", KME_F_BASE64, KEYS, NO_VALUE, 0, NULL, "keys that are not base64"},
    {"base64-url", KME_F_BASE64_URL, KEYS, NO_VALUE, 0, NULL, "keys in base64url"},
    {"unpadded", KME_F_UNPADDED, KEYS, NO_VALUE, 0, NULL, "keys in base64 without padding"},
    {"key-id", KME_F_KEY_ID, KEYS, NO_VALUE, 0, NULL, "key_id for key_ID"},
    {"extensions", KME_F_EXTENSIONS, KEYS, NO_VALUE, 0, NULL, "the extensions that a container may have"},
    {"status-zero", KME_F_STATUS_ZERO, KME_C_STATUS, NO_VALUE, 0, NULL, "stored_key_count 0"},
    {"status-negative", KME_F_STATUS_NEGATIVE, KME_C_STATUS, NO_VALUE, 0, NULL, "negative numbers"},
    {"status-huge", KME_F_STATUS_HUGE, KME_C_STATUS, NO_VALUE, 0, NULL, "numbers that fit no integer"},
    {"status-strings", KME_F_STATUS_STRINGS, KME_C_STATUS, NO_VALUE, 0, NULL, "numbers as strings"},
    {"status-short", KME_F_STATUS_SHORT, KME_C_STATUS, NO_VALUE, 0, NULL, "no numbers"},
    {"truncated", KME_F_TRUNCATED, ALL, NO_VALUE, 0, NULL, "half of the JSON"},
    {"binary", KME_F_BINARY, ALL, NO_VALUE, 0, NULL, "bytes that are no text before the JSON"},
    {"deep", KME_F_DEEP, ALL, NO_VALUE, 0, NULL, "JSON of 50,000 levels"},
    {"huge", KME_F_HUGE, ALL, KIB, 128, "huge:128KiB", "so many blanks before the JSON"},
    {"untyped", KME_F_UNTYPED, ALL, NO_VALUE, 0, NULL, "no Content-Type"},
    {"slow", KME_F_SLOW, ALL, MS, -1, "slow:300ms", "the answer comes so much later"},
    {"slow-loris", KME_F_SLOW_LORIS, ALL, MS, -1, "slow-loris:50ms", "a byte of the body at a time, so far apart"},
    {"endless", KME_F_ENDLESS, ALL, NO_VALUE, 0, NULL, "a body that does not end"},
    {"headers", KME_F_HEADERS, ALL, KIB, 512, "headers:512KiB", "so many headers"},
    {"clock", KME_F_CLOCK, ALL, SIGNED_S, -1, "clock:-3600s", "a Date that is so wrong"},
    {"drop", KME_F_DROP, ALL, NO_VALUE, 0, NULL, "all is done, then the connection is closed"},
    {"reset", KME_F_RESET, ALL, NO_VALUE, 0, NULL, "the connection is reset, nothing is done"},
    {"reset-after", KME_F_RESET_AFTER, ALL, NO_VALUE, 0, NULL, "all is done, then the connection is reset"},
    {"hang", KME_F_HANG, ALL, NO_VALUE, 0, NULL, "no answer, nothing is done"},
    {"hang-after", KME_F_HANG_AFTER, ALL, NO_VALUE, 0, NULL, "all is done, but there is no answer"},
    {"expired", KME_F_EXPIRED, KME_C_CONNECT, NO_VALUE, 0, NULL, "new connections: the certificate has expired"},
    {"future", KME_F_FUTURE, KME_C_CONNECT, NO_VALUE, 0, NULL, "new connections: the certificate is not valid yet"},
};

static const struct {
    const char *name;
    unsigned calls;
} call_names[] = {{"status", KME_C_STATUS}, {"enc", KME_C_ENC}, {"dec", KME_C_DEC}};

/* A number of a unit: "500ms", "3s", "-3600s", "128KiB"; false when it is another thing or out of range. */
static bool
value_of(const char *text, enum unit unit, int64_t *value)
{
    const char *digits = text + (unit == SIGNED_S && *text == '-');
    char *end;
    long long n;

    if (digits[0] < '0' || digits[0] > '9' || strlen(digits) > 12)
        return false;
    n = strtoll(text, &end, 10);
    switch (unit) {
    case MS:
        n *= strcmp(end, "s") == 0 ? 1000 : 1;
        *value = n;
        return (strcmp(end, "s") == 0 || strcmp(end, "ms") == 0) && n <= KME_SLOW_MS_MAX;
    case KIB:
        *value = n;
        return strcmp(end, "KiB") == 0 && n >= 1 && n <= 64 * 1024;
    case SIGNED_S:
    case RETRY_S:
        *value = n;
        return strcmp(end, "s") == 0 && n <= 1000000000 && n >= -1000000000;
    default:
        return false;
    }
}

/* "10%" or "0.5%" to parts per million */
static bool
percent_of(const char *text, uint32_t *ppm)
{
    char *end;
    double n;

    if (text[0] < '0' || text[0] > '9' || strlen(text) > 12)
        return false;
    n = strtod(text, &end);
    if (strcmp(end, "%") != 0 || !(n <= 100))
        return false;
    *ppm = (uint32_t)(n * (PPM / 100.0) + 0.5);
    return true;
}

static const struct word *
find_word(const char *text)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].word, text) == 0)
            return &words[i];
    return NULL;
}

/* "word[:value][:percent][@call]"; text is cut up.  The reason when it is wrong, else NULL. */
static const char *
read_word(char *text, struct kme_fault_word *out)
{
    char *call = strchr(text, '@'), *save = NULL, *part;
    const struct word *word;
    bool have_value = false;

    if (call)
        *call++ = '\0';
    part = strtok_r(text, ":", &save);
    word = part ? find_word(part) : NULL;
    if (!word)
        return "is not known, see rekey-kme --list-faults";
    *out = (struct kme_fault_word){word->word, word->kind, word->calls, PPM, word->value, -1};
    while ((part = strtok_r(NULL, ":", &save)) != NULL) {
        int64_t *value = word->unit == RETRY_S ? &out->retry_s : &out->value;

        if (percent_of(part, &out->ppm))
            continue;
        if (have_value || !value_of(part, word->unit, value))
            return "has a wrong value: write slow:500ms, late:3s (at most 600s), 429:2s, clock:-9s, huge:9KiB, 5%";
        have_value = true;
    }
    if (word->value < 0 && !have_value)
        return "needs a value, as slow:500ms, slow-loris:50ms, late:3s, clock:-60s";
    for (size_t i = 0; call && i < sizeof call_names / sizeof call_names[0]; i++)
        if (strcmp(call, call_names[i].name) == 0) {
            out->calls &= call_names[i].calls;
            call = NULL;
        }
    return call || out->calls == 0 ? "must have one of @status, @enc and @dec that it can be for" : NULL;
}

int
kme_faults_parse(const char *text, struct kme_faults *out, char *why)
{
    char copy[WORDS_MAX], shown[41], *save = NULL;

    if (!rk_copy(copy, sizeof copy, text)) {
        snprintf(why, RK_WHY_MAX, "faults are at most %d characters", WORDS_MAX - 1);
        return RK_E_CONFIG;
    }
    for (char *w = strtok_r(copy, ", \t\r\n", &save); w; w = strtok_r(NULL, ", \t\r\n", &save)) {
        struct kme_fault_word word;
        const char *wrong;

        snprintf(shown, sizeof shown, "%s", w);
        wrong = read_word(w, &word);
        if (!wrong && word.kind != KME_F_NONE && out->n == KME_FAULT_WORDS)
            wrong = "is one too many";
        if (wrong) {
            snprintf(why, RK_WHY_MAX, "fault '%s' %s", shown, wrong);
            return RK_E_CONFIG;
        }
        if (word.kind != KME_F_NONE)
            out->word[out->n++] = word;
    }
    return RK_OK;
}

int
kme_faults_now(const struct kme_faults *usual, const char *path, struct kme_faults *out, char *why)
{
    char text[WORDS_MAX + 1];
    ssize_t n;
    int fd;

    *out = *usual;
    if (!path)
        return RK_OK;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return RK_OK;
    n = fd < 0 ? -1 : read(fd, text, WORDS_MAX);
    if (n < 0)
        snprintf(why, RK_WHY_MAX, "cannot be read: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return RK_E_CONFIG;
    text[n] = '\0';
    out->n = 0;
    return kme_faults_parse(text, out, why);
}

uint64_t
kme_dice(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct kme_fault
kme_faults_roll(const struct kme_faults *faults, unsigned call, uint64_t *dice)
{
    struct kme_fault now = {.retry_s = -1};

    for (size_t i = 0; i < faults->n; i++) {
        const struct kme_fault_word *w = &faults->word[i];

        if (!(w->calls & call) || (w->ppm < PPM && kme_dice(dice) % PPM >= w->ppm) || now.on[w->kind])
            continue;
        now.word = now.any ? now.word : w->word;
        now.any = now.on[w->kind] = true;
        now.value[w->kind] = w->value;
        if (w->kind == KME_F_CODE)
            now.retry_s = w->retry_s;
    }
    return now;
}

void
kme_faults_list(FILE *out)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *between = "";

        fprintf(out, "%s\t", words[i].example ? words[i].example : words[i].word);
        for (size_t j = 0; j < sizeof call_names / sizeof call_names[0]; j++)
            if (words[i].calls & call_names[j].calls) {
                fprintf(out, "%s%s", between, call_names[j].name);
                between = ",";
            }
        fprintf(out, "%s\t%s\n", words[i].calls == KME_C_CONNECT ? "connect" : "", words[i].text);
    }
}
