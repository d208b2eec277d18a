# junos.py - what rotations on routers cost: rekeyd with junos-netconf against junos-sim, 100 routers and more.
#
# One junos-sim is all routers; what it uses is not counted as rekeyd's, but it has the same processors.  Routers are
# pairs, with that many cables between the two; a link is local, so that one rekeyd drives both of its ends.  Keys come
# from static.  MKA has short hellos: what is measured is how long commits take, not how long MKA does.
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import rig
import sources

SIM = rig.BUILD + "/contrib/junos-sim/junos-sim"
PEERS = os.path.dirname(os.path.abspath(__file__)) + "/junos_peers.py"
USER = "rekeyd"
COMMITTED = re.compile(r"^(\S+) .* ev=committed box=(\S+) user=rekeyd txn=(\w+) links=(\S*)")


def missing():
    """Why it cannot run here; None."""
    if not os.path.exists(SIM):
        return "junos-sim was not built"
    if "junos-netconf" not in rig.modules():
        return "the plugin junos-netconf was not built"
    if not shutil.which("ssh-keygen"):
        return "ssh-keygen is not there, which makes the key for SSH"
    return None


def address(i):
    return "127.7.%d.%d" % (i // 200, i % 200 + 1)


def port_name(k):
    return "ge-0/0/%d" % k


class Lab:
    """A running junos-sim with pairs of routers: r0000 and r0001 ...; its log is in a file."""

    def __init__(self, folder, boxes, links, commit, hello="50ms"):
        self.dir, self.boxes, self.links, self.commit, self.hello = folder, boxes, links, commit, hello
        self.key, self.known, self.log_path = folder + "/id", folder + "/known_hosts", folder + "/sim.log"
        if not os.path.exists(self.key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", self.key], check=True,
                           stdin=subprocess.DEVNULL)
        rig.write(folder + "/router.conf", "\n".join(self.router()) + "\n")
        rig.write(folder + "/lab.yaml", "\n".join(self.topology()) + "\n")

    def router(self):
        """The configuration of a router before its first key."""
        for k in range(self.links):
            ca = "set security macsec connectivity-association CA%d " % k
            yield ca + "cipher-suite gcm-aes-xpn-256"
            yield ca + "mka transmit-interval 2000"
            yield "set security macsec interfaces %s connectivity-association CA%d" % (port_name(k), k)

    def topology(self):
        yield "hello: " + self.hello
        yield "commit: " + self.commit
        yield "user: { name: %s, keys: %s.pub }" % (USER, self.key)
        yield "devices:"
        ports = ", ".join(port_name(k) for k in range(self.links))
        for i in range(self.boxes):
            yield ("  - { name: r%04d, address: %s, config: %s/router.conf, ports: [%s] }" %
                   (i, address(i), self.dir, ports))
        yield "cables:"
        for i in range(0, self.boxes, 2):
            for k in range(self.links):
                yield '  - "r%04d:%s - r%04d:%s"' % (i, port_name(k), i + 1, port_name(k))

    def __enter__(self):
        ready, theirs = os.pipe()
        with open(self.log_path, "wb") as log:
            self.proc = subprocess.Popen([SIM, "--topology", self.dir + "/lab.yaml", "--port", "0", "--known-hosts",
                                          self.known, "--ready-fd", str(theirs), "--log", "info"], pass_fds=(theirs,),
                                         stderr=log, stdout=subprocess.DEVNULL)
        os.close(theirs)
        with os.fdopen(ready) as f:
            words = f.readline().split()
        if words[:1] != ["ready"]:
            with open(self.log_path, errors="replace") as log:
                raise SystemExit("bench: junos-sim does not start: " + log.read()[-400:])
        self.port = int(words[1].split("=")[1])
        self.log = open(self.log_path, errors="replace")
        return self

    def __exit__(self, *_):
        self.log.close()
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(60)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()

    def commits(self):
        """What the log says of commits of rekeyd since the last call: time [s], router, CKN by port."""
        found = []
        for line in self.log:
            m = COMMITTED.match(line)
            if m:
                keys = dict(re.findall(r"([a-z]+-[0-9/]+)=([0-9a-f]{12})/", m.group(4)))
                at = datetime.datetime.fromisoformat(m.group(1).replace("Z", "+00:00")).timestamp()
                found.append((at, m.group(2), keys))
        return found


def skews(commits):
    """Of each key that both ends got: time between the ends of the two commits [ms]."""
    first, found = {}, []
    for at, box, keys in commits:
        for port, ckn in keys.items():
            mate = "r%04d" % (int(box[1:]) ^ 1)
            if (mate, port, ckn) in first:
                found.append(1000 * abs(at - first.pop((mate, port, ckn))))
            else:
                first[box, port, ckn] = at
    return found


def config(lab, interval, verify, level="info"):
    """rekeyd for all routers and cables of the lab."""
    lines = ["sae: BENCH", "state-dir: %s/state" % lab.dir, "control: %s/ctl.sock" % lab.dir, "log-level: " + level,
             "sources:", '  s: { plugin: static, secret: "file:%s/secret" }' % lab.dir, "devices:"]
    for i in range(lab.boxes):
        lines.append("  r%04d: { plugin: junos-netconf, host: %s, port: %d, user: %s, key: 'file:%s', "
                     "known-hosts: %s }" % (i, address(i), lab.port, USER, lab.key, lab.known))
    lines.append("defaults: { interval: %s, verify: %s, drain: 50ms, source: s, channel: local }" % (interval, verify))
    lines.append("links:")
    for i in range(0, lab.boxes, 2):
        for k in range(lab.links):
            lines.append("  - { name: l%04d-%02d, device: r%04d, interface: %s, peer-device: r%04d, "
                         "peer-interface: %s }" % (i, k, i, port_name(k), i + 1, port_name(k)))
    rig.fresh(lab.dir, lines)


def run(lab, interval, verify, seconds):
    """Rotations as fast as the interval lets them: a dict of figures; None when not all links got their first key."""
    config(lab, interval, verify)
    ends, path = lab.boxes * lab.links, lab.dir + "/log"
    with open(path, "wb") as out, rig.Daemon(lab.dir, stderr=out) as daemon:
        log = sources.Log(path)
        if not log.wait(daemon, ends, 300):
            return None
        time.sleep(1)
        names = daemon.processes()
        begin, done, at = {p: rig.cpu_s(p) for p in names}, log.read(), time.monotonic()
        sim = rig.cpu_s(lab.proc.pid)
        lab.commits()
        time.sleep(seconds)
        used, sim = {names[p]: rig.cpu_s(p) - begin[p] for p in names}, rig.cpu_s(lab.proc.pid) - sim
        done, took = (log.read() - done) / 2, time.monotonic() - at
        commits = lab.commits()
    if not done:
        return None
    return {"us": {n: 1e6 * s / done for n, s in used.items()}, "all": 1e6 * sum(used.values()) / done,
            "sim": 1e6 * sim / done, "rate": done / took, "commits": len(commits) / done, "skew": skews(commits)}


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))] if values else float("nan")


def idle(lab, seconds):
    """Pss [KiB] and processor time [% of a core] of each process, when all links have a key and rest; None."""
    config(lab, "24h", "1h")
    path = lab.dir + "/log"
    with open(path, "wb") as out, rig.Daemon(lab.dir, stderr=out) as daemon:
        if not sources.Log(path).wait(daemon, lab.boxes * lab.links, 300):
            return None
        time.sleep(2)  # freed memory goes back, the journal's last group is written
        names = daemon.processes()
        begin, at = {p: rig.cpu_s(p) for p in names}, time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - at
        return {names[p]: (rig.pss_kib(p), 100 * (rig.cpu_s(p) - begin[p]) / took) for p in names}


# ---- others, in Python ----

def python():
    """One that has ncclient; None."""
    for path in (sys.executable, "/usr/bin/python3"):
        if os.path.exists(path):
            done = subprocess.run([path, "-c", "import ncclient"], stderr=subprocess.DEVNULL)
            if done.returncode == 0:
                return path
    return None


def script(lab, how, seconds, pairs):
    """The script with ncclient on so many pairs: processor time of a rotation [us], and rotations per second."""
    order = {"port": lab.port, "ports": [port_name(k) for k in range(lab.links)], "user": USER, "key": lab.key,
             "hosts": [(address(2 * i), address(2 * i + 1)) for i in range(pairs)]}
    done = subprocess.run([python(), "-B", PEERS, how, str(seconds), str(pairs)], input=json.dumps(order).encode(),
                          stdout=subprocess.PIPE, check=True)
    n, used, took = json.loads(done.stdout)
    return 1e6 * used / n, n / took
