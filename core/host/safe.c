/* safe.c - checks and cleans what a plugin gave.  Pure. */
#include "safe.h"

#include "../base/err.h"

#include <stdio.h>
#include <string.h>

int
rk_safe_err(int err)
{
    if (rk_err_class(err) != RK_CLASS_BUG || err == RK_E_PROTOCOL || err == RK_E_NOKEY)
        return err;
    return RK_E_CONTRACT;
}

void
rk_safe_text(char *text, size_t size)
{
    text[size - 1] = '\0';
    for (; *text; text++)
        if (*text < ' ' || *text >= 0x7f)
            *text = '?';
}

void
rk_safe_copy(char *dst, size_t size, const char *src)
{
    snprintf(dst, size, "%s", src ? src : "");
    rk_safe_text(dst, size);
}

bool
rk_safe_ended(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

bool
rk_safe_record(const char *text, size_t size)
{
    if (!rk_safe_ended(text, size) || text[0] == '\0')
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text >= 0x7f)
            return false;
    return true;
}
