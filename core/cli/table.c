/* table.c - tables: cells are kept until the widths are known.
 *
 * Runs in rekeyctl.  All text is made safe when it comes in, so that nothing else must think of it.
 */
#include "table.h"

#include "show.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 20
#define GAP 2
#define CUT_MIN 12

struct rk_cell {
    char *text;
    enum rk_tone tone;
};

const char *
rk_tone_on(const struct rk_cli_io *io, enum rk_tone tone)
{
    static const char *const on[] = {"", "\033[32m", "\033[36m", "\033[33m", "\033[1;31m"};

    return io->color ? on[tone] : "";
}

const char *
rk_tone_off(const struct rk_cli_io *io, enum rk_tone tone)
{
    return io->color && tone != RK_TONE_PLAIN ? "\033[0m" : "";
}

void
rk_table_start(struct rk_table *t, const struct rk_column *columns, size_t n, bool utf8)
{
    *t = (struct rk_table){.columns = columns, .n_columns = n < COLUMNS_MAX ? n : COLUMNS_MAX, .utf8 = utf8};
}

static bool
make_room(struct rk_table *t)
{
    size_t room = t->room ? t->room * 2 : 256;
    struct rk_cell *cells;

    if (t->n < t->room)
        return true;
    cells = reallocarray(t->cells, room, sizeof *cells);
    if (!cells)
        return false;
    t->cells = cells;
    t->room = room;
    return true;
}

void
rk_table_add(struct rk_table *t, enum rk_tone tone, const char *fmt, ...)
{
    char *raw = NULL, *safe = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&raw, fmt, ap) >= 0)
        safe = rk_show_safe(raw, t->utf8);
    va_end(ap);
    if (safe && make_room(t)) {
        t->cells[t->n++] = (struct rk_cell){safe, tone};
        safe = NULL;
    } else {
        t->failed = true;
    }
    free(safe);
    free(raw);
}

/* Widths of the columns that are shown; -1 for one that is hidden. */
static void
measure(const struct rk_table *t, const struct rk_cli_io *io, int *width)
{
    int total = -GAP, excess;

    for (size_t c = 0; c < t->n_columns; c++) {
        const struct rk_column *col = &t->columns[c];
        bool hide = col->hide_when != NULL;

        width[c] = rk_show_width(col->title);
        for (size_t i = c; i < t->n; i += t->n_columns) {
            int w = rk_show_width(t->cells[i].text);

            width[c] = w > width[c] ? w : width[c];
            hide = hide && strcmp(t->cells[i].text, col->hide_when) == 0;
        }
        width[c] = hide ? -1 : width[c];
        total += hide ? 0 : width[c] + GAP;
    }
    excess = io->columns ? total - io->columns : 0;
    for (size_t c = 0; c < t->n_columns && excess > 0; c++)
        if (t->columns[c].cut && width[c] > CUT_MIN)
            width[c] = width[c] - excess > CUT_MIN ? width[c] - excess : CUT_MIN;
}

/* One cell, padded to its column; the last of a line is not padded. */
static void
print_cell(const struct rk_cli_io *io, const struct rk_cell *cell, const struct rk_column *col, int width, bool last)
{
    int w = rk_show_width(cell->text);
    bool cut = w > width;
    size_t bytes = cut ? rk_show_cut(cell->text, width - 3) : strlen(cell->text);
    int pad = cut ? 0 : width - w;

    if (col->right)
        fprintf(io->out, "%*s", pad, "");
    fprintf(io->out, "%s%.*s%s%s", rk_tone_on(io, cell->tone), (int)bytes, cell->text, cut ? "..." : "",
            rk_tone_off(io, cell->tone));
    if (!col->right && !last)
        fprintf(io->out, "%*s", pad, "");
    if (!last)
        fprintf(io->out, "%*s", GAP, "");
}

/* The end of the line: cells behind it are hidden or empty. */
static size_t
last_cell(const struct rk_table *t, const struct rk_cell *row, const int *width)
{
    size_t last = 0;

    for (size_t c = 0; c < t->n_columns; c++)
        if (width[c] >= 0 && row[c].text[0])
            last = c;
    return last;
}

static void
print_row(const struct rk_table *t, const struct rk_cli_io *io, const struct rk_cell *row, const int *width)
{
    size_t last = last_cell(t, row, width);

    for (size_t c = 0; c <= last; c++)
        if (width[c] >= 0)
            print_cell(io, &row[c], &t->columns[c], width[c], c == last);
    putc('\n', io->out);
}

void
rk_table_print(const struct rk_table *t, const struct rk_cli_io *io, size_t max_rows)
{
    struct rk_cell head[COLUMNS_MAX];
    size_t n_rows = t->n / t->n_columns, shown = max_rows && max_rows < n_rows ? max_rows : n_rows;
    int width[COLUMNS_MAX];

    measure(t, io, width);
    for (size_t c = 0; c < t->n_columns; c++)
        head[c] = (struct rk_cell){(char *)(size_t)t->columns[c].title, RK_TONE_PLAIN};
    print_row(t, io, head, width);
    for (size_t r = 0; r < shown; r++)
        print_row(t, io, &t->cells[r * t->n_columns], width);
    if (shown < n_rows)
        fprintf(io->out, "... and %zu more rows\n", n_rows - shown);
}

void
rk_table_free(struct rk_table *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i].text);
    free(t->cells);
    t->cells = NULL;
    t->n = t->room = 0;
}
