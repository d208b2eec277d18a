"""A KME that plays a part: answers of real servers, their faults, and hostile ones, for etsi014_test.

usage: etsi014_server.py DIR   (DIR holds the certificates that etsi014_certs.c made)
Writes "name port" lines and "." to stdout, then obeys lines on stdin:
  play NAME [ARG...]   how requests are answered from now on; answers "."
  log                  one line for each request since the last log, then "."
  wait                 answers "." as soon as a request has arrived since the last log
  end                  end the connection of the last request, which the part close-idle or fin-idle has kept until now;
                       answers "." when the client's side has it
  peer                 the CN of the client certificate of the last request, then "."
  cert NAME CERT       the listener's certificate from the next connection on
  down NAME, up NAME   end a listener and its connections; let it listen at the same port again
Ends when stdin ends.
"""
import base64
import email.utils
import fcntl
import json
import os
import socket
import ssl
import struct
import sys
import termios
import threading
import time
import urllib.parse
import warnings

DIR = sys.argv[1]
lock = threading.Condition()
requests = []
part = ["ok"]
given = [0, 0]  # number of the last key; keys since the part began
held = [0]  # refusals of the part retry
asked = {}   # key ID -> how often dec_keys asked for it
connections = [0]
last_asked, to_end, ended = [0], [0], [0]  # numbers of connections: of the last request, told to end, at its end
peer = ["-"]
listeners = {}  # name -> Listener


def key_of(number, bits):
    return base64.b64encode(bytes((number * 31 + i * 7 + 0xf0) & 0xff for i in range(bits // 8))).decode()


def id_of(number):
    return "c0ffee00-0000-4000-8000-%012x" % number


def entry(key_id, bits):
    return {"key_ID": key_id, "key": key_of(int(key_id[-4:], 16), bits)}


def answer(code, body, headers=()):
    if not isinstance(body, bytes):
        body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    head = ["HTTP/1.1 %d X" % code, "Content-Length: %d" % len(body), *headers, "", ""]
    return "\r\n".join(head).encode() + body


def container(ids, bits):
    """The 200 of enc_keys and dec_keys, as the part wants it."""
    name = part[0]
    keys = [entry(i, bits) for i in ids]
    if name == "short":
        keys[-1]["key"] = key_of(1, bits - 8)
    elif name == "long":
        keys[-1]["key"] = key_of(1, bits + 8)
    elif name == "bad-base64":
        keys[-1]["key"] = "!" + keys[-1]["key"][1:]
    elif name == "duplicate":
        keys[-1] = dict(keys[0])
    elif name == "more":
        keys.append(entry(id_of(0xfff0), bits))
    elif name == "fewer":
        keys = keys[:-1]
    elif name == "none":
        keys = []
    elif name == "wrong-id":
        keys[-1]["key_ID"] = id_of(0xfff1)
    elif name == "upper":
        return answer(200, {"Keys": [dict(k, key_ID=k["key_ID"].upper()) for k in keys]})
    elif name == "extra":
        more = {"a": [1, -2.5e3, None, {"b": "\u00e9\"\\"}]}
        keys = [dict(k, key_ID_extension=more, key_extension="x") for k in keys]
        return answer(200, {"v": True, "key_container_extension": [{}, [], ""], "keys": keys, "z": {"keys": []}})
    elif name == "key-first":
        keys = [{"key": k["key"], "key_ID": k["key_ID"]} for k in keys]
    elif name == "pretty":
        return answer(200, "\r\n\t " + json.dumps({"keys": keys}, indent=4).replace(":", " :") + "\n\n")
    elif name == "escaped":
        return answer(200, json.dumps({"keys": keys}).replace("/", "\\/").replace("+", "\\u002B"))
    elif name == "lower-names":
        return answer(200, {"keys": [{"key_id": k["key_ID"], "key": k["key"].rstrip("=")} for k in keys]})
    elif name == "no-padding":
        keys = [dict(k, key=k["key"].rstrip("=").replace("+", "-").replace("/", "_")) for k in keys]
    return answer(200, {"keys": keys})


def refused(method, want):
    """What a KME with limits does not do; None: it does it."""
    name = part[0]
    if name == "one-only" and want["number"] != 1:
        return answer(400, {"message": "number must be 1"})
    if name == "limit" and want["number"] > int(part[1]):
        return answer(400, {"message": "number is out of range"})
    if name == "stock" and want["number"] > int(part[1]) - given[1]:
        return answer(503, {"message": "not enough keys are stored"})
    if name in ("no-get", "no-post") and method == name[3:].upper():
        return answer(405, {"message": "method not allowed"})
    if name == "no-optional" and "extension_optional" in want:
        return answer(400, {"message": "not all extension_optional request options handled"})
    return None


def enc_keys(method, query, body):
    want = json.loads(body) if method == "POST" else {k: int(v[0]) for k, v in query.items()}
    no = refused(method, want)
    if no:
        return no
    if part[0] == "get-ignores" and method == "GET":
        want = {"number": 1, "size": 256}
    given[1] += want["number"]
    ids = []
    for _ in range(want["number"]):
        given[0] += 1
        ids.append(id_of(given[0]))
    return container(ids, want["size"])


def dec_keys(method, query, body):
    ids = [k["key_ID"] for k in json.loads(body)["key_IDs"]] if method == "POST" else query["key_ID"]
    for i in ids:
        asked[i] = asked.get(i, 0) + 1
    if part[0] == "limit" and len(ids) > int(part[1]):
        return answer(400, {"message": "too many key_IDs"})
    if part[0] in ("no-get", "no-post") and method == part[0][3:].upper():
        return answer(405, {"message": "method not allowed"})
    if part[0] == "late":  # there at the third question
        missing = [i for i in ids if asked[i] < 3]
    else:
        missing = [i for i in ids if i.endswith("dead")]
    if missing:
        return answer(400, {"message": "one or more keys specified are not found on KME"})
    return container(ids, 256)


STATUS = {"source_KME_ID": "KME_A", "target_KME_ID": "KME_B", "master_SAE_ID": "A", "slave_SAE_ID": "B",
          "key_size": 256, "stored_key_count": 7, "max_key_count": 100, "max_key_per_request": 20,
          "max_key_size": 1024, "min_key_size": 64, "max_SAE_ID_count": 0}


def respond(listener, method, target, body, served):
    """Bytes to send; None: close without an answer; then whether to close after it."""
    name = part[0]
    url = urllib.parse.urlsplit(target)
    query = urllib.parse.parse_qs(url.query)
    if name == "code":
        message = " ".join(part[2:])
        return answer(int(part[1]), {"message": message, "details": [{"x": 1}]} if message else ""), False
    if name == "no-status":  # CODE MESSAGE for what takes keys
        if target.endswith("/status"):
            return None, True
        return answer(int(part[1]), {"message": " ".join(part[2:])}), False
    if name == "retry" and held[0] < int(part[3]):  # CODE SECONDS TIMES
        held[0] += 1
        return answer(int(part[1]), {"message": "slow down"}, ["Retry-After: " + part[2]]), False
    if name == "typed":  # CODE TYPE TEXT
        return answer(int(part[1]), " ".join(part[3:]), ["Content-Type: " + part[2]]), False
    if name == "html":
        return answer(int(part[1]), "\n<!DOCTYPE html><html><body>Sign in</body></html>"), False
    if name == "text":
        return answer(200, " ".join(part[1:])), False
    if name == "huge":
        return answer(200, b'{"keys": [' + b" " * 70000 + b"]}"), False
    if name == "huge-header":
        return answer(200, "{}", ["X-%d: %s" % (i, "y" * 1000) for i in range(40)]), False
    if name == "huge-key":
        return answer(200, json.dumps({"keys": [entry(id_of(0x42), 256)]})[:-1] + " " * 70000 + "}"), False
    if name == "gateway" and listener == "kme":
        return answer(int(part[1]), "<html><body>Bad gateway</body></html>"), False
    if name == "redirect":
        return answer(302, "", ["Location: /s/elsewhere"]), False
    if name == "drop" or (name == "drop-reused" and served > 0) or (name == "drop-once" and not asked):
        asked["drop"] = 1
        return None, True
    if name == "cut":
        return answer(200, {"keys": [entry(id_of(1), 256)]})[:-20], True
    if name == "clock":  # of a KME that is so many seconds ahead
        return answer(200, STATUS, ["Date: " + email.utils.formatdate(time.time() + int(part[1]), usegmt=True)]), False
    if name == "status":  # with these members besides
        return answer(200, dict(STATUS, **json.loads(" ".join(part[1:])))), False
    if target.endswith("/status"):
        if name == "limit" and len(part) > 2:
            return answer(404, {"message": "no such resource"}), False
        told = {"max_key_per_request": int(part[1])} if name == "limit" else {}
        return answer(200, dict(STATUS, **told)), False
    reply = (enc_keys if url.path.endswith("/enc_keys") else dec_keys)(method, query, body)
    return reply, False


def read_request(stream):
    line = stream.readline(8192).decode().split()
    if len(line) != 3:
        return None
    headers = {}
    while True:
        text = stream.readline(8192).decode().strip()
        if not text:
            break
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    return line[0], line[1], headers, stream.read(int(headers.get("content-length", 0)))


def record(number, method, target, headers, body, listener="kme"):
    kept = ["%s=%s" % (h, headers[h]) for h in ("accept", "content-type", "cache-control", "expect") if h in headers]
    with lock:
        last_asked[0] = number
        requests.append("c%d %s %s %s %s%s" % (number, method, target, ",".join(kept), body.decode(),
                                               "" if listener == "kme" else " @" + listener))
        lock.notify_all()


def end_idle(conn, number, name):
    """End a connection that the client keeps, when told to, with TLS's good-bye or without; ret: was it ended."""
    with lock:
        lock.wait_for(lambda: to_end[0] == number or part[0] != name)
        if to_end[0] != number:
            return False
    if name == "close-idle":
        conn.setblocking(False)
        try:
            conn.unwrap()  # close_notify is sent before it wants the client's
        except ssl.SSLWantReadError:
            pass
        conn.setblocking(True)
    else:
        conn.shutdown(socket.SHUT_WR)
    while fcntl.ioctl(conn, termios.TIOCOUTQ, bytes(4)) != bytes(4):  # not yet acknowledged
        time.sleep(0.001)
    with lock:
        ended[0] = number
        lock.notify_all()
    return True


def wait_and_reset(sock):
    """Leave the next request unread, so that the end of the connection is a reset."""
    sock.recv(1, socket.MSG_PEEK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def serve(sock, context, listener):
    conn = None
    try:
        conn = context.wrap_socket(sock, server_side=True)
        with lock:
            connections[0] += 1
            number = connections[0]
            listeners[listener].open.add(conn)
        name = dict(pair for rdn in conn.getpeercert()["subject"] for pair in rdn)["commonName"]
        stream = conn.makefile("rb")
        served = 0
        while True:
            request = read_request(stream)
            if not request:
                break
            method, target, headers, body = request
            peer[0], playing = name, part[0]
            record(number, method, target, headers, body, listener)
            if part[0] == "slow":
                stream.read(1)  # until the client gives up
                break
            reply, last = respond(listener, method, target, body, served)
            served += 1
            if reply:
                conn.sendall(reply)
            if playing in ("close-idle", "fin-idle") and reply:
                last = end_idle(conn, number, playing)
                if last:
                    stream.read(1)
            if playing == "reset-reused":
                raw = socket.socket(fileno=os.dup(conn.fileno()))
                wait_and_reset(raw)
                raw.close()
                break
            if last:
                break
    except (OSError, ValueError):
        pass
    finally:
        with lock:
            listeners[listener].open.discard(conn)
        (conn or sock).close()


class Listener:
    def __init__(self, name, handle, context=None):
        self.name, self.handle, self.context, self.port, self.open = name, handle, context, 0, set()
        listeners[name] = self

    def up(self):
        self.sock = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.sock,), daemon=True).start()

    def down(self):
        self.sock.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self.sock.close()
        with lock:
            for conn in self.open:
                try:
                    socket.socket.shutdown(conn, socket.SHUT_RDWR)  # not TLS's: its thread is reading
                except OSError:
                    pass

    def accept(self, sock):
        while True:
            try:
                conn, _ = sock.accept()
            except OSError:
                return
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what was sent is there when the test goes on
            threading.Thread(target=self.handle, args=(conn,), daemon=True).start()


def start(name, handle, context=None):
    listener = Listener(name, handle, context)
    listener.up()
    print(name, listener.port)


def load(context, cert):
    context.load_cert_chain(os.path.join(DIR, cert + ".pem"), os.path.join(DIR, cert + ".key"))


def start_tls(name, cert, newest=None, oldest=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(context, cert)
    context.load_verify_locations(os.path.join(DIR, "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    if newest == ssl.TLSVersion.TLSv1_1:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
    if newest:
        context.maximum_version = newest
    if oldest:
        context.minimum_version = oldest
    start(name, lambda sock: serve(sock, context, name), context)


def plain(sock):
    sock.recv(1024)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    sock.close()


def pump(source, sink):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def proxy(sock):
    """A proxy for CONNECT; what it was asked for is in the log."""
    stream = sock.makefile("rb", buffering=0)
    request = read_request(stream)
    if not request:
        return sock.close()
    record(0, request[0], "proxied", {}, b"")
    host, _, port = request[1].rpartition(":")
    far = socket.create_connection((host, int(port)))
    sock.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
    threading.Thread(target=pump, args=(far, sock), daemon=True).start()
    pump(sock, far)


def command(line):
    words = line.split()
    with lock:
        if words[0] == "play":
            part[:] = words[1:]
            asked.clear()
            held[0] = given[1] = 0
            lock.notify_all()
        elif words[0] == "log":
            for text in requests:
                print(text)
            requests.clear()
        elif words[0] == "wait":
            lock.wait_for(lambda: requests)
        elif words[0] == "end":
            to_end[0] = last_asked[0]
            lock.notify_all()
            lock.wait_for(lambda: ended[0] == to_end[0])
        elif words[0] == "peer":
            print(peer[0])
        elif words[0] == "cert":
            load(listeners[words[1]].context, words[2])
    if words[0] == "down":
        listeners[words[1]].down()
    elif words[0] == "up":
        listeners[words[1]].up()
    print(".", flush=True)


warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.1, which is offered to see it refused
for tls_name in ("kme", "kme2", "cn-only", "several", "short", "long", "self", "expired", "other-host", "rogue"):
    start_tls(tls_name, "kme" if tls_name == "kme2" else tls_name)
start_tls("tls11", "kme", ssl.TLSVersion.TLSv1_1)
start_tls("tls12", "kme", ssl.TLSVersion.TLSv1_2)
start_tls("tls13", "kme", oldest=ssl.TLSVersion.TLSv1_3)
start("plain", plain)
start("reset", lambda sock: sock.close())
start("silent", lambda sock: sock.recv(1) and threading.Event().wait())
start("proxy", proxy)
closed = socket.create_server(("127.0.0.1", 0))
closed_port = closed.getsockname()[1]
closed.close()
print("closed", closed_port)
print(".", flush=True)
for command_line in sys.stdin:
    command(command_line)
