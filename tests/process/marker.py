# marker.py - known keys are looked for everywhere, as bytes and as text, after a run with failures at log level debug:
# logs, journal, spool, state, arguments, environments, core files, and the memory of rekeyd.  There must be none.
import base64
import glob
import hashlib
import hmac
import os
import re
import resource
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
import mixing  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

# One link for each kind of source; which plugin gives its keys, and which process may therefore hold them.
SOURCES = ("static", "file", "etsi014")
MIXED = ("file", "etsi014")  # of which the keys of one more link are mixed
LINKS = SOURCES + ("mix",)
POOL = 400
CHUNK = 1 << 20
FEW = 500
HEAD = 12  # bytes; every marker is longer
WRONG = (0x5a, 0xa5)  # what the fault wrong-key of a KME adds to each byte, at enc_keys and at dec_keys
HANGS = ("hang", "hang-after", "slow-loris")  # faults that last longer than a test may


# ---- what to look for ----

def hkdf(secret, info, n=32):
    prk = hmac.new(b"\0" * 32, secret, hashlib.sha256).digest()
    out, block = b"", b""
    while len(out) < n:
        block = hmac.new(prk, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:n]


def forms(key):
    """All that a key may look like; texts without their ends, which depend on padding and on what is around."""
    hexed = key.hex()
    b64 = base64.b64encode(key).rstrip(b"=")[:-1]
    url = base64.urlsafe_b64encode(key).rstrip(b"=")[:-1]
    colons = ":".join(hexed[i:i + 2] for i in range(0, len(hexed), 2))
    return {"raw": key, "hex": hexed.encode(), "HEX": hexed.upper().encode(), "base64": b64, "base64url": url,
            "hex with colons": colons.encode(), "reversed": key[::-1]}


class Markers:
    """Secrets by name, each with all its forms, and with their halves: a part of a key is a leak too."""

    def __init__(self):
        self.list = {}  # bytes -> name

    def add(self, name, key):
        for form, text in forms(key).items():
            self.list.setdefault(text, "%s as %s" % (name, form))
        if len(key) >= 32:
            self.list.setdefault(key[:16], "first half of %s" % name)
            self.list.setdefault(key[16:32], "second half of %s" % name)

    def find(self, data):
        if len(self.list) < FEW or len(data) < FEW:
            return sorted({name for text, name in self.list.items() if text in data})
        return sorted(self.find_many(data))

    def find_many(self, data):
        """The same, at a cost that does not grow with the number of markers."""
        heads, found = {}, set()
        for text, name in self.list.items():
            heads.setdefault(text[:HEAD], []).append((text, name))
        for i in range(len(data) - HEAD + 1):
            if data[i:i + HEAD] in heads:
                found.update(name for text, name in heads[data[i:i + HEAD]] if data.startswith(text, i))
        return found


def kme_key(pair_secret, key_id):
    """As contrib/kme/keys.h says."""
    root = hmac.new(b"rekey-kme pair v1", pair_secret, hashlib.sha256).digest()
    names = b"".join(bytes([len(sae)]) + sae for sae in (b"SAE_A", b"SAE_B"))
    return hkdf(root, b"rekey-kme key v1" + bytes.fromhex(key_id.replace("-", "")) + names)


def parts_of(w, key_id):
    return [key_of(w, source, part) for source, part in zip(MIXED, mixing.parts_of(key_id))]


def key_of(w, link, key_id):
    if link == "mix":
        return mixing.mixed_key(key_id, parts_of(w, key_id), link)
    if link == "static":
        return hkdf(w.secret.strip().encode(), b"rekey static v1\0" + key_id.encode() + b"\0" + b"256")
    return w.pool[key_id] if link == "file" else kme_key(w.pair_secret, key_id)


def issued(w):
    """Key IDs that the KMEs gave out, first of each answer, those that never made a rotation included."""
    text = kme_log(w)
    return re.findall(r"path=\S*/enc_keys code=200 n=\d+ bits=\d+ first=(\S+)", text)


def bent(w):
    """Key IDs whose keys a KME made wrong."""
    return set(re.findall(r" first=(\S+) fault=wrong-key$", kme_log(w), re.M))


def kme_log(w):
    text = ""
    for kme in (w.kmes.a, w.kmes.b):
        with open("%s/%s.log" % (w.rig.dir, kme.name), errors="backslashreplace") as f:
            text += f.read()
    return text


def markers_of(w, some=None):
    """The secrets of the run, the keys of all rotations so far (some: the newest and the oldest ones), and what is
    derived of them: (Markers, how many keys)."""
    markers, n = Markers(), 0
    for name, text in w.secrets:
        markers.add(name, text)
        markers.add(name + ", decoded", base64.b64decode(text) if name != "pair secret" else bytes.fromhex(text.decode()))
    wrong = bent(w)
    for link in LINKS:
        markers.add("what wraps the channel keys of %s" % link,
                    hkdf(w.secrets[0][1], b"rekey wrap v1\0" + link.encode() + b"\0"))
        ids = list(dict.fromkeys(row["key_id"] for row in w.a.ask("history", link, "--limit", "10000") if row["key_id"]))
        if link == "etsi014" and not some:
            ids = list(dict.fromkeys(ids + issued(w)))
        for key_id in ids[:some] + ids[-2:] if some else ids:
            key = key_of(w, link, key_id)
            markers.add("key %s" % key_id, key)
            for mask in WRONG if key_id in wrong else ():
                markers.add("key %s, made wrong" % key_id, bytes(b ^ mask for b in key))
            for part in parts_of(w, key_id) if link == "mix" else ():
                markers.add("part of key %s" % key_id, part)
            markers.add("confirm key of %s" % key_id,
                        hkdf(key, b"rekey confirm v1\0" + link.encode() + b"\0" + key_id.encode() + b"\0"))
            markers.add("channel key of %s" % key_id,
                        hkdf(key, b"rekey channel v1\0" + link.encode() + b"\0" + key_id.encode() + b"\0"))
            n += 1
    return markers, n


# ---- where to look ----

def scan_file(markers, path):
    with open(path, "rb") as f:
        return markers.find(f.read())


def read_memory(pid):
    """(start, bytes) of all that a process can have written; overlapping, so that nothing is cut in two.  A page that
    is mapped from a file, and only for reading, is the file's."""
    with open("/proc/%d/maps" % pid) as f:
        maps = [line.split() for line in f]
    with open("/proc/%d/mem" % pid, "rb", buffering=0) as mem:
        for words in maps:
            start, end = (int(x, 16) for x in words[0].split("-"))
            if "r" not in words[1] or ("w" not in words[1] and words[4] != "0") or words[-1] in ("[vvar]", "[vsyscall]"):
                continue
            if end - start > 1 << 32:
                continue  # the shadow of a sanitizer
            at = start
            while at < end:
                try:
                    mem.seek(at)
                    data = mem.read(min(CHUNK + 256, end - at))
                except OSError:
                    break
                if not data:
                    break
                yield at, data
                at += CHUNK


def scan_memory(markers, pid):
    found = []
    for _, data in read_memory(pid):
        if data.count(0) != len(data):
            found += markers.find(data)
    return sorted(set(found))


def own_files(w):
    """Every file that the daemons, their hosts and the KMEs have written; not those that the test has, with secrets."""
    for folder, _, names in os.walk(w.rig.dir):
        for name in names:
            path = os.path.join(folder, name)
            if path not in w.secret_files and os.path.isfile(path) and not path.startswith(w.kmes.dir + "/pki/"):
                yield path


# ---- the run ----

def set_up(w):
    w.rig = rig.Rig(plugins=("sim", "spool", "static", "file", "etsi014"))
    w.rig.rekeyd_options = ("--log-level", "debug")
    w.kmes = rig.KmePair(w.rig)
    w.kmes.start()
    with open(w.kmes.dir + "/pki/pair.secret", "rb") as f:
        w.pair_secret = f.read().rstrip(b"\n")
    w.secret = rig.new_secret()
    w.pool = {"%08x-0000-4000-8000-%012x" % (i, i): os.urandom(32) for i in range(POOL)}
    pool = "".join("%s %s\n" % (i, base64.b64encode(k).decode()) for i, k in w.pool.items())
    w.secret_files = set()

    def source(site):
        for name, text in (("static.key", w.secret), ("pool", pool)):
            w.secret_files.add(site.secret(name, text)[5:])
        w.secret_files.add(site.dir + "/auth.key")
        w.kmes.source(site)
        sources = site.conf["sources"]
        sources.update({"etsi014": sources.pop("keys"), "file": {"plugin": "file", "pool": site.dir + "/pool"},
                        "static": {"plugin": "static", "secret": "file:" + site.dir + "/static.key"}})

    w.a, w.b = w.rig.pair(source)
    for site, other, device in ((w.a, w.b, "east"), (w.b, w.a, "west")):
        del site.conf["links"][0]
        for link in LINKS:
            source = {"sources": MIXED} if link == "mix" else {"source": link}
            site.link(link, device=device, interface=link, channel="box", interval="500ms", drain="50ms",
                      **dict(source, **{"peer-sae": other.sae}))
        site.save()
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
        site.start()
    with open(w.a.dir + "/auth.key", "rb") as f:
        auth = f.read().rstrip(b"\n")
    w.secrets = (("auth-key", auth), ("static secret", w.secret.strip().encode()), ("pair secret", w.pair_secret))
    goes_on(w, 1)


def goes_on(w, more):
    for site in (w.a, w.b):
        for link in LINKS:
            site.wait_rotations(link, more)
    w.rig.still_well()


def scanner_finds(w):
    """Planted markers are found, in each form, in files and in memory; else the other cases prove nothing."""
    markers, key = Markers(), b"\xfb\xef\xbe" + os.urandom(29)  # "++++" in base64, and "----" in base64url
    markers.add("planted", key)
    for form, text in forms(key).items():
        path = rig.write(w.rig.dir + "/planted", b"x" * 1000 + text + b"y" * 1000)
        found = scan_file(markers, path)
        os.unlink(path)
        expect(any("as " + form in name for name in found), "planted as %s, found %s", form, found)
        expect(markers.find_many(b"z" * 1000 + text) == set(found), "%s: two ways find different things", form)
    expect(markers.find(key[:16]) and markers.find(key[16:]), "half a key is not found")
    expect(not markers.find(os.urandom(100000)), "noise is found")
    if os.geteuid() == 0:
        expect("planted as raw" in scan_memory(markers, os.getpid()), "not found in the test's own memory")
    # and the keys are the right ones: the digest that a device shows of its key is made of the key that is looked for
    w.rig.oracle.check()
    for link in LINKS:
        end = w.rig.oracle.ends["east", link]
        slots = [slot for slot in end.slots.values() if slot[3] == link]
        expect(slots, "no key on the device for %s", link)
        for digest, key_id, _, _ in slots:
            mine = hkdf(key_of(w, link, key_id), b"rekey sim digest v1", 16).hex()
            expect(mine == digest, "%s: key %s: the test computes another one than the device has", link, key_id)


def failures(w):
    """Whatever may make a program say more than it should."""
    for site, device in ((w.a, "east"), (w.b, "west")):
        for mode in ("garbage", "fail", "unknown"):
            site.mode(device, mode)
            site.wait_end("static", lambda e: e["last"] and e["last"]["result"] != "ok", "a failure")
            site.mode(device, "ok")
            goes_on(w, 1)
        site.mode(device, "crash")
        before = site.plugin("sim")["restarts"]
        rig.wait_for(lambda: site.plugin("sim")["restarts"] >= before + 2, "two crashes", rig=w.rig)
        site.mode(device, "ok")
        goes_on(w, 1)
    for plugin in SOURCES:
        os.kill(w.a.plugin(plugin)["pid"], signal.SIGKILL)
    with open(w.a.out + "/static.rec", "wb") as f:
        f.write(b"garbage\n")
    w.b.kill()
    w.b.start()
    goes_on(w, 1)


def kme_faults(w):
    """Each fault that a KME knows, at both KMEs; a fault that is added there comes here by itself."""
    listed = subprocess.run([rig.KME, "--list-faults"], capture_output=True, text=True, check=True).stdout
    faults = [line.split("\t")[:2] for line in listed.splitlines() if not line.startswith("none\t")]
    expect(len(faults) > 50, "only %d faults are listed", len(faults))
    for word, calls in faults:
        kme_fault(w, word, calls.split(","))
    for kme in (w.kmes.a, w.kmes.b):
        os.unlink(kme.fault_file)
    expect(bent(w), "no key was made wrong")
    goes_on(w, 1)


def kme_fault(w, word, calls):
    call = [c for c in ("enc", "dec", "status", "connect") if c in calls][0]
    before = played(w, word, call)
    for kme in (w.kmes.a, w.kmes.b):
        kme.fault(word)
    if call == "connect":
        restart(w)

    def seen():
        w.a.ctl(*(("source", "test") if call == "status" else ("rotate",)), "etsi014")
        return played(w, word, call) > before

    rig.wait_for(seen, "a KME plays %s" % word, rig=w.rig)
    if word.split(":")[0] in HANGS:
        restart(w)


def played(w, word, call):
    """How often a KME played a fault in a call; one of its certificate is a refusal of the client."""
    if call == "connect":
        return kme_log(w).count("ev=tls res=refused by=client")
    path = "status" if call == "status" else call + "_keys"
    return len(re.findall("/%s code=.* fault=%s$" % (path, word.split(":")[0]), kme_log(w), re.M))


def restart(w):
    """Both KMEs anew: what hangs in them fails at once."""
    for kme in (w.kmes.a, w.kmes.b):
        kme.kill()
        kme.start()


def no_core(w):
    """A host that is aborted leaves no core file, although its limit would have let it when rekeyd was started."""
    pids = {}
    for plugin in ("sim", "static", "file", "etsi014", "spool"):
        pid = pids[plugin] = w.a.plugin(plugin)["pid"]
        with open("/proc/%d/limits" % pid) as f:
            limit = [line.split()[4:6] for line in f if line.startswith("Max core file size")]
        expect(limit == [["0", "0"]], "%s: core limit %s", plugin, limit)
        os.kill(pid, signal.SIGABRT)
    for plugin, pid in pids.items():
        rig.wait_for(lambda: w.a.plugin(plugin)["state"] == "up" and w.a.plugin(plugin)["pid"] != pid,
                     "%s is up again" % plugin, rig=w.rig)
        expect("signal 6" in w.a.plugin(plugin)["last_exit"], "%s: %s", plugin, w.a.plugin(plugin)["last_exit"])
    goes_on(w, 1)
    cores = [p for p in own_files(w) if os.path.basename(p).startswith("core")] + glob.glob(os.getcwd() + "/core*.dump")
    expect(not cores, "core files: %s", cores)


def files(w):
    markers, n = markers_of(w)
    expect(n >= 30, "only %d keys were used", n)
    seen, found = 0, []
    for path in own_files(w):
        seen += 1
        found += ["%s: %s" % (path, name) for name in scan_file(markers, path)]
    expect(not found, "found:\n%s", "\n".join(found[:20]))
    expect(seen >= 15, "only %d files were looked at", seen)
    log = w.a.log()
    expect(" debug " in log and len(log) > 20000, "the log is too short to prove anything")
    print("# %d keys, %d forms, looked for in %d files" % (n, len(markers.list), seen))


def arguments(w):
    markers, _ = markers_of(w)
    for site in (w.a, w.b):
        pids = [site.process.pid, *rig.children(site.process.pid)]
        expect(len(pids) == 6, "%s: %d processes", site.name, len(pids))
        for pid in pids:
            for what in ("environ", "cmdline", "comm"):
                with open("/proc/%d/%s" % (pid, what), "rb") as f:
                    found = markers.find(f.read())
                expect(not found, "/proc/%d/%s: %s", pid, what, found)


def memory(w):
    """rekeyd passes keys on and never maps one: it holds none, during rotations and after them."""
    if os.geteuid() != 0:
        raise rig.Skip("only root can read the memory of a process that is not dumpable")
    for _ in range(2):
        goes_on(w, 1)
        markers, _ = markers_of(w, some=6)
        for site in (w.a, w.b):
            found = scan_memory(markers, site.process.pid)
            expect(not found, "%s: the memory of rekeyd holds %s", site.name, found[:10])
    # the source has its secret, as it must: so memory of another process is read, and what is there is found
    found = scan_memory(markers, w.a.plugin("static")["pid"])
    expect("static secret as raw" in found, "the static secret is not found in its own host")
    # for information: what hosts hold of keys that were staged before
    for plugin in ("sim", "static", "file", "etsi014", "spool"):
        held = [name for name in scan_memory(markers, w.a.plugin(plugin)["pid"]) if "key " in name and "-key" not in name]
        print("# host %s: %d known keys in its memory" % (plugin, len({n.split(" as ")[0] for n in held})))


def main():
    w = rig.World(set_up)
    cases = [("planted markers are found", scanner_finds), ("the run goes on over failures", failures),
             ("the run goes on over each fault of a KME", kme_faults),
             ("no core files", no_core), ("no key in a file", files), ("no key in arguments or environments", arguments),
             ("no key in the memory of rekeyd", memory)]
    try:
        return rig.run_cases([(name, w.case(function)) for name, function in cases] + [("all ends well", w.last_case())])
    finally:
        w.close()


if __name__ == "__main__":
    sys.exit(main())
