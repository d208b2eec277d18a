# exec_links.py - links whose devices are a site's own programs: contrib/exec/folder-device rotates under two daemons,
# each key is the one that the source gave, and in no file but the device's; what becomes of a program that others may
# write to, one that hangs, one that lies, and one that runs when its host is killed.
import base64
import glob
import os
import shutil
import signal
import sys

sys.dont_write_bytecode = True
import mixing  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

GOOD = rig.SOURCE + "/contrib/exec/folder-device"
HANGS = "#!/bin/sh\necho $$ >>%s\nsleep 1000 & echo $! >>%s\nwait\n"
LIES = "#!/bin/sh\nread -r a b c d\nwhile read -r word number rest; do\n[ $word != op ] || echo op $number ok\ndone\n" \
       "[ \"$1\" = apply ] || exec cat %s\necho end\n"


def put(site, text=None):
    """The site's program, replaced in one step: one that runs is not disturbed."""
    if text is None:
        with open(GOOD, "rb") as f:
            text = f.read()
    rig.write(site.program, text, 0o700)


def set_up(w):
    w.rig = rig.Rig(plugins=("exec", "spool", "static"))
    w.secret = rig.new_secret()
    w.a, w.b = w.rig.pair(lambda site: site.conf["sources"].update(
        keys={"plugin": "static", "secret": site.secret("static.key", w.secret)}))
    for site, other, device in ((w.a, w.b, "east"), (w.b, w.a, "west")):
        site.program, site.folder = site.dir + "/program", site.dir + "/device"
        put(site)
        os.mkdir(site.folder, 0o700)
        site.conf["devices"] = {device: {"plugin": "exec", "program": site.program,
                                         "argument": [site.folder, other.dir + "/device"]}}
        site.conf["call-budget"] = "2s"
        site.conf["defaults"].update(interval="300ms", drain="50ms", verify="300ms")
        site.save()
        site.start()


def slots(site):
    """{key ID: hex key} of what is in the slots now."""
    found = {}
    for path in glob.glob(site.folder + "/port0/slot.?"):
        try:
            with open(path) as f:
                key_id, key = f.read().split()
        except FileNotFoundError:  # retired meanwhile
            continue
        found[key_id] = key
    return found


def goes_round(w, more=2):
    for site in (w.a, w.b):
        site.wait_rotations("link-1", more)


def rotates(w):
    seen = {}
    for _ in range(3):
        goes_round(w)
        for site in (w.a, w.b):
            held = slots(site)
            expect(held, "%s: no key in a slot", site.name)
            for key_id, key in held.items():
                expect(key == mixing.static_key(w.secret, key_id).hex(), "%s: %s has another key", site.name, key_id)
            seen.update(held)
    expect(len(seen) >= 3, "keys seen: %s", sorted(seen))
    for site in (w.a, w.b):
        row = site.end("link-1")
        expect(row["key_id"] and not row["alarms"], "%s", row)
    no_key_outside(w, seen)


def no_key_outside(w, seen):
    for site in (w.a, w.b):
        for folder, _, names in os.walk(site.dir):
            if folder.startswith(site.folder):
                continue
            for path in (os.path.join(folder, name) for name in names):
                try:
                    with open(path if os.path.isfile(path) else os.devnull, "rb") as f:
                        data = f.read()
                except FileNotFoundError:
                    continue
                for key_id, key in seen.items():
                    for form in (key.encode(), bytes.fromhex(key), base64.b64encode(bytes.fromhex(key))[:40]):
                        expect(form not in data, "the key %s is in %s", key_id, path)


def unsafe(w):
    """Others may write to it: it is run no more, until a person has mended that."""
    before = len(w.b.log())
    os.chmod(w.b.program, 0o722)
    w.b.wait_log(r"program: mode 0722", before)
    os.chmod(w.b.program, 0o700)
    mended(w)


def mended(w):
    goes_round(w)
    for site in (w.a, w.b):
        site.wait_end("link-1", lambda e: not e["alarms"], "no alarm")
    expect(set(slots(w.a)) & set(slots(w.b)), "the ends hold no key in common")


def pids(path):
    try:
        with open(path) as f:
            return [int(word) for word in f.read().split()]
    except FileNotFoundError:
        return []


def all_gone(path):
    return lambda: all(rig.start_time(pid) is None for pid in pids(path))


def hangs(w):
    """Its whole group is killed when the budget is nearly over."""
    path, before = w.b.dir + "/hung", len(w.b.log())
    put(w.b, HANGS % (path, path))
    w.b.wait_log(r"program was ended: it had not answered within the budget", before)
    put(w.b)
    rig.wait_for(all_gone(path), "all that hung are gone", rig=w.rig)
    expect(len(pids(path)) >= 2, "it did not run")
    mended(w)


def lies(w):
    """It says ok to all, and shows the same as ever: no one believes that the rotation was done."""
    before = w.b.end("link-1")["rotations"]
    fixed = rig.write(w.b.dir + "/fixed", "see 1 present up protected\nend\n")
    put(w.b, LIES % fixed)
    w.b.wait_end("link-1", lambda e: e["alarms"], "an alarm")
    expect(w.b.end("link-1")["rotations"] <= before + 1, "rotations were counted that it did not do")
    put(w.b)
    mended(w)


def killed(w):
    """The host dies while the program runs, and rekeyd: that goes with its host."""
    path = w.b.dir + "/ran"
    put(w.b, HANGS % (path, path))
    rig.wait_for(lambda: len(pids(path)) >= 2, "it runs", rig=w.rig)
    os.kill(w.b.plugin("exec")["pid"], signal.SIGKILL)
    w.b.kill()
    rig.wait_for(lambda: rig.start_time(pids(path)[-2]) is None, "the program is gone")
    for pid in pids(path)[1:]:  # what it started itself goes on when nobody is left to kill its group
        if rig.start_time(pid) is not None:
            os.kill(pid, signal.SIGKILL)
    put(w.b)
    w.b.start()
    mended(w)


def main():
    if not shutil.which("sh"):
        raise rig.Skip("no shell")
    w = rig.World(set_up)
    try:
        return rig.run_cases([("a shell script rotates the keys that the source gave", w.case(rotates)),
                              ("a program that others may write to is not run", w.case(unsafe)),
                              ("a program that hangs is killed with its group", w.case(hangs)),
                              ("a program that lies is not believed", w.case(lies)),
                              ("a program ends with its host", w.case(killed)),
                              ("stops", w.last_case())])
    finally:
        w.close()


sys.exit(main())
