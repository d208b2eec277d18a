/* mka.h - MKA between two ports, as Junos runs it: which keys take part, who is live, which SAK is in use
 *
 * Pure: time is a parameter, hellos go straight from one struct to the other.  A port has up to three participants,
 * one for each CAK: the primary key, the preceding one (the primary before, until the new one is in use), the fallback
 * key.  The caller holds a lock over both ports.
 * src: IEEE 802.1X-2020 9 (hello, life time, live peers, key server, SAK); what Junos adds: its MKA commands
 */
#ifndef SIM_MKA_H
#define SIM_MKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MKA_CKN_MAX 64   /* digits */
#define MKA_MI 12        /* bytes of a member identifier */
#define MKA_PARTS 3
#define MKA_LIVES 3      /* a peer is lost after so many hellos */

struct mka_key {
    char ckn[MKA_CKN_MAX + 1]; /* lower case, as configured; "": no key */
    unsigned char cak[32];
    uint8_t cak_n;             /* 16 or 32, by the cipher */
};

struct mka_chain_key {
    int slot;
    int64_t start_ms;          /* Unix time [ms] at which it begins; 0: from the beginning */
    struct mka_key key;
};

/* What the committed configuration says of a port. */
struct mka_conf {
    bool on;                   /* bound to a connectivity association with static-cak */
    char ca[40], cipher[24], chain_name[132];
    struct mka_key psk, fallback;
    struct mka_chain_key *chain; /* by slot; owned */
    size_t n_chain;
    bool should_secure, no_preceding, no_encryption, include_sci, bounded_delay, replay;
    unsigned offset, window, priority;
    int64_t hello_ms, rekey_ms; /* rekey_ms 0: never */
    unsigned shown_hello_ms;    /* transmit-interval as configured */
};

enum mka_type { MKA_PRIMARY = 0, MKA_PRECEDING, MKA_FALLBACK };
enum mka_status { MKA_IN_PROGRESS = 0, MKA_LIVE, MKA_ACTIVE };
enum mka_state { MKA_UNSECURED = 0, MKA_BY_PRIMARY, MKA_BY_PRECEDING, MKA_BY_FALLBACK, MKA_SUSPENDED };

/* Why a port that has a carrier is unsecured, when no client can help it; until it is secured again. */
enum mka_excuse {
    MKA_NO_EXCUSE = 0,
    MKA_EMPTY,                 /* a router came back without its configuration, and has no key yet */
    MKA_LICENCE,               /* a router has no licence, or had none */
    MKA_TORN,                  /* the link came back, and the keys committed at its ends have none in common */
    MKA_EXCUSES
};

struct mka_sak {
    bool there;
    unsigned char mi[MKA_MI];  /* of the key server's participant */
    uint32_t kn;
    unsigned an;
    struct mka_key by;         /* the CAK by which it came; only its ckn is set */
    unsigned char peer_mi[MKA_MI]; /* for whom the key server made it */
    int64_t since_ms;
};

struct mka_part {
    bool there, live, heard;
    enum mka_type type;
    struct mka_key key;
    unsigned char mi[MKA_MI], peer_mi[MKA_MI];
    uint32_t mn, rx_mn, kn;
    uint64_t tx, rx;
    uint64_t peer_sci;
    unsigned peer_priority;
    int64_t heard_ms, live_since_ms;
    int64_t renamed_ms;        /* until then a preceding one is still shown as primary */
};

struct mka_stats {
    uint64_t received, sent, unknown_ckn, icv_mismatch, old_message;
};

struct mka_port {
    struct mka_conf conf;
    uint64_t sci, dice;        /* dice: state of the random numbers */
    bool up;                   /* it has a carrier, and may run MKA */
    struct mka_part part[MKA_PARTS];
    struct mka_sak latest, previous;
    bool tx_latest;            /* transmits on latest; else on previous */
    bool key_server;
    int64_t sent_ms, next_ms;  /* last hello, next one */
    int64_t suspended_ms;      /* until then MKA is silent, and nothing is lost by it */
    int active_slot;           /* key of the chain that is the primary one; -1: none */
    struct mka_stats stats;
    char unknown[MKA_CKN_MAX + 1]; /* the last CKN that was heard and is not known here */
    /* what is counted from the first time that it was secured, [ms] */
    bool secured_once, recovering, lost;
    int64_t counted_ms, up_since_ms, packets_ms;
    int64_t unsecured_ms, clear_ms, lost_ms, down_ms;
    enum mka_excuse excuse;    /* whoever sets it knows routers; it ends when the port is secured */
    int64_t excused_ms[MKA_EXCUSES]; /* unsecured, and not counted in unsecured_ms and clear_ms */
    unsigned excuses[MKA_EXCUSES];   /* how often */
};

/* mka_port_start - a port without configuration.   mka_port_end frees and wipes it */
void mka_port_start(struct mka_port *p, uint64_t sci, uint64_t seed, int64_t now);
void mka_port_end(struct mka_port *p);
/* mka_port_configure - take a configuration over: *conf becomes the port's, and *conf is emptied
 * clock_ms - Unix time by the clock of the port's router: it decides which key of a chain has begun */
void mka_port_configure(struct mka_port *p, struct mka_conf *conf, int64_t clock_ms, int64_t now);
/* mka_port_forget - all participants and SAKs are gone, as by a reboot or without a licence */
void mka_port_forget(struct mka_port *p);
/* mka_port_up - the carrier comes or goes */
void mka_port_up(struct mka_port *p, bool up, int64_t now);

struct mka_end {
    struct mka_port *port;
    int64_t clock_ms;          /* of its router */
};
/* mka_run - do what is due at both ends of a cable; b.port NULL: nobody is there
 * Called often: at least every quarter of a hello. */
void mka_run(struct mka_end a, struct mka_end b, int64_t now);

/* mka_reset_counts - begin to count anew, as if never secured before when it is not secured now */
void mka_reset_counts(struct mka_port *p, int64_t now);

/* mka_excuse - from now on it is excused, or for another reason: MKA_NO_EXCUSE changes nothing, and nothing MKA_EMPTY
 * mka_common - have both ports a participant of the same key? */
void mka_excuse(struct mka_port *p, enum mka_excuse why);
bool mka_common(const struct mka_port *a, const struct mka_port *b);
bool mka_secured(const struct mka_port *p);
enum mka_state mka_state_of(const struct mka_port *p, int64_t now);
enum mka_type mka_type_of(const struct mka_part *part, int64_t now);     /* as it is shown */
enum mka_status mka_status_of(const struct mka_port *p, const struct mka_part *part);
const struct mka_part *mka_part_of(const struct mka_port *p, enum mka_type type); /* NULL: there is none */
/* mka_ckn_same - are they one CKN?  Short ones are filled up with zeros */
bool mka_ckn_same(const char *a, const char *b);
void mka_conf_free(struct mka_conf *conf);

#endif
