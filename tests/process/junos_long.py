# junos_long.py - sixteen links over eight simulated routers in each keying, which rotate while the routers have faults at
# random: MKA is never unsecured, nothing goes in clear, no key grows older than its bound.
#
# REKEY_SEED=N repeats the faults of a run (not their moments); REKEY_LONG=1 goes on until each link has rotated 500 times,
# REKEY_ROTATIONS=N so many times (class D takes some 8 s for each, by its start times); REKEY_CLASSES=d runs only these.
#
# What no client can help is not held against rekeyd, but counted: junos-sim tells these times from others, each only until
# the link is secured again, which has a bound as the age of a key has.
#   empty    a router came back without its configuration (reboot-empty): it has no key, and none that is common
#   licence  a router has no licence (no-licence), and no MACsec
#   torn     a link came back, and the keys committed at its ends have none in common: only in class C, whose preceding key is
#            in a router's memory, when it restarts (or is without licence) between the two commits of a rotation
import collections
import os
import random
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

ROUTERS, CABLES = 8, 2  # a ring, so many cables between neighbours
OLD = {"like": "ex", "release": "18.4R1.8"}
MODES = [("b", "pre-shared-key", {"like": "mx"}, {"interval": "1s"}), ("c", "pre-shared-key", OLD, {"interval": "1s"}),
         ("d", "key-chain", {"like": "acx-evo"}, {"interval": "5s", "start-lead": "4s"})]
MODES = [mode for mode in MODES if mode[0] in os.environ.get("REKEY_CLASSES", "bcd")]
LIKES = {"b": ("mx", "srx", "acx-evo"), "c": ("ex",), "d": ("mx", "acx-evo", "srx")}
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns")
ONE = {"commit-silent": "60s:1", "slow-commit": "1s:1", "locked": "1s:1", "reboot": "500ms:1", "reboot-before": "500ms:1",
       "reboot-empty": "500ms:1", "slow": "300ms", "slow-hello": "1s:1", "slow-connect": "1s:1", "clock": "20s", "split": "",
       "bytes": "", "wrong-key": "", "rsa-only": "", "short-ckn": "", "no-licence": ""}
EXCUSES = ("empty", "licence", "torn")

# How old a key may be.  Without faults: the interval, once more because it is stretched when a rotation takes longer, the
# time until a key of a chain begins, and one call to a router that takes all of its budget.  Each fault at a router of the
# link can cost one such call more, and the rotation that it was for: the next one waits for its place, and for its start.
# In a short run, on a machine that does much else beside, there is rig.py's patience on top.
CALL_S = 8
CALM_S = {"b": 2 + CALL_S, "c": 2 + CALL_S, "d": 10 + 4 + CALL_S}
FAULT_S = {"b": 1 + CALL_S, "c": 1 + CALL_S, "d": 5 + 4 + CALL_S}
STORM_FAULTS, ROUND_MAX_S, TELL_S = 12, 1.5, 60
ROTATIONS = int(os.environ.get("REKEY_ROTATIONS") or (500 if os.environ.get("REKEY_LONG") == "1" else 0))
SLACK_S = 0 if ROTATIONS else rig.PATIENCE_S
SEED = int(os.environ.get("REKEY_SEED") or random.SystemRandom().randrange(1 << 32))
chance = random.Random(SEED)


def set_up(w):
    print("# REKEY_SEED=%d" % SEED)
    w.rig = rig.Rig(plugins=junos_rig.PLUGINS)
    w.lab = junos_rig.Lab(w.rig)
    w.a = w.rig.site("A", "SAE_A")
    w.a.conf["call-budget"] = "%ds" % CALL_S
    w.a.conf["sources"]["lab"] = {"plugin": "static", "secret": w.a.secret("static.key")}
    w.routers = {}  # of a link
    for letter, keying, options, link in MODES:
        names = ["%s%d" % (letter, i) for i in range(ROUTERS)]
        for name in names:
            w.lab.router(name, keying, **dict(options, like=chance.choice(LIKES[letter]), zone=chance.choice(ZONES),
                                              commit="%dms" % chance.randint(20, 100)))
        for i in range(ROUTERS * CABLES):
            ends = [names[i % ROUTERS], names[(i + 1) % ROUTERS]]
            ports = w.lab.cable("%s-%d" % (letter, i), *ends)
            w.routers["%s-%d" % (letter, i)] = ends
            w.a.link("%s-%d" % (letter, i), device=ends[0], interface=ports[0], channel="local", source="lab",
                     **dict(link, **{"peer-device": ends[1], "peer-interface": ports[1]}))
    w.lab.start()
    for router in w.lab.routers.values():
        router.device(w.a, **{"rpc-timeout": "2s", "commit-timeout": "3s"})
    w.a.save()
    w.a.start()
    w.faults = {name: collections.deque(maxlen=1000) for name in w.lab.routers}  # when each had one
    w.oldest, w.calmest, w.nearest, w.excused_since, w.back = {}, {}, (0, ""), {}, 0


def allowed(w, link, now, age):
    """How many faults the routers of a link had in that time, and the age that is allowed then."""
    n = sum(at >= now - age - ROUND_MAX_S for name in w.routers[link] for at in w.faults[name])
    return n, CALM_S[link[0]] + n * FAULT_S[link[0]] + SLACK_S


def rows(w):
    said, now = {(r["link"], r["end"]): r for r in w.a.status()["links"]}, time.monotonic()
    for (link, end), r in said.items():
        if not r["rotations"]:
            continue
        age, letter = (r["key_age_ms"] or 0) / 1000, link[0]
        n, bound = allowed(w, link, now, age)
        expect(age <= bound, "%s end %s: its key is %.1f s old, %.0f s are allowed after %d faults: %s", link, end, age, bound, n,
               r)
        w.oldest[letter] = max(w.oldest.get(letter, 0), age)
        w.nearest = max(w.nearest, (age / bound, "%.1f s of %.0f s of %s, %d faults" % (age, bound, link, n)))
        if n == 0:
            w.calmest[letter] = max(w.calmest.get(letter, 0), age)
    return said


def look(w):
    """MKA: nothing lost but what cannot be helped, and that not for long."""
    w.lab.check()
    state, now = w.lab.state(), time.monotonic()
    for link in w.routers:
        ends = w.lab.ends(link, state)
        expect(link[0] == "c" or not any(end["torn_times"] for end in ends), "%s: no common key: %s", link, ends)
        if not any(end["excuse"] for end in ends):
            if link in w.excused_since:
                w.back = max(w.back, now - w.excused_since.pop(link))
            continue
        since = w.excused_since.setdefault(link, now)
        n, bound = allowed(w, link, now, now - since)
        expect(now - since <= bound, "%s: not secured again in %.1f s: %s", link, now - since, ends)
    return state


def first_keys(w):
    """all links get their first keys"""
    rig.wait_for(lambda: all(r["rotations"] for r in rows(w).values()), "a first key of each link", 2 * rig.PATIENCE_S, w.rig)
    w.lab.secured()
    w.lab.do("reset", "*")


def faults():
    said = subprocess.run([junos_rig.SIM, "--list-faults"], capture_output=True, text=True, check=True).stdout
    words = [line.split("\t")[0].split(":")[0] for line in said.splitlines()]
    return [":".join(x for x in (word, ONE.get(word, "1")) if x) for word in words]


def play(w, words):
    """A fault at each sixth router, for a moment."""
    names, played = chance.sample(sorted(w.lab.routers), len(w.lab.routers) // 6), []
    for name in names:
        word = chance.choice(words)
        w.faults[name].append(time.monotonic())
        w.lab.do("fault", name, word)
        if chance.random() < 0.3:
            w.lab.do("hang-up", name)
        played.append(word.split(":")[0])
    rig.pause(chance.uniform(0.2, ROUND_MAX_S))
    for name in names:
        w.faults[name].append(time.monotonic())
        w.lab.do("clear", name)
    return played


def storm(w):
    """they rotate while routers have faults, and MKA is secured all the time"""
    words, w.began, told = faults(), time.monotonic(), time.monotonic()
    w.before, w.played = rows(w), collections.Counter()
    while True:
        now = rows(w)
        least = min(now[at]["rotations"] - w.before[at]["rotations"] for at in now)
        if w.played.total() >= STORM_FAULTS and least >= ROTATIONS:
            break
        if time.monotonic() > told + TELL_S:
            told = time.monotonic()
            tell(w, now, w.lab.state())
        w.played.update(play(w, words))
        look(w)
        w.rig.still_well()
    tell(w, now, w.lab.state())
    expect(w.played["dirty"] < 10 or "database modified" in w.a.log(), "nobody is told of an operator's changes")


def tell(w, now, state):
    done, least = collections.Counter(), {}
    for at, r in now.items():
        n, letter = r["rotations"] - w.before[at]["rotations"], at[0][0]
        done[letter] += n if at[1] == "a" else 0
        least[letter] = min(least.get(letter, n), n)
    print("# %d s: rotations (each link): %s; %d faults set, played %d times" % (
        time.monotonic() - w.began, ", ".join("%s %d (%d)" % (x, done[x], least[x]) for x in sorted(done)),
        w.played.total(), sum(box["fault_hits"] for box in state.values())))
    print("# oldest key: %s; without a fault at its routers: %s; nearest to its bound: %s" % (
        *(", ".join("%s %.1f s" % x for x in sorted(ages.items())) for ages in (w.oldest, w.calmest)), w.nearest[1]))
    ports = [port for box in state.values() for port in box["ports"].values()]
    print("# unsecured, in clear, lost: %s ms; excused: %s; %d violations; longest until it was back: %.1f s" % (
        ", ".join("%d" % sum(p[word + "_ms"] for p in ports) for word in ("unsecured", "clear", "lost")),
        ", ".join("%s %d times, %.1f s" % (word, sum(p[word + "_times"] for p in ports),
                                           sum(p[word + "_ms"] for p in ports) / 1000) for word in EXCUSES),
        sum(box["violations"] for box in state.values()), w.back))


def calm(w):
    """without faults all links rotate again, and agree"""
    w.lab.do("clear", "*")
    before = rows(w)
    for link in w.routers:
        if link[0] == "d":  # the others are due at any time
            w.a.ctl("rotate", link)
    rig.wait_for(lambda: all(r["rotations"] > before[at]["rotations"] for at, r in rows(w).items()), lambda: str(
        [r for at, r in rows(w).items() if r["rotations"] <= before[at]["rotations"]][:2]), 2 * rig.PATIENCE_S, w.rig)
    w.lab.secured()
    look(w)


def main():
    w = rig.World(set_up)
    cases = [(f.__doc__, w.case(f)) for f in (first_keys, storm, calm)]
    try:
        return rig.run_cases(cases + [("all ends well", w.last_case())])
    finally:
        w.close()


sys.exit(main())
