/* tell_conf.c - what a router has of MACsec, LLDP and event scripts, as statements for rekeyctl import-offbox.
 *
 * Runs on a worker thread of rekey-host.  Keys and passwords are left out, in whatever form the router shows them.
 */
#include "statement.h"

#include "rows.h"
#include "shim_set.h"

#include <string.h>

#define BODY                                                                                                           \
    "<get-configuration database=\"committed\" inherit=\"inherit\" format=\"xml\"><configuration>"                     \
    "<system><host-name/><domain-name/><static-host-mapping/></system><security><macsec/></security><event-options/>"  \
    "<protocols><lldp/></protocols><interfaces><interface><name/><description/></interface></interfaces></"            \
    "configuration></get-configuration>"
#define DEPTH_MAX 24

struct teller {
    rk_line_fn *line;
    void *arg;
    char path[JN_REMARK_MAX]; /* what is above the element, with a blank before each word */
};

static bool
is_secret(const char *name, const char *text)
{
    return strcmp(name, "cak") == 0 || strcmp(name, "secret") == 0 || strstr(name, "password") ||
           strncmp(text, "$9$", 3) == 0 || strncmp(text, "$8$", 3) == 0;
}

/* Behind the path.   ret: false: it does not fit, and the statement is left out */
static bool
push(struct teller *t, const char *word, bool quoted)
{
    size_t at = strlen(t->path);
    FILE *out = fmemopen(t->path + at, sizeof t->path - at, "w");
    bool ok = out != NULL;

    if (out && quoted)
        jn_put_quoted(out, word);
    else if (out)
        fprintf(out, " %s", word);
    if (out)
        ok = fclose(out) == 0;
    t->path[sizeof t->path - 1] = '\0';
    if (!ok || strlen(t->path) > sizeof t->path - 16) {
        t->path[at] = '\0';
        t->line(t->arg, "# a statement was left out, for it is too long");
        return false;
    }
    return true;
}

static void
tell(struct teller *t, const char *verb)
{
    char text[JN_REMARK_MAX + 16];

    snprintf(text, sizeof text, "%s%s", verb, t->path);
    t->line(t->arg, text);
}

static bool
has_elements(const xmlNode *n)
{
    for (const xmlNode *c = n->children; c; c = c->next)
        if (c->type == XML_ELEMENT_NODE)
            return true;
    return false;
}

static const char *
local(const xmlNode *n)
{
    return (const char *)n->name;
}

/* A word that is there in XML only. */
static bool
is_silent(const xmlNode *n)
{
    const xmlNode *parent = n->parent;

    return (strcmp(local(n), "data") == 0 && nc_is(parent, "apply-macro")) ||
           (strcmp(local(n), "interface") == 0 && nc_is(parent, "interfaces")) ||
           (strcmp(local(n), "value") == 0 && nc_child(parent, "name"));
}

static void
inactive(struct teller *t, const xmlNode *n)
{
    const char *v = jn_attr(n, "inactive");

    if (v && strcmp(v, "inactive") == 0)
        tell(t, "deactivate");
}

static void
leaf(struct teller *t, const xmlNode *n)
{
    char text[300] = "";

    if (n->children && !nc_text(n, text, sizeof text)) {
        t->line(t->arg, "# a statement was left out, for it is too long");
        return;
    }
    if (is_secret(local(n), text) || (text[0] && !push(t, text, true)))
        return;
    tell(t, "set");
    inactive(t, n);
}

static void walk(struct teller *t, const xmlNode *n, unsigned depth);

/* An element with others in it; one that has nothing but a name is a statement itself. */
static void
box(struct teller *t, const xmlNode *n, unsigned depth)
{
    const xmlNode *key = nc_child(n, "name");
    char name[300];
    bool any = false;

    if (key && (!nc_text(key, name, sizeof name) || !push(t, name, true)))
        return;
    for (const xmlNode *c = n->children; c; c = c->next)
        if (c->type == XML_ELEMENT_NODE && c != key) {
            any = true;
            walk(t, c, depth + 1);
        }
    if (!any)
        tell(t, "set");
    inactive(t, n);
}

static void
walk(struct teller *t, const xmlNode *n, unsigned depth)
{
    size_t at = strlen(t->path);

    if (depth < DEPTH_MAX && (is_silent(n) || push(t, local(n), false))) {
        if (has_elements(n))
            box(t, n, depth);
        else
            leaf(t, n);
    }
    t->path[at] = '\0';
}

void
jn_conf_lines(const xmlNode *conf, rk_line_fn *line, void *arg)
{
    struct teller t = {.line = line, .arg = arg, .path = ""};

    for (const xmlNode *c = conf ? conf->children : NULL; c; c = c->next)
        if (c->type == XML_ELEMENT_NODE)
            walk(&t, c, 0);
}

int
jn_conf_tell(struct jn_device *d, struct rk_call *call, rk_line_fn *line, void *arg)
{
    struct nc_part part = {.kind = NC_TEXT, .text = BODY};
    struct nc_request request = {.what = "get-configuration", .parts = &part, .n = 1, .secret_reply = true};
    struct nc_reply *reply = NULL;
    int err = jn_rpc(d, call, &request, &reply);

    if (!err && !nc_find(reply->root, "configuration"))
        err = d->host->fail(call, RK_E_PROTOCOL, "%s: the answer to get-configuration is not understood", d->opt.host);
    if (!err)
        jn_conf_lines(nc_find(reply->root, "configuration"), line, arg);
    nc_reply_free(&reply);
    return err;
}
