/* loader.c - the only file that knows libltdl.
 *
 * The order is the point: the file is checked before its code is mapped, the ABI number before anything else is
 * read of it, sizes before members, and everything before a function of it is called.
 */
#include "loader.h"

#include "safe.h"

#include "../base/text.h"
#include "../conf/opt.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <ltdl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Sizes in ABI 1.0: what every module of this major version has. */
#define END_OF(struct_, member) (offsetof(struct_, member) + sizeof(((struct_ *)0)->member))
#define PLUGIN_SIZE_1_0 END_OF(struct rk_plugin, ops)
#define OPT_SIZE_1_0 END_OF(struct rk_opt, help)
#define SOURCE_SIZE_1_0 END_OF(struct rk_source_ops, status)
#define DEVICE_SIZE_1_0 END_OF(struct rk_device_ops, observe)
#define CHANNEL_SIZE_1_0 END_OF(struct rk_channel_ops, watch)

/* Where a refusal is stated. */
struct refusal {
    const char *path;
    char *why;
    size_t size;
};

static int refuse(const struct refusal *r, int err, const char *fmt, ...) RK_PRINTF(3, 4);

static int
refuse(const struct refusal *r, int err, const char *fmt, ...)
{
    va_list ap;
    int n = snprintf(r->why, r->size, "%s: ", r->path);

    va_start(ap, fmt);
    if (n >= 0 && (size_t)n < r->size)
        vsnprintf(r->why + n, r->size - (size_t)n, fmt, ap);
    va_end(ap);
    rk_safe_text(r->why, r->size);
    return err;
}

int
rk_module_name(const char *path, char name[RK_NAME_MAX + 1])
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = strspn(base, "abcdefghijklmnopqrstuvwxyz0123456789-");

    name[0] = '\0';
    if (n == 0 || n > RK_NAME_MAX || strcmp(base + n, ".so") != 0)
        return RK_E_CONFIG;
    memcpy(name, base, n);
    name[n] = '\0';
    return RK_OK;
}

/* Who can write to a folder can put another module in the place of ours: also where, as in /tmp, nobody can remove it
 * who does not own it, for a name that is not there yet is free. */
static int
check_folder(const struct refusal *r, const char *path)
{
    const char *slash = strrchr(path, '/');
    int len = slash > path ? (int)(slash - path) : 1;
    char folder[PATH_MAX];
    struct stat st;

    if (snprintf(folder, sizeof folder, "%.*s", len, path) >= (int)sizeof folder)
        return refuse(r, RK_E_CONFIG, "longer than %zu bytes", sizeof folder - 1);
    if (stat(folder, &st) < 0)
        return refuse(r, RK_E_IO, "its folder %s: %s", folder, strerror(errno));
    if (st.st_mode & 022)
        return refuse(r, RK_E_UNSAFE, "its folder %s is writable by group or others; chmod go-w it", folder);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return refuse(r, RK_E_UNSAFE, "its folder %s is owned by another user (uid %lu); chown it to root", folder,
                      (unsigned long)st.st_uid);
    return RK_OK;
}

/* The folder that the path names, and where it is a link, that of the module itself. */
static int
check_folders(const struct refusal *r)
{
    char real[PATH_MAX];
    int err = check_folder(r, r->path);

    if (err)
        return err;
    if (!realpath(r->path, real))
        return refuse(r, RK_E_IO, "%s", strerror(errno));
    return check_folder(r, real);
}

static int
check_file(const struct refusal *r)
{
    struct stat st;

    if (r->path[0] != '/')
        return refuse(r, RK_E_CONFIG, "not an absolute path; give the module's full path");
    if (stat(r->path, &st) < 0)
        return refuse(r, errno == ENOENT ? RK_E_NOENT : RK_E_IO, "%s; is the plugin installed?", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(r, RK_E_UNSAFE, "not a regular file; give the path of a module");
    if (st.st_mode & 022)
        return refuse(r, RK_E_UNSAFE, "writable by group or others; chmod go-w it");
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return refuse(r, RK_E_UNSAFE, "owned by another user (uid %lu); chown it to root", (unsigned long)st.st_uid);
    return check_folders(r);
}

/* libltdl binds lazily, and a symbol that is missing would end the process in the middle of a call; so the object is
 * opened with all symbols bound first, and libltdl then finds it there. */
static lt_dlhandle
open_module(const char *path, const char **reason)
{
    lt_dladvise advise;
    lt_dlhandle h = NULL;

    if (!dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
        *reason = dlerror();
        return NULL;
    }
    if (lt_dladvise_init(&advise) == 0) {
        if (lt_dladvise_local(&advise) == 0)
            h = lt_dlopenadvise(path, advise);
        lt_dladvise_destroy(&advise);
    }
    if (!h)
        *reason = lt_dlerror();
    return h;
}

static const struct rk_plugin *
find_symbol(lt_dlhandle h, const char *name, char *symbol, size_t size)
{
    snprintf(symbol, size, "%s_LTX_rk_plugin", name);
    for (size_t i = 0; i < strlen(name); i++)
        if (symbol[i] == '-')
            symbol[i] = '_';
    return lt_dlsym(h, symbol);
}

static int
check_head(const struct refusal *r, const struct rk_plugin *p, const char *name)
{
    if (p->abi >> 16 != RK_ABI_MAJOR)
        return refuse(r, RK_E_UNSUPPORTED, "built for plugin ABI %u.%u, this rekeyd has %d.%d; build it against the "
                      "installed headers", p->abi >> 16, p->abi & 0xffff, RK_ABI_MAJOR, RK_ABI_MINOR);
    if (p->size < PLUGIN_SIZE_1_0)
        return refuse(r, RK_E_CONTRACT, "its struct rk_plugin has %u bytes, ABI 1.0 has %zu; begin it with "
                      "RK_PLUGIN_HEAD", p->size, PLUGIN_SIZE_1_0);
    if (p->kind < RK_SOURCE || p->kind > RK_CHANNEL)
        return refuse(r, RK_E_CONTRACT, "kind %u is neither source, device nor channel", p->kind);
    if (p->kind == RK_DEVICE && (RK_CAP_CLASS(p->caps) < RK_CLASS_A || RK_CAP_CLASS(p->caps) > RK_CLASS_E))
        return refuse(r, RK_E_CONTRACT, "device class %u is not known; set RK_CLASS_A to RK_CLASS_E in caps",
                      RK_CAP_CLASS(p->caps));
    if (!p->name || strcmp(p->name, name) != 0)
        return refuse(r, RK_E_CONTRACT, "the module calls itself \"%.40s\"; its file must be named so, with .so",
                      p->name ? p->name : "");
    if (!p->init || !p->fini || !p->ops)
        return refuse(r, RK_E_CONTRACT, "init, fini or ops is missing");
    return RK_OK;
}

/* The prefix that both know of a struct that begins with its size. */
static void
copy_prefix(void *dst, size_t dst_size, const void *src, size_t src_size)
{
    memset(dst, 0, dst_size);
    memcpy(dst, src, src_size < dst_size ? src_size : dst_size);
}

static int
copy_ops(const struct refusal *r, const struct rk_plugin *p, struct rk_module *m)
{
    static const size_t least[] = {
        [RK_SOURCE] = SOURCE_SIZE_1_0, [RK_DEVICE] = DEVICE_SIZE_1_0, [RK_CHANNEL] = CHANNEL_SIZE_1_0};
    uint32_t size;
    bool whole;

    memcpy(&size, p->ops, sizeof size);
    if (size < least[p->kind])
        return refuse(r, RK_E_CONTRACT, "its ops have %u bytes, ABI 1.0 has %zu; set .size to sizeof of the struct",
                      size, least[p->kind]);
    if (p->kind == RK_SOURCE) {
        copy_prefix(&m->source, sizeof m->source, p->ops, size);
        whole = m->source.get_new && m->source.get_by_id;
    } else if (p->kind == RK_DEVICE) {
        copy_prefix(&m->device, sizeof m->device, p->ops, size);
        whole = m->device.apply && m->device.observe;
    } else {
        copy_prefix(&m->channel, sizeof m->channel, p->ops, size);
        whole = m->channel.publish && m->channel.watch;
    }
    return whole ? RK_OK : refuse(r, RK_E_CONTRACT, "a function that its kind must have is NULL in ops");
}

static int
copy_opts(const struct refusal *r, const struct rk_plugin *p, struct rk_module *m)
{
    const char *row = (const char *)p->opts;
    char why[200] = "";

    if (row && p->opt_size < OPT_SIZE_1_0)
        return refuse(r, RK_E_CONTRACT, "its struct rk_opt has %u bytes, ABI 1.0 has %zu; set .opt_size", p->opt_size,
                      OPT_SIZE_1_0);
    m->opts = calloc(RK_OPTS_MAX + 1, sizeof *m->opts);
    if (!m->opts)
        return refuse(r, RK_E_NOMEM, "out of memory");
    for (; row; row += p->opt_size) {
        copy_prefix(&m->opts[m->n_opts], sizeof m->opts[0], row, p->opt_size);
        if (!m->opts[m->n_opts].name)
            break;
        if (m->n_opts++ == RK_OPTS_MAX - 1)
            return refuse(r, RK_E_CONTRACT, "more than %d options; end them with a row of NULL", RK_OPTS_MAX - 1);
    }
    if (rk_opts_sane(m->opts, why, sizeof why) != RK_OK)
        return refuse(r, RK_E_CONTRACT, "its options are wrong: %s", why);
    for (const struct rk_opt *o = rk_channel_opts; p->kind == RK_CHANNEL && o->name; o++)
        if (rk_opt_find(m->opts, o->name))
            return refuse(r, RK_E_CONTRACT, "option %s is the host's own; name it otherwise", o->name);
    for (const struct rk_opt *o = rk_device_opts; p->kind == RK_DEVICE && o->name; o++)
        if (rk_opt_find(m->opts, o->name))
            return refuse(r, RK_E_CONTRACT, "option %s is the core's own; name it otherwise", o->name);
    return RK_OK;
}

/* Members that struct rk_plugin did not have from the first: there when its size says so. */
static int
copy_newer(const struct refusal *r, const struct rk_plugin *p, struct rk_module *m)
{
    if (p->size >= END_OF(struct rk_plugin, apply_ms))
        m->apply_ms = p->apply_ms;
    if (m->apply_ms > RK_CALL_BUDGET_MAX_MS)
        return refuse(r, RK_E_CONTRACT, "apply_ms is %u, and %d at most", m->apply_ms, RK_CALL_BUDGET_MAX_MS);
    return RK_OK;
}

static int
copy_module(const struct refusal *r, const struct rk_plugin *p, struct rk_module *m)
{
    int err = copy_ops(r, p, m);

    if (!err)
        err = copy_opts(r, p, m);
    if (!err)
        err = copy_newer(r, p, m);
    if (err) {
        free(m->opts);
        m->opts = NULL;
        m->n_opts = 0;
        return err;
    }
    m->abi = p->abi;
    m->kind = p->kind;
    m->caps = p->caps;
    m->init = p->init;
    m->fini = p->fini;
    rk_safe_copy(m->version, sizeof m->version, p->version);
    rk_safe_copy(m->summary, sizeof m->summary, p->summary);
    return RK_OK;
}

int
rk_module_load(const char *path, struct rk_module *m, char *why, size_t size)
{
    const struct refusal r = {path, why, size};
    const struct rk_plugin *p;
    const char *reason = NULL;
    char symbol[RK_NAME_MAX + 32];
    lt_dlhandle h;
    int err;

    memset(m, 0, sizeof *m);
    why[0] = '\0';
    err = check_file(&r);
    if (err)
        return err;
    if (rk_module_name(path, m->name) != RK_OK)
        return refuse(&r, RK_E_CONFIG, "a module is named [a-z0-9-], at most %d letters, and .so", RK_NAME_MAX);
    if (lt_dlinit() != 0)
        return refuse(&r, RK_E_UNSUPPORTED, "libltdl cannot start: %s", lt_dlerror());
    h = open_module(path, &reason);
    if (!h)
        return refuse(&r, RK_E_UNSUPPORTED, "cannot be loaded: %s", reason ? reason : "unknown reason");
    p = find_symbol(h, m->name, symbol, sizeof symbol);
    if (!p)
        return refuse(&r, RK_E_UNSUPPORTED, "has no symbol %s; it is no plugin of rekeyd", symbol);
    err = check_head(&r, p, m->name);
    return err ? err : copy_module(&r, p, m);
}
