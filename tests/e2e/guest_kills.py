"""guest_kills: in a guest: kill -9 of whatever keeps a link alive, under traffic.

    guest_kills.py OUT BUILD [SEED]

Prints TAP.  First a rotation that is done and one that is given up are watched: each step of the two rekeyd that their
logs tell of, before it is done ("asked"), when it is done and nothing has followed ("answered"), and while it waits, is
a point to kill at.  (A journal entry that is asked for: the reply to what came before is in, and its entry is not
written.)  So the points are those of the protocol as it is built; none is listed here.  Of them a random
sample is taken, and rekeyd is killed at exactly that step (tests/rig/shim.c).  Between these kills others come, at
random moments: of the KMEs, of the hosts of device, source and channel, and of rekeyd.
After each kill both ends must use one and the same new key soon: most of them within two intervals of the restart, each
within some seconds more, for a busy machine.  No frame may be lost, and the kernel may never be asked to transmit with
a key that it was given before.
"""
import os
import random
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Lab, ask  # noqa: E402

INTERVAL_S = 2
SLACK_S = 12  # for a busy machine, as in tests/process/kills.py; in virtual time kills_test allows two intervals, no more
SAMPLE = 50
RATE = 1200  # frames/s each way
FRAMES = 100000
STEP = re.compile(r" ev=step link=\S+ end=a (phase=\S+ state=\S+ act=\S+ when=\S+)$")
count = 0


def check(ok, what):
    global count
    count += 1
    print(f"{'ok' if ok else 'not ok'} {count} - {what}", flush=True)


# ---- the kernel's truth ----

def key_ids(lab, x):
    """KEYIDs that end x receives with, and the one that it transmits with."""
    state = lab.secy(x)
    using = [sa["key_id"] for sa in state["tx"] if sa["an"] == state["encoding_sa"] and sa["active"]]
    return {sa["key_id"] for sc in state["rx"] for sa in sc["sas"] if sa["active"]}, using


def common_key(lab):
    (rx_a, tx_a), (rx_b, tx_b) = key_ids(lab, "a"), key_ids(lab, "b")
    return bool(tx_a) and bool(tx_b) and tx_a[0] in rx_b and tx_b[0] in rx_a


def transmit_keys(lab, x):
    """Of each request to take a transmit key: what tells the key from others."""
    with open(lab.sites[x].tx_file) as f:
        return [line.split(" key=")[1].strip() for line in f]


# ---- the points to kill at ----

def steps_since(site, offset):
    with open(site.rekeyd.log) as f:
        f.seek(offset)
        return {m.group(1) for m in map(STEP.search, f.read().splitlines()) if m}


def log_end(site):
    return os.path.getsize(site.rekeyd.log)


def rotate(lab):
    ask(lab.sites["a"].control, "rotate", "a-b-1")


def idle_on_one_key(lab, above):
    rows = [lab.sites[x].status() for x in "ab"]
    return all(r and r["phase"] == "idle" and r["seq"] > above and r["key_id"] for r in rows) and \
        rows[0]["key_id"] == rows[1]["key_id"]


def learn(lab):
    """[(end, given up?, words of the step)] of a rotation that is done, and of one that is given up."""
    begin = {x: log_end(lab.sites[x]) for x in "ab"}
    seq = lab.rotated("a")
    rotate(lab)
    lab.wait(lambda: idle_on_one_key(lab, seq), 20, "a rotation")
    lab.wait(lambda: all(any("phase=idle state=observing" in s for s in steps_since(lab.sites[x], begin[x]))
                         for x in "ab"), 20, "a device is verified")
    good = {x: steps_since(lab.sites[x], begin[x]) for x in "ab"}
    middle = {x: log_end(lab.sites[x]) for x in "ab"}
    lab.sites["b"].fault("wrong-key")
    rotate(lab)
    lab.wait(lambda: all(lab.sites[x].status()["failed"] for x in "ab"), 20, "a rotation that is given up")
    lab.sites["b"].fault("")
    seq = lab.rotated("a")
    lab.wait(lambda: idle_on_one_key(lab, seq), 20, "the next rotation")
    bad = {x: steps_since(lab.sites[x], middle[x]) - good[x] for x in "ab"}
    return sorted((x, burn, words) for burn, of in ((False, good), (True, bad)) for x in "ab" for words in of[x])


def kill_at(lab, x, burn, words):
    """rekeyd of end x dies at that step; the time of its restart, None when the step did not come."""
    site = lab.sites[x]
    if burn:
        lab.sites["b"].fault("wrong-key")
    site.arm(*words.split())
    try:
        rotate(lab)
    except (OSError, ConnectionError):
        pass  # killed before it could answer
    try:
        site.rekeyd.wait(4 * INTERVAL_S)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if burn:
            lab.sites["b"].fault("")
    time.sleep(random.uniform(0, 0.2))
    site.rekeyd.start()
    return time.monotonic()


# ---- other victims ----

def kill_rekeyd(lab, x):
    lab.sites[x].rekeyd.kill()
    time.sleep(random.uniform(0, 0.3))
    lab.sites[x].rekeyd.start()
    return time.monotonic()


def kill_kme(lab, x):
    lab.sites[x].kme.kill()
    time.sleep(random.uniform(0, 0.5))
    lab.sites[x].kme.start()
    return time.monotonic()


def kill_host(plugin):
    def kill(lab, x):
        os.kill(lab.sites[x].host_pid(plugin), signal.SIGKILL)
        return time.monotonic()
    return kill


VICTIMS = [("rekeyd", kill_rekeyd), ("the device's host", kill_host("linux-macsec")), ("the KME", kill_kme),
           ("the source's host", kill_host("etsi014")), ("the channel's host", kill_host("spool"))]


def at_a_moment(kill):
    """At a random moment in the half second from the start of a rotation on."""
    def run(lab, x):
        rotate(lab)
        time.sleep(random.choice((0, 0.002, 0.005, 0.01, 0.02, random.uniform(0, 0.5))))
        return kill(lab, x)
    return run


# ---- the test ----

def one_kill(lab, what, run):
    """The time from the restart to a new common key [s]."""
    seq = max(lab.rotated(x) for x in "ab")
    restarted = run()
    if restarted is None:
        check(False, f"kill -9 of {what}: the step did not come")
        return float("inf")
    common = common_key(lab)
    try:
        lab.wait(lambda: idle_on_one_key(lab, seq), 2 * (2 * INTERVAL_S + SLACK_S), "the next rotation")
        took = time.monotonic() - restarted
    except TimeoutError:
        took = float("inf")
        for y in "ab":
            print(f"# {y}: {lab.sites[y].status()}", flush=True)
    check(common and common_key(lab) and took < 2 * INTERVAL_S + SLACK_S,
          f"kill -9 of {what}: common key kept, a new one at both ends after {took:.2f} s")
    return took


def sample_of(points):
    """Each point once, while there are any; then some of them again."""
    picked = random.sample(points, min(SAMPLE, len(points)))
    return picked + random.choices(points, k=SAMPLE - len(picked))


def main(out, build, seed):
    random.seed(seed)
    print(f"# REKEY_SEED={seed}", flush=True)
    lab = Lab(out, build, interval=f"{INTERVAL_S}s", log_level="debug", shim=True)
    lab.start()
    points = learn(lab)
    print(f"# {len(points)} points to kill at: {len([p for p in points if p[0] == 'a'])} at a, "
          f"{len([p for p in points if p[1]])} of a rotation that is given up", flush=True)
    rounds = [(f"rekeyd at {x}, {words}", lambda p=(x, burn, words): kill_at(lab, *p))
              for x, burn, words in sample_of(points)]
    rounds += [(f"{what} at {x}", lambda k=kill, y=x: at_a_moment(k)(lab, y)) for what, kill in VICTIMS for x in "ab"]
    random.shuffle(rounds)
    print(f"1..{len(rounds) + 7}", flush=True)
    check(len(points) >= SAMPLE, f"{len(points)} points to kill at were found")
    before = {x: lab.secy(x) for x in "ab"}
    lab.traffic_start(RATE)
    enough = time.monotonic() + 1.05 * FRAMES / (2 * RATE)
    took = sorted(one_kill(lab, what, run) for what, run in rounds)
    check(took[len(took) // 2] < 2 * INTERVAL_S,
          f"most were over within two intervals: half within {took[len(took) // 2]:.2f} s, the last after {took[-1]:.2f} s")
    lab.wait(lambda: time.monotonic() > enough, 120, "enough frames")
    result = lab.traffic_stop()
    after = {x: lab.secy(x) for x in "ab"}
    print(f"# {result}", flush=True)
    check(result["sent"] >= FRAMES and result["lost"] == 0 and result["duplicated"] == 0,
          f"{result['sent']} frames through all kills: {result['lost']} lost, {result['duplicated']} duplicated")
    check(before["a"]["errors"] == after["a"]["errors"] and before["b"]["errors"] == after["b"]["errors"],
          f"no error counter moved: {after['a']['errors']} {after['b']['errors']}")
    for x in "ab":
        keys = transmit_keys(lab, x)
        check(len(keys) > len(rounds) and len(set(keys)) == len(keys),
              f"{x}: {len(keys)} keys for transmit, {len(keys) - len(set(keys))} of them more than once")
    codes = lab.stop()
    check(codes == [0, 0], f"both daemons stop clean: {codes}")


main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time()))
