# kme_faults_test.py - every fault word of rekey-kme, seen by a client over TLS.
import base64
import email.utils
import os
import socket
import ssl
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kme_lab  # noqa: E402
from kme_lab import expect  # noqa: E402

lab = None
SHORT_S = 0.3  # how long to wait for an answer that must not come


def enc(number=1, **options):
    return lab.ask("SAE_A", "kme-a", "SAE_B/enc_keys", {"number": number, "size": 256}, **options)


def dec(ids, **options):
    return lab.ask("SAE_B", "kme-b", "SAE_A/dec_keys", {"key_IDs": [{"key_ID": i} for i in ids]}, **options)


def status(**options):
    return lab.ask("SAE_A", "kme-a", "SAE_B/status", **options)


def new_keys(number=1):
    """Keys without a fault, by ID."""
    lab.fault("kme-a")
    return dict(enc(number).keys())


def level():
    lab.fault("kme-a")
    return status().json()["stored_key_count"]


def code(number):
    def case():
        lab.fault("kme-a", "%d" % number)
        lab.fault("kme-b", "%d" % number)
        for got in (status(), enc(), dec(["00000000-0000-4000-8000-000000000000"])):
            expect(got.code == number, "%s", got)
            expect(got.body == b"" if number == 401 else got.message(), "%s", got)
        before = level()
        lab.fault("kme-a", "%d@enc" % number)
        expect(enc().code == number and status().code == 200, "the call is not looked at")
        expect(level() == before, "keys were taken")
    return case


def retry_after():
    lab.fault("kme-a", "429:17s")
    got = enc()
    expect(got.code == 429 and got.headers["retry-after"] == "17", "%s", got)


def probability():
    """As often as asked for, and the same with the same seed."""
    runs = []
    for _ in range(2):
        runs.append([])
        one = kme_lab.Lab.__new__(kme_lab.Lab)
        one.__dict__.update(lab.__dict__, ports={}, process=None)
        one.dir = lab.dir
        one.start(pair(), "--seed", "11", "--fail", "503:30%")
        with one.connect("SAE_A", "kme-a") as s:
            for _ in range(100):
                runs[-1].append(one.ask("SAE_A", "kme-a", "SAE_B/status", on=s).code)
        one.stop()
    expect(runs[0] == runs[1], "two runs with one seed differ: %s", runs)
    expect(15 <= runs[0].count(503) <= 45 and runs[0].count(200) == 100 - runs[0].count(503), "%s", runs[0])


def slow():
    lab.fault("kme-a", "slow:150ms")
    begin = time.monotonic()
    expect(enc().code == 200, "no answer")
    expect(time.monotonic() - begin >= 0.15, "not slow")


def slow_loris():
    lab.fault("kme-a", "slow-loris:1ms")
    begin = time.monotonic()
    got = enc()
    expect(got.code == 200 and len(got.keys()) == 1 and got.headers["content-length"] == str(len(got.body)), "%s", got)
    expect(time.monotonic() - begin >= 0.1, "not slow")
    lab.fault("kme-a", "slow-loris:600s")
    expect("imed" in enc(wait=SHORT_S).why, "an answer came")


def html():
    before = level()
    lab.fault("kme-a", "html")
    got = enc()
    expect(got.code == 200 and got.body.startswith(b"<!DOCTYPE html>") and "text/html" in got.headers["content-type"],
           "%s", got)
    expect(level() == before, "keys were taken")


def spoilt(word, check):
    """A fault of the text of both calls; keys are taken."""
    def case():
        before = level()
        lab.fault("kme-a", word)
        got = enc(2)
        expect(got.code == 200, "%s", got)
        check(got, 2)
        expect(level() == before - 2, "keys were not taken")
        ids = list(new_keys(2))
        lab.fault("kme-b", word)
        check(dec(ids), 2)
        lab.fault("kme-b")
        expect(dec(ids).code == 400, "dec_keys did not take the keys")
    return case


def not_json(got, n):
    try:
        got.json()
    except (ValueError, RecursionError):
        return
    expect(False, "it is JSON: %s", got)


def length(n):
    def check(got, count):
        keys = [base64.b64decode(k, validate=True) for _, k in got.keys()]
        expect([len(k) for k in keys] == [n] * count, "%s", got)
    return check


def twice(got, n):
    ids = [i for i, _ in got.keys()]
    expect(len(ids) == n and len(set(ids)) == 1, "%s", got)


def count(off):
    return lambda got, n: expect(len({i for i, _ in got.keys()}) == n + off, "%s", got)


def not_base64(got, n):
    for _, key in got.keys():
        expect(len(key) == 44 and "!" in key, "%s", got)


def base64_url(got, n):
    for _, key in got.keys():
        expect(len(key) == 44 and not set(key) & set("+/"), "%s", got)


def unpadded(got, n):
    expect(all(len(key) == 43 for _, key in got.keys()), "%s", got)


def key_id(got, n):
    expect(len(got.keys("key_id")) == n, "%s", got)


def extensions(got, n):
    expect("key_container_extension" in got.json() and all("key_ID_extension" in k and "key_extension" in k
                                                          for k in got.json()["keys"]), "%s", got)


def huge(got, n):
    expect(len(got.body) > 128 * 1024 and len(got.keys()) == n, "%s", got)


def untyped(got, n):
    expect("content-type" not in got.headers and len(got.keys()) == n, "%s", got)


def one_key_twice():
    lab.fault("kme-a", "twice")
    ids = [i for i, _ in enc(1).keys()]
    expect(len(ids) == 2 and ids[0] == ids[1], "%s", ids)


def again():
    first = list(new_keys())
    lab.fault("kme-a", "again")
    for _ in range(2):
        expect([i for i, _ in enc().keys()] == first, "another ID")
    expect(list(new_keys()) != first, "it stays when the fault is gone")


def wrong_key():
    """Other bytes than at the other side, also when both sides have the fault."""
    for words in ("", "wrong-key"):
        keys = new_keys()
        if words:
            lab.fault("kme-a", words)
            keys = dict(enc().keys())
        lab.fault("kme-b", "wrong-key")
        theirs = dict(dec(keys).keys())
        expect(list(theirs) == list(keys) and theirs != keys, "%s %s", keys, theirs)


def wrong_id():
    keys = new_keys()
    lab.fault("kme-b", "wrong-id")
    got = dec(keys)
    expect(got.code == 200 and got.keys()[0][0] not in keys and got.keys()[0][1] in keys.values(), "%s", got)


def gone(word, stays):
    def case():
        keys = new_keys()
        lab.fault("kme-b", word)
        got = dec(keys)
        expect(got.code == 400 and got.message() == "one or more keys specified are not found on KME", "%s", got)
        lab.fault("kme-b")
        expect(dec(keys).code == (200 if stays else 400), "stays is not %s", stays)
    return case


def late():
    keys, begin, before = new_keys(), time.monotonic(), 0
    lab.fault("kme-b", "late:250ms")
    while dec(keys).code == 400:
        before += 1
        expect(time.monotonic() - begin < kme_lab.WAIT_S, "it never comes")
        time.sleep(0.02)
    expect(before > 0 and time.monotonic() - begin >= 0.2, "it came at once")


def empty():
    before = level()
    lab.fault("kme-a", "empty")
    expect(enc().keys() == [], "there are keys")
    expect(level() == before, "keys were taken")


def refuse(word, calls):
    def case():
        lab.fault("kme-a", word)
        lab.fault("kme-b", word)
        got = {"status": status().code, "enc": enc().code, "dec": dec(["x"]).code}
        expect({c for c in got if got[c] == (401 if word == "unauthorized" else 503)} == set(calls), "%s", got)
    return case


def lies(word, check):
    def case():
        lab.fault("kme-a", word)
        got = status()
        expect(got.code == 200 and got.json()["slave_SAE_ID"] == "SAE_B", "%s", got)
        expect(check(got.json()), "%s", got)
    return case


def hang(word, takes):
    def case():
        before = level()
        lab.fault("kme-a", word)
        expect("imed" in enc(wait=SHORT_S).why, "an answer came")
        expect(level() == before - takes, "keys taken: %s", before - level())
    return case


def descriptors():
    return len(os.listdir("/proc/%d/fd" % lab.process.pid))


def hung_connections_go():
    """What hangs is forgotten when its client goes: else a test of hours would eat the descriptors."""
    lab.fault("kme-a", "hang")
    before, begin = lab.log_text().count("code=0"), time.monotonic()
    kept = [lab.connect("SAE_A", "kme-a") for _ in range(5)]
    for s in kept:
        s.sendall(b"GET /api/v1/keys/SAE_B/status HTTP/1.1\r\nHost: k\r\n\r\nGET /more")
    while lab.log_text().count("code=0") < before + 5:
        expect(time.monotonic() - begin < kme_lab.WAIT_S, "they did not come")
        time.sleep(0.01)
    expect(descriptors() >= lab.idle + 5, "%d are open", descriptors())
    for s in kept:
        s.close()
    while descriptors() > lab.idle:
        expect(time.monotonic() - begin < kme_lab.WAIT_S, "they stay: %d, not %d", descriptors(), lab.idle)
        time.sleep(0.01)


def end_of(sae, kme, path):
    """How TCP ends when a request is not answered; the ssl module does not tell."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    lab.connect(sae, kme).close()  # makes the context
    tls = lab.contexts[sae].wrap_bio(into, out, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", lab.ports[kme]), kme_lab.WAIT_S) as s:
        step = tls.do_handshake
        while True:
            try:
                step()
                if step != tls.do_handshake:
                    return "an answer"
                step = tls.read
                tls.write(b"GET /api/v1/keys/%s HTTP/1.1\r\nHost: k\r\n\r\n" % path.encode())
            except ssl.SSLWantReadError:
                try:
                    s.sendall(out.read())
                    data = s.recv(65536)
                except ConnectionResetError:
                    return "reset"
                if not data:
                    return "closed"
                into.write(data)


def ends(word, takes, how):
    def case():
        before = level()
        lab.fault("kme-a", word)
        got = end_of("SAE_A", "kme-a", "SAE_B/enc_keys")
        expect(got == how, "%s", got)
        expect(level() == before - takes, "keys taken: %s", before - level())
    return case


def certificate(word, why):
    def case():
        lab.fault("kme-a", word)
        got = status()
        expect(got.code == 0 and why in got.why, "%s", got)
        lab.fault("kme-a")
        expect(status().code == 200, "it stays when the fault is gone")
    return case


def clock():
    lab.fault("kme-a", "clock:-7200s")
    when = email.utils.parsedate_to_datetime(status().headers["date"]).timestamp()
    expect(7100 < time.time() - when < 7300, "%s", when)


def endless():
    lab.fault("kme-a", "endless")
    got = enc(most=3 << 20)
    expect(got.code == 0 and "more than" in got.why, "%s", got)
    lab.fault("kme-a")
    expect(status().code == 200, "nothing goes any more")


def headers():
    lab.fault("kme-a", "headers")
    got = status()
    expect(got.code == 200 and sum(len(k) + len(v) for k, v in got.headers.items()) > 512 * 1024, "%s", got.code)


def several():
    """Two faults at once; others go on while one waits."""
    lab.fault("kme-a", "slow:600s short-key@enc")
    before, begin = lab.log_text().count("ev=request"), time.monotonic()
    with lab.connect("SAE_A", "kme-a") as s:
        s.sendall(b"GET /api/v1/keys/SAE_B/enc_keys HTTP/1.1\r\nHost: k\r\n\r\n")
        while lab.log_text().count("ev=request") == before:
            expect(time.monotonic() - begin < kme_lab.WAIT_S, "it did not come")
            time.sleep(0.005)
        lab.fault("kme-a", "slow:50ms short-key@enc")
        length(16)(enc(), 1)


def all_are_seen():
    """A fault that is added to the KME has to be added here."""
    listed = subprocess.run([kme_lab.KME, "--list-faults"], capture_output=True, text=True, check=True).stdout
    words = {line.split("\t")[0].split(":")[0] for line in listed.splitlines()} - {"none"}
    text = open(__file__).read()
    missing = {w for w in words if '"%s' % w not in text and w not in {str(c) for c in CODES}}
    expect(len(words) > 50 and not missing, "no case for %s", missing)


CODES = (400, 401, 403, 404, 405, 409, 412, 429, 500, 502, 503, 504)


def pair():
    return [lab.kme("kme-a", ["SAE_A"], {"kme-b": ["SAE_B"]}, pool={"keys": 100000}),
            lab.kme("kme-b", ["SAE_B"], {"kme-a": ["SAE_A"]})]


def clean(case):
    def run():
        try:
            case()
        finally:
            lab.fault("kme-a")
            lab.fault("kme-b")
    return run


def main():
    global lab
    lab = kme_lab.Lab(["kme-a", "kme-b"], ["SAE_A", "SAE_B"])
    cases = [("code %d" % c, code(c)) for c in CODES]
    cases += [("429 with Retry-After", retry_after), ("probability repeats with its seed", probability),
              ("slow", slow), ("slow-loris", slow_loris), ("html", html), ("empty", empty), ("clock", clock),
              ("short-key", spoilt("short-key", length(16))), ("long-key", spoilt("long-key", length(64))),
              ("truncated", spoilt("truncated", not_json)), ("binary", spoilt("binary", not_json)),
              ("deep", spoilt("deep", not_json)), ("huge", spoilt("huge", huge)),
              ("untyped", spoilt("untyped", untyped)),
              ("twice", spoilt("twice", twice)), ("twice: of one key", one_key_twice), ("again", again),
              ("too-many", spoilt("too-many", count(1))), ("too-few", spoilt("too-few", count(-1))),
              ("base64", spoilt("base64", not_base64)), ("base64-url", spoilt("base64-url", base64_url)),
              ("unpadded", spoilt("unpadded", unpadded)), ("key-id", spoilt("key-id", key_id)),
              ("extensions", spoilt("extensions", extensions)), ("wrong-key", wrong_key), ("wrong-id", wrong_id),
              ("not-found: keys stay", gone("not-found", True)), ("consumed: keys are gone", gone("consumed", False)),
              ("late", late), ("refuse", refuse("refuse", ["status", "enc", "dec"])),
              ("refuse-enc", refuse("refuse-enc", ["enc"])), ("refuse-dec", refuse("refuse-dec", ["dec"])),
              ("unauthorized", refuse("unauthorized", ["status", "enc", "dec"])),
              ("status-zero", lies("status-zero", lambda s: s["stored_key_count"] == 0)),
              ("status-negative", lies("status-negative", lambda s: s["stored_key_count"] < 0)),
              ("status-huge", lies("status-huge", lambda s: s["stored_key_count"] > 1e200)),
              ("status-strings", lies("status-strings", lambda s: s["key_size"] == "256")),
              ("status-short", lies("status-short", lambda s: "key_size" not in s)),
              ("hang: nothing is done", hang("hang", 0)), ("hang-after: all is done", hang("hang-after", 1)),
              ("what hangs goes with its client", hung_connections_go),
              ("drop: all is done", ends("drop", 1, "closed")),
              ("reset: nothing is done", ends("reset", 0, "reset")),
              ("reset-after: all is done", ends("reset-after", 1, "reset")),
              ("expired", certificate("expired", "expired")), ("future", certificate("future", "not yet valid")),
              ("endless", endless), ("headers", headers), ("two faults at once", several),
              ("every fault has a case", all_are_seen)]
    try:
        lab.start(pair())
        lab.idle = descriptors()
        return kme_lab.run([(name, clean(case)) for name, case in cases] + [("ends well", lab.stop)])
    finally:
        lab.close()


sys.exit(main())
