/* peer_test.c - the channel "peer": records both ways, several peers, a peer that starts anew, options, links */
#include "peer_rig.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
start_a(void)
{
    site_start(&a, &(struct site_want){.peers = {https("SAE_B", b.port), https("SAE_C", c.port)},
                                       .backoff = "200ms", .heartbeat = "500ms"});
}

static void
start_c(void)
{
    site_start(&c, &(struct site_want){.cert = "sae-c", .sae = "SAE_C", .url = https(NULL, a.port),
                                       .backoff = "200ms"});
}

static void
both_ways(void **state)
{
    (void)state;
    start_a();
    site_start_b("sae-b");
    assert_int_equal(site_say(&a, "SAE_B", "link-1", "from-a"), RK_OK);
    assert_int_equal(site_say(&b, "SAE_A", "link-1", "from-b"), RK_OK);
    site_hears(&b, "link-1", "from-a");
    site_hears(&a, "link-1", "from-b");
    assert_string_equal(a.heard[0].sae, "SAE_B");
    assert_string_equal(b.heard[0].sae, "SAE_A");
}

static void
several_peers(void **state)
{
    (void)state;
    start_a();
    site_start_b("sae-b2"); /* its ID is an alternative name */
    start_c();
    assert_int_equal(site_say(&c, "SAE_A", "link-c", "from-c"), RK_OK);
    assert_int_equal(site_say(&a, "SAE_C", "link-c", "to-c"), RK_OK);
    assert_int_equal(site_say(&a, "SAE_B", "link-b", "to-b"), RK_OK);
    site_hears(&a, "link-c", "from-c");
    site_hears(&b, "link-b", "to-b");
    site_hears(&c, "link-c", "to-c");
    assert_false(site_has(&c, "link-b", "to-b"));
}

static void
say_many(int links, bool b_is_there)
{
    char link[20], record[201] = "";

    memset(record, 'r', sizeof record - 1);
    for (int i = 0; i < links; i++) {
        snprintf(link, sizeof link, "link-%d", i);
        assert_int_equal(site_say(&a, "SAE_B", link, record), RK_OK);
    }
    if (!b_is_there)
        site_start_b("sae-b");
    for (int i = 0; i < links; i++) {
        snprintf(link, sizeof link, "link-%d", i);
        site_hears(&b, link, record);
    }
}

static void
many_links(void **state)
{
    (void)state;
    start_a();
    say_many(SITE_LINKS, false); /* told together when it is there */
}

/* Requests that are one TLS record, longer than a head may be, on a connection that was used before: all of each is
 * taken at once. */
static void
one_tls_record(void **state)
{
    (void)state;
    start_a();
    site_start_b("sae-b");
    assert_int_equal(site_say(&a, "SAE_B", "link-0", "first"), RK_OK);
    site_hears(&b, "link-0", "first");
    fake_log_clear();
    say_many(60, true);
    assert_null(strstr(fake_log(), "res=away"));
}

/* Records of all lengths, longer and shorter than the one before, of a link with the longest name. */
static void
lengths(void **state)
{
    static const size_t lens[] = {1, RK_RECORD_MAX, 15, 16, 17, RK_RECORD_MAX - 1, 100};
    char link[RK_LINK_MAX + 1] = "", record[RK_RECORD_MAX + 1];

    (void)state;
    memset(link, 'l', RK_LINK_MAX);
    start_a();
    site_start_b("sae-b");
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        memset(record, 'a' + (int)i, sizeof record);
        record[lens[i]] = '\0';
        assert_int_equal(site_say(&a, "SAE_B", link, record), RK_OK);
        site_hears(&b, link, record);
    }
}

/* What is in use of the heap [bytes]; always the same where it is not glibc's. */
static size_t
heap_bytes(void)
{
#if defined __GLIBC__ && __GLIBC_PREREQ(2, 33)
    return mallinfo2().uordblks;
#else
    return 0;
#endif
}

/* Very many links, whose peer is away: what one costs, with a record of 120 bytes. */
static void
cost(void **state)
{
    enum { LINKS = 10000 };
    char link[16], record[121] = "";
    size_t begin, bytes;

    (void)state;
    memset(record, 'r', sizeof record - 1);
    start_a();
    begin = heap_bytes();
    for (int i = 0; i < LINKS; i++) {
        snprintf(link, sizeof link, "l%06d", i);
        assert_int_equal(site_say(&a, "SAE_B", link, record), RK_OK);
    }
    bytes = heap_bytes() - begin;
    if (bytes < LINKS)
        skip(); /* the allocator cannot be asked */
    assert_in_range(bytes / LINKS, 120, 270);
}

/* Who starts anew has forgotten all, and is told all again though nobody publishes anew. */
static void
peer_starts_anew(void **state)
{
    (void)state;
    start_a();
    site_start_b("sae-b");
    assert_int_equal(site_say(&a, "SAE_B", "link-1", "one"), RK_OK);
    assert_int_equal(site_say(&a, "SAE_B", "link-2", "two"), RK_OK);
    site_hears(&b, "link-1", "one");
    site_hears(&b, "link-2", "two");
    site_stop(&b);
    site_start_b("sae-b");
    site_hears(&b, "link-1", "one");
    site_hears(&b, "link-2", "two");
}

/* What is published while the peer is away reaches it when it is there: the newest. */
static void
peer_is_away(void **state)
{
    (void)state;
    start_a();
    start_c();
    assert_int_equal(site_attach(&c, "SAE_A", "link-c"), RK_OK); /* tells whose url it is */
    assert_int_equal(site_say(&a, "SAE_B", "link-1", "one"), RK_OK);
    assert_int_equal(site_say(&a, "SAE_C", "link-c", "not-held-up"), RK_OK);
    site_hears(&c, "link-c", "not-held-up");
    assert_int_equal(site_say(&a, "SAE_B", "link-1", "two"), RK_OK);
    site_start_b("sae-b");
    site_hears(&b, "link-1", "two");
    assert_false(site_has(&b, "link-1", "one"));
    assert_non_null(strstr(fake_log(), "peer=SAE_B"));
    assert_non_null(strstr(fake_log(), "res=away"));
}

static void
attached_links(void **state)
{
    (void)state;
    start_a();
    site_start_b("sae-b");
    start_c();
    assert_int_equal(site_attach(&b, "SAE_A", "ours"), RK_OK);
    assert_int_equal(site_attach(&a, "SAE_B", "ours"), RK_OK);
    assert_int_equal(site_say(&b, "SAE_A", "other", "x"), RK_OK);
    assert_int_equal(site_say(&b, "SAE_A", "ours", "y"), RK_OK);
    site_hears(&a, "ours", "y");
    assert_false(site_has(&a, "other", "x"));
    /* of another peer's link */
    assert_int_equal(site_say(&c, "SAE_A", "ours", "forged"), RK_OK);
    /* it is said again until it is known */
    assert_int_equal(site_attach(&a, "SAE_B", "other"), RK_OK);
    site_hears(&a, "other", "x");
    assert_int_equal(site_attach(&a, NULL, "ours"), RK_OK);
    assert_int_equal(site_say(&b, "SAE_A", "ours", "z"), RK_OK);
    assert_int_equal(site_say(&b, "SAE_A", "other", "x2"), RK_OK);
    site_hears(&a, "other", "x2");
    assert_false(site_has(&a, "ours", "z"));
    assert_false(site_has(&a, "ours", "forged"));
    assert_int_equal(site_attach(&a, "SAE_X", "ours"), RK_E_CONFIG);
}

static void
publish_refused(void **state)
{
    (void)state;
    start_a();
    assert_int_equal(site_say(&a, "SAE_X", "link-1", "r"), RK_E_CONFIG);
    assert_int_equal(site_say(&a, "SAE_B", "-x", "r"), RK_E_CONTRACT);
    assert_int_equal(site_say(&a, "SAE_B", "x", "r r"), RK_E_CONTRACT);
    assert_int_equal(site_say(&a, "SAE_B", "x", ""), RK_E_CONTRACT);
}

static void
refused(int want_err, const char *text, const struct site_want *want)
{
    struct rk_call call;
    struct site s = {.port = 0};

    fake_call(&call, 5000);
    assert_int_equal(site_try(&s, &call, want), want_err);
    if (!strstr(call.text, text))
        fail_msg("\"%s\" is not in: %s", text, call.text);
    fake_call_end(&call);
}

static void
options_refused(void **state)
{
    (void)state;
    refused(RK_E_CONFIG, "wanted is", &(struct site_want){.peers = {"SAE_B"}});
    refused(RK_E_CONFIG, "not a URL", &(struct site_want){.peers = {"SAE_B http://x"}});
    refused(RK_E_CONFIG, "twice", &(struct site_want){.peers = {"SAE_B https://x", "SAE_B https://y"}});
    refused(RK_E_CONFIG, "twice", &(struct site_want){.peers = {"SAE_B https://x", "SAE_C https://x/"}});
    refused(RK_E_CONFIG, "itself", &(struct site_want){.peers = {"SAE_A https://x"}});
    refused(RK_E_CONFIG, "a user", &(struct site_want){.url = "https://u@x"});
    refused(RK_E_NOENT, "none", &(struct site_want){.cert = "none", .url = "https://x"});
}

/* The other instance has the port: this one says so, and listens when it is free. */
static void
port_in_use(void **state)
{
    (void)state;
    start_a();
    site_start_b("sae-b");
    assert_int_equal(site_say(&a, "SAE_B", "link-1", "x"), RK_OK);
    site_hears(&b, "link-1", "x");
    c.port = a.port;
    start_c();
    for (int i = 0; i < 5000 && !c.watch_text[0]; i++) {
        const struct timespec look = {0, 2000000};

        nanosleep(&look, NULL);
    }
    pthread_mutex_lock(&c.lock);
    assert_int_equal(c.watch_err, RK_E_IO);
    assert_non_null(strstr(c.watch_text, "listen: 127.0.0.1"));
    pthread_mutex_unlock(&c.lock);
    site_stop(&a);
    assert_int_equal(site_say(&b, "SAE_A", "link-1", "y"), RK_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        SITES_TEST(both_ways),
        SITES_TEST(several_peers),
        SITES_TEST(many_links), SITES_TEST(one_tls_record),
        SITES_TEST(lengths),
        SITES_TEST(cost),
        SITES_TEST(peer_starts_anew),
        SITES_TEST(peer_is_away),
        SITES_TEST(attached_links),
        SITES_TEST(publish_refused),
        SITES_TEST(options_refused),
        SITES_TEST(port_in_use),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
