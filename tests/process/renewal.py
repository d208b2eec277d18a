# renewal.py - certificates that end: the alarm with its date, and its end when they were renewed, with no restart.
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect  # noqa: E402

LINK = "link-1"
DAY_S = 86400


def openssl(w, *words):
    done = subprocess.run(["openssl", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                          cwd=w.kmes.dir + "/pki")
    expect(done.returncode == 0, "openssl %s: %s", words[0], done.stderr)


def renew(w, name, days):
    """A new key, and a certificate for it like the old one, each put in place in one step."""
    openssl(w, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "new.key")
    openssl(w, "x509", "-x509toreq", "-in", name + ".crt", "-signkey", "new.key", "-copy_extensions", "copy",
            "-out", "new.csr")
    openssl(w, "x509", "-req", "-in", "new.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-copy_extensions", "copy", "-days", str(days), "-out", "new.crt")
    os.chmod(w.kmes.dir + "/pki/new.key", 0o600)
    for kind in (".key", ".crt"):
        os.rename("%s/pki/new%s" % (w.kmes.dir, kind), "%s/pki/%s%s" % (w.kmes.dir, name, kind))


def set_up(w):
    w.rig = rig.Rig(plugins=("sim", "spool", "etsi014"))
    w.kmes = rig.KmePair(w.rig)
    renew(w, "SAE_A", 10)
    w.kmes.start()
    w.a, w.b = w.rig.pair(w.kmes.source)
    w.a.start()
    w.b.start()


def remedy(site):
    """What rekeyctl explain says of the alarm; None: there is none."""
    for row in site.ask("explain", LINK):
        for alarm in row["alarms"]:
            if alarm["alarm"] == "CERT-EXPIRY":
                return alarm
    return None


def check_ends(expires, what, days):
    expect(expires["instance"] == "keys" and expires["what"] == what, "it is said of %s", expires)
    expect(abs(expires["unix_s"] - time.time() - days * DAY_S) < DAY_S, "it ends in %d s",
           expires["unix_s"] - time.time())
    expect(expires["time"].endswith(" UTC"), "no date: %s", expires)


def soon(w):
    path = w.kmes.dir + "/pki/SAE_A.crt"
    row = w.a.wait_alarm(LINK, "CERT-EXPIRY")
    check_ends(row["expires"], path, 10)
    told = remedy(w.a)
    expect(told["at"] == "keys" and told["do"] == "renew %s: it ends %s" % (path, row["expires"]["time"]), "%s", told)
    expect(path in w.a.wait_log("ev=alarm .*alarm=CERT-EXPIRY state=raised .*").group(0), "the log does not name it")
    w.a.wait_rotations(LINK, 2)
    other = w.b.end(LINK)
    expect("CERT-EXPIRY" not in other["alarms"] and other["expires"] is None, "B's certificates are good: %s", other)
    far = w.b.plugin("etsi014")["expires"]
    expect(len(far) == 1 and far[0]["state"] == "far", "%s", far)
    expect(w.a.plugin("etsi014")["expires"][0]["state"] == "soon", "plugins do not tell")


def renewed(w):
    hosts = w.a.plugin("etsi014")["pid"], w.a.process.pid
    renew(w, "SAE_A", 365)
    row = w.a.wait_alarm(LINK, "CERT-EXPIRY", on=False)
    expect(row["expires"] is None and remedy(w.a) is None, "%s", row)
    w.a.wait_log("ev=certificate .*res=renewed")
    w.a.wait_rotations(LINK, 2)
    expect((w.a.plugin("etsi014")["pid"], w.a.process.pid) == hosts, "something was restarted")


def of_the_kme(w):
    for member in ("cert-expired", "cert-future"):  # which are for the key that it had at first
        w.kmes.b.conf.pop(member)
    for days, on in ((5, True), (365, False)):
        renew(w, "kme-b", days)
        w.kmes.b.kill()
        w.kmes.b.start()
        row = w.b.wait_alarm(LINK, "CERT-EXPIRY", on=on)
        if on:
            check_ends(row["expires"], "the certificate of https://127.0.0.1:%d" % w.kmes.b.port, days)
    w.b.wait_rotations(LINK, 1)


def main():
    w = rig.World(set_up)
    cases = [("a certificate that ends soon is told, with its date", soon),
             ("renewed while rekeyd runs: the alarm goes, nothing is restarted", renewed),
             ("the KME's certificate, and its renewal", of_the_kme)]
    try:
        return rig.run_cases([(name, w.case(function)) for name, function in cases], quick_too=True)
    finally:
        w.close()


sys.exit(main())
