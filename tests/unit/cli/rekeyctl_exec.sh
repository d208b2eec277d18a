#!/bin/sh
# The program itself: exit codes, and what check and plugin run.
ctl=$top_builddir/core/cli/rekeyctl
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
echo 1..6

n=0
ok() { # ok NAME CONDITION...
    n=$((n + 1)); name=$1; shift
    if "$@"; then echo "ok $n - $name"; else echo "not ok $n - $name"; fi
}

printf '#!/bin/sh\nfor a; do printf "[%%s]" "$a"; done\nexit 7\n' >"$dir/show"
chmod +x "$dir/show"
: >"$dir/static.so"

out=$("$ctl" check --json "$dir/a b.yaml" --rekeyd "$dir/show"); code=$?
ok "check runs rekeyd --check and passes its exit code" \
    test "$code:$out" = "7:[--check][--json][$dir/a b.yaml]"
out=$("$ctl" check "$dir/x.yaml" --rekeyd "$dir/show" --plugin-dir "$dir" --host "$dir/h")
ok "check passes its options on" test "$out" = "[--check][--plugin-dir][$dir][--host][$dir/h][$dir/x.yaml]"
out=$("$ctl" plugin static --plugin-dir "$dir" --host "$dir/show")
ok "plugin runs rekey-host --describe" test "$out" = "[--describe][$dir/static.so]"
"$ctl" status --socket "$dir/none" 2>/dev/null
ok "no daemon is exit code 3" test $? = 3
"$ctl" status --nosuch 2>/dev/null
ok "wrong usage is exit code 2" test $? = 2
"$ctl" --help >/dev/full 2>/dev/null
ok "output that cannot be written is exit code 1" test $? = 1
