/* netconf_trust_test.c - whom the NETCONF client trusts, and how it logs in. */
#include "netconf_rig.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

/* ---- host keys ---- */

static void
test_host_key_types(void **state)
{
    static const enum ssh_keytypes_e types[] = {SSH_KEYTYPE_ED25519, SSH_KEYTYPE_ECDSA_P256};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        start_with(types[i], greets);
        must_open();
        nc_close(&nc, NULL);
        stop();
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
    snprintf(line, sizeof line,
             "[127.0.0.1]:%u ssh-ed25519 "
             "AAAAC3NzaC1lZDI1NTE5AAAAIJGJbXZk3yRcfUcB8Vp7OrF2ZKwZ0zOsDDHhGmyvI2PZ\n",
             srv.port);
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
    snprintf(text, sizeof text, "%s@revoked 127.0.0.1 %s\n@revoked [127.0.0.1]:%u %s\n", known_line, line, srv.port,
             line);
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
    snprintf(command, sizeof command, "chmod 600 %s/id; SSH_AUTH_SOCK=%s ssh-add -q %s/id", scratch.dir, path,
             scratch.dir);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {T(test_host_key_types),
                                       T(test_host_key_rsa_only),
                                       T(test_host_key_of_other_type),
                                       T(test_host_key_differs),
                                       T(test_host_key_names),
                                       T(test_host_key_hashed),
                                       T(test_trust_first_use),
                                       T(test_known_hosts_must_be_safe),
                                       T(test_login),
                                       T(test_login_ecdsa),
                                       T(test_login_refused),
                                       T(test_agent)};

    return cmocka_run_group_tests(tests, rig_start_ssh, rig_end_ssh);
}
