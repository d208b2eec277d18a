# shim_long.py - two sites whose routers run rekey-shim.py by themselves, a process each tick: links rotate while ticks
# overlap and are killed, commits fail, operators lock, certificates expire, a daemon is away, and a router has two
# routing engines.  MKA is never unsecured, and nothing is said to be done that the routers have not committed.
#
# A tick of event-options is 60 s; it is TICK_S here, and the script waits for work for all of it but a second.
# REKEY_LONG=1: 16 links, each rotates 50 times, 800 in all (REKEY_ROTATIONS=N), with faults at random (REKEY_SEED=N).
import collections
import concurrent.futures
import itertools
import os
import random
import sys
import time

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import rig  # noqa: E402
import shim_sites  # noqa: E402
from rig import expect  # noqa: E402

LONG = os.environ.get("REKEY_LONG") == "1"
ROTATIONS = int(os.environ.get("REKEY_ROTATIONS") or (50 if LONG else 3))
SEED = int(os.environ.get("REKEY_SEED") or random.SystemRandom().randrange(1 << 32))
chance = random.Random(SEED)
TICK_S = 5 if LONG else 2
AWAY_TICKS = 10
LOCK_TICKS = 6
REST_S = 30
CABLES = 4
EX = {"like": "ex", "release": "18.4R1.8"}  # has no fallback-key
TIMED = {"interval": "8s", "start-lead": "5s"}
# keying, options of the routers of both sites (mx: two routing engines), options of the links
PAIRS = [("pre-shared-key", {"like": "mx"}, {"like": "acx-evo"}, {"interval": "1s"})]
if LONG:
    PAIRS = [(*PAIRS[0][:3], {"interval": "3s"}),
             ("pre-shared-key", {"like": "acx-evo"}, {"like": "mx"}, {"interval": "3s"}),
             ("pre-shared-key", EX, EX, {"interval": "3s"}),
             ("key-chain", {"like": "mx", "zone": "Asia/Kolkata"}, {}, TIMED)]
TELL_S = 60


def set_up(w):
    print("# REKEY_SEED=%d" % SEED)
    shim_sites.need()
    w.rig = rig.Rig(plugins=shim_sites.PLUGINS)
    w.lab = junos_rig.Lab(w.rig)
    w.ticks = shim_sites.Ticks(w.lab, TICK_S)
    w.a, w.b = w.rig.pair(link="none")
    w.links, w.count, w.storms = {}, itertools.count(), False  # routers of each link
    for site in (w.a, w.b):
        del site.conf["links"][0]
        site.conf["devices"].clear()
    for i, (keying, a, b, link) in enumerate(PAIRS):
        names = ["r%d-a" % i, "r%d-b" % i]
        for name, options in zip(names, (a, b)):
            w.lab.router(name, keying, **options)
        for k in range(CABLES):
            cable(w, "l%d-%d" % (i, k), names, link)
    w.lab.start()
    for name in w.lab.routers:
        w.ticks.device(w.a if name.endswith("a") else w.b, name)
    w.ticks.start()
    for site in (w.a, w.b):
        site.save()
        site.start()


def cable(w, name, routers, link):
    ports = w.lab.cable(name, *routers)
    w.links[name] = routers
    for site, other, router, port in zip((w.a, w.b), (w.b, w.a), routers, ports):
        site.link(name, device=router, interface=port, source="keys", channel="box",
                  **dict(link, **{"peer-sae": other.sae}))


# ---- what must hold ----

def rows(w):
    """{(site, link): its row}"""
    return {(site.name, row["link"]): row for site in (w.a, w.b) for row in site.status()["links"]}


def look(w):
    w.lab.check()
    w.rig.still_well()
    w.ticks.check_logs()


def rotate(w, more):
    """So many more rotations of each link, at both ends."""
    want = {at: row["rotations"] + more for at, row in rows(w).items()}
    for site in (w.a, w.b):
        for link in w.links:
            n = want[site.name, link]
            site.wait_end(link, lambda e: e["rotations"] >= n, "%d rotations" % n, timeout=2 * rig.PATIENCE_S)
    look(w)


def first_keys(w):
    """all links get their first keys"""
    for site in (w.a, w.b):
        for link in w.links:
            site.wait_end(link, lambda e: e["rotations"] >= 1, "a first key")
    w.lab.secured()
    w.lab.do("reset", "*")


def check_row(w, record, link, row):
    """Both routers had committed this key as the primary one, and MKA was on it, before it was said to be done."""
    mka, committed = record
    for router, port in w.lab.link_ports[link]:
        at = (router, port, shim_sites.ckn(row["key_id"])[:12])
        for what, found in (("committed", committed), ("in use", mka)):
            if found is committed and w.lab.routers[router].keying == "key-chain":
                continue  # the record has no keys of chains, which begin by themselves
            expect(at in found, "%s: %s was never %s at %s", link, row["key_id"], what, router)
            expect(found[at] <= row["time_unix_ms"], "%s: %s was %s at %s %d ms after it was done", link, row["key_id"],
                   what, router, found[at] - row["time_unix_ms"])


def confirmed(w):
    """what the sites say was done was committed by the routers of both ends before"""
    record, n = shim_sites.record(w.lab), collections.Counter()
    for site in (w.a, w.b):
        for link, routers in w.links.items():
            done = [row for row in site.ask("history", link, "--limit", "1000") if row["event"] == "rotated"]
            expect(done, "%s: nothing was rotated on %s", site.name, link)
            for row in done:
                n[site.name] += 1
                check_row(w, record, link, row)
    print("# rotations that were done: %s; commits that brought a key: %d" % (dict(n), len(record[1])))


# ---- what goes wrong ----

def site_of(w, router):
    return w.a if router.name.endswith("a") else w.b


def some(w):
    return w.ticks.routers[chance.choice(sorted(w.ticks.routers))]


def fault(w, name, word):
    """A fault of the simulator, until it was played."""
    before = w.lab.state()[name]["fault_hits"]
    w.lab.do("fault", name, word)
    return lambda: w.lab.state()[name]["fault_hits"] > before


def overlap(w, router):
    """ticks overlap: the later run finds the lock, and leaves"""
    before = router.log().count("another run is still at work")
    router.plan = lambda: [{"linger": 2 * TICK_S}]
    rig.wait_for(lambda: router.log().count("another run is still at work") > before, "ticks overlap", rig=w.rig)
    router.plan = lambda: [{}]


def engines(w, router):
    """the script runs on both routing engines, which do not know of each other"""
    router.plan = lambda: [{}, router.engine()]
    before = sum(router.codes.values())
    rig.wait_for(lambda: sum(router.codes.values()) >= before + 4, "runs on both routing engines", rig=w.rig)
    router.plan = lambda: [{}]


def killed(w, router):
    """a run is killed at some moment"""
    router.plan = lambda: [{"kill_s": chance.uniform(0.05, TICK_S)}]
    before = router.codes[shim_sites.KILLED]
    rig.wait_for(lambda: router.codes[shim_sites.KILLED] > before, "a run was killed", rig=w.rig)
    router.plan = lambda: [{}]


def killed_in_commit(w, router):
    """a run is killed while the router commits"""
    seen = fault(w, router.name, "slow-commit:1s:1")
    rig.wait_for(seen, "a commit that is slow", rig=w.rig)
    expect(router.kill(), "nothing was killed")


def hit(word):
    def play_it(w, router):
        rig.wait_for(fault(w, router.name, word + ":1"), "%s was played" % word, rig=w.rig)
    play_it.__name__, play_it.__doc__ = word, word + ", once"
    return play_it


def other_engine(w, router):
    """the commit fails on the other routing engine"""
    if w.lab.routers[router.name].options.get("like") == "mx":
        hit("other-re")(w, router)


def locked(w, router):
    """an operator holds the lock, and gives it back"""
    site, end = site_of(w, router), time.monotonic() + LOCK_TICKS * TICK_S
    before = len(site.log())
    w.lab.do("lock", router.name, "on")
    # What became of a run that was killed before is not known while somebody has the configuration open: nothing is
    # changed then, and nobody meets the lock.
    rig.wait_for(lambda: "at %s: configuration database locked by" % router.name in site.log()[before:]
                 or (w.storms and time.monotonic() > end), "the lock is met", rig=w.rig)
    w.lab.do("lock", router.name, "off")


def expired(w, router):
    """the router's certificate expires while it is in use, and is renewed"""
    cert, key = router.cert, router.key
    end = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 2))
    says = "has expired; renew it"  # one that expires in between is refused by rekeyd, and the next run says so
    router.unfit, before = True, router.log().count(says)
    router.cert, router.key = w.ticks.pki.make("ends-%s-%d" % (router.name, next(w.count)), cn=router.name,
                                               dates=("20200101000000Z", end))
    rig.wait_for(lambda: router.log().count(says) > before, "the script refuses to run", rig=w.rig)
    router.cert, router.key, router.unfit = cert, key, False


def at_rest(site):
    """No link of class C is in a rotation: the CAK of its key before is in the memory of rekeyd alone, and when that is
    gone and the other end gives the new one up, an operator has to help (rekey-junos-netconf(7), class C)."""
    return all(row["phase"] == "idle" for row in site.status()["links"] if row["class"] == "C")


def away(w, router):
    """the daemon is away for ten ticks of each of its routers"""
    site, end = site_of(w, router), time.monotonic() + REST_S
    if not rig.wait_for(lambda: at_rest(site) or (time.monotonic() > end and "late"), "it is at rest", rig=w.rig) is True:
        return False
    mine = [w.ticks.routers[name] for name in site.conf["devices"]]
    for r in mine:
        r.off = True
    (site.kill if chance.random() < 0.5 else site.stop)()
    rig.wait_for(lambda: not any(r.runs for r in mine), "the runs end", rig=w.rig)
    for r in mine:
        before = r.codes[shim_sites.TEMPORARY]
        for _ in range(AWAY_TICKS):
            r.begin().wait()
        rig.wait_for(lambda: r.codes[shim_sites.TEMPORARY] == before + AWAY_TICKS, "nobody answers", rig=w.rig)
    w.lab.check()
    site.start()
    for r in mine:
        r.off = False
    return True


FAULTS = [engines, killed_in_commit, other_engine, overlap, killed, hit("commit-fails"), locked, expired]


def play(w, what, name):
    began = time.monotonic()
    what(w, w.ticks.routers[name])
    look(w)
    print("# %s (%s): %.1f s" % (what.__doc__, name, time.monotonic() - began))


def each(w):
    """each of it once, at two routers, and then the daemon is away"""
    turns = (("r0-a", FAULTS[:4]), ("r0-b", FAULTS[4:]))
    with concurrent.futures.ThreadPoolExecutor(len(turns)) as pool:
        for done in [pool.submit(lambda name, plays: [play(w, what, name) for what in plays], *turn) for turn in turns]:
            done.result()
    play(w, away, "r0-b")


def storm(w):
    """they rotate while all of that happens at random"""
    w.storms = True
    before, played, began, told = rows(w), collections.Counter(), time.monotonic(), time.monotonic()
    more = FAULTS + [away, hit("commit-dead"), hit("commit-lost"), hit("dead"), hit("load-fails")]
    while True:
        now = rows(w)
        least = min(now[at]["rotations"] - before[at]["rotations"] for at in now)
        if time.monotonic() > told + TELL_S or least >= ROTATIONS:
            told = time.monotonic()
            tell(w, began, {at: now[at]["rotations"] - before[at]["rotations"] for at in now}, played)
        if least >= ROTATIONS:
            return
        what = chance.choice(more)
        played[what.__name__] += what(w, some(w)) is not False
        look(w)


def tell(w, began, done, played):
    state = w.lab.state()
    ports = [port for box in state.values() for port in box["ports"].values()]
    print("# %d s: %d rotations of %d links (least %d); %d commits; runs by exit code: %s" % (
        time.monotonic() - began, sum(n for (site, _), n in done.items() if site == "A"), len(w.links),
        min(done.values()), sum(box["commits"] for box in state.values()), dict(w.ticks.codes())))
    print("# unsecured, in clear, lost: %s ms; %d violations; %s" % (
        ", ".join("%d" % sum(p[word + "_ms"] for p in ports) for word in ("unsecured", "clear", "lost")),
        sum(box["violations"] for box in state.values()), dict(played)))


def calm(w):
    """without faults all links rotate, and their ends agree"""
    w.storms = False
    w.lab.do("clear", "*")
    rotate(w, 1 if LONG else max(1, ROTATIONS - min(row["rotations"] for row in rows(w).values())))
    w.lab.secured()
    w.lab.check()


def main():
    w = rig.World(set_up)
    cases = [(f.__doc__, w.case(f)) for f in (first_keys, each, *([storm] if LONG else []), calm, confirmed)]
    try:
        return rig.run_cases(cases + [("all ends well", w.last_case())])
    finally:
        w.close()


if __name__ == "__main__":
    sys.exit(main())
