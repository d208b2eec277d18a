# oracle.py - was a link ever broken?  Replays what the simulated devices wrote down (rekey-device-sim(5), events.log).
#
# All devices of a test write into one log, in the order of their effects.  Checked after each line:
#   I1  what one end sends with, each other end of the link holds for receive, in the same slot
#   I2  no key is installed twice on an interface, no slot in use is overwritten
#   and an interface that sends with a key always sends with some key, until it is shut: no failure takes the one in
#   use away.  Devices of classes b to e compare their keys themselves: their operations are not looked at here.
# A process that is killed between an effect and its line loses the line; the device tells what it holds when it is
# started again ("boot"), but not what it sends with, so that is then a set of slots until the next activation.


class Breach(AssertionError):
    pass


class End:
    """One interface of one device."""

    def __init__(self):
        self.slots = {}       # an -> (digest, key ID, seq, link)
        self.sending = {None}  # slots that it may send with; None: with no key
        self.used = set()     # digests that were installed

    def sends_in_clear(self):
        return self.sending == {None}


class Oracle:
    def __init__(self, path):
        self.path = path
        self.offset = 0
        self.ends = {}     # (device, interface) -> End
        self.of_link = {}  # link -> set of (device, interface)
        self.counts = {}   # (op, device) -> how many were done
        self.boot = None   # (device, {interface: {an: slot}}) while its lines are read
        self.lines = 0

    # ---- reading ----

    def check(self):
        """Read what is new; raises Breach at the first line that must not be."""
        try:
            with open(self.path, encoding="ascii") as f:
                f.seek(self.offset)
                text = f.read()
        except FileNotFoundError:
            return
        whole = text.rfind("\n") + 1
        self.offset += whole
        for line in text[:whole].splitlines():
            self.lines += 1
            try:
                self.take(dict(word.split("=", 1) for word in line.split(" ")))
            except Breach as breach:
                raise Breach("%s:%d: %s\n  %s" % (self.path, self.lines, breach, line)) from None
        self.end_boot()

    def take(self, e):
        op, device = e["op"], e["dev"]
        if op == "violation":
            raise Breach("the device itself reports a violation")
        if op == "boot":
            self.take_boot(e)
            return
        self.end_boot()
        if e["err"] != "0" or op not in ("stage", "activate", "retire", "shut", "sweep"):
            return
        self.counts[op, device] = self.counts.get((op, device), 0) + 1
        end = self.ends.setdefault((device, e["iface"]), End())
        self.of_link.setdefault(e["link"], set()).add((device, e["iface"]))
        getattr(self, op)(end, e)
        self.common_key(e["link"])

    @staticmethod
    def slot(e):
        return e["digest"], e["id"], int(e["seq"]), e["link"]

    # ---- effects ----

    def stage(self, end, e):
        an, slot = int(e["an"]), self.slot(e)
        if end.slots.get(an) == slot:
            return
        if an in end.slots:
            raise Breach("I2: slot %d is in use by key %s" % (an, end.slots[an][1]))
        if slot[0] in end.used:
            raise Breach("I2: this key was installed on this interface before")
        end.used.add(slot[0])
        end.slots[an] = slot

    def activate(self, end, e):
        an = int(e["an"])
        if end.slots.get(an) != self.slot(e):
            raise Breach("I1: the slot does not hold this key")
        end.sending = {an}

    def retire(self, end, e):
        an = int(e["an"])
        if e["digest"] == "-":
            return
        if end.slots.get(an) != self.slot(e):
            raise Breach("a key is retired that the slot does not hold")
        if end.sending == {an}:
            raise Breach("the key that is sent with is taken away")
        end.sending.discard(an)
        del end.slots[an]

    def shut(self, end, e):
        end.sending = {None}

    def sweep(self, end, e):
        an = int(e["an"])
        if end.slots.get(an) != self.slot(e) or an not in end.sending:
            raise Breach("keys are swept away for one that is not in use")
        end.slots = {an: end.slots[an]}
        end.sending = {an}

    # ---- start of a device ----

    def take_boot(self, e):
        if self.boot and (self.boot[0] != e["dev"] or int(e["an"]) in self.boot[1].get(e["iface"], {})):
            self.end_boot()
        if not self.boot:
            self.boot = (e["dev"], {})
        self.boot[1].setdefault(e["iface"], {})[int(e["an"])] = self.slot(e)

    def end_boot(self):
        if not self.boot:
            return
        (device, ifaces), self.boot = self.boot, None
        for name in {i for d, i in self.ends if d == device} | set(ifaces):
            self.restarted(self.ends.setdefault((device, name), End()), ifaces.get(name, {}))

    def restarted(self, end, slots):
        newest = max((end.slots[an][2] for an in end.sending if an in end.slots), default=-1)
        lost = {an for an in end.slots if an not in slots}
        had_key = None not in end.sending
        for an, slot in slots.items():
            if end.slots.get(an) != slot and slot[0] in end.used:
                raise Breach("I2: slot %d: a key came back" % an)
            end.used.add(slot[0])
            self.of_link.setdefault(slot[3], set())
        end.slots = slots
        end.sending = {an for an in end.sending if an is None or (an in slots and an not in lost)}
        end.sending |= {an for an, slot in slots.items() if slot[2] > newest}  # its activation may be lost
        if had_key and not end.sending:
            raise Breach("the device does not hold the key in use any more")

    # ---- I1 ----

    def common_key(self, link):
        ends = [self.ends[key] for key in sorted(self.of_link[link])]
        for a in ends:
            for b in ends:
                if a is not b and not any(self.heard(a, an, b) for an in a.sending):
                    raise Breach("I1: %s: one end sends with a key that the other does not hold" % link)
        if len(ends) == 1 and None not in ends[0].sending:
            raise Breach("I1: %s: an end sends, and the other has never had a key" % link)

    @staticmethod
    def heard(a, an, b):
        return an is None or (an in a.slots and an in b.slots and a.slots[an][0] == b.slots[an][0])

    # ---- questions of tests ----

    def count(self, op, device):
        return self.counts.get((op, device), 0)

    def sent_with(self, link):
        """{device: set of key IDs that it may send with}"""
        return {key[0]: {end.slots[an][1] for an in end.sending if an is not None}
                for key in self.of_link.get(link, ()) for end in [self.ends[key]]}
