/* offbox_yaml.c - what a router has of the old script, as YAML that rekeyd reads.
 *
 * Runs in rekeyctl.  Names come from a file that anybody may have written: rk_yaml_text, and comments of one safe line.
 */
#include "offbox.h"

#include "paste.h"
#include "row.h"
#include "show.h"

#include "../base/text.h"

#include <rekey/device.h>

#include <stdlib.h>
#include <string.h>

#define UNKNOWN_PEER "CHANGE-ME"
#define SCRIPT_TICK_S 61 /* of a script whose timer is not known */
#define INTERVAL_S 300   /* at the least: MKA and a tick of the other end take their time */

static void
value(FILE *out, const char *indent, const char *name, const char *text)
{
    fprintf(out, "%s%s: ", indent, name);
    rk_yaml_text(out, text);
    putc('\n', out);
}

/* One line, whatever the text is. */
static void
comment(FILE *out, const char *indent, const char *what, const char *text)
{
    char *safe = rk_show_safe(text, false);

    if (safe)
        fprintf(out, "%s# %s%s\n", indent, what, safe);
    free(safe);
}

/* A name of rekeyd's out of `text`, at most max bytes. */
static void
make_name(const char *prefix, const char *text, size_t max, char *name)
{
    snprintf(name, max + 1, "%s%s", prefix, text);
    for (char *c = name; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c))
            *c = '-';
    if (!rk_name_ok(name, max))
        snprintf(name, max + 1, "x%.*s", (int)max - 1, text[0] ? "-router" : "router");
}

static const json_t *
interfaces(const json_t *model)
{
    return json_object_get(model, "interfaces");
}

static bool
is_used(const json_t *i)
{
    return json_object_get(i, "macro") && !json_object_get(i, "macro_off") && !json_object_get(i, "off");
}

static const char *
macro(const json_t *i, const char *name)
{
    return rk_row_text(json_object_get(i, "macro"), name, "");
}

/* ---- sources ---- */

/* A KME is a host, a port and a method: links with the same share a source. */
static bool
same_kme(const json_t *a, const json_t *b)
{
    static const char *const parts[] = {"kme-host", "kme-port", "kme-method"};
    bool same = true;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        same = same && strcmp(macro(a, parts[i]), macro(b, parts[i])) == 0;
    return same;
}

static bool
needs_source(const json_t *i)
{
    return is_used(i) && macro(i, "kme-host")[0] && !rk_row_text(i, "source", "")[0];
}

/* The first interface with this KME, and how many others of the same host there were before.   ret: is it this one */
static bool
first_of_kme(const json_t *model, const json_t *of, size_t *before)
{
    const char *name;
    json_t *i;

    *before = 0;
    json_object_foreach((json_t *)(size_t)interfaces(model), name, i) {
        if (!needs_source(i))
            continue;
        if (same_kme(i, of))
            return i == of;
        *before += strcmp(macro(i, "kme-host"), macro(of, "kme-host")) == 0;
    }
    return false;
}

static void
source_name(const json_t *model, const json_t *of, char name[RK_NAME_MAX + 1])
{
    char host[RK_NAME_MAX + 1];
    size_t before;

    (void)first_of_kme(model, of, &before);
    snprintf(host, sizeof host, "%.*s", RK_NAME_MAX - 8, macro(of, "kme-host"));
    make_name("kme-", host, RK_NAME_MAX, name);
    if (before)
        snprintf(name + strlen(name), RK_NAME_MAX + 1 - strlen(name), "-%zu", before + 1);
}

static void
put_url(FILE *out, const json_t *i)
{
    const char *host = macro(i, "kme-host"), *port = macro(i, "kme-port");
    bool v6 = strchr(host, ':') && host[0] != '[';
    char url[400];

    snprintf(url, sizeof url, "https://%s%.255s%s:%.16s", v6 ? "[" : "", host, v6 ? "]" : "", port[0] ? port : "443");
    value(out, "    ", "url", url);
}

static void
put_files(FILE *out, const json_t *model, const struct rk_offbox_want *want)
{
    const json_t *file = json_object_get(json_object_get(model, "files"), want->script ? want->script : "");
    char sae[RK_NAME_MAX + 1], path[120], was[200];

    make_name("", rk_row_text(model, "host", "THIS-SAE"), RK_NAME_MAX, sae);
    snprintf(was, sizeof was, "/var/home/%.64s/certs/", rk_row_text(file, "user", "USER"));
    comment(out, "    ", "copy these here; the script's default on the router is ", was);
    snprintf(path, sizeof path, "/etc/rekey/%s.crt", sae);
    value(out, "    ", "cert", path);
    snprintf(path, sizeof path, "file:/etc/rekey/%s.key", sae);
    value(out, "    ", "key", path);
    fputs("    ca: /etc/rekey/kme-ca.crt\n", out);
}

static void
put_sources(FILE *out, const json_t *model, const struct rk_offbox_want *want)
{
    char name[RK_NAME_MAX + 1];
    const char *iface;
    json_t *i;
    size_t before;
    bool any = false;

    json_object_foreach((json_t *)(size_t)interfaces(model), iface, i) {
        if (!needs_source(i) || !first_of_kme(model, i, &before))
            continue;
        if (!any)
            fputs("\nsources:\n", out);
        any = true;
        source_name(model, i, name);
        fputs("  ", out);
        rk_yaml_text(out, name);
        fputs(":\n    plugin: etsi014\n", out);
        put_url(out, i);
        put_files(out, model, want);
        if (strcmp(macro(i, "kme-method"), "get") == 0 || strcmp(macro(i, "kme-method"), "post") == 0)
            value(out, "    ", "method", macro(i, "kme-method"));
        if (strcmp(macro(i, "kme-ca"), "false") == 0)
            fputs("    # kme-ca was false: ca is wanted all the same, or keys come from whoever answers\n", out);
    }
}

/* ---- device, channel ---- */

static void
put_device(FILE *out, const json_t *model, const char *name)
{
    const char *host = rk_row_text(model, "host", ""), *domain = rk_row_text(model, "domain", "");
    char whole[520];

    snprintf(whole, sizeof whole, "%.255s%s%.255s", host[0] ? host : "ROUTER", domain[0] ? "." : "", domain);
    fputs("\ndevices:\n  ", out);
    rk_yaml_text(out, name);
    fputs(":\n    plugin: junos-netconf\n", out);
    value(out, "    ", "host", whole);
    fputs("    # a user with the rights that rekeyctl prepare prints, and the router's host key, by ssh-keyscan\n"
          "    user: rekeyd\n"
          "    key: \"file:/etc/rekey/ssh_ed25519\"\n"
          "    known-hosts: /etc/rekey/known_hosts\n"
          "    # CKN and CAK as the script makes them, while a link's other end has it\n"
          "    ckn: offbox\n", out);
}

static void
put_channel(FILE *out, const json_t *model)
{
    const char *member = rk_row_text(model, "member", "");
    bool good = member[0] && strlen(member) <= 32 &&
                !member[strspn(member, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")];

    fputs("\nchannels:\n"
          "  # key IDs in descriptions, by LLDP, as the script has them\n"
          "  lldp:\n"
          "    plugin: lldp\n"
          "    format: offbox\n", out);
    if (good)
        value(out, "    ", "offbox-key", member);
    else
        fputs("    # offbox-key: the name before the key ID in the descriptions, as |{\"key_id\": \"...\"}: show lldp "
              "neighbors\n", out);
    fputs("    # the script signs nothing; the file is for the day when both ends are rekeyd's\n"
          "    auth-key: \"file:/etc/rekey/lldp.auth\"\n", out);
}

/* ---- links ---- */

/* Longer than two ticks of the script at the other end and its commit. */
static long long
interval_s(const json_t *model, const char *script)
{
    long long tick = SCRIPT_TICK_S;
    const char *name;
    json_t *p, *e;
    size_t at;

    json_object_foreach(json_object_get(model, "policies"), name, p)
        json_array_foreach(json_object_get(p, "events"), at, e)
            if (script && json_object_get(json_object_get(p, "scripts"), script))
                tick = rk_row_int(json_object_get(json_object_get(model, "generate"), json_string_value(e)), "interval",
                                  tick);
    return 4 * tick > INTERVAL_S && tick < 86400 ? 4 * tick : INTERVAL_S;
}

static void
put_link(FILE *out, const json_t *model, const char *iface, const json_t *i, const struct rk_offbox_want *want)
{
    const char *peer = rk_row_text(i, "peer", want->peer ? want->peer : "");
    char name[RK_LINK_MAX + 1], source[RK_NAME_MAX + 1], text[200];

    snprintf(text, sizeof text, "%.64s-%s", rk_row_text(model, "host", "router"), iface);
    make_name("", rk_row_text(i, "name", text), RK_LINK_MAX, name);
    value(out, "  - ", "name", name);
    value(out, "    ", "device", want->device);
    value(out, "    ", "interface", iface);
    if (peer[0])
        value(out, "    ", "peer-sae", peer);
    else
        fputs("    peer-sae: " UNKNOWN_PEER " # host-name of the router at the other end: show lldp neighbors\n", out);
    if (rk_row_text(i, "peer_interface", "")[0])
        comment(out, "    ", "the other end is its interface ", rk_row_text(i, "peer_interface", ""));
    if (rk_row_text(i, "source", "")[0]) {
        value(out, "    ", "source", rk_row_text(i, "source", ""));
    } else if (macro(i, "kme-host")[0]) {
        source_name(model, i, source);
        value(out, "    ", "source", source);
    } else {
        fputs("    # source: to be added, for the macro names no KME\n", out);
    }
    fputs("    channel: lldp\n", out);
    fprintf(out, "    interval: %llds\n", interval_s(model, want->script));
    fputs("    # role: the smaller SAE ID is master; the other end's script decides for itself, and its log says it\n"
          "    # (\"... is Master\", \"... is Slave\"): where that is not as here, write role: master or role: slave\n",
          out);
}

static void
put_links(FILE *out, const json_t *model, const struct rk_offbox_want *want)
{
    size_t n = 0;
    const char *iface;
    json_t *i;

    json_object_foreach((json_t *)(size_t)interfaces(model), iface, i)
        n += is_used(i);
    fputs(n ? "\nlinks:\n" : "\nlinks: []\n", out);
    json_object_foreach((json_t *)(size_t)interfaces(model), iface, i) {
        if (is_used(i))
            put_link(out, model, iface, i, want);
        else if (json_object_get(i, "macro"))
            comment(out, "  ", "inactive on the router, and left out: ", iface);
    }
}

void
rk_offbox_yaml(FILE *out, const json_t *model, const struct rk_offbox_want *want)
{
    struct rk_offbox_want with = *want;
    char device[RK_NAME_MAX + 1], sae[RK_SAE_MAX + 1];

    make_name("", rk_row_text(model, "host", "router"), RK_NAME_MAX, device);
    snprintf(sae, sizeof sae, "%s", rk_row_text(model, "host", ""));
    comment(out, "", "rekeyctl import-offbox of ", want->from);
    if (want->device) {
        comment(out, "", "to be added to the configuration; its device needs  ckn: offbox  : ", want->device);
    } else {
        with.device = device;
        fputs("# The SAE ID was the router's host-name; the KME knows this end, and its certificate, by it.\n", out);
        value(out, "", "sae", sae[0] ? sae : UNKNOWN_PEER);
    }
    put_sources(out, model, &with);
    if (!want->device)
        put_device(out, model, device);
    put_channel(out, model);
    put_links(out, model, &with);
}
