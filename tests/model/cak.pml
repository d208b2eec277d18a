/* cak.pml - the rotation of both ends of a link, device classes B, C and D in any pair, for the model checker Spin
 *
 * As rotation.pml, of which it has the journal, the crashes and the channel (every record ever published: lost, late,
 * repeated, replayed), but for devices that speak MKA: a key is live when both devices hold it with the same bytes, and
 * each sends on its primary key when that is live, else on its other one.  One commit (STAGE) per end and rotation, and
 * none to go on: what follows is that both ends find out that the key is live.
 *
 *   B  primary and fallback.  STAGE: primary := key, fallback := keep
 *   C  primary, and a preceding key that no one asks for: each write makes it of the primary one.  It ends when the
 *      primary one is live.  STAGE is refused unless the primary one is keep; RETIRE commits keep again, from its
 *      bytes, which the plugin keeps until the next STAGE
 *   D  as B, but the key begins at its start time, which each device may come to at any moment, or after anything else
 *      here: no clock is relied on.  Until then the device uses keep alone
 *
 * Never is there a step that leaves the two devices without a key that both hold; and a key that an end counts as the
 * one in use has the same bytes at both.  The rules that this needs, each of which has its seeded mistake below:
 *
 *   the slave has the last word on each number (NACK or ACTIVE, also on one it never took), and is at rest from then on
 *     until the next offer; the master begins the next rotation only after it
 *   that word names the key that the slave uses.  Is it not the master's, then the master turns to it, before all else;
 *     when its device does not hold that key (any more), it begins all the same, and the slave turns to what the offer
 *     names as the previous one
 *   RETIRE makes the given-up key and keep change places: the peer may go on with the one just given up
 *   a key is in use when the device was seen to send on it and the peer to use it (evidence)
 *
 * With REBOOTS a device may come back without keys, with its primary one alone, or with an old configuration.  From
 * then on the link may be down until a rotation is done; it comes to rest on one key all the same.
 * With CARRIED the devices themselves show the records (LLDP): OFFER and the slave's STAGED are there with the commit that
 * brings the key, before the journal knows of it, so that a crash may come between the two.
 * Not here, but in tests/sim: lost journals, changes of roles, slots, deadlines, clocks (D), one-way peers (E).
 *
 *   spin -a cak.pml && cc -O2 -DSAFETY -DNOCLAIM -o pan pan.c && ./pan -m100000           all nine pairs
 *   spin -a -DMASTER=B -DSLAVE=C ...                                                      one of them
 *   spin -a -DLIVE cak.pml && cc -O2 -DNFAIR=5 -o pan pan.c && ./pan -a -f -m100000       comes to rest on one key
 */
#ifndef K
#define K 2      /* rotations, up to 4 */
#endif
#ifndef CRASHES
#define CRASHES 1 /* of each end */
#endif
#ifndef GIVEUPS
#define GIVEUPS 1 /* of the master, of its own accord, after the offer */
#endif
#ifndef REBOOTS
#define REBOOTS 0 /* of devices, in all */
#endif

#if REBOOTS || defined(LIVE)
#define TOP 6    /* rotations, with those that are a cure: they may meet the faults that are counted alone */
#else
#define TOP K
#endif
#define ANY_FAULT(n) ((n) <= K)
#define NONE 15
#define BIT(k) ((1 << (k)) & 127)

#define B 1
#define C 2
#define D 3

#define IDLE 0
#define INTENT 1
#define STAGED 2
#define ACTIVATING 3
#define ACTIVE 4
#define BURNING 5 /* and a master's turn: cand is given up, cur is kept */
#define TURNING 6 /* a slave's */

/* records: number * 8 + what is said, in the order in which one replaces another */
#define OFFER 1
#define TAKEN 2 /* the slave's STAGED */
#define NACK 3
#define ISACTIVE 4
#define WITHDRAWN 5
#define LOST 6
#define REC(n, say) ((n) * 8 + (say))
#define NUMBER(r) ((r) / 8)
#define SAYS(r) ((r) % 8)

/* devices; they survive a crash.  Classes; primary, other key (fallback or preceding), key that has not begun (D) */
byte class[2], pri[2] = 0, alt[2] = NONE, fut[2] = NONE;
byte bad;                                /* keys that the two sources gave different bytes for */
/* records published: a bit for each number, and what they name */
byte m_offer, m_active, m_withdrawn, s_taken, s_nack, s_active, s_lost;
byte offered_prev[TOP + 1] = NONE, named[TOP + 1] = NONE;
byte fetched;                            /* keys that the slave's source gave away */
/* journals; the candidate is the key of number seq */
byte m_ph, m_seq, m_cur, m_prev = NONE, m_cand, s_ph, s_seq, s_cur, s_prev = NONE, s_cand;
/* lost with a crash; key: 1 at hand, 2 staged since the start; saw: a reading that allows the next step */
byte m_key, s_key, m_heard, s_heard;
bool m_resume, s_resume, m_saw, s_saw;
byte m_crashes = CRASHES, s_crashes = CRASHES, giveups = GIVEUPS, reboots = REBOOTS;
byte had; /* within a step */

#define USED(i) (BIT(pri[i]) | BIT(alt[i]))
#define HOLDS(i, k) ((USED(i) & BIT(k)) != 0)
#define COMMON (USED(0) & USED(1) & ~bad)
#define IS_LIVE(k) ((COMMON & BIT(k)) != 0)
#define SENDS(i, k) (IS_LIVE(k) && (pri[i] == (k) || !IS_LIVE(pri[i])))

/* No step takes away the last key that both devices hold. */
#define BEFORE had = COMMON
#define AFTER assert(had == 0 || COMMON != 0 || reboots < REBOOTS); had = 0

/* keep NONE: what the device uses now */
#define KEEPS(i, keep) ((keep) == NONE || (class[i] == C -> pri[i] == (keep) : HOLDS(i, keep)))

inline stage(i, k, keep) {
    BEFORE;
    if
    :: class[i] == C -> alt[i] = pri[i]; pri[i] = k
    :: class[i] == B ->
#ifdef BUG_FALLBACK_NOT_SET
        alt[i] = NONE;
#else
        alt[i] = (keep == NONE -> pri[i] : keep);
#endif
        pri[i] = k
    :: class[i] == D ->
        pri[i] = (keep == NONE -> pri[i] : keep); alt[i] = NONE; fut[i] = k
    fi;
    AFTER
}

/* Also an operation that said done and did nothing leaves it as it was: it is read back, and asked for again. */
#define TO_COME(i, k) (fut[i] != NONE && fut[i] == (k))
#ifdef BUG_NO_RECOMMIT /* the preceding key will do */
#define RETIRED(i, k, keep) (class[i] == C || (!TO_COME(i, k) && pri[i] == (keep)))
#else
#define RETIRED(i, k, keep) (!TO_COME(i, k) && ((keep) == NONE || pri[i] == (keep)))
#endif
/* After a reboot: the key is gone.  RETIRE of class C has its bytes (sealed), and writes it again. */
#define LACKS(i, k) ((k) != NONE && !HOLDS(i, k))
#define CANNOT(i, keep) (LACKS(i, keep) && (class[i] != C || pri[i] == NONE))

inline retire(i, k, keep) {
    BEFORE;
    if
    :: TO_COME(i, k) -> fut[i] = NONE /* it has not begun: it just goes */
    :: !TO_COME(i, k) && class[i] == C ->
        alt[i] = pri[i]; pri[i] = keep
    :: !TO_COME(i, k) && class[i] != C ->
#ifdef BUG_RETIRE_REMOVES
        alt[i] = NONE;
#else
        alt[i] = (HOLDS(i, k) -> k : NONE);
#endif
        pri[i] = keep
    fi;
    AFTER
}

/* Any record of the set that is newer than the last one. */
#define HEAR(heard, set, n, say) \
    atomic { (set & BIT(n)) && REC(n, say) > heard -> heard = REC(n, say) }
#define HEAR_ALL(heard, set, say) \
    :: HEAR(heard, set, 1, say) :: HEAR(heard, set, 2, say) :: HEAR(heard, set, 3, say) :: HEAR(heard, set, 4, say) \
    :: HEAR(heard, set, 5, say) :: HEAR(heard, set, 6, say)

#define M_AT(phase) (!m_resume && m_ph == phase)
#define S_AT(phase) (!s_resume && s_ph == phase)

/* The slave's last word on the master's number, and the key that it names. */
#define LAST_WORD (m_seq == 0 || (NUMBER(m_heard) == m_seq && SAYS(m_heard) >= NACK))
#define NAMED (m_seq == 0 -> (m_heard == REC(0, LOST) -> NONE : 0) : \
    (SAYS(m_heard) == ISACTIVE -> m_seq : named[m_seq]))

inline m_begin() { m_saw = false; m_seq++; m_ph = INTENT; m_key = 0 }
inline m_burn() { m_saw = false; m_cand = m_seq; m_ph = BURNING }

active proctype master() {
    atomic {
#ifdef MASTER
        class[0] = MASTER;
#else
        if :: class[0] = B :: class[0] = C :: class[0] = D fi;
#endif
#ifdef SLAVE
        class[1] = SLAVE
#else
        if :: class[1] = B :: class[1] = C :: class[1] = D fi
#endif
    };
end: do
    :: atomic { m_crashes > 0 -> m_crashes--; m_key = 0; m_heard = 0; m_saw = false; m_resume = true }
    /* after a restart: what was not staged for sure is given up */
    :: atomic { m_resume && m_ph == INTENT ->
#ifdef BUG_RESTAGE /* the key was kept over the crash, and is staged again without a look */
        m_key = 1
#else
        m_burn()
#endif
        ; m_resume = false }
    :: atomic { m_resume && m_ph != INTENT -> m_resume = false }
    HEAR_ALL(m_heard, s_taken, TAKEN)
    HEAR_ALL(m_heard, s_nack, NACK)
    HEAR_ALL(m_heard, s_active, ISACTIVE)
#if REBOOTS
    HEAR_ALL(m_heard, s_lost, LOST) :: HEAR(m_heard, s_lost, 0, LOST)
    /* the device was read: the key is gone */
    :: atomic { M_AT(IDLE) && LACKS(0, m_cur) ->
        m_saw = false; m_cur = (HOLDS(0, m_prev) -> m_prev : NONE); m_prev = NONE }
#ifndef BUG_STUCK_LOST_UNSAID /* the slave waits for the key to be live, and the master for its word */
    :: atomic { M_AT(ACTIVE) && LACKS(0, m_cur) -> m_cur = NONE; m_ph = IDLE; m_withdrawn = m_withdrawn | BIT(m_seq) }
#endif
    :: atomic { M_AT(INTENT) && m_key == 1 && !KEEPS(0, m_cur) -> m_burn() }
    :: atomic { (M_AT(STAGED) || M_AT(ACTIVATING)) && LACKS(0, m_seq) && fut[0] != m_seq -> m_burn() }
    :: atomic { (M_AT(STAGED) || M_AT(ACTIVATING)) && m_heard == REC(m_seq, LOST) -> m_burn() }
    :: atomic { M_AT(BURNING) && CANNOT(0, m_cur) -> m_cur = NONE }
    :: atomic { M_AT(IDLE) && m_seq < TOP && LAST_WORD && (m_cur == NONE || NAMED == NONE) -> m_begin() }
#endif

    /* a reading; the fetch and the commit that follow take their time */
    :: atomic { M_AT(IDLE) && m_seq < K && !m_saw && SENDS(0, m_cur) -> m_saw = true }
#ifdef BUG_NO_LAST_WORD
    :: atomic { M_AT(IDLE) && m_seq < K && m_saw -> m_begin() }
#endif
#ifdef BUG_BLIND_CURE /* the peer does not use cur: a rotation will help */
    :: atomic { M_AT(IDLE) && m_seq < K && LAST_WORD && NAMED != m_cur -> m_begin() }
#endif
    :: atomic { M_AT(IDLE) && m_seq < K && m_saw && LAST_WORD && NAMED == m_cur -> m_begin() }
    /* its device does not hold that key (any more), so what it drops cannot be the last one: a rotation is the cure */
    :: atomic { M_AT(IDLE) && m_seq < TOP && LAST_WORD && NAMED != m_cur && !HOLDS(0, NAMED) -> m_begin() }
#ifndef BUG_STUCK_NO_TURN
    :: atomic { M_AT(IDLE) && LAST_WORD && NAMED != m_cur && HOLDS(0, NAMED) ->
        m_cand = m_cur; m_cur = NAMED; m_prev = NONE; m_saw = false; m_ph = BURNING }
#endif
    /* source; it may give none */
    :: atomic { M_AT(INTENT) && m_key == 0 -> m_key = 1 }
    :: atomic { M_AT(INTENT) && m_key == 0 && ANY_FAULT(m_seq) -> m_burn() }
    :: atomic { M_AT(INTENT) && m_key == 1 && (!REBOOTS || KEEPS(0, m_cur)) ->
#ifndef BUG_NO_RECOMMIT
        assert(KEEPS(0, m_cur));
#endif
        stage(0, m_seq, m_cur); m_key = 2
#ifdef CARRIED
        ; offered_prev[m_seq] = m_cur; m_offer = m_offer | BIT(m_seq)
#endif
        }
    :: atomic { M_AT(INTENT) && m_key == 2 ->
        m_ph = STAGED; m_prev = NONE; offered_prev[m_seq] = m_cur; m_offer = m_offer | BIT(m_seq)
#ifdef BUG_STALE_EVIDENCE /* of the device as it was before STAGE */
        ; m_saw = true
#endif
        }

    :: atomic { M_AT(STAGED) && m_heard == REC(m_seq, TAKEN) ->
        if
#ifndef BUG_STUCK_NO_CONFIRM
        :: bad & BIT(m_seq) -> m_burn()
        :: !(bad & BIT(m_seq)) -> m_ph = ACTIVATING; m_saw = false
#else
        :: m_ph = ACTIVATING; m_saw = false
#endif
        fi }
    :: atomic { M_AT(STAGED) && m_heard == REC(m_seq, ISACTIVE) -> m_ph = ACTIVATING; m_saw = false }
    :: atomic { M_AT(STAGED) && !m_saw && SENDS(0, m_seq) -> m_saw = true }
    :: atomic { M_AT(STAGED) && m_saw -> m_ph = ACTIVATING
#ifndef BUG_STALE_EVIDENCE
        ; m_saw = false
#endif
        }
    :: atomic { M_AT(STAGED) && giveups > 0 -> giveups--; m_burn() }
    :: atomic { (M_AT(STAGED) || M_AT(ACTIVATING)) && m_heard == REC(m_seq, NACK) -> m_burn() }

#ifdef BUG_FALLBACK_EARLY /* it is not live yet */
    :: atomic { M_AT(ACTIVATING) && class[0] == B && alt[0] == m_cur -> BEFORE; alt[0] = NONE; AFTER }
#endif
    :: atomic { M_AT(ACTIVATING) && !m_saw && SENDS(0, m_seq) -> m_saw = true }
    :: atomic { M_AT(ACTIVATING) && m_saw ->
        assert(!(bad & BIT(m_seq)));
        m_saw = false; m_ph = ACTIVE; m_prev = m_cur; m_cur = m_seq; m_active = m_active | BIT(m_seq) }
    :: atomic { M_AT(ACTIVE) && LAST_WORD -> m_ph = IDLE }

    :: atomic { M_AT(BURNING) && !CANNOT(0, m_cur) && !RETIRED(0, m_cand, m_cur) -> retire(0, m_cand, m_cur) }
    :: atomic { M_AT(BURNING) &&
#ifndef BUG_RETIRE_BELIEVED
        RETIRED(0, m_cand, m_cur) &&
#endif
        true -> m_ph = IDLE; m_prev = m_cand; m_cand = 0; m_withdrawn = m_withdrawn | BIT(m_seq) }
    od
}

#define OFFERED (S_AT(IDLE) && SAYS(s_heard) == OFFER && NUMBER(s_heard) > s_seq)
#define OFFERED_PREV offered_prev[NUMBER(s_heard)]

inline s_begin() { s_seq = NUMBER(s_heard); s_ph = INTENT; s_key = 0 }
inline s_refuse() { named[s_seq] = s_cur; s_nack = s_nack | BIT(s_seq) }

active proctype slave() {
    class[1] != 0;
end: do
    :: atomic { s_crashes > 0 -> s_crashes--; s_key = 0; s_heard = 0; s_saw = false; s_resume = true }
    :: atomic { s_resume && s_ph == INTENT -> s_ph = BURNING; s_resume = false }
    :: atomic { s_resume && s_ph != INTENT -> s_resume = false }
    HEAR_ALL(s_heard, m_offer, OFFER)
    HEAR_ALL(s_heard, m_active, ISACTIVE)
    HEAR_ALL(s_heard, m_withdrawn, WITHDRAWN)
#if REBOOTS
    :: atomic { S_AT(IDLE) && LACKS(1, s_cur) ->
        s_cur = (HOLDS(1, s_prev) -> s_prev : NONE); s_prev = NONE;
        named[s_seq] = s_cur; s_lost = s_lost | BIT(s_seq) }
    :: atomic { S_AT(INTENT) && s_key == 1 && !KEEPS(1, s_cur) -> s_ph = BURNING }
    :: atomic { (S_AT(STAGED) || S_AT(ACTIVATING)) && LACKS(1, s_seq) && fut[1] != s_seq ->
        s_saw = false; s_ph = BURNING }
    :: atomic { S_AT(BURNING) && CANNOT(1, s_cur) -> s_cur = NONE }
    :: atomic { S_AT(TURNING) && CANNOT(1, s_cur) -> s_cur = NONE }
#endif

    /* offers above all numbers it took part in; it may refuse one, too, and says so of one withdrawn */
    :: atomic { OFFERED && (OFFERED_PREV == s_cur || !HOLDS(1, OFFERED_PREV)) ->
        assert(REBOOTS || OFFERED_PREV == s_cur); s_begin() }
    /* the master could not turn, for it holds the key no more that the slave uses: so the slave does */
    :: atomic { OFFERED && OFFERED_PREV != s_cur && HOLDS(1, OFFERED_PREV) ->
#ifdef BUG_PREV_UNSEEN
        s_begin() }
#else
        s_cand = s_cur; s_cur = OFFERED_PREV; s_prev = NONE; s_ph = TURNING }
#endif
    :: atomic { S_AT(TURNING) && !CANNOT(1, s_cur) && !RETIRED(1, s_cand, s_cur) -> retire(1, s_cand, s_cur) }
    :: atomic { S_AT(TURNING) && RETIRED(1, s_cand, s_cur) -> s_ph = IDLE; s_prev = s_cand; s_cand = 0 }
#ifdef BUG_NO_FLOOR
    :: atomic { S_AT(IDLE) && SAYS(s_heard) == OFFER && NUMBER(s_heard) != s_cur -> s_begin() }
#endif
    :: atomic { OFFERED && ANY_FAULT(NUMBER(s_heard)) -> s_seq = NUMBER(s_heard); s_refuse() }
#ifndef BUG_STUCK_SILENT
    :: atomic { S_AT(IDLE) && SAYS(s_heard) == WITHDRAWN && NUMBER(s_heard) > s_seq ->
        s_seq = NUMBER(s_heard); s_refuse() }
#endif
    /* source: the key, other bytes of that name, or none */
    :: atomic { S_AT(INTENT) && s_key == 0 && !(fetched & BIT(s_seq)) -> fetched = fetched | BIT(s_seq); s_key = 1 }
    :: atomic { S_AT(INTENT) && s_key == 0 && (ANY_FAULT(s_seq) || (fetched & BIT(s_seq))) -> s_ph = BURNING }
    :: atomic { S_AT(INTENT) && s_key == 0 && ANY_FAULT(s_seq) && !(fetched & BIT(s_seq)) ->
        fetched = fetched | BIT(s_seq); bad = bad | BIT(s_seq); s_key = 1 }
    :: atomic { S_AT(INTENT) && s_key == 1 && (!REBOOTS || KEEPS(1, s_cur)) ->
#ifndef BUG_NO_RECOMMIT
        assert(KEEPS(1, s_cur));
#endif
#ifdef BUG_KEEP_OTHER /* not the key in use, but the one beside it */
        if :: alt[1] != NONE -> stage(1, s_seq, alt[1]) :: alt[1] == NONE -> stage(1, s_seq, s_cur) fi;
#else
        stage(1, s_seq, s_cur);
#endif
        s_key = 2
#ifdef CARRIED
        ; s_taken = s_taken | BIT(s_seq)
#endif
        }
    :: atomic { S_AT(INTENT) && s_key == 2 -> s_ph = STAGED; s_prev = NONE; s_taken = s_taken | BIT(s_seq) }

    :: atomic { S_AT(STAGED) && s_heard == REC(s_seq, ISACTIVE) -> s_ph = ACTIVATING; s_saw = false }
    :: atomic { S_AT(STAGED) && !s_saw && SENDS(1, s_seq) -> s_saw = true }
    :: atomic { S_AT(STAGED) && s_saw -> s_saw = false; s_ph = ACTIVATING }
    :: atomic { (S_AT(STAGED) || S_AT(ACTIVATING)) && s_heard > REC(s_seq, ISACTIVE) -> s_ph = BURNING; s_saw = false
#ifdef BUG_NACK_EARLY /* said before the device is at rest */
        ; s_refuse()
#endif
        }
#ifdef BUG_EVIDENCE_ALONE /* the device uses it, whatever the peer does */
    :: atomic { (S_AT(STAGED) || S_AT(ACTIVATING)) && !s_saw && HOLDS(1, s_seq) -> s_saw = true }
#endif
    :: atomic { S_AT(ACTIVATING) && !s_saw && SENDS(1, s_seq) -> s_saw = true }
    :: atomic { S_AT(ACTIVATING) && s_saw ->
        assert(!(bad & BIT(s_seq))); s_saw = false; s_ph = ACTIVE; s_prev = s_cur; s_cur = s_seq }
    :: atomic { S_AT(ACTIVE) -> s_ph = IDLE; s_active = s_active | BIT(s_seq) }

    :: atomic { S_AT(BURNING) && !CANNOT(1, s_cur) && !RETIRED(1, s_seq, s_cur) -> retire(1, s_seq, s_cur) }
    :: atomic { S_AT(BURNING) &&
#ifndef BUG_RETIRE_BELIEVED
        RETIRED(1, s_seq, s_cur) &&
#endif
        true -> s_ph = IDLE; s_prev = s_seq; s_refuse() }
    od
}

/* What the devices do by themselves. */
#define START(i) \
    atomic { fut[i] != NONE -> BEFORE; alt[i] = pri[i]; pri[i] = fut[i]; fut[i] = NONE; DROP_D(i); AFTER }
#ifdef BUG_START_NO_FALLBACK /* the chain is all there is */
#define DROP_D(i) alt[i] = NONE
#else
#define DROP_D(i) skip
#endif
#define REBOOT(i) \
    atomic { reboots > 0 -> reboots--; alt[i] = NONE; fut[i] = NONE; \
        if :: pri[i] = NONE :: pri[i] = 0 :: skip fi }
#define END_PRECEDING(i) \
    atomic { class[i] == C && alt[i] != NONE && IS_LIVE(pri[i]) -> BEFORE; alt[i] = NONE; AFTER }

active proctype devices() {
    class[1] != 0;
end: do
    :: START(0) :: START(1) :: END_PRECEDING(0) :: END_PRECEDING(1)
#if REBOOTS
    :: REBOOT(0) :: REBOOT(1)
#endif
    od
}

#ifdef LIVE
/* Never at an end: pan does not close the cycle of all states in which nothing more can happen. */
bool tick;
active proctype time() { do :: tick = !tick od }

/* In the end both are idle on one key, and the devices too. */
ltl rest { <>[] (m_seq >= K && m_ph == IDLE && s_ph == IDLE && m_cur == s_cur && pri[0] == m_cur && pri[1] == m_cur) }
#endif
