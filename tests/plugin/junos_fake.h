/* junos_fake.h - a router for tests of the write side: it stands where session, readers and view are
 *
 * Its configuration is a tree that a load changes in a copy (merge, delete), checked more strictly than YANG does; a
 * commit makes the copy the committed one.  Keys are stored as "$9$" and their digits, so that a moved key is seen to
 * be the same.  A script says how each step ends.
 */
#ifndef JUNOS_FAKE_H
#define JUNOS_FAKE_H

#include "plugins/common/junos/commit.h"

#include "fakehost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum fake_end {
    FAKE_OK = 0,
    FAKE_ERROR,      /* an error, see message and path */
    FAKE_WARNING,    /* done, with a warning */
    FAKE_SILENT,     /* done, and the answer is not seen: RK_E_UNKNOWN */
    FAKE_LOST,       /* not done, and no answer: RK_E_UNKNOWN */
    FAKE_MALFORMED,  /* done, and the answer says neither success nor an error */
    FAKE_BOTH,       /* done, and the answer says success and an error */
    FAKE_UNSENT,     /* RK_E_UNREACHABLE: certainly not sent */
};

/* One answer other than OK: the n-th (from 1) request of this kind.   n 0: every one */
struct fake_rule {
    const char *what;
    unsigned n;
    enum fake_end end;
    const char *message, *path;
};
#define FAKE_RULES 8

struct fake_router {
    struct jn_device d;
    xmlDoc *committed, *candidate;
    struct fake_rule rule[FAKE_RULES];
    size_t n_rules;
    unsigned loads, commits, checks, discards, open; /* what happened; open: edits that are open now */
    unsigned seen_loads, seen_opens, seen_commits, seen_looks, seen_status;
    char log[50][160];              /* the history, newest last */
    size_t n_log;
    const char *holder;             /* pid that the database status lists */
    bool no_status;                 /* it has no such RPC */
    bool forgets;                   /* its history does not tell of commits */
    int view_err;                   /* what the next jn_view_get gives when a commit was sent */
    char *payload;                  /* the last load, keys as digits: for validation */
    int64_t clock_offset_s;
    int32_t zone_s;
    int64_t zone_change_s;          /* when not 0: from then on, by the zone of now, the zone is zone_later_s */
    int32_t zone_later_s;
    const char *sender;             /* interface whose MKA shows sender_ckn as primary, live */
    char sender_ckn[JN_CKN_HEX + 1];
};
extern struct fake_router router;
extern struct rk_call fake_router_call;

/* A key of an operator: its CKN, and its CAK as the router stores it. */
#define HIS "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HIS_CAK "$9$ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

/* fake_router_start - with this <configuration>;  fake_router_end - free, fake_router_teardown - as cmocka wants it;
 * fake_on - add a rule */
void fake_router_start(const char *conf);
void fake_router_end(void);
int fake_router_teardown(void **state);
void fake_on(struct fake_rule rule);

/* fake_at - the text at a path of names, as "pre-shared-key/ckn" of association `ca`; "" none.  Slots: "3/key-name" of
 * chain `ca` with fake_slot */
const char *fake_at(const char *ca, const char *place);
const char *fake_slot(const char *chain, int slot, const char *leaf);
size_t fake_slots(const char *chain);
const char *fake_description(const char *iface);
/* fake_macro - value of the pair with the CKN of this key ID in apply-macro rekey; NULL none */
const char *fake_macro(const char *ca, const char *key_id);

/* fake_ckn - the CKN of a key ID, in a buffer that is used again after 8 calls;  fake_stored - what the router stores
 * of the CAK of this key ID on this link */
const char *fake_ckn(const char *key_id);
const char *fake_stored(const char *key_id, const char *link, const char *cipher);

/* fake_apply - one operation, or several.   fake_op - an operation; the key of STAGE is made of its ID */
struct rk_dev_op fake_op(uint32_t kind, const char *iface, uint64_t seq, const char *key_id, const char *text);
int fake_apply(struct rk_dev_op *ops, size_t n);
int fake_one(uint32_t kind, const char *iface, uint64_t seq, const char *key_id, const char *text);
const char *fake_why(void); /* of the last fake_one */

#endif
