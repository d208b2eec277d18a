/* opt.h - one option's value against its row of a schema
 *
 * Pure.  Used by rekeyd on the configuration and again by rekey-host before init.
 */
#ifndef RK_OPT_H
#define RK_OPT_H

#include <rekey/conf.h>

#include <stdbool.h>
#include <stddef.h>

/* Options that the host adds to those of every channel plugin: auth-key (SECRET, REQUIRED). */
extern const struct rk_opt rk_channel_opts[];
/* Options of every device that the core keeps for itself: call-budget.  The host does not see them. */
extern const struct rk_opt rk_device_opts[];

/* rk_opt_find - the row called name; NULL: none.   opts ends with name == NULL, and may be NULL */
const struct rk_opt *rk_opt_find(const struct rk_opt *opts, const char *name);

/* rk_opt_value - check a value as written, and convert it
 * in:   o;  value  text as in the configuration
 * out:  *v  number for BOOL, INT, DURATION [ms], SIZE [bytes], ENUM (index), else 0; may be NULL
 *       why[size]  when wrong: what is wanted, with range, unit, choices and a suggestion; never echoes the
 *       value of a SECRET.  why may be NULL
 * ret:  RK_OK or RK_E_CONFIG.   thread: any */
int rk_opt_value(const struct rk_opt *o, const char *value, int64_t *v, char *why, size_t size);

/* rk_opts_sane - is this a schema that can be used: names, types, ranges, defaults that fit, no duplicates
 * out:  why[size].   ret: RK_OK or RK_E_CONTRACT */
int rk_opts_sane(const struct rk_opt *opts, char *why, size_t size);

/* rk_opt_shown - text of the configuration, to be put into a message: short, without control characters, well-formed
 * ret:  shown->text */
struct rk_shown {
    char text[64];
};
const char *rk_opt_shown(const char *value, struct rk_shown *shown);

/* rk_opt_number_text - v as one would write it, with the largest unit that fits: "2m", "64KiB", "7", "yes"
 * in:   o  of type BOOL, INT, DURATION, SIZE or ENUM;  v  as rk_opt_value gives it.   out: out[size] */
void rk_opt_number_text(const struct rk_opt *o, int64_t v, char *out, size_t size);

/* rk_opt_type_name - "duration", ...; "?" for none */
const char *rk_opt_type_name(uint32_t type);

/* rk_opt_one_of - the options of which exactly one must be given
 * out:   names[size]  as "\"a\" or \"b\"", cut when it is too long.   ret: are there such.   thread: any */
bool rk_opt_one_of(const struct rk_opt *opts, char *names, size_t size);

#endif
