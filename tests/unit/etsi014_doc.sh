#!/bin/sh
# The table of doc/etsi014.md: each row names tests; they are there, they ran, and none of the table's own programs has
# one that is in no row.
. "$top_srcdir/tests/unit/tap.sh"
doc=$top_srcdir/doc/etsi014.md

# "program name" for each test that the table names; "LINE -" for a row without one.
named() { # named FILE
    ${AWK:-awk} -F'|' '
        /^## / { table = 1 }
        !table || !/^\|/ || /^\|---/ || /^\| behaviour / { next }
        {
            cell = $(NF - 1); program = ""; any = 0
            while (match(cell, /`[^`]*`:?/)) {
                word = substr(cell, RSTART, RLENGTH); cell = substr(cell, RSTART + RLENGTH)
                is_program = word ~ /:$/; gsub(/[`:]/, "", word)
                if (is_program) program = word
                else { print program, word; any = 1 }
            }
            if (!any || program == "") print FNR, "-"
        }' "$1"
}

source_of() { # source_of PROGRAM
    find "$top_srcdir/tests" \( -name "$1" -o -name "$1.c" \) | head -n 1
}

# Tests of a source: TEST(name), cmocka_unit_test(name), def name.
tests_of() { # tests_of FILE
    grep -oE 'TEST\([a-z_0-9]+|cmocka_unit_test[a-z_]*\([a-z_0-9]+|^def [a-z_0-9]+' "$1" | sed 's/.*[( ]//' | grep -v '^f$'
}

rows_name_tests() { # rows_name_tests FILE
    named "$1" >"$tmp/named" && [ -s "$tmp/named" ] || { echo "no row"; return 1; }
    ! grep ' -$' "$tmp/named"
}

names_are_there() { # names_are_there FILE
    named "$1" | sort -u >"$tmp/named"
    bad=0
    while read -r program one; do
        file=$(source_of "$program")
        if [ -z "$file" ] || ! tests_of "$file" | grep -qx "$one"; then
            echo "$program: no test $one"; bad=1
        fi
    done <"$tmp/named"
    return $bad
}

# In the programs' own TAP output, as far as they ran in this build.
names_have_run() {
    named "$doc" | sort -u >"$tmp/named"
    bad=0
    while read -r program one; do
        log=$top_builddir/tests/plugin/$program.log
        [ -s "$log" ] && ! grep -q '^1\.\.0' "$log" || continue
        grep -q "^ok [0-9]* - $one\$" "$log" || { echo "$log: no \"ok - $one\""; bad=1; }
    done <"$tmp/named"
    return $bad
}

all_are_named() {
    named "$doc" >"$tmp/named"
    bad=0
    for program in etsi014_kmes_test etsi014_requests_test etsi014_outcomes_test; do
        for one in $(tests_of "$(source_of $program)" | sort -u); do
            grep -qx "$program $one" "$tmp/named" || { echo "$program: $one is in no row"; bad=1; }
        done
    done
    return $bad
}

caught() { ! "$@"; }

plan 6
ok "each row names a test" rows_name_tests "$doc"
ok "each test that is named is there" names_are_there "$doc"
ok "each has run and passed" names_have_run
ok "each test is in a row" all_are_named
printf '## T\n| behaviour | done | test |\n|---|---|---|\n| a | b | |\n' >"$tmp/bare.md"
ok "a row without a test is caught" caught rows_name_tests "$tmp/bare.md"
printf '## T\n| a | b | `etsi014_kmes_test`: `no_such_test` |\n' >"$tmp/wrong.md"
ok "a test that is not there is caught" caught names_are_there "$tmp/wrong.md"
