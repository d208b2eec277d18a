/* answer.c - what an answer means that does not give what was asked.
 *
 * Runs on the host's worker threads.  Real KMEs differ much in codes and words; the table of reasons is
 * here and nowhere else.  Texts of a server are shown short and printable; other parts of a body never.
 */
#include "etsi014.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

const char *
what_name(enum what what)
{
    return what == ENC_KEYS ? "enc_keys" : what == DEC_KEYS ? "dec_keys" : "status";
}

const char *
result_name(int err)
{
    static const struct {
        int err;
        const char *name;
    } names[] = {
        {RK_OK, "ok"},
        {RK_E_UNREACHABLE, "unreachable"},
        {RK_E_BUSY, "busy"},
        {RK_E_TIMEOUT, "timeout"},
        {RK_E_CANCELED, "canceled"},
        {RK_E_UNKNOWN, "unknown"},
        {RK_E_AUTH, "auth"},
        {RK_E_REJECTED, "rejected"},
        {RK_E_UNSUPPORTED, "unsupported"},
        {RK_E_EMPTY, "empty"},
        {RK_E_KEY_GONE, "key-gone"},
        {RK_E_KEY_SIZE, "key-size"},
        {RK_E_PROTOCOL, "protocol"},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].err == err)
            return names[i].name;
    return "failed";
}

static bool
is_html(const struct slot *s)
{
    size_t i = 0;

    while (i < s->body_len && strchr(" \t\r\n", s->body[i]) && s->body[i])
        i++;
    return i < s->body_len && s->body[i] == '<';
}

/* The server's own message (6.5), printable and short; "" when it gave none. */
static void
read_message(const struct slot *s, char *message, size_t size)
{
    json_t *root = json_loadb(s->body, s->body_len, 0, NULL);
    const char *text = json_string_value(json_object_get(root, "message"));
    size_t i = 0;

    for (; text && text[i] && i < size - 1; i++)
        message[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    message[i] = '\0';
    json_decref(root);
}

static bool
says(const char *message, const char *const *words)
{
    for (; *words; words++)
        if (strcasestr(message, *words))
            return true;
    return false;
}

/* No key left: no code is reserved for it, so that the words decide. */
static bool
says_empty(const char *message)
{
    static const char *const words[] = {"insufficient", "not enough", "no key", "no more key", "no available key",
                                        "out of key",   "exhaust",    "deplet", "too few",     NULL};

    return says(message, words);
}

static bool
says_gone(const char *message)
{
    static const char *const words[] = {"not found",    "not exist", "no such", "unknown key",
                                        "not involved", "consumed",  "expired", NULL};

    return says(message, words);
}

static int
code_of(const struct request *q, long http, const char *message)
{
    if (q->what == DEC_KEYS && (http == 401 || http == 404 || http == 410))
        return RK_E_KEY_GONE;
    if (q->what == DEC_KEYS && http == 400)
        return !message[0] || says_gone(message) ? RK_E_KEY_GONE : RK_E_REJECTED;
    if (http == 401 || http == 403)
        return RK_E_AUTH;
    if (q->what == ENC_KEYS && http >= 400 && says_empty(message))
        return RK_E_EMPTY;
    if (http == 405 || http == 501)
        return RK_E_UNSUPPORTED;
    if (http == 408 || http == 429 || http >= 500)
        return RK_E_BUSY;
    if (http >= 400)
        return RK_E_REJECTED;
    return RK_E_PROTOCOL;
}

static const char *
remedy_of(const struct request *q, long http, int err)
{
    if (err == RK_E_KEY_GONE)
        return http == 401 ? "the KME has no key of this ID for this SAE; check peer-sae and the certificate"
                           : "consumed, expired or not yet at this KME";
    if (err == RK_E_AUTH)
        return "the KME does not know this SAE's certificate, or does not allow it this peer";
    if (err == RK_E_UNSUPPORTED)
        return "try another option method";
    if (http == 404)
        return "the peer SAE is not known to the KME, or url is wrong";
    if (http >= 300 && http < 400)
        return "redirects are not followed; set url to the KME itself";
    return q->what == ENC_KEYS && err == RK_E_EMPTY ? "wait for the KME to make keys, or raise the interval" : "";
}

int
answer_refused(const struct slot *s, struct rk_call *call, const struct request *q, long http)
{
    char message[MESSAGE_MAX + 1];
    const char *remedy;
    int err;

    read_message(s, message, sizeof message);
    err = code_of(q, http, message);
    remedy = remedy_of(q, http, err);
    return s->e->host->fail(call, err, "%s: %s for %s: HTTP %ld%s%s%s%s%s%s", s->e->base, what_name(q->what), q->peer,
                            http, message[0] ? " \"" : "", message, message[0] ? "\"" : "",
                            is_html(s) ? " (HTML, not JSON)" : "", remedy[0] ? "; " : "", remedy);
}

int
answer_garbage(const struct slot *s, struct rk_call *call, const struct request *q, const char *why)
{
    if (is_html(s))
        return s->e->host->fail(call, RK_E_PROTOCOL,
                                "%s: %s: answered HTML instead of JSON (HTTP 200); check url and "
                                "proxy",
                                s->e->base, what_name(q->what));
    return s->e->host->fail(call, RK_E_PROTOCOL, "%s: %s: the answer is not as ETSI GS QKD 014 says: %s", s->e->base,
                            what_name(q->what), why);
}
