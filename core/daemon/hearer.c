/* hearer.c - see hearer.h.  Runs in the loop. */
#include "daemon.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the control socket ---- */

static void
push_row(void *arg, char *row)
{
    ctl_push(arg, row);
}

static void
push_over(void *arg, bool ok, const char *text)
{
    ctl_over(arg, ok ? CTL_OK : CTL_FAILED, text);
}

struct hearer
hearer_of_ctl(struct ctl_client *c)
{
    return (struct hearer){push_row, push_over, c};
}

/* ---- without a running daemon ---- */

static void
print_row(void *arg, char *row)
{
    (void)arg;
    if (row)
        puts(row);
    fflush(stdout);
    free(row);
}

static void
print_over(void *arg, bool ok, const char *text)
{
    json_t *row = json_pack("{s:{sb ss}}", "over", "ok", ok, "text", text);
    struct alone *a = arg;

    print_row(NULL, row ? json_dumps(row, JSON_COMPACT) : NULL);
    json_decref(row);
    a->ok = ok;
    if (a->d->base)
        event_base_loopbreak(a->d->base);
}

struct hearer
hearer_of_stdout(struct alone *a)
{
    return (struct hearer){print_row, print_over, a};
}
