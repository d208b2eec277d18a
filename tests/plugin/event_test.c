/* event_test.c - junos-event with a router behind a script: keys get there in one edit, and what became of an edit is
 * found out, however the script or the router ends
 */
#include "event_rig.h"

#include <poll.h>

#include <rekey/err.h>

#define IF1 "ge-0/0/1"
#define KEY_HEX "3031323334353637"

static const char conf[] =
    "<configuration><system><host-name>r1</host-name></system><security><macsec>"
    "<connectivity-association><name>CA1</name><security-mode>static-cak</security-mode></connectivity-association>"
    "<connectivity-association><name>CA2</name><security-mode>static-cak</security-mode></connectivity-association>"
    "<interfaces><name>ge-0/0/1</name><connectivity-association>CA1</connectivity-association></interfaces>"
    "<interfaces><name>ge-0/0/2</name><connectivity-association>CA2</connectivity-association></interfaces>"
    "</macsec></security></configuration>";

static struct je_router *r;
static struct box box;

static int
setup(void **state)
{
    (void)state;
    fake_log_clear();
    r = rig_device("r1");
    box_start(&box, "r1", conf);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    box_stop(&box);
    rig_fini(r);
    r = NULL;
    assert_null(strstr(fake_log(), KEY_HEX));
    assert_null(strstr(fake_log(), "$9$"));
    return 0;
}

static void
box_end(enum box_end end)
{
    pthread_mutex_lock(&box.lock);
    box.end = end;
    pthread_mutex_unlock(&box.lock);
}

static unsigned
commits(void)
{
    unsigned n;

    pthread_mutex_lock(&box.lock);
    n = box.commits;
    pthread_mutex_unlock(&box.lock);
    return n;
}

static const char *
primary(const char *ca)
{
    const char *ckn;

    pthread_mutex_lock(&box.lock);
    ckn = fake_at(ca, "pre-shared-key/ckn");
    pthread_mutex_unlock(&box.lock);
    return ckn;
}

static bool
holds(const char *ca, const char *key_id)
{
    return strcmp(primary(ca), fake_ckn(key_id)) == 0;
}

static int
stage(const char *key_id)
{
    return rig_stage(r, IF1, key_id, "keep=", RIG_CALL_MS);
}

#define IS(what, err) \
    do { \
        int err_ = (what); \
        if (err_ != (err)) \
            fail_msg("%d, not %d: %s", err_, (err), rig_text()); \
    } while (0)

static int
observe(struct rk_dev_seen *seen, int budget_ms)
{
    const struct rk_device_ops *ops = junos_event_LTX_rk_plugin.ops;
    struct rk_call call;
    int err;

    *seen = (struct rk_dev_seen){.link = "l1", .iface = IF1, .peer_facts = "", .key_ids = {"k1"}};
    fake_call(&call, budget_ms);
    err = ops->observe(r, &call, seen, 1);
    if (err)
        snprintf(seen->why, sizeof seen->why, "%.150s", call.text);
    fake_call_end(&call);
    return err;
}

/* ---- tests ---- */

static void
test_a_key_gets_there(void **state)
{
    struct rk_dev_seen seen;

    (void)state;
    IS(stage("k1"), RK_OK);
    assert_true(holds("CA1", "k1"));
    assert_int_equal(commits(), 1);
    assert_string_equal(box.mode, "private");
    assert_int_equal(observe(&seen, RIG_CALL_MS), RK_OK);
    assert_int_equal(seen.err, RK_OK);
    assert_true(seen.held[0] & RK_HELD_TX);
    IS(stage("k1"), RK_OK); /* it is there */
    assert_int_equal(commits(), 1);
    assert_true(strstr(router.log[0], "rekeyd txn=") == router.log[0]);
}

static void
test_the_one_before_is_kept(void **state)
{
    (void)state;
    IS(stage("k1"), RK_OK);
    IS(rig_stage(r, IF1, "k2", "keep=k1", RIG_CALL_MS), RK_OK);
    assert_true(holds("CA1", "k2"));
    assert_int_equal(commits(), 2);
}

static const char *
live_mka(char *out, size_t size, const char *key_id)
{
    snprintf(out, size, "<interface-name>%s</interface-name><interface-state>Secured - Primary</interface-state>"
             "<member-identifier>D0AC8A5F4D5A39B5DD9F649B</member-identifier><cak-name>%s</cak-name>"
             "<cak-type>primary</cak-type><cak-status>live</cak-status><mn-tx>30</mn-tx><mn-rx>30</mn-rx>"
             "<latest-sak-key-identifier>D0AC8A5F4D5A39B5DD9F649B/3</latest-sak-key-identifier>", IF1,
             fake_ckn(key_id));
    return out;
}

/* What MKA shows is read with the rest: a live key is told as sent with. */
static void
test_what_is_used(void **state)
{
    char mka[700];
    struct rk_dev_seen seen;

    (void)state;
    IS(stage("k1"), RK_OK);
    pthread_mutex_lock(&box.lock);
    box.mka = live_mka(mka, sizeof mka, "k1");
    pthread_mutex_unlock(&box.lock);
    r->d.kept.read_ms = 0;
    pthread_mutex_lock(&r->hub->lock);
    r->epoch++; /* what is known is of before */
    pthread_mutex_unlock(&r->hub->lock);
    assert_int_equal(observe(&seen, RIG_CALL_MS), RK_OK);
    assert_int_equal(seen.held[0], RK_HELD_RX | RK_HELD_TX | RK_SENDING | RK_PEER_USES);
    assert_true(box.looks > 0);
    pthread_mutex_lock(&box.lock);
    box.mka = NULL;
    pthread_mutex_unlock(&box.lock);
}

static void
test_a_lock_is_not_broken(void **state)
{
    (void)state;
    box_end(BOX_LOCKED);
    IS(stage("k1"), RK_E_BUSY);
    assert_non_null(strstr(rig_text(), "locked by ops"));
    assert_int_equal(commits(), 0);
    IS(stage("k1"), RK_OK);
}

/* A link that the router refuses does not hinder the other one; which one it is is found by asking for each alone. */
static void
test_a_refused_link_alone(void **state)
{
    const struct rk_device_ops *ops = junos_event_LTX_rk_plugin.ops;
    struct rk_secret *key = fake_secret("0123456789abcdef0123456789abcdef", 32);
    struct rk_dev_op op[2] = {
        {.kind = RK_OP_STAGE, .seq = 1, .link = "l1", .iface = IF1, .key_id = "k1", .peer_facts = "", .key = key,
         .text = "keep=", .err = RK_E_CONTRACT},
        {.kind = RK_OP_STAGE, .seq = 1, .link = "l2", .iface = "ge-0/0/2", .key_id = "k2", .peer_facts = "",
         .key = key, .text = "keep=", .err = RK_E_CONTRACT},
    };
    struct rk_call call;

    (void)state;
    pthread_mutex_lock(&box.lock);
    box.end = BOX_REFUSED;
    box.refused = "<name>CA1</name>";
    pthread_mutex_unlock(&box.lock);
    fake_call(&call, RIG_CALL_MS);
    if (ops->apply(r, &call, op, 2) != RK_OK)
        fail_msg("%s", call.text);
    assert_int_equal(op[0].err, RK_E_REJECTED);
    assert_non_null(strstr(op[0].why, "statement creation failed"));
    assert_int_equal(op[1].err, RK_OK);
    assert_int_equal(commits(), 1);
    assert_true(box.checks > 0);
    assert_true(holds("CA2", "k2"));
    assert_string_equal(primary("CA1"), "");
    fake_call_end(&call);
    fake_host.secret_free(&key);
}

static void
test_not_begun_is_not_done(void **state)
{
    (void)state;
    box_end(BOX_NOT_BEGUN);
    IS(stage("k1"), RK_E_BUSY);
    assert_int_equal(commits(), 0);
}

/* ---- ends that are not seen ---- */

static void
test_committed_and_not_heard(void **state)
{
    (void)state;
    box_end(BOX_SILENT);
    IS(stage("k1"), RK_OK); /* it is in the history */
    assert_int_equal(commits(), 1);
    assert_non_null(strstr(fake_log(), "ev=commit-unknown"));
}

static void
test_killed_behind_the_commit(void **state)
{
    (void)state;
    box_end(BOX_KILLED_LATE);
    IS(stage("k1"), RK_OK);
    assert_int_equal(commits(), 1);
}

/* Nobody has the configuration open, and twice it is not in the history. */
static void
test_killed_before_the_commit(void **state)
{
    (void)state;
    box_end(BOX_KILLED);
    IS(stage("k1"), RK_E_AGAIN);
    assert_int_equal(commits(), 0);
    IS(stage("k1"), RK_OK);
    assert_int_equal(commits(), 1);
}

/* As the script on another routing engine, which knows nothing of this one. */
static void
test_another_run_beside_it(void **state)
{
    (void)state;
    box_end(BOX_BESIDE);
    IS(stage("k1"), RK_OK);
    assert_int_equal(commits(), 1);
    assert_null(box.late);
}

static void
test_given_and_never_reported(void **state)
{
    (void)state;
    box_end(BOX_MUTE);
    IS(rig_stage(r, IF1, "k1", "keep=", 5000), RK_E_UNKNOWN);
    assert_true(r->d.taken_ms > jn_now_ms()); /* it may be slow, and do it yet */
}

static void
test_words_that_contradict(void **state)
{
    (void)state;
    box_end(BOX_LIES_DONE);
    IS(stage("k1"), RK_E_REJECTED); /* the router's own word counts */
    assert_int_equal(commits(), 0);
    box_end(BOX_LIES_REFUSED);
    IS(stage("k1"), RK_OK); /* it is found out */
    assert_int_equal(commits(), 1);
}

/* A script that has nothing to say by itself is asked for all of it. */
static void
test_facts_are_looked_for(void **state)
{
    struct rk_dev_seen seen;

    (void)state;
    pthread_mutex_lock(&box.lock);
    box.dry = true;
    pthread_mutex_unlock(&box.lock);
    assert_int_equal(observe(&seen, RIG_CALL_MS), RK_OK);
    assert_int_equal(seen.err, RK_OK);
    assert_true(box.looks > 0);
}

static bool
polls(void)
{
    bool there;

    pthread_mutex_lock(&r->hub->lock);
    there = r->poll != NULL;
    pthread_mutex_unlock(&r->hub->lock);
    return there;
}

/* A script that asks once a tick: between two of them an observe has what the last one told, unless something was
 * changed since. */
static void
test_between_ticks(void **state)
{
    struct rk_dev_seen seen;

    (void)state;
    IS(stage("k1"), RK_OK);
    assert_int_equal(observe(&seen, RIG_CALL_MS), RK_OK);
    box_end(BOX_DONE);
    pthread_mutex_lock(&box.lock); /* the script is at rest */
    while (polls())
        (void)poll(NULL, 0, 5);
    pthread_mutex_lock(&r->hub->lock);
    for (size_t i = 0; i < r->n_facts; i++)
        r->fact[i].at_ms -= 30000;
    pthread_mutex_unlock(&r->hub->lock);
    assert_int_equal(observe(&seen, 600), RK_OK);
    assert_true(seen.held[0] & RK_HELD_TX);
    pthread_mutex_lock(&r->hub->lock);
    r->epoch++;
    pthread_mutex_unlock(&r->hub->lock);
    assert_int_equal(observe(&seen, 600), RK_E_TIMEOUT);
    pthread_mutex_unlock(&box.lock);
}

/* One observe behind the other, each for MKA to begin: the next one sees what is new since. */
static void
test_observed_again(void **state)
{
    char mka[700];
    struct rk_dev_seen seen;

    (void)state;
    IS(stage("k1"), RK_OK);
    assert_int_equal(observe(&seen, RIG_CALL_MS), RK_OK);
    assert_false(seen.held[0] & RK_SENDING);
    pthread_mutex_lock(&box.lock);
    box.mka = live_mka(mka, sizeof mka, "k1");
    pthread_mutex_unlock(&box.lock);
    pthread_mutex_lock(&r->hub->lock);
    for (size_t i = 0; i < r->n_facts; i++)
        r->fact[i].at_ms -= 600; /* as if that was some moments ago */
    pthread_mutex_unlock(&r->hub->lock);
    r->d.kept.read_ms = r->d.shown.last_ms = 0;
    while (!polls())
        (void)poll(NULL, 0, 5);
    assert_int_equal(observe(&seen, RIG_CALL_MS), RK_OK);
    assert_true(seen.held[0] & RK_SENDING);
    pthread_mutex_lock(&box.lock);
    box.mka = NULL;
    pthread_mutex_unlock(&box.lock);
}

static void
test_times_that_do_not_fit(void **state)
{
    static const struct {
        const char *tick, *commit;
        int err;
        bool told;
    } rows[] = {{"5s", "3s", RK_E_CONFIG, false}, {"5s", "7s", RK_OK, true}, {"5s", "8s", RK_OK, false}};
    struct rk_call call;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const options[] = {"tick", rows[i].tick, "commit-timeout", rows[i].commit, NULL};
        struct je_router *other = NULL;

        fake_log_clear();
        fake_call(&call, RIG_CALL_MS);
        assert_int_equal(rig_init(&call, "r2", options, &other), rows[i].err);
        assert_int_equal(strstr(call.text, "make it 9 s or more") != NULL, rows[i].err != RK_OK);
        assert_int_equal(strstr(fake_log(), "commit-timeout: 9s or more") != NULL, rows[i].told);
        fake_call_end(&call);
        if (other)
            rig_fini(other);
    }
}

/* What the router shows now of all that was asked for. */
static json_t *
facts_now(void)
{
    json_t *rpcs = json_array(), *facts;

    pthread_mutex_lock(&r->hub->lock);
    for (size_t i = 0; i < r->n_facts; i++)
        json_array_append_new(rpcs, json_string(r->fact[i].rpc));
    pthread_mutex_unlock(&r->hub->lock);
    pthread_mutex_lock(&box.lock);
    facts = box_facts(&box, rpcs);
    pthread_mutex_unlock(&box.lock);
    json_decref(rpcs);
    return facts;
}

/* The run of another routing engine has read all of it before the edit, and asks behind it: a key that is there would
 * be taken as lost, and be given up while MKA is on it. */
static void
test_facts_from_before_an_edit(void **state)
{
    struct client beside;
    struct rk_dev_seen seen;
    json_t *before;

    (void)state;
    client_make(&beside, "r1", NULL, BY_CA);
    snprintf(beside.run, sizeof beside.run, "%016x", 2u);
    IS(stage("k0"), RK_OK);
    before = facts_now();
    IS(rig_stage(r, IF1, "k1", "keep=k0", RIG_CALL_MS), RK_OK);
    beside.age_ms = 1000;
    client_ask_begin(&beside, 0, before);
    (void)client_take(&beside, NULL);
    r->d.kept.read_ms = 0;
    assert_int_equal(observe(&seen, RIG_CALL_MS), RK_OK);
    assert_true(seen.held[0] & RK_HELD_TX);
    client_end(&beside);
}

/* ---- class D ---- */

static void
test_a_chain(void **state)
{
    static const char chain_conf[] =
        "<configuration><system><host-name>r1</host-name></system><security>"
        "<authentication-key-chains><key-chain><name>KC1</name></key-chain></authentication-key-chains><macsec>"
        "<connectivity-association><name>CA1</name><security-mode>static-cak</security-mode>"
        "<pre-shared-key-chain>KC1</pre-shared-key-chain></connectivity-association>"
        "<interfaces><name>ge-0/0/1</name><connectivity-association>CA1</connectivity-association></interfaces>"
        "</macsec></security></configuration>";
    static const char *const options[] = {"keying", "key-chain", "candidate", "exclusive", NULL};
    struct rk_dev_seen seen;
    struct rk_call call;
    char terms[60];

    (void)state;
    fake_log_clear();
    fake_call(&call, RIG_CALL_MS);
    assert_int_equal(rig_init(&call, "r1", options, &r), RK_OK);
    fake_call_end(&call);
    box_start(&box, "r1", chain_conf);
    snprintf(terms, sizeof terms, "keep=,start=%lld", (long long)time(NULL) + 300);
    IS(rig_stage(r, IF1, "k1", terms, RIG_CALL_MS), RK_OK);
    assert_int_equal(commits(), 1);
    assert_string_equal(box.mode, "exclusive");
    assert_int_equal(fake_slots("KC1"), 1);
    assert_int_equal(observe(&seen, RIG_CALL_MS), RK_OK);
    assert_true(seen.held[0] & RK_HELD_RX);
    assert_int_equal(RK_IF_CLASS_OF(seen.state), RK_CLASS_D);
    assert_true(strncmp(seen.facts, "clk=", 4) == 0);
    assert_true(llabs(atoll(seen.facts + 4)) < 5000);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_key_gets_there), T(the_one_before_is_kept), T(what_is_used), T(a_lock_is_not_broken),
        T(a_refused_link_alone), T(not_begun_is_not_done), T(committed_and_not_heard), T(killed_behind_the_commit),
        T(killed_before_the_commit), T(another_run_beside_it), T(given_and_never_reported),
        T(words_that_contradict), T(facts_are_looked_for),
        T(between_ticks), T(observed_again), T(times_that_do_not_fit), T(facts_from_before_an_edit),
        cmocka_unit_test_teardown(test_a_chain, teardown),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
