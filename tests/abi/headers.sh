#!/bin/sh
# Every public header can be included alone and first, by C99, C11 and C++11 with all warnings.
. "$top_srcdir/tests/unit/tap.sh"

alone() { # alone COMPILER STANDARD LANGUAGE HEADER
    printf '#include <rekey/%s>\n#include <rekey/%s>\nextern int x;\nint x;\n' "$4" "$4" >"$tmp/x.$3"
    $1 -std="$2" -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$top_srcdir/include" "$tmp/x.$3"
}

headers=$(cd "$top_srcdir/include/rekey" && ls ./*.h | sed 's,^\./,,')
set -- $headers
plan $(($# * 3))
for h; do
    ok "$h as C99" alone "$CC" c99 c "$h"
    ok "$h as C11" alone "$CC" c11 c "$h"
    if ${CXX:-c++} --version >/dev/null 2>&1; then
        ok "$h as C++11" alone "${CXX:-c++}" c++11 cc "$h"
    else
        skip "$h as C++11" "no C++ compiler"
    fi
done
