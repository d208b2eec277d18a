# sources.py - what a rotation costs with keys from KMEs: etsi014 over mutual TLS, up to 100 pairs of SAEs.
#
# One rekey-kme is both KMEs of all pairs; what it uses is not counted, its own counters say how often it was asked and
# connected to.  It keeps idle connections for two minutes, and is asked to by the option keep-alive.  The master ends
# have one SAE, SAE_A, each slave SAE a certificate and a source of its own.
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import rig

KME = rig.BUILD + "/contrib/kme/rekey-kme"
MAKE_CERTS = os.environ["top_srcdir"] + "/contrib/kme/make-certs"
CONTROLLERS = os.path.dirname(os.path.abspath(__file__)) + "/controllers.py"
PAIRS = 100
PORTS = 50  # links on one device


def slave(i):
    return "SAE_B%02d" % i


def missing():
    """Why it cannot run here; None."""
    if not os.path.exists(KME):
        return "rekey-kme was not built"
    if not os.path.exists(rig.BUILD + "/plugins/source/etsi014/.libs/etsi014.so"):
        return "the plugin etsi014 was not built"
    if not shutil.which("openssl"):
        return "openssl is not there, which makes the certificates"
    return None


class Kme:
    """A running rekey-kme with the two KMEs of all pairs."""

    def __init__(self, folder):
        self.dir, self.stats = folder, folder + "/kme.stats"
        if not os.path.exists(folder + "/pki"):
            names = [arg for i in range(PAIRS) for arg in ("--sae", slave(i))]
            subprocess.run(["bash", MAKE_CERTS, "--sae", "SAE_A", *names, folder + "/pki"], check=True,
                           stdout=subprocess.DEVNULL)
        slaves = [slave(i) for i in range(PAIRS)]
        kmes = [{"id": me, "cert": "pki/%s.crt" % me, "key": "pki/%s.key" % me, "ca": "pki/ca.crt", "saes": own,
                 "listen": "127.0.0.1:0", "peers": [{"kme": peer, "saes": theirs}],
                 "pool": {"keys": 100000000, "refill": 1000000}}
                for me, own, peer, theirs in (("kme-a", ["SAE_A"], "kme-b", slaves),
                                              ("kme-b", slaves, "kme-a", ["SAE_A"]))]
        rig.write(folder + "/kme.yaml", json.dumps({"kmes": kmes}))

    def __enter__(self):
        ready, theirs = os.pipe()
        self.proc = subprocess.Popen([KME, "--config", self.dir + "/kme.yaml", "--ready-fd", str(theirs), "--log",
                                      "warning", "--stats", self.stats], pass_fds=(theirs,))
        os.close(theirs)
        with os.fdopen(ready) as f:
            words = f.readline().split()
        if words[:1] != ["ready"]:
            raise SystemExit("bench: rekey-kme does not start")
        self.url = {k: "https://" + at for k, at in (w.split("=") for w in words[1:])}
        return self

    def __exit__(self, *_):
        self.proc.terminate()
        self.proc.wait()

    def counts(self):
        if os.path.exists(self.stats):
            os.unlink(self.stats)
        self.proc.send_signal(signal.SIGUSR1)
        for _ in range(1000):
            if os.path.exists(self.stats):
                with open(self.stats) as f:
                    return json.load(f)
            time.sleep(0.01)
        raise SystemExit("bench: rekey-kme does not tell its counters")

    def source(self, name, kme, sae):
        pki = self.dir + "/pki/"
        return ("  %s: { plugin: etsi014, url: '%s', cert: %s%s.crt, key: 'file:%s%s.key', ca: %sca.crt, "
                "keep-alive: 60s }" % (name, self.url[kme], pki, sae, pki, sae, pki))


def config(kme, links, interval_ms, level="info", pairs=PAIRS):
    """Links in so many equal groups, each with devices of its own: as many sites with links to one."""
    each = links // pairs
    ports = min(each, PORTS)
    lines = ["sae: SAE_A", "state-dir: %s/state" % kme.dir, "control: %s/ctl.sock" % kme.dir, "log-level: " + level,
             "sources:", kme.source("ka", "kme-a", "SAE_A")]
    lines += [kme.source("kb%02d" % i, "kme-b", slave(i)) for i in range(pairs)] + ["devices:"]
    for i in range(pairs):
        for j in range(-(-each // ports)):
            lines += ["  a%d-%d: { plugin: sim }" % (i, j), "  b%d-%d: { plugin: sim }" % (i, j)]
    lines += ["defaults: { interval: %dms, verify: %dms, drain: 50ms, source: ka, channel: local }" %
              (interval_ms, interval_ms), "links:"]
    for i in range(pairs):
        for k in range(each):
            where = (i, k // ports, k, i, k // ports, k)
            lines.append("  - { name: l%02d-%05d, device: a%d-%d, interface: p%d, peer-device: b%d-%d, "
                         "peer-interface: p%d, peer-sae: %s, peer-source: kb%02d }" %
                         (i, k, *where, slave(i), i))
    rig.fresh(kme.dir, lines)


class Log:
    """What a log says of rotations, read as it grows."""

    def __init__(self, path):
        self.file, self.rest, self.ends, self.rotated = open(path, "rb"), b"", set(), 0

    def read(self):
        """Ends that have rotated, all together."""
        lines = (self.rest + self.file.read()).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            at = line.find(b" ev=rotated ")
            if at >= 0:
                self.rotated += 1
                self.ends.add(line[at + 12:line.index(b" role=", at)])
        return self.rotated

    def wait(self, daemon, ends, limit_s):
        """Until so many ends have rotated, each once at least; ret: did they."""
        until = time.monotonic() + limit_s
        while self.read() >= 0 and len(self.ends) < ends:
            if daemon.proc.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(0.2)
        return True


def measure(kme, links, rate, seconds, pairs=PAIRS):
    """A dict of figures of links that rotate at that rate [1/s], or None when they did not all begin to."""
    config(kme, links, max(100, 1000 * links // rate), pairs=pairs)
    path = kme.dir + "/log"
    with open(path, "wb") as out, rig.Daemon(kme.dir, stderr=out) as daemon:
        log = Log(path)
        if not log.wait(daemon, 2 * links, 300):
            return None
        time.sleep(3)  # the burst of the first keys is over, connections are there
        names = daemon.processes()
        done, at = log.read(), time.monotonic()
        begin, calls = {p: rig.cpu_s(p) for p in names}, kme.counts()
        time.sleep(seconds)
        used, now = {names[p]: rig.cpu_s(p) - begin[p] for p in names}, kme.counts()
        done, took = (log.read() - done) / 2, time.monotonic() - at
    return {"us": {n: 1e6 * s / done for n, s in used.items()}, "all": 1e6 * sum(used.values()) / done,
            "rate": done / took, "calls": {k: (now[k] - calls[k]) / done for k in now}}


def idle(kme, links):
    """Pss of each process [KiB] with that many links that have rotated once and have nothing to do; None."""
    config(kme, links, 3600000, level="notice")
    path = kme.dir + "/log"
    with open(path, "wb") as out, rig.Daemon(kme.dir, stderr=out) as daemon:
        if not Log(path).wait(daemon, 2 * links, 300):
            return None
        time.sleep(0.5)  # freed memory goes back, the journal's last group is written
        return {name: rig.pss_kib(pid) for pid, name in daemon.processes().items()}


# ---- others, in Python ----

def requests_missing():
    done = subprocess.run([sys.executable, "-c", "import requests"], stderr=subprocess.DEVNULL)
    return "python3-requests is not there: contrib/install-deps installs it" if done.returncode else None


def controller(kme, *argv):
    rig.write(kme.dir + "/urls.json", json.dumps(kme.url))
    return subprocess.run([sys.executable, "-B", CONTROLLERS, argv[0], kme.dir, *map(str, argv[1:])], check=True,
                          stdout=subprocess.PIPE).stdout


def pool_us(kme, links, seconds):
    """Processor time of a rotation by the persistent controller [us]."""
    for name in ("pool.db", "pool.db-wal", "pool.db-shm", "pool.log"):
        if os.path.exists(kme.dir + "/" + name):
            os.unlink(kme.dir + "/" + name)
    done, used = json.loads(controller(kme, "pool", links, seconds))
    return 1e6 * used / done


def tick_us(kme, links):
    """The same by a new process for each tick of each of the two devices, with that many links."""
    begin = rig.children_s()
    for which in ("master", "slave"):
        controller(kme, "tick", links, which)
    return 1e6 * (rig.children_s() - begin) / links
