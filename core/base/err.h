/* err.h - names and classes of error codes
 *
 * Pure; used in every process.
 */
#ifndef RK_BASE_ERR_H
#define RK_BASE_ERR_H

#include <rekey/err.h>

enum rk_err_class {
    RK_CLASS_OK,
    RK_CLASS_RETRY,
    RK_CLASS_OBSERVE,
    RK_CLASS_CONFIG,
    RK_CLASS_SUPPLY,
    RK_CLASS_BUG,
    RK_CLASS_FATAL
};

/* rk_err_class - class of a code; an unknown negative code is BUG
 * thread: any.  blocks: never.  src: include/rekey/err.h */
enum rk_err_class rk_err_class(int err);

/* rk_err_name - short lower-case name, "unreachable"; never NULL
 * own: static.  thread: any.  src: design */
const char *rk_err_name(int err);

#endif
