#!/bin/sh
# check.sh - two switches are started, each a real sshd, and the plugin is looked at while it talks to one of them
set -eu
dir=$(mktemp -d)
mkfifo "$dir/hold"
python3 lab.py "$dir/lab" <"$dir/hold" >"$dir/said" &
lab=$!
exec 3>"$dir/hold" # the switches end when this script does
trap 'exec 3>&-; wait $lab || :; rm -rf "$dir"' EXIT
until grep -q ready "$dir/said"; do
    kill -0 $lab || { wait $lab || exit $?; }
    sleep 0.05
done
read -r _ east _ user <"$dir/said"
# libssh2 has sums that it had no memory for, so only what the plugin itself allocates is made to fail
cat >"$dir/check.yaml" <<END
options: { host: 127.0.0.1, port: $east, user: $user, key: "file:$dir/lab/id", known-hosts: $dir/lab/known_hosts }
allocations: own
END
${CHECK:-rekey-plugin-check} --config "$dir/check.yaml" --man README ./tarn.so
