/* statement.h - statements of a router's configuration: as an operator types them, and as XML to be loaded
 *
 * Pure; used on worker threads of rekey-host.  Never for keys.
 */
#ifndef JN_STATEMENT_H
#define JN_STATEMENT_H

#include "../netconf/netconf.h"

#include <stdio.h>

#define JN_WORDS_MAX 8
#define JN_LINES_MAX 4000
#define JN_REMARK_MAX 380 /* what one line of a call holds */

/* One statement: the path to it, in words.  Each word is a box ("security"), a list and its key ("interfaces" and
 * "ge-0/0/1"), a leaf and its value, a flag, or the value of a list's entry, which has a name in XML only. */
struct jn_word {
    enum { JN_BOX, JN_LIST, JN_LEAF, JN_FLAG, JN_VALUE } kind;
    char name[40], value[256];
};
struct jn_statement {
    struct jn_word word[JN_WORDS_MAX];
    size_t n;
    bool gone;                   /* it is to be deleted, with all below it */
};

struct jn_need {
    struct jn_statement *list;   /* n, in an order in which each is behind others below the same box */
    size_t n, room;
    char (*remark)[JN_REMARK_MAX]; /* n_remarks: for people */
    size_t n_remarks;
    int err;                     /* of the first that could not be added */
};

/* jn_need_begin - a statement more, of these boxes ("security macsec"); NULL: need->err
 * jn_word_put - a word more;  value  NULL: it has none
 * jn_need_remark - a line for people;  fmt  has one %s, for arg */
struct jn_statement *jn_need_begin(struct jn_need *need, const char *boxes);
void jn_word_put(struct jn_statement *s, int kind, const char *name, const char *value);
void jn_need_remark(struct jn_need *need, const char *fmt, const char *arg);
void jn_need_free(struct jn_need *need);

/* jn_need_line - a statement as an operator types it: "set ...", "delete ...";  out[1024]
 * jn_put_quoted - a blank and a word as it is typed
 * jn_need_load - all of them as <load-configuration>, to be freed; NULL: no memory */
void jn_put_quoted(FILE *out, const char *text);
void jn_need_line(const struct jn_statement *s, char *out, size_t size);
char *jn_need_load(const struct jn_need *need);

/* jn_statement_there - does this <configuration> have it.   thread: any */
bool jn_statement_there(const xmlNode *conf, const struct jn_statement *s);

#endif
