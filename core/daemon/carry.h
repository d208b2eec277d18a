/* carry.h - records that a link's device shows and hears itself (LLDP), instead of a channel that publishes and watches
 *
 * It is so when the channel's plugin makes texts of records (encode, decode) and the device's plugin hears neighbours.
 * carry.c has the way out, carry_hear.c the way in.  Loop only; nothing blocks.
 */
#ifndef RK_CARRY_H
#define RK_CARRY_H

#include "daemon.h"
#include "errand.h"
#include "path.h"

/* Of an end whose records are carried. */
struct carried {
    struct carried *next;    /* on its device */
    struct end *end;
    /* out: records without tag, and what the channel made of them to be shown; each NULL when there is none */
    struct rk_record said;   /* what `shown` says; role 0: not known */
    struct rk_record waits;  /* what `text` says */
    struct rk_record later;  /* what `ahead` says */
    char *shown;             /* by the device now; NULL: not known */
    char *text;              /* to be shown */
    char *ahead;             /* to be shown with the STAGE under way */
    char by[RK_KEY_ID_MAX + 1]; /* key ID whose channel key signed the last of them; "" the auth-key */
    struct encoding *queued; /* a record that waits to be encoded: a newer one takes its place */
    bool showing;            /* text or ahead is in a call to the device */
    bool leaves;             /* its link is not in the configuration any more, and what is shown is taken away */
    int64_t show_at_ns;      /* text: with the next change of the device, or alone then */
    unsigned failures;       /* in a row, of showing it */
    int err;                 /* of the last one; why is told by the path */
    /* in */
    int64_t hear_at_ns;      /* the next look */
    int64_t pause_ns;        /* after it */
    bool awaits;             /* of an end at rest: as it was when it came to rest */
    struct rk_heard_msg *heard; /* n_heard neighbours, while a look is under way */
    size_t n_heard;
    uint64_t news;           /* hash of the records that the last look brought */
};

/* Of a device, or a channel: what waits there. */
struct carry {
    struct wake wake;        /* DEVICE: something is to be shown, or heard */
    struct inst *inst;
    struct carried *first;   /* DEVICE: ends whose records it carries */
    size_t n_waiting;        /* DEVICE: of them, those with a text */
    bool looking;            /* DEVICE: NEIGHBOURS is under way, or waits for its turn */
    struct encoding *to_encode, **last; /* CHANNEL */
};

/* carry_path - the path whose records the end's device carries, of a live end; NULL: there is none, or not now
 * carry_channel - its channel; NULL: none
 * carry_publish - the end has a new record: have it encoded, and shown when it differs from what is shown
 * carry_ahead - STAGE is asked for: have what it will say encoded first.   ret: true: it goes to the device's queue by
 *               itself then, within a moment; false: it is the caller's to enqueue
 * carry_retire - the end goes, and what its device shows of it;  it is freed by carry_free, when no call refers to it
 *                any more */
struct path *carry_path(const struct end *end);
struct inst *carry_channel(const struct end *end);
void carry_publish(struct end *end);
bool carry_ahead(struct end *end);
void carry_retire(struct end *end);
void carry_free(struct end *end);

/* A call to a device takes along what waits to be shown there.
 * carry_has_ahead - does the STAGE that the end asks for bring a text of its own
 * carry_load - put DESCRIBE items behind the n items of the operations of ends, up to RK_BATCH_MAX in all; *m->n grows
 *              ret: what to give to carry_landed(); NULL: nothing was put
 * carry_loaded - how many items
 * carry_landed - the call is answered: items[i] for each in the order of carry_load, or NULL and err, why for all;
 *                l is freed
 */
struct carry_load;
bool carry_has_ahead(const struct end *end);
struct carry_load *carry_load(struct inst *device, struct end *const *ends, struct rk_call_msg *m);
size_t carry_loaded(const struct carry_load *l);
void carry_landed(struct carry_load *l, const struct rk_item *items, int err, const char *why);

/* carry_dispatch - begin what can begin: of a channel, to encode; of a device that is ready, to hear, and when it is
 *                  free to show what no change takes along
 * carry_ready - the instance was made: what its device shows is not known
 * carry_drop - the instance goes: nothing is encoded, or taken away, by it any more.   carry_inst_free - it is freed */
void carry_dispatch(struct inst *inst);
void carry_ready(struct inst *inst);
void carry_drop(struct inst *inst);
void carry_inst_free(struct inst *inst);

/* carry_explain - append to text[size] that its device carries the records of the end, when it does */
void carry_explain(const struct end *end, char *text, size_t size);

/* ---- between the two files ---- */

/* carry_wake - be woken when the time of what is to be shown or heard comes; what is due now is not waited for
 * carry_look - begin to hear those whose time has come.   carry_stir - an answer may come soon: look often for a while
 * carry_period_ns - how long a word that may wait may wait, and no look is longer */
void carry_wake(struct carry *c);
void carry_look(struct carry *c, int64_t now_ns);
void carry_stir(struct carried *c);
int64_t carry_period_ns(const struct end *end);

#endif
