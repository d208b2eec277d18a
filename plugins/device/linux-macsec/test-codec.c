/* test-codec.c - names, derivations, messages and the reading of hostile dumps: all of linux-macsec that needs no
 * kernel */
#include "dump.h"
#include "msg.h"
#include "name.h"
#include "observe.h"
#include "sak.h"

#include "tests/plugin/fakehost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/if_macsec.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct rk_plugin linux_macsec_LTX_rk_plugin;

static const struct macsec_sci sci_a = {{2, 0, 0, 0, 0, 0x0a, 0, 1}};
static const struct macsec_sci sci_b = {{2, 0, 0, 0, 0, 0x0b, 0, 1}};
static const char uuid[] = "00112233-4455-6677-8899-aabbccddeeff";

static void
interface_names(void **state)
{
    static const char *const bad[] = {"", "@", "@eth0", "macsec0@", "a b", "a/b", "a:b", "a@b@c", ".", "..", "m@..",
                                      "sixteen-letters0", "m@sixteen-letters0", "m\x80"};
    struct macsec_names n;

    (void)state;
    assert_int_equal(macsec_names_parse("macsec0@eth0", &n), RK_OK);
    assert_string_equal(n.dev, "macsec0");
    assert_string_equal(n.parent, "eth0");
    assert_int_equal(macsec_names_parse("fifteen-letters@enp0s31f6.100", &n), RK_OK);
    assert_int_equal(macsec_names_parse("macsec0", &n), RK_OK);
    assert_string_equal(n.parent, "");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(macsec_names_parse(bad[i], &n), RK_E_CONFIG);
}

static void
sci_facts(void **state)
{
    static const char *const bad[] = {"",
                                      "sci=",
                                      "sci=02000000000a000",
                                      "sci=02000000000a00010",
                                      "SCI=02000000000a0001",
                                      "sci=02000000000a000g",
                                      "sci= 2000000000a0001",
                                      "sci=+2000000000a0001"};
    char text[MACSEC_SCI_TEXT + 1];
    struct macsec_sci sci;

    (void)state;
    macsec_sci_print(&sci_a, text);
    assert_string_equal(text, "sci=02000000000a0001");
    assert_int_equal(macsec_sci_parse(text, &sci), RK_OK);
    assert_memory_equal(&sci, &sci_a, sizeof sci);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(macsec_sci_parse(bad[i], &sci), RK_E_CONFIG);
}

static void
key_ids(void **state)
{
    /* printf 'rekey keyid v1\0opaque-1' | sha256sum */
    static const char opaque[] = "82b698f395d853bd7ea61a79afebe69e";
    struct macsec_key_id id;
    char text[MACSEC_KEY_ID_TEXT + 1], too_long[RK_KEY_ID_MAX + 2];

    (void)state;
    assert_int_equal(macsec_key_id_of(&fake_host, uuid, &id), RK_OK);
    macsec_key_id_print(&id, text);
    assert_string_equal(text, "00112233445566778899aabbccddeeff");
    assert_int_equal(macsec_key_id_of(&fake_host, "opaque-1", &id), RK_OK);
    macsec_key_id_print(&id, text);
    assert_string_equal(text, opaque);
    /* Nearly a UUID is an opaque ID. */
    assert_int_equal(macsec_key_id_of(&fake_host, "00112233-4455-6677-8899-aabbccddeefg", &id), RK_OK);
    assert_int_not_equal(id.bytes[15], 0xef);
    memset(too_long, 'x', sizeof too_long);
    too_long[RK_KEY_ID_MAX + 1] = '\0';
    assert_int_equal(macsec_key_id_of(&fake_host, too_long, &id), RK_E_CONTRACT);
    assert_int_equal(macsec_key_id_of(&fake_host, "", &id), RK_E_CONTRACT);
}

/* The option's choices and the table of ciphers are in the same order. */
static void
ciphers(void **state)
{
    const struct rk_opt *o = linux_macsec_LTX_rk_plugin.opts;
    size_t i;

    (void)state;
    assert_string_equal(o->name, "cipher");
    for (i = 0; o->choices[i]; i++) {
        assert_string_equal(macsec_cipher_at(i)->name, o->choices[i]);
        assert_ptr_equal(macsec_cipher_of(macsec_cipher_at(i)->id), macsec_cipher_at(i));
    }
    assert_null(macsec_cipher_at(i));
    assert_ptr_equal(macsec_cipher_of(MACSEC_DEFAULT_CIPHER_ID), macsec_cipher_at(0));
    assert_null(macsec_cipher_of(0));
}

static struct macsec_use
use_of(size_t cipher)
{
    struct macsec_use use = {"a-b", uuid, macsec_cipher_at(cipher), &sci_a, 7};

    return use;
}

static void
derivation(void **state)
{
    /* HKDF-SHA-256 of 32 bytes 0x01, info as in sak.h, made with another implementation */
    static const unsigned char sak_256[32] = {
        0x72, 0x6d, 0x96, 0x8b, 0xed, 0xda, 0xae, 0x09, 0x51, 0xe2, 0x72, 0x50, 0x94, 0xd0, 0x05, 0x65,
        0x97, 0x9b, 0xcb, 0x5f, 0x0a, 0xcf, 0x6a, 0x79, 0x31, 0xe2, 0x14, 0xd9, 0x9c, 0x71, 0x42, 0x6e};
    static const unsigned char salt_256[12] = {0xd3, 0xb3, 0x7d, 0x63, 0xad, 0xd8, 0xca, 0xfe, 0x18, 0x8a, 0x73, 0x55};
    unsigned char bytes[32];
    struct rk_secret *key, *sak, *salt, *other, *none;
    struct macsec_use use = use_of(3);

    (void)state;
    memset(bytes, 1, sizeof bytes);
    key = fake_secret(bytes, sizeof bytes);
    assert_int_equal(macsec_sak_derive(&fake_host, key, &use, &sak, &salt), RK_OK);
    assert_true(fake_secret_is(sak, sak_256, sizeof sak_256));
    assert_true(fake_secret_is(salt, salt_256, sizeof salt_256));
    fake_host.secret_free(&sak);
    fake_host.secret_free(&salt);

    /* Each part of the use makes another key. */
    for (int i = 0; i < 5; i++) {
        use = use_of(i == 0 ? 1 : 3);
        use.sender = i == 1 ? &sci_b : &sci_a;
        use.seq = i == 2 ? 11 : 7; /* in the same slot */
        use.link = i == 3 ? "a-c" : "a-b";
        use.key_id = i == 4 ? "00112233-4455-6677-8899-aabbccddeef0" : uuid;
        assert_int_equal(macsec_sak_derive(&fake_host, key, &use, &other, &none), RK_OK);
        assert_int_equal(none == NULL, i == 0);
        assert_false(fake_secret_is(other, sak_256, sizeof sak_256));
        fake_host.secret_free(&other);
        fake_host.secret_free(&none);
    }
    fake_host.secret_free(&key);

    key = fake_secret(bytes, 16);
    use = use_of(0);
    assert_int_equal(macsec_sak_derive(&fake_host, key, &use, &sak, &salt), RK_OK);
    assert_int_equal(fake_host.secret_len(sak), 16);
    assert_null(salt);
    fake_host.secret_free(&sak);
    use = use_of(1);
    assert_int_equal(macsec_sak_derive(&fake_host, key, &use, &sak, &salt), RK_E_KEY_SIZE);
    assert_null(sak);
    fake_host.secret_free(&key);
    assert_int_equal(macsec_ssci(&sci_a, &sci_b), 2);
    assert_int_equal(macsec_ssci(&sci_b, &sci_a), 1);
}

/* Finds the attribute `type` in a nest; NULL when it is not there. */
static const struct nlattr *
inside(const struct nlattr *nest, uint16_t type)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, nest)
        if (mnl_attr_get_type(attr) == type)
            return attr;
    return NULL;
}

static const struct nlattr *
at_top(const struct nlmsghdr *nlh, size_t header, uint16_t type)
{
    const struct nlattr *attr;

    mnl_attr_for_each(attr, nlh, header)
        if (mnl_attr_get_type(attr) == type)
            return attr;
    return NULL;
}

/* Attribute of the association of a request. */
static const struct nlattr *
of_sa(const struct nlmsghdr *nlh, uint16_t type)
{
    const struct nlattr *sa = at_top(nlh, sizeof(struct genlmsghdr), MACSEC_ATTR_SA_CONFIG);

    return sa ? inside(sa, type) : NULL;
}

static uint8_t
command(const struct nlmsghdr *nlh)
{
    const struct genlmsghdr *genl = mnl_nlmsg_get_payload(nlh);

    assert_int_equal(genl->version, 1);
    assert_int_equal(nlh->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
    return genl->cmd;
}

static void
add_messages(void **state)
{
    _Alignas(8) unsigned char buf[MACSEC_MSG_MAX] = {0};
    struct nlmsghdr *nlh = (void *)buf;
    unsigned char bytes[32];
    struct rk_secret *sak, *salt;
    struct macsec_new_sa sa = {.place = {7, &sci_b, 2}, .key_id = {{9}}, .ssci = 2};
    const struct nlattr *rxsc;

    (void)state;
    memset(bytes, 0x5a, sizeof bytes);
    sa.sak = sak = fake_secret(bytes, 32);
    assert_int_equal(macsec_msg_sa_add(buf, 30, &sa, &fake_host), RK_OK);
    assert_int_equal(command(nlh), MACSEC_CMD_ADD_RXSA);
    assert_int_equal(nlh->nlmsg_type, 30);
    rxsc = at_top(nlh, sizeof(struct genlmsghdr), MACSEC_ATTR_RXSC_CONFIG);
    assert_memory_equal(mnl_attr_get_payload(inside(rxsc, MACSEC_RXSC_ATTR_SCI)), &sci_b, 8);
    assert_int_equal(mnl_attr_get_u8(of_sa(nlh, MACSEC_SA_ATTR_AN)), 2);
    assert_int_equal(mnl_attr_get_u8(of_sa(nlh, MACSEC_SA_ATTR_ACTIVE)), 1);
    assert_int_equal(mnl_attr_get_payload_len(of_sa(nlh, MACSEC_SA_ATTR_PN)), 4);
    assert_int_equal(mnl_attr_get_u32(of_sa(nlh, MACSEC_SA_ATTR_PN)), 1);
    assert_int_equal(mnl_attr_get_payload_len(of_sa(nlh, MACSEC_SA_ATTR_KEYID)), 16);
    assert_int_equal(mnl_attr_get_payload_len(of_sa(nlh, MACSEC_SA_ATTR_KEY)), 32);
    assert_memory_equal(mnl_attr_get_payload(of_sa(nlh, MACSEC_SA_ATTR_KEY)), bytes, 32);
    assert_null(of_sa(nlh, MACSEC_SA_ATTR_SSCI));
    assert_null(of_sa(nlh, MACSEC_SA_ATTR_SALT));

    sa.place.rxsc = NULL;
    sa.salt = salt = fake_secret(bytes, MACSEC_SALT_LEN);
    assert_int_equal(macsec_msg_sa_add(buf, 30, &sa, &fake_host), RK_OK);
    assert_int_equal(command(nlh), MACSEC_CMD_ADD_TXSA);
    assert_null(at_top(nlh, sizeof(struct genlmsghdr), MACSEC_ATTR_RXSC_CONFIG));
    assert_int_equal(mnl_attr_get_payload_len(of_sa(nlh, MACSEC_SA_ATTR_PN)), 8);
    assert_int_equal(mnl_attr_get_u64(of_sa(nlh, MACSEC_SA_ATTR_PN)), 1);
    assert_int_equal(mnl_attr_get_u32(of_sa(nlh, MACSEC_SA_ATTR_SSCI)), htonl(2));
    assert_int_equal(mnl_attr_get_payload_len(of_sa(nlh, MACSEC_SA_ATTR_SALT)), 12);
    fake_host.secret_free(&sak);
    fake_host.secret_free(&salt);
}

static void
other_messages(void **state)
{
    _Alignas(8) unsigned char buf[MACSEC_MSG_MAX] = {0};
    struct macsec_place rx = {7, &sci_b, 2}, tx = {7, NULL, 2};
    const struct nlmsghdr *nlh;

    (void)state;
    nlh = macsec_msg_sa_off(buf, 30, rx);
    assert_int_equal(command(nlh), MACSEC_CMD_UPD_RXSA);
    assert_int_equal(mnl_attr_get_u8(of_sa(nlh, MACSEC_SA_ATTR_ACTIVE)), 0);
    assert_null(of_sa(nlh, MACSEC_SA_ATTR_PN)); /* the packet number is never set back */
    assert_int_equal(command(macsec_msg_sa_off(buf, 30, tx)), MACSEC_CMD_UPD_TXSA);
    assert_int_equal(command(macsec_msg_sa_delete(buf, 30, rx)), MACSEC_CMD_DEL_RXSA);
    assert_int_equal(command(macsec_msg_sa_delete(buf, 30, tx)), MACSEC_CMD_DEL_TXSA);
    assert_int_equal(command(macsec_msg_rxsc(buf, 30, true, rx)), MACSEC_CMD_ADD_RXSC);
    assert_int_equal(command(macsec_msg_rxsc(buf, 30, false, rx)), MACSEC_CMD_DEL_RXSC);
    nlh = macsec_msg_dump(buf, 30);
    assert_int_equal(nlh->nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
    nlh = macsec_msg_encoding(buf, 7, 3);
    assert_int_equal(nlh->nlmsg_type, RTM_NEWLINK);
    assert_int_equal(nlh->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK); /* never makes an interface */
}

static void
new_link_message(void **state)
{
    _Alignas(8) unsigned char buf[MACSEC_MSG_MAX] = {0};
    struct macsec_new_link link = {"macsec0", 5, 2, 64, macsec_cipher_at(1)};
    const struct nlmsghdr *nlh = macsec_msg_new_link(buf, &link);
    const struct nlattr *info = at_top(nlh, sizeof(struct ifinfomsg), IFLA_LINKINFO),
                        *data = inside(info, IFLA_INFO_DATA);

    (void)state;
    assert_int_equal(nlh->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
    assert_string_equal(mnl_attr_get_str(at_top(nlh, sizeof(struct ifinfomsg), IFLA_IFNAME)), "macsec0");
    assert_int_equal(mnl_attr_get_u32(at_top(nlh, sizeof(struct ifinfomsg), IFLA_LINK)), 5);
    assert_string_equal(mnl_attr_get_str(inside(info, IFLA_INFO_KIND)), "macsec");
    assert_int_equal(mnl_attr_get_u16(inside(data, IFLA_MACSEC_PORT)), htons(2));
    assert_true(mnl_attr_get_u64(inside(data, IFLA_MACSEC_CIPHER_SUITE)) == MACSEC_CIPHER_ID_GCM_AES_256);
    assert_int_equal(mnl_attr_get_u8(inside(data, IFLA_MACSEC_ENCRYPT)), 1);
    assert_int_equal(mnl_attr_get_u8(inside(data, IFLA_MACSEC_VALIDATION)), MACSEC_VALIDATE_STRICT);
    assert_int_equal(mnl_attr_get_u8(inside(data, IFLA_MACSEC_REPLAY_PROTECT)), 1);
    assert_int_equal(mnl_attr_get_u32(inside(data, IFLA_MACSEC_WINDOW)), 64);
}

static void
put_sa(struct nlmsghdr *nlh, uint8_t an, uint8_t active, uint64_t pn, unsigned char key, uint32_t frames)
{
    struct nlattr *sa = mnl_attr_nest_start(nlh, (uint16_t)(an + 1)), *stats;
    unsigned char id[16] = {key};

    mnl_attr_put_u8(nlh, MACSEC_SA_ATTR_AN, an);
    mnl_attr_put_u8(nlh, MACSEC_SA_ATTR_ACTIVE, active);
    if (pn > UINT32_MAX)
        mnl_attr_put_u64(nlh, MACSEC_SA_ATTR_PN, pn);
    else
        mnl_attr_put_u32(nlh, MACSEC_SA_ATTR_PN, (uint32_t)pn);
    mnl_attr_put(nlh, MACSEC_SA_ATTR_KEYID, sizeof id, id);
    stats = mnl_attr_nest_start(nlh, MACSEC_SA_ATTR_STATS);
    mnl_attr_put_u32(nlh, MACSEC_SA_STATS_ATTR_IN_PKTS_OK, frames);
    mnl_attr_nest_end(nlh, stats);
    mnl_attr_nest_end(nlh, sa);
}

/* A dump as the kernel sends it: one transmit association on 1, n channels with associations on 1 and 2. */
static struct nlmsghdr *
put_dump(unsigned char *buf, unsigned channels)
{
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
    struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(nlh, sizeof *genl);
    struct nlattr *nest;

    nlh->nlmsg_type = 30;
    mnl_attr_put_u32(nlh, MACSEC_ATTR_IFINDEX, 7);
    nest = mnl_attr_nest_start(nlh, MACSEC_ATTR_SECY);
    mnl_attr_put(nlh, MACSEC_SECY_ATTR_SCI, 8, &sci_a);
    mnl_attr_put_u8(nlh, MACSEC_SECY_ATTR_ENCODING_SA, 1);
    mnl_attr_put_u32(nlh, MACSEC_SECY_ATTR_WINDOW, 64);
    mnl_attr_put_u64(nlh, MACSEC_SECY_ATTR_CIPHER_SUITE, MACSEC_CIPHER_ID_GCM_AES_256);
    mnl_attr_put_u8(nlh, MACSEC_SECY_ATTR_PROTECT, 1);
    mnl_attr_put_u8(nlh, MACSEC_SECY_ATTR_REPLAY, 1);
    mnl_attr_put_u8(nlh, MACSEC_SECY_ATTR_VALIDATE, MACSEC_VALIDATE_STRICT);
    mnl_attr_put_u8(nlh, MACSEC_SECY_ATTR_ENCRYPT, 1);
    mnl_attr_nest_end(nlh, nest);
    nest = mnl_attr_nest_start(nlh, MACSEC_ATTR_TXSA_LIST);
    put_sa(nlh, 1, 1, 5, 0x11, 0);
    mnl_attr_nest_end(nlh, nest);
    nest = mnl_attr_nest_start(nlh, MACSEC_ATTR_RXSC_LIST);
    for (unsigned i = 0; i < channels; i++) {
        struct nlattr *rxsc = mnl_attr_nest_start(nlh, (uint16_t)(i + 1)), *sas;
        struct macsec_sci sci = sci_b;

        sci.bytes[0] = (unsigned char)(2 + i);
        mnl_attr_put(nlh, MACSEC_RXSC_ATTR_SCI, 8, &sci);
        sas = mnl_attr_nest_start(nlh, MACSEC_RXSC_ATTR_SA_LIST);
        put_sa(nlh, 1, 1, UINT64_C(0x100000005), 0x11, 3);
        put_sa(nlh, 2, 0, 1, 0x22, 0);
        mnl_attr_nest_end(nlh, sas);
        mnl_attr_nest_end(nlh, rxsc);
    }
    mnl_attr_nest_end(nlh, nest);
    return nlh;
}

static void
reads_a_dump(void **state)
{
    _Alignas(8) unsigned char buf[8192] = {0};
    struct macsec_secy s;

    (void)state;
    assert_int_equal(macsec_dump_secy(put_dump(buf, 1), &s), RK_OK);
    assert_int_equal(s.ifindex, 7);
    assert_memory_equal(&s.sci, &sci_a, 8);
    assert_int_equal(s.encoding_sa, 1);
    assert_true(s.encrypt && s.protect && s.replay);
    assert_false(s.tx[0].held);
    assert_true(s.tx[1].held && s.tx[1].active);
    assert_int_equal(s.tx[1].pn, 5);
    assert_int_equal(s.n_rx, 1);
    assert_true(s.rx[0].sa[1].pn == UINT64_C(0x100000005));
    assert_int_equal(s.rx[0].sa[1].frames, 3);
    assert_true(s.rx[0].sa[2].held && !s.rx[0].sa[2].active);
    assert_false(s.rx_more);
    memset(buf, 0, sizeof buf);
    assert_int_equal(macsec_dump_secy(put_dump(buf, MACSEC_RXSCS + 1), &s), RK_OK);
    assert_int_equal(s.n_rx, MACSEC_RXSCS);
    assert_true(s.rx_more);
}

/* Reads a copy that ends where its bytes end, so that a sanitizer sees each byte too far. */
static int
read_exact(const unsigned char *bytes, size_t len)
{
    struct nlmsghdr *nlh = malloc(len);
    struct macsec_secy s;
    struct macsec_link l;
    uint16_t family;
    int err = RK_E_PROTOCOL;

    assert_non_null(nlh);
    memcpy(nlh, bytes, len);
    if (macsec_dump_ok(nlh, (int)len)) {
        err = macsec_dump_secy(nlh, &s);
        (void)macsec_dump_link(nlh, &l);
        (void)macsec_dump_family(nlh, &family);
        (void)macsec_dump_errno(nlh);
        if (!err)
            assert_true(s.encoding_sa < MACSEC_ANS && s.n_rx <= MACSEC_RXSCS);
    }
    free(nlh);
    return err;
}

static void
survives_hostile_dumps(void **state)
{
    _Alignas(8) unsigned char buf[8192] = {0}, cut[8192];
    struct nlmsghdr *nlh = put_dump(buf, 2), *cut_nlh = (void *)cut;
    size_t len = nlh->nlmsg_len;

    (void)state;
    assert_int_equal(read_exact(buf, len), RK_OK);
    for (size_t n = sizeof *nlh; n < len; n++) { /* cut anywhere, and saying so or not */
        memcpy(cut, buf, n);
        assert_int_not_equal(read_exact(cut, n), RK_OK);
        cut_nlh->nlmsg_len = (uint32_t)n;
        (void)read_exact(cut, n);
    }
    memcpy(cut, buf, len);
    cut_nlh->nlmsg_len = UINT32_MAX - 5;
    assert_false(macsec_dump_ok(cut_nlh, (int)len));
    for (size_t i = sizeof *nlh; i < len; i++) /* each byte wrong in many ways */
        for (unsigned v = 0; v < 256; v += 5) {
            memcpy(cut, buf, len);
            cut[i] = (unsigned char)v;
            (void)read_exact(cut, len);
        }
}

static void
refuses_nonsense(void **state)
{
    _Alignas(8) unsigned char buf[8192] = {0};
    struct nlmsghdr *nlh = put_dump(buf, 1);
    struct macsec_secy s;
    struct nlattr *nest;

    (void)state;
    nest = mnl_attr_nest_start(nlh, MACSEC_ATTR_TXSA_LIST); /* association 4 */
    put_sa(nlh, 4, 1, 1, 1, 0);
    mnl_attr_nest_end(nlh, nest);
    assert_int_equal(macsec_dump_secy(nlh, &s), RK_E_PROTOCOL);
    memset(buf, 0, sizeof buf);
    nlh = put_dump(buf, 1);
    nest = mnl_attr_nest_start(nlh, MACSEC_ATTR_SECY);
    mnl_attr_put_u8(nlh, MACSEC_SECY_ATTR_ENCODING_SA, 4);
    mnl_attr_nest_end(nlh, nest);
    assert_int_equal(macsec_dump_secy(nlh, &s), RK_E_PROTOCOL);
    memset(buf, 0, sizeof buf);
    nlh = mnl_nlmsg_put_header(buf);
    assert_int_equal(macsec_dump_secy(nlh, &s), RK_E_PROTOCOL);
    assert_int_equal(macsec_dump_errno(nlh), EPROTO);
}

/* What observe makes of a dump. */
static void
sees_what_is_held(void **state)
{
    _Alignas(8) unsigned char buf[8192] = {0};
    struct macsec_inst inst = {.host = &fake_host, .cipher = macsec_cipher_at(1)};
    struct macsec_iface f = {.text = "macsec0", .read = true, .link = {.flags = IFF_UP | IFF_RUNNING}};
    struct rk_dev_seen seen = {.peer_facts = "sci=02000000000b0001",
                               .key_ids = {"11000000-0000-0000-0000-000000000000", NULL,
                                           "22000000-0000-0000-0000-000000000000", "none"},
                               .seqs = {5, 0, 6, 7}};

    (void)state;
    assert_int_equal(macsec_dump_secy(put_dump(buf, 1), &f.secy), RK_OK);
    macsec_look(&inst, &f, &seen);
    assert_int_equal(seen.err, RK_OK);
    assert_int_equal(seen.state, RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED);
    assert_int_equal(seen.held[0], RK_HELD_RX | RK_HELD_TX | RK_SENDING | RK_PEER_USES);
    assert_int_equal(seen.held[1], 0);
    assert_int_equal(seen.held[2], 0); /* there, but switched off: cannot receive */
    assert_int_equal(seen.held[3], 0);
    assert_int_equal(seen.foreign, 0);
    assert_string_equal(seen.facts, "sci=02000000000a0001");

    /* What ACTIVATE would refuse is in no transmit slot: another number, or switched off. */
    seen.seqs[0] = 4;
    macsec_look(&inst, &f, &seen);
    assert_int_equal(seen.held[0], RK_HELD_RX | RK_SENDING | RK_PEER_USES);
    seen.seqs[0] = 5;
    f.secy.tx[1].active = false;
    macsec_look(&inst, &f, &seen);
    assert_int_equal(seen.held[0], RK_HELD_RX | RK_PEER_USES);
    assert_false(seen.state & RK_IF_OTHER); /* nothing is sent at all */
    f.secy.tx[1].active = true;

    /* A packet number alone is no evidence of the peer: anyone can set it. */
    f.secy.rx[0].sa[1].frames = 0;
    f.secy.rx[0].sa[1].pn = 100;
    macsec_look(&inst, &f, &seen);
    assert_int_equal(seen.held[0], RK_HELD_RX | RK_HELD_TX | RK_SENDING);

    /* In use, and not asked for. */
    seen.key_ids[0] = NULL;
    macsec_look(&inst, &f, &seen);
    assert_int_equal(seen.state, RK_IF_PRESENT | RK_IF_UP | RK_IF_PROTECTED | RK_IF_OTHER);

    /* Nothing asked: both are foreign, and named.  A peer with another SCI cannot be received from. */
    memset(&seen, 0, sizeof seen);
    seen.peer_facts = "sci=02000000000c0001";
    seen.key_ids[0] = "11000000-0000-0000-0000-000000000000";
    seen.seqs[0] = 1;
    macsec_look(&inst, &f, &seen);
    assert_int_equal(seen.held[0], RK_HELD_TX | RK_SENDING);
    assert_int_equal(seen.foreign, 1);
    assert_string_equal(seen.why, "22000000000000000000000000000000");

    /* Packet numbers: above the threshold; used up (the kernel switches off and counts from 0). */
    f.secy.tx[1].pn = UINT64_C(0xC0000000);
    macsec_look(&inst, &f, &seen);
    assert_false(seen.state & RK_IF_REKEY);
    f.secy.tx[1].pn++;
    macsec_look(&inst, &f, &seen);
    assert_true(seen.state & RK_IF_REKEY);
    inst.cipher = macsec_cipher_at(3);
    macsec_look(&inst, &f, &seen);
    assert_false(seen.state & RK_IF_REKEY);
    inst.pn_threshold = 3;
    macsec_look(&inst, &f, &seen);
    assert_true(seen.state & RK_IF_REKEY);
    f.secy.tx[1].active = false;
    f.secy.tx[1].pn = 0;
    memset(&seen, 0, sizeof seen);
    macsec_look(&inst, &f, &seen);
    assert_true(seen.state & RK_IF_REKEY);
    assert_int_equal(seen.foreign, 2);
}

static void
options(void **state)
{
    static const char *const pairs[] = {"pn-threshold", "4294967296", "cipher", "gcm-aes-256", NULL};
    struct rk_conf conf = {pairs, linux_macsec_LTX_rk_plugin.opts};
    struct rk_call call;
    void *inst;

    (void)state;
    fake_call(&call, 1000);
    assert_int_equal(linux_macsec_LTX_rk_plugin.init(&fake_host, &call, &conf, &inst), RK_E_CONFIG);
    assert_non_null(strstr(call.text, "xpn"));
    conf.pairs = NULL;
    assert_int_equal(linux_macsec_LTX_rk_plugin.init(&fake_host, &call, &conf, &inst), RK_OK);
    assert_int_equal(((struct macsec_inst *)inst)->window, 64);
    assert_int_equal(((struct macsec_inst *)inst)->port, 1);
    assert_string_equal(((struct macsec_inst *)inst)->cipher->name, "gcm-aes-256");
    linux_macsec_LTX_rk_plugin.fini(inst);
    fake_call_end(&call);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interface_names),
        cmocka_unit_test(sci_facts),
        cmocka_unit_test(key_ids),
        cmocka_unit_test(ciphers),
        cmocka_unit_test(derivation),
        cmocka_unit_test(add_messages),
        cmocka_unit_test(other_messages),
        cmocka_unit_test(new_link_message),
        cmocka_unit_test(reads_a_dump),
        cmocka_unit_test(survives_hostile_dumps),
        cmocka_unit_test(refuses_nonsense),
        cmocka_unit_test(sees_what_is_held),
        cmocka_unit_test(options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
