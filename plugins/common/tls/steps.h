/* steps.h - the steps of a test (rk_host.step) that every plugin with TLS states alike */
#ifndef RKP_STEPS_H
#define RKP_STEPS_H

#include "certs.h"
#include "probe.h"

struct rkp_way { /* one way that is tested */
    const struct rk_host *host;
    struct rk_call *call;
    struct rkp_certs *certs;
    const struct rkp_probe *probe; /* what was heard on it */
    const char *near;  /* the host that is connected to */
    const char *of;    /* whose it is, for addresses: "the KME", "the proxy" */
    const char *whose; /* who the other end is: "the KME" */
    int connect_ms;
};

/* rkp_step_files - files that were changed and cannot be used, if there are such
 * rkp_step_certificate, rkp_step_ca - ours, as they are in creds
 * rkp_step_chain - what of the other end's chain was not accepted, and why;  step  its name
 * rkp_step_dns - which addresses it is;  err, text  what the look-up said;  option  that holds the name
 * rkp_step_tcp - whether the addresses of the probe can be connected to
 * ret:    RK_OK, or the code of the step that failed.   blocks: rkp_step_tcp, within the budget */
void rkp_step_files(const struct rkp_way *w);
int rkp_step_certificate(const struct rkp_way *w, const struct rkp_creds *creds);
int rkp_step_ca(const struct rkp_way *w, const struct rkp_creds *creds);
int rkp_step_chain(const struct rkp_way *w, const char *step);
int rkp_step_dns(const struct rkp_way *w, int err, const char *text, const char *option);
int rkp_step_tcp(const struct rkp_way *w);

/* rkp_state_of - RK_OK, RK_STEP_WARNING: it ends soon; RK_E_AUTH: it is not valid now
 * rkp_rest - ", 3 days from now".   ret: text */
int rkp_state_of(const struct rkp_probe_cert *c);
const char *rkp_rest(const struct rkp_probe_cert *c, char text[40]);

#endif
