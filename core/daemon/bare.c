/* bare.c - a key ID that came in the place of a record, from a peer that is no rekeyd.
 *
 * Runs in the loop.  The host passes it only from a channel that says so, and looked at no tag, for there is none.
 * What it counts for is said in core/model/bare.c: for no more than a record would, and for links of class E only.
 */
#include "daemon.h"

#include "../base/limits.h"
#include "../model/bare.h"

#include <rekey/err.h>

#include <stdio.h>

bool
bare_unfold(struct end *end, struct rk_item *item)
{
    struct rk_record record;
    const char *why;

    if (item->err || item->text[0] != RK_BARE_MARK || !end || !end_rouse(end))
        return true;
    if (!end->live->e.seen_ns) /* its class is the device's to say, and it is shown again */
        return false;
    why = rk_bare_record(&end->live->e, item->text + 1, &record);
    if (!why && rk_record_put(&record, item->text))
        return true;
    item->err = RK_E_AUTH;
    snprintf(item->text, sizeof item->text, "%s", why ? why : "a key ID that does not fit a record");
    return true;
}
