/* inbox.h - the records that a file mover puts into a directory
 *
 * Remembers each file by inode, size, time of change and content, so that a record is returned once per change.
 * So is a bad file, with words that say what is wrong in place of its record.  One call at a time; no thread of its
 * own.
 */
#ifndef SPOOL_INBOX_H
#define SPOOL_INBOX_H

#include <rekey/channel.h>

#define INBOX_FILES_MAX 262144 /* files that are looked at: 100,000 links, and room for what does not belong there */

struct inbox;

/* inbox_new - ret: NULL when out of memory or descriptors.   path and rescan_ms: see the options of the plugin */
struct inbox *inbox_new(const struct rk_host *host, const char *path, int64_t rescan_ms);
void inbox_free(struct inbox *b);

/* inbox_watch - struct rk_channel_ops.watch */
int inbox_watch(struct inbox *b, struct rk_call *call, struct rk_post *posts, size_t max, size_t *n);

#endif
