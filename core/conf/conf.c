/* conf.c - the configuration file: reading it, its top level, and the set that is made of it.
 *
 * Blocks as the file system does.  A set is made whole or not at all; the caller swaps it for the old one.
 */
#include "conf_priv.h"

#include <rekey/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SAE, STATE_DIR, CONTROL, LOG_LEVEL, CALL_BUDGET, EXPERIMENTAL, SOURCES, DEVICES, CHANNELS, DEFAULTS, LINKS, N_KEYS
};

static const char *const levels[] = {"err", "warning", "notice", "info", "debug", NULL}; /* from RK_LOG_ERR on */

/* Type 0: not a single value. */
static const struct rk_opt top_opts[N_KEYS + 1] = {
    [SAE] = {"sae", RK_OPT_STRING, RK_OPT_REQUIRED, NULL, 0, 0, NULL, NULL, "own SAE ID"},
    [STATE_DIR] = {"state-dir", RK_OPT_PATH, 0, NULL, 0, 0, "/var/lib/rekey", NULL, "journal and durable state"},
    [CONTROL] = {"control", RK_OPT_PATH, 0, NULL, 0, 0, "/run/rekey/rekeyd.sock", NULL, "control socket"},
    [LOG_LEVEL] = {"log-level", RK_OPT_ENUM, 0, NULL, 0, 0, "info", levels, "least level that is logged"},
    [CALL_BUDGET] = {"call-budget", RK_OPT_DURATION, 0, NULL, RK_CALL_BUDGET_MIN_MS, RK_CALL_BUDGET_MAX_MS, "60s", NULL,
                     "longest time of a call to a device"},
    [EXPERIMENTAL] = {"allow-experimental", RK_OPT_BOOL, 0, NULL, 0, 0, "no", NULL,
                      "use plugins that say of themselves that they are experimental"},
    [SOURCES] = {"sources", 0, 0, NULL, 0, 0, NULL, NULL, NULL},
    [DEVICES] = {"devices", 0, 0, NULL, 0, 0, NULL, NULL, NULL},
    [CHANNELS] = {"channels", 0, 0, NULL, 0, 0, NULL, NULL, NULL},
    [DEFAULTS] = {"defaults", 0, 0, NULL, 0, 0, NULL, NULL, NULL},
    [LINKS] = {"links", 0, 0, NULL, 0, 0, NULL, NULL, NULL},
    [N_KEYS] = {NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL},
};

struct path_buffer {
    char *text;
    size_t size;
};

static void
read_path(struct rk_conf_read *r, struct rk_node *node, const struct rk_opt *o, struct path_buffer out)
{
    if (!node)
        rk_copy(out.text, out.size, o->dflt);
    else if (rk_conf_value(r, o, node, NULL) && !rk_copy(out.text, out.size, node->text))
        rk_conf_wrong(r, node->line, node->col, "%s: longer than %zu bytes", o->name, out.size - 1);
}

static void
read_top(struct rk_conf_read *r, struct rk_node *root)
{
    struct rk_node *found[N_KEYS] = {NULL}, *sections[RK_CHANNEL + 1] = {NULL};
    struct rk_conf_set *set = r->set;
    int64_t level = RK_LOG_INFO - RK_LOG_ERR, experimental = 0;

    if (!rk_conf_is(r, root, RK_NODE_MAP))
        return;
    rk_conf_keys(r, root, top_opts, found);
    if (found[SAE])
        rk_conf_sae(r, found[SAE], set->sae);
    else
        rk_conf_wrong(r, root->line, root->col, "\"sae\" is missing: the SAE ID of this site");
    read_path(r, found[STATE_DIR], &top_opts[STATE_DIR], (struct path_buffer){set->state_dir, sizeof set->state_dir});
    read_path(r, found[CONTROL], &top_opts[CONTROL], (struct path_buffer){set->control, sizeof set->control});
    if (found[LOG_LEVEL])
        rk_conf_value(r, &top_opts[LOG_LEVEL], found[LOG_LEVEL], &level);
    set->log_level = RK_LOG_ERR + (int)level;
    set->call_budget_ms = RK_APPLY_BUDGET_MS;
    if (found[CALL_BUDGET])
        rk_conf_value(r, &top_opts[CALL_BUDGET], found[CALL_BUDGET], &set->call_budget_ms);
    if (found[EXPERIMENTAL])
        rk_conf_value(r, &top_opts[EXPERIMENTAL], found[EXPERIMENTAL], &experimental);
    set->allow_experimental = experimental != 0;
    sections[RK_SOURCE] = found[SOURCES];
    sections[RK_DEVICE] = found[DEVICES];
    sections[RK_CHANNEL] = found[CHANNELS];
    rk_conf_instances(r, sections);
    if (!r->nomem)
        rk_conf_links(r, found[LINKS], found[DEFAULTS]);
}

/* It will be read again when its devices have found other links. */
static void
keep_text(struct rk_conf_read *r, const char *text, size_t len)
{
    if (!r->set->n_discovers)
        return;
    r->set->text = malloc(len + 1);
    if (!r->set->text) {
        r->nomem = true;
        return;
    }
    memcpy(r->set->text, text, len);
    r->set->text_len = len;
}

int
rk_conf_parse(const char *text, size_t len, struct rk_conf_set **out, struct rk_conf_errors *e)
{
    return rk_conf_parse_found(text, len, NULL, out, e);
}

int
rk_conf_parse_found(const char *text, size_t len, struct rk_found_list *found, struct rk_conf_set **out,
                    struct rk_conf_errors *e)
{
    struct rk_conf_read r = {.e = e, .found = found};
    struct rk_node *root = NULL;
    int err = rk_tree_read(text, len, &root, e);

    *out = NULL;
    if (!root)
        return err;
    r.set = calloc(1, sizeof *r.set);
    if (r.set) {
        snprintf(r.set->file, sizeof r.set->file, "%s", e->file);
        snprintf(r.set->warnings.file, sizeof r.set->warnings.file, "%s", e->file);
        read_top(&r, root);
        keep_text(&r, text, len);
    }
    if (!r.set || r.nomem)
        err = RK_E_NOMEM;
    else if (r.failed)
        err = RK_E_CONFIG;
    free(r.by_name);
    rk_tree_free(root);
    *out = r.set;
    if (err)
        rk_conf_free(out);
    return err;
}

/* The file decides what is started as root, and with which keys. */
static int
check_file(int fd, struct stat *st, struct rk_conf_errors *e)
{
    const char *wrong = NULL;

    if (fstat(fd, st) < 0) {
        rk_conf_error(e, 0, 0, "%s", strerror(errno));
        return RK_E_IO;
    }
    if (!S_ISREG(st->st_mode))
        wrong = "not a regular file";
    else if (st->st_mode & S_IWOTH)
        wrong = "everyone may write it, and it decides what runs as root: chmod o-w it";
    else if (st->st_size > RK_CONF_BYTES_MAX)
        wrong = "too long: at most 64 MiB";
    if (!wrong)
        return RK_OK;
    rk_conf_error(e, 0, 0, "%s", wrong);
    return RK_E_CONFIG;
}

/* out: *text, owned by the caller, of *len bytes; a file that grows meanwhile is read as far as it was long. */
static int
read_file(int fd, char **text, size_t *len, struct rk_conf_errors *e)
{
    struct stat st;
    int err = check_file(fd, &st, e);

    *len = 0;
    if (err)
        return err;
    *text = malloc((size_t)st.st_size + 1);
    if (!*text)
        return RK_E_NOMEM;
    while (*len < (size_t)st.st_size) {
        ssize_t n = read(fd, *text + *len, (size_t)st.st_size - *len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rk_conf_error(e, 0, 0, "%s", strerror(errno));
            return RK_E_IO;
        }
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    return RK_OK;
}

int
rk_conf_load(const char *file, struct rk_conf_set **set, struct rk_conf_errors *e)
{
    return rk_conf_load_found(file, NULL, set, e);
}

int
rk_conf_load_found(const char *file, struct rk_found_list *found, struct rk_conf_set **set, struct rk_conf_errors *e)
{
    char *text = NULL;
    size_t len = 0;
    int fd, err;

    *set = NULL;
    if (!rk_copy(e->file, sizeof e->file, file)) {
        rk_conf_error(e, 0, 0, "the name of the configuration file is longer than %zu bytes", sizeof e->file - 1);
        return RK_E_CONFIG;
    }
    fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        err = errno == ENOENT ? RK_E_NOENT : RK_E_IO;
        rk_conf_error(e, 0, 0, "%s", strerror(errno));
        return err;
    }
    err = read_file(fd, &text, &len, e);
    close(fd);
    if (!err)
        err = rk_conf_parse_found(text, len, found, set, e);
    free(text);
    return err;
}

void
rk_conf_free(struct rk_conf_set **set)
{
    if (!*set)
        return;
    for (size_t i = 0; i < (*set)->n_instances; i++) {
        free((*set)->instances[i].settings);
        free((*set)->instances[i].places);
    }
    free((*set)->instances);
    free((*set)->links);
    rk_conf_texts_free((*set)->texts);
    free((*set)->discovers);
    free((*set)->text);
    rk_conf_errors_free(&(*set)->warnings);
    free(*set);
    *set = NULL;
}
