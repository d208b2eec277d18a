# peers.py - the same work by others, to have a measure that moves with the machine.
#
# loop: a persistent controller in Python, as one would write it with care: one process that never ends, one commit for
# each phase of a round of links, and one device process, to which it sends one message for a round's operations.  Per
# rotation it derives a key, makes two confirm tags at each end, stages, activates and retires at both ends, commits
# four times, and logs one line at each end.  With one link in a round it stands against links that are due one after
# the other; with 48, against links that are due at once, and is then about the cheapest that can be done: it has no
# deadlines, no retries, no recovery, no check of what a device holds, no privilege separation, and sends both ends'
# operations, with the key in them, in one message, where rekeyd makes a call to each device (and one to the source)
# and passes keys as sealed descriptors.
#
# tick: what a controller costs that cron or an event script starts anew for each tick, before it has done anything:
# start of the interpreter and the imports that a client of a KME and of NETCONF begins with (standard library only).
import hashlib
import hmac
import json
import os
import resource
import socket
import sqlite3
import subprocess
import sys

import rig

SELF = os.path.abspath(__file__)
ROTATIONS = 1920
TICK = "import argparse, hashlib, hmac, http.client, json, logging, socket, sqlite3, ssl, subprocess, urllib.request"


def device(sock):
    """The two devices: keep which key each interface holds, confirm with tags, until the socket is closed."""
    held = {}
    for line in sock.makefile("rb"):
        ops, answer = json.loads(line), []
        for op in ops:
            slots = held.setdefault(op["iface"], {})
            if op["op"] == "stage":
                slots["next"] = bytes.fromhex(op["key"])
                answer.append([tag(slots["next"], op, role) for role in (b"m", b"s")])
            elif op["op"] == "activate":
                slots["old"], slots["tx"] = slots.get("tx"), slots.pop("next")
                answer.append("ok")
            else:
                slots["old"] = None
                answer.append("ok")
        sock.sendall(json.dumps(answer).encode() + b"\n")


def tag(key, op, role):
    return hmac.new(key, b"%s|%s|%s" % (op["link"].encode(), op["id"].encode(), role), hashlib.sha256).hexdigest()[:32]


def derive(secret, link, seq):
    prk = hmac.new(secret, link.encode(), hashlib.sha256).digest()
    return hmac.new(prk, b"key%d\1" % seq, hashlib.sha256).digest()


def phase(db, sock, answers, log, seq, name, ops):
    """One phase of a round: tell the device, then remember it."""
    if name in ("stage", "activate", "retire"):
        sock.sendall(json.dumps(ops).encode() + b"\n")
        got = json.loads(answers.readline())
        if len(got) != len(ops):
            raise SystemExit("bench: the device of the loop did not answer")
    with db:
        db.executemany("INSERT OR REPLACE INTO links VALUES(?,?,?,?,?)",
                       [(op["link"], op["iface"], seq, name, op["id"]) for op in ops])
        if name == "retire":
            db.executemany("INSERT INTO events(link,seq,event,id) VALUES(?,?,?,?)",
                           [(op["link"], seq, "rotated", op["id"]) for op in ops])
            for op in ops:
                log.write("ev=rotated link=%s seq=%d key_id=%s res=ok\n" % (op["link"], seq, op["id"]))
                log.flush()


def controller(folder, sock, links):
    secret, answers = os.urandom(32), sock.makefile("rb")
    db = sqlite3.connect(folder + "/loop.db")
    db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                     "CREATE TABLE links(link, iface, seq, phase, id, PRIMARY KEY(link, iface));"
                     "CREATE TABLE events(no INTEGER PRIMARY KEY, link, seq, event, id);")
    with open(folder + "/loop.log", "w") as log:
        for seq in range(1, ROTATIONS // links + 1):
            ops = []
            for i in range(links):
                link = "l%06d" % i
                key = derive(secret, link, seq)
                key_id = hashlib.sha256(key).hexdigest()[:36]
                ops += [{"link": link, "iface": link + end, "key": key.hex(), "id": key_id} for end in "ab"]
            for name in ("intent", "stage", "activate", "retire"):
                for op in ops:
                    op["op"] = name
                phase(db, sock, answers, log, seq, name, ops)
    db.close()


def main(folder, links):
    """Run both, print the processor time of both [s]."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        device(theirs)
        os._exit(0)
    theirs.close()
    controller(folder, ours, links)
    ours.shutdown(socket.SHUT_RDWR)
    os.waitpid(pid, 0)
    print(sum(u.ru_utime + u.ru_stime for u in
              (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))))


def loop_us(folder, links):
    """Processor time of one rotation, both ends, by the loop with that many in a round [us]; start not counted."""
    for name in ("loop.db", "loop.db-wal", "loop.db-shm", "loop.log"):
        if os.path.exists(folder + "/" + name):
            os.unlink(folder + "/" + name)
    begin = rig.children_s()
    subprocess.run([sys.executable, "-B", "-c", "import peers"], check=True, cwd=os.path.dirname(SELF))
    idle = rig.children_s() - begin
    out = subprocess.run([sys.executable, "-B", SELF, folder, str(links)], check=True, stdout=subprocess.PIPE)
    return 1e6 * (float(out.stdout) - idle) / ROTATIONS


def tick_us(times=5):
    begin = rig.children_s()
    for _ in range(times):
        subprocess.run([sys.executable, "-c", TICK], check=True)
    return 1e6 * (rig.children_s() - begin) / times


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
