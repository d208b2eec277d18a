/* show.c - makes any text safe and measurable for a terminal.
 *
 * Link names and reasons come from the daemon, but a reason may hold what a device or a peer said.
 */
#include "show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* One character of UTF-8: its code point, or -1 when it is none; *n bytes were read, at least 1. */
static int32_t
decode(const unsigned char *p, size_t *n)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char b = p[0];
    size_t len = b < 0x80 ? 1 : (b & 0xe0) == 0xc0 ? 2 : (b & 0xf0) == 0xe0 ? 3 : (b & 0xf8) == 0xf0 ? 4 : 0;
    int32_t c;

    *n = 1;
    if (len <= 1)
        return len ? b : -1;
    c = b & (0xff >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return -1;
    *n = len;
    return c;
}

/* May it be shown: no control, and nothing without a width that changes how what follows is read. */
static bool
harmless(int32_t c, bool utf8)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return false;
    if (c < 0x7f)
        return true;
    if (!utf8 || c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
        (c >= 0x2060 && c <= 0x206f) || c == 0xfeff)
        return false;
    return wcwidth((wchar_t)c) >= 0;
}

char *
rk_show_safe(const char *text, bool utf8)
{
    const unsigned char *p = (const unsigned char *)text;
    char *safe = malloc(strlen(text) + 1), *q = safe;
    size_t n;

    for (; safe && *p; p += n) {
        if (harmless(decode(p, &n), utf8)) {
            memcpy(q, p, n);
            q += n;
        } else {
            *q++ = '?';
        }
    }
    if (safe)
        *q = '\0';
    return safe;
}

size_t
rk_show_cut(const char *text, int columns)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n;

    for (; *p; p += n) {
        int32_t c = decode(p, &n);
        int w = c < 0x80 ? 1 : wcwidth((wchar_t)c);

        columns -= w > 0 ? w : 0;
        if (columns < 0)
            break;
    }
    return (size_t)(p - (const unsigned char *)text);
}

int
rk_show_width(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    int width = 0;
    size_t n;

    for (; *p; p += n) {
        int32_t c = decode(p, &n);
        int w = c < 0x80 ? 1 : wcwidth((wchar_t)c);

        width += w > 0 ? w : 0;
    }
    return width;
}

void
rk_show_span(int64_t ms, char *out)
{
    long long s = ms > 0 ? ms / 1000 : 0;

    if (s < 3600)
        snprintf(out, RK_SPAN_MAX, "%lld:%02lld", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, RK_SPAN_MAX, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, RK_SPAN_MAX, "%lldd %02lld:%02lld", s / 86400, s / 3600 % 24, s / 60 % 60);
}
