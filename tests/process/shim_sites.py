# shim_sites.py - sites whose routers ask by themselves: listeners of plugin junos-event, and what event-options do on
# each router of junos-sim: a run of rekey-shim.py each tick, a process of its own.  On top of shim_rig.py and junos_rig.py.
import collections
import datetime
import hashlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import junos_rig
import peer_sites
import rig
import shim_rig
from rig import expect

PLUGINS = ("junos-event", "spool", "static")
DONE, TEMPORARY, CONFIG, KILLED = 0, 75, 78, -signal.SIGKILL  # how a run may end
LOOK_S = 0.02


def need():
    shim_rig.need()
    rig.need_file(rig.PLUGINS + "/junos-event.so")
    rig.need("setpriv")


class Router(shim_rig.Box):
    """What event-options do on a router, and the files that they use."""

    def __init__(self, ticks, name, url):
        super().__init__(ticks.lab, name, ticks.pki, url)
        self.ticks, self.log_path, self.runs, self.next = ticks, self.dir + "/shim.log", [], 0
        self.off = False                   # event-options are not there
        self.plan = lambda: [{}]           # the runs of a tick: linger, kill_s: the time until it is killed, key, cert
        self.codes = collections.Counter()
        self.unfit = False                 # it runs with a certificate that it must refuse
        self.lock = threading.Lock()

    def engine(self):
        """Files of the other routing engine, which has a lock of its own: options of a run."""
        there = self.dir + "/re1"
        if not os.path.isdir(there):
            os.mkdir(there, 0o700)
            shutil.copyfile(self.key, there + "/key")
        return {"key": there + "/key"}

    def begin(self, kill_s=None, **options):
        """One run."""
        usual = {"tick": self.ticks.tick_s, "linger": self.ticks.linger_s}
        with open(self.log_path, "ab") as out:
            run = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *self.words(**dict(usual, **options))],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment(),
                                   cwd=self.dir)
        run.kill_at = time.monotonic() + kill_s if kill_s else None
        run.unfit = self.unfit
        with self.lock:
            self.runs.append(run)
        return run

    def play(self):
        self.reap()
        now = time.monotonic()
        if self.off or now < self.next:
            return
        self.next = max(self.next + self.ticks.tick_s, now + self.ticks.tick_s / 2)
        for options in self.plan():
            self.begin(**options)

    def reap(self):
        with self.lock:
            runs = list(self.runs)
        for run in runs:
            if run.kill_at and time.monotonic() >= run.kill_at:
                run.kill()
            code = run.poll()
            if code is None:
                continue
            self.codes[code] += 1
            expect(code in (DONE, TEMPORARY, KILLED) or (code == CONFIG and run.unfit), "%s: a run ended with %s",
                   self.name, code)
            with self.lock:
                self.runs.remove(run)

    def kill(self):
        """All runs, in whatever they are doing: how many."""
        with self.lock:
            runs = [run for run in self.runs if run.poll() is None]
        for run in runs:
            run.kill()
        return len(runs)

    def end(self):
        self.kill()
        for run in self.runs:
            run.wait()


class Ticks(threading.Thread):
    """All routers' timers.  To the rig it is a process."""

    def __init__(self, lab, tick_s=2, linger_s=None):
        super().__init__(daemon=True, name="ticks of the routers")
        need()
        self.lab, self.rig, self.tick_s = lab, lab.rig, tick_s
        self.linger_s = max(tick_s - 1, 1) if linger_s is None else linger_s
        self.pki = shim_rig.Pki(lab.rig.dir + "/shim-pki")
        self.routers, self.ending = {}, threading.Event()
        self.expected_end, self.popen, self.returncode = False, self, None

    def listen(self, site):
        """A listener for all devices of a site."""
        cert, key = self.pki.make("rekeyd-" + site.name, "named")
        site.shim = {"listen": "127.0.0.1:%d" % peer_sites.free_port(), "cert": cert, "key": "file:" + key,
                     "ca": self.pki.ca}

    def device(self, site, name, **options):
        """Make a router of the lab a device of a site."""
        if not hasattr(site, "shim"):
            self.listen(site)
        # An edit waits for the next tick, and is then given out with three seconds left, or more.
        options.setdefault("commit-timeout", "%ds" % (self.tick_s + 4))
        keying = self.lab.routers[name].keying
        site.conf["devices"][name] = dict({"plugin": "junos-event", "keying": keying, "tick": "%ds" % self.tick_s},
                                          **dict(site.shim, **options))
        self.routers[name] = Router(self, name, "https://" + site.shim["listen"])

    def start(self):
        self.rig.processes.append(self)
        now = time.monotonic()
        for i, name in enumerate(self.routers):
            self.routers[name].next = now + self.tick_s * i / len(self.routers)
        super().start()

    def run(self):
        try:
            while not self.ending.wait(LOOK_S):
                for router in self.routers.values():
                    router.play()
        except Exception as why:
            self.returncode = "%s" % why

    def alive(self):
        return self.is_alive()

    def end(self, sig):
        self.expected_end = True
        self.ending.set()
        self.join()
        for router in self.routers.values():
            router.end()
        if self in self.rig.processes:
            self.rig.processes.remove(self)

    def codes(self):
        return sum((router.codes for router in self.routers.values()), collections.Counter())

    def logs(self):
        return "".join(router.log() for router in self.routers.values() if os.path.exists(router.log_path))

    def check_logs(self):
        said = self.logs()
        expect("Traceback" not in said and "internal error" not in said, "a mistake in the script: %s", said[-2000:])


# ---- what was done, and what was said of it ----

def ckn(key_id):
    return hashlib.sha256(b"rekey ckn v1\0" + key_id.lower().encode() + b"\0").hexdigest()


COMMITTED = re.compile(r"^(\S+) .*ev=committed box=(\S+) .*links=(\S*)", re.M)
IN_USE = re.compile(r"^(\S+) .*ev=mka box=(\S+) port=(\S+) state=primary ckn=([0-9a-f]{12})", re.M)


def unix_ms(stamp):
    then = datetime.datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    return int(then.timestamp() * 1000)


def record(lab):
    """What the simulator saw: when MKA was first on a key as the primary one, and when that was first committed.

    ret: {(router, port, first digits of the CKN): Unix time in ms} of each
    """
    in_use, committed, text = {}, {}, lab.log()
    for stamp, box, port, name in IN_USE.findall(text):
        in_use.setdefault((box, port, name), unix_ms(stamp))
    for stamp, box, links in COMMITTED.findall(text):
        for part in filter(None, links.split(",")):
            port, _, rest = part.partition("=")
            committed.setdefault((box, port, rest.split("/")[0]), unix_ms(stamp))
    return in_use, committed
