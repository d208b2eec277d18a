#!/bin/bash
# uml-run.sh: does the runner of User-Mode Linux guests do what it says?  Each guest takes 0.6 to 1.7 s, so one
# guest answers many questions, and the slow ones run side by side.
rig=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/rig
. "$rig/rig.sh"
rig_need "veth macsec"

n=0
check() { # WHAT GOT WANT
	n=$((n + 1))
	if [ "$2" = "$3" ]; then echo "ok $n - $1"; else echo "not ok $n - $1"; printf '# got %q, want %q\n' "$2" "$3"; fi
}
R=$rig/uml-run
t=$(mktemp -d) || exit 1
trap 'rm -rf "$t"' EXIT
export TMPDIR=$t
echo 1..16

# Many questions, one guest.
echo rest > "$t/in"
(cd /usr/lib && FOO='x  y' "$R" -s "$t/s" -- bash -c '
	echo out; echo err >&2; printf "<%s>" "$@"; echo; echo "$FOO"; pwd; id -u
	echo in > "$0/s/f"; echo y > "$0/other"; rm -f /etc/passwd; ls /etc/passwd 2>/dev/null
	ip netns add a && ip link add v0 type veth peer name v1 netns a &&
		ip link add link v0 type macsec encrypt on cipher gcm-aes-256 && echo macsec
	exit 42' "$t" 'a b' "q'q" '' '$x' < "$t/in" > "$t/out" 2> "$t/err")
check "exit status" $? 42
mapfile -t got < "$t/out"
check "stdout" "${got[0]-}" out
check "stderr apart" "$(cat "$t/err")" err
check "arguments" "${got[1]-}" "<a b><q'q><><\$x>"
check "environment" "${got[2]-}" "x  y"
check "directory" "${got[3]-}" /usr/lib
check "root inside" "${got[4]-}" 0
check "kernel modules load by themselves" "${got[5]-}" macsec
check "scratch folder written" "$(cat "$t/s/f" 2>&1)" in
check "host untouched" "$(ls "$t/other" /etc/passwd 2>/dev/null)" /etc/passwd

# Ends: a signal inside, the clock, a signal to the runner; and much output to a slow reader.
"$R" -- sh -c 'kill -SEGV $$' 2> /dev/null & segv=$!
"$R" -t 2 -- sleep 100 2> /dev/null & late=$!
wait $segv; check "signal inside" $? 139
wait $late; check "time-out" $? 124
mkfifo "$t/fifo"
"$R" -- sh -c 'echo up; exec sleep 100' > "$t/fifo" & term=$!
read -r up < "$t/fifo"
kill -TERM $term
wait $term; check "TERM to the runner ($up)" $? 143
check "slow reader" "$("$R" -- seq 1 100000 | (sleep 1; md5sum))" "$(seq 1 100000 | md5sum)"
check "nothing left behind" "$(ls -d "$t"/uml-run.* 2> /dev/null)" ""
UML_HOME=$t/none "$R" -- true 2> /dev/null; check "no kernel: says so with 77" $? 77
