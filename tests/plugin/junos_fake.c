/* junos_fake.c - a router for tests of the write side: the requests it answers, its keys, and calls. */
#include "junos_fake.h"
#include "junos_fake_tree.h"

#include "plugins/common/keytext.h"

#include <libxml/parser.h>
#include <rekey/plugin.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fake_router router;
struct rk_call fake_router_call;
static char why[400];

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
    conf = xchild(xmlDocGetRootElement(doc), "configuration");
    /* no binding is ever written */
    assert_null(xchild(xchild(xchild(conf, "security"), "macsec"), "interfaces"));
    fake_merge(xmlDocGetRootElement(router.candidate), conf);
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
    fault = fake_fault(router.candidate, path, sizeof path);
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
    router.d.session = NULL;
    return err;
}

int
jn_rpc_here(struct jn_device *d, struct rk_call *call, const struct nc_request *r, struct nc_reply **reply)
{
    const struct fake_rule *rule = rule_of(r->what, count(r->what));
    int err = RK_OK;

    (void)call;
    *reply = NULL;
    if (!d->session)
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
    d->session = &router;
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
    d->session = NULL;
}

int
jn_know(struct jn_device *d, struct rk_call *call)
{
    (void)call;
    d->known = true;
    return RK_OK;
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
    strcpy(router.d.holder, "4711");
    router.d.opt = (struct jn_options){.name = (char *)"r1", .host = (char *)"r1.example", .user = (char *)"rekeyd",
                                       .commit_ms = 300000};
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
    fake_texts_end();
    fake_call_end(&fake_router_call);
}

int
fake_router_teardown(void **state)
{
    (void)state;
    fake_router_end();
    return 0;
}
