/* fuzz_junos_mka.c - the reader of MKA sessions, with any bytes as the reply.
 *
 * Nothing breaks, and what is read keeps its bounds. */
#include "plugins/common/netconf/xml.h"
#include "plugins/device/junos-netconf/read.h"

#include <stdint.h>
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
look(char *text, size_t size)
{
    bool repaired;
    xmlDoc *doc = nc_xml_parse(text, size, &repaired);
    struct jn_mka *m = NULL;
    size_t n = 0;
    int err = doc ? jn_mka_read(xmlDocGetRootElement(doc), &m, &n) : RK_E_PROTOCOL;

    demand(!err || (!m && n == 0));
    for (size_t i = 0; i < n; i++) {
        demand(m[i].iface[0] && m[i].ckn[0]);
        demand(strlen(m[i].ckn) <= JN_CKN_HEX && strlen(m[i].iface) <= RK_IFACE_MAX);
        demand(!m[i].has_sak || m[i].sak[0]);
    }
    free(m);
    nc_xml_free(doc);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    look(text, size);
    free(text);
    return 0;
}
