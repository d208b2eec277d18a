/* fuzz-dump.c - any bytes as the kernel's answer: every reader of dump.c must stay inside them */
#include "dump.h"
#include "name.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_all(const struct nlmsghdr *nlh)
{
    struct macsec_secy secy;
    struct macsec_link link;
    uint16_t family;

    if (macsec_dump_secy(nlh, &secy) == RK_OK && (secy.encoding_sa >= MACSEC_ANS || secy.n_rx > MACSEC_RXSCS))
        abort();
    (void)macsec_dump_link(nlh, &link);
    (void)macsec_dump_family(nlh, &family);
    (void)macsec_dump_errno(nlh);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct nlmsghdr *nlh;
    void *copy; /* aligned, and of exactly this size */
    int left = (int)size;

    if (size < sizeof *nlh || size > 65536 || !(copy = malloc(size)))
        return 0;
    memcpy(copy, data, size);
    for (nlh = copy; macsec_dump_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
        read_all(nlh);
    free(copy);
    return 0;
}
