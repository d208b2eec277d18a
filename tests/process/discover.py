# discover.py - rekeyctl discover and prepare, and links: { discover: DEVICE }: what a device finds is printed as YAML
# that rekeyd takes, is used live, comes and goes with the device, and cannot break anything whatever it says.
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

NAME = "SAE_A-port0_SAE_B-port0"  # of the link between the two, as both make it
KME = "plugin=etsi014 kme-host=kme.example kme-port=8443 kme-ca=false"


def say(site, *lines):
    rig.write(site.dir + "/found", "".join(line + "\n" for line in lines))


def set_up(w):
    w.rig = rig.Rig()
    w.a, w.b = w.rig.pair()
    for site, device, me, peer in ((w.a, "east", "SAE_A", "SAE_B"), (w.b, "west", "SAE_B", "SAE_A")):
        site.conf["devices"][device].update({"discover-file": site.dir + "/found",
                                             "prepared-file": site.dir + "/prepared"})
        site.conf["links"] = {"discover": device, "source": "keys", "channel": "box"}
        site.me = "port0 %s %s port0" % (me, peer)
        say(site, site.me)
        site.save()
        site.start(*(("--log-level", "debug") if site is w.b else ()))


def links_of(site):
    return sorted(row["link"] for row in site.status()["links"])


def wait_links(site, *names):
    rig.wait_for(lambda: links_of(site) == sorted(names),
                 lambda: "%s has the links %s; they are %s" % (site.name, sorted(names), links_of(site)), rig=site.rig)


def seen_of(site, device):
    return [d for d in site.status()["daemon"]["discover"] if d["device"] == device][0]


def text(site, *words, stdin=subprocess.DEVNULL):
    done = subprocess.run([rig.CTL, *words, "--socket", site.control], stdin=stdin, capture_output=True, text=True,
                          timeout=rig.PATIENCE_S)
    return done.returncode, done.stdout, done.stderr


def live(w):
    for site in (w.a, w.b):
        wait_links(site, NAME)
        site.wait_end(NAME, lambda e: e["rotations"] >= 2, "two rotations of a link that was found")
    row = w.a.end(NAME)
    expect(row["interface"] == "port0" and row["peer_sae"] == "SAE_B" and row["source"] == "keys", "%s", row)
    seen = seen_of(w.a, "east")
    expect((seen["result"], seen["found"], seen["used"]) == ("ok", 1, 1), "%s", seen)


def survives(w):
    """A look that fails changes nothing; a restart goes on with the number of the rotation that it had."""
    os.rename(w.a.dir + "/found", w.a.dir + "/away")
    before = len(w.a.log())
    w.a.ask("reload")
    w.a.wait_log(r"ev=discover device=east res=unreachable", before)
    expect(links_of(w.a) == [NAME], "a link is lost because of one look: %s", links_of(w.a))
    rotations = w.a.end(NAME)["rotations"]
    w.a.wait_end(NAME, lambda e: e["rotations"] > rotations, "rotations go on")
    expect(seen_of(w.a, "east")["result"] == "unreachable", "%s", seen_of(w.a, "east"))
    os.rename(w.a.dir + "/away", w.a.dir + "/found")
    rig.wait_for(lambda: seen_of(w.a, "east")["result"] == "ok", "it is reached again", rig=w.rig)
    seq = w.a.end(NAME)["seq"]
    w.a.stop()
    w.a.start()
    wait_links(w.a, NAME)
    expect(w.a.end(NAME)["seq"] >= seq, "the number of the rotation went back from %d to %d", seq,
           w.a.end(NAME)["seq"])


def comes_and_goes(w):
    other = "SAE_A-port7_SAE_C-port1"
    say(w.a, w.a.me, "port7 SAE_A SAE_C port1")
    w.a.ask("reload")
    wait_links(w.a, NAME, other)
    rotations = w.a.end(NAME)["rotations"]
    # gone, and an operator says so
    say(w.a, w.a.me)
    w.a.ask("reload")
    wait_links(w.a, NAME)
    # gone by itself: it stays for some looks, then a line of the log says why it goes
    say(w.a, w.a.me, "port7 SAE_A SAE_C port1")
    w.a.conf["links"]["discover-every"] = "1s"
    w.a.save()
    w.a.ask("reload")
    wait_links(w.a, NAME, other)
    after = len(w.a.log())
    say(w.a, w.a.me)
    w.a.wait_log("ev=discover-missed device=east interface=port7", after)
    wait_links(w.a, NAME)
    w.a.wait_log("ev=discover-gone device=east interface=port7 link=%s looks=3" % other, after)
    # another neighbour on a port that works is not believed at once
    after = len(w.a.log())
    say(w.a, "port0 SAE_A evil port0")
    w.a.wait_log("ev=discover-missed device=east interface=port0 .*neighbour is another one", after)
    expect(links_of(w.a) == [NAME], "%s", links_of(w.a))
    say(w.a, w.a.me)
    w.a.wait_end(NAME, lambda e: e["rotations"] > rotations, "the other link was not disturbed")


def unusable(w):
    """No neighbour, no name, no KME: told, and nothing else is disturbed."""
    say(w.a, w.a.me, "port2 SAE_A - -", "port3 SAE_A SAE_C -", "port4 SAE_A SAE_A port9", "port0 SAE_A SAE_D port5")
    w.a.ask("reload")
    rig.wait_for(lambda: seen_of(w.a, "east")["found"] == 5, "five are found", rig=w.rig)
    why = {u["interface"]: u["why"] for u in seen_of(w.a, "east")["unused"]}
    expect("no neighbour is known" in why["port2"] and "does not say its interface" in why["port3"], "%s", why)
    expect("SAE ID of this site" in why["port4"] and "more than once" in why["port0"], "%s", why)
    expect(links_of(w.a) == [NAME], "%s", links_of(w.a))
    code, out, _ = text(w.a, "status")
    expect(code == 0 and "port2" in out, "status does not tell of what cannot be used: %s", out)
    w.a.wait_log("ev=discover-unused device=east interface=port2")
    say(w.a, w.a.me)
    w.a.ask("reload")
    rig.wait_for(lambda: seen_of(w.a, "east")["found"] == 1, "one is found", rig=w.rig)


def hostile(w):
    """Names that are YAML, lines, terminal control, or long: no line of the output is made by them."""
    bad = ["x:%20y", "%0alinks:", "%22quoted", "a#b", "*anchor", "{a:b}", "%1b[31m", "n" * 300, "%ff%fe", "yes", "&a",
           "'x", "-%20x", "!!tag", "a/b", "a|b"]
    say(w.a, *["port%d SAE_A %s port1" % (i + 20, name) for i, name in enumerate(bad)],
        *["p%s SAE_A SAE_C q%d" % (name, i) for i, name in enumerate(bad)])
    code, out, err = text(w.a, "discover", "east")
    expect(code == 0, "exit %d: %s", code, err)
    for line in out.splitlines():
        expect(re.fullmatch(r"[ -~]*", line), "a line that is not ASCII: %r", line)
        expect(re.match(r" *(#|links:|sources:|(- )?(name|device|interface|peer-sae|source|channel): )", line),
               "a line that a name has made: %r", line)
    pasted(w, out)
    w.a.ask("reload")
    rig.wait_for(lambda: seen_of(w.a, "east")["found"] >= 20, "they are found", rig=w.rig)
    expect(all(re.fullmatch(r"[A-Za-z0-9._-]{1,32}", name) for name in links_of(w.a)), "%s", links_of(w.a))
    say(w.a, w.a.me)
    w.a.ask("reload")
    wait_links(w.a, NAME)


def pasted(w, out):
    """What is printed, put into a file with the rest, is a configuration."""
    head = dict(w.a.conf)
    head.pop("links")
    lines = ["%s: %s" % (key, json.dumps(value)) for key, value in head.items()]
    path = rig.write(w.a.dir + "/pasted.yaml", "\n".join(lines) + "\n" + out)
    done = subprocess.run([rig.REKEYD, "--check", path, "--plugin-dir", w.rig.plugin_dir, "--host", rig.HOST],
                          capture_output=True, text=True, timeout=rig.PATIENCE_S)
    need_source = [x for x in done.stderr.splitlines() if '"source" is missing' not in x]
    expect(not need_source, "what was printed is refused: %s", need_source)


def printed(w):
    say(w.a, w.a.me, "ge-0/0/1 SAE_A SAE_C ge-0/0/2 %s !no connectivity association" % KME, "ge-0/0/9 SAE_A - -")
    code, out, err = text(w.a, "discover", "east")
    expect(code == 0, "exit %d: %s", code, err)
    for line in ("sources:", "  kme-kme.example:", "    kme-host: kme.example", '    kme-port: "8443"', "links:",
                 "  - name: SAE_A-ge-0-0-1_SAE_C-ge-0-0-2", "    device: east", "    interface: ge-0/0/1",
                 "    peer-sae: SAE_C", "    source: kme-kme.example", "    channel: box",
                 "    # the device still needs: no connectivity association"):
        expect(line in out.splitlines(), "no line %r in:\n%s", line, out)
    expect("is there already, as link " + NAME in out and "ge-0/0/9: cannot be used" in out, "%s", out)
    said = w.a.ask("discover", "east")
    expect(said["ok"] and len(said["links"]) == 3 and said["links"][1]["peer_sae"] == "SAE_C", "%s", said)
    # of a file that no rekeyd has read; a second process must not play the device that the first one plays
    alone = json.loads(json.dumps(w.a.conf))
    alone["devices"] = {"east": {"plugin": "sim", "discover-file": w.a.dir + "/found"}}
    alone["state-dir"] = w.a.dir + "/alone"
    path = rig.write(w.a.dir + "/alone.yaml", json.dumps(alone))
    done = subprocess.run([rig.CTL, "discover", "east", "--json", "--config", path, "--rekeyd", rig.REKEYD,
                           "--host", rig.HOST, "--plugin-dir", w.rig.plugin_dir], capture_output=True, text=True,
                          timeout=rig.PATIENCE_S)
    alone = json.loads(done.stdout)
    expect(done.returncode == 0 and len(alone["links"]) == 3, "alone: %s %s", alone, done.stderr)
    for device, reason in (("eest", 'did you mean "east"'), ("nothing-like-it", "no device")):
        code, said, err = w.a.ctl("discover", device)
        expect(code == 1 and reason in said["text"], "%s: %d %s %s", device, code, said, err)
    os.unlink(w.a.dir + "/found")
    code, out, err = text(w.a, "discover", "east")
    expect(code == 1 and "cannot be reached" in err and not out, "%d %s %s", code, out, err)
    say(w.a, w.a.me)


def prepare(w):
    said = w.a.ask("prepare", "east")
    expect(said["lines"] == ["set system services keys", "set interfaces port0 keys"] and not said["apply"], "%s", said)
    expect(not os.path.exists(w.a.dir + "/prepared"), "prepare without --apply changed the device")
    code, _, err = text(w.a, "prepare", "east", "--apply")
    expect(code == 2 and "--yes" in err, "without a terminal and --yes: %d %s", code, err)
    said = w.a.ask("prepare", "east", "--apply", "--yes")
    expect(said["ok"] and said["apply"], "%s", said)
    with open(w.a.dir + "/prepared") as f:
        expect(f.read() == "port0\n", "it was not done")
    said = w.a.ask("prepare", "east")
    expect(said["lines"] == [] and "nothing is needed" in said["text"], "%s", said)


def tended(w):
    """A device with nothing to do is tended, without anybody having asked for it."""
    w.b.wait_log("ev=tended device=west")


def many(w):
    """1,000 links of one device come, and go, and the one that works is not disturbed."""
    say(w.a, w.a.me, *["m%d SAE_A SAE_M%d m%d" % (i, i % 7, i) for i in range(1000)])
    w.a.ask("reload")
    rig.wait_for(lambda: w.a.status()["daemon"]["links"] == 1001, "1,001 links", rig=w.rig)
    rotations = w.a.end(NAME)["rotations"]
    w.a.wait_end(NAME, lambda e: e["rotations"] > rotations, "a rotation beside 1,000 others")
    said = w.a.ask("prepare", "east")
    expect(len(said["lines"]) == 1001 and len(set(said["lines"])) == 1001, "%d lines", len(said["lines"]))
    say(w.a, w.a.me)
    w.a.ask("reload")
    wait_links(w.a, NAME)


def wrong_files(w):
    conf = dict(w.a.conf)
    for links, reason in ((dict(conf["links"], name="x"), "does not go with"),
                          (dict(conf["links"], channel="local"), "local has both ends here, and discover finds one"),
                          (dict(conf["links"], discover="nobody"), "nobody"),
                          (dict(conf["links"], intervall="1s"), "did you mean"),
                          ([conf["links"], conf["links"]], "already"),
                          ([{"name": "x", "discover-every": "1m"}], "only used with")):
        path = rig.write(w.a.dir + "/wrong.yaml", json.dumps(dict(conf, links=links)))
        done = subprocess.run([rig.REKEYD, "--check", path, "--plugin-dir", w.rig.plugin_dir, "--host", rig.HOST],
                              capture_output=True, text=True, timeout=rig.PATIENCE_S)
        expect(done.returncode == 1 and reason in done.stderr, "%s: %s", links, done.stderr)


def first_key(w):
    """A link that waits for its first key says since when, for what, and what helps."""
    waits = "SAE_A-port7_SAE_C-port1"
    say(w.a, w.a.me, "port7 SAE_A SAE_C port1")
    w.a.ask("reload")
    wait_links(w.a, NAME, waits)
    first = w.a.wait_end(waits, lambda e: e["first_key"], "it waits for its first key")["first_key"]
    expect(first["since_ms"] >= 0 and "peer" in first["waits_for"] and first["do"], "%s", first)
    expect(w.a.end(NAME)["first_key"] is None, "%s", w.a.end(NAME)["first_key"])
    code, out, _ = text(w.a, "status", waits)
    expect(code == 0 and re.search(r"first key +waited for since", out), "%s", out)
    code, out, _ = text(w.a, "explain", waits)
    expect(code == 0 and "waits for its first key since" in " ".join(out.split()), "%s", out)
    say(w.a, w.a.me)
    w.a.ask("reload")
    wait_links(w.a, NAME)


def by_hand(w):
    """A list with both: what is written down comes first."""
    w.a.conf["links"] = [{"name": "mine", "device": "east", "interface": "port5", "peer-sae": "SAE_Q", "source": "keys",
                          "channel": "box"}, dict(w.a.conf["links"])]
    w.a.save()
    say(w.a, w.a.me, "port5 SAE_A SAE_Q port5")
    w.a.ask("reload")
    rig.wait_for(lambda: seen_of(w.a, "east")["found"] == 2, "two are found", rig=w.rig)
    wait_links(w.a, NAME, "mine")
    rig.wait_for(lambda: "has this interface" in seen_of(w.a, "east")["unused"][0]["why"], "why it is not used",
                 rig=w.rig)


def both_here(w):
    """A link with both ends here is written down: discover tells of it at either device, and finds no second one."""
    here = "SAE_A-port1_SAE_L-port2"
    for device, line in (("left", "port1 SAE_A SAE_L port2"), ("right", "port2 SAE_L SAE_A port1")):
        w.a.device(device, **{"discover-file": "%s/%s.found" % (w.a.dir, device)})
        rig.write("%s/%s.found" % (w.a.dir, device), line + "\n")
    # two looks are not one link: neither says which device of the file its neighbour is
    groups = [dict(w.a.conf["links"][-1], discover=device) for device in ("left", "right")]
    w.a.conf["links"] += groups
    w.a.save()
    w.a.ask("reload")
    rig.wait_for(lambda: here in links_of(w.a) and seen_of(w.a, "right")["unused"], "one look is used", rig=w.rig)
    why = seen_of(w.a, "right")["unused"][0]["why"]
    expect("device left found it too: write a link with both ends here down" in why, "%s", why)
    w.a.conf["links"][-2:] = [{"name": "both", "device": "left", "interface": "port1", "channel": "local",
                               "source": "keys", "peer-device": "right", "peer-interface": "port2"}]
    w.a.save()
    w.a.ask("reload")
    w.a.wait_end("both", lambda e: e["rotations"] >= 1, "a rotation")
    for device in ("left", "right"):
        code, out, err = text(w.a, "discover", device)
        expect(code == 0 and "is there already, as link both" in out and "links: []" in out, "%d %s %s", code, out, err)


def main():
    w = rig.World(set_up)
    cases = (("links that are found rotate", live), ("a look that fails, a restart", survives),
             ("links come and go", comes_and_goes), ("links that cannot be used", unusable),
             ("rekeyctl discover", printed), ("hostile names", hostile), ("rekeyctl prepare", prepare),
             ("a link without a key", first_key), ("1,000 links", many),
             ("an idle device is tended", tended), ("files that are wrong", wrong_files),
             ("beside links that are written down", by_hand), ("both ends of a link are here", both_here))
    result = rig.run_cases([(name, w.case(f)) for name, f in cases] + [("all ends well", w.last_case())])
    w.close()
    return result


sys.exit(main())
