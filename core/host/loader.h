/* loader.h - loads a plugin module and checks it before anything of it is called
 *
 * Runs in rekey-host's main thread, before any other thread.  A module is never unloaded.
 */
#ifndef RK_LOADER_H
#define RK_LOADER_H

#include "../base/limits.h"

#include <rekey/channel.h>
#include <rekey/device.h>
#include <rekey/plugin.h>
#include <rekey/source.h>

/* A module as this build knows it: copied out of the plugin's own structs, so that sizes and strides of another
 * minor version end here. */
struct rk_module {
    char name[RK_NAME_MAX + 1], version[RK_NAME_MAX + 1], summary[RK_WHY_MAX];
    uint32_t abi, kind, caps;
    uint32_t apply_ms; /* 0: not said */
    struct rk_opt *opts; /* n_opts and the row that ends them; the texts are the module's */
    size_t n_opts;
    int (*init)(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst);
    void (*fini)(void *inst);
    struct rk_source_ops source; /* the one of kind is filled */
    struct rk_device_ops device;
    struct rk_channel_ops channel;
};

/* rk_module_name - name of the module at path: the file's name without ".so"
 * ret: RK_OK; RK_E_CONFIG when it is no plugin name ([a-z0-9-]{1,32}.so) */
int rk_module_name(const char *path, char name[RK_NAME_MAX + 1]);

/* rk_module_load - load the module at path
 * in:    path, absolute
 * out:   *m, filled;  why[size]  when refused: path, reason and remedy
 * ret:   RK_OK; RK_E_CONFIG (not absolute, no plugin's name); RK_E_NOENT; RK_E_UNSAFE (writable by others, foreign
 *        owner, or its folder is); RK_E_UNSUPPORTED (cannot be loaded, other ABI); RK_E_CONTRACT (what it says of
 *        itself is wrong)
 * own:   m->opts, allocated when RK_OK; kept for the life of the process, as the module is
 * blocks: as the file system does */
int rk_module_load(const char *path, struct rk_module *m, char *why, size_t size);

#endif
