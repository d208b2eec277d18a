/* etsi014_rig.h - an instance of the plugin at the scripted KME, for tests that ask and look at what comes of it */
#ifndef ETSI014_RIG_H
#define ETSI014_RIG_H

#include "etsi014_kme.h"

#define RIG_KEYS 64
#define RIG_UUID "c0ffee00-0000-4000-8000-"

struct rig {
    struct kme kme;
    struct rk_call call;
    void *inst;
    struct rk_key keys[RIG_KEYS];
    const struct rk_source_ops *ops;
};

extern struct rig rig;

/* rig_group_up, rig_group_down - for cmocka: the KME of all tests
 * rig_up, rig_down - the instance of one test, as SAE_A, with an empty log
 * rig_can_run - false, and said so, when there is no python3 with ssl */
int rig_group_up(void **state);
int rig_group_down(void **state);
int rig_up(void **state);
int rig_down(void **state);
int rig_can_run(void);

/* rig_open - another instance, with these options as name, value, ..., NULL; the plugin's log stays, the
 * KME's begins anew */
void rig_open(const char *const *extra);
/* rig_budget - the next calls have so much time */
void rig_budget(int ms);

/* rig_play - how the KME answers from now on; its own log begins anew
 * rig_new, rig_ids, rig_id - ask SAE_B for n new keys of 256 bits; for those with the IDs 1..n, or for that with the ID
 * RIG_UUID and end.   ret: what the plugin returned */
void rig_play(const char *part);
int rig_new(size_t n);
int rig_ids(size_t n);
int rig_id(const char *end);
/* rig_requests - how many requests came since the last look; they are in rig.kme.log */
size_t rig_requests(void);

/* assert_key - the key is there and has the bytes that the KME made;  assert_no_keys - none is there
 * assert_says - the text of the last failure has this;  assert_logged, assert_not_logged - a line of the log has this
 * assert_sent - a request that rig_requests() saw has this */
void assert_key(const struct rk_key *k);
void assert_no_keys(void);
void assert_says(const char *text);
void assert_logged(const char *text);
void assert_not_logged(const char *text);
void assert_sent(const char *text);

#endif
