/* msg.c - writes netlink requests.  Pure; any thread. */
#include "msg.h"

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/if_macsec.h>
#include <linux/rtnetlink.h>
#include <string.h>

static struct nlmsghdr *
begin(void *buf, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | flags;
    return nlh;
}

static struct nlmsghdr *
begin_genl(void *buf, uint16_t family, uint8_t cmd, uint16_t flags)
{
    struct nlmsghdr *nlh = begin(buf, family, flags);
    struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(nlh, sizeof *genl);

    genl->cmd = cmd;
    genl->version = 1;
    return nlh;
}

static struct nlmsghdr *
begin_link(void *buf, uint16_t type, uint32_t ifindex, uint16_t flags)
{
    struct nlmsghdr *nlh = begin(buf, type, NLM_F_ACK | flags);
    struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof *ifi);

    ifi->ifi_index = (int)ifindex;
    return nlh;
}

struct nlmsghdr *
macsec_msg_family(void *buf)
{
    struct nlmsghdr *nlh = begin_genl(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK);

    mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, MACSEC_GENL_NAME);
    return nlh;
}

struct nlmsghdr *
macsec_msg_dump(void *buf, uint16_t family)
{
    return begin_genl(buf, family, MACSEC_CMD_GET_TXSC, NLM_F_DUMP);
}

struct nlmsghdr *
macsec_msg_get_link(void *buf, const char *name)
{
    struct nlmsghdr *nlh = begin_link(buf, RTM_GETLINK, 0, 0);

    mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
    return nlh;
}

struct nlmsghdr *
macsec_msg_new_link(void *buf, const struct macsec_new_link *link)
{
    struct nlmsghdr *nlh = begin_link(buf, RTM_NEWLINK, 0, NLM_F_CREATE | NLM_F_EXCL);
    struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
    struct nlattr *info, *data;

    ifi->ifi_flags = ifi->ifi_change = IFF_UP;
    mnl_attr_put_strz(nlh, IFLA_IFNAME, link->dev);
    mnl_attr_put_u32(nlh, IFLA_LINK, link->parent);
    info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
    mnl_attr_put_strz(nlh, IFLA_INFO_KIND, MACSEC_GENL_NAME);
    data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
    mnl_attr_put_u16(nlh, IFLA_MACSEC_PORT, htons(link->port));
    mnl_attr_put_u64(nlh, IFLA_MACSEC_CIPHER_SUITE, link->cipher->id);
    mnl_attr_put_u8(nlh, IFLA_MACSEC_ENCRYPT, 1);
    mnl_attr_put_u8(nlh, IFLA_MACSEC_PROTECT, 1);
    mnl_attr_put_u8(nlh, IFLA_MACSEC_INC_SCI, 1);
    mnl_attr_put_u8(nlh, IFLA_MACSEC_REPLAY_PROTECT, 1);
    mnl_attr_put_u32(nlh, IFLA_MACSEC_WINDOW, link->window);
    mnl_attr_put_u8(nlh, IFLA_MACSEC_VALIDATION, MACSEC_VALIDATE_STRICT);
    mnl_attr_nest_end(nlh, data);
    mnl_attr_nest_end(nlh, info);
    return nlh;
}

struct nlmsghdr *
macsec_msg_encoding(void *buf, uint32_t ifindex, uint8_t an)
{
    struct nlmsghdr *nlh = begin_link(buf, RTM_NEWLINK, ifindex, 0);
    struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO), *data;

    mnl_attr_put_strz(nlh, IFLA_INFO_KIND, MACSEC_GENL_NAME);
    data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
    mnl_attr_put_u8(nlh, IFLA_MACSEC_ENCODING_SA, an);
    mnl_attr_nest_end(nlh, data);
    mnl_attr_nest_end(nlh, info);
    return nlh;
}

/* A command on the channel or association at place, up to the channel. */
static struct nlmsghdr *
begin_place(void *buf, uint16_t family, uint8_t cmd, const struct macsec_place *place)
{
    struct nlmsghdr *nlh = begin_genl(buf, family, cmd, NLM_F_ACK);

    mnl_attr_put_u32(nlh, MACSEC_ATTR_IFINDEX, place->ifindex);
    if (place->rxsc) {
        struct nlattr *rxsc = mnl_attr_nest_start(nlh, MACSEC_ATTR_RXSC_CONFIG);

        mnl_attr_put(nlh, MACSEC_RXSC_ATTR_SCI, sizeof place->rxsc->bytes, place->rxsc->bytes);
        if (cmd == MACSEC_CMD_ADD_RXSC)
            mnl_attr_put_u8(nlh, MACSEC_RXSC_ATTR_ACTIVE, 1);
        mnl_attr_nest_end(nlh, rxsc);
    }
    return nlh;
}

struct nlmsghdr *
macsec_msg_rxsc(void *buf, uint16_t family, bool add, struct macsec_place place)
{
    return begin_place(buf, family, add ? MACSEC_CMD_ADD_RXSC : MACSEC_CMD_DEL_RXSC, &place);
}

struct nlmsghdr *
macsec_msg_sa_off(void *buf, uint16_t family, struct macsec_place place)
{
    uint8_t cmd = place.rxsc ? MACSEC_CMD_UPD_RXSA : MACSEC_CMD_UPD_TXSA;
    struct nlmsghdr *nlh = begin_place(buf, family, cmd, &place);
    struct nlattr *sa = mnl_attr_nest_start(nlh, MACSEC_ATTR_SA_CONFIG);

    mnl_attr_put_u8(nlh, MACSEC_SA_ATTR_AN, place.an);
    mnl_attr_put_u8(nlh, MACSEC_SA_ATTR_ACTIVE, 0);
    mnl_attr_nest_end(nlh, sa);
    return nlh;
}

struct nlmsghdr *
macsec_msg_sa_delete(void *buf, uint16_t family, struct macsec_place place)
{
    uint8_t cmd = place.rxsc ? MACSEC_CMD_DEL_RXSA : MACSEC_CMD_DEL_TXSA;
    struct nlmsghdr *nlh = begin_place(buf, family, cmd, &place);
    struct nlattr *sa = mnl_attr_nest_start(nlh, MACSEC_ATTR_SA_CONFIG);

    mnl_attr_put_u8(nlh, MACSEC_SA_ATTR_AN, place.an);
    mnl_attr_nest_end(nlh, sa);
    return nlh;
}

struct put {
    struct nlmsghdr *nlh;
    uint16_t type;
};

static int
put_secret(const unsigned char *bytes, size_t len, void *arg)
{
    struct put *put = arg;

    mnl_attr_put(put->nlh, put->type, len, bytes);
    return RK_OK;
}

int
macsec_msg_sa_add(void *buf, uint16_t family, const struct macsec_new_sa *new_sa, const struct rk_host *host)
{
    uint8_t cmd = new_sa->place.rxsc ? MACSEC_CMD_ADD_RXSA : MACSEC_CMD_ADD_TXSA;
    struct nlmsghdr *nlh = begin_place(buf, family, cmd, &new_sa->place);
    struct nlattr *sa = mnl_attr_nest_start(nlh, MACSEC_ATTR_SA_CONFIG);
    struct put key = {nlh, MACSEC_SA_ATTR_KEY}, salt = {nlh, MACSEC_SA_ATTR_SALT};
    int err;

    mnl_attr_put_u8(nlh, MACSEC_SA_ATTR_AN, new_sa->place.an);
    mnl_attr_put_u8(nlh, MACSEC_SA_ATTR_ACTIVE, 1);
    mnl_attr_put(nlh, MACSEC_SA_ATTR_KEYID, sizeof new_sa->key_id.bytes, new_sa->key_id.bytes);
    if (new_sa->salt) {
        mnl_attr_put_u64(nlh, MACSEC_SA_ATTR_PN, 1);
        mnl_attr_put_u32(nlh, MACSEC_SA_ATTR_SSCI, htonl(new_sa->ssci));
        err = host->secret_use(new_sa->salt, put_secret, &salt);
        if (err)
            return err;
    } else {
        mnl_attr_put_u32(nlh, MACSEC_SA_ATTR_PN, 1);
    }
    err = host->secret_use(new_sa->sak, put_secret, &key);
    mnl_attr_nest_end(nlh, sa);
    return err;
}
