/* rights.h - what a login class lets a user do
 *
 * The class is copied at login, as on a router: a commit changes it for the next login.
 */
#ifndef SIM_RIGHTS_H
#define SIM_RIGHTS_H

#include "conf.h"

struct rights;
/* rights_new - those of a class: one of Junos's own ("super-user", "operator", "read-only", "unauthorized"), or of the
 * configuration.   ret: NULL: no memory;   an unknown class may do nothing */
struct rights *rights_new(const xmlNode *conf, const char *class);
void rights_free(struct rights **r);
/* rights_configure - may change something at all;   rights_view - may run operational commands
 * rights_command - may run this one ("show security mka sessions"; RPC names by themselves) */
bool rights_configure(const struct rights *r);
bool rights_view(const struct rights *r);
/* See also rights_edit, rights_see, rights_secret in conf.h. */

#endif
