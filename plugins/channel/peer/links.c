/* links.c - the newest record of each link, and which of them a peer does not have yet.
 *
 * With hub.lock held, on any worker thread.  A record that was taken by the peer is kept: a peer that starts anew has
 * forgotten it, and is sent all of them.  One link costs its name, its record, and some 60 bytes.
 */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

/* A record of the next rotation is as long as this one but for a digit or two: it gets the room of this one [bytes]. */
#define ROOM_STEP 16

static struct link **
bucket(struct hub *h, const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a: names are the operator's own */

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return &h->links[hash % HASH_SIZE];
}

struct link *
link_find(struct hub *h, const char *name)
{
    struct link *l = *bucket(h, name);

    while (l && (l->gone || strcmp(l->name, name) != 0))
        l = l->next;
    return l;
}

struct link *
link_make(struct hub *h, const char *name)
{
    struct link *l = link_find(h, name), **at = bucket(h, name);
    size_t size = strlen(name) + 1;

    if (l)
        return l;
    l = calloc(1, sizeof *l + size);
    if (!l)
        return NULL;
    memcpy(l->name, name, size);
    l->next = *at;
    *at = l;
    return l;
}

static void
link_free(struct link *l)
{
    free(l->record);
    free(l);
}

bool
link_record(struct link *l, const char *record)
{
    size_t size = strlen(record) + 1, room = (size + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;

    if (size > l->room) {
        char *fresh = malloc(room);

        if (!fresh)
            return false;
        free(l->record);
        l->record = fresh;
        l->room = (uint16_t)room;
    }
    memcpy(l->record, record, size);
    return true;
}

/* ---- what is due ---- */

static void
not_due(struct link *l)
{
    struct remote *r = l->remote;
    struct link **at = &r->due;

    if (!l->due)
        return;
    while (*at != l)
        at = &(*at)->next_due;
    *at = l->next_due;
    if (r->due_end == &l->next_due)
        r->due_end = at;
    l->due = false;
    l->next_due = NULL;
}

void
link_due(struct link *l)
{
    struct remote *r = l->remote;

    if (l->due || !r || !l->record || l->gone)
        return;
    l->due = true;
    l->next_due = NULL;
    *r->due_end = l;
    r->due_end = &l->next_due;
}

void
link_to(struct link *l, struct remote *r)
{
    if (l->remote == r)
        return;
    if (l->remote)
        not_due(l);
    l->remote = r;
    link_due(l);
}

void
links_due_all(struct hub *h, struct remote *r)
{
    for (size_t i = 0; i < HASH_SIZE; i++)
        for (struct link *l = h->links[i]; l; l = l->next)
            if (l->remote == r)
                link_due(l);
}

void
links_unknown_due(struct hub *h, struct remote *r)
{
    for (size_t i = 0; i < HASH_SIZE; i++)
        for (struct link *l = h->links[i]; l; l = l->next)
            if (l->remote == r && l->unknown)
                link_due(l);
}

/* ---- going ---- */

static void
remove_link(struct hub *h, struct link *l)
{
    struct link **at = bucket(h, l->name);

    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    link_free(l);
}

void
link_drop(struct hub *h, struct link *l)
{
    if (l->remote)
        not_due(l);
    l->gone = true;
    if (!l->sent)
        remove_link(h, l);
}

void
links_free(struct hub *h)
{
    for (size_t i = 0; i < HASH_SIZE; i++)
        for (struct link *l = h->links[i], *next; l; l = next) {
            next = l->next;
            link_free(l);
        }
}

/* ---- requests ---- */

void
links_take(struct remote *r)
{
    r->n_batch = r->body_len = 0;
    while (r->due && r->n_batch < BODY_LINES_MAX) {
        struct link *l = r->due;

        if (l->sent) /* with an older record, to a peer that it had before: that answer comes first */
            break;
        r->body_len = body_put(r->body, r->body_len, &(struct body_line){l->name, l->record});
        not_due(l);
        l->sent = true;
        l->unknown = false;
        r->batch[r->n_batch++] = l;
    }
}

void
links_answered(struct hub *h, struct remote *r, bool ok)
{
    for (size_t i = 0; i < r->n_batch; i++) {
        struct link *l = r->batch[i];

        l->sent = false;
        if (l->gone)
            remove_link(h, l);
        else if (!ok && l->remote == r)
            link_due(l);
    }
    r->n_batch = 0;
}

/* ---- peers ---- */

struct remote *
remote_by_sae(struct hub *h, const char *sae)
{
    for (size_t i = 0; sae[0] && i < h->n_remotes; i++)
        if (strcmp(h->remotes[i].sae, sae) == 0)
            return &h->remotes[i];
    return NULL;
}

void
remote_session(struct hub *h, struct remote *r, const char *session)
{
    bool restarted = r->session[0] && strcmp(r->session, session) != 0;

    strcpy(r->session, session);
    if (restarted)
        links_due_all(h, r);
}
