/* conn.h - what the files of this server share: a connection and its listener */
#ifndef RKP_HTTPS_CONN_H
#define RKP_HTTPS_CONN_H

#include "https.h"

struct bufferevent;
struct event;
struct evconnlistener;

struct rkp_conn {
    struct rkp_conn *next, *prev;
    struct rkp_https *server;
    void *client; /* whose certificate it showed; NULL: not known yet */
    void *held;   /* the owner's, of the request that is not answered yet */
    struct bufferevent *bev;
    struct event *deadline;
    int64_t since_ms;
    unsigned char from[16]; /* address; IPv4 in the first four bytes */
    struct rkp_handshake shake;
    struct rkp_trust *trust;
    size_t reserved; /* of server->bodies [bytes] */
    bool open;     /* the handshake is done */
    bool started;  /* of a request something has come */
    bool asked;    /* the owner has it, and has not answered yet */
    bool closing;  /* after what is being written */
    bool writing;
};

struct rkp_https {
    struct rkp_https_conf conf;
    struct event_base *base;
    struct rkp_trust *trust;
    struct evconnlistener *listener;
    struct rkp_conn *conns; /* newest first */
    size_t n_unknown;       /* those whose handshake is not done */
    size_t n_conns;
    size_t bodies;          /* that are coming in [bytes] */
};

/* rkp_conn_end - end one.   rkp_conn_deadline - it ends when nothing else happens in that time
 * rkp_conn_read - take what has come (request.c).   rkp_conn_release - its body is not coming in any more
 * rkp_https_now_ms - CLOCK_MONOTONIC [ms] */
void rkp_conn_end(struct rkp_conn *c);
void rkp_conn_deadline(struct rkp_conn *c, int ms);
void rkp_conn_read(struct rkp_conn *c);
void rkp_conn_release(struct rkp_conn *c);
int64_t rkp_https_now_ms(void);

#endif
