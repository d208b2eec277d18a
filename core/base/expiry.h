/* expiry.h - how near the end of a credential is, by the calendar
 *
 * The calendar clock may jump, so that the state is computed anew each time from what the clock says now; nothing is
 * counted.
 */
#ifndef RK_BASE_EXPIRY_H
#define RK_BASE_EXPIRY_H

#include "clock.h"

enum rk_expiry {
    RK_EXPIRY_NONE, /* no end is known */
    RK_EXPIRY_FAR,  /* more than RK_EXPIRY_ALARM_DAYS are left */
    RK_EXPIRY_SOON,
    RK_EXPIRY_OVER
};

#define RK_EXPIRY_TIME_MAX 40 /* "2026-12-31 23:59:59 UTC", with room for years of any length [bytes] */

/* rk_expiry_state - how near the end is
 * in:    now  the calendar clock;  ends_unix_s  the last second in which it is valid [s since 1970]; 0: not known
 * ret:   one of enum rk_expiry.   thread: any.  blocks: never.  cost: O(1).   src: RFC 5280, 4.1.2.5 */
enum rk_expiry rk_expiry_state(struct rk_wall now, int64_t ends_unix_s);

/* rk_expiry_time - a time for people, in UTC
 * out:   text[RK_EXPIRY_TIME_MAX], "?" when no calendar has it.   ret: text.   thread: any */
const char *rk_expiry_time(int64_t unix_s, char text[RK_EXPIRY_TIME_MAX]);

#endif
