/* etsi014_rig.c - what the tests of the etsi014 plugin's answers share.  Test code. */
#include "etsi014_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BUDGET_MS 20000

struct rig rig;

static void
drop_keys(void)
{
    for (size_t i = 0; i < RIG_KEYS; i++)
        fake_host.secret_free(&rig.keys[i].secret);
    memset(rig.keys, 0, sizeof rig.keys);
}

int
rig_can_run(void)
{
    if (system("python3 -c 'import ssl' 2>/dev/null") == 0)
        return 1;
    puts("1..0 # SKIP python3 with ssl is not there");
    return 0;
}

int
rig_group_up(void **state)
{
    (void)state;
    rig.ops = etsi014_LTX_rk_plugin.ops;
    return kme_start(&rig.kme);
}

int
rig_group_down(void **state)
{
    (void)state;
    kme_stop(&rig.kme);
    return 0;
}

static void
close_inst(void)
{
    if (rig.inst)
        etsi014_LTX_rk_plugin.fini(rig.inst);
    rig.inst = NULL;
}

void
rig_open(const char *const *extra)
{
    const char *pairs[24] = {RK_CONF_SAE, "SAE_A"};
    size_t n = 2;

    for (; extra && *extra && n < 22; extra++)
        pairs[n++] = *extra;
    close_inst();
    kme_log(&rig.kme);
    if (etsi_open(&rig.kme, "kme", pairs, &rig.call, &rig.inst))
        fail_msg("init: %s", rig.call.text);
}

void
rig_budget(int ms)
{
    fake_call_end(&rig.call);
    fake_call(&rig.call, ms);
}

int
rig_up(void **state)
{
    (void)state;
    fake_call(&rig.call, BUDGET_MS);
    rig_open(NULL);
    fake_log_clear();
    return 0;
}

int
rig_down(void **state)
{
    (void)state;
    drop_keys();
    close_inst();
    fake_call_end(&rig.call);
    return 0;
}

void
rig_play(const char *part)
{
    kme_play(&rig.kme, part);
    kme_log(&rig.kme);
}

int
rig_new(size_t n)
{
    drop_keys();
    return rig.ops->get_new(rig.inst, &rig.call, "SAE_B", 256, rig.keys, n);
}

int
rig_ids(size_t n)
{
    drop_keys();
    for (size_t i = 0; i < n; i++)
        snprintf(rig.keys[i].id, sizeof rig.keys[i].id, RIG_UUID "%012zx", i + 1);
    return rig.ops->get_by_id(rig.inst, &rig.call, "SAE_B", 256, rig.keys, n);
}

int
rig_id(const char *end)
{
    drop_keys();
    snprintf(rig.keys[0].id, sizeof rig.keys[0].id, RIG_UUID "%s", end);
    return rig.ops->get_by_id(rig.inst, &rig.call, "SAE_B", 256, rig.keys, 1);
}

size_t
rig_requests(void)
{
    kme_log(&rig.kme);
    return rig.kme.n_requests;
}

void
assert_key(const struct rk_key *k)
{
    unsigned number = (unsigned)strtoul(k->id + strlen(k->id) - 4, NULL, 16);
    unsigned char want[32];

    for (unsigned i = 0; i < sizeof want; i++)
        want[i] = (unsigned char)(number * 31 + i * 7 + 0xf0);
    assert_int_equal(k->err, RK_OK);
    assert_non_null(k->secret);
    assert_true(fake_secret_is(k->secret, want, sizeof want));
}

void
assert_no_keys(void)
{
    for (size_t i = 0; i < RIG_KEYS; i++)
        assert_null(rig.keys[i].secret);
}

void
assert_says(const char *text)
{
    if (!strstr(rig.call.text, text))
        fail_msg("\"%s\" does not say \"%s\"", rig.call.text, text);
}

void
assert_logged(const char *text)
{
    if (!strstr(fake_log(), text))
        fail_msg("no \"%s\" in:\n%s", text, fake_log());
}

void
assert_not_logged(const char *text)
{
    if (strstr(fake_log(), text))
        fail_msg("\"%s\" is in:\n%s", text, fake_log());
}

void
assert_sent(const char *text)
{
    if (!strstr(rig.kme.log, text))
        fail_msg("no \"%s\" in:\n%s", text, rig.kme.log);
}
