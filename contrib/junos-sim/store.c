/* store.c - the configurations of a box: committed, shared candidate, private copies, locks, history
 *
 * Called by session threads and by the main thread.  A committed tree is never changed, only replaced, and lives as
 * long as a private copy is based on it: its count of users is in doc->_private.
 */
#include "store.h"

#include <core/base/log.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t
mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static xmlDoc *
doc_ref(xmlDoc *doc)
{
    doc->_private = (void *)((uintptr_t)doc->_private + 1);
    return doc;
}

static void
doc_drop(xmlDoc *doc)
{
    if (doc && doc->_private)
        doc->_private = (void *)((uintptr_t)doc->_private - 1);
    else
        xmlFreeDoc(doc);
}

struct sim_box *
sim_box_new(const char *name)
{
    struct sim_box *box = calloc(1, sizeof *box);

    if (!box || !(box->store = calloc(1, sizeof *box->store)) || pthread_mutex_init(&box->lock, NULL) != 0) {
        free(box ? box->store : NULL);
        free(box);
        return NULL;
    }
    snprintf(box->name, sizeof box->name, "%s", name);
    box->as = sim_personality_at(0);
    return box;
}

static void
revision_free(struct revision *r)
{
    free(r->log);
    free(r->text);
    memset(r, 0, sizeof *r);
}

static void
forget_all(struct sim_box *box)
{
    struct sim_store *st = box->store;

    for (size_t i = 0; i < st->n_rev; i++)
        revision_free(&st->rev[i]);
    st->n_rev = 0;
    xmlFreeDoc(st->shared);
    xmlFreeDoc(st->next);
    st->shared = st->next = NULL;
    st->dirty_by[0] = '\0';
    st->holder = st->committing = 0;
    st->confirm_by_ms = 0;
}

void
sim_box_free(struct sim_box *box)
{
    if (!box)
        return;
    forget_all(box);
    doc_drop(box->committed);
    for (size_t i = 0; i < box->n_users; i++) {
        free(box->users[i].password);
        free(box->users[i].keys);
    }
    free(box->store);
    free(box->initial);
    free(box->zone);
    pthread_mutex_destroy(&box->lock);
    free(box);
}

static char *
text_of(const struct sim_box *box, const xmlDoc *doc)
{
    const struct show all = {.as = box->as};
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        return NULL;
    conf_print_text(&all, xmlDocGetRootElement((xmlDoc *)doc), f);
    return fclose(f) == 0 ? text : NULL;
}

/* A tree becomes the committed one; box->lock held. */
static void
install(struct sim_box *box, xmlDoc *doc, const struct revision *about)
{
    struct sim_store *st = box->store;

    if (st->n_rev == STORE_ROLLBACKS)
        revision_free(&st->rev[--st->n_rev]);
    memmove(&st->rev[1], &st->rev[0], st->n_rev * sizeof st->rev[0]);
    st->n_rev++;
    st->rev[0] = *about;
    st->rev[0].when_ms = sim_box_now_ms(box);
    st->rev[0].log = about->log ? strdup(about->log) : NULL;
    st->rev[0].text = text_of(box, doc);
    doc_drop(box->committed);
    box->committed = doc;
    box->commits++;
    sim_committed(box, about->user, about->log);
}

static const char made[] = "system { host-name \"%s\"; services { netconf { ssh; } } }\n"
                           "protocols { lldp { interface all; } }\n";

static xmlDoc *
initial_tree(const struct sim_box *box, struct conf_errors *errors)
{
    struct load l = {.as = box->as, .box = box, .errors = errors};
    xmlDoc *doc = conf_new();
    char text[512];

    snprintf(text, sizeof text, made, box->name);
    if (doc && !conf_load_any(&l, xmlDocGetRootElement(doc), box->initial ? box->initial : text)) {
        xmlFreeDoc(doc);
        return NULL;
    }
    return doc;
}

/* Host name of the topology where the configuration says none. */
int
store_start(struct sim_box *box, char *why)
{
    const struct revision about = {.user = "root", .client = "other"};
    struct conf_errors *errors = calloc(1, sizeof *errors);
    xmlDoc *doc = errors ? initial_tree(box, errors) : NULL;

    if (!doc)
        snprintf(why, SIM_WHY_MAX, "initial configuration of %s: %.60s %.60s %.30s", box->name,
                 errors && errors->n ? errors->e[0].message : "out of memory", errors ? errors->e[0].path : "",
                 errors ? errors->e[0].element : "");
    free(errors);
    if (!doc)
        return -1;
    pthread_mutex_lock(&box->lock);
    install(box, doc, &about);
    pthread_mutex_unlock(&box->lock);
    return 0;
}

/* ---- locks ---- */

void
store_time(const struct sim_box *box, int64_t when_ms, char out[40])
{
    int32_t zone = sim_box_zone_s(box, when_ms / 1000);
    time_t local = (time_t)(when_ms / 1000 + zone);
    struct tm tm;

    gmtime_r(&local, &tm);
    strftime(out, 40, "%Y-%m-%d %H:%M:%S ", &tm);
    if (zone)
        snprintf(out + 20, 20, "%c%02d%02d", zone < 0 ? '-' : '+', abs(zone) / 3600, abs(zone) / 60 % 60);
    else
        memcpy(out + 20, "UTC", 4);
}

void
store_lock_error(const struct sim_box *box, struct conf_errors *errors)
{
    const struct sim_store *st = box->store;
    char since[40];

    store_time(box, st->held_since_ms, since);
    conf_error(errors, false, "", "",
               "\nconfiguration database locked by:\n  %s %s (pid %u) on since %s, idle 00:00:12\n"
               "      exclusive [edit]\n", st->holder_user, st->holder == STORE_OPERATOR ? "terminal" : "netconf",
               st->holder == STORE_OPERATOR ? 4711u : st->holder, since);
}

static bool
locked_by_other(const struct sim_box *box, const struct editor *ed, struct conf_errors *errors)
{
    bool other = box->store->holder && box->store->holder != ed->id;

    if (other)
        store_lock_error(box, errors);
    return other;
}

static bool
dirty(const struct sim_box *box, struct conf_errors *errors, const char *which)
{
    if (!box->store->dirty_by[0])
        return false;
    conf_error(errors, false, "", "", "\n%s database modified:\n  %s\n      [edit]\n", which, box->store->dirty_by);
    return true;
}

bool
store_lock(struct sim_box *box, struct editor *ed, struct conf_errors *errors)
{
    struct sim_store *st = box->store;
    bool got = false;

    pthread_mutex_lock(&box->lock);
    if (st->holder)
        store_lock_error(box, errors);
    else if (!dirty(box, errors, "configuration")) {
        st->holder = ed->id;
        snprintf(st->holder_user, sizeof st->holder_user, "%s", ed->user);
        st->held_since_ms = sim_box_now_ms(box);
        got = true;
    }
    pthread_mutex_unlock(&box->lock);
    return got;
}

static void
discard_shared(struct sim_store *st)
{
    xmlFreeDoc(st->shared);
    st->shared = NULL;
    st->dirty_by[0] = '\0';
}

bool
store_unlock(struct sim_box *box, struct editor *ed, struct conf_errors *errors)
{
    struct sim_store *st = box->store;
    bool had;

    pthread_mutex_lock(&box->lock);
    had = st->holder == ed->id;
    if (had) {
        st->holder = 0;
        discard_shared(st);
    } else
        conf_error(errors, false, "", "", "Configuration database is not open");
    pthread_mutex_unlock(&box->lock);
    return had;
}

bool
store_private(struct sim_box *box, struct editor *ed, struct conf_errors *errors)
{
    bool got = false;

    pthread_mutex_lock(&box->lock);
    if (box->as->no_private)
        conf_error(errors, false, "", "private", "private configuration mode is not supported");
    else if (ed->private)
        conf_error(errors, false, "", "", "configuration database is already open");
    else if (!dirty(box, errors, "shared configuration")) {
        ed->private = got = true;
        ed->base = doc_ref(box->committed);
        ed->mine = NULL;
    }
    pthread_mutex_unlock(&box->lock);
    return got;
}

static void
close_private(struct editor *ed)
{
    xmlFreeDoc(ed->mine);
    doc_drop(ed->base);
    ed->mine = ed->base = NULL;
    ed->private = false;
}

void
store_close(struct sim_box *box, struct editor *ed)
{
    struct sim_store *st = box->store;

    pthread_mutex_lock(&box->lock);
    if (ed->private)
        close_private(ed);
    if (st->holder == ed->id) {
        st->holder = 0;
        discard_shared(st);
    }
    pthread_mutex_unlock(&box->lock);
}

void
store_discard(struct sim_box *box, struct editor *ed)
{
    pthread_mutex_lock(&box->lock);
    if (ed->private) {
        xmlFreeDoc(ed->mine);
        ed->mine = NULL;
    } else if (!box->store->holder || box->store->holder == ed->id)
        discard_shared(box->store);
    pthread_mutex_unlock(&box->lock);
}

/* ---- candidate ---- */

xmlNode *
store_edit(struct sim_box *box, struct editor *ed, struct conf_errors *errors)
{
    xmlDoc **tree = ed->private ? &ed->mine : &box->store->shared;

    if (!ed->private && locked_by_other(box, ed, errors))
        return NULL;
    if (!*tree)
        *tree = conf_copy(ed->private ? ed->base : box->committed);
    if (!*tree)
        conf_error(errors, false, "", "", "out of memory");
    return *tree ? xmlDocGetRootElement(*tree) : NULL;
}

/* Somebody's changes are in the shared candidate now. */
void
store_edited(struct sim_box *box, struct editor *ed)
{
    char since[40];

    if (ed->private || box->store->holder == ed->id)
        return;
    store_time(box, sim_box_now_ms(box), since);
    snprintf(box->store->dirty_by, sizeof box->store->dirty_by, "%.30s %s (pid %u) on since %s", ed->user,
             ed->id == STORE_OPERATOR ? "terminal" : "netconf", ed->id == STORE_OPERATOR ? 4711u : ed->id, since);
}

const xmlNode *
store_see(const struct sim_box *box, const struct editor *ed)
{
    const xmlDoc *doc = ed->private ? (ed->mine ? ed->mine : ed->base)
                                    : (box->store->shared ? box->store->shared : box->committed);

    return xmlDocGetRootElement((xmlDoc *)doc);
}

xmlDoc *
store_revision(const struct sim_box *box, unsigned n)
{
    struct conf_errors *errors = n < box->store->n_rev ? calloc(1, sizeof *errors) : NULL;
    struct load l = {.as = box->as, .box = box, .errors = errors};
    xmlDoc *doc = errors && box->store->rev[n].text ? conf_new() : NULL;

    if (doc)
        conf_load_any(&l, xmlDocGetRootElement(doc), box->store->rev[n].text);
    free(errors);
    return doc;
}

bool
store_rollback(struct sim_box *box, struct editor *ed, unsigned n, struct conf_errors *errors)
{
    xmlDoc **tree = ed->private ? &ed->mine : &box->store->shared, *doc = NULL;

    if (!ed->private && locked_by_other(box, ed, errors))
        return false;
    if (n > 0 && !(doc = store_revision(box, n))) {
        conf_error(errors, false, "", "rollback", "rollback %u: no such configuration", n);
        return false;
    }
    xmlFreeDoc(*tree);
    *tree = doc;
    if (!ed->private && !doc)
        box->store->dirty_by[0] = '\0';
    else if (doc)
        store_edited(box, ed);
    return true;
}

/* ---- commit ---- */

static xmlDoc *
to_commit(struct sim_box *box, struct editor *ed, struct conf_errors *errors)
{
    const xmlDoc *from = ed->private || !box->store->shared ? box->committed : box->store->shared;
    xmlDoc *next = conf_copy(from);

    if (!next)
        conf_error(errors, false, "", "", "out of memory");
    else if (ed->private && ed->mine &&
             !conf_merge3(xmlDocGetRootElement(ed->base), xmlDocGetRootElement(ed->mine), xmlDocGetRootElement(next),
                          errors)) {
        xmlFreeDoc(next);
        next = NULL;
    }
    return next;
}

bool
store_commit_begin(struct sim_box *box, struct editor *ed, const struct commit *c, struct conf_errors *errors)
{
    struct sim_store *st = box->store;
    xmlDoc *next = NULL;

    pthread_mutex_lock(&box->lock);
    if (st->committing)
        conf_error(errors, false, "", "", "another commit is in progress");
    else if (c->confirm_ms && ed->private)
        conf_error(errors, false, "", "confirmed", "commit confirmed is not supported in private mode");
    else if (locked_by_other(box, ed, errors)) {
        if (!c->check && !ed->private)
            sim_violation(box, "commit while another session holds the lock");
    } else if ((next = to_commit(box, ed, errors)) != NULL)
        conf_check(box, xmlDocGetRootElement(next), errors);
    if (next && !errors->errors && !c->check) {
        st->committing = ed->id;
        st->next = next;
        next = NULL;
    }
    xmlFreeDoc(next);
    pthread_mutex_unlock(&box->lock);
    return errors->errors == 0;
}

/* What was committed out of a private copy also goes into the shared candidate, if somebody changes that one. */
static void
into_shared(struct sim_store *st, const xmlDoc *old, const xmlDoc *next)
{
    struct conf_errors *errors = st->shared ? calloc(1, sizeof *errors) : NULL;

    if (errors && !conf_merge3(xmlDocGetRootElement((xmlDoc *)old), xmlDocGetRootElement((xmlDoc *)next),
                               xmlDocGetRootElement(st->shared), errors))
        discard_shared(st);
    free(errors);
}

static void
installed(struct sim_box *box, struct editor *ed, const struct commit *c)
{
    struct sim_store *st = box->store;
    struct revision about = {.log = (char *)c->log, .confirmed = c->confirm_ms > 0};

    snprintf(about.user, sizeof about.user, "%s", ed->user);
    snprintf(about.client, sizeof about.client, "%s", ed->client);
    snprintf(about.comment, sizeof about.comment, "%s", c->comment ? c->comment : "");
    if (ed->private)
        into_shared(st, box->committed, st->next);
    else
        discard_shared(st);
    if (st->n_rev)
        st->rev[0].confirmed = false;
    install(box, st->next, &about);
    st->next = NULL;
    st->confirm_by_ms = c->confirm_ms ? mono_ms() + c->confirm_ms : 0;
    if (ed->private) {
        close_private(ed);
        ed->private = true;
        ed->base = doc_ref(box->committed);
    }
}

void
store_commit_end(struct sim_box *box, struct editor *ed, const struct commit *c, bool done)
{
    struct sim_store *st = box->store;

    pthread_mutex_lock(&box->lock);
    if (st->committing == ed->id && st->next) {
        st->committing = 0;
        if (done)
            installed(box, ed, c);
        xmlFreeDoc(st->next);
        st->next = NULL;
    }
    pthread_mutex_unlock(&box->lock);
}

void
store_tick(struct sim_box *box)
{
    struct revision about = {.user = "root", .client = "other", .comment = "commit confirmed, rolled back"};
    struct sim_store *st = box->store;
    xmlDoc *doc = NULL;

    pthread_mutex_lock(&box->lock);
    if (st->confirm_by_ms && mono_ms() >= st->confirm_by_ms && !st->committing) {
        st->confirm_by_ms = 0;
        if ((doc = store_revision(box, 1)) != NULL) {
            st->rev[0].confirmed = false;
            install(box, doc, &about);
        }
    }
    pthread_mutex_unlock(&box->lock);
    if (doc)
        rk_log(RK_LOG_NOTICE, "ev=rollback box=%s the commit was not confirmed", box->name);
}

/* ---- an operator at the console ---- */

static int
first_error(const struct conf_errors *errors, char *why)
{
    for (unsigned i = 0; i < errors->n; i++)
        if (!errors->e[i].warning) {
            snprintf(why, SIM_WHY_MAX, "[edit %.60s] %.40s: %.120s", errors->e[i].path, errors->e[i].element,
                     errors->e[i].message);
            return -1;
        }
    return 0;
}

static int
edit_shared(struct sim_box *box, const char *commands, struct conf_errors *errors)
{
    struct editor op = {.id = STORE_OPERATOR, .user = "admin", .client = "cli"};
    struct load l = {.as = box->as, .box = box, .errors = errors};
    xmlNode *conf = store_edit(box, &op, errors);

    if (conf) {
        conf_load_set(&l, conf, commands);
        store_edited(box, &op);
    }
    return errors->errors ? -1 : 0;
}

int
sim_edit_shared(struct sim_box *box, const char *commands, char *why)
{
    struct conf_errors *errors = calloc(1, sizeof *errors);
    int err;

    if (!errors)
        return -1;
    pthread_mutex_lock(&box->lock);
    edit_shared(box, commands, errors);
    pthread_mutex_unlock(&box->lock);
    err = first_error(errors, why);
    free(errors);
    return err;
}

/* By a private copy, so that nobody's candidate is committed with it. */
int
sim_edit(struct sim_box *box, const char *commands, char *why)
{
    struct editor op = {.id = STORE_OPERATOR, .user = "admin", .client = "cli"};
    const struct commit c = {.log = NULL};
    struct conf_errors *errors = calloc(1, sizeof *errors);
    struct load l = {.as = box->as, .box = box, .errors = errors};
    xmlNode *conf;
    int err;

    if (!errors)
        return -1;
    pthread_mutex_lock(&box->lock);
    op.private = true;
    op.base = doc_ref(box->committed);
    if ((conf = store_edit(box, &op, errors)) != NULL)
        conf_load_set(&l, conf, commands);
    pthread_mutex_unlock(&box->lock);
    if (!errors->errors && store_commit_begin(box, &op, &c, errors))
        store_commit_end(box, &op, &c, true);
    store_close(box, &op);
    err = first_error(errors, why);
    free(errors);
    return err;
}

void
sim_operator_lock(struct sim_box *box, bool held)
{
    struct sim_store *st = box->store;

    pthread_mutex_lock(&box->lock);
    if (held && !st->holder) {
        st->holder = STORE_OPERATOR;
        snprintf(st->holder_user, sizeof st->holder_user, "admin");
        st->held_since_ms = sim_box_now_ms(box);
    } else if (!held && st->holder == STORE_OPERATOR)
        st->holder = 0;
    pthread_mutex_unlock(&box->lock);
}

void
sim_operator_discard(struct sim_box *box)
{
    pthread_mutex_lock(&box->lock);
    if (!box->store->holder && strstr(box->store->dirty_by, " terminal "))
        discard_shared(box->store);
    pthread_mutex_unlock(&box->lock);
}

void
sim_reboot(struct sim_box *box, bool empty, int64_t down_ms)
{
    const struct revision about = {.user = "root", .client = "other"};
    struct conf_errors *errors = empty ? calloc(1, sizeof *errors) : NULL;
    xmlDoc *doc = errors ? initial_tree(box, errors) : NULL;

    free(errors);
    pthread_mutex_lock(&box->lock);
    box->store->down_until_ms = mono_ms() + down_ms;
    box->store->holder = 0;
    box->store->committing = 0; /* a commit that was on its way is lost */
    xmlFreeDoc(box->store->next);
    box->store->next = NULL;
    box->store->confirm_by_ms = 0;
    discard_shared(box->store);
    if (doc) {
        forget_all(box);
        install(box, doc, &about);
    } else
        sim_committed(box, NULL, NULL);
    pthread_mutex_unlock(&box->lock);
    sim_hang_up(box);
}
