/* ipc_msg_test.c - every message there and back; cut at every byte; with too much in it; and who owns descriptors. */
#include "core/ipc/msg.h"

#include <rekey/err.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned char frame[RK_FRAME_MAX];
static int fds[RK_FRAME_FDS];

static void
fill(char *text, size_t size, char c)
{
    memset(text, c, size - 1);
    text[size - 1] = '\0';
}

/* An exact copy on the heap, so that a sanitizer sees one byte too far. */
static unsigned char *
exact(size_t len)
{
    unsigned char *copy = malloc(len ? len : 1);

    assert_non_null(copy);
    memcpy(copy, frame, len);
    return copy;
}

static bool
is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int
memfd(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0 && write(fd, "secret", 6) == 6);
    return fd;
}

static bool
holds(int fd, const char *text)
{
    char got[7] = "";

    return pread(fd, got, 6, 0) == 6 && memcmp(got, text, 6) == 0;
}

/* ---- values ---- */

static void
test_tlv(void **state)
{
    unsigned char buf[64];
    struct rk_tlv_w w = {buf, sizeof buf, 0, false};
    struct rk_tlv_r r;
    struct rk_tlv t;
    uint32_t v32;
    uint64_t v64;
    char text[4];
    size_t mark;

    (void)state;
    rk_tlv_u32(&w, 1, 0xdeadbeef);
    mark = rk_tlv_begin(&w, 2);
    rk_tlv_u64(&w, 3, UINT64_MAX);
    rk_tlv_end(&w, mark);
    rk_tlv_str(&w, 4, "abc");
    rk_tlv_str(&w, 5, NULL);
    assert_false(w.full);
    r = (struct rk_tlv_r){buf, buf + w.len, false};
    assert_true(rk_tlv_next(&r, &t) && t.tag == 1 && rk_tlv_get_u32(&t, &v32) && v32 == 0xdeadbeef);
    assert_false(rk_tlv_get_u64(&t, &v64));
    assert_true(rk_tlv_next(&r, &t) && t.tag == 2);
    {
        struct rk_tlv_r nested = {t.bytes, t.bytes + t.n, false};

        assert_true(rk_tlv_next(&nested, &t) && t.tag == 3 && rk_tlv_get_u64(&t, &v64) && v64 == UINT64_MAX);
        assert_false(rk_tlv_get_u32(&t, &v32));
        assert_false(rk_tlv_next(&nested, &t) || nested.bad);
    }
    assert_true(rk_tlv_next(&r, &t) && t.tag == 4 && rk_tlv_get_str(&t, text, 4));
    assert_string_equal(text, "abc");
    assert_false(rk_tlv_get_str(&t, text, 3)); /* no room for its NUL */
    assert_false(rk_tlv_next(&r, &t));
    assert_false(r.bad);
}

static void
test_tlv_full(void **state)
{
    unsigned char buf[16];
    struct rk_tlv_w w = {buf, sizeof buf, 0, false};

    (void)state;
    rk_tlv_bytes(&w, 1, "0123456789", 10);
    assert_false(w.full);
    rk_tlv_bytes(&w, 1, "", 0);
    assert_true(w.full);
    assert_int_equal(w.len, 16);
    w = (struct rk_tlv_w){buf, sizeof buf, 0, false};
    rk_tlv_bytes(&w, 1, "0123456789a", 11);
    assert_true(w.full);
    assert_int_equal(w.len, 0);
    rk_tlv_u32(&w, 1, 1); /* and it stays full */
    assert_int_equal(w.len, 0);
}

static void
test_tlv_nul_inside(void **state)
{
    const struct rk_tlv t = {1, (const unsigned char *)"a\0b", 3};
    char text[8];

    (void)state;
    assert_false(rk_tlv_get_str(&t, text, sizeof text));
}

/* ---- hello ---- */

static const char *const choices[] = {"red", "green", NULL};

static void
make_hello(struct rk_hello *m, struct rk_opt *opts)
{
    opts[0] = (struct rk_opt){.name = "colour", .type = RK_OPT_ENUM, .flags = RK_OPT_REQUIRED, .choices = choices,
                              .dflt = "red", .help = "A colour"};
    opts[1] = (struct rk_opt){.name = "depth", .type = RK_OPT_INT, .unit = "m", .min = -5, .max = INT64_MAX,
                              .dflt = "", .help = "A depth"};
    opts[2] = (struct rk_opt){.name = "bare", .type = RK_OPT_STRING};
    opts[3] = (struct rk_opt){.name = NULL};
    memset(m, 0, sizeof *m);
    m->abi = RK_ABI;
    m->kind = RK_DEVICE;
    m->caps = 0x80000301;
    m->apply_ms = 360000;
    fill(m->name, sizeof m->name, 'n');
    fill(m->version, sizeof m->version, 'v');
    fill(m->summary, sizeof m->summary, 's');
    fill(m->error, sizeof m->error, 'e');
    m->opts = opts;
    m->n_opts = 3;
}

static void
test_hello(void **state)
{
    struct rk_opt opts[4];
    struct rk_hello m, got;
    size_t len;

    (void)state;
    make_hello(&m, opts);
    len = rk_hello_put(frame, &m);
    assert_true(len > 0);
    assert_int_equal(rk_hello_get(frame, len, &got), RK_OK);
    assert_int_equal(got.abi, m.abi);
    assert_int_equal(got.kind, m.kind);
    assert_int_equal(got.caps, m.caps);
    assert_int_equal(got.apply_ms, m.apply_ms);
    assert_string_equal(got.name, m.name);
    assert_string_equal(got.version, m.version);
    assert_string_equal(got.summary, m.summary);
    assert_string_equal(got.error, m.error);
    assert_int_equal(got.n_opts, 3);
    assert_string_equal(got.opts[0].name, "colour");
    assert_string_equal(got.opts[0].choices[1], "green");
    assert_null(got.opts[0].choices[2]);
    assert_null(got.opts[0].unit);
    assert_int_equal(got.opts[0].flags, RK_OPT_REQUIRED);
    assert_string_equal(got.opts[1].unit, "m");
    assert_true(got.opts[1].min == -5 && got.opts[1].max == INT64_MAX);
    assert_string_equal(got.opts[1].dflt, ""); /* an empty default is not none */
    assert_null(got.opts[2].dflt);
    assert_null(got.opts[2].help);
    assert_null(got.opts[3].name);
    rk_hello_free(&got);
    rk_hello_free(&got);
}

static void
test_hello_bounds(void **state)
{
    static struct rk_opt many[RK_OPTS_MAX + 1];
    static const char *too_many[RK_CHOICES_MAX + 2];
    char name[RK_NAME_MAX + 2];
    struct rk_hello m = {.opts = many}, got;

    (void)state;
    for (int i = 0; i <= RK_OPTS_MAX; i++)
        many[i] = (struct rk_opt){.name = "o", .type = RK_OPT_BOOL};
    m.n_opts = RK_OPTS_MAX;
    assert_int_equal(rk_hello_get(frame, rk_hello_put(frame, &m), &got), RK_OK);
    rk_hello_free(&got);
    m.n_opts = RK_OPTS_MAX + 1;
    assert_int_equal(rk_hello_put(frame, &m), 0);
    m.n_opts = 1;
    fill(name, sizeof name, 'x');
    many[0].name = name;
    assert_int_equal(rk_hello_put(frame, &m), 0);
    many[0].name = "o";
    for (int i = 0; i <= RK_CHOICES_MAX; i++)
        too_many[i] = "c";
    many[0].choices = too_many;
    assert_int_equal(rk_hello_get(frame, rk_hello_put(frame, &m), &got), RK_E_PROTOCOL);
    assert_null(got.opts);
}

/* ---- config ---- */

static void
test_config(void **state)
{
    struct rk_setting s[2];
    const struct rk_config m = {.inst = 70000, .settings = s, .n = 2};
    struct rk_config got;
    uint32_t type, number;
    size_t len;

    (void)state;
    memset(s, 0, sizeof s);
    fill(s[0].name, sizeof s[0].name, 'n');
    fill(s[0].value, sizeof s[0].value, 'v');
    strcpy(s[1].name, "empty");
    len = rk_config_put(frame, 42, &m);
    assert_true(rk_msg_head(frame, len, &type, &number));
    assert_int_equal(type, RK_MSG_CONFIG);
    assert_int_equal(number, 42);
    assert_int_equal(rk_config_get(frame, len, &got), RK_OK);
    assert_int_equal(got.inst, 70000);
    assert_int_equal(got.n, 2);
    assert_memory_equal(got.settings, s, sizeof s);
    free(got.settings);
}

/* ---- calls and replies ---- */

static void
fill_item(struct rk_item *i, uint32_t n)
{
    i->op = 1 + n;
    i->state = 2 + n;
    i->foreign = 3 + n;
    i->err = -1000 - (int32_t)n;
    i->seq = UINT64_MAX - n;
    i->role = 1;
    i->read = 4 + n;
    fill(i->link, sizeof i->link, 'l');
    fill(i->iface, sizeof i->iface, 'i');
    fill(i->sae, sizeof i->sae, 's');
    fill(i->key_id, sizeof i->key_id, 'k');
    fill(i->facts, sizeof i->facts, 'f');
    fill(i->text, sizeof i->text, 't');
    fill(i->mine, sizeof i->mine, 'm');
    fill(i->theirs, sizeof i->theirs, 'h');
    fill(i->chassis, sizeof i->chassis, 'c');
    fill(i->port, sizeof i->port, 'p');
    i->carried = 5 + n;
    for (int k = 0; k < RK_SEEN_KEYS; k++) {
        fill(i->key[k].id, sizeof i->key[k].id, (char)('a' + k));
        i->key[k].seq = UINT64_MAX - 7;
        i->key[k].held = 15;
    }
}

/* Equal but for the descriptor. */
static void
assert_item(struct rk_item a, struct rk_item b)
{
    a.fd = b.fd = a.chan_fd = b.chan_fd = -1;
    assert_memory_equal(&a, &b, sizeof a);
}

static void
test_call_full(void **state)
{
    struct rk_call_msg m = {.number = 5, .verb = RK_V_APPLY, .inst = 7, .budget_ms = UINT32_MAX, .bits = 256,
                            .read_ms = 30000, .carries = 1}, got;
    size_t len, n;

    (void)state;
    m.items = rk_items_new(RK_BATCH_MAX);
    m.n = RK_BATCH_MAX;
    fill(m.peer_sae, sizeof m.peer_sae, 'p');
    for (uint32_t i = 0; i < RK_BATCH_MAX; i++) {
        fill_item(&m.items[i], i);
        m.items[i].fd = memfd();
    }
    len = rk_call_put(frame, &m, fds, &n);
    assert_true(len > 0); /* a full batch with all texts full fits in a frame */
    assert_int_equal(n, RK_BATCH_MAX);
    assert_int_equal(rk_call_get(frame, len, fds, n, &got), RK_OK);
    assert_int_equal(got.number, 5);
    assert_int_equal(got.verb, RK_V_APPLY);
    assert_int_equal(got.inst, 7);
    assert_int_equal(got.budget_ms, UINT32_MAX);
    assert_int_equal(got.bits, 256);
    assert_int_equal(got.read_ms, 30000);
    assert_int_equal(got.carries, 1);
    assert_string_equal(got.peer_sae, m.peer_sae);
    assert_int_equal(got.n, RK_BATCH_MAX);
    for (size_t i = 0; i < got.n; i++) {
        assert_item(got.items[i], m.items[i]);
        assert_int_equal(got.items[i].fd, m.items[i].fd); /* in one process: the very same, moved */
        m.items[i].fd = -1;
    }
    rk_items_free(m.items, m.n);
    rk_items_free(got.items, got.n);
}

/* Of a full batch each item has a key, and its channel key: each is moved where it belongs. */
static void
test_two_descriptors_each(void **state)
{
    struct rk_reply m = {.number = 1, .n = RK_BATCH_MAX, .items = rk_items_new(RK_BATCH_MAX)}, got;
    size_t len, n;

    (void)state;
    for (size_t i = 0; i < m.n; i++) {
        m.items[i].fd = i % 3 == 1 ? -1 : memfd();
        m.items[i].chan_fd = i % 3 == 2 ? -1 : memfd();
    }
    len = rk_reply_put(frame, &m, fds, &n);
    assert_true(len > 0 && n <= RK_FRAME_FDS);
    assert_int_equal(rk_reply_get(frame, len, fds, n, &got), RK_OK);
    for (size_t i = 0; i < got.n; i++) {
        assert_int_equal(got.items[i].fd, m.items[i].fd);
        assert_int_equal(got.items[i].chan_fd, m.items[i].chan_fd);
        m.items[i].fd = m.items[i].chan_fd = -1;
    }
    rk_items_free(m.items, m.n);
    rk_items_free(got.items, got.n);
}

static void
test_reply(void **state)
{
    struct rk_reply m = {.number = 9, .err = RK_E_UNKNOWN, .took_us = 17, .stored_keys = -1, .max_per_request = 128,
                         .min_bits = 64, .max_bits = -1,
                         .ends_unix_s = INT64_C(4102444800), .wasted = 3};
    struct rk_reply got;
    size_t len, n;
    int fd = memfd();

    (void)state;
    fill(m.text, sizeof m.text, 'x');
    fill(m.ends_what, sizeof m.ends_what, 'y');
    m.items = rk_items_new(3);
    m.n = 3;
    fill_item(&m.items[1], 1);
    m.items[2].fd = fd;
    strcpy(m.items[2].key[3].id, "only the last");
    len = rk_reply_put(frame, &m, fds, &n);
    assert_int_equal(n, 1);
    assert_int_equal(rk_reply_get(frame, len, fds, n, &got), RK_OK);
    assert_int_equal(got.err, RK_E_UNKNOWN);
    assert_int_equal(got.took_us, 17);
    assert_int_equal(got.stored_keys, -1);
    assert_int_equal(got.max_per_request, 128);
    assert_int_equal(got.min_bits, 64);
    assert_int_equal(got.max_bits, -1);
    assert_string_equal(got.text, m.text);
    assert_int_equal(got.ends_unix_s, INT64_C(4102444800));
    assert_string_equal(got.ends_what, m.ends_what);
    assert_int_equal(got.wasted, 3);
    for (size_t i = 0; i < 3; i++)
        assert_item(got.items[i], m.items[i]);
    assert_int_equal(got.items[0].fd, -1);
    assert_int_equal(got.items[2].fd, fd);
    m.items[2].fd = -1;
    rk_items_free(m.items, m.n);
    rk_items_free(got.items, got.n);
    assert_false(is_open(fd));
}

static void
test_too_many_items(void **state)
{
    struct rk_call_msg m = {.verb = RK_V_APPLY, .items = rk_items_new(RK_BATCH_MAX + 1), .n = RK_BATCH_MAX + 1}, got;
    size_t len, n;
    int fd = memfd();

    (void)state;
    assert_int_equal(rk_call_put(frame, &m, fds, &n), 0);
    m.n = RK_BATCH_MAX;
    m.items[0].op = 1;
    len = rk_call_put(frame, &m, fds, &n);
    memcpy(frame + len, frame + len - 6, 6); /* one more empty item: a head of tag and length */
    fds[0] = fd;
    assert_int_equal(rk_call_get(frame, len + 6, fds, 1, &got), RK_E_PROTOCOL);
    assert_null(got.items);
    assert_false(is_open(fd));
    rk_items_free(m.items, RK_BATCH_MAX + 1);
}

/* A descriptor that no item names, one that two items name, one that was not sent. */
static void
test_descriptors(void **state)
{
    struct rk_call_msg m = {.verb = RK_V_APPLY, .items = rk_items_new(2), .n = 2}, got;
    int a = memfd(), b = memfd(), watcher = dup(b);
    size_t len, n;

    (void)state;
    m.items[0].fd = a;
    len = rk_call_put(frame, &m, fds, &n);
    fds[1] = b;
    assert_int_equal(rk_call_get(frame, len, fds, 2, &got), RK_OK);
    assert_int_equal(got.items[0].fd, a);
    assert_false(is_open(b));
    assert_true(holds(watcher, "\0\0\0\0\0\0")); /* and wiped: it may have been a key */
    close(watcher);
    rk_items_free(got.items, got.n);
    assert_false(is_open(a));

    assert_int_equal(rk_call_get(frame, len, fds, 0, &got), RK_E_PROTOCOL); /* names one that did not come */

    m.items[0].fd = m.items[1].fd = a = memfd();
    len = rk_call_put(frame, &m, fds, &n);
    assert_int_equal(n, 2);
    for (size_t i = 0; i + 4 <= len; i++) { /* the second item's index: from 1 to 0 */
        static const unsigned char fd_1[] = {105, 0, 4, 0, 0, 0, 1, 0, 0, 0};

        if (i + sizeof fd_1 <= len && memcmp(frame + i, fd_1, sizeof fd_1) == 0)
            frame[i + 6] = 0;
    }
    fds[0] = a;
    fds[1] = b = memfd();
    assert_int_equal(rk_call_get(frame, len, fds, 2, &got), RK_E_PROTOCOL);
    assert_false(is_open(a));
    assert_false(is_open(b));
    m.items[0].fd = m.items[1].fd = -1;
    rk_items_free(m.items, 2);
}

static void
test_sent_items_are_not_wiped(void **state)
{
    struct rk_item *items = rk_items_new(1);
    int fd = memfd(), receiver = dup(fd);

    (void)state;
    items[0].fd = fd;
    rk_items_sent(items, 1);
    assert_int_equal(items[0].fd, -1);
    assert_false(is_open(fd));
    assert_true(holds(receiver, "secret"));
    items[0].fd = receiver;
    fd = dup(receiver);
    rk_items_free(items, 1);
    assert_true(holds(fd, "\0\0\0\0\0\0"));
    close(fd);
    rk_items_free(NULL, 5);
}

/* ---- ask, row, done, number ---- */

static void
test_control(void **state)
{
    struct rk_ask ask = {.limit = 12, .fetch = 1, .budget_ms = 7}, ask_got;
    struct rk_step step = {.number = 9, .result = RK_E_AUTH}, step_got;
    struct rk_setting options[2] = {{"plugin", "etsi014"}, {"kme-host", ""}};
    struct rk_found_msg found = {.number = 9, .settings = options, .n = 2}, found_got;
    struct rk_heard_msg heard = {.number = 11, .ttl_s = 120}, heard_got;
    struct rk_done done = {.exit_code = 3}, done_got;
    char row[64];
    uint32_t type, number;
    size_t len;

    (void)state;
    fill(ask.command, sizeof ask.command, 'c');
    fill(ask.arg, sizeof ask.arg, 'a');
    fill(ask.peer, sizeof ask.peer, 'p');
    fill(step.name, sizeof step.name, 'n');
    fill(step.text, sizeof step.text, 't');
    assert_int_equal(rk_step_get(frame, rk_step_put(frame, &step), &step_got), RK_OK);
    assert_memory_equal(&step, &step_got, sizeof step);
    fill(found.iface, sizeof found.iface, 'i');
    fill(found.peer_sae, sizeof found.peer_sae, 'p');
    fill(found.why, sizeof found.why, 'w');
    fill(options[1].value, sizeof options[1].value, 'v');
    assert_int_equal(rk_found_get(frame, rk_found_put(frame, &found), &found_got), RK_OK);
    assert_int_equal(found_got.number, 9);
    assert_int_equal(found_got.n, 2);
    assert_memory_equal(found_got.settings, options, sizeof options);
    assert_string_equal(found_got.iface, found.iface);
    assert_string_equal(found_got.why, found.why);
    free(found_got.settings);
    fill(heard.iface, sizeof heard.iface, 'i');
    fill(heard.chassis, sizeof heard.chassis, 'c');
    fill(heard.port, sizeof heard.port, 'p');
    fill(heard.system, sizeof heard.system, 's');
    fill(heard.description, sizeof heard.description, 'd');
    assert_int_equal(rk_heard_get(frame, rk_heard_put(frame, &heard), &heard_got), RK_OK);
    assert_memory_equal(&heard, &heard_got, sizeof heard);
    fill(done.text, sizeof done.text, 'd');
    assert_int_equal(rk_ask_get(frame, rk_ask_put(frame, &ask), &ask_got), RK_OK);
    assert_memory_equal(&ask, &ask_got, sizeof ask);
    assert_int_equal(rk_done_get(frame, rk_done_put(frame, &done), &done_got), RK_OK);
    assert_memory_equal(&done, &done_got, sizeof done);
    len = rk_row_put(frame, "{\"a\":1}");
    assert_int_equal(rk_row_get(frame, len, row, sizeof row), RK_OK);
    assert_string_equal(row, "{\"a\":1}");
    assert_int_equal(rk_row_get(frame, len, row, 7), RK_E_PROTOCOL);
    len = rk_number_put(frame, RK_MSG_CANCEL, 77);
    assert_true(rk_msg_head(frame, len, &type, &number) && type == RK_MSG_CANCEL && number == 77);
    assert_false(rk_msg_head(frame, 7, &type, &number));
}

static void
test_wrong_type(void **state)
{
    struct rk_hello hello;
    struct rk_config config;
    struct rk_call_msg call;
    struct rk_reply reply;
    struct rk_ask ask;
    struct rk_done done;
    struct rk_step step;
    struct rk_found_msg found;
    struct rk_heard_msg heard;
    char row[8];
    size_t len = rk_number_put(frame, RK_MSG_DROP, 1);

    (void)state;
    assert_int_equal(rk_hello_get(frame, len, &hello), RK_E_PROTOCOL);
    assert_int_equal(rk_config_get(frame, len, &config), RK_E_PROTOCOL);
    assert_int_equal(rk_call_get(frame, len, fds, 0, &call), RK_E_PROTOCOL);
    assert_int_equal(rk_reply_get(frame, len, fds, 0, &reply), RK_E_PROTOCOL);
    assert_int_equal(rk_step_get(frame, len, &step), RK_E_PROTOCOL);
    assert_int_equal(rk_found_get(frame, len, &found), RK_E_PROTOCOL);
    assert_int_equal(rk_heard_get(frame, len, &heard), RK_E_PROTOCOL);
    assert_int_equal(rk_ask_get(frame, len, &ask), RK_E_PROTOCOL);
    assert_int_equal(rk_done_get(frame, len, &done), RK_E_PROTOCOL);
    assert_int_equal(rk_row_get(frame, len, row, sizeof row), RK_E_PROTOCOL);
}

/* ---- cut at every byte ---- */

/* Any of the two codes is right: a cut between two values is a shorter message.  Reading past the end is not. */
static void
decode(size_t len, int type)
{
    unsigned char *cut = exact(len);
    struct rk_hello hello;
    struct rk_config config;
    struct rk_call_msg call;
    struct rk_reply reply;
    int err = RK_E_PROTOCOL;

    switch (type) {
    case RK_MSG_HELLO:
        err = rk_hello_get(cut, len, &hello);
        rk_hello_free(&hello);
        break;
    case RK_MSG_CONFIG:
        err = rk_config_get(cut, len, &config);
        free(config.settings);
        break;
    case RK_MSG_CALL:
        fds[0] = memfd();
        err = rk_call_get(cut, len, fds, 1, &call);
        if (err)
            assert_null(call.items);
        rk_items_free(call.items, call.n);
        break;
    case RK_MSG_REPLY:
        fds[0] = memfd();
        err = rk_reply_get(cut, len, fds, 1, &reply);
        rk_items_free(reply.items, reply.n);
        break;
    default:
        break;
    }
    assert_true(err == RK_OK || err == RK_E_PROTOCOL);
    if (len < 8)
        assert_int_equal(err, RK_E_PROTOCOL);
    free(cut);
}

static int
lowest_free_fd(void)
{
    int fd = dup(0);

    close(fd);
    return fd;
}

static void
test_cut_everywhere(void **state)
{
    struct rk_setting s[2] = {{"a", "1"}, {"b", "2"}};
    const struct rk_config config = {3, s, 2};
    struct rk_call_msg call = {.verb = RK_V_APPLY, .inst = 1, .items = rk_items_new(2), .n = 2};
    struct rk_reply reply = {.err = RK_E_IO};
    struct rk_opt opts[4];
    struct rk_hello hello;
    size_t len, n;
    int free_fd;

    (void)state;
    make_hello(&hello, opts);
    len = rk_hello_put(frame, &hello);
    for (size_t i = 0; i <= len; i++)
        decode(i, RK_MSG_HELLO);
    len = rk_config_put(frame, 1, &config);
    for (size_t i = 0; i <= len; i++)
        decode(i, RK_MSG_CONFIG);
    fill_item(&call.items[0], 0);
    call.items[1].fd = memfd();
    strcpy(call.items[1].key[2].id, "k");
    free_fd = lowest_free_fd();
    len = rk_call_put(frame, &call, fds, &n);
    for (size_t i = 0; i <= len; i++)
        decode(i, RK_MSG_CALL);
    reply.items = call.items;
    reply.n = 2;
    len = rk_reply_put(frame, &reply, fds, &n);
    for (size_t i = 0; i <= len; i++)
        decode(i, RK_MSG_REPLY);
    assert_int_equal(lowest_free_fd(), free_fd); /* none was left open on the way */
    rk_items_free(call.items, 2);
}

/* A text that is too long for its member is refused, and not cut. */
static void
test_long_text(void **state)
{
    struct rk_tlv_w w = {frame, sizeof frame, 8, false};
    uint32_t head[2] = {RK_MSG_ASK, 0};
    char text[RK_NAME_MAX + 2];
    struct rk_ask ask;

    (void)state;
    memcpy(frame, head, sizeof head);
    fill(text, sizeof text, 'x');
    rk_tlv_str(&w, 1, text);
    assert_int_equal(rk_ask_get(frame, w.len, &ask), RK_E_PROTOCOL);
    w = (struct rk_tlv_w){frame, sizeof frame, 8, false};
    rk_tlv_str(&w, 1, text + 1);
    rk_tlv_str(&w, 999, "a tag of a newer peer is left out");
    assert_int_equal(rk_ask_get(frame, w.len, &ask), RK_OK);
    assert_string_equal(ask.command, text + 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tlv),
        cmocka_unit_test(test_tlv_full),
        cmocka_unit_test(test_tlv_nul_inside),
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_hello_bounds),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_call_full),
        cmocka_unit_test(test_two_descriptors_each),
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_too_many_items),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_sent_items_are_not_wiped),
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_wrong_type),
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_long_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
