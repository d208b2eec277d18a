/* sum.c - counts links and alarms while rows go by. */
#include "sum.h"

#include "../base/text.h"
#include "row.h"
#include "show.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

static void
count_alarm(struct rk_sum *s, const char *name)
{
    size_t i = 0;

    while (i < s->kinds && strncmp(s->kind[i].name, name, RK_SUM_NAME - 1) != 0)
        i++;
    if (i == RK_SUM_ALARMS)
        i = RK_SUM_ALARMS - 1;
    if (i == s->kinds) {
        s->kinds++;
        snprintf(s->kind[i].name, RK_SUM_NAME, "%s", i == RK_SUM_ALARMS - 1 ? "other" : name);
    }
    if (s->kind[i].last != s->links)
        s->kind[i].count++;
    s->kind[i].last = s->links;
}

void
rk_sum_link(struct rk_sum *s, const json_t *row)
{
    const json_t *alarms = json_object_get(row, "alarms");
    const char *link = rk_row_text(row, "link", "?");

    if (!s->links || strncmp(s->link, link, sizeof s->link - 1) != 0)
        s->links++;
    snprintf(s->link, sizeof s->link, "%s", link);
    if (!json_array_size(alarms))
        return;
    if (s->last_alarmed != s->links)
        s->alarmed++;
    s->last_alarmed = s->links;
    for (size_t i = 0; i < json_array_size(alarms); i++) {
        const char *name = json_string_value(json_array_get(alarms, i));

        count_alarm(s, name ? name : "?");
    }
}

void
rk_sum_print(const struct rk_sum *s, const struct rk_cli_io *io)
{
    enum rk_tone good = s->alarmed ? RK_TONE_PLAIN : RK_TONE_GOOD;

    if (!s->links) {
        fprintf(io->out, "no links\n");
        return;
    }
    fprintf(io->out, "%zu link%s, %s%zu ok%s", s->links, s->links == 1 ? "" : "s", rk_tone_on(io, good),
            s->links - s->alarmed, rk_tone_off(io, good));
    for (size_t i = 0; i < s->kinds; i++) {
        enum rk_tone tone = strcmp(s->kind[i].name, "DUE") == 0 ? RK_TONE_WARN : RK_TONE_BAD;
        char *name = rk_show_safe(s->kind[i].name, io->utf8);

        fprintf(io->out, ", %s%zu %s%s", rk_tone_on(io, tone), s->kind[i].count, name ? name : "?",
                rk_tone_off(io, tone));
        free(name);
    }
    putc('\n', io->out);
}

bool
rk_sum_daemon_ok(const json_t *daemon)
{
    return strcmp(rk_row_text(daemon, "journal", "ok"), "ok") == 0;
}

/* What a device finds and is not used, and why: it has no row of its own. */
static void
print_unused(const json_t *seen, const struct rk_cli_io *io)
{
    const json_t *list = json_object_get(seen, "unused");
    char *device = rk_show_safe(rk_row_text(seen, "device", "?"), io->utf8);

    for (size_t i = 0; device && i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        char *iface = rk_show_safe(rk_row_text(row, "interface", "?"), io->utf8),
             *why = rk_show_safe(rk_row_text(row, "why", ""), io->utf8);

        if (iface && why)
            fprintf(io->out, "discover %s: %s%s is not used%s: %s\n", device, rk_tone_on(io, RK_TONE_WARN), iface,
                    rk_tone_off(io, RK_TONE_WARN), why);
        free(iface);
        free(why);
    }
    free(device);
}

static void
print_discover(const json_t *daemon, const struct rk_cli_io *io)
{
    const json_t *list = json_object_get(daemon, "discover");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *seen = json_array_get(list, i);
        char *device = rk_show_safe(rk_row_text(seen, "device", "?"), io->utf8),
             *why = rk_show_safe(rk_row_text(seen, "why", ""), io->utf8);

        if (device && why && why[0])
            fprintf(io->out, "discover %s: %sits links were not looked for%s, and stay as they are: %s\n", device,
                    rk_tone_on(io, RK_TONE_WARN), rk_tone_off(io, RK_TONE_WARN), why);
        print_unused(seen, io);
        free(device);
        free(why);
    }
}

void
rk_sum_daemon(const json_t *daemon, const struct rk_cli_io *io)
{
    enum rk_tone tone = rk_sum_daemon_ok(daemon) ? RK_TONE_PLAIN : RK_TONE_BAD;
    char *version, *journal, *config, up[RK_SPAN_MAX];

    if (!daemon)
        return;
    version = rk_show_safe(rk_row_text(daemon, "version", "?"), io->utf8);
    journal = rk_show_safe(rk_row_text(daemon, "journal", "?"), io->utf8);
    config = rk_show_safe(rk_row_text(daemon, "config", "?"), io->utf8);
    rk_show_span(rk_row_int(daemon, "uptime_ms", 0), up);
    if (version && journal && config)
        fprintf(io->out, "rekeyd %s, pid %lld, up %s, %sjournal %s%s, %s\n", version,
                (long long)rk_row_int(daemon, "pid", 0), up, rk_tone_on(io, tone), journal, rk_tone_off(io, tone),
                config);
    print_discover(daemon, io);
    free(version);
    free(journal);
    free(config);
}
