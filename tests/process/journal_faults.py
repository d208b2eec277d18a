# journal_faults.py - the disk of one site fails, fills up or decays while links rotate.  No crash, nothing new is begun
# without its entry, the alarm is raised at once, the old key stays, and all goes on by itself when the fault has gone.
import datetime
import glob
import os
import re
import shutil
import sqlite3
import subprocess
import sys

sys.dont_write_bytecode = True
import journal_rows  # noqa: E402
import rig  # noqa: E402
from rig import expect  # noqa: E402

LINK = "link-1"
QUIET = "quiet"  # a link that is not due during the test, but for a moment of 30 days: only damage can rotate it

# Fails calls on the journal's files while the flag file says so: "fsync EIO", "write EROFS", "all EIO".
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int
fails(int fd, const char *kind)
{
    static const struct { const char *name; int number; } errors[] = {{"EIO", EIO}, {"EROFS", EROFS}, {"ENOSPC", ENOSPC}};
    const char *flag = getenv("REKEY_TEST_FAULT");
    char link[64], path[512] = "", text[64] = "", what[32], error[32];
    int in, saved = errno;
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (!flag || n <= 0 || !strstr(path, "/journal.db") || (in = open(flag, O_RDONLY | O_CLOEXEC)) < 0) {
        errno = saved;
        return 0;
    }
    n = read(in, text, sizeof text - 1);
    close(in);
    errno = saved;
    if (sscanf(text, "%31s %31s", what, error) != 2 || (strcmp(what, kind) != 0 && strcmp(what, "all") != 0))
        return 0;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strcmp(errors[i].name, error) == 0)
            errno = errors[i].number;
    return 1;
}

int fsync(int fd) { return fails(fd, "fsync") ? -1 : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return fails(fd, "fsync") ? -1 : (int)syscall(SYS_fdatasync, fd); }

ssize_t
pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    return fails(fd, "write") ? -1 : syscall(SYS_pwrite64, fd, bytes, n, at);
}

ssize_t
pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    return fails(fd, "write") ? -1 : syscall(SYS_pwrite64, fd, bytes, n, at);
}

ssize_t
pread64(int fd, void *bytes, size_t n, off64_t at)
{
    return fails(fd, "read") ? -1 : syscall(SYS_pread64, fd, bytes, n, at);
}

ssize_t
pread(int fd, void *bytes, size_t n, off_t at)
{
    return fails(fd, "read") ? -1 : syscall(SYS_pread64, fd, bytes, n, at);
}
"""


def make_shim(w):
    cc = os.environ.get("CC", "cc").split()
    rig.need(cc[0])
    source = rig.write(w.rig.dir + "/shim.c", SHIM)
    w.shim = w.rig.dir + "/shim.so"
    done = subprocess.run([*cc, "-O1", "-fPIC", "-shared", "-o", w.shim, source], capture_output=True, text=True)
    expect(done.returncode == 0, "the shim: %s", done.stderr)
    w.flag = w.rig.dir + "/fault"


def start(w, site):
    """With the shim, under its own process ID."""
    argv = ["env", "LD_PRELOAD=" + w.shim, "REKEY_TEST_FAULT=" + w.flag, *site.argv()]
    if os.environ.get("ASAN_OPTIONS") or "sanitize" in os.environ.get("CC", ""):
        argv.insert(1, "ASAN_OPTIONS=%s:verify_asan_link_order=0" % os.environ.get("ASAN_OPTIONS", ""))
    site.process = rig.Process(w.rig, "rekeyd " + site.name, argv, site.log_file)
    rig.wait_for(lambda: site.status(quiet=True), "%s answers" % site.name, rig=w.rig)


def set_up(w):
    w.rig = rig.Rig()
    make_shim(w)
    w.a, w.b = w.rig.pair()
    for site, other in ((w.a, w.b), (w.b, w.a)):
        device = list(site.conf["devices"])[0]
        site.conf["defaults"].update(interval="500ms", drain="50ms")
        site.link(QUIET, device=device, interface="port9", source="keys", channel="box", interval="30d",
                  **{"peer-sae": other.sae})
        site.save()
    start(w, w.a)
    w.b.start()
    w.journal = w.a.state_dir + "/journal.db"
    for site in (w.a, w.b):
        site.wait_end(LINK, lambda e: e["rotations"] >= 1, "a rotation")
        site.wait_end(QUIET, lambda e: e["rotations"] >= 1 and e["phase"] == "idle", "the first rotation")
    w.quiet = {site.name: (site.end(QUIET)["seq"], site.end(QUIET)["key_id"]) for site in (w.a, w.b)}


def quiet_stays(w):
    for site in (w.a, w.b):
        row = site.end(QUIET)
        expect((row["seq"], row["key_id"]) == w.quiet[site.name], "%s: the quiet link changed: %s", site.name, row)


def goes_on(w, more=2):
    for site in (w.a, w.b):
        site.wait_alarm(LINK, "JOURNAL", on=False)
        site.wait_rotations(LINK, more)
    expect(w.a.status()["daemon"]["journal"] == "ok", "%s", w.a.status()["daemon"])
    quiet_stays(w)
    w.rig.still_well()


def first_time(text, pattern):
    """When the first line of a log that is so was written [s]; None."""
    for line in text.splitlines():
        if re.search(pattern, line):
            stamp = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line)
            expect(stamp, "no time in %s", line)
            return datetime.datetime.fromisoformat(stamp.group()[:-1]).timestamp()
    return None


def alarm_at_once(site, at):
    """The alarm came within a second of the first entry that failed, and it is in the status."""
    site.wait_alarm(LINK, "JOURNAL")
    raised = r"ev=alarm link=%s end=a alarm=JOURNAL state=raised" % LINK
    site.wait_log(raised, after=at)
    log = site.log()[at:]
    failed = first_time(log, r"ev=journal res=(io|unsafe) ")
    expect(failed is not None and 0 <= first_time(log, raised) - failed < 1, "the alarm came late: %s", log[-3000:])


def touched(w):
    """What was done to the device of A, and what it sends with.  B may still end the rotation that is going on."""
    w.rig.oracle.check()
    return [w.rig.oracle.count(op, "east") for op in ("activate", "stage")], w.rig.oracle.sent_with(LINK)["east"]


def nothing_rotates(w, says, at):
    alarm_at_once(w.a, at)
    wrong = w.a.status()["daemon"]["journal"]
    expect("journal.db" in wrong and re.search(says, wrong), "%s", wrong)
    before, row = touched(w), w.a.end(LINK)
    rig.wait_for(lambda: w.a.end(LINK)["key_age_ms"] > 1500, "three intervals have passed", rig=w.rig)
    after = touched(w)
    expect(w.a.end(LINK)["key_id"] == row["key_id"] and w.a.end(LINK)["rotations"] == row["rotations"],
           "it rotated although the journal cannot be written")
    expect(after == before, "the device was changed: %s, %s", before, after)


def failing_disk(fault, says, read=False):
    """read: what cannot be read is damaged, as SQLite sees it: then a new journal is begun when that can be."""
    def run(w):
        at = len(w.a.log())
        rig.write(w.flag, fault + "\n")
        try:
            nothing_rotates(w, says, at)
        finally:
            os.unlink(w.flag)
        goes_on(w)
        w.a.wait_log('ev=journal res=ok note="it can be written again"', after=at)
        expect(read or not glob.glob(w.journal + ".damaged-*"), "what cannot be written was taken for damaged")
        expect(rows_of(w)[QUIET, "a"] == w.quiet["A"][0], "the state of the quiet link is not in it: %s", rows_of(w))
    return run


def killed_while_failing(w):
    """Killed with the fault on, started without it: what was durable is there."""
    rig.write(w.flag, "fsync EIO\n")
    w.a.wait_alarm(LINK, "JOURNAL")
    w.a.kill()
    os.unlink(w.flag)
    start(w, w.a)
    goes_on(w)


def read_only_at_start(w):
    """A read-only file system is no damage either: said, and nothing is started."""
    if os.geteuid() != 0:
        raise rig.Skip("only root can mount a small file system")
    rig.need("unshare")
    w.a.stop()
    script = ('mount -t tmpfs -o size=16m,mode=700 none "$2" && cp -a "$1"/. "$2" && mount -o remount,ro "$2" && '
              'mount --bind "$2" "$1" && shift 2 && exec "$@"')
    other = w.rig.dir + "/read-only"
    os.mkdir(other)
    argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", w.a.state_dir, other, *w.a.argv()]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=rig.PATIENCE_S)
    start(w, w.a)
    if "mount:" in done.stderr:
        raise rig.Skip("it cannot be mounted here: %s" % done.stderr.strip())
    expect(done.returncode == 3 and "read-only" in done.stderr, "%d: %s", done.returncode, done.stderr)
    goes_on(w)


# ---- damage ----

def damaged_at_start(harm):
    def run(w):
        before = len(glob.glob(w.journal + ".damaged-*[0-9]"))
        # Between two rotations: a key that only the lost journal knew stays on the device, and takes one of four slots.
        for site in (w.b, w.a):
            site.wait_end(LINK, lambda e: e["phase"] == "idle" and e["key_age_ms"] < 300, "a rotation has just ended")
        w.a.kill()
        harm(w)
        at = len(w.a.log())
        start(w, w.a)
        found = w.a.wait_log(r"ev=journal-aside file=(\S+) aside=(\S+) ", after=at)
        expect(found.group(1) == w.journal and found.group(2).startswith(w.journal + ".damaged-"), "%s", found.group())
        expect(os.path.exists(found.group(2)), "%s is not kept", found.group(2))
        expect("ev=journal res=unsafe" in w.a.log()[at:], "the damage is not said")
        kept = len(glob.glob(w.journal + ".damaged-*[0-9]"))
        expect(kept == min(3, before + 1), "%d are kept", kept)
        for site in (w.a, w.b):
            site.wait_rotations(LINK, 2)
            row = site.wait_end(QUIET, lambda e: e["key_id"] and e["phase"] == "idle", "a key is in use")
            w.quiet[site.name] = (row["seq"], row["key_id"])
        expect(w.quiet["A"][1] == w.quiet["B"][1], "the quiet link has no common key: %s", w.quiet)
        goes_on(w)
    return run


def no_database(w):
    os.truncate(w.journal, 0)
    for suffix in ("", "-wal"):
        rig.write(w.journal + suffix, os.urandom(9000))


def bad_pages(w):
    """Fold the log in, then write over all but the first page."""
    with sqlite3.connect(w.journal) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    size = os.path.getsize(w.journal)
    with open(w.journal, "r+b") as f:
        f.seek(4096)
        f.write(os.urandom(size - 4096))


def rows_of(w):
    """What a copy of the journal says: {(link, end): seq}"""
    for suffix in ("", "-wal"):
        shutil.copy(w.journal + suffix, w.rig.dir + "/copy.db" + suffix)
    return {whose: state["seq"] for whose, state in journal_rows.states(w.rig.dir + "/copy.db").items()}


def gone_while_running(harm):
    """What all ends remember is in the new one before any of them goes on: also of the link that has nothing to do."""
    def run(w):
        at = len(w.a.log())
        before = w.a.end(LINK)
        harm(w)
        alarm_at_once(w.a, at)
        w.a.wait_log(r"ev=journal-aside file=%s " % re.escape(w.journal), after=at)
        goes_on(w)
        rows = rows_of(w)
        expect(rows[LINK, "a"] > before["seq"] and rows[QUIET, "a"] == w.quiet["A"][0], "%s", rows)
        w.a.kill()
        start(w, w.a)
        quiet_stays(w)
        goes_on(w)
        expect(w.a.end(LINK)["seq"] > before["seq"], "it went back")
    return run


def delete(w):
    os.unlink(w.journal)


def delete_all(w):
    for path in glob.glob(w.a.state_dir + "/*"):
        if os.path.isfile(path):
            os.unlink(path)


def delete_folder(w):
    shutil.rmtree(w.a.state_dir)


def replace(w):
    """By an older one, as when someone restores a backup."""
    shutil.copy(w.journal, w.journal + ".backup")
    os.rename(w.journal + ".backup", w.journal)


def main():
    w = rig.World(set_up)
    cases = [(name, w.case(function)) for name, function in (
        ("fsync fails", failing_disk("fsync EIO", "I/O|Input/output")),
        ("the disk is full", failing_disk("write ENOSPC", "disk full")),
        ("the file system turns read-only", failing_disk("write EROFS", "Read-only")),
        ("nothing can be read or written", failing_disk("all EIO", "I/O|Input/output|damaged", read=True)),
        ("killed while fsync fails", killed_while_failing),
        ("a read-only file system at the start", read_only_at_start),
        ("the journal is deleted", gone_while_running(delete)),
        ("the journal and its log are deleted", gone_while_running(delete_all)),
        ("the state folder is deleted", gone_while_running(delete_folder)),
        ("the journal is replaced by an older one", gone_while_running(replace)),
        ("no database at the start", damaged_at_start(no_database)),
        ("bad pages at the start", damaged_at_start(bad_pages)),
        ("no database again", damaged_at_start(no_database)),
        ("and again: three are kept", damaged_at_start(no_database)),
    )]
    cases.append(("all ends well", w.last_case()))
    try:
        return rig.run_cases(cases)
    finally:
        w.close()


sys.exit(main())
