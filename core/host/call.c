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

struct rk_call *
rk_call_new(uint32_t number, uint32_t verb, uint32_t budget_ms)
{
    struct rk_call *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->number = number;
    c->verb = verb;
    c->deadline_ns = rk_now_ns() + budget_ms * RK_NS_PER_MS;
    c->cancel_fd = -1;
    c->reply.number = number;
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
    pthread_mutex_destroy(&c->lock);
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
    int64_t left_ms = (c->deadline_ns - rk_now_ns()) / RK_NS_PER_MS;
    bool canceled;

    pthread_mutex_lock(&c->lock);
    canceled = c->canceled;
    pthread_mutex_unlock(&c->lock);
    if (canceled || left_ms <= 0)
        return 0;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
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
        [RK_V_WATCH] = "watch",     [RK_V_BIND] = "bind",
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
