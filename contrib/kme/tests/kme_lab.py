# kme_lab.py - for tests of rekey-kme as a process: certificates, a configuration, a client that believes nothing, TAP.
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = os.environ.get("top_builddir", ".")
SOURCE = os.environ.get("top_srcdir", ".")
KME = os.path.abspath(BUILD + "/contrib/kme/rekey-kme")
WAIT_S = 60  # nothing here takes as long


class Failed(Exception):
    pass


def expect(fact, text, *args):
    if not fact:
        raise Failed(text % args if args else text)


class Answer:
    """code 0: no answer, and why says what happened to the connection."""

    def __init__(self, code=0, headers=None, body=b"", why=""):
        self.code, self.headers, self.body, self.why = code, headers or {}, body, why

    def json(self):
        return json.loads(self.body)

    def message(self):
        return self.json().get("message")

    def keys(self, name="key_ID"):
        return [(k[name], k["key"]) for k in self.json()["keys"]]

    def __str__(self):
        return "code %d, %s, %s, %s" % (self.code, self.headers, self.body[:300], self.why)


class Lab:
    """A folder with certificates, and rekey-kme running in it."""

    def __init__(self, kmes, saes):
        self.dir = tempfile.mkdtemp(prefix="kme-test-")
        self.process, self.ports = None, {}
        options = [x for kme in kmes for x in ("--kme", kme)] + [x for sae in saes for x in ("--sae", sae)]
        subprocess.run(["bash", SOURCE + "/contrib/kme/make-certs", "--dates", *options, self.dir + "/pki"], check=True,
                       stdin=subprocess.DEVNULL, timeout=WAIT_S)
        self.contexts = {}

    def kme(self, name, saes, peers, **options):
        """A KME of a configuration."""
        return dict({"id": name, "listen": "127.0.0.1:0", "cert": "pki/%s.crt" % name, "key": "pki/%s.key" % name,
                     "ca": "pki/ca.crt", "saes": saes, "fault-file": name + ".fault",
                     "cert-expired": "pki/%s.expired.crt" % name, "cert-future": "pki/%s.future.crt" % name,
                     "peers": [{"kme": k, "saes": s} for k, s in peers.items()]}, **options)

    def start(self, kmes, *options):
        """JSON is YAML."""
        with open(self.dir + "/kme.yaml", "w") as f:
            json.dump({"kmes": kmes}, f)
        self.log = open(self.dir + "/log", "ab")
        self.process = subprocess.Popen([KME, "--config", self.dir + "/kme.yaml", *options], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        expect(line.startswith("ready "), "it does not start: %s", self.log_text())
        for word in line.split()[1:]:
            name, _, where = word.partition("=")
            self.ports[name] = int(where.rpartition(":")[2])

    def log_text(self):
        with open(self.dir + "/log", errors="replace") as f:
            return f.read()

    def stop(self):
        """As an operator does; status 0."""
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        status = process.wait(WAIT_S)
        process.stdout.close()
        self.log.close()
        expect(status == 0, "status %d at the end: %s", status, self.log_text()[-2000:])

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def fault(self, kme, words=None):
        path = "%s/%s.fault" % (self.dir, kme)
        if words is None:
            if os.path.exists(path):
                os.unlink(path)
            return
        with open(path + ".new", "w") as f:
            f.write(words + "\n")
        os.rename(path + ".new", path)

    def connect(self, sae, kme):
        """A TLS connection; the certificate is checked, as a client does."""
        context = self.contexts.get(sae)
        if not context:
            context = self.contexts[sae] = ssl.create_default_context(cafile=self.dir + "/pki/ca.crt")
            context.load_cert_chain("%s/pki/%s.crt" % (self.dir, sae), "%s/pki/%s.key" % (self.dir, sae))
        raw = socket.create_connection(("127.0.0.1", self.ports[kme]), WAIT_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return context.wrap_socket(raw, server_hostname="localhost")
        except BaseException:
            raw.close()
            raise

    def ask(self, sae, kme, path, body=None, method=None, wait=WAIT_S, most=1 << 20, on=None):
        """One request; body None is a GET.  on: a connection that is kept, else a new one."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        head = "%s /api/v1/keys/%s HTTP/1.1\r\nHost: kme\r\n" % (method or ("GET" if data is None else "POST"), path)
        if data is not None:
            head += "Content-Length: %d\r\n" % len(data)
        try:
            s = on or self.connect(sae, kme)
        except (OSError, ssl.SSLError) as why:
            return Answer(why=str(why))
        try:
            s.settimeout(wait)
            s.sendall(head.encode() + b"\r\n" + (data or b""))
            return read_answer(s, most)
        except (OSError, ssl.SSLError) as why:
            return Answer(why="%s: %s" % (type(why).__name__, why))
        finally:
            if not on:
                s.close()


def read_answer(s, most):
    data = b""

    def more():
        nonlocal data
        piece = s.recv(65536)
        data += piece
        if len(data) > most:
            raise OSError("more than %d bytes" % most)
        return piece

    while b"\r\n\r\n" not in data:
        if not more():
            return Answer(why="closed after %d bytes" % len(data))
    head, _, data = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict((k.lower(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:]))
    code = int(lines[0].split()[1])
    if "chunked" in headers.get("transfer-encoding", ""):
        while more():
            pass
        return Answer(code, headers, data, "closed")
    while len(data) < int(headers.get("content-length", 0)):
        if not more():
            return Answer(code, headers, data, "closed")
    return Answer(code, headers, data)


def run(cases):
    """(name, function) each; the exit status."""
    print("1..%d" % len(cases), flush=True)
    failed = 0
    for i, (name, function) in enumerate(cases, 1):
        begin = time.monotonic()
        try:
            function()
            print("ok %d - %s" % (i, name))
        except Exception as why:
            failed += 1
            print("not ok %d - %s" % (i, name))
            text = str(why) if isinstance(why, Failed) else traceback.format_exc()
            print("# " + text.replace("\n", "\n# "))
        if time.monotonic() - begin > 2:
            print("# %s took %.1f s" % (name, time.monotonic() - begin))
        sys.stdout.flush()
    return 1 if failed else 0
