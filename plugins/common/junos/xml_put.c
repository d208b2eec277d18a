/* xml_put.c - text as XML wants it.  Pure. */
#include "write.h"

void
jn_xml_put(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char ch = (unsigned char)*text;

        if (ch == '&' || ch == '<' || ch == '>' || ch == '"' || ch == '\'')
            fprintf(out, "&#%u;", ch);
        else if (ch >= 0x20 && ch != 0x7f)
            putc_unlocked(ch, out); /* out is of one thread */
    }
}
