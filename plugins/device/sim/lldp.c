/* lldp.c - descriptions that are shown and heard by LLDP, as files of a directory that both ends have.
 *
 * DEVICE:INTERFACE has a line for each description that is advertised now or will be: from when on (CLOCK_BOOTTIME,
 * [ms]), and the text, escaped.  A test may put beside it the same with ".frozen" behind its name, which is heard
 * instead, and with ".second", which is heard as well, of another chassis.
 */
#include "lldp.h"

#include "keep.h"

#include "../../common/files.h"
#include "../../common/keytext.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES (3 * SIM_TEXT_MAX + 40)
#define NAME_BYTES (3 * (RK_IFACE_MAX + 32) + 20)
#define TTL_S 120

bool
sim_lldp_options(struct sim *s, const struct rk_conf *conf)
{
    const char *dir = s->host->conf_str(conf, "lldp-dir"), *text = s->host->conf_str(conf, "description");
    size_t n = 0;
    bool ok;

    s->lldp.delay_ms = s->host->conf_int(conf, "lldp-delay");
    s->lldp.dir = dir ? strdup(dir) : NULL;
    s->lldp.operator_text = text ? strdup(text) : NULL;
    while (s->host->conf_item(conf, "cable", n))
        n++;
    s->lldp.cables = calloc(n + 1, sizeof(char *));
    ok = (!dir || s->lldp.dir) && (!text || s->lldp.operator_text) && s->lldp.cables;
    for (size_t i = 0; ok && i < n; i++) {
        s->lldp.cables[i] = strdup(s->host->conf_item(conf, "cable", i));
        ok = s->lldp.cables[i] != NULL;
    }
    return ok;
}

void
sim_lldp_free(struct sim *s)
{
    for (size_t i = 0; s->lldp.cables && s->lldp.cables[i]; i++)
        free(s->lldp.cables[i]);
    free(s->lldp.cables);
    free(s->lldp.dir);
    free(s->lldp.operator_text);
}

/* ---- showing ---- */

/* The operator's text stays in front; a record has a blank between, what begins with a bar has none. */
static int
whole_text(const struct sim *s, const char *text, char *out, size_t size)
{
    const char *own = s->lldp.operator_text ? s->lldp.operator_text : "";
    bool blank = own[0] && text[0] && text[0] != '|';

    return snprintf(out, size, "%s%s%s", own, blank ? " " : "", text);
}

bool
sim_lldp_fits(struct sim *s, struct rk_dev_op *op)
{
    char text[2 * SIM_TEXT_MAX + 2];

    if (!op->text || !s->lldp.operator_text || whole_text(s, op->text, text, sizeof text) <= SIM_TEXT_MAX)
        return true;
    op->err = sim_refuse(op, RK_E_CONFIG, "the description of %.64s and the record do not fit into %d octets",
                         op->iface, SIM_TEXT_MAX);
    return false;
}

static void
file_name(const char *device, const char *iface, char name[NAME_BYTES])
{
    sim_escape(device, name);
    strcat(name, ":");
    sim_escape(iface, name + strlen(name));
}

/* What is advertised of the file at now_ms;  *next_ms: when something else will be, SIM_NEVER.   ret: is it there */
static bool
read_file(int dir_fd, const char *name, int64_t now_ms, char text[LINE_MAX_BYTES], int64_t *next_ms)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    char line[LINE_MAX_BYTES], escaped[LINE_MAX_BYTES];
    long long from_ms;

    text[0] = '\0';
    *next_ms = SIM_NEVER;
    if (!in && fd >= 0)
        close(fd);
    while (in && fgets(line, sizeof line, in)) {
        escaped[0] = '\0';
        if (sscanf(line, "%lld %s", &from_ms, escaped) < 1)
            continue;
        if (from_ms <= now_ms)
            strcpy(text, escaped);
        else if (from_ms < *next_ms)
            *next_ms = from_ms;
    }
    if (in)
        fclose(in);
    return in != NULL;
}

/* What waits to be advertised is replaced; then the new one goes when that one would have gone. */
static int
write_file(struct sim *s, int dir_fd, const char *name, const char *text)
{
    int64_t now_ms = s->device->clock.boot_ns() / 1000000, from_ms = now_ms + s->lldp.delay_ms, next_ms;
    char lines[2 * LINE_MAX_BYTES + 80], before[LINE_MAX_BYTES], escaped[3 * SIM_TEXT_MAX + 1];
    int n = 0;

    if (read_file(dir_fd, name, now_ms, before, &next_ms))
        n = snprintf(lines, sizeof lines, "0 %s\n", before);
    if (next_ms < from_ms)
        from_ms = next_ms;
    sim_escape(text, escaped);
    n += snprintf(lines + n, sizeof lines - (size_t)n, "%lld %s\n", (long long)from_ms, escaped);
    return rkp_replace(dir_fd, name, (struct rkp_bytes){lines, (size_t)n}, 0600, false);
}

void
sim_lldp_show(struct sim *s, const struct sim_iface *f, struct rk_dev_op *op)
{
    char name[NAME_BYTES], text[2 * SIM_TEXT_MAX + 2];
    struct rkp_why why;
    int dir_fd;

    if (!s->lldp.dir)
        return;
    op->err = rkp_open_dir(s->lldp.dir, RKP_NOT_SHARED, &dir_fd, &why);
    if (op->err) {
        (void)sim_refuse(op, op->err, "lldp-dir: %.120s", why.text);
        return;
    }
    file_name(s->device->name, f->name, name);
    whole_text(s, f->text ? f->text : "", text, sizeof text);
    if (write_file(s, dir_fd, name, text))
        op->err = sim_refuse(op, RK_E_IO, "lldp-dir: the description of %.64s cannot be written: %s", f->name,
                             strerror(errno));
    close(dir_fd);
}

/* ---- hearing ---- */

struct hearer {
    struct sim *s;
    int dir_fd;
    const char *iface;
    rk_neighbour_fn *found;
    void *arg;
};

struct other_end {
    char device[200], iface[200];
};

static bool
cable_of(const struct sim *s, const char *iface, struct other_end *o)
{
    char own[200];

    for (size_t i = 0; s->lldp.cables[i]; i++)
        if (sscanf(s->lldp.cables[i], "%199s %199s %199s", own, o->device, o->iface) == 3 && strcmp(own, iface) == 0)
            return strlen(o->device) <= 32 && strlen(o->iface) <= RK_IFACE_MAX;
    return false;
}

static char *
unescape(char *text)
{
    char *out = text;

    for (const char *in = text; *in; in++) {
        if (*in == '%' && rkp_hex_len(in + 1, strnlen(in + 1, 2)) == 1) {
            unsigned char c;

            rkp_hex_get(in + 1, 2, &c);
            *out++ = (char)c;
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
    return text;
}

static int
hear_file(const struct hearer *h, const char *name, const char *chassis, const struct other_end *o)
{
    int64_t now_ms = h->s->device->clock.boot_ns() / 1000000, next_ms;
    char text[LINE_MAX_BYTES];
    struct rk_neighbour seen = {.size = sizeof seen, .ttl_s = TTL_S, .iface = h->iface, .chassis = chassis,
                                .port = o->iface, .system = o->device, .description = text};

    if (!read_file(h->dir_fd, name, now_ms, text, &next_ms) || !text[0])
        return RK_OK;
    unescape(text);
    return h->found(h->arg, &seen);
}

/* The chassis ID is made of the device's name, so that a test can know it: a MAC address of local significance. */
static int
chassis_of(const struct sim *s, const char *device, char out[18])
{
    unsigned char d[32];
    int err = s->host->sha256(device, strlen(device), d);

    snprintf(out, 18, "02:%02x:%02x:%02x:%02x:%02x", d[0], d[1], d[2], d[3], d[4]);
    return err;
}

static int
hear(struct hearer *h, struct rk_call *call, const char *iface)
{
    char name[NAME_BYTES], beside[NAME_BYTES], chassis[18];
    struct other_end o;
    int err;

    if (!cable_of(h->s, iface, &o))
        return RK_OK;
    h->iface = iface;
    if (chassis_of(h->s, o.device, chassis))
        return h->s->host->fail(call, RK_E_NOMEM, "out of memory");
    file_name(o.device, o.iface, name);
    snprintf(beside, sizeof beside, "%s.frozen", name);
    err = hear_file(h, faccessat(h->dir_fd, beside, F_OK, 0) == 0 ? beside : name, chassis, &o);
    snprintf(beside, sizeof beside, "%s.second", name);
    return err ? err : hear_file(h, beside, "02:00:00:00:00:02", &o);
}

int
sim_neighbours(void *inst, struct rk_call *call, const char *const *ifaces, size_t n, rk_neighbour_fn *found, void *arg)
{
    struct sim *s = inst;
    struct hearer h = {.s = s, .found = found, .arg = arg};
    struct rkp_why why;
    int err;

    if (!s->lldp.dir)
        return s->host->fail(call, RK_E_UNSUPPORTED, "device %s has no lldp-dir, so it hears nothing", s->device->name);
    err = rkp_open_dir(s->lldp.dir, RKP_NOT_SHARED, &h.dir_fd, &why);
    if (err)
        return s->host->fail(call, err, "lldp-dir: %s", why.text);
    for (size_t i = 0; !err && i < n; i++)
        err = hear(&h, call, ifaces[i]);
    close(h.dir_fd);
    return err;
}
