/* rotation.pml - the rotation of both ends of a link, device class A, for the model checker Spin
 *
 * As in core/model: each end publishes one record, and of its peer's records the newest wins, by (number, what
 * it says).
 * The channel has every record that was ever published: each may be lost, late, repeated or replayed.  A crash may come
 * between any two steps; it takes the key at hand and the record heard last, and a restart then hears any old one.
 * Each step is one of: journal entry, device operation, request to a key source.  A record counts as published from the
 * journal entry on that allows it.  Frames are under way between the ends while keys come and go.
 *
 * Keys have the number of the rotation that brings them, 1..K; 0 is what both have at first.
 * Each end may find out by itself that its peer transmits on the new key (evidence: a reading, and later the step that
 * it allows), instead of hearing it.  A RETIRE may have done nothing: it is read back, and asked for again.
 * With REBOOTS a device may lose all its keys.  From then on the link may be down, until a rotation is done.
 * Not here, but in tests/sim: lost journals, changes of roles, time, slots.
 *
 *   spin -a rotation.pml && cc -O2 -DSAFETY -DNOCLAIM -o pan pan.c && ./pan -m100000     I1, I2, I6
 *   spin -a -DLIVE rotation.pml && cc -O2 -DNFAIR=5 -o pan pan.c && ./pan -a -f          comes to rest on one key
 */
#ifndef K
#define K 3      /* rotations */
#endif
#ifndef CRASHES
#define CRASHES 2 /* of each end */
#endif
#ifndef GIVEUPS
#define GIVEUPS 1 /* of the master, of its own accord, after the offer */
#endif

#ifndef REBOOTS
#define REBOOTS 0 /* of devices, in all */
#endif
#if REBOOTS
#define TOP 5    /* rotations, with those that are the cure: they may meet the faults that are counted alone */
#else
#define TOP K
#endif
#define ANY_FAULT(n) (!REBOOTS || (n) < K)

#define NONE 15
#define B(k) ((1 << (k)) & 127)

#define IDLE 0
#define INTENT 1
#define STAGED 2
#define ACTIVATING 3
#define ACTIVE 4
#define BURNING 5

/* records: number * 8 + what is said, in the order in which one replaces another */
#define OFFER 1
#define TAKEN 2 /* the slave's STAGED */
#define NACK 3
#define ISACTIVE 4
#define WITHDRAWN 5
#define LOST 6
#define REC(n, say) ((n) * 8 + (say))

/* devices; they survive a crash.  m_ever, s_ever: put into a transmit slot once */
byte rx[2] = 1, tx[2] = 0, ever[2] = 1;
byte flight[2] = NONE;                   /* the key of a frame from the master, from the slave */
/* records published: a bit for each number */
byte m_offer, m_active, m_withdrawn, m_lost, s_taken, s_nack, s_active, s_lost;
byte fetched;                            /* keys that the slave's source gave away */
/* journals; cand is the key of number seq */
byte m_ph, m_seq, m_cur, m_prev = NONE, s_ph, s_seq, s_cur, s_prev = NONE;
/* lost with a crash; key: 1 at hand, 2 staged since the start; saw: the peer was seen to transmit on the candidate */
byte m_key, s_key, m_heard, s_heard;
bool m_resume, s_resume, m_saw, s_saw;
byte m_crashes = CRASHES, s_crashes = CRASHES, giveups = GIVEUPS, reboots = REBOOTS;

#define I1 assert(reboots < REBOOTS || ((rx[1] & B(tx[0])) && (rx[0] & B(tx[1]))))

inline stage(end, k, cur, prev) {
    assert(!(ever[end] & B(k))); /* I2 */
    assert(!(rx[end] & ~(B(cur) | B(prev)))); /* I7 */
    ever[end] = ever[end] | B(k);
    rx[end] = rx[end] | B(k)
}

inline retire(end, k) {
    rx[end] = rx[end] & ~B(k);
    I1
}

/* Any record of the set that is newer than the last one. */
#define HEAR(heard, set, n, say) \
    atomic { (set & B(n)) && REC(n, say) > heard -> heard = REC(n, say) }
#define HEAR_ALL(heard, set, say) \
    :: HEAR(heard, set, 1, say) :: HEAR(heard, set, 2, say) :: HEAR(heard, set, 3, say) \
    :: HEAR(heard, set, 4, say) :: HEAR(heard, set, 5, say)

#define M_RUNS !m_resume
#define S_RUNS !s_resume
#define M_AT(phase) (M_RUNS && m_ph == phase)
#define S_AT(phase) (S_RUNS && s_ph == phase)

/* A frame under way with the old key needs it: drain, before it is removed. */
#ifdef BUG_NO_DRAIN
#define DRAINED(from, k) true
#else
#define DRAINED(from, k) (flight[from] != (k))
#endif

/* Read back: the RETIRE may have done nothing. */
#ifdef BUG_RETIRE_BELIEVED
#define RETIRED(end, k) true
#else
#define RETIRED(end, k) (!(rx[end] & B(k)))
#endif

active proctype master() {
end: do
    :: atomic { m_crashes > 0 -> m_crashes--; m_key = 0; m_heard = 0; m_saw = false; m_resume = true }
    /* after a restart: what was not staged for sure is given up */
    :: atomic { m_resume && m_ph == INTENT ->
#ifdef BUG_REINSTALL /* the key was kept over the crash, and is staged again without a look */
        m_key = 1; m_resume = false }
#else
        m_ph = BURNING; m_resume = false }
#endif
    :: atomic { m_resume && m_ph != INTENT -> m_resume = false }
    HEAR_ALL(m_heard, s_taken, TAKEN)
    HEAR_ALL(m_heard, s_nack, NACK)
    HEAR_ALL(m_heard, s_active, ISACTIVE)
#if REBOOTS
    HEAR_ALL(m_heard, s_lost, LOST) :: HEAR(m_heard, s_lost, 0, LOST)
    /* the device was read, and transmits on nothing */
    :: atomic { M_AT(IDLE) && m_cur != NONE && tx[0] != m_cur -> m_cur = NONE }
    :: atomic { M_AT(STAGED) && m_cur != NONE && tx[0] != m_cur -> m_cur = NONE }
    :: atomic { (M_AT(STAGED) || M_AT(ACTIVATING)) && !(rx[0] & B(m_seq)) ->
        m_ph = BURNING; if :: tx[0] != m_cur -> m_cur = NONE :: tx[0] == m_cur fi }
    :: atomic { M_AT(ACTIVE) && tx[0] != m_cur ->
        m_ph = IDLE; m_cur = NONE; m_prev = NONE; m_saw = false; m_lost = m_lost | B(m_seq) }
    :: atomic { M_AT(IDLE) && m_seq < TOP && (m_cur == NONE || m_heard == REC(m_seq, LOST) ||
        m_heard == REC(m_seq, NACK)) -> m_seq++; m_ph = INTENT; m_key = 0 }
#endif

    :: atomic { M_AT(IDLE) && m_seq < K -> m_seq++; m_ph = INTENT; m_key = 0 }
    :: atomic { M_AT(INTENT) && m_key == 0 -> m_key = 1 }                    /* source */
    :: atomic { M_AT(INTENT) && m_key == 0 && ANY_FAULT(m_seq) -> m_ph = BURNING } /* it gave none */
    :: atomic { M_AT(INTENT) && m_key == 1 -> stage(0, m_seq, m_cur, m_prev); m_key = 2; I1 }
    :: atomic { M_AT(INTENT) && m_key == 2 -> m_ph = STAGED; m_offer = m_offer | B(m_seq) }

    :: atomic { M_AT(STAGED) && m_heard == REC(m_seq, TAKEN) -> m_ph = ACTIVATING
#ifdef BUG_ACTIVE_BEFORE_TX
        ; m_active = m_active | B(m_seq)
#endif
        }
#ifdef BUG_MASTER_FIRST
    :: atomic { M_AT(STAGED) -> m_ph = ACTIVATING }
#endif
    :: atomic { M_AT(STAGED) && m_heard > REC(m_seq, TAKEN) -> m_ph = BURNING }
    :: atomic { M_AT(STAGED) && giveups > 0 -> giveups--; m_ph = BURNING }
#ifdef BUG_ABORT_LATE
    :: atomic { M_AT(ACTIVATING) && giveups > 0 -> giveups--; m_ph = BURNING }
#endif
#ifdef BUG_WITHDRAWN_EARLY /* said before it is in the journal */
    :: atomic { M_AT(STAGED) -> m_withdrawn = m_withdrawn | B(m_seq) }
#endif
    :: atomic { M_AT(BURNING) && (rx[0] & B(m_seq)) -> retire(0, m_seq) }
    :: atomic { M_AT(BURNING) && RETIRED(0, m_seq) -> m_ph = IDLE; m_withdrawn = m_withdrawn | B(m_seq) }

    :: atomic { M_AT(ACTIVATING) && tx[0] != m_seq && (rx[0] & B(m_seq)) -> tx[0] = m_seq; I1 }
    :: atomic { M_AT(ACTIVATING) && tx[0] == m_seq ->
        m_ph = ACTIVE; m_prev = m_cur; m_cur = m_seq; m_active = m_active | B(m_seq); m_saw = false }
    :: atomic { M_AT(ACTIVE) && !m_saw && tx[1] == m_seq -> m_saw = true }
#ifdef BUG_EVIDENCE_OF_RX /* that the peer can receive with the key is not that it transmits on it */
    :: atomic { M_AT(ACTIVE) && !m_saw && (rx[1] & B(m_seq)) -> m_saw = true }
#endif
    :: atomic { M_AT(ACTIVE) && (rx[0] & B(m_prev)) &&
#ifndef BUG_DROP_EARLY /* only on evidence that the peer transmits on the new key */
#ifndef BUG_STUCK_PEER_LOST /* a slave that lost the key will never follow */
        (m_saw || m_heard == REC(m_seq, ISACTIVE) || (REBOOTS && m_heard > REC(m_seq, TAKEN))) &&
#else
        (m_saw || m_heard == REC(m_seq, ISACTIVE)) &&
#endif
#endif
        DRAINED(1, m_prev) -> retire(0, m_prev) }
    :: atomic { M_AT(ACTIVE) && (m_saw || m_heard > REC(m_seq, TAKEN)) && RETIRED(0, m_prev) ->
        m_ph = IDLE; m_prev = NONE; m_saw = false }
    /* a slave that staged the key follows, for no device loses keys here */
    :: atomic { M_AT(ACTIVE) && m_heard == REC(m_seq, NACK) && !REBOOTS -> assert(false) }
    od
}

active proctype slave() {
end: do
    :: atomic { s_crashes > 0 -> s_crashes--; s_key = 0; s_heard = 0; s_saw = false; s_resume = true }
    :: atomic { s_resume && s_ph == INTENT -> s_ph = BURNING; s_resume = false }
    :: atomic { s_resume && s_ph != INTENT -> s_resume = false }
    HEAR_ALL(s_heard, m_offer, OFFER)
    HEAR_ALL(s_heard, m_active, ISACTIVE)
    HEAR_ALL(s_heard, m_withdrawn, WITHDRAWN)
#if REBOOTS
    HEAR_ALL(s_heard, m_lost, LOST)
    :: atomic { S_AT(IDLE) && s_cur != NONE && tx[1] != s_cur -> s_cur = NONE; s_lost = s_lost | B(s_seq) }
    :: atomic { S_AT(STAGED) && s_cur != NONE && tx[1] != s_cur -> s_cur = NONE }
    :: atomic { (S_AT(STAGED) || S_AT(ACTIVATING)) && !(rx[1] & B(s_seq)) ->
        s_ph = BURNING; s_saw = false; if :: tx[1] != s_cur -> s_cur = NONE :: tx[1] == s_cur fi }
    :: atomic { S_AT(ACTIVE) && tx[1] != s_cur ->
        s_ph = IDLE; s_cur = NONE; s_prev = NONE; s_lost = s_lost | B(s_seq) }
    /* it finds itself behind, and says so */
    :: atomic { S_AT(IDLE) && s_heard / 8 > s_seq && s_heard % 8 != OFFER ->
        s_seq = s_heard / 8;
        if :: s_cur == NONE -> s_lost = s_lost | B(s_seq) :: else -> s_nack = s_nack | B(s_seq) fi }
#endif
    :: atomic { S_AT(STAGED) && !s_saw && tx[0] == s_seq -> s_saw = true }
    :: atomic { S_AT(STAGED) && s_saw -> s_ph = ACTIVATING; s_saw = false }
#ifdef BUG_EVIDENCE_STALE /* of a peer that could not have it yet */
    :: atomic { S_AT(INTENT) && !s_saw -> s_saw = true }
#endif

    /* offers above all numbers it took part in; it may refuse one, too */
#ifdef BUG_NO_FLOOR
    :: atomic { S_AT(IDLE) && s_heard % 8 == OFFER && s_heard / 8 != s_cur ->
#else
    :: atomic { S_AT(IDLE) && s_heard % 8 == OFFER && s_heard / 8 > s_seq ->
#endif
        s_seq = s_heard / 8; s_ph = INTENT; s_key = 0
#ifdef BUG_TAKEN_BEFORE_STAGED
        ; s_taken = s_taken | B(s_seq)
#endif
        }
    :: atomic { S_AT(IDLE) && s_heard % 8 == OFFER && s_heard / 8 > s_seq && ANY_FAULT(s_heard / 8) ->
        s_seq = s_heard / 8; s_nack = s_nack | B(s_seq) }
    :: atomic { S_AT(INTENT) && s_key == 0 && !(fetched & B(s_seq)) -> fetched = fetched | B(s_seq); s_key = 1 }
    :: atomic { S_AT(INTENT) && s_key == 0 && (ANY_FAULT(s_seq) || (fetched & B(s_seq))) ->
        s_ph = BURNING } /* it has it no more */
    :: atomic { S_AT(INTENT) && s_key == 1 -> stage(1, s_seq, s_cur, s_prev); s_key = 2; I1 }
    :: atomic { S_AT(INTENT) && s_key == 2 -> s_ph = STAGED; s_taken = s_taken | B(s_seq) }

    :: atomic { S_AT(STAGED) && s_heard == REC(s_seq, ISACTIVE) -> s_ph = ACTIVATING; s_saw = false
#ifdef BUG_SLAVE_ACTIVE_EARLY
        ; s_active = s_active | B(s_seq)
#endif
        }
    :: atomic { S_AT(STAGED) && s_heard > REC(s_seq, ISACTIVE) -> s_ph = BURNING; s_saw = false }
#ifdef BUG_NACK_EARLY /* said before it is in the journal */
    :: atomic { S_AT(STAGED) && s_heard > REC(s_seq, ISACTIVE) -> s_nack = s_nack | B(s_seq) }
    :: atomic { S_AT(INTENT) -> s_nack = s_nack | B(s_seq) }
#endif
    :: atomic { S_AT(BURNING) && (rx[1] & B(s_seq)) -> retire(1, s_seq) }
    :: atomic { S_AT(BURNING) && RETIRED(1, s_seq) -> s_ph = IDLE; s_nack = s_nack | B(s_seq) }

    :: atomic { S_AT(ACTIVATING) && tx[1] != s_seq && (rx[1] & B(s_seq)) -> tx[1] = s_seq; I1 }
    :: atomic { S_AT(ACTIVATING) && tx[1] == s_seq -> s_ph = ACTIVE; s_prev = s_cur; s_cur = s_seq }
    :: atomic { S_AT(ACTIVE) && (rx[1] & B(s_prev)) && DRAINED(0, s_prev) -> retire(1, s_prev) }
    :: atomic { S_AT(ACTIVE) && RETIRED(1, s_prev) -> s_ph = IDLE; s_prev = NONE; s_active = s_active | B(s_seq) }
    od
}

#if REBOOTS
active proctype devices() {
end: do
    :: atomic { reboots > 0 -> reboots--; if :: rx[0] = 0; tx[0] = NONE :: rx[1] = 0; tx[1] = NONE fi }
    od
}
#endif

#ifndef LIVE /* frames come and go for ever */
active proctype frames() {
end: do
    :: atomic { flight[0] == NONE -> flight[0] = tx[0] }
    :: atomic { flight[1] == NONE -> flight[1] = tx[1] }
    :: atomic { flight[0] != NONE -> assert(reboots < REBOOTS || (rx[1] & B(flight[0]))); flight[0] = NONE }
    :: atomic { flight[1] != NONE -> assert(reboots < REBOOTS || (rx[0] & B(flight[1]))); flight[1] = NONE }
    od
}
#else
/* Never at an end: pan does not close the cycle of all states in which nothing more can happen. */
bool tick;
active proctype time() { do :: tick = !tick od }

/* In the end both are idle on one key, and hold no other. */
ltl rest { <>[] (m_seq >= K && m_ph == IDLE && s_ph == IDLE && m_cur == s_cur && rx[0] == B(m_cur) &&
                 rx[1] == B(m_cur)) }
#endif
