/* model_mix_test.c - a link with several sources: which offers a slave takes, and what is told of the key in use. */
#include "model_rig.h"

#include "core/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define UUID "550e8400-e29b-41d4-a716-446655440000"
#define SHORT "~VQ6EAOKbQdSnFkRmVUQAAA"
#define LISTS "the key offered is not mixed of as many sources as here: sources must be the same list in the same " \
              "order at both ends"
#define LACKS "the key offered lacks a source, and require is all here"

static void
offers(void **state)
{
    static const struct {
        unsigned n_sources;
        bool any;
        const char *key, *facts;
        int refused; /* RK_OK: taken */
        const char *why;
    } rows[] = {
        {2, false, SHORT "+x", "sci=b", RK_OK, NULL},
        {3, false, SHORT "+x+y", "sci=b", RK_OK, NULL},
        {2, true, SHORT "+x", "sci=b", RK_OK, NULL},
        {2, true, SHORT "+", "sci=b", RK_OK, NULL},
        {2, true, "+x", "sci=b", RK_OK, NULL},
        {2, false, SHORT "+", "sci=b", RK_E_REJECTED, LACKS},
        {2, false, "+x", "sci=b", RK_E_REJECTED, LACKS},
        {2, false, UUID, "sci=b", RK_E_PROTOCOL, LISTS},
        {2, true, UUID, "sci=b", RK_E_PROTOCOL, LISTS},
        {2, true, SHORT, "sci=b", RK_E_PROTOCOL, LISTS},
        {3, true, SHORT "+x", "sci=b", RK_E_PROTOCOL, LISTS},
        {2, true, SHORT "+x+y", "sci=b", RK_E_PROTOCOL, LISTS},
        {2, true, "+", "sci=b", RK_E_PROTOCOL, LISTS},
        {2, true, "~AAAA+x", "sci=b", RK_E_PROTOCOL, LISTS},
        {2, true, UUID "+x", "sci=b", RK_E_PROTOCOL, LISTS},
        {2, false, "", "sci=b", RK_E_PROTOCOL, LISTS},
        {2, false, "k4", "sci=b", RK_E_PROTOCOL, LISTS},
        {2, false, "k4", "sci=b,fb", RK_E_PROTOCOL, "the offer does not fit the key in use"},
        {2, false, UUID, "sci=b,fb", RK_OK, NULL}, /* of one source, and both ends know it */
        {1, false, UUID, "sci=b", RK_OK, NULL},
        {0, false, "a+b", "sci=b", RK_OK, NULL}, /* what an ID of one source means is that source's */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fix f;
        struct rk_record r;

        ready(&f, RK_CLASS_A, SL);
        f.e.n_sources = rows[i].n_sources;
        f.e.require_any = rows[i].any;
        f.e.has_fallback = true;
        r = peer_says(&f, RK_SAY_OFFER, 5, rows[i].key);
        strcpy(r.facts, rows[i].facts);
        hears(&f, r);
        assert_int_equal(f.e.state, rows[i].refused ? RK_ST_J_BURNT : RK_ST_J_INTENT);
        if (!rows[i].refused) {
            assert_string_equal(f.e.d.cand, rows[i].key);
            continue;
        }
        assert_string_equal(f.e.last_why, rows[i].why);
        assert_int_equal(f.e.last_err, rows[i].refused);
        happens(&f, RK_EV_DONE);
        rk_end_record(&f.e, &r);
        assert_int_equal(r.say, RK_SAY_NACK);
        assert_string_equal(r.confirm, rk_err_name(rows[i].refused));
    }
}

/* What may be to blame is named at the master, too; but not of a link with one source. */
static void
masters_words(void **state)
{
    static const char hint[] = "are sources the same list in the same order there?";
    struct fix f;

    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        struct rk_record r;

        ready(&f, RK_CLASS_A, M);
        goes_to(&f, RK_ST_STAGED);
        f.e.n_sources = n;
        r = peer_says(&f, RK_SAY_NACK, 5, "k4");
        strcpy(r.confirm, "key-gone");
        hears(&f, r);
        assert_int_equal(f.e.state, RK_ST_J_BURNING);
        assert_int_equal(strstr(f.e.last_why, hint) != NULL, n == 2);
        ready(&f, RK_CLASS_A, M);
        goes_to(&f, RK_ST_STAGED);
        f.e.n_sources = n;
        r = peer_says(&f, RK_SAY_STAGED, 5, "k5");
        strcpy(r.confirm, TAG_M);
        hears(&f, r);
        assert_int_equal(f.e.state, RK_ST_J_BURNING);
        assert_int_equal(strstr(f.e.last_why, hint) != NULL, n == 2);
    }
}

static void
reduced(void **state)
{
    static const struct {
        unsigned n_sources;
        const char *cur;
        uint32_t flags;
        size_t missing; /* n_sources: none */
    } rows[] = {
        {2, SHORT "+x", 0, 2}, {2, SHORT "+", 0, 1},        {2, "+x", 0, 0},
        {3, "a++b", 0, 1},     {2, "a++b", 0, 2},           {2, UUID, 0, 2},
        {2, "", 0, 2},         {2, "+x", RK_DF_FALLBACK, 2}, {1, "+x", 0, 1},
    };
    char text[2000];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool less = rows[i].missing < rows[i].n_sources;
        struct fix f;

        ready(&f, RK_CLASS_A, M);
        f.e.n_sources = rows[i].n_sources;
        f.e.d.flags = rows[i].flags;
        strcpy(f.e.d.cur, rows[i].cur);
        assert_int_equal(rk_end_missing(&f.e), rows[i].missing);
        assert_int_equal((rk_end_alarms(&f.e, f.now_ns) & RK_ALARM_MIX_REDUCED) != 0, less);
        rk_end_explain(&f.e, f.now_ns, text, sizeof text);
        assert_int_equal(strstr(text, "The key in use was mixed without source") != NULL, less);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers),
        cmocka_unit_test(masters_words),
        cmocka_unit_test(reduced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
