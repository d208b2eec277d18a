/* rpc.c - one request and its reply.
 *
 * A request with a secret is put together in memory that is locked and wiped.  Each goes out in one run.  One that is
 * out whole and has no reply may have been done: that is RK_E_UNKNOWN, whatever the reason.  Neither request nor reply
 * is logged.
 */
#include "reply.h"
#include "session.h"
#include "xml.h"

#include "../keytext.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OTHERS_MAX 8 /* messages that answer something else; a peer that sends more is no NETCONF server */
#define HEAD_MAX 160 /* what is around the parts [bytes] */
#define TAIL "</rpc>\n"
#define ESCAPED_MAX 6 /* "&quot;" */

/* ---- the message ---- */

struct message {
    char *bytes;
    size_t len, room; /* room: what is mapped */
    size_t body;      /* where the message begins: before are a chunk's size */
    bool secret;      /* in locked memory */
};

struct filling {
    struct message *m;
    enum nc_part_kind kind;
};

static void
add(struct message *m, const void *bytes, size_t n)
{
    memcpy(m->bytes + m->len, bytes, n);
    m->len += n;
}

/* One byte of a text, escaped; false: XML has no such character. */
static bool
add_escaped(struct message *m, unsigned char c)
{
    static const struct {
        char c;
        const char *entity;
    } escapes[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&apos;"}};

    if (c < ' ' || c > '~')
        return false; /* stored keys and passwords are plain ASCII; all else is a mistake of the caller */
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        if ((char)c == escapes[i].c) {
            add(m, escapes[i].entity, strlen(escapes[i].entity));
            return true;
        }
    add(m, &c, 1);
    return true;
}

static int
add_secret(const unsigned char *bytes, size_t len, void *arg)
{
    const struct filling *f = arg;
    bool ok = true;

    if (f->kind == NC_SECRET_HEX) {
        rkp_hex_put(bytes, len, f->m->bytes + f->m->len);
        f->m->len += 2 * len;
        return RK_OK;
    }
    for (size_t i = 0; i < len && ok; i++)
        ok = add_escaped(f->m, bytes[i]);
    return ok ? RK_OK : RK_E_CONTRACT;
}

static size_t
room_for(const struct rk_host *host, const struct nc_request *r)
{
    size_t room = HEAD_MAX + sizeof TAIL + sizeof NC_DELIMITER;

    for (size_t i = 0; i < r->n; i++)
        room +=
            r->parts[i].kind == NC_TEXT ? strlen(r->parts[i].text) : host->secret_len(r->parts[i].secret) * ESCAPED_MAX;
    return room + 1;
}

static int
add_parts(const struct rk_host *host, const struct nc_request *r, struct message *m)
{
    int err = RK_OK;

    for (size_t i = 0; i < r->n && !err; i++) {
        const struct nc_part *p = &r->parts[i];
        struct filling f = {m, p->kind};

        if (p->kind == NC_TEXT)
            add(m, p->text, strlen(p->text));
        else
            err = host->secret_use(p->secret, add_secret, &f);
    }
    return err;
}

/* The chunk's head goes in front of what is there: its room was left free. */
static void
frame(struct nc_session *s, struct message *m)
{
    char head[24];
    size_t len;

    if (!s->in.chunked) {
        add(m, NC_DELIMITER "\n", sizeof NC_DELIMITER);
        return;
    }
    len = (size_t)snprintf(head, sizeof head, "\n#%zu\n", m->len - m->body);
    m->body -= len;
    memcpy(m->bytes + m->body, head, len);
    add(m, "\n##\n", 4);
}

/* extra: room for what goes out behind it [bytes] */
static int
build(struct nc_session *s, const struct nc_request *r, size_t extra, struct message *m)
{
    char head[HEAD_MAX];
    int err, n;

    m->room = room_for(s->host, r) + extra;
    for (size_t i = 0; i < r->n; i++)
        m->secret |= r->parts[i].kind != NC_TEXT;
    m->bytes = m->secret ? nc_secret_memory(m->room) : malloc(m->room);
    if (!m->bytes)
        return s->host->fail(s->call, RK_E_NOMEM, "%s: out of memory for %s", s->where, r->what);
    m->len = m->body = 24;
    n = snprintf(head, sizeof head,
                 "<rpc xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" message-id=\"%" PRIu64 "\">", ++s->last_id);
    add(m, head, (size_t)n);
    err = add_parts(s->host, r, m);
    if (err)
        return s->host->fail(s->call, err, "%s: a part of %s is no text", s->where, r->what);
    add(m, TAIL, sizeof TAIL - 1);
    if (memmem(m->bytes + m->body, m->len - m->body, NC_DELIMITER, sizeof NC_DELIMITER - 1))
        return s->host->fail(s->call, RK_E_CONTRACT, "%s: %s holds the delimiter of messages", s->where, r->what);
    frame(s, m);
    return RK_OK;
}

/* Behind the first, in the same memory. */
static int
build_more(struct nc_session *s, const struct nc_request *r, struct message *m)
{
    struct message more = {.bytes = NULL};
    int err = build(s, r, 0, &more);

    if (!err)
        add(m, more.bytes + more.body, more.len - more.body);
    free(more.bytes);
    return err;
}

/* ---- the reply ---- */

struct waiting {
    char id[24];
    struct nc_reply *reply;
    const char *why;
    size_t sent, bytes; /* of the request, of the reply */
    unsigned others;    /* messages that were not for us */
    bool stranger;      /* a reply without an ID */
    const struct nc_same *last; /* NULL: not asked for */
    struct nc_same now;
    struct waiting *next; /* for the reply behind this one; NULL: none */
};

/* The place of our ID in the first tag of a reply; NULL: it is not there, or written otherwise. */
static char *
find_id(char *text, size_t len, const char *id)
{
    char attr[48], *tag_end = memchr(text, '>', len), *at;
    int n = snprintf(attr, sizeof attr, " message-id=\"%s\"", id);

    at = tag_end ? memmem(text, (size_t)(tag_end - text), attr, (size_t)n) : NULL;
    return at ? at + n - 1 - strlen(id) : NULL;
}

/* Is it what the last reply was?  Then it says what that one said, and it is for us as it has our ID.  No more than the
 * digest is kept of replies, for they may have keys in them. */
static bool
is_same(struct nc_session *s, struct waiting *w, char *text, size_t len)
{
    char *id = w->last ? find_id(text, len, w->id) : NULL;

    if (!id)
        return false;
    memset(id, '0', strlen(w->id));
    w->now.known = s->host->sha256(text, len, w->now.digest) == RK_OK;
    memcpy(id, w->id, strlen(w->id));
    return w->now.known && w->last->known && memcmp(w->now.digest, w->last->digest, sizeof w->now.digest) == 0;
}

static int
skip(struct nc_session *s, struct waiting *w, size_t len)
{
    s->host->log(s->call, RK_LOG_INFO, "ev=unsolicited host=%s bytes=%zu res=dropped", s->where, len);
    w->why = "it keeps sending what was not asked for";
    return ++w->others > OTHERS_MAX ? RK_E_PROTOCOL : RK_OK;
}

static int
take_reply(struct nc_session *s, char *text, size_t len, void *arg)
{
    struct waiting *w = arg;
    struct nc_reply *reply = NULL;
    struct nc_id id;
    int err;

    if (w->reply && w->next)
        w = w->next;
    if (!w->reply && is_same(s, w, text, len)) {
        nc_wipe_free(text, len);
        w->bytes = len;
        w->reply = calloc(1, sizeof *w->reply);
        if (w->reply)
            w->reply->same = true;
        return w->reply ? RK_OK : RK_E_NOMEM;
    }
    err = w->reply ? RK_E_NOENT : nc_reply_read(text, len, &reply, &w->why);
    nc_wipe_free(text, len);
    if (err == RK_E_NOENT)
        return skip(s, w, len);
    if (err)
        return err;
    id = nc_reply_id(reply);
    if (id.text[0] && strcmp(id.text, w->id) != 0) {
        nc_reply_free(&reply);
        return skip(s, w, len);
    }
    w->reply = reply;
    w->bytes = len;
    w->stranger = !id.text[0];
    return RK_OK;
}

/* Has libssh2 read something while it sent?  Then the socket does not tell of it. */
static bool
has_read(const struct nc_session *s)
{
    unsigned long bytes = 0;

    (void)libssh2_channel_window_read_ex(s->channel, &bytes, NULL);
    return bytes > 0 || libssh2_channel_eof(s->channel);
}

/* The request was just sent: most often nothing is there to be read before its reply comes.
 * ret: RK_OK, w->reply is there; else stated, as if nothing had been sent */
static int
await(struct nc_session *s, struct waiting *w)
{
    int n = has_read(s) ? RK_OK : nc_wait(s, -1, 0);

    if (n)
        return nc_gave_up(s, n);
    while (!w->reply) {
        int err = n > 0 ? nc_stop(s) : RK_OK; /* a wait looks itself */

        n = err ? 0 : nc_read(s, take_reply, w);
        if (w->reply)
            break; /* what came behind it and was wrong is the next one's trouble */
        if (n == RK_E_PROTOCOL && (s->in.why || w->why))
            return s->host->fail(s->call, n, "%s: no reply while %s: %s", s->where, s->doing,
                                 s->in.why ? s->in.why : w->why);
        if (n == RK_E_NOMEM)
            return s->host->fail(s->call, n, "%s: out of memory for the reply while %s", s->where, s->doing);
        if (n < 0)
            return n;
        if (!err && n == 0)
            err = nc_wait(s, -1, 0);
        if (err)
            return nc_gave_up(s, err);
    }
    return RK_OK;
}

/* Whose reply is this?  Without an ID it may answer anything: what is in it is told, and nothing is taken from it. */
static int
disown(struct nc_session *s, struct waiting *w)
{
    const char *said = w->reply->n_errors ? w->reply->errors[0].message : "";
    int err = s->host->fail(s->call, RK_E_PROTOCOL, "%s: a reply without message-id came while %s%s%s", s->where,
                            s->doing, said[0] ? ": " : "", said);

    nc_reply_free(&w->reply);
    s->over = true;
    return err;
}

static int
fail_rejected(struct nc_session *s, const struct nc_request *r, const struct nc_reply *reply)
{
    const struct nc_error *e = &reply->errors[0];
    const char *said = e->message[0] ? e->message : e->tag[0] ? e->tag : "an error without words";

    return s->host->fail(s->call, RK_E_REJECTED, "%s: %s was refused: %s%s%s%s%s", s->where, r->what, said,
                         e->element[0] ? ": " : "", e->element, e->path[0] ? " at " : "", e->path);
}

/* ---- both ---- */

/* Once it is out whole, every end but a reply is the same. */
static int
unknown(struct nc_session *s, int err)
{
    s->over = true;
    return err == RK_E_PROTOCOL ? err : RK_E_UNKNOWN;
}

static int
exchange(struct nc_session *s, const struct nc_request *r, const struct message *m, struct waiting *w)
{
    int err = nc_send(s, (struct nc_bytes){m->bytes + m->body, m->len - m->body}, &w->sent);

    if (err && w->sent < m->len - m->body)
        return err;
    if (!err)
        err = await(s, w);
    if (err)
        return unknown(s, err);
    if (w->stranger)
        return disown(s, w);
    return w->reply->n_errors ? fail_rejected(s, r, w->reply) : RK_OK;
}

/* Bytes that came while nobody listened: the news that the session is over is among them. */
static int
catch_up(struct nc_session *s)
{
    return s->over ? s->host->fail(s->call, RK_E_UNREACHABLE, "%s: the session is over", s->where)
                   : nc_tend(s, s->call);
}

/* The reply of the second request: only one without errors is of use. */
static void
take_more(struct nc_session *s, const struct nc_request *r, struct waiting *w)
{
    nc_enter(s, s->call, r->timeout_ms);
    s->doing = r->more->what;
    if (!s->over && !w->reply && await(s, w) != RK_OK)
        s->over = true;
    if (w->reply && w->stranger)
        s->over = true;
    if (w->reply && (w->stranger || w->reply->n_errors))
        nc_reply_free(&w->reply);
    r->more->reply = w->reply;
}

static int
build_all(struct nc_session *s, const struct nc_request *r, const struct nc_request *more, struct message *m)
{
    int err = build(s, r, more ? room_for(s->host, more) : 0, m);

    return !err && more ? build_more(s, more, m) : err;
}

static int
call_peer(struct nc_session *s, const struct nc_request *r, struct waiting *w)
{
    const struct nc_part part = {.text = r->more ? r->more->body : ""};
    const struct nc_request more = {.what = r->more ? r->more->what : "", .parts = &part, .n = 1};
    struct message m = {.bytes = NULL};
    int err = build_all(s, r, r->more ? &more : NULL, &m);

    if (!err) {
        snprintf(w->id, sizeof w->id, "%" PRIu64, s->last_id - (r->more ? 1 : 0));
        if (w->next)
            snprintf(w->next->id, sizeof w->next->id, "%" PRIu64, s->last_id);
        err = nc_stop(s);
        err = err ? nc_gave_up(s, err) : exchange(s, r, &m, w);
    }
    if (w->next && (!err || err == RK_E_REJECTED))
        take_more(s, r, w->next);
    if (r->secret_reply || (r->more && r->more->secret_reply))
        nc_wipe_behind(s);
    if (m.secret)
        nc_secret_memory_free(m.bytes, m.room);
    else
        free(m.bytes);
    return err;
}

/* Only what was read without any doubt may stand for the next one. */
static void
keep(struct nc_same *same, const struct waiting *w)
{
    const struct nc_reply *r = w->reply;

    if (r && !r->same && (r->repaired || r->n_errors || r->n_warnings))
        same->known = false;
    else
        *same = r && w->now.known ? w->now : (struct nc_same){.known = false};
}

static void
log_rpc(struct nc_session *s, const char *what, const struct waiting *w, int64_t begun_ms, int err)
{
    s->host->log(s->call, RK_LOG_DEBUG,
                 "ev=rpc host=%s what=%s id=%s sent=%zu got=%zu ms=%lld errors=%u warnings=%u repaired=%d "
                 "same=%d code=%d",
                 s->where, what, w->id, w->sent, w->bytes, (long long)(nc_now_ms() - begun_ms),
                 w->reply ? w->reply->n_errors : 0, w->reply ? w->reply->n_warnings : 0,
                 w->reply && w->reply->repaired, w->reply && w->reply->same, err);
}

int
nc_rpc(struct nc_session *s, struct rk_call *call, const struct nc_request *request, struct nc_reply **reply)
{
    struct waiting more = {.last = request->more ? request->more->same : NULL};
    struct waiting w = {.last = request->same, .next = request->more ? &more : NULL};
    int64_t begun_ms = nc_now_ms();
    int err;

    *reply = NULL;
    if (request->more)
        request->more->reply = NULL;
    nc_enter(s, call, 0);
    err = catch_up(s);
    nc_enter(s, call, request->timeout_ms);
    s->doing = request->what;
    if (!err)
        err = call_peer(s, request, &w);
    log_rpc(s, request->what, &w, begun_ms, err);
    if (request->more)
        log_rpc(s, request->more->what, &more, begun_ms, more.reply ? RK_OK : RK_E_UNKNOWN);
    nc_leave(s);
    if (request->same)
        keep(request->same, &w);
    if (request->more && request->more->same)
        keep(request->more->same, &more);
    *reply = w.reply;
    return err;
}
