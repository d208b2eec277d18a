#!/usr/bin/env python3
"""switch.py DIR - two switches, joined by a cable between their ports port0, for trying the plugin

Each listens on a local socket, DIR/east.sock and DIR/west.sock; on DIR/silent.sock nobody ever answers.  Ends with its
standard input.  A packet is one line; what is answered:
    stage PORT ID keep=ID KEY-IN-HEX   the key becomes the primary one, the kept one the fallback: ok | nokey | noent
    retire PORT ID keep=ID             the kept one is primary again, the other takes its place: ok | nokey | noent
    show PORT                          ok PRIMARY FALLBACK USED, "-" for none | noent
As MKA does, both use the primary key as soon as the other one has it too, and the fallback until then.
"""
import hashlib
import os
import selectors
import socket
import sys

NONE = ("-", "")


class Switch:
    def __init__(self):
        self.slots = [NONE, NONE]  # primary, fallback: (ID, digest of the key)
        self.peer = None

    def used(self):
        return next((key for key in self.slots if key != NONE and key in self.peer.slots), NONE)

    def find(self, name):
        return next((key for key in self.slots if key[0] == name), None)

    def kept(self, terms):
        """The key of terms; without an ID the one that is used.  None: there is no such key."""
        name = terms.partition("keep=")[2]
        return self.find(name) if name else self.used() if self.used() != NONE else self.slots[0]

    def answer(self, verb, port, *words):
        if port != "port0":
            return "noent"
        if verb == "show":
            return " ".join(["ok"] + [key[0] for key in self.slots + [self.used()]])
        new = (words[0], hashlib.sha256(words[2].encode()).hexdigest()) if verb == "stage" else None
        kept = self.kept(words[1])
        if new and new == self.slots[0]:
            return "ok"
        if kept is None:
            return "nokey"
        if verb == "stage":
            self.slots = [new, self.slots[0] if kept == new else kept]
        elif verb == "retire":
            if words[1] == "keep=":
                kept = NONE if self.slots[0][0] == words[0] else self.slots[0]
            if self.slots[0] != kept:
                self.slots = [kept, self.slots[0]]
        return "ok"


def listen(path):
    if os.path.exists(path):
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(path)
    server.listen(64)
    return server


def serve(server, switch):
    with server.accept()[0] as client:
        line = client.recv(4096).decode("ascii", "replace").split()
        try:
            client.send(switch.answer(*line).encode())
        except (TypeError, IndexError):
            client.send(b"what?")
        except BrokenPipeError:
            pass


def main(folder):
    east, west = Switch(), Switch()
    east.peer, west.peer = west, east
    silent = listen(folder + "/silent.sock")  # connections are made, and wait for ever
    ways = selectors.DefaultSelector()
    ways.register(sys.stdin, selectors.EVENT_READ)
    for name, switch in (("east", east), ("west", west)):
        server = listen("%s/%s.sock" % (folder, name))
        ways.register(server, selectors.EVENT_READ, (server, switch))
    print("ready", flush=True)
    while True:
        for key, _ in ways.select():
            if not key.data:
                silent.close()
                return
            serve(*key.data)


main(sys.argv[1])
