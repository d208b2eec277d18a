# RK_PLUGINS_BEGIN
# --with-plugins=LIST: these are built, or configure fails, and no others; for those behind it, up to RK_PLUGINS_END.
# rk_with_plugins is auto when it is not given, else the names with blanks around each.
AC_DEFUN([RK_PLUGINS_BEGIN], [
AC_ARG_WITH([plugins], [AS_HELP_STRING([--with-plugins=LIST],
  [build these plugins, commas between, and no others; or "all", or "none" (all that can be built)])],
  [rk_with_plugins=$withval], [rk_with_plugins=auto])
AS_CASE([$rk_with_plugins], [auto], [], [all|yes], [rk_with_plugins=all],
  [none|no], [rk_with_plugins=" "],
  [rk_with_plugins=" `AS_ECHO(["$rk_with_plugins"]) | tr ',' ' '` "])
rk_known_plugins=" "
])

# RK_PLUGINS_END
# A name of --with-plugins that no plugin has is an error.
AC_DEFUN([RK_PLUGINS_END], [
AS_CASE([$rk_with_plugins], [auto|all], [],
  [for rk_name in $rk_with_plugins; do
    AS_CASE(["$rk_known_plugins"], [*" $rk_name "*], [],
      [AC_MSG_ERROR([--with-plugins: there is no plugin "$rk_name"; there are:$rk_known_plugins])])
  done])
])

# RK_PLUGIN(KIND, NAME, PKG-CONFIG-MODULES)
# --enable-plugin-NAME=auto|yes|no, which counts more than --with-plugins; AM_CONDITIONAL PLUGIN_NAME; NAME_CFLAGS,
# NAME_LIBS; a row of the summary.
AC_DEFUN([RK_PLUGIN], [
AC_REQUIRE([RK_PLUGINS_BEGIN])dnl
m4_pushdef([UP], [m4_translit([$2], [a-z-], [A-Z_])])dnl
m4_pushdef([VAR], [m4_translit([$2], [-], [_])])dnl
AC_ARG_ENABLE([plugin-$2], [AS_HELP_STRING([--enable-plugin-$2=auto|yes|no], [build the $1 plugin $2 (auto)])],
  [rk_want=$enableval rk_option="--enable-plugin-$2=$enableval"],
  [rk_option=--with-plugins
   AS_CASE([$rk_with_plugins], [auto], [rk_want=auto], [all|*" $2 "*], [rk_want=yes], [rk_want=no])])
rk_known_plugins="${rk_known_plugins}$2 "
AS_CASE([$rk_want], [auto|yes|no], [],
  [AC_MSG_ERROR([--enable-plugin-$2=$rk_want: it is auto, yes or no])])
rk_why=
AS_IF([test "$rk_want" = no], [rk_plugin_[]VAR=no; rk_why="switched off"],
  [m4_ifblank([$3], [rk_plugin_[]VAR=yes],
    [PKG_CHECK_MODULES(UP, [$3], [rk_plugin_[]VAR=yes], [rk_plugin_[]VAR=no; rk_why="missing: $3"])])])
AS_IF([test "$rk_want" = yes && test "$rk_plugin_[]VAR" = no],
  [AC_MSG_ERROR([$rk_option: plugin $2 cannot be built: $rk_why])])
AM_CONDITIONAL([PLUGIN_]UP, [test "$rk_plugin_[]VAR" = yes])
rk_plugin_summary="$rk_plugin_summary
    m4_format([%-12s], [$1]) m4_format([%-14s], [$2]) $rk_plugin_[]VAR ${rk_why:+($rk_why)}"
m4_popdef([VAR])dnl
m4_popdef([UP])dnl
])
