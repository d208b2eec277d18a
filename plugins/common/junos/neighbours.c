/* neighbours.c - what a router hears by LLDP, for the channel whose records it carries
 *
 * All interfaces are asked for in one request.  The list of some releases leaves out either the port's ID or its
 * description: such interfaces are asked for once more, one by one.  What is out of date is left out.
 */
#include "read.h"
#include "rows.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAC_TEXT 17 /* "00:1c:73:ee:c0:46" */

/* A MAC address in lower case, with colons, whatever the router puts between; any other ID stays as it is. */
static void
tidy_id(char *id)
{
    bool mac = strlen(id) == MAC_TEXT;

    for (int i = 0; mac && i < MAC_TEXT; i++)
        mac = i % 3 == 2 ? id[i] == ':' || id[i] == '-' : isxdigit((unsigned char)id[i]) != 0;
    for (int i = 0; mac && i < MAC_TEXT; i++)
        id[i] = i % 3 == 2 ? ':' : (char)tolower((unsigned char)id[i]);
}

/* A neighbour that says that it leaves (TTL 0), or has not been heard for that long. */
static bool
is_over(const struct jn_neighbour *b)
{
    return b->ttl_s == 0 || (b->ttl_s > 0 && b->age_s >= b->ttl_s);
}

static uint32_t
left_s(const struct jn_neighbour *b)
{
    return b->ttl_s > 0 ? (uint32_t)(b->ttl_s - (b->age_s > 0 ? b->age_s : 0)) : 0;
}

static bool
is_whole(const struct jn_neighbour *b)
{
    return b->port[0] && b->description[0];
}

/* Two routing engines tell of one neighbour twice, and so may two units of one interface. */
static bool
is_same(const struct jn_neighbour *a, const struct jn_neighbour *b)
{
    return strcmp(a->iface, b->iface) == 0 && strcmp(a->chassis, b->chassis) == 0 && strcmp(a->port, b->port) == 0;
}

static bool
told_before(const struct jn_view *v, size_t k)
{
    for (size_t i = 0; i < k; i++)
        if (is_same(&v->lldp[i], &v->lldp[k]) && !is_over(&v->lldp[i]))
            return true;
    return false;
}

/* ---- an interface ---- */

/* One call. */
struct asked {
    rk_neighbour_fn *found;
    void *arg;
};

static int
tell_all(const struct jn_view *v, const char *iface, const struct asked *a)
{
    char name[RK_IFACE_MAX + 1];
    int err = RK_OK;

    if (!jn_iface_name(iface, name))
        return RK_OK;
    for (size_t i = 0; !err && i < v->n_lldp; i++) {
        const struct jn_neighbour *b = &v->lldp[i];
        struct rk_neighbour seen = {.size = sizeof seen, .ttl_s = left_s(b), .iface = iface, .chassis = b->chassis,
                                    .port = b->port, .system = b->system, .description = b->description};

        if (strcmp(b->iface, name) == 0 && !is_over(b) && !told_before(v, i))
            err = a->found(a->arg, &seen);
    }
    return err;
}

static bool
lacks(const struct jn_view *v, const char *iface)
{
    char name[RK_IFACE_MAX + 1];

    if (!jn_iface_name(iface, name))
        return false;
    for (size_t i = 0; i < v->n_lldp; i++)
        if (strcmp(v->lldp[i].iface, name) == 0 && !is_whole(&v->lldp[i]))
            return true;
    return false;
}

static void
tidy(struct jn_view *v)
{
    for (size_t i = 0; i < v->n_lldp; i++) {
        tidy_id(v->lldp[i].chassis);
        tidy_id(v->lldp[i].port);
    }
}

/* Asked for alone, an interface is told with all that is known; a router that cannot be asked so leaves the list. */
static int
tell_one(struct jn_device *d, struct rk_call *call, const char *iface, const struct jn_view *list,
         const struct asked *a)
{
    struct jn_view *one = NULL;
    int err = jn_view_get_for(d, call, JN_WANT_LLDP, &iface, 1, &one);

    if (!err) {
        tidy(one);
        err = tell_all(one->n_lldp ? one : list, iface, a);
    } else if (err == RK_E_REJECTED) {
        err = tell_all(list, iface, a);
    }
    jn_view_free(d->host, &one);
    return err;
}

int
jn_neighbours(void *inst, struct rk_call *call, const char *const *ifaces, size_t n, rk_neighbour_fn *found, void *arg)
{
    struct jn_device *d = inst;
    struct asked a = {found, arg};
    struct jn_view *list = NULL;
    bool again = n > JN_FEW; /* fewer were asked for one by one already */
    int err = jn_view_get_for(d, call, JN_WANT_LLDP, ifaces, n, &list);

    if (!err)
        tidy(list);
    for (size_t i = 0; !err && i < n; i++)
        err = again && lacks(list, ifaces[i]) ? tell_one(d, call, ifaces[i], list, &a)
                                              : tell_all(list, ifaces[i], &a);
    jn_view_free(d->host, &list);
    return err;
}
