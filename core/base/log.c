/* log.c - writes log lines to stderr; the only place in core that does. */
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static char log_who[64] = "rekey";
static int log_level = RK_LOG_INFO;
static int log_journal;

static const char *const level_names[] = {
    [RK_LOG_ERR] = "err",       [RK_LOG_WARNING] = "warning", [RK_LOG_NOTICE] = "notice",
    [RK_LOG_INFO] = "info",     [RK_LOG_DEBUG] = "debug",
};

void
rk_log_start(const char *who, int level)
{
    snprintf(log_who, sizeof log_who, "%s", who);
    log_level = level;
    log_journal = getenv("JOURNAL_STREAM") != NULL;
}

int
rk_log_level(void)
{
    return __atomic_load_n(&log_level, __ATOMIC_RELAXED);
}

void
rk_log_level_set(int level)
{
    __atomic_store_n(&log_level, level, __ATOMIC_RELAXED);
}

int
rk_log_level_parse(const char *name)
{
    for (int i = RK_LOG_ERR; i <= RK_LOG_DEBUG; i++)
        if (strcmp(level_names[i], name) == 0)
            return i;
    return -1;
}

/* "2026-01-31T23:59:58.999Z": by hand, for this is half of what a line costs. */
static size_t
put_time(char *out, const struct timespec *ts)
{
    static const char places[] = "YYYY-MM-DDThh:mm:ss.000Z";
    struct tm tm;
    int values[7], digits[7] = {4, 2, 2, 2, 2, 2, 3}, at = sizeof places - 2;

    gmtime_r(&ts->tv_sec, &tm);
    memcpy(values, (int[]){(tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                           (int)(ts->tv_nsec / 1000000)}, sizeof values);
    memcpy(out, places, sizeof places);
    for (int i = 6; i >= 0; i--, at--)
        for (int n = digits[i]; n > 0; n--, values[i] /= 10)
            out[--at] = (char)('0' + values[i] % 10);
    return sizeof places - 1;
}

/* The head of a line: journald wants "<N>", a person wants a time and a level. */
static size_t
put_head(char *line, size_t size, int level)
{
    struct timespec ts;
    size_t n;

    if (log_journal)
        return (size_t)snprintf(line, size, "<%d>%s: ", level, log_who);
    clock_gettime(CLOCK_REALTIME, &ts);
    n = put_time(line, &ts);
    return n + (size_t)snprintf(line + n, size - n, " %-7s %s: ", level_names[level], log_who);
}

void
rk_logv(int level, const char *fmt, va_list ap)
{
    char line[LINE_MAX_BYTES];
    size_t n;
    int m;

    if (level < RK_LOG_ERR)
        level = RK_LOG_ERR;
    if (level > rk_log_level() || level > RK_LOG_DEBUG)
        return;
    n = put_head(line, sizeof line, level);
    m = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
    if (m < 0)
        return;
    n += (size_t)m < sizeof line - n - 1 ? (size_t)m : sizeof line - n - 2;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nowhere to say so */
}

void
rk_log(int level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    rk_logv(level, fmt, ap);
    va_end(ap);
}

void
rk_assert_failed(const char *cond, const char *file, int line)
{
    rk_log(RK_LOG_ERR, "ev=assert cond=\"%s\" at=%s:%d", cond, file, line);
    abort();
}
