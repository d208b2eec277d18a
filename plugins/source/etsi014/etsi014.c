/* etsi014.c - key source plugin: client of ETSI GS QKD 014 V1.1.1.
 *
 * Owns the options and the life of an instance, which is one KME as one SAE sees it.  Runs in rekey-host, whose worker
 * threads may call it at once; it has no state outside its instances and writes to nothing but its sockets.
 */
#include "etsi014.h"

#include <stdlib.h>
#include <string.h>

static const char *const schemes[] = {"https", NULL};
static const char *const proxy_schemes[] = {"http", "socks5h", NULL};
static const char *const methods[] = {"auto", "get", "post", NULL}; /* as enum method */
static const char *const old_methods[] = {"get", "post", NULL};

static const struct rk_opt options[] = {
    {.name = "url",
     .type = RK_OPT_URL,
     .flags = RK_OPT_LIST | RK_OPT_ONE_OF,
     .choices = schemes,
     .help = "the KME, as https://host:port, or a list of such: the first is preferred; /api/v1/keys is added"},
    {.name = "cert",
     .type = RK_OPT_PATH,
     .flags = RK_OPT_REQUIRED,
     .help = "PEM file with this SAE's certificate, then any intermediate ones"},
    {.name = "key",
     .type = RK_OPT_SECRET,
     .flags = RK_OPT_REQUIRED,
     .help = "PEM file with the certificate's private key, without passphrase"},
    {.name = "ca",
     .type = RK_OPT_PATH,
     .flags = RK_OPT_REQUIRED,
     .help = "PEM file with the CA certificates that the KME's certificate must come from"},
    {.name = "kme-id",
     .type = RK_OPT_STRING,
     .min = 1,
     .max = 255,
     .help = "KME ID that the KME's certificate must have as CN or alternative name"},
    {.name = "method",
     .type = RK_OPT_ENUM,
     .dflt = "auto",
     .choices = methods,
     .help = "HTTP method; auto is GET for one key and POST for several, and what the KME takes"},
    {.name = "extension-mandatory",
     .type = RK_OPT_STRING,
     .flags = RK_OPT_LIST,
     .min = 2,
     .max = 1000,
     .help = "extension_mandatory of key requests: name=value, or a JSON object"},
    {.name = "extension-optional",
     .type = RK_OPT_STRING,
     .flags = RK_OPT_LIST,
     .min = 2,
     .max = 1000,
     .help = "extension_optional of key requests: name=value, or a JSON object"},
    {.name = "additional-slave-saes",
     .type = RK_OPT_STRING,
     .flags = RK_OPT_LIST,
     .min = 1,
     .max = PEER_MAX,
     .help = "additional_slave_SAE_IDs of key requests: further SAEs that can ask for the same keys"},
    {.name = "proxy",
     .type = RK_OPT_URL,
     .choices = proxy_schemes,
     .help = "proxy to the KME; without it none is used, whatever the environment says"},
    {.name = "connections",
     .type = RK_OPT_INT,
     .unit = "connections",
     .min = 1,
     .max = CONNECTIONS_MAX,
     .dflt = "4",
     .help = "most connections to the KME at once; 1 for a KME with a single thread"},
    {.name = "connect-timeout",
     .type = RK_OPT_DURATION,
     .min = 100,
     .max = 60000,
     .dflt = "3s",
     .help = "longest wait for a connection, within the budget of the call"},
    {.name = "keep-alive",
     .type = RK_OPT_DURATION,
     .min = 1000,
     .max = 3600000,
     .dflt = "3s",
     .help = "how long an idle connection is kept for the next request; less than the KME keeps it"},
    {.name = "sync-window",
     .type = RK_OPT_DURATION,
     .min = 0,
     .max = 60000,
     .dflt = "1s",
     .help = "how long dec_keys is asked again for a key that has not reached the KME yet"},
    {.name = "lenient",
     .type = RK_OPT_BOOL,
     .dflt = "no",
     .help = "also take key_id and keyId for key_ID, and base64 without padding or in the URL alphabet"},
    {.name = "kme-host",
     .type = RK_OPT_STRING,
     .flags = RK_OPT_ONE_OF,
     .min = 1,
     .max = 253,
     .help = "old name: the host of url"},
    {.name = "kme-port",
     .type = RK_OPT_INT,
     .min = 1,
     .max = 65535,
     .help = "old name: the port of url; 443 without it"},
    {.name = "kme-ca", .type = RK_OPT_BOOL, .help = "old name: true; false, no check of the KME, is refused"},
    {.name = "kme-method", .type = RK_OPT_ENUM, .choices = old_methods, .help = "old name of method"},
    {.name = "kme-keyid-check", .type = RK_OPT_BOOL, .help = "old name: has no effect, a key ID is never used twice"},
    {.name = NULL},
};

static int
copy_option(struct etsi *e, struct rk_call *call, const struct rk_conf *conf, const char *name, char **out)
{
    const char *value = e->host->conf_str(conf, name);

    *out = value ? strdup(value) : NULL;
    return value && !*out ? e->host->fail(call, RK_E_NOMEM, "out of memory") : RK_OK;
}

static void
etsi_fini(void *inst)
{
    struct etsi *e = inst;

    http_close(e);
    rkp_certs_close(&e->certs);
    pthread_mutex_destroy(&e->lock);
    urls_close(e);
    free(e->kme_id);
    free(e->proxy);
    free(e->sae);
    wishes_free(e);
    learnt_free(e);
    free(e);
}

static int
etsi_init(const struct rk_host *host, struct rk_call *call, const struct rk_conf *conf, void **inst)
{
    struct etsi *e = calloc(1, sizeof *e);
    int err;

    if (!e)
        return host->fail(call, RK_E_NOMEM, "out of memory");
    e->host = host;
    e->free_fd = -1;
    pthread_mutex_init(&e->lock, NULL);
    e->certs.host = host;
    e->certs.lock = &e->lock;
    e->certs.renewed = http_drop_old;
    e->certs.arg = e;
    e->method = (enum method)host->conf_int(conf, "method");
    e->lenient = host->conf_int(conf, "lenient") != 0;
    e->connect_ms = (int)host->conf_int(conf, "connect-timeout");
    e->sync_ms = (int)host->conf_int(conf, "sync-window");
    e->keep_s = (long)(host->conf_int(conf, "keep-alive") / 1000);
    err = urls_open(e, call, conf);
    err = err ? err : legacy_check(e, call, conf);
    err = err ? err : copy_option(e, call, conf, "kme-id", &e->kme_id);
    err = err ? err : copy_option(e, call, conf, "proxy", &e->proxy);
    err = err ? err : copy_option(e, call, conf, RK_CONF_SAE, &e->sae);
    err = err ? err : wishes_load(e, call, conf);
    err = err ? err : rkp_certs_open(&e->certs, call, conf);
    if (!err)
        urls_tell_ends(e, call);
    err = err ? err : http_open(e, call, (size_t)host->conf_int(conf, "connections"));
    if (err)
        etsi_fini(e);
    else
        *inst = e;
    return err;
}

static const struct rk_source_ops ops = {
    .size = sizeof ops,
    .get_new = etsi_get_new,
    .get_by_id = etsi_get_by_id,
    .status = urls_status,
    .test = etsi_test,
};

extern const struct rk_plugin etsi014_LTX_rk_plugin;

__attribute__((visibility("default"))) const struct rk_plugin etsi014_LTX_rk_plugin = {
    RK_PLUGIN_HEAD(RK_SOURCE, RK_CAP_PARALLEL | RK_CAP_NEEDS_NET),
    .name = "etsi014",
    .version = VERSION,
    .summary = "keys from a KME by ETSI GS QKD 014 over HTTPS",
    .opts = options,
    .opt_size = sizeof(struct rk_opt),
    .init = etsi_init,
    .fini = etsi_fini,
    .ops = &ops,
};
