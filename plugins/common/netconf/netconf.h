/* netconf.h - NETCONF (RFC 6241) over SSH (RFC 6242): a blocking client with a budget, for device plugins
 *
 * One session is used by one thread at a time.  Every function that takes a call returns within its budget and within
 * 100 ms of its cancel.  Peers lie: sizes are bounded, XML is read without network, DTD and entities, names are matched
 * by local name, and success is taken only from words that say success.
 */
#ifndef NC_NETCONF_H
#define NC_NETCONF_H

#include <libxml/tree.h>
#include <stdbool.h>

#include <rekey/plugin.h>

struct nc_session;

/* Whom to connect to, and as whom; borrowed for nc_open. */
struct nc_target {
    const char *host; /* name or address */
    uint16_t port;
    const char *user;
    const char *known_hosts;           /* path; the host's key must be there, as host or [host]:port, hashed or not */
    bool trust_first_use;              /* a host that is not in known_hosts is accepted once and added to it */
    const struct rk_secret *key;       /* content of the private key's file (ed25519, ECDSA); NULL: agent */
    const char *key_name;              /* its path, for texts */
    const struct rk_secret *passphrase; /* NULL: none */
    const char *agent;                 /* path of the agent's socket; NULL: none */
    size_t reply_max;                  /* largest reply [bytes]; 0: 16 MiB */
    int64_t limit_ms;                  /* nc_open gives up after this [ms], within the budget; 0: 60 s */
    unsigned keepalive_s;              /* an SSH keepalive this often [s]; 0: 30 s */
};

/* nc_open - connect, verify the host's key, log in, start the subsystem, exchange hellos
 * out:  *out, owned by the caller
 * ret:  RK_OK, or a code stated by host->fail with host, port, user and remedy: RK_E_UNREACHABLE, RK_E_TIMEOUT,
 *       RK_E_CANCELED, RK_E_AUTH (host key or login), RK_E_PROTOCOL, RK_E_BUSY (connection limit, too many names looked
 *       up), RK_E_UNSUPPORTED (no NETCONF there), RK_E_NOMEM; RK_E_CONFIG, RK_E_UNSAFE, RK_E_NOENT, RK_E_IO
 *       (known_hosts, key, local limits)
 * blocks: within the budget.   src: RFC 6242 3, 4; RFC 6241 8.1 */
int nc_open(const struct rk_host *host, struct rk_call *call, const struct nc_target *target, struct nc_session **out);

/* nc_close - end the session, politely when a call gives time for it; *s becomes NULL */
void nc_close(struct nc_session **s, struct rk_call *call);

/* nc_tend - answer and send SSH keepalives, and see whether the session is still there; waits for nothing
 * ret:  RK_OK, or RK_E_UNREACHABLE when it is over (close it then) */
int nc_tend(struct nc_session *s, struct rk_call *call);

/* nc_can - the peer's hello has this capability (without query part).   nc_id - session-id of its hello, for people */
bool nc_can(const struct nc_session *s, const char *capability);
const char *nc_id(const struct nc_session *s);
/* nc_sessions - how many sessions this process has open;  thread: any */
unsigned nc_sessions(void);

/* A request is the content of <rpc>, in parts, so that a key need not be in a text: it is sent as hexadecimal digits
 * or as text (escaped) from memory that is wiped. */
enum nc_part_kind { NC_TEXT = 0, NC_SECRET_HEX, NC_SECRET_TEXT };
struct nc_part {
    enum nc_part_kind kind;
    const char *text;               /* NC_TEXT: well-formed XML pieces, NUL-ended */
    const struct rk_secret *secret; /* else */
};
/* What the last reply to a request was, so that one that says the same again need not be read again. */
struct nc_same {
    unsigned char digest[32];    /* SHA-256 of its bytes, without the message-id */
    bool known;                  /* there was one, it was well-formed, and without errors and warnings */
};
/* A second request that goes out in one run with another one; both only read, for each is answered whatever becomes of
 * the other. */
struct nc_more {
    const char *what, *body;     /* as nc_request.what; the content of <rpc> */
    struct nc_same *same;        /* as nc_request.same */
    bool secret_reply;           /* as nc_request.secret_reply */
    struct nc_reply *reply;      /* out: the caller's; NULL: none came, or one with errors: it may be asked for alone */
};
struct nc_request {
    const char *what;            /* for logs and texts: "commit-configuration" */
    const struct nc_part *parts;
    size_t n;
    bool secret_reply;           /* the reply may hold passwords: it is wiped when freed, and never logged */
    int64_t timeout_ms;          /* wait for the reply at most so long, inside the budget of the call; 0: all of it */
    struct nc_same *same;        /* in/out: of the last reply; NULL: the reply is read whatever it says */
    struct nc_more *more;        /* in/out: sent behind it, when this is sent at all; NULL: nothing is */
};

/* What a reply says.  Errors have severity error; warnings are counted only. */
struct nc_error {
    char type[24], tag[32];
    char path[160], element[64];
    char message[240];           /* one line, printable, trimmed */
};
#define NC_ERRORS_MAX 4
struct nc_reply {
    xmlDoc *doc;
    xmlNode *root;               /* rpc-reply; NULL: see same */
    bool same;                   /* byte for byte what the last one was, but for its ID: it was not read */
    bool positive;               /* ok, commit-success, commit-check-success, load-success ... is there */
    unsigned n_errors, n_warnings; /* all that were there; the first NC_ERRORS_MAX are kept */
    bool repaired;               /* it was not well-formed and was read all the same */
    int64_t read_unix_ms;        /* when the router said it, by this host's clock, Unix time; 0: just now */
    struct nc_error errors[NC_ERRORS_MAX];
};

/* nc_rpc - send a request, wait for its reply
 * out:  *reply, owned by the caller (nc_reply_free), when RK_OK or RK_E_REJECTED
 * ret:  RK_OK: a reply without error (positive or with data); RK_E_REJECTED: it has errors, the first was stated;
 *       RK_E_UNKNOWN: sent, and no reply was seen (timeout, cancel, connection lost): the session is over;
 *       RK_E_UNREACHABLE, RK_E_TIMEOUT, RK_E_CANCELED: certainly not sent whole; RK_E_PROTOCOL: sent, and the reply is
 *       none (what became of the request is as unknown): the session is over; RK_E_CONTRACT: a part cannot be sent, as
 *       it holds the delimiter or a secret is no text; RK_E_NOMEM: not sent.
 * The code is that of the request itself.  What becomes of its nc_more is in that alone, but that the session may be
 * over.
 * note: texts of errors show no long run of hexadecimal digits and no word as $9$...: routers repeat what they refuse
 * SSH keepalives are sent meanwhile.   blocks: within the budget */
int nc_rpc(struct nc_session *s, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply);
void nc_reply_free(struct nc_reply **reply);

/* ---- reading (xml.c): by local name, transparent for multi-routing-engine-results and the like ---- */

/* nc_child - first child element of this name, NULL: none (parent may be NULL).   nc_next - the next sibling of the
 * same name.   Both look through multi-routing-engine-results and -item: what is in them counts as being beside them.
 * nc_find - the first descendant of this name, in document order */
const xmlNode *nc_child(const xmlNode *parent, const char *name);
const xmlNode *nc_next(const xmlNode *node);
const xmlNode *nc_find(const xmlNode *top, const char *name);
/* nc_is - an element of this local name */
bool nc_is(const xmlNode *node, const char *name);
/* nc_text - its text, trimmed, inner blanks as they are, into out[size], NUL-ended; control characters (newlines, too)
 * become '?'
 * ret:  false: there is none, or it does not fit (out is "" then) */
bool nc_text(const xmlNode *node, char *out, size_t size);
bool nc_child_text(const xmlNode *parent, const char *name, char *out, size_t size);

#endif
