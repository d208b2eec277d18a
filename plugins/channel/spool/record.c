/* record.c - checks names and contents.  Pure.  A link name has no '/' and no leading dot, so no path leaves its
 * folder. */
#include "record.h"

#include "../../common/keytext.h"

#include <stdio.h>
#include <string.h>

bool
spool_name(const char *link, char *out)
{
    if (!rkp_name_ok(link, strnlen(link, RK_LINK_MAX + 1), RK_LINK_MAX))
        return false;
    return snprintf(out, SPOOL_FILE_MAX, "%s" SPOOL_SUFFIX, link) < (int)SPOOL_FILE_MAX;
}

bool
spool_link(const char *name, char *out)
{
    size_t len = strnlen(name, SPOOL_FILE_MAX), suffix = strlen(SPOOL_SUFFIX);

    if (len <= suffix || len >= SPOOL_FILE_MAX || strcmp(name + len - suffix, SPOOL_SUFFIX) != 0 ||
        !rkp_name_ok(name, len - suffix, RK_LINK_MAX))
        return false;
    memcpy(out, name, len - suffix);
    out[len - suffix] = '\0';
    return true;
}

const char *
spool_record_flaw(const char *text, size_t len)
{
    if (len > RK_RECORD_MAX + 1)
        return "longer than a record (255 bytes)";
    if (len == 0 || text[len - 1] != '\n')
        return "cut off: no newline at its end";
    if (len == 1)
        return "an empty line";
    for (size_t i = 0; i + 1 < len; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f)
            return "not one line of printable ASCII without blanks";
    return NULL;
}
