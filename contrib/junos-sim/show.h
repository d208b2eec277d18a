/* show.h - what operational commands print, in the variants of the personalities
 *
 * Every writer is called with world_lock held, and writes to memory.
 */
#ifndef SIM_SHOW_H
#define SIM_SHOW_H

#include "world.h"

enum show_level { SHOW_USUAL = 0, SHOW_SUMMARY, SHOW_BRIEF, SHOW_DETAIL };

struct show_ask {
    struct sim_box *box;
    struct sim_boxworld *w;
    int64_t now;                 /* of the world [ms] */
    char iface[SIM_NAME_MAX + 1]; /* "": all */
    enum show_level level;
    bool terse, descriptions, all_engines;
    bool lldp_one;               /* neighbours of one interface: every detail */
};

/* show_leaf - <name>text</name>, escaped, and padded with newlines where the personality does so
 * show_ns - " xmlns=..." of a part of the system ("mka"), with the release in it
 * show_escaped - a text for XML */
void show_leaf(const struct show_ask *a, FILE *out, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void show_ns(const struct show_ask *a, FILE *out, const char *part);
void show_escaped(FILE *out, const char *text);
/* show_wants - is it this port that was asked for?   show_span - "2d 06:30:56"
 * show_sci - "20:ED:47:F6:51:64/1";   show_date - "2026-08-05 10:00:00 CEST" by the box's clock and zone
 * show_mi - a member identifier in hexadecimal digits */
bool show_wants(const struct show_ask *a, const struct sim_port *p);
void show_span(int64_t s, char out[32]);
void show_sci(uint64_t sci, char out[32]);
void show_date(const struct show_ask *a, int64_t unix_s, char out[48]);
void show_mi(const unsigned char *mi, char out[2 * MKA_MI + 1]);
void show_ckn(const struct show_ask *a, const char *ckn, char out[MKA_CKN_MAX + 1]); /* upper case */

typedef void show_fn(const struct show_ask *a, FILE *out);
show_fn show_mka, show_mka_text, show_mka_statistics, show_macsec, show_macsec_text, show_macsec_statistics,
    show_keychain, show_lldp, show_lldp_text, show_interfaces, show_interfaces_text, show_version, show_version_text,
    show_uptime, show_uptime_text, show_licence, show_alarms;

#endif
