/* conf_reader.h - between the parts of the configuration reader */
#ifndef KME_CONF_READER_H
#define KME_CONF_READER_H

#include "conf.h"

#include <rekey/device.h>
#include <rekey/plugin.h>

#include <yaml.h>

struct kme_reader {
    const struct kme_usual *usual;
    const char *path;
    int dir_len;           /* of path up to its last '/', that one included */
    yaml_document_t doc;
    char *why;
};

/* kme_fail - as kme_conf_fail, with the path of the reader.   ret: RK_E_CONFIG */
int kme_fail(struct kme_reader *r, unsigned long line, const char *fmt, ...) RK_PRINTF(3, 4);

/* kme_line_of - where a node begins
 * kme_scalar - the text of a scalar without NUL in it; NULL when it is something else
 * kme_child - a node by its index.   kme_count_of - items of a list; 0 when it is none
 * own:  the document's */
unsigned long kme_line_of(const yaml_node_t *node);
const char *kme_scalar(const yaml_node_t *node);
const yaml_node_t *kme_child(struct kme_reader *r, int index);
size_t kme_count_of(const yaml_node_t *node);

/* kme_set_* - one value of the file to its place; what the file's author calls it is in the error text
 * out:  *value, of the type that conf.c's table gives it.   ret: RK_OK; RK_E_CONFIG with r->why; RK_E_NOMEM */
int kme_set_kme_id(struct kme_reader *r, const yaml_node_t *node, void *value);
int kme_set_path(struct kme_reader *r, const yaml_node_t *node, void *value);
int kme_set_listen(struct kme_reader *r, const yaml_node_t *node, void *value);
int kme_set_fault(struct kme_reader *r, const yaml_node_t *node, void *value);
int kme_set_personality(struct kme_reader *r, const yaml_node_t *node, void *value);
int kme_set_sae_ids(struct kme_reader *r, const yaml_node_t *node, void *value);
int kme_set_optional(struct kme_reader *r, const yaml_node_t *node, void *value);
int kme_set_status(struct kme_reader *r, const yaml_node_t *node, void *value);
int kme_set_key_id(struct kme_reader *r, const yaml_node_t *node, void *value);
int kme_set_saes(struct kme_reader *r, const yaml_node_t *node, void *value);
int kme_set_extensions(struct kme_reader *r, const yaml_node_t *node, void *value);
int kme_set_per(struct kme_reader *r, const yaml_node_t *node, void *value);

/* kme_conf_fail - write "path:line: text" to why[KME_CONF_TEXT_MAX].   ret: RK_E_CONFIG */
int kme_conf_fail(char *why, const char *path, unsigned long line, const char *text);

/* kme_conf_pairs - check what the KMEs of a file say about each other, and give each pair its secret
 * ret:  RK_OK; RK_E_CONFIG or RK_E_FATAL with why */
int kme_conf_pairs(struct kme_conf_set *set, const char *path, char *why);

#endif
