/* fuzz_offbox.c - configurations that somebody saved: statements are bounded and have words, what is refused says
 * where, and what is understood is written without a line of its own choice. */
#include "core/cli/offbox.h"

#include "text.h"

#include <stdio.h>

static bool
take(void *model, const struct rk_junos_line *l)
{
    demand(l->line > 0 && l->n > 0 && l->n <= RK_JUNOS_WORDS);
    for (size_t i = 0; i < l->n; i++)
        demand(strlen(l->word[i]) < RK_JUNOS_PATH_MAX);
    return rk_offbox_take(model, l);
}

static void
look(char *text, size_t size)
{
    static const struct rk_offbox_want want = {.from = "f"};
    struct rk_junos_why why = {.text = ""};
    json_t *model = rk_offbox_new();
    char *yaml = NULL;
    size_t len = 0;

    demand(model != NULL);
    if (!rk_junos_read(text, size, take, model, &why)) {
        demand(strncmp(why.text, "line ", 5) == 0);
    } else if (rk_offbox_check(model, &why)) {
        const char *script = rk_offbox_script(model, NULL);
        FILE *out = open_memstream(&yaml, &len);

        json_decref(rk_offbox_changes(model, script));
        json_decref(rk_offbox_stays(model, script));
        demand(out != NULL);
        rk_offbox_yaml(out, model, &want);
        fclose(out);
        for (size_t i = 0; i < len; i++)
            demand(yaml[i] == '\n' || (yaml[i] >= 0x20 && yaml[i] < 0x7f));
        free(yaml);
    } else {
        demand(why.text[0]);
    }
    json_decref(model);
}
