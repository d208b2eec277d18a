/* conf.h - options of a plugin
 *
 * A plugin declares its options in a table that ends with a row whose name is NULL.  The core checks
 * the configuration against it (file:line:col errors, suggestions) and the host checks again before
 * init; a plugin only ever sees values that fit its table, and reads them with struct rk_host.
 */
#ifndef REKEY_CONF_H
#define REKEY_CONF_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rk_conf; /* the checked options of one instance; valid until init returns */

enum rk_opt_type {
    RK_OPT_STRING = 1,   /* any text; min/max bound its length [bytes] when max > 0 */
    RK_OPT_BOOL = 2,     /* yes | no | true | false; conf_int: 1 | 0 */
    RK_OPT_INT = 3,      /* whole number in min..max, decimal or 0x; unit is for the reader */
    RK_OPT_DURATION = 4, /* number with unit ms|s|m|h|d, as "90s"; conf_int and min/max: [ms] */
    RK_OPT_SIZE = 5,     /* number with unit B|KiB|MiB|GiB; conf_int and min/max: [bytes] */
    RK_OPT_ENUM = 6,     /* one of choices; conf_int: its index */
    RK_OPT_PATH = 7,     /* absolute path */
    RK_OPT_URL = 8,      /* scheme://host...; choices, when not NULL, are the allowed schemes */
    RK_OPT_SECRET = 9    /* "file:/absolute/path"; read by conf_secret only, shown as *** */
};

#define RK_OPT_REQUIRED 0x1u /* must be given */
#define RK_OPT_RELOAD 0x2u   /* may change without a new init (none of 1.0's plugins uses it) */
#define RK_OPT_LIST 0x4u     /* a list of such values; conf_str with index */
#define RK_OPT_ONE_OF 0x8u   /* of the options with this flag exactly one must be given */
#define RK_OPT_APPLY 0x10u   /* DURATION of a device: a time within an apply, whose budget must be 30 s longer */

struct rk_opt {
    const char *name;           /* lower-case words joined by '-' */
    uint32_t type;              /* enum rk_opt_type */
    uint32_t flags;             /* RK_OPT_REQUIRED ... */
    const char *unit;           /* for people: "bits", "packets"; NULL: none */
    int64_t min, max;           /* see the type; both 0: no bound */
    const char *dflt;           /* default as it would be written; NULL: none */
    const char *const *choices; /* NULL-ended, for ENUM and URL; else NULL */
    const char *help;           /* one sentence, no full stop */
};

/* Names that conf_str answers for every instance. */
#define RK_CONF_NAME "@name"           /* the instance's name in the configuration */
#define RK_CONF_SAE "@sae"             /* this site's SAE ID */
#define RK_CONF_STATE_DIR "@state-dir" /* absolute path of a directory for durable state */

#ifdef __cplusplus
}
#endif

#endif
