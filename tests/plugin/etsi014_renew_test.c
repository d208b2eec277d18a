/* etsi014_renew_test.c - the etsi014 plugin while its certificates change, and what it tells of their ends. */
#include "etsi014_kme.h"
#include "etsi014_memory.h"

#include "plugins/source/etsi014/etsi014.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define BUDGET_MS 20000
#define DAY 86400

static struct kme kme;
static struct rk_call call;
static void *inst;
static struct rk_key key;
static const struct rk_source_ops *ops;

/* Copy file FROM of the folder over file TO, or only its first part; in place, as a careless script does. */
static void
copy(const char *from, const char *to, size_t most)
{
    char path[PATH_MAX], bytes[8192];
    size_t len;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", kme.dir, from);
    f = fopen(path, "r");
    assert_non_null(f);
    setvbuf(f, NULL, _IONBF, 0); /* no second copy of a key */
    len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    snprintf(path, sizeof path, "%s/%s", kme.dir, to);
    f = fopen(path, "w");
    assert_non_null(f);
    setvbuf(f, NULL, _IONBF, 0);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    len = len < most ? len : most;
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    explicit_bzero(bytes, sizeof bytes);
}

static void
close_inst(void)
{
    fake_host.secret_free(&key.secret);
    if (inst)
        etsi014_LTX_rk_plugin.fini(inst);
    inst = NULL;
}

/* An instance whose files are own.pem, own.key and own-ca.pem: copies of these. */
static void
open_with(const char *listener, const char *cert, const char *cert_key)
{
    static char paths[3][PATH_MAX];
    static const char *const extra[] = {"cert", paths[0], "key", paths[1], "ca", paths[2], NULL};

    close_inst();
    copy(cert, "own.pem", SIZE_MAX);
    copy(cert_key, "own.key", SIZE_MAX);
    copy("ca.pem", "own-ca.pem", SIZE_MAX);
    snprintf(paths[0], sizeof paths[0], "%s/own.pem", kme.dir);
    snprintf(paths[1], sizeof paths[1], "file:%s/own.key", kme.dir);
    snprintf(paths[2], sizeof paths[2], "%s/own-ca.pem", kme.dir);
    if (etsi_open(&kme, listener, extra, &call, &inst))
        fail_msg("init: %s", call.text);
}

static int
get_new(void)
{
    fake_host.secret_free(&key.secret);
    return ops->get_new(inst, &call, "SAE_B", 256, &key, 1);
}

/* The second in which the files are not looked at again is over. */
static void
let_look(void)
{
    struct etsi *e = inst;

    pthread_mutex_lock(&e->lock);
    e->certs.look_ms = 0;
    pthread_mutex_unlock(&e->lock);
}

static void
assert_logged(const char *text, int times)
{
    int n = 0;

    for (const char *at = fake_log(); (at = strstr(at, text)); at++)
        n++;
    if (n != times)
        fail_msg("\"%s\" is there %d times, not %d:\n%s", text, n, times, fake_log());
}

static unsigned
handshakes(void)
{
    return atomic_load(&((struct etsi *)inst)->handshakes);
}

static int
set_up(void **state)
{
    (void)state;
    fake_call(&call, BUDGET_MS);
    fake_log_clear();
    kme_play(&kme, "ok");
    kme_log(&kme);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    close_inst();
    fake_call_end(&call);
    return 0;
}

static void
test_renewed(void **state)
{
    (void)state;
    open_with("kme", "sae.pem", "sae.key");
    assert_int_equal(get_new(), RK_OK);
    assert_string_equal(kme_peer(&kme), "SAE_A");
    copy("sae2.pem", "own.pem", SIZE_MAX);
    copy("sae2.key", "own.key", SIZE_MAX);
    let_look();
    assert_int_equal(get_new(), RK_OK);
    assert_string_equal(kme_peer(&kme), "SAE_A_RENEWED"); /* so not on the kept connection */
    assert_int_equal(handshakes(), 2);
    assert_logged("res=renewed", 1);
    assert_int_equal(get_new(), RK_OK);
    assert_int_equal(handshakes(), 2);
}

/* Replaced by rename, as programs that renew do. */
static void
test_renewed_by_rename(void **state)
{
    static const char *const names[] = {"pem", "key"};
    char from[PATH_MAX], to[PATH_MAX];

    (void)state;
    open_with("kme", "sae.pem", "sae.key");
    assert_int_equal(get_new(), RK_OK);
    copy("sae2.pem", "next.pem", SIZE_MAX);
    copy("sae2.key", "next.key", SIZE_MAX);
    for (int i = 0; i < 2; i++) {
        snprintf(from, sizeof from, "%s/next.%s", kme.dir, names[i]);
        snprintf(to, sizeof to, "%s/own.%s", kme.dir, names[i]);
        assert_int_equal(rename(from, to), 0);
    }
    let_look();
    assert_int_equal(get_new(), RK_OK);
    assert_string_equal(kme_peer(&kme), "SAE_A_RENEWED");
}

/* What is not whole, does not fit or is not safe is refused, once, and what was in use stays so. */
static void
test_refused(void **state)
{
    char path[PATH_MAX];

    (void)state;
    open_with("kme", "sae.pem", "sae.key");
    assert_int_equal(get_new(), RK_OK);
    copy("sae2.pem", "own.pem", 300);
    let_look();
    assert_int_equal(get_new(), RK_OK);
    assert_logged("res=refused", 1);
    assert_logged("cut off or broken", 1);
    copy("sae2.pem", "own.pem", 0);
    let_look();
    assert_int_equal(get_new(), RK_OK);
    assert_logged("not a regular file of 1", 1);
    copy("sae2.pem", "own.pem", SIZE_MAX);
    for (int i = 0; i < 3; i++) {
        let_look();
        assert_int_equal(get_new(), RK_OK);
    }
    assert_logged("does not belong to the certificate", 1);
    copy("sae2.key", "own.key", SIZE_MAX);
    snprintf(path, sizeof path, "%s/own.key", kme.dir);
    assert_int_equal(chmod(path, 0640), 0);
    let_look();
    assert_int_equal(get_new(), RK_OK);
    assert_logged("is not safe", 1);
    assert_logged("res=refused", 4);
    assert_string_equal(kme_peer(&kme), "SAE_A");
    assert_int_equal(handshakes(), 1);
    assert_int_equal(chmod(path, 0600), 0);
    let_look();
    assert_int_equal(get_new(), RK_OK);
    assert_logged("res=renewed", 1);
    assert_string_equal(kme_peer(&kme), "SAE_A_RENEWED");
}

/* A line out of the middle of a key file, inverted so that this copy is not found. */
static void
inverted_line(const char *name, unsigned char line[40])
{
    char path[PATH_MAX], bytes[200];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", kme.dir, name);
    f = fopen(path, "r");
    assert_non_null(f);
    setvbuf(f, NULL, _IONBF, 0);
    assert_int_equal(fread(bytes, 1, 160, f), 160);
    fclose(f);
    for (int i = 0; i < 40; i++)
        line[i] = (unsigned char)~bytes[95 + i]; /* in the second line of base64 */
    explicit_bzero(bytes, sizeof bytes);
}

static int fails_with;

static int
secret_read_fails(struct rk_call *c, const char *name, const char *value, struct rk_secret **out)
{
    return fails_with ? fails_with : fake_host.secret_read(c, name, value, out);
}

/* What could not be read for want of memory is read later, though the files have not changed again; said once. */
static void
test_read_later(void **state)
{
    static const int errs[] = {RK_E_NOMEM, RK_E_IO};
    static struct rk_host poor;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fake_log_clear();
        open_with("kme", "sae.pem", "sae.key");
        poor = fake_host;
        poor.secret_read = secret_read_fails;
        ((struct etsi *)inst)->host = ((struct etsi *)inst)->certs.host = &poor;
        copy("sae2.pem", "own.pem", SIZE_MAX);
        copy("sae2.key", "own.key", SIZE_MAX);
        fails_with = errs[i];
        for (int k = 0; k < 3; k++) {
            let_look();
            assert_int_equal(get_new(), RK_OK);
        }
        assert_logged("res=refused", 1);
        assert_string_equal(kme_peer(&kme), "SAE_A");
        fails_with = RK_OK;
        let_look();
        assert_int_equal(get_new(), RK_OK);
        assert_logged("res=renewed", 1);
        assert_string_equal(kme_peer(&kme), "SAE_A_RENEWED");
    }
}

/* A certificate with its key behind it: not taken, and no trace of the key is left. */
static void
test_key_among_certificates(void **state)
{
    unsigned char line[40];

    (void)state;
    open_with("kme", "sae.pem", "sae.key");
    inverted_line("sae2.key", line);
    copy("sae2.key", "own.pem", SIZE_MAX);
    let_look();
    assert_int_equal(get_new(), RK_OK);
    assert_logged("holds a private key; leave only certificates in it", 1);
    assert_int_equal(memory_count(line, sizeof line), 0);
    assert_string_equal(kme_peer(&kme), "SAE_A");
}

/* Files that are gone: what was read is used for as long as it is good. */
static void
test_gone(void **state)
{
    static const char *const names[] = {"own.pem", "own.key", "own-ca.pem"};
    char path[PATH_MAX];

    (void)state;
    open_with("kme", "sae.pem", "sae.key");
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", kme.dir, names[i]);
        assert_int_equal(unlink(path), 0);
        let_look();
        assert_int_equal(get_new(), RK_OK);
    }
    assert_logged("res=refused", 3);
}

static void
test_ca_renewed(void **state)
{
    (void)state;
    open_with("kme", "sae.pem", "sae.key");
    assert_int_equal(get_new(), RK_OK);
    copy("rogue-ca.pem", "own-ca.pem", SIZE_MAX);
    let_look();
    assert_int_equal(get_new(), RK_E_AUTH); /* the kept connection was made by what the old one trusted */
    copy("ca.pem", "own-ca.pem", SIZE_MAX);
    let_look();
    assert_int_equal(get_new(), RK_OK);
}

/* Not every call looks at the files. */
static void
test_looked_at_once_a_second(void **state)
{
    struct etsi *e;
    int64_t from;

    (void)state;
    open_with("kme", "sae.pem", "sae.key");
    e = inst;
    from = http_now_ms();
    assert_int_equal(get_new(), RK_OK);
    assert_in_range(e->certs.look_ms, from + 1000, http_now_ms() + 1000);
    e->certs.look_ms = INT64_MAX;
    copy("sae2.pem", "own.pem", SIZE_MAX);
    copy("sae2.key", "own.key", SIZE_MAX);
    assert_int_equal(get_new(), RK_OK);
    assert_string_equal(kme_peer(&kme), "SAE_A");
    let_look();
    assert_int_equal(get_new(), RK_OK);
    assert_string_equal(kme_peer(&kme), "SAE_A_RENEWED");
}

static void *
call_until_canceled(void *arg)
{
    struct rk_key mine;

    return (void *)(intptr_t)ops->get_new(inst, arg, "SAE_B", 256, &mine, 1);
}

/* A connection that is in use while the files change ends with its call. */
static void
test_in_use_while_renewed(void **state)
{
    struct rk_call other;
    struct etsi *e;
    pthread_t thread;
    void *ret;

    (void)state;
    open_with("kme", "sae.pem", "sae.key");
    e = inst;
    kme_play(&kme, "slow");
    fake_call(&other, BUDGET_MS);
    assert_int_equal(pthread_create(&thread, NULL, call_until_canceled, &other), 0);
    kme_wait(&kme);
    copy("sae2.pem", "own.pem", SIZE_MAX);
    copy("sae2.key", "own.key", SIZE_MAX);
    let_look();
    rkp_certs_look(&e->certs, &call);
    fake_cancel(&other);
    assert_int_equal(pthread_join(thread, &ret), 0);
    assert_int_equal((intptr_t)ret, RK_E_UNKNOWN);
    assert_logged("res=renewed", 1);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        assert_null(e->slots[i].easy);
    fake_call_end(&other);
}

#define WORKERS 6
#define ROUNDS 25
#define RENEWALS 8

static void *
work(void *arg)
{
    struct rk_key mine = {.err = 0};
    int err = RK_OK;

    for (int i = 0; !err && i < ROUNDS; i++) {
        err = ops->get_new(inst, arg, "SAE_B", 256, &mine, 1);
        fake_host.secret_free(&mine.secret);
    }
    return (void *)(intptr_t)err;
}

/* Calls that go on meanwhile all get their keys, with the old certificate or the new one. */
static void
test_many_calls_while_renewed(void **state)
{
    static const char *const certs[] = {"sae2.pem", "sae.pem"}, *const keys[] = {"sae2.key", "sae.key"};
    pthread_t threads[WORKERS];
    struct rk_call calls[WORKERS];

    (void)state;
    open_with("kme", "sae.pem", "sae.key");
    for (int i = 0; i < WORKERS; i++) {
        fake_call(&calls[i], BUDGET_MS);
        assert_int_equal(pthread_create(&threads[i], NULL, work, &calls[i]), 0);
    }
    for (int i = 0; i < RENEWALS; i++) {
        copy(keys[i % 2], "own.key", SIZE_MAX);
        let_look();
        copy(certs[i % 2], "own.pem", SIZE_MAX);
        let_look();
        assert_int_equal(get_new(), RK_OK);
    }
    for (int i = 0; i < WORKERS; i++) {
        void *ret;

        assert_int_equal(pthread_join(threads[i], &ret), 0);
        if ((intptr_t)ret != RK_OK)
            fail_msg("%s", calls[i].text);
        fake_call_end(&calls[i]);
    }
    let_look();
    assert_int_equal(get_new(), RK_OK);
    assert_string_equal(kme_peer(&kme), "SAE_A"); /* what the files hold in the end */
}

/* The key that was replaced is not in memory any more, but for what the new one has in common with it. */
static void
test_old_key_is_wiped(void **state)
{
    unsigned char old[40], new[40];

    (void)state;
    open_with("kme", "sae.pem", "sae.key");
    inverted_line("sae.key", old);
    inverted_line("sae2.key", new);
    assert_int_equal(get_new(), RK_OK);
    assert_int_equal(memory_count(old, sizeof old), 1);
    copy("sae2.pem", "own.pem", SIZE_MAX);
    copy("sae2.key", "own.key", SIZE_MAX);
    let_look();
    assert_int_equal(get_new(), RK_OK);
    assert_int_equal(memory_count(old, sizeof old), 0);
    assert_int_equal(memory_count(new, sizeof new), 1);
    close_inst();
    assert_int_equal(memory_count(new, sizeof new), 0);
}

/* Does a call tell that this ends so many seconds from now? */
static void
assert_ends(const char *what, int64_t in_s)
{
    int64_t ends_s = (int64_t)time(NULL) + in_s;

    if (!strstr(call.ends_what, what))
        fail_msg("\"%s\" is told, not \"%s\"", call.ends_what, what);
    assert_in_range(call.ends_unix_s, ends_s - 600, ends_s + 600);
}

static void
new_call(void)
{
    fake_call_end(&call);
    fake_call(&call, BUDGET_MS);
}

/* Of the SAE's certificate, its CA and the KME's, the first that ends is told: at init, and with each call. */
static void
test_ends_are_told(void **state)
{
    char kme_text[80];

    (void)state;
    open_with("kme", "sae-short.pem", "sae-short.key");
    assert_ends("/own.pem", DAY / 4);
    for (int i = 0; i < 2; i++) {
        new_call();
        assert_int_equal(get_new(), RK_OK);
        assert_ends("/own.pem", DAY / 4);
    }
    open_with("short", "sae.pem", "sae.key");
    new_call();
    for (int i = 0; i < 2; i++) { /* the second has no handshake */
        assert_int_equal(get_new(), RK_OK);
        snprintf(kme_text, sizeof kme_text, "the certificate of https://127.0.0.1:%d", kme_port(&kme, "short"));
        assert_ends(kme_text, DAY / 2);
        new_call();
    }
    open_with("long", "sae-long.pem", "sae-long.key");
    assert_ends("/own-ca.pem", DAY);
    new_call();
    assert_int_equal(get_new(), RK_OK);
    assert_ends("ca", DAY);
}

/* A renewal is told with the next call, at this side and at the KME's. */
static void
test_renewal_is_told(void **state)
{
    (void)state;
    open_with("kme", "sae-short.pem", "sae-short.key");
    new_call();
    assert_int_equal(get_new(), RK_OK);
    assert_ends("/own.pem", DAY / 4);
    copy("sae-long.pem", "own.pem", SIZE_MAX);
    copy("sae-long.key", "own.key", SIZE_MAX);
    let_look();
    new_call();
    assert_int_equal(get_new(), RK_OK);
    assert_true(call.ends_unix_s > (int64_t)time(NULL) + DAY / 2);
    open_with("kme2", "sae-long.pem", "sae-long.key");
    kme_cert(&kme, "kme2", "short");
    new_call();
    assert_int_equal(get_new(), RK_OK);
    assert_ends("the certificate of", DAY / 2);
    kme_cert(&kme, "kme2", "long");
    kme_down(&kme, "kme2");
    kme_up(&kme, "kme2");
    new_call();
    assert_int_equal(get_new(), RK_OK);
    assert_true(call.ends_unix_s > (int64_t)time(NULL) + DAY * 3 / 4);
}

/* A KME whose certificate has ended is refused, and that it has ended is told. */
static void
test_ended_is_told(void **state)
{
    (void)state;
    open_with("expired", "sae.pem", "sae.key");
    new_call();
    assert_int_equal(get_new(), RK_E_AUTH);
    assert_ends("the certificate of", -DAY);
    open_with("rogue", "sae-short.pem", "sae-short.key");
    new_call();
    assert_int_equal(get_new(), RK_E_AUTH);
    assert_ends("/own.pem", DAY / 4); /* anybody's certificate says nothing */
}

/* A host that is older than these services is served without them. */
static void
test_older_host(void **state)
{
    static struct rk_host older;

    (void)state;
    open_with("kme", "sae.pem", "sae.key");
    older = fake_host;
    older.size = offsetof(struct rk_host, expires);
    older.expires = NULL;
    older.secret_read = NULL;
    ((struct etsi *)inst)->host = ((struct etsi *)inst)->certs.host = &older;
    copy("sae2.pem", "own.pem", SIZE_MAX);
    let_look();
    assert_int_equal(get_new(), RK_OK);
    assert_logged("ev=certificate", 0);
}

static int
group_up(void **state)
{
    (void)state;
    ops = etsi014_LTX_rk_plugin.ops;
    return kme_start(&kme);
}

static int
group_down(void **state)
{
    (void)state;
    kme_stop(&kme);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_renewed),
        TEST(test_renewed_by_rename),
        TEST(test_refused),
        TEST(test_read_later),
        TEST(test_key_among_certificates),
        TEST(test_gone),
        TEST(test_ca_renewed),
        TEST(test_looked_at_once_a_second),
        TEST(test_in_use_while_renewed),
        TEST(test_many_calls_while_renewed),
        TEST(test_old_key_is_wiped),
        TEST(test_ends_are_told),
        TEST(test_renewal_is_told),
        TEST(test_ended_is_told),
        TEST(test_older_host),
    };

    if (system("python3 -c 'import ssl' 2>/dev/null") != 0) {
        puts("1..0 # SKIP python3 with ssl is not there");
        return 0;
    }
    return cmocka_run_group_tests(tests, group_up, group_down);
}
