/* row_leak.c - what is left behind: in the process by instances that are ended, and outside of it. */
#include "check.h"

#include "../base/err.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARM 2  /* lives before the first survey: libraries allocate once */
#define LIVES 4 /* between the surveys */
#define ROUNDS 3
#define SETTLE_TRIES 30
#define SETTLE_MS 10
#define LIFE_BYTES 1024 /* may be left by one life: caches grow */
#define HALF 16

/* ---- lives ---- */

static int
live(struct rk_check *ck, struct rk_check_host *h, int lives, const char **what)
{
    int err = RK_OK;

    *what = "init";
    for (int i = 0; !err && i < lives; i++) {
        err = rk_check_inst(ck, h, RK_CHECK_AS_GIVEN);
        for (int k = 0; !err && k < ROUNDS; k++)
            err = rk_check_round(ck, h, what);
        if (!err)
            err = rk_check_host_drop(h, h->inst);
    }
    return err;
}

struct counts {
    int fds, threads;
    int64_t bytes, blocks;
};

/* fini runs beside the loop, so what is to be gone may be there a moment longer: wait until it is as it was. */
static int
count(struct rk_check_host *h, const struct counts *was, struct counts *now)
{
    struct counts last = {0};
    int err = RK_OK;

    for (int i = 0; !err && i < SETTLE_TRIES; i++) {
        err = rk_check_host_survey(h);
        if (err)
            return err;
        *now = (struct counts){h->probe->fds, h->probe->threads, h->probe->bytes, h->probe->blocks};
        if (was ? now->fds <= was->fds && now->threads <= was->threads && now->bytes <= was->bytes
                : i && memcmp(now, &last, sizeof last) == 0)
            return RK_OK;
        last = *now;
        (void)poll(NULL, 0, SETTLE_MS);
    }
    return err;
}

/* ret: passed, and *grew is by what the counts grew in LIVES lives; else the end of the row */
static enum rk_check_result
grow(struct rk_check *ck, struct rk_check_host *h, struct counts *grew)
{
    struct counts before, after;
    const char *what;
    int err;

    if (!h->probe)
        return rk_check_skip(ck, "%s", h->no_probe);
    err = live(ck, h, WARM, &what);
    if (!err)
        err = count(h, NULL, &before);
    if (!err)
        err = live(ck, h, LIVES, &what);
    if (!err)
        err = count(h, &before, &after);
    if (err)
        return rk_check_wrong(ck, h, what, err);
    *grew = (struct counts){after.fds - before.fds, after.threads - before.threads, after.bytes - before.bytes,
                            after.blocks - before.blocks};
    return RK_CHECK_PASSED;
}

enum rk_check_result
rk_check_row_fds(struct rk_check *ck, struct rk_check_host *h)
{
    struct counts grew = {0};
    enum rk_check_result r = grow(ck, h, &grew);

    if (r)
        return r;
    if (grew.fds >= LIVES)
        return rk_check_fail(ck, "%d descriptors more after %d instances, which were ended", grew.fds, LIVES);
    return rk_check_pass(ck, "%d instances", LIVES);
}

enum rk_check_result
rk_check_row_threads(struct rk_check *ck, struct rk_check_host *h)
{
    struct counts grew = {0};
    enum rk_check_result r = grow(ck, h, &grew);

    if (r)
        return r;
    if (grew.threads >= LIVES)
        return rk_check_fail(ck, "%d threads more after %d instances, which were ended", grew.threads, LIVES);
    return rk_check_pass(ck, "%d instances", LIVES);
}

enum rk_check_result
rk_check_row_memory(struct rk_check *ck, struct rk_check_host *h)
{
    struct counts grew = {0};
    enum rk_check_result r = grow(ck, h, &grew);

    if (r)
        return r;
    if (grew.threads >= LIVES || grew.fds >= LIVES)
        return rk_check_skip(ck, "threads or descriptors are left, which take memory themselves");
    if (grew.bytes >= LIVES * LIFE_BYTES) { /* a cache that was not full yet grows once */
        r = grow(ck, h, &grew);
        if (r)
            return r;
    }
    if (grew.bytes >= LIVES * LIFE_BYTES)
        return rk_check_fail(ck, "%lld bytes in %lld blocks more after %d instances, which were ended",
                             (long long)grew.bytes, (long long)grew.blocks, LIVES);
    return rk_check_pass(ck, "%d instances, %d rounds each: %+lld bytes", LIVES, ROUNDS, (long long)grew.bytes);
}

enum rk_check_result
rk_check_row_children(struct rk_check *ck, struct rk_check_host *h)
{
    const char *what;
    int err = live(ck, h, 1, &what), left;

    if (err)
        return rk_check_wrong(ck, h, what, err);
    left = rk_check_host_end(h);
    if (left)
        return rk_check_fail(ck, "%d processes were left behind", left);
    return rk_check_pass(ck, "one instance, %d rounds", ROUNDS);
}

/* ---- output ---- */

static char *
read_all(const char *path, size_t *len)
{
    FILE *f = fopen(path, "r");
    char *text = f ? calloc(1, 1 << 20) : NULL;

    *len = text ? fread(text, 1, (1 << 20) - 1, f) : 0;
    if (f)
        fclose(f);
    return text;
}

/* A line of standard error that no function of the host wrote; NULL: none. */
static char *
foreign_line(char *log)
{
    char *rest = NULL;

    for (char *line = strtok_r(log, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (!strstr(line, "rekey-host[") || !strstr(line, ": "))
            return line;
    return NULL;
}

static void
printable(char *text)
{
    for (; *text; text++)
        if (!isprint((unsigned char)*text))
            *text = '?';
}

enum rk_check_result
rk_check_row_output(struct rk_check *ck, struct rk_check_host *h)
{
    const char *what;
    int err = live(ck, h, 1, &what);
    enum rk_check_result r;
    char *out, *log, *line;
    size_t len;

    if (err)
        return rk_check_wrong(ck, h, what, err);
    (void)rk_check_host_end(h); /* buffers are written at the end, if ever */
    out = read_all(h->out, &len);
    log = read_all(h->log, &len);
    line = log ? foreign_line(log) : NULL;
    if (!out || !log)
        r = rk_check_skip(ck, "its output cannot be read");
    else if (out[0]) {
        printable(out);
        r = rk_check_fail(ck, "on standard output: \"%.60s\"", out);
    } else if (line) {
        printable(line);
        r = rk_check_fail(ck, "on standard error: \"%.60s\"", line);
    } else
        r = rk_check_pass(ck, "one instance, %d rounds", ROUNDS);
    free(out);
    free(log);
    return r;
}

/* ---- secrets ---- */

static void
base64(const unsigned char *bytes, size_t len, char *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;

    for (size_t i = 0; i < len; i += 3) {
        unsigned v = (unsigned)bytes[i] << 16 | (i + 1 < len ? (unsigned)bytes[i + 1] << 8 : 0) |
                     (i + 2 < len ? bytes[i + 2] : 0);

        for (int k = 18; k >= 0; k -= 6)
            out[n++] = letters[v >> k & 63];
    }
    out[n] = '\0';
}

static void
hex(const unsigned char *bytes, size_t len, bool upper, char *out)
{
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, upper ? "%02X" : "%02x", bytes[i]);
}

struct forms { /* halves, for what is freed may have lost its beginning */
    struct {
        char bytes[RK_PROBE_PATTERN_MAX + 1];
        size_t len;
    } form[8];
    size_t n;
};

static void
add_form(struct forms *f, const void *bytes, size_t len)
{
    memcpy(f->form[f->n].bytes, bytes, len);
    f->form[f->n++].len = len;
}

static void
forms_of(const unsigned char key[32], struct forms *f)
{
    char text[80];

    f->n = 0;
    add_form(f, key, HALF);
    add_form(f, key + HALF, HALF);
    hex(key, 32, false, text);
    add_form(f, text, 32);
    add_form(f, text + 32, 32);
    hex(key, 32, true, text);
    add_form(f, text + 32, 32);
    base64(key, 32, text);
    add_form(f, text, 20);
    add_form(f, text + 20, 20);
}

static bool
in_log(const struct rk_check_host *h, const struct forms *f)
{
    size_t len;
    char *log = read_all(h->log, &len);
    bool found = false;

    for (size_t i = 0; log && i < f->n; i++)
        found |= memmem(log, len, f->form[i].bytes, f->form[i].len) != NULL;
    free(log);
    return found;
}

static const char *
form_name(int32_t i)
{
    return i % 7 < 2 ? "bytes" : i % 7 < 5 ? "hex digits" : "base64";
}

static void
ask_for(struct rk_probe *p, const struct forms *f)
{
    p->mask = 0xa5;
    for (size_t i = 0; i < f->n && p->n_patterns < RK_PROBE_PATTERNS; i++) {
        struct rk_probe_pattern *pattern = &p->pattern[p->n_patterns++];

        pattern->len = (uint32_t)f->form[i].len;
        for (size_t k = 0; k < f->form[i].len; k++)
            pattern->bytes[k] = (unsigned char)f->form[i].bytes[k] ^ p->mask;
    }
}

/* The last key that a source gave, out of its memfd. */
static bool
given_key(const struct rk_check *ck, const struct rk_check_host *h, unsigned char key[32])
{
    for (size_t i = 0; i < h->reply.n; i++)
        if (h->reply.items[i].fd >= 0)
            return ck->conf.bits >= 256 && pread(h->reply.items[i].fd, key, 32, 0) == 32;
    return false;
}

/* One use of the instance, with the key that it was about. */
static int
use(struct rk_check *ck, struct rk_check_host *h, unsigned char key[32], const char **what)
{
    int err;

    if (ck->kind == RK_DEVICE) {
        err = rk_check_round(ck, h, what);
        memcpy(key, ck->key, 32);
        return err;
    }
    *what = "get_new";
    err = rk_check_get_some(ck, h, 1);
    return err || given_key(ck, h, key) ? err : RK_E_KEY_SIZE;
}

/* What a line of /proc/self/maps is about. */
static const char *
place(const char *line)
{
    const char *name = strpbrk(line, "/["), *base = name ? strrchr(name, '/') : NULL;

    return base ? base + 1 : name ? name : "memory without a name, as a stack or what was allocated";
}

static enum rk_check_result
searched(struct rk_check *ck, struct rk_check_host *h)
{
    struct rk_probe *p = h->probe;
    int err = RK_OK;

    for (int i = 0; !err && i < SETTLE_TRIES; i++) { /* fini wipes, and may be at it */
        err = rk_check_host_survey(h);
        if (!err && p->searched && p->found < 0)
            return rk_check_pass(ck, "%d keys, searched for as bytes, hex digits and base64", ROUNDS);
        (void)poll(NULL, 0, SETTLE_MS);
    }
    if (err)
        return rk_check_wrong(ck, h, "a search", err);
    if (!p->searched)
        return rk_check_skip(ck, "the memory of the process cannot be read here");
    return rk_check_fail(ck, "a key is left in memory as %s, after its instance was ended: in %.90s",
                         form_name(p->found), place(p->where));
}

enum rk_check_result
rk_check_row_secrets(struct rk_check *ck, struct rk_check_host *h)
{
    unsigned char key[32];
    const char *what = "init";
    struct forms f;
    bool logged = false;
    int err;

    if (ck->kind == RK_CHANNEL)
        return rk_check_skip(ck, "a channel is given no keys");
    if (!h->probe)
        return rk_check_skip(ck, "%s", h->no_probe);
    if (ck->conf.bits < 256)
        return rk_check_skip(ck, "keys of %d bits are too short to be searched for", (int)ck->conf.bits);
    h->probe->n_patterns = 0;
    err = rk_check_inst(ck, h, RK_CHECK_AS_GIVEN);
    for (int i = 0; !err && i < ROUNDS; i++) {
        err = use(ck, h, key, &what);
        forms_of(key, &f);
        ask_for(h->probe, &f);
        logged |= !err && in_log(h, &f);
    }
    if (!err)
        err = rk_check_host_drop(h, h->inst);
    if (err)
        return rk_check_wrong(ck, h, what, err);
    return logged ? rk_check_fail(ck, "a key is in the log") : searched(ck, h);
}
