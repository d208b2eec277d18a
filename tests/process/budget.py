# budget.py - a KME whose pool does not serve every link at its interval: links of low priority are slowed down, as far
# as they bear; those of high priority are not; an alarm says so, and goes when there are keys again.
import re
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

INTERVAL_S = 2
HIGH, LOW = 6, 18
STORED, REFILL = 40, 6  # of 12 keys a second that are wanted; 5.25 when those of low priority are slowed down by 4
MOST = 8                # keys in one request


def set_up(w):
    w.rig = rig.Rig(plugins=("sim", "spool", "etsi014"))
    w.kmes = rig.KmePair(w.rig)
    for kme in (w.kmes.a, w.kmes.b):
        kme.conf.update({"pool": {"keys": STORED, "refill": REFILL}, "max-key-per-request": MOST})
    w.kmes.start()
    w.a, w.b = w.rig.pair(w.kmes.source, link="high-0")
    for site, other, device in ((w.a, w.b, "east"), (w.b, w.a, "west")):
        site.conf["defaults"].update({"interval": "%ds" % INTERVAL_S, "drain": "50ms", "verify": "500ms", "stretch-max": 4,
                                      "priority": "low"})
        for name, n in (("high", HIGH), ("low", LOW)):
            for i in range(1 if name == "high" else 0, n):
                site.link("%s-%d" % (name, i), device=device, interface="%s%d" % (name, i), source="keys", channel="box",
                          **{"peer-sae": other.sae})
        for link in site.conf["links"]:
            if link["name"].startswith("high"):
                link["priority"] = 7
        site.save()
        site.start()


def pool(w):
    row, = w.a.ask("sources")
    return row


def rotations(w):
    rows = w.a.status()["links"]
    return [sum(r["rotations"] for r in rows if r["link"].startswith(name)) for name in ("high", "low")]


def enc_codes(w):
    with open(w.rig.dir + "/kme-a.log", errors="replace") as f:
        return [int(c) for c in re.findall(r"path=\S*/enc_keys\S* code=(\d+)", f.read())]


def in_batches(w):
    """No request is for more keys than the KME gives in one, once it has said how many that are."""
    rig.wait_for(lambda: pool(w)["max_per_request"] == MOST, "the status is known", rig=w.rig)
    known = len(enc_codes(w))
    rig.wait_for(lambda: len(enc_codes(w)) > known + 5, "more requests", rig=w.rig)
    expect(400 not in enc_codes(w)[known:], "%s", enc_codes(w)[known:])


def slowed_down(w):
    """By priority, and within bounds."""
    row = rig.wait_for(lambda: pool(w)["dry"] and pool(w)["stretch"] > 1 and pool(w), "the pool is short", rig=w.rig)
    expect(row["ends_ms"] is None or row["ends_ms"] < 60000, "%s", row)
    w.a.wait_alarm("low-1", "SOURCE-DRY")
    w.a.wait_log("ev=pool source=keys peer=SAE_B alarm=SOURCE-DRY state=raised stored=")
    low = w.a.wait_end("low-1", lambda e: e["stretched_ms"] > e["interval_ms"], "it is stretched")
    expect(low["priority"] == 1 and low["stretched_ms"] <= 4000 * INTERVAL_S, "%s", low)
    text = rig.wait_for(lambda: [t for t in [w.a.ask("explain", "low-2")[0]["text"]] if "stretched" in t], "it is explained",
                        rig=w.rig)[0]
    expect("To spare them its interval is stretched from 2 s to" in text, "%s", text)
    before = rotations(w)
    rig.wait_for(lambda: rotations(w)[1] - before[1] >= 1.5 * LOW, "those of low priority rotate, too", rig=w.rig)
    high, low = (now - was for now, was in zip(rotations(w), before))
    print("# of high priority %.1f rotations, of low %.1f; stretched %.1f times" %
          (high / HIGH, low / LOW, pool(w)["stretch"]))
    expect(high / HIGH > 1.3 * low / LOW, "high %d, low %d", high, low)
    w.rig.still_well()


def comes_back(w):
    """With more keys the alarm goes, and all rotate at their intervals."""
    at = len(w.a.log())
    w.kmes.a.kill()
    w.kmes.a.conf["pool"] = {"keys": 10000, "refill": 1000}
    w.kmes.a.start()
    w.a.wait_alarm("low-1", "SOURCE-DRY", on=False)
    w.a.wait_log("ev=pool source=keys peer=SAE_B alarm=SOURCE-DRY state=cleared", at)
    rig.wait_for(lambda: pool(w)["stretch"] == 1 and pool(w)["state"] == "ok", lambda: "all is well: %s" % pool(w),
                 rig=w.rig)
    expect(w.a.end("low-1")["stretched_ms"] == 1000 * INTERVAL_S, "%s", w.a.end("low-1"))


def as_a_table(w):
    """rekeyctl sources without --json."""
    done = rig.subprocess.run([rig.CTL, "sources", "--socket", w.a.control], capture_output=True, text=True,
                              timeout=rig.PATIENCE_S)
    lines = done.stdout.splitlines()
    expect(done.returncode == 0 and lines[0].split()[:4] == ["SOURCE", "PLUGIN", "PEER", "STATE"], "%s", done)
    expect(re.match(r"keys\s+etsi014\s+SAE_B\s+\w+\s+24\s", lines[1]), "%s", lines)


def main():
    w = rig.World(set_up)
    cases = [("requests are not larger than the KME allows", in_batches), ("links are slowed down by priority", slowed_down),
             ("rekeyctl sources", as_a_table), ("with more keys all is as before", comes_back)]
    try:
        return rig.run_cases([(name, w.case(case)) for name, case in cases] + [("all ends well", w.last_case())])
    finally:
        w.close()


sys.exit(main())
