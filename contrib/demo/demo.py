"""demo: two sites, two KMEs, one link whose keys change all the time; a live table, and one line of sums at the end.

    demo.py OUT BUILD SECONDS CHANNEL [--sim]

Run by contrib/demo/run, in a User-Mode Linux guest unless --sim.  CHANNEL: spool, lldp or peer.  Exit status 1 when a
frame was lost or nothing rotated.
"""
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), "tests", "e2e"))
from lab import Lab  # noqa: E402

HEAD = f"{'time':>6}  {'site':4} {'role':6} {'state':12} {'AN':>2} {'key ID':36} {'age':>6} {'rotations':>9} {'failed':>6}"


def row(lab, x, seconds):
    s = lab.sites[x].status()
    if s is None:
        return f"{seconds:5.0f}s  {x:4} (no answer)"
    age = f"{s['key_age_ms'] / 1000:.1f}s" if s["key_age_ms"] is not None else "-"
    alarms = " ".join(s["alarms"])
    return (f"{seconds:5.0f}s  {x:4} {s['role']:6} {s['state']:12} {s['seq'] % 4:>2} {s['key_id'] or '-':36} {age:>6} "
            f"{s['rotations']:>9} {s['failed']:>6} {alarms}")


def frames(lab):
    """What the traffic has counted so far: its newest line."""
    line = None
    while True:
        try:
            got = lab.traffic_p.stdout.readline()
        except (BlockingIOError, TypeError):
            return line
        if not got:
            return line
        line = json.loads(got)


def main(out, build, seconds, channel, sim):
    lab = Lab(out, build, sim=sim, channel=channel)
    begin = time.monotonic()
    lab.start()
    what = "simulated devices" if sim else "kernel MACsec, GCM-AES-256"
    print(f"two sites are up ({what}, channel {channel}), first key in use after {time.monotonic() - begin:.1f} s", flush=True)
    if not sim:
        rate = max(100, lab.calibrate() // 2)
        print(f"traffic: {rate} numbered frames/s in each direction", flush=True)
        lab.traffic_start(rate, report=1)
        os.set_blocking(lab.traffic_p.stdout.fileno(), False)
    begin, line = time.monotonic(), None
    first = min(lab.sites[x].status()["rotations"] for x in "ab")
    while time.monotonic() - begin < seconds:
        now = time.monotonic() - begin
        if int(now) % 10 == 0:
            print(HEAD, flush=True)
        print(row(lab, "a", now) + "\n" + row(lab, "b", now), flush=True)
        if not sim:
            line = frames(lab) or line
            if line:
                print(f"{'':8}frames sent {line['sent']}, lost {line['lost']}", flush=True)
        time.sleep(max(0, 1 - (time.monotonic() - begin - now)))
    rows = [lab.sites[x].status() for x in "ab"]
    done = min(r["rotations"] for r in rows) - first if all(rows) else 0
    result = {"sent": 0, "lost": 0}
    if not sim:
        os.set_blocking(lab.traffic_p.stdout.fileno(), True)
        result = lab.traffic_stop()
    lab.stop()
    note = " (simulated devices carry no frames)" if sim else ""
    print(f"rotations done {done}, frames sent {result['sent']}, frames lost {result['lost']}{note}", flush=True)
    return 0 if done > 0 and result["lost"] == 0 and (sim or result["sent"] > 0) else 1


sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], "--sim" in sys.argv[5:]))
