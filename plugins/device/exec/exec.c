/* exec.c - a device that is a site's own program: the options, and the two calls.
 *
 * Runs in rekey-host, one call at a time per instance; each call is one run of the program.
 */
#include "exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const char *const class_names[] = {"a", "b", "c", "d", "e", NULL}; /* RK_CLASS_A ... less one */

static const struct rk_opt opts[] = {
    {.name = "program", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED,
     .help = "The program; neither it nor a folder above it may be writable by others, or be a link"},
    {.name = "argument", .type = RK_OPT_STRING, .flags = RK_OPT_LIST, .unit = "bytes", .min = 1, .max = EXEC_ARG_MAX,
     .help = "What the program is given behind its first argument (apply or observe), at most 16; never a secret"},
    {.name = "class", .type = RK_OPT_ENUM, .dflt = "a", .choices = class_names,
     .help = "Device class that the program behaves as"},
    {.name = NULL},
};

/* ---- instances ---- */

static void
exec_fini(void *arg)
{
    struct exec_inst *x = arg;

    if (!x)
        return;
    if (x->left)
        (void)waitpid(x->left, NULL, WNOHANG);
    for (size_t i = 0; i < EXEC_ARGS_MAX; i++)
        free(x->args[i]);
    free(x->program);
    free(x->name);
    free(x);
}

static int
take_options(struct exec_inst *x, struct rk_call *call, const struct rk_conf *conf)
{
    const char *arg;
    bool full = true;
    size_t n = 0;

    x->name = strdup(x->host->conf_str(conf, RK_CONF_NAME));
    x->program = strdup(x->host->conf_str(conf, "program"));
    x->device_class = (uint32_t)x->host->conf_int(conf, "class") + RK_CLASS_A;
    while ((arg = x->host->conf_item(conf, "argument", n)) != NULL && n < EXEC_ARGS_MAX) {
        x->args[n] = strdup(arg);
        full = full && x->args[n];
        n++;
    }
    if (!x->name || !x->program || !full)
        return x->host->fail(call, RK_E_NOMEM, "out of memory");
    if (arg)
        return x->host->fail(call, RK_E_CONFIG, "%s: there are more than %d arguments", x->name, EXEC_ARGS_MAX);
    return RK_OK;
}

static int
exec_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    struct exec_inst *x = calloc(1, sizeof *x);
    struct rkp_why why;
    int err;

    *inst = NULL;
    if (!x)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    x->host = host;
    err = take_options(x, call, conf);
    if (!err) {
        err = exec_path_check(x->program, &why);
        if (err)
            err = host->fail(call, err, "%s: program: %s", x->name, why.text);
    }
    if (err)
        exec_fini(x);
    else
        *inst = x;
    return err;
}

/* ---- apply ---- */

static bool
answers_a_key(const struct exec_inst *x, const struct exec_run *run, const struct rk_dev_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ops[i].kind == RK_OP_STAGE && ops[i].key && exec_holds_key(x->host, ops[i].key, run->out, run->len))
            return true;
    return false;
}

/* The program ran.  Only where it says so, in the words of the protocol, is it known what was done. */
static int
judge_apply(const struct exec_inst *x, struct rk_call *call, struct exec_run *run, struct rk_dev_op *ops, size_t n)
{
    int err = exec_exit_code(run->status);
    struct rkp_why why;

    if (answers_a_key(x, run, ops, n))
        return x->host->fail(call, RK_E_UNKNOWN, "%s: %s answers with the key; nothing that it says is used", x->name,
                             x->program);
    if (err && err != RK_E_UNKNOWN && run->len == 0)
        return x->host->fail(call, err, "%s: %s ended with exit code %d", x->name, x->program,
                             WEXITSTATUS(run->status));
    if (err)
        return x->host->fail(call, RK_E_UNKNOWN, "%s: %s ended by %s %d, and it is not known what it did", x->name,
                             x->program, WIFEXITED(run->status) ? "exit code" : "signal",
                             WIFEXITED(run->status) ? WEXITSTATUS(run->status) : WTERMSIG(run->status));
    if (exec_answer_apply(run->out, ops, n, &why))
        return x->host->fail(call, RK_E_UNKNOWN, "%s: %s: %s", x->name, x->program, why.text);
    return RK_OK;
}

static int
run_apply(struct exec_inst *x, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct exec_ask ask;
    struct exec_run run = {.ask = &ask, .verb = "apply"};
    int err = exec_ask_apply(x, call, ops, n, &ask);

    if (!err) {
        err = exec_run(x, call, &run);
        if (!err)
            err = judge_apply(x, call, &run, ops, n);
        else if (run.started)
            err = RK_E_UNKNOWN; /* with the text that was stated */
    }
    exec_run_end(&run);
    exec_ask_end(&ask);
    return err;
}

static int
exec_apply(void *inst, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct exec_inst *x = inst;
    size_t asked = 0;

    if (n == 0 || n > EXEC_OPS_MAX)
        return x->host->fail(call, RK_E_CONTRACT, "%zu operations in one call", n);
    for (size_t i = 0; i < n; i++) {
        bool describe = ops[i].kind == RK_OP_DESCRIBE;

        asked += !describe;
        ops[i].err = describe ? RK_E_UNSUPPORTED : RK_E_CONTRACT;
        snprintf(ops[i].why, sizeof ops[i].why, "%s",
                 describe ? "a program shows no text: use a channel of its own" : "");
    }
    return asked ? run_apply(x, call, ops, n) : RK_OK;
}

/* ---- observe ---- */

static int
judge_observe(const struct exec_inst *x, struct rk_call *call, struct exec_run *run, struct rk_dev_seen *seen, size_t n)
{
    int err = exec_exit_code(run->status);
    struct rkp_why why;

    if (err == RK_E_UNKNOWN)
        return x->host->fail(call, RK_E_IO, "%s: %s ended by %s %d", x->name, x->program,
                             WIFEXITED(run->status) ? "exit code" : "signal",
                             WIFEXITED(run->status) ? WEXITSTATUS(run->status) : WTERMSIG(run->status));
    if (err)
        return x->host->fail(call, err, "%s: %s ended with exit code %d", x->name, x->program,
                             WEXITSTATUS(run->status));
    if (exec_answer_observe(run->out, x->device_class, seen, n, &why))
        return x->host->fail(call, RK_E_PROTOCOL, "%s: %s: %s", x->name, x->program, why.text);
    return RK_OK;
}

static int
exec_observe(void *inst, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    struct exec_inst *x = inst;
    struct exec_ask ask;
    struct exec_run run = {.ask = &ask, .verb = "observe"};
    int err;

    if (n == 0 || n > EXEC_OPS_MAX)
        return x->host->fail(call, RK_E_CONTRACT, "%zu interfaces in one call", n);
    err = exec_ask_observe(x, call, seen, n, &ask);
    if (!err)
        err = exec_run(x, call, &run);
    if (!err)
        err = judge_observe(x, call, &run, seen, n);
    exec_run_end(&run);
    exec_ask_end(&ask);
    return err;
}

static const struct rk_device_ops ops_table = {
    .size = sizeof ops_table,
    .apply = exec_apply,
    .observe = exec_observe,
};

__attribute__((visibility("default"))) const struct rk_plugin exec_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_DEVICE, RK_CAP_CLASS(RK_CLASS_A) | RK_CAP_NEEDS_NET),
    .name = "exec",
    .version = PACKAGE_VERSION,
    .summary = "a site's own program, which installs the keys",
    .opts = opts,
    .opt_size = sizeof(struct rk_opt),
    .init = exec_init,
    .fini = exec_fini,
    .ops = &ops_table,
};
