# marker_router.py - the memory of the process that drives routers: after rotations by pre-shared-key and by key chain
# no key, no CAK and no form in which a router stores one is anywhere in it but in pages that are locked and not dumped.
import os
import re
import sys

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import marker  # noqa: E402
import mixing  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

LINKS = (("slots", "pre-shared-key", {"interval": "1s"}),
         ("chain", "key-chain", {"interval": "8s", "start-lead": "4s"}))
STORED = re.compile(rb"\$9\$[./A-Za-z0-9-]{40,}")


def set_up(w):
    w.rig = rig.Rig(plugins=junos_rig.PLUGINS)
    w.lab = junos_rig.Lab(w.rig)
    w.a = w.rig.site("A", "SAE_A")
    w.secret = rig.new_secret()
    w.a.conf["sources"]["lab"] = {"plugin": "static", "secret": w.a.secret("static.key", w.secret)}
    for link, keying, options in LINKS:
        names = [link + "-1", link + "-2"]
        for name in names:
            w.lab.router(name, keying)
        ports = w.lab.cable(link, *names)
        w.a.link(link, device=names[0], interface=ports[0], channel="local", source="lab",
                 **dict({"peer-device": names[1], "peer-interface": ports[1]}, **options))
    w.lab.start()
    for router in w.lab.routers.values():
        router.device(w.a)
    w.a.save()
    w.a.start()
    w.a.wait_end("slots", lambda e: e["rotations"] >= 3, "rotations")
    w.a.wait_end("chain", lambda e: e["rotations"] >= 1, "a first key")
    w.lab.secured()


def marks(w):
    markers = marker.Markers()
    for link, _, _ in LINKS:
        for key_id in {row["key_id"] for row in w.a.ask("history", link, "--limit", "1000") if row["key_id"]}:
            key = mixing.static_key(w.secret, key_id)
            cak = mixing.hkdf(key, b"rekey cak v1\0" + link.encode() + b"\0" + key_id.encode() + b"\0")
            markers.add("%s: key %s" % (link, key_id), key)
            markers.add("%s: CAK %s" % (link, key_id), cak)
    return markers


def locked_pages(pid):
    """The begins of all mappings that are locked and left out of dumps."""
    locked, begin = set(), 0
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            found = re.match(r"([0-9a-f]+)-[0-9a-f]+ ", line)
            if found:
                begin = int(found.group(1), 16)
            elif line.startswith("VmFlags:") and {"lo", "dd"} <= set(line.split()):
                locked.add(begin)
    return locked


def parts(pid):
    """(is it locked, bytes) of all that the process can have written."""
    with open("/proc/%d/maps" % pid) as f:
        starts = sorted(int(line.split("-")[0], 16) for line in f)
    locked = locked_pages(pid)
    for at, data in marker.read_memory(pid):
        if data.count(0) != len(data):
            yield max(s for s in starts if s <= at) in locked, data


def look(markers, pid):
    open_, kept, stored = set(), set(), []
    for locked, data in parts(pid):
        found = markers.find(data)
        (kept if locked else open_).update(found)
        if not locked:
            stored += [text[:6].decode() for text in STORED.findall(data)]
    return open_, kept, stored


def clean(w):
    """none is in memory that is not locked"""
    if os.geteuid() != 0:
        raise rig.Skip("only root can read the memory of a process that is not dumpable")
    pid = w.a.plugin("junos-netconf")["pid"]
    for _ in range(2):
        w.a.wait_rotations("slots", 2)
        open_, kept, stored = look(marks(w), pid)
        expect(any("CAK" in name for name in kept), "no CAK in locked memory: does the test look for the right ones?")
        expect(not open_, "memory that is not locked holds %s", sorted(open_)[:10])
        expect(not stored, "memory that is not locked holds %d stored keys", len(stored))
    print("# %d forms, %d of them in locked memory" % (len(marks(w).list), len(kept)))


def main():
    w = rig.World(set_up)
    cases = [(f.__doc__, w.case(f)) for f in (clean,)]
    try:
        return rig.run_cases(cases + [("all ends well", w.last_case())])
    finally:
        w.close()


sys.exit(main())
