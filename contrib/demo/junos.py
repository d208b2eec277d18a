"""junos: two sites, two KMEs, two simulated routers with two links, whose keys change all the time; a live table, and
one line of sums at the end.

    junos.py BUILD SECONDS CHANNEL [--shim] [FOLDER]

Run by contrib/demo/run --junos, and --shim: then nobody reaches the routers, which ask by themselves (rekey-shim.py).
CHANNEL: spool, peer (HTTPS), or lldp, where the routers themselves show and hear the records, in the commits that bring
the keys.  FOLDER: where logs and configuration are left.  Exit status 1 when MKA was unsecured or frames could have
gone in clear for a moment, or nothing rotated.
"""
import os
import shutil
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ["top_builddir"], os.environ["top_srcdir"] = sys.argv[1], TOP
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "tests", "process"))
import junos_rig  # noqa: E402
import peer_sites  # noqa: E402
import rig  # noqa: E402
import shim_sites  # noqa: E402

LINKS = ("link-1", "link-2")
LLDP = ("interface all", "port-id-subtype interface-name", "advertisement-interval 5", "transmit-delay 1")
WAYS = {False: ("NETCONF over SSH", "junos-netconf"), True: ("asking by rekey-shim.py over HTTPS", "junos-event")}
TICK_S = 4
HEAD = "%6s  %-8s %-7s %-6s %-9s %-18s %-18s %6s %9s %7s %9s" % (
    "time", "router", "link", "role", "MKA", "CKN", "fallback CKN", "age", "rotations", "commits", "unsecured")


def use(channel, sites, kmes):
    """The channel "box" of both sites, by files until here."""
    ports, pki = [peer_sites.free_port() for _ in sites], kmes.dir + "/sites/"
    if channel == "peer":
        kmes.make_certs("sites", *(word for site in sites for word in ("--site", site.sae)))
    for site, own, other in zip(sites, ports, reversed(ports)):
        box = site.conf["channels"]["box"]
        if channel != "spool":
            box = {"plugin": channel, "auth-key": box["auth-key"]}
        if channel == "peer":
            box.update({"listen": "127.0.0.1:%d" % own, "url": "https://127.0.0.1:%d" % other, "ca": pki + "ca.crt",
                        "cert": "%ssite-%s.crt" % (pki, site.sae), "key": "file:%ssite-%s.key" % (pki, site.sae)})
        site.conf["channels"]["box"] = box


def set_up(r, channel, shim):
    lab, kmes = junos_rig.Lab(r, hello="100ms", commit="200ms"), rig.KmePair(r)
    kmes.start()
    a, b = r.pair(kmes.source, link="none")
    use(channel, (a, b), kmes)
    names = {"A": "mx-east", "B": "acx-west"}
    lab.router("mx-east", like="mx")
    lab.router("acx-west", like="acx-evo", zone="Europe/Berlin")
    if channel == "lldp":
        for router in lab.routers.values():
            router.lines += ["set protocols lldp " + line for line in LLDP]
    for site in (a, b):
        site.conf["links"].clear()
        site.conf["devices"].clear()
    for link in LINKS:
        ports = lab.cable(link, *names.values())
        for site, other, port in ((a, b, ports[0]), (b, a, ports[1])):
            site.link(link, device=names[site.name], interface=port, source="keys", channel="box", interval="3s",
                      **{"peer-sae": other.sae})
    lab.start()
    ticks = shim_sites.Ticks(lab, TICK_S) if shim else None
    for site in (a, b):
        if shim:
            ticks.device(site, names[site.name])
        else:
            lab.routers[names[site.name]].device(site)
        site.save()
        site.start()
    if shim:
        ticks.start()
    for site in (a, b):
        for link in LINKS:
            site.wait_end(link, lambda e: e["rotations"] >= 1, "a first key")
    lab.secured()
    return lab, (a, b), names


def show(lab, sites, names, seconds):
    state = lab.state()
    for site in sites:
        for row in site.status()["links"]:
            box = state[names[site.name]]
            end = box["ports"][row["interface"]]
            age = "%.1fs" % (row["key_age_ms"] / 1000) if row["key_age_ms"] is not None else "-"
            print("%5.0fs  %-8s %-7s %-6s %-9s %-18s %-18s %6s %9d %7d %8.1fs %s" % (
                seconds, names[site.name], row["link"], row["role"], end["state"], end["in_use"][:16] + "..",
                end["fallback"][:16] + ".." if end["fallback"] else "-", age, row["rotations"], box["commits"],
                end["unsecured_ms"] / 1000, " ".join(row["alarms"])), flush=True)


def sums(lab, sites, first):
    done = sum(row["rotations"] for row in sites[0].status()["links"]) - first
    ends = [end for link in LINKS for end in lab.ends(link)]
    boxes = lab.state().values()
    bad = {what: sum(end[what] for end in ends) for what in ("unsecured_ms", "clear_ms", "lost_ms")}
    print("rotations done %d, commits %d, %g seconds unsecured, %g seconds in clear" % (
        done, sum(box["commits"] for box in boxes), bad["unsecured_ms"] / 1000, bad["clear_ms"] / 1000), flush=True)
    return 0 if done > 0 and not any(bad.values()) and not any(box["violations"] for box in boxes) else 1


def main(seconds, channel, shim, keep):
    os.umask(0o077)
    way, plugin = WAYS[shim]
    with rig.Rig(plugins=(plugin, "spool", "static", "etsi014", channel)) as r:
        try:
            begin = time.monotonic()
            lab, sites, names = set_up(r, channel, shim)
            print("two sites are up (simulated Junos routers, %s, MKA with GCM-AES-256, channel %s), first keys in use "
                  "after %.1f s" % (way, channel, time.monotonic() - begin), flush=True)
            begin, line = time.monotonic(), 0
            first = sum(row["rotations"] for row in sites[0].status()["links"])
            while time.monotonic() - begin < seconds:
                now = time.monotonic() - begin
                if line % 10 == 0:
                    print(HEAD, flush=True)
                line += 1
                show(lab, sites, names, now)
                r.still_well()
                time.sleep(max(0, 1 - (time.monotonic() - begin - now)))
            code = sums(lab, sites, first)
            for site in sites:
                site.stop()
            return code
        finally:
            if keep:
                shutil.copytree(r.dir, keep, dirs_exist_ok=True, ignore=lambda d, names: [
                    n for n in names if n == "ctl" or n.endswith(".key") or n in ("id", "auth.key", "static.key")])


try:
    more = sys.argv[4:]
    folders = [word for word in more if word != "--shim"]
    sys.exit(main(int(sys.argv[2]), sys.argv[3], "--shim" in more, folders[0] if folders else None))
except (rig.Failed, rig.Skip) as why:
    sys.exit("demo: %s" % why)
