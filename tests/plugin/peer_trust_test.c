/* peer_trust_test.c - the channel "peer" and certificates: who is refused on either side, while another peer's records
 * go on; certificates that are replaced live */
#include "peer_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static int
set_up(void **state)
{
    sites_begin(state);
    site_start(&a, &(struct site_want){.peers = {https("SAE_B", b.port), https("SAE_C", c.port)},
                                       .backoff = "100ms", .heartbeat = "500ms"});
    site_start(&c, &(struct site_want){.cert = "sae-c", .sae = "SAE_C", .peers = {https("SAE_A", a.port)},
                                       .backoff = "100ms", .heartbeat = "500ms"});
    return 0;
}

static void
wait_log(const char *text)
{
    const struct timespec look = {0, 2000000};

    for (int i = 0; i < 10000 && !strstr(fake_log(), text); i++)
        nanosleep(&look, NULL);
    if (!strstr(fake_log(), text))
        fail_msg("not in the log: %s: %s", text, fake_log());
}

/* The other peer's records go on, both ways. */
static void
others_go_on(void)
{
    static int n;
    char to[20], from[20];

    snprintf(to, sizeof to, "to-c-%d", ++n);
    snprintf(from, sizeof from, "from-c-%d", n);
    assert_int_equal(site_say(&a, "SAE_C", "link-c", to), RK_OK);
    assert_int_equal(site_say(&c, "SAE_A", "link-c", from), RK_OK);
    site_hears(&c, "link-c", to);
    site_hears(&a, "link-c", from);
}

/* What A says of B's certificate as server, and as client; and no record passes. */
static void
is_refused(const char *cert, const char *why)
{
    char log[200];

    site_start_b(cert);
    assert_int_equal(site_say(&a, "SAE_B", "link-b", "secret-to-b"), RK_OK);
    assert_int_equal(site_say(&b, "SAE_A", "link-b", "false"), RK_OK);
    site_word(&a, why);
    snprintf(log, sizeof log, "ev=peer peer=SAE_B url=%s res=away why=\"%s", https(NULL, b.port), why);
    wait_log(log);
    others_go_on();
    assert_false(site_has(&a, "link-b", "false"));
    assert_false(site_has(&b, "link-b", "secret-to-b"));
}

static void
wrong_ca(void **state)
{
    (void)state;
    is_refused("rogue-sae-b", "unable to get local issuer certificate");
}

static void
expired(void **state)
{
    (void)state;
    is_refused("expired-sae-b", "certificate has expired");
}

static void
wrong_sae(void **state)
{
    (void)state;
    is_refused("kme", "the certificate is not that of the peer's SAE ID");
}

/* Whoever is a peer speaks for itself only: what C says of B's link comes as C's, and is not a link with C. */
static void
peer_of_other_link(void **state)
{
    (void)state;
    site_start_b("sae-b");
    assert_int_equal(site_say(&c, "SAE_A", "link-b", "by-c"), RK_OK);
    site_hears(&a, "link-b", "by-c");
    assert_string_equal(a.heard[0].sae, "SAE_C"); /* the host's binding refuses it */
    assert_int_equal(site_attach(&a, "SAE_B", "link-b"), RK_OK);
    assert_int_equal(site_attach(&a, "SAE_C", "link-c"), RK_OK);
    assert_int_equal(site_say(&c, "SAE_A", "link-b", "by-c-again"), RK_OK);
    others_go_on();
    assert_false(site_has(&a, "link-b", "by-c-again"));
}

static void
copy(const char *from, const char *to)
{
    char text[4096];

    scratch_read(scratch_path(&rig_dir, from), text, sizeof text);
    assert_true(text[0]);
    scratch_text(&rig_dir, "copy.new", text);
    assert_int_equal(rename(scratch_path(&rig_dir, "copy.new"), scratch_path(&rig_dir, to)), 0);
}

static int64_t
ends_of_a(void)
{
    int64_t ends;

    pthread_mutex_lock(&a.lock);
    ends = a.ends_unix_s;
    pthread_mutex_unlock(&a.lock);
    return ends;
}

/* The new one is shown without a restart, and a link that says something meanwhile loses nothing. */
static void
replaced_live(void **state)
{
    const struct timespec look = {0, 2000000};
    const int64_t now = (int64_t)time(NULL), short_s = 86400 / 4 + 3600;

    (void)state;
    copy("sae-b.pem", "live.pem");
    copy("sae-b.key", "live.key");
    site_start_b("live");
    assert_int_equal(site_say(&b, "SAE_A", "link-b", "one"), RK_OK);
    site_hears(&a, "link-b", "one");
    assert_true(ends_of_a() > now + short_s);
    copy("sae-b-short.key", "live.key");
    copy("sae-b-short.pem", "live.pem");
    assert_int_equal(site_say(&b, "SAE_A", "link-b", "two"), RK_OK);
    site_hears(&a, "link-b", "two");
    wait_log("live.pem res=renewed");
    for (int i = 0; i < 10000 && ends_of_a() > now + short_s; i++)
        nanosleep(&look, NULL);
    assert_true(ends_of_a() < now + short_s); /* A has seen it in a handshake */
    assert_int_equal(site_say(&b, "SAE_A", "link-b", "three"), RK_OK);
    assert_int_equal(site_say(&a, "SAE_B", "link-b", "four"), RK_OK);
    site_hears(&a, "link-b", "three");
    site_hears(&b, "link-b", "four");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(wrong_ca, set_up, sites_end),
        cmocka_unit_test_setup_teardown(expired, set_up, sites_end),
        cmocka_unit_test_setup_teardown(wrong_sae, set_up, sites_end),
        cmocka_unit_test_setup_teardown(peer_of_other_link, set_up, sites_end),
        cmocka_unit_test_setup_teardown(replaced_live, set_up, sites_end),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
