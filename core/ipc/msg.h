/* msg.h - the messages between rekeyd and a host, and between rekeyctl and rekeyd
 *
 * Each message is one frame: a type, a number, then tagged values.  Decoding checks every
 * length and text; what does not fit is refused whole.  Pure; fuzzed.
 *
 *   host -> rekeyd   HELLO        once, after the module is loaded: what it is, and its options
 *   rekeyd -> host   CONFIG       make instance `inst`; answered by REPLY with the same number
 *   rekeyd -> host   DROP         end instance `inst` (no answer)
 *   rekeyd -> host   CALL         run a verb on an instance; answered by REPLY
 *   rekeyd -> host   CANCEL       make the cancel descriptor of call `number` readable (no answer)
 *   rekeyd -> host   LOG_LEVEL    what is logged from now on: `number`, an enum rk_log_level (no answer)
 *   host -> rekeyd   STEP         one step of the test that call `number` runs, or one line of PREPARE; before REPLY
 *   host -> rekeyd   FOUND        one link that DISCOVER, call `number`, found; before its REPLY
 *   host -> rekeyd   HEARD        one neighbour that NEIGHBOURS, call `number`, found; before its REPLY
 *   rekeyctl -> rekeyd  ASK       one command
 *   rekeyd -> rekeyctl  ROW       one JSON object of the answer; DONE ends it
 */
#ifndef RK_MSG_H
#define RK_MSG_H

#include "../base/limits.h"
#include "../base/setting.h"
#include "tlv.h"

#include <rekey/channel.h>
#include <rekey/device.h>
#include <rekey/source.h>

enum rk_msg_type { RK_MSG_HELLO = 1, RK_MSG_CONFIG, RK_MSG_DROP, RK_MSG_CALL, RK_MSG_CANCEL, RK_MSG_REPLY,
                   RK_MSG_STEP, RK_MSG_FOUND, RK_MSG_HEARD, RK_MSG_LOG_LEVEL,
                   RK_MSG_ASK = 20, RK_MSG_ROW, RK_MSG_DONE };

/* ATTACH is for a channel instance: items say which links go through the instance, who the peer of each is and where
 * it is heard; sae "" ends one.  The host binds them at once: WATCH returns records of bound links only.  Then the
 * plugin is told, if it wants to know.
 * MIX is done by the host itself, for a device instance: one key of the parts of several sources.
 * RATCHET is done by the host itself, for a channel instance: items (link, key_id) of channel keys.  ADD takes the one
 * in fd, RESTORE the wrapped one in text; ADD, and WRAP of one that is held, answer with it wrapped, in text.  Before
 * ADD, and for KEEP, the link's other keys than those of key[].id are forgotten.
 * TEND, DISCOVER, PREPARE: operations that a device's plugin need not offer, see rk_hello.ops.  PREPARE: one item for
 * each interface, its name; there may be none.
 * Records that a device carries: ENCODE and DECODE are for the channel, NEIGHBOURS for the device; see run_carry.c. */
enum rk_verb { RK_V_GET_NEW = 1, RK_V_GET_BY_ID, RK_V_SOURCE_STATUS, RK_V_APPLY, RK_V_OBSERVE, RK_V_PUBLISH,
               RK_V_WATCH, RK_V_ATTACH, RK_V_SOURCE_TEST, RK_V_MIX, RK_V_TEND, RK_V_DISCOVER, RK_V_PREPARE,
               RK_V_ENCODE, RK_V_DECODE, RK_V_NEIGHBOURS, RK_V_RATCHET };

/* rk_item.op of RATCHET */
enum rk_ratchet_op { RK_RATCHET_ADD = 1, RK_RATCHET_RESTORE, RK_RATCHET_KEEP, RK_RATCHET_WRAP };

/* rk_hello.ops */
#define RK_OFFERS_TEND 0x1u
#define RK_OFFERS_DISCOVER 0x2u
#define RK_OFFERS_PREPARE 0x4u
#define RK_OFFERS_NEIGHBOURS 0x8u
#define RK_OFFERS_ATTACH 0x10u /* this and what follows: of a channel */
#define RK_OFFERS_ENCODE 0x20u /* and decode */
#define RK_OFFERS_TEST 0x40u

/* What a module says of itself.  Texts and options point into the message, valid as long as it is. */
struct rk_hello {
    uint32_t abi, kind, caps;
    uint32_t ops;                /* RK_OFFERS_..., of a device or a channel */
    uint32_t apply_ms;           /* how long an apply of a device may take [ms]; 0: not said */
    char name[RK_NAME_MAX + 1], version[RK_NAME_MAX + 1], summary[RK_WHY_MAX];
    char error[RK_TEXT_MAX];     /* "" or why the module cannot be used; then the rest may be empty */
    struct rk_opt *opts;         /* ends with name == NULL; with all texts in one block: rk_hello_free */
    size_t n_opts;
};

struct rk_config {
    uint32_t inst;
    struct rk_setting *settings; /* n of them, one block: free() */
    size_t n;
};

/* One element of a call, or of its reply.  A verb uses the members named behind it; the others are zero. */
struct rk_item {
    uint32_t op;                       /* APPLY: enum rk_dev_op_kind */
    uint32_t state;                    /* OBSERVE reply, APPLY reply with read: RK_IF_...  DECODE: TTL [s] */
    uint32_t foreign;                  /* the same */
    int32_t err;                       /* reply */
    uint64_t seq;                      /* APPLY */
    int fd;                            /* -1, or a sealed memfd: GET_* reply, APPLY STAGE; owned by the item.
                                        * MIX: of each part that is there; its reply: the key.  RATCHET ADD */
    int chan_fd;                       /* the same: GET_*, MIX reply: the channel key of this key, when it was asked */
    char link[RK_LINK_MAX + 1];        /* APPLY, OBSERVE, PUBLISH, WATCH, ATTACH, ENCODE, DECODE, MIX (first); GET_*:
                                        * for the log */
    char iface[RK_IFACE_MAX + 1];      /* APPLY, OBSERVE, ATTACH, NEIGHBOURS, PREPARE; DECODE: where the neighbour is */
    char sae[RK_SAE_MAX + 1];          /* PUBLISH, WATCH, ATTACH, ENCODE: peer SAE.  MIX (first item): own SAE.
                                        * DECODE: the neighbour's system name */
    char key_id[RK_KEY_ID_MAX + 1];    /* GET_*, APPLY, RATCHET.  MIX: of a part, "" left out; its reply: of the key.
                                        * PUBLISH, ENCODE: whose channel key is to sign, "" or one that is not held:
                                        * the auth-key; WATCH, DECODE reply: which one has signed */
    char facts[RK_FACTS_MAX + 1];      /* APPLY, OBSERVE: the peer's; OBSERVE reply, APPLY reply with read: own */
    char text[RK_RECORD_MAX + 1];      /* PUBLISH, WATCH reply: record; reply: why; APPLY: text of DESCRIBE,
                                        * terms of STAGE and RETIRE (at most RK_TERMS_MAX, "" none).
                                        * ENCODE: record, its reply: what the device is to show.  DECODE: what the
                                        * neighbour shows; its reply: as of WATCH.  PREPARE: a word, without iface */
    char mine[RK_CONFIRM_HEX + 1];     /* APPLY STAGE reply: the confirm tag of this end ... */
    char theirs[RK_CONFIRM_HEX + 1];   /* ... and the one that the peer must show; GET_*, MIX reply: these too */
    uint32_t role;                     /* APPLY STAGE: role of this end, for the confirm tags: 1 master, 2 slave.
                                        * GET_*, MIX (first item): the same, with link and seq; 0: no tag asked */
    char chassis[RK_PIN_MAX + 1];      /* ATTACH: IDs that the neighbour must show; "" any.  DECODE: that it shows */
    char port[RK_PIN_MAX + 1];
    uint32_t carried;                  /* ATTACH: 1: the device shows and hears the record */
    uint32_t ratchet;                  /* GET_*, MIX (first item): 1: the channel key as well, for link */
    uint32_t read;                     /* APPLY reply: 1: it was done, and then read: what an OBSERVE answers is here.
                                        * DECODE: 1: it is a neighbour of the link; 0: the link has none */
    struct {
        char id[RK_KEY_ID_MAX + 1];    /* OBSERVE, APPLY with read_ms: key ID to look for, "" none.  RATCHET: of
                                        * one that is held on to */
        uint64_t seq;
        uint32_t held;                 /* their replies: RK_HELD_... */
    } key[RK_SEEN_KEYS];
};

struct rk_call_msg {
    uint32_t number, verb, inst;
    uint32_t budget_ms;
    uint32_t bits;                     /* GET_*, MIX; SOURCE_TEST: the longest, 0: not known */
    uint32_t min_bits;                 /* SOURCE_TEST: the shortest */
    uint32_t fetch;                    /* SOURCE_TEST: 1: take a key at the end, and drop it */
    uint32_t apply;                    /* PREPARE: 1: do it, not only tell it */
    uint32_t carries;                  /* PREPARE: 1: the device carries records */
    uint32_t read_ms;                  /* APPLY: read the interfaces when it is done, at most so long [ms]; 0: not */
    char peer_sae[RK_SAE_MAX + 1];     /* GET_*, MIX, SOURCE_STATUS, SOURCE_TEST */
    struct rk_item *items;             /* n of them, one block */
    size_t n;
};

struct rk_step {
    uint32_t number;                   /* of the call */
    int32_t result;                    /* RK_OK, RK_STEP_... or a code */
    char name[RK_STEP_NAME_MAX + 1], text[RK_TEXT_MAX];
};

/* What a device knows of one of its links, as struct rk_found.  A text that cannot be a name is ""; `why` says so. */
struct rk_found_msg {
    uint32_t number;                   /* of the call */
    uint32_t device_class;
    char iface[RK_IFACE_MAX + 1], sae[RK_SAE_MAX + 1], peer_sae[RK_SAE_MAX + 1], peer_iface[RK_IFACE_MAX + 1];
    char why[RK_WHY_MAX];
    struct rk_setting *settings;       /* options of its key source, n of them, one block: free() */
    size_t n;
};

/* What a device hears on an interface, as struct rk_neighbour; made safe, and cut. */
struct rk_heard_msg {
    uint32_t number;                   /* of the call */
    uint32_t ttl_s;
    char iface[RK_IFACE_MAX + 1], chassis[RK_PIN_MAX + 1], port[RK_PIN_MAX + 1], system[RK_SAE_MAX + 1];
    char description[RK_RECORD_MAX + 1];
};

struct rk_reply {
    uint32_t number;
    int32_t err;
    uint32_t took_us;                  /* time the function ran [us] */
    char text[RK_TEXT_MAX];            /* why, when err is not RK_OK; SOURCE_STATUS: one line */
    int64_t stored_keys, max_per_request; /* SOURCE_STATUS: as struct rk_source_status; -1 not known */
    int64_t min_bits, max_bits;
    int64_t ends_unix_s;               /* a credential of the instance ends; 0: none was stated */
    char ends_what[RK_WHY_MAX];        /* which one */
    uint32_t wasted;                   /* keys that came and cannot be used */
    struct rk_item *items;
    size_t n;
};

struct rk_ask {
    char command[RK_NAME_MAX + 1];     /* "status", "rotate", ... */
    char arg[RK_VALUE_MAX];            /* link, plugin, file; "" none */
    uint32_t limit;                    /* most rows; 0: the command's default */
    char peer[RK_SAE_MAX + 1];         /* source-test: "" those of the source's links */
    uint32_t fetch;                    /* source-test: 1: take a key, and drop it */
    uint32_t budget_ms;                /* source-test, discover, prepare: 0: the default */
    uint32_t apply;                    /* prepare: 1: do it */
    char words[RK_WORDS_MAX];          /* prepare: for what, a newline between them; "": for its links */
};

struct rk_done {
    uint32_t exit_code;                /* for rekeyctl, see rekeyctl(8) */
    char text[RK_TEXT_MAX];            /* error or "" */
};

/* rk_msg_head - type and number of a frame
 * ret: false when it is too short to have them */
bool rk_msg_head(const void *frame, size_t len, uint32_t *type, uint32_t *number);

/* Encoders: write one message to buf[RK_FRAME_MAX].  fds[RK_FRAME_FDS], *n: descriptors to send with it, in the
 * order of the items (borrowed).  ret: length [bytes]; 0 when it does not fit.
 * rk_*_get: decode; descriptors are moved into the items (rk_items_free closes what is left, and wipes memfds).
 * ret: RK_OK, RK_E_PROTOCOL (nothing is returned, descriptors are closed), RK_E_NOMEM.
 * thread: any.  src: design: doc/ipc.md */
size_t rk_hello_put(void *buf, const struct rk_hello *m);
int rk_hello_get(const void *frame, size_t len, struct rk_hello *m);
void rk_hello_free(struct rk_hello *m);

size_t rk_config_put(void *buf, uint32_t number, const struct rk_config *m);
int rk_config_get(const void *frame, size_t len, struct rk_config *m);

/* rk_number_put - a message that is its type and number only: DROP (number: instance), CANCEL (number: call), LOG_LEVEL
 *                 (number: enum rk_log_level) */
size_t rk_number_put(void *buf, enum rk_msg_type type, uint32_t number);

size_t rk_call_put(void *buf, const struct rk_call_msg *m, int *fds, size_t *n);
int rk_call_get(const void *frame, size_t len, int *fds, size_t n, struct rk_call_msg *m);

size_t rk_reply_put(void *buf, const struct rk_reply *m, int *fds, size_t *n);
int rk_reply_get(const void *frame, size_t len, int *fds, size_t n, struct rk_reply *m);

size_t rk_step_put(void *buf, const struct rk_step *m);
int rk_step_get(const void *frame, size_t len, struct rk_step *m);

size_t rk_found_put(void *buf, const struct rk_found_msg *m);
int rk_found_get(const void *frame, size_t len, struct rk_found_msg *m);

size_t rk_heard_put(void *buf, const struct rk_heard_msg *m);
int rk_heard_get(const void *frame, size_t len, struct rk_heard_msg *m);

/* rk_items_new - n zeroed items with fd -1; NULL: no memory.   rk_items_free - close, wipe, free; items may be NULL
 * rk_items_sent - the descriptors were sent: close ours without wiping, for the pages are the receiver's now */
struct rk_item *rk_items_new(size_t n);
void rk_items_free(struct rk_item *items, size_t n);
void rk_items_sent(struct rk_item *items, size_t n);

size_t rk_ask_put(void *buf, const struct rk_ask *m);
int rk_ask_get(const void *frame, size_t len, struct rk_ask *m);
size_t rk_row_put(void *buf, const char *json);
int rk_row_get(const void *frame, size_t len, char *json, size_t size);
size_t rk_done_put(void *buf, const struct rk_done *m);
int rk_done_get(const void *frame, size_t len, struct rk_done *m);

#endif
