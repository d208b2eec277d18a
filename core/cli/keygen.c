/* keygen.c - rekeyctl keygen: a pool of keys for each of two sites, with the same keys and IDs.
 *
 * Runs in rekeyctl, without the daemon.  The only command that has keys in its memory: it makes itself undumpable, and
 * a key goes from the kernel's generator to the two pools and nowhere else.
 */
#include "ask.h"
#include "keypool.h"
#include "show.h"

#include "../base/clock.h"
#include "../base/secret.h"
#include "../base/text.h"

#include <rekey/err.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define BITS_DEFAULT 256
#define LOOK_UP 1024 /* so many keys are made between two looks at signals and the clock */
#define TELL_NS (RK_NS_PER_S / 2)

struct making {
    const struct rk_cli_opts *o;
    const struct rk_cli_io *io;
    struct rk_keypool *pools[2];
    size_t done;
    int64_t told_ns;
    bool told;
    char why[RK_TEXT_MAX];
    unsigned char random[16 + RK_POOL_KEY_MAX]; /* an ID and a key */
};

static volatile sig_atomic_t stopped;

static void
stop(int number)
{
    (void)number;
    stopped = 1;
}

/* A first signal ends the work and leaves nothing behind; a second one ends the process as ever. */
static void
heed_signals(void)
{
    struct sigaction act = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};

    (void)sigaction(SIGINT, &act, NULL);
    (void)sigaction(SIGTERM, &act, NULL);
    (void)sigaction(SIGHUP, &act, NULL);
}

/* UUID of version 4.   src: RFC 9562, 5.4 */
static void
put_uuid(unsigned char *b, char *out)
{
    char hex[33];

    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    rk_hex_put(b, 16, hex);
    sprintf(out, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static int
fill(void *buf, size_t len)
{
    unsigned char *p = buf;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno != EINTR)
            return RK_E_IO;
        p += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return RK_OK;
}

static int
add_key(struct making *m, size_t n)
{
    char id[37];
    int err = fill(m->random, 16 + n);

    if (err) {
        snprintf(m->why, sizeof m->why, "the kernel gives no random bytes: %s", strerror(errno));
        return err;
    }
    put_uuid(m->random, id);
    for (int i = 0; !err && i < 2; i++)
        err = rk_keypool_add(m->pools[i], id, m->random + 16, n, m->why);
    return err;
}

/* On a terminal, when it takes long. */
static void
tell(struct making *m, bool last)
{
    int64_t now_ns = rk_now_ns();

    if (!isatty(fileno(m->io->err)) || (last ? !m->told : now_ns - m->told_ns < TELL_NS))
        return;
    if (last)
        fprintf(m->io->err, "\r\033[K");
    else
        fprintf(m->io->err, "\r%zu of %ld keys", m->done, m->o->keys);
    fflush(m->io->err);
    m->told_ns = now_ns;
    m->told = true;
}

static int
make_keys(struct making *m)
{
    size_t n = (size_t)(m->o->bits ? m->o->bits : BITS_DEFAULT) / 8;
    int err = RK_OK;

    for (m->done = 0; !err && m->done < (size_t)m->o->keys; m->done++) {
        if (m->done % LOOK_UP == 0)
            tell(m, false);
        err = stopped ? RK_E_CANCELED : add_key(m, n);
    }
    if (stopped)
        snprintf(m->why, sizeof m->why, "interrupted; nothing was made");
    for (int i = 0; !err && i < 2; i++)
        err = rk_keypool_sync(m->pools[i], m->why);
    tell(m, true);
    return err;
}

/* Both or none, but for a file that was appended to and has been seen already. */
static int
publish(struct making *m)
{
    int err = rk_keypool_publish(m->pools[0], m->why);

    if (!err)
        err = rk_keypool_publish(m->pools[1], m->why);
    if (err && !rk_keypool_withdraw(m->pools[0]) && m->o->append)
        snprintf(m->why + strlen(m->why), sizeof m->why - strlen(m->why), "; %.100s may have keys now that the other "
                 "one has not: they will be of no use, and do no harm", rk_keypool_path(m->pools[0]));
    return err;
}

static int
make_pools(struct making *m)
{
    const char *paths[] = {m->o->out_a, m->o->out_b};
    int err = RK_OK;

    for (int i = 0; !err && i < 2; i++)
        err = rk_keypool_begin(paths[i], m->o->append, &m->pools[i], m->why);
    if (!err && rk_keypool_same(m->pools[0], m->pools[1])) {
        snprintf(m->why, sizeof m->why, "--out-a and --out-b name one place; each site needs a pool of its own");
        err = RK_E_CONFIG;
    }
    if (!err)
        err = make_keys(m);
    return err ? err : publish(m);
}

static void
show_json(const struct making *m, bool ok)
{
    json_t *pools = json_array(), *whole;
    char *why = rk_show_safe(m->why, true);

    for (int i = 0; ok && i < 2; i++) {
        char *path = rk_show_safe(rk_keypool_path(m->pools[i]), true);

        json_array_append_new(pools, json_pack("{s:s, s:I}", "path", path ? path : "", "keys",
                                               (json_int_t)rk_keypool_keys(m->pools[i])));
        free(path);
    }
    whole = json_pack("{s:b, s:s, s:I, s:I, s:o}", "ok", ok, "text", why ? why : "",
                      "keys", (json_int_t)(ok ? m->o->keys : 0),
                      "bits", (json_int_t)(m->o->bits ? m->o->bits : BITS_DEFAULT), "pools", pools);
    rk_cli_json(m->io, whole);
    putc('\n', m->io->out);
    json_decref(whole);
    free(why);
}

static void
show_text(const struct making *m)
{
    fprintf(m->io->out, "%ld new keys of %ld bits are in each of\n", m->o->keys,
            m->o->bits ? m->o->bits : (long)BITS_DEFAULT);
    for (int i = 0; i < 2; i++) {
        char *path = rk_show_safe(rk_keypool_path(m->pools[i]), m->io->utf8);

        fprintf(m->io->out, "  %s\n", path ? path : "?");
        free(path);
    }
    fprintf(m->io->out, "Bring each to its site by a way that nobody else can read, and remove every other copy.\n"
                        "Where both sites are masters of links, give the source of one \"take: last\".\n");
}

static int
run(struct making *m)
{
    int err = make_pools(m);
    char *why = err ? rk_show_safe(m->why, m->io->utf8) : NULL;

    if (m->o->json)
        show_json(m, err == RK_OK);
    else if (err)
        fprintf(m->io->err, "rekeyctl: %s\n", why ? why : "out of memory");
    else
        show_text(m);
    free(why);
    for (int i = 0; i < 2; i++)
        rk_keypool_end(&m->pools[i]);
    return err ? RK_CLI_FAILED : RK_CLI_OK;
}

int
rk_cli_keygen(struct rk_cli_opts *o, struct rk_cli_io *io)
{
    struct making *m;
    int code = RK_CLI_FAILED;

    if (!o->keys || !o->out_a || !o->out_b) {
        fprintf(io->err, "rekeyctl: keygen needs --keys, --out-a and --out-b; rekeyctl keygen --help shows more\n");
        return RK_CLI_USAGE;
    }
    m = calloc(1, sizeof *m);
    if (!m || rk_process_harden() != RK_OK) {
        fprintf(io->err, "rekeyctl: keygen cannot protect its memory: %s\n", strerror(errno));
        goto out;
    }
    (void)mlock(m, sizeof *m);
    m->o = o;
    m->io = io;
    m->told_ns = rk_now_ns();
    heed_signals();
    code = run(m);
    explicit_bzero(m, sizeof *m);
    (void)munlock(m, sizeof *m);
out:
    free(m);
    return code;
}
