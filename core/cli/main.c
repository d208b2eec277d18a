/* main.c - rekeyctl: the operator's view of rekeyd.  Everything is in libcli, which the tests link. */
#include "cli.h"

#include <locale.h>

int
main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    return rk_cli_main(argc, argv, stdout, stderr);
}
