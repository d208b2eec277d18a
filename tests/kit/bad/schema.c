/* schema.c - has an option whose default is out of its own range */
#include "base.h"

static const struct rk_opt opts[] = {
    {.name = "delay", .type = RK_OPT_DURATION, .min = 0, .max = 1000, .dflt = "2s", .help = "how long a call waits"},
    {.name = NULL},
};

DEVICE_AS(bad_schema_LTX_rk_plugin, "bad-schema", opts, base_init, base_apply, base_observe);
