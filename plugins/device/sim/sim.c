/* sim.c - device "sim": a device in memory, for tests, demonstrations and measurements
 *
 * It keeps the rules of a real device (device.c), can forget nothing when its host dies (keep.c), misbehaves when it
 * is told to (fault.c), and lets a test prove that a link was never broken (witness.c).
 * Runs on a worker thread of rekey-host, one call at a time per instance.
 */
#include "device.h"
#include "fault.h"
#include "keep.h"
#include "witness.h"

#include "../../common/files.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 64
#define SLOW_FACTOR 10
#define SLOW_MIN_MS 1000

/* How a device of a class behaves.  A row without apply is a class that is not simulated yet. */
struct behaviour {
    uint32_t class;
    void (*apply)(struct sim_device *d, struct rk_call *call, struct sim_iface *f, struct rk_dev_op *op,
                  struct sim_event *ev);
    void (*look)(const struct sim_iface *f, struct rk_dev_seen *seen);
};

static const char *const class_names[] = {"a", "b", "c", "d", "e", NULL};

static const struct behaviour behaviours[] = {
    {RK_CLASS_A, sim_do, sim_look},
    {RK_CLASS_B, NULL, NULL},
    {RK_CLASS_C, NULL, NULL},
    {RK_CLASS_D, NULL, NULL},
    {RK_CLASS_E, NULL, NULL},
};
_Static_assert(sizeof behaviours / sizeof behaviours[0] == sizeof class_names / sizeof class_names[0] - 1,
               "each class has a name");

struct sim {
    const struct rk_host *host;
    const struct behaviour *behaviour;
    struct sim_device *device;
    struct sim_witness *witness;  /* NULL: none */
    char **ifaces;                /* the interfaces there are; NULL: any */
    size_t n_ifaces;
    char *state_file, *mode_file; /* NULL: none */
    enum sim_mode mode;
    bool fault_observe;
    uint64_t fault_every;
    int64_t latency_ms;
};

static const struct rk_opt sim_opts[] = {
    {.name = "class", .type = RK_OPT_ENUM, .dflt = "a", .choices = class_names,
     .help = "Device class to behave as; this release simulates class a"},
    {.name = "interface", .type = RK_OPT_STRING, .flags = RK_OPT_LIST, .unit = "bytes", .min = 1, .max = RK_IFACE_MAX,
     .help = "The interfaces that the device has; when none is given it has any that is asked for"},
    {.name = "latency", .type = RK_OPT_DURATION, .min = 0, .max = 3600000, .dflt = "0ms",
     .help = "How long each apply and each observe takes"},
    {.name = "mode", .type = RK_OPT_ENUM, .dflt = "ok", .choices = sim_mode_names,
     .help = "How the device misbehaves"},
    {.name = "mode-file", .type = RK_OPT_PATH,
     .help = "File whose content, a mode, replaces mode at each call while the file is there"},
    {.name = "fault-every", .type = RK_OPT_INT, .unit = "applies", .min = 0, .max = 1000000000, .dflt = "0",
     .help = "The mode applies to each n-th apply only; 0: to every one"},
    {.name = "fault-observe", .type = RK_OPT_BOOL, .dflt = "no",
     .help = "Observe misbehaves too (slow, hang, spin, crash, garbage and fail), not only apply"},
    {.name = "state-file", .type = RK_OPT_PATH,
     .help = "File in which the device keeps its state, without keys, over a restart of its host"},
    {.name = "peer-check-dir", .type = RK_OPT_PATH,
     .help = "Directory, the same for both ends, in which each end writes its state and its operations for tests"},
    {.name = NULL},
};

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
    free(s);
}

static bool
copy_text(struct sim *s, const struct rk_conf *conf, const char *name, char **out)
{
    const char *value = s->host->conf_str(conf, name);

    *out = value ? strdup(value) : NULL;
    return !value || *out;
}

static bool
copy_ifaces(struct sim *s, const struct rk_conf *conf)
{
    size_t n = 0;

    while (s->host->conf_item(conf, "interface", n))
        n++;
    s->ifaces = n > 0 ? calloc(n, sizeof s->ifaces[0]) : NULL;
    for (; s->ifaces && s->n_ifaces < n; s->n_ifaces++) {
        s->ifaces[s->n_ifaces] = strdup(s->host->conf_item(conf, "interface", s->n_ifaces));
        if (!s->ifaces[s->n_ifaces])
            return false;
    }
    return n == 0 || s->ifaces;
}

static int
read_options(struct sim *s, struct rk_call *call, const struct rk_conf *conf)
{
    int64_t class = s->host->conf_int(conf, "class");

    s->behaviour = &behaviours[class];
    if (!s->behaviour->apply)
        return s->host->fail(call, RK_E_UNSUPPORTED, "class: this release simulates class a only, not class %s",
                             class_names[class]);
    s->latency_ms = s->host->conf_int(conf, "latency");
    s->mode = (enum sim_mode)s->host->conf_int(conf, "mode");
    s->fault_every = (uint64_t)s->host->conf_int(conf, "fault-every");
    s->fault_observe = s->host->conf_int(conf, "fault-observe") != 0;
    s->device = sim_device_new(s->host, s->host->conf_str(conf, RK_CONF_NAME));
    if (!s->device || !copy_ifaces(s, conf) || !copy_text(s, conf, "state-file", &s->state_file) ||
        !copy_text(s, conf, "mode-file", &s->mode_file))
        return s->host->fail(call, RK_E_NOMEM, "out of memory");
    return RK_OK;
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
    err = read_options(s, call, conf);
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

/* What all operations do, in order, as one step for whoever holds the lock. */
static int
change(struct sim *s, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct sim_event events[BATCH_MAX];
    int err = s->witness ? sim_witness_lock(s->witness, call) : RK_OK;

    if (err)
        return err;
    for (size_t i = 0; i < n; i++) {
        struct sim_iface *f = find_iface(s, ops[i].iface, &ops[i].err, ops[i].why);

        events[i] = (struct sim_event){.iface = NULL};
        if (f)
            s->behaviour->apply(s->device, call, f, &ops[i], &events[i]);
    }
    err = save(s, call);
    if (s->witness) {
        int told = sim_witness_tell(s->witness, s->device, call, ops, events, n);

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

static void
look(struct sim *s, struct rk_dev_seen *seen)
{
    struct sim_iface *f = find_iface(s, seen->iface, &seen->err, seen->why);

    if (!f)
        return;
    s->behaviour->look(f, seen);
    if (s->witness)
        sim_witness_peer(s->witness, s->device, f, seen);
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
    for (size_t i = 0; i < n; i++)
        look(s, &seen[i]);
    return RK_OK;
}

static const struct rk_device_ops sim_ops = {
    .size = sizeof sim_ops,
    .apply = sim_apply,
    .observe = sim_observe,
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
