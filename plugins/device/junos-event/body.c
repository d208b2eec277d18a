/* body.c - see body.h. */
#include "body.h"

#include "../../common/netconf/reply.h"

#include <event2/event.h>

#include <rekey/err.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define KEY_DIGITS 16 /* a run of so many hexadecimal digits may be a part of a key */

/* ---- memory ---- */

static void
wipe_free(void *p)
{
    if (p)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

static void *
wipe_realloc(void *old, size_t size)
{
    size_t had = old ? malloc_usable_size(old) : 0;
    void *p;

    if (size == 0) {
        wipe_free(old);
        return NULL;
    }
    p = malloc(size);
    if (p && had)
        memcpy(p, old, had < size ? had : size);
    if (p)
        wipe_free(old);
    return p;
}

void
je_memory(void)
{
    json_set_alloc_funcs(malloc, wipe_free);
    event_set_mem_functions(malloc, wipe_realloc, wipe_free);
}

/* ---- members ---- */

static bool
text_of(const json_t *in, const char *name, struct je_said *out)
{
    const json_t *v = json_object_get(in, name);

    out->reply = json_string_value(v);
    out->len = json_string_length(v);
    return out->reply && strlen(out->reply) == out->len;
}

static bool
number_of(const json_t *in, const char *name, int64_t max, int64_t *out)
{
    const json_t *v = json_object_get(in, name);

    *out = json_integer_value(v);
    return json_is_integer(v) && *out >= 0 && *out <= max;
}

bool
je_id_ok(const char *text)
{
    return strlen(text) == JE_ID_LEN && strspn(text, "0123456789abcdef") == JE_ID_LEN;
}

static bool
id_of(const json_t *in, const char *name, char out[JE_ID_LEN + 1])
{
    struct je_said v;

    if (!text_of(in, name, &v) || !je_id_ok(v.reply))
        return false;
    memcpy(out, v.reply, JE_ID_LEN + 1);
    return true;
}

/* For people: printable, as much as fits. */
static bool
words_of(const json_t *in, const char *name, char *out, size_t size)
{
    struct je_said v;
    size_t n = 0;

    out[0] = '\0';
    if (!text_of(in, name, &v))
        return false;
    for (; n + 1 < size && v.reply[n]; n++)
        out[n] = v.reply[n] < ' ' || v.reply[n] > '~' || v.reply[n] == '"' ? '?' : v.reply[n];
    out[n] = '\0';
    nc_mask(out, KEY_DIGITS);
    return true;
}

/* ---- lists ---- */

static bool
facts_of(const json_t *in, struct je_body *b)
{
    const json_t *list = json_object_get(in, "facts");
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n > JE_FACTS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *f = json_array_get(list, i);
        struct je_said rpc;

        if (!text_of(f, "rpc", &rpc) || rpc.len == 0 || rpc.len > JE_RPC_MAX || !text_of(f, "reply", &b->fact[i]))
            return false;
        b->fact[i].rpc = rpc.reply;
    }
    b->n_facts = n;
    return true;
}

/* A step without a reply has lost it. */
static bool
steps_of(const json_t *in, struct je_body *b)
{
    const json_t *list = json_object_get(in, "steps");
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n > JE_STEPS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_array_get(list, i);
        struct je_said name;

        if (!text_of(s, "step", &name) || name.len == 0 || name.len > 16)
            return false;
        if (!text_of(s, "reply", &b->step[i])) {
            const json_t *none = json_object_get(s, "reply");

            if (none && !json_is_null(none))
                return false;
            b->step[i] = (struct je_said){.reply = "", .lost = true};
        }
        b->step[i].lost |= json_is_true(json_object_get(s, "lost"));
        b->step[i].rpc = name.reply;
    }
    b->n_steps = n;
    return true;
}

static bool
outcome_of(const json_t *in, enum je_outcome *out)
{
    static const char *const words[] = {"done", "refused", "unknown", "not-begun"};
    struct je_said v;

    if (!text_of(in, "outcome", &v))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(v.reply, words[i]) == 0) {
            *out = (enum je_outcome)i;
            return true;
        }
    return false;
}

/* ---- bodies ---- */

static const char *
read_common(const json_t *in, struct je_body *b)
{
    int64_t version;

    if (!json_is_object(in))
        return "the body is no JSON object";
    if (!number_of(in, "v", INT32_MAX, &version) || version != 1)
        return "v is not 1: the script is of another release";
    if (!words_of(in, "shim", b->shim, sizeof b->shim))
        return "shim is no text";
    if (!id_of(in, "run", b->run) || !number_of(in, "n", INT32_MAX, &b->n))
        return "run is not 16 hexadecimal digits, or n no number";
    if (!number_of(in, "clock_ms", INT64_MAX / 1000, &b->clock_ms))
        return "clock_ms is no number";
    return facts_of(in, b) ? NULL : "facts are no list of rpc and reply, or too many or too long";
}

static const char *
read_ask(const json_t *in, struct je_body *b)
{
    if (!number_of(in, "wait_ms", INT32_MAX, &b->wait_ms))
        return "wait_ms is no number";
    if (!number_of(in, "tick_s", 86400, &b->tick_s))
        return "tick_s is no number of seconds";
    b->age_ms = JE_AGE_MS;
    if (json_object_get(in, "age_ms") && !number_of(in, "age_ms", 86400000, &b->age_ms))
        return "age_ms is no number";
    if (b->wait_ms > JE_WAIT_MAX_MS)
        b->wait_ms = JE_WAIT_MAX_MS;
    return NULL;
}

static const char *
read_report(const json_t *in, struct je_body *b)
{
    if (!id_of(in, "id", b->id))
        return "id is not 16 hexadecimal digits";
    if (!outcome_of(in, &b->outcome))
        return "outcome is none of done, refused, unknown, not-begun";
    (void)words_of(in, "why", b->why, sizeof b->why);
    return steps_of(in, b) ? NULL : "steps are no list of step and reply, or too many";
}

int
je_body_read(const char *text, size_t len, bool report, struct je_body *b, const char **why)
{
    memset(b, 0, sizeof *b);
    b->doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    *why = b->doc ? read_common(b->doc, b) : "the body is no JSON";
    if (!*why)
        *why = report ? read_report(b->doc, b) : read_ask(b->doc, b);
    return *why ? RK_E_PROTOCOL : RK_OK;
}

void
je_body_free(struct je_body *b)
{
    json_decref(b->doc);
    b->doc = NULL;
}
