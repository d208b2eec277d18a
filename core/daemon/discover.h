/* discover.h - links: { discover: DEVICE }: what the devices find, kept up to date */
#ifndef RK_DISCOVER_H
#define RK_DISCOVER_H

#include "errand.h"

#include <jansson.h>

/* discover_follow - d->conf says which devices are looked at: begin with new ones, end others
 * discover_again - look at all of them now;  what is gone then goes at once, for an operator has asked
 * discover_free - at the end of the process
 * discover_rows - for people: each device that is looked at; JSON, owned by the caller */
void discover_follow(struct daemon *d);
void discover_again(struct daemon *d);
void discover_free(struct daemon *d);
json_t *discover_rows(const struct daemon *d, int64_t now_ns);

/* discover_link - what a device said of a link, for the configuration: its name, its source, or why it has none */
void discover_link(const struct rk_conf_set *set, const char *device, const struct rk_found_msg *m,
                   struct rk_found_link *out);

#endif
