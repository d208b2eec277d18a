# kills.py - kill -9 of everything, at random moments of rotations: the link is never broken, what was killed comes
# back, the next rotation is done soon, and a device is taken over as it is.
#
# REKEY_SEED=N repeats the moments of a run; REKEY_ROUNDS=N kills each N times.
import os
import random
import signal
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

ROUNDS = int(os.environ.get("REKEY_ROUNDS") or 3)
INTERVAL_S = 1.0
BACKOFF_S = 2.0  # of a host that is killed at each round
SLACK_S = 12     # for a busy machine
LINK = "link-1"
SEED = int(os.environ.get("REKEY_SEED") or random.SystemRandom().randrange(1 << 32))
moments = random.Random(SEED)


def set_up(w):
    w.rig = rig.Rig(plugins=("sim", "spool", "etsi014"))
    w.kmes = rig.KmePair(w.rig)
    w.kmes.start()
    w.a, w.b = w.rig.pair(w.kmes.source)
    for site in (w.a, w.b):
        site.start()
    for site in (w.a, w.b):
        site.wait_end(LINK, lambda e: e["rotations"] >= 2, "2 rotations")


def begins(w):
    """Ask for a rotation, and let a random part of it pass: at most its length, and that of the drain."""
    code, _, _ = w.a.ctl("rotate", LINK)
    expect(code == 0, "rotate: exit %d", code)
    rig.pause(moments.choice([moments.uniform(0, 0.03), moments.uniform(0, 0.3)]))


def follows(w, before):
    """Both ends complete a rotation that began after now, and have the same key."""
    for site in (w.a, w.b):
        site.wait_end(LINK, lambda e, n=site.name: e["seq"] > before[n] and e["phase"] == "idle" and e["last"] and
                      e["last"]["result"] == "ok", "a rotation after %d is done" % before[site.name],
                      timeout=2 * INTERVAL_S + BACKOFF_S + SLACK_S)
    w.rig.still_well()


def seqs(w):
    return {site.name: site.end(LINK)["seq"] for site in (w.a, w.b)}


def kill_host(site_name, plugin):
    def run(w):
        site = getattr(w, site_name)
        for _ in range(ROUNDS):
            pid = site.plugin(plugin)["pid"]
            restarts = site.plugin(plugin)["restarts"]
            before = seqs(w)
            begins(w)
            os.kill(pid, signal.SIGKILL)
            row = rig.wait_for(lambda: up_again(site, plugin, pid), "%s: plugin %s is up again" % (site.name, plugin),
                               rig=w.rig)
            expect(row["restarts"] == restarts + 1, "%s: %d restarts, not %d", plugin, row["restarts"], restarts + 1)
            expect("signal 9" in row["last_exit"], "%s: last exit %s", plugin, row["last_exit"])
            follows(w, before)
    return run


def up_again(site, plugin, old_pid):
    row = site.plugin(plugin)
    return row if row["state"] == "up" and row["pid"] != old_pid else None


def kill_daemon(site_name):
    def run(w):
        site = getattr(w, site_name)
        device = "east" if site is w.a else "west"
        for _ in range(ROUNDS):
            before = seqs(w)
            begins(w)
            site.kill()
            w.rig.oracle.check()
            held = w.rig.oracle.sent_with(LINK)[device]
            done = [w.rig.oracle.count(op, device) for op in ("stage", "activate")]
            site.start()
            row = site.wait_end(LINK, lambda e: e["state"] != "observing", "the device was read")
            w.rig.oracle.check()
            # it may have rotated once since, with a new key or the one that was staged: the oracle sees a key that comes back
            if [w.rig.oracle.count(op, device) for op in ("stage", "activate")] == done and row["phase"] == "idle":
                expect(row["key_id"] in held, "%s: key %s in use, the device had %s", site.name, row["key_id"], held)
            follows(w, before)
    return run


def kill_kme(name):
    def run(w):
        kme = getattr(w.kmes, name)
        for _ in range(ROUNDS):
            begins(w)
            kme.kill()
            rig.pause(moments.uniform(0, 2 * INTERVAL_S))
            before = seqs(w)
            kme.start()
            follows(w, before)
    return run


def at_rest(w):
    """From now on nothing rotates, and the last rotation is over at both ends: one that is stopped in its middle is
    ended, or given up, by the next start."""
    for site in (w.a, w.b):
        site.conf["defaults"]["interval"] = "30d"
        site.save()
        site.ask("reload")

    def over():
        a, b = w.a.end(LINK), w.b.end(LINK)
        return all(e["phase"] == e["state"] == "idle" for e in (a, b)) and a["key_id"] == b["key_id"] and \
            a["seq"] == b["seq"]

    rig.wait_for(over, "both ends are at rest", rig=w.rig)


def adopted(w):
    """Between rotations nothing is done to a device by a restart: the same key, and no operation at all."""
    at_rest(w)
    for site in (w.a, w.b):
        site.stop()
    w.rig.oracle.check()
    held = w.rig.oracle.sent_with(LINK)
    before = {op: w.rig.oracle.count(op, "east") for op in ("stage", "activate", "retire")}
    w.a.start()  # alone: no rotation can begin
    row = w.a.wait_end(LINK, lambda e: e["phase"] == e["state"] == "idle", "idle")
    w.a.kill()
    w.a.start()
    after = w.a.wait_end(LINK, lambda e: e["phase"] == e["state"] == "idle", "idle again")
    expect(row["key_id"] == after["key_id"], "another key after the restart: %s, %s", row["key_id"], after["key_id"])
    expect(held["east"] == {after["key_id"]}, "the device sends with %s, rekeyd knows %s", held["east"], after["key_id"])
    w.rig.oracle.check()
    now = {op: w.rig.oracle.count(op, "east") for op in before}
    expect(now == before, "the restarts did something to the device: %s, before %s", now, before)
    w.b.start()


def main():
    w = rig.World(set_up)
    cases = [("kill -9 of rekeyd A", kill_daemon("a")), ("kill -9 of rekeyd B", kill_daemon("b"))]
    for site, plugin in (("a", "sim"), ("b", "sim"), ("a", "etsi014"), ("b", "etsi014"), ("a", "spool"), ("b", "spool")):
        cases.append(("kill -9 of the %s host of %s" % (plugin, site.upper()), kill_host(site, plugin)))
    cases += [("kill -9 of KME A", kill_kme("a")), ("kill -9 of KME B", kill_kme("b")),
              ("a restart of rekeyd adopts the device", adopted)]
    print("# REKEY_SEED=%d" % SEED)
    try:
        return rig.run_cases([(name, w.case(function)) for name, function in cases] + [("all ends well", w.last_case())])
    finally:
        w.close()


sys.exit(main())
