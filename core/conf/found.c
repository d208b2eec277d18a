/* found.c - from what a device says of a link to its name and its source.  Pure. */
#include "found.h"

#include "conf.h"

#include "../base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOST_SHOWN 10 /* of each SAE ID in a name that must be cut */

/* What is no letter or digit in a name becomes '-'. */
static void
plain(char *text)
{
    for (; *text; text++)
        if (!(*text >= 'a' && *text <= 'z') && !(*text >= 'A' && *text <= 'Z') && !(*text >= '0' && *text <= '9') &&
            *text != '.' && *text != '_')
            *text = '-';
}

/* FNV-1a, for names that must be cut. */
static uint64_t
sum_of(const char *text)
{
    uint64_t sum = 0xcbf29ce484222325u;

    for (; *text; text++)
        sum = (sum ^ (unsigned char)*text) * 0x100000001b3u;
    return sum;
}

/* Ends in one order at both sides: each sees itself first. */
static int
order(const struct rk_found_end *a, const struct rk_found_end *b)
{
    int by_sae = strcmp(a->sae, b->sae);

    return by_sae ? by_sae : strcmp(a->iface, b->iface);
}

static bool
begins_well(const char *text)
{
    return (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9');
}

bool
rk_found_name(struct rk_found_end a, struct rk_found_end b, char name[RK_LINK_MAX + 1])
{
    char whole[2 * (RK_SAE_MAX + RK_IFACE_MAX) + 8];
    const struct rk_found_end *first = order(&a, &b) <= 0 ? &a : &b, *second = first == &a ? &b : &a;

    name[0] = '\0';
    if (!a.sae[0] || !a.iface[0] || !b.sae[0] || !b.iface[0] || order(&a, &b) == 0)
        return false;
    snprintf(whole, sizeof whole, "%s:%s_%s:%s", first->sae, first->iface, second->sae, second->iface);
    if (strlen(whole) <= RK_LINK_MAX && begins_well(whole))
        strcpy(name, whole);
    else
        snprintf(name, RK_LINK_MAX + 1, "%s%.*s_%.*s-%010llx", begins_well(whole) ? "" : "x",
                 HOST_SHOWN - !begins_well(whole), first->sae, HOST_SHOWN, second->sae,
                 (unsigned long long)(sum_of(whole) & 0xffffffffffu));
    plain(name);
    return rk_name_ok(name, RK_LINK_MAX);
}

const char *
rk_found_setting(const struct rk_setting *settings, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(settings[i].name, name) == 0)
            return settings[i].value;
    return NULL;
}

/* ---- sources ---- */

/* Is this URL of that host and port: "https://HOST[:PORT]..." */
static bool
url_at(const char *url, const char *host, const char *port)
{
    size_t len = strlen(host);
    const char *at = strstr(url, "://");
    size_t digits;

    at = at ? at + 3 : url;
    if (strncasecmp(at, host, len) != 0 || (at[len] && at[len] != ':' && at[len] != '/'))
        return false;
    port = port ? port : "443";
    at = at[len] == ':' ? at + len + 1 : "443";
    digits = strspn(at, "0123456789");
    return strlen(port) == digits && strncmp(at, port, digits) == 0;
}

static bool
same_kme(const struct rk_instance_conf *inst, const char *host, const char *port)
{
    const char *own = rk_found_setting(inst->settings, inst->n, "kme-host"),
               *own_port = rk_found_setting(inst->settings, inst->n, "kme-port");

    if (own && strcasecmp(own, host) == 0 && strcmp(own_port ? own_port : "443", port ? port : "443") == 0)
        return true;
    for (size_t i = 0; i < inst->n; i++)
        if (strcmp(inst->settings[i].name, "url") == 0 && url_at(inst->settings[i].value, host, port))
            return true;
    return false;
}

const char *
rk_found_source(const struct rk_conf_set *set, const struct rk_setting *settings, size_t n)
{
    const char *plugin = rk_found_setting(settings, n, "plugin"), *host = rk_found_setting(settings, n, "kme-host"),
               *port = rk_found_setting(settings, n, "kme-port"), *found = NULL;

    for (size_t i = 0; plugin && host && i < set->n_instances; i++) {
        const struct rk_instance_conf *inst = &set->instances[i];

        if (inst->kind != RK_SOURCE || strcmp(inst->plugin, plugin) != 0 || !same_kme(inst, host, port))
            continue;
        if (found)
            return NULL; /* which of them is not for us to say */
        found = inst->name;
    }
    return found;
}
