# ratchet.py - records are signed by what the keys in use give: after the first rotation the auth-key alone says nothing
# while the peer is heard; a restart loses nothing; a lost state directory finds its way back, with an alarm; keys of the
# auth-key file are replaced without an outage.
import os
import shutil
import signal
import sqlite3
import sys

sys.dont_write_bytecode = True
import records  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

LINK, OTHER, OFF = "link-1", "link-2", "link-3"
VERIFY_S = 0.3
SILENCE_S = 3 * VERIFY_S  # of NO-PEER
BY_AUTH = "signed by the auth-key alone"


def set_up(w):
    """Nothing rotates unless it is asked to: so nothing else is refused, and what a test has seen stays so."""
    w.rig = rig.Rig()
    w.a, w.b = w.rig.pair(link=LINK)
    for site, other in ((w.a, w.b), (w.b, w.a)):
        device = list(site.conf["devices"])[0]
        site.conf["defaults"]["interval"] = "1h"
        for port, (link, more) in enumerate(((OTHER, {}), (OFF, {"ratchet": "no"})), 1):
            site.link(link, device=device, interface="port%d" % port, source="keys", channel="box",
                      **dict(more, **{"peer-sae": other.sae}))
        site.save()
    w.recorder = records.Recorder((w.a, w.b))
    for site in (w.a, w.b):
        site.start()
    for link in (LINK, OTHER, OFF):
        settled(w, link, 1)


def settled(w, link, rotations):
    for site in (w.a, w.b):
        site.wait_end(link, lambda e: e["rotations"] >= rotations and e["state"] == "idle", "rotation %d" % rotations)


def rotate(w, link=LINK):
    before = [(site, site.end(link)["rotations"]) for site in (w.a, w.b)]
    w.a.ask("rotate", link)
    for site, n in before:
        site.wait_end(link, lambda e: e["rotations"] > n and e["state"] == "idle", "a rotation more than %d" % n)


def now(site, link=LINK):
    with open(records.path(site, link), "rb") as f:
        return f.read()


def channel_key(w, key_id, link=LINK):
    return records.channel_key(records.static_key(w.a, key_id), link, key_id)


def signer(w, to, data, link=LINK):
    """Who signed what the site `to` reads: "auth-key", or a key ID that is in use or was just before."""
    other = w.b if to is w.a else w.a
    ids = {row["key_id"] for site in (w.a, w.b) for row in site.status()["links"] if row["link"] == link}
    keys = {i: channel_key(w, i, link) for i in ids if i}
    keys["auth-key"] = records.auth_key(to)
    return records.signed_by(data, keys, other.sae, to.sae)


def refused(site, link=LINK):
    row = site.end(link)
    return row["refused"]["records"] if row["refused"] else 0


def state(w, link=LINK):
    """What nobody without the link's keys may change."""
    w.rig.oracle.check()
    names = ("role", "state", "phase", "seq", "key_id", "rotations", "failed", "orphaned", "ratchet")
    return ([{n: site.end(link)[n] for n in names} for site in (w.a, w.b)],
            [site.plugin("static")["calls"] for site in (w.a, w.b)],
            {key: n for key, n in w.rig.oracle.counts.items() if n})


def by_channel_keys(w):
    """The tag of what is published is of the channel key of the key in use, at both ends; without the ratchet it is of
    the auth-key."""
    rotate(w)
    for site in (w.a, w.b):
        row = site.end(LINK)
        expect(row["ratchet"] == "on", "%s: ratchet %s", site.name, row["ratchet"])
        rig.wait_for(lambda: signer(w, site, now(site)) == row["key_id"], "%s reads what key %s signed" %
                     (site.name, row["key_id"]), rig=w.rig)
        expect(site.end(OFF)["ratchet"] == "off", "%s", site.end(OFF))
        expect(signer(w, site, now(site, OFF), OFF) == "auth-key", "ratchet: no, and another key signs")
        expect(refused(site) == 0 and refused(site, OFF) == 0, "%s refused %s", site.name, row["refused"])


def thief(w):
    """Who has the auth-key, and not the link's keys, says whatever a peer may say: it is counted, and told, and no more."""
    before, f = state(w), records.fields(now(w.b))
    seq = int(f[4])
    for says, key, prev in (("O", "00000000-0000-4000-8000-000000000001", f[6]), ("A", f[6], ""), ("W", f[6], ""),
                            ("L", "", ""), ("N", f[6], "")):
        text = "|".join(f[:4] + [str(seq + 1), says, key, prev, f[8], "unknown" if says == "N" else ""])
        n = refused(w.b)
        forged = records.sign(records.auth_key(w.b), text, "SAE_A", "SAE_B")

        def heard():
            records.put(w.b, LINK, forged)
            return refused(w.b) > n and BY_AUTH in w.b.end(LINK)["refused"]["why"]
        rig.wait_for(heard, "the record is refused: %s" % text, rig=w.rig)
    w.b.wait_end(LINK, lambda e: e["peer"]["heard_ms"] < 1000 * VERIFY_S, "the peer is heard again")
    expect(state(w) == before, "a thief of the auth-key has changed\n%s to\n%s", before, state(w))
    expect("RESET-PEER" not in w.b.end(LINK)["alarms"], "%s", w.b.end(LINK)["alarms"])
    rotate(w)


def old_keys(w):
    """The channel key of a key that went says nothing any more; all that was ever said comes again after a restart."""
    old = w.b.end(LINK)["key_id"]
    rotate(w)
    rotate(w)
    before, f = state(w), records.fields(now(w.b))
    text = "|".join(f[:4] + [str(int(f[4]) + 1), "O", "00000000-0000-4000-8000-000000000002", f[6], f[8], ""])
    n = refused(w.b)

    def heard():
        records.put(w.b, LINK, records.sign(channel_key(w, old), text, "SAE_A", "SAE_B"))
        return refused(w.b) > n
    rig.wait_for(heard, "a record by a channel key of before is refused", rig=w.rig)
    expect("wrong tag" in w.b.end(LINK)["refused"]["why"], "%s", w.b.end(LINK)["refused"])
    w.b.stop()
    past = w.recorder.of(w.b, LINK)
    expect(len(past) >= 8, "only %d records were seen", len(past))
    records.put(w.b, LINK, past[0])
    w.b.start()
    for record in past:
        records.put(w.b, LINK, record)
        rig.pause(0.005)
    w.b.wait_end(LINK, lambda e: e["peer"] and e["peer"]["heard_ms"] < 1000 * VERIFY_S and e["state"] == "idle", "idle")
    after = state(w)
    for row, was in zip(after[0], before[0]):
        expect(row["seq"] == was["seq"] and row["key_id"] == was["key_id"], "was %s, is %s", was, row)
    expect(after[2] == before[2], "effects: %s, now %s", before[2], after[2])
    rotate(w)


def restarts(w, how):
    """Of both ends: nothing is refused, nothing is reset, the next rotation is done at once, and nobody has signed by
    the auth-key since."""
    for site in (w.a, w.b):
        getattr(site, how)()
    at = {site.name: len(site.log()) for site in (w.a, w.b)}
    for site in (w.a, w.b):
        site.start()
    for site in (w.a, w.b):
        site.wait_end(LINK, lambda e: e["state"] == "idle" and e["peer"] and e["ratchet"] == "on", "it goes on")
    rotate(w)
    for site in (w.a, w.b):
        expect(refused(site) == 0, "%s: %s", site.name, site.end(LINK)["refused"])
        expect("ev=ratchet" not in site.log()[at[site.name]:], "%s: the ratchet was lost", site.name)
        expect(site.end(LINK)["failed"] == 0, "%s", site.end(LINK))
        for data in w.recorder.of(site, LINK)[-4:]:
            expect(signer(w, site, data) != "auth-key", "the auth-key has signed %s", data)


def host_dies(w):
    """The channel's host holds the channel keys: a new one gets them from the journal, also in the middle of things."""
    for site in (w.a, w.b, w.a):
        before = refused(site)
        os.kill(site.plugin("spool")["pid"], signal.SIGKILL)
        w.a.ask("rotate", LINK)
        rig.wait_for(lambda: site.plugin("spool")["state"] == "up" and site.plugin("spool")["restarts"] > 0, "a new host",
                     rig=w.rig)
        for s in (w.a, w.b):
            s.wait_end(LINK, lambda e: e["state"] == "idle", "idle")
        rotate(w)
        expect(refused(site) == before, "%s: %s", site.name, site.end(LINK)["refused"])
        expect(site.end(LINK)["ratchet"] == "on", "%s", site.end(LINK))


def state_lost(w):
    """One end forgets all: after the time of NO-PEER the other one believes the auth-key again, and says so until the
    next key.  The key in use stays what it is."""
    for site, other in ((w.b, w.a), (w.a, w.b)):
        key = other.end(LINK)["key_id"]
        staged = {d: w.rig.oracle.count("stage", d) for d in ("east", "west")}
        site.stop()
        shutil.rmtree(site.state_dir)
        at, lost_at = len(other.log()), len(site.log())
        site.start()
        other.wait_alarm(LINK, "RESET-PEER", timeout=20)
        found = site.wait_end(LINK, lambda e: e["state"] == "idle" and e["key_id"] == key, "it has the key again")
        expect(found["ratchet"] == "none" and other.end(LINK)["ratchet"] == "reset", "%s", found)
        expect(other.end(LINK)["key_id"] == key, "another key is in use")
        expect(staged == {d: w.rig.oracle.count("stage", d) for d in ("east", "west")}, "a key was changed")
        expect("alarm=RESET-PEER state=raised" in other.log()[at:], "it is not told")
        n = other.end(LINK)["rotations"]
        w.a.ask("rotate", LINK)
        other.wait_end(LINK, lambda e: e["rotations"] > n and e["state"] == "idle" and e["ratchet"] == "on", "a new key")
        site.wait_end(LINK, lambda e: e["state"] == "idle" and e["ratchet"] == "on", "the new key")
        other.wait_alarm(LINK, "RESET-PEER", on=False)
        expect("ev=violation" not in site.log()[lost_at:], "a violation")
        for link in (OTHER, OFF):
            site.wait_end(link, lambda e: e["key_id"] and e["state"] == "idle", "the other links are back too")
        w.a.ask("rotate", OTHER)
        for s in (w.a, w.b):
            s.wait_end(OTHER, lambda e: e["ratchet"] == "on" and e["state"] == "idle", "the other link, too")


def not_before_silence(w):
    """A peer that is heard is not forgotten for what a thief says after a restart of this end: silence begins anew."""
    w.b.stop()
    f = records.fields(now(w.b))
    lost = "|".join(f[:4] + [str(int(f[4]) + 1), "L", "", "", f[8], ""])
    w.b.start()
    end = len(w.b.log())
    for _ in range(30):
        records.put(w.b, LINK, records.sign(records.auth_key(w.b), lost, "SAE_A", "SAE_B"))
        rig.pause(0.01)
    w.b.wait_end(LINK, lambda e: e["peer"] and e["peer"]["heard_ms"] < 1000 * VERIFY_S, "the peer is heard")
    expect("RESET-PEER" not in w.b.log()[end:], "the thief was believed")
    rotate(w)


def auth_key_replaced(w):
    """First both ends know both keys, then only the new one, each without a restart or a reload; then they are restarted."""
    def known(site):
        return refused(site), refused(site, OFF), site.end(LINK)["failed"]

    before = {site.name: known(site) for site in (w.a, w.b)}
    old, new = records.auth_key(w.a).decode(), rig.new_secret().strip()
    for text in ("# old, then new\n* %s\n* %s\n" % (old, new), "* %s\n* %s\n" % (new, old), "* %s\n" % new):
        for site in (w.a, w.b):
            at = len(site.log())
            site.secret("auth.key", text)
            site.wait_log("ev=auth-key file=\\S+ keys=", after=at)
            rotate(w, OFF)
        for link in (LINK, OTHER):  # so that nothing is left that was wrapped under the old one
            rotate(w, link)
    for site in (w.a, w.b):
        expect(known(site) == before[site.name], "%s: %s %s", site.name, site.end(LINK), site.end(OFF))
    at = len(w.a.log())
    w.a.secret("auth.key", "* %s\nlink-1 short\n" % new)
    w.a.wait_log(r'ev=auth-key res=refused why="\S+/auth.key: line 2: the key is too short', after=at)
    expect(new not in w.a.log() and old not in w.a.log(), "a key is in the log")
    rotate(w, OFF)
    for site in (w.a, w.b):
        site.secret("auth.key", new + "\n")
    restarts(w, "stop")


def not_in_the_journal(w):
    """The journal has channel keys, each wrapped: of the keys that are held, and no more; and no byte of one in clear."""
    for site in (w.a, w.b):
        key_id = site.end(LINK)["key_id"]
        site.stop()
        with sqlite3.connect(site.state_dir + "/journal.db") as db:
            rows = list(db.execute("SELECT l.link,c.key_id,c.blob,c.proven FROM chankeys c JOIN links l ON l.no=c.id/16"))
        db.close()
        mine = [row for row in rows if row[0] == LINK]
        expect(1 <= len(mine) <= 4 and key_id in [row[1] for row in mine], "%s: rows %s", site.name, rows)
        expect(not [row for row in rows if row[0] == OFF], "ratchet: no, and there are rows: %s", rows)
        for _, i, blob, _ in mine:
            expect(len(blob) == 120 and channel_key(w, i).hex() not in blob, "not wrapped: %s", blob)
        expect(len({row[2][:24] for row in rows}) == len(rows), "a nonce came twice")
        site.start()
    rotate(w)


def use(w, *channels):
    """LINK has these channels from now on; nothing rotates for it."""
    before = [(e["rotations"], e["key_id"]) for e in (site.end(LINK) for site in (w.a, w.b))]
    for site in (w.a, w.b):
        link = site.conf["links"][0]
        link.pop("channel", None)
        link["channels"] = list(channels)
        site.save()
        site.ask("reload")
    expect(before == [(e["rotations"], e["key_id"]) for e in (site.end(LINK) for site in (w.a, w.b))], "it has rotated")


def channel(w, name, auth):
    """One more channel at both sites, with an auth-key of its own or that of the first."""
    for site, other in ((w.a, w.b), (w.b, w.a)):
        for s in (site, other):
            os.makedirs("%s/out-%s" % (s.dir, name), 0o700, exist_ok=True)
        site.conf["channels"][name] = {
            "plugin": "spool", "dir": "%s/out-%s" % (site.dir, name), "peer-dir": "%s/out-%s" % (other.dir, name),
            "auth-key": site.secret("auth-%s.key" % name, auth) if auth else site.conf["channels"]["box"]["auth-key"]}


def way(site, name):
    return [p for p in site.end(LINK)["paths"] if p["channel"] == name][0]


def heard_on(w, name, since):
    """Both ends hear each other there by the key in use, and nothing was refused or is an alarm."""
    for site, other in ((w.a, w.b), (w.b, w.a)):
        row = site.wait_end(LINK, lambda e: [p for p in e["paths"] if p["channel"] == name and p["heard_ms"] is not None],
                            "heard on " + name)
        expect(way(site, name)["refused"] is None and row["ratchet"] == "on", "%s", row)
        with open("%s/out-%s/%s.rec" % (other.dir, name, LINK), "rb") as f:
            expect(signer(w, site, f.read()) == row["key_id"], "another key has signed what comes on %s", name)
        for word in ("alarm=PATH state=raised", "alarm=NO-PEER state=raised", "alarm=RESET-PEER", "ev=ratchet"):
            expect(word not in site.log()[since[site.name]:], "%s: %s", site.name, word)


def channels_come(w):
    """A channel that is new to a link has the link's channel keys at once: also after a restart of its host, and when
    the channel before goes with the same reload.  With another auth-key it has them with the next rotation."""
    since = {site.name: len(site.log()) for site in (w.a, w.b)}
    channel(w, "late", None)
    use(w, "box", "late")
    heard_on(w, "late", since)
    use(w, "box")
    channel(w, "only", None)
    use(w, "only")
    heard_on(w, "only", since)
    rotate(w)
    heard_on(w, "only", since)
    restarts(w, "stop")
    since = {site.name: len(site.log()) for site in (w.a, w.b)}
    channel(w, "apart", rig.new_secret())
    use(w, "only", "apart")
    for site in (w.a, w.b):
        site.wait_log("ev=ratchet link=%s channel=apart .*res=auth .*note=.nothing can be checked" % LINK,
                      after=since[site.name])
        site.wait_alarm(LINK, "PATH")
    rotate(w)
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "PATH", on=False)
        expect(site.end(LINK)["ratchet"] == "on" and way(site, "apart")["heard_ms"] is not None, "%s", site.end(LINK))
    use(w, "box")
    rotate(w)


def main():
    w = rig.World(set_up)
    cases = [(name, w.case(function)) for name, function in (
        ("channel keys sign", by_channel_keys),
        ("a thief of the auth-key changes nothing", thief),
        ("old channel keys and old records change nothing", old_keys),
        ("a restart of both ends loses nothing", lambda w: restarts(w, "stop")),
        ("a crash of both ends loses nothing", lambda w: restarts(w, "kill")),
        ("a channel's host dies", host_dies),
        ("after a restart the peer is waited for", not_before_silence),
        ("a lost state directory finds its way back", state_lost),
        ("the auth-key is replaced", auth_key_replaced),
        ("channels that come have the channel keys", channels_come),
        ("the journal has wrapped ones only", not_in_the_journal),
    )] + [("all ends well", w.last_case())]
    return records.run_cases(w, cases)


sys.exit(main())
