# carried.py - links whose only channel is what their devices show and hear themselves (LLDP): each word is a change of
# the device, and goes with the key that it is about.  Of all classes, with what may go wrong on the way.
import os
import re
import signal
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

LINK = "link-1"
CARRIER = rig.BUILD + "/tests/unit/plugins/.libs/carrier.so"


def plugin_dir(r):
    """The plugins that there are, and a channel for tests."""
    rig.need_file(CARRIER)
    path = r.dir + "/plugins"
    os.mkdir(path, 0o755)
    for name in os.listdir(rig.PLUGINS):
        os.symlink(os.path.realpath("%s/%s" % (rig.PLUGINS, name)), "%s/%s" % (path, name))
    os.symlink(CARRIER, path + "/carrier.so")
    r.plugin_dir = path


def device(w, site, name, letter, other):
    mka = {} if letter == "a" else {"mka-hello": "20ms"}
    site.device(name, **{"class": letter, "lldp-dir": w.lldp, "cable": ["port0 %s port0" % other],
                         "description": "to %s" % other}, **mka)


def set_up(letter):
    def begin(w):
        w.letter, w.rig = letter, rig.Rig()
        plugin_dir(w.rig)
        w.lldp = w.rig.dir + "/lldp"
        os.mkdir(w.lldp, 0o700)
        w.a, w.b = w.rig.pair()
        for site, name, other in ((w.a, "east", "west"), (w.b, "west", "east")):
            device(w, site, name, letter, other)
            box = site.conf["channels"]["box"]
            site.conf["channels"]["box"] = {"plugin": "carrier", "auth-key": box["auth-key"]}
            times = {"interval": "6s", "start-lead": "4s"} if letter == "d" else {"interval": "1s"}
            site.conf["links"][0].update(times, verify="200ms")
            site.save()
            site.start()
    return begin


def applies(site, device):
    """How many calls have changed the device, as it counts them itself."""
    with open("%s/%s.state" % (site.dir, device)) as f:
        return int(f.readline().split()[3])


def operations(w, device):
    """What they did: name -> how often."""
    count = {}
    with open(w.rig.check + "/events.log") as f:
        for e in (dict(word.split("=", 1) for word in line.split()) for line in f):
            if e["dev"] == device and e["op"] in ("commit", "revert", "describe"):
                count[e["op"]] = count.get(e["op"], 0) + 1
    return count


def shown_file(w, device, beside=""):
    return "%s/%s:port0%s" % (w.lldp, device, beside)


def shown(w, device):
    """What is advertised: the newest line."""
    with open(shown_file(w, device)) as f:
        line = f.read().splitlines()[-1]
    return re.sub("%(..)", lambda m: chr(int(m.group(1), 16)), line.split(" ", 1)[1])


def instead(w, device, text):
    """What its neighbour hears of a device from now on; None: what it shows."""
    if text is None:
        os.unlink(shown_file(w, device, ".frozen"))
    else:
        rig.write(shown_file(w, device, ".frozen"), "0 %s\n" % "".join("%%%02X" % ord(c) for c in text))


def wait_both(w, times):
    wanted = [(site, site.end(LINK)["rotations"] + times) for site in (w.a, w.b)]
    for site, count in wanted:
        site.wait_end(LINK, lambda e, n=count: e["rotations"] >= n, "%d rotations" % count)


def rotates(w):
    """rotations go on, on nothing but what the devices show; the operator's text stays"""
    wait_both(w, 1 if w.letter == "d" else 3)
    for site, name, other in ((w.a, "east", "west"), (w.b, "west", "east")):
        row = site.end(LINK)
        expect(row["failed"] == 0, "%s", row)
        expect(not {"SPLIT", "FOREIGN", "DEVICE", "NO-PEER"} & set(row["alarms"]), "%s", row["alarms"])
        expect(shown(w, name).startswith("to %s rk1|%s|" % (other, LINK)), "%s", shown(w, name))
        text = site.ask("explain", LINK)[0]["text"]
        expect("carried by device " + name in text, "%s", text)
        expect("ev=carried link=%s channel=box device=%s" % (LINK, name) in site.log(), "%s does not say so", site.name)
    w.rig.still_well()


def one_change(w):
    """what is said of a key goes with the change that brings it: no call to the device for it alone"""
    found = []
    w.a.stop()
    w.b.stop()
    for site, name in ((w.a, "east"), (w.b, "west")):
        found.append((name, applies(site, name), operations(w, name)))
        site.start()
    for name, n, did in found:
        together = sum(did.values()) - n
        expect(did["commit"] > 0 and together >= did["commit"] - 1, "%s: %d changes of %s", name, n, did)
        expect(n <= 2 * did["commit"] + 4, "%s: %d changes for %s", name, n, did)


def kills(w):
    """rekeyd, and the hosts of device and channel, are killed at each end in the middle: rotations go on"""
    for i, (site, plugin) in enumerate(((w.a, None), (w.b, "sim"), (w.a, "carrier"), (w.b, None))):
        seq = site.end(LINK)["seq"]
        rig.pause(0.13 * i)
        if plugin:
            os.kill(site.plugin(plugin)["pid"], signal.SIGKILL)
        else:
            site.kill()
            site.start()
        site.wait_end(LINK, lambda e, n=seq: e["seq"] > n + 1 and e["phase"] == "idle", "a new key after a kill")
    wait_both(w, 1)


def too_long(w):
    """a description that leaves no room for the record: the link says so, and its key stays until there is"""
    before = w.b.conf["devices"]["west"]["description"]
    w.b.conf["devices"]["west"]["description"] = 200 * "x"
    w.b.save()
    w.b.ask("reload")
    w.b.wait_log('ev=describe link=%s device=west interface=port0 res=config why=".*do not fit.*" do="shorten' % LINK)
    rig.wait_for(lambda: "(the description of port0 and the record do not fit" in w.b.ask("explain", LINK)[0]["text"],
                 lambda: w.b.ask("explain", LINK)[0]["text"], rig=w.rig)
    w.b.wait_alarm(LINK, "PATH")
    row = w.b.wait_alarm(LINK, "OVERDUE")
    expect(row["key_id"] and row["class"] == "B", "%s", row)
    w.rig.still_well()
    w.b.conf["devices"]["west"]["description"] = before
    w.b.save()
    w.b.ask("reload")
    wait_both(w, 2)
    w.b.wait_alarm(LINK, "PATH", on=False)


def frozen(w):
    """what was heard of the peer stays what it is: the key in use stays, and when it goes on so do rotations"""
    instead(w, "west", shown(w, "west"))
    key = w.a.wait_alarm(LINK, "OVERDUE")["key_id"]
    expect(key, "the key is gone")
    w.rig.still_well()
    instead(w, "west", None)
    wait_both(w, 2)


def wrong_text(w):
    """no record, a forged one, one of another link: refused, counted, and nothing else happens"""
    text = shown(w, "west")
    for wrong, why in (("uplink to nowhere", "no record"), (text[:-1] + ("0" if text[-1] != "0" else "1"), "wrong tag"),
                       (text.replace(LINK, "link-2", 1), "no link|wrong tag")):
        seen = len(w.a.log())
        instead(w, "west", wrong)
        w.a.wait_log("ev=record-refused .*(%s)" % why, seen)
    w.a.wait_alarm(LINK, "NO-PEER")
    row = w.a.end(LINK)
    expect(row["key_id"], "%s", row)
    instead(w, "west", None)
    wait_both(w, 2)
    w.a.wait_alarm(LINK, "NO-PEER", on=False)


def second(w):
    """a second neighbour with an old record: it is told of, and rotations go on"""
    with open(shown_file(w, "west")) as f:
        rig.write(shown_file(w, "west", ".second"), f.read())
    w.a.wait_alarm(LINK, "NEIGHBOUR")
    wait_both(w, 2)
    os.unlink(shown_file(w, "west", ".second"))


def leaves(w):
    """a link that is removed takes its record out of the description; the operator's text stays, and it may come back"""
    link, = w.a.conf["links"]
    expect(" rk1|" in shown(w, "east"), "nothing is shown: %s", shown(w, "east"))
    w.a.mode("east", "fail")
    w.a.conf["links"] = []
    w.a.save()
    w.a.ask("reload")
    calls = w.a.plugin("sim")["calls"]
    rig.wait_for(lambda: w.a.plugin("sim")["calls"] >= calls + 2, "it is tried again", rig=w.rig)
    expect(" rk1|" in shown(w, "east"), "the device was busy all the time")
    w.a.mode("east", "ok")
    rig.wait_for(lambda: shown(w, "east") == "to west", lambda: "it is taken away: %s" % shown(w, "east"), rig=w.rig)
    w.a.wait_log("ev=describe link=%s device=east interface=port0 res=ok note=\"taken away with the link\"" % LINK)
    w.b.wait_alarm(LINK, "NO-PEER")
    w.a.conf["links"] = [link]
    w.a.save()
    w.a.ask("reload")
    wait_both(w, 1)
    east, w.a.conf["links"] = w.a.conf["devices"].pop("east"), []  # the device goes too: nobody can tell it any more
    w.a.save()
    w.a.ask("reload")
    w.a.conf["devices"]["east"], w.a.conf["links"] = east, [link]
    w.a.save()
    w.a.ask("reload")
    wait_both(w, 1)
    rig.wait_for(lambda: " rk1|" in shown(w, "east"), "it is shown again", rig=w.rig)


WORLDS = [("a", [rotates]), ("b", [rotates, one_change, kills, too_long, frozen, wrong_text, second,
                 leaves]),
          ("d", [rotates, one_change])]


def main():
    cases = []
    for letter, functions in WORLDS:
        world = rig.World(set_up(letter))
        cases += [("%s: %s: %s" % (letter.upper(), f.__name__, f.__doc__), world.case(f)) for f in functions]
        cases.append(("%s: all ends well" % letter.upper(), world.last_case()))
    return rig.run_cases(cases)


if __name__ == "__main__":
    sys.exit(main())
