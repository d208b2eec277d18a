/* blame.h - whose call it was that ended a host, and what comes of it; private to core/daemon
 *
 * A device or source whose calls end the process of its plugin again and again would take all others of that plugin
 * with it.  It is left alone for a while, and a plugin that dies whatever it is asked is not started any more.
 */
#ifndef RK_BLAME_H
#define RK_BLAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct daemon;
struct host;
struct inst;

struct blame { /* of an instance */
    unsigned deaths;  /* of its host in a call of it, since it was found to be good */
    unsigned good;    /* such calls that came back since the last death */
    uint32_t verb;    /* of that call */
    unsigned times;   /* that it was in quarantine since then */
    int64_t until_ns; /* in quarantine until then; 0: it is not */
};

/* blame_calls - the host has died, or is to be killed: its calls are those under way, culprit the instance whose call
 *               did not return, NULL when that is not known
 * blame_module - the same, of the plugin as a whole: is it to be stopped.   why  how it died this time
 * thread: loop.   blocks: never */
void blame_calls(struct host *h, const struct inst *culprit);
bool blame_module(struct host *h, const char *why);

/* blame_answered - a call of this instance has come back
 * blame_waits - may it not be called now: it may be to blame, and so may another one that is called just now
 * blame_quarantined - is it left alone now */
void blame_answered(struct inst *inst, uint32_t verb);
bool blame_waits(const struct inst *inst);
bool blame_quarantined(const struct inst *inst);

/* blame_enable - start a plugin that was stopped, or end the quarantine of an instance
 * out:  text[size]  what was done, or why nothing was.   ret: RK_OK or RK_E_NOENT */
int blame_enable(struct daemon *d, const char *name, char *text, size_t size);

#endif
