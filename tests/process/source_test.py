# source_test.py - rekeyctl source test, against real KMEs over TLS: what is wrong is the step that fails, and says so
# well enough to mend it; no key is taken but with --fetch; with a running rekeyd and without one.
import json
import os
import re
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

POOL = 40  # keys of each KME, and none are added


def set_up(w):
    w.rig = rig.Rig(plugins=("sim", "spool", "static", "file", "etsi014"))
    w.kmes = rig.KmePair(w.rig)
    for kme in (w.kmes.a, w.kmes.b):
        kme.conf["pool"] = {"keys": POOL, "refill": 0}
    w.kmes.start()
    w.kmes.make_certs("strange")
    w.a = w.rig.site("A", "SAE_A")
    w.a.device("east")
    w.kmes.source(w.a, **{"kme-id": "kme-a"})
    good = w.a.conf["sources"]["keys"]
    strange = w.kmes.dir + "/strange/"
    w.late_cert = w.a.dir + "/late.crt"
    w.a.conf["sources"].update({
        "other-id": dict(good, **{"kme-id": "kme-b"}),
        "other-ca": dict(good, ca=strange + "ca.crt"),
        "other-cert": dict(good, cert=strange + "SAE_A.crt", key="file:" + strange + "SAE_A.key"),
        "other-sae": dict(good, cert=w.kmes.dir + "/pki/SAE_B.crt", key="file:" + w.kmes.dir + "/pki/SAE_B.key"),
        "other-name": dict(good, url="https://%s.invalid:1" % ("a" * 64)),
        "no-cert": dict(good, cert=w.late_cert),
        "shared": {"plugin": "static", "secret": w.a.secret("static.key")},
    })
    os.mkdir(w.a.dir + "/in", 0o700)
    w.a.conf["channels"]["box"] = {"plugin": "spool", "dir": w.a.out, "peer-dir": w.a.dir + "/in",
                                   "auth-key": w.a.secret("auth.key")}
    # their peer never answers, so that nothing takes keys beside the test: this end is the slave
    for name, bits in (("link-1", 256), ("link-2", 512)):
        w.a.link(name, device="east", interface=name, source="keys", channel="box", role="slave",
                 **{"peer-sae": "SAE_B", "key-bits": bits})
    w.a.start()


def alone(site, name, *more):
    """With a rekeyd of its own: (exit code, JSON)."""
    argv = [rig.CTL, "source", "test", name, "--json", "--config", site.config, "--rekeyd", rig.REKEYD,
            "--host", rig.HOST, "--plugin-dir", site.rig.plugin_dir, *more]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=rig.PATIENCE_S)
    return done.returncode, json.loads(done.stdout)


def test(w, name, *more):
    """Of the running daemon, and alone: both must say the same; (exit code, JSON)."""
    code, said, err = w.a.ctl("source", "test", name, *more)
    expect(said and not err, "%s: exit %d: %s", name, code, err)
    if "--fetch" not in more:
        other_code, other = alone(w.a, name, *more)
        names = [[(s["step"], s["peer"], s["result"]) for s in x["steps"]] for x in (said, other)]
        expect(code == other_code and names[0] == names[1], "%s: the daemon says %s, alone it is %s", name, *names)
    return code, said


def step(said, name, peer=None):
    found = [s for s in said["steps"] if s["step"] == name and s["peer"] == peer]
    expect(len(found) == 1, "%d steps %s: %s", len(found), name, said)
    return found[0]


def expect_last(w, source, name, result, *texts, more=(), peer=None):
    """The last step is this one, failed, and says these."""
    code, said = test(w, source, *more)
    last = said["steps"][-1]
    expect(code == 1 and not said["ok"], "%s: exit %d: %s", source, code, said)
    expect((last["step"], last["result"], last["peer"]) == (name, result, peer), "%s: the last step: %s", source, last)
    for text in texts:
        expect(re.search(text, last["text"]), "%s: %s is not in: %s", source, text, last["text"])
    expect(said["text"].startswith("%s: 1 of %d steps failed, the first is %s" % (source, len(said["steps"]), name)),
           "%s", said["text"])


def stored(said):
    return int(re.search(r"(\d+) of %d keys stored" % POOL, step(said, "status", "SAE_B")["text"]).group(1))


def all_well(w):
    history = w.a.ask("history", "link-1")
    code, said = test(w, "keys")
    expect(code == 0 and said["ok"] and said["text"].startswith("keys: all is well"), "exit %d: %s", code, said)
    names = [s["step"] for s in said["steps"]]
    expect(names == ["plugin", "certificate", "ca", "tcp", "kme-certificate", "kme-id", "tls", "status", "sae",
                     "key-size"], "%s", names)
    expect("KME kme-a to kme-b" in step(said, "status", "SAE_B")["text"], "%s", said)
    expect("knows us as SAE_A, and SAE_B as the peer" in step(said, "sae", "SAE_B")["text"], "%s", said)
    expect("keys of 256 to 512 bits, the KME gives 64 to 4096" in step(said, "key-size", "SAE_B")["text"], "%s", said)
    # nothing was taken, nothing was written
    _, again = test(w, "keys")
    expect(stored(said) == stored(again) == POOL, "%d and then %d keys", stored(said), stored(again))
    expect(w.a.ask("history", "link-1") == history, "the history has changed")


def fetch(w):
    _, before = test(w, "keys")
    code, said = test(w, "keys", "--fetch")
    text = step(said, "fetch", "SAE_B")["text"]
    expect(code == 0 and re.match(r"key [0-9a-f-]{36} of 512 bits was taken and dropped: it is wasted", text), "%s",
           said)
    _, after = test(w, "keys")
    cost = stored(before) - stored(after)  # a long key is made of several
    expect(cost > 0, "%d keys, then %d", stored(before), stored(after))
    w.a.wait_log("ev=key-dropped inst=keys peer=SAE_B key_id=%s " % text.split()[1])
    code, said = alone(w.a, "keys", "--fetch")
    expect(code == 0 and step(said, "fetch", "SAE_B")["result"] == "ok", "%s", said)
    _, after = test(w, "keys")
    expect(stored(after) == stored(before) - 2 * cost, "%d keys, then %d", stored(before), stored(after))


def wrong_ways(w):
    """Each stops where it is wrong."""
    expect_last(w, "other-name", "dns", "unreachable", "has no address", "is the name in url right")
    expect_last(w, "other-ca", "kme-certificate", "auth", "CN=ca by CN=ca", "strange/ca.crt")
    expect_last(w, "other-id", "kme-id", "auth", 'the KME "kme-b"', "names kme-a, localhost")
    expect_last(w, "other-cert", "tls", "auth", "client certificate", "strange/SAE_A.crt")
    peer = ("--peer", "SAE_B")
    expect_last(w, "other-sae", "status", "auth", "401|403", more=peer, peer="SAE_B")
    expect_last(w, "keys", "status", "rejected", "SAE_X", more=("--peer", "SAE_X"), peer="SAE_X")


def faults(w):
    """Of the KME itself, as HTTP shows them."""
    for fault, result, text in (("html", "protocol|busy", "HTML"), ("unauthorized", "auth", "HTTP 401"),
                                ("refuse", "busy", "HTTP 503"),
                                ("drop", "unreachable", "no whole answer came")):
        w.kmes.a.fault(fault)
        code, said, _ = w.a.ctl("source", "test", "keys")
        last = said["steps"][-1]
        expect(code == 1 and last["step"] == "status" and re.fullmatch(result, last["result"]), "%s: %s", fault, last)
        expect(text in last["text"], "%s: %s", fault, last)
    w.kmes.a.fault("none")
    expect(test(w, "keys")[0] == 0, "it does not recover")


def no_peer(w):
    code, said = test(w, "shared")
    expect(code == 0 and [s["step"] for s in said["steps"]] == ["plugin", "peer"], "%s", said)
    expect(step(said, "peer")["result"] == "skipped" and "--peer SAE" in step(said, "peer")["text"], "%s", said)
    code, said = test(w, "shared", "--peer", "SAE_B")  # a plugin without steps of its own
    expect(code == 0 and step(said, "status", "SAE_B")["result"] == "ok", "%s", said)


def mended(w):
    """A source that could not be made is tried at once, not when its pause is over."""
    expect_last(w, "no-cert", "options", "not-there", "late.crt: No such file", "must be able to read it",
                more=("--peer", "SAE_B"))
    rig.write(w.late_cert, open(w.kmes.dir + "/pki/SAE_A.crt").read())
    code, said = test(w, "no-cert", "--peer", "SAE_B")
    expect(code == 0 and said["ok"], "%s", said)


def unknown(w):
    for peer in ("a/b", "a b", "\u00e4", "%s" % ("x" * 64 + "/")):
        code, said, err = w.a.ctl("source", "test", "keys", "--peer", peer)
        expect(code in (1, 2) and "SAE ID" in (said["text"] if said else err), "%s: exit %d: %s %s", peer, code, said,
               err)
    code, said, _ = w.a.ctl("source", "test", "kyes")
    expect(code == 1 and not said["steps"] and 'did you mean "keys"?' in said["text"], "%s", said)
    new = dict(w.a.conf["sources"]["keys"])
    w.a.conf["sources"]["brand-new"] = new
    w.a.save()
    code, said, _ = w.a.ctl("source", "test", "brand-new")
    expect(code == 1 and "rekeyctl reload" in said["text"] and "--config FILE" in said["text"], "%s", said)
    code, said = alone(w.a, "brand-new", "--peer", "SAE_B")
    expect(code == 0 and said["ok"], "%s", said)
    w.a.conf["sources"]["brand-new"] = dict(new, urll="x")
    w.a.save()
    code, said = alone(w.a, "brand-new")
    expect(code == 1 and [s["step"] for s in said["steps"]] == ["configuration"], "%s", said)
    expect(re.search(r"rekeyd\.yaml:\d+:\d+: .*urll", said["steps"][0]["text"]), "%s", said)
    del w.a.conf["sources"]["brand-new"]
    w.a.save()


def begin_test(w, source):
    """A rekeyctl that has come to ask a slow KME for its status."""
    run = subprocess.Popen([rig.CTL, "source", "test", source, "--peer", "SAE_B", "--socket", w.a.control],
                           stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    line = "-"
    while line and line.split()[:1] != ["tls"]:  # steps come as they are done
        line = run.stdout.readline()
    expect(line, "it ended before it came to the KME")
    rig.wait_for(lambda: w.a.plugin("etsi014")["in_flight"] == 1, "the test is under way", rig=w.rig)
    return run


def hangs(w):
    """A KME that does not answer costs the time that was given; a rekeyctl that goes costs nothing."""
    w.kmes.a.fault("slow:20s")
    code, said, _ = w.a.ctl("source", "test", "keys", "--timeout", "1s")
    last = said["steps"][-1]
    expect(code == 1 and (last["step"], last["result"]) == ("status", "timeout"), "%s", said)
    gone = begin_test(w, "keys")
    gone.send_signal(signal.SIGKILL)
    gone.wait()
    gone.stdout.close()
    rig.wait_for(lambda: w.a.plugin("etsi014")["in_flight"] == 0, "the test is given up", timeout=10, rig=w.rig)
    w.kmes.a.fault("none")
    expect(w.a.plugin("etsi014")["restarts"] == 0, "the host was replaced: %s", w.a.plugin("etsi014"))


def reloaded_away(w):
    """A reload takes the source away while it is tested."""
    w.kmes.a.fault("slow:20s")
    run = begin_test(w, "other-sae")
    del w.a.conf["sources"]["other-sae"]
    w.a.save()
    w.a.ask("reload")
    out, _ = run.communicate(timeout=rig.PATIENCE_S)
    expect(run.returncode == 1 and re.search(r"^status +(canceled|timeout) ", out, re.M), "%s", out)
    w.kmes.a.fault("none")
    expect(test(w, "keys")[0] == 0, "keys does not work any more")


def kme_down(w):
    w.kmes.a.fault("none")
    w.kmes.a.kill()
    expect_last(w, "keys", "tcp", "unreachable", "refused: nothing listens there")
    w.kmes.a.start()
    expect(test(w, "keys")[0] == 0, "it does not recover")


def main():
    w = rig.World(set_up)
    cases = (("all is well, and no key is taken", all_well), ("--fetch takes one", fetch),
             ("each wrong way", wrong_ways), ("faults of the KME", faults), ("without a link", no_peer),
             ("a file that was missing", mended), ("a source that rekeyd does not know", unknown),
             ("a KME that hangs", hangs), ("a source that goes", reloaded_away), ("a KME that is down", kme_down))
    result = rig.run_cases([(name, w.case(f)) for name, f in cases] + [("all ends well", w.last_case())])
    w.close()
    return result


sys.exit(main())
