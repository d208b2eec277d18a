/* store.c - the journals of the simulated ends: a copy in memory, or the real one in a file of its own.
 *
 * A crash of the real one closes it without a commit and reads the file back; what comes back must be what was made
 * durable last, member by member.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
path_of(const struct sim_end *s, char path[192])
{
    const struct sim_link *l = end_link(s);

    snprintf(path, 192, "%s/%u%c", l->sim->dir, l->no, 'a' + (int)end_side(s));
}

void
store_open(struct sim_end *s)
{
    char path[192], why[RK_TEXT_MAX];

    if (!end_link(s)->sim->conf.real)
        return;
    path_of(s, path);
    CHECK(end_link(s), rk_journal_open(path, &s->journal, why, sizeof why) == RK_OK);
}

void
store_close(struct sim_end *s)
{
    rk_journal_close(&s->journal);
}

/* One entry as the daemon writes it, with its event; without commit it is as if the process died before. */
void
store_put(struct sim_end *s, bool commit)
{
    struct sim_link *l = end_link(s);
    struct rk_journal_event ev = {.end = s->writing.end, .seq = s->writing.seq, .event = "staged"};
    char why[RK_TEXT_MAX];

    if (commit)
        s->disk = s->writing;
    if (!s->journal)
        return;
    memcpy(ev.link, s->writing.link, sizeof ev.link);
    CHECK(l, rk_journal_put(s->journal, &s->writing) == RK_OK);
    CHECK(l, rk_journal_note(s->journal, &ev) == RK_OK);
    if (commit) {
        CHECK(l, rk_journal_commit(s->journal, why, sizeof why) == RK_OK);
        return;
    }
    store_close(s);
    store_open(s);
}

static bool
same(const struct rk_durable *a, const struct rk_durable *b)
{
    return strcmp(a->link, b->link) == 0 && a->end == b->end && a->role == b->role && a->phase == b->phase &&
           a->term == b->term && a->seq == b->seq && a->floor == b->floor && a->cur_seq == b->cur_seq &&
           a->prev_seq == b->prev_seq && strcmp(a->cur, b->cur) == 0 && strcmp(a->prev, b->prev) == 0 &&
           strcmp(a->cand, b->cand) == 0 && strcmp(a->mine, b->mine) == 0 && strcmp(a->theirs, b->theirs) == 0 &&
           a->cur_since.unix_ms == b->cur_since.unix_ms && a->flags == b->flags && a->start_ms == b->start_ms &&
           a->cur_boot == b->cur_boot && a->cur_boot_ns == b->cur_boot_ns;
}

struct loaded {
    struct rk_durable d;
    int n;
};

static int
take(const struct rk_durable *d, void *arg)
{
    struct loaded *found = arg;

    found->d = *d;
    found->n++;
    return RK_OK;
}

/* After a crash: from the file. */
void
store_reload(struct sim_end *s)
{
    struct sim_link *l = end_link(s);
    struct loaded found = {.n = 0};

    if (!s->journal)
        return;
    store_close(s);
    store_open(s);
    CHECK(l, rk_journal_load(s->journal, take, &found) == RK_OK);
    if (found.n == 0)
        return; /* nothing was written yet: s->disk is as it was configured */
    CHECK(l, found.n == 1 && same(&found.d, &s->disk));
    s->disk = found.d;
}

/* Another journal is put where this one was: an old copy, or (d without a seq) none. */
void
store_replace(struct sim_end *s, const struct rk_durable *d)
{
    char path[192], wal[200], why[RK_TEXT_MAX];

    s->disk = *d;
    if (!s->journal)
        return;
    store_close(s);
    path_of(s, path);
    snprintf(wal, sizeof wal, "%s-wal", path);
    (void)unlink(path);
    (void)unlink(wal);
    store_open(s);
    if (d->seq == 0)
        return;
    CHECK(end_link(s), rk_journal_put(s->journal, d) == RK_OK);
    CHECK(end_link(s), rk_journal_commit(s->journal, why, sizeof why) == RK_OK);
}
