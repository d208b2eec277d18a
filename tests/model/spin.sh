#!/bin/sh
# The rotation protocol in the model checker: no error in any order of steps, and each seeded mistake is found.
. "$top_srcdir/tests/unit/tap.sh"
model=$top_srcdir/tests/model/rotation.pml
mistakes=$(sed -n 's/^#if.*\(BUG_[A-Z_]*\).*/\1/p' "$model" | sort -u)

command -v spin >/dev/null || skip_all "spin is not installed"

check() { # check NAME CFLAGS RUNFLAGS SPINFLAGS...: what pan says, in $tmp/NAME.out
    dir=$tmp/$1 cflags=$2 flags=$3; shift 3
    mkdir -p "$dir" && (cd "$dir" && spin -a "$@" "$model" >spin.out 2>&1 &&
        timeout 60 ${CC:-cc} $cflags -w -o pan pan.c && timeout 120 ./pan $flags) >"$dir.out" 2>&1
}

no_error() { # no_error STATES-AT-LEAST ...: the whole of it was searched, and it was not nothing
    least=$1; shift
    check good "$@" && grep -q 'errors: 0$' "$tmp/good.out" &&
        ! grep -q -e 'max search depth too small' -e 'Search not completed' "$tmp/good.out" &&
        [ "$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$tmp/good.out")" -ge "$least" ]
}

found() { # found MISTAKE
    check "$1" "-O0 -DSAFETY -DNOCLAIM" -m100000 -DK=2 -DCRASHES=1 "-D$1"
    grep -q 'assertion violated' "$tmp/$1.out" && grep -q 'errors: 1$' "$tmp/$1.out"
}

plan $((3 + $(echo "$mistakes" | wc -l)))
ok "three rotations, one crash of each end" no_error 500000 "-O2 -DSAFETY -DNOCLAIM" -m100000 -DK=3 -DCRASHES=1
ok "two rotations, two crashes of each end" no_error 200000 "-O2 -DSAFETY -DNOCLAIM" -m100000 -DK=2 -DCRASHES=2
ok "both ends come to rest on one key" no_error 20000 "-O2 -DNFAIR=3" "-a -f -m100000" -DLIVE -DK=2 -DCRASHES=1
for mistake in $mistakes; do
    ok "$mistake is found" found "$mistake"
done
