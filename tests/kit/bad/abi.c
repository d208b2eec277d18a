/* abi.c - is built for another major version of the ABI */
#include "base.h"

static const struct rk_device_ops ops = {.size = sizeof ops, .apply = base_apply, .observe = base_observe};

extern const struct rk_plugin bad_abi_LTX_rk_plugin;
__attribute__((visibility("default"))) const struct rk_plugin bad_abi_LTX_rk_plugin = {
    .abi = (RK_ABI_MAJOR + 8u) << 16, .size = sizeof(struct rk_plugin), .kind = RK_DEVICE,
    .caps = RK_CAP_CLASS(RK_CLASS_A), .name = "bad-abi", .version = "1", .summary = "of another version",
    .opts = base_opts, .opt_size = sizeof(struct rk_opt), .init = base_init, .fini = base_fini, .ops = &ops,
};
