/* read_text.c - what "show security mka sessions" and "macsec connections" print, where XML lacks it.  Pure. */
#include "read_mka.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COLUMNS 7 /* Interface Member-ID Type Status Tx Rx CAK-Name */

static char *
trim(char *s)
{
    size_t len;

    while (isspace((unsigned char)*s))
        s++;
    len = strlen(s);
    while (len > 0 && isspace((unsigned char)s[len - 1]))
        s[--len] = '\0';
    return s;
}

/* A row of the summary's table. */
static bool
put_columns(struct jn_mka_walk *w, char *line)
{
    static const enum jn_mka_leaf leaf[COLUMNS] = {JN_L_IFACE, JN_L_MEMBER, JN_L_TYPE, JN_L_STATUS,
                                                   JN_L_TX, JN_L_RX, JN_L_NAME};
    char *column[COLUMNS], *save = NULL, *word = strtok_r(line, " \t", &save);
    size_t n = 0;

    for (; word && n < COLUMNS; word = strtok_r(NULL, " \t", &save))
        column[n++] = word;
    if (n != COLUMNS || word)
        return false;
    for (size_t i = 0; i < COLUMNS; i++)
        if (i > 0 || strcmp(w->iface, column[0]) != 0)
            jn_mka_put(w, leaf[i], column[i]);
    return true;
}

/* "1. Member identifier: 3016C583A4D0512BAB82CC86 (live)" */
static bool
is_peer(const char *line)
{
    size_t n = strspn(line, "0123456789");

    return n > 0 && line[n] == '.';
}

/* "Latest SAK AN: 1           Latest SAK KI: D515.../1": pairs are two blanks apart. */
static void
put_pairs(struct jn_mka_walk *w, char *line)
{
    while (line && *line) {
        char *next = strstr(line, "  "), *colon;

        if (next)
            *next++ = '\0';
        colon = strchr(line, ':');
        if (colon) {
            *colon = '\0';
            jn_mka_put(w, jn_mka_leaf_of(trim(line)), trim(colon + 1));
        }
        while (next && isspace((unsigned char)*next))
            next++;
        line = next;
    }
}

void
jn_mka_text(struct jn_mka_walk *w, char *text)
{
    bool table = false, peers = false;
    char *save = NULL;

    for (char *line = strtok_r(text, "\r\n", &save); line && !w->rows.err; line = strtok_r(NULL, "\r\n", &save)) {
        char *t = trim(line);

        if (strncasecmp(t, "Interface ", 10) == 0 && strcasestr(t, "Member-ID")) {
            table = true;
        } else if (strncasecmp(t, "Interface name:", 15) == 0) {
            table = peers = false;
            put_pairs(w, t);
        } else if (strncasecmp(t, "Peer list", 9) == 0) {
            peers = true;
        } else if (peers && is_peer(t)) {
            size_t len = strlen(t);

            if (len > 6 && strcasecmp(t + len - 6, "(live)") == 0)
                jn_mka_peer(w);
        } else if (table) {
            put_columns(w, t);
        } else if (!peers || strncasecmp(t, "Member identifier:", 18) == 0 || strncasecmp(t, "CAK name:", 9) == 0) {
            peers = false;
            put_pairs(w, t);
        }
    }
}

/* ---- connections ---- */

static const char *
value_of(const char *line, const char *name)
{
    size_t len = strlen(name);

    if (strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    for (line += len + 1; isspace((unsigned char)*line);)
        line++;
    return line;
}

static void
copy_word(char *to, size_t size, const char *from)
{
    size_t len = strcspn(from, " \t");

    if (len < size) {
        memcpy(to, from, len);
        to[len] = '\0';
    }
}

static void
put_line(struct jn_macsec *m, const char *t, bool outbound)
{
    const char *v = value_of(t, "CA name");

    if (v)
        copy_word(m->ca, sizeof m->ca, v);
    if ((v = value_of(t, "Cipher suite")) != NULL) {
        copy_word(m->cipher, sizeof m->cipher, v);
        m->encrypts = strcasestr(t, "Encryption: on") != NULL;
    }
    if ((v = value_of(t, "Outgoing packet number")) != NULL && !jn_u64(v, &m->out_pn))
        m->out_pn = 0;
    if (value_of(t, "AN") && strcasestr(t, "Status: inuse")) {
        m->out_inuse |= outbound;
        m->in_inuse |= !outbound;
    }
}

void
jn_macsec_text(struct jn_rows *rows, char *text)
{
    struct jn_macsec *m = NULL;
    bool outbound = false;
    char *save = NULL;

    for (char *line = strtok_r(text, "\r\n", &save); line && !rows->err; line = strtok_r(NULL, "\r\n", &save)) {
        char *t = trim(line);
        const char *name = value_of(t, "Interface name");

        if (name) {
            char iface[RK_IFACE_MAX + 1];

            m = jn_iface_name(name, iface) ? jn_rows_add(rows) : NULL;
            if (m)
                memcpy(m->iface, iface, sizeof m->iface);
        } else if (strncasecmp(t, "Outbound secure channel", 23) == 0) {
            outbound = true;
        } else if (strncasecmp(t, "Inbound secure channel", 22) == 0) {
            outbound = false;
        } else if (m) {
            put_line(m, t, outbound);
        }
    }
}
