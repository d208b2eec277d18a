# isolation.py - bad plugins under a running rekeyd, beside good links: what rekeyd does about each, and that the good
# links go on.  How late their rotations began is told, and asserted only by a generous bound.
#
# REKEY_LONG=1 has all of them; REKEY_TABLE=FILE as well, and puts the table into FILE (doc/plugin-safety.md).
import json
import os
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

BAD = rig.BUILD + "/tests/kit/bad/.libs"
CHECK = rig.BUILD + "/core/check/rekey-plugin-check"
PROBE = rig.BUILD + "/core/check/.libs/rekey-check-probe.so"
TABLE = os.environ.get("REKEY_TABLE")
LONG = os.environ.get("REKEY_LONG") == "1" or bool(TABLE)
GOOD = 10          # links that must not notice
INTERVAL_MS = 500  # of each
SOURCES = ("twice", "race")
LATE_MS = 2000     # no good rotation begins later than this: a host is restarted after much less, and is another one's
RUN_S = 4 if TABLE else 1.5

# name: what it does, what shows that it has done its harm
BADS = {
    "hang": ("apply never returns", "killed"), "spin": ("apply never returns, and burns the processor", "killed"),
    "crash": ("apply ends the process", "died"), "close": ("apply closes descriptors of others", "died"),
    "fd": ("each apply leaves a descriptor open", None), "leak": ("each apply forgets memory", None),
    "garbage": ("codes that are none, texts without end", None), "lie": ("says that it retired a key, and keeps it", None),
    "twice": ("gives one secret for two keys", None), "thread": ("each apply leaves a thread running", None),
    "fork": ("each apply leaves a process behind", None), "half": ("leaves operations without a result", None),
    "late": ("waits for its device, whatever its budget", "killed"), "print": ("writes to standard output", None),
}
SHORT = ("hang", "crash")
TOLD = {}  # rows of the table


def plugin_dir(r):
    """All modules in one folder, as if they were installed."""
    r.plugin_dir = r.dir + "/plugins"
    os.mkdir(r.plugin_dir, 0o700)
    for folder in (rig.PLUGINS, BAD):
        for name in os.listdir(folder):
            if name.endswith(".so"):
                os.symlink("%s/%s" % (folder, name), "%s/%s" % (r.plugin_dir, name))


def make_site(w, bad):
    rig.need_file(BAD + "/bad-good.so")
    w.rig = rig.Rig(plugins=("sim", "static"))
    w.site = fill_site(w.rig, bad)


def fill_site(r, bad):
    """One daemon with both ends of all links; one of the devices, or sources, is bad."""
    plugin_dir(r)
    site = r.site("S", "SAE_A")
    site.conf["sources"]["keys"] = {"plugin": "static", "secret": site.secret("static.key")}
    site.conf["call-budget"] = "1s"
    site.conf["defaults"].update(interval="%dms" % INTERVAL_MS, drain="50ms", verify="200ms")
    for name in ("near", "far"):
        site.device(name)
    for i in range(GOOD):
        site.link("good-%d" % i, device="near", interface="p%d" % i, channel="local", source="keys",
                  **{"peer-device": "far", "peer-interface": "p%d" % i})
    if not bad:
        return site
    site.device("beside")
    source = "keys"
    if bad in SOURCES:
        site.conf["sources"]["bad-keys"] = {"plugin": "bad-" + bad}
        site.device("bad")
        source = "bad-keys"
    else:
        site.conf["devices"]["bad"] = {"plugin": "bad-" + bad}
        del site.conf["devices"]["beside"]["peer-check-dir"]  # a bad one writes nothing there for the oracle to compare
        if bad == "late":
            site.conf["devices"]["bad"]["delay"] = "4s"
    for i in range(4 if bad in SOURCES else 1):
        site.link("bad-%d" % i, device="bad", interface="q%d" % i, channel="local", source=source,
                  **{"peer-device": "beside", "peer-interface": "q%d" % i})
    return site


def starts(site):
    """When rotations of the good links began, since the daemon did [ms]."""
    begun = {}
    for i in range(GOOD):
        rows = site.ask("history", "good-%d" % i, "--limit", "500")
        for row in rows:
            key = (row["link"], row["seq"])
            begun[key] = min(begun.get(key, 1 << 62), row["time_unix_ms"] - row["took_ms"])
    return begun


def delays(site, since_ms):
    """By how much later than an interval after the one before each began [ms], sorted."""
    begun, late = starts(site), []
    for (link, seq), at in begun.items():
        before = begun.get((link, seq - 1))
        if before is not None and at >= since_ms:
            late.append(max(0, at - before - INTERVAL_MS))
    return sorted(late)


def p(values, share):
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0


def good_goes_on(w):
    for i in range(0, GOOD, 4):
        w.site.wait_rotations("good-%d" % i, 2)
    w.rig.still_well()


def seen_harm(w, bad, harm):
    name = "bad-" + bad
    if harm:
        rig.wait_for(lambda: w.site.plugin(name)["quarantine"], "%s is in quarantine" % name, rig=w.rig)
        expect(w.site.plugin(name)["last_exit"], "no obituary: %s", w.site.plugin(name))
    if harm == "killed":
        w.site.wait_log("ev=host-down plugin=%s .*did not return in its time" % name)


def what_it_does(w, bad):
    """Of the bad plugin, in words."""
    row = w.site.plugin("bad-" + bad)
    words = []
    if row["restarts"]:
        words.append("restarts its process (%s)" % row["last_exit"])
    if BADS[bad][1]:  # seen_harm() has seen it
        words.append("quarantine of the device after %d deaths" % 2)
    alarms = sorted({alarm for link in w.site.status()["links"] if link["link"].startswith("bad-") for alarm in link["alarms"]})
    if alarms:
        words.append("alarm %s" % ", ".join(alarms))
    if row.get("wasted") and any(row["wasted"].values()):
        words.append("wasted keys are counted")
    ends = [link for link in w.site.status()["links"] if link["link"] == "bad-0"]
    if not words and any(end["failed"] for end in ends):
        words.append("rotations fail, and are tried again")
    if words:
        return "; ".join(words)
    grows = bad in ("fd", "leak", "thread", "fork")
    return "nothing: it rotates, and only its own process grows" if grows else "nothing: the link rotates"


def kit_says(bad):
    conf = json.dumps({"budget": "800ms", "slow": {"delay": "3s"}})
    argv = [CHECK, "--host", rig.HOST, "--probe", PROBE, "--json"]
    if bad not in SOURCES:
        argv += ["--config", rig.write("%s/kit.yaml" % kit_says.dir, conf)]
    done = subprocess.run(argv + ["%s/bad-%s.so" % (BAD, bad)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120)
    rows = json.loads(done.stdout)["rows"]
    return ", ".join("`%s`" % row["row"] for row in rows if row["result"] == "failed")


def beside(bad):
    """One daemon with this bad plugin, or none."""
    def set_up(w):
        make_site(w, bad)
        w.site.start()
        sites = [w.site]
        if TABLE:  # the same without the bad one, beside it: whatever else the machine does, it does to both
            w.other_rig = rig.Rig(plugins=())
            w.other = fill_site(w.other_rig, None)
            w.other.start()
            sites.append(w.other)
        for site in sites:
            for i in range(GOOD):
                site.wait_end("good-%d" % i, lambda e: e["rotations"] >= 1, "a first key")

    def run(w):
        since_ms = int(time.time() * 1000)
        pid = w.site.process.pid
        if bad:
            seen_harm(w, bad, BADS[bad][1])
        rig.pause(RUN_S)
        good_goes_on(w)
        expect(w.site.process.pid == pid and w.site.process.alive(), "rekeyd has ended")
        expect(w.site.plugin("sim")["restarts"] == 0 or bad in SOURCES, "the good one's process was restarted")
        late = delays(w.site, since_ms)
        expect(late and late[-1] < LATE_MS, "a good rotation began %s ms late", late[-1:])
        does = what_it_does(w, bad) if bad else ""
        TOLD[bad] = (does, p(late, .5), p(late, .99))
        if TABLE:
            other = delays(w.other, since_ms)
            TOLD[bad] += (p(other, .5), p(other, .99))
            w.other_rig.end_all()
            shutil.rmtree(w.other_rig.dir)
        print("# %s: %s; others began late by %d ms (median), %d ms (p99 of %d)" % (
            bad or "none", does, p(late, .5), p(late, .99), len(late)))
        if TABLE and bad:
            kit_says.dir = w.rig.dir
            TOLD[bad] += (kit_says(bad),)
    w = rig.World(set_up)
    title = "beside bad-%s: %s" % (bad, BADS[bad][0]) if bad else "without a bad one"
    return w, [(title, w.case(run)), ("all ends well", w.last_case())]


# ---- the end of patience ----

def set_up_neighbour(w):
    """Two devices of one plugin, of which one kills it."""
    make_site(w, None)
    for name in ("victim", "killer"):
        w.site.device(name)
    w.site.link("bad-0", device="killer", interface="q", channel="local", source="keys",
                **{"peer-device": "victim", "peer-interface": "q"})
    w.site.start()
    w.site.wait_end("bad-0", lambda e: e["rotations"] >= 1, "a first key")


def quarantine(w):
    """The device whose calls end the process is left alone, and its neighbours in the same process are not."""
    w.site.mode("killer", "crash")
    row = rig.wait_for(lambda: w.site.plugin("sim")["quarantine"], "a quarantine", rig=w.rig)
    expect([q["instance"] for q in row] == ["killer"], "in quarantine: %s", row)
    w.site.wait_log("ev=quarantine inst=killer plugin=sim pause_ms=5000")
    row = rig.wait_for(lambda: w.site.plugin("sim")["state"] == "up" and w.site.plugin("sim"), "up again", rig=w.rig)
    restarts = row["restarts"]
    w.site.mode("killer", "ok")
    good_goes_on(w)
    code, said, _ = w.site.ctl("enable", "nothing")
    expect(code != 0 and "no plugin" in said["text"], "%s", said)
    code, said, _ = w.site.ctl("enable", "near")
    expect(code == 0 and "neither" in said["text"], "%s", said)
    if w.site.plugin("sim")["quarantine"]:  # else it has ended by itself on a slow machine
        expect("tried again now" in w.site.ask("enable", "killer")["text"], "it is not enabled")
    w.site.wait_rotations("bad-0", 2)
    row = w.site.plugin("sim")
    expect(row["quarantine"] == [] and row["restarts"] == restarts, "%s", row)


def set_up_stopped(w):
    """A plugin that dies whatever it is asked, for every device."""
    make_site(w, None)
    for i in range(6):
        w.site.conf["devices"]["bad-%d" % i] = {"plugin": "bad-crash"}
        w.site.device("other-%d" % i)
        w.site.link("bad-%d" % i, device="bad-%d" % i, interface="q", channel="local", source="keys",
                    **{"peer-device": "other-%d" % i, "peer-interface": "q"})
    w.site.start()


def stopped(w):
    """After ten deaths it is not started any more, which is an alarm; an operator may have it tried again."""
    name = "bad-crash"
    rig.wait_for(lambda: w.site.plugin(name)["state"] == "stopped", "it is stopped", timeout=120, rig=w.rig)
    row = w.site.plugin(name)
    expect("died 10 times in a row" in row["error"] and "rekeyctl enable bad-crash" in row["error"], "%s", row)
    expect(row["pid"] is None and "signal 6" in row["last_exit"], "%s", row)
    w.site.wait_log("ev=plugin-stopped plugin=bad-crash deaths=10")
    w.site.wait_alarm("bad-0", "DEVICE")
    good_goes_on(w)
    expect(w.site.plugin(name)["state"] == "stopped", "it was started by itself")
    at = len(w.site.log())
    expect("tried again now" in w.site.ask("enable", name)["text"], "it is not enabled")
    w.site.wait_log("ev=host-up plugin=bad-crash", after=at)
    good_goes_on(w)


def world(set_up, title, case):
    w = rig.World(set_up)
    return w, [(title, w.case(case)), ("all ends well", w.last_case())]


# ---- the table ----

def write_table():
    lines = ["| behaviour | the kit reports | `rekeyd` does | others began late: median, p99 | the same without it |",
             "|---|---|---|---|---|",
             "| none | nothing | nothing | %d ms, %d ms | %d ms, %d ms |" % TOLD[None][1:5]]
    for bad, (what, _) in BADS.items():
        if bad in TOLD:
            does, *late, kit = TOLD[bad]
            lines.append("| %s (`%s.c`) | row %s | %s | %d ms, %d ms | %d ms, %d ms |" % (what, bad, kit, does, *late))
    with open(TABLE) as f:
        text = f.read()
    begin, end = "<!-- table: begin -->\n", "<!-- table: end -->\n"
    head, rest = text.split(begin)
    with open(TABLE, "w") as f:
        f.write(head + begin + "\n".join(lines) + "\n" + end + rest.split(end)[1])


def main():
    worlds = [beside(bad) for bad in [None] + list(BADS if LONG else SHORT)]
    worlds += [world(set_up_neighbour, "a device that ends its process twice is in quarantine, and no other is", quarantine)]
    if LONG:
        worlds += [world(set_up_stopped, "a plugin that dies too often is stopped, and can be enabled again", stopped)]
    try:
        code = rig.run_cases([case for _, cases in worlds for case in cases])
        if TABLE and code == 0:
            write_table()
        return code
    finally:
        for w, _ in worlds:
            w.close()


sys.exit(main())
