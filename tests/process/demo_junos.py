# demo_junos.py - contrib/demo/run --junos and --shim, as they go on when all is built: a live table, one line of sums,
# exit status 0; and another status when it cannot run.
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
import shim_sites  # noqa: E402
from rig import expect  # noqa: E402

SECONDS = 9  # a rotation of each link, every three seconds


def begin(build, channel, *more):
    argv = [sys.executable, "-B", rig.SOURCE + "/contrib/demo/junos.py", build, str(SECONDS), channel, *more]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(demo):
    """(exit status, lines, standard error)"""
    try:
        out, err = demo.communicate(timeout=6 * rig.PATIENCE_S)
    finally:
        demo.kill()
    return demo.returncode, out.splitlines(), err


def check(demo, way):
    code, out, err = said(demo)
    expect(code == 0 and not err, "exit status %d: %s %s", code, "\n".join(out[-5:]), err)
    expect("simulated Junos routers, " + way in out[0] and "commits" in out[1], "it begins with %s", out[:2])
    rows = [line.split() for line in out if re.match(r" +\d+s ", line)]
    expect(len(rows) >= 4 and {row[1] for row in rows} == {"mx-east", "acx-west"}, "the table: %s", out)
    expect(all(row[4] in ("primary", "fallback") for row in rows), "MKA: %s", rows)  # the latter while keys change
    expect(any(row[4] == "primary" for row in rows), "MKA: %s", rows)
    sums = re.fullmatch(r"rotations done (\d+), commits (\d+), 0 seconds unsecured, 0 seconds in clear", out[-1])
    expect(sums and int(sums.group(1)) >= 1 and int(sums.group(2)) >= 4, "it ends with: %s", out[-1])


def runs():
    """both run: keys change, and MKA is never unsecured"""
    shim_sites.need()
    rig.need_file(rig.PLUGINS + "/junos-netconf.so")
    rig.need_file(rig.PLUGINS + "/etsi014.so")
    rig.need_file(rig.KME)
    demos = [(begin(rig.BUILD, "lldp"), "NETCONF over SSH"),
             (begin(rig.BUILD, "spool", "--shim"), "asking by rekey-shim.py")]
    try:
        for demo, way in demos:
            check(demo, way)
    finally:
        for demo, _ in demos:
            demo.kill()
            demo.wait()


def fails():
    """without what it needs it says so, and fails"""
    code, out, err = said(begin("/nowhere", "lldp"))
    expect(code == 1 and err.startswith("demo: ") and not out, "%d %s %s", code, out, err)


sys.exit(rig.run_cases([(f.__doc__, f) for f in (runs, fails)], quick_too=True))
