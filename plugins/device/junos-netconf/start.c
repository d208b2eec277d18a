/* start.c - start times of keys, as Junos prints and takes them.  Pure.
 *
 * They are in the device's local time, month unpadded when printed; some releases print the offset behind it.  Another
 * word behind it is not trusted: an abbreviation as "CST" has several meanings.   src: Junos "start-time"
 */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool
in_range(const struct tm *tm)
{
    return tm->tm_year >= 2000 && tm->tm_year <= 2400 && tm->tm_mon >= 1 && tm->tm_mon <= 12 && tm->tm_mday >= 1 &&
           tm->tm_mday <= 31 && tm->tm_hour >= 0 && tm->tm_hour <= 23 && tm->tm_min >= 0 && tm->tm_min <= 59 &&
           tm->tm_sec >= 0 && tm->tm_sec <= 60;
}

/* "+0200", "+02:00", "UTC", "Z", or nothing: then the zone stays as it is. */
static bool
read_offset(const char *text, int32_t *zone_s)
{
    int hours = 0, minutes = 0, end = 0;

    text += strspn(text, " ");
    if (!*text)
        return true;
    if (strcmp(text, "UTC") == 0 || strcmp(text, "GMT") == 0 || strcmp(text, "Z") == 0) {
        *zone_s = 0;
        return true;
    }
    if (*text != '+' && *text != '-')
        return false;
    if ((sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 || text[1 + end]) &&
        (sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &end) != 2 || text[1 + end]))
        return false;
    if (hours < 0 || hours > 15 || minutes < 0 || minutes > 59)
        return false;
    *zone_s = (hours * 3600 + minutes * 60) * (*text == '-' ? -1 : 1);
    return true;
}

/* A day that there is not ("2026-2-30") comes out as another one. */
static bool
to_unix(struct tm tm, int32_t zone_s, int64_t *unix_s)
{
    int day = tm.tm_mday;

    tm.tm_year -= 1900;
    tm.tm_mon--;
    *unix_s = timegm(&tm) - zone_s;
    return tm.tm_mday == day;
}

bool
jn_start_read(const char *text, int32_t zone_s, int64_t *unix_s)
{
    struct tm tm = {0};
    int end = 0;

    *unix_s = 0;
    if (sscanf(text, "%4d-%2d-%2d.%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &end) != 5)
        return false;
    text += end;
    if (*text == ':') {
        if (sscanf(text, ":%2d%n", &tm.tm_sec, &end) != 1)
            return false;
        text += end;
    }
    return in_range(&tm) && read_offset(text, &zone_s) && to_unix(tm, zone_s, unix_s);
}

void
jn_start_write(int64_t unix_s, int32_t zone_s, char out[20])
{
    time_t local = (time_t)(unix_s + zone_s);
    struct tm tm;

    out[0] = '\0';
    if (gmtime_r(&local, &tm) && tm.tm_year + 1900 >= 2000 && tm.tm_year + 1900 <= 2400)
        strftime(out, 20, "%Y-%m-%d.%H:%M:%S", &tm);
}
