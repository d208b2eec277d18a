/* alone.c - boxes without a world: real time, no cables, no MKA, no faults, facts only
 *
 * Goes when topology.c, world.c, show.c, fault.c and control.c define these functions.
 */
#include "conf.h"

#include <core/base/log.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

int
sim_topology_load(const char *path, struct sim_lab *lab, char *why)
{
    (void)lab;
    snprintf(why, SIM_WHY_MAX, "%.100s: topologies are not read by this build; use --box", path);
    return -1;
}

int
sim_world_start(struct sim_lab *lab, char *why)
{
    (void)lab;
    (void)why;
    return 0;
}

void
sim_world_stop(struct sim_lab *lab)
{
    (void)lab;
}

int64_t
sim_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
sim_box_now_ms(const struct sim_box *box)
{
    return sim_now_ms() + __atomic_load_n(&box->clock_offset_ms, __ATOMIC_RELAXED);
}

int32_t
sim_box_zone_s(const struct sim_box *box, int64_t unix_s)
{
    (void)box;
    (void)unix_s;
    return 0;
}

static void
software(struct sim_box *box, unsigned engines, FILE *out)
{
    char host[256];

    pthread_mutex_lock(&box->lock);
    if (!conf_text(xmlDocGetRootElement(box->committed), "system/host-name", host, sizeof host))
        snprintf(host, sizeof host, "%s", box->name);
    pthread_mutex_unlock(&box->lock);
    if (engines > 1)
        fputs("<multi-routing-engine-results>\n", out);
    for (unsigned i = 0; i < engines; i++) {
        if (engines > 1)
            fprintf(out, "<multi-routing-engine-item>\n<re-name>re%u</re-name>\n", i);
        fputs("<software-information>\n<host-name>", out);
        xml_put(out, host);
        fprintf(out, "</host-name>\n<product-model>%s</product-model>\n<product-name>%s</product-name>\n"
                     "<junos-version>%s</junos-version>\n</software-information>\n",
                *box->model ? box->model : box->as->model, *box->model ? box->model : box->as->model,
                *box->release ? box->release : box->as->release);
        if (engines > 1)
            fputs("</multi-routing-engine-item>\n", out);
    }
    if (engines > 1)
        fputs("</multi-routing-engine-results>\n", out);
}

int
sim_show(struct sim_box *box, const char *rpc, const xmlNode *request, FILE *out)
{
    char command[64] = "";

    if (strcmp(rpc, "command") == 0)
        conf_value(request, command, sizeof command);
    if (strcmp(rpc, "get-software-information") != 0 && strncmp(command, "show version", 12) != 0)
        return -1;
    software(box, strstr(command, "invoke-on all") ? box->as->engines : 1, out);
    return 0;
}

void
sim_committed(struct sim_box *box, const char *user, const char *log)
{
    rk_log(RK_LOG_DEBUG, "ev=committed box=%s user=%s log=%s", box->name, user ? user : "", log ? log : "");
}

void
sim_violation(struct sim_box *box, const char *what)
{
    rk_log(RK_LOG_WARNING, "ev=violation box=%s %s", box->name, what);
}

struct sim_fault_hit
sim_fault(struct sim_box *box, enum sim_point point, const char *rpc)
{
    (void)box;
    (void)point;
    (void)rpc;
    return (struct sim_fault_hit){0};
}
