/* tree.h - a YAML file as a tree that knows the place of everything
 *
 * YAML 1.1 by libyaml; one document; mappings, lists and plain or quoted scalars; no anchors, aliases, tags or merge
 * keys (an error that says so).  Duplicate keys are errors.  Nothing else includes yaml.h.
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
    bool plain;                    /* SCALAR without quotes */
    bool bad;                      /* an error about it was added: say no more */
    struct rk_node *first, *next;  /* children in the order of the file; next sibling */
};

/* All errors of a file, in the order of their places: "FILE:LINE:COL: message", the message with a remedy where there
 * is one.  Zeroed before the first use; line 0: the file as a whole.  The same error at the same place is kept once. */
struct rk_conf_errors {
    char file[256];                /* name shown in front */
    struct { int line, col; char text[300]; } *list; /* n of them */
    size_t n;
    bool more;                     /* RK_CONF_ERRORS_MAX was reached: the first ones are kept */
};

/* rk_conf_error - add an error at its place.   What comes from the file goes through rk_opt_shown first */
void rk_conf_error(struct rk_conf_errors *e, int line, int col, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* rk_conf_error_text - error i as one line into out[size]; errors are sorted by place */
void rk_conf_error_text(const struct rk_conf_errors *e, size_t i, char *out, size_t size);
/* rk_conf_errors_free - forget all errors; e can be used again */
void rk_conf_errors_free(struct rk_conf_errors *e);

/* rk_tree_read - parse text[len] (which need not end with NUL)
 * out:  *root, owned by the caller (rk_tree_free); with RK_E_CONFIG it is NULL, or what was understood, so that more
 *       errors can be found in it.   e  errors added
 * ret:  RK_OK; RK_E_CONFIG; RK_E_NOMEM
 * thread: any.  blocks: never.  cost: O(len) */
int rk_tree_read(const char *text, size_t len, struct rk_node **root, struct rk_conf_errors *e);
/* rk_tree_free - free a whole tree by its root; root may be NULL */
void rk_tree_free(struct rk_node *root);
/* rk_tree_get - the child of a map with this key; NULL: none, or not a map.   cost: O(children) */
struct rk_node *rk_tree_get(const struct rk_node *map, const char *key);

#endif
