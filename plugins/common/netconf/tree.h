/* tree.h - the tree of a document, in few pieces of memory
 *
 * libxml2 reads, and nodes are made here: it would allocate each of them, which was a fifth of what a reply cost.  A
 * tree is read with libxml2's functions, and must not be changed with them.
 */
#ifndef NC_TREE_H
#define NC_TREE_H

#include <libxml/parser.h>
#include <stdbool.h>

struct nc_chunk;

struct nc_tree {
    struct nc_chunk *chunk;      /* the one that is filled; behind it those that are full */
    const xmlNode *filled;       /* the text that was written last, and its length */
    size_t filled_len;
    bool dtd;                    /* there was a document type: what was read is not to be used */
    bool failed;                 /* no memory: the same */
};

/* nc_tree_set - let this parser make its nodes in a tree; it stops at a document type
 * in:   c  with its options;   own: t (malloced, zeroed) is the caller's, and needed for as long as the document is
 * thread: the parser's */
void nc_tree_set(xmlParserCtxt *c, struct nc_tree *t);

/* nc_tree_end - wipe and free all nodes and texts, and the tree; nobody may look at them any more; *t becomes NULL */
void nc_tree_end(struct nc_tree **t);

#endif
