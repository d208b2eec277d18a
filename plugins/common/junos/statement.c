/* statement.c - statements of a router's configuration as lines, and as one load.  Pure. */
#include "statement.h"

#include "write.h"

#include <stdlib.h>
#include <string.h>

/* ---- making ---- */

static struct jn_statement *
add(struct jn_need *need)
{
    if (need->n == need->room) {
        size_t room = need->room ? 2 * need->room : 32;
        struct jn_statement *more = room <= JN_LINES_MAX * 2 ? reallocarray(need->list, room, sizeof *more) : NULL;

        if (!more) {
            need->err = room > JN_LINES_MAX * 2 ? RK_E_CONFIG : RK_E_NOMEM;
            return NULL;
        }
        need->list = more;
        need->room = room;
    }
    need->list[need->n] = (struct jn_statement){.n = 0};
    return &need->list[need->n++];
}

void
jn_word_put(struct jn_statement *s, int kind, const char *name, const char *value)
{
    struct jn_word *w = &s->word[s->n];

    if (s->n == JN_WORDS_MAX)
        return;
    w->kind = kind;
    snprintf(w->name, sizeof w->name, "%s", name);
    snprintf(w->value, sizeof w->value, "%s", value ? value : "");
    s->n++;
}

/* "security macsec" as boxes, then what is behind them. */
struct jn_statement *
jn_need_begin(struct jn_need *need, const char *boxes)
{
    struct jn_statement *s = add(need);
    char text[80], *rest = NULL;

    snprintf(text, sizeof text, "%s", boxes);
    for (char *w = s ? strtok_r(text, " ", &rest) : NULL; w; w = strtok_r(NULL, " ", &rest))
        jn_word_put(s, JN_BOX, w, NULL);
    return s;
}

void
jn_need_remark(struct jn_need *need, const char *fmt, const char *arg)
{
    char (*more)[JN_REMARK_MAX] = reallocarray(need->remark, need->n_remarks + 1, sizeof *more);

    if (!more) {
        need->err = RK_E_NOMEM;
        return;
    }
    need->remark = more;
    need->n_remarks++;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(more[need->n_remarks - 1], sizeof more[0], fmt, arg);
#pragma GCC diagnostic pop
}

/* ---- writing ---- */

void
jn_put_quoted(FILE *out, const char *text)
{
    if (text[0] && !text[strcspn(text, " \t\"()|*[]{};#<>\\&")]) {
        fprintf(out, " %s", text);
        return;
    }
    fputs(" \"", out);
    for (; *text; text++)
        fprintf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    putc('"', out);
}

static bool
has_value(const struct jn_word *w)
{
    return w->kind == JN_LIST || w->kind == JN_LEAF || w->kind == JN_VALUE;
}

void
jn_need_line(const struct jn_statement *s, char *line, size_t size)
{
    FILE *out = fmemopen(line, size, "w");

    if (!out) {
        line[0] = '\0';
        return;
    }
    fputs(s->gone ? "delete" : "set", out);
    for (size_t i = 0; i < s->n; i++) {
        if (s->word[i].kind != JN_VALUE)
            fprintf(out, " %s", s->word[i].name);
        if (has_value(&s->word[i]))
            jn_put_quoted(out, s->word[i].value);
    }
    fclose(out);
    line[size - 1] = '\0';
}

static bool
same_word(const struct jn_word *a, const struct jn_word *b)
{
    return a->kind == b->kind && (a->kind == JN_BOX || a->kind == JN_LIST) && strcmp(a->name, b->name) == 0 &&
           strcmp(a->value, b->value) == 0;
}

static void
open_word(FILE *out, const struct jn_word *w, bool gone)
{
    fprintf(out, "<%s%s%s", w->name, gone ? " delete=\"delete\"" : "", w->kind == JN_FLAG ? "/>" : ">");
    if (w->kind == JN_LIST)
        fputs("<name>", out);
    if (has_value(w))
        jn_xml_put(out, w->value);
    if (w->kind == JN_LIST)
        fputs("</name>", out);
    if (w->kind == JN_LEAF || w->kind == JN_VALUE)
        fprintf(out, "</%s>", w->name);
}

static void
close_words(FILE *out, const struct jn_statement *s, size_t keep)
{
    for (size_t i = s ? s->n : 0; i-- > keep;)
        if (s->word[i].kind == JN_BOX || s->word[i].kind == JN_LIST)
            fprintf(out, "</%s>", s->word[i].name);
}

static int
by_path(const void *a, const void *b)
{
    const struct jn_statement *x = *(const struct jn_statement *const *)a, *y = *(const struct jn_statement *const *)b;

    for (size_t i = 0; i < x->n && i < y->n; i++) {
        int order = strcmp(x->word[i].name, y->word[i].name);

        order = order ? order : strcmp(x->word[i].value, y->word[i].value);
        if (order)
            return order;
    }
    return x < y ? -1 : x > y;
}

/* How many words both begin with; what goes is not opened for others. */
static size_t
shared(const struct jn_statement *a, const struct jn_statement *b)
{
    size_t keep = 0, most = a && a->n < b->n ? a->n : b->n;

    if (!a)
        return 0;
    if (most && ((a->gone && most == a->n) || (b->gone && most == b->n)))
        most--;
    while (keep < most && same_word(&a->word[keep], &b->word[keep]))
        keep++;
    return keep;
}

/* Each box and each entry of a list is there once, whatever the order of the statements is for people. */
static void
put_all(FILE *out, const struct jn_statement **order, size_t n)
{
    const struct jn_statement *last = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct jn_statement *s = order[i];
        size_t keep = shared(last, s);

        close_words(out, last, keep);
        for (size_t k = keep; k < s->n; k++)
            open_word(out, &s->word[k], s->gone && k + 1 == s->n);
        last = s;
    }
    close_words(out, last, 0);
}

char *
jn_need_load(const struct jn_need *need)
{
    const struct jn_statement **order = calloc(need->n + 1, sizeof *order);
    char *text = NULL;
    size_t len = 0;
    FILE *out = order ? open_memstream(&text, &len) : NULL;

    if (!out) {
        free(order);
        return NULL;
    }
    for (size_t i = 0; i < need->n; i++)
        order[i] = &need->list[i];
    qsort(order, need->n, sizeof *order, by_path);
    fputs("<load-configuration action=\"merge\" format=\"xml\"><configuration>", out);
    put_all(out, order, need->n);
    fputs("</configuration></load-configuration>", out);
    free(order);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
void
jn_need_free(struct jn_need *need)
{
    free(need->list);
    free(need->remark);
    *need = (struct jn_need){.list = NULL};
}

/* ---- what is there ---- */

/* The element of a word below `at`: the entry of a list, a leaf-list's or a leaf's element of this value. */
static const xmlNode *
find(const xmlNode *at, const struct jn_word *w)
{
    char text[sizeof w->value];

    for (const xmlNode *n = nc_child(at, w->name); n; n = nc_next(n)) {
        if (w->kind == JN_BOX || w->kind == JN_FLAG)
            return n;
        if ((w->kind == JN_LIST ? nc_child_text(n, "name", text, sizeof text) : nc_text(n, text, sizeof text)) &&
            strcmp(text, w->value) == 0)
            return n;
    }
    return NULL;
}

bool
jn_statement_there(const xmlNode *conf, const struct jn_statement *s)
{
    for (size_t i = 0; conf && i < s->n; i++)
        conf = find(conf, &s->word[i]);
    return conf != NULL;
}
