/* show.c - the report: a table that can be put into a release, or one JSON object. */
#include "check.h"

#include "../base/err.h"
#include "../conf/opt.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {[RK_CHECK_PASSED] = "pass", [RK_CHECK_FAILED] = "FAIL",
                                    [RK_CHECK_SKIPPED] = "skip"};
static const char *const json_words[] = {[RK_CHECK_PASSED] = "passed", [RK_CHECK_FAILED] = "failed",
                                         [RK_CHECK_SKIPPED] = "skipped"};

static const char *
kind_name(uint32_t kind)
{
    return kind == RK_SOURCE ? "source" : kind == RK_DEVICE ? "device" : kind == RK_CHANNEL ? "channel" : "?";
}

static void
sum(const struct rk_check_line *lines, unsigned n[3])
{
    memset(n, 0, 3 * sizeof n[0]);
    for (size_t i = 0; rk_check_rows[i].name; i++)
        n[lines[i].result]++;
}

static int
show_table(FILE *out, const struct rk_check *ck, const struct rk_check_line *lines)
{
    unsigned n[3];

    sum(lines, n);
    fprintf(out, "%s %s, %s, ABI %u.%u, checked by rekey-plugin-check %s\n\n", ck->name, ck->version,
            kind_name(ck->kind), ck->abi >> 16, ck->abi & 0xffff, PACKAGE_VERSION);
    for (size_t i = 0; rk_check_rows[i].name; i++)
        fprintf(out, "%s  %-11s  %s%s%s\n", words[lines[i].result], rk_check_rows[i].name, rk_check_rows[i].what,
                lines[i].seen[0] ? ": " : "", lines[i].seen);
    fprintf(out, "\n%u passed, %u failed, %u skipped\n", n[RK_CHECK_PASSED], n[RK_CHECK_FAILED], n[RK_CHECK_SKIPPED]);
    return fflush(out) || ferror(out) ? RK_E_IO : RK_OK;
}

static int
show_json(FILE *out, const struct rk_check *ck, const struct rk_check_line *lines)
{
    json_t *rows = json_array(), *whole;
    unsigned n[3];
    char abi[24];
    int failed;

    sum(lines, n);
    snprintf(abi, sizeof abi, "%u.%u", ck->abi >> 16, ck->abi & 0xffff);
    for (size_t i = 0; rows && rk_check_rows[i].name; i++)
        json_array_append_new(rows, json_pack("{ss ss ss ss}", "row", rk_check_rows[i].name, "what",
                                              rk_check_rows[i].what, "result", json_words[lines[i].result], "seen",
                                              lines[i].seen));
    whole = json_pack("{ss ss ss ss ss sI sI sI so}", "plugin", ck->name, "version", ck->version, "kind",
                      kind_name(ck->kind), "abi", abi, "checked_by", PACKAGE_VERSION, "passed",
                      (json_int_t)n[RK_CHECK_PASSED], "failed", (json_int_t)n[RK_CHECK_FAILED], "skipped",
                      (json_int_t)n[RK_CHECK_SKIPPED], "rows", rows);
    failed = !whole || json_dumpf(whole, out, JSON_INDENT(1)) != 0;
    json_decref(whole);
    fputc('\n', out);
    return failed || fflush(out) || ferror(out) ? RK_E_IO : RK_OK;
}

int
rk_check_show(FILE *out, const struct rk_check *ck, const struct rk_check_line *lines, bool json)
{
    return json ? show_json(out, ck, lines) : show_table(out, ck, lines);
}
