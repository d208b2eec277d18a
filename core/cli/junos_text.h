/* junos_text.h - a configuration of Junos in any form that it is shown in, as statements
 *
 * The forms are those of "display set", of "display xml", and the one with braces.  Pure.  Used in rekeyctl.
 */
#ifndef RK_CLI_JUNOS_TEXT_H
#define RK_CLI_JUNOS_TEXT_H

#include "../base/limits.h"

#include <stdbool.h>
#include <stddef.h>

#define RK_JUNOS_WORDS 40          /* words of a statement; more of a list are left out */
#define RK_JUNOS_PATH_MAX 8192     /* bytes of all its words */
#define RK_JUNOS_DEPTH_MAX 32      /* nesting; Junos itself has some 15 */
#define RK_JUNOS_FILE_MAX (64u << 20) /* largest file [bytes]: routers have some MiB */

/* One statement: what "set" has behind it.  The words are borrowed for the call. */
struct rk_junos_line {
    unsigned line;                 /* of the file, from 1 */
    bool off;                      /* it is inactive, or in something that is */
    size_t n;
    const char *word[RK_JUNOS_WORDS];
};
typedef bool rk_junos_fn(void *arg, const struct rk_junos_line *l); /* ret: false: no memory, stop */

struct rk_junos_why {
    char text[RK_TEXT_MAX];
};

/* rk_junos_read - find out which form it is, and call fn for each statement
 * in:   text[len], with a NUL behind it; it is changed
 * ret:  false: it is not understood: why, with the number of the line.   thread: any.   src: Junos CLI User Guide */
bool rk_junos_read(char *text, size_t len, rk_junos_fn *fn, void *arg, struct rk_junos_why *why);

/* ---- what the files of the three forms share ---- */

struct rk_junos_path { /* the words of a statement, as they are found */
    char text[RK_JUNOS_PATH_MAX];
    size_t used, n, at[RK_JUNOS_WORDS];
};
struct rk_junos_in {   /* the text, and how far it was read */
    char *at, *end;
    unsigned line;
    rk_junos_fn *fn;
    void *arg;
    struct rk_junos_path path;
    struct rk_junos_why *why;
};

/* rk_junos_fail - state what is wrong at a line.   ret: false */
bool rk_junos_fail(struct rk_junos_in *in, unsigned line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* rk_junos_push - one word more; words beyond the bound are left out.   ret: false: stated
 * rk_junos_emit - call fn with the words that are there */
bool rk_junos_push(struct rk_junos_in *in, const char *word, size_t len);
bool rk_junos_emit(struct rk_junos_in *in, unsigned line, bool off);
/* rk_junos_noise - what a terminal adds in a line of its own: a prompt, {master}, [edit]
 * in:   a line's begin.   ret: its length without the newline; 0: it is none */
size_t rk_junos_noise(const char *at, const char *end);
/* rk_junos_word - a word, or a quoted text, at in->at; the place is moved behind it
 * out:  word, its length, in the text itself.   ret: false: stated */
bool rk_junos_word(struct rk_junos_in *in, char **word, size_t *len);

/* rk_junos_set, rk_junos_braces, rk_junos_xml - all of it, in this form.   ret: false: stated */
bool rk_junos_set(struct rk_junos_in *in);
bool rk_junos_braces(struct rk_junos_in *in);
bool rk_junos_xml(struct rk_junos_in *in);

#endif
