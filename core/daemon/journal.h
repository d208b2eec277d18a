/* journal.h - what must survive a crash, in one SQLite file
 *
 * Owned by the loop of rekeyd: one connection, locked against a second daemon.  Many links' steps share one group,
 * and a group is durable when its commit returns RK_OK: the effects it names may only be started then.  It holds
 * link names, key IDs, numbers and times; never a key byte.
 */
#ifndef RK_JOURNAL_H
#define RK_JOURNAL_H

#include "../model/durable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rk_journal;

/* Events kept, of all links together, the newest: so many per end, but no fewer and no more than this.  200 is a day
 * at one rotation in half an hour with four events; with few links the least keeps one that fails all the time from
 * pushing the others out; the most is a file of 150 MB, which is checked in a second at start. */
#define RK_JOURNAL_EVENTS_PER_END 200
#define RK_JOURNAL_EVENTS_MIN 10000
#define RK_JOURNAL_EVENTS_MAX 1000000

#define RK_JOURNAL_ASIDE 3 /* damaged journals that are kept for people to look at */

/* rk_journal_open - open the journal at path, or make it (mode 0600)
 * out:  *out, owned by the caller;  why  on failure one line: what is wrong with which file, and the remedy
 * ret:  RK_OK; RK_E_UNSAFE (damaged: rk_journal_set_aside() and open again); RK_E_BUSY (another process has it open);
 *       RK_E_CONFLICT (another program's database); RK_E_UNSUPPORTED (made by a newer rekeyd); RK_E_CONFIG (no absolute
 *       path, not a file, or others may write it); RK_E_NOENT (no such directory); RK_E_IO; RK_E_NOMEM
 * note: a journal of an older schema is brought to this one, all of it or nothing
 * note: once this process has it open, nothing else in it may open and close the file (POSIX locks).
 * thread: loop only, before it runs.   blocks: disk, a second for each 150 MB.   src: design */
int rk_journal_open(const char *path, struct rk_journal **out, char *why, size_t size);

/* rk_journal_set_aside - rename a damaged journal that is not open, with its log, to PATH.damaged-UNIXTIME
 * in:   path  absolute.   out: aside  its new name; "" when there was nothing;  why  on failure
 * ret:  RK_OK; RK_E_IO.   note: of those set aside the newest RK_JOURNAL_ASIDE are kept
 * thread: loop only.   blocks: disk.   src: design */
int rk_journal_set_aside(const char *path, char *aside, size_t size, char *why, size_t why_size);

/* rk_journal_renew - set a journal that turned out to be damaged while open aside, and begin a new one at its path
 * in:   j  its last commit gave RK_E_UNSAFE.   out: as rk_journal_set_aside()
 * ret:  RK_OK: it is empty: write all states into one group, and commit that;  else as rk_journal_open(): it can be
 *       tried again, and until then everything fails
 * blocks: disk */
int rk_journal_renew(struct rk_journal *j, char *aside, size_t aside_size, char *why, size_t size);

/* rk_journal_hollow - was it renewed, and nothing committed since: the next group must have all states */
bool rk_journal_hollow(const struct rk_journal *j);

/* rk_journal_close - drop an open group, close; *j becomes NULL, and may be NULL.   blocks: disk */
void rk_journal_close(struct rk_journal **j);

/* rk_journal_begin - open a group; nothing happens when one is open
 * ret:  RK_OK; another code also when the open group has failed already: rk_journal_commit() then says why */
int rk_journal_begin(struct rk_journal *j);

/* rk_journal_put - write an end's state into the group, over what was there for its (link, end)
 * ret:  RK_OK (durable only after the commit); RK_E_CONTRACT: d is not something that rk_journal_load() would give
 *       back (the group is as before); RK_E_IO, RK_E_NOMEM, RK_E_UNSAFE: the group has failed
 * thread: loop only.   blocks: hardly (a read of a page that is not cached).   cost: O(log links) */
int rk_journal_put(struct rk_journal *j, const struct rk_durable *d);

/* What is counted of an end. */
struct rk_journal_tally {
    int64_t last;          /* its newest event; 0: none */
    uint64_t done, failed; /* rotations */
};

/* Where an end is in the file, and what is counted there.  Zeroed at first; it finds out by itself when it is not true
 * any more. */
struct rk_journal_place {
    int64_t no;                    /* its row; 0: not known */
    struct rk_journal_tally tally; /* as rk_journal_count() tells */
    uint32_t epoch;                /* of the journal, when this was true */
};

/* rk_journal_put_at, rk_journal_note_at - rk_journal_put() and rk_journal_note() of an end that is not looked for again
 * in:   at  the end's;  put_follows  the next call of this group is rk_journal_put_at() of the same end: one write then
 *       brings both into its row
 * ret:  as rk_journal_put().   own: at is the caller's */
int rk_journal_put_at(struct rk_journal *j, struct rk_journal_place *at, const struct rk_durable *d);

/* One line of history.  Texts: event is a name ("staged"); key_id and why may be NULL or "". */
struct rk_journal_event {
    char link[RK_LINK_MAX + 1];
    char end;
    uint64_t seq; /* 0: not of a rotation */
    const char *event;
    const char *key_id;
    int result; /* enum rk_err */
    const char *why;
    int64_t took_ms;
    struct rk_wall at;
};

/* rk_journal_note - append an event to the history, in the group
 * note: "rotated", "burnt" and "failed" end a rotation and are counted: see rk_journal_count().  The view
 *       `rotations` shows one row per (link, end, seq): key ID, first event, end, result.  A why beyond RK_TEXT_MAX
 *       is cut.
 * ret:  as rk_journal_put() */
int rk_journal_note(struct rk_journal *j, const struct rk_journal_event *e);
int rk_journal_note_at(struct rk_journal *j, struct rk_journal_place *at, const struct rk_journal_event *e,
                       bool put_follows);

/* rk_journal_commit - make the group durable; RK_OK at once when none is open
 * out:  why  on failure one line; a full disk is named as such.  Not NULL
 * ret:  RK_OK: all of the group is on the disk.  RK_E_IO, RK_E_NOMEM, RK_E_UNSAFE (damaged, removed or replaced:
 *       rk_journal_renew()): all of it is rolled back and no group is open.  Do not start the
 *       effects: after a crash the disk may still turn out to hold the group (a failed fsync), which is harmless, for
 *       what it names is then observed.
 * blocks: one fsync, two when the log is folded into the file */
int rk_journal_commit(struct rk_journal *j, char *why, size_t size);

/* rk_journal_load - give each end's state, in order of (link, end)
 * in:   each  d valid during the call only; must not write to the journal; non-zero ends the load
 * ret:  RK_OK; each's non-zero; RK_E_IO (also while it is hollow); RK_E_PROTOCOL: one row or more was
 *       damaged, reported in the log by its link and left out, and every sound one was given
 * blocks: disk */
int rk_journal_load(struct rk_journal *j, int (*each)(const struct rk_durable *d, void *arg), void *arg);

/* rk_journal_history - give the last events of a link, of both its ends, newest first
 * in:   limit  at most so many;  each  e and its texts (never NULL) valid during the call only; must not write to
 *       the journal; non-zero ends it
 * ret:  RK_OK (also for a link without history); each's non-zero; RK_E_IO; RK_E_PROTOCOL as rk_journal_load() */
int rk_journal_history(struct rk_journal *j, const char *link, uint32_t limit,
                       int (*each)(const struct rk_journal_event *e, void *arg), void *arg);

/* rk_journal_count - rotations of an end that were done, and that failed or were burnt; 0 for an unknown one, and
 *                    for one whose counters were damaged: that is logged, and they begin anew
 * ret:  RK_OK, RK_E_IO */
int rk_journal_count(struct rk_journal *j, const char *link, char end, uint64_t *done, uint64_t *failed);

/* rk_journal_forget - delete an end's state, events and counters, in the group
 * ret:  as rk_journal_put(); RK_OK also for an unknown one */
int rk_journal_forget(struct rk_journal *j, const char *link, char end);

/* rk_journal_damaged - rows left out as damaged since the journal was opened */
uint64_t rk_journal_damaged(const struct rk_journal *j);

#endif
