# two_sites.py - two rekeyd, a spool channel, a KME each: rotations go on, both ends have the same keys, and rekeyctl
# tells so.
import os
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

ROTATIONS = 10


def set_up(w):
    w.rig = rig.Rig(plugins=("sim", "spool", "etsi014"))
    w.kmes = rig.KmePair(w.rig)
    w.kmes.start()
    w.a, w.b = w.rig.pair(w.kmes.source)
    w.a.start()
    w.b.start()


def same_keys(history_a, history_b):
    """The newest keys of both ends are the same ones, in the same order; one end may be a rotation ahead."""
    a, b = ([e["key_id"] for e in h if e["event"] == "rotated"] for h in (history_a, history_b))
    expect(len(a) >= ROTATIONS and len(b) >= ROTATIONS, "%d and %d rotations in the history", len(a), len(b))
    common = [k for k in a if k in b]
    expect(len(common) >= ROTATIONS - 1 and [k for k in b if k in a] == common, "A had %s, B had %s", a, b)
    expect(len(set(a)) == len(a), "a key ID came twice: %s", a)


def rotates(w):
    a, b = w.a, w.b
    for site in (a, b):
        row = site.wait_end("link-1", lambda e: e["rotations"] >= ROTATIONS, "%d rotations" % ROTATIONS)
        expect(row["failed"] == 0, "%s: %d rotations failed", site.name, row["failed"])
        expect(row["orphaned"] == 0, "%s: %d keys were lost", site.name, row["orphaned"])
    w.rig.still_well()
    for device in ("east", "west"):
        expect(w.rig.oracle.count("activate", device) >= ROTATIONS, "%s: too few activations", device)
    same_keys(a.ask("history", "link-1", "--limit", "1000"), b.ask("history", "link-1", "--limit", "1000"))


def ids_agree(w):
    """Idle ends with the same seq have the same key, and it is the one that the device sends with."""
    a, b = w.a, w.b

    def look():
        one, other = a.end("link-1"), b.end("link-1")
        again = a.end("link-1")
        still = one["seq"] == other["seq"] == again["seq"] and one["phase"] == other["phase"] == again["phase"] == "idle"
        return (one, other) if still else None

    one, other = rig.wait_for(look, "both ends idle after the same rotation", rig=w.rig)
    expect(one["key_id"] == other["key_id"], "A has %s, B has %s", one["key_id"], other["key_id"])
    expect(one["role"] == "master" and other["role"] == "slave", "the smaller SAE ID is master")


def status(w):
    said = w.a.status()
    row = said["links"][0]
    expect(row["device"] == "east" and row["interface"] == "port0" and row["source"] == "keys", "%s", row)
    expect(row["channel"] == "box" and row["peer_sae"] == "SAE_B" and row["class"] == "A", "%s", row)
    expect(row["interval_ms"] == 1000 and 0 <= row["key_age_ms"] < 60000, "%s", row)
    expect(row["peer"]["role"] == "slave" and row["last"]["result"] == "ok", "%s", row)
    expect(not {"ROLE-CONFLICT", "FOREIGN", "SPLIT", "JOURNAL", "UNPROTECTED"} & set(row["alarms"]), "%s", row["alarms"])
    daemon = said["daemon"]
    expect(daemon["links"] == 1 and daemon["journal"] == "ok" and daemon["sae"] == "SAE_A", "%s", daemon)
    expect(daemon["pid"] == w.a.process.pid and daemon["config"] == w.a.config, "%s", daemon)


def plugins(w):
    rows = {p["plugin"]: p for p in w.a.ask("plugins")}
    expect(set(rows) == {"sim", "spool", "etsi014"}, "%s", sorted(rows))
    kinds = {name: row["kind"] for name, row in rows.items()}
    expect(kinds == {"sim": "device", "spool": "channel", "etsi014": "source"}, "%s", kinds)
    for name, row in rows.items():
        expect(row["state"] == "up" and row["restarts"] == 0 and row["error"] is None, "%s", row)
        expect(row["pid"] in rig.children(w.a.process.pid), "%s: pid %s is no child of rekeyd", name, row["pid"])
        expect(row["calls"] > 0, "%s was never called", name)
    expect("class-A" in rows["sim"]["caps"] and "net" in rows["etsi014"]["caps"], "%s", rows)


def history(w):
    rows = w.a.ask("history", "link-1", "--limit", "5")
    expect(len(rows) == 5, "%d rows for --limit 5", len(rows))
    times = [row["time_unix_ms"] for row in rows]
    expect(times == sorted(times, reverse=True), "the newest is not first: %s", times)
    for row in rows:
        expect(row["link"] == "link-1" and row["end"] == "a" and row["result"] == "ok", "%s", row)
        expect(row["event"] in ("begin", "staged", "activated", "rotated") and row["took_ms"] >= 0, "%s", row)
    code, _, err = w.a.ctl("history", "nolink")
    expect(code == 1 and 'no link "nolink"' in err, "exit %d: %s", code, err)


def rotate(w):
    a = w.a
    before = a.end("link-1")
    a.ask("rotate", "link-1", "--wait")
    after = a.end("link-1")
    expect(after["rotations"] > before["rotations"] and after["key_id"] != before["key_id"], "%s %s", before, after)
    code, said, _ = a.ctl("rotate", "link-2")
    expect(code == 1 and not said["ok"] and said["text"].startswith('no link "link-2"'), "exit %d: %s", code, said)
    before = w.b.end("link-1")  # a slave asks its master
    w.b.ask("rotate", "link-1", "--wait")
    expect(w.b.end("link-1")["rotations"] > before["rotations"], "rotate at the slave did nothing")


def reload(w):
    a = w.a
    pids = sorted(rig.children(a.process.pid))
    before = a.end("link-1")
    said = a.ask("reload")
    expect(said["ok"] and said["text"] == "1 links: 1 untouched, 0 changed, 0 new; 0 removed", "%s", said)
    expect(sorted(rig.children(a.process.pid)) == pids, "a reload of the same configuration restarted a host")
    expect(a.end("link-1")["rotations"] >= before["rotations"], "counters were lost")
    a.wait_rotations("link-1", 1)


def both_ends_here(w):
    """A local link whose ends have a KME each: the second one asks as SAE_B, for the keys of SAE_A."""
    a = w.a
    a.conf["sources"]["keys-b"] = w.b.conf["sources"]["keys"]
    a.device("east-2")
    a.link("here", device="east", interface="here", source="keys", channel="local",
           **{"peer-sae": "SAE_B", "peer-source": "keys-b", "peer-device": "east-2", "peer-interface": "here"})
    a.link("here-2", device="east", interface="here-2", source="keys", channel="local",
           **{"peer-sae": "SAE_B", "peer-source": "keys-b", "peer-device": "east-2", "peer-interface": "here-2"})
    a.save()
    a.ask("reload")
    for which, peer in (("a", "SAE_B"), ("b", "SAE_A")):
        row = a.wait_end("here", lambda e: e["rotations"] >= 2, "rotations", which=which)
        expect(row["failed"] == 0 and row["peer_sae"] == peer, "%s", row)

    def together():
        due = [r["next_ms"] for r in a.status()["links"] if r["link"].startswith("here") and r["role"] == "master"]
        return len(due) == 2 and None not in due and abs(due[0] - due[1]) <= 20

    rig.wait_for(together, "links of one device and peer are due together", rig=w.rig)


def stops(w):
    r, a, b = w.rig, w.a, w.b
    before = {s.name: s.end("link-1")["rotations"] for s in (a, b)}
    a.stop()
    b.stop()
    for site in (a, b):
        expect(not os.path.exists(site.control), "%s left its socket", site.name)
        expect("ev=stopped" in site.log(), "%s did not say that it stopped", site.name)
        site.start()
    for site in (a, b):
        row = site.wait_end("link-1", lambda e, n=before[site.name]: e["rotations"] > n, "rotations go on")
        # One that was going on, and whose key was not staged yet, is given up by the stop.
        expect(row["failed"] <= 1, "%s: %d rotations failed over the restart", site.name, row["failed"])
    a.stop()
    b.stop()
    r.verify()


def main():
    w = rig.World(set_up)
    cases = [("rotations with a KME at each end", rotates), ("both ends have the same key", ids_agree),
             ("rekeyctl status", status), ("rekeyctl plugins", plugins), ("rekeyctl history", history),
             ("rekeyctl rotate", rotate), ("rekeyctl reload", reload),
             ("both ends here, with a KME each", both_ends_here), ("SIGTERM ends all, a restart goes on", stops)]
    try:
        return rig.run_cases([(name, w.case(function)) for name, function in cases], quick_too=True)
    finally:
        w.close()


sys.exit(main())
