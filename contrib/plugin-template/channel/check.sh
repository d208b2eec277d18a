#!/bin/sh
# check.sh - the plugin is looked at with two folders that are made for this run
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/out" "$dir/in"
printf '{ options: { out: %s, in: %s } }\n' "$dir/out" "$dir/in" >"$dir/check.yaml"
${CHECK:-rekey-plugin-check} --config "$dir/check.yaml" --man README ./box.so
