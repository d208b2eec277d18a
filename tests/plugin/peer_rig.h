/* peer_rig.h - instances of the channel "peer" for its tests: each with a thread that watches, as a host does
 *
 * Waiting is for a condition that is looked at again and again; what is heard is kept, the newest of each link.
 */
#ifndef PEER_RIG_H
#define PEER_RIG_H

#include "fakehost.h"
#include "scratch.h"

#include <pthread.h>
#include <stdbool.h>

#define SITE_LINKS 600

struct heard {
    char link[RK_LINK_MAX + 1], record[RK_RECORD_MAX + 1], sae[RK_SAE_MAX + 1];
    unsigned times;
};

struct site {
    void *inst;
    int port;
    bool watching, stop;
    pthread_t watcher;
    pthread_mutex_t lock;
    struct heard heard[SITE_LINKS]; /* under lock, as what follows */
    size_t n;
    unsigned words;      /* texts on refusals */
    char word[256];      /* the last */
    int watch_err;
    char watch_text[400];
    int64_t ends_unix_s; /* as rk_call */
};

struct site_want {
    const char *cert;  /* base name of .pem and .key; NULL: "sae" */
    const char *sae;   /* this site's; NULL: SAE_A */
    const char *peers[3]; /* "SAE_B https://..." */
    const char *url;   /* in their place */
    const char *backoff, *heartbeat; /* NULL: as by default */
};

extern struct scratch rig_dir;

/* rig_begin - of a program of tests: a folder with certificates;  rig_end */
int rig_begin(void **state);
int rig_end(void **state);

/* The sites of one test: A has the peers SAE_B and SAE_C.
 * sites_begin - none is started, each has a port;  sites_end - stop them;  site_start_b - B, with this certificate */
extern struct site a, b, c;
int sites_begin(void **state);
int sites_end(void **state);
void site_start_b(const char *cert);
#define SITES_TEST(f) cmocka_unit_test_setup_teardown(f, sites_begin, sites_end)

/* site_try - init.   ret: its result, with the text in call */
int site_try(struct site *s, struct rk_call *call, const struct site_want *want);
/* site_start - init, and a thread that watches.  s->port 0: one is found;  site_stop - end both */
void site_start(struct site *s, const struct site_want *want);
void site_stop(struct site *s);

/* site_say - publish one record;  site_attach - a link, or (sae NULL) not any more.   ret: of the operation */
int site_say(struct site *s, const char *sae, const char *link, const char *record);
int site_attach(struct site *s, const char *sae, const char *link);
/* site_hears - wait until this is the newest record of the link;  site_has - is it
 * site_word - wait until words on a refusal hold this text */
void site_hears(struct site *s, const char *link, const char *record);
bool site_has(struct site *s, const char *link, const char *record);
void site_word(struct site *s, const char *text);

/* https - text of "https://127.0.0.1:PORT" with an SAE ID before it, or (sae NULL) without; valid until the 8th call */
const char *https(const char *sae, int port);

#endif
