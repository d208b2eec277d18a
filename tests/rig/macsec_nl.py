"""macsec_nl: set up and rotate kernel MACsec over netlink, without iproute2.

Python's standard library only.  A Secy belongs to one network namespace: the
sockets are opened there and keep working in it, so that one process can drive
both ends of a link.  Used by the tests; a C daemon sends the same messages.

    a = Secy("a", "macsec0")         # namespace (None: this one), device
    a.add_txsa(an, key, keyid)       # every call waits for the kernel's ACK
    a.set_encoding(an)               # raises OSError(errno) on a refusal
    a.state()                        # what the kernel holds and counts, as a dict
"""
import ctypes, os, socket, struct, sys

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK = 16
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 16, 3, 1, 2
# linux/if_macsec.h
(GET_TXSC, ADD_RXSC, DEL_RXSC, UPD_RXSC, ADD_TXSA, DEL_TXSA, UPD_TXSA,
 ADD_RXSA, DEL_RXSA, UPD_RXSA) = range(10)
A_IFINDEX, A_RXSC, A_SA, A_SECY, A_TXSA_LIST, A_RXSC_LIST, A_TXSC_STATS, A_SECY_STATS = range(1, 9)
RXSC_SCI, RXSC_ACTIVE, RXSC_SA_LIST, RXSC_STATS = range(1, 5)
SA_AN, SA_ACTIVE, SA_PN, SA_KEY, SA_KEYID, SA_STATS = range(1, 7)
IFLA_LINKINFO, IFLA_INFO_KIND, IFLA_INFO_DATA = 18, 1, 2
IFLA_MACSEC_ENCODING_SA = 6
IFLA_STATS64, RTM_GETLINK = 23, 18
NLA_F_NESTED = 0x8000
RXSC_NAMES = ("InOctetsValidated InOctetsDecrypted InPktsUnchecked InPktsDelayed InPktsOK InPktsInvalid InPktsLate "
              "InPktsNotValid InPktsNotUsingSA InPktsUnusedSA").split()
TXSC_NAMES = "OutPktsProtected OutPktsEncrypted OutOctetsProtected OutOctetsEncrypted".split()
SECY_NAMES = ("OutPktsUntagged InPktsUntagged OutPktsTooLong InPktsNoTag InPktsBadTag InPktsUnknownSCI InPktsNoSCI "
              "InPktsOverrun").split()
# Those that must stand still while keys rotate.  (InPktsUntagged is not: frames of the parent device count there.)
ERROR_NAMES = ("InPktsBadTag InPktsUnknownSCI InPktsNoSCI InPktsOverrun InPktsInvalid InPktsLate InPktsNotValid "
               "InPktsNotUsingSA InPktsUnusedSA OutPktsUntagged OutPktsTooLong tx_dropped").split()


def in_netns(name, fn):
    """Run fn() in the network namespace made by "ip netns add name"."""
    if name is None:
        return fn()
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open("/run/netns/" + name, os.O_RDONLY)
    try:
        if _libc.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns " + name)
        try:
            return fn()
        finally:
            if _libc.setns(home, CLONE_NEWNET):
                os._exit(99)
    finally:
        os.close(there)
        os.close(home)


def attr(kind, data):
    n = len(data) + 4
    return struct.pack("=HH", n, kind) + data + b"\0" * (-n % 4)


def nest(kind, *parts):
    return attr(kind | NLA_F_NESTED, b"".join(parts))


def attrs(data):
    """The attributes in data: a list of (kind, bytes)."""
    out, i = [], 0
    while i + 4 <= len(data):
        n, kind = struct.unpack_from("=HH", data, i)
        if n < 4:
            break
        out.append((kind & 0x3fff, data[i + 4:i + n]))
        i += (n + 3) & ~3
    return out


class Netlink:
    def __init__(self, proto):
        self.s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, proto)
        self.s.bind((0, 0))
        self.seq = 0

    def ask(self, kind, body, flags=0):
        """One request; the list of answers' bodies, once the kernel has ended it."""
        self.seq += 1
        dump = flags & NLM_F_DUMP
        self.s.send(struct.pack("=IHHII", 16 + len(body), kind,
                                NLM_F_REQUEST | flags | (0 if dump else NLM_F_ACK),
                                self.seq, 0) + body)
        out = []
        while True:
            data = self.s.recv(1 << 18)
            while data:
                n, k, _, seq, _ = struct.unpack_from("=IHHII", data)
                msg, data = data[16:n], data[(n + 3) & ~3:]
                if seq != self.seq:
                    continue
                if k in (NLMSG_ERROR, NLMSG_DONE):
                    err = struct.unpack_from("=i", msg)[0] if len(msg) >= 4 else 0
                    if err:
                        raise OSError(-err, os.strerror(-err))
                    return out
                out.append(msg)


class Secy:
    def __init__(self, netns, dev):
        def start():
            self.ifindex = socket.if_nametoindex(dev)
            self.genl = Netlink(16)
            self.rt = Netlink(0)
        in_netns(netns, start)
        ans = self.genl.ask(GENL_ID_CTRL, struct.pack("=BBH", CTRL_CMD_GETFAMILY, 1, 0)
                            + attr(CTRL_ATTR_FAMILY_NAME, b"macsec\0"))
        self.family = struct.unpack("=H", dict(attrs(ans[0][4:]))[CTRL_ATTR_FAMILY_ID])[0]

    def _do(self, cmd, *parts):
        self.genl.ask(self.family, struct.pack("=BBH", cmd, 1, 0)
                      + attr(A_IFINDEX, struct.pack("=I", self.ifindex)) + b"".join(parts))

    @staticmethod
    def _sa(an, key=None, keyid=None, pn=None, active=None):
        p = [attr(SA_AN, bytes([an]))]
        if active is not None: p.append(attr(SA_ACTIVE, bytes([active])))
        if pn is not None: p.append(attr(SA_PN, struct.pack("=I", pn)))
        if keyid is not None: p.append(attr(SA_KEYID, keyid.ljust(16, b"\0")))
        if key is not None: p.append(attr(SA_KEY, key))
        return nest(A_SA, *p)

    @staticmethod
    def _sc(sci, active=None):
        p = [attr(RXSC_SCI, sci)]          # 8 bytes: MAC address, port (big endian)
        if active is not None: p.append(attr(RXSC_ACTIVE, bytes([active])))
        return nest(A_RXSC, *p)

    def add_rxsc(self, sci): self._do(ADD_RXSC, self._sc(sci, 1))
    def add_rxsa(self, sci, an, key, keyid, pn=1):
        self._do(ADD_RXSA, self._sc(sci), self._sa(an, key, keyid, pn, 1))
    def add_txsa(self, an, key, keyid, pn=1):
        self._do(ADD_TXSA, self._sa(an, key, keyid, pn, 1))
    def upd_rxsa(self, sci, an, active): self._do(UPD_RXSA, self._sc(sci), self._sa(an, active=active))
    def upd_txsa(self, an, active): self._do(UPD_TXSA, self._sa(an, active=active))
    def del_rxsa(self, sci, an):            # the kernel wants the SA inactive? see rig.md
        self._do(DEL_RXSA, self._sc(sci), self._sa(an))
    def del_txsa(self, an): self._do(DEL_TXSA, self._sa(an))

    def set_encoding(self, an):
        """Which SA outgoing frames use from now on (ip link set ... encodingsa)."""
        self.rt.ask(RTM_NEWLINK, struct.pack("=BxHiII", 0, 0, self.ifindex, 0, 0)
                    + nest(IFLA_LINKINFO, attr(IFLA_INFO_KIND, b"macsec"),
                           nest(IFLA_INFO_DATA, attr(IFLA_MACSEC_ENCODING_SA, bytes([an])))))

    def _dump(self):
        for body in self.genl.ask(self.family, struct.pack("=BBH", GET_TXSC, 1, 0), NLM_F_DUMP):
            got = dict(attrs(body[4:]))
            if struct.unpack("=I", got[A_IFINDEX])[0] == self.ifindex:
                return got
        raise OSError(19, "no such MACsec device")

    @staticmethod
    def _sas(data):
        out = []
        for _, sa in attrs(data):
            a = dict(attrs(sa))
            st = dict(attrs(a.get(SA_STATS, b"")))
            out.append({"an": a[SA_AN][0], "active": bool(a[SA_ACTIVE][0]),
                        "pn": int.from_bytes(a[SA_PN], sys.byteorder), "key_id": a[SA_KEYID].hex(),
                        "packets": sum(int.from_bytes(st.get(i, b""), sys.byteorder) for i in (1, 6, 7))})
        return out

    def state(self):
        """What the kernel holds and counts: see macsec-counters."""
        d = self._dump()
        secy = dict(attrs(d[A_SECY]))
        counters = dict.fromkeys(RXSC_NAMES + TXSC_NAMES + SECY_NAMES, 0)

        def add(names, data):
            for kind, value in attrs(data):
                if 0 < kind <= len(names):
                    counters[names[kind - 1]] += int.from_bytes(value, sys.byteorder)
        add(TXSC_NAMES, d.get(A_TXSC_STATS, b""))
        add(SECY_NAMES, d.get(A_SECY_STATS, b""))
        rx = []
        for _, sc in attrs(d.get(A_RXSC_LIST, b"")):
            a = dict(attrs(sc))
            add(RXSC_NAMES, a.get(RXSC_STATS, b""))
            rx.append({"sci": a[RXSC_SCI].hex(), "sas": self._sas(a.get(RXSC_SA_LIST, b""))})
        link = self.rt.ask(RTM_GETLINK, struct.pack("=BxHiII", 0, 0, self.ifindex, 0, 0))[0]
        stats = struct.unpack_from("=8Q", dict(attrs(link[16:]))[IFLA_STATS64])
        counters["rx_dropped"], counters["tx_dropped"] = stats[6], stats[7]
        return {"sci": secy[1].hex(), "encoding_sa": secy[2][0],
                "window": int.from_bytes(secy.get(3, b""), sys.byteorder),
                "cipher": "%016x" % int.from_bytes(secy[4], sys.byteorder), "protect": secy[6][0], "replay": secy[7][0],
                "validate": secy[9][0], "encrypt": secy[10][0],
                "tx": self._sas(d.get(A_TXSA_LIST, b"")), "rx": rx, "counters": counters,
                "errors": {k: counters[k] for k in ERROR_NAMES if counters[k]}}
