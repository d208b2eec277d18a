/* conf_tree_test.c - the YAML tree: what is in it, where it was, its limits, and bytes that are no text. */
#include "core/base/limits.h"
#include "core/conf/tree.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
expect_place(const struct rk_node *node, int line, int col)
{
    assert_non_null(node);
    assert_int_equal(node->line, line);
    assert_int_equal(node->col, col);
}

static void
all_kinds_of_nodes(void **state)
{
    static const char text[] = "a: one\n"
                               "b: \"two \\u00e4\"\n"
                               "# comment\n"
                               "\xc3\xa4: [ x, 'y z',\n"
                               "     { k: v } ]\n"
                               "d:\n"
                               "  - e: |\n"
                               "      long\n"
                               "      text\n"
                               "  - \n";
    struct rk_conf_errors e = {.n = 0};
    struct rk_node *root, *node;

    (void)state;
    assert_int_equal(rk_tree_read(text, strlen(text), &root, &e), RK_OK);
    assert_int_equal(e.n, 0);
    assert_int_equal(root->type, RK_NODE_MAP);
    assert_null(root->key);
    expect_place(root, 1, 1);
    node = rk_tree_get(root, "a");
    expect_place(node, 1, 4);
    assert_string_equal(node->text, "one");
    assert_true(node->plain);
    node = rk_tree_get(root, "b");
    assert_string_equal(node->text, "two \xc3\xa4");
    assert_false(node->plain);
    node = rk_tree_get(root, "\xc3\xa4"); /* columns count characters */
    expect_place(node, 4, 4);
    assert_int_equal(node->key_line, 4);
    assert_int_equal(node->key_col, 1);
    expect_place(node->first, 4, 6);
    assert_null(node->first->key);
    expect_place(node->first->next, 4, 9);
    assert_string_equal(node->first->next->text, "y z");
    node = node->first->next->next;
    expect_place(node, 5, 6);
    assert_string_equal(rk_tree_get(node, "k")->text, "v");
    assert_null(node->next);
    node = rk_tree_get(root, "d")->first;
    assert_string_equal(rk_tree_get(node, "e")->text, "long\ntext\n");
    assert_string_equal(node->next->text, "");
    assert_null(rk_tree_get(root, "x"));
    assert_null(rk_tree_get(rk_tree_get(root, "a"), "x"));
    rk_tree_free(root);
    rk_tree_free(NULL);
}

struct bytes {
    const char *text;
    size_t len;
};
#define BYTES(s) {s, sizeof(s) - 1}

/* text[len] gives this one error; the text ends where its memory ends, so that a sanitizer sees one byte too many. */
static void
expect_error(struct bytes b, int line, int col, const char *words)
{
    struct rk_conf_errors e = {.file = "f"};
    struct rk_node *root;
    char *copy = malloc(b.len ? b.len : 1);

    assert_non_null(copy);
    memcpy(copy, b.text, b.len);
    assert_int_equal(rk_tree_read(copy, b.len, &root, &e), RK_E_CONFIG);
    free(copy);
    rk_tree_free(root);
    assert_int_equal(e.n, 1);
    assert_string_equal(e.list[0].text, words);
    assert_int_equal(e.list[0].line, line);
    assert_int_equal(e.list[0].col, col);
    rk_conf_errors_free(&e);
}

static void
bytes_that_are_no_text(void **state)
{
    static const struct {
        struct bytes b;
        int line, col;
        const char *words;
    } rows[] = {
        {BYTES(""), 1, 1, "the file is empty"},
        {BYTES("\n\n# x"), 1, 1, "the file is empty"},
        {BYTES("\xef\xbb\xbfsae: A\n"), 1, 1, "byte order mark: save the file as UTF-8 without one"},
        {BYTES("\xff\xfes\0a\0"), 1, 1, "not UTF-8: save the file as UTF-8"},
        {BYTES("\xfe\xff\0s"), 1, 1, "not UTF-8: save the file as UTF-8"},
        {BYTES("sae: A\nb: \xe4\n"), 2, 4, "not UTF-8: save the file as UTF-8"},
        {BYTES("sae: \xc3\xa4\xc3"), 1, 7, "not UTF-8: save the file as UTF-8"},
        {BYTES("sae: \xe2\x82"), 1, 6, "not UTF-8: save the file as UTF-8"},
        {BYTES("sae: \xc0\xaf"), 1, 6, "not UTF-8: save the file as UTF-8"},
        {BYTES("sae: \xed\xa0\x80"), 1, 6, "not UTF-8: save the file as UTF-8"},
        {BYTES("sae: \xf4\x90\x80\x80"), 1, 6, "not UTF-8: save the file as UTF-8"},
        {BYTES("sae: \xf0\x8f\xbf\xbf"), 1, 6, "not UTF-8: save the file as UTF-8"},
        {BYTES("sae: \xe0\x9f\xbf"), 1, 6, "not UTF-8: save the file as UTF-8"},
        {BYTES("a: 1\r\nb: 2\rc: 3\xe2\x80\xa8\xff"), 4, 1, "not UTF-8: save the file as UTF-8"},
        {BYTES("sae: A\0"), 1, 7, "NUL byte: this is not a text file"},
        {BYTES("\0"), 1, 1, "NUL byte: this is not a text file"},
        {BYTES("sae: A\x1b[1m\n"), 1, 7, "control character: remove it"},
        {BYTES("sae: A\x7f\n"), 1, 7, "control character: remove it"},
        {BYTES("sae: A\xc2\x80\n"), 1, 7, "control characters are not allowed"},
        {BYTES("sae: A\nx: \xef\xbf\xbf\n"), 2, 4, "control characters are not allowed"},
        {BYTES("sae: A\nlinks:\n\t- x\n"), 3, 1, "tab in the indentation: use blanks"},
        {BYTES("sae: A\nlinks:\n  \t- x\n"), 3, 3, "tab in the indentation: use blanks"},
        {BYTES("sae: \"a\\0b\"\n"), 1, 6, "NUL in a value"},
        {BYTES("\"a\\0b\": x\n"), 1, 1, "NUL in a key"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_error(rows[i].b, rows[i].line, rows[i].col, rows[i].words);
}

static void
depth_is_limited(void **state)
{
    struct rk_conf_errors e = {.n = 0};
    struct rk_node *root;
    char text[200] = "";

    (void)state;
    for (int i = 0; i < RK_CONF_DEPTH_MAX; i++)
        strcat(text, "[");
    for (int i = 0; i < RK_CONF_DEPTH_MAX; i++)
        strcat(text, "]");
    assert_int_equal(rk_tree_read(text, strlen(text), &root, &e), RK_OK);
    rk_tree_free(root);
    memmove(text + 1, text, strlen(text) + 1);
    expect_error((struct bytes){text, strlen(text)}, 1, RK_CONF_DEPTH_MAX + 1, "nested too deep");
}

static void
size_and_number_are_limited(void **state)
{
    size_t len = RK_CONF_BYTES_MAX + 1;
    char *text = malloc(len);

    (void)state;
    assert_non_null(text);
    memset(text, ' ', len);
    expect_error((struct bytes){text, len}, 1, 1, "the file is too long");
    for (size_t i = 0; i < RK_CONF_NODES_MAX + 10; i++)
        memcpy(text + 2 * i, i ? "1," : "[ ", 2);
    expect_error((struct bytes){text, 2 * (RK_CONF_NODES_MAX + 10)}, 1, 2 * RK_CONF_NODES_MAX + 1,
                 "too many values in one file");
    free(text);
}

/* Many keys of one map, and equal keys of many maps: none is taken for a duplicate, and each is found. */
static void
keys_are_told_apart(void **state)
{
    enum { N = 20000 };
    struct rk_conf_errors e = {.n = 0};
    struct rk_node *root;
    char *text = malloc(N * 40), *at = text;
    size_t n = 0;

    (void)state;
    assert_non_null(text);
    for (int i = 0; i < N; i++)
        at += sprintf(at, "k%d: { k1: a, k2: b }\n", i);
    assert_int_equal(rk_tree_read(text, (size_t)(at - text), &root, &e), RK_OK);
    for (const struct rk_node *node = root->first; node; node = node->next, n++)
        assert_string_equal(rk_tree_get(node, "k2")->text, "b");
    assert_int_equal(n, N);
    rk_tree_free(root);
    at += sprintf(at, "k77: x\n");
    assert_int_equal(rk_tree_read(text, (size_t)(at - text), &root, &e), RK_E_CONFIG);
    assert_non_null(root); /* to find more errors in */
    assert_int_equal(e.n, 1);
    assert_int_equal(e.list[0].line, N + 1);
    assert_string_equal(e.list[0].text, "duplicate key \"k77\": it is there already, in line 78");
    rk_tree_free(root);
    rk_conf_errors_free(&e);
    free(text);
}

static void
errors_are_sorted_and_limited(void **state)
{
    struct rk_conf_errors e = {.file = "rekeyd.yaml"};
    char text[400];

    (void)state;
    for (int i = RK_CONF_ERRORS_MAX + 10; i > 0; i--)
        rk_conf_error(&e, i / 2 + 1, i % 2 + 1, "error %d", i);
    assert_int_equal(e.n, RK_CONF_ERRORS_MAX);
    assert_true(e.more);
    for (size_t i = 1; i < e.n; i++)
        assert_true(e.list[i - 1].line * 2 + e.list[i - 1].col < e.list[i].line * 2 + e.list[i].col);
    rk_conf_error_text(&e, 0, text, sizeof text);
    assert_string_equal(text, "rekeyd.yaml:1:2: error 1");
    rk_conf_error_text(&e, RK_CONF_ERRORS_MAX - 1, text, sizeof text);
    assert_string_equal(text, "rekeyd.yaml:26:1: error 50");
    rk_conf_errors_free(&e);
    assert_int_equal(e.n, 0);
    assert_false(e.more);
    rk_conf_error(&e, 0, 0, "No such file");
    rk_conf_error(&e, 0, 0, "No such file"); /* said once */
    rk_conf_error(&e, 0, 0, "later");
    assert_int_equal(e.n, 2);
    rk_conf_error_text(&e, 0, text, sizeof text);
    assert_string_equal(text, "rekeyd.yaml: No such file");
    rk_conf_errors_free(&e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds_of_nodes),          cmocka_unit_test(bytes_that_are_no_text),
        cmocka_unit_test(depth_is_limited),            cmocka_unit_test(size_and_number_are_limited),
        cmocka_unit_test(keys_are_told_apart),         cmocka_unit_test(errors_are_sorted_and_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
