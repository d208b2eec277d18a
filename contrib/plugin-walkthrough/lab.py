#!/usr/bin/env python3
"""lab.py DIR - two Tarn switches for trying the plugin, east and west, joined by a cable between their ports port0

Each is a real sshd, whose command line is tarn-cli, on a port of 127.0.0.1 of its own.  When they can be logged in to
"ready EAST-PORT WEST-PORT USER" is printed.  DIR is made; DIR/id is the private key that they let in, DIR/known_hosts
has their host keys, DIR/east and DIR/west what they keep.  Ends with its standard input.  Exit code 77: there can be no
sshd here.
"""
import os
import pwd
import selectors
import shutil
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
USER = pwd.getpwuid(os.getuid()).pw_name
PRIVSEP_DIR = "/run/sshd"
CONFIG = """HostKey {dir}/host_key
AuthorizedKeysFile {dir}/id.pub
ForceCommand /bin/sh {here}/tarn-cli
# SHLVL: whoever has bash as shell would wait for its .bashrc at each login
SetEnv SHLVL=1 TARN_DIR={dir}/{name} TARN_PEER={dir}/{peer}
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitTTY no
PermitUserRC no
PrintMotd no
PrintLastLog no
LogLevel ERROR
"""


def cannot(why):
    print("lab.py: " + why, file=sys.stderr)
    sys.exit(77)


def find_sshd():
    path = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    if not path or not shutil.which("ssh-keygen") or not shutil.which("ssh"):
        cannot("OpenSSH's server and client are not installed")
    return os.path.realpath(path)


def separate_privileges():
    """What the package's service does before it starts sshd as root; others may use the folder by now, so it stays."""
    if os.getuid() != 0:
        return
    try:
        pwd.getpwnam("sshd")
    except KeyError:
        cannot("there is no user sshd, which an sshd of root needs")
    try:
        os.mkdir(PRIVSEP_DIR)
        os.chmod(PRIVSEP_DIR, 0o755)
    except FileExistsError:
        pass


class Switch:
    def __init__(self, folder, name, peer):
        self.folder, self.name = folder, name
        os.mkdir(folder + "/" + name)
        with open("%s/%s.conf" % (folder, name), "w") as f:
            f.write(CONFIG.format(dir=folder, here=HERE, name=name, peer=peer))
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(60)
        self.port = self.server.getsockname()[1]
        self.log = open("%s/%s.log" % (folder, name), "ab")

    def take(self, sshd):
        with self.server.accept()[0] as client:
            argv = [sshd, "-i", "-e", "-f", "%s/%s.conf" % (self.folder, self.name)]
            return subprocess.Popen(argv, stdin=client, stdout=client, stderr=self.log)

    def first_login(self, sshd):
        """As a person would, who wants to know whether it works."""
        argv = ["ssh", "-F", "none", "-T", "-i", self.folder + "/id", "-p", str(self.port), "-o", "BatchMode=yes", "-o",
                "UserKnownHostsFile=%s/known_hosts" % self.folder, "-o", "ConnectTimeout=20", USER + "@127.0.0.1"]
        person = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True)
        session = self.take(sshd)
        said, why = person.communicate("exit\n", timeout=60)
        session.wait()
        if person.returncode == 255:
            cannot("sshd lets nobody in: " + " ".join(why.split()))
        if "tarn> " not in said:
            sys.exit("lab.py: tarn-cli does not start: " + why)


def make_keys(folder):
    for name in ("id", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", "%s/%s" % (folder, name)],
                       stdin=subprocess.DEVNULL, check=True)


def run(sshd, switches):
    ways, sessions = selectors.DefaultSelector(), []
    ways.register(sys.stdin, selectors.EVENT_READ)
    for switch in switches:
        ways.register(switch.server, selectors.EVENT_READ, switch)
    try:
        while True:
            for key, _ in ways.select():
                if not key.data:
                    return
                sessions = [s for s in sessions if s.poll() is None] + [key.data.take(sshd)]
    finally:
        for session in sessions:
            session.terminate()
            session.wait()


def main(folder):
    sshd = find_sshd()
    os.umask(0o077)
    os.mkdir(folder)
    folder = os.path.realpath(folder)
    separate_privileges()
    make_keys(folder)
    switches = [Switch(folder, "east", "west"), Switch(folder, "west", "east")]
    with open(folder + "/host_key.pub") as f, open(folder + "/known_hosts", "w") as known:
        key = " ".join(f.read().split()[:2])
        known.writelines("[127.0.0.1]:%d %s\n" % (switch.port, key) for switch in switches)
    switches[0].first_login(sshd)
    print("ready %d %d %s" % (switches[0].port, switches[1].port, USER), flush=True)
    run(sshd, switches)


main(sys.argv[1])
