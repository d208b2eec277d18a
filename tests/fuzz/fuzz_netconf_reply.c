/* fuzz_netconf_reply.c - a message of a NETCONF server where a reply is awaited, any bytes.
 *
 * Success is never told beside an error; texts are one printable line, without what may be a key.
 */
#include "plugins/common/netconf/reply.h"

#include <rekey/err.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
demand(bool truth)
{
    if (!truth)
        abort();
}

static void
check_line(const char *text, size_t size, size_t digits)
{
    size_t run = 0;

    demand(memchr(text, '\0', size));
    for (; *text; text++) {
        demand(*text >= ' ' && *text <= '~');
        run = memchr("0123456789abcdefABCDEF", *text, 22) ? run + 1 : 0;
        demand(run < digits);
        demand(strncmp(text, "$9$", 3) != 0 && strncmp(text, "$8$", 3) != 0);
    }
}

static void
check_values(const struct nc_reply *r)
{
    char text[40];

    for (const xmlNode *n = r->root->children; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE) {
            bool found = nc_text(n, text, sizeof text);

            demand(memchr(text, '\0', sizeof text) && found == (text[0] != '\0'));
            (void)nc_find(n, "name");
            (void)nc_next(nc_child(r->root, (const char *)n->name) ? n : r->root);
        }
}

static void
check(const struct nc_reply *r)
{
    demand(r->doc && r->root);
    demand(!r->positive || r->n_errors == 0);
    for (unsigned i = 0; i < r->n_errors && i < NC_ERRORS_MAX; i++) {
        const struct nc_error *e = &r->errors[i];

        check_line(e->type, sizeof e->type, 16);
        check_line(e->tag, sizeof e->tag, 16);
        check_line(e->path, sizeof e->path, 32);
        check_line(e->element, sizeof e->element, 16);
        check_line(e->message, sizeof e->message, 16);
    }
    check_values(r);
    (void)nc_reply_id(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct nc_reply *r = NULL;
    const char *why = NULL;
    int err;

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    err = nc_reply_read(text, size, &r, &why);
    demand(err == RK_OK ? r != NULL : r == NULL);
    demand(err == RK_OK || err == RK_E_NOENT || (err == RK_E_PROTOCOL && why));
    if (r)
        check(r);
    nc_reply_free(&r);
    free(text);
    return 0;
}
