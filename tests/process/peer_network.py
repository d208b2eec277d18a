# peer_network.py - the channel "peer" between two rekeyd: rotations, rekeyctl peer test, restarts, a network that is
# cut or loses what it carries.
import json
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import peer_sites  # noqa: E402
import rig  # noqa: E402
from peer_sites import LINK  # noqa: E402
from rig import expect  # noqa: E402

LONG = os.environ.get("REKEY_LONG") == "1"
HEALS_S = 5


def set_up(w):
    peer_sites.pair(w, proxied=True, links=4, **{"connect-timeout": "1s", "request-timeout": "1s"})
    for site in (w.a, w.b):
        site.start()


def rotates(w):
    peer_sites.rotations(w, 2)
    for site in (w.a, w.b):
        expect("ev=record-refused" not in site.log(), "%s refused a record", site.name)


def alone(site, name):
    argv = [rig.CTL, "peer", "test", name, "--json", "--config", site.config, "--rekeyd", rig.REKEYD, "--host",
            rig.HOST, "--plugin-dir", site.rig.plugin_dir]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=rig.PATIENCE_S)
    expect(done.stdout, "peer test says nothing: %s", done.stderr)
    return done.returncode, json.loads(done.stdout)


def steps(said):
    return [(s["step"], s["result"]) for s in said["steps"]]


def peer_test(w):
    names = ["plugin", "certificate", "own-sae-id", "ca", "listen", "peer", "tcp", "peer-certificate", "sae-id", "tls",
             "exchange"]
    code, said, _ = w.a.ctl("peer", "test", "line")
    expect(code == 0 and said["ok"] and said["channel"] == "line", "exit %d: %s", code, said)
    expect([n for n, _ in steps(said)] == names, "steps: %s", steps(said))
    code, other = alone(w.a, "line")
    expect(code == 0 and [n for n, _ in steps(other)] == names, "alone: %s", other)
    expect(dict(steps(other))["listen"] == "warning", "the running one has the port: %s", other)
    code, said, _ = w.a.ctl("peer", "test", "lime")
    expect(code == 1 and "did you mean \"line\"" in said["text"], "%s", said)


def peer_test_fails(w):
    """What is wrong is the step that fails."""
    site, good = w.a, dict(w.a.conf["channels"]["line"])
    path = site.config
    cert, key = w.pki.make("other", cn="SAE_X")
    cases = [
        ({"peers": ["SAE_B https://127.0.0.1:%d" % peer_sites.free_port()]}, "tcp", "unreachable", "refused"),
        ({"peers": ["SAE_B https://%s.invalid:1" % ("a" * 60)]}, "dns", "unreachable", "has no address"),
        ({"peers": ["SAE_Q https://127.0.0.1:%d" % w.b.port]}, "sae-id", "auth", "it names SAE_B"),
        ({"cert": cert, "key": "file:" + key}, "own-sae-id", "config", "does not name SAE_A"),
    ]
    site.config = site.dir + "/test.yaml"
    try:
        for change, step, result, text in cases:
            site.conf["channels"]["line"] = dict(good, **change)
            for link in site.conf["links"]:
                link["peer-sae"] = "SAE_B"
            site.save()
            code, said = alone(site, "line")
            found = [s for s in said["steps"] if s["step"] == step]
            expect(code == 1 and not said["ok"], "%s: exit %d: %s", step, code, said)
            expect(found and found[0]["result"] == result and text in found[0]["text"], "%s: %s", step, said)
    finally:
        site.config = path
        site.conf["channels"]["line"] = good


def restarts(w):
    """Either end forgets all with its process: the other one tells it again."""
    for site in (w.a, w.b):
        site.stop()
        site.start()
        peer_sites.rotations(w, 1)


def cut(w):
    """Nothing is passed on for three request timeouts and more: from then on each end is in its pause between tries,
    which is as long after ten minutes as after ten seconds.  Rotations go on within seconds of the end.
    REKEY_LONG=1: it is cut for ten minutes."""
    for proxy in (w.to_a, w.to_b):
        proxy.forwards = False
    for site in (w.a, w.b):
        site.wait_log("ev=peer peer=SAE_. .*res=away")
    w.a.wait_alarm(LINK, "NO-PEER")
    if LONG:
        time.sleep(600)
    before = {site: len(site.log()) for site in (w.a, w.b)}
    begun = time.monotonic()
    for proxy in (w.to_a, w.to_b):
        proxy.forwards = True
    for site in (w.a, w.b):
        site.wait_log("ev=peer peer=SAE_. .*res=ok", after=before[site], timeout=HEALS_S)
    took = time.monotonic() - begun
    print("# healed in %.2f s" % took)
    expect(took <= HEALS_S, "it took %.1f s", took)
    peer_sites.rotations(w, 2)
    w.a.wait_alarm(LINK, "NO-PEER", on=False)


def lossy(w):
    """Data is late, half of the connections end within their handshake or first requests, in the middle of a record or
    before its answer, and each other one soon after, in both directions."""
    for proxy in (w.to_a, w.to_b):
        proxy.delay_s, proxy.cut = 0.02, 0.5
    for site in (w.a, w.b):
        site.stop()  # for new connections
        site.start()
    peer_sites.rotations(w, 3)
    rig.wait_for(lambda: w.to_a.cuts >= 3 and w.to_b.cuts >= 3, "connections are cut", rig=w.rig)
    for proxy in (w.to_a, w.to_b):
        proxy.delay_s = proxy.cut = 0
    peer_sites.rotations(w, 1)
    for site in (w.a, w.b):
        expect(not re.search("ev=record-refused .*tag", site.log()), "%s: half a record was taken for one", site.name)


def main():
    w = rig.World(set_up)
    cases = [("rotations with records over HTTPS", rotates), ("rekeyctl peer test", peer_test),
             ("rekeyctl peer test says what is wrong", peer_test_fails), ("restarts of either end", restarts),
             ("a cut of the network heals", cut), ("a network that drops, delays and truncates", lossy)]
    try:
        return rig.run_cases([(name, w.case(function)) for name, function in cases])
    finally:
        w.close()


sys.exit(main())
