/* junos_readrig.c - see junos_readrig.h */
#include "junos_readrig.h"

#include <libxml/parser.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

bool rig_secret;
unsigned rig_ahead;
static struct rig_rule *rules_now;
static size_t n_rules;

static char *
slurp(const char *name)
{
    const char *top = getenv("top_srcdir");
    char path[512], *text = calloc(1, 65536);
    FILE *f;

    snprintf(path, sizeof path, "%s/tests/plugin/junos/%s", top ? top : ".", name);
    f = fopen(path, "r");
    if (!f || !text)
        fail_msg("%s: cannot be read", path);
    assert_true(fread(text, 1, 65535, f) > 0);
    fclose(f);
    return text;
}

xmlDoc *
rig_text(const char *text)
{
    xmlDoc *doc = xmlReadMemory(text, (int)strlen(text), NULL, "UTF-8", XML_PARSE_NONET | XML_PARSE_NOERROR);

    if (!doc)
        fail_msg("no XML: %.80s", text);
    return doc;
}

xmlDoc *
rig_file(const char *name)
{
    char *text = slurp(name);
    xmlDoc *doc = rig_text(text);

    free(text);
    return doc;
}

xmlDoc *
rig_output(const char *name)
{
    char *text = slurp(name);
    xmlDoc *doc = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *root = xmlNewNode(NULL, (const xmlChar *)"rpc-reply");

    xmlDocSetRootElement(doc, root);
    xmlNewTextChild(root, NULL, (const xmlChar *)"output", (const xmlChar *)text);
    free(text);
    return doc;
}

void
rig_rules(struct rig_rule *rules, size_t n)
{
    rules_now = rules;
    n_rules = n;
}

static int
answer(const char *body, struct nc_reply **reply)
{
    struct nc_reply *r;

    *reply = NULL;
    for (size_t i = 0; i < n_rules; i++) {
        struct rig_rule *rule = &rules_now[i];

        if (!strstr(body, rule->part))
            continue;
        rule->asked++;
        if (rule->err)
            return rule->err;
        r = calloc(1, sizeof *r);
        assert_non_null(r);
        *reply = r;
        if (!rule->reply) {
            r->n_errors = 1;
            snprintf(r->errors[0].message, sizeof r->errors[0].message, "syntax error");
            return RK_E_REJECTED;
        }
        r->doc = rig_text(rule->reply);
        r->root = xmlDocGetRootElement(r->doc);
        return RK_OK;
    }
    if (strstr(body, "get-commit-revision-information")) { /* as one that does not know it, where no test says more */
        *reply = r = calloc(1, sizeof *r);
        assert_non_null(r);
        r->n_errors = 1;
        return RK_E_REJECTED;
    }
    fail_msg("not expected: %s", body);
    return RK_E_FATAL;
}

int
jn_ask(struct jn_device *d, struct rk_call *call, const char *what, const char *body, struct nc_reply **reply)
{
    (void)d;
    (void)call;
    (void)what;
    return answer(body, reply);
}

/* As nc_rpc does with the bytes of a reply. */
static void
compare(struct nc_same *same, struct nc_reply *reply)
{
    unsigned char digest[sizeof same->digest];
    xmlChar *text = NULL;
    int len = 0;

    if (!reply) {
        same->known = false;
        return;
    }
    xmlDocDumpMemory(reply->doc, &text, &len);
    assert_int_equal(fake_host.sha256(text, (size_t)len, digest), RK_OK);
    xmlFree(text);
    if (same->known && memcmp(digest, same->digest, sizeof digest) == 0) {
        xmlFreeDoc(reply->doc);
        *reply = (struct nc_reply){.same = true};
    }
    memcpy(same->digest, digest, sizeof digest);
    same->known = true;
}

static void
answer_more(struct nc_more *more)
{
    int err = answer(more->body, &more->reply);

    rig_secret = more->secret_reply;
    rig_ahead++;
    if (err || more->reply->n_errors)
        nc_reply_free(&more->reply);
    if (more->same)
        compare(more->same, more->reply);
}

int
jn_rpc(struct jn_device *d, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply)
{
    int err;

    (void)d;
    (void)call;
    rig_secret = request->secret_reply;
    err = answer(request->parts[0].text, reply);
    if (request->same)
        compare(request->same, err ? NULL : *reply);
    if (request->more && (!err || err == RK_E_REJECTED))
        answer_more(request->more);
    return err;
}

int
jn_know(struct jn_device *d, struct rk_call *call)
{
    (void)d;
    (void)call;
    return RK_OK;
}

uint32_t
jn_class(const struct jn_device *d, const struct jn_ca *ca)
{
    return d->opt.keying == JN_CHAIN ? RK_CLASS_D : ca && ca->fallback.ckn[0] ? RK_CLASS_B : RK_CLASS_C;
}
