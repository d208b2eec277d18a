/* fuzz_peer_head.c - the head of a request of the channel "peer", with any bytes, and as it comes in parts: a part of a
 * head is never taken for a whole one, and what was said of a whole one is said whatever follows it. */
#include "plugins/channel/peer/peer.h"

#include "text.h"

static bool
is_code(int code)
{
    static const int codes[] = {200, 400, 404, 405, 411, 413, 415, 417, 431, 505};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i] == code)
            return true;
    return code == 0;
}

static const char *const paths[] = {HEAD_PATH, NULL};
static const struct rkp_head_rule rule = {paths, HEAD_TYPE, "Rekey-Session"};

static void
look(char *text, size_t size)
{
    struct rkp_head h, part;
    int code = rkp_head_read(&rule, text, size, &h);

    demand(is_code(code));
    demand(code != 0 || size < RKP_HEAD_MAX);
    if (code != 200)
        return;
    demand(h.len <= size && h.len <= RKP_HEAD_MAX && memcmp(text + h.len - 4, "\r\n\r\n", 4) == 0);
    demand(strlen(h.session) == 0 || strlen(h.session) == SESSION_LEN);
    for (size_t len = 0; len < h.len; len++)
        demand(rkp_head_read(&rule, text, len, &part) == 0);
    demand(rkp_head_read(&rule, text, h.len, &part) == 200 && part.len == h.len && part.body_len == h.body_len);
}
