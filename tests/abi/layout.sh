#!/bin/sh
# The plugin ABI is frozen: sizes, offsets and constants are those of v1.0.txt, in today's headers and in the copy of
# then.
. "$top_srcdir/tests/unit/tap.sh"
abi=$top_srcdir/tests/abi

printf 'int x[sizeof(long) == 8 && sizeof(void *) == 8 ? 1 : -1];\n' >"$tmp/lp64.c"
$CC -fsyntax-only "$tmp/lp64.c" 2>/dev/null || skip_all "the listing is that of 64-bit systems"

listing() { # listing INCLUDE-FOLDER
    ${AWK:-awk} -f "$abi/layout.awk" "$1"/rekey/*.h >"$tmp/layout.c" &&
        $CC -std=gnu11 -I"$1" -o "$tmp/layout" "$tmp/layout.c" && "$tmp/layout"
}

same() { listing "$1" >"$tmp/now.txt" && diff -u "$abi/v1.0.txt" "$tmp/now.txt"; }

changed_is_seen() {
    mkdir -p "$tmp/inc/rekey" && cp "$top_srcdir"/include/rekey/*.h "$tmp/inc/rekey/" || return 1
    sed 's/^    uint32_t state; /    uint64_t state; /' "$top_srcdir/include/rekey/device.h" >"$tmp/device.h"
    cp -f "$tmp/device.h" "$tmp/inc/rekey/device.h"
    ! cmp -s "$tmp/device.h" "$top_srcdir/include/rekey/device.h" && listing "$tmp/inc" >"$tmp/changed.txt" &&
        ! cmp -s "$abi/v1.0.txt" "$tmp/changed.txt"
}

plan 4
ok "today's headers have the layout of 1.0" same "$top_srcdir/include"
ok "the frozen headers have the layout of 1.0" same "$abi/v1.0"
ok "the listing covers structs, members and constants" \
    test "$(grep -c '^struct .* at ' "$abi/v1.0.txt")" -gt 70 -a "$(grep -c '^RK_' "$abi/v1.0.txt")" -gt 60
ok "a changed member is seen" changed_is_seen
