# shim.py - what a tick of contrib/junos/rekey-shim.py costs on a router that has nothing to do, beside what any script
# that imports jnpr.junos costs before it has done anything.  The router is junos-sim, by its cli; the daemon is played
# by tests/process/shim_rig.py.  Processor time of all the script's processes, in turns with the others.
#
# As a program it measures and prints JSON: it needs the modules of tests/process, some of which have the names of those
# that are here.
import json
import os
import statistics
import subprocess
import sys

TURNS = 15
SELF = os.path.abspath(__file__)
SOURCE = os.path.abspath(os.environ.get("top_srcdir", "."))


def measure():
    """What main() printed, or why it cannot be measured."""
    done = subprocess.run([sys.executable, "-B", SELF], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {"why": (done.stderr.strip().splitlines() or ["it said nothing"])[-1]}


def cpu_s(argv, env):
    """User and system time of a process and of what it started."""
    null = os.open(os.devnull, os.O_RDWR)
    pid = os.posix_spawnp(argv[0], argv, env, file_actions=[(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)])
    os.close(null)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit("%s: exit status %d" % (" ".join(argv), os.waitstatus_to_exitcode(status)))
    return usage.ru_utime + usage.ru_stime


def turns(box, python):
    """Processor time of each kind [s]."""
    box.python = python
    env = box.environment()
    kinds = {"tick": box.words(), "bare": [python, "-c", "pass"]}
    if subprocess.run([python, "-c", "import jnpr.junos"], env=env, capture_output=True).returncode == 0:
        kinds["pyez"] = [python, "-c", "import jnpr.junos"]
    times = {name: [] for name in kinds}
    for _ in range(TURNS):
        for name, argv in kinds.items():
            times[name].append(cpu_s(argv, env))
    return {name: statistics.median(list_) for name, list_ in times.items()}


def main():
    sys.path.insert(0, SOURCE + "/tests/process")
    for name in ("rig", "shim"):
        sys.modules.pop(name, None)
    import junos_rig
    import rig
    import shim_rig
    try:
        shim_rig.need()
        with rig.Rig(()) as r:
            lab = junos_rig.Lab(r)
            router = lab.router("r1")
            for _ in range(8):
                router.port()
            lab.start()
            pki = shim_rig.Pki(r.dir + "/pki")
            daemon = shim_rig.Daemon(*pki.make("rekeyd", "named"), pki.ca)
            box = shim_rig.Box(lab, "r1", pki, "https://127.0.0.1:%d" % daemon.port)
            python = shim_rig.SYSTEM_PYTHON if os.path.exists(shim_rig.SYSTEM_PYTHON) else sys.executable
            found = turns(box, python)
            asks = daemon.of("ask")
            found.update(requests=len(daemon.requests) / TURNS, facts=len(asks[-1]["facts"]),
                         bytes=len(json.dumps(asks[-1], ensure_ascii=False).encode()))
            daemon.close()
    except rig.Skip as why:
        found = {"why": str(why)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
