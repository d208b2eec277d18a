/* main.c - rekeyd */
#include "daemon.h"

int
main(int argc, char **argv)
{
    return rk_daemon_main(argc, argv);
}
