/* world.h - time, cables and ports of the simulated routers
 *
 * One lock over all of it: world_lock.  It is taken after a box's own lock, never before.  Ports and cables are made
 * from the topology and never move while the world runs.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "lldp.h"
#include "mka.h"
#include "sim.h"

#define WORLD_FAULTS 32      /* of one box at once */
#define WORLD_TXNS 16        /* commits whose transaction is remembered */

struct zone;
/* zone_find - a time zone by its name, read once and kept until zone_stop; NULL: there is none.   blocks: on a file
 * zone_offset - local time minus UTC [s] at a time, and its abbreviation (NULL: not wanted)
 * zone_to_unix - the time at which it is so late there; of two the first one
 * lock: zone_find has one of its own */
const struct zone *zone_find(const char *name);
int32_t zone_offset(const struct zone *z, int64_t unix_s, char abbreviation[8]);
int64_t zone_to_unix(const struct zone *z, int64_t local_s);
void zone_stop(void);

struct sim_port {
    struct sim_box *box;
    char name[SIM_NAME_MAX + 1], speed[16];
    struct sim_port *peer;       /* at the other end of the cable; NULL: none */
    bool cut;                    /* the cable is; both ends have it */
    bool shut;                   /* by control */
    bool disabled;               /* by its configuration */
    bool linked;                 /* it had a carrier when it was looked at last */
    char description[LLDP_TEXT_MAX]; /* as configured */
    struct lldp_port lldp;
    int64_t moved_ms;            /* when the link came or went last */
    char logged_unknown[MKA_CKN_MAX + 1], logged_ckn[MKA_CKN_MAX + 1];
    enum mka_state logged;
    struct mka_port mka;
};

struct world_chain {             /* for show security keychain */
    char name[132];
    int64_t tolerance_s;
    struct mka_chain_key *key;
    size_t n;
};

struct fault_word;
struct fault {
    const struct fault_word *word;
    int64_t value;
    uint32_t ppm;                /* how often [parts per million] */
    int64_t left;                /* so many times; -1: always */
    char rpc[64];                /* only at this request; "": at all */
};

struct sim_boxworld {
    struct sim_port *port;
    size_t n_ports;
    struct world_chain *chain;
    size_t n_chains;
    char host[256], zone_name[64];
    const struct zone *zone;
    bool no_licence, short_ckn;
    uint32_t lldp_faults;        /* LLDP_... */
    bool emptied;                /* it restarts without its configuration, or did so last */
    int64_t down_until_ms;       /* it reboots; real time */
    int64_t unlock_ms;           /* the operator takes his lock away; real time; 0: there is none */
    int64_t booted_ms, configured_ms; /* by the world's clock */
    char configured_by[SIM_NAME_MAX + 1];
    bool committed_once;
    struct fault fault[WORLD_FAULTS];
    size_t n_faults;
    uint64_t fault_hits;
    char txn[WORLD_TXNS][40];
    size_t n_txns;
    uint64_t violations, commits;
    char violation[160];         /* the last one */
};

struct world {
    struct sim_lab *lab;
    int64_t hello_ms;            /* one that is configured as 2 s */
    int64_t lldp_ms;             /* two seconds of LLDP: until a neighbour hears of a new description */
    uint64_t dice, violations;
};
extern struct world world;
extern pthread_mutex_t world_lock;

/* world_of - the world's part of a box, made when there is none.   NULL: no memory.   lock: world_lock
 * world_port - a port by its name, ".0" is the same one; NULL: there is none */
struct sim_boxworld *world_of(struct sim_box *box);
struct sim_port *world_port(const struct sim_boxworld *w, const char *name);
bool world_ports(struct sim_box *box, size_t n);  /* room for n ports; false: no memory */
bool world_port_init(struct sim_box *box, size_t i, const char *name, const char *speed);

/* world_read - what the committed configuration says of one port.   lock: both
 * world_chains - all key chains of it.   false: no memory */
bool world_read(struct sim_box *box, const struct sim_port *port, struct mka_conf *out);
bool world_chains(struct sim_box *box, struct sim_boxworld *w);
void world_chains_free(struct sim_boxworld *w);
bool world_start_time(const struct zone *z, const char *text, int64_t *start_ms);

/* world_judge - count what this commit did that no client may do.   lock: both; before the ports have it */
void world_judge(struct sim_box *box, struct mka_conf *next, const char *user, const char *log);

/* world_set_clock - Unix time [ms] from now on, and how much faster it goes than real time
 * world_tick - do what is due now.   world_kick - and let the thread look at once.   lock: world_lock */
void world_set_clock(int64_t unix_ms, double speed);
double world_speed(void);
void world_tick(void);
void world_kick(void);
int64_t world_real_ms(void);     /* real, monotonic */
/* world_reboot - with sim_reboot.   lock: none */
void world_reboot(struct sim_box *box, bool empty, int64_t down_ms);
bool world_link_up(const struct sim_port *p);

/* ---- faults (fault.c) ---- */

/* fault_add - "word[:value][:n][:percent][@rpc]" for a box.   ret: 0, or -1 with why[SIM_WHY_MAX].   lock: world_lock
 * fault_clear - all of a box, also what they left behind.   lock: none
 * fault_list - for --list-faults.   fault_put - those of a box, as words, with a comma between */
int fault_add(struct sim_box *box, const char *text, char *why);
void fault_clear(struct sim_box *box);
void fault_list(FILE *out);
void fault_put(const struct sim_boxworld *w, FILE *out);

/* ---- control (control.c) ---- */

int control_start(struct sim_lab *lab, char *why);
void control_stop(void);

#endif
