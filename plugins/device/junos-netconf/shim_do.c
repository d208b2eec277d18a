/* shim_do.c - brings the shim to a router over NETCONF, or takes it away: its files, then the statements.
 *
 * The private key goes from its file, through locked memory, into the request, and is shown and logged nowhere.  A file
 * counts as there when the router's own checksum says so.
 * file-put and file-delete were not tried on a router; their form is that of Junos' file RPCs. */
#include "prepare.h"

#include "../../common/files.h"
#include "../../common/junos/commit.h"
#include "../../common/junos/write.h"
#include "../../common/keytext.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BODY \
    "<get-configuration database=\"committed\" format=\"xml\"><configuration><system><scripts/><static-host-mapping/>" \
    "</system><event-options/></configuration></get-configuration>"
#define FILE_MAX (256u << 10) /* of certificates [bytes] */
/* A secret has at most RK_SECRET_MAX bytes, and base64 takes a third more: so a key is in two. */
#define KEY_PARTS 2
#define KEY_PART 3000 /* bytes of the file in one; of three each */

/* What is known of a file on the router. */
enum there { THERE_NOT = 0, THERE_SAME, THERE_NOT_TOLD };

struct job {
    struct jn_device *d;
    struct rk_call *call;
    struct jn_shim shim;
    bool todo[JN_SHIM_FILES];
    struct jn_need *need;
};

/* ---- files here ---- */

/* A private key in PEM: nothing else of this host is sent as one. */
static int
is_key(const unsigned char *bytes, size_t len, void *arg)
{
    static const char begin[] = "-----BEGIN ", kind[] = "PRIVATE KEY-----";

    (void)arg;
    return len > sizeof begin + sizeof kind && memcmp(bytes, begin, sizeof begin - 1) == 0 &&
                   memmem(bytes, len < 64 ? len : 64, kind, sizeof kind - 1)
               ? RK_OK : RK_E_CONFIG;
}

static int
read_key(struct job *j, struct rk_secret **key)
{
    char value[300];
    int err;

    snprintf(value, sizeof value, "file:%s", j->shim.here[JN_SHIM_KEY]);
    err = j->d->host->secret_read(j->call, "key", value, key);
    if (!err && j->d->host->secret_use(*key, is_key, NULL) != RK_OK)
        err = j->d->host->fail(j->call, RK_E_CONFIG, "--key %s is no private key in PEM", j->shim.here[JN_SHIM_KEY]);
    return err;
}

/* Script and certificates.   out: malloced */
static int
read_plain(struct job *j, int i, struct rkp_bytes *out)
{
    size_t room = i == JN_SHIM_SCRIPT ? JN_SHIM_SCRIPT_MAX : FILE_MAX;
    struct rkp_why why = {.text = ""};
    char *bytes = malloc(room);
    ssize_t len = -1;
    int fd, err = bytes ? rkp_open_file(AT_FDCWD, j->shim.here[i], RKP_NOT_SHARED, &fd, &why) : RK_E_NOMEM;

    if (!err) {
        len = rkp_read_small(fd, bytes, room);
        close(fd);
    }
    if (!err && len > 0 && i != JN_SHIM_SCRIPT && memmem(bytes, (size_t)len, "PRIVATE KEY-----", 16))
        err = j->d->host->fail(j->call, RK_E_UNSAFE, "%s has a private key in it", j->shim.here[i]);
    else if (err || len <= 0)
        err = j->d->host->fail(j->call, err ? err : RK_E_IO, "%s", err && why.text[0] ? why.text
                               : "a file is empty, too large, or cannot be read");
    *out = (struct rkp_bytes){bytes, len > 0 ? (size_t)len : 0};
    if (err) {
        free(bytes);
        out->bytes = NULL;
    }
    return err;
}

/* ---- files there ---- */

/* The router's checksum of a file: is it this one? */
static enum there
look(struct job *j, const char *path, const unsigned char digest[32])
{
    char body[400], hex[65], told[80];
    struct nc_reply *reply = NULL;
    enum there there = THERE_NOT;
    int err;

    rkp_hex_put(digest, 32, hex);
    snprintf(body, sizeof body, "<get-sha256-checksum-information><path>%s</path></get-sha256-checksum-information>",
             path); /* of names that were checked */
    err = jn_ask(j->d, j->call, "get-sha256-checksum-information", body, &reply);
    if (err && err != RK_E_REJECTED)
        there = THERE_NOT_TOLD;
    else if (err)
        there =
            reply && reply->n_errors && strstr(reply->errors[0].message, "syntax error") ? THERE_NOT_TOLD : THERE_NOT;
    else if (nc_text(nc_find(reply->root, "checksum"), told, sizeof told))
        there = strcmp(told, hex) == 0 ? THERE_SAME : THERE_NOT;
    nc_reply_free(&reply);
    return there;
}

static int
refused(struct job *j, const char *what, int err, struct nc_reply **reply)
{
    if (err == RK_E_REJECTED && *reply && (*reply)->n_errors)
        err = jn_refusal(j->d, j->call, what, &(*reply)->errors[0]);
    nc_reply_free(reply);
    return err;
}

/* n > 0 bytes; out has room for 4 of each 3, and no NUL. */
static void
to_base64(const unsigned char *p, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0u);

        *out++ = digits[v >> 18];
        *out++ = digits[v >> 12 & 63];
        *out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[v & 63] : '=';
    }
}

/* One file-put; content: parts that are text or secrets, in base64. */
static int
put(struct job *j, int i, const struct nc_part *content, size_t n)
{
    static const char *const modes[] = {"0555", "0644", "0600", "0644"};
    char head[400];
    struct nc_part part[2 + KEY_PARTS] = {{.kind = NC_TEXT, .text = head}};
    struct nc_request request = {.what = "file-put", .parts = part, .n = n + 2, .secret_reply = i == JN_SHIM_KEY};
    struct nc_reply *reply = NULL;

    for (size_t k = 0; k < n; k++)
        part[1 + k] = content[k];
    part[1 + n] = (struct nc_part){.kind = NC_TEXT, .text = "</file-contents></file-put>"};
    snprintf(head, sizeof head, "<file-put><delete-if-exist/><filename>%s</filename><permission>%s</permission>"
             "<encoding>base64</encoding><file-contents>", j->shim.there[i], modes[i]);
    return refused(j, "file-put", jn_rpc(j->d, j->call, &request, &reply), &reply);
}

static int
put_plain(struct job *j, int i, struct rkp_bytes bytes)
{
    char *text = calloc(1, (bytes.len + 2) / 3 * 4 + 1);
    struct nc_part part = {.kind = NC_TEXT, .text = text};
    int err = RK_E_NOMEM;

    if (text) {
        to_base64(bytes.bytes, bytes.len, text);
        err = put(j, i, &part, 1);
    }
    free(text);
    return err;
}

static int
not_there(struct job *j, int i)
{
    return j->d->host->fail(j->call, RK_E_REJECTED, "%s was sent to %s, and is not there, or not whole: the user needs "
                            "the rights of class super-user for it", j->shim.there[i], j->d->opt.host);
}

/* Bring a file unless it is there, and see that it is.  apply false: only see */
static int
bring_plain(struct job *j, int i, bool apply)
{
    unsigned char digest[32];
    struct rkp_bytes bytes;
    int err = read_plain(j, i, &bytes);

    if (err)
        return err;
    err = j->d->host->sha256(bytes.bytes, bytes.len, digest);
    if (!err) {
        j->todo[i] = look(j, j->shim.there[i], digest) != THERE_SAME;
        if (apply && j->todo[i]) {
            err = put_plain(j, i, bytes);
            if (!err && look(j, j->shim.there[i], digest) == THERE_NOT)
                err = not_there(j, i);
        }
    }
    free((void *)(size_t)bytes.bytes);
    return err;
}


/* ---- the key ---- */

struct piece {
    const unsigned char *bytes;
    size_t len;
};

static int
fill_base64(unsigned char *out, size_t len, void *arg)
{
    const struct piece *p = arg;

    (void)len;
    to_base64(p->bytes, p->len, (char *)out);
    return RK_OK;
}

/* The file as it will be there: with the newline at its end, which was left out when it was read. */
static int
fill_whole(unsigned char *out, size_t len, void *arg)
{
    const struct piece *p = arg;

    memcpy(out, p->bytes, p->len);
    out[len - 1] = '\n';
    return RK_OK;
}

struct key {
    struct job *j;
    struct rk_secret *whole, *part[KEY_PARTS];
    size_t n;
    unsigned char digest[32];
};

static int
make_whole(const unsigned char *bytes, size_t len, void *arg)
{
    struct key *k = arg;
    struct piece p = {bytes, len};

    return k->j->d->host->secret_new(len + 1, fill_whole, &p, &k->whole);
}

static int
make_parts(const unsigned char *bytes, size_t len, void *arg)
{
    struct key *k = arg;
    int err = k->j->d->host->sha256(bytes, len, k->digest);

    while (!err && len > 0 && k->n < KEY_PARTS) {
        struct piece p = {bytes, len < KEY_PART ? len : KEY_PART};

        err = k->j->d->host->secret_new((p.len + 2) / 3 * 4, fill_base64, &p, &k->part[k->n++]);
        bytes += p.len;
        len -= p.len;
    }
    return err;
}

static int
put_key(struct key *k)
{
    struct nc_part part[KEY_PARTS];

    for (size_t i = 0; i < k->n; i++)
        part[i] = (struct nc_part){.kind = NC_SECRET_TEXT, .secret = k->part[i]};
    return put(k->j, JN_SHIM_KEY, part, k->n);
}

static int
bring_key(struct job *j, bool apply)
{
    const struct rk_host *host = j->d->host;
    const char *path = j->shim.there[JN_SHIM_KEY];
    struct key k = {.j = j};
    struct rk_secret *key = NULL;
    int err = read_key(j, &key);

    if (!err)
        err = host->secret_use(key, make_whole, &k);
    if (!err)
        err = host->secret_use(k.whole, make_parts, &k);
    if (!err) {
        j->todo[JN_SHIM_KEY] = look(j, path, k.digest) != THERE_SAME;
        if (apply && j->todo[JN_SHIM_KEY]) {
            err = put_key(&k);
            if (!err && look(j, path, k.digest) == THERE_NOT)
                err = not_there(j, JN_SHIM_KEY);
        }
    }
    host->secret_free(&key);
    host->secret_free(&k.whole);
    for (size_t i = 0; i < KEY_PARTS; i++)
        host->secret_free(&k.part[i]);
    return err;
}

/* ---- install, remove ---- */

/* Files that were named are brought; the others are the operator's to copy. */
static int
bring(struct job *j, bool apply)
{
    int err = RK_OK;

    for (int i = 0; !err && i < JN_SHIM_FILES; i++) {
        j->todo[i] = true;
        if (j->shim.here[i][0])
            err = i == JN_SHIM_KEY ? bring_key(j, apply) : bring_plain(j, i, apply);
    }
    return err;
}

/* A file belongs to the user that brings it, and the script reads none that belongs to another. */
static int
check_user(struct job *j)
{
    if (strcmp(j->shim.user, j->d->opt.user) == 0)
        return RK_OK;
    return j->d->host->fail(j->call, RK_E_CONFIG,
                            "files would belong to %s, and the script runs as %s: go through a "
                            "device whose user is %s, or copy them by hand",
                            j->d->opt.user, j->shim.user, j->shim.user);
}

static int
delete_file(struct job *j, int i)
{
    char body[300];
    struct nc_reply *reply = NULL;
    int err;

    snprintf(body, sizeof body, "<file-delete><path>%s</path></file-delete>", j->shim.there[i]);
    err = jn_ask(j->d, j->call, "file-delete", body, &reply);
    j->todo[i] = err == RK_E_REJECTED; /* it may not have been there */
    nc_reply_free(&reply);
    return err == RK_E_REJECTED ? RK_OK : err;
}

static int
get_conf(struct job *j, struct nc_reply **reply, const xmlNode **conf)
{
    int err = jn_ask(j->d, j->call, "get-configuration", BODY, reply);

    *conf = err ? NULL : nc_find((*reply)->root, "configuration");
    if (!err && !*conf)
        err = j->d->host->fail(j->call, RK_E_PROTOCOL, "%s: the answer to get-configuration is not understood",
                               j->d->opt.host);
    return err;
}

/* Statements first: a script that is gone, or has not its checksum any more, would only fill the router's log. */
static int
take_away(struct job *j)
{
    int err = j->need->n ? jn_need_apply(j->d, j->call, j->need, "shim-remove") : RK_OK;

    for (int i = 0; !err && i < JN_SHIM_FILES; i++)
        err = delete_file(j, i);
    return err;
}

static int
do_it(struct job *j, bool apply)
{
    int err = RK_OK;

    if (j->shim.install)
        err = apply ? check_user(j) : RK_OK;
    else
        memset(j->todo, true, sizeof j->todo);
    if (!err && j->shim.install)
        err = bring(j, apply);
    if (err || !apply)
        return err;
    if (!j->shim.install)
        return take_away(j);
    return j->need->n ? jn_need_apply(j->d, j->call, j->need, "shim-install") : RK_OK;
}

/* What was brought needs no copying any more. */
static void
tell_rest(struct job *j, bool apply)
{
    bool any = j->need->n > 0;

    for (int i = 0; i < JN_SHIM_FILES; i++) {
        if (apply && j->shim.install && j->shim.here[i][0])
            j->todo[i] = false;
        any |= j->todo[i];
    }
    if (any)
        jn_shim_remarks(&j->shim, j->d->opt.host, j->todo, j->need);
}

int
jn_shim_prepare(struct jn_device *d, struct rk_call *call, const struct rk_prepare *want, rk_line_fn *line, void *arg)
{
    struct jn_need need = {.list = NULL};
    struct job j = {.d = d, .call = call, .need = &need};
    struct nc_reply *reply = NULL;
    const xmlNode *conf;
    int err = jn_shim_read(d->host, call, jn_prepare_words(want), d->opt.user, &j.shim);

    if (!err)
        err = get_conf(&j, &reply, &conf);
    if (!err) {
        err = jn_shim_need(&j.shim, conf, &need);
        if (err)
            err = d->host->fail(call, err, "out of memory");
    }
    if (!err)
        err = do_it(&j, want->apply != 0);
    if (!err) {
        tell_rest(&j, want->apply != 0);
        jn_need_tell(&need, line, arg);
    }
    nc_reply_free(&reply);
    jn_need_free(&need);
    return err;
}
