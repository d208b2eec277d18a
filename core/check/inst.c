/* inst.c - instances of the module: their options, and a peer that never answers. */
#include "check.h"

#include "../base/text.h"
#include "../conf/opt.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

static bool
add(struct rk_config *c, const char *name, const char *value)
{
    struct rk_setting *s = &c->settings[c->n++];

    return rk_copy(s->name, sizeof s->name, name) && rk_copy(s->value, sizeof s->value, value);
}

static bool
is_given(const struct rk_setting *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].name, name) == 0)
            return true;
    return false;
}

/* A channel's host wants a key for records; when the configuration has none, one of this run. */
static bool
add_auth_key(struct rk_check *ck, struct rk_config *c)
{
    char path[300], value[320], text[65];
    unsigned char bytes[32];
    int fd;

    snprintf(path, sizeof path, "%.250s/auth.key", ck->paths.dir);
    snprintf(value, sizeof value, "file:%s", path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
            return false;
        for (size_t i = 0; i < sizeof bytes; i++)
            snprintf(text + 2 * i, 3, "%02x", bytes[i]);
        if (write(fd, text, 64) != 64 || write(fd, "\n", 1) != 1)
            return false;
        close(fd);
    }
    return add(c, rk_channel_opts[0].name, value);
}

/* ---- a silent peer ---- */

/* Whoever connects is let wait: connections are made by the kernel, and nobody takes them.  0: there is no listener */
static unsigned
silent_port(void)
{
    static unsigned port;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd;

    if (port)
        return port;
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 512) == 0 &&
        getsockname(fd, (struct sockaddr *)&at, &len) == 0)
        port = ntohs(at.sin_port); /* open until this process ends */
    return port;
}

static const struct rk_opt *
address_option(const struct rk_check_host *h)
{
    for (const struct rk_opt *o = h->hello.opts; o && o->name; o++)
        if (o->type == RK_OPT_URL && strcmp(o->name, "proxy") != 0)
            return o;
    return rk_opt_find(h->hello.opts, "host");
}

bool
rk_check_silent(struct rk_check *ck, const struct rk_check_host *h, const char **why)
{
    *why = ck->eager ? "it cannot be made with a silent peer: see row init" : NULL;
    if (*why)
        return false;
    if (ck->conf.n_slow)
        return true;
    if (!address_option(h))
        *why = "no option of it is an address, and the configuration has no \"slow\" options";
    else if (!(ck->caps & RK_CAP_NEEDS_NET))
        *why = "it has no network, and the configuration has no \"slow\" options";
    else if (!silent_port())
        *why = "there is no listener on the loopback interface";
    return !*why;
}

/* The value of its address option that leads to the listener. */
static bool
add_silent(struct rk_check *ck, const struct rk_check_host *h, struct rk_config *c)
{
    const struct rk_opt *o = address_option(h);
    const char *scheme = o->type == RK_OPT_URL && o->choices && o->choices[0] ? o->choices[0] : "https";
    char value[128], port[16];

    (void)ck;
    snprintf(port, sizeof port, "%u", silent_port());
    snprintf(value, sizeof value, "%.40s://127.0.0.1:%s", scheme, port);
    if (o->type == RK_OPT_URL)
        return add(c, o->name, value);
    return add(c, o->name, "127.0.0.1") && (!rk_opt_find(h->hello.opts, "port") || add(c, "port", port));
}

static bool
replaced(const struct rk_check *ck, const struct rk_check_host *h, const char *name)
{
    const struct rk_opt *o;

    if (ck->conf.n_slow)
        return is_given(ck->conf.slow, ck->conf.n_slow, name);
    o = address_option(h);
    return strcmp(name, o->name) == 0 || (o->type != RK_OPT_URL && strcmp(name, "port") == 0);
}

/* ---- instances ---- */

static bool
add_options(struct rk_check *ck, const struct rk_check_host *h, struct rk_config *c, enum rk_check_with with)
{
    bool fine = true;

    for (size_t i = 0; i < ck->conf.n; i++)
        if (with != RK_CHECK_SLOW || !replaced(ck, h, ck->conf.options[i].name))
            fine = fine && add(c, ck->conf.options[i].name, ck->conf.options[i].value);
    for (size_t i = 0; with == RK_CHECK_SLOW && i < ck->conf.n_slow; i++)
        fine = fine && add(c, ck->conf.slow[i].name, ck->conf.slow[i].value);
    if (with == RK_CHECK_SLOW && !ck->conf.n_slow)
        fine = fine && add_silent(ck, h, c);
    if (ck->kind == RK_CHANNEL && !is_given(ck->conf.options, ck->conf.n, rk_channel_opts[0].name))
        fine = fine && add_auth_key(ck, c);
    return fine && add(c, RK_CONF_NAME, "check") && add(c, RK_CONF_SAE, ck->conf.sae) &&
           add(c, RK_CONF_STATE_DIR, ck->paths.dir);
}

int
rk_check_inst(struct rk_check *ck, struct rk_check_host *h, enum rk_check_with with)
{
    struct rk_config c = {.settings = calloc(ck->conf.n + ck->conf.n_slow + 8, sizeof *c.settings)};
    int err = c.settings && add_options(ck, h, &c, with) ? RK_OK : RK_E_NOMEM;

    if (!err)
        err = rk_check_host_config(h, &c);
    free(c.settings);
    return err;
}

const char *
rk_check_missing(const struct rk_check *ck, const struct rk_check_host *h)
{
    bool one_of = false, has_one = false;

    for (const struct rk_opt *o = h->hello.opts; o && o->name; o++) {
        bool given = is_given(ck->conf.options, ck->conf.n, o->name);

        if (o->flags & RK_OPT_REQUIRED && !given)
            return o->name;
        one_of |= (o->flags & RK_OPT_ONE_OF) != 0;
        has_one |= o->flags & RK_OPT_ONE_OF && given;
    }
    return one_of && !has_one ? "one of its alternatives" : NULL;
}
