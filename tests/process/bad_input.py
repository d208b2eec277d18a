# bad_input.py - bad input while it runs: from the peer, the KME, an operator, the disk.  The old key stays in use, the
# daemon lives, and all is well again when the cause has gone.
import errno
import json
import os
import re
import resource
import socket
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

LINK = "link-1"
QUIET = "quiet"  # a link that is never due during the test: only a mistake can rotate it
FRAME_MAX = 131072
CLIENTS_MAX = 32


def set_up(w, source=None):
    w.a, w.b = w.rig.pair(source)
    for site, other in ((w.a, w.b), (w.b, w.a)):
        device = list(site.conf["devices"])[0]
        site.conf["defaults"].update(interval="500ms", drain="50ms")
        site.link(QUIET, device=device, interface="port9", source="keys", channel="box", interval="30d",
                  **{"peer-sae": other.sae})
        site.save()
        site.start()
    for site in (w.a, w.b):
        site.wait_end(LINK, lambda e: e["rotations"] >= 1, "a rotation")
        site.wait_end(QUIET, lambda e: e["rotations"] >= 1 and e["phase"] == "idle", "the first rotation")
    w.quiet = {site.name: site.end(QUIET)["seq"] for site in (w.a, w.b)}


def set_up_static(w):
    w.rig = rig.Rig()
    set_up(w)


def set_up_kme(w):
    w.rig = rig.Rig(plugins=("sim", "spool", "etsi014"))
    w.kmes = rig.KmePair(w.rig)
    w.kmes.start()
    set_up(w, w.kmes.source)


def goes_on(w, more=1):
    """Rotations of the link go on, and the quiet one was left alone."""
    for site in (w.a, w.b):
        site.wait_rotations(LINK, more)
    for site in (w.a, w.b):
        expect(site.end(QUIET)["seq"] == w.quiet[site.name], "%s: the quiet link rotated", site.name)
    w.rig.still_well()


def reload(site):
    site.save()
    return site.ask("reload")["text"]


# ---- roles ----

def role_conflict(w):
    w.b.conf["links"][0]["role"] = "master"
    reload(w.b)
    w.b.wait_alarm(LINK, "ROLE-CONFLICT")  # A hears nothing of it: B knows what A is, and gives way before it speaks
    w.b.wait_log("ev=alarm link=%s end=a alarm=ROLE-CONFLICT state=raised" % LINK)
    goes_on(w, 2)
    expect(w.a.end(LINK)["role"] == "master" and w.b.end(LINK)["role"] == "slave", "the smaller SAE ID is not master")
    expect("ROLE-CONFLICT" in w.b.end(LINK)["alarms"], "the alarm went while the configuration is still wrong")
    del w.b.conf["links"][0]["role"]
    reload(w.b)
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "ROLE-CONFLICT", on=False)
    goes_on(w)


def role_changed_late(w):
    """The role is changed in the middle of a rotation: it is taken when that is done."""
    w.b.mode("west", "slow")
    w.b.wait_end(LINK, lambda e: e["phase"] == "intent", "B is in a rotation")
    w.b.conf["links"][0]["role"] = "master"
    reload(w.b)
    w.b.mode("west", "ok")
    w.b.wait_alarm(LINK, "ROLE-CONFLICT")
    del w.b.conf["links"][0]["role"]
    reload(w.b)
    w.b.wait_alarm(LINK, "ROLE-CONFLICT", on=False)
    goes_on(w)


# ---- the channel ----

def spool_file(content, says):
    def run(w):
        path = w.a.out + "/" + LINK + ".rec"
        w.b.conf["links"][0]["drain"] = {"50ms": "51ms", "51ms": "50ms"}[w.b.conf["links"][0].get("drain", "50ms")]
        reload(w.b)  # of a changed link a refused record is logged again
        w.b.wait_rotations(LINK, 1)
        good = open(path, "rb").read()
        at = len(w.b.log())
        rig.write(path, content(good))
        w.b.wait_log(says, after=at)
        goes_on(w, 2)
        expect(w.b.end(LINK)["seq"] < 999999, "a forged record was believed")
    return run


def forged(good):
    """A later rotation, with the tag of this one."""
    fields = good.split(b"|")
    fields[4] = b"999999"
    return b"|".join(fields)


def bad_tag(good):
    return good[:-2] + (b"0" if good[-2:-1] != b"0" else b"1") + good[-1:]


def replayed(w):
    """Records of rotations long done, with good tags."""
    path = w.a.out + "/" + LINK + ".rec"
    old = open(path, "rb").read()
    goes_on(w, 2)
    before = w.b.end(LINK)
    for _ in range(3):
        rig.write(path, old)
        goes_on(w)
    expect(w.b.end(LINK)["seq"] > before["seq"], "it went back")


def other_link_record(w):
    """A record of one link in the file of another: its tag is good, its name is not."""
    with open(w.a.out + "/" + LINK + ".rec", "rb") as f:
        text = f.read()
    at = len(w.b.log())
    rig.write(w.a.out + "/" + QUIET + ".rec", text)
    w.b.wait_log("ev=record-refused link=%s" % QUIET, after=at)
    goes_on(w, 1)


# ---- the control socket ----

def connect(site):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * FRAME_MAX)
    s.connect(site.control)  # blocks while the daemon has others to let in
    s.settimeout(rig.PATIENCE_S)
    return s


def control_garbage(w):
    frames = [b"\0", b"garbage", os.urandom(4000), struct.pack("<II", 20, 1), struct.pack("<IIHI", 20, 1, 1, 1 << 31),
              os.urandom(FRAME_MAX), b"x" * (FRAME_MAX + 5000)]
    for frame in frames:
        s = connect(w.a)
        s.send(frame)
        answer = s.recv(FRAME_MAX)
        expect(b"that is not a command; is rekeyctl of another version than rekeyd?" in answer or
               b'this rekeyd does not know the command ""' in answer, "%d bytes: answered %s", len(frame), answer[:200])
        s.close()
    w.a.wait_log('ev=control res=protocol why="a client sent what is not a command"')
    s = connect(w.a)
    fds = [s.fileno()] * 40  # descriptors that nobody asked for
    socket.send_fds(s, [b"garbage"], fds)
    s.recv(FRAME_MAX)
    s.close()
    goes_on(w)


def control_slow(w):
    """Clients that ask and do not read, that connect and say nothing, that go in the middle; and one too many."""
    row = w.a.ask("history", LINK, "--limit", "1")
    expect(len(row) == 1, "%s", row)
    clients = []
    try:
        for i in range(CLIENTS_MAX - 2):
            s = connect(w.a)
            clients.append(s)
            if i % 3 == 0:
                s.send(os.urandom(100))
        goes_on(w)
        while True:
            s = connect(w.a)
            clients.append(s)
            expect(len(clients) <= CLIENTS_MAX + 1, "%d clients were let in", len(clients))
            s.settimeout(0.3)
            try:
                if s.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionResetError:
                break
        w.a.wait_log("ev=control res=refused clients=%d" % CLIENTS_MAX)
        code, _, _ = w.a.ctl("status")
        expect(code in (1, 3), "rekeyctl was heard although %d clients are connected: %d", CLIENTS_MAX, code)
    finally:
        for s in clients:
            s.close()
    rig.wait_for(lambda: w.a.status(quiet=True), "clients are heard again", rig=w.rig)
    goes_on(w)


# ---- reload ----

def bad_reload(w):
    before = w.a.status()
    hosts = sorted(rig.children(w.a.process.pid))
    good = json.dumps(w.a.conf, indent=1) + "\n"
    for text, says in ((good.replace('"500ms"', '"1 parsec"'), r'rekeyd\.yaml:\d+:\d+: interval: '),
                       (good[:-20], r"rekeyd\.yaml:\d+:\d+: "),
                       (good.replace('"plugin": "sim"', '"plugin": "simm"'),
                        r'rekeyd\.yaml:\d+:\d+: plugin "simm" cannot be used: .*; did you mean "sim"\?'),
                       (good.replace(w.a.state_dir, w.a.dir + "/elsewhere"), "state-dir cannot be changed while running"),
                       (good.replace(w.a.control, w.a.dir + "/other.sock"), "control cannot be changed while running"),
                       ("", "the file is empty")):
        w.a.save(text or "\n")
        at = len(w.a.log())
        code, said, err = w.a.ctl("reload")
        expect(code == 1 and not said["ok"] and re.search(says, said["text"]), "exit %d: %s %s", code, said, err)
        w.a.wait_log("ev=reload res=.*the old configuration stays", after=at)
        expect("1 parsec" not in str(w.a.status()), "it was taken")
    expect(sorted(rig.children(w.a.process.pid)) == hosts, "hosts were restarted: %s %s", hosts,
           rig.children(w.a.process.pid))
    for old, new in zip(before["links"], w.a.status()["links"]):
        expect(old["interval_ms"] == new["interval_ms"] and old["rotations"] <= new["rotations"], "%s %s", old, new)
    w.a.save()
    goes_on(w)


def reload_links(w):
    """A link is added, changed, removed; the others do not notice."""
    link = dict(w.a.conf["links"][0], name="link-2", interface="port2")
    for site in (w.a, w.b):
        site.conf["links"].append(dict(link, device=list(site.conf["devices"])[0], **{
            "peer-sae": site.conf["links"][0]["peer-sae"]}))
    expect(reload(w.a) == "3 links: 2 untouched, 0 changed, 1 new; 0 removed", "A: %s", w.a.ask("reload"))
    expect(reload(w.b) == "3 links: 2 untouched, 0 changed, 1 new; 0 removed", "B")
    w.a.wait_end("link-2", lambda e: e["rotations"] >= 1, "the new link rotates")
    w.b.wait_end("link-2", lambda e: e["rotations"] >= 1, "the new link rotates")
    before = w.a.end("link-2")
    for site in (w.a, w.b):
        site.conf["links"][-1]["interval"] = "300ms"
        expect(reload(site) == "3 links: 2 untouched, 1 changed, 0 new; 0 removed", "%s", site.name)
    row = w.a.wait_rotations("link-2", 2)
    expect(row["interval_ms"] == 300 and row["seq"] > before["seq"], "%s", row)
    for site in (w.a, w.b):
        site.conf["links"].pop()
        expect(reload(site) == "2 links: 2 untouched, 0 changed, 0 new; 1 removed", "%s", site.name)
        expect([e["link"] for e in site.status()["links"]] == [LINK, QUIET], "%s still has it", site.name)
    expect(all(e["link"] != "link-2" for e in w.a.status()["links"]), "it is still there")
    goes_on(w)


def reload_under_way(w):
    """Reloads of a changed link in the middle of its rotations."""
    for drain in ("150ms", "20ms", "120ms", "60ms"):
        for site in (w.a, w.b):
            site.conf["links"][0]["drain"] = drain
            w.a.ctl("rotate", LINK)
            reload(site)
    for site in (w.a, w.b):
        del site.conf["links"][0]["drain"]
        reload(site)
    goes_on(w, 2)


# ---- the disk ----

def stuck(w, site):
    """The journal cannot be written: nothing new starts, the old key stays, the alarm says why."""
    site.wait_alarm(LINK, "JOURNAL")
    wrong = site.status()["daemon"]["journal"]
    expect("journal.db" in wrong and "disk full" in wrong, "%s", wrong)
    w.rig.oracle.check()
    held = w.rig.oracle.sent_with(LINK)
    activations = w.rig.oracle.count("activate", "east")
    key = site.end(LINK)["key_id"]
    rig.wait_for(lambda: site.end(LINK)["key_age_ms"] > 1500, "three intervals have passed", rig=w.rig)
    expect(site.end(LINK)["key_id"] == key, "it rotated although the journal cannot be written")
    w.rig.oracle.check()
    expect(w.rig.oracle.count("activate", "east") == activations and w.rig.oracle.sent_with(LINK) == held,
           "the device was changed: %s, %s", held, w.rig.oracle.sent_with(LINK))


def journal_limit(w):
    """No file may grow (RLIMIT_FSIZE), the log among them; so only status can tell."""
    pid = w.a.process.pid
    old = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, old[1]))
    stuck(w, w.a)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, old)
    w.a.wait_alarm(LINK, "JOURNAL", on=False)
    expect(w.a.status()["daemon"]["journal"] == "ok", "%s", w.a.status()["daemon"])
    goes_on(w, 2)


def journal_full(w):
    """A full disk: a small file system of the daemon's own, filled by the test."""
    if os.geteuid() != 0:
        raise rig.Skip("only root can mount a small file system")
    w.a.stop()
    saved = w.rig.dir + "/saved"
    subprocess.run(["cp", "-a", w.a.state_dir, saved], check=True)
    script = 'mount -t tmpfs -o size=16m,mode=700 none "$1" && cp -a "$2"/. "$1" && shift 2 && exec "$@"'
    argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", w.a.state_dir, saved, *w.a.argv()]
    rig.need("unshare")
    w.a.process = rig.Process(w.rig, "rekeyd A", argv, w.a.log_file)
    rig.wait_for(lambda: w.a.status(quiet=True), "A answers", rig=w.rig)
    goes_on(w)
    at = len(w.a.log())
    inside = "/proc/%d/root%s/fill" % (w.a.process.pid, w.a.state_dir)
    fd = os.open(inside, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while os.write(fd, b"\0" * 4096):
            pass
    except OSError as full:
        expect(full.errno == errno.ENOSPC, "%s", full)
    finally:
        os.close(fd)
    stuck(w, w.a)
    w.a.wait_log('ev=journal res=io why=".*disk full.*" note="no rotation starts until it can be written"', after=at)
    w.a.wait_log("ev=alarm link=%s end=a alarm=JOURNAL state=raised" % LINK, after=at)
    os.unlink(inside)
    w.a.wait_alarm(LINK, "JOURNAL", on=False)
    w.a.wait_log('ev=journal res=ok note="it can be written again"', after=at)
    goes_on(w, 2)


# ---- the KME ----

def held_key(w):
    """Waits until nothing rotates because A gets no key: the key that stays."""
    w.a.wait_alarm(LINK, "SOURCE")
    return w.a.wait_end(LINK, lambda e: e["phase"] == "idle" and e["last"]["result"] != "ok", "the rotation is given up")


def kme_fault(site_name, words, says):
    def run(w):
        site = getattr(w, site_name)
        kme = w.kmes.a if site is w.a else w.kmes.b
        kme.fault(words)
        site.wait_alarm(LINK, "SOURCE")
        key = w.a.end(LINK)["key_id"]
        row = site.wait_end(LINK, lambda e: e["last"]["result"] != "ok" and re.search(says, e["last"]["why"]),
                            "last why %s" % says)
        expect(row["last"]["result"] in ("protocol", "key-size", "busy", "rejected", "key-gone", "unknown", "auth", "empty"),
               "%s", row["last"])
        failed = site.end(LINK)["failed"]
        site.wait_end(LINK, lambda e: e["failed"] >= failed + 2, "it is tried again and again")
        expect(w.a.end(LINK)["key_id"] == key, "the key changed")
        os.unlink(kme.fault_file)
        goes_on(w)
        site.wait_alarm(LINK, "SOURCE", on=False)
    return run


def kme_out_of_step(w):
    """The ends get different bytes for one key ID: seen before anyone sends with them."""
    w.kmes.b.fault("wrong-key")
    says = "confirm tag differs: the two ends got different keys for this key ID"
    w.a.wait_end(LINK, lambda e: e["last"]["result"] == "protocol" and e["last"]["why"] == says, says)
    key = w.a.end(LINK)["key_id"]
    failed = w.a.end(LINK)["failed"]
    w.a.wait_end(LINK, lambda e: e["failed"] >= failed + 2, "it is tried again and again")
    expect(w.a.end(LINK)["key_id"] == key == w.b.end(LINK)["key_id"], "the key changed")
    os.unlink(w.kmes.b.fault_file)
    goes_on(w)


def source_option(w, says, result, **options):
    """Source options that cannot work, by a reload, and back."""
    good = dict(w.a.conf["sources"]["keys"])
    before = w.a.end(LINK)
    w.a.conf["sources"]["keys"].update(options)
    at = len(w.a.log())
    reload(w.a)
    w.a.wait_alarm(LINK, "SOURCE")
    row = w.a.wait_end(LINK, lambda e: e["last"]["result"] == result and re.search(says, e["last"]["why"]),
                       "%s: %s" % (result, says))
    expect(row["key_id"] is not None and row["seq"] >= before["seq"], "%s", row)
    w.a.wait_log("ev=burnt .*res=%s " % result, after=at)
    w.a.conf["sources"]["keys"] = good
    reload(w.a)
    w.a.wait_alarm(LINK, "SOURCE", on=False)


def kme_other_ca(w):
    w.kmes.make_certs("other", "--kme", "kme-x", "--sae", "SAE_X")
    w.rig.still_well()
    quiet_may_rotate(w)
    source_option(w, r"https://127\.0\.0\.1:\d+.*certificate", "auth", ca=w.kmes.dir + "/other/ca.crt")
    for site in (w.a, w.b):
        site.wait_rotations(LINK, 1)


def kme_other_name(w):
    quiet_may_rotate(w)
    source_option(w, r"https://127\.0\.0\.1:\d+.*KME_X", "auth", **{"kme-id": "KME_X"})
    for site in (w.a, w.b):
        site.wait_rotations(LINK, 1)


def kme_other_sae(w):
    """The certificate of a client that the KME does not know."""
    pki = w.kmes.dir + "/other/"
    quiet_may_rotate(w)
    source_option(w, r"https://127\.0\.0\.1:\d+", "auth", cert=pki + "SAE_X.crt", key="file:" + pki + "SAE_X.key")
    for site in (w.a, w.b):
        site.wait_rotations(LINK, 1)


def quiet_may_rotate(w):
    """A changed source changes all links that use it: it may not rotate them all the same."""
    for site in (w.a, w.b):
        expect(site.end(QUIET)["seq"] == w.quiet[site.name], "%s: the quiet link rotated", site.name)


def kme_down_at_start(w):
    w.a.stop()
    w.b.stop()
    w.kmes.a.kill()
    w.kmes.b.kill()
    w.a.start()
    w.b.start()
    row = held_key(w)
    expect(row["key_id"] is not None and re.search(r"https://127\.0\.0\.1:\d+", row["last"]["why"]), "%s", row)
    expect(row["last"]["result"] == "unreachable", "%s", row["last"])
    w.kmes.start()
    w.a.wait_alarm(LINK, "SOURCE", on=False)
    goes_on(w)


def main():
    one, two = rig.World(set_up_static), rig.World(set_up_kme)
    cases = [(name, one.case(function)) for name, function in (
        ("both ends are configured as master", role_conflict),
        ("a role that is changed during a rotation", role_changed_late),
        ("spool file cut off", spool_file(lambda good: good[:len(good) // 2], "ev=record-refused link=%s .*why=\"no record: " % LINK)),
        ("spool file of garbage", spool_file(lambda good: os.urandom(200), "ev=record-refused link=%s .*why=\"no record: " % LINK)),
        ("spool file too long", spool_file(lambda good: b"x" * 100000 + b"\n", "ev=record-refused link=%s .*why=\"no record: " % LINK)),
        ("spool file of text", spool_file(lambda good: b"rk1|hello\n", "ev=record-refused .*link=%s .*no record" % LINK)),
        ("empty spool file", spool_file(lambda good: b"", "ev=record-refused link=%s .*why=\"no record: " % LINK)),
        ("spool file with a forged record", spool_file(forged, "ev=record-refused .*link=%s .*wrong tag" % LINK)),
        ("spool file with a wrong tag", spool_file(bad_tag, "ev=record-refused .*link=%s .*wrong tag" % LINK)),
        ("spool file of another link", other_link_record),
        ("replayed spool files", replayed),
        ("garbage on the control socket", control_garbage),
        ("slow and too many clients", control_slow),
        ("a bad reload", bad_reload),
        ("reloads that add, change and remove a link", reload_links),
        ("reloads during rotations", reload_under_way),
        ("the journal may not grow", journal_limit),
        ("the disk is full", journal_full),
    )]
    cases.append(("all ends well", one.last_case()))
    cases += [(name, two.case(function)) for name, function in (
        ("KME that answers HTML", kme_fault("a", "html", "HTML|html|JSON")),
        ("KME with short keys", kme_fault("a", "short-key", "128|bits|16 bytes")),
        ("KME that refuses the slave", kme_fault("b", "refuse-dec", "503|refuse|busy")),
        ("KME that lost the key", kme_fault("b", "not-found", "key")),
        ("KME out of step with its peer", kme_out_of_step),
        ("KME with a certificate of another CA", kme_other_ca),
        ("KME with a certificate for another name", kme_other_name),
        ("client certificate that the KME does not know", kme_other_sae),
        ("KMEs down at the start", kme_down_at_start),
    )] + [("all ends well with KMEs", two.last_case())]
    try:
        return rig.run_cases(cases)
    finally:
        one.close()
        two.close()


sys.exit(main())
