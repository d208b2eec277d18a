/* journal_file_test.c - journals of the first schema, damaged ones, and ones whose file goes away while in use.
 *
 * Each test has a directory of its own.
 */
#include "core/daemon/journal_file.h"
#include "core/daemon/journal_sum.h"

#include "core/base/text.h"

#include <rekey/err.h>

#include "journal_schema1.h"
#include "journal_schema2.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define WHY 400
#define LONG_PATH 1024

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

/* Entries of the directory that begin with this; drop: they are deleted. */
static size_t
entries(const char *dir, const char *begin, bool drop)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    size_t n = 0;

    assert_non_null(d);
    while ((e = readdir(d))) {
        n += e->d_name[0] != '.' && strncmp(e->d_name, begin, strlen(begin)) == 0;
        if (drop && e->d_name[0] != '.')
            (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
    return n;
}

static int
drop_place(void **state)
{
    struct place *p = *state;

    (void)entries(p->dir, "", true);
    if (rmdir(p->dir) < 0)
        return -1;
    free(p);
    return 0;
}

static struct rk_journal *
opened(const struct place *p)
{
    struct rk_journal *j;
    char why[WHY] = "";
    int err = rk_journal_open(p->path, &j, why, sizeof why);

    if (err)
        fail_msg("open: %d %s", err, why);
    return j;
}

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
    assert_int_equal(chmod(p->path, 0600), 0);
}

static void
junk(const char *path, off_t at)
{
    char bytes[3000];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    memset(bytes, 0xa5, sizeof bytes);
    assert_int_equal(pwrite(fd, bytes, sizeof bytes, at), sizeof bytes);
    close(fd);
}

static int
put(struct rk_journal *j, const char *link, uint64_t seq)
{
    struct rk_durable d = {.end = 'a', .role = RK_MASTER, .term = 1, .seq = seq, .floor = seq, .flags = RK_DF_SHUT};

    assert_true(rk_copy(d.link, sizeof d.link, link));
    return rk_journal_put(j, &d);
}

static int
commit(struct rk_journal *j)
{
    char why[WHY] = "";
    int err = rk_journal_commit(j, why, sizeof why);

    assert_true(err == RK_OK || strstr(why, "journal.db"));
    return err;
}

struct loaded {
    size_t n;
    struct rk_durable d[8];
};

static int
keep(const struct rk_durable *d, void *arg)
{
    struct loaded *l = arg;

    assert_true(l->n < 8);
    l->d[l->n++] = *d;
    return RK_OK;
}

static struct loaded
load(struct rk_journal *j, int want)
{
    struct loaded l = {0};

    assert_int_equal(rk_journal_load(j, keep, &l), want);
    return l;
}

/* ---- Schemas ---- */

struct told {
    size_t n;
    uint64_t seq[8];
    int64_t took_ms[8];
};

static int
tell(const struct rk_journal_event *e, void *arg)
{
    struct told *t = arg;

    assert_true(t->n < 8);
    t->seq[t->n] = e->seq;
    t->took_ms[t->n++] = e->took_ms;
    return RK_OK;
}

/* later: has it what schema 2 added? */
static void
same_as_before(struct rk_journal *j, bool later)
{
    struct loaded l = load(j, RK_OK);
    struct told t = {0};
    uint64_t done, failed;

    assert_int_equal(l.n, 2);
    assert_int_equal(l.d[0].role, RK_MASTER);
    assert_int_equal(l.d[0].phase, RK_PH_STAGED);
    assert_true(l.d[0].seq == 7 && l.d[0].floor == 9 && l.d[0].cur_seq == 6 && l.d[0].prev_seq == 5);
    assert_string_equal(l.d[0].cur, "cur-7");
    assert_string_equal(l.d[0].prev, "prev-7");
    assert_string_equal(l.d[0].cand, "cand-7");
    assert_string_equal(l.d[0].mine, "00112233445566778899aabbccddeeff");
    assert_string_equal(l.d[0].theirs, "ffeeddccbbaa99887766554433221100");
    assert_true(l.d[0].cur_since.unix_ms == 1700000000123);
    assert_true(l.d[0].flags == (later ? 31 : 0) && l.d[0].start_ms == (later ? 1700000000456 : 0));
    assert_true(l.d[0].cur_boot == (later ? (uint64_t)-5 : 0) && l.d[0].cur_boot_ns == (later ? 77 : 0));
    assert_int_equal(l.d[1].end, 'b');
    assert_string_equal(l.d[1].cur, "cur-6");
    assert_int_equal(rk_journal_history(j, "x", 10, tell, &t), RK_OK);
    assert_int_equal(t.n, 4);
    assert_true(t.seq[0] == 7 && t.took_ms[1] == 40 && t.took_ms[3] == 20);
    assert_int_equal(rk_journal_history(j, "y", 10, tell, &t), RK_OK);
    assert_int_equal(t.n, 5);
    assert_int_equal(rk_journal_count(j, "x", 'a', &done, &failed), RK_OK);
    assert_true(done == 2 && failed == 1);
    assert_int_equal(rk_journal_damaged(j), 0);
}

static void
taken_over(const struct place *p, bool later)
{
    struct rk_journal *j;

    sql(p, later ? schema2 : schema1);
    j = opened(p);
    same_as_before(j, later);
    rk_journal_close(&j);
    j = opened(p); /* now it is of this schema */
    same_as_before(j, later);
    assert_int_equal(put(j, "z", 1), RK_OK);
    assert_int_equal(commit(j), RK_OK);
    rk_journal_close(&j);
    j = opened(p);
    assert_int_equal(load(j, RK_OK).n, 3);
    rk_journal_close(&j);
}

static void
test_schema1(void **state)
{
    taken_over(*state, false);
}

static void
test_schema2(void **state)
{
    taken_over(*state, true);
}

/* A damaged row of schema 2 is left out, as it was then: of values that could not be, and of others that were not. */
static void
test_schema2_damaged(void **state)
{
    static const char *const harm[] = {
        "UPDATE links SET seq=8 WHERE no=1",       "UPDATE links SET cur='cur-8' WHERE no=1",
        "UPDATE links SET role=NULL WHERE no=1",   "UPDATE links SET sum=NULL WHERE no=1",
        "UPDATE links SET sum=sum+1 WHERE no=1",   "UPDATE links SET flags=0.5 WHERE no=1",
        "UPDATE links SET phase=7 WHERE no=1;"
        "UPDATE links SET sum=rk_sum(link,end,role,phase,term,seq,floor,cur_seq,prev_seq,cur,prev,cand,mine,theirs,"
        "cur_since_ms,cur_boot,cur_boot_ns,flags,start_ms) WHERE no=1",
    };
    const struct place *p = *state;

    for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
        struct rk_journal *j;
        struct told t = {0};
        uint64_t done, failed;

        sql(p, schema2);
        sql(p, harm[i]);
        sql(p, "UPDATE links SET done=9 WHERE no=1");
        j = opened(p);
        assert_int_equal(load(j, RK_E_PROTOCOL).n, 1);
        assert_int_equal(rk_journal_count(j, "x", 'a', &done, &failed), RK_OK);
        assert_true(done == 0 && failed == 0);
        assert_int_equal(rk_journal_history(j, "x", 10, tell, &t), RK_E_PROTOCOL); /* for its counters */
        assert_int_equal(t.n, 4);
        rk_journal_close(&j);
        (void)entries(p->dir, "", true);
    }
}

/* A damaged row of the first schema is left out, as it was then. */
static void
test_schema1_damaged(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j;

    sql(p, schema1);
    sql(p, "UPDATE links SET phase=9 WHERE end='b'; UPDATE events SET no=77 WHERE id=1");
    j = opened(p);
    assert_int_equal(load(j, RK_E_PROTOCOL).n, 1);
    assert_int_equal(rk_journal_damaged(j), 1);
    rk_journal_close(&j);
}

static void
opens_as(const struct place *p, int want, const char *words)
{
    struct rk_journal *j;
    char why[WHY] = "";
    int err = rk_journal_open(p->path, &j, why, sizeof why);

    if (err != want || !strstr(why, words))
        fail_msg("%d: %s", err, why);
    rk_journal_close(&j);
}

/* The numbers in the header may be damaged too: our tables under a wrong number are no other program's, nor newer. */
static void
test_numbers(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);

    rk_journal_close(&j);
    sql(p, "PRAGMA application_id=1380665907");
    opens_as(p, RK_E_UNSAFE, "damaged");
    sql(p, "PRAGMA application_id=1380665905; PRAGMA user_version=4");
    opens_as(p, RK_E_UNSAFE, "damaged");
    sql(p, "PRAGMA user_version=0");
    opens_as(p, RK_E_UNSAFE, "damaged");
    sql(p, "PRAGMA user_version=3; ALTER TABLE links ADD COLUMN more TEXT");
    opens_as(p, RK_E_UNSAFE, "damaged");
    sql(p, "PRAGMA user_version=4");
    opens_as(p, RK_E_UNSUPPORTED, "newer");
    sql(p, "PRAGMA application_id=17");
    opens_as(p, RK_E_CONFLICT, "not a journal of rekeyd");
}

/* Write over the which-th place of "link-two": it is in its row, and in the index. */
static void
change_name(const struct place *p, int which)
{
    int fd = open(p->path, O_RDWR | O_CLOEXEC), seen = 0;
    char *b = malloc(1 << 20);
    ssize_t n;

    assert_non_null(b);
    n = read(fd, b, 1 << 20);
    for (ssize_t i = 0; i + 8 < n; i++)
        if (memcmp(b + i, "link-two", 8) == 0 && seen++ == which)
            assert_int_equal(pwrite(fd, "link-twx", 8, i), 8);
    close(fd);
    free(b);
    assert_int_equal(seen, 2);
}

/* An index that does not fit its rows is made again; the rows are sound, and one that is not is left out. */
static void
test_index(void **state)
{
    const struct place *p = *state;
    size_t left_out = 0;

    for (int which = 0; which < 2; which++) {
        struct rk_journal *j = opened(p);
        struct loaded l = {0};
        int err;

        assert_int_equal(put(j, "link-one", 5), RK_OK);
        assert_int_equal(put(j, "link-two", 6), RK_OK);
        assert_int_equal(commit(j), RK_OK);
        rk_journal_close(&j);
        change_name(p, which);
        j = opened(p);
        err = rk_journal_load(j, keep, &l);
        assert_int_equal(err, l.n == 2 ? RK_OK : RK_E_PROTOCOL);
        assert_string_equal(l.d[0].link, "link-one");
        left_out += 2 - l.n;
        assert_int_equal(put(j, "link-two", 7), RK_OK);
        assert_int_equal(commit(j), RK_OK);
        l.n = 0;
        assert_int_equal(rk_journal_load(j, keep, &l), err);
        assert_int_equal(l.n, 2);
        assert_int_equal(l.d[1].seq, 7);
        rk_journal_close(&j);
        (void)entries(p->dir, "", true);
    }
    assert_int_equal(left_out, 1);
}

/* ---- Set aside ---- */

static void
test_aside(void **state)
{
    const struct place *p = *state;
    char aside[LONG_PATH], why[WHY] = "", first[LONG_PATH] = "", wal[LONG_PATH + 8];
    struct stat st;

    assert_int_equal(rk_journal_set_aside(p->path, aside, sizeof aside, why, sizeof why), RK_OK);
    assert_string_equal(aside, "");
    for (int i = 0; i < 5; i++) { /* all within a second or two: none may replace another */
        snprintf(wal, sizeof wal, "%s-wal", p->path);
        junk(p->path, i);
        junk(wal, 100 + i);
        assert_int_equal(rk_journal_set_aside(p->path, aside, sizeof aside, why, sizeof why), RK_OK);
        assert_true(strncmp(aside, p->path, strlen(p->path)) == 0 && strstr(aside, ".damaged-"));
        assert_int_not_equal(access(p->path, F_OK), 0);
        assert_int_equal(stat(aside, &st), 0);
        assert_int_equal(st.st_size, 3000 + i);
        snprintf(wal, sizeof wal, "%s-wal", aside);
        assert_int_equal(stat(wal, &st), 0);
        assert_int_equal(st.st_size, 3100 + i);
        if (i == 0)
            snprintf(first, sizeof first, "%s", aside);
    }
    assert_int_equal(entries(p->dir, "journal.db.damaged-", false), 2 * RK_JOURNAL_ASIDE);
    assert_int_not_equal(access(first, F_OK), 0); /* the oldest went */
    assert_int_equal(access(aside, F_OK), 0);
}

/* ---- Renewed while in use ---- */

static void
test_not_broken(void **state)
{
    struct rk_journal *j = opened(*state);
    char aside[LONG_PATH], why[WHY];

    assert_int_equal(rk_journal_renew(j, aside, sizeof aside, why, sizeof why), RK_E_CONTRACT);
    assert_int_equal(put(j, "x", 1), RK_OK);
    assert_int_equal(commit(j), RK_OK);
    rk_journal_close(&j);
}

/* The commit must say that the file is not to be used, everything fails until it is renewed, and then goes on. */
static void
renewed(const struct place *p, struct rk_journal *j, bool something)
{
    char aside[LONG_PATH] = "", why[WHY] = "";
    uint64_t done, failed;

    assert_int_equal(commit(j), RK_E_UNSAFE);
    assert_int_equal(put(j, "x", 4), RK_E_UNSAFE);
    assert_int_equal(commit(j), RK_E_UNSAFE);
    if (rk_journal_renew(j, aside, sizeof aside, why, sizeof why) != RK_OK)
        fail_msg("%s", why);
    assert_int_equal(aside[0] != '\0', something);
    assert_int_equal(aside[0] == '\0' || access(aside, F_OK) == 0, 1);
    assert_true(rk_journal_hollow(j));
    (void)load(j, RK_E_IO); /* what it lacks must not be taken for what never was */
    assert_int_equal(rk_journal_count(j, "x", 'a', &done, &failed), RK_OK);
    assert_int_equal(put(j, "x", 5), RK_OK);
    assert_int_equal(put(j, "y", 6), RK_OK);
    assert_int_equal(commit(j), RK_OK);
    assert_false(rk_journal_hollow(j));
    rk_journal_close(&j);
    j = opened(p);
    assert_int_equal(load(j, RK_OK).n, 2);
    rk_journal_close(&j);
}

static void
test_deleted(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);

    assert_int_equal(put(j, "x", 3), RK_OK);
    assert_int_equal(commit(j), RK_OK);
    assert_int_equal(unlink(p->path), 0);
    assert_int_equal(put(j, "x", 4), RK_OK);
    renewed(p, j, true); /* its log was still there */
}

static void
test_all_deleted(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);

    assert_int_equal(put(j, "x", 3), RK_OK);
    (void)entries(p->dir, "", true);
    renewed(p, j, false);
}

static void
test_log_deleted(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);
    char wal[128];

    snprintf(wal, sizeof wal, "%s-wal", p->path);
    assert_int_equal(put(j, "x", 3), RK_OK);
    assert_int_equal(unlink(wal), 0);
    renewed(p, j, true);
}

static void
test_replaced(void **state)
{
    const struct place *p = *state;
    struct place old = *p;
    struct rk_journal *j = opened(p);

    snprintf(old.path, sizeof old.path, "%s/old.db", p->dir);
    sql(&old, schema1);
    assert_int_equal(put(j, "x", 3), RK_OK);
    assert_int_equal(rename(old.path, p->path), 0);
    renewed(p, j, true);
}

/* The folder goes with all that is in it: nothing can be begun anew until it is back. */
static void
test_folder_gone(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);
    char aside[LONG_PATH], why[WHY] = "";

    (void)entries(p->dir, "", true);
    assert_int_equal(rmdir(p->dir), 0);
    assert_int_equal(put(j, "x", 3), RK_OK);
    assert_int_equal(commit(j), RK_E_UNSAFE);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rk_journal_renew(j, aside, sizeof aside, why, sizeof why), RK_E_NOENT);
        assert_int_equal(rk_journal_history(j, "x", 1, tell, &(struct told){0}), RK_E_IO);
        (void)load(j, RK_E_IO);
        assert_int_equal(put(j, "x", 3), RK_E_UNSAFE);
        assert_int_equal(commit(j), RK_E_UNSAFE);
    }
    assert_int_equal(mkdir(p->dir, 0700), 0);
    assert_int_equal(put(j, "x", 3), RK_E_UNSAFE);
    renewed(p, j, false);
}

/* Groups of some pages each; last_ns: when the log is said to have been folded back before each.   ret: pages in it */
static long
log_after(const struct place *p, struct rk_journal *j, int groups, int64_t last_ns)
{
    static uint64_t seq = 3; /* a row that stays as it is would not be written */
    char name[128], link[32];
    struct stat st;

    for (int g = 0; g < groups; g++) {
        for (int i = 0; i < 8000; i += 25) {
            snprintf(link, sizeof link, "link-%d", i);
            assert_int_equal(put(j, link, ++seq), RK_OK);
        }
        j->folded_ns = last_ns;
        assert_int_equal(commit(j), RK_OK);
    }
    snprintf(name, sizeof name, "%s-wal", p->path);
    assert_int_equal(stat(name, &st), 0);
    return (long)st.st_size / 4096;
}

/* A log that is written over is cheaper than one that grows: it is kept short, but not by more than a second's work. */
static void
test_log_folded(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);
    char link[32];
    long before, after;

    for (int i = 0; i < 8000; i++) {
        snprintf(link, sizeof link, "link-%d", i);
        assert_int_equal(put(j, link, 3), RK_OK);
    }
    before = log_after(p, j, 1, 0);
    assert_true(before > 128 && before < 300);
    after = log_after(p, j, 12, 0); /* a second after the last time it is folded back, and begun anew */
    assert_true(after < 2 * before);
    after = log_after(p, j, 8, INT64_MAX); /* within that second it is not */
    assert_true(after > 3 * before);
    after = log_after(p, j, 6, INT64_MAX); /* but at the latest when it is long */
    assert_true(after > 1000 && after < 1500);
    rk_journal_close(&j);
}

/* Pages that go bad below a running journal: seen when they are read again, which the cache may put off for long. */
static void
test_bad_pages(void **state)
{
    const struct place *p = *state;
    struct rk_journal *j = opened(p);
    char link[32];
    int err = RK_OK;

    for (int i = 0; i < 40000; i++) {
        snprintf(link, sizeof link, "link-%d", i);
        assert_int_equal(put(j, link, 3), RK_OK);
    }
    assert_int_equal(commit(j), RK_OK);
    rk_journal_close(&j); /* all of it is in the file */
    j = opened(p);
    for (off_t at = 8 * 4096; at < 400 * 4096; at += 4096)
        junk(p->path, at);
    for (int i = 0; i < 40000 && err == RK_OK; i += 7) {
        snprintf(link, sizeof link, "link-%d", i);
        err = put(j, link, 4);
    }
    assert_int_equal(err, RK_E_UNSAFE);
    renewed(p, j, true);
}

static void
as_written(const struct place *p, const struct rk_durable *d)
{
    struct rk_journal *j = opened(p);
    struct loaded l = load(j, RK_OK);

    rk_journal_close(&j);
    assert_int_equal(l.n, 1);
    assert_true(l.d[0].term == d->term && l.d[0].seq == d->seq && l.d[0].cur_boot == d->cur_boot);
    assert_true(l.d[0].cur_since.unix_ms == d->cur_since.unix_ms && l.d[0].cur_boot_ns == d->cur_boot_ns);
    assert_string_equal(l.d[0].cur, d->cur);
    assert_string_equal(l.d[0].cand, d->cand);
    assert_string_equal(l.d[0].theirs, d->theirs);
}

/* An event's check value is made in C when it is written, and in SQL when it is read: for any value the same.  A state
 * is read as it was written. */
static void
test_sums(void **state)
{
    static const char bad[] =
        "CREATE TABLE bad AS SELECT e.id FROM events e JOIN links USING(no) WHERE e.sum IS NOT"
        " rk_sum(link,end,id,before,e.seq,event,key_id,result,why,took_ms,at_ms);"
        "INSERT INTO bad SELECT 1 WHERE (SELECT count(*) FROM events)<>2;"
        "CREATE TABLE none(n CHECK(n=0)); INSERT INTO none SELECT count(*) FROM bad; DROP TABLE bad; DROP TABLE none;";
    static const int64_t numbers[] = {0, 1, -1, 255, 256, INT64_MAX, INT64_MIN};
    const struct place *p = *state;
    char why[2 * RK_TEXT_MAX];

    memset(why, 'w', sizeof why - 1);
    why[sizeof why - 1] = '\0';
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct rk_durable d = {.link = "x", .end = 'b', .role = RK_SLAVE, .term = (uint64_t)numbers[i],
                               .seq = (uint64_t)~numbers[i], .cur = "c", .prev = "", .mine = "",
                               .cur_since = {numbers[i]}, .cur_boot = UINT64_MAX, .cur_boot_ns = numbers[i]};
        struct rk_journal_event e = {.link = "x", .end = 'b', .seq = d.seq, .event = i % 2 ? "rotated" : "burnt",
                                     .result = (int)numbers[i], .why = i % 2 ? why : NULL, .took_ms = numbers[i]};
        struct rk_journal_place at = {0};
        struct rk_journal *j = opened(p);

        memset(d.cand, 'k', sizeof d.cand - 1);
        memset(d.theirs, 'f', sizeof d.theirs - 1);
        assert_int_equal(rk_journal_note_at(j, &at, &e, false), RK_OK);
        assert_int_equal(rk_journal_note_at(j, &at, &e, true), RK_OK);
        assert_int_equal(rk_journal_put_at(j, &at, &d), RK_OK);
        assert_int_equal(commit(j), RK_OK);
        rk_journal_close(&j);
        sql(p, bad);
        as_written(p, &d);
        assert_int_equal(unlink(p->path), 0);
    }
}

#define AT_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, drop_place)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        AT_PLACE(test_schema1),     AT_PLACE(test_schema1_damaged), AT_PLACE(test_schema2),
        AT_PLACE(test_schema2_damaged), AT_PLACE(test_numbers),
        AT_PLACE(test_index),       AT_PLACE(test_aside),           AT_PLACE(test_not_broken),
        AT_PLACE(test_deleted),     AT_PLACE(test_all_deleted),     AT_PLACE(test_log_deleted),
        AT_PLACE(test_replaced),    AT_PLACE(test_folder_gone),     AT_PLACE(test_bad_pages),
        AT_PLACE(test_sums),        AT_PLACE(test_log_folded),
    };

    return cmocka_run_group_tests_name("journal_file", tests, NULL, NULL);
}
