/* journal_faults_test.c - the journal on a disk that fails, loses power, and decays: every call, write and byte.
 *
 * What a commit said is durable is there when the file is opened again, and nothing is ever there that was not written.
 */
#include "core/daemon/journal_file.h"
#include "core/daemon/journal_sum.h"

#include "core/base/log.h"
#include "core/base/text.h"

#include <rekey/err.h>

#include "journal_schema1.h"
#include "journal_schema2.h"
#include "journal_vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LINKS 4
#define GROUPS 5
#define WHY 400

static int stride; /* 1: each call and each byte; more in a quick run */

/* ---- Places ---- */

struct place {
    char dir[64], path[96], other_dir[96], other_path[128];
};

static int
make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    if (!p)
        return -1;
    snprintf(p->dir, sizeof p->dir, "%s/rekey-faults-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(p->dir))
        return -1;
    snprintf(p->path, sizeof p->path, "%s/journal.db", p->dir);
    snprintf(p->other_dir, sizeof p->other_dir, "%s/other", p->dir);
    snprintf(p->other_path, sizeof p->other_path, "%s/journal.db", p->other_dir);
    *state = p;
    return mkdir(p->other_dir, 0700);
}

static void
drop_files(const char *path)
{
    static const char *const suffix[] = {"", "-wal", "-shm", "-journal"};
    char name[160];

    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffix[i]);
        (void)unlink(name);
    }
}

static int
drop_place(void **state)
{
    struct place *p = *state;

    vfs_heal();
    vfs_watch(NULL, NULL, NULL);
    drop_files(p->other_path);
    drop_files(p->path);
    if (rmdir(p->other_dir) < 0 || rmdir(p->dir) < 0)
        return -1;
    free(p);
    return 0;
}

/* ---- Files as bytes ---- */

struct bytes {
    unsigned char *b;
    size_t n;
};

static struct bytes
bytes_of(const char *path, const char *suffix)
{
    struct bytes f = {malloc(1 << 20), 0};
    char name[160];
    ssize_t n = -1;
    int fd;

    snprintf(name, sizeof name, "%s%s", path, suffix);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    assert_non_null(f.b);
    if (fd >= 0) {
        n = read(fd, f.b, 1 << 20);
        close(fd);
    }
    assert_true(n >= 0 && n < 1 << 20);
    f.n = (size_t)n;
    return f;
}

static void
put_file(const char *path, const char *suffix, const unsigned char *b, size_t n)
{
    char name[160];
    int fd;

    snprintf(name, sizeof name, "%s%s", path, suffix);
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b, n), n);
    close(fd);
}

/* ---- States ---- */

static const char *const names[LINKS] = {"alpha", "beta", "gamma", "delta"};

/* What link i was in group n; every member tells of both. */
static struct rk_durable
state_of(size_t i, uint64_t n)
{
    struct rk_durable d = {.end = i == 1 ? 'b' : 'a', .role = RK_MASTER + (uint32_t)(i % 2), .phase = RK_PH_STAGED,
                           .term = 1, .seq = n, .floor = n + 1, .cur_seq = n * 3, .prev_seq = n * 5 + i,
                           .cur_since = {(int64_t)n * 1000}, .cur_boot = n << 40 | i, .cur_boot_ns = (int64_t)n * 7,
                           .flags = (uint32_t)n & 0x1f, .start_ms = (int64_t)n * 1001};

    assert_true(rk_copy(d.link, sizeof d.link, names[i]));
    snprintf(d.cur, sizeof d.cur, "cur-%zu-%llu", i, (unsigned long long)n);
    snprintf(d.prev, sizeof d.prev, "%llu%zu", (unsigned long long)n, i);
    snprintf(d.cand, sizeof d.cand, "cand-%llu-%zu", (unsigned long long)n, i);
    snprintf(d.mine, sizeof d.mine, "%032llx", (unsigned long long)n);
    snprintf(d.theirs, sizeof d.theirs, "f%030llx%zx", (unsigned long long)n, i);
    return d;
}

static bool
same_state(const struct rk_durable *a, const struct rk_durable *b)
{
    return strcmp(a->link, b->link) == 0 && a->end == b->end && a->role == b->role && a->phase == b->phase &&
           a->term == b->term && a->seq == b->seq && a->floor == b->floor && a->cur_seq == b->cur_seq &&
           a->prev_seq == b->prev_seq && strcmp(a->cur, b->cur) == 0 && strcmp(a->prev, b->prev) == 0 &&
           strcmp(a->cand, b->cand) == 0 && strcmp(a->mine, b->mine) == 0 && strcmp(a->theirs, b->theirs) == 0 &&
           a->cur_since.unix_ms == b->cur_since.unix_ms && a->cur_boot == b->cur_boot && a->flags == b->flags &&
           a->cur_boot_ns == b->cur_boot_ns && a->start_ms == b->start_ms;
}

static struct rk_journal_event
event_of(size_t i, uint64_t n)
{
    struct rk_journal_event e = {.end = i == 1 ? 'b' : 'a', .seq = n, .event = n % 2 ? "rotated" : "burnt",
                                 .key_id = n % 2 ? "odd" : "even", .result = n % 2 ? RK_OK : RK_E_TIMEOUT,
                                 .why = "because", .took_ms = (int64_t)n * 9, .at = {(int64_t)(n * 100 + i)}};

    assert_true(rk_copy(e.link, sizeof e.link, names[i]));
    return e;
}

/* Group n: all links and an event of each; RK_OK, or what the commit said. */
static int
put_group(struct rk_journal *j, uint64_t n)
{
    char why[WHY] = "";
    int err;

    for (size_t i = 0; i < LINKS; i++) {
        struct rk_durable d = state_of(i, n);
        struct rk_journal_event e = event_of(i, n);

        (void)rk_journal_put(j, &d);
        (void)rk_journal_note(j, &e);
    }
    err = rk_journal_commit(j, why, sizeof why);
    if ((err == RK_OK) != (why[0] == '\0'))
        fail_msg("%d, but said is \"%s\"", err, why);
    return err;
}

struct found {
    size_t n;
    uint64_t group[LINKS], most; /* group of each link, 0: it is not there; most: highest that was written */
    size_t i;                    /* link whose history is read */
};

/* It must be a row that was written; which group it is from is remembered. */
static int
find(const struct rk_durable *d, void *arg)
{
    struct found *f = arg;
    size_t i = 0;

    while (i < LINKS && strcmp(d->link, names[i]) != 0)
        i++;
    if (i == LINKS || d->seq == 0 || d->seq > f->most)
        fail_msg("never written: link %s group %llu", d->link, (unsigned long long)d->seq);
    if (!same_state(d, (struct rk_durable[]){state_of(i, d->seq)}))
        fail_msg("not as it was written: link %s group %llu", d->link, (unsigned long long)d->seq);
    f->group[i] = d->seq;
    f->n++;
    return RK_OK;
}

static int
find_event(const struct rk_journal_event *e, void *arg)
{
    struct found *f = arg;
    struct rk_journal_event want = event_of(f->i, e->seq);

    if (e->seq == 0 || e->seq > f->most || strcmp(e->link, want.link) != 0 || e->end != want.end ||
        strcmp(e->event, want.event) != 0 || strcmp(e->key_id, want.key_id) != 0 || e->result != want.result ||
        strcmp(e->why, want.why) != 0 || e->took_ms != want.took_ms || e->at.unix_ms != want.at.unix_ms)
        fail_msg("an event that was never written: %s %llu %s", e->link, (unsigned long long)e->seq, e->event);
    return RK_OK;
}

/* Open what is at path and read all of it; ret: what opening gave. */
static int
look(const char *path, struct found *f, bool history)
{
    struct rk_journal *j;
    char why[WHY] = "";
    int err = rk_journal_open(path, &j, why, sizeof why);

    if (err)
        return err;
    err = rk_journal_load(j, find, f);
    for (f->i = 0; f->i < LINKS && history; f->i++) {
        uint64_t done = 0, failed = 0;
        char end = f->i == 1 ? 'b' : 'a';
        int told = rk_journal_history(j, names[f->i], 100, find_event, f);

        assert_true(told == RK_OK || told == RK_E_PROTOCOL || told == RK_E_IO);
        told = rk_journal_count(j, names[f->i], end, &done, &failed);
        if (done + failed > f->most || done < failed || done > failed + 1)
            fail_msg("counted was never so: %llu, %llu", (unsigned long long)done, (unsigned long long)failed);
    }
    rk_journal_close(&j);
    return err;
}

/* The state in the file must be that of one group, from `least` to `most`; ret: which.  0: nothing. */
static uint64_t
holds(const char *path, uint64_t least, uint64_t most)
{
    struct found f = {.most = most};
    int err = look(path, &f, false);

    if (err)
        fail_msg("it cannot be read again: %d", err);
    if (f.n != 0 && f.n != LINKS)
        fail_msg("%zu links of a group", f.n);
    for (size_t i = 1; i < LINKS; i++)
        assert_int_equal(f.group[i], f.group[0]);
    if (f.group[0] < least)
        fail_msg("group %llu was durable, and group %llu is there", (unsigned long long)least,
                 (unsigned long long)f.group[0]);
    return f.group[0];
}

/* ---- Calls that fail ---- */

struct run {
    uint64_t ok, flight; /* last group that was durable, and last that was tried */
    bool heals;          /* the fault ends before the journal is closed */
};

static void
copy_files(const struct place *p)
{
    static const char *const suffix[] = {"", "-wal", "-journal"};
    char name[160];

    drop_files(p->other_path);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", p->path, suffix[i]);
        if (access(name, F_OK) == 0) {
            struct bytes f = bytes_of(p->path, suffix[i]);

            put_file(p->other_path, suffix[i], f.b, f.n);
            free(f.b);
        }
    }
}

static void
groups(struct rk_journal *j, struct run *r)
{
    uint64_t first = r->flight + 1;

    for (uint64_t n = first; n < first + GROUPS; n++) {
        int err = put_group(j, n);

        r->flight = n;
        if (err == RK_OK)
            r->ok = n;
        else if (err == RK_E_UNSAFE)
            fail_msg("a disk that fails is no damage");
    }
}

/* Open, groups, close, on a disk that may fail at any of it. */
static void
sequence(const struct place *p, struct run *r)
{
    struct rk_journal *j;
    char why[WHY] = "";
    int err = rk_journal_open(p->path, &j, why, sizeof why);

    if (err) {
        assert_null(j);
        if (err == RK_E_UNSAFE || err == RK_E_CONFLICT || !strstr(why, p->path))
            fail_msg("%d: %s", err, why);
        return;
    }
    groups(j, r);
    if (r->heals) {
        vfs_heal();
        r->flight++;
        if (put_group(j, r->flight) != RK_OK)
            fail_msg("it does not work again");
        r->ok = r->flight;
    }
    copy_files(p); /* as a killed process leaves them */
    rk_journal_close(&j);
}

/* A journal whose log is not in the file yet. */
static void
prepare(const struct place *p, struct run *r, struct bytes saved[2])
{
    struct rk_journal *j;
    char why[WHY];

    drop_files(p->path);
    assert_int_equal(rk_journal_open(p->path, &j, why, sizeof why), RK_OK);
    for (uint64_t n = 1; n <= 3; n++)
        assert_int_equal(put_group(j, n), RK_OK);
    saved[0] = bytes_of(p->path, "");
    saved[1] = bytes_of(p->path, "-wal");
    rk_journal_close(&j);
    r->ok = r->flight = 3;
}

/* One sequence with one fault; ret: did it come to the fault. */
static bool
one_fault(const struct place *p, const struct bytes saved[2], struct run r, unsigned kinds, enum vfs_how how, long at,
          bool once)
{
    bool failed;

    drop_files(p->path);
    drop_files(p->other_path);
    vfs_watch(p->dir, NULL, NULL);
    if (saved[0].b) {
        put_file(p->path, "", saved[0].b, saved[0].n);
        put_file(p->path, "-wal", saved[1].b, saved[1].n);
        vfs_watch(NULL, NULL, NULL);
    }
    vfs_fail(kinds, how, at, once);
    sequence(p, &r);
    failed = vfs_failed();
    vfs_heal();
    if (access(p->other_path, F_OK) == 0)
        (void)holds(p->other_path, r.ok, r.flight);
    for (unsigned seed = 0; seed < 3 && !saved[0].b; seed++) { /* and as a power cut leaves them */
        drop_files(p->other_path);
        vfs_image(p->other_dir, seed);
        (void)holds(p->other_path, r.ok, r.flight);
    }
    vfs_watch(NULL, NULL, NULL);
    (void)holds(p->path, r.ok, r.flight);
    return failed;
}

static const struct {
    unsigned kinds;
    enum vfs_how how;
} faults[] = {
    {VFS_READ, VFS_EIO}, {VFS_WRITE, VFS_EIO}, {VFS_WRITE, VFS_FULL}, {VFS_WRITE, VFS_SHORT}, {VFS_SYNC, VFS_EIO},
    {VFS_OPEN, VFS_EIO}, {VFS_TRUNCATE, VFS_EIO}, {VFS_DELETE, VFS_EIO},
    {VFS_WRITE | VFS_TRUNCATE | VFS_DELETE | VFS_OPEN, VFS_READONLY},
    {VFS_READ | VFS_WRITE | VFS_SYNC | VFS_OPEN | VFS_TRUNCATE | VFS_DELETE, VFS_EIO},
};

static void
every_fault(const struct place *p, const struct bytes saved[2], struct run r)
{
    for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
        for (int variant = 0; variant < 4; variant++) {
            bool once = variant & 1, failed = true;
            long n = 1;

            r.heals = variant & 2;
            for (; failed; n += stride)
                failed = one_fault(p, saved, r, faults[f].kinds, faults[f].how, n, once);
            if (faults[f].kinds & (VFS_READ | VFS_WRITE | VFS_SYNC))
                assert_true(n > 4);
        }
    }
}

static void
test_faults_new(void **state)
{
    const struct place *p = *state;
    struct bytes none[2] = {{NULL, 0}, {NULL, 0}};

    every_fault(p, none, (struct run){0});
}

static void
test_faults_old(void **state)
{
    const struct place *p = *state;
    struct bytes saved[2];
    struct run r = {0};

    prepare(p, &r, saved);
    every_fault(p, saved, r);
    free(saved[0].b);
    free(saved[1].b);
}

/* ---- Power cuts ---- */

static int
count_states(const struct rk_durable *d, void *arg)
{
    struct found *f = arg;

    assert_string_equal(d->link, "x");
    f->n++;
    return RK_OK;
}

static int
count_events(const struct rk_journal_event *e, void *arg)
{
    struct found *f = arg;

    assert_string_equal(e->link, "x");
    f->n++;
    return RK_OK;
}

struct cut {
    const struct place *p;
    struct run r;
    unsigned n;
};

static void
cut_here(void *arg)
{
    struct cut *c = arg;

    c->n++;
    for (unsigned v = 0; v < 6; v++) {
        drop_files(c->p->other_path);
        vfs_image(c->p->other_dir, v < 2 ? v : c->n * 16 + v);
        (void)holds(c->p->other_path, c->r.ok, c->r.flight);
    }
}

static void
test_power_cut(void **state)
{
    const struct place *p = *state;
    struct cut c = {.p = p};
    struct rk_journal *j;
    char why[WHY];

    vfs_watch(p->dir, cut_here, &c);
    for (int session = 0; session < 3; session++) {
        assert_int_equal(rk_journal_open(p->path, &j, why, sizeof why), RK_OK);
        for (int i = 0; i < 12; i++) {
            c.r.flight++;
            assert_int_equal(put_group(j, c.r.flight), RK_OK);
            c.r.ok = c.r.flight;
            cut_here(&c);
        }
        if (session == 1)
            assert_int_equal(sqlite3_wal_checkpoint_v2(j->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), SQLITE_OK);
        rk_journal_close(&j);
        cut_here(&c);
    }
    assert_true(c.n > 150);
}

/* A journal of the first schema is of that or of this one, and all of it: opening it again makes it of this one. */
static void
cut_migration(void *arg)
{
    struct cut *c = arg;

    c->n++;
    for (unsigned v = 0; v < 6; v++) {
        struct rk_journal *j;
        struct found f = {.most = 1};
        char why[WHY];

        drop_files(c->p->other_path);
        vfs_image(c->p->other_dir, v < 2 ? v : c->n * 16 + v);
        assert_int_equal(rk_journal_open(c->p->other_path, &j, why, sizeof why), RK_OK);
        assert_int_equal(rk_journal_load(j, count_states, &f), RK_OK);
        assert_int_equal(f.n, 2);
        assert_int_equal(rk_journal_history(j, "x", 10, count_events, &f), RK_OK);
        assert_int_equal(f.n, 6);
        rk_journal_close(&j);
    }
}

static void
cut_migration_of(const struct place *p, const char *sql)
{
    struct cut c = {.p = p};
    struct rk_journal *j;
    char why[WHY];
    sqlite3 *db;

    vfs_watch(p->dir, NULL, NULL);
    assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
    assert_int_equal(rk_journal_add_sum(db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(chmod(p->path, 0600), 0);
    vfs_on_boundary(cut_migration, &c);
    assert_int_equal(rk_journal_open(p->path, &j, why, sizeof why), RK_OK);
    rk_journal_close(&j);
    assert_in_range(c.n, 21, 10000);
}

static void
test_power_cut_migration(void **state)
{
    cut_migration_of(*state, schema1);
}

static void
test_power_cut_migration2(void **state)
{
    cut_migration_of(*state, schema2);
}

/* ---- Decay ---- */

/* A small journal: pages of 512 bytes.  closed: all of it in one file; else the last groups are in the log. */
static uint64_t
small_journal(const struct place *p, struct bytes saved[2], bool closed)
{
    struct rk_journal *j;
    char why[WHY];
    sqlite3 *db;

    drop_files(p->path);
    assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA page_size=512; VACUUM", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(chmod(p->path, 0600), 0);
    for (uint64_t n = 1; n <= 4; n++) {
        assert_int_equal(rk_journal_open(p->path, &j, why, sizeof why), RK_OK);
        assert_int_equal(put_group(j, n), RK_OK);
        if (n == 4 && !closed)
            break;
        rk_journal_close(&j);
    }
    saved[0] = bytes_of(p->path, "");
    saved[1] = closed ? (struct bytes){NULL, 0} : bytes_of(p->path, "-wal");
    if (!closed)
        rk_journal_close(&j);
    assert_in_range(saved[0].n + saved[1].n, 4096, 65536);
    return 4;
}

static unsigned long opened_well, refused_well, rows_left_out;

/* What decayed is read as it was written, or some of it is left out, or all of it is refused as damaged. */
static void
look_at_decay(const struct place *p, uint64_t most, size_t at, const char *what)
{
    struct found f = {.most = most};
    int err = look(p->other_path, &f, true);

    if (err == RK_E_UNSAFE)
        refused_well++;
    else if (err == RK_OK)
        opened_well++;
    else if (err == RK_E_PROTOCOL)
        rows_left_out++;
    else
        fail_msg("%s at %zu: %d", what, at, err);
}

static void
write_pair(const struct place *p, const struct bytes f[2])
{
    drop_files(p->other_path);
    put_file(p->other_path, "", f[0].b, f[0].n);
    if (f[1].b)
        put_file(p->other_path, "-wal", f[1].b, f[1].n);
}

static void
decay(const struct place *p, bool closed)
{
    struct bytes f[2];
    uint64_t most = small_journal(p, f, closed);
    struct bytes *which = closed ? &f[0] : &f[1];

    opened_well = refused_well = rows_left_out = 0;
    for (size_t at = 0; at < which->n; at += (size_t)stride) {
        unsigned char bit = (unsigned char)(1u << (at * 5 + at / 8) % 8);
        size_t whole = which->n;

        which->b[at] ^= bit;
        write_pair(p, f);
        look_at_decay(p, most, at, "bit");
        which->b[at] ^= bit;
        which->n = at;
        write_pair(p, f);
        look_at_decay(p, most, at, "cut");
        which->n = whole;
    }
    write_pair(p, f);
    (void)holds(p->other_path, most, most);
    free(f[0].b);
    free(f[1].b);
    print_message("# %zu bytes: %lu opened, %lu with rows left out, %lu refused\n", which->n, opened_well,
                  rows_left_out, refused_well);
    assert_true(opened_well > 0 && (!closed || (refused_well > 0 && rows_left_out > 0)));
}

static void
test_decay_closed(void **state)
{
    decay(*state, true);
}

static void
test_decay_log(void **state)
{
    decay(*state, false);
}

/* The file itself decays while a log is there. */
static void
test_decay_file_with_log(void **state)
{
    const struct place *p = *state;
    struct bytes f[2];
    uint64_t most = small_journal(p, f, false);

    for (size_t at = 0; at < f[0].n; at += (size_t)stride) {
        f[0].b[at] ^= (unsigned char)(1u << at % 8);
        write_pair(p, f);
        look_at_decay(p, most, at, "bit below a log");
        f[0].b[at] ^= (unsigned char)(1u << at % 8);
    }
    free(f[0].b);
    free(f[1].b);
}

#define AT_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, drop_place)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        AT_PLACE(test_faults_new),  AT_PLACE(test_faults_old),         AT_PLACE(test_power_cut),
        AT_PLACE(test_power_cut_migration), AT_PLACE(test_power_cut_migration2),
        AT_PLACE(test_decay_closed), AT_PLACE(test_decay_log), AT_PLACE(test_decay_file_with_log),
    };

    stride = getenv("REKEY_QUICK") ? 7 : 1;
    (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    vfs_install();
    rk_log_level_set(0); /* thousands of damaged journals are reported */
    return cmocka_run_group_tests_name("journal_faults", tests, NULL, NULL);
}
