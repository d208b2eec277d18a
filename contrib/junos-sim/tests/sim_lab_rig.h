/* sim_lab_rig.h - a lab without network, and the world's clock in the hand of the test
 *
 * Four routers of four personalities, two cables; made anew for each case.  For the tests of what commands print.
 */
#ifndef SIM_LAB_RIG_H
#define SIM_LAB_RIG_H

#include <contrib/junos-sim/world.h>

#include <libxml/tree.h>

#define CKN(digit) digit digit digit digit digit digit digit digit
#define ONE CKN("a1a1a1a1")
#define TWO CKN("b2b2b2b2")
#define THREE CKN("c3c3c3c3")
#define CA "set security macsec connectivity-association CA1 "

extern char dir[];        /* of the files that the lab is made of */
extern struct sim_lab lab;
extern int64_t now;       /* of the world [ms since 1970] */

/* lab_make, lab_remove - set-up and teardown of a group of tests: the files
 * lab_start, lab_end - of each: the lab, six seconds old */
int lab_make(void **state);
int lab_remove(void **state);
int lab_start(void **state);
int lab_end(void **state);

/* lab_put - write a file into dir.   pass - let this time go by in the world [ms] */
void lab_put(const char *name, const char *text);
void pass(int64_t ms);

/* asked - the reply of a router to a request, as text: free();  NULL: it does not know the request
 * answer - the same as a tree: xmlFreeDoc()
 * count - how many times an element is in it.   out: text[size]: of the last one, "" when there is none */
char *asked(const char *box, const char *request);
xmlDoc *answer(const char *box, const char *request);
size_t count(const char *box, const char *request, const char *name, char *text, size_t size);

#endif
