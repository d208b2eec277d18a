/* host_process_test.c - rekey-host as rekeyd sees it: a process behind a socket. */
#include "hostrig.h"

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/secret.h"
#include "core/host/kdf.h"
#include "core/host/serve.h"
#include "core/ipc/frame.h"

#include <rekey/err.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct rk_item *
items(size_t n)
{
    struct rk_item *list = rk_items_new(n);

    assert_non_null(list);
    return list;
}

/* ---- hello ---- */

static void
test_hello(void **state)
{
    struct rig r;

    (void)state;
    rig_start(&r, "host-source", NULL);
    assert_string_equal(r.hello.error, "");
    assert_string_equal(r.hello.name, "host-source");
    assert_string_equal(r.hello.version, "1.2");
    assert_int_equal(r.hello.kind, RK_SOURCE);
    assert_int_equal(r.hello.n_opts, 4);
    assert_string_equal(r.hello.opts[1].dflt, "2s");
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

/* ---- source ---- */

static struct rk_call_msg
get_new(const char *peer_sae, uint32_t bits, size_t n)
{
    struct rk_call_msg c = {.verb = RK_V_GET_NEW, .inst = 1, .bits = bits, .items = items(n), .n = n};

    snprintf(c.peer_sae, sizeof c.peer_sae, "%s", peer_sae);
    return c;
}

static void
start_source(struct rig *r)
{
    struct rk_reply reply;

    rig_start(r, "host-source", NULL);
    assert_int_equal(rig_config(r, 1, &reply, NULL), RK_OK);
    rig_reply_free(&reply);
}

static void
test_get_new(void **state)
{
    struct rk_call_msg c = get_new("SAE_B", 256, 3);
    struct rk_reply reply;
    struct rig r;

    (void)state;
    start_source(&r);
    assert_int_equal(rig_call(&r, &c, &reply), RK_OK);
    assert_int_equal(reply.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(reply.items[i].err, RK_OK);
        assert_true(rig_key_is(&reply.items[i].fd, (unsigned char)(0x40 + i), 32));
    }
    assert_string_equal(reply.items[0].key_id, "550e8400-e29b-41d4-a716-000000000abc");
    assert_true(rig_log_has(&r, "ev=given n=3?forged=line inst=i1 call=2"));
    rig_reply_free(&reply);
    rk_items_free(c.items, c.n);
    assert_int_equal(rig_stop(&r), RK_EXIT_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_get_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
