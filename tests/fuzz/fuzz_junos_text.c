/* fuzz_junos_text.c - the readers of what CLI commands print, with any bytes as the reply.
 *
 * Nothing breaks, and what is read keeps its bounds. */
#include "plugins/common/netconf/xml.h"
#include "plugins/common/junos/read_mka.h"

#include "text.h"

/* Both readers, and the times that stand in such texts. */
static void
look(char *text, size_t size)
{
    struct jn_mka_walk w = {.rows.size = sizeof(struct jn_mka), .row = JN_NO_ROW};
    struct jn_rows rows = {.size = sizeof(struct jn_macsec)};
    char *again = strdup(text), start[20];
    int64_t s;

    (void)size;
    if (jn_start_read(text, 0, &s)) {
        jn_start_write(s, 0, start);
        demand(start[0]);
    }
    jn_mka_text(&w, text);
    if (again)
        jn_macsec_text(&rows, again);
    for (size_t i = 0; i < w.rows.n; i++)
        demand(((struct jn_mka *)w.rows.v)[i].iface[0]);
    free(w.rows.v);
    free(rows.v);
    free(again);
}
