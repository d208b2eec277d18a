# shim_set.py - rekeyctl shim install and remove: a device of plugin junos-event says what its router needs, and another
# device, of plugin junos-netconf, what the router lacks, on junos-sim; statements are removed there for real.
#
# junos-sim takes no files, as an old release would: the commit must not come then.
import hashlib
import json
import re
import socket
import subprocess
import sys

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

SCRIPT = rig.SOURCE + "/contrib/junos/rekey-shim.py"
URL = ("--url", "https://rekeyd.example:8471", "--script", SCRIPT)


def set_up(w):
    w.rig = rig.Rig(plugins=junos_rig.PLUGINS + ("junos-event",))
    rig.need_file(rig.PLUGINS + "/junos-event.so")
    rig.need("openssl")
    w.lab = junos_rig.Lab(w.rig)
    w.router = w.lab.router("r1")
    w.router.port()
    w.router.lines += ["set event-options generate-event mine time-interval 60"]
    w.lab.start()
    w.a = w.rig.site("A", "SAE_A")
    w.router.device(w.a)
    pki = rig.KmePair(w.rig).dir + "/pki/"
    w.key = pki + "SAE_A.key"
    w.a.conf["devices"]["out"] = {"plugin": "junos-event", "listen": "127.0.0.1:%d" % free_port(), "cert": pki + "SAE_A.crt",
                                  "key": "file:" + w.key, "ca": pki + "ca.crt", "router": "R1", "tick": "90s"}
    w.a.save()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def shim(w, *words):
    done = subprocess.run([rig.CTL, "shim", *words, "--json", "--config", w.a.config, "--rekeyd", rig.REKEYD, "--host",
                           rig.HOST, "--plugin-dir", w.rig.plugin_dir], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=2 * rig.PATIENCE_S)
    expect(done.stdout, "nothing was said: %s", done.stderr)
    said = json.loads(done.stdout)
    expect((done.returncode == 0) == said["ok"], "%s", said)
    return said


def configuration(w):
    said = w.lab.netconf("r1", '<get-configuration database="committed"/>')
    return re.search(r"<system>.*</configuration>", said, re.S)[0]


def of_the_device(w):
    """what the router needs, by the device's own options; it cannot be reached from here"""
    said = shim(w, "install", *URL, "--user", "shim", "out")
    with open(SCRIPT, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    for line in ("set event-options generate-event rekey-shim time-interval 90",
                 "set event-options event-script file rekey-shim.py checksum sha-256 " + digest):
        expect(line in said["lines"], "%s is not in %s", line, said)
    expect(any("must name it R1" in line for line in said["lines"]), "%s", said)
    expect("--through" in shim(w, "install", *URL, "--user", "shim", "--apply", "--yes", "out")["text"], "no remedy")
    expect("--user" in shim(w, "install", *URL, "out")["text"], "it knows a user")


def through_another(w):
    """what lacks on the router; a file that does not come there keeps all from being committed, and no key is shown"""
    words = ("install", *URL, "--through", "r1", "--key", w.key)
    said = shim(w, *words, "out")
    expect(said["ok"] and "set event-options generate-event rekey-shim time-interval 90" in said["lines"], "%s", said)
    expect(any(line.startswith("# scp %s rekeyd@" % w.key) for line in said["lines"]), "%s", said)
    before = configuration(w)
    said = shim(w, *words, "--apply", "--yes", "out")
    expect(not said["ok"] and "file-put" in said["text"], "%s", said)
    expect(configuration(w) == before, "something was committed")
    with open(w.key) as f:
        secret = max(f.read().split("\n"), key=len)
    expect(secret not in json.dumps(said) + w.lab.log(), "the key is shown")


def removes(w):
    """statements that are there, as they were printed, are accepted by the router and go again; an operator's stay"""
    lines = [line for line in shim(w, "install", *URL, "--user", "shim", "out")["lines"] if line.startswith("set ")]
    load = "".join(re.sub(r"(arguments \S+) ", r"\1 value ", line) + "\n" for line in lines)  # the form of junos-sim
    said = w.lab.netconf("r1", '<load-configuration action="set" format="text"><configuration-set>%s'
                         "</configuration-set></load-configuration>" % load, "<commit-configuration/>")
    expect("<commit-success/>" in said and "rpc-error" not in said, "%s", said)
    expect("rekey-shim" in configuration(w), "it is not there")
    said = shim(w, "remove", "--through", "r1", "--apply", "--yes", "out")
    expect(said["ok"] and "delete event-options policy rekey-shim" in said["lines"], "%s", said)
    now = configuration(w)
    expect("rekey-shim" not in now and "<name>mine</name>" in re.sub(r"\s", "", now), "%s", now)


def main():
    rig.need("ssh-keygen")
    w = rig.World(set_up)
    cases = [(f.__doc__, w.case(f)) for f in (of_the_device, through_another, removes)]
    try:
        return rig.run_cases(cases + [("all ends well", w.last_case())])
    finally:
        w.close()


sys.exit(main())
