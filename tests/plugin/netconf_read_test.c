/* netconf_read_test.c - what the NETCONF client reads, without a network: framing, hellos, replies, XML. */
#include "plugins/common/netconf/frame.h"
#include "plugins/common/netconf/hello.h"
#include "plugins/common/netconf/known.h"
#include "plugins/common/netconf/reply.h"
#include "plugins/common/netconf/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- framing ---- */

/* All messages of a stream, each as "[text]", fed in pieces of `step` bytes; "!why" when it is wrong. */
static void
read_stream(const char *stream, size_t step, struct nc_frame f, char out[512])
{
    size_t n = strlen(stream), used;

    out[0] = '\0';
    for (size_t at = 0; at < n; at += used) {
        size_t len = n - at < step ? n - at : step;
        int rc = nc_frame_feed(&f, stream + at, len, &used);
        char *text;

        assert_true(used <= len);
        if (rc < 0) {
            sprintf(out + strlen(out), "!%s", rc == RK_E_PROTOCOL ? f.why : "?");
            break;
        }
        if (rc == 0) {
            assert_int_equal(used, len);
            continue;
        }
        text = nc_frame_take(&f, &len);
        sprintf(out + strlen(out), "[%.200s]", text);
        nc_wipe_free(text, len);
    }
    nc_frame_end(&f);
}

static void
test_frames(void **state)
{
    static const struct {
        bool chunked;
        const char *stream, *messages;
    } cases[] = {{false, "a]]>]]>", "[a]"},
                 {false, "a]]>]]>b]]>]]>", "[a][b]"},
                 {false, " \r\n\t a ]]>]]>\nb]]>]]>\n", "[a ][b]"},
                 {false, "a]]>]]]>]]>b]]>]]>", "[a]]>]][b]"},
                 {false, "]]>]]>]]>]]>", "[][]"},
                 {false, "]]]]>]]>", "[]]]"},
                 {false, "a]]>]", ""},
                 {false, "0123456789]]>]]>", "[0123456789]"},
                 {false, "01234567890]]>]]>", "!a message is longer than allowed"},
                 {false, "0123456789012345678901234567890", "!a message is longer than allowed"},
                 {true, "\n#3\nabc\n##\n", "[abc]"},
                 {true, "\n#1\na\n#2\nbc\n##\n\n#1\nx\n##\n", "[abc][x]"},
                 {true, "\n\n \r\n#1\na\n##\n\n\n#1\nb\n##\n", "[a][b]"},
                 {true, "\n#6\n\n##\n#1\n##\n", "[\n##\n#1]"},
                 {true, "\n#6\n]]>]]>\n##\n", "[]]>]]>]"},
                 {true, "\n#10\n0123456789\n##\n", "[0123456789]"},
                 {true, "\n#11\n", "!a message is longer than allowed"},
                 {true, "\n#6\n012345\n#5\n", "!a message is longer than allowed"},
                 {true, "\n#4294967295\n", "!a message is longer than allowed"},
                 {true, "\n#4294967296\n", "!a chunk is larger than the protocol allows"},
                 {true, "\n#18446744073709551617\n", "!a chunk is larger than the protocol allows"},
                 {true, "\n#01\na", "!a chunk's size is no number"},
                 {true, "\n#-1\na", "!a chunk's size is no number"},
                 {true, "\n#+1\na", "!a chunk's size is no number"},
                 {true, "\n#1 \na", "!a chunk's size is no number"},
                 {true, "\n#1\r\na", "!a chunk's size is no number"},
                 {true, "\n#\na", "!a chunk's size is no number"},
                 {true, "\n##\n", "!a message has no chunk"},
                 {true, "\n#1\nab\n##\n", "!a chunk is longer than it said"},
                 {true, "\n#3\nab\n##\n", "!a chunk is longer than it said"},
                 {true, "\n#1\na\n###", "!the end of chunks is not one"},
                 {true, "\n#1\na\n##x", "!the end of chunks is not one"},
                 {true, "#1\na\n##\n", "!a chunk does not begin with a newline and '#'"},
                 {true, " #1\na\n##\n", "!a chunk does not begin with a newline and '#'"},
                 {true, "<rpc-reply/>]]>]]>", "!a chunk does not begin with a newline and '#'"}};
    char out[512];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step < 40; step++) {
            read_stream(cases[i].stream, step, (struct nc_frame){.chunked = cases[i].chunked, .max = 10}, out);
            if (strcmp(out, cases[i].messages) != 0)
                fail_msg("case %zu in steps of %zu: \"%s\", not \"%s\"", i, step, out, cases[i].messages);
        }
}

static void
test_a_long_message(void **state)
{
    struct nc_frame f = {.max = 1000000};
    char piece[1000], *text;
    size_t used, len;

    (void)state;
    memset(piece, ']', sizeof piece);
    for (int i = 0; i < 999; i++)
        assert_int_equal(nc_frame_feed(&f, piece, sizeof piece, &used), 0);
    assert_int_equal(nc_frame_feed(&f, ">]]>", 4, &used), 1);
    text = nc_frame_take(&f, &len);
    assert_int_equal(len, 998998);
    assert_int_equal(strlen(text), len);
    nc_wipe_free(text, len);
    nc_frame_end(&f);
}

/* ---- hellos ---- */

#define CAPS_1_0 "<capabilities><capability>urn:ietf:params:netconf:base:1.0</capability></capabilities>"
#define BASE_NS "xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\""
#define ERROR(severity, message)                                                                                       \
    "<rpc-error><error-severity>" severity "</error-severity><error-message>" message "</error-message></rpc-error>"

static int
read_hello(const char *in, struct nc_hello *h, const char **why)
{
    size_t len = strlen(in);
    char *text = malloc(len + 1);
    int err;

    memcpy(text, in, len + 1);
    err = nc_hello_read(text, len, h, why);
    free(text);
    return err;
}

static void
test_hellos(void **state)
{
    static const struct {
        const char *text;
        int err;
        bool chunks;
        const char *id;
    } cases[] = {
        {"<hello>" CAPS_1_0 "</hello>", RK_OK, false, ""},
        {"<hello " BASE_NS ">" CAPS_1_0 "<session-id>\n 12\n</session-id></hello>", RK_OK, false, "12"},
        {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<hello>" CAPS_1_0 "</hello>", RK_OK, false, ""},
        {"<!-- No zombies -->\n<!-- user admin, <hello> class x -->\n<?xml version=\"1.0\"?><hello>" CAPS_1_0
         "</hello>",
         RK_OK, false, ""},
        {"--- JUNOS 22.2R3 < built > ---\n<hello>" CAPS_1_0 "</hello>", RK_OK, false, ""},
        {"<nc:hello xmlns:nc=\"u\"><nc:capabilities><nc:capability>\n urn:ietf:params:netconf:base:1.1 \n"
         "</nc:capability></nc:capabilities><nc:session-id>9</nc:session-id></nc:hello >",
         RK_OK, true, "9"},
        {"<hello><capabilities><capability>urn:ietf:params:xml:ns:netconf:base:1.0</capability></capabilities></hello>",
         RK_OK, false, ""},
        {"<hello><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability><oops></capabilities></hello>",
         RK_OK, false, ""},
        {"<rpc-reply>" ERROR("warning", "old") "</rpc-reply>\n<hello>" CAPS_1_0 "</hello>", RK_OK, false, ""},
        {"<rpc-reply>" ERROR("error", "maximum") "</rpc-reply>\n<hello>" CAPS_1_0 "</hello>", RK_E_BUSY, false, ""},
        {"<rpc-reply " BASE_NS ">" ERROR("error", "\nPermission denied\n") "</rpc-reply>", RK_E_AUTH, false, ""},
        {ERROR("error", ""), RK_E_BUSY, false, ""},
        {"<hello/>", RK_E_PROTOCOL, false, ""},
        {"<hello>", RK_E_PROTOCOL, false, ""},
        {"", RK_E_PROTOCOL, false, ""},
        {"<", RK_E_PROTOCOL, false, ""},
        {"<!--", RK_E_PROTOCOL, false, ""},
        {"<!-- <hello>" CAPS_1_0 "</hello> -->", RK_E_PROTOCOL, false, ""},
        {"<helloo>" CAPS_1_0 "</helloo>", RK_E_PROTOCOL, false, ""},
        {"<hello><capabilities><capability>urn:x</capability></capabilities></hello>", RK_E_PROTOCOL, false, ""},
        {"<!DOCTYPE hello []><hello>" CAPS_1_0 "</hello>", RK_OK, false, ""}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why = NULL;
        struct nc_hello h;
        int err = read_hello(cases[i].text, &h, &why);

        if (err != cases[i].err || h.base_1_1 != cases[i].chunks || strcmp(h.session_id, cases[i].id) != 0)
            fail_msg("hello %zu: %d, chunks %d, id \"%s\": %s", i, err, h.base_1_1, h.session_id, why ? why : "");
        assert_true(err == RK_OK || (err == RK_E_PROTOCOL ? why != NULL : h.refused[0] != '\0'));
        nc_hello_end(&h);
    }
}

static void
test_many_capabilities(void **state)
{
    char *text = malloc(400000), *p = text;
    const char *why;
    struct nc_hello h;

    (void)state;
    p += sprintf(p, "<hello><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>");
    for (int i = 0; i < 4000; i++)
        p += sprintf(p, "<capability>http://example.net/yang/module-%d?module=m&amp;revision=1</capability>", i);
    sprintf(p, "</capabilities></hello>");
    assert_int_equal(read_hello(text, &h, &why), RK_OK);
    assert_true(h.caps_len <= NC_CAPS_MAX);
    assert_true(nc_hello_has(&h, "http://example.net/yang/module-7"));
    assert_false(nc_hello_has(&h, "http://example.net/yang/module-"));
    nc_hello_end(&h);
    free(text);
}

/* ---- replies ---- */

static int
read_reply(const char *in, struct nc_reply **r, const char **why)
{
    size_t len = strlen(in);
    char *text = malloc(len + 1);
    int err;

    memcpy(text, in, len + 1);
    err = nc_reply_read(text, len, r, why);
    free(text);
    return err;
}

#define REPLY(body)                                                                                                    \
    "<rpc-reply " BASE_NS " xmlns:junos=\"http://xml.juniper.net/junos/22.2R0/junos\" message-id=\"101\">" body        \
    "</rpc-reply>"
#define RE(name, body) "<routing-engine junos:style=\"show-name\"><name>" name "</name>" body "</routing-engine>"

static const struct reply_case {
    const char *text;
    int err;
    bool positive, repaired;
    unsigned errors, warnings;
} reply_cases[] = {
    /* success */
    {REPLY("<ok/>"), RK_OK, true, false, 0, 0},
    {"<nc:rpc-reply xmlns:nc=\"u\" message-id=\"1\"><nc:ok/></nc:rpc-reply>", RK_OK, true, false, 0, 0},
    {"<!-- x -->\n<?xml version=\"1.0\"?>\n<rpc-reply><ok/></rpc-reply>", RK_OK, true, false, 0, 0},
    {REPLY("<commit-results>" RE("re0", "<commit-success/>") RE("re1", "<commit-success/>") "</commit-results><ok/>"),
     RK_OK, true, false, 0, 0},
    {REPLY("<commit-results>" RE("re0", "<commit-check-success/>") "</commit-results>"), RK_OK, true, false, 0, 0},
    {REPLY("<load-configuration-results><ok/></load-configuration-results>"), RK_OK, true, false, 0, 0},
    {REPLY("<load-configuration-results><load-success/></load-configuration-results>"), RK_OK, true, false, 0, 0},
    {REPLY(ERROR("warning", "uncommitted changes will be discarded on exit") "<ok/>"), RK_OK, true, false, 0, 1},
    {REPLY("<ok/>" ERROR("\nwarning\n", "late")), RK_OK, true, false, 0, 1},
    {REPLY("<xnm:warning xmlns:xnm=\"http://xml.juniper.net/xnm/1.1/xnm\"><message>m</message></xnm:warning><ok/>"),
     RK_OK, true, false, 0, 1},
    /* neither */
    {REPLY(""), RK_OK, false, false, 0, 0},
    {"<rpc-reply/>", RK_OK, false, false, 0, 0},
    {REPLY("<configuration><security/></configuration>"), RK_OK, false, false, 0, 0},
    {REPLY("<status>ok</status><warning>a word of data</warning><error>of data</error>"), RK_OK, false, false, 0, 0},
    {REPLY(ERROR("warning", "w")), RK_OK, false, false, 0, 1},
    {REPLY("<load-configuration-results>" ERROR("warning", "w") "<load-error-count>1</load-error-count><ok/>"
                                                                "</load-configuration-results>"),
     RK_OK, false, false, 0, 1},
    /* errors, wherever they are */
    {REPLY(ERROR("error", "e")), RK_OK, false, false, 1, 0},
    {REPLY("<ok/>" ERROR("error", "e")), RK_OK, false, false, 1, 0},
    {REPLY("<rpc-error><error-message>no severity</error-message></rpc-error><ok/>"), RK_OK, false, false, 1, 0},
    {REPLY(ERROR("critical", "unknown") "<ok/>"), RK_OK, false, false, 1, 0},
    {REPLY(ERROR("warning and much more than fits", "unknown") "<ok/>"), RK_OK, false, false, 1, 0},
    {REPLY("<commit-results>" RE("re0", "<commit-success/>") RE("re1", ERROR("error", "e")) "</commit-results>"), RK_OK,
     false, false, 1, 0},
    {REPLY("<a><b><c><xnm:error xmlns=\"x\" xmlns:xnm=\"http://xml.juniper.net/xnm/1.1/xnm\"><message>m</message>"
           "</xnm:error></c></b></a><ok/>"),
     RK_OK, false, false, 1, 0},
    {REPLY("<error xmlns=\"http://xml.juniper.net/xnm/1.1/xnm\"><message>m</message></error><ok/>"), RK_OK, false,
     false, 1, 0},
    {REPLY("<xnm:error><message>without its namespace</message></xnm:error><ok/>"), RK_OK, false, false, 1, 0},
    {REPLY(ERROR("error", "1") ERROR("error", "2") ERROR("error", "3") ERROR("error", "4") ERROR("error", "5")), RK_OK,
     false, false, 5, 0},
    {"<rpc-error><error-message>alone</error-message></rpc-error>", RK_OK, false, false, 1, 0},
    /* not well-formed, and known: the commit reply whose routing-engine is not closed; mismatched tags; Latin-1 */
    {REPLY(
         "<commit-results><routing-engine junos:style=\"show-name\"><name>re0</name><commit-success/></commit-results>"
         "<ok/>"),
     RK_OK, true, true, 0, 0},
    {REPLY("<commit-results><routing-engine junos:style=\"normal\"><name>re0</name><ok/>"), RK_OK, true, true, 0, 0},
    {REPLY("<commit-results><routing-engine><name>re0</name>" ERROR("error", "e") "<ok/>"), RK_OK, false, true, 1, 0},
    {REPLY("<a><b>x</a></b><ok/>"), RK_OK, true, true, 0, 0},
    {REPLY("<description>Z\xfcrich \x01</description><ok/>"), RK_OK, true, true, 0, 0},
    {REPLY("<description>a & b</description><ok/>"), RK_OK, true, true, 0, 0},
    {REPLY("<commit-results><routing-engine><commit-success/>") "\n<!-- session end at 2026-01-01 -->\n", RK_OK, true,
     true, 0, 0},
    /* not well-formed, and worth nothing */
    {"<rpc-reply message-id=\"1\"><commit-results><routing-engine><name>re0</name><commit-success/>", RK_E_PROTOCOL,
     false, false, 0, 0},
    {"<rpc-reply message-id=\"1\"><ok/>", RK_E_PROTOCOL, false, false, 0, 0},
    {"<rpc-reply message-id=\"1\"><ok/></rpc-reply", RK_E_PROTOCOL, false, false, 0, 0},
    {"<rpc-reply><ok/></rpc-reply><rpc-error><error-severity>error</error-severity></rpc-error>", RK_E_PROTOCOL, false,
     false, 0, 0},
    {REPLY("<ok/> < < <rpc-err or><rpc-error"), RK_OK, false, true, 1, 0},
    {REPLY("<ok/> < < <rpc-err or>rpc-error"), RK_E_PROTOCOL, false, false, 0, 0},
    {"junk", RK_E_PROTOCOL, false, false, 0, 0},
    {"<a", RK_E_PROTOCOL, false, false, 0, 0},
    {"<!DOCTYPE a [<!ENTITY x \"yyy\">]><rpc-reply><ok/></rpc-reply>", RK_E_PROTOCOL, false, false, 0, 0},
    {"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><rpc-reply><ok/></rpc-reply>", RK_E_PROTOCOL, false, false, 0, 0},
    /* not for us */
    {"", RK_E_NOENT, false, false, 0, 0},
    {"<!-- session end -->", RK_E_NOENT, false, false, 0, 0},
    {"<notification/>", RK_E_NOENT, false, false, 0, 0}};

static void
test_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof reply_cases / sizeof *reply_cases; i++) {
        const struct reply_case *c = &reply_cases[i];
        const char *why = NULL;
        struct nc_reply *r, none = {.doc = NULL};
        int err = read_reply(c->text, &r, &why);
        const struct nc_reply *got = err ? &none : r;

        if (err != c->err || got->positive != c->positive || got->repaired != c->repaired ||
            got->n_errors != c->errors || got->n_warnings != c->warnings)
            fail_msg("reply %zu: %d, positive %d, repaired %d, %u errors, %u warnings: %s\n%s", i, err, got->positive,
                     got->repaired, got->n_errors, got->n_warnings, why ? why : "", c->text);
        assert_true(err != RK_E_PROTOCOL || why);
        nc_reply_free(&r);
    }
}

static void
test_error_texts(void **state)
{
    struct nc_reply *r;
    const char *why;

    (void)state;
    assert_int_equal(
        read_reply(
            REPLY(
                "<rpc-error><error-type>protocol</error-type><error-tag>operation-failed</"
                "error-tag><error-severity>error"
                "</error-severity><error-path>[edit security macsec connectivity-association ca-0123456789abcdef0123]"
                "</error-path><error-info><bad-element>cak</bad-element></error-info><error-message>\nconfiguration "
                "database "
                "locked by:\n  admin terminal (pid 12345)\n\tZ\xc3\xbcrich\n</error-message></rpc-error>"
                "<xnm:error><edit-path>[edit]</edit-path><statement>cak "
                "00112233445566778899aabbccddeeff</statement><message>"
                "cak: '00112233445566778899AABBCCDDEEFF': Must be hex; was $9$abc-DEF./ and $8$x, 0011223344</message>"
                "</xnm:error>"),
            &r, &why),
        RK_OK);
    assert_int_equal(r->n_errors, 2);
    assert_string_equal(r->errors[0].type, "protocol");
    assert_string_equal(r->errors[0].tag, "operation-failed");
    assert_string_equal(r->errors[0].path, "[edit security macsec connectivity-association ca-0123456789abcdef0123]");
    assert_string_equal(r->errors[0].element, "cak");
    assert_string_equal(r->errors[0].message, "configuration database locked by: admin terminal (pid 12345) Z??rich");
    assert_string_equal(r->errors[1].path, "[edit]");
    assert_string_equal(r->errors[1].element, "cak ********************************");
    assert_string_equal(r->errors[1].message,
                        "cak: '********************************': Must be hex; was ************ and ****, 0011223344");
    nc_reply_free(&r);
}

static void
test_message_ids(void **state)
{
    static const struct {
        const char *text, *id;
    } cases[] = {{"<rpc-reply message-id=\"7\"/>", "7"},
                 {"<nc:rpc-reply xmlns:nc=\"u\" nc:message-id=\"7\"/>", "7"},
                 {"<rpc-reply/>", ""},
                 {"<rpc-reply message-id=\"\"/>", ""},
                 {"<rpc-reply message-id=\"0123456789012345678901234567890123456789\"/>", ""}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct nc_reply *r;
        const char *why;

        assert_int_equal(read_reply(cases[i].text, &r, &why), RK_OK);
        assert_string_equal(nc_reply_id(r).text, cases[i].id);
        nc_reply_free(&r);
    }
}

/* As deep as libxml2 lets it be, and far deeper: neither is the end of us. */
static void
test_deep_replies(void **state)
{
    (void)state;
    for (size_t depth = 200; depth < 200000; depth *= 10) {
        char *text = malloc(depth * 7 + 100), *p = text;
        struct nc_reply *r;
        const char *why;
        int err;

        p += sprintf(p, "<rpc-reply>");
        for (size_t i = 0; i < depth; i++)
            p += sprintf(p, "<a>");
        p += sprintf(p, "<ok/>");
        for (size_t i = 0; i < depth; i++)
            p += sprintf(p, "</a>");
        sprintf(p, "</rpc-reply>");
        err = read_reply(text, &r, &why);
        if (err != RK_OK && err != RK_E_PROTOCOL)
            fail_msg("%zu deep: %d", depth, err);
        assert_true(err == RK_OK || depth > 200);
        nc_reply_free(&r);
        free(text);
    }
}

/* ---- XML ---- */

static void
test_elements(void **state)
{
    static const char text[] =
        "<rpc-reply><multi-routing-engine-results>"
        "<multi-routing-engine-item><re-name>node0</re-name><s:info xmlns:s=\"u\"><name>\nge-0/0/0\n</name></s:info>"
        "</multi-routing-engine-item><multi-routing-engine-item><re-name>node1</re-name><info><name>ge-1/0/0</name>"
        "<name>two</name></info></multi-routing-engine-item></multi-routing-engine-results><info><name/></info>"
        "</rpc-reply>";
    const xmlNode *info;
    struct nc_reply *r;
    const char *why;
    char out[10];

    (void)state;
    assert_int_equal(read_reply(text, &r, &why), RK_OK);
    info = nc_child(r->root, "info");
    assert_true(nc_is(info, "info"));
    assert_true(nc_child_text(info, "name", out, sizeof out));
    assert_string_equal(out, "ge-0/0/0");
    info = nc_next(info);
    assert_true(nc_child_text(info, "name", out, sizeof out));
    assert_string_equal(out, "ge-1/0/0");
    assert_true(nc_text(nc_next(nc_child(info, "name")), out, sizeof out));
    assert_string_equal(out, "two");
    info = nc_next(info);
    assert_false(nc_child_text(info, "name", out, sizeof out));
    assert_string_equal(out, "");
    assert_null(nc_next(info));
    assert_null(nc_child(NULL, "info"));
    assert_null(nc_child(info, "info"));
    assert_null(nc_find(NULL, "info"));
    assert_null(nc_find(r->root, "nothing"));
    assert_false(nc_is(NULL, "info"));
    assert_true(nc_text(nc_find(r->root, "re-name"), out, sizeof out));
    assert_string_equal(out, "node0");
    nc_reply_free(&r);
}

static void
test_texts(void **state)
{
    static const struct {
        const char *inside, *text;
    } cases[] = {{"abc", "abc"},
                 {" \n abc\t\n ", "abc"},
                 {"a  b", "a  b"},
                 {"a\nb", "a?b"},
                 {"a\x7f", "a?"},
                 {"<x>a</x>b", "ab"},
                 {"<![CDATA[a<b]]>", "a<b"},
                 {"a<!-- x -->b", "ab"},
                 {"&amp;&#65;", "&A"},
                 {"0123456789012345678", "0123456789012345678"},
                 {"  0123456789012345678  ", "0123456789012345678"},
                 {"01234567890123456789", NULL},
                 {"", NULL},
                 {" \n ", NULL},
                 {"&unknown;", NULL},
                 {"Z\xc3\xbcrich", "Z\xc3\xbcrich"}};
    char text[200], out[20];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct nc_reply *r;
        const char *why;
        bool found;

        snprintf(text, sizeof text, "<rpc-reply><t>%s</t></rpc-reply>", cases[i].inside);
        assert_int_equal(read_reply(text, &r, &why), RK_OK);
        memset(out, 'x', sizeof out);
        found = nc_child_text(r->root, "t", out, sizeof out);
        if (found != (cases[i].text != NULL) || strcmp(out, found ? cases[i].text : "") != 0)
            fail_msg("text %zu: %d \"%s\"", i, found, out);
        nc_reply_free(&r);
    }
}

/* ---- a server's first words ---- */

static void
test_greetings(void **state)
{
    unsigned char bytes[200];
    char out[64];
    int len = sprintf((char *)bytes, "Welcome\r\nSSH-2.0-x\r\n");

    (void)state;
    memset(bytes + len, 0, sizeof bytes - (size_t)len);
    bytes[len + 5] = 20;
    bytes[len + 25] = 3;
    memcpy(bytes + len + 26, "kex", 3);
    bytes[len + 32] = 15;
    memcpy(bytes + len + 33, "ssh-rsa,ssh-dss", 15);
    nc_greeting_types((struct nc_blob){bytes, (size_t)len + 48}, out, sizeof out);
    assert_string_equal(out, "ssh-rsa,ssh-dss");
    for (size_t n = 0; n < (size_t)len + 48; n++) { /* cut anywhere */
        nc_greeting_types((struct nc_blob){bytes, n}, out, sizeof out);
        assert_string_equal(out, "");
    }
    nc_greeting_types((struct nc_blob){bytes, sizeof bytes}, out, 15);
    assert_string_equal(out, "");
    bytes[len + 22] = 0xff; /* longer than all there is */
    nc_greeting_types((struct nc_blob){bytes, sizeof bytes}, out, sizeof out);
    assert_string_equal(out, "");
}

/* Texts that come in many pieces, among other ones, and are longer than any piece of memory. */
static void
test_long_texts(void **state)
{
    const size_t n = 40000;
    size_t i;
    char *text = malloc(n * 16 + 200), *out = malloc(2 * n + 1), *want = malloc(2 * n + 1), *p = text;
    struct nc_reply *r;
    const char *why;

    (void)state;
    p += sprintf(p, "<rpc-reply><t>");
    for (i = 0; i < n; i++) {
        p += sprintf(p, "%c&amp;%s", (int)('a' + i % 26), i % 100 ? "" : "<!-- x -->");
        want[2 * i] = (char)('a' + i % 26);
        want[2 * i + 1] = '&';
    }
    want[2 * n] = '\0';
    p += sprintf(p, "</t>");
    for (i = 0; i < n; i++)
        p += sprintf(p, "<u>%zu</u>", i % 10);
    sprintf(p, "</rpc-reply>");
    assert_int_equal(read_reply(text, &r, &why), RK_OK);
    assert_true(nc_child_text(r->root, "t", out, 2 * n + 1));
    assert_string_equal(out, want);
    assert_int_equal(r->n_errors, 0);
    i = 0;
    for (const xmlNode *u = nc_child(r->root, "u"); u; u = nc_next(u)) {
        assert_true(nc_text(u, out, 2));
        assert_int_equal(out[0], '0' + i++ % 10);
    }
    assert_int_equal(i, n);
    nc_reply_free(&r);
    free(want);
    free(out);
    free(text);
}

static void
test_attributes(void **state)
{
    static const char text[] = "<rpc-reply xmlns=\"u\" xmlns:j=\"v\"><a j:x=\"1\" y='&lt;&amp;2&amp;&#65;'  z=''/>"
                               "<k:b k:x=\"3\"/></rpc-reply>";
    const xmlNode *a, *b;
    struct nc_reply *r;
    const char *why;

    (void)state;
    assert_int_equal(read_reply(text, &r, &why), RK_OK);
    a = nc_child(r->root, "a");
    b = nc_child(r->root, "b");
    assert_string_equal(nc_xml_attr(a, "x")->children->content, "1");
    assert_string_equal(nc_xml_attr(a, "y")->children->content, "<&2&A");
    assert_string_equal(nc_xml_attr(a, "z")->children->content, "");
    assert_null(nc_xml_attr(a, "b"));
    assert_string_equal(nc_xml_attr(b, "x")->children->content, "3");
    assert_string_equal(a->ns->href, "u");
    assert_null(b->ns); /* its prefix is nothing's: it stays in the name */
    assert_string_equal(b->name, "k:b");
    nc_reply_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frames),      cmocka_unit_test(test_a_long_message),
                                       cmocka_unit_test(test_hellos),      cmocka_unit_test(test_many_capabilities),
                                       cmocka_unit_test(test_replies),     cmocka_unit_test(test_error_texts),
                                       cmocka_unit_test(test_message_ids), cmocka_unit_test(test_deep_replies),
                                       cmocka_unit_test(test_elements),    cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_long_texts),  cmocka_unit_test(test_attributes),
                                       cmocka_unit_test(test_greetings)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
