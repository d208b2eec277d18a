/* api_keys.c - enc_keys and dec_keys.  Pure.
 *
 * enc_keys takes from the pool all that was asked for or nothing.  dec_keys gives all IDs or none, and each once.
 */
#include "api_int.h"

#include <rekey/err.h>
#include <rekey/plugin.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_FOUND "one or more keys specified are not found on KME"
#define KEY_FORM "{\"key_ID\":\"%s\",\"key\":\""

struct want {
    json_int_t number, bits;
};

struct writer {
    char *text;
    size_t len, size;
};

static int
put_key(struct writer *w, const struct kme_give *give, const unsigned char *key, size_t n)
{
    char id[KME_ID_TEXT];
    int len;

    kme_id_put(&give->shown, id);
    len = snprintf(w->text + w->len, w->size - w->len, "%s" KEY_FORM, w->text[w->len - 1] == '[' ? "" : ",", id);
    w->len += (size_t)len;
    if (w->size - w->len < 4 * ((n + 2) / 3) + 8)
        return RK_E_NOMEM;
    w->len += (size_t)EVP_EncodeBlock((unsigned char *)w->text + w->len, key, (int)n);
    memcpy(w->text + w->len, "\"}", 2);
    w->len += 2;
    return RK_OK;
}

/* The bytes of one key as the faults want them; their number in *n. */
static int
make_key(struct kme_call *call, const struct kme_names *names, const struct kme_id *id, unsigned char *key, size_t *n)
{
    unsigned bits = call->request->fault.bits;

    *n = kme_id_key_bytes(id);
    if (kme_key(&call->peer->secret, names, id, key) != RK_OK)
        return RK_E_FATAL;
    if (bits & KME_F_WRONG_KEY)
        for (size_t i = 0; i < *n; i++)
            key[i] ^= 0xff;
    if (bits & KME_F_LONG_KEY) {
        memcpy(key + *n, key, *n);
        *n *= 2;
    }
    if (bits & KME_F_SHORT_KEY)
        *n = (*n + 1) / 2;
    return RK_OK;
}

int
kme_container(struct kme_call *call, const struct kme_names *names, const struct kme_give *give, size_t n)
{
    unsigned char key[2 * KME_KEY_BYTES_MAX];
    struct writer w = {.size = 64};
    size_t len = 0;
    int err = RK_OK;

    for (size_t i = 0; i < n; i++) /* twice the length, in base64: the longest that a fault can make of it */
        w.size += sizeof KEY_FORM + KME_ID_TEXT + 16 + 4 * (2 * kme_id_key_bytes(&give[i].id) / 3 + 2);
    w.text = malloc(w.size); /* once: growing would leave copies of keys behind */
    if (!w.text)
        return RK_E_NOMEM;
    w.len = (size_t)snprintf(w.text, w.size, "{\"keys\":[");
    for (size_t i = 0; i < n && !err; i++) {
        err = make_key(call, names, &give[i].id, key, &len);
        if (!err)
            err = put_key(&w, &give[i], key, len);
    }
    explicit_bzero(key, sizeof key);
    call->ans->text = w.text;
    call->ans->len = w.len;
    if (err) {
        kme_answer_free(call->ans);
        return err;
    }
    memcpy(w.text + w.len, "]}", 3);
    call->ans->len += 2;
    call->ans->code = 200;
    return RK_OK;
}

/* Decimal digits only; -1 when it is no number, so that no range holds it. */
static json_int_t
number_of(const char *text)
{
    json_int_t n = 0;

    if (!*text)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > 100000000)
            return -1;
        n = 10 * n + (*text - '0');
    }
    return n;
}

static bool
want_from_query(struct kme_call *call, struct want *want)
{
    const struct evkeyval *item;
    bool have_number = false, have_size = false;

    for (item = call->query.tqh_first; item; item = item->next.tqe_next) {
        bool is_number = strcmp(item->key, "number") == 0, is_size = strcmp(item->key, "size") == 0;

        if ((!is_number && !is_size) || (is_number && have_number) || (is_size && have_size)) {
            kme_answer_error(call->ans, 400, "by GET only number and size can be asked for, each once",
                             (struct kme_detail){"parameter", item->key});
            return false;
        }
        *(is_number ? &want->number : &want->bits) = number_of(item->value);
        have_number |= is_number;
        have_size |= is_size;
    }
    return true;
}

/* One member of a key request; the message when it is wrong. */
static const char *
want_member(const char *name, const json_t *value, struct want *want)
{
    if (strcmp(name, "number") == 0 || strcmp(name, "size") == 0) {
        if (!json_is_integer(value))
            return "number and size shall be integers";
        *(name[0] == 'n' ? &want->number : &want->bits) = json_integer_value(value);
    } else if (strcmp(name, "additional_slave_SAE_IDs") == 0) {
        if (!json_is_array(value))
            return "additional_slave_SAE_IDs shall be an array";
        if (json_array_size(value) > 0)
            return "additional_slave_SAE_IDs are not supported, max_SAE_ID_count is 0";
    } else if (strcmp(name, "extension_mandatory") == 0) {
        if (!json_is_array(value))
            return "extension_mandatory shall be an array";
        if (json_array_size(value) > 0)
            return "not all extension_mandatory parameters are supported";
    } else if (strcmp(name, "extension_optional") == 0) {
        if (!json_is_array(value))
            return "extension_optional shall be an array";
    } else {
        return "unknown parameter in the key request";
    }
    return NULL;
}

static json_t *
body_object(struct kme_call *call)
{
    json_error_t error;
    json_t *json = json_loadb(call->request->body, call->request->body_len, JSON_REJECT_DUPLICATES, &error);

    if (json_is_object(json))
        return json;
    kme_answer_error(call->ans, 400, json ? "the body shall be a JSON object" : "malformed JSON",
                     (struct kme_detail){"reason", json ? NULL : error.text});
    json_decref(json);
    return NULL;
}

static bool
want_from_body(struct kme_call *call, struct want *want)
{
    json_t *json = body_object(call), *value;
    const char *name, *wrong = NULL;

    if (!json)
        return false;
    json_object_foreach (json, name, value) {
        wrong = want_member(name, value, want);
        if (wrong) {
            kme_answer_error(call->ans, 400, wrong, (struct kme_detail){"parameter", name});
            break;
        }
    }
    json_decref(json);
    return !wrong;
}

static bool
want_check(struct kme_call *call, const struct want *want)
{
    const struct kme_conf *conf = call->kme->conf;
    char text[80];

    if (want->number < 1 || want->number > conf->max_per_request) {
        snprintf(text, sizeof text, "1..%lld", (long long)conf->max_per_request);
        kme_answer_error(call->ans, 400, "number is out of range", (struct kme_detail){"number", text});
    } else if (want->bits > 0 && want->bits % 8 != 0) {
        kme_bad(call, 400, "size shall be a multiple of 8");
    } else if (want->bits < conf->min_key_bits || want->bits > conf->max_key_bits) {
        snprintf(text, sizeof text, "%lld..%lld", (long long)conf->min_key_bits, (long long)conf->max_key_bits);
        kme_answer_error(call->ans, 400, "size is out of range", (struct kme_detail){"size", text});
    } else {
        return true;
    }
    return false;
}

static void
no_keys(struct kme_call *call)
{
    static const char none[] = "{\"keys\":[]}";

    call->ans->text = strdup(none);
    call->ans->len = call->ans->text ? sizeof none - 1 : 0;
    call->ans->code = 200;
    kme_note(call, "n=0 why=\"fault\"");
}

static void
issue(struct kme_call *call, const struct want *want)
{
    const struct kme_names names = {call->request->caller, call->sae};
    struct kme_give *give = calloc((size_t)want->number, sizeof *give);
    int err = give ? RK_OK : RK_E_NOMEM;
    char first[KME_ID_TEXT];

    for (json_int_t i = 0; i < want->number && !err; i++) {
        err = kme_id_make(&call->peer->secret, &names, (size_t)want->bits / 8, &give[i].id);
        give[i].shown = give[i].id;
    }
    if (!err)
        err = kme_container(call, &names, give, (size_t)want->number);
    if (err) {
        kme_bad(call, 503, "the KME has no memory or no random bytes");
    } else {
        kme_id_put(&give[0].id, first);
        kme_note(call, "n=%lld bits=%lld first=%s", (long long)want->number, (long long)want->bits, first);
    }
    free(give);
}

void
kme_enc_keys(struct kme_call *call)
{
    const struct kme_conf *conf = call->kme->conf;
    struct want want = {1, conf->key_bits};
    bool post = call->request->method == KME_POST;
    json_int_t cost;

    if (!(post ? want_from_body(call, &want) : want_from_query(call, &want)) || !want_check(call, &want))
        return;
    if (call->request->fault.bits & KME_F_EMPTY) {
        no_keys(call);
        return;
    }
    /* the pool is counted in keys of the default size */
    cost = want.number * ((want.bits + conf->key_bits - 1) / conf->key_bits);
    if (kme_pool_take(call->pool, cost, call->request->now_ns))
        issue(call, &want);
    else
        kme_bad(call, 503, "not enough keys are stored");
}

/* The IDs asked for: give[*n], room for max_per_request; false when an answer was written. */
static bool
add_id(struct kme_call *call, const char *text, struct kme_give *give, size_t *n)
{
    if ((int64_t)*n == call->kme->conf->max_per_request) {
        kme_bad(call, 400, "more key_IDs than max_key_per_request");
        return false;
    }
    if (!kme_id_get(text, &give[*n].id)) {
        kme_answer_error(call->ans, 400, NOT_FOUND, (struct kme_detail){"key_ID", text});
        return false;
    }
    ++*n;
    return true;
}

static bool
ids_from_query(struct kme_call *call, struct kme_give *give, size_t *n)
{
    const struct evkeyval *item = call->query.tqh_first;

    if (!item || strcmp(item->key, "key_ID") != 0 || item->next.tqe_next) {
        kme_bad(call, 400, "by GET exactly one key_ID can be asked for");
        return false;
    }
    return add_id(call, item->value, give, n);
}

static bool
ids_from_body(struct kme_call *call, struct kme_give *give, size_t *n)
{
    json_t *json = body_object(call), *list, *item;
    size_t i;
    bool ok = json != NULL;

    if (!json)
        return false;
    list = json_object_get(json, "key_IDs");
    if (!json_is_array(list) || json_array_size(list) == 0) {
        kme_bad(call, 400, "key_IDs shall be an array of objects, at least one");
        ok = false;
    }
    json_array_foreach (list, i, item) {
        const char *text = json_string_value(json_object_get(item, "key_ID"));

        if (ok && !text)
            kme_bad(call, 400, "each of key_IDs shall be an object with a string key_ID");
        ok = ok && text && add_id(call, text, give, n);
    }
    json_decref(json);
    return ok;
}

/* Was the ID issued for another SAE of this KME?  Then the caller was not named as slave: 401. */
static bool
of_another_slave(const struct kme_call *call, const struct kme_id *id)
{
    const struct kme_saes *saes = &call->kme->conf->saes;

    for (size_t i = 0; i < saes->n; i++) {
        const struct kme_names names = {call->sae, saes->id[i]};

        if (strcmp(names.slave, call->request->caller) != 0 && kme_id_issued(&call->peer->secret, &names, id))
            return true;
    }
    return false;
}

static bool
twice(const struct kme_give *give, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (memcmp(&give[i].id, &give[at].id, sizeof give[i].id) == 0)
            return true;
    return false;
}

/* All IDs can be given to the caller; else 401 or 400. */
static bool
ids_check(struct kme_call *call, const struct kme_names *names, const struct kme_give *give, size_t n)
{
    const struct kme_give *missing = NULL;
    char text[KME_ID_TEXT];

    for (size_t i = 0; i < n; i++) {
        bool issued = kme_id_issued(&call->peer->secret, names, &give[i].id);

        if (!issued && of_another_slave(call, &give[i].id)) {
            call->ans->code = 401;
            kme_note(call, "why=\"the caller was not named as slave\"");
            return false;
        }
        if (!missing && (!issued || kme_seen_has(&call->kme->seen, &give[i].id) || twice(give, i)))
            missing = &give[i];
    }
    if (!missing && (call->request->fault.bits & KME_F_NOT_FOUND))
        missing = give;
    if (missing) {
        kme_id_put(&missing->id, text);
        kme_answer_error(call->ans, 400, NOT_FOUND, (struct kme_detail){"key_ID", text});
    }
    return !missing;
}

static void
deliver(struct kme_call *call, const struct kme_names *names, struct kme_give *give, size_t n)
{
    char first[KME_ID_TEXT];
    int err = kme_seen_reserve(&call->kme->seen, n);

    for (size_t i = 0; i < n && !err; i++) {
        give[i].shown = give[i].id;
        if (call->request->fault.bits & KME_F_WRONG_ID)
            err = kme_id_make(&call->peer->secret, names, kme_id_key_bytes(&give[i].id), &give[i].shown);
    }
    if (!err)
        err = kme_container(call, names, give, n);
    if (err) {
        kme_bad(call, 503, "the KME has no memory or no random bytes");
        return;
    }
    for (size_t i = 0; i < n; i++)
        kme_seen_add(&call->kme->seen, &give[i].id);
    kme_id_put(&give[0].id, first);
    kme_note(call, "n=%zu first=%s", n, first);
}

void
kme_dec_keys(struct kme_call *call)
{
    const struct kme_names names = {call->sae, call->request->caller};
    struct kme_give *give = calloc((size_t)call->kme->conf->max_per_request, sizeof *give);
    size_t n = 0;
    bool ok;

    if (!give) {
        kme_bad(call, 503, "the KME has no memory");
        return;
    }
    ok = call->request->method == KME_POST ? ids_from_body(call, give, &n) : ids_from_query(call, give, &n);
    if (ok && (call->request->fault.bits & KME_F_EMPTY))
        no_keys(call);
    else if (ok && ids_check(call, &names, give, n))
        deliver(call, &names, give, n);
    free(give);
}
