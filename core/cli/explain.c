/* explain.c - rekeyctl explain: why a link is in its state, what happens next, and what helps.
 *
 * Runs in rekeyctl.  The sentences are the daemon's; here they are only put on the screen.
 */
#include "ask.h"
#include "row.h"
#include "show.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_COLUMNS 100 /* of sentences, when no width is known */

struct answer {
    const struct rk_cli_io *io;
    bool json;
    size_t n;
};

static void
print_alarm(const struct rk_cli_io *io, const json_t *alarm)
{
    char *name = rk_show_safe(rk_row_text(alarm, "alarm", "?"), io->utf8),
         *at = rk_show_safe(rk_row_text(alarm, "at", ""), io->utf8),
         *remedy = rk_show_safe(rk_row_text(alarm, "do", ""), io->utf8);

    if (name && at && remedy)
        fprintf(io->out, "  %s%s%s%s%s: %s\n", rk_tone_on(io, RK_TONE_BAD), name, rk_tone_off(io, RK_TONE_BAD),
                at[0] ? " at " : "", at, remedy);
    free(name);
    free(at);
    free(remedy);
}

/* Words, at most `width` columns a line, each line indented. */
static void
print_words(const struct rk_cli_io *io, char *text, int width)
{
    int column = 0;
    char *rest = NULL;

    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        int w = rk_show_width(word);

        if (column && column + 1 + w > width) {
            putc('\n', io->out);
            column = 0;
        }
        fprintf(io->out, "%s%s", column ? " " : "  ", word);
        column += w + (column ? 1 : 2);
    }
    putc('\n', io->out);
}

/* The text in one line, safe for a terminal; NULL: no memory.   own: the caller's */
static char *
sentences(const struct rk_cli_io *io, const json_t *row)
{
    char *line = strdup(rk_row_text(row, "text", "?")), *safe;

    for (char *c = line; c && *c; c++)
        if (*c == '\n')
            *c = ' ';
    safe = line ? rk_show_safe(line, io->utf8) : NULL;
    free(line);
    return safe;
}

/* What helps a link that has no key yet. */
static void
print_first(const struct rk_cli_io *io, const json_t *first)
{
    char *what = rk_show_safe(rk_row_text(first, "do", ""), io->utf8);

    if (json_is_object(first) && what && what[0])
        fprintf(io->out, "  first key: %s\n", what);
    free(what);
}

static void
print_end(const struct rk_cli_io *io, const json_t *row)
{
    int width = io->columns > 40 ? io->columns : TEXT_COLUMNS;
    char *link = rk_show_safe(rk_row_text(row, "link", "?"), io->utf8),
         *end = rk_show_safe(rk_row_text(row, "end", "?"), io->utf8),
         *role = rk_show_safe(rk_row_text(row, "role", "?"), io->utf8), *text = sentences(io, row);
    const json_t *alarms = json_object_get(row, "alarms");

    if (link && end && role)
        fprintf(io->out, "%s, %s of end %s\n", link, role, end);
    if (text)
        print_words(io, text, width);
    free(link);
    free(end);
    free(role);
    free(text);
    print_first(io, json_object_get(row, "first_key"));
    for (size_t i = 0; i < json_array_size(alarms); i++)
        print_alarm(io, json_array_get(alarms, i));
}

static void
take_row(json_t *row, void *arg)
{
    struct answer *a = arg;

    if (a->json) {
        fputs(a->n ? ",\n" : "[\n", a->io->out);
        rk_cli_json(a->io, row);
    } else {
        if (a->n)
            putc('\n', a->io->out);
        print_end(a->io, row);
    }
    a->n++;
}

int
rk_cli_explain(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct answer a = {.io = io, .json = o->json};
    int code;

    code = rk_cli_ask(o, io, "explain", take_row, &a, NULL);
    if (a.json && code != RK_CLI_NO_DAEMON)
        fputs(a.n ? "]\n" : "[]\n", io->out);
    return code;
}
