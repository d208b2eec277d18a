/* fuzz_status.c - the reader of a KME's status, with any bytes as its answer.
 *
 * What it tells is a number that is not negative or "not known", and names that can be printed.
 */
#include "plugins/source/etsi014/status.h"

#include <rekey/err.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
demand(bool truth)
{
    if (!truth)
        abort();
}

static void
check_name(const char *name)
{
    demand(memchr(name, '\0', STATUS_NAME_MAX + 1));
    for (; *name; name++)
        demand(*name > ' ' && *name <= '~');
}

static void
check(const struct status *st, bool refused)
{
    const int64_t numbers[] = {st->key_bits, st->min_bits, st->max_bits, st->stored, st->capacity, st->max_per_request,
                               st->max_saes};
    const char *const names[] = {st->source_kme, st->target_kme, st->master_sae, st->slave_sae};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        demand(refused ? numbers[i] == -1 : numbers[i] >= -1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        check_name(names[i]);
        demand(!refused || !names[i][0]);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why = NULL;
    struct status st;
    char *body = malloc(size + 1);
    int err;

    if (!body)
        return 0;
    if (size)
        memcpy(body, data, size);
    memset(&st, 0x55, sizeof st); /* what is not set shows */
    err = status_read(body, size, &st, &why);
    demand(err == RK_OK || (err == RK_E_PROTOCOL && why));
    check(&st, err != RK_OK);
    free(body);
    return 0;
}
