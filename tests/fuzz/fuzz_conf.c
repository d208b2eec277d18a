/* fuzz_conf.c - the configuration from memory: YAML, checks, and the options of every instance against a schema. */
#include "core/conf/conf.h"
#include "core/conf/opt.h"

#include <rekey/err.h>
#include <rekey/plugin.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const choices[] = {"one", "two", NULL};
static struct rk_opt opts[] = {
    {"dir", RK_OPT_PATH, RK_OPT_REQUIRED, NULL, 0, 0, NULL, NULL, "folder"},
    {"key", RK_OPT_SECRET, 0, NULL, 0, 0, NULL, NULL, "secret"},
    {"url", RK_OPT_URL, 0, NULL, 0, 0, NULL, NULL, "place"},
    {"slots", RK_OPT_STRING, RK_OPT_LIST, NULL, 0, 0, NULL, NULL, "slots"},
    {"count", RK_OPT_INT, 0, NULL, -7, 7, "1", NULL, "number"},
    {"pause", RK_OPT_DURATION, 0, NULL, 0, 1000, "1s", NULL, "time"},
    {"room", RK_OPT_SIZE, 0, NULL, 0, 0, NULL, NULL, "size"},
    {"mode", RK_OPT_ENUM, 0, NULL, 0, 0, "one", choices, "choice"},
    {"flag", RK_OPT_BOOL, 0, NULL, 0, 0, "no", NULL, "flag"},
    {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL},
};

static void
demand(bool truth)
{
    if (!truth)
        abort();
}

/* Errors are in order, fit their text, and can go to a terminal. */
static void
check_errors(const struct rk_conf_errors *e)
{
    char text[700];

    for (size_t i = 0; i < e->n; i++) {
        demand(i == 0 || e->list[i - 1].line < e->list[i].line ||
               (e->list[i - 1].line == e->list[i].line && e->list[i - 1].col <= e->list[i].col));
        demand(memchr(e->list[i].text, '\0', sizeof e->list[i].text) != NULL && e->list[i].text[0]);
        rk_conf_error_text(e, i, text, sizeof text);
        for (const char *c = text; *c; c++)
            demand((unsigned char)*c >= ' ' && *c != 0x7f);
    }
}

static void
check_links(const struct rk_conf_set *set)
{
    for (size_t i = 0; i < set->n_links; i++) {
        const struct rk_link_conf *l = &set->links[i];

        demand(i == 0 || strcmp(set->links[i - 1].name, l->name) < 0);
        demand(l->name[0] && l->iface[0] && l->peer_sae[0]);
        demand(l->device < set->n_instances && set->instances[l->device].kind == RK_DEVICE);
        demand(l->source < set->n_instances && set->instances[l->source].kind == RK_SOURCE);
        demand(l->channel == SIZE_MAX ? l->peer_device < set->n_instances && l->peer_iface[0]
                                      : set->instances[l->channel].kind == RK_CHANNEL);
        demand(l->interval_ms >= 100 && l->drain_ms < l->interval_ms && l->verify_ms >= 100 && l->bits % 8 == 0);
        demand(rk_conf_link_same(set, l, set, l));
    }
}

static void
check_instances(const struct rk_conf_set *set)
{
    for (size_t i = 0; i < set->n_instances; i++) {
        const struct rk_instance_conf *inst = &set->instances[i];
        const struct rk_schema schema = {.kind = inst->kind, .opts = opts};
        struct rk_conf_errors e = {.file = "f"};

        demand(inst->name[0] && inst->plugin[0] && inst->kind >= RK_SOURCE && inst->kind <= RK_CHANNEL);
        rk_conf_check_plugin(inst, &schema, &e);
        check_errors(&e);
        rk_conf_errors_free(&e);
        demand(rk_conf_instance_same(inst, inst));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rk_conf_errors e = {.file = "f"};
    struct rk_conf_set *set;
    int err = rk_conf_parse((const char *)data, size, &set, &e);

    demand((err == RK_OK) == (set != NULL) && (err == RK_E_CONFIG) == (e.n > 0));
    check_errors(&e);
    if (set) {
        check_links(set);
        check_instances(set);
    }
    rk_conf_free(&set);
    rk_conf_errors_free(&e);
    return 0;
}
