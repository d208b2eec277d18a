# journal_rows.py - what a journal says of its ends, read without rekeyd: of a file, or a copy, that nothing has open.
import contextlib
import sqlite3

NUMBERS = ("role", "phase", "term", "seq", "floor", "cur_seq", "prev_seq", "cur_since_ms", "cur_boot", "cur_boot_ns",
           "flags", "start_ms")
TEXTS = ("cur", "prev", "cand", "mine", "theirs")


def number(packed, at):
    """Seven bits a byte, the lowest first; ret: it, and where the next one is."""
    value, shift = 0, 0
    while True:
        byte = packed[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def state(packed):
    """Members of a packed state; its check value is not looked at."""
    found, at = {}, 1
    if packed[0] != 1:
        raise ValueError("form %d" % packed[0])
    for name in NUMBERS:
        found[name], at = number(packed, at)
    for name in TEXTS:
        end = at + 1 + packed[at]
        found[name], at = packed[at + 1:end].decode(), end
    if at + 8 != len(packed):
        raise ValueError("%d bytes, not %d" % (len(packed), at + 8))
    return found


def states(path):
    """{(link, end): its state} of all ends that have one."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT link, end, state FROM links JOIN states USING(no) WHERE state<>x''")
        return {(link, end): state(packed) for link, end, packed in rows}
