/* paste.h - links that were found, as YAML to be pasted into the configuration */
#ifndef RK_CLI_PASTE_H
#define RK_CLI_PASTE_H

#include "ask.h"

/* rk_yaml_text - a text as a YAML value: plain when it can only be read as itself, else quoted
 * in:   any bytes that are UTF-8.   src: YAML 1.1 */
void rk_yaml_text(FILE *out, const char *text);

/* rk_yaml_links - rows of discover as "sources:" and "links:", with comments for what is missing
 * in:   found  array of objects, the members of "found" in rekeyd's rows.   src: rekeyctl(8), rekeyd.conf(5) */
void rk_yaml_links(FILE *out, const json_t *found);

#endif
