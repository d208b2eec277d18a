# shim_rig.py - contrib/junos/rekey-shim.py for tests: a router of junos-sim that it runs on, certificates, and what
# stands in for rekeyd's listener: it says what a test tells it to, and remembers what it was told.
import http.server
import importlib.util
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading

import junos_rig
import rig
from rig import expect

SCRIPT = rig.SOURCE + "/contrib/junos/rekey-shim.py"
CLI = rig.BUILD + "/contrib/junos-sim/cli"
SYSTEM_PYTHON = "/usr/bin/python3"  # packages of the system are for this one

CNF = """[req]
distinguished_name = dn
prompt = no
[dn]
CN = set by -subj
[books]
database = %(dir)s/index
new_certs_dir = %(dir)s/books
serial = %(dir)s/serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[ca]
basicConstraints = critical,CA:TRUE
[plain]
basicConstraints = critical,CA:FALSE
[named]
basicConstraints = critical,CA:FALSE
subjectAltName = DNS:rekeyd.example,IP:127.0.0.1
"""


def module():
    """The script as a module, for what needs no router."""
    spec = importlib.util.spec_from_file_location("rekey_shim", SCRIPT)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


class Pki:
    """A CA and what it signs: NAME.crt, NAME.key.  Dates: as openssl writes them."""

    def __init__(self, folder):
        rig.need("openssl")
        self.dir = folder
        os.makedirs(folder + "/books", 0o700)
        rig.write(folder + "/cnf", CNF % {"dir": folder})
        rig.write(folder + "/index", "")
        self.ca = folder + "/ca.crt"
        self.openssl("req", "-x509", "-days", "2", "-subj", "/CN=ca", "-extensions", "ca", "-out", self.ca,
                     *self.key("ca"))

    def key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                "%s/%s.key" % (self.dir, name))

    def openssl(self, command, *words):
        done = subprocess.run(["openssl", command, "-config", self.dir + "/cnf", *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=rig.PATIENCE_S)
        expect(done.returncode == 0, "openssl %s: %s", command, done.stderr)

    def make(self, name, section="plain", cn=None, dates=("20260101000000Z", "20990101000000Z")):
        """(certificate, key)"""
        path = "%s/%s" % (self.dir, name)
        self.openssl("req", "-new", "-subj", "/CN=" + (cn or name), "-out", path + ".csr", *self.key(name))
        self.openssl("ca", "-name", "books", "-batch", "-notext", "-rand_serial", "-cert", self.ca, "-keyfile",
                     self.dir + "/ca.key", "-in", path + ".csr", "-startdate", dates[0], "-enddate", dates[1],
                     "-extensions",
                     section, "-out", path + ".crt")
        os.chmod(path + ".crt", 0o644)
        return path + ".crt", path + ".key"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = rig.PATIENCE_S

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.owner.asked(self, self.path.rpartition("/")[2], body)

    def say(self, status, what, **headers):
        """A status and JSON, or bytes as they are."""
        body = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(status)
        usual = {"Content_Type": "application/json", "Content_Length": len(body)}
        for name, value in dict(usual, **headers).items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner, context):
        super().__init__(("127.0.0.1", 0), Handler)
        self.owner, self.context = owner, context

    def finish_request(self, request, address):
        """The handshake is the connection's thread's."""
        request.settimeout(rig.PATIENCE_S)
        try:
            with self.context.wrap_socket(request, server_side=True) as secure:
                self.owner.peers.append(secure.getpeercert())
                super().finish_request(secure, address)
        except OSError as why:
            self.owner.failures.append(type(why).__name__)

    def handle_error(self, request, address):
        self.owner.failures.append(sys.exc_info()[0].__name__)


class Daemon:
    """What stands in for rekeyd: work for asks, one item each; says there is none when there is none."""

    def __init__(self, cert, key, ca):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self.requests, self.peers, self.failures = [], [], []
        self.work, self.ready = [], threading.Condition()
        self.answer = self.usual      # (handler, what, body): a test may put its own here
        self.hold, self.age = False, 0  # an ask without work waits for some, unless the case that it is of is over
        self.server = Server(self, context)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def asked(self, handler, what, body):
        with self.ready:
            self.requests.append((what, body))
            self.ready.notify_all()
        self.answer(handler, what, body)

    def usual(self, handler, what, body):
        with self.ready:
            if what == "report":
                handler.say(200, {"v": 1, "more": bool(self.work)})
                return
            age = self.age
            if self.hold:
                self.ready.wait_for(lambda: self.work or self.age > age, body["wait_ms"] / 1000)
            work = self.work.pop(0) if self.work and self.age == age else None
        if isinstance(work, tuple):  # what is to be done before it is given out
            work[0]()
            work = work[1]
        handler.say(200, {"v": 1, "work": work})

    def give(self, *items):
        with self.ready:
            self.work += items
            self.ready.notify_all()

    def wait(self, what, n):
        """Until so many requests of a kind have come."""
        with self.ready:
            came = self.ready.wait_for(lambda: len(self.of(what)) >= n, rig.PATIENCE_S)
        expect(came, "no request %d of kind %s: %s", n, what, [w for w, _ in self.requests])
        return self.of(what)[n - 1]

    def of(self, what):
        return [body for w, body in self.requests if w == what]

    def forget(self):
        """For the next case."""
        with self.ready:
            self.requests, self.peers, self.failures, self.work = [], [], [], []
            self.answer, self.hold = self.usual, False
            self.age += 1
            self.ready.notify_all()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def write_program(path, text):
    rig.write(path, text, 0o700)
    return path


class Box:
    """A router as the script finds it: a folder with its cli, its certificate and the script."""

    def __init__(self, lab, name, pki, url):
        self.lab, self.name, self.url = lab, name, url
        self.dir = "%s/on-%s" % (lab.rig.dir, name)
        os.mkdir(self.dir, 0o700)
        self.script = self.dir + "/rekey-shim.py"
        shutil.copyfile(SCRIPT, self.script)
        os.chmod(self.script, 0o555)
        self.cert, self.key = pki.make(name)
        self.ca = pki.ca
        os.chmod(self.ca, 0o644)
        self.cli = self.program("cli")
        self.python = sys.executable

    def program(self, name, more=""):
        """What a router has by that name."""
        return write_program("%s/%s" % (self.dir, name), "#!/bin/sh\n%sJUNOS_SIM_SOCKET='%s/%s' exec '%s' \"$@\"\n" % (
            more, self.lab.local, self.name, CLI))

    def words(self, *more, **options):
        """One dash, as event-options write them."""
        usual = {"url": self.url, "cert": self.cert, "key": self.key, "ca": self.ca, "cli": self.cli, "linger": "0"}
        usual.update(options)
        words = [w for name, value in usual.items() if value is not None for w in ("-" + name, str(value))]
        return [self.python, self.script, "-no-syslog", *words, *more]

    def environment(self, more=None):
        return dict({"PATH": os.environ["PATH"], "HOME": self.dir, "PYTHONDONTWRITEBYTECODE": "1"}, **(more or {}))

    def run(self, *more, env=None, **options):
        """(exit code, what it said)"""
        done = subprocess.run(self.words(*more, **options), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="backslashreplace", env=self.environment(env), timeout=2 * rig.PATIENCE_S,
                              cwd=self.dir)
        expect(not done.stdout, "it writes to stdout: %s", done.stdout)
        return done.returncode, done.stderr

    def ask(self, request):
        """What the router answers, by its cli."""
        mark = "]]>]]>"
        hello = '<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities/></hello>'
        said = subprocess.run([self.cli, "xml-mode", "netconf", "need-trailer"], capture_output=True, text=True,
                              input=mark.join(
            [hello, "<rpc>%s</rpc>" % request, "<rpc><close-session/></rpc>", ""]), timeout=rig.PATIENCE_S).stdout
        return said.split(mark)[1]

    def start(self, *more, env=None, **options):
        """In the background: a process of the rig, its lines in self.log()."""
        self.log_path = "%s/log.%d" % (self.dir, len(os.listdir(self.dir)))
        return rig.Process(self.lab.rig, "rekey-shim", self.words(*more, **options), self.log_path,
                           env=self.environment(env))

    def log(self):
        with open(self.log_path, errors="backslashreplace") as f:
            return f.read()


def need():
    junos_rig.need()
    rig.need_file(CLI)
    rig.need("openssl")


# ---- what rekeyd writes ----

def tag(name, *inner, **attributes):
    return "<%s%s>%s</%s>" % (name, "".join(' %s="%s"' % a for a in attributes.items()), "".join(inner), name)


def configuration(*inner):
    return tag("configuration", *inner)


def macsec(*inner):
    return configuration(tag("security", tag("macsec", *inner)))


def association(*inner, name="CA1"):
    return tag("connectivity-association", tag("name", name), *inner)


def key(ckn, cak, place="pre-shared-key"):
    return tag(place, tag("ckn", ckn), tag("cak", cak))


def new_key():
    return os.urandom(32).hex(), os.urandom(32).hex()


def edit(*configs, id=None, **more):
    """An item of work."""
    id = id or os.urandom(8).hex()
    return dict({"id": id, "kind": "edit", "mode": "private", "check_only": False, "budget_ms": 20000, "facts": [],
                 "log": "rekeyd txn=%s links=1" % id,
                 "load": [{"action": "merge", "format": "xml", "config": c} for c in configs]}, **more)


def look(*rpcs, **more):
    return dict({"id": os.urandom(8).hex(), "kind": "look", "budget_ms": 20000, "facts": list(rpcs)}, **more)
