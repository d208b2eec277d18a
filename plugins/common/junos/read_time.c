/* read_time.c - clocks and start times.  Pure.
 *
 * A start time is in the router's own zone; most releases print its offset from UTC beside it. */
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400
#define QUARTER_S 900       /* zones differ by multiples of it */
#define ZONE_MIN_S (-12 * 3600)
#define ZONE_MAX_S (14 * 3600)
#define ROUND_S 2           /* that a local time and the seconds beside it may be apart */

/* Names that mean one offset everywhere; CST, IST and BST do not.   [U] that routers print names at all here */
static const struct zone {
    const char *name;
    int32_t s;
} zones[] = {
    {"Z", 0}, {"UTC", 0}, {"GMT", 0}, {"WET", 0}, {"WEST", 3600}, {"CET", 3600}, {"CEST", 7200}, {"EET", 7200},
    {"EEST", 10800}, {"MSK", 10800}, {"JST", 32400}, {"EST", -18000}, {"EDT", -14400}, {"PST", -28800}, {"PDT", -25200},
};

/* "+0200", "+02:00", "-03"; false: none */
static bool
read_offset(const char *text, int32_t *zone_s)
{
    int sign = text[0] == '-' ? -1 : 1, h = 0, m = 0, end = 0;
    size_t digits = text[0] == '+' || text[0] == '-' ? strspn(text + 1, "0123456789") : 0;
    bool ok = (digits == 4 && sscanf(text + 1, "%2d%2d%n", &h, &m, &end) == 2) ||
              (digits == 2 && text[3] == ':' && strspn(text + 4, "0123456789") == 2 &&
               sscanf(text + 1, "%2d:%2d%n", &h, &m, &end) == 2) ||
              (digits == 2 && text[3] == '\0' && sscanf(text + 1, "%2d%n", &h, &end) == 1);

    if (!ok || text[1 + end] != '\0' || m > 59)
        return false;
    *zone_s = sign * (h * 3600 + m * 60);
    return *zone_s >= ZONE_MIN_S && *zone_s <= ZONE_MAX_S;
}

static bool
read_zone(const char *text, int32_t *zone_s)
{
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++)
        if (strcmp(zones[i].name, text) == 0) {
            *zone_s = zones[i].s;
            return true;
        }
    return read_offset(text, zone_s);
}

/* A time of day as seconds since 1970, as if it were UTC: dates that are none are refused. */
static bool
seconds_of(const struct tm *want, int64_t *s)
{
    struct tm t = *want, back;
    time_t at = timegm(&t);

    if (want->tm_year < 70 || want->tm_year > 1000 || want->tm_hour > 23 || want->tm_min > 59 || want->tm_sec > 59 ||
        !gmtime_r(&at, &back) || back.tm_mday != want->tm_mday || back.tm_mon != want->tm_mon ||
        back.tm_year != want->tm_year)
        return false;
    *s = at;
    return true;
}

/* A number of so many digits at most, and what is behind it (NULL once there was none).  A reply may have 64,000 start
 * times, and sscanf is slow. */
static const char *
number(const char *text, int digits, int *n)
{
    int got = 0;

    for (*n = 0; text && got < digits && text[got] >= '0' && text[got] <= '9'; got++)
        *n = *n * 10 + (text[got] - '0');
    return got ? text + got : NULL;
}

static const char *
mark(const char *text, const char *one_of)
{
    return text && *text && strchr(one_of, *text) ? text + 1 : NULL;
}

/* Date and time at the begin of a text, and what is behind them without blanks.  Every number is of digits alone. */
static bool
read_date(const char *text, int64_t *local_s, const char **rest)
{
    struct tm t = {.tm_sec = 0};
    const char *p = number(text, 4, &t.tm_year), *seconds;

    p = number(mark(p, "-"), 2, &t.tm_mon);
    p = number(mark(p, "-"), 2, &t.tm_mday);
    p = number(mark(p, ".T "), 2, &t.tm_hour);
    p = number(mark(p, ":"), 2, &t.tm_min);
    if (!p || t.tm_mon < 1 || t.tm_mday < 1)
        return false;
    seconds = number(mark(p, ":"), 2, &t.tm_sec);
    if (seconds && seconds != p + 3)
        return false;
    p = seconds ? seconds : p;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    *rest = p + strspn(p, " ");
    return seconds_of(&t, local_s);
}

bool
jn_start_read(const char *text, int32_t zone_s, int64_t *unix_s)
{
    const char *rest;
    int64_t local_s;

    while (*text == ' ')
        text++;
    if (!read_date(text, &local_s, &rest) || (*rest && !read_zone(rest, &zone_s)))
        return false;
    *unix_s = local_s - zone_s;
    return *unix_s > 0;
}

void
jn_start_write(int64_t unix_s, int32_t zone_s, char out[20])
{
    time_t local = (time_t)(unix_s + zone_s);
    struct tm t;

    out[0] = '\0';
    if (local < 0 || local >= 253402300800 || !gmtime_r(&local, &t) || strftime(out, 20, "%Y-%m-%d.%H:%M:%S", &t) == 0)
        out[0] = '\0';
}

/* ---- the clock ---- */

/* The local time that is printed beside the seconds, cut behind its seconds of the minute. */
static bool
zone_of(const char *text, int64_t unix_s, int32_t *zone_s)
{
    char date[20];
    const char *rest;
    int64_t local_s, zone;

    snprintf(date, sizeof date, "%.19s", text);
    if (!read_date(date, &local_s, &rest) || *rest)
        return false;
    zone = local_s - unix_s;
    if (zone < ZONE_MIN_S - ROUND_S || zone > ZONE_MAX_S + ROUND_S)
        return false;
    *zone_s = (int32_t)((zone + DAY_S + QUARTER_S / 2) / QUARTER_S * QUARTER_S - DAY_S);
    return llabs(zone - *zone_s) <= ROUND_S;
}

int
jn_clock_read(const xmlNode *root, struct jn_clock *out)
{
    const xmlNode *top = root ? jn_top(root, "system-uptime-information") : NULL;
    const xmlNode *now = nc_child(nc_child(top, "current-time"), "date-time");
    const char *seconds = now ? jn_attr(now, "seconds") : NULL;
    char text[64];
    uint64_t s;

    *out = (struct jn_clock){.unix_s = 0};
    if (!seconds || !jn_u64(seconds, &s) || s == 0 || s > (uint64_t)INT32_MAX * 8 || !nc_text(now, text, sizeof text) ||
        !zone_of(text, (int64_t)s, &out->zone_s))
        return RK_E_PROTOCOL;
    out->unix_s = (int64_t)s;
    nc_child_text(top, "time-source", out->source, sizeof out->source);
    for (char *p = out->source; *p; p++)
        if (*p == '?')
            *p = ' ';
    out->synchronised = strcasestr(out->source, "NTP") || strcasestr(out->source, "PTP");
    return RK_OK;
}

/* ---- facts ---- */

static void
old_release(const xmlNode *top, char *to, size_t size)
{
    for (const xmlNode *p = nc_child(top, "package-information"); p; p = nc_next(p)) {
        char name[64], comment[160], *from, *end;

        if (!nc_child_text(p, "name", name, sizeof name) || strcmp(name, "junos") != 0 ||
            !nc_child_text(p, "comment", comment, sizeof comment))
            continue;
        from = strchr(comment, '[');
        end = from ? strchr(from, ']') : NULL;
        if (end && (size_t)(end - from) <= size) {
            memcpy(to, from + 1, (size_t)(end - from) - 1);
            to[end - from - 1] = '\0';
        }
        return;
    }
}

int
jn_facts_read(const xmlNode *root, struct jn_facts *out)
{
    const xmlNode *top = root ? jn_top(root, "software-information") : NULL;

    *out = (struct jn_facts){.engines = 0};
    if (!top)
        return RK_E_PROTOCOL;
    for (; top; top = jn_top_next(root, top), out->engines++) {
        if (!out->host_name[0])
            nc_child_text(top, "host-name", out->host_name, sizeof out->host_name);
        if (!out->model[0])
            nc_child_text(top, "product-model", out->model, sizeof out->model);
        if (!out->release[0])
            nc_child_text(top, "junos-version", out->release, sizeof out->release);
        if (!out->release[0])
            old_release(top, out->release, sizeof out->release);
    }
    return RK_OK;
}
