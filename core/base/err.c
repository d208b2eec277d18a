/* err.c - one table of all error codes; nothing else knows them by number. */
#include "err.h"

#include <stddef.h>

static const struct {
    int err;
    enum rk_err_class class;
    const char *name;
} errs[] = {
    {RK_OK, RK_CLASS_OK, "ok"},
    {RK_E_UNREACHABLE, RK_CLASS_RETRY, "unreachable"},
    {RK_E_BUSY, RK_CLASS_RETRY, "busy"},
    {RK_E_TIMEOUT, RK_CLASS_RETRY, "timeout"},
    {RK_E_CANCELED, RK_CLASS_RETRY, "canceled"},
    {RK_E_IO, RK_CLASS_RETRY, "io"},
    {RK_E_NOMEM, RK_CLASS_RETRY, "no-memory"},
    {RK_E_AGAIN, RK_CLASS_RETRY, "not-yet"},
    {RK_E_UNKNOWN, RK_CLASS_OBSERVE, "unknown-outcome"},
    {RK_E_CONFIG, RK_CLASS_CONFIG, "config"},
    {RK_E_AUTH, RK_CLASS_CONFIG, "auth"},
    {RK_E_REJECTED, RK_CLASS_CONFIG, "rejected"},
    {RK_E_UNSUPPORTED, RK_CLASS_CONFIG, "unsupported"},
    {RK_E_NOENT, RK_CLASS_CONFIG, "not-there"},
    {RK_E_UNSAFE, RK_CLASS_CONFIG, "unsafe"},
    {RK_E_CONFLICT, RK_CLASS_CONFIG, "conflict"},
    {RK_E_EMPTY, RK_CLASS_SUPPLY, "no-keys"},
    {RK_E_KEY_GONE, RK_CLASS_SUPPLY, "key-gone"},
    {RK_E_KEY_SIZE, RK_CLASS_SUPPLY, "key-size"},
    {RK_E_PROTOCOL, RK_CLASS_BUG, "protocol"},
    {RK_E_CONTRACT, RK_CLASS_BUG, "contract"},
    {RK_E_NOKEY, RK_CLASS_BUG, "key-not-installed"},
    {RK_E_FATAL, RK_CLASS_FATAL, "fatal"},
};

static size_t
find(int err)
{
    for (size_t i = 0; i < sizeof errs / sizeof *errs; i++)
        if (errs[i].err == err)
            return i;
    return sizeof errs / sizeof *errs;
}

enum rk_err_class
rk_err_class(int err)
{
    size_t i = find(err);

    return i < sizeof errs / sizeof *errs ? errs[i].class : RK_CLASS_BUG;
}

const char *
rk_err_name(int err)
{
    size_t i = find(err);

    return i < sizeof errs / sizeof *errs ? errs[i].name : "undefined-error";
}
