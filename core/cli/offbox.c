/* offbox.c - from statements to what they say of the old script.
 *
 * Runs in rekeyctl.  Only what is asked for is kept: no key, no password.
 */
#include "offbox.h"

#include "row.h"

#include "../base/text.h"

#include <rekey/device.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINKS_MAX 4096 /* as of one discover */

json_t *
rk_offbox_new(void)
{
    return json_pack("{s:s, s:s, s:i, s:b, s:b, s:{}, s:{}, s:{}, s:{}, s:{}, s:{}, s:{}}", "host", "", "domain", "",
                     "statements", 0, "known", 0, "groups", 0, "interfaces", "cas", "lldp", "mapping", "generate",
                     "policies", "files");
}

/* ---- helpers ---- */

/* The member of this name, made when it is not there.  NULL: no memory, or no UTF-8 */
static json_t *
member(json_t *of, const char *name)
{
    json_t *m = json_object_get(of, name);

    if (!m && json_object_set_new(of, name, json_object()) == 0)
        m = json_object_get(of, name);
    return m;
}

static bool
put(json_t *of, const char *name, const char *value)
{
    return of && json_object_set_new(of, name, json_string(value)) == 0;
}

static bool
flag(json_t *of, const char *name)
{
    return of && json_object_set_new(of, name, json_true()) == 0;
}

/* Do the words from the first-th on begin with these?  NULL-ended */
static bool
has(const struct rk_junos_line *l, size_t first, ...)
{
    const char *want;
    bool same = true;
    va_list ap;

    va_start(ap, first);
    while (same && (want = va_arg(ap, const char *)))
        same = first < l->n && strcmp(l->word[first++], want) == 0;
    va_end(ap);
    return same;
}

static const char *
word(const struct rk_junos_line *l, size_t i)
{
    return i < l->n ? l->word[i] : "";
}

static void
put_word(FILE *out, const char *text)
{
    if (text[0] && !text[strcspn(text, " \t\"()|*[]{};#<>\\&")]) {
        fprintf(out, " %s", text);
        return;
    }
    fputs(" \"", out);
    for (; *text; text++)
        fprintf(out, strchr("\"\\", *text) ? "\\%c" : "%c", *text);
    putc('"', out);
}

/* The statement as it is typed, at the end of array `name`. */
static bool
keep(json_t *of, const char *name, const struct rk_junos_line *l)
{
    json_t *list = json_object_get(of, name);
    char *text = NULL;
    size_t len = 0;
    FILE *out;
    bool ok;

    if (!of || (!list && json_object_set_new(of, name, json_array()) != 0))
        return false;
    list = json_object_get(of, name);
    out = open_memstream(&text, &len);
    if (!out)
        return false;
    fputs("set", out);
    for (size_t i = 0; i < l->n; i++)
        put_word(out, l->word[i]);
    ok = fclose(out) == 0 && json_array_append_new(list, json_string(text)) == 0;
    free(text);
    return ok;
}

/* ---- security macsec ---- */

/* "ge-0/0/1.0" is ge-0/0/1: a MACsec interface of older releases. */
static bool
iface_name(const char *text, char out[RK_IFACE_MAX + 1])
{
    size_t len = strlen(text);

    if (len > 2 && strcmp(text + len - 2, ".0") == 0)
        len -= 2;
    if (len == 0 || len > RK_IFACE_MAX)
        return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

/* security macsec interfaces NAME ... */
static bool
take_iface(json_t *model, const struct rk_junos_line *l)
{
    json_t *all = json_object_get(model, "interfaces"), *i;
    char name[RK_IFACE_MAX + 1];

    if (!iface_name(word(l, 3), name) || (json_object_size(all) == LINKS_MAX && !json_object_get(all, name)))
        return true;
    i = member(all, name);
    if (!i)
        return false;
    if (!json_object_get(i, "line"))
        json_object_set_new(i, "line", json_integer(l->line));
    if (has(l, 4, "connectivity-association", NULL))
        return put(i, "ca", word(l, 5)) && (!l->off || flag(i, "off"));
    if (!has(l, 4, "apply-macro", "qkd", NULL))
        return true;
    if (!member(i, "macro") || !keep(i, "set", l) || (l->off && !flag(i, "macro_off")))
        return false;
    return l->n < 7 || put(member(i, "macro"), word(l, 6), word(l, 7));
}

/* security macsec connectivity-association NAME ... */
static bool
take_ca(json_t *model, const struct rk_junos_line *l)
{
    json_t *ca = member(json_object_get(model, "cas"), word(l, 3));

    if (has(l, 4, "pre-shared-key", "ckn", NULL))
        return put(ca, "ckn", word(l, 6)); /* its name, which is no secret */
    if (has(l, 4, "pre-shared-key-chain", NULL))
        return put(ca, "chain", word(l, 5));
    if (has(l, 4, "fallback-key", NULL))
        return flag(ca, "fallback");
    if (has(l, 4, "exclude-protocol", "lldp", NULL))
        return flag(ca, "excludes_lldp");
    if (has(l, 4, "mka", "should-secure", NULL))
        return flag(ca, "should_secure");
    return ca != NULL;
}

/* ---- event-options ---- */

static bool
take_generate(json_t *model, const struct rk_junos_line *l)
{
    json_t *e = member(json_object_get(model, "generate"), word(l, 2));

    if (!keep(e, "set", l))
        return false;
    return !has(l, 3, "time-interval", NULL) ||
           json_object_set_new(e, "interval", json_integer(strtol(word(l, 4), NULL, 10))) == 0;
}

/* Events may be several in one statement, or one in each of several. */
static bool
add_events(json_t *policy, const struct rk_junos_line *l)
{
    json_t *events = json_object_get(policy, "events");

    if (!events && json_object_set_new(policy, "events", json_array()) != 0)
        return false;
    events = json_object_get(policy, "events");
    for (size_t i = 4; i < l->n; i++)
        if (json_array_append_new(events, json_string(l->word[i])) != 0)
            return false;
    return true;
}

static bool
take_policy(json_t *model, const struct rk_junos_line *l)
{
    json_t *p = member(json_object_get(model, "policies"), word(l, 2));

    if (!keep(p, "set", l))
        return false;
    if (has(l, 3, "events", NULL))
        return add_events(p, l);
    if (has(l, 3, "then", "event-script", NULL))
        return flag(member(p, "scripts"), word(l, 5));
    return !has(l, 3, "then", NULL) || flag(p, "more");
}

static bool
take_file(json_t *model, const struct rk_junos_line *l)
{
    json_t *f = member(json_object_get(model, "files"), word(l, 3));

    if (!keep(f, "set", l))
        return false;
    return !has(l, 4, "python-script-user", NULL) || put(f, "user", word(l, 5));
}

static bool
take_events(json_t *model, const struct rk_junos_line *l)
{
    if (has(l, 1, "generate-event", NULL) && l->n > 2)
        return take_generate(model, l);
    if (has(l, 1, "policy", NULL) && l->n > 2)
        return take_policy(model, l);
    if (has(l, 1, "event-script", "file", NULL) && l->n > 3)
        return take_file(model, l);
    return true;
}

/* ---- all ---- */

/* Statements that only Junos has at its top: so that a file of something else is not taken for an empty one. */
static bool
is_known(const struct rk_junos_line *l)
{
    static const char *const names[] = {
        "version", "groups", "apply-groups", "system", "chassis", "security", "interfaces", "protocols",
        "routing-options", "event-options", "snmp", "vlans", "policy-options", "forwarding-options",
        "routing-instances",
        "class-of-service", "firewall", NULL};

    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], l->word[0]) == 0)
            return true;
    return false;
}

/* interfaces NAME description "TEXT|{\"key_ID\": ...}": the name that the script gives the key ID. */
static bool
take_description(json_t *model, const char *text)
{
    const char *at = strstr(text, "|{"), *name;
    json_t *said = at ? json_loads(at + 1, 0, NULL) : NULL, *value;
    bool ok = true;

    json_object_foreach(said, name, value)
        if (json_is_string(value))
            ok = ok && put(model, "member", name);
    json_decref(said);
    return ok;
}

static bool
take_system(json_t *model, const struct rk_junos_line *l)
{
    if (has(l, 1, "host-name", NULL) && !l->off)
        return put(model, "host", word(l, 2));
    if (has(l, 1, "domain-name", NULL) && !l->off)
        return put(model, "domain", word(l, 2));
    if (has(l, 1, "static-host-mapping", NULL) && l->n > 2)
        return flag(json_object_get(model, "mapping"), word(l, 2));
    return true;
}

bool
rk_offbox_take(void *arg, const struct rk_junos_line *l)
{
    json_t *model = arg;
    char iface[RK_IFACE_MAX + 1];

    json_object_set_new(model, "statements", json_integer(rk_row_int(model, "statements", 0) + 1));
    if (is_known(l) && !flag(model, "known"))
        return false;
    if (has(l, 0, "groups", NULL) && l->n > 3 &&
        (has(l, 2, "event-options", NULL) || has(l, 2, "security", "macsec", NULL)))
        return flag(model, "groups");
    if (has(l, 0, "system", NULL))
        return take_system(model, l);
    if (has(l, 0, "event-options", NULL) && !l->off)
        return take_events(model, l);
    if (has(l, 0, "security", "macsec", "interfaces", NULL) && l->n > 3)
        return take_iface(model, l);
    if (has(l, 0, "security", "macsec", "connectivity-association", NULL) && l->n > 3)
        return l->off || take_ca(model, l);
    if (has(l, 0, "interfaces", NULL) && has(l, 2, "description", NULL))
        return l->off || take_description(model, word(l, 3));
    if (has(l, 0, "protocols", "lldp", "interface", NULL) && !l->off && !has(l, 4, "disable", NULL) &&
        iface_name(word(l, 3), iface))
        return flag(json_object_get(model, "lldp"), iface);
    return true;
}

/* ---- what there is ---- */

bool
rk_offbox_check(const json_t *model, struct rk_junos_why *why)
{
    long long n = (long long)rk_row_int(model, "statements", 0);
    const char *iface;
    json_t *i;

    json_object_foreach(json_object_get(model, "interfaces"), iface, i)
        if (json_object_get(i, "macro"))
            return true;
    if (!json_is_true(json_object_get(model, "known")))
        snprintf(why->text, sizeof why->text, "none of its %lld statements is one of Junos: is it of another vendor?",
                 n);
    else if (json_is_true(json_object_get(model, "groups")))
        snprintf(why->text, sizeof why->text, "MACsec is in a group: save show configuration | display inheritance | "
                 "display set");
    else
        snprintf(why->text, sizeof why->text, "no interface below security macsec interfaces has apply-macro qkd (%lld "
                 "statements read): is it whole, and of a router that runs the script?", n);
    return false;
}

static bool
runs(const json_t *model, const char *script)
{
    const char *name;
    json_t *p;

    json_object_foreach(json_object_get(model, "policies"), name, p)
        if (json_object_get(json_object_get(p, "scripts"), script))
            return true;
    return false;
}

const char *
rk_offbox_script(const json_t *model, const char *given)
{
    const char *name, *script, *found = NULL;
    json_t *p, *value;

    if (given)
        return runs(model, given) ? given : NULL;
    json_object_foreach(json_object_get(model, "policies"), name, p)
        json_object_foreach(json_object_get(p, "scripts"), script, value)
            if (strstr(script, "offbox") || strstr(script, "qkd"))
                found = script;
    return found;
}
