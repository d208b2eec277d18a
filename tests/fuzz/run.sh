#!/bin/sh
# run.sh - each fuzzer named for so many seconds, all at once, from its corpus on: "make check-fuzz"
#
# usage: run.sh SECONDS FUZZER...     with top_srcdir in the environment
# What is found in a run is not kept, but for an input that breaks a target: it is named, and stays in this folder.
seconds=$1
shift
found=$(mktemp -d) || exit 1
trap 'rm -rf "$found"' EXIT
for fuzzer; do
    name=$(basename "$fuzzer" .fuzz)
    mkdir "$found/$name"
    "$fuzzer" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$PWD/$name-" "$found/$name" "$top_srcdir/tests/fuzz/corpus/${name#fuzz_}" \
        >"$found/$name.out" 2>&1 || : >"$found/$name.bad" &
done
wait
pass=0 fail=0
for fuzzer; do
    name=$(basename "$fuzzer" .fuzz)
    n=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$name.out")
    if [ -e "$found/$name.bad" ] || [ "${n:-0}" -lt 1000 ]; then
        fail=$((fail + 1))
        echo "FAIL: $fuzzer - ${n:-no} inputs"
        tail -n 40 "$found/$name.out" | sed 's/^/# /'
    else
        pass=$((pass + 1))
        echo "PASS: $fuzzer - $n inputs in $seconds s"
    fi
done
printf 'Testsuite summary for fuzzing\n# PASS:  %d\n# FAIL:  %d\n# ERROR: 0\n' $pass $fail
[ $fail = 0 ]
