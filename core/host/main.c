/* main.c - rekey-host: runs one plugin module of rekeyd in a process of its own.
 *
 * All else is in a library that the tests link.
 */
#include "start.h"

#include <unistd.h>

int
main(int argc, char **argv)
{
    /* workers may be inside the plugin still: its destructors must not run beside them */
    _exit(rk_host_main(argc, argv));
}
