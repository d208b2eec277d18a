/* plan_text.c - the description of an interface: the operator's own text, and behind it what LLDP is to tell.  Pure.
 *
 * What is ours begins with "rk", a number and "|", as a word of its own; or with "|{" and ends with the text, as the old
 * script has it, without a blank before.  Never: a changed text of the operator, or more than LLDP carries. */
#include "plan.h"

#include <stdio.h>
#include <string.h>

static const char *
record_in(const char *text)
{
    for (const char *p = strstr(text, "rk"); p; p = strstr(p + 1, "rk")) {
        size_t digits = strspn(p + 2, "0123456789");

        if (digits > 0 && p[2 + digits] == '|' && (p == text || p[-1] == ' '))
            return p;
    }
    return NULL;
}

/* Without its end it is a text of an operator that looks like one. */
static const char *
object_in(const char *text)
{
    size_t len = strlen(text);

    return len > 2 && text[len - 1] == '}' ? strstr(text, "|{") : NULL;
}

/* Where ours begins; NULL: there is none of it. */
static const char *
ours_in(const char *text)
{
    const char *record = record_in(text), *object = object_in(text);

    return !record || (object && object < record) ? object : record;
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
