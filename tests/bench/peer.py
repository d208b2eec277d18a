# peer.py - what the channel "peer" costs and how fast it is: rekeyd of two sites and more, with real certificates, on
# one machine.  Devices are sim without latency, keys come from static.
import os
import shutil
import socket
import ssl
import subprocess
import time

import rig

TYPE = "application/x-rekey-records"
LINE = b"l000000\trk1|bench\n"
CNF = "[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = x\n[ca]\nbasicConstraints = critical,CA:TRUE\n[sae]\n" \
      "basicConstraints = critical,CA:FALSE\n"


def missing():
    """Why it cannot run here; None."""
    if "peer" not in rig.modules():
        return "the plugin peer was not built"
    if not shutil.which("openssl"):
        return "openssl is not there, which makes the certificates"
    return None


def make_cert(folder, name, ca=None):
    argv = ["openssl", "req", "-config", folder + "/cnf", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-days", "2", "-subj", "/CN=" + name, "-extensions",
            "sae" if ca else "ca", "-keyout", "%s/%s.key" % (folder, name), "-out", "%s/%s.crt" % (folder, name)]
    subprocess.run(argv + (["-CA", folder + "/ca.crt", "-CAkey", folder + "/ca.key"] if ca else []), check=True,
                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def free_ports(n):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def site(folder, name, port, peers, links):
    """One rekeyd: SAE and folder of that name;  peers: (name, port);  links: (name, peer)."""
    mine = "%s/%s" % (folder, name)
    shutil.rmtree(mine, ignore_errors=True)
    os.mkdir(mine, 0o700)
    os.symlink(folder + "/plugins", mine + "/plugins")
    lines = ["sae: " + name, "state-dir: %s/state" % mine, "control: %s/ctl.sock" % mine, "log-level: info",
             "sources:", '  s: { plugin: static, secret: "file:%s/secret" }' % folder, "devices:"]
    lines += ["  d%d: { plugin: sim }" % i for i in range(-(-len(links) // rig.PORTS))]
    lines += ["channels:", "  wan:", "    plugin: peer", "    listen: 127.0.0.1:%d" % port,
              "    cert: %s/%s.crt" % (folder, name), "    key: file:%s/%s.key" % (folder, name),
              "    ca: %s/ca.crt" % folder, "    auth-key: file:%s/auth" % folder, "    peers:"]
    lines += ['      - "%s https://127.0.0.1:%d"' % peer for peer in peers]
    lines += ["defaults: { interval: 24h, drain: 100ms, source: s, channel: wan }", "links:"]
    lines += ["  - { name: %s, device: d%d, interface: p%d, peer-sae: %s }" % (link, i // rig.PORTS, i, peer)
              for i, (link, peer) in enumerate(links)]
    rig.fresh(mine, lines)
    return mine


class Sites:
    """A hub and so many peers, which share its links evenly."""

    def __init__(self, folder, peers, links):
        self.folder, self.links = folder, links
        names = ["SAE_%d" % i for i in range(peers)]
        if not os.path.exists(folder + "/ca.crt"):
            rig.write(folder + "/cnf", CNF)
            make_cert(folder, "ca")
        for name in ["HUB"] + names:
            if not os.path.exists("%s/%s.crt" % (folder, name)):
                make_cert(folder, name, "ca")
        self.ports = free_ports(peers + 1)
        of = {name: [] for name in names}
        for i in range(links):
            of[names[i % peers]].append("l%06d" % i)
        self.folders = [site(folder, "HUB", self.ports[0], list(zip(names, self.ports[1:])),
                             [(link, name) for name in names for link in of[name]])]
        for name, port in zip(names, self.ports[1:]):
            self.folders.append(site(folder, name, port, [("HUB", self.ports[0])],
                                     [(link, "HUB") for link in of[name]]))

    def __enter__(self):
        self.logs = [open(f + "/log", "wb") for f in self.folders]
        self.begun = time.monotonic()
        self.daemons = [rig.Daemon(f, stderr=log) for f, log in zip(self.folders, self.logs)]
        return self

    def __exit__(self, *_):
        for daemon in self.daemons:
            daemon.stop()
        for log in self.logs:
            log.close()

    def rotated(self, limit_s=300):
        """Wait until every link has rotated once, at both ends: seconds since the start; None: not in time."""
        while time.monotonic() - self.begun < limit_s:
            if sum(rig.rotated_in(f + "/log") for f in self.folders) >= 2 * self.links:
                return time.monotonic() - self.begun
            time.sleep(0.1)
        return None

    def host(self):
        """What the hub's process of the plugin has for itself, locked memory included [KiB]."""
        for pid, name in self.daemons[0].processes().items():
            if name == "host peer":
                return rig.own_kib(pid)
        return 0

    def round_trips(self, n):
        """Times of n requests with a record each to the hub, one after the other [ms]."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.folder + "/ca.crt")
        context.load_cert_chain(self.folder + "/SAE_0.crt", self.folder + "/SAE_0.key")
        request = ("POST /rekey/v1/records HTTP/1.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" %
                   (TYPE, len(LINE))).encode() + LINE
        times = []
        with context.wrap_socket(socket.create_connection(("127.0.0.1", self.ports[0]))) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(n):
                begun = time.monotonic()
                s.sendall(request)
                if not s.recv(4096).startswith(b"HTTP/1.1 20"):
                    raise SystemExit("bench: a request was refused")
                times.append(1000 * (time.monotonic() - begun))
                time.sleep(0.005)
        return times
