# tap.sh - sourced by shell tests: counts and prints results
#
#   plan N; ok NAME COMMAND...; skip_all REASON; in_tree PATTERN...: files of the source tree; $tmp: a folder, removed
#   at the end.  Everything that a failing command printed is shown behind "# ".
n=0
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT

plan() { echo "1..$1"; }

skip_all() { echo "1..0 # SKIP $1"; exit 0; }

skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

ok() {
    n=$((n + 1)); name=$1; shift
    if "$@" >"$tmp/said" 2>&1; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        sed 's/^/# /' "$tmp/said"
    fi
}

# Files of ours; never those of a build folder.
in_tree() {
    [ $# -gt 0 ] || set -- -name '*'
    (cd "$top_srcdir" && find core include plugins contrib doc tests -type f ! -path '*/.libs/*' \
        ! -path 'tests/abi/v*' \( "$@" \) | sort)
}
