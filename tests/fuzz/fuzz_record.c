/* fuzz_record.c - records from memory, and an end of a link that hears them with good tags, in any order.
 *
 * The input is lines.  A line that is a record is heard; other lines are, by their first letter: M or S, a new end of
 * this role; c, a crash; t, time goes on; r, an operator's wish; d, the action is done; k, the source gave the key ID
 * behind it; f, it failed, with the class in the letter behind it; o, the device holds what the letters behind it say.
 */
#include "core/base/text.h"
#include "core/model/end.h"

#include <rekey/err.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINE_MAX_BYTES 600
#define LINES_MAX 400
#define TAG "0123456789abcdef0123456789abcdef"

struct run {
    struct rk_end e;
    struct rk_durable disk, writing;
    struct rk_todo todo;
    enum rk_act act; /* under way */
    int64_t now_ns;
};

static void
demand(bool truth)
{
    if (!truth)
        abort();
}

/* What is read is written exactly so; nothing of what is refused is left. */
static bool
read_record(const char *line, struct rk_record *r)
{
    static const struct rk_record none;
    char text[RK_RECORD_MAX + 1];
    int err = rk_record_get(line, r);

    demand(err == RK_OK || (err == RK_E_PROTOCOL && memcmp(r, &none, sizeof none) == 0));
    if (err)
        return false;
    demand(rk_record_put(r, text) && strcmp(text, line) == 0);
    demand(rk_record_order(r, r) == 0 && rk_say_name(r->say)[0] != '?');
    return true;
}

/* What is said of time is read back as it was said, as far as there was room, and leaves the facts as they were. */
static void
check_times(struct run *w, struct rk_record r)
{
    struct rk_record timed = r;
    struct rk_times t;

    rk_end_record_times(&w->e, &timed, true, (struct rk_wall){w->now_ns / RK_NS_PER_MS}, w->now_ns);
    demand(memchr(timed.facts, '\0', sizeof timed.facts));
    rk_times_take(timed.facts, &t);
    demand(strcmp(timed.facts, r.facts) == 0 || strncmp(r.facts, "t=", 2) == 0 || strstr(r.facts, ",t="));
    demand(t.clock_ms == 0 || t.clock_ms == w->e.said_clock_ms);
    demand(w->e.skew.seq == 0 || (w->e.skew.seq <= w->e.steps.seq && w->e.steps.seq <= RK_SEQ_MAX));
}

static void
check(struct run *w, uint64_t seq)
{
    const struct rk_end *e = &w->e;
    struct rk_record r;

    demand(w->act != RK_ACT_NONE || e->wake_ns != RK_NEVER); /* it never waits for nothing */
    demand(e->d.seq >= seq && e->d.seq <= RK_SEQ_MAX && e->d.floor >= e->d.seq && e->d.phase <= RK_PH_BURNING);
    demand(e->d.role == RK_MASTER || e->d.role == RK_SLAVE);
    demand((e->d.cand[0] == '\0') == (e->d.phase == RK_PH_IDLE || e->d.phase == RK_PH_ACTIVE) ||
           e->d.phase == RK_PH_INTENT);
    demand(!e->d.cur[0] || strcmp(e->d.cur, e->d.prev) != 0);
    demand(!(w->todo.publish && w->todo.act == RK_ACT_JOURNAL)); /* nothing is said before it is durable */
    rk_end_record(e, &r);
    check_times(w, r);
    demand(r.say <= RK_SAY_LOST && memchr(r.facts, '\0', sizeof r.facts) && memchr(r.confirm, '\0', sizeof r.confirm));
    (void)rk_end_alarms(e, w->now_ns);
}

static void
step(struct run *w, struct rk_event ev)
{
    uint64_t seq = w->e.d.seq;

    ev.wall.unix_ms = w->now_ns / RK_NS_PER_MS;
    rk_end_step(&w->e, &ev, w->now_ns, &w->todo);
    if (w->todo.act != RK_ACT_NONE) {
        demand(w->act == RK_ACT_NONE); /* one at a time */
        w->act = w->todo.act;
        w->writing = w->e.d;
    }
    check(w, seq);
}

static void
start(struct run *w)
{
    rk_end_init(&w->e, &w->disk);
    w->e.own_sae = "SAE_A";
    w->e.peer_sae = "SAE_B";
    w->e.interval_ns = 120 * RK_NS_PER_S;
    w->e.drain_ns = 2 * RK_NS_PER_S;
    w->e.verify_ns = 30 * RK_NS_PER_S;
    w->act = RK_ACT_NONE;
    step(w, (struct rk_event){.type = RK_EV_START});
}

static void
begin(struct run *w, uint32_t role)
{
    memset(w, 0, sizeof *w);
    w->now_ns = RK_NS_PER_S;
    w->disk.role = role;
    w->disk.end = 'a';
    strcpy(w->disk.link, "a-b-1");
    start(w);
}

/* The answer to the action under way, if the line is one for it. */
static void
answer(struct run *w, const char *line)
{
    static const int errs[] = {RK_E_BUSY, RK_E_UNKNOWN, RK_E_REJECTED, RK_E_EMPTY, RK_E_CONTRACT, RK_E_NOKEY,
                               RK_E_CONFLICT, RK_E_FATAL};
    enum rk_act act = w->act;
    size_t n = strlen(line);
    struct rk_seen seen = {.state = RK_IF_PRESENT, .facts = "sci=a", .why = ""};
    struct rk_event ev = {.type = RK_EV_DONE, .mine = TAG, .theirs = TAG};

    if (line[0] == 'f') {
        ev = (struct rk_event){.type = RK_EV_FAILED, .err = errs[(unsigned char)line[1] % 8], .why = "fuzz"};
    } else if (line[0] == 'o' && act == RK_ACT_OBSERVE) {
        seen.cur = n > 1 ? line[1] & 15u : 0;
        seen.prev = n > 2 ? line[2] & 15u : 0;
        seen.cand = n > 3 ? line[3] & 15u : 0;
        seen.peer = n > 4 ? line[4] & 15u : 0;
        seen.state = n > 5 ? line[5] & 15u : RK_IF_PRESENT;
        ev = (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen};
    } else if (line[0] == 'k' && (act == RK_ACT_GET_NEW || act == RK_ACT_GET_BY_ID)) {
        if (act == RK_ACT_GET_NEW && !rk_key_id_ok(line + 1))
            return; /* a host lets no other ID through */
        ev = (struct rk_event){.type = RK_EV_KEY, .key_id = line + 1};
    } else if (line[0] != 'd' || act < RK_ACT_JOURNAL || act == RK_ACT_GET_NEW || act == RK_ACT_GET_BY_ID) {
        return;
    } else if (act == RK_ACT_JOURNAL) {
        w->disk = w->writing;
    }
    w->act = RK_ACT_NONE;
    step(w, ev);
}

static void
play(struct run *w, const char *line)
{
    struct rk_record r;

    if (read_record(line, &r)) {
        step(w, (struct rk_event){.type = RK_EV_PEER, .record = &r});
        return;
    }
    switch (line[0]) {
    case 'M':
    case 'S':
        begin(w, line[0] == 'M' ? RK_MASTER : RK_SLAVE);
        break;
    case 'c':
        start(w);
        break;
    case 't':
        w->now_ns += RK_NS_PER_S;
        if (w->e.wake_ns != RK_NEVER && w->e.wake_ns > w->now_ns)
            w->now_ns = w->e.wake_ns;
        step(w, (struct rk_event){.type = RK_EV_TICK});
        demand(w->act != RK_ACT_NONE || w->e.wake_ns > w->now_ns); /* it never spins */
        break;
    case 'r':
        step(w, (struct rk_event){.type = RK_EV_ROTATE});
        break;
    default:
        if (w->act != RK_ACT_NONE)
            answer(w, line);
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char line[LINE_MAX_BYTES + 1];
    struct run w;
    size_t at = 0;

    begin(&w, RK_MASTER);
    for (int i = 0; i < LINES_MAX && at < size; i++) {
        size_t len = 0;

        while (at + len < size && data[at + len] != '\n' && len < LINE_MAX_BYTES)
            len++;
        memcpy(line, data + at, len);
        line[len] = '\0';
        at += len + 1;
        play(&w, line);
    }
    return 0;
}
