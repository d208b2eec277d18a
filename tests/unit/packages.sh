#!/bin/sh
# Packages, without building them: each installed file is in exactly one package of contrib/debian and of contrib/rpm,
# each plugin has one, numbers agree, and what they run after an upgrade does what it says.
# REKEY_LONG=1: the packages are built, by what of dpkg-buildpackage and rpmbuild is there, lintian finds no error, and
# those of Debian are installed, upgraded, removed and purged.
. "$top_srcdir/tests/unit/tap.sh"
[ -z "$REKEY_QUICK" ] || skip_all "REKEY_QUICK is set"
unset MAKEFLAGS MFLAGS MAKELEVEL
debian=$top_srcdir/contrib/debian spec=$top_srcdir/contrib/rpm/rekeyd.spec
upgraded=$top_srcdir/contrib/systemd/rekeyd-upgraded

# Variables of the Makefile, as those of the shell.
names="plugindir systemdunitdir pkglibexecdir libdir includedir mandir datadir sbindir bindir PACKAGE_VERSION"
{
    echo "include Makefile" && echo "print-it:"
    for v in $names; do printf '\t@echo %s=$(%s)\n' "$v" "$v"; done
} >"$tmp/print.mk"
eval "$(make -s -C "$top_builddir" -f "$tmp/print.mk" print-it)"
release=rekeyd-$PACKAGE_VERSION

# Not "install", which begins with "all": other tests run what that would touch.
installed() {
    make -s -C "$top_builddir" install-exec install-data DESTDIR="$tmp/root" || return 1
    (cd "$tmp/root" && find . ! -type d | sed "s,^\.,,") >"$tmp/found"
    # As the packages are configured, wherever this build would be installed.
    for pair in "$plugindir:/usr/lib/rekey/plugins" "$systemdunitdir:/usr/lib/systemd/system" \
        "$pkglibexecdir:/usr/libexec/rekey" "$libdir:/usr/lib" "$includedir:/usr/include" \
        "$mandir:/usr/share/man" "$datadir:/usr/share" "$sbindir:/usr/sbin" \
        "$bindir:/usr/bin"; do
        printf 's,^%s/,!%s/,\n' "${pair%:*}" "${pair#*:}"
    done >"$tmp/places"
    sed -f "$tmp/places" "$tmp/found" | sed 's,^!*,,' | sort >"$tmp/installed"
    [ "$(wc -l <"$tmp/installed")" -gt 30 ] && ! grep -v '^/usr/' "$tmp/installed"
}

# "PACKAGE PATTERN" a line, patterns as of the shell
debian_files() {
    for f in "$debian"/*.install "$debian/not-installed"; do
        p=${f##*/}
        sed -n "s,^\(usr\|lib\)/,${p%.install} /&,p" "$f"
    done | sed 's, /lib/, /usr/lib/,; s,/usr/lib/\*/,/usr/lib/,'
}

rpm_files() {
    sed -n -e '/^%changelog/q' -e '/^%files/,$p' "$spec" |
        awk '/^%files/ { name = NF > 1 ? $3 : "rekeyd" } /^%\{/ { print name " " $1 }' |
        sed -e 's,%{plugins},/usr/lib/rekey/plugins,; s,%{_unitdir},/usr/lib/systemd/system,' \
            -e 's,%{_libexecdir},/usr/libexec,; s,%{_libdir},/usr/lib,; s,%{_includedir},/usr/include,' \
            -e 's,%{_mandir},/usr/share/man,; s,%{_datadir},/usr/share,; s,%{_sbindir},/usr/sbin,' \
            -e 's,%{_bindir},/usr/bin,; s,/$,/*,'
    echo "none *.la"
}

# covered LIST - each file of $tmp/installed matches one pattern of LIST, and each pattern a file
covered() {
    missing=0
    : >"$tmp/used"
    while read -r file; do
        in=
        while read -r package pattern; do
            case $file in $pattern) in="$in $package"; echo "$package $pattern" >>"$tmp/used" ;; esac
        done <"$1"
        case $in in
        ' '*' '*) echo "$file: in several packages:$in"; missing=1 ;;
        '') echo "$file: in none"; missing=1 ;;
        esac
    done <"$tmp/installed"
    sort -u "$tmp/used" >"$tmp/used.sorted"
    sort -u "$1" | comm -23 - "$tmp/used.sorted" | while read -r package pattern; do
        plugin=${package#rekey-plugin-}
        [ "$plugin" != "$package" ] && [ ! -e "$tmp/root$plugindir/$plugin.so" ] || # it is not built here
            echo "$package: $pattern: no such file is installed"
    done >"$tmp/unused"
    cat "$tmp/unused"
    [ $missing = 0 ] && [ ! -s "$tmp/unused" ]
}

caught() { # caught LIST: a file that is in no package, and one that is in two
    cp "$tmp/installed" "$tmp/kept"
    echo /usr/bin/rekey-new >>"$tmp/installed"
    said=$(covered "$1"); status=$?
    cp "$tmp/kept" "$tmp/installed"
    { cat "$1"; echo "other /usr/sbin/rekeyd"; } >"$tmp/twice"
    also=$(covered "$tmp/twice"); also_status=$?
    [ $status != 0 ] && [ "$said" = "/usr/bin/rekey-new: in none" ] && [ $also_status != 0 ] &&
        [ "$also" = "/usr/sbin/rekeyd: in several packages: rekeyd other" ]
}

each_plugin() {
    sed -n 's/^RK_PLUGIN(\[[a-z]*\], \[\([a-z0-9-]*\)\].*/\1/p' "$top_srcdir/configure.ac" >"$tmp/plugins"
    [ "$(wc -l <"$tmp/plugins")" -gt 10 ] || return 1
    while read -r p; do
        grep -qx "Package: rekey-plugin-$p" "$debian/control" || { echo "$p: not in control"; return 1; }
        grep -qw "rekey-plugin-$p[,]*$" "$debian/control" || { echo "$p: not suggested"; return 1; }
        grep -qx "usr/lib/rekey/plugins/$p.so" "$debian/rekey-plugin-$p.install" || return 1
        grep -q "^%plugin $p " "$spec" || { echo "$p: not in rekeyd.spec"; return 1; }
        grep -qx "%files -n rekey-plugin-$p" "$spec" || { echo "$p: no %files in rekeyd.spec"; return 1; }
    done <"$tmp/plugins"
}

numbers() {
    version=$(echo "$PACKAGE_VERSION" | sed 's,\.,\\.,g')
    abi=$(sed -n 's/^#define RK_ABI_MAJOR //p' "$top_srcdir/include/rekey/version.h")
    head -n 1 "$debian/changelog" | grep -q "^rekeyd ($version-" && grep -qx "Version: *$version" "$spec" &&
        grep -qx "Provides: rekeyd-plugin-abi-$abi" "$debian/control" &&
        grep -qx "Provides: *rekeyd-plugin-abi = $abi" "$spec"
}

scripts() {
    for f in "$debian"/*.p[or]* "$upgraded" "$top_srcdir/contrib/package"; do sh -n "$f" || return 1; done
    ! grep -nE 'set -[a-z]*x|/etc/rekey/[^r]|cat ' "$debian"/*.p[or]* "$upgraded"
}

# after_upgrade STATE CHECK-EXIT WANT - what rekeyd-upgraded does of a unit that is in STATE
after_upgrade() {
    mkdir -p "$tmp/bin"
    : >"$tmp/did"
    printf '#!/bin/sh\ncase $1 in is-active) echo %s; [ %s = active ] ;; *) echo "$*" >>%s/did ;; esac\n' \
        "$1" "$1" "$tmp" >"$tmp/bin/systemctl"
    printf '#!/bin/sh\necho the-secret; echo the-secret >&2; exit %s\n' "$2" >"$tmp/bin/rekeyd"
    printf '#!/bin/sh\necho "invoke $*" >>%s/did\n' "$tmp" >"$tmp/bin/invoke"
    chmod +x "$tmp/bin"/*
    said=$(PATH=$tmp/bin:$PATH sh "$upgraded" invoke 2>&1) || return 1
    did=$(tr '\n' ';' <"$tmp/did")
    echo "did: $did, said: $said"
    case $said in *the-secret*) return 1 ;; esac
    case $2:$said in 1:*"rekeyctl check"* | 0:) ;; *) return 1 ;; esac
    [ "$did" = "$3" ]
}

spec_is_read() { rpmspec -q "$spec" >"$tmp/names" && [ "$(grep -c '^rekey-plugin-' "$tmp/names")" -gt 10 ]; }

make_release() {
    make -s -C "$top_builddir" distdir distdir="$tmp/$release" &&
        tar -C "$tmp" -cJf "$tmp/$release.tar.xz" "$release"
}

deb_builds() {
    DEB_BUILD_OPTIONS="nocheck parallel=2" sh "$top_srcdir/contrib/package" deb "$tmp/$release.tar.xz" "$tmp/deb" &&
        ls "$tmp/deb"/rekey-plugin-etsi014_*.deb
}

lintian_finds_no_error() { lintian --allow-root --fail-on error "$tmp/deb"/*.changes; }

life() { cat "$tmp/life"; [ "$life" = 0 ]; }

rpm_builds() {
    RPM_NOCHECK=1 sh "$top_srcdir/contrib/package" rpm "$tmp/$release.tar.xz" "$tmp/rpm" &&
        ls "$tmp"/rpm/*/rekey-plugin-etsi014-*.rpm
}

with() { # with PROGRAM NAME COMMAND
    if [ "$REKEY_LONG" != 1 ]; then
        skip "$2" "REKEY_LONG=1 builds packages"
    elif command -v "$1" >/dev/null; then
        ok "$2" "$3"
    else
        skip "$2" "$1 is not installed"
    fi
}

plan 17
ok "the build installs" installed
debian_files >"$tmp/debian"
rpm_files >"$tmp/rpm.list"
ok "deb: each file is in one package" covered "$tmp/debian"
ok "deb: one that is in none, or in two, is caught" caught "$tmp/debian"
ok "rpm: each file is in one package" covered "$tmp/rpm.list"
ok "each plugin has its packages" each_plugin
ok "numbers agree" numbers
ok "scripts are well-formed, and show no file of the operator" scripts
ok "after an upgrade: a running one is started again" after_upgrade active 0 \
    "daemon-reload;invoke restart rekeyd.service;"
ok "one that the new version refuses goes on" after_upgrade active 1 "daemon-reload;"
ok "one that was stopped stays so" after_upgrade inactive 0 "daemon-reload;"
ok "one that failed is tried again" after_upgrade failed 0 \
    "daemon-reload;reset-failed rekeyd.service;invoke restart rekeyd.service;"
if command -v rpmspec >/dev/null; then
    ok "rekeyd.spec is read by rpm" spec_is_read
else
    skip "rekeyd.spec is read by rpm" "rpmspec is not installed"
fi
with make "a release" make_release
with dpkg-buildpackage "deb packages are built" deb_builds
with lintian "lintian finds no error" lintian_finds_no_error
life=77
[ ! -d "$tmp/deb" ] || { sh "$top_srcdir/tests/unit/packages_life.sh" "$tmp/deb" >"$tmp/life" 2>&1; life=$?; }
case $REKEY_LONG:$life in
1:77) skip "they are installed, upgraded, removed and purged" "there are none, or no overlay can be mounted" ;;
*) with dpkg "they are installed, upgraded, removed and purged" life ;;
esac
with rpmbuild "rpm packages are built" rpm_builds
