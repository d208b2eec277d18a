"""guest_rotate: in a guest: 60 rotations and more of a real MACsec link under traffic, and nothing is lost.

    guest_rotate.py OUT BUILD [SECONDS]

Prints TAP.  Then the same traffic meets a naive script that deletes the old key before it adds the new one: that must
lose frames, or this test would not see it when rekeyd did.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Lab, MAC, PEER  # noqa: E402
from macsec_nl import Secy  # noqa: E402

count = 0


def check(ok, what):
    global count
    count += 1
    print(f"{'ok' if ok else 'not ok'} {count} - {what}", flush=True)


def naive(rotations):
    """Delete, then add: what a script does that does not know better."""
    secy = {x: Secy(x, "macsec0") for x in "ab"}
    sci = {x: bytes.fromhex(MAC[x].replace(":", "")) + b"\0\1" for x in "ab"}
    for i in range(rotations):
        key, keyid = os.urandom(32), os.urandom(16)
        for x in "ab":
            state = secy[x].state()
            for sa in (sa for sc in state["rx"] for sa in sc["sas"]):
                secy[x].upd_rxsa(sci[PEER[x]], sa["an"], 0)
                secy[x].del_rxsa(sci[PEER[x]], sa["an"])
            for sa in state["tx"]:
                secy[x].upd_txsa(sa["an"], 0)
                secy[x].del_txsa(sa["an"])
            an = (state["encoding_sa"] + 1) % 4
            secy[x].add_rxsa(sci[PEER[x]], an, key, keyid)
            secy[x].add_txsa(an, key, keyid)
            secy[x].set_encoding(an)
        time.sleep(0.2)


def main(out, build, seconds):
    print("1..8", flush=True)
    lab = Lab(out, build)
    lab.start()
    rate = lab.calibrate()
    print(f"# highest rate without loss and without rotation: {rate} frames/s each way", flush=True)
    before = {x: lab.secy(x) for x in "ab"}
    first = lab.rotated("a")
    lab.traffic_start(rate)
    lab.wait(lambda: lab.rotated("a") >= first + 62, seconds, "62 rotations")
    rows = {x: lab.sites[x].status() for x in "ab"}
    result = lab.traffic_stop()
    after = {x: lab.secy(x) for x in "ab"}
    print(f"# {result}", flush=True)
    for x in "ab":
        print(f"# {x}: rotations {rows[x]['rotations']} failed {rows[x]['failed']} alarms {rows[x]['alarms']}", flush=True)
    check(min(rows[x]["rotations"] for x in "ab") >= 60, "60 rotations at a 1 s interval under traffic")
    check(result["sent"] > 10000, f"traffic was there: {result['sent']} frames")
    check(result["lost"] == 0, f"lost: {result['lost']}")
    check(result["duplicated"] == 0, f"duplicated: {result['duplicated']}")
    moved = {f"{x}.{k}": n - before[x]["errors"].get(k, 0) for x in "ab" for k, n in after[x]["errors"].items()
             if n != before[x]["errors"].get(k, 0)}
    check(not moved, f"no error counter moved {moved or ''}")
    check(all(rows[x]["failed"] == 0 for x in "ab"), "no rotation failed")
    codes = [site.rekeyd.kill(15) for site in lab.sites.values()]
    check(codes == [0, 0], f"both daemons stop clean: {codes}")
    lab.traffic_start(rate)
    time.sleep(0.3)
    naive(10)
    result = lab.traffic_stop()
    check(result["lost"] > 0, f"a naive delete-then-add script loses: {result['lost']} of {result['sent']}")
    lab.stop()


main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 150)
