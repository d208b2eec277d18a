/* lab.c - all boxes of a process
 *
 * Constant once threads run.
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

struct sim_box *
sim_lab_box(const struct sim_lab *lab, const char *name)
{
    for (size_t i = 0; i < lab->n; i++)
        if (strcmp(lab->boxes[i]->name, name) == 0)
            return lab->boxes[i];
    return NULL;
}

struct sim_box *
sim_lab_at(const struct sim_lab *lab, struct in_addr address)
{
    for (size_t i = 0; i < lab->n; i++)
        if (lab->boxes[i]->address.s_addr == address.s_addr)
            return lab->boxes[i];
    return NULL;
}

void
sim_lab_free(struct sim_lab *lab)
{
    for (size_t i = 0; i < lab->n; i++)
        sim_box_free(lab->boxes[i]);
    free(lab->boxes);
    free(lab->control);
    memset(lab, 0, sizeof *lab);
}
