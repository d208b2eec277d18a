/* rest.c - ends at rest: what an end is and does is packed while nothing goes on, for it is mostly zeros.
 *
 * Runs in the loop.  An idle end comes to rest a moment after its last event, and is roused by the next one.  Between
 * the two it is exactly as it was, but for what end_configure() sets anew.  A struct live has its place in a chunk of
 * many, which goes back to the system soon after the last end in it rests: most are live at once after a start.
 */
#include "daemon.h"

#include "../base/log.h"
#include "../base/squeeze.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REST_MS 100               /* between two looks: an end rests once in a rotation, not at each step of it */
#define CHUNK_BYTES (256 * 1024u)
#define ROUND 16u                 /* malloc's steps, which begin at the half of one */
#define HALF (ROUND / 2)

/* ---- room for those that are live ---- */

struct slot {
    struct chunk *chunk;
    union {
        struct live live;
        struct slot *next_free;
    } u;
};

struct chunk {
    struct chunk *next, **at; /* in the list of those with room, or of the empty ones: what points to it */
    struct slot *free;        /* slots that were given back, and how many have never been used: */
    size_t used, fresh;
    struct slot slot[];
};

#define SLOTS ((CHUNK_BYTES - sizeof(struct chunk)) / sizeof(struct slot))

static struct chunk *with_room, *empty;
static size_t n_empty;

static void
link_chunk(struct chunk **list, struct chunk *c)
{
    c->next = *list;
    c->at = list;
    if (c->next)
        c->next->at = &c->next;
    *list = c;
}

static void
unlink_chunk(struct chunk *c)
{
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
}

/* Its pages are there as they are used. */
static bool
new_chunk(void)
{
    struct chunk *c = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (c == MAP_FAILED)
        return false;
    c->fresh = SLOTS;
    link_chunk(&empty, c);
    n_empty++;
    return true;
}

static struct slot *
take_slot(struct chunk *c)
{
    struct slot *slot = c->free;

    if (slot)
        c->free = slot->u.next_free;
    else
        slot = &c->slot[SLOTS - c->fresh--];
    slot->chunk = c;
    if (++c->used == SLOTS)
        unlink_chunk(c);
    return slot;
}

struct live *
live_new(void)
{
    struct slot *slot;

    if (!with_room && !empty && !new_chunk())
        return NULL;
    if (!with_room) {
        struct chunk *c = empty;

        unlink_chunk(c);
        n_empty--;
        link_chunk(&with_room, c);
    }
    slot = take_slot(with_room);
    memset(&slot->u.live, 0, sizeof slot->u.live);
    return &slot->u.live;
}

void
live_free(struct live *live)
{
    struct slot *slot;
    struct chunk *c;

    if (!live)
        return;
    free(live->reading);
    slot = (struct slot *)(void *)((char *)live - offsetof(struct slot, u));
    c = slot->chunk;
    if (c->used == SLOTS)
        link_chunk(&with_room, c);
    slot->u.next_free = c->free;
    c->free = slot;
    if (--c->used > 0)
        return;
    unlink_chunk(c);
    link_chunk(&empty, c);
    n_empty++;
}

/* Give empty chunks back, but for so many. */
static void
trim(size_t keep)
{
    while (n_empty > keep) {
        struct chunk *c = empty;

        unlink_chunk(c);
        n_empty--;
        munmap(c, CHUNK_BYTES);
    }
}

/* ---- packing ---- */

struct rest {
    uint16_t len, size; /* bytes that are used, and that there are */
    unsigned char bytes[];
};

void
rest_free(struct rest *rest)
{
    free(rest);
}

/* What is behind the end of a text is nothing. */
static void
clear_behind(char *text, size_t size)
{
    size_t len = strnlen(text, size);

    memset(text + len, 0, size - len);
}

/* What is there twice is there once; the same again brings it back. */
static void
fold(char *twice, const char *once, size_t size)
{
    for (size_t i = 0; i < size && once[i]; i++)
        twice[i] ^= once[i];
}

static void
fold_all(struct rk_end *e)
{
    fold(e->peer.link, e->d.link, sizeof e->peer.link);
    fold(e->peer.key, e->d.cur, sizeof e->peer.key);
    fold(e->peer_active, e->d.cur, sizeof e->peer_active);
    e->d.cur_boot ^= rk_boot_id();
    e->cur_since_ns ^= e->d.cur_boot_ns;
    e->give_up_ns ^= RK_NEVER;
}

static void
leave_out(struct live *live)
{
    struct rk_end *e = &live->e;

    memset(live->act_key, 0, sizeof live->act_key); /* there is no act */
    live->act_seq = 0;
    live->queued_ns = 0;
    live->put_err = 0;
    live->reading = NULL; /* freed with the room */
    live->next_may_rest = NULL;
    clear_behind(e->d.cur, sizeof e->d.cur);
    clear_behind(e->d.prev, sizeof e->d.prev);
    clear_behind(e->d.cand, sizeof e->d.cand);
    clear_behind(e->d.mine, sizeof e->d.mine);
    clear_behind(e->d.theirs, sizeof e->d.theirs);
    clear_behind(e->peer.key, sizeof e->peer.key);
    clear_behind(e->peer.prev, sizeof e->peer.prev);
    clear_behind(e->peer.facts, sizeof e->peer.facts);
    clear_behind(e->peer.confirm, sizeof e->peer.confirm);
    clear_behind(e->peer_active, sizeof e->peer_active);
    clear_behind(e->facts, sizeof e->facts);
    clear_behind(e->last_why, sizeof e->last_why);
    e->own_sae = e->peer_sae = NULL; /* as end_configure() sets it again */
    e->supply = NULL;
    e->interval_ns = e->drain_ns = e->verify_ns = e->lead_ns = e->shut_after_ns = 0;
    e->slot = 0;
    fold_all(e);
}

static struct rest *
new_rest(size_t len)
{
    size_t head = offsetof(struct rest, bytes), all = (head + len + HALF - 1) / ROUND * ROUND + HALF;
    struct rest *rest = malloc(all);

    if (rest)
        rest->size = (uint16_t)(all - head);
    return rest;
}

/* ---- rest and work ---- */

static bool
can_rest(const struct end *end)
{
    const struct live *live = end->live;

    return live->e.state == RK_ST_IDLE && !live->e.retrying && live->act == RK_ACT_NONE && !end->busy &&
           !end->inbox_due && end->key_fd < 0 && !end->d->stopping && !mix_holds(end);
}

/* At rest its timer is exact, for to be roused too early costs more than to move it.   ret: is it set */
static bool
set_timer(struct end *end)
{
    int64_t wake_ns = end->live->e.wake_ns;

    if (wake_ns == RK_NEVER)
        wake_off(end->d, &end->wake);
    else
        wake_at(end->d, &end->wake, wake_ns);
    return wake_ns == RK_NEVER || end->wake.timer.pos;
}

static void
put_to_rest(struct end *end)
{
    static unsigned char bytes[RK_SQUEEZE_MAX(sizeof(struct live))];
    static struct live live;
    size_t len;

    _Static_assert(sizeof bytes <= UINT16_MAX, "its length fits");
    live = *end->live;
    leave_out(&live);
    len = rk_squeeze(&live, sizeof live, bytes);
    if (!end->rest || end->rest->size < len || end->rest->size >= len + 4 * ROUND) {
        rest_free(end->rest);
        end->rest = new_rest(len);
    }
    if (!end->rest || !set_timer(end))
        return; /* no memory: it stays as it is */
    memcpy(end->rest->bytes, bytes, len);
    end->rest->len = (uint16_t)len;
    live_free(end->live);
    end->live = NULL;
}

static void
unpack(const struct end *end, struct live *live)
{
    bool whole = rk_unsqueeze(end->rest->bytes, end->rest->len, live, sizeof *live);

    rk_assert(whole);
    fold_all(&live->e);
}

static void look_later(struct end *end);

/* Those that nothing has happened to since the last look.  Of the room that is left over half goes back, for what
 * follows under the same load takes it again; and all but a little when nothing follows. */
static void
look(struct daemon *d, struct wake *w)
{
    struct end *end = d->may_rest;

    (void)w;
    d->may_rest = NULL;
    while (end) {
        struct end *next = end->live->next_may_rest;

        end->live->may_rest = false;
        if (end->gone)
            end_release(end);
        else if (end->live->stirred)
            look_later(end);
        else if (can_rest(end))
            put_to_rest(end);
        end = next;
    }
    trim(d->may_rest ? n_empty - n_empty / 2 : 1);
}

static void
look_later(struct end *end)
{
    struct daemon *d = end->d;

    end->live->stirred = false;
    end->live->may_rest = true;
    end->live->next_may_rest = d->may_rest;
    d->may_rest = end;
    d->rest_wake.fn = look;
    if (!d->rest_wake.timer.pos)
        wake_at(d, &d->rest_wake, rk_now_ns() + REST_MS * RK_NS_PER_MS);
}

bool
end_rouse(struct end *end)
{
    struct live *live;

    if (!end->live) {
        live = live_new();
        if (!live)
            return false;
        unpack(end, live);
        end->live = live;
        end_configure(end);
    }
    if (!end->live->may_rest)
        look_later(end);
    end->live->stirred = true;
    return true;
}

const struct rk_end *
end_see(const struct end *end)
{
    static struct live seen;
    struct end as_roused = *end;

    if (end->live)
        return &end->live->e;
    unpack(end, &seen);
    as_roused.live = &seen;
    end_configure(&as_roused);
    return &seen.e;
}
