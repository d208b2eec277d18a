/* simrig.h - simulated devices of classes B to E on a clock that only tests move, for one link "l" on "eth0" */
#ifndef RK_SIMRIG_H
#define RK_SIMRIG_H

#include "fakehost.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define HELLO_MS 2000                 /* the default */
#define WALL_S INT64_C(1764000000)    /* Unix time when a test begins: 2025-11-24 16:00:00 UTC */

extern struct scratch scratch;
extern struct rk_call rig_call;

/* rig_setup, rig_teardown - an empty folder, a call, the clocks at their begin */
int rig_setup(void **state);
int rig_teardown(void **state);

/* rig_pass - time goes on;  rig_step_wall - only the clock on the wall jumps */
void rig_pass(int64_t ms);
void rig_step_wall(int64_t ms);

/* rig_try - start a device: its name, its class, then pairs of options, NULL.   ret: as init
 * rig_start - the same, must work.   rig_stop - end it */
int rig_try(void **inst, const char *name, const char *class, va_list options);
void *rig_start(const char *name, const char *class, ...);
int rig_start_err(const char *name, const char *class, ...);
void rig_stop(void *inst);

/* rig_dir - the folder both ends write to, made when it is not there */
const char *rig_dir(void);

/* rig_op - one operation, its result;  rig_why - its reason */
int rig_op(void *inst, uint32_t kind, uint64_t seq, const char *id, const char *terms);
const char *rig_why(void);
/* rig_commit - STAGE of key ID "kSEQ" with the terms;  rig_revert - RETIRE */
int rig_commit(void *inst, uint64_t seq, const char *terms);
int rig_revert(void *inst, uint64_t seq, const char *terms);

/* rig_look - the interface, asked for k1 to k4;  rig_held - RK_HELD_... of key "kSEQ", seq 1 to 4 */
struct rk_dev_seen rig_look(void *inst);
uint32_t rig_held(void *inst, uint64_t seq);

/* rig_file - a file below the folder, as text, valid until the next call */
const char *rig_file(const char *name);

#define HELD RK_HELD_RX                                                         /* fallback, preceding, waiting */
#define PRIMARY (RK_HELD_RX | RK_HELD_TX)                                       /* primary, in progress */
#define LIVE RK_PEER_USES
#define IN_USE (RK_HELD_RX | RK_HELD_TX | RK_SENDING | RK_PEER_USES)            /* primary, and transmitted with */

#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

#endif
