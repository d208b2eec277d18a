# key_files.py - keys that come in files: pools from rekeyctl keygen at two sites, a key file that another daemon
# rewrites, and one fixed key: where it is refused, and that it returns each time it is needed.
import base64
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

MKA = {"class": "b", "mka-hello": "20ms"}


def keygen(*words):
    done = subprocess.run([rig.CTL, "keygen", "--json", *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=rig.PATIENCE_S)
    said = json.loads(done.stdout)
    expect(done.returncode == 0 and said["ok"], "%s %s", said, done.stderr)
    return said


def ids_of(pool):
    with open(pool) as f:
        return [line.split()[0] for line in f]


def give(w, n, *options):
    keygen("--keys", str(n), "--out-a", w.a.dir + "/pool", "--out-b", w.b.dir + "/pool", *options)


def set_up(w):
    w.rig = rig.Rig(plugins=("sim", "spool", "static", "file", "keyout"))
    w.a, w.b = w.rig.pair()
    give(w, 2)
    w.keys = []
    write_key(w)
    fixed = base64.b64encode(os.urandom(32)).decode() + "\n"
    for site, device in ((w.a, "east"), (w.b, "west")):
        site.conf["sources"].update(
            pool={"plugin": "file", "pool": site.dir + "/pool", "take": "first" if site is w.a else "last"},
            pqc={"plugin": "keyout", "file": site.dir + "/key_out", "period": "1s"},
            dry={"plugin": "file", "pool": rig.write(site.dir + "/dry", "")},
            last={"plugin": "static", "mode": "fixed", "secret": site.secret("last.key", fixed)})
        site.device(device + "-mka", **MKA)
        site.conf["links"][0].update(source="pool", interval="400ms", drain="50ms")
        for link, source, master in (("back", "pool", w.b), ("pqc", "pqc", w.a)):
            site.link(link, device=device, interface=link, source=source, channel="box", interval="400ms", drain="50ms",
                      **{"peer-sae": "SAE_B" if site is w.a else "SAE_A", "role": "master" if site is master else "slave"})
        site.link("last", device=device + "-mka", interface="last", source="dry", channel="box", interval="400ms",
                  drain="50ms", **{"peer-sae": "SAE_B" if site is w.a else "SAE_A", "on-stale": "fallback",
                                   "fallback-source": "last"})
        site.save()
    # the dry pools have a first key for the link to begin with
    w.dry = []
    more_dry(w)
    for site in (w.a, w.b):
        site.start()


def write_key(w):
    """A new key for both ends, written in place, as the daemons do that make one."""
    w.keys.append(base64.b64encode(os.urandom(32)))
    for site in (w.a, w.b):
        with open(os.open(site.dir + "/key_out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
            f.write(w.keys[-1])


def more_dry(w):
    w.dry.append("%s %s\n" % ("dry-%d" % len(w.dry), os.urandom(32).hex()))
    for site in (w.b, w.a):
        rig.write(site.dir + "/dry", "".join(w.dry))


def generated_pools(w):
    """Both sites take new keys from one pair of pools; more are appended while they run."""
    for site in (w.a, w.b):
        site.wait_end("link-1", lambda e: "SOURCE-DRY" in e["alarms"] or "SOURCE-DRY" in w.b.end("back")["alarms"],
                      "the pool is used up")
    before = ids_of(w.a.dir + "/pool")
    give(w, 60, "--append")
    after = ids_of(w.a.dir + "/pool")
    expect(after[:len(before)] == before and len(after) == len(before) + 60, "%s %s", before, after)
    for site in (w.a, w.b):
        for link in ("link-1", "back"):
            row = site.wait_end(link, lambda e: e["key_id"] in after[len(before):] and e["rotations"] >= 2, "a new key")
            expect("SPLIT" not in row["alarms"], "%s", row)
    used = [ids_of_used(site) for site in (w.a, w.b)]
    expect(len(set(used[0])) == len(used[0]) and len(set(used[1])) == len(used[1]), "a key was used twice: %s", used)


def ids_of_used(site):
    with open(site.state_dir + "/file-pool.used") as f:
        return f.read().split()


def rewritten_file(w):
    """Each key that is written is used once, at both ends; without a new one the link stays as it is."""
    for _ in range(3):
        rows = [site.wait_end("pqc", lambda e: e["key_id"] and e["phase"] == "idle", "a key") for site in (w.a, w.b)]
        expect(len(rows[0]["key_id"]) == 16, "%s", rows)
        old = rows[0]["key_id"]
        write_key(w)
        for site in (w.a, w.b):
            site.wait_end("pqc", lambda e: e["key_id"] not in (None, old) and e["phase"] == "idle", "the next key")
    row = w.a.wait_end("pqc", lambda e: "SOURCE-DRY" in e["alarms"], "it is told that no key comes")
    expect("was not rewritten for" in row["last"]["why"], "%s", row)
    expect(row["key_id"] == w.a.end("pqc")["key_id"] == w.b.end("pqc")["key_id"], "the key stays")
    for site in (w.a, w.b):
        with open(site.state_dir + "/keyout-pqc.used") as f:
            used = f.read().split()
        expect(len(set(used)) == len(used) >= 4, "%s", used)
        for key in w.keys:
            expect(key.decode() not in site.log() and base64.b64decode(key).hex() not in site.log(), "a key is in the log")


def fixed_key_returns(w):
    """The fallback key is the same each time, and is taken each time."""
    last = None
    for turn in range(2):
        rows = [site.wait_end("last", lambda e: e["fallback_in_use"] and e["phase"] == "idle", "the fixed key, turn %d" % turn)
                for site in (w.a, w.b)]
        expect(rows[0]["key_id"] == rows[1]["key_id"] == (last or rows[0]["key_id"]), "%s", rows)
        last = rows[0]["key_id"]
        for _ in range(2):  # with one key in between it would be the device's fallback still
            more_dry(w)
            new = w.dry[-1].split()[0]
            for site in (w.a, w.b):
                site.wait_end("last", lambda e: e["key_id"] == new and not e["fallback_in_use"], "key %s" % new)


CONFIG = """sae: SAE_A
state-dir: %(dir)s/state
control: %(dir)s/ctl
sources:
  keys: { plugin: static, secret: "file:%(dir)s/static.key" }
  last: { plugin: static, mode: fixed, secret: "file:%(dir)s/last.key" }
devices:
  east: { plugin: sim, class: %(class)s }
  west: { plugin: sim, class: %(class)s }
links:
  - { name: a, device: east, interface: i, source: %(source)s, channel: local, peer-device: west, peer-interface: i%(more)s }
"""
FALLBACK = ", on-stale: fallback, fallback-source: last"


def check(site, **what):
    site.save(CONFIG % dict({"dir": site.dir, "class": "a", "source": "keys", "more": ""}, **what))
    done = subprocess.run(site.argv("--check", "--json"), capture_output=True, text=True, timeout=rig.PATIENCE_S)
    return json.loads(done.stdout)


def fixed_key_and_class_a():
    """A static SAK must not be installed twice: such a configuration is refused at its place."""
    with rig.Rig(plugins=("sim", "static")) as r:
        site = r.site("A", "SAE_A")
        site.secret("static.key")
        site.secret("last.key", base64.b64encode(os.urandom(32)).decode())
        expect(check(site)["ok"], "%s", check(site))
        for what, options in (({"source": "last"}, ("source", "peer-source")),
                              ({"more": FALLBACK}, ("fallback-source", "peer-fallback-source")),
                              ({"more": ", peer-source: last"}, ("peer-source",))):
            said = check(site, **what)
            expect(not said["ok"] and len(said["errors"]) == len(options), "%s: %s", what, said)
            for error, option in zip(said["errors"], options):
                expect(error["line"] == 11 and re.search(r'link "a": %s "last" gives one fixed key, and device "\w+" is of '
                                                         r'class A' % option, error["message"]), "%s", error)
        said = check(site, **{"class": "b", "more": FALLBACK})
        expect(said["ok"] and not said["warnings"], "%s", said)
        said = check(site, **{"class": "b", "source": "last"})
        expect(said["ok"] and "installed once and never replaced" in said["warnings"][0]["message"], "%s", said)


def fixed_key_once():
    """As the source of a link it is installed once, and stays."""
    with rig.Rig(plugins=("sim", "static")) as r:
        site = r.site("A", "SAE_A")
        site.conf["sources"]["last"] = {"plugin": "static", "mode": "fixed",
                                        "secret": site.secret("last.key", base64.b64encode(os.urandom(32)).decode())}
        for name in ("east", "west"):
            site.device(name, **MKA)
        site.link("l", device="east", interface="i", source="last", channel="local",
                  **{"peer-device": "west", "peer-interface": "i"})
        site.save()
        site.start()
        key = site.wait_end("l", lambda e: e["key_id"], "the fixed key")["key_id"]
        row = site.wait_end("l", lambda e: "it is in use already: it stays" in e["last"]["why"], "nothing new to take")
        expect(row["key_id"] == key and row["rotations"] == 1 and "SOURCE-DRY" in row["alarms"], "%s", row)


def main():
    w = rig.World(set_up)
    cases = [("pools of rekeyctl keygen", generated_pools), ("a file that another daemon rewrites", rewritten_file),
             ("a fixed fallback key returns", fixed_key_returns)]
    cases = [("a fixed key and class A", fixed_key_and_class_a),
             ("a fixed key is installed once", fixed_key_once)] + \
            [(name, w.case(function)) for name, function in cases] + [("all ends well", w.last_case())]
    try:
        return rig.run_cases(cases)
    finally:
        w.close()


if __name__ == "__main__":
    sys.exit(main())
