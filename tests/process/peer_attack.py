# peer_attack.py - the channel "peer" under attack: whoever can reach its port cannot use it up, and the peer's records
# go on.  What a stranger costs is bounded in connections, memory and time.
import os
import re
import socket
import ssl
import sys
import time

sys.dont_write_bytecode = True
import peer_sites  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

CONNECTIONS = 1000
UNKNOWN_MAX = 64  # of plugins/channel/peer/loop.c
MIB = 1 << 20
PATH = b"POST /rekey/v1/records HTTP/1.1\r\nHost: x\r\n"
TYPE = b"Content-Type: application/x-rekey-records\r\n"


def set_up(w):
    peer_sites.pair(w)
    for site in (w.a, w.b):
        site.start()
    peer_sites.rotations(w, 1)
    w.host = w.a.plugin("peer")["pid"]


def connect(w):
    return socket.create_connection(("127.0.0.1", w.a.port), 10)


def tls(w, name, cn):
    """A connection with the certificate NAME, of this SAE ID."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if name:
        context.load_cert_chain(*w.pki.make(name, cn=cn))
    return context.wrap_socket(connect(w))


def ends(s, what, within_s=20):
    """The other end closes the connection, without an answer or after it: what it said."""
    said, begun = b"", time.monotonic()
    s.settimeout(within_s)
    try:
        while True:
            data = s.recv(65536)
            if not data:
                break
            said += data
    except TimeoutError:
        raise rig.Failed("%s: still open after %d s" % (what, within_s)) from None
    except OSError:
        pass
    expect(time.monotonic() - begun <= within_s, "%s: it took %d s", what, time.monotonic() - begun)
    return said


def memory_kib(w):
    with open("/proc/%d/status" % w.host) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def files(w):
    return len(os.listdir("/proc/%d/fd" % w.host))


def goes_on(w):
    expect(w.a.plugin("peer")["pid"] == w.host, "the plugin's process is another one")
    peer_sites.rotations(w, 1)


def garbage(w):
    """What is no TLS ends at once."""
    for data in (b"\0" * 4096, b"GET / HTTP/1.1\r\n\r\n",
                 b"\x16\x03\x01\xff\xff" + b"A" * 70000, b"\x15\x03\x03\0\2\2\x28"):
        s = connect(w)
        try:
            s.sendall(data)
        except OSError:
            pass
        ends(s, "garbage")
        s.close()
    w.a.wait_log("ev=record-refused link=\\? channel=line why=\"no record: a request or connection refused: 127.0.0.1")
    goes_on(w)


def strangers(w):
    """No certificate, and one of an SAE that is no peer: the handshake fails, and no request is read."""
    for name, cn in ((None, None), ("stranger", "SAE_X")):
        try:
            s = tls(w, name, cn)
            s.sendall(PATH + TYPE + b"Content-Length: 0\r\n\r\n")
            said = ends(s, "a stranger")
            expect(b"HTTP" not in said, "a stranger was answered: %s", said)
        except ssl.SSLError:
            pass
    goes_on(w)


def many_connections(w):
    """A thousand at once that say nothing: a few are kept, each for a few seconds."""
    before, memory = files(w), memory_kib(w)
    held = []
    for _ in range(CONNECTIONS):
        held.append(connect(w))
    goes_on(w)
    expect(files(w) <= before + UNKNOWN_MAX + 10, "%d descriptors, before it were %d", files(w), before)
    expect(memory_kib(w) <= memory + 16384, "%d KiB, before it were %d", memory_kib(w), memory)
    rig.wait_for(lambda: files(w) <= before + 10, "they end by themselves", rig=w.rig)
    for s in held:
        s.close()
    goes_on(w)


def slow_loris(w):
    """A peer's own certificate, and a request that never ends; the second of its connections stays useful."""
    before = files(w)
    slow = [tls(w, "slow-%d" % i, "SAE_B") for i in range(6)]
    begun = time.monotonic()
    waiting = list(slow)
    while waiting and time.monotonic() - begun < 30:
        for s in list(waiting):
            s.settimeout(0.05)
            try:
                s.sendall(b"P" if s is slow[0] else PATH[:1])
                if not s.recv(1):
                    waiting.remove(s)
            except TimeoutError:
                pass
            except OSError:
                waiting.remove(s)
        time.sleep(0.2)
    expect(not waiting, "%d of them are open still", len(waiting))
    rig.wait_for(lambda: files(w) <= before + 10, "they are closed here, too", rig=w.rig)
    goes_on(w)


def long_bodies(w):
    """16 MiB are refused when they are announced; so is what has no length, and what is no records."""
    memory = memory_kib(w)
    cases = [(b"Content-Length: %d\r\n\r\n" % (16 * MIB), 413), (b"Transfer-Encoding: chunked\r\n\r\n", 411),
             (b"X: " + b"a" * 5000, 431), (b"Content-Length: 4\r\n\r\nabcd", 400)]
    for rest, code in cases:
        s = tls(w, "peer-%d" % code, "SAE_B")
        try:
            s.sendall(PATH + TYPE + rest)
            if code == 413:
                for _ in range(256):
                    s.sendall(b"x" * 65536)
        except OSError:
            pass
        said = ends(s, "a body for %d" % code)
        expect(code == 413 or said.startswith(b"HTTP/1.1 %d " % code), "%d: %s", code, said)
        s.close()
    expect(memory_kib(w) <= memory + 8192, "%d KiB, before it were %d", memory_kib(w), memory)
    goes_on(w)


def bounded_log(w):
    lines = [x for x in w.a.log().splitlines() if "ev=record-refused" in x]
    expect(lines and len(lines) <= 40, "%d lines about what was refused", len(lines))


def main():
    w = rig.World(set_up)
    cases = [("garbage instead of TLS", garbage), ("strangers", strangers), ("1,000 connections", many_connections),
             ("slow-loris", slow_loris), ("bodies of 16 MiB, and others", long_bodies),
             ("the log stays short", bounded_log)]
    try:
        return rig.run_cases([(name, w.case(function)) for name, function in cases])
    finally:
        w.close()


sys.exit(main())
