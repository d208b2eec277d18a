# junos_old.py - one end of a link is a router of rekeyd's (ckn: offbox, class E), the other one is driven by the old
# script, in either role: both use the same keys, also after either stopped for a while, and MKA is never without one.
#
# The script is played by offbox_script.py.  It ticks as slave each 61 s, and as master each 127 s: a tick as slave
# takes TICK_S here, and an hour as many ticks.
import re
import sys
import time

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import rig  # noqa: E402
from offbox_script import PREFIX, Script, key_id_in, neighbour, put  # noqa: E402
from rig import expect  # noqa: E402

LEADS, FOLLOWS = "we-lead", "we-follow"  # what rekeyd does on the link
LINKS = (LEADS, FOLLOWS)
TICK_S = 0.3
HOUR = (3600 // 61, 3600 // 127)  # ticks as slave, and as master
TEXT = "to the lab"  # an operator's, before the "|"


class Lab(rig.World):
    def ca_of(self, router, port):
        return "CA%d" % (self.lab.routers[router].ports.index(port) + 1)


def lay_out(w, *plugins):
    """The site, its router "ours", the script's router "theirs", and the cables; nothing runs yet."""
    w.rig = rig.Rig(plugins=plugins + ("etsi014", "lldp"))
    w.lab = junos_rig.Lab(w.rig)
    w.kmes = rig.KmePair(w.rig)
    w.kmes.start()
    w.a = w.rig.site("A", "SAE_A")
    w.kmes.source(w.a)
    w.a.conf["channels"]["lldp"] = {"plugin": "lldp", "format": "offbox", "offbox-key": "key_ID",
                                    "auth-key": w.a.secret("auth.key")}
    for name in ("ours", "theirs"):
        w.lab.router(name)
    for link, role in zip(LINKS, ("master", "slave")):
        ports = w.lab.cable(link, "ours", "theirs")
        w.a.link(link, device="ours", interface=ports[0], source="keys", channel="lldp", interval="2s", role=role,
                 **{"peer-sae": "SAE_B"})
        for router, port in w.lab.link_ports[link]:
            w.lab.routers[router].lines.append("set interfaces %s description \"%s\"" % (port, TEXT))
    for name in ("ours", "theirs"):
        w.lab.routers[name].lines.append("set protocols lldp interface all")


def scripts(w):
    w.lead, w.follow = (Script(w.lab, w.kmes, w.lab.link_ports[link][1], master=link == FOLLOWS,
                               ca=w.ca_of(*w.lab.link_ports[link][1])) for link in (FOLLOWS, LEADS))


def set_up(w):
    lay_out(w, *junos_rig.PLUGINS)
    w.lab.start()
    w.lab.routers["ours"].device(w.a, ckn="offbox")
    scripts(w)
    w.a.save()
    w.a.start()


# ---- what goes on beside rekeyd ----

def play(w):
    """The script's own timer, once."""
    if not w.follow.stopped and time.monotonic() >= w.follow.next_tick:
        w.follow.tick()
        w.follow.next_tick = time.monotonic() + TICK_S


def deaf(w, on):
    """The neighbour on the link that the script leads is gone from LLDP, or is there again."""
    router, port = w.lab.link_ports[FOLLOWS][1]
    w.lab.do("edit", router, "%s protocols lldp interface %s%s" % (("set", port, " disable") if on else
                                                                 ("delete", port, "")))


def until(w, condition, what):
    last = [None]

    def look():
        play(w)
        last[0] = condition()
        return last[0]
    return rig.wait_for(look, lambda: "%s; %s" % (what, [r for r in w.a.status()["links"]]), 2 * rig.PATIENCE_S, w.rig)


def rotations(w):
    return w.a.end(LEADS)["rotations"]


def rotated(w, want):
    until(w, lambda: rotations(w) >= want, "%d rotations of %s" % (want, LEADS))


def leads(w, n):
    """The script leads n times, and rekeyd follows each time: its own interval is longer than that takes."""
    for _ in range(n):
        w.lead.tick()
        row = until(w, lambda: w.a.end(FOLLOWS)["key_id"] == w.lead.last and w.a.end(FOLLOWS), "rekeyd follows")
    return row


# ---- what must hold ----

def same_key(w, link):
    """Both ends use one CKN, and have the same CAK, which is the one that the KME gave."""
    ckn = until(w, lambda: agrees(w, link), "%s: one key: %s" % (link, w.lab.ends(link)))
    stored = [re.findall(r"<ckn>%s</ckn>\s*<cak>([^<]+)</cak>" % ckn, w.lab.netconf(
        router, '<get-configuration database="committed"/>'), re.I) for router, _ in w.lab.link_ports[link]]
    expect([len(found) for found in stored] == [1, 1], "%s is not at both ends", ckn)
    caks = {junos_rig.open_9(found[0]) for found in stored}
    expect(len(caks) == 1 and len(caks.pop()) == 64, "%s: two CAKs of one name", link)
    return ckn


def agrees(w, link):
    try:
        return w.lab.agree(link)
    except rig.Failed:
        return None


def first_keys(w):
    """a first key of each side's choice is taken by the other one"""
    expect(w.a.wait_end(LEADS, lambda e: e["class"] == "E", "the class")["role"] == "master", "the role")
    leads(w, 1)
    w.old = w.lead.last
    rotated(w, 1)
    for link in LINKS:
        ckn = same_key(w, link)
        expect(ckn == PREFIX + w.a.end(link)["key_id"].replace("-", ""), "%s: %s", link, ckn)
        expect(not {"UNPROVED", "SPLIT", "FOREIGN", "DEVICE", "NO-PEER"} & set(w.a.end(link)["alarms"]), "%s",
               w.a.end(link))
    w.lab.check()


def goes_on(w):
    """rotations go on in both roles"""
    want = rotations(w) + 2
    leads(w, 2)
    rotated(w, want)
    for link in LINKS:
        same_key(w, link)
    expect(w.follow.skipped > 0, "no tick was without a new key")
    w.lab.check()


def stops(w):
    """the script stops: the old key stays in use, and it is said why"""
    w.follow.stopped = True
    row = w.a.end(LEADS)
    until(w, lambda: w.a.end(LEADS)["failed"] > row["failed"] and w.a.end(LEADS)["phase"] == "idle", "rekeyd gives up")
    now = w.a.end(LEADS)
    expect("did not follow" in now["last"]["why"], "%s", now)
    expect(now["key_id"] == w.follow.last and "NO-PEER" not in now["alarms"], "%s", now)
    expect(same_key(w, LEADS) == PREFIX + w.follow.last.replace("-", ""), "another key is in use")
    until(w, lambda: {"OVERDUE", "EXPIRED"} & set(w.a.end(FOLLOWS)["alarms"]), "an alarm, for nobody leads")
    until(w, lambda: "NO-PEER" not in w.a.end(FOLLOWS)["alarms"], "the neighbour is there")
    expect(w.a.end(FOLLOWS)["key_id"] == w.lead.last, "%s", w.a.end(FOLLOWS))
    deaf(w, True)
    w.a.wait_alarm(FOLLOWS, "NO-PEER")
    expect(w.a.end(FOLLOWS)["key_id"] == w.lead.last, "%s", w.a.end(FOLLOWS))
    deaf(w, False)
    w.lab.check()


def comes_back(w):
    """the script comes back: rotations go on"""
    w.follow.stopped = False
    want = rotations(w) + 1
    leads(w, 1)
    rotated(w, want)
    for link in LINKS:
        same_key(w, link)
    until(w, lambda: not {"OVERDUE", "NO-PEER"} & set(w.a.end(FOLLOWS)["alarms"]), "the alarms are over")
    w.lab.check()


def follows_late(w):
    """the script commits a key that was given up while it fetched it: the next rotation puts it right"""
    w.follow.stopped = True
    failed = w.a.end(LEADS)["failed"]
    key = until(w, lambda: offered(w) != w.follow.last and w.follow.fetch(), "an offer")
    until(w, lambda: w.a.end(LEADS)["failed"] > failed and w.a.end(LEADS)["phase"] == "idle", "rekeyd gives up")
    until(w, lambda: w.lab.ends(LEADS)[0]["fallback"] == key[1], "it has the key in the fallback slot")
    w.follow.commit(*key)
    w.follow.stopped = False
    rotated(w, rotations(w) + 1)
    same_key(w, LEADS)
    # The script has no fallback-key: with its next change it may drop the one key that both have until then, so that a
    # moment without MKA is possible (rekey-junos-netconf(7)); but not in clear.
    w.lab.check(but=(LEADS,))
    w.lab.do("reset", "*")


def offered(w):
    return key_id_in(neighbour(w.lab, *w.lab.link_ports[LEADS][1])) or w.follow.last


def wrong_descriptions(w):
    """what anybody may say by LLDP, wrong or stale, changes no key, and rotations go on"""
    leads(w, 2)
    victim, before = "%s:%s" % w.lab.link_ports[FOLLOWS][0], w.a.end(FOLLOWS)
    texts = [put(TEXT, w.old), put(TEXT, "550e8400-e29b-41d4-a716-446655440000"), put(TEXT, w.a.end(LEADS)["key_id"]),
             put(TEXT, "no UUID"), TEXT + "|{\"key_ID\": 7}", TEXT + "|{}", TEXT + "|{\"key_ID\": \"", TEXT,
             put("x" * 180, w.old), "rk1|%s|M|1|99|O|%s|||" % (FOLLOWS, w.old), "=" + w.old, "|{" * 127]
    for text in texts:
        w.lab.do("lldp", victim, "=", "=", "60", text)
        w.lab.do("lldp", victim, "02:00:00:aa:aa:aa", "xe-9/9/9", "20", text)
        play(w)
    until(w, lambda: key_id_in(neighbour(w.lab, *w.lab.link_ports[FOLLOWS][0])) == w.lead.last, "the genuine one again")
    now = until(w, lambda: w.a.end(FOLLOWS)["phase"] == "idle" and w.a.end(FOLLOWS), "it rests")
    expect(now["key_id"] == before["key_id"] and now["rotations"] == before["rotations"], "%s, then %s", before, now)
    expect(now["failed"] - before["failed"] <= 2, "a KME was asked for a key that was known: %s, then %s", before, now)
    expect(now["refused"]["records"] > (before["refused"] or {"records": 0})["records"], "nothing was refused: %s", now)
    same_key(w, FOLLOWS)
    leads(w, 1)
    rotated(w, rotations(w) + 1)
    for link in LINKS:
        same_key(w, link)
    w.lab.check()


def an_hour(w):
    """links rotate for an hour of the script's time"""
    while w.follow.ticks < HOUR[0] or w.lead.ticks < HOUR[1]:
        leads(w, 1)
    for link in LINKS:
        same_key(w, link)
        expect(w.a.end(link)["rotations"] >= 6, "%s", w.a.end(link))
    w.lab.check()


def killed(w):
    """rekeyd is killed and started again: rotations go on"""
    w.a.kill()
    w.a.start()
    leads(w, 1)
    rotated(w, 1)
    for link in LINKS:
        same_key(w, link)
    w.lab.check()


def wrong(w):
    """with a key chain there is nothing that both could agree on: refused"""
    ours = w.a.conf["devices"]["ours"]
    w.a.conf["devices"]["wrong"] = dict(ours, keying="key-chain")
    w.a.save()
    w.a.ctl("reload")
    w.a.wait_log("inst=wrong.*goes with keying: pre-shared-key only")


def main():
    w = Lab(set_up)
    cases = [(f.__doc__, w.case(f)) for f in (
        first_keys, wrong, goes_on, wrong_descriptions, stops, comes_back, follows_late, killed, an_hour)]
    try:
        return rig.run_cases(cases + [("all ends well", w.last_case())])
    finally:
        w.close()


if __name__ == "__main__":
    sys.exit(main())
