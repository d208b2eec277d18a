/* check.h - what the parts of rekey-plugin-check share
 *
 * One process, one thread.  It never loads the module: that runs in a rekey-host (host.h), a fresh one for each row.
 * Keys of its own making are in its memory; it prints none.
 */
#ifndef RK_CHECK_H
#define RK_CHECK_H

#include "host.h"

#include <rekey/plugin.h>

#include <stdio.h>

enum rk_check_result { RK_CHECK_PASSED, RK_CHECK_FAILED, RK_CHECK_SKIPPED };

#define RK_CHECK_SEEN_MAX 300

/* What the file of --config says; without one the defaults. */
struct rk_check_conf {
    struct rk_setting *options, *slow; /* n of them as in rekeyd's configuration; n_slow that make its peer silent */
    size_t n, n_slow;
    char link[RK_LINK_MAX + 1], iface[RK_IFACE_MAX + 1], facts[RK_FACTS_MAX + 1];
    char sae[RK_SAE_MAX + 1], peer_sae[RK_SAE_MAX + 1];
    int64_t bits, budget_ms;           /* of keys;  of a call that is not about its budget */
    bool own;                          /* of failing allocations: only those that the module makes itself */
    bool given;                        /* there is a file */
};

/* A key for a device: its ID is made of seq, its bytes are new. */
struct rk_check_key {
    char id[RK_KEY_ID_MAX + 1];
    uint64_t seq;
    unsigned char bytes[32];
};
#define RK_CHECK_STAGED 8 /* of the last keys that were staged: twice the slots of a device */

struct rk_check {
    struct rk_check_paths paths;
    struct rk_check_conf conf;
    const char *man;                   /* page of its options; NULL */
    char name[RK_NAME_MAX + 1], version[RK_NAME_MAX + 1]; /* of the module */
    uint32_t kind, caps, abi;
    bool loaded, works;                /* rows load, calls: what others need */
    bool gone;                         /* row calls: it ended the process */
    bool eager, late;                  /* rows init, budget: it cannot be tried with a silent peer, or not told apart */
    bool got_key;                      /* a source gave one: that it has no more is an answer then */
    /* a device */
    uint32_t device_class;             /* of the interface, as it is seen; 0: not seen yet */
    uint64_t seq;
    char cur[RK_KEY_ID_MAX + 1];       /* the key that it transmits on, "" none */
    uint64_t cur_seq;
    struct rk_check_key staged[RK_CHECK_STAGED]; /* the last ones, without their bytes */
    size_t n_staged;                   /* how many there ever were */
    unsigned char key[32];             /* bytes of the last key, and of what to search */
    char text[RK_CHECK_SEEN_MAX];      /* what a row has seen */
};

typedef enum rk_check_result rk_check_row_fn(struct rk_check *ck, struct rk_check_host *h);

/* One behaviour. */
struct rk_check_row {
    const char *name, *what;
    uint32_t kinds;                    /* bits 1 << RK_SOURCE ... that have it; 0: all */
    bool needs_instance, needs_calls;
    rk_check_row_fn *run;
};
extern const struct rk_check_row rk_check_rows[]; /* ends with name == NULL */

/* rk_check_pass, rk_check_fail, rk_check_skip - the end of a row, with what was seen.   ret: as they are named */
enum rk_check_result rk_check_pass(struct rk_check *ck, const char *fmt, ...) RK_PRINTF(2, 3);
enum rk_check_result rk_check_fail(struct rk_check *ck, const char *fmt, ...) RK_PRINTF(2, 3);
enum rk_check_result rk_check_skip(struct rk_check *ck, const char *fmt, ...) RK_PRINTF(2, 3);
/* rk_check_wrong - a call in h failed where it must not: the end of a row that says so, or how the host ended */
enum rk_check_result rk_check_wrong(struct rk_check *ck, const struct rk_check_host *h, const char *what, int err);

/* ---- conf.c ---- */

/* rk_check_conf_read - read the file at path into a zeroed conf.  NULL: only the defaults
 * out:  why[size]   ret: RK_OK or a code.   own: rk_check_conf_free */
int rk_check_conf_read(const char *path, struct rk_check_conf *conf, char *why, size_t size);
void rk_check_conf_free(struct rk_check_conf *conf);

/* ---- inst.c ---- */

/* Which options an instance is made with. */
enum rk_check_with { RK_CHECK_AS_GIVEN, RK_CHECK_SLOW };

/* rk_check_inst - make an instance with the options of the configuration
 * ret:  as rk_check_host_config();   RK_E_NOMEM */
int rk_check_inst(struct rk_check *ck, struct rk_check_host *h, enum rk_check_with with);
/* rk_check_silent - is there a way to have its peer silent: options of the configuration, or one that is an address,
 * which then is a listener of ours that never answers.   out: why not */
bool rk_check_silent(struct rk_check *ck, const struct rk_check_host *h, const char **why);
/* rk_check_missing - an option that must be given, and is not; NULL: none */
const char *rk_check_missing(const struct rk_check *ck, const struct rk_check_host *h);

/* ---- calls.c: calls of each kind; all return the code of the reply, whose items are in h->reply ---- */

int rk_check_get(struct rk_check *ck, struct rk_check_host *h, size_t n, uint32_t budget_ms);
/* rk_check_get_some - the same; a source that has no key yet is asked again, as long as the budget of a call */
int rk_check_get_some(struct rk_check *ck, struct rk_check_host *h, size_t n);
int rk_check_get_ids(struct rk_check *ck, struct rk_check_host *h, const char *const *ids, size_t n);
int rk_check_status(struct rk_check *ck, struct rk_check_host *h, uint32_t budget_ms);
void rk_check_key_new(struct rk_check *ck, struct rk_check_key *key);
/* One operation of an apply: key NULL where it has none. */
struct rk_check_op {
    uint32_t op;
    const struct rk_check_key *key;
    const char *iface;   /* NULL: that of the configuration */
    const char *keep;    /* terms of classes B to E; NULL none */
};
int rk_check_apply(struct rk_check *ck, struct rk_check_host *h, const struct rk_check_op *ops, size_t n,
                   uint32_t budget_ms);
int rk_check_observe(struct rk_check *ck, struct rk_check_host *h, const struct rk_check_key *const *keys, size_t n,
                     uint32_t budget_ms);
int rk_check_attach(struct rk_check *ck, struct rk_check_host *h, bool on, size_t n);
int rk_check_publish(struct rk_check *ck, struct rk_check_host *h, size_t n, uint32_t budget_ms);
int rk_check_watch(struct rk_check *ck, struct rk_check_host *h, uint32_t budget_ms);
/* rk_check_class - RK_CLASS_... that the interface is driven as: what it was seen to be, else what the plugin declares
 * rk_check_class_a - is it a device of class A */
uint32_t rk_check_class(const struct rk_check *ck);
bool rk_check_class_a(const struct rk_check *ck);

/* rk_check_round - what rekeyd does with an instance in one rotation, once
 * out: *what, the call that failed.   ret: RK_OK or its code */
int rk_check_round(struct rk_check *ck, struct rk_check_host *h, const char **what);

/* ---- tidy.c: devices of class A ---- */

/* rk_check_staged - a key was sent to be staged on the interface of the configuration */
void rk_check_staged(struct rk_check *ck, const struct rk_check_key *key);
/* rk_check_tidy - retire those of the last staged keys that it holds and does not transmit on; that one becomes cur
 * ret:  RK_OK, or the code of the call that failed
 * rk_check_tidy_up - the same between rows, in a host of its own */
int rk_check_tidy(struct rk_check *ck, struct rk_check_host *h);
void rk_check_tidy_up(struct rk_check *ck);

/* ---- rows ---- */

/* rk_check_row_* - what a row does, in a host that was just started
 * out: ck->text, what was seen.   ret: the end of the row */
rk_check_row_fn rk_check_row_load, rk_check_row_schema, rk_check_row_documented, rk_check_row_init, rk_check_row_calls,
    rk_check_row_results, rk_check_row_idempotent, rk_check_row_truthful, rk_check_row_errors, rk_check_row_budget,
    rk_check_row_cancel, rk_check_row_concurrent, rk_check_row_allocations, rk_check_row_output, rk_check_row_secrets,
    rk_check_row_fds, rk_check_row_threads, rk_check_row_children, rk_check_row_memory;

/* ---- report ---- */

/* What became of a row. */
struct rk_check_line {
    enum rk_check_result result;
    char seen[RK_CHECK_SEEN_MAX];
};
/* rk_check_show - the table, or one JSON object; lines[i] is of rk_check_rows[i]
 * ret:  RK_OK or RK_E_IO */
int rk_check_show(FILE *out, const struct rk_check *ck, const struct rk_check_line *lines, bool json);

/* rk_check_main - the program.   ret: exit code: 0 nothing failed, 1 a row failed, 2 wrong use, 3 it cannot be checked
 * thread: main.   blocks: as long as it takes, with a bound for each call */
int rk_check_main(int argc, char **argv);

#endif
