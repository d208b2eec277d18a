/* rpc_edit.c - requests that lock, open, load, discard
 *
 * Used by the session's thread only.
 */
#include "rpc.h"

#include <stdlib.h>
#include <string.h>

/* A fault at a point: waits; true when the call is over. */
static bool
stopped(struct call *c, const struct sim_fault_hit *hit)
{
    struct session *s = c->s;

    if (!session_wait(s, hit->delay_ms))
        return true;
    s->silent |= (hit->what & SIM_DO_SILENT) != 0;
    s->over |= (hit->what & SIM_DO_CLOSE) != 0;
    if (hit->what & SIM_DO_ERROR)
        say_fault(c, hit);
    return s->silent || s->over || hit->what & SIM_DO_ERROR;
}

static bool
may_configure(struct call *c)
{
    if (rights_configure(c->s->rights))
        return true;
    say_message(c, "access-denied", "permission denied");
    return false;
}

/* Somebody at the console has the lock, or has changed something. */
static void
meddle(struct call *c, const struct sim_fault_hit *hit)
{
    char why[SIM_WHY_MAX];

    if (hit->what & SIM_DO_LOCKED)
        sim_operator_lock(c->s->box, true);
    if (hit->what & SIM_DO_DIRTY)
        sim_edit_shared(c->s->box, *hit->text ? hit->text : "set system announcement \"work in progress\"", why);
}

static bool
prelude(struct call *c)
{
    struct sim_fault_hit hit = sim_fault(c->s->box, SIM_AT_LOCK, c->name);

    if (!may_configure(c) || stopped(c, &hit))
        return false;
    meddle(c, &hit);
    if (hit.what & SIM_DO_WARNING)
        say_fault(c, &hit);
    return true;
}

static void
done(struct call *c, bool ok)
{
    if (ok)
        say_ok(c);
    else
        say_errors(c);
}

static bool
target_is(struct call *c, const char *name)
{
    const xmlNode *target = conf_child(c->request, "target");

    if (!target || flag(target, name))
        return true;
    say_message(c, "invalid-value", "target is not supported");
    return false;
}

void
rpc_lock(struct call *c)
{
    if (prelude(c) && target_is(c, "candidate"))
        done(c, store_lock(c->s->box, &c->s->ed, c->errors));
}

void
rpc_unlock(struct call *c)
{
    if (may_configure(c) && target_is(c, "candidate"))
        done(c, store_unlock(c->s->box, &c->s->ed, c->errors));
}

void
rpc_open(struct call *c)
{
    struct conf_error e = {.message = "uncommitted changes will be discarded on exit"};

    if (!prelude(c))
        return;
    if (!flag(c->request, "private")) {
        snprintf(e.message, sizeof e.message, "configuration database mode is not supported");
        say_error(c, "error", "", &e);
    } else if (store_private(c->s->box, &c->s->ed, c->errors)) {
        say_error(c, "warning", "", &e);
        say_ok(c);
    } else
        say_errors(c);
}

void
rpc_close(struct call *c)
{
    bool open = c->s->ed.private;

    store_close(c->s->box, &c->s->ed);
    if (open)
        say_ok(c);
    else
        say_message(c, "", "Configuration database is not open");
}

void
rpc_discard(struct call *c)
{
    if (!may_configure(c))
        return;
    store_discard(c->s->box, &c->s->ed);
    say_ok(c);
}

/* ---- load-configuration ---- */

/* The text inside <configuration-text> and <configuration-set>, to be freed. */
static char *
text_inside(const xmlNode *request, const char *name)
{
    xmlNode *n = conf_child(request, name);

    return n ? (char *)xmlNodeGetContent(n) : NULL;
}

static void
drop_text(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    xmlFree(text);
}

static bool
bring(struct load *l, xmlNode *conf, const xmlNode *request)
{
    char *set = text_inside(request, "configuration-set"), *text = text_inside(request, "configuration-text");
    const xmlNode *xml = conf_child(request, "configuration");
    xmlDoc *doc = NULL;

    if (set)
        conf_load_set(l, conf, set);
    else if (text && (doc = conf_read_text(l, text)) != NULL)
        conf_load(l, conf, xmlDocGetRootElement(doc));
    else if (xml)
        conf_load(l, conf, xml);
    drop_text(set);
    drop_text(text);
    xmlFreeDoc(doc);
    return set || text || xml;
}

/* Half of what the request has to say, and then an error. */
static void
halve(struct load *l, const xmlNode *conf, const xmlNode *request)
{
    xmlDoc *copy = conf_new();
    struct conf_errors *errors = calloc(1, sizeof *errors);
    struct load dry = *l;
    xmlNode *all = copy ? xmlDocCopyNode((xmlNode *)conf, copy, 1) : NULL;

    if (errors && all) {
        xmlFreeNode(xmlDocSetRootElement(copy, all));
        dry.errors = errors;
        bring(&dry, all, request);
        l->stop_after = dry.done > 1 ? dry.done / 2 : 1;
    }
    free(errors);
    xmlFreeDoc(copy);
}

static void
empty_tree(xmlNode *conf)
{
    while (conf->children) {
        xmlNode *n = conf->children;

        xmlUnlinkNode(n);
        xmlFreeNode(n);
    }
}

/* Load into this session's candidate.   lock: taken here */
static bool
load_into(struct call *c, struct load *l, const xmlNode *request, bool whole, const struct sim_fault_hit *hit)
{
    struct sim_box *box = c->s->box;
    xmlNode *conf;
    bool known = true;

    pthread_mutex_lock(&box->lock);
    conf = store_edit(box, &c->s->ed, c->errors);
    if (conf) {
        if (whole)
            empty_tree(conf);
        if (hit->what & SIM_DO_PARTIAL)
            halve(l, conf, request);
        known = bring(l, conf, request);
        store_edited(box, &c->s->ed);
    }
    pthread_mutex_unlock(&box->lock);
    return known;
}

static void
load_results(struct call *c, const struct sim_fault_hit *hit)
{
    fputs("<load-configuration-results>\n", c->out);
    say_errors(c);
    if (hit->what & SIM_DO_WARNING)
        say_fault(c, hit);
    if (c->errors->errors)
        fprintf(c->out, "<load-error-count>%u</load-error-count>\n", c->errors->errors);
    else
        say_ok(c);
    fputs("</load-configuration-results>\n", c->out);
}

static void
load_rollback(struct call *c, const char *number)
{
    struct sim_fault_hit none = {0};

    pthread_mutex_lock(&c->s->box->lock);
    if (strspn(number, "0123456789") != strlen(number))
        conf_error(c->errors, false, "", number, "syntax error");
    else
        store_rollback(c->s->box, &c->s->ed, (unsigned)strtoul(number, NULL, 10), c->errors);
    pthread_mutex_unlock(&c->s->box->lock);
    load_results(c, &none);
}

/* action, format: what goes together */
static bool
load_form(struct call *c, struct load *l, bool *whole)
{
    char action[16], format[16];

    attribute(c->request, "action", action, sizeof action);
    attribute(c->request, "format", format, sizeof format);
    *whole = strcmp(action, "override") == 0 || strcmp(action, "update") == 0;
    l->usual = LOAD_MERGE;
    if (strcmp(format, "json") == 0 || flag(c->request, "configuration-json")) {
        say_message(c, "operation-not-supported", "json is not supported");
        return false;
    }
    if (*action && !*whole && strcmp(action, "merge") != 0 && strcmp(action, "replace") != 0 &&
        strcmp(action, "set") != 0) {
        say_message(c, "invalid-value", "syntax error");
        return false;
    }
    return true;
}

void
rpc_load(struct call *c)
{
    struct sim_fault_hit hit = sim_fault(c->s->box, SIM_AT_LOAD, c->name);
    struct load l = {.as = c->s->box->as, .box = c->s->box, .rights = c->s->rights, .errors = c->errors};
    char number[16];
    bool whole;

    if (!may_configure(c) || stopped(c, &hit))
        return;
    if (*attribute(c->request, "rollback", number, sizeof number))
        load_rollback(c, number);
    else if (load_form(c, &l, &whole)) {
        if (!load_into(c, &l, c->request, whole, &hit))
            conf_error(c->errors, false, "", "load-configuration", "syntax error");
        load_results(c, &hit);
    }
}

/* ---- edit-config ---- */

void
rpc_edit(struct call *c)
{
    struct sim_fault_hit hit = sim_fault(c->s->box, SIM_AT_LOAD, c->name);
    struct load l = {.as = c->s->box->as, .box = c->s->box, .rights = c->s->rights,
                     .errors = c->errors, .strict_delete = true};
    const xmlNode *config = conf_child(c->request, "config"), *text = conf_child(c->request, "config-text");
    char usual[16];

    if (!may_configure(c) || stopped(c, &hit) || !target_is(c, "candidate"))
        return;
    text_of_child(c->request, "default-operation", usual, sizeof usual);
    if (strcmp(usual, "none") == 0)
        l.usual = LOAD_NONE;
    if (!config && !text)
        say_message(c, "missing-element", "missing element: config");
    else {
        load_into(c, &l, config ? config : text, strcmp(usual, "replace") == 0, &hit);
        say_errors(c);
        if (!c->errors->errors)
            say_ok(c);
    }
}
