/* api.c - routes a request to status, enc_keys or dec_keys, and answers errors.  Pure.
 *
 * How a refusal looks is the personality's; the standard's has 401 without a body, as in its tables 4, 6 and 8.
 */
#include "api_int.h"

#include <core/base/text.h>
#include <rekey/err.h>
#include <rekey/plugin.h>

#include <event2/http.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "/api/v1/keys/"

static const struct route {
    const char *name;
    void (*run)(struct kme_call *);
    bool post;
    const char *allow;
    unsigned call;
} routes[] = {
    {"status", kme_status, false, "GET", KME_C_STATUS},
    {"enc_keys", kme_enc_keys, true, "GET, POST", KME_C_ENC},
    {"dec_keys", kme_dec_keys, true, "GET, POST", KME_C_DEC},
};

/* The codes of fault words, with what the servers that use them say. */
static const struct {
    int code;
    const char *message;
} codes[] = {
    {400, "Bad request"},
    {401, "Authentication error"},
    {403, "Forbidden"},
    {404, "Element not found"},
    {405, "Method not allowed"},
    {409, "There is a conflict with the requested resource"},
    {412, "A precondition is not fulfilled, maybe some configuration is missing"},
    {429, "Too many requests"},
    {500, "Internal server error"},
    {502, "Bad gateway"},
    {503, "The KME is not available"},
    {504, "Gateway timeout, maybe a remote KME is down"},
};

int
kme_start(struct kme *kme, const struct kme_conf *conf, struct kme_ledger *ledger, int64_t now_ns)
{
    *kme = (struct kme){.conf = conf, .ledger = ledger, .dice = conf->seed};
    for (const char *c = conf->id; *c; c++) /* two KMEs of one seed are not in step */
        kme->dice = kme->dice * 31 + (unsigned char)*c;
    for (size_t i = 0; i < conf->n_peers; i++) {
        size_t n = conf->pool.per_sae ? conf->peers[i].saes.n : 1;

        kme->pool[i] = calloc(n, sizeof *kme->pool[i]);
        if (!kme->pool[i]) {
            kme_stop(kme);
            return RK_E_NOMEM;
        }
        for (size_t j = 0; j < n; j++)
            kme_pool_start(&kme->pool[i][j], &conf->pool, now_ns);
    }
    return RK_OK;
}

void
kme_stop(struct kme *kme)
{
    for (size_t i = 0; i < KME_PEERS_MAX; i++) {
        free(kme->pool[i]);
        kme->pool[i] = NULL;
    }
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
set_json(struct kme_answer *ans, const struct kme_personality *as, json_t *json)
{
    ans->text = json ? json_dumps(json, as->pretty ? JSON_INDENT(2) : JSON_COMPACT) : NULL;
    ans->len = ans->text ? strlen(ans->text) : 0;
    if (!ans->text)
        ans->code = 503;
    json_decref(json);
}

/* The message in a form that is not JSON. */
static void
set_text(struct kme_answer *ans, const char *message)
{
    int n = ans->form == KME_HTML
                ? asprintf(&ans->text, "<!DOCTYPE html>\n<html lang=en>\n<title>%d %s</title>\n<h1>%s</h1>\n",
                           ans->code, message, message)
                : asprintf(&ans->text, "%s\n", message);

    if (n < 0)
        ans->text = NULL;
    ans->len = n < 0 ? 0 : (size_t)n;
}

void
kme_answer_error(struct kme_answer *ans, const struct kme_personality *as, struct kme_say say,
                 struct kme_detail detail)
{
    /* a detail may quote the client: what is no UTF-8 makes json_string give NULL, and there is no detail then */
    json_t *text = detail.text && !as->bad_request ? json_string(detail.text) : NULL;

    kme_answer_free(ans);
    ans->code = say.code;
    ans->form = say.form;
    snprintf(ans->note, sizeof ans->note, "why=\"%s\"", say.message);
    if (say.form != KME_JSON && say.form != KME_UNTYPED) {
        json_decref(text);
        if (say.form != KME_BARE)
            set_text(ans, say.message);
    } else if (text) {
        set_json(ans, as, json_pack("{s:s,s:[{s:o}]}", "message", say.message, "details", detail.name, text));
    } else {
        set_json(ans, as, json_pack("{s:s}", "message", say.message));
    }
}

void
kme_refuse(struct kme_call *call, enum kme_refusal what, struct kme_detail detail)
{
    kme_answer_error(call->ans, call->as, kme_personality_say(call->as, what), detail);
}

void
kme_bad(struct kme_call *call, int code, const char *message, struct kme_detail detail)
{
    if (code == 400 && call->as->bad_request)
        message = call->as->bad_request;
    kme_answer_error(call->ans, call->as, (struct kme_say){code, call->as->errors, message}, detail);
}

void
kme_answer_json(struct kme_call *call, json_t *json)
{
    call->ans->code = 200;
    call->ans->form = KME_JSON;
    set_json(call->ans, call->as, json);
}

void
kme_no_keys(struct kme_call *call, const char *why)
{
    kme_answer_json(call, json_pack("{s:[]}", "keys"));
    kme_note(call, "n=0 why=\"%s\"", why);
}

void
kme_note(struct kme_call *call, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(call->ans->note, sizeof call->ans->note, fmt, ap);
    va_end(ap);
}

static uint64_t
hash_names(const struct kme_names *names)
{
    const char *const saes[] = {names->master, names->slave};
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (size_t i = 0; i < 2; i++) {
        for (const char *c = saes[i]; *c; c++)
            h = (h ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
        h = (h ^ 0xff) * UINT64_C(0x100000001b3); /* in no UTF-8: two pairs never look the same */
    }
    return h | 1;
}

struct kme_pair *
kme_pair_of(struct kme_call *call, const struct kme_names *names)
{
    uint64_t h = hash_names(names);
    struct kme_pair *pair = &call->kme->pair[(h >> 20) % KME_PAIRS_KNOWN];

    if (pair->names != h)
        *pair = (struct kme_pair){.names = h};
    return pair;
}

static const struct route *
find_route(const char *name)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strcmp(name, routes[i].name) == 0)
            return &routes[i];
    return NULL;
}

/* "{SAE ID}/{name}" behind the prefix: the route, and the SAE ID as it was sent. */
static const struct route *
split(const char *path, const char **sae, size_t *sae_len)
{
    const char *slash;

    if (strncmp(path, PREFIX, strlen(PREFIX)) != 0)
        return NULL;
    *sae = path + strlen(PREFIX);
    slash = strchr(*sae, '/');
    *sae_len = slash ? (size_t)(slash - *sae) : 0;
    return *sae_len > 0 ? find_route(slash + 1) : NULL;
}

unsigned
kme_call_of(const char *path)
{
    const char *sae;
    size_t len;
    const struct route *route = split(path, &sae, &len);

    return route ? route->call : KME_C_OTHER;
}

/* The route of the request, and the decoded SAE ID in call->sae, "" when it cannot be one. */
static const struct route *
route_of(struct kme_call *call)
{
    char raw[3 * RK_SAE_MAX + 1], *sae;
    const char *from;
    size_t n = 0, decoded = 0;
    const struct route *route = split(call->request->path, &from, &n);

    if (route && n < sizeof raw) {
        memcpy(raw, from, n);
        raw[n] = '\0';
        sae = evhttp_uridecode(raw, 0, &decoded);
        if (sae && strlen(sae) == decoded)
            rk_copy(call->sae, sizeof call->sae, sae);
        free(sae);
    }
    return route;
}

static bool
find_peer(struct kme_call *call)
{
    const struct kme_conf *conf = call->kme->conf;

    for (size_t i = 0; i < conf->n_peers; i++) {
        int at = kme_saes_at(&conf->peers[i].saes, call->sae);

        if (at >= 0) {
            call->peer = &conf->peers[i];
            call->pool = &call->kme->pool[i][conf->pool.per_sae ? at : 0];
            return true;
        }
    }
    return false;
}

static bool
known_caller(const struct kme_call *call)
{
    const char *caller = call->request->caller;

    return caller[0] != '\0' && (call->as->anyone || kme_saes_at(&call->kme->conf->saes, caller) >= 0);
}

/* An SAE ID that is a number of 64 bits. */
static bool
is_integer(const char *text)
{
    const char *digits = text + (*text == '-');

    return *digits && strlen(digits) <= 18 && strspn(digits, "0123456789") == strlen(digits);
}

/* Everything that is the same for the three calls; true when the call may run. */
static bool
admit(struct kme_call *call, const struct route *route)
{
    const struct kme_request *request = call->request;
    const struct kme_conf *conf = call->kme->conf;

    if (request->method != KME_GET && !(request->method == KME_POST && route->post)) {
        kme_refuse(call, KME_R_METHOD, (struct kme_detail){0});
        call->ans->allow = call->ans->code == 405 ? route->allow : NULL;
    } else if (!known_caller(call) || kme_fault_on(call, KME_F_UNAUTHORIZED)) {
        kme_refuse(call, KME_R_STRANGER, (struct kme_detail){0});
    } else if (kme_fault_on(call, KME_F_REFUSE)) {
        kme_bad(call, 503, "the KME is told to refuse", (struct kme_detail){0});
    } else if (conf->integer_saes && !is_integer(call->sae)) {
        kme_refuse(call, KME_R_SAE_FORM, (struct kme_detail){"SAE_ID", call->sae});
    } else if (!find_peer(call)) {
        kme_refuse(call, KME_R_SAE, (struct kme_detail){"SAE_ID", call->sae});
    } else if (request->query && evhttp_parse_query_str(request->query, &call->query) != 0) {
        kme_bad(call, 400, "malformed query string", (struct kme_detail){0});
    } else {
        return true;
    }
    return false;
}

/* An error that was asked for.  401 and a page have no message of their own, as the standard's. */
static void
answer_code(struct kme_call *call)
{
    int code = (int)call->request->fault.value[KME_F_CODE];
    struct kme_say say = {code, code == 401 ? KME_BARE : call->as->errors, "fault"};

    if (code == 401 && call->as->say[KME_R_STRANGER].code == 401)
        say.form = call->as->say[KME_R_STRANGER].form;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].code == code)
            say.message = codes[i].message;
    kme_answer_error(call->ans, call->as, say, (struct kme_detail){0});
    call->ans->retry_s = call->request->fault.retry_s;
}

void
kme_answer(struct kme *kme, const struct kme_request *request, struct kme_answer *ans)
{
    struct kme_call call = {.kme = kme, .request = request, .ans = ans, .as = kme->conf->personality};
    const struct route *route = route_of(&call);

    *ans = (struct kme_answer){.retry_s = -1};
    call.query.tqh_last = &call.query.tqh_first; /* an empty list: TAILQ_INIT, which not every libc has */
    if (request->fault.on[KME_F_CODE])
        answer_code(&call);
    else if (request->fault.on[KME_F_HTML])
        kme_answer_error(ans, call.as, (struct kme_say){200, KME_HTML, "Welcome"}, (struct kme_detail){0});
    else if (!route)
        kme_refuse(&call, KME_R_PATH, (struct kme_detail){0});
    else if (admit(&call, route))
        route->run(&call);
    evhttp_clear_headers(&call.query);
    kme_spoil(ans, &request->fault);
}
