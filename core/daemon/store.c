/* store.c - the journal's side of the loop: what one turn brings is one group, and one fsync; under load, what some
 * turns bring.
 *
 * No effect follows before its entry is durable: an end hears DONE only after the commit.
 */
#include "ratchet.h"

#include "../base/err.h"
#include "../base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void
store_put(struct end *end)
{
    struct daemon *d = end->d;

    end->live->put_err = rk_journal_put_at(d->journal, &end->live->place, &end->live->e.d);
    ratchet_store(end);
    end->live->next_commit = NULL;
    *d->commit_last = end;
    d->commit_last = &end->live->next_commit;
    d->group_open = true;
    turn_soon(d);
}

/* put: the end's entry is put right after it, in the same group. */
static void
note(struct end *end, struct rk_journal_event *event, bool put)
{
    const struct rk_durable *d = &end->live->e.d;

    event->end = d->end;
    event->seq = d->seq;
    event->at = rk_wall_now();
    memcpy(event->link, d->link, sizeof event->link);
    if (rk_journal_note_at(end->d->journal, &end->live->place, event, put) != RK_OK)
        rk_log(RK_LOG_DEBUG, "ev=journal link=%s res=note-failed", d->link); /* the commit will say why */
    end->d->group_open = true;
    turn_soon(end->d);
}

void
store_event(struct end *end, struct rk_journal_event *event)
{
    note(end, event, false);
}

void
store_note(struct end *end, const struct rk_todo *todo, int64_t took_ms)
{
    const struct rk_end *e = &end->live->e;
    struct rk_journal_event event = {.event = todo->note, .key_id = todo->note_key,
                                     .result = todo->note_bad ? e->last_err : RK_OK,
                                     .why = todo->note_bad ? e->last_why : "", .took_ms = took_ms};

    note(end, &event, todo->act == RK_ACT_JOURNAL);
}

/* Say once that the journal cannot be written, and once that it can again. */
static void
show_result(struct daemon *d, int err, const char *why)
{
    if (err && strcmp(d->journal_error, why) != 0)
        rk_log(RK_LOG_ERR, "ev=journal res=%s why=\"%s\" note=\"no rotation starts until it can be written\"",
               rk_err_name(err), why);
    if (!err && d->journal_error[0])
        rk_log(RK_LOG_NOTICE, "ev=journal res=ok note=\"it can be written again\"");
    snprintf(d->journal_error, sizeof d->journal_error, "%s", err ? why : "");
}

void
store_log_aside(const char *path, const char *aside)
{
    rk_log(RK_LOG_ERR, "ev=journal-aside file=%s aside=%s note=\"the damaged journal and its -wal were renamed, a new "
           "one is begun; what it does not know is read back from the devices and the peers\"", path,
           aside[0] ? aside : "-");
}

/* What all ends remember, into the group.  An end that waits for its entry may be ahead of the last commit: as after
 * any crash between an entry and its effect, that is harmless, and it will ask for the same entry again. */
static void
put_all(struct daemon *d)
{
    for (size_t i = 0; i < d->n_ends; i++) {
        struct end *end = d->ends[i];

        if (!end_rouse(end)) /* its next entry is written as ever */
            rk_log(RK_LOG_ERR, "ev=journal link=%s end=%c res=no-memory", end->conf->name, end->which);
        else if (rk_journal_put_at(d->journal, &end->live->place, &end->live->e.d) == RK_E_CONTRACT)
            rk_log(RK_LOG_ERR, "ev=journal link=%s end=%c res=contract why=\"its state cannot be written\"",
                   end->conf->name, end->which);
        ratchet_lost(end);
    }
}

/* The journal is damaged, or its file has gone: begin a new one, with what all ends remember.  Those that waited for
 * the old one hear that it failed, and ask again.  When it does not work, the next group tries again. */
static void
renew(struct daemon *d)
{
    char path[sizeof d->conf->state_dir + 16], aside[sizeof path + 40], why[RK_TEXT_MAX] = "";
    int err;

    if (mkdir(d->conf->state_dir, 0700) < 0 && errno != EEXIST) /* removed with all that was in it, perhaps */
        rk_log(RK_LOG_DEBUG, "ev=journal-renew res=io why=\"%s: %s\"", d->conf->state_dir, strerror(errno));
    snprintf(path, sizeof path, "%s/journal.db", d->conf->state_dir);
    err = rk_journal_renew(d->journal, aside, sizeof aside, why, sizeof why);
    if (aside[0] || !err)
        store_log_aside(path, aside);
    if (!err) {
        put_all(d);
        err = rk_journal_commit(d->journal, why, sizeof why);
    }
    if (err && strcmp(d->renew_error, why) != 0)
        rk_log(RK_LOG_ERR, "ev=journal-renew res=%s why=\"%s\"", rk_err_name(err), why);
    snprintf(d->renew_error, sizeof d->renew_error, "%s", err ? why : "");
}

static void
commit_due(struct daemon *d, struct wake *w)
{
    (void)w;
    turn_soon(d);
}

/* A link that rotates commits at once, and so do some at a time.  When one group follows the other they wait a little,
 * so that links which are due one after the other share them, and the calls that follow: one step of many ends at once
 * costs a fraction of as many steps. */
static bool
must_wait(struct daemon *d)
{
    int64_t now_ns = rk_now_ns(), pause_ns = d->stopping ? 0 : rk_bucket_take(&d->commits, now_ns);

    if (pause_ns == 0)
        return false;
    d->commit_wake.fn = commit_due;
    wake_at(d, &d->commit_wake, now_ns + pause_ns);
    return d->commit_wake.timer.pos; /* when there was no memory for that it goes at once */
}

bool
store_due(const struct daemon *d)
{
    return d->group_open && (!d->commit_wake.timer.pos || d->stopping);
}

void
store_flush(struct daemon *d)
{
    struct end *end = d->commit;
    char why[RK_TEXT_MAX] = "";
    int err;

    if (!store_due(d) || must_wait(d))
        return;
    d->group_open = false;
    d->commit = NULL;
    d->commit_last = &d->commit;
    if (rk_journal_hollow(d->journal))
        put_all(d);
    err = rk_journal_commit(d->journal, why, sizeof why);
    show_result(d, err, why);
    if (err == RK_E_UNSAFE)
        renew(d);
    while (end) {
        struct end *next = end->live->next_commit;
        int end_err = err ? err : end->live->put_err;

        end->live->next_commit = NULL;
        ratchet_stored(end, !err);
        if (end_err)
            end_failed(end, end_err, err ? why : "the journal refused the entry");
        else
            end_answer(end, &(struct rk_event){.type = RK_EV_DONE});
        end = next;
    }
}
