/* fault.c - see fault.h. */
#include "fault.h"

#include <core/base/text.h>
#include <rekey/device.h>
#include <rekey/err.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 256

static const struct {
    const char *word;
    unsigned bit;
} faults[] = {
    {"none", 0},
    {"html", KME_F_HTML},
    {"drop", KME_F_DROP},
    {"truncated", KME_F_TRUNCATED},
    {"refuse", KME_F_REFUSE},
    {"refuse-enc", KME_F_REFUSE_ENC},
    {"refuse-dec", KME_F_REFUSE_DEC},
    {"unauthorized", KME_F_UNAUTHORIZED},
    {"not-found", KME_F_NOT_FOUND},
    {"empty", KME_F_EMPTY},
    {"short-key", KME_F_SHORT_KEY},
    {"long-key", KME_F_LONG_KEY},
    {"wrong-key", KME_F_WRONG_KEY},
    {"wrong-id", KME_F_WRONG_ID},
};

/* "500ms" or "3s" to [ms]; false when it is neither or too long */
static bool
duration(const char *text, unsigned *ms)
{
    char *unit;
    unsigned long n;

    if (text[0] < '0' || text[0] > '9')
        return false;
    n = strtoul(text, &unit, 10);
    if (n > KME_SLOW_MS_MAX)
        return false;
    if (strcmp(unit, "s") == 0)
        n *= 1000;
    else if (strcmp(unit, "ms") != 0)
        return false;
    *ms = (unsigned)n;
    return n <= KME_SLOW_MS_MAX;
}

static int
add_word(const char *word, struct kme_fault *out, char *why)
{
    if (strncmp(word, "slow:", 5) == 0) {
        if (duration(word + 5, &out->slow_ms))
            return RK_OK;
        snprintf(why, RK_WHY_MAX, "'%.40s': write slow:500ms or slow:3s, at most 600s", word);
        return RK_E_CONFIG;
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (strcmp(word, faults[i].word) == 0) {
            out->bits |= faults[i].bit;
            return RK_OK;
        }
    snprintf(why, RK_WHY_MAX, "unknown fault '%.40s', see rekey-kme(8)", word);
    return RK_E_CONFIG;
}

int
kme_fault_parse(const char *words, struct kme_fault *out, char *why)
{
    char copy[WORDS_MAX], *save = NULL;
    int err = RK_OK;

    *out = (struct kme_fault){0};
    if (!rk_copy(copy, sizeof copy, words)) {
        snprintf(why, RK_WHY_MAX, "faults are at most %d characters", WORDS_MAX - 1);
        return RK_E_CONFIG;
    }
    for (char *w = strtok_r(copy, ", \t\r\n", &save); w && !err; w = strtok_r(NULL, ", \t\r\n", &save))
        err = add_word(w, out, why);
    return err;
}

int
kme_fault_now(const struct kme_fault *usual, const char *path, struct kme_fault *out, char *why)
{
    char words[WORDS_MAX + 1];
    ssize_t n;
    int fd;

    *out = *usual;
    if (!path)
        return RK_OK;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return RK_OK;
    n = fd < 0 ? -1 : read(fd, words, WORDS_MAX);
    if (n < 0)
        snprintf(why, RK_WHY_MAX, "cannot be read: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return RK_E_CONFIG;
    words[n] = '\0';
    return kme_fault_parse(words, out, why);
}
