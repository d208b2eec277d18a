/* end.c - driving one end: carries out what its model asks for, after a while, and tells it the outcome.
 *
 * What core/daemon/end_run.c does with hosts and plugins.  Faults and kills strike here: before an effect, between the
 * effect and its reply, after the reply.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_link *
end_link(const struct sim_end *s)
{
    return s->timer.link;
}

uint32_t
end_side(const struct sim_end *s)
{
    return s->timer.what;
}

struct sim_end *
end_peer(const struct sim_end *s)
{
    return &end_link(s)->end[!end_side(s)];
}

int64_t
end_local_ns(const struct sim_end *s)
{
    return end_link(s)->sim->now_ns - s->base_ns;
}

int64_t
end_wall_ms(const struct sim_end *s)
{
    return EPOCH_MS + end_link(s)->sim->now_ns / MS + s->jump_ms;
}

int64_t
end_next_ns(const struct sim_end *s)
{
    int64_t at = s->boot_ns;

    if (s->gone)
        return at;
    if (s->script)
        return s->script_ns;
    if (s->act.act != RK_ACT_NONE && s->act.at_ns < at)
        at = s->act.at_ns;
    if (s->hear_ns < at)
        at = s->hear_ns;
    if (s->e.wake_ns != RK_NEVER && s->e.wake_ns + s->base_ns < at)
        at = s->e.wake_ns + s->base_ns;
    return at;
}

/* ---- records ---- */

static void
keep_said(struct sim_end *s)
{
    struct sim_link *l = end_link(s);
    uint32_t cap = l->sim->conf.soup, n = s->n_said - 1;

    if (s->n_said == 0 || cap == 0)
        return;
    s->soup[n < cap ? n : rnd(l, cap)] = s->said;
}

static void
check_text(struct sim_end *s, const struct rk_record *r)
{
    struct sim_link *l = end_link(s);
    char text[RK_RECORD_MAX + 1];
    struct rk_record back;

    CHECK(l, rk_record_put(r, text));
    CHECK(l, rk_record_get(text, &back) == RK_OK);
    CHECK(l, back.role == r->role && back.say == r->say && back.term == r->term && back.seq == r->seq);
    CHECK(l, strcmp(back.link, r->link) == 0 && strcmp(back.key, r->key) == 0 && strcmp(back.prev, r->prev) == 0 &&
                 strcmp(back.facts, r->facts) == 0 && strcmp(back.confirm, r->confirm) == 0);
}

static void
say(struct sim_end *s, const struct rk_record *r)
{
    struct sim_link *l = end_link(s);
    struct sim *sim = l->sim;

    keep_said(s);
    s->said = *r;
    if (!sim->conf.carried)
        rk_end_record_times(&s->e, &s->said, true, (struct rk_wall){end_wall_ms(s)}, sim->now_ns);
    s->n_said++;
    sim->records++;
    if (sim->conf.text || s->n_said % 64 == 1)
        check_text(s, &s->said);
    if (sim->now_ns < s->mute_ns || (sim->now_ns < s->loss_ns && rnd(l, 2)))
        return; /* lost, until a newer one or a repetition */
    end_peer(s)->hear_ns = sim->now_ns + (int64_t)rnd(l, (uint64_t)sim->conf.hear_ns) + 1;
}

static void
publish(struct sim_end *s)
{
    struct rk_record r;

    rk_end_record(&s->e, &r);
    check_record(s, &r);
    say(s, &r);
}

/* The commit shows it, before anyone has heard of the commit, and before the journal has: and a crash may come between
 * the two.  What was said of the rotation before is not lost to the peer by it. */
static void
publish_ahead(struct sim_end *s)
{
    struct rk_record r;

    if (!end_link(s)->sim->conf.carried || s->act.act != RK_ACT_STAGE || !rk_end_record_ahead(&s->e, &r))
        return;
    CHECK(end_link(s), r.seq == s->disk.seq && (r.say == RK_SAY_OFFER || r.say == RK_SAY_STAGED));
    CHECK(end_link(s), end_link(s)->forgot || !s->n_said || rk_record_order(&r, &s->said) > 0);
    end_link(s)->sim->ahead++;
    say(s, &r);
}

static void
hear(struct sim_end *s)
{
    struct sim_end *from = end_peer(s);
    struct rk_record r = from->said;

    s->hear_ns = RK_NEVER;
    if (from->n_said)
        end_event(s, &(struct rk_event){.type = RK_EV_PEER, .record = &r});
}

/* ---- actions ---- */

/* The terms "keep=KEY-ID,start=SECONDS". */
static void
take_terms(struct sim_act *act, const char *terms)
{
    const char *start = strstr(terms, "start=");
    char id[RK_KEY_ID_MAX + 1] = "";

    act->keep_given = strncmp(terms, "keep=", 5) == 0;
    if (act->keep_given)
        snprintf(id, sizeof id, "%.*s", (int)strcspn(terms + 5, ","), terms + 5);
    act->keep = key_number(id);
    act->start_ms = start ? strtoll(start + 6, NULL, 10) * 1000 : 0;
}

static void
take_todo(struct sim_end *s, const struct rk_todo *todo)
{
    struct sim_link *l = end_link(s);
    struct sim *sim = l->sim;

    if (todo->drop_key)
        s->fetched = 0;
    if (todo->publish)
        publish(s);
    if (todo->act == RK_ACT_NONE)
        return;
    CHECK(l, s->act.act == RK_ACT_NONE);
    s->act = (struct sim_act){.act = todo->act, .state = s->e.state, .seq = todo->seq,
                              .key = key_number(todo->key_id), .fallback = todo->fallback};
    if (todo->terms[0])
        take_terms(&s->act, todo->terms);
    if (todo->act == RK_ACT_JOURNAL)
        s->writing = s->e.d;
    s->act.at_ns = sim->now_ns + (int64_t)rnd(l, (uint64_t)sim->conf.act_ns) + 1;
    if (s->armed && fault_armed(s, F_SLOW)) {
        s->act.at_ns += (int64_t)rnd(l, (uint64_t)sim->conf.outage_ns);
        fault_until(l, s->act.at_ns);
    }
    if (sim->asked)
        sim->asked(s, sim->asked_arg);
}

void
end_event(struct sim_end *s, struct rk_event *ev)
{
    struct rk_todo todo;
    uint64_t seq = s->e.d.seq;

    ev->wall.unix_ms = end_wall_ms(s);
    ev->boot = s->boot_id;
    rk_end_step(&s->e, ev, end_local_ns(s), &todo);
    if (end_link(s)->sim->conf.trace)
        trace_event(s, ev);
    CHECK(end_link(s), s->e.d.seq >= seq);
    take_todo(s, &todo);
}

static void
failed(struct sim_end *s, int err)
{
    end_event(s, &(struct rk_event){.type = RK_EV_FAILED, .err = err, .why = "simulated"});
}

static bool
on_device(enum rk_act act)
{
    return act == RK_ACT_OBSERVE || act >= RK_ACT_STAGE;
}

static int
change(struct sim_end *s)
{
    int err = dev_apply(s);

    if (!err)
        publish_ahead(s);
    return err;
}

/* What an action does to the world.  ret: what its doer says. */
static int
effect(struct sim_end *s)
{
    if (s->act.act == RK_ACT_NONE || s->act.act == RK_ACT_OBSERVE)
        return RK_OK;
    end_link(s)->touched = true;
    switch (s->act.act) {
    case RK_ACT_JOURNAL:
        store_put(s, true);
        check_journal(s);
        return RK_OK;
    case RK_ACT_GET_NEW:
        return kme_get_new(s);
    case RK_ACT_GET_BY_ID:
        return kme_get_by_id(s);
    default:
        return change(s);
    }
}

/* Why the action cannot be done now; RK_OK when it can. */
static int
hindrance(struct sim_end *s)
{
    int64_t now_ns = end_link(s)->sim->now_ns;

    if (on_device(s->act.act) && (now_ns < s->dev.reach_ns || now_ns < s->dev.up_ns))
        return RK_E_UNREACHABLE;
    if (s->act.act == RK_ACT_JOURNAL && now_ns < s->journal_bad_ns)
        return RK_E_IO;
    if (s->armed && fault_armed(s, F_FAIL))
        return s->act.act == RK_ACT_JOURNAL ? RK_E_IO : s->act.act <= RK_ACT_GET_BY_ID ? RK_E_UNREACHABLE : RK_E_BUSY;
    return RK_OK;
}

static void
reply(struct sim_end *s, const struct sim_act *act)
{
    char text[RK_FACTS_MAX + RK_KEY_ID_MAX + RK_CONFIRM_HEX + 1], theirs[RK_CONFIRM_HEX + 1], mine[RK_CONFIRM_HEX + 1];
    struct rk_event ev = {.type = RK_EV_DONE};
    struct rk_seen seen;

    if (act->act == RK_ACT_OBSERVE) {
        dev_observe(s, &seen, text);
        ev = (struct rk_event){.type = RK_EV_OBSERVED, .seen = &seen};
    } else if (act->act == RK_ACT_GET_NEW || act->act == RK_ACT_GET_BY_ID) {
        key_id(s->fetched, text);
        ev = (struct rk_event){.type = RK_EV_KEY, .key_id = text};
        if (end_link(s)->sim->conf.carried) {
            key_tag(s->fetched_bytes, s->fetched, act->seq, s->e.d.role, mine);
            key_tag(s->fetched_bytes, s->fetched, act->seq, 3 - s->e.d.role, theirs);
            ev.mine = mine;
            ev.theirs = theirs;
        }
    } else if (act->act == RK_ACT_STAGE) {
        key_tag(s->fetched_bytes, act->key, act->seq, s->e.d.role, text);
        key_tag(s->fetched_bytes, act->key, act->seq, 3 - s->e.d.role, theirs);
        ev.mine = text;
        ev.theirs = theirs;
        s->fetched = 0;
    }
    end_event(s, &ev);
}

static bool
killed(struct sim_end *s, const struct sim_act *act, enum sim_point_at at)
{
    struct sim_link *l = end_link(s);

    for (int i = 0; i < 2; i++) {
        struct sim_kill *k = &l->kill[i];

        if (k->armed && !k->fired && (i == 0 || l->kill[0].fired) && k->side == end_side(s) &&
            k->state == act->state && k->at == at) {
            k->fired = true;
            end_crash(s, false);
            if (k->down_ns)
                s->boot_ns = l->sim->now_ns + k->down_ns;
            else
                end_boot(s);
            return true;
        }
    }
    return false;
}

static void
finish(struct sim_end *s)
{
    struct sim_act act = s->act;
    bool lie = false, lost = false;
    int err;

    if (killed(s, &act, K_BEFORE))
        return;
    err = hindrance(s);
    if (err == RK_OK && s->armed && act.act >= RK_ACT_STAGE && act.act <= RK_ACT_RETIRE)
        lie = fault_armed(s, F_LIE);
    s->lied = s->lied || (lie && dev_is_cak(s));
    if (err == RK_OK && !lie && s->armed && act.act != RK_ACT_JOURNAL && fault_armed(s, F_NOT_DONE))
        lost = lie = true;
    if (err == RK_OK && !lie)
        err = effect(s);
    if (err == RK_OK && !lie && s->armed && act.act != RK_ACT_JOURNAL)
        lost = fault_armed(s, F_UNKNOWN);
    if (killed(s, &act, K_EFFECT))
        return;
    s->act.act = RK_ACT_NONE;
    if (err || lost)
        failed(s, err ? err : RK_E_UNKNOWN);
    else if (lie && (act.act == RK_ACT_GET_NEW || act.act == RK_ACT_GET_BY_ID))
        failed(s, RK_E_UNKNOWN);
    else
        reply(s, &act);
    (void)killed(s, &act, K_REPLY);
}

/* ---- life ---- */

/* kill -9; the effect of the action at hand has happened, or not. */
void
end_crash(struct sim_end *s, bool with_effect)
{
    struct sim_link *l = end_link(s);

    if (s->gone)
        return;
    if (with_effect && s->act.act != RK_ACT_NONE && hindrance(s) == RK_OK)
        (void)effect(s);
    else if (s->act.act == RK_ACT_JOURNAL && s->journal)
        store_put(s, false);
    s->act.act = RK_ACT_NONE;
    s->fetched = 0;
    s->hear_ns = s->boot_ns = RK_NEVER;
    s->gone = true;
    l->crashes++;
    l->sim->crashes++;
}

static void
configure(struct sim_end *s)
{
    const struct sim_conf *conf = &end_link(s)->sim->conf;

    s->e.own_sae = end_side(s) == 0 ? "SAE_A" : "SAE_B";
    s->e.peer_sae = end_side(s) == 0 ? "SAE_B" : "SAE_A";
    s->e.interval_ns = conf->interval_ns;
    s->e.drain_ns = conf->drain_ns;
    s->e.verify_ns = conf->verify_ns;
    s->e.lead_ns = conf->lead_ns;
    s->e.shut_after_ns = 6 * conf->interval_ns;
    s->e.on_stale = conf->on_stale;
    s->e.has_fallback = conf->on_stale == RK_STALE_FALLBACK;
    s->e.class = s->dev.class;
}

void
end_boot(struct sim_end *s)
{
    struct sim_link *l = end_link(s);

    s->gone = false;
    s->boot_ns = RK_NEVER;
    if (s->base_ns > l->sim->now_ns)
        s->base_ns = l->sim->now_ns;
    store_reload(s);
    rk_end_init(&s->e, &s->disk);
    configure(s);
    if (end_peer(s)->n_said && l->sim->now_ns >= end_peer(s)->mute_ns) /* what is there counts as new */
        s->hear_ns = l->sim->now_ns + (int64_t)rnd(l, (uint64_t)l->sim->conf.hear_ns) + 1;
    end_event(s, &(struct rk_event){.type = RK_EV_START});
}

/* What is due at this end, one thing. */
void
end_step(struct sim_end *s)
{
    struct sim_link *l = end_link(s);
    int64_t now_ns = l->sim->now_ns;

    if (s->script) {
        script_step(s);
    } else if (s->gone) {
        end_boot(s);
    } else if (s->act.act != RK_ACT_NONE && s->act.at_ns <= now_ns) {
        finish(s);
    } else if (s->hear_ns <= now_ns) {
        hear(s);
    } else {
        end_event(s, &(struct rk_event){.type = RK_EV_TICK});
        CHECK(l, s->act.act != RK_ACT_NONE || s->e.wake_ns == RK_NEVER || s->e.wake_ns + s->base_ns > now_ns);
    }
}
