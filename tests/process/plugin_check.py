# plugin_check.py - rekey-plugin-check: every plugin of ours passes it, and each bad one fails on exactly its own row.
#
# REKEY_QUICK leaves out what needs a peer, and most of the bad ones.
import concurrent.futures
import json
import os
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import lldp_rig  # noqa: E402
import peer_sites  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

CHECK = rig.BUILD + "/core/check/rekey-plugin-check"
PROBE = rig.BUILD + "/core/check/.libs/rekey-check-probe.so"
BAD = rig.BUILD + "/tests/kit/bad/.libs"
QUICK = os.environ.get("REKEY_QUICK") == "1"
AT_ONCE = 3
ROWS = ("load schema documented init calls results idempotent truthful errors budget cancel concurrent allocations output "
        "secrets fds threads children memory").split()
PROBED = {"allocations", "secrets", "fds", "threads", "memory"}  # cannot be seen in a build with a sanitizer
PAGES = {"sim": "device/sim/rekey-device-sim.5", "static": "source/static/rekey-source-static.5",
         "file": "source/file/rekey-source-file.5", "keyout": "source/keyout/rekey-source-keyout.5",
         "etsi014": "source/etsi014/rekey-source-etsi014.5", "spool": "channel/spool/rekey-spool.7",
         "peer": "channel/peer/rekey-peer.7", "lldp": "channel/lldp/rekey-lldp.7",
         "junos-netconf": "device/junos-netconf/rekey-junos-netconf.7",
         "exec": "device/exec/rekey-exec.7", "linux-macsec": "device/linux-macsec/rekey-device-linux-macsec.5"}

# The row on which each fails.
BADS = {"abi": "load", "schema": "schema", "silent": "documented", "eager": "init", "crash": "calls", "hang": "calls",
        "spin": "calls", "close": "calls", "half": "results", "twice": "results", "once": "idempotent",
        "lie": "truthful", "garbage": "errors", "late": "budget", "deaf": "cancel", "race": "concurrent",
        "strdup": "allocations", "print": "output", "unwiped": "secrets", "fd": "fds", "thread": "threads",
        "fork": "children", "leak": "memory"}
SOURCES = ("twice", "race")
QUICK_BADS = ("crash", "half", "lie", "deaf", "print", "fork")


def check(module, conf=None, words=(), netns=None):
    """(exit code, {row: (result, seen)}, the whole report)"""
    argv = [CHECK, "--host", rig.HOST, "--probe", PROBE, "--json", *words]
    if conf is not None:
        argv += ["--config", conf]
    done = subprocess.run((["ip", "netns", "exec", netns] if netns else []) + argv + [module], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300)
    expect(done.returncode in (0, 1), "exit code %d: %s", done.returncode, done.stderr)
    said = json.loads(done.stdout)
    return done.returncode, {row["row"]: (row["result"], row["seen"]) for row in said["rows"]}, said


def failed(rows):
    return {name: seen for name, (result, seen) in rows.items() if result == "failed"}


def passes(w, name, conf, skipped=(), netns=None):
    """Every row is passed, but for those named, which say why they are skipped."""
    rig.need_file("%s/%s.so" % (rig.PLUGINS, name))
    path = rig.write("%s/%s.yaml" % (w.rig.dir, name), json.dumps(conf))
    man = "%s/plugins/%s" % (rig.SOURCE, PAGES[name])
    code, rows, said = check("%s/%s.so" % (rig.PLUGINS, name), path, ("--man", man), netns)
    for row, (result, seen) in rows.items():
        print("# %s %s: %s: %s" % (name, row, result, seen))
    expect(not failed(rows), "%s: %s", name, failed(rows))
    expect(code == 0 and said["plugin"] == name and list(rows) == ROWS, "%s", said)
    may = set(skipped) | (PROBED if not w.probe else set())
    for row, (result, seen) in rows.items():
        expect(result == "passed" or row in may, "%s: %s is skipped: %s", name, row, seen)
        expect(result == "passed" or seen, "%s: %s says not why it is skipped", name, row)


def set_up(w):
    """All begin at once, for they wait most of the time; a case waits for its own."""
    w.rig = rig.Rig(plugins=())
    _, rows, _ = check(BAD + "/bad-good.so", words=("--only", "fds"))
    w.probe = rows["fds"][0] == "passed"
    w.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
    w.begun = {case: w.pool.submit(case, w) for case in (QUICK_ONES if QUICK else QUICK_ONES + PEERS)}


def begun(case):
    return lambda w: w.begun[case].result()


NO_DEVICE = ("idempotent", "truthful")


def sim(w):
    passes(w, "sim", {"options": {}, "slow": {"latency": "20s"}}, ("concurrent",))


def sim_classes(w):
    for letter in "bcde":
        passes(w, "sim", {"options": {"class": letter}, "slow": {"latency": "20s"}}, ("concurrent",))


def static(w):
    secret = rig.write(w.rig.dir + "/static.key", rig.new_secret())
    passes(w, "static", {"options": {"secret": "file:" + secret}}, NO_DEVICE + ("cancel", "errors"))


def file(w):
    for end in "ab":
        os.makedirs(w.rig.dir + "/pool-" + end, exist_ok=True)
    done = subprocess.run([rig.CTL, "keygen", "--keys", "4000", "--out-a", w.rig.dir + "/pool-a/pool", "--out-b",
                           w.rig.dir + "/pool-b/pool"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=rig.PATIENCE_S)
    expect(done.returncode == 0, "%s", done.stderr)
    passes(w, "file", {"options": {"pool": w.rig.dir + "/pool-a/pool"}}, NO_DEVICE + ("cancel", "concurrent"))


def keyout(w):
    """Its file is rewritten all the time, as another daemon would."""
    import base64
    path, ended = w.rig.dir + "/key_out", threading.Event()

    def rewrite():
        while not ended.is_set():
            rig.write(path, base64.b64encode(os.urandom(32)).decode())
            ended.wait(0.02)
    rewriter = threading.Thread(target=rewrite)
    rewriter.start()
    try:
        passes(w, "keyout", {"options": {"file": path, "period": "1s"}}, NO_DEVICE + ("cancel", "concurrent", "errors"))
    finally:
        ended.set()
        rewriter.join()


def etsi014(w):
    kmes = rig.KmePair(w.rig)
    kmes.start()
    site = w.rig.site("A", "SAE_A")
    kmes.source(site)
    options = dict(site.conf["sources"]["keys"], **{"sync-window": "0ms"})  # no key that is asked for is on its way
    passes(w, "etsi014", {"options": options, "sae": "SAE_A", "peer-sae": "SAE_B"}, NO_DEVICE)
    kmes.a.process.end(9)
    kmes.b.process.end(9)


def spool(w):
    dirs = {name: "%s/spool-%s" % (w.rig.dir, name) for name in ("dir", "peer-dir")}
    for path in dirs.values():
        os.mkdir(path, 0o700)
    passes(w, "spool", {"options": dirs}, NO_DEVICE + ("concurrent", "secrets", "errors"))


def peer(w):
    pki = peer_sites.Pki(w.rig.dir + "/pki")
    cert, key = pki.make("SAE_A")
    options = {"listen": "127.0.0.1:%d" % peer_sites.free_port(), "cert": cert, "key": "file:" + key, "ca": pki.ca,
               "url": "https://127.0.0.1:%d" % peer_sites.free_port()}
    passes(w, "peer", {"options": options}, NO_DEVICE + ("concurrent", "secrets", "errors"))


def lldp(w):
    net = lldp_rig.Lldp(w.rig)
    try:
        passes(w, "lldp", {"options": {"socket": net.socket("a")}, "interface": net.port("a")},
               NO_DEVICE + ("concurrent", "secrets", "errors"), netns=net.ns["a"])
    finally:
        net.close()


def junos(w):
    lab = junos_rig.Lab(w.rig)
    lab.router("r1")
    lab.router("r2")
    port, _ = lab.cable("check-1", "r1", "r2")
    lab.start()
    site = w.rig.site("J", "SAE_A")
    lab.routers["r1"].device(site)
    # libssh2 uses a hash that it had no memory for, so it is left out
    passes(w, "junos-netconf", {"options": site.conf["devices"]["r1"], "interface": port, "allocations": "own"},
           ("concurrent",))


def exec_program(w):
    """The example of contrib; its keys go from row to row, as those of a router do."""
    folder = w.rig.dir + "/exec"
    os.mkdir(folder, 0o700)
    with open(rig.SOURCE + "/contrib/exec/folder-device", "rb") as f:
        program = rig.write(folder + "/folder-device", f.read(), 0o700)
    slow = rig.write(folder + "/slow", "#!/bin/sh\nsleep 20\n", 0o700)
    passes(w, "exec", {"options": {"program": program, "argument": [folder + "/box"]}, "slow": {"program": slow}},
           ("concurrent",))


def linux_macsec(w):
    raise rig.Skip("a kernel whose MACsec may be changed is in the guests of tests/e2e only")


def bad(name):
    """What became of one of them: None, or what is wrong."""
    row = BADS[name]
    words = [] if name in SOURCES else ["--config", bad.conf]
    code, rows, _ = check("%s/bad-%s.so" % (BAD, name), words=words)
    if not bad.probe and row in PROBED:
        return None if not failed(rows) else "%s: without a probe: %s" % (name, failed(rows))
    if list(failed(rows)) != [row] or code != 1:
        return "%s fails not on %s alone: exit code %d, %s" % (name, row, code, failed(rows))
    print("# %s fails on %s: %s" % (name, row, rows[row][1]))
    return None


def bads(w):
    bad.conf = rig.write(w.rig.dir + "/bad.yaml", json.dumps({"budget": "800ms", "slow": {"delay": "3s"}}))
    bad.probe = w.probe
    code, rows, _ = check(BAD + "/bad-good.so", bad.conf)
    expect(code == 0 and not failed(rows), "the good one fails: %s", failed(rows))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = [why for why in pool.map(bad, QUICK_BADS if QUICK else BADS) if why]
    expect(not wrong, "%s", "\n".join(wrong))


def all_known(w):
    """There is no bad module without its row, and no row that nobody fails on."""
    built = {name[4:-3] for name in os.listdir(BAD) if name.endswith(".so")} - {"good"}
    expect(built == set(BADS), "built: %s", sorted(built ^ set(BADS)))
    expect(set(BADS.values()) == set(ROWS), "rows without a module: %s", sorted(set(ROWS) - set(BADS.values())))


def wrong_use(w):
    """Exit codes, and what is said of a file that is none."""
    def run(*words):
        done = subprocess.run([CHECK, "--host", rig.HOST, "--probe", PROBE, *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=rig.PATIENCE_S)
        return done.returncode, done.stdout + done.stderr
    good = BAD + "/bad-good.so"
    conf = rig.write(w.rig.dir + "/wrong.yaml", "optoins: {}\n")
    expect(run()[0] == 2 and run("--only", "nothing", good)[0] == 2, "wrong use is not told")
    code, said = run("--config", conf, good)
    expect(code == 2 and "wrong.yaml:1:1: unknown key \"optoins\"" in said, "%d %s", code, said)
    code, said = run("/no/such.so")
    expect(code == 3 and "/no/such.so" in said, "%d %s", code, said)
    code, said = run(rig.write(w.rig.dir + "/text.so", "no module\n"))
    expect(code == 1 and "FAIL  load" in said, "%d %s", code, said)
    code, said = run("--list")
    expect(code == 0 and [line.split()[0] for line in said.splitlines()] == ROWS, "%d %s", code, said)
    code, said = run("--only", "load,schema", good)
    expect(code == 0 and "\n2 passed, 0 failed" in said, "%d %s", code, said)


QUICK_ONES = (sim, static, spool)
PEERS = (junos, lldp, exec_program, peer, file, keyout, etsi014, sim_classes, linux_macsec)  # the longest first


def main():
    w = rig.World(set_up)
    cases = [("wrong use", wrong_use), ("every bad module is known", all_known), ("bad modules", bads)]
    cases += [(case.__name__.replace("_", "-"), begun(case)) for case in QUICK_ONES + (() if QUICK else PEERS)]
    try:
        return rig.run_cases([(name, w.case(case)) for name, case in cases], quick_too=True)
    finally:
        if hasattr(w, "pool"):
            w.pool.shutdown(cancel_futures=True)
        w.close()


sys.exit(main())
