/* store.h - the configurations of a box: committed, shared candidate, private copies, locks, history
 *
 * Every function takes box->lock itself unless it says otherwise.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "conf.h"
#include "rights.h"

#define STORE_ROLLBACKS 50
#define STORE_OPERATOR 1u /* the session-id of whoever sits at the console */

/* Who edits: one session.  Only its own thread uses it. */
struct editor {
    uint32_t id;
    const char *user, *client;   /* client: "netconf", "cli" */
    const struct rights *rights;
    bool private;
    xmlDoc *base, *mine;         /* private: what was committed when it was opened; NULL mine: unchanged */
};

struct revision {
    char user[SIM_NAME_MAX + 1], client[16], comment[64];
    char *log, *text;            /* text: {} form */
    int64_t when_ms;             /* by the box's clock */
    bool confirmed;              /* to be rolled back */
};

struct session;
struct sim_store {
    xmlDoc *shared;              /* NULL: as committed */
    char dirty_by[160];           /* who changed it; "": nobody */
    uint32_t holder;             /* session that has the lock; 0: none */
    char holder_user[SIM_NAME_MAX + 1];
    int64_t held_since_ms;
    uint32_t committing;         /* session; 0: none */
    xmlDoc *next;                /* what it commits */
    struct revision rev[STORE_ROLLBACKS]; /* 0: the committed one */
    size_t n_rev;
    int64_t confirm_by_ms;       /* monotonic; 0: nothing is to be confirmed */
    int64_t down_until_ms;       /* monotonic; nobody may connect */
    struct session *sessions;
    unsigned n_sessions;
};

/* store_start - make the committed configuration from box->initial and tell the world
 * ret: 0, or -1 with why[SIM_WHY_MAX] */
int store_start(struct sim_box *box, char *why);

/* store_lock, store_private, store_close (also at the end of a session), store_unlock
 * ret: false: errors says why */
bool store_lock(struct sim_box *box, struct editor *ed, struct conf_errors *errors);
bool store_unlock(struct sim_box *box, struct editor *ed, struct conf_errors *errors);
bool store_private(struct sim_box *box, struct editor *ed, struct conf_errors *errors);
void store_close(struct sim_box *box, struct editor *ed);
void store_discard(struct sim_box *box, struct editor *ed);

/* store_edit - the tree that this editor changes, made if need be;   lock: box->lock held while it is used
 * ret:  NULL: errors says why */
xmlNode *store_edit(struct sim_box *box, struct editor *ed, struct conf_errors *errors);
void store_edited(struct sim_box *box, struct editor *ed);
/* store_see - the tree that this editor sees as candidate.   lock: box->lock held */
const xmlNode *store_see(const struct sim_box *box, const struct editor *ed);
/* store_rollback - candidate := rollback n.   store_revision - its tree, to be freed.   lock: box->lock held */
bool store_rollback(struct sim_box *box, struct editor *ed, unsigned n, struct conf_errors *errors);
xmlDoc *store_revision(const struct sim_box *box, unsigned n);

struct commit {
    bool check;
    int64_t confirm_ms;          /* 0: not a confirmed commit */
    const char *log;             /* NULL: none */
    const char *comment;         /* Junos's own */
};
/* store_commit_begin - check; when it is not only a check, what is to be committed is kept, and others are refused
 * store_commit_end - done: install it and tell the world; else forget it */
bool store_commit_begin(struct sim_box *box, struct editor *ed, const struct commit *c, struct conf_errors *errors);
void store_commit_end(struct sim_box *box, struct editor *ed, const struct commit *c, bool done);

/* store_tick - roll back what was not confirmed in time;   mono_ms - a clock that only goes forward */
void store_tick(struct sim_box *box);
int64_t mono_ms(void);

/* store_lock_error - "configuration database locked by: ..." */
void store_lock_error(const struct sim_box *box, struct conf_errors *errors);
void store_time(const struct sim_box *box, int64_t when_ms, char out[40]); /* "2026-08-05 10:00:00 UTC" */

#endif
