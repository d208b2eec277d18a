/* ask.c - what the program is asked, on its standard input, and the keys, on its descriptor 3.
 *
 * Both are memory files: they are written before the program starts, so that one that does not read holds up nothing,
 * and the keys are wiped when it has ended, read or not.
 */
#include "exec.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- words ---- */

/* What stands in a request as one word: "-" for none.  NULL: it cannot be told in one. */
static const char *
word(const char *text)
{
    if (!text || !text[0])
        return "-";
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p > '~')
            return NULL;
    return text;
}

static const char *
kind_word(uint32_t kind)
{
    switch (kind) {
    case RK_OP_STAGE:
        return "stage";
    case RK_OP_ACTIVATE:
        return "activate";
    case RK_OP_RETIRE:
        return "retire";
    case RK_OP_SHUT:
        return "shut";
    case RK_OP_SWEEP:
        return "sweep";
    default:
        return NULL;
    }
}

static bool
put_op(int fd, size_t number, const struct rk_dev_op *op)
{
    const char *kind = kind_word(op->kind), *iface = word(op->iface), *facts = word(op->peer_facts);
    const char *terms = word(op->text), *link = word(op->link), *id = word(op->key_id);

    return kind && iface && facts && terms && link && id &&
           dprintf(fd, "op %zu %s %s %s %" PRIu64 " %s %s %s\n", number, kind, link, iface, op->seq, id, facts,
                   terms) > 0;
}

static bool
put_look(int fd, size_t number, const struct rk_dev_seen *seen)
{
    const char *iface = word(seen->iface), *facts = word(seen->peer_facts), *link = word(seen->link);
    bool ok = iface && facts && link && dprintf(fd, "see %zu %s %s %s\n", number, link, iface, facts) > 0;

    for (size_t i = 0; ok && i < RK_SEEN_KEYS; i++) {
        const char *id = seen->key_ids[i] ? word(seen->key_ids[i]) : "-";

        ok = id && (!seen->key_ids[i] ||
                    dprintf(fd, "key %zu %" PRIu64 " %s\n", number, seen->seqs[i], id) > 0);
    }
    return ok;
}

/* ---- the files ---- */

static int
begin(const struct exec_inst *x, struct rk_call *call, const char *verb, struct exec_ask *ask)
{
    *ask = (struct exec_ask){.text_fd = memfd_create("rekey-exec", MFD_CLOEXEC), .key_fd = -1};
    if (ask->text_fd >= 0 && dprintf(ask->text_fd, "rekey-exec 1 %s %s\n", verb, x->name) > 0)
        return RK_OK;
    return x->host->fail(call, RK_E_IO, "%s: no room for its request", x->name);
}

static int
finish(const struct exec_inst *x, struct rk_call *call, struct exec_ask *ask)
{
    if (dprintf(ask->text_fd, "end\n") > 0 && lseek(ask->text_fd, 0, SEEK_SET) == 0)
        return RK_OK;
    return x->host->fail(call, RK_E_IO, "%s: no room for its request", x->name);
}

static int
untold(const struct exec_inst *x, struct rk_call *call, size_t number)
{
    return x->host->fail(call, RK_E_CONFIG,
                         "%s: entry %zu cannot be told to a program: is there a blank in the name of its interface?",
                         x->name, number);
}

/* ---- keys ---- */

struct put_key {
    char *at;
    size_t number;
};

static int
put_key(const unsigned char *bytes, size_t len, void *arg)
{
    static const char digits[] = "0123456789abcdef";
    struct put_key *put = arg;

    put->at += sprintf(put->at, "%zu ", put->number);
    for (size_t i = 0; i < len; i++) {
        *put->at++ = digits[bytes[i] >> 4];
        *put->at++ = digits[bytes[i] & 15];
    }
    *put->at++ = '\n';
    return RK_OK;
}

static size_t
keys_size(const struct rk_host *host, const struct rk_dev_op *ops, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        if (ops[i].kind == RK_OP_STAGE && ops[i].key)
            size += (i + 1 < 10 ? 3 : 4) + 2 * host->secret_len(ops[i].key); /* its number, a blank, a newline */
    return size;
}

/* The program has the same file: were it to cut it, touching the mapping would end this process. */
static int
seal(const struct exec_ask *ask)
{
    return fcntl(ask->key_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

/* A line "NUMBER HEX" for each key.  Locking may fail for want of RLIMIT_MEMLOCK; swap is the operator's to encrypt. */
static int
put_keys(const struct exec_inst *x, struct rk_call *call, const struct rk_dev_op *ops, size_t n, struct exec_ask *ask)
{
    size_t size = keys_size(x->host, ops, n);
    struct put_key put;

    ask->key_fd = memfd_create("rekey-key", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ask->key_fd < 0 || ftruncate(ask->key_fd, (off_t)size) < 0)
        return x->host->fail(call, RK_E_NOMEM, "%s: no memory for its keys", x->name);
    ask->keys = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ask->key_fd, 0);
    if (ask->keys == MAP_FAILED) {
        ask->keys = NULL;
        return x->host->fail(call, RK_E_NOMEM, "%s: no memory for its keys", x->name);
    }
    ask->keys_size = size;
    (void)mlock(ask->keys, size);
    (void)madvise(ask->keys, size, MADV_DONTDUMP);
    (void)madvise(ask->keys, size, MADV_DONTFORK);
    put.at = ask->keys;
    for (size_t i = 0; i < n; i++) {
        put.number = i + 1;
        if (ops[i].kind == RK_OP_STAGE && ops[i].key)
            (void)x->host->secret_use(ops[i].key, put_key, &put);
    }
    return seal(ask) == 0 ? RK_OK : x->host->fail(call, RK_E_IO, "%s: its keys cannot be sealed", x->name);
}

/* ---- requests ---- */

int
exec_ask_apply(const struct exec_inst *x, struct rk_call *call, const struct rk_dev_op *ops, size_t n,
               struct exec_ask *ask)
{
    int err = begin(x, call, "apply", ask);

    for (size_t i = 0; !err && i < n; i++)
        if (ops[i].kind != RK_OP_DESCRIBE && !put_op(ask->text_fd, i + 1, &ops[i]))
            err = untold(x, call, i + 1);
    if (!err)
        err = finish(x, call, ask);
    if (!err && keys_size(x->host, ops, n) > 0)
        err = put_keys(x, call, ops, n, ask);
    return err;
}

int
exec_ask_observe(const struct exec_inst *x, struct rk_call *call, const struct rk_dev_seen *seen, size_t n,
                 struct exec_ask *ask)
{
    int err = begin(x, call, "observe", ask);

    for (size_t i = 0; !err && i < n; i++)
        if (!put_look(ask->text_fd, i + 1, &seen[i]))
            err = untold(x, call, i + 1);
    return err ? err : finish(x, call, ask);
}

void
exec_ask_end(struct exec_ask *ask)
{
    if (ask->keys) {
        explicit_bzero(ask->keys, ask->keys_size);
        munmap(ask->keys, ask->keys_size);
    }
    if (ask->key_fd >= 0)
        close(ask->key_fd);
    if (ask->text_fd >= 0)
        close(ask->text_fd);
}
