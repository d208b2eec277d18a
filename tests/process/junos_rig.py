# junos_rig.py - routers of contrib/junos-sim for tests with real processes: cables, keys for SSH, faults, and what their
# MKA counted.  On top of rig.py.
import json
import os
import socket
import subprocess
import threading

import rig
from rig import expect

SIM = rig.BUILD + "/contrib/junos-sim/junos-sim"
PLUGINS = ("junos-netconf", "spool", "static")
HELLO = "50ms"


def need():
    rig.need_file(SIM)
    rig.need_file(rig.PLUGINS + "/junos-netconf.so")
    rig.need("ssh-keygen")


# The form in which Junos keeps secrets, which anybody can read: its letters, and what the gaps between them are worth.
FAMILIES = ("QzF3n6/9CAtpu0O", "B1IREhcSyrleKvMW8LXx", "7N-dVbwsY2g4oaJZGUDj", "iHkq.mPf5T")
LETTERS = "".join(FAMILIES)
WEIGHTS = ((1, 4, 32), (1, 16, 32), (1, 8, 32), (1, 64), (1, 32), (1, 4, 16, 128), (1, 32, 64))


def open_9(stored):
    """The clear text of $9$..."""
    text = stored[3:]
    salt = 3 - [text[0] in family for family in FAMILIES].index(True)
    last, at, out = text[0], 1 + salt, ""
    while at < len(text):
        weights = WEIGHTS[len(out) % len(WEIGHTS)]
        value = 0
        for weight, letter in zip(weights, text[at:]):
            value += weight * ((LETTERS.index(letter) - LETTERS.index(last)) % len(LETTERS) - 1)
            last = letter
        out += chr(value % 256)
        at += len(weights)
    return out


class Router:
    """One box: its ports are those that cables name."""

    def __init__(self, lab, name, keying, options):
        self.lab, self.name, self.keying, self.ports, self.lines = lab, name, keying, [], []
        self.options = options  # of the topology
        self.host = "127.0.83.%d" % (len(lab.routers) + 1)

    def port(self):
        """A further port, with what prepare leaves for it: an association without a key."""
        name = "xe-0/0/%d" % len(self.ports)
        self.ports.append(name)
        ca = "set security macsec connectivity-association CA%d " % len(self.ports)
        self.lines += [ca + "exclude-protocol lldp", "set security macsec interfaces %s connectivity-association CA%d" %
                       (name, len(self.ports))]
        if self.options.get("like") != "ex":
            self.lines.append(ca + "cipher-suite gcm-aes-256")
        if self.keying == "key-chain":
            self.lines += ["set security authentication-key-chains key-chain KC%d tolerance 20" % len(self.ports),
                           ca + "pre-shared-key-chain KC%d" % len(self.ports), ca + "security-mode static-cak"]
        return name

    def topology(self):
        text = ["set system host-name " + self.name, "set system services netconf ssh"] + self.lines
        config = rig.write("%s/%s.conf" % (self.lab.dir, self.name), "\n".join(text) + "\n")
        return dict({"name": self.name, "address": self.host, "config": config, "ports": self.ports}, **self.options)

    def device(self, site, **options):
        """Make it a device of a site."""
        lab = self.lab
        site.conf["devices"][self.name] = dict({
            "plugin": "junos-netconf", "host": self.host, "port": lab.port, "user": "rekeyd", "key": "file:" + lab.key,
            "known-hosts": lab.known_hosts, "keying": self.keying, "rpc-timeout": "10s"}, **options)


class Lab:
    """Routers and cables; start() makes the process."""

    def __init__(self, r, **top):
        need()
        self.rig, self.dir, self.routers, self.cables, self.port = r, r.dir + "/junos", {}, [], 0
        os.mkdir(self.dir, 0o700)
        self.top = dict({"hello": HELLO, "lldp": HELLO, "commit": "20ms"}, **top)
        self.control_path, self.log_path = self.dir + "/ctl", self.dir + "/log"
        self.known_hosts, self.key = self.dir + "/known_hosts", self.dir + "/id"
        self.local = self.dir + "/local"  # sockets of what runs on the routers themselves
        os.mkdir(self.local, 0o700)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True,
                       stdin=subprocess.DEVNULL, timeout=rig.PATIENCE_S)
        self.process, self.link_ports = None, {}

    def router(self, name, keying="pre-shared-key", **options):
        self.routers[name] = Router(self, name, keying, dict({"like": "mx"}, **options))
        return self.routers[name]

    def cable(self, link, a, b):
        """A cable between two routers, by their names: the port at each end."""
        ports = tuple(self.routers[name].port() for name in (a, b))
        self.cables.append("%s:%s - %s:%s" % (a, ports[0], b, ports[1]))
        self.link_ports[link] = ((a, ports[0]), (b, ports[1]))
        return ports

    def start(self):
        top = dict(self.top, control=self.control_path, user={"name": "rekeyd", "keys": self.key + ".pub"},
                   devices=[r.topology() for r in self.routers.values()], cables=self.cables)
        path = rig.write(self.dir + "/topology.yaml", json.dumps(top, indent=1) + "\n")
        ready, theirs = os.pipe()
        argv = [SIM, "--topology", path, "--port", str(self.port), "--known-hosts", self.known_hosts, "--host-keys",
                self.dir, "--local-dir", self.local, "--ready-fd", str(theirs), "--log", "debug"]
        self.process = rig.Process(self.rig, "junos-sim", argv, self.log_path, pass_fds=(theirs,))
        os.close(theirs)
        with os.fdopen(ready) as f:
            line = f.readline()
        expect(line.startswith("ready port="), "junos-sim does not start: %s%s", line, self.log()[-1000:])
        self.port = int(line.split("=")[1])

    def log(self):
        with open(self.log_path, errors="backslashreplace") as f:
            return f.read()

    # ---- control ----

    def ask(self, *words):
        """(was it done, what was answered)"""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(4 * rig.PATIENCE_S)
            s.connect(self.control_path)
            s.sendall(" ".join(words).encode() + b"\n")
            text = b""
            while not text.endswith(b"\n"):
                got = s.recv(1 << 20)
                expect(got, "junos-sim hung up at: %s", " ".join(words))
                text += got
        said = json.loads(text)
        return said.pop("ok"), said

    def do(self, *words):
        done, said = self.ask(*words)
        expect(done, "junos-sim: %s: %s", " ".join(words), said)
        return said

    def state(self):
        return self.do("state")["devices"]

    def commits(self):
        return {name: box["commits"] for name, box in self.state().items()}

    def ends(self, link, state=None):
        """What MKA has at both ends of a link."""
        state = state or self.state()
        return [state[name]["ports"][port] for name, port in self.link_ports[link]]

    def secured(self, timeout=rig.PATIENCE_S):
        done, _ = self.ask("wait", "primary", "%ds" % timeout)
        expect(done, "not all links are secured by their primary keys: %s", [
            (link, [(e["state"], e["primary"][:8], e["primary_status"]) for e in self.ends(link)])
            for link in self.link_ports if not all(e["state"] == "primary" for e in self.ends(link))])

    def netconf(self, router, *requests):
        """Ask a router as anybody may who has the key, by OpenSSH's client: all that it says."""
        rig.need("ssh")
        mark = "]]>]]>"
        hello = '<hello xmlns="%s"><capabilities><capability>%s</capability></capabilities></hello>' % (
            "urn:ietf:params:xml:ns:netconf:base:1.0", "urn:ietf:params:netconf:base:1.0")
        rpcs = ['<rpc message-id="%d">%s</rpc>' % (i, r) for i, r in enumerate(requests + ("<close-session/>",), 1)]
        argv = ["ssh", "-F", "none", "-i", self.key, "-o", "UserKnownHostsFile=" + self.known_hosts, "-o", "BatchMode=yes",
                "-p", str(self.port), "-s", "rekeyd@" + self.routers[router].host, "netconf"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as ssh:
            timer = threading.Timer(rig.PATIENCE_S, ssh.kill)
            timer.start()
            ssh.stdin.write("".join(text + mark for text in [hello] + rpcs).encode())
            ssh.stdin.flush()
            said = ssh.stdout.read().decode()  # to its end, which close-session brings
            timer.cancel()
        expect("rpc-reply" in said, "ssh: %s", said)
        return said

    # ---- what must hold ----

    def check(self, but=(), lost_ok=False):
        """No port was ever unsecured or in clear after it was first secured, and no client did what none may do."""
        state = self.state()
        for name, box in state.items():
            expect(box["violations"] == 0, "%s: %d violations: %s", name, box["violations"], box["violation"])
        for link in self.link_ports:
            for (name, port), end in zip(self.link_ports[link], self.ends(link, state)):
                expect(end["clear_ms"] == 0, "%s %s: %s ms in clear", name, port, end["clear_ms"])
                if link in but:
                    continue
                expect(end["unsecured_ms"] == 0, "%s %s (%s): %s ms unsecured: %s", name, port, link,
                       end["unsecured_ms"], end)
                expect(lost_ok or end["lost_ms"] == 0, "%s %s (%s): %s ms without a common SAK", name, port, link,
                       end["lost_ms"])

    def agree(self, link):
        """Both ends of a link use one key, which is the primary one of both: its CKN."""
        a, b = self.ends(link)
        expect(a["primary"] == b["primary"] == a["in_use"] == b["in_use"] and len(a["primary"]) == 64,
               "%s: %s %s", link, a, b)
        expect(a["state"] == b["state"] == "primary", "%s: %s %s", link, a["state"], b["state"])
        return a["primary"]
