/* junos_fake.c - a router for tests of the write side: its tree, its readers, and the requests it answers. */
#include "junos_fake.h"

#include "plugins/common/keytext.h"

#include <libxml/parser.h>
#include <rekey/plugin.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fake_router router;
struct rk_call fake_router_call;
static char why[400];

/* ---- the tree ---- */

static xmlNode *
child(const xmlNode *parent, const char *name)
{
    for (xmlNode *c = parent ? parent->children : NULL; c; c = c->next)
        if (c->type == XML_ELEMENT_NODE && strcmp((const char *)c->name, name) == 0)
            return c;
    return NULL;
}

/* The text, until so many more were asked for. */
#define TEXTS 512
static char *
text_of(const xmlNode *n)
{
    static char *ring[TEXTS];
    static size_t at;
    char **slot = &ring[at++ % TEXTS];

    xmlFree(*slot);
    *slot = n ? (char *)xmlNodeGetContent(n) : NULL;
    return *slot ? *slot : (char *)"";
}

static char *
child_text(const xmlNode *parent, const char *name)
{
    return text_of(child(parent, name));
}

/* The element of a list with this <name>. */
static xmlNode *
item(const xmlNode *parent, const char *list, const char *asked)
{
    char name[128]; /* a copy: text_of has only so many buffers */

    snprintf(name, sizeof name, "%s", asked);
    for (xmlNode *c = child(parent, list); c; c = c->next)
        if (c->type == XML_ELEMENT_NODE && strcmp((const char *)c->name, list) == 0 &&
            strcmp(child_text(c, "name"), name) == 0)
            return c;
    return NULL;
}

static xmlNode *
macsec_of(const xmlDoc *doc)
{
    return child(child(xmlDocGetRootElement(doc), "security"), "macsec");
}

static xmlNode *
chain_of(const xmlDoc *doc, const char *name)
{
    return item(child(child(xmlDocGetRootElement(doc), "security"), "authentication-key-chains"), "key-chain", name);
}

const char *
fake_at(const char *ca, const char *place)
{
    const xmlNode *n = item(macsec_of(router.committed), "connectivity-association", ca);
    char path[100];

    snprintf(path, sizeof path, "%s", place);
    for (char *save = NULL, *word = strtok_r(path, "/", &save); word; word = strtok_r(NULL, "/", &save))
        n = child(n, word);
    return n ? text_of(n) : "";
}

static xmlNode *
slot_of(const char *chain, int slot)
{
    char name[8];

    snprintf(name, sizeof name, "%d", slot);
    return item(chain_of(router.committed, chain), "key", name);
}

const char *
fake_slot(const char *chain, int slot, const char *leaf)
{
    return child_text(slot_of(chain, slot), leaf);
}

size_t
fake_slots(const char *chain)
{
    size_t n = 0;

    for (int i = 0; i < JN_SLOTS; i++)
        n += slot_of(chain, i) != NULL;
    return n;
}

const char *
fake_description(const char *iface)
{
    return child_text(item(child(xmlDocGetRootElement(router.committed), "interfaces"), "interface", iface),
                      "description");
}

const char *
fake_macro(const char *ca, const char *key_id)
{
    const xmlNode *n = item(macsec_of(router.committed), "connectivity-association", ca);
    const xmlNode *data = item(item(n, "apply-macro", "rekey"), "data", fake_ckn(key_id));

    return data ? child_text(data, "value") : NULL;
}

/* ---- load: merge into the candidate ---- */

static bool
is_delete(xmlNode *n)
{
    xmlChar *v = xmlGetProp(n, BAD_CAST "delete");
    bool is = v && strcmp((const char *)v, "delete") == 0;

    xmlFree(v);
    return is;
}

static void
merge(xmlNode *to, xmlNode *from)
{
    for (xmlNode *c = from->children; c; c = c->next) {
        xmlNode *at, *name;

        if (c->type != XML_ELEMENT_NODE)
            continue;
        name = child(c, "name");
        at = name ? item(to, (const char *)c->name, text_of(name)) : child(to, (const char *)c->name);
        if (is_delete(c)) {
            assert_non_null(at); /* what is not there is not to be deleted */
            xmlUnlinkNode(at);
            xmlFreeNode(at);
        } else if (!at) {
            xmlAddChild(to, xmlDocCopyNode(c, to->doc, 1));
        } else if (!child(c, "name") && !xmlFirstElementChild(c)) {
            xmlNodeSetContent(at, BAD_CAST "");
            xmlNodeAddContent(at, BAD_CAST text_of(c));
        } else {
            merge(at, c);
        }
    }
}

/* ---- what a router would refuse, and more ---- */

static bool
hex_of(const char *text, size_t len)
{
    return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

static bool
stored_is(const char *text, size_t digits)
{
    return strncmp(text, "$9$", 3) == 0 && hex_of(text + 3, digits);
}

/* NULL, or what is wrong with the key of this place */
static const char *
key_fault(const xmlNode *n, const char *cak_name, const char *ckn_name, size_t digits)
{
    const char *cak = child_text(n, cak_name), *ckn = child_text(n, ckn_name);

    if (!n)
        return NULL;
    if (strlen(ckn) % 2 || !ckn[0] || strspn(ckn, "0123456789abcdef") != strlen(ckn) || strlen(ckn) > 64)
        return "ckn: Must be an even-length string up to 64 hexadecimal digits";
    return stored_is(cak, digits) ? NULL : "cak of another length than the cipher suite needs";
}

/* An association that is prepared has no key yet. */
static bool
had_key(const char *asked)
{
    char ca[64];

    snprintf(ca, sizeof ca, "%s", asked);
    return fake_at(ca, "pre-shared-key/ckn")[0] || fake_at(ca, "fallback-key/ckn")[0];
}

static const char *
ca_fault(const xmlDoc *doc, xmlNode *ca)
{
    size_t digits = strstr(child_text(ca, "cipher-suite"), "256") ? 64 : 32;
    const xmlNode *psk = child(ca, "pre-shared-key"), *fb = child(ca, "fallback-key"), *chain = NULL;
    const char *fault = key_fault(psk, "cak", "ckn", digits);

    if (child(ca, "pre-shared-key-chain"))
        chain = chain_of(doc, child_text(ca, "pre-shared-key-chain"));
    if (!fault)
        fault = key_fault(fb, "cak", "ckn", digits);
    if (!fault && psk && fb && strcmp(child_text(psk, "ckn"), child_text(fb, "ckn")) == 0)
        fault = "fallback-key has the ckn of pre-shared-key";
    if (!fault && child(ca, "pre-shared-key-chain") && !chain)
        fault = "authentication-key-chains not defined";
    for (xmlNode *k = chain ? chain->children : NULL; !fault && k; k = k->next) {
        if (k->type != XML_ELEMENT_NODE || strcmp((const char *)k->name, "key") != 0)
            continue;
        fault = key_fault(k, "secret", "key-name", digits);
        if (!fault && fb && strcmp(child_text(fb, "ckn"), child_text(k, "key-name")) == 0)
            fault = "fallback-key has the ckn of a key of the chain";
        for (xmlNode *o = k->next; !fault && o; o = o->next)
            if (o->type == XML_ELEMENT_NODE && child(o, "start-time") &&
                strcmp(child_text(o, "start-time"), child_text(k, "start-time")) == 0)
                fault = "start-time must be unique";
    }
    if (!fault && chain && !child(chain, "key") && !child(chain, "description"))
        fault = "key-chain is empty";
    if (!fault && !psk && !fb && !chain && had_key(child_text(ca, "name")))
        fault = "pre-shared key or fallback-key or pre-shared-key-chain required";
    return fault;
}

static const char *
fault_of(const xmlDoc *doc, char *path, size_t size)
{
    for (xmlNode *ca = child(macsec_of(doc), "connectivity-association"); ca; ca = ca->next) {
        const char *fault = ca->type == XML_ELEMENT_NODE &&
                            strcmp((const char *)ca->name, "connectivity-association") == 0 ? ca_fault(doc, ca) : NULL;

        if (!fault)
            continue;
        snprintf(path, size, "[edit security macsec connectivity-association %s]", child_text(ca, "name"));
        return fault;
    }
    return NULL;
}

/* ---- secrets: written as digits, kept as "$9$" and digits ---- */

static int
use_hex(const unsigned char *bytes, size_t len, void *arg)
{
    char hex[200];

    assert_true(2 * len < sizeof hex);
    rkp_hex_put(bytes, len, hex);
    fprintf(arg, "%s", hex);
    return RK_OK;
}

static int
use_text(const unsigned char *bytes, size_t len, void *arg)
{
    fwrite(bytes, 1, len, arg);
    return RK_OK;
}

static char *
assemble(const struct nc_request *r, bool as_stored)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    for (size_t i = 0; i < r->n; i++) {
        if (r->parts[i].kind == NC_TEXT) {
            assert_null(strstr(r->parts[i].text, "$9$"));
            fputs(r->parts[i].text, out);
        } else if (r->parts[i].kind == NC_SECRET_HEX) {
            fputs(as_stored ? "$9$" : "", out);
            fake_host.secret_use(r->parts[i].secret, use_hex, out);
        } else {
            fake_host.secret_use(r->parts[i].secret, use_text, out);
        }
    }
    fclose(out);
    return text;
}

/* ---- answers ---- */

static struct nc_reply *
answer(bool positive)
{
    struct nc_reply *r = calloc(1, sizeof *r);

    r->positive = positive;
    return r;
}

static struct nc_reply *
error_of(const char *message, const char *path)
{
    struct nc_reply *r = answer(false);

    r->n_errors = 1;
    snprintf(r->errors[0].message, sizeof r->errors[0].message, "%s", message ? message : "syntax error");
    snprintf(r->errors[0].path, sizeof r->errors[0].path, "%s", path ? path : "");
    return r;
}

void
nc_reply_free(struct nc_reply **reply)
{
    if (*reply)
        xmlFreeDoc((*reply)->doc);
    free(*reply);
    *reply = NULL;
}

static const struct fake_rule *
rule_of(const char *what, unsigned nth)
{
    for (size_t i = 0; i < router.n_rules; i++)
        if (strcmp(router.rule[i].what, what) == 0 && (router.rule[i].n == 0 || router.rule[i].n == nth))
            return &router.rule[i];
    return NULL;
}

static void
open_edit(void)
{
    assert_null(router.candidate); /* an edit is closed before the next one */
    router.candidate = xmlCopyDoc(router.committed, 1);
    router.open++;
}

static void
close_edit(void)
{
    router.open -= router.candidate != NULL;
    xmlFreeDoc(router.candidate);
    router.candidate = NULL;
}

static int
do_load(const struct nc_request *r, struct nc_reply **reply)
{
    char *stored = assemble(r, true), *load = stored;
    xmlDoc *doc = xmlReadMemory(load, (int)strlen(load), NULL, NULL, XML_PARSE_NONET);
    xmlNode *conf;

    assert_non_null(router.candidate); /* an edit is open */
    assert_non_null(doc);
    assert_null(strstr(load, "replace"));
    if (strstr(load, "security-mode")) /* only of what has none */
        assert_string_equal(fake_at("CA1", "security-mode"), "");
    conf = child(xmlDocGetRootElement(doc), "configuration");
    assert_null(child(child(child(conf, "security"), "macsec"), "interfaces")); /* no binding is ever written */
    merge(xmlDocGetRootElement(router.candidate), conf);
    xmlFreeDoc(doc);
    free(stored);
    free(router.payload);
    router.payload = assemble(r, false);
    router.loads++;
    *reply = answer(true);
    return RK_OK;
}

static int
do_commit(const struct nc_request *r, struct nc_reply **reply)
{
    const char *log = r->n ? strstr(r->parts[0].text, "<log>") : NULL;
    bool check = strstr(r->parts[0].text, "<check/>") != NULL;
    char path[160];
    const char *fault;

    assert_non_null(router.candidate);
    fault = fault_of(router.candidate, path, sizeof path);
    if (fault) {
        *reply = error_of(fault, path);
        return RK_E_REJECTED;
    }
    router.checks += check;
    if (!check) {
        xmlFreeDoc(router.committed);
        router.committed = xmlCopyDoc(router.candidate, 1);
        router.commits++;
        if (router.n_log == 50)
            memmove(router.log, router.log + 1, sizeof router.log[0] * --router.n_log);
        if (!router.forgets && log)
            snprintf(router.log[router.n_log++], sizeof router.log[0], "%.*s", (int)strcspn(log + 5, "<"), log + 5);
    }
    *reply = answer(true);
    return RK_OK;
}

static int
do_request(const struct nc_request *r, struct nc_reply **reply)
{
    if (strcmp(r->what, "open-configuration") == 0 || strcmp(r->what, "lock-configuration") == 0)
        open_edit();
    else if (strcmp(r->what, "close-configuration") == 0 || strcmp(r->what, "unlock-configuration") == 0)
        close_edit();
    else if (strcmp(r->what, "discard-changes") == 0)
        router.discards++;
    else if (strcmp(r->what, "load-configuration") == 0)
        return do_load(r, reply);
    else if (strcmp(r->what, "commit-configuration") == 0)
        return do_commit(r, reply);
    *reply = answer(true);
    return RK_OK;
}

static unsigned
count(const char *what)
{
    if (strcmp(what, "load-configuration") == 0)
        return ++router.seen_loads;
    if (strcmp(what, "commit-configuration") == 0)
        return ++router.seen_commits;
    if (strcmp(what, "get-commit-information") == 0)
        return ++router.seen_looks;
    if (strcmp(what, "get-configuration-database-status") == 0)
        return ++router.seen_status;
    return ++router.seen_opens;
}

/* The session is over: what is not committed is gone. */
static int
over(int err, struct nc_reply **reply)
{
    nc_reply_free(reply);
    close_edit();
    router.d.nc = NULL;
    return err;
}

int
jn_rpc_here(struct jn_device *d, struct rk_call *call, const struct nc_request *r, struct nc_reply **reply)
{
    const struct fake_rule *rule = rule_of(r->what, count(r->what));
    int err = RK_OK;

    (void)call;
    *reply = NULL;
    if (!d->nc)
        return RK_E_UNREACHABLE;
    if (rule && rule->end == FAKE_ERROR) {
        *reply = error_of(rule->message, rule->path);
        return RK_E_REJECTED;
    }
    if (rule && (rule->end == FAKE_LOST || rule->end == FAKE_UNSENT))
        return over(rule->end == FAKE_LOST ? RK_E_UNKNOWN : RK_E_UNREACHABLE, reply);
    err = do_request(r, reply);
    if (!rule || err)
        return err;
    if (rule->end == FAKE_SILENT)
        return over(RK_E_UNKNOWN, reply);
    (*reply)->n_warnings = rule->end == FAKE_WARNING;
    (*reply)->positive = rule->end != FAKE_MALFORMED;
    if (rule->end == FAKE_BOTH) {
        (*reply)->n_errors = 1;
        return RK_E_REJECTED;
    }
    return RK_OK;
}

int
jn_rpc(struct jn_device *d, struct rk_call *call, const struct nc_request *r, struct nc_reply **reply)
{
    d->nc = (struct nc_session *)&router;
    return jn_rpc_here(d, call, r, reply);
}

/* Reads whose reply is made by the readers below need no document, but the database status. */
static void
status(struct nc_reply *r)
{
    char xml[300];

    snprintf(xml, sizeof xml, "<rpc-reply><database-status-information>%s%s%s</database-status-information>"
             "</rpc-reply>", router.holder ? "<database-status><user>x</user><pid>" : "",
             router.holder ? router.holder : "", router.holder ? "</pid></database-status>" : "");
    r->doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, 0);
    r->root = xmlDocGetRootElement(r->doc);
}

int
jn_ask(struct jn_device *d, struct rk_call *call, const char *what, const char *body, struct nc_reply **reply)
{
    struct nc_part part = {.kind = NC_TEXT, .text = body};
    struct nc_request r = {.what = what, .parts = &part, .n = 1};
    int err = jn_rpc(d, call, &r, reply);

    if (!err && strcmp(what, "get-configuration-database-status") == 0) {
        if (router.no_status) {
            nc_reply_free(reply);
            *reply = error_of("syntax error", "");
            return RK_E_REJECTED;
        }
        status(*reply);
    }
    return err;
}

void
jn_hang_up(struct jn_device *d)
{
    close_edit();
    d->nc = NULL;
}

int
jn_know(struct jn_device *d, struct rk_call *call)
{
    (void)call;
    d->known = true;
    return RK_OK;
}

const char *
nc_id(const struct nc_session *s)
{
    (void)s;
    return "4711";
}

/* ---- reading ---- */

bool
nc_is(const xmlNode *node, const char *name)
{
    return node && node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

const xmlNode *
nc_find(const xmlNode *top, const char *name)
{
    for (const xmlNode *c = top ? top->children : NULL; c; c = c->next) {
        const xmlNode *below = nc_is(c, name) ? c : nc_find(c, name);

        if (below)
            return below;
    }
    return NULL;
}

const xmlNode *
nc_next(const xmlNode *node)
{
    const char *name = (const char *)node->name;

    for (node = node->next; node; node = node->next)
        if (nc_is(node, name))
            return node;
    return NULL;
}

bool
nc_child_text(const xmlNode *parent, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s", child_text(parent, name));
    return out[0] != '\0';
}

int
jn_commits_read(const xmlNode *root, struct jn_commit **out, size_t *n)
{
    (void)root;
    *out = calloc(router.n_log + 1, sizeof **out);
    for (*n = 0; *n < router.n_log; ++*n)
        snprintf((*out)[*n].log, sizeof (*out)->log, "%s", router.log[*n]);
    return RK_OK;
}

static struct rk_secret *
stored_of(const xmlNode *n, const char *leaf)
{
    const char *text = child_text(n, leaf);

    return text[0] ? fake_secret(text, strlen(text)) : NULL;
}

static void
read_key(struct jn_key *k, const xmlNode *n, const char *cak, const char *ckn)
{
    *k = (struct jn_key){.slot = -1};
    if (!n)
        return;
    snprintf(k->ckn, sizeof k->ckn, "%s", child_text(n, ckn));
    k->stored = stored_of(n, cak);
    k->bad_start = child(n, "start-time") && !jn_start_read(child_text(n, "start-time"), router.zone_s, &k->start_s);
    if (router.zone_change_s && k->start_s >= router.zone_change_s) /* as routers print it, with its offset */
        (void)jn_start_read(child_text(n, "start-time"), router.zone_later_s, &k->start_s);
}

static void
read_macro(struct jn_macro *m, xmlNode *n)
{
    m->pair = calloc(JN_OWN_MAX, sizeof *m->pair);
    for (xmlNode *c = n ? child(n, "data") : NULL; c; c = (xmlNode *)nc_next(c)) {
        snprintf(m->pair[m->n].name, sizeof m->pair->name, "%s", child_text(c, "name"));
        snprintf(m->pair[m->n++].value, sizeof m->pair->value, "%s", child_text(c, "value"));
    }
}

static void
read_ca(struct jn_ca *ca, xmlNode *n)
{
    snprintf(ca->name, sizeof ca->name, "%s", child_text(n, "name"));
    snprintf(ca->cipher, sizeof ca->cipher, "%s", child_text(n, "cipher-suite"));
    snprintf(ca->mode, sizeof ca->mode, "%s", child_text(n, "security-mode"));
    snprintf(ca->chain, sizeof ca->chain, "%s", child_text(n, "pre-shared-key-chain"));
    ca->should_secure = child(child(n, "mka"), "should-secure") != NULL;
    ca->no_preceding = child(n, "disable-preceding-key") != NULL;
    ca->inactive = xmlHasProp(n, BAD_CAST "inactive") != NULL;
    read_key(&ca->psk, child(n, "pre-shared-key"), "cak", "ckn");
    read_key(&ca->fallback, child(n, "fallback-key"), "cak", "ckn");
    read_macro(&ca->rekey, item(n, "apply-macro", "rekey"));
}

static void
read_chain(struct jn_chain *chain, xmlNode *n)
{
    snprintf(chain->name, sizeof chain->name, "%s", child_text(n, "name"));
    chain->key = calloc(JN_SLOTS, sizeof *chain->key);
    for (xmlNode *k = child(n, "key"); k; k = (xmlNode *)nc_next(k)) {
        read_key(&chain->key[chain->n], k, "secret", "key-name");
        chain->key[chain->n++].slot = atoi(child_text(k, "name"));
    }
}

#define MOST 80

static struct jn_conf *
read_conf(void)
{
    struct jn_conf *c = calloc(1, sizeof *c);
    xmlNode *root = xmlDocGetRootElement(router.committed), *security = child(root, "security");
    xmlNode *macsec = child(security, "macsec");

    c->ca = calloc(MOST, sizeof *c->ca);
    c->port = calloc(MOST, sizeof *c->port);
    c->chain = calloc(MOST, sizeof *c->chain);
    c->text = calloc(MOST, sizeof *c->text);
    for (xmlNode *n = child(macsec, "connectivity-association"); n; n = (xmlNode *)nc_next(n))
        read_ca(&c->ca[c->n_ca++], n);
    for (xmlNode *n = child(macsec, "interfaces"); n; n = (xmlNode *)nc_next(n)) {
        snprintf(c->port[c->n_port].name, sizeof c->port->name, "%s", child_text(n, "name"));
        snprintf(c->port[c->n_port++].ca, sizeof c->port->ca, "%s", child_text(n, "connectivity-association"));
    }
    for (xmlNode *n = child(child(security, "authentication-key-chains"), "key-chain"); n; n = (xmlNode *)nc_next(n))
        read_chain(&c->chain[c->n_chain++], n);
    for (xmlNode *n = child(child(root, "interfaces"), "interface"); n; n = (xmlNode *)nc_next(n)) {
        snprintf(c->text[c->n_text].name, sizeof c->text->name, "%s", child_text(n, "name"));
        c->text[c->n_text].hidden = strlen(child_text(n, "description")) >= sizeof c->text->description;
        if (!c->text[c->n_text].hidden)
            snprintf(c->text[c->n_text].description, sizeof c->text->description, "%s", child_text(n, "description"));
        c->n_text++;
    }
    return c;
}

#define FIND(list, n_list, by) \
    for (size_t i = 0; i < c->n_list; i++) \
        if (strcmp(c->list[i].name, by) == 0) \
            return &c->list[i]; \
    return NULL

const struct jn_port *
jn_conf_port(const struct jn_conf *c, const char *iface)
{
    FIND(port, n_port, iface);
}

const struct jn_ca *
jn_conf_ca(const struct jn_conf *c, const char *name)
{
    FIND(ca, n_ca, name);
}

const struct jn_chain *
jn_conf_chain(const struct jn_conf *c, const char *name)
{
    FIND(chain, n_chain, name);
}

bool
jn_ckn_same(const char *printed, const char *ckn)
{
    return strcmp(printed, ckn) == 0;
}

bool
jn_start_read(const char *text, int32_t zone_s, int64_t *unix_s)
{
    struct tm tm = {0};

    if (sscanf(text, "%4d-%2d-%2d.%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec) != 6)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    *unix_s = (int64_t)timegm(&tm) - zone_s;
    return true;
}

void
jn_start_write(int64_t unix_s, int32_t zone_s, char out[20])
{
    time_t local = (time_t)(unix_s + zone_s);
    struct tm tm;

    gmtime_r(&local, &tm);
    strftime(out, 20, "%Y-%m-%d.%H:%M:%S", &tm);
}

static void
forget_stored(struct jn_conf *c)
{
    for (size_t i = 0; i < c->n_ca; i++) {
        fake_host.secret_free(&c->ca[i].psk.stored);
        fake_host.secret_free(&c->ca[i].fallback.stored);
    }
    for (size_t i = 0; i < c->n_chain; i++)
        for (size_t k = 0; k < c->chain[i].n; k++)
            fake_host.secret_free(&c->chain[i].key[k].stored);
}

int
jn_view_get_for(struct jn_device *d, struct rk_call *call, unsigned want, const char *const *ifaces, size_t n,
                struct jn_view **out)
{
    struct jn_view *v = calloc(1, sizeof *v);

    (void)call;
    (void)ifaces;
    (void)n;
    *out = NULL;
    if (router.view_err && router.seen_commits) {
        free(v);
        return router.view_err;
    }
    d->nc = (struct nc_session *)&router;
    v->conf = read_conf();
    if (!(want & JN_WANT_STORED))
        forget_stored(v->conf);
    v->clock.zone_s = router.zone_s;
    v->clock_offset_ms = router.clock_offset_s * 1000;
    if (router.sender) {
        v->mka = calloc(1, sizeof *v->mka);
        v->n_mka = 1;
        *v->mka = (struct jn_mka){.state = JN_MKA_PRIMARY, .type = JN_CAK_PRIMARY, .status = JN_CAK_LIVE,
                                  .has_sak = true};
        snprintf(v->mka->iface, sizeof v->mka->iface, "%s", router.sender);
        snprintf(v->mka->ckn, sizeof v->mka->ckn, "%s", router.sender_ckn);
    }
    *out = v;
    return RK_OK;
}

int
jn_view_get(struct jn_device *d, struct rk_call *call, unsigned want, struct jn_view **out)
{
    return jn_view_get_for(d, call, want, NULL, 0, out);
}

void
jn_view_free(const struct rk_host *host, struct jn_view **view)
{
    struct jn_view *v = *view;

    for (size_t i = 0; v && i < v->conf->n_ca; i++) {
        host->secret_free(&v->conf->ca[i].psk.stored);
        host->secret_free(&v->conf->ca[i].fallback.stored);
        free(v->conf->ca[i].rekey.pair);
    }
    for (size_t i = 0; v && i < v->conf->n_chain; i++) {
        for (size_t k = 0; k < v->conf->chain[i].n; k++)
            host->secret_free(&v->conf->chain[i].key[k].stored);
        free(v->conf->chain[i].key);
    }
    if (v) {
        free(v->conf->ca);
        free(v->conf->port);
        free(v->conf->chain);
        free(v->conf->text);
        free(v->conf);
        free(v->mka);
    }
    free(v);
    *view = NULL;
}

/* ---- names and keys ---- */

int
jn_ckn(const struct jn_device *d, const char *key_id, char ckn[JN_CKN_HEX + 1])
{
    unsigned char digest[32];

    (void)d;
    fake_host.sha256(key_id, strlen(key_id), digest);
    rkp_hex_put(digest, sizeof digest, ckn);
    return RK_OK;
}

int
jn_cak(const struct jn_device *d, const struct rk_secret *key, const struct jn_cak_use *use, struct rk_secret **cak)
{
    char info[200];

    (void)d;
    snprintf(info, sizeof info, "%s|%s", use->link, use->key_id);
    return fake_host.secret_derive(key, info, strlen(info), strstr(use->cipher, "256") ? 32 : 16, cak);
}

const char *
fake_ckn(const char *key_id)
{
    static char ring[8][JN_CKN_HEX + 1];
    static size_t at;
    char *out = ring[at++ % 8];

    jn_ckn(&router.d, key_id, out);
    return out;
}

static struct rk_secret *
key_of(const char *key_id)
{
    unsigned char digest[32];

    fake_host.sha256(key_id, strlen(key_id) + 1, digest);
    return fake_secret(digest, sizeof digest);
}

const char *
fake_stored(const char *key_id, const char *link, const char *cipher)
{
    static char ring[8][80];
    static size_t at;
    char *out = ring[at++ % 8];
    struct rk_secret *key = key_of(key_id), *cak = NULL;
    struct jn_cak_use use = {.link = link, .key_id = key_id, .cipher = cipher};
    FILE *f = fmemopen(out, sizeof ring[0], "w");

    assert_int_equal(jn_cak(&router.d, key, &use, &cak), RK_OK);
    fputs("$9$", f);
    fake_host.secret_use(cak, use_hex, f);
    fclose(f);
    fake_host.secret_free(&cak);
    fake_host.secret_free(&key);
    return out;
}

/* ---- calls ---- */

struct rk_dev_op
fake_op(uint32_t kind, const char *iface, uint64_t seq, const char *key_id, const char *text)
{
    return (struct rk_dev_op){.kind = kind, .seq = seq, .link = iface, .iface = iface, .key_id = key_id,
                              .peer_facts = "", .text = text, .err = RK_E_CONTRACT};
}

int
fake_apply(struct rk_dev_op *ops, size_t n)
{
    struct rk_secret *key[64] = {NULL};
    int err;

    for (size_t i = 0; i < n; i++) {
        if (ops[i].kind == RK_OP_STAGE)
            ops[i].key = key[i] = key_of(ops[i].key_id);
        ops[i].err = RK_E_CONTRACT;
    }
    router.seen_commits = router.seen_loads = router.seen_opens = router.seen_looks = router.seen_status = 0;
    err = jn_apply(&router.d, &fake_router_call, ops, n);
    for (size_t i = 0; i < n; i++)
        fake_host.secret_free(&key[i]);
    assert_null(router.candidate); /* nothing is left open */
    assert_null(strstr(fake_log(), "$9$"));
    return err;
}

int
fake_one(uint32_t kind, const char *iface, uint64_t seq, const char *key_id, const char *text)
{
    struct rk_dev_op op = fake_op(kind, iface, seq, key_id, text);
    int err = fake_apply(&op, 1);

    snprintf(why, sizeof why, "%s", err ? fake_router_call.text : op.why);
    return err ? err : op.err;
}

const char *
fake_why(void)
{
    return why;
}

void
fake_on(struct fake_rule rule)
{
    router.rule[router.n_rules++] = rule;
}

void
fake_router_start(const char *conf)
{
    memset(&router, 0, sizeof router);
    router.d.host = &fake_host;
    router.d.opt = (struct jn_options){.name = (char *)"r1", .host = (char *)"r1.example", .user = (char *)"rekeyd",
                                       .commit_ms = 300000, .rpc_ms = 30000};
    snprintf(router.d.release, sizeof router.d.release, "22.2R1.9");
    router.committed = xmlReadMemory(conf, (int)strlen(conf), NULL, NULL, XML_PARSE_NOBLANKS);
    assert_non_null(router.committed);
    fake_call(&fake_router_call, 60000);
    fake_log_clear();
}

void
fake_router_end(void)
{
    jn_sealed_free(&router.d);
    xmlFreeDoc(router.committed);
    xmlFreeDoc(router.candidate);
    free(router.payload);
    for (int i = 0; i < TEXTS; i++)
        (void)text_of(NULL);
    fake_call_end(&fake_router_call);
}
