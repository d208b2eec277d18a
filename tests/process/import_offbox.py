# import_offbox.py - routers that run the old script move over to rekeyd, one end first: what import-offbox writes is
# accepted by check, and rotates with the script at the other end; the list of changes for the router works, and its way
# back; and once both ends have moved, they go on with each other.
#
# The routers have the configuration of the script's manual, on junos-sim; the script is played by offbox_script.py.
import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import rig  # noqa: E402
from offbox_script import PREFIX, Script  # noqa: E402
from rig import expect  # noqa: E402

SAES = ("SAE_A", "SAE_B")
CAK = "abcd1234abcd5678" * 4
MANUAL = """
set security macsec connectivity-association CA_basic cipher-suite gcm-aes-xpn-256
set security macsec connectivity-association CA_basic security-mode static-cak
set security macsec connectivity-association CA_basic pre-shared-key ckn %s
set security macsec connectivity-association CA_basic pre-shared-key cak %s
set security macsec connectivity-association CA_basic exclude-protocol lldp
set security macsec interfaces {port} apply-macro qkd kme-ca false
set security macsec interfaces {port} apply-macro qkd kme-host 127.0.0.1
set security macsec interfaces {port} apply-macro qkd kme-port {kme}
set security macsec interfaces {port} connectivity-association CA_basic
set security macsec interfaces {port} apply-macro qkd kme-keyid-check false
set event-options generate-event every1min time-interval 60
set event-options policy qkd events every1min
set event-options policy qkd then event-script offbox.py
set event-options event-script file offbox.py python-script-user remote
set protocols lldp interface all
set interfaces {port} description "to the lab"
""" % (CAK, CAK)
LINK = "a-b"


class Router(junos_rig.Router):
    """A port without what prepare leaves for it: the manual's configuration has its own."""

    def port(self):
        self.ports.append("ge-0/0/0")
        return self.ports[-1]


def set_up(w):
    w.rig = rig.Rig(plugins=junos_rig.PLUGINS + ("etsi014", "lldp"))
    w.lab = junos_rig.Lab(w.rig)
    w.kmes = rig.KmePair(w.rig)
    w.kmes.start()
    for sae, kme in zip(SAES, (w.kmes.a, w.kmes.b)):
        w.lab.routers[sae] = Router(w.lab, sae, "pre-shared-key", {"like": "mx"})
        w.lab.routers[sae].lines += MANUAL.format(port="ge-0/0/0", kme=kme.port).strip().splitlines()
    w.lab.cable(LINK, *SAES)
    w.lab.start()
    w.sites = {sae: w.rig.site(sae[-1], sae) for sae in SAES}
    w.changes, w.moved = {}, set()
    w.lab.secured()


# ---- the script ----

def script(w, sae):
    """A script that knows nothing yet, as each start of it does; the smaller SAE leads."""
    return Script(w.lab, w.kmes, (sae, "ge-0/0/0"), sae=sae, master=sae == SAES[0], ca="CA_basic")


def common(w):
    try:
        return w.lab.agree(LINK)
    except rig.Failed:
        return None


def new_key(w, tick, old):
    """Until both ends use another key than before; the script ticks meanwhile."""
    def look():
        tick()
        now = common(w)
        return now if now and now.lower() != old.lower() else None
    now = rig.wait_for(look, lambda: "a new key at both ends: %s" % w.lab.ends(LINK), 3 * rig.PATIENCE_S, w.rig)
    expect(now.lower().startswith(PREFIX), "not the script's way to make a CKN: %s", now)
    return now


# ---- importing ----

def rekeyctl(*words, fails=False):
    done = subprocess.run([rig.CTL, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=rig.PATIENCE_S)
    expect((done.returncode != 0) == fails, "rekeyctl %s: %d: %s%s", words, done.returncode, done.stderr,
           done.stdout[-500:])
    return done.stdout


def tools(w):
    return ("--rekeyd", rig.REKEYD, "--host", rig.HOST, "--plugin-dir", w.rig.plugin_dir)


def saved(w, sae):
    """What an operator saves: show configuration | display set of A, | display xml of B."""
    if sae == "SAE_A":
        return "%s/%s.conf" % (w.lab.dir, sae)
    reply = w.lab.netconf(sae, '<get-configuration database="committed"/>')
    expect("<apply-macro>" in reply, "%s", reply)
    whole = re.search(r"<rpc-reply.*</configuration>\s*</rpc-reply>", reply, re.S)[0]
    return rig.write("%s/%s.xml" % (w.lab.dir, sae), whole)


def imported(w, sae):
    """The configuration as it is printed, accepted by check, with what no router knows filled in."""
    site, peer = w.sites[sae], SAES[sae == SAES[0]]
    said = json.loads(rekeyctl("import-offbox", "--json", "--peer", peer, saved(w, sae)))
    expect(said["ok"] and said["sae"] == sae and said["script"] == "offbox.py", "%s", said)
    expect(CAK.encode() not in json.dumps(said["yaml"]).encode(), "a key: %s", said)
    w.changes[sae] = said["changes"]
    plain = rig.write(site.dir + "/imported.yaml", said["yaml"])
    expect("ok: 1 links" in rekeyctl("check", *tools(w), plain), "check does not say so")
    pki, router = w.kmes.dir + "/pki/", w.lab.routers[sae]
    text = said["yaml"]
    for was, now in (('"/etc/rekey/%s.crt"' % sae, pki + sae + ".crt"), ("/etc/rekey/kme-ca.crt", pki + "ca.crt"),
                     ("/etc/rekey/%s.key" % sae, pki + sae + ".key"),
                     ("    host: %s\n" % sae, "    host: %s\n    port: %d\n" % (router.host, w.lab.port)),
                     ("/etc/rekey/ssh_ed25519", w.lab.key), ("/etc/rekey/known_hosts", w.lab.known_hosts),
                     ("file:/etc/rekey/lldp.auth", auth_key(w)),
                     ("format: offbox\n", "format: offbox\n    offbox-key: key_ID\n"),
                     ("interval: 300s", "interval: 2s"),
                     ("name: %s-ge-0-0-0" % sae, "name: " + LINK)):
        expect(was in text, "%s is not in %s", was, text)
        text = text.replace(was, now)
    text = re.sub(r"    # offbox-key:.*\n", "", text)
    return text + "state-dir: %s\ncontrol: %s\ndefaults: {drain: 100ms, verify: 300ms}\n" % (site.state_dir,
                                                                                            site.control)


def auth_key(w):
    if not hasattr(w, "auth"):
        w.auth = w.rig.site("both", "SAE_A").secret("auth.key")
    return w.auth


# ---- the list of changes ----

def on_router(w, sae, step, which):
    """Type the lines of a step as an operator would."""
    lines = [line for line in w.changes[sae][step][which] if not line.startswith(("#", "run "))]
    load = ('<load-configuration action="set" format="text"><configuration-set>%s</configuration-set>'
            "</load-configuration>" % "\n".join(line.replace("&", "&amp;").replace("<", "&lt;") for line in lines))

    def commit():  # rekeyd may be at it
        said = w.lab.netconf(sae, "<open-configuration><private/></open-configuration>", load,
                             "<commit-configuration/>")
        done = "<commit-success/>" in said and "<error-severity>error" not in said
        expect(done or "another commit is in progress" in said, "%s: %s", lines, said)
        return done
    rig.wait_for(commit, "a commit on " + sae, rig=w.rig)


def has(w, sae, what):
    return what in w.lab.netconf(sae, '<get-configuration database="committed"/>')


def take_over(w, sae):
    w.sites[sae].save(imported(w, sae))
    on_router(w, sae, 0, "do")
    expect(not has(w, sae, "kme-host"), "the macro is there still")
    w.sites[sae].start()
    w.moved.add(sae)


def give_back(w, sae):
    w.sites[sae].stop()
    on_router(w, sae, 0, "undo")
    expect(has(w, sae, "kme-host"), "the macro is not back")
    w.moved.discard(sae)


# ---- cases ----

def scripts_alone(w):
    """the script runs at both ends, with the configuration of its manual"""
    lead, follow = script(w, "SAE_A"), script(w, "SAE_B")
    old = w.lab.agree(LINK)
    expect(old.lower() == CAK, "%s", old)
    lead.tick()
    w.key = new_key(w, follow.tick, old)


def a_moves(w):
    """the end that leads moves first: rekeyd leads the script, as it was imported from set lines"""
    take_over(w, "SAE_A")
    follow = script(w, "SAE_B")
    follow.last = None
    for _ in range(2):
        w.key = new_key(w, follow.tick, w.key)
    row = w.sites["SAE_A"].end(LINK)
    expect(row["class"] == "E" and row["role"] == "master", "%s", row)
    w.lab.check()


def a_back(w):
    """the way back: the script of that end goes on with the key that is there"""
    give_back(w, "SAE_A")
    lead, follow = script(w, "SAE_A"), script(w, "SAE_B")
    w.key = common(w) or w.key
    lead.tick()
    w.key = new_key(w, follow.tick, w.key)


def b_moves(w):
    """the end that follows moves first: rekeyd follows the script, as it was imported from XML"""
    take_over(w, "SAE_B")
    lead = script(w, "SAE_A")
    for _ in range(2):
        lead.tick()
        w.key = new_key(w, lambda: None, w.key)
    expect(w.sites["SAE_B"].end(LINK)["role"] == "slave", "%s", w.sites["SAE_B"].end(LINK))


def both_moved(w):
    """then the other end moves, for the second time: two rekeyd go on with each other, nothing is left of the script"""
    take_over(w, "SAE_A")
    site = w.sites["SAE_A"]
    site.wait_alarm(LINK, "FOREIGN")  # its journal knows of other keys than those that the script put there meanwhile
    expect(site.ctl("adopt", LINK)[0] == 0, "adopt")
    for _ in range(2):
        w.key = new_key(w, lambda: None, w.key)
    for sae in SAES:
        on_router(w, sae, 1, "do")
        expect(not has(w, sae, "event-options") or not has(w, sae, "offbox.py"), "%s has event-options still", sae)
    w.key = new_key(w, lambda: None, w.key)


def own_way(w):
    """both ends give up the script's format: rotations go on in rekeyd's own, after an operator's word"""
    for sae in SAES:
        with open(w.sites[sae].config) as f:
            text = f.read()
        for old in ("    ckn: offbox\n", "    format: offbox\n    offbox-key: key_ID\n"):
            expect(old in text, "%s is not in %s", old, text)
            text = text.replace(old, "")
        w.sites[sae].save(text)
        code, said, err = w.sites[sae].ctl("reload")
        expect(code == 0, "%s %s", said, err)
    for sae in SAES:
        w.sites[sae].wait_end(LINK, lambda e: e["held"] and e["first_key"], "held")
        expect(w.sites[sae].ctl("adopt", LINK)[0] == 0, "adopt")

    def look():
        now = common(w)
        return now if now and not now.lower().startswith(PREFIX) else None
    rig.wait_for(look, lambda: "a key of the other form: %s %s" % (w.lab.ends(LINK), [
        w.sites[sae].status()["links"] for sae in SAES]), 3 * rig.PATIENCE_S, w.rig)
    row = w.sites["SAE_A"].wait_rotations(LINK, 1)
    expect(w.sites["SAE_A"].end(LINK)["class"] == "B", "%s", row)
    w.lab.check()  # from the first key of the manual to here: never unsecured, never in clear


def script_is_back(w):
    """the way back of the last step: event-options are what they were"""
    on_router(w, "SAE_A", 1, "undo")
    for word in ("every1min", "offbox.py", "remote", "<time-interval>60</time-interval>"):
        expect(has(w, "SAE_A", word), "%s is not back", word)
    on_router(w, "SAE_A", 1, "do")


def of_a_device(w):
    """a device is asked, in place of a file: the same, and the other end by LLDP"""
    for sae in SAES:
        w.sites[sae].stop()
    on_router(w, "SAE_A", 0, "undo")
    for sae in SAES:
        text = w.lab.netconf(sae, '<load-configuration action="set" format="text"><configuration-set>set interfaces '
                             'ge-0/0/0 description "lab|{\\"key_ID\\": \\"x\\"}"</configuration-set>'
                             '</load-configuration>',
                             "<commit-configuration/>")
        expect("<commit-success/>" in text, "%s", text)
    site = w.sites["SAE_A"]
    site.conf["devices"], site.conf["links"] = {}, []
    w.lab.routers["SAE_A"].device(site, ckn="offbox")
    site.save()
    said = json.loads(rekeyctl("import-offbox", "--json", "--config", site.config, *tools(w), "SAE_A"))
    expect(said["ok"] and said["device"] == "SAE_A", "%s", said)
    for text in ("peer-sae: SAE_B\n", "offbox-key: key_ID\n", "device: SAE_A\n", "name: SAE_A-ge-0-0-0_SAE_B-ge-0-0-0"):
        expect(text in said["yaml"], "%s is not in: %s", text, said["yaml"])
    expect("devices:" not in said["yaml"] and CAK not in said["yaml"], "%s", said["yaml"])
    expect(said["changes"][0]["do"] == w.changes["SAE_A"][0]["do"], "%s", said["changes"])
    whole = rig.write(site.dir + "/whole.yaml", "sae: SAE_A\ndevices: {SAE_A: %s}\n%s" % (
        json.dumps(site.conf["devices"]["SAE_A"]), said["yaml"]))
    expect("ok: 1 links" in rekeyctl("check", *tools(w), whole), "check does not say so")
    rekeyctl("import-offbox", "--config", site.config, *tools(w), "SAE_Q", fails=True)


def main():
    rig.need("ssh-keygen")
    w = rig.World(set_up)
    cases = [(f.__doc__, w.case(f)) for f in (scripts_alone, a_moves, a_back, b_moves, both_moved, own_way,
                                              script_is_back, of_a_device)]
    try:
        return rig.run_cases(cases + [("all ends well", w.last_case())])
    finally:
        w.close()


sys.exit(main())
