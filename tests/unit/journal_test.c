/* journal_test.c - what was committed is there after a crash, what was not is not; bad files are refused in words.
 *
 * Each test has a directory of its own.  The file is damaged and read from the side with SQLite itself.
 */
#include "core/daemon/journal_file.h"
#include "core/daemon/journal_sum.h"

#include "core/base/text.h"

#include <rekey/err.h>

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char dir[64], path[96];
};

static int
make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    if (!p)
        return -1;
    snprintf(p->dir, sizeof p->dir, "/tmp/rekey-journal-XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    snprintf(p->path, sizeof p->path, "%s/journal.db", p->dir);
    *state = p;
    return 0;
}

static int
drop_place(void **state)
{
    static const char *const suffix[] = {"", "-wal", "-shm", "-journal"};
    struct place *p = *state;
    char name[128];

    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
        snprintf(name, sizeof name, "%s%s", p->path, suffix[i]);
        (void)unlink(name);
    }
    (void)rmdir(p->dir);
    free(p);
    return 0;
}

static struct rk_journal *
opened(const struct place *p)
{
    struct rk_journal *j;
    char why[400] = "";
    int err = rk_journal_open(p->path, &j, why, sizeof why);

    if (err)
        fail_msg("open: %d %s", err, why);
    return j;
}

static void
committed(struct rk_journal *j)
{
    char why[400] = "";

    if (rk_journal_commit(j, why, sizeof why) != RK_OK)
        fail_msg("commit: %s", why);
}

/* The file must be refused so, with these words in the reason. */
static void
refused(const struct place *p, int want, const char *words)
{
    struct rk_journal *j = (struct rk_journal *)(uintptr_t)1;
    char why[400] = "";

    assert_int_equal(rk_journal_open(p->path, &j, why, sizeof why), want);
    assert_null(j);
    if (!strstr(why, words) || !strstr(why, p->path))
        fail_msg("not said: %s: %s", words, why);
}

/* Run SQL on the closed file, from the side. */
static void
sql(const struct place *p, const char *text)
{
    sqlite3 *db;
    char *error = NULL;

    assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
    assert_int_equal(rk_journal_add_sum(db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", text, error);
    sqlite3_close(db);
}

static int64_t
sql_number(const struct place *p, const char *text)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    int64_t n;

    assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
    assert_int_equal(rk_journal_add_sum(db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return n;
}

/* A state whose every field tells of n. */
static struct rk_durable
state_of(const char *link, char end, uint64_t n)
{
    struct rk_durable d = {.end = end, .role = RK_SLAVE, .phase = RK_PH_STAGED, .term = 1, .seq = n, .floor = n + 1,
                           .cur_seq = n - 1, .prev_seq = n - 2, .cur_since = {(int64_t)n * 1000},
                           .cur_boot = UINT64_MAX - n, .cur_boot_ns = (int64_t)n * 7, .flags = (uint32_t)n & 0x1f,
                           .start_ms = (int64_t)n * 1001};

    assert_true(rk_copy(d.link, sizeof d.link, link));
    snprintf(d.cur, sizeof d.cur, "cur-%llu", (unsigned long long)n);
    snprintf(d.prev, sizeof d.prev, "prev-%llu", (unsigned long long)n);
    snprintf(d.cand, sizeof d.cand, "cand-%llu", (unsigned long long)n);
    snprintf(d.mine, sizeof d.mine, "%032llx", (unsigned long long)n);
    snprintf(d.theirs, sizeof d.theirs, "f%031llx", (unsigned long long)n);
    return d;
}

static void
put(struct rk_journal *j, const char *link, uint64_t n)
{
    struct rk_durable d = state_of(link, 'a', n);

    assert_int_equal(rk_journal_put(j, &d), RK_OK);
}

static int
note(struct rk_journal *j, const char *link, char end, uint64_t seq, const char *event, int64_t at_ms)
{
    struct rk_journal_event e = {.end = end, .seq = seq, .event = event, .key_id = "k-1", .result = RK_OK,
                                 .why = "because", .took_ms = 12, .at = {at_ms}};

    assert_true(rk_copy(e.link, sizeof e.link, link));
    return rk_journal_note(j, &e);
}

/* ---- What load gives ---- */

struct loaded {
    size_t n, most;
    struct rk_durable d[8];
};

static int
keep(const struct rk_durable *d, void *arg)
{
    struct loaded *l = arg;

    if (l->n < sizeof l->d / sizeof *l->d)
        l->d[l->n] = *d;
    l->n++;
    return l->most != 0 && l->n == l->most ? 77 : RK_OK;
}

static void
same_state(const struct rk_durable *a, const struct rk_durable *b)
{
    assert_string_equal(a->link, b->link);
    assert_int_equal(a->end, b->end);
    assert_int_equal(a->role, b->role);
    assert_int_equal(a->phase, b->phase);
    assert_true(a->term == b->term && a->seq == b->seq && a->floor == b->floor);
    assert_true(a->cur_seq == b->cur_seq && a->prev_seq == b->prev_seq);
    assert_string_equal(a->cur, b->cur);
    assert_string_equal(a->prev, b->prev);
    assert_string_equal(a->cand, b->cand);
    assert_string_equal(a->mine, b->mine);
    assert_string_equal(a->theirs, b->theirs);
    assert_true(a->cur_since.unix_ms == b->cur_since.unix_ms);
    assert_true(a->cur_boot == b->cur_boot && a->cur_boot_ns == b->cur_boot_ns);
    assert_true(a->flags == b->flags && a->start_ms == b->start_ms);
}

/* The only state kept is that of link x with this n. */
static void
holds(struct rk_journal *j, uint64_t n)
{
    struct loaded l = {0};
    struct rk_durable d = state_of("x", 'a', n);

    assert_int_equal(rk_journal_load(j, keep, &l), RK_OK);
    assert_int_equal(l.n, 1);
    same_state(&l.d[0], &d);
}

static void
test_round_trip(void **state)
{
    const struct place *p = *state;
    struct rk_durable b1 = state_of("l-1", 'b', 5), a1 = state_of("l-1", 'a', 9), a2 = state_of("l-2", 'a', 3);
    struct rk_journal *j = opened(p);
    struct loaded l = {0};

    a2.seq = UINT64_MAX;
    a2.floor = UINT64_MAX - 1;
    a2.phase = RK_PH_IDLE;
    a2.cur[0] = a2.prev[0] = a2.cand[0] = a2.mine[0] = a2.theirs[0] = '\0';
    assert_int_equal(rk_journal_put(j, &a2), RK_OK);
    assert_int_equal(rk_journal_put(j, &b1), RK_OK);
    put(j, "l-1", 7);
    assert_int_equal(rk_journal_put(j, &a1), RK_OK); /* over the 7 */
    committed(j);
    rk_journal_close(&j);
    assert_null(j);
    rk_journal_close(&j);

    j = opened(p);
    assert_int_equal(rk_journal_load(j, keep, &l), RK_OK);
    assert_int_equal(l.n, 3);
    same_state(&l.d[0], &a1);
    same_state(&l.d[1], &b1);
    same_state(&l.d[2], &a2);
    l = (struct loaded){.most = 2};
    assert_int_equal(rk_journal_load(j, keep, &l), 77); /* ended by the caller */
    assert_int_equal(l.n, 2);
    rk_journal_close(&j);
}

static void
test_file(void **state)
{
    const struct place *p = *state;
    mode_t old = umask(0);
    struct rk_journal *j = opened(p);
    char wal[128];
    struct stat st;

    umask(old);
    put(j, "x", 5);
    committed(j);
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    snprintf(wal, sizeof wal, "%s-wal", p->path);
    assert_int_equal(stat(wal, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    rk_journal_close(&j);
    assert_int_equal(sql_number(p, "PRAGMA user_version"), 3);
}

/* A group that is not committed is not there. */
static void
test_rollback(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);

    committed(j); /* no group: nothing to do */
    put(j, "x", 5);
    committed(j);
    assert_int_equal(rk_journal_begin(j), RK_OK);
    assert_int_equal(rk_journal_begin(j), RK_OK);
    put(j, "x", 6);
    holds(j, 6); /* seen within */
    rk_journal_close(&j);
    j = opened(p);
    holds(j, 5);
    rk_journal_close(&j);
}

/* What could not be read back is not written, and the group goes on without it. */
static void
test_contract(void **state)
{
    struct rk_journal *j = opened(*state);
    struct rk_durable bad[14];

    for (size_t i = 0; i < 14; i++)
        bad[i] = state_of("x", 'a', 5);
    bad[0].link[0] = '\0';
    bad[1].link[0] = '-';
    bad[2].end = 'c';
    bad[3].role = 0;
    bad[4].phase = RK_PH_BURNING + 1;
    snprintf(bad[5].cur, sizeof bad[5].cur, "a b");
    snprintf(bad[6].prev, sizeof bad[6].prev, "a|b");
    memset(bad[7].cand, 'x', sizeof bad[7].cand); /* no NUL */
    bad[8].mine[31] = '\0';
    bad[9].theirs[0] = 'g';
    bad[10].cand[0] = '\0'; /* staged, but what? */
    bad[11].flags = 0x20;
    bad[12].start_ms = -1;
    bad[13].start_ms = INT64_MAX;
    put(j, "x", 4);
    for (size_t i = 0; i < 14; i++)
        assert_int_equal(rk_journal_put(j, &bad[i]), RK_E_CONTRACT);
    assert_int_equal(note(j, "", 'a', 1, "staged", 1), RK_E_CONTRACT);
    assert_int_equal(note(j, "x", 'c', 1, "staged", 1), RK_E_CONTRACT);
    assert_int_equal(note(j, "x", 'a', 1, "two words", 1), RK_E_CONTRACT);
    assert_int_equal(note(j, "x", 'a', 1, NULL, 1), RK_E_CONTRACT);
    committed(j);
    holds(j, 4);
    rk_journal_close(&j);
}

/* ---- Crashes and full disks, in a child ---- */

/* In the child: commit 5, then leave 6 in an open group, say so, and wait for the end. */
static void
die_in_group(const struct place *p, int ready)
{
    struct rk_journal *j;
    struct rk_durable d = state_of("x", 'a', 5);
    char why[400];

    if (rk_journal_open(p->path, &j, why, sizeof why) != RK_OK || rk_journal_put(j, &d) != RK_OK ||
        rk_journal_commit(j, why, sizeof why) != RK_OK)
        _exit(1);
    d.seq = 6;
    for (int i = 0; i < 2000; i++) { /* more than the cache holds: some of it is in the file already */
        snprintf(d.link, sizeof d.link, "other-%d", i);
        if (rk_journal_put(j, &d) != RK_OK)
            _exit(2);
    }
    if (write(ready, "r", 1) != 1)
        _exit(3);
    for (;;)
        pause();
}

static void
test_kill(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j;
    int pipes[2], status = 0;
    char byte;
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(pipes[0]);
        die_in_group(p, pipes[1]);
    }
    close(pipes[1]);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    refused(p, RK_E_BUSY, "another rekeyd"); /* another process has it */
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(pipes[0]);
    j = opened(p);
    holds(j, 5);
    put(j, "x", 7);
    committed(j);
    holds(j, 7);
    rk_journal_close(&j);
}

/* In the child: no file may grow beyond what the journal has now, so that some commit must fail; then it may. */
static int
fill_up(const struct place *p)
{
    struct rlimit small = {256 * 1024, RLIM_INFINITY}, large = {RLIM_INFINITY, RLIM_INFINITY};
    struct rk_journal *j;
    struct rk_durable d = state_of("x", 'a', 5);
    char why[400] = "";
    int err = RK_OK, i;

    signal(SIGXFSZ, SIG_IGN);
    if (rk_journal_open(p->path, &j, why, sizeof why) != RK_OK || rk_journal_put(j, &d) != RK_OK ||
        rk_journal_commit(j, why, sizeof why) != RK_OK || setrlimit(RLIMIT_FSIZE, &small) < 0)
        return 1;
    d = state_of("x", 'a', 6);
    if (rk_journal_put(j, &d) != RK_OK)
        return 2;
    for (i = 0; i < 20000 && err == RK_OK; i++) { /* more than SQLite keeps in memory */
        snprintf(d.link, sizeof d.link, "other-%d", i);
        err = rk_journal_put(j, &d);
    }
    if (i == 20000 || err != RK_E_IO || rk_journal_put(j, &d) != RK_E_IO || rk_journal_begin(j) != RK_E_IO)
        return 3; /* a failed group stays failed ... */
    if (rk_journal_commit(j, why, sizeof why) != RK_E_IO || !strstr(why, "disk full"))
        return 4; /* ... to its end */
    if (setrlimit(RLIMIT_FSIZE, &large) < 0)
        return 5;
    d = state_of("y", 'a', 8);
    if (rk_journal_put(j, &d) != RK_OK || rk_journal_commit(j, why, sizeof why) != RK_OK)
        return 6; /* there is room again */
    rk_journal_close(&j);
    return 0;
}

static void
test_disk_full(void **state)
{
    const struct place *p = *state;
    struct rk_durable x = state_of("x", 'a', 5), y = state_of("y", 'a', 8);
    struct rk_journal *j;
    struct loaded l = {0};
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fill_up(p));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    j = opened(p);
    assert_int_equal(rk_journal_load(j, keep, &l), RK_OK);
    assert_int_equal(l.n, 2); /* all of the failed group is gone */
    same_state(&l.d[0], &x);
    same_state(&l.d[1], &y);
    rk_journal_close(&j);
}

/* In the child: the commit itself, not a put, finds the disk full. */
static int
fill_at_commit(const struct place *p)
{
    struct rlimit none = {0, RLIM_INFINITY};
    struct rk_journal *j;
    struct rk_durable d = state_of("x", 'a', 5);
    char why[400] = "";

    signal(SIGXFSZ, SIG_IGN);
    if (rk_journal_open(p->path, &j, why, sizeof why) != RK_OK || rk_journal_put(j, &d) != RK_OK ||
        rk_journal_commit(j, why, sizeof why) != RK_OK)
        return 1;
    d = state_of("x", 'a', 6);
    if (rk_journal_put(j, &d) != RK_OK || setrlimit(RLIMIT_FSIZE, &none) < 0)
        return 2;
    if (rk_journal_commit(j, why, sizeof why) != RK_E_IO || !strstr(why, "disk full"))
        return 3;
    if (rk_journal_commit(j, why, sizeof why) != RK_OK)
        return 4; /* no group is open */
    _exit(0);     /* and crash */
}

static void
test_disk_full_at_commit(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j;
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fill_at_commit(p));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    j = opened(p);
    holds(j, 5);
    rk_journal_close(&j);
}

/* ---- Files that are refused ---- */

static void
test_second_opener(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);

    refused(p, RK_E_BUSY, "in use by another process");
    put(j, "x", 5);
    committed(j); /* and the first one goes on */
    rk_journal_close(&j);
    j = opened(p);
    holds(j, 5);
    rk_journal_close(&j);
}

static void
test_newer(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);

    put(j, "x", 5);
    committed(j);
    rk_journal_close(&j);
    sql(p, "PRAGMA user_version=4; ALTER TABLE links ADD COLUMN more INTEGER");
    refused(p, RK_E_UNSUPPORTED, "newer rekeyd (schema 4, this one knows 3)");
    sql(p, "PRAGMA user_version=3; ALTER TABLE links DROP COLUMN more");
    j = opened(p); /* nothing was done to it */
    holds(j, 5);
    rk_journal_close(&j);
}

static void
test_foreign(void **state)
{
    const struct place *p = *state;
    struct stat st;
    int fd;

    sql(p, "CREATE TABLE songs(title TEXT); INSERT INTO songs VALUES('a')");
    refused(p, RK_E_CONFLICT, "not a journal of rekeyd");
    assert_int_equal(sql_number(p, "SELECT count(*) FROM songs"), 1);
    unlink(p->path);

    fd = open(p->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(dprintf(fd, "%4000s", "This is my diary."), 4000);
    close(fd);
    refused(p, RK_E_UNSAFE, "damaged");
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_size, 4000);
}

static void
test_damaged(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);
    unsigned char junk[4096];
    char link[32];
    off_t end;
    int fd;

    for (int i = 0; i < 500; i++) {
        snprintf(link, sizeof link, "l-%d", i);
        put(j, link, 5);
    }
    committed(j);
    rk_journal_close(&j);
    fd = open(p->path, O_RDWR | O_CLOEXEC);
    end = lseek(fd, 0, SEEK_END);
    assert_true(end > 20 * 4096);
    memset(junk, 0xa5, sizeof junk);
    assert_int_equal(pwrite(fd, junk, sizeof junk, 10 * 4096), 4096);
    close(fd);
    refused(p, RK_E_UNSAFE, "damaged");
    assert_int_equal(truncate(p->path, 5000), 0);
    refused(p, RK_E_UNSAFE, "damaged");
}

static void
test_place(void **state)
{
    struct place *p = *state, other = *p;
    struct rk_journal *j = opened(p);

    rk_journal_close(&j);
    assert_int_equal(chmod(p->path, 0620), 0);
    refused(p, RK_E_CONFIG, "chmod 600");
    assert_int_equal(chmod(p->path, 0600), 0);
    snprintf(other.path, sizeof other.path, "%s/none/journal.db", p->dir);
    refused(&other, RK_E_NOENT, "No such file or directory");
    snprintf(other.path, sizeof other.path, "%s", p->dir);
    refused(&other, RK_E_CONFIG, "not a regular file");
    snprintf(other.path, sizeof other.path, "journal.db");
    refused(&other, RK_E_CONFIG, "absolute");
}

/* The state of l-1 must be left out as damaged, and no other; then the journal is empty again. */
static void
left_out(const struct place *p)
{
    struct rk_journal *j = opened(p);
    struct loaded l = {0};

    assert_int_equal(rk_journal_load(j, keep, &l), RK_E_PROTOCOL);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.d[0].link, "l-0");
    assert_string_equal(l.d[1].link, "l-2");
    assert_int_equal(rk_journal_damaged(j), 1);
    rk_journal_close(&j);
    sql(p, "DELETE FROM links");
}

static void
three_links(const struct place *p)
{
    struct rk_journal *j = opened(p);

    put(j, "l-0", 5);
    put(j, "l-1", 6);
    put(j, "l-2", 7);
    committed(j);
    rk_journal_close(&j);
}

/* A row that no rekeyd wrote is left out, counted, and harms no other. */
static void
test_damaged_rows(void **state)
{
#define OF_1 " WHERE no=(SELECT no FROM links WHERE link='l-1')"
    static const char *const harm[] = {
        "UPDATE links SET link='a b' WHERE link='l-1'", "UPDATE links SET link='l-1a' WHERE link='l-1'",
        "UPDATE links SET link=NULL WHERE link='l-1'",  "UPDATE links SET end='z' WHERE link='l-1'",
        "UPDATE links SET end='ab' WHERE link='l-1'",   "UPDATE links SET end='b' WHERE link='l-1'",
        "UPDATE states SET state=NULL" OF_1,            "UPDATE states SET state='text'" OF_1,
        "UPDATE states SET state=7" OF_1,               "UPDATE states SET state=x'01'" OF_1,
        "UPDATE states SET state=zeroblob(1000)" OF_1,  "DELETE FROM states" OF_1,
        "UPDATE states SET state=(SELECT state FROM states s JOIN links l USING(no) WHERE link='l-0')" OF_1,
    };

    for (size_t n = 0; n < sizeof harm / sizeof *harm; n++) {
        three_links(*state);
        sql(*state, harm[n]);
        left_out(*state);
    }
}

/* What decayed of an end, its counters too, is left out and said; the next step mends it, and its history is found. */
static void
test_decayed(void **state)
{
    static const char *const harm[] = {"x'0123456789abcdef0123'", "NULL", "'text'", "7"};
    const struct place *p = *state;
    char text[128];
    uint64_t done, failed;

    for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
        struct rk_journal *j = opened(p);

        put(j, "x", 6);
        assert_int_equal(note(j, "x", 'a', 1, "rotated", 1), RK_OK);
        committed(j);
        rk_journal_close(&j);
        snprintf(text, sizeof text, "UPDATE states SET state=%s, tally=%s", harm[i], harm[i]);
        sql(p, text);
        j = opened(p);
        assert_int_equal(rk_journal_load(j, keep, &(struct loaded){0}), RK_E_PROTOCOL);
        assert_int_equal(rk_journal_count(j, "x", 'a', &done, &failed), RK_OK);
        assert_true(done == 0 && failed == 0);
        assert_int_equal(rk_journal_damaged(j), 2);
        put(j, "x", 7); /* a new state and a new event mend both */
        assert_int_equal(note(j, "x", 'a', 2, "rotated", 2), RK_OK);
        committed(j);
        holds(j, 7);
        assert_int_equal(rk_journal_count(j, "x", 'a', &done, &failed), RK_OK);
        assert_true(done == 1 && failed == 0);
        rk_journal_close(&j);
        assert_int_equal(sql_number(p, "SELECT before=id-1 FROM events WHERE seq=2"), 1);
        j = opened(p);
        assert_int_equal(rk_journal_forget(j, "x", 'a'), RK_OK);
        committed(j);
        rk_journal_close(&j);
        assert_int_equal(sql_number(p, "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM states)"), 0);
    }
}

/* ---- History ---- */

struct told {
    size_t n;
    struct rk_journal_event e[8];
    char event[8][33], why[8][400];
};

static int
tell(const struct rk_journal_event *e, void *arg)
{
    struct told *t = arg;
    size_t i = t->n++ % 8;

    t->e[i] = *e;
    assert_true(rk_copy(t->event[i], sizeof t->event[i], e->event));
    assert_true(rk_copy(t->why[i], sizeof t->why[i], e->why));
    return RK_OK;
}

static void
test_history(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);
    struct told t = {0};

    assert_int_equal(note(j, "x", 'a', 1, "staged", 1000), RK_OK);
    assert_int_equal(note(j, "x", 'b', 1, "staged", 1001), RK_OK);
    assert_int_equal(note(j, "y", 'a', 9, "staged", 1002), RK_OK);
    assert_int_equal(note(j, "x", 'a', 1, "rotated", 1003), RK_OK);
    committed(j);
    rk_journal_close(&j);
    j = opened(p);
    assert_int_equal(rk_journal_history(j, "x", 10, tell, &t), RK_OK);
    assert_int_equal(t.n, 3);
    assert_string_equal(t.event[0], "rotated");
    assert_int_equal(t.e[0].end, 'a');
    assert_string_equal(t.e[0].link, "x");
    assert_int_equal(t.e[0].seq, 1);
    assert_int_equal(t.e[0].took_ms, 12);
    assert_int_equal(t.e[0].at.unix_ms, 1003);
    assert_string_equal(t.why[0], "because");
    assert_int_equal(t.e[1].end, 'b');
    assert_int_equal(t.e[2].at.unix_ms, 1000);
    t.n = 0;
    assert_int_equal(rk_journal_history(j, "x", 1, tell, &t), RK_OK);
    assert_int_equal(t.n, 1);
    assert_int_equal(rk_journal_history(j, "x", 0, tell, &t), RK_OK);
    assert_int_equal(rk_journal_history(j, "none", 10, tell, &t), RK_OK);
    assert_int_equal(rk_journal_history(j, "a-name-longer-than-thirty-two-bytes", 10, tell, &t), RK_OK);
    assert_int_equal(t.n, 1);
    t.n = 0; /* an end without state is no link to load */
    assert_int_equal(rk_journal_load(j, keep, &(struct loaded){0}), RK_OK);
    rk_journal_close(&j);
}

/* The order within an end is that of the events, though the clock went back; long reasons are cut at a character. */
static void
test_history_order(void **state)
{
    struct rk_journal *j = opened(*state);
    struct rk_journal_event e = {.link = "x", .end = 'a', .event = "failed", .result = RK_E_TIMEOUT, .at = {5}};
    struct told t = {0};
    char why[1000];

    memset(why, 'x', sizeof why);
    memcpy(why + 398, "\xc3\xa9", 3); /* the 399th byte would be half of it */
    e.why = why;
    assert_int_equal(note(j, "x", 'a', 1, "staged", 9000), RK_OK);
    assert_int_equal(rk_journal_note(j, &e), RK_OK);
    committed(j);
    assert_int_equal(rk_journal_history(j, "x", 10, tell, &t), RK_OK);
    assert_int_equal(t.n, 2);
    assert_string_equal(t.event[0], "failed");
    assert_int_equal(t.e[0].result, RK_E_TIMEOUT);
    assert_int_equal(strlen(t.why[0]), 398);
    assert_string_equal(t.event[1], "staged");
    rk_journal_close(&j);
}

static void
counts(struct rk_journal *j, char end, uint64_t want_done, uint64_t want_failed)
{
    uint64_t done = 99, failed = 99;

    assert_int_equal(rk_journal_count(j, "x", end, &done, &failed), RK_OK);
    assert_int_equal(done, want_done);
    assert_int_equal(failed, want_failed);
}

static void
test_counters(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);

    counts(j, 'a', 0, 0);
    assert_int_equal(note(j, "x", 'a', 1, "staged", 10), RK_OK);
    assert_int_equal(note(j, "x", 'a', 1, "rotated", 20), RK_OK);
    assert_int_equal(note(j, "x", 'a', 2, "staged", 30), RK_OK);
    assert_int_equal(note(j, "x", 'a', 2, "burnt", 40), RK_OK);
    assert_int_equal(note(j, "x", 'a', 0, "failed", 50), RK_OK);
    assert_int_equal(note(j, "x", 'b', 3, "rotated", 60), RK_OK);
    counts(j, 'a', 1, 2);
    put(j, "x", 5); /* a new state leaves them */
    committed(j);
    rk_journal_close(&j);
    assert_int_equal(sql_number(p, "SELECT count(*) FROM rotations"), 3);
    assert_int_equal(sql_number(p, "SELECT started_ms FROM rotations WHERE seq=1"), 10);
    assert_int_equal(sql_number(p, "SELECT finished_ms FROM rotations WHERE seq=1"), 20);
    j = opened(p);
    counts(j, 'a', 1, 2);
    counts(j, 'b', 1, 0);
    rk_journal_close(&j);
}

static void
test_forget(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);

    put(j, "x", 5);
    assert_int_equal(note(j, "x", 'a', 1, "rotated", 10), RK_OK);
    assert_int_equal(note(j, "x", 'b', 1, "rotated", 10), RK_OK);
    assert_int_equal(note(j, "y", 'a', 1, "rotated", 10), RK_OK);
    committed(j);
    assert_int_equal(rk_journal_forget(j, "x", 'a'), RK_OK);
    assert_int_equal(rk_journal_forget(j, "none", 'a'), RK_OK);
    committed(j);
    counts(j, 'a', 0, 0);
    counts(j, 'b', 1, 0);
    rk_journal_close(&j);
    assert_int_equal(sql_number(p, "SELECT count(*) FROM links"), 2);
    assert_int_equal(sql_number(p, "SELECT count(*) FROM rotations"), 2);
    assert_int_equal(sql_number(p, "SELECT count(*) FROM events"), 2);
}

/* However many events there are, the newest stay and little more; what led to a deleted one ends there. */
static void
test_prune(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);
    struct told t = {0};

    assert_int_equal(note(j, "y", 'a', 1, "rotated", 10), RK_OK);
    for (int i = 1; i <= 15000; i++)
        assert_int_equal(note(j, "x", 'a', (uint64_t)i, "rotated", i), RK_OK);
    assert_int_equal(note(j, "y", 'a', 2, "rotated", 20), RK_OK);
    committed(j);
    assert_int_equal(rk_journal_history(j, "x", 100000, tell, &t), RK_OK);
    assert_in_range(t.n, RK_JOURNAL_EVENTS_MIN - 2, RK_JOURNAL_EVENTS_MIN + 256);
    t.n = 0;
    assert_int_equal(rk_journal_history(j, "x", 3, tell, &t), RK_OK);
    assert_int_equal(t.e[0].seq, 15000);
    assert_int_equal(t.e[2].seq, 14998);
    t.n = 0;
    assert_int_equal(rk_journal_history(j, "y", 100, tell, &t), RK_OK);
    assert_int_equal(t.n, 1); /* its first one is gone */
    counts(j, 'a', 15000, 0); /* the counters stay */
    assert_int_equal(rk_journal_forget(j, "y", 'a'), RK_OK);
    committed(j);
    rk_journal_close(&j);
    assert_in_range(sql_number(p, "SELECT count(*) FROM events"), RK_JOURNAL_EVENTS_MIN - 2,
                    RK_JOURNAL_EVENTS_MIN + 256);
    assert_int_equal(sql_number(p, "SELECT max(seq) FROM rotations"), 15000);
}

/* A file whose events lead in a circle, or into another link's, ends the history and hangs nothing. */
static void
test_circle(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);
    struct told t = {0};

    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(note(j, "x", 'a', i, "staged", 1), RK_OK);
    assert_int_equal(note(j, "y", 'a', 4, "staged", 1), RK_OK);
    committed(j);
    rk_journal_close(&j);
    sql(p, "UPDATE events SET before=3 WHERE id=1; UPDATE events SET before=2 WHERE id=4;"
           "UPDATE events SET sum=rk_sum((SELECT link FROM links WHERE links.no=events.no),'a',id,before,seq,event,"
           "key_id,result,why,took_ms,at_ms)");
    j = opened(p);
    assert_int_equal(rk_journal_history(j, "x", 100, tell, &t), RK_OK);
    assert_int_equal(t.n, 3);
    t.n = 0;
    assert_int_equal(rk_journal_history(j, "y", 100, tell, &t), RK_OK);
    assert_int_equal(t.n, 1);
    assert_int_equal(rk_journal_forget(j, "x", 'a'), RK_OK);
    committed(j);
    rk_journal_close(&j);
    assert_int_equal(sql_number(p, "SELECT count(*) FROM events"), 1);
}

static void
test_damaged_events(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);
    struct told t = {0};

    assert_int_equal(note(j, "x", 'a', 1, "first", 1), RK_OK);
    assert_int_equal(note(j, "x", 'a', 2, "second", 2), RK_OK);
    assert_int_equal(note(j, "x", 'a', 3, "third", 3), RK_OK);
    committed(j);
    rk_journal_close(&j);
    sql(p, "UPDATE events SET key_id='a b' WHERE seq=2");
    j = opened(p);
    assert_int_equal(rk_journal_history(j, "x", 10, tell, &t), RK_E_PROTOCOL);
    assert_int_equal(t.n, 2);
    assert_string_equal(t.event[0], "third");
    assert_string_equal(t.event[1], "first");
    assert_int_equal(rk_journal_damaged(j), 1);
    rk_journal_close(&j);
}

static void
test_many(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);
    struct loaded l = {0};
    char link[32];

    for (int i = 0; i < 10000; i++) {
        snprintf(link, sizeof link, "site-%03d-%d", i / 100, i);
        put(j, link, (uint64_t)i + 5);
        if (i % 1000 == 999)
            committed(j);
    }
    rk_journal_close(&j);
    j = opened(p);
    assert_int_equal(rk_journal_load(j, keep, &l), RK_OK);
    assert_int_equal(l.n, 10000);
    rk_journal_close(&j);
}

/* ---- ends whose place is known ---- */

static void
note_at(struct rk_journal *j, struct rk_journal_place *at, const char *event, uint64_t seq)
{
    struct rk_journal_event e = {.link = "a-b-1", .end = 'a', .seq = seq, .event = event, .key_id = "k"};

    assert_int_equal(rk_journal_note_at(j, at, &e, true), RK_OK);
}

/* An event and the state that follows it are one write of the row, and say what two would. */
static void
test_places(void **state)
{
    struct place *p = *state;
    struct rk_journal *j = opened(p);
    struct rk_journal_place at = {0};
    struct rk_durable d = state_of("a-b-1", 'a', 5);
    struct loaded l = {0};
    uint64_t done = 0, failed = 0;
    char why[400];

    note_at(j, &at, "rotated", 4);
    assert_int_equal(rk_journal_put_at(j, &at, &d), RK_OK);
    committed(j);
    assert_int_equal(rk_journal_begin(j), RK_OK);
    note_at(j, &at, "burnt", 5);
    d.seq = 6;
    assert_int_equal(rk_journal_put_at(j, &at, &d), RK_OK);
    committed(j);
    assert_int_equal(rk_journal_count(j, "a-b-1", 'a', &done, &failed), RK_OK);
    assert_true(done == 1 && failed == 1);
    assert_true(at.no == 1 && at.tally.last == 2);
    /* after another end's rows were deleted nothing that was known is believed */
    assert_int_equal(rk_journal_forget(j, "a-b-2", 'a'), RK_OK);
    at.no = 99;
    assert_int_equal(rk_journal_put_at(j, &at, &d), RK_OK);
    assert_int_equal(at.no, 1);
    committed(j);
    /* a row that is known and not there is damage, not a success */
    at.no = 99;
    assert_int_equal(rk_journal_put_at(j, &at, &d), RK_E_UNSAFE);
    assert_int_equal(rk_journal_commit(j, why, sizeof why), RK_E_UNSAFE);
    rk_journal_close(&j);
    j = opened(p);
    assert_int_equal(rk_journal_load(j, keep, &l), RK_OK);
    assert_true(l.n == 1 && l.d[0].seq == 6);
    assert_int_equal(rk_journal_count(j, "a-b-1", 'a', &done, &failed), RK_OK);
    assert_true(done == 1 && failed == 1);
    rk_journal_close(&j);
}

#define AT_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, drop_place)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        AT_PLACE(test_round_trip),  AT_PLACE(test_file),          AT_PLACE(test_rollback),
        AT_PLACE(test_contract),    AT_PLACE(test_kill),          AT_PLACE(test_disk_full),
        AT_PLACE(test_disk_full_at_commit), AT_PLACE(test_second_opener), AT_PLACE(test_newer),
        AT_PLACE(test_foreign),     AT_PLACE(test_damaged),       AT_PLACE(test_place),
        AT_PLACE(test_damaged_rows), AT_PLACE(test_decayed),
        AT_PLACE(test_history),      AT_PLACE(test_history_order),
        AT_PLACE(test_counters),    AT_PLACE(test_forget),        AT_PLACE(test_prune),
        AT_PLACE(test_circle),      AT_PLACE(test_damaged_events), AT_PLACE(test_many),
        AT_PLACE(test_places),
    };

    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
