/* version.h - the version of the plugin ABI
 *
 * A plugin states the ABI it was built with in struct rk_plugin.  The host loads it when the major
 * numbers are equal; of a newer minor it uses only what both know (every struct that may grow begins
 * with, or is guarded by, its size).  Within a major number nothing is removed, reordered or
 * reinterpreted; new members are added at the end.
 */
#ifndef REKEY_VERSION_H
#define REKEY_VERSION_H

#include <stdint.h>

#define RK_ABI_MAJOR 1
#define RK_ABI_MINOR 0
#define RK_ABI ((uint32_t)RK_ABI_MAJOR << 16 | RK_ABI_MINOR)

#endif
