#!/bin/sh
# Every function of the public headers and of core's headers is documented.
. "$top_srcdir/tests/unit/tap.sh"
rules=$top_srcdir/tests/unit/tree_docs.awk

whole_tree() { in_tree -path 'core/*.h' -o -path 'include/*.h' >"$tmp/files" && cd "$top_srcdir" &&
    xargs ${AWK:-awk} -f "$rules" <"$tmp/files"; }

caught() { # caught PATH TEXT
    mkdir -p "$tmp/tree/${1%/*}" && printf "$2" >"$tmp/tree/$1"
    ! (cd "$tmp/tree" && ${AWK:-awk} -f "$rules" "$1")
}

allowed() { ! caught "$@"; }

plan 6
ok "every function is documented" whole_tree
ok "a bare function is caught" caught core/x/x.h '/* x.h - y */\n\nint rk_x(int a);\n'
ok "a documented function is fine" allowed core/x/x.h '/* x.h - y */\n\n/* rk_x - does it */\nint rk_x(int a);\n'
ok "a kind that is documented is fine" \
    allowed core/x/x.h '/* x.h - y */\n\n/* rk_*_get: decode */\n\nint rk_x_get(int a);\n'
ok "a bare member of a public struct is caught" \
    caught include/rekey/x.h '/* x.h - y */\n\nstruct rk_x {\n    int (*doit)(void);\n};\n'
ok "a documented member is fine" \
    allowed include/rekey/x.h '/* x.h - y */\n\nstruct rk_x {\n    /* doit - does it */\n    int (*doit)(void);\n};\n'
