/* silent.c - has an option of which it says nothing */
#include "base.h"

static const struct rk_opt opts[] = {
    {.name = "delay", .type = RK_OPT_DURATION, .min = 0, .max = 60000, .dflt = "0ms", .help = "?"},
    {.name = NULL},
};

DEVICE_AS(bad_silent_LTX_rk_plugin, "bad-silent", opts, base_init, base_apply, base_observe);
