/* fakehost.h - struct rk_host for plugin tests: real secrets and derivations, options from a table, logs kept
 *
 * A plugin is linked into its test (symbol <module>_LTX_rk_plugin), or dlopen()ed.
 */
#ifndef RK_FAKEHOST_H
#define RK_FAKEHOST_H

#include <rekey/channel.h>
#include <rekey/device.h>
#include <rekey/plugin.h>
#include <rekey/source.h>

struct rk_call {          /* the fake's own call */
    int64_t deadline_ns;  /* CLOCK_BOOTTIME */
    int cancel[2];        /* pipe; [0] is the cancel descriptor */
    int err;              /* of the last fail() */
    char text[400];
    int64_t ends_unix_s;  /* the earliest that expires() was told; 0: none */
    char ends_what[160];
    uint32_t wasted;      /* what wasted() was told, in all */
};

struct rk_conf {          /* options: name, value, ..., NULL.  Unset options get the default of the plugin's schema */
    const char *const *pairs;
    const struct rk_opt *opts;
};

extern const struct rk_host fake_host;

/* fake_call - a call with this budget;  fake_call_end - close its pipe;  fake_cancel - make its cancel descriptor
 * readable */
void fake_call(struct rk_call *c, int budget_ms);
void fake_call_end(struct rk_call *c);
void fake_cancel(struct rk_call *c);

/* fake_log - all lines logged so far, one text; fake_log_clear - forget them */
const char *fake_log(void);
void fake_log_clear(void);

/* fake_steps - the steps that were stated since the last fake_log_clear, each a line "NAME RESULT TEXT" */
const char *fake_steps(void);

/* fake_secret - a secret of these bytes;  fake_secret_is - does it hold exactly these bytes */
struct rk_secret *fake_secret(const void *bytes, size_t len);
int fake_secret_is(const struct rk_secret *s, const void *bytes, size_t len);

#endif
