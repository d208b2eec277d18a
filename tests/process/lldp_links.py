# lldp_links.py - two rekeyd whose only path is LLDP between two real lldpd: rotations complete, a restart of either
# lldpd loses nothing, and nobody else on the wire changes anything.
import hashlib
import hmac
import subprocess
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from lldp_rig import Lldp, frame, tlv  # noqa: E402
from rig import expect  # noqa: E402

LINK = "link-1"
BESIDE = "beside"  # another link of the same daemons, which rotates all the time; names of all that it uses begin so
KEYS = 100
FLOOD = 2000  # frames, a thousand a second
LINES_MAX = 60  # of the log, about any number of frames


def site_of(w, end):
    return w.a if end == "a" else w.b


def set_up(w):
    w.rig = rig.Rig(plugins=("sim", "lldp", "file", "spool", "static"))
    w.lldp = Lldp(w.rig)
    close = w.rig.end_all

    def end_all():
        w.lldp.close()
        close()

    w.rig.end_all = end_all
    w.peer = w.lldp.identity("a")
    done = w.lldp.cli("a", "configure", "ports", "rkpa", "lldp", "portdescription", "patch 7")
    expect(done.returncode == 0, "lldpcli: %s", done.stderr)
    w.auth = rig.new_secret()
    w.a, w.b = w.rig.site("A", "SAE_A"), w.rig.site("B", "SAE_B")
    done = subprocess.run([rig.CTL, "keygen", "--keys", str(KEYS), "--out-a", w.a.dir + "/pool", "--out-b",
                           w.b.dir + "/pool"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=rig.PATIENCE_S)
    expect(done.returncode == 0, "keygen: %s", done.stderr)
    for site, other, end, device in ((w.a, w.b, "a", "east"), (w.b, w.a, "b", "west")):
        site.device(device)
        site.conf["channels"]["wire"] = {"plugin": "lldp", "socket": w.lldp.socket(end), "refresh": "1s",
                                         "auth-key": site.secret("auth.key", w.auth)}
        site.conf["sources"]["keys"] = {"plugin": "file", "pool": site.dir + "/pool"}
        site.conf["defaults"].update({"interval": "1h", "verify": "1s"})
        site.link(LINK, device=device, interface="macsec0@" + w.lldp.port(end), source="keys", channel="wire",
                  **{"peer-sae": other.sae})
    beside(w)
    for site in (w.a, w.b):
        site.save()
        site.start()
    for site in (w.a, w.b):
        site.wait_end(LINK, lambda e: e["rotations"] >= 1 and e["phase"] == "idle", "the first key")


def beside(w):
    auth, shared = rig.new_secret(), rig.new_secret()
    for site, other in ((w.a, w.b), (w.b, w.a)):
        site.device("%s-%s" % (BESIDE, site.name))
        site.conf["channels"][BESIDE + "-box"] = {"plugin": "spool", "dir": site.out, "peer-dir": other.out,
                                         "auth-key": site.secret("beside.key", auth)}
        site.conf["sources"][BESIDE + "-keys"] = {"plugin": "static", "secret": site.secret("beside.secret", shared)}
        site.link(BESIDE, device="%s-%s" % (BESIDE, site.name), interface="port0", source=BESIDE + "-keys",
                  channel=BESIDE + "-box", interval="400ms", drain="50ms", **{"peer-sae": other.sae})


def rotate(w, times=1):
    for _ in range(times):
        before = w.b.end(LINK)["rotations"]
        w.a.ask("rotate", LINK, "--wait")
        w.b.wait_end(LINK, lambda e: e["rotations"] > before and e["phase"] == "idle", "the rotation")
    one, other = w.a.end(LINK), w.b.end(LINK)
    expect(one["key_id"] == other["key_id"], "A has %s, B has %s", one["key_id"], other["key_id"])


def rotates(w):
    """and the operator's text stays in front of the record"""
    rotate(w, 5)
    seen = w.lldp.texts("b")[0]
    expect(seen.startswith("patch 7 rk1|%s|M|" % LINK) and len(seen) <= 255, "shown is: %s", seen)
    for site in (w.a, w.b):
        expect(site.end(LINK)["failed"] == 0, "%s: rotations failed", site.name)


def restart(w, end):
    """in the middle of a rotation: it ends, and no key was lost"""
    before = [site.end(LINK) for site in (w.a, w.b)]
    w.lldp.stop(end)
    w.a.ask("rotate", LINK)
    w.a.wait_end(LINK, lambda e: e["phase"] == "staged", "the offer")
    w.lldp.start(end)
    for site, row in zip((w.a, w.b), before):
        now = site.wait_end(LINK, lambda e: e["rotations"] > row["rotations"] and e["phase"] == "idle", "the rotation")
        expect(now["seq"] == row["seq"] + 1 and now["failed"] == row["failed"], "it began again: %s", now)
        expect(now["orphaned"] == 0, "a key was lost")


def restart_a(w):
    restart(w, "a")


def restart_b(w):
    restart(w, "b")
    rotate(w)


# ---- somebody on the wire ----

def sign(w, text, sender, reader):
    data = b"".join(word.encode() + b"\0" for word in ("rekey record v1", sender, reader, text))
    return text + "|" + hmac.new(w.auth.strip().encode(), data, hashlib.sha256).hexdigest()[:32]


def used(site):
    """IDs of the keys that its source has given out."""
    with open(site.state_dir + "/file-keys.used") as f:
        return f.read().split()


def unused(site):
    """ID of a key that its source still has."""
    with open(site.dir + "/pool") as f:
        return [line.split()[0] for line in f if line.split()[0] not in used(site)][-1]


def state(w):
    """What no frame may change: the keys that the sources gave, and all that is known of the rotation."""
    rows = []
    for site in (w.a, w.b):
        row = site.end(LINK)
        rows.append([used(site)] + [row[k] for k in ("seq", "key_id", "phase", "rotations", "failed")])
    return rows


def refused(site):
    row = site.end(LINK)["refused"]
    return row["records"] if row else 0


def genuine_again(w):
    """The frame of the other lldpd is there again, and rotations go on."""
    def back():
        return any(" rk1|%s|M|1|%d|A|" % (LINK, w.a.end(LINK)["seq"]) in text for text in w.lldp.texts("b"))
    rig.wait_for(back, lambda: "the text of the other end; seen is: %s" % w.lldp.texts("b"), rig=w.rig)
    rotate(w)


def forged(w):
    """replayed, forged, another link's, all with the chassis and the port of the peer: nothing is asked of a source"""
    old, before = w.lldp.texts("b")[0].split(" ")[-1], state(w)
    rotate(w)
    for now, was in zip(state(w), before):
        expect(all(x != y for x, y in zip(now[:3], was)), "a rotation takes no key: %s, was %s", now, was)
    chassis, port = w.peer
    row = w.b.end(LINK)
    seq = row["seq"] + 1
    offer = "rk1|%s|M|1|%d|O|%s|%s||" % (LINK, seq, unused(w.b), row["key_id"])
    other = offer.replace(LINK, "link-2")
    texts = [old, offer + "|" + "0" * 32, sign(w, other, "SAE_A", "SAE_B"), sign(w, offer, "SAE_B", "SAE_A"),
             sign(w, offer, "SAE_X", "SAE_B"), "rk1|", "rk1||||||||||", offer, "=" + "0" * 32]
    before, count = state(w), refused(w.b)
    for text in texts:
        w.lldp.send("a", frame(chassis, port, ("patch 7 " + text).encode()))
        if text != texts[-1]:
            rig.wait_for(lambda: refused(w.b) > count, "the count of refused records grows with %s" % text, rig=w.rig)
        count = refused(w.b)
        expect(state(w) == before, "%s did something: %s, was %s", text, state(w), before)
    genuine_again(w)


def malformed(w):
    """descriptions that are too long, bytes that are no text, TLVs that end in nothing"""
    chassis, port = w.peer
    record = b" rk1|" + LINK.encode() + b"|M|1|99|O|x||||" + b"0" * 32
    frames = [frame(chassis, port, b"y" * (n - len(record)) + record) for n in (256, 300, 400, 511)]
    frames += [frame(chassis, port, bytes(range(256)) + record[:99]), frame(chassis, port, b"rk1|\0" + record),
               frame(chassis, port, record, tail=b"\xff"), frame(chassis, port, record, tail=tlv(127, b"\0")),
               frame(chassis, port, record, end=False), frame(chassis, port, record)[:40],
               frame(chassis, port, record, tail=tlv(4, record)), frame(chassis, port, b"", ttl=0)]
    before = state(w)
    for data in frames:
        w.lldp.send("a", data)
    w.lldp.send("a", frame(chassis, port, b"rk1|" + b"\xff" * 4))
    w.b.wait_end(LINK, lambda e: "not printable" in e["refused"]["why"], "it is told that one was not printable")
    expect(state(w) == before, "they did something: %s, was %s", state(w), before)
    genuine_again(w)


def second(w):
    """another chassis on the port is told of by name, and changes nothing"""
    chassis, port = bytes.fromhex("02bb00000001"), bytes.fromhex("02bb00000002")
    before = state(w)

    def told(row):
        words = row["refused"]["why"] if row["refused"] else ""
        return "NEIGHBOUR" in row["alarms"] or "2 neighbours on rkpb" in words and "02:bb:00:00:00:01" in words

    w.lldp.send("a", frame(chassis, port, b"somebody"))
    w.b.wait_end(LINK, told, "who is on the port")
    expect(state(w) == before, "it did something: %s, was %s", state(w), before)
    rotate(w)  # beside it
    w.lldp.send("a", frame(chassis, port, b"", ttl=0))
    rig.wait_for(lambda: len(w.lldp.neighbours("b")) == 1, "it is gone", rig=w.rig)


def lines(site):
    """How many there are in its log, but for those of the link beside."""
    return sum(BESIDE not in line for line in site.log().splitlines())


def others(w, member):
    return [site.end(BESIDE)[member] for site in (w.a, w.b)]


def flood(w):
    """a thousand frames a second, each with another text: few are looked at, another link rotates all the time as if
    nothing were, and then rotations of this one go on"""
    chassis, port = w.peer
    before, said, count = state(w), lines(w.b), refused(w.b)
    spoilt, done, sent = [others(w, "failed"), others(w, "orphaned")], others(w, "rotations"), 0
    texts = ["rk1|%s|M|1|%d|O|%032x||||%032x" % (LINK, n, n, n) for n in range(FLOOD)]
    while sent < 5 * FLOOD and (not sent or any(n < m + 2 for n, m in zip(others(w, "rotations"), done))):
        attacker = w.lldp.attack("a", [frame(chassis, port, text.encode()) for text in texts], gap_s=0.001)
        expect(attacker.wait(rig.PATIENCE_S) == 0, "the frames cannot be sent")
        sent += FLOOD
    after = others(w, "rotations")
    print("# of the other link meanwhile: %s rotations" % [n - m for n, m in zip(after, done)])
    expect(all(n >= m + 2 for n, m in zip(after, done)), "the other link stands: %s, was %s", after, done)
    rig.wait_for(lambda: refused(w.b) > count, "they are counted", rig=w.rig)
    expect(state(w) == before, "they did something: %s, was %s", state(w), before)
    genuine_again(w)
    looked = refused(w.b) - count
    expect(looked < sent / 5, "%d of %d were looked at", looked, sent)
    expect(lines(w.b) - said < LINES_MAX, "%d lines in the log", lines(w.b) - said)
    now = [others(w, "failed"), others(w, "orphaned")]
    expect(now == spoilt == [[0, 0], [0, 0]], "rotations of the other link failed: %s, was %s", now, spoilt)


CASES = (
    ("two rekeyd whose only path is LLDP rotate", rotates),
    ("lldpd of the master is restarted in the middle of a rotation", restart_a),
    ("lldpd of the slave is restarted in the middle of a rotation", restart_b),
    ("records with the peer's chassis and port that the peer did not send", forged),
    ("frames that are malformed", malformed),
    ("a second neighbour", second),
    ("a flood of frames", flood),
)


def main():
    world = rig.World(set_up)
    try:
        return rig.run_cases([(name, world.case(function)) for name, function in CASES] +
                             [("the daemons end as asked", world.last_case())])
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
