/* zone.c - local time of many routers in one process: TZ of the C library is one for all, so the files are read here
 *
 * src: RFC 8536 (TZif).  Debian's files have all changes up to 2037; behind the last one it stays as it is.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

struct kind {
    int32_t offset;
    unsigned abbreviation;
};

struct zone {
    char name[64];
    struct zone *next;
    int64_t *at;
    unsigned char *to;           /* kind from at[i] on */
    size_t n, n_kinds, n_letters;
    struct kind *kind;
    char *letters;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct zone *zones;

static int64_t
be(const unsigned char *b, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | b[i];
    return n == 4 ? (int32_t)(uint32_t)v : (int64_t)v;
}

static void
zone_free(struct zone *z)
{
    free(z->at);
    free(z->to);
    free(z->kind);
    free(z->letters);
    free(z);
}

struct counts {
    size_t isut, isstd, leap, time, type, chars;
};

static bool
header(FILE *f, struct counts *c)
{
    unsigned char h[44];

    if (fread(h, 1, sizeof h, f) != sizeof h || memcmp(h, "TZif", 4) != 0 || h[4] < '2')
        return false;
    *c = (struct counts){(size_t)be(h + 20, 4), (size_t)be(h + 24, 4), (size_t)be(h + 28, 4), (size_t)be(h + 32, 4),
                         (size_t)be(h + 36, 4), (size_t)be(h + 40, 4)};
    return c->isut <= 256 && c->isstd <= 256 && c->leap <= 256 && c->time <= 4096 && c->type >= 1 && c->type <= 256 &&
           c->chars <= 256;
}

static bool
times(FILE *f, struct zone *z)
{
    unsigned char b[8];

    for (size_t i = 0; i < z->n; i++) {
        if (fread(b, 1, 8, f) != 8)
            return false;
        z->at[i] = be(b, 8);
    }
    if (fread(z->to, 1, z->n, f) != z->n)
        return false;
    for (size_t i = 0; i < z->n_kinds; i++) {
        if (fread(b, 1, 6, f) != 6)
            return false;
        z->kind[i] = (struct kind){(int32_t)be(b, 4), b[5]};
    }
    if (fread(z->letters, 1, z->n_letters, f) != z->n_letters)
        return false;
    for (size_t i = 0; i < z->n; i++)
        if (z->to[i] >= z->n_kinds)
            return false;
    return true;
}

static bool
read_zone(FILE *f, struct zone *z)
{
    struct counts c;

    if (!header(f, &c) ||
        fseek(f, (long)(c.time * 5 + c.type * 6 + c.chars + c.leap * 8 + c.isstd + c.isut), SEEK_CUR) < 0 ||
        !header(f, &c))
        return false;
    z->n = c.time;
    z->n_kinds = c.type;
    z->n_letters = c.chars;
    z->at = calloc(c.time + 1, sizeof *z->at);
    z->to = calloc(c.time + 1, 1);
    z->kind = calloc(c.type, sizeof *z->kind);
    z->letters = calloc(c.chars + 1, 1);
    return z->at && z->to && z->kind && z->letters && times(f, z);
}

static struct zone *
load(const char *name)
{
    struct zone *z = calloc(1, sizeof *z);
    char path[128];
    FILE *f;
    bool done = false;

    if (!z)
        return NULL;
    snprintf(z->name, sizeof z->name, "%s", name);
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    if ((f = fopen(path, "re")) != NULL) {
        done = read_zone(f, z);
        fclose(f);
    }
    if (!done) {
        zone_free(z);
        z = NULL;
    }
    return z;
}

static bool
name_ok(const char *name)
{
    return strlen(name) < sizeof zones->name && !strstr(name, "..") && name[0] != '/' &&
           name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/")] == '\0';
}

const struct zone *
zone_find(const char *name)
{
    struct zone *z;

    if (!*name || !name_ok(name))
        return NULL;
    pthread_mutex_lock(&lock);
    for (z = zones; z && strcmp(z->name, name) != 0; z = z->next)
        ;
    if (!z && (z = load(name)) != NULL) {
        z->next = zones;
        zones = z;
    }
    pthread_mutex_unlock(&lock);
    return z;
}

void
zone_stop(void)
{
    while (zones) {
        struct zone *z = zones;

        zones = z->next;
        zone_free(z);
    }
}

int32_t
zone_offset(const struct zone *z, int64_t unix_s, char abbreviation[8])
{
    size_t lo = 0, hi = z ? z->n : 0;
    const struct kind *k;

    if (abbreviation)
        strcpy(abbreviation, "UTC");
    if (!z)
        return 0;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (z->at[mid] <= unix_s)
            lo = mid + 1;
        else
            hi = mid;
    }
    k = &z->kind[lo ? z->to[lo - 1] : 0];
    if (abbreviation && k->abbreviation < z->n_letters)
        snprintf(abbreviation, 8, "%.7s", z->letters + k->abbreviation);
    return k->offset;
}

int64_t
zone_to_unix(const struct zone *z, int64_t local_s)
{
    int64_t first = local_s - zone_offset(z, local_s - 86400, NULL);
    int64_t then = local_s - zone_offset(z, local_s + 86400, NULL);

    if (first + zone_offset(z, first, NULL) == local_s)
        return first;
    return then + zone_offset(z, then, NULL) == local_s ? then : first; /* a time that is not there: an hour later */
}
