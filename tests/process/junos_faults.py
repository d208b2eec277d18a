# junos_faults.py - each fault of junos-sim at one end of a link of its own, and what becomes of the link: it keeps the key
# that it has, gets the new one as soon as it can be had, is never unsecured by it, and nothing is committed twice.
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import marker  # noqa: E402
import mixing  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

# What doc/reliability.md asks for.  DONE: the rotation is done, in spite of it or after it; ONCE: and by one commit;
# STAYS: the old key stays, and the alarm says why, until the fault is gone.
DONE, ONCE, STAYS = "the rotation is done", "it is done by one commit", "the old key stays"
NEW, DOWN, CHAIN = "a new session", "the link itself is down for a while", "a key chain"
ANY_PLAY, EMPTY = "it need not be played", "without MACsec until then"
SPECIAL = (NEW, DOWN, CHAIN, ANY_PLAY, EMPTY)

# fault, its outcome, what explain says or the alarm (STAYS), what is special
ROWS = [
    ("slow-commit:2s:1", ONCE), ("commit-dead:1", ONCE), ("commit-lost:1", DONE), ("commit-silent:60s:1", ONCE),
    ("commit-mute:1", ONCE), ("commit-fails:1", DONE), ("commit-lies:1", DONE), ("commit-busy:1", DONE),
    ("check-fails:1", DONE, ANY_PLAY), ("other-re:1", DONE), ("malformed:1", ONCE), ("warning:1", ONCE),
    ("locked:1s:1", DONE), ("dirty:1", STAYS, "database modified"), ("partial-load:1", DONE), ("load-fails:1", DONE), ("denied:1", DONE),
    ("reboot:1s:1", DONE, DOWN), ("reboot-empty:1s:1", DONE, DOWN, EMPTY), ("reboot-before:1s:1", DONE, DOWN),
    ("slow:500ms", ONCE), ("silent:1", DONE), ("dead:1", DONE), ("cut-off:1", DONE), ("rpc-error:1", DONE),
    ("split", ONCE), ("bytes", ONCE),
    ("slow-hello:1s:1", ONCE, NEW), ("no-hello:1", DONE, NEW), ("hello-error:1", DONE, NEW), ("limit:1", DONE, NEW),
    ("drop:1", DONE, NEW), ("slow-connect:1s:1", ONCE, NEW), ("no-login:1", DONE, NEW),
    ("wrong-key", STAYS, NEW, "is not the one of"), ("rsa-only", STAYS, NEW, "only ed25519 and ECDSA keys can be verified"),
    ("clock:20s", STAYS, CHAIN, "CLOCK-SKEW", ANY_PLAY),
    ("no-licence", STAYS, DOWN, "as soon as MKA is live", ANY_PLAY), ("short-ckn", STAYS, "as soon as MKA is live", ANY_PLAY),
]
# What lasts until it is cleared comes first: the longer it lasts, the longer is the pause until the next try.
ROWS.sort(key=lambda row: row[1] != STAYS)


def word(row):
    return row[0].split(":")[0]


def set_up(w):
    w.rig = rig.Rig(plugins=junos_rig.PLUGINS)
    w.lab = junos_rig.Lab(w.rig)
    w.a = w.rig.site("A", "SAE_A")
    w.a.conf["call-budget"] = "8s"
    w.a.conf["defaults"].update(interval="30d")
    w.rig.rekeyd_options = ("--log-level", "debug")
    w.secret = rig.new_secret()
    w.a.conf["sources"]["lab"] = {"plugin": "static", "secret": w.a.secret("static.key", w.secret)}
    for row in ROWS:
        names = [word(row) + "-1", word(row) + "-2"]
        for name in names:
            w.lab.router(name, "key-chain" if CHAIN in row else "pre-shared-key")
        ports = w.lab.cable(word(row), *names)
        w.a.link(word(row), device=names[0], interface=ports[0], channel="local", source="lab",
                 **dict({"peer-device": names[1], "peer-interface": ports[1]}, **({"start-lead": "4s"} if CHAIN in row else {})))
    w.lab.start()
    for router in w.lab.routers.values():
        router.device(w.a, **{"rpc-timeout": "2s", "commit-timeout": "3s"})
    w.a.save()
    w.a.start()
    for row in ROWS:
        for which in "ab":
            w.a.wait_end(word(row), lambda e: e["rotations"] >= 1 and e["phase"] == "idle", "a first key", which)
    w.lab.secured()
    w.lab.do("reset", "*")
    w.before, w.keys = w.lab.state(), {word(row): w.lab.agree(word(row)) for row in ROWS}
    w.rotations = {(r["link"], r["end"]): r["rotations"] for r in w.a.status()["links"]}
    w.asked = {}
    for row in ROWS:  # all at once: each has a link of its own
        w.lab.do("fault", word(row) + "-1", row[0])
        if NEW in row:
            w.lab.do("hang-up", word(row) + "-1")
        w.a.ctl("rotate", word(row))


def rotated(w, link):
    """Have both ends a new key?  Asks for one again when the try before has been given up."""
    rows = {r["end"]: r for r in w.a.status()["links"] if r["link"] == link}
    if all(rows[which]["rotations"] > w.rotations[link, which] and rows[which]["phase"] == "idle" for which in "ab"):
        return True
    if rows["a"]["phase"] == "idle" and rows["a"]["rotations"] == w.rotations[link, "a"] and \
            time.monotonic() > w.asked.get(link, 0) + 0.5:
        w.asked[link] = time.monotonic()
        w.a.ctl("rotate", link)
    return False


def case(row):
    name, outcome = word(row), row[1]

    def run(w):
        if outcome == STAYS:
            stays(w, row)
        rig.wait_for(lambda: rotated(w, name), lambda: "%s: a new key; %s; MKA: %s" % (
            name, [r for r in w.a.status()["links"] if r["link"] == name], w.lab.ends(name)), 2 * rig.PATIENCE_S, w.rig)
        rig.wait_for(lambda: agrees(w, name), lambda: "%s: MKA on it: %s" % (name, w.lab.ends(name)), rig=w.rig)
        box = w.lab.state()[name + "-1"]
        expect(box["fault_hits"] > 0 or ANY_PLAY in row, "the fault was not played")
        commits = box["commits"] - w.before[name + "-1"]["commits"]
        expect(commits == 1 or outcome != ONCE, "%d commits", commits)
        w.lab.do("clear", name + "-1")
        unharmed(w, row)
    return ("%s: %s" % (row[0], outcome), run)


def agrees(w, name):
    try:
        return w.lab.agree(name) != w.keys[name]
    except rig.Failed:
        return None


def stays(w, row):
    name, text = word(row), [x for x in row[2:] if x not in SPECIAL][0]

    def told():
        said = w.a.ask("explain", name)
        return any(text in r["text"] or text in [a["alarm"] for a in r["alarms"]] for r in said)
    rig.wait_for(told, lambda: "%s: %s; %s" % (name, text, w.a.ask("explain", name)), rig=w.rig)
    expect(all(r["rotations"] == w.rotations[name, r["end"]] for r in w.a.status()["links"] if r["link"] == name),
           "a rotation was done")
    if DOWN not in row:
        unharmed(w, row)
    w.lab.do("clear", name + "-1")  # what an operator had not committed goes with it


def unharmed(w, row):
    name = word(row)
    for end in w.lab.ends(name):
        expect(end["clear_ms"] == 0 or EMPTY in row, "%s: in clear: %s", name, end)
        expect(DOWN in row or (end["unsecured_ms"] == 0 and end["lost_ms"] == 0), "%s: unsecured: %s", name, end)
    for box in (name + "-1", name + "-2"):
        state = w.lab.state()[box]
        expect(state["violations"] == 0, "%s: %s", box, state["violation"])


def cak_of(w, link, key_id):
    """As plugins/device/junos-netconf/ckn.c has it."""
    key = mixing.static_key(w.secret, key_id)
    return key, mixing.hkdf(key, b"rekey cak v1\0" + link.encode() + b"\0" + key_id.encode() + b"\0")


def no_key_shown(w):
    """no key in a log, an argument, an environment, or a file of the plugin's process, of rekeyd, or of junos-sim"""
    markers, n = marker.Markers(), 0
    for row in ROWS:
        name = word(row)
        for key_id in {e["key_id"] for e in w.a.ask("history", name, "--limit", "1000") if e["key_id"]}:
            n += 1
            for what, text in zip(("key", "CAK"), cak_of(w, name, key_id)):
                markers.add("%s of %s" % (what, key_id), text)
    is_the_right_one(w, word(ROWS[0]))
    expect(n >= 2 * len(ROWS), "only %d keys", n)
    seen = 0
    for folder, _, names in os.walk(w.rig.dir):
        for path in (os.path.join(folder, name) for name in names):
            if os.path.isfile(path) and not path.endswith("/static.key"):
                seen += 1
                found = marker.scan_file(markers, path)
                expect(not found, "%s: %s", path, found[:5])
                with open(path, "rb") as f:
                    expect(b"$9$" not in f.read(), "%s: a stored key", path)
    pids = [w.lab.process.pid, w.a.process.pid, *rig.children(w.a.process.pid)]
    expect(w.a.plugin("junos-netconf")["pid"] in pids, "%s", pids)
    for pid in pids:
        for what in ("environ", "cmdline"):
            with open("/proc/%d/%s" % (pid, what), "rb") as f:
                found = markers.find(f.read())
                expect(not found, "/proc/%d/%s: %s", pid, what, found)
    expect(w.a.log().count(" debug ") > 100 and w.lab.log().count(" debug ") > 100, "the logs are too short")
    print("# %d keys, %d forms, looked for in %d files" % (n, len(markers.list), seen))


def is_the_right_one(w, link):
    """The CAK that the test computes is the one that the router has."""
    said = w.lab.netconf(link + "-1", '<get-configuration database="committed"/>')
    stored = re.findall(r"<pre-shared-key>\s*<ckn>\w+</ckn>\s*<cak>([^<]+)</cak>", said)
    _, cak = cak_of(w, link, w.a.end(link)["key_id"])
    expect([junos_rig.open_9(text) for text in stored] == [cak.hex()], "the test computes another CAK than %s has", link)


def all_of_them(w):
    """junos-sim has no fault that is not tried here"""
    said = subprocess.run([junos_rig.SIM, "--list-faults"], capture_output=True, text=True, check=True).stdout
    listed = {line.split("\t")[0].split(":")[0] for line in said.splitlines()}
    with open(rig.SOURCE + "/tests/process/junos_lldp.py") as f:
        tried = {word(row) for row in ROWS} | set(re.findall(r'"(lldp-[a-z]+)', f.read()))
    expect(listed == tried, "%s", listed ^ tried)


def main():
    global ROWS
    if os.environ.get("REKEY_QUICK") == "1":
        ROWS = [row for row in ROWS if word(row) in ("commit-dead", "commit-mute", "locked", "partial-load", "silent",
                                                     "wrong-key", "reboot-empty", "malformed")]
        cases = []
    else:
        cases = [(all_of_them.__doc__, all_of_them)]
    w = rig.World(set_up)
    cases += [case(row) for row in ROWS] + [(no_key_shown.__doc__, no_key_shown)]
    try:
        return rig.run_cases([(name, w.case(f)) for name, f in cases] + [("all ends well", w.last_case())], quick_too=True)
    finally:
        w.close()


sys.exit(main())
