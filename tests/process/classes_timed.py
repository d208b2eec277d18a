# classes_timed.py - as classes.py, for the pairs with class D: a key begins at a time that both ends were told, so that
# a rotation takes seconds.
import sys

sys.dont_write_bytecode = True
from classes import LINK, device, rotates, run  # noqa: E402
from rig import expect  # noqa: E402

TIMED = {"interval": "6s", "start-lead": "4s"}


def clock_off(w):
    """nothing is begun while the device's clock is off; a time zone is no such thing"""
    w.a.stop()
    device(w.a, "east", "d", **{"clock-offset": 5000})
    w.a.save()
    w.a.start()
    row = w.a.wait_alarm(LINK, "CLOCK-SKEW")
    w.b.wait_alarm(LINK, "DUE")
    expect(w.a.end(LINK)["seq"] == row["seq"], "a rotation was begun: %s", row)
    w.a.stop()
    device(w.a, "east", "d", **{"clock-offset": 100, "time-zone": -330})
    w.a.save()
    w.a.start()
    rotates(w)


sys.exit(run([("dd", TIMED, [rotates, clock_off]), ("bd", TIMED, [rotates]), ("dc", TIMED, [rotates])]))
