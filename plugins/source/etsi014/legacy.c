/* legacy.c - the option names of Juniper's offbox.py, so that its settings can be taken over as they are.
 *
 * Runs at init.  What says the same as a new name is the same; what contradicts it, or would switch the check of the
 * KME off, is refused.
 */
#include "etsi014.h"

#include <stdio.h>
#include <string.h>

int
legacy_url(struct etsi *e, struct rk_call *call, const struct rk_conf *conf, char url[LEGACY_URL_MAX])
{
    const char *host = e->host->conf_str(conf, "kme-host"), *port = e->host->conf_str(conf, "kme-port");
    bool v6 = host && strchr(host, ':') && host[0] != '[';

    url[0] = '\0';
    if (host && e->host->conf_str(conf, "url"))
        return e->host->fail(call, RK_E_CONFIG, "url and kme-host both say where the KME is; leave kme-host out");
    if (!host && port)
        return e->host->fail(call, RK_E_CONFIG, "kme-port belongs to kme-host; with url, the port is part of it");
    if (!host)
        return e->host->conf_str(conf, "url")
                   ? RK_OK
                   : e->host->fail(call, RK_E_CONFIG, "url: not given; it is where the KME is, as https://host:port");
    if (strpbrk(host, "/@?#\\ "))
        return e->host->fail(call, RK_E_CONFIG, "kme-host: a name or an address, and nothing else");
    snprintf(url, LEGACY_URL_MAX, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port ? port : "443");
    return RK_OK;
}

/* kme-method: get, post; as enum method without auto. */
static int
take_method(struct etsi *e, struct rk_call *call, const struct rk_conf *conf)
{
    enum method method;

    if (!e->host->conf_str(conf, "kme-method"))
        return RK_OK;
    method = (enum method)e->host->conf_int(conf, "kme-method") + 1;
    if (e->method != METHOD_AUTO && e->method != method)
        return e->host->fail(call, RK_E_CONFIG, "method and kme-method contradict each other; leave kme-method out");
    e->method = method;
    return RK_OK;
}

int
legacy_check(struct etsi *e, struct rk_call *call, const struct rk_conf *conf)
{
    static const char *const names[] = {"kme-host", "kme-port", "kme-ca", "kme-method", "kme-keyid-check"};
    bool old = false;

    if (e->host->conf_str(conf, "kme-ca") && !e->host->conf_int(conf, "kme-ca"))
        return e->host->fail(call, RK_E_CONFIG,
                             "kme-ca: false would take keys from whoever answers in the KME's place, and is "
                             "refused; give the KME's CA certificate in ca, and leave kme-ca out");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        old = old || e->host->conf_str(conf, names[i]);
    if (old)
        e->host->log(call, RK_LOG_NOTICE,
                     "ev=options names=old do=\"use url, ca and method, see rekey-source-etsi014(5)\"");
    return take_method(e, call, conf);
}
