/* neigh.h - the neighbours on the port of one link, and which of what they say is handed on
 *
 * Pure: it is told what was heard and what time it is.  Whoever is on the wire may say anything, at any rate and under
 * any name; so all of it is bounded: neighbours, records handed on in a time, words about what is wrong.
 *
 * A record is handed on when it changes, and again with each reading of all neighbours while the neighbour is there:
 * the text of a port does not change while all is well, and lldpd holds it as long as it is valid.
 */
#ifndef LLDP_NEIGH_H
#define LLDP_NEIGH_H

#include "text.h"

#include <stdint.h>

#define NEIGH_MAX 32         /* neighbours of a port that are kept: as many as lldpd keeps (its default) */
#define NEIGH_ID_MAX 96      /* longest chassis and port ID [bytes]; what is longer is cut */
#define NEIGH_BURST 16       /* news of a link that are handed on at once ... */
#define NEIGH_EVERY_MS 50    /* ... and then one in this time: much more than rotations need, little to look at */
#define NEIGH_FLOOD 100      /* so many records that were overwritten unseen in NEIGH_TELL_MS are a flood */
#define NEIGH_GONE_MS 15000  /* lldpd that is restarted says goodbye and is back in seconds */
#define NEIGH_CHANGE_MS 10000 /* another anomaly is told after that time at the earliest ... */
#define NEIGH_TELL_MS 30000  /* ... and the same one again after this */

struct neigh_rules { /* of a link; the texts are borrowed for as long as the links are */
    const char *link;
    const char *where; /* its port, for words */
    const char *peer_chassis, *peer_port; /* "": any */
    enum lldp_format format;
    const char *member;
};

struct neighbours;

/* neigh_new - no neighbours yet;  now [ms], any clock that only goes on.   ret: owned; NULL: no memory */
struct neighbours *neigh_new(const struct neigh_rules *rules, int64_t now_ms);
void neigh_free(struct neighbours *t);

/* neigh_heard - a neighbour is there and says this
 * in:    seen  description as it came; NULL: nothing is shown */
void neigh_heard(struct neighbours *t, const struct rk_neighbour *seen, int64_t now_ms);

/* neigh_gone - it said goodbye, or its time ran out */
void neigh_gone(struct neighbours *t, const struct rk_neighbour *seen, int64_t now_ms);

/* neigh_begin, neigh_end - what is heard in between is all that there is, and counts as said again */
void neigh_begin(struct neighbours *t);
void neigh_end(struct neighbours *t, int64_t now_ms);

/* neigh_news - what is to be handed on now: records, words about what was no record, anomalies (RK_E_CONFLICT)
 * out:  posts[max].   ret: how many */
size_t neigh_news(struct neighbours *t, int64_t now_ms, struct rk_post *posts, size_t max);

/* neigh_wait_ms - after what time there may be news without anything being heard [ms]; -1: never */
int64_t neigh_wait_ms(const struct neighbours *t, int64_t now_ms);

/* neigh_words - what is wrong now, for people, in words[RK_RECORD_MAX + 1].   ret: is anything wrong */
bool neigh_words(const struct neighbours *t, char *words);

/* neigh_count - how many neighbours are there;  with: only those that show a record */
size_t neigh_count(const struct neighbours *t, bool with);

/* neigh_overwritten - records that were overwritten before they were handed on, since neigh_new */
uint64_t neigh_overwritten(const struct neighbours *t);

#endif
