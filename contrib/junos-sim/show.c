/* show.c - which operational request is answered by what, and what their answers share
 *
 * Runs in the session's thread.  src: Junos RPC names of the XML API; see README.md for what differs by personality
 */
#include "conf.h"
#include "show.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MX 1u
#define SRX 2u
#define EVO 4u
#define EX 8u
#define ALL (MX | SRX | EVO | EX)

struct row {
    const char *rpc, *command; /* command: what the CLI calls it; NULL: not by a command */
    unsigned on;               /* personalities that know it */
    const char *argument;      /* element that names the interface; NULL: none */
    show_fn *xml, *text;       /* text NULL: the XML's values, as lines */
};

static const struct row rows[] = {
    {"get-mka-session-interface-information", "show security mka sessions interface", ALL, "interface-name", show_mka,
     show_mka_text},
    {"get-mka-session-information", "show security mka sessions", ALL, "interface-name", show_mka, show_mka_text},
    {"get-mka-interface-statistics", "show security mka statistics interface", ALL, "interface-name",
     show_mka_statistics, NULL},
    {"get-mka-statistics", "show security mka statistics", ALL, "interface-name", show_mka_statistics, NULL},
    {"get-macsec-connection-interface-information", "show security macsec connections interface", ALL,
     "interface-name", show_macsec, show_macsec_text},
    {"get-macsec-connection-information", "show security macsec connections", ALL, "interface-name", show_macsec,
     show_macsec_text},
    {"get-macsec-interface-statistics", "show security macsec statistics interface", ALL, "interface-name",
     show_macsec_statistics, NULL},
    {"get-macsec-statistics", "show security macsec statistics", ALL, "interface-name", show_macsec_statistics, NULL},
    {"get-hakr-keychain-information", "show security keychain", ALL, NULL, show_keychain, NULL},
    {"get-lldp-interface-neighbors", "show lldp neighbors interface", MX | EVO, "interface-device", show_lldp,
     show_lldp_text},
    {"get-lldp-interface-neighbors-information", "show lldp neighbors interface", SRX | EX, "interface-name",
     show_lldp, show_lldp_text},
    {"get-lldp-neighbor-detail-information", "show lldp neighbors detail", EVO, NULL, show_lldp, show_lldp_text},
    {"get-lldp-neighbors-information", "show lldp neighbors", ALL, NULL, show_lldp, show_lldp_text},
    {"get-interface-information", "show interfaces", ALL, "interface-name", show_interfaces, show_interfaces_text},
    {"get-software-information", "show version", ALL, NULL, show_version, show_version_text},
    {"get-system-uptime-information", "show system uptime", ALL, NULL, show_uptime, show_uptime_text},
    {"get-license-summary-information", "show system license", ALL, NULL, show_licence, NULL},
    {"get-alarm-information", "show chassis alarms", ALL, NULL, show_alarms, NULL},
    {"get-system-alarm-information", "show system alarms", ALL, NULL, show_alarms, NULL},
};

static unsigned
personality(const struct sim_box *box)
{
    return box->as->evo ? EVO : box->as->no_cipher ? EX : box->as->engines > 1 ? MX : SRX;
}

/* ---- what answers share ---- */

void
show_escaped(FILE *out, const char *text)
{
    xml_put(out, text);
}

/* Several pieces as they are; fprintf would cost ten times as much. */
static void
show_text(FILE *out, const char *const *pieces)
{
    for (; *pieces; pieces++)
        fputs_unlocked(*pieces, out);
}

/* EX and SRX of older releases put newlines around what they say. */
static bool
pads(const struct show_ask *a)
{
    return a->box->as->no_cipher;
}

/* Most of what is printed are leaves, and most of them are words. */
void
show_leaf(const struct show_ask *a, FILE *out, const char *name, const char *fmt, ...)
{
    const char *pad = pads(a) ? "\n" : "", *text = fmt;
    char printed[600];
    va_list ap;

    va_start(ap, fmt);
    if (strcmp(fmt, "%s") == 0) {
        text = va_arg(ap, const char *);
    } else if (strchr(fmt, '%')) {
        vsnprintf(printed, sizeof printed, fmt, ap);
        text = printed;
    }
    va_end(ap);
    show_text(out, (const char *const[]){"<", name, ">", pad, NULL});
    show_escaped(out, text);
    show_text(out, (const char *const[]){pad, "</", name, ">\n", NULL});
}

void
show_ns(const struct show_ask *a, FILE *out, const char *part)
{
    const char *release = *a->box->release ? a->box->release : a->box->as->release;

    fprintf(out, " xmlns=\"http://xml.juniper.net/junos/%.*s0/junos-%s\"", (int)strcspn(release, "-R.") + 3, release,
            part);
}

bool
show_wants(const struct show_ask *a, const struct sim_port *p)
{
    return !*a->iface || world_port(a->w, a->iface) == p;
}

void
show_span(int64_t s, char out[32])
{
    if (s < 0)
        s = 0;
    if (s >= 7 * 86400)
        snprintf(out, 32, "%lldw%lldd %02d:%02d:%02d", (long long)(s / 604800), (long long)(s / 86400 % 7),
                 (int)(s / 3600 % 24), (int)(s / 60 % 60), (int)(s % 60));
    else if (s >= 86400)
        snprintf(out, 32, "%lldd %02d:%02d:%02d", (long long)(s / 86400), (int)(s / 3600 % 24), (int)(s / 60 % 60),
                 (int)(s % 60));
    else
        snprintf(out, 32, "%02d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
}

void
show_sci(uint64_t sci, char out[32])
{
    snprintf(out, 32, "%02X:%02X:%02X:%02X:%02X:%02X/%u", (unsigned)(sci >> 56) & 0xff, (unsigned)(sci >> 48) & 0xff,
             (unsigned)(sci >> 40) & 0xff, (unsigned)(sci >> 32) & 0xff, (unsigned)(sci >> 24) & 0xff,
             (unsigned)(sci >> 16) & 0xff, (unsigned)sci & 0xffff);
}

void
show_date(const struct show_ask *a, int64_t unix_s, char out[48])
{
    char abbreviation[8];
    time_t local = (time_t)(unix_s + zone_offset(a->w->zone, unix_s, abbreviation));
    struct tm tm;

    gmtime_r(&local, &tm);
    snprintf(out, 48, "%04d-%02d-%02d %02d:%02d:%02d %s", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec, abbreviation);
}

void
show_mi(const unsigned char *mi, char out[2 * MKA_MI + 1])
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < MKA_MI; i++) {
        out[2 * i] = digits[mi[i] >> 4];
        out[2 * i + 1] = digits[mi[i] & 0xf];
    }
    out[2 * MKA_MI] = '\0';
}

void
show_ckn(const struct show_ask *a, const char *ckn, char out[MKA_CKN_MAX + 1])
{
    size_t n = strlen(ckn);

    if (a->w->short_ckn && n > 32)
        n = 32;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)toupper((unsigned char)ckn[i]);
    out[n] = '\0';
}

/* ---- which request ---- */

static void
flags(const xmlNode *request, const struct row *row, struct show_ask *a)
{
    char verbosity[32] = "";

    conf_text(request, "verbosity-level", verbosity, sizeof verbosity);
    if (conf_has(request, "detail") || conf_has(request, "extensive") || strcmp(verbosity, "detail") == 0)
        a->level = SHOW_DETAIL;
    else if (conf_has(request, "summary") || strcmp(verbosity, "summary") == 0)
        a->level = SHOW_SUMMARY;
    else if (conf_has(request, "brief") || strcmp(verbosity, "brief") == 0)
        a->level = SHOW_BRIEF;
    a->terse = conf_has(request, "terse");
    a->descriptions = conf_has(request, "descriptions");
    if (row->argument && !conf_text(request, row->argument, a->iface, sizeof a->iface))
        conf_text(request, "interface", a->iface, sizeof a->iface);
}

/* The words behind a command; false: one of them is not known. */
static bool
words(char *rest, struct show_ask *a)
{
    char *save = NULL;

    for (char *w = strtok_r(rest, " \t\r\n", &save); w; w = strtok_r(NULL, " \t\r\n", &save)) {
        if (strcmp(w, "detail") == 0 || strcmp(w, "extensive") == 0)
            a->level = SHOW_DETAIL;
        else if (strcmp(w, "summary") == 0)
            a->level = SHOW_SUMMARY;
        else if (strcmp(w, "brief") == 0)
            a->level = SHOW_BRIEF;
        else if (strcmp(w, "terse") == 0)
            a->terse = true;
        else if (strcmp(w, "descriptions") == 0)
            a->descriptions = true;
        else if (strcmp(w, "interface") == 0 || strcmp(w, "invoke-on") == 0 || strcmp(w, "all-routing-engines") == 0)
            a->all_engines |= w[0] == 'a';
        else if (!*a->iface && strchr(w, '-') && strlen(w) < sizeof a->iface)
            strcpy(a->iface, w);
        else
            return false;
    }
    return true;
}

static const struct row *
by_command(char *command, struct show_ask *a, unsigned on)
{
    command[strcspn(command, "|")] = '\0'; /* "| no-more", "| display xml" */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = strlen(rows[i].command);

        if ((rows[i].on & on) && strncmp(command, rows[i].command, n) == 0 && (!command[n] || command[n] == ' '))
            return words(command + n, a) ? &rows[i] : NULL;
    }
    return NULL;
}

static const struct row *
by_name(const char *rpc, unsigned on)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((rows[i].on & on) && strcmp(rows[i].rpc, rpc) == 0)
            return &rows[i];
    return NULL;
}

static bool
wants_text(const xmlNode *request)
{
    xmlChar *format = xmlGetProp((xmlNode *)request, BAD_CAST "format");
    bool text = format && strcmp((const char *)format, "text") == 0;

    xmlFree(format);
    return text;
}

/* The values of an XML answer, one a line: for commands whose text is seldom read. */
static void
flatten(const struct row *row, const struct show_ask *a, FILE *out)
{
    char *xml = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&xml, &n);
    bool tag = false;

    if (!f)
        return;
    row->xml(a, f);
    fclose(f);
    for (size_t i = 0; i < n; i++) {
        if (xml[i] == '<')
            tag = true;
        else if (xml[i] == '>')
            tag = false;
        else if (!tag)
            fputc(xml[i], out);
    }
    free(xml);
}

static void
write_text(const struct row *row, const struct show_ask *a, FILE *out)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f;

    fputs("<output>\n", out);
    if (!row->text)
        flatten(row, a, out);
    else if ((f = open_memstream(&text, &n)) != NULL) {
        row->text(a, f);
        fclose(f);
        show_escaped(out, text);
        free(text);
    }
    fputs("</output>\n", out);
}

int
sim_show(struct sim_box *box, const char *rpc, const xmlNode *request, FILE *out)
{
    struct show_ask a = {.box = box};
    const struct row *row;
    char command[256];

    if (strcmp(rpc, "command") == 0)
        row = conf_value(request, command, sizeof command) ? by_command(command, &a, personality(box)) : NULL;
    else if ((row = by_name(rpc, personality(box))) != NULL)
        flags(request, row, &a);
    if (!row)
        return -1;
    a.lldp_one = row->argument && row->xml == show_lldp;
    pthread_mutex_lock(&world_lock);
    a.w = world_of(box);
    a.now = sim_now_ms();
    if (a.w && wants_text(request))
        write_text(row, &a, out);
    else if (a.w)
        row->xml(&a, out);
    pthread_mutex_unlock(&world_lock);
    return a.w ? 0 : -1;
}
