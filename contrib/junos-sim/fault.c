/* fault.c - what a router can be made to do wrong: a table of words, and when they count
 *
 * Faults are of a box.  Some are for a moment (a reply that is cut off); some are a state that stays until it is
 * cleared (the clock, the licence).
 */
#include "world.h"

#include <core/base/log.h>

#include <stdlib.h>
#include <string.h>

#define PPM 1000000u
#define BIT(point) (1u << (point))
#define COMMIT BIT(SIM_AT_COMMIT_BEFORE)
#define AFTER BIT(SIM_AT_COMMIT_AFTER)

enum unit { NO_VALUE, MS, SIGNED_MS };
/* What the world does, too. */
enum beside { NOTHING = 0, REBOOT, REBOOT_EMPTY, UNLOCK, CLOCK, LICENCE, SHORT_CKN, LLDP };

struct fault_word {
    const char *word;
    unsigned points;
    uint32_t what;
    enum unit unit;
    int64_t usual;
    enum beside beside;
    const char *text;        /* for the answer; NULL: the usual one */
    const char *tag;         /* NULL: the usual one */
    const char *tells;       /* for --list-faults */
};

#define CHECKOUT "commit failed: (statements constraint check failed)"

static const struct fault_word words[] = {
    {"slow-commit", COMMIT, 0, MS, 5000, NOTHING, NULL, NULL, "a commit takes so much longer"},
    {"commit-dead", AFTER, SIM_DO_CLOSE, NO_VALUE, 0, NOTHING, NULL, NULL, "all is committed, then the session dies"},
    {"commit-lost", COMMIT, SIM_DO_CLOSE, NO_VALUE, 0, NOTHING, NULL, NULL, "the session dies, nothing is committed"},
    {"commit-silent", AFTER, 0, MS, 300000, NOTHING, NULL, NULL, "all is committed, the answer comes so much later"},
    {"commit-mute", AFTER, SIM_DO_SILENT, NO_VALUE, 0, NOTHING, NULL, NULL, "all is committed, no answer ever"},
    {"commit-fails", COMMIT, SIM_DO_ERROR, NO_VALUE, 0, NOTHING, CHECKOUT, NULL, "a commit is refused"},
    {"commit-lies", AFTER, SIM_DO_ERROR, NO_VALUE, 0, NOTHING, "commit failed: daemon did not answer", NULL,
     "all is committed, and the answer is an error"},
    {"commit-busy", COMMIT, SIM_DO_ERROR, NO_VALUE, 0, NOTHING, "another commit is in progress", NULL,
     "somebody else commits"},
    {"check-fails", BIT(SIM_AT_CHECK), SIM_DO_ERROR, NO_VALUE, 0, NOTHING, CHECKOUT, NULL, "a commit check is refused"},
    {"other-re", COMMIT, SIM_DO_OTHER_RE, NO_VALUE, 0, NOTHING, NULL, NULL,
     "a commit fails on the other routing engine: nothing is committed"},
    {"malformed", AFTER, SIM_DO_MALFORMED, NO_VALUE, 0, NOTHING, NULL, NULL,
     "the answer to a commit is not well-formed"},
    {"warning", AFTER, SIM_DO_WARNING, NO_VALUE, 0, NOTHING, "statement has no contents; ignored", NULL,
     "a commit is answered with a warning, too"},
    {"locked", BIT(SIM_AT_LOCK) | COMMIT, SIM_DO_LOCKED, MS, 2000, UNLOCK, NULL, NULL,
     "an operator holds the lock for so long"},
    {"dirty", BIT(SIM_AT_LOCK), SIM_DO_DIRTY, NO_VALUE, 0, NOTHING, NULL, NULL,
     "an operator's changes are in the shared candidate, until cleared"},
    {"partial-load", BIT(SIM_AT_LOAD), SIM_DO_PARTIAL, NO_VALUE, 0, NOTHING, NULL, NULL,
     "half of a load is done, then it fails"},
    {"load-fails", BIT(SIM_AT_LOAD), SIM_DO_ERROR, NO_VALUE, 0, NOTHING, "syntax error", NULL, "a load is refused"},
    {"denied", BIT(SIM_AT_LOAD), SIM_DO_ERROR, NO_VALUE, 0, NOTHING, "permission denied", "access-denied",
     "a load is refused for want of rights"},
    {"reboot", AFTER, SIM_DO_CLOSE, MS, 1000, REBOOT, NULL, NULL, "committed, then it reboots and is away so long"},
    {"reboot-empty", AFTER, SIM_DO_CLOSE, MS, 1000, REBOOT_EMPTY, NULL, NULL,
     "the same, and comes back as it was at the start"},
    {"reboot-before", COMMIT, SIM_DO_CLOSE, MS, 1000, REBOOT, NULL, NULL, "reboots before anything is committed"},
    {"slow", BIT(SIM_AT_REPLY), 0, MS, 1000, NOTHING, NULL, NULL, "any answer comes so much later"},
    {"silent", BIT(SIM_AT_REPLY), SIM_DO_SILENT, NO_VALUE, 0, NOTHING, NULL, NULL, "no more answers in this session"},
    {"dead", BIT(SIM_AT_REPLY), SIM_DO_CLOSE, NO_VALUE, 0, NOTHING, NULL, NULL, "the session dies before an answer"},
    {"cut-off", BIT(SIM_AT_REPLY), SIM_DO_MALFORMED, NO_VALUE, 0, NOTHING, NULL, NULL,
     "the end of an answer is missing"},
    {"rpc-error", BIT(SIM_AT_REPLY), SIM_DO_ERROR, NO_VALUE, 0, NOTHING, "mgd: subsystem is not running", NULL,
     "any answer is an error"},
    {"split", BIT(SIM_AT_REPLY) | BIT(SIM_AT_HELLO), SIM_DO_SPLIT, NO_VALUE, 0, NOTHING, NULL, NULL,
     "the delimiter comes in two packets"},
    {"bytes", BIT(SIM_AT_REPLY) | BIT(SIM_AT_HELLO), SIM_DO_BYTES, NO_VALUE, 0, NOTHING, NULL, NULL,
     "one byte a packet"},
    {"slow-hello", BIT(SIM_AT_HELLO), 0, MS, 2000, NOTHING, NULL, NULL, "the hello comes so much later"},
    {"no-hello", BIT(SIM_AT_HELLO), SIM_DO_SILENT, NO_VALUE, 0, NOTHING, NULL, NULL, "it never comes"},
    {"hello-error", BIT(SIM_AT_HELLO), SIM_DO_ERROR, NO_VALUE, 0, NOTHING, NULL, NULL, "an error instead of the hello"},
    {"limit", BIT(SIM_AT_CONNECT), SIM_DO_REFUSE, NO_VALUE, 0, NOTHING, NULL, NULL, "too many connections"},
    {"drop", BIT(SIM_AT_CONNECT), SIM_DO_CLOSE, NO_VALUE, 0, NOTHING, NULL, NULL, "connections are closed at once"},
    {"slow-connect", BIT(SIM_AT_CONNECT), 0, MS, 2000, NOTHING, NULL, NULL, "they are answered so much later"},
    {"no-login", BIT(SIM_AT_LOGIN), SIM_DO_REFUSE, NO_VALUE, 0, NOTHING, NULL, NULL, "logins are refused"},
    {"wrong-key", BIT(SIM_AT_HOSTKEY), SIM_DO_WRONG_KEY, NO_VALUE, 0, NOTHING, NULL, NULL, "another host key"},
    {"rsa-only", BIT(SIM_AT_HOSTKEY), SIM_DO_RSA_ONLY, NO_VALUE, 0, NOTHING, NULL, NULL, "an RSA host key only"},
    {"clock", 0, 0, SIGNED_MS, -1, CLOCK, NULL, NULL, "until cleared: the clock is so wrong"},
    {"no-licence", 0, 0, NO_VALUE, 0, LICENCE, NULL, NULL, "until cleared: the MACsec licence has expired"},
    {"short-ckn", 0, 0, NO_VALUE, 0, SHORT_CKN, NULL, NULL, "until cleared: CKNs are shown without their second half"},
    {"lldp-mute", 0, LLDP_MUTE, NO_VALUE, 0, LLDP, NULL, NULL, "until cleared: it says nothing more by LLDP"},
    {"lldp-frozen", 0, LLDP_FROZEN, NO_VALUE, 0, LLDP, NULL, NULL,
     "until cleared: it goes on saying by LLDP what it said last"},
    {"lldp-lazy", 0, LLDP_LAZY, NO_VALUE, 0, LLDP, NULL, NULL,
     "until cleared: a change is told with the next advertisement only"},
};

static const struct fault_word *
find(const char *word)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].word, word) == 0)
            return &words[i];
    return NULL;
}

/* "2s", "300ms", "-3s", "7" (times), "10%" */
static bool
read_part(const char *text, struct fault *f, bool *have_value)
{
    char *end;
    double n = strtod(text, &end);

    if (end == text || strlen(text) > 14 || !(n >= -1e9 && n <= 1e9))
        return false;
    if (strcmp(end, "%") == 0 && n >= 0 && n <= 100) {
        f->ppm = (uint32_t)(n * (PPM / 100.0) + 0.5);
        return true;
    }
    if (!*end && n >= 1) {
        f->left = (int64_t)n;
        return true;
    }
    if (f->word->unit == NO_VALUE || (strcmp(end, "s") != 0 && strcmp(end, "ms") != 0) ||
        (n < 0 && f->word->unit != SIGNED_MS))
        return false;
    f->value = (int64_t)(*end == 's' ? n * 1000 : n);
    *have_value = true;
    return true;
}

static int
wrong(char *why, const char *text, const char *what)
{
    snprintf(why, SIM_WHY_MAX, "fault '%.60s' %s", text, what);
    return -1;
}

/* What is a state, not a moment; -1: it is none. */
static int
state(struct sim_box *box, const struct fault *f)
{
    if (f->word->beside == CLOCK)
        __atomic_store_n(&box->clock_offset_ms, f->value, __ATOMIC_RELAXED);
    else if (f->word->beside == LICENCE)
        box->world->no_licence = true;
    else if (f->word->beside == SHORT_CKN)
        box->world->short_ckn = true;
    else if (f->word->beside == LLDP)
        box->world->lldp_faults |= f->word->what;
    else
        return -1;
    world_kick();
    return 0;
}

int
fault_add(struct sim_box *box, const char *text, char *why)
{
    struct fault f = {.ppm = PPM, .left = -1};
    char copy[120], *save = NULL, *part, *rpc;
    bool have_value = false;

    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy || !world_of(box))
        return wrong(why, text, "is too long");
    if ((rpc = strchr(copy, '@')) != NULL) {
        *rpc++ = '\0';
        snprintf(f.rpc, sizeof f.rpc, "%s", rpc);
    }
    part = strtok_r(copy, ":", &save);
    f.word = part ? find(part) : NULL;
    if (!f.word)
        return wrong(why, text, "is not known, see junos-sim --list-faults");
    f.value = f.word->usual;
    while ((part = strtok_r(NULL, ":", &save)) != NULL)
        if (!read_part(part, &f, &have_value))
            return wrong(why, text, "has a wrong value: write slow-commit:2s, locked:500ms:3 (three times), dead:10%");
    if (f.word->unit == SIGNED_MS && !have_value)
        return wrong(why, text, "needs a value, as clock:-3s");
    if (state(box, &f) == 0)
        return 0;
    if (box->world->n_faults == WORLD_FAULTS)
        return wrong(why, text, "is one too many");
    box->world->fault[box->world->n_faults++] = f;
    return 0;
}

void
fault_clear(struct sim_box *box)
{
    pthread_mutex_lock(&world_lock);
    if (box->world) {
        box->world->n_faults = 0;
        box->world->no_licence = box->world->short_ckn = false;
        box->world->lldp_faults = 0;
        box->world->unlock_ms = 0;
        __atomic_store_n(&box->clock_offset_ms, 0, __ATOMIC_RELAXED);
        world_kick();
    }
    pthread_mutex_unlock(&world_lock);
    sim_operator_lock(box, false);
    sim_operator_discard(box);
}

void
fault_list(FILE *out)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        fprintf(out, "%s%s\t%s\n", words[i].word, words[i].unit == NO_VALUE ? "" : words[i].unit == MS ? ":2s" : ":-2s",
                words[i].tells);
}

void
fault_put(const struct sim_boxworld *w, FILE *out)
{
    for (size_t i = 0; i < w->n_faults; i++) {
        const struct fault *f = &w->fault[i];

        fprintf(out, "%s%s", i ? "," : "", f->word->word);
        if (f->word->unit != NO_VALUE)
            fprintf(out, ":%lldms", (long long)f->value);
        if (f->left >= 0)
            fprintf(out, ":%lld", (long long)f->left);
        if (f->ppm < PPM)
            fprintf(out, ":%g%%", f->ppm / (PPM / 100.0));
        if (*f->rpc)
            fprintf(out, "@%s", f->rpc);
    }
}

static uint64_t
roll(void)
{
    uint64_t z = world.dice += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool
counts_now(struct fault *f, enum sim_point point, const char *rpc)
{
    if (!(f->word->points & BIT(point)) || f->left == 0 || (*f->rpc && (!rpc || strcmp(f->rpc, rpc) != 0)) ||
        (f->ppm < PPM && roll() % PPM >= f->ppm))
        return false;
    if (f->left > 0)
        f->left--;
    return true;
}

static void
add_hit(struct sim_fault_hit *hit, const struct fault *f)
{
    bool is_delay = f->word->unit == MS && f->word->beside == NOTHING;

    hit->what |= f->word->what;
    hit->delay_ms += is_delay ? f->value : 0;
    if (f->word->text)
        snprintf(hit->text, sizeof hit->text, "%s", f->word->text);
    if (f->word->tag)
        snprintf(hit->tag, sizeof hit->tag, "%s", f->word->tag);
}

struct sim_fault_hit
sim_fault(struct sim_box *box, enum sim_point point, const char *rpc)
{
    struct sim_fault_hit hit = {0};
    enum beside reboot = NOTHING;
    int64_t down_ms = 0;
    struct sim_boxworld *w;

    pthread_mutex_lock(&world_lock);
    w = box->world;
    for (size_t i = 0; w && i < w->n_faults; i++) {
        struct fault *f = &w->fault[i];

        if (!counts_now(f, point, rpc))
            continue;
        w->fault_hits++;
        add_hit(&hit, f);
        if (f->word->beside == UNLOCK)
            w->unlock_ms = world_real_ms() + f->value;
        else if (f->word->beside != NOTHING) {
            reboot = f->word->beside;
            down_ms = f->value;
        }
        rk_log(RK_LOG_INFO, "ev=fault box=%s what=%s rpc=%s", box->name, f->word->word, rpc ? rpc : "");
    }
    for (size_t i = 0; w && i < w->n_faults;) /* used up */
        if (w->fault[i].left == 0)
            w->fault[i] = w->fault[--w->n_faults];
        else
            i++;
    pthread_mutex_unlock(&world_lock);
    if (reboot != NOTHING)
        world_reboot(box, reboot == REBOOT_EMPTY, down_ms);
    return hit;
}
