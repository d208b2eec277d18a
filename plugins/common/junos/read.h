/* read.h - what a router says, as structs: readers of replies, without I/O
 *
 * Every reader takes the root of a reply (nc_reply.root), finds its elements by local name below any
 * multi-routing-engine-results, trims every value, and bounds everything.  Names of interfaces are kept as they are
 * printed, without a trailing ".0".  CKNs are lower case.
 */
#ifndef JN_READ_H
#define JN_READ_H

#include "junos.h"

/* ---- configuration (read_conf.c): security macsec, key chains, descriptions, macros ---- */

struct jn_pair { /* of an apply-macro */
    char name[80], value[128]; /* of apply-macro rekey: a CKN, and the seq of its rotation (plan.h) */
};
struct jn_macro {
    struct jn_pair *pair;
    size_t n;
    bool there; /* it may be there and empty */
};

struct jn_key {
    char ckn[JN_CKN_HEX + 1];  /* as configured, lower case; "": none */
    struct rk_secret *stored;  /* the device's own form of the CAK, as text ("$9$..."); NULL: not read, not shown */
    int slot;                  /* of a chain: 0..63; -1 else */
    char start[40];            /* as printed; "" none */
    int64_t start_s;           /* Unix time; 0: none, or it cannot be read (see bad_start) */
    bool bad_start, inactive;
};
struct jn_chain {
    char name[JN_CHAIN_MAX + 1];
    struct jn_key *key;        /* by slot */
    size_t n;
};
struct jn_ca {
    char name[JN_CA_MAX + 1];
    char cipher[24], mode[16], chain[JN_CHAIN_MAX + 1]; /* "" not given */
    struct jn_key psk, fallback;
    bool should_secure, no_preceding, no_encryption, excludes_lldp, inactive;
    struct jn_macro rekey;     /* apply-macro rekey: what this plugin owns there (plan.c) */
};
struct jn_port { /* one entry of security macsec interfaces */
    char name[RK_IFACE_MAX + 1], ca[JN_CA_MAX + 1];
    struct jn_macro qkd;       /* apply-macro qkd of the old script */
    bool inactive;
};
struct jn_text { /* interfaces NAME description */
    char name[RK_IFACE_MAX + 1], description[256];
    bool hidden; /* it has a description that is not here, as it is longer, or inactive */
};
struct jn_names { /* names of a list in order: pointers to its elements (read_find.c) */
    const char **at;           /* NULL: there is none */
};
struct jn_conf {
    struct jn_names ports, cas, chains; /* for jn_conf_port and the like */
    struct jn_ca *ca;
    struct jn_port *port;
    struct jn_chain *chain;
    struct jn_text *text;
    size_t n_ca, n_port, n_chain, n_text;
    char host_name[65], time_zone[64];
    unsigned users;              /* beside the first: jn_conf_use */
};

/* jn_conf_read - the <configuration> of a get-configuration reply, without any stored form of a key
 * in:   zone_s  seconds that the device's local time is ahead of UTC now, for start times without an offset
 * out:  *out, owned by the caller (jn_conf_free wipes).   ret: RK_OK, RK_E_NOMEM, RK_E_PROTOCOL (no configuration) */
int jn_conf_read(const struct rk_host *host, const xmlNode *root, int32_t zone_s, struct jn_conf **out);
void jn_conf_free(const struct rk_host *host, struct jn_conf **conf);
/* jn_conf_use - one more that frees it; what is shared is not changed any more */
struct jn_conf *jn_conf_use(struct jn_conf *conf);
/* jn_conf_stored - the stored forms of the keys of these interfaces, from the reply that conf was read from
 * out:  conf's jn_key.stored: each is locked memory, so ask for few.   ret: RK_OK, RK_E_NOMEM */
int jn_conf_stored(const struct rk_host *host, const xmlNode *root, const char *const *ifaces, size_t n,
                   struct jn_conf *conf);
const struct jn_port *jn_conf_port(const struct jn_conf *c, const char *iface); /* NULL: not there; ".0" is the same */
const struct jn_ca *jn_conf_ca(const struct jn_conf *c, const char *name);
/* jn_ca_name - the name of the association that prepare makes for an interface
 * jn_conf_bound - the association of an interface: the one that it is bound to, or, while it is bound to none, the one
 * that was prepared for it and is bound by the commit of its first key (to_bind).   NULL: none, or it is not there */
void jn_ca_name(const char *iface, char name[JN_CA_MAX + 1]);
const struct jn_ca *jn_conf_bound(const struct jn_conf *c, const char *iface, bool *to_bind);
const struct jn_chain *jn_conf_chain(const struct jn_conf *c, const char *name);
/* jn_start_read - "2026-7-28.08:43:00 +0200" and its variants as Unix time; false: it is none
 * jn_start_write - Unix time as YYYY-MM-DD.HH:MM:SS in a zone */
bool jn_start_read(const char *text, int32_t zone_s, int64_t *unix_s);
void jn_start_write(int64_t unix_s, int32_t zone_s, char out[20]);

/* ---- MKA (read_mka.c; text in read_text.c) ---- */

enum jn_mka_state { JN_MKA_UNKNOWN = 0, JN_MKA_PRIMARY, JN_MKA_PRECEDING, JN_MKA_FALLBACK, JN_MKA_SUSPENDED,
                    JN_MKA_UNSECURED };          /* interface-state */
enum jn_cak_type { JN_CAK_UNKNOWN = 0, JN_CAK_PRIMARY, JN_CAK_PRECEDING, JN_CAK_FALLBACK };
enum jn_cak_status { JN_CAK_NONE = 0, JN_CAK_IN_PROGRESS, JN_CAK_LIVE, JN_CAK_ACTIVE };

/* One participant: one CAK of one interface.  Two primary ones at once are normal after a commit. */
struct jn_mka {
    char iface[RK_IFACE_MAX + 1];
    enum jn_mka_state state;     /* of the interface */
    char ckn[JN_CKN_HEX + 1];    /* as printed, lower case; may be shorter than what is configured on some platforms */
    enum jn_cak_type type;
    enum jn_cak_status status;
    bool has_sak;                /* a latest SAK key identifier that is not all zero */
    char sak[40];                /* that identifier: "<24 hex>/<KN>" */
    char member[25];             /* its member identifier, as printed; each start of a participant has another one */
    uint64_t tx, rx;             /* hellos, 0 when not told */
    unsigned peers;              /* live peers that are listed; 0 also when not told */
};
/* jn_mka_read - get-mka-session-information, XML of any release, or its text in <output>
 * out:  *out[*n], malloced; two routing engines' answers are one list.   ret: RK_OK, RK_E_NOMEM, RK_E_PROTOCOL */
int jn_mka_read(const xmlNode *root, struct jn_mka **out, size_t *n);
/* jn_mka_join - fill in what rows lack from another answer about the same sessions, and add its other participants; a
 * CKN that is cut in one of them is the whole one of the other, when only one can be meant
 * in/out: *rows[*n], *more[n_more]: all are the caller's, *rows may move.   ret: RK_OK, RK_E_NOMEM, RK_E_PROTOCOL */
int jn_mka_join(struct jn_mka **rows, size_t *n, const struct jn_mka *more, size_t n_more);
/* jn_ckn_same - is what is printed this CKN?  Case and agreed padding aside; a short print never matches two */
bool jn_ckn_same(const char *printed, const char *ckn);
/* jn_ckn_cut - is what is printed only a part of this CKN: its first digits, or first and last ones about "..."?
 * Another CKN may have the same part, so it confirms none */
bool jn_ckn_cut(const char *printed, const char *ckn);

/* ---- MACsec connections (read_macsec.c) ---- */

struct jn_macsec {
    char iface[RK_IFACE_MAX + 1], ca[JN_CA_MAX + 1], cipher[24];
    bool encrypts, out_inuse, in_inuse;
    uint64_t out_pn;             /* outgoing packet number */
};
int jn_macsec_read(const xmlNode *root, struct jn_macsec **out, size_t *n);

/* ---- key chains (read_chain.c): get-hakr-keychain-information ---- */

struct jn_hakr {
    char chain[JN_CHAIN_MAX + 1];
    int active_send, active_receive, next_send, next_receive; /* key numbers; -1: none */
    char next_time[40];
};
int jn_hakr_read(const xmlNode *root, struct jn_hakr **out, size_t *n);

/* ---- LLDP neighbours (read_lldp.c) ---- */

struct jn_neighbour {
    char iface[RK_IFACE_MAX + 1];
    char chassis[256], port[256], description[256], system[256]; /* of the remote */
    int64_t age_s, ttl_s;        /* -1: not told */
};
int jn_lldp_read(const xmlNode *root, struct jn_neighbour **out, size_t *n);

/* ---- clock, facts, commits (read_time.c, read_facts.c, read_commit.c) ---- */

struct jn_clock {
    int64_t unix_s;              /* the device's clock, Unix time */
    int32_t zone_s;              /* its local time minus UTC */
    bool synchronised;           /* its time source is not its own clock only */
    char source[32];
};
int jn_clock_read(const xmlNode *root, struct jn_clock *out);

struct jn_facts {
    char host_name[65], model[64], release[64];
    unsigned engines;            /* routing engines that answered */
};
int jn_facts_read(const xmlNode *root, struct jn_facts *out);

struct jn_commit {
    unsigned number;             /* 0: the newest */
    char user[64], client[32], log[256];
    int64_t unix_s;
    bool rollback_pending;       /* a confirmed commit that is not confirmed */
};
int jn_commits_read(const xmlNode *root, struct jn_commit **out, size_t *n);

struct jn_link_state { /* get-interface-information */
    char iface[RK_IFACE_MAX + 1], description[256];
    bool admin_up, oper_up;
};
int jn_links_read(const xmlNode *root, struct jn_link_state **out, size_t *n);

/* ---- what is fetched together (view.c) ---- */

#define JN_WANT_CONF 0x1u  /* committed configuration */
#define JN_WANT_MKA 0x2u
#define JN_WANT_MACSEC 0x4u
#define JN_WANT_HAKR 0x8u
#define JN_WANT_LLDP 0x10u
#define JN_WANT_CLOCK 0x20u
#define JN_WANT_LINKS 0x40u
#define JN_WANT_STORED 0x80u /* with CONF: the stored forms of keys, of the interfaces that are named and no others */
#define JN_WANT_RECENT 0x100u /* with CONF: what was read just now will do, when nothing was changed since */
#define JN_WANT_BRIEF 0x200u  /* with MKA: what brief.c puts together will do */

#define JN_FEW 2           /* interfaces: so few are asked for one by one */

/* jn_conf_get - the committed configuration (keep.c)
 * out:  *out, owned by the caller (jn_conf_free), shared and not to be changed.   ret: RK_OK; RK_E_PROTOCOL,
 * RK_E_NOMEM: not stated, when a reply cannot be read; else as jn_rpc */
struct jn_conf_ask {
    const char *const *ifaces;   /* whose stored keys are wanted */
    size_t n;
    int32_t zone_s;              /* as jn_conf_read */
    bool stored, recent;         /* as JN_WANT_STORED, JN_WANT_RECENT */
    struct nc_more *more;        /* goes out with it, when there is room for it; NULL: nothing does */
};
int jn_conf_get(struct jn_device *d, struct rk_call *call, const struct jn_conf_ask *ask, struct jn_conf **out);

struct jn_view {
    struct jn_conf *conf;        /* NULL: not wanted */
    struct jn_mka *mka;
    struct jn_macsec *macsec;
    struct jn_hakr *hakr;
    struct jn_neighbour *lldp;
    struct jn_link_state *links;
    size_t n_mka, n_macsec, n_hakr, n_lldp, n_links;
    bool all_encrypt;            /* no MACsec connection of any interface is in clear; MACSEC was wanted */
    struct jn_clock clock;
    int64_t clock_offset_ms;     /* the device's clock minus this host's, taken in the middle of the request */
};
/* jn_view_get - ask the router for these parts
 * out:  *out, owned by the caller (jn_view_free wipes).   ret: RK_OK, or the code of the first part that failed
 * A router that does not know an RPC of an optional part (MACSEC, HAKR, LLDP) gives an empty one. */
int jn_view_get(struct jn_device *d, struct rk_call *call, unsigned want, struct jn_view **out);
/* jn_view_get_for - the same, when only these interfaces matter (n 0: all do): few of them are asked for one by one
 * where a reply for all would be long.  Rows of others are left out; the configuration is all of it */
int jn_view_get_for(struct jn_device *d, struct rk_call *call, unsigned want, const char *const *ifaces, size_t n,
                    struct jn_view **out);
/* jn_observe_one - what a view shows of one interface, into seen (zeroed but for its in members); pure
 * in: now_ms  this host's clock, Unix time [ms] */
void jn_observe_one(const struct jn_device *d, const struct jn_view *view, int64_t now_ms, struct rk_dev_seen *seen);
void jn_view_free(const struct rk_host *host, struct jn_view **view);
/* jn_discover_view - the links of a view (CONF, LLDP); pure (discover.c).   ret: RK_OK, or what found returned */
int jn_discover_view(const struct jn_device *d, const struct jn_view *view, rk_found_fn *found, void *arg);

#endif
