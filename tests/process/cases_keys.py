# cases_keys.py - failure cases of getting a key (doc/reliability.md): a crash with the key in hand, answers that are
# lost, keys that come twice or are of the wrong size.  A KME at each end.
import base64
import http.server
import json
import os
import re
import ssl
import sys
import threading
import urllib.parse

sys.dont_write_bytecode = True
import rig  # noqa: E402
from cases_rig import (LINK, arm, counts, device_ops, ended, events, goes_on, kme_source, pair,  # noqa: E402
                       rotate, run, settled)
from rig import expect  # noqa: E402


def set_up(w):
    pair(w, ("sim", "spool", "etsi014"), kme_source)


def asked(w, name, verb):
    """Key IDs of the calls of one KME that were answered with keys."""
    with open("%s/%s.log" % (w.rig.dir, name)) as f:
        return re.findall(r"path=\S*/%s.* code=200 .*first=(\S+)" % verb, f.read())


def burnt(site, seq):
    rows = events(site, seq, "burnt")
    expect(len(rows) == 1, "%s: burnt in rotation %d: %s", site.name, seq, events(site, seq))
    return rows[0]


def case_master_dies_after_enc_keys(w):
    """the key is given up without having been on a device, a new number gets a new one"""
    arm(w.a, "phase=intent act=get-new when=answered")
    seq = rotate(w)
    ended(w.a, -9)
    lost = asked(w, "kme-a", "enc_keys")[-1]
    w.a.start()
    row = settled(w, above=seq + 1)
    burnt(w.a, seq + 1)
    expect(row["key_id"] != lost and not device_ops(w, "east", lost), "%s: the key went to the device", lost)
    expect(lost not in asked(w, "kme-b", "dec_keys"), "the slave asked for it")


def case_slave_dies_after_dec_keys(w):
    """the slave says no, the master takes the key off its device, both go on with a new one"""
    arm(w.b, "phase=intent act=get-by-id when=answered")
    seq = rotate(w)
    ended(w.b, -9)
    lost = asked(w, "kme-b", "dec_keys")[-1]
    w.b.start()
    settled(w, above=seq + 1)
    burnt(w.b, seq + 1)
    expect("the peer could not take the key" in burnt(w.a, seq + 1)["why"], "%s", burnt(w.a, seq + 1))
    expect(device_ops(w, "east", lost) == ["stage", "retire"], "master: %s", device_ops(w, "east", lost))
    expect("stage" not in device_ops(w, "west", lost), "slave: %s", device_ops(w, "west", lost))
    expect(asked(w, "kme-b", "dec_keys").count(lost) == 1, "it was asked for again")


def case_dec_keys_reply_lost(w):
    """the slave asks for the same key again, is refused, and says no; a new key when the KME answers again"""
    failed = w.b.end(LINK)["failed"]
    w.kmes.b.fault("drop")
    seq = rotate(w)
    w.b.wait_end(LINK, lambda e: e["failed"] > failed and e["seq"] > seq, "the slave gives it up")
    w.kmes.b.fault("none")
    row = settled(w, above=seq + 1)
    key = burnt(w.b, seq + 1)["key_id"]
    expect(asked(w, "kme-a", "enc_keys").count(key) == 1, "%s is not the master's key", key)
    expect(asked(w, "kme-b", "dec_keys").count(key) == 1, "it did not get lost: %s", asked(w, "kme-b", "dec_keys"))
    expect("stage" not in device_ops(w, "west", key), "slave: %s", device_ops(w, "west", key))
    expect("the peer could not take the key" in burnt(w.a, seq + 1)["why"] and row["key_id"] != key, "%s", row)


def case_enc_keys_reply_lost(w):
    """never asked for again: counted as orphaned, a new number gets a new key"""
    before, was = w.a.end(LINK), counts(w)
    w.kmes.a.fault("drop")
    seq = rotate(w)
    w.a.wait_end(LINK, lambda e: e["orphaned"] > before["orphaned"], "a key is counted as orphaned")
    lost = asked(w, "kme-a", "enc_keys")[-1]
    expect(counts(w) == was, "a device was told something")
    w.kmes.a.fault("none")
    row = settled(w, above=seq + 1)
    burnt(w.a, seq + 1)
    expect(row["key_id"] != lost and lost not in asked(w, "kme-b", "dec_keys"), "the lost key was used")
    expect(not device_ops(w, "east", lost), "the lost key is on a device")


def wrong_size(w, kme, site, words):
    row = settled(w)
    was = counts(w)
    kme.fault(words)
    seq = rotate(w)
    site.wait_end(LINK, lambda e: e["failed"] and e["last"] and e["last"]["result"] == "key-size", "the key is refused")
    first = burnt(site, seq + 1)
    expect(first["result"] == "key-size", "%s", first)
    now = counts(w)
    expect(all(now[op, site_device] == was[op, site_device] for op in ("stage", "activate") for site_device in
               ("east" if site is w.a else "west",)), "a key of the wrong size was staged: %s %s", was, now)
    expect(site.end(LINK)["key_id"] == row["key_id"], "the key in use changed")
    expect(site.plugin("etsi014")["wasted"]["keys"] >= 1, "%s", site.plugin("etsi014"))
    kme.fault("none")
    settled(w, above=seq + 1)


def case_key_too_short(w):
    """refused at either end, never stretched; the old key stays"""
    wrong_size(w, w.kmes.a, w.a, "short-key")
    wrong_size(w, w.kmes.b, w.b, "short-key")


def case_key_too_long(w):
    """refused at either end, never cut; the old key stays"""
    wrong_size(w, w.kmes.a, w.a, "long-key")
    wrong_size(w, w.kmes.b, w.b, "long-key")


# ---- a KME that gives a key twice ----

class Forgetful(http.server.BaseHTTPRequestHandler):
    """Gives the key IDs that the test says, each as often as it is asked for; one store behind both KMEs."""
    protocol_version = "HTTP/1.1"
    next_ids, keys = [], {}

    def log_message(self, *args):
        pass

    def key(self, key_id):
        return {"key_ID": key_id, "key": self.keys.setdefault(key_id, base64.b64encode(os.urandom(32)).decode())}

    def answer(self, body):
        url = urllib.parse.urlsplit(self.path)
        if url.path.endswith("/enc_keys"):
            said = {"keys": [self.key(self.next_ids.pop(0) if self.next_ids else new_id())]}
        elif url.path.endswith("/dec_keys"):
            query = urllib.parse.parse_qs(url.query)
            ids = [k["key_ID"] for k in json.loads(body)["key_IDs"]] if body else query["key_ID"]
            said = {"keys": [self.key(i) for i in ids]}
        else:
            said = {"source_KME_ID": "K", "target_KME_ID": "L", "master_SAE_ID": "SAE_A", "slave_SAE_ID": "SAE_B",
                    "key_size": 256, "stored_key_count": 100, "max_key_count": 100, "max_key_per_request": 1,
                    "max_key_size": 256, "min_key_size": 256, "max_SAE_ID_count": 0}
        data = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))


def new_id():
    text = os.urandom(16).hex()
    return "-".join((text[:8], text[8:12], "4" + text[13:16], "8" + text[17:20], text[20:]))


def forgetful_source(w):
    w.kmes = rig.KmePair(w.rig)
    pki = w.kmes.dir + "/pki/"
    for kme in (w.kmes.a, w.kmes.b):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forgetful)
        server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki + kme.name + ".crt", pki + kme.name + ".key")
        context.load_verify_locations(pki + "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True)
        kme.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
    return w.kmes.source


def set_up_forgetful(w):
    pair(w, ("sim", "spool", "etsi014"), forgetful_source)


def case_key_id_given_twice(w):
    """a key ID that is in use is refused before anything is done with it; the next one is taken"""
    row = goes_on(w)
    was = counts(w)
    Forgetful.next_ids[:] = [row["key_id"]]
    seq = rotate(w)
    after = settled(w, above=seq + 1)
    expect("gave before" in burnt(w.a, seq + 1)["why"], "%s", burnt(w.a, seq + 1))
    expect(after["key_id"] != row["key_id"], "the same key again")
    now = counts(w)
    expect(now["stage", "east"] == was["stage", "east"] + 1 and now["stage", "west"] == was["stage", "west"] + 1,
           "more was staged than the next key: %s %s", was, now)
    goes_on(w)


def case_key_id_given_again_later(w):
    """a key ID that left use some rotations ago is refused as well: its key would be transmitted on a second time"""
    old = goes_on(w)["key_id"]
    for _ in range(4):
        goes_on(w)
    Forgetful.next_ids[:] = [old]
    seq = rotate(w)
    after = settled(w, above=seq + 1)
    expect("gave before" in burnt(w.a, seq + 1)["why"], "%s", burnt(w.a, seq + 1))
    expect(after["key_id"] != old, "the old key again")
    goes_on(w)


sys.exit(run([(set_up, [case_master_dies_after_enc_keys, case_slave_dies_after_dec_keys, case_dec_keys_reply_lost,
                        case_enc_keys_reply_lost, case_key_too_short, case_key_too_long]),
              (set_up_forgetful, [case_key_id_given_twice, case_key_id_given_again_later])]))
