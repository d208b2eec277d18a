# cases_state.py - failure cases of what is remembered (doc/reliability.md): a journal that is lost, a device that is
# restarted, answers of a device that are lost, an operator's hand, a stop in the middle of a rotation.
import os
import re
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
import rig  # noqa: E402
from cases_rig import (LINK, arm, ask, counts, device_ops, ended, events, goes_on, pair, rotate, run,  # noqa: E402
                       sending, settled)
from rig import expect  # noqa: E402

STOP_S = 6  # rekeyd gives what must be ended 5 s


def set_up(w):
    pair(w)


def device_of(w, site):
    return "east" if site is w.a else "west"


# ---- a crash between the device's effect and the answer ----

def case_stage_reply_unseen_by_master(w):
    """the device is read back: it holds the key, and the same rotation goes on at the offer"""
    arm(w.a, "phase=fetched act=stage when=answered")
    seq = rotate(w)
    ended(w.a, -9)
    w.rig.oracle.check()
    w.a.start()
    row = settled(w, above=seq)
    ops = device_ops(w, device_of(w, w.a), row["key_id"])
    expect(row["seq"] == seq + 1 and ops == ["stage", "activate"], "%s: %s", row, ops)


def case_stage_reply_unseen_by_slave(w):
    """nothing tells its master that it has the right key: it is removed, and a new number gets a new key"""
    arm(w.b, "phase=intent act=stage when=answered")
    seq = rotate(w)
    ended(w.b, -9)
    w.rig.oracle.check()
    w.b.start()
    row = settled(w, above=seq + 1)
    lost = events(w.b, seq + 1, "burnt")[0]["key_id"]
    ops = device_ops(w, device_of(w, w.b), lost)
    expect(ops == ["stage", "retire"] and row["key_id"] != lost, "%s", ops)


def case_commit_done_session_lost(w):
    """the device is read back instead of asked again: what it did counts, nothing is done to it twice"""
    before = w.a.end(LINK)
    w.b.stop()  # so that the master waits with the key staged
    seq = rotate(w)
    w.a.wait_end(LINK, lambda e: e["state"] == "staged", "staged")
    was = counts(w)
    w.a.mode("east", "unknown")
    w.b.start()
    w.a.wait_end(LINK, lambda e: e["phase"] == "active", "the new key is in use")
    now = counts(w)
    expect(now["activate", "east"] == was["activate", "east"] + 1, "activated again: %s %s", was, now)
    w.a.mode("east", "ok")
    row = settled(w, above=seq)
    expect(row["seq"] == seq + 1 and row["failed"] == before["failed"], "it began again: %s", row)


# ---- journals ----

def lose_journal(site):
    site.stop()
    shutil.rmtree(site.state_dir)


def case_journal_lost_at_one_end(w):
    """what the device and the peer use is taken over, no frame notices; numbers go on above the peer's"""
    for site in (w.a, w.b):
        row, was = settled(w), counts(w)
        lose_journal(site)
        site.start()
        again = settled(w)
        expect(again["key_id"] == row["key_id"] and again["seq"] == row["seq"], "%s: %s", site.name, again)
        expect(events(site, row["seq"], "adopted"), "%s: %s", site.name, events(site, row["seq"]))
        expect(counts(w) == was, "%s: a device was told something", site.name)
        expect(goes_on(w)["seq"] > row["seq"], "a number was used again")


def without_ratchet(w):
    for site in (w.a, w.b):
        site.conf["links"][0]["ratchet"] = "no"
        site.save()
        site.ask("reload")
    goes_on(w)


def case_journals_lost_at_both(w):
    """with ratchet: no the last records of both tell what is in use: it is taken over, and no frame notices"""
    without_ratchet(w)
    row, was = settled(w), counts(w)
    for site in (w.a, w.b):
        lose_journal(site)
    for site in (w.a, w.b):
        site.start()
    again = settled(w)
    expect(again["key_id"] == row["key_id"] and counts(w) == was, "%s, before %s", again, row)
    expect(goes_on(w)["seq"] > row["seq"], "a number was used again")


def case_journals_lost_with_their_keys(w):
    """nobody can check the last records any more, which the key in use has signed: as if they were lost, too"""
    case_journals_and_records_lost(w, records_too=False)


def case_journals_and_records_lost(w, records_too=True):
    """the link carries on with the key that nobody knows, until there is a new one; the unknown key is not removed"""
    row = settled(w)
    for site in (w.a, w.b):
        lose_journal(site)
        if records_too:
            os.unlink("%s/%s.rec" % (site.out, LINK))
    for site in (w.a, w.b):
        site.start()
    after = settled(w)
    expect(after["key_id"] != row["key_id"], "where did it know the key from? %s", after)
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "FOREIGN")
        ops = device_ops(w, device_of(w, site), row["key_id"])
        expect(ops == ["stage", "activate"], "%s: the unknown key: %s", site.name, ops)
    goes_on(w)


# ---- devices ----

def restart_device(site, change=lambda: None):
    """The device's host ends; when it is back, the device has what its state file says."""
    row = site.plugin("sim")
    change()
    os.kill(row["pid"], signal.SIGKILL)
    rig.wait_for(lambda: site.plugin("sim")["restarts"] > row["restarts"] and site.plugin("sim")["state"] == "up",
                 "%s: the device is back" % site.name)


def read_back(site):
    """Wait until the device was read once more."""
    at = len(site.log())
    site.wait_log("ev=step link=%s end=a phase=idle state=observing act=observe when=answered" % LINK, after=at)


def case_device_restarted_keeps_keys(w):
    """it is read back, and nothing else happens"""
    for site in (w.a, w.b):
        row, was = settled(w), counts(w)
        restart_device(site)
        read_back(site)
        again = settled(w)
        expect(again["key_id"] == row["key_id"] and again["failed"] == row["failed"], "%s: %s", site.name, again)
        expect(counts(w) == was, "%s: a device was told something", site.name)
    goes_on(w)


# ---- a stop in the middle ----

def case_stopped_mid_rotation(w):
    """exit status 0 in 5 s; past `activating` the step is ended first; after the start a common key at both"""
    steps = (("phase=intent act=journal when=answered", False), ("phase=staged state=staged when=waits", False),
             ("phase=activating act=activate when=asked", True))
    for site in (w.a, w.b):
        for step, finishes in steps:
            at = len(site.log())
            seq = w.a.end(LINK)["seq"]
            arm(site, step, signal.SIGTERM)
            ask(w)
            site.wait_log("ev=stop$|ev=stop\n", after=at)
            began = time.monotonic()
            ended(site, 0)
            took = time.monotonic() - began
            expect(took < STOP_S, "%s: %s: it took %.1f s", site.name, step, took)
            begun = re.search("phase=activating .*act=activate when=asked", site.log()[at:])
            done = re.search("phase=active .*act=journal when=answered", site.log()[at:])
            expect(bool(done) == bool(begun), "%s: %s: begun %s, ended %s", site.name, step, bool(begun), bool(done))
            expect(done or not finishes, "%s: %s: not ended", site.name, step)
            w.rig.oracle.check()
            site.start()
            settled(w, above=seq)


# ---- where the link cannot be kept ----

def link_may_break(w):
    """The rest of this world does what no rekeyd can make up for: what the devices hold is looked at by the test."""
    w.rig.verify()
    w.rig.oracle.check = lambda: None
    w.rig.verify = w.rig.still_well


def device_state(w, device):
    """(key IDs held, key ID that is sent with) as the device wrote them down"""
    try:
        with open("%s/%s/%s.state" % (w.rig.dir, "A" if device == "east" else "B", device)) as f:
            slots = [line.split() for line in f if line.startswith("slot ")]
    except FileNotFoundError:
        return set(), None
    return {s[5] for s in slots}, next((s[5] for s in slots if "s" in s[2]), None)


def replaced(path):
    """What an operator does by hand: other keys in the slots of the device."""
    with open(path) as f:
        lines = f.read().splitlines()
    for i, line in enumerate(lines):
        word = line.split(" ")
        if word[0] == "slot":
            lines[i] = " ".join(word[:5] + ["by-hand-%s" % word[1], "%032x" % (0xabc0 + int(word[1]))] + word[7:])
    rig.write(path, "\n".join(lines) + "\n")


def case_operator_replaced_keys(w):
    """nothing is begun, taken or deleted while an operator's key is in use; after `adopt` rotations go on"""
    goes_on(w)
    link_may_break(w)
    for site in (w.a, w.b):
        site.stop()
        replaced("%s/%s.state" % (site.dir, device_of(w, site)))
    for site in (w.a, w.b):
        site.start()
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "FOREIGN")
        site.wait_log("ev=held link=%s" % LINK)
    was, rows = [device_state(w, d) for d in ("east", "west")], [site.end(LINK) for site in (w.a, w.b)]
    for site in (w.a, w.b):
        code, said, _ = site.ctl("rotate", LINK)
        expect(code != 0, "a rotation was promised: %s", said)
    for site in (w.a, w.b):
        read_back(site)
    now = [device_state(w, d) for d in ("east", "west")]
    expect(now == was and all("by-hand" in using for _, using in now), "a device was told something: %s %s", was, now)
    expect([site.end(LINK)["seq"] for site in (w.a, w.b)] == [r["seq"] for r in rows], "a rotation was begun")
    for site in (w.a, w.b):
        site.ask("adopt", LINK)
    settled(w, above=max(r["seq"] for r in rows))
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "FOREIGN", on=False)
    goes_on(w)


def case_device_restarted_empty(w):
    """its keys are given up, a fresh one goes to both ends at once; the link is down for one rotation and no longer"""
    link_may_break(w)
    for site in (w.a, w.b):
        row = settled(w)
        restart_device(site, lambda: os.unlink("%s/%s.state" % (site.dir, device_of(w, site))))
        began = time.monotonic()
        after = settled(w, above=row["seq"])
        print("# %s: a common key %.2f s after the device was back" % (site.name, time.monotonic() - began))
        for device in ("east", "west"):
            rig.wait_for(lambda: device_state(w, device) == ({after["key_id"]}, after["key_id"]),
                         lambda: "%s has %s" % (device, device_state(w, device)))
        expect(any(e["event"] == "lost" for e in site.ask("history", LINK)), "no event: lost")
        expect(device_ops(w, "east", row["key_id"]).count("stage") == 1 ==
               device_ops(w, "west", row["key_id"]).count("stage"), "a key was installed again")


sys.exit(run([(set_up, [case_stage_reply_unseen_by_master, case_stage_reply_unseen_by_slave,
                        case_commit_done_session_lost, case_journal_lost_at_one_end,
                        case_device_restarted_keeps_keys, case_stopped_mid_rotation]),
              (set_up, [case_journals_lost_at_both]), (set_up, [case_journals_lost_with_their_keys]),
              (set_up, [case_journals_and_records_lost]), (set_up, [case_device_restarted_empty]),
              (set_up, [case_operator_replaced_keys])]))
