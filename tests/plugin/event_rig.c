/* event_rig.c - see event_rig.h.  Test code: runs in the test's process. */
#include "event_rig.h"
#include "free_port.h"
#include "junos_fake_tree.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include <rekey/err.h>

#define PATIENCE_S 20

struct scratch rig_dir;
struct fake_router router; /* its configuration alone is used */
static int port;
static char text[400];

/* ---- certificates ---- */

struct party {
    X509 *cert;
    EVP_PKEY *key;
};
static struct party ca[2]; /* by enum signer */

static void
extend(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

static struct party
make_party(const char *name, const char *names, const struct party *by)
{
    static long serial;
    struct party p = {X509_new(), EVP_EC_gen("P-256")};
    X509_NAME *subject = X509_get_subject_name(p.cert);

    assert_non_null(p.key);
    X509_set_version(p.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(p.cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(p.cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(p.cert), 86400L * 90);
    X509_set_pubkey(p.cert, p.key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(p.cert, by ? X509_get_subject_name(by->cert) : subject);
    extend(p.cert, NID_basic_constraints, by ? "CA:FALSE" : "critical,CA:TRUE");
    if (names)
        extend(p.cert, NID_subject_alt_name, names);
    assert_true(X509_sign(p.cert, by ? by->key : p.key, EVP_sha256()) > 0);
    return p;
}

static void
free_party(struct party *p)
{
    X509_free(p->cert);
    EVP_PKEY_free(p->key);
    *p = (struct party){NULL, NULL};
}

static void
save(const char *name, const struct party *p)
{
    char file[64];
    FILE *f;

    snprintf(file, sizeof file, "%s.pem", name);
    f = fopen(scratch_path(&rig_dir, file), "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, p->cert), 1);
    fclose(f);
    snprintf(file, sizeof file, "%s.key", name);
    f = fopen(scratch_path(&rig_dir, file), "w");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_int_equal(PEM_write_PrivateKey(f, p->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
}

int
rig_begin(void **state)
{
    struct party listener;

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* as in a host */
    je_memory();
    scratch_make(&rig_dir);
    ca[BY_CA] = make_party("a CA", NULL, NULL);
    ca[BY_ROGUE] = make_party("a CA", NULL, NULL);
    listener = make_party("rekeyd", "DNS:localhost,IP:127.0.0.1", &ca[BY_CA]);
    save("ca", &ca[BY_CA]);
    save("listener", &listener);
    free_party(&listener);
    port = free_port();
    return 0;
}

int
rig_end(void **state)
{
    (void)state;
    free_party(&ca[BY_CA]);
    free_party(&ca[BY_ROGUE]);
    scratch_remove(&rig_dir);
    return 0;
}

/* ---- instances ---- */

int
rig_init(struct rk_call *call, const char *name, const char *const *options, struct je_router **out)
{
    char listen[40], cert[160], key[170], ca_path[160];
    const char *pairs[40] = {RK_CONF_NAME, name, "listen", listen, "cert", cert, "key", key, "ca", ca_path};
    struct rk_conf conf = {pairs, junos_event_LTX_rk_plugin.opts};
    void *inst = NULL;
    size_t n = 10;
    int err;

    snprintf(listen, sizeof listen, "127.0.0.1:%d", port);
    snprintf(cert, sizeof cert, "%s", scratch_path(&rig_dir, "listener.pem"));
    snprintf(key, sizeof key, "file:%s", scratch_path(&rig_dir, "listener.key"));
    snprintf(ca_path, sizeof ca_path, "%s", scratch_path(&rig_dir, "ca.pem"));
    for (size_t i = 0; options && options[i] && n < 38; i++)
        pairs[n++] = options[i];
    err = junos_event_LTX_rk_plugin.init(&fake_host, call, &conf, &inst);
    *out = inst;
    return err;
}

struct je_router *
rig_device(const char *name)
{
    struct je_router *r;
    struct rk_call call;
    int err;

    fake_call(&call, RIG_CALL_MS);
    err = rig_init(&call, name, NULL, &r);
    if (err)
        fail_msg("%d %s", err, call.text);
    fake_call_end(&call);
    return r;
}

void
rig_fini(struct je_router *r)
{
    junos_event_LTX_rk_plugin.fini(r);
}

const char *
rig_text(void)
{
    return text;
}

int
rig_stage(struct je_router *r, const char *iface, const char *key_id, const char *terms, int budget_ms)
{
    const struct rk_device_ops *ops = junos_event_LTX_rk_plugin.ops;
    struct rk_secret *key = fake_secret("0123456789abcdef0123456789abcdef", 32);
    struct rk_dev_op op = {.kind = RK_OP_STAGE, .seq = 1, .link = "l1", .iface = iface, .key_id = key_id,
                           .peer_facts = "", .key = key, .text = terms, .err = RK_E_CONTRACT};
    struct rk_call call;
    int err;

    fake_call(&call, budget_ms);
    err = ops->apply(r, &call, &op, 1);
    snprintf(text, sizeof text, "%s", err ? call.text : op.why);
    fake_call_end(&call);
    fake_host.secret_free(&key);
    return err ? err : op.err;
}

/* ---- clients ---- */

void
client_make(struct client *c, const char *name, const char *other, enum signer by)
{
    struct party p;
    char names[160];

    memset(c, 0, sizeof *c);
    c->fd = -1;
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->run, sizeof c->run, "%016x", 1u);
    snprintf(names, sizeof names, "DNS:%s", other ? other : name);
    p = make_party(name, names, &ca[by]);
    c->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    assert_int_equal(SSL_CTX_load_verify_locations(c->ctx, scratch_path(&rig_dir, "ca.pem"), NULL), 1);
    assert_int_equal(SSL_CTX_use_certificate(c->ctx, p.cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(c->ctx, p.key), 1);
    free_party(&p);
}

void
client_close(struct client *c)
{
    SSL_free(c->ssl);
    c->ssl = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    ERR_clear_error();
}

void
client_end(struct client *c)
{
    client_close(c);
    SSL_CTX_free(c->ctx);
    c->ctx = NULL;
}

/* With TLS 1.3 the listener looks at our certificate behind our handshake: the first read tells. */
bool
client_connect(struct client *c)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {PATIENCE_S, 0};
    int one = 1;

    client_close(c);
    for (int i = 0; i < 200 && c->fd < 0; i++) { /* the listener's thread begins by itself */
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(c->fd, (struct sockaddr *)&addr, sizeof addr) == 0)
            break;
        close(c->fd);
        c->fd = -1;
        (void)poll(NULL, 0, 10);
    }
    assert_true(c->fd >= 0);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->ssl = SSL_new(c->ctx);
    SSL_set_fd(c->ssl, c->fd);
    return SSL_connect(c->ssl) == 1;
}

void
client_send_raw(struct client *c, const char *bytes, size_t len)
{
    (void)SSL_write(c->ssl, bytes, (int)len);
    ERR_clear_error();
}

void
client_send(struct client *c, const char *path, const char *body)
{
    char head[300];
    int n = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n", path, strlen(body));

    client_send_raw(c, head, (size_t)n);
    client_send_raw(c, body, strlen(body));
}

/* The head of an answer, byte by byte, up to its empty line. */
static bool
take_head(struct client *c, char head[2048])
{
    size_t n = 0;

    while (n + 1 < 2048 && SSL_read(c->ssl, head + n, 1) == 1) {
        head[++n] = '\0';
        if (n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    ERR_clear_error();
    return false;
}

int
client_take(struct client *c, json_t **body)
{
    char head[2048] = "", *bytes;
    const char *length;
    size_t len, got = 0;
    int code = 0, n;

    if (body)
        *body = NULL;
    if (!take_head(c, head) || sscanf(head, "HTTP/1.1 %d", &code) != 1)
        return 0;
    length = strstr(head, "Content-Length: ");
    len = length ? strtoul(length + 16, NULL, 10) : 0;
    bytes = malloc(len + 1);
    while (got < len && (n = SSL_read(c->ssl, bytes + got, (int)(len - got))) > 0)
        got += (size_t)n;
    if (body && got == len)
        *body = json_loadb(bytes, len, 0, NULL);
    free(bytes);
    return got == len ? code : 0;
}

int
client_post(struct client *c, const char *path, const char *body, json_t **answer)
{
    if (!c->ssl && !client_connect(c))
        return 0;
    client_send(c, path, body);
    return client_take(c, answer);
}

static json_t *
begin_body(struct client *c)
{
    return json_pack("{s:i,s:s,s:s,s:i,s:I}", "v", 1, "shim", "test", "run", c->run, "n", ++c->n, "clock_ms",
                     (json_int_t)time(NULL) * 1000);
}

void
client_ask_begin(struct client *c, int wait_ms, json_t *facts)
{
    json_t *body = begin_body(c);
    char *bytes;

    json_object_set_new(body, "wait_ms", json_integer(wait_ms));
    json_object_set_new(body, "tick_s", json_integer(60));
    json_object_set_new(body, "age_ms", json_integer(c->age_ms));
    json_object_set_new(body, "facts", facts ? facts : json_array());
    bytes = json_dumps(body, 0);
    if (c->ssl || client_connect(c))
        client_send(c, je_paths[0], bytes);
    free(bytes);
    json_decref(body);
}

int
client_ask(struct client *c, int wait_ms, json_t *facts, json_t **answer)
{
    client_ask_begin(c, wait_ms, facts);
    return client_take(c, answer);
}

int
client_report(struct client *c, const char *id, const char *outcome, json_t *steps, json_t *facts)
{
    json_t *body = begin_body(c);
    char *bytes;
    int code;

    json_object_set_new(body, "id", json_string(id));
    json_object_set_new(body, "outcome", json_string(outcome));
    json_object_set_new(body, "why", json_string("for the test"));
    json_object_set_new(body, "steps", steps ? steps : json_array());
    json_object_set_new(body, "facts", facts ? facts : json_array());
    bytes = json_dumps(body, 0);
    code = client_post(c, je_paths[1], bytes, NULL);
    free(bytes);
    json_decref(body);
    return code;
}

void
client_fact(json_t *facts, const char *rpc, const char *reply)
{
    json_array_append_new(facts, json_pack("{s:s,s:s}", "rpc", rpc, "reply", reply));
}

void
client_step(json_t *steps, const char *step, const char *reply)
{
    json_array_append_new(steps, json_pack("{s:s,s:s,s:i,s:b}", "step", step, "reply", reply ? reply : "", "ms", 1,
                                           "lost", reply == NULL));
}
