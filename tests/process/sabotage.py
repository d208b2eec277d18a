# sabotage.py - somebody who can write into the channel: replays, forgeries, other links' records, garbage, floods.
# Nothing of it moves a number, asks a KME, changes a state or ends a process; it is counted, and told a few times.
#
# REKEY_SEED=N repeats the order of a run; REKEY_LONG=1 also waits for the minute after which the log tells the rest.
import os
import random
import re
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import journal_rows  # noqa: E402
import records  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

QUIET, OTHER, MAD, BUSY = "quiet", "quiet-2", "mad", "busy"
SEED = int(os.environ.get("REKEY_SEED") or random.SystemRandom().randrange(1 << 32))
AGAIN_S = 2  # later than the peer writes its record again
LINES_A_MINUTE = 3  # of one link in the log: core/base/quiet.h
FLOOD_S, FLOOD_PER_S = 3, 1000
MAD_S, MAD_INTERVAL_S, FETCHES = 6, 5, 5  # core/daemon/inst.c
KEY = "00000000-0000-4000-8000-%012d"


def set_up(w):
    w.random = random.Random(SEED)
    print("# REKEY_SEED=%d" % SEED)
    w.rig = rig.Rig(plugins=("sim", "spool", "etsi014"))
    w.kmes = rig.KmePair(w.rig)
    w.kmes.start()
    w.a, w.b = w.rig.pair(w.kmes.source, link=QUIET)
    for site, other in ((w.a, w.b), (w.b, w.a)):
        site.conf["links"][0]["interval"] = "1h"
        device = list(site.conf["devices"])[0]
        for port, (link, interval) in enumerate(((OTHER, "1h"), (MAD, "1h"), (BUSY, "1h")), 1):
            site.link(link, device=device, interface="port%d" % port, source="keys", channel="box", interval=interval,
                      **{"peer-sae": other.sae})
        site.save()
    w.recorder = records.Recorder((w.a, w.b))
    for site in (w.a, w.b):
        site.start()
    for link in (QUIET, OTHER, MAD, BUSY):
        settle(w, link, 1)
    w.first_key = w.b.end(QUIET)["key_id"]
    for more in range(2, 6):  # a past to be replayed
        w.a.ask("rotate", QUIET)
        settle(w, QUIET, more)
    w.past = {}
    for site in (w.a, w.b):
        for link in (QUIET, OTHER):
            rig.wait_for(lambda: now(site, link) in w.recorder.of(site, link), "the newest record was seen", rig=w.rig)
            w.past[site.name, link] = w.recorder.of(site, link)
    w.began = time.monotonic()


def now(site, link):
    with open(records.path(site, link), "rb") as f:
        return f.read()


def settle(w, link, rotations):
    for site in (w.a, w.b):
        site.wait_end(link, lambda e: e["rotations"] >= rotations and e["state"] == "idle", "rotation %d" % rotations)


# ---- what must not change ----

def requests(w, words="enc_keys|dec_keys"):  # status is asked for now and then, whatever happens
    n = 0
    for kme in (w.kmes.a, w.kmes.b):
        with open("%s/%s.log" % (w.rig.dir, kme.name)) as f:
            n += len(re.findall("ev=request .*path=\\S*(?:%s)" % words, f.read()))
    return n


def journal(site):
    """What the end will know after a restart: its number, its floor, its phase, its keys.  Of a copy: rekeyd lets nobody
    else in; so only while nothing is written."""
    with tempfile.TemporaryDirectory(dir=site.dir) as copy:
        for name in os.listdir(site.state_dir):
            if name.startswith("journal.db"):
                shutil.copy("%s/%s" % (site.state_dir, name), copy)
        names = ("role", "phase", "term", "seq", "floor", "cur", "prev", "cand")
        return sorted((link, end, *(state[name] for name in names))
                      for (link, end), state in journal_rows.states(copy + "/journal.db").items())


def state(w):
    """All of both sites that sabotage must leave alone."""
    names = ("link", "role", "phase", "seq", "key_id", "rotations", "failed", "orphaned")
    rows = {site.name: [{name: row[name] for name in names} for row in site.status()["links"]] for site in (w.a, w.b)}
    w.rig.oracle.check()
    hosts = {site.name: sorted((p["plugin"], p["pid"], p["restarts"]) for p in site.ask("plugins")) for site in (w.a, w.b)}
    return {"rows": rows, "journals": [journal(site) for site in (w.a, w.b)], "requests": requests(w), "hosts": hosts,
            "effects": {key: n for key, n in w.rig.oracle.counts.items() if n}}


def refused(site, link):
    row = site.end(link)
    return row["refused"]["records"] if row["refused"] else 0


def why(site, link):
    return site.end(link)["refused"]["why"]


def refused_in_all(site):
    row = site.plugin("spool")
    return row["refused"]["records"] if row["refused"] else 0


def lines_about(site, link):
    return len(re.findall("ev=record-refused link=%s " % re.escape(link), site.log()))


def minutes(w):
    """Windows of a minute that may have begun since the start: each has its lines, and one for the rest."""
    return int((time.monotonic() - w.began) // 60) + 2


def few_lines(w):
    for site in (w.a, w.b):
        for link in (QUIET, OTHER, "?"):
            n = lines_about(site, link)
            expect(n <= (LINES_A_MINUTE + 1) * minutes(w), "%s: %d lines about link %s", site.name, n, link)


def wait_putting(w, put, condition, what):
    """The peer writes its own record again now and then: what it wrote over before it was read is put again."""
    later = [time.monotonic() + AGAIN_S]

    def look():
        if condition():
            return True
        if time.monotonic() > later[0]:
            put()
            later[0] = time.monotonic() + AGAIN_S
        return False

    rig.wait_for(look, what, rig=w.rig)


def sabotage(data, says, to="b", link=QUIET, counted=True):
    """One record, or each of several: data(w, good) where good is the peer's own record."""
    def run(w):
        site = getattr(w, to)
        good, before = now(site, link), state(w)
        for bad in data(w, good):
            n, all_n = refused(site, link), refused_in_all(site)
            put = (lambda: bad(site, link)) if callable(bad) else (lambda: records.put(site, link, bad))
            put()
            if counted:
                wait_putting(w, put, lambda: refused(site, link) > n, "%s: a record of %s is counted" % (site.name, link))
                expect(refused_in_all(site) > all_n, "the channel does not count it")
                expect(re.search(says, why(site, link)), "refused for another reason: %s", why(site, link))
        records.put(site, link, good)
        rig.wait_for(lambda: peer_is(site, link, good), "the good record is heard again", rig=w.rig)
        unchanged(w, before)
    return run


def peer_is(site, link, record):
    row, f = site.end(link), records.fields(record)
    return row["peer"] and row["peer"]["seq"] == int(f[4]) and row["peer"]["heard_ms"] < 1000


def unchanged(w, before):
    after = state(w)
    for part, was in before.items():
        expect(after[part] == was, "%s changed:\n%s\n%s", part, was, after[part])
    for site in (w.a, w.b):
        for row in site.status()["links"]:
            expect(not set(row["alarms"]) - {"NO-PEER"}, "%s: %s: %s", site.name, row["link"], row["alarms"])
    few_lines(w)
    w.rig.still_well()


# ---- what is put there ----

def later_offer(f, key=KEY % 1, seq=None):
    """The offer that would come next."""
    return "|".join(f[:4] + [str(seq or int(f[4]) + 1), "O", key, f[6], f[8], ""])


def signed(w, text, link=QUIET, from_sae="SAE_A", to_sae="SAE_B"):
    """As the peer itself would sign it, which has the key in use."""
    key_id = w.b.end(link)["key_id"]
    return records.sign(records.channel_key(records.kme_key(w.kmes, key_id), link, key_id), text, from_sae, to_sae)


def the_tag_is_known(w):
    """Else the forgeries below would be refused for a mistake of this test."""
    for site, other in ((w.a, w.b), (w.b, w.a)):
        text = now(site, QUIET).decode().rstrip("\n").rpartition("|")[0]
        made = signed(w, text, from_sae=other.sae, to_sae=site.sae)
        expect(made == now(site, QUIET), "the tag of %s is not what this test makes", text)


def forged(w, good):
    f = records.fields(good)
    yield (later_offer(f) + "|" + f[10] + "\n").encode()                       # the tag of another record
    yield (later_offer(f) + "|" + w.random.randbytes(16).hex() + "\n").encode()  # any tag
    yield signed(w, later_offer(f) + "x").replace(b"x|", b"|")
    for i in range(len(good) - 1):  # the right tag, and one bit of the record is another; as many as are printable
        bad = good[:i] + bytes([good[i] ^ 1]) + good[i + 1:]
        if i % 7 == 0 and 0x20 < bad[i] < 0x7f:
            yield bad


def other_keys(w, good):
    """Signed with keys that are not the link's: any other, another link's, that of a key that went long ago."""
    f = records.fields(good)
    yield records.sign(os.urandom(32), later_offer(f), "SAE_A", "SAE_B")
    for link, key_id in ((OTHER, f[6]), (QUIET, w.b.end(OTHER)["key_id"]), (QUIET, w.first_key)):
        yield records.sign(records.channel_key(records.kme_key(w.kmes, key_id), link, key_id), later_offer(f), "SAE_A", "SAE_B")


def auth_key_alone(w, good):
    """Signed with the auth-key, which a thief of a file has; the peer has shown that it has more."""
    f = records.fields(good)
    for text in (later_offer(f), "|".join(f[:5] + ["L", ""] + f[7:10]), "|".join(f[:4] + ["0", "I", "", "", f[8], ""]),
                 "|".join(f[:3] + ["2"] + f[4:10]), "|".join(f[:4] + [str(int(f[4]) + 1), "W"] + f[6:10]),
                 "|".join(f[:10])):
        yield records.sign(records.auth_key(w.a), text, "SAE_A", "SAE_B")


def wrong_saes(w, good):
    text = later_offer(records.fields(good))
    for from_sae, to_sae in (("SAE_X", "SAE_B"), ("SAE_A", "SAE_X"), ("SAE_B", "SAE_B"), ("SAE_A", "SAE_A"), ("", "SAE_B")):
        yield signed(w, text, QUIET, from_sae, to_sae)


def reflected(w, good):
    """What an end said itself comes back to it."""
    yield from w.past["A", QUIET][-3:]  # A reads what B has said: so these are B's, and go to B


def other_links(w, good):
    """Records of the other link of this channel, each with its right tag, under this one's name."""
    yield from w.past["B", OTHER]
    f = records.fields(w.past["B", OTHER][-1])
    yield signed(w, later_offer(f))
    yield signed(w, later_offer([f[0], QUIET + "x"] + f[2:]))


def signed_nonsense(w, good):
    """With the right tag, and no record: of a peer with another mind."""
    f = records.fields(good)
    for text in ("rk2|" + "|".join(f[1:10]), "rk1", "rk1|" + QUIET, "|".join(f[:4] + ["-1"] + f[5:10]),
                 "|".join(f[:4] + ["9" * 19] + f[5:10]), "|".join(f[:2] + ["X"] + f[3:10]), "|".join(f[:5] + ["Z"] + f[6:10]),
                 "|".join(f[:10] + ["more"]), "|".join(f[:6] + ["../../etc/passwd"] + f[7:10])):
        yield signed(w, text)


def truncated(w, good):
    for n in range(0, len(good), 9):
        yield good[:n]
        yield good[:n] + b"\n"


def garbage(w, good):
    yield w.random.randbytes(65536)
    yield b"x" * 65535 + b"\n"
    yield good[:-1] + b"\0\n"
    yield bytes(range(256))
    yield b"\0" * 100 + b"\n"
    yield w.random.randbytes(200).replace(b"\n", b"") + b"\n"
    yield "rk1|\u202equiet\n".encode()
    yield good + good


def endless(w, good):
    """Files that are no end of bytes, or no files."""
    def sparse(site, link):
        temp = records.path(site, link) + ".big"
        with open(temp, "wb") as f:
            f.truncate(1 << 34)
        os.rename(temp, records.path(site, link))

    def fifo(site, link):
        os.unlink(records.path(site, link))
        os.mkfifo(records.path(site, link), 0o644)

    def to_zero(site, link):
        os.unlink(records.path(site, link))
        os.symlink("/dev/zero", records.path(site, link))
    yield from (sparse, fifo, to_zero)


# ---- replays ----

def replays_in_quiet(w):
    """Every record that either end has ever published for this link, again and again, in any order, at both ends."""
    before = state(w)
    was = {site.name: refused(site, QUIET) for site in (w.a, w.b)}
    for site in (w.a, w.b):
        old = w.past[site.name, QUIET]
        expect(len(old) >= 8, "%s: only %d records were seen", site.name, len(old))
        good = old[-1]
        for record in w.random.sample(old, len(old)) + w.random.sample(old, len(old)):
            records.put(site, QUIET, record)
            rig.pause(w.random.uniform(0, 0.01))
        records.put(site, QUIET, good)
        rig.wait_for(lambda: peer_is(site, QUIET, good), "the newest record is heard again", rig=w.rig)
        rig.wait_for(lambda: refused(site, QUIET) > was[site.name], "replays are counted", rig=w.rig)
        expect(re.search("older than what the peer said since|wrong tag|auth-key alone", why(site, QUIET)), "%s",
               why(site, QUIET))
    unchanged(w, before)


def replays_after_restart(w):
    """An end that was just started has heard nothing yet: all the past is put before it then."""
    before = state(w)
    for site in (w.a, w.b):
        old = w.past[site.name, QUIET]
        site.stop()
        records.put(site, QUIET, old[0])
        site.start()
        for record in w.random.sample(old, len(old)):
            records.put(site, QUIET, record)
            rig.pause(w.random.uniform(0, 0.01))
        records.put(site, QUIET, old[-1])
        rig.wait_for(lambda: peer_is(site, QUIET, old[-1]), "the newest record is heard again", rig=w.rig)
    del before["hosts"]
    before["rows"] = state(w)["rows"]  # counts begin anew
    unchanged(w, before)


def same_again(w):
    """The newest record, a thousand times: nothing follows, and it is no offence."""
    good = now(w.b, QUIET)
    before, n = state(w), refused(w.b, QUIET)
    for _ in range(1000):
        records.put(w.b, QUIET, good)
    rig.wait_for(lambda: peer_is(w.b, QUIET, good), "the record is heard", rig=w.rig)
    expect(refused(w.b, QUIET) == n, "a repeated record counts as refused")
    unchanged(w, before)


def replays_in_rotations(w):
    """While the link rotates, at random moments, everything from any earlier time: rotations go on, numbers only grow,
    the slave asks for each key once."""
    for site in (w.a, w.b):
        site.conf["links"][3]["interval"] = "300ms"
        site.conf["links"][3]["drain"] = "50ms"
        site.save()
        site.ask("reload")
    for site in (w.a, w.b):
        site.wait_rotations(BUSY, 4)
    first = {site.name: site.end(BUSY) for site in (w.a, w.b)}
    asked, last = requests(w, "dec_keys"), {}
    end = time.monotonic() + 6
    while time.monotonic() < end:
        for site in (w.a, w.b):
            records.put(site, BUSY, w.random.choice(w.recorder.of(site, BUSY)))
            rig.pause(w.random.uniform(0, 0.05))
        for site in (w.a, w.b):
            seq = site.end(BUSY)["seq"]
            expect(seq >= last.get(site.name, 0), "%s went back: %d after %d", site.name, seq, last.get(site.name, 0))
            last[site.name] = seq
        w.rig.still_well()
    for site in (w.a, w.b):
        row = site.wait_end(BUSY, lambda e, n=first[site.name]["rotations"] + 4: e["rotations"] >= n, "rotations go on")
        expect(row["refused"] and row["refused"]["records"] > 0, "%s: no replay was counted", site.name)
    calls, taken = requests(w, "dec_keys") - asked, w.b.end(BUSY)["seq"] - first["B"]["seq"]
    expect(calls <= taken + 1, "%d calls of dec_keys for %d offers", calls, taken)
    for site in (w.a, w.b):
        site.conf["links"][3]["interval"] = "1h"
        site.save()
        site.ask("reload")
    rig.wait_for(lambda: all(s.end(BUSY)["state"] == "idle" for s in (w.a, w.b)), "the link is quiet again", rig=w.rig)


# ---- floods ----

def flood(w):
    """Thousands of forgeries a second under names in use, invented and impossible: no line for each of them."""
    good = now(w.b, QUIET)
    before, n, size = state(w), refused_in_all(w.b), len(w.b.log().splitlines())
    sent, began = 0, time.monotonic()
    while sent < FLOOD_S * FLOOD_PER_S:
        for i in range(FLOOD_PER_S // 20):
            bad = later_offer(records.fields(good)) + "|" + w.random.randbytes(16).hex() + "\n"
            records.put(w.b, (QUIET, OTHER, "nobody-%d" % (sent % 50), "-%d" % (sent % 50))[i % 4], bad.encode())
            sent += 1
        rig.pause(max(0, began + sent / FLOOD_PER_S - time.monotonic()))
    for site in (w.a, w.b):
        for link in (QUIET, OTHER):  # the true ones come back by themselves, at the latest with the next verify
            rig.wait_for(lambda: site.end(link)["peer"]["heard_ms"] < 1000, "%s hears its peer" % site.name, rig=w.rig)
    print("# %d records in %.1f s, %d counted, %d lines" % (sent, time.monotonic() - began, refused_in_all(w.b) - n,
                                                           len(w.b.log().splitlines()) - size))
    expect(refused_in_all(w.b) - n > sent // 20, "only %d of %d were counted", refused_in_all(w.b) - n, sent)
    told = [line for line in w.b.log().splitlines()[size:] if "record-refused" in line]
    expect(len(told) <= 3 * (LINES_A_MINUTE + 1) * 2, "%d lines about refused records", len(told))
    expect(len(w.b.log().splitlines()) - size < 60, "the flood is in the log:\n%s", "\n".join(w.b.log().splitlines()[-9:]))
    for name in os.listdir(os.path.dirname(records.path(w.b, QUIET))):
        if name.startswith(("nobody-", "-")):
            os.unlink(os.path.dirname(records.path(w.b, QUIET)) + "/" + name)
    unchanged(w, before)


def rest_is_told(w):
    if os.environ.get("REKEY_LONG") != "1":
        raise rig.Skip("REKEY_LONG=1 waits for a minute")
    at = len(w.b.log())
    w.b.wait_log(r'ev=record-refused link=%s .*note="and \d+ more' % QUIET, after=at, timeout=100)


# ---- a peer that has gone mad ----

def mad_peer(w):
    """Offers with the right tag, of keys that no KME has, each with a new number and many times: after five, the KME is
    asked at a rate; and when the peer is sane again, so is the link."""
    for site in (w.a, w.b):
        site.conf["links"][2]["interval"] = "%ds" % MAD_INTERVAL_S
        site.save()
        site.ask("reload")
    for site in (w.a, w.b):
        site.wait_end(MAD, lambda e: e["state"] == "idle" and e["peer"], "ready")
    began, at, before = time.monotonic(), len(w.b.log()), w.b.end(MAD)
    good = records.fields(now(w.b, MAD))
    for i in range(1, 10 * MAD_S):
        offer = signed(w, later_offer(good, KEY % i, int(good[4]) + 4 * i + 1), MAD)
        for _ in range(5):
            records.put(w.b, MAD, offer)
            rig.pause(0.02)
    took = time.monotonic() - began
    row = w.b.end(MAD)
    calls = len(set(re.findall(r"ev=dec_keys .* (call=\d+)", w.b.log()[at:])))  # each looks for a late key several times
    done = row["rotations"] - before["rotations"]
    expect(row["failed"] >= before["failed"] + FETCHES, "the offers were not heard: %s", row)
    most = done + FETCHES + 1 + int(took * FETCHES / MAD_INTERVAL_S)
    print("# %d mad offers in %.1f s: %d key requests, at most %d" % (10 * MAD_S, took, calls, most))
    expect(FETCHES <= calls <= most, "%d key requests in %.1f s", calls, took)
    for site in (w.a, w.b):
        site.wait_rotations(MAD, 1)


def main():
    w = rig.World(set_up)
    cases = [(name, w.case(function)) for name, function in (
        ("the tag is made as the host makes it", the_tag_is_known),
        ("forged tags", sabotage(forged, "wrong tag|it has no tag")),
        ("tags of another key", sabotage(other_keys, "wrong tag")),
        ("wrong SAE IDs", sabotage(wrong_saes, "wrong tag")),
        ("records of this end, reflected", sabotage(reflected, "wrong tag")),
        ("records of another link", sabotage(other_links, "not a record of this link|wrong tag")),
        ("signed by the auth-key alone", sabotage(auth_key_alone, "by the auth-key alone")),
        ("nonsense with the right tag", sabotage(signed_nonsense, "not a record of this link")),
        ("cut off anywhere", sabotage(truncated, "no record|wrong tag")),
        ("64 KiB of garbage, binary", sabotage(garbage, "no record")),
        ("endless files, and none", sabotage(endless, "no record")),
        ("the same at the master", sabotage(garbage, "no record", to="a")),
        ("everything from before, while nothing rotates", replays_in_quiet),
        ("the newest record a thousand times", same_again),
        ("everything from before, after a restart", replays_after_restart),
        ("everything from before, while it rotates", replays_in_rotations),
        ("a flood", flood),
        ("a peer gone mad", mad_peer),
        ("how many were left out is told", rest_is_told),
    )] + [("all ends well", w.last_case())]
    return records.run_cases(w, cases)


sys.exit(main())
