/* sim.h - what the parts of junos-sim owe each other
 *
 * One process, many routers ("boxes").  The network half (main.c, server.c, session.c, store.c ...) speaks SSH and
 * NETCONF and keeps configurations; the world half (topology.c, world.c, mka.c, show_*.c, fault.c, personality.c,
 * control.c) knows cables, MKA, time, faults and what operational commands print.
 *
 * Threads: one for each session, one for the world, one for the control socket.  Locks: box->lock, then the world's
 * own; never two boxes' locks at once, so sim_committed() copies what MKA needs out of the box into the world.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <libxml/tree.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_NAME_MAX 64   /* longest name of a box, port, user [bytes] */
#define SIM_WHY_MAX 256   /* longest reason text [bytes] */
#define SIM_BOXES_MAX 4096
#define SIM_USERS_MAX 4   /* logins of one box */

/* ---- personalities (personality.c) ---- */

struct sim_personality {
    const char *name;             /* "mx", "srx", "acx-evo", "ex" */
    const char *model, *release;  /* usual ones: "mx304", "23.2R2.21" */
    const char *like;             /* one line for --list-personalities */
    unsigned engines;             /* routing engines that answer: 1 or 2 */
    bool evo;                     /* Junos Evolved: bare replay-protect is refused, no suspend-on-request */
    bool bare_ok;                 /* a commit is answered by <ok/> alone */
    bool no_cipher;               /* has no cipher-suite statement (EX) */
    bool no_private;              /* refuses <open-configuration><private/> */
    bool ckn_warning;             /* warns about a short CKN */
};
const struct sim_personality *sim_personality_find(const char *name); /* NULL: there is none */
const struct sim_personality *sim_personality_at(size_t i);           /* NULL: no more; 0 is the usual one */

/* ---- a box ---- */

/* What a login may do; "super-user", "operator", "read-only", or a class of the box's own configuration. */
struct sim_user {
    char name[SIM_NAME_MAX + 1];
    char class[SIM_NAME_MAX + 1];  /* "": super-user */
    char *password;                /* NULL: none */
    char *keys;                    /* content of an authorized_keys file; NULL: none */
};

enum sim_host_key { SIM_HOST_ED25519 = 0, SIM_HOST_ECDSA, SIM_HOST_RSA };

struct sim_store;                  /* configurations, locks, history: store.h */
struct sim_boxworld;               /* ports, participants: world.h */

struct sim_box {
    /* From the topology; constant once the lab runs. */
    char name[SIM_NAME_MAX + 1];   /* its host name unless the configuration says another */
    struct in_addr address;        /* 127.x.y.z */
    const struct sim_personality *as;
    char model[32], release[32];   /* "": the personality's */
    char *zone;                    /* "Europe/Berlin"; NULL: UTC; system time-zone of the configuration goes first */
    enum sim_host_key host_key;
    struct sim_user users[SIM_USERS_MAX];
    size_t n_users;
    char *initial;                 /* configuration at start: {} form, set commands, or XML; NULL: made of names */
    int connection_limit;          /* sessions at once; 0: 75 */

    /* Changed by control while it runs: __atomic. */
    int64_t clock_offset_ms;       /* its clock minus the world's */
    int64_t commit_ms;             /* how long a commit takes, of real time */
    int64_t check_ms;              /* and a commit check */

    pthread_mutex_t lock;          /* over what follows */
    xmlDoc *committed;             /* <configuration>; secrets are in $9$ form.  Replaced as a whole by a commit */
    uint64_t commits;              /* how many there were */
    struct sim_store *store;
    struct sim_boxworld *world;
};

struct sim_lab {
    struct sim_box **boxes;        /* ordered by address */
    size_t n;
    char *control;                 /* path of the control socket; NULL: none */
};
/* sim_lab_box, sim_lab_at - by name, by address; NULL: there is none (network half: lab.c) */
struct sim_box *sim_lab_box(const struct sim_lab *lab, const char *name);
struct sim_box *sim_lab_at(const struct sim_lab *lab, struct in_addr address);

/* sim_box_new - a box with the usual values, of the first personality; sim_box_free also ends its configurations
 * (network half: store.c).  ret: NULL: no memory */
struct sim_box *sim_box_new(const char *name);
void sim_box_free(struct sim_box *box);

/* ---- the world half, called by the network half ---- */

/* sim_topology_load - read the file and make the boxes (with sim_box_new)
 * ret:  0, or -1 with why[SIM_WHY_MAX] that names file and line.   sim_lab_free frees boxes and all */
int sim_topology_load(const char *path, struct sim_lab *lab, char *why);
void sim_lab_free(struct sim_lab *lab);

/* sim_world_start - begin time and MKA, and the control socket; after the boxes have their configurations.
 * Every box is told by sim_committed before.   ret: 0, or -1 with why[SIM_WHY_MAX] */
int sim_world_start(struct sim_lab *lab, char *why);
void sim_world_stop(struct sim_lab *lab);

/* sim_now_ms - the world's clock, Unix time [ms]; control may make it faster.   sim_box_now_ms - as the box sees it
 * sim_box_zone_s - the box's local time minus UTC at a time of its clock.   thread: any */
int64_t sim_now_ms(void);
int64_t sim_box_now_ms(const struct sim_box *box);
int32_t sim_box_zone_s(const struct sim_box *box, int64_t unix_s);

/* sim_show - body of the reply to an operational RPC: XML without <rpc-reply>, which the caller wraps
 * in:   rpc: local name of the request ("get-mka-session-information"), or "command" with its text as content and
 *       the attribute format;   request: that element.   The box is not locked
 * ret:  0: known, written to out;  -1: no such RPC on this personality: a syntax error */
int sim_show(struct sim_box *box, const char *rpc, const xmlNode *request, FILE *out);

/* sim_committed - the committed configuration is another one (commit, rollback, start, reboot).   lock: box->lock held
 * A commit's user and log text are in the two arguments; NULL at start. */
void sim_committed(struct sim_box *box, const char *user, const char *log);

/* sim_violation - count something that no client may do; what: "commit without the lock".   lock: any or none */
void sim_violation(struct sim_box *box, const char *what);

/* ---- faults (fault.c) ---- */

enum sim_point {
    SIM_AT_CONNECT = 0,   /* TCP connection accepted */
    SIM_AT_HOSTKEY,       /* before the key exchange */
    SIM_AT_LOGIN,         /* at each attempt */
    SIM_AT_HELLO,         /* before the hello is sent */
    SIM_AT_LOCK,          /* lock-configuration, lock, open-configuration; rpc is its name */
    SIM_AT_LOAD,          /* load-configuration, edit-config */
    SIM_AT_CHECK,         /* commit check, validate */
    SIM_AT_COMMIT_BEFORE, /* nothing was committed yet */
    SIM_AT_COMMIT_AFTER,  /* all is committed, no reply was sent */
    SIM_AT_REPLY          /* any reply; rpc is the request's name */
};

/* What to do, any of them together; a wait of delay_ms (real time) comes first. */
#define SIM_DO_CLOSE 0x1u      /* close the connection */
#define SIM_DO_SILENT 0x2u     /* say nothing more on this session, and keep it open */
#define SIM_DO_ERROR 0x4u      /* do nothing, and answer with rpc-error of .text (and .tag, .path, "": usual ones); at
                                * HELLO: instead of the hello;
                                * at COMMIT_AFTER: as if it had failed, though it did not */
#define SIM_DO_WARNING 0x8u    /* go on, and put a warning of .text into the answer */
#define SIM_DO_PARTIAL 0x10u   /* LOAD: load the first half, then report a syntax error; the half stays loaded */
#define SIM_DO_MALFORMED 0x20u /* COMMIT_AFTER: <routing-engine> is not closed; REPLY: the end is cut off */
#define SIM_DO_SPLIT 0x40u     /* HELLO, REPLY: the delimiter goes in two packets, 20 ms apart */
#define SIM_DO_BYTES 0x80u     /* HELLO, REPLY: one byte a packet, up to 4096, then the rest */
#define SIM_DO_WRONG_KEY 0x100u /* HOSTKEY: another key of the same type */
#define SIM_DO_RSA_ONLY 0x200u /* HOSTKEY: an RSA key only */
#define SIM_DO_REFUSE 0x400u   /* LOGIN: refused;  CONNECT: as when the connection limit is reached */
#define SIM_DO_LOCKED 0x800u   /* LOCK, COMMIT_BEFORE: locked by "admin terminal (pid N)" */
#define SIM_DO_DIRTY 0x1000u   /* LOCK: the shared candidate has somebody's changes */
#define SIM_DO_OTHER_RE 0x2000u /* COMMIT_BEFORE: the check fails on the other routing engine: nothing is committed */

struct sim_fault_hit {
    uint32_t what;             /* SIM_DO_...; 0: no fault */
    int64_t delay_ms;
    char text[160], tag[32], path[96];
};
/* sim_fault - is there a fault for this box at this point now?  Counts it when there is.   thread: any
 * in:   rpc: name of the request, NULL before there is one */
struct sim_fault_hit sim_fault(struct sim_box *box, enum sim_point point, const char *rpc);

/* ---- the network half, called by the world half ---- */

/* sim_edit - an operator at the console: load set/delete commands (one a line) and commit them, by no session
 * sim_edit_shared - load them into the shared candidate only, where they stay (a dirty candidate)
 * sim_operator_lock - lock the database as "admin terminal"; false takes the lock away
 * sim_operator_discard - what he has in the shared candidate goes
 * ret:  0, or -1 with why[SIM_WHY_MAX].   lock: none held */
int sim_edit(struct sim_box *box, const char *commands, char *why);
int sim_edit_shared(struct sim_box *box, const char *commands, char *why);
void sim_operator_lock(struct sim_box *box, bool held);
void sim_operator_discard(struct sim_box *box);

/* sim_reboot - end all sessions, and let nobody connect for down_ms (real time)
 * in:   empty: it comes back with the initial configuration (no keys that were ever committed), no history */
void sim_reboot(struct sim_box *box, bool empty, int64_t down_ms);
/* sim_hang_up - end all sessions of a box.   sim_sessions - how many it has */
void sim_hang_up(struct sim_box *box);
unsigned sim_sessions(const struct sim_box *box);

/* conf_*: read a configuration tree; names are local names, inactive elements are not there (conf.c)
 * conf_get - the first element at the path "security/macsec/connectivity-association[CA1]/mka"; [x] is its <name>
 * conf_text - text of the element at the path, trimmed into out[size]; false: not there, or longer
 * conf_next - the next sibling element of the same name;   conf_has - is it there */
xmlNode *conf_get(const xmlNode *from, const char *path);
bool conf_text(const xmlNode *from, const char *path, char *out, size_t size);
xmlNode *conf_next(const xmlNode *element);
bool conf_has(const xmlNode *from, const char *path);

/* secret_open - a secret as configured ($9$ or clear) into clear text out[size];   false: neither, or longer
 * secret_seal - clear text into its $9$ form, another one each time;   false: longer than size */
bool secret_open(const char *stored, char *out, size_t size);
bool secret_seal(const char *clear, char *out, size_t size);

#endif
