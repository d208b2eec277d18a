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
    site.wait_rotations(LINK, 1)


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
        goes_on(w, LINK, 1)
        goes_on(w, OTHER, 1)
        for alarm in ("DEVICE", "SPLIT") if mode == "lie" else ("DEVICE", "SPLIT", "FOREIGN"):
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


def set_up_slow(w):
    """Two devices at which each call takes longer than the general budget; one pair has a longer one."""
    w.rig = rig.Rig(plugins=("sim", "static"))
    w.a = w.rig.site("site-a", "SAE_A")
    w.a.conf["sources"]["keys"] = {"plugin": "static", "secret": w.a.secret("static.key")}
    for name, options in (("slow", {}), ("patient", {"call-budget": "10s"})):
        for end in ("-1", "-2"):
            w.a.device(name + end, latency="1100ms", **options)
        w.a.link(name, device=name + "-1", interface="p", source="keys", channel="local",
                 **{"peer-device": name + "-2", "peer-interface": "p"})
    w.a.conf["call-budget"] = "1s"
    w.a.start()


def own_budget(w):
    w.a.wait_end("patient", lambda e: e["key_id"], "a key, for its devices have the time")
    expect(not w.a.end("slow")["key_id"], "a key in less time than the device needs: %s", w.a.end("slow"))


def budgets():
    w = rig.World(set_up_slow)
    return w, [("a device with a call-budget of its own has that, another one the general one", w.case(own_budget))]


MODES = {"slow": (seen_slow, True), "hang": (seen_killed, False), "spin": (seen_killed, False),
         "crash": (seen_crash, False), "garbage": (seen_failures, True), "fail": (seen_failures, True),
         "unknown": (seen_alarm, True), "lie": (seen_failures, True)}


def world(end, modes, read_back):
    """The cases of one pair of sites.  A fresh pair for each, as hosts that were killed often are restarted late."""
    w = rig.World(set_up)
    name = "master" if end == "a" else "slave"
    cases = [("%s: reading back misbehaves too" % name, w.case(observe_too))] if read_back else []
    cases += [("%s: %s%s" % (name, mode, ", reading back too" if read_back else ""), w.case(broken(end, mode, *MODES[mode])))
              for mode in modes]
    return w, cases + [("%s: no core file" % name, w.case(no_core)), ("%s: all ends well" % name, w.last_case())]


def main():
    # lie comes last: what a liar was told to retire, and did not, stays in its slot
    worlds = [world("a", ("slow", "hang", "spin", "crash", "garbage", "fail", "unknown", "lie"), False),
              world("b", ("slow", "hang", "crash", "garbage", "fail", "unknown", "lie"), False),
              world("a", ("hang", "garbage"), True), world("b", ("crash", "fail"), True), budgets()]
    try:
        return rig.run_cases([case for _, cases in worlds for case in cases])
    finally:
        for w, _ in worlds:
            w.close()


sys.exit(main())
