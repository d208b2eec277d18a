#!/bin/sh
# What a reader's eye stumbles over: long lines, blanks at their ends, tabs in C, files without end.
. "$top_srcdir/tests/unit/tap.sh"

each() { # each AWK-PROGRAM FIND-ARGUMENT...
    program=$1; shift
    in_tree "$@" >"$tmp/files" && [ -s "$tmp/files" ] &&
        (cd "$top_srcdir" && LC_ALL=C xargs ${AWK:-awk} \
            "$program { print FILENAME \":\" FNR \": \" \$0; bad = 1 } END { exit bad }" <"$tmp/files")
}

seen() { # seen TEXT AWK-PROGRAM
    printf '%s\n' "$1" >"$tmp/planted"
    ! ${AWK:-awk} "$2 { bad = 1 } END { exit bad }" "$tmp/planted"
}

long='length($0) > 120 && !/^\.|https?:/'
plan 7
ok "no line is longer than 120 columns" each "$long" -name '*.[ch]'
ok "no blanks at the end of a line" each '/[ \t]$/' -name '*.[ch]' -o -name '*.sh' -o -name '*.md' -o -name '*.inc' \
    -o -name '*.[358]'
ok "no tabs in C" each '/\t/' -name '*.[ch]'
ok "no file of C is longer than 800 lines, no test longer than 1000" \
    each 'FNR == (FILENAME ~ /^tests/ ? 1001 : 801)' -name '*.[ch]'
ok "every file of C says first what it is" each 'FNR == 1 && !/^\/\* [A-Za-z0-9_.-]+ - /' -name '*.[ch]'
ok "a long line is seen" seen "$(printf '%0121d' 0)" "$long"
ok "a blank at the end is seen" seen "x " '/[ \t]$/'
