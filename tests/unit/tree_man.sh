#!/bin/sh
# The manual pages are well-formed.
. "$top_srcdir/tests/unit/tap.sh"
command -v mandoc >/dev/null || skip_all "mandoc is not installed"

pages=$(in_tree -name '*.[1-8]')
set -- $pages
[ $# -gt 0 ] || { plan 1; ok "there are pages" false; exit; }
plan $#
for page; do
    ok "$page" mandoc -Tlint -W warning "$top_srcdir/$page"
done
