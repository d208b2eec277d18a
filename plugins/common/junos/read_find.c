/* read_find.c - what is looked up by name in a configuration and a view.  Pure.
 *
 * A router has thousands of interfaces, and every key of a call asks for some: so names are sorted once. */
#include "rows.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Elements of all three lists begin with their name, and so does what is looked for. */
_Static_assert(offsetof(struct jn_port, name) == 0 && offsetof(struct jn_ca, name) == 0 &&
               offsetof(struct jn_chain, name) == 0, "names come first");

/* Of several of one name the first. */
static int
by_name(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int d = strcmp(x, y);

    return d ? d : (x > y) - (x < y);
}

static int
sort(struct jn_names *names, const void *list, size_t n, size_t size)
{
    names->at = n ? calloc(n, sizeof *names->at) : NULL;
    if (n && !names->at)
        return RK_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        names->at[i] = (const char *)list + i * size;
    if (n > 1)
        qsort(names->at, n, sizeof *names->at, by_name);
    return RK_OK;
}

int
jn_conf_sort(struct jn_conf *c)
{
    int err = sort(&c->ports, c->port, c->n_port, sizeof *c->port);

    if (!err)
        err = sort(&c->cas, c->ca, c->n_ca, sizeof *c->ca);
    return err ? err : sort(&c->chains, c->chain, c->n_chain, sizeof *c->chain);
}

struct list {
    const void *first;
    size_t n, size;
};

/* Without an index (none was made) the list is gone through. */
static const void *
find(const struct jn_names *names, struct list list, const char *name)
{
    size_t low = 0, high = list.n;

    if (!names->at) {
        for (size_t i = 0; i < list.n; i++)
            if (strcmp((const char *)list.first + i * list.size, name) == 0)
                return (const char *)list.first + i * list.size;
        return NULL;
    }
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(names->at[mid], name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < list.n && strcmp(names->at[low], name) == 0 ? names->at[low] : NULL;
}

const struct jn_port *
jn_conf_port(const struct jn_conf *c, const char *iface)
{
    char name[RK_IFACE_MAX + 1];

    if (!jn_iface_name(iface, name))
        return NULL;
    return find(&c->ports, (struct list){c->port, c->n_port, sizeof *c->port}, name);
}

const struct jn_ca *
jn_conf_ca(const struct jn_conf *c, const char *name)
{
    return find(&c->cas, (struct list){c->ca, c->n_ca, sizeof *c->ca}, name);
}

const struct jn_chain *
jn_conf_chain(const struct jn_conf *c, const char *name)
{
    return find(&c->chains, (struct list){c->chain, c->n_chain, sizeof *c->chain}, name);
}

/* ---- rows of some interfaces ---- */

_Static_assert(offsetof(struct jn_mka, iface) == 0 && offsetof(struct jn_macsec, iface) == 0 &&
               offsetof(struct jn_neighbour, iface) == 0 && offsetof(struct jn_link_state, iface) == 0,
               "the interface's name comes first");

static int
by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

int
jn_only_make(struct jn_only *only, const char *const *ifaces, size_t n)
{
    *only = (struct jn_only){.all = n == 0};
    only->name = n ? calloc(n, sizeof *only->name) : NULL;
    if (n && !only->name)
        return RK_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        only->n += jn_iface_name(ifaces[i], only->name[only->n]);
    if (only->n > 1)
        qsort(only->name, only->n, sizeof *only->name, by_text);
    return RK_OK;
}

void
jn_only_free(struct jn_only *only)
{
    free(only->name);
    only->name = NULL;
}

size_t
jn_only_keep(const struct jn_only *only, void *rows, size_t n, size_t size)
{
    size_t kept = 0;

    if (only->all)
        return n;
    for (size_t i = 0; i < n; i++) {
        char *row = (char *)rows + i * size;

        if (!only->n || !bsearch(row, only->name, only->n, sizeof *only->name, by_text))
            continue;
        if (kept < i)
            memcpy((char *)rows + kept * size, row, size);
        kept++;
    }
    return kept;
}
