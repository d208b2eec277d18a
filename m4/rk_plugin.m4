# RK_PLUGIN(KIND, NAME, PKG-CONFIG-MODULES)
# --enable-plugin-NAME=auto|yes|no; AM_CONDITIONAL PLUGIN_NAME; NAME_CFLAGS, NAME_LIBS; a row of the summary.
AC_DEFUN([RK_PLUGIN], [
m4_pushdef([UP], [m4_translit([$2], [a-z-], [A-Z_])])dnl
m4_pushdef([VAR], [m4_translit([$2], [-], [_])])dnl
AC_ARG_ENABLE([plugin-$2], [AS_HELP_STRING([--enable-plugin-$2=auto|yes|no], [build the $1 plugin $2 (auto)])],
  [rk_want=$enableval], [rk_want=auto])
AS_CASE([$rk_want], [auto|yes|no], [],
  [AC_MSG_ERROR([--enable-plugin-$2=$rk_want: it is auto, yes or no])])
rk_why=
AS_IF([test "$rk_want" = no], [rk_plugin_[]VAR=no; rk_why="switched off"],
  [m4_ifblank([$3], [rk_plugin_[]VAR=yes],
    [PKG_CHECK_MODULES(UP, [$3], [rk_plugin_[]VAR=yes], [rk_plugin_[]VAR=no; rk_why="missing: $3"])])])
AS_IF([test "$rk_want" = yes && test "$rk_plugin_[]VAR" = no],
  [AC_MSG_ERROR([--enable-plugin-$2=yes, but $rk_why])])
AM_CONDITIONAL([PLUGIN_]UP, [test "$rk_plugin_[]VAR" = yes])
rk_plugin_summary="$rk_plugin_summary
    m4_format([%-12s], [$1]) m4_format([%-14s], [$2]) $rk_plugin_[]VAR ${rk_why:+($rk_why)}"
m4_popdef([VAR])dnl
m4_popdef([UP])dnl
])
