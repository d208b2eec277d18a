/* row_load.c - what can be said before a function of the module is called, and of making instances. */
#include "check.h"

#include "../base/err.h"
#include "../conf/opt.h"

#include <stdlib.h>
#include <string.h>

#define LIVES 3
#define PAGE_MAX (1024 * 1024)

static bool
about_options(const char *error)
{
    return strstr(error, "its options are wrong") || strstr(error, "struct rk_opt") || strstr(error, "option ") ||
           strstr(error, " options; ");
}

enum rk_check_result
rk_check_row_load(struct rk_check *ck, struct rk_check_host *h)
{
    if (!h->has_hello)
        return rk_check_fail(ck, "%s", h->obituary[0] ? h->obituary : "the host did not start");
    if (h->hello.error[0] && !about_options(h->hello.error))
        return rk_check_fail(ck, "%.280s", h->hello.error);
    ck->loaded = !h->hello.error[0];
    if (!ck->loaded)
        return rk_check_pass(ck, "but for its options");
    return rk_check_pass(ck, "%s %.60s, ABI %u.%u", ck->name, ck->version, ck->abi >> 16, ck->abi & 0xffff);
}

enum rk_check_result
rk_check_row_schema(struct rk_check *ck, struct rk_check_host *h)
{
    char why[200] = "";

    if (!h->has_hello || (h->hello.error[0] && !about_options(h->hello.error)))
        return rk_check_skip(ck, "it cannot be loaded");
    if (h->hello.error[0])
        return rk_check_fail(ck, "%.280s", h->hello.error);
    if (rk_opts_sane(h->hello.opts, why, sizeof why) != RK_OK)
        return rk_check_fail(ck, "%s", why);
    return rk_check_pass(ck, "%zu options", h->hello.n_opts);
}

/* ---- documented ---- */

static char *
read_page(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = f ? calloc(1, PAGE_MAX) : NULL;

    if (text && fread(text, 1, PAGE_MAX - 1, f) == 0) {
        free(text);
        text = NULL;
    }
    if (f)
        fclose(f);
    return text;
}

/* Is the word there, not as a part of a longer one? */
static bool
in_page(const char *page, const char *word)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t len = strlen(word);

    for (const char *at = page; (at = strstr(at, word)); at++)
        if ((at == page || !strchr(letters, at[-1])) && (!at[len] || !strchr(letters, at[len])))
            return true;
    return false;
}

static const char *
undocumented(const struct rk_opt *o, const char *page)
{
    size_t len = o->help ? strlen(o->help) : 0;

    if (len < 3)
        return "has no help";
    if (o->help[len - 1] == '.')
        return "has a full stop behind its help, which is one sentence without";
    if ((o->type == RK_OPT_INT) && o->max > 0 && !o->unit && !o->help[0])
        return "has no unit";
    return page && !in_page(page, o->name) ? "is not in the manual page" : NULL;
}

enum rk_check_result
rk_check_row_documented(struct rk_check *ck, struct rk_check_host *h)
{
    char *page = NULL;
    enum rk_check_result r = RK_CHECK_PASSED;

    if (!ck->loaded)
        return rk_check_skip(ck, "it cannot be loaded");
    if (!h->hello.version[0] || !h->hello.summary[0])
        return rk_check_fail(ck, "it says no %s of itself", h->hello.version[0] ? "summary" : "version");
    if (ck->man && !(page = read_page(ck->man)))
        return rk_check_fail(ck, "%.200s cannot be read", ck->man);
    for (const struct rk_opt *o = h->hello.opts; r == RK_CHECK_PASSED && o && o->name; o++) {
        const char *why = undocumented(o, page);

        if (why)
            r = rk_check_fail(ck, "option %s %s", o->name, why);
    }
    free(page);
    return r ? r : rk_check_pass(ck, "%zu options%s", h->hello.n_opts, page ? ", all in the manual page" : "");
}

/* ---- instances ---- */

enum rk_check_result
rk_check_row_init(struct rk_check *ck, struct rk_check_host *h)
{
    const char *why;
    int err;

    for (int i = 0; i < LIVES; i++) {
        err = rk_check_inst(ck, h, RK_CHECK_AS_GIVEN);
        if (err)
            return rk_check_wrong(ck, h, i ? "init, after one was ended" : "init", err);
        err = rk_check_host_drop(h, h->inst);
        if (err)
            return rk_check_wrong(ck, h, "fini", err);
    }
    if (!rk_check_silent(ck, h, &why))
        return rk_check_pass(ck, "%d, one after the other", LIVES);
    err = rk_check_inst(ck, h, RK_CHECK_SLOW);
    ck->eager = err != RK_OK;
    if (err)
        return rk_check_wrong(ck, h, "init, while the peer is silent", err);
    return rk_check_pass(ck, "%d, one after the other; one with a silent peer", LIVES);
}

enum rk_check_result
rk_check_row_calls(struct rk_check *ck, struct rk_check_host *h)
{
    const char *what = "init";
    int err = rk_check_inst(ck, h, RK_CHECK_AS_GIVEN);

    for (int i = 0; !err && i < LIVES; i++)
        err = rk_check_round(ck, h, &what);
    if (!err)
        err = rk_check_host_drop(h, h->inst);
    ck->gone = h->sock < 0;
    if (err)
        return rk_check_wrong(ck, h, what, err);
    ck->works = true;
    return rk_check_pass(ck, "%d rounds of all calls", LIVES);
}
