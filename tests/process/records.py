# records.py - records of two sites with a spool channel, as somebody in between sees and makes them.
#
# A Recorder keeps every record that either end ever publishes.  sign() makes a record with the right tag, as only one
# who has the auth-key can, or a channel key: channel_key() makes that of a key, as only one who has the key can.  put()
# writes any bytes where an end looks for its peer's record.
import hashlib
import hmac
import os
import threading

import rig

POLL_S = 0.002


def auth_key(site):
    with open(site.dir + "/auth.key", "rb") as f:
        return f.read().rstrip(b"\n")


def words(*texts):
    return b"".join(text.encode() + b"\0" for text in texts)


def hkdf(secret, info, n=32):
    """RFC 5869 with SHA-256, without salt."""
    prk, out, block = hmac.new(b"\0" * 32, secret, hashlib.sha256).digest(), b"", b""
    while len(out) < n:
        block = hmac.new(prk, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:n]


def static_key(site, key_id, secret="static.key"):
    """As the plugin static makes it of its secret: 256 bits."""
    with open("%s/%s" % (site.dir, secret), "rb") as f:
        return hkdf(f.read().strip(), words("rekey static v1", key_id) + b"256")


def kme_key(kmes, key_id):
    """As contrib/kme/keys.h says; of SAE_A and SAE_B."""
    with open(kmes.dir + "/pki/pair.secret", "rb") as f:
        root = hmac.new(b"rekey-kme pair v1", f.read().strip(), hashlib.sha256).digest()
    names = b"".join(bytes([len(sae)]) + sae for sae in (b"SAE_A", b"SAE_B"))
    return hkdf(root, b"rekey-kme key v1" + bytes.fromhex(key_id.replace("-", "")) + names)


def channel_key(key, link, key_id):
    """As rk_kdf_channel() makes it: core/host/kdf.c."""
    return hkdf(key, words("rekey channel v1", link, key_id))


def tag(key, text, from_sae, to_sae):
    """As rk_kdf_record() makes it: core/host/kdf.c; key: that of a channel, or auth_key()."""
    return hmac.new(key, words("rekey record v1", from_sae, to_sae, text), hashlib.sha256).hexdigest()[:32]


def sign(key, text, from_sae, to_sae):
    return ("%s|%s\n" % (text, tag(key, text, from_sae, to_sae))).encode()


def signed_by(data, keys, from_sae, to_sae):
    """Of these keys, by name, the name of the one that has signed; None: none of them."""
    text, _, got = data.decode().rstrip("\n").rpartition("|")
    for name, key in keys.items():
        if tag(key, text, from_sae, to_sae) == got:
            return name
    return None


def path(to, link):
    """The file that the site `to` reads as its peer's record."""
    return to.conf["channels"]["box"]["peer-dir"] + "/" + link + ".rec"


def put(to, link, data):
    """In one step, as the spool itself does; names with a dot are not looked at."""
    temp = "%s/.sabotage-%s" % (os.path.dirname(path(to, link)), link)
    with open(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "wb") as f:
        f.write(data)
    os.rename(temp, path(to, link))


def fields(data):
    """Of a record: [rk1, link, role, term, seq, says, key, prev, facts, confirm, tag]"""
    return data.decode().rstrip("\n").split("|")


class Recorder:
    """Keeps each record of these sites that stays in place for some milliseconds; made ones of the test too."""

    def __init__(self, sites):
        self.seen = {}  # (site that reads it, link) -> records, in order
        self.sites, self.stopped = sites, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def look(self, site, name):
        link = name[:-len(".rec")]
        try:
            fd = os.open(path(site, link), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a test puts anything there
        except OSError:
            return
        with open(fd, "rb") as f:
            data = f.read(1024)
        if not data:
            return
        kept = self.seen.setdefault((site.name, link), [])
        if data not in kept[-20:]:
            kept.append(data)

    def run(self):
        while not self.stopped.wait(POLL_S):
            for site in self.sites:
                self.look_into(site)

    def look_into(self, site):
        try:
            names = os.listdir(site.conf["channels"]["box"]["peer-dir"])
        except FileNotFoundError:  # the world has ended
            return
        for name in names:
            if name.endswith(".rec") and name[0] != ".":
                self.look(site, name)

    def of(self, site, link):
        return list(self.seen.get((site.name, link), ()))

    def stop(self):
        self.stopped.set()
        self.thread.join()


def run_cases(w, cases):
    """As rig.run_cases, of a world that may have a recorder; it is closed."""
    try:
        return rig.run_cases(cases)
    finally:
        if hasattr(w, "recorder"):
            w.recorder.stop()
        w.close()
