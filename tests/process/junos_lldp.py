# junos_lldp.py - two sites with routers, and nothing between them but LLDP: the routers themselves show the records, in
# the description of the port, and hear them.  Each word is one commit together with the key that it is about.
import re
import sys

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

# name, keying, options of both routers and of the link
LINKS = [("psk", "pre-shared-key", {}, {"interval": "2s"}),
         ("chain", "key-chain", {"like": "ex"}, {"interval": "6s", "start-lead": "4s"})]
TEXT = "to the other side"
LLDP = ("interface all", "port-id-subtype interface-name", "advertisement-interval 5", "transmit-delay 1")
STRANGER = "02:00:00:aa:aa:aa"
# Of a rotation: the key with what is said of it, and what is said of its end; now and then one of them is a commit of its
# own.
COMMITS = 3
# Each of the three words of a rotation waits for one advertisement, and is looked for within a second, in which there are
# two; four for the time until the next one is due; three times that for a busy machine.
ADS_S = 20  # of LLDP: half a second here
ADS = 3 * (3 * (1 + 2) + 4)


def set_up(w):
    w.rig = rig.Rig(plugins=junos_rig.PLUGINS + ("lldp",))
    w.lab = junos_rig.Lab(w.rig)
    w.a, w.b = w.rig.pair(link="none")
    for site in (w.a, w.b):
        del site.conf["links"][0]
        site.conf["devices"].clear()
        auth = site.conf["channels"].pop("box")["auth-key"]
        site.conf["channels"]["lldp"] = {"plugin": "lldp", "auth-key": auth}
    for name, keying, options, link in LINKS:
        for site in (w.a, w.b):
            router = w.lab.router(at(name, site), keying, **options)
            router.lines += ["set protocols lldp " + line for line in LLDP]
        ports = w.lab.cable(name, at(name, w.a), at(name, w.b))
        for site, other, port in ((w.a, w.b, ports[0]), (w.b, w.a, ports[1])):
            w.lab.routers[at(name, site)].lines.append('set interfaces %s description "%s"' % (port, TEXT))
            site.link(name, device=at(name, site), interface=port, source="keys", channel="lldp",
                      **dict(link, **{"peer-sae": other.sae}))
    w.lab.start()
    for site in (w.a, w.b):
        for name, *_ in LINKS:
            w.lab.routers[at(name, site)].device(site)
        site.conf["defaults"]["verify"] = "300ms"
        site.save()
        site.start()


def at(link, site):
    return "%s-%s" % (link, site.name.lower())


def port(w, link, site):
    """DEVICE:PORT of the end of a link."""
    return "%s:%s" % w.lab.link_ports[link][0 if site is w.a else 1]


def shown(w, link, site):
    """What the other end hears of this one; None: not one neighbour."""
    other = w.b if site is w.a else w.a
    heard = w.lab.do("heard", port(w, link, other))["neighbours"]
    return heard[0]["text"] if len(heard) == 1 else None


def rotate(w, *links):
    """One more rotation of each."""
    wanted = [(site, link, site.end(link)["rotations"] + 1) for site in (w.a, w.b) for link in links]
    for site, link, count in wanted:
        site.wait_end(link, lambda e, n=count: e["rotations"] >= n, "%d rotations" % count, timeout=2 * rig.PATIENCE_S)


def agrees(w, link):
    try:
        return w.lab.agree(link)
    except rig.Failed:
        return None


# ---- what goes well ----

def first_keys(w):
    """the ends find each other, and get their first keys"""
    for name, *_ in LINKS:
        for site in (w.a, w.b):
            site.wait_end(name, lambda e: e["rotations"] >= 1, "a first key")
            expect("ev=carried link=%s channel=lldp device=%s" % (name, at(name, site)) in site.log(), "%s", site.name)
    w.lab.secured()


def goes_on(w):
    """rotations go on, few commits each, and the operator's text stays"""
    names = [name for name, *_ in LINKS]
    rotations, commits = {name: w.a.end(name)["rotations"] for name in names}, w.lab.commits()
    rotate(w, *names)
    rotate(w, "psk")
    now = w.lab.commits()
    for name in names:
        done = w.a.end(name)["rotations"] - rotations[name] + 1
        for site in (w.a, w.b):
            n = now[at(name, site)] - commits[at(name, site)]
            print("# %s: %d commits in %d rotations" % (at(name, site), n, done))
            expect(n <= COMMITS * done, "%s: %d commits in %d rotations", at(name, site), n, done)
            text = rig.wait_for(lambda s=site: shown(w, name, s), "%s is heard" % at(name, site), rig=w.rig)
            expect(re.fullmatch(r"%s rk1\|%s\|[MS]\|\S+" % (TEXT, name), text), "%s", text)
            row = site.end(name)
            bad = {"UNPROVED", "CLOCK-SKEW", "SPLIT", "FOREIGN", "DEVICE", "UNPROTECTED"} & set(row["alarms"])
            expect(not bad, "%s", row)
        rig.wait_for(lambda: agrees(w, name), "%s: one key at both ends" % name, rig=w.rig)
    w.lab.check()


def killed(w):
    """rekeyd is killed at both ends: what is shown is found again, and rotations go on"""
    for site in (w.a, w.b):
        site.kill()
        site.start()
    rotate(w, *(name for name, *_ in LINKS))
    w.lab.check()


# ---- what goes wrong ----

def during(w, fault, site, symptom):
    """While a router of the link psk has this fault the other end shows the symptom; then rotations go on."""
    w.lab.do("fault", at("psk", site), fault)
    symptom()
    w.lab.do("clear", at("psk", site))
    rotate(w, "psk")
    w.a.wait_alarm("psk", "NO-PEER", on=False)
    w.lab.check()


def frozen(w):
    """a router goes on saying what it said last: no key is changed without the other end's word, and none is lost"""
    def stands():
        w.a.wait_end("psk", lambda e: {"DUE", "OVERDUE", "EXPIRED"} & set(e["alarms"]), "a key that grows old")
        rig.wait_for(lambda: all(end["state"] == "primary" or end["state"] == "fallback" for end in w.lab.ends("psk")),
                     "both are secured", rig=w.rig)
    during(w, "lldp-frozen", w.b, stands)


def mute(w):
    """a router says nothing more: an alarm tells of it"""
    during(w, "lldp-mute", w.b, lambda: w.a.wait_alarm("psk", "NO-PEER"))


def lazy(w):
    """a router tells of changes with its next advertisement only: rotations go on"""
    during(w, "lldp-lazy", w.b, lambda: rotate(w, "psk"))


def away(w):
    """a router restarts: its neighbour is gone from LLDP, and comes back"""
    w.lab.do("reboot", at("psk", w.b), "500ms")
    expect(w.lab.do("heard", port(w, "psk", w.a))["neighbours"] == [], "it is heard while it is away")
    rotate(w, "psk")
    w.lab.check()


def record_of(w, link):
    found = rig.wait_for(lambda: re.search(r" (rk1\|\S+)$", shown(w, link, w.b) or ""), "%s is heard" % link, rig=w.rig)
    return found.group(1)


def forged(w):
    """frames of somebody else, in the neighbour's name or not: no harm comes of them"""
    old = record_of(w, "psk")
    rotate(w, "psk")
    fields = old.split("|")
    fields[4] = str(int(fields[4]) + 5)
    other = record_of(w, "chain")
    texts = [old, "|".join(fields), other, "x " + "rk1|" * 60, "rk1|psk",
             '|{"key_id": "550e8400-e29b-41d4-a716-446655440000"}', "=550e8400-e29b-41d4-a716-446655440000", ""]
    victim, texts, sent = port(w, "psk", w.a), texts, [0]
    want = {site: site.end("psk")["rotations"] + 1 for site in (w.a, w.b)}
    refused = (w.a.end("psk")["refused"] or {"records": 0})["records"]

    def attacked():
        text = texts[sent[0] % len(texts)]
        sent[0] += 1
        w.lab.do("lldp", victim, "=", "=", "20", text)
        w.lab.do("lldp", victim, STRANGER, "xe-9/9/9", "5", text)
        rows = [(site.end("psk"), count) for site, count in want.items()]
        done = sent[0] > 3 * len(texts) and all(row["rotations"] >= count for row, count in rows)
        return done and rows[0][0]["refused"]

    seen = rig.wait_for(attacked, "a rotation in spite of all", rig=w.rig)
    expect(seen["records"] > refused, "nothing was refused: %s", seen)
    rig.wait_for(lambda: len(w.lab.do("heard", victim)["neighbours"]) == 1, "the stranger is forgotten", rig=w.rig)
    rotate(w, "psk")
    rig.wait_for(lambda: agrees(w, "psk"), "psk: one key at both ends", rig=w.rig)
    w.lab.check()


def without(w):
    """LLDP is not configured on the interface: nothing is heard, and what helps is said"""
    for site in (w.a, w.b):
        w.lab.do("edit", at("psk", site), "set protocols lldp interface xe-0/0/0 disable")
    for site in (w.a, w.b):
        site.wait_alarm("psk", "NO-PEER")
        w.lab.do("edit", at("psk", site), "delete protocols lldp interface xe-0/0/0")
    rotate(w, "psk")
    for site in (w.a, w.b):
        site.wait_alarm("psk", "NO-PEER", on=False)
    w.lab.check()


def bounded(w):
    """what waits for the next advertisement, waits for that one: a rotation is so many of them, and so many commits"""
    for site in (w.a, w.b):
        w.lab.do("edit", at("psk", site), "set protocols lldp advertisement-interval %d" % ADS_S)
        w.lab.do("fault", at("psk", site), "lldp-lazy")
    rotate(w, "psk")

    def counts():
        rows = [w.lab.do("heard", port(w, "psk", site)) for site in (w.a, w.b)]
        commits = w.lab.commits()
        return [w.a.end("psk")["rotations"]] + [
            (row["said"], row["changes"], commits[at("psk", site)]) for row, site in zip(rows, (w.a, w.b))]

    before = counts()
    rotate(w, "psk")
    now = counts()
    n = now[0] - before[0]
    for x, y in zip(now[1:], before[1:]):
        said, changes, commits = (a - b for a, b in zip(x, y))
        print("# in %d rotations: %d advertisements, %d of them new, %d commits" % (n, said, changes, commits))
        expect(said <= n * ADS, "%d advertisements in %d rotations", said, n)
        expect(commits <= n * COMMITS + 1, "%d commits in %d rotations", commits, n)  # one may belong to the next
        expect(1 <= changes <= commits + 1, "%d words in %d commits", changes, commits)
    for site in (w.a, w.b):
        w.lab.do("edit", at("psk", site), "set protocols lldp advertisement-interval 5")
        w.lab.do("clear", at("psk", site))
    w.lab.check()


def prepared(w):
    """rekeyctl prepare tells, and does, what makes LLDP quick where it carries records"""
    device = at("psk", w.a)
    ours = lambda said: [line for line in said["lines"] if line.startswith("set protocols lldp ")]  # noqa: E731
    expect(ours(w.a.ask("prepare", device)) == [], "something is needed: %s", w.a.ask("prepare", device))
    w.lab.do("edit", device, "delete protocols lldp transmit-delay; delete protocols lldp advertisement-interval")
    wanted = ["set protocols lldp advertisement-interval 5", "set protocols lldp transmit-delay 1"]
    expect(ours(w.a.ask("prepare", device)) == wanted, "needed is: %s", w.a.ask("prepare", device))
    w.a.ask("prepare", device, "--apply", "--yes")
    expect(ours(w.a.ask("prepare", device)) == [], "it was not done: %s", w.a.ask("prepare", device))
    rotate(w, "psk")
    w.lab.check()


def main():
    w = rig.World(set_up)
    cases = [(f.__doc__, w.case(f)) for f in (first_keys, goes_on, killed, frozen, mute, lazy, away, forged,
                                                   without, bounded, prepared)]
    try:
        return rig.run_cases(cases + [("all ends well", w.last_case())])
    finally:
        w.close()


if __name__ == "__main__":
    sys.exit(main())
