# classes.py - links between devices of classes B to E, in pairs that have a proved rotation and in some that have none,
# with real processes.  The devices write down that a key which both hold stays all the time.  The pairs with class D,
# whose keys begin at a time of the clock, are in classes_timed.py.
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

LINK = "link-1"
SOON = {"interval": "1s"}


def device(site, name, letter, **options):
    mka = {} if letter == "a" else {"mka-hello": "20ms"}
    site.device(name, **{"class": letter}, **mka, **options)


def set_up(classes, link):
    def begin(w):
        w.classes, w.rig = classes, rig.Rig()
        w.a, w.b = w.rig.pair()
        for site, name, letter in ((w.a, "east", classes[0]), (w.b, "west", classes[1])):
            device(site, name, letter)
            site.conf["links"][0].update(link, verify="200ms")
            site.save()
            site.start()
    return begin


def rotates(w, times=2):
    """both ends come to the same new keys, and the status tells the classes"""
    wanted = [(site, site.end(LINK)["rotations"] + times) for site in (w.a, w.b)]
    for site, count in wanted:
        site.wait_end(LINK, lambda e, n=count: e["rotations"] >= n, "%d rotations" % count)
    rows = [site.end(LINK) for site in (w.a, w.b)]
    expect([row["class"] for row in rows] == list(w.classes.upper()), "%s", rows)
    for row in rows:
        expect(not {"UNPROVED", "CLOCK-SKEW", "SPLIT", "FOREIGN", "DEVICE"} & set(row["alarms"]), "%s", row["alarms"])
    w.rig.still_well()


def survives_kills(w):
    """rekeyd is killed at each end, in the middle of whatever it does: rotations go on"""
    for i in range(3):
        for site in (w.a, w.b):
            seq = site.end(LINK)["seq"]
            rig.pause(0.17 * i)
            site.kill()
            site.start()
            site.wait_end(LINK, lambda e: e["seq"] > seq + 1 and e["phase"] == "idle", "a new key after a kill")
    rotates(w)


def busy_device(w):
    """a device refuses the new key: the old one stays in use at both ends, and another is taken later"""
    seq = w.b.end(LINK)["seq"]
    w.b.mode("west", "fail")
    w.b.wait_alarm(LINK, "DEVICE")
    w.rig.oracle.check()
    w.b.mode("west", "ok")
    w.b.wait_end(LINK, lambda e: e["seq"] > seq + 1 and not e["alarms"], "a new key after a busy device")
    rotates(w)


def refused(w):
    """nothing is begun, and the alarm and explain say why"""
    for site in (w.a, w.b):
        row = site.wait_alarm(LINK, "UNPROVED")
        expect(row["seq"] == 0 and row["phase"] == "idle", "%s", row)
        rig.wait_for(lambda: "no proved rotation" in site.ask("explain", LINK)[0]["text"],
                     lambda: site.ask("explain", LINK)[0]["text"], rig=w.rig)  # meanwhile it may read its device


WORLDS = [("bb", SOON, [rotates, survives_kills, busy_device]), ("cc", SOON, [rotates, survives_kills, busy_device]),
          ("bc", SOON, [rotates, survives_kills]), ("cb", SOON, [busy_device]),
          ("ab", SOON, [refused]), ("be", SOON, [refused])]


def run(worlds):
    cases = []
    for classes, link, functions in worlds:
        world = rig.World(set_up(classes, link))
        pair = "%s-%s" % tuple(classes.upper())
        cases += [("%s: %s: %s" % (pair, f.__name__, f.__doc__), world.case(f)) for f in functions]
        cases.append(("%s: all ends well" % pair, world.last_case()))
    return rig.run_cases(cases)


if __name__ == "__main__":
    sys.exit(run(WORLDS))
