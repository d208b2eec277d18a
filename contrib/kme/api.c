/* api.c - routes a request to status, enc_keys or dec_keys, and answers errors.  Pure.
 *
 * What the standard leaves open is answered as most servers do: 404 another path, 405 another method, 400 an SAE
 * that no KME serves.  401 has no body, as in its tables 4, 6 and 8.
 */
#include "api_int.h"

#include <core/base/text.h>
#include <rekey/plugin.h>

#include <event2/http.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "/api/v1/keys/"

static void status(struct kme_call *call);

static const struct route {
    const char *name;
    void (*run)(struct kme_call *);
    bool post;
    const char *allow;
    unsigned refuse; /* faults that make it answer 503 */
} routes[] = {
    {"status", status, false, "GET", KME_F_REFUSE},
    {"enc_keys", kme_enc_keys, true, "GET, POST", KME_F_REFUSE | KME_F_REFUSE_ENC},
    {"dec_keys", kme_dec_keys, true, "GET, POST", KME_F_REFUSE | KME_F_REFUSE_DEC},
};

void
kme_start(struct kme *kme, const struct kme_conf *conf, int64_t now_ns)
{
    *kme = (struct kme){.conf = conf};
    for (size_t i = 0; i < conf->n_peers; i++)
        kme_pool_start(&kme->pool[i], conf->pool_keys, conf->pool_per_s, now_ns);
}

void
kme_stop(struct kme *kme)
{
    kme_seen_free(&kme->seen);
}

void
kme_answer_free(struct kme_answer *ans)
{
    if (ans->text)
        explicit_bzero(ans->text, ans->len);
    free(ans->text);
    ans->text = NULL;
    ans->len = 0;
}

static void
answer_json(struct kme_answer *ans, int code, json_t *json)
{
    ans->code = code;
    ans->text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    ans->len = ans->text ? strlen(ans->text) : 0;
    if (!ans->text)
        ans->code = 503;
    json_decref(json);
}

void
kme_answer_error(struct kme_answer *ans, int code, const char *message, struct kme_detail detail)
{
    /* a detail may quote the client: what is no UTF-8 makes json_string give NULL, and there is no detail then */
    json_t *text = detail.text ? json_string(detail.text) : NULL, *json;

    if (text)
        json = json_pack("{s:s,s:[{s:o}]}", "message", message, "details", detail.name, text);
    else
        json = json_pack("{s:s}", "message", message);
    snprintf(ans->note, sizeof ans->note, "why=\"%s\"", message);
    answer_json(ans, code, json);
}

void
kme_bad(struct kme_call *call, int code, const char *message)
{
    kme_answer_error(call->ans, code, message, (struct kme_detail){0});
}

void
kme_note(struct kme_call *call, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(call->ans->note, sizeof call->ans->note, fmt, ap);
    va_end(ap);
}

static void
status(struct kme_call *call)
{
    const struct kme_conf *conf = call->kme->conf;
    int64_t stored = kme_pool_level(call->pool, call->request->now_ns);

    answer_json(call->ans, 200,
                json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:i}", "source_KME_ID", conf->id, "target_KME_ID",
                          call->peer->kme, "master_SAE_ID", call->request->caller, "slave_SAE_ID", call->sae,
                          "key_size", (json_int_t)conf->key_bits, "stored_key_count", (json_int_t)stored,
                          "max_key_count", (json_int_t)conf->pool_keys, "max_key_per_request",
                          (json_int_t)conf->max_per_request, "max_key_size", (json_int_t)conf->max_key_bits,
                          "min_key_size", (json_int_t)conf->min_key_bits, "max_SAE_ID_count", 0));
    kme_note(call, "stored=%lld", (long long)stored);
}

/* "{SAE ID}/{name}" behind the prefix: the route, and the decoded SAE ID in call->sae ("" when it cannot be one). */
static const struct route *
find_route(struct kme_call *call)
{
    const char *path = call->request->path, *slash;
    char raw[3 * RK_SAE_MAX + 1], *sae;
    size_t n, decoded = 0;

    if (strncmp(path, PREFIX, strlen(PREFIX)) != 0)
        return NULL;
    path += strlen(PREFIX);
    slash = strchr(path, '/');
    n = slash ? (size_t)(slash - path) : 0;
    if (n == 0)
        return NULL;
    if (n < sizeof raw) {
        memcpy(raw, path, n);
        raw[n] = '\0';
        sae = evhttp_uridecode(raw, 0, &decoded);
        if (sae && strlen(sae) == decoded)
            rk_copy(call->sae, sizeof call->sae, sae);
        free(sae);
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strcmp(slash + 1, routes[i].name) == 0)
            return &routes[i];
    return NULL;
}

static bool
find_peer(struct kme_call *call)
{
    const struct kme_conf *conf = call->kme->conf;

    for (size_t i = 0; i < conf->n_peers; i++)
        if (kme_saes_has(&conf->peers[i].saes, call->sae)) {
            call->peer = &conf->peers[i];
            call->pool = &call->kme->pool[i];
            return true;
        }
    return false;
}

static bool
known_caller(const struct kme_call *call)
{
    return call->request->caller[0] != '\0' && kme_saes_has(&call->kme->conf->saes, call->request->caller);
}

/* Everything that is the same for the three calls; true when the call may run. */
static bool
admit(struct kme_call *call, const struct route *route)
{
    const struct kme_request *request = call->request;

    if (request->method != KME_GET && !(request->method == KME_POST && route->post)) {
        kme_bad(call, 405, "method not allowed");
        call->ans->allow = route->allow;
    } else if (!known_caller(call) || (request->fault.bits & KME_F_UNAUTHORIZED)) {
        call->ans->code = 401;
        kme_note(call, "why=\"%s\"", known_caller(call) ? "fault" : "the certificate names no SAE of this KME");
    } else if (request->fault.bits & route->refuse) {
        kme_bad(call, 503, "the KME is told to refuse");
    } else if (!find_peer(call)) {
        kme_answer_error(call->ans, 400, "the SAE ID in the path is not known on this KME",
                         (struct kme_detail){"SAE_ID", call->sae});
    } else if (request->query && evhttp_parse_query_str(request->query, &call->query) != 0) {
        kme_bad(call, 400, "malformed query string");
    } else {
        return true;
    }
    return false;
}

void
kme_answer(struct kme *kme, const struct kme_request *request, struct kme_answer *ans)
{
    struct kme_call call = {.kme = kme, .request = request, .ans = ans};
    const struct route *route = find_route(&call);

    *ans = (struct kme_answer){0};
    call.query.tqh_last = &call.query.tqh_first; /* an empty list: TAILQ_INIT, which not every libc has */
    if (!route)
        kme_bad(&call, 404, "no such resource");
    else if (admit(&call, route))
        route->run(&call);
    evhttp_clear_headers(&call.query);
}
