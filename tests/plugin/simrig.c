/* simrig.c - devices, operations and clocks for tests of classes B to E of the plugin sim. */
#include "simrig.h"

#include "core/base/secret.h"
#include "plugins/device/sim/options.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

extern const struct rk_plugin sim_LTX_rk_plugin;

struct scratch scratch;
struct rk_call rig_call;
static int64_t boot, wall;
static char last_why[RK_WHY_MAX];

/* As a real clock, it never shows the same time twice. */
static int64_t
boot_ns(void)
{
    return boot++;
}

static int64_t
wall_ms(void)
{
    return wall;
}

int
rig_setup(void **state)
{
    (void)state;
    scratch_make(&scratch);
    fake_call(&rig_call, 60000);
    fake_log_clear();
    boot = 1000000000; /* what is loaded at a start is judged by the system's clock, which must be ahead */
    wall = WALL_S * 1000;
    return 0;
}

int
rig_teardown(void **state)
{
    (void)state;
    fake_call_end(&rig_call);
    scratch_remove(&scratch);
    return 0;
}

void
rig_pass(int64_t ms)
{
    boot += ms * 1000000;
    wall += ms;
}

void
rig_step_wall(int64_t ms)
{
    wall += ms;
}

int
rig_try(void **inst, const char *name, const char *class, va_list options)
{
    const char *pairs[20] = {RK_CONF_NAME, name, "class", class};
    struct rk_conf conf = {pairs, sim_LTX_rk_plugin.opts};
    size_t n = 4;

    while (n < 18 && (pairs[n] = va_arg(options, const char *)))
        n++;
    *inst = NULL;
    return sim_LTX_rk_plugin.init(&fake_host, &rig_call, &conf, inst);
}

void *
rig_start(const char *name, const char *class, ...)
{
    va_list options;
    void *inst;
    int err;

    va_start(options, class);
    err = rig_try(&inst, name, class, options);
    va_end(options);
    if (err)
        fail_msg("%s", rig_call.text);
    sim_set_clock(inst, (struct sim_clock){boot_ns, wall_ms});
    return inst;
}

int
rig_start_err(const char *name, const char *class, ...)
{
    va_list options;
    void *inst;
    int err;

    va_start(options, class);
    err = rig_try(&inst, name, class, options);
    va_end(options);
    if (!err)
        rig_stop(inst);
    return err;
}

void
rig_stop(void *inst)
{
    sim_LTX_rk_plugin.fini(inst);
}

const char *
rig_dir(void)
{
    static char path[300];

    snprintf(path, sizeof path, "%s", scratch_path(&scratch, "check"));
    (void)mkdir(path, 0700);
    return path;
}

static const struct rk_device_ops *
ops(void)
{
    return sim_LTX_rk_plugin.ops;
}

int
rig_op(void *inst, uint32_t kind, uint64_t seq, const char *id, const char *terms)
{
    unsigned char bytes[32] = "marker-key-";
    struct rk_dev_op op = {.kind = kind, .seq = seq, .link = "l", .iface = "eth0", .key_id = id, .peer_facts = "",
                           .text = terms, .err = RK_E_CONTRACT};
    struct rk_secret *key = NULL;
    int err;

    strncpy((char *)bytes + 11, id, 20);
    if (kind == RK_OP_STAGE)
        op.key = key = fake_secret(bytes, sizeof bytes);
    err = ops()->apply(inst, &rig_call, &op, 1);
    rk_secret_free(&key);
    snprintf(last_why, sizeof last_why, "%s", op.why);
    return err ? err : op.err;
}

const char *
rig_why(void)
{
    return last_why;
}

static int
with_key(void *inst, uint32_t kind, uint64_t seq, const char *terms)
{
    char id[24];

    snprintf(id, sizeof id, "k%llu", (unsigned long long)seq);
    return rig_op(inst, kind, seq, id, terms);
}

int
rig_commit(void *inst, uint64_t seq, const char *terms)
{
    return with_key(inst, RK_OP_STAGE, seq, terms);
}

int
rig_revert(void *inst, uint64_t seq, const char *terms)
{
    return with_key(inst, RK_OP_RETIRE, seq, terms);
}

struct rk_dev_seen
rig_look(void *inst)
{
    struct rk_dev_seen seen = {.link = "l", .iface = "eth0", .peer_facts = "", .key_ids = {"k1", "k2", "k3", "k4"},
                               .seqs = {1, 2, 3, 4}};

    assert_int_equal(ops()->observe(inst, &rig_call, &seen, 1), RK_OK);
    assert_int_equal(seen.err, RK_OK);
    return seen;
}

uint32_t
rig_held(void *inst, uint64_t seq)
{
    assert_in_range(seq, 1, 4);
    return rig_look(inst).held[seq - 1];
}

const char *
rig_file(const char *name)
{
    static char text[65536];

    scratch_read(scratch_path(&scratch, name), text, sizeof text);
    return text;
}
