/* tree.h - a YAML file as a tree that knows the place of everything
 *
 * YAML 1.1 by libyaml; one document; mappings, lists and plain or quoted scalars; no anchors, aliases, tags or merge
 * keys (an error that says so).  Duplicate keys are errors.  Used by rekeyd and by rekey-kme's sibling code only through here.
 */
#ifndef RK_TREE_H
#define RK_TREE_H

#include <stdbool.h>
#include <stddef.h>

enum rk_node_type { RK_NODE_SCALAR, RK_NODE_LIST, RK_NODE_MAP };

struct rk_node {
    enum rk_node_type type;
    int line, col;                 /* of the value, from 1 */
    const char *key;               /* name in the map that holds it; NULL in a list and at the root */
    int key_line, key_col;
    const char *text;              /* SCALAR */
    struct rk_node *first, *next;  /* children in the order of the file; next sibling */
};

/* All errors of a file, in the order of their places: "FILE:LINE:COL: message", the message with a remedy where there is one. */
struct rk_conf_errors {
    char file[256];                /* name shown in front */
    struct { int line, col; char text[300]; } *list; /* n of them */
    size_t n;
    bool more;                     /* RK_CONF_ERRORS_MAX was reached */
};

void rk_conf_error(struct rk_conf_errors *e, int line, int col, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* rk_conf_error_text - error i as one line into out[size]; errors are sorted by place */
void rk_conf_error_text(const struct rk_conf_errors *e, size_t i, char *out, size_t size);
void rk_conf_errors_free(struct rk_conf_errors *e);

/* rk_tree_read - parse text[len] (file: only its name in errors)
 * out: *root, owned by the caller (rk_tree_free); NULL on error.  ret: RK_OK, RK_E_CONFIG (errors added), RK_E_NOMEM */
int rk_tree_read(const char *text, size_t len, struct rk_node **root, struct rk_conf_errors *e);
void rk_tree_free(struct rk_node *root);
const struct rk_node *rk_tree_get(const struct rk_node *map, const char *key);

#endif
