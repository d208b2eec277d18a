#!/bin/sh
# A plugin that was built with the headers of 1.0, and the example of rekey-plugin(3), compile and load.
. "$top_srcdir/tests/unit/tap.sh"
page=$top_srcdir/doc/man/rekey-plugin.3
host=$top_builddir/core/host/rekey-host

# The example stands in the page between two marks.
extract() {
    sed -n '/^\.\\" example: begin/,/^\.\\" example: end/p' "$page" | grep -v '^\.' |
        sed -e 's/^\\&//' -e 's/\\e/\\/g' >"$tmp/derive.c"
    [ "$(wc -l <"$tmp/derive.c")" -gt 30 ]
}

build() { # build INCLUDE-FOLDER OUTPUT
    $CC -std=c11 -pedantic -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -I"$1" -o "$2" "$tmp/derive.c"
}

exports() { [ "$(nm -D --defined-only "$1" | awk '{ print $3 }' | grep -v '^_')" = derive_LTX_rk_plugin ]; }

describe() { (cd "$tmp" && mkdir -p "$1" && cp "$2" "$1/derive.so" && "$host" --describe "$tmp/$1/derive.so"); }

# The headers as they were before struct rk_host had its last members.
older() {
    mkdir -p "$tmp/older/rekey" && cp "$top_srcdir"/include/rekey/*.h "$tmp/older/rekey/" || return 1
    sed -e '/(\*expires)(/d' -e '/(\*secret_read)(/d' "$top_srcdir/include/rekey/plugin.h" >"$tmp/older.h"
    ! cmp -s "$tmp/older.h" "$top_srcdir/include/rekey/plugin.h" && cp -f "$tmp/older.h" "$tmp/older/rekey/plugin.h" &&
        build "$tmp/older" "$tmp/derive-older.so"
}

plan 8
ok "the page holds an example" extract
ok "the example compiles" build "$top_srcdir/include" "$tmp/derive.so"
ok "the example compiles with the headers of 1.0" build "$top_srcdir/tests/abi/v1.0" "$tmp/derive10.so"
ok "it exports its one symbol" exports "$tmp/derive.so"
ok "the example compiles with fewer services" older
if [ -x "$host" ]; then
    ok "the example loads" describe now "$tmp/derive.so"
    ok "what was built with 1.0 loads" describe then "$tmp/derive10.so"
    ok "what was built with fewer services loads" describe fewer "$tmp/derive-older.so"
else
    skip "the example loads" "rekey-host is not built"
    skip "what was built with 1.0 loads" "rekey-host is not built"
    skip "what was built with fewer services loads" "rekey-host is not built"
fi
