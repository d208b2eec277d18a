# junos_links.py - links of simulated routers that speak NETCONF, from their first key on, in each keying: the key comes from
# KMEs, each end is another site's, MKA is never without a key, and what is due together is one commit.
import os
import sys

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

SOON = {"interval": "2s"}
TIMED = {"interval": "6s", "start-lead": "4s"}
OLD = {"like": "srx", "release": "18.4R1.8"}  # has no fallback-key
# name, class and options of each end's router, options of the link
LINKS = [("b-b", "B", {}, "B", {"like": "acx-evo"}, SOON), ("c-c", "C", OLD, "C", OLD, SOON),
         ("d-d", "D", {}, "D", {"like": "acx-evo", "zone": "Europe/Berlin"}, TIMED),
         ("b-c", "B", {"like": "ex"}, "C", dict(OLD, like="ex"), SOON), ("b-d", "B", {}, "D", {"zone": "Asia/Kolkata"}, TIMED)]
MANY = 48
QUICK = os.environ.get("REKEY_QUICK") == "1"
if QUICK:
    LINKS = [row for row in LINKS if row[-1] is SOON]


def keying(letter):
    return "key-chain" if letter == "D" else "pre-shared-key"


def set_up(w):
    w.rig = rig.Rig(plugins=junos_rig.PLUGINS + ("etsi014",))
    w.lab = junos_rig.Lab(w.rig)
    w.kmes = rig.KmePair(w.rig)
    w.kmes.start()
    w.a, w.b = w.rig.pair(w.kmes.source, link="none")
    for site in (w.a, w.b):
        del site.conf["links"][0]
        site.conf["devices"].clear()
    for name, *classes_and_options, link in LINKS:
        for end, site in enumerate((w.a, w.b)):
            w.lab.router("%s-%s" % (name, site.name.lower()), keying(classes_and_options[2 * end]),
                         **classes_and_options[2 * end + 1])
        ports = w.lab.cable(name, name + "-a", name + "-b")
        for site, other, port in ((w.a, w.b, ports[0]), (w.b, w.a, ports[1])):
            site.link(name, device="%s-%s" % (name, site.name.lower()), interface=port, source="keys", channel="box",
                      **dict(link, **{"peer-sae": other.sae}))
    hub(w)
    w.lab.start()
    for site in (w.a, w.b):
        for name, router in w.lab.routers.items():
            if name.endswith("-" + site.name.lower()):
                router.device(site)
        site.save()
        site.start()


def hub(w):
    """Two routers of site A with many cables between them, whose links are due together."""
    w.a.conf["sources"]["lab"] = {"plugin": "static", "secret": w.a.secret("static.key")}
    for name in ("hub-1-a", "hub-2-a"):
        w.lab.router(name)
    for i in range(MANY):
        ports = w.lab.cable("hub-%d" % i, "hub-1-a", "hub-2-a")
        w.a.link("hub-%d" % i, device="hub-1-a", interface=ports[0], channel="local", source="lab", interval="5s" if QUICK else "9s",
                 **{"peer-device": "hub-2-a", "peer-interface": ports[1]})


def first_keys(w):
    """every link gets its first key by itself, and MKA is live on it"""
    for name, *_ in LINKS:
        for site in (w.a, w.b):
            site.wait_end(name, lambda e: e["rotations"] >= 1, "a first key")
    for i in range(MANY):
        w.a.wait_end("hub-%d" % i, lambda e: e["rotations"] >= 1, "a first key")
    w.lab.secured()


def wants(w, more):
    return {(site.name, name): site.end(name)["rotations"] + more for site in (w.a, w.b) for name, *_ in LINKS}


def comes(site, name, want):
    """The row at a moment without a rotation: in one DEVICE is raised while MKA is slow."""
    return site.wait_end(name, lambda e: e["rotations"] >= want[site.name, name] and e["phase"] == "idle",
                         "%d rotations" % want[site.name, name], timeout=2 * rig.PATIENCE_S)


def rotates(w):
    """more keys, the same at both ends, without a moment that is not secured"""
    want = wants(w, 1 if QUICK else 3)
    for name, left, _, right, _, _ in LINKS:
        for site, letter in ((w.a, left), (w.b, right)):
            row = comes(site, name, want)
            expect(row["class"] == letter, "%s: %s", name, row)
            bad = {"UNPROVED", "CLOCK-SKEW", "SPLIT", "FOREIGN", "DEVICE", "UNPROTECTED"} & set(row["alarms"])
            expect(not bad, "%s: %s", name, row)
    w.lab.check()
    for name, *_ in LINKS:
        rig.wait_for(lambda: agrees(w, name), "%s: one key at both ends" % name, rig=w.rig)


def agrees(w, name):
    try:
        return w.lab.agree(name)
    except rig.Failed:
        return None  # a rotation is under way


def rotated(w):
    """How often all links of the hub have rotated, when they all have done so equally often; else None."""
    rows = [row for row in w.a.status()["links"] if row["link"].startswith("hub-")]
    counts = {row["rotations"] for row in rows if row["phase"] == "idle"}
    return counts.pop() if len(counts) == 1 and all(row["phase"] == "idle" for row in rows) else None


def one_commit(w):
    """links that are due together are one load and one commit on each device, however many they are"""
    rig.wait_for(lambda: rotated(w), "all links of the hub have rotated", rig=w.rig)
    before, since = rotated(w), w.lab.commits()
    after = rig.wait_for(lambda: (rotated(w) or 0) > (before or 0) and rotated(w), "they have rotated again", rig=w.rig)
    now = w.lab.commits()
    expect(before, "a rotation came in between")
    for name in ("hub-1-a", "hub-2-a"):
        expect(now[name] - since[name] == after - before, "%s: %d commits for %d rotations of %d links", name,
               now[name] - since[name], after - before, MANY)
    w.lab.secured()
    w.lab.check()
    for i in range(MANY):
        w.lab.agree("hub-%d" % i)


def killed(w):
    """rekeyd is killed at both ends: the stored form of the key is moved, and rotations go on"""
    for site in (w.a, w.b):
        site.kill()
        site.start()
    want = wants(w, 1)
    for name, *_ in LINKS:
        for site in (w.a, w.b):
            comes(site, name, want)
    w.lab.check()


def clocks_off(w):
    """the clocks of both routers of a key chain are wrong: no key is given a start time until they are right"""
    for name, off in (("d-d-a", "3s"), ("d-d-b", "-3s")):
        w.lab.do("fault", name, "clock:" + off)
    for site in (w.a, w.b):
        site.wait_alarm("d-d", "CLOCK-SKEW")
    w.lab.check()
    for name in ("d-d-a", "d-d-b"):
        w.lab.do("clear", name)
    for site in (w.a, w.b):
        site.wait_alarm("d-d", "CLOCK-SKEW", on=False)
        site.wait_rotations("d-d", 1, timeout=2 * rig.PATIENCE_S)
    w.lab.check()


def main():
    w = rig.World(set_up)
    cases = [(f.__doc__ or f.__name__, w.case(f)) for f in (first_keys, rotates, one_commit, killed, clocks_off)[:3 if QUICK else 5]]
    try:
        return rig.run_cases(cases + [("all ends well", w.last_case())], quick_too=True)
    finally:
        w.close()


sys.exit(main())
