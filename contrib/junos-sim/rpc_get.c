/* rpc_get.c - requests that read configurations, their history, and who edits
 *
 * Used by the session's thread only.
 */
#include "rpc.h"

#include <stdlib.h>
#include <string.h>

static void
config_open(struct call *c, bool committed)
{
    const struct sim_box *box = c->s->box;
    const struct revision *last = &box->store->rev[0];
    char when[40];

    store_time(box, committed ? last->when_ms : sim_box_now_ms(box), when);
    fprintf(c->out, "<configuration xmlns=\"http://xml.juniper.net/xnm/1.1/xnm\" ");
    if (committed)
        fprintf(c->out, "junos:commit-seconds=\"%lld\" junos:commit-localtime=\"%s\" junos:commit-user=\"%s\">\n",
                (long long)(last->when_ms / 1000), when, last->user);
    else
        fprintf(c->out, "junos:changed-seconds=\"%lld\" junos:changed-localtime=\"%s\">\n",
                (long long)(sim_box_now_ms(box) / 1000), when);
}

/* Text that is not XML yet. */
typedef void print_fn(const struct show *, const xmlNode *, FILE *);

static void
put_printed(struct call *c, print_fn *print, const xmlNode *conf, const char *around)
{
    const struct show show = {.as = c->s->box->as, .rights = c->s->rights};
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    if (!f)
        return;
    print(&show, conf, f);
    fclose(f);
    fprintf(c->out, "<%s>\n", around);
    xml_put(c->out, text);
    fprintf(c->out, "</%s>\n", around);
    explicit_bzero(text, n);
    free(text);
}

static void
put_config(struct call *c, const xmlNode *conf, const char *format, bool committed)
{
    const struct show show = {.as = c->s->box->as, .rights = c->s->rights};

    if (strcmp(format, "text") == 0)
        put_printed(c, conf_print_text, conf, "configuration-text");
    else if (strcmp(format, "set") == 0)
        put_printed(c, conf_print_set, conf, "configuration-set");
    else if (strcmp(format, "json") == 0)
        say_message(c, "operation-not-supported", "json is not supported");
    else {
        config_open(c, committed);
        conf_print_xml(&show, conf, c->out);
        fputs("</configuration>\n", c->out);
    }
}

static void
put_diff(struct call *c, const xmlNode *from, const xmlNode *to)
{
    const struct show show = {.as = c->s->box->as, .rights = c->s->rights};
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    if (!f)
        return;
    conf_print_diff(&show, from, to, f);
    fclose(f);
    fputs("<configuration-information>\n<configuration-output>\n", c->out);
    xml_put(c->out, text);
    fputs("</configuration-output>\n</configuration-information>\n", c->out);
    explicit_bzero(text, n);
    free(text);
}

/* A tree of the history against the candidate, or against another one. */
static void
compare(struct call *c, const char *number, const xmlNode *to)
{
    unsigned n = (unsigned)strtoul(number, NULL, 10);
    xmlDoc *from = n ? store_revision(c->s->box, n) : NULL;

    if (n && !from)
        say_message(c, "invalid-value", "no such rollback configuration");
    else
        put_diff(c, xmlDocGetRootElement(from ? from : c->s->box->committed), to);
    xmlFreeDoc(from);
}

static const xmlNode *
any_element(const xmlNode *of)
{
    for (const xmlNode *n = of ? of->children : NULL; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE)
            return n;
    return NULL;
}

static void
put_filtered(struct call *c, const xmlNode *conf, const xmlNode *filter, const char *format, bool committed)
{
    xmlDoc *doc = any_element(filter) ? conf_filter(conf, filter) : NULL;

    put_config(c, doc ? xmlDocGetRootElement(doc) : conf, format, committed);
    xmlFreeDoc(doc);
}

void
rpc_get_configuration(struct call *c)
{
    char database[16], format[16], against[16], number[16];
    bool committed;
    const xmlNode *conf;

    attribute(c->request, "database", database, sizeof database);
    attribute(c->request, "format", format, sizeof format);
    attribute(c->request, "compare", against, sizeof against);
    attribute(c->request, "rollback", number, sizeof number);
    committed = strcmp(database, "committed") == 0;
    pthread_mutex_lock(&c->s->box->lock);
    conf = committed ? xmlDocGetRootElement(c->s->box->committed) : store_see(c->s->box, &c->s->ed);
    if (*against)
        compare(c, number, conf);
    else
        put_filtered(c, conf, conf_child(c->request, "configuration"), format, committed);
    pthread_mutex_unlock(&c->s->box->lock);
}

void
rpc_get_config(struct call *c)
{
    const xmlNode *source = conf_child(c->request, "source"), *filter = conf_child(c->request, "filter");
    bool committed = source && flag(source, "running");
    const xmlNode *inner = filter ? conf_child(filter, "configuration") : NULL;

    if (!source || (!committed && !flag(source, "candidate"))) {
        say_message(c, "invalid-value", "source is not supported");
        return;
    }
    pthread_mutex_lock(&c->s->box->lock);
    fputs("<data>\n", c->out);
    if (!filter || inner)
        put_filtered(c, committed ? xmlDocGetRootElement(c->s->box->committed) : store_see(c->s->box, &c->s->ed),
                     inner, "xml", committed);
    fputs("</data>\n", c->out);
    pthread_mutex_unlock(&c->s->box->lock);
}

/* <rollback>N</rollback>, <compare>N</compare>, <format>text</format> */
void
rpc_rollback_information(struct call *c)
{
    char number[16], other[16];
    xmlDoc *to;

    text_of_child(c->request, "rollback", number, sizeof number);
    text_of_child(c->request, "compare", other, sizeof other);
    pthread_mutex_lock(&c->s->box->lock);
    to = store_revision(c->s->box, (unsigned)strtoul(number, NULL, 10));
    if (!to)
        say_message(c, "invalid-value", "no such rollback configuration");
    else {
        fputs("<rollback-information>\n", c->out);
        if (*other)
            compare(c, other, xmlDocGetRootElement(to));
        else
            put_printed(c, conf_print_text, xmlDocGetRootElement(to), "configuration-text");
        fputs("</rollback-information>\n", c->out);
    }
    xmlFreeDoc(to);
    pthread_mutex_unlock(&c->s->box->lock);
}

static void
put_commit(struct call *c, const struct revision *r, size_t number)
{
    char when[40];

    store_time(c->s->box, r->when_ms, when);
    fprintf(c->out, "<commit-history>\n<sequence-number>%zu</sequence-number>\n<user>", number);
    xml_put(c->out, r->user);
    fprintf(c->out, "</user>\n<client>%s</client>\n<date-time junos:seconds=\"%lld\">%s</date-time>\n", r->client,
            (long long)(r->when_ms / 1000), when);
    if (*r->comment)
        fprintf(c->out, "<comment>%s</comment>\n", r->comment);
    if (r->log) {
        fputs("<log>", c->out);
        xml_put(c->out, r->log);
        fputs("</log>\n", c->out);
    }
    if (r->confirmed)
        fputs("<commit-confirmed>rollback pending</commit-confirmed>\n", c->out);
    fputs("</commit-history>\n", c->out);
}

void
rpc_commits(struct call *c)
{
    if (!rights_view(c->s->rights)) {
        say_message(c, "access-denied", "permission denied");
        return;
    }
    fputs("<commit-information>\n", c->out);
    pthread_mutex_lock(&c->s->box->lock);
    for (size_t i = 0; i < c->s->box->store->n_rev; i++)
        put_commit(c, &c->s->box->store->rev[i], i);
    pthread_mutex_unlock(&c->s->box->lock);
    fputs("</commit-information>\n", c->out);
}

static void
put_editor(struct call *c, const char *user, uint32_t pid, const char *flags)
{
    char when[40];

    store_time(c->s->box, c->s->box->store->held_since_ms ? c->s->box->store->held_since_ms : sim_box_now_ms(c->s->box),
               when);
    fputs("<database-status>\n<user>", c->out);
    xml_put(c->out, user);
    fprintf(c->out, "</user>\n<terminal></terminal>\n<pid>%u</pid>\n<start-time>%s</start-time>\n%s"
                    "<edit-path>[edit]</edit-path>\n</database-status>\n", pid, when, flags);
}

void
rpc_database(struct call *c)
{
    const struct sim_store *st = c->s->box->store;

    fputs("<database-status-information>\n", c->out);
    pthread_mutex_lock(&c->s->box->lock);
    if (st->holder == STORE_OPERATOR)
        put_editor(c, st->holder_user, 4711, "<exclusive/>\n");
    for (const struct session *s = st->sessions; s; s = s->next)
        if (st->holder == s->id || s->ed.private)
            put_editor(c, s->user, s->id, st->holder == s->id ? "<exclusive/>\n" : "<private/>\n");
    pthread_mutex_unlock(&c->s->box->lock);
    fputs("</database-status-information>\n", c->out);
}
