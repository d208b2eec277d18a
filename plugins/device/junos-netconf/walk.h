/* walk.h - what the readers share: elements in document order, numbers, growing lists
 *
 * Junos prints lists flat (leaves of one record after those of another, without an element around each) or nested, by
 * release and platform.  In document order both read the same.
 */
#ifndef JN_WALK_H
#define JN_WALK_H

#include "read.h"

/* jn_walk - the next element below top in document order; node: the one before, or top to begin
 * jn_walk_past - the same, without what is inside node.   ret: NULL: no more */
const xmlNode *jn_walk(const xmlNode *top, const xmlNode *node);
const xmlNode *jn_walk_past(const xmlNode *top, const xmlNode *node);

/* jn_grow - room for one more element at the end of *list, zeroed
 * in:   *n of them are there, of size bytes each.   out: *list moved, *n one more
 * ret:  the new one; NULL: out of memory, or max of them are there */
void *jn_grow(void *list, size_t *n, size_t size, size_t max);
#define JN_LIST_MAX 65536u /* longest list of a reply that is read */

/* jn_number - a whole text of decimal digits.   ret: dflt when it is none or too large
 * jn_seconds - the attribute junos:seconds of an element */
int64_t jn_number(const char *text, int64_t dflt);
int64_t jn_child_number(const xmlNode *parent, const char *name, int64_t dflt);
bool jn_seconds(const xmlNode *node, int64_t *out);

/* jn_hex_lower - a CKN as it is printed into out, lower case; "" when it is none: other characters, too long, odd */
void jn_hex_lower(const char *text, char out[JN_CKN_HEX + 1]);
/* jn_iface - a name of an interface without ".0" at its end; false: it does not fit */
bool jn_iface(const char *text, char out[RK_IFACE_MAX + 1]);
bool jn_iface_of(const xmlNode *node, char out[RK_IFACE_MAX + 1]);
/* jn_iface_same - the same interface, with and without ".0" */
bool jn_iface_same(const char *a, const char *b);

/* jn_output - the text of <output> (or of the whole reply when there is no such element), malloced
 * ret:  NULL: out of memory, none, or more than 4 MiB */
char *jn_output(const xmlNode *root);

/* Of read_mka.c and read_text.c: participants, as they are found.  The newest is the last one. */
struct jn_mka_list {
    struct jn_mka *all;
    size_t n;
    bool full;                    /* out of memory, or too many */
    char iface[RK_IFACE_MAX + 1]; /* whose leaves are being read; "" none */
    bool open;                    /* all[n - 1] takes leaves */
    unsigned have;                /* which of them it has: HAVE_... of read_mka.c */
};
/* jn_mka_iface - what follows is of this interface.   jn_mka_leaf - one leaf, by the names of the XML */
void jn_mka_iface(struct jn_mka_list *l, const char *iface);
void jn_mka_leaf(struct jn_mka_list *l, const char *name, const char *value);
/* jn_mka_peer - the participant lists a peer */
void jn_mka_peer(struct jn_mka_list *l, bool live);
/* jn_mka_text - read_text.c: the text that a person gets */
void jn_mka_text(struct jn_mka_list *l, char *text);

#endif
