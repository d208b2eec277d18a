# Speed of the simulator: link-rotations (both ends, invariants on) per second of one core.  Run by "make bench".
sim=$top_builddir/tests/sim/rotation_sim
[ -x "$sim" ] || { echo "bench: tests/sim/rotation_sim is not built (make check builds it): it is not measured"; exit 0; }

row() { # row NAME ARGUMENT...
    name=$1; shift
    printf '  %-44s %14s\n' "$name" \
        "$("$sim" "$@" | sed -n 's/^# .* s of processor time: \([0-9]*\) rotations.*/\1\/s/p')"
}

steady="--fault-every 0s --drain 2s --path 500ms --act 200ms --hear 1s --soup 8"
printf '\nsimulator: link-rotations per second and core, both ends, invariants on\n'
row "32 links of class A, without faults" --links 32 --days 10 --interval 300s --verify 300s $steady
row "32 links of class A, device read each minute" --links 32 --days 10 --interval 300s --verify 60s $steady
row "32 links of class B, without faults" --classes BB --links 32 --days 10 --interval 300s --verify 300s $steady
row "a fault at every other rotation, class A" --links 300
row "the same, journals in files" --links 3 --real
