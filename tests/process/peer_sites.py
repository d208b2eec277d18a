# peer_sites.py - two sites whose channel is "peer", with certificates made anew, and a TCP proxy between them that a
# test holds in its hands: it forwards, stops, delays, cuts.
import os
import random
import selectors
import socket
import subprocess
import threading
import time

import rig
from rig import expect

LINK = "link-1"
CNF = """[req]
distinguished_name = dn
prompt = no
[dn]
CN = set by -subj
[ca]
basicConstraints = critical,CA:TRUE
[sae]
basicConstraints = critical,CA:FALSE
"""


class Pki:
    """A CA and what it signs: NAME.crt, NAME.key."""

    def __init__(self, folder):
        rig.need("openssl")
        self.dir = folder
        os.mkdir(folder, 0o700)
        rig.write(folder + "/cnf", CNF)
        self.ca = folder + "/ca.crt"
        self.make("ca", "ca")

    def make(self, name, section="sae", cn=None):
        argv = ["openssl", "req", "-config", self.dir + "/cnf", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-days", "2", "-subj", "/CN=" + (cn or name), "-extensions", section,
                "-keyout", "%s/%s.key" % (self.dir, name), "-out", "%s/%s.crt" % (self.dir, name)]
        if section != "ca":
            argv += ["-CA", self.ca, "-CAkey", self.dir + "/ca.key"]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=rig.PATIENCE_S)
        expect(done.returncode == 0, "openssl: %s", done.stderr)
        return "%s/%s.crt" % (self.dir, name), "%s/%s.key" % (self.dir, name)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def channel(site, pki, port, peers, auth, **options):
    """The channel "line" of a site: its certificate is that of its SAE ID."""
    cert, key = pki.make(site.sae)
    site.port = port
    site.conf["channels"]["line"] = dict({"plugin": "peer", "listen": "127.0.0.1:%d" % port, "cert": cert,
                                          "key": "file:" + key, "ca": pki.ca, "peers": peers, "heartbeat": "500ms",
                                          "auth-key": site.secret("auth.key", auth)}, **options)


def pair(w, proxied=False, links=1, **options):
    """A and B with links between them; proxied: what A sends to B goes by w.to_b, and the other way by w.to_a."""
    w.rig = rig.Rig(plugins=("sim", "static", "peer"))
    w.pki = Pki(w.rig.dir + "/pki")
    auth, shared = rig.new_secret(), rig.new_secret()
    w.a, w.b = w.rig.site("A", "SAE_A"), w.rig.site("B", "SAE_B")
    ports = {"A": free_port(), "B": free_port()}
    near = dict(ports)
    if proxied:
        w.to_a, w.to_b = Proxy(ports["A"]), Proxy(ports["B"])
        near = {"A": w.to_a.port, "B": w.to_b.port}
    for site, other, device in ((w.a, w.b, "east"), (w.b, w.a, "west")):
        site.device(device)
        site.conf["sources"]["keys"] = {"plugin": "static", "secret": site.secret("static.key", shared)}
        channel(site, w.pki, ports[site.name], ["%s https://127.0.0.1:%d" % (other.sae, near[other.name])],
                auth, **options)
        for i in range(links):
            site.link("link-%d" % (i + 1), device=device, interface="port%d" % i, source="keys", channel="line",
                      **{"peer-sae": other.sae})
        site.save()


class Proxy(threading.Thread):
    """A TCP proxy on a port of its own to a port; what it does to what goes through is in its members."""

    def __init__(self, to):
        super().__init__(daemon=True)
        self.to, self.dice = to, random.Random(1)
        self.forwards = True  # else it takes connections and data, and passes nothing on
        self.cut = 0.0        # this share of the connections ends in its first few KB, and each other one somewhere
        self.left = {}        # bytes until a connection is cut, by its sockets
        self.delay_s = 0.0    # the longest delay of a piece
        self.ended, self.cuts = False, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.sel = selectors.DefaultSelector()
        self.sel.register(self.listener, selectors.EVENT_READ, None)
        self.start()

    def run(self):
        while not self.ended:
            for key, _ in self.sel.select(0.05):
                try:
                    self.accept() if key.data is None else self.move(key.fileobj, key.data)
                except OSError:
                    self.drop(key.fileobj, key.data)

    def accept(self):
        near, _ = self.listener.accept()
        if not self.forwards:
            self.sel.register(near, selectors.EVENT_READ, near)  # it is heard, and that is all
            return
        try:
            far = socket.create_connection(("127.0.0.1", self.to), 2)
        except OSError:
            near.close()
            return
        if self.cut:
            early = self.dice.random() < self.cut
            self.left[near] = self.left[far] = [self.dice.randrange(6000) if early else self.dice.randrange(6000, 40000)]
        self.sel.register(near, selectors.EVENT_READ, far)
        self.sel.register(far, selectors.EVENT_READ, near)

    def move(self, source, sink):
        data = source.recv(65536)
        if not data:
            self.drop(source, sink)
            return
        if not self.forwards or source is sink:
            return
        if self.delay_s:
            time.sleep(self.dice.random() * self.delay_s)
        left = self.left.get(source, [len(data)])
        sink.settimeout(1)
        sink.sendall(data[:left[0]])
        left[0] -= len(data)
        if left[0] < 0:
            self.cuts += 1
            self.drop(source, sink)

    def drop(self, *pair):
        for s in set(pair) - {None, self.listener}:
            try:
                self.sel.unregister(s)
            except (KeyError, ValueError):
                pass
            self.left.pop(s, None)
            s.close()

    def end(self):
        self.ended = True
        self.join(5)


def rotations(w, more=1, timeout=rig.PATIENCE_S):
    for site in (w.a, w.b):
        site.wait_rotations(LINK, more, timeout=timeout)
    w.rig.still_well()
