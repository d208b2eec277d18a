# junos_peers.py - rotations on the same routers by a script with ncclient, to have a measure beside rekeyd.
#
# usage: junos_peers.py each|pool|bare|serial SECONDS THREADS < LAB; LAB is JSON of hosts, port, ports, user, key
#
# As one would write it with care: sessions are kept open, what was committed is read back, and a rotation is done when
# MKA of both ends shows the whole CKN live.  Of a router it asks lock, load-configuration, commit, unlock,
# get-configuration of what it changed, and then get-mka-session-information until the links are live; of a pair, first
# the one router, then the other.  The key before goes into the fallback slot.  Keys are random, CKN and CAK are made of
# them by HMAC as of a KME's key.  Nothing is remembered on disk, nothing is read before the change, nobody else's change
# is looked for, and that a key of MKA has a SAK is not: rekeyd does all of that.
#
# each: a rotation after the other, with a lock, a load, a commit and a look of its own; a thread for each pair of
# routers that is at work.   pool: the same, but all links of a pair in one load and one commit.
# bare: as pool, and the configuration is not read back.   serial: as pool, in one thread: one router after the other.
# Prints rotations, processor time and time [s]; connecting and the first keys are not in it.
import hashlib
import hmac
import json
import os
import resource
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from ncclient import manager
from ncclient.xml_ import to_ele

CONF = ("<get-configuration database='committed' inherit='inherit'><configuration><security><macsec>%s</macsec>"
        "</security></configuration></get-configuration>")
MKA = "<get-mka-session-information><summary/></get-mka-session-information>"
PAUSE_S = 0.05
LIVE_S = 60


def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime


def fresh(link):
    key, key_id = os.urandom(32), os.urandom(16)
    prk = hmac.new(key_id, key, hashlib.sha256).digest()
    return (hmac.new(prk, b"ckn" + link.encode(), hashlib.sha256).hexdigest(),
            hmac.new(prk, b"cak" + link.encode(), hashlib.sha256).hexdigest())


def connect(lab, host):
    return manager.connect(host=host, port=lab["port"], username=lab["user"], key_filename=lab["key"],
                           hostkey_verify=False, allow_agent=False, look_for_keys=False, timeout=300,
                           device_params={"name": "junos"})


class Pair:
    def __init__(self, lab, hosts):
        self.hosts, self.ports, self.keys = hosts, lab["ports"], {}
        self.routers = [connect(lab, host) for host in hosts]

    def statements(self, keys):
        lines = []
        for port, key in keys.items():
            ca = "set security macsec connectivity-association CA%d " % self.ports.index(port)
            lines.append(ca + "security-mode static-cak")
            for slot, pair in (("pre-shared-key", key), ("fallback-key", self.keys.get(port))):
                if pair:
                    lines += [ca + "%s ckn %s" % (slot, pair[0]), ca + "%s cak %s" % (slot, pair[1])]
        return "\n".join(lines)

    def install(self, router, keys):
        with router.locked("candidate"):
            router.load_configuration(action="set", config=self.statements(keys))
            router.commit()

    def read_back(self, router, keys):
        """Does the committed configuration have all new keys?"""
        names = {"CA%d" % self.ports.index(port): key[0] for port, key in keys.items()}
        wanted = "".join("<connectivity-association><name>%s</name></connectivity-association>" % n for n in names)
        for ca in router.rpc(to_ele(CONF % wanted)).xpath("//connectivity-association[pre-shared-key]"):
            ckn = names.pop(ca.findtext("name"), None)
            if ckn and ca.findtext("pre-shared-key/ckn") != ckn:
                raise SystemExit("junos_peers: another key was committed")
        if names:
            raise SystemExit("junos_peers: not all keys were committed")

    def live(self, router, keys):
        """Has each port a live participant with the whole CKN of its new key?"""
        port, live, found = None, False, set()
        for e in router.rpc(to_ele(MKA)).xpath("//mka-session-information/*"):
            text = (e.text or "").strip()
            if e.tag == "interface-name":
                port, live = text, False
            elif e.tag == "cak-status":
                live = text == "live"
            elif e.tag == "cak-name" and live:
                found.add((port, text.lower()))
        return all((p, key[0]) in found for p, key in keys.items())

    def rotate(self, ports, bare=False):
        keys = {port: fresh(port) for port in ports}
        for router in self.routers:
            self.install(router, keys)
            if not bare:
                self.read_back(router, keys)
        until = time.monotonic() + LIVE_S
        for router in self.routers:
            while not self.live(router, keys):
                if time.monotonic() > until:
                    raise SystemExit("junos_peers: MKA is not live on the new keys")
                time.sleep(PAUSE_S)
        self.keys.update(keys)
        return len(keys)

    def work(self, until, how):
        """Rotations until that time, one link after the other or all at once; ret: how many."""
        done = 0
        while time.monotonic() < until:
            done += self.rotate(self.ports[done % len(self.ports):][:1] if how == "each" else self.ports, how == "bare")
        return done


def main():
    how, seconds, threads = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    lab = json.load(sys.stdin)
    with ThreadPoolExecutor(threads) as pool:
        pairs = list(pool.map(lambda hosts: Pair(lab, hosts), lab["hosts"]))
        list(pool.map(lambda p: p.rotate(p.ports), pairs))
        begin, at, done = cpu(), time.monotonic(), 0
        if how == "serial":
            while time.monotonic() < at + seconds:
                done += pairs[done // len(lab["ports"]) % len(pairs)].rotate(lab["ports"])
        else:
            done = sum(pool.map(lambda p: p.work(at + seconds, how), pairs))
        print(json.dumps([done, cpu() - begin, time.monotonic() - at]))
        sys.stdout.flush()
        os._exit(0)  # the sessions go with it


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    main()
