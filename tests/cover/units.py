# units.py - core/model, core/sched and their unit tests, built apart from the tree: one program that runs all tests.
#
# What is built is in a temporary folder that goes with the process.  The main() of each test becomes a function of its
# own, and a small one calls them in turn and stops at the first that fails.
import glob
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile

SOURCE = os.path.abspath(os.environ.get("top_srcdir", "."))
BUILD = os.path.abspath(os.environ.get("top_builddir", "."))
COMPILE_S = PATIENCE_S = 300    # for busy machines
MEMORY_BYTES = 1 << 30


class Failed(Exception):
    pass


def skip_all(why):
    print("1..0 # SKIP " + why)
    sys.exit(0)


def run(argv, **more):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, **more)


def variable(name, default):
    """A variable of the build folder's Makefile."""
    try:
        with open(BUILD + "/Makefile") as f:
            found = re.search(r"^%s = (.*)$" % name, f.read(), re.M)
    except OSError:
        found = None
    return shlex.split(found.group(1) if found else default)


CC = shlex.split(os.environ.get("CC", "")) or ["cc"]
CFLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-include", BUILD + "/config.h", "-I" + BUILD, "-I" + SOURCE + "/include",
          "-I" + SOURCE, "-w", "-O0"]


def sources(*patterns):
    return sorted(f for p in patterns for f in glob.glob(os.path.join(SOURCE, p)))


def is_test(path):
    return path.endswith("_test.c")


def name_of(path):
    return os.path.basename(path)[:-2]


def compiled(path, obj, *flags, folder=None):
    """Compile one file; what the compiler said when it did not."""
    done = run(CC + CFLAGS + list(flags) + ["-c", path, "-o", obj], timeout=COMPILE_S, cwd=folder)
    return None if done.returncode == 0 else done.stdout


def must_compile(path, obj, *flags):
    said = compiled(path, obj, *flags)
    if said is not None:
        raise Failed("%s: %s" % (path, said))
    return obj


def link(program, objs):
    done = run(CC + ["-o", program] + objs + variable("CMOCKA_LIBS", "-lcmocka"), timeout=COMPILE_S)
    if done.returncode != 0:
        raise Failed(done.stdout)


def build_tests(folder, tests, first=()):
    """Objects of the tests, of what they share, and of a main() that runs those named first before the others."""
    cmocka = variable("CMOCKA_CFLAGS", "")
    rank = {name: i for i, name in enumerate(first)}
    mains = sorted((name_of(t) for t in tests if is_test(t)), key=lambda n: (rank.get(n, len(rank)), n))
    main = folder + "/all_tests.c"
    with open(main, "w") as f:
        f.write("".join("int %s_main();\n" % m for m in mains))
        f.write("int\nmain(int argc, char **argv)\n{\n")
        f.write("".join("    if (%s_main(argc, argv) != 0)\n        return 1;\n" % m for m in mains))
        f.write("    return 0;\n}\n")
    objs = [must_compile(main, folder + "/all_tests.o")]
    for t in tests:
        rename = ["-Dmain=%s_main" % name_of(t)] if is_test(t) else []
        objs.append(must_compile(t, "%s/%s.o" % (folder, name_of(t)), *rename, *cmocka))
    return objs


def bounded(cpu_s):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def run_tests(program, walks, cpu_s, folder):
    """Run all tests; one that takes more processor time than this is ended, and so has failed."""
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", REKEY_WALKS=str(walks))
    return run([program], env=env, cwd=folder, preexec_fn=lambda: bounded(cpu_s), timeout=PATIENCE_S)


def temp_folder():
    """Gone at the end, also when the end is a signal."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return tempfile.TemporaryDirectory(prefix="rekey-cover-")
