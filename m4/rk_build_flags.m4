# RK_BUILD_FLAGS
# Warnings, hardening, --enable-werror --enable-sanitizers --enable-tsan --enable-fuzzer --enable-coverage
# --disable-hardening.  RK_CFLAGS and RK_LDFLAGS are for all that we build, RK_EXE_* for programs.
AC_DEFUN([RK_BUILD_FLAGS], [
AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [warnings are errors])])
AC_ARG_ENABLE([sanitizers], [AS_HELP_STRING([--enable-sanitizers], [address and undefined-behaviour sanitizers])])
AC_ARG_ENABLE([tsan], [AS_HELP_STRING([--enable-tsan], [thread sanitizer])])
AC_ARG_ENABLE([fuzzer], [AS_HELP_STRING([--enable-fuzzer], [build fuzz targets with libFuzzer (needs clang)])])
AC_ARG_ENABLE([coverage], [AS_HELP_STRING([--enable-coverage], [count executed lines, for gcov])])
AC_ARG_ENABLE([hardening], [AS_HELP_STRING([--disable-hardening], [no hardening flags])])

RK_CFLAGS= RK_LDFLAGS= RK_EXE_CFLAGS= RK_EXE_LDFLAGS= rk_flags_summary=
for f in -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wimplicit-fallthrough \
         -Wpointer-arith -Wwrite-strings -fvisibility=hidden; do
  RK_TRY_CFLAG([$f])
done
AS_IF([test "x$enable_werror" = xyes], [RK_CFLAGS="$RK_CFLAGS -Werror"; rk_flags_summary="$rk_flags_summary werror"])
AS_IF([test "x$enable_sanitizers" = xyes],
  [RK_CFLAGS="$RK_CFLAGS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g"
   RK_LDFLAGS="$RK_LDFLAGS -fsanitize=address,undefined"; rk_flags_summary="$rk_flags_summary asan ubsan"
   enable_hardening=no])
AS_IF([test "x$enable_tsan" = xyes],
  [RK_CFLAGS="$RK_CFLAGS -fsanitize=thread -g"; RK_LDFLAGS="$RK_LDFLAGS -fsanitize=thread"
   rk_flags_summary="$rk_flags_summary tsan"; enable_hardening=no])
AS_IF([test "x$enable_coverage" = xyes],
  [RK_CFLAGS="$RK_CFLAGS --coverage -O0 -g"; RK_LDFLAGS="$RK_LDFLAGS --coverage"
   rk_flags_summary="$rk_flags_summary coverage"; enable_hardening=no])
AM_CONDITIONAL([FUZZER], [test "x$enable_fuzzer" = xyes])
AS_IF([test "x$enable_fuzzer" = xyes],
  [RK_CFLAGS="$RK_CFLAGS -fsanitize=fuzzer-no-link"; rk_flags_summary="$rk_flags_summary fuzzer"])
# The same set that tests may ask for, to skip what a sanitizer cannot run.
AM_CONDITIONAL([SANITIZERS], [test "x$enable_sanitizers" = xyes || test "x$enable_tsan" = xyes])
AS_IF([test "x$enable_hardening" != xno],
  [RK_TRY_CFLAG([-fstack-protector-strong])
   RK_CFLAGS="$RK_CFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"
   RK_LDFLAGS="$RK_LDFLAGS -Wl,-z,relro -Wl,-z,now"
   RK_EXE_CFLAGS="-fPIE"; RK_EXE_LDFLAGS="-pie"; rk_flags_summary="$rk_flags_summary hardened"])
RK_LDFLAGS="$RK_LDFLAGS -Wl,--as-needed"
AC_SUBST([RK_CFLAGS]) AC_SUBST([RK_LDFLAGS]) AC_SUBST([RK_EXE_CFLAGS]) AC_SUBST([RK_EXE_LDFLAGS])
])

# RK_TRY_CFLAG(FLAG) - add it to RK_CFLAGS when the compiler takes it
AC_DEFUN([RK_TRY_CFLAG], [
rk_save_cflags=$CFLAGS; CFLAGS="$CFLAGS $1 -Werror"
AC_MSG_CHECKING([whether $CC takes $1])
AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes]); RK_CFLAGS="$RK_CFLAGS $1"], [AC_MSG_RESULT([no])])
CFLAGS=$rk_save_cflags
])
