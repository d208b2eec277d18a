/* event_box.c - a router for tests of junos-event (event_rig.h): its configuration, its answers, and its script. */
#include "event_rig.h"
#include "junos_fake_tree.h"

#include <libxml/xpath.h>
#include <time.h>

#define LATE_LOOKS 8 /* more than two times three: history, who is there, history */
#define OK "<rpc-reply><ok/></rpc-reply>"
#define ERROR "<rpc-reply><rpc-error><error-type>protocol</error-type><error-tag>operation-failed</error-tag>" \
    "<error-severity>error</error-severity><error-message>%s</error-message></rpc-error></rpc-reply>"

static char *
text_of(const char *fmt, ...) RK_PRINTF(1, 2);

static char *
text_of(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    assert_true(vasprintf(&text, fmt, args) >= 0);
    va_end(args);
    return text;
}

/* As every router has it: the CKN of a key ID is the same on all of them. */
const char *
fake_ckn(const char *key_id)
{
    static char ring[8][JN_CKN_HEX + 1];
    static size_t at;
    const struct jn_device d = {.host = &fake_host};
    char *out = ring[at++ % 8];

    assert_int_equal(jn_ckn(&d, key_id, out), RK_OK);
    return out;
}

/* ---- what it answers ---- */

static char *
configuration(void)
{
    xmlBuffer *buf = xmlBufferCreate();
    char *text;

    xmlNodeDump(buf, router.committed, xmlDocGetRootElement(router.committed), 0, 0);
    text = text_of("<rpc-reply message-id=\"%ld\">%s</rpc-reply>", random(), (const char *)xmlBufferContent(buf));
    xmlBufferFree(buf);
    return text;
}

static char *
history(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    fputs("<rpc-reply><commit-information>", out);
    for (size_t i = router.n_log; i-- > 0;)
        fprintf(out, "<commit-history><sequence-number>%zu</sequence-number><user>root</user><client>netconf</client>"
                "<date-time seconds=\"1700000000\">2023-11-14 22:13:20 UTC</date-time><log>%s</log></commit-history>",
                router.n_log - 1 - i, router.log[i]);
    fputs("</commit-information></rpc-reply>", out);
    fclose(out);
    return text;
}

static char *
uptime(void)
{
    time_t now = time(NULL);
    char date[40];
    struct tm t;

    gmtime_r(&now, &t);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S UTC", &t);
    return text_of("<rpc-reply><system-uptime-information><current-time><date-time seconds=\"%lld\">%s</date-time>"
                   "</current-time><time-source>NTP CLOCK</time-source></system-uptime-information></rpc-reply>",
                   (long long)now, date);
}

static char *
reply_to(struct box *b, const char *rpc)
{
    if (strstr(rpc, "<get-configuration "))
        return configuration();
    if (strstr(rpc, "get-commit-information"))
        return history();
    if (strstr(rpc, "get-configuration-database-status"))
        return text_of("<rpc-reply><database-status-information/></rpc-reply>");
    if (strstr(rpc, "get-software-information"))
        return text_of("<rpc-reply><software-information><host-name>r1</host-name><product-model>mx204</product-model>"
                       "<junos-version>22.2R1.9</junos-version></software-information></rpc-reply>");
    if (strstr(rpc, "get-system-uptime-information"))
        return uptime();
    if (strstr(rpc, "get-mka-session-information"))
        return text_of("<rpc-reply><mka-session-information>%s</mka-session-information></rpc-reply>",
                       b->mka ? b->mka : "");
    return text_of(ERROR, "syntax error");
}

json_t *
box_facts(struct box *b, json_t *rpcs)
{
    json_t *facts = json_array();

    for (size_t i = 0; i < json_array_size(rpcs); i++) {
        const char *rpc = json_string_value(json_array_get(rpcs, i));
        char *reply = reply_to(b, rpc);

        client_fact(facts, rpc, reply);
        free(reply);
    }
    return facts;
}

/* What the script asks by itself, in some of the words of the plugin. */
static json_t *
own_facts(struct box *b)
{
    json_t *rpcs = json_array(), *facts;

    if (!b->dry) {
        json_array_append_new(rpcs, json_string("<get-software-information/>"));
        json_array_append_new(rpcs, json_string("<get-commit-information/>"));
        json_array_append_new(rpcs, json_string("<get-system-uptime-information/>"));
    }
    facts = box_facts(b, rpcs);
    json_decref(rpcs);
    return facts;
}

/* ---- edits ---- */

/* A router shows a CAK in its stored form. */
static void
store_keys(xmlDoc *doc)
{
    xmlXPathContext *context = xmlXPathNewContext(doc);
    xmlXPathObject *found = xmlXPathEval((const xmlChar *)"//cak|//secret", context);

    for (int i = 0; found->nodesetval && i < found->nodesetval->nodeNr; i++) {
        xmlNode *n = found->nodesetval->nodeTab[i];
        xmlChar *was = xmlNodeGetContent(n);
        char *stored = text_of("$9$%s", (char *)was);

        if (strncmp((char *)was, "$9$", 3) != 0)
            xmlNodeSetContent(n, (xmlChar *)stored);
        free(stored);
        xmlFree(was);
    }
    xmlXPathFreeObject(found);
    xmlXPathFreeContext(context);
}

static void
load_all(const json_t *loads, xmlDoc *into)
{
    for (size_t i = 0; i < json_array_size(loads); i++) {
        const json_t *l = json_array_get(loads, i);
        const char *conf = json_string_value(json_object_get(l, "config"));
        xmlDoc *doc = xmlReadMemory(conf, (int)strlen(conf), NULL, NULL, XML_PARSE_NONET);

        assert_string_equal(json_string_value(json_object_get(l, "action")), "merge");
        assert_string_equal(json_string_value(json_object_get(l, "format")), "xml");
        assert_non_null(doc);
        assert_string_equal((const char *)xmlDocGetRootElement(doc)->name, "configuration");
        fake_merge(xmlDocGetRootElement(into), xmlDocGetRootElement(doc));
        xmlFreeDoc(doc);
    }
}

static bool
has_text(const json_t *loads, const char *word)
{
    for (size_t i = 0; word && i < json_array_size(loads); i++)
        if (strstr(json_string_value(json_object_get(json_array_get(loads, i), "config")), word))
            return true;
    return false;
}

static void
commit(struct box *b, const json_t *work)
{
    xmlDoc *doc = xmlCopyDoc(router.committed, 1);

    load_all(json_object_get(work, "load"), doc);
    store_keys(doc);
    xmlFreeDoc(router.committed);
    router.committed = doc;
    snprintf(router.log[router.n_log++ % 50], sizeof router.log[0], "%s",
             json_string_value(json_object_get(work, "log")));
    b->commits++;
}

/* The run that had the edit goes on, when another one has looked so often that it seemed to be gone. */
static void
commit_late(struct box *b, unsigned looks)
{
    if (!b->late || looks < LATE_LOOKS)
        return;
    commit(b, b->late);
    json_decref(b->late);
    b->late = NULL;
}

/* What one edit comes to.   ret: its outcome; NULL: it is not reported */
static const char *
edit(struct box *b, const json_t *work, json_t *steps)
{
    bool check = json_is_true(json_object_get(work, "check_only"));
    char *error;

    b->edits++;
    b->checks += check;
    snprintf(b->mode, sizeof b->mode, "%s", json_string_value(json_object_get(work, "mode")));
    if (b->end == BOX_NOT_BEGUN)
        return "not-begun";
    if (b->end == BOX_LOCKED) {
        client_step(steps, "open", "<rpc-reply><rpc-error><error-tag>lock-denied</error-tag><error-severity>error"
                    "</error-severity><error-message>configuration database locked by ops</error-message></rpc-error>"
                    "</rpc-reply>");
        return "refused";
    }
    client_step(steps, "open", OK);
    if (b->end == BOX_BESIDE)
        b->late = json_deep_copy(work);
    if (b->end == BOX_KILLED || b->end == BOX_MUTE || b->end == BOX_BESIDE)
        return NULL;
    if (b->end == BOX_REFUSED && has_text(json_object_get(work, "load"), b->refused)) {
        error = text_of(ERROR, "statement creation failed");
        client_step(steps, "load", error);
        free(error);
        return "refused";
    }
    client_step(steps, "load", "<rpc-reply><load-configuration-results><ok/></load-configuration-results></rpc-reply>");
    if (check) {
        client_step(steps, "check", "<rpc-reply><commit-results><routing-engine><commit-check-success/>"
                    "</routing-engine></commit-results></rpc-reply>");
        return "done";
    }
    if (b->end == BOX_LIES_DONE) {
        error = text_of(ERROR, "commit failed");
        client_step(steps, "commit", error);
        free(error);
        return "done";
    }
    commit(b, work);
    if (b->end == BOX_KILLED_LATE)
        return NULL;
    client_step(steps, "commit", b->end == BOX_SILENT ? NULL : OK);
    return b->end == BOX_SILENT ? "unknown" : b->end == BOX_LIES_REFUSED ? "refused" : "done";
}

/* ret: false: the script ends */
static bool
carry_out(struct box *b, const json_t *work)
{
    bool is_edit = strcmp(json_string_value(json_object_get(work, "kind")), "edit") == 0;
    const char *outcome = "done", *id = json_string_value(json_object_get(work, "id"));
    json_t *steps = json_array(), *facts;
    bool mute, same;

    pthread_mutex_lock(&b->lock);
    if (is_edit)
        outcome = edit(b, work, steps);
    else
        commit_late(b, ++b->looks);
    mute = b->end == BOX_MUTE && is_edit;
    same = b->end == BOX_KILLED;
    if (is_edit && b->end != BOX_REFUSED)
        b->end = BOX_DONE; /* the next one is done */
    facts = box_facts(b, json_object_get(work, "facts"));
    pthread_mutex_unlock(&b->lock);
    if (outcome)
        return client_report(&b->client, id, outcome, steps, facts) == 200;
    json_decref(steps);
    json_decref(facts);
    client_close(&b->client);
    if (same)
        return true;
    snprintf(b->client.run, sizeof b->client.run, "%016x", (unsigned)random()); /* another run */
    b->client.n = 0;
    return !mute;
}

static void *
run(void *arg)
{
    struct box *b = arg;
    bool goes_on = true, stop = false;

    while (goes_on && !stop) {
        json_t *facts, *answer = NULL;
        const json_t *work;

        pthread_mutex_lock(&b->lock);
        facts = own_facts(b);
        stop = b->stop;
        b->asks++;
        pthread_mutex_unlock(&b->lock);
        if (client_ask(&b->client, b->wait_ms, facts, &answer) != 200) {
            client_close(&b->client);
            continue;
        }
        work = json_object_get(answer, "work");
        if (json_is_object(work))
            goes_on = carry_out(b, work);
        json_decref(answer);
    }
    return NULL;
}

void
box_start(struct box *b, const char *name, const char *conf)
{
    memset(b, 0, sizeof *b);
    memset(&router, 0, sizeof router);
    router.committed = xmlReadMemory(conf, (int)strlen(conf), NULL, NULL, XML_PARSE_NOBLANKS);
    assert_non_null(router.committed);
    client_make(&b->client, name, NULL, BY_CA);
    pthread_mutex_init(&b->lock, NULL);
    b->wait_ms = 200;
    assert_int_equal(pthread_create(&b->thread, NULL, run, b), 0);
}

void
box_stop(struct box *b)
{
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    client_end(&b->client);
    pthread_mutex_destroy(&b->lock);
    xmlFreeDoc(router.committed);
    router.committed = NULL;
    fake_texts_end();
}
