/* junos.h - routers that run Junos, for device plugins: what is asked, what is written, how it is read
 *
 * How requests get to a router is the plugin's: struct jn_line.  options.c reads the options that all have; read_*.c
 * read replies (read.h), view.c fetches what is wanted of them, observe.c tells it; plan.c decides what is to be
 * changed (pure), write.c writes it as a load, commit.c commits it and finds out what became of it, sealed.c keeps the
 * CAKs that may be needed again; discover.c and neighbours.c are what their names say.
 */
#ifndef JN_JUNOS_H
#define JN_JUNOS_H

#include <rekey/device.h>

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "../netconf/netconf.h"

#define JN_CKN_HEX 64     /* digits of a CKN, always all of them */
#define JN_CA_MAX 32      /* longest name of a connectivity association [bytes] */
#define JN_CHAIN_MAX 128  /* longest name of a key chain [bytes] */
#define JN_SLOTS 64       /* keys of a chain, 0..63 */

enum jn_keying { JN_PSK = 0, JN_CHAIN };         /* option keying */
enum jn_edit_mode { JN_PRIVATE = 0, JN_EXCLUSIVE }; /* option candidate */
enum jn_ckn_form { JN_CKN_DIGEST = 0, JN_CKN_OFFBOX }; /* option ckn: see ckn.c */

struct jn_options {
    char *name;            /* of the instance */
    char *host, *user;     /* for texts: what the router is known by, and who acts on it */
    char *ckn_prefix;
    bool force_should_secure;
    enum jn_keying keying;
    enum jn_edit_mode candidate;
    enum jn_ckn_form ckn;
    int64_t commit_ms;     /* longest wait for a commit */
};

struct jn_device;

#define JN_HOLDER_ANY "*" /* holder: the session has an ID, which is not known: any in the router's list may be it */

/* How requests get to a router.  One session of it at a time; an edit of a candidate is within one session. */
struct jn_line {
    /* rpc - one request, over a session that is opened when need be; its nc_more may be left out.   rpc_here - over the
     * one that is open, or not at all: a new one would not have the candidate.   ret: as jn_rpc, jn_rpc_here */
    int (*rpc)(struct jn_device *d, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply);
    int (*rpc_here)(struct jn_device *d, struct rk_call *call, const struct nc_request *request,
                    struct nc_reply **reply);
    /* hang_up - end the session at once, whatever was sent over it; its holder becomes ""; there may be none */
    void (*hang_up)(struct jn_device *d);
};

struct jn_sealed; /* sealed.c */

/* keep.c: the configuration that was read last, for as long as the router says that it is still the same one, or its
 * reply stays the same, byte for byte. */
struct jn_kept {
    struct nc_same same;      /* of the reply with the configuration */
    struct nc_same revision;  /* of the router's name for what is committed: conf is that one, or a newer one */
    int64_t whole_ms;         /* when the configuration was sent whole, monotonic */
    struct jn_conf *conf;     /* NULL: none */
    int32_t zone_s;           /* that its start times were read with */
    int64_t read_ms;          /* when the router last said that it is conf, monotonic; 0: not since the last edit */
};

/* brief.c: what the last whole look at MKA has shown, for as long as the next ones can be brief. */
struct jn_mka;
struct jn_shown {
    struct jn_mka *row;       /* participants that are live, in order of interfaces; NULL: nothing is known */
    size_t n;
    int64_t whole_ms;         /* when, monotonic */
    int64_t awaits_ms;        /* since when a primary key is not live yet, monotonic; 0: none is awaited */
    bool useless;             /* a summary of this router does not tell what a whole look does (this session) */
    struct jn_mka *last;      /* what the last look told, of these interfaces, and when, monotonic; 0: not since the */
    size_t n_last, n_iface;   /* last edit */
    char (*iface)[RK_IFACE_MAX + 1];
    int64_t last_ms;
};

/* ckn.c: CKNs by their key IDs; the router and whoever listens sees them, and nothing is secret of them. */
struct jn_name;
struct jn_named {
    struct jn_name *at;
    size_t n;
};

/* One instance: one router. */
struct jn_device {
    const struct rk_host *host;
    struct jn_options opt;
    const struct jn_line *line;
    void *session;            /* the line's; NULL: none is open */
    char holder[32];          /* what the router calls that session in its lists; "" not told */
    int64_t taken_ms;         /* until then an edit without an answer may still be begun by who took it; monotonic */
    char model[64], release[64], host_name[65]; /* "" not known (facts of the session) */
    bool known;               /* they were asked for */
    bool no_revision;         /* keep.c: it does not tell what revision is committed (this session) */
    struct jn_sealed *sealed;
    struct jn_kept kept;
    struct jn_shown shown;
    struct jn_named *names;   /* NULL: none is remembered */
    unsigned char way[8];     /* view.c: which of the names of a request this router knows */
    int64_t encrypts_ms;      /* observe.c: when all MACsec connections were seen to encrypt, monotonic; 0 never */
};

/* jn_rpc - one request on the device's session, which is opened or opened again when need be (line.c)
 * A request of which no word was sent on a session that had been idle is sent once more on a new one.
 * out, ret: as nc_rpc, nc_open; when RK_OK or RK_E_REJECTED *reply is the caller's */
int jn_rpc(struct jn_device *d, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply);
/* jn_ask - the same for a plain text without secrets in it; body: the content of <rpc> */
int jn_ask(struct jn_device *d, struct rk_call *call, const char *what, const char *body, struct nc_reply **reply);
/* jn_rpc_here - the same on the session that is open now, never on a new one, which would not have the candidate
 * ret:  as nc_rpc; RK_E_UNREACHABLE when there is none.   After RK_E_UNKNOWN or RK_E_PROTOCOL it is closed */
int jn_rpc_here(struct jn_device *d, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply);
/* jn_know - ask for model, release and host name unless they are known.   ret: RK_OK, or why they cannot be asked for;
 * a router that does not tell is asked once per session and they stay "" */
int jn_know(struct jn_device *d, struct rk_call *call);
/* jn_now_ms - CLOCK_MONOTONIC [ms] */
static inline int64_t
jn_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* jn_hang_up - close the session at once, and forget what was read over it */
void jn_hang_up(struct jn_device *d);

/* jn_forget - what was read of the configuration: the next view reads all of it again */
void jn_forget(struct jn_device *d);

/* jn_ckn - the CKN of a key ID: 64 lower-case hexadecimal digits, the same at both ends
 * ret:  RK_OK, RK_E_CONFIG (offbox form and the key ID is no UUID, or ckn-prefix is none), RK_E_FATAL */
int jn_ckn(const struct jn_device *d, const char *key_id, char ckn[JN_CKN_HEX + 1]);
/* jn_names_forget - free what is remembered of them */
void jn_names_forget(struct jn_named *names);
/* jn_cak - the CAK of a key for a cipher suite: 16 or 32 bytes
 * digest form: HKDF-SHA-256(key, "rekey cak v1" | link | key ID); offbox form: the key's first bytes, as the old script
 * out:  *cak, owned by the caller.   ret: RK_OK, RK_E_KEY_SIZE (offbox, too short), RK_E_NOMEM, RK_E_FATAL */
struct jn_cak_use {
    const char *link, *key_id, *cipher;
};
int jn_cak(const struct jn_device *d, const struct rk_secret *key, const struct jn_cak_use *use,
           struct rk_secret **cak);

/* jn_class - the class that this interface is driven as: D by option keying; else B when the association has a fallback
 * key of rekeyd's, or none and the release is known to have such (19.2R1), C when not.   needs: jn_know
 * ca: NULL: none */
struct jn_ca;
uint32_t jn_class(const struct jn_device *d, const struct jn_ca *ca);
/* jn_told_class - the class that rekeyd is told: E with option ckn: offbox, whose peer does not answer; else
 * jn_class */
uint32_t jn_told_class(const struct jn_device *d, const struct jn_ca *ca);

/* jn_options_read - the options of JN_OPTIONS; name, host and user are set by the plugin, malloced
 * ret:   RK_OK, or a code stated by fail.   jn_options_free - free what was read */
int jn_options_read(struct jn_device *d, struct rk_call *call, const struct rk_conf *conf);
void jn_options_free(struct jn_options *opt);
extern const char *const jn_keyings[], *const jn_candidates[], *const jn_ckn_forms[];
#define JN_OPTIONS \
    {.name = "keying", .type = RK_OPT_ENUM, .choices = jn_keyings, .dflt = "pre-shared-key", \
     .help = "Where keys go: pre-shared-key and fallback-key, or a key chain with start times"}, \
    {.name = "candidate", .type = RK_OPT_ENUM, .choices = jn_candidates, .dflt = "private", \
     .help = "How the configuration is edited: in a private copy, or with the shared candidate locked"}, \
    {.name = "ckn", .type = RK_OPT_ENUM, .choices = jn_ckn_forms, .dflt = "digest", \
     .help = "How CKN and CAK are made of key ID and key: digest (both ends run rekeyd), or offbox: as offbox.py " \
             "does, for peers that run it and do not answer (class E)"}, \
    {.name = "ckn-prefix", .type = RK_OPT_STRING, .unit = "hex digits", .min = 32, .max = 32, \
     .help = "With ckn: offbox, the first 32 digits of each CKN, unless they are those of offbox.py"}, \
    {.name = "commit-timeout", .type = RK_OPT_DURATION, .flags = RK_OPT_APPLY, .min = 1000, .max = 570000, \
     .dflt = "300s", \
     .help = "How long to wait for a commit, at most 30s less than call-budget; then it is found out what came " \
             "of it"}, \
    {.name = "force-should-secure", .type = RK_OPT_BOOL, .dflt = "no", \
     .help = "Install keys although the connectivity association has should-secure, which allows clear text"}

/* The operations that are the same for all of them. */
int jn_apply(void *inst, struct rk_call *call, struct rk_dev_op *ops, size_t n);      /* apply.c */
int jn_observe(void *inst, struct rk_call *call, struct rk_dev_seen *seen, size_t n); /* observe.c */
int jn_discover(void *inst, struct rk_call *call, rk_found_fn *found, void *arg);     /* discover.c */
int jn_neighbours(void *inst, struct rk_call *call, const char *const *ifaces, size_t n, rk_neighbour_fn *found,
                  void *arg); /* neighbours.c */

#endif
