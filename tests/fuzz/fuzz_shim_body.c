/* fuzz_shim_body.c - what the script of a router sends to junos-event, with any bytes, as an ask and as a report: what
 * is taken is within its bounds, and printable where people see it. */
#include "plugins/device/junos-event/body.h"

#include "text.h"

#include <rekey/err.h>

static void
check_words(const char *text, size_t size)
{
    demand(strlen(text) < size);
    for (; *text; text++)
        demand(*text >= ' ' && *text <= '~' && *text != '"');
}

static void
check_said(const struct je_said *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        demand(s[i].rpc && s[i].rpc[0] && strlen(s[i].rpc) <= JE_RPC_MAX && s[i].reply &&
               strlen(s[i].reply) == s[i].len);
}

static void
look_as(const char *text, size_t size, bool report)
{
    struct je_body b;
    const char *why = "unset";
    int err = je_body_read(text, size, report, &b, &why);

    demand(err == RK_OK ? !why : err == RK_E_PROTOCOL && why && why[0] && !strchr(why, '"'));
    check_words(b.shim, sizeof b.shim);
    check_words(b.why, sizeof b.why);
    demand(b.n_facts <= JE_FACTS_MAX && b.n_steps <= JE_STEPS_MAX);
    check_said(b.fact, b.n_facts);
    check_said(b.step, b.n_steps);
    demand(err || (je_id_ok(b.run) && b.n >= 0 && b.clock_ms >= 0));
    demand(err || (report ? je_id_ok(b.id) && b.outcome <= JE_NOT_BEGUN : b.wait_ms <= JE_WAIT_MAX_MS));
    je_body_free(&b);
}

static void
look(char *text, size_t size)
{
    look_as(text, size, false);
    look_as(text, size, true);
}
