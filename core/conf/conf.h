/* conf.h - the configuration of rekeyd, typed and checked
 *
 * rekeyd.conf(5).  Everything is checked at once; a struct rk_conf_set is either whole and right, or not there.
 *
 *   sae: SAE_A                          own SAE ID, required
 *   state-dir: /var/lib/rekey           journal and durable state of plugins
 *   control: /run/rekey/rekeyd.sock     control socket
 *   log-level: info                     err|warning|notice|info|debug
 *   allow-experimental: no              plugins that have RK_CAP_EXPERIMENTAL may be named
 *   sources: { NAME: { plugin: PLUGIN, <options of the plugin> } }
 *   devices: { NAME: { plugin: ... } }
 *   channels: { NAME: { plugin: ..., auth-key: "file:..." } }   auth-key: shared with the other site, signs the records
 *   defaults: { <any link option but name> }   role and peer-... are taken only by links that they fit
 *   links: [ { name, device, interface, peer-sae, source (or sources), channel (or channels), ... },
 *            { discover: DEVICE, ... } ]
 *   links: { discover: DEVICE, discover-every: 10m, channel, ... }   the links that the device itself finds
 */
#ifndef RK_CONF_SET_H
#define RK_CONF_SET_H

#include "../base/limits.h"
#include "../base/setting.h"
#include "found.h"
#include "opt.h"
#include "tree.h"

#include <rekey/device.h>

struct rk_instance_conf {
    uint32_t kind;                      /* enum rk_kind */
    char name[RK_NAME_MAX + 1], plugin[RK_NAME_MAX + 1];
    int line, col;                      /* of its name */
    int64_t call_budget_ms;             /* devices: 1s..10m; 0: not given, see rk_conf_apply_ms */
    struct rk_setting *settings;        /* n, as written; without "plugin" and what is above */
    struct { int line, col; } *places;  /* n, of each setting's value */
    size_t n;
};

enum rk_role_conf { RK_ROLE_AUTO, RK_ROLE_MASTER, RK_ROLE_SLAVE };

/* What to do when a key is EXPIRED; in the order of enum rk_stale of the model. */
enum rk_stale_conf { RK_ON_STALE_HOLD, RK_ON_STALE_FALLBACK, RK_ON_STALE_SHUT };

struct rk_link_conf { /* there are 100,000 of these; its texts are the set's */
    char name[RK_LINK_MAX + 1];
    const char *peer_sae;               /* at most RK_SAE_MAX; channel local: own SAE unless given */
    size_t device, source, channel;     /* index in instances; channel: SIZE_MAX for "local" */
    unsigned n_channels;                /* 1..RK_PATHS_MAX; 0 for "local" */
    uint32_t more_channels[RK_PATHS_MAX - 1]; /* n_channels - 1: index of those behind `channel`, in their order */
    unsigned n_sources;                 /* sources: 2..RK_PARTS_MAX; else 1 */
    bool require_any;                   /* require: any of them; else all */
    bool ratchet;                       /* records are signed by what the keys in use give */
    uint32_t more[RK_PARTS_MAX - 1];    /* n_sources - 1: index of those behind `source`, in their order; */
    uint32_t peer_more[RK_PARTS_MAX - 1]; /* channel local: of the other end */
    const char *iface;                  /* at most RK_IFACE_MAX */
    size_t peer_device, peer_source;    /* channel local, else SIZE_MAX; peer_source is source unless given */
    const char *peer_iface;             /* the same; "" */
    const char *peer_chassis, *peer_port; /* at most RK_PIN_MAX: what the neighbour must show; "" any */
    int64_t interval_ms;                /* 100ms..30d, default 120s */
    int64_t drain_ms;                   /* 0..1h, default 2s */
    int64_t verify_ms;                  /* 100ms..1d, default 10s: device read back, record published again */
    uint32_t bits;                      /* key-bits: 128..4096, multiple of 8, default 256 */
    enum rk_role_conf role;             /* auto|master|slave */
    enum rk_stale_conf on_stale;        /* hold|fallback|shut */
    size_t fallback, peer_fallback;     /* on-stale: fallback, index of the source; else SIZE_MAX */
    int64_t shut_after_ms;              /* on-stale: shut, age of the key: from 4 intervals, default 6 */
    int64_t start_lead_ms;              /* devices of class D: from begin to start time; default 60s, or half of the
                                         * interval when that is less.  Given: 4s or more, below interval */
    uint8_t priority;                   /* 0..7, or low 1, normal 4 (default), high 6 */
    uint32_t stretch_max;               /* stretch-max [per mille of the interval]: 1000..16000, default 2000; on-stale:
                                         * shut: half of shut-after at most */
    int line, col;
};

struct rk_conf_texts;

/* links: { discover: DEVICE }: links that are there when the device finds them. */
struct rk_discover_conf {
    size_t device;                      /* index in instances */
    int64_t every_ms;                   /* 1s..1d, default 10m */
    int line, col;
};

struct rk_conf_set {
    char file[256];
    char sae[RK_SAE_MAX + 1];
    char state_dir[256], control[108];
    int log_level;                      /* enum rk_log_level */
    int64_t call_budget_ms;             /* 1s..10m, default 60s: of a call to a device that says nothing else */
    bool allow_experimental;
    struct rk_instance_conf *instances; /* sources, devices, channels */
    size_t n_instances;
    struct rk_link_conf *links;         /* sorted by name */
    size_t n_links;
    struct rk_conf_texts *texts;        /* what the links point to */
    struct rk_discover_conf *discovers; /* sorted as in the file */
    size_t n_discovers;
    char *text;                         /* as it was read, text_len bytes, to read it again with other links found;
                                         * NULL unless n_discovers */
    size_t text_len;
    struct rk_conf_errors warnings;     /* what is allowed and may surprise, with its places */
};

/* rk_conf_load - read and check FILE, all but the options of plugins
 * in:   e  zeroed, or as rk_conf_errors_free leaves it
 * out:  *set, owned by the caller (rk_conf_free), NULL unless RK_OK;  e  all errors found
 * ret:  RK_OK; RK_E_CONFIG; RK_E_NOENT, RK_E_IO (also as an error in e); RK_E_NOMEM
 * thread: any.  blocks: as the file system does
 * note: also refused: a file that everyone may write; duplicate names; references to what is not there (with
 *       suggestion); an interface that two links use; a role on channel local; peer-sae equal to sae on another
 *       channel, unless role is given; peer-device, peer-interface, peer-source on another channel than local; drain
 *       not below interval; numbers without unit; a channel without auth-key, which is in every channel's schema;
 *       options of another policy than the link's on-stale; a fallback source that is a source; source beside sources,
 *       a list of one or of too many, a source twice, lists of the two ends of different lengths, require of one;
 *       channel beside channels, a channel twice, "local" in a list */
int rk_conf_load(const char *file, struct rk_conf_set **set, struct rk_conf_errors *e);
void rk_conf_free(struct rk_conf_set **set);

/* rk_conf_load_found - rk_conf_load with the links that devices have found, where the file says discover
 * in:    found  NULL: none
 * out:   found->list[i].used, and why of those that are not: a link of the file is there already ...
 * note:  a found link is never what makes a file wrong */
int rk_conf_load_found(const char *file, struct rk_found_list *found, struct rk_conf_set **set,
                       struct rk_conf_errors *e);
int rk_conf_parse_found(const char *text, size_t len, struct rk_found_list *found, struct rk_conf_set **set,
                        struct rk_conf_errors *e);

/* rk_conf_parse - rk_conf_load of text[len] that is in memory; e->file is its name.   blocks: never */
int rk_conf_parse(const char *text, size_t len, struct rk_conf_set **set, struct rk_conf_errors *e);

/* What a plugin says of itself that a configuration is checked against. */
struct rk_schema {
    uint32_t kind;             /* enum rk_kind */
    const struct rk_opt *opts; /* ends with name == NULL; NULL: none */
    int64_t apply_ms;          /* devices: budget of an apply (rk_conf_apply_ms); 0: not checked */
};

/* rk_conf_apply_ms - the budget of an apply of a device [ms]
 * in:   plugin_ms  what its plugin says that an apply may take, 0 nothing
 * ret:  the device's own call-budget; else the longer one of the plugin's and the general call-budget
 * thread: any.  blocks: never */
int64_t rk_conf_apply_ms(const struct rk_conf_set *set, const struct rk_instance_conf *inst, uint32_t plugin_ms);

/* rk_conf_check_plugin - check one instance against its plugin's schema, adding errors at their places
 * note: unknown option (with suggestion), wrong value, missing required one, kind that does not fit the section, a
 *       schema that is not sane, a time within an apply that its budget has no room for.  For channels the host's own
 *       option auth-key is accepted beside the plugin's (rk_channel_opts).   thread: any.  blocks: never */
void rk_conf_check_plugin(const struct rk_instance_conf *inst, const struct rk_schema *schema,
                          struct rk_conf_errors *e);

/* rk_conf_instance_same, rk_conf_link_same - are two equal in all that matters, so that a reload leaves it alone
 * rk_conf_channels_same - the channels of a link and what its neighbour must show, which link_same does not look at
 *                         unless one of the two is "local": a link goes on undisturbed when they change
 * note: places do not matter, nor the order of options.  Links are compared with their own SAE and by the names of
 *       their instances; whether those changed is asked apart.   thread: any.  blocks: never */
bool rk_conf_instance_same(const struct rk_instance_conf *a, const struct rk_instance_conf *b);
bool rk_conf_link_same(const struct rk_conf_set *set_a, const struct rk_link_conf *a, const struct rk_conf_set *set_b,
                       const struct rk_link_conf *b);
bool rk_conf_channels_same(const struct rk_conf_set *set_a, const struct rk_link_conf *a,
                           const struct rk_conf_set *set_b, const struct rk_link_conf *b);

/* rk_conf_link_copy - one link for longer than its set is there, with its texts
 * ret:  the caller's, to be freed; NULL: no memory.   thread: any.  blocks: never */
struct rk_link_conf *rk_conf_link_copy(const struct rk_link_conf *link);

#endif
