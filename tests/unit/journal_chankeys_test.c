/* journal_chankeys_test.c - wrapped channel keys in the journal: with the states of their ends, and gone with them; a
 * damaged one is left out. */
#include "core/daemon/journal_chankeys.h"
#include "core/daemon/journal_file.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/rekey-chankeys-XXXXXX", path[64];
static const struct rk_journal_end a = {"a-b-1", 'a'}, other = {"a-b-2", 'a'};

static struct rk_journal *
opened(void)
{
    struct rk_journal *j;
    char why[400] = "";

    if (rk_journal_open(path, &j, why, sizeof why) != RK_OK)
        fail_msg("open: %s", why);
    return j;
}

static void
committed(struct rk_journal *j)
{
    char why[400] = "";

    if (rk_journal_commit(j, why, sizeof why) != RK_OK)
        fail_msg("commit: %s", why);
}

static void
put_state(struct rk_journal *j, const char *link, struct rk_journal_place *at)
{
    struct rk_durable d = {.end = 'a', .role = RK_MASTER};

    snprintf(d.link, sizeof d.link, "%s", link);
    assert_int_equal(rk_journal_put_at(j, at, &d), RK_OK);
}

static struct rk_journal_chankey
key(unsigned place, const char *id, bool proven)
{
    struct rk_journal_chankey k = {.place = place, .proven = proven, .channel = "box"};

    snprintf(k.key_id, sizeof k.key_id, "%s", id);
    snprintf(k.blob, sizeof k.blob, "blob of %s", id);
    return k;
}

struct found {
    size_t n;
    char text[400];
};

static int
add(const struct rk_journal_chankey *k, void *arg)
{
    struct found *f = arg;
    size_t len = strlen(f->text);

    f->n++;
    snprintf(f->text + len, sizeof f->text - len, "%u %s %s %s%s;", k->place, k->channel, k->key_id, k->blob,
             k->proven ? " proven" : "");
    return RK_OK;
}

static const char *
loaded(struct rk_journal *j, struct rk_journal_end whose, int want)
{
    static struct found f;

    f = (struct found){.n = 0};
    assert_int_equal(rk_journal_chankeys_load(j, whose, add, &f), want);
    return f.text;
}

static void
test_rows(void **state)
{
    struct rk_journal *j = opened();
    struct rk_journal_place at = {0}, at_other = {0};
    struct rk_journal_chankey k1 = key(0, "k1", false), k2 = key(5, "k2", true), k3 = key(0, "k3", false);

    (void)state;
    assert_int_equal(rk_journal_chankey_put(j, &at, a, &k1), RK_E_CONTRACT); /* its end has no row yet */
    put_state(j, "a-b-1", &at);
    put_state(j, "a-b-2", &at_other);
    assert_int_equal(rk_journal_chankey_put(j, &at, a, &k1), RK_OK);
    assert_int_equal(rk_journal_chankey_put(j, &at, a, &k2), RK_OK);
    assert_int_equal(rk_journal_chankey_put(j, &at_other, other, &k2), RK_OK);
    committed(j);
    rk_journal_close(&j);
    j = opened();
    assert_string_equal(loaded(j, a, RK_OK), "0 box k1 blob of k1;5 box k2 blob of k2 proven;");
    assert_string_equal(loaded(j, other, RK_OK), "5 box k2 blob of k2 proven;");
    assert_string_equal(loaded(j, (struct rk_journal_end){"nobody", 'a'}, RK_OK), "");
    assert_int_equal(rk_journal_chankey_put(j, &at, a, &k3), RK_OK); /* over k1 */
    assert_int_equal(rk_journal_chankey_proven(j, &at, a, 0), RK_OK);
    k1.place = 1;
    k2.place = 9;
    assert_int_equal(rk_journal_chankey_put(j, &at, a, &k1), RK_OK);
    assert_int_equal(rk_journal_chankey_put(j, &at, a, &k2), RK_OK);
    assert_int_equal(rk_journal_chankey_drop(j, &at, 1), RK_OK); /* 1, 5 and 9 */
    committed(j);
    assert_string_equal(loaded(j, a, RK_OK), "0 box k3 blob of k3 proven;");
    assert_string_equal(loaded(j, other, RK_OK), "5 box k2 blob of k2 proven;");
    k3.place = RK_CHANKEY_PLACES;
    assert_int_equal(rk_journal_chankey_put(j, &at, a, &k3), RK_E_CONTRACT);
    assert_int_equal(rk_journal_forget(j, "a-b-2", 'a'), RK_OK);
    committed(j);
    assert_string_equal(loaded(j, other, RK_OK), "");
    assert_int_equal(rk_journal_chankeys_forget(j, &at), RK_OK);
    committed(j);
    assert_string_equal(loaded(j, a, RK_OK), "");
    rk_journal_close(&j);
}

static void
sql(const char *text)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void
test_damage(void **state)
{
    struct rk_journal *j = opened();
    struct rk_journal_place at = {0};
    const struct rk_journal_chankey k1 = key(1, "k1", true), k2 = key(2, "k2", true), k3 = key(3, "k3", true);

    (void)state;
    put_state(j, "a-b-1", &at);
    assert_int_equal(rk_journal_chankey_put(j, &at, a, &k1), RK_OK);
    assert_int_equal(rk_journal_chankey_put(j, &at, a, &k2), RK_OK);
    assert_int_equal(rk_journal_chankey_put(j, &at, a, &k3), RK_OK);
    committed(j);
    rk_journal_close(&j);
    sql("UPDATE chankeys SET blob='blob of kx' WHERE key_id='k2'; UPDATE chankeys SET key_id=NULL WHERE key_id='k3'");
    j = opened();
    assert_string_equal(loaded(j, a, RK_E_PROTOCOL), "1 box k1 blob of k1 proven;");
    assert_int_equal(rk_journal_damaged(j), 2);
    rk_journal_close(&j);
    sql("DROP TABLE chankeys"); /* as an older rekeyd has left it */
    j = opened();
    assert_string_equal(loaded(j, a, RK_OK), "");
    rk_journal_close(&j);
}

static int
make_dir(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/journal.db", mkdtemp(dir) ? dir : "");
    return dir[0] ? 0 : -1;
}

static int
remove_dir(void **state)
{
    static const char *const suffix[] = {"", "-wal", "-shm"};
    char name[80];

    (void)state;
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
        snprintf(name, sizeof name, "%s%s", path, suffix[i]);
        (void)unlink(name);
    }
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_damage)};

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
