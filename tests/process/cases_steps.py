# cases_steps.py - kill -9 of rekeyd at every step of a rotation, at either end: before a step is done, when it is done
# and nothing has followed, and while it waits.
#
# No list of steps is kept here: they are those that the two daemons tell of in rotations that are done and given up.
# The oracle looks all the time that what one end sends with the other holds, and that no key is installed twice.
import re
import sys

sys.dont_write_bytecode = True
import rig  # noqa: E402
from cases_rig import LINK, arm, ask, ended, kme_source, pair, rotate, run, settled  # noqa: E402
from rig import expect  # noqa: E402

STEP = re.compile(r" ev=step link=%s end=a (phase=\S+ state=\S+ act=\S+ when=\S+)$" % LINK, re.M)
LEAST = 50      # steps; there are 77 as this is written
NUMBERS_MAX = 3  # rotations that a kill may cost: the one under way, one more, and the one that is done


def set_up(w):
    pair(w, ("sim", "spool", "etsi014"), kme_source, interval="1s", drain="30ms", verify="200ms")
    w.good = {site.name: set() for site in (w.a, w.b)}
    w.bad = {site.name: set() for site in (w.a, w.b)}


def watch(w, into, until):
    """Ask for a rotation: the steps that are told of until until(seq) is true, seq being the last one before."""
    at = {site.name: len(site.log()) for site in (w.a, w.b)}
    seq = rotate(w)
    rig.wait_for(lambda: until(seq) and settled(w), "the rotation to watch", rig=w.rig)
    for site in (w.a, w.b):
        into[site.name] |= set(STEP.findall(site.log()[at[site.name]:]))


def case_steps_of_a_rotation(w):
    """the steps of a rotation that is done are known"""
    watch(w, w.good, lambda seq: settled(w, above=seq) and
          all("phase=idle state=observing" in site.log()[-5000:] for site in (w.a, w.b)))
    expect(sum(map(len, w.good.values())) >= LEAST, "%s", w.good)


def three_calls(site, device):
    """Did a rotation take three calls, all of them APPLY; one that waits for long may look at the device as well."""
    parts = [part.partition(" ev=rotated ") for part in site.log().split(" ev=begin ")[1:]]
    call = re.compile(r" ev=call inst=%s verb=(\d+) n=1 .*res=ok$" % device, re.M)
    return ["4"] * 3 in [call.findall(part[0]) for part in parts if part[1]]


def case_calls_of_a_rotation(w):
    """three calls to each device: what a call changes it reads back"""
    for site, device in ((w.a, "east"), (w.b, "west")):
        rig.wait_for(lambda: three_calls(site, device), "%s: a rotation of three calls" % device, rig=w.rig)


def case_steps_of_a_failure(w):
    """the steps of a rotation that is given up are known"""
    w.kmes.b.fault("wrong-key")
    watch(w, w.bad, lambda seq: all(site.end(LINK)["failed"] for site in (w.a, w.b)) and not w.kmes.b.fault("none"))
    for name in w.bad:
        w.bad[name] -= w.good[name]
    expect(all(w.bad.values()), "%s", w.bad)


def first_done(w, seq):
    """The number of the first rotation after that one that A did; None: there is none yet."""
    rows = w.a.ask("history", LINK, "--limit", "200")
    return min((r["seq"] for r in rows if r["event"] == "rotated" and r["seq"] > seq), default=None)


def kill_at(w, site, step, burn):
    if burn:
        w.kmes.b.fault("wrong-key")
    seq = w.a.end(LINK)["seq"]
    arm(site, step)
    ask(w)
    ended(site, -9)
    w.kmes.b.fault("none")
    w.rig.oracle.check()
    site.start()
    settled(w, above=seq)
    done = rig.wait_for(lambda: first_done(w, seq), "a rotation is done", rig=w.rig)
    expect(done <= seq + NUMBERS_MAX, "%s at %s: %d rotations were needed", site.name, step, done - seq)


def each(name, burn):
    def kill(w):
        site = w.a if name == "A" else w.b
        steps = sorted((w.bad if burn else w.good)[name])
        print("# %d steps" % len(steps))
        for step in steps:
            try:
                kill_at(w, site, step, burn)
            except AssertionError as why:
                raise rig.Failed("%s, %s: %s" % (name, step, why)) from why
    kill.__name__ = "case_kill_at_every_step_of_%s%s" % (name, "_giving_up" if burn else "")
    kill.__doc__ = "a common key at both ends, none installed twice, after at most %d rotations" % NUMBERS_MAX
    return kill


sys.exit(run([(set_up, [case_steps_of_a_rotation, case_calls_of_a_rotation, case_steps_of_a_failure,
                        each("A", False), each("B", False), each("A", True), each("B", True)])]))
