# junos_lab.py - for tests of junos-sim as a process: boxes of the command line, keys for SSH, TAP.
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

BUILD = os.environ.get("top_builddir", ".")
SIM = os.path.abspath(BUILD + "/contrib/junos-sim/junos-sim")
WAIT_S = 60  # nothing here takes as long
CKN = "0123456789abcdef" * 4
CAK = "00112233445566778899aabbccddeeff"  # of tests only


class Failed(Exception):
    pass


def expect(fact, text="", *args):
    if not fact:
        raise Failed((text % args if args else text) or "it is not so")


def skip_all(why):
    print("1..0 # SKIP " + why)
    sys.exit(0)


def other_python(why):
    """Packages of the system are for its own interpreter, which need not be the first one: go on with it, or skip."""
    theirs = "/usr/bin/python3"
    if os.path.exists(theirs) and not os.environ.get("SIM_TEST_PYTHON"):
        os.execve(theirs, [theirs] + sys.argv, dict(os.environ, SIM_TEST_PYTHON="1"))
    skip_all(why)


class Lab:
    """A folder with keys, and junos-sim running in it."""

    def __init__(self, **boxes):
        self.dir = tempfile.mkdtemp(prefix="junos-sim-test-")
        self.process, self.port, self.boxes = None, 0, boxes
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir + "/id"], check=True,
                       stdin=subprocess.DEVNULL, timeout=WAIT_S)
        with open(self.dir + "/password", "w") as f:
            f.write(os.urandom(8).hex() + "\n")

    def start(self, *options, config=None):
        words = [SIM, "--port", "0", "--user", "lab", "--authorized-keys", self.dir + "/id.pub", "--password-file",
                 self.dir + "/password", "--known-hosts", self.dir + "/known_hosts", "--log", "debug"]
        for name, where in self.boxes.items():
            words += ["--box", "%s=%s" % (name, where)]
        if config:
            with open(self.dir + "/config", "w") as f:
                f.write(config)
            words += ["--config", self.dir + "/config"]
        self.log = open(self.dir + "/log", "ab")
        self.process = subprocess.Popen(words + list(options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        line = self.process.stdout.readline()
        expect(line.startswith("ready port="), "it does not start: %s", self.log_text())
        self.port = int(line.split("=")[1])

    def password(self):
        with open(self.dir + "/password") as f:
            return f.read().strip()

    def address(self, name):
        return self.boxes[name].split(",")[0]

    def log_text(self):
        with open(self.dir + "/log", errors="replace") as f:
            return f.read()

    def netconf(self, name, requests):
        """Requests sent at once, by OpenSSH's client: the messages that come, the hello among them."""
        argv = ["ssh", "-F", "none", "-i", self.dir + "/id", "-o", "UserKnownHostsFile=" + self.dir + "/known_hosts", "-o",
                "BatchMode=yes", "-p", str(self.port), "-s", "lab@" + self.address(name), "netconf"]
        hello = '<hello xmlns="%s"><capabilities/></hello>' % "urn:ietf:params:xml:ns:netconf:base:1.0"
        rpcs = ['<rpc message-id="%d">%s</rpc>' % (i, r) for i, r in enumerate(requests + ["<close-session/>"])]
        text = "".join(t + "]]>]]>" for t in [hello] + rpcs)
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True) as ssh:
            timer = threading.Timer(WAIT_S, ssh.kill)
            timer.start()
            try:
                ssh.stdin.write(text)
                ssh.stdin.flush()
                said = ssh.stdout.read().split("]]>]]>")  # to its end, which close-session brings
            finally:
                timer.cancel()
        expect(len(said) == len(rpcs) + 2, "%d messages: %s", len(said), said)
        return said[:-2]  # not what answers close-session, nor what comes behind it

    def stop(self):
        """The exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(WAIT_S)
        self.process.stdout.close()
        self.log.close()
        return status

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


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
        if time.monotonic() - begin > 10:
            print("# %s took %.1f s" % (name, time.monotonic() - begin))
        sys.stdout.flush()
    return 1 if failed else 0
