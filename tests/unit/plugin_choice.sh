#!/bin/sh
# configure builds the plugins that --with-plugins and --enable-plugin-NAME choose: the macros of m4/rk_plugin.m4 in a
# small configure of their own, with three plugins, of which "heavy" needs a library.
. "$top_srcdir/tests/unit/tap.sh"
command -v autoconf >/dev/null || skip_all "autoconf is not installed"

cat >"$tmp/configure.ac" <<END
m4_define([AM_CONDITIONAL], [])
m4_define([PKG_CHECK_MODULES], [AS_IF([test "\$have_library" = yes], [\$3], [\$4])])
m4_include([$top_srcdir/m4/rk_plugin.m4])
AC_INIT([small], [1])
RK_PLUGINS_BEGIN
RK_PLUGIN([source], [plain], [])
RK_PLUGIN([device], [two-words], [])
RK_PLUGIN([channel], [heavy], [library >= 1])
RK_PLUGINS_END
echo "built:" plain=\$rk_plugin_plain two-words=\$rk_plugin_two_words heavy=\$rk_plugin_heavy
END
small() { (cd "$tmp" && autoconf -o configure configure.ac); }

# says TEXT OPTION... - configure's exit status is 0 for "built: ...", else 1, and TEXT is what it says
says() {
    text=$1 want=1; shift
    case $text in built:*) want=0 ;; esac
    said=$(cd "$tmp" && have_library=$library ./configure "$@" 2>&1)
    status=$?
    printf '%s\n' "$said"
    [ $status = $want ] && printf '%s\n' "$said" | grep -qF -e "$text"
}

plan 13
ok "a configure is made" small
library=yes
ok "no choice: all that can be" says "built: plain=yes two-words=yes heavy=yes"
ok "a list: these and no others" says "built: plain=no two-words=yes heavy=yes" --with-plugins=two-words,heavy
ok "none" says "built: plain=no two-words=no heavy=no" --with-plugins=none
ok "--without-plugins" says "built: plain=no two-words=no heavy=no" --without-plugins
ok "all" says "built: plain=yes two-words=yes heavy=yes" --with-plugins=all
ok "a name that no plugin has" says 'no plugin "words"; there are: plain two-words heavy' --with-plugins=words,plain
ok "one more than the list" says "built: plain=yes two-words=no heavy=yes" --with-plugins=plain --enable-plugin-heavy
ok "one less" says "built: plain=no two-words=yes heavy=yes" --with-plugins=all --disable-plugin-plain
library=no
ok "no library: it is left out" says "built: plain=yes two-words=yes heavy=no"
ok "no library, but listed" says "--with-plugins: plugin heavy cannot be built: missing: library" --with-plugins=heavy
ok "no library, and all" says "--with-plugins: plugin heavy cannot be built: missing: library" --with-plugins=all
ok "no library, but asked for" says "--enable-plugin-heavy=yes: plugin heavy cannot be built" --enable-plugin-heavy
