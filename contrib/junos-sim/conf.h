/* conf.h - configuration trees: schema, reading, loading, printing, comparing, checking
 *
 * A tree is <configuration> with local names and no namespace.  What is inactive has the attribute inactive.  List
 * entries have their key in <name>, first.  Secrets are in $9$ form.  Pure: no locks, no network.
 */
#ifndef SIM_CONF_H
#define SIM_CONF_H

#include "sim.h"

/* ---- schema (schema.c) ---- */

enum stmt_kind { ST_BOX = 0, ST_LIST, ST_LEAF, ST_FLAG, ST_LEAFLIST };
enum stmt_type { TY_TEXT = 0, TY_INT, TY_WORD, TY_CKN, TY_CAK, TY_SECRET, TY_TIME };

#define STMT_PRESENCE 0x1u /* a box that means something when it is empty */
#define STMT_GROUP 0x2u    /* a list shown as one block "interfaces { a { } b { } }" */
#define STMT_ELIDE 0x4u    /* a list whose entries are shown without its name */
#define STMT_INLINE 0x8u   /* an entry is "name value;": data of apply-macro */
#define STMT_NO_EVO 0x10u  /* not on Junos Evolved */
#define STMT_NO_CIPHER 0x20u /* not where personality.no_cipher */

struct stmt {
    char name[48];
    enum stmt_kind kind;
    enum stmt_type type;     /* of a leaf, leaf-list, or list's key */
    unsigned flags;
    int64_t lo, hi;          /* TY_INT: value; TY_TEXT: length */
    const char *words;       /* TY_WORD: "a|b|" */
    unsigned rank;           /* place among its siblings */
    struct stmt *kids, *next;
};
/* schema_start - make the schema; schema_stop frees it.   ret: false: no memory
 * schema_root - the statement <configuration> */
bool schema_start(void);
void schema_stop(void);
const struct stmt *schema_root(void);
/* schema_kid - the statement below of that name on this personality; NULL: there is none */
const struct stmt *schema_kid(const struct stmt *of, const char *name, const struct sim_personality *as);
/* schema_check - is it a value of this statement?   ret: NULL, or why not (never holds a secret value): in why */
const char *schema_check(const struct stmt *s, const char *value, char why[SIM_WHY_MAX]);
bool schema_secret(const struct stmt *s);

/* ---- reading (conf.c); see also sim.h ---- */

bool conf_named(const xmlNode *n, const char *name);
bool conf_inactive(const xmlNode *n);
bool conf_is(const xmlNode *n, const char *value);                    /* its trimmed text */
bool conf_value(const xmlNode *n, char *out, size_t size);            /* its trimmed text; false: longer */
xmlNode *conf_child(const xmlNode *of, const char *name);             /* also an inactive one */
xmlNode *conf_entry(const xmlNode *of, const char *name, const char *key);

/* ---- errors of a load or a commit ---- */

#define CONF_ERRORS_MAX 16
struct conf_error {
    bool warning;
    char path[160], element[96], message[SIM_WHY_MAX];
};
struct conf_errors {
    struct conf_error e[CONF_ERRORS_MAX];
    unsigned n, errors, warnings;  /* kept; all there were */
};
/* conf_error - note an error (or a warning); path without "[edit ]" */
void conf_error(struct conf_errors *to, bool warning, const char *path, const char *element, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* ---- loading (load.c, text.c) ---- */

/* May this user change, see, see secrets of the statement "security macsec connectivity-association CA1"? (rights.c) */
struct rights;
bool rights_edit(const struct rights *r, const char *path);
bool rights_see(const struct rights *r, const char *path);
bool rights_secret(const struct rights *r, const char *path);

enum load_op { LOAD_MERGE = 0, LOAD_REPLACE, LOAD_NONE, LOAD_OVERRIDE };
struct load {
    const struct sim_personality *as;
    const struct sim_box *box;     /* whose zone start times get; NULL: they stay as they are */
    const struct rights *rights;   /* NULL: all */
    enum load_op usual;            /* what an element without attributes does */
    bool strict_delete;            /* deleting what is not there is an error (edit-config delete) */
    unsigned stop_after;           /* do so many statements, then fail with a syntax error; 0: all (a fault) */
    unsigned done;
    struct conf_errors *errors;
};
/* conf_load - bring a tree of changes (elements with replace, delete, operation, inactive ... attributes) into conf
 * What is wrong is noted in l->errors and left out; the rest is loaded, as Junos does. */
void conf_load(struct load *l, xmlNode *conf, const xmlNode *changes);
/* conf_read_text - {} form as a tree of changes;   conf_read_set - set commands, done one after another in conf
 * ret:  NULL: no memory;   errors are noted */
xmlDoc *conf_read_text(struct load *l, const char *text);
void conf_load_set(struct load *l, xmlNode *conf, const char *commands);
/* conf_load_any - initial configuration in any of the three forms.   ret: false with errors noted */
bool conf_load_any(struct load *l, xmlNode *conf, const char *text);

/* conf_new - an empty <configuration>;  conf_copy - a copy, also of a tree that others read.   NULL: no memory */
xmlDoc *conf_new(void);
xmlDoc *conf_copy(const xmlDoc *doc);

/* conf_merge3 - what mine changed against base is done in theirs
 * ret:  false: both changed the same statement: noted in errors, theirs is spoilt */
bool conf_merge3(const xmlNode *base, const xmlNode *mine, xmlNode *theirs, struct conf_errors *errors);

/* ---- printing (print.c, diff.c) ---- */

struct show {
    const struct sim_personality *as;
    const struct rights *rights;   /* NULL: all is shown */
};
void conf_print_text(const struct show *s, const xmlNode *conf, FILE *out); /* unescaped */
void conf_print_set(const struct show *s, const xmlNode *conf, FILE *out);
void conf_print_xml(const struct show *s, const xmlNode *conf, FILE *out);  /* children of <configuration> */
void conf_print_diff(const struct show *s, const xmlNode *from, const xmlNode *to, FILE *out); /* unescaped */
/* conf_print_one - the children of a tree that are the statement s, as they stand below path */
void conf_print_one(const struct show *s, const struct stmt *one, const xmlNode *of, const char *path, FILE *out);
/* conf_filter - a copy of what the subtree filter selects.   NULL: no memory */
xmlDoc *conf_filter(const xmlNode *conf, const xmlNode *filter);
void xml_put(FILE *out, const char *text); /* escaped */

/* ---- what a commit checks (check.c) ---- */

/* conf_check - references, lengths, mandatory statements; errors and warnings are noted */
void conf_check(const struct sim_box *box, const xmlNode *conf, struct conf_errors *errors);

#endif
