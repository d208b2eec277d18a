/* alone.c - starts a rekeyd for one question, and reads its rows.
 *
 * Runs in rekeyctl.  What that rekeyd logs is what its rows say, so it is not shown.
 */
#include "alone.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *
word(const char *text)
{
    return (char *)(size_t)text; /* it is not written to */
}

#define ARGV_MAX (RK_ALONE_ARGS + 12 + 2 * RK_WORDS)

/* --word for each of words, which are cut.   ret: how many arguments there are now */
static int
add_words(char **argv, int n, char *words)
{
    char *rest = NULL;
    int left = RK_WORDS;

    for (char *w = strtok_r(words, "\n", &rest); w && left > 0; w = strtok_r(NULL, "\n", &rest), left--) {
        argv[n++] = word("--word");
        argv[n++] = w;
    }
    return n;
}

struct texts { /* that arguments are made of */
    char budget[24], words[RK_WORDS_MAX];
};

static void
make_argv(const struct rk_cli_opts *o, const char *const *more, struct texts *t, char **argv)
{
    const struct {
        const char *name, *value;
    } own[] = {{"--plugin-dir", o->plugin_dir}, {"--host", o->host}, {"--budget", t->budget[0] ? t->budget : NULL}};
    int n = 0;

    argv[n++] = word(o->rekeyd ? o->rekeyd : RK_SBINDIR "/rekeyd");
    argv[n++] = word("--config");
    argv[n++] = word(o->config);
    for (int i = 0; i < RK_ALONE_ARGS && more[i]; i++)
        argv[n++] = word(more[i]);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (own[i].value) {
            argv[n++] = word(own[i].name);
            argv[n++] = word(own[i].value);
        }
    n = add_words(argv, n, t->words);
    argv[n] = NULL;
}

/* Start it with its output in a pipe.  ret: its end to read; -1: the reason was written */
static int
spawn_rekeyd(const struct rk_cli_opts *o, const struct rk_cli_io *io, const char *const *more, pid_t *pid)
{
    struct texts texts = {.budget = ""};
    char *argv[ARGV_MAX];
    posix_spawn_file_actions_t acts;
    extern char **environ;
    int out[2], err = ENOMEM;

    if (o->budget_ms)
        snprintf(texts.budget, sizeof texts.budget, "%u", o->budget_ms);
    memcpy(texts.words, o->words, sizeof texts.words);
    make_argv(o, more, &texts, argv);
    if (pipe2(out, O_CLOEXEC) < 0) {
        fprintf(io->err, "rekeyctl: pipe: %s\n", strerror(errno));
        return -1;
    }
    if (posix_spawn_file_actions_init(&acts) == 0) {
        err = posix_spawn_file_actions_adddup2(&acts, out[1], STDOUT_FILENO);
        err = err ? err : posix_spawn_file_actions_addopen(&acts, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        err = err ? err : posix_spawn(pid, argv[0], &acts, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&acts);
    }
    close(out[1]);
    if (!err)
        return out[0];
    close(out[0]);
    fprintf(io->err, "rekeyctl: cannot run %s: %s: name it with --rekeyd\n", argv[0], strerror(err));
    return -1;
}

static void
read_lines(FILE *in, rk_cli_row_fn *fn, void *arg)
{
    char *line = NULL;
    size_t room = 0;
    bool over = false;

    while (!over && getline(&line, &room, in) > 0) {
        json_t *row = json_loads(line, 0, NULL);

        if (json_is_object(row)) {
            over = json_object_get(row, "over") != NULL;
            fn(row, arg);
        }
        json_decref(row);
    }
    free(line);
}

bool
rk_cli_alone(const struct rk_cli_opts *o, const struct rk_cli_io *io, const char *const *more, rk_cli_row_fn *fn,
             void *arg)
{
    int status = 0, out;
    pid_t pid;
    FILE *in;

    out = spawn_rekeyd(o, io, more, &pid);
    if (out < 0)
        return false;
    in = fdopen(out, "r");
    if (in) {
        read_lines(in, fn, arg);
        fclose(in);
    } else {
        close(out);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return true;
}
