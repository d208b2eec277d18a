/* etsi014_kme.h - the scripted KME (etsi014_server.py) as a child of the test */
#ifndef ETSI014_KME_H
#define ETSI014_KME_H

#include "fakehost.h"

#include <stdio.h>
#include <sys/types.h>

#define KME_PORTS 32

struct kme {
    char dir[64];        /* certificates; removed by kme_stop */
    pid_t pid;
    FILE *to, *from;
    char log[16384];     /* of the last kme_log: one line for each request */
    size_t n_requests;   /* lines in it */
    struct {
        char name[32];
        int port;
    } ports[KME_PORTS];
    size_t n_ports;
};

/* kme_certs - make certificates only.   ret: 0 or -1 */
int kme_certs(struct kme *k);
/* kme_start - make certificates, start the server.   ret: 0, or -1 when there is no python3 or it does not start */
int kme_start(struct kme *k);
void kme_stop(struct kme *k);

/* kme_port - where the listener called name is; 0: none */
int kme_port(const struct kme *k, const char *name);

/* kme_play - how requests are answered from now on;  kme_log - fetch requests since the last log;
 * kme_wait - until one has come;  kme_end_kept - end the connection of the last request, which the part
 * close-idle or fin-idle keeps until now, and wait until our side has it */
void kme_play(struct kme *k, const char *part);
void kme_log(struct kme *k);
void kme_wait(struct kme *k);
void kme_end_kept(struct kme *k);

/* kme_peer - CN of the client certificate of the last request; valid until the next command
 * kme_cert - the certificate of a listener from its next connection on
 * kme_down - end a listener and its connections;  kme_up - let it listen again, at the same port */
const char *kme_peer(struct kme *k);
void kme_cert(struct kme *k, const char *listener, const char *cert);
void kme_down(struct kme *k, const char *listener);
void kme_up(struct kme *k, const char *listener);

extern const struct rk_plugin etsi014_LTX_rk_plugin;

/* etsi_open - init an instance as SAE_A with the certificates of k, at listener
 * in:   listener  NULL: no option url, so that extra has it.   extra  more options as name, value, ..., NULL; each
 *       goes before the usual one; may be NULL
 * out:  *inst.   ret: what init returned; its text is in call->text */
int etsi_open(const struct kme *k, const char *listener, const char *const *extra, struct rk_call *call, void **inst);

#endif
