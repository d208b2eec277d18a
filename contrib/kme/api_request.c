/* api_request.c - reads what a call asks for: key requests (clause 6.2) and key IDs (clause 6.4).  Pure. */
#include "api_int.h"

#include <core/base/text.h>
#include <rekey/plugin.h>

#include <stdio.h>
#include <string.h>

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
want_from_query(struct kme_call *call, struct kme_want *want)
{
    const struct evkeyval *item;
    bool have_number = false, have_size = false;

    for (item = call->query.tqh_first; item; item = item->next.tqe_next) {
        bool is_number = strcmp(item->key, "number") == 0, is_size = strcmp(item->key, "size") == 0;

        if ((!is_number && !is_size) || (is_number && have_number) || (is_size && have_size)) {
            kme_bad(call, 400, "by GET only number and size can be asked for, each once",
                    (struct kme_detail){"parameter", item->key});
            return false;
        }
        *(is_number ? &want->number : &want->bits) = number_of(item->value);
        have_number |= is_number;
        have_size |= is_size;
    }
    return true;
}

/* Is "name" or "name=value" among the supported extensions?  *met is false when only the value is wrong. */
static bool
supported(const struct kme_conf *conf, const char *name, const json_t *value, bool *met)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < conf->extensions.n; i++) {
        const char *have = conf->extensions.id[i];

        if (strncmp(have, name, n) != 0 || (have[n] != '\0' && have[n] != '='))
            continue;
        *met = have[n] == '\0' || (json_is_string(value) && strcmp(json_string_value(value), have + n + 1) == 0);
        return true;
    }
    return false;
}

/* An array of objects; every member of each is an extension.  NULL when all are supported and met. */
static const char *
check_extensions(const struct kme_call *call, json_t *list, const char *unsupported, const char *unmet)
{
    const char *name;
    json_t *item, *value;
    bool met = true;
    size_t i;

    json_array_foreach (list, i, item) {
        if (!json_is_object(item))
            return "an extension shall be an object";
        json_object_foreach (item, name, value) {
            if (!supported(call->kme->conf, name, value, &met))
                return unsupported;
            if (!met)
                return unmet;
        }
    }
    return NULL;
}

static const char *
want_mandatory(const struct kme_call *call, json_t *list)
{
    if (!json_is_array(list))
        return "extension_mandatory shall be an array";
    if (call->as->extensions_ignored)
        return NULL;
    return check_extensions(call, list, "not all extension_mandatory parameters are supported",
                            "not all extension_mandatory request options could be met");
}

static const char *
want_optional(const struct kme_call *call, json_t *list)
{
    static const char unhandled[] = "not all extension_optional request options handled";

    if (!json_is_array(list))
        return "extension_optional shall be an array";
    return call->kme->conf->refuse_optional ? check_extensions(call, list, unhandled, unhandled) : NULL;
}

static const char *
want_others(const struct kme_call *call, const json_t *list, struct kme_want *want)
{
    json_t *item;
    size_t i;

    if (!json_is_array(list))
        return "additional_slave_SAE_IDs shall be an array";
    if (json_array_size(list) > 0 && call->kme->conf->max_saes == 0)
        return "additional_slave_SAE_IDs are not supported, max_SAE_ID_count is 0";
    if ((int64_t)json_array_size(list) > call->kme->conf->max_saes)
        return "more additional_slave_SAE_IDs than max_SAE_ID_count";
    json_array_foreach (list, i, item) {
        if (!json_is_string(item) || !rk_copy(want->other[i], sizeof want->other[i], json_string_value(item)))
            return "each of additional_slave_SAE_IDs shall be an SAE ID";
        want->n_others++;
    }
    return NULL;
}

/* One member of a key request; the message when it is wrong. */
static const char *
want_member(const struct kme_call *call, const char *name, json_t *value, struct kme_want *want)
{
    if (strcmp(name, "number") == 0 || strcmp(name, "size") == 0) {
        if (!json_is_integer(value))
            return "number and size shall be integers";
        *(name[0] == 'n' ? &want->number : &want->bits) = json_integer_value(value);
        return NULL;
    }
    if (strcmp(name, "additional_slave_SAE_IDs") == 0)
        return want_others(call, value, want);
    if (strcmp(name, "extension_mandatory") == 0)
        return want_mandatory(call, value);
    if (strcmp(name, "extension_optional") == 0)
        return want_optional(call, value);
    return call->as->extensions_ignored ? NULL : "unknown parameter in the key request";
}

json_t *
kme_body_object(struct kme_call *call, const char **why)
{
    static json_error_t error; /* one thread; the text outlives the call */
    json_t *json = json_loadb(call->request->body, call->request->body_len, JSON_REJECT_DUPLICATES, &error);

    if (json_is_object(json))
        return json;
    *why = json ? "the body shall be a JSON object" : error.text;
    json_decref(json);
    return NULL;
}

static bool
want_from_body(struct kme_call *call, struct kme_want *want)
{
    const struct kme_want usual = *want;
    const char *name, *wrong = NULL, *why;
    json_t *json = kme_body_object(call, &why), *value;

    if (!json && !call->as->lenient_body)
        kme_refuse(call, KME_R_JSON, (struct kme_detail){"reason", why});
    if (!json)
        return call->as->lenient_body;
    json_object_foreach (json, name, value) {
        wrong = want_member(call, name, value, want);
        if (wrong && call->as->lenient_body) {
            *want = usual; /* what cannot be read is as good as nothing */
            wrong = NULL;
            break;
        }
        if (wrong) {
            kme_bad(call, 400, wrong, (struct kme_detail){"parameter", name});
            break;
        }
    }
    json_decref(json);
    return !wrong;
}

static bool
want_check(struct kme_call *call, struct kme_want *want)
{
    const struct kme_conf *conf = call->kme->conf;
    char text[80];

    if (call->as->size_ignored)
        want->bits = conf->key_bits;
    if (call->as->size_rounded && want->bits > 0)
        want->bits -= want->bits % 8;
    if (want->number > conf->max_per_request || want->number < (call->as->zero_keys ? 0 : 1)) {
        snprintf(text, sizeof text, "1..%lld", (long long)conf->max_per_request);
        kme_refuse(call, KME_R_NUMBER, (struct kme_detail){"number", text});
    } else if (want->bits > 0 && want->bits % 8 != 0) {
        kme_bad(call, 400, "size shall be a multiple of 8", (struct kme_detail){0});
    } else if (want->bits < conf->min_key_bits || want->bits > conf->max_key_bits) {
        snprintf(text, sizeof text, "%lld..%lld", (long long)conf->min_key_bits, (long long)conf->max_key_bits);
        kme_refuse(call, KME_R_SIZE, (struct kme_detail){"size", text});
    } else {
        return true;
    }
    return false;
}

bool
kme_want_read(struct kme_call *call, struct kme_want *want)
{
    const struct kme_want usual = {.number = 1, .bits = call->kme->conf->key_bits};
    bool ok;

    *want = usual;
    ok = call->request->method == KME_POST ? want_from_body(call, want) : want_from_query(call, want);
    if (ok && call->request->method == KME_GET && call->as->query_ignored)
        *want = usual;
    return ok && want_check(call, want);
}

/* One ID more; false when an answer was written. */
static bool
add_id(struct kme_call *call, const char *text, struct kme_give *give, size_t *n)
{
    if ((int64_t)*n == call->kme->conf->max_per_request) {
        kme_bad(call, 400, "more key_IDs than max_key_per_request", (struct kme_detail){0});
        return false;
    }
    if (!kme_id_get(text, &give[*n].id)) {
        kme_refuse(call, KME_R_MISSING, (struct kme_detail){"key_ID", text});
        return false;
    }
    ++*n;
    return true;
}

static bool
ids_from_query(struct kme_call *call, struct kme_give *give, size_t *n)
{
    const struct evkeyval *item = call->query.tqh_first;

    if (item && strcmp(item->key, "key_ID") == 0 && !item->next.tqe_next)
        return add_id(call, item->value, give, n);
    if (call->as->no_id_no_keys)
        kme_no_keys(call, "no key_ID");
    else
        kme_refuse(call, KME_R_NO_ID, (struct kme_detail){0});
    return false;
}

/* The ID of an entry of key_IDs; NULL when an answer was written. */
static const char *
id_of(struct kme_call *call, const json_t *item)
{
    const char *text = json_string_value(json_object_get(item, "key_ID"));

    if (!text && call->as->id_strings)
        text = json_string_value(item);
    if (!text && json_is_string(item))
        kme_refuse(call, KME_R_ID_STRINGS, (struct kme_detail){0});
    else if (!text)
        kme_bad(call, 400, "each of key_IDs shall be an object with a string key_ID", (struct kme_detail){0});
    return text;
}

static bool
ids_from_body(struct kme_call *call, struct kme_give *give, size_t *n)
{
    const char *why = NULL, *text;
    json_t *json = kme_body_object(call, &why), *list, *item;
    bool ok = json != NULL;
    size_t i;

    if (!json) {
        kme_refuse(call, KME_R_JSON, (struct kme_detail){"reason", why});
        return false;
    }
    list = json_object_get(json, "key_IDs");
    if (!json_is_array(list) || json_array_size(list) == 0) {
        kme_bad(call, 400, "key_IDs shall be an array of objects, at least one", (struct kme_detail){0});
        ok = false;
    }
    json_array_foreach (list, i, item) {
        text = ok ? id_of(call, item) : NULL;
        ok = text && add_id(call, text, give, n);
        if (!ok)
            break;
    }
    json_decref(json);
    return ok;
}

bool
kme_ids_read(struct kme_call *call, struct kme_give *give, size_t *n)
{
    *n = 0;
    return call->request->method == KME_POST ? ids_from_body(call, give, n) : ids_from_query(call, give, n);
}
