/* journal_sum.c - see journal_sum.h.  Runs in the loop of rekeyd.  A row read back is checked by rk_sum(...), so both
 * ways must give the same: they share what is below. */
#include "journal_sum.h"

#include <endian.h>
#include <string.h>

#define FNV_BASIS 14695981039346656037u
#define FNV_PRIME 1099511628211u

static uint64_t
sum_bytes(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *b = bytes;

    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * FNV_PRIME;
    return h;
}

/* As its n bytes, the lowest first.  Most numbers are small: all the zeros above are one multiplication. */
static uint64_t
sum_number(uint64_t h, uint64_t number, size_t n)
{
    static const uint64_t powers[] = {
        1, FNV_PRIME, FNV_PRIME * FNV_PRIME, FNV_PRIME * FNV_PRIME * FNV_PRIME,
        FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME, FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME,
        FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME,
        FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME,
        FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME * FNV_PRIME};

    for (; number; number >>= 8, n--)
        h = (h ^ (number & 0xff)) * FNV_PRIME;
    return h * powers[n];
}

static uint64_t
sum_value(uint64_t h, int type, int64_t number)
{
    return sum_number(sum_number(h, (unsigned)type, sizeof type), (uint64_t)number, sizeof number);
}

uint64_t
rk_journal_sum_int(uint64_t sum, int64_t value)
{
    return sum_value(sum, SQLITE_INTEGER, value);
}

uint64_t
rk_journal_sum_text(uint64_t sum, const char *text, size_t len)
{
    return sum_bytes(sum_value(sum, SQLITE_TEXT, (int64_t)len), text, len);
}

uint64_t
rk_journal_sum_start(void)
{
    return FNV_BASIS;
}

/* The upper half is brought down, for a multiplication brings what differs upwards only. */
static uint64_t
sum_word(uint64_t h, uint64_t word)
{
    h = (h ^ word) * FNV_PRIME;
    return h ^ h >> 32;
}

uint64_t
rk_journal_sum_block(uint64_t sum, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    uint64_t word;

    sum = sum_word(sum, n);
    for (; n >= sizeof word; n -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        sum = sum_word(sum, le64toh(word));
    }
    word = 0;
    memcpy(&word, at, n);
    return n > 0 ? sum_word(sum, le64toh(word)) : sum;
}

struct rk_journal_row
rk_journal_row(sqlite3_stmt *s)
{
    return (struct rk_journal_row){s, 1, FNV_BASIS};
}

void
rk_journal_row_int(struct rk_journal_row *r, int64_t value)
{
    sqlite3_bind_int64(r->s, r->at++, value);
    r->sum = rk_journal_sum_int(r->sum, value);
}

void
rk_journal_row_text(struct rk_journal_row *r, const char *text, size_t len)
{
    sqlite3_bind_text(r->s, r->at++, text, (int)len, SQLITE_STATIC);
    r->sum = rk_journal_sum_text(r->sum, text, len);
}

static void
sum_of_row(sqlite3_context *context, int n, sqlite3_value **values)
{
    uint64_t h = FNV_BASIS;

    for (int i = 0; i < n; i++) {
        int type = sqlite3_value_type(values[i]);
        int64_t number = type == SQLITE_INTEGER ? sqlite3_value_int64(values[i]) : 0;
        const void *text = type == SQLITE_INTEGER || type == SQLITE_NULL ? NULL : sqlite3_value_blob(values[i]);

        if (text)
            number = sqlite3_value_bytes(values[i]);
        h = sum_value(h, type, number);
        if (text)
            h = sum_bytes(h, text, (size_t)number);
    }
    sqlite3_result_int64(context, (int64_t)h);
}

int
rk_journal_add_sum(sqlite3 *db)
{
    return sqlite3_create_function_v2(db, "rk_sum", -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL,
                                      sum_of_row, NULL, NULL, NULL);
}
