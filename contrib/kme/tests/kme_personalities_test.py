# kme_personalities_test.py - how the servers that are out there differ: every cell of the manual's table, over TLS.
import base64
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kme_lab  # noqa: E402
from kme_lab import expect  # noqa: E402

NAMES = ("strict", "next-door", "rust", "mock", "vendor")
lab = None


class Pair:
    """The two KMEs of a personality, asked as SAE_A and SAE_B."""

    def __init__(self, name):
        self.a, self.b = name + "-a", name + "-b"
        self.key_id = "keyId" if name == "vendor" else "key_ID"

    def status(self, sae="SAE_A"):
        return lab.ask(sae, self.a, "SAE_B/status")

    def enc(self, body, sae="SAE_A", to="SAE_B"):
        return lab.ask(sae, self.a, to + "/enc_keys", body)

    def get(self, query, sae="SAE_A"):
        return lab.ask(sae, self.a, "SAE_B/enc_keys" + query)

    def dec(self, body, sae="SAE_B"):
        return lab.ask(sae, self.b, "SAE_A/dec_keys", body)

    def get_dec(self, query):
        return lab.ask("SAE_B", self.b, "SAE_A/dec_keys" + query)

    def new(self, body=None):
        """IDs of new keys."""
        got = self.enc(body or {})
        expect(got.code == 200, "%s", got)
        return [i for i, _ in got.keys(self.key_id)]

    def fetch(self, ids):
        return self.dec({"key_IDs": [{"key_ID": i} for i in ids]})


pairs = {name: Pair(name) for name in NAMES}
strict, next_door, rust, mock, vendor = (pairs[name] for name in NAMES)


def error(got, code, message=None, kind="application/json"):
    """An error of this code, message and type; kind None: without a Content-Type, "bare": without a body."""
    expect(got.code == code, "%s", got)
    if kind == "bare":
        expect(got.body == b"" and "content-type" not in got.headers, "%s", got)
        return
    expect(got.headers.get("content-type", "").split(";")[0] == (kind or ""), "%s", got)
    if kind == "text/html":
        expect(got.body.startswith(b"<!DOCTYPE html>"), "%s", got)
    elif kind == "text/plain":
        expect(message is None or got.body.decode().strip() == message, "%s", got)
    else:
        expect(got.message() if message is None else got.message() == message, "%s", got)


def sizes(got, name="key_ID"):
    return [len(base64.b64decode(key)) for _, key in got.keys(name)]


def keys_are_the_same(pair):
    def case():
        ids = pair.new()
        ours = pair.fetch(ids) if pair is not vendor else pair.dec({"key_IDs": ids})
        expect([i for i, _ in ours.keys(pair.key_id)] == ids and sizes(ours, pair.key_id) == [32], "%s", ours)
    return case


NOT_FOUND = "one or more keys specified are not found on KME"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def consumed(pair, code, *rest):
    """A second fetch, and an ID that never was."""
    def case():
        ids = pair.new()
        expect(pair.fetch(ids).code == 200, "the first fetch")
        error(pair.fetch(ids), code, *rest)
    return case


def unknown(pair, code, *rest):
    return lambda: error(pair.fetch([UNKNOWN]), code, *rest)


def next_door_consumed():
    first, second = next_door.new({"number": 2})
    expect(next_door.fetch([first]).code == 200, "the first fetch")
    error(next_door.fetch([first]), 400, "Some of the requested keys do not exist in this KME.")
    expect(next_door.fetch([second]).code == 200, "the second one")
    error(next_door.fetch([second]), 401, "The given master_sae_id is not involved in any key exchanges.")


def not_consumed(pair):
    def case():
        ids = pair.new()
        for _ in range(3):
            expect(pair.fetch(ids).code == 200, "it was consumed")
    return case


def many_outstanding(pair):
    def case():
        ids = [pair.new()[0] for _ in range(3)]
        for i in ids:
            expect(pair.fetch([i]).code == 200, "%s is lost", i)
    return case


def next_door_replaces():
    lost, kept = next_door.new(), next_door.new()
    error(next_door.fetch(lost), 400, "Some of the requested keys do not exist in this KME.")
    expect(next_door.fetch(kept).code == 200, "the second is lost too")


def stored(pair, check):
    def case():
        counts = [pair.status().json()["stored_key_count"] for _ in range(5)]
        expect(check(counts), "%s", counts)
    return case


def next_door_stored():
    next_door.fetch(next_door.new())
    expect(next_door.status().json()["stored_key_count"] == 0, "%s", next_door.status())
    ids = next_door.new({"number": 3})
    expect(next_door.status().json()["stored_key_count"] == 3, "%s", next_door.status())
    next_door.fetch(ids)


def strict_size():
    error(strict.enc({"size": 100}), 400, "size shall be a multiple of 8")
    expect(sizes(strict.enc({"size": 512})) == [64], "size 512")
    expect(sizes(strict.get("?size=128&number=2")) == [16, 16], "GET")


def next_door_size():
    expect(sizes(next_door.enc({"size": 100})) == [12], "100 bits are 12 bytes")
    expect(sizes(next_door.get("?size=128&number=3")) == [32], "GET ignores size and number")


def rust_size():
    expect(sizes(rust.enc({"size": 512, "number": 2})) == [32, 32], "size is ignored")
    expect(sizes(rust.get("?size=128&number=3")) == [32], "GET ignores size and number")


def only_256(pair, *rest):
    def case():
        error(pair.enc({"size": 512}), 400, "size is out of range", *rest)
        expect(pair.enc({"size": 256}).code == 200, "size 256")
    return case


def number(pair, most, *rest):
    def case():
        expect(pair.status().json()["max_key_per_request"] == most, "%s", pair.status())
        expect(len(pair.new({"number": most})) == most, "number %d", most)
        error(pair.enc({"number": most + 1}), 400, *rest)
    return case


def rust_number_0():
    expect(rust.enc({"number": 0}).json() == {"keys": []}, "%s", rust.enc({"number": 0}))


def bad_json(pair, code, *rest):
    def case():
        error(pair.enc(b"{\"number\":"), code, *rest)
        error(pair.enc(b""), code, *rest)
    return case


def rust_bad_json():
    for body in (b"{\"number\":", b"", b"[]", b"{\"number\":\"x\"}"):
        got = rust.enc(body)
        expect(got.code == 200 and len(got.keys()) == 1, "%s: %s", body, got)


def no_key_id(pair, code, *rest):
    return lambda: error(pair.get_dec(""), code, *rest)


def next_door_no_key_id():
    next_door.fetch(next_door.new())
    error(next_door.get_dec(""), 401, "The given master_sae_id is not involved in any key exchanges.")
    next_door.new()
    expect(next_door.get_dec("").json() == {"keys": []}, "%s", next_door.get_dec(""))


def rust_no_key_id():
    expect(rust.get_dec("").json() == {"keys": []}, "%s", rust.get_dec(""))


def strings(pair, code, *rest):
    def case():
        error(pair.dec({"key_IDs": pair.new()}), code, *rest)
    return case


def vendor_strings():
    got = vendor.dec({"key_IDs": vendor.new()})
    expect(got.code == 200 and len(got.keys("keyId")) == 1, "%s", got)


MANDATORY = {"extension_mandatory": [{"abc_route": "direct"}]}


def extension_refused(pair):
    return lambda: error(pair.enc(MANDATORY), 400, "not all extension_mandatory parameters are supported")


def extension_ignored(pair):
    return lambda: expect(pair.enc(MANDATORY).code == 200, "%s", pair.enc(MANDATORY))


def stranger(pair, code, *rest):
    return lambda: error(pair.status("SAE_X"), code, *rest)


def mock_stranger():
    expect(mock.status("SAE_X").code == 200, "%s", mock.status("SAE_X"))


def other_slave(pair, code, *rest):
    def case():
        error(pair.dec({"key_IDs": [{"key_ID": i} for i in pair.new()]}, sae="SAE_C"), code, *rest)
    return case


def integer_saes():
    """rust-like with SAE IDs as that server has them."""
    error(lab.ask("1001", "int-a", "SAE_B/status"), 400, "Bad request", None)
    got = lab.ask("1001", "int-a", "1002/enc_keys", {"number": 2})
    expect(got.code == 200 and len(got.keys()) == 2, "%s", got)
    body = {"key_IDs": [{"key_ID": i} for i, _ in got.keys()]}
    expect(lab.ask("1002", "int-b", "1001/dec_keys", body).json() == got.json(), "%s", got)


def unknown_slave(pair, code, *rest):
    return lambda: error(pair.enc({}, to="SAE_Y"), code, *rest)


def method(pair, code, *rest):
    return lambda: error(lab.ask("SAE_A", pair.a, "SAE_B/status", {}), code, *rest)


def path(pair, *rest):
    return lambda: error(lab.ask("SAE_A", pair.a, "SAE_B/nothing"), 404, *rest)


def rust_codes():
    """The other codes of that server, by fault words: in its form."""
    for code in (409, 412, 500, 504):
        lab.fault(rust.a, "%d" % code)
        error(rust.enc({}), code, None, None)
    lab.fault(rust.a)


def rust_pretty():
    for got in (rust.status(), rust.enc({"number": 2}), rust.enc({"number": 11})):
        expect(got.body.startswith(b"{\n  \"") and got.body.endswith(b"}"), "%s", got)


def mock_ids():
    ids = [mock.new()[0] for _ in range(20)]
    expect(all(i.startswith("ffffffff-") for i in ids) and len(set(ids)) == 20, "%s", ids)


def next_door_one_at_a_time():
    """A slow answer holds up the next one, though that one is not slow itself."""
    lab.fault(next_door.a, "slow:500ms@enc")
    with lab.connect("SAE_A", next_door.a) as s:
        before = lab.log_text().count("ev=request kme=" + next_door.a)
        s.sendall(b"GET /api/v1/keys/SAE_B/enc_keys HTTP/1.1\r\nHost: k\r\n\r\n")
        while lab.log_text().count("ev=request kme=" + next_door.a) == before:
            pass
        begin = time.monotonic()
        expect(lab.ask("SAE_A", next_door.a, "SAE_B/status").code == 200, "status")
        expect(time.monotonic() - begin > 0.3, "it was answered at once")
    lab.fault(next_door.a)


def vendor_options():
    error(lab.ask("SAE_A", "first-a", "SAE_B/enc_keys"), 412, "ask for status first")
    expect(lab.ask("SAE_A", "first-a", "SAE_B/status").code == 200, "status")
    got = lab.ask("SAE_A", "first-a", "SAE_B/enc_keys")
    expect(got.code == 200 and got.keys("key_id"), "%s", got)
    error(lab.ask("SAE_B", "first-b", "SAE_A/status"), 404)


def lists():
    listed = subprocess.run([kme_lab.KME, "--list-personalities"], capture_output=True, text=True, check=True).stdout
    expect([line.split("\t")[0] for line in listed.splitlines()] == ["strict"] + [n + "-like" for n in NAMES[1:]],
           "%s", listed)


CASES = [
    ("strict: consumed: 400", consumed(strict, 400, NOT_FOUND)),
    ("strict: unknown: 400", unknown(strict, 400, NOT_FOUND)),
    ("next-door: consumed: 400 or 401", next_door_consumed),
    ("rust: unknown: 404", unknown(rust, 404, "Element not found", None)),
    ("rust: keys are not consumed", not_consumed(rust)),
    ("mock: keys are not consumed", not_consumed(mock)),
    ("mock: unknown: 404", unknown(mock, 404, "key not found", "text/plain")),
    ("vendor: unknown: 404", unknown(vendor, 404, "key not found")),
    ("vendor: consumed: 404", consumed(vendor, 404, "key not found")),
    ("strict: many outstanding", many_outstanding(strict)),
    ("rust: many outstanding", many_outstanding(rust)),
    ("mock: many outstanding", many_outstanding(mock)),
    ("vendor: many outstanding", many_outstanding(vendor)),
    ("next-door: the second enc_keys replaces the first", next_door_replaces),
    ("strict: stored_key_count is real", stored(strict, lambda c: c[0] > 1000)),
    ("next-door: stored_key_count is what was not fetched", next_door_stored),
    ("mock: stored_key_count is random", stored(mock, lambda c: len(set(c)) > 1 and all(10 <= n <= 10000 for n in c))),
    ("vendor: stored_key_count is 1", stored(vendor, lambda c: set(c) == {1})),
    ("strict: size", strict_size),
    ("next-door: size", next_door_size),
    ("rust: size", rust_size),
    ("mock: size 256 only", only_256(mock, "text/plain")),
    ("vendor: size 256 only", only_256(vendor)),
    ("strict: number up to 128", number(strict, 128)),
    ("rust: number up to 10", number(rust, 10, "Bad request", None)),
    ("rust: number 0", rust_number_0),
    ("mock: number 1 only", number(mock, 1, None, "text/plain")),
    ("next-door: number up to 128", number(next_door, 128)),
    ("vendor: number up to 20", number(vendor, 20)),
    ("strict: bad JSON: 400", bad_json(strict, 400)),
    ("next-door: bad JSON: HTML", bad_json(next_door, 400, None, "text/html")),
    ("rust: bad JSON is no matter", rust_bad_json),
    ("mock: bad JSON: 400", bad_json(mock, 400, "invalid JSON payload", "text/plain")),
    ("strict: GET without key_ID: 400", no_key_id(strict, 400)),
    ("next-door: GET without key_ID", next_door_no_key_id),
    ("rust: GET without key_ID: no keys", rust_no_key_id),
    ("mock: GET without key_ID: 400", no_key_id(mock, 400, None, "text/plain")),
    ("strict: IDs as strings: 400", strings(strict, 400)),
    ("next-door: IDs as strings: 500", strings(next_door, 500, None, "text/html")),
    ("rust: IDs as strings: 400", strings(rust, 400, "Bad request", None)),
    ("mock: IDs as strings: 400", strings(mock, 400, None, "text/plain")),
    ("vendor: IDs as strings", vendor_strings),
    ("strict: extension_mandatory: 400", extension_refused(strict)),
    ("vendor: extension_mandatory: 400", extension_refused(vendor)),
    ("next-door: extension_mandatory is ignored", extension_ignored(next_door)),
    ("rust: extension_mandatory is ignored", extension_ignored(rust)),
    ("mock: extension_mandatory is ignored", extension_ignored(mock)),
    ("strict: stranger: 401", stranger(strict, 401, None, "bare")),
    ("next-door: stranger: 401 HTML", stranger(next_door, 401, None, "text/html")),
    ("rust: stranger: 401", stranger(rust, 401, "Authentication error", None)),
    ("mock: no strangers", mock_stranger),
    ("vendor: stranger: 403", stranger(vendor, 403)),
    ("strict: other slave: 401", other_slave(strict, 401, None, "bare")),
    ("next-door: other slave: 401", other_slave(next_door, 401)),
    ("rust: other slave: 401", other_slave(rust, 401, "Authentication error", None)),
    ("mock: other slave: 404", other_slave(mock, 404, "key not found", "text/plain")),
    ("rust: SAE IDs are integers", integer_saes),
    ("strict: unknown slave: 400", unknown_slave(strict, 400)),
    ("next-door: unknown slave: 400", unknown_slave(next_door, 400)),
    ("vendor: unknown slave: 404", unknown_slave(vendor, 404)),
    ("strict: POST status: 405", method(strict, 405)),
    ("mock: POST status: 405", method(mock, 405, None, "text/plain")),
    ("next-door: POST status: 405", method(next_door, 405, None, "text/html")),
    ("rust: another path: 404", path(rust, "Element not found", None)),
    ("strict: another path: 404", path(strict)),
    ("rust: other codes", rust_codes),
    ("rust: JSON on several lines", rust_pretty),
    ("mock: IDs begin with ffffffff", mock_ids),
    ("next-door: one at a time", next_door_one_at_a_time),
    ("vendor: status first, status none, key_id", vendor_options),
    ("personalities are listed", lists),
] + [("%s: both sides have the same key" % name, keys_are_the_same(pairs[name])) for name in NAMES]


def configuration():
    kmes = []

    def add(name, as_name, a, b, a_options=None, b_options=None):
        kmes.append(lab.kme(name + "-a", a, {name + "-b": b}, personality=as_name, **a_options or {}))
        kmes.append(lab.kme(name + "-b", b, {name + "-a": a}, personality=as_name, **b_options or {}))

    for name in NAMES:
        add(name, "strict" if name == "strict" else name + "-like", ["SAE_A"], ["SAE_B", "SAE_C"])
    add("int", "rust-like", ["1001"], ["1002"], {"sae-ids": "integer"}, {"sae-ids": "integer"})
    add("first", "vendor-like", ["SAE_A"], ["SAE_B"], {"status": "first", "key-id-name": "key_id"}, {"status": "none"})
    for kme in kmes:  # one certificate for all: who a KME is does not matter here
        pki = {k: v for k, v in kme.items() if isinstance(v, str) and v.startswith("pki/")}
        kme.update({k: v.replace(kme["id"], "kme") for k, v in pki.items()})
    return kmes


def main():
    global lab
    lab = kme_lab.Lab(["kme"], ["SAE_A", "SAE_B", "SAE_C", "SAE_X", "1001", "1002"])
    try:
        lab.start(configuration())
        return kme_lab.run(CASES + [("ends well", lab.stop)])
    finally:
        lab.close()


sys.exit(main())
