# mixed.py - links whose keys are mixed of several sources: both ends get the same key, which is the one that
# doc/rotation.md describes; what happens when a source is missed, when the lists differ, and when processes are killed.
import base64
import os
import random
import re
import signal
import sys

sys.dont_write_bytecode = True
import mixing  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

MANY = 2000  # keys of a pool that does not run dry in a run
SEED = int(os.environ.get("REKEY_SEED") or random.SystemRandom().randrange(1 << 32))
moments = random.Random(SEED)


class Pool:
    """A source of its own for one link, with the same keys for both ends."""

    def __init__(self, w, name, n, copies):
        self.name, self.w, self.copies, self.lines, self.used = name, w, copies, [], 0
        for site, copy in copies:
            site.conf["sources"][copy] = {"plugin": "file", "pool": "%s/%s" % (site.dir, copy)}
        self.give(n)

    def give(self, n):
        for _ in range(n):
            key_id, key = "%s-%d" % (self.name, len(self.lines)), os.urandom(32)
            self.w.keys[key_id] = key
            self.lines.append("%s %s\n" % (key_id, base64.b64encode(key).decode()))
        for site, copy in self.copies:
            rig.write("%s/%s" % (site.dir, copy), "".join(self.lines))


def set_up(w):
    print("# REKEY_SEED=%d" % SEED)
    w.rig = rig.Rig(plugins=("sim", "spool", "static", "file", "keyout", "etsi014"))
    w.rig.rekeyd_options = ("--log-level", "debug")
    w.kmes = rig.KmePair(w.rig)
    w.kmes.start()
    with open(w.kmes.dir + "/pki/pair.secret", "rb") as f:
        w.pair_secret = f.read().rstrip(b"\n")
    w.secret, w.keys = rig.new_secret(), {}
    w.a, w.b = w.rig.pair(w.kmes.source)
    sites = (w.a, w.b)
    for site in sites:
        del site.conf["links"][0]
        site.conf["sources"]["pqc"] = {"plugin": "keyout", "file": site.dir + "/key_out", "period": "1s"}
        site.conf["sources"]["lab"] = {"plugin": "static", "secret": site.secret("static.key", w.secret)}
        site.conf["defaults"].update(interval="300ms", drain="20ms", verify="100ms")
    # the slave's copy first: what the master takes must be there
    w.pools = {name: Pool(w, name, n, [(w.b, name), (w.a, name)])
               for name, n in (("p-all", MANY), ("p-any", MANY), ("p-3", MANY), ("p-dry", 3), ("p-fb", 2))}
    w.pools["p-l"] = Pool(w, "p-l", MANY, [(w.a, "p-l-2"), (w.a, "p-l")])
    for link, options in (("all", {"sources": ["keys", "p-all"]}), ("any", {"sources": ["p-any", "keys"], "require": "any"}),
                          ("t", {"sources": ["keys", "p-3", "lab"]}),
                          ("dry", {"sources": ["keys", "p-dry"], "require": "all"}),
                          ("pq", {"sources": ["keys", "pqc"]}),
                          ("fb", {"sources": ["p-fb", "keys"], "on-stale": "fallback", "fallback-source": "lab"})):
        for site, other, device in ((w.a, w.b, "east"), (w.b, w.a, "west")):
            site.link(link, device=device, interface=link, channel="box", **dict(options, **{"peer-sae": other.sae}))
    w.a.device("east-2")
    w.a.link("local", device="east", interface="local", channel="local", sources=["p-l", "lab"],
             **{"peer-device": "east-2", "peer-interface": "local", "peer-sources": ["p-l-2", "lab"]})
    for site in sites:
        site.save()
        site.start()


def link_of(site, name):
    row, = [l for l in site.conf["links"] if l["name"] == name]
    return row


def both(w, link, condition, what):
    return [site.wait_end(link, condition, what) for site in (w.a, w.b)]


def rotates(w, link, more=1):
    for site in (w.a, w.b):
        site.wait_rotations(link, more)


def explain(site, link):
    row, = [r for r in site.ask("explain", link) if r["end"] == "a"]
    return row["text"], {alarm["alarm"]: alarm for alarm in row["alarms"]}


def part_key(w, source, key_id):
    if not key_id:
        return None
    if source == "keys":
        return mixing.kme_key(w.pair_secret, key_id)
    if source == "pqc":
        return mixing.hkdf(w.key_out, b"rekey key_out key v1\0" + key_id.encode() + b"\0" + b"256")
    return mixing.static_key(w.secret, key_id) if source == "lab" else w.keys[key_id]


def proves(w, device, link, sources, saes):
    """The digest that the device shows of its keys is that of the keys that the test has mixed."""
    w.rig.oracle.check()
    slots = [slot for slot in w.rig.oracle.ends[device, link].slots.values() if slot[3] == link]
    expect(slots, "no key on %s for link %s", device, link)
    for digest, key_id, _, _ in slots:
        parts = mixing.parts_of(key_id)
        expect(len(parts) == len(sources) and len(key_id) <= 64, "%s: %s", link, key_id)
        keys = [part_key(w, source, part) for source, part in zip(sources, parts)]
        mine = mixing.hkdf(mixing.mixed_key(key_id, keys, link, saes), b"rekey sim digest v1", 16).hex()
        expect(mine == digest, "%s: key %s: the test mixes another one than the device has", link, key_id)
    return slots[0][1]


# ---- all sources there ----

def goes_round(w):
    for link, sources in (("all", ["keys", "p-all"]), ("any", ["p-any", "keys"]), ("t", ["keys", "p-3", "lab"])):
        rotates(w, link, 2)
        for device in ("east", "west"):
            proves(w, device, link, sources, ("SAE_A", "SAE_B"))
        for row in both(w, link, lambda e: e["key_id"], "a key"):
            expect(row["sources"] == sources and row["sources_used"] == sources, "%s", row)
            expect(row["source"] == sources[0] and row["require"] == ("any" if link == "any" else "all"), "%s", row)
            expect(row["failed"] == 0 and row["orphaned"] == 0 and "MIX-REDUCED" not in row["alarms"], "%s", row)
        for site in (w.a, w.b):
            events = site.ask("history", link, "--limit", "1000")
            mixed = {e["key_id"]: e for e in events if e["event"] == "mixed"}
            for e in events:
                if e["event"] == "rotated":
                    expect(mixed[e["key_id"]]["why"] == ", ".join(sources), "%s", mixed[e["key_id"]])
                    expect(mixed[e["key_id"]]["result"] == "ok", "%s", mixed[e["key_id"]])
    for which in "ab":
        w.a.wait_rotations("local", 2, which)
    for device in ("east", "east-2"):
        proves(w, device, "local", ["p-l", "lab"], ("SAE_A", "SAE_A"))
    expect(w.a.end("local", "b")["sources"] == ["p-l-2", "lab"], "%s", w.a.end("local", "b"))
    for source, peer in (("p-3", "SAE_B"), ("p-l-2", "SAE_A")):  # one that is not the first of a list is used all the same
        steps = w.a.ask("source", "test", source)["steps"]
        expect([s["peer"] for s in steps if s["step"] == "status"] == [peer], "%s", steps)
    links = {(row["source"], row["peer_sae"]): row["links"] for row in w.a.ask("sources")}
    expect(links["keys", "SAE_B"] == 6 and links["p-3", "SAE_B"] == 1 and links["p-l", "SAE_A"] == 1, "%s", links)


# ---- a source is missed ----

def key_out(w):
    """A KME and a file that another daemon rewrites: as many rotations as there are keys in it, and not one key of the KME
    more than the one for which it was asked first."""
    for n in range(1, 5):
        w.key_out = os.urandom(32)
        for site in (w.b, w.a):
            rig.write(site.dir + "/key_out", base64.b64encode(w.key_out) + b"\n")
        for site, device in ((w.a, "east"), (w.b, "west")):
            row = site.wait_end("pq", lambda e: e["rotations"] >= n and e["phase"] == "idle", "rotation %d" % n)
            proves(w, device, "pq", ["keys", "pqc"], ("SAE_A", "SAE_B"))
        row = w.a.wait_end("pq", lambda e: e["last"]["result"] != "ok", "there is no further key")
        expect(row["rotations"] == n and row["orphaned"] <= 1 and "of source pqc" in row["last"]["why"], "%s", row)


def all_waits(w):
    """require: all: the pool is dry, no key is taken into use, and the KME's keys are not spent for nothing."""
    pool = w.pools["p-dry"]
    rows = both(w, "dry", lambda e: e["rotations"] == 3 and e["phase"] == "idle", "the pool's three rotations")
    key_id = rows[0]["key_id"]
    row = w.a.wait_end("dry", lambda e: "EXPIRED" in e["alarms"] and "SOURCE-DRY" in e["alarms"] and e["failed"] >= 3,
                       "the pool is missed")
    expect(row["last"]["result"] == "no-keys" and "part 2 of 2, of source p-dry" in row["last"]["why"], "%s", row["last"])
    text, alarms = explain(w.a, "dry")
    expect(alarms["SOURCE-DRY"]["at"] == "p-dry" and "of source p-dry" in text, "%s %s", text, alarms)
    for site in (w.a, w.b):
        row = site.end("dry")
        expect(row["key_id"] == key_id and row["rotations"] == 3, "the old key does not stay: %s", row)
    # the first time the KME was asked before the pool; since then the pool is asked first
    expect(w.a.end("dry")["orphaned"] <= 1, "keys were wasted: %s", w.a.end("dry"))
    for device in ("east", "west"):
        expect(proves(w, device, "dry", ["keys", "p-dry"], ("SAE_A", "SAE_B")) == key_id, "another key is there")
    pool.give(MANY)
    rotates(w, "dry", 2)
    both(w, "dry", lambda e: not {"SOURCE-DRY", "EXPIRED"} & set(e["alarms"]), "it has recovered")


def falls_back(w):
    """The fallback source is one source, whose key is used as it is, and never a reduced mixed one."""
    for row in both(w, "fb", lambda e: e["fallback_in_use"] and e["rotations"] >= 4, "keys of the fallback source"):
        expect("+" not in row["key_id"] and row["sources_used"] == ["lab"], "%s", row)
        expect("FALLBACK-IN-USE" in row["alarms"] and "MIX-REDUCED" not in row["alarms"], "%s", row)
    w.pools["p-fb"].give(MANY)
    for row in both(w, "fb", lambda e: not e["fallback_in_use"], "the sources again"):
        expect(row["sources_used"] == ["p-fb", "keys"] and "FALLBACK-IN-USE" not in row["alarms"], "%s", row)


def slave_waits(w):
    """The slave's KME is away: it says no, whatever require is, and the old key stays; the sources come back."""
    w.kmes.b.kill()
    failed = {link: w.b.end(link)["failed"] for link in ("all", "any")}
    for link in failed:
        row = w.b.wait_end(link, lambda e: e["failed"] > failed[link], "the slave refuses")
        expect("of source keys" in row["last"]["why"] or row["last"]["result"] == "ok", "%s", row["last"])
        text, alarms = explain(w.b, link)
        expect("SOURCE" not in alarms or alarms["SOURCE"]["at"] == "keys", "%s", alarms)
    w.kmes.b.start()
    for link in failed:
        rotates(w, link, 2)


def any_goes_on(w):
    """require: any: the KME of the master is away: rotations go on with the pool alone, and both ends say so."""
    w.kmes.a.kill()
    for site in (w.a, w.b):
        site.wait_alarm("any", "MIX-REDUCED")
    rotates(w, "any", 2)
    for site, device in ((w.a, "east"), (w.b, "west")):
        row = site.wait_end("any", lambda e: e["sources_used"] == ["p-any"], "of the pool alone")
        expect(mixing.parts_of(row["key_id"])[1] == "" and "MIX-REDUCED" in row["alarms"], "%s", row)
        proves(w, device, "any", ["p-any", "keys"], ("SAE_A", "SAE_B"))
        text, alarms = explain(site, "any")
        expect(alarms["MIX-REDUCED"]["at"] == "keys" and "mixed without source 2 of 2" in text, "%s %s", text, alarms)
        row = [e for e in site.ask("history", "any", "--limit", "100") if e["event"] == "mixed"][0]
        expect(row["why"].startswith("p-any; without keys"), "%s", row)
        site.wait_log("warning .*ev=mixed link=any .*without keys")
        site.wait_log("warning .*ev=alarm link=any .*alarm=MIX-REDUCED state=raised .* at=keys ")
    row = [e for e in w.a.ask("history", "any", "--limit", "100") if e["event"] == "mixed"][0]
    expect(row["result"] != "ok" and len(row["why"]) > len("p-any; without keys: "), "%s", row)
    key_id = w.a.wait_alarm("all", "SOURCE")["key_id"]  # meanwhile the other one waits
    expect(w.b.end("all")["key_id"] == key_id and "" not in mixing.parts_of(key_id), "%s", key_id)
    # the slave may refuse to go below its list
    link_of(w.b, "any")["require"] = "all"
    w.b.save()
    w.b.ask("reload")
    row = w.b.wait_end("any", lambda e: e["last"] and e["last"]["result"] == "rejected", "refused")
    expect("lacks a source, and require is all here" in row["last"]["why"], "%s", row)
    w.a.wait_end("any", lambda e: e["last"]["why"].startswith("the peer could not take the key: rejected"), "told so")
    link_of(w.b, "any")["require"] = "any"
    w.b.save()
    w.b.ask("reload")
    w.kmes.a.start()
    for link in ("any", "all", "t"):
        rotates(w, link, 2)
    both(w, "any", lambda e: "MIX-REDUCED" not in e["alarms"] and e["sources_used"] == ["p-any", "keys"], "both again")


# ---- the lists differ ----

def lists_differ(w):
    """The slave has another list than the master: nothing is taken into use, and both say what to do."""
    link, key_id = link_of(w.b, "t"), None
    good = link["sources"]
    for bad, says in ((["p-3", "keys", "lab"], "are sources the same list in the same order at both ends"),
                      (["keys", "p-3"], "sources must be the same list in the same order at both ends"),
                      (None, "are sources the same list at both ends")):
        link.pop("sources", None)
        link.pop("source", None)
        link.update({"sources": bad} if bad else {"source": "keys"})
        w.b.save()
        w.b.ask("reload")
        before = w.b.wait_end("t", lambda e: says in (e["last"] or {"why": ""})["why"], "says what to do: " + says)
        key_id = key_id or before["key_id"]
        w.a.wait_end("t", lambda e: "the peer could not take the key" in e["last"]["why"] and
                     "are sources the same list in the same order there?" in e["last"]["why"], "the master says so, too")
        expect(before["key_id"] == key_id == w.a.end("t")["key_id"], "%s is not %s", before["key_id"], key_id)
    link.pop("source")
    link["sources"] = good
    w.b.save()
    w.b.ask("reload")
    rotates(w, "t", 2)
    master = link_of(w.a, "t")  # and the other way round: the master has one source only
    master["source"] = master.pop("sources")[0]
    w.a.save()
    w.a.ask("reload")
    w.b.wait_end("t", lambda e: "not mixed of as many sources as here" in (e["last"] or {"why": ""})["why"], "refused")
    master["sources"] = good
    del master["source"]
    w.a.save()
    w.a.ask("reload")
    rotates(w, "t", 2)
    w.rig.still_well()


def ids_too_long(w):
    """A source whose IDs do not fit beside the others: the link says which one, and keeps its key."""
    link = link_of(w.a, "dry")
    long = {"x" * 45 + "-%d" % i: os.urandom(32) for i in range(50)}
    rig.write(w.a.dir + "/long", "".join("%s %s\n" % (i, base64.b64encode(k).decode()) for i, k in long.items()))
    w.a.conf["sources"]["long"] = {"plugin": "file", "pool": w.a.dir + "/long"}
    before, link["sources"] = link["sources"], ["keys", "long"]
    w.a.save()
    w.a.ask("reload")
    row = w.a.wait_end("dry", lambda e: e["last"] and e["last"]["result"] == "config", "refused")
    expect("source long gives key IDs of 47 characters, too long" in row["last"]["why"], "%s", row)
    again = w.a.wait_end("dry", lambda e: e["failed"] >= row["failed"] + 3, "it is tried again")
    expect(row["orphaned"] >= 2 and again["orphaned"] == row["orphaned"], "each try costs keys: %s, %s", row, again)
    expect(explain(w.a, "dry")[1]["SOURCE"]["at"] == "long", "%s", explain(w.a, "dry"))
    link["sources"] = before
    del w.a.conf["sources"]["long"]
    w.a.save()
    w.a.ask("reload")
    rotates(w, "dry", 2)


# ---- crashes ----

def killed_between(w):
    """kill -9 of rekeyd between the parts: one is there, the other one is asked.  As a crash between a source's answer
    and STAGE: that key is burnt, and the next rotation takes others."""
    for site, verb in ((w.a, "enc_keys"), (w.b, "dec_keys")):
        at = len(site.log())
        pid = site.plugin("file")["pid"]
        os.kill(pid, signal.SIGSTOP)
        code, _, _ = w.a.ctl("rotate", "all")
        expect(code == 0, "rotate: exit %d", code)
        site.wait_log(r"ev=step link=all .* act=get-\S+ when=asked", after=at)
        rig.wait_for(lambda: site.plugin("file")["in_flight"] > 0 and " ev=%s " % verb in site.log()[at:], "a part is there",
                     rig=w.rig)
        site.kill()
        seq = {s.name: s.end("all")["seq"] for s in (w.a, w.b) if s is not site}
        site.start()
        for s in (w.a, w.b):
            s.wait_end("all", lambda e: e["seq"] > max(seq.values()) and e["phase"] == "idle" and
                       e["last"]["result"] == "ok", "the next rotation")
    for device in ("east", "west"):
        proves(w, device, "all", ["keys", "p-all"], ("SAE_A", "SAE_B"))


def keeps_its_parts(w):
    """The slave's second source is killed while it is asked.  The first one, a KME, has no copy of its part any more: so
    the slave keeps it over its next try, and the rotation is done."""
    failed, at = w.b.end("all")["failed"], len(w.b.log())
    pid = w.b.plugin("file")["pid"]
    os.kill(pid, signal.SIGSTOP)
    code, _, _ = w.a.ctl("rotate", "all")
    expect(code == 0, "rotate: exit %d", code)
    key_id = w.b.wait_log(r"ev=begin link=all end=a role=slave seq=\d+ key_id=(\S+)", after=at).group(1)
    rig.wait_for(lambda: w.b.plugin("file")["in_flight"] > 0 and " ev=dec_keys " in w.b.log()[at:], "it is asked", rig=w.rig)
    os.kill(pid, signal.SIGKILL)
    w.b.wait_log(r"ev=rotated link=all end=a role=slave seq=\d+ key_id=" + re.escape(key_id), after=at)
    expect(w.b.end("all")["failed"] == failed, "the rotation failed: %s", w.b.end("all"))
    expect(re.search(r"ev=failed link=all end=a state=fetching", w.b.log()[at:]), "there was nothing to try again")
    proves(w, "west", "all", ["keys", "p-all"], ("SAE_A", "SAE_B"))



def killed(w):
    """kill -9 in the middle, of a daemon or one of its hosts: the next rotation is done, all sources in it."""
    for victim in ("rekeyd", "file", "etsi014", "sim"):
        for site in (w.a, w.b):
            code, _, _ = w.a.ctl("rotate", "all")
            expect(code == 0, "rotate: exit %d", code)
            rig.pause(moments.uniform(0, 0.1))
            if victim == "rekeyd":
                site.kill()
                site.start()
            else:
                os.kill(site.plugin(victim)["pid"], signal.SIGKILL)
                w.rig.oracle.check()
            rotates(w, "all")
    for device in ("east", "west"):
        proves(w, device, "all", ["keys", "p-all"], ("SAE_A", "SAE_B"))
    rows = both(w, "all", lambda e: e["sources_used"] == ["keys", "p-all"], "both sources")
    expect(all(row["rotations"] > 8 for row in rows), "%s", rows)


def main():
    w = rig.World(set_up)
    cases = [("both ends mix the same key", goes_round), ("a file that another daemon rewrites", key_out),
             ("require: all waits for every source", all_waits),
             ("the fallback source is one alone", falls_back), ("a slave waits for every part that is named", slave_waits),
             ("require: any goes on with what there is, and says so", any_goes_on), ("the lists differ", lists_differ),
             ("key IDs that are too long", ids_too_long), ("kill -9 between the parts", killed_between),
             ("a slave keeps its parts over its tries", keeps_its_parts), ("kill -9 in the middle", killed)]
    try:
        return rig.run_cases([(name, w.case(function)) for name, function in cases] + [("all ends well", w.last_case())])
    finally:
        w.close()


sys.exit(main())
