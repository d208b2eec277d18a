/* errors.c - the errors of one configuration file, kept in the order of their places.
 *
 * Pure but for memory.  Used by tree.c, conf.c and the check of plugin options.
 */
#include "tree.h"

#include "../base/limits.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
said(const struct rk_conf_errors *e, int line, int col, const char *text)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->list[i].line == line && e->list[i].col == col && strcmp(e->list[i].text, text) == 0)
            return true;
    return false;
}

static bool
later(const struct rk_conf_errors *e, size_t i, int line, int col)
{
    return e->list[i].line > line || (e->list[i].line == line && e->list[i].col > col);
}

void
rk_conf_error(struct rk_conf_errors *e, int line, int col, const char *fmt, ...)
{
    char text[sizeof e->list->text];
    size_t at = e->n;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (said(e, line, col, text))
        return; /* a value of the defaults is looked at for every link */
    if (!e->list)
        e->list = calloc(RK_CONF_ERRORS_MAX, sizeof *e->list);
    if (!e->list) {
        e->more = true;
        return;
    }
    while (at > 0 && later(e, at - 1, line, col))
        at--;
    if (e->n == RK_CONF_ERRORS_MAX) {
        e->more = true;
        if (at == e->n)
            return;
        e->n--; /* the last place makes room for an earlier one */
    }
    memmove(&e->list[at + 1], &e->list[at], (e->n - at) * sizeof *e->list);
    e->n++;
    e->list[at].line = line;
    e->list[at].col = col;
    memcpy(e->list[at].text, text, sizeof text);
}

void
rk_conf_error_text(const struct rk_conf_errors *e, size_t i, char *out, size_t size)
{
    if (e->list[i].line > 0)
        snprintf(out, size, "%s:%d:%d: %s", e->file, e->list[i].line, e->list[i].col, e->list[i].text);
    else
        snprintf(out, size, "%s: %s", e->file, e->list[i].text);
}

void
rk_conf_errors_free(struct rk_conf_errors *e)
{
    free(e->list);
    e->list = NULL;
    e->n = 0;
    e->more = false;
}
