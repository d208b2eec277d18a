/* rows.c - the rows: what each is about, and the ends that all have in common. */
#include "check.h"

#include "../base/err.h"

#include <stdarg.h>

#define DEVICE (1u << RK_DEVICE)
#define SOURCE (1u << RK_SOURCE)

const struct rk_check_row rk_check_rows[] = {
    {"load", "loads in the sandbox, built for this ABI", 0, false, false, rk_check_row_load},
    {"schema", "its options can be checked: types, ranges, defaults", 0, false, false, rk_check_row_schema},
    {"documented", "every option says what it is", 0, false, false, rk_check_row_documented},
    {"init", "instances are made and ended, without their peer", 0, true, false, rk_check_row_init},
    {"calls", "every function answers, and the process lives", 0, true, false, rk_check_row_calls},
    {"results", "every operation, key or record has its own result", 0, true, true, rk_check_row_results},
    {"idempotent", "what is done again changes nothing and is no error", DEVICE, true, true, rk_check_row_idempotent},
    {"truthful", "observe tells what apply did", DEVICE, true, true, rk_check_row_truthful},
    {"errors", "every failure has a code of a class, and a text", 0, true, true, rk_check_row_errors},
    {"budget", "calls return in their budget, whatever the peer does", 0, true, false, rk_check_row_budget},
    {"cancel", "a call that is given up returns within 100 ms", 0, true, false, rk_check_row_cancel},
    {"concurrent", "calls at once do not disturb each other", SOURCE, true, true, rk_check_row_concurrent},
    {"allocations", "it survives when memory runs out", 0, true, true, rk_check_row_allocations},
    {"output", "nothing is written to standard output and error", 0, true, true, rk_check_row_output},
    {"secrets", "no key is left in memory or in the log", 0, true, true, rk_check_row_secrets},
    {"fds", "no descriptor is left open", 0, true, true, rk_check_row_fds},
    {"threads", "no thread is left running", 0, true, true, rk_check_row_threads},
    {"children", "no process is left behind", 0, true, true, rk_check_row_children},
    {"memory", "no memory is left allocated", 0, true, true, rk_check_row_memory},
    {NULL, NULL, 0, false, false, NULL},
};

static enum rk_check_result say(struct rk_check *ck, enum rk_check_result result, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static enum rk_check_result
say(struct rk_check *ck, enum rk_check_result result, const char *fmt, va_list ap)
{
    vsnprintf(ck->text, sizeof ck->text, fmt, ap);
    return result;
}

enum rk_check_result
rk_check_pass(struct rk_check *ck, const char *fmt, ...)
{
    enum rk_check_result r;
    va_list ap;

    va_start(ap, fmt);
    r = say(ck, RK_CHECK_PASSED, fmt, ap);
    va_end(ap);
    return r;
}

enum rk_check_result
rk_check_fail(struct rk_check *ck, const char *fmt, ...)
{
    enum rk_check_result r;
    va_list ap;

    va_start(ap, fmt);
    r = say(ck, RK_CHECK_FAILED, fmt, ap);
    va_end(ap);
    return r;
}

enum rk_check_result
rk_check_skip(struct rk_check *ck, const char *fmt, ...)
{
    enum rk_check_result r;
    va_list ap;

    va_start(ap, fmt);
    r = say(ck, RK_CHECK_SKIPPED, fmt, ap);
    va_end(ap);
    return r;
}

enum rk_check_result
rk_check_wrong(struct rk_check *ck, const struct rk_check_host *h, const char *what, int err)
{
    const char *text = h->reply.text;

    if (h->sock < 0)
        return rk_check_fail(ck, "%s: the process is gone: %.150s", what, h->obituary[0] ? h->obituary : "it ended");
    for (size_t i = 0; !text[0] && i < h->reply.n; i++)
        text = h->reply.items[i].text;
    return rk_check_fail(ck, "%s: %s%s%.180s", what, rk_err_name(err), text[0] ? ": " : "", text);
}
