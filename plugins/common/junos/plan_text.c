/* plan_text.c - the description of an interface: the operator's own text, and behind it what LLDP is to tell.  Pure.
 *
 * What is ours ends with the text.  It is its last word and begins with "rk", a number and "|"; or it is "|{...}" as of
 * the old script, without a blank before.  Never: a changed text of the operator, or more than LLDP carries. */
#include "plan.h"

#include <stdio.h>
#include <string.h>

/* The last word, when it is a record. */
static const char *
record_in(const char *text)
{
    const char *blank = strrchr(text, ' '), *word = blank ? blank + 1 : text;
    size_t digits = strncmp(word, "rk", 2) == 0 ? strspn(word + 2, "0123456789") : 0;

    return digits > 0 && word[2 + digits] == '|' ? word : NULL;
}

/* The last one: the operator's text may have bars and braces, too.  Without its end it is a text of his. */
static const char *
object_in(const char *text)
{
    const char *object = NULL;
    size_t len = strlen(text);

    for (const char *p = text; len && text[len - 1] == '}' && (p = strstr(p, "|{")) != NULL; p++)
        object = p;
    return object;
}

/* Where ours begins; NULL: there is none of it. */
static const char *
ours_in(const char *text)
{
    const char *record = record_in(text);

    return record ? record : object_in(text);
}

static bool
is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

int
jn_describe(struct jn_case *c)
{
    const char *now = c->u->described ? c->u->text : c->u->was_text, *text = c->op->text ? c->op->text : "";
    const char *ours = ours_in(now), *blank;
    size_t len = ours ? (size_t)(ours - now) : strlen(now);
    char want[JN_TEXT_MAX + 1];

    if (c->u->text_hidden)
        return jn_refuse(c->op, RK_E_CONFIG, "the description of %.64s is longer than %d characters, or inactive: "
                         "shorten or activate it", c->u->iface, JN_TEXT_MAX);
    if (text[0] && (ours_in(text) != text || !is_printable(text)))
        return jn_refuse(c->op, RK_E_CONTRACT, "a text to be shown that is no record");
    while (len > 0 && now[len - 1] == ' ')
        len--;
    blank = len && text[0] && text[0] != '|' ? " " : "";
    if (len + strlen(blank) + strlen(text) > JN_TEXT_MAX)
        return jn_refuse(c->op, RK_E_CONFIG, "the description of %.64s has %zu characters and must have room for %zu "
                         "more, of %d: shorten it", c->u->iface, len, strlen(blank) + strlen(text), JN_TEXT_MAX);
    snprintf(want, sizeof want, "%.*s%s%s", (int)len, now, blank, text);
    memcpy(c->u->text, want, sizeof want);
    c->u->described = true;
    return RK_OK;
}
