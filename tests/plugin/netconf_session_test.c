/* netconf_session_test.c - the NETCONF client against a server that plays scripts: framing, lies, loss, silence. */
#include "netconf_rig.h"

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

/* ---- both framings ---- */

static void
test_delimited(void **state)
{
    static const struct srv_step script[] = {
        {SRV_BYTES, SRV_HELLO_1_0, 0},
        ASKED,
        {SRV_BYTES, OK_REPLY "]]>]]>\n", 0},
        {SRV_READ, NULL, 0},
        {SRV_SEND, "<rpc-reply message-id=\"$ID\"><data>x</data></rpc-reply>]]>]", 0},
        {SRV_PAUSE, NULL, 30},
        {SRV_SEND, "]>", 0},
        {SRV_READ, NULL, 0},
        {SRV_SEND, OK_REPLY "]]>]]>\n<!-- session end -->\n", 0},
        {0}};
    char text[8];

    (void)state;
    start(script);
    must_open();
    assert_int_equal(nc_sessions(), 1);
    assert_string_equal(nc_id(nc), "27700");
    assert_true(nc_can(nc, "urn:ietf:params:netconf:capability:url:1.0"));
    assert_false(nc_can(nc, "urn:ietf:params:netconf:base:1.1"));
    must_ask(RK_OK);
    assert_true(reply->positive && !reply->repaired);
    must_ask(RK_OK);
    assert_false(reply->positive);
    assert_true(nc_child_text(reply->root, "data", text, sizeof text));
    assert_string_equal(text, "x");
    nc_close(&nc, &call);
    assert_null(nc);
    stop();
    assert_non_null(strstr(srv.got, "<capability>urn:ietf:params:netconf:base:1.1</capability>"));
    assert_non_null(strstr(srv.got, "message-id=\"1\"><get-it/></rpc>\n]]>]]>"));
    assert_non_null(strstr(srv.got, "<close-session/>"));
}

static void
test_chunked(void **state)
{
    static const struct srv_step script[] = {
        {SRV_SEND, SRV_HELLO_1_1, 0},
        ASKED,
        {SRV_CHUNK, OK_REPLY, 0},
        {SRV_READ, NULL, 0},
        {SRV_BYTES, "\n#21\n<rpc-reply message-id\n#11\n=\"2\"><data>\n#25\n]]>]]></data></rpc-reply>\n##\n", 0},
        {SRV_HANG, NULL, 0}};

    (void)state;
    start(script);
    must_open();
    assert_true(nc_can(nc, "urn:ietf:params:netconf:base:1.1"));
    must_ask(RK_OK);
    assert_true(reply->positive);
    must_ask(RK_OK);
    nc_close(&nc, NULL);
    stop();
    assert_non_null(strstr(srv.got, "]]>]]>\n#"));
    assert_non_null(strstr(srv.got, "</rpc>\n\n##\n"));
}

static void
must_ask_same(struct nc_same *same, int code, bool is_same)
{
    const struct nc_part part = {.text = "<get-it/>"};
    const struct nc_request request = {.what = "get-it", .parts = &part, .n = 1, .same = same};

    nc_reply_free(&reply);
    assert_int_equal(nc_rpc(nc, &call, &request, &reply), code);
    assert_int_equal(reply->same, is_same);
    assert_int_equal(reply->root == NULL, is_same);
}

/* What says the same as the last reply, and answers this request, is not read again; what was an error or a warning is
 * one each time. */
static void
test_same_reply(void **state)
{
#define REPLY(id, text) "<rpc-reply message-id=\"" id "\">" text "</rpc-reply>]]>]]>"
#define READ {SRV_READ, NULL, 0}
#define WARNING "<rpc-error><error-severity>warning</error-severity></rpc-error>"
    static const struct srv_step script[] = {
        HELLO,
        ASKED, {SRV_SEND, REPLY("$ID", "<a/>"), 0},
        READ, {SRV_SEND, REPLY("$ID", "<a/>"), 0},
        READ, {SRV_SEND, REPLY("$ID", "<b/>"), 0},
        READ, {SRV_SEND, REPLY("3", "<b/>") REPLY("$ID", "<a/>"), 0},
        READ, {SRV_SEND, REPLY("$ID", WARNING), 0},
        READ, {SRV_SEND, REPLY("$ID", WARNING), 0},
        READ, {SRV_SEND, REPLY("$ID", "<rpc-error/>"), 0},
        READ, {SRV_SEND, REPLY("$ID", "<rpc-error/>"), 0},
        READ, {SRV_SEND, REPLY("$ID", "<a>\001</a>"), 0},
        READ, {SRV_SEND, REPLY("$ID", "<a>\001</a>"), 0},
        {SRV_HANG, NULL, 0}};
    struct nc_same same = {.known = false};

    (void)state;
    start(script);
    must_open();
    must_ask_same(&same, RK_OK, false);
    must_ask_same(&same, RK_OK, true);
    must_ask_same(&same, RK_OK, false);
    must_ask_same(&same, RK_OK, false); /* the reply to another request is not ours, whatever it says */
    must_ask_same(&same, RK_OK, false);
    must_ask_same(&same, RK_OK, false);
    assert_int_equal(reply->n_warnings, 1);
    must_ask_same(&same, RK_E_REJECTED, false);
    must_ask_same(&same, RK_E_REJECTED, false);
    must_ask_same(&same, RK_OK, false);
    must_ask_same(&same, RK_OK, false); /* mended, both times */
    assert_true(reply->repaired);
}

static struct nc_more more;

/* Two requests in one run: <get-it/> as the one, <get-more/> as the other. */
static void
must_ask_both(int code, const char *name)
{
    const struct nc_part part = {.text = "<get-it/>"};
    const struct nc_request request = {.what = "get-it", .parts = &part, .n = 1, .more = &more};

    nc_reply_free(&reply);
    assert_int_equal(nc_rpc(nc, &call, &request, &reply), code);
    assert_int_equal(more.reply != NULL, name != NULL);
    if (name)
        assert_true(nc_find(more.reply->root, name) != NULL);
    nc_reply_free(&more.reply);
}

/* Each request has its own reply, however they come; what is wrong with one of them is not the other's. */
static void
test_two_at_once(void **state)
{
    static const struct srv_step script[] = {
        HELLO,
        READ, ASKED, {SRV_SEND, REPLY("1", "<a/>") REPLY("2", "<b/>"), 0},
        ASKED, {SRV_SEND, REPLY("3", "<a/>"), 0}, {SRV_SEND, REPLY("4", "<b/>"), 0},
        ASKED, {SRV_SEND, REPLY("5", "<rpc-error/>") REPLY("6", "<b/>"), 0},
        ASKED, {SRV_SEND, REPLY("7", "<a/>") REPLY("8", "<rpc-error/>"), 0},
        ASKED, {SRV_SEND, REPLY("9", "<a/>") REPLY("1", "<b/>") REPLY("10", "<c/>"), 0},
        ASKED, {SRV_SEND, REPLY("11", "<a/>") "<rpc-reply><b/></rpc-reply>]]>]]>", 0},
        {SRV_HANG, NULL, 0}};

    (void)state;
    more = (struct nc_more){.what = "get-more", .body = "<get-more/>"};
    start(script);
    must_open();
    must_ask_both(RK_OK, "b");
    must_ask_both(RK_OK, "b");
    must_ask_both(RK_E_REJECTED, "b");
    must_ask_both(RK_OK, NULL);
    must_ask_both(RK_OK, "c");
    must_ask_both(RK_OK, NULL); /* whose reply it is nobody knows */
    must_ask(RK_E_UNREACHABLE);
    nc_close(&nc, NULL);
    stop();
    assert_non_null(strstr(srv.got, "message-id=\"2\"><get-more/></rpc>"));
}

static void
test_two_at_once_and_one_reply(void **state)
{
    static const struct srv_step script[] = {HELLO, READ, ASKED, {SRV_SEND, REPLY("1", "<a/>"), 0}, {0}};

    (void)state;
    more = (struct nc_more){.what = "get-more", .body = "<get-more/>"};
    start(script);
    must_open();
    must_ask_both(RK_OK, NULL);
    must_ask(RK_E_UNREACHABLE);
}

static void
test_two_at_once_in_chunks(void **state)
{
    static const struct srv_step script[] = {
        {SRV_SEND, SRV_HELLO_1_1, 0}, READ, ASKED,
        {SRV_BYTES, "\n#30\n<rpc-reply message-id=\"1\"><a/>\n#12\n</rpc-reply>\n##\n", 0},
        {SRV_BYTES, "\n#42\n<rpc-reply message-id=\"2\"><b/></rpc-reply>\n##\n", 0},
        {SRV_HANG, NULL, 0}};

    (void)state;
    more = (struct nc_more){.what = "get-more", .body = "<get-more/>"};
    start(script);
    must_open();
    must_ask_both(RK_OK, "b");
    nc_close(&nc, NULL);
    stop();
    assert_non_null(strstr(srv.got, "<get-it/></rpc>\n\n##\n\n#"));
    assert_non_null(strstr(srv.got, "<get-more/></rpc>\n\n##\n"));
}

/* The second one is compared, and its secrets are wiped and not logged, as those of any. */
static void
test_two_at_once_and_the_same(void **state)
{
    static const struct srv_step script[] = {
        HELLO,
        READ, ASKED, {SRV_SEND, REPLY("1", "<a/>") REPLY("2", "<b>$9$secret</b>"), 0},
        ASKED, {SRV_SEND, REPLY("3", "<a/>") REPLY("4", "<b>$9$secret</b>"), 0},
        {SRV_HANG, NULL, 0}};
    const struct nc_part part = {.text = "<get-it/>"};
    const struct nc_request request = {.what = "get-it", .parts = &part, .n = 1, .more = &more};
    struct nc_same same = {.known = false};

    (void)state;
    more = (struct nc_more){.what = "get-more", .body = "<get-more/>", .same = &same, .secret_reply = true};
    start(script);
    must_open();
    for (int i = 0; i < 2; i++) {
        nc_reply_free(&reply);
        assert_int_equal(nc_rpc(nc, &call, &request, &reply), RK_OK);
        assert_non_null(more.reply);
        assert_int_equal(more.reply->same, i == 1);
        nc_reply_free(&more.reply);
    }
    assert_null(strstr(fake_log(), "$9$"));
}

static void
test_secrets_are_sent_and_not_logged(void **state)
{
    static const struct srv_step script[] = {HELLO, ASKED, {SRV_SEND, OK_REPLY "]]>]]>", 0}, {SRV_HANG, NULL, 0}};
    struct rk_secret *cak = fake_secret("\xde\xad\xbe\xef\x01", 5), *word = fake_secret("$9$a<b&\"'>", 10);
    const struct nc_part parts[] = {{.text = "<cak>"},
                                    {NC_SECRET_HEX, NULL, cak},
                                    {.text = "</cak><s>"},
                                    {NC_SECRET_TEXT, NULL, word},
                                    {.text = "</s>"}};
    const struct nc_request request = {.what = "load", .parts = parts, .n = 5, .secret_reply = true};

    (void)state;
    start(script);
    must_open();
    assert_int_equal(nc_rpc(nc, &call, &request, &reply), RK_OK);
    assert_non_null(strstr(fake_log(), "what=load id=1 sent="));
    assert_null(strstr(fake_log(), "deadbeef"));
    assert_null(strstr(fake_log(), "$9$"));
    fake_host.secret_free(&cak);
    fake_host.secret_free(&word);
    nc_close(&nc, NULL);
    stop();
    assert_non_null(strstr(srv.got, "<cak>deadbeef01</cak><s>$9$a&lt;b&amp;&quot;&apos;&gt;</s></rpc>"));
}

/* A router repeats what it refuses: the key is in no text, log or struct, wherever the text is cut. */
static void
test_refused_secrets_are_not_repeated(void **state)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    char said[900], pad[260];
    struct srv_step script[] = {HELLO, ASKED, {SRV_SEND, said, 0}, {SRV_HANG, NULL, 0}};
    struct rk_secret *cak = fake_secret("\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef", 16);
    const struct nc_part parts[] = {{.text = "<cak>"}, {NC_SECRET_HEX, NULL, cak}, {.text = "</cak>"}};
    const struct nc_request request = {.what = "load", .parts = parts, .n = 3};

    (void)state;
    memset(pad, ' ', sizeof pad);
    for (size_t i = 0; i < sizeof pad; i += 2)
        pad[i] = '-';
    for (int cut = 0; cut < 2; cut++) {
        snprintf(said, sizeof said,
                 "<rpc-reply message-id=\"1\"><rpc-error><error-severity>error</error-severity><error-info>"
                 "<bad-element>%s</bad-element></error-info><error-message>%.*s '%s' is wrong, %s</error-message>"
                 "</rpc-error></rpc-reply>]]>]]>", digits, cut ? 225 : 1, pad, digits, "$6$abcdefgh");
        start(script);
        must_open();
        assert_int_equal(nc_rpc(nc, &call, &request, &reply), RK_E_REJECTED);
        assert_non_null(strstr(call.text, "load was refused: -"));
        for (size_t at = 0; digits[at + 4]; at++) {
            char piece[6] = "";

            memcpy(piece, digits + at, 5);
            assert_null(strcasestr(call.text, piece));
            assert_null(strcasestr(fake_log(), piece));
            assert_null(strcasestr(reply->errors[0].message, piece));
            assert_null(strcasestr(reply->errors[0].element, piece));
        }
        assert_null(strstr(call.text, "$6$"));
        nc_reply_free(&reply);
        nc_close(&nc, NULL);
        stop();
    }
    fake_host.secret_free(&cak);
}

static void
test_what_cannot_be_sent(void **state)
{
    static const struct srv_step script[] = {HELLO, ASKED, {SRV_SEND, OK_REPLY "]]>]]>", 0}, {SRV_HANG, NULL, 0}};
    struct rk_secret *bad = fake_secret("a\nb", 3);
    const struct nc_part split[] = {{.text = "<a>]]>"}, {.text = "]]></a>"}}, text[] = {{NC_SECRET_TEXT, NULL, bad}};
    struct nc_request request = {.what = "load", .parts = split, .n = 2};

    (void)state;
    start(script);
    must_open();
    assert_int_equal(nc_rpc(nc, &call, &request, &reply), RK_E_CONTRACT);
    assert_says("delimiter");
    request.parts = text;
    request.n = 1;
    assert_int_equal(nc_rpc(nc, &call, &request, &reply), RK_E_CONTRACT);
    fake_host.secret_free(&bad);
    must_ask(RK_OK); /* nothing was sent: the session is as good as before */
}

static void
test_large_both_ways(void **state)
{
    static const struct srv_step script[] = {
        HELLO,
        ASKED,
        {SRV_SEND, "<rpc-reply message-id=\"$ID\"><data>", 0},
        {SRV_FILL, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n", 40000},
        {SRV_SEND, "</data></rpc-reply>]]>]]>", 0},
        {SRV_HANG, NULL, 0}};
    char *body = malloc(200001);

    (void)state;
    start(script);
    must_open();
    memset(body, ' ', 200000);
    body[200000] = '\0';
    assert_int_equal(ask_for(body), RK_OK);
    free(body);
    nc_close(&nc, NULL);
    stop();
    assert_true(srv.got_len > 200000);
}

/* ---- who is not there, or not willing ---- */

static void
test_not_there(void **state)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;

    (void)state;
    trust("x");
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        abort();
    target.port = ntohs(addr.sin_port);
    must_not_open(RK_E_UNREACHABLE, "refused");
    assert_says("rekeyd@127.0.0.1 port ");
    close(fd);
    target.host = "no such host";
    must_not_open(RK_E_UNREACHABLE, "no address is known");
    target.host = "";
    must_not_open(RK_E_CONFIG, "needs host");
}

static void
test_not_willing(void **state)
{
    static const struct {
        enum srv_fault fault;
        int code;
        const char *text;
    } cases[] = {{SRV_CLOSE_ACCEPTED, RK_E_BUSY, "closed the connection before a word"},
                 {SRV_NO_SSH, RK_E_PROTOCOL, "no SSH server"},
                 {SRV_NO_CHANNEL, RK_E_BUSY, "connection-limit"},
                 {SRV_NO_SUBSYSTEM, RK_E_UNSUPPORTED, "set system services netconf ssh"}};

    (void)state;
    start(greets);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        srv.fault = cases[i].fault;
        must_not_open(cases[i].code, cases[i].text);
        while (atomic_load(&srv.done) < atomic_load(&srv.connections))
            usleep(1000);
    }
}

static void
test_hellos_that_are_none(void **state)
{
    static const struct srv_step
        limit[] =
            {{SRV_SEND,
              "<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><rpc-error><error-severity>error"
              "</error-severity><error-message>\nmaximum sessions reached\n</error-message></rpc-error></rpc-reply>"
              "]]>]]>",
              0},
             {SRV_HANG, NULL, 0}},
        rights[] = {{SRV_SEND,
                     "<rpc-error><error-severity>error</error-severity><error-message>permission denied"
                     "</error-message></rpc-error>]]>]]>",
                     0},
                    {SRV_HANG, NULL, 0}},
        junk[] = {{SRV_SEND, "<data/>]]>]]>", 0}, {SRV_HANG, NULL, 0}},
        ended[] = {{SRV_SEND, "<hello", 0}, {SRV_END, NULL, 0}}, cut[] = {{SRV_CUT, NULL, 0}},
        huge[] = {{SRV_FILL, "<!-- 0123456789012345678901234567890123456789012345678901 -->\n", 100000}, {0}};
    static const struct {
        const struct srv_step *script;
        int code;
        const char *text;
    } cases[] = {{limit, RK_E_BUSY, "maximum sessions"}, {rights, RK_E_AUTH, "permission denied"},
                 {junk, RK_E_PROTOCOL, "than a hello"},  {ended, RK_E_UNREACHABLE, "exchanging hellos"},
                 {cut, RK_E_UNREACHABLE, "lost"},        {huge, RK_E_PROTOCOL, "longer than allowed"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start(cases[i].script);
        must_not_open(cases[i].code, cases[i].text);
        stop();
    }
}

/* ---- replies that are none ---- */

struct lie {
    const char *reply, *text;
    int code;
};

static void
tell(const struct lie *lies, size_t n, const char *hello)
{
    for (size_t i = 0; i < n; i++) {
        const struct srv_step script[] = {
            {SRV_SEND, hello, 0}, ASKED, {SRV_SEND, lies[i].reply, 0}, {SRV_HANG, NULL, 0}};

        start(script);
        must_open();
        must_ask(lies[i].code);
        assert_says(lies[i].text);
        if (lies[i].code != RK_E_REJECTED) {
            must_ask(RK_E_UNREACHABLE); /* such a session is of no use any more */
            assert_int_equal(nc_tend(nc, &call), RK_E_UNREACHABLE);
        }
        nc_close(&nc, NULL);
        stop();
    }
}

static void
test_lies(void **state)
{
    static const struct lie delimited[] = {
        {"]]>]]>junk]]>]]>", "no XML", RK_E_PROTOCOL},
        {"\x01\x02\xff\xfe <<<>>]]>]]>", "no XML", RK_E_PROTOCOL},
        {"<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><rpc-reply message-id=\"$ID\"><ok/>&b;</rpc-reply>"
         "]]>]]>",
         "no XML", RK_E_PROTOCOL},
        {"<rpc-reply message-id=\"$ID\"><commit-results><commit-success/>]]>]]>", "cut off", RK_E_PROTOCOL},
        {"<rpc-reply><ok/></rpc-reply>]]>]]>", "without message-id", RK_E_PROTOCOL},
        {"<rpc-reply message-id=\"9\"><ok/></rpc-reply>]]>]]>"
         "<a/>]]>]]><a/>]]>]]><a/>]]>]]><a/>]]>]]><a/>]]>]]>"
         "<a/>]]>]]><a/>]]>]]><a/>]]>]]>",
         "not asked for", RK_E_PROTOCOL},
        {"<rpc-reply message-id=\"$ID\"><rpc-error><error-severity>error</error-severity><error-path>[edit security]"
         "</error-path><error-message>syntax error</error-message></rpc-error></rpc-reply>]]>]]>",
         "get-it was refused: syntax error at [edit security]", RK_E_REJECTED}};
    static const struct lie chunked[] = {
        {"\n#9\n<rpc-reply message-id", "longer than it said", RK_E_PROTOCOL},
        {"<rpc-reply message-id=\"$ID\"><ok/></rpc-reply>]]>]]>", "does not begin", RK_E_PROTOCOL},
        {"\n#99999999999\n", "larger than the protocol", RK_E_PROTOCOL},
        {"\n#99999999\n", "longer than allowed", RK_E_PROTOCOL},
        {"\n#0\n", "no number", RK_E_PROTOCOL},
        {"\n##\n", "no chunk", RK_E_PROTOCOL}};

    (void)state;
    tell(delimited, sizeof delimited / sizeof *delimited, SRV_HELLO_1_0);
    tell(chunked, sizeof chunked / sizeof *chunked, SRV_HELLO_1_1);
}

static void
test_reply_without_end(void **state)
{
    static const struct srv_step script[] = {HELLO,
                                             ASKED,
                                             {SRV_SEND, "<rpc-reply message-id=\"$ID\">", 0},
                                             {SRV_FILL, "0123456789012345678901234567890123456789012345678\n", 100000},
                                             {SRV_HANG, NULL, 0}};

    (void)state;
    start(script);
    target.reply_max = 100000;
    must_open();
    must_ask(RK_E_PROTOCOL);
    assert_says("longer than allowed");
}

static void
test_other_messages(void **state)
{
    static const struct srv_step script[] = {
        HELLO,
        ASKED,
        {SRV_SEND, "<rpc-reply message-id=\"0\"><ok/></rpc-reply>]]>]]><!-- x -->]]>]]>", 0},
        {SRV_SEND, "<notification/>]]>]]>", 0},
        {SRV_SEND, "<rpc-reply message-id=\"$ID\"><data/></rpc-reply>]]>]]><late/>]]>]]>", 0},
        {SRV_READ, NULL, 0},
        {SRV_SEND, OK_REPLY "]]>]]>", 0},
        {SRV_HANG, NULL, 0}};

    (void)state;
    start(script);
    must_open();
    must_ask(RK_OK);
    assert_non_null(nc_child(reply->root, "data"));
    assert_int_equal(nc_tend(nc, &call), RK_OK);
    must_ask(RK_OK);
    assert_true(reply->positive);
}

/* ---- loss, at every phase ---- */

static void
test_loss(void **state)
{
    static const struct srv_step idle_cut[] = {HELLO, {SRV_AWAIT, NULL, 0}, {SRV_CUT, NULL, 0}},
                                 idle_end[] = {HELLO, {SRV_AWAIT, NULL, 0}, {SRV_END, NULL, 0}},
                                 asked_cut[] = {HELLO, ASKED, {SRV_CUT, NULL, 0}},
                                 asked_end[] = {HELLO, ASKED, {SRV_END, NULL, 0}},
                                 half_cut[] = {HELLO,
                                               ASKED,
                                               {SRV_SEND, "<rpc-reply message-id=\"1\"><ok/>", 0},
                                               {SRV_CUT, NULL, 0}};
    static const struct {
        const struct srv_step *script;
        bool idle;
    } cases[] = {{idle_cut, true}, {idle_end, true}, {asked_cut, false}, {asked_end, false}, {half_cut, false}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start(cases[i].script);
        must_open();
        atomic_store(&srv.go, true);
        while (cases[i].idle && atomic_load(&srv.done) == 0)
            usleep(1000);
        must_ask(cases[i].idle ? RK_E_UNREACHABLE : RK_E_UNKNOWN);
        assert_null(reply);
        must_ask(RK_E_UNREACHABLE);
        nc_close(&nc, &call);
        stop();
    }
}

static void
test_what_came_before_the_end(void **state)
{
    static const struct srv_step script[] = {
        HELLO, {SRV_READ, NULL, 0}, {SRV_AWAIT, NULL, 0}, {SRV_SEND, "<bye/>]]>]]>", 0}, {SRV_CUT, NULL, 0}};

    (void)state;
    start(script);
    must_open();
    atomic_store(&srv.go, true);
    while (atomic_load(&srv.done) == 0)
        usleep(1000);
    assert_int_equal(nc_tend(nc, &call), RK_E_UNREACHABLE);
    assert_non_null(strstr(fake_log(), "ev=unsolicited"));
}

static void
test_tend_sees_the_end(void **state)
{
    static const struct srv_step script[] = {
        HELLO, {SRV_READ, NULL, 0}, {SRV_AWAIT, NULL, 0}, {SRV_SEND, "<!-- session end -->", 0}, {SRV_END, NULL, 0}};
    int err = RK_OK;

    (void)state;
    start(script);
    must_open();
    assert_int_equal(nc_tend(nc, &call), RK_OK);
    atomic_store(&srv.go, true);
    for (int i = 0; i < 5000 && !err; i++) {
        usleep(1000);
        err = nc_tend(nc, &call);
    }
    assert_int_equal(err, RK_E_UNREACHABLE);
}

/* ---- budget and cancel ---- */

static void *
cancel_later(void *arg)
{
    int n = *(int *)arg;

    while (atomic_load(&srv.connections) < n)
        usleep(1000);
    usleep(150000); /* so that it is where it hangs; earlier is no mistake either */
    fake_cancel(&call);
    return NULL;
}

static void
cancel_while(int (*fn)(void), int code)
{
    int connections = nc ? 0 : 1, err;
    int64_t begun = now_ms();
    char text[sizeof call.text];
    pthread_t thread;

    if (pthread_create(&thread, NULL, cancel_later, &connections))
        abort();
    err = fn();
    pthread_join(thread, NULL);
    if (err != code)
        fail_msg("%d, not %d: %s", err, code, err ? call.text : "");
    assert_true(now_ms() - begun < BUDGET_MS / 2);
    memcpy(text, call.text, sizeof text);
    fake_call_end(&call);
    fake_call(&call, BUDGET_MS);
    memcpy(call.text, text, sizeof text);
}

static int
asks(void)
{
    return ask_for("<get-it/>");
}

static void
test_cancel_of_opening(void **state)
{
    static const struct srv_step silent[] = {{SRV_HANG, NULL, 0}},
                                 half[] = {{SRV_SEND, "<hello", 0}, {SRV_HANG, NULL, 0}};
    static const enum srv_fault faults[] = {SRV_MUTE, SRV_HANG_LOGIN, SRV_HANG_SUBSYSTEM, SRV_FINE, SRV_FINE};

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        start(i == 4 ? half : silent);
        srv.fault = faults[i];
        cancel_while(opens, RK_E_CANCELED);
        stop();
    }
}

/* Who listens and never accepts is like a filter that drops: connecting does not end. */
static void
test_cancel_of_connecting(void **state)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fds[6];
    socklen_t len = sizeof addr;

    (void)state;
    start(greets);
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (i ? SOCK_NONBLOCK : 0), 0);
        if (fds[i] < 0)
            abort();
        if (i > 0)
            (void)connect(fds[i], (struct sockaddr *)&addr, sizeof addr); /* fill its queue */
        else if (bind(fds[0], (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fds[0], 0) < 0 ||
                 getsockname(fds[0], (struct sockaddr *)&addr, &len) < 0)
            abort();
    }
    target.port = ntohs(addr.sin_port);
    atomic_store(&srv.connections, 1); /* nobody will come */
    cancel_while(opens, RK_E_CANCELED);
    assert_says("while connecting");
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        close(fds[i]);
}

static void
test_cancel_of_an_agent(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    start(greets);
    strcpy(addr.sun_path, scratch_path(&scratch, "agent"));
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, 4) < 0)
        abort();
    target.key = NULL;
    target.agent = addr.sun_path;
    cancel_while(opens, RK_E_CANCELED); /* it listens, and never answers */
    close(fd);
}

static void
test_cancel_of_a_name(void **state)
{
    int fds;

    (void)state;
    start(greets);
    fds = open_fds();
    target.host = "router.example.net";
    atomic_store(&resolver_hangs, true);
    atomic_store(&srv.connections, 1); /* nobody will come */
    cancel_while(opens, RK_E_CANCELED);
    assert_says("looking up its name");
    target.limit_ms = 50;
    must_not_open(RK_E_TIMEOUT, "looking up its name");
    atomic_store(&resolver_hangs, false);
    for (int i = 0; i < 5000 && open_fds() != fds; i++)
        usleep(1000); /* the threads that were left alone end, and close what they had */
}

static void
test_cancel_of_a_request(void **state)
{
    static const struct srv_step silent[] = {HELLO, ASKED, {SRV_HANG, NULL, 0}},
                                 half[] = {HELLO,
                                           ASKED,
                                           {SRV_SEND, "<rpc-reply message-id=\"1\"><ok/>", 0},
                                           {SRV_HANG, NULL, 0}};

    (void)state;
    for (int i = 0; i < 2; i++) {
        start(i ? half : silent);
        must_open();
        cancel_while(asks, RK_E_UNKNOWN);
        must_ask(RK_E_UNREACHABLE);
        nc_close(&nc, NULL);
        stop();
    }
}

static void
test_cancel_before_a_word(void **state)
{
    (void)state;
    start(greets);
    must_open();
    fake_cancel(&call);
    must_ask(RK_E_CANCELED);
}

static void
test_timeouts(void **state)
{
    static const struct srv_step silent[] = {HELLO, ASKED, {SRV_HANG, NULL, 0}};
    const struct nc_part part = {.text = "<commit-configuration/>"};
    const struct nc_request request = {.what = "commit", .parts = &part, .n = 1, .timeout_ms = 500};

    (void)state;
    start(silent);
    must_open();
    assert_int_equal(nc_rpc(nc, &call, &request, &reply), RK_E_UNKNOWN);
    assert_says("no answer in time while commit");
    nc_close(&nc, NULL);
    stop();
    start(silent);
    srv.fault = SRV_MUTE;
    target.limit_ms = 500; /* to come so far, on a busy machine */
    must_not_open(RK_E_TIMEOUT, "while shaking hands");
    fake_call_end(&call);
    fake_call(&call, 0);
    must_not_open(RK_E_TIMEOUT, "in time");
}

/* A peer that reads nothing: the request is never out whole. */
static void
test_request_that_gets_stuck(void **state)
{
    static const struct srv_step deaf[] = {HELLO, {SRV_AWAIT, NULL, 0}, {0}};
    const size_t size = 8 * 1024 * 1024;
    char *body = malloc(size);
    const struct nc_part part = {.text = body};
    const struct nc_request request = {.what = "load", .parts = &part, .n = 1, .timeout_ms = 300};
    int err;

    (void)state;
    memset(body, ' ', size);
    body[size - 1] = '\0';
    start(deaf);
    must_open();
    err = nc_rpc(nc, &call, &request, &reply);
    free(body);
    if (err != RK_E_TIMEOUT)
        fail_msg("rpc: %d: %s", err, call.text);
}

static void
test_keepalives(void **state)
{
    static const struct srv_step slow[] = {HELLO,
                                           ASKED,
                                           {SRV_PAUSE, NULL, 2700},
                                           {SRV_SEND, OK_REPLY "]]>]]>", 0},
                                           {SRV_HANG, NULL, 0}},
                                 quick[] = {HELLO, ASKED, {SRV_SEND, OK_REPLY "]]>]]>", 0}, {SRV_HANG, NULL, 0}};
    unsigned before;

    (void)state;
    start(slow);
    target.keepalive_s = 1;
    must_open();
    must_ask(RK_OK);
    before = atomic_load(&srv.packets_in);
    assert_true(before > 0);
    nc_close(&nc, NULL);
    stop();
    start(quick);
    target.keepalive_s = 600;
    must_open();
    must_ask(RK_OK);
    if (atomic_load(&srv.packets_in) >= before)
        fail_msg("%u packets with keepalives, %u without", before, atomic_load(&srv.packets_in));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {T(test_delimited),
                                       T(test_chunked),
                                       T(test_same_reply),
                                       T(test_two_at_once),
                                       T(test_two_at_once_and_one_reply),
                                       T(test_two_at_once_in_chunks),
                                       T(test_two_at_once_and_the_same),
                                       T(test_secrets_are_sent_and_not_logged),
                                       T(test_refused_secrets_are_not_repeated),
                                       T(test_what_cannot_be_sent),
                                       T(test_large_both_ways),
                                       T(test_not_there),
                                       T(test_not_willing),
                                       T(test_hellos_that_are_none),
                                       T(test_lies),
                                       T(test_reply_without_end),
                                       T(test_other_messages),
                                       T(test_loss),
                                       T(test_what_came_before_the_end),
                                       T(test_tend_sees_the_end),
                                       T(test_cancel_of_opening),
                                       T(test_cancel_of_connecting),
                                       T(test_cancel_of_an_agent),
                                       T(test_cancel_of_a_name),
                                       T(test_cancel_of_a_request),
                                       T(test_cancel_before_a_word),
                                       T(test_timeouts),
                                       T(test_request_that_gets_stuck),
                                       T(test_keepalives)};

    return cmocka_run_group_tests(tests, rig_start_ssh, rig_end_ssh);
}
