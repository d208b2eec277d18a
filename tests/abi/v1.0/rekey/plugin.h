/* plugin.h - what a plugin is and what the host gives it
 *
 * A plugin is a shared object that exports one symbol, <module>_LTX_rk_plugin, a struct rk_plugin;
 * <module> is the file's name without suffix, with every character that is not a letter or digit as '_'.
 * It is loaded into rekey-host, a process of its own; it is never unloaded.  Its functions are plain
 * blocking C, called on worker threads, with a budget: left_ms() tells how long, and cancel_fd()
 * becomes readable when the call is to be given up.  A function that has not returned one second
 * after that costs the process: it is killed, and the core reads the device back.  Threads are never cancelled.
 *
 *   load -> (check of abi, size, kind, opts) -> init(instance) ... calls ... fini(instance) -> exit
 *
 * One module may have many instances (one per device, KME or channel of the configuration).
 * A plugin has no global state, writes nothing to stdout or stderr, and starts no process or thread; but a device whose
 * instances share one listener may keep that, and one thread for it with all signals blocked, from the first init to
 * the last fini.
 */
#ifndef REKEY_PLUGIN_H
#define REKEY_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#include <rekey/conf.h>
#include <rekey/err.h>
#include <rekey/secret.h>
#include <rekey/version.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define RK_PRINTF(fmt, args)
#endif

struct rk_call; /* one call: budget, cancel descriptor, log fields, error text; valid until the function returns */

enum rk_kind { RK_SOURCE = 1, RK_DEVICE = 2, RK_CHANNEL = 3 };

enum rk_log_level { RK_LOG_ERR = 3, RK_LOG_WARNING = 4, RK_LOG_NOTICE = 5, RK_LOG_INFO = 6, RK_LOG_DEBUG = 7 };

/* struct rk_plugin.caps: truth that the scheduler and the sandbox need. */
#define RK_CAP_CLASS(c) ((uint32_t)(c) & 0xfu) /* devices: RK_CLASS_A ... */
#define RK_CAP_PARALLEL 0x10u   /* sources: calls of one instance may run at once */
/* sources: gives one key again and again, when its option "mode" is "fixed" or it has no such option.  Never for
 * devices of class A, where the same static SAK twice is the same nonce twice: the core refuses such a link */
#define RK_CAP_FIXED 0x20u
/* channels: what watch and decode return may be "=" and a key ID, of a peer that is no rekeyd and signs nothing.  It
 * counts for links of class E only */
#define RK_CAP_BARE 0x40u
#define RK_CAP_NEEDS_NET 0x100u /* it opens network connections; without it the process has no network */
#define RK_CAP_NEEDS_NET_ADMIN 0x200u /* it changes the kernel's network configuration */
/* it is not yet to be trusted with links that matter, as its vendor says: a configuration that names it is refused,
 * unless it says "allow-experimental: yes" */
#define RK_CAP_EXPERIMENTAL 0x400u

/* struct rk_host - what the host does for a plugin
 * Valid as long as the process; all functions may be called from any thread.
 */
struct rk_host {
    uint32_t abi, size;

    /* fail - state why a call fails
     * in:   err  the code to return;  fmt  one line for a person: who (endpoint, user, interface), what, remedy;
     *       never a key, password or body that may hold one
     * ret:  err, so that "return host->fail(call, RK_E_AUTH, ...)" is one line.  The last text of a call counts
     */
    int (*fail)(struct rk_call *call, int err, const char *fmt, ...) RK_PRINTF(3, 4);
    /* log - one line, as "ev=connect host=x port=1 res=ok"; call may be NULL; instance and call are added */
    void (*log)(struct rk_call *call, int level, const char *fmt, ...) RK_PRINTF(3, 4);
    /* left_ms - what is left of the budget [ms]; 0: over, return now */
    int (*left_ms)(const struct rk_call *call);
    /* cancel_fd - poll it for POLLIN beside your own descriptors: readable means return soon.  Do not read or close
     * it */
    int (*cancel_fd)(const struct rk_call *call);

    /* secret_new - make a secret of len [1..RK_SECRET_MAX bytes], written by fill
     * out: *out, owned by the caller.  ret: RK_OK, RK_E_NOMEM, RK_E_CONTRACT or what fill returned */
    int (*secret_new)(size_t len, rk_fill_fn *fill, void *arg, struct rk_secret **out);
    /* secret_use - call use on the bytes.  ret: what use returned */
    int (*secret_use)(const struct rk_secret *secret, rk_use_fn *use, void *arg);
    /* secret_len - length [bytes] */
    size_t (*secret_len)(const struct rk_secret *secret);
    /* secret_free - wipe, free, set *secret to NULL; *secret may be NULL */
    void (*secret_free)(struct rk_secret **secret);
    /* secret_derive - HKDF-SHA-256 (RFC 5869, no salt) of key with info[info_len], len bytes out, 1..255*32
     * out: *out, owned by the caller.  ret: RK_OK, RK_E_NOMEM, RK_E_CONTRACT, RK_E_FATAL (no SHA-256) */
    int (*secret_derive)(const struct rk_secret *key, const void *info, size_t info_len, size_t len,
                         struct rk_secret **out);
    /* sha256 - digest of public data (names, IDs).  ret: RK_OK, RK_E_NOMEM or RK_E_FATAL */
    int (*sha256)(const void *data, size_t len, unsigned char out[32]);
    /* random - fill buf[len] from the kernel's generator.  ret: RK_OK or RK_E_IO */
    int (*random)(void *buf, size_t len);

    /* conf_str - text of an option or of a RK_CONF_ name; NULL when not given and without default.
     * conf_item - element i of a LIST option; NULL past its end.
     * conf_int - value of BOOL, INT, DURATION [ms], SIZE [bytes], ENUM (index); 0 when not given.
     * conf_secret - read the file of a SECRET option (one trailing newline is left out).  The file must be regular,
     * not a
     *   link, owned by the daemon's user or root, and closed to group and others; else RK_E_UNSAFE, RK_E_NOENT ...
     *   with a text stated by fail().  out: *out, owned by the caller; NULL and RK_OK when not given */
    const char *(*conf_str)(const struct rk_conf *conf, const char *name);
    const char *(*conf_item)(const struct rk_conf *conf, const char *name, size_t i);
    int64_t (*conf_int)(const struct rk_conf *conf, const char *name);
    int (*conf_secret)(struct rk_call *call, const struct rk_conf *conf, const char *name,
                       struct rk_secret **out);

    /* expires - a credential that this instance depends on ends: its certificate, its CA, that of its peer
     * in: what  which one, for people, as a file name or "the certificate of https://kme-a"; printable ASCII, cut at
     *     159 bytes;  unix_s  the last second in which it is valid [s since 1970]
     * A call that states any states all that the instance knows; the earliest of the call counts, and takes the place
     * of what earlier calls stated.  An alarm is raised from 30 days before, and cleared when a later end is stated.
     * secret_read - read the file of a SECRET option again, with the checks of conf_secret
     * in: name  the option's, for the text;  value  what conf_str gave for it, "file:/...".  out, ret: as conf_secret
     * Both are there when size says so: a plugin that is to run on older hosts looks first. */
    void (*expires)(struct rk_call *call, const char *what, int64_t unix_s);
    int (*secret_read)(struct rk_call *call, const char *name, const char *value, struct rk_secret **out);

    /* step - state what one step of a test came to (rk_source_ops.test); it is shown as soon as it is stated
     * in:   name  1..RK_STEP_NAME_MAX of [a-z0-9-], as "tls";  result  RK_OK, RK_STEP_WARNING, RK_STEP_SKIPPED or a
     *       code;  fmt  one line for a person: what was seen, and the remedy; never a key.  When it comes out empty and
     *       result is a code: the text of the last fail() of this call
     * ret:  RK_OK, or the code that result is */
    int (*step)(struct rk_call *call, const char *name, int result, const char *fmt, ...) RK_PRINTF(4, 5);

    /* wasted - n keys have come in this call that cannot be used: of a wrong size, damaged, more than were asked for
     * They are counted for the instance.  It is there when size says so: a plugin that is to run on older hosts looks
     * first */
    void (*wasted)(struct rk_call *call, uint32_t n);
};

/* Results of a step beside the codes: it works, and a person should know something; it was not done. */
#define RK_STEP_WARNING 1
#define RK_STEP_SKIPPED 2
#define RK_STEP_NAME_MAX 16 /* longest name of a step [bytes] */

struct rk_plugin {
    uint32_t abi;  /* RK_ABI */
    uint32_t size; /* sizeof(struct rk_plugin) in the plugin's build */
    uint32_t kind; /* enum rk_kind */
    uint32_t caps; /* RK_CAP_... */
    const char *name, *version, *summary; /* name: [a-z0-9-]{1,32}, equal to the file's name */
    const struct rk_opt *opts;            /* ends with name == NULL; NULL: no options */
    uint32_t opt_size;                    /* sizeof(struct rk_opt) in the plugin's build */

    /* init - make an instance
     * in:   host, valid for ever;  call, budget of this init;  conf, checked against opts, valid until return
     * out:  *inst, passed to every call
     * ret:  RK_OK, or a code with a text by fail().  Connecting is left to the first call: an unreachable
     *       peer must not fail init; a missing or unsafe file must
     */
    int (*init)(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst);
    /* fini - free an instance; no call of it is running */
    void (*fini)(void *inst);
    const void *ops; /* struct rk_source_ops, rk_device_ops or rk_channel_ops by kind */

    /* Devices: how long one apply may take where the configuration says nothing of it [ms], at most 600000; 0: the
     * core's default, a minute.  It is a budget, so state what a slow device needs, not what most take */
    uint32_t apply_ms;
};

/* RK_PLUGIN_HEAD - the guard members, as the first line of the initialiser:
 *   const struct rk_plugin static_LTX_rk_plugin = { RK_PLUGIN_HEAD(RK_SOURCE, caps), .name = ... */
#define RK_PLUGIN_HEAD(kind_, caps_) RK_ABI, (uint32_t)sizeof(struct rk_plugin), (uint32_t)(kind_), (caps_)

#ifdef __cplusplus
}
#endif

#endif
