/* dump.c - reads the kernel's answers, believing no length.  Pure; any thread. */
#include "dump.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/if_macsec.h>
#include <linux/rtnetlink.h>
#include <string.h>

bool
macsec_dump_ok(const struct nlmsghdr *nlh, int left)
{
    return left >= (int)sizeof *nlh && mnl_nlmsg_ok(nlh, left) && nlh->nlmsg_len <= (unsigned)left;
}

/* Reads a whole number of exactly size bytes in the machine's order. */
static bool
number(const struct nlattr *attr, void *out, size_t size)
{
    if (mnl_attr_get_payload_len(attr) != size)
        return false;
    memcpy(out, mnl_attr_get_payload(attr), size);
    return true;
}

static bool
flag(const struct nlattr *attr, bool *out)
{
    uint8_t v;

    if (!number(attr, &v, sizeof v))
        return false;
    *out = v != 0;
    return true;
}

/* The attributes behind nlh's own header: where, and how many bytes; false when the header is cut.
 * (libmnl's mnl_attr_for_each rounds the end of the message up, and so reads up to three bytes behind it.) */
struct body {
    const void *attrs;
    size_t len;
};

static bool
body_of(const struct nlmsghdr *nlh, size_t header, struct body *out)
{
    size_t begin = MNL_NLMSG_HDRLEN + MNL_ALIGN(header);

    if (nlh->nlmsg_len < begin)
        return false;
    out->attrs = mnl_nlmsg_get_payload_offset(nlh, header);
    out->len = nlh->nlmsg_len - begin;
    return true;
}

/* PNs have 32 or 64 bits. */
static bool
packet_number(const struct nlattr *attr, uint64_t *out)
{
    uint32_t narrow;

    if (number(attr, out, sizeof *out))
        return true;
    if (!number(attr, &narrow, sizeof narrow))
        return false;
    *out = narrow;
    return true;
}

static bool
sa_frames(const struct nlattr *stats, uint32_t *out)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, stats)
        if (mnl_attr_get_type(attr) == MACSEC_SA_STATS_ATTR_IN_PKTS_OK && !number(attr, out, sizeof *out))
            return false;
    return true;
}

/* One association, into its place of sas[MACSEC_ANS]. */
static bool
sa_read(const struct nlattr *nest, struct macsec_sa *sas)
{
    const struct nlattr *attr;
    struct macsec_sa sa = {.held = true};
    uint8_t an = MACSEC_ANS;
    bool ok = true;

    mnl_attr_for_each_nested(attr, nest) {
        switch (mnl_attr_get_type(attr)) {
        case MACSEC_SA_ATTR_AN: ok = number(attr, &an, sizeof an); break;
        case MACSEC_SA_ATTR_ACTIVE: ok = flag(attr, &sa.active); break;
        case MACSEC_SA_ATTR_PN: ok = packet_number(attr, &sa.pn); break;
        case MACSEC_SA_ATTR_KEYID: ok = number(attr, &sa.key_id, sizeof sa.key_id); break;
        case MACSEC_SA_ATTR_STATS: ok = sa_frames(attr, &sa.frames); break;
        default: break;
        }
        if (!ok)
            return false;
    }
    if (an >= MACSEC_ANS)
        return false;
    sas[an] = sa;
    return true;
}

static bool
sa_list(const struct nlattr *list, struct macsec_sa *sas)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, list)
        if (!sa_read(attr, sas))
            return false;
    return true;
}

static bool
rxsc_read(const struct nlattr *nest, struct macsec_rxsc *rxsc)
{
    const struct nlattr *attr;
    bool named = false;

    mnl_attr_for_each_nested(attr, nest) {
        uint16_t type = mnl_attr_get_type(attr);

        if (type == MACSEC_RXSC_ATTR_SCI && !(named = number(attr, &rxsc->sci, sizeof rxsc->sci)))
            return false;
        if (type == MACSEC_RXSC_ATTR_SA_LIST && !sa_list(attr, rxsc->sa))
            return false;
    }
    return named;
}

static bool
rxsc_list(const struct nlattr *list, struct macsec_secy *out)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, list) {
        if (out->n_rx == MACSEC_RXSCS) {
            out->rx_more = true;
            return true;
        }
        if (!rxsc_read(attr, &out->rx[out->n_rx]))
            return false;
        out->n_rx++;
    }
    return true;
}

static bool
secy_read(const struct nlattr *nest, struct macsec_secy *out)
{
    const struct nlattr *attr;
    bool named = false, ok = true;

    mnl_attr_for_each_nested(attr, nest) {
        switch (mnl_attr_get_type(attr)) {
        case MACSEC_SECY_ATTR_SCI: ok = named = number(attr, &out->sci, sizeof out->sci); break;
        case MACSEC_SECY_ATTR_ENCODING_SA: ok = number(attr, &out->encoding_sa, 1); break;
        case MACSEC_SECY_ATTR_WINDOW: ok = number(attr, &out->window, sizeof out->window); break;
        case MACSEC_SECY_ATTR_CIPHER_SUITE: ok = number(attr, &out->cipher_id, sizeof out->cipher_id); break;
        case MACSEC_SECY_ATTR_PROTECT: ok = flag(attr, &out->protect); break;
        case MACSEC_SECY_ATTR_REPLAY: ok = flag(attr, &out->replay); break;
        case MACSEC_SECY_ATTR_VALIDATE: ok = number(attr, &out->validate, 1); break;
        case MACSEC_SECY_ATTR_ENCRYPT: ok = flag(attr, &out->encrypt); break;
        default: break;
        }
        if (!ok)
            return false;
    }
    return named && out->encoding_sa < MACSEC_ANS;
}

int
macsec_dump_secy(const struct nlmsghdr *nlh, struct macsec_secy *out)
{
    const struct nlattr *attr;
    struct body body;
    bool named = false, ok = true;

    memset(out, 0, sizeof *out);
    if (!body_of(nlh, sizeof(struct genlmsghdr), &body))
        return RK_E_PROTOCOL;
    mnl_attr_for_each_payload(body.attrs, body.len) {
        switch (mnl_attr_get_type(attr)) {
        case MACSEC_ATTR_IFINDEX: ok = number(attr, &out->ifindex, sizeof out->ifindex); break;
        case MACSEC_ATTR_SECY: ok = named = secy_read(attr, out); break;
        case MACSEC_ATTR_TXSA_LIST: ok = sa_list(attr, out->tx); break;
        case MACSEC_ATTR_RXSC_LIST: ok = rxsc_list(attr, out); break;
        default: break;
        }
        if (!ok)
            return RK_E_PROTOCOL;
    }
    return named && out->ifindex ? RK_OK : RK_E_PROTOCOL;
}

static bool
is_macsec(const struct nlattr *info)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, info)
        if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
            return mnl_attr_get_payload_len(attr) >= sizeof MACSEC_GENL_NAME - 1 &&
                   strncmp(mnl_attr_get_payload(attr), MACSEC_GENL_NAME, mnl_attr_get_payload_len(attr)) == 0;
    return false;
}

int
macsec_dump_link(const struct nlmsghdr *nlh, struct macsec_link *out)
{
    const struct nlattr *attr;
    struct ifinfomsg ifi;
    struct body body;
    bool elsewhere = false;

    memset(out, 0, sizeof *out);
    if (nlh->nlmsg_type != RTM_NEWLINK || !body_of(nlh, sizeof ifi, &body))
        return RK_E_PROTOCOL;
    memcpy(&ifi, mnl_nlmsg_get_payload(nlh), sizeof ifi);
    out->ifindex = (uint32_t)ifi.ifi_index;
    out->flags = ifi.ifi_flags;
    mnl_attr_for_each_payload(body.attrs, body.len) {
        if (mnl_attr_get_type(attr) == IFLA_LINK && !number(attr, &out->parent, sizeof out->parent))
            return RK_E_PROTOCOL;
        if (mnl_attr_get_type(attr) == IFLA_LINK_NETNSID)
            elsewhere = true;
        if (mnl_attr_get_type(attr) == IFLA_LINKINFO)
            out->macsec = is_macsec(attr);
    }
    if (elsewhere)
        out->parent = 0; /* its number is one of another namespace */
    return ifi.ifi_index > 0 ? RK_OK : RK_E_PROTOCOL;
}

int
macsec_dump_family(const struct nlmsghdr *nlh, uint16_t *out)
{
    const struct nlattr *attr;
    struct body body;

    *out = 0;
    if (!body_of(nlh, sizeof(struct genlmsghdr), &body))
        return RK_E_PROTOCOL;
    mnl_attr_for_each_payload(body.attrs, body.len)
        if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID && !number(attr, out, sizeof *out))
            return RK_E_PROTOCOL;
    return *out ? RK_OK : RK_E_PROTOCOL;
}

int
macsec_dump_errno(const struct nlmsghdr *nlh)
{
    int err;

    if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof err)
        return EPROTO;
    memcpy(&err, mnl_nlmsg_get_payload(nlh), sizeof err);
    return err < 0 && err > -4096 ? -err : err == 0 ? 0 : EPROTO;
}
