# lldp.py - how long a record takes by LLDP: two rekeyd, two real lldpd, two network namespaces.
#
# A program of its own, as it uses the rig of tests/process.  It prints "NAME VALUE" lines: milliseconds from the
# master's "staged", after which it publishes the offer, to the slave's "begin", by the two logs.
import datetime
import os
import re
import statistics
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["top_srcdir"] + "/tests/process")
import lldp_links  # noqa: E402
import rig  # noqa: E402

ROTATIONS = 200


def times(site, event):
    """Of each rotation by its number [ms]."""
    found = {}
    for line in site.log().splitlines():
        seen = re.match(r"(\S+Z) .*\bev=%s link=%s .*\bseq=(\d+) " % (event, lldp_links.LINK), line)
        if seen:
            found[int(seen[2])] = datetime.datetime.fromisoformat(seen[1].replace("Z", "+00:00")).timestamp() * 1000
    return found


def main():
    os.umask(0o077)
    lldp_links.KEYS = ROTATIONS + 20
    w = rig.World(lldp_links.set_up)
    try:
        w.set_up(w)
        lldp_links.rotate(w, ROTATIONS)
        said, heard = times(w.a, "staged"), times(w.b, "begin")
        took = sorted(heard[seq] - said[seq] for seq in said if seq in heard and seq > 1)  # not the start
        print("rotations", len(took))
        print("p50", "%.0f" % statistics.median(took))
        print("p99", "%.0f" % took[len(took) * 99 // 100])
        print("most", "%.0f" % took[-1])
    except rig.Skip as why:
        print("skip", why)
    finally:
        w.close()


main()
