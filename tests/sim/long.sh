#!/bin/sh
# Long runs of the simulator, of the mistakes of tests/cover and of the models of tests/model: "make check-long".
# All processors are used.
# Each line printed ends with "ok" or ends the run; the figures are for doc/reliability.md.
sim=$top_builddir/tests/sim/rotation_sim
jobs=$(nproc 2>/dev/null || echo 1)
# as an operator would have it: a key every five minutes, the device read each minute
often="--interval 300s --verify 60s --drain 2s --path 500ms --act 200ms --hear 1s --soup 16 --outage 600s"
# with many links, every ten minutes
seldom="--interval 600s --verify 300s --drain 2s --path 500ms --act 200ms --hear 1s --soup 8 --outage 600s"
bad=0

run() { # run TITLE ARGUMENT...
    echo "# $1: rotation_sim $(shift; echo "$*")"; shift
    "$sim" --jobs "$jobs" "$@" || bad=1
}

run "100 links, 365 days, a fault on each every three minutes" --links 100 --days 365 --fault-every 3m $often
run "10,000 links, 30 days" --links 10000 --days 30 --fault-every 6h $seldom
for classes in AA BB CC DD BC BD CD; do
    run "classes $classes, 50,000 seeds of dense faults" --classes $classes --links 50000
done
export REKEY_LONG=1
if command -v python3 >/dev/null; then
    python3 "$top_srcdir/tests/cover/mutate.py" || bad=1
fi
sh "$top_srcdir/tests/model/spin.sh" || bad=1
if [ -x "$top_builddir/tests/plugin/etsi014_inject_test" ]; then
    "$top_builddir/tests/plugin/etsi014_inject_test" || bad=1
fi
exit $bad
