# rig.py - a rekeyd of the build tree under load: makes its configuration, runs it, reads what it costs from /proc.
#
# Used by bench.py.  Everything is in one temporary directory, which goes when the rig is closed.  Only processes that
# the rig started are measured and ended.
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time

BUILD = os.environ["top_builddir"]
REKEYD = BUILD + "/core/daemon/rekeyd"
HOST = BUILD + "/core/host/rekey-host"
PORTS = 48  # links on one device, as on a switch


def modules():
    """Path of each plugin of the build, by name."""
    found = {}
    for folder, _, files in os.walk(BUILD + "/plugins"):
        if folder.endswith("/.libs"):
            found.update((f[:-3], folder + "/" + f) for f in files if f.endswith(".so"))
    return found


@contextlib.contextmanager
def scratch():
    """A directory with the plugins of the build under `plugins`, and a secret."""
    folder = tempfile.mkdtemp(prefix="rekey-bench.")
    try:
        os.mkdir(folder + "/plugins")
        for name, path in modules().items():
            os.symlink(path, "%s/plugins/%s.so" % (folder, name))
        write(folder + "/secret", os.urandom(32))
        write(folder + "/auth", os.urandom(32))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write(path, data):
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    os.chmod(path, 0o600)


def config(folder, links, interval, ports=PORTS, level="info", drain="100ms", channels="",
           sources="", devices=""):
    """Write a configuration of local links, both ends on sim devices of that many ports."""
    pairs = max(1, -(-links // ports))
    lines = ["sae: BENCH", "state-dir: %s/state" % folder, "control: %s/ctl.sock" % folder, "log-level: " + level,
             "sources:", '  lab: { plugin: static, secret: "file:%s/secret" }' % folder, sources, "devices:"]
    for i in range(pairs):
        lines += ["  a%d: { plugin: sim }" % i, "  b%d: { plugin: sim }" % i]
    lines += [devices]
    if channels:
        lines += ["channels:", channels]
    lines += ["defaults: { interval: %s, drain: %s, source: lab, channel: local }" % (interval, drain), "links:"]
    for i in range(links):
        lines.append("  - { name: l%06d, device: a%d, interface: p%d, peer-device: b%d, peer-interface: p%d }"
                     % (i, i // ports, i, i // ports, i))
    fresh(folder, lines)


def fresh(folder, lines):
    """Write that configuration, and forget what a run before has left."""
    write(folder + "/rekeyd.yaml", "\n".join(lines) + "\n")
    shutil.rmtree(folder + "/state", ignore_errors=True)


def command(folder, *more, program=REKEYD):
    return [program, "-c", folder + "/rekeyd.yaml", "--plugin-dir", folder + "/plugins", "--host", HOST, *more]


class Daemon:
    """A running rekeyd; its log goes to stderr, which is a pipe for wait_rotated(), or a file for rotated_in()."""

    def __init__(self, folder, *more, stderr=subprocess.DEVNULL, program=REKEYD):
        self.proc = subprocess.Popen(command(folder, *more, program=program), stderr=stderr,
                                     stdout=subprocess.DEVNULL)

    def processes(self):
        """Name of each process of it, by pid: "rekeyd", and each host by its plugin."""
        found = {self.proc.pid: "rekeyd"}
        with open("/proc/%d/task/%d/children" % (self.proc.pid, self.proc.pid)) as f:
            for pid in f.read().split():
                with open("/proc/%s/cmdline" % pid, "rb") as c:
                    argv = c.read().split(b"\0")
                if b"--module" in argv:
                    name = os.path.basename(argv[argv.index(b"--module") + 1].decode())
                    found[int(pid)] = "host " + name[:-3]
        return found

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(60)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def cpu_s(pid):
    """User and system time of a process with all its threads [s]."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, task)) as f:
            total += int(f.read().split()[0])
    return total / 1e9


def children_s():
    """User and system time of all children that have ended and were waited for [s]."""
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def pss_kib(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def own_kib(pid):
    """Without what is shared: of that a process has the less the more others run, of whatever else."""
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    return 0


def rotated_in(log):
    """Ends that have rotated, by a log."""
    with open(log, "rb") as f:
        return f.read().count(b" ev=rotated ")


def wait_rotated(daemon, ends, limit_s=60):
    """Read the log until that many ends have rotated; ret: time of the last [s, monotonic], None: not in time."""
    seen, until = 0, time.monotonic() + limit_s
    for line in daemon.proc.stderr:
        seen += b" ev=rotated " in line
        if seen >= ends:
            return time.monotonic()
        if time.monotonic() > until:
            break
    return None
