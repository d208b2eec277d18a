/* sim.c - device "sim": a device in memory, for tests, demonstrations and measurements
 *
 * It keeps the rules of a real device (device.c), can forget nothing when its host dies (keep.c), misbehaves when it
 * is told to (fault.c), and lets a test prove that a link was never broken (witness.c).
 * Runs on a worker thread of rekey-host, one call at a time per instance.
 */
#include "class.h"
#include "find.h"
#include "keep.h"
#include "lldp.h"
#include "options.h"

#include "../../common/files.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 64
#define SLOW_FACTOR 10
#define SLOW_MIN_MS 1000

static void
sim_fini(void *inst)
{
    struct sim *s = inst;

    sim_witness_free(s->witness);
    sim_device_free(s->device);
    for (size_t i = 0; i < s->n_ifaces; i++)
        free(s->ifaces[i]);
    free(s->ifaces);
    free(s->state_file);
    free(s->mode_file);
    sim_find_free(s);
    sim_lldp_free(s);
    free(s);
}

void
sim_set_clock(void *inst, struct sim_clock clock)
{
    ((struct sim *)inst)->device->clock = clock;
}

static int
start_witness(struct sim *s, struct rk_call *call, const char *path)
{
    int err = sim_witness_new(s->host, call, path, &s->witness);

    if (!err)
        err = sim_witness_lock(s->witness, call);
    if (!err) {
        err = sim_witness_boot(s->witness, s->device, call);
        sim_witness_unlock(s->witness);
    }
    return err;
}

static int
sim_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    const char *check_dir = host->conf_str(conf, "peer-check-dir");
    struct sim *s = calloc(1, sizeof *s);
    int err;

    if (!s)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    s->host = host;
    err = sim_options(s, call, conf);
    if (!err && s->state_file)
        err = sim_keep_load(s->device, call, s->state_file);
    if (!err && check_dir)
        err = start_witness(s, call, check_dir);
    if (err) {
        sim_fini(s);
        return err;
    }
    *inst = s;
    return RK_OK;
}

static bool
has_iface(const struct sim *s, const char *name)
{
    for (size_t i = 0; i < s->n_ifaces; i++)
        if (strcmp(s->ifaces[i], name) == 0)
            return true;
    return s->n_ifaces == 0;
}

/* The interface, or NULL with the reason. */
static struct sim_iface *
find_iface(struct sim *s, const char *name, int *err, char *why)
{
    struct sim_iface *f = has_iface(s, name) ? sim_iface_get(s->device, name) : NULL;

    if (!has_iface(s, name)) {
        *err = RK_E_NOENT;
        snprintf(why, RK_WHY_MAX, "device %s has no interface %.64s", s->device->name, name);
    } else if (!f) {
        *err = RK_E_REJECTED;
        snprintf(why, RK_WHY_MAX, "interface name not of 1..%d bytes, or too many interfaces", RK_IFACE_MAX);
    }
    return f;
}

/* The time that the call takes; RK_E_TIMEOUT and RK_E_CANCELED: nothing was done. */
static int
take_time(const struct sim *s, struct rk_call *call, enum sim_mode mode)
{
    int64_t ms = s->latency_ms;
    int err;

    if (mode == SIM_SLOW)
        ms = ms * SLOW_FACTOR > SLOW_MIN_MS ? ms * SLOW_FACTOR : SLOW_MIN_MS;
    if (ms == 0 && s->host->left_ms(call) > 0)
        return RK_OK; /* without a descriptor to be woken by */
    err = rkp_pause(s->host, call, -1, ms);
    if (err)
        return s->host->fail(call, err, "given up after %lld ms of latency: nothing was changed", (long long)ms);
    return RK_OK;
}

static int
save(struct sim *s, struct rk_call *call)
{
    return s->state_file ? sim_keep_save(s->device, call, s->state_file) : RK_OK;
}

/* End as a segmentation fault would: at once, and without the handlers of a test or sanitizer. */
static void
crash(struct sim *s, struct rk_call *call)
{
    (void)save(s, call);
    signal(SIGABRT, SIG_DFL);
    abort();
}

/* What an interface did by itself since the last call.   ret: something is other than before */
static bool
settle(struct sim *s, struct rk_call *call, struct sim_iface *f, const char *link)
{
    const struct sim_class *class = s->device->class;

    if (!class->settle)
        return false;
    return class->settle(s->device, call, f, s->witness ? sim_witness_peers(s->witness, s->device, f, link) : NULL);
}

static void
one(struct sim *s, struct rk_call *call, struct rk_dev_op *op, struct sim_event *ev)
{
    struct sim_iface *f = find_iface(s, op->iface, &op->err, op->why);

    *ev = (struct sim_event){.iface = NULL};
    if (!f)
        return;
    if (op->kind == RK_OP_DESCRIBE && !sim_lldp_fits(s, op))
        return;
    (void)settle(s, call, f, op->link);
    sim_do(s->device, call, f, op, ev);
    (void)settle(s, call, f, op->link);
    if (op->kind == RK_OP_DESCRIBE && op->err == RK_OK)
        sim_lldp_show(s, f, op);
}

/* What all operations do, in order, as one step for whoever holds the lock. */
static int
change(struct sim *s, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct sim_event events[BATCH_MAX];
    int err = s->witness ? sim_witness_lock(s->witness, call) : RK_OK;

    if (err)
        return err;
    for (size_t i = 0; i < n; i++)
        one(s, call, &ops[i], &events[i]);
    err = save(s, call); /* first: what was told of is not forgotten when the process dies now */
    if (s->witness) {
        int told = sim_witness_tell(s->witness, s->device, call, ops, events, n);

        if (s->device->class->settle) /* telling finds out whether the ends have a key in common */
            told = told ? told : save(s, call);
        sim_witness_unlock(s->witness);
        err = err ? err : told;
    }
    /* memory has changed, files may not have: that is what "unknown" is for */
    return err ? RK_E_UNKNOWN : RK_OK;
}

/* The mode of this apply; counts it. */
static int
mode_of_apply(struct sim *s, struct rk_call *call, enum sim_mode *mode)
{
    int err;

    *mode = s->mode;
    err = sim_mode_now(s->host, call, s->mode_file, mode);
    if (err)
        return err;
    s->device->applies++;
    if (s->fault_every > 0 && s->device->applies % s->fault_every != 0)
        *mode = SIM_OK;
    s->device->faults += *mode != SIM_OK;
    return RK_OK;
}

static int
lie(struct rk_dev_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ops[i].err = RK_OK;
        ops[i].why[0] = '\0';
    }
    return RK_OK;
}

static int
sim_apply(void *inst, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct sim *s = inst;
    enum sim_mode mode;
    int err;

    if (n == 0 || n > BATCH_MAX)
        return s->host->fail(call, RK_E_CONTRACT, "apply of %zu operations; 1 to %d can be", n, BATCH_MAX);
    err = mode_of_apply(s, call, &mode);
    if (err)
        return err;
    if (mode == SIM_HANG || mode == SIM_SPIN)
        sim_stall(mode);
    if (mode == SIM_CRASH && s->device->faults % 2 == 1)
        crash(s, call);
    err = take_time(s, call, mode);
    if (err)
        return err;
    if (mode == SIM_GARBAGE)
        return sim_garble_ops(ops, n);
    if (mode == SIM_LIE)
        return lie(ops, n);
    if (mode == SIM_FAIL)
        return s->host->fail(call, RK_E_BUSY, "device %s is locked by another session", s->device->name);
    err = change(s, call, ops, n);
    if (mode == SIM_CRASH)
        crash(s, call);
    if (!err && mode == SIM_UNKNOWN)
        err = s->host->fail(call, RK_E_UNKNOWN, "device %s: the session ended before its answer", s->device->name);
    return err;
}

/* The lock is held where there is one. */
static int
look(struct sim *s, struct rk_call *call, struct rk_dev_seen *seen, bool *changed)
{
    struct sim_iface *f = find_iface(s, seen->iface, &seen->err, seen->why);
    const struct sim_peers *peers;
    int err = RK_OK;

    if (!f)
        return RK_OK;
    if (settle(s, call, f, seen->link)) {
        *changed = true;
        err = s->witness ? sim_witness_note(s->witness, s->device, call, f, seen->link) : RK_OK;
    }
    peers = s->witness ? sim_witness_peers(s->witness, s->device, f, seen->link) : NULL;
    s->device->class->look(s->device, f, peers, seen);
    return err;
}

/* A device that does something by itself tells of it under the lock, as of an operation. */
static int
look_at_all(struct sim *s, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    bool locks = s->witness && s->device->class->settle, changed = false;
    int err = locks ? sim_witness_lock(s->witness, call) : RK_OK;

    if (err)
        return err;
    for (size_t i = 0; !err && i < n; i++)
        err = look(s, call, &seen[i], &changed);
    if (locks)
        sim_witness_unlock(s->witness);
    return err || !changed ? err : save(s, call);
}

static int
sim_observe(void *inst, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    struct sim *s = inst;
    enum sim_mode mode = s->mode;
    int err = sim_mode_now(s->host, call, s->mode_file, &mode);

    if (err)
        return err;
    if (!s->fault_observe)
        mode = SIM_OK;
    if (mode == SIM_HANG || mode == SIM_SPIN)
        sim_stall(mode);
    if (mode == SIM_CRASH)
        crash(s, call);
    err = take_time(s, call, mode);
    if (err)
        return err;
    if (mode == SIM_GARBAGE)
        return sim_garble_seen(seen, n);
    if (mode == SIM_FAIL)
        return s->host->fail(call, RK_E_BUSY, "device %s is locked by another session", s->device->name);
    return look_at_all(s, call, seen, n);
}

static const struct rk_device_ops sim_ops = {
    .size = sizeof sim_ops,
    .apply = sim_apply,
    .observe = sim_observe,
    .tend = sim_tend,
    .discover = sim_discover,
    .prepare = sim_prepare,
    .neighbours = sim_neighbours,
};

__attribute__((visibility("default"))) const struct rk_plugin sim_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_DEVICE, RK_CAP_CLASS(RK_CLASS_A)),
    .name = "sim",
    .version = PACKAGE_VERSION,
    .summary = "a device in memory, for tests and demonstrations",
    .opts = sim_opts,
    .opt_size = sizeof(struct rk_opt),
    .init = sim_init,
    .fini = sim_fini,
    .ops = &sim_ops,
};
