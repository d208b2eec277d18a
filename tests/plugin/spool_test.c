/* spool_test.c - the channel "spool": publishing, watching, bad files, and what happens to directories */
#include "fakehost.h"
#include "scratch.h"

#include "core/base/clock.h"
#include "core/conf/opt.h"
#include "plugins/channel/spool/record.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

extern const struct rk_plugin spool_LTX_rk_plugin;

static struct scratch scratch;
static struct rk_call call;
static void *a, *b; /* two ends: the outbox of one is the inbox of the other */

static const struct rk_channel_ops *
ops(void)
{
    return spool_LTX_rk_plugin.ops;
}

static int
try_start(const char *dir, const char *peer_dir, void **inst)
{
    const char *pairs[] = {"dir", scratch_path(&scratch, dir), "peer-dir", scratch_path(&scratch, peer_dir), NULL};
    struct rk_conf conf = {pairs, spool_LTX_rk_plugin.opts};

    *inst = NULL;
    return spool_LTX_rk_plugin.init(&fake_host, &call, &conf, inst);
}

static void
budget(int ms)
{
    fake_call_end(&call);
    fake_call(&call, ms);
}

static void
publish(void *inst, const char *link, const char *record)
{
    struct rk_post post = {.err = RK_E_CONTRACT};

    snprintf(post.link, sizeof post.link, "%s", link);
    snprintf(post.record, sizeof post.record, "%s", record);
    if (ops()->publish(inst, &call, &post, 1) != RK_OK)
        fail_msg("%s", call.text);
    assert_int_equal(post.err, RK_OK);
}

static size_t
watch(void *inst, struct rk_post *posts, size_t max)
{
    size_t n = 99;

    if (ops()->watch(inst, &call, posts, max, &n) != RK_OK)
        fail_msg("%s", call.text);
    assert_true(n <= max);
    return n;
}

static void
expect(void *inst, const char *link, const char *record)
{
    struct rk_post posts[4];

    assert_int_equal(watch(inst, posts, 4), 1);
    assert_string_equal(posts[0].link, link);
    assert_string_equal(posts[0].record, record);
    assert_string_equal(posts[0].peer_sae, "");
}

/* All that has happened is returned by now: the watch finds nothing within a short budget. */
static void
expect_nothing(void *inst)
{
    struct rk_post posts[4];

    budget(1);
    assert_int_equal(watch(inst, posts, 4), 0);
    budget(10000);
}

static size_t
count(const char *text, const char *word)
{
    size_t n = 0;

    for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
        n++;
    return n;
}

static void
test_schema(void **state)
{
    char why[200] = "";

    (void)state;
    if (rk_opts_sane(spool_LTX_rk_plugin.opts, why, sizeof why) != RK_OK)
        fail_msg("%s", why);
    assert_int_equal(spool_LTX_rk_plugin.kind, RK_CHANNEL);
}

static void
test_both_ways(void **state)
{
    char text[300];
    struct stat st;

    (void)state;
    publish(a, "link-1", "r1.first");
    expect(b, "link-1", "r1.first");
    expect_nothing(b);
    expect_nothing(a);
    publish(b, "link-1", "r1.answer");
    expect(a, "link-1", "r1.answer");
    scratch_read(scratch_path(&scratch, "A/link-1.rec"), text, sizeof text);
    assert_string_equal(text, "r1.first\n");
    assert_int_equal(stat(scratch_path(&scratch, "A/link-1.rec"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    publish(a, "link-1", "r1.second");
    publish(a, "link-1", "r1.third"); /* the newest replaces the one before */
    expect(b, "link-1", "r1.third");
    expect_nothing(b);
}

static void
test_all_present_count_as_new(void **state)
{
    struct rk_post posts[64];
    size_t seen = 0, n;
    char link[20];
    void *late;

    (void)state;
    for (int i = 0; i < 150; i++) {
        snprintf(link, sizeof link, "l%d", i);
        publish(a, link, "x");
    }
    assert_int_equal(try_start("B", "A", &late), RK_OK);
    while (seen < 150 && (n = watch(late, posts, 64)) > 0)
        seen += n;
    assert_int_equal(seen, 150);
    expect_nothing(late);
    spool_LTX_rk_plugin.fini(late);
}

/* The same text again, by a new file: news, as the other end may have forgotten. */
static void
test_identical_content_is_new(void **state)
{
    (void)state;
    publish(a, "l", "same");
    expect(b, "l", "same");
    publish(a, "l", "same");
    expect(b, "l", "same");
    expect_nothing(b);
}

/* Watch until nothing comes any more: what was no record, as lines "link file: why"; records are left to *good. */
static size_t
collect_flaws(char *flaws, size_t size, struct rk_post *good)
{
    struct rk_post posts[64];
    size_t n, bad = 0, used = 0;

    budget(1);
    flaws[0] = '\0';
    while ((n = watch(b, posts, 64)) > 0)
        for (size_t i = 0; i < n; i++) {
            if (!strchr(posts[i].record, ' ')) {
                *good = posts[i];
                continue;
            }
            bad++;
            used += (size_t)snprintf(flaws + used, size - used, "%s %s\n", posts[i].link, posts[i].record);
            assert_true(used < size);
        }
    budget(10000);
    return bad;
}

/* A mover that writes in place, in two steps: only the whole record counts. */
static void
test_written_in_place(void **state)
{
    int fd = open(scratch_path(&scratch, "A/l.rec"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    struct rk_post good = {.link = ""};
    char flaws[400];

    (void)state;
    assert_int_equal(write(fd, "half", 4), 4);
    assert_int_equal(collect_flaws(flaws, sizeof flaws, &good), 1);
    assert_int_equal(count(flaws, "l l.rec: cut off"), 1);
    assert_string_equal(good.link, "");
    assert_int_equal(write(fd, "whole\n", 6), 6);
    assert_int_equal(close(fd), 0);
    expect(b, "l", "halfwhole");
    expect_nothing(b);
}

static void
test_bad_files_are_told_once(void **state)
{
    char longest[300], flaws[4000];
    struct rk_post good = {.link = ""};

    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[255] = '\n';
    scratch_write(&scratch, "A/good.rec", 0644, longest, 256); /* exactly the longest */
    scratch_write(&scratch, "A/long.rec", 0644, longest, 257);
    scratch_text(&scratch, "A/cut.rec", "no-newline");
    scratch_text(&scratch, "A/empty.rec", "");
    scratch_text(&scratch, "A/blank.rec", "a b\n");
    scratch_text(&scratch, "A/two.rec", "a\nb\n");
    scratch_write(&scratch, "A/nul.rec", 0644, "a\0b\n", 4);
    scratch_text(&scratch, "A/README", "x\n");
    scratch_text(&scratch, "A/-bad.rec", "x\n");
    scratch_text(&scratch, "A/this-name-is-longer-than-a-link-may-be.rec", "x\n");
    scratch_text(&scratch, "A/.hidden.rec", "x\n");
    scratch_text(&scratch, "A/l.rec.tmp-0123abcd", "x\n");
    scratch_text(&scratch, "secret", "x\n");
    assert_int_equal(symlink(scratch_path(&scratch, "secret"), scratch_path(&scratch, "A/link.rec")), 0);
    assert_int_equal(mkfifo(scratch_path(&scratch, "A/fifo.rec"), 0644), 0);
    assert_int_equal(mkdir(scratch_path(&scratch, "A/dir.rec"), 0755), 0);
    fake_log_clear();
    longest[255] = '\0';
    assert_int_equal(collect_flaws(flaws, sizeof flaws, &good), 12);
    assert_string_equal(good.link, "good");
    assert_string_equal(good.record, longest);
    assert_int_equal(count(flaws, "hidden") + count(flaws, "tmp"), 0);
    assert_int_equal(count(flaws, "cut cut.rec: cut off"), 1);
    assert_int_equal(count(flaws, "link link.rec: a symbolic link"), 1);
    assert_int_equal(count(flaws, " README: its name is not LINK.rec"), 1);
    expect_nothing(b);
    scratch_text(&scratch, "A/cut.rec", "whole-now\n"); /* changed: looked at again */
    expect(b, "cut", "whole-now");
    scratch_text(&scratch, "A/empty.rec", "again no newline");
    assert_int_equal(collect_flaws(flaws, sizeof flaws, &good), 1);
    assert_int_equal(count(flaws, "empty empty.rec: cut off"), 1);
    assert_int_equal(count(fake_log(), "ev="), 0);
}

static void
test_foreign_owner(void **state)
{
    const char *path = scratch_text(&scratch, "A/l.rec", "x\n");
    struct rk_post good;
    char flaws[400];

    (void)state;
    if (geteuid() != 0)
        return; /* only root can give a file away */
    assert_int_equal(chown(path, 12345, 0), 0);
    assert_int_equal(collect_flaws(flaws, sizeof flaws, &good), 1);
    assert_int_equal(count(flaws, "l l.rec: it belongs to another user"), 1);
    assert_int_equal(chown(path, 0, 0), 0);
    expect(b, "l", "x");
}

static void
test_names_stay_inside(void **state)
{
    static const char *const bad[] = {"", ".", "..", "../x", "a/b", "/etc/passwd", ".x", "-x", "a b", "a\nb",
                                      "123456789012345678901234567890123"};
    char name[SPOOL_FILE_MAX], link[RK_LINK_MAX + 1];
    struct rk_post post;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(spool_name(bad[i], name));
    assert_true(spool_name("12345678901234567890123456789012", name));
    assert_true(spool_link(name, link));
    assert_string_equal(link, "12345678901234567890123456789012");
    assert_false(spool_link(".rec", link));
    assert_false(spool_link("../a.rec", link));
    assert_false(spool_link("a.record", link));
    memset(&post, 0, sizeof post);
    strcpy(post.link, "../escape");
    strcpy(post.record, "x");
    assert_int_equal(ops()->publish(a, &call, &post, 1), RK_E_CONTRACT);
    assert_int_equal(post.err, RK_E_CONTRACT);
    assert_int_not_equal(access(scratch_path(&scratch, "escape.rec"), F_OK), 0);
    strcpy(post.link, "l");
    strcpy(post.record, "with blank");
    assert_int_equal(ops()->publish(a, &call, &post, 1), RK_E_CONTRACT);
    memset(post.record, 'x', sizeof post.record);
    assert_int_equal(ops()->publish(a, &call, &post, 1), RK_E_CONTRACT);
}

static void
test_bad_directories(void **state)
{
    void *inst;

    (void)state;
    assert_int_equal(try_start("absent", "B", &inst), RK_E_NOENT);
    assert_non_null(strstr(call.text, "create it"));
    assert_int_equal(try_start("A", "absent", &inst), RK_E_NOENT);
    assert_int_equal(try_start("A", "A", &inst), RK_E_CONFIG);
    scratch_text(&scratch, "file", "");
    assert_int_equal(try_start("file", "B", &inst), RK_E_UNSAFE);
    assert_int_equal(chmod(scratch_path(&scratch, "B"), 0777), 0);
    assert_int_equal(try_start("A", "B", &inst), RK_E_UNSAFE);
    assert_non_null(strstr(call.text, "chmod go-w"));
    assert_int_equal(chmod(scratch_path(&scratch, "B"), 0755), 0);
    assert_int_equal(symlink(scratch_path(&scratch, "B"), scratch_path(&scratch, "L")), 0);
    assert_int_equal(try_start("A", "L", &inst), RK_E_UNSAFE);
    assert_null(inst);
}

/* An outbox that becomes unsafe or goes away later. */
static void
test_outbox_changes(void **state)
{
    struct rk_post post = {.link = "l", .record = "x"};

    (void)state;
    assert_int_equal(chmod(scratch_path(&scratch, "A"), 0777), 0);
    assert_int_equal(ops()->publish(a, &call, &post, 1), RK_E_UNSAFE);
    assert_int_equal(post.err, RK_E_UNSAFE);
    assert_int_equal(rmdir(scratch_path(&scratch, "A")), 0);
    assert_int_equal(ops()->publish(a, &call, &post, 1), RK_E_NOENT);
    assert_int_equal(mkdir(scratch_path(&scratch, "A"), 0755), 0);
    assert_int_equal(ops()->publish(a, &call, &post, 1), RK_OK);
}

static void
test_inbox_is_recreated(void **state)
{
    struct rk_post posts[4];
    size_t n;

    (void)state;
    publish(a, "l", "one");
    expect(b, "l", "one");
    assert_int_equal(rename(scratch_path(&scratch, "A"), scratch_path(&scratch, "old")), 0);
    assert_int_equal(ops()->watch(b, &call, posts, 4, &n), RK_E_NOENT);
    assert_non_null(strstr(call.text, "create it"));
    assert_int_equal(mkdir(scratch_path(&scratch, "A"), 0755), 0);
    expect_nothing(b);
    publish(a, "l", "two");
    expect(b, "l", "two");
    assert_int_equal(unlink(scratch_path(&scratch, "A/l.rec")), 0);
    assert_int_equal(rmdir(scratch_path(&scratch, "A")), 0);
    assert_int_equal(mkdir(scratch_path(&scratch, "A"), 0755), 0); /* replaced between two calls */
    publish(a, "l", "three");
    expect(b, "l", "three");
    expect_nothing(b);
}

/* More events than the kernel queues: the scan finds what was lost. */
static void
test_overflow(void **state)
{
    struct rk_post posts[4];
    unsigned long most = 16384;
    char text[32];
    size_t n;

    (void)state;
    scratch_read("/proc/sys/fs/inotify/max_queued_events", text, sizeof text);
    if (text[0])
        most = strtoul(text, NULL, 10);
    if (most > 200000)
        most = 200000; /* then nothing is lost, and the rest must hold all the same */
    expect_nothing(b);
    for (unsigned long i = 0; i <= most / 2 + 1; i++) { /* two events each, of alternating names */
        const char *path = scratch_path(&scratch, i % 2 ? "A/.x" : "A/.y");
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        close(fd);
        if (i % 2)
            assert_int_equal(unlink(path), 0);
    }
    publish(a, "l", "after-overflow"); /* its event is lost */
    n = watch(b, posts, 4);
    assert_int_equal(n, 1);
    assert_string_equal(posts[0].record, "after-overflow");
}

static void
test_cancel_and_budget(void **state)
{
    struct rk_post posts[4], post[2] = {{.link = "l", .record = "x"}, {.link = "m", .record = "x"}};
    int64_t begin = rk_now_ns();
    size_t n = 9;

    (void)state;
    budget(20);
    assert_int_equal(watch(b, posts, 4), 0);
    assert_true(rk_now_ns() - begin >= 19 * RK_NS_PER_MS);
    budget(60000);
    fake_cancel(&call);
    assert_int_equal(ops()->watch(b, &call, posts, 4, &n), RK_E_CANCELED);
    assert_int_equal(n, 0);
    assert_int_equal(ops()->publish(a, &call, post, 2), RK_E_CANCELED);
    assert_int_equal(post[1].err, RK_E_CANCELED);
    budget(10000);
    expect_nothing(b);
    assert_int_equal(ops()->watch(b, &call, posts, 0, &n), RK_E_CONTRACT);
}

static void *
publish_later(void *arg)
{
    struct rk_post post = {.link = "late"};
    struct rk_call mine;

    fake_call(&mine, 10000);
    for (int i = 0; i < 100; i++) {
        snprintf(post.record, sizeof post.record, "n%d", i);
        if (ops()->publish(arg, &mine, &post, 1) != RK_OK)
            break;
    }
    fake_call_end(&mine);
    return NULL;
}

/* A watch that waits is woken; and however fast records change, the last one is seen. */
static void
test_waits_for_news(void **state)
{
    struct rk_post posts[4];
    pthread_t thread;
    char last[RK_RECORD_MAX + 1] = "";

    (void)state;
    expect_nothing(b);
    assert_int_equal(pthread_create(&thread, NULL, publish_later, a), 0);
    while (strcmp(last, "n99") != 0) {
        size_t n = watch(b, posts, 4);

        assert_true(n > 0);
        strcpy(last, posts[n - 1].record);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    expect_nothing(b);
}

static void
test_leftovers_are_removed(void **state)
{
    const char *path = scratch_text(&scratch, "A/l.rec.tmp-00000000", "half");
    void *inst;

    (void)state;
    assert_int_equal(try_start("A", "B", &inst), RK_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    spool_LTX_rk_plugin.fini(inst);
}

static int
setup(void **state)
{
    (void)state;
    scratch_make(&scratch);
    fake_call(&call, 10000);
    fake_log_clear();
    return mkdir(scratch_path(&scratch, "A"), 0755) || mkdir(scratch_path(&scratch, "B"), 0755) ||
           try_start("A", "B", &a) || try_start("B", "A", &b);
}

static int
teardown(void **state)
{
    (void)state;
    spool_LTX_rk_plugin.fini(a);
    spool_LTX_rk_plugin.fini(b);
    fake_call_end(&call);
    scratch_remove(&scratch);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_schema),
        TEST(test_both_ways),
        TEST(test_all_present_count_as_new),
        TEST(test_identical_content_is_new),
        TEST(test_written_in_place),
        TEST(test_bad_files_are_told_once),
        TEST(test_foreign_owner),
        TEST(test_names_stay_inside),
        TEST(test_bad_directories),
        TEST(test_outbox_changes),
        TEST(test_inbox_is_recreated),
        TEST(test_overflow),
        TEST(test_cancel_and_budget),
        TEST(test_waits_for_news),
        TEST(test_leftovers_are_removed),
    };

    umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
