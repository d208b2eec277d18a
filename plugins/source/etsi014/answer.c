/* answer.c - what an answer means that does not give what was asked.
 *
 * Runs on the host's worker threads.  Real KMEs differ much in codes and words; the table of reasons is
 * here and nowhere else, and doc/etsi014.md explains it.  Texts of a server are shown short and printable; other parts
 * of a body never.
 */
#include "etsi014.h"

#include "error.h"

#include <stdio.h>
#include <string.h>

#define ENC (1u << ENC_KEYS)
#define DEC (1u << DEC_KEYS)
#define ANY (ENC | DEC | 1u << STATUS)

/* How a body must look for a rule. */
enum look { LOOK_ANY, LOOK_HTML, LOOK_SILENT /* it says nothing, and is no HTML */ };

/* A message that has one of these. */
static const char *const not_involved[] = {"not involved", "not authorized for", "not authorised for", NULL};
static const char *const gone[] = {"not found", "not exist", "no such",  "unknown key", "not involved",
                                   "consumed",  "expired",   "not have", NULL};
static const char *const empty[] = {"insufficient", "not enough", "no key", "no more key", "no available key",
                                    "out of key",   "exhaust",    "deplet", "too few",     NULL};
static const char *const mandatory[] = {"extension_mandatory", NULL};
static const char *const optional[] = {"extension_optional", NULL};
static const char *const multicast[] = {"additional_slave_sae", "max_sae_id_count", NULL};
static const char *const multiple[] = {"multiple of 8", NULL};

/* The first rule that fits counts. */
static const struct rule {
    unsigned what;
    short from, to; /* HTTP codes */
    enum look look;
    const char *const *words; /* NULL: whatever it says */
    int err;
    enum outcome outcome;
    enum refusal refusal;
    const char *remedy;
} rules[] = {
    {DEC, 401, 401, LOOK_HTML, NULL, RK_E_AUTH, OUT_MISCONFIGURED, 0,
     "the KME does not know this SAE's certificate, or a proxy answered"},
    {DEC, 400, 404, LOOK_ANY, not_involved, RK_E_KEY_GONE, OUT_NOT_INVOLVED, 0,
     "the KME has no key of this ID for this SAE; check peer-sae and the certificate"},
    {DEC, 401, 401, LOOK_ANY, NULL, RK_E_KEY_GONE, OUT_NOT_INVOLVED, 0,
     "the KME has no key of this ID for this SAE; check peer-sae and the certificate"},
    {DEC, 404, 404, LOOK_HTML, NULL, RK_E_REJECTED, OUT_MISCONFIGURED, 0, "no KME is at this url"},
    {DEC, 404, 404, LOOK_ANY, NULL, RK_E_KEY_GONE, OUT_KEY_GONE, 0, "consumed, expired or not yet at this KME"},
    {DEC, 410, 410, LOOK_ANY, NULL, RK_E_KEY_GONE, OUT_KEY_GONE, 0, "consumed or expired"},
    {DEC, 400, 400, LOOK_SILENT, NULL, RK_E_KEY_GONE, OUT_KEY_GONE, 0, "consumed, expired or not yet at this KME"},
    {DEC, 400, 400, LOOK_ANY, gone, RK_E_KEY_GONE, OUT_KEY_GONE, 0, "consumed, expired or not yet at this KME"},
    {ANY, 401, 401, LOOK_ANY, NULL, RK_E_AUTH, OUT_MISCONFIGURED, REFUSED_REQUEST,
     "the KME does not know this SAE's certificate, or does not allow it this peer"},
    {ANY, 403, 403, LOOK_ANY, NULL, RK_E_AUTH, OUT_MISCONFIGURED, REFUSED_REQUEST,
     "the KME does not know this SAE's certificate, or does not allow it this peer"},
    {ENC, 400, 499, LOOK_ANY, mandatory, RK_E_REJECTED, OUT_MISCONFIGURED, REFUSED_REQUEST,
     "change the option extension-mandatory"},
    {ENC, 400, 499, LOOK_ANY, optional, RK_E_REJECTED, OUT_MISCONFIGURED, REFUSED_OPTIONAL,
     "change the option extension-optional"},
    {ENC, 400, 499, LOOK_ANY, multicast, RK_E_REJECTED, OUT_MISCONFIGURED, REFUSED_REQUEST,
     "change the option additional-slave-saes"},
    {ENC, 400, 499, LOOK_ANY, multiple, RK_E_REJECTED, OUT_MISCONFIGURED, REFUSED_REQUEST,
     "the KME cannot give keys of this link's size"},
    {ENC, 400, 599, LOOK_ANY, empty, RK_E_EMPTY, OUT_OUT_OF_KEYS, 0,
     "wait for the KME to make keys, or raise the interval"},
    {ANY, 404, 404, LOOK_ANY, NULL, RK_E_REJECTED, OUT_MISCONFIGURED, REFUSED_REQUEST,
     "the peer SAE is not known to the KME, or url is wrong"},
    {ANY, 405, 405, LOOK_ANY, NULL, RK_E_UNSUPPORTED, OUT_MISCONFIGURED, REFUSED_REQUEST, "try another option method"},
    {ANY, 501, 501, LOOK_ANY, NULL, RK_E_UNSUPPORTED, OUT_MISCONFIGURED, REFUSED_REQUEST, "try another option method"},
    {ANY, 408, 409, LOOK_ANY, NULL, RK_E_BUSY, OUT_BUSY, 0, ""},
    {ANY, 412, 412, LOOK_ANY, NULL, RK_E_REJECTED, OUT_MISCONFIGURED, REFUSED_REQUEST,
     "the KME says that its own configuration is wrong"},
    {ANY, 425, 425, LOOK_ANY, NULL, RK_E_BUSY, OUT_BUSY, 0, ""},
    {ANY, 429, 429, LOOK_ANY, NULL, RK_E_BUSY, OUT_BUSY, 0, "the KME allows fewer requests"},
    {ANY, 502, 504, LOOK_ANY, NULL, RK_E_BUSY, OUT_BUSY, 0, ""},
    {ANY, 500, 599, LOOK_ANY, NULL, RK_E_BUSY, OUT_BROKEN_SERVER, 0, "look into the log of the KME"},
    {ANY, 400, 499, LOOK_ANY, NULL, RK_E_REJECTED, OUT_MISCONFIGURED, REFUSED_PERHAPS_NUMBER, ""},
    {ANY, 300, 399, LOOK_ANY, NULL, RK_E_PROTOCOL, OUT_MISCONFIGURED, REFUSED_REQUEST,
     "redirects are not followed; set url to the KME itself"},
    {ANY, 0, 999, LOOK_ANY, NULL, RK_E_PROTOCOL, OUT_BROKEN_SERVER, REFUSED_REQUEST, "not an answer of a KME"},
};

const char *
what_name(enum what what)
{
    return what == ENC_KEYS ? "enc_keys" : what == DEC_KEYS ? "dec_keys" : "status";
}

static const struct result {
    int err;
    const char *name;
    enum outcome outcome;
} results[] = {
    {RK_OK, "ok", OUT_OK},
    {RK_E_UNREACHABLE, "unreachable", OUT_UNREACHABLE},
    {RK_E_BUSY, "busy", OUT_BUSY},
    {RK_E_TIMEOUT, "timeout", OUT_GIVEN_UP},
    {RK_E_CANCELED, "canceled", OUT_GIVEN_UP},
    {RK_E_AGAIN, "again", OUT_NOT_YET},
    {RK_E_UNKNOWN, "unknown", OUT_LOST},
    {RK_E_CONFIG, "config", OUT_MISCONFIGURED},
    {RK_E_AUTH, "auth", OUT_MISCONFIGURED},
    {RK_E_REJECTED, "rejected", OUT_MISCONFIGURED},
    {RK_E_UNSUPPORTED, "unsupported", OUT_MISCONFIGURED},
    {RK_E_EMPTY, "empty", OUT_OUT_OF_KEYS},
    {RK_E_KEY_GONE, "key-gone", OUT_KEY_GONE},
    {RK_E_KEY_SIZE, "key-size", OUT_BROKEN_SERVER},
    {RK_E_PROTOCOL, "protocol", OUT_BROKEN_SERVER},
    {0, "failed", OUT_LOCAL}, /* any other */
};

static const struct result *
result_of(int err)
{
    size_t i = 0;

    while (i + 1 < sizeof results / sizeof results[0] && results[i].err != err)
        i++;
    return &results[i];
}

const char *
result_name(int err)
{
    return result_of(err)->name;
}

enum outcome
outcome_of(int err)
{
    return result_of(err)->outcome;
}

const char *
outcome_name(enum outcome outcome)
{
    static const char *const names[] = {
        [OUT_OK] = "ok",
        [OUT_KEY_GONE] = "key-gone",
        [OUT_NOT_YET] = "not-yet",
        [OUT_NOT_INVOLVED] = "not-involved",
        [OUT_OUT_OF_KEYS] = "out-of-keys",
        [OUT_BUSY] = "busy",
        [OUT_MISCONFIGURED] = "misconfigured",
        [OUT_BROKEN_SERVER] = "broken-server",
        [OUT_UNREACHABLE] = "unreachable",
        [OUT_LOST] = "lost",
        [OUT_GIVEN_UP] = "given-up",
        [OUT_LOCAL] = "local",
    };

    return names[outcome];
}

static bool
says(const char *message, const char *const *words)
{
    for (; *words; words++)
        if (strcasestr(message, *words))
            return true;
    return false;
}

static bool
fits(const struct rule *r, const struct request *q, long http, enum error_kind kind, const char *message)
{
    if (!(r->what & 1u << q->what) || http < r->from || http > r->to)
        return false;
    if (r->look == LOOK_HTML && kind != ERROR_HTML)
        return false;
    if (r->look == LOOK_SILENT && (kind == ERROR_HTML || message[0]))
        return false;
    return !r->words || says(message, r->words);
}

/* The KME, as a person knows it: where it is asked, and its own name. */
static const char *
label(const struct slot *s, char *buf, size_t size)
{
    char own[41];
    const char *id = learnt_kme_id(s->e, own);

    if (strcmp(id, "-") == 0)
        return s->base;
    snprintf(buf, size, "%s (%s)", s->base, id);
    return buf;
}

int
answer_refused(struct slot *s, struct rk_call *call, const struct request *q, long http)
{
    enum error_kind kind = error_read(s->body, s->body_len, s->message, sizeof s->message);
    const struct rule *r = rules;
    char name[160];

    while (!fits(r, q, http, kind, s->message))
        r++; /* the last one fits always */
    s->outcome = r->outcome;
    s->refusal = r->refusal;
    snprintf(s->said, sizeof s->said, "%s: %s for %s%s%s: %s: HTTP %ld%s%s%s%s%s%s", label(s, name, sizeof name),
             what_name(q->what), s->e->sae ? s->e->sae : "", s->e->sae ? " with " : "", q->peer,
             outcome_name(r->outcome), http, s->message[0] ? " \"" : "", s->message, s->message[0] ? "\"" : "",
             kind == ERROR_HTML ? " (HTML, not JSON)" : "", r->remedy[0] ? "; " : "", r->remedy);
    return s->e->host->fail(call, r->err, "%s", s->said);
}

int
answer_garbage(struct slot *s, struct rk_call *call, const struct request *q, const char *why)
{
    char name[160];

    s->outcome = OUT_BROKEN_SERVER;
    s->refusal = REFUSED_REQUEST;
    if (error_is_html(s->body, s->body_len))
        return s->e->host->fail(call, RK_E_PROTOCOL,
                                "%s: %s: broken-server: answered HTML instead of JSON (HTTP 200); check url and proxy",
                                label(s, name, sizeof name), what_name(q->what));
    return s->e->host->fail(call, RK_E_PROTOCOL, "%s: %s: broken-server: the answer is not as ETSI GS QKD 014 says: %s",
                            label(s, name, sizeof name), what_name(q->what), why);
}
