/* lldp.c - channel "lldp": a record travels in the port description, or in an organisational TLV, of LLDP
 *
 * Links whose device cannot carry records go through lldpd on this host (publish, watch: wire.c); for those whose
 * device can, this is no more than the format and the judgement of neighbours (encode, decode).  Runs on worker threads
 * of rekey-host.  Nothing that is heard is believed here: the host checks the tag.
 */
#include "wire.h"

#include "../../common/keytext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 64
#define OUI_DEFAULT "02-72-6b"

enum { CARRY_DESCRIPTION, CARRY_TLV };

struct lldp {
    const struct rk_host *host;
    bool tlv;
    struct links *links;
    struct wire *wire;
};

static const char *const formats[] = {"rekey", "offbox", NULL};
static const char *const carries[] = {"description", "tlv", NULL};

static const struct rk_opt lldp_opts[] = {
    {.name = "socket", .type = RK_OPT_PATH,
     .help = "Socket of lldpd, one for each network namespace; the default is that of liblldpctl"},
    {.name = "format", .type = RK_OPT_ENUM, .choices = formats, .dflt = "rekey",
     .help = "rekey: the record with its tag; offbox: the key ID alone, as the script offbox.py writes and reads it"},
    {.name = "offbox-key", .type = RK_OPT_STRING, .min = 1, .max = LLDP_MEMBER_MAX, .dflt = "key_id",
     .help = "Name of the JSON member with the key ID, with the format offbox"},
    {.name = "carry", .type = RK_OPT_ENUM, .choices = carries, .dflt = "description",
     .help = "Where lldpd carries the record: in the port description, or in an organisational TLV"},
    {.name = "tlv-oui", .type = RK_OPT_STRING, .min = 8, .max = 8, .dflt = OUI_DEFAULT,
     .help = "OUI of that TLV; the same at both ends"},
    {.name = "tlv-subtype", .type = RK_OPT_INT, .min = 0, .max = 255, .dflt = "1",
     .help = "Subtype of that TLV; the same at both ends"},
    {.name = "refresh", .type = RK_OPT_DURATION, .min = 1000, .max = 60000, .dflt = "5s",
     .help = "How often all neighbours are read from lldpd, beside notices of changes"},
    {.name = NULL},
};

static void
lldp_fini(void *inst)
{
    struct lldp *c = inst;

    wire_free(c->wire);
    links_free(c->links);
    free(c);
}

/* ---- options ---- */

static bool
member_ok(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= LLDP_MEMBER_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len;
}

/* "02-72-6b", or with colons */
static bool
read_oui(const char *text, unsigned char out[3])
{
    for (int i = 0; i < 3; i++, text += 3) {
        if (rkp_hex_len(text, 2) != 1 || (i < 2 && text[2] != '-' && text[2] != ':'))
            return false;
        rkp_hex_get(text, 2, &out[i]);
    }
    return true;
}

static int
read_options(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, struct links_format *format,
             struct wire_conf *wire)
{
    const char *member = host->conf_str(conf, "offbox-key"), *oui = host->conf_str(conf, "tlv-oui");
    const char *path = host->conf_str(conf, "socket");

    format->format = host->conf_int(conf, "format") == LLDP_OFFBOX ? LLDP_OFFBOX : LLDP_REKEY;
    wire->carry.tlv = host->conf_int(conf, "carry") == CARRY_TLV;
    wire->carry.subtype = (int)host->conf_int(conf, "tlv-subtype");
    wire->refresh_ms = host->conf_int(conf, "refresh");
    if (!member || !member_ok(member))
        return host->fail(call, RK_E_CONFIG, "offbox-key: a name has letters, digits, '_', '.' and '-'");
    if (!oui || strlen(oui) != 8 || !read_oui(oui, wire->carry.oui))
        return host->fail(call, RK_E_CONFIG, "tlv-oui: three bytes in hex, as " OUI_DEFAULT);
    if (wire->carry.tlv && format->format == LLDP_OFFBOX)
        return host->fail(call, RK_E_CONFIG, "carry: with format: offbox it is description: the script knows no TLV");
    snprintf(format->member, sizeof format->member, "%s", member);
    if (path && !(wire->socket = strdup(path)))
        return host->fail(call, RK_E_NOMEM, "out of memory");
    return RK_OK;
}

static int
lldp_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    struct links_format format = {0};
    struct wire_conf wire = {0};
    struct lldp *c = calloc(1, sizeof *c);
    int err;

    if (!c)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    c->host = host;
    err = read_options(host, call, conf, &format, &wire);
    if (err)
        goto fail;
    c->tlv = wire.carry.tlv;
    c->links = links_new(&format);
    c->wire = c->links ? wire_new(host, c->links, &wire) : NULL;
    if (!c->wire) {
        err = host->fail(call, RK_E_NOMEM, "out of memory");
        goto fail;
    }
    *inst = c;
    return RK_OK;

fail:
    if (!c->wire)
        free(wire.socket);
    lldp_fini(c);
    return err;
}

/* ---- links ---- */

static bool
attach_ok(const struct rk_attach *link)
{
    return link->size >= sizeof *link && link->link &&
           (!link->on || (link->iface && link->peer_chassis && link->peer_port));
}

/* The port that a link leaves is to show the operator's text alone.  When lldpd is not there it forgets ours itself. */
static void
clear_port(const struct lldp *c, struct rk_call *call, struct links_job *left)
{
    int err = left->port[0] ? wire_show(c->wire, call, left) : RK_OK;

    if (err)
        c->host->log(call, RK_LOG_NOTICE, "ev=clear link=%s port=%s res=failed", left->link, left->port);
}

static int
lldp_attach(void *inst, struct rk_call *call, const struct rk_attach *link)
{
    const struct lldp *c = inst;
    struct links_job left;
    char why[200] = "";
    int err;

    if (!attach_ok(link))
        return c->host->fail(call, RK_E_CONTRACT, "attach without a link, or of an older core");
    if (!link->on) {
        links_drop(c->links, link->link, &left);
        clear_port(c, call, &left);
        return RK_OK;
    }
    if (link->carried && c->tlv)
        return c->host->fail(call, RK_E_CONFIG, "link %s: its device carries the record, in the port description; with "
                             "carry: tlv that cannot be: use a channel with carry: description", link->link);
    err = links_put(c->links, link, wire_now_ms(), &left, why);
    if (err)
        return c->host->fail(call, err, "%s", why);
    clear_port(c, call, &left);
    return RK_OK;
}

/* ---- records ---- */

static int
publish_one(const struct lldp *c, struct rk_call *call, const struct rk_post *post)
{
    struct links_job job;
    char why[200] = "";
    int err;

    if (strnlen(post->link, sizeof post->link) == sizeof post->link ||
        strnlen(post->record, sizeof post->record) == sizeof post->record)
        return c->host->fail(call, RK_E_CONTRACT, "a link or a record without end");
    err = links_show(c->links, post->link, post->record, &job, why);
    if (err == RK_E_EMPTY)
        return RK_OK;
    if (err)
        return c->host->fail(call, err, "%s", why);
    return wire_show(c->wire, call, &job);
}

static int
lldp_publish(void *inst, struct rk_call *call, struct rk_post *posts, size_t n)
{
    const struct lldp *c = inst;
    int first = RK_OK;

    for (size_t i = 0; i < n; i++) {
        posts[i].err = publish_one(c, call, &posts[i]);
        first = first ? first : posts[i].err;
    }
    return first;
}

static int
lldp_watch(void *inst, struct rk_call *call, struct rk_post *posts, size_t max, size_t *n)
{
    const struct lldp *c = inst;

    *n = 0;
    if (max == 0 || max > BATCH_MAX)
        return c->host->fail(call, RK_E_CONTRACT, "watch for %zu records; 1 to %d can be", max, BATCH_MAX);
    return wire_watch(c->wire, call, posts, max, n);
}

static int
lldp_encode(void *inst, struct rk_call *call, const struct rk_post *post, char *text)
{
    const struct lldp *c = inst;
    char why[200] = "";
    int err = links_encode(c->links, post->link, post->record, text, why);

    if (err == RK_E_EMPTY) { /* there was no key yet, and a device shows something */
        strcpy(text, "|{}");
        return RK_OK;
    }
    return err ? c->host->fail(call, err, "%s", why) : RK_OK;
}

static int
lldp_decode(void *inst, struct rk_call *call, const char *link, const struct rk_neighbour *seen, size_t n,
            struct rk_post *posts, size_t max, size_t *n_posts)
{
    const struct lldp *c = inst;
    int err = links_decode(c->links, link, (struct links_seen){seen, n}, wire_now_ms(), posts, max, n_posts);

    return err ? c->host->fail(call, err, "link %.32s: not attached", link) : RK_OK;
}

static int
lldp_test(void *inst, struct rk_call *call)
{
    const struct lldp *c = inst;

    return wire_test(c->wire, call);
}

static const struct rk_channel_ops lldp_ops = {
    .size = sizeof lldp_ops,
    .publish = lldp_publish,
    .watch = lldp_watch,
    .attach = lldp_attach,
    .encode = lldp_encode,
    .decode = lldp_decode,
    .test = lldp_test,
};

__attribute__((visibility("default"))) const struct rk_plugin lldp_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_CHANNEL, RK_CAP_BARE), /* with the format offbox alone */
    .name = "lldp",
    .version = PACKAGE_VERSION,
    .summary = "records in LLDP, by lldpd or by the devices",
    .opts = lldp_opts,
    .opt_size = sizeof(struct rk_opt),
    .init = lldp_init,
    .fini = lldp_fini,
    .ops = &lldp_ops,
};
