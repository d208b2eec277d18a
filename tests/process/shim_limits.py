# shim_limits.py - what contrib/junos/rekey-shim.py never does: change what is not its own, read what it need not, trust
# a server or a file that it should not, follow a redirect, show a key.
import errno
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import warnings

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import marker  # noqa: E402
import rig  # noqa: E402
import shim_rig  # noqa: E402
from rig import expect  # noqa: E402
from shim_rig import association, edit, key, look, macsec, new_key, tag  # noqa: E402

CONFIG, TEMPORARY = 78, 75
HISTORY = "<get-commit-information/>"


def set_up(w):
    shim_rig.need()
    w.rig = rig.Rig(())
    w.lab = junos_rig.Lab(w.rig)
    router = w.lab.router("r1", "pre-shared-key")
    router.port()
    router.lines += ["set security macsec connectivity-association CA1 security-mode static-cak",
                     "set security macsec connectivity-association CA1 pre-shared-key ckn " + "11" * 32,
                     "set security macsec connectivity-association CA1 pre-shared-key cak " + "22" * 32]
    w.lab.start()
    w.pki = shim_rig.Pki(w.rig.dir + "/pki")
    w.other = shim_rig.Pki(w.rig.dir + "/other")
    w.daemon = shim_rig.Daemon(*w.pki.make("rekeyd", "named"), w.pki.ca)
    w.url = "https://127.0.0.1:%d" % w.daemon.port
    w.box = shim_rig.Box(w.lab, "r1", w.pki, w.url)
    w.start = w.lab.commits()["r1"]


world = rig.World(set_up)


def ends(w, code, says, *more, asked=0, **options):
    """A run that ends so."""
    w.daemon.forget()
    status, said = w.box.run(*more, **options)
    expect(status == code and says in said and said.count("\n") == 1, "exit status %d, wanted %d and '%s': %s", status,
           code,
           says, said)
    expect(len(w.daemon.requests) == asked, "%d requests: %s", len(w.daemon.requests), said)


# ---- the white list, without a router ----

CKN, CAK = "ab" * 32, "cd" * 32
MACSEC = "<security><macsec/></security>"
PAIR = key(CKN, CAK)


def security(inner):
    return shim_rig.configuration(tag("security", inner))


def chain(*inner):
    return security(tag("authentication-key-chains", tag("key-chain", "<name>K</name>", *inner)))


def interface(*inner, name="xe-0/0/0"):
    return shim_rig.configuration(tag("interfaces", tag("interface", tag("name", name), *inner)))


def in_macsec(inner):
    return macsec(association(inner))


GOOD_LOADS = (
    in_macsec(PAIR), in_macsec('<pre-shared-key delete="delete"/>'),
    in_macsec('<fallback-key delete="delete"></fallback-key>'),
    in_macsec("<security-mode>static-cak</security-mode>"), in_macsec(key(CKN, "$9$abc./&lt;&amp;")),
    macsec(association(PAIR, name="CA #1 (east), \u00e9")),
    macsec("<interfaces><name>xe-0/0/0.7</name><connectivity-association>CA1</connectivity-association></interfaces>"),
    chain('<key delete="delete"><name>63</name></key>'), chain("<description>x</description>"),
    interface('<description delete="delete"/>'), interface("<description>&lt;a|{}\u00e9</description>"),
)

BAD_LOADS = (
    # other paths
    shim_rig.configuration("<system><login><user><name>x</name><class>super-user</class></user></login></system>"),
    "<configuration><system><host-name>x</host-name></system></configuration>",
    "<configuration><event-options><policy><name>x</name></policy></event-options></configuration>",
    "<configuration><groups><name>x</name></groups></configuration>",
    "<configuration><apply-groups>x</apply-groups></configuration>",
    "<configuration><security><pki><ca-profile><name>x</name></ca-profile></pki></security></configuration>",
    "<configuration><security><ssh-known-hosts/></security></configuration>", interface("<disable/>"),
    interface("<unit><name>0</name></unit>"), interface("<mtu>9000</mtu>"),
    interface("<description>a\tb</description>"),
    in_macsec("<no-encryption/>"), in_macsec("<mka><should-secure/></mka>"), in_macsec("<disable-preceding-key/>"),
    in_macsec("<cipher-suite>gcm-aes-128</cipher-suite>"), in_macsec("<security-mode>dynamic</security-mode>"),
    in_macsec("<exclude-protocol><name>lldp</name></exclude-protocol>"), macsec("<traceoptions/>"),
    in_macsec("<apply-macro><name>qkd</name></apply-macro>"), in_macsec("<apply-macro></apply-macro>"),
    in_macsec("<apply-macro><name>rekey</name><name>qkd</name></apply-macro>"),
    # deletes
    '<configuration delete="delete"/>', '<configuration><security delete="delete"/></configuration>',
    security('<macsec delete="delete"/>'), security('<authentication-key-chains delete="delete"/>'),
    macsec('<interfaces delete="delete"><name>xe-0/0/0</name></interfaces>'),
    macsec('<interfaces><name>xe-0/0/0</name><connectivity-association delete="delete"/></interfaces>'),
    macsec('<connectivity-association delete="delete"><name>CA1</name></connectivity-association>'),
    in_macsec('<apply-macro delete="delete"><name>rekey</name></apply-macro>'),
    in_macsec('<security-mode delete="delete"/>'),
    security(tag("authentication-key-chains", '<key-chain delete="delete"><name>K</name></key-chain>')),
    shim_rig.configuration('<interfaces><interface delete="delete"><name>xe-0/0/0</name></interface></interfaces>'),
    in_macsec('<pre-shared-key><cak delete="delete"/></pre-shared-key>'),
    # attributes, namespaces, names
    in_macsec(PAIR).replace("<pre-shared-key>", '<pre-shared-key operation="delete">'),
    in_macsec(PAIR).replace("<pre-shared-key>", '<pre-shared-key delete="yes">'),
    macsec(association(PAIR)).replace("<macsec>", '<macsec replace="replace">'),
    macsec(association(PAIR)).replace("<macsec>", '<macsec inactive="inactive">'),
    macsec(association(PAIR)).replace("<name>", '<name insert="first">'),
    macsec(association(PAIR)).replace("<configuration>", '<configuration xmlns="http://xml.juniper.net/xnm/1.1/xnm">'),
    macsec(association(PAIR)).replace("<configuration>", '<configuration xmlns:x="u" x:y="z">'),
    macsec(association(PAIR, name="*")), macsec(association(PAIR, name="&lt;*&gt;")),
    macsec(association(PAIR, name="")),
    macsec(association(PAIR, name="a\nb")), macsec(tag("connectivity-association", PAIR)), interface(name="xe-*"),
    interface(name="&lt;ge-*&gt;"), chain("<key><name>100</name></key>"), chain("<key><name>x</name></key>"),
    macsec(association("<name>CA2</name>", PAIR)), in_macsec(key("xyz", CAK)), in_macsec(key(CKN, "a b")),
    in_macsec(key(CKN, "")), in_macsec("text"), in_macsec(PAIR + "text"), in_macsec("<ckn>" + CKN + "</ckn>"),
    in_macsec(PAIR).replace(CKN, "<x/>"), in_macsec(key(CKN, "x" * 513)),
    # no XML, or too much of it
    "", "x", "<configuration>", "<configuration/><configuration/>", "<rpc/>", None, 7, ["x"], "<commit-configuration/>",
    "<!DOCTYPE x [<!ENTITY a 'b'>]><configuration/>", "<?xml version='1.0'?><configuration/>",
    in_macsec("<!-- x -->" + PAIR), in_macsec(PAIR).replace(CAK, "<![CDATA[%s]]>" % CAK),
    "<configuration>&x;</configuration>",
    "<a>" * 20000 + "</a>" * 20000, in_macsec(PAIR) + "]]>]]><rpc><commit-configuration/></rpc>",
    in_macsec(PAIR) + "</load-configuration><lock/>", "\0", "<configuration>\ud800</configuration>",
)

GOOD_LOOKS = (
    HISTORY, "<get-mka-session-information><detail/></get-mka-session-information>", "<get-macsec-statistics/>",
    "<get-configuration-database-status/>", '<command format="text">show security mka sessions detail</command>',
    "<get-lldp-interface-neighbors><interface-device>xe-0/0/0</interface-device></get-lldp-interface-neighbors>",
    tag("get-configuration", shim_rig.configuration(MACSEC), database="committed"),
    tag("get-configuration", shim_rig.configuration(tag("interfaces", "<interface><name/><description/></interface>"))),
)

BAD_LOOKS = (
    "<request-system-reboot/>", "<request-system-halt/>", "<commit-configuration/>", "<kill-session/>", "<file-get/>",
    "<load-configuration/>", "<get-configuration/>", "<get-config><source><running/></source></get-config>",
    "<get-configuration><configuration/></get-configuration>", "<get-rollback-information/>",
    "<get-system-core-dumps/>",
    "<get-configuration><configuration><system/></configuration></get-configuration>",
    "<get-configuration><configuration><system><login/></system></configuration></get-configuration>",
    "<get-configuration><configuration><interfaces/></configuration></get-configuration>",
    "<get-configuration><configuration><interfaces><interface/></interfaces></configuration></get-configuration>",
    "<get-configuration><configuration><security/></configuration></get-configuration>",
    "<get-configuration><configuration><security><pki/></security></configuration></get-configuration>",
    tag("get-configuration", shim_rig.configuration(MACSEC), compare="rollback"),
    tag("get-configuration", shim_rig.configuration(MACSEC), url="scp://x"),
    "<command>request system reboot</command>", "<command>show configuration</command>",
    "<command>start shell</command>",
    "<command>show security mka sessions | save /var/tmp/x</command>",
    "<command>show version; request system halt</command>",
    "<command>show version\nrequest system halt</command>", "<command>file show /etc/passwd</command>", "<command/>",
    '<command format="xml" url="x">show version</command>', "<command><x/></command>", "show version", "", "<", None, 3,
    "<get-mka-session-information x='y'/>", "<get-interface-information><x y='z'/></get-interface-information>",
    HISTORY + HISTORY, HISTORY + "]]>]]>", "<!--x-->" + HISTORY, "<x:get-commit-information xmlns:x='y'/>",
)


def what_may_be_loaded():
    s = shim_rig.module()
    for text in GOOD_LOADS:
        sent = s.safe_load({"action": "merge", "format": "xml", "config": text})
        expect(sent.startswith('<load-configuration action="merge" format="xml"><configuration>'), "%s", sent)
        again = sent[len('<load-configuration action="merge" format="xml">'):-len("</load-configuration>")]
        expect(s.safe_load({"action": "merge", "format": "xml", "config": again}) == sent, "not the same again: %s",
               sent)
        for word in re.findall(r">([^<>]+)<", text):
            expect(word.strip() in sent, "%s is not in %s", word, sent)


def refuses(s, function, value):
    try:
        function(value)
    except s.Refused as why:
        expect(not isinstance(value, str) or CAK not in str(why) and CKN not in str(why), "it shows a key: %s", why)
        expect(len(str(why)) < 120, "%s", why)
        return
    raise rig.Failed("it is not refused: %s" % value)


def what_may_not_be_loaded():
    s = shim_rig.module()
    for text in BAD_LOADS:
        refuses(s, s.safe_load, {"action": "merge", "format": "xml", "config": text})
    for item in (None, [], "x", {}, {"action": "override", "format": "xml", "config": GOOD_LOADS[0]},
                 {"action": "merge", "format": "text", "config": GOOD_LOADS[0]}, {"action": "merge", "format": "xml"},
                 {"action": "replace", "format": "xml", "config": GOOD_LOADS[0]}):
        refuses(s, s.safe_load, item)


def what_may_be_read():
    s = shim_rig.module()
    for text in GOOD_LOOKS + s.DEFAULT_FACTS:
        sent = s.safe_look(text)
        expect(s.safe_look(sent) == sent, "%s", sent)


def what_may_not_be_read():
    s = shim_rig.module()
    for text in BAD_LOOKS:
        refuses(s, s.safe_look, text)


# ---- hostile work ----

def hostile_work(w):
    """Each is answered as not begun: the router has heard nothing of it."""
    good = in_macsec(PAIR)
    items = [edit(text) for text in BAD_LOADS[:4] if isinstance(text, str)] + [
        edit(macsec('<interfaces delete="delete"><name>xe-0/0/0</name></interfaces>')),
        edit(good, BAD_LOADS[0]), edit(good, mode="shared"), edit(good, kind="run"), edit(good, log="no transaction"),
        edit(good, log=None), look(7), edit(good, facts="x"), edit(good, load={}), edit(good, load=[]),
        edit(good, load=[None]), edit(*[good] * 13), look(*["<get-commit-information/>"] * 33)]
    items.append(edit(good, log=items[0]["log"]))  # another one's transaction
    items.append(dict(edit(good), log="rekeyd txn=%s \n" % items[0]["id"]))
    w.daemon.forget()
    w.daemon.give(*items)
    status, said = w.box.run()
    reports = w.daemon.of("report")
    expect(status == 0 and len(reports) == len(items), "%d reports of %d: %s", len(reports), len(items), said)
    for item, report in zip(items, reports):
        expect(report["outcome"] == "not-begun" and report["steps"] == [] and report["why"].startswith("refused: "),
               "%s: %s",
               item, report)
    expect(w.lab.commits()["r1"] == w.start, "something was committed")


def answers_that_are_wrong(w):
    for said in ([], 7, None, {"v": 2}, {"v": 1, "work": []}, {"v": 1, "work": {"id": "x"}},
                 {"v": 1, "work": {"id": 7}},
                 {"v": 1, "work": edit(in_macsec(PAIR), id="A" * 16)}, {"v": 1, "work": {"id": "a" * 16}},
                 {"v": 1, "work": edit(in_macsec(PAIR), budget_ms=True)},
                 {"v": 1, "work": edit(in_macsec(PAIR), budget_ms=10**9)}):
        w.daemon.forget()
        w.daemon.answer = lambda handler, what, body: handler.say(200, said)
        status, text = w.box.run()
        expect(status == TEMPORARY and "rekeyd's answer" in text and "internal" not in text, "%s: %d %s", said, status,
               text)
        expect(len(w.daemon.requests) == 1, "%s", w.daemon.requests)


def hostile_looks(w):
    """Each is answered by the script itself; what is asked beside it is read, and an edit is made."""
    bad = [text for text in BAD_LOOKS if isinstance(text, str)]
    ckn, cak = new_key()
    w.daemon.forget()
    w.daemon.give(look(*bad[:30] + [HISTORY]), edit(in_macsec(key(ckn, cak)), facts=bad[30:] + [HISTORY]))
    status, said = w.box.run()
    expect(status == 0 and "a look is refused: " in said, "%d %s", status, said)
    for report in w.daemon.of("report"):
        expect(report["outcome"] == "done" and "<commit-history>" in report["facts"].pop()["reply"], "%s", report)
        for fact in report["facts"]:
            expect(fact["rpc"] in bad and "denied by rekey-shim" in fact["reply"], "%s", fact)
    expect(sum(len(r["facts"]) for r in w.daemon.of("report")) == len(bad), "%s", w.daemon.of("report"))
    for name in ("request-", "kill-session", "file-", "command", "rollback-information", "core-dumps"):
        expect("name=" + name not in w.lab.log(), "the router was asked: %s", name)


# ---- a server that is not well ----

def bad_answers(w):
    def raw(data):
        def answer(handler, what, body):
            handler.wfile.write(data)
            handler.close_connection = True
        return answer

    def says(status, what=b"{}", **headers):
        return lambda handler, kind, body: handler.say(status, what, **headers)

    deep = b'{"v":1,"work":' + b"[" * 100000
    for code, text, answer in (
            (CONFIG, "redirects", says(302, Location="https://127.0.0.1:%d/" % w.daemon.port)),
            (CONFIG, "redirects", says(308, Location="http://127.0.0.1/")), (CONFIG, "status 400", says(400)),
            (CONFIG, "no device for the certificate", says(403)), (CONFIG, "status 404", says(404)),
            (CONFIG, "status 413", says(413)), (TEMPORARY, "status 503", says(503, Retry_After="7")),
            (TEMPORARY, "status 500", says(500)), (TEMPORARY, "not JSON", says(200, b"<html>")),
            (TEMPORARY, "not JSON", says(200, b"\xff\xfe")), (TEMPORARY, "not JSON", says(200, deep)),
            (TEMPORARY, "not JSON", says(200, b'{"v":1,"work":null}', Content_Type="text/html")),
            (TEMPORARY, "no length", says(200, Content_Length=None)),
            (TEMPORARY, "no length", says(200, Content_Length="-3")),
            (TEMPORARY, "is longer than", says(200, Content_Length="99999999")),
            (TEMPORARY, "no length", says(200, Transfer_Encoding="chunked")),
            (TEMPORARY, "no HTTP", raw(b"HTTP/1.1 200 OK\r\n"
             b"Content-Length: 100\r\n\r\n{")), (TEMPORARY, "no HTTP", raw(b"SSH-2.0-x\r\n")), (TEMPORARY, "closed",
                                                                                                raw(b"")),
            (TEMPORARY, "no HTTP", raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500)),
            (TEMPORARY, "no HTTP", raw(b"HTTP/1.1 200 " + b"x" * 70000))):
        w.daemon.forget()
        w.daemon.answer = answer
        status, said = w.box.run()
        expect(status == code and text in said and said.count("\n") == 1, "%s: %d %s", text, status, said)
        expect(len(w.daemon.of("ask")) == 1, "it asked again: %s", said)


def slow_answers(w):
    """A byte now and then does not keep a run: not its time for an answer."""
    w.daemon.forget()
    stop = threading.Event()

    def drip(handler, what, body):
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Y: ")
            while not stop.wait(0.05):
                handler.wfile.write(b"z")
        except OSError:
            pass
        handler.close_connection = True

    w.daemon.answer = drip
    with open(w.box.script) as f:
        text = f.read()
    quick = rig.write(w.box.dir + "/quick.py", text.replace("ANSWER_S = 15 ", "ANSWER_S = 0.5 "), 0o555)
    usual, w.box.script = w.box.script, quick
    try:
        status, said = w.box.run()
    finally:
        w.box.script = usual
        stop.set()
    expect(status == TEMPORARY and "did not answer in time" in said, "%d %s", status, said)


def nobody_there(w):
    with shim_rig.http.server.socketserver.TCPServer(("127.0.0.1", 0), None) as s:
        port = s.server_address[1]
    ends(w, TEMPORARY, "cannot be reached: Connection refused", url="https://127.0.0.1:%d" % port)
    ends(w, TEMPORARY, "cannot be reached", url="https://no-such-host.invalid")


def work_that_is_forgotten(w):
    """409: somebody else has decided; the next one is asked for."""
    w.daemon.forget()
    w.daemon.give(look(HISTORY))

    def answer(handler, what, body):
        if what == "report":
            handler.say(409, {"error": "not known"})
        else:
            w.daemon.usual(handler, what, body)

    w.daemon.answer = answer
    status, said = w.box.run()
    expect(status == 0 and "is not known to rekeyd any more" in said and len(w.daemon.of("ask")) == 2, "%d %s", status,
           said)


# ---- certificates and files ----

def certificates(w):
    old, future = ("20200101000000Z", "20200131000000Z"), ("20900101000000Z", "20910101000000Z")
    for name, dates, says in (("old", old, "has expired"), ("future", future, "is not valid yet")):
        cert, private = w.pki.make(name, dates=dates)
        ends(w, CONFIG, says, cert=cert, key=private)
    cert, private = w.other.make("r1")
    ends(w, CONFIG, "rekeyd refuses the certificate of this router", cert=cert, key=private)
    ends(w, CONFIG, "the certificate of rekeyd is refused: self", ca=w.other.ca)
    ends(w, CONFIG, "the certificate of rekeyd is refused: Hostname", "-name", "another.example")
    ends(w, 0, "done: 0", "-name", "rekeyd.example", asked=1)
    ends(w, CONFIG, "not a PEM file that can be used", cert=w.box.key)
    ends(w, CONFIG, "not a PEM file that can be used", key=private)
    for name, dates, more, says in (
            ("server-old", old, {}, "refused: certificate has expired"),
            ("server-future", future, {}, "refused: certificate is not"),
            ("SAE_A", None, {}, "refused: "), ("SAE_A", None, {"name": "SAE_A"}, "done: 0")):
        pair = w.pki.make(name, "plain" if name == "SAE_A" else "named", **({"dates": dates} if dates else {}))
        daemon = shim_rig.Daemon(*pair, w.pki.ca)
        try:
            ends(w, CONFIG if "refused" in says else 0, says, url="https://127.0.0.1:%d" % daemon.port, **more)
            expect(len(daemon.requests) == ("refused" not in says), "%s", daemon.requests)
        finally:
            daemon.close()


def old_tls(w):
    """Nothing below TLS 1.2."""
    context = w.daemon.server.context
    before = context.minimum_version, context.maximum_version
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        context.minimum_version = context.maximum_version = shim_rig.ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        ends(w, TEMPORARY, "TLS with rekeyd failed")
        context.minimum_version = context.maximum_version = shim_rig.ssl.TLSVersion.TLSv1_2
        ends(w, 0, "done: 0", asked=1)
    finally:
        context.minimum_version, context.maximum_version = before


def modes(w):
    box, folder = w.box, w.rig.dir + "/modes"
    os.mkdir(folder, 0o700)

    def copy(path, mode, name="x"):
        with open(path, "rb") as f:
            return rig.write("%s/%s" % (folder, name), f.read(), mode)

    for mode, says in ((0o644, "may read it"), (0o640, "may read it"), (0o604, "may read it"), (0o620, "may write it")):
        ends(w, CONFIG, says, key=copy(box.key, mode))
    for mode in (0o664, 0o646):
        ends(w, CONFIG, "--cert %s/x: others than its owner may write it" % folder, cert=copy(box.cert, mode))
        ends(w, CONFIG, "--ca %s/x: others" % folder, ca=copy(box.ca, mode))
    usual, box.script = box.script, copy(box.script, 0o757)
    try:
        ends(w, CONFIG, "script %s/x: others than its owner may write it" % folder)
    finally:
        box.script = usual
    for option in ("key", "cert", "ca"):
        ends(w, CONFIG, "--%s %s/no: No such file" % (option, folder), **{option: folder + "/no"})
        ends(w, CONFIG, "is no file", **{option: folder})
    os.chmod(folder, 0o777)
    ends(w, CONFIG, "everybody may write its folder", key=copy(box.key, 0o600))
    os.chmod(folder, 0o700)
    encrypted = folder + "/encrypted"
    done = subprocess.run(["openssl", "ec", "-in", box.key, "-aes128", "-passout", "fd:0", "-out", encrypted],
                          input="only of this test\n", capture_output=True, text=True)
    expect(done.returncode == 0, "openssl: %s", done.stderr)
    os.chmod(encrypted, 0o600)
    ends(w, CONFIG, "is encrypted", key=encrypted)
    if os.getuid() == 0:
        os.chown(copy(box.key, 0o600), 12345, -1)
        ends(w, CONFIG, "belongs to another user", key=folder + "/x")


def options(w):
    for url in ("http://127.0.0.1", "127.0.0.1", "https://", "https://a b", "https://x:y@127.0.0.1", "https://h:99999",
                "ftp://h",
                "https://h/?x"):
        ends(w, CONFIG, "--url must be", url=url)
    ends(w, 64, "invalid seconds value", linger="x")
    ends(w, 64, "unrecognized arguments", "-insecure")
    status, said = subprocess.getstatusoutput("%s %s --help" % (w.box.python, w.box.script))
    expect(status == 0, "%s", said)
    for code in ("0 ", "64", "70", "75", "78"):
        expect(re.search(r"^  %s +\S" % code, said, re.M), "--help does not tell code %s", code)


# ---- keys ----

def seen_of(pid):
    """Arguments and environment of a process and its children, and the names of its open files."""
    seen = b""
    for p in [pid] + rig.children(pid):
        for name in ("cmdline", "environ"):
            try:
                with open("/proc/%d/%s" % (p, name), "rb") as f:
                    seen += f.read()
            except OSError:
                pass
        try:
            seen += b" ".join(os.readlink("/proc/%d/fd/%s" % (p, fd)).encode() for fd in os.listdir("/proc/%d/fd" % p))
        except OSError as why:
            expect(why.errno == errno.ENOENT, "%s", why)
    return seen


def files_below(folder):
    for at, _, names in os.walk(folder):
        for name in names:
            path = at + "/" + name
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    yield path, f.read()


BREAK = """import %(module)s
real = %(module)s.%(name)s


def broken(*words, **more):
    found = real(*words, **more)
    if %(when)s:
        raise ValueError("it broke at %%r %%r %%r" %% (words, more, found))
    return found


%(module)s.%(name)s = broken
"""


def no_key_is_shown(w):
    """A key that is known goes through work that is done, refused, unknown, killed, not understood; through bugs."""
    box, said = w.box, b""
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ckn, cak = new_key()
    marks = marker.Markers()
    marks.add("CAK", bytes.fromhex(cak))
    folder = w.rig.dir + "/broken"
    os.mkdir(folder)
    good = in_macsec(key(ckn, cak))
    w.daemon.forget()

    def items():
        return [(lambda: w.lab.do("fault", "r1", "commit-fails:1"), edit(good)),
                (lambda: w.lab.do("fault", "r1", "commit-dead:1"), edit(good, facts=[HISTORY])),
                (lambda: w.lab.do("fault", "r1", "partial-load:1"), edit(good)),
                edit(good + cak), edit(good.replace("<ckn>", "<%s>" % ("k" + cak))), edit(good, log=cak),
                edit(good, facts=[cak]),
                edit(good, kind=cak), edit(good.replace("pre-shared-key>", "x" + cak + ">")),
                look("<command>%s</command>" % cak),
                edit(in_macsec(key(cak + "x", ckn))), edit(good)]

    w.daemon.give(*items())
    status, text = box.run()
    expect(status == 0 and len(w.daemon.of("report")) == 12, "%d %s", status, text)
    said += text.encode()
    for report in w.daemon.of("report"):
        expect(not marks.find(report["why"].encode()), "a reason shows a key")
    for module, name, when in (("json", "loads", "'load' in repr(found)"),
                               ("os", "read", "b'load-conf' in bytes(found)"),
                               ("xml.etree.ElementTree", "fromstring", "True"), ("re", "match", "'txn' in repr(words)"),
                               ("os", "write", "b'load-conf' in bytes(words[1])"), ("time", "gmtime", "True")):
        rig.write(folder + "/sitecustomize.py", BREAK % {"module": module, "name": name, "when": when})
        w.daemon.forget()
        w.daemon.give(*items()[-1:])
        status, text = box.run(env={"PYTHONPATH": folder, "PYTHONFAULTHANDLER": "1"})
        expect(status or (module == "time" and not text) or w.daemon.of("report")[-1]["outcome"] != "done",
               "%s.%s does not break: %s", module, name, text)
        said += text.encode()
    expect(b"internal error: ValueError in line" in said, "nothing broke: %s", said)
    expect(b"Traceback" not in said, "a traceback: %s", said[-3000:])
    for sig in (signal.SIGTERM, signal.SIGSEGV):
        w.daemon.forget()
        w.lab.do("clear", "r1")
        w.lab.do("fault", "r1", "commit-silent:30s:1")
        at = len(w.lab.log())
        w.daemon.give(edit(good))
        run = box.start(env={"PYTHONFAULTHANDLER": "1"})
        rig.wait_for(lambda: "ev=commit " in w.lab.log()[at:], "the commit is under way")
        told = seen_of(run.pid)
        with open("/proc/%d/limits" % run.pid) as f:
            expect(re.search(r"^Max core file size +0 +0 ", f.read(), re.M), "it may leave a core file")
        expect(b"rekey-shim.py" in told and b"xml-mode" in told and not marks.find(told), "a key can be seen: %s",
               marks.find(told))
        run.end(sig)
        said += box.log().encode()
    expect(not marks.find(said), "the log shows %s", marks.find(said))
    checked = 0
    for path, data in list(files_below(box.dir)) + list(files_below(w.lab.dir)) + list(files_below(folder)):
        found = [f for f in marks.find(data) if path != folder + "/sitecustomize.py"]
        expect(not found, "%s has %s", path, found)
        checked += 1
    expect(checked > 10, "%d files", checked)
    expect(cak not in box.ask(HISTORY), "the router's history has it")


def last():
    if world.ready:
        world.daemon.close()
    world.last_case()()


PURE = [what_may_be_loaded, what_may_not_be_loaded, what_may_be_read, what_may_not_be_read]
CASES = [hostile_work, hostile_looks, answers_that_are_wrong, bad_answers, slow_answers, nobody_there,
         work_that_is_forgotten,
         certificates,
         old_tls, modes, options, no_key_is_shown]

if __name__ == "__main__":
    cases = [(f.__name__.replace("_", " "), f) for f in PURE]
    cases += [(f.__name__.replace("_", " "), world.case(f)) for f in CASES] + [("ends", last)]
    try:
        status = rig.run_cases(cases)
    finally:
        world.close()
    sys.exit(status)
