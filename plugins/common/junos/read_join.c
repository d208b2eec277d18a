/* read_join.c - two answers about the same MKA sessions.  Pure.
 *
 * Releases leave leaves out of one form of the answer that another form has; some print a CKN short in one of them. */
#include "read_mka.h"

#include <stdlib.h>
#include <string.h>

/* Rows in order of their interfaces, and as they came. */
struct index {
    struct jn_mka **at;
    size_t n;
};

static int
by_iface(const void *a, const void *b)
{
    const struct jn_mka *x = *(struct jn_mka *const *)a, *y = *(struct jn_mka *const *)b;
    int d = strcmp(x->iface, y->iface);

    return d ? d : (x > y) - (x < y);
}

static int
sort(struct index *index, struct jn_mka *rows, size_t n)
{
    *index = (struct index){.at = calloc(n + 1, sizeof *index->at), .n = n};
    if (!index->at)
        return RK_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        index->at[i] = &rows[i];
    qsort(index->at, n, sizeof *index->at, by_iface);
    return RK_OK;
}

/* Those of one interface. */
static struct index
rows_of(const struct index *all, const char *iface)
{
    size_t low = 0, high = all->n, end;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(all->at[mid]->iface, iface) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (end = low; end < all->n && strcmp(all->at[end]->iface, iface) == 0; end++)
        ;
    return (struct index){.at = all->at + low, .n = end - low};
}

/* The row that is about the same CAK and does not contradict; of names that are cut, the one that can be meant. */
static struct jn_mka *
find(const struct index *rows, const struct jn_mka *like)
{
    struct jn_mka *found = NULL;
    size_t hits = 0;

    for (size_t i = 0; i < rows->n; i++)
        if (strcmp(rows->at[i]->ckn, like->ckn) == 0 && jn_mka_agree(rows->at[i], like))
            return rows->at[i];
    for (size_t i = 0; i < rows->n; i++) {
        struct jn_mka *m = rows->at[i];

        if ((jn_ckn_cut(m->ckn, like->ckn) || jn_ckn_cut(like->ckn, m->ckn)) && jn_mka_agree(m, like)) {
            found = m;
            hits++;
        }
    }
    return hits == 1 ? found : NULL;
}

static void
merge(struct jn_mka *to, const struct jn_mka *from)
{
    if (jn_ckn_cut(to->ckn, from->ckn))
        memcpy(to->ckn, from->ckn, sizeof to->ckn);
    jn_mka_merge(to, from);
}

int
jn_mka_join(struct jn_mka **rows, size_t *n, const struct jn_mka *more, size_t n_more)
{
    size_t had = *n;
    struct jn_mka *all = n_more ? reallocarray(*rows, had + n_more, sizeof *all) : *rows;
    struct index index;
    int err = RK_OK;

    if (n_more == 0)
        return RK_OK;
    if (!all)
        return RK_E_NOMEM;
    *rows = all;
    err = sort(&index, all, had);
    for (size_t i = 0; !err && i < n_more; i++) {
        struct index of = rows_of(&index, more[i].iface);
        struct jn_mka *m = find(&of, &more[i]);

        if (m) {
            merge(m, &more[i]);
            continue;
        }
        if (*n >= JN_ROWS_MAX)
            err = RK_E_PROTOCOL;
        else
            all[(*n)++] = more[i];
        if (!err && !more[i].state && of.n)
            all[*n - 1].state = of.at[0]->state;
    }
    free(index.at);
    return err;
}
