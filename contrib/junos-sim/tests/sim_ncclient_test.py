#!/usr/bin/python3
# sim_ncclient_test.py - junos-sim, seen by ncclient, a client that knows Junos and that nobody here wrote.
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import junos_lab  # noqa: E402
from junos_lab import CAK, CKN, expect  # noqa: E402

try:
    from lxml import etree
    from ncclient import manager
    from ncclient.operations import RPCError
    from ncclient.xml_ import to_ele
except ImportError:
    junos_lab.other_python("python3-ncclient is not installed")

lab = junos_lab.Lab(r1="127.0.77.1,srx", r2="127.0.77.2,acx-evo", r3="127.0.77.3,mx", r4="127.0.77.4,srx")
CA = "set security macsec connectivity-association CA1 "
KEY = [CA + "security-mode static-cak", CA + "pre-shared-key ckn " + CKN, CA + "pre-shared-key cak " + CAK,
       "set security macsec interfaces ge-0/0/0 connectivity-association CA1"]


def connect(name="r1", **options):
    how = {"key_filename": lab.dir + "/id"} if not options else options
    return manager.connect(host=lab.address(name), port=lab.port, username="lab", hostkey_verify=False,
                           allow_agent=False, look_for_keys=False, timeout=junos_lab.WAIT_S,
                           device_params={"name": "junos"}, **how)


def refused(call, *texts):
    """The reply has an error that says this."""
    try:
        got = call()
    except RPCError as why:
        got = str(why) + " ".join(etree.tostring(e.xml).decode() if hasattr(e, "xml") and e.xml is not None else ""
                                  for e in [why] + list(getattr(why, "errors", None) or []))
    else:
        got = "accepted: %s" % got
    for text in texts:
        expect(text in got, "no '%s' in: %s", text, got)


def log_in():
    with connect() as m:
        expect(m.connected and int(m.session_id) > 0)
        expect("http://xml.juniper.net/netconf/junos/1.0" in list(m.server_capabilities))
    with connect(password=lab.password()) as m:
        expect(m.connected)
    for wrong in ("not it", ""):
        try:
            connect(password=wrong)
        except Exception as why:
            expect("uthentication" in type(why).__name__ + str(why), "%r", why)
        else:
            raise junos_lab.Failed("a wrong password is taken")


def rfc_framing():
    """1.1 framing when the configuration asks for it."""
    with connect("r4") as m:
        m.load_configuration(action="set", config=["set system services netconf rfc-compliant",
                                                   "set system services netconf version-1.1"])
        m.commit()
    for device in ("junos", "default"):
        with manager.connect(host=lab.address("r4"), port=lab.port, username="lab", hostkey_verify=False,
                             key_filename=lab.dir + "/id", allow_agent=False, look_for_keys=False,
                             device_params={"name": device}) as m:
            expect("urn:ietf:params:netconf:base:1.1" in list(m.server_capabilities))
            got = m.get_config(source="running", filter=("subtree", "<configuration><system/></configuration>"))
            expect("version-1.1" in str(got), "%s", got)


def load_diff_commit():
    with connect() as m:
        m.lock()
        expect("ok" in str(m.load_configuration(action="set", config=KEY)))
        diff = str(m.compare_configuration())
        expect("+" in diff and CKN in diff and CAK not in diff and "$9$" in diff, "%s", diff)
        m.validate()
        m.commit()
        expect(str(m.compare_configuration()).count("+") == 0)
        text = str(m.get_configuration(format="text"))
        expect("ckn %s;" % CKN in text and "## SECRET-DATA" in text, "%s", text)
        expect(CAK not in text)
        m.rpc(to_ele('<load-configuration rollback="1"/>'))
        expect("-" in str(m.compare_configuration()))
        m.discard_changes()
        m.unlock()


def xml_and_text():
    with connect() as m:
        m.load_configuration(config=to_ele(
            "<interfaces><interface><name>ge-0/0/0</name><description>a &amp; b</description></interface></interfaces>"))
        m.load_configuration(format="text", config="protocols { lldp { interface ge-0/0/7; } }")
        diff = str(m.compare_configuration())
        expect("ge-0/0/7" in diff and "a &amp; b" in diff or "a & b" in diff, "%s", diff)
        m.commit()
        xml = str(m.get_configuration(filter=to_ele("<configuration><interfaces/></configuration>")))
        expect("<description>a &amp; b</description>" in xml and "lldp" not in xml, "%s", xml)
        m.load_configuration(config=to_ele(
            '<interfaces><interface><name>ge-0/0/0</name><description delete="delete"/></interface></interfaces>'))
        m.commit()
        expect("a &amp; b" not in str(m.get_configuration()))


def edit_config():
    ns = "urn:ietf:params:xml:ns:netconf:base:1.0"
    with connect("r3") as m:
        m.edit_config(target="candidate", config=etree.fromstring(
            '<config xmlns="%s"><configuration><system><domain-name>example.net</domain-name></system>'
            "</configuration></config>" % ns))
        m.commit()
        refused(lambda: m.edit_config(target="candidate", config=etree.fromstring(
            '<config xmlns="%s" xmlns:nc="%s"><configuration><system><time-zone nc:operation="delete"/></system>'
            "</configuration></config>" % (ns, ns))), "statement not found")
        m.discard_changes()
        expect("example.net" in str(m.get_config(source="running")))


def commit_history():
    with connect() as m:
        m.load_configuration(action="set", config="set system domain-name a.example")
        m.commit(comment="txn=0011 links=1")
        got = m.rpc(to_ele("<get-commit-information/>"))
        first = str(got).split("</commit-history>")[0]
        expect("<log>txn=0011 links=1</log>" in first and "<user>lab</user>" in first, "%s", got)


def commit_revision():
    def revision():
        return re.search("<revision>([^<]+)</revision>", str(m.rpc(to_ele("<get-commit-revision-information/>"))))[1]

    with connect() as m:
        before = revision()
        expect(before == revision())
        m.load_configuration(action="set", config="set system domain-name b.example")
        expect(before == revision())
        m.commit()
        expect(revision() not in (before, ""))


def locks():
    with connect() as a, connect() as b:
        a.lock()
        refused(b.lock, "configuration database locked by", "lab netconf (pid %s)" % a.session_id, "exclusive")
        refused(lambda: b.load_configuration(action="set", config="set system domain-name b"), "locked by")
        a.load_configuration(action="set", config="set system domain-name c")
        a.unlock()
        b.lock()
        expect(str(b.compare_configuration()).count("+") == 0, "what an unlocked session loaded is still there")
        b.unlock()
        a.load_configuration(action="set", config="set system domain-name d")
        refused(b.lock, "configuration database modified")
        refused(lambda: b.rpc(to_ele("<open-configuration><private/></open-configuration>")), "database modified")
        a.discard_changes()


def private_copies():
    private = to_ele("<open-configuration><private/></open-configuration>")
    with connect("r3") as a, connect("r3") as b:
        for m in (a, b):
            expect("uncommitted changes will be discarded" in str(m.rpc(private)))
        a.load_configuration(action="set", config="set interfaces ge-0/0/1 description one")
        b.load_configuration(action="set", config="set interfaces ge-0/0/2 description two")
        expect("one" not in str(b.compare_configuration()))
        a.commit()
        b.commit()
        text = str(a.get_config(source="running"))
        expect("one" in text and "two" in text, "%s", text)
        a.load_configuration(action="set", config="set interfaces ge-0/0/1 description three")
        b.load_configuration(action="set", config="set interfaces ge-0/0/1 description four")
        a.commit()
        refused(b.commit, "changed by another user")


def lost_session():
    """What ends with a session: its lock and its changes."""
    a = connect()
    a.lock()
    a.load_configuration(action="set", config="set system domain-name gone")
    with connect() as b:
        b.rpc(to_ele("<kill-session><session-id>%s</session-id></kill-session>" % a.session_id))
        for _ in range(50):
            try:
                b.lock()
                break
            except RPCError:
                pass
        expect("gone" not in str(b.compare_configuration()))


def wrong_statements():
    wrong = ((CA + "pre-shared-key ckn abcde", "Must be an even-length string up to 64 hexadecimal digits"),
             (CA + "pre-shared-key ckn " + "a" * 65, "Length 65 is not within range (1..64)"),
             (CA + "pre-shared-key cak " + "a" * 65, "Length 65 is not within range (1..64)"),
             (CA + "pre-shared-key cak xyzzy", "hexadecimal"), (CA + "no-such-thing", "syntax error"),
             ("set security authentication-key-chains key-chain K key 64", "not within range (0..63)"),
             ("set security authentication-key-chains key-chain K key 1 start-time soon", "invalid time"))
    with connect() as m:
        for line, text in wrong:
            refused(lambda: m.load_configuration(action="set", config=line), text)
        refused(lambda: m.load_configuration(config=to_ele(
            "<system><foo/><domain-name>half</domain-name></system>")), "syntax error", "foo")
        expect("half" in str(m.compare_configuration()), "the statements beside the wrong one were not loaded")
        m.discard_changes()
        refused(lambda: m.rpc(to_ele("<get-no-such-thing/>")), "syntax error")


CHAIN = "set security authentication-key-chains key-chain K key "
OPEN = [CA + "security-mode static-cak"]


def refused_commits():
    key1 = [CHAIN + "1 secret " + CAK, CHAIN + "1 key-name " + CKN, CHAIN + "1 start-time 2026-11-22.10:00:00"]
    key2 = [CHAIN + "2 secret " + CAK, CHAIN + "2 key-name aa" + CKN[2:], CHAIN + "2 start-time 2026-11-22.10:00:00"]
    psk = [CA + "pre-shared-key ckn " + CKN, CA + "pre-shared-key cak " + CAK]
    cases = ((OPEN, "pre-shared key or fallback-key or pre-shared-key-chain required"),
             (OPEN + [CA + "pre-shared-key-chain K"], "authentication-key-chains not defined"),
             (["set security macsec interfaces ge-0/0/0 connectivity-association NO"], "'NO' is not defined"),
             (OPEN + psk[:1], "missing mandatory statement: 'cak'"),
             (OPEN + psk + [CA + "pre-shared-key cak " + 2 * CAK], "cipher-suite"),
             (OPEN + psk + [p.replace("pre-shared", "fallback") for p in psk], "must differ"),
             (key1[:2], "missing mandatory statement: 'start-time'"), (key1 + key2, "start-time must be unique"),
             (OPEN + psk + [CA + "replay-protect"], "replay-window-size"))
    with connect("r2") as m:
        for lines, text in cases:
            m.load_configuration(action="set", config=lines)
            refused(m.commit, text, "commit failed")
            m.discard_changes()
        m.load_configuration(action="set", config=OPEN + psk)
        m.commit()


def moved_secret():
    """What is read back in $9$ form can be put elsewhere."""
    with connect("r2") as m:
        text = str(m.get_configuration(format="text"))
        sealed = text.split('cak "')[1].split('"')[0]
        m.load_configuration(action="set", config=[CA + "fallback-key ckn ff" + CKN[2:],
                                                   CA + 'fallback-key cak "%s"' % sealed])
        m.commit()
        refused(lambda: m.load_configuration(action="set", config=CA + 'fallback-key cak "$9$"'), "invalid")


def start_times():
    """They are shown with the zone, the month without a zero; the same time again is no change."""
    lines = [CHAIN + "1 secret " + CAK, CHAIN + "1 key-name " + CKN, CHAIN + "1 start-time 2026-07-08.09:05"]
    with connect() as m:
        m.load_configuration(action="set", config=lines)
        m.commit()
        text = str(m.get_configuration(format="text"))
        expect('start-time "2026-7-8.09:05:00 +0000";' in text, "%s", text)
        m.load_configuration(action="set", config=CHAIN + '1 start-time "2026-7-8.11:05:00 +0200"')
        diff = str(m.compare_configuration())
        expect("start-time" not in diff, "%s", diff)
        m.discard_changes()


def confirmed_commit():
    with connect("r3") as m:
        m.load_configuration(action="set", config="set system domain-name brief.example")
        m.rpc(to_ele("<commit><confirmed/><confirm-timeout>1</confirm-timeout></commit>"))
        expect("brief.example" in str(m.get_config(source="running")))
        expect("rollback pending" in str(m.rpc(to_ele("<get-commit-information/>"))))
        for _ in range(100):
            if "brief.example" not in str(m.get_config(source="running")):
                return
        raise junos_lab.Failed("it was not rolled back")


def many_at_once():
    """Requests that come while a commit takes its time (ncclient sends none then) are answered after it, in order."""
    body = "<get-configuration><!--%s--><configuration><system><host-name/></system></configuration></get-configuration>"
    said = lab.netconf("r1", ["<commit-configuration/>"] + [body % ("x" * (256 << i)) for i in range(12)])
    expect([line.count("<rpc-error>") for line in said] == [0] * 14, "%s", said)
    expect("<ok/>" in said[1] and all("<host-name>" in text for text in said[2:]), "%s", said)


def ends_clean():
    expect(lab.stop() == 0, "%s", lab.log_text())
    log = lab.log_text()
    expect(CAK not in log and lab.password() not in log and "$9$" not in log, "a secret is in the log")


try:
    lab.start("--commit-time", "20ms")
    cases = [(f.__name__, f) for f in (log_in, load_diff_commit, xml_and_text, edit_config, commit_history,
                                       commit_revision, locks, private_copies, lost_session, wrong_statements,
                                       refused_commits, start_times, moved_secret,
                                       confirmed_commit, many_at_once, rfc_framing, ends_clean)]
    status = junos_lab.run(cases)
finally:
    lab.end()
sys.exit(status)
