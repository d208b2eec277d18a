/* journal_state.c - see journal_state.h.  Runs in the loop of rekeyd.  What is read is input like any other: it comes
 * from a disk. */
#include "journal_state.h"

#include "journal_sum.h"

#include "../base/text.h"

#include <endian.h>
#include <string.h>

#define FORM 1 /* of what is packed here */
#define SUM_BYTES sizeof(uint64_t)
#define KNOWN_FLAGS (RK_DF_HELD | RK_DF_SWEEP | RK_DF_SHUT | RK_DF_FALLBACK | RK_DF_CAND_FALLBACK)
#define START_MS_MAX INT64_C(253402300799999) /* the end of the year 9999 */

/* ---- What may be in one ---- */

static bool
confirm_ok(const char *tag)
{
    return tag[0] == '\0' || rk_hex_ok(tag, RK_CONFIRM_HEX);
}

static bool
id_ok(const char *id)
{
    return id[0] == '\0' || rk_key_id_ok(id);
}

const char *
rk_journal_state_fault(const struct rk_durable *d)
{
    if (!rk_name_ok(d->link, RK_LINK_MAX))
        return "link name";
    if (d->end != 'a' && d->end != 'b')
        return "end";
    if (d->role != RK_MASTER && d->role != RK_SLAVE)
        return "role";
    if (d->phase > RK_PH_BURNING)
        return "phase";
    if (!id_ok(d->cur) || !id_ok(d->prev) || !id_ok(d->cand))
        return "key ID";
    if (!confirm_ok(d->mine) || !confirm_ok(d->theirs))
        return "confirm tag";
    if (d->phase >= RK_PH_FETCHED && d->phase <= RK_PH_ACTIVATING && d->cand[0] == '\0')
        return "phase without its key ID";
    if ((d->flags & ~KNOWN_FLAGS) != 0)
        return "flags";
    if (d->start_ms < 0 || d->start_ms > START_MS_MAX)
        return "start time";
    return NULL;
}

/* Over the packed bytes, and whose they are: a state that turns up in another end's row is none of it. */
static uint64_t
sum_of(const char *link, char end, const unsigned char *bytes, size_t n)
{
    uint64_t sum = rk_journal_sum_block(rk_journal_sum_start(), link, strnlen(link, RK_LINK_MAX));

    return rk_journal_sum_block(rk_journal_sum_block(sum, &end, 1), bytes, n);
}

/* ---- Packing ---- */

/* Seven bits a byte, the lowest first, the top bit set in all but the last: most numbers are small. */
static unsigned char *
put_number(unsigned char *to, uint64_t number)
{
    for (; number > 0x7f; number >>= 7)
        *to++ = (unsigned char)(number | 0x80);
    *to++ = (unsigned char)number;
    return to;
}

static unsigned char *
put_text(unsigned char *to, const char *text, size_t max)
{
    size_t len = strnlen(text, max);

    *to++ = (unsigned char)len;
    memcpy(to, text, len);
    return to + len;
}

/* The check value, behind what is packed.   ret: bytes with it */
static size_t
put_sum(const char *link, char end, unsigned char *bytes, size_t n)
{
    uint64_t sum = htole64(sum_of(link, end, bytes, n));

    memcpy(bytes + n, &sum, SUM_BYTES);
    return n + SUM_BYTES;
}

size_t
rk_journal_state_put(const struct rk_durable *d, unsigned char bytes[RK_JOURNAL_STATE_MAX])
{
    unsigned char *to = bytes;

    *to++ = FORM;
    to = put_number(to, d->role);
    to = put_number(to, d->phase);
    to = put_number(to, d->term);
    to = put_number(to, d->seq);
    to = put_number(to, d->floor);
    to = put_number(to, d->cur_seq);
    to = put_number(to, d->prev_seq);
    to = put_number(to, (uint64_t)d->cur_since.unix_ms);
    to = put_number(to, d->cur_boot);
    to = put_number(to, (uint64_t)d->cur_boot_ns);
    to = put_number(to, d->flags);
    to = put_number(to, (uint64_t)d->start_ms);
    to = put_text(to, d->cur, RK_KEY_ID_MAX);
    to = put_text(to, d->prev, RK_KEY_ID_MAX);
    to = put_text(to, d->cand, RK_KEY_ID_MAX);
    to = put_text(to, d->mine, RK_CONFIRM_HEX);
    to = put_text(to, d->theirs, RK_CONFIRM_HEX);
    return put_sum(d->link, d->end, bytes, (size_t)(to - bytes));
}

size_t
rk_journal_tally_put(const struct rk_journal_tally *t, const char *link, char end,
                     unsigned char bytes[RK_JOURNAL_TALLY_MAX])
{
    unsigned char *to = bytes;

    *to++ = FORM;
    to = put_number(to, (uint64_t)t->last);
    to = put_number(to, t->done);
    to = put_number(to, t->failed);
    return put_sum(link, end, bytes, (size_t)(to - bytes));
}

/* ---- Unpacking ---- */

struct reading {
    const unsigned char *at, *end;
    bool bad; /* something did not fit; what follows is nothing */
};

static uint64_t
get_number(struct reading *r)
{
    uint64_t number = 0;

    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        uint64_t byte = *r->at++, bits = byte & 0x7f;

        number |= bits << shift;
        if (byte < 0x80) {
            r->bad = r->bad || bits << shift >> shift != bits;
            return number;
        }
    }
    r->bad = true;
    return 0;
}

static uint32_t
get_small(struct reading *r)
{
    uint64_t number = get_number(r);

    r->bad = r->bad || number > UINT32_MAX;
    return (uint32_t)number;
}

static void
get_text(struct reading *r, char *text, size_t max)
{
    size_t left = (size_t)(r->end - r->at), len = left > 0 ? *r->at : 0;

    r->bad = r->bad || left == 0 || len > max || len > left - 1;
    text[0] = '\0';
    if (r->bad)
        return;
    memcpy(text, r->at + 1, len);
    text[len] = '\0';
    r->bad = strlen(text) != len;
    r->at += 1 + len;
}

/* ret: was it all that there is, and nothing more */
static bool
get_members(struct reading *r, struct rk_durable *d)
{
    d->role = get_small(r);
    d->phase = get_small(r);
    d->term = get_number(r);
    d->seq = get_number(r);
    d->floor = get_number(r);
    d->cur_seq = get_number(r);
    d->prev_seq = get_number(r);
    d->cur_since.unix_ms = (int64_t)get_number(r);
    d->cur_boot = get_number(r);
    d->cur_boot_ns = (int64_t)get_number(r);
    d->flags = get_small(r);
    d->start_ms = (int64_t)get_number(r);
    get_text(r, d->cur, RK_KEY_ID_MAX);
    get_text(r, d->prev, RK_KEY_ID_MAX);
    get_text(r, d->cand, RK_KEY_ID_MAX);
    get_text(r, d->mine, RK_CONFIRM_HEX);
    get_text(r, d->theirs, RK_CONFIRM_HEX);
    return !r->bad && r->at == r->end;
}

/* ret: NULL: r is what is between form and check value;  else what is wrong */
static const char *
open_packed(const char *link, char end, const unsigned char *bytes, size_t n, struct reading *r)
{
    uint64_t sum;

    if (!bytes || n < 1 + SUM_BYTES || n > RK_JOURNAL_STATE_MAX)
        return "length";
    n -= SUM_BYTES;
    memcpy(&sum, bytes + n, SUM_BYTES);
    if (le64toh(sum) != sum_of(link, end, bytes, n))
        return "check value";
    *r = (struct reading){.at = bytes + 1, .end = bytes + n};
    return bytes[0] == FORM ? NULL : "form";
}

const char *
rk_journal_state_get(const unsigned char *bytes, size_t n, struct rk_durable *d)
{
    struct reading r;
    const char *fault = open_packed(d->link, d->end, bytes, n, &r);

    if (fault)
        return fault;
    return get_members(&r, d) ? rk_journal_state_fault(d) : "packed form";
}

bool
rk_journal_tally_get(const unsigned char *bytes, size_t n, const char *link, char end, struct rk_journal_tally *t)
{
    struct reading r;

    *t = (struct rk_journal_tally){0};
    if (open_packed(link, end, bytes, n, &r))
        return false;
    t->last = (int64_t)get_number(&r);
    t->done = get_number(&r);
    t->failed = get_number(&r);
    if (!r.bad && r.at == r.end)
        return true;
    *t = (struct rk_journal_tally){0};
    return false;
}

/* ---- From older schemas ---- */

static bool
take_text(sqlite3_value *v, char *text, size_t size)
{
    const char *from = sqlite3_value_type(v) == SQLITE_TEXT ? (const char *)sqlite3_value_text(v) : NULL;

    return from && rk_copy(text, size, from) && strlen(text) == (size_t)sqlite3_value_bytes(v);
}

/* The first two: whose it is. */
static bool
take_whose(sqlite3_value **v, struct rk_durable *d)
{
    char end[2];
    bool ok = take_text(v[0], d->link, sizeof d->link) && take_text(v[1], end, sizeof end);

    d->end = ok ? end[0] : '\0';
    return ok;
}

static bool
take_texts(sqlite3_value **v, struct rk_durable *d)
{
    return take_text(v[9], d->cur, sizeof d->cur) && take_text(v[10], d->prev, sizeof d->prev) &&
           take_text(v[11], d->cand, sizeof d->cand) && take_text(v[12], d->mine, sizeof d->mine) &&
           take_text(v[13], d->theirs, sizeof d->theirs);
}

static bool
take_numbers(sqlite3_value **v, struct rk_durable *d)
{
    static const int at[] = {2, 3, 4, 5, 6, 7, 8, 14, 15, 16, 17, 18};
    uint64_t n[sizeof at / sizeof *at];

    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        if (sqlite3_value_type(v[at[i]]) != SQLITE_INTEGER)
            return false;
        n[i] = (uint64_t)sqlite3_value_int64(v[at[i]]);
    }
    d->role = (uint32_t)n[0];
    d->phase = (uint32_t)n[1];
    d->term = n[2];
    d->seq = n[3];
    d->floor = n[4];
    d->cur_seq = n[5];
    d->prev_seq = n[6];
    d->cur_since.unix_ms = (int64_t)n[7];
    d->cur_boot = n[8];
    d->cur_boot_ns = (int64_t)n[9];
    d->flags = (uint32_t)n[10];
    d->start_ms = (int64_t)n[11];
    return n[0] <= UINT32_MAX && n[1] <= UINT32_MAX && n[10] <= UINT32_MAX;
}

static void
state_of_columns(sqlite3_context *context, int n, sqlite3_value **values)
{
    unsigned char bytes[RK_JOURNAL_STATE_MAX];
    struct rk_durable d = {0};

    (void)n; /* as many as it was made for */
    if (take_whose(values, &d) && take_texts(values, &d) && take_numbers(values, &d) && !rk_journal_state_fault(&d))
        sqlite3_result_blob(context, bytes, (int)rk_journal_state_put(&d, bytes), SQLITE_TRANSIENT);
}

static void
tally_of_columns(sqlite3_context *context, int n, sqlite3_value **values)
{
    unsigned char bytes[RK_JOURNAL_TALLY_MAX];
    struct rk_durable d = {0};
    struct rk_journal_tally t;

    (void)n; /* as many as it was made for */
    for (int i = 2; i < 5; i++)
        if (sqlite3_value_type(values[i]) != SQLITE_INTEGER)
            return;
    t.last = sqlite3_value_int64(values[2]);
    t.done = (uint64_t)sqlite3_value_int64(values[3]);
    t.failed = (uint64_t)sqlite3_value_int64(values[4]);
    if (take_whose(values, &d))
        sqlite3_result_blob(context, bytes, (int)rk_journal_tally_put(&t, d.link, d.end, bytes), SQLITE_TRANSIENT);
}

int
rk_journal_add_state(sqlite3 *db)
{
    const int how = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int rc = sqlite3_create_function_v2(db, "rk_state", 19, how, NULL, state_of_columns, NULL, NULL, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_create_function_v2(db, "rk_tally", 5, how, NULL, tally_of_columns, NULL, NULL, NULL);
    return rc;
}
