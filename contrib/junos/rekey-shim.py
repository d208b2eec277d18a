#!/usr/bin/env python3
# rekey-shim.py - the hands of rekeyd on a Junos router that cannot be reached from outside
#
# It runs on the router, started by event-options each tick.  It reads what the router shows, sends that to the site's
# rekeyd in one HTTPS request (mutual TLS), and does what comes back: a change of keys, in one commit, or a look.  All
# decisions are rekeyd's; this script has limits of its own, below "What rekeyd may ask for": whatever it is told, it
# changes MACsec keys and descriptions of interfaces, and nothing else.
#
# It does no cryptography, holds no policy, and keeps no state but in the router's configuration.  Keys pass through
# its memory; they are never put into arguments, the environment, files, log lines or error texts.
#
# Python 3.7, standard library.  jcs (log), jnpr.junos (session) and lxml (XML) are used where something else is not
# there.
import argparse
import errno
import fcntl
import http.client
import importlib
import json
import os
import queue
import re
import resource
import select
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
import urllib.parse

VERSION = "0.1.0"  # that of rekeyd which it comes with

EXIT_OK = 0          # the tick is done, or another run is still at work
EXIT_USAGE = 64      # wrong arguments
EXIT_INTERNAL = 70   # a mistake in this script
EXIT_TEMPORARY = 75  # the next tick may do better: rekeyd or the router did not answer, or was busy
EXIT_CONFIG = 78     # somebody has to mend something: a file, a mode, a certificate, the URL

BODY_MAX = 4 << 20       # of a request, of an answer, and of a message of the router [bytes]
WORK_MAX = 256           # items of work in one run
FACTS_MAX = 32           # requests of one look; rekeyd takes no more
LOADS_MAX = 12           # loads of one edit; rekeyd takes no more than 16 steps
LOG_MAX = 100            # text for the log of a commit [characters]
ANSWER_S = 15            # for an answer that is not waited for, connection and TLS included
HELLO_S = 30             # for the router's hello
RPC_S = 30               # for one request to the router that is no commit
FACTS_S = 45             # for all facts
REPORT_S = 2             # of a budget, for the report: at most this, and a tenth of it
CLOSE_S = 2              # for closing an edit, even when its budget is used up
COMMIT_MIN_S = 1         # a commit is not begun with less time than this, or than a quarter of the budget

# What the router is asked at the beginning of a run.  The configuration is asked for in the words of rekeyd.
DEFAULT_FACTS = (
    '<get-configuration database="committed" inherit="inherit" format="xml"><configuration>'
    "<system><host-name/><time-zone/></system>"
    "<security><macsec/><authentication-key-chains/></security>"
    "<interfaces><interface><name/><description/></interface></interfaces>"
    "</configuration></get-configuration>",
    "<get-commit-revision-information/>",
    "<get-mka-session-information><detail/></get-mka-session-information>",
    "<get-macsec-connection-information/>",
    "<get-hakr-keychain-information/>",
    "<get-lldp-neighbors-information/>",
    "<get-system-uptime-information/>",
    "<get-software-information/>",
    "<get-commit-information/>",
)
HISTORY = "<get-commit-information/>"

# Where options may stand in the router's configuration, so that the event policy needs no arguments.
MACRO = "rekey-shim"
MACRO_RPC = ('<get-configuration database="committed" format="xml"><configuration><event-options><apply-macro><name>'
             + MACRO + "</name></apply-macro></event-options></configuration></get-configuration>")
MACRO_WORDS = ("url", "cert", "key", "ca", "name", "tick", "linger")


class Stop(Exception):
    """The run cannot go on: the exit code, and a line for the log."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Refused(Exception):
    """Work that is not done.  Its text is of this script alone: nothing of what was sent is in it."""


class Ended(BaseException):
    """A signal.  Nothing catches it on the way: the session ends with the run, and with it what is not committed."""


class Lost(Exception):
    """The session to the router has ended, or says nothing any more."""


# ---- log ----

class Log:
    """Lines with a time on stderr, and in the router's log.  Nobody may give it what the router or rekeyd said."""

    jcs = syslog = None

    @classmethod
    def start(cls, quiet):
        if quiet:
            return
        cls.jcs = probe("jcs")
        cls.syslog = None if cls.jcs else probe("syslog")

    @classmethod
    def line(cls, severity, text):
        words = "rekey-shim[%d]: %s" % (os.getpid(), text)
        try:
            now = time.time()
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
            sys.stderr.write("%s.%03dZ %s %s\n" % (stamp, now * 1000 % 1000, severity, words))
            sys.stderr.flush()
        except Exception:
            pass  # nobody reads it; it also stands between a mistake and a traceback
        cls.router(severity, words)

    @classmethod
    def router(cls, severity, words):
        try:
            if cls.jcs:
                cls.jcs.syslog("external." + severity, words)
            elif cls.syslog:
                level = {"error": "LOG_ERR", "warning": "LOG_WARNING"}.get(severity, "LOG_INFO")
                cls.syslog.syslog(getattr(cls.syslog, level), words)
        except Exception:
            cls.jcs = cls.syslog = None  # a log that fails is not a reason to stop


def probe(name):
    """A module that need not be there; one that is broken is not there either."""
    try:
        return importlib.import_module(name)
    except Exception:
        return None


def on_exception(kind, value, trace):
    """Instead of a traceback, whose text could show what was in a variable: the type and the line."""
    line = 0
    while trace:
        if trace.tb_frame.f_code.co_filename == __file__:
            line = trace.tb_lineno
        trace = trace.tb_next
    Log.line("error", "internal error: %s in line %d" % (kind.__name__, line))


# ---- what rekeyd may ask for ----

TEXT = r"[^\x00-\x1f\x7f]{0,255}"
NAME = r"(?! )[^\x00-\x1f\x7f*?<>\[\]{}|;\\\"']{1,128}"  # no wildcards
PORT = r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}"
HEX = r"[0-9A-Fa-f]{2,64}"
SECRET = r"[!-~]{1,512}"


class Rule:
    """What an element may hold: a text, or other elements."""

    def __init__(self, holds, delete=False, key=None):
        self.text = re.compile("(?:%s)\\Z" % holds) if isinstance(holds, str) else None
        self.children = holds if isinstance(holds, dict) else {}
        self.delete = delete  # may be deleted
        self.key = key        # the child that must be there


def listed(children, **more):
    return Rule(children, key="name", **more)


OWN_MACRO = listed({"name": Rule("rekey"), "data": listed({"name": Rule(NAME), "value": Rule(TEXT)}, delete=True)})
PAIR = Rule({"ckn": Rule(HEX), "cak": Rule(SECRET)}, delete=True)
EDIT = Rule({
    "security": Rule({
        "macsec": Rule({
            "connectivity-association": listed({
                "name": Rule(NAME), "apply-macro": OWN_MACRO, "security-mode": Rule("static-cak"),
                "pre-shared-key": PAIR, "fallback-key": PAIR}),
            "interfaces": listed({"name": Rule(PORT), "connectivity-association": Rule(NAME)})}),
        "authentication-key-chains": Rule({
            "key-chain": listed({
                "name": Rule(NAME), "apply-macro": OWN_MACRO, "description": Rule(TEXT), "key": listed({
                    "name": Rule("[0-9]{1,2}"), "secret": Rule(SECRET), "key-name": Rule(HEX),
                    "start-time": Rule(r"[0-9.:+ -]{8,32}")}, delete=True)})})}),
    "interfaces": Rule({
        "interface": listed({"name": Rule(PORT), "apply-macro": OWN_MACRO,
                             "description": Rule(TEXT, delete=True)})})})

# Parts of the configuration that may be read: an element that is empty asks for all that is below it.
READ = {"system": {"host-name": {}, "time-zone": {}},
        "security": {"macsec": None, "authentication-key-chains": None},
        "interfaces": {"interface": {"name": {}, "description": {}}},
        "protocols": {"lldp": None}}
READ_ATTRIBUTES = {"database": ("committed",), "inherit": ("inherit", "defaults"), "format": ("xml",)}
LOOKS = re.compile(r"get-(?:mka|macsec|hakr|lldp|interface|commit|software|system-uptime|configuration-database-status)"
                   r"(?:-[a-z]+)*\Z")
SHOWS = re.compile(r"show (?:security (?:mka|macsec|keychain)|lldp|interfaces|version|system (?:uptime|commit))"
                   r"(?: [A-Za-z0-9/:._-]+)*\Z")


def parser():
    """xml.etree; lxml where a release has that one without the other.  Both give the same kind of elements."""
    etree = probe("xml.etree.ElementTree") or probe("lxml.etree")
    if not etree:
        raise Stop(EXIT_CONFIG, "neither xml.etree nor lxml can be imported: nothing that rekeyd sends can be checked")
    return etree


def parsed(text):
    """The root element.  Comments, instructions and document types, entities with them, are not parsed at all."""
    if not isinstance(text, str) or len(text) > BODY_MAX or "<!" in text or "<?" in text:
        raise Refused("XML that is not plain elements")
    etree = parser()
    try:
        return etree.fromstring(text)
    except Exception:  # each parser has errors of its own, and their texts show the input
        raise Refused("XML that cannot be read") from None


def blank(text):
    return not (text or "").strip()


def plain(element):
    """Elements without text between them."""
    if not blank(element.text) or not all(blank(child.tail) for child in element):
        raise Refused("text between elements")


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def written(element, attributes=""):
    """The text of an element that was checked: only what was understood is sent to the router."""
    inner = "".join(written(child, ' delete="delete"' if child.get("delete") else "") for child in element)
    return "<%s%s>%s</%s>" % (element.tag, attributes, inner or escaped((element.text or "").strip()), element.tag)


def check_edit(element, rule, path):
    """Raise Refused unless the element is what the rule says; path has names of the rules only."""
    deleted = dict(element.attrib)
    if deleted and (deleted != {"delete": "delete"} or not rule.delete):
        raise Refused("an attribute or a deletion that is not allowed at %s" % path)
    if rule.text:
        empty = deleted and len(element) == 0 and blank(element.text)
        if len(element) or not (empty or rule.text.match((element.text or "").strip())):
            raise Refused("a value that is not allowed at %s" % path)
        return
    plain(element)
    for child in element:
        known = rule.children.get(child.tag)
        if not known:
            raise Refused("something that is not allowed below %s" % path)
        check_edit(child, known, "%s/%s" % (path, child.tag) if path else child.tag)
    if rule.key and sum(1 for child in element if child.tag == rule.key) != 1:
        raise Refused("no name, or two, at %s" % path)


def safe_load(item):
    """The request to load what rekeyd wants to be loaded."""
    if not isinstance(item, dict) or item.get("action") != "merge" or item.get("format") != "xml":
        raise Refused("a way to load that is not allowed")
    root = parsed(item.get("config"))
    if root.tag != "configuration":
        raise Refused("what is to be loaded is no configuration")
    check_edit(root, EDIT, "")
    return '<load-configuration action="merge" format="xml">%s</load-configuration>' % written(root)


def check_read(element, allowed):
    plain(element)
    if element.attrib or (len(element) == 0 and allowed):
        raise Refused("a part of the configuration that may not be read")
    for child in element:
        if child.tag not in allowed:
            raise Refused("a part of the configuration that may not be read")
        if allowed[child.tag] is None:
            simple(child)
        else:
            check_read(child, allowed[child.tag])


def simple(element):
    """Elements and names without attributes."""
    if element.attrib or not re.match(r"[a-z0-9-]+\Z", str(element.tag)) or not (len(element) or re.match(
            "(?:%s)\\Z" % TEXT, (element.text or "").strip())):
        raise Refused("a request that is not plain")
    for child in element:
        simple(child)


def safe_look(rpc):
    """The request for a look: what shows MACsec, LLDP, interfaces, the clock, and the configuration of those."""
    root = parsed(rpc)
    if root.tag == "get-configuration":
        for name, value in root.attrib.items():
            if value not in READ_ATTRIBUTES.get(name, ()):
                raise Refused("an attribute that is not allowed at get-configuration")
        if [child.tag for child in root] != ["configuration"] or not len(root[0]):
            raise Refused("get-configuration of everything")
        plain(root)
        check_read(root[0], READ)
        return written(root, "".join(' %s="%s"' % pair for pair in sorted(root.attrib.items())))
    if root.tag == "command":
        if dict(root.attrib) not in ({}, {"format": "text"}) or len(root) or not SHOWS.match((root.text or "").strip()):
            raise Refused("a command that may not be given")
        return written(root, ' format="text"' if root.attrib else "")
    if not LOOKS.match(str(root.tag)):
        raise Refused("a request that may not be made")
    simple(root)
    return written(root)


def allowed_look(rpc):
    """None: this one is answered here, by an error, and is no reason to leave the rest undone."""
    try:
        return safe_look(rpc)
    except Refused as why:
        Log.line("warning", "a look is refused: %s" % why)
        return None


# ---- the router: NETCONF in one local session ----

DELIMITER = b"]]>]]>"
HELLO = ('<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities><capability>'
         "urn:ietf:params:netconf:base:1.0</capability></capabilities></hello>")
NOT_ALLOWED = ('<rpc-reply xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><rpc-error>'
               "<error-type>application</error-type><error-tag>access-denied</error-tag>"
               "<error-severity>error</error-severity>"
               "<error-message>permission denied by rekey-shim.py</error-message></rpc-error></rpc-reply>")
# Tags only: text of a reply has no "<".  Regular expressions, as replies to a commit are not always well-formed.
IS_ERROR = re.compile(r"<(?:\w+:)?error-severity>\s*error\s*<|<xnm:error\b")
IS_SUCCESS = re.compile(r"<(?:\w+:)?(?:ok|load-success|commit-success|commit-check-success)\s*/>")


def decoded(message):
    """As text that JSON can carry to any reader."""
    return message.decode("utf-8", "replace").replace("\0", "\ufffd")


class Pipe:
    """A child that speaks NETCONF on its stdin and stdout: the router's own cli, or ssh."""

    def __init__(self, argv):
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      start_new_session=True)
        self.to, self.since, self.bytes = self.child.stdin.fileno(), self.child.stdout.fileno(), bytearray()
        os.set_blocking(self.to, False)
        os.set_blocking(self.since, False)
        self.scanned = 0

    def wait(self, writes, end):
        left = end - time.monotonic()
        ready = select.select([self.since], [self.to] if writes else [], [], left) if left > 0 else ([], [], [])
        if not ready[0] and not ready[1]:
            raise Lost("no answer in time")
        return ready

    def send(self, text, end):
        data = memoryview(text.encode() + DELIMITER)
        while data:
            reads, writes, _ = self.wait(True, end)
            try:
                if writes:
                    data = data[os.write(self.to, data):]
            except BlockingIOError:
                continue
            except OSError:
                raise Lost("the session has ended") from None
            if reads:
                self.take()

    def take(self):
        try:
            got = os.read(self.since, 1 << 16)
        except OSError as why:
            if why.errno in (errno.EAGAIN, errno.EINTR):
                return
            got = b""
        if not got:
            raise Lost("the session has ended")
        self.bytes += got
        if len(self.bytes) > BODY_MAX:
            raise Lost("an answer that is too long")

    def receive(self, end):
        while True:
            at = self.bytes.find(DELIMITER, max(self.scanned - len(DELIMITER), 0))
            if at >= 0:
                message = bytes(self.bytes[:at])
                del self.bytes[:at + len(DELIMITER)]
                self.scanned = 0
                return decoded(message)
            self.scanned = len(self.bytes)
            self.wait(False, end)
            self.take()

    def close(self):
        for end in (self.child.stdin, self.child.stdout):
            try:
                end.close()
            except OSError:
                pass
        try:
            self.child.wait(2)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Pyez:
    """The session of Juniper's library, which knows its way into the router; messages as they are, both ways."""

    def __init__(self, junos):
        probe("logging").disable(50)  # ncclient would log messages
        self.got = queue.Queue()
        self.device = junos.Device(gather_facts=False)
        self.device.open()
        self.session = self.device._conn._session
        self.session.add_listener(self.listener())

    def listener(self):
        """What ncclient tells of each message, and of the end."""
        got = self.got

        class Listener(probe("ncclient.transport.session").SessionListener):
            def callback(self, root, raw):
                got.put(raw if isinstance(raw, str) else decoded(raw))

            def errback(self, why):
                got.put(None)

        return Listener()

    def send(self, text, end):
        try:
            self.session.send(text)
        except Exception:
            raise Lost("the session has ended") from None

    def receive(self, end):
        while True:
            ended = self.child() and self.child().poll() is not None  # ncclient itself waits for ever then
            try:
                message = self.got.get(timeout=max(min(end - time.monotonic(), 0.1), 0.001))
            except queue.Empty:
                if ended or end <= time.monotonic():
                    raise Lost("the session has ended" if ended else "no answer in time") from None
                continue
            if message is None:
                raise Lost("the session has ended")
            return message

    def child(self):
        """The process that a local session is with; None: it is an other session."""
        channel = getattr(self.session, "_channel", None)
        return channel if isinstance(channel, subprocess.Popen) else None

    def close(self):
        child = self.child()
        try:
            if child:
                child.kill()
                child.stdout.close()  # which ends ncclient's thread
            else:
                self.session.close()
        except Exception:
            pass  # it is gone already


class Session:
    """One NETCONF session; each answer raw."""

    def __init__(self, options):
        self.options, self.link, self.number, self.lost = options, None, 0, False

    def open(self):
        """Open it unless it is."""
        if self.link and not self.lost:
            return
        self.close()
        try:
            self.link = connect(self.options)
            if isinstance(self.link, Pipe):  # the library has said hello
                end = time.monotonic() + HELLO_S
                if not re.search(r"<(?:\w+:)?hello\b", self.link.receive(end)):
                    raise Lost("no hello")
                self.link.send(HELLO, end)
        except Lost as why:
            self.close()
            raise Stop(EXIT_TEMPORARY, "no session to the router: %s" % why) from None
        self.number, self.lost = 0, False

    def rpc(self, body, end):
        """The reply to a request, raw."""
        self.number += 1
        try:
            self.link.send('<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="%d">%s</rpc>' %
                           (self.number, body), end)
            while True:
                reply = self.link.receive(end)
                if 'message-id="%d"' % self.number in reply[:2000]:
                    return reply
        except Lost:
            self.lost = True
            raise

    def close(self):
        if self.link:
            self.link.close()
        self.link = None


def connect(options):
    """The cheapest way in: cli needs no module; importing jnpr.junos costs more than all the rest of a tick."""
    try:
        if options.device:
            return Pipe(["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-p", str(options.port)]
                        + (["-o", "UserKnownHostsFile=" + options.known_hosts] if options.known_hosts else [])
                        + (["-i", options.ssh_key, "-o", "IdentitiesOnly=yes"] if options.ssh_key else [])
                        + (["-l", options.user] if options.user else []) + ["-s", options.device, "netconf"])
        if os.access(options.cli, os.X_OK):
            return Pipe([options.cli, "xml-mode", "netconf", "need-trailer"])
    except OSError as why:
        raise Stop(EXIT_TEMPORARY, "no session to the router: %s" % os.strerror(why.errno)) from None
    junos = probe("jnpr.junos")
    if not junos:
        raise Stop(EXIT_CONFIG, "no way into the router: %s cannot be run, and jnpr.junos cannot be imported"
                   % options.cli)
    try:
        return Pyez(junos)
    except Exception as why:
        raise Stop(EXIT_TEMPORARY, "no session to the router by jnpr.junos: %s" % type(why).__name__) from None


# ---- rekeyd: HTTPS ----

class Late(Exception):
    pass


class Within:
    """All that is done inside takes no longer than this, however slowly the other side drips."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __enter__(self):
        signal.signal(signal.SIGALRM, self.late)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)

    def late(self, number, frame):
        raise Late()

    def __exit__(self, *why):
        signal.setitimer(signal.ITIMER_REAL, 0)


class Connection(http.client.HTTPSConnection):
    """Verifies the name that it is told, which need not be the one that is connected to."""

    def __init__(self, url, context, name):
        super().__init__(url.hostname, url.port or 443, context=context)
        self.context, self.name = context, name or url.hostname

    def connect(self):
        plain_socket = socket.create_connection((self.host, self.port))
        try:
            plain_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = self.context.wrap_socket(plain_socket, server_hostname=self.name)
        except BaseException:
            plain_socket.close()
            raise


def no_passphrase():
    raise Stop(EXIT_CONFIG, "the key file is encrypted: nobody is there to enter its passphrase")


def tls(options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the server and its name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if hasattr(context, "hostname_checks_common_name"):
        context.hostname_checks_common_name = True  # where a certificate has no other name: sites are named by their CN
    for what, load in (("--ca " + options.ca, lambda: context.load_verify_locations(options.ca)),
                       ("--cert %s or --key %s" % (options.cert, options.key),
                        lambda: context.load_cert_chain(options.cert, options.key, no_passphrase))):
        try:
            load()
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            raise Stop(EXIT_CONFIG, "%s: not a PEM file that can be used" % what) from None
    return context


def tls_stop(why):
    """A failed handshake: which side's certificate is to blame."""
    if isinstance(why, ssl.SSLCertVerificationError):
        return Stop(EXIT_CONFIG, "the certificate of rekeyd is refused: %s" % why.verify_message)
    reason = why.reason or ""
    if "CERT" in reason or "UNKNOWN_CA" in reason or "ACCESS_DENIED" in reason:
        return Stop(EXIT_CONFIG, "rekeyd refuses the certificate of this router: %s" % reason)
    return Stop(EXIT_TEMPORARY, "TLS with rekeyd failed: %s" % (reason or "connection closed"))


class Rekeyd:
    """Requests to rekeyd on one connection.  It answers by status 200 and JSON, or the tick ends."""

    def __init__(self, options, context):
        self.url = urllib.parse.urlsplit(options.url)
        self.base = self.url.path.rstrip("/")
        self.connection = Connection(self.url, context, options.name)
        self.run, self.number, self.used = os.urandom(8).hex(), 0, False

    def post(self, what, members, wait_s):
        """The answer's members; or None: status 409."""
        again = self.used  # a connection that is kept may have been closed meanwhile: once more then
        for attempt in (1, 2):
            self.number += 1
            body = dict({"v": 1, "shim": VERSION, "run": self.run, "n": self.number}, **members)
            try:
                with Within(wait_s + ANSWER_S):
                    return self.exchange(what, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
            except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected, ssl.SSLEOFError):
                alert = self.alert()
                self.connection.close()
                if alert:
                    raise tls_stop(alert) from None
                if not again or attempt == 2:
                    raise Stop(EXIT_TEMPORARY, "rekeyd at %s closed the connection" % self.url.netloc) from None
            except ssl.SSLError as why:
                raise tls_stop(why) from None
            except Late:
                raise Stop(EXIT_TEMPORARY, "rekeyd at %s did not answer in time" % self.url.netloc) from None
            except OSError as why:
                text = "its name is not known" if isinstance(why, socket.gaierror) else (
                    os.strerror(why.errno) if why.errno else type(why).__name__)
                raise Stop(EXIT_TEMPORARY, "rekeyd at %s cannot be reached: %s" % (self.url.netloc, text)) from None
            except http.client.HTTPException as why:
                raise Stop(EXIT_TEMPORARY, "rekeyd's answer is no HTTP: %s" % type(why).__name__) from None
        return None

    def alert(self):
        """A server that refuses a certificate says so and hangs up, by TLS 1.3 not before the request is under way."""
        try:
            with Within(1):
                self.connection.sock.recv(1)
        except ssl.SSLError as why:
            return None if isinstance(why, ssl.SSLEOFError) else why
        except (OSError, AttributeError, Late):
            pass
        return None

    def exchange(self, what, body):
        self.connection.request("POST", "%s/shim/v1/%s" % (self.base, what), body,
                                {"Content-Type": "application/json", "Accept": "application/json"})
        answer = self.connection.getresponse()
        self.used = True
        length = answer.getheader("Content-Length", "")
        if not re.match(r"[0-9]{1,9}\Z", length) or int(length) > BODY_MAX or answer.getheader("Transfer-Encoding"):
            raise Stop(EXIT_TEMPORARY, "rekeyd's answer has no length, or is longer than %d bytes" % BODY_MAX)
        data = answer.read()  # what is missing is http.client.IncompleteRead
        if answer.status == 409 and what == "report":
            return None
        if answer.status != 200:
            raise self.refusal(answer.status)
        if answer.getheader("Content-Type", "").split(";")[0].strip().lower() != "application/json":
            raise Stop(EXIT_TEMPORARY, "rekeyd's answer is not JSON")
        return self.members(data)

    def refusal(self, status):
        """What it says in words is not logged: only the number."""
        if 300 <= status < 400:
            return Stop(EXIT_CONFIG, "rekeyd at %s redirects: that is never followed" % self.url.netloc)
        if status == 403:
            return Stop(EXIT_CONFIG, "rekeyd has no device for the certificate of this router (status 403)")
        if status in (400, 401, 404, 405, 411, 413, 415):
            return Stop(EXIT_CONFIG, "rekeyd at %s does not take the request (status %d)" % (self.url.netloc, status))
        return Stop(EXIT_TEMPORARY, "rekeyd is not able to answer now (status %d)" % status)

    def members(self, data):
        try:
            said = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError):
            raise Stop(EXIT_TEMPORARY, "rekeyd's answer is not JSON") from None
        if not isinstance(said, dict) or said.get("v") != 1:
            raise Stop(EXIT_TEMPORARY, "rekeyd's answer is of another protocol")
        return said


# ---- work ----

class Deed:
    """One item of work: what was done, for the report."""

    def __init__(self, session, work):
        self.session, self.work = session, work
        self.begun = time.monotonic()
        self.steps, self.facts, self.outcome, self.why, self.clock_ms = [], [], "not-begun", "", now_ms()
        self.budget = number(work.get("budget_ms"), 1, 3600000) / 1000.0
        self.end = self.begun + self.budget - min(REPORT_S, self.budget / 10)

    def step(self, name, body, end=None):
        """One request of the edit.  Its reply is true when it is a success and not an error."""
        since, reply = time.monotonic(), ""
        end = end or min(self.end, since + RPC_S)
        try:
            reply = self.session.rpc(body, end)
        finally:
            self.steps.append({"step": name, "reply": reply, "ms": int(1000 * (time.monotonic() - since)),
                               "lost": reply == ""})
        return reply

    def look(self, end):
        """The facts that are asked for, as many as can be had until then."""
        self.clock_ms = now_ms()
        self.facts = read_facts(self.session, self.wanted, end)

    def do(self):
        """Everything of the item is checked before anything of it is begun."""
        try:
            self.wanted = [(rpc, allowed_look(rpc)) for rpc in texts(self.work.get("facts"), FACTS_MAX)]
            if self.work.get("kind") == "look":
                self.session.open()
                self.look(self.end)
                self.outcome = "done"
                return
            self.edit()
        except Refused as why:
            self.why = "refused: %s" % why
        except Stop as why:
            self.why = str(why)
        except Lost as why:
            self.why = "%s; nothing was committed" % why

    def edit(self):
        work, loads = self.work, self.work.get("load")
        if work.get("kind") != "edit" or work.get("mode") not in ("private", "exclusive"):
            raise Refused("a kind or a mode that is not known")
        if not isinstance(loads, list) or not 1 <= len(loads) <= LOADS_MAX:
            raise Refused("nothing to load, or too much")
        bodies = [safe_load(item) for item in loads]
        log, txn = work.get("log"), "txn=" + work["id"]
        if work.get("check_only") is True:
            commit = ("check", "<commit-configuration><check/></commit-configuration>")
        elif isinstance(log, str) and txn in log and re.match(r"[ -~]{1,%d}\Z" % LOG_MAX, log):
            commit = ("commit", "<commit-configuration><log>%s</log></commit-configuration>" % escaped(log))
        else:
            raise Refused("a text for the log without the transaction")
        self.session.open()
        if commit[0] == "commit" and is_committed(self.step("look", HISTORY), txn):
            self.outcome, self.why = "done", "committed before"
        else:
            self.change(bodies, commit)
        self.look_after()

    def change(self, bodies, commit):
        private = self.work["mode"] == "private"
        opened = False
        try:
            opened = self.good("open", "<open-configuration><private/></open-configuration>" if private
                               else "<lock-configuration/>")
            if opened and all(self.good("load", body) for body in bodies):
                self.commit(*commit)
        except Lost as why:  # whatever was loaded has gone with the session
            if self.outcome != "unknown":
                self.why = "%s before the commit" % why
        if opened and not self.session.lost:
            self.discard(private)

    def good(self, name, body):
        if self.end <= time.monotonic():
            self.why = "the budget is used up"
            return False
        reply = self.step(name, body, self.end)
        if IS_ERROR.search(reply) or not IS_SUCCESS.search(reply):
            self.outcome, self.why = "refused", "the router refused to %s" % name
            return False
        return True

    def commit(self, name, body):
        """It is sent once.  Without an answer its end is not known, and the session is given up."""
        if self.end - time.monotonic() < max(COMMIT_MIN_S, self.budget / 4):
            self.outcome, self.why = "not-begun", "the budget is too short for the commit"
            return
        if name == "commit":
            self.outcome, self.why = "unknown", "no answer to the commit"
        reply = self.step(name, body, self.end)
        error, success = bool(IS_ERROR.search(reply)), bool(IS_SUCCESS.search(reply))
        if error != success:
            self.outcome, self.why = ("refused", "the router refused the %s" % name) if error else ("done", "")
        else:
            self.outcome, self.why = "unknown", "an answer to the %s that is neither success nor error" % name

    def discard(self, private):
        """Nothing that was not committed stays; when that is not confirmed, the session goes, and all with it."""
        end = max(self.end, time.monotonic() + CLOSE_S)
        try:
            for body in (("<close-configuration/>",) if private
                         else ("<discard-changes/>", "<unlock-configuration/>")):
                self.session.rpc(body, end)
        except Lost:
            Log.line("warning", "the session ended while the edit was closed")

    def look_after(self):
        """In the same session; after a lost one in a new one, so that rekeyd learns at once what became of it.

        Not beyond the budget: a report that comes in time is worth more.
        """
        if time.monotonic() >= self.end:
            return
        try:
            self.session.open()
            self.look(self.end)
        except (Stop, Lost) as why:
            Log.line("warning", "no look after work %s: %s" % (self.work["id"], why))

    def report(self):
        return {"clock_ms": self.clock_ms, "id": self.work["id"], "steps": fitting(self.steps, BODY_MAX // 4),
                "outcome": self.outcome, "why": self.why, "facts": fitting(self.facts, BODY_MAX // 2)}


def is_committed(history, txn):
    return bool(re.search(r"<(?:\w+:)?log>[^<]*\b%s\b" % re.escape(txn), history))


def now_ms():
    return int(time.time() * 1000)


def number(value, least, most, usual=None):
    """A number that rekeyd sent; something else, or nothing: the usual one."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        if usual is None:
            raise Refused("a number that is not allowed")
        return usual
    return value


def texts(value, most):
    value = [] if value is None else value
    if not isinstance(value, list) or len(value) > most or not all(isinstance(text, str) for text in value):
        raise Refused("a list that is not allowed")
    return value


def read_facts(session, wanted, end):
    """wanted: (as it is told, as it is sent, or None) each.  What has no answer is left out."""
    facts = []
    for told, sent in wanted:
        try:
            reply = session.rpc(sent, min(end, time.monotonic() + RPC_S)) if sent else NOT_ALLOWED
        except Lost as why:
            Log.line("warning", "the router's session ended after %d of %d facts: %s" % (len(facts), len(wanted), why))
            break
        facts.append({"rpc": told, "reply": reply})
    return facts


def fitting(items, most):
    """As many as fit into that many bytes; the text of JSON is never longer than this guess."""
    kept = []
    for item in items:
        most -= len(json.dumps(item, ensure_ascii=False).encode("utf-8", "replace")) + 2
        if most < 0:
            Log.line("warning", "answers of the router are too long: %d of %d are sent" % (len(kept), len(items)))
            break
        kept.append(item)
    return kept


# ---- a run ----

class Run:
    def __init__(self, options, session):
        self.options, self.session = options, session
        self.end = time.monotonic() + options.linger
        self.last = time.monotonic() + max(options.linger, options.tick)  # while there is more work
        self.rekeyd = Rekeyd(options, tls(options))
        self.done, self.read = 0, 0.0  # read: when the facts of the next question were, monotonic

    def left_s(self):
        return max(self.end - time.monotonic(), 0.0)

    def go(self):
        self.session.open()
        clock_ms, self.read = now_ms(), time.monotonic()
        facts = read_facts(self.session, [(rpc, rpc) for rpc in DEFAULT_FACTS], time.monotonic() + FACTS_S)
        if not facts:
            raise Stop(EXIT_TEMPORARY, "the router answers no request")
        facts = fitting(facts, BODY_MAX - 65536)
        while True:
            again_s, until = self.ask(facts, clock_ms)
            if again_s is None or self.options.once or time.monotonic() + again_s >= until:
                break
            time.sleep(again_s)
            facts, clock_ms, self.read = [], now_ms(), time.monotonic()  # work says what is to be read with it
        Log.line("info", "done: %d items of work, %d requests" % (self.done, self.rekeyd.number))

    def ask(self, facts, clock_ms):
        """One question, and the work that it brings.

        ret: when to ask again [s from now], None: not in this tick; unless that is later than this time
        """
        wait_s = self.left_s()
        said = self.rekeyd.post("ask", {"clock_ms": clock_ms, "wait_ms": int(wait_s * 1000),
                                        "age_ms": int(1000 * (time.monotonic() - self.read)),
                                        "tick_s": self.options.tick, "facts": facts}, wait_s)
        work = said.get("work")
        if work is None:
            again_ms = number(said.get("again_ms"), 0, 3600000, -1)
            return (None if again_ms < 0 else max(again_ms / 1000.0, 0.05)), self.end
        name = work.get("id") if isinstance(work, dict) else None
        if not isinstance(name, str) or not re.match(r"[0-9a-f]{16}\Z", name):
            raise Stop(EXIT_TEMPORARY, "rekeyd's answer has work without a name")
        return 0, self.last if self.work(work) else self.end  # a rotation has further steps: wait for them

    def work(self, work):
        """ret: is there more?"""
        self.done += 1
        try:
            deed = Deed(self.session, work)
        except Refused:
            raise Stop(EXIT_TEMPORARY, "rekeyd's answer has work without a budget") from None
        deed.do()
        Log.line("notice" if deed.outcome == "done" else "warning", "work %s: %s in %d ms%s" % (
            work["id"], deed.outcome, 1000 * (time.monotonic() - deed.begun), deed.why and ": " + deed.why))
        said = self.rekeyd.post("report", deed.report(), 0)
        if said is None:
            Log.line("warning", "work %s is not known to rekeyd any more" % work["id"])
        return self.done < WORK_MAX and (said is None or said.get("more") is True)


# ---- files and options ----

def look_at_file(path, what, secret=False):
    """Nobody but its owner may be able to change it, or to read it when it is secret."""
    try:
        s = os.stat(path)
    except OSError as why:
        raise Stop(EXIT_CONFIG, "%s %s: %s" % (what, path, os.strerror(why.errno))) from None
    if not stat.S_ISREG(s.st_mode):
        raise Stop(EXIT_CONFIG, "%s %s: is no file" % (what, path))
    if s.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Stop(EXIT_CONFIG, "%s %s: others than its owner may write it; chmod go-w" % (what, path))
    if secret and s.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Stop(EXIT_CONFIG, "%s %s: others than its owner may read it; chmod 600" % (what, path))
    if secret and s.st_uid not in (0, os.geteuid()):  # of the script Junos itself asks that a super-user has it
        raise Stop(EXIT_CONFIG, "%s %s: belongs to another user" % (what, path))
    d = os.stat(os.path.dirname(os.path.abspath(path)))
    if d.st_mode & stat.S_IWOTH and not d.st_mode & stat.S_ISVTX:
        raise Stop(EXIT_CONFIG, "%s %s: everybody may write its folder" % (what, path))


def look_at_dates(path):
    """Is the certificate valid today?  Where this Python cannot tell, rekeyd does."""
    decode = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)
    try:
        dates = decode(path)
        begin, end = (ssl.cert_time_to_seconds(dates[name]) for name in ("notBefore", "notAfter"))
    except Exception:
        return
    if time.time() > end:
        raise Stop(EXIT_CONFIG, "--cert %s: has expired; renew it" % path)
    if time.time() < begin:
        raise Stop(EXIT_CONFIG, "--cert %s: is not valid yet; look at the router's clock" % path)
    if time.time() > end - 14 * 86400:
        Log.line("warning", "--cert %s: expires in %d days" % (path, (end - time.time()) // 86400))


def look_at_files(options):
    look_at_file(os.path.realpath(__file__), "script")
    look_at_file(options.ca, "--ca")
    look_at_file(options.cert, "--cert")
    look_at_file(options.key, "--key", secret=True)
    look_at_dates(options.cert)


def one_at_a_time(options):
    """A lock on the key file, which each router has its own of: no file is made.  False: another run has it."""
    try:
        options.lock = open(options.key, "rb")
        fcntl.flock(options.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as why:
        raise Stop(EXIT_CONFIG, "--key %s: %s" % (options.key, os.strerror(why.errno))) from None
    return True


class Arguments(argparse.ArgumentParser):
    def error(self, message):
        self.exit(EXIT_USAGE, "rekey-shim: %s; --help shows all\n" % message)


def seconds(text):
    value = int(text)
    if not 0 <= value <= 86400:
        raise ValueError()
    return value


def arguments():
    a = Arguments(prog="rekey-shim.py", allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
                  description="Asks rekeyd for the changes of MACsec keys that are due on this router, and makes them.",
                  epilog="""All options may be written with one dash, as event-options do.  Without --url they are
taken from "event-options apply-macro %s" of the router's configuration.

exit codes:
  %d   the tick is done, or another run is still at work
  %d  wrong arguments
  %d  a mistake in the script
  %d  temporary: rekeyd or the router did not answer, or was busy
  %d  something is to be mended: a file, its mode, a certificate, the URL""" % (
                      MACRO, EXIT_OK, EXIT_USAGE, EXIT_INTERNAL, EXIT_TEMPORARY, EXIT_CONFIG))

    def add(name, text, **more):
        a.add_argument("--" + name, "-" + name, help=text, **more)

    add("url", "of rekeyd: https://HOST[:PORT]", metavar="URL")
    add("cert", "the router's certificate (PEM); its name says which router this is", metavar="FILE")
    add("key", "its private key (PEM), mode 0600", metavar="FILE")
    add("ca", "who signs rekeyd's certificate (PEM)", metavar="FILE")
    add("name", "name in rekeyd's certificate, when it is not the host of the URL", metavar="NAME")
    add("tick", "seconds between two runs (60)", metavar="N", type=seconds)
    add("linger", "seconds that a run waits for work (tick - 10); 0: one question", metavar="N", type=seconds)
    add("once", "end after the first answer and its work", action="store_true")
    add("cli", "the router's program cli (/usr/sbin/cli)", metavar="FILE", default="/usr/sbin/cli")
    add("device", "not on a router: reach it by ssh", metavar="HOST")
    add("port", "its port (830)", metavar="N", type=seconds, default=830)
    add("user", "its user", metavar="NAME")
    add("ssh-key", "the key for ssh", metavar="FILE")
    add("known-hosts", "host keys for ssh", metavar="FILE")
    add("no-syslog", "log on stderr only", action="store_true")
    add("version", "show the version", action="version", version=VERSION)
    return a.parse_args()


def from_configuration(options, session):
    """What stands in the macro, where no argument says it."""
    session.open()
    try:
        reply = session.rpc(MACRO_RPC, time.monotonic() + RPC_S)
    except Lost as why:
        raise Stop(EXIT_TEMPORARY, "the configuration cannot be read: %s" % why) from None
    pairs = r"<data>\s*<name>\s*([a-z]+)\s*</name>\s*<value>\s*([^<]*?)\s*</value>\s*</data>"
    for word, value in re.findall(pairs, reply):
        if word in MACRO_WORDS and getattr(options, word) is None:
            try:
                setattr(options, word, seconds(value) if word in ("tick", "linger") else value)
            except ValueError:
                raise Stop(EXIT_CONFIG, "apply-macro %s: %s is no number" % (MACRO, word)) from None


def complete(options):
    """Every option has a value that can be used."""
    for word in ("url", "cert", "key", "ca"):
        if not getattr(options, word):
            raise Stop(EXIT_CONFIG, "no --%s, and no %s in event-options apply-macro %s" % (word, word, MACRO))
    try:
        url = urllib.parse.urlsplit(options.url)
        good = url.scheme == "https" and url.hostname and url.port != 0 and not (
            url.query or url.fragment or url.username)
    except ValueError:
        good = False
    if not good or not re.match(r"[!-~]+\Z", options.url):
        raise Stop(EXIT_CONFIG, "--url must be https://HOST or https://HOST:PORT")
    options.tick = options.tick or 60
    options.linger = max(options.tick - 10, 0) if options.linger is None else options.linger


def tick(options, session):
    if not options.url:
        from_configuration(options, session)
    complete(options)
    look_at_files(options)
    if not one_at_a_time(options):
        Log.line("notice", "another run is still at work: nothing to do")
        return
    Run(options, session).go()


def ended(number_, frame):
    raise Ended(number_)


def secure():
    """Nothing of this process is left behind: no core, no traceback, no file that others can read."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    sys.excepthook = on_exception
    sys.dont_write_bytecode = True
    handler = probe("faulthandler")
    if handler:
        handler.disable()
    for number_ in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number_, ended)


def main():
    secure()
    options = arguments()
    Log.start(options.no_syslog or options.device)
    session = Session(options)
    try:
        tick(options, session)
        return EXIT_OK
    except Stop as why:
        Log.line("error", str(why))
        return why.code
    except Ended as why:
        Log.line("warning", "ended by signal %d" % why.args)
        return EXIT_TEMPORARY
    except Exception as why:
        on_exception(type(why), why, why.__traceback__)
        return EXIT_INTERNAL
    finally:
        session.close()


if __name__ == "__main__":
    sys.exit(main())
