/* exec.h - a site's own program as a device: what the parts of the plugin share
 *
 * exec.c has the options and the calls, path.c judges the program's file, run.c runs it, ask.c writes what it is asked
 * and the keys, answer.c reads what it says.  Runs in rekey-host, one call at a time per instance.  Nothing that the
 * program says is believed before it is parsed, and none of it is used when it holds a key.
 */
#ifndef EXEC_H
#define EXEC_H

#include <rekey/device.h>

#include "../../common/files.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define EXEC_ARGS_MAX 16       /* arguments of the configuration */
#define EXEC_ARG_MAX 200       /* longest argument [bytes] */
#define EXEC_OUT_MAX 65536     /* most that a program may say in a run [bytes]: twice what 64 looks can need */
#define EXEC_OPS_MAX 64        /* of one call, by the contract */
#define EXEC_RESERVE_MS 150    /* kept of the budget, or a quarter of it: to end a program that is late [ms] */

struct exec_inst {
    const struct rk_host *host;
    char *name, *program;
    char *args[EXEC_ARGS_MAX + 1];
    uint32_t device_class; /* RK_CLASS_... */
    pid_t left;            /* a program that did not die when it was killed, to be waited for; 0: none */
};

/* Memory files with a request and its keys. */
struct exec_ask {
    int text_fd; /* standard input of the program */
    int key_fd;  /* its descriptor 3; -1: the request has no keys */
    void *keys;  /* the key file, mapped and locked, to be wiped */
    size_t keys_size;   /* of the mapping [bytes] */
};

/* One run of the program. */
struct exec_run {
    const struct exec_ask *ask;
    const char *verb;  /* "apply" or "observe", its first argument */
    bool started;      /* out: it may have done something */
    int status;        /* out: of wait, when it ended by itself */
    size_t len;        /* out: bytes of out */
    char *out;         /* out: what it said, EXEC_OUT_MAX + 1 bytes with a NUL behind them; the caller's, see below */
};

/* exec_path_check - is the program a file that nobody but root and this user can put something else in the place of
 * in:    path  absolute
 * out:   why, when it fails.   ret: RK_OK, RK_E_NOENT, RK_E_UNSAFE, RK_E_AUTH, RK_E_CONFIG, RK_E_IO
 * thread: any.  blocks: as the file system does */
int exec_path_check(const char *path, struct rkp_why *why);

/* exec_ask_apply - the request and the keys of operations
 * in:    ops[n]; those of kind RK_OP_DESCRIBE are left out
 * out:   *ask, the caller's, for exec_ask_end.   ret: RK_OK, or a code that was stated
 * exec_ask_observe - the same of looks, without keys
 * exec_ask_end - wipe the keys, and close */
int exec_ask_apply(const struct exec_inst *x, struct rk_call *call, const struct rk_dev_op *ops, size_t n,
                   struct exec_ask *ask);
int exec_ask_observe(const struct exec_inst *x, struct rk_call *call, const struct rk_dev_seen *seen, size_t n,
                     struct exec_ask *ask);
void exec_ask_end(struct exec_ask *ask);

/* exec_run - run the program until it ends, the budget is nearly over, or the call is given up
 * in:    run->ask, run->verb
 * out:   run->started, status, out, len;  what is not ended by itself is killed with its process group
 * ret:   RK_OK: it ended by itself; else a code that was stated
 * own:   run->out is the caller's in any case, for exec_run_end.   blocks: within the budget
 * exec_run_end - wipe and free what it said */
int exec_run(struct exec_inst *x, struct rk_call *call, struct exec_run *run);
void exec_run_end(struct exec_run *run);

/* exec_exit_code - what the exit status of a program that has answered nothing means
 * in:    status  of wait
 * ret:   RK_OK for 0; a code, when by the protocol nothing was done; RK_E_UNKNOWN for all else */
int exec_exit_code(int status);

/* exec_holds_key - does text[len] hold the key: its bytes, its hex or its base64 form
 * in:    len of at most EXEC_OUT_MAX.   thread: any.  blocks: never */
bool exec_holds_key(const struct rk_host *host, const struct rk_secret *key, const char *text, size_t len);

/* exec_answer_apply - the results of what a program said
 * in:    text  NUL-ended and without NUL, is taken apart;  ops[n] with err RK_E_CONTRACT where an answer is expected
 * out:   ops[].err, .why
 * ret:   RK_OK, or RK_E_PROTOCOL with why: then what ops hold says nothing
 * exec_answer_observe - the same for seen[n] */
int exec_answer_apply(char *text, struct rk_dev_op *ops, size_t n, struct rkp_why *why);
int exec_answer_observe(char *text, uint32_t device_class, struct rk_dev_seen *seen, size_t n, struct rkp_why *why);

#endif
