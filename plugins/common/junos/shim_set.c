/* shim_set.c - statements and files of the shim.
 *
 * Runs on a worker thread of rekey-host.  What comes as a word is checked before it is a part of a statement or a path.
 */
#include "shim_set.h"

#include "../files.h"
#include "../keytext.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCRIPT "rekey-shim.py"
#define EVENT "rekey-shim" /* the timer and the policy */
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static const char *const file_words[JN_SHIM_FILES] = {"script", "cert", "key", "ca"};

/* ---- words ---- */

static int
wrong(const struct rk_host *host, struct rk_call *call, const char *name, const char *wants)
{
    return host->fail(call, RK_E_CONFIG, "--%s wants %s", name, wants);
}

static bool
is_of(const char *text, const char *letters)
{
    return text[0] && !text[strspn(text, letters)];
}

/* The host of https://HOST[:PORT], without the brackets of an address. */
static bool
host_of(const char *url, char host[254])
{
    const char *at = url + 8, *end, *port;

    if (strncmp(url, "https://", 8) != 0)
        return false;
    if (*at == '[') {
        end = strchr(++at, ']');
        port = end ? end + 1 : "x";
    } else {
        end = at + strcspn(at, ":/");
        port = end;
    }
    if (!end || end == at || end - at > 253 ||
        (*port && (*port != ':' || !is_of(port + 1, DIGITS) || strlen(port) > 6)))
        return false;
    snprintf(host, 254, "%.*s", (int)(end - at), at);
    return is_of(host, at[-1] == '[' ? DIGITS "abcdefABCDEF:." : LETTERS DIGITS "-.");
}

static bool
take_number(const char *text, unsigned low, unsigned high, unsigned *out)
{
    unsigned long n = is_of(text, DIGITS) && strlen(text) < 8 ? strtoul(text, NULL, 10) : 0;

    *out = (unsigned)n;
    return n >= low && n <= high;
}

static int
take(const struct rk_host *host, struct rk_call *call, const char *word, struct jn_shim *s)
{
    const char *value = strchr(word, '=');
    char name[16];
    unsigned char bytes[16];

    if (strcmp(word, "both-engines") == 0) {
        s->both = true;
        return RK_OK;
    }
    snprintf(name, sizeof name, "%.*s", value ? (int)(value - word) : 0, word);
    value = value ? value + 1 : "";
    for (size_t i = 0; i < JN_SHIM_FILES; i++)
        if (strcmp(name, file_words[i]) == 0) {
            snprintf(s->here[i], sizeof s->here[i], "%s", value);
            return value[0] == '/' ? RK_OK : wrong(host, call, name, "a whole path");
        }
    if (strcmp(name, "url") == 0) {
        snprintf(s->url, sizeof s->url, "%s", value);
        return host_of(s->url, s->host) ? RK_OK : wrong(host, call, name, "https://HOST[:PORT]");
    }
    if (strcmp(name, "address") == 0) {
        snprintf(s->address, sizeof s->address, "%s", value);
        return inet_pton(AF_INET, value, bytes) == 1 || inet_pton(AF_INET6, value, bytes) == 1
                   ? RK_OK : wrong(host, call, name, "an IP address");
    }
    if (strcmp(name, "name") == 0 && strlen(value) < sizeof s->name) {
        strcpy(s->name, value);
        return is_of(value, LETTERS DIGITS "-._:") ? RK_OK
                                                   : wrong(host, call, name, "the name in rekeyd's certificate");
    }
    if (strcmp(name, "user") == 0 && strlen(value) < sizeof s->user) {
        strcpy(s->user, value);
        return is_of(value, LETTERS DIGITS "-._") && strcmp(value, "root") != 0
                   ? RK_OK : wrong(host, call, name, "a login user of the router, not root");
    }
    if (strcmp(name, "router") == 0 && strlen(value) < sizeof s->router) {
        strcpy(s->router, value);
        return RK_OK;
    }
    if (strcmp(name, "tick") == 0)
        return take_number(value, 60, 86400, &s->tick_s) ? RK_OK : wrong(host, call, name, "60..86400 seconds");
    if (strcmp(name, "linger") == 0)
        return take_number(value, 1, 86400, &s->linger_s) ? RK_OK : wrong(host, call, name, "1..86400 seconds");
    return host->fail(call, RK_E_CONFIG, "\"%.40s\" is not known here", word);
}

/* ---- the script ---- */

static int
sum_script(const struct rk_host *host, struct rk_call *call, struct jn_shim *s)
{
    struct rkp_why why = {.text = ""};
    unsigned char digest[32];
    char *bytes = NULL;
    ssize_t len = -1;
    int fd = -1, err = rkp_open_file(AT_FDCWD, s->here[JN_SHIM_SCRIPT], RKP_NOT_SHARED, &fd, &why);

    if (err)
        return host->fail(call, err, "the script: %s", why.text);
    bytes = malloc(JN_SHIM_SCRIPT_MAX);
    if (bytes)
        len = rkp_read_small(fd, bytes, JN_SHIM_SCRIPT_MAX);
    close(fd);
    if (len > 0)
        err = host->sha256(bytes, (size_t)len, digest);
    free(bytes);
    if (len <= 0 || err)
        return host->fail(call, err ? err : RK_E_IO, "the script %s is empty, or cannot be read whole",
                          s->here[JN_SHIM_SCRIPT]);
    rkp_hex_put(digest, sizeof digest, s->sha256);
    return RK_OK;
}

static void
name_files(struct jn_shim *s)
{
    static const char *const ends[] = {NULL, "crt", "key", "ca"};

    snprintf(s->there[JN_SHIM_SCRIPT], sizeof s->there[0], "/var/db/scripts/event/" SCRIPT);
    for (int i = JN_SHIM_CERT; i < JN_SHIM_FILES; i++)
        snprintf(s->there[i], sizeof s->there[i], "/var/home/%s/rekey-shim.%s", s->user, ends[i]);
}

const char *const *
jn_prepare_words(const struct rk_prepare *want)
{
    bool has = want->size >= offsetof(struct rk_prepare, words) + sizeof want->words;

    return has ? want->words : NULL;
}

int
jn_shim_read(const struct rk_host *host, struct rk_call *call, const char *const *words, const char *user,
             struct jn_shim *s)
{
    int err = RK_OK;

    *s = (struct jn_shim){.install = strcmp(words[0], "shim-install") == 0, .tick_s = 60};
    snprintf(s->user, sizeof s->user, "%s", user);
    for (size_t i = 1; !err && words[i]; i++)
        err = take(host, call, words[i], s);
    if (err)
        return err;
    if (!s->user[0] || strcmp(s->user, "root") == 0)
        return wrong(host, call, "user", "a login user of the router, not root, that the script runs as");
    if (s->install && !s->url[0])
        return wrong(host, call, "url", "https://HOST[:PORT], as the router reaches rekeyd");
    if (s->linger_s >= s->tick_s)
        return wrong(host, call, "linger", "less than a tick");
    if (s->address[0] && (strchr(s->host, ':') || is_of(s->host, DIGITS ".")))
        return wrong(host, call, "address", "a URL with a name in it, not an address");
    if (s->install && !s->here[JN_SHIM_SCRIPT][0])
        return wrong(host, call, "script", "the path of " SCRIPT);
    name_files(s);
    return s->install ? sum_script(host, call, s) : RK_OK;
}

/* ---- statements ---- */

struct want {
    const xmlNode *conf;
    struct jn_need *need;
};

/* Keep it when it lacks. */
static void
settle(struct want *w, const struct jn_statement *s)
{
    if (s && w->conf && jn_statement_there(w->conf, s) != s->gone)
        w->need->n--;
}

static struct jn_statement *
entry(struct want *w, const char *boxes, const char *list, const char *key)
{
    struct jn_statement *s = jn_need_begin(w->need, boxes);

    if (s)
        jn_word_put(s, JN_LIST, list, key);
    return s;
}

static void
leaf(struct want *w, struct jn_statement *s, const char *name, const char *value)
{
    if (s)
        jn_word_put(s, value ? JN_LEAF : JN_FLAG, name, value);
    settle(w, s);
}

static struct jn_statement *
script_of_policy(struct want *w)
{
    struct jn_statement *s = entry(w, "event-options", "policy", EVENT);

    if (s) {
        jn_word_put(s, JN_BOX, "then", NULL);
        jn_word_put(s, JN_LIST, "event-script", SCRIPT);
    }
    return s;
}

static void
argument(struct want *w, const char *name, const char *value)
{
    struct jn_statement *s = value[0] ? script_of_policy(w) : NULL;

    if (!s)
        return;
    jn_word_put(s, JN_LIST, "arguments", name);
    jn_word_put(s, JN_VALUE, "value", value);
    settle(w, s);
}

static bool
is_ours(const struct jn_shim *s, const char *name)
{
    const struct {
        const char *name;
        bool used;
    } own[] = {{"url", true}, {"cert", true}, {"key", true}, {"ca", true}, {"tick", true}, {"name", s->name[0] != '\0'},
               {"linger", s->linger_s != 0}};

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(own[i].name, name) == 0)
            return own[i].used;
    return false;
}

/* Arguments of an earlier time would be given to the script still. */
static void
old_arguments(const struct jn_shim *shim, struct want *w)
{
    const xmlNode *policy = nc_child(nc_child(w->conf, "event-options"), "policy"), *script, *a;
    char name[256];

    while (policy && !(nc_child_text(policy, "name", name, sizeof name) && strcmp(name, EVENT) == 0))
        policy = nc_next(policy);
    script = nc_child(nc_child(policy, "then"), "event-script");
    for (a = nc_child(script, "arguments"); a; a = nc_next(a)) {
        struct jn_statement *s;

        if (!nc_child_text(a, "name", name, sizeof name) || is_ours(shim, name) || !(s = script_of_policy(w)))
            continue;
        jn_word_put(s, JN_LIST, "arguments", name);
        s->gone = true;
        settle(w, s);
    }
}

static void
add_policy(const struct jn_shim *s, struct want *w)
{
    char tick[16], linger[16] = "";

    snprintf(tick, sizeof tick, "%u", s->tick_s);
    if (s->linger_s)
        snprintf(linger, sizeof linger, "%u", s->linger_s);
    leaf(w, entry(w, "event-options", "generate-event", EVENT), "time-interval", tick);
    leaf(w, entry(w, "event-options", "policy", EVENT), "events", EVENT);
    old_arguments(s, w);
    argument(w, "url", s->url);
    argument(w, "cert", s->there[JN_SHIM_CERT]);
    argument(w, "key", s->there[JN_SHIM_KEY]);
    argument(w, "ca", s->there[JN_SHIM_CA]);
    argument(w, "name", s->name);
    argument(w, "tick", tick);
    argument(w, "linger", linger);
}

static void
add_file(const struct jn_shim *s, struct want *w)
{
    struct jn_statement *st;

    leaf(w, entry(w, "event-options event-script", "file", SCRIPT), "python-script-user", s->user);
    st = entry(w, "event-options event-script", "file", SCRIPT);
    if (st)
        jn_word_put(st, JN_BOX, "checksum", NULL);
    leaf(w, st, "sha-256", s->sha256);
}

static void
go(struct want *w, const char *boxes, const char *list, const char *key)
{
    struct jn_statement *s = entry(w, boxes, list, key);

    if (s)
        s->gone = true;
    settle(w, s);
}

int
jn_shim_need(const struct jn_shim *s, const xmlNode *conf, struct jn_need *out)
{
    struct want w = {conf, out};

    *out = (struct jn_need){.list = NULL};
    if (!s->install) {
        go(&w, "event-options", "generate-event", EVENT);
        go(&w, "event-options", "policy", EVENT);
        go(&w, "event-options event-script", "file", SCRIPT);
        return out->err;
    }
    leaf(&w, jn_need_begin(out, "system scripts"), "language", "python3");
    if (s->both)
        leaf(&w, jn_need_begin(out, "system scripts"), "synchronize", NULL);
    if (s->address[0])
        leaf(&w, entry(&w, "system", "static-host-mapping", s->host), strchr(s->address, ':') ? "inet6" : "inet",
             s->address);
    add_policy(s, &w);
    add_file(s, &w);
    return out->err;
}

/* ---- remarks ---- */

static void
copy_remark(const struct jn_shim *s, const char *at, int i, struct jn_need *need)
{
    static const char *const names[] = {"", "ROUTER.crt", "ROUTER.key", "CA.crt"};
    static const char *const modes[] = {"0555, so that nobody can change it", "0644, the router's certificate",
                                        "0600, its private key: only the script's user may read it",
                                        "0644, who signed rekeyd's certificate"};
    char text[JN_REMARK_MAX];
    int n = snprintf(text, sizeof text, "# scp %.140s %s@%.100s:%s", s->here[i][0] ? s->here[i] : names[i], s->user, at,
                     s->there[i]);

    if (n >= 0 && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, "   (mode %s)", modes[i]);
    jn_need_remark(need, "%s", text);
}

static void
both_remarks(const struct jn_shim *s, struct jn_need *need)
{
    if (!s->both) {
        jn_need_remark(need, "# a router with two routing engines needs --both-engines, and the files on both%s", "");
        return;
    }
    jn_need_remark(need, "# commit synchronize scripts   (the script goes to the other routing engine)%s", "");
    for (int i = JN_SHIM_CERT; i < JN_SHIM_FILES; i++) {
        char text[JN_REMARK_MAX];

        snprintf(text, sizeof text, "# file copy %s re1:%s   (on the master re0; from re1: re0:)", s->there[i],
                 s->there[i]);
        jn_need_remark(need, "%s", text);
    }
}

void
jn_shim_remarks(const struct jn_shim *s, const char *at, const bool todo[JN_SHIM_FILES], struct jn_need *need)
{
    for (int i = 0; i < JN_SHIM_FILES; i++)
        if (todo[i] && s->install)
            copy_remark(s, at, i, need);
        else if (todo[i])
            jn_need_remark(need, "# file delete %s", s->there[i]);
    if (!s->install) {
        jn_need_remark(need, "# system scripts language and static-host-mapping stay: others may need them%s", "");
        return;
    }
    both_remarks(s, need);
    jn_need_remark(need, "# user %s is a login user of the router with the rights that rekeyctl prepare prints; the "
                   "script's owner must be root or of class super-user", s->user);
    if (s->router[0])
        jn_need_remark(need, "# the router's certificate must name it %s, as option router of the device does",
                       s->router);
    jn_need_remark(need, "# after the commit: request system scripts event-scripts reload; what goes wrong is in "
                   "/var/log/escript.log%s", "");
}

void
jn_need_tell(const struct jn_need *need, rk_line_fn *line, void *arg)
{
    char text[JN_REMARK_MAX];

    for (size_t i = 0; i < need->n; i++) {
        jn_need_line(&need->list[i], text, sizeof text);
        line(arg, text);
    }
    for (size_t i = 0; i < need->n_remarks; i++)
        line(arg, need->remark[i]);
}

/* ---- a device that is not reached from here ---- */

static int
settings(const struct jn_shim_own *own, rk_line_fn *line, void *arg)
{
    char text[300];

    snprintf(text, sizeof text, "router=%.247s", own->router); /* what fits into a word */
    line(arg, text);
    snprintf(text, sizeof text, "tick=%u", own->tick_s);
    line(arg, text);
    return RK_OK;
}

int
jn_shim_print(const struct rk_host *host, struct rk_call *call, const struct jn_shim_own *own,
              const struct rk_prepare *want, rk_line_fn *line, void *arg)
{
    const char *const *words = jn_prepare_words(want);
    const bool all[JN_SHIM_FILES] = {true, true, true, true};
    struct jn_need need = {.list = NULL};
    struct jn_shim s;
    int err;

    if (words && strcmp(words[0], "shim-settings") == 0)
        return settings(own, line, arg);
    if (!words || (strcmp(words[0], "shim-install") != 0 && strcmp(words[0], "shim-remove") != 0))
        return host->fail(call, RK_E_UNSUPPORTED, "a router that dials out is prepared by rekeyctl shim install");
    if (want->apply)
        return host->fail(call, RK_E_UNSUPPORTED, "a router that dials out cannot be reached from here: name a device "
                          "of plugin junos-netconf for it with --through, or do by hand what is printed");
    err = jn_shim_read(host, call, words, "", &s);
    if (err)
        return err;
    if (!s.router[0])
        snprintf(s.router, sizeof s.router, "%s", own->router);
    s.tick_s = own->tick_s;
    err = jn_shim_need(&s, NULL, &need);
    jn_shim_remarks(&s, own->router, all, &need);
    if (!err && !need.err)
        jn_need_tell(&need, line, arg);
    err = err ? err : need.err;
    jn_need_free(&need);
    return err;
}
