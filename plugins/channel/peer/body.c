/* body.c - see body.h.  Pure: runs anywhere; must never look beyond what it was given. */
#include "body.h"

#include <string.h>

static bool
is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool
body_link_ok(const char *link)
{
    size_t n = 0;

    if (!is_alnum(link[0]))
        return false;
    while (is_alnum(link[n]) || link[n] == '.' || link[n] == '_' || link[n] == '-')
        n++;
    return !link[n] && n <= RK_LINK_MAX;
}

bool
body_record_ok(const char *record)
{
    size_t n = 0;

    while (record[n] > ' ' && record[n] <= '~')
        n++;
    return !record[n] && n > 0 && n <= RK_RECORD_MAX;
}

/* One line of which the LF is a NUL by now; len without it. */
static const char *
line_flaw(char *text, size_t len, struct body_line *line)
{
    char *tab = memchr(text, '\t', len);

    if (memchr(text, '\0', len))
        return "a zero byte in it";
    if (!tab)
        return "a line without a tab";
    *tab = '\0';
    *line = (struct body_line){text, tab + 1};
    if (!body_link_ok(line->link))
        return "a line that does not begin with a link name";
    return body_record_ok(line->record) ? NULL : "a line whose record is empty, too long or unprintable";
}

int
body_read(char *text, size_t len, struct body_line *lines, size_t *n, const char **why)
{
    *n = 0;
    *why = NULL;
    while (len > 0 && !*why) {
        char *end = memchr(text, '\n', len);

        if (*n == BODY_LINES_MAX) {
            *why = "too many records";
        } else if (!end) {
            *why = "a line without end";
        } else {
            *end = '\0';
            *why = line_flaw(text, (size_t)(end - text), &lines[(*n)++]);
            len -= (size_t)(end + 1 - text);
            text = end + 1;
        }
    }
    if (!*why)
        return RK_OK;
    *n = 0;
    return RK_E_PROTOCOL;
}

size_t
body_put(char *text, size_t used, const struct body_line *line)
{
    size_t link, record;

    if (!body_link_ok(line->link) || !body_record_ok(line->record))
        return 0;
    link = strlen(line->link);
    record = strlen(line->record);
    if (used > BODY_MAX || link + record + 2 > BODY_MAX - used)
        return 0;
    memcpy(text + used, line->link, link);
    text[used + link] = '\t';
    memcpy(text + used + link + 1, line->record, record);
    text[used + link + 1 + record] = '\n';
    return used + link + record + 2;
}
