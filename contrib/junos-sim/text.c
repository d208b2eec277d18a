/* text.c - configurations as people write them: the {} form and set commands, to trees of changes
 *
 * Pure.  What is wrong is noted and skipped.
 */
#include "conf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_MAX 4200
#define DEPTH_MAX 32

enum token { T_END = 0, T_WORD, T_OPEN, T_CLOSE, T_SEMI, T_LIST, T_LISTEND };

struct lex {
    struct load *l;
    const char *at;
    bool lines;           /* a line's end is a token T_SEMI (set commands) */
    unsigned depth;
    enum token now;
    char word[TOKEN_MAX]; /* of T_WORD */
    char path[256];
};

static void
skip_blanks(struct lex *x)
{
    for (;;) {
        if (*x->at == '#')
            x->at += strcspn(x->at, "\n");
        else if (x->at[0] == '/' && x->at[1] == '*') {
            const char *end = strstr(x->at + 2, "*/");

            x->at = end ? end + 2 : x->at + strlen(x->at);
        } else if (isspace((unsigned char)*x->at) && !(x->lines && *x->at == '\n'))
            x->at++;
        else
            return;
    }
}

static enum token
quoted(struct lex *x)
{
    size_t n = 0;

    for (x->at++; *x->at && *x->at != '"'; x->at++) {
        if (*x->at == '\\' && x->at[1])
            x->at++;
        if (n + 1 < sizeof x->word)
            x->word[n++] = *x->at;
    }
    x->at += *x->at == '"';
    x->word[n] = '\0';
    return T_WORD;
}

static enum token
next(struct lex *x)
{
    static const char marks[] = "{};[]\n";
    static const enum token token[] = {T_OPEN, T_CLOSE, T_SEMI, T_LIST, T_LISTEND, T_SEMI};
    const char *mark;
    size_t n;

    skip_blanks(x);
    mark = *x->at ? strchr(marks, *x->at) : NULL;
    if (!*x->at)
        return x->now = T_END;
    if (mark) {
        x->at++;
        return x->now = token[mark - marks];
    }
    if (*x->at == '"')
        return x->now = quoted(x);
    n = strcspn(x->at, " \t\r\n{};[]\"");
    memcpy(x->word, x->at, n < sizeof x->word ? n : sizeof x->word - 1);
    x->word[n < sizeof x->word ? n : sizeof x->word - 1] = '\0';
    x->at += n;
    return x->now = T_WORD;
}

static void
wrong(struct lex *x, const char *element)
{
    conf_error(x->l->errors, false, x->path, element, "syntax error");
}

/* To the end of the statement that cannot be read. */
static void
skip_statement(struct lex *x)
{
    unsigned deep = 0;

    for (; x->now != T_END; next(x)) {
        if (x->now == T_OPEN)
            deep++;
        if (x->now == T_CLOSE && (deep == 0 || --deep == 0))
            return;
        if (x->now == T_SEMI && deep == 0)
            return;
    }
}

/* Which statement the word begins; *key: the word is its key already. */
static const struct stmt *
match(const struct lex *x, const struct stmt *in, bool *key)
{
    const struct stmt *s = schema_kid(in, x->word, x->l->as);

    *key = false;
    if (s && !(s->flags & STMT_ELIDE))
        return s;
    for (s = in->kids; s; s = s->next)
        if (s->flags & STMT_ELIDE) {
            *key = true;
            return s;
        }
    return NULL;
}

static xmlNode *
element(xmlNode *in, const char *name, const char *value)
{
    xmlNode *n = xmlNewDocNode(in->doc, NULL, BAD_CAST name, NULL);

    if (n && value)
        xmlAddChild(n, xmlNewDocText(in->doc, BAD_CAST value));
    return n ? xmlAddChild(in, n) : NULL;
}

/* "[ a b ]" or one value; the token behind is read. */
static void
values(struct lex *x, const struct stmt *s, xmlNode *in, const char *attribute)
{
    bool many = x->now == T_LIST;

    if (many)
        next(x);
    for (; x->now == T_WORD; next(x)) {
        xmlNode *n = element(in, s->name, s->kind == ST_LIST ? NULL : x->word);

        if (n && s->kind == ST_LIST)
            element(n, "name", x->word);
        if (n && attribute)
            xmlSetProp(n, BAD_CAST attribute, BAD_CAST attribute);
        if (!many)
            break;
    }
    if (x->now == T_WORD || x->now == T_LISTEND)
        next(x);
    else
        wrong(x, s->name);
}

static void block(struct lex *x, const struct stmt *s, xmlNode *in);
static void statement(struct lex *x, const struct stmt *in, xmlNode *node);

/* The rest of a statement that may have a block: ";", "{ }", or a statement of its inside on the same line. */
static void
body(struct lex *x, const struct stmt *s, xmlNode *n)
{
    if (x->now == T_OPEN) {
        next(x);
        block(x, s, n);
    } else if (x->now == T_WORD)
        statement(x, s, n);
    else if (x->now != T_SEMI && x->now != T_CLOSE)
        wrong(x, s->name);
}

static void
enter(struct lex *x, const char *name, const char *key, char saved[256])
{
    size_t n = strlen(x->path);

    memcpy(saved, x->path, 256);
    snprintf(x->path + n, sizeof x->path - n, "%s%s%s%s", n ? " " : "", name, *key ? " " : "", key);
}

/* One entry; the token is its key. */
static void
entry(struct lex *x, const struct stmt *s, xmlNode *in, const char *attribute)
{
    xmlNode *n;
    char saved[256];

    if (x->now != T_WORD) {
        wrong(x, s->name);
        skip_statement(x);
        return;
    }
    n = element(in, s->name, NULL);
    if (!n || !element(n, "name", x->word))
        return;
    if (attribute)
        xmlSetProp(n, BAD_CAST attribute, BAD_CAST attribute);
    enter(x, s->name, x->word, saved);
    if (next(x) == T_WORD && s->flags & STMT_INLINE) {
        element(n, "value", x->word);
        next(x);
    }
    body(x, s, n);
    memcpy(x->path, saved, sizeof saved);
}

/* "interfaces { a { } b { } }" */
static void
group(struct lex *x, const struct stmt *s, xmlNode *in)
{
    for (next(x); x->now != T_CLOSE && x->now != T_END; next(x)) {
        bool off = x->now == T_WORD && strcmp(x->word, "inactive:") == 0;

        if (off)
            next(x);
        entry(x, s, in, off ? "inactive" : NULL);
    }
}

static const char *
modifier(struct lex *x)
{
    static const char *const words[][2] = {{"inactive:", "inactive"}, {"replace:", "replace"}, {"delete:", "delete"},
                                           {"active:", "active"}, {"protect:", "protect"}, {NULL, NULL}};

    for (int i = 0; words[i][0]; i++)
        if (x->now == T_WORD && strcmp(x->word, words[i][0]) == 0) {
            next(x);
            return words[i][1];
        }
    return NULL;
}

static void
box(struct lex *x, const struct stmt *s, xmlNode *in, const char *attribute)
{
    xmlNode *n = element(in, s->name, NULL);
    char saved[256];

    if (n && attribute)
        xmlSetProp(n, BAD_CAST attribute, BAD_CAST attribute);
    enter(x, s->name, "", saved);
    next(x);
    if (n)
        body(x, s, n);
    memcpy(x->path, saved, sizeof saved);
}

/* One statement; the token is its first word.  Afterwards the token is its end, ";" or "}". */
static void
statement(struct lex *x, const struct stmt *in, xmlNode *node)
{
    const char *attribute = modifier(x);
    bool key = false;
    const struct stmt *s = x->now == T_WORD && x->depth < DEPTH_MAX ? match(x, in, &key) : NULL;

    x->depth++;
    if (!s) {
        wrong(x, x->now == T_WORD ? x->word : "");
        skip_statement(x);
    } else if (s->kind == ST_BOX)
        box(x, s, node, attribute);
    else if (s->kind == ST_LIST) {
        if (!key)
            next(x);
        if (x->now == T_OPEN && s->flags & STMT_GROUP)
            group(x, s, node);
        else if (x->now == T_LIST)
            values(x, s, node, attribute);
        else
            entry(x, s, node, attribute);
    } else if (s->kind == ST_FLAG) {
        xmlNode *n = element(node, s->name, NULL);

        if (n && attribute)
            xmlSetProp(n, BAD_CAST attribute, BAD_CAST attribute);
        if (next(x) != T_SEMI)
            wrong(x, s->name);
    } else {
        next(x);
        if (x->now == T_SEMI && attribute && strcmp(attribute, "delete") == 0)
            xmlSetProp(element(node, s->name, NULL), BAD_CAST "delete", BAD_CAST "delete");
        else
            values(x, s, node, attribute);
        if (x->now != T_SEMI) {
            wrong(x, s->name);
            skip_statement(x);
        }
    }
    x->depth--;
}

static void
block(struct lex *x, const struct stmt *s, xmlNode *in)
{
    for (; x->now != T_CLOSE && x->now != T_END; next(x))
        if (x->now != T_SEMI)
            statement(x, s, in);
    if (x->now == T_END && x->depth > 0)
        wrong(x, "}");
}

xmlDoc *
conf_read_text(struct load *l, const char *text)
{
    struct lex *x = calloc(1, sizeof *x);
    xmlDoc *doc = x ? conf_new() : NULL;

    if (doc) {
        x->l = l;
        x->at = text;
        next(x);
        block(x, schema_root(), xmlDocGetRootElement(doc));
        if (x->now == T_CLOSE)
            wrong(x, "}");
        explicit_bzero(x, sizeof *x);
    }
    free(x);
    return doc;
}

/* ---- set commands ---- */

/* The path of one command as a tree; the last element, or NULL when it is wrong. */
static xmlNode *
command_path(struct lex *x, xmlNode *root, bool value)
{
    const struct stmt *in = schema_root(), *s;
    xmlNode *node = root, *last = root;
    bool key;

    while (x->now == T_WORD) {
        if (!(s = match(x, in, &key)))
            return NULL;
        if (s->kind == ST_LEAF || s->kind == ST_LEAFLIST) {
            next(x);
            if (x->now == T_WORD || x->now == T_LIST) {
                values(x, s, node, NULL);
                last = node->last;
            } else if (value || !(last = element(node, s->name, NULL)))
                return NULL;
            continue;
        }
        if (!(last = element(node, s->name, NULL)))
            return NULL;
        if (!key)
            next(x);
        if (s->kind == ST_LIST) {
            if (x->now != T_WORD)
                return value ? NULL : last;
            element(last, "name", x->word);
            next(x);
            if (x->now == T_WORD && s->flags & STMT_INLINE) {
                element(last, "value", x->word);
                next(x);
            }
        }
        if (s->kind != ST_FLAG) {
            in = s;
            node = last;
        }
    }
    return x->now == T_SEMI || x->now == T_END ? last : NULL;
}

static void
command(struct lex *x, xmlNode *conf)
{
    static const char *const verbs[][2] = {{"set", NULL}, {"delete", "delete"}, {"deactivate", "inactive"},
                                           {"activate", "active"}};
    xmlDoc *doc = conf_new();
    xmlNode *last = NULL;
    char first[96];
    unsigned verb = 0;

    while (verb < 4 && strcmp(x->word, verbs[verb][0]) != 0)
        verb++;
    snprintf(first, sizeof first, "%.90s", x->word);
    if (doc && verb < 4) {
        next(x);
        snprintf(first, sizeof first, "%.90s", x->now == T_WORD ? x->word : "");
        last = command_path(x, xmlDocGetRootElement(doc), verb == 0);
        if (x->now == T_WORD)
            snprintf(first, sizeof first, "%.90s", x->word);
    }
    if (last && last != xmlDocGetRootElement(doc)) {
        if (verbs[verb][1])
            xmlSetProp(last, BAD_CAST verbs[verb][1], BAD_CAST verbs[verb][1]);
        conf_load(x->l, conf, xmlDocGetRootElement(doc));
    } else if (last && verb == 1)
        while (conf->children) {
            xmlNode *n = conf->children;

            xmlUnlinkNode(n);
            xmlFreeNode(n);
        }
    else
        wrong(x, first);
    xmlFreeDoc(doc);
    while (x->now != T_SEMI && x->now != T_END)
        next(x);
}

void
conf_load_set(struct load *l, xmlNode *conf, const char *commands)
{
    struct lex *x = calloc(1, sizeof *x);

    if (!x)
        return;
    x->l = l;
    x->at = commands;
    x->lines = true;
    for (next(x); x->now != T_END; next(x))
        if (x->now == T_WORD)
            command(x, conf);
        else if (x->now != T_SEMI)
            wrong(x, "");
    explicit_bzero(x, sizeof *x);
    free(x);
}

bool
conf_load_any(struct load *l, xmlNode *conf, const char *text)
{
    const char *first = text + strspn(text, " \t\r\n");
    xmlDoc *doc = NULL;

    if (*first == '<') {
        doc = xmlReadMemory(first, (int)strlen(first), NULL, NULL,
                            XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
        if (!doc)
            conf_error(l->errors, false, "", "", "the XML is not well-formed");
    } else if (strncmp(first, "set ", 4) == 0 || strncmp(first, "delete ", 7) == 0)
        conf_load_set(l, conf, text);
    else
        doc = conf_read_text(l, text);
    if (doc && xmlDocGetRootElement(doc))
        conf_load(l, conf, xmlDocGetRootElement(doc));
    xmlFreeDoc(doc);
    return l->errors->errors == 0;
}
