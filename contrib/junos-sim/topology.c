/* topology.c - the file that says which routers there are and how they are cabled
 *
 * Read once at start, before threads; checked wholly.  README.md has an example.
 */
#include "world.h"

#include <core/base/text.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { FILE_MAX = 4 << 20, PORTS_MAX = 512 };

struct reader {
    const char *path;
    int dir_len;                 /* of path up to its last '/' */
    yaml_document_t doc;
    struct sim_lab *lab;
    char *why;
    int64_t commit_ms, check_ms; /* of devices that say nothing */
    double speed;
    struct sim_user user;        /* of devices that have none */
    bool has_user;
};

typedef int set_fn(struct reader *r, const yaml_node_t *value, void *to);
struct field {
    const char *name;
    set_fn *set;
};

static int fail(struct reader *r, const yaml_node_t *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int
fail(struct reader *r, const yaml_node_t *at, const char *fmt, ...)
{
    char text[SIM_WHY_MAX / 2];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(r->why, SIM_WHY_MAX, "%.100s:%zu: %s", r->path, at ? at->start_mark.line + 1 : 1, text);
    return -1;
}

static const yaml_node_t *
child(struct reader *r, int index)
{
    return yaml_document_get_node(&r->doc, index);
}

static const char *
scalar(const yaml_node_t *n)
{
    return n && n->type == YAML_SCALAR_NODE && strlen((const char *)n->data.scalar.value) == n->data.scalar.length
               ? (const char *)n->data.scalar.value : NULL;
}

static size_t
count(const yaml_node_t *n)
{
    return n->type == YAML_SEQUENCE_NODE ? (size_t)(n->data.sequence.items.top - n->data.sequence.items.start) : 0;
}

static int
walk(struct reader *r, const yaml_node_t *map, const struct field *field, size_t n, void *to)
{
    if (map->type != YAML_MAPPING_NODE)
        return fail(r, map, "must be a map");
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const char *word = scalar(child(r, p->key)), *names[24], *near;
        size_t i = 0;

        while (i < n && (!word || strcmp(word, field[i].name) != 0))
            i++;
        for (size_t j = 0; j < n && i == n; j++)
            names[j] = field[j].name;
        if (i == n) {
            near = word ? rk_nearest(word, names, n) : NULL;
            return fail(r, child(r, p->key), "'%.40s' is not known here%s%s%s", word ? word : "?",
                        near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
        if (field[i].set && field[i].set(r, child(r, p->value), to) < 0)
            return -1;
    }
    return 0;
}

/* ---- values ---- */

static int
take_text(struct reader *r, const yaml_node_t *n, char *out, size_t size, const char *what)
{
    const char *text = scalar(n);

    if (text && *text && rk_copy(out, size, text))
        return 0;
    return fail(r, n, "%s must be a text of at most %zu characters", what, size - 1);
}

/* "20ms", "2s", "5min"; negative ones where it says so. */
static int
take_ms(struct reader *r, const yaml_node_t *n, int64_t least, int64_t *out)
{
    const char *text = scalar(n);
    char *end = NULL;
    double v = text ? strtod(text, &end) : 0, unit = 0;

    if (end && end != text)
        unit = strcmp(end, "ms") == 0 ? 1 : strcmp(end, "s") == 0 ? 1000 : strcmp(end, "min") == 0 ? 60000
               : strcmp(end, "h") == 0 ? 3600000 : 0;
    if (unit == 0 || !(v >= -1e9 && v <= 1e9) || (int64_t)(v * unit) < least)
        return fail(r, n, "must be a time with its unit, as 20ms, 2s, 5min");
    *out = (int64_t)(v * unit);
    return 0;
}

static char *
path_of(const struct reader *r, const char *text)
{
    char *path;

    return asprintf(&path, "%.*s%s", text[0] == '/' ? 0 : r->dir_len, r->path, text) < 0 ? NULL : path;
}

static char *
slurp(const char *path, char *why)
{
    FILE *f = fopen(path, "re");
    char *text = f ? malloc(FILE_MAX + 1) : NULL;
    size_t n = text ? fread(text, 1, FILE_MAX + 1, f) : 0;
    bool bad = !text || ferror(f) || n > FILE_MAX || memchr(text, '\0', n);

    if (bad)
        snprintf(why, SIM_WHY_MAX, "%.180s: %s", path,
                 f && text ? "is no text, or larger than 4 MiB" : strerror(errno));
    else
        text[n] = '\0';
    if (f)
        fclose(f);
    if (bad) {
        free(text);
        return NULL;
    }
    return realloc(text, n + 1);
}

static int
take_file(struct reader *r, const yaml_node_t *n, char **out)
{
    const char *text = scalar(n);
    char *path = text && *text ? path_of(r, text) : NULL, why[SIM_WHY_MAX] = "must be the path of a file";

    free(*out);
    *out = path ? slurp(path, why) : NULL;
    free(path);
    return *out ? 0 : fail(r, n, "%.120s", why);
}

/* ---- users ---- */

static int
user_name(struct reader *r, const yaml_node_t *n, void *to)
{
    struct sim_user *u = to;

    return take_text(r, n, u->name, sizeof u->name, "a user's name");
}

static int
user_class(struct reader *r, const yaml_node_t *n, void *to)
{
    struct sim_user *u = to;

    return take_text(r, n, u->class, sizeof u->class, "a class");
}

static int
user_keys(struct reader *r, const yaml_node_t *n, void *to)
{
    return take_file(r, n, &((struct sim_user *)to)->keys);
}

static int
user_password(struct reader *r, const yaml_node_t *n, void *to)
{
    struct sim_user *u = to;

    if (take_file(r, n, &u->password) < 0)
        return -1;
    u->password[strcspn(u->password, "\r\n")] = '\0';
    return 0;
}

static int
read_user(struct reader *r, const yaml_node_t *n, struct sim_user *u)
{
    static const struct field field[] = {
        {"name", user_name}, {"class", user_class}, {"keys", user_keys}, {"password-file", user_password}};

    if (walk(r, n, field, 4, u) < 0)
        return -1;
    return *u->name && (u->keys || u->password) ? 0 : fail(r, n, "a user needs a name, and keys or password-file");
}

static int
set_user(struct reader *r, const yaml_node_t *n, void *to)
{
    (void)to;
    r->has_user = true;
    return read_user(r, n, &r->user);
}

static int
set_users(struct reader *r, const yaml_node_t *n, void *to)
{
    struct sim_box *box = to;

    if (count(n) == 0 || count(n) > SIM_USERS_MAX)
        return fail(r, n, "users must be a list of 1 to %d", SIM_USERS_MAX);
    for (size_t i = 0; i < count(n); i++)
        if (read_user(r, child(r, n->data.sequence.items.start[i]), &box->users[box->n_users++]) < 0)
            return -1;
    return 0;
}

/* ---- a device ---- */

static int
set_address(struct reader *r, const yaml_node_t *n, void *to)
{
    struct sim_box *box = to;
    const char *text = scalar(n);

    if (!text || inet_pton(AF_INET, text, &box->address) != 1 || ntohl(box->address.s_addr) >> 24 != 127)
        return fail(r, n, "address must be one of 127.0.0.0/8");
    return 0;
}

static int
set_like(struct reader *r, const yaml_node_t *n, void *to)
{
    const char *text = scalar(n);
    const struct sim_personality *as = text ? sim_personality_find(text) : NULL;

    if (!as)
        return fail(r, n, "like must be one of junos-sim --list-personalities");
    ((struct sim_box *)to)->as = as;
    return 0;
}

static int
set_model(struct reader *r, const yaml_node_t *n, void *to)
{
    return take_text(r, n, ((struct sim_box *)to)->model, 32, "model");
}

static int
set_release(struct reader *r, const yaml_node_t *n, void *to)
{
    return take_text(r, n, ((struct sim_box *)to)->release, 32, "release");
}

static int
set_zone(struct reader *r, const yaml_node_t *n, void *to)
{
    struct sim_box *box = to;
    const char *text = scalar(n);

    if (!text || !zone_find(text))
        return fail(r, n, "zone must be one of /usr/share/zoneinfo, as Europe/Berlin");
    free(box->zone);
    return (box->zone = strdup(text)) ? 0 : fail(r, n, "out of memory");
}

static int
set_clock(struct reader *r, const yaml_node_t *n, void *to)
{
    return take_ms(r, n, INT64_MIN, &((struct sim_box *)to)->clock_offset_ms);
}

static int
set_host_key(struct reader *r, const yaml_node_t *n, void *to)
{
    static const char *const types[] = {"ed25519", "ecdsa", "rsa"};
    const char *text = scalar(n);

    for (unsigned i = 0; text && i < 3; i++)
        if (strcmp(text, types[i]) == 0) {
            ((struct sim_box *)to)->host_key = (enum sim_host_key)i;
            return 0;
        }
    return fail(r, n, "host-key must be ed25519, ecdsa or rsa");
}

static int
set_config(struct reader *r, const yaml_node_t *n, void *to)
{
    return take_file(r, n, &((struct sim_box *)to)->initial);
}

static int
set_box_commit(struct reader *r, const yaml_node_t *n, void *to)
{
    return take_ms(r, n, 0, &((struct sim_box *)to)->commit_ms);
}

static int
set_box_check(struct reader *r, const yaml_node_t *n, void *to)
{
    return take_ms(r, n, 0, &((struct sim_box *)to)->check_ms);
}

static int
set_limit(struct reader *r, const yaml_node_t *n, void *to)
{
    const char *text = scalar(n);
    int limit = text ? atoi(text) : 0;

    if (limit < 1 || limit > 10000)
        return fail(r, n, "connection-limit must be a number from 1 to 10000");
    ((struct sim_box *)to)->connection_limit = limit;
    return 0;
}

static int
set_fault(struct reader *r, const yaml_node_t *n, void *to)
{
    const char *text = scalar(n);
    char copy[512], *save = NULL, why[SIM_WHY_MAX] = "fault must be words, as: slow-commit:2s dead:1%";

    if (!text || !rk_copy(copy, sizeof copy, text))
        return fail(r, n, "%.120s", why);
    for (char *w = strtok_r(copy, ", ", &save); w; w = strtok_r(NULL, ", ", &save))
        if (fault_add(to, w, why) < 0)
            return fail(r, n, "%.120s", why);
    return 0;
}

static int
port_name(struct reader *r, const yaml_node_t *n, void *to)
{
    return take_text(r, n, ((struct sim_port *)to)->name, sizeof ((struct sim_port *)to)->name, "a port's name");
}

static int
port_speed(struct reader *r, const yaml_node_t *n, void *to)
{
    return take_text(r, n, ((struct sim_port *)to)->speed, sizeof ((struct sim_port *)to)->speed, "speed");
}

static int
set_ports(struct reader *r, const yaml_node_t *n, void *to)
{
    static const struct field field[] = {{"name", port_name}, {"speed", port_speed}};
    struct sim_box *box = to;

    if (count(n) == 0 || count(n) > PORTS_MAX || (box->world && box->world->n_ports))
        return fail(r, n, "ports must be one list of 1 to %d", PORTS_MAX);
    if (!world_ports(box, count(n)))
        return fail(r, n, "out of memory");
    for (size_t i = 0; i < count(n); i++) {
        const yaml_node_t *item = child(r, n->data.sequence.items.start[i]);
        struct sim_port made = {.speed = "10Gbps"};

        if (scalar(item) ? port_name(r, item, &made) < 0 : walk(r, item, field, 2, &made) < 0)
            return -1;
        if (!*made.name || world_port(box->world, made.name))
            return fail(r, item, "a port needs a name of its own");
        world_port_init(box, i, made.name, made.speed);
    }
    return 0;
}

static const struct field device_field[] = {
    {"name", NULL},          {"address", set_address},   {"like", set_like},        {"model", set_model},
    {"release", set_release}, {"zone", set_zone},         {"clock", set_clock},      {"host-key", set_host_key},
    {"users", set_users},    {"config", set_config},     {"ports", NULL},           {"commit", set_box_commit},
    {"check", set_box_check}, {"connection-limit", set_limit}, {"fault", set_fault},
};

static const yaml_node_t *
member(struct reader *r, const yaml_node_t *map, const char *name)
{
    if (map->type == YAML_MAPPING_NODE)
        for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
            const char *word = scalar(child(r, p->key));

            if (word && strcmp(word, name) == 0)
                return child(r, p->value);
        }
    return NULL;
}

static int
copy_user(struct reader *r, const yaml_node_t *n, struct sim_box *box)
{
    struct sim_user *u = &box->users[0];

    if (!r->has_user)
        return fail(r, n, "the device %s needs users, or the file a user", box->name);
    memcpy(u, &r->user, sizeof *u);
    u->keys = r->user.keys ? strdup(r->user.keys) : NULL;
    u->password = r->user.password ? strdup(r->user.password) : NULL;
    box->n_users = 1;
    return 0;
}

static int
read_device(struct reader *r, const yaml_node_t *n)
{
    const yaml_node_t *name = member(r, n, "name"), *ports = member(r, n, "ports");
    const char *text = name ? scalar(name) : NULL;
    struct sim_box *box;

    if (!text || !rk_name_ok(text, SIM_NAME_MAX) || sim_lab_box(r->lab, text))
        return fail(r, n, "a device needs a name of its own: letters, digits, '.', '_', '-'");
    if (!(box = sim_box_new(text)))
        return fail(r, n, "out of memory");
    box->commit_ms = r->commit_ms;
    box->check_ms = r->check_ms;
    r->lab->boxes[r->lab->n++] = box;
    if (!world_of(box) || walk(r, n, device_field, sizeof device_field / sizeof device_field[0], box) < 0 ||
        (ports && set_ports(r, ports, box) < 0) || (!box->n_users && copy_user(r, n, box) < 0))
        return -1;
    if (!box->address.s_addr)
        return fail(r, n, "the device %s needs an address", box->name);
    for (size_t i = 0; i + 1 < r->lab->n; i++)
        if (r->lab->boxes[i]->address.s_addr == box->address.s_addr)
            return fail(r, n, "%s and %s have the same address", r->lab->boxes[i]->name, box->name);
    return 0;
}

static int
by_address(const void *a, const void *b)
{
    const struct sim_box *one = *(struct sim_box *const *)a, *two = *(struct sim_box *const *)b;
    uint32_t x = ntohl(one->address.s_addr), y = ntohl(two->address.s_addr);

    return x < y ? -1 : x > y;
}

static int
set_devices(struct reader *r, const yaml_node_t *n, void *to)
{
    (void)to;
    if (count(n) == 0 || count(n) > SIM_BOXES_MAX)
        return fail(r, n, "devices must be a list of 1 to %d", SIM_BOXES_MAX);
    if (!(r->lab->boxes = calloc(count(n), sizeof *r->lab->boxes)))
        return fail(r, n, "out of memory");
    for (size_t i = 0; i < count(n); i++)
        if (read_device(r, child(r, n->data.sequence.items.start[i])) < 0)
            return -1;
    qsort(r->lab->boxes, r->lab->n, sizeof *r->lab->boxes, by_address);
    return 0;
}

/* ---- cables ---- */

static struct sim_port *
end_of(struct reader *r, const char *text)
{
    char name[2 * SIM_NAME_MAX + 2], *colon;
    struct sim_box *box;

    if (!rk_copy(name, sizeof name, text) || !(colon = strchr(name, ':')))
        return NULL;
    *colon++ = '\0';
    box = sim_lab_box(r->lab, name);
    return box ? world_port(box->world, colon) : NULL;
}

static int
set_cables(struct reader *r, const yaml_node_t *n, void *to)
{
    (void)to;
    for (size_t i = 0; i < count(n); i++) {
        const yaml_node_t *item = child(r, n->data.sequence.items.start[i]);
        char from[140], towards[140];
        const char *text = scalar(item);
        struct sim_port *a, *b;

        if (!text || sscanf(text, "%139s - %139s", from, towards) != 2)
            return fail(r, item, "a cable is written \"r1:ge-0/0/1 - r2:ge-0/0/1\"");
        a = end_of(r, from);
        b = end_of(r, towards);
        if (!a || !b)
            return fail(r, item, "there is no port %.60s", a ? towards : from);
        if (a == b || a->peer || b->peer)
            return fail(r, item, "the port %.60s has a cable already", a->peer ? from : towards);
        a->peer = b;
        b->peer = a;
    }
    return 0;
}

/* ---- the file ---- */

static int
set_hello(struct reader *r, const yaml_node_t *n, void *to)
{
    (void)to;
    return take_ms(r, n, 8, &world.hello_ms);
}

static int
set_lldp(struct reader *r, const yaml_node_t *n, void *to)
{
    (void)to;
    return take_ms(r, n, 0, &world.lldp_ms);
}

static int
set_commit(struct reader *r, const yaml_node_t *n, void *to)
{
    (void)to;
    return take_ms(r, n, 0, &r->commit_ms);
}

static int
set_check(struct reader *r, const yaml_node_t *n, void *to)
{
    (void)to;
    return take_ms(r, n, 0, &r->check_ms);
}

static int
set_speed(struct reader *r, const yaml_node_t *n, void *to)
{
    const char *text = scalar(n);

    (void)to;
    r->speed = text ? strtod(text, NULL) : 0;
    return r->speed >= 0.001 && r->speed <= 10000 ? 0 : fail(r, n, "speed must be a number from 0.001 to 10000");
}

static int
set_seed(struct reader *r, const yaml_node_t *n, void *to)
{
    const char *text = scalar(n);

    (void)to;
    if (!text || text[0] < '0' || text[0] > '9')
        return fail(r, n, "seed must be a number");
    world.dice = strtoull(text, NULL, 10);
    return 0;
}

static int
set_control(struct reader *r, const yaml_node_t *n, void *to)
{
    const char *text = scalar(n);

    (void)to;
    free(r->lab->control);
    r->lab->control = text && *text ? path_of(r, text) : NULL;
    return r->lab->control ? 0 : fail(r, n, "control must be the path of a socket");
}

/* In this order, whatever the file's is: devices need what is for all of them, cables need devices. */
static const struct field top_field[] = {
    {"hello", set_hello}, {"lldp", set_lldp}, {"commit", set_commit},   {"check", set_check}, {"speed", set_speed},
    {"seed", set_seed},   {"control", set_control}, {"user", set_user}, {"devices", set_devices},
    {"cables", set_cables},
};

static int
read_document(struct reader *r)
{
    static const struct field names[] = {{"hello", NULL}, {"lldp", NULL}, {"commit", NULL}, {"check", NULL},
                                         {"speed", NULL}, {"seed", NULL}, {"control", NULL}, {"user", NULL},
                                         {"devices", NULL}, {"cables", NULL}};
    const yaml_node_t *root = yaml_document_get_root_node(&r->doc), *at;

    if (!root)
        return fail(r, NULL, "the file is empty");
    if (walk(r, root, names, sizeof names / sizeof names[0], NULL) < 0)
        return -1;
    for (size_t i = 0; i < sizeof top_field / sizeof top_field[0]; i++)
        if ((at = member(r, root, top_field[i].name)) != NULL && top_field[i].set(r, at, NULL) < 0)
            return -1;
    if (r->lab->n == 0)
        return fail(r, root, "there are no devices");
    world_set_clock(sim_now_ms(), r->speed);
    return 0;
}

int
sim_topology_load(const char *path, struct sim_lab *lab, char *why)
{
    const char *slash = strrchr(path, '/');
    struct reader r = {.path = path, .dir_len = slash ? (int)(slash - path) + 1 : 0, .lab = lab, .why = why,
                       .speed = 1};
    yaml_parser_t parser;
    char *text = slurp(path, why);
    int err = -1;

    world.lab = lab;
    if (!text || !yaml_parser_initialize(&parser)) {
        free(text);
        return -1;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    if (yaml_parser_load(&parser, &r.doc)) {
        err = read_document(&r);
        yaml_document_delete(&r.doc);
    } else
        snprintf(why, SIM_WHY_MAX, "%.100s:%zu: %.100s", path, parser.problem_mark.line + 1,
                 parser.problem ? parser.problem : "out of memory");
    yaml_parser_delete(&parser);
    free(text);
    free(r.user.keys);
    free(r.user.password);
    return err;
}
