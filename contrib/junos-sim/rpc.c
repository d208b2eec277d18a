/* rpc.c - hello, requests, replies: which function answers what, and how errors look
 *
 * Used by the session's thread only.  No request or reply is ever logged: names of requests and sizes are.
 */
#include "rpc.h"

#include <core/base/log.h>
#include <libxml/parser.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define BASE "urn:ietf:params:xml:ns:netconf:base:1.0"
#define BASE_11 "urn:ietf:params:netconf:base:1.1"
#define DEPTH_MAX 100

static const char *
release(const struct session *s)
{
    return *s->box->release ? s->box->release : s->box->as->release;
}

/* "nc:" where the box is configured to be like that. */
static const char *
prefix(const struct session *s)
{
    return s->compliant ? "nc:" : "";
}

/* ---- hello ---- */

static const char *const capabilities[] = {
    "urn:ietf:params:netconf:base:1.0",
    "urn:ietf:params:netconf:capability:candidate:1.0",
    "urn:ietf:params:netconf:capability:confirmed-commit:1.0",
    "urn:ietf:params:netconf:capability:validate:1.0",
    "urn:ietf:params:netconf:capability:url:1.0?scheme=http,ftp,file",
    "urn:ietf:params:xml:ns:netconf:base:1.0",
    "urn:ietf:params:xml:ns:netconf:capability:candidate:1.0",
    "urn:ietf:params:xml:ns:netconf:capability:confirmed-commit:1.0",
    "urn:ietf:params:xml:ns:netconf:capability:validate:1.0",
    "urn:ietf:params:xml:ns:netconf:capability:url:1.0?protocol=http,ftp,file",
    "http://xml.juniper.net/netconf/junos/1.0",
    "http://xml.juniper.net/dmi/system/1.0",
};

static void
write_hello(struct session *s, FILE *out)
{
    const char *p = prefix(s);

    if (!s->compliant)
        fprintf(out, "<!-- No zombies were killed during the creation of this user interface -->\n"
                     "<!-- user %s, class %s -->\n", s->user, *s->class ? s->class : "j-super-user");
    fprintf(out, s->compliant ? "<%shello xmlns:nc=\"" BASE "\">\n" : "<%shello xmlns=\"" BASE "\">\n", p);
    fprintf(out, " <%scapabilities>\n", p);
    for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++)
        fprintf(out, "  <%scapability>%s</%scapability>\n", p, capabilities[i], p);
    if (s->offer_11)
        fprintf(out, "  <%scapability>" BASE_11 "</%scapability>\n", p, p);
    fprintf(out, " </%scapabilities>\n <%ssession-id>%u</%ssession-id>\n</%shello>\n", p, p, s->id, p, p);
}

static void
write_hello_error(const struct sim_fault_hit *hit, FILE *out)
{
    fprintf(out, "<rpc-reply xmlns=\"" BASE "\">\n<rpc-error>\n<error-type>protocol</error-type>\n"
                 "<error-tag>%s</error-tag>\n<error-severity>error</error-severity>\n<error-message>",
            *hit->tag ? hit->tag : "operation-failed");
    xml_put(out, *hit->text ? hit->text : "connection limit exceeded");
    fputs("</error-message>\n</rpc-error>\n</rpc-reply>\n", out);
}

void
session_hello(struct session *s)
{
    struct sim_fault_hit hit = sim_fault(s->box, SIM_AT_HELLO, NULL);
    const xmlNode *netconf;
    char *text = NULL;
    size_t n = 0;
    FILE *out;

    pthread_mutex_lock(&s->box->lock);
    netconf = conf_get(xmlDocGetRootElement(s->box->committed), "system/services/netconf");
    s->compliant = conf_has(netconf, "rfc-compliant");
    s->offer_11 = s->compliant && conf_has(netconf, "version-1.1");
    pthread_mutex_unlock(&s->box->lock);
    if (!session_wait(s, hit.delay_ms))
        return;
    s->silent = (hit.what & SIM_DO_SILENT) != 0;
    s->over = (hit.what & SIM_DO_CLOSE) != 0;
    if (s->silent || s->over || !(out = open_memstream(&text, &n)))
        return;
    if (hit.what & SIM_DO_ERROR)
        write_hello_error(&hit, out);
    else
        write_hello(s, out);
    fclose(out);
    session_send(s, text, n, &hit);
    free(text);
    s->over |= (hit.what & SIM_DO_ERROR) != 0;
}

/* ---- parts of replies ---- */

void
say_ok(struct call *c)
{
    fprintf(c->out, "<%sok/>\n", prefix(c->s));
}

void
say_error(struct call *c, const char *severity, const char *tag, const struct conf_error *e)
{
    const char *p = prefix(c->s);

    fprintf(c->out, "<%srpc-error>\n<%serror-type>protocol</%serror-type>\n<%serror-tag>%s</%serror-tag>\n"
                    "<%serror-severity>%s</%serror-severity>\n",
            p, p, p, p, *tag ? tag : "operation-failed", p, p, severity, p);
    if (*e->path) {
        fprintf(c->out, "<%serror-path>\n[edit ", p);
        xml_put(c->out, e->path);
        fprintf(c->out, "]\n</%serror-path>\n", p);
    }
    if (*e->element) {
        fprintf(c->out, "<%serror-info>\n<bad-element>", p);
        xml_put(c->out, e->element);
        fprintf(c->out, "</bad-element>\n</%serror-info>\n", p);
    }
    fprintf(c->out, "<%serror-message>\n", p);
    xml_put(c->out, e->message);
    fprintf(c->out, "\n</%serror-message>\n</%srpc-error>\n", p, p);
}

void
say_message(struct call *c, const char *tag, const char *message)
{
    struct conf_error e = {.warning = false};

    snprintf(e.message, sizeof e.message, "%s", message);
    say_error(c, "error", tag, &e);
}

void
say_errors(struct call *c)
{
    for (unsigned i = 0; i < c->errors->n; i++)
        say_error(c, c->errors->e[i].warning ? "warning" : "error", "", &c->errors->e[i]);
}

bool
say_fault(struct call *c, const struct sim_fault_hit *hit)
{
    struct conf_error e = {.warning = false};

    if (!(hit->what & (SIM_DO_ERROR | SIM_DO_WARNING)))
        return false;
    snprintf(e.message, sizeof e.message, "%s", *hit->text ? hit->text : "operation failed");
    snprintf(e.path, sizeof e.path, "%s", hit->path);
    say_error(c, hit->what & SIM_DO_ERROR ? "error" : "warning", hit->tag, &e);
    return true;
}

/* ---- parts of requests ---- */

bool
flag(const xmlNode *request, const char *name)
{
    return conf_child(request, name) != NULL;
}

const char *
text_of_child(const xmlNode *request, const char *name, char *out, size_t size)
{
    const xmlNode *n = conf_child(request, name);

    if (!n || !conf_value(n, out, size))
        out[0] = '\0';
    return out;
}

const char *
attribute(const xmlNode *n, const char *name, char *out, size_t size)
{
    xmlAttr *a = xmlHasProp((xmlNode *)n, BAD_CAST name);

    snprintf(out, size, "%s", a && a->children && a->children->content ? (const char *)a->children->content : "");
    return out;
}

/* ---- which request ---- */

static void
rpc_end(struct call *c)
{
    say_ok(c);
    c->hang_up = true;
}

static void
rpc_kill(struct call *c)
{
    char id[16];
    unsigned long n = strtoul(text_of_child(c->request, "session-id", id, sizeof id), NULL, 10);
    bool done;

    if (!rights_configure(c->s->rights)) {
        say_message(c, "access-denied", "permission denied");
        return;
    }
    pthread_mutex_lock(&c->s->box->lock);
    if (n == STORE_OPERATOR || n == 4711) {
        done = c->s->box->store->holder == STORE_OPERATOR;
        c->s->box->store->holder = done ? 0 : c->s->box->store->holder;
    } else
        done = n != c->s->id && session_kill(c->s->box, (uint32_t)n);
    pthread_mutex_unlock(&c->s->box->lock);
    if (done)
        say_ok(c);
    else
        say_message(c, "invalid-value", "no such session");
}

static rpc_fn *
rpc_named(const char *name)
{
    static const struct {
        const char *name;
        rpc_fn *run;
    } table[] = {{"lock", rpc_lock}, {"lock-configuration", rpc_lock}, {"unlock", rpc_unlock},
                 {"unlock-configuration", rpc_unlock}, {"open-configuration", rpc_open},
                 {"close-configuration", rpc_close}, {"load-configuration", rpc_load}, {"edit-config", rpc_edit},
                 {"discard-changes", rpc_discard}, {"get-configuration", rpc_get_configuration},
                 {"get-config", rpc_get_config}, {"get-rollback-information", rpc_rollback_information},
                 {"get-commit-information", rpc_commits},
                 {"get-commit-revision-information", rpc_commit_revision},
                 {"get-configuration-database-status", rpc_database},
                 {"get-database-status-information", rpc_database}, {"commit-configuration", rpc_commit},
                 {"commit", rpc_commit_standard}, {"validate", rpc_validate}, {"close-session", rpc_end},
                 {"request-end-session", rpc_end}, {"kill-session", rpc_kill}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].run;
    return NULL;
}

/* An operational RPC: the world knows it, or it is a syntax error. */
static void
operational(struct call *c)
{
    struct conf_error e = {.message = "syntax error"};
    long before = ftell(c->out);

    if (!rights_view(c->s->rights)) {
        say_message(c, "access-denied", "permission denied");
        return;
    }
    if (sim_show(c->s->box, c->name, c->request, c->out) == 0)
        return;
    fseek(c->out, before, SEEK_SET);
    snprintf(e.element, sizeof e.element, "%s", c->name);
    say_error(c, "error", "", &e);
}

static void
answer(struct call *c)
{
    rpc_fn *run = rpc_named(c->name);

    if (run)
        run(c);
    else
        operational(c);
}

static void
head(struct session *s, const xmlNode *rpc, FILE *out)
{
    fprintf(out, s->compliant ? "<nc:rpc-reply xmlns:nc=\"" BASE "\"" : "<rpc-reply xmlns=\"" BASE "\"");
    fprintf(out, " xmlns:junos=\"http://xml.juniper.net/junos/%s/junos\"", release(s));
    for (const xmlAttr *a = rpc ? rpc->properties : NULL; a; a = a->next) {
        fprintf(out, " %s%s%s=\"", a->ns && a->ns->prefix ? (const char *)a->ns->prefix : "",
                a->ns && a->ns->prefix ? ":" : "", (const char *)a->name);
        if (a->children && a->children->content)
            xml_put(out, (const char *)a->children->content);
        fputc('"', out);
    }
    for (const xmlNs *ns = rpc ? rpc->nsDef : NULL; ns; ns = ns->next)
        if (ns->prefix && strcmp((const char *)ns->prefix, "nc") != 0 &&
            strcmp((const char *)ns->prefix, "junos") != 0) {
            fprintf(out, " xmlns:%s=\"", (const char *)ns->prefix);
            xml_put(out, ns->href ? (const char *)ns->href : "");
            fputc('"', out);
        }
    fputs(">\n", out);
}

static void
deliver(struct call *c, char *text, size_t n)
{
    struct session *s = c->s;
    struct sim_fault_hit hit = sim_fault(s->box, SIM_AT_REPLY, c->name);

    if (!session_wait(s, hit.delay_ms))
        return;
    s->silent |= (hit.what & SIM_DO_SILENT) != 0;
    s->over |= (hit.what & SIM_DO_CLOSE) != 0;
    if (hit.what & SIM_DO_MALFORMED && n > 20)
        n -= 20;
    session_send(s, text, n, &hit);
    s->over |= c->hang_up;
}

static void
reply(struct call *c, const xmlNode *rpc)
{
    char *text = NULL;
    size_t n = 0;
    int64_t since = mono_ms();

    if (!(c->out = open_memstream(&text, &n)))
        return;
    head(c->s, rpc, c->out);
    if (c->request)
        answer(c);
    else
        say_message(c, "missing-element", "syntax error");
    fprintf(c->out, "</%srpc-reply>\n", prefix(c->s));
    fclose(c->out);
    rk_log(RK_LOG_DEBUG, "ev=rpc box=%s id=%u name=%.60s bytes=%zu ms=%lld", c->s->box->name, c->s->id, c->name, n,
           (long long)(mono_ms() - since));
    deliver(c, text, n);
    explicit_bzero(text, n);
    free(text);
}

static void
take_hello(struct session *s, const xmlNode *hello)
{
    const xmlNode *list = conf_child(hello, "capabilities");

    s->hello_seen = true;
    for (const xmlNode *n = list ? list->children : NULL; n; n = n->next)
        if (conf_named(n, "capability") && conf_is(n, BASE_11))
            s->use_11 = s->offer_11;
}

/* No bombs, no files: a document type is not read. */
static xmlDoc *
parsed(const char *text, size_t n)
{
    while (n > 0 && isspace((unsigned char)*text)) {
        text++;
        n--;
    }
    if (n == 0 || memmem(text, n, "<!DOCTYPE", 9))
        return NULL;
    return xmlReadMemory(text, (int)n, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

static const xmlNode *
first_element(const xmlNode *of)
{
    for (const xmlNode *n = of ? of->children : NULL; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE)
            return n;
    return NULL;
}

void
session_message(struct session *s, const char *text, size_t n)
{
    xmlDoc *doc = parsed(text, n);
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    struct call c = {.s = s, .name = "", .errors = calloc(1, sizeof *c.errors)};

    if (!c.errors)
        s->over = true;
    else if (root && conf_named(root, "hello"))
        take_hello(s, root);
    else {
        c.request = root && conf_named(root, "rpc") ? first_element(root) : NULL;
        c.name = c.request ? (const char *)c.request->name : "";
        reply(&c, root);
    }
    free(c.errors);
    xmlFreeDoc(doc);
}
