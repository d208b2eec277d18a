#!/bin/sh
# The rotation protocol in the model checker: no error in any order of steps, and each seeded mistake is found.
# With REKEY_LONG=1 larger runs too, and how long each took; with REKEY_QUICK=1 the smallest of each model alone.
. "$top_srcdir/tests/unit/tap.sh"
models=$top_srcdir/tests/model

command -v spin >/dev/null || skip_all "spin is not installed"

mistakes() { sed -n 's/^#if.*\(BUG_[A-Z_]*\).*/\1/p' "$models/$1.pml" | sort -u; }

check() { # check DIR MODEL CFLAGS RUNFLAGS SPINFLAGS...: what pan says, in $tmp/DIR.out
    dir=$tmp/$1 model=$models/$2.pml cflags=$3 flags=$4; shift 4
    mkdir -p "$dir" && (cd "$dir" && spin -a "$@" "$model" >spin.out 2>&1 &&
        timeout 60 ${CC:-cc} $cflags -w -o pan pan.c && timeout "${limit:-120}" ./pan $flags) >"$dir.out" 2>&1
    status=$?
    rm -rf "$dir"
    return $status
}

all_of_it() { # all_of_it STATES-AT-LEAST: the whole of it was searched without an error, and it was not nothing
    cat "$tmp/good.out"
    grep -q 'errors: 0$' "$tmp/good.out" &&
        ! grep -q -e 'max search depth too small' -e 'Search not completed' "$tmp/good.out" && [ "$states" -ge "$1" ]
}

good() { # good NAME STATES-AT-LEAST CHECK-ARGUMENTS...
    name=$1 least=$2; shift 2
    check good "$@"
    states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$tmp/good.out")
    took=$(sed -n 's/^pan: elapsed time \([0-9.e+]* seconds\).*/, \1/p' "$tmp/good.out")
    ok "$name: ${states:-0} states${REKEY_LONG:+$took}" all_of_it "$least"
}

# "$safe" finds what must never be, "$rest" whether it comes to rest; -f is weak fairness.
safe="-O2 -DSAFETY -DNOCLAIM"
rest="-O2 -DNFAIR=5"
never() { name=$1 least=$2 model=$3; shift 3; good "$name" "$least" "$model" "$safe" -m100000 "$@"; }
settles() { name=$1 least=$2 model=$3; shift 3; good "$name" "$least" "$model" "$rest" "-a -f -m100000" -DLIVE "$@"; }

found() { # found MODEL MISTAKE: those with STUCK in their name keep the ends from coming to rest
    case $1,$2 in
    *STUCK*) check "$2" "$1" "-O0 -DNFAIR=5" "-a -f -m100000" "-D$2" -DLIVE -DK=2 -DCRASHES=0 -DREBOOTS=1 $stuck ;;
    *) check "$2" "$1" "-O0 -DSAFETY -DNOCLAIM" -m100000 "-D$2" -DK=2 -DCRASHES=1 ;;
    esac
    cat "$tmp/$2.out"
    grep -q -e 'assertion violated' -e 'acceptance cycle (' "$tmp/$2.out" && grep -q 'errors: 1$' "$tmp/$2.out"
}

lost_keys() { settles "class A, the same when a device loses its keys" 20000 rotation -DK=1 -DCRASHES=0 -DREBOOTS=1; }
restarts() {
    settles "classes B, C, D, the same when a device restarts" 20000 cak -DK=1 -DCRASHES=0 -DGIVEUPS=0 -DREBOOTS=1
}

if [ "${REKEY_QUICK:-}" = 1 ]; then # nothing of it depends on how rekeyd was built
    plan 2
    lost_keys
    restarts
    exit 0
fi
plan $((9 + ${REKEY_LONG:+8} + 0 + $( (mistakes rotation; mistakes cak) | wc -l)))
never "class A, three rotations, one crash of each end" 500000 rotation -DK=3 -DCRASHES=1
never "class A, two rotations, two crashes of each end" 200000 rotation -DK=2 -DCRASHES=2
settles "class A, both ends come to rest on one key" 20000 rotation -DK=2 -DCRASHES=1
lost_keys
never "classes B, C, D, all nine pairs, two rotations, one crash of each end" 1000000 cak -DK=2
settles "classes B, C, D, all nine pairs come to rest on one key" 20000 cak -DK=1 -DCRASHES=0
restarts
never "classes B, C, D, what is said of a key is shown by the commit that brings it" 1000000 cak -DK=2 -DCARRIED
settles "classes B, C, D, the same, both ends come to rest on one key" 20000 cak -DK=1 -DCRASHES=0 -DCARRIED
for mistake in $(mistakes rotation); do
    ok "class A, $mistake is found" found rotation "$mistake"
done
stuck="-DMASTER=B -DSLAVE=B"
for mistake in $(mistakes cak); do
    ok "classes B, C, D, $mistake is found" found cak "$mistake"
done
[ -n "$REKEY_LONG" ] || exit 0
limit=1800
never "class A, four rotations, one crash of each end" 5000000 rotation -DK=4 -DCRASHES=1
settles "class A, a device loses its keys, a crash of each end" 500000 \
    rotation -DK=1 -DGIVEUPS=0 -DREBOOTS=1 -DCRASHES=1
settles "class A, two devices lose their keys, or one does twice" 50000 rotation -DK=1 -DCRASHES=0 -DREBOOTS=2
never "classes B, C, D, three rotations, one crash of each end" 5000000 cak -DK=3
never "classes B, C, D, two rotations, two crashes of each end, two give-ups" 5000000 cak -DK=2 -DCRASHES=2 -DGIVEUPS=2
settles "classes B, C, D, one rotation, one crash of each end" 500000 cak -DK=1
settles "C and B, two rotations, one crash of each end" 500000 cak -DMASTER=C -DSLAVE=B -DK=2
settles "classes B, C, D, a restart of a device, a give-up" 500000 cak -DK=1 -DCRASHES=0 -DREBOOTS=1
