/* main.c - rekey-plugin-check: does a plugin keep its contract.
 *
 * All else is in a library.
 */
#include "check.h"

int
main(int argc, char **argv)
{
    return rk_check_main(argc, argv);
}
