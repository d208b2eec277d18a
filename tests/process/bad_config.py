# bad_config.py - what is wrong with a configuration, or with what it names, is said with its place and a remedy; and
# nothing is begun that cannot go well.
import json
import glob
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

GOOD = """sae: SAE_A
state-dir: %(dir)s/state
control: %(dir)s/ctl
sources:
  keys: { plugin: static, secret: "file:%(dir)s/static.key" }
devices:
  east: { plugin: sim }
  west: { plugin: sim }
links:
  - name: link-1
    device: east
    interface: port0
    source: keys
    channel: local
    peer-device: west
    peer-interface: port0
    interval: 1s
    drain: 100ms
"""
LINK = GOOD[GOOD.index("  - name"):]

# name, what is replaced, by what, "line:col: message" of all errors
WRONG = [
    ("unknown key", "    drain:", "    drian:",
     ['17:15: drain (2s, the default) must be below interval (1s)', '18:5: unknown key "drian": did you mean "drain"?']),
    ("unknown option of a plugin", "west: { plugin: sim }", "west: { plugin: sim, modefile: /x }",
     ['8:34: plugin sim has no option "modefile": did you mean "mode-file"?']),
    ("wrong unit", "interval: 1s", "interval: 1sec", ['17:15: interval: "1sec": unknown unit (ms, s, m, h, d)']),
    ("no unit", "interval: 1s", "interval: 1", ["17:15: interval: needs a unit: 1s? (ms, s, m, h, d)"]),
    ("two links of one name", LINK, LINK + LINK.replace("port0", "port1"),
     ['19:5: there is a link "link-1" already, in line 10']),
    ("both ends the same interface", "peer-device: west", "peer-device: east",
     ['16:21: both ends of the link are interface "port0" of device "east"']),
    ("a device that is not there", "peer-device: west", "peer-device: wset",
     ['15:18: there is no device "wset": did you mean "west"?']),
    ("no such mode", "west: { plugin: sim }", "west: { plugin: sim, mode: sleepy }",
     ['8:30: mode: ok, slow, hang, spin, crash, garbage, lie, fail or unknown expected, not "sleepy"']),
    ("a secret in the file", '"file:%(dir)s/static.key"', "geheim-geheim",
     ['5:35: secret: a secret is never written here: put it in a file and give "file:/absolute/path"']),
    ("no such plugin", "plugin: static", "plugin: statik",
     ['5:3: plugin "statik" cannot be used: %(plugins)s/statik.so: No such file or directory; is the plugin installed?; '
      'did you mean "static"?']),
]


def site_of(r):
    site = r.site("A", "SAE_A")
    site.secret("static.key")
    return site


def refused(name, old, new, messages):
    """By a start and by --check: the same errors, the same places, and nothing was made."""
    with rig.Rig(plugins=("sim", "static")) as r:
        site = site_of(r)
        text = GOOD.replace(old, new) % {"dir": site.dir}
        want = [m % {"dir": site.dir, "plugins": r.plugin_dir} if "%(" in m else m for m in messages]
        site.save(text)
        status, said = site.run()
        lines = [line for line in said.splitlines() if line.startswith(site.config)]
        expect(status == 1, "exit status %d", status)
        expect(lines == ["%s:%s" % (site.config, m) for m in want], "said %s\nexpected %s", lines, want)
        expect("geheim" not in said, "the secret is shown: %s", said)
        done = subprocess.run(site.argv("--check", "--json"), capture_output=True, text=True, timeout=rig.PATIENCE_S)
        report = json.loads(done.stdout)
        shown = ["%d:%d: %s" % (e["line"], e["col"], e["message"]) for e in report["errors"]]
        expect(done.returncode == 1 and not report["ok"] and shown == want, "--check: %d %s", done.returncode, report)
        expect(not os.path.exists(site.state_dir) and not os.path.exists(site.control), "something was made")


def no_config():
    with rig.Rig() as r:
        site = site_of(r)
        status, said = site.run()
        expect(status == 1 and "%s: No such file or directory" % site.config in said, "exit %d: %s", status, said)


def config_others_may_write():
    with rig.Rig() as r:
        site = site_of(r)
        site.save(GOOD % {"dir": site.dir})
        os.chmod(site.config, 0o666)
        status, said = site.run()
        expect(status == 1 and site.config + ": everyone may write it" in said and "chmod o-w it" in said, "exit %d: %s",
               status, said)


def bad_secret(make, spoil, mend, *says):
    """The daemon runs, says where and what, asks again, and works once it is mended."""
    with rig.Rig() as r:
        site = site_of(r)
        site.save(GOOD % {"dir": site.dir})
        path = site.dir + "/static.key"
        secret = open(path).read()
        if make:
            spoil(path)
        site.start()
        line = site.wait_log(r"err .*ev=init inst=keys .*").group(0)
        for what in ("at=%s:5:3 " % site.config,) + says:
            expect(what in line, "%s is not in: %s", what, line)
        row = site.wait_alarm("link-1", "SOURCE")
        expect(row["key_id"] is None and says[1] in row["last"]["why"], "%s", row)
        expect(any(s in site.plugin("static")["error"] for s in says), "%s", site.plugin("static"))
        mend(path, secret)
        row = site.wait_alarm("link-1", "SOURCE", on=False)
        site.wait_rotations("link-1", 1)
        site.stop()


def no_secret_file():
    bad_secret(True, os.unlink, lambda path, secret: rig.write(path, secret),
               "res=not-there", "static.key: No such file or directory")


def loose_secret_file():
    bad_secret(True, lambda path: os.chmod(path, 0o644), lambda path, secret: os.chmod(path, 0o600),
               "res=unsafe", "static.key: open to group or others; chmod 600 it")


def poor_secret():
    bad_secret(True, lambda path: rig.write(path, "a" * 40), lambda path, secret: rig.write(path, secret),
               "res=unsafe", "static.key: the secret", "chmod 600 FILE")


def other_abi():
    """A plugin that was built for the next major version, and one that is no plugin."""
    with rig.Rig() as r:
        site = site_of(r)
        cc = os.environ.get("CC", "cc").split()
        rig.need(cc[0])
        r.plugin_dir = r.dir + "/plugins"
        os.mkdir(r.plugin_dir)
        for name in os.listdir(rig.PLUGINS):
            os.symlink(rig.PLUGINS + "/" + name, r.plugin_dir + "/" + name)
        source = rig.write(r.dir + "/next.c", """#include <rekey/plugin.h>
__attribute__((visibility("default"))) const struct rk_plugin next_LTX_rk_plugin = {
    .abi = RK_ABI + 0x10000, .size = sizeof(struct rk_plugin), .kind = RK_SOURCE, .name = "next" };
""")
        done = subprocess.run([*cc, "-shared", "-fPIC", "-I" + rig.SOURCE + "/include", "-o", r.plugin_dir + "/next.so", source],
                              capture_output=True, text=True)
        expect(done.returncode == 0, "%s", done.stderr)
        os.chmod(r.plugin_dir + "/next.so", 0o700)
        site.save(GOOD.replace("plugin: static", "plugin: next") % {"dir": site.dir})
        status, said = site.run()
        expect(status == 1 and re.search(r"rekeyd\.yaml:5:3: plugin \"next\" cannot be used: %s/next\.so: built for plugin "
                                         r"ABI 2\.0, this rekeyd has 1\.\d+; build it against the installed headers"
                                         % re.escape(r.plugin_dir), said), "exit %d: %s", status, said)
        rig.write(r.plugin_dir + "/next.so", "no module")
        status, said = site.run()
        expect(status == 1 and "%s:5:3: plugin \"next\" cannot be used: %s/next.so: cannot be loaded: " %
               (site.config, r.plugin_dir) in said, "exit %d: %s", status, said)


def no_host_program():
    with rig.Rig() as r:
        site = site_of(r)
        site.save(GOOD % {"dir": site.dir})
        argv = site.argv()
        argv[argv.index(rig.HOST)] = "/nonexistent/rekey-host"
        done = subprocess.run(argv, capture_output=True, text=True, timeout=rig.PATIENCE_S)
        expect(done.returncode == 1 and "/nonexistent/rekey-host: No such file or directory" in done.stderr, "exit %d: %s",
               done.returncode, done.stderr)


def bad_state_dir():
    with rig.Rig() as r:
        site = site_of(r)
        rig.write(site.dir + "/file", "")
        for path, why in ((site.dir + "/no/such", "No such file or directory"), (site.dir + "/file", "Not a directory"),
                          ("/sys/rekey", "denied|not permitted|Read-only|No such file")):
            site.save(GOOD.replace("%(dir)s/state", path) % {"dir": site.dir})
            status, said = site.run()
            lines = [line for line in said.splitlines() if re.search("ev=start .*%s.*(%s)" % (path, why), line)]
            expect(status == 3 and len(lines) == 1, "%s: exit %d: %s", path, status, said)
            expect("make " in lines[0], "no remedy: %s", lines[0])


def second_daemon():
    with rig.Rig() as r:
        site = site_of(r)
        site.save(GOOD % {"dir": site.dir})
        site.start()
        status, said = site.run()
        expect(status == 3 and "journal.db: in use by another process: is another rekeyd running?" in said, "exit %d: %s",
               status, said)
        other = GOOD.replace("%(dir)s/state", "%(dir)s/state-2") % {"dir": site.dir}
        first, site.config = site.config, site.dir + "/other.yaml"
        site.save(other)
        status, said = site.run()
        site.config = first
        expect(status == 3 and "control: another rekeyd answers on %s" % site.control in said, "exit %d: %s", status, said)
        expect(os.path.exists(site.control), "the second one removed the socket of the first")
        site.wait_rotations("link-1", 1)
        site.stop()


def log_level():
    """What log-level says is for the hosts too: from the start, and after a reload."""
    with rig.Rig() as r:
        site = site_of(r)
        good = GOOD % {"dir": site.dir}
        for first, then in (("debug", None), ("info", "debug"), ("debug", "info")):
            site.save(good + "log-level: %s\n" % first)
            at = len(site.log())
            site.start()
            if then:
                site.save(good + "log-level: %s\n" % then)
                site.ask("reload")
            site.stop()
            told = re.search(r"^\S+ debug +rekey-host\[sim\]: ev=end ", site.log()[at:], re.M)
            expect(bool(told) == ((then or first) == "debug"), "%s, then %s: %s", first, then, site.log()[at:])


def bad_journal():
    with rig.Rig() as r:
        site = site_of(r)
        text = GOOD % {"dir": site.dir}
        for device in ("east", "west"):
            text = text.replace("%s: { plugin: sim }" % device, "%s: { plugin: sim, state-file: %s/%s.state, "
                                "peer-check-dir: %s }" % (device, site.dir, device, r.check))
        site.save(text)
        site.start()
        site.wait_end("link-1", lambda e: e["rotations"] >= 2, "2 rotations")
        site.stop()
        path = site.state_dir + "/journal.db"
        whole = open(path, "rb").read()
        os.chmod(path, 0o666)
        status, said = site.run()
        expect(status == 3 and path + ": others may write it: chmod 600 it" in said, "exit %d: %s", status, said)
        os.chmod(path, 0o600)
        for damaged in (b"\0" * 4096, b"garbage " * 4096, whole[:2048] + os.urandom(len(whole) - 2048)):
            rig.write(path, damaged)
            os.chmod(path, 0o600)
            site.start()
            aside = [open(p, "rb").read() for p in glob.glob(path + ".damaged-*") if not p.endswith("-wal")]
            expect(damaged in aside, "the damaged journal was not set aside")
            site.wait_end("link-1", lambda e: e["rotations"] >= 2, "2 rotations with a new journal")
            site.ask("adopt", "link-1")  # keys that only the lost journal knew take slots until a person says so
            site.wait_alarm("link-1", "FOREIGN", on=False)
            site.stop()
        # the old one is gone for good: what the device holds stays in use until a new key is at both ends
        os.unlink(path)
        r.oracle.check()
        held = r.oracle.sent_with("link-1")
        expect(held["east"] == held["west"] and len(held["east"]) == 1, "%s", held)
        site.start()
        site.wait_end("link-1", lambda e: e["rotations"] >= 6, "6 rotations without the old journal")
        site.stop()


def main():
    cases = [("%s is refused" % name, lambda w=wrong: refused(*w)) for name, *_ in WRONG
             for wrong in WRONG if wrong[0] == name]
    cases += [("no configuration", no_config), ("a configuration that others may write", config_others_may_write),
              ("no secret file, then one", no_secret_file), ("a secret file open to others, then closed", loose_secret_file),
              ("a poor secret, then a good one", poor_secret), ("a plugin of another ABI, and none", other_abi),
              ("no host program", no_host_program), ("a state directory that cannot be", bad_state_dir),
              ("a second daemon", second_daemon), ("log-level is for hosts too", log_level),
              ("a journal open to others, damaged ones, then none", bad_journal)]
    return rig.run_cases(cases)


sys.exit(main())
