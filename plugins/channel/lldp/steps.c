/* steps.c - the way to the other end step by step: lldpd, then for each link its port, its neighbour and its record */
#include "wire.h"

#include <stdio.h>

static void
heard(void *arg, enum ctl_how how, const struct rk_neighbour *seen)
{
    struct neighbours *all = arg;

    if (how != CTL_GONE)
        neigh_heard(all, seen, wire_now_ms());
}

/* What is known of the neighbours of a port.  ret: RK_OK, or the code of the step that failed */
static int
judge(const struct rk_host *host, struct rk_call *call, const struct links_job *job, const struct neighbours *all)
{
    char words[RK_RECORD_MAX + 1];
    int err;

    if (neigh_count(all, false) == 0)
        return host->step(call, "neighbour", RK_E_UNREACHABLE, "link %s: nobody is heard on %s: the cable, the peer's "
                          "LLDP, or MACsec without exclude-protocol lldp", job->link, job->port);
    err = neigh_words(all, words) ? host->step(call, "neighbour", RK_E_CONFLICT, "link %s: %s", job->link, words)
                                  : host->step(call, "neighbour", RK_OK, "link %s: %s has one neighbour", job->link,
                                               job->port);
    if (neigh_count(all, true) == 0)
        err = host->step(call, "record", RK_E_AGAIN, "link %s: the neighbour shows no record: its rekeyd does not run, "
                         "or has another format or carry", job->link);
    else
        (void)host->step(call, "record", RK_OK, "link %s: there is one; whether its tag is right, status tells",
                         job->link);
    return err;
}

static int
test_port(struct ctl *c, const struct rk_host *host, struct rk_call *call, struct links *links,
          const struct links_job *job)
{
    struct neigh_rules rules;
    struct neighbours *all;
    int err;

    if (!links_rules(links, job->link, &rules))
        return RK_OK;
    all = neigh_new(&rules, wire_now_ms());
    if (!all)
        return host->step(call, "port", RK_E_NOMEM, "out of memory");
    err = ctl_read(c, call, job->port, heard, all);
    if (err)
        err = host->step(call, "port", err, "%s", "");
    else
        err = judge(host, call, job, all);
    neigh_free(all);
    return err;
}

int
wire_steps(const struct rk_host *host, struct rk_call *call, struct links *links, struct ctl *c)
{
    struct links_job job;
    int first = RK_OK, n = 0;

    for (; links_port_at(links, (size_t)n, &job); n++) {
        int err = test_port(c, host, call, links, &job);

        first = first ? first : err;
        if (!ctl_usable(c))
            break;
    }
    if (n == 0)
        (void)host->step(call, "port", RK_STEP_SKIPPED, "no link goes through lldpd on this host");
    return first;
}
