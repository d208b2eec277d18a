/* neigh.c - see neigh.h */
#include "neigh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_SHOWN 40 /* of each name in words, so that two neighbours fit into a post */
#define FIELD_LINK 1

struct one {
    char chassis[NEIGH_ID_MAX + 1], port[NEIGH_ID_MAX + 1], system[NAME_MAX_SHOWN + 1];
    char says[RK_RECORD_MAX + 1]; /* a record, '=' and a key ID, or words; "" nothing */
    enum lldp_found found;
    bool pinned; /* it is whom the pins name; without pins all are */
    bool seen;   /* in the reading under way */
    bool fresh;  /* to be handed on */
    uint64_t heard; /* number of the last frame of it, to know who was not heard for the longest time */
};

enum anomaly { FINE, GONE, STRANGER, SECOND, OTHER_LINK, FLOOD };

struct neighbours {
    struct neigh_rules rules;
    struct one *all;
    size_t n, room, turn; /* turn: who is handed on first, so that nobody can take all the room */
    bool pins, met, sweep;  /* met: there was a neighbour; sweep: a reading is under way */
    uint64_t frames;
    int64_t alone_ms;       /* since when there is none */
    int tokens;
    int64_t token_ms;       /* when tokens was right */
    uint64_t overwritten, counted;
    int64_t counted_ms;     /* counted: overwritten, as it was then */
    bool flood;
    enum anomaly told;
    int64_t told_ms;
    char words[RK_RECORD_MAX + 1]; /* those told last */
};

/* ---- who is there ---- */

struct neighbours *
neigh_new(const struct neigh_rules *rules, int64_t now_ms)
{
    struct neighbours *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->rules = *rules;
    t->pins = rules->peer_chassis[0] || rules->peer_port[0];
    t->tokens = NEIGH_BURST;
    t->token_ms = t->alone_ms = t->counted_ms = now_ms;
    return t;
}

void
neigh_free(struct neighbours *t)
{
    if (t)
        free(t->all);
    free(t);
}

static void
copy_id(char *out, size_t size, const char *id)
{
    lldp_safe((struct lldp_bytes){id ? id : "", id ? strnlen(id, size) : 0}, out, size);
}

static bool
fits(const char *pin, const char (*id)[NEIGH_ID_MAX + 1])
{
    return !pin[0] || strcasecmp(pin, *id) == 0;
}

static void
name_one(const struct neighbours *t, const struct rk_neighbour *seen, struct one *out)
{
    memset(out, 0, sizeof *out);
    copy_id(out->chassis, sizeof out->chassis, seen->chassis);
    copy_id(out->port, sizeof out->port, seen->port);
    copy_id(out->system, sizeof out->system, seen->system);
    out->pinned = fits(t->rules.peer_chassis, &out->chassis) && fits(t->rules.peer_port, &out->port);
}

static struct one *
find(struct neighbours *t, const struct one *who)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->all[i].chassis, who->chassis) == 0 && strcmp(t->all[i].port, who->port) == 0)
            return &t->all[i];
    return NULL;
}

/* Who gives its place to a new one: never the pinned one while there are others. */
static struct one *
oldest(struct neighbours *t)
{
    struct one *old = NULL;

    for (size_t i = 0; i < t->n; i++)
        if (!(t->pins && t->all[i].pinned) && (!old || t->all[i].heard < old->heard))
            old = &t->all[i];
    return old ? old : &t->all[0];
}

static struct one *
place(struct neighbours *t)
{
    if (t->n == NEIGH_MAX)
        return oldest(t);
    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 1;
        struct one *all = realloc(t->all, room * sizeof *all);

        if (!all)
            return NULL; /* as if its frame was lost: it is sent again */
        t->all = all;
        t->room = room;
    }
    return &t->all[t->n++];
}

static void
forget(struct neighbours *t, struct one *o, int64_t now_ms)
{
    *o = t->all[--t->n];
    if (t->n == 0)
        t->alone_ms = now_ms;
}

/* A description is untrusted to its last byte; its end is looked for no further than one byte above what can be. */
static void
read_text(const struct neighbours *t, const char *description, struct one *o)
{
    struct lldp_bytes d = {description ? description : "", 0};

    d.len = strnlen(d.bytes, 2 * LLDP_TEXT_MAX + 2);
    o->found = lldp_find(t->rules.format, t->rules.member, d, o->says);
}

void
neigh_heard(struct neighbours *t, const struct rk_neighbour *seen, int64_t now_ms)
{
    struct one now, *o;

    (void)now_ms;
    name_one(t, seen, &now);
    read_text(t, seen->description, &now);
    now.seen = true;
    now.heard = ++t->frames;
    o = find(t, &now);
    if (!o) {
        o = place(t);
        if (!o)
            return;
        memset(o, 0, sizeof *o);
    }
    if (o->fresh && o->found != LLDP_NOTHING && strcmp(o->says, now.says) != 0)
        t->overwritten++;
    now.fresh = now.found != LLDP_NOTHING && (o->fresh || t->sweep || strcmp(o->says, now.says) != 0);
    *o = now;
    t->met = true;
}

void
neigh_gone(struct neighbours *t, const struct rk_neighbour *seen, int64_t now_ms)
{
    struct one who, *o;

    name_one(t, seen, &who);
    o = find(t, &who);
    if (o)
        forget(t, o, now_ms);
}

void
neigh_begin(struct neighbours *t)
{
    t->sweep = true;
    for (size_t i = 0; i < t->n; i++)
        t->all[i].seen = false;
}

void
neigh_end(struct neighbours *t, int64_t now_ms)
{
    t->sweep = false;
    for (size_t i = t->n; i-- > 0;)
        if (!t->all[i].seen)
            forget(t, &t->all[i], now_ms);
}

size_t
neigh_count(const struct neighbours *t, bool with)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++)
        n += !with || t->all[i].found == LLDP_RECORD;
    return n;
}

uint64_t
neigh_overwritten(const struct neighbours *t)
{
    return t->overwritten;
}

/* ---- what is wrong ---- */

/* A record names its link.  That of another one may be forged, or the cable is in another port. */
static bool
of_other_link(const struct neighbours *t, const struct one *o)
{
    struct lldp_bytes link;

    if (o->found != LLDP_RECORD || t->rules.format != LLDP_REKEY)
        return false;
    link = lldp_field(o->says, FIELD_LINK);
    return link.len != strlen(t->rules.link) || memcmp(link.bytes, t->rules.link, link.len) != 0;
}

static const struct one *
first_of(const struct neighbours *t, bool (*is)(const struct neighbours *, const struct one *))
{
    for (size_t i = 0; i < t->n; i++)
        if (is(t, &t->all[i]))
            return &t->all[i];
    return NULL;
}

static bool
stranger(const struct neighbours *t, const struct one *o)
{
    (void)t;
    return !o->pinned;
}

static enum anomaly
look(const struct neighbours *t, int64_t now_ms, const struct one **who)
{
    *who = NULL;
    if (t->n == 0)
        return t->met && now_ms - t->alone_ms >= NEIGH_GONE_MS ? GONE : FINE;
    if ((*who = first_of(t, stranger)))
        return STRANGER;
    if (t->n > 1)
        return SECOND;
    if ((*who = first_of(t, of_other_link)))
        return OTHER_LINK;
    return t->flood ? FLOOD : FINE;
}

/* "chassis C port P (S)" */
static const char *
name(const struct one *o, char out[200])
{
    snprintf(out, 200, "chassis %.*s port %.*s%s%.*s%s", NAME_MAX_SHOWN, o->chassis[0] ? o->chassis : "?",
             NAME_MAX_SHOWN, o->port[0] ? o->port : "?", o->system[0] ? " (" : "", 24, o->system,
             o->system[0] ? ")" : "");
    return out;
}

static void
say(const struct neighbours *t, enum anomaly what, const struct one *who, char *words)
{
    const size_t size = RK_RECORD_MAX + 1;
    char a[200], b[200];

    switch (what) {
    case FINE:
        words[0] = '\0';
        break;
    case GONE:
        snprintf(words, size, "no neighbour is heard on %s any more; look at the cable, and at LLDP on the peer",
                 t->rules.where);
        break;
    case STRANGER:
        snprintf(words, size, "wrong neighbour on %s: %s%s; look at the cable, or correct peer-chassis and peer-port",
                 t->rules.where, name(who, a), t->n > 1 ? ", and others" : "");
        break;
    case SECOND:
        snprintf(words, size, "%zu neighbours on %s: %.70s and %.70s; a switch between, or forged frames", t->n,
                 t->rules.where, name(&t->all[0], a), name(&t->all[1], b));
        break;
    case OTHER_LINK:
        snprintf(words, size, "the neighbour on %s, %s, shows the record of link %.*s; look at the cables",
                 t->rules.where, name(who, a), (int)lldp_field(who->says, FIELD_LINK).len,
                 lldp_field(who->says, FIELD_LINK).bytes);
        break;
    case FLOOD:
        snprintf(words, size, "%.100s on %s changes its text too fast: %llu texts were left out; somebody sends "
                 "forged frames", name(&t->all[0], a), t->rules.where,
                 (unsigned long long)(t->overwritten - t->counted));
        break;
    }
}

bool
neigh_words(const struct neighbours *t, char *words)
{
    const struct one *who;
    enum anomaly what = look(t, t->alone_ms + NEIGH_GONE_MS, &who);

    say(t, what, who, words);
    return what != FINE;
}

/* ---- what is handed on ---- */

static void
put(const struct neighbours *t, struct rk_post *post, int err, const char *text)
{
    memset(post, 0, sizeof *post);
    snprintf(post->link, sizeof post->link, "%s", t->rules.link);
    snprintf(post->record, sizeof post->record, "%s", text);
    post->err = err;
}

static void
count_flood(struct neighbours *t, int64_t now_ms)
{
    bool over = now_ms - t->counted_ms >= NEIGH_TELL_MS;

    if (t->overwritten - t->counted >= NEIGH_FLOOD)
        t->flood = true;
    else if (over)
        t->flood = false;
    if (over) {
        t->counted = t->overwritten;
        t->counted_ms = now_ms;
    }
}

/* Another kind of anomaly is told soon, the same kind again at a low rate, however its words change: who forges frames
 * has new names in each. */
static bool
anomaly_due(struct neighbours *t, int64_t now_ms, char *words)
{
    const struct one *who;
    enum anomaly what = look(t, now_ms, &who);
    int64_t since = now_ms - t->told_ms;
    bool again = since >= NEIGH_TELL_MS || (what != t->told && since >= NEIGH_CHANGE_MS);
    bool due = what != FINE && (t->told == FINE || again);

    if (what == FINE && since >= NEIGH_CHANGE_MS)
        t->told = FINE;
    if (!due)
        return false;
    say(t, what, who, words);
    t->told = what;
    t->told_ms = now_ms;
    return true;
}

static void
fill_tokens(struct neighbours *t, int64_t now_ms)
{
    int64_t more = (now_ms - t->token_ms) / NEIGH_EVERY_MS;

    if (more <= 0)
        return;
    t->token_ms += more * NEIGH_EVERY_MS;
    t->tokens = more < NEIGH_BURST - t->tokens ? t->tokens + (int)more : NEIGH_BURST;
}

/* May what it says be handed on.  A record has a tag that the host checks; a key ID alone has none, so of several
 * neighbours without a pin none is believed. */
static bool
eligible(const struct neighbours *t, const struct one *o)
{
    if (!o->pinned)
        return false;
    return t->rules.format == LLDP_REKEY || t->pins || t->n == 1;
}

size_t
neigh_news(struct neighbours *t, int64_t now_ms, struct rk_post *posts, size_t max)
{
    char words[RK_RECORD_MAX + 1];
    size_t n = 0;

    count_flood(t, now_ms);
    fill_tokens(t, now_ms);
    if (n < max && anomaly_due(t, now_ms, words))
        put(t, &posts[n++], RK_E_CONFLICT, words);
    for (size_t i = 0; i < t->n && n < max && t->tokens > 0; i++) {
        struct one *o = &t->all[(t->turn + i) % t->n];

        if (!o->fresh)
            continue;
        o->fresh = false;
        if (!eligible(t, o))
            continue;
        put(t, &posts[n++], RK_OK, o->says);
        t->tokens--;
    }
    t->turn = t->n ? (t->turn + 1) % t->n : 0;
    return n;
}

int64_t
neigh_wait_ms(const struct neighbours *t, int64_t now_ms)
{
    int64_t wait = -1;

    for (size_t i = 0; i < t->n; i++)
        if (t->all[i].fresh)
            wait = t->tokens > 0 || now_ms - t->token_ms >= NEIGH_EVERY_MS ? 0 : t->token_ms + NEIGH_EVERY_MS - now_ms;
    return wait;
}
