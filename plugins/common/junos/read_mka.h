/* read_mka.h - how rows of participants are put together from leaves in document order */
#ifndef JN_READ_MKA_H
#define JN_READ_MKA_H

#include "rows.h"

/* Leaves that are read; the names of XML, and those of the text, which have blanks instead of '-'. */
enum jn_mka_leaf { JN_L_IFACE = 0, JN_L_STATE, JN_L_MEMBER, JN_L_NAME, JN_L_TYPE, JN_L_STATUS, JN_L_TX, JN_L_RX,
                   JN_L_SAK, JN_L_PEERS, JN_LEAVES };

#define JN_NO_ROW SIZE_MAX
struct jn_mka_walk {
    struct jn_rows rows;   /* struct jn_mka */
    char iface[RK_IFACE_MAX + 1]; /* "": what comes belongs to no interface, and is left out */
    enum jn_mka_state state;
    size_t first, row;     /* of this interface; JN_NO_ROW: none is open */
    unsigned seen;         /* leaves of the open row, bits by enum jn_mka_leaf */
};

/* jn_mka_leaf_of - leaf of this name, in XML's form or the text's; JN_LEAVES: none */
enum jn_mka_leaf jn_mka_leaf_of(const char *name);
/* jn_mka_put - the next leaf; one that the open row has already opens the next row.   jn_mka_peer - a live peer */
void jn_mka_put(struct jn_mka_walk *w, enum jn_mka_leaf leaf, const char *value);
void jn_mka_peer(struct jn_mka_walk *w);
/* jn_mka_agree - can two rows of an interface be about the same participant, their CKNs aside?
 * jn_mka_merge - put into a row what it lacks and the other has */
bool jn_mka_agree(const struct jn_mka *a, const struct jn_mka *b);
void jn_mka_merge(struct jn_mka *to, const struct jn_mka *from);
/* jn_mka_text - the text of "show security mka sessions", any form (read_text.c).   text is cut into pieces */
void jn_mka_text(struct jn_mka_walk *w, char *text);
/* jn_macsec_text - the text of "show security macsec connections"; rows: struct jn_macsec */
void jn_macsec_text(struct jn_rows *rows, char *text);

#endif
