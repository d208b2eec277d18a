/* keygen_test.c - rekeyctl keygen, and that two file sources take its pools: what one end gets, the other gets too */
#include "fakehost.h"
#include "scratch.h"

#include "core/base/secret.h"
#include "core/cli/cli.h"
#include "plugins/common/keytext.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

extern const struct rk_plugin file_LTX_rk_plugin;

static struct scratch scratch;
static struct rk_call call;
static char out[4096], err[4096];

/* Start rekeyctl keygen with these words in a process of its own, as it makes itself undumpable. */
static pid_t
begin(const char *words)
{
    char text[1000] = "rekeyctl keygen ", *argv[20];
    FILE *to[2];
    int argc = 0;
    pid_t child = fork();

    if (child != 0)
        return child;
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s", words);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    if (chdir(scratch.dir) < 0)
        _exit(99);
    to[0] = fopen("out", "w");
    to[1] = fopen("err", "w");
    if (!to[0] || !to[1] || setvbuf(to[1], NULL, _IONBF, 0))
        _exit(99);
    _exit(rk_cli_main(argc, argv, to[0], to[1])); /* which flushes the output */
}

static int
end(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    scratch_read(scratch_path(&scratch, "out"), out, sizeof out);
    scratch_read(scratch_path(&scratch, "err"), err, sizeof err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
keygen(const char *words)
{
    return end(begin(words));
}

static void
works(const char *words)
{
    if (keygen(words) != RK_CLI_OK)
        fail_msg("%s: %s", words, err);
}

static void
fails(const char *words, const char *why)
{
    assert_int_equal(keygen(words), RK_CLI_FAILED);
    if (!strstr(err, why))
        fail_msg("%s: \"%s\" does not say \"%s\"", words, err, why);
}

static bool
is_there(const char *name)
{
    struct stat st;

    return lstat(scratch_path(&scratch, name), &st) == 0;
}

static int
entries(void)
{
    DIR *dir = opendir(scratch.dir);
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static void *
start(const char *name, const char *take, const char *pool)
{
    const char *pairs[] = {RK_CONF_NAME, name, RK_CONF_STATE_DIR, scratch_path(&scratch, "state"), "take", take,
                           "pool", scratch_path(&scratch, pool), NULL};
    struct rk_conf conf = {pairs, file_LTX_rk_plugin.opts};
    void *inst = NULL;

    if (file_LTX_rk_plugin.init(&fake_host, &call, &conf, &inst) != RK_OK)
        fail_msg("%s", call.text);
    return inst;
}

static const struct rk_source_ops *
ops(void)
{
    return file_LTX_rk_plugin.ops;
}

static int
copy(const unsigned char *bytes, size_t len, void *arg)
{
    memcpy(arg, bytes, len);
    return (int)len;
}

/* What the master takes new, the slave gets by its ID. */
static void
one_key(void *master, void *slave, uint32_t bits)
{
    struct rk_key made = {.err = 0}, asked = {.err = 0};
    unsigned char bytes[512];
    char hex[1025];

    if (ops()->get_new(master, &call, "B", bits, &made, 1) != RK_OK)
        fail_msg("%s", call.text);
    assert_true(rkp_uuid_ok(made.id));
    assert_int_equal(made.id[14], '4');
    strcpy(asked.id, made.id);
    if (ops()->get_by_id(slave, &call, "A", bits, &asked, 1) != RK_OK)
        fail_msg("%s", call.text);
    assert_int_equal(rk_secret_use(made.secret, copy, bytes), (int)bits / 8);
    assert_true(fake_secret_is(asked.secret, bytes, bits / 8));
    rkp_hex_put(bytes, bits / 8, hex);
    assert_null(strstr(out, hex)); /* the command did not show it */
    assert_null(strstr(err, hex));
    rk_secret_free(&made.secret);
    rk_secret_free(&asked.secret);
}

static void
round_trip(const char *a, const char *b, uint32_t bits, int n)
{
    void *site_a = start("a", "first", a), *site_b = start("b", "last", b);
    struct rk_key key;

    for (int i = 0; i < n; i++)
        i % 3 ? one_key(site_a, site_b, bits) : one_key(site_b, site_a, bits);
    memset(&key, 0, sizeof key);
    assert_int_equal(ops()->get_new(site_a, &call, "B", bits, &key, 1), RK_E_EMPTY);
    file_LTX_rk_plugin.fini(site_a);
    file_LTX_rk_plugin.fini(site_b);
}

static void
test_round_trip(void **state)
{
    struct stat st;

    (void)state;
    works("--keys 7 --out-a a --out-b b");
    assert_non_null(strstr(out, "7 new keys of 256 bits"));
    assert_int_equal(stat(scratch_path(&scratch, "a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    round_trip("a", "b", 256, 7);
    works("--keys 5 --out-a a --out-b b --append --json"); /* the used ones stay used */
    assert_non_null(strstr(out, "\"ok\":true"));
    assert_non_null(strstr(out, "\"keys\":12}"));
    round_trip("a", "b", 256, 5);
    works("--keys 3 --bits 4096 --out-a c --out-b d");
    round_trip("c", "d", 4096, 3);
}

static void
test_directories(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(mkdir(scratch_path(&scratch, "empty"), 0755), 0);
    works("--keys 4 --bits 128 --out-a new/ --out-b empty");
    assert_int_equal(stat(scratch_path(&scratch, "empty"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    round_trip("new", "empty", 128, 4);
    fails("--keys 4 --out-a new --out-b other/", "a directory that is not empty");
    fails("--keys 4 --out-a new --out-b empty --append", "--append is for files");
    assert_false(is_there("other"));
}

static void
test_nothing_is_written_over(void **state)
{
    char before[200], after[200];
    int n;

    (void)state;
    scratch_text(&scratch, "old", "k 0123\n");
    assert_int_equal(symlink("old", scratch_path(&scratch, "link")), 0);
    assert_int_equal(symlink("nowhere", scratch_path(&scratch, "broken")), 0);
    fails("--keys 1 --out-a a --out-b old", "is there already");
    n = entries();
    fails("--keys 1 --out-a old --out-b b", "is there already");
    fails("--keys 1 --out-a a --out-b link", "is there already");
    fails("--keys 1 --out-a a --out-b broken", "is there already");
    fails("--keys 1 --out-a a --out-b link --append", "is not there to append to");
    fails("--keys 1 --out-a link --out-b a --append", "no regular file");
    fails("--keys 1 --out-a a --out-b ./a", "name one place");
    fails("--keys 1 --out-a a --out-b none/b", "its folder cannot be opened");
    fails("--keys 1 --out-a a --out-b ..", "is no name");
    scratch_text(&scratch, "json", "{\"keys\":[]}\n");
    fails("--keys 1 --out-a old --out-b json --append", "holds JSON");
    scratch_text(&scratch, "json", "torn");
    fails("--keys 1 --out-a old --out-b json --append", "cut off");
    scratch_read(scratch_path(&scratch, "old"), before, sizeof before);
    assert_string_equal(before, "k 0123\n");
    assert_int_equal(entries(), n + 1); /* nothing is left behind */
    assert_int_equal(chmod(scratch_path(&scratch, "old"), 0644), 0);
    fails("--keys 1 --out-a old --out-b json --append", "chmod 600");
    assert_int_equal(mkdir(scratch_path(&scratch, "open"), 0700), 0);
    assert_int_equal(chmod(scratch_path(&scratch, "open"), 0777), 0);
    fails("--keys 1 --out-a a --out-b open/b", "chmod go-w");
    scratch_read(scratch_path(&scratch, "old"), after, sizeof after);
    assert_string_equal(before, after);
}

static void
test_one_at_a_time(void **state)
{
    int fd;

    (void)state;
    works("--keys 1 --out-a a --out-b b");
    fd = open(scratch_path(&scratch, "b"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    fails("--keys 1 --out-a a --out-b b --append", "another rekeyctl");
    close(fd);
    works("--keys 1 --out-a a --out-b b --append");
}

static void
test_bounds(void **state)
{
    static const char *const wrong[] = {"", "--keys 1 --out-a a", "--keys 1 --out-b b", "--out-a a --out-b b",
        "--keys 0 --out-a a --out-b b", "--keys 1000001 --out-a a --out-b b", "--keys x --out-a a --out-b b",
        "--keys 1 --bits 64 --out-a a --out-b b", "--keys 1 --bits 136 --out-a a --out-b b",
        "--keys 1 --bits 8192 --out-a a --out-b b", "--keys 1 --out-a a --out-b b c",
        "--keys 1 --out-a a --out-b b --watch"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(keygen(wrong[i]), RK_CLI_USAGE);
    fails("--keys 1000000 --bits 512 --out-a a --out-b b", "longer than 100 MiB");
    assert_false(is_there("a") || is_there("b"));
    assert_int_equal(entries(), 3); /* out, err, state */
}

/* Interrupted in the middle, it leaves nothing behind. */
static void
test_interrupt(void **state)
{
    struct timespec pause = {.tv_nsec = 1000000};
    pid_t child;

    (void)state;
    child = begin("--keys 1000000 --out-a a/ --out-b b --json");
    for (int i = 0; entries() < 5 && i < 10000; i++) /* out, err, state, and two hidden ones */
        nanosleep(&pause, NULL);
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_int_equal(end(child), RK_CLI_FAILED);
    assert_non_null(strstr(out, "\"ok\":false"));
    assert_non_null(strstr(out, "interrupted; nothing was made"));
    assert_int_equal(entries(), 3);
}

static int
setup(void **state)
{
    (void)state;
    scratch_make(&scratch);
    fake_call(&call, 10000);
    return mkdir(scratch_path(&scratch, "state"), 0700);
}

static int
teardown(void **state)
{
    (void)state;
    fake_call_end(&call);
    scratch_remove(&scratch);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),
        TEST(test_directories),
        TEST(test_nothing_is_written_over),
        TEST(test_one_at_a_time),
        TEST(test_bounds),
        TEST(test_interrupt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
