# sim_modes.py - devices that are slow, hang, spin, crash, answer garbage, lie, fail, or leave it open what they did, at
# either end: the link is never broken, another device's link goes on, and all is well when the device is.
import os
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

LINK, OTHER = "link-1", "link-2"


def set_up(w):
    w.rig = rig.Rig()
    w.a, w.b = w.rig.pair()
    for site, other, device in ((w.a, w.b, "east"), (w.b, w.a, "west")):
        site.device(device + "-2")
        site.link(OTHER, device=device + "-2", interface="port0", source="keys", channel="box", **{"peer-sae": other.sae})
        site.conf["defaults"].update(interval="500ms", drain="50ms")
        site.conf["call-budget"] = "1500ms"
        site.save()
        site.start()
    goes_on(w, LINK, 1)


def goes_on(w, link, more=1):
    for site in (w.a, w.b):
        site.wait_rotations(link, more)
    w.rig.still_well()


def keeps(w, device):
    """The key that a device sends with is one of those that its peer holds: the oracle; and there is one."""
    w.rig.oracle.check()
    held = w.rig.oracle.sent_with(LINK)
    expect(all(held.values()), "an end sends with no key: %s", held)


def restarts(site):
    return site.plugin("sim")["restarts"]


# What shows that a mode has done its harm.

def seen_slow(w, site):
    goes_on(w, LINK, 1)


def seen_killed(w, site):
    before, at = restarts(site), len(site.log())
    site.wait_log("ev=host-down plugin=sim .*did not return in its time; the host is replaced", after=at)
    rig.wait_for(lambda: restarts(site) > before and site.plugin("sim")["state"] == "up", "the host is up again", rig=w.rig)


def seen_crash(w, site):
    """Once before the effect, and once after it."""
    before = restarts(site)
    rig.wait_for(lambda: restarts(site) >= before + 2, "two crashes", rig=w.rig)
    expect("signal 6" in site.plugin("sim")["last_exit"], "%s", site.plugin("sim"))


def seen_alarm(w, site):
    site.wait_alarm(LINK, "DEVICE")


def seen_failures(w, site):
    before = site.end(LINK)["failed"]
    site.wait_end(LINK, lambda e: e["failed"] >= before + 2 or "DEVICE" in e["alarms"], "2 failures, or DEVICE")


def broken(site_name, mode, seen, others_go_on):
    def run(w):
        site = getattr(w, site_name)
        device = "east" if site is w.a else "west"
        alone = site.process.pid
        site.mode(device, mode)
        seen(w, site)
        keeps(w, device)
        if others_go_on:
            goes_on(w, OTHER, 1)
        site.mode(device, "ok")
        goes_on(w, LINK, 2)
        goes_on(w, OTHER, 1)
        for alarm in ("DEVICE", "SPLIT", "FOREIGN"):
            site.wait_alarm(LINK, alarm, on=False)
        expect(site.process.pid == alone and site.process.alive(), "rekeyd was replaced")
    return run


def observe_too(w):
    """From here on reading the device back misbehaves as well."""
    for site, device in ((w.a, "east"), (w.b, "west")):
        site.conf["devices"][device]["fault-observe"] = "yes"
        site.save()
        site.ask("reload")
    goes_on(w, LINK)


def no_core(w):
    """What crashed and was killed left no core file."""
    for folder, _, names in os.walk(w.rig.dir):
        for name in names:
            expect(not name.startswith("core"), "a core file: %s/%s", folder, name)


def sending(w, device):
    """Digest of the key that a device sends with, by its own file."""
    with open("%s/%s/%s@port0" % (w.rig.check, LINK, device)) as f:
        lines = [dict(word.split("=", 1) for word in line.split()[1:]) for line in f if line.startswith("slot ")]
    return [slot["digest"] for slot in lines if "s" in slot["flags"]]


def lies(site_name):
    """An apply that does nothing and says that all is done breaks the contract of plugins, which read back what they
    did; frames may be lost.  It is found when the device is next read, and mended when the device is honest."""
    def run(w):
        site = getattr(w, site_name)
        device = "east" if site is w.a else "west"
        w.rig.oracle.check()
        w.rig.oracle.excused.add(LINK)
        site.mode(device, "lie")
        rig.wait_for(lambda: any(e["result"] != "ok" for s in (w.a, w.b) for e in s.ask("history", LINK, "--limit", "20")),
                     "the lie is found", rig=w.rig)
        goes_on(w, OTHER, 2)
        site.mode(device, "ok")
        goes_on(w, LINK, 2)
        for s in (w.a, w.b):
            for alarm in ("DEVICE", "SPLIT", "UNPROTECTED"):
                s.wait_alarm(LINK, alarm, on=False)
        rig.wait_for(lambda: len(sending(w, "east")) == 1 and sending(w, "east") == sending(w, "west"),
                     "both devices send with the same key", rig=w.rig)
    return run


MODES = [("slow", seen_slow, True), ("hang", seen_killed, False), ("spin", seen_killed, False), ("crash", seen_crash, False),
         ("garbage", seen_failures, True), ("fail", seen_failures, True), ("unknown", seen_alarm, True)]


def main():
    w, liars = rig.World(set_up), rig.World(set_up)
    cases = []
    for end, name in (("a", "master"), ("b", "slave")):
        for mode, seen, others in MODES:
            cases.append(("%s: %s" % (name, mode), broken(end, mode, seen, others)))
    cases.append(("reading back misbehaves too", observe_too))
    for end, name in (("a", "master"), ("b", "slave")):
        for mode, seen, others in MODES:
            if mode in ("hang", "crash", "garbage", "fail"):
                cases.append(("%s: %s, reading back too" % (name, mode), broken(end, mode, seen, others)))
    cases.append(("no core file", no_core))
    cases = [(name, w.case(function)) for name, function in cases]
    cases += [("master: lie", liars.case(lies("a"))), ("slave: lie", liars.case(lies("b")))]
    try:
        return rig.run_cases(cases)
    finally:
        w.close()
        liars.close()


sys.exit(main())
