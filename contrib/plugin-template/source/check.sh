#!/bin/sh
# check.sh - the plugin is looked at with a secret that is made for this run
set -eu
umask 077
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
head -c 32 /dev/urandom | base64 >"$dir/secret"
printf '{ options: { secret: "file:%s" } }\n' "$dir/secret" >"$dir/check.yaml"
${CHECK:-rekey-plugin-check} --config "$dir/check.yaml" --man README ./derive.so
