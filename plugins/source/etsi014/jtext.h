/* jtext.h - reads a JSON text of a stranger, in place
 *
 * Pure: no allocation, no I/O, no libraries.  What is read never leaves the caller's buffer, which can therefore be
 * wiped; a general JSON library would spread it over its heap.
 */
#ifndef ETSI014_JTEXT_H
#define ETSI014_JTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JTEXT_DEPTH_MAX 16 /* nesting of an answer: 4 are needed, extensions may add some */

struct jtext_reader {
    char *at, *end;
    const char *why; /* first reason to refuse; static text */
    int depth;
};

struct jtext {
    char *at;
    size_t len;
};

/* jtext_value_fn - read the value at r->at; name: of the member, in an array empty;  arg: the caller's
 * ret: false when it was refused by jtext_refuse() */
typedef bool jtext_value_fn(struct jtext_reader *r, struct jtext name, void *arg);

/* jtext_refuse - state why the text is refused, unless that was done before;  why  static text.   ret: false */
bool jtext_refuse(struct jtext_reader *r, const char *why);
/* jtext_is - is this text exactly word */
bool jtext_is(struct jtext t, const char *word);

/* jtext_peek - the next character that is no blank, '\0' at the end; it is not taken */
char jtext_peek(struct jtext_reader *r);
/* jtext_object, jtext_array - read one, calling each for every value
 * jtext_string - read one; its escapes are resolved where it stands, what is not ASCII in \uXXXX becomes 0xff
 * jtext_count - read a number that is whole, not negative and fits; else *v is -1, whatever value it is
 * jtext_skip - read any value; arg is not used
 * ret: false when the text is refused;   own: texts point into the buffer;   thread: any.   blocks: never
 * src: RFC 8259 */
bool jtext_object(struct jtext_reader *r, jtext_value_fn *each, void *arg);
bool jtext_array(struct jtext_reader *r, jtext_value_fn *each, void *arg);
bool jtext_string(struct jtext_reader *r, struct jtext *t);
bool jtext_count(struct jtext_reader *r, int64_t *v);
bool jtext_skip(struct jtext_reader *r, struct jtext name, void *arg);

/* jtext_document - read a text that is one object and nothing else
 * ret: RK_OK, or RK_E_PROTOCOL: r->why says the reason */
int jtext_document(struct jtext_reader *r, jtext_value_fn *each, void *arg);

#endif
