#!/bin/sh
# Everything that is tracked is in the release.
. "$top_srcdir/tests/unit/tap.sh"
[ -e "$top_srcdir/.git" ] || skip_all "not a git checkout"
git="git -c safe.directory=* -C $top_srcdir"
$git ls-files >/dev/null 2>&1 || skip_all "git is not installed, or cannot read the checkout"
unset MAKEFLAGS MFLAGS MAKELEVEL

missing() {
    $git ls-files | grep -vE '(^|/)\.git(ignore|keep|attributes)$|^\.git' >"$tmp/tracked" || return 1
    while read -r f; do
        [ ! -e "$top_srcdir/$f" ] || [ -e "$tmp/dist/$f" ] || echo "$f: not in EXTRA_DIST"
    done <"$tmp/tracked" >"$tmp/missing"
    cat "$tmp/missing"
    [ -s "$tmp/tracked" ] && [ ! -s "$tmp/missing" ]
}

plan 2
ok "a release can be made" make -s -C "$top_builddir" distdir distdir="$tmp/dist"
ok "everything tracked is in it" missing
