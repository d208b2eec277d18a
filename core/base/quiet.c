/* quiet.c - a window of a minute that begins with its first line.  Pure. */
#include "quiet.h"

/* The window is over: a new one, with what the old one owes. */
static uint64_t
renew(struct rk_quiet *q, int64_t now_ns)
{
    uint64_t owed = q->left_out;

    *q = (struct rk_quiet){.since_ns = now_ns};
    return owed;
}

bool
rk_quiet_may(struct rk_quiet *q, int64_t now_ns, uint64_t *more)
{
    *more = 0;
    if (q->said == 0 || now_ns - q->since_ns >= RK_QUIET_NS)
        *more = renew(q, now_ns);
    if (q->said >= RK_QUIET_LINES) {
        q->left_out++;
        return false;
    }
    q->said++;
    return true;
}

uint64_t
rk_quiet_owed(struct rk_quiet *q, int64_t now_ns)
{
    uint64_t owed;

    if (q->left_out == 0 || now_ns - q->since_ns < RK_QUIET_NS)
        return 0;
    owed = renew(q, now_ns);
    q->said = 1;
    return owed;
}
