/* row.c - careful access to what the daemon sent. */
#include "row.h"

#include <stdio.h>
#include <string.h>

const char *
rk_row_text(const json_t *row, const char *name, const char *dflt)
{
    const char *text = json_string_value(json_object_get(row, name));

    return text ? text : dflt;
}

bool
rk_row_has_int(const json_t *row, const char *name)
{
    return json_is_integer(json_object_get(row, name));
}

int64_t
rk_row_int(const json_t *row, const char *name, int64_t dflt)
{
    return rk_row_has_int(row, name) ? (int64_t)json_integer_value(json_object_get(row, name)) : dflt;
}

void
rk_row_words(const json_t *row, const char *name, char *out, size_t size)
{
    const json_t *list = json_object_get(row, name);
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        size_t len = word ? strlen(word) : 0;

        if (!word)
            continue;
        if (used + len + sizeof ", ..." > size) {
            snprintf(out + used, size - used, "%s...", used ? ", " : "");
            return;
        }
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", word);
    }
}
