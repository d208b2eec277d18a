/* netconf_session_test.c - the NETCONF client against a server that plays scripts: trust, login, framing, lies, loss. */
#include "fakehost.h"
#include "netconf_server.h"
#include "scratch.h"

#include "plugins/common/netconf/netconf.h"

#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define BUDGET_MS 20000
#define OK_REPLY "<rpc-reply message-id=\"$ID\"><ok/></rpc-reply>\n"
#define HELLO {SRV_SEND, SRV_HELLO_1_0, 0}
#define ASKED {SRV_READ, NULL, 0}, {SRV_READ, NULL, 0} /* its hello, its request */

static struct srv srv;
static struct scratch scratch;
static struct rk_call call;
static struct nc_session *nc;
static struct nc_reply *reply;
static struct rk_secret *key;
static struct nc_target target;
static char known_line[2048];
static int fds_before;
static atomic_bool resolver_hangs;

/* The client's own looking up of names passes here. */
int
getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **list)
{
    typedef int fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    static union {
        void *ptr;
        fn *fn;
    } real;

    if (!real.ptr)
        real.ptr = dlsym(RTLD_NEXT, "getaddrinfo");
    while (!(hints->ai_flags & AI_NUMERICHOST) && atomic_load(&resolver_hangs))
        usleep(1000);
    return real.fn(host, port, hints, list);
}

/* ---- helpers ---- */

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

/* libssh writes one long line, which is not what ssh-keygen writes, and more than libssh2 reads. */
static size_t
wrap(const char *in, char *out)
{
    char *begin = out;

    for (size_t column = 0; *in; in++) {
        if (column == 70 && *in != '\n') {
            *out++ = '\n';
            column = 0;
        }
        column = *in == '\n' ? 0 : column + 1;
        *out++ = *in;
    }
    *out = '\0';
    return (size_t)(out - begin);
}

static void
use_key(ssh_key k, const char *passphrase)
{
    const char *path = scratch_path(&scratch, "id");
    char text[8192], lines[9000];

    if (ssh_pki_export_privkey_file(k, passphrase, NULL, NULL, path) != SSH_OK)
        abort();
    scratch_read(path, text, sizeof text);
    fake_host.secret_free(&key);
    key = fake_secret(lines, wrap(text, lines));
    target.key = key;
    scratch_text(&scratch, "id", lines);
}

static void
trust(const char *line)
{
    target.known_hosts = scratch_text(&scratch, "known_hosts", line);
}

static void
start_with(enum ssh_keytypes_e type, const struct srv_step *script)
{
    srv_start(&srv, type, script);
    target.port = srv.port;
    srv_known(&srv, known_line);
    trust(known_line);
}

static void
start(const struct srv_step *script)
{
    start_with(SSH_KEYTYPE_ED25519, script);
}

static void
let_in(enum ssh_keytypes_e type, const char *passphrase)
{
    srv.user_key = srv_new_key(type);
    use_key(srv.user_key, passphrase);
}

static int
set_up(void **state)
{
    ssh_key any = srv_new_key(SSH_KEYTYPE_ED25519);

    (void)state;
    fds_before = open_fds();
    scratch_make(&scratch);
    fake_call(&call, BUDGET_MS);
    fake_log_clear();
    target = (struct nc_target){.host = "127.0.0.1", .user = "rekeyd", .key_name = "/etc/rekey/id"};
    use_key(any, NULL);
    ssh_key_free(any);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    nc_reply_free(&reply);
    nc_close(&nc, NULL);
    if (srv.port)
        srv_stop(&srv);
    srv.port = 0;
    fake_host.secret_free(&key);
    fake_call_end(&call);
    scratch_remove(&scratch);
    if (nc_sessions() != 0)
        fail_msg("%u sessions are left", nc_sessions());
    if (open_fds() != fds_before)
        fail_msg("%d descriptors, not %d", open_fds(), fds_before);
    return 0;
}

static void
assert_says(const char *text)
{
    if (!strstr(call.text, text))
        fail_msg("\"%s\" does not say \"%s\"", call.text, text);
}

static int
opens(void)
{
    return nc_open(&fake_host, &call, &target, &nc);
}

static void
must_open(void)
{
    int err = opens();

    if (err)
        fail_msg("open: %d %s", err, call.text);
}

static void
must_not_open(int code, const char *text)
{
    int err = opens();

    if (err != code)
        fail_msg("open: %d, not %d: %s", err, code, err ? call.text : "");
    assert_null(nc);
    assert_says(text);
}

static int
ask_for(const char *body)
{
    const struct nc_part part = {.text = body};
    const struct nc_request request = {.what = "get-it", .parts = &part, .n = 1};

    nc_reply_free(&reply);
    return nc_rpc(nc, &call, &request, &reply);
}

static void
must_ask(int code)
{
    int err = ask_for("<get-it/>");

    if (err != code)
        fail_msg("rpc: %d, not %d: %s", err, code, err ? call.text : "");
}

/* ---- both framings ---- */

static void
test_delimited(void **state)
{
    static const struct srv_step script[] = {
        {SRV_BYTES, SRV_HELLO_1_0, 0}, ASKED, {SRV_BYTES, OK_REPLY "]]>]]>\n", 0}, {SRV_READ, NULL, 0},
        {SRV_SEND, "<rpc-reply message-id=\"$ID\"><data>x</data></rpc-reply>]]>]", 0}, {SRV_PAUSE, NULL, 30},
        {SRV_SEND, "]>", 0}, {SRV_READ, NULL, 0}, {SRV_SEND, OK_REPLY "]]>]]>\n<!-- session end -->\n", 0}, {0}};
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
    srv_stop(&srv);
    srv.port = 0;
    assert_non_null(strstr(srv.got, "<capability>urn:ietf:params:netconf:base:1.1</capability>"));
    assert_non_null(strstr(srv.got, "message-id=\"1\"><get-it/></rpc>\n]]>]]>"));
    assert_non_null(strstr(srv.got, "<close-session/>"));
}

static void
test_chunked(void **state)
{
    static const struct srv_step script[] = {
        {SRV_SEND, SRV_HELLO_1_1, 0}, ASKED, {SRV_CHUNK, OK_REPLY, 0}, {SRV_READ, NULL, 0},
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
    srv_stop(&srv);
    srv.port = 0;
    assert_non_null(strstr(srv.got, "]]>]]>\n#"));
    assert_non_null(strstr(srv.got, "</rpc>\n\n##\n"));
}

static void
test_secrets_are_sent_and_not_logged(void **state)
{
    static const struct srv_step script[] = {HELLO, ASKED, {SRV_SEND, OK_REPLY "]]>]]>", 0}, {SRV_HANG, NULL, 0}};
    struct rk_secret *cak = fake_secret("\xde\xad\xbe\xef\x01", 5), *word = fake_secret("$9$a<b&\"'>", 10);
    const struct nc_part parts[] = {{.text = "<cak>"}, {NC_SECRET_HEX, NULL, cak}, {.text = "</cak><s>"},
                                    {NC_SECRET_TEXT, NULL, word}, {.text = "</s>"}};
    const struct nc_request request = {.what = "load", .parts = parts, .n = 5, .secret_reply = true};

    (void)state;
    start(script);
    must_open();
    assert_int_equal(nc_rpc(nc, &call, &request, &reply), RK_OK);
    assert_non_null(strstr(fake_log(), "ev=rpc"));
    assert_null(strstr(fake_log(), "deadbeef"));
    assert_null(strstr(fake_log(), "$9$"));
    fake_host.secret_free(&cak);
    fake_host.secret_free(&word);
    nc_close(&nc, NULL);
    srv_stop(&srv);
    srv.port = 0;
    assert_non_null(strstr(srv.got, "<cak>deadbeef01</cak><s>$9$a&lt;b&amp;&quot;&apos;&gt;</s></rpc>"));
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
        HELLO, ASKED, {SRV_SEND, "<rpc-reply message-id=\"$ID\"><data>", 0},
        {SRV_FILL, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n", 40000},
        {SRV_SEND, "</data></rpc-reply>]]>]]>", 0}, {SRV_HANG, NULL, 0}};
    char *body = malloc(200001);

    (void)state;
    start(script);
    must_open();
    memset(body, ' ', 200000);
    body[200000] = '\0';
    assert_int_equal(ask_for(body), RK_OK);
    free(body);
    nc_close(&nc, NULL);
    srv_stop(&srv);
    srv.port = 0;
    assert_true(srv.got_len > 200000);
}

/* ---- host keys ---- */

static const struct srv_step greets[] = {HELLO, {SRV_READ, NULL, 0}, {SRV_HANG, NULL, 0}};

static void
test_host_key_types(void **state)
{
    static const enum ssh_keytypes_e types[] = {SSH_KEYTYPE_ED25519, SSH_KEYTYPE_ECDSA_P256};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        start_with(types[i], greets);
        must_open();
        nc_close(&nc, NULL);
        srv_stop(&srv);
        srv.port = 0;
    }
}

static void
test_host_key_rsa_only(void **state)
{
    char line[2048];

    (void)state;
    start_with(SSH_KEYTYPE_RSA, greets);
    must_not_open(RK_E_AUTH, "known_hosts:1 knows it by a key of type ssh-rsa only");
    assert_says("ssh-keyscan");
    snprintf(line, sizeof line, "[127.0.0.1]:%u ssh-ed25519 "
             "AAAAC3NzaC1lZDI1NTE5AAAAIJGJbXZk3yRcfUcB8Vp7OrF2ZKwZ0zOsDDHhGmyvI2PZ\n", srv.port);
    trust(line);
    must_not_open(RK_E_AUTH, "has host keys of type rsa-sha2-512");
    assert_says("hostkey-algorithm");
}

static void
test_host_key_of_other_type(void **state)
{
    ssh_key other = srv_new_key(SSH_KEYTYPE_ECDSA_P256);
    char line[2048], text[4400];

    (void)state;
    start(greets);
    srv_key_line(other, line, sizeof line);
    snprintf(text, sizeof text, "# mine\n\n[127.0.0.1]:%u %s\n", srv.port, line);
    trust(text);
    must_not_open(RK_E_AUTH, "known_hosts:3 knows its key of type ecdsa-sha2-nistp256, but it has ssh-ed25519");
    snprintf(text, sizeof text, "127.0.0.1 %s\n%s", line, known_line); /* its [host]:port line is what counts */
    trust(text);
    must_open();
    ssh_key_free(other);
}

static void
test_host_key_differs(void **state)
{
    ssh_key other = srv_new_key(SSH_KEYTYPE_ED25519);
    char line[2048], text[4400];

    (void)state;
    start(greets);
    srv_key_line(other, line, sizeof line);
    snprintf(text, sizeof text, "other ssh-ed25519 AAAA\n127.0.0.1,also %s\n", line);
    trust(text);
    target.trust_first_use = true; /* a host that is known has no first use */
    must_not_open(RK_E_AUTH, "known_hosts:2 (ssh-ed25519)");
    assert_says("ssh-keygen -f");
    assert_int_equal(atomic_load(&srv.packets_in), 0);
    ssh_key_free(other);
}

static void
test_host_key_names(void **state)
{
    char line[2048], text[8400];

    (void)state;
    start(greets);
    srv_key_line(srv.host_key, line, sizeof line);
    snprintf(text, sizeof text, "127.0.0.1 %s comment\n", line);
    trust(text);
    must_open();
    nc_close(&nc, NULL);
    snprintf(text, sizeof text, "a,127.0.0.1,b %s\r\n", line);
    trust(text);
    must_open();
    nc_close(&nc, NULL);
    snprintf(text, sizeof text, "127.0.0.10 %s\n\n@cert-authority 127.0.0.1 %s\n", line, line);
    trust(text);
    must_not_open(RK_E_AUTH, "is not in ");
    assert_says("SHA256:");
    snprintf(text, sizeof text, "%s@revoked 127.0.0.1 %s\n@revoked [127.0.0.1]:%u %s\n", known_line, line, srv.port, line);
    trust(text);
    must_not_open(RK_E_AUTH, "is revoked by");
}

static void
test_host_key_hashed(void **state)
{
    const char *path;
    char command[600];

    (void)state;
    start(greets);
    path = target.known_hosts;
    snprintf(command, sizeof command, "ssh-keygen -q -H -f %s >%s/out 2>&1", path, scratch.dir);
    if (system(command) != 0) {
        print_message("# ssh-keygen is not there\n");
        skip();
    }
    scratch_read(path, command, sizeof command);
    assert_int_equal(strncmp(command, "|1|", 3), 0);
    must_open();
}

static void
test_trust_first_use(void **state)
{
    char text[4096], want[4096];
    struct stat st;

    (void)state;
    start(greets);
    target.trust_first_use = true;
    target.known_hosts = scratch_path(&scratch, "new");
    must_open();
    assert_non_null(strstr(fake_log(), "ev=hostkey-trusted"));
    nc_close(&nc, NULL);
    scratch_read(scratch_path(&scratch, "new"), text, sizeof text);
    assert_string_equal(text, known_line);
    assert_int_equal(stat(scratch_path(&scratch, "new"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    target.trust_first_use = false;
    must_open(); /* it was recorded */
    nc_close(&nc, NULL);
    target.trust_first_use = true;
    trust("other ssh-ed25519 AAAA"); /* no newline at its end */
    must_open();
    nc_close(&nc, NULL);
    must_open();
    scratch_read(target.known_hosts, text, sizeof text);
    snprintf(want, sizeof want, "other ssh-ed25519 AAAA\n%s", known_line);
    assert_string_equal(text, want);
}

static void
test_known_hosts_must_be_safe(void **state)
{
    (void)state;
    start(greets);
    if (chmod(target.known_hosts, 0666) < 0)
        abort();
    must_not_open(RK_E_UNSAFE, "chmod go-w");
    target.trust_first_use = true;
    must_not_open(RK_E_UNSAFE, "chmod go-w");
    target.known_hosts = scratch_path(&scratch, "none");
    target.trust_first_use = false;
    must_not_open(RK_E_NOENT, "known hosts: ");
    target.trust_first_use = true;
    target.known_hosts = scratch_path(&scratch, "no/such/folder");
    must_not_open(RK_E_NOENT, "cannot be recorded");
    target.known_hosts = NULL;
    must_not_open(RK_E_CONFIG, "known hosts");
}

/* ---- login ---- */

static void
test_login(void **state)
{
    struct rk_secret *right = fake_secret("open sesame", 11), *wrong = fake_secret("open", 4);

    (void)state;
    start(greets);
    let_in(SSH_KEYTYPE_ED25519, NULL);
    must_open();
    nc_close(&nc, NULL);
    use_key(srv.user_key, "open sesame");
    must_not_open(RK_E_AUTH, "/etc/rekey/id cannot be used");
    target.passphrase = wrong;
    must_not_open(RK_E_AUTH, "the passphrase the right one");
    target.passphrase = right;
    must_open();
    fake_host.secret_free(&right);
    fake_host.secret_free(&wrong);
}

static void
test_login_ecdsa(void **state)
{
    (void)state;
    start(greets);
    let_in(SSH_KEYTYPE_ECDSA_P256, NULL);
    must_open();
}

static void
test_login_refused(void **state)
{
    ssh_key rsa = srv_new_key(SSH_KEYTYPE_RSA);

    (void)state;
    start(greets);
    srv.fault = SRV_NO_LOGIN;
    must_not_open(RK_E_AUTH, "the router refused /etc/rekey/id");
    use_key(rsa, NULL);
    must_not_open(RK_E_AUTH, "is an RSA key");
    fake_host.secret_free(&key);
    key = fake_secret("no key at all", 13);
    target.key = key;
    must_not_open(RK_E_AUTH, "cannot be used");
    ssh_key_free(rsa);
}

static pid_t
run_agent(const char *socket_path)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout)) /* what it says there is not TAP */
            _exit(126);
        execlp("ssh-agent", "ssh-agent", "-D", "-a", socket_path, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 500 && access(socket_path, F_OK) < 0; i++)
        usleep(10000);
    return pid;
}

static void
test_agent(void **state)
{
    const char *path = scratch_path(&scratch, "agent");
    ssh_key other = srv_new_key(SSH_KEYTYPE_ECDSA_P256);
    char command[600];
    pid_t pid;

    (void)state;
    start(greets);
    let_in(SSH_KEYTYPE_ECDSA_P256, NULL);
    pid = run_agent(path);
    snprintf(command, sizeof command, "chmod 600 %s/id; SSH_AUTH_SOCK=%s ssh-add -q %s/id", scratch.dir, path, scratch.dir);
    use_key(other, NULL);
    target.key = NULL;
    target.agent = path;
    if (access(path, F_OK) == 0 && system(command) == 0) {
        must_not_open(RK_E_AUTH, "took none of the 1 ");
        use_key(srv.user_key, NULL);
        target.key = NULL;
        assert_int_equal(system(command), 0);
        must_open();
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    } else {
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
        ssh_key_free(other);
        print_message("# ssh-agent is not there\n");
        skip();
    }
    ssh_key_free(other);
    nc_close(&nc, NULL);
    target.agent = scratch_path(&scratch, "no-agent");
    must_not_open(RK_E_AUTH, "cannot be reached");
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
    static const struct srv_step limit[] = {
        {SRV_SEND, "<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><rpc-error><error-severity>error"
                   "</error-severity><error-message>\nmaximum sessions reached\n</error-message></rpc-error></rpc-reply>"
                   "]]>]]>", 0}, {SRV_HANG, NULL, 0}},
        rights[] = {{SRV_SEND, "<rpc-error><error-severity>error</error-severity><error-message>permission denied"
                               "</error-message></rpc-error>]]>]]>", 0}, {SRV_HANG, NULL, 0}},
        junk[] = {{SRV_SEND, "<data/>]]>]]>", 0}, {SRV_HANG, NULL, 0}},
        ended[] = {{SRV_SEND, "<hello", 0}, {SRV_END, NULL, 0}}, cut[] = {{SRV_CUT, NULL, 0}},
        huge[] = {{SRV_FILL, "<!-- 0123456789012345678901234567890123456789012345678901 -->\n", 100000}, {0}};
    static const struct {
        const struct srv_step *script;
        int code;
        const char *text;
    } cases[] = {{limit, RK_E_BUSY, "maximum sessions"},  {rights, RK_E_AUTH, "permission denied"},
                 {junk, RK_E_PROTOCOL, "than a hello"},   {ended, RK_E_UNREACHABLE, "exchanging hellos"},
                 {cut, RK_E_UNREACHABLE, "lost"},         {huge, RK_E_PROTOCOL, "longer than allowed"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start(cases[i].script);
        must_not_open(cases[i].code, cases[i].text);
        srv_stop(&srv);
        srv.port = 0;
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
        srv_stop(&srv);
        srv.port = 0;
    }
}

static void
test_lies(void **state)
{
    static const struct lie delimited[] = {
        {"]]>]]>junk]]>]]>", "no XML", RK_E_PROTOCOL},
        {"\x01\x02\xff\xfe <<<>>]]>]]>", "no XML", RK_E_PROTOCOL},
        {"<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><rpc-reply message-id=\"$ID\"><ok/>&b;</rpc-reply>"
         "]]>]]>", "no XML", RK_E_PROTOCOL},
        {"<rpc-reply message-id=\"$ID\"><commit-results><commit-success/>]]>]]>", "cut off", RK_E_PROTOCOL},
        {"<rpc-reply><ok/></rpc-reply>]]>]]>", "without message-id", RK_E_PROTOCOL},
        {"<rpc-reply message-id=\"9\"><ok/></rpc-reply>]]>]]>" "<a/>]]>]]><a/>]]>]]><a/>]]>]]><a/>]]>]]><a/>]]>]]>"
         "<a/>]]>]]><a/>]]>]]><a/>]]>]]>", "not asked for", RK_E_PROTOCOL},
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
    static const struct srv_step script[] = {HELLO, ASKED, {SRV_SEND, "<rpc-reply message-id=\"$ID\">", 0},
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
        HELLO, ASKED, {SRV_SEND, "<rpc-reply message-id=\"0\"><ok/></rpc-reply>]]>]]><!-- x -->]]>]]>", 0},
        {SRV_SEND, "<notification/>]]>]]>", 0},
        {SRV_SEND, "<rpc-reply message-id=\"$ID\"><data/></rpc-reply>]]>]]><late/>]]>]]>", 0}, {SRV_READ, NULL, 0},
        {SRV_SEND, OK_REPLY "]]>]]>", 0}, {SRV_HANG, NULL, 0}};

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
                                 half_cut[] = {HELLO, ASKED, {SRV_SEND, "<rpc-reply message-id=\"1\"><ok/>", 0},
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
        srv_stop(&srv);
        srv.port = 0;
    }
}

static void
test_tend_sees_the_end(void **state)
{
    static const struct srv_step script[] = {HELLO, {SRV_READ, NULL, 0}, {SRV_AWAIT, NULL, 0},
                                             {SRV_SEND, "<!-- session end -->", 0}, {SRV_END, NULL, 0}};
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
    static const struct srv_step silent[] = {{SRV_HANG, NULL, 0}}, half[] = {{SRV_SEND, "<hello", 0}, {SRV_HANG, NULL, 0}};
    static const enum srv_fault faults[] = {SRV_MUTE, SRV_HANG_LOGIN, SRV_HANG_SUBSYSTEM, SRV_FINE, SRV_FINE};

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        start(i == 4 ? half : silent);
        srv.fault = faults[i];
        cancel_while(opens, RK_E_CANCELED);
        srv_stop(&srv);
        srv.port = 0;
    }
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
                                 half[] = {HELLO, ASKED, {SRV_SEND, "<rpc-reply message-id=\"1\"><ok/>", 0},
                                           {SRV_HANG, NULL, 0}};

    (void)state;
    for (int i = 0; i < 2; i++) {
        start(i ? half : silent);
        must_open();
        cancel_while(asks, RK_E_UNKNOWN);
        must_ask(RK_E_UNREACHABLE);
        nc_close(&nc, NULL);
        srv_stop(&srv);
        srv.port = 0;
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
    const struct nc_request request = {.what = "commit", .parts = &part, .n = 1, .timeout_ms = 60};

    (void)state;
    start(silent);
    must_open();
    assert_int_equal(nc_rpc(nc, &call, &request, &reply), RK_E_UNKNOWN);
    assert_says("no answer in time while commit");
    nc_close(&nc, NULL);
    srv_stop(&srv);
    start(silent);
    srv.fault = SRV_MUTE;
    target.limit_ms = 60;
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
    static const struct srv_step slow[] = {HELLO, ASKED, {SRV_PAUSE, NULL, 2700}, {SRV_SEND, OK_REPLY "]]>]]>", 0},
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
    srv_stop(&srv);
    start(quick);
    target.keepalive_s = 600;
    must_open();
    must_ask(RK_OK);
    if (atomic_load(&srv.packets_in) >= before)
        fail_msg("%u packets with keepalives, %u without", before, atomic_load(&srv.packets_in));
}

static int
start_ssh(void **state)
{
    (void)state;
    return ssh_init() == SSH_OK ? 0 : -1;
}

static int
end_ssh(void **state)
{
    (void)state;
    return ssh_finalize() == SSH_OK ? 0 : -1;
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_delimited), T(test_chunked), T(test_secrets_are_sent_and_not_logged), T(test_what_cannot_be_sent),
        T(test_large_both_ways), T(test_host_key_types), T(test_host_key_rsa_only), T(test_host_key_of_other_type),
        T(test_host_key_differs), T(test_host_key_names), T(test_host_key_hashed), T(test_trust_first_use),
        T(test_known_hosts_must_be_safe), T(test_login), T(test_login_ecdsa), T(test_login_refused), T(test_agent),
        T(test_not_there), T(test_not_willing), T(test_hellos_that_are_none), T(test_lies), T(test_reply_without_end),
        T(test_other_messages), T(test_loss), T(test_tend_sees_the_end), T(test_cancel_of_opening),
        T(test_cancel_of_an_agent), T(test_cancel_of_a_name), T(test_cancel_of_a_request),
        T(test_cancel_before_a_word), T(test_timeouts), T(test_request_that_gets_stuck), T(test_keepalives)};

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, start_ssh, end_ssh);
}
