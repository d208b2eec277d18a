/* netconf_rig.c - what the tests of the NETCONF client share: a server, a target that fits, a session. */
#include "netconf_rig.h"

#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

struct srv srv;
struct scratch scratch;
struct rk_call call;
struct nc_session *nc;
struct nc_reply *reply;
struct rk_secret *key;
struct nc_target target;
char known_line[2048];
atomic_bool resolver_hangs;
const struct srv_step greets[] = {HELLO, {SRV_READ, NULL, 0}, {SRV_HANG, NULL, 0}};

static int fds_before;

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

int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int
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

void
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

void
trust(const char *line)
{
    target.known_hosts = scratch_text(&scratch, "known_hosts", line);
}

void
start_with(enum ssh_keytypes_e type, const struct srv_step *script)
{
    srv_start(&srv, type, script);
    target.port = srv.port;
    srv_known(&srv, known_line);
    trust(known_line);
}

void
start(const struct srv_step *script)
{
    start_with(SSH_KEYTYPE_ED25519, script);
}

void
let_in(enum ssh_keytypes_e type, const char *passphrase)
{
    srv.user_key = srv_new_key(type);
    use_key(srv.user_key, passphrase);
}

void
stop(void)
{
    if (srv.port)
        srv_stop(&srv);
    srv.port = 0;
}

int
rig_set_up(void **state)
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

int
rig_tear_down(void **state)
{
    (void)state;
    nc_reply_free(&reply);
    nc_close(&nc, NULL);
    stop();
    fake_host.secret_free(&key);
    fake_call_end(&call);
    scratch_remove(&scratch);
    if (nc_sessions() != 0)
        fail_msg("%u sessions are left", nc_sessions());
    if (open_fds() != fds_before)
        fail_msg("%d descriptors, not %d", open_fds(), fds_before);
    return 0;
}

void
assert_says(const char *text)
{
    if (!strstr(call.text, text))
        fail_msg("\"%s\" does not say \"%s\"", call.text, text);
}

int
opens(void)
{
    return nc_open(&fake_host, &call, &target, &nc);
}

void
must_open(void)
{
    int err = opens();

    if (err)
        fail_msg("open: %d %s", err, call.text);
}

void
must_not_open(int code, const char *text)
{
    int err = opens();

    if (err != code)
        fail_msg("open: %d, not %d: %s", err, code, err ? call.text : "");
    assert_null(nc);
    assert_says(text);
}

int
ask_for(const char *body)
{
    const struct nc_part part = {.text = body};
    const struct nc_request request = {.what = "get-it", .parts = &part, .n = 1};

    nc_reply_free(&reply);
    return nc_rpc(nc, &call, &request, &reply);
}

void
must_ask(int code)
{
    int err = ask_for("<get-it/>");

    if (err != code)
        fail_msg("rpc: %d, not %d: %s", err, code, err ? call.text : "");
}

int
rig_start_ssh(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    return ssh_init() == SSH_OK ? 0 : -1;
}

int
rig_end_ssh(void **state)
{
    (void)state;
    return ssh_finalize() == SSH_OK ? 0 : -1;
}
