# outage.py - a KME that gives no keys for a while, and many links that want some: one asks for all, the old keys stay,
# the links of another KME go on, and when it is back nobody tramples it.
import re
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

LINKS, OTHERS = 100, 5
INTERVAL_S = 4
PAUSE_S = 1.25  # the longest between two tries: a quarter of the interval, and a quarter of that


class Log:
    """The requests for new keys that a KME has had since."""

    def __init__(self, w, name):
        self.path, self.at = "%s/%s.log" % (w.rig.dir, name), 0
        self.at = len(self.read())

    def read(self):
        with open(self.path, errors="replace") as f:
            return f.read()

    def codes(self):
        return [int(c) for c in re.findall(r"path=\S*/enc_keys\S* code=(\d+)", self.read()[self.at:])]


def set_up(w):
    w.rig = rig.Rig(plugins=("sim", "spool", "etsi014"))
    w.kmes = rig.KmePair(w.rig)
    w.second = [rig.Kme(w.kmes, *names) for names in (("kme-c", "SAE_A", "kme-d", "SAE_B"),
                                                      ("kme-d", "SAE_B", "kme-c", "SAE_A"))]
    for kme, like in zip(w.second, ("kme-a", "kme-b")):
        kme.conf.update({k: v.replace(kme.name, like) for k, v in kme.conf.items()
                         if k in ("cert", "key", "cert-expired", "cert-future")})
        kme.start()
    w.kmes.start()
    w.a, w.b = w.rig.pair(w.kmes.source)
    for site, other, device, kme in ((w.a, w.b, "east", w.second[0]), (w.b, w.a, "west", w.second[1])):
        site.conf["sources"]["others"] = dict(site.conf["sources"]["keys"], url="https://127.0.0.1:%d" % kme.port)
        site.conf["defaults"].update({"interval": "%ds" % INTERVAL_S, "drain": "100ms", "verify": "1s"})
        for i in range(1, LINKS):
            site.link("many-%03d" % i, device=device, interface="port%d" % i, source="keys", channel="box",
                      **{"peer-sae": other.sae})
        for i in range(OTHERS):
            site.link("other-%d" % i, device=device, interface="other%d" % i, source="others", channel="box",
                      **{"peer-sae": other.sae})
        site.save()
        site.start()
    wait_rows(w, lambda rows: all(r["rotations"] >= 1 for r in rows), "every link has a key")


def rows(w, source="keys"):
    return [r for r in w.a.status()["links"] if r["source"] == source]


def wait_rows(w, condition, what, source=("keys", "others")):
    def look():
        return condition([r for r in w.a.status()["links"] if r["source"] in source])

    return rig.wait_for(look, what, rig=w.rig)


def pool(w, source="keys"):
    row, = [r for r in w.a.ask("sources") if r["source"] == source]
    return row


def go_on(w, before, what):
    return wait_rows(w, lambda rs: all(r["rotations"] > before[r["link"]] for r in rs), what, ("keys",))


def known(w):
    """The status was asked, and says what the KME has; the daemon uses no more keys than rotations."""
    row = rig.wait_for(lambda: pool(w)["stored"] is not None and pool(w), "a status", rig=w.rig)
    expect(row["plugin"] == "etsi014" and row["peer_sae"] == "SAE_B" and row["state"] == "ok", "%s", row)
    expect(row["max_per_request"] == 128 and row["min_bits"] == 64 and row["max_bits"] == 4096, "%s", row)
    expect(row["links"] == LINKS and abs(row["use_per_s"] - LINKS / INTERVAL_S) < 0.1, "%s", row)
    expect(row["stretch"] == 1 and not row["dry"] and row["orphaned"] == 0, "%s", row)
    end = w.a.end("many-001")
    expect(end["priority"] == 4 and end["stretched_ms"] == INTERVAL_S * 1000, "%s", end)
    expect(end["pool_stored"] is not None, "%s", end)


def all_wait(w):
    return rig.wait_for(lambda: pool(w)["waiting"] >= LINKS * 9 / 10 and pool(w), "nine of ten links wait", rig=w.rig)


def others_go_on(w, before):
    wait_rows(w, lambda rs: all(r["rotations"] >= before[r["link"]] + 1 for r in rs), "the others rotate", ("others",))
    for row in rows(w, "others"):
        expect(not {"SOURCE", "SOURCE-DRY", "OVERDUE", "EXPIRED"} & set(row["alarms"]), "%s", row)


def counts(w, source):
    return {r["link"]: r["rotations"] for r in rows(w, source)}


def waiting_is_shown(w, alarm):
    row = rig.wait_for(lambda: [r for r in rows(w) if r["state"] == "waiting-source"][:1], "a link that waits",
                       rig=w.rig)[0]
    expect(alarm in row["alarms"] and row["key_id"], "%s", row)
    expect(pool(w)["state"] == "waiting" and pool(w)["last"]["why"], "%s", pool(w))
    text = w.a.ask("explain", row["link"])[0]["text"]
    if "waits for the source" not in text:  # it was the one that asks
        expect("asks the source" in text or "failed" in text, "%s", text)


def refused(w):
    """503 for every key: calls at the pace of one link."""
    others, before, log = counts(w, "others"), counts(w, "keys"), Log(w, "kme-a")
    w.kmes.a.fault("refuse-enc")
    all_wait(w)
    w.rig.oracle.check()
    others_go_on(w, others)
    codes = log.codes()
    expect(set(codes[-3:]) == {503}, "%s", codes)
    asked = sum(c == 503 for c in codes)
    print("# %d requests in vain for %d links" % (asked, LINKS))
    expect(3 <= asked <= 40, "%d requests in vain, for %d links", asked, LINKS)
    waiting_is_shown(w, "SOURCE")
    back = Log(w, "kme-a")
    before = counts(w, "keys")
    w.kmes.a.fault("none")
    go_on(w, before, "all rotate again")
    codes = back.codes()
    good = [i for i, c in enumerate(codes) if c == 200]
    expect(503 not in codes[good[0]:], "refused after the first key: %s", codes)
    wait_rows(w, lambda rs: not any({"SOURCE", "SOURCE-DRY"} & set(r["alarms"]) for r in rs), "no alarm is left")
    expect(pool(w)["state"] in ("ok", "recovering") and pool(w)["orphaned"] == 0, "%s", pool(w))


def away(w):
    """No KME at all: the links wait, and the first key comes within one pause of its return."""
    others, log = counts(w, "others"), w.a.log()
    w.kmes.a.kill()
    all_wait(w)
    others_go_on(w, others)
    waiting_is_shown(w, "SOURCE")
    calls = pool(w)["calls"]
    w.a.wait_log(r"ev=source source=keys state=waits res=\S+ why=", len(log))
    before, asked = counts(w, "keys"), Log(w, "kme-a")
    w.kmes.a.start()
    go_on(w, before, "all rotate again")
    expect(set(asked.codes()) == {200}, "%s", asked.codes())
    expect(pool(w)["calls"] - calls <= LINKS, "%d calls", pool(w)["calls"] - calls)
    w.a.wait_log(r"ev=source source=keys state=gives-keys", len(log))


def away_at_the_slave(w):
    """The other end's KME: keys that are offered wait for it, for an interval; it is not run down, either."""
    def b_pool():
        return [r for r in w.b.ask("sources") if r["source"] == "keys"][0]

    others, before = counts(w, "others"), b_pool()
    w.kmes.b.kill()
    rig.wait_for(lambda: b_pool()["state"] == "waiting" and sum(
        r["state"] == "staged" for r in rows(w)) >= LINKS * 9 / 10, "nine of ten keys wait at the master", rig=w.rig)
    others_go_on(w, others)
    expect(b_pool()["failed"] - before["failed"] <= 40, "%s", b_pool())
    at = counts(w, "keys")
    w.kmes.b.start()
    go_on(w, at, "all rotate again")
    expect(b_pool()["failed"] - before["failed"] <= 40, "%s", b_pool())


def reloaded(w):
    """Links that wait are taken out of the configuration, and then the source is replaced under the others."""
    w.kmes.a.fault("refuse-enc")
    all_wait(w)
    links = w.a.conf["links"]
    w.a.conf["links"] = [link for i, link in enumerate(links) if link["source"] != "keys" or i % 2]
    w.a.save()
    w.a.ask("reload")
    left = len(rows(w))
    expect(0 < left < LINKS, "%d links", left)
    rig.wait_for(lambda: pool(w)["links"] == left and pool(w)["waiting"] <= left, "the others wait on", rig=w.rig)
    w.a.conf["sources"]["keys"]["connections"] = 2
    w.a.save()
    w.a.ask("reload")
    rig.wait_for(lambda: pool(w)["state"] == "waiting", "the new one waits, too", rig=w.rig)
    before = counts(w, "keys")
    w.kmes.a.fault("none")
    go_on(w, before, "all rotate again")


def nothing_was_lost(w):
    """Waiting costs no rotation: none was begun in vain by those that waited."""
    for row in rows(w):
        expect(row["orphaned"] == 0, "%s", row)
    failed = sum(r["failed"] for r in rows(w))
    print("# %d rotations failed" % failed)
    expect(failed <= 3 * LINKS, "%d rotations failed", failed)


def main():
    w = rig.World(set_up)
    cases = [("the status of the pool is known", known), ("a KME that refuses", refused), ("a KME that is away", away),
             ("the other end's KME is away", away_at_the_slave),
             ("a reload while links wait", reloaded), ("nothing was lost", nothing_was_lost)]
    try:
        return rig.run_cases([(name, w.case(case)) for name, case in cases] + [("all ends well", w.last_case())])
    finally:
        w.close()


sys.exit(main())
