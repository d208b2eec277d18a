/* conf_reader.h - between the two halves of the configuration reader */
#ifndef KME_CONF_READER_H
#define KME_CONF_READER_H

#include "conf.h"

#include <rekey/device.h>
#include <rekey/plugin.h>

/* kme_conf_fail - write "path:line: text" to why[KME_CONF_TEXT_MAX].   ret: RK_E_CONFIG */
int kme_conf_fail(char *why, const char *path, unsigned long line, const char *text);

/* kme_conf_pairs - check what the KMEs of a file say about each other, and give each pair its secret
 * ret:  RK_OK; RK_E_CONFIG or RK_E_FATAL with why */
int kme_conf_pairs(struct kme_conf_set *set, const char *path, char *why);

#endif
