/* read_text.c - "show security mka sessions" as text, for releases whose XML lacks what is needed.  Pure.
 *
 * Two forms: blocks of "Name: value" (two pairs on a line, with blanks between them), and the summary, a table of seven
 * columns.   src: output of an ACX7348, an SRX380 and an MX304.
 */
#include "walk.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The names in the text, and those of the XML. */
static const struct {
    const char *label, *leaf;
} labels[] = {
    {"Interface name", "interface-name"},
    {"Interface State", "interface-state"},
    {"Member identifier", "member-identifier"},
    {"CAK name", "cak-name"},
    {"CAK type", "cak-type"},
    {"CAK status", "cak-status"},
    {"Latest SAK KI", "latest-sak-key-identifier"},
};

static char *
trim(char *text)
{
    size_t n;

    text += strspn(text, " \t\r");
    n = strlen(text);
    while (n > 0 && strchr(" \t\r", text[n - 1]))
        text[--n] = '\0';
    return text;
}

static void
put_pair(struct jn_mka_list *l, char *label, char *value)
{
    label = trim(label);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (strcasecmp(label, labels[i].label) == 0)
            jn_mka_leaf(l, labels[i].leaf, trim(value));
}

/* "1. Member identifier: 3016... (live)" */
static bool
is_peer(const char *line)
{
    size_t digits = strspn(line, "0123456789");

    return digits > 0 && strncmp(line + digits, ". Member identifier:", 20) == 0;
}

/* One line of pairs.  A second label stands behind two blanks or more. */
static void
read_pairs(struct jn_mka_list *l, char *line)
{
    char *colon = strstr(line, ": "), *gap, *value;

    while (colon) {
        *colon = '\0';
        value = colon + 1 + strspn(colon + 1, " ");
        gap = strstr(value, "  ");
        if (gap)
            *gap++ = '\0';
        put_pair(l, line, value);
        line = gap;
        colon = line ? strstr(line, ": ") : NULL;
    }
}

/* "ge-0/0/1  1F51...  primary  live  34  3  ABCD..." */
static bool
read_row(struct jn_mka_list *l, char *line)
{
    static const char *const leaf[] = {"interface-name", "member-identifier", "cak-type", "cak-status",
                                       "mn-tx", "mn-rx", "cak-name"};
    char *word[8], *rest = line;
    size_t n = 0;

    while (n < 8 && (word[n] = strtok_r(n ? NULL : line, " \t\r", &rest)) != NULL)
        n++;
    if (n != 7 || jn_number(word[4], -1) < 0 || jn_number(word[5], -1) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        jn_mka_leaf(l, leaf[i], word[i]);
    return true;
}

void
jn_mka_text(struct jn_mka_list *l, char *text)
{
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line && !l->full; line = strtok_r(NULL, "\n", &rest)) {
        line = trim(line);
        if (is_peer(line))
            jn_mka_peer(l, strstr(line, "(live)") != NULL);
        else if (strstr(line, ": "))
            read_pairs(l, line);
        else
            read_row(l, line);
    }
    /* The blocks tell no status: with a live peer it is live. */
    for (size_t i = 0; i < l->n; i++)
        if (l->all[i].status == JN_CAK_NONE && l->all[i].ckn[0])
            l->all[i].status = l->all[i].peers ? JN_CAK_LIVE : JN_CAK_IN_PROGRESS;
}
