/* offbox.h - what a router's configuration has of the script offbox.py, and what is made of it
 *
 * The model is a JSON object, as it is bounded by the file, and goes out with --json:
 *   host, domain       of the router
 *   statements         how many were read;  known: one of them is of Junos
 *   interfaces         {NAME: {line, ca, off, macro: {NAME: VALUE}, macro_off, set: [statement], peer, peer_interface,
 *                      name, source}}  of security macsec; the last four by LLDP, from a device
 *   cas                {NAME: {chain, excludes_lldp, should_secure, ckn, fallback}}
 *   lldp               {INTERFACE: true}
 *   mapping            {HOST: true}  static-host-mapping
 *   generate           {EVENT: {interval, set: [...]}}
 *   policies           {NAME: {events: [...], scripts: {NAME: true}, more: bool, set: [...]}}
 *   files              {NAME: {user, set: [...]}}  of event-script
 *   member             of the JSON in a description that has the key ID; not there: none was seen
 *   groups             true: something of this is in a group, which is not read
 * Used in rekeyctl.
 */
#ifndef RK_CLI_OFFBOX_H
#define RK_CLI_OFFBOX_H

#include "junos_text.h"

#include <jansson.h>
#include <stdio.h>

/* rk_offbox_new - an empty model, owned by the caller; NULL: no memory
 * rk_offbox_take - a statement into it; as rk_junos_fn: arg is the model.   src: Junos' statements */
json_t *rk_offbox_new(void);
bool rk_offbox_take(void *arg, const struct rk_junos_line *l);

/* rk_offbox_check - is there anything to import
 * ret:  false: what is missing is in why.   src: rekeyctl(8) */
bool rk_offbox_check(const json_t *model, struct rk_junos_why *why);

/* rk_offbox_script - the name of the old script's file, that an event policy runs: the given one, or one that has
 * offbox or qkd in its name
 * ret:  borrowing the model; NULL: there is none.   src: rekeyctl(8) */
const char *rk_offbox_script(const json_t *model, const char *given);

/* rk_offbox_changes - what to do on the router, and how to take it back, in order
 * ret:  array of {when, why, do: [line], undo: [line]}, owned by the caller.   src: doc/migrating-from-offbox.md */
json_t *rk_offbox_changes(const json_t *model, const char *script);
/* rk_offbox_stays - what stays on the router, and what to look at.   ret: array of texts, owned by the caller */
json_t *rk_offbox_stays(const json_t *model, const char *script);

/* rk_offbox_yaml - rekeyd's configuration
 * in:   device  of rekeyd's configuration, NULL: none has it yet, so that the whole file is written;  peer  SAE of the
 *       other ends where nothing says it, NULL: a word to be replaced
 * out:  YAML that rekeyctl check accepts.   src: rekeyd.conf(5) */
struct rk_offbox_want {
    const char *from, *device, *peer, *script;
};
void rk_offbox_yaml(FILE *out, const json_t *model, const struct rk_offbox_want *want);

#endif
