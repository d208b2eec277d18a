/* junos_shim_test.c - what the shim needs on a router: statements, by the vendor's models; and bringing and removing
 * it, against a router with files that is played here: what was sent as a key is in nothing that is shown or logged */
#include "plugins/common/keytext.h"
#include "plugins/common/netconf/reply.h"
#include "plugins/device/junos-netconf/prepare.h"
#include "plugins/device/junos-netconf/session.h"

#include "fakehost.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define URL "url=https://rekeyd.example:8471"
#define EMPTY "<configuration/>"
#define PEM(edge) "-----" edge " PRIVATE KEY-----\n" /* no key is in it: a marker to look for */
#define KEY PEM("BEGIN") "THE+MARKER+OF+THE+KEY\n" PEM("END")
#define CRT "-----BEGIN CERTIFICATE-----\nCERT\n-----END CERTIFICATE-----\n"
#define SCRIPT "#!/usr/bin/env python3\nprint('<&]]>]]>')\n"
#define FILES 4

static struct scratch scratch;
static struct rk_call call;
static char lines[8000], words_of_files[3][300];

/* ---- a router ---- */

static struct {
    const char *conf, *refuse; /* the word of a request that is refused */
    struct {
        char path[160], mode[8], content[512];
    } file[FILES];
    char payload[8000];
    unsigned puts, commits, deletes;
    bool no_sums, broken;
} router;

static const char *
between(const char *text, const char *tag, char *out, size_t size)
{
    char open[60];
    const char *at, *end;

    snprintf(open, sizeof open, "<%s>", tag);
    at = strstr(text, open);
    end = at ? strchr(at += strlen(open), '<') : NULL;
    snprintf(out, size, "%.*s", end ? (int)(end - at) : 0, end ? at : "");
    return out;
}

static void
file_put(const char *text)
{
    char path[160], mode[8], code[900];
    size_t at = 0;

    between(text, "filename", path, sizeof path);
    between(text, "permission", mode, sizeof mode);
    between(text, "file-contents", code, sizeof code);
    while (at < FILES - 1 && router.file[at].path[0] && strcmp(router.file[at].path, path) != 0)
        at++;
    strcpy(router.file[at].path, path);
    strcpy(router.file[at].mode, mode);
    memset(router.file[at].content, 0, sizeof router.file[at].content);
    assert_true(rkp_base64_len(code, strlen(code)) < sizeof router.file[at].content);
    rkp_base64_get(code, strlen(code), (unsigned char *)router.file[at].content);
    if (router.broken)
        router.file[at].content[0] ^= 1;
    router.puts++;
}

static const char *
file_at(const char *path)
{
    for (size_t i = 0; i < FILES; i++)
        if (strcmp(router.file[i].path, path) == 0)
            return router.file[i].content;
    return NULL;
}

static void
sum(const char *text, char *out, size_t size)
{
    char path[160], hex[65];
    unsigned char digest[32];
    const char *content = file_at(between(text, "path", path, sizeof path));

    if (!content) {
        snprintf(out, size, "<rpc-error><error-severity>error</error-severity><error-message>%s: No such file or "
                 "directory</error-message></rpc-error>", path);
        return;
    }
    assert_int_equal(fake_host.sha256(content, strlen(content), digest), RK_OK);
    rkp_hex_put(digest, 32, hex);
    snprintf(out, size, "<checksum-information><file-checksum><input-file>%s</input-file><checksum>\n%s\n</checksum>"
             "</file-checksum></checksum-information>", path, hex);
}

static void
answer(const char *what, const char *text, char *out, size_t size)
{
    if ((router.refuse && strcmp(what, router.refuse) == 0) || (router.no_sums && strstr(what, "checksum")))
        snprintf(out, size, "<rpc-error><error-severity>error</error-severity><error-message>%s</error-message>"
                 "</rpc-error>", router.no_sums ? "syntax error" : "permission denied");
    else if (strcmp(what, "get-configuration") == 0)
        snprintf(out, size, "%s", router.conf);
    else if (strstr(what, "checksum"))
        sum(text, out, size);
    else
        snprintf(out, size, "<ok/>");
    if (strstr(out, "rpc-error"))
        return;
    if (strcmp(what, "file-put") == 0)
        file_put(text);
    if (strcmp(what, "load-configuration") == 0)
        snprintf(router.payload, sizeof router.payload, "%s", text);
    router.commits += strcmp(what, "commit-configuration") == 0 && !strstr(text, "<check/>");
    router.deletes += strcmp(what, "file-delete") == 0;
}

static int
add_secret(const unsigned char *bytes, size_t len, void *arg)
{
    strncat(arg, (const char *)bytes, len);
    return RK_OK;
}

static int
rpc(struct jn_device *d, struct rk_call *c, const struct nc_request *r, struct nc_reply **reply)
{
    static char text[12000], said[9000], whole[9100];
    const char *why;

    (void)c;
    text[0] = '\0';
    for (size_t i = 0; i < r->n; i++)
        if (r->parts[i].kind == NC_TEXT)
            strcat(text, r->parts[i].text);
        else
            d->host->secret_use(r->parts[i].secret, add_secret, text);
    answer(r->what, text, said, sizeof said);
    snprintf(whole, sizeof whole, "<rpc-reply message-id=\"1\">%s</rpc-reply>", said);
    assert_int_equal(nc_reply_read(whole, strlen(whole), reply, &why), RK_OK);
    return (*reply)->n_errors ? RK_E_REJECTED : RK_OK;
}

static void
hang_up(struct jn_device *d)
{
    (void)d;
}

static const struct jn_line line_of_router = {rpc, rpc, hang_up};
static struct jn_device device = {
    .host = &fake_host, .line = &line_of_router, .session = &router,
    .opt = {.name = (char *)"r1", .host = (char *)"r1.example", .user = (char *)"rekey", .commit_ms = 10000},
};

static void
take(void *arg, const char *text)
{
    (void)arg;
    assert_true(strlen(text) <= 399);
    assert_true(strlen(lines) + strlen(text) + 2 < sizeof lines);
    strcat(strcat(lines, text), "\n");
}

static int
ask(bool apply, const char *const *words)
{
    struct rk_prepare want = {
        .size = sizeof want, .apply = apply, .ifaces = (const char *const[]){NULL}, .words = words};

    lines[0] = '\0';
    return jn_prepare(&device, &call, &want, take, NULL);
}

static void
has(const char *text)
{
    if (!strstr(lines, text))
        fail_msg("not there: %s\nin: %s%s", text, lines, call.text);
}

static int
begin(void **state)
{
    static const char *const names[] = {"cert", "key", "ca"}, *const texts[] = {CRT, KEY, CRT};

    (void)state;
    memset(&router, 0, sizeof router);
    router.conf = EMPTY;
    scratch_make(&scratch);
    fake_call(&call, 10000);
    fake_log_clear();
    for (size_t i = 0; i < 3; i++)
        snprintf(words_of_files[i], sizeof words_of_files[i], "%s=%s", names[i],
                 scratch_text(&scratch, names[i], texts[i]));
    return 0;
}

static int
end(void **state)
{
    (void)state;
    fake_call_end(&call);
    scratch_remove(&scratch);
    return 0;
}

static const char *
script_word(void)
{
    static char word[300];

    snprintf(word, sizeof word, "script=%s", scratch_text(&scratch, "s.py", SCRIPT));
    return word;
}

/* ---- statements ---- */

/* Valid by the vendor's models, where they are at hand. */
static void
assert_valid(const struct jn_need *need)
{
    const char *folder = getenv("REKEY_YANG"), *top = getenv("top_srcdir");
    char path[512], file[256], run[1200], *load = jn_need_load(need);
    FILE *out;

    snprintf(path, sizeof path, folder ? "%s/validate.sh" : "%s/../shared/yang/validate.sh",
             folder ? folder : top ? top : ".");
    if (access(path, X_OK) == 0 && system("command -v yanglint >/dev/null && command -v xsltproc >/dev/null") == 0) {
        snprintf(file, sizeof file, "%s/load.xml", scratch.dir);
        out = fopen(file, "w");
        assert_non_null(out);
        fprintf(out, "<rpc>%s</rpc>", load);
        fclose(out);
        snprintf(run, sizeof run, "'%s' '%s' system event-options >'%s.out' 2>&1", path, file, file);
        if (system(run) != 0) {
            snprintf(run, sizeof run, "sed 's/^/# /' '%s.out'", file);
            (void)!system(run);
            fail_msg("not valid: %s", load);
        }
    } else {
        print_message("# the vendor's models are not at hand: not validated against them\n");
    }
    free(load);
}

static void
statements(void **state)
{
    const char *const words[] = {
        "shim-install", URL, "address=192.0.2.7", "user=shim", "name=rekeyd.site-a", "linger=45", "both-engines",
        script_word(),  NULL};
    struct jn_need need;
    struct jn_shim s;

    (void)state;
    assert_int_equal(jn_shim_read(&fake_host, &call, words, "", &s), RK_OK);
    assert_int_equal(jn_shim_need(&s, NULL, &need), RK_OK);
    assert_valid(&need);
    lines[0] = '\0';
    jn_need_tell(&need, take, NULL);
    has("set system scripts language python3\nset system scripts synchronize\n"
        "set system static-host-mapping rekeyd.example inet 192.0.2.7\n"
        "set event-options generate-event rekey-shim time-interval 60\n"
        "set event-options policy rekey-shim events rekey-shim\n");
    has(" then event-script rekey-shim.py arguments url https://rekeyd.example:8471\n");
    has(" arguments key /var/home/shim/rekey-shim.key\n");
    has(" arguments name rekeyd.site-a\n");
    has(" arguments linger 45\n");
    has("set event-options event-script file rekey-shim.py python-script-user shim\n"
        "set event-options event-script file rekey-shim.py checksum sha-256 ");
    jn_need_free(&need);
    s.install = false;
    assert_int_equal(jn_shim_need(&s, NULL, &need), RK_OK);
    assert_valid(&need);
    lines[0] = '\0';
    jn_need_tell(&need, take, NULL);
    assert_string_equal(lines,
                        "delete event-options generate-event rekey-shim\ndelete event-options policy rekey-shim\n"
                        "delete event-options event-script file rekey-shim.py\n");
    jn_need_free(&need);
}

static void
wrong_words(void **state)
{
    static const char *const bad[] = {
        "url=http://x", "url=https://", "url=https://a/b", "url=https://a:x", "url=https://a b", "url=https://[::1",
        "url=https://a<b", "address=here", "user=root", "user=a b", "user=", "linger=60", "linger=x", "tick=59",
        "name=a<b", "cert=relative", "colour=red", "", "nothing", "script=/no/such",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *const words[] = {"shim-install", URL, script_word(), bad[i], NULL};
        struct jn_shim s;

        if (jn_shim_read(&fake_host, &call, words, "u", &s) == RK_OK)
            fail_msg("taken: %s", bad[i]);
    }
    assert_int_equal(ask(false, (const char *const[]){"shine", NULL}), RK_E_UNSUPPORTED);
}

/* ---- bringing it ---- */

static int
install(bool apply)
{
    const char *const words[] = {"shim-install", URL, words_of_files[0], words_of_files[1], words_of_files[2],
                                 script_word(), NULL};

    return ask(apply, words);
}

static void
nothing_shown(void)
{
    assert_null(strstr(lines, "MARKER"));
    assert_null(strstr(fake_log(), "MARKER"));
    assert_null(strstr(call.text, "MARKER"));
    assert_null(strstr(lines, "VEhFK")); /* nor in base64 */
    assert_null(strstr(fake_log(), "VEhFK"));
    assert_null(strstr(call.text, "VEhFK"));
}

static void
prints(void **state)
{
    (void)state;
    assert_int_equal(install(false), RK_OK);
    assert_int_equal(router.puts + router.commits, 0);
    has("set event-options generate-event rekey-shim time-interval 60\n");
    has("rekey@r1.example:/var/db/scripts/event/rekey-shim.py   (mode 0555");
    has("rekey@r1.example:/var/home/rekey/rekey-shim.key   (mode 0600");
    has("# a router with two routing engines needs --both-engines");
    nothing_shown();
}

static void
installs(void **state)
{
    (void)state;
    assert_int_equal(install(true), RK_OK);
    assert_int_equal(router.puts, 4);
    assert_int_equal(router.commits, 1);
    assert_string_equal(file_at("/var/db/scripts/event/rekey-shim.py"), SCRIPT);
    assert_string_equal(file_at("/var/home/rekey/rekey-shim.key"), KEY);
    assert_string_equal(file_at("/var/home/rekey/rekey-shim.ca"), CRT);
    assert_string_equal(router.file[0].mode, "0555");
    assert_string_equal(router.file[2].mode, "0600");
    assert_non_null(strstr(router.payload, "<arguments><name>url</name><value>https://rekeyd.example:8471</value>"));
    nothing_shown();
    /* the files are there, and with the statements there is nothing left to do */
    router.puts = 0;
    router.conf = strstr(router.payload, "<configuration>");
    router.conf = strndup(router.conf, (size_t)(strstr(router.conf, "</load-configuration>") - router.conf));
    assert_int_equal(install(true), RK_OK);
    assert_int_equal(router.puts, 0);
    assert_int_equal(router.commits, 1);
    assert_string_equal(lines, "");
    free((char *)(size_t)router.conf);
}

/* An argument of an earlier time goes. */
static void
changes(void **state)
{
    (void)state;
    router.conf = "<configuration><event-options><policy><name>rekey-shim</name><events>rekey-shim</events><then>"
                  "<event-script><name>rekey-shim.py</name><arguments><name>linger</name><value>9</value></arguments>"
                  "<arguments><name>url</name><value>https://old</value></arguments></event-script></then></policy>"
                  "</event-options></configuration>";
    assert_int_equal(install(true), RK_OK);
    has("delete event-options policy rekey-shim then event-script rekey-shim.py arguments linger\n");
    assert_non_null(strstr(router.payload, "<arguments delete=\"delete\"><name>linger</name></arguments>"));
    assert_null(strstr(router.payload, "<events>"));
}

static void
failures(void **state)
{
    static const char *const refused[] = {"get-configuration", "file-put", "open-configuration", "load-configuration",
                                          "commit-configuration"};

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        router.refuse = refused[i];
        assert_int_not_equal(install(true), RK_OK);
        assert_int_equal(router.commits, 0);
        assert_string_equal(lines, "");
        nothing_shown();
    }
    router.refuse = NULL;
    router.broken = true; /* it takes the file, and has another one */
    memset(router.file, 0, sizeof router.file);
    assert_int_equal(install(true), RK_E_REJECTED);
    assert_non_null(strstr(call.text, "is not there, or not whole"));
    router.broken = false;
    router.no_sums = true; /* an old release: what was sent counts */
    assert_int_equal(install(true), RK_OK);
    assert_int_equal(router.commits, 1);
}

static void
wrong_files(void **state)
{
    const char *key = scratch_text(&scratch, "key", CRT);

    (void)state;
    assert_int_equal(install(true), RK_E_CONFIG); /* no key */
    assert_int_equal(router.commits, 0);
    assert_int_equal(chmod(scratch_text(&scratch, "key", KEY), 0644), 0);
    assert_int_equal(install(true), RK_E_UNSAFE);
    assert_int_equal(chmod(key, 0600), 0);
    scratch_text(&scratch, "cert", CRT KEY);
    assert_int_equal(install(true), RK_E_UNSAFE); /* a key where it would be readable */
    assert_non_null(strstr(call.text, "has a private key in it"));
    scratch_text(&scratch, "cert", "");
    assert_int_equal(install(true), RK_E_IO);
    nothing_shown();
    /* files would belong to another user than the script's */
    assert_int_equal(ask(true, (const char *const[]){"shim-install", URL, "user=other", script_word(), NULL}),
                     RK_E_CONFIG);
    assert_non_null(strstr(call.text, "files would belong to rekey, and the script runs as other"));
}

static void
removes(void **state)
{
    const char *const words[] = {"shim-remove", NULL};

    (void)state;
    router.conf = "<configuration><event-options><generate-event><name>rekey-shim</name></generate-event><policy>"
                  "<name>mine</name></policy></event-options></configuration>";
    assert_int_equal(ask(true, words), RK_OK);
    has("delete event-options generate-event rekey-shim\n");
    assert_null(strstr(lines, "policy"));
    assert_non_null(
        strstr(router.payload, "<generate-event delete=\"delete\"><name>rekey-shim</name></generate-event>"));
    assert_int_equal(router.deletes, 4);
    router.refuse = "file-delete";
    assert_int_equal(ask(true, words), RK_OK);
    has("# file delete /var/home/rekey/rekey-shim.key\n");
}

/* ---- a device that is not reached from here, and what the old script left ---- */

static void
a_device_that_dials_out(void **state)
{
    const struct jn_shim_own own = {"SAE_A", 90};
    const char *const words[] = {"shim-install", URL, "user=shim", script_word(), NULL}, *const set[] = {
                                                                                             "shim-settings", NULL};
    struct rk_prepare want = {.size = sizeof want, .words = words};

    (void)state;
    lines[0] = '\0';
    assert_int_equal(jn_shim_print(&fake_host, &call, &own, &want, take, NULL), RK_OK);
    has("set event-options generate-event rekey-shim time-interval 90\n");
    has("# the router's certificate must name it SAE_A");
    has("# scp ROUTER.key shim@SAE_A:/var/home/shim/rekey-shim.key   (mode 0600");
    want.apply = 1;
    assert_int_equal(jn_shim_print(&fake_host, &call, &own, &want, take, NULL), RK_E_UNSUPPORTED);
    want = (struct rk_prepare){.size = sizeof want, .words = set};
    lines[0] = '\0';
    assert_int_equal(jn_shim_print(&fake_host, &call, &own, &want, take, NULL), RK_OK);
    assert_string_equal(lines, "router=SAE_A\ntick=90\n");
    want.size = offsetof(struct rk_prepare, words); /* an older core */
    assert_int_equal(jn_shim_print(&fake_host, &call, &own, &want, take, NULL), RK_E_UNSUPPORTED);
}

static void
tells_statements(void **state)
{
    (void)state;
    router.conf =
        "<configuration><system><host-name>A</host-name></system><security><macsec><connectivity-association><name>CA</"
        "name>"
        "<pre-shared-key><ckn>aa</ckn><cak>MARKER</cak></pre-shared-key><fallback-key><ckn>$9$MARKER</ckn></"
        "fallback-key>"
        "</connectivity-association><interfaces "
        "inactive=\"inactive\"><name>ge-0/0/1</name><apply-macro><name>qkd</name><data>"
        "<name>kme-host</name><value>a "
        "\"b\"</value></data></apply-macro></interfaces></macsec></security><event-options>"
        "<policy><name>qkd</name><events>e</events><then><event-script><name>offbox.py</name></event-script></then></"
        "policy>"
        "</event-options><interfaces><interface><name>ge-0/0/1</name><description>x|{&quot;k&quot;: &quot;v&quot;}"
        "</description></interface></interfaces></configuration>";
    assert_int_equal(ask(false, (const char *const[]){"offbox", NULL}), RK_OK);
    assert_string_equal(lines,
        "set system host-name A\n"
        "set security macsec connectivity-association CA pre-shared-key ckn aa\n"
        "set security macsec interfaces ge-0/0/1 apply-macro qkd kme-host \"a \\\"b\\\"\"\n"
        "deactivate security macsec interfaces ge-0/0/1\n"
        "set event-options policy qkd events e\n"
        "set event-options policy qkd then event-script offbox.py\n"
        "set interfaces ge-0/0/1 description \"x|{\\\"k\\\": \\\"v\\\"}\"\n");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(statements), T(wrong_words), T(prints), T(installs), T(changes), T(failures), T(wrong_files), T(removes),
        T(a_device_that_dials_out), T(tells_statements),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
