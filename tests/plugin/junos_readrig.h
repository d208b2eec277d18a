/* junos_readrig.h - files of tests/plugin/junos as parsed replies, and a router that answers with texts
 *
 * It stands where session.c is: each rule answers requests whose body has a text in it. */
#ifndef JUNOS_READRIG_H
#define JUNOS_READRIG_H

#include "plugins/common/junos/read.h"

#include "fakehost.h"

/* rig_file, rig_text - a reply, to be freed with xmlFreeDoc;  fails the test when it cannot be read */
xmlDoc *rig_file(const char *name);
xmlDoc *rig_text(const char *text);
/* rig_output - the text of a file in <output> */
xmlDoc *rig_output(const char *name);

struct rig_rule {
    const char *part;   /* of the request's body */
    const char *reply;  /* XML; NULL: syntax error */
    int err;            /* RK_OK, or what the request ends with */
    unsigned asked;
};
/* rig_rules - answer with these from now on, the first that fits */
void rig_rules(struct rig_rule *rules, size_t n);
extern bool rig_secret;    /* the last request asked for a reply that is wiped */
extern unsigned rig_ahead; /* requests that went out together with another one */

#endif
