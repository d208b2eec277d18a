/* conf_values.c - the values of the YAML file of rekey-kme: texts, lists, choices.  What they are for is conf.c's. */
#include "conf_reader.h"

#include <core/base/text.h>
#include <rekey/err.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
kme_fail(struct kme_reader *r, unsigned long line, const char *fmt, ...)
{
    char text[KME_CONF_TEXT_MAX / 2];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return kme_conf_fail(r->why, r->path, line, text);
}

unsigned long
kme_line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

const char *
kme_scalar(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
        return NULL;
    return (const char *)node->data.scalar.value;
}

const yaml_node_t *
kme_child(struct kme_reader *r, int index)
{
    return yaml_document_get_node(&r->doc, index);
}

size_t
kme_count_of(const yaml_node_t *node)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return 0;
    return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
}

int
kme_set_kme_id(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    const char *text = kme_scalar(node);

    if (!text || !rk_name_ok(text, KME_NAME_MAX))
        return kme_fail(r, kme_line_of(node), "a KME ID is 1 to %d letters, digits, '.', '_', '-'", KME_NAME_MAX);
    rk_copy(value, KME_NAME_MAX + 1, text);
    return RK_OK;
}

/* A path; a relative one is meant from the folder of the configuration. */
int
kme_set_path(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    const char *text = kme_scalar(node);
    int n;

    if (!text || !*text)
        return kme_fail(r, kme_line_of(node), "must be the path of a file");
    n = asprintf(value, "%.*s%s", text[0] == '/' ? 0 : r->dir_len, r->path, text);
    if (n < 0)
        *(char **)value = NULL;
    return n < 0 ? RK_E_NOMEM : RK_OK;
}

int
kme_set_listen(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    struct kme_conf *kme = value;
    const char *text = kme_scalar(node), *colon = text ? strrchr(text, ':') : NULL;
    size_t n = colon ? (size_t)(colon - text) : 0;
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;

    if (n > 2 && text[0] == '[' && colon[-1] == ']') { /* [::1]:8443 */
        text++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof kme->host || colon[1] < '0' || colon[1] > '9' || *end || port > 65535)
        return kme_fail(r, kme_line_of(node), "listen must be ADDRESS:PORT, as 127.0.0.1:8443");
    memcpy(kme->host, text, n);
    kme->host[n] = '\0';
    kme->port = (uint16_t)port;
    return RK_OK;
}

int
kme_set_fault(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    const char *text = kme_scalar(node);
    char why[RK_WHY_MAX];

    if (!text)
        return kme_fail(r, kme_line_of(node), "fault must be words, as: fault: slow:500ms short-key");
    if (kme_faults_parse(text, value, why) != RK_OK)
        return kme_fail(r, kme_line_of(node), "%s", why);
    return RK_OK;
}

int
kme_set_personality(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    const char *text = kme_scalar(node);
    const struct kme_personality *as = text ? kme_personality_find(text) : NULL;

    if (!as)
        return kme_fail(r, kme_line_of(node), "personality must be one of rekey-kme --list-personalities");
    *(const struct kme_personality **)value = as;
    return RK_OK;
}

/* One of some words, by its number. */
static int
choice(struct kme_reader *r, const yaml_node_t *node, const char *const *words, size_t n, const char *what)
{
    const char *text = kme_scalar(node);

    for (size_t i = 0; text && i < n; i++)
        if (strcmp(text, words[i]) == 0)
            return (int)i;
    return kme_fail(r, kme_line_of(node), "%s", what);
}

int
kme_set_sae_ids(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    static const char *const words[] = {"any", "integer"};
    int i = choice(r, node, words, 2, "sae-ids must be any or integer");

    *(bool *)value = i == 1;
    return i < 0 ? i : RK_OK;
}

int
kme_set_optional(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    static const char *const words[] = {"ignore", "refuse"};
    int i = choice(r, node, words, 2, "extension-optional must be ignore or refuse");

    *(bool *)value = i == 1;
    return i < 0 ? i : RK_OK;
}

int
kme_set_status(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    static const char *const words[] = {"offered", "first", "none"};
    int i = choice(r, node, words, 3, "status must be offered, first or none");

    if (i >= 0)
        *(enum kme_status_use *)value = (enum kme_status_use)i;
    return i < 0 ? i : RK_OK;
}

int
kme_set_key_id(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    static const char *const words[] = {"key_ID", "key_id", "keyId"};
    int i = choice(r, node, words, 3, "key-id-name must be key_ID, key_id or keyId");

    if (i >= 0)
        *(const char **)value = words[i];
    return i < 0 ? i : RK_OK;
}

static int
compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* A list of 1 to max texts of the length of an SAE ID, sorted. */
static int
set_texts(struct kme_reader *r, const yaml_node_t *node, struct kme_saes *out, size_t max, const char *what)
{
    size_t n = kme_count_of(node);

    if (n == 0 || n > max)
        return kme_fail(r, kme_line_of(node), "%ss must be a list of 1 to %zu", what, max);
    out->id = calloc(n, sizeof *out->id);
    if (!out->id)
        return RK_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const yaml_node_t *item = kme_child(r, node->data.sequence.items.start[i]);
        const char *text = kme_scalar(item);

        if (!text || !*text || !rk_copy(out->id[i], sizeof out->id[i], text))
            return kme_fail(r, kme_line_of(item), "an %s is 1 to %d bytes", what, RK_SAE_MAX);
        out->n++;
    }
    qsort(out->id, n, sizeof *out->id, compare);
    for (size_t i = 1; i < n; i++)
        if (strcmp(out->id[i - 1], out->id[i]) == 0)
            return kme_fail(r, kme_line_of(node), "%s '%s' is there twice", what, out->id[i]);
    return RK_OK;
}

int
kme_set_saes(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    return set_texts(r, node, value, KME_SAES_MAX, "SAE ID");
}

int
kme_set_extensions(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    return set_texts(r, node, value, KME_EXTENSIONS_MAX, "extension");
}

int
kme_set_per(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    static const char *const words[] = {"kme", "sae"};
    int i = choice(r, node, words, 2, "per must be kme or sae");

    *(bool *)value = i == 1;
    return i < 0 ? i : RK_OK;
}

