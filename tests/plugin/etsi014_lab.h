/* etsi014_lab.h - rekey-kme as a child of the test: a pair of KMEs for each personality, and some with options */
#ifndef ETSI014_LAB_H
#define ETSI014_LAB_H

#include "etsi014_kme.h"

#define LAB_PAIRS 8

struct lab_pair {
    const char *name;    /* its KMEs are NAME-a, for SAE_A, and NAME-b, for SAE_B and SAE_C */
    const char *options; /* more lines of the configuration of both, as YAML members after ", "; "" none */
    int port[2];
};

struct lab {
    char dir[64];
    pid_t pid;
};

extern struct lab_pair lab_pairs[LAB_PAIRS];

/* lab_can_run - is rekey-kme built, and what makes certificates there?  Else all is skipped, with a reason
 * lab_start - make certificates and start the KMEs.   ret: 0 or -1.   lab_stop - end them, remove the folder */
int lab_can_run(void);
int lab_start(struct lab *lab);
void lab_stop(struct lab *lab);

/* lab_open - an instance of the plugin
 * in:   kme  "NAME-a" or "NAME-b";  sae  whose certificate;  extra  options as name, value, ..., NULL; or NULL
 * out:  *inst.   ret: what init returned; its text is in call->text */
int lab_open(const struct lab *lab, const char *kme, const char *sae, const char *const *extra, struct rk_call *call,
             void **inst);

/* lab_fault - words for a KME from now on; NULL: none */
void lab_fault(const struct lab *lab, const char *kme, const char *words);

#endif
