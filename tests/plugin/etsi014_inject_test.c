/* etsi014_inject_test.c - each allocation and each system call of a whole fetch fails, one after the other.
 *
 * A fetch is an instance that is made, asked for one key and ended; at the master it is enc_keys, at the slave
 * dec_keys, both at a KME over TLS.  One call of it fails in each run, whoever makes it: the plugin, libcurl or
 * OpenSSL.  After each run: the process lives, what was not done is said, no descriptor is left open, and the key that
 * the KME gave is with the caller or counted.  When all are over no more memory is in use than before.
 *
 * The runs are in children, so that one that dies is named, and the others go on.  Of the 20,000 allocations each 37th,
 * beginning at another one at each end; all of them with REKEY_LONG=1 in the environment.
 */
#include "etsi014_lab.h"
#include "inject.h"

#include <rekey/err.h>

#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUDGET_MS 5000
#define LEAK_MAX 10 /* blocks, after all runs of a kind */
#define KEPT_MAX 200 /* by libraries, which load the texts of their errors when the first is met */
#define BITS 256
#define SAMPLE 37 /* a prime: what a loop of a library does is met at all its places */

static const char *const kind_names[INJECT_KINDS] = {"an allocation", "a system call", "a call that is interrupted"};

/* What the children tell. */
struct report {
    long at, runs;                          /* the run under way; how many there were */
    long bad, died, leaked;
    long came, refused;                     /* runs with and without a key */
    char first[400];                        /* what was wrong first */
};

static struct lab lab;
static struct report *report;
static void *watcher; /* an instance that nothing happens to */
static struct rk_call watch_call;
static const struct rk_source_ops *ops;

__attribute__((format(printf, 1, 2))) static void
wrong(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    if (report->bad++ == 0)
        vsnprintf(report->first, sizeof report->first, fmt, args);
    va_end(args);
}

static long
open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    long n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

/* Keys in the pool of the master's KME. */
static long
stored(void)
{
    struct rk_source_status st;

    fake_call(&watch_call, BUDGET_MS);
    if (ops->status(watcher, &watch_call, "SAE_B", &st) != RK_OK) {
        wrong("no status: %s", watch_call.text);
        st.stored_keys = -1;
    }
    fake_call_end(&watch_call);
    return (long)st.stored_keys;
}

/* A key for the slave to ask for. */
static void
give(char id[RK_KEY_ID_MAX + 1])
{
    struct rk_key key = {.err = RK_OK};

    fake_call(&watch_call, BUDGET_MS);
    if (ops->get_new(watcher, &watch_call, "SAE_B", BITS, &key, 1) != RK_OK)
        wrong("no key to ask for: %s", watch_call.text);
    memcpy(id, key.id, sizeof key.id);
    fake_host.secret_free(&key.secret);
    fake_call_end(&watch_call);
}

/* One fetch.   out: key, *call as it was left.   ret: what init or the operation returned */
static int
fetch(enum inject_kind kind, long at, bool master, struct rk_call *call, struct rk_key *key)
{
    void *inst = NULL;
    long seen;
    int err;

    inject_arm(kind, at);
    err = lab_open(&lab, master ? "strict-a" : "strict-b", master ? "SAE_A" : "SAE_B", NULL, call, &inst);
    if (!err)
        err = (master ? ops->get_new : ops->get_by_id)(inst, call, master ? "SAE_B" : "SAE_A", BITS, key, 1);
    seen = inject_disarm();
    if (at == 0)
        report->runs = seen;
    if (inst)
        etsi014_LTX_rk_plugin.fini(inst);
    return err;
}

/* The outcome fits, and says why. */
static void
check_outcome(const struct rk_call *call, const struct rk_key *key, int err, const char *what, long at)
{
    bool known = err == RK_OK || (err <= RK_E_UNREACHABLE && err >= RK_E_NOKEY && err != RK_E_CONTRACT);

    if (!known || !!key->secret != (err == RK_OK))
        wrong("%s %ld (%s): returned %d, key %s", what, at, inject_struck(), err, key->secret ? "there" : "not there");
    if (err != RK_OK && !call->text[0])
        wrong("%s %ld (%s): returned %d without a word", what, at, inject_struck(), err);
}

static void
run_master(enum inject_kind kind, long at)
{
    struct rk_key key = {.err = RK_OK};
    long before = stored(), taken, known;
    struct rk_call call;
    int err;

    fake_call(&call, BUDGET_MS);
    err = fetch(kind, at, true, &call, &key);
    check_outcome(&call, &key, err, "enc_keys", at);
    taken = before - stored();
    known = (err == RK_OK) + (err == RK_E_UNKNOWN) + (long)call.wasted;
    if (taken > known)
        wrong("enc_keys %ld (%s): %ld keys left the pool, %ld are known of; returned %d: %s", at, inject_struck(),
              taken, known, err, call.text);
    report->came += err == RK_OK;
    report->refused += err != RK_OK;
    fake_host.secret_free(&key.secret);
    fake_call_end(&call);
}

/* Was it not taken, although nothing was said of a key that may be lost?  Then it can be had. */
static void
check_still_there(struct rk_call *call, struct rk_key *key, int err, long at)
{
    char why[sizeof call->text];
    bool may_be_lost = err == RK_OK || err == RK_E_UNKNOWN || err == RK_E_KEY_GONE || call->wasted > 0;
    void *inst = NULL;

    if (may_be_lost)
        return;
    snprintf(why, sizeof why, "%s", call->text);
    fake_call_end(call);
    fake_call(call, BUDGET_MS);
    if (lab_open(&lab, "strict-b", "SAE_B", NULL, call, &inst) != RK_OK ||
        ops->get_by_id(inst, call, "SAE_A", BITS, key, 1) != RK_OK)
        wrong("dec_keys %ld: the key is lost after %d: %s", at, err, why);
    if (inst)
        etsi014_LTX_rk_plugin.fini(inst);
}

static void
run_slave(enum inject_kind kind, long at)
{
    struct rk_key key = {.err = RK_OK};
    struct rk_call call;
    int err;

    give(key.id);
    fake_call(&call, BUDGET_MS);
    err = fetch(kind, at, false, &call, &key);
    check_outcome(&call, &key, err, "dec_keys", at);
    report->came += err == RK_OK;
    report->refused += err != RK_OK;
    check_still_there(&call, &key, err, at);
    fake_host.secret_free(&key.secret);
    fake_call_end(&call);
}

static void
run(enum inject_kind kind, bool master, long at)
{
    long files;

    report->at = at;
    files = open_files();
    (master ? run_master : run_slave)(kind, at);
    if (open_files() != files)
        wrong("%s %ld (%s): %ld descriptors, %ld before", master ? "enc_keys" : "dec_keys", at, inject_struck(),
              open_files(), files);
    fake_log_clear();
}

static long
step_of(enum inject_kind kind)
{
    return kind == INJECT_MEMORY && !getenv("REKEY_LONG") ? SAMPLE : 1;
}

/* From this run on to the last, in a child. */
static void
run_from(enum inject_kind kind, bool master, long first)
{
    long live = 0;

    fake_call(&watch_call, BUDGET_MS);
    if (lab_open(&lab, "strict-a", "SAE_A", NULL, &watch_call, &watcher) != RK_OK)
        wrong("no second instance: %s", watch_call.text);
    fake_call_end(&watch_call);
    (void)stored();
    for (int i = 0; i < 3; i++) /* what libraries make once, and how many calls there are */
        run(kind, master, 0);
    for (int pass = kind == INJECT_MEMORY; pass < 2; pass++) { /* texts of errors are loaded once */
        live = inject_live();
        for (long at = first; at <= report->runs; at += step_of(kind))
            run(kind, master, at);
    }
    report->leaked += inject_live() - live;
    report->at = -1;
    etsi014_LTX_rk_plugin.fini(watcher);
}

static void
run_all(enum inject_kind kind, bool master)
{
    long first = master || step_of(kind) == 1 ? 1 : SAMPLE / 2;

    memset(report, 0, sizeof *report);
    for (int deaths = 0; first > 0 && deaths < 20; deaths++) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
            run_from(kind, master, first);
            _exit(0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status == 0)
            break;
        report->died++;
        wrong("run %ld ended the process: status %#x", report->at, status);
        first = report->at + step_of(kind);
    }
}

static int n_tests, n_bad;

static void
result(enum inject_kind kind, bool master)
{
    long most = kind == INJECT_MEMORY ? KEPT_MAX : LEAK_MAX;
    bool good = report->bad == 0 && report->at == -1 && report->leaked <= most && report->came > 0;

    n_bad += !good;
    printf("%sok %d - %s: %s fails\n", good ? "" : "not ", ++n_tests, master ? "enc_keys" : "dec_keys",
           kind_names[kind]);
    printf("# %ld calls, %s of them failed; a key came all the same %ld times, %ld times none; %ld blocks more\n",
           report->runs, step_of(kind) > 1 ? "each 37th" : "each", report->came, report->refused, report->leaked);
    if (report->bad)
        printf("# %ld wrong, %ld of them deaths; the first: %s\n", report->bad, report->died, report->first);
    fflush(stdout);
}

int
main(void)
{
    if (!inject_can_run()) {
        puts("1..0 # SKIP malloc cannot be replaced here (a sanitizer, or another C library than glibc)");
        return 0;
    }
    if (!lab_can_run())
        return 0;
    lab_pairs[0].options = ", pool: {keys: 1000000, refill: 0}";
    ops = etsi014_LTX_rk_plugin.ops;
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED || lab_start(&lab) < 0) {
        puts("1..0\nBail out! rekey-kme does not start");
        return 1;
    }
    for (enum inject_kind kind = 0; kind < INJECT_KINDS; kind++)
        for (int master = 1; master >= 0; master--) {
            run_all(kind, master);
            result(kind, master);
        }
    lab_stop(&lab);
    printf("1..%d\n", n_tests);
    return n_bad > 0;
}
