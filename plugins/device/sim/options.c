/* options.c - the options of the simulated device, and what becomes of them. */
#include "options.h"

#include "cak.h"
#include "find.h"
#include "lldp.h"

#include <stdlib.h>
#include <string.h>

static const char *const class_names[SIM_CLASSES + 1] = {"a", "b", "c", "d", "e", NULL};

const struct rk_opt sim_opts[] = {
    {.name = "class", .type = RK_OPT_ENUM, .dflt = "a", .choices = class_names,
     .help = "Device class to behave as"},
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
    {.name = "mka-hello", .type = RK_OPT_DURATION, .min = 1, .max = 3600000, .dflt = "2s",
     .help = "Classes b to e: hello time of MKA; a peer that is not heard for three of them is gone"},
    {.name = "ring", .type = RK_OPT_INT, .unit = "slots", .min = SIM_RING_MIN, .max = SIM_RING_MAX, .dflt = "4",
     .help = "Class d: keys that its chain has room for"},
    {.name = "clock-offset", .type = RK_OPT_INT, .unit = "ms", .min = -86400000, .max = 86400000, .dflt = "0",
     .help = "Class d: the device's clock minus that of this host"},
    {.name = "time-zone", .type = RK_OPT_INT, .unit = "minutes", .min = -840, .max = 840, .dflt = "0",
     .help = "Class d: the device's local time minus UTC"},
    {.name = "discover", .type = RK_OPT_STRING, .flags = RK_OPT_LIST, .unit = "bytes", .min = 1, .max = 1000,
     .help = "A link that discover finds: INTERFACE SAE PEER-SAE PEER-INTERFACE [OPTION=VALUE ...] [!WHY]; - for none"},
    {.name = "discover-file", .type = RK_OPT_PATH,
     .help = "File with more of them, one a line, read at each discover; while it is not there, sim is unreachable"},
    {.name = "prepared-file", .type = RK_OPT_PATH,
     .help = "File in which prepare --apply writes down for which interfaces it was done"},
    {.name = "lldp-dir", .type = RK_OPT_PATH,
     .help = "Directory, the same for both ends, in which each end shows its descriptions and hears its neighbours'"},
    {.name = "lldp-delay", .type = RK_OPT_DURATION, .min = 0, .max = 3600000, .dflt = "0ms",
     .help = "How long it takes until a description that was set is advertised"},
    {.name = "cable", .type = RK_OPT_STRING, .flags = RK_OPT_LIST, .unit = "bytes", .min = 5, .max = 200,
     .help = "What an interface is connected to, for lldp-dir: INTERFACE DEVICE INTERFACE"},
    {.name = "description", .type = RK_OPT_STRING, .unit = "bytes", .min = 1, .max = 255,
     .help = "The operator's own description of each interface, which stays before what is shown"},
    {.name = NULL},
};

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

static void
read_mka(struct sim *s, const struct rk_conf *conf)
{
    struct sim_device *d = s->device;

    d->hello_ns = s->host->conf_int(conf, "mka-hello") * 1000000;
    d->ring = (size_t)s->host->conf_int(conf, "ring");
    d->clock_offset_ms = s->host->conf_int(conf, "clock-offset");
    d->zone_minutes = (int)s->host->conf_int(conf, "time-zone");
}

int
sim_options(struct sim *s, struct rk_call *call, const struct rk_conf *conf)
{
    const struct sim_class *class = sim_classes[s->host->conf_int(conf, "class")];

    s->latency_ms = s->host->conf_int(conf, "latency");
    s->mode = (enum sim_mode)s->host->conf_int(conf, "mode");
    s->fault_every = (uint64_t)s->host->conf_int(conf, "fault-every");
    s->fault_observe = s->host->conf_int(conf, "fault-observe") != 0;
    s->device = sim_device_new(s->host, s->host->conf_str(conf, RK_CONF_NAME), class);
    if (!s->device || !copy_ifaces(s, conf) || !copy_text(s, conf, "state-file", &s->state_file) ||
        !copy_text(s, conf, "mode-file", &s->mode_file))
        return s->host->fail(call, RK_E_NOMEM, "out of memory");
    read_mka(s, conf);
    if (!sim_find_options(s, conf) || !sim_lldp_options(s, conf))
        return s->host->fail(call, RK_E_NOMEM, "out of memory");
    return RK_OK;
}
