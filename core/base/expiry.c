/* expiry.c - the end of a credential against the calendar clock.  Pure. */
#include "expiry.h"

#include "limits.h"

#include <string.h>
#include <time.h>

#define DAY_S INT64_C(86400)

enum rk_expiry
rk_expiry_state(struct rk_wall now, int64_t ends_unix_s)
{
    int64_t now_s = now.unix_ms / 1000;

    if (ends_unix_s == 0)
        return RK_EXPIRY_NONE;
    if (now_s > ends_unix_s)
        return RK_EXPIRY_OVER;
    /* the end may be as far away as the type goes, so that nothing is added to it or taken from it */
    return now_s + RK_EXPIRY_ALARM_DAYS * DAY_S >= ends_unix_s ? RK_EXPIRY_SOON : RK_EXPIRY_FAR;
}

const char *
rk_expiry_time(int64_t unix_s, char text[RK_EXPIRY_TIME_MAX])
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    if (!gmtime_r(&t, &tm) || strftime(text, RK_EXPIRY_TIME_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        strcpy(text, "?");
    return text;
}
