#!/bin/sh
# What each program is linked with: rekeyd has no cryptography, no network client and loads no module.
. "$top_srcdir/tests/unit/tap.sh"

needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }

# without NAME PROGRAM PATTERN: no library of it matches
without() {
    real=$top_builddir/$2
    [ ! -x "${real%/*}/.libs/${real##*/}" ] || real=${real%/*}/.libs/${real##*/}
    if [ ! -x "$real" ]; then
        skip "$1" "$2 is not built"
    elif [ -z "$(needed "$real")" ]; then
        ok "$1: its libraries can be read" false
    else
        ok "$1" lacks "$real" "$3"
    fi
}

lacks() { ! needed "$1" | grep -E "$2"; }

command -v readelf >/dev/null || skip_all "no readelf"
plan 4
without "rekeyd: no TLS, HTTP, netlink or module loader" core/daemon/rekeyd '^lib(ssl|crypto|curl|mnl|ltdl|ssh2|xml2)'
without "rekeyctl: no YAML, event loop, journal or cryptography" core/cli/rekeyctl \
    '^lib(yaml|event|sqlite3|ssl|crypto|curl|mnl|ltdl)'
without "rekey-host: no journal, event loop, YAML or HTTP of its own" core/host/rekey-host \
    '^lib(sqlite3|event|yaml|curl|mnl)'
ok "the check sees a library" test -n "$(needed "$(command -v readelf)")"
