/* bad.c - modules that are wrong in one way each, by the macro that the build sets; and NEWER and TRIAL,
 * which are right
 *
 * MODULE is the symbol's beginning, NAME the name that the module gives itself.
 */
#include <rekey/channel.h>
#include <rekey/device.h>
#include <rekey/plugin.h>
#include <rekey/source.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define SYMBOL JOIN(MODULE, _LTX_rk_plugin)

#ifdef BAD_UNDEFINED
int rekey_test_nowhere_defined(void);
#endif

__attribute__((unused)) static int
get(void *inst, struct rk_call *call, const char *peer_sae, uint32_t bits, struct rk_key *keys, size_t n)
{
    (void)inst, (void)call, (void)peer_sae, (void)bits, (void)keys, (void)n;
#ifdef BAD_UNDEFINED
    return rekey_test_nowhere_defined();
#else
    return RK_E_EMPTY;
#endif
}

__attribute__((unused)) static int
init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    (void)host, (void)call, (void)conf;
    *inst = NULL;
    return RK_OK;
}

static void
fini(void *inst)
{
    (void)inst;
}

/* What a later minor version may look like: every struct has grown at its end. */
struct newer_opt {
    struct rk_opt opt;
    const char *since;
};

struct newer_ops {
    struct rk_source_ops ops;
    int (*more)(void *inst);
};

static const struct newer_opt options[] = {
    {.opt = {.name = "first", .type = RK_OPT_INT, .min = 1, .max = 5, .dflt = "3", .help = "A number"}, .since = "1.0"},
#ifdef BAD_SCHEMA
    {.opt = {.name = "first", .type = RK_OPT_INT, .min = 1, .max = 5, .dflt = "9", .help = "Twice, and out of range"}},
#endif
#ifdef BAD_TAKEN
    {.opt = {.name = "auth-key", .type = RK_OPT_SECRET, .help = "The host's own"}},
#endif
    {.opt = {.name = "second", .type = RK_OPT_BOOL, .help = "A switch"}, .since = "1.9"},
    {.opt = {.name = NULL}},
};

#ifdef BAD_TAKEN
static const struct rk_channel_ops ops = {
    .size = sizeof ops,
    .publish = (int (*)(void *, struct rk_call *, struct rk_post *, size_t))(void (*)(void))init,
    .watch = (int (*)(void *, struct rk_call *, struct rk_post *, size_t, size_t *))(void (*)(void))init,
};
#else
static const struct newer_ops ops = {
#ifdef BAD_OPS_SIZE
    .ops.size = 8,
#else
    .ops.size = sizeof ops,
#endif
    .ops.get_new = get,
#ifndef BAD_OPS
    .ops.get_by_id = get,
#endif
};
#endif

#if defined BAD_KIND
#define KIND 9
#elif defined BAD_CLASS
#define KIND RK_DEVICE
#elif defined BAD_TAKEN
#define KIND RK_CHANNEL
#else
#define KIND RK_SOURCE
#endif

struct newer_plugin {
    struct rk_plugin plugin;
    void (*more)(void);
};

extern const struct newer_plugin SYMBOL;
__attribute__((visibility("default"))) const struct newer_plugin SYMBOL = {
    .plugin =
        {
#if defined BAD_ABI
            .abi = RK_ABI + (1u << 16),
#elif defined NEWER
            .abi = RK_ABI + 9,
#else
            .abi = RK_ABI,
#endif
#ifdef BAD_SIZE
            .size = 24,
#else
            .size = sizeof(struct newer_plugin),
#endif
            .kind = KIND,
#ifdef TRIAL
            .caps = RK_CAP_EXPERIMENTAL,
#endif
#ifndef BAD_NAME
            .name = NAME,
#endif
            .version = "1.0",
            .opts = &options[0].opt,
#ifdef BAD_OPT_SIZE
            .opt_size = 16,
#else
            .opt_size = sizeof options[0],
#endif
#ifdef BAD_INIT
            .init = NULL,
#else
            .init = init,
#endif
            .fini = fini,
            .ops = &ops,
#ifdef BAD_APPLY
            .apply_ms = 600001,
#endif
        },
};
