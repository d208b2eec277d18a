/* conf_priv.h - what the parts of the configuration reader share
 *
 * Only for core/conf/conf*.c.
 */
#ifndef RK_CONF_PRIV_H
#define RK_CONF_PRIV_H

#include "conf.h"

#include "../base/text.h"
#include "opt.h"

#include <rekey/err.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Options of one instance [bytes, with 32 for the heads of each]: a CONFIG frame carries them all, beside the
 * instance's name, SAE ID and state directory. */
#define RK_SETTINGS_BYTES_MAX (RK_FRAME_MAX - 4096)

struct rk_named {
    const char *name;
    size_t index;
};

/* One reading of a file. */
struct rk_conf_read {
    struct rk_conf_set *set;
    struct rk_conf_errors *e;
    struct rk_named *by_name; /* n_by_name instances, sorted */
    size_t n_by_name;
    struct rk_found_list *found; /* NULL: none */
    bool failed, nomem;
};

/* conf_value.c: rk_conf_wrong adds an error, rk_conf_warn a warning of the set; the others add an error when the node
 * is not what is wanted */
void rk_conf_wrong(struct rk_conf_read *r, int line, int col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void rk_conf_warn(struct rk_conf_read *r, const struct rk_node *node, const char *text);
bool rk_conf_is_text(struct rk_conf_read *r, struct rk_node *node);
bool rk_conf_is(struct rk_conf_read *r, struct rk_node *node, enum rk_node_type type);
/* rk_conf_value - node's text against option o, as rk_opt_value */
bool rk_conf_value(struct rk_conf_read *r, const struct rk_opt *o, struct rk_node *node, int64_t *v);
/* rk_conf_keys - found[i]: the child of map that is called opts[i].name, or NULL; other children are errors */
void rk_conf_keys(struct rk_conf_read *r, const struct rk_node *map, const struct rk_opt *opts, struct rk_node **found);
/* rk_conf_sae - an SAE ID; out[RK_SAE_MAX + 1] */
bool rk_conf_sae(struct rk_conf_read *r, struct rk_node *node, char *out);
size_t rk_conf_count(const struct rk_node *parent);

/* conf_inst.c: the sections, by kind; NULL where the file has none */
void rk_conf_instances(struct rk_conf_read *r, struct rk_node *const sections[RK_CHANNEL + 1]);
/* rk_conf_find - index of the instance that node names; SIZE_MAX and an error when it is none of that kind */
size_t rk_conf_find(struct rk_conf_read *r, uint32_t kind, struct rk_node *node);
const char *rk_conf_kind_name(uint32_t kind);
const char *rk_conf_section_name(uint32_t kind);

/* conf_sources.c */
/* rk_conf_sources - the sources that the list names: several, each once
 * out:  *first, and in more[] the others, in their order; SIZE_MAX, UINT32_MAX where there is no such source
 * ret:  how many; 0 and an error when it is no such list */
unsigned rk_conf_sources(struct rk_conf_read *r, struct rk_node *list, size_t *first, uint32_t *more);

/* conf_texts.c: rk_conf_keep - a copy of text that is there as long as the set; "" and r->nomem without memory
 * rk_conf_texts_free - all of them; NULL is fine */
const char *rk_conf_keep(struct rk_conf_read *r, const char *text);
void rk_conf_texts_free(struct rk_conf_texts *texts);

/* conf_link.c */
void rk_conf_links(struct rk_conf_read *r, struct rk_node *list, struct rk_node *defaults);

#endif
