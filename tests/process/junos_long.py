# junos_long.py - sixteen links over eight simulated routers in each keying, which rotate while the routers have faults at
# random: MKA is never unsecured, nothing goes in clear, no key grows older than its bound.
#
# REKEY_SEED=N repeats the faults of a run (not their moments); REKEY_LONG=1 goes on until each link has rotated 500 times,
# REKEY_ROTATIONS=N so many times.
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
MODES = [("b", "pre-shared-key", {"like": "mx"}, {"interval": "2s"}), ("c", "pre-shared-key", OLD, {"interval": "2s"}),
         ("d", "key-chain", {"like": "acx-evo"}, {"interval": "6s", "start-lead": "4s"})]
LIKES = {"b": ("mx", "srx", "acx-evo"), "c": ("ex",), "d": ("mx", "acx-evo", "srx")}
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns")
# A link may be the one that is left out of a commit again and again: until its key is older than this, it is no fault.
BOUND_S = 60
# Not here: what ends a link by design (keys that are gone, no licence), or needs an operator (dirty).
NOT_HERE = ("reboot-empty", "no-licence", "dirty")
# A router of class C has its preceding key in memory only: when it restarts between the two commits of a rotation, no key
# is common until the other one is done.  So there are no restarts in that ring.
ONE = {"commit-silent": "60s:1", "slow-commit": "1s:1", "locked": "1s:1", "reboot": "500ms:1", "reboot-before": "500ms:1",
       "slow": "300ms", "slow-hello": "1s:1", "slow-connect": "1s:1", "clock": "20s", "split": "", "bytes": "", "wrong-key": "",
       "rsa-only": "", "short-ckn": ""}
STORM_S = 8
ROTATIONS = int(os.environ.get("REKEY_ROTATIONS") or (500 if os.environ.get("REKEY_LONG") == "1" else 0))
SEED = int(os.environ.get("REKEY_SEED") or random.SystemRandom().randrange(1 << 32))
chance = random.Random(SEED)


def set_up(w):
    print("# REKEY_SEED=%d" % SEED)
    w.rig = rig.Rig(plugins=junos_rig.PLUGINS)
    w.lab = junos_rig.Lab(w.rig)
    w.a = w.rig.site("A", "SAE_A")
    w.a.conf["call-budget"] = "8s"
    w.a.conf["sources"]["lab"] = {"plugin": "static", "secret": w.a.secret("static.key")}
    for letter, keying, options, link in MODES:
        names = ["%s%d" % (letter, i) for i in range(ROUTERS)]
        for name in names:
            w.lab.router(name, keying, **dict(options, like=chance.choice(LIKES[letter]), zone=chance.choice(ZONES),
                                              commit="%dms" % chance.randint(20, 100)))
        for i in range(ROUTERS * CABLES):
            ends = [names[i % ROUTERS], names[(i + 1) % ROUTERS]]
            ports = w.lab.cable("%s-%d" % (letter, i), *ends)
            w.a.link("%s-%d" % (letter, i), device=ends[0], interface=ports[0], channel="local", source="lab",
                     **dict(link, **{"peer-device": ends[1], "peer-interface": ports[1]}))
    w.lab.start()
    for router in w.lab.routers.values():
        router.device(w.a, **{"rpc-timeout": "2s", "commit-timeout": "3s"})
    w.a.save()
    w.a.start()
    w.oldest = {}


def rows(w):
    said = {(r["link"], r["end"]): r for r in w.a.status()["links"]}
    for (link, end), r in said.items():
        if r["rotations"]:
            age = (r["key_age_ms"] or 0) / 1000
            w.oldest[link[0]] = max(w.oldest.get(link[0], 0), age)
            expect(age <= BOUND_S, "%s end %s: its key is %d s old: %s", link, end, age, r)
    return said


def first_keys(w):
    """all links get their first keys"""
    rig.wait_for(lambda: all(r["rotations"] for r in rows(w).values()), "a first key of each link", 2 * rig.PATIENCE_S, w.rig)
    w.lab.secured()


def faults():
    said = subprocess.run([junos_rig.SIM, "--list-faults"], capture_output=True, text=True, check=True).stdout
    words = [line.split("\t")[0].split(":")[0] for line in said.splitlines()]
    return [":".join(x for x in (w, ONE.get(w, "1")) if x) for w in words if w not in NOT_HERE]


def storm(w):
    """they rotate while routers have faults, and MKA is secured all the time"""
    words, end, w.played = faults(), time.monotonic() + STORM_S, 0
    before = rows(w)
    while True:
        now = rows(w)
        least = min(now[at]["rotations"] - before[at]["rotations"] for at in now)
        if time.monotonic() > end and least >= ROTATIONS:
            break
        names = chance.sample(sorted(w.lab.routers), 4)
        for name in names:
            word = chance.choice(words)
            if not (name[0] == "c" and word.startswith("reboot")):
                w.lab.do("fault", name, word)
            if chance.random() < 0.3:
                w.lab.do("hang-up", name)
            w.played += 1
        rig.pause(chance.uniform(0.2, 1.5))
        for name in names:
            w.lab.do("clear", name)
        w.lab.check()
        w.rig.still_well()
    now = rows(w)
    done = sum(now[at]["rotations"] - before[at]["rotations"] for at in now if at[1] == "a")
    hits = sum(box["fault_hits"] for box in w.lab.state().values())
    print("# %d rotations, each link %d or more, %d faults set, played %d times; oldest key: %s" % (
        done, least, w.played, hits, ", ".join("%s %.1f s" % x for x in sorted(w.oldest.items()))))
    expect(done and hits, "%d rotations, %d faults", done, hits)


def calm(w):
    """without faults all links rotate again, and agree"""
    w.lab.do("clear", "*")
    before = rows(w)
    rig.wait_for(lambda: all(r["rotations"] > before[at]["rotations"] for at, r in rows(w).items()), lambda: str(
        [r for at, r in rows(w).items() if r["rotations"] <= before[at]["rotations"]][:2]), 2 * rig.PATIENCE_S, w.rig)
    w.lab.secured()
    w.lab.check()


def main():
    w = rig.World(set_up)
    cases = [(f.__doc__, w.case(f)) for f in (first_keys, storm, calm)]
    try:
        return rig.run_cases(cases + [("all ends well", w.last_case())])
    finally:
        w.close()


sys.exit(main())
