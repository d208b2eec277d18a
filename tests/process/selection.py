# selection.py - of the plugins that are installed only those run that the configuration names, from a folder that
# nobody else can write to; and an experimental one only where that is allowed.
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402


def local_site(r):
    site = r.site("A", "SAE_A")
    site.conf["sources"]["keys"] = {"plugin": "static", "secret": site.secret("static.key")}
    for name in ("east", "west"):
        site.device(name)
    site.link("link-1", device="east", interface="p0", source="keys", channel="local", **{"peer-device": "west",
              "peer-interface": "p0"})
    site.save()
    return site


def modules_of(site):
    """The modules that a daemon's children have been started for."""
    found = []
    for pid in rig.children(site.process.pid):
        with open("/proc/%d/cmdline" % pid) as f:
            argv = f.read().split("\0")
        if "--module" in argv:
            found.append(os.path.basename(argv[argv.index("--module") + 1]))
    return sorted(found)


def own_folder(r):
    """A folder with all modules of the build; the modules are copies, so that they can be spoilt."""
    r.plugin_dir = r.dir + "/plugins"
    os.mkdir(r.plugin_dir, 0o755)
    for name in os.listdir(rig.PLUGINS):
        path = shutil.copy(rig.PLUGINS + "/" + name, r.plugin_dir + "/" + name)
        os.chmod(path, 0o755)


def only_named():
    with rig.Rig(plugins=("sim", "static", "spool")) as r:
        site = local_site(r)
        site.start()
        site.wait_rotations("link-1", 1)
        expect(modules_of(site) == ["sim.so", "static.so"], "running: %s", modules_of(site))
        site.conf["channels"]["files"] = {"plugin": "spool", "dir": site.out, "peer-dir": site.out,
                                          "auth-key": site.secret("channel.key")}
        site.save()
        site.ask("reload")
        expect(modules_of(site) == ["sim.so", "spool.so", "static.so"], "running: %s", modules_of(site))
        site.conf["channels"].clear()
        site.save()
        site.ask("reload")
        rig.wait_for(lambda: modules_of(site) == ["sim.so", "static.so"], lambda: "two again: %s" % modules_of(site),
                     rig=r)
        site.stop()


def foreign_folder():
    with rig.Rig(plugins=("sim", "static")) as r:
        own_folder(r)
        site = local_site(r)
        for mode in (0o775, 0o757, 0o1777):
            os.chmod(r.plugin_dir, mode)
            status, said = site.run()
            why = "cannot be used: %s/static.so: its folder %s is writable by group or others; chmod go-w it\n" % (
                r.plugin_dir, r.plugin_dir)
            expect(status == 1 and why in said, "%o: exit %d: %s", mode, status, said)
            expect(not os.path.exists(site.state_dir), "something was made")
        os.chmod(r.plugin_dir, 0o755)
        site.start()
        site.wait_rotations("link-1", 1)
        site.stop()


def experimental():
    with rig.Rig(plugins=("sim", "static")) as r:
        own_folder(r)
        cc = os.environ.get("CC", "cc").split()
        rig.need(cc[0])
        done = subprocess.run([*cc, "-shared", "-fPIC", "-I" + rig.SOURCE + "/include", "-DTRIAL", "-DMODULE=trial",
                               '-DNAME="trial"', "-o", r.plugin_dir + "/trial.so",
                               rig.SOURCE + "/tests/unit/plugins/bad.c"], capture_output=True, text=True)
        expect(done.returncode == 0, "%s", done.stderr)
        os.chmod(r.plugin_dir + "/trial.so", 0o755)
        site = local_site(r)
        site.start()
        site.conf["sources"]["new"] = {"plugin": "trial"}
        for word in (None, "no"):
            if word:
                site.conf["allow-experimental"] = word
            site.save()
            status, said = site.run("--check")
            why = ('plugin "trial" says of itself that it is experimental: take another one, or say '
                   '"allow-experimental: yes"')
            expect(status == 1 and '"new": ' + why in said, "exit %d: %s", status, said)
            code, said, err = site.ctl("reload")
            expect(code != 0 and why in err + str(said), "reload: exit %d: %s %s", code, said, err)
            expect("trial.so" not in modules_of(site), "it runs: %s", modules_of(site))
        site.conf["allow-experimental"] = "yes"
        site.save()
        done = subprocess.run(site.argv("--check"), capture_output=True, text=True, timeout=rig.PATIENCE_S)
        expect(done.returncode == 0 and 'warning: "new": plugin "trial" is experimental, and allowed' in done.stdout,
               "exit %d: %s%s", done.returncode, done.stdout, done.stderr)
        site.ask("reload")
        expect("experimental" in site.plugin("trial")["caps"], "%s", site.plugin("trial"))
        site.stop()


sys.exit(rig.run_cases([("only what is named is started", only_named),
                        ("a plugin folder that others may write to", foreign_folder),
                        ("an experimental plugin, refused and allowed", experimental)]))
