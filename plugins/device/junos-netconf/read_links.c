/* read_links.c - get-interface-information: is an interface up, and what is its description.  Pure.
 * get-system-uptime-information, get-software-information and get-commit-information, too: small answers. */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* ---- interfaces ---- */

static bool
is_up(const xmlNode *e, const char *name)
{
    char text[16];

    return nc_child_text(e, name, text, sizeof text) && strcasecmp(text, "up") == 0;
}

int
jn_links_read(const xmlNode *root, struct jn_link_state **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    for (const xmlNode *e = jn_walk(root, root); e; e = jn_walk(root, e)) {
        struct jn_link_state *l;

        if (!nc_is(e, "physical-interface"))
            continue;
        l = jn_grow(out, n, sizeof *l, JN_LIST_MAX);
        if (!l) {
            free(*out);
            *out = NULL;
            return *n >= JN_LIST_MAX ? RK_E_PROTOCOL : RK_E_NOMEM;
        }
        if (!jn_iface_of(nc_child(e, "name"), l->iface)) {
            (*n)--;
            continue;
        }
        nc_child_text(e, "description", l->description, sizeof l->description);
        l->admin_up = is_up(e, "admin-status");
        l->oper_up = is_up(e, "oper-status");
    }
    return RK_OK;
}

/* ---- clock ---- */

/* "2026-11-22 22:40:00 CET" as if it were UTC. */
static bool
local_seconds(const char *text, int64_t *out)
{
    struct tm tm = {0};

    if (sscanf(text, "%4d-%2d-%2d %2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec) != 6)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    *out = timegm(&tm);
    return true;
}

#define ZONE_MAX_S (15 * 3600) /* UTC-12 to UTC+14 */
#define ZONE_STEP_S 900

/* The zone, to a quarter of an hour: the seconds of the attribute and the text may be of different moments. */
static bool
zone_of(int64_t local_s, int64_t unix_s, int32_t *zone_s)
{
    int64_t diff = local_s - unix_s, half = diff < 0 ? -ZONE_STEP_S / 2 : ZONE_STEP_S / 2;
    int64_t zone = (diff + half) / ZONE_STEP_S * ZONE_STEP_S;

    if (zone < -ZONE_MAX_S || zone > ZONE_MAX_S || llabs(zone - diff) > 5)
        return false;
    *zone_s = (int32_t)zone;
    return true;
}

int
jn_clock_read(const xmlNode *root, struct jn_clock *out)
{
    const xmlNode *date = nc_find(nc_find(root, "current-time"), "date-time");
    char text[64];
    int64_t local_s;

    memset(out, 0, sizeof *out);
    if (!jn_seconds(date, &out->unix_s) || !nc_text(date, text, sizeof text) || !local_seconds(text, &local_s) ||
        !zone_of(local_s, out->unix_s, &out->zone_s))
        return RK_E_PROTOCOL;
    if (nc_text(nc_find(root, "time-source"), out->source, sizeof out->source))
        out->synchronised = strcasestr(out->source, "NTP") || strcasestr(out->source, "PTP") ||
                            strcasestr(out->source, "GPS");
    return RK_OK;
}

/* ---- facts ---- */

/* "JUNOS Software Release [12.3R12]" */
static void
release_in_brackets(const xmlNode *root, char *out, size_t size)
{
    char text[160], *begin, *end;

    for (const xmlNode *e = jn_walk(root, root); e; e = jn_walk(root, e)) {
        if (!nc_is(e, "comment") || !nc_text(e, text, sizeof text))
            continue;
        begin = strchr(text, '[');
        end = begin ? strchr(begin, ']') : NULL;
        if (end) {
            *end = '\0';
            snprintf(out, size, "%s", begin + 1);
            return;
        }
    }
}

int
jn_facts_read(const xmlNode *root, struct jn_facts *out)
{
    memset(out, 0, sizeof *out);
    for (const xmlNode *e = jn_walk(root, root); e; e = jn_walk(root, e))
        out->engines += nc_is(e, "software-information");
    nc_text(nc_find(root, "host-name"), out->host_name, sizeof out->host_name);
    nc_text(nc_find(root, "product-model"), out->model, sizeof out->model);
    if (!nc_text(nc_find(root, "junos-version"), out->release, sizeof out->release))
        release_in_brackets(root, out->release, sizeof out->release);
    return out->engines ? RK_OK : RK_E_PROTOCOL;
}

/* ---- commits ---- */

int
jn_commits_read(const xmlNode *root, struct jn_commit **out, size_t *n)
{
    char text[64];

    *out = NULL;
    *n = 0;
    for (const xmlNode *e = jn_walk(root, root); e; e = jn_walk(root, e)) {
        struct jn_commit *c;

        if (!nc_is(e, "commit-history"))
            continue;
        c = jn_grow(out, n, sizeof *c, JN_LIST_MAX);
        if (!c) {
            free(*out);
            *out = NULL;
            return *n >= JN_LIST_MAX ? RK_E_PROTOCOL : RK_E_NOMEM;
        }
        c->number = (unsigned)jn_child_number(e, "sequence-number", (int64_t)*n - 1);
        nc_child_text(e, "user", c->user, sizeof c->user);
        nc_child_text(e, "client", c->client, sizeof c->client);
        nc_child_text(e, "log", c->log, sizeof c->log);
        if (!jn_seconds(nc_child(e, "date-time"), &c->unix_s))
            c->unix_s = 0;
        c->rollback_pending = nc_child_text(e, "commit-confirmed", text, sizeof text) &&
                              strcasestr(text, "rollback pending") != NULL;
    }
    return RK_OK;
}
