# cases_rig.py - for the tests of failure cases: two sites of which rekeyd ends at an exact step, a channel that holds
# records back, and what the devices were told to do.
import os
import signal
import threading
import time

import rig
from rig import expect

LINK = "link-1"
SHIM = rig.BUILD + "/tests/rig/.libs/shim.so"


def put_record(path, text):
    """Into an inbox, as a file mover should: made elsewhere, so that nobody sees half of it."""
    temp = "%s/record.%d" % (os.path.dirname(os.path.dirname(path)), threading.get_ident())
    rig.write(temp, text)
    os.rename(temp, path)


class Relay:
    """Carries the records of two sites as a file mover does, but for those that `passes` refuses.

    passes(sender, fields) is asked for each record; fields as doc/rotation.md has them.
    """

    def __init__(self, sites):
        self.routes = [(s, s.out + "/" + LINK + ".rec", o.dir + "/in/" + LINK + ".rec") for s, o in
                       (sites, tuple(reversed(sites)))]
        self.passes = lambda sender, fields: True
        self.seen = []     # (sender's name, record) in order, also of those that were held back
        self.stamps = {}   # path -> what was last carried
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended:
            for sender, source, target in self.routes:
                self.carry(sender, source, target)
            time.sleep(0.005)

    def carry(self, sender, source, target):
        try:
            stat = os.stat(source)
            with open(source, "rb") as f:
                text = f.read()
            stamp = (stat.st_ino, stat.st_mtime_ns, text)
            if stamp == self.stamps.get(source):
                return
            self.stamps[source] = stamp
            if not self.seen or self.seen[-1] != (sender.name, text):
                self.seen.append((sender.name, text))
            if self.passes(sender, text.decode().split("|")):
                put_record(target, text)
        except OSError:
            pass  # not there yet, or not any more

    def all(self):
        """Everything passes again, and what was held back is carried now."""
        self.passes = lambda sender, fields: True
        self.stamps.clear()


def shimmed(site):
    rig.need_file(SHIM)
    site.env = dict(os.environ, LD_PRELOAD=SHIM, REKEY_SHIM_AT=site.dir + "/at")


def arm(site, words, sig=signal.SIGKILL):
    """rekeyd gets the signal at the next step whose log line has these words."""
    rig.write(site.dir + "/at", "%d %s\n" % (sig, words))
    site.process.expected_end = True


def ended(site, status):
    """rekeyd ends by what it was armed with."""
    got = site.process.popen.wait(rig.PATIENCE_S)
    expect(got == status, "%s: exit status %s", site.name, got)
    site.process.end(signal.SIGKILL)  # takes it off the list, and looks that it left no process


def kme_source(w):
    """A pair of KMEs: what adds a source at its own KME to a site."""
    w.kmes = rig.KmePair(w.rig)
    w.kmes.start()
    return w.kmes.source


def pair(w, plugins=("sim", "spool", "static"), source=None, relay=False, **defaults):
    """Two sites that log all steps; nothing rotates by itself but the first time."""
    w.rig = rig.Rig(plugins=plugins)
    w.rig.rekeyd_options = ("--log-level", "debug")
    w.a, w.b = w.rig.pair(source(w) if source else None)
    for site in (w.a, w.b):
        shimmed(site)
        site.conf["defaults"].update(dict({"interval": "30d", "drain": "100ms", "verify": "300ms"}, **defaults))
        if relay:
            os.mkdir(site.dir + "/in", 0o700)
            site.conf["channels"]["box"]["peer-dir"] = site.dir + "/in"
        site.save()
    w.relay = Relay((w.a, w.b)) if relay else None
    for site in (w.a, w.b):
        site.start()
    settled(w)


def settled(w, above=0):
    """Both ends idle with the same key, of a rotation after `above`: the row of A."""
    rows = [None, None]

    def look():
        for i, site in enumerate((w.a, w.b)):
            said = site.status(quiet=True)
            rows[i] = [r for r in said["links"] if r["link"] == LINK][0] if said else None
        a, b = rows
        return a and b and a["phase"] == b["phase"] == "idle" and a["state"] != "observing" and a["key_id"] and \
            a["key_id"] == b["key_id"] and a["seq"] == b["seq"] > above and a

    row = rig.wait_for(look, lambda: "both ends idle with one key after %d: %s" % (above, rows), rig=w.rig)
    w.rig.still_well()
    return row


def rotate(w):
    """Ask for a rotation and do not wait: the number that the link had."""
    seq = w.a.end(LINK)["seq"]
    ask(w)
    return seq


def ask(w):
    """Ask for a rotation.  A that is armed may have ended before: of a look at its device, which comes by itself."""
    code, said, err = w.a.ctl("rotate", LINK)
    expect(code == 0 or w.a.process.expected_end, "rotate: exit %d: %s %s", code, said, err)


def goes_on(w):
    return settled(w, above=rotate(w))


def events(site, seq, name=None):
    """What the history of the site has of that rotation, oldest first."""
    rows = site.ask("history", LINK, "--limit", "1000")
    return [r for r in reversed(rows) if r["seq"] == seq and (not name or r["event"] == name)]


def device_ops(w, device, key_id):
    """The operations on a key that the device did, in order."""
    with open(w.rig.oracle.path) as f:
        rows = [dict(word.split("=", 1) for word in line.split()) for line in f]
    return [r["op"] for r in rows if r["dev"] == device and r["id"] == key_id and r["err"] == "0" and r["op"] != "boot"]


def counts(w):
    w.rig.oracle.check()
    ops, devices = ("stage", "activate", "retire"), ("east", "west")
    return {(op, device): w.rig.oracle.count(op, device) for op in ops for device in devices}


def sending(w):
    """{device: key IDs that it may send with}"""
    w.rig.oracle.check()
    return w.rig.oracle.sent_with(LINK)


def run(worlds):
    """worlds: (set_up, cases, clean) each; a case is a function case_..., its doc string says what must be so."""
    made, cases = [], []
    for set_up, functions in worlds:
        w = rig.World(set_up)
        made.append(w)
        cases += [("%s: %s" % (f.__name__, f.__doc__), w.case(f)) for f in functions]
        cases.append(("all ends well after %s" % functions[-1].__name__, closing(w)))
    try:
        return rig.run_cases(cases)
    finally:
        for w in made:
            w.close()


def closing(w):
    last = w.last_case()

    def run_it():
        relay = getattr(w, "relay", None)
        if relay:
            relay.ended = True
        last()
    return run_it
