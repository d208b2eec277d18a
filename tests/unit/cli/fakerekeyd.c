/* fakerekeyd.c - the daemon is a child process, ended by its pid. */
#include "fakerekeyd.h"

#include "core/ipc/frame.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/rekeyctl-XXXXXX", path[64];
static pid_t daemon_pid;

const char *
fake_socket(void)
{
    fake_dir();
    return path;
}

const char *
fake_dir(void)
{
    if (!path[0]) {
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof path, "%s/sock", dir);
    }
    return dir;
}

static void
serve_all(int listener, fake_serve_fn *serve)
{
    static char frame[RK_FRAME_MAX];
    int fds[RK_FRAME_FDS];

    for (int i = 0;; i++) {
        int sock = accept(listener, NULL, NULL);
        struct rk_ask ask;
        size_t n;
        long len = rk_frame_recv(sock, frame, fds, &n);

        if (len > 0 && rk_ask_get(frame, (size_t)len, &ask) == RK_OK)
            serve(sock, &ask, i);
        close(sock);
    }
}

void
fake_start(fake_serve_fn *serve)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    strcpy(addr.sun_path, fake_socket());
    assert_return_code(bind(listener, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_return_code(listen(listener, 8), 0);
    daemon_pid = fork();
    assert_true(daemon_pid >= 0);
    if (daemon_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve_all(listener, serve);
    }
    close(listener);
}

void
fake_stop(void)
{
    if (daemon_pid > 0) {
        kill(daemon_pid, SIGKILL);
        assert_int_equal(waitpid(daemon_pid, NULL, 0), daemon_pid);
        daemon_pid = 0;
    }
    unlink(path);
}

static struct fake_run *last;

void
fake_ctl(struct fake_run *r, const char *words)
{
    char text[1024], *argv[24] = {(char *)(size_t)"rekeyctl"}, *save = NULL;
    size_t n_out, n_err;
    FILE *out = open_memstream(&r->out, &n_out), *err = open_memstream(&r->err, &n_err);
    int argc = 1;

    last = r;
    snprintf(text, sizeof text, "%s", words);
    for (char *w = strtok_r(text, " ", &save); w && argc < 23; w = strtok_r(NULL, " ", &save))
        argv[argc++] = strcmp(w, "@") == 0 ? (char *)(size_t)fake_socket() : w;
    r->code = rk_cli_main(argc, argv, out, err);
    fclose(out);
    fclose(err);
}

void
fake_run_free(struct fake_run *r)
{
    free(r->out);
    free(r->err);
    *r = (struct fake_run){.code = 0};
}

int
fake_end(void **state)
{
    (void)state;
    fake_stop();
    if (last)
        fake_run_free(last);
    return 0;
}

void
fake_raw(int sock, const void *bytes, size_t n)
{
    if (rk_frame_send(sock, bytes, n, NULL, 0) < 0)
        _exit(1);
}

void
fake_row(int sock, const char *json)
{
    static char frame[RK_FRAME_MAX];

    fake_raw(sock, frame, rk_row_put(frame, json));
}

void
fake_done(int sock, unsigned code, const char *text)
{
    static char frame[RK_FRAME_MAX];
    struct rk_done done = {.exit_code = code};

    snprintf(done.text, sizeof done.text, "%s", text);
    fake_raw(sock, frame, rk_done_put(frame, &done));
}
