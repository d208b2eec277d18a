/* etsi014_kme.c - starts, commands and ends the scripted KME.  Test code. */
#include "etsi014_kme.h"

#include "etsi014_certs.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int
spawn(struct kme *k, int in, int out)
{
    const char *src = getenv("top_srcdir");
    char script[PATH_MAX];
    char *argv[] = {(char *)(size_t) "python3", (char *)(size_t) "-B", script, k->dir, NULL};
    posix_spawn_file_actions_t acts;
    int err;

    snprintf(script, sizeof script, "%s/tests/plugin/etsi014_server.py", src ? src : ".");
    posix_spawn_file_actions_init(&acts);
    posix_spawn_file_actions_adddup2(&acts, in, 0);
    posix_spawn_file_actions_adddup2(&acts, out, 1);
    err = posix_spawnp(&k->pid, argv[0], &acts, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&acts);
    return err;
}

/* Read lines up to "."; each is given to the port list or the log. */
static int
read_reply(struct kme *k, int ports)
{
    char line[4096];
    size_t len = 0;

    k->log[0] = '\0';
    k->n_requests = 0;
    while (fgets(line, sizeof line, k->from)) {
        if (strcmp(line, ".\n") == 0)
            return 0;
        if (ports && k->n_ports < KME_PORTS &&
            sscanf(line, "%31s %d", k->ports[k->n_ports].name, &k->ports[k->n_ports].port) == 2)
            k->n_ports++;
        if (ports || len + strlen(line) >= sizeof k->log)
            continue;
        strcpy(k->log + len, line);
        len += strlen(line);
        k->n_requests++;
    }
    return -1;
}

int
kme_certs(struct kme *k)
{
    const char *tmp = getenv("TMPDIR");

    memset(k, 0, sizeof *k);
    snprintf(k->dir, sizeof k->dir, "%s/rekey-etsi014.XXXXXX", tmp && strlen(tmp) < 30 ? tmp : "/tmp");
    return mkdtemp(k->dir) && certs_make(k->dir) == 0 ? 0 : -1;
}

int
kme_start(struct kme *k)
{
    int in[2], out[2];

    if (kme_certs(k) < 0 || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return -1;
    if (spawn(k, in[0], out[1]) != 0)
        k->pid = 0;
    close(in[0]);
    close(out[1]);
    k->to = fdopen(in[1], "w");
    k->from = fdopen(out[0], "r");
    return k->pid && k->to && k->from && read_reply(k, 1) == 0 ? 0 : -1;
}

void
kme_stop(struct kme *k)
{
    char path[PATH_MAX];
    struct dirent *file;
    DIR *dir;

    if (k->to)
        fclose(k->to);
    if (k->from)
        fclose(k->from);
    if (k->pid > 0) {
        kill(k->pid, SIGTERM);
        waitpid(k->pid, NULL, 0);
    }
    for (dir = opendir(k->dir); dir && (file = readdir(dir));)
        if (file->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", k->dir, file->d_name);
            unlink(path);
        }
    if (dir)
        closedir(dir);
    rmdir(k->dir);
}

int
kme_port(const struct kme *k, const char *name)
{
    for (size_t i = 0; i < k->n_ports; i++)
        if (strcmp(k->ports[i].name, name) == 0)
            return k->ports[i].port;
    return 0;
}

static void
command(struct kme *k, const char *verb, const char *arg)
{
    if (fprintf(k->to, "%s %s\n", verb, arg) < 0 || fflush(k->to) != 0 || read_reply(k, 0) < 0)
        abort();
}

void
kme_play(struct kme *k, const char *part)
{
    command(k, "play", part);
}

void
kme_log(struct kme *k)
{
    command(k, "log", "");
}

void
kme_wait(struct kme *k)
{
    command(k, "wait", "");
}

void
kme_end_kept(struct kme *k)
{
    command(k, "end", "");
}

const char *
kme_peer(struct kme *k)
{
    command(k, "peer", "");
    k->log[strcspn(k->log, "\n")] = '\0';
    return k->log;
}

void
kme_cert(struct kme *k, const char *listener, const char *cert)
{
    char words[80];

    snprintf(words, sizeof words, "%s %s", listener, cert);
    command(k, "cert", words);
}

void
kme_down(struct kme *k, const char *listener)
{
    command(k, "down", listener);
}

void
kme_up(struct kme *k, const char *listener)
{
    command(k, "up", listener);
}

int
etsi_open(const struct kme *k, const char *listener, const char *const *extra, struct rk_call *call, void **inst)
{
    char url[64], cert[80], key[80], ca[80];
    const char *usual[] = {"url", url, "cert", cert, "key", key, "ca", ca, NULL}, *pairs[32];
    struct rk_conf conf = {pairs, etsi014_LTX_rk_plugin.opts};
    size_t n = 0;

    snprintf(url, sizeof url, "https://127.0.0.1:%d", listener ? kme_port(k, listener) : 0);
    snprintf(cert, sizeof cert, "%s/sae.pem", k->dir);
    snprintf(key, sizeof key, "file:%s/sae.key", k->dir);
    snprintf(ca, sizeof ca, "%s/ca.pem", k->dir);
    for (; extra && extra[0] && n < 20; extra++)
        pairs[n++] = *extra;
    /* the first of a name counts */
    memcpy(pairs + n, usual + (listener ? 0 : 2), sizeof usual - (listener ? 0 : 2 * sizeof usual[0]));
    *inst = NULL;
    return etsi014_LTX_rk_plugin.init(&fake_host, call, &conf, inst);
}
