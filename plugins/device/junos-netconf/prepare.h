/* prepare.h - what a router needs once before keys can be installed: statements, without I/O */
#ifndef JN_PREPARE_H
#define JN_PREPARE_H

#include "../../common/junos/read.h"

#define JN_WORDS_MAX 8
#define JN_LINES_MAX 4000

/* One statement: the path to it, in words.  Each word is a box ("security"), a list and its key ("interfaces" and
 * "ge-0/0/1"), a leaf and its value, or a flag. */
struct jn_word {
    enum { JN_BOX, JN_LIST, JN_LEAF, JN_FLAG } kind;
    char name[40], value[RK_IFACE_MAX * 2 + 1];
};
struct jn_statement {
    struct jn_word word[JN_WORDS_MAX];
    size_t n;
};

/* What the router has of all that is not in struct jn_conf. */
struct jn_system {
    bool has_class, netconf_ssh, lldp_all, lldp_names, ntp;
    char user_class[64];         /* of the user that is logged in as; "" not told */
    char (*lldp)[RK_IFACE_MAX + 1]; /* n_lldp interfaces with protocols lldp */
    size_t n_lldp;
    long lldp_interval_s, lldp_delay_s; /* advertisement-interval, transmit-delay; -1 not set */
};

struct jn_need {
    struct jn_statement *list;   /* n, in an order in which each is behind others below the same box */
    size_t n, room;
    char (*remark)[200];         /* n_remarks: for people */
    size_t n_remarks;
    int err;
};

/* jn_system_read - <system> and <protocols> of a get-configuration reply;  user  as whom we are logged in
 * out:  *out (jn_system_free).   ret: RK_OK, RK_E_NOMEM, RK_E_PROTOCOL */
int jn_system_read(const xmlNode *root, const char *user, struct jn_system *out);
void jn_system_free(struct jn_system *s);

/* jn_need_make - what is lacking for the interfaces of want (none: those with apply-macro qkd), and for records when it
 *                carries them
 * in:   view  configuration and clock.   out: *out (jn_need_free).   ret: RK_OK, RK_E_NOMEM; RK_E_CONFIG: too much
 * never: a key, a removal, another binding or mode than what is there */
int jn_need_make(const struct jn_device *d, const struct jn_view *view, const struct jn_system *system,
                 const struct rk_prepare *want, struct jn_need *out);
void jn_need_free(struct jn_need *need);

/* jn_need_line - a statement as an operator types it: "set ...";  out[1024]
 * jn_need_load - all of them as <load-configuration>, to be freed; NULL: no memory */
void jn_need_line(const struct jn_statement *s, char *out, size_t size);
char *jn_need_load(const struct jn_need *need);

#endif
