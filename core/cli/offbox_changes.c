/* offbox_changes.c - what is to be done on a router whose links rekeyd takes over, each with its way back.
 *
 * Runs in rekeyctl.  Nothing here removes a key, a binding or LLDP: the links go on with the key that they have.
 */
#include "offbox.h"

#include "row.h"

#include <rekey/device.h>

#include <stdlib.h>
#include <string.h>

/* ---- lines ---- */

static void
add(json_t *list, const char *fmt, const char *a, const char *b)
{
    char text[600];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, fmt, a, b);
#pragma GCC diagnostic pop
    json_array_append_new(list, json_string(text));
}

/* Its statements as they were; of a policy only those with `with` in them. */
static void
add_set(json_t *list, const json_t *of, const char *with)
{
    const json_t *set = json_object_get(of, "set");

    for (size_t i = 0; i < json_array_size(set); i++) {
        json_t *line = json_array_get(set, i);

        if (!with || strstr(json_string_value(line), with))
            json_array_append(list, line);
    }
}

static json_t *
step(json_t *steps, const char *when, const char *why)
{
    json_t *s = json_pack("{s:s, s:s, s:[], s:[]}", "when", when, "why", why, "do", "undo");

    json_array_append_new(steps, s);
    return s;
}

/* ---- a link ---- */

static size_t
users_of(const json_t *model, const char *ca)
{
    const char *name;
    json_t *i;
    size_t n = 0;

    json_object_foreach(json_object_get(model, "interfaces"), name, i)
        n += strcmp(rk_row_text(i, "ca", ""), ca) == 0;
    return n;
}

static void
add_binding(const json_t *model, json_t *list, json_t *undo, const char *iface)
{
    const json_t *i = json_object_get(json_object_get(model, "interfaces"), iface);
    const char *ca = rk_row_text(i, "ca", "");
    char own[RK_IFACE_MAX + 8];

    if (!ca[0] || users_of(model, ca) < 2)
        return;
    snprintf(own, sizeof own, "rk-%s", iface);
    for (char *c = own; *c; c++)
        *c = strchr("/:.", *c) ? '-' : *c;
    own[32] = '\0'; /* longest name of an association */
    add(list, "# %s is of several interfaces: each link needs its own one, with the key that it has now%s", ca, "");
    add(list, "copy security macsec connectivity-association %s to connectivity-association %s", ca, own);
    add(list, "set security macsec interfaces %s connectivity-association %s", iface, own);
    add(undo, "set security macsec interfaces %s connectivity-association %s", iface, ca);
    add(undo, "delete security macsec connectivity-association %s%s", own, "");
}

static void
add_lldp(const json_t *model, json_t *list, json_t *undo, const char *iface)
{
    const json_t *lldp = json_object_get(model, "lldp"), *ca;
    const char *name = rk_row_text(json_object_get(json_object_get(model, "interfaces"), iface), "ca", "");

    ca = json_object_get(json_object_get(model, "cas"), name);
    if (!json_object_get(lldp, iface) && !json_object_get(lldp, "all")) {
        add(list, "set protocols lldp interface %s%s", iface, "");
        add(undo, "delete protocols lldp interface %s%s", iface, "");
    }
    if (name[0] && !json_object_get(ca, "excludes_lldp") && !json_object_get(ca, "chain")) {
        add(list, "set security macsec connectivity-association %s exclude-protocol lldp%s", name, "");
        add(undo, "delete security macsec connectivity-association %s exclude-protocol lldp%s", name, "");
    }
}

static void
of_link(const json_t *model, json_t *steps, const char *iface, json_t *i)
{
    char when[RK_IFACE_MAX + 40];
    json_t *s, *list, *undo;

    snprintf(when, sizeof when, "rekeyd takes over %s", iface);
    s = step(steps, when, "the script must not drive it any more; commit this, then start the link in rekeyd");
    list = json_object_get(s, "do");
    undo = json_object_get(s, "undo");
    add_binding(model, list, undo, iface);
    add_lldp(model, list, undo, iface);
    add(list, "delete security macsec interfaces %s apply-macro qkd%s", iface, "");
    add_set(undo, i, NULL);
    if (json_object_get(i, "macro_off"))
        add(undo, "deactivate security macsec interfaces %s apply-macro qkd%s", iface, "");
}

/* ---- the script ---- */

static size_t
policies_of(const json_t *model, const char *event, const char *but)
{
    const char *name;
    json_t *p, *e;
    size_t n = 0, at;

    json_object_foreach(json_object_get(model, "policies"), name, p)
        json_array_foreach(json_object_get(p, "events"), at, e)
            n += strcmp(name, but) != 0 && strcmp(json_string_value(e), event) == 0;
    return n;
}

/* The policy, and the timer that is its alone. */
static void
of_policy(const json_t *model, json_t *s, const char *name, const json_t *p, const char *script)
{
    json_t *list = json_object_get(s, "do"), *undo = json_object_get(s, "undo"), *e;
    bool whole = json_object_size(json_object_get(p, "scripts")) == 1 && !json_object_get(p, "more");
    size_t at;

    if (!whole) {
        add(list, "delete event-options policy %s then event-script %s", name, script);
        add_set(undo, p, script);
        return;
    }
    json_array_foreach(json_object_get(p, "events"), at, e) {
        const json_t *timer = json_object_get(json_object_get(model, "generate"), json_string_value(e));

        if (!timer || policies_of(model, json_string_value(e), name) > 0)
            continue;
        add(list, "delete event-options generate-event %s%s", json_string_value(e), "");
        add_set(undo, timer, NULL);
    }
    add(list, "delete event-options policy %s%s", name, "");
    add_set(undo, p, NULL);
}

static void
of_script(const json_t *model, json_t *steps, const char *script)
{
    const json_t *files = json_object_get(model, "files"), *file = json_object_get(files, script);
    json_t *s = step(steps, "rekeyd has taken over the last link of the router",
                     "nothing is left for the script to do; commit this when no interface has apply-macro qkd");
    const char *name;
    json_t *p;

    json_object_foreach(json_object_get(model, "policies"), name, p)
        if (json_object_get(json_object_get(p, "scripts"), script))
            of_policy(model, s, name, p, script);
    if (file) {
        add(json_object_get(s, "do"), "delete event-options event-script file %s%s", script, "");
        add_set(json_object_get(s, "undo"), file, NULL);
    }
}

/* Files cannot be put back by a rollback, so they come last. */
static void
of_files(const json_t *model, json_t *steps, const char *script)
{
    const char *user = rk_row_text(json_object_get(json_object_get(model, "files"), script), "user", "USER");
    json_t *s = step(steps, "all of it has worked for long enough",
                     "there is no way back without a copy of these files"),
           *list = json_object_get(s, "do");

    add(list, "run file delete /var/db/scripts/event/%s%s", script, "");
    add(list, "# the script's certificates and private keys: /var/home/%s/certs/ unless they were moved%s", user, "");
    add(list, "# its log, which has keys in it: file list /var/log/script.log*%s%s", "", "");
}

json_t *
rk_offbox_changes(const json_t *model, const char *script)
{
    json_t *steps = json_array(), *i;
    const char *iface;

    json_object_foreach(json_object_get(model, "interfaces"), iface, i)
        if (json_object_get(i, "macro"))
            of_link(model, steps, iface, i);
    if (script) {
        of_script(model, steps, script);
        of_files(model, steps, script);
    }
    return steps;
}

/* ---- what stays, and what to look at ---- */

/* The key of the script's own manual, which anybody can read there. */
static bool
is_public(const char *ckn)
{
    static const char part[] = "abcd1234abcd5678";

    for (size_t i = 0; i < 64; i++)
        if (!ckn[i] || (ckn[i] | 0x20) != (part[i % 16] | 0x20))
            return false;
    return true;
}

static void
look_at_ca(json_t *texts, const char *name, const json_t *ca)
{
    if (is_public(rk_row_text(ca, "ckn", "")))
        add(texts,
            "%s has the key of the script's manual, which is public: what it protects until the first rotation is "
            "not secret%s",
            name, "");
    if (json_object_get(ca, "chain"))
        add(texts,
            "%s has a key chain, which the script did not use: rekeyd needs keying: key-chain for it, and then no "
            "end of the link can run the script%s",
            name, "");
    if (json_object_get(ca, "should_secure"))
        add(texts, "%s has mka should-secure: traffic goes in clear when MKA fails, and rekeyd refuses it unless "
            "force-should-secure is set%s", name, "");
    if (json_object_get(ca, "fallback"))
        add(texts, "%s has a fallback-key of yours: rekeyd leaves it alone%s", name, "");
}

static void
look_at_macros(json_t *texts, const char *iface, const json_t *i)
{
    static const char *const known[] = {"kme-host", "kme-port", "kme-ca", "kme-method", "kme-keyid-check", NULL};
    const json_t *macro = json_object_get(i, "macro");
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(size_t)macro, name, value) {
        bool there = false;

        for (size_t k = 0; known[k]; k++)
            there |= strcmp(known[k], name) == 0;
        if (!there)
            add(texts, "%s: the macro's %s is not known, and was left out", iface, name);
    }
    if (!json_object_get(macro, "kme-host"))
        add(texts, "%s: its apply-macro qkd names no kme-host, so its source is to be filled in%s", iface, "");
    if (strcmp(rk_row_text(macro, "kme-ca", ""), "false") == 0)
        add(texts, "%s: kme-ca was false, so the script took keys from whoever answered; rekeyd wants the KME's CA%s",
            iface, "");
    if (json_object_get(i, "macro_off") || json_object_get(i, "off"))
        add(texts, "%s: its macro, or its MACsec, is inactive: the link is written as a comment%s", iface, "");
    if (!json_object_get(i, "ca"))
        add(texts, "%s: it has no connectivity association: rekeyctl prepare%s", iface, "");
}

json_t *
rk_offbox_stays(const json_t *model, const char *script)
{
    json_t *texts = json_array(), *i, *value;
    const char *name, *host;

    json_object_foreach(json_object_get(model, "interfaces"), name, i)
        if (json_object_get(i, "macro"))
            look_at_macros(texts, name, i);
    json_object_foreach(json_object_get(model, "cas"), name, value)
        look_at_ca(texts, name, value);
    json_object_foreach(json_object_get(model, "mapping"), host, value)
        add(texts, "system static-host-mapping %s stays: delete it when nothing else of the router needs it%s", host,
            "");
    add(texts, "connectivity associations, bindings, exclude-protocol lldp and protocols lldp stay as they are%s%s", "",
        "");
    if (!script)
        add(texts,
            "no event policy runs a script with offbox or qkd in its name: name the old one with --script, or its "
            "event-options are yours to remove%s%s",
            "", "");
    if (json_is_true(json_object_get(model, "groups")))
        add(texts, "something of security macsec or event-options is in a group, which is not read: save show "
            "configuration | display inheritance | display set%s%s", "", "");
    return texts;
}
