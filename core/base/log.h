/* log.h - log lines
 *
 * One event is one line on stderr, "<level>ev=name key=value ... text", written with one write(2), or several
 * lines with one; with journald the level is the syslog prefix "<N>".  No key byte is ever given to it.
 */
#ifndef RK_BASE_LOG_H
#define RK_BASE_LOG_H

#include <rekey/plugin.h>

#include <stdarg.h>
#include <stdbool.h>

/* rk_log_start - name this process and set what is shown
 * in:   who  prefix, "rekeyd" or "rekey-host[static]", kept by copy;  level  highest enum rk_log_level shown
 * note: lines get a "<N>" prefix when JOURNAL_STREAM is set, else a UTC time.  thread: before others start */
void rk_log_start(const char *who, int level);

/* rk_log_level - what is shown now.   rk_log_level_set - change it (a reload) */
int rk_log_level(void);
void rk_log_level_set(int level);

/* rk_log_level_parse - "err"|"warning"|"notice"|"info"|"debug" to enum rk_log_level; -1 when it is none */
int rk_log_level_parse(const char *name);

/* rk_log - write one line; control characters in it are shown as '?'
 * thread: any.  blocks: as stderr does */
void rk_log(int level, const char *fmt, ...) RK_PRINTF(2, 3);
void rk_logv(int level, const char *fmt, va_list ap) RK_PRINTF(2, 0);

/* rk_log_keep - from now on lines wait until rk_log_flush(), or not.  Errors and warnings go out at once, with what
 * waits before them, and so does everything at the level debug; more than 4 KiB never wait.  Lines that wait are lost
 * when the process is killed.   thread: of a process that logs from one thread only
 * rk_log_flush - write the lines that wait */
void rk_log_keep(bool on);
void rk_log_flush(void);

/* rk_assert - a broken invariant of our own: log and abort, so that a restart reads the truth back */
#define rk_assert(cond) ((cond) ? (void)0 : rk_assert_failed(#cond, __FILE__, __LINE__))
void rk_assert_failed(const char *cond, const char *file, int line) __attribute__((noreturn));

#endif
