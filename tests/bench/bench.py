# bench.py - what rekeyd costs, as a table.  It prints and never judges: times depend on the machine.
#
# BENCH=NAME[,NAME...] chooses: start, memory, links, cpu, peers, check, sources, junos, lldp, peer, shim; and callgrind, only
# when named.
# Devices are sim with no latency, keys come from static, those of "sources" from KMEs, links are local: both ends are
# driven by the one rekeyd, and one rotation is all of it, at both ends.  doc/performance.md says how to read the
# figures.
import os
import shutil
import statistics
import subprocess
import sys
import time

import junos
import peer
import peers
import rig
import shim
import sources

RUN_S = float(os.environ.get("BENCH_SECONDS", "8"))  # length of one measurement under load
RUNS = 9                                              # of what is over in a moment
PAIRS = 3                                             # of runs under load


def title(text):
    print("\n" + text)


def row(name, value, note=""):
    print("  %-44s %14s  %s" % (name, value, note))
    sys.stdout.flush()


def median_ms(values):
    return "%.0f ms" % (1000 * statistics.median(values))


# ---- start ----

def start_once(folder, links):
    rig.config(folder, links, "1h", level="notice")
    begun = time.monotonic()
    with rig.Daemon(folder, stderr=subprocess.PIPE) as daemon:
        end = rig.wait_rotated(daemon, 2 * links)
    if end is None:
        raise SystemExit("bench: %d links did not rotate in time" % links)
    return end - begun


def start(folder):
    title("start: exec of rekeyd until all links have rotated once, drain of 2 x 100 ms included; median of %d" % RUNS)
    for links in (1, 1000):
        times = [start_once(folder, links) for _ in range(RUNS)]
        row("%d link%s" % (links, "s"[:links > 1]), median_ms(times),
            "%.0f..%.0f ms" % (1000 * min(times), 1000 * max(times)))


# ---- memory ----

PLUGINS = (  # name in the table, what the configuration gets more, plugin that must be there
    ("static + sim", {}, "sim"),
    ("+ spool", {"channels": "  c: { plugin: spool, dir: %(d)s/out, peer-dir: %(d)s/in, "
                             "auth-key: 'file:%(d)s/auth' }"}, "spool"),
    ("+ file", {"sources": "  f: { plugin: file, pool: %(d)s/keys }"}, "file"),
    ("+ etsi014", {"sources": "  k: { plugin: etsi014, url: 'https://127.0.0.1:9', ca: %(d)s/ca.pem, "
                              "cert: %(d)s/cert.pem, key: 'file:%(d)s/key.pem' }"}, "etsi014"),
    ("+ linux-macsec", {"devices": "  m: { plugin: linux-macsec }"}, "linux-macsec"),
)


def idle_pss(folder, links, more=None, interval="1h"):
    """Pss of each process [KiB], when all links have rotated once and nothing is left to do."""
    more = {k: v % {"d": folder} for k, v in (more or {}).items()}
    rig.config(folder, links, interval, level="notice", **more)
    with rig.Daemon(folder, stderr=subprocess.PIPE) as daemon:
        if rig.wait_rotated(daemon, 2 * links, 300) is None:
            return None
        time.sleep(0.5)  # freed memory goes back, the journal's last group is written
        return {name: rig.pss_kib(pid) for pid, name in daemon.processes().items()}


def memory(folder):
    title("memory: Pss of all processes [KiB], one link, idle")
    for name in ("out", "in", "keys"):
        os.makedirs(folder + "/" + name, mode=0o700, exist_ok=True)
    base = None
    for name, more, plugin in PLUGINS:
        if not os.path.exists("%s/plugins/%s.so" % (folder, plugin)):
            continue
        pss = idle_pss(folder, 1, more)
        if pss is None:
            row(name, "-", "it does not run with this plugin here")
            continue
        total = sum(pss.values())
        base = base or total
        parts = ", ".join("%s %d" % item for item in sorted(pss.items(), key=lambda i: -i[1]))
        row(name, total, parts if total == base else "%+d: %s" % (total - base, parts))


def links(folder):
    title("idle links: Pss [bytes] that each link adds, both ends; 100 against 10,000 links")
    few, many = idle_pss(folder, 100), idle_pss(folder, 10000)
    if not few or not many:
        row("links", "-", "not all rotated in time")
        return
    per = {name: 1024 * (many[name] - few[name]) / 9900 for name in many}
    row("rekeyd", "%.0f" % per["rekeyd"])
    for name in sorted(per):
        if name != "rekeyd":
            row(name, "%.0f" % per[name])
    row("all", "%.0f" % sum(per.values()))


# ---- processor time ----

def load_once(folder, links, ports, interval="1s"):
    """Processor time per rotation [us] by process, and rotations per second, over RUN_S of that interval."""
    rig.config(folder, links, interval, ports, drain="0ms" if interval == "100ms" else "100ms")
    with open(folder + "/log", "wb") as log, rig.Daemon(folder, stderr=log) as daemon:
        time.sleep(2)  # the first rotations, and the way to the steady state
        names = daemon.processes()
        begin = {pid: rig.cpu_s(pid) for pid in names}
        done, at = rig.rotated_in(folder + "/log"), time.monotonic()
        time.sleep(RUN_S)
        used = {names[pid]: rig.cpu_s(pid) - begin[pid] for pid in names}
        done, took = (rig.rotated_in(folder + "/log") - done) / 2, time.monotonic() - at
    return {name: 1e6 * s / done for name, s in used.items()}, done / took


def load_row(folder, links, ports, interval="1s"):
    runs = [load_once(folder, links, ports, interval) for _ in range(PAIRS)]
    us = {name: statistics.median(r[0][name] for r in runs) for name in runs[0][0]}
    total = statistics.median(sum(r[0].values()) for r in runs)
    rate = statistics.median(r[1] for r in runs)
    row("%d links, %d a device, each %s" % (links, min(links, ports), interval), "%.0f us" % total,
        "%s; %.0f/s now, %.0f/s a core" % (", ".join("%s %.0f" % (n, us[n]) for n in sorted(us, reverse=True)),
                                            rate, 1e6 / total))
    return total


def cpu(folder):
    title("processor time of one rotation, both ends; %.0f s, median of %d" % (RUN_S, PAIRS))
    for links, ports in ((200, rig.PORTS), (1000, rig.PORTS), (1000, 1000)):
        load_row(folder, links, ports)
    load_row(folder, 1000, rig.PORTS, "100ms")


def burst_once(folder):
    """Processor time per rotation [us] when 1000 links are due at once: of a start with them, less that of one link."""
    used = []
    for links in (1, 1000):
        rig.config(folder, links, "1h")
        with open(folder + "/log", "wb") as log, rig.Daemon(folder, stderr=log) as daemon:
            names = []
            for _ in range(600):
                time.sleep(0.1)
                if rig.rotated_in(folder + "/log") == 2 * links:
                    names = daemon.processes()
                    break
            used.append(sum(rig.cpu_s(pid) for pid in names))
    return 1e6 * (used[1] - used[0]) / 999


def compare(folder):
    title("the same by others, in turns with rekeyd; median of %d, ratios of each turn" % PAIRS)
    turns = [{"spread": sum(load_once(folder, 1000, rig.PORTS)[0].values()), "one": peers.loop_us(folder, 1),
              "burst": burst_once(folder), "all": peers.loop_us(folder, rig.PORTS), "tick": peers.tick_us()}
             for _ in range(PAIRS)]
    for name, key, to in (
            ("rekeyd, 1000 links spread over 1 s", "spread", None),
            ("a loop in Python, one link at a time", "one", "spread"),
            ("rekeyd, 1000 links due at once", "burst", None),
            ("a loop in Python, 48 links at a time", "all", "burst"),
            ("a Python started for each tick, no work", "tick", "spread")):
        row(name, "%.0f us" % statistics.median(t[key] for t in turns),
            "%.1f x rekeyd" % statistics.median(t[key] / t[to] for t in turns) if to else "")


# ---- keys from KMEs ----

SOURCE_RATE = 1000  # rotations a second, whatever the number of links


def source_row(kme, links, pairs):
    r = sources.measure(kme, links, SOURCE_RATE, RUN_S, pairs)
    name = "%d links of %d pairs, each %d s" % (links, pairs, links // SOURCE_RATE)
    if r is None:
        row(name, "-", "not all of them rotated in time")
        return None
    row(name, "%.0f us" % r["all"], "%s; %.0f/s now, %.0f per CPU second" %
        (", ".join("%s %.0f" % (n, r["us"][n]) for n in sorted(r["us"], reverse=True)), r["rate"], 1e6 / r["all"]))
    row("", "", "per rotation: %.3f enc_keys, %.3f dec_keys, %.4f status, %.4f refused, %.4f handshakes" %
        tuple(r["calls"][k] for k in ("enc_keys", "dec_keys", "status", "refused", "connections")))
    return r["all"]


def source_memory(kme):
    title("memory with keys from KMEs: Pss [bytes] that each idle link adds, both ends")
    sizes = (1000, 10000, 100000)
    found = [sources.idle(kme, links) for links in sizes]
    for few, many, a, b in zip(sizes, sizes[1:], found, found[1:]):
        if not a or not b:
            row("%d to %d links" % (few, many), "-", "not all of them rotated in time")
            continue
        per = {name: 1024 * (b[name] - a[name]) / (many - few) for name in b}
        row("%d to %d links: rekeyd" % (few, many), "%.0f" % per["rekeyd"],
            ", ".join("%s %.0f" % (name, per[name]) for name in sorted(per) if name != "rekeyd"))


def source_others(kme):
    title("the same by controllers in Python, in turns with rekeyd, 10000 links; median of %d, ratios of each turn" %
          PAIRS)
    why = sources.requests_missing()
    if why:
        row("controllers", "-", why)
        return
    turns = []
    for _ in range(PAIRS):
        r = sources.measure(kme, 10000, 2 * SOURCE_RATE, RUN_S)
        full = sources.measure(kme, 10000, 10 * SOURCE_RATE, RUN_S)  # more than it can do
        if r and full:
            turns.append({"rekeyd": r["all"], "full": full["all"], "rate": full["rate"],
                          "pool": sources.pool_us(kme, 10000, RUN_S), "tick": sources.tick_us(kme, 2)})
    if not turns:
        row("rekeyd", "-", "not all of them rotated in time")
        return
    middle = {key: statistics.median(t[key] for t in turns) for key in turns[0]}
    row("rekeyd, %d a second" % (2 * SOURCE_RATE), "%.0f us" % middle["rekeyd"])
    row("rekeyd, as many as it can", "%.0f us" % middle["full"], "%.0f/s now" % middle["rate"])
    for key, name in (("pool", "persistent, requests.Session, 32 threads"), ("tick", "a new process for each tick")):
        row(name, "%.0f us" % middle[key], "%.1f x rekeyd; %.1f x, as many as it can" %
            tuple(statistics.median(t[key] / t[by] for t in turns) for by in ("rekeyd", "full")))


def source(folder):
    title("keys by etsi014 over mutual TLS, by SAE pairs: processor time of one rotation, both ends, without the KMEs; "
          "%.0f s" % RUN_S)
    why = sources.missing()
    if why:
        row("sources", "-", why)
        return
    with sources.Kme(folder) as kme:
        for links, pairs in ((1000, 10), (1000, sources.PAIRS), (10000, sources.PAIRS), (100000, sources.PAIRS)):
            source_row(kme, links, pairs)
        source_others(kme)
        source_memory(kme)


# ---- routers ----

def router_rate(folder, commit):
    """100 routers with 10 links each, as fast as they can, and a loop that takes one router after the other."""
    with junos.Lab(folder, 100, 10, commit) as lab:
        r = junos.run(lab, "100ms", "200ms", 2 * RUN_S)
    if r is None:
        row("commits of " + commit, "-", "not all links got their first key in time")
        return
    row("commits of %s: rekeyd" % commit, "%.0f/s" % r["rate"], "%.0f us: %s; junos-sim %.0f; %.2f commits a rotation" %
        (r["all"], ", ".join("%s %.0f" % (n, r["us"][n]) for n in sorted(r["us"], reverse=True)), r["sim"],
         r["commits"]))
    bare = 10 / (2 * (float(commit[:-2]) / 1000 if commit.endswith("ms") else float(commit[:-1])))
    row("  a loop of nothing but commits, in series", "%.1f/s" % bare, "%.1f x; one commit a router and round" %
        (r["rate"] / bare))
    row("  one link a commit", "%.1f/s" % (bare / 10), "%.0f x" % (10 * r["rate"] / bare))
    if junos.python():
        with junos.Lab(folder, 8, 10, commit) as lab:
            rate = junos.script(lab, "serial", 2 * RUN_S, 4)[1]
        row("  ncclient, one router after the other", "%.1f/s" % rate, "%.0f x" % (r["rate"] / rate))


def router_skew(folder, commit, interval):
    with junos.Lab(folder, 100, 10, commit) as lab:
        r = junos.run(lab, interval, "10s", max(3 * RUN_S, 24))
    if r is None:
        row("commits of " + commit, "-", "not all links got their first key in time")
        return
    row("commits of %s, each %s" % (commit, interval), "%.0f ms" % junos.quantile(r["skew"], 0.5),
        "p99 %.0f, most %.0f, of %d rotations; %.2f commits a rotation" %
        (junos.quantile(r["skew"], 0.99), max(r["skew"], default=0), len(r["skew"]), r["commits"]))


def router_turn(folder):
    """One after the other: rekeyd at a few rotations a second, and as many as it can, and the script's three ways."""
    def lab():
        return junos.Lab(folder, 20, 10, "20ms")
    with lab() as x:
        few = junos.run(x, "2s", "10s", RUN_S)
    with lab() as x:
        most = junos.run(x, "100ms", "200ms", RUN_S)
    others = []
    for how in ("each", "pool", "bare"):
        with lab() as x:
            others.append(junos.script(x, how, RUN_S, 10))
    return (few, most, others) if few and most else None


def router_row(name, turns):
    row(name, "%.0f us" % statistics.median(r["all"] for r in turns),
        "%s; %.0f/s, %.2f commits a rotation" % (
            ", ".join("%s %.0f" % (n, statistics.median(r["us"][n] for r in turns))
                      for n in sorted(turns[0]["us"], reverse=True)),
            statistics.median(r["rate"] for r in turns), statistics.median(r["commits"] for r in turns)))


def router_others(folder):
    title("a script with ncclient in turns with rekeyd, 20 routers, 10 links each: processor time of a rotation")
    if not junos.python():
        row("ncclient", "-", "python3-ncclient is not there: contrib/install-deps installs it")
        return
    turns = [t for t in (router_turn(folder) for _ in range(PAIRS)) if t]
    if not turns:
        row("rekeyd", "-", "not all links got their first key in time")
        return
    router_row("rekeyd, an interval of 2 s", [t[0] for t in turns])
    router_row("rekeyd, as many as it can", [t[1] for t in turns])
    for i, name in enumerate(("a commit for each rotation, 10 threads", "one commit for all links of a router",
                              "the same, not read back")):
        row(name, "%.0f us" % statistics.median(t[2][i][0] for t in turns),
            "%.1f x rekeyd; %.1f x, as many as it can; %.0f/s" % (
                statistics.median(t[2][i][0] / t[0]["all"] for t in turns),
                statistics.median(t[2][i][0] / t[1]["all"] for t in turns),
                statistics.median(t[2][i][1] for t in turns)))


def router_sessions(folder):
    title("open sessions, links at rest, for %.0f s: Pss that each adds, processor time" % max(65, RUN_S))
    found = {}
    for boxes in (10, 1000):
        with junos.Lab(folder, boxes, 1, "20ms", "2s") as lab:
            found[boxes] = junos.idle(lab, max(65, RUN_S) if boxes == 1000 else 1)
    few, many = found[10], found[1000]
    if not few or not many:
        row("1000 sessions", "-", "not all links got their first key in time")
        return
    for name in sorted(many, reverse=True):
        row(name, "%.1f KiB" % ((many[name][0] - few[name][0]) / 990), "%.2f %% of a core" % many[name][1])


def routers(folder):
    why = junos.missing()
    if why:
        title("routers")
        row("junos", "-", why)
        return
    title("100 routers, 10 links each between two of them, MKA hellos of 50 ms: rotations, as many as they can; "
          "%.0f s" % (2 * RUN_S))
    router_rate(folder, "2s")
    router_rate(folder, "20ms")
    title("time between the ends of both routers' commits of a key, median")
    router_skew(folder, "2s", "20s")
    router_skew(folder, "20ms", "20s")
    title("48 links of one router, due together")
    with junos.Lab(folder, 2, 48, "20ms") as lab:
        r = junos.run(lab, "2s", "10s", RUN_S)
        row("commits of each router and rotation of all", "%.2f" % (r["commits"] * 48 / 2) if r else "-")
    router_others(folder)
    router_sessions(folder)


# ---- LLDP ----

def lldp(folder):
    title("LLDP as the only path: from the master's record to its acceptance by the slave, by the two logs")
    script = os.path.dirname(os.path.abspath(__file__)) + "/lldp.py"
    done = subprocess.run([sys.executable, "-B", script], cwd=folder, stdout=subprocess.PIPE, text=True,
                          env=dict(os.environ, top_builddir=rig.BUILD))
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    if done.returncode or "p50" not in said:
        row("lldp", "-", said.get("skip", "it did not end well"))
        return
    row("median of %s rotations" % said["rotations"], said["p50"] + " ms",
        "99 of 100: %s ms or less, all: %s ms or less" % (said["p99"], said["most"]))


# ---- the channel peer ----

SETTLES_S = 21  # a host gives back what a burst has left 20 s after its begin, when calls go on


def channel_row(folder, sites, links):
    """Memory of the hub's plugin [KiB] when all is done; None."""
    name = "%d links with %d peer%s: all rotated" % (links, sites, "s"[:sites > 1])
    with peer.Sites(folder, sites, links) as lab:
        took = lab.rotated()
        if took is None:
            row(name, "-", "not all of them rotated in time")
            return None
        row(name, "%.1f s" % took, "from exec of the first rekeyd on")
        time.sleep(SETTLES_S)
        memory = lab.host()
        if sites == 1:
            times = lab.round_trips(1000)
            row("  a request with a record, and its answer", "%.2f ms" % junos.quantile(times, 0.5),
                "p99 %.2f, most %.2f" % (junos.quantile(times, 0.99), max(times)))
        return memory


def channel(folder):
    title("channel peer: two sites and more on this machine, their first rotation; a rekeyd with its hosts for each")
    why = peer.missing()
    if why:
        row("peer", "-", why)
        return
    few, many = channel_row(folder, 1, 100), channel_row(folder, 1, 10000)
    if few and many:
        row("  memory of the plugin for each link", "%.0f bytes" % (1024 * (many - few) / 9900))
    channel_row(folder, 10, 10000)
    channel_row(folder, 100, 10000)


# ---- the script on routers ----

def script(folder):
    title("rekey-shim.py: processor time of a tick with nothing due, cli included; median of %d" % shim.TURNS)
    found = shim.measure()
    if "why" in found:
        row("rekey-shim.py", "-", found["why"])
        return
    row("a tick", "%.0f ms" % (1000 * found["tick"]), "%g request, %d replies of the router in %.0f KiB" % (
        found["requests"], found["facts"], found["bytes"] / 1024))
    if "pyez" in found:
        row("import jnpr.junos, and no more", "%.0f ms" % (1000 * found["pyez"]), "a tick costs %.2f of it" % (
            found["tick"] / found["pyez"]))
    else:
        row("import jnpr.junos", "-", "python3-junos-eznc is not installed")
    row("start of Python", "%.0f ms" % (1000 * found["bare"]))


# ---- configuration ----

def check(folder):
    title("configuration: rekeyd --check, hosts started included; median of 3")
    for links in (10000, 100000):
        rig.config(folder, links, "1h")
        times = []
        for _ in range(3):
            begun = time.monotonic()
            done = subprocess.run(rig.command(folder, "--check"), stdout=subprocess.DEVNULL)
            times.append(time.monotonic() - begun)
            if done.returncode:
                raise SystemExit("bench: the configuration was refused")
        row("%d links" % links, median_ms(times))


# ---- instructions ----

def instructions(path):
    """All of a process: one line for each of its dumps, which a line "totals:" says again at the end."""
    with open(path) as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("summary:"))


def callgrind_once(folder, seconds):
    """Rotations, and instructions by process, of a run of that length."""
    wrapper = "#!/bin/sh\nexec valgrind -q --tool=callgrind --callgrind-out-file=%s/cg.%%p %s \"$@\"\n"
    for name, program in (("rekeyd", rig.REKEYD), ("rekey-host", rig.HOST)):
        rig.write("%s/%s" % (folder, name), wrapper % (folder, program))
        os.chmod("%s/%s" % (folder, name), 0o700)
    rig.config(folder, 100, "5s")
    with open(folder + "/log", "wb") as log:
        daemon = rig.Daemon(folder, "--host", folder + "/rekey-host", stderr=log, program=folder + "/rekeyd")
        time.sleep(seconds)
        files = {name: "%s/cg.%d" % (folder, pid) for pid, name in daemon.processes().items()}
        daemon.stop()
    return rig.rotated_in(folder + "/log") / 2, {n: instructions(f) for n, f in files.items() if os.path.exists(f)}


def callgrind(folder):
    title("instructions of one rotation, both ends, in user mode: 100 links each 5 s, a run of 45 s less one of 15 s")
    if not shutil.which("valgrind"):
        row("callgrind", "-", "valgrind is not there")
        return
    (few, short), (many, long) = callgrind_once(folder, 15), callgrind_once(folder, 45)
    for name in sorted(long, reverse=True):
        row(name, "%.0f" % ((long[name] - short.get(name, 0)) / (many - few)))


CHOICES = {"start": start, "memory": memory, "links": links, "cpu": cpu, "peers": compare, "check": check,
           "sources": source, "junos": routers, "lldp": lldp, "peer": channel, "shim": script,
           "callgrind": callgrind}


def main():
    chosen = os.environ.get("BENCH", "")
    names = chosen.replace(",", " ").split() or [n for n in CHOICES if n != "callgrind"]
    unknown = [n for n in names if n not in CHOICES]
    if unknown:
        raise SystemExit("bench: BENCH=%s: choose of %s" % (chosen, ", ".join(CHOICES)))
    with rig.scratch() as folder:
        for name in names:
            CHOICES[name](folder)


main()
