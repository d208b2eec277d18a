/* rpc_commit.c - requests that check and commit
 *
 * Used by the session's thread only.  The box is not locked while a commit takes its time.
 */
#include "rpc.h"

#include <core/base/log.h>

#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000

/* Which routing engines answer. */
static const char *
engine(const struct call *c, unsigned i)
{
    static const char *const names[] = {"re0", "re1"};

    (void)c;
    return names[i & 1];
}

static bool
faulty(struct call *c, const struct sim_fault_hit *hit)
{
    struct session *s = c->s;

    if (!session_wait(s, hit->delay_ms))
        return true;
    s->silent |= (hit->what & SIM_DO_SILENT) != 0;
    s->over |= (hit->what & SIM_DO_CLOSE) != 0;
    return s->silent || s->over;
}

static void
failed(struct call *c, const char *re, bool check)
{
    struct conf_error e = {.message = "commit failed: (statements constraint check failed)"};

    if (check)
        snprintf(e.message, sizeof e.message, "configuration check-out failed: (statements constraint check failed)");
    fprintf(c->out, "<commit-results>\n<routing-engine junos:style=\"normal\">\n<name>%s</name>\n", re);
    say_errors(c);
    say_error(c, "error", "", &e);
    fputs("</routing-engine>\n</commit-results>\n", c->out);
}

/* "re0-1384090137-1" on a router: what no other commit of it has. */
static void
put_revision(struct call *c, unsigned i)
{
    fprintf(c->out, "%s-%llu-1", engine(c, i), (unsigned long long)c->s->box->commits);
}

static void
succeeded(struct call *c, bool check, uint32_t what, const struct sim_fault_hit *warn)
{
    const struct sim_personality *as = c->s->box->as;
    bool plain = as->bare_ok && !check && !c->errors->n && !(what & (SIM_DO_MALFORMED | SIM_DO_WARNING));

    for (unsigned i = 0; !plain && i < as->engines; i++) {
        if (i == 0)
            fputs("<commit-results>\n", c->out);
        fprintf(c->out, "<routing-engine junos:style=\"%s\">\n<name>%s</name>\n", check ? "normal" : "show-name",
                engine(c, i));
        if (i == 0) {
            say_errors(c); /* warnings */
            if (what & SIM_DO_WARNING)
                say_fault(c, warn);
        }
        fprintf(c->out, "<commit-%ssuccess/>\n", check ? "check-" : "");
        if (!check && c->s->box->commits) {
            fputs("<commit-revision-information>\n<new-db-revision>", c->out);
            put_revision(c, i);
            fputs("</new-db-revision>\n</commit-revision-information>\n", c->out);
        }
        if (what & SIM_DO_MALFORMED) { /* as some releases do: neither is closed */
            say_ok(c);
            return;
        }
        fputs("</routing-engine>\n", c->out);
        if (i + 1 == as->engines)
            fputs("</commit-results>\n", c->out);
    }
    say_ok(c);
}

static void
check_only(struct call *c, const struct commit *want)
{
    struct sim_fault_hit hit = sim_fault(c->s->box, SIM_AT_CHECK, c->name);

    if (faulty(c, &hit) || !session_wait(c->s, __atomic_load_n(&c->s->box->check_ms, __ATOMIC_RELAXED)))
        return;
    if (hit.what & SIM_DO_ERROR)
        say_fault(c, &hit);
    else if (store_commit_begin(c->s->box, &c->s->ed, want, c->errors))
        succeeded(c, true, hit.what, &hit);
    else
        failed(c, engine(c, 0), true);
}

static bool
before(struct call *c, struct sim_fault_hit *hit)
{
    struct conf_error e = {.message = "commit failed: configuration check-out failed on the other routing engine"};

    *hit = sim_fault(c->s->box, SIM_AT_COMMIT_BEFORE, c->name);
    if (faulty(c, hit))
        return false;
    if (hit->what & SIM_DO_LOCKED)
        sim_operator_lock(c->s->box, true);
    if (hit->what & SIM_DO_ERROR)
        say_fault(c, hit);
    if (hit->what & SIM_DO_OTHER_RE) {
        fprintf(c->out, "<commit-results>\n<routing-engine junos:style=\"show-name\">\n<name>%s</name>\n",
                engine(c, 1));
        say_error(c, "error", "", &e);
        fputs("</routing-engine>\n</commit-results>\n", c->out);
    }
    return !(hit->what & (SIM_DO_ERROR | SIM_DO_OTHER_RE));
}

/* A commit goes on when its client has gone: mgd does not look. */
static void
take_time(struct call *c)
{
    int64_t end = mono_ms() + __atomic_load_n(&c->s->box->commit_ms, __ATOMIC_RELAXED), left;

    session_wait(c->s, end - mono_ms());
    while ((left = end - mono_ms()) > 0 && mono_ms() >= c->s->box->store->down_until_ms) {
        struct timespec t = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};

        nanosleep(&t, NULL);
    }
}

static void
commit(struct call *c, const struct commit *want)
{
    struct sim_fault_hit hit, after;
    struct sim_box *box = c->s->box;

    if (!before(c, &hit))
        return;
    if (!store_commit_begin(box, &c->s->ed, want, c->errors)) {
        failed(c, engine(c, 0), false);
        return;
    }
    take_time(c);
    store_commit_end(box, &c->s->ed, want, true);
    rk_log(RK_LOG_INFO, "ev=commit box=%s user=%s id=%u client=netconf", box->name, c->s->user, c->s->id);
    after = sim_fault(box, SIM_AT_COMMIT_AFTER, c->name);
    if (faulty(c, &after))
        return;
    if (after.what & SIM_DO_ERROR)
        say_fault(c, &after);
    else
        succeeded(c, false, hit.what | after.what, hit.what & SIM_DO_WARNING ? &hit : &after);
}

static bool
may(struct call *c)
{
    if (rights_configure(c->s->rights))
        return true;
    say_message(c, "access-denied", "permission denied");
    return false;
}

static void
run(struct call *c, struct commit *want)
{
    if (want->check)
        check_only(c, want);
    else
        commit(c, want);
}

void
rpc_commit(struct call *c)
{
    char log[600], minutes[16], comment[64] = "";
    struct commit want = {.check = flag(c->request, "check")};
    long n;

    if (!may(c))
        return;
    if (*text_of_child(c->request, "log", log, sizeof log))
        want.log = log;
    text_of_child(c->request, "confirm-timeout", minutes, sizeof minutes);
    n = *minutes ? strtol(minutes, NULL, 10) : 10;
    if (n < 1 || n > 65535) {
        say_message(c, "invalid-value", "Value is not within range (1..65535)");
        return;
    }
    if (flag(c->request, "at-time")) {
        say_message(c, "operation-not-supported", "commit at is not supported");
        return;
    }
    if (flag(c->request, "confirmed")) {
        want.confirm_ms = (int64_t)n * MINUTE_MS;
        snprintf(comment, sizeof comment, "commit confirmed, rollback in %ldmins", n);
    } else if (flag(c->request, "synchronize") || flag(c->request, "force-synchronize"))
        snprintf(comment, sizeof comment, "commit synchronize");
    want.comment = comment;
    run(c, &want);
}

/* src: RFC 6241 8.3, 8.4: the timeout is in seconds there */
void
rpc_commit_standard(struct call *c)
{
    char seconds[16];
    struct commit want = {.check = false};

    if (!may(c))
        return;
    text_of_child(c->request, "confirm-timeout", seconds, sizeof seconds);
    if (flag(c->request, "confirmed"))
        want.confirm_ms = 1000 * (int64_t)(*seconds ? strtol(seconds, NULL, 10) : 600);
    run(c, &want);
}

void
rpc_validate(struct call *c)
{
    struct commit want = {.check = true};

    if (may(c))
        run(c, &want);
}

/* src: "show system commit revision" */
void
rpc_commit_revision(struct call *c)
{
    if (!rights_view(c->s->rights)) {
        say_message(c, "access-denied", "permission denied");
        return;
    }
    fputs("<commit-revision-information>\n<revision>", c->out);
    pthread_mutex_lock(&c->s->box->lock);
    put_revision(c, 0);
    pthread_mutex_unlock(&c->s->box->lock);
    fputs("</revision>\n</commit-revision-information>\n", c->out);
}
