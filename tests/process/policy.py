# policy.py - what is done when a key grows too old, for each on-stale; an operator's key is held until it is adopted;
# rekeyctl explain says why and when.
#
# Each link has a pool of keys of its own that runs dry; all links are driven by one pair of sites at the same time, so
# that waiting for one policy is not added to waiting for the others.
import base64
import fcntl
import json
import os
import re
import resource
import subprocess
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

INTERVAL = "400ms"
FEW, MANY = 2, 600  # keys of a pool: dry after that many rotations, and never in a run


class Pool:
    """A source of its own for one link, with the same keys for both ends."""

    def __init__(self, w, link):
        self.name, self.ids, self.lines = "pool-" + link, [], []
        # a copy for each end, the slave's first: what the master takes must be there
        self.copies = ([(w.a, self.name + "-2")] if link == "local" else [(w.b, self.name)]) + [(w.a, self.name)]
        for site, name in self.copies:
            site.conf["sources"][name] = {"plugin": "file", "pool": "%s/%s" % (site.dir, name)}
        self.give(FEW)

    def give(self, n):
        for _ in range(n):
            self.ids.append("%s-%04d" % (self.name, len(self.ids)))
            self.lines.append("%s %s\n" % (self.ids[-1], base64.b64encode(os.urandom(32)).decode()))
        for site, name in self.copies:
            rig.write("%s/%s" % (site.dir, name), "".join(self.lines))


def set_up(w):
    w.rig = rig.Rig(plugins=("sim", "spool", "static", "file"))
    w.a, w.b = w.rig.pair()
    w.pools = {}
    for link, options in (("hold", {}), ("fallback", {"on-stale": "fallback", "fallback-source": "keys"}),
                          ("shut", {"on-stale": "shut", "shut-after": "2s"})):
        w.pools[link] = Pool(w, link)
        for site, other, device in ((w.a, w.b, "east"), (w.b, w.a, "west")):
            site.link(link, device=device, interface=link, source=w.pools[link].name, channel="box",
                      **dict(options, **{"peer-sae": other.sae}))
    w.pools["local"] = Pool(w, "local")
    w.a.device("east-2")
    w.a.link("local", device="east", interface="local", source="pool-local", channel="local",
             **{"peer-device": "east-2", "peer-interface": "local", "peer-source": "pool-local-2",
                "on-stale": "fallback", "fallback-source": "keys"})
    w.a.conf["call-budget"] = "1s"
    for site in (w.a, w.b):
        site.conf["defaults"].update(interval=INTERVAL, drain="50ms", verify="200ms")
        site.save()
        site.start()


def both(w, link, condition, what):
    return [site.wait_end(link, condition, what) for site in (w.a, w.b)]


def explain(site, link, which="a"):
    """(text, {alarm: row}) of an end"""
    row, = [r for r in site.ask("explain", link) if r["end"] == which]
    expect(row["link"] == link and row["role"] in ("master", "slave") and row["state"], "%s", row)
    for alarm in row["alarms"]:
        expect(len(alarm["do"]) > 10, "no remedy: %s", alarm)
    return row["text"], {alarm["alarm"]: alarm for alarm in row["alarms"]}


def tells(site, link, *patterns):
    """explain says all of these, and some time; a link that rotates says so between two rotations."""
    last = [None]

    def look():
        last[0] = explain(site, link)
        return all(re.search(p, last[0][0]) for p in patterns + (r"\b\d+ (s|min|h)\b",)) and last[0]

    return rig.wait_for(look, lambda: "%s: explain %s: %s in: %s" % (site.name, link, patterns, last[0]), rig=site.rig)


def raised(site, link, alarm, at):
    """The log says where, and what helps."""
    site.wait_log(r'ev=alarm link=%s end=a alarm=%s state=raised why=".*"%s do="[^"]{10,}"' %
                  (link, alarm, " at=" + at if at else ""))


def dry(w, link):
    """The key is EXPIRED, for the pool is dry; the row of the master."""
    row = w.a.wait_end(link, lambda e: "SOURCE-DRY" in e["alarms"] and "EXPIRED" in e["alarms"], "EXPIRED, SOURCE-DRY")
    raised(w.a, link, "SOURCE-DRY", w.pools[link].name)
    return row


def comes_back(w, link):
    """With new keys it goes on by itself, and nothing is left of the alarms."""
    before = w.a.end(link)["rotations"]
    w.pools[link].give(MANY)
    gone = {"EXPIRED", "OVERDUE", "SOURCE-DRY", "FALLBACK-IN-USE"}
    both(w, link, lambda e: e["key_id"] in w.pools[link].ids[FEW:] and not gone & set(e["alarms"]),
         "a key of the pool again, and no alarm")
    w.a.wait_end(link, lambda e: e["rotations"] > before, "a rotation is done")
    w.rig.still_well()


# ---- the policies ----

def hold(w):
    """The link stays up, with the old key."""
    row = dry(w, "hold")
    expect(row["on_stale"] == "hold" and not row["shut"] and not row["fallback_in_use"], "%s", row)
    expect(row["rotations"] == FEW and row["key_id"] == w.pools["hold"].ids[-1], "%s", row)
    w.rig.oracle.check()
    held = w.rig.oracle.sent_with("hold")
    expect(held == {"east": {row["key_id"]}, "west": {row["key_id"]}}, "sent with: %s", held)
    text, alarms = tells(w.a, "hold", "EXPIRED", "on-stale: hold", "no key left")
    expect(alarms["SOURCE-DRY"]["at"] == "pool-hold", "%s", alarms)
    before = w.a.end("hold")["failed"]
    w.a.wait_end("hold", lambda e: e["failed"] >= before + 3, "it never stops trying")
    expect(w.a.end("hold")["key_id"] == row["key_id"], "%s", w.a.end("hold"))
    comes_back(w, "hold")


def fallback(w):
    """EXPIRED first, then a key of the other source, at both ends; the first source is asked again each time."""
    raised(w.a, "fallback", "EXPIRED", "")
    raised(w.a, "fallback", "SOURCE-DRY", "pool-fallback")
    rows = both(w, "fallback", lambda e: e["fallback_in_use"] and "FALLBACK-IN-USE" in e["alarms"] and
                e["phase"] == "idle", "FALLBACK-IN-USE")
    for site in (w.a, w.b):
        raised(site, "fallback", "FALLBACK-IN-USE", "keys")
    log = w.a.log()
    expect(log.index("link=fallback end=a alarm=EXPIRED state=raised") <
           log.index("link=fallback end=a alarm=FALLBACK-IN-USE"), "a fallback key was taken before EXPIRED")
    for row in rows:
        expect(row["fallback_source"] == "keys" and row["key_id"] not in w.pools["fallback"].ids, "%s", row)
    w.a.wait_end("fallback", lambda e: e["fallback_in_use"] and "SOURCE-DRY" in e["alarms"],
                 "the first source is asked again")
    text, alarms = tells(w.a, "fallback", "fallback source")
    expect(alarms["FALLBACK-IN-USE"]["at"] == "keys" and alarms["SOURCE-DRY"]["at"] == "pool-fallback", "%s", alarms)
    comes_back(w, "fallback")
    expect(not any(site.end("fallback")["fallback_in_use"] for site in (w.a, w.b)), "still in use")


def fallback_local(w):
    """The same where this daemon has both ends: each asks its own source, and then the fallback."""
    for end in "ab":
        row = w.a.wait_end("local", lambda e: e["fallback_in_use"] and "FALLBACK-IN-USE" in e["alarms"],
                           "FALLBACK-IN-USE", which=end)
        expect(row["fallback_source"] == "keys" and row["key_id"] not in w.pools["local"].ids, "%s", row)
        text, alarms = explain(w.a, "local", end)
        expect("fallback" in text, "%s", text)
    w.pools["local"].give(MANY)
    for end in "ab":
        w.a.wait_end("local", lambda e: e["key_id"] in w.pools["local"].ids and not e["fallback_in_use"],
                     "a key of the pool again", which=end)


def sending(w, link):
    """{device: key IDs that it transmits on}, as the devices themselves show."""
    folder, found = "%s/%s" % (w.rig.check, link), {}
    with open(w.rig.check + "/.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        for name in os.listdir(folder):
            if "@" not in name:
                continue
            with open("%s/%s" % (folder, name)) as f:
                keys = re.findall(r"^slot an=\d flags=..s seq=\d+ id=(\S+)", f.read(), re.M)
            found[name.partition("@")[0]] = keys
    return found


def silent(w, link):
    return sending(w, link) == {"east": [], "west": []}


def shut(w):
    """Announced at EXPIRED, shut at shut-after at both ends, and open again by itself when there are keys."""
    both(w, "shut", lambda e: e["shut"] and e["state"] == "shut" and e["phase"] == "idle", "it is shut")
    for site in (w.a, w.b):
        log = site.log()
        expect(log.index("link=shut end=a alarm=EXPIRED state=raised") < log.index("ev=shut link=shut"),
               "it was shut before EXPIRED")
        expect(site.end("shut")["shut_after_ms"] == 2000, "%s", site.end("shut"))
        events = {e["event"]: e["time_unix_ms"] for e in reversed(site.ask("history", "shut", "--limit", "1000"))}
        expect(2000 <= events["shut"] - events["activated"] + 5, "it was shut too early: %s", events)
    rig.wait_for(lambda: silent(w, "shut"), lambda: "nothing is sent: %s" % sending(w, "shut"), rig=w.rig)
    for site in (w.a, w.b):
        tells(site, "shut", "The link is shut, for its key grew too old", "The peer says that it is shut")
    before = w.a.end("shut")["failed"]
    w.a.wait_end("shut", lambda e: e["failed"] >= before + 3, "it never stops trying")
    expect(silent(w, "shut"), "it was opened without a new key: %s", sending(w, "shut"))
    comes_back(w, "shut")
    both(w, "shut", lambda e: not e["shut"], "it is open again")
    rig.wait_for(lambda: all(sending(w, "shut").values()), lambda: "both send: %s" % sending(w, "shut"), rig=w.rig)


# ---- an operator's key ----

def set_by_hand(site, device, digest):
    """As an operator does on the device: its key in a free slot, and in use; what rekeyd put there stays."""
    path = "%s/%s.state" % (site.dir, device)
    with open(path) as f:
        lines = f.read().splitlines()
    slots = {int(line.split()[1]): line for line in lines if line.startswith("slot ")}
    free = [an for an in range(4) if an not in slots][0]
    for an, line in slots.items():
        lines[lines.index(line)] = re.sub(r"^(slot \d \S\S)s", r"\1-", line)
    last = max(i for i, line in enumerate(lines) if line.startswith("slot "))
    lines.insert(last + 1, "slot %d rts %d hand operator-1 %s" % (free, free, digest))
    rig.write(path, "\n".join(lines) + "\n")


def hand_set_up(w):
    """Devices of their own, which do not compare what they hold: an operator changes one after the other."""
    w.rig = rig.Rig()
    w.a, w.b = w.rig.pair(link="hand")
    for site, device in ((w.a, "east"), (w.b, "west")):
        del site.conf["devices"][device]["peer-check-dir"]
        site.conf["defaults"].update(interval=INTERVAL, drain="50ms", verify="200ms")
        site.save()
        site.start()
        site.wait_end("hand", lambda e: e["rotations"] >= 1, "a rotation") if site is w.b else None
    digest = os.urandom(16).hex()
    for site in (w.a, w.b):
        site.stop()
    for site, device in ((w.a, "east"), (w.b, "west")):
        set_by_hand(site, device, digest)
        site.start()


def slots(site, device):
    with open("%s/%s.state" % (site.dir, device)) as f:
        return {line.split()[5]: line.split()[2] for line in f if line.startswith("slot ")}


def held(w):
    """Nothing is begun, the key stays in use, and explain says whose move it is."""
    rows = both(w, "hand", lambda e: e["held"] and e["state"] == "held" and "FOREIGN" in e["alarms"], "it is held")
    for site, device, row in ((w.a, "east", rows[0]), (w.b, "west", rows[1])):
        _, alarms = tells(site, "hand", "not rekeyd's, which is never removed: rekeyctl adopt")
        expect(alarms["FOREIGN"]["at"] == device, "%s", alarms)
        site.wait_end("hand", lambda e, n=row["seq"]: e["key_age_ms"] is None and e["seq"] <= n + 1, "nothing is begun")
        expect(slots(site, device)["operator-1"] == "rts", "%s", slots(site, device))
    code, said, _ = w.a.ctl("rotate", "hand")
    expect(code == 1 and "rekeyctl adopt hand" in said["text"], "exit %d: %s", code, said)
    seq = w.a.end("hand")["seq"]
    w.a.wait_log(r"ev=held link=hand")
    at = len(w.a.log())
    w.a.stop()
    w.a.start()  # it is remembered
    w.a.wait_end("hand", lambda e: e["held"] and e["state"] == "held", "it is held still")
    expect(w.a.end("hand")["seq"] == seq and "ev=begin" not in w.a.log()[at:], "a rotation was begun")
    expect(slots(w.a, "east")["operator-1"] == "rts", "%s", slots(w.a, "east"))


def adopt(w):
    code, said, _ = w.a.ctl("adopt", "nohand")
    expect(code == 1 and 'no link "nohand"' in said["text"], "exit %d: %s", code, said)
    for site in (w.a, w.b):
        said = site.ask("adopt", "hand")
        expect("given up: a rotation follows" in said["text"], "%s", said)
    both(w, "hand", lambda e: not e["held"] and e["rotations"] >= 1 and e["key_id"] and "FOREIGN" not in e["alarms"],
         "rotations go on, nothing foreign is left")
    for site, device in ((w.a, "east"), (w.b, "west")):
        expect("operator-1" not in slots(site, device), "%s", slots(site, device))
        events = [e["event"] for e in site.ask("history", "hand", "--limit", "1000")]
        expect({"held", "adopt", "swept"} <= set(events), "%s", events)
        site.wait_rotations("hand", 1)
    said = w.a.ask("adopt", "hand")
    expect("nothing was changed" in said["text"], "%s", said)


# ---- explain ----

def explain_idle(w):
    tells(w.a, "link-1", "is master on a device of class A", "Key .* is in use since", "next rotation begins in")
    tells(w.b, "link-1", "is slave", "Key .* is in use since", "waits for the master")
    code, _, err = w.a.ctl("explain", "lnk-1")
    expect(code == 1 and 'no link "lnk-1"' in err, "exit %d: %s", code, err)
    done = subprocess.run([rig.CTL, "explain", "link-1", "--socket", w.a.control, "--width", "60"], capture_output=True,
                          text=True, timeout=rig.PATIENCE_S)
    lines = done.stdout.splitlines()
    expect(done.returncode == 0 and lines[0] == "link-1, master of end a" and len(lines) > 2, "%s", done)
    expect(max(len(line) for line in lines) <= 60, "%s", lines)


def explain_journal(w):
    """No file of the daemon may grow: the journal among them."""
    pid = w.a.process.pid
    old = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, old[1]))
    try:
        w.a.wait_alarm("link-1", "JOURNAL")
        _, alarms = tells(w.a, "link-1", r"writes its journal .*\b\d+ s\b")
        expect("JOURNAL" in alarms, "%s", alarms)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, old)
    w.a.wait_alarm("link-1", "JOURNAL", on=False)
    w.a.wait_rotations("link-1", 1)


def explain_silent(w):
    w.b.stop()
    w.a.wait_alarm("link-1", "NO-PEER")
    text, alarms = tells(w.a, "link-1", r"Nothing valid was heard of the peer for \d+ s")
    expect(alarms["NO-PEER"]["at"] == "box", "%s", alarms)
    w.b.start()
    w.a.wait_alarm("link-1", "NO-PEER", on=False)
    w.a.wait_rotations("link-1", 1)


# ---- configuration ----

def warned(w):
    """on-stale: shut is allowed, with a warning: in the log, and by a check."""
    line = w.a.wait_log(r'warning .*ev=config at=.*rekeyd.yaml:\d+:\d+ why="on-stale: shut takes the link down.*')
    expect(line, "no warning")
    done = subprocess.run(w.a.argv("--check"), capture_output=True, text=True, timeout=rig.PATIENCE_S)
    expect(done.returncode == 0 and re.search(r"rekeyd.yaml:\d+:\d+: warning: on-stale: shut", done.stdout), "%s", done)
    done = subprocess.run(w.a.argv("--check", "--json"), capture_output=True, text=True, timeout=rig.PATIENCE_S)
    said = json.loads(done.stdout)
    expect(said["ok"] and len(said["warnings"]) == 1 and said["warnings"][0]["line"] > 1, "%s", said)


def changed(w):
    """A reload takes another policy over, and leaves the other links alone."""
    link, = [l for l in w.a.conf["links"] if l["name"] == "hold"]
    link.update({"on-stale": "fallback", "fallback-source": "keys"})
    w.a.save()
    said = w.a.ask("reload")
    expect(said["text"] == "5 links: 4 untouched, 1 changed, 0 new; 0 removed", "%s", said)
    row = w.a.end("hold")
    expect(row["on_stale"] == "fallback" and row["fallback_source"] == "keys", "%s", row)
    w.a.wait_rotations("hold", 1)
    link["fallback-source"] = link["source"]
    w.a.save()
    code, said, _ = w.a.ctl("reload")
    expect(code == 1 and "is the source of this end already" in said["text"], "%s", said)
    link["fallback-source"] = "keys"
    w.a.save()




def hangs(site):
    """A condition: an apply of one link is under way at four looks in a row; one that works takes milliseconds."""
    looks = []

    def look():
        looks.append({(e["link"], e["seq"], e["state"]) for e in site.status()["links"]
                      if e["state"] in ("staging", "activating", "retiring") and site.plugin("sim")["in_flight"] > 0})
        return len(looks) >= 4 and set.intersection(*looks[-4:])

    return look


def one_call_at_a_time(w):
    """A reload that changes a device while a call to it does not return: the new instance does not begin before the
    old one's call has ended, which here is with the host."""
    w.a.mode("east", "hang")
    rig.wait_for(hangs(w.a), "a call hangs", rig=w.rig)
    w.a.mode("east", "ok")
    w.a.conf["devices"]["east"]["latency"] = "1ms"
    w.a.save()
    at = len(w.a.log())
    w.a.ask("reload")
    w.a.wait_log("ev=init inst=east plugin=sim res=ok", after=at)
    log = w.a.log()[at:]
    expect(re.search("ev=host-down plugin=sim .*did not return in its time(.|\n)*ev=init inst=east", log),
           "the new instance began while the old one was busy: %s", log)
    expect(log.count("ev=init inst=east ") == 1, "%s", log)
    for site in (w.a, w.b):
        site.wait_rotations("link-1", 1)
    expect(sorted(w.a.plugin("sim")["instances"]) == ["east", "east-2"], "%s", w.a.plugin("sim"))


# ---- device classes ----

MODULE = """#include <rekey/device.h>
static int init(struct rk_call *call, const struct rk_host *host, const struct rk_conf *conf, void **inst)
{ (void)call; (void)host; (void)conf; *inst = inst; return RK_OK; }
static void fini(void *inst) { (void)inst; }
static int apply(void *inst, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{ (void)inst; (void)call; (void)ops; (void)n; return RK_E_UNSUPPORTED; }
static int observe(void *inst, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{ (void)inst; (void)call; (void)seen; (void)n; return RK_E_UNSUPPORTED; }
static const struct rk_device_ops ops = { .size = sizeof ops, .apply = apply, .observe = observe };
__attribute__((visibility("default"))) const struct rk_plugin class_%(x)s_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_DEVICE, RK_CLASS_%(X)s), .name = "class-%(x)s", .version = "1", .summary = "For a test",
    .init = init, .fini = fini, .ops = &ops };
"""

# classes of the two ends of a local link, interval; what the error says, None: none; what a warning says
PAIRS = [("b", "b", "1s", None, None), ("b", "d", "8s", None, None), ("d", "c", "8s", None, 'device "two": class C is'),
         ("c", "c", "1s", None, "allowed, without a fallback slot"),
         ("sim", "b", "1s", "devices of class A and B have no proved rotation together", None),
         ("d", "sim", "8s", "devices of class D and A have no proved rotation together", None),
         ("e", "e", "1s", "a device of class E hears nothing of its peer", None),
         ("b", "e", "1s", "a device of class E hears nothing of its peer", None),
         ("d", "d", "7s", "needs 4s or more from begin to start time", None)]


def build_modules(r):
    cc = os.environ.get("CC", "cc").split()
    rig.need(cc[0])
    r.plugin_dir = r.dir + "/plugins"
    os.mkdir(r.plugin_dir)
    for name in ("sim.so", "static.so"):
        os.symlink(rig.PLUGINS + "/" + name, r.plugin_dir + "/" + name)
    for x in "bcde":
        source = rig.write("%s/%s.c" % (r.dir, x), MODULE % {"x": x, "X": x.upper()})
        out = "%s/class-%s.so" % (r.plugin_dir, x)
        done = subprocess.run([*cc, "-shared", "-fPIC", "-I" + rig.SOURCE + "/include", "-o", out, source],
                              capture_output=True, text=True)
        expect(done.returncode == 0, "%s", done.stderr)
        os.chmod(out, 0o700)


def check(site):
    done = subprocess.run(site.argv("--check", "--json"), capture_output=True, text=True, timeout=rig.PATIENCE_S)
    return json.loads(done.stdout)


def classes():
    """A link with both ends here is refused unless its classes have a proved rotation together; C with a warning."""
    with rig.Rig(plugins=("sim", "static")) as r:
        build_modules(r)
        site = r.site("A", "SAE_A")
        site.conf["sources"]["keys"] = {"plugin": "static", "secret": site.secret("static.key")}
        for one, two, interval, error, warning in PAIRS:
            for name, x in (("one", one), ("two", two)):
                site.conf["devices"][name] = {"plugin": x if x == "sim" else "class-" + x}
            site.conf["links"] = []
            site.link("l", device="one", interface="i", source="keys", channel="local", interval=interval,
                      **{"peer-device": "two", "peer-interface": "i"})
            site.save()
            said = check(site)
            what = "%s with %s: %s" % (one, two, said)
            expect(said["ok"] == (error is None), "%s", what)
            expect(len(said["errors"]) == (1 if error else 0), "%s", what)
            expect(not error or (error in said["errors"][0]["message"] and said["errors"][0]["line"] > 1), "%s", what)
            expect(bool(said["warnings"]) == bool(warning), "%s", what)
            expect(not warning or any(warning in x["message"] for x in said["warnings"]), "%s", what)
        site.conf["sources"]["more"] = site.conf["sources"]["keys"]
        site.conf["devices"]["one"] = {"plugin": "class-e"}
        del site.conf["links"][0]["source"]
        site.conf["links"][0]["sources"] = ["keys", "more"]
        site.save()
        said = [x["message"] for x in check(site)["errors"]]
        expect(any("class E knows nothing of mixed keys" in x for x in said), "%s", said)


def main():
    w = rig.World(set_up)
    cases = [("a policy that may surprise is warned of", warned), ("on-stale: hold", hold),
             ("on-stale: fallback", fallback),
             ("on-stale: fallback with both ends here", fallback_local), ("on-stale: shut", shut), ("explain: idle", explain_idle),
             ("explain: the journal cannot be written", explain_journal),
             ("explain: the peer is silent", explain_silent), ("a reload changes the policy", changed),
             ("a changed device does one call at a time", one_call_at_a_time)]
    cases = [(name, w.case(function)) for name, function in cases] + [("all ends well", w.last_case())]
    hand = rig.World(hand_set_up)
    cases += [("an operator's key is held", hand.case(held)), ("adopt goes on, and sweeps", hand.case(adopt)),
              ("by hand: all ends well", hand.last_case())]
    try:
        return rig.run_cases([("classes that go together", classes)] + cases)
    finally:
        w.close()
        hand.close()


sys.exit(main())
