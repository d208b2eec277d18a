/* write.h - a plan as the content of a load-configuration: pieces of XML, and keys that are in no text */
#ifndef JN_WRITE_H
#define JN_WRITE_H

#include "plan.h"

#include <stdio.h>

struct jn_load {
    char *text;          /* all pieces, each NUL-ended */
    struct nc_part *part;
    size_t n;
};

/* jn_write - the units of the plan that differ and were not refused (unit.err), as <load-configuration>: merge, with
 * delete only for what is ours
 * out:  *out, owned by the caller (jn_load_free); its secrets are borrowed from the plan.  out->n 0: nothing differs
 * ret:  RK_OK, RK_E_NOMEM; a unit that breaks a rule that the router may not see is refused in place (its err) */
int jn_write(const struct rk_host *host, struct jn_plan *plan, struct jn_load **out);
void jn_load_free(struct jn_load **load);

/* jn_xml_put - text with what XML needs escaped;  control characters are left out */
void jn_xml_put(FILE *out, const char *text);

#endif
