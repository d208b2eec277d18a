# demo_junos.py - contrib/demo/run --junos, as it goes on when all is built: a live table, one line of sums, exit status
# 0; and another status when it cannot run.
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

SECONDS = 9  # a rotation of each link, every three seconds


def demo(build, *more):
    argv = [sys.executable, "-B", rig.SOURCE + "/contrib/demo/junos.py", build, str(SECONDS), "lldp", *more]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=6 * rig.PATIENCE_S)
    return done.returncode, done.stdout.splitlines(), done.stderr


def runs():
    """it runs: keys change, and MKA is never unsecured"""
    junos_rig.need()
    rig.need_file(rig.PLUGINS + "/etsi014.so")
    rig.need_file(rig.KME)
    code, out, err = demo(rig.BUILD)
    expect(code == 0 and not err, "exit status %d: %s %s", code, "\n".join(out[-5:]), err)
    expect("simulated Junos routers" in out[0] and "commits" in out[1], "it begins with %s", out[:2])
    rows = [line.split() for line in out if re.match(r" +\d+s ", line)]
    expect(len(rows) >= 4 and {row[1] for row in rows} == {"mx-east", "acx-west"}, "the table: %s", out)
    expect(all(row[4] in ("primary", "fallback") for row in rows), "MKA: %s", rows)  # the latter while keys change
    expect(any(row[4] == "primary" for row in rows), "MKA: %s", rows)
    sums = re.fullmatch(r"rotations done (\d+), commits (\d+), 0 seconds unsecured, 0 seconds in clear", out[-1])
    expect(sums and int(sums.group(1)) >= 1 and int(sums.group(2)) >= 4, "it ends with: %s", out[-1])


def fails():
    """without what it needs it says so, and fails"""
    code, out, err = demo("/nowhere")
    expect(code == 1 and err.startswith("demo: ") and not out, "%d %s %s", code, out, err)


sys.exit(rig.run_cases([(f.__doc__, f) for f in (runs, fails)], quick_too=True))
