# lldp_rig.py - two network namespaces that a veth pair joins, a real lldpd in each, and an attacker on the wire.
#
# All of it is made for one test and is gone at its end.  lldpd and its socket belong to the user _lldpd; the test takes
# the group of that name, as the unit of rekeyd is to have it, and what it starts inherits it.
import grp
import os
import re
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from rig import expect, need  # noqa: E402

CHROOT = "/run/lldpd"  # of every lldpd
LLDPD = "/usr/sbin/lldpd"
TO = bytes.fromhex("0180c200000e")
ETH_LLDP = b"\x88\xcc"


def run(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="backslashreplace", timeout=rig.PATIENCE_S)


class Lldp:
    """Ports rkpa and rkpb, each with its lldpd."""

    def __init__(self, r):
        self.rig, self.ns, self.daemons = r, {}, {}
        if os.geteuid() != 0:
            raise rig.Skip("needs root, for network namespaces")
        need("ip")
        need("lldpcli")
        if not os.access(LLDPD, os.X_OK):
            raise rig.Skip("lldpd is not installed")
        try:
            os.setgroups([grp.getgrnam("_lldpd").gr_gid])
        except KeyError:
            raise rig.Skip("there is no group _lldpd")
        os.makedirs(CHROOT, mode=0o755, exist_ok=True)
        os.chmod(r.dir, 0o755)  # lldpcli is another user there
        self.sockets = r.dir + "/lldpd"
        os.mkdir(self.sockets)
        os.chmod(self.sockets, 0o755)
        try:
            self.make()
        except BaseException:
            self.close()
            raise

    def make(self):
        for end in "ab":
            self.ns[end] = "rklldp-%d%s" % (os.getpid(), end)
            if run("ip", "netns", "add", self.ns[end]).returncode:
                self.ns.pop(end)
                raise rig.Skip("no network namespaces to be had")
        done = run("ip", "link", "add", "rkpa", "netns", self.ns["a"], "type", "veth", "peer", "name", "rkpb", "netns",
                   self.ns["b"])
        if done.returncode:
            raise rig.Skip("no veth to be had: %s" % done.stderr.strip())
        for end in "ab":
            run("ip", "-n", self.ns[end], "link", "set", "lo", "up")
            run("ip", "-n", self.ns[end], "link", "set", self.port(end), "up")
        for end in "ab":
            self.start(end)
        self.meet()

    def port(self, end):
        return "rkp" + end

    def socket(self, end):
        return "%s/%s.sock" % (self.sockets, end)

    def cli(self, end, *words):
        return run("lldpcli", "-u", self.socket(end), *words)

    def start(self, end):
        self.daemons[end] = rig.Process(
            self.rig, "lldpd " + end, ["ip", "netns", "exec", self.ns[end], LLDPD, "-d", "-u", self.socket(end), "-I",
                                       self.port(end), "-C", self.port(end), "-O", "/dev/null", "-S", "sim " + end],
            "%s/%s.log" % (self.sockets, end))
        rig.wait_for(lambda: self.cli(end, "show", "configuration").returncode == 0, "lldpd %s answers" % end)

    def stop(self, end):
        """It says goodbye on the wire, as it does on a restart."""
        process = self.daemons.pop(end)
        process.expected_end = True
        process.popen.terminate()
        process.popen.wait(rig.PATIENCE_S)
        self.rig.processes.remove(process)
        if os.path.exists(self.socket(end)):
            os.unlink(self.socket(end))

    def neighbours(self, end):
        """Whom lldpd of that end hears: a row of chassis.mac, port.mac, port.descr each."""
        text = self.cli(end, "-f", "keyvalue", "show", "neighbors").stdout
        rows = []
        for key, value in re.findall(r"^lldp\.\S+?\.(chassis\.mac|port\.mac|port\.descr)=(.*)$", text, re.M):
            if key == "chassis.mac":
                rows.append({"port.mac": "", "port.descr": ""})
            rows[-1][key] = value
        return rows

    def texts(self, end):
        """What is heard there."""
        return [row["port.descr"] for row in self.neighbours(end)]

    def meet(self):
        """A frame from before the other one listened is lost, and the next one is due in half a minute."""
        def met():
            for end in "ab":
                self.cli(end, "update")
            return all(self.neighbours(end) for end in "ab")
        rig.wait_for(met, "the two lldpd hear each other")

    def close(self):
        for end in list(self.daemons):
            self.stop(end)
        for ns in self.ns.values():
            run("ip", "netns", "del", ns)
        self.ns = {}

    def attack(self, end, frames, times=1, gap_s=0.0):
        """Send these from that end's port, over and over, as somebody on the wire does.  Returns a process."""
        path = "%s/frames-%s" % (self.sockets, os.urandom(4).hex())
        with open(path, "w") as f:
            f.writelines(frame.hex() + "\n" for frame in frames)
        return subprocess.Popen(["ip", "netns", "exec", self.ns[end], sys.executable, os.path.abspath(__file__),
                                 self.port(end), path, str(times), str(gap_s)], stdin=subprocess.DEVNULL)

    def send(self, end, *frames):
        expect(self.attack(end, frames).wait(rig.PATIENCE_S) == 0, "the frames cannot be sent")

    def identity(self, end):
        """Chassis and port of that end, as the other one hears them, when nobody else is there."""
        seen = self.neighbours("b" if end == "a" else "a")
        expect(len(seen) == 1, "not one neighbour: %s", seen)
        return tuple(bytes.fromhex(seen[0][key].replace(":", "")) for key in ("chassis.mac", "port.mac"))


def tlv(kind, value):
    return struct.pack(">H", kind << 9 | len(value)) + value


def frame(chassis, port, text, ttl=120, tail=b"", end=True):
    """An LLDPDU; text are the bytes of the port description, up to 511."""
    pdu = tlv(1, b"\x04" + chassis) + tlv(2, b"\x03" + port) + tlv(3, struct.pack(">H", ttl)) + tlv(4, text) + tail
    return TO + chassis + ETH_LLDP + pdu + (tlv(0, b"") if end else b"")


def main(port, path, times, gap_s):
    """The attacker, in the namespace."""
    import socket
    import time
    with open(path) as f:
        frames = [bytes.fromhex(line.strip()) for line in f]
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((port, 0))
    for _ in range(int(times)):
        for data in frames:
            s.send(data)
            if float(gap_s):
                time.sleep(float(gap_s))


if __name__ == "__main__":
    main(*sys.argv[1:])
