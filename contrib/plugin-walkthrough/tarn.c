/* tarn.c - Tarn switches: MACsec keys in two slots, primary and fallback (class B), by their command line over SSH
 *
 * An instance is one switch; its calls come one at a time.  Nothing is remembered but the session: what the switch
 * holds is asked of the switch.
 */
#include "cli.h"

#include <rekey/device.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CKN_CHARS 64 /* hex digits of a CKN */
#define CAK_BYTES 32 /* for GCM-AES-256 */
#define NONE "none"

struct tarn {
    const struct rk_host *host;
    struct cli cli;
};

/* What a port has: CKNs, or "-". */
struct port {
    char link[8], secure[16];
    char primary[CKN_CHARS + 1], fallback[CKN_CHARS + 1], used[CKN_CHARS + 1];
};

static int
refuse(char why[RK_WHY_MAX], int err, const char *text)
{
    snprintf(why, RK_WHY_MAX, "%.150s", text);
    return err;
}

/* ---- names and keys: both ends must make the same of a key ID and a key ---- */

/* Texts, each with its NUL behind it, one after the other; ret: bytes used. */
static size_t
join(char *to, const char *label, const char *link, const char *id)
{
    size_t n = (size_t)sprintf(to, "%s", label) + 1;

    if (link)
        n += (size_t)sprintf(to + n, "%s", link) + 1;
    return n + (size_t)sprintf(to + n, "%s", id) + 1;
}

static int
ckn_of(const struct tarn *t, const char *key_id, char ckn[CKN_CHARS + 1])
{
    char text[16 + RK_KEY_ID_MAX + 1];
    unsigned char digest[CKN_CHARS / 2];
    int err = t->host->sha256(text, join(text, "rekey ckn v1", NULL, key_id), digest);

    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(ckn + 2 * i, 3, "%02x", digest[i]);
    return err;
}

static int
add_hex(const unsigned char *bytes, size_t len, void *arg)
{
    for (char *to = strchr(arg, '\0'); len > 0; len--, to += 2)
        snprintf(to, 3, "%02x", *bytes++);
    return RK_OK;
}

/* The CAK of an operation, behind what line has already. */
static int
add_cak(const struct tarn *t, const struct rk_dev_op *op, char line[CLI_LINE])
{
    char text[16 + RK_LINK_MAX + 1 + RK_KEY_ID_MAX + 1];
    struct rk_secret *cak = NULL;
    int err = t->host->secret_derive(op->key, text, join(text, "rekey cak v1", op->link, op->key_id), CAK_BYTES, &cak);

    if (!err)
        t->host->secret_use(cak, add_hex, line);
    t->host->secret_free(&cak);
    return err;
}

/* ---- looking ---- */

static int
show(struct tarn *t, struct rk_call *call, const char *iface, struct port *p, char why[RK_WHY_MAX])
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/:._-";
    char line[CLI_LINE], answer[CLI_ANSWER];
    int err;

    if (iface[strspn(iface, good)])
        return refuse(why, RK_E_CONFIG, "no port has such a name"); /* it could be a command */
    snprintf(line, sizeof line, "show macsec %s", iface);
    err = cli_ask(&t->cli, call, line, answer);
    if (err)
        return refuse(why, err == RK_E_REJECTED ? RK_E_NOENT : err, err == RK_E_REJECTED ? answer : "no answer");
    if (sscanf(answer, "port %*s link %7s %15s primary %64s fallback %64s in-use %64s", p->link, p->secure, p->primary,
               p->fallback, p->used) != 5)
        return refuse(why, RK_E_PROTOCOL, "the answer to show is not that of a Tarn switch 3.x");
    return RK_OK;
}

static void
match(const struct tarn *t, const struct port *p, struct rk_dev_seen *seen)
{
    const char *have[] = {p->primary, p->fallback, p->used};
    static const uint32_t means[] = {RK_HELD_RX | RK_HELD_TX, RK_HELD_RX, RK_SENDING | RK_PEER_USES};
    char ckn[CKN_CHARS + 1];
    int asked[3] = {0};

    for (int k = 0; k < RK_SEEN_KEYS; k++)
        for (int i = 0; seen->key_ids[k] && i < 3; i++)
            if (ckn_of(t, seen->key_ids[k], ckn) == RK_OK && strcmp(ckn, have[i]) == 0) {
                seen->held[k] |= means[i];
                asked[i] = 1;
            }
    for (int i = 0; i < 2; i++)
        seen->foreign += !asked[i] && strcmp(have[i], "-") != 0;
    if (!asked[2] && strcmp(p->used, "-") != 0)
        seen->state |= RK_IF_OTHER;
}

static int
look(struct tarn *t, struct rk_call *call, struct rk_dev_seen *seen)
{
    struct port p;
    int err = show(t, call, seen->iface, &p, seen->why);

    if (err)
        return err;
    seen->state = RK_IF_PRESENT;
    seen->state |= strcmp(p.link, "up") == 0 ? RK_IF_UP : 0;
    seen->state |= strcmp(p.secure, "must-secure") == 0 ? RK_IF_PROTECTED : 0;
    match(t, &p, seen);
    return RK_OK;
}

static int
tarn_observe(void *inst, struct rk_call *call, struct rk_dev_seen *seen, size_t n)
{
    struct tarn *t = inst;
    int err = cli_ready(&t->cli, call);

    for (size_t i = 0; i < n && !err; i++) {
        seen[i].err = look(t, call, &seen[i]);
        err = cli_is_open(&t->cli) ? RK_OK : seen[i].err;
    }
    return err;
}

/* ---- changing ---- */

static bool
has(const struct port *p, const char *ckn)
{
    return strcmp(p->primary, ckn) == 0 || strcmp(p->fallback, ckn) == 0;
}

static const char *
or_none(const char *ckn)
{
    return strcmp(ckn, "-") == 0 ? NONE : ckn;
}

/* The key of "keep=ID"; of "keep=": the one in use. */
static int
find_keep(const struct tarn *t, struct rk_dev_op *op, const struct port *p, char keep[CKN_CHARS + 1])
{
    const char *id = op->text && strncmp(op->text, "keep=", 5) == 0 ? op->text + 5 : "";
    int err = RK_OK;

    if (id[0])
        err = ckn_of(t, id, keep);
    else
        snprintf(keep, CKN_CHARS + 1, "%s", strcmp(p->used, "-") ? p->used : p->primary);
    if (!err && id[0] && !has(p, keep))
        err = refuse(op->why, RK_E_NOKEY, "the switch does not have the key that is to be kept");
    return err;
}

static int
stage(const struct tarn *t, struct rk_dev_op *op, const struct port *p, const char *ckn, char line[CLI_LINE])
{
    char keep[CKN_CHARS + 1];
    int err;

    if (strcmp(p->primary, ckn) == 0)
        return RK_OK; /* done again */
    err = find_keep(t, op, p, keep);
    if (err)
        return err;
    if (strcmp(keep, ckn) == 0)
        snprintf(keep, sizeof keep, "%s", p->primary);
    snprintf(line, CLI_LINE, "macsec %s primary %s fallback %s key ", op->iface, ckn, or_none(keep));
    return add_cak(t, op, line);
}

/* The given-up key changes places with the kept one. */
static int
retire(const struct tarn *t, struct rk_dev_op *op, const struct port *p, const char *ckn, char line[CLI_LINE])
{
    bool keeps = op->text && strcmp(op->text, "keep=") != 0, first = strcmp(p->primary, ckn) == 0;
    char keep[CKN_CHARS + 1];
    int err = find_keep(t, op, p, keep);

    if (err || (keeps ? strcmp(p->primary, keep) == 0 : !first))
        return err; /* it is so */
    if (!first && strcmp(p->primary, "-") != 0)
        return refuse(op->why, RK_E_CONFLICT, "the primary key was put there by someone else");
    snprintf(line, CLI_LINE, "macsec %s primary %s fallback %s", op->iface, keeps ? keep : NONE, or_none(p->primary));
    return RK_OK;
}

static int
sweep(struct rk_dev_op *op, const struct port *p, const char *ckn, char line[CLI_LINE])
{
    if (strcmp(p->used, ckn) != 0)
        return refuse(op->why, RK_E_CONFLICT, "the switch uses another key");
    snprintf(line, CLI_LINE, "macsec %s primary %s fallback " NONE, op->iface, ckn);
    return RK_OK;
}

/* What is to be typed for an operation; nothing when the switch has it so. */
static int
plan(struct tarn *t, struct rk_call *call, struct rk_dev_op *op, char line[CLI_LINE])
{
    char ckn[CKN_CHARS + 1];
    struct port p;
    int err;

    line[0] = '\0';
    if (op->kind != RK_OP_STAGE && op->kind != RK_OP_RETIRE && op->kind != RK_OP_SWEEP)
        return refuse(op->why, RK_E_UNSUPPORTED, "a Tarn switch cannot do this");
    err = show(t, call, op->iface, &p, op->why);
    if (!err)
        err = ckn_of(t, op->key_id, ckn);
    if (err)
        return err;
    if (op->kind == RK_OP_STAGE)
        return stage(t, op, &p, ckn, line);
    return op->kind == RK_OP_RETIRE ? retire(t, op, &p, ckn, line) : sweep(op, &p, ckn, line);
}

/* One operation becomes a part of what commit will do.  *typed: it has */
static int
enter(struct tarn *t, struct rk_call *call, struct rk_dev_op *op, bool *typed)
{
    char line[CLI_LINE], answer[CLI_ANSWER];
    int err = plan(t, call, op, line);

    *typed = !err && line[0];
    if (*typed)
        err = cli_ask(&t->cli, call, line, answer);
    explicit_bzero(line, sizeof line); /* it may hold a key */
    return err == RK_E_REJECTED ? refuse(op->why, err, answer) : err;
}

/* From here on it is not known what the switch did, until it says so. */
static int
commit(struct tarn *t, struct rk_call *call, struct rk_dev_op *ops, size_t n, uint64_t typed)
{
    char answer[CLI_ANSWER];
    int err = cli_ask(&t->cli, call, "commit", answer);

    if (err && err != RK_E_REJECTED)
        return t->host->fail(call, RK_E_UNKNOWN, "%s: commit: no answer", t->cli.address);
    for (size_t i = 0; err && i < n; i++)
        if (typed >> i & 1)
            ops[i].err = refuse(ops[i].why, err, answer);
    return RK_OK;
}

static int
tarn_apply(void *inst, struct rk_call *call, struct rk_dev_op *ops, size_t n)
{
    struct tarn *t = inst;
    char answer[CLI_ANSWER];
    uint64_t typed = 0; /* one bit for each operation; there are at most 64 */
    int err = cli_ready(&t->cli, call);

    if (!err)
        err = cli_ask(&t->cli, call, "configure", answer);
    for (size_t i = 0; i < n && !err; i++) {
        bool yes = false;

        ops[i].err = enter(t, call, &ops[i], &yes);
        typed |= (uint64_t)(yes && !ops[i].err) << i;
        err = cli_is_open(&t->cli) ? RK_OK : ops[i].err; /* the session is over, and what was typed is forgotten */
    }
    return err || !typed ? err : commit(t, call, ops, n, typed);
}

/* ---- instances ---- */

static void
start_libssh2(void)
{
    (void)libssh2_init(0);
}

static void
tarn_fini(void *inst)
{
    struct tarn *t = inst;

    cli_close(&t->cli);
    t->host->secret_free(&t->cli.key);
    free(t);
}

/* Names are not looked up: that has no budget. */
static int
read_address(struct tarn *t, struct rk_call *call)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found;
    char port[8];

    snprintf(port, sizeof port, "%u", (unsigned)t->cli.port & 0xffff);
    if (getaddrinfo(t->cli.address, port, &hints, &found) != 0)
        return t->host->fail(call, RK_E_CONFIG, "host: %s is no IP address", t->cli.address);
    memcpy(&t->cli.at, found->ai_addr, found->ai_addrlen);
    t->cli.at_len = found->ai_addrlen;
    freeaddrinfo(found);
    return RK_OK;
}

static int
read_options(struct tarn *t, struct rk_call *call, const struct rk_conf *conf)
{
    const struct rk_host *host = t->host;
    int err;

    t->cli.port = (int)host->conf_int(conf, "port");
    snprintf(t->cli.address, sizeof t->cli.address, "%s", host->conf_str(conf, "host"));
    snprintf(t->cli.user, sizeof t->cli.user, "%s", host->conf_str(conf, "user"));
    snprintf(t->cli.known_hosts, sizeof t->cli.known_hosts, "%s", host->conf_str(conf, "known-hosts"));
    err = read_address(t, call);
    if (!err && access(t->cli.known_hosts, R_OK) < 0)
        err = host->fail(call, RK_E_NOENT, "known-hosts: %s cannot be read", t->cli.known_hosts);
    return err ? err : host->conf_secret(call, conf, "key", &t->cli.key);
}

static int
tarn_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct tarn *t = calloc(1, sizeof *t);
    int err;

    pthread_once(&once, start_libssh2); /* it has a counter that is not locked */
    if (!t)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    t->host = t->cli.host = host;
    t->cli.fd = -1;
    err = read_options(t, call, conf);
    if (err)
        tarn_fini(t);
    else
        *inst = t;
    return err;
}

static const struct rk_opt tarn_opts[] = {
    {.name = "host", .type = RK_OPT_STRING, .flags = RK_OPT_REQUIRED, .max = 63, .help = "IP address of the switch"},
    {.name = "port", .type = RK_OPT_INT, .min = 1, .max = 65535, .dflt = "22", .help = "Port of its SSH"},
    {.name = "user", .type = RK_OPT_STRING, .flags = RK_OPT_REQUIRED, .min = 1, .max = 63, .help = "Who logs in"},
    {.name = "key", .type = RK_OPT_SECRET, .flags = RK_OPT_REQUIRED, .help = "His private key, without passphrase"},
    {.name = "known-hosts", .type = RK_OPT_PATH, .flags = RK_OPT_REQUIRED, .max = 255,
     .help = "File with the switch's host key, as ssh has it"},
    {.name = NULL},
};

static const struct rk_device_ops tarn_ops = {.size = sizeof tarn_ops, .apply = tarn_apply, .observe = tarn_observe};

/* The one symbol that is seen from outside. */
__attribute__((visibility("default"))) const struct rk_plugin tarn_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_DEVICE, RK_CAP_CLASS(RK_CLASS_B) | RK_CAP_NEEDS_NET), .name = "tarn", .version = "1.0",
    .summary = "Tarn switches, by their command line over SSH", .opts = tarn_opts, .opt_size = sizeof(struct rk_opt),
    .init = tarn_init, .fini = tarn_fini, .ops = &tarn_ops,
};
