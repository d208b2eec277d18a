"""guest_kills: in a guest: kill -9 of whatever keeps a link alive, at random moments in rotations, under traffic.

    guest_kills.py OUT BUILD [SEED]

Prints TAP.  Every victim is killed in turn: rekeyd, the host of the device, of the source, of the channel, and the KME,
at each end, each at a random moment in which a rotation runs.  No frame may be lost, the next
rotation must be done within two intervals of the restart, and a rekeyd that comes back must adopt the SAs that
run in the kernel.
"""
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Lab  # noqa: E402

INTERVAL_S = 2
count = 0


def check(ok, what):
    global count
    count += 1
    print(f"{'ok' if ok else 'not ok'} {count} - {what}", flush=True)


def key_ids(lab, x):
    """KEYIDs that end x receives with and transmits with, and the one that it uses."""
    state = lab.secy(x)
    using = [sa["key_id"] for sa in state["tx"] if sa["an"] == state["encoding_sa"] and sa["active"]]
    return {sa["key_id"] for sc in state["rx"] for sa in sc["sas"] if sa["active"]}, using


def common_key(lab):
    (rx_a, tx_a), (rx_b, tx_b) = key_ids(lab, "a"), key_ids(lab, "b")
    return bool(tx_a) and bool(tx_b) and tx_a[0] in rx_b and tx_b[0] in rx_a


def kill_rekeyd(lab, x):
    site = lab.sites[x]
    site.rekeyd.kill()
    before = key_ids(lab, x)
    time.sleep(random.uniform(0, 0.3))
    site.rekeyd.start()
    restarted = time.monotonic()
    lab.wait(lambda: site.status() is not None, 20, f"rekeyd {x} answers")
    row = site.status()
    adopted = row["key_id"] is None or row["key_id"].replace("-", "") in before[0]
    if not adopted:
        print(f"# {x}: {row} but the kernel held {before}")
    return restarted, adopted


def kill_kme(lab, x):
    lab.sites[x].kme.kill()
    time.sleep(random.uniform(0, 0.5))
    lab.sites[x].kme.start()
    return time.monotonic(), True


def kill_host(plugin):
    def kill(lab, x):
        pid = lab.sites[x].host_pid(plugin)
        if pid:
            os.kill(pid, signal.SIGKILL)
        return time.monotonic(), pid is not None
    return kill


VICTIMS = [("rekeyd", kill_rekeyd), ("the device's host", kill_host("linux-macsec")), ("the KME", kill_kme),
           ("the source's host", kill_host("etsi014")), ("the channel's host", kill_host("spool"))]


def moment(lab):
    """A random moment in the half second from the start of a rotation on."""
    seq = lab.sites["a"].status()["seq"]
    lab.wait(lambda: (lab.sites["a"].status() or {"seq": seq})["seq"] > seq, 10, "a rotation begins")
    time.sleep(random.choice((0, 0.002, 0.005, 0.01, 0.02, random.uniform(0, 0.5))))


def main(out, build, seed):
    random.seed(seed)
    rounds = [(what, kill, x) for what, kill in VICTIMS for x in "ab"] * 2
    random.shuffle(rounds)
    print(f"1..{len(rounds) + 3}\n# seed {seed}", flush=True)
    lab = Lab(out, build, interval=f"{INTERVAL_S}s")
    lab.start()
    before = {x: lab.secy(x) for x in "ab"}
    lab.traffic_start(500)
    for what, kill, x in rounds:
        moment(lab)
        seq = max(lab.rotated("a"), lab.rotated("b"))
        restarted, good = kill(lab, x)
        common = common_key(lab)
        try:
            lab.wait(lambda: min(lab.rotated("a"), lab.rotated("b")) > seq, 10 * INTERVAL_S, "the next rotation")
            took = time.monotonic() - restarted
        except TimeoutError:
            took = float("inf")
            for y in "ab":
                print(f"# {y}: {lab.sites[y].status()}", flush=True)
        check(good and common and common_key(lab) and took < 2 * INTERVAL_S,
              f"kill -9 of {what} at {x}: common key kept, next rotation after {took:.2f} s")
    result = lab.traffic_stop()
    after = {x: lab.secy(x) for x in "ab"}
    print(f"# {result}", flush=True)
    check(result["sent"] > 5000 and result["lost"] == 0 and result["duplicated"] == 0,
          f"{result['sent']} frames through all kills: {result['lost']} lost, {result['duplicated']} duplicated")
    check(before["a"]["errors"] == after["a"]["errors"] and before["b"]["errors"] == after["b"]["errors"],
          f"no error counter moved: {after['a']['errors']} {after['b']['errors']}")
    codes = lab.stop()
    check(codes == [0, 0], f"both daemons stop clean: {codes}")


main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time()))
