#!/bin/bash
# traffic.sh: does traffic count exactly?  Its loss must be what the queue says that it dropped.
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=$PWD}"
rig=$top_srcdir/tests/rig
. "$rig/rig.sh"
rig_need "veth sch_netem" "$top_builddir/tests/rig/traffic"
command -v tc > /dev/null || rig_skip "tc is not there"
export traffic=$top_builddir/tests/rig/traffic

# shellcheck disable=SC2016 # it is the guest's shell that expands it
exec "$rig/uml-run" -t 60 -k "veth sch_netem" -- bash -c '
ip netns add a; ip netns add b; ip link add va netns a type veth peer name vb netns b
ip -n a addr add 10.9.0.1/24 dev va; ip -n b addr add 10.9.0.2/24 dev vb
ip -n a link set va up; ip -n b link set vb up
ip -n a neigh add 10.9.0.2 lladdr $(ip -n b -j link show vb | sed "s/.*\"address\":\"\([^\"]*\)\".*/\1/") dev va
ip -n b neigh add 10.9.0.1 lladdr $(ip -n a -j link show va | sed "s/.*\"address\":\"\([^\"]*\)\".*/\1/") dev vb
n=0
check() {
	n=$((n + 1))
	if [ "$2" = "$3" ]; then echo "ok $n - $1"; else echo "not ok $n - $1"; echo "# got $2, want $3"; fi
}
run() { json=$("$traffic" -a a,10.9.0.1 -b b,10.9.0.2 "$@" | tail -1); }
get() { echo "$json" | sed -E "s/.*\"$1\":\{([^}]*)\}.*/\1/; s/.*\"$2\":([0-9.]+).*/\1/"; }
more() { [ "$1" -gt 0 ] && echo yes; }
echo 1..9
run -t 0.5 -r 400
check "a clean link loses nothing" "$(get a_to_b lost) $(get b_to_a lost)" "0 0"
check "all that was sent was received" "$(get a_to_b received)" "$(get a_to_b sent)"
tc -n a qdisc add dev va root netem loss 20%
run -t 0.5 -r 400
check "loss is seen" "$(more "$(get a_to_b lost)")" yes
check "loss is exact" "$(get a_to_b lost)" "$(tc -n a -s qdisc show dev va | sed -n "s/.*dropped \([0-9]*\).*/\1/p")"
check "only in its direction" "$(get b_to_a lost)" 0
tc -n a qdisc replace dev va root netem duplicate 20%
run -t 0.5 -r 400
check "duplicates are seen, and are no loss" "$(more "$(get a_to_b duplicated)") $(get a_to_b lost)" "yes 0"
tc -n a qdisc replace dev va root netem delay 20ms reorder 50%
run -t 0.5 -r 400
check "reordering is seen, and is no loss" "$(more "$(get a_to_b reordered)") $(get a_to_b lost)" "yes 0"
tc -n a qdisc del dev va root
"$traffic" -a a,10.9.0.1 -b b,10.9.0.2 -r 400 -i 0.1 > /tmp/out & t=$!
until [ -s /tmp/out ]; do sleep 0.1; done
kill $t; wait $t
check "ends at SIGTERM with a report" "$? $(tail -1 /tmp/out | cut -c1-14)" "0 {\"final\":true,"
json=$("$traffic" -a a,10.9.0.1 -b b,10.9.0.2 --calibrate)
check "finds the rate that loses nothing" "$(more "$(echo "$json" | sed "s/[^0-9]//g")")" yes
'
