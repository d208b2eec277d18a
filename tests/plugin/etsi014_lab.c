/* etsi014_lab.c - starts and ends rekey-kme.  Test code. */
#include "etsi014_lab.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct lab_pair lab_pairs[LAB_PAIRS] = {
    {"strict", "", {0}},
    {"next-door", ", personality: next-door-like", {0}},
    {"rust", ", personality: rust-like, pool: {keys: 60, refill: 0}", {0}},
    {"mock", ", personality: mock-like", {0}},
    {"vendor", ", personality: vendor-like", {0}},
    {"rich", ", extensions: [abc_route], extension-optional: refuse, max-sae-id-count: 2", {0}},
    {"poor", ", pool: {keys: 5, refill: 0}, status: none", {0}},
    {"first", ", status: first, max-key-per-request: 8", {0}},
};

static const char *
folder(const char *name)
{
    const char *value = getenv(name);

    return value ? value : ".";
}

static int
kme_path(char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/contrib/kme/rekey-kme", folder("top_builddir"));
    return access(path, X_OK);
}

int
lab_can_run(void)
{
    char path[PATH_MAX];

    if (kme_path(path) != 0) {
        puts("1..0 # SKIP rekey-kme is not built");
        return 0;
    }
    if (system("openssl version >/dev/null 2>&1 && bash --version >/dev/null 2>&1") != 0) {
        puts("1..0 # SKIP openssl or bash is not there");
        return 0;
    }
    return 1;
}

static int
make_certs(const struct lab *lab)
{
    char command[PATH_MAX + 200];

    snprintf(command, sizeof command,
             "bash '%s/contrib/kme/make-certs' --kme kme --sae SAE_A --sae SAE_B --sae SAE_C --sae SAE_X '%s/pki' "
             ">/dev/null 2>&1 </dev/null",
             folder("top_srcdir"), lab->dir);
    return system(command) == 0 ? 0 : -1;
}

static void
write_kme(FILE *f, const struct lab_pair *p, char end)
{
    bool a = end == 'a';

    fprintf(f,
            "  - {id: %s-%c, listen: \"127.0.0.1:0\", cert: pki/kme.crt, key: pki/kme.key, ca: pki/ca.crt, saes: [%s], "
            "peers: [{kme: %s-%c, saes: [%s]}], fault-file: %s-%c.fault%s}\n",
            p->name, end, a ? "SAE_A" : "SAE_B, SAE_C", p->name, a ? 'b' : 'a', a ? "SAE_B, SAE_C" : "SAE_A", p->name,
            end, p->options);
}

static int
write_conf(const struct lab *lab, char path[PATH_MAX])
{
    FILE *f;

    snprintf(path, PATH_MAX, "%s/kme.yaml", lab->dir);
    f = fopen(path, "w");
    if (!f)
        return -1;
    fputs("kmes:\n", f);
    for (size_t i = 0; i < LAB_PAIRS; i++) {
        write_kme(f, &lab_pairs[i], 'a');
        write_kme(f, &lab_pairs[i], 'b');
    }
    return fclose(f);
}

/* "ready strict-a=127.0.0.1:4711 ..." */
static int
read_ports(FILE *from)
{
    char line[4096], *save = NULL;

    if (!fgets(line, sizeof line, from) || strncmp(line, "ready ", 6) != 0)
        return -1;
    for (char *w = strtok_r(line + 6, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
        char *port = strrchr(w, ':'), *end = strchr(w, '=');

        for (size_t i = 0; port && end && i < LAB_PAIRS; i++) {
            size_t len = strlen(lab_pairs[i].name);

            if (strncmp(w, lab_pairs[i].name, len) == 0 && w + len + 2 == end)
                lab_pairs[i].port[w[len + 1] - 'a'] = atoi(port + 1);
        }
    }
    return 0;
}

static int
spawn(struct lab *lab, const char *conf, int out)
{
    char path[PATH_MAX], log[PATH_MAX];
    char *argv[] = {path, (char *)(size_t) "--config", (char *)(size_t)conf, NULL};
    posix_spawn_file_actions_t acts;
    int err;

    kme_path(path);
    snprintf(log, sizeof log, "%s/log", lab->dir);
    posix_spawn_file_actions_init(&acts);
    posix_spawn_file_actions_addopen(&acts, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&acts, out, 1);
    posix_spawn_file_actions_addopen(&acts, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    err = posix_spawn(&lab->pid, path, &acts, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&acts);
    return err;
}

int
lab_start(struct lab *lab)
{
    const char *tmp = getenv("TMPDIR");
    char conf[PATH_MAX];
    int out[2], err;
    FILE *from;

    memset(lab, 0, sizeof *lab);
    snprintf(lab->dir, sizeof lab->dir, "%s/rekey-lab.XXXXXX", tmp && strlen(tmp) < 30 ? tmp : "/tmp");
    if (!mkdtemp(lab->dir) || make_certs(lab) < 0 || write_conf(lab, conf) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return -1;
    err = spawn(lab, conf, out[1]);
    close(out[1]);
    from = fdopen(out[0], "r");
    if (err)
        lab->pid = 0;
    err = err || !from ? -1 : read_ports(from);
    if (from)
        fclose(from);
    return err;
}

void
lab_stop(struct lab *lab)
{
    char command[100];

    if (lab->pid > 0) {
        kill(lab->pid, SIGTERM);
        waitpid(lab->pid, NULL, 0);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", lab->dir);
    if (strncmp(lab->dir, "/", 1) == 0 && system(command) != 0)
        fprintf(stderr, "%s is left\n", lab->dir);
}

static int
port_of(const char *kme)
{
    for (size_t i = 0; i < LAB_PAIRS; i++) {
        size_t len = strlen(lab_pairs[i].name);

        if (strncmp(kme, lab_pairs[i].name, len) == 0 && kme[len] == '-' && strlen(kme) == len + 2)
            return lab_pairs[i].port[kme[len + 1] - 'a'];
    }
    return 0;
}

int
lab_open(const struct lab *lab, const char *kme, const char *sae, const char *const *extra, struct rk_call *call,
         void **inst)
{
    char url[64], cert[100], key[100], ca[100];
    const char *pairs[32] = {"url", url, "cert", cert, "key", key, "ca", ca, RK_CONF_SAE, sae};
    struct rk_conf conf = {pairs, etsi014_LTX_rk_plugin.opts};

    snprintf(url, sizeof url, "https://127.0.0.1:%d", port_of(kme));
    snprintf(cert, sizeof cert, "%s/pki/%s.crt", lab->dir, sae);
    snprintf(key, sizeof key, "file:%s/pki/%s.key", lab->dir, sae);
    snprintf(ca, sizeof ca, "%s/pki/ca.crt", lab->dir);
    for (size_t n = 10; extra && *extra && n < 30; extra++)
        pairs[n++] = *extra;
    *inst = NULL;
    return etsi014_LTX_rk_plugin.init(&fake_host, call, &conf, inst);
}

void
lab_fault(const struct lab *lab, const char *kme, const char *words)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s.fault", lab->dir, kme);
    snprintf(fresh, sizeof fresh, "%s/%s.fresh", lab->dir, kme);
    if (!words) {
        unlink(path);
        return;
    }
    f = fopen(fresh, "w");
    if (!f || fprintf(f, "%s\n", words) < 0 || fclose(f) != 0 || rename(fresh, path) != 0)
        abort();
}
