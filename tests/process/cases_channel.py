# cases_channel.py - failure cases of the channel (doc/reliability.md): records that are lost for ever, held back,
# forged, replayed; both ends with one role.  The test itself carries the records.
import os
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from cases_rig import LINK, counts, goes_on, pair, put_record, rotate, run, sending, settled  # noqa: E402
from rig import expect  # noqa: E402

LINES_MAX = 20  # of the log, about any number of records that are refused


def set_up(w):
    pair(w, relay=True)


def failed(w):
    return [site.end(LINK)["failed"] for site in (w.a, w.b)]


def case_staged_lost_for_ever(w):
    """both hold the new key and use the old one, however long it takes; then the rotation goes on as if nothing was"""
    row, before = settled(w), failed(w)
    w.relay.passes = lambda sender, f: not (sender is w.b and f[5] == "T")
    seq = rotate(w)
    for site in (w.a, w.b):
        site.wait_end(LINK, lambda e: e["phase"] == "staged" and e["state"] == "staged", "staged")
    w.a.wait_alarm(LINK, "NO-PEER")
    expect(set.union(*sending(w).values()) == {row["key_id"]}, "not the old key: %s", sending(w))
    w.relay.all()
    expect(settled(w, above=seq)["seq"] == seq + 1 and failed(w) == before, "it began again: %s", failed(w))


def case_channel_down_after_activate(w):
    """both use the new key; the old one goes when the device sees that the peer does, and not before"""
    row, before = settled(w), failed(w)
    cut = []

    def passes(sender, f):
        if sender is w.a and f[5] == "A" and int(f[4]) > row["seq"] and not cut:
            cut.append(f[6])
            return True  # the last one that comes through
        return not cut

    w.relay.passes = passes
    seq = rotate(w)
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "NO-PEER")
    expect(sending(w) == {"east": {cut[0]}, "west": {cut[0]}}, "not the new key: %s", sending(w))
    settled(w, above=seq)  # without a word from each other
    w.relay.all()
    expect(settled(w, above=seq)["seq"] == seq + 1 and failed(w) == before, "it began again: %s", failed(w))
    w.a.wait_alarm(LINK, "NO-PEER", on=False)


def case_slave_never_hears_activate(w):
    """the master uses the new key, the slave hears it and sees that it is used: it follows without being told"""
    row, before = settled(w), failed(w)
    w.relay.passes = lambda sender, f: not (sender is w.a and f[5] == "A" and int(f[4]) > row["seq"])
    seq = rotate(w)
    w.b.wait_alarm(LINK, "NO-PEER")
    new = w.b.wait_end(LINK, lambda e: e["phase"] == "idle" and e["seq"] > seq, "the slave follows")["key_id"]
    expect(new != row["key_id"] and sending(w) == {"east": {new}, "west": {new}}, "not the new key: %s", sending(w))
    w.relay.all()
    expect(settled(w, above=seq)["seq"] == seq + 1 and failed(w) == before, "it began again: %s", failed(w))


def case_channel_down_before_offer(w):
    """the master waits with the key staged, the slave knows of nothing; the old key stays in use at both"""
    row, before = settled(w), failed(w)
    w.relay.passes = lambda sender, f: False
    seq = rotate(w)
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "NO-PEER")
    expect(sending(w) == {"east": {row["key_id"]}, "west": {row["key_id"]}}, "not the old key: %s", sending(w))
    w.relay.all()
    expect(settled(w, above=seq)["seq"] == seq + 1 and failed(w) == before, "it began again: %s", failed(w))


def case_both_masters(w):
    """the smaller SAE ID stays master, the other end gives way and says so; rotations go on"""
    w.b.conf["links"][0]["role"] = "master"
    w.b.save()
    w.b.ask("reload")
    w.b.wait_alarm(LINK, "ROLE-CONFLICT")
    goes_on(w)
    goes_on(w)
    expect(w.a.end(LINK)["role"] == "master" and w.b.end(LINK)["role"] == "slave", "the rule was not applied")
    expect("ROLE-CONFLICT" in w.b.end(LINK)["alarms"], "the alarm went while the configuration is still wrong")
    del w.b.conf["links"][0]["role"]
    w.b.save()
    w.b.ask("reload")
    w.b.wait_alarm(LINK, "ROLE-CONFLICT", on=False)
    goes_on(w)


# ---- a hostile channel ----

def forgeries(w):
    """What who can write to the channel, but has not its key, can make of an offer."""
    good = [text for sender, text in w.relay.seen if sender == "A" and text.split(b"|")[5] == b"O"][-1].rstrip(b"\n")
    f = good.split(b"|")
    made = [b"|".join(f[:4] + [b"%d" % (int(f[4]) + n), f[5], b"0123-%d" % n] + f[7:]) for n in (1, 2, 4, 1000)]
    made += [b"|".join(f[:3] + [b"9"] + f[4:])]                       # a higher term
    made += [b"|".join(f[:1] + [b"link-2"] + f[2:])]                  # another link
    made += [good[:-1] + (b"0" if good[-1:] != b"0" else b"1"), good[:-32] + b"0" * 32]
    made += [[text for sender, text in w.relay.seen if sender == "B"][-1].rstrip(b"\n")]  # its own words
    made += [b"", b"|" * 200, b"rk1" * 20, os.urandom(200).hex().encode(), b"A" * 65536]
    return made


def refused_lines(site, at):
    return [line for line in site.log()[at:].splitlines() if "ev=record-refused" in line]


def deliver(w, text):
    """Put a record before the slave, and give it a moment to be read before the next one takes its place."""
    target = w.b.dir + "/in/" + LINK + ".rec"
    put_record(target, text + b"\n")
    rig.pause(0.02)


def key_calls(site):
    return sum(row["calls"] for row in site.ask("sources"))


def nothing_happened(w, do):
    """The numbers stay, no source is called, no device is changed."""
    rows = [site.end(LINK) for site in (w.a, w.b)]
    calls = [key_calls(site) for site in (w.a, w.b)]
    was, at = counts(w), [len(site.log()) for site in (w.a, w.b)]
    do()
    for site, row, n, start in zip((w.a, w.b), rows, calls, at):
        now = site.end(LINK)
        expect(all(now[k] == row[k] for k in ("seq", "key_id", "phase", "failed", "role")), "%s: %s, was %s", site.name,
               now, row)
        expect(key_calls(site) == n, "%s: a source was asked for a key", site.name)
        lines = refused_lines(site, start)
        expect(len(lines) <= LINES_MAX, "%s: %d lines in the log: %s", site.name, len(lines), lines[-3:])
    expect(counts(w) == was, "a device was told something: %s, before %s", counts(w), was)


def heard_again(w):
    """The slave has read what was put before it: it hears the master again, and not the forger."""
    w.relay.all()
    w.b.wait_end(LINK, lambda e: e["peer"]["heard_ms"] < 250, "the master is heard")


def case_forged_key_id(w):
    """no effect on the number, no call to a source, a few lines in the log however many there are"""
    goes_on(w)
    w.relay.passes = lambda sender, f: False

    def forge():
        for _ in range(8):
            for text in forgeries(w):
                deliver(w, text)
        w.b.wait_log("ev=record-refused")
        heard_again(w)

    nothing_happened(w, forge)
    goes_on(w)


def case_replayed_key_id(w):
    """every record that was ever sent, again: none counts, for each is older than what is known"""
    goes_on(w)
    goes_on(w)
    w.relay.passes = lambda sender, f: False
    old = [text.rstrip(b"\n") for sender, text in w.relay.seen if sender == "A"]
    expect(len({text.split(b"|")[4] for text in old}) >= 3, "records of too few rotations")

    def replay():
        for text in old + old[::-1]:
            deliver(w, text)
        heard_again(w)

    nothing_happened(w, replay)
    goes_on(w)


sys.exit(run([(set_up, [case_staged_lost_for_ever, case_channel_down_after_activate, case_slave_never_hears_activate,
                        case_channel_down_before_offer, case_both_masters, case_forged_key_id, case_replayed_key_id])]))
