# coverage.py - how many lines and branches of core/model and core/sched their unit tests take: all lines, and 95 % of
# the branches, are asked for.
#
# Left out by rule: the branches of a line with rk_assert(), for no test that takes its failing side goes on.
# And the random walks are not run: they would hide what no test means to reach.
import json
import os
import re
import sys

sys.dont_write_bytecode = True
import units  # noqa: E402

LINES_PERCENT, BRANCHES_PERCENT = 100.0, 95.0
WALKS, CPU_S = 0, 60


def gcov_of_compiler():
    """The gcov of the gcc in use; exits when there is none."""
    if os.environ.get("REKEY_QUICK") == "1":
        units.skip_all("REKEY_QUICK=1")
    about = units.run(units.CC + ["--version"]).stdout
    if "Free Software Foundation" not in about:
        units.skip_all("the compiler is not gcc")
    for gcov in (re.sub(r"(gcc|cc)(-[0-9]+)?$", r"gcov\2", units.CC[0]), "gcov"):
        try:
            said = units.run([gcov, "--version"]).stdout
        except OSError:
            continue
        if re.search(r"\d+\.\d+", said).group() == re.search(r"\d+\.\d+", about.split(")", 1)[-1]).group():
            return gcov
    units.skip_all("there is no gcov of this compiler's version")


def measure(folder, gcov):
    """Run the tests; gcov's words on every object."""
    code = units.sources("core/model/*.c", "core/sched/*.c")
    base = units.sources("core/base/*.c")
    tests = units.sources("tests/unit/model_*.c", "tests/unit/sched_*.c")
    objs = units.build_tests(folder, tests)
    objs += [units.must_compile(f, "%s/base-%s.o" % (folder, units.name_of(f))) for f in base]
    for f in code:
        objs.append(units.must_compile(f, "%s/%s.o" % (folder, units.name_of(f)), "--coverage", "-g"))
    program = folder + "/all_tests"
    units.link(program, objs + ["--coverage"])
    done = units.run_tests(program, WALKS, CPU_S, folder)
    if done.returncode != 0:
        raise units.Failed(done.stdout)
    for f in code:
        said = units.run([gcov, "--branch-probabilities", "--json-format", "--stdout",
                          "%s/%s.gcda" % (folder, units.name_of(f))], cwd=folder)
        yield json.loads(said.stdout[said.stdout.index("{"):])


class File:
    def __init__(self, path):
        with open(path) as f:
            self.text = f.read().splitlines()
        self.lines = {}     # number: times
        self.branches = {}  # (number, which): times

    def add(self, line):
        n = line["line_number"]
        self.lines[n] = self.lines.get(n, 0) + line["count"]
        if "rk_assert(" in self.text[n - 1]:
            return
        for i, branch in enumerate(line["branches"]):
            self.branches[n, i] = self.branches.get((n, i), 0) + branch["count"]

    @staticmethod
    def share(times):
        return sum(1 for t in times.values() if t), len(times)


def collect(reports):
    files = {}
    for report in reports:
        for part in report["files"]:
            path = os.path.realpath(os.path.join(report["current_working_directory"], part["file"]))
            name = os.path.relpath(path, os.path.realpath(units.SOURCE))
            if not name.startswith(("core/model/", "core/sched/")):
                continue
            known = files.setdefault(name, File(path))
            for line in part["lines"]:
                known.add(line)
    return files


def percent(taken, of):
    return 100.0 * taken / of if of else 0.0


def show(files):
    """The table; the two totals in percent."""
    total = [0, 0, 0, 0]
    print("# %-28s %14s %20s" % ("", "lines", "branches"))
    for name, f in sorted(files.items()):
        row = f.share(f.lines) + f.share(f.branches)
        total = [a + b for a, b in zip(total, row)]
        print("# %-28s %6d of %5d %6d of %5d %5.1f %%" % ((name,) + row + (percent(*row[2:]) if row[3] else 100.0,)))
        for n, times in sorted(f.lines.items()):
            if not times:
                print("#   never run: %s:%d: %s" % (name, n, f.text[n - 1].strip()))
        for n in sorted({n for (n, _), times in f.branches.items() if not times and f.lines[n]}):
            left = sum(1 for (m, _), times in f.branches.items() if m == n and not times)
            print("#   %d branch%s never taken: %s:%d: %s" % (left, "es" if left > 1 else "", name, n,
                                                            f.text[n - 1].strip()))
    lines, branches = percent(*total[:2]), percent(*total[2:])
    print("# total: lines %d of %d, %.2f %%; branches %d of %d, %.2f %%" % (total[0], total[1], lines, total[2],
                                                                        total[3], branches))
    return lines, branches


def main():
    gcov = gcov_of_compiler()
    print("1..2")
    try:
        with units.temp_folder() as folder:
            lines, branches = show(collect(measure(folder, gcov)))
    except units.Failed as what:
        print("# " + str(what).replace("\n", "\n# "))
        lines = branches = 0.0
    print("%sok 1 - every line is run" % ("" if lines >= LINES_PERCENT else "not "))
    print("%sok 2 - %g %% of the branches are taken" % ("" if branches >= BRANCHES_PERCENT else "not ",
                                                      BRANCHES_PERCENT))
    return 0 if lines >= LINES_PERCENT and branches >= BRANCHES_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
