# shim_marker.py - keys pass through rekey-shim.py on routers that ask by themselves: none is in arguments,
# environments, files, logs or tracebacks of the script, of what it starts, or of rekeyd; also when it is killed, and when
# commits fail.
import glob
import os
import sys
import threading

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import marker  # noqa: E402
import mixing  # noqa: E402
import rig  # noqa: E402
import shim_sites  # noqa: E402
from rig import expect  # noqa: E402

LINK = "slots"
FAULTS = ("commit-fails:1", "load-fails:1", "commit-dead:1", "dead:1@load-configuration")
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")


class Watch(threading.Thread):
    """Arguments and environments of all runs of the script and of their children, as often as can be."""

    def __init__(self, ticks):
        super().__init__(daemon=True)
        self.ticks, self.seen, self.over = ticks, {}, threading.Event()  # bytes: whose, once each

    def run(self):
        while not self.over.wait(0.01):
            for router in self.ticks.routers.values():
                for run in list(router.runs):
                    for pid in [run.pid, *rig.children(run.pid)]:
                        self.look(pid)

    def look(self, pid):
        for what in ("cmdline", "environ"):
            try:
                with open("/proc/%d/%s" % (pid, what), "rb") as f:
                    self.seen.setdefault(f.read(), "%s of %d" % (what, pid))
            except OSError:
                pass  # it has ended

    def end(self):
        self.over.set()
        self.join()


def set_up(w):
    shim_sites.need()
    w.rig = rig.Rig(plugins=shim_sites.PLUGINS)
    w.rig.rekeyd_options = ("--log-level", "debug")
    w.lab = junos_rig.Lab(w.rig)
    w.ticks = shim_sites.Ticks(w.lab)
    w.a = w.rig.site("A", "SAE_A")
    w.secret = rig.new_secret()
    w.a.conf["sources"]["lab"] = {"plugin": "static", "secret": w.a.secret("static.key", w.secret)}
    names = ["left", "right"]
    for name in names:
        w.lab.router(name)
    ports = w.lab.cable(LINK, *names)
    w.a.link(LINK, device=names[0], interface=ports[0], channel="local", source="lab", interval="1s",
             **{"peer-device": names[1], "peer-interface": ports[1]})
    w.lab.start()
    for name in names:
        w.ticks.device(w.a, name)
    w.before = {path for folder in TEMPORARY for path in glob.glob(folder + "/*")}
    w.files = {name: set(os.listdir(router.dir)) for name, router in w.ticks.routers.items()}
    w.watch = Watch(w.ticks)
    w.watch.start()
    w.ticks.start()
    w.a.save()
    w.a.start()
    w.a.wait_end(LINK, lambda e: e["rotations"] >= 1, "a rotation")


def goes_wrong(w):
    """it goes on when runs are killed and commits fail"""
    for i, word in enumerate(FAULTS):
        router = w.ticks.routers[("left", "right")[i % 2]]
        hits = w.lab.state()[router.name]["fault_hits"]
        w.lab.do("fault", router.name, word)
        rig.wait_for(lambda: w.lab.state()[router.name]["fault_hits"] > hits, "%s was played" % word, rig=w.rig)
    router = w.ticks.routers["left"]
    hits = w.lab.state()[router.name]["fault_hits"]
    w.lab.do("fault", router.name, "slow-commit:1s:1")
    rig.wait_for(lambda: w.lab.state()[router.name]["fault_hits"] > hits, "a slow commit", rig=w.rig)
    expect(router.kill(), "nothing was killed")
    w.a.wait_rotations(LINK, 1, timeout=2 * rig.PATIENCE_S)
    w.lab.check(lost_ok=True)


def marks(w):
    """All keys that there were, those of rotations that failed too."""
    markers = marker.Markers()
    markers.add("the secret", w.secret.strip().encode())
    for key_id in {row["key_id"] for row in w.a.ask("history", LINK, "--limit", "1000") if row["key_id"]}:
        key = mixing.static_key(w.secret, key_id)
        cak = mixing.hkdf(key, b"rekey cak v1\0" + LINK.encode() + b"\0" + key_id.encode() + b"\0")
        for kind, text in (("key", key), ("CAK", cak)):
            markers.add("%s %s" % (kind, key_id), text)
    return markers


def right_ones(w):
    """the CAKs that are looked for are those that the routers have"""
    text = w.ticks.routers["left"].ask('<get-configuration database="committed"/>')
    stored = [junos_rig.open_9(part.split("<")[0]) for part in text.split("<cak>")[1:]]
    expect(stored, "no key at the router: %s", text[:500])
    markers = marks(w)
    for cak in stored:
        expect(markers.find(cak.encode()), "the test computes other CAKs than the router has")


def no_key_shown(w):
    """no key in arguments, environments, files and logs"""
    w.a.stop()
    w.ticks.end(0)
    w.watch.end()
    found, markers = [], w.markers
    expect(len(w.watch.seen) >= 8, "only %d arguments and environments were seen", len(w.watch.seen))
    for data, whose in w.watch.seen.items():
        found += ["%s: %s" % (whose, name) for name in markers.find(data)]
    own = [os.path.join(d, f) for d, _, files in os.walk(w.rig.dir) for f in files
           if f not in ("static.key",) and os.path.isfile(os.path.join(d, f))]
    new = [p for folder in TEMPORARY for p in glob.glob(folder + "/*") if p not in w.before and os.path.isfile(p)]
    for path in own + new:
        found += ["%s: %s" % (path, name) for name in scan(markers, path)]
    expect(not found, "found:\n%s", "\n".join(found[:20]))
    for name, router in w.ticks.routers.items():
        expect(set(os.listdir(router.dir)) <= w.files[name] | {"shim.log"}, "the script has left files: %s",
               os.listdir(router.dir))
    w.ticks.check_logs()
    expect(" debug " in w.a.log() and "work " in w.ticks.logs(), "the logs are too short to prove anything")
    print("# %d forms, looked for in %d arguments and environments and %d files; runs by exit code: %s" % (
        len(markers.list), len(w.watch.seen), len(own) + len(new), dict(w.ticks.codes())))


def scan(markers, path):
    try:
        return marker.scan_file(markers, path)
    except OSError:  # of another test, and gone
        return []


def keys(w):
    """keys that were used are known, in logs of level debug or not"""
    right_ones(w)
    w.markers = marks(w)
    expect(len(w.markers.list) >= 60, "only %d forms", len(w.markers.list))


def main():
    w = rig.World(set_up)
    cases = [(f.__doc__, w.case(f)) for f in (goes_wrong, keys, no_key_shown)]
    try:
        return rig.run_cases(cases + [("all ends well", w.last_case())])
    finally:
        w.close()


if __name__ == "__main__":
    sys.exit(main())
