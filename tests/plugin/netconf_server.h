/* netconf_server.h - an SSH server for tests of the NETCONF client
 *
 * One thread, one connection at a time.  It does what a script says and nothing else, so that it can lie.  Keys
 * are made when it starts.
 */
#ifndef RK_NETCONF_SERVER_H
#define RK_NETCONF_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libssh/libssh.h>
#include <libssh/server.h>

enum srv_do {
    SRV_END = 0,   /* close the channel and the connection */
    SRV_SEND,      /* text; in it $ID is the message-id of the last request */
    SRV_BYTES,     /* text, one byte in a packet of its own */
    SRV_CHUNK,     /* text as one chunk of RFC 6242 with the end of chunks; $ID as above */
    SRV_READ,      /* wait for a message of the client, up to a delimiter or the end of chunks */
    SRV_PAUSE,     /* n [ms] */
    SRV_FILL,      /* n times the text */
    SRV_AWAIT,     /* until the test sets go */
    SRV_HANG,      /* nothing more, until the client or the test ends it */
    SRV_CUT        /* close the socket under SSH, at once */
};
struct srv_step {
    enum srv_do what;
    const char *text;
    int n;
};

/* What goes wrong before the script. */
enum srv_fault {
    SRV_FINE = 0,
    SRV_CLOSE_ACCEPTED, /* close what was accepted */
    SRV_MUTE,           /* accept and say nothing */
    SRV_NO_SSH,         /* "220 mail" instead of an SSH greeting, and lines without end */
    SRV_NO_LOGIN,       /* refuse every key */
    SRV_HANG_LOGIN,     /* never answer to one */
    SRV_NO_CHANNEL,     /* refuse it */
    SRV_NO_SUBSYSTEM,
    SRV_HANG_SUBSYSTEM
};

struct srv {
    ssh_key host_key, user_key; /* user_key: NULL: every key is let in that proves itself */
    const struct srv_step *script;
    enum srv_fault fault;
    uint16_t port;
    int listen_fd, wake[2];
    atomic_bool stop, go;
    atomic_int connections, done; /* done: connections that ended */
    atomic_uint packets_in;      /* of the current connection */
    char got[262144];            /* what the last connection's channel received; look at it after srv_stop */
    size_t got_len;
    char id[64];
    unsigned long thread;
};

/* srv_start - make a server with a host key of this type on 127.0.0.1;  srv_stop - end it and wait for its thread
 * srv_known - its line in known_hosts, for [127.0.0.1]:port, into out[2048] */
void srv_start(struct srv *s, enum ssh_keytypes_e type, const struct srv_step *script);
void srv_stop(struct srv *s);
void srv_known(const struct srv *s, char *out);

/* srv_key_line - "TYPE BASE64" of a key;  srv_new_key - a fresh one, bits 0: as usual */
void srv_key_line(ssh_key key, char *out, size_t size);
ssh_key srv_new_key(enum ssh_keytypes_e type);

#define SRV_HELLO_1_0 \
    "<!-- No zombies were killed during the creation of this user interface -->\n" \
    "<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><capabilities>" \
    "<capability>urn:ietf:params:netconf:base:1.0</capability>" \
    "<capability>urn:ietf:params:netconf:capability:candidate:1.0</capability>" \
    "<capability>urn:ietf:params:netconf:capability:url:1.0?scheme=http,ftp,file</capability>" \
    "<capability>http://xml.juniper.net/netconf/junos/1.0</capability>" \
    "</capabilities><session-id>27700</session-id></hello>\n]]>]]>\n"
#define SRV_HELLO_1_1 \
    "<nc:hello xmlns:nc=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><nc:capabilities>" \
    "<nc:capability>urn:ietf:params:netconf:base:1.0</nc:capability>" \
    "<nc:capability>urn:ietf:params:netconf:base:1.1</nc:capability>" \
    "</nc:capabilities><nc:session-id>7</nc:session-id></nc:hello>]]>]]>"

#endif
