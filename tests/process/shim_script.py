# shim_script.py - contrib/junos/rekey-shim.py on a router of junos-sim, against what stands in for rekeyd: the outcomes
# of work, runs that overlap and that are killed, locks and commits that fail, Python 3.7, modules that are missing.
import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
import junos_rig  # noqa: E402
import rig  # noqa: E402
import shim_rig  # noqa: E402
from rig import expect  # noqa: E402
from shim_rig import association, edit, key, look, macsec, new_key, tag  # noqa: E402

HISTORY = "<get-commit-information/>"
REVISION = "<get-commit-revision-information/>"
CODES = {"ok": 0, "usage": 64, "internal": 70, "temporary": 75, "config": 78}


def set_up(w):
    shim_rig.need()
    w.rig = rig.Rig(())
    w.lab = junos_rig.Lab(w.rig)
    for name in ("r1", "r2"):  # mx: two routing engines
        w.lab.router(name, lines=()).port()
    w.lab.routers["r1"].lines += ["set security macsec connectivity-association CA1 security-mode static-cak",
                                  "set security macsec connectivity-association CA1 pre-shared-key ckn " + "11" * 32,
                                  "set security macsec connectivity-association CA1 pre-shared-key cak " + "22" * 32]
    w.lab.routers["r1"].options.pop("lines")
    w.lab.routers["r2"].options.pop("lines")
    w.lab.start()
    w.pki = shim_rig.Pki(w.rig.dir + "/pki")
    w.daemon = shim_rig.Daemon(*w.pki.make("rekeyd", "named"), w.pki.ca)
    w.url = "https://127.0.0.1:%d" % w.daemon.port
    w.box = shim_rig.Box(w.lab, "r1", w.pki, w.url)


world = rig.World(set_up)


def case(function):
    """Each begins with nothing in the way."""
    def run(w):
        w.daemon.forget()
        w.lab.do("clear", "*")
        function(w)
        for name, box in w.lab.state().items():
            expect(box["violations"] == 0, "%s: %s", name, box["violation"])
    run.__name__ = function.__name__
    return run


def change(ckn=None, **more):
    """Work that changes the key of CA1."""
    new, cak = new_key()
    return edit(macsec(association(key(ckn or new, cak))), **more)


def commits(w):
    return w.lab.commits()["r1"]


def configured(w):
    return re.findall(r"<ckn>(\w+)</ckn>", w.box.ask('<get-configuration database="committed"/>'))


def tick(w, code="ok", says="", **options):
    """A run that ends so; what it said."""
    status, said = w.box.run(**options)
    expect(status == CODES[code], "exit status %d, not %d: %s", status, CODES[code], said)
    expect(says in said, "not '%s' in: %s", says, said)
    return said


def reported(w, outcome, n=1):
    reports = w.daemon.of("report")
    expect(len(reports) == n, "%d reports: %s", len(reports), reports)
    expect(reports[-1]["outcome"] == outcome, "it is not %s: %s", outcome, reports[-1])
    return reports[-1]


def steps(report):
    return [s["step"] for s in report["steps"]]


# ---- what it is ----

def syntax_of_3_7():
    """Junos 20.4 has Python 3.7: the parser of this Python knows what came later."""
    with open(shim_rig.SCRIPT) as f:
        text = f.read()
    ast.parse(text, feature_version=(3, 7))
    try:
        ast.parse(text + "\nif (late := 1):\n    pass\n", feature_version=(3, 7))
    except SyntaxError:
        return
    raise rig.Failed("the parser does not see what 3.7 did not have")


def version_of_the_package():
    with open(rig.SOURCE + "/configure.ac") as f:
        wanted = re.search(r"AC_INIT\(\[\w+\],\s*\[([^\]]+)\]", f.read()).group(1)
    with open(shim_rig.SCRIPT) as f:
        expect('VERSION = "%s"' % wanted in f.read(), "the script is not of version %s", wanted)


def literals(path):
    """The strings of a C file; those that follow each other are one."""
    with open(path) as f:
        for found in re.findall(r'(?:"(?:[^"\\\n]|\\.)*"(?:\s|\\\n)*)+', f.read()):
            yield "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', found)).replace('\\"', '"')


def what_the_daemon_asks():
    """Its words are those that a tick begins with, and none of them is refused."""
    folder = rig.SOURCE + "/plugins/common/junos"
    asked = {text for name in ("keep.c", "view.c", "commit.c") for text in literals("%s/%s" % (folder, name))
             if re.match("<(get-|command).*>$", text)}
    shim = shim_rig.module()
    expect(len(asked) > 10 and shim.DEFAULT_FACTS[0] in asked, "%s", asked)
    for text in asked:
        shim.safe_look(text.replace("%s", "xe-0/0/0"))
    known = asked | {"<get-software-information/>", "<get-commit-revision-information/>"}
    expect(set(shim.DEFAULT_FACTS) <= known, "%s", set(shim.DEFAULT_FACTS) - known)


def run_by_3_7(w):
    python = shutil.which("python3.7")
    if not python or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        raise rig.Skip("python3.7 is not installed")
    w.daemon.give(change())
    w.box.python = python
    try:
        tick(w)
    finally:
        w.box.python = sys.executable
    reported(w, "done")


# ---- a tick ----

def idle(w):
    """One request with all that the router shows, and it is over."""
    tick(w, linger=10)
    expect([what for what, _ in w.daemon.requests] == ["ask"], "%s", w.daemon.requests)
    ask = w.daemon.of("ask")[0]
    expect(ask["n"] == 1 and ask["v"] == 1 and re.match("[0-9a-f]{16}$", ask["run"]) and ask["tick_s"] == 60
           and 0 <= ask["age_ms"] < 60000, "%s", ask)
    expect(1000 < ask["wait_ms"] <= 10000, "%s", ask["wait_ms"])
    facts = {f["rpc"]: f["reply"] for f in ask["facts"]}
    for rpc, part in (("<get-configuration ", "<macsec>"), ("<get-mka-session-information>", "mka-session-information"),
                      (HISTORY, "<commit-history>"), ("<get-system-uptime-information/>", "<current-time>"),
                      ("<get-software-information/>", "junos-version"), ("<get-lldp-neighbors-information/>", "lldp")):
        reply = [text for told, text in facts.items() if told.startswith(rpc)]
        expect(len(reply) == 1 and part in reply[0], "%s: %s", rpc, reply)
    expect(w.daemon.peers[0]["subject"][0][0] == ("commonName", "r1"), "%s", w.daemon.peers)


def double_dashes(w):
    status, said = w.box.run("--linger", "0", "--tick=30", linger=None)
    expect(status == 0 and w.daemon.of("ask")[0]["tick_s"] == 30, "%s", said)


def from_the_configuration(w):
    lines = ["set event-options apply-macro rekey-shim %s %s" % (word, value) for word, value in (
        ("url", w.url), ("cert", w.box.cert), ("key", w.box.key), ("ca", w.box.ca), ("linger", "0"), ("tick", "120"))]
    w.lab.do("edit", "r1", ";".join(lines))
    tick(w, url=None, cert=None, key=None, ca=None, linger=None)
    expect(w.daemon.of("ask")[0]["tick_s"] == 120, "%s", w.daemon.requests)
    w.lab.do("edit", "r1", "delete event-options apply-macro rekey-shim")
    tick(w, "config", "no --url", url=None)


def change_of_keys(w):
    """Load, commit, look; in one commit, with its transaction."""
    before = commits(w)
    work = change(facts=[HISTORY, "<get-mka-session-information/>"])
    w.daemon.give(work)
    tick(w, says="work %s: done" % work["id"])
    report = reported(w, "done")
    expect(steps(report) == ["look", "open", "load", "commit"] and "<ok/>" in report["steps"][3]["reply"], "%s", report)
    expect([f["rpc"] for f in report["facts"]] == work["facts"] and report["n"] == 2, "%s", report)
    expect("txn=" + work["id"] in report["facts"][0]["reply"], "%s", report["facts"])
    expect(commits(w) == before + 1, "%d commits", commits(w) - before)


def all_that_a_rotation_needs(w):
    """Every element that the daemon's writer has, and the ways of deleting."""
    ckn, cak = new_key()
    stored = re.search(r"<cak>([^<]+)", w.box.ask('<get-configuration database="committed"/>')).group(1)
    stored = stored.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    old = configured(w)[0]

    def own(*pairs):
        return tag("apply-macro", tag("name", "rekey"), *pairs)

    def pair(name, value):
        return tag("data", tag("name", name), tag("value", value))

    def slot(n, *inner, **more):
        return tag("key", tag("name", str(n)), *inner, **more)

    def chains(*keys):
        return tag("authentication-key-chains",
                   tag("key-chain", tag("name", "KC9"), tag("description", "by rekeyd"), *keys))

    def texts(inner):
        return tag("interfaces", tag("interface", tag("name", "xe-0/0/0"), inner))

    start = slot(3, tag("secret", new_key()[1]), tag("key-name", new_key()[0]),
                 tag("start-time", "2090-01-01.00:01:00 +0000"))
    first = tag("configuration", tag("security", chains(start, slot(4, tag("secret", new_key()[1]), tag(
        "key-name", new_key()[0]), tag("start-time", "2090-01-01.00:02:00 +0000"))), tag("macsec", association(
            own(pair(ckn, "7"), pair(old, "6")), tag("security-mode", "static-cak"), key(ckn, cak),
            key(old, stored, "fallback-key")),
            tag("interfaces", tag("name", "xe-0/0/0"), tag("connectivity-association", "CA1")))), texts(
                tag("description", "a &lt;link&gt; &amp; more |{}")))
    second = tag("configuration", tag("security", chains(slot(3, delete="delete")), tag("macsec", association(
        own(tag("data", tag("name", old), delete="delete")), tag("fallback-key", delete="delete")))),
        texts("<description delete=\"delete\"/>"))
    w.daemon.give(edit(first), edit(second))
    tick(w)
    expect([r["outcome"] for r in w.daemon.of("report")] == ["done", "done"], "%s", w.daemon.of("report"))
    now = w.box.ask('<get-configuration database="committed"/>')
    expect(configured(w) == [ckn] and "<fallback-key>" not in now and "a &lt;link" not in now, "%s", now)
    expect(re.search(r"<name>%s</name>\s*<value>7</value>" % ckn,
                     now) and old not in now and "<name>4</name>" in now and
           "<name>3</name>" not in now, "%s", now)


def exclusive_mode(w):
    w.daemon.give(change(mode="exclusive"))
    tick(w)
    expect(steps(reported(w, "done")) == ["look", "open", "load", "commit"], "%s", w.daemon.requests)
    expect("locked" not in w.box.ask("<lock-configuration/>"), "the lock is still held")


def check_only(w):
    before = commits(w)
    w.daemon.give(change(check_only=True, log=""))
    tick(w)
    expect(steps(reported(w, "done")) == ["open", "load", "check"] and commits(w) == before, "%s", w.daemon.requests)
    w.daemon.forget()
    w.lab.do("fault", "r1", "check-fails")
    w.daemon.give(change(check_only=True))
    tick(w)
    reported(w, "refused")


def a_look(w):
    work = look(REVISION, '<get-mka-session-information><detail/></get-mka-session-information>',
                '<command format="text">show security mka sessions</command>',
                "<get-interface-information><interface-name>xe-0/0/0</interface-name></get-interface-information>",
                "<get-mka-no-such-thing/>")
    w.daemon.give(work)
    tick(w)
    report = reported(w, "done")
    expect([f["rpc"] for f in report["facts"]] == work["facts"], "%s", report)
    expect(all("rpc-reply" in f["reply"] for f in report["facts"]), "%s", report)


def long_poll(w):
    """Work that comes while a run waits is done at once, by the same session; then it asks again, without facts."""
    w.daemon.hold = True
    run = w.box.start(linger=30)
    w.daemon.wait("ask", 1)
    for n in (1, 2):
        w.daemon.give(change())
        w.daemon.wait("report", n)
        w.daemon.hold = n == 1
        if n == 1:
            w.daemon.wait("ask", 2)
    expect(run.popen.wait(rig.PATIENCE_S) == 0, "%s", w.box.log())
    run.expected_end = True
    w.rig.processes.remove(run)
    expect([b["n"] for _, b in w.daemon.requests] == list(range(1, len(w.daemon.requests) + 1)), "%s",
           w.daemon.requests)
    expect(all(a["facts"] == [] and a["run"] == w.daemon.of("ask")[0]["run"] for a in w.daemon.of("ask")[1:]),
           "facts again")
    expect([r["outcome"] for r in w.daemon.of("report")] == ["done", "done"], "%s", w.box.log())
    expect(len(w.daemon.peers) == 1, "%d connections", len(w.daemon.peers))


def ask_again(w):
    said = [{"v": 1, "work": None, "again_ms": 100}, {"v": 1, "work": None, "again_ms": 3000000}]
    w.daemon.answer = lambda handler, what, body: handler.say(200, said.pop(0))
    tick(w, linger=5)
    expect(len(w.daemon.of("ask")) == 2, "%s", w.daemon.requests)


def many_items(w):
    """All that is due is done in one run, though it does not linger."""
    w.daemon.give(*[change() for _ in range(5)])
    tick(w, says="5 items of work, 10 requests")
    expect({r["outcome"] for r in w.daemon.of("report")} == {"done"}, "%s", w.daemon.of("report"))


# ---- what goes wrong on the router ----

def batch(w, *items):
    """One run that does them all, each with a fault before it: the reports."""
    def before(word):
        w.lab.do("clear", "r1")
        if word:
            w.lab.do(*("fault r1 " + word if word != "lock" else "lock r1 on").split())

    w.daemon.forget()
    w.daemon.give(*[(lambda word=word: before(word), work) for word, work in items])
    tick(w)
    reports = w.daemon.of("report")
    expect([r["id"] for r in reports] == [work["id"] for _, work in items], "%s", reports)
    return reports


def refused_changes(w):
    """Nothing is left over: neither half a load nor a lock; what comes next is done."""
    before, items = commits(w), []
    for word in ("commit-fails", "load-fails", "partial-load", "denied", "other-re", "dirty", "lock", "lock"):
        mode = "exclusive" if word == "dirty" or (items and items[-2][0] == "lock") else "private"
        items += [(word, change(mode=mode)), (None, change())]
    reports = batch(w, *items)
    expect([r["outcome"] for r in reports] == ["refused", "done"] * 8, "%s",
           [(r["outcome"], r["why"]) for r in reports])
    for (word, _), report in list(zip(items, reports))[::2]:
        expect("error-severity>error" in report["steps"][-1]["reply"], "%s: %s", word, report)
    expect(["locked by" in r["steps"][-1]["reply"] for r in reports[12::2]] == [True, True], "%s", reports[12:])
    expect(commits(w) - before == 8, "%d commits", commits(w) - before)


def changes_that_are_done(w):
    before = commits(w)
    words = ("malformed:1", "warning:1", "slow-commit:300ms:1", "commit-silent:200ms:1", "split", "bytes")
    reports = batch(w, *[(word, change()) for word in words])
    expect({r["outcome"] for r in reports} == {"done"} and commits(w) == before + len(words), "%s", reports)


def an_answer_that_lies(w):
    """The router says that it failed, and it did not: the daemon is given the reply as it is."""
    before = commits(w)
    report, = batch(w, ("commit-lies:1", change()))
    expect(report["outcome"] == "refused" and report["steps"][-1]["step"] == "commit" and commits(w) == before + 1,
           "%s", report)


def not_known(w):
    """A commit without an answer: unknown, and what the router shows then goes with the report."""
    cases = (("commit-dead:1", True), ("commit-lost:1", False), ("commit-mute:1", True))
    items = [(word, change(facts=[HISTORY], budget_ms=3000)) for word, _ in cases]
    before = commits(w)
    for (word, committed), report in zip(cases, batch(w, *items)):
        last = report["steps"][-1]
        expect(report["outcome"] == "unknown" and (last["step"], last["reply"], last["lost"]) == ("commit", "", True),
               "%s: %s",
               word, report)
        if word != "commit-mute:1":  # which has taken all the time that there was
            expect((report["id"] in report["facts"][0]["reply"]) == committed, "%s: %s", word, report["facts"])
    expect(commits(w) == before + 2, "%d commits", commits(w) - before)


def not_begun(w):
    """A session that is lost before the commit; and a commit for which there is no time left."""
    before = commits(w)
    lost = batch(w, ("dead:1@load-configuration", change()), ("dead:1@open-configuration", change()),
                   ("slow:1700ms:1@open-configuration", change(budget_ms=2500)))
    for report in lost:
        expect(report["outcome"] == "not-begun" and "commit" not in steps(report), "%s", report)
    expect(lost[0]["steps"][-1]["lost"] and lost[1]["steps"][-1]["lost"], "%s", lost)
    expect(re.search("budget|in time", lost[2]["why"]), "%s", lost)
    expect(commits(w) == before, "%d commits", commits(w) - before)


def the_same_twice(w):
    work = change()
    before = commits(w)
    w.daemon.give(work, work)
    tick(w)
    expect([r["outcome"] for r in w.daemon.of("report")] == ["done", "done"] and commits(w) == before + 1, "%s",
           w.daemon.of("report"))
    expect(steps(w.daemon.of("report")[1]) == ["look"] and work["id"] in w.daemon.of("report")[1]["steps"][0]["reply"],
           "%s",
           w.daemon.of("report")[1])


def a_router_that_is_not_there(w):
    for word, says in (("drop", "the session has ended"), ("limit", "the session has ended"),
                       ("hello-error", "no hello")):
        w.lab.do("clear", "r1")
        w.lab.do("fault", "r1", word)
        tick(w, "temporary", says)
    expect(not w.daemon.requests, "%s", w.daemon.requests)


def facts_that_are_missing(w):
    """A request that the router does not know is answered by its error; a session that dies is opened anew for work."""
    w.lab.do("fault", "r1", "dead:1@get-lldp-neighbors-information")
    w.daemon.give(change())
    tick(w, says="after 5 of 9 facts")
    expect(len(w.daemon.of("ask")[0]["facts"]) == 5, "%s", w.daemon.of("ask"))
    reported(w, "done")


# ---- runs beside each other, and that end ----

def overlap(w):
    w.daemon.hold = True
    run = w.box.start(linger=30)
    w.daemon.wait("ask", 1)
    tick(w, says="another run is still at work")
    expect(len(w.daemon.of("ask")) == 1, "it asked, too")
    expect(run.end(signal.SIGTERM) == CODES["temporary"] and "ended by signal 15" in w.box.log(), "%s", w.box.log())
    w.daemon.hold = False
    tick(w)


def wait_logged(w, pattern, after):
    rig.wait_for(lambda: re.search(pattern, w.lab.log()[after:]), pattern)


def killed_in_the_middle(w):
    """SIGKILL when the load is done: the private copy has gone with it, nothing is committed, nothing is in the way."""
    before, at, keys = commits(w), len(w.lab.log()), configured(w)
    w.lab.do("fault", "r1", "slow:30s:1@load-configuration")
    work = change()
    w.daemon.give(work)
    run = w.box.start()
    wait_logged(w, "name=load-configuration", at)
    run.end(signal.SIGKILL)
    w.lab.do("clear", "r1")
    rig.wait_for(lambda: re.search(r"res=end", w.lab.log()[at:]), "the router ends the session")
    expect(commits(w) == before and configured(w) == keys, "something was committed")
    w.daemon.forget()
    w.daemon.give(work)
    tick(w)
    reported(w, "done")


def killed_in_the_commit(w):
    """A router goes on with a commit when who sent it has gone; it is found, and not made again."""
    before, at = commits(w), len(w.lab.log())
    w.lab.do("fault", "r1", "commit-silent:30s:1")
    work = change()
    w.daemon.give(work)
    run = w.box.start()
    wait_logged(w, "ev=commit ", at)
    run.end(signal.SIGKILL)
    w.lab.do("clear", "r1")
    w.daemon.forget()
    w.daemon.give(work)
    tick(w)
    expect(reported(w, "done")["why"] == "committed before" and commits(w) == before + 1, "%s", w.daemon.of("report"))


# ---- modules ----

def blocked(w, *names):
    """An environment in which these modules cannot be imported."""
    folder = "%s/without-%s" % (w.box.dir, "-".join(names))
    os.makedirs(folder, exist_ok=True)
    rig.write(folder + "/sitecustomize.py", "import sys\nfor name in %r:\n    sys.modules[name] = None\n" % (names,))
    return {"PYTHONPATH": folder}


def without_modules(w):
    """Each of what need not be there, in turn, on the system's Python, which has the others."""
    w.box.python = shim_rig.SYSTEM_PYTHON if os.path.exists(shim_rig.SYSTEM_PYTHON) else sys.executable
    try:
        for names in (("jnpr",), ("lxml",), ("jcs", "syslog"),
                      ("jnpr", "jnpr.junos", "lxml", "jcs", "ncclient", "syslog", "faulthandler")):
            w.daemon.forget()
            w.daemon.give(change())
            tick(w, env=blocked(w, *names))
            reported(w, "done")
    finally:
        w.box.python = sys.executable


def lxml_alone(w):
    """A Python without xml.etree."""
    w.box.python = shim_rig.SYSTEM_PYTHON
    if not os.path.exists(w.box.python) or subprocess.run([w.box.python, "-c", "import lxml.etree"],
                                                          capture_output=True).returncode:
        w.box.python = sys.executable
        raise rig.Skip("python3-lxml is not installed")
    try:
        env = blocked(w, "xml.etree")
        w.daemon.give(change())
        tick(w, env=env)
        reported(w, "done")
        w.daemon.forget()
        w.daemon.give(edit(macsec(tag("interfaces", tag("name", "xe-0/0/0"), delete="delete"))))
        tick(w, env=env)
        reported(w, "not-begun")
        w.daemon.forget()
        w.daemon.give(change())
        tick(w, env=blocked(w, "xml.etree", "lxml"), says="neither xml.etree nor lxml")
        reported(w, "not-begun")
    finally:
        w.box.python = sys.executable


ON_A_ROUTER = """import platform
import sys
platform.system = lambda: "JUNOS"


import ncclient.manager
real = ncclient.manager.connect


def connect(*words, **more):
    # Debian's PyEZ 2.1.7 never goes the local way; later ones do where the system is Junos.
    if more.get("host") == "localhost":
        more["device_params"] = dict(more["device_params"], local=True)
    return real(*words, **more)


ncclient.manager.connect = connect
"""


def by_pyez(w):
    """Without a cli that can be run, jnpr.junos.Device() without a host finds the way in."""
    w.box.python = shim_rig.SYSTEM_PYTHON
    if not os.path.exists(w.box.python) or subprocess.run([w.box.python, "-c", "import jnpr.junos"],
                                                          capture_output=True).returncode:
        w.box.python = sys.executable
        raise rig.Skip("python3-junos-eznc is not installed")
    folder = w.box.dir + "/pyez"
    os.mkdir(folder)
    os.rename(w.box.program("netconf"), folder + "/netconf")
    rig.write(folder + "/sitecustomize.py", ON_A_ROUTER)
    env = {"PATH": folder + ":" + os.environ["PATH"], "PYTHONPATH": folder}
    try:
        for word, outcome in ((None, "done"), ("commit-fails:1", "refused"), ("commit-dead:1", "unknown")):
            w.daemon.forget()
            w.daemon.give(*[(lambda word=word: word and w.lab.do("fault", "r1", word), change(facts=[HISTORY]))])
            tick(w, env=env, cli="/nonexistent/cli")
            report = reported(w, outcome)
            expect("txn=" in report["facts"][0]["reply"], "%s", report)
            expect(len(w.daemon.of("ask")[0]["facts"]) == 9 and "junos:seconds" in json.dumps(w.daemon.of("ask")),
                   "not raw")
        w.daemon.forget()
        tick(w, "config", "no way into the router", cli="/nonexistent/cli", env=blocked(w, "jnpr", "jnpr.junos"))
        expect(not w.daemon.requests, "%s", w.daemon.requests)
    finally:
        w.box.python = sys.executable


def off_box(w):
    """From elsewhere, by ssh, as in a lab."""
    rig.need("ssh")
    w.daemon.give(change())
    status, said = w.box.run("--device", w.lab.routers["r1"].host, "--port", str(w.lab.port), "--user", "rekeyd",
                             "--ssh-key", w.lab.key, "--known-hosts", w.lab.known_hosts)
    expect(status == 0, "%s", said)
    reported(w, "done")


def logs_on_a_router(w):
    """Lines go to jcs where that is there; a log that fails stops nothing."""
    folder = w.box.dir + "/jcs"
    os.mkdir(folder)
    rig.write(folder + "/jcs.py", "def syslog(where, text):\n    open(%r, 'a').write(where + ' ' + text + '\\n')\n" %
              (folder + "/said"))
    w.daemon.give(change())
    argv = [word for word in w.box.words() if word != "-no-syslog"]
    done = subprocess.run(argv, capture_output=True, text=True, env=w.box.environment({"PYTHONPATH": folder}),
                          timeout=rig.PATIENCE_S)
    expect(done.returncode == 0, "%s", done.stderr)
    with open(folder + "/said") as f:
        said = f.read()
    expect("external.notice" in said and ": done in" in said, "%s", said)
    rig.write(folder + "/jcs.py", "def syslog(where, text):\n    raise OSError('no')\n")
    done = subprocess.run(argv, capture_output=True, text=True, env=w.box.environment({"PYTHONPATH": folder}),
                          timeout=rig.PATIENCE_S)
    expect(done.returncode == 0, "%s", done.stderr)


def last():
    if world.ready:
        world.daemon.close()
    world.last_case()()


PURE = [("syntax of Python 3.7", syntax_of_3_7), ("the version is the package's", version_of_the_package),
        ("what the daemon asks", what_the_daemon_asks)]
CASES = [idle, double_dashes, from_the_configuration, change_of_keys, all_that_a_rotation_needs, exclusive_mode,
         check_only,
         a_look, long_poll, ask_again, many_items, refused_changes, changes_that_are_done, an_answer_that_lies,
         not_known, not_begun, the_same_twice, a_router_that_is_not_there, facts_that_are_missing, overlap,
         killed_in_the_middle, killed_in_the_commit, without_modules, lxml_alone, by_pyez, off_box, logs_on_a_router,
         run_by_3_7]

if __name__ == "__main__":
    cases = PURE + [(f.__name__.replace("_", " "), world.case(case(f))) for f in CASES] + [("ends", last)]
    try:
        status = rig.run_cases(cases)
    finally:
        world.close()
    sys.exit(status)
