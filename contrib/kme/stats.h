/* stats.h - how much a rekey-kme was asked, for who measures its clients
 *
 * Counters of the whole process, all of its KMEs together.  One thread.
 */
#ifndef KME_STATS_H
#define KME_STATS_H

/* kme_stats_connection - a client has connected: a TLS handshake follows
 * kme_stats_request - a request was answered.   in: path  as sent;  code  HTTP
 * kme_stats_write - all counters as one JSON object to a file, which is replaced as a whole
 * ret:  0; -1 and errno
 * thread: one.   blocks: kme_stats_write as the file system does.   src: design */
void kme_stats_connection(void);
void kme_stats_request(const char *path, int code);
int kme_stats_write(const char *path);

#endif
