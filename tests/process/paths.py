# paths.py - two sites with two channels between them: either may be cut, fail, replay or lose most of what it carries,
# and may come and go with the configuration.  Rotations go on, and an alarm tells which of the two it is.
import os
import re
import random
import shutil
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
import openmetrics  # noqa: E402
import rig  # noqa: E402
from cases_rig import put_record  # noqa: E402
from rig import expect  # noqa: E402

LINK = "link-1"
WAYS = ("first", "second")
SEED = 7

# Why a record of earlier is refused.  What an earlier key has signed cannot even be checked any more, and the very first
# ones are signed by what counts no more.
REPLAYED = ("older than what the peer said since|wrong tag|"
            "signed by the auth-key alone, and the peer has shown that it has a channel key")


class Way:
    """One direction of one channel, as a file mover: passes, cuts, replays, or does everything badly."""

    def __init__(self, source, target, chance):
        self.source, self.target, self.chance = source, target, chance
        self.does, self.seen, self.stamp, self.late, self.shown = "pass", [], None, [], None

    def look(self):
        """The record that is there, when it was written since the last look."""
        try:
            stat = os.stat(self.source)
            with open(self.source, "rb") as f:
                text = f.read()
        except OSError:
            return None
        stamp = (stat.st_ino, stat.st_mtime_ns, text)
        if stamp == self.stamp:
            return None
        self.stamp = stamp
        self.seen.append(text)
        return text

    def lose(self, text, now):
        """Half is lost; the rest comes late, so in another order, some of it twice, some of it cut off before."""
        if self.chance.random() < 0.5:
            return
        if self.chance.random() < 0.3:
            self.late.append((now, text[:self.chance.randrange(len(text))]))
        for _ in range(self.chance.choice((1, 1, 2))):
            self.late.append((now + self.chance.random() * 0.2, text))

    def turn(self, now):
        text = self.look()
        if self.does == "pass" and text:
            put_record(self.target, text)
        elif self.does == "replay" and self.seen:
            put_record(self.target, self.chance.choice(self.seen[:max(1, len(self.seen) // 2)]))
        elif self.does == "again" and self.seen:
            put_record(self.target, self.shown or self.seen[-1])
            self.shown = self.shown or self.seen[-1]
        elif self.does == "lose" and text:
            self.lose(text, now)
        due = [t for at, t in sorted(self.late) if at <= now]
        self.late = [(at, t) for at, t in self.late if at > now]
        for t in due:
            put_record(self.target, t)


class Carrier(threading.Thread):
    def __init__(self, sites):
        super().__init__(daemon=True)
        self.ended, self.ways = False, {name: [] for name in WAYS}
        for name in WAYS:
            for site, other in (sites, tuple(reversed(sites))):
                chance = random.Random("%d %s %s" % (SEED, name, site.name))
                self.ways[name].append(Way("%s/out-%s/%s.rec" % (site.dir, name, LINK),
                                           "%s/in-%s/%s.rec" % (other.dir, name, LINK), chance))
        self.start()

    def run(self):
        while not self.ended:
            for way in self.ways["first"] + self.ways["second"]:
                try:
                    way.turn(time.monotonic())
                except OSError:
                    pass  # a folder is not there just now
            time.sleep(0.01)

    def set(self, name, does):
        for way in self.ways[name]:
            way.stamp = way.shown = None  # what is there is carried again
            way.does = does


def set_up(w):
    w.rig = rig.Rig()
    w.a, w.b = w.rig.pair()
    for site in (w.a, w.b):
        auth = site.conf["channels"].pop("box")["auth-key"]
        for name in WAYS:
            for folder in ("in", "out"):
                os.mkdir("%s/%s-%s" % (site.dir, folder, name), 0o700)
            site.conf["channels"][name] = {"plugin": "spool", "dir": "%s/out-%s" % (site.dir, name), "auth-key": auth,
                                           "peer-dir": "%s/in-%s" % (site.dir, name)}
        link = site.conf["links"][0]
        del link["channel"]
        link["channels"] = list(WAYS)
        site.conf["defaults"]["interval"] = "500ms"
        site.save()
    w.carrier = Carrier((w.a, w.b))
    for site in (w.a, w.b):
        site.start()
    goes_on(w)


def goes_on(w, more=2):
    for site in (w.a, w.b):
        site.wait_rotations(LINK, more)
    w.rig.still_well()


def counters(w):
    return [(row["failed"], row["orphaned"]) for row in (site.end(LINK) for site in (w.a, w.b))]


def path(site, name):
    return [p for p in site.end(LINK)["paths"] if p["channel"] == name][0]


def path_alarm(w, name):
    """Both ends say that it is this way; the link works."""
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "PATH")
        alarm = [a for a in site.ask("explain", LINK)[0]["alarms"] if a["alarm"] == "PATH"]
        expect(alarm and alarm[0]["at"] == name, "%s: %s", site.name, alarm)
        site.wait_log("warning .*ev=alarm link=%s .*alarm=PATH state=raised .* at=%s " % (LINK, name))
    goes_on(w)
    for site in (w.a, w.b):
        expect("NO-PEER" not in site.end(LINK)["alarms"], "the other way was not heard")


def no_alarm(w):
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "PATH", on=False)
        site.wait_end(LINK, lambda e: all(p["heard_ms"] is not None and not p["stale"] for p in e["paths"]), "both ways")


def both_work(w):
    no_alarm(w)
    for site in (w.a, w.b):
        row = site.end(LINK)
        expect(row["channel"] == "first,second" and [p["channel"] for p in row["paths"]] == list(WAYS), "%s", row)
        skew = site.wait_end(LINK, lambda e: e["skew"], "a skew that is measured")["skew"]
        expect(skew["seq"] >= 1 and skew["margin_ms"] >= 0 and abs(skew["switched_ms"]) < 10000, "%s", skew)
        expect(all(p["error"] is None and p["neighbour"] is None for p in row["paths"]), "%s", row["paths"])
        text = site.ask("explain", LINK)[0]["text"]
        expect("Channel first: heard " in text and "Channel second: heard " in text, "%s", text)
        expect(" the ends switched " in text, "%s", text)


def metrics(w):
    """what rekeyctl metrics prints is OpenMetrics to the letter, and says what status says"""
    done = subprocess.run([rig.CTL, "metrics", "--socket", w.a.control], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=rig.PATIENCE_S)
    text = done.stdout
    expect(done.returncode == 0 and not done.stderr, "%s: %s", done.returncode, done.stderr)
    try:
        all_of = {name: f["samples"] for name, f in openmetrics.read(text).items()}
    except openmetrics.Wrong as e:
        raise rig.Failed(str(e))
    row, ends = w.a.end(LINK), {"link": LINK, "end": "a"}

    def value(name, **labels):
        found = [number for has, number in all_of[name] if labels.items() <= has.items()]
        expect(len(found) == 1, "%s %s: %s", name, labels, all_of[name])
        return found[0]

    expect(value("rekeyd_up") == 1 and value("rekeyd_journal_ok") == 1 and value("rekeyd_links") == 1, "%s", text)
    expect(2 <= value("rekeyd_link_rotations", **ends) <= row["rotations"], "%s", text)
    expect(value("rekeyd_link_failed_rotations", **ends) == row["failed"], "%s", text)
    expect(0 <= value("rekeyd_link_key_age_seconds", **ends) < rig.PATIENCE_S, "%s", text)
    expect(value("rekeyd_link_interval_seconds", **ends) == 0.5, "%s", text)
    expect(value("rekeyd_link_margin_seconds", **ends) >= 0 and value("rekeyd_link_skew_seconds", **ends) < 10, "%s", text)
    expect(value("rekeyd_link_alarm", alarm="NO-PEER", **ends) == 0, "%s", text)
    expect(value("rekeyd_link_info", role="master", device="east", channel="first,second", **ends) == 1, "%s", text)
    for name in WAYS:
        expect(value("rekeyd_link_channel_stale", channel=name, **ends) == 0, "%s", text)
    expect(value("rekeyd_source_keys", source="keys", peer_sae="SAE_B") >= 2, "%s", text)
    expect(value("rekeyd_plugin_up", plugin="spool", kind="channel") == 1, "%s", text)
    expect(value("rekeyd_plugin_instance_info", plugin="sim", instance="east") == 1, "%s", text)


def one_is_cut(w):
    before = counters(w)
    w.carrier.set("first", "cut")
    path_alarm(w, "first")
    expect(path(w.a, "first")["stale"] and not path(w.a, "second")["stale"], "%s", w.a.end(LINK)["paths"])
    text = w.a.ask("explain", LINK)[0]["text"]
    expect("Channel first: nothing valid came on it for" in text, "%s", text)
    w.carrier.set("first", "pass")
    no_alarm(w)
    expect(counters(w) == before, "%s, was %s", counters(w), before)


def one_cannot_be_written(w):
    before, folder = counters(w), w.a.dir + "/out-second"
    os.rename(folder, folder + ".away")
    w.a.wait_alarm(LINK, "PATH")
    row = path(w.a, "second")
    expect(row["error"] and folder in row["error"], "%s", row)
    goes_on(w)
    lines = [line for line in w.a.log().splitlines() if "ev=publish" in line and "channel=second" in line]
    expect(1 <= len(lines) <= 3, "%d lines: %s", len(lines), lines[:5])
    os.rename(folder + ".away", folder)
    no_alarm(w)
    expect(path(w.a, "second")["error"] is None and counters(w) == before, "%s", w.a.end(LINK))


def one_replays(w):
    before = counters(w)
    w.carrier.set("second", "replay")
    path_alarm(w, "second")
    refused = path(w.b, "second")["refused"]
    expect(refused["records"] > 0 and re.search(REPLAYED, refused["why"]), "%s", refused)
    expect(re.search("older than those of the other ways|nothing valid came on it", w.b.ask("explain", LINK)[0]["text"]),
           "the reason is not told")
    expect(path(w.b, "first")["refused"] is None, "%s", w.b.end(LINK)["paths"])
    w.carrier.set("second", "pass")
    no_alarm(w)
    expect(counters(w) == before, "%s, was %s", counters(w), before)


def both_show_the_same(w):
    """What was said last stays visible on both ways, again and again: a peer that is dead is found out all the same."""
    before = counters(w)
    for name in WAYS:
        w.carrier.set(name, "again")
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "NO-PEER")
    for name in WAYS:
        w.carrier.set(name, "pass")
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "NO-PEER", on=False)
    goes_on(w)
    expect(counters(w) == before, "%s, was %s", counters(w), before)


def both_lose(w):
    for name in WAYS:
        w.carrier.set(name, "lose")
    goes_on(w, more=4)
    for name in WAYS:
        w.carrier.set(name, "pass")
    goes_on(w)
    no_alarm(w)


def come_and_go(w):
    before, at = counters(w), len(w.a.log())

    def use(site, *names):
        site.conf["links"][0]["channels"] = list(names)
        site.save()
        said = site.ask("reload")
        expect("1 links: 0 untouched, 1 changed, 0 new; 0 removed" in said["text"], "%s", said)
        expect([p["channel"] for p in site.end(LINK)["paths"]] == list(names), "%s", site.end(LINK)["paths"])

    for names in (("second",), ("second", "first"), ("first",)):
        for site in (w.a, w.b):
            use(site, *names)
        goes_on(w, more=1)
    shutil.rmtree(w.a.dir + "/in-second")  # not looked at any more
    goes_on(w)
    os.mkdir(w.a.dir + "/in-second", 0o700)
    for site in (w.a, w.b):
        use(site, *WAYS)
    no_alarm(w)
    goes_on(w)
    expect(counters(w) == before, "%s, was %s", counters(w), before)
    expect("ev=init inst=first" not in w.a.log()[at:], "a channel was made again")


def stops(w):
    w.carrier.ended = True
    w.last_case()()


world = rig.World(set_up)
cases = [(f.__name__.replace("_", " "), world.case(f)) for f in (both_work, metrics, one_is_cut, one_cannot_be_written,
                                                                 one_replays, both_show_the_same, both_lose,
                                                                 come_and_go)]
try:
    sys.exit(rig.run_cases(cases + [("all ends well", lambda: stops(world))]))
finally:
    world.close()
