#!/bin/sh
# A plugin that was built with the headers of any release, and the example of rekey-plugin(3), compile, load and keep the
# contract in today's host; one of a later release does so as well, or is refused when its major version is another.
#
# What is frozen is the layout of structs, which layout.sh compares: a module exports one object and no function, so a
# tool that compares the functions of libraries (abidiff) would find nothing else, and wants debugging information.
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

# The headers as those of a release to come may be: members at the ends of structs, and another number.
later() { # later MAJOR MINOR FOLDER
    mkdir -p "$tmp/$3/rekey" && cp "$top_srcdir"/include/rekey/*.h "$tmp/$3/rekey/" && chmod -R u+w "$tmp/$3" || return 1
    sed -i -e "s/^#define RK_ABI_MAJOR .*/#define RK_ABI_MAJOR $1/" -e "s/^#define RK_ABI_MINOR .*/#define RK_ABI_MINOR $2/" \
        "$tmp/$3/rekey/version.h"
    sed -i 's/^    uint32_t apply_ms;/    uint32_t apply_ms; void *later[3];/' "$tmp/$3/rekey/plugin.h"
    sed -i 's/^    const char \*help;/    const char *help; void *later[2];/' "$tmp/$3/rekey/conf.h"
    sed -i '/(\*neighbours)(/,/;/s/arg);$/arg); int (*later)(void *inst);/' "$tmp/$3/rekey/device.h"
    grep -q 'later\[3\]' "$tmp/$3/rekey/plugin.h" && grep -q '(\*later)' "$tmp/$3/rekey/device.h" &&
        grep -q 'later\[2\]' "$tmp/$3/rekey/conf.h" &&
        grep -q 'RK_ABI_MINOR '"$2" "$tmp/$3/rekey/version.h" && device "$tmp/$3" "$3"
}

# A whole device, of tests/kit/bad, which keeps the contract.
device() { # device INCLUDE-FOLDER NAME
    mkdir -p "$tmp/dev-$2" && $CC -std=gnu11 -Wall -fPIC -shared -fvisibility=hidden -I"$1" \
        -o "$tmp/dev-$2/bad-good.so" "$top_srcdir/tests/kit/bad/good.c"
}

keeps() { # keeps NAME: rekey-plugin-check finds nothing
    "$check" --host "$host" --probe "$probe" "$tmp/dev-$1/bad-good.so" >"$tmp/report" || { cat "$tmp/report"; return 1; }
    grep -q '^pass  truthful' "$tmp/report"
}

refused() { # refused NAME: and the reason names both versions
    ! "$host" --describe "$tmp/dev-$1/bad-good.so" >"$tmp/refusal" 2>&1 &&
        grep -q 'built for plugin ABI 2\.0, this rekeyd has 1\.' "$tmp/refusal"
}

check=$top_builddir/core/check/rekey-plugin-check
probe=$top_builddir/core/check/.libs/rekey-check-probe.so
releases=$(cd "$top_srcdir/tests/abi" && ls -d v*/ | tr -d /)
plan $((12 + 2 * $(echo "$releases" | wc -l)))
for v in $releases; do
    ok "a device is built with the headers of $v" device "$top_srcdir/tests/abi/$v" "$v"
    if [ -x "$check" ]; then ok "it keeps the contract in today's host" keeps "$v"
    else skip "it keeps the contract in today's host" "rekey-plugin-check is not built"; fi
done
ok "a device is built with headers of a later minor version" later 1 7 later
ok "a device is built with headers of a later major version" later 2 0 major
if [ -x "$check" ] && [ -x "$host" ]; then
    ok "the later one keeps the contract in this host, older than it" keeps later
    ok "the one of another major version is refused, with both versions" refused major
else
    skip "the later one keeps the contract in this host, older than it" "rekey-plugin-check is not built"
    skip "the one of another major version is refused, with both versions" "rekey-host is not built"
fi
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
