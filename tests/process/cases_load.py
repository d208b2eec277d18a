# cases_load.py - failure cases of time (doc/reliability.md): a device that is busy, a peer that is slower than the
# interval, many links that all want a key at once.
import re
import sys
from datetime import datetime

sys.dont_write_bytecode = True
import rig  # noqa: E402
from cases_rig import LINK, kme_source, pair, rotate, run, sending, settled  # noqa: E402
from rig import expect  # noqa: E402

OTHER = "link-2"
MANY = 400
MANY_S = 8  # their interval
GROUP = 64  # links of one device and peer that are due together; the groups are spread by their names
SECONDS_OF_CALLS = 140  # 100 calls a second and a burst of 20, and what a loaded machine may count wrong


def set_up(w):
    pair(w)
    for site, other, device in ((w.a, w.b, "east-2"), (w.b, w.a, "west-2")):
        site.device(device)
        site.link(OTHER, device=device, interface="port0", source="keys", channel="box", interval="500ms", drain="50ms",
                  **{"peer-sae": other.sae})
        site.save()
        site.ask("reload")
    w.a.wait_end(OTHER, lambda e: e["rotations"] >= 1, "the second link rotates")


def case_device_busy(w):
    """links of that device slip and keep their key, those of others go on; all is made up for when it is free"""
    row = settled(w)
    w.b.mode("west", "fail")
    seq = rotate(w)
    w.b.wait_end(LINK, lambda e: "DEVICE" in e["alarms"] and e["last"]["result"] == "busy", "the device is busy")
    for site in (w.a, w.b):
        site.wait_rotations(OTHER, 2)
    expect(sending(w) == {"east": {row["key_id"]}, "west": {row["key_id"]}}, "not the old key: %s", sending(w))
    w.b.mode("west", "ok")
    settled(w, above=seq)
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "DEVICE", on=False)


def case_slave_slower_than_the_interval(w):
    """a rotation begins when the one before has ended; the interval stretches, and the age of the key is an alarm"""
    for site in (w.a, w.b):
        site.conf["links"][0].update(interval="500ms")
        site.save()
        site.ask("reload")
    w.b.mode("west", "slow")  # a second for each operation
    first = w.a.wait_rotations(LINK, 1)["seq"]
    w.a.wait_alarm(LINK, "EXPIRED")
    last = w.a.wait_rotations(LINK, 1)["seq"]
    w.b.mode("west", "ok")
    for site in (w.a, w.b):
        done = open_seq = 0
        for e in reversed(site.ask("history", LINK, "--limit", "1000")):
            if e["event"] not in ("begin", "rotated", "burnt"):
                continue
            if e["seq"] < first:  # by one when the row that `first` is of was one of the next rotation already
                done = open_seq = e["seq"]
            elif e["event"] == "begin":
                expect(open_seq in (0, done), "%s: %d began before %d had ended", site.name, e["seq"], open_seq)
                open_seq = e["seq"]
            else:
                expect(open_seq in (0, e["seq"]), "%s: %d ended, %d was under way", site.name, e["seq"], open_seq)
                done = e["seq"]
        expect(done >= last - 1, "%s: %d rotations", site.name, done)
    w.a.wait_alarm(LINK, "EXPIRED", on=False)


# ---- many links ----

def set_up_many(w):
    w.rig = rig.Rig(plugins=("sim", "spool", "etsi014"))
    w.a, w.b = w.rig.pair(kme_source(w))
    for site, other, device in ((w.a, w.b, "east"), (w.b, w.a, "west")):
        site.conf["defaults"].update(interval="%ds" % MANY_S, drain="100ms", verify="4s")
        site.conf["links"] = []
        for n in range(MANY):
            site.link("many-%d" % n, device=device, interface="port%d" % n, source="keys", channel="box",
                      **{"peer-sae": other.sae})
        site.save()
        site.start()


def seconds(log, pattern):
    """[time of day in s] of the log's lines with the pattern."""
    stamps = re.findall(r"^(\S+)Z .*%s" % pattern, log, re.M)
    return [datetime.fromisoformat(s).timestamp() for s in stamps]


def most_in(times, width_s):
    """The most of them in any window of that width."""
    times, most, begin = sorted(times), 0, 0
    for i, t in enumerate(times):
        while times[begin] <= t - width_s:
            begin += 1
        most = max(most, i - begin + 1)
    return most


def case_many_links_at_once(w):
    """a start of all at once asks a KME no faster than it may be asked; the rotations after it are spread out"""
    for site in (w.a, w.b):
        rig.wait_for(lambda: all(r["key_id"] for r in site.status()["links"]), "%s: every link has a key" % site.name,
                     rig=w.rig)
    with open(w.rig.dir + "/kme-a.log") as f:
        calls = seconds(f.read(), "/enc_keys")
    expect(most_in(calls, 1.0) <= SECONDS_OF_CALLS, "%d calls of enc_keys in a second", most_in(calls, 1.0))
    at = len(w.a.log())
    rig.wait_for(lambda: w.a.log()[at:].count("ev=begin ") >= MANY, "every link once more", rig=w.rig)
    begins = seconds(w.a.log()[at:], "ev=begin ")
    print("# at the start at most %d calls/s for %d links; after it %d rotations, at most %d in a second" %
          (most_in(calls, 1.0), MANY, len(begins), most_in(begins, 1.0)))
    expect(most_in(begins, 1.0) <= 3 * GROUP, "%d rotations began in one second", most_in(begins, 1.0))


sys.exit(run([(set_up, [case_device_busy, case_slave_slower_than_the_interval]),
              (set_up_many, [case_many_links_at_once])]))
