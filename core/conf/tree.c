/* tree.c - from YAML text to a tree of nodes, by libyaml's events.
 *
 * Pure but for memory.  All nodes and texts of a tree are in one arena.  What is wrong with a part of the file is
 * noted and reading goes on; what makes the rest unreadable ends it.  The text is input of a person: it must never
 * be able to crash the daemon or to take time or memory beyond the limits.
 */
#include "tree.h"

#include "../base/limits.h"
#include "../base/text.h"
#include "opt.h"
#include "utf8.h"

#include <rekey/err.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define CHUNK_BYTES 65536u

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
};

struct tree {
    struct rk_node root; /* first: a tree is known by its root */
    struct chunk *chunks;
    size_t nodes;
};

/* A list or map that is being read. */
struct frame {
    struct rk_node *node, *last; /* last child so far */
    const char *key;             /* map: key whose value comes next; NULL: a key comes next */
    int key_line, key_col;
    bool drop;                   /* map: the value of that key is read, checked and left out */
};

/* Which keys a map has, for all maps of the tree: open addressing, at most half full. */
struct keys {
    struct key_slot {
        const struct rk_node *map;
        const char *key;
        int line;
    } *slots;
    size_t n, size;
};

struct reader {
    yaml_parser_t yaml;
    struct tree *tree;
    struct keys keys;
    struct rk_conf_errors *errors;
    struct frame stack[RK_CONF_DEPTH_MAX];
    size_t depth;
    bool any, soft; /* the document has begun; an error was added after which reading went on */
};

static void *
arena_take(struct tree *t, size_t size)
{
    struct chunk *c = t->chunks;
    size_t room;

    size = (size + _Alignof(struct rk_node) - 1) & ~(_Alignof(struct rk_node) - 1);
    if (!c || c->size - c->used < size) {
        room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        c = malloc(sizeof *c + room);
        if (!c)
            return NULL;
        c->next = t->chunks;
        c->used = 0;
        c->size = room;
        t->chunks = c;
    }
    c->used += size;
    return c->bytes + c->used - size;
}

static const char *
arena_text(struct tree *t, const yaml_event_t *ev)
{
    char *text = arena_take(t, ev->data.scalar.length + 1);

    if (text) {
        memcpy(text, ev->data.scalar.value, ev->data.scalar.length);
        text[ev->data.scalar.length] = '\0';
    }
    return text;
}

/* An error after which reading goes on. */
static void
note(struct reader *r, yaml_mark_t at, const char *text)
{
    rk_conf_error(r->errors, (int)at.line + 1, (int)at.column + 1, "%s", text);
    r->soft = true;
}

/* An error that ends reading. */
static int
stop(struct reader *r, yaml_mark_t at, const char *text)
{
    note(r, at, text);
    return RK_E_CONFIG;
}

static struct frame *
top(struct reader *r)
{
    return r->depth ? &r->stack[r->depth - 1] : NULL;
}

/* The slot of key in map, or the empty one where it belongs. */
static struct key_slot *
keys_slot(const struct keys *k, const struct rk_node *map, const char *key)
{
    size_t i = (size_t)(rk_hash(key) ^ ((uintptr_t)map * UINT64_C(0x9e3779b97f4a7c15)));

    for (i ^= i >> 29;; i++) {
        struct key_slot *s = &k->slots[i & (k->size - 1)];

        if (!s->map || (s->map == map && strcmp(s->key, key) == 0))
            return s;
    }
}

static int
keys_grow(struct keys *k)
{
    struct keys larger = {NULL, k->n, k->size ? k->size * 2 : 1024};

    larger.slots = calloc(larger.size, sizeof *larger.slots);
    if (!larger.slots)
        return RK_E_NOMEM;
    for (size_t i = 0; i < k->size; i++)
        if (k->slots[i].map)
            *keys_slot(&larger, k->slots[i].map, k->slots[i].key) = k->slots[i];
    free(k->slots);
    *k = larger;
    return RK_OK;
}

/* Add a key of map, or find where it was before. */
static int
keys_add(struct keys *k, struct key_slot new, int *line_before)
{
    struct key_slot *s;

    if (2 * k->n >= k->size && keys_grow(k))
        return RK_E_NOMEM;
    s = keys_slot(k, new.map, new.key);
    *line_before = s->map ? s->line : 0;
    if (!s->map) {
        *s = new;
        k->n++;
    }
    return RK_OK;
}

/* Make the node of the value that comes next, in its place in the tree. */
static int
add_node(struct reader *r, enum rk_node_type type, yaml_mark_t at, struct rk_node **out)
{
    struct frame *f = top(r);
    struct rk_node *node = f ? arena_take(r->tree, sizeof *node) : &r->tree->root;

    if (r->tree->nodes++ == RK_CONF_NODES_MAX)
        return stop(r, at, "too many values in one file");
    if (!node)
        return RK_E_NOMEM;
    *node = (struct rk_node){.type = type, .line = (int)at.line + 1, .col = (int)at.column + 1};
    *out = node;
    if (!f)
        return RK_OK;
    node->key = f->key;
    node->key_line = f->key_line;
    node->key_col = f->key_col;
    if (!f->drop) {
        *(f->last ? &f->last->next : &f->node->first) = node;
        f->last = node;
    }
    f->key = NULL;
    f->drop = false;
    return RK_OK;
}

/* Anchors and tags would make a reader of the file look elsewhere for what a value is. */
static void
check_properties(struct reader *r, yaml_mark_t at, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        note(r, at, "anchors (&name) are not used here: write the value out");
    if (tag)
        note(r, at, "tags (!name) are not used here: leave it out");
}

static bool
wants_key(const struct frame *f)
{
    return f && f->node->type == RK_NODE_MAP && !f->key;
}

static int
on_key(struct reader *r, const yaml_event_t *ev)
{
    struct frame *f = top(r);
    yaml_mark_t at = ev->start_mark;
    struct rk_shown shown;
    int before = 0;

    f->key = arena_text(r->tree, ev);
    f->key_line = (int)at.line + 1;
    f->key_col = (int)at.column + 1;
    if (!f->key)
        return RK_E_NOMEM;
    f->drop = true;
    if (strlen(f->key) != ev->data.scalar.length)
        note(r, at, "NUL in a key");
    else if (strcmp(f->key, "<<") == 0 && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        note(r, at, "merge keys (<<) are not used here: write the keys out");
    else if (!f->key[0])
        note(r, at, "empty key");
    else if (keys_add(&r->keys, (struct key_slot){f->node, f->key, f->key_line}, &before))
        return RK_E_NOMEM;
    else
        f->drop = before > 0;
    if (before > 0) {
        rk_conf_error(r->errors, f->key_line, f->key_col, "duplicate key \"%s\": it is there already, in line %d",
                      rk_opt_shown(f->key, &shown), before);
        r->soft = true;
    }
    return RK_OK;
}

static int
on_scalar(struct reader *r, const yaml_event_t *ev)
{
    struct rk_node *node;
    int err;

    check_properties(r, ev->start_mark, ev->data.scalar.anchor, ev->data.scalar.tag);
    if (wants_key(top(r)))
        return on_key(r, ev);
    err = add_node(r, RK_NODE_SCALAR, ev->start_mark, &node);
    if (err)
        return err;
    node->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_text(r->tree, ev);
    if (!node->text)
        return RK_E_NOMEM;
    node->bad = strlen(node->text) != ev->data.scalar.length;
    if (node->bad)
        note(r, ev->start_mark, "NUL in a value");
    return RK_OK;
}

static int
on_start(struct reader *r, enum rk_node_type type, yaml_mark_t at)
{
    struct rk_node *node;
    int err;

    if (wants_key(top(r)))
        return stop(r, at, "a list or map cannot be a key (a value that begins with { or [ needs quotes)");
    if (r->depth == RK_CONF_DEPTH_MAX)
        return stop(r, at, "nested too deep");
    err = add_node(r, type, at, &node);
    if (!err)
        r->stack[r->depth++] = (struct frame){.node = node};
    return err;
}

static int
on_alias(struct reader *r, yaml_mark_t at)
{
    struct frame *f = top(r);
    struct rk_node *node;
    int err;

    note(r, at, "aliases (*name) are not used here: write the value out (a text that begins with * needs quotes)");
    if (wants_key(f)) {
        f->key = "";
        f->drop = true;
        return RK_OK;
    }
    err = add_node(r, RK_NODE_SCALAR, at, &node);
    if (!err) {
        node->text = "";
        node->bad = true;
    }
    return err;
}

static int
on_event(struct reader *r, const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->any)
            return stop(r, ev->start_mark, "second document: one file holds one configuration");
        r->any = true;
        return RK_OK;
    case YAML_SCALAR_EVENT:
        return on_scalar(r, ev);
    case YAML_SEQUENCE_START_EVENT:
        check_properties(r, ev->start_mark, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
        return on_start(r, RK_NODE_LIST, ev->start_mark);
    case YAML_MAPPING_START_EVENT:
        check_properties(r, ev->start_mark, ev->data.mapping_start.anchor, ev->data.mapping_start.tag);
        return on_start(r, RK_NODE_MAP, ev->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return RK_OK;
    case YAML_ALIAS_EVENT:
        return on_alias(r, ev->start_mark);
    default:
        return RK_OK;
    }
}

/* Length of the line break at text, 0: none.  The same ones as libyaml's, so that places agree. */
static size_t
break_len(const char *text, size_t left)
{
    if (text[0] == '\n')
        return 1;
    if (text[0] == '\r')
        return left > 1 && text[1] == '\n' ? 2 : 1;
    if (left >= 2 && memcmp(text, "\xc2\x85", 2) == 0)
        return 2;
    return left >= 3 && (memcmp(text, "\xe2\x80\xa8", 3) == 0 || memcmp(text, "\xe2\x80\xa9", 3) == 0) ? 3 : 0;
}

/* An error at the byte text[at]; all before it is well-formed. */
static int
stop_at_byte(struct rk_conf_errors *e, const char *text, size_t at, const char *message)
{
    int line = 1, col = 1;

    for (size_t i = 0; i < at;) {
        size_t br = break_len(text + i, at - i), n = rk_utf8_len(text + i, at - i);

        line += br ? 1 : 0;
        col = br ? 1 : col + 1;
        i += br ? br : n ? n : 1;
    }
    rk_conf_error(e, line, col, "%s", message);
    return RK_E_CONFIG;
}

/* What libyaml would refuse with less clear words, or not at all. */
static int
check_bytes(const char *text, size_t len, struct rk_conf_errors *e)
{
    bool indent = true;

    if (len > RK_CONF_BYTES_MAX)
        return stop_at_byte(e, text, 0, "the file is too long");
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        return stop_at_byte(e, text, 0, "byte order mark: save the file as UTF-8 without one");
    for (size_t i = 0, n; i < len; i += n) {
        unsigned char c = (unsigned char)text[i];

        n = rk_utf8_len(text + i, len - i);
        if (n == 0)
            return stop_at_byte(e, text, i, "not UTF-8: save the file as UTF-8");
        if (c == '\0')
            return stop_at_byte(e, text, i, "NUL byte: this is not a text file");
        if (c == '\t' && indent)
            return stop_at_byte(e, text, i, "tab in the indentation: use blanks");
        if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
            return stop_at_byte(e, text, i, "control character: remove it");
        indent = c == '\n' || c == '\r' || (indent && c == ' ');
    }
    return RK_OK;
}

/* What a person most likely did, behind libyaml's words for it. */
static const char *
remedy_of(const char *problem)
{
    static const struct {
        const char *problem, *remedy;
    } known[] = {
        {"mapping values are not allowed in this context",
         ": check the indentation, or put a text with \": \" in quotes"},
        {"could not find expected ':'", ": a key is followed by \": \" and its value"},
        {"did not find expected key", ": check the indentation and the quotes"},
        {"did not find expected '-' indicator", ": check the indentation of the list"},
        {"did not find expected ',' or '}'", ": a { } is not closed, or a comma is missing"},
        {"did not find expected ',' or ']'", ": a [ ] is not closed, or a comma is missing"},
        {"found unexpected end of stream", ": a quote is not closed"},
        {"found character that cannot start any token", ": put the text in quotes"},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(problem, known[i].problem) == 0)
            return known[i].remedy;
    return "";
}

/* Is it about something with a beginning and an end: then its beginning, most likely in another line, helps. */
static bool
is_enclosed(const yaml_parser_t *yaml)
{
    return yaml->context && yaml->context_mark.line != yaml->problem_mark.line &&
           (strstr(yaml->context, "flow") || strstr(yaml->context, "quoted"));
}

static int
yaml_error(struct reader *r, const char *text)
{
    const char *problem = r->yaml.problem ? r->yaml.problem : "not YAML";
    char begun[48] = "";

    if (r->yaml.error == YAML_MEMORY_ERROR)
        return RK_E_NOMEM;
    if (r->yaml.error == YAML_READER_ERROR)
        return stop_at_byte(r->errors, text, r->yaml.problem_offset, problem);
    if (is_enclosed(&r->yaml))
        snprintf(begun, sizeof begun, " (begun in line %d)", (int)r->yaml.context_mark.line + 1);
    rk_conf_error(r->errors, (int)r->yaml.problem_mark.line + 1, (int)r->yaml.problem_mark.column + 1, "%s%s%s",
                  problem, remedy_of(problem), begun);
    return RK_E_CONFIG;
}

static int
read_events(struct reader *r, const char *text)
{
    bool end = false;
    int err = RK_OK;

    while (!err && !end) {
        yaml_event_t ev;

        if (!yaml_parser_parse(&r->yaml, &ev))
            return yaml_error(r, text);
        end = ev.type == YAML_STREAM_END_EVENT;
        err = on_event(r, &ev);
        yaml_event_delete(&ev);
    }
    if (!err && !r->any) {
        rk_conf_error(r->errors, 1, 1, "the file is empty");
        return RK_E_CONFIG;
    }
    return err;
}

int
rk_tree_read(const char *text, size_t len, struct rk_node **root, struct rk_conf_errors *e)
{
    struct reader r = {.errors = e};
    int err = check_bytes(text, len, e);

    *root = NULL;
    if (err)
        return err;
    r.tree = calloc(1, sizeof *r.tree);
    if (!r.tree)
        return RK_E_NOMEM;
    if (!yaml_parser_initialize(&r.yaml)) {
        rk_tree_free(&r.tree->root);
        return RK_E_NOMEM;
    }
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, len);
    err = read_events(&r, text);
    yaml_parser_delete(&r.yaml);
    free(r.keys.slots);
    if (err)
        rk_tree_free(&r.tree->root);
    else
        *root = &r.tree->root;
    return err ? err : r.soft ? RK_E_CONFIG : RK_OK;
}

void
rk_tree_free(struct rk_node *root)
{
    struct tree *t = (struct tree *)root;

    if (!t)
        return;
    while (t->chunks) {
        struct chunk *next = t->chunks->next;

        free(t->chunks);
        t->chunks = next;
    }
    free(t);
}

struct rk_node *
rk_tree_get(const struct rk_node *map, const char *key)
{
    if (map->type != RK_NODE_MAP)
        return NULL;
    for (struct rk_node *child = map->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}
