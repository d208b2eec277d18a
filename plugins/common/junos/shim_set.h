/* shim_set.h - what a router needs so that rekey-shim.py runs on it, and what is taken away again
 *
 * Pure but for reading the script's file; used on worker threads of rekey-host.  No private key is in it.
 */
#ifndef JN_SHIM_SET_H
#define JN_SHIM_SET_H

#include "junos.h"
#include "statement.h"

#define JN_SHIM_SCRIPT_MAX (1u << 20) /* [bytes]; it is a tenth of that */

/* Files on the router, and here. */
enum { JN_SHIM_SCRIPT = 0, JN_SHIM_CERT, JN_SHIM_KEY, JN_SHIM_CA, JN_SHIM_FILES };

struct jn_shim {
    bool install;               /* else: take it away */
    bool both;                  /* it has two routing engines */
    char url[256];              /* of rekeyd's listener */
    char host[254], address[64]; /* host of the URL; its address for static-host-mapping, "" none */
    char name[254];             /* in rekeyd's certificate, "" that of the URL */
    char user[65];              /* that the script runs as */
    char router[254];           /* that the router's certificate must name, "" not known */
    char here[JN_SHIM_FILES][256]; /* "" not given */
    char there[JN_SHIM_FILES][160];
    unsigned tick_s, linger_s;  /* linger 0: as the script does by itself */
    char sha256[65];            /* of the script */
};

/* jn_shim_read - words of a prepare: "shim-install" or "shim-remove", then name=value
 * in:   user  that the script runs as when no word says it
 * out:  *out.   ret: RK_OK, or a code stated by fail: RK_E_CONFIG (a word), RK_E_NOENT, RK_E_UNSAFE (the script) */
int jn_shim_read(const struct rk_host *host, struct rk_call *call, const char *const *words, const char *user,
                 struct jn_shim *out);

/* jn_shim_need - the statements that lack, or are to go
 * in:   conf  <configuration> with event-options and system, NULL: not known, so all of them
 * out:  *out (jn_need_free).   ret: RK_OK, RK_E_NOMEM */
int jn_shim_need(const struct jn_shim *s, const xmlNode *conf, struct jn_need *out);

/* jn_shim_remarks - what else is to be done, by whom;  at  the router, as scp calls it
 * in:   todo  files that are to be copied, or deleted */
void jn_shim_remarks(const struct jn_shim *s, const char *at, const bool todo[JN_SHIM_FILES], struct jn_need *need);
/* jn_need_tell - statements, then remarks */
void jn_need_tell(const struct jn_need *need, rk_line_fn *line, void *arg);

/* jn_shim_print - prepare of a device that is not reached from here: all of it is printed
 * in:   own  what the device's options say: with the word "shim-settings" they are told as name=value
 * ret:  RK_OK, or a code stated by fail; RK_E_UNSUPPORTED: other words, or apply.   blocks: reads the script */
struct jn_shim_own {
    const char *router;
    unsigned tick_s;
};
int jn_shim_print(const struct rk_host *host, struct rk_call *call, const struct jn_shim_own *own,
                  const struct rk_prepare *want, rk_line_fn *line, void *arg);

/* jn_prepare_words - the words of a prepare; NULL: it is for links, or of an older core */
const char *const *jn_prepare_words(const struct rk_prepare *want);

/* jn_conf_tell - word "offbox": the router's statements, without keys and passwords (tell_conf.c)
 * ret:  RK_OK, or a code stated by fail.   blocks: within the budget
 * jn_conf_lines - the same of a <configuration> */
int jn_conf_tell(struct jn_device *d, struct rk_call *call, rk_line_fn *line, void *arg);
void jn_conf_lines(const xmlNode *conf, rk_line_fn *line, void *arg);

#endif
