# shim_links.py - a router that asks by itself, and at the other end of its links one that rekeyd reaches over NETCONF,
# or one that the old script drives: both ends use the same keys.  When it stops asking, that is an alarm within three
# ticks.
import sys
import time

sys.dont_write_bytecode = True
import junos_old  # noqa: E402
import junos_rig  # noqa: E402
import rig  # noqa: E402
import shim_sites  # noqa: E402
from rig import expect  # noqa: E402

MIXED = "mixed"  # its other end is reached over NETCONF
TICK_S = 2
AWAY_TICKS = 3
SLACK_S = 15  # of a busy machine


def set_up(w):
    shim_sites.need()
    junos_old.lay_out(w, "junos-event", "spool", *junos_rig.PLUGINS[:1])
    w.b = w.rig.site("B", "SAE_B")
    w.kmes.source(w.b)
    ports = w.lab.cable(MIXED, w.lab.router("asks").name, w.lab.router("reached", like="acx-evo").name)
    auth = rig.new_secret()
    for site, other, device, port in ((w.a, w.b, "asks", ports[0]), (w.b, w.a, "reached", ports[1])):
        site.conf["channels"]["box"] = {"plugin": "spool", "dir": site.out, "peer-dir": other.out,
                                        "auth-key": site.secret("box.key", auth)}
        site.link(MIXED, device=device, interface=port, source="keys", channel="box", interval="2s",
                  **{"peer-sae": other.sae})
    w.ticks = shim_sites.Ticks(w.lab, TICK_S)
    w.lab.start()
    w.ticks.device(w.a, "ours", ckn="offbox")
    w.ticks.device(w.a, "asks")
    w.lab.routers["reached"].device(w.b)
    junos_old.scripts(w)
    w.ticks.start()
    for site in (w.a, w.b):
        site.save()
        site.start()


def to_netconf(w):
    """a link whose other end is reached over NETCONF rotates"""
    for site in (w.a, w.b):
        site.wait_end(MIXED, lambda e: e["rotations"] >= 2, "rotations")
    expect((w.a.end(MIXED)["class"], w.b.end(MIXED)["class"]) == ("B", "B"), "classes: %s", w.a.end(MIXED))
    junos_old.until(w, lambda: junos_old.agrees(w, MIXED), "one key at both ends of %s" % MIXED)
    w.lab.check()


def to_old_script(w):
    """links whose other end the old script drives rotate, whoever leads"""
    junos_old.leads(w, 1)
    junos_old.rotated(w, 1)
    for link in junos_old.LINKS:
        ckn = junos_old.same_key(w, link)
        expect(ckn == junos_old.PREFIX + w.a.end(link)["key_id"].replace("-", ""), "%s: %s", link, ckn)
        expect(not {"UNPROVED", "SPLIT", "FOREIGN", "DEVICE", "NO-PEER"} & set(w.a.end(link)["alarms"]), "%s",
               w.a.end(link))
    expect(w.a.end(junos_old.LEADS)["class"] == "E", "the class: %s", w.a.end(junos_old.LEADS))
    w.lab.check()


def remedy(w, link):
    """(text, what helps) of explain, when it says that the router does not ask."""
    for row in w.a.ask("explain", link):
        for alarm in row["alarms"]:
            if alarm["alarm"] == "DEVICE" and "not asked for" in row["text"]:
                return row["text"], alarm["do"]
    return None


def stops_asking(w):
    """a router that stops asking is an alarm within three ticks, explained with what helps, and gone again"""
    links, key_id = {"asks": MIXED, "ours": junos_old.LEADS}, w.a.end(MIXED)["key_id"]
    routers = [w.ticks.routers[name] for name in links]
    for router in routers:
        router.off = True
        router.kill()
    began = time.monotonic()
    for name, link in links.items():
        text, what = rig.wait_for(lambda: remedy(w, link), lambda: "an alarm: %s" % w.a.ask("explain", link), rig=w.rig)
        took_s = time.monotonic() - began
        print("# %s: the alarm came after %.1f ticks" % (name, took_s / TICK_S))
        expect(took_s <= AWAY_TICKS * TICK_S + SLACK_S, "it took %.1f s", took_s)
        expect("%s has not asked for" % name in text and "event-options" in text and what, "no remedy: %s; %s",
               text, what)
    expect(key_id and w.a.end(MIXED)["key_id"], "it has no key any more: %s", w.a.end(MIXED))
    for router in routers:
        router.off = False
    for link in (MIXED, *junos_old.LINKS):
        junos_old.until(w, lambda: "DEVICE" not in w.a.end(link)["alarms"], "%s: the alarm is over" % link)
    for site in (w.a, w.b):
        site.wait_rotations(MIXED, 1)
    junos_old.leads(w, 1)
    # The old script has no fallback-key: what it commits while our end is away may leave no common key for a moment.
    w.lab.check(but=(junos_old.LEADS,))
    w.ticks.check_logs()


def main():
    w = junos_old.Lab(set_up)
    cases = [(f.__doc__, w.case(f)) for f in (to_netconf, to_old_script, stops_asking)]
    try:
        return rig.run_cases(cases + [("all ends well", w.last_case())])
    finally:
        w.close()


if __name__ == "__main__":
    sys.exit(main())
