/* iface.c - finds, makes and adopts MACsec interfaces, never deletes or changes one.  One call at a time. */
#include "iface.h"

#include "dump.h"
#include "msg.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DUMPS_MAX 8 /* a dump that others disturb is asked for again, this often */

int
macsec_say(char *why, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, RK_WHY_MAX, fmt, ap);
    va_end(ap);
    return err;
}

int
macsec_refused(char *why, struct macsec_act act, int refusal)
{
    switch (refusal) {
    case EPERM:
    case EACCES:
        return macsec_say(why, RK_E_AUTH, "%s: %s: not permitted: needs CAP_NET_ADMIN in the initial user namespace",
                          act.dev, act.what);
    case ENOENT:
        return macsec_say(why, RK_E_UNSUPPORTED, "%s: %s: the kernel lacks a module, as gcm(aes): modprobe macsec gcm",
                          act.dev, act.what);
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
        return macsec_say(why, RK_E_UNSUPPORTED, "%s: %s: not offered by the kernel: modprobe macsec", act.dev,
                          act.what);
    case ENODEV:
        return macsec_say(why, RK_E_NOENT, "%s: %s: it is no longer there", act.dev, act.what);
    case EBUSY:
    case EEXIST:
        return macsec_say(why, RK_E_CONFLICT, "%s: %s: the place is taken: see ip macsec show", act.dev, act.what);
    case ENOMEM:
    case ENOBUFS:
        return macsec_say(why, RK_E_NOMEM, "%s: %s: the kernel is out of memory", act.dev, act.what);
    default:
        return macsec_say(why, RK_E_REJECTED, "%s: %s: refused: %s", act.dev, act.what, strerror(refusal));
    }
}

int
macsec_failed(char *why, struct macsec_act act, int err)
{
    const char *text = err == RK_E_CANCELED ? "given up"
                       : err == RK_E_TIMEOUT ? "the budget ended"
                       : err == RK_E_UNKNOWN ? "no answer from the kernel, it may be done"
                       : err == RK_E_NOMEM ? "out of memory"
                       : err == RK_E_PROTOCOL ? "cannot read the kernel's answer"
                       : err == RK_E_UNSUPPORTED ? "the kernel has no netlink with NETLINK_CAP_ACK (Linux 4.3 or later)"
                       : err == RK_E_BUSY ? "others change interfaces all the time"
                                          : "netlink failed";

    return macsec_say(why, err, "%s: %s: %s", act.dev, act.what, text);
}

static int
take_link(const struct nlmsghdr *nlh, void *arg)
{
    return macsec_dump_link(nlh, arg);
}

/* Finds the interface `name`; link->ifindex is 0 when it is not there. */
static int
link_find(struct macsec_call *c, const char *name, struct macsec_link *link, char *why)
{
    struct macsec_act act = {name, "look it up"};
    int refusal, err;

    memset(link, 0, sizeof *link);
    macsec_msg_get_link(c->inst->nl.out, name);
    err = macsec_nl_ask(&c->inst->nl, MACSEC_ROUTE, &c->time, take_link, link, &refusal);
    if (err)
        return macsec_failed(why, act, err);
    if (refusal && refusal != ENODEV)
        return macsec_refused(why, act, refusal);
    return RK_OK;
}

static int
not_there(struct macsec_iface *f)
{
    if (!f->names.parent[0])
        return macsec_say(f->why, RK_E_NOENT, "%s is not there: make it, or write \"%s@PARENT\" to have it made",
                          f->names.dev, f->names.dev);
    return macsec_say(f->why, RK_E_NOENT, "%s is not there; it is made when a key is installed", f->names.dev);
}

static int
make(struct macsec_call *c, struct macsec_iface *f, const struct macsec_link *parent)
{
    struct macsec_new_link link = {.parent = parent->ifindex, .port = c->inst->port, .window = c->inst->window,
                                   .cipher = c->inst->cipher};
    struct macsec_act act = {f->text, "make the MACsec interface"};
    int refusal, err;

    memcpy(link.dev, f->names.dev, sizeof link.dev);
    macsec_msg_new_link(c->inst->nl.out, &link);
    err = macsec_nl_ask(&c->inst->nl, MACSEC_ROUTE, &c->time, NULL, NULL, &refusal);
    if (err)
        return macsec_failed(f->why, act, err);
    if (refusal == EBUSY)
        return macsec_say(f->why, RK_E_CONFLICT,
                          "%s: %s has a MACsec interface with port %u: name that, or set another port", f->text,
                          f->names.parent, c->inst->port);
    if (refusal && refusal != EEXIST) /* made by another in between: adopted below */
        return macsec_refused(f->why, act, refusal);
    if (!refusal)
        c->time.host->log(c->time.call, RK_LOG_NOTICE, "ev=create iface=%s parent=%s cipher=%s port=%u window=%u",
                          f->names.dev, f->names.parent, c->inst->cipher->name, c->inst->port, c->inst->window);
    return link_find(c, f->names.dev, &f->link, f->why);
}

/* The interface itself: found or made, on the right parent. */
static int
find(struct macsec_call *c, struct macsec_iface *f)
{
    struct macsec_link parent = {0};
    int err = macsec_names_parse(f->text, &f->names);

    if (err)
        return macsec_say(f->why, err, "interface \"%s\": want DEVICE or DEVICE@PARENT, as macsec0@eth0", f->text);
    err = link_find(c, f->names.dev, &f->link, f->why);
    f->absent = !err && !f->link.ifindex;
    if (!err && f->names.parent[0])
        err = link_find(c, f->names.parent, &parent, f->why);
    if (err)
        return err;
    if (!f->link.ifindex && !(f->wanted && f->names.parent[0]))
        return not_there(f);
    if (f->names.parent[0] && !parent.ifindex)
        return macsec_say(f->why, RK_E_NOENT, "%s: %s is not there", f->text, f->names.parent);
    if (!f->link.ifindex && !(parent.flags & IFF_UP))
        return macsec_say(f->why, RK_E_UNREACHABLE, "%s: %s is down: ip link set %s up", f->text, f->names.parent,
                          f->names.parent);
    if (!f->link.ifindex)
        err = make(c, f, &parent);
    if (!err && !f->link.ifindex)
        return not_there(f);
    if (!err && !f->link.macsec)
        return macsec_say(f->why, RK_E_CONFIG, "%s is no MACsec interface: name one, or a free name", f->names.dev);
    if (!err && parent.ifindex && f->link.parent != parent.ifindex)
        return macsec_say(f->why, RK_E_CONFIG, "%s is there, but not on %s: name its own parent, or another device",
                          f->names.dev, f->names.parent);
    return err;
}

/* Is an interface as the options want it?  It is never changed: that would be an outage, or someone else's choice. */
static int
fits(const struct macsec_inst *inst, struct macsec_iface *f)
{
    const struct macsec_secy *s = &f->secy;
    const struct macsec_cipher *cipher = macsec_cipher_of(s->cipher_id);
    const char *dev = f->names.dev, *fix = "ip link set";
    unsigned port = (unsigned)s->sci.bytes[6] << 8 | s->sci.bytes[7];

    if (cipher != inst->cipher)
        return macsec_say(f->why, RK_E_CONFIG, "%s has cipher %s, the option cipher says %s: they must agree", dev,
                          cipher ? cipher->name : "unknown", inst->cipher->name);
    if (!s->encrypt || !s->protect)
        return macsec_say(f->why, RK_E_CONFIG, "%s does not %s: %s %s type macsec %s on", dev,
                          s->encrypt ? "protect" : "encrypt", fix, dev, s->encrypt ? "protect" : "encrypt");
    if (s->validate != MACSEC_VALIDATE_STRICT)
        return macsec_say(f->why, RK_E_CONFIG, "%s takes frames that are not valid: %s %s type macsec validate strict",
                          dev, fix, dev);
    if (!s->replay || s->window > inst->window)
        return macsec_say(f->why, RK_E_CONFIG, "%s: replay protection is %s: %s %s type macsec replay on window %u",
                          dev, s->replay ? "wider than replay-window" : "off", fix, dev, inst->window);
    if (f->names.parent[0] && port != inst->port)
        return macsec_say(f->why, RK_E_CONFIG, "%s has port %u, the option port says %u: they must agree", dev, port,
                          inst->port);
    return RK_OK;
}

struct reading {
    struct macsec_iface *ifaces;
    size_t n;
    struct macsec_secy secy; /* of the message at hand */
};

static int
take_secy(const struct nlmsghdr *nlh, void *arg)
{
    struct reading *r = arg;
    int err = macsec_dump_secy(nlh, &r->secy);

    for (size_t i = 0; !err && i < r->n; i++)
        if (r->ifaces[i].link.ifindex == r->secy.ifindex) {
            r->ifaces[i].secy = r->secy;
            r->ifaces[i].read = true;
        }
    return err;
}

int
macsec_ifaces_read(struct macsec_call *c, struct macsec_iface *ifaces, size_t n, char *why)
{
    struct reading r = {.ifaces = ifaces, .n = n};
    struct macsec_act act = {"macsec", "read what the kernel holds"};
    int refusal = EINTR, err = RK_OK;

    for (int tries = 0; !err && refusal == EINTR && tries < DUMPS_MAX; tries++) {
        for (size_t i = 0; i < n; i++)
            ifaces[i].read = false;
        macsec_msg_dump(c->inst->nl.out, c->family);
        err = macsec_nl_ask(&c->inst->nl, MACSEC_GENERIC, &c->time, take_secy, &r, &refusal);
    }
    if (!err && refusal == EINTR)
        err = RK_E_BUSY;
    if (err)
        return macsec_failed(why, act, err);
    return refusal ? macsec_refused(why, act, refusal) : RK_OK;
}

static int
take_family(const struct nlmsghdr *nlh, void *arg)
{
    return macsec_dump_family(nlh, arg);
}

static int
family_find(struct macsec_call *c, char *why)
{
    struct macsec_act act = {"macsec", "find the kernel's MACsec"};
    int refusal, err;

    macsec_msg_family(c->inst->nl.out);
    err = macsec_nl_ask(&c->inst->nl, MACSEC_GENERIC, &c->time, take_family, &c->family, &refusal);
    if (err)
        return macsec_failed(why, act, err);
    if (refusal == ENOENT)
        return macsec_say(why, RK_E_UNSUPPORTED, "the kernel has no MACsec: modprobe macsec");
    return refusal ? macsec_refused(why, act, refusal) : RK_OK;
}

int
macsec_ifaces_load(struct macsec_call *c, struct macsec_iface *ifaces, size_t n, char *why)
{
    size_t found = 0;
    int err;

    for (size_t i = 0; i < n; i++) {
        ifaces[i].err = find(c, &ifaces[i]);
        if (ifaces[i].err)
            memset(&ifaces[i].link, 0, sizeof ifaces[i].link); /* not to be read or touched */
        else
            found++;
    }
    if (found == 0)
        return RK_OK;
    err = family_find(c, why);
    if (!err)
        err = macsec_ifaces_read(c, ifaces, n, why);
    for (size_t i = 0; !err && i < n; i++) {
        struct macsec_iface *f = &ifaces[i];

        if (!f->err)
            f->err = f->read ? fits(c->inst, f) : not_there(f);
    }
    return err;
}
