/* personality.c - how routers of several kinds differ
 *
 * Constant.
 */
#include "sim.h"

#include <string.h>

static const struct sim_personality rows[] = {
    {"mx", "mx304", "23.2R2.21", "MX, classic Junos, two routing engines", .engines = 2, .ckn_warning = true},
    {"srx", "srx380", "20.4R2.7", "SRX, classic Junos, one routing engine; a commit is answered by ok alone",
     .engines = 1, .bare_ok = true},
    {"acx-evo", "acx7348", "24.4R1.9-EVO", "ACX, Junos Evolved; wants a window with replay-protect", .engines = 1,
     .evo = true},
    {"ex", "ex4600-40f", "21.4R3.15", "EX, no cipher-suite: AES-128", .engines = 1, .no_cipher = true},
};

const struct sim_personality *
sim_personality_at(size_t i)
{
    return i < sizeof rows / sizeof rows[0] ? &rows[i] : NULL;
}

const struct sim_personality *
sim_personality_find(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}
