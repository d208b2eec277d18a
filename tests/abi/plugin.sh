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

plan 6
ok "the page holds an example" extract
ok "the example compiles" build "$top_srcdir/include" "$tmp/derive.so"
ok "the example compiles with the headers of 1.0" build "$top_srcdir/tests/abi/v1.0" "$tmp/derive10.so"
ok "it exports its one symbol" exports "$tmp/derive.so"
if [ -x "$host" ]; then
    ok "the example loads" describe now "$tmp/derive.so"
    ok "what was built with 1.0 loads" describe then "$tmp/derive10.so"
else
    skip "the example loads" "rekey-host is not built"
    skip "what was built with 1.0 loads" "rekey-host is not built"
fi
