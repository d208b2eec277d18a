# mutate.py - do the unit tests of core/model notice small mistakes in it: 80 % at least.
#
# usage: mutate.py [--sample N] [--seed N] [--jobs N] [--file PART]
#   --sample N   so many, drawn by --seed; 0: all.  Without it: 60, or all when REKEY_LONG=1 is in the environment
#   --file PART  only of files whose name has PART in it
#
# A mutant is one small change of one file of core/model (mutants.py).  It counts when it compiles, and does not compile
# to the same code as the original.  It is found when a test fails, crashes, or takes ten times the processor time that
# it should.  The tests are those in tests/unit; of the random walks a few are run.
import argparse
import math
import os
import random
import resource
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
import units  # noqa: E402
from mutants import mutants  # noqa: E402

PERCENT = 80.0
SAMPLE, SEED, JOBS, WALKS = 60, 3, 2, 60
CPU_S, TIMES_AS_LONG, LEAST_S = 60, 10, 2
FIRST = ("model_record_test", "model_end_test", "model_peer_test")  # the most for the least time; the walks last
LAST = "model_walk_test"
MODEL = "core/model"


class Rig:
    """The tests as objects, the model as objects, and the time that all takes when nothing is wrong."""

    def __init__(self, folder):
        self.folder = folder
        tests = units.sources("tests/unit/model_*.c", "tests/unit/sched_pace_test.c")
        names = [units.name_of(t) for t in tests if units.is_test(t)]
        order = list(FIRST) + sorted(n for n in names if n not in FIRST and n != LAST)
        self.others = units.build_tests(folder, tests, order)
        for f in units.sources("core/base/*.c", "core/sched/bucket.c"):
            self.others.append(units.must_compile(f, "%s/base-%s.o" % (folder, units.name_of(f))))
        self.model = {f: units.must_compile(f, "%s/%s.o" % (folder, units.name_of(f)))
                      for f in units.sources(MODEL + "/*.c")}
        self.measure()

    def measure(self):
        program = self.folder + "/good"
        units.link(program, self.others + list(self.model.values()))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = units.run_tests(program, WALKS, CPU_S, self.folder)
        if done.returncode != 0:
            raise units.Failed(done.stdout)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        used_s = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        self.cpu_s = max(math.ceil(TIMES_AS_LONG * used_s), LEAST_S)

    def compiled(self, path, text, folder, obj, *flags):
        """A copy, in a folder of its own; it finds its headers, and its object code has no other name in it."""
        os.makedirs(folder, exist_ok=True)
        name = os.path.basename(path)
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
        return units.compiled(name, obj, "-iquote", os.path.dirname(path), *flags, folder=folder) is None

    def optimized(self, path, text, folder):
        if not self.compiled(path, text, folder, "optimized.o", "-O2"):
            return None
        with open(folder + "/optimized.o", "rb") as f:
            return f.read()

    def verdict(self, number, path, text, mutant):
        folder = "%s/%d" % (self.folder, number)
        try:
            return self.verdict_in(folder, path, text, mutant)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def verdict_in(self, folder, path, text, mutant):
        """"found", "lives", "same" or "invalid"."""
        changed = mutant.apply(text)
        obj, program = folder + "/mutant.o", folder + "/all_tests"
        if not self.compiled(path, changed, folder, obj):
            return "invalid"
        units.link(program, self.others + [o for f, o in self.model.items() if f != path] + [obj])
        if units.run_tests(program, WALKS, self.cpu_s, folder).returncode != 0:
            return "found"
        as_it_was = self.optimized(path, text, folder)
        return "same" if self.optimized(path, changed, folder) == as_it_was else "lives"


def all_mutants(part):
    for path in units.sources(MODEL + "/*.c"):
        if part not in path:
            continue
        with open(path) as f:
            text = f.read()
        for mutant in mutants(text):
            yield path, text, mutant


def place(path, text, mutant):
    return "%s:%d: %s" % (os.path.relpath(path, units.SOURCE), text.count("\n", 0, mutant.at) + 1, mutant.what)


def tell(drawn, verdicts):
    """Survivors, each file's score, the total; the score in percent."""
    files = {}
    for (path, text, mutant), verdict in zip(drawn, verdicts):
        files.setdefault(path, []).append(verdict)
        if verdict == "lives":
            print("#   lives: %s" % place(path, text, mutant))
    for path, its in files.items():
        print("# %-28s %4d of %4d found" % (os.path.relpath(path, units.SOURCE), its.count("found"),
                                           its.count("found") + its.count("lives")))
    found, lives = verdicts.count("found"), verdicts.count("lives")
    score = 100.0 * found / (found + lives) if found + lives else 0.0
    print("# total: %d mutants, %d that do not compile, %d the same code; of %d others %d found: %.1f %%"
          % (len(verdicts), verdicts.count("invalid"), verdicts.count("same"), found + lives, found, score))
    return score


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sample", type=int, default=0 if os.environ.get("REKEY_LONG") == "1" else SAMPLE)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--file", default="")
    return parser.parse_args()


SNIPPET = """int
f(struct rk_end *e, int a)
{
    int b = a * 2; /* a < b, in words */

    switch (a) {
    case 7:
        call("a && b", a);
        break;
    }
    e->n += b++;
    if (!a || e->ok)
        return true;
    return a ? b : -1;
}
"""
PLANTED = """* -> /
* -> /
2 -> 3
2 -> 1
without case 7:
7 -> 8
7 -> 6
without call("a && b", a);
without break;
without e->n += b++;
+= -> -=
+= -> =
++ -> --
!a || e->ok -> !(!a || e->ok)
without !
|| -> &&
true -> false
a ? b : -1 -> 0
a -> !(a)
1 -> 2
1 -> 0"""


def planted():
    """Each kind of mistake is made, at each place once (also at the star of a pointer: that does not compile); texts
    and comments stay."""
    made = "\n".join(m.what for m in mutants(SNIPPET))
    return sorted(made.splitlines()) == sorted(PLANTED.splitlines()), made


def score_of(args):
    drawn = list(all_mutants(args.file))
    if 0 < args.sample < len(drawn):
        chosen = random.Random(args.seed).sample(range(len(drawn)), args.sample)
        drawn = [drawn[i] for i in sorted(chosen)]
    with units.temp_folder() as folder:
        rig = Rig(folder)
        with ThreadPoolExecutor(args.jobs) as pool:
            verdicts = list(pool.map(lambda n: rig.verdict(n, *drawn[n]), range(len(drawn))))
    return tell(drawn, verdicts)


def ok(number, good, name):
    print("%sok %d - %s" % ("" if good else "not ", number, name))
    return good


def main():
    args = arguments()
    if os.environ.get("REKEY_QUICK") == "1":
        units.skip_all("REKEY_QUICK=1")
    good, made = planted()
    print("1..2")
    if not ok(1, good, "each kind of mistake is planted"):
        print("# " + made.replace("\n", "\n# "))
    try:
        score = score_of(args)
    except units.Failed as what:
        print("# " + str(what).replace("\n", "\n# "))
        score = 0.0
    good &= ok(2, score >= PERCENT, "%g %% of the mutants are found" % PERCENT)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
