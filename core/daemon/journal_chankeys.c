/* journal_chankeys.c - see journal_chankeys.h.  Rows are checked when they are read, as all of the journal. */
#include "journal_chankeys.h"

#include "journal_file.h"

#include "../base/log.h"
#include "../base/text.h"

#include <string.h>

static void
bind_text(sqlite3_stmt *s, int at, const char *text)
{
    sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
}

static void
bind_end(sqlite3_stmt *s, int at, struct rk_journal_end whose)
{
    const char end[2] = {whose.end, '\0'};

    bind_text(s, at, whose.link);
    bind_text(s, at + 1, end);
}

static int64_t
row_of(const struct rk_journal_place *at, unsigned place)
{
    return at->no * RK_CHANKEY_PLACES + place;
}

/* Run it in the open group, or one that is opened.   ret: enum rk_err */
static int
run(struct rk_journal *j, sqlite3_stmt *s)
{
    int err = rk_journal_begin(j), rc = SQLITE_OK;

    if (err) {
        sqlite3_clear_bindings(s);
        return err;
    }
    rc = rk_journal_run(s);
    return rc == SQLITE_OK ? RK_OK : rk_journal_group_failed(j, rc);
}

int
rk_journal_chankey_put(struct rk_journal *j, const struct rk_journal_place *at, struct rk_journal_end whose,
                       const struct rk_journal_chankey *key)
{
    sqlite3_stmt *s = j->stmt[S_CHANKEY_PUT];

    if (at->no <= 0 || key->place >= RK_CHANKEY_PLACES || !rk_key_id_ok(key->key_id))
        return RK_E_CONTRACT;
    if (!j->db)
        return RK_E_IO;
    sqlite3_bind_int64(s, 1, row_of(at, key->place));
    bind_text(s, 2, key->channel);
    bind_text(s, 3, key->key_id);
    bind_text(s, 4, key->blob);
    sqlite3_bind_int64(s, 5, key->proven);
    bind_end(s, 6, whose);
    return run(j, s);
}

int
rk_journal_chankey_proven(struct rk_journal *j, const struct rk_journal_place *at, struct rk_journal_end whose,
                          unsigned place)
{
    sqlite3_stmt *s = j->stmt[S_CHANKEY_PROVEN];

    if (!j->db)
        return RK_E_IO;
    sqlite3_bind_int64(s, 1, row_of(at, place));
    bind_end(s, 2, whose);
    return run(j, s);
}

int
rk_journal_chankey_drop(struct rk_journal *j, const struct rk_journal_place *at, unsigned slot)
{
    sqlite3_stmt *s = j->stmt[S_CHANKEY_DROP];

    if (!j->db)
        return RK_E_IO;
    sqlite3_bind_int64(s, 1, at->no);
    sqlite3_bind_int64(s, 2, slot);
    sqlite3_bind_int64(s, 3, RK_CHANKEYS_MAX);
    return run(j, s);
}

int
rk_journal_chankeys_forget(struct rk_journal *j, const struct rk_journal_place *at)
{
    sqlite3_stmt *s = j->stmt[S_CHANKEY_FORGET];

    if (!j->db)
        return RK_E_IO;
    sqlite3_bind_int64(s, 1, at->no);
    return run(j, s);
}

static bool
take_key(sqlite3_stmt *s, struct rk_journal_chankey *key)
{
    key->place = (unsigned)sqlite3_column_int(s, 0);
    key->proven = sqlite3_column_int(s, 4) == 1;
    return rk_journal_text(s, 1, key->channel, sizeof key->channel) &&
           rk_journal_text(s, 2, key->key_id, sizeof key->key_id) &&
           rk_journal_text(s, 3, key->blob, sizeof key->blob) && sqlite3_column_int(s, 5) == 1 &&
           rk_key_id_ok(key->key_id);
}

int
rk_journal_chankeys_load(struct rk_journal *j, struct rk_journal_end whose,
                         int (*each)(const struct rk_journal_chankey *key, void *arg), void *arg)
{
    sqlite3_stmt *s = j->stmt[S_CHANKEY_LOAD];
    struct rk_journal_chankey key;
    uint64_t before = j->damaged;
    int rc = SQLITE_DONE, err = RK_OK;

    if (!j->db || j->hollow)
        return RK_E_IO;
    bind_end(s, 1, whose);
    while (err == RK_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        if (take_key(s, &key)) {
            err = each(&key, arg);
            continue;
        }
        j->damaged++;
        rk_log(RK_LOG_ERR, "ev=journal-row link=%s end=%c place=%d table=chankeys res=protocol "
               "why=\"damaged; left out\"", whose.link, whose.end, sqlite3_column_int(s, 0));
    }
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return RK_E_IO;
    return err == RK_OK && j->damaged > before ? RK_E_PROTOCOL : err;
}
