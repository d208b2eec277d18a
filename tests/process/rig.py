# rig.py - real processes for tests: rekeyd with its hosts, pairs of KMEs, folders, and TAP.
#
# A rig ends what it started, by process ID, however a test ends; and what it started ends with it, should it be
# killed itself.  Waiting is always for a condition that is looked at again and again, never for a time.
import base64
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
import oracle  # noqa: E402

BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
SOURCE = os.path.abspath(os.environ.get("top_srcdir", "."))
PATIENCE_S = 40  # for everything that happens by itself; much more than it takes, for busy machines
POLL_S = 0.04
REKEYD = BUILD + "/core/daemon/rekeyd"
HOST = BUILD + "/core/host/rekey-host"
CTL = BUILD + "/core/cli/rekeyctl"
KME = BUILD + "/contrib/kme/rekey-kme"
PLUGINS = BUILD + "/run/plugins"
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(AssertionError):
    pass


class Skip(Exception):
    pass


def expect(condition, text, *args):
    if not condition:
        raise Failed(text % args if args else text)


def need_file(path):
    if not os.access(path, os.R_OK):
        raise Skip("%s is not built" % os.path.relpath(path, BUILD))


def need(program):
    if not shutil.which(program):
        raise Skip("%s is not installed" % program)


def write(path, text, mode=0o600):
    """Replace a file in one step, so that nobody reads half of it."""
    temp = path + ".new"
    with open(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    os.chmod(temp, mode)
    os.rename(temp, path)
    return path


def new_secret():
    return base64.b64encode(os.urandom(32)).decode() + "\n"


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(p) for p in f.read().split()]
    except OSError:
        return []


def start_time(pid):
    """What tells a process from a later one with its number; None: there is none."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            rest = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if rest[0] in "ZX" else int(rest[19])


def wait_for(condition, what, timeout=PATIENCE_S, rig=None):
    """Until condition() is true: its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if rig:
            rig.still_well()
        if time.monotonic() > end:
            raise Failed("in %d s not seen: %s" % (timeout, what() if callable(what) else what))
        time.sleep(POLL_S)


class Process:
    """One process, its output in a file."""

    def __init__(self, rig, name, argv, log, pass_fds=(), limits=None, env=None):
        self.rig, self.name = rig, name
        self.expected_end = False
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=pass_fds, env=env,
                                          cwd=rig.dir, preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0))
        self.pid = self.popen.pid
        rig.processes.append(self)

    def alive(self):
        return self.popen.poll() is None

    def end(self, sig):
        """Send a signal and wait: exit status as subprocess gives it.  No child of it may be left."""
        self.expected_end = True
        mine = [(p, start_time(p)) for p in children(self.pid)]
        if self.alive():
            self.popen.send_signal(sig)
        try:
            status = self.popen.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            status = None
        left = [p for p, since in mine if since is not None and not gone(p, since)]
        self.rig.processes.remove(self)
        for p in left:
            os.kill(p, signal.SIGKILL)
        expect(status is not None, "%s did not end after signal %d", self.name, sig)
        expect(not left, "%s left processes behind: %s", self.name, left)
        return status


def gone(pid, since, timeout=PATIENCE_S / 2):
    end = time.monotonic() + timeout
    while start_time(pid) == since:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class Site:
    """One rekeyd: its folder, its configuration, its control socket."""

    def __init__(self, rig, name, sae):
        self.rig, self.name, self.sae = rig, name, sae
        self.dir = rig.dir + "/" + name
        self.config = self.dir + "/rekeyd.yaml"
        self.control = self.dir + "/ctl"
        self.state_dir = self.dir + "/state"
        self.out = self.dir + "/out"
        self.log_file = self.dir + "/log"
        self.process = None
        self.env = None  # of rekeyd and its hosts; None: that of the test
        for path in (self.dir, self.out):
            os.mkdir(path, 0o700)
        self.conf = {"sae": sae, "state-dir": self.state_dir, "control": self.control,
                     "sources": {}, "devices": {}, "channels": {},
                     "defaults": {"interval": "1s", "drain": "100ms", "verify": "300ms"}, "links": []}

    # ---- configuration ----

    def device(self, name, **options):
        self.conf["devices"][name] = dict({"plugin": "sim", "state-file": "%s/%s.state" % (self.dir, name),
                                           "mode-file": self.mode_file(name), "peer-check-dir": self.rig.check}, **options)

    def mode_file(self, device):
        return "%s/%s.mode" % (self.dir, device)

    def mode(self, device, mode):
        write(self.mode_file(device), mode + "\n")

    def secret(self, name, text=None):
        return "file:" + write("%s/%s" % (self.dir, name), text or new_secret())

    def link(self, name, **options):
        self.conf["links"].append(dict({"name": name}, **options))

    def save(self, text=None):
        write(self.config, text or json.dumps(self.conf, indent=1) + "\n")

    # ---- life ----

    def argv(self, *more):
        return [REKEYD, "-c", self.config, "--plugin-dir", self.rig.plugin_dir, "--host", HOST, *more]

    def start(self, *more, wait=True):
        if not os.path.exists(self.config):
            self.save()
        self.process = Process(self.rig, "rekeyd " + self.name, self.argv(*(more or self.rig.rekeyd_options)), self.log_file,
                               env=self.env)
        if wait:
            wait_for(lambda: self.status(quiet=True), "%s answers" % self.name, rig=self.rig)
        return self.process

    def stop(self):
        status = self.process.end(signal.SIGTERM)
        expect(status == 0, "%s: exit status %s after SIGTERM", self.name, status)

    def kill(self):
        status = self.process.end(signal.SIGKILL)
        expect(status == -9, "%s had ended before it was killed: %s", self.name, status)

    def run(self, *more):
        """Run rekeyd until it ends: (exit status, standard error)."""
        done = subprocess.run(self.argv(*more), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE_S, cwd=self.rig.dir)
        return done.returncode, done.stderr

    # ---- asking ----

    def ctl(self, *words):
        """(exit code, what was said as JSON or None, standard error)"""
        done = subprocess.run([CTL, *words, "--json", "--socket", self.control], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE_S)
        said = json.loads(done.stdout) if done.stdout.strip() else None
        return done.returncode, said, done.stderr

    def ask(self, *words):
        code, said, err = self.ctl(*words)
        expect(code == 0, "%s: rekeyctl %s: exit %d: %s %s", self.name, " ".join(words), code, said, err)
        return said

    def status(self, quiet=False):
        code, said, err = self.ctl("status")
        if quiet and code:
            return None
        expect(code == 0, "%s: rekeyctl status: exit %d: %s", self.name, code, err)
        return said

    def end(self, link, which="a"):
        for row in self.status()["links"]:
            if row["link"] == link and row["end"] == which:
                return row
        raise Failed("%s: no end %s of link %s" % (self.name, which, link))

    def plugin(self, name):
        for row in self.ask("plugins"):
            if row["plugin"] == name:
                return row
        raise Failed("%s: no plugin %s" % (self.name, name))

    def log(self):
        try:
            with open(self.log_file, errors="backslashreplace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, after=0, timeout=PATIENCE_S):
        return wait_for(lambda: re.search(pattern, self.log()[after:]),
                        lambda: "%s: log line %s; the log ends: %s" % (self.name, pattern, self.log()[-1500:]), timeout,
                        self.rig)

    def wait_end(self, link, condition, what, which="a", timeout=PATIENCE_S):
        last = [None]

        def look():
            status = self.status(quiet=True)
            rows = [r for r in status["links"] if r["link"] == link and r["end"] == which] if status else []
            last[0] = rows[0] if rows else None
            return last[0] if last[0] and condition(last[0]) else None

        return wait_for(look, lambda: "%s: %s of link %s; it is %s" % (self.name, what, link, json.dumps(last[0])),
                        timeout, self.rig)

    def wait_rotations(self, link, more, which="a", timeout=PATIENCE_S):
        """Wait for that many more rotations; the row then."""
        want = self.end(link, which)["rotations"] + more
        return self.wait_end(link, lambda e: e["rotations"] >= want, "%d rotations" % want, which, timeout)

    def wait_alarm(self, link, alarm, on=True, timeout=PATIENCE_S):
        return self.wait_end(link, lambda e: (alarm in e["alarms"]) == on,
                             "alarm %s %s" % (alarm, "raised" if on else "cleared"), timeout=timeout)


class Rig:
    def __init__(self, plugins=("sim", "spool", "static")):
        for name in plugins:
            need_file("%s/%s.so" % (PLUGINS, name))
        base = tempfile.gettempdir()
        self.dir = tempfile.mkdtemp(prefix="rekey-", dir=base if len(base) < 60 else "/tmp")
        self.check = self.dir + "/check"
        os.mkdir(self.check, 0o700)
        self.plugin_dir = PLUGINS
        self.rekeyd_options = ()
        self.processes, self.sites = [], []
        self.oracle = oracle.Oracle(self.check + "/events.log")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.verify()
            else:
                self.show_logs()
        finally:
            self.end_all()
            shutil.rmtree(self.dir, ignore_errors=True)

    def end_all(self):
        for process in list(self.processes):
            try:
                process.end(signal.SIGKILL)
            except Failed as why:
                print("# %s" % why)

    def show_logs(self):
        for site in self.sites:
            tail = site.log().splitlines()[-25:]
            print("".join("# %s | %s\n" % (site.name, line[:300]) for line in tail), end="")

    def still_well(self):
        """No process may end that was not ended, and the oracle must hold all the time."""
        self.oracle.check()
        for process in self.processes:
            expect(process.expected_end or process.alive(), "%s ended by itself: %s", process.name,
                   process.popen.returncode)

    def verify(self):
        self.still_well()
        for site in self.sites:
            for line in site.log().splitlines():
                expect("ev=violation" not in line, "%s: %s", site.name, line)
                expect(not re.search(r"Sanitizer|runtime error:|res=fatal|ev=assert|Assertion", line), "%s: %s", site.name,
                       line)

    def site(self, name, sae):
        site = Site(self, name, sae)
        self.sites.append(site)
        return site

    def pair(self, source=None, link="link-1"):
        """Two sites with one link between them: spool directories crossed; source(site) adds the source "keys"."""
        auth, shared = new_secret(), new_secret()
        a, b = self.site("A", "SAE_A"), self.site("B", "SAE_B")
        for site, other, device in ((a, b, "east"), (b, a, "west")):
            site.device(device)
            site.conf["channels"]["box"] = {"plugin": "spool", "dir": site.out, "peer-dir": other.out,
                                            "auth-key": site.secret("auth.key", auth)}
            if source:
                source(site)
            else:
                site.conf["sources"]["keys"] = {"plugin": "static", "secret": site.secret("static.key", shared)}
            site.link(link, device=device, interface="port0", source="keys", channel="box", **{"peer-sae": other.sae})
            site.save()
        return a, b


class Kme:
    """One KME of a pair, as a process of its own."""

    def __init__(self, pair, name, sae, peer, peer_sae):
        self.pair, self.name, self.port, self.process = pair, name, 0, None
        self.fault_file = "%s/%s.fault" % (pair.dir, name)
        self.conf = {"id": name, "cert": "pki/%s.crt" % name, "key": "pki/%s.key" % name, "ca": "pki/ca.crt",
                     "cert-expired": "pki/%s.expired.crt" % name, "cert-future": "pki/%s.future.crt" % name,
                     "saes": [sae], "peers": [{"kme": peer, "saes": [peer_sae], "pair-secret": "pki/pair.secret"}],
                     "fault-file": self.fault_file}

    def start(self):
        """A restarted one listens where the first one did."""
        conf = dict(self.conf, listen="127.0.0.1:%d" % self.port)
        path = write("%s/%s.yaml" % (self.pair.dir, self.name), json.dumps({"kmes": [conf]}, indent=1) + "\n")
        ready, theirs = os.pipe()
        self.process = Process(self.pair.rig, self.name, [KME, "--config", path, "--ready-fd", str(theirs)],
                               self.pair.rig.dir + "/%s.log" % self.name, pass_fds=(theirs,))
        os.close(theirs)
        with os.fdopen(ready) as f:
            line = f.readline()
        expect(line.startswith("ready "), "%s does not start: %s", self.name, line)
        self.port = int(line.rpartition(":")[2])

    def kill(self):
        self.process.end(signal.SIGKILL)

    def fault(self, words):
        write(self.fault_file, words + "\n")


class KmePair:
    def __init__(self, rig):
        need("openssl")
        need("bash")
        need_file(KME)
        self.rig, self.dir = rig, rig.dir + "/kme"
        os.mkdir(self.dir, 0o700)
        self.make_certs("pki", "--dates")
        self.a = Kme(self, "kme-a", "SAE_A", "kme-b", "SAE_B")
        self.b = Kme(self, "kme-b", "SAE_B", "kme-a", "SAE_A")

    def make_certs(self, folder, *options):
        done = subprocess.run(["bash", SOURCE + "/contrib/kme/make-certs", *options, "%s/%s" % (self.dir, folder)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        expect(done.returncode == 0, "make-certs: %s", done.stderr)

    def start(self):
        self.a.start()
        self.b.start()

    def source(self, site, **options):
        """The source "keys" of a site, at its own KME."""
        kme = self.a if site.sae == "SAE_A" else self.b
        pki = self.dir + "/pki/"
        site.conf["sources"]["keys"] = dict({
            "plugin": "etsi014", "url": "https://127.0.0.1:%d" % kme.port, "cert": pki + site.sae + ".crt",
            "key": "file:%s%s.key" % (pki, site.sae), "ca": pki + "ca.crt"}, **options)


# ---- TAP ----

class World:
    """What the cases of one test share; once its set-up failed or was skipped, so are they."""

    def __init__(self, set_up):
        self.set_up, self.why, self.ready = set_up, None, False

    def case(self, function):
        def run():
            if self.why:
                raise type(self.why)(*self.why.args)
            if not self.ready:
                try:
                    self.set_up(self)
                except Exception as why:
                    self.why = why if isinstance(why, Skip) else Failed("the set-up had failed: %s" % why)
                    raise
                self.ready = True
            try:
                function(self)
                self.rig.verify()
            except Skip:
                raise
            except Exception:
                self.rig.show_logs()
                raise
        return run

    def close(self):
        """End all; once."""
        if hasattr(self, "rig"):
            r = self.rig
            del self.rig
            self.why = self.why or Failed("this world has ended")
            r.end_all()
            shutil.rmtree(r.dir, ignore_errors=True)

    def last_case(self):
        """Stops the daemons as an operator does, and ends all."""
        def run():
            try:
                if self.why:
                    raise type(self.why)(*self.why.args)
                for site in self.rig.sites:
                    if site.process in self.rig.processes:
                        site.stop()
                self.rig.verify()
            finally:
                self.close()
        return run


def run_cases(cases, quick_too=False):
    """cases: (name, function) each; a function returns None or raises Skip."""
    sys.stdout.reconfigure(line_buffering=True)
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, lambda number, frame: sys.exit("ended by signal %d" % number))
    os.umask(0o077)
    for program in (REKEYD, HOST, CTL):
        if not os.access(program, os.X_OK):
            print("Bail out! %s is not there: set top_builddir to the build folder, and build first" % program)
            return 1
    if os.environ.get("REKEY_QUICK") == "1" and not quick_too:
        print("1..0 # SKIP REKEY_QUICK=1")
        return 0
    only = os.environ.get("REKEY_CASE")
    cases = [c for c in cases if not only or only in c[0]]
    print("1..%d" % len(cases))
    failed = 0
    for number, (name, function) in enumerate(cases, 1):
        began = time.monotonic()
        try:
            function()
            print("ok %d - %s" % (number, name))
        except Skip as why:
            print("ok %d - %s # SKIP %s" % (number, name, why))
        except Exception as why:  # whatever it was, the next case is run
            failed += 1
            shown = "%s" % why if isinstance(why, AssertionError) else traceback.format_exc()
            print("".join("# %s\n" % line for line in shown.splitlines()), end="")
            if isinstance(why, AssertionError):
                at = traceback.extract_tb(why.__traceback__)
                print("".join("#   at %s:%d\n" % (os.path.basename(f.filename), f.lineno) for f in at), end="")
            print("not ok %d - %s" % (number, name))
        print("# %.1f s" % (time.monotonic() - began))
    return 1 if failed else 0


def digest8(data):
    """Something to name secret bytes by in a message."""
    return hashlib.sha256(data).hexdigest()[:8]


def pause(seconds):
    """Only for a moment that is to be random: never to wait for something."""
    time.sleep(seconds)
