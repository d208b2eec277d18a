/* log.c - writes log lines to stderr; the only place in core that does. */
#include "log.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define KEEP_BYTES 4096 /* PIPE_BUF: as much stays in one piece in a pipe that others write to as well */

static int log_level = RK_LOG_INFO;
static int log_journal;

static const char *const level_names[] = {
    [RK_LOG_ERR] = "err",       [RK_LOG_WARNING] = "warning", [RK_LOG_NOTICE] = "notice",
    [RK_LOG_INFO] = "info",     [RK_LOG_DEBUG] = "debug",
};

/* What stands between the time and the text of a line, of each level. */
static char heads[RK_LOG_DEBUG + 1][80] = {
    [RK_LOG_ERR] = " err     rekey: ",   [RK_LOG_WARNING] = " warning rekey: ", [RK_LOG_NOTICE] = " notice  rekey: ",
    [RK_LOG_INFO] = " info    rekey: ",  [RK_LOG_DEBUG] = " debug   rekey: ",
};

/* Lines that wait to be written together. */
static struct {
    bool on;
    size_t n;
    char bytes[KEEP_BYTES];
} kept;

void
rk_log_start(const char *who, int level)
{
    log_level = level;
    log_journal = getenv("JOURNAL_STREAM") != NULL;
    for (int i = RK_LOG_ERR; i <= RK_LOG_DEBUG; i++) {
        if (log_journal)
            snprintf(heads[i], sizeof heads[i], "<%d>%.60s: ", i, who);
        else
            snprintf(heads[i], sizeof heads[i], " %-7s %.60s: ", level_names[i], who);
    }
}

static void
put_out(const char *bytes, size_t n)
{
    if (write(STDERR_FILENO, bytes, n) < 0)
        return; /* nowhere to say so */
}

void
rk_log_flush(void)
{
    if (kept.n)
        put_out(kept.bytes, kept.n);
    kept.n = 0;
}

void
rk_log_keep(bool on)
{
    rk_log_flush();
    kept.on = on;
}

/* Steps are shown at the level debug for who wants to stop between two of them: those are never kept. */
static bool
may_wait(int level)
{
    return kept.on && level >= RK_LOG_NOTICE && rk_log_level() < RK_LOG_DEBUG;
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

#define TIME_BYTES 24 /* "2026-01-31T23:59:58.999Z" */
#define SECOND_END 19

/* By hand, for this is half of what a line costs. */
static void
put_second(char *out, time_t second)
{
    static const char places[TIME_BYTES + 1] = "YYYY-MM-DDThh:mm:ss.000Z";
    struct tm tm;
    int values[6], digits[6] = {4, 2, 2, 2, 2, 2}, at = SECOND_END;

    gmtime_r(&second, &tm);
    memcpy(values, (int[]){(tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec},
           sizeof values);
    memcpy(out, places, sizeof places);
    for (int i = 5; i >= 0; i--, at--)
        for (int n = digits[i]; n > 0; n--, values[i] /= 10)
            out[--at] = (char)('0' + values[i] % 10);
}

/* Of one second there are many lines: only what is behind it is made for each. */
static size_t
put_time(char *out, const struct timespec *ts)
{
    static _Thread_local struct {
        time_t second;
        bool made;
        char text[TIME_BYTES + 1];
    } last;
    int ms = (int)(ts->tv_nsec / 1000000);

    if (!last.made || last.second != ts->tv_sec) {
        put_second(last.text, ts->tv_sec);
        last.second = ts->tv_sec;
        last.made = true;
    }
    memcpy(out, last.text, TIME_BYTES);
    for (int i = 3; i > 0; i--, ms /= 10)
        out[SECOND_END + i] = (char)('0' + ms % 10);
    return TIME_BYTES;
}

/* The head of a line: journald wants "<N>", a person wants a time and a level. */
static size_t
put_head(char *line, int level)
{
    size_t n = 0, len = strlen(heads[level]);
    struct timespec ts;

    if (!log_journal) {
        clock_gettime(CLOCK_REALTIME, &ts);
        n = put_time(line, &ts);
    }
    memcpy(line + n, heads[level], len);
    return n + len;
}

/* May one of 8 bytes be a control character?  For some that are none it says so too. */
static bool
suspect(const char *bytes)
{
    const uint64_t ones = UINT64_MAX / 255, tops = ones << 7;
    uint64_t x, del;

    memcpy(&x, bytes, sizeof x);
    del = x ^ ones * 0x7f;
    return ((((x - ones * ' ') & ~x) | ((del - ones) & ~del)) & tops) != 0;
}

static void
hide_controls(char *text, size_t n)
{
    size_t i = 0;

    while (i < n) {
        if (n - i >= 8 && !suspect(text + i)) {
            i += 8;
            continue;
        }
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            text[i] = '?';
        i++;
    }
}

static void
write_line(int level, const char *line, size_t n)
{
    if (n > sizeof kept.bytes - kept.n)
        rk_log_flush();
    if (!kept.on) {
        put_out(line, n);
        return;
    }
    memcpy(kept.bytes + kept.n, line, n);
    kept.n += n;
    if (!may_wait(level))
        rk_log_flush();
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
    n = put_head(line, level);
    m = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
    if (m < 0)
        return;
    n += (size_t)m < sizeof line - n - 1 ? (size_t)m : sizeof line - n - 2;
    hide_controls(line, n);
    line[n++] = '\n';
    write_line(level, line, n);
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
