/* call.c - a call's life, its budget, its cancel descriptor and its text. */
#include "call.h"

#include "safe.h"

#include "../base/clock.h"
#include "../base/err.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TEST_END_MS 100

struct rk_call *
rk_call_new(uint32_t number, uint32_t verb, uint32_t budget_ms)
{
    struct rk_call *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->number = number;
    c->verb = verb;
    c->deadline_ns = rk_now_ns() + budget_ms * RK_NS_PER_MS;
    c->most_end_ns = RK_NEVER;
    c->cancel_fd = -1;
    c->reply.number = number;
    c->steps_end = &c->steps;
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void
rk_call_free(struct rk_call **call)
{
    struct rk_call *c = *call;

    if (!c)
        return;
    if (c->cancel_fd >= 0)
        close(c->cancel_fd);
    for (struct rk_call_step *s; (s = rk_call_step_first(c));)
        rk_call_step_free(s);
    pthread_mutex_destroy(&c->lock);
    if (c->msg.verb == RK_V_RATCHET)
        rk_items_sent(c->msg.items, c->msg.n); /* the hosts of other channels read the same memfds */
    rk_items_free(c->msg.items, c->msg.n);
    rk_items_free(c->reply.items, c->reply.n);
    free(c->config.settings);
    free(c);
    *call = NULL;
}

void
rk_call_cancel(struct rk_call *c)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&c->lock);
    if (!c->canceled && c->cancel_fd >= 0 && write(c->cancel_fd, &one, sizeof one) < 0)
        abort(); /* an eventfd takes the first write always */
    c->canceled = true;
    pthread_mutex_unlock(&c->lock);
}

int
rk_call_cancel_fd(const struct rk_call *call)
{
    struct rk_call *c = (struct rk_call *)(size_t)call;
    int fd;

    pthread_mutex_lock(&c->lock);
    if (c->cancel_fd < 0)
        c->cancel_fd = eventfd(c->canceled, EFD_CLOEXEC | EFD_NONBLOCK);
    fd = c->cancel_fd; /* -1 when there are no descriptors left: poll() leaves it out, and left_ms still tells */
    pthread_mutex_unlock(&c->lock);
    return fd;
}

int
rk_call_left_ms(const struct rk_call *call)
{
    struct rk_call *c = (struct rk_call *)(size_t)call;
    int64_t end_ns = c->deadline_ns, left_ms;
    bool canceled;

    if (c->verb == RK_V_SOURCE_TEST) /* it ends by itself, before it is canceled: then it can say where it hung */
        end_ns -= TEST_END_MS * RK_NS_PER_MS;
    pthread_mutex_lock(&c->lock);
    canceled = c->canceled;
    if (c->most_end_ns < end_ns)
        end_ns = c->most_end_ns;
    pthread_mutex_unlock(&c->lock);
    left_ms = (end_ns - rk_now_ns()) / RK_NS_PER_MS;
    if (canceled || left_ms <= 0)
        return 0;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

void
rk_call_bound(struct rk_call *c, uint32_t most_ms)
{
    pthread_mutex_lock(&c->lock);
    c->most_end_ns = rk_now_ns() + most_ms * RK_NS_PER_MS;
    pthread_mutex_unlock(&c->lock);
}

int
rk_call_fail(struct rk_call *c, int err, const char *fmt, ...)
{
    va_list ap;

    if (!c)
        return err;
    va_start(ap, fmt);
    vsnprintf(c->text, sizeof c->text, fmt, ap);
    va_end(ap);
    rk_safe_text(c->text, sizeof c->text);
    return err;
}

/* ---- steps of a test ---- */

static bool
step_name_ok(const char *name)
{
    size_t len = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;

    return len > 0 && len <= RK_STEP_NAME_MAX && !name[len];
}

static void
step_keep(struct rk_call *c, struct rk_call_step *s)
{
    s->step.number = c->number;
    s->next = NULL;
    pthread_mutex_lock(&c->lock);
    *c->steps_end = s;
    c->steps_end = &s->next;
    pthread_mutex_unlock(&c->lock);
    if (c->pool)
        rk_pool_wake(c->pool);
}

int
rk_call_step(struct rk_call *c, const char *name, int result, const char *fmt, ...)
{
    bool kind = result == RK_STEP_WARNING || result == RK_STEP_SKIPPED;
    int err = kind ? RK_OK : rk_safe_err(result);
    struct rk_call_step *s;
    va_list ap;

    if (!c || c->verb != RK_V_SOURCE_TEST)
        return err;
    if (err && !c->step_err)
        c->step_err = err;
    if (++c->n_steps > RK_STEPS_MAX || !(s = calloc(1, sizeof *s)))
        return err; /* the result of the test is right still */
    va_start(ap, fmt);
    vsnprintf(s->step.text, sizeof s->step.text, fmt, ap);
    va_end(ap);
    if (err && !s->step.text[0])
        strcpy(s->step.text, c->text[0] ? c->text : "the plugin gave no reason");
    rk_safe_text(s->step.text, sizeof s->step.text);
    snprintf(s->step.name, sizeof s->step.name, "%s", step_name_ok(name) ? name : "?");
    s->step.result = kind ? result : err;
    step_keep(c, s);
    return err;
}

int
rk_call_line(struct rk_call *c, const char *line)
{
    struct rk_call_step *s;

    if (strlen(line) >= sizeof s->step.text)
        return rk_call_fail(c, RK_E_CONTRACT, "a line of prepare is longer than %zu bytes", sizeof s->step.text - 1);
    if (++c->n_steps > RK_LINES_MAX)
        return rk_call_fail(c, RK_E_CONTRACT, "more than %d lines of prepare", RK_LINES_MAX);
    s = calloc(1, sizeof *s);
    if (!s)
        return rk_call_fail(c, RK_E_NOMEM, "out of memory");
    strcpy(s->step.name, "line");
    strcpy(s->step.text, line);
    rk_safe_text(s->step.text, sizeof s->step.text);
    step_keep(c, s);
    return RK_OK;
}

int
rk_call_found(struct rk_call *c, struct rk_found_msg *found)
{
    struct rk_call_step *s = ++c->n_steps <= RK_FOUND_MAX ? calloc(1, sizeof *s) : NULL;

    if (!s) {
        free(found->settings);
        free(found);
        return c->n_steps > RK_FOUND_MAX ? rk_call_fail(c, RK_E_CONTRACT, "more than %d links", RK_FOUND_MAX)
                                         : rk_call_fail(c, RK_E_NOMEM, "out of memory");
    }
    found->number = c->number;
    s->found = found;
    step_keep(c, s);
    return RK_OK;
}

int
rk_call_heard(struct rk_call *c, struct rk_heard_msg *heard)
{
    struct rk_call_step *s = calloc(1, sizeof *s);

    if (!s) {
        free(heard);
        return rk_call_fail(c, RK_E_NOMEM, "out of memory");
    }
    heard->number = c->number;
    s->heard = heard;
    step_keep(c, s);
    return RK_OK;
}

void
rk_call_step_free(struct rk_call_step *s)
{
    if (s->found)
        free(s->found->settings);
    free(s->found);
    free(s->heard);
    free(s);
}

struct rk_call_step *
rk_call_step_first(struct rk_call *c)
{
    struct rk_call_step *s;

    pthread_mutex_lock(&c->lock);
    s = c->steps;
    if (s)
        c->steps = s->next;
    if (!c->steps)
        c->steps_end = &c->steps;
    pthread_mutex_unlock(&c->lock);
    return s;
}

void
rk_call_step_back(struct rk_call *c, struct rk_call_step *s)
{
    pthread_mutex_lock(&c->lock);
    s->next = c->steps;
    if (!c->steps)
        c->steps_end = &s->next;
    c->steps = s;
    pthread_mutex_unlock(&c->lock);
}

/* ---- the end ---- */

void
rk_call_expires(struct rk_call *c, const char *what, int64_t unix_s)
{
    if (unix_s < 1)
        unix_s = 1; /* 0 is none, and what ended before 1970 has ended */
    if (!c || (c->reply.ends_unix_s && c->reply.ends_unix_s <= unix_s))
        return;
    c->reply.ends_unix_s = unix_s;
    rk_safe_copy(c->reply.ends_what, sizeof c->reply.ends_what, what);
}

void
rk_call_wasted(struct rk_call *c, uint32_t n)
{
    if (c)
        c->reply.wasted = n < UINT32_MAX - c->reply.wasted ? c->reply.wasted + n : UINT32_MAX;
}

void
rk_call_end(struct rk_call *c, int err)
{
    c->reply.err = rk_safe_err(err);
    if (err == RK_OK)
        return;
    if (c->reply.err != err)
        snprintf(c->reply.text, sizeof c->reply.text, "the plugin returned %d, which is no code: %.300s", err, c->text);
    else if (c->text[0])
        strcpy(c->reply.text, c->text);
    else
        snprintf(c->reply.text, sizeof c->reply.text, "%s (the plugin gave no reason)", rk_err_name(err));
}

void
rk_call_refuse(struct rk_call *c, int err, const char *fmt, ...)
{
    va_list ap;

    c->reply.err = err;
    va_start(ap, fmt);
    vsnprintf(c->reply.text, sizeof c->reply.text, fmt, ap);
    va_end(ap);
    rk_safe_text(c->reply.text, sizeof c->reply.text);
}

const char *
rk_verb_name(uint32_t verb)
{
    static const char *const names[] = {
        [RK_V_GET_NEW] = "get-new", [RK_V_GET_BY_ID] = "get-by-id", [RK_V_SOURCE_STATUS] = "source-status",
        [RK_V_APPLY] = "apply",     [RK_V_OBSERVE] = "observe",     [RK_V_PUBLISH] = "publish",
        [RK_V_WATCH] = "watch",     [RK_V_ATTACH] = "attach",       [RK_V_SOURCE_TEST] = "source-test",
        [RK_V_MIX] = "mix",         [RK_V_TEND] = "tend",           [RK_V_DISCOVER] = "discover",
        [RK_V_PREPARE] = "prepare", [RK_V_ENCODE] = "encode",       [RK_V_DECODE] = "decode",
        [RK_V_NEIGHBOURS] = "neighbours", [RK_V_RATCHET] = "ratchet",
    };

    if (verb == RK_V_INIT || verb == RK_V_FINI)
        return verb == RK_V_INIT ? "init" : "fini";
    return verb < sizeof names / sizeof *names && names[verb] ? names[verb] : "?";
}

void
rk_calls_add(struct rk_calls *list, struct rk_call *c)
{
    c->next = NULL;
    c->prev = list->last;
    if (list->last)
        list->last->next = c;
    else
        list->first = c;
    list->last = c;
    list->n++;
}

void
rk_calls_remove(struct rk_calls *list, struct rk_call *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        list->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        list->last = c->prev;
    c->prev = c->next = NULL;
    list->n--;
}
