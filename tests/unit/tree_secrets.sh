#!/bin/sh
# No private key and no certificate is in the tree: tests make their own.
. "$top_srcdir/tests/unit/tap.sh"
rules=$top_srcdir/tests/unit/tree_secrets.awk

whole_tree() { in_tree >"$tmp/files" && cd "$top_srcdir" && xargs ${AWK:-awk} -f "$rules" <"$tmp/files"; }
no_such_files() { ! in_tree -name '*.pem' -o -name '*.key' -o -name '*.crt' -o -name '*.p12' -o -name 'id_*' | grep .; }
planted() {
    kind="EC PRIVATE" # apart from the word behind it: this file must not look like one itself
    printf -- "-----BEGIN $kind KEY-----\n%064d\n-----END $kind KEY-----\n" 0 >"$tmp/planted"
    ! ${AWK:-awk} -f "$rules" "$tmp/planted"
}

plan 3
ok "no file holds one" whole_tree
ok "no file is named as one" no_such_files
ok "a planted one is seen" planted
