/* conf.c - the YAML file of rekey-kme to struct kme_conf: a table of fields, one walker.
 *
 * The first error ends the reading, with file and line.  What joins several KMEs is checked in conf_pairs.c.
 */
#include "conf_reader.h"
#include "ledger.h"

#include <core/base/text.h>
#include <rekey/err.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define MAP_KEYS_MAX 32 /* bits of a word */

typedef int set_fn(struct kme_reader *r, const yaml_node_t *node, void *value);

struct field {
    const char *name;
    set_fn *set;
    size_t offset;  /* of the value in the object */
    int64_t lo, hi; /* numbers */
    bool required;
};

struct fields {
    const struct field *field;
    size_t n;
    const char *of; /* what the map is, for error texts */
};

static int
unknown(struct kme_reader *r, const yaml_node_t *key, const struct fields *fields)
{
    const char *names[MAP_KEYS_MAX], *word = kme_scalar(key), *near;

    if (!word)
        return kme_fail(r, kme_line_of(key), "a key of %s must be text", fields->of);
    for (size_t i = 0; i < fields->n; i++)
        names[i] = fields->field[i].name;
    near = rk_nearest(word, names, fields->n);
    return kme_fail(r, kme_line_of(key), "'%.40s' is not known in %s%s%s%s", word, fields->of,
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int set_number(struct kme_reader *r, const yaml_node_t *node, void *value, const struct field *f);

/* Fill an object from a map: each key once, all required ones there. */
static int
walk(struct kme_reader *r, const yaml_node_t *map, const struct fields *fields, void *object)
{
    uint32_t seen = 0;

    if (map->type != YAML_MAPPING_NODE)
        return kme_fail(r, kme_line_of(map), "%s must be a map", fields->of);
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = kme_child(r, p->key), *value = kme_child(r, p->value);
        const char *word = kme_scalar(key);
        const struct field *f;
        size_t i = 0;
        int err;

        while (i < fields->n && (!word || strcmp(word, fields->field[i].name) != 0))
            i++;
        if (i == fields->n)
            return unknown(r, key, fields);
        f = &fields->field[i];
        if (seen & 1u << i)
            return kme_fail(r, kme_line_of(key), "'%s' is there twice", f->name);
        seen |= 1u << i;
        err = f->set ? f->set(r, value, (char *)object + f->offset)
                     : set_number(r, value, (char *)object + f->offset, f);
        if (err)
            return err;
    }
    for (size_t i = 0; i < fields->n; i++)
        if (fields->field[i].required && !(seen & 1u << i))
            return kme_fail(r, kme_line_of(map), "'%s' is missing in %s", fields->field[i].name, fields->of);
    return RK_OK;
}

static int
set_number(struct kme_reader *r, const yaml_node_t *node, void *value, const struct field *f)
{
    const char *text = kme_scalar(node);
    int64_t n = 0;

    for (const char *c = text; c && *c; c++) {
        if (*c < '0' || *c > '9' || c - text > 9) {
            text = NULL;
            break;
        }
        n = 10 * n + (*c - '0');
    }
    if (!text || !*text || n < f->lo || n > f->hi)
        return kme_fail(r, kme_line_of(node), "%s must be a number from %lld to %lld", f->name, (long long)f->lo,
                    (long long)f->hi);
    *(int64_t *)value = n;
    return RK_OK;
}

#define POOL(member) offsetof(struct kme_pool_conf, member)

static int
set_pool(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    static const struct field field[] = {
        {"keys", NULL, POOL(keys), 0, 100000000, true},
        {"start", NULL, POOL(start), 0, 100000000, false},
        {"refill", NULL, POOL(refill), 0, 100000000, false},
        {"rate", NULL, POOL(rate), 0, 999999999, false},
        {"per", kme_set_per, POOL(per_sae), 0, 0, false},
    };
    static const struct fields fields = {field, sizeof field / sizeof field[0], "pool"};
    struct kme_pool_conf *pool = value;
    int err;

    *pool = (struct kme_pool_conf){.start = -1, .refill = -1, .rate = -1};
    err = walk(r, node, &fields, pool);
    if (!err && pool->refill >= 0 && pool->rate >= 0)
        err = kme_fail(r, kme_line_of(node), "a pool has refill, in keys per second, or rate, in bits per second");
    if (!err && pool->start > pool->keys)
        err = kme_fail(r, kme_line_of(node), "start is more than keys");
    return err;
}

/* Keys to bits: that is what a pool counts. */
static void
finish_pool(struct kme_conf *kme)
{
    struct kme_pool_conf *pool = &kme->pool;

    pool->max_bits = pool->keys * kme->key_bits;
    pool->start_bits = (pool->start < 0 ? pool->keys : pool->start) * kme->key_bits;
    pool->bits_per_s = pool->rate >= 0 ? pool->rate : pool->refill > 0 ? pool->refill * kme->key_bits : 0;
    if (pool->bits_per_s > KME_POOL_RATE_MAX)
        pool->bits_per_s = KME_POOL_RATE_MAX;
}

static int
set_peers(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    static const struct field field[] = {
        {"kme", kme_set_kme_id, offsetof(struct kme_peer_conf, kme), 0, 0, true},
        {"saes", kme_set_saes, offsetof(struct kme_peer_conf, saes), 0, 0, true},
        {"pair-secret", kme_set_path, offsetof(struct kme_peer_conf, secret_path), 0, 0, false},
    };
    static const struct fields fields = {field, sizeof field / sizeof field[0], "an entry of peers"};
    struct kme_conf *kme = value;
    size_t n = kme_count_of(node);

    if (n == 0 || n > KME_PEERS_MAX)
        return kme_fail(r, kme_line_of(node), "peers must be a list of 1 to %d", KME_PEERS_MAX);
    kme->peers = calloc(n, sizeof *kme->peers);
    if (!kme->peers)
        return RK_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const yaml_node_t *item = kme_child(r, node->data.sequence.items.start[i]);
        int err;

        kme->n_peers++;
        kme->peers[i].line = kme_line_of(item);
        err = walk(r, item, &fields, &kme->peers[i]);
        if (err)
            return err;
    }
    return RK_OK;
}

#define AT(member) offsetof(struct kme_conf, member)
#define BITS_MAX (8 * KME_KEY_BYTES_MAX)

static const struct field kme_field[] = {
    {"id", kme_set_kme_id, AT(id), 0, 0, true},
    {"listen", kme_set_listen, 0, 0, 0, true},
    {"cert", kme_set_path, AT(cert), 0, 0, true},
    {"key", kme_set_path, AT(key), 0, 0, true},
    {"ca", kme_set_path, AT(ca), 0, 0, true},
    {"saes", kme_set_saes, AT(saes), 0, 0, true},
    {"peers", set_peers, 0, 0, 0, true},
    {"key-size", NULL, AT(key_bits), 8, BITS_MAX, false},
    {"min-key-size", NULL, AT(min_key_bits), 8, BITS_MAX, false},
    {"max-key-size", NULL, AT(max_key_bits), 8, BITS_MAX, false},
    {"max-key-per-request", NULL, AT(max_per_request), 1, KME_REQUEST_KEYS_MAX, false},
    {"pool", set_pool, AT(pool), 0, 0, false},
    {"fault", kme_set_fault, AT(faults), 0, 0, false},
    {"fault-file", kme_set_path, AT(fault_file), 0, 0, false},
    {"cert-expired", kme_set_path, AT(cert_expired), 0, 0, false},
    {"cert-future", kme_set_path, AT(cert_future), 0, 0, false},
    {"personality", kme_set_personality, AT(personality), 0, 0, false},
    {"sae-ids", kme_set_sae_ids, AT(integer_saes), 0, 0, false},
    {"status", kme_set_status, AT(status_use), 0, 0, false},
    {"key-id-name", kme_set_key_id, AT(key_id), 0, 0, false},
    {"extensions", kme_set_extensions, AT(extensions), 0, 0, false},
    {"extension-optional", kme_set_optional, AT(refuse_optional), 0, 0, false},
    {"max-sae-id-count", NULL, AT(max_saes), 0, KME_OTHERS_MAX, false},
};
_Static_assert(sizeof kme_field / sizeof kme_field[0] <= MAP_KEYS_MAX, "a bit for each key");
static const struct fields kme_fields = {kme_field, sizeof kme_field / sizeof kme_field[0], "an entry of kmes"};

/* The personality decides what the other keys are when they are not there: it is read first. */
static int
find_personality(struct kme_reader *r, const yaml_node_t *map, const struct kme_personality **out)
{
    *out = r->usual->personality;
    if (map->type != YAML_MAPPING_NODE)
        return RK_OK; /* walk says so */
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const char *word = kme_scalar(kme_child(r, p->key));

        if (word && strcmp(word, "personality") == 0)
            return kme_set_personality(r, kme_child(r, p->value), out);
    }
    return RK_OK;
}

static bool
has_fault(const struct kme_conf *kme, enum kme_fault_kind kind)
{
    for (size_t i = 0; i < kme->faults.n; i++)
        if (kme->faults.word[i].kind == kind)
            return true;
    return false;
}

static int
check_kme(struct kme_reader *r, const struct kme_conf *kme)
{
    if (kme->key_bits % 8 || kme->min_key_bits % 8 || kme->max_key_bits % 8)
        return kme_fail(r, kme->line, "key sizes of %s are in bits, multiples of 8", kme->id);
    if (kme->min_key_bits > kme->key_bits || kme->key_bits > kme->max_key_bits)
        return kme_fail(r, kme->line, "%s needs min-key-size <= key-size <= max-key-size", kme->id);
    if ((has_fault(kme, KME_F_EXPIRED) && !kme->cert_expired) || (has_fault(kme, KME_F_FUTURE) && !kme->cert_future))
        return kme_fail(r, kme->line, "%s needs cert-expired and cert-future for those faults: make-certs --dates",
                    kme->id);
    return RK_OK;
}

static int
read_kme(struct kme_reader *r, const yaml_node_t *node, struct kme_conf *kme)
{
    const struct kme_personality *as;
    int err = find_personality(r, node, &as);

    if (err)
        return err;
    *kme = (struct kme_conf){.key_bits = 256, .min_key_bits = as->min_key_bits, .max_key_bits = as->max_key_bits,
                             .max_per_request = as->max_per_request, .personality = as, .key_id = as->key_id,
                             .pool = {.keys = 10000, .start = -1, .refill = 1000, .rate = -1},
                             .seed = r->usual->seed, .line = kme_line_of(node)};
    err = walk(r, node, &kme_fields, kme);
    if (err)
        return err;
    if (r->usual->faults)
        kme->faults = *r->usual->faults;
    finish_pool(kme);
    return check_kme(r, kme);
}

static int
set_kmes(struct kme_reader *r, const yaml_node_t *node, void *value)
{
    struct kme_conf_set *set = value;
    size_t n = kme_count_of(node);

    if (n == 0 || n > KME_MAX)
        return kme_fail(r, kme_line_of(node), "kmes must be a list of 1 to %d", KME_MAX);
    set->kme = calloc(n, sizeof *set->kme);
    if (!set->kme)
        return RK_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        int err;

        set->n++;
        err = read_kme(r, kme_child(r, node->data.sequence.items.start[i]), &set->kme[i]);
        if (err)
            return err;
    }
    return RK_OK;
}

static int
read_document(struct kme_reader *r, struct kme_conf_set *set)
{
    static const struct field field[] = {{"kmes", set_kmes, 0, 0, 0, true}};
    static const struct fields fields = {field, 1, "the file"};
    const yaml_node_t *root = yaml_document_get_root_node(&r->doc);

    return root ? walk(r, root, &fields, set) : kme_fail(r, 1, "the file is empty");
}

/* The whole file, NUL ended; NULL with why. */
static char *
slurp(const char *path, size_t *len, char *why)
{
    FILE *f = fopen(path, "re");
    char *text = f ? malloc(KME_CONF_BYTES_MAX + 1) : NULL;

    *len = text ? fread(text, 1, KME_CONF_BYTES_MAX + 1, f) : 0;
    if (!f || !text || ferror(f) || *len > KME_CONF_BYTES_MAX) {
        snprintf(why, KME_CONF_TEXT_MAX, "%.200s: %s", path,
                 f && *len > KME_CONF_BYTES_MAX ? "is larger than 1 MiB" : strerror(errno));
        free(text);
        text = NULL;
    }
    if (f)
        fclose(f);
    return text;
}

static int
parse(struct kme_reader *r, const char *text, size_t len, struct kme_conf_set *set)
{
    yaml_parser_t parser;
    int err;

    if (!yaml_parser_initialize(&parser))
        return RK_E_NOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (yaml_parser_load(&parser, &r->doc)) {
        err = read_document(r, set);
        yaml_document_delete(&r->doc);
    } else {
        err = kme_fail(r, parser.problem_mark.line + 1, "YAML: %s", parser.problem ? parser.problem : "out of memory");
    }
    yaml_parser_delete(&parser);
    return err;
}

int
kme_conf_load(const char *path, const struct kme_usual *usual, struct kme_conf_set *set, char *why)
{
    const char *slash = strrchr(path, '/');
    struct kme_reader r = {.usual = usual, .path = path, .dir_len = slash ? (int)(slash - path) + 1 : 0, .why = why};
    size_t len;
    char *text;
    int err;

    *set = (struct kme_conf_set){0};
    snprintf(why, KME_CONF_TEXT_MAX, "%.200s: out of memory", path);
    text = slurp(path, &len, why);
    if (!text)
        return RK_E_CONFIG;
    err = parse(&r, text, len, set);
    free(text);
    if (!err)
        err = kme_conf_pairs(set, path, why);
    if (err)
        kme_conf_free(set);
    return err;
}

void
kme_conf_free(struct kme_conf_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        struct kme_conf *k = &set->kme[i];

        for (size_t j = 0; j < k->n_peers; j++) {
            free(k->peers[j].saes.id);
            free(k->peers[j].secret_path);
            explicit_bzero(&k->peers[j].secret, sizeof k->peers[j].secret);
        }
        free(k->peers);
        free(k->saes.id);
        free(k->cert);
        free(k->key);
        free(k->ca);
        free(k->fault_file);
        free(k->cert_expired);
        free(k->cert_future);
        free(k->extensions.id);
    }
    free(set->kme);
    *set = (struct kme_conf_set){0};
}
