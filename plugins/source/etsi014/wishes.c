/* wishes.c - extensions and further slave SAEs of the options, as JSON texts made once.
 *
 * wishes_load() runs in init, wishes_body() on the host's worker threads.
 */
#include "wishes.h"

#include "etsi014.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "name=value": an object with one text; JSON: as it stands.  NULL: neither. */
static json_t *
extension_of(const char *item)
{
    const char *sign = strchr(item, '=');
    json_t *object;
    char *name;

    if (item[0] == '{') {
        object = json_loads(item, JSON_REJECT_DUPLICATES, NULL);
        if (json_is_object(object) && json_object_size(object) > 0)
            return object;
        json_decref(object);
        return NULL;
    }
    if (!sign || sign == item || strcspn(item, " \t{}[]\"") < (size_t)(sign - item))
        return NULL;
    name = strndup(item, (size_t)(sign - item));
    object = name ? json_pack("{s:s}", name, sign + 1) : NULL;
    free(name);
    return object;
}

static int
load_extensions(struct etsi *e, struct rk_call *call, const struct rk_conf *conf, const char *name, char **out)
{
    const char *item = e->host->conf_item(conf, name, 0);
    json_t *list = item ? json_array() : NULL;

    for (size_t i = 0; item; item = e->host->conf_item(conf, name, ++i)) {
        json_t *object = extension_of(item);

        if (!object) {
            json_decref(list);
            return e->host->fail(call, RK_E_CONFIG,
                                 "%s: \"%.60s\" is neither name=value nor a JSON object as {\"name\": 5}", name, item);
        }
        json_array_append_new(list, object);
    }
    *out = list ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return list && !*out ? e->host->fail(call, RK_E_NOMEM, "out of memory") : RK_OK;
}

static int
load_saes(struct etsi *e, struct rk_call *call, const struct rk_conf *conf)
{
    static const char name[] = "additional-slave-saes";
    struct wishes *w = &e->wishes;
    size_t n = 0;

    while (e->host->conf_item(conf, name, n))
        n++;
    w->saes = calloc(n + 1, sizeof *w->saes);
    w->sae_texts = calloc(n + 1, sizeof *w->sae_texts);
    if (!w->saes || !w->sae_texts)
        return e->host->fail(call, RK_E_NOMEM, "out of memory");
    for (; w->n_saes < n; w->n_saes++) {
        const char *sae = e->host->conf_item(conf, name, w->n_saes);
        json_t *text = json_string(sae);

        w->saes[w->n_saes] = strdup(sae);
        w->sae_texts[w->n_saes] = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
        json_decref(text);
        if (!text)
            return e->host->fail(call, RK_E_CONFIG, "%s: \"%.60s\" is not UTF-8", name, sae);
        if (!w->saes[w->n_saes] || !w->sae_texts[w->n_saes])
            return e->host->fail(call, RK_E_NOMEM, "out of memory");
    }
    return RK_OK;
}

int
wishes_load(struct etsi *e, struct rk_call *call, const struct rk_conf *conf)
{
    int err = load_extensions(e, call, conf, "extension-mandatory", &e->wishes.mandatory);

    err = err ? err : load_extensions(e, call, conf, "extension-optional", &e->wishes.optional);
    err = err ? err : load_saes(e, call, conf);
    if (!err && e->method == METHOD_GET && wishes_any(e))
        err = e->host->fail(call, RK_E_CONFIG,
                            "method: extensions and additional-slave-saes can be sent by POST only; take out "
                            "method: get");
    return err;
}

void
wishes_free(struct etsi *e)
{
    struct wishes *w = &e->wishes;

    for (size_t i = 0; w->saes && w->saes[i]; i++)
        free(w->saes[i]);
    for (size_t i = 0; w->sae_texts && w->sae_texts[i]; i++)
        free(w->sae_texts[i]);
    free(w->saes);
    free(w->sae_texts);
    free(w->mandatory);
    free(w->optional);
}

bool
wishes_any(const struct etsi *e)
{
    return e->wishes.mandatory || e->wishes.optional || e->wishes.n_saes;
}

static void
put_saes(FILE *f, const struct wishes *w, const char *peer)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n_saes; i++)
        if (strcmp(w->saes[i], peer) != 0)
            fprintf(f, "%s%s", n++ ? "," : ",\"additional_slave_SAE_IDs\":[", w->sae_texts[i]);
    if (n)
        fputc(']', f);
}

char *
wishes_body(struct etsi *e, const char *peer, size_t n, uint32_t bits)
{
    const struct wishes *w = &e->wishes;
    const char *optional = atomic_load(&e->learnt.no_optional) ? NULL : w->optional;
    char *body = NULL;
    size_t len;
    FILE *f = open_memstream(&body, &len);
    bool ok;

    if (!f)
        return NULL;
    fprintf(f, "{\"number\":%zu,\"size\":%" PRIu32, n, bits);
    put_saes(f, w, peer);
    if (w->mandatory)
        fprintf(f, ",\"extension_mandatory\":%s", w->mandatory);
    if (optional)
        fprintf(f, ",\"extension_optional\":%s", optional);
    fputc('}', f);
    ok = !ferror(f);
    ok = fclose(f) == 0 && ok;
    if (ok)
        return body;
    free(body);
    return NULL;
}
