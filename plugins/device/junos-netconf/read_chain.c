/* read_chain.c - get-hakr-keychain-information: which keys of a chain are active and next.  Pure.
 * src: Juniper YANG "hakr-keychain"; "show security keychain" */
#include "walk.h"

#include <stdlib.h>
#include <string.h>

/* "3", or "None" */
static void
set_number(int *out, const xmlNode *n)
{
    char text[16];
    int64_t number = nc_text(n, text, sizeof text) ? jn_number(text, -1) : -1;

    *out = number >= 0 && number < JN_SLOTS ? (int)number : -1;
}

static void
read_leaf(struct jn_hakr *h, const xmlNode *n)
{
    if (nc_is(n, "hakr-keychain-active-send-key"))
        set_number(&h->active_send, n);
    else if (nc_is(n, "hakr-keychain-active-receive-key"))
        set_number(&h->active_receive, n);
    else if (nc_is(n, "hakr-keychain-next-send-key"))
        set_number(&h->next_send, n);
    else if (nc_is(n, "hakr-keychain-next-receive-key"))
        set_number(&h->next_receive, n);
    else if (nc_is(n, "hakr-keychain-next-key-time"))
        nc_text(n, h->next_time, sizeof h->next_time);
}

int
jn_hakr_read(const xmlNode *root, struct jn_hakr **out, size_t *n)
{
    struct jn_hakr *h = NULL;

    *out = NULL;
    *n = 0;
    for (const xmlNode *e = jn_walk(root, root); e; e = jn_walk(root, e)) {
        if (nc_is(e, "hakr-keychain-name")) {
            h = jn_grow(out, n, sizeof *h, JN_LIST_MAX);
            if (!h) {
                free(*out);
                *out = NULL;
                return *n >= JN_LIST_MAX ? RK_E_PROTOCOL : RK_E_NOMEM;
            }
            h->active_send = h->active_receive = h->next_send = h->next_receive = -1;
            nc_text(e, h->chain, sizeof h->chain);
        } else if (h) {
            read_leaf(h, e);
        }
    }
    return RK_OK;
}
