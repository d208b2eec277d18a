# field_failures.py - what broke other rotators in the field, each as a case: here it does not hurt.
#
# The numbers are those of the table in doc/reliability.md, section "What broke in the field".  Two sites and a spool
# channel, with files moved by hand where the failure is one of the way; static keys, or a KME at each end.
import json
import os
import random
import shutil
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True
import records  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

LINK, QUIET = "link-1", "quiet"
SLOTS = 4


def add_quiet(w):
    """A link that is never due: only a mistake can rotate it."""
    for site, other in ((w.a, w.b), (w.b, w.a)):
        site.conf["defaults"].update(interval="500ms", drain="50ms")
        site.link(QUIET, device=list(site.conf["devices"])[0], interface="port9", source="keys", channel="box",
                  interval="1h", **{"peer-sae": other.sae})
        site.save()


def start(w):
    for site in (w.a, w.b):
        site.start()
    for site in (w.a, w.b):
        site.wait_end(LINK, lambda e: e["rotations"] >= 1, "a rotation")


def set_up_static(w):
    w.rig = rig.Rig()
    w.a, w.b = w.rig.pair()
    add_quiet(w)
    start(w)


def set_up_kme(w):
    w.rig = rig.Rig(plugins=("sim", "spool", "etsi014"))
    w.kmes = rig.KmePair(w.rig)
    for kme in (w.kmes.a, w.kmes.b):
        kme.conf["key-size"] = 1024
    w.kmes.start()
    w.a, w.b = w.rig.pair(w.kmes.source)
    add_quiet(w)
    start(w)


def goes_on(w, more=1, link=LINK):
    for site in (w.a, w.b):
        site.wait_rotations(link, more)
    w.rig.still_well()


def holds(w, key, seconds=1.5):
    """The key in use stays, at both ends, for three intervals and more."""
    rig.wait_for(lambda: w.a.end(LINK)["key_age_ms"] > seconds * 1000, "three intervals have passed", rig=w.rig)
    for site in (w.a, w.b):
        expect(site.end(LINK)["key_id"] == key, "%s: the key in use changed", site.name)
    w.rig.oracle.check()


def events(w):
    """Lines of the devices: [{op, dev, iface, link, an, ...}]"""
    with open(w.rig.oracle.path, encoding="ascii") as f:
        return [dict(word.split("=", 1) for word in line.split()) for line in f.read().splitlines()]


# ---- with static keys ----

def nothing_but_keys(w):
    """1, 2, 10, 22: a rotation is three effects on a device, on keys alone, whatever slot is the last; the key in use is
    in none of them."""
    goes_on(w, SLOTS + 1)
    ops = [e for e in events(w) if e["link"] == LINK and e["op"] != "boot" and e["err"] == "0"]
    expect({e["op"] for e in ops} <= {"stage", "activate", "retire"}, "other effects: %s", {e["op"] for e in ops})
    for device in ("east", "west"):
        mine = [e for e in ops if e["dev"] == device]
        staged = {e["id"] for e in mine if e["op"] == "stage"}
        for key in staged:
            n = sum(e["id"] == key for e in mine)
            expect(n <= 3, "%d effects for one key on %s", n, device)
        slots = [e["an"] for e in mine if e["op"] == "activate"]
        expect(set(slots) == {"0", "1", "2", "3"}, "%s: slots %s", device, slots)
    w.rig.oracle.check()  # it fails when an end that sends with a key is left without one


def asked_in_a_hurry(w):
    """22: an operator who asks again and again in the middle of rotations: three keys at most, and none in use goes."""
    for i in range(30):
        (w.a, w.b)[i % 2].ask("rotate", LINK)
    goes_on(w, 2)
    held = {}
    for e in events(w):
        if e["err"] != "0" or e["op"] not in ("stage", "retire"):
            continue
        keys = held.setdefault((e["dev"], e["iface"]), set())
        keys.add(e["an"]) if e["op"] == "stage" else keys.discard(e["an"])
        expect(len(keys) <= 3, "%d keys on %s at %s", len(keys), e["dev"], e)


def silent_stall(w):
    """5: the peer stands still, the link works and everything else looks well: the age of the key is an alarm."""
    key = w.a.wait_end(LINK, lambda e: e["state"] == "idle", "idle")["key_id"]
    os.kill(w.b.process.pid, signal.SIGSTOP)
    try:
        w.a.wait_alarm(LINK, "OVERDUE")
        w.a.wait_alarm(LINK, "EXPIRED")
        code, said, _ = w.a.ctl("status", "--check-alarms")
        expect(code == 4, "rekeyctl status --check-alarms: exit %d", code)
        expect(w.a.end(LINK)["state"] in ("staged", "idle", "active", "observing"), "%s", w.a.end(LINK))
        w.rig.oracle.check()
        expect(all(w.rig.oracle.sent_with(LINK).values()), "an end sends with no key; it was %s", key)
    finally:
        os.kill(w.b.process.pid, signal.SIGCONT)
    goes_on(w, 2)
    for alarm in ("OVERDUE", "EXPIRED"):
        w.a.wait_alarm(LINK, alarm, on=False)


def late_answer(w):
    """11: the peer takes longer than an interval for its part: it is waited for, and nothing is given up."""
    failed = w.a.end(LINK)["failed"]
    w.b.mode("west", "slow")
    w.a.wait_rotations(LINK, 2)
    w.b.mode("west", "ok")
    expect(w.a.end(LINK)["failed"] == failed, "the master gave up: %s", w.a.end(LINK)["last"])
    goes_on(w)


def says_done(w):
    """12, 13: a device that says done and did nothing is found out before anyone sends with the key."""
    w.b.mode("west", "lie")
    failed = w.b.end(LINK)["failed"]
    w.rig.oracle.check()
    sent = w.rig.oracle.count("activate", "east")
    w.b.wait_end(LINK, lambda e: e["failed"] >= failed + 2, "it is found out, twice")
    w.rig.oracle.check()
    expect(w.rig.oracle.count("activate", "east") <= sent + 1, "A sends with keys that B does not hold")
    w.b.mode("west", "ok")
    goes_on(w, 2)


def unreadable(w):
    """16: a device whose state cannot be read is not one without keys: an alarm, and all stays."""
    w.b.conf["devices"]["west"]["fault-observe"] = "yes"
    w.b.save()
    w.b.ask("reload")
    goes_on(w)
    retired = w.rig.oracle.count("retire", "west")
    w.b.mode("west", "fail")
    w.b.wait_alarm(LINK, "DEVICE")
    w.rig.oracle.check()
    expect(w.rig.oracle.count("retire", "west") <= retired + 1, "keys were removed")
    expect(w.b.end(LINK)["key_id"], "it thinks that it has no key")
    w.b.mode("west", "ok")
    w.b.wait_alarm(LINK, "DEVICE", on=False)
    goes_on(w)


def auth_key_at_one_end(w):
    """14: the channel's key is changed at one end first: records are refused and counted, the key in use stays; as soon
    as the other end has it too, all goes on."""
    name = "%s/auth.key" % w.a.dir
    old = open(name).read()
    new = rig.new_secret()

    def change(site):
        rig.write(site.dir + "/auth-2.key", new)
        site.conf["channels"]["box"]["auth-key"] = "file:" + site.dir + "/auth-2.key"
        site.save()
        site.ask("reload")
    change(w.a)
    w.b.wait_end(LINK, lambda e: e["refused"] and "wrong tag" in e["refused"]["why"], "records are refused")
    w.b.wait_alarm(LINK, "NO-PEER")
    w.rig.oracle.check()
    expect(all(w.rig.oracle.sent_with(LINK).values()), "an end sends with no key")
    change(w.b)
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "NO-PEER", on=False)
    goes_on(w, 2)
    expect(open(name).read() == old, "the old key is gone")


def idle_peer_is_fresh(w):
    """15: of a link without rotations each end says again how it is, so what is old is known to be old."""
    for site in (w.a, w.b):
        for _ in range(3):
            expect("NO-PEER" not in site.end(QUIET)["alarms"], "NO-PEER in a quiet link")
            rig.wait_for(lambda: site.end(QUIET)["peer"]["heard_ms"] > 150, "time passes", rig=w.rig)
            rig.wait_for(lambda: site.end(QUIET)["peer"]["heard_ms"] < 150, "it is heard again", rig=w.rig)


def overwritten(w):
    """18: a record is overwritten by an older one before it was read: it is said again, and heard then."""
    w.a.wait_end(QUIET, lambda e: e["state"] == "idle", "idle")
    path, host = records.path(w.b, QUIET), w.b.plugin("spool")["pid"]
    with open(path, "rb") as f:
        old = f.read()
    before = {site.name: site.end(QUIET)["rotations"] for site in (w.a, w.b)}
    os.kill(host, signal.SIGSTOP)
    try:
        w.a.ask("rotate", QUIET)
        w.a.wait_end(QUIET, lambda e: e["state"] == "staged", "the offer is made")
        rig.wait_for(lambda: open(path, "rb").read() != old, "the offer is published", rig=w.rig, timeout=20)
        records.put(w.b, QUIET, old)
    finally:
        os.kill(host, signal.SIGCONT)
    for site in (w.a, w.b):
        site.wait_end(QUIET, lambda e, n=before[site.name]: e["rotations"] == n + 1, "the rotation is done")
    goes_on(w)


def inbox_of_another(w):
    """19: a directory that others may write into is not read, and it is said why; closed again, it is."""
    folder = w.b.conf["channels"]["box"]["peer-dir"]
    at = len(w.b.log())
    os.chmod(folder, 0o777)
    w.b.wait_log(r"ev=watch channel=box res=unsafe why=.*chmod go-w", after=at)
    w.b.wait_alarm(LINK, "NO-PEER")
    os.chmod(folder, 0o700)
    w.b.wait_alarm(LINK, "NO-PEER", on=False)
    goes_on(w)


def redeployed(w):
    """17: one end loses all it remembers while its device is in use: the key in use is taken over from the device."""
    w.b.wait_end(QUIET, lambda e: e["state"] == "idle", "idle")
    key, seq = w.b.end(QUIET)["key_id"], w.a.end(QUIET)["seq"]
    w.b.stop()
    shutil.rmtree(w.b.state_dir)
    w.b.start()
    w.b.wait_end(QUIET, lambda e: e["key_id"] == key, "the key in use is taken over")
    goes_on(w, 2)
    expect(w.a.end(QUIET)["key_id"] == key and w.a.end(QUIET)["seq"] == seq, "the quiet link was rotated for it")


def stale_locks(w):
    """33: what a killed process leaves (its socket, its lock, half a file) does not keep the next one from working; and
    two at once cannot be."""
    code, err = w.b.run()
    expect(code != 0 and "another rekeyd" in err, "a second rekeyd: exit %d: %s", code, err)
    w.b.kill()
    left = [w.b.out + "/%s.rec.tmp-0123abcd" % LINK, w.b.state_dir + "/journal.db-journal.lock"]
    rig.write(left[0], "half")
    os.mkdir(left[1])
    expect(os.path.exists(w.b.control), "no socket is left: this test shows nothing")
    w.b.start()
    goes_on(w)
    expect(not os.path.exists(left[0]), "half a record stays")
    os.rmdir(left[1])


# ---- with a KME ----

def one_failure(w):
    """3: the KME fails, for a while: it is asked again all the time, the key in use stays, and at its return all goes on."""
    key = w.a.wait_end(LINK, lambda e: e["state"] == "idle", "idle")["key_id"]
    w.kmes.a.fault("refuse-enc")
    w.a.wait_alarm(LINK, "SOURCE")
    key = w.a.end(LINK)["key_id"]
    holds(w, key, seconds=2)
    asked = enc_asked(w)
    rig.wait_for(lambda: enc_asked(w) >= asked + 4, "it is asked again and again", rig=w.rig)
    expect({e["op"] for e in events(w)} <= {"stage", "activate", "retire", "boot"}, "something else was touched")
    os.unlink(w.kmes.a.fault_file)
    goes_on(w)
    w.a.wait_alarm(LINK, "SOURCE", on=False)


def enc_asked(w):
    with open("%s/%s.log" % (w.rig.dir, w.kmes.a.name)) as f:
        return sum("enc_keys" in line for line in f)


def source_dry(w):
    """6: all keys are used up: the last one stays in use; when there are keys again, rotations go on by themselves."""
    pool = w.kmes.a.conf.get("pool")
    w.kmes.a.kill()
    w.kmes.a.conf["pool"] = {"keys": 2, "refill": 0}
    w.kmes.a.start()
    w.a.wait_end(LINK, lambda e: set(e["alarms"]) & {"SOURCE", "SOURCE-DRY"}, "no key is left")
    w.a.wait_end(LINK, lambda e: e["last"]["result"] == "no-keys", "the reason is said")
    holds(w, w.a.end(LINK)["key_id"])
    w.kmes.a.kill()
    if pool:
        w.kmes.a.conf["pool"] = pool
    else:
        del w.kmes.a.conf["pool"]
    w.kmes.a.start()
    goes_on(w, 2)
    w.a.wait_end(LINK, lambda e: not set(e["alarms"]) & {"SOURCE", "SOURCE-DRY"}, "the alarm has gone")


def first_key_at_once(w):
    """23: a link that has no key yet does not wait for its place in an interval of an hour."""
    for site in (w.a, w.b):
        row = site.end(QUIET)
        expect(row["rotations"] == 1 and row["key_id"], "%s: %s", site.name, row)


def asked_size(w):
    """28: a KME whose keys have 1024 bits unless told otherwise: 256 are asked for, and come."""
    for site in (w.a, w.b):
        expect(site.end(LINK)["rotations"] >= 1 and site.end(LINK)["failed"] == 0, "%s", site.end(LINK))
    w.kmes.a.fault("long-key")
    w.a.wait_end(LINK, lambda e: e["last"]["result"] == "key-size", "keys of another size are refused")
    os.unlink(w.kmes.a.fault_file)
    goes_on(w)


def unreadable_key(w):
    """29: a TLS key that others can read, or that is not there: no success is reported, and the reason names the file."""
    good = dict(w.a.conf["sources"]["keys"])
    path = good["key"].partition(":")[2]
    os.chmod(path, 0o644)
    for key, says in ((good["key"] + "", "chmod 600"), ("file:/nonexistent/client.key", "/nonexistent/client.key")):
        w.a.conf["sources"]["keys"] = dict(good, key=key, **{"kme-id": "kme-a"})
        w.a.save()
        w.a.ask("reload")
        row = w.a.wait_end(LINK, lambda e: says in ((e["last"] or {}).get("why") or ""), says)
        expect(row["key_id"] and "SOURCE" in row["alarms"], "%s", row)
    os.chmod(path, 0o600)
    w.a.conf["sources"]["keys"] = good
    w.a.save()
    w.a.ask("reload")
    w.a.wait_alarm(LINK, "SOURCE", on=False)
    goes_on(w)


def dec_fails_for_ever(w):
    """3.14 e: the slave never gets the key: it says so, the master withdraws, and nobody sends with it."""
    w.kmes.b.fault("not-found")
    w.b.wait_alarm(LINK, "SOURCE")
    key = w.a.wait_end(LINK, lambda e: e["last"]["result"] == "rejected", "the master hears of it")["key_id"]
    w.rig.oracle.check()
    sent = w.rig.oracle.count("activate", "east")
    failed = w.a.end(LINK)["failed"]
    w.a.wait_end(LINK, lambda e: e["failed"] >= failed + 1, "a new key is tried")
    w.rig.oracle.check()
    expect(w.rig.oracle.count("activate", "east") == sent, "the master sends with a key that the slave has not got")
    expect(w.a.end(LINK)["key_id"] == key == w.b.end(LINK)["key_id"], "the key in use changed")
    os.unlink(w.kmes.b.fault_file)
    goes_on(w)


# ---- a slow way, wrong clocks ----

class Mover:
    """Carries files from one directory to another every now and then, with times that are wrong by years."""

    def __init__(self, pairs, every_s):
        self.pairs, self.every_s, self.moved = pairs, every_s, 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopped.wait(self.every_s):
            for source, target in self.pairs:
                try:
                    self.move(source, target)
                except FileNotFoundError:  # replaced meanwhile, or the world has ended
                    continue

    def move(self, source, target):
        for name in os.listdir(source):
            if not name.endswith(".rec"):
                continue
            temp = "%s/.moving-%s" % (target, name)
            shutil.copyfile(source + "/" + name, temp)
            at = time.time() + random.choice((-1, 1)) * 365 * 86400
            os.utime(temp, (at, at))
            os.rename(temp, target + "/" + name)
            self.moved += 1

    def stop(self):
        self.stopped.set()
        self.thread.join(10)


def set_up_slow_way(w):
    w.rig = rig.Rig()
    w.a, w.b = w.rig.pair()
    pairs = []
    for site, other in ((w.a, w.b), (w.b, w.a)):
        inbox = site.dir + "/in"
        os.mkdir(inbox, 0o700)
        pairs.append((other.out, inbox))
        site.conf["channels"]["box"]["peer-dir"] = inbox
        site.conf["defaults"].update(interval="300ms", drain="50ms")
        site.save()
    w.mover = Mover(pairs, 0.5)
    try:
        for site, zone in ((w.a, "Pacific/Kiritimati"), (w.b, "Pacific/Pago_Pago")):
            os.environ["TZ"] = zone
            site.start()
    finally:
        del os.environ["TZ"]


def slow_way(w):
    """24, 25: the way takes longer than an interval, and its times are a year off: rotations take longer, the ends are
    never without a common key."""
    goes_on(w, 2)
    expect(w.mover.moved > 0, "nothing was moved")
    for site in (w.a, w.b):
        expect(site.end(LINK)["failed"] == 0, "%s: %s", site.name, site.end(LINK)["last"])
    expect(all(w.rig.oracle.sent_with(LINK).values()), "an end sends with no key")


def time_zones(w):
    """4: one end a day ahead of the other by its zone: ages and dues do not know it."""
    for site in (w.a, w.b):
        with open("/proc/%d/environ" % site.process.pid) as f:
            expect("TZ=Pacific/" in f.read(), "%s has no zone of its own", site.name)
        expect(0 <= site.end(LINK)["key_age_ms"] < 60000, "%s: %s", site.name, site.end(LINK))
        row = site.ask("history", LINK, "--limit", "1")[0]
        expect(abs(row["time_unix_ms"] / 1000 - time.time()) < 60, "the history has local times: %s", row)


# ---- names that begin alike ----

ALIKE = ("a-b-1", "a-b-10", "a-b-1.rec", "a-b-100")


def set_up_alike(w):
    w.rig = rig.Rig()
    w.a, w.b = w.rig.pair(link=ALIKE[0])
    for site, other in ((w.a, w.b), (w.b, w.a)):
        site.conf["links"][0]["interval"] = "1h"
        for port, link in enumerate(ALIKE[1:], 1):
            site.link(link, device=list(site.conf["devices"])[0], interface="port0%s" % ("" if port == 0 else port),
                      source="keys", channel="box", interval="1h", **{"peer-sae": other.sae})
        site.save()
        site.start()
    for site in (w.a, w.b):
        for link in ALIKE:
            site.wait_end(link, lambda e: e["rotations"] >= 1 and e["state"] == "idle", "a first key")


def names_are_exact(w):
    """3.14 c: links whose names begin alike, on interfaces whose names do: each gets its own keys, and a rotation of one
    is a rotation of one."""
    for turn, link in enumerate(ALIKE):
        before = {other: w.b.end(other)["key_id"] for other in ALIKE}
        w.a.ask("rotate", link)
        for site in (w.a, w.b):
            site.wait_end(link, lambda e: e["rotations"] >= 2 and e["state"] == "idle", "it is rotated")
        after = {other: w.b.end(other)["key_id"] for other in ALIKE}
        expect([x for x in ALIKE if after[x] != before[x]] == [link], "turn %d: %s, then %s", turn, before, after)
    keys = [w.a.end(link)["key_id"] for link in ALIKE]
    expect(len(set(keys)) == len(ALIKE), "one key for two links: %s", keys)
    for e in events(w):
        expect(e["iface"] == "port0" + (str(ALIKE.index(e["link"])) if e["link"] != ALIKE[0] else ""), "wrong link: %s", e)


def cross_fed(w):
    """3.14 c: the file of one in the place of another that begins alike."""
    good = {}
    for link in ALIKE:
        with open(records.path(w.b, link), "rb") as f:
            good[link] = f.read()
    for link, other in ((ALIKE[0], ALIKE[1]), (ALIKE[1], ALIKE[0]), (ALIKE[3], ALIKE[1])):
        records.put(w.b, link, good[other])
        w.b.wait_end(link, lambda e: e["refused"] and "wrong tag" in e["refused"]["why"], "it is refused")
    names_still(w)


def names_still(w):
    for link in ALIKE:
        a, b = w.a.end(link), w.b.end(link)
        expect(a["key_id"] == b["key_id"] and a["rotations"] == b["rotations"] == 2, "%s %s", a, b)


# ---- a plugin that cannot be loaded ----

def broken_plugin():
    """26: a module that cannot be loaded is said at once, with its name, and stops the start."""
    with rig.Rig() as r:
        r.plugin_dir = r.dir + "/plugins"
        os.mkdir(r.plugin_dir, 0o755)
        for name in os.listdir(rig.PLUGINS):
            os.symlink(rig.PLUGINS + "/" + name, r.plugin_dir + "/" + name)
        os.unlink(r.plugin_dir + "/static.so")
        rig.write(r.plugin_dir + "/static.so", b"\x7fELF garbage", 0o755)
        a, _ = r.pair()
        code, err = a.run("--check")
        expect(code != 0 and "static" in err and "cannot be used" in err, "exit %d: %s", code, err)
        code, err = a.run()
        expect(code != 0 and "static" in err, "exit %d: %s", code, err)


def main():
    static, kme, slow, alike = (rig.World(f) for f in (set_up_static, set_up_kme, set_up_slow_way, set_up_alike))
    cases = [("field_26_broken_plugin_is_said", broken_plugin)]
    cases += [(name, static.case(function)) for name, function in (
        ("field_01_02_10_nothing_but_keys", nothing_but_keys),
        ("field_22_asked_in_a_hurry", asked_in_a_hurry),
        ("field_05_silent_stall_is_an_alarm", silent_stall),
        ("field_11_late_answer_is_awaited", late_answer),
        ("field_15_idle_peer_is_fresh", idle_peer_is_fresh),
        ("field_18_overwritten_records", overwritten),
        ("field_19_inbox_open_to_others", inbox_of_another),
        ("field_14_auth_key_changed_at_one_end", auth_key_at_one_end),
        ("field_16_unreadable_device_keeps_its_keys", unreadable),
        ("field_17_redeployed_over_a_live_link", redeployed),
        ("field_33_stale_locks", stale_locks),
        ("field_12_device_that_only_says_done", says_done))]
    cases.append(("all ends well with static keys", static.last_case()))
    cases += [(name, kme.case(function)) for name, function in (
        ("field_28_key_size_is_asked", asked_size),
        ("field_23_first_key_at_once", first_key_at_once),
        ("field_03_kme_failure_is_no_end", one_failure),
        ("field_06_source_dry_and_refilled", source_dry),
        ("field_29_unreadable_tls_key", unreadable_key),
        ("field_314e_dec_fails_for_ever", dec_fails_for_ever))]
    cases.append(("all ends well with KMEs", kme.last_case()))
    cases += [("field_24_25_slow_way_wrong_times", slow.case(slow_way)), ("field_04_time_zones", slow.case(time_zones)),
              ("all ends well on a slow way", slow.last_case()),
              ("field_314c_names_are_exact", alike.case(names_are_exact)),
              ("field_314c_files_of_names_alike", alike.case(cross_fed)),
              ("all ends well with names alike", alike.last_case())]
    try:
        return rig.run_cases(cases)
    finally:
        if hasattr(slow, "mover"):
            slow.mover.stop()
        for w in (static, kme, slow, alike):
            w.close()


sys.exit(main())
