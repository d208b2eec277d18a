# controllers.py - rotations with keys from the same KMEs by two controllers in Python, to have a measure beside rekeyd.
#
# usage: controllers.py pool|tick FOLDER LINKS SECONDS|TICK; FOLDER has pki and urls.json
#
# pool: a persistent controller, as one would write it with care: one process, a thread pool of 32, a requests.Session
# for each SAE and thread, so that connections are kept.  Of each link it asks enc_keys and dec_keys, compares, stages,
# activates and retires at both ends, checks the confirm tags that both ends make, remembers each phase in SQLite before
# its effect, and logs a line at each end.  The devices are a process of their own, as in peers.py; one message carries
# both ends' part of a phase.
#
# tick: the old script's way of working: a new process for each tick of each device, which takes its links one by one,
# asks status and enc_keys (master) or dec_keys (slave) with requests.get, takes the key in use from the peer's
# description, and keeps the last key IDs in a JSON file.  As in the field a device has two links.
import base64
import hashlib
import hmac
import json
import logging
import os
import resource
import socket
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import peers
import requests

PAIRS = 100
THREADS = 32
SCHEMA = ("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
          "CREATE TABLE IF NOT EXISTS links(link PRIMARY KEY, seq, phase, key_id, prev);"
          "CREATE TABLE IF NOT EXISTS events(no INTEGER PRIMARY KEY, link, seq, event, key_id, at);")


class Kmes:
    """The two KMEs; which: "kme-a" for SAE_A, "kme-b" for the slaves."""

    def __init__(self, folder):
        with open(folder + "/urls.json") as f:
            self.url = json.load(f)
        self.pki = folder + "/pki/"

    def options(self, sae):
        return {"cert": (self.pki + sae + ".crt", self.pki + sae + ".key"), "verify": self.pki + "ca.crt",
                "timeout": 10}

    def get(self, get, call, caller, peer, **query):
        """One call; get: of a session, or of requests."""
        url = "%s/api/v1/keys/%s/%s" % (self.url["kme-a" if caller == "SAE_A" else "kme-b"], peer, call)
        answer = get(url, params=query, **self.options(caller))
        answer.raise_for_status()
        return answer.json()


def derive(key, link, key_id):
    prk = hmac.new(hashlib.sha256(key_id.encode()).digest(), key, hashlib.sha256).digest()
    cak = hmac.new(prk, b"cak|" + link.encode() + b"\1", hashlib.sha256).hexdigest()
    return hashlib.sha256(("ckn|%s|%s" % (link, key_id)).encode()).hexdigest(), cak


class Pool:
    def __init__(self, folder, links, found):
        self.kmes, self.local, self.path = Kmes(folder), threading.local(), folder + "/pool.db"
        self.links, self.state = links, {}  # of a link: seq, key ID in use
        self.devices, self.taken = found, []
        self.log = logging.getLogger("pool")
        handler = logging.FileHandler(folder + "/pool.log")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self.log.addHandler(handler)
        self.log.setLevel(logging.INFO)
        self.database().executescript(SCHEMA)

    def database(self):
        if not hasattr(self.local, "db"):
            self.local.db = sqlite3.connect(self.path, timeout=60)
            self.local.db.execute("PRAGMA synchronous=FULL")
        return self.local.db

    def get(self, sae):
        """Of this thread's session for an SAE."""
        sessions = self.local.__dict__.setdefault("sessions", {})
        if sae not in sessions:
            sessions[sae] = requests.Session()
        return sessions[sae].get

    def device(self, op, link, seq, key_id, key=b""):
        """One phase at both ends; ret: what they answer."""
        if not hasattr(self.local, "device"):
            self.local.device = self.devices.pop()
            self.taken.append(self.local.device)
        sock, answers = self.local.device
        ops = [{"op": op, "iface": link + end, "link": link, "id": key_id, "key": key.hex()} for end in "ab"]
        sock.sendall(json.dumps(ops).encode() + b"\n")
        return json.loads(answers.readline())

    def remember(self, link, seq, phase, key_id, prev):
        db = self.database()
        with db:
            db.execute("INSERT OR REPLACE INTO links VALUES(?,?,?,?,?)", (link, seq, phase, key_id, prev))
            db.execute("INSERT INTO events(link,seq,event,key_id,at) VALUES(?,?,?,?,?)",
                       (link, seq, phase, key_id, time.time()))

    def rotate(self, link, slave):
        seq, old = self.state.get(link, (0, ""))
        seq += 1
        self.remember(link, seq, "begin", "", old)
        enc = self.kmes.get(self.get("SAE_A"), "enc_keys", "SAE_A", slave, number=1, size=256)["keys"][0]
        key_id, key = enc["key_ID"], base64.b64decode(enc["key"])
        dec = self.kmes.get(self.get(slave), "dec_keys", slave, "SAE_A", key_ID=key_id)["keys"][0]
        if dec["key_ID"] != key_id or not hmac.compare_digest(key, base64.b64decode(dec["key"])) or len(key) != 32:
            raise ValueError("%s: not the same key at both ends" % link)
        mine, theirs = self.device("stage", link, seq, key_id, key)
        if mine != theirs:
            raise ValueError("%s: the ends do not confirm each other" % link)
        self.remember(link, seq, "staged", key_id, old)
        self.device("activate", link, seq, key_id)
        self.remember(link, seq, "active", key_id, old)
        self.device("retire", link, seq, key_id)
        self.remember(link, seq, "rotated", key_id, "")
        self.state[link] = (seq, key_id)
        for end in "ab":
            self.log.info("ev=rotated link=%s end=%s seq=%d key_id=%s res=ok", link, end, seq, key_id)

    def work(self, pair, until, most):
        """The links of a pair in turn, so that its connections stay with one thread at a time."""
        done = 0
        for i in range(self.links // PAIRS):
            if time.monotonic() >= until or done >= most:
                break
            self.rotate("l%02d-%05d" % (pair, i), "SAE_B%02d" % pair)
            done += 1
        return done


def devices():
    """A device process for each thread; ret: connections, process IDs."""
    found, pids = [], []
    for _ in range(THREADS):
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            for sock, answers in found:
                answers.close()
                sock.close()
            ours.close()
            peers.device(theirs)
            os._exit(0)
        theirs.close()
        found.append((ours, ours.makefile("rb")))
        pids.append(pid)
    return found, pids


def pool(folder, links, seconds):
    """Prints rotations and processor time [s] of that many seconds, start and first connections not counted."""
    found, pids = devices()
    p = Pool(folder, links, found)
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda i: p.work(i, float("inf"), 1), range(PAIRS)))
        begin, until, done = cpu(), time.monotonic() + seconds, 0
        while time.monotonic() < until:
            done += sum(threads.map(lambda i: p.work(i, until, links), range(PAIRS)))
        used = cpu() - begin
    for sock, _ in found + p.taken:
        sock.shutdown(socket.SHUT_RDWR)
    for pid in pids:
        os.waitpid(pid, 0)
    print(json.dumps([done, used + cpu(resource.RUSAGE_CHILDREN) * done / (done + PAIRS)]))


def tick(folder, links, which):
    """One tick of the device at one end of two links."""
    kmes, path = Kmes(folder), "%s/tick-%s.json" % (folder, which)
    state = json.load(open(path)) if os.path.exists(path) else {}
    logging.basicConfig(filename=folder + "/tick.log", level=logging.INFO)
    me, peer = ("SAE_A", "SAE_B00") if which == "master" else ("SAE_B00", "SAE_A")
    descriptions = json.load(open(folder + "/lldp.json")) if os.path.exists(folder + "/lldp.json") else {}
    config = {}
    for i in range(links):
        link = "ge-0/0/%d" % i
        kmes.get(requests.get, "status", me, peer)
        if which == "master":
            key = kmes.get(requests.get, "enc_keys", me, peer, number=1, size=256)["keys"][0]
            descriptions[link] = key["key_ID"]
        elif descriptions.get(link) in (None, state.get(link)):
            continue
        else:
            key = kmes.get(requests.get, "dec_keys", me, peer, key_ID=descriptions[link])["keys"][0]
        ckn, cak = derive(base64.b64decode(key["key"]), link, key["key_ID"])
        config[link] = (ckn, cak)
        state[link] = key["key_ID"]
        logging.info("%s - %s %s keyID %s", me, peer, link, key["key_ID"])
    for name, data in ((path, state), (folder + "/lldp.json", descriptions)):
        with open(name, "w") as f:
            json.dump(data, f)


def cpu(of=resource.RUSAGE_SELF):
    u = resource.getrusage(of)
    return u.ru_utime + u.ru_stime


if __name__ == "__main__":
    if sys.argv[1] == "pool":
        pool(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    else:
        tick(sys.argv[2], int(sys.argv[3]), sys.argv[4])
