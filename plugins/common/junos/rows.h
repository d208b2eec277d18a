/* rows.h - what the readers share: a list that grows up to a bound, and values of leaves */
#ifndef JN_ROWS_H
#define JN_ROWS_H

#include "read.h"

#define JN_ROWS_MAX 32768 /* rows of one reply: 1,000 links have some 4,000 */

struct jn_rows {
    void *v;
    size_t n, cap, size; /* size: of one row [bytes] */
    int err;             /* RK_OK, or why the last jn_rows_add failed: RK_E_NOMEM, RK_E_PROTOCOL (too many) */
};
/* jn_rows_add - a zeroed row; NULL: see err.  Pointers to rows are void after it */
void *jn_rows_add(struct jn_rows *r);
/* jn_rows_end - all rows, in as much memory as they need: for those that are kept.   own: the caller's, free */
void *jn_rows_end(struct jn_rows *r);

/* jn_conf_sort - make names of a configuration that is read ready to be looked up.   ret: RK_OK, RK_E_NOMEM */
int jn_conf_sort(struct jn_conf *c);

/* The interfaces that a view is about. */
struct jn_only {
    char (*name)[RK_IFACE_MAX + 1]; /* in order, without ".0" */
    size_t n;
    bool all;                       /* every one */
};
/* jn_only_make - from names as they are asked for.   ret: RK_OK, RK_E_NOMEM.   jn_only_free - free it
 * jn_only_keep - leave those of these in rows[n], whose first member is the name of an interface.   ret: how many */
int jn_only_make(struct jn_only *only, const char *const *ifaces, size_t n);
void jn_only_free(struct jn_only *only);
size_t jn_only_keep(const struct jn_only *only, void *rows, size_t n, size_t size);

/* Brief looks at MKA (brief.c); all times are monotonic [ms].
 * jn_brief_may - may a look at these interfaces be brief, as the last whole one is recent and found all well?
 * jn_brief_fill - put into the rows of a summary, of these interfaces only, what no summary shows
 * ret:  false: other participants are live than then: a whole look is needed
 * jn_brief_keep - rows[n] are what a whole look shows of all interfaces.   in_vain: NULL, or the interfaces for which a
 * brief one was not enough just before
 * jn_brief_looked - rows[n] were just seen of these interfaces, by either
 * jn_brief_again - what the last look told, when that was of the same interfaces and so short ago that its reply could
 * be on its way still;  rows: malloced.   ret: false: look at them
 * jn_brief_forget - nothing is known */
bool jn_brief_may(const struct jn_device *d, const struct jn_only *only, int64_t now_ms);
bool jn_brief_fill(const struct jn_device *d, const struct jn_only *only, struct jn_mka *rows, size_t n);
void jn_brief_keep(struct jn_device *d, const struct jn_only *in_vain, const struct jn_mka *rows, size_t n,
                   int64_t now_ms);
void jn_brief_looked(struct jn_device *d, const struct jn_only *only, const struct jn_mka *rows, size_t n,
                     int64_t now_ms);
bool jn_brief_is_recent(const struct jn_device *d, const struct jn_only *only, int64_t now_ms);
bool jn_brief_again(const struct jn_device *d, const struct jn_only *only, int64_t now_ms, struct jn_mka **rows,
                    size_t *n);
void jn_brief_forget(struct jn_device *d);

/* jn_top - the first element of this name in a reply, the reply's root itself included; go on with nc_next unless it is
 * the root.   jn_top_next - that */
const xmlNode *jn_top(const xmlNode *root, const char *name);
const xmlNode *jn_top_next(const xmlNode *root, const xmlNode *node);
/* jn_other - has the reply an element that is neither noise (banners, ok) nor empty? */
bool jn_other(const xmlNode *root);
/* jn_attr - an attribute by local name, NULL: none */
const char *jn_attr(const xmlNode *node, const char *name);
/* jn_elements - has it child elements? */
bool jn_elements(const xmlNode *node);
/* jn_iface_name - name of an interface without trailing ".0", into out[RK_IFACE_MAX + 1]; false: none */
bool jn_iface_name(const char *text, char *out);
bool jn_iface_of(const xmlNode *parent, const char *leaf, char *out);
/* jn_u64 - a decimal number, blanks around it aside; false: none */
bool jn_u64(const char *text, uint64_t *n);
bool jn_child_u64(const xmlNode *parent, const char *name, uint64_t *n);
/* jn_output - text of CLI commands in a reply, malloced, NULL: none or no memory (*err) */
char *jn_output(const xmlNode *root, int *err);

#endif
