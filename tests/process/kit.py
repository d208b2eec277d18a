# kit.py - what a vendor has: the installed package, folders outside of this tree, make.  Each template builds, keeps
# the contract, and is run by rekeyd; so does the switch of doc/writing-plugins.md, over a real sshd.
#
# One make install, of what is built already, into a folder that is removed at the end; nothing of the build folder is
# used then.
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

KINDS = {"device": "acme", "source": "derive", "channel": "box"}
TOLD_S = 120  # a build that hangs; how long it took is told, not judged
LINES = 120


def run(argv, cwd=None, env=None, timeout=TOLD_S):
    done = subprocess.run(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout)
    return done.returncode, done.stdout + done.stderr


class Installed:
    """rekeyd as a package would put it there, under a prefix of its own."""

    def __init__(self, folder):
        rig.need("make")
        rig.need("pkg-config")
        self.env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        # not "install", which begins with "all": other tests run what that would touch
        code, said = run(["make", "-s", "-C", rig.BUILD, "install-exec", "install-data", "DESTDIR=" + folder],
                         env=self.env, timeout=300)
        expect(code == 0, "make install: %s", said[-2000:])
        found = [where for where, _, files in os.walk(folder) if "rekey.pc" in files]
        expect(len(found) == 1, "rekey.pc is in %s", found)
        self.env["PKG_CONFIG_PATH"] = found[0]
        was = self.ask("pkg-config", "--variable=prefix", "rekey")
        self.prefix = folder + was
        self.pkg_config = "pkg-config --define-variable=prefix=" + self.prefix
        self.plugin_dir = self.ask(*self.pkg_config.split(), "--variable=plugindir", "rekey")
        expect(self.plugin_dir.startswith(self.prefix) and os.path.isdir(self.plugin_dir), "plugindir: %s",
               self.plugin_dir)
        self.check = "%s --host %s --probe %s" % (self.file("rekey-plugin-check"), self.file("rekey-host"),
                                                  self.file("rekey-check-probe.so"))

    def ask(self, *argv):
        code, said = run(list(argv), env=self.env)
        expect(code == 0, "%s: %s", " ".join(argv), said)
        return said.strip()

    def file(self, name):
        for where, _, files in os.walk(self.prefix):
            if name in files:
                return "%s/%s" % (where, name)
        raise rig.Failed("%s is not installed" % name)

    def make_argv(self, *words):
        return ["make", "-s", *words, "CC=" + os.environ.get("CC", "cc"), "PKG_CONFIG=" + self.pkg_config,
                "CHECK=" + self.check, "CFLAGS=-O2 -g -Wall -Wextra -Wshadow -Werror"]

    def make(self, folder, *words):
        return run(self.make_argv(*words), cwd=folder, env=self.env)


def set_up(w):
    w.rig = rig.Rig(plugins=())
    w.installed = Installed(w.rig.dir + "/root")
    w.rig.plugin_dir = w.installed.plugin_dir
    for name, program in (("REKEYD", "rekeyd"), ("HOST", "rekey-host"), ("CTL", "rekeyctl")):
        setattr(rig, name, w.installed.file(program))


def build(w, folder, name):
    """In a folder of its own, from what is installed; then the plugin is installed."""
    code, said = run(["grep", "-rlF", rig.SOURCE, folder])
    expect(code == 1, "it names this tree: %s", said)
    began = time.monotonic()
    code, said = w.installed.make(folder)
    expect(code == 0 and os.path.exists("%s/%s.so" % (folder, name)), "make: %s", said)
    print("# %s is built in %.1f s" % (name, time.monotonic() - began))
    code, said = w.installed.make(folder, "install")
    expect(code == 0 and os.path.exists("%s/%s.so" % (w.installed.plugin_dir, name)), "make install: %s", said)


def keeps_contract(w, folder, name):
    judge(name, *w.installed.make(folder, "check"))


def judge(name, code, said):
    print("".join("# %s\n" % line for line in said.splitlines()), end="")
    expect(code == 0 and " 0 failed" in said and said.startswith(name + " "), "%s: make check: %d", name, code)


def copy(w, name, folder):
    """As a vendor begins: with a copy of what is installed."""
    shutil.copytree(os.path.dirname(w.installed.file(name + ".c")), folder)
    return folder


def template(kind):
    def case(w):
        name, folder = KINDS[kind], "%s/%s" % (w.rig.dir, kind)
        copy(w, name, folder)
        with open("%s/%s.c" % (folder, name)) as f:
            lines = len(f.readlines())
        expect(lines <= LINES, "%s.c has %d lines", name, lines)
        build(w, folder, name)
        keeps_contract(w, folder, name)
    return case


class Switches:
    """The two switches of the device template."""

    def __init__(self, w):
        self.dir = w.rig.dir + "/switches"
        os.mkdir(self.dir, 0o700)
        argv = [sys.executable, w.rig.dir + "/device/switch.py", self.dir]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        expect(self.process.stdout.readline() == "ready\n", "switch.py does not start")

    def close(self):
        self.process.stdin.close()
        self.process.wait(rig.PATIENCE_S)
        self.process.stdout.close()


def sites(w, device, theirs):
    """A pair of sites; device(site, name) is the options of its device.  theirs: source and channel are templates"""
    secret, auth = rig.new_secret(), rig.new_secret()
    a, b = w.rig.site("A%d" % len(w.rig.sites), "SAE_A"), w.rig.site("B%d" % len(w.rig.sites), "SAE_B")
    for site, other, end in ((a, b, "east"), (b, a, "west")):
        site.conf["devices"][end] = device(site, end)
        ways = {"out": site.out, "in": other.out} if theirs else {"dir": site.out, "peer-dir": other.out}
        site.conf["sources"]["keys"] = {"plugin": "derive" if theirs else "static", "secret": site.secret("x", secret)}
        site.conf["channels"]["box"] = dict(ways, **{"plugin": "box" if theirs else "spool",
                                                     "auth-key": site.secret("auth.key", auth)})
        site.link("link-1", device=end, interface="port0", source="keys", channel="box", **{"peer-sae": other.sae})
        site.save()
        site.start()
    return a, b


def rotate(w, a, b, times=3):
    for site in (a, b):
        site.wait_end("link-1", lambda e: e["rotations"] >= times and not e["alarms"], "%d rotations" % times)
    for site in (a, b):
        site.stop()


def run_templates(w):
    """rekeyd rotates a link with a device, a source and a channel that were built outside of this tree"""
    for kind, name in KINDS.items():
        expect(os.path.exists("%s/%s.so" % (w.installed.plugin_dir, name)), "the %s was not built", kind)
    switches = Switches(w)
    try:
        a, b = sites(w, lambda site, end: {"plugin": "acme", "socket": "%s/%s.sock" % (switches.dir, end)}, True)
        rotate(w, a, b)
    finally:
        switches.close()


# ---- doc/writing-plugins.md ----

def blocks(language):
    with open(rig.SOURCE + "/doc/writing-plugins.md") as f:
        found = re.findall(r"^```%s\n(.*?)^```$" % language, f.read(), re.S | re.M)
    expect(found, "the page has no block of %s", language)
    return found


def page_is_true(w):
    """What the page shows is the plugin's code, and what the switch says"""
    folder, code = copy(w, "tarn", w.rig.dir + "/page"), ""
    for name in ("tarn.c", "cli.c", "cli.h"):
        with open("%s/%s" % (folder, name)) as f:
            code += f.read()
    for block in blocks("c"):
        expect(block in code, "it is not in the plugin:\n%s", block)
    for talk in blocks("tarn"):
        typed = re.findall(r"^tarn> (.*)$", talk, re.M)
        done = subprocess.run(["sh", folder + "/tarn-cli"], input="".join(line + "\n" for line in typed), text=True,
                              capture_output=True, timeout=TOLD_S, env=dict(os.environ, TARN_DIR=folder))
        said = re.sub(r"^tarn> .*\n", "tarn> ", talk, flags=re.M)
        expect(done.stdout.partition("\n")[2] == said + "tarn> ", "the switch says:\n%s%s", done.stdout, done.stderr)


class Lab:
    """The switches of the page, each behind a real sshd."""

    def __init__(self, w):
        self.dir = w.rig.dir + "/lab"
        with open(w.rig.dir + "/lab.log", "w+") as log:
            self.process = subprocess.Popen([sys.executable, w.rig.dir + "/tarn/lab.py", self.dir], text=True,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
            said = self.process.stdout.readline().split()
            if not said:
                self.close()
                log.seek(0)
                why = log.read().strip()
                expect(self.process.returncode == 77, "lab.py: %s", why)
                raise rig.Skip(why)
        self.ports = {"east": int(said[1]), "west": int(said[2])}
        self.user = said[3]

    def device(self, site, end):
        return {"plugin": "tarn", "host": "127.0.0.1", "port": self.ports[end], "user": self.user,
                "key": "file:" + self.dir + "/id", "known-hosts": self.dir + "/known_hosts"}

    def close(self):
        self.process.stdin.close()
        self.process.wait(rig.PATIENCE_S)
        self.process.stdout.close()


def walk(w):
    """The plugin of the page builds, keeps the contract, and is run by rekeyd, also when the answer to a commit is
    lost.  Both take their time, so they are done at once."""
    code, said = run(["pkg-config", "--exists", "libssh2"])
    if code:
        raise rig.Skip("libssh2 is not installed")
    folder = copy(w, "tarn", w.rig.dir + "/tarn")
    build(w, folder, "tarn")
    lab = Lab(w)
    checked = subprocess.Popen(w.installed.make_argv("check"), cwd=folder, env=w.installed.env, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        a, b = sites(w, lab.device, False)
        a.wait_rotations("link-1", 1)
        hang_up = lab.dir + "/east/hang-up"
        rig.write(hang_up, "")
        rig.wait_for(lambda: not os.path.exists(hang_up), "a commit without an answer", rig=w.rig)
        a.wait_log("commit: no answer")
        rotate(w, a, b, a.end("link-1")["rotations"] + 3)
        done = [int(seq) for seq in re.findall(r"ev=rotated .* seq=(\d+)", a.log())]
        expect(done == list(range(1, len(done) + 1)), "a rotation was given up: %s", done)
    finally:
        lab.close()
        said = checked.communicate(timeout=TOLD_S)[0]
    judge("tarn", checked.returncode, said)


def with_cmake(w):
    """The example of rekey-plugin(3), built as the page says for CMake"""
    rig.need("cmake")
    folder, env = w.rig.dir + "/cmake", dict(w.installed.env, PKG_CONFIG_SYSROOT_DIR=w.rig.dir + "/root")
    os.mkdir(folder)
    with open(rig.SOURCE + "/doc/man/rekey-plugin.3") as f:
        page = f.read()
    for mark, name in (("cmake", "CMakeLists.txt"), ("example", "derive.c")):
        marked = re.search(r'^\.\\" %s: begin$(.*?)^\.\\" %s: end$' % (mark, mark), page, re.M | re.S).group(1)
        text = "".join(line + "\n" for line in marked.splitlines() if not line.startswith("."))
        rig.write("%s/%s" % (folder, name), text.replace("\\(dq", '"').replace("\\e", "\\").replace("\\&", ""))
    for argv in (["cmake", "-S", folder, "-B", folder + "/build"], ["cmake", "--build", folder + "/build"],
                 w.installed.check.split() + ["--only", "load,schema,documented", folder + "/build/derive.so"]):
        code, said = run(argv, env=env)
        expect(code == 0, "%s: %s", argv[0], said[-2000:])


def main():
    w = rig.World(set_up)
    cases = [(kind, template(kind)) for kind in KINDS]
    cases += [("rekeyd runs them", run_templates), ("CMake", with_cmake),
              ("the page is true", page_is_true), ("the walk-through", walk)]
    try:
        return rig.run_cases([(name, w.case(case)) for name, case in cases])
    finally:
        w.close()


sys.exit(main())
