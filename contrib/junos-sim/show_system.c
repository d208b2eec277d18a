/* show_system.c - version, uptime, licences, alarms, interfaces, LLDP neighbours */
#include "show.h"

#include <string.h>

static const char *
model(const struct show_ask *a)
{
    return *a->box->model ? a->box->model : a->box->as->model;
}

static const char *
release(const struct show_ask *a)
{
    return *a->box->release ? a->box->release : a->box->as->release;
}

static void
software(const struct show_ask *a, FILE *out)
{
    fputs("<software-information>\n", out);
    show_leaf(a, out, "host-name", "%s", a->w->host);
    show_leaf(a, out, "product-model", "%s", model(a));
    show_leaf(a, out, "product-name", "%s", model(a));
    show_leaf(a, out, "junos-version", "%s", release(a));
    fputs("<package-information>\n", out);
    show_leaf(a, out, "name", "%s", a->box->as->evo ? "junos-evo" : "junos");
    show_leaf(a, out, "comment", "JUNOS Software Release [%s]", release(a));
    fputs("</package-information>\n</software-information>\n", out);
}

void
show_version(const struct show_ask *a, FILE *out)
{
    if (a->box->as->engines < 2) {
        software(a, out);
        return;
    }
    fputs("<multi-routing-engine-results>\n", out);
    for (unsigned i = 0; i < a->box->as->engines; i++) {
        fprintf(out, "<multi-routing-engine-item>\n<re-name>re%u</re-name>\n", i);
        software(a, out);
        fputs("</multi-routing-engine-item>\n", out);
    }
    fputs("</multi-routing-engine-results>\n", out);
}

void
show_version_text(const struct show_ask *a, FILE *out)
{
    fprintf(out, "Hostname: %s\nModel: %s\nJunos: %s\nJUNOS Software Release [%s]\n", a->w->host, model(a), release(a),
            release(a));
}

static void
date_leaf(const struct show_ask *a, FILE *out, const char *of, int64_t clock_ms)
{
    char date[48], span[32];
    int64_t s = clock_ms / 1000, ago = sim_box_now_ms(a->box) / 1000 - s;

    show_date(a, s, date);
    show_span(ago, span);
    fprintf(out, "<%s>\n<date-time junos:seconds=\"%lld\">%s</date-time>\n", of, (long long)s, date);
    if (strcmp(of, "current-time") != 0)
        fprintf(out, "<time-length junos:seconds=\"%lld\">%s</time-length>\n", (long long)(ago > 0 ? ago : 0), span);
    if (strcmp(of, "last-configured-time") == 0)
        show_leaf(a, out, "user", "%s", a->w->configured_by);
    fprintf(out, "</%s>\n", of);
}

static bool
synchronised(const struct show_ask *a)
{
    return __atomic_load_n(&a->box->clock_offset_ms, __ATOMIC_RELAXED) == 0;
}

void
show_uptime(const struct show_ask *a, FILE *out)
{
    int64_t clock_ms = sim_box_now_ms(a->box), booted = clock_ms - (a->now - a->w->booted_ms);

    fputs("<system-uptime-information", out);
    show_ns(a, out, "chassis");
    fputs(">\n", out);
    date_leaf(a, out, "current-time", clock_ms);
    show_leaf(a, out, "time-source", "%s", synchronised(a) ? " NTP CLOCK " : " LOCAL CLOCK ");
    date_leaf(a, out, "system-booted-time", booted);
    date_leaf(a, out, "protocols-started-time", booted);
    if (a->w->configured_ms)
        date_leaf(a, out, "last-configured-time", a->w->configured_ms);
    fputs("</system-uptime-information>\n", out);
}

void
show_uptime_text(const struct show_ask *a, FILE *out)
{
    int64_t clock_ms = sim_box_now_ms(a->box), up = (a->now - a->w->booted_ms) / 1000;
    char now[48], booted[48], span[32];

    show_date(a, clock_ms / 1000, now);
    show_date(a, clock_ms / 1000 - up, booted);
    show_span(up, span);
    fprintf(out, "Current time: %s\nTime Source: %s\nSystem booted: %s (%s ago)\nProtocols started: %s (%s ago)\n", now,
            synchronised(a) ? " NTP CLOCK " : " LOCAL CLOCK ", booted, span, booted, span);
}

void
show_licence(const struct show_ask *a, FILE *out)
{
    fputs("<license-usage-summary xmlns=\"http://xml.juniper.net/junos/license\">\n<feature-summary>\n", out);
    show_leaf(a, out, "name", "macsec");
    show_leaf(a, out, "description", "Media access control security");
    show_leaf(a, out, "licensed", "%d", !a->w->no_licence);
    show_leaf(a, out, "used-licensed", "1");
    show_leaf(a, out, "needed", "%d", a->w->no_licence);
    show_leaf(a, out, "validity-type", "%s", a->w->no_licence ? "invalid" : "permanent");
    fputs("</feature-summary>\n</license-usage-summary>\n", out);
}

void
show_alarms(const struct show_ask *a, FILE *out)
{
    fputs("<alarm-information", out);
    show_ns(a, out, "alarm");
    fputs(">\n<alarm-summary>\n", out);
    if (a->w->no_licence)
        show_leaf(a, out, "active-alarm-count", "1");
    else
        fputs("<no-active-alarms/>\n", out);
    fputs("</alarm-summary>\n", out);
    if (a->w->no_licence) {
        fputs("<alarm-detail>\n", out);
        show_leaf(a, out, "alarm-class", "Minor");
        show_leaf(a, out, "alarm-description", "macsec usage requires a license");
        show_leaf(a, out, "alarm-type", "License");
        fputs("</alarm-detail>\n", out);
    }
    fputs("</alarm-information>\n", out);
}

/* ---- interfaces ---- */

static void
flap(const struct show_ask *a, const struct sim_port *p, FILE *out)
{
    int64_t at = sim_box_now_ms(a->box) - (a->now - p->moved_ms);
    char date[48], span[32];

    show_date(a, at / 1000, date);
    show_span((a->now - p->moved_ms) / 1000, span);
    fprintf(out, "<interface-flapped junos:seconds=\"%lld\">%s (%s ago)</interface-flapped>\n",
            (long long)((a->now - p->moved_ms) / 1000), date, span);
}

void
show_interfaces(const struct show_ask *a, FILE *out)
{
    fputs("<interface-information", out);
    show_ns(a, out, "interface");
    fprintf(out, " junos:style=\"%s\">\n", a->terse ? "terse" : a->descriptions ? "description" : "normal");
    for (size_t i = 0; i < a->w->n_ports; i++) {
        const struct sim_port *p = &a->w->port[i];

        if (!show_wants(a, p) || (a->descriptions && !*p->description))
            continue;
        fputs("<physical-interface>\n", out);
        show_leaf(a, out, "name", "%s", p->name);
        show_leaf(a, out, "admin-status", "%s", p->disabled ? "down" : "up");
        show_leaf(a, out, "oper-status", "%s", p->linked ? "up" : "down");
        if (!a->terse && *p->description)
            show_leaf(a, out, "description", "%s", p->description);
        if (!a->terse && !a->descriptions) {
            show_leaf(a, out, "speed", "%s", p->speed);
            flap(a, p, out);
        }
        fputs("</physical-interface>\n", out);
    }
    fputs("</interface-information>\n", out);
}

void
show_interfaces_text(const struct show_ask *a, FILE *out)
{
    fprintf(out, "%-15s %-5s %-4s %s\n", "Interface", "Admin", "Link", "Description");
    for (size_t i = 0; i < a->w->n_ports; i++) {
        const struct sim_port *p = &a->w->port[i];

        if (show_wants(a, p) && (!a->descriptions || *p->description))
            fprintf(out, "%-15s %-5s %-4s %s\n", p->name, p->disabled ? "down" : "up", p->linked ? "up" : "down",
                    a->terse ? "" : p->description);
    }
}

/* ---- LLDP ---- */

static const char *
subtype(const struct lldp_heard *h)
{
    return h->frame.port[strspn(h->frame.port, "0123456789")] ? "Interface name" : "Locally assigned";
}

/* Older ones have only the port's description in the list; the local name is another one, and carries the unit. */
static void
neighbour_brief(const struct show_ask *a, const struct sim_port *p, const struct lldp_heard *h, FILE *out)
{
    bool old = a->box->as->no_cipher || (a->box->as->engines == 1 && !a->box->as->evo);

    show_leaf(a, out, old ? "lldp-local-interface" : "lldp-local-port-id", "%s%s", p->name, old ? ".0" : "");
    show_leaf(a, out, "lldp-local-parent-interface-name", "-");
    show_leaf(a, out, "lldp-remote-chassis-id-subtype", "Mac address");
    show_leaf(a, out, "lldp-remote-chassis-id", "%s", h->frame.chassis);
    if (!old) {
        show_leaf(a, out, "lldp-remote-port-id-subtype", "%s", subtype(h));
        show_leaf(a, out, "lldp-remote-port-id", "%s", h->frame.port);
    }
    show_leaf(a, out, "lldp-remote-port-description", "%s", h->frame.text);
    show_leaf(a, out, "lldp-remote-system-name", "%s", h->frame.system);
}

static void
neighbour_detail(const struct show_ask *a, const struct sim_port *p, const struct lldp_heard *h, FILE *out)
{
    const struct sim_box *b = p->peer->box; /* what was heard came through a cable */
    int64_t age = lldp_age_s(h, a->now);
    char date[48];

    show_date(a, sim_box_now_ms(a->box) / 1000 - age, date);
    show_leaf(a, out, "lldp-index", "%d", (int)(p - a->w->port) + 1);
    show_leaf(a, out, "lldp-ttl", "%lld", (long long)h->frame.ttl_s);
    show_leaf(a, out, "lldp-timemark", "%s", date);
    show_leaf(a, out, "lldp-age", "%lld", (long long)age);
    show_leaf(a, out, "lldp-local-interface", "%s", p->name);
    show_leaf(a, out, "lldp-local-parent-interface-name", "-");
    show_leaf(a, out, "lldp-local-port-id", "%d", 500 + (int)(p - a->w->port));
    show_leaf(a, out, "lldp-local-port-ageout-count", "0");
    show_leaf(a, out, "lldp-remote-chassis-id-subtype", "Mac address");
    show_leaf(a, out, "lldp-remote-chassis-id", "%s", h->frame.chassis);
    show_leaf(a, out, "lldp-remote-port-id-subtype", "%s", subtype(h));
    show_leaf(a, out, "lldp-remote-port-id", "%s", h->frame.port);
    show_leaf(a, out, "lldp-remote-port-description", "%s", h->frame.text);
    show_leaf(a, out, "lldp-remote-system-name", "%s", h->frame.system);
    fputs("<lldp-system-description>\n", out);
    show_leaf(a, out, "lldp-remote-system-description", "Juniper Networks, Inc. %s, version %s",
              *b->model ? b->model : b->as->model, *b->release ? b->release : b->as->release);
    fputs("</lldp-system-description>\n", out);
    show_leaf(a, out, "lldp-remote-system-capabilities-supported", "Bridge Router ");
    show_leaf(a, out, "lldp-remote-system-capabilities-enabled", "Bridge Router ");
    for (int i = 1; i <= 2; i++) { /* lists that repeat: whoever reads must not take one for the next neighbour */
        show_leaf(a, out, "lldp-remote-org-def-info-oui", "0.12.f");
        show_leaf(a, out, "lldp-remote-org-def-info-subtype", "%d", i);
        show_leaf(a, out, "lldp-remote-org-def-info-index", "%d", i);
        show_leaf(a, out, "lldp-remote-org-def-info", "2414 ");
    }
}

void
show_lldp(const struct show_ask *a, FILE *out)
{
    bool detail = a->lldp_one || a->level == SHOW_DETAIL;

    fputs("<lldp-neighbors-information", out);
    show_ns(a, out, "l2-rpc");
    fprintf(out, " junos:style=\"%s\">\n", detail ? "detail" : "brief");
    for (size_t i = 0; i < a->w->n_ports; i++) {
        const struct sim_port *p = &a->w->port[i];

        for (size_t j = 0; show_wants(a, p) && j < p->lldp.n_heard; j++) {
            fputs("<lldp-neighbor-information>\n", out);
            (detail ? neighbour_detail : neighbour_brief)(a, p, &p->lldp.heard[j], out);
            fputs("</lldp-neighbor-information>\n", out);
        }
    }
    fputs("</lldp-neighbors-information>\n", out);
}

void
show_lldp_text(const struct show_ask *a, FILE *out)
{
    fputs("Local Interface    Parent Interface    Chassis Id          Port info          System Name\n", out);
    for (size_t i = 0; i < a->w->n_ports; i++) {
        const struct sim_port *p = &a->w->port[i];

        for (size_t j = 0; show_wants(a, p) && j < p->lldp.n_heard; j++) {
            const struct lldp_frame *f = &p->lldp.heard[j].frame;

            fprintf(out, "%-18s %-19s %-19s %-18s %s\n", p->name, "-", f->chassis, f->text, f->system);
        }
    }
}
