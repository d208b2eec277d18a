/* inject.h - lets one allocation or system call of this process fail, whoever makes it: its own code or a library
 *
 * For test programs of their own: malloc and the calls named in inject.c are replaced for the whole process.  Works
 * with glibc and without a sanitizer; else inject_can_run() says so.  One thread arms; others are counted with it.
 */
#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>

enum inject_kind { INJECT_MEMORY, INJECT_CALL, INJECT_INTERRUPT, INJECT_KINDS };

/* inject_can_run - does the replacement work here
 * inject_arm - from now on count calls of this kind; the at-th fails: an allocation gives NULL; a system call the error
 *              that its caller must reckon with, or it is interrupted by a signal.   in: at  from 1; 0: count only
 * inject_disarm - stop.   ret: how many calls of the kind there were
 * inject_struck - the call that failed, for people; "": none did
 * inject_live - blocks of memory that are allocated in this process now */
bool inject_can_run(void);
void inject_arm(enum inject_kind kind, long at);
long inject_disarm(void);
const char *inject_struck(void);
long inject_live(void);

#endif
