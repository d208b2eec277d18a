/* good.c - keeps its contract: what the others are compared with */
#include "base.h"

DEVICE(bad_good_LTX_rk_plugin, "bad-good", base_apply);
