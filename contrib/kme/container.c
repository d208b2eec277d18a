/* container.c - key containers (clause 6.3), right ones and wrong ones.  Pure.
 *
 * The text is written into memory that is allocated once: growing would leave copies of keys behind.
 */
#include "api_int.h"

#include <rekey/err.h>

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_OF_KEY 256 /* what stands around the base64 of one key, at most [bytes] */

/* How a container is written. */
struct style {
    const char *open, *comma, *name, *id, *key, *key_end, *close;
};

static const struct style compact = {"{\"keys\":[", ",", "{\"", "\":\"", "\",\"key\":\"", "\"}", "]}"},
                          pretty = {"{\n  \"keys\": [\n", ",\n", "    {\n      \"", "\": \"",
                                    "\",\n      \"key\": \"", "\"\n    }", "\n  ]\n}"},
                          extended = {"{\"keys\":[", ",", "{\"", "\":\"",
                                      "\",\"key_ID_extension\":{\"abc_lab\":1},\"key\":\"",
                                      "\",\"key_extension\":{\"abc_lab\":[\"x\"]}}",
                                      "],\"key_container_extension\":{\"abc_lab\":{}}}"};

struct writer {
    char *text;
    size_t len, size;
};

static void
put(struct writer *w, const char *text)
{
    size_t n = strlen(text);

    memcpy(w->text + w->len, text, n + 1);
    w->len += n;
}

/* What faults make of the base64 text between two places. */
static void
bend_base64(const struct kme_call *call, struct writer *w, size_t from)
{
    for (size_t i = from; i < w->len; i++) {
        char *c = &w->text[i];

        if (kme_fault_on(call, KME_F_BASE64_URL))
            *c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c);
        if (kme_fault_on(call, KME_F_BASE64) && (i - from) % 7 == 3)
            *c = '!';
    }
    while (kme_fault_on(call, KME_F_UNPADDED) && w->len > from && w->text[w->len - 1] == '=')
        w->text[--w->len] = '\0';
}

/* The bytes of one key as the faults want them; their number in *n. */
static int
make_key(const struct kme_call *call, const struct kme_give *give, unsigned char *key, size_t *n)
{
    unsigned char other = kme_call_of(call->request->path) == KME_C_ENC ? 0x5a : 0xa5;

    *n = kme_id_key_bytes(&give->id);
    if (kme_key(give->secret, &give->names, &give->id, key) != RK_OK)
        return RK_E_FATAL;
    for (size_t i = 0; i < *n && kme_fault_on(call, KME_F_WRONG_KEY); i++)
        key[i] ^= other;
    if (kme_fault_on(call, KME_F_LONG_KEY)) {
        memcpy(key + *n, key, *n);
        *n *= 2;
    }
    if (kme_fault_on(call, KME_F_SHORT_KEY))
        *n = (*n + 1) / 2;
    return RK_OK;
}

static int
put_key(const struct kme_call *call, struct writer *w, const struct style *style, const struct kme_give *give)
{
    unsigned char key[2 * KME_KEY_BYTES_MAX];
    char id[KME_ID_TEXT];
    size_t n = 0, from;
    int err = make_key(call, give, key, &n);

    if (!err) {
        kme_id_put(&give->shown, id);
        put(w, style->name);
        put(w, kme_fault_on(call, KME_F_KEY_ID) ? "key_id" : call->kme->conf->key_id);
        put(w, style->id);
        put(w, id);
        put(w, style->key);
        from = w->len;
        w->len += (size_t)EVP_EncodeBlock((unsigned char *)w->text + w->len, key, (int)n);
        bend_base64(call, w, from);
        put(w, style->key_end);
    }
    explicit_bzero(key, n);
    return err;
}

int
kme_container(struct kme_call *call, const struct kme_give *give, size_t n)
{
    const struct style *style = kme_fault_on(call, KME_F_EXTENSIONS) ? &extended
                                : call->as->pretty                   ? &pretty
                                                                     : &compact;
    struct writer w = {.size = 2 * TEXT_OF_KEY};
    int err = RK_OK;

    for (size_t i = 0; i < n; i++) /* twice the length, in base64: the longest that a fault can make of it */
        w.size += TEXT_OF_KEY + 4 * (2 * kme_id_key_bytes(&give[i].id) / 3 + 2);
    w.text = malloc(w.size);
    if (!w.text)
        return RK_E_NOMEM;
    put(&w, style->open);
    for (size_t i = 0; i < n && !err; i++) {
        if (i > 0)
            put(&w, style->comma);
        err = put_key(call, &w, style, &give[i]);
    }
    put(&w, style->close);
    call->ans->text = w.text;
    call->ans->len = w.len;
    call->ans->code = 200;
    call->ans->form = KME_JSON;
    if (err)
        kme_answer_free(call->ans);
    return err;
}
