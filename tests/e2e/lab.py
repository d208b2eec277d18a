"""lab: two sites on one kernel, as the end-to-end tests and the demo use them.

Each site has a network namespace, a KME of its own (mutual TLS on its own loopback; the two KMEs know nothing of each other
but a pair secret), a rekeyd, and one end of a veth pair that is protected by MACsec.  Records go by spool folders, by LLDP on the
wire of the link (an lldpd for each site), or by HTTPS over a second veth pair (channel "peer").
Runs as root in a User-Mode Linux guest, or anywhere with --sim, where the devices are simulated and nothing is root's.
Python's standard library only; what it starts it ends.
"""
import grp
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "rig"))
sys.dont_write_bytecode = True
from macsec_nl import Secy, in_netns  # noqa: E402

MAC = {"a": "02:00:00:00:00:0a", "b": "02:00:00:00:00:0b"}
ADDRESS = {"a": "10.9.0.1", "b": "10.9.0.2"}
BESIDE = {"a": "10.8.0.1", "b": "10.8.0.2"}  # of the second pair, which is not protected
PEER = {"a": "b", "b": "a"}
SAE = {"a": "SAE_A", "b": "SAE_B"}

ASK, ROW, DONE = 20, 21, 22


def ask(path, command, arg="", timeout=10):
    """One command on a control socket: (rows, exit code, text).  core/ipc/msg.h has the format."""
    def tlv(tag, data):
        return struct.pack("=HI", tag, len(data)) + data

    def values(data):
        while len(data) >= 6:
            tag, n = struct.unpack_from("=HI", data)
            yield tag, data[6:6 + n]
            data = data[6 + n:]

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(timeout)
        s.connect(path)
        s.send(struct.pack("=II", ASK, 0) + tlv(1, command.encode()) + (tlv(2, arg.encode()) if arg else b""))
        rows = []
        while True:
            frame = s.recv(1 << 18)
            if not frame:
                raise ConnectionError("rekeyd closed the control socket")
            kind = struct.unpack_from("=I", frame)[0]
            got = dict(values(frame[8:]))
            if kind == ROW:
                rows.append(json.loads(got[1]))
            elif kind == DONE:
                return rows, struct.unpack("=I", got.get(1, b"\0\0\0\0"))[0], got.get(2, b"").decode()


class Process:
    """One program of a site, with its log, that can be started again."""
    def __init__(self, netns, log, argv, ready=None, env=None):
        self.netns, self.log, self.argv, self.ready, self.env = netns, log, argv, ready, env
        self.p = None

    def start(self):
        out = open(self.log, "ab")

        def run():
            return subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stderr=out, env=self.env,
                                    stdout=subprocess.PIPE if self.ready else out)
        self.p = in_netns(self.netns, run)
        out.close()
        if self.ready:
            line = self.p.stdout.readline().decode()
            if not line.startswith(self.ready):
                raise RuntimeError(f"{self.argv[0]} did not start, see {self.log}")

    def kill(self, sig=signal.SIGKILL):
        if self.p is None:
            return None
        self.p.send_signal(sig)
        return self.wait(30)

    def wait(self, seconds):
        """Until it ends by itself: its exit status."""
        code = self.p.wait(seconds)
        if self.p.stdout:
            self.p.stdout.close()
        self.p = None
        return code


class Site:
    def __init__(self, lab, x):
        self.lab, self.x = lab, x
        self.netns = None if lab.sim else x
        self.dir = os.path.join(lab.run, x)
        self.control = os.path.join(self.dir, "ctl")
        self.at_file = os.path.join(self.dir, "at")  # see arm()
        self.tx_file = os.path.join(self.dir, "tx")  # the transmit keys that the kernel was asked to take
        self.fault_file = os.path.join(self.dir, "fault")
        for d in ("", "state", "out"):
            os.makedirs(os.path.join(self.dir, d), mode=0o700, exist_ok=True)
        port = lab.port + (x == "b")
        self.kme = Process(self.netns, os.path.join(lab.out, f"kme-{x}.log"),
                           [lab.prog("contrib/kme/rekey-kme"), "--config", self.write("kme.yaml", self.kme_yaml(port))],
                           ready="ready")
        self.rekeyd = Process(self.netns, os.path.join(lab.out, f"rekeyd-{x}.log"),
                              [lab.prog("core/daemon/rekeyd"), "-c", self.write("rekeyd.yaml", self.rekeyd_yaml(port)),
                               "--plugin-dir", lab.prog("run/plugins"), "--host", lab.prog("core/host/rekey-host"),
                               "--log-level", lab.log_level], env=self.shim())
        self.lldpd = Process(self.netns, os.path.join(lab.out, f"lldpd-{x}.log"),
                             ["lldpd", "-d", "-u", self.lldpd_socket(), "-I", f"v{x}", "-C", f"v{x}", "-O", "/dev/null",
                              "-S", SAE[x]])
        self.dead_hosts = 0

    def shim(self):
        """The environment that loads tests/rig/shim.c into rekeyd and its hosts; None: they run as they are."""
        if not self.lab.shim:
            return None
        return dict(os.environ, LD_PRELOAD=self.lab.prog("tests/rig/.libs/shim.so"), REKEY_SHIM_AT=self.at_file,
                    REKEY_SHIM_TX=self.tx_file)

    def arm(self, *words, sig=signal.SIGKILL):
        """rekeyd ends itself at the next step of which its log line has these words."""
        with open(self.at_file + ".new", "w") as f:
            f.write(" ".join([str(int(sig)), *words]) + "\n")
        os.rename(self.at_file + ".new", self.at_file)

    def fault(self, words):
        """The KME misbehaves from its next request on; "" ends it."""
        with open(self.fault_file, "w") as f:
            f.write(words + "\n")

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600)
        return path

    def kme_yaml(self, port):
        x, y, pki = self.x, PEER[self.x], self.lab.pki
        return f"""kmes:
  - id: kme-{x}
    listen: "127.0.0.1:{port}"
    cert: {pki}/kme-{x}.crt
    key: {pki}/kme-{x}.key
    ca: {pki}/ca.crt
    saes: [{SAE[x]}]
    fault-file: {self.fault_file}
    peers: [{{ kme: kme-{y}, saes: [{SAE[y]}], pair-secret: {pki}/pair.secret }}]
"""

    def rekeyd_yaml(self, port):
        x, y, lab = self.x, PEER[self.x], self.lab
        device = ("{ plugin: sim }" if lab.sim else f"{{ plugin: linux-macsec, cipher: {lab.cipher} }}")
        iface = "port0" if lab.sim else f"macsec0@v{x}"
        channel = getattr(self, lab.channel + "_yaml")()
        return f"""sae: {SAE[x]}
state-dir: {self.dir}/state
control: {self.control}
sources:
  kme: {{ plugin: etsi014, url: "https://127.0.0.1:{port}", kme-id: kme-{x}, ca: {lab.pki}/ca.crt,
         cert: {lab.pki}/{SAE[x]}.crt, key: "file:{lab.pki}/{SAE[x]}.key" }}
devices:
  here: {device}
channels:
  way: {{ plugin: {lab.channel}, auth-key: "file:{lab.pki}/auth.key", {channel} }}
links:
  - {{ name: a-b-1, device: here, interface: "{iface}", peer-sae: {SAE[y]}, source: kme, channel: way,
      interval: {lab.interval}, drain: {lab.drain}, verify: {lab.verify} }}
"""

    # ---- channels: the options of each ----
    def spool_yaml(self):
        return f"dir: {self.dir}/out, peer-dir: {self.lab.run}/{PEER[self.x]}/out"

    def lldpd_socket(self):
        return f"{self.lab.run}-lldpd/{self.x}.sock"

    def lldp_yaml(self):
        return f"socket: {self.lldpd_socket()}"

    def peer_yaml(self):
        pki, y = self.lab.pki, PEER[self.x]
        host = dict.fromkeys("ab", "127.0.0.1") if self.lab.sim else BESIDE
        port = {"a": self.lab.port + 2, "b": self.lab.port + 3}
        return (f'listen: "{host[self.x]}:{port[self.x]}", url: "https://{host[y]}:{port[y]}", ca: {pki}/ca.crt, '
                f'cert: {pki}/site-{SAE[self.x]}.crt, key: "file:{pki}/site-{SAE[self.x]}.key"')

    def status(self):
        try:
            rows, _, _ = ask(self.control, "status")
            return rows[0]
        except (OSError, IndexError, ValueError):
            return None

    def host_pid(self, plugin):
        for row in ask(self.control, "plugins")[0]:
            if row["plugin"] == plugin:
                return row["pid"]
        return None


class Lab:
    def __init__(self, out, build, sim=False, interval="1s", drain="200ms", verify="500ms", cipher="gcm-aes-256",
                 log_level="info", port=18443, shim=False, channel="spool"):
        self.out, self.build, self.sim = out, build, sim
        self.interval, self.drain, self.verify, self.cipher = interval, drain, verify, cipher
        self.log_level, self.port, self.shim, self.channel = log_level, port, shim, channel
        self.pki = os.path.join(out, "pki")
        self.run = os.path.join(out, "run") if sim else "/run/rekey-lab"
        os.makedirs(self.run, mode=0o700, exist_ok=True)
        self.sites = {x: Site(self, x) for x in "ab"}
        self.traffic_p = None

    def prog(self, path):
        return os.path.join(self.build, path)

    def network(self):
        def ip(ns, text):
            subprocess.run(["ip"] + (["-n", ns] if ns else []) + ["-batch", "-"], input=text, text=True, check=True)
        # One processor does everything here: frames must be able to wait while it rotates keys.  By default the kernel
        # drops what is more than 1,000 frames behind (and the sender sees ENOBUFS), with or without MACsec.
        with open("/proc/sys/net/core/netdev_max_backlog", "w") as f:
            f.write("100000")
        ip(None, "netns add a\nnetns add b\nlink add va netns a type veth peer name vb netns b\n")
        for x in "ab":
            ip(x, f"link set lo up\nlink set v{x} address {MAC[x]} up\n")
        if self.channel == "peer":
            ip(None, "link add wa netns a type veth peer name wb netns b\n")
            for x in "ab":
                ip(x, f"addr add {BESIDE[x]}/24 dev w{x}\nlink set w{x} up\n")

    def lldpds(self):
        """An lldpd for each site; its socket is open to a group, which all that is started from here is in."""
        os.setgroups([grp.getgrnam("_lldpd").gr_gid])
        for folder in ("/run/lldpd", self.run + "-lldpd"):
            os.makedirs(folder, mode=0o755, exist_ok=True)
        for site in self.sites.values():
            site.lldpd.start()
        self.wait(lambda: all(os.path.exists(site.lldpd_socket()) for site in self.sites.values()), 30, "lldpd")

    def start(self):
        if not self.sim:
            self.network()
        if self.channel == "lldp":
            self.lldpds()
        for site in self.sites.values():
            site.kme.start()
        for site in self.sites.values():
            site.rekeyd.start()
        self.wait(lambda: all(self.rotated(x) >= 1 for x in "ab"), 30, "the first rotation")
        if not self.sim:
            for x in "ab":
                subprocess.run(["ip", "-n", x, "addr", "add", ADDRESS[x] + "/24", "dev", "macsec0"], check=True)

    def stop(self):
        codes = [site.rekeyd.kill(signal.SIGTERM) for site in self.sites.values()]
        for site in self.sites.values():
            site.kme.kill(signal.SIGTERM)
            site.lldpd.kill(signal.SIGTERM)
        if self.traffic_p:
            self.traffic_p.kill()
            self.traffic_p.wait()
        return codes

    def wait(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {seconds} s")
            time.sleep(0.05)

    def rotated(self, x):
        """Highest seq that a site has in use; it never goes back."""
        row = self.sites[x].status()
        return row["seq"] if row and row["key_id"] and row["phase"] == "idle" else 0

    def secy(self, x):
        return Secy(x, "macsec0").state()

    # ---- traffic ----
    def traffic(self, *args):
        return [self.prog("tests/rig/traffic"), "-a", "a," + ADDRESS["a"], "-b", "b," + ADDRESS["b"], *args]

    def calibrate(self):
        out = subprocess.run(self.traffic("--calibrate"), capture_output=True, text=True, check=True, timeout=60).stdout
        return int(json.loads(out.strip().splitlines()[-1])["calibrated_rate"])

    def traffic_start(self, rate, report=None):
        args = ["-r", str(rate)] + (["-i", str(report)] if report else [])
        self.traffic_p = subprocess.Popen(self.traffic(*args), stdout=subprocess.PIPE, text=True)

    def traffic_stop(self):
        self.traffic_p.send_signal(signal.SIGTERM)
        out, _ = self.traffic_p.communicate(timeout=30)
        self.traffic_p = None
        return json.loads(out.strip().splitlines()[-1])


def prepare(out):
    """What is made on the host, before a guest starts (a process costs there): certificates and keys."""
    pki = os.path.join(out, "pki")
    subprocess.run([os.path.join(TOP, "contrib", "kme", "make-certs"), "--site", SAE["a"], "--site", SAE["b"], pki],
                   check=True, stdout=subprocess.DEVNULL)
    fd = os.open(os.path.join(pki, "auth.key"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, os.urandom(32).hex().encode())
    os.close(fd)


if __name__ == "__main__":
    prepare(sys.argv[1])
