#!/bin/sh
# check.sh - two switches are started, and the plugin is looked at while it talks to one of them
set -eu
dir=$(mktemp -d)
mkfifo "$dir/hold"
python3 switch.py "$dir" <"$dir/hold" >"$dir/said" &
switch=$!
exec 3>"$dir/hold" # the switches end when this script does
trap 'exec 3>&-; wait $switch || :; rm -rf "$dir"' EXIT
tries=0
until grep -q ready "$dir/said"; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] && kill -0 $switch || { echo "check.sh: switch.py does not start" >&2; exit 1; }
    sleep 0.05
done
printf '{ options: { socket: %s }, slow: { socket: %s } }\n' "$dir/east.sock" "$dir/silent.sock" >"$dir/check.yaml"
${CHECK:-rekey-plugin-check} --config "$dir/check.yaml" --man README ./acme.so
