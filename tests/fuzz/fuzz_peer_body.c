/* fuzz_peer_body.c - the body of a request of the channel "peer", with any bytes: what is taken is whole lines of link
 * names and records, and written again it is the same body. */
#include "plugins/channel/peer/body.h"

#include "text.h"

static void
look(char *text, size_t size)
{
    static struct body_line lines[BODY_LINES_MAX];
    static char again[BODY_MAX];
    char *before = malloc(size + 1);
    const char *why = NULL;
    size_t n = 99, used = 0;
    int err;

    if (!before)
        return;
    memcpy(before, text, size);
    err = body_read(text, size, lines, &n, &why);
    demand(err == RK_OK ? !why : err == RK_E_PROTOCOL && why && n == 0);
    demand(n <= BODY_LINES_MAX);
    for (size_t i = 0; i < n; i++) {
        demand(body_link_ok(lines[i].link) && body_record_ok(lines[i].record));
        demand(lines[i].link >= text && lines[i].record < text + size);
        used = body_put(again, used, &lines[i]);
        demand(used > 0);
    }
    demand(err || (used == size && memcmp(before, again, size) == 0));
    free(before);
}
